ALTER TABLE household ADD COLUMN broadband TEXT;
