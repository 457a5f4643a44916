#!/usr/bin/env python3
"""A township that relays its village's deltas as it likes: alters, reorders, drops, repeats, swallows.  The county notices
each, names it, and holds nothing that the village has not signed; the village knows that it is not settled; with the
honest township back everything arrives."""
import os
import subprocess
import sys

from lib_hostile import TOP, Checks, Hostile, Tree, alarms, decode, dump, sqlite3, wait

ROW = "532999101201%06d"


def enter(village, n, name="x"):
    village.open().execute("INSERT INTO household(code, village_code, head_name, population, category) VALUES(?, ?, ?, 3, 'y')",
                           (ROW % n, village.unit, name))
    village.ctl("sync", allow=(0, 1, 4))


def signed(village):
    db = sqlite3.connect("file:%s?mode=ro" % village.database, uri=True)
    try:
        return [bytes(row[0]) for row in db.execute("SELECT bytes FROM terrace_segment WHERE kind = 1 AND author = ? ORDER BY position",
                                                    (int(village.unit),))]
    finally:
        db.close()


def equal(tree):
    return subprocess.run([sys.executable, os.path.join(TOP, "tests", "lib", "compare.py"),
                           *("%s=%s" % (n.unit, n.home) for n in tree.nodes)], capture_output=True).returncode == 0


def main():
    checks = Checks()
    with Tree() as t:
        county, village = t.county, t.village
        t.township.open().execute("INSERT INTO household(code, village_code, head_name) VALUES('532999101202000001', '532999101202', 'x')")
        enter(village, 1)
        wait(lambda: county.value("SELECT count(*) FROM household") == 2, "the first rows at the county")
        for node in (village, t.township):
            node.ctl("sync", "--wait", "20")
        t.township.stop()
        relay = Hostile(t.township, county)
        before = len(signed(village))
        for n in (2, 3, 4):
            enter(village, n)
        wait(lambda: len(signed(village)) >= before + 3, "three deltas of the village")
        new = signed(village)[before:]

        def refused(what, entries, word, named):
            was, said = dump(county), len(alarms(county))
            got = relay.push(entries)
            checks.check(got[1] == word and named in got[2], "%s: %s" % (what, got[:3]))
            now = dump(county)
            checks.check([x for x in now if now[x] != was.get(x) and x != "terrace_stream"] == [], what + ": nothing changed")
            checks.check(len(alarms(county)) > said, what + ": an alarm")
            checks.check(relay.heal(), what + ": the link goes on after a hello")
        altered = bytearray(new[0])
        altered[-2] ^= 4
        refused("altered", [bytes(altered)], "bad-signature", village.unit)
        refused("reordered", [new[1], new[0]], "gap", village.unit)
        got = relay.push([new[0]])
        checks.check(got[1] == "ok" and got[3]["counts"]["taken"] == 1, "in its order it is taken: %s" % (got[:3],))
        for what, entries in (("repeated", [new[0]]), ("repeated", [new[0], new[0]])):
            relay.acked, relay.head = got[3]["received"][0], bytes.fromhex(got[3]["received"][1])
            got = relay.push(entries)
            checks.check(got[1] == "ok" and got[3]["counts"]["old"] == len(entries), "%s: old (%s)" % (what, got[:3]))
        relay.acked, relay.head = got[3]["received"][0], bytes.fromhex(got[3]["received"][1])
        refused("one left out", [new[2]], "gap", village.unit)
        mine = decode.segment(new[1], None, False, False)
        stolen = relay.delta(mine["payload"]["changes"], author=relay.unit)
        refused("its values under the relay's own name", [stolen], "out-of-scope", village.unit)
        done = village.ask("status")["upstream"]
        village.ctl("sync", "--wait", "2", allow=(1,))
        checks.check(done["settled"] < done["sealed"], "swallowed: the village is not told that it is settled: %s" % {
            n: done[n] for n in ("sealed", "applied", "settled", "pending_segments")})
        t.township.start()
        village.ctl("sync", "--wait", "20")  # not only after its back-off
        wait(lambda: county.value("SELECT count(*) FROM household") == 5 and equal(t), "everything at the county")
        checks.check(True, "with the honest township back everything arrives and is settled, and the tree is equal")
    checks.close()


sys.exit(main())
