CREATE TABLE a(case_no TEXT);
CREATE VIEW relief_case AS SELECT case_no FROM a;
