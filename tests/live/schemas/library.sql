-- A catalogue of books: after the shape of the metadata.db of calibre (GPL-3.0-only): integer keys, NOCASE columns, unique
-- link tables, triggers that call functions which only the application registers, triggers in place of foreign keys.
-- Spelled anew for this test; only the shape is theirs.
CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, sort TEXT COLLATE NOCASE,
  link TEXT NOT NULL DEFAULT '', UNIQUE(name));
CREATE TABLE books (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL DEFAULT 'Unknown' COLLATE NOCASE,
  sort TEXT COLLATE NOCASE, timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP, series_index REAL NOT NULL DEFAULT 1.0,
  path TEXT NOT NULL DEFAULT '', uuid TEXT, has_cover BOOL DEFAULT 0);
CREATE TABLE books_authors_link (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, author INTEGER NOT NULL, UNIQUE(book, author));
CREATE INDEX books_idx ON books (sort COLLATE NOCASE);
CREATE UNIQUE INDEX books_covered ON books (uuid) WHERE has_cover = 1;
CREATE TRIGGER books_insert_trg AFTER INSERT ON books BEGIN
  UPDATE books SET sort = title_sort(NEW.title), uuid = uuid4() WHERE id = NEW.id;
END;
CREATE TRIGGER books_update_trg AFTER UPDATE OF title ON books BEGIN
  UPDATE books SET sort = title_sort(NEW.title) WHERE id = NEW.id AND OLD.title <> NEW.title;
END;
CREATE TRIGGER books_delete_trg AFTER DELETE ON books BEGIN
  DELETE FROM books_authors_link WHERE book = OLD.id;
END;
CREATE TRIGGER fkc_insert_link BEFORE INSERT ON books_authors_link BEGIN
  SELECT CASE WHEN (SELECT id FROM books WHERE id = NEW.book) IS NULL THEN RAISE(ABORT, 'no such book') END;
END;
CREATE VIRTUAL TABLE books_fts USING fts4(content='books', title);
CREATE TRIGGER books_fts_before_update BEFORE UPDATE ON books BEGIN DELETE FROM books_fts WHERE docid = old.id; END;
CREATE TRIGGER books_fts_before_delete BEFORE DELETE ON books BEGIN DELETE FROM books_fts WHERE docid = old.id; END;
CREATE TRIGGER books_fts_after_update AFTER UPDATE ON books BEGIN
  INSERT INTO books_fts(docid, title) VALUES(new.id, new.title);
END;
CREATE TRIGGER books_fts_after_insert AFTER INSERT ON books BEGIN
  INSERT INTO books_fts(docid, title) VALUES(new.id, new.title);
END;
