#!/usr/bin/env python3
# limit: 900
"""SIGKILL under load with real processes: while three levels write, the daemon of one of them, drawn at random, is killed and
started again: 12 times, 200 times with DEEP=1.  At the end the tree is in step, and of what an application committed nothing
is missing and nothing is there twice.  SEED=n draws other moments."""
import os
import random
import subprocess
import sys
import threading
import time

from lib_tree import TOP, Checks, Failed, Tree, wait

KILLS = 200 if os.environ.get("DEEP") == "1" else 12
SEED = int(os.environ.get("SEED", "1"))
TOWN_ROWS = "532999101202"


class Writer(threading.Thread):
    """An application at one level: what it committed last stands in `rows` (key: value)."""

    def __init__(self, node, seed):
        super().__init__(daemon=True)
        self.node, self.draw, self.rows, self.error = node, random.Random(seed), {}, None
        self.over, self.commits = threading.Event(), 0

    def run(self):
        try:
            db = self.node.open()
            while not self.over.is_set():
                self.work(db)
                self.commits += 1
                time.sleep(self.draw.uniform(.005, .04))
            db.close()
        except Exception as e:          # an application's write never fails because of a killed daemon
            self.error = e


class Keeper(Writer):
    """Enters households of one village, and changes telephones of those it entered; several rows a transaction."""

    def __init__(self, node, unit, seed):
        super().__init__(node, seed)
        self.unit = unit

    def work(self, db):
        done = {}
        db.execute("BEGIN IMMEDIATE")
        for _ in range(self.draw.randint(1, 5)):
            if self.rows and self.draw.random() < .5:
                code = self.draw.choice(list(self.rows))
            else:
                code = "%s%06d" % (self.unit, len(self.rows) + len(done))
                db.execute("INSERT OR IGNORE INTO household(code, village_code, head_name) VALUES(?, ?, 'x')", (code, self.unit))
            done[code] = "%09d" % self.draw.randrange(10 ** 9)
            db.execute("UPDATE household SET phone = ? WHERE code = ?", (done[code], code))
        db.execute("COMMIT")
        self.rows.update(done)


class Checker(Writer):
    """The county verifies causes of poverty of what has come up."""

    def work(self, db):
        found = [r[0] for r in db.execute("SELECT code FROM household ORDER BY code DESC LIMIT 50")]
        if found:
            code, cause = self.draw.choice(found), "%09d" % self.draw.randrange(10 ** 9)
            if db.execute("UPDATE household SET poverty_cause = ? WHERE code = ?", (cause, code)).rowcount == 1:
                self.rows[code] = cause


def lost(node, writers, unit=""):
    """(keys missing or with another value, rows) as this node holds them."""
    db, bad = node.open(), 0
    for w in writers:
        column = "poverty_cause" if isinstance(w, Checker) else "phone"
        have = dict(db.execute("SELECT code, %s FROM household" % column))
        bad += sum(have.get(code) != value for code, value in w.rows.items() if code.startswith(unit))
    rows = db.execute("SELECT count(*) FROM household").fetchone()[0]
    db.close()
    return bad, rows


def equal(nodes):
    return subprocess.run(["python3", os.path.join(TOP, "tests", "lib", "compare.py"), *["%s=%s" % (n.unit, n.home) for n in nodes]],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def kill_at_random(t, draw):
    killed = dict.fromkeys((n.label for n in t.nodes), 0)
    for _ in range(KILLS):
        time.sleep(draw.uniform(.05, .8))
        node = draw.choice(t.nodes)
        node.process.kill()
        node.process.wait()
        killed[node.label] += 1
        time.sleep(draw.choice((0, 0, .2)))
        node.start()
    return killed


def main():
    checks, draw = Checks(), random.Random(SEED)
    with Tree() as t:
        writers = [Keeper(t.village, t.village.unit, SEED), Keeper(t.township, TOWN_ROWS, SEED + 1), Checker(t.county, SEED + 2)]
        for w in writers:
            w.start()
        start = time.monotonic()
        killed = kill_at_random(t, draw)
        for w in writers:
            w.over.set()
        for w in writers:
            w.join(60)
        checks.check(not any(w.error or w.is_alive() for w in writers), "no application's write failed (%d transactions in %.0f s)%s" % (
            sum(w.commits for w in writers), time.monotonic() - start, "".join("; " + str(w.error) for w in writers if w.error)))
        try:
            wait(lambda: all(lost(n, writers, n.unit[:9] if n is t.township else n.unit if n is t.village else "")[0] == 0
                             for n in t.nodes), "everything at every level", 60)
        except Failed as e:
            print("    %s" % e)
        county = lost(t.county, writers)
        checks.check(county[0] == 0 and county[1] == sum(len(w.rows) for w in writers[:2]),
                     "%d kills (%s), %d rows, lost %d" % (KILLS, ", ".join("%s %d" % k for k in killed.items()), county[1], county[0]))
        try:
            wait(lambda: equal(t.nodes).returncode == 0, "the tree in step", 30)
        except Failed:
            print(equal(t.nodes).stdout.decode())
        checks.check(equal(t.nodes).returncode == 0, "in step at the end")
        checks.check(all(n.value("PRAGMA integrity_check") == "ok" for n in t.nodes), "every database is whole")
        checks.check(all(len(n.ask("quarantine", "list")) == 0 for n in t.nodes), "nothing waits in quarantine")
    checks.close()


if __name__ == "__main__":
    sys.exit(main())
