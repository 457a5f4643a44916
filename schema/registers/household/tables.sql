CREATE TABLE household(
  code TEXT NOT NULL PRIMARY KEY,
  village_code TEXT NOT NULL DEFAULT '',
  head_name TEXT,
  population INTEGER,
  category TEXT,
  income REAL,
  address TEXT,
  phone TEXT,
  house_type TEXT,
  house_area REAL,
  land_mu REAL,
  water TEXT,
  poverty_cause TEXT,
  helper TEXT,
  remark TEXT,
  updated_at TEXT);
CREATE INDEX household_village ON household(village_code);
