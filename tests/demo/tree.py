"""A county, two townships and four villages on loopback: their nodes, the lines between them, and waiting for them."""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata

from node import Failed, Node, free_ports
from work import workload

HERE = os.path.join("tests", "demo")
LIMIT = 120                              # seconds that any waiting may take
REGISTERS = {"household": "village_code", "person": "village_code", "relief_case": "unit_code"}


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def print_table(rows):
    widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("    " + "  ".join(text + " " * (w - width(text)) for text, w in zip(row, widths)).rstrip())
    sys.stdout.flush()


def quote(text):
    print("".join("      " + line + "\n" for line in text.rstrip().splitlines()), flush=True)


class Tree:
    def __init__(self):
        self.began = time.monotonic()
        self.folder = tempfile.mkdtemp(prefix="terrace-demo-")
        self.nodes, self.relay, self.told = [], None, 0
        self.county = self.add(0, 0)
        self.towns = [self.add(t, 0, self.county) for t in (1, 2)]
        self.villages = [self.add(t + 1, v, town) for t, town in enumerate(self.towns) for v in (1, 2)]

    def add(self, town, village, parent=None):
        if village:
            unit, place = workload.village_of(town, village - 1)
            node = Node(self.folder, "village%d-%d" % (town, village), unit, place + "村", parent)
        else:
            label = "township%d" % town if town else "county"
            name = workload.TOWNS[town - 1] if town else workload.COUNTY_NAME
            node = Node(self.folder, label, workload.COUNTY + ("%03d000" % (100 + town) if town else "000000"), name, parent)
            node.port, node.relay_port = free_ports(2)
        self.nodes.append(node)
        return node

    # ---- telling

    def elapsed(self):
        return time.monotonic() - self.began

    def say(self, text, *rest):
        self.told = self.elapsed()
        print("%s[%6.1f s] %s" % ("\r\033[K" if sys.stdout.isatty() else "", self.told, text), *rest, sep="\n           ", flush=True)

    def progress(self, text):
        """A line that moves on a terminal; elsewhere one every ten seconds."""
        if sys.stdout.isatty():
            print("\r\033[K[%6.1f s]   %s" % (self.elapsed(), text), end="", flush=True)
        elif self.elapsed() - self.told >= 10:
            self.say("  " + text)

    # ---- waiting

    def wait(self, what, done, tell=None):
        until = time.monotonic() + LIMIT
        while not done():
            if time.monotonic() > until:
                raise Failed("waited %d s in vain: %s" % (LIMIT, tell() if tell else what))
            for node in self.nodes:
                if node.process and node.process.poll() is not None:
                    raise Failed("%s: the daemon ended, status %d" % (node.name, node.process.returncode))
            self.progress(tell() if tell else what)
            time.sleep(.2)

    @staticmethod
    def together(jobs):
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

    def in_step(self):
        """Every change is settled, every node has all that waits for it, and digests compared since then are equal."""
        for level in (self.villages, self.towns, self.villages):
            self.together([lambda n=n: n.ctl("sync", "--wait", str(LIMIT), allow=(0, 1), timeout=LIMIT + 10) for n in level])
        since, asked = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()), 0
        until = time.monotonic() + LIMIT
        while behind := self.behind(since):
            if time.monotonic() > until:
                raise Failed("not in step after %d s: %s" % (LIMIT, ", ".join(n.name + ": " + why for n, why in behind)))
            self.progress("not in step yet: " + ", ".join(sorted({n.name for n, _ in behind})))
            if time.monotonic() - asked > 1:
                asked = time.monotonic()
                self.together([lambda n=n: n.ctl("sync", allow=(0, 1)) for n in {n for n, _ in behind if n.parent}])
            time.sleep(.2)

    def behind(self, since):
        """(node, why) of those not in step, by the nodes' own word."""
        found, by_unit = [], {n.unit: n for n in self.nodes}
        for node in self.nodes:
            status = node.ask("status", "--tree")
            if status["log_pending"]:
                found.append((node, "has not sealed everything"))
            if node.parent and status["upstream"]["pending_segments"]:
                found.append((node, "has not sent everything"))
            for c in status["children"]:
                child, compared = by_unit.get(c["unit"]), c["as_of"] or ""
                if child and child.parent is node and (c["digest"] != "equal" or compared < since):
                    found.append((child, "digest %s, compared %s" % (c["digest"], compared or "never")))
        return found

    # ---- lines: one relay before each node with children; its bytes are counted, and it can be cut

    def relay_path(self):
        return os.path.join(self.folder, "relay.sock")

    def start_relay(self):
        self.relay = subprocess.Popen([sys.executable, os.path.join(HERE, "relay.py"), self.relay_path()] +
                                      ["%s=%d:%d" % (n.label, n.relay_port, n.port) for n in self.nodes if n.port],
                                      stdin=subprocess.DEVNULL, start_new_session=True)
        self.wait("the relay", lambda: os.path.exists(self.relay_path()))

    def relay_does(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.relay_path())
            s.sendall(command.encode() + b"\n")
            answer = b""
            while piece := s.recv(65536):
                answer += piece
        return json.loads(answer)

    # ---- looking, by plain SQL and at the logs

    @staticmethod
    def counts(node, unit=None):
        """Rows of each register that a node has, or has of a unit."""
        scope = re.sub("(000){1,2}$", "", unit) if unit else ""
        return {r: node.value("SELECT count(*) FROM %s WHERE %s LIKE ?" % (r, column), scope + "%")
                for r, column in REGISTERS.items()}

    def same_counts(self, node):
        return self.counts(node) == self.counts(node.parent, node.unit)

    @staticmethod
    def alarms(node):
        with open(node.log, encoding="utf-8", errors="replace") as f:
            return [line.rstrip() for line in f if re.match(r"\S+ error |\S+ \w+ alarm: ", line)]

    def complain(self, text):
        print("\ndemo: " + text, file=sys.stderr)
        for node in self.nodes:
            found = self.alarms(node) if os.path.exists(node.log) else []
            if found:
                print("--- %s, %s" % (node.name, node.log), *found[-6:], sep="\n", file=sys.stderr)

    # ---- the end

    def stop(self):
        """Seconds that the slowest orderly end took."""
        longest = max(node.stop() for node in reversed(self.nodes))
        if self.relay:
            self.relay.terminate()
            self.relay.wait()
        return longest

    def write_stop_script(self):
        """Ends what was left running: the daemons that still serve these homes, and the relay (its socket goes)."""
        path = os.path.join(self.folder, "stop")
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n"
                    "# Ends the demonstration's daemons and removes its folder.\n"
                    "for pid in %s; do\n"
                    "\ttr '\\0' ' ' 2>/dev/null </proc/$pid/cmdline | grep -qF -- '--home %s/' && kill $pid\n"
                    "done\nsleep 2\nrm -rf '%s'\n" %
                    (" ".join(str(n.process.pid) for n in reversed(self.nodes)), self.folder, self.folder))
        os.chmod(path, 0o755)
        return path
