CREATE TABLE main.relief_case(case_no TEXT NOT NULL PRIMARY KEY);
