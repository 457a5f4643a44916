CREATE TABLE relief_case(case_no TEXT NOT NULL, unit_code TEXT);
