CREATE TABLE person(
  id INTEGER NOT NULL PRIMARY KEY,
  household TEXT NOT NULL DEFAULT '',
  village_code TEXT NOT NULL DEFAULT '',
  name TEXT,
  id_number TEXT,
  sex TEXT,
  birth TEXT,
  nation TEXT,
  relation TEXT,
  marital TEXT,
  education TEXT,
  health TEXT,
  labour TEXT,
  occupation TEXT,
  workplace TEXT,
  income REAL,
  insurance TEXT,
  pension TEXT,
  phone TEXT,
  disability TEXT,
  status TEXT,
  remark TEXT,
  updated_at TEXT);
CREATE INDEX person_household ON person(household);
CREATE INDEX person_village ON person(village_code);
CREATE INDEX person_idnum ON person(id_number);
