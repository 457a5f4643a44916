#!/usr/bin/env python3
"""Mutants of the C code: each breaks one clause; a test must notice.  mutants.py [TABLE | NAME-PART] ...

A copy of the tree in $BUILD/mutants is built once; then each mutant changes one place, rebuilds its tests and runs them.
Killed = a test does not build, fails or takes too long.  Survivors are printed; exit 1 if any, or if a mutant does not apply.

Tables: tests/mutants/*.txt, read in order of name.
  # tests: test_rule sim/40 live/a.py    programs of tests/unit, so many seeds of the simulator, scripts of tests/live, that
                                         must notice, first the quickest (until the next such line)
  # folders: base core                   daemon folders that they need (all, where not named)
  # anything else                        a comment
  file|name|old|new                      \\n \\t \\\\ \\p stand for newline, tab, backslash, |; `old` stands exactly once in the file
"""
import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRATCH = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD", "build"), "mutants"))
VECTORS = os.environ.get("TERRACE_VECTORS") or os.path.join(os.path.abspath(os.path.join(ROOT, os.environ.get("VECTORS", "build/vectors"))), "rule.json")
ESCAPES = {"n": "\n", "t": "\t", "p": "|", "\\": "\\"}

def plain(text):
    return re.sub(r"\\(.)", lambda m: ESCAPES[m.group(1)], text)

def read_table(path):
    """[(tests, folders, file, name, old, new)]"""
    tests, folders, rows = [], [], []
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        word, _, rest = line.lstrip("# ").partition(":")
        if line.startswith("#"):
            tests = rest.split() if word == "tests" else tests
            folders = rest.split() if word == "folders" else folders
        elif line:
            fields = line.split("|")
            if len(fields) != 4 or not tests:
                sys.exit("%s:%d: file|name|old|new wanted, after a line `# tests: ...`" % (path, number))
            rows.append((tests, folders, *map(plain, fields)))
    return rows

def copy_tree(folders):
    """What the tests need, so that the work tree is never touched."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    for name in ["Makefile", "include", "schema", "conf", "systemd", "tests"]:
        copy = shutil.copytree if os.path.isdir(os.path.join(ROOT, name)) else shutil.copy2
        if os.path.exists(os.path.join(ROOT, name)):
            os.makedirs(SCRATCH, exist_ok=True)
            copy(os.path.join(ROOT, name), os.path.join(SCRATCH, name))
    for name in folders or [os.path.basename(d) for d in glob.glob(os.path.join(ROOT, "daemon", "*"))]:
        shutil.copytree(os.path.join(ROOT, "daemon", name), os.path.join(SCRATCH, "daemon", name))

def program(test):
    return "all" if test.startswith("live/") else os.path.join("build/tests", test.split("/")[0])

def command(test):
    kind, _, rest = test.partition("/")
    if kind == "live":
        return [{"py": "python3", "sh": "bash"}[rest.rsplit(".", 1)[1]], "tests/live/" + rest]
    return [program(test)] + (["--seeds", rest] if rest else [])

def make(tests):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BUILD", "SAN", "FUZZ")}
    return subprocess.run(["make", "-s", "O=", "MODE=-O0"] + [program(t) for t in tests], cwd=SCRATCH, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)

def notices(test):
    """The name of the first test of the program that fails, or "" """
    env = dict(os.environ, TERRACE_VECTORS=VECTORS, BUILD="build", RESULTS="build/results")
    try:
        run = subprocess.run(command(test), cwd=SCRATCH, env=env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    except subprocess.TimeoutExpired:
        return test + ": time"
    if run.returncode == 0:
        return ""
    failed = re.search(rb"\[  FAILED  \] (\w+)", run.stdout)
    return "%s: %s" % (test, failed.group(1).decode() if failed else "status %d" % run.returncode)

def killer(tests, file, old, new):
    path = os.path.join(SCRATCH, file)
    source = open(path, encoding="utf-8").read()
    if source.count(old) != 1:
        return "does not apply: %d places" % source.count(old), False
    with open(path, "w", encoding="utf-8") as f:
        f.write(source.replace(old, new))
    try:
        for test in tests:
            built = make([test])
            found = "the compiler" if built.returncode else notices(test)
            if found:
                return found, True
        return "SURVIVES", False
    finally:
        with open(path, "w", encoding="utf-8") as f:
            f.write(source)

def prepare(tests, folders):
    copy_tree(folders)
    built = make(tests)
    if built.returncode:
        sys.exit("the tests do not build without a mutant:\n" + built.stdout[-4000:])
    for test in tests:
        if notices(test):
            sys.exit("%s fails without a mutant" % notices(test))

def main():
    rows, wanted, ready, bad, done = [], sys.argv[1:], None, [], 0
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/mutants/*.txt"))):
        rows += [r for r in read_table(path) if not wanted or any(w in path or w in r[3] for w in wanted)]
    for tests, folders, file, name, old, new in rows:
        if ready != (tests, folders):
            prepare(tests, folders)
            ready = tests, folders
        found, killed = killer(tests, file, old, new)
        done += 1
        bad += [] if killed else ["%s %s" % (file, name)]
        print("%-22s %-44s %s" % (os.path.basename(file), name, found), flush=True)
    for name in bad:
        print("survives or does not apply: " + name)
    print("mutants: %d passed, %d failed" % (done - len(bad), len(bad)))
    sys.exit(1 if bad or not rows else 0)

if __name__ == "__main__":
    main()
