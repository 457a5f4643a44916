#!/usr/bin/env python3
"""Rows that cannot travel: a unit that is NULL, malformed, out of scope or not in the list, and values of 20 MB.  They stay
where they were typed and are named there; everything else travels; mended, they travel too."""
import os
import sys

from lib_tree import Checks, Tree, wait

POLICY = """policy "notes" {
  version = 1
  schema = { "notes.sql" }
  register note {
    key = { id }  unit = place  ceiling = county
    group row  { create = { township, village } delete = { township, village } }
    group body { columns = { text, scan } own = { township, village } }
  }
}
"""
GOOD = "532999101202"
BAD = {"null": None, "letters": "53299910120x", "eleven": "53299910120", "thirteen": "5329991012021", "empty": "",
       "number": 532999101202.5, "wrong-township": "532999102201", "wrong-county": "533001101201", "gap": "532999000201",
       "spaces": " 32999101201", "not-in-list": "532999101299"}


def put(node, key, place, text="x", scan=None):
    node.open().execute("INSERT INTO note VALUES(?, ?, ?, ?)", (key, place, text, scan))


def notes(node):
    return node.value("SELECT group_concat(id, ' ') FROM (SELECT id FROM note ORDER BY id)") or ""


def issues(node, kind):
    return {i["key"]: i for i in node.ask("issues", "list") if i["kind"] == kind}


def units(checks, t):
    town, county = t.township, t.county
    for name, place in BAD.items():
        put(town, name, place)
    put(town, "good", GOOD)
    wait(lambda: notes(county) == "good", "the good row at the county")
    town.ctl("sync", "--wait", "5", allow=(0, 1))
    said = issues(town, "bad-unit")
    checks.check(set(said) == set(BAD), "every bad unit is an issue: %s" % sorted(said))
    for name in BAD:
        i = said.get(name, {})
        checks.check(i.get("register") == "note" and len(i.get("text", "")) > 30, "%s: %s" % (name, i.get("text")))
    checks.check(notes(county) == "good" and len(notes(town).split()) == len(BAD) + 1, "they stay here, and only here")
    status = town.ask("status")
    checks.check(status["log_pending"] == 0 and status["upstream"]["pending_segments"] == 0, "nothing waits behind them")
    db = town.open()
    db.execute("UPDATE note SET place = ? WHERE id IN ('letters', 'null')", (GOOD,))
    db.execute("DELETE FROM note WHERE id = 'eleven'")
    wait(lambda: notes(county) == "good letters null", "mended rows at the county")
    wait(lambda: set(issues(town, "bad-unit")) == set(BAD) - {"letters", "null", "eleven"}, "their issues to close")
    checks.check(True, "mended rows travel, and their issues close")
    db.execute("UPDATE note SET place = '53299910220x', text = 'moved' WHERE id = 'good'")
    db.execute("UPDATE note SET text = 'after' WHERE id = 'letters'")
    wait(lambda: county.value("SELECT text FROM note WHERE id = 'letters'") == "after", "the next change at the county")
    wait(lambda: "good" in issues(town, "bad-unit"), "the issue of an update to a bad unit")
    row = county.open().execute("SELECT place FROM note WHERE id = 'good'").fetchone()
    checks.check(row == (GOOD,), "an update to a bad unit does not travel: %s" % (row,))
    db.execute("UPDATE note SET place = ? WHERE id = 'good'", (GOOD,))
    wait(lambda: county.value("SELECT text FROM note WHERE id = 'good'") == "moved", "the mended update")
    checks.check(True, "mended, the update travels")


def large(checks, t):
    town, county = t.township, t.county
    put(town, "scan", GOOD, "x", bytes(20 << 20))
    put(town, "zz", GOOD)
    wait(lambda: "zz" in notes(county), "the row behind the large one")
    waiting = town.ask("quarantine", "list")
    checks.check(any("scan" in str(q) for q in waiting) and "scan" not in notes(county), "20 MB are kept aside: %s" % waiting)
    said = [e["text"] for e in town.ask("log", "--kind", "alarm") if "too-large" in e["text"]]
    checks.check(len(said) == 1 and "note" in said[0], "alarm: %s" % said)
    checks.check(town.value("SELECT length(scan) FROM note WHERE id = 'scan'") == 20 << 20, "and they stay here")
    town.open().execute("UPDATE note SET scan = x'01' WHERE id = 'scan'")
    wait(lambda: "scan" in notes(county), "the smaller value")
    wait(lambda: town.ask("quarantine", "list") == [], "nothing to be kept aside any more")
    checks.check(True, "a smaller value frees the row")
    put(town, "again", GOOD, "x", bytes(20 << 20))
    wait(lambda: town.ask("quarantine", "list") != [], "the second to be kept aside")
    town.open().execute("DELETE FROM note WHERE id = 'again'")
    wait(lambda: town.ask("quarantine", "list") == [], "a delete to free it")
    checks.check(True, "a delete frees it")


def main():
    checks = Checks()
    with Tree(publish=False) as t:
        with open(os.path.join(t.folder, "notes.sql"), "w", encoding="utf-8") as f:
            f.write("CREATE TABLE note(id TEXT NOT NULL PRIMARY KEY, place TEXT, text TEXT, scan BLOB);\n")
        with open(os.path.join(t.folder, "notes.policy"), "w", encoding="utf-8") as f:
            f.write(POLICY)
        with open(os.path.join(t.folder, "units.csv"), "w", encoding="utf-8") as f:
            f.write("532999000000,a\n532999101000,b\n532999101201,c\n532999101202,d\n532999102000,e\n532999102201,f\n")
        t.county.ctl("units", "import", os.path.join(t.folder, "units.csv"))
        t.county.ctl("policy", "publish", os.path.join(t.folder, "notes.policy"))
        wait(lambda: t.township.has("note") and len(t.township.ask("units", "list")) >= 6, "policy and units at the township")
        units(checks, t)
        large(checks, t)
    checks.close()


sys.exit(main())
