CREATE TABLE relief_case(case_no TEXT NOT NULL PRIMARY KEY, unit_code INTEGER);
