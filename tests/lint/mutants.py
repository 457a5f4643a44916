#!/usr/bin/env python3
"""Every mutant of tests/mutants still applies: what it replaces stands exactly once in its file."""
import glob
import importlib.util
import os
import sys

import lint

spec = importlib.util.spec_from_file_location("mutants", os.path.join(lint.TOP, "tests/unit/mutants.py"))
mutants = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mutants)


def misplaced(rows, read):
    return ["%s: %s" % (file, name) for _, _, file, name, old, new in rows if read(file).count(old) != 1 or old == new]


def main():
    planted = [([], [], "f", "twice", "a", "b"), ([], [], "f", "once", "c", "d"), ([], [], "f", "nothing changes", "c", "c")]
    seen = misplaced(planted, lambda file: "a a c")
    bad = [] if seen == ["f: twice", "f: nothing changes"] else ["the planted mutants: %s" % seen]
    rows = []
    for path in sorted(glob.glob(os.path.join(lint.TOP, "tests/mutants/*.txt"))):
        rows += mutants.read_table(path)
    bad += misplaced(rows, lambda file: open(os.path.join(lint.TOP, file), encoding="utf-8").read())
    for line in bad:
        print("does not apply: " + line)
    print("mutants: %d passed, %d failed" % (len(rows) + 2 - len(bad), len(bad)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
