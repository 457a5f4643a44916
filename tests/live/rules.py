#!/usr/bin/env python3
"""Rules, locks, on_conflict and identity with real daemons: the county refuses and the village reads why; a posted row is
locked; the greater of two sums stands; one person in two villages is an issue that tells no more than the other's unit."""
import os
import subprocess
import sys

from lib_tree import Checks, Tree, wait
from node import TERRACECTL                            # noqa: E402

POLICY = """policy "aid" {
  version = %d
  schema = { "aid.sql" }
  parameter floor { unit = "CNY/month"  from "2026-01-01" { value = "355" }  from "2027-01-01" { value = "370" } }
  codes kinds { code "01" { name = "A" } code "02" { name = "B" } }
  register aid {
    key = { id }  unit = place  ceiling = county
    group row    { create = { village, township } delete = { village, township } }
    group person { columns = { name, number } own = { village, township } }
    group money  { columns = { amount, on_day } own = { village, township, county }
                   lock = "state = '公示'" lock_say = "公示期间不得修改 / posted: no change" on_conflict = "max amount" }
    group case   { columns = { state, kind } own = { township } }
    rule floor { check = "%s" at = { county } say = "低于补差下限 / below the floor" }
    rule kind  { check = "kind IS NULL OR kind IN (SELECT code FROM kinds)" severity = warn at = { county } say = "类别 / kind" }
    identity = { number }
  }
}
"""
CHECK = "amount IS NULL OR amount >= param('floor', on_day)"
TABLE = """CREATE TABLE aid(id TEXT NOT NULL PRIMARY KEY, place TEXT, name TEXT, number TEXT, amount INTEGER, on_day TEXT,
  state TEXT, kind TEXT);"""
HERE, OTHER = "532999101201", "532999101202"


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def amount(node, key):
    return node.value("SELECT max(amount) FROM aid WHERE id = '%s'" % key)


def everywhere(t, key, value):
    return all(amount(n, key) == value for n in t.nodes)


def returned(node, key):
    return [r["reason"] for r in node.ask("returns", "list") if r["key"] == key]


def refuses(checks, t):
    village = t.village
    village.open().execute("UPDATE aid SET amount = 300 WHERE id = 'a'")
    wait(lambda: returned(village, "a") and everywhere(t, "a", 400), "the return of 300")
    said = returned(village, "a")[0]
    checks.check("低于补差下限 / below the floor [floor = 355 CNY/month (2026-01-01)]" in said, "the village reads why: %s" % said)
    village.open().execute("UPDATE aid SET amount = 356 WHERE id = 'a'")
    wait(lambda: everywhere(t, "a", 356), "the corrected value")
    checks.check(True, "the corrected value stands everywhere")
    t.county.open().execute("UPDATE aid SET amount = 1 WHERE id = 'a'")
    wait(lambda: returned(t.county, "a"), "the county's own return")
    checks.check(everywhere(t, "a", 356), "what the county itself may not write is put back there")


def warns(checks, t):
    t.township.open().execute("UPDATE aid SET kind = '09' WHERE id = 'a'")
    wait(lambda: [i for i in t.county.ask("issues", "list") if i["kind"] == "warn"], "the warning")
    said = [i["text"] for i in t.county.ask("issues", "list") if i["kind"] == "warn"]
    checks.check(said == ["kind: 类别 / kind"] and t.county.value("SELECT kind FROM aid WHERE id = 'a'") == "09", "warned and taken: %s" % said)
    t.township.open().execute("UPDATE aid SET kind = '02' WHERE id = 'a'")
    wait(lambda: not [i for i in t.county.ask("issues", "list") if i["kind"] == "warn"], "the warning to end")
    checks.check(True, "mended, the issue is solved")


def locks(checks, t):
    t.township.open().execute("UPDATE aid SET state = '公示' WHERE id = 'a'")
    wait(lambda: t.village.value("SELECT state FROM aid WHERE id = 'a'") == "公示", "the posting at the village")
    t.village.open().execute("UPDATE aid SET amount = 500 WHERE id = 'a'")
    wait(lambda: any("posted: no change" in r for r in returned(t.village, "a")), "the lock's return")
    wait(lambda: everywhere(t, "a", 356), "what stood")
    checks.check(True, "posted: the village's change comes back with the lock's sentence")
    t.township.open().execute("UPDATE aid SET state = '已确认' WHERE id = 'a'")
    wait(lambda: t.village.value("SELECT state FROM aid WHERE id = 'a'") == "已确认", "the confirmation at the village")
    t.village.open().execute("UPDATE aid SET amount = 510 WHERE id = 'a'")
    wait(lambda: everywhere(t, "a", 510), "the change after it")
    checks.check(True, "unlocked by the state, it goes through")


def greater(checks, t):
    t.township.stop()                                # so that neither sees the other's
    t.village.open().execute("UPDATE aid SET amount = 700 WHERE id = 'a'")
    t.county.open().execute("UPDATE aid SET amount = 600 WHERE id = 'a'")
    t.township.start()
    wait(lambda: everywhere(t, "a", 700), "the greater sum")
    wait(lambda: not t.county.ask("conflicts", "list"), "the conflict to end")
    checks.check(True, "of 700 and 600 the greater stands everywhere, and the conflict is closed")
    t.village.open().execute("UPDATE aid SET amount = 650 WHERE id = 'a'")
    wait(lambda: everywhere(t, "a", 650), "the informed edit")
    checks.check(True, "a later edit in sight of it stands, though smaller")


def found(node):
    return {i["key"]: i["text"] for i in node.ask("issues", "list") if i["kind"] == "duplicate-identity"}


def twice(checks, t):
    t.township.open().execute("INSERT INTO aid(id, place, name, number) VALUES('b', '%s', '李四', '5329X')" % OTHER)
    wait(lambda: len(found(t.township)) == 2, "the issue")
    said = found(t.township)
    checks.check(OTHER in said["a"] and HERE in said["b"] and "aid" in said["a"], "each names the other's unit: %s" % said["a"])
    checks.check(not any(x in s for s in said.values() for x in ("5329X", "李四", "张三")), "and no more")
    wait(lambda: t.county.value("SELECT count(*) FROM aid") == 2, "the row at the county")
    checks.check(not found(t.village) and not found(t.county), "at the node in whose scope both lie, and at no other")
    t.township.open().execute("UPDATE aid SET number = '5329Y' WHERE id = 'b'")
    wait(lambda: not found(t.township), "the issues to end")
    checks.check(True, "corrected, both issues are solved")


def bad_policy(checks, t):
    for check, words in (("readfile('/etc/passwd') IS NULL", "readfile"), ("date('now') > on_day", "asks the clock"),
                         ("amount > missing", "no such column")):
        path = write(t.folder, "bad.policy", POLICY % (9, check))
        done = subprocess.run([TERRACECTL, "--home", t.county.home, "policy", "publish", path], stderr=subprocess.PIPE)
        text = done.stderr.decode()
        checks.check(done.returncode == 4 and "bad.policy:13" in text and words in text, "refused with its line: %s" % text.strip()[:120])


def main():
    checks = Checks()
    with Tree(publish=False) as t:
        write(t.folder, "aid.sql", TABLE)
        bad_policy(checks, t)
        t.county.ctl("policy", "publish", write(t.folder, "aid.policy", POLICY % (1, CHECK)))
        wait(lambda: t.village.has("aid"), "the policy at the village")
        t.village.open().execute("INSERT INTO aid VALUES('a', '%s', '张三', '5329X', 400, '2026-05-01', NULL, NULL)" % HERE)
        wait(lambda: everywhere(t, "a", 400), "the first row")
        for part in (refuses, warns, locks, greater, twice):
            part(checks, t)
    checks.close()


if __name__ == "__main__":
    sys.exit(main())
