#!/usr/bin/env python3
# limit: 120
"""A village on a bad line: pieces of one byte, 600 ms there and back with a third of the pieces lost, resets in the middle of
what goes up, a sender of few bytes a second, an address that changes without a word, a black hole, nobody there.  What was
written arrives without a restart; deadlines hold; requests are few, pauses grow and are drawn; the log has a line a minute.

The village's steady clock runs SPEED times as fast (clock_shift.c): its deadlines and pauses are the real ones."""
import os
import re
import subprocess
import sys
import time

from lib_clock import give_clock
from lib_line import Line
from lib_tree import Checks, Failed, Tree, free_ports, wait

SPEED = {"poor": 5, "none": 40}
TOWN_ROWS = "532999101201"               # what the township writes goes down to the village


class Story:
    def __init__(self, t, line, checks):
        self.t, self.line, self.checks, self.written = t, line, checks, 0

    def write(self, rows, size=20):
        """Rows at both ends, size bytes each that do not shrink much."""
        for node in (self.t.village, self.t.township):
            db = node.open()
            db.execute("BEGIN IMMEDIATE")
            for i in range(rows):
                db.execute("INSERT INTO household(code, village_code, head_name) VALUES(?, ?, ?)", (
                    "%s%s%05d" % (TOWN_ROWS, "7" if node is self.t.village else "8", self.written + i), TOWN_ROWS, os.urandom(size // 2).hex()))
            db.execute("COMMIT")
            db.close()
        self.written += rows

    def there(self):
        return all(n.value("SELECT count(*) FROM household") == 2 * self.written for n in self.t.nodes)

    def arrives(self, what, seconds):
        start = time.monotonic()
        try:
            wait(self.there, what, seconds)
        except Failed:
            pass
        took = time.monotonic() - start
        self.checks.check(self.there(), "%s: everything arrives both ways (%.1f s, %d connections, %d bytes up)" % (
            what, took, self.line.connections, self.line.up))
        up, self.line.connections, self.line.up = self.line.up, 0, 0
        return up

    def lines(self):
        """Lines about the link in the village's log."""
        with open(self.t.village.log, encoding="utf-8", errors="replace") as f:
            return [s for s in f if re.search(r"/v1/|in contact with|https://", s) and " serves " not in s]

    def away(self, mode, seconds):
        """The parent is not to be had for so many seconds of the village's clock."""
        before = len(self.lines())
        self.line.connections = 0
        self.line.set(mode)
        self.write(5)
        time.sleep(seconds / SPEED["none"])
        minutes = seconds / 60
        attempts, said = self.line.connections / minutes, len(self.lines()) - before
        self.checks.check(attempts <= 12, "%s: %.1f attempts a minute in %.1f minutes of its time" % (mode, attempts, minutes))
        self.checks.check(said <= minutes + 1, "%s: %d lines in the log in %.1f minutes" % (mode, said, minutes))
        self.t.village.ctl("status")
        self.line.set("good")
        self.arrives("after " + mode, 20)


def outbox(t):
    return t.village.value("SELECT coalesce(sum(length(bytes)), 0) FROM terrace_segment WHERE kind = 1 AND author = origin")


def poor(story, t, line, checks):
    """A line that carries, but badly."""
    line.set("bytes")
    story.write(10)
    story.arrives("pieces of one byte", 20)
    line.set("lag")
    story.write(10)
    story.arrives("600 ms, 30 % lost", 40)
    line.set("good", reset_after=(50000, 200000))
    before = outbox(t)
    story.write(400, 2000)
    up = story.arrives("resets", 40)
    size = outbox(t) - before
    checks.check(line.resets > 0 and up < 3 * size, "resets: %d of them; %d bytes of segments, %d went up" % (line.resets, size, up))
    line.set("slow", rate=16384)
    story.write(20, 400)
    story.arrives("slow sender", 20)


def none(story, t, line, checks):
    """Times without a line."""
    line.freeze()
    story.write(5)
    story.arrives("address change", 20)
    story.away("hole", 110)
    story.away("gone", 110)


def one(name):
    checks, t = Checks(), Tree()
    t.township.relay_port = free_ports(1)[0]
    line = Line(t.township.relay_port, t.township.port, seed=int(os.environ.get("SEED", "1")))
    give_clock(t.village, speed=SPEED[name])
    with t:
        story = Story(t, line, checks)
        story.write(1)
        story.arrives("good line", 20)
        STORIES[name](story, t, line, checks)
        checks.check(t.village.process.poll() is None and t.township.process.poll() is None, "no daemon was started again")
        line.close()
    checks.close()


STORIES = {"poor": poor, "none": none}


def main():
    if sys.argv[1:2] == ["--story"]:
        return one(sys.argv[2])
    checks = Checks()
    for p in [subprocess.Popen([sys.executable, __file__, "--story", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
              for name in STORIES]:
        text = p.communicate(timeout=110)[0].decode(errors="replace")
        print(text, end="")
        last = re.search(r"^(\d+) passed, (\d+) failed$", text, re.M)
        checks.passed += int(last[1]) if last else 0
        checks.failed += int(last[2]) if last else 1
    checks.close()


if __name__ == "__main__":
    sys.exit(main())
