"""A small real tree for live tests: a county, a township, a village; the node class is the demonstration's."""
import os
import shutil
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tests", "demo"))
from node import Failed, Node, free_ports          # noqa: E402

POLICY = os.path.join(TOP, "conf", "policies", "relief.policy")


class Tree:
    """county – township – village, started and enrolled; `with Tree() as t`."""

    def __init__(self, publish=True):
        self.folder = tempfile.mkdtemp(prefix="terrace-live-")
        self.county = Node(self.folder, "county", "532999000000", "county")
        self.township = Node(self.folder, "township", "532999101000", "township", self.county)
        self.village = Node(self.folder, "village", "532999101201", "village", self.township)
        self.nodes = [self.county, self.township, self.village]
        for node, port in zip(self.nodes[:2], free_ports(2)):
            node.port = node.relay_port = port
        self.publish = publish

    def __enter__(self):
        try:
            self.county.init("--root", *self.county.listen_options())
            self.county.start()
            if self.publish:
                self.county.ctl("policy", "publish", POLICY)
            for node in self.nodes[1:]:      # who has met its parent knows the tree's time, and may invite
                node.enrol()
                wait(lambda n=node: n.has("household") if self.publish else n.ask("status")["upstream"]["last_contact"],
                     "the first contact of %s" % node.label)
            return self
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, *_):
        for node in self.nodes:
            node.stop()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)


def wait(true, what, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return
        time.sleep(.02)
    raise Failed("waited %d s for %s" % (seconds, what))


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, good, text):
        self.passed += bool(good)
        self.failed += not good
        print("  %-8s %s" % ("ok" if good else "FAILED", text), flush=True)

    def close(self):
        print("%d passed, %d failed" % (self.passed, self.failed))
        sys.exit(self.failed > 0)
