#!/usr/bin/env python3
"""TERM is obeyed in under 2 s at rest, under load and while the parent is away; a killed daemon comes right alone."""
import os
import signal
import sys
import time

from lib_tree import Checks, Tree, wait


def households(node):
    return node.value("SELECT count(*) FROM household")


def main():
    checks = Checks()
    with Tree() as t:
        db = t.township.open()
        for node in t.nodes:
            checks.check(node.stop() < 2, "TERM at rest: %s" % node.label)
        for node in t.nodes:
            node.start()
        db.execute("BEGIN IMMEDIATE")
        for i in range(20000):
            db.execute("INSERT INTO household(code, village_code, head_name) VALUES(?, '532999101202', '户主')",
                       ("532999101202%06d" % i,))
        db.execute("COMMIT")
        wait(lambda: 0 < households(t.county) < 20000 or households(t.county) == 20000, "the first rows at the county")
        checks.check(t.township.stop() < 2, "TERM while it sends")
        t.township.start()
        os.kill(t.county.process.pid, signal.SIGKILL)
        t.county.process.wait()
        checks.check(t.township.stop() < 2, "TERM while the parent is away")
        t.township.start()
        t.county.start()
        wait(lambda: households(t.county) == 20000, "all rows at the county", 60)
        checks.check(True, "20,000 rows arrive after TERM, KILL and an absent parent")
        os.kill(t.village.process.pid, signal.SIGKILL)
        t.village.process.wait()
        t.village.start()
        t.village.open().execute("INSERT INTO household(code, village_code) VALUES('532999101201000001', '532999101201')")
        wait(lambda: households(t.county) == 20001, "the village's row", 60)
        checks.check(True, "a killed village goes on")
        time.sleep(.1)
    checks.close()


sys.exit(main())
