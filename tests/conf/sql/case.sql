-- one case register
CREATE TABLE IF NOT EXISTS relief_case(
  case_no TEXT NOT NULL PRIMARY KEY, unit_code TEXT NOT NULL DEFAULT '', applicant TEXT, phone TEXT,
  housing INTEGER, amount REAL CHECK (amount IS NULL OR amount >= 0), state TEXT NOT NULL DEFAULT '申请',
  area INTEGER GENERATED ALWAYS AS (housing * 2) VIRTUAL, note TEXT);
CREATE INDEX relief_unit ON relief_case(unit_code);
CREATE INDEX relief_open ON relief_case(state) WHERE state <> '已确认';
CREATE VIEW relief_sum AS SELECT unit_code, count(*) AS cases, total(amount) AS amount FROM relief_case GROUP BY unit_code;
