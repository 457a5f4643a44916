#!/usr/bin/env python3
"""Memory of real daemons (goal P13): a township's at rest on its 90,000 rows, the most it took for 10,000 mixed changes, and
the most that its county took while it received it, row by row and as a whole.  TOWNS=N townships (1; FULL=1: 20),
HOUSEHOLDS=N of each (20,000)."""
import os
import sys
import time

from lib_bench import HOUSEHOLDS, County, Goals, memory, wait, workload

TOWNS = int(os.environ.get("TOWNS", 20 if os.environ.get("FULL") else 1))
REST_S = 15


def changes(world, town):
    """A day of 10,000 mixed changes; the peak is the daemon's since its start."""
    workload("changes", world.folder, "1")
    with open(os.path.join(world.folder, "c2.sql")) as f:
        db = town.open()
        db.executescript(f.read())
        db.close()
    time.sleep(2)
    wait(lambda: world.equal(town), "the changes at the county")


def main():
    goals = Goals("bench_memory")
    with County() as world:
        for number in range(1, TOWNS + 1):
            town = world.join(number)
            workload("fill", town.database, str(number))
            wait(lambda t=town: world.equal(t), "the rows of township %d at the county" % number)
            if number > 1:
                town.stop()
        first, peak = world.nodes[1], memory(world.county, "VmHWM")
        whole = memory(first, "VmHWM")
        first.stop()
        first.start()
        wait(lambda: world.equal(first), "the township again")
        time.sleep(REST_S)
        goals.most("P13", "a leaf with its township, at rest", memory(first, "VmRSS"), 16, "MiB")
        changes(world, first)
        goals.most("P13", "10,000 mixed changes of the township, the leaf's peak", memory(first, "VmHWM"), 64, "MiB")
        time.sleep(REST_S)
        goals.most("P13", "the leaf at rest again", memory(first, "VmRSS"), 16, "MiB")
        print("     the leaf's peak when all its %d rows were new: %.1f MiB" % (HOUSEHOLDS * 9 // 2, whole))
        goals.most("P13", "%d of 20 townships into an empty county, its peak" % TOWNS, peak, 128, "MiB")
    goals.close()


sys.exit(main())
