#!/usr/bin/env python3
"""The demonstration: a county, two townships and four villages on this machine, each a terraced with its own home.

  demo.py [SEED=n] [KEEP=1] [HOUSEHOLDS=n]      (make demo builds first; variables of the environment count too)

  SEED=n         other people, other collisions (1)
  HOUSEHOLDS=n   households of a township (20000, at least 200; persons are 3.5 times as many)
  KEEP=1         leaves the tree running and says how to look at it and how to stop it

Exit status: 0 every level in step, 1 something is not equal or went wrong."""
import os
import re
import shutil
import subprocess
import sys
import threading

import work
from node import Failed
from tree import HERE, REGISTERS, Tree, print_table, quote
from work import workload

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
POLICY = os.path.join("conf", "policies", "relief.policy")
FEWEST = 200                             # households of a township, so that something collides
CASES, CASES_UNMANNED = 20, 3            # applications that a village accepts, or its township for it


def options(words):
    values = {"SEED": "1", "KEEP": "", "HOUSEHOLDS": str(workload.FULL)}
    for name in values:
        values[name] = os.environ.get(name) or values[name]
    for word in words:
        name, sep, value = word.partition("=")
        if not sep or name not in values:
            sys.exit(__doc__)
        values[name] = value or values[name]
    if not values["SEED"].isdigit() or not values["HOUSEHOLDS"].isdigit() or int(values["HOUSEHOLDS"]) < FEWEST:
        sys.exit("demo: SEED is a number, HOUSEHOLDS one of at least %d" % FEWEST)
    return int(values["SEED"]), values["KEEP"] not in ("", "0"), int(values["HOUSEHOLDS"])


def second_version(text):
    """The policy with one column more; the files that it names are found from anywhere."""
    text, n1 = re.subn(r"version = 1\n", "version = 2\n", text)
    more = ', "%s" }' % os.path.abspath(os.path.join(HERE, "second.sql"))
    text, n2 = re.subn(r"(schema = \{[^}]*?) \}", lambda m: m[1] + more, text.replace("../../schema", os.path.abspath("schema")))
    text, n3 = re.subn(r"water, helper, remark, updated_at \}", "water, helper, remark, updated_at, broadband }", text)
    if (n1, n2, n3) != (1, 1, 1):
        raise Failed("%s is not the policy that the demonstration knows" % POLICY)
    return text


class Demo(Tree):
    def __init__(self, seed, households):
        super().__init__()
        self.seed, self.households = seed, households
        self.expected, self.lock = dict.fromkeys(REGISTERS, 0), threading.Lock()

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

    def stands(self, what, table, column=None):
        """Waits until every node that runs has the table or column."""
        nodes = [n for n in self.nodes if n.process]

        def have():
            return sum(n.has(table, column) for n in nodes)

        self.wait(what, lambda: have() == len(nodes), lambda: "%s at %d of %d nodes" % (what, have(), len(nodes)))

    # ---- the story

    def enrol(self):
        self.say("Enrolment: %s is the top; every other node joins with an invitation of its superior" % self.county.name)
        self.start_relay()
        self.county.init("--root", *self.county.listen_options())
        self.county.start()
        self.county.ctl("policy", "publish", POLICY)
        for level in (self.towns, self.villages):
            self.together([node.enrol for node in level])
            self.stands("the policy stands", "relief_case")
        self.say("%d nodes run; the county's policy \"relief\" has made the registers at each" % len(self.nodes))

    def load(self):
        persons = int(self.households * workload.PERSONS)
        total, start = 2 * (self.households + persons), self.elapsed()
        self.say("Loading: each township enters %d households and %d persons by plain SQL" % (self.households, persons))
        loaders = [subprocess.Popen([sys.executable, os.path.join(HERE, "work.py"), "load", town.database, str(t + 1),
                                     str(self.households), str(self.seed)], stdout=subprocess.DEVNULL)
                   for t, town in enumerate(self.towns)]

        def arrived():
            return self.county.value("SELECT (SELECT count(*) FROM household)+(SELECT count(*) FROM person)")

        def tell():
            return "the county has %d of %d rows" % (arrived(), total)

        self.wait("loading", lambda: all(p.poll() is not None for p in loaders), tell)
        if any(p.returncode for p in loaders):
            raise Failed("a township's program could not write")
        written = self.elapsed()
        self.wait("rows at the county", lambda: arrived() == total, tell)
        there = self.elapsed()
        self.wait("villages take their rows", lambda: all(map(self.same_counts, self.villages)))
        self.expected.update(household=2 * self.households, person=2 * persons)
        self.say("%d rows: written after %.1f s, all at the county after %.1f s, the villages' own at the villages after %.1f s" %
                 (total, written - start, there - start, self.elapsed() - start))

    def apply_for_relief(self):
        for village in self.villages:
            self.writes(village, lambda db, unit, seed: {"relief_case": work.open_cases(db, unit, CASES, seed)})
        for t, town in enumerate(self.towns):
            for index in range(2, workload.VILLAGES):
                unit = workload.village_of(t + 1, index)[0]
                self.writes(town, lambda db, _, seed: {"relief_case": work.open_cases(db, unit, CASES_UNMANNED, seed)})
        self.wait("applications go up", lambda: self.counts(self.county)["relief_case"] == self.expected["relief_case"])
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

    def conflicts(self):
        town = self.towns[0]
        found, kinds = town.ask("conflicts", "list"), {}
        for c in found:
            kinds.setdefault((c["kind"], c["register"]), []).append(c)
        self.say("%s has %d conflicts on record: %s" % (town.name, len(found), ", ".join(
            "%d %s in %s" % (len(v), *k) for k, v in sorted(kinds.items())) or "none"))
        # One of each kind, then any; what was superseded first.
        shown = [v[0] for k, v in sorted(kinds.items(), key=lambda kv: kv[0][0] != "superseded")]
        shown = (shown + [c for v in kinds.values() for c in v[1:]])[:2]
        if len(shown) < 2:
            raise Failed("fewer than two conflicts came from the data; try another SEED or more HOUSEHOLDS")
        for c in shown:
            self.explain(town, c)
        print()

    def explain(self, town, c):
        """One conflict: what was written, what stands, why; and what `why` says of the row."""
        names, deleted = {n.unit: n.name for n in self.nodes}, c["kind"] == "edited-while-deleted"
        kept, lost = ((c[side] or {}).get("values") or {} for side in ("kept", "lost"))
        loser, keeper = (names.get((c[side] or {}).get("unit"), "nobody") for side in ("lost", "kept"))
        columns = [name for name in lost if kept.get(name) != lost[name]]

        def cell(value):
            return "-" if value is None else "(empty)" if value == "" else str(value)

        print("\n    %s %s, group %s: %s" % (c["register"], c["key"], c["group"], c["kind"]))
        print_table([("column", loser + " wrote", "stood before" if deleted else keeper + " wrote")] +
                    [(name, cell(lost[name]), cell(kept.get(name))) for name in columns])
        if deleted:
            print("    A superior had deleted the row, and %s had not seen that: the row stays deleted." % loser)
        else:
            print("    Neither had seen the other's value, and both may decide this group: the higher level's stands, whole.")
        why = town.ask("why", c["register"], str(c["key"]), "--group", c["group"])
        held = next((g["held"] for g in why["groups"] if g["group"] == c["group"]), None) or {}
        print("    Decided by rule %s under policy version %s; %s's value is on record. Held now: %s" % (
            c["rule"], ", ".join(str(p["version"]) for p in c["policy"]), loser,
            "nothing, the row is gone" if not why["alive"] else "a %s by %s" % (held.get("mode"), names.get(held.get("unit")))))
        print("    $ " + town.ctl_line("conflicts", "show", str(c["id"])))
        print("    $ " + town.ctl_line("why", c["register"], str(c["key"])), flush=True)

    def second_policy(self):
        path = os.path.join(self.folder, "relief-2.policy")
        with open(POLICY, encoding="utf-8") as old, open(path, "w", encoding="utf-8") as new:
            new.write(second_version(old.read()))
        self.say("The county publishes version 2 of its policy: households get a column, broadband 宽带")
        self.county.ctl("policy", "publish", path)
        self.stands("the column stands", "household", "broadband")
        filled = []
        for village in self.villages:
            self.writes(village, lambda db, unit, seed: filled.append(work.fill_new_column(db, unit, seed)) or {})
        self.wait("the new column's values go up", lambda: self.county.value("SELECT count(broadband) FROM household") == sum(filled))
        self.say("The column stands at all %d nodes; %d values written in the villages are at the county" %
                 (len(self.nodes), sum(filled)))

    def late(self):
        node = self.add(1, 3, self.towns[0])
        self.say("%s, unmanned until now, gets a computer" % node.name)
        node.enrol()
        self.villages.append(node)
        self.wait("%s takes its rows" % node.name, lambda: node.has("household", "broadband") and self.same_counts(node))
        self.say("%s has its %s" % (node.name, ", ".join("%d %s" % (n, r) for r, n in self.counts(node).items())))

    # ---- the end

    def result(self):
        """What is not equal."""
        self.say("Waiting until every level is in step")
        self.in_step()
        problems, rows, digests = [], [], {}
        for node in self.nodes:                                              # superiors first
            status, have = node.ask("status"), self.counts(node)
            digests.update((c["unit"], c["digest"]) for c in status["children"])
            state = digests.get(node.unit, "unknown") if node.parent else "top"
            if node.parent and state != "equal":
                problems.append("%s: digest %s" % (node.name, state))
            if node.parent and not self.same_counts(node):
                problems.append("%s has %s, its superior %s of it" % (node.name, have, self.counts(node.parent, node.unit)))
            indent = "" if not node.parent else "  " if node.port else "    "
            rows.append((indent + node.name, node.unit, *map(str, have.values()), state, str(status["conflicts_open"])))
        if self.counts(self.county) != self.expected:
            problems.append("the county has %s; entered and not deleted were %s" % (self.counts(self.county), self.expected))
        self.say("The tree; rows counted by plain SQL:")
        print_table([("node", "unit", *REGISTERS, "with its superior", "conflicts")] + sorted(rows, key=lambda row: row[1]))
        self.say("Compared from outside, by a script that knows SQLite only:")
        done = subprocess.run([sys.executable, os.path.join("tests", "lib", "compare.py")] +
                              ["%s=%s" % (n.unit, n.home) for n in self.nodes], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        quote(done.stdout.decode(errors="replace"))
        if done.returncode:
            problems.append("the outside comparison found differences")
        problems += ["%s: %s" % (node.name, line) for node in self.nodes for line in self.alarms(node)]
        self.say("Bytes on the wire, everything counted:")
        sent = self.relay_does("count")
        print_table([("line", "up", "down")] + [
            ("%s and those below it" % n.name, *("%.2f MB" % (sent[n.label][way] / 1e6) for way in ("up", "down")))
            for n in self.nodes if n.port])
        return problems

    def leave_running(self):
        village, code = self.villages[0], self.villages[0].unit + "000001"
        print("\nThe tree goes on running.  Look at it:\n")
        for line in (self.county.ctl_line("status", "--tree"), self.towns[0].ctl_line("conflicts", "list"), village.ctl_line("log"),
                     "sqlite3 %s \"UPDATE household SET phone='13800000000' WHERE code='%s'\"" % (village.database, code),
                     "sqlite3 %s \"SELECT phone FROM household WHERE code='%s'\"" % (self.county.database, code)):
            print("  " + line)
        print("\nThe daemons' logs are %s/*.log.  Stop it, and remove its folder:\n\n  %s" % (self.folder, self.write_stop_script()))

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
        if not problems:
            self.say("Every level is in step, in %.0f seconds.  (make demo SEED=%d: other people, other conflicts)" %
                     (self.elapsed(), self.seed + 1))
        return 1 if problems else 0


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")
    seed, keep, households = options(sys.argv[1:])
    os.chdir(TOP)
    demo, status = Demo(seed, households), 1
    try:
        status = demo.run()
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
                print("The homes and logs are kept in " + demo.folder, file=sys.stderr)
            else:
                demo.say("All daemons have ended, the slowest in %.1f s" % longest)
                shutil.rmtree(demo.folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
