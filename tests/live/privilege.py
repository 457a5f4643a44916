#!/usr/bin/env python3
"""What a running daemon may and may not: no core file, no look into its memory, keys for its user alone, nothing written
outside its home, no new privileges asked for; names that are SQL or paths stay names."""
import os
import re
import resource
import stat
import subprocess
import sys
import tempfile

from lib_homes import ROOT, USER, Homes
from lib_tree import TOP, Checks, wait

NASTY = "x\"; DROP TABLE household; --'../../etc"
POLICY = """policy "nasty" {
  version = 1
  schema = { "nasty.sql" }
  register "%s" {
    key = { "k\\"y" }  unit = place  ceiling = county
    group row  { create = { county, township } delete = { county, township } }
    group body { columns = { "t; DROP TABLE x" } own = { county, township } }
  }
}
"""


def modes(home):
    for folder, below, names in os.walk(home):
        for name in below + names:
            path = os.path.join(folder, name)
            yield os.path.relpath(path, home), os.lstat(path)


def process(checks, p, home):
    with open("/proc/%d/limits" % p.pid, encoding="ascii") as f:
        core = next(line for line in f if line.startswith("Max core file size"))
    checks.check(core.split()[4:6] == ["0", "0"], "no core file: %s" % core.strip())
    if ROOT:
        checks.check(os.stat("/proc/%d/mem" % p.pid).st_uid == 0 != USER.pw_uid, "its own user may not look into its memory")
    with open("/proc/%d/status" % p.pid, encoding="ascii") as f:
        status = dict(line.split(":\t", 1) for line in f if ":\t" in line)
    checks.check(int(status["CapEff"], 16) == 0, "it runs without any capability")
    secret = {n: s for n, s in modes(home) if n.startswith("identity/")}
    checks.check(len(secret) >= 4 and all(s.st_mode & 0o077 == 0 for n, s in secret.items() if not n.endswith("chain.pem")),
                 "keys are their user's alone: %s" % {n: oct(s.st_mode) for n, s in secret.items()})
    checks.check(all(not s.st_mode & 0o007 for n, s in modes(home) if "/" not in n), "nothing in the home is anybody's")
    checks.check(os.stat(os.path.join(home, "identity")).st_mode & 0o777 == 0o700, "identity is 0700")
    checks.check(stat.S_ISSOCK(os.stat(os.path.join(home, "control.sock")).st_mode), "the control socket is there")
    opened = set()
    for fd in os.listdir("/proc/%d/fd" % p.pid):
        target = os.readlink("/proc/%d/fd/%s" % (p.pid, fd))
        if target.startswith("/") and not target.startswith(("/dev/", "/memfd:")):
            opened.add(target)
    checks.check(all(t.startswith(os.path.dirname(home)) for t in opened), "it has files open in its home alone: %s" % len(opened))


def names(checks, homes, home):
    folder = homes.mine(os.path.join(homes.work, "policy"))
    quoted = NASTY.replace('"', '""')
    with open(os.path.join(folder, "nasty.sql"), "w", encoding="utf-8") as f:
        f.write('CREATE TABLE "%s"("k""y" TEXT NOT NULL PRIMARY KEY, place TEXT, "t; DROP TABLE x" TEXT);\n' % quoted)
    with open(os.path.join(folder, "nasty.policy"), "w", encoding="utf-8") as f:
        f.write(POLICY % NASTY.replace('"', '\\"'))
    db = os.path.join(home, "registers.db")
    checks.check(homes.run("sqlite3", db, "CREATE TABLE household(a)").returncode == 0, "a table of the application")
    done = homes.ctl(home, "policy", "publish", os.path.join(folder, "nasty.policy"))
    checks.check(done.returncode == 0, "a policy whose names are SQL: %s" % done.stderr.strip())
    before = {n for n, _ in modes(homes.work)}
    sql = 'INSERT INTO "%s" VALUES(\'a\', \'532999101201\', \'b\')' % quoted
    wait(lambda: homes.run("sqlite3", db, sql).returncode == 0, "the register with the strange name", 10)
    homes.ctl(home, "sync")
    out = homes.run("sqlite3", db, "SELECT count(*) FROM household; SELECT \"t; DROP TABLE x\" FROM \"%s\"" % quoted).stdout.split()
    checks.check(out == ["0", "b"], "a register whose name is SQL is a register like any other: %s" % out)
    done = homes.ctl(home, "why", NASTY, "a")
    checks.check(done.returncode == 0 and "532999101201" in done.stdout, "and can be asked about: " + done.stderr.strip()[:100])
    made = {n for n, _ in modes(homes.work)} - before
    checks.check(all(re.search(r"registers\.db-(wal|shm|journal)$|\.log$", n) for n in made), "no file came of a name: %s" % made)
    for word in ("../../etc/passwd", "/etc/passwd", NASTY):
        done = homes.ctl(home, "segment", "dump", word)
        checks.check(done.returncode in (2, 4, 5) and "root:" not in done.stdout, "segment dump %.16s: %d" % (word, done.returncode))


def main():
    checks = Checks()
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    with tempfile.TemporaryDirectory(prefix="terrace-live-") as folder:
        homes = Homes(folder)
        try:
            home = homes.make("county")
            p, _ = homes.daemon(home)
            process(checks, p, home)
            names(checks, homes, home)
            checks.check(p.poll() is None, "the daemon goes on")
        finally:
            homes.end()
    unit = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", os.path.join(TOP, "systemd", "terraced.service")],
                          capture_output=True, text=True)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", unit.stdout)
    checks.check(found and float(found[1]) <= 2.5, "systemd's exposure level of the unit: %s" % (found and found[1] or unit.stderr[:200]))
    checks.close()


sys.exit(main())
