CREATE TABLE relief_case(case_no TEXT NOT NULL PRIMARY KEY, unit_code TEXT, phone TEXT);
CREATE UNIQUE INDEX ax ON relief_case(lower(phone));
