#!/usr/bin/env python3
"""One byte is flipped behind the daemon's back, with triggers switched off, at the village, the township and the county in
turn: the audit finds it, the plan names exactly that row, a stale plan is refused, applying mends it, digests are equal."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib_tree import Checks, Tree, wait          # noqa: E402

KEYS = ["53299910120100%04d" % i for i in range(40)]
NAMES = {"village": "532999101201", "township": "532999101000", "county": "532999000000"}


def quietly(node, *statements):
    """As a program that switches triggers off; Python's module cannot."""
    subprocess.run(["sqlite3", "-cmd", ".timeout 10000", "-cmd", ".dbconfig enable_trigger off", node.database, ";".join(statements)],
                   check=True, stdout=subprocess.DEVNULL)


def plan(node, path, *options):
    node.ctl("reconcile", "--plan", path, *options, allow=(0, 1))
    with open(path) as f:
        return json.load(f)


def equal(t):
    """Every link was compared since, and is equal."""
    for node in t.nodes[1:]:
        node.ctl("sync", "--wait", "10", allow=(0, 1))

    def said():
        return all(c["digest"] == "equal" for node in t.nodes[:2] for c in node.ask("status")["children"])
    wait(said, "equal digests", 20)


def flips(t, c):
    for node in t.nodes:
        label, key = node.label, KEYS[t.nodes.index(node)]
        path = os.path.join(t.folder, label + ".plan")
        before = node.value("SELECT head_name FROM household WHERE code=?", key)
        quietly(node, "UPDATE household SET head_name = substr(head_name, 1, 1) || 'X' WHERE code='%s'" % key)
        found = plan(node, path)
        c.check([(r["register"], r["key"], r["kind"]) for r in found["rows"]] == [("household", key, "changed")],
                "%s: the plan names exactly that row" % label)
        c.check(found["rows"][0]["groups"] and len(found["hash"]) == 64, "%s: with its values, and its hash" % label)
        c.check(node.value("SELECT head_name FROM household WHERE code=?", key) != before, "%s: making it changes nothing" % label)
        log = node.ask("log", "--kind", "alarm")
        c.check(any("not what the record says" in e["text"] for e in log), "%s: it is an alarm" % label)
        if label == "village":
            quietly(node, "UPDATE household SET head_name = 'Y' WHERE code='%s'" % key)
            node.ctl("reconcile", "--apply", path, allow=(4,))
            c.check(node.value("SELECT head_name FROM household WHERE code=?", key) == "Y", "a plan that is stale is refused")
            found = plan(node, path)
        with open(path + ".false", "w") as f:
            json.dump(dict(found, rows=found["rows"] + found["rows"]), f)
        node.ctl("reconcile", "--apply", path + ".false", allow=(5,))
        node.ctl("reconcile", "--apply", path)
        c.check(node.value("SELECT head_name FROM household WHERE code=?", key) == before, "%s: applying mends it" % label)
        c.check(plan(node, path)["rows"] == [], "%s: nothing is left to do" % label)
    equal(t)
    c.check(True, "digests are equal everywhere")


def taken_and_added(t, c):
    """A row deleted and a row inserted without a trigger; kept rows are reported."""
    town, path = t.township, os.path.join(t.folder, "more.plan")
    quietly(town, "DELETE FROM household WHERE code='%s'" % KEYS[10],
            "INSERT INTO household(code, village_code, head_name, population, category, phone) "
            "VALUES('999', '532999101201', '无', 1, '一般户', '1')")
    found = plan(town, path)
    c.check(sorted((r["key"], r["kind"]) for r in found["rows"]) == [(KEYS[10], "missing"), ("999", "not-entered")],
            "a row that is missing and one that nobody entered")
    town.ctl("reconcile", "--apply", path)
    c.check(town.value("SELECT count(*) FROM household WHERE code='%s'" % KEYS[10]) == 1 and
            town.value("SELECT count(*) FROM household WHERE code='999'") == 0, "the one is back, the other is gone")
    quietly(town, "UPDATE household SET phone='139' WHERE code='%s'" % KEYS[11])
    plan(town, path)
    town.ctl("reconcile", "--apply", path, "--keep-local")
    wait(lambda: t.county.value("SELECT phone FROM household WHERE code='%s'" % KEYS[11]) == "139", "the kept value at the county")
    c.check(True, "--keep-local reports the table's value")
    equal(t)


def lost(t, c):
    """A row is lost from a file while its daemon is down: found at the next contact, and it heals alone."""
    town, key = t.township, KEYS[20]
    town.stop()
    number = town.value("SELECT number FROM terrace_register WHERE name='household'")
    quietly(town, "DELETE FROM household WHERE code='%s'" % key, "DELETE FROM terrace_s%d WHERE key='%s'" % (number, key),
            "UPDATE terrace_digest SET rows = rows - 1 WHERE register=%d" % number)
    town.start()

    def back():
        t.village.ctl("sync", allow=(0, 1))
        return town.value("SELECT count(*) FROM household WHERE code=?", key) == 1
    wait(back, "the lost row", 20)
    c.check(any("digests differ at rest: register household" in e["text"] for e in town.ask("log", "--kind", "alarm")),
            "a lost row is an alarm that names the register")
    equal(t)
    c.check(True, "it comes back, and digests are equal")


def main():
    c = Checks()
    with Tree() as t:
        db = t.village.open()
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO household(code, village_code, head_name, population, category, phone) VALUES(?, '532999101201', "
                       "?, 3, '一般户', ?)", [(k, "李桂英", str(13800000000 + i)) for i, k in enumerate(KEYS)])
        db.execute("COMMIT")
        db.close()
        wait(lambda: t.county.value("SELECT count(*) FROM household") == len(KEYS), "the rows at the county")
        equal(t)
        c.check(plan(t.township, os.path.join(t.folder, "none"))["rows"] == [], "nothing differs at first")
        flips(t, c)
        taken_and_added(t, c)
        lost(t, c)
        t.county.ctl("reconcile", "--with", "532999101201", allow=(4,))
        t.county.ctl("reconcile", "--register", "none", allow=(4,))
        t.county.ctl("reconcile", "--apply", "/nowhere", allow=(4, 5))
    c.close()


main()
