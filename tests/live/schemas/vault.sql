-- A vault of entries, users and folders: after the shape of the SQLite schema of Vaultwarden (AGPL-3.0-only; diesel
-- migrations): text keys, foreign keys between all of them, a link table with a key of two columns, no trigger.
-- Spelled anew for this test; only the shape is theirs.
CREATE TABLE users (uuid TEXT NOT NULL PRIMARY KEY, created_at DATETIME NOT NULL DEFAULT '', email TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL DEFAULT '', unit_code TEXT NOT NULL);
CREATE TABLE ciphers (uuid TEXT NOT NULL PRIMARY KEY, created_at DATETIME NOT NULL DEFAULT '',
  user_uuid TEXT REFERENCES users (uuid), atype INTEGER NOT NULL DEFAULT 0, name TEXT NOT NULL DEFAULT '', notes TEXT,
  weight REAL, data BLOB, unit_code TEXT NOT NULL);
CREATE TABLE folders (uuid TEXT NOT NULL PRIMARY KEY, user_uuid TEXT NOT NULL REFERENCES users (uuid),
  name TEXT NOT NULL DEFAULT '', unit_code TEXT NOT NULL);
CREATE TABLE folders_ciphers (cipher_uuid TEXT NOT NULL REFERENCES ciphers (uuid) ON DELETE CASCADE,
  folder_uuid TEXT NOT NULL REFERENCES folders (uuid) ON DELETE CASCADE, unit_code TEXT NOT NULL,
  PRIMARY KEY (cipher_uuid, folder_uuid));
CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
