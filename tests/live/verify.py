#!/usr/bin/env python3
"""One bit changed in each kind of table, behind the daemon's back: verify --deep says which segment, row or trigger it was,
with exit status 5, without a daemon, and changes nothing; a whole file is found whole, also while its daemon runs."""
import hashlib
import shutil
import sys
import time

from lib_tree import Checks, Tree, wait

ROW = "532999101201000007"

# check, what its object must hold, table, column, which rows
COUNTY = [
    ("row", "household " + ROW, "household", "poverty_cause", "code = '%s'" % ROW),
    ("row", "household " + ROW, "STATE", "term", "key = '%s'" % ROW),
    ("row", "household " + ROW, "STATE", "unit", "key = '%s'" % ROW),
    ("row", "household " + ROW, "terrace_version", "body", "id = (SELECT max(id) FROM terrace_version)"),
    ("digest", "household", "terrace_digest", "sum", "rows > 0"),
    ("segment", "segment ", "terrace_segment", "bytes", "id = (SELECT max(id) FROM terrace_segment WHERE kind = 1)"),
    ("segment", "segment ", "terrace_segment", "hash", "id = (SELECT max(id) FROM terrace_segment WHERE kind = 1)"),
    ("segment", "segment ", "terrace_segment", "tick", "id = (SELECT max(id) FROM terrace_segment WHERE kind = 1)"),
    ("stream", "532999101201", "terrace_stream", "hash", "author = 532999101201 AND stream < 256"),
    ("receipt", "receipt ", "terrace_receipt", "body", "length(body) > 0"),
    ("policy", "532999000000", "terrace_policy", "canonical", "1"),
    ("policy", "list ", "terrace_policy_list", "body", "1"),
    ("certificate", "532999101000", "terrace_peer", "chain", "unit = 532999101000"),
    ("certificate", "532999101000", "terrace_peer", "sign_key", "unit = 532999101000"),
]
VILLAGE = [
    ("outbox", "entry 1", "terrace_outbox", "head", "seq = 1"),
    ("receipt", "receipt ", "terrace_receipt", "body", "length(body) > 0"),
    ("row", "household " + ROW, "household", "phone", "code = '%s'" % ROW),
]


def change(node, table, column, where):
    """Another value of the same class, and nothing in the log that says so."""
    db = node.open()
    if table == "STATE":
        table = "terrace_s%d" % db.execute("SELECT number FROM terrace_register WHERE name = 'household'").fetchone()[0]
    key, value, kind = db.execute("SELECT %s, %s, typeof(%s) FROM %s WHERE %s" %
                                  ("code" if table == "household" else "rowid" if table in ("terrace_version", "terrace_segment", "terrace_receipt",
                                                                                            "terrace_peer", "terrace_outbox") else "1",
                                   column, column, table, where)).fetchone()
    if kind == "blob":
        value = bytearray(value)
        value[len(value) // 2] ^= 1
        value = bytes(value)
    elif kind == "integer":
        value ^= 1
    elif kind == "null":
        value = "x"
    else:
        middle = len(value) // 2
        value = value[:middle] + chr(ord(value[middle]) ^ 1) + value[middle + 1:]
    last = db.execute("SELECT coalesce(max(seq), 0) FROM terrace_log").fetchone()[0]
    one = " AND rowid = %d" % key if table in ("terrace_receipt", "terrace_peer") else ""
    changed = db.execute("UPDATE %s SET %s = ? WHERE %s%s" % (table, column, where, one), (value,)).rowcount
    db.execute("DELETE FROM terrace_log WHERE seq > ?", (last,))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return changed


def content(node):
    with open(node.database, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def one(checks, node, check, what, change_it, name):
    kept = node.database + ".whole"
    shutil.copy(node.database, kept)
    if not change_it():
        checks.check(False, "%s: nothing to change" % name)
        return
    before = content(node)
    report = node.ask("verify", "--deep", allow=(5,))
    found = [f for f in report["findings"] if f["check"] == check and what in (f["object"] or "")]
    checks.check(found and content(node) == before, "%s: %s" % (name, found[0]["object"] if found else report))
    shutil.move(kept, node.database)


def all_of(checks, node, cases):
    for check, what, table, column, where in cases:
        one(checks, node, check, what, lambda: change(node, table, column, where), "%s %s.%s" % (node.label, table, column))


def sql(node, text):
    db = node.open()
    db.execute(text)
    db.close()
    return True


def damage(node):
    """The page of the table that holds the row: not a page any more."""
    with open(node.database, "r+b") as f:
        whole = f.read()
        size = int.from_bytes(whole[16:18], "big") or 65536
        for page in range(1, len(whole) // size):
            if whole[page * size] == 13 and whole.count("户主".encode(), page * size, (page + 1) * size) > 3:
                f.seek(page * size)
                f.write(b"\xee" * 100)
                return True
    return False


def damaged_page(checks, t):
    """A relay whose table is damaged says so and takes no more; neighbours keep what they have; a backup mends it."""
    backup = t.folder + "/township.backup"
    t.township.ctl("backup", backup)
    checks.check(damage(t.township), "a page of the township's table is overwritten")
    for node in t.nodes:
        node.start()
    sql(t.village, "UPDATE household SET phone = '13911111111' WHERE code = '%s'" % ROW)
    sql(t.county, "UPDATE household SET poverty_cause = '因学' WHERE code = '%s'" % ROW)
    def said():
        time.sleep(.3)
        for node in (t.village, t.township):
            node.ctl("sync", allow=(0, 4, 5))
        with open(t.township.log, encoding="utf-8") as f:
            return "is damaged" in f.read()
    wait(said, "the township says that its file is damaged")
    checks.check(t.township.process.poll() is None, "the daemon says so and runs on")
    rows = [node.value("SELECT count(*) FROM household") for node in (t.county, t.village)]
    phone = t.county.value("SELECT phone FROM household WHERE code = '%s'" % ROW)
    checks.check(rows == [30, 30] and phone != "13911111111", "nothing of it reaches anybody: %s, %s" % (rows, phone))
    t.township.stop()
    t.township.ctl("verify", allow=(5,))
    t.township.ctl("restore", backup, "--yes")
    t.township.start()

    def mended():
        for node in (t.village, t.township):
            node.ctl("sync")
        return (t.county.value("SELECT phone FROM household WHERE code = '%s'" % ROW) == "13911111111" and
                t.village.value("SELECT poverty_cause FROM household WHERE code = '%s'" % ROW) == "因学")
    wait(mended, "the restored township carries both")
    checks.check(True, "its backup mends it; both changes pass")


def main():
    checks = Checks()
    with Tree() as t:
        for n in range(1, 31):
            sql(t.village, "INSERT INTO household(code, village_code, head_name, phone) VALUES('532999101201%06d', '532999101201', '户主', "
                "'1380000%04d')" % (n, n))
        wait(lambda: t.county.value("SELECT count(*) FROM household") == 30, "the households")
        sql(t.county, "UPDATE household SET poverty_cause = '因病' WHERE code = '%s'" % ROW)
        wait(lambda: t.village.value("SELECT count(*) FROM household WHERE poverty_cause = '因病'") == 1, "the county's word")
        for node in t.nodes:
            node.ctl("sync", "--wait", "10", allow=(0, 1))
        wait(lambda: all(node.ask("verify", "--deep", allow=(0, 5))["found"] == 0 for node in t.nodes), "running nodes to be whole")
        checks.check(True, "running nodes are whole")
        for node in t.nodes:
            node.stop()
        for node in t.nodes:
            report = node.ask("verify", "--deep", allow=(0, 5))
            checks.check(not report["findings"], "%s is whole: %s" % (node.label, report))
            sql(node, "PRAGMA wal_checkpoint(TRUNCATE)")
        all_of(checks, t.county, COUNTY)
        all_of(checks, t.village, VILLAGE)
        trigger = t.county.value("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'household' LIMIT 1")
        one(checks, t.county, "triggers", trigger, lambda: sql(t.county, 'DROP TRIGGER "%s"' % trigger), "a trigger is dropped")
        one(checks, t.county, "row", ROW, lambda: sql(t.county, "DELETE FROM terrace_version WHERE id = (SELECT version FROM terrace_s%d "
            "WHERE key = '%s')" % (t.county.value("SELECT number FROM terrace_register WHERE name = 'household'"), ROW)),
            "a version set is missing")
        damaged_page(checks, t)
    checks.close()


sys.exit(main())
