CREATE TABLE relief_case(
  case_no TEXT NOT NULL PRIMARY KEY,
  unit_code TEXT NOT NULL DEFAULT '',
  applicant TEXT,
  id_number TEXT,
  members INTEGER,
  phone TEXT,
  accepted_on TEXT,
  housing TEXT,
  vehicles TEXT,
  fund TEXT,
  village_opinion TEXT,
  category TEXT,
  monthly_amount REAL,
  state TEXT NOT NULL DEFAULT '受理',
  decided_on TEXT);
CREATE INDEX relief_case_unit ON relief_case(unit_code);
CREATE INDEX relief_case_idnum ON relief_case(id_number);
