#!/usr/bin/env python3
"""A vault with foreign keys is adopted at a township while the county has no such tables yet (schema hold), with 4,000 rows
sealed in slices across a kill, review of what differs, values of every kind, a new version of the application, release."""
import os
import signal
import subprocess
import sys

from lib_adopt import TOWN, Pair, schema, wait
from lib_tree import Checks

TABLES = ("users", "ciphers", "folders", "folders_ciphers")
ROWS, MORE = 400, 2200
ODD = """INSERT INTO ciphers(uuid, name, notes, weight, data, unit_code) VALUES
  ('odd-1', CAST(x'ff41fe' AS TEXT), 'a' || char(0) || 'b', -0.0, x'00ff', '{0}'),
  ('odd-2', '𠮷野家', '', 1e300, x'', '{0}'), ('odd-3', 12, 0.5, 'text', NULL, '{0}');""".format(TOWN)


def fill(node):
    s = ["BEGIN"]
    for i in range(ROWS):
        s.append("INSERT INTO users(uuid, name, unit_code) VALUES('u%d', '用户%d', '%s')" % (i, i, TOWN))
        s.append("INSERT INTO ciphers(uuid, user_uuid, name, unit_code) VALUES('c%d', 'u%d', 'n%d', '%s')" % (i, i, i, TOWN))
        s.append("INSERT INTO folders VALUES('f%d', 'u%d', 'f', '%s')" % (i, i, TOWN))
        s.append("INSERT INTO folders_ciphers VALUES('c%d', 'f%d', '%s')" % (i, i, TOWN))
    for i in range(ROWS, ROWS + MORE):
        s.append("INSERT INTO ciphers(uuid, name, unit_code) VALUES('c%d', 'n', '%s')" % (i, TOWN))
    node.application(";\n".join(s) + ";\nCOMMIT;" + ODD)


def content(node):
    """Every table as bytes, classes of storage with them, in the order of its keys; the link table's rowid is each file's own."""
    db = node.open()
    db.text_factory = bytes
    rows = []
    for table in TABLES:
        columns = [c[1].decode() for c in db.execute("PRAGMA table_info(%s)" % table)]
        columns = sorted(columns)
        rows.append(sorted(db.execute("SELECT %s, %s FROM %s" % (
            ", ".join(columns), ", ".join("typeof(%s)" % c for c in columns), table)), key=repr))
    db.close()
    return rows


def adopt(c, t):
    wait(lambda: len(t.town.ask("adopt")["registers"]) == 4 and t.town.ask("adopt")["digest"] == "equal", "the policy", 40)
    before = t.town.dump()
    t.town.ctl("adopt", "--keep", "mine", allow=(1,))
    c.check(t.town.dump() == before, "a plan changes nothing")
    t.town.ctl("adopt", "--apply", os.path.join(t.town.home, "adopt.plan"), "--wait", "0", allow=(0, 1))
    os.kill(t.town.process.pid, signal.SIGKILL)
    t.town.process.wait()
    t.town.start()
    wait(lambda: t.town.ask("adopt")["registers"] == [], "the adoption, taken up again", 60)
    c.check(t.town.value("SELECT count(*) FROM terrace_issue") + t.town.value("SELECT count(*) FROM terrace_quarantine") == 0,
            "adopted across a kill, nothing waits")


def hold(c, t):
    wait(lambda: t.county.value("SELECT count(*) FROM terrace_quarantine") == 4 * ROWS + MORE + 3, "the rows at the county, waiting", 60)
    issues = [i for i in t.county.ask("issues", "list") if i["kind"] == "schema-hold"]
    c.check(len(issues) == 4, "the county has no such tables: schema hold, and an issue says so")
    c.check(t.county.value("SELECT count(*) FROM sqlite_master WHERE name IN ('users', 'ciphers')") == 0, "nothing was made there")
    old = schema("vault").replace("notes TEXT,", "")
    t.county.script(old)
    wait(lambda: t.county.value("SELECT count(*) FROM users") == ROWS, "the tables that are whole", 40)
    issues = [i["register"] for i in t.county.ask("issues", "list") if i["kind"] == "schema-hold"]
    c.check(issues == ["ciphers"], "one table lacks a column: only that register is held")
    t.county.script("ALTER TABLE ciphers ADD COLUMN notes TEXT")
    wait(lambda: t.county.value("SELECT count(*) FROM ciphers") == ROWS + MORE + 3, "the rows when the column is there", 40)
    wait(lambda: t.county.value("SELECT count(*) FROM terrace_quarantine") == 0, "an empty quarantine", 40)
    c.check([i for i in t.county.ask("issues", "list") if i["kind"] == "schema-hold"] == [], "the hold has ended by itself")
    c.check(content(t.county) == content(t.town), "all rows and values are the same, bad text, NUL and -0 included")
    c.check(t.county.value("SELECT count(*) FROM pragma_foreign_key_check") == 0, "no row is without its parent")
    doctor = t.town.ask("doctor")
    c.check(any("1 values are not UTF-8, 1 hold a NUL" in d["text"] for d in doctor), "doctor counts them")


def use(c, t):
    db = t.town.open()
    db.execute("PRAGMA foreign_keys=ON")
    db.execute("DELETE FROM folders WHERE uuid = 'f7'")
    db.execute("UPDATE ciphers SET user_uuid = 'u1' WHERE uuid = 'c9'")
    db.execute("ALTER TABLE ciphers RENAME COLUMN atype TO kind")
    db.execute("ALTER TABLE ciphers RENAME COLUMN kind TO atype")
    db.execute("ALTER TABLE folders RENAME TO f2")
    db.execute("ALTER TABLE f2 RENAME TO folders")
    db.execute("UPDATE folders SET name = 'renamed' WHERE uuid = 'f8'")
    wait(lambda: t.county.value("SELECT count(*) FROM folders_ciphers WHERE folder_uuid = 'f7'") == 0, "the cascade")
    wait(lambda: t.county.value("SELECT name FROM folders WHERE uuid = 'f8'") == "renamed", "a write behind renames")
    c.check(t.county.value("SELECT user_uuid FROM ciphers WHERE uuid = 'c9'") == "u1", "plain SQL, a cascade and renames")
    db.close()


def release(c, t):
    t.rest()
    version = t.town.value("PRAGMA user_version"), t.town.value("PRAGMA encoding"), t.town.value("PRAGMA journal_mode")
    t.town.stop()
    t.town.ctl("release")
    c.check("terrace" not in t.town.dump().lower() and t.town.value("PRAGMA integrity_check") == "ok", "released")
    c.check((t.town.value("PRAGMA user_version"), t.town.value("PRAGMA encoding"), t.town.value("PRAGMA journal_mode")) == version ==
            (7, "UTF-8", "wal"), "user_version, encoding and journal mode are the application's still")


def access(c, t):
    """A database in a folder that the user of the daemon cannot write: two commands that let it."""
    folder, above = os.path.join(t.folder, "closed's"), os.path.join(t.folder, "above")
    os.mkdir(folder)
    os.mkdir(above)
    open(os.path.join(folder, "a.db"), "w").close()
    os.chmod(folder, 0o555)
    line = [os.path.join(os.path.abspath(os.environ.get("BUILD", "build")), "terracectl"), "--home", os.path.join(above, "home"), "init",
            "--unit", TOWN, "--name", "x", "--database", os.path.join(folder, "a.db")]
    if os.geteuid() == 0:
        os.chmod(t.folder, 0o755)
        os.chown(above, 65534, 65534)
        line = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + line
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "LANG": "C"})
    out = done.stdout.decode()
    c.check(done.returncode == 0 and "cannot make journal files in " + folder in out and
            "chmod g+rwxs '%s'" % folder.replace("'", "'\\''") in out, "init says what keeps the daemon from the database, and what to do")


def main():
    checks = Checks()
    with Pair() as t:
        t.county.application("CREATE TABLE other(a)")
        t.begin("vault.policy")
        t.town.application("PRAGMA user_version=7;" + schema("vault"))
        fill(t.town)
        t.town.enrol()
        adopt(checks, t)
        hold(checks, t)
        use(checks, t)
        release(checks, t)
        access(checks, t)
    checks.close()


sys.exit(main())
