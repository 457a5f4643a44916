"""A clock of its own for a node of a live test: clock_shift.c is preloaded into its programs."""
import os
import subprocess

from lib_tree import TOP, Node


def library(folder):
    path = os.path.join(folder, "clock_shift.so")
    if not os.path.exists(path):
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", path,
                        os.path.join(TOP, "tests", "live", "clock_shift.c"), "-ldl"], check=True)
    return path


class ClockNode(Node):
    """All of the node's programs see its clock; what runs already keeps the one that it has."""
    clock = {}

    def with_clock(self, act, *args, **named):
        os.environ.update(self.clock)
        try:
            return act(*args, **named)
        finally:
            for name in self.clock:
                os.environ.pop(name, None)

    def ctl(self, *words, **named):
        return self.with_clock(super().ctl, *words, **named)

    def start(self):
        self.with_clock(super().start)


def give_clock(node, shift=0, jump=0, speed=1):
    node.__class__ = ClockNode
    node.clock = {} if (shift, jump, speed) == (0, 0, 1) else {
        "LD_PRELOAD": library(os.path.dirname(node.home)), "CLOCK_SHIFT": str(shift), "CLOCK_JUMP": str(jump), "CLOCK_SPEED": str(speed)}
