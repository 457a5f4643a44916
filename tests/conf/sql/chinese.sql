/* quoted and Chinese names; a composite key */
CREATE TABLE "低保 名册"("编号" TEXT NOT NULL, [期次] INTEGER NOT NULL, `单位` TEXT NOT NULL, "户主" TEXT, PRIMARY KEY("编号",[期次])) WITHOUT ROWID;
CREATE TABLE person(id INTEGER NOT NULL PRIMARY KEY, name TEXT, nation TEXT DEFAULT '汉族', unit_code TEXT, case_no TEXT);
CREATE UNIQUE INDEX person_name ON person(name, unit_code);
CREATE TABLE nation(id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL, name TEXT, UNIQUE(code));
