#!/usr/bin/env python3
# limit: 180
"""P11: a village commits, the county sees it through the township: 200 inserts, default settings, p95 at most 1 s."""
import sqlite3
import sys
import time

from lib_tree import Checks, Tree

INSERTS, LIMIT_S = 200, 1.0


def main():
    checks, seconds = Checks(), []
    with Tree() as t:
        village = t.village.open()
        county = sqlite3.connect("file:%s?mode=ro" % t.county.database, uri=True, timeout=60)
        for i in range(INSERTS):
            code = "%s%06d" % (t.village.unit, i)
            village.execute("INSERT INTO household(code, village_code, head_name) VALUES(?, ?, ?)", (code, t.village.unit, "户主%d" % i))
            start = time.monotonic()
            while not county.execute("SELECT 1 FROM household WHERE code = ?", (code,)).fetchone():
                if time.monotonic() - start > 30:
                    break
                time.sleep(.005)
            seconds.append(time.monotonic() - start)
        seconds.sort()
        p95 = seconds[int(len(seconds) * .95) - 1]
        print("    village to county: median %.0f ms, p95 %.0f ms, most %.0f ms" % (seconds[len(seconds) // 2] * 1e3, p95 * 1e3,
                                                                                    seconds[-1] * 1e3))
        checks.check(p95 <= LIMIT_S, "p95 of %d inserts is at most %.0f s" % (INSERTS, LIMIT_S))
        rows = county.execute("SELECT count(*) FROM household").fetchone()[0]
        checks.check(rows == INSERTS, "all %d rows are at the county" % INSERTS)
    checks.close()


sys.exit(main())
