#!/usr/bin/env python3
"""The demonstration: a county, two townships and four villages on this machine, each a terraced with its own home.

  demo.py [SEED=n] [KEEP=1] [HOUSEHOLDS=n]      (make demo builds first; variables of the environment count too)

  SEED=n         other people, other collisions (1)
  HOUSEHOLDS=n   households of a township (20000; persons are 3.5 times as many)
  KEEP=1         leaves the tree running and says how to look at it and how to stop it

Exit status: 0 every level in step, 1 something is not equal or went wrong."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata

import work
from node import Failed, Node, free_ports
from work import workload

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
HERE = os.path.join("tests", "demo")
POLICY = os.path.join("conf", "policies", "relief.policy")
REGISTERS = ("household", "person", "relief_case")
LIMIT = 120                              # seconds that any waiting may take
CASES = 20                               # applications that a village accepts


def options(words):
    values = {"SEED": "1", "KEEP": "", "HOUSEHOLDS": str(workload.FULL)}
    for name in values:
        values[name] = os.environ.get(name) or values[name]
    for word in words:
        name, sep, value = word.partition("=")
        if not sep or name not in values:
            sys.exit(__doc__)
        values[name] = value or values[name]
    if not values["SEED"].isdigit() or not values["HOUSEHOLDS"].isdigit() or int(values["HOUSEHOLDS"]) < workload.VILLAGES:
        sys.exit("demo: SEED is a number, HOUSEHOLDS one of at least %d" % workload.VILLAGES)
    return int(values["SEED"]), values["KEEP"] not in ("", "0"), int(values["HOUSEHOLDS"])


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def print_table(rows):
    widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("    " + "  ".join(text + " " * (w - width(text)) for text, w in zip(row, widths)).rstrip())
    sys.stdout.flush()


def mega(n):
    return "%.2f MB" % (n / 1e6)


class Demo:
    def __init__(self, seed, keep, households):
        self.seed, self.keep, self.households = seed, keep, households
        self.start = time.monotonic()
        self.folder = tempfile.mkdtemp(prefix="terrace-demo-")
        self.nodes, self.relay, self.shown = [], None, 0
        self.expected = dict.fromkeys(REGISTERS, 0)
        self.lock = threading.Lock()
        county, (town1, town2) = self.node("county", 0, 0), [None, None]
        town1, town2 = (self.node("township%d" % t, t, 0, county) for t in (1, 2))
        self.county, self.towns = county, [town1, town2]
        self.villages = [self.node("village%d-%d" % (t, v), t, v, town)
                         for t, town in ((1, town1), (2, town2)) for v in (1, 2)]

    def node(self, label, town, village, parent=None):
        if village:
            unit, place = workload.village_of(town, village - 1)
            name = place + "村"
        else:
            unit = workload.COUNTY + ("%03d000" % (100 + town) if town else "000000")
            name = workload.TOWNS[town - 1] if town else workload.COUNTY_NAME
        node = Node(self.folder, label, unit, name, parent)
        if not village:
            node.port, node.relay_port = free_ports(2)
        self.nodes.append(node)
        return node

    # ---- telling

    def elapsed(self):
        return time.monotonic() - self.start

    def say(self, text, *rest):
        self.shown = 0
        print("[%6.1f s] %s" % (self.elapsed(), text), *rest, sep="\n           ", flush=True)

    def progress(self, text):
        """A line that moves on a terminal; elsewhere one every ten seconds."""
        if sys.stdout.isatty():
            print("\r[%6.1f s]   %s\033[K" % (self.elapsed(), text), end="\r", flush=True)
        elif self.elapsed() - self.shown >= 10:
            if self.shown:
                print("[%6.1f s]   %s" % (self.elapsed(), text), flush=True)
            self.shown = self.elapsed()

    # ---- helpers

    def wait(self, what, done, tell=None):
        until = time.monotonic() + LIMIT
        while not done():
            if time.monotonic() > until:
                raise Failed("waited %d s in vain: %s" % (LIMIT, what))
            for node in self.nodes:
                if node.process and node.process.poll() is not None:
                    raise Failed("%s: the daemon ended, status %d" % (node.name, node.process.returncode))
            self.progress(tell() if tell else what)
            time.sleep(.2)

    def together(self, jobs):
        """Runs the jobs at once, each in a thread of its own; the first failure is raised."""
        failures = []

        def run(job):
            try:
                job()
            except Exception as e:                                           # handed to the caller
                failures.append(e)

        threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if failures:
            raise failures[0]

    def writes(self, node, what):
        """One person at one node: what() gets its database and says by how much the registers grew."""
        db = node.open()
        try:
            grown = what(db, node.unit, self.seed)
        finally:
            db.close()
        with self.lock:
            for register, n in grown.items():
                self.expected[register] += n

    def relay_does(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(self.folder, "relay.sock"))
            s.sendall(command.encode() + b"\n")
            answer = b""
            while piece := s.recv(65536):
                answer += piece
        return json.loads(answer)

    def start_relay(self):
        path = os.path.join(self.folder, "relay.sock")
        self.relay = subprocess.Popen([sys.executable, os.path.join(HERE, "relay.py"), path] +
                                      ["%s=%d:%d" % (n.label, n.relay_port, n.port) for n in self.nodes if n.port],
                                      stdin=subprocess.DEVNULL, start_new_session=True)
        self.wait("the relay", lambda: os.path.exists(path))

    def counts(self, node, scope=""):
        return {r: node.value("SELECT count(*) FROM %s WHERE %s LIKE ?" % (r, "unit_code" if r == "relief_case" else "village_code"),
                              scope + "%") for r in REGISTERS}

    # ---- the story

    def enrol(self):
        self.say("Enrolment: %s is the top; every other node joins with an invitation of its superior" % self.county.name)
        self.start_relay()
        self.county.init("--root", *self.county.listen_options())
        self.county.start()
        self.county.ctl("policy", "publish", POLICY)
        for level in (self.towns, self.villages):
            self.together([node.enrol for node in level])
        self.wait("the policy arrives", lambda: all(n.has("relief_case") for n in self.nodes),
                  lambda: "the policy stands at %d of %d nodes" % (sum(n.has("relief_case") for n in self.nodes), len(self.nodes)))
        self.say("%d nodes run; the county's policy \"relief\" has made the registers at each" % len(self.nodes))

    def load(self):
        persons = int(self.households * workload.PERSONS)
        total = 2 * (self.households + persons)
        self.say("Loading: each township enters %d households and %d persons by plain SQL" % (self.households, persons))
        before = self.elapsed()
        loaders = [subprocess.Popen([sys.executable, os.path.join(HERE, "work.py"), "load", town.database, str(t + 1),
                                     str(self.households), str(self.seed)], stdout=subprocess.DEVNULL)
                   for t, town in enumerate(self.towns)]

        def arrived():
            return self.county.value("SELECT (SELECT count(*) FROM household)+(SELECT count(*) FROM person)")

        self.wait("loading", lambda: all(p.poll() is not None for p in loaders),
                  lambda: "the county has %d of %d rows" % (arrived(), total))
        if any(p.returncode for p in loaders):
            raise Failed("a township's program could not write")
        written = self.elapsed()
        self.wait("rows at the county", lambda: arrived() == total, lambda: "the county has %d of %d rows" % (arrived(), total))
        self.expected.update(household=2 * self.households, person=2 * persons)
        there = self.elapsed()
        self.wait("rows at the villages",
                  lambda: all(self.counts(v) == self.counts(v.parent, v.unit) for v in self.villages), lambda: "villages take theirs")
        self.say("%d rows: written after %.1f s, all at the county after %.1f s, the villages' own at the villages after %.1f s" %
                 (total, written - before, there - before, self.elapsed() - before))

    def apply_for_relief(self):
        for village in self.villages:
            self.writes(village, lambda db, unit, seed: {"relief_case": work.open_cases(db, unit, CASES, seed)})
        for t, town in enumerate(self.towns):
            for index in range(2, workload.VILLAGES):
                unit = workload.village_of(t + 1, index)[0]
                self.writes(town, lambda db, _, seed: {"relief_case": work.open_cases(db, unit, 3, seed)})
        self.wait("applications", lambda: self.counts(self.county)["relief_case"] == self.expected["relief_case"])
        self.say("%d applications for relief are accepted in the villages and seen by the county" % self.expected["relief_case"])

    def edit(self):
        cut = self.towns[0]
        self.say("A working day: four villages, two townships and the county write at once,",
                 "while the line between %s and its villages is down" % cut.name)
        self.relay_does("cut " + cut.label)
        jobs = [(self.county, work.county_day)] + [(t, work.township_day) for t in self.towns]
        jobs += [(v, work.village_day) for v in self.villages]
        self.together([lambda n=n, what=what: self.writes(n, what) for n, what in jobs])
        self.say("The line is back")
        self.relay_does("mend " + cut.label)
        self.in_step()

    def in_step(self):
        """Every change is settled, every node has all that waits for it, and the digests that were compared since say so."""
        for level in (self.villages, self.towns, self.villages):
            self.together([lambda n=n: n.ctl("sync", "--wait", str(LIMIT), allow=(0, 1), timeout=LIMIT + 10) for n in level])
        since, asked = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()), 0
        until = time.monotonic() + LIMIT
        while behind := self.behind(since):
            if time.monotonic() > until:
                raise Failed("not in step after %d s: %s" % (LIMIT, ", ".join(n.name + ": " + why for n, why in behind)))
            self.progress("not in step yet: " + ", ".join(n.name for n, _ in behind))
            if time.monotonic() - asked > 1:
                asked = time.monotonic()
                self.together([lambda n=n: n.ctl("sync", allow=(0, 1)) for n in {n for n, _ in behind if n.parent}])
            time.sleep(.2)

    def behind(self, since):
        """(node, why) of those not in step, by the nodes' own word."""
        found, by_unit = [], {n.unit: n for n in self.nodes}
        for node in self.nodes:
            status = node.ask("status")
            if status["log_pending"]:
                found.append((node, "has not sealed everything"))
            if node.parent and status["upstream"]["pending_segments"]:
                found.append((node, "has not sent everything"))
            found += [(by_unit[c["unit"]], "digest %s, as of %s" % (c["digest"], c["as_of"])) for c in status["children"]
                      if c["unit"] in by_unit and (c["digest"] != "equal" or (c["as_of"] or "") < since)]
        return found

    def conflicts(self):
        town = self.towns[0]
        found = town.ask("conflicts", "list")
        kinds = {}
        for c in found:
            kinds.setdefault((c["kind"], c["register"]), []).append(c)
        self.say("%s has %d conflicts on record: %s" % (town.name, len(found), ", ".join(
            "%d %s in %s" % (len(v), *k) for k, v in sorted(kinds.items())) or "none"))
        wanted = [next(iter(v)) for k, v in sorted(kinds.items(), key=lambda kv: kv[0][0] != "superseded")]
        wanted = (wanted + [c for v in kinds.values() for c in v[1:]])[:2]
        for c in wanted:
            print("\n    $ " + town.ctl_line("conflicts", "show", str(c["id"])))
            self.quote(town.ctl("conflicts", "show", str(c["id"]), allow=(0, 1)))
        if wanted:
            c = wanted[0]
            print("    $ " + town.ctl_line("why", c["register"], str(c["key"])))
            self.quote(town.ctl("why", c["register"], str(c["key"]), allow=(0, 1)))
        if len(wanted) < 2:
            raise Failed("fewer than two conflicts came from the data; try another SEED or more HOUSEHOLDS")

    @staticmethod
    def quote(text):
        print("".join("      " + line + "\n" for line in text.rstrip().splitlines()), flush=True)

    def second_policy(self):
        with open(POLICY, encoding="utf-8") as f:
            text = f.read()
        text, n1 = re.subn(r"version = 1\n", "version = 2\n", text)
        text = text.replace("../../schema", os.path.join(os.path.abspath("schema")))
        added = ', "%s" }' % os.path.abspath(os.path.join(HERE, "second.sql"))
        text, n2 = re.subn(r'(schema = \{[^}]*?) \}', lambda m: m[1] + added, text, count=1)
        text, n3 = re.subn(r"water, helper, remark, updated_at \}", "water, helper, remark, updated_at, broadband }", text, count=1)
        if (n1, n2, n3) != (1, 1, 1):
            raise Failed("%s is not the policy that the demonstration knows" % POLICY)
        path = os.path.join(self.folder, "relief-2.policy")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        self.say("The county publishes version 2 of its policy: households get a column, broadband 宽带")
        self.county.ctl("policy", "publish", path)
        self.wait("the new column", lambda: all(n.has("household", "broadband") for n in self.nodes),
                  lambda: "the column stands at %d of %d nodes" % (sum(n.has("household", "broadband") for n in self.nodes), len(self.nodes)))
        filled = []
        for village in self.villages:
            self.writes(village, lambda db, unit, seed: filled.append(work.fill_new_column(db, unit, seed)) or {})
        self.wait("the new column's values",
                  lambda: self.county.value("SELECT count(broadband) FROM household") == sum(filled))
        self.say("the column stands at all %d nodes; %d values written in the villages are at the county" % (len(self.nodes), sum(filled)))

    def late(self):
        node = self.node("village1-3", 1, 3, self.towns[0])
        self.say("%s, unmanned until now, gets a computer" % node.name)
        node.enrol()
        self.villages.append(node)
        self.wait("the late village's rows", lambda: node.has("relief_case") and self.counts(node) == self.counts(node.parent, node.unit),
                  lambda: "%s takes its rows" % node.name)
        have = self.counts(node)
        self.say("%s has its %s" % (node.name, ", ".join("%d %s" % (have[r], r) for r in REGISTERS)))

    # ---- the end

    def result(self):
        self.say("Waiting until every level is in step")
        self.in_step()
        problems, rows = [], [("node", "unit", *REGISTERS, "in step with its superior", "conflicts")]
        for node in self.nodes:
            have = self.counts(node)
            status = node.ask("status")
            state = "top" if not node.parent else "unknown"
            if node.parent:
                state = next((c["digest"] for c in node.parent.ask("status")["children"] if c["unit"] == node.unit), "unknown")
                want = self.counts(node.parent, re.sub("(000)*$", "", node.unit))
                if have != want:
                    problems.append("%s has %s, its superior has %s of it" % (node.name, have, want))
                if state != "equal":
                    problems.append("%s: %s" % (node.name, state))
            depth = 0 if not node.parent else 1 if not node.parent.parent else 2
            rows.append(("  " * depth + node.name, node.unit, *(str(have[r]) for r in REGISTERS), state, str(status["conflicts_open"])))
        rows[1:] = sorted(rows[1:], key=lambda row: row[1])                  # by unit: a tree
        self.say("The tree:")
        print_table(rows)
        have = self.counts(self.county)
        if have != self.expected:
            problems.append("the county has %s, entered and not deleted were %s" % (have, self.expected))
        self.say("Compared from outside (tests/lib/compare.py, which knows SQLite only):")
        done = subprocess.run([sys.executable, os.path.join("tests", "lib", "compare.py")] +
                              ["%s=%s" % (n.unit, n.home) for n in self.nodes], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.quote(done.stdout.decode(errors="replace"))
        if done.returncode:
            problems.append("the outside comparison found differences")
        problems += ["%s: %s" % (node.name, line) for node in self.nodes for line in self.alarms(node)]
        self.say("Bytes on the wire (TLS included):")
        names = {n.label: n.name for n in self.nodes}
        print_table([("line", "up", "down")] + [("into %s from below" % names[label], mega(c["up"]), mega(c["down"]))
                                                for label, c in self.relay_does("count").items()])
        return problems

    @staticmethod
    def alarms(node):
        with open(node.log, encoding="utf-8", errors="replace") as f:
            return [line.rstrip() for line in f if re.match(r"\S+ error |\S+ \w+ alarm: ", line)]

    def stop(self):
        longest = 0
        for node in reversed(self.nodes):
            longest = max(longest, node.stop())
        if self.relay:
            self.relay.terminate()
            self.relay.wait()
        return longest

    def write_stop_script(self):
        path = os.path.join(self.folder, "stop")
        pids = [n.process.pid for n in reversed(self.nodes)]
        with open(path, "w") as f:
            f.write("#!/bin/sh\n# Ends the demonstration's daemons and removes its folder.\nkill %s\nsleep 2\nkill %d\nrm -rf '%s'\n" %
                    (" ".join(map(str, pids)), self.relay.pid, self.folder))
        os.chmod(path, 0o755)
        return path

    def leave_running(self):
        path = self.write_stop_script()
        village = self.villages[0]
        print("\nThe tree goes on running.  Look at it:\n")
        for line in (self.county.ctl_line("status", "--tree"), self.towns[0].ctl_line("conflicts", "list"), village.ctl_line("log"),
                     "sqlite3 %s \"UPDATE household SET phone='13800000000' WHERE code='%s000001'\"" % (village.database, village.unit),
                     "sqlite3 %s \"SELECT phone FROM household WHERE code='%s000001'\"" % (self.county.database, village.unit)):
            print("  " + line)
        print("\nLogs are in %s/*.log.  Stop it, and remove its folder:\n\n  %s" % (self.folder, path))

    def complain(self, text):
        print("\ndemo: " + text, file=sys.stderr)
        for node in self.nodes:
            if os.path.exists(node.log):
                with open(node.log, encoding="utf-8", errors="replace") as f:
                    last = f.read().splitlines()[-3:]
                print("--- %s, %s" % (node.name, node.log), *(self.alarms(node)[-6:] or last), sep="\n", file=sys.stderr)

    def run(self):
        self.enrol()
        self.load()
        self.apply_for_relief()
        self.edit()
        self.conflicts()
        self.second_policy()
        self.late()
        problems = self.result()
        for problem in problems:
            print("NOT EQUAL: " + problem, file=sys.stderr)
        return 1 if problems else 0


def main():
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    sys.stderr.reconfigure(encoding="utf-8", errors="replace")
    seed, keep, households = options(sys.argv[1:])
    os.chdir(TOP)
    demo, status = Demo(seed, keep, households), 1
    try:
        status = demo.run()
        if status == 0:
            demo.say("Every level is in step, in %.0f seconds.  (make demo SEED=%d gives other people and other conflicts)" %
                     (demo.elapsed(), seed + 1))
        if keep:
            demo.leave_running()
    except Failed as e:
        demo.complain(str(e))
    except KeyboardInterrupt:
        print("\ndemo: broken off", file=sys.stderr)
    finally:
        if not keep or status:
            longest = demo.stop()
            if status:
                print("The homes are kept in " + demo.folder, file=sys.stderr)
            else:
                demo.say("All daemons ended, the slowest in %.1f s" % longest)
                shutil.rmtree(demo.folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
