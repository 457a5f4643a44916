#!/usr/bin/env python3
# limit: 120
"""A township on a small disk (tmpfs) that fills: below the soft mark its village waits (507) and all else goes on; below the
hard mark the township's own application writes as before and nothing else does; then the disk is filled and emptied at
random moments, to the last byte too.  Afterwards everything arrives without a restart, the database is whole, and the log had
hardly a line.  SEED=n draws other moments; the village's clock runs SPEED times as fast."""
import os
import random
import shutil
import subprocess
import sys
import time

from lib_clock import give_clock
from lib_tree import Checks, Failed, Node, Tree, wait

MB, SIZE_MB, SOFT_MB, HARD_MB, SPEED = 1 << 20, 32, 12, 6, 30
ROUNDS = 60 if os.environ.get("DEEP") == "1" else 5
ISOLATED = "TERRACE_FULL_DISK"


def isolate():
    """In a mount namespace of its own, so that the small disk goes with this process; as an ordinary user too."""
    for how in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        probe = subprocess.run([*how, "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if probe.returncode == 0:
            os.environ[ISOLATED] = "1"
            os.execvp(how[0], [*how, sys.executable, __file__])
    print("neither root nor user namespaces: no small disk can be mounted")
    sys.exit(77)


class SmallNode(Node):
    def start(self):
        path = os.path.join(self.home, "terraced.conf")
        with open(path, "r+", encoding="utf-8") as f:
            if "space_soft_mb" not in f.read():
                f.write("space_soft_mb = %d\nspace_hard_mb = %d\n" % (SOFT_MB, HARD_MB))
        super().start()


class Disk:
    def __init__(self, path):
        self.path, self.ballast = path, os.path.join(path, "ballast")

    def free(self):
        v = os.statvfs(self.path)
        return v.f_bavail * v.f_frsize

    def leave(self, size):
        """The ballast grows or shrinks until so many bytes are free."""
        with open(self.ballast, "ab") as f:
            held = f.tell()
            wanted = max(0, held + self.free() - size)
            f.truncate(min(wanted, held))
            while self.free() > size + 4096:
                try:
                    f.write(b"x" * min(self.free() - size, MB))
                    f.flush()
                except OSError:
                    break


class Writers:
    def __init__(self, t):
        self.t, self.rows, self.refused = t, 0, 0

    def write(self, node, unit, n=1, may_fail=False):
        db = node.open()
        for _ in range(n):
            code = "%s%06d" % (unit, self.rows)
            try:
                db.execute("INSERT INTO household(code, village_code, head_name) VALUES(?, ?, ?)", (code, unit, os.urandom(100).hex()))
                self.rows += 1
            except Exception:
                if not may_fail:
                    raise
                self.refused += 1
        db.close()

    def at(self, node):
        return node.value("SELECT count(*) FROM household")

    def all_there(self):
        return self.at(self.t.county) == self.at(self.t.township) == self.rows


def lines(node):
    with open(node.log, encoding="utf-8", errors="replace") as f:
        return [s for s in f if " warning " in s or " error " in s]


def settled(checks, w, what):
    start = time.monotonic()
    try:
        wait(w.all_there, what, 25)
    except Failed:
        pass
    checks.check(w.all_there(), "%s: all %d rows arrive (%.1f s)" % (what, w.rows, time.monotonic() - start))


def marks(checks, t, disk, w):
    village, town = t.village.unit, "532999101202"
    disk.leave(SOFT_MB * MB - MB)
    wait(lambda: t.township.ask("status")["space"]["state"] == "soft", "the soft mark in status")
    time.sleep(2.2)                          # the daemon looks every two seconds
    before = w.at(t.township)
    w.write(t.village, village, 5)
    wait(lambda: "disk-full" in (t.village.ask("status")["upstream"].get("error") or ""), "the refusal in the village's status")
    w.write(t.township, town, 5)
    wait(lambda: w.at(t.county) == before + 5, "the township's own rows at the county")
    checks.check(w.at(t.township) == before + 5, "soft: the village waits and knows why, the township's own rows go up")
    shown = t.township.ctl("doctor", allow=(0, 1))
    checks.check("subordinates" in shown, "soft: doctor shows it")
    disk.leave(SIZE_MB * MB)
    settled(checks, w, "room again")
    disk.leave(HARD_MB * MB - MB)
    time.sleep(2.2)
    pending = w.at(t.county)
    w.write(t.township, town, 50)
    time.sleep(1)
    status = t.township.ask("status")
    checks.check(status["space"]["state"] == "hard" and status["log_pending"] >= 50 and w.at(t.county) == pending,
                 "hard: the application writes 50 rows, nothing is sealed (%d in the log)" % status["log_pending"])
    disk.leave(SIZE_MB * MB)
    settled(checks, w, "room again")


def at_random(checks, t, disk, w, draw):
    village, town = t.village.unit, "532999101202"
    for _ in range(ROUNDS):
        left = draw.choice((0, 0, draw.randint(0, MB), draw.randint(MB, HARD_MB * MB), draw.randint(HARD_MB * MB, SIZE_MB * MB)))
        disk.leave(left)
        for _ in range(draw.randint(1, 4)):
            w.write(t.village, village)
            w.write(t.township, town, 3, may_fail=disk.free() < MB)
            time.sleep(draw.uniform(0, .3))
    disk.leave(SIZE_MB * MB)
    settled(checks, w, "filled %d times at random (%d writes refused by the full disk itself)" % (ROUNDS, w.refused))


def main():
    if ISOLATED not in os.environ:
        isolate()
    checks, t = Checks(), Tree()
    os.mkdir(t.township.home)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % SIZE_MB, "none", t.township.home], check=True)
    disk = Disk(t.township.home)
    t.township.__class__ = SmallNode
    give_clock(t.village, speed=SPEED)
    with t:
        w = Writers(t)
        before, start = len(lines(t.township)), time.monotonic()
        w.write(t.village, t.village.unit, 3)
        settled(checks, w, "good disk")
        marks(checks, t, disk, w)
        at_random(checks, t, disk, w, random.Random(int(os.environ.get("SEED", "1"))))
        minutes = (time.monotonic() - start) / 60
        said = lines(t.township)[before:]
        checks.check(len(said) <= minutes + 2, "%d warnings in %.1f minutes%s" % (len(said), minutes, "".join("\n    " + s.strip() for s in said)))
        checks.check(t.township.value("PRAGMA integrity_check") == "ok", "the database is whole")
        checks.check(t.township.process.poll() is None, "no restart")
        wait(lambda: os.path.exists(t.township.database + "-reserve"), "the reserve to be made again")
        checks.check(os.path.getsize(t.township.database + "-reserve") > 0, "the reserve stands again")
        for n in t.nodes:
            n.stop()
        subprocess.run(["umount", "-l", t.township.home], check=False)
    shutil.rmtree(t.folder, ignore_errors=True)
    checks.close()


if __name__ == "__main__":
    sys.exit(main())
