CREATE TABLE aid_case(
  case_no TEXT NOT NULL PRIMARY KEY,
  unit_code TEXT NOT NULL DEFAULT '',
  applicant TEXT, id_number TEXT, members INTEGER, accepted_on TEXT,
  housing TEXT, vehicles TEXT, fund TEXT,
  survey TEXT, surveyed_on TEXT,
  village_opinion TEXT,
  category TEXT, monthly_amount INTEGER, decided_on TEXT,
  state TEXT NOT NULL DEFAULT '核查', notice_from TEXT, notice_until TEXT,
  objection TEXT,
  filed_on TEXT);
