"""A real county and townships of the workload's size, for benchmarks of daemons; the node class is the demonstration's."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tests", "demo"))
from node import Node, free_ports          # noqa: E402

HOUSEHOLDS = int(os.environ.get("HOUSEHOLDS", 20000))
POLICIES = os.path.join(TOP, "conf", "policies")


def workload(*words):
    subprocess.run([sys.executable, os.path.join(TOP, "tests", "bench", "workload.py"), *words, "--households", str(HOUSEHOLDS)],
                   check=True, stderr=subprocess.DEVNULL)


def wait(true, what, seconds=900):
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            sys.exit("waited %d s for %s" % (seconds, what))
        time.sleep(.2)


def memory(node, field):
    """MiB of the node's daemon: VmRSS, VmHWM."""
    with open("/proc/%d/status" % node.process.pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field + ":")) / 1024


def policy(folder):
    """The relief policy, but townships own every group: the workload fills them all."""
    with open(os.path.join(POLICIES, "relief.policy"), encoding="utf-8") as f:
        text = f.read().replace("own = { county }", "own = { county, township }")
    path = os.path.join(folder, "relief.policy")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("../../schema", os.path.realpath(os.path.join(TOP, "schema"))))
    return path


class County:
    """A county that has its policy; townships join it one by one."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="terrace-bench-")
        self.county = Node(self.folder, "county", "532999000000", "county")
        self.county.port = self.county.relay_port = free_ports(1)[0]
        self.nodes = [self.county]

    def __enter__(self):
        try:
            self.county.init("--root", *self.county.listen_options())
            self.county.start()
            self.county.ctl("policy", "publish", policy(self.folder))
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for node in self.nodes:
            node.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def join(self, number):
        """Township `number`, enrolled, with the tables."""
        unit = "532999%d000" % (100 + number)
        town = Node(self.folder, "town%d" % number, unit, unit, self.county)
        self.nodes.append(town)
        town.enrol()
        wait(lambda: town.has("household") and town.has("person"), "the policy at %s" % unit, 60)
        return town

    def equal(self, town):
        """Whether the county has acknowledged all that the township holds."""
        return self.rows(self.county, town.unit) == self.rows(town, town.unit) and \
            any(c["unit"] == town.unit and c["digest"] == "equal" for c in self.county.ask("status")["children"])

    @staticmethod
    def rows(node, unit):
        return sum(node.value("SELECT count(*) FROM %s WHERE village_code BETWEEN ? AND ?" % t, unit, unit[:9] + "999")
                   for t in ("household", "person"))


class Goals:
    def __init__(self, name):
        self.name, self.passed, self.failed = name, 0, 0

    def most(self, goal, what, value, limit, unit):
        good = value <= limit
        self.passed += good
        self.failed += not good
        print("%-4s %-62s %7.1f %s, goal <= %g: %s" % (goal, what, value, unit, limit, "reached" if good else "MISSED"), flush=True)

    def close(self):
        print("%s: %d passed, %d failed" % (self.name, self.passed, self.failed))
        sys.exit(self.failed > 0)
