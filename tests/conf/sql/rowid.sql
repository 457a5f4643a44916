CREATE TABLE relief_case(case_no INTEGER PRIMARY KEY, unit_code TEXT);
