#!/usr/bin/env python3
"""Backups of running nodes put back: village, township and county in turn, with and without identity, on a machine that
lost everything; what was acknowledged stays, what is refused is refused; then a whole home is cloned and both run."""
import os
import shutil
import stat
import subprocess
import sys
import time

from lib_tree import Checks, Tree, wait
from node import Node, TERRACECTL

ROW = "SELECT group_concat(code || ':' || coalesce(head_name, '') || ':' || coalesce(poverty_cause, ''), ' ') FROM (SELECT * FROM household ORDER BY code)"


class Story:
    def __init__(self, t, checks):
        self.t, self.checks, self.n = t, checks, 0
        self.secret = os.path.join(t.folder, "passphrase")
        with open(self.secret, "w", encoding="utf-8") as f:
            f.write("梯田 and a stick\n")

    def file(self, node):
        return os.path.join(self.t.folder, node.label + ".backup")

    def write(self, node, rows=1):
        db = node.open()
        for _ in range(rows):
            self.n += 1
            db.execute("INSERT INTO household(code, village_code, head_name) VALUES(?, '532999101201', ?)",
                       ("532999101201%06d" % self.n, "户%d" % self.n))
        db.close()

    def verify(self, last, cause):
        db = self.t.county.open()
        db.execute("UPDATE household SET poverty_cause = ? WHERE code LIKE '%' || ?", (cause, last))
        db.close()

    def equal(self, what, rows=None):
        said = [0]

        def same():
            if time.monotonic() - said[0] > .7:      # who waits after a failed contact need not wait longer
                said[0] = time.monotonic()
                for node in self.t.nodes[1:]:
                    node.ctl("sync")
            all_rows = {node.value(ROW) for node in self.t.nodes}
            return len(all_rows) == 1 and self.t.county.value("SELECT count(*) FROM household") == (rows or self.n)
        wait(same, what, 20)
        self.checks.check(True, what)

    def refused(self, node, status, text, *words):
        done = subprocess.run([TERRACECTL, "--home", node.home, *words], capture_output=True, stdin=subprocess.DEVNULL)
        said = done.stderr.decode()
        self.checks.check(done.returncode == status and text in said, "refused: %s (%s)" % (text, said.strip()[-60:]))


def backups(s):
    t = s.t
    s.write(t.village, 20)
    s.equal("twenty households at every level")
    for node in (t.village, t.county):
        node.ctl("backup", s.file(node))
    for node in t.nodes:
        node.ctl("backup", s.file(node) + "-keys", "--identity", "--passphrase-file", s.secret)
    t.township.ctl("backup", s.file(t.township))
    mode = stat.S_IMODE(os.stat(s.file(t.village)).st_mode)
    left = [f for f in os.listdir(t.folder) if "copy" in f or ".backup." in f]
    s.checks.check(mode == 0o600 and not left, "backups of running nodes, mode 0600, nothing beside them")
    with open(s.file(t.village) + "-keys", "rb") as f, open(os.path.join(t.village.home, "identity", "sign.seed"), "rb") as seed:
        s.checks.check(seed.read().strip() not in f.read(), "the key does not stand in it in the clear")
    s.write(t.village, 5)
    s.verify("000003", "因病")
    s.equal("five more since")


def refusals(s):
    t = s.t
    s.refused(t.village, 4, "the daemon runs", "restore", s.file(t.village), "--yes")
    t.village.stop()
    s.refused(t.village, 4, "this home is 532999101201", "restore", s.file(t.county), "--yes")
    s.refused(t.village, 4, "--yes", "restore", s.file(t.village))
    s.refused(t.village, 4, "holds no identity", "restore", s.file(t.village), "--yes", "--identity")
    s.refused(t.village, 4, "is no backup", "backup", s.secret)
    with open(s.secret + "-other", "w", encoding="utf-8") as f:
        f.write("another passphrase")
    s.refused(t.village, 5, "another one", "restore", s.file(t.village) + "-keys", "--yes", "--identity", "--passphrase-file",
              s.secret + "-other")
    with open(s.file(t.village), "rb") as f:
        whole = bytearray(f.read())
    for name, bad in (("flipped", whole[:-5000] + bytes([whole[-5000] ^ 1]) + whole[-4999:]), ("cut", whole[:-100])):
        path = s.file(t.village) + "-" + name
        with open(path, "wb") as f:
            f.write(bad)
        s.refused(t.village, 5, "damaged" if name == "flipped" else "cut off", "restore", path, "--yes")
    held = t.village.open()
    held.execute("SELECT count(*) FROM household").fetchone()
    s.refused(t.village, 4, "open in another program", "restore", s.file(t.village), "--yes")
    held.close()
    s.checks.check(t.village.value("SELECT count(*) FROM household") == s.n, "and nothing was changed")


def put_back(s, node, what, *options, lost=False):
    before = node.ask("status")["epoch"]
    node.stop()
    if lost:
        shutil.rmtree(node.home)
    node.ctl("restore", s.file(node) + ("-keys" if options else ""), "--yes", *options)
    s.checks.check(node.value("SELECT count(*) FROM household") == 20, "%s: the file is the backup's" % what)
    kept = [f for f in os.listdir(node.home) if f.startswith("registers.db.before-")]
    s.checks.check(lost or kept, "%s: what it replaced is kept" % what)
    node.start()
    s.write(s.t.village)
    s.verify("000002", what)
    s.equal("%s: everything came back from its neighbours, and new work passes" % what)
    if node is not s.t.township:             # which writes nothing of its own here
        s.checks.check(node.ask("status")["epoch"] not in (0, before), "%s: a new epoch" % what)


def restored(s):
    t = s.t
    keys = ("--identity", "--passphrase-file", s.secret)
    put_back(s, t.village, "village")
    put_back(s, t.township, "township")
    put_back(s, t.county, "county")
    put_back(s, t.township, "township with its keys", *keys)
    put_back(s, t.village, "village on a new machine", *keys, lost=True)
    t.village.stop()
    t.county.stop()
    put_back_both(s)


def put_back_both(s):
    t = s.t
    for node in (t.village, t.county):
        node.ctl("restore", s.file(node), "--yes")
        node.start()
    s.write(t.village)
    s.equal("village and county at once")


def cloned(s):
    t = s.t
    t.village.stop()
    twin = Node(t.folder, "twin", t.village.unit, "twin", t.township)
    shutil.copytree(t.village.home, twin.home, ignore=shutil.ignore_patterns("control.sock"))
    t.nodes.append(twin)                     # stopped with the others
    for node in (t.village, twin):
        node.start()
        s.write(node)
        node.ctl("sync")

    def frozen(node):
        return any("twin" in e["text"] for e in node.ask("log", "--kind", "alarm"))
    def again(node):
        node.ctl("sync")
        return frozen(node)
    wait(lambda: frozen(t.township) or again(t.village) or again(twin), "the twin is seen")
    wait(lambda: again(t.village) and again(twin) and frozen(t.township), "all three say so", 20)
    s.checks.check(True, "a cloned machine: alarm at the township and at both")
    held = t.county.value("SELECT count(*) FROM household")
    for node in (t.village, twin):
        s.write(node)
        node.ctl("sync", "--wait", "1", allow=(0, 1))
    s.checks.check(t.county.value("SELECT count(*) FROM household") == held, "both stand still")
    s.checks.check(t.village.ask("status")["upstream"]["state"] == "twin", "and status says why")


def main():
    checks = Checks()
    with Tree() as t:
        s = Story(t, checks)
        backups(s)
        refusals(s)
        t.village.start()
        restored(s)
        cloned(s)
    checks.close()


sys.exit(main())
