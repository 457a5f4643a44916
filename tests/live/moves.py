#!/usr/bin/env python3
"""A household moves between villages of two townships, decided by the county, while the old village is off line and goes on
writing: its persons follow (unit = via), what was entered meanwhile too; of all of it nothing stays where it was."""
import os
import shutil
import sqlite3
import sys
import tempfile

from lib_tree import Checks, Node, free_ports, wait

SCHEMA = """CREATE TABLE household(code TEXT NOT NULL PRIMARY KEY, village_code TEXT NOT NULL DEFAULT '', head_name TEXT, phone TEXT);
CREATE TABLE person(id INTEGER NOT NULL PRIMARY KEY, household TEXT NOT NULL DEFAULT '' REFERENCES household(code) ON DELETE CASCADE,
  name TEXT);
CREATE INDEX person_household ON person(household);
"""
POLICY = """policy "families" {
  version = 1
  schema = { "families.sql" }
  register household {
    key = { code }  unit = village_code  ceiling = county
    group row    { create = { county, township, village } delete = { township, village } }
    group family { columns = { head_name, phone } own = { township, village } }
  }
  register person {
    key = { id }  assigned = true  unit = "via household -> household"  ceiling = county
    group row   { create = { county, township, village } delete = { township, village } }
    group basic { columns = { household, name } own = { township, village } }
  }
}
"""
OLD, NEW, HOUSE = "532999101201", "532999102201", "532999101201000001"


class Two:
    """A county, two townships, a village each."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="terrace-live-")
        self.county = Node(self.folder, "county", "532999000000", "county")
        self.towns = [Node(self.folder, "town%d" % i, "53299910%d000" % i, "town%d" % i, self.county) for i in (1, 2)]
        self.old = Node(self.folder, "old", OLD, "old", self.towns[0])
        self.new = Node(self.folder, "new", NEW, "new", self.towns[1])
        self.nodes = [self.county, *self.towns, self.old, self.new]
        for node, port in zip(self.nodes[:3], free_ports(3)):
            node.port = node.relay_port = port

    def __enter__(self):
        try:
            policy = os.path.join(self.folder, "families.policy")
            for name, text in ((policy, POLICY), (os.path.join(self.folder, "families.sql"), SCHEMA)):
                with open(name, "w", encoding="utf-8") as f:
                    f.write(text)
            self.county.init("--root", *self.county.listen_options())
            self.county.start()
            self.county.ctl("policy", "publish", policy)
            for node in self.nodes[1:]:
                node.enrol()
                wait(lambda n=node: n.has("person"), "the tables of %s" % node.label)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for node in self.nodes:
            node.stop()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)


def write(node, *statements):
    db = node.open()
    db.execute("PRAGMA foreign_keys = ON")
    for s in statements:
        db.execute(s)
    db.close()


def people(node):
    return node.value("SELECT group_concat(name, ' ') FROM (SELECT name FROM person ORDER BY id)") or ""


def house(node):
    return node.value("SELECT group_concat(phone || '@' || village_code) FROM household") or ""


def traces(node, words):
    """Words that stand in any cell of the node's database but the signed segments and the records of what it lost."""
    db, found = sqlite3.connect("file:%s?mode=ro" % node.database, uri=True), set()
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('terrace_segment', 'terrace_record')"):
        for row in db.execute("SELECT * FROM \"%s\"" % table):
            for cell in row:
                data = cell.encode() if isinstance(cell, str) else cell if isinstance(cell, bytes) else b""
                found |= {(table, w) for w in words if w.encode() in data}
    db.close()
    return sorted(found)


def whole_village(checks, t, houses):
    """All of a village at once; the node that takes it in is killed on the way and goes on where it was."""
    db = t.old.open()
    db.execute("BEGIN")
    db.executemany("INSERT INTO household VALUES(?, '%s', '户主', '5')" % OLD, (("h%06d" % i,) for i in range(houses)))
    db.executemany("INSERT INTO person VALUES(?, ?, '成员')", ((1000 + i, "h%06d" % (i // 3)) for i in range(3 * houses)))
    db.execute("COMMIT")
    rows = "SELECT (SELECT count(*) FROM household WHERE code LIKE 'h%') + (SELECT count(*) FROM person WHERE id >= 1000)"
    wait(lambda: t.county.value(rows) == 4 * houses, "the village at the county")
    write(t.county, "UPDATE household SET village_code = '%s' WHERE code LIKE 'h%%'" % NEW)
    wait(lambda: t.new.value(rows) > 0, "the first of them in the new village")
    t.new.process.kill()
    t.new.process.wait()
    came = t.new.value(rows)
    t.new.start()
    wait(lambda: t.new.value(rows) == 4 * houses, "all of them in the new village", 60)
    wait(lambda: t.old.value(rows) == 0 and t.towns[0].value(rows) == 0, "the old village and township to let them go", 60)
    checks.check(True, "a village of %d rows moves at once; the new node was killed at %d" % (4 * houses, came))
    checks.check(t.towns[1].value(rows) == t.county.value(rows) == 4 * houses and t.new.value("SELECT count(*) FROM "
                 "pragma_foreign_key_check") == 0, "every level has it whole, no orphan")
    wait(lambda: not traces(t.old, ("户主", "成员")) and not traces(t.towns[0], ("户主", "成员")), "its markers to hold no values", 60)


def main():
    checks = Checks()
    with Two() as t:
        write(t.old, "INSERT INTO household VALUES('%s', '%s', '李桂英', '1')" % (HOUSE, OLD),
              *["INSERT INTO person VALUES(%d, '%s', '%s')" % (i, HOUSE, n) for i, n in enumerate(("李桂英", "王小明", "王小红"), 1)])
        wait(lambda: people(t.county) == "李桂英 王小明 王小红", "the household at the county")
        t.old.stop()
        write(t.old, "INSERT INTO person VALUES(4, '%s', '王新生')" % HOUSE, "UPDATE household SET phone = '2'")
        write(t.county, "UPDATE household SET village_code = '%s'" % NEW)
        wait(lambda: people(t.new) == "李桂英 王小明 王小红" and house(t.new) == "1@" + NEW, "the household in the new village")
        wait(lambda: not house(t.towns[0]) and not people(t.towns[0]), "the old township to let it go")
        checks.check(True, "the persons follow in the same move; the old township holds none of it")
        write(t.new, "UPDATE person SET name = '王晓明' WHERE id = 2")
        wait(lambda: "王晓明" in people(t.county), "the new village's word at the county")
        checks.check(people(t.old) == "李桂英 王小明 王小红 王新生", "the old village, off line, knows nothing yet")
        t.old.start()
        wait(lambda: people(t.new) == "李桂英 王晓明 王小红 王新生", "who was entered meanwhile in the new village")
        wait(lambda: not house(t.old) and not people(t.old), "the old village to let it go")
        checks.check(True, "who was entered meanwhile where it had been follows, and all of it leaves the old village")
        wait(lambda: house(t.new) == "2@" + NEW, "the telephone that was typed off line")
        checks.check(people(t.county) == people(t.towns[1]) == people(t.new) and house(t.county) == house(t.new),
                     "county, township and village hold the same: %s" % people(t.new))
        checks.check(people(t.towns[0]) == "" and house(t.towns[0]) == "", "nothing came back to the old township")
        words = ("李桂英", "王小明", "王小红", "王新生")
        wait(lambda: not traces(t.old, words) and not traces(t.towns[0], words), "the markers to hold no values")
        checks.check(True, "what stays there are markers without personal data")
        for node in (t.old, t.towns[0], t.new):
            broken = node.value("SELECT count(*) FROM pragma_foreign_key_check")
            waiting = len(node.ask("quarantine", "list"))
            checks.check(broken == 0 and waiting == 0, "%s: no orphan, nothing in quarantine" % node.label)
        write(t.new, "UPDATE household SET village_code = '533001101201'")
        wait(lambda: house(t.new) == "2@" + NEW, "the unit to be put back")
        said = [r for r in t.new.ask("returns", "list") if r["register"] == "household" and "不出" in r["reason"]]
        checks.check(len(said) == 1 and house(t.county) == "2@" + NEW, "a move beyond the ceiling goes back with a return")
        whole_village(checks, t, int(os.environ.get("HOUSES", "2500")))
    checks.close()


if __name__ == "__main__":
    sys.exit(main())
