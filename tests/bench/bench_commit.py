#!/usr/bin/env python3
"""The application's own commit at a county while a township of 90,000 rows is being applied there (goal P14): one row every
10 ms into a table of its own, 99 of 100 within.  One that waits long keeps others from beginning: those count as if they had
begun every 10 ms meanwhile.  HOUSEHOLDS=N of the township (20,000)."""
import sys
import threading
import time

from lib_bench import HOUSEHOLDS, County, Goals, wait, workload

EVERY_S = .01


class Application(threading.Thread):
    """Commits until it is told to stop; how long each took."""

    def __init__(self, node):
        super().__init__()
        self.node, self.seconds, self.over, self.wrong = node, [], threading.Event(), None

    def run(self):
        db = self.node.open()
        try:
            while not self.over.is_set():
                start = time.monotonic()
                db.execute("INSERT INTO own_notes(text) VALUES('笔记')")
                self.seconds.append(time.monotonic() - start)
                time.sleep(EVERY_S)
        except Exception as e:           # told by the main thread
            self.wrong = e
        db.close()


def due(took):
    return [i * EVERY_S for i in range(max(1, int(took / EVERY_S)))]


def measure(world, act, true):
    a = Application(world.county)
    a.start()
    act()
    wait(true, "the rows at the county")
    a.over.set()
    a.join()
    if a.wrong:
        sys.exit("the application could not commit: %s" % a.wrong)
    return sorted(took - late for took in a.seconds for late in due(took))


def main():
    goals = Goals("bench_commit")
    with County() as world:
        db = world.county.open()
        db.execute("CREATE TABLE own_notes(id INTEGER PRIMARY KEY, text TEXT)")
        db.close()
        town = world.join(1)
        town.stop()                      # it is filled while nobody looks, then its daemon brings all of it
        workload("fill", town.database, "1")
        alone = measure(world, lambda: time.sleep(5), lambda: True)
        busy = measure(world, town.start, lambda: world.rows(world.county, town.unit) == HOUSEHOLDS * 9 // 2)
        print("     alone: median %.1f ms, p99 %.1f ms of %d commits; while it is applied: median %.1f ms, most %.1f ms" %
              (alone[len(alone) // 2] * 1e3, alone[int(len(alone) * .99)] * 1e3, len(alone), busy[len(busy) // 2] * 1e3, busy[-1] * 1e3))
        goals.most("P14", "own commit while %d rows are applied, p99 of %d" % (HOUSEHOLDS * 9 // 2, len(busy)),
                   busy[int(len(busy) * .99)] * 1e3, 250, "ms")
    goals.close()


sys.exit(main())
