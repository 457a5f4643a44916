-- A document archive as web frameworks make it: after the shape of the SQLite schema of paperless-ngx (GPL-3.0-or-later;
-- Django models of documents, correspondents, tags and notes), with the external-content FTS5 index and its three
-- triggers that SQLite's own manual shows.  Spelled anew for this test; only the shape is theirs.
CREATE TABLE "documents_correspondent" ("id" varchar(32) NOT NULL PRIMARY KEY, "unit_code" varchar(12) NOT NULL,
  "name" varchar(128) NOT NULL DEFAULT '', "match" varchar(256) NOT NULL DEFAULT '', UNIQUE ("unit_code", "name"));
CREATE TABLE "documents_document" ("id" varchar(32) NOT NULL PRIMARY KEY, "unit_code" varchar(12) NOT NULL,
  "title" varchar(128) NOT NULL DEFAULT '', "content" text NOT NULL DEFAULT '', "created" datetime NULL,
  "archive_serial_number" integer NULL UNIQUE, "decision" varchar(16) NULL, "checksum" varchar(32) NOT NULL DEFAULT '',
  "correspondent_id" varchar(32) NULL REFERENCES "documents_correspondent" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX "documents_document_title" ON "documents_document" ("title");
CREATE INDEX "documents_document_correspondent" ON "documents_document" ("correspondent_id");
CREATE TABLE "documents_note" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "note" text NOT NULL,
  "document_id" varchar(32) NULL REFERENCES "documents_document" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "documents_counter" ("name" varchar(16) NOT NULL PRIMARY KEY, "n" integer NOT NULL);
INSERT INTO documents_counter VALUES('documents', 0);
CREATE VIRTUAL TABLE documents_fts USING fts5(title, content, content='documents_document');
CREATE TRIGGER documents_fts_insert AFTER INSERT ON documents_document BEGIN
  INSERT INTO documents_fts(rowid, title, content) VALUES (new.rowid, new.title, new.content);
END;
CREATE TRIGGER documents_fts_delete AFTER DELETE ON documents_document BEGIN
  INSERT INTO documents_fts(documents_fts, rowid, title, content) VALUES('delete', old.rowid, old.title, old.content);
END;
CREATE TRIGGER documents_fts_update AFTER UPDATE ON documents_document BEGIN
  INSERT INTO documents_fts(documents_fts, rowid, title, content) VALUES('delete', old.rowid, old.title, old.content);
  INSERT INTO documents_fts(rowid, title, content) VALUES (new.rowid, new.title, new.content);
END;
CREATE TRIGGER documents_count AFTER INSERT ON documents_document BEGIN
  UPDATE documents_counter SET n = n + 1 WHERE name = 'documents';
END;
CREATE TRIGGER documents_title_check BEFORE UPDATE OF title ON documents_document WHEN new.title = 'FORBIDDEN' BEGIN
  SELECT RAISE(ABORT, 'a title is wanted');
END;
