CREATE TABLE relief_case(case_no TEXT PRIMARY KEY, unit_code TEXT);
