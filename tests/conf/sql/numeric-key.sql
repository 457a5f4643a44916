CREATE TABLE relief_case(case_no DECIMAL(10) NOT NULL PRIMARY KEY, unit_code TEXT);
