#!/usr/bin/env python3
# limit: 180
"""No clock decides: the same story of writes, conflicts and refusals in three trees: one with right clocks; one whose county
stands in 1970, its township in 2099, and its village's clock jumps by decades; one whose county's clock jumps by hours (an
invitation is good for three days of tree time) and stands in 1970 after a restart.  Registers, conflicts and decisions
must come out the same.

  clocks.py --tree NAME   plays the story in one tree and prints what came of it"""
import json
import subprocess
import sys

from lib_clock import give_clock
from lib_tree import Checks, Tree, wait

YEAR = 365 * 86400
# county, township, village: (seconds ahead, jumping by)
TREES = {
    "right": ((0, 0), (0, 0), (0, 0)),
    "1970, 2099, jumping": ((-56 * YEAR, 0), (73 * YEAR, 0), (0, 40 * YEAR)),
    "county jumping, 1970, 2099": ((0, 86400), (-56 * YEAR, 0), (73 * YEAR, 0)),
}
COUNTY, TOWN, VILLAGE = range(3)
CODES = ["532999101201%06d" % i for i in range(8)]


def settle(t):
    """Up and down once: everything sealed is settled, and what came of it is known below."""
    for node in (t.village, t.township, t.village):
        node.ctl("sync", "--wait", "30")


def write(node, sql, *rows):
    db = node.open()
    for row in rows:
        db.execute(sql, row)
    db.close()


def play(t):
    phone, cause = "UPDATE household SET phone = ? WHERE code = ?", "UPDATE household SET poverty_cause = ? WHERE code = ?"
    write(t.village, "INSERT INTO household(code, village_code, head_name, phone) VALUES(?, ?, 'x', '1')", *[(c, c[:12]) for c in CODES])
    settle(t)
    wait(lambda: t.county.value("SELECT count(*) FROM household") == len(CODES), "the rows at the county")
    # Both own the group; the village writes without a line, once before and once after its township.
    t.village.stop()
    write(t.village, phone, ("village first", CODES[0]), ("village first", CODES[1]))
    write(t.township, phone, ("township", CODES[0]), ("township", CODES[2]), ("township", CODES[3]))
    write(t.village, phone, ("village last", CODES[2]))
    write(t.county, cause, *[("因病", c) for c in CODES[:6]])
    write(t.village, "DELETE FROM household WHERE code = ?", (CODES[4],), (CODES[7],))
    write(t.township, phone, ("township keeps it", CODES[4]))
    t.township.ctl("sync", "--wait", "30")
    t.village.start()
    settle(t)
    write(t.village, phone, *[("village again", c) for c in CODES[:2]])
    settle(t)
    settle(t)


def outcome(t):
    """What everybody sees, without a date."""
    found = {}
    for n in t.nodes:
        db = n.open()
        found[n.label] = [list(r) for r in db.execute("SELECT code, head_name, phone, poverty_cause FROM household ORDER BY code")]
        db.close()
        found[n.label + " conflicts"] = sorted(json.dumps([c["kind"], c["key"], c["group"], c["rule"], (c["kept"] or {}).get("values"),
                                                           (c["lost"] or {}).get("values")], sort_keys=True, ensure_ascii=False)
                                               for c in n.ask("conflicts", "--all"))
    return found


def one(name):
    t = Tree()
    for n, (shift, jump) in zip(t.nodes, TREES[name]):
        give_clock(n, shift=shift, jump=jump)
    with t:
        play(t)
        if "county jumping" in name:     # its battery is flat: after the restart it believes in 1970
            give_clock(t.county, shift=-56 * YEAR)
        t.county.stop()
        t.county.start()
        write(t.village, "UPDATE household SET phone = 'after the restart' WHERE code = ?", (CODES[5],))
        settle(t)
        found = outcome(t)
        found["clocks"] = [n.value("SELECT max(at) FROM terrace_event") for n in t.nodes]
    print(json.dumps(found, ensure_ascii=False))


def main():
    if sys.argv[1:2] == ["--tree"]:
        return one(sys.argv[2])
    checks = Checks()
    running = {name: subprocess.Popen([sys.executable, __file__, "--tree", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
               for name in TREES}
    results = {}
    for name, p in running.items():
        out, said = p.communicate(timeout=150)
        checks.check(p.returncode == 0, "%s: the tree settles" % name)
        if p.returncode:
            print(said.decode(errors="replace"))
        else:
            results[name] = json.loads(out)
    right = results.get("right")
    for name, got in results.items():
        if name != "right" and right:
            wrong = [k for k in right if k != "clocks" and got[k] != right[k]]
            checks.check(not wrong, "%s: the same rows, conflicts and decisions at every level%s" % (
                name, "".join("\n    %s: %s\n    right clocks: %s" % (k, got[k], right[k]) for k in wrong)))
    if right:
        checks.check(right["county"] == right["township"] == right["village"] and sum(len(right[k]) for k in right if "conflicts" in k) > 0,
                     "all levels are equal, and there were conflicts to decide")
    if len(results) == len(TREES):
        at = results["1970, 2099, jumping"]["clocks"]
        checks.check(at[TOWN] - at[COUNTY] > 100 * YEAR * 1000, "the clocks were as wrong as meant")
    checks.close()


if __name__ == "__main__":
    sys.exit(main())
