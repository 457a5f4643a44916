#!/usr/bin/env python3
"""A catalogue whose triggers call functions of its own program is adopted at a township, used by that program, upgraded by a
rebuild inside schema begin and end, and released; what the county gets is compared row by row."""
import os
import sqlite3
import sys

from lib_adopt import Pair, schema, wait
from lib_tree import Checks

BOOKS = "SELECT group_concat(id || '|' || title || '|' || sort || '|' || uuid, ';') FROM (SELECT * FROM books ORDER BY id)"


def program(node):
    """The application's own connection, with its functions."""
    db = sqlite3.connect(node.file, isolation_level=None, timeout=30)
    n = [0]

    def uuid4():
        n[0] += 1
        return "uuid-%d-%d" % (os.getpid(), n[0] + db.total_changes)

    db.create_function("title_sort", 1, lambda t: ", ".join(reversed(t.split(" ", 1))) if t else t)
    db.create_function("uuid4", 0, uuid4)
    return db


def same(t, what):
    wait(lambda: t.county.value(BOOKS) == t.town.value(BOOKS), what)


def plan(c, t):
    wait(lambda: len(t.town.ask("adopt")["registers"]) == 3, "the policy at the township")
    r = {x["register"]: x for x in t.town.ask("adopt")["registers"]}
    classes = {x["trigger"]: x["class"] for x in r["books"]["triggers"]}
    c.check(classes["books_insert_trg"] == "impossible" and classes["books_update_trg"] == "impossible",
            "triggers that call the program's functions are impossible")
    c.check(classes["books_delete_trg"] == "harmless" and classes["books_fts_after_insert"] == "doubling",
            "one that writes a register is harmless, one that writes an index doubling")
    c.check([x["object"] for x in r["books"]["unseen"]] == ["books_covered"], "the partial unique index is named")
    c.check(r["books"]["only_here"] == 40 and r["books_authors_link"]["only_here"] == 40, "all rows are only here")
    c.check(r["books"].get("problem") is None, "the shape is in order")
    t.town.ctl("adopt", "--keep", "mine", allow=(1,))
    wait(lambda: t.town.ask("adopt")["digest"] == "equal", "the digests", 40)
    t.town.ctl("adopt", "--apply", os.path.join(t.town.home, "adopt.plan"))
    c.check(t.town.ctl("adopt").find("books") < 0 or t.town.ask("adopt")["registers"] == [], "nothing waits any more")


def use(c, t):
    same(t, "the books at the county")
    c.check(any("books_insert_trg" in e and "title_sort" in e for e in t.county.events("cannot run here")),
            "a local trigger that cannot run is left out, with an alarm")
    db = program(t.town)
    db.execute("INSERT INTO books(title) VALUES('The Harvest')")
    db.execute("UPDATE books SET title = 'A Village' WHERE id = 3")
    db.execute("DELETE FROM books WHERE id = 4")
    db.execute("INSERT OR REPLACE INTO authors(id, name) VALUES(2, 'AUTHOR 2')")
    same(t, "what the program wrote, its triggers' work too")
    wait(lambda: t.county.value("SELECT count(*) FROM books_authors_link WHERE book = 4") == 0, "the links of the deleted book")
    c.check(t.county.value("SELECT sort FROM books WHERE id = 3") == "Village, A", "the trigger's word came as a change")
    c.check(t.county.value("SELECT count(*) FROM books_fts WHERE books_fts MATCH 'harvest'") == 1 and
            t.county.value("SELECT count(*) FROM books_fts WHERE title MATCH 'village'") == 1, "the county's full-text index follows")
    db.close()


REBUILD = """PRAGMA foreign_keys=OFF; BEGIN;
ALTER TABLE books DROP COLUMN has_cover;
ALTER TABLE books ADD COLUMN has_cover BOOL DEFAULT 0;
ALTER TABLE books_authors_link RENAME TO old_link;
CREATE TABLE books_authors_link (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, author INTEGER NOT NULL, note TEXT,
  UNIQUE(book, author));
INSERT INTO books_authors_link(id, book, author) SELECT id, book, author FROM old_link;
DROP TABLE old_link;
UPDATE books SET series_index = series_index + 1;
DELETE FROM books_authors_link WHERE book = 5;
COMMIT;"""


def upgrade(c, t):
    t.town.ctl("schema", "begin")
    t.town.ctl("schema", "begin", allow=(4,))
    c.check(t.town.value("SELECT count(*) FROM sqlite_master WHERE type='trigger' AND name LIKE 'terrace%'") == 0,
            "between begin and end no trigger of ours stands")
    db = program(t.town)
    db.execute("DROP INDEX books_covered")
    for statement in REBUILD.split(";\n"):
        if statement.strip():
            db.execute(statement.strip().rstrip(";")) if not statement.startswith("PRAGMA") else db.executescript("BEGIN;")
    db.close()
    t.town.ctl("schema", "end")
    t.town.ctl("schema", "end", allow=(4,))
    wait(lambda: t.county.value("SELECT min(series_index) FROM books") == 2.0, "what the upgrade wrote")
    wait(lambda: t.county.value("SELECT count(*) FROM books_authors_link WHERE book = 5") == 0, "what the upgrade deleted")
    late = t.town.ask("reconcile", "status")["registers"]
    c.check({r["register"]: r["differ"] for r in late}["books"] == t.town.value("SELECT count(*) FROM books"),
            "DROP COLUMN and a rebuild inside schema begin and end: sealed afterwards, as late")
    db = program(t.town)
    db.execute("UPDATE books SET path = '/p' WHERE id = 6")
    db.close()
    wait(lambda: t.county.value("SELECT path FROM books WHERE id = 6") == "/p", "the next write")
    c.check(not t.town.events("triggers were missing"), "and nobody was alarmed")


def replaced(c, t):
    """A copy from before is put in the place of the file while the daemon runs."""
    t.rest()
    copy = t.town.file + ".copy"
    db = program(t.town)
    db.execute("VACUUM INTO ?", (copy,))
    db.execute("UPDATE books SET path = '/later' WHERE id = 7")
    wait(lambda: t.county.value("SELECT path FROM books WHERE id = 7") == "/later", "a write behind the copy")
    t.town.ctl("sync", "--wait", "20")
    db.close()
    for end in ("-wal", "-shm"):
        if os.path.exists(t.town.file + end):
            os.unlink(t.town.file + end)
    os.rename(copy, t.town.file)
    wait(lambda: t.town.events("was replaced"), "the daemon to notice")
    wait(lambda: t.town.value("SELECT path FROM books WHERE id = 7") == "/later", "the heal", 40)
    c.check(True, "the file was replaced by a copy: noticed and healed from the county")
    db = program(t.town)
    db.execute("UPDATE books SET path = '/again' WHERE id = 8")
    db.close()
    wait(lambda: t.county.value("SELECT path FROM books WHERE id = 8") == "/again", "a write in the new file")
    c.check(True, "and goes on")


def main():
    checks = Checks()
    with Pair() as t:
        t.county.application(schema("library"))
        t.begin("library.policy")
        t.town.application(schema("library"), "PRAGMA journal_mode=DELETE")
        db = program(t.town)
        for i in range(1, 41):
            db.execute("INSERT INTO books(title) VALUES(?)", ("Book %d" % i,))
            db.execute("INSERT INTO authors(name) VALUES(?)", ("Author %d" % i,))
            db.execute("INSERT INTO books_authors_link(book, author) VALUES(?, ?)", (i, i))
        db.close()
        before = t.town.dump()
        t.town.enrol()
        plan(checks, t)
        t.town.stop()
        t.town.ctl("release", "--force")
        checks.check(t.town.dump() == before, "adopted and released at once: the dump is the one before")
        t.town.start()
        again(checks, t)
        use(checks, t)
        upgrade(checks, t)
        replaced(checks, t)
    checks.close()


def again(c, t):
    """A released file taken up again is a new disk of the same node: the county's rows are its rows."""
    wait(lambda: t.town.ask("adopt")["digest"] == "equal" and
         {r["register"]: r.get("equal") for r in t.town.ask("adopt")["registers"]}.get("books") == 40, "the county's rows", 60)
    t.town.ctl("adopt", "--keep", "mine", allow=(1,))
    t.town.ctl("adopt", "--apply", os.path.join(t.town.home, "adopt.plan"))
    c.check(t.town.value("SELECT count(*) FROM terrace_conflicts") == 0, "taken up again: all rows are equal, nothing conflicts")


sys.exit(main())
