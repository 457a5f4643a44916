#!/usr/bin/env python3
"""HUP: a changed `upstream` is in force at once, also back again; a line that needs a restart is named."""
import os
import re
import signal
import sys

from lib_tree import Checks, Tree, wait


def main():
    checks = Checks()
    with Tree() as t:
        village, conf = t.village, os.path.join(t.village.home, "terraced.conf")
        with open(conf, encoding="utf-8") as f:
            right = f.read()

        def hup(text):
            with open(conf, "w", encoding="utf-8") as f:
                f.write(text)
            os.kill(village.process.pid, signal.SIGHUP)

        def state():
            return village.ask("status")["upstream"]["state"]

        wait(lambda: state() == "connected", "the line stands")
        hup(re.sub(r'upstream *\{', 'upstream {\n  proxy = "http://127.0.0.1:1"', right))
        wait(lambda: state() == "failed", "the line tries the proxy")
        checks.check(True, "a proxy is used after HUP")
        village.open().execute("INSERT INTO household(code, village_code) VALUES('532999101201000001', '532999101201')")
        hup(right)
        wait(lambda: state() == "connected", "the line stands again")
        wait(lambda: t.county.value("SELECT count(*) FROM household") == 1, "what was written meanwhile is at the county")
        checks.check(True, "without it again, and what was written meanwhile goes up")
        hup(re.sub(r'(?m)^(seal_max_ms *= *).*$', '', right) + "seal_max_ms = 3000\n")
        wait(lambda: "needs a restart: seal_max_ms = 3000" in open(village.log, encoding="utf-8").read(), "the log")
        checks.check(state() == "connected", "what needs a restart is named, the line stays")
        hup("nonsense\n")
        wait(lambda: "going on as before" in open(village.log, encoding="utf-8").read(), "the log")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(right)
        checks.check(state() == "connected", "a file that cannot be read changes nothing")
    checks.close()


sys.exit(main())
