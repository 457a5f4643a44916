#!/usr/bin/env python3
"""Databases and homes that a daemon cannot use: no SQLite, damaged, read-only, another user's, locked for long, in use, and
configurations that are wrong.  Each gets one line that names the file and says what to do; the file stays as it was.
As root the programs run as an unprivileged user, because root may read and write anything."""
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading

from lib_homes import ROOT, USER, Homes
from lib_tree import TOP, Checks, wait

def content(path):
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest(), os.stat(path).st_mode


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def refuses(checks, homes, home, what, names, statuses=(4, 5), path=None):
    """The daemon ends with one line that holds all names; the file stays."""
    path = path or os.path.join(home, "registers.db")
    before = content(path)
    try:
        done = homes.run(os.path.join(homes.folder, "terraced"), "--home", home, timeout=20)
        status, text = done.returncode, done.stderr
    except subprocess.TimeoutExpired:
        status, text = None, "it goes on"
    lines = [x for x in text.splitlines() if x.strip()]
    checks.check(status in statuses and len(lines) == 1 and all(n in text for n in names),
                 "%s: %s %s" % (what, status, text.strip().replace(homes.work + "/", "")))
    checks.check(content(path) == before, what + ": the file stays as it was")


def files(checks, homes):
    home = homes.make("text")
    db = os.path.join(home, "registers.db")
    for what, data in (("no SQLite", b"code,name\n" * 200), ("a picture", b"\xff\xd8\xff\xe0" + bytes(5000)),
                       ("half a header", b"SQLite format 3\0" + b"\xff" * 40), ("another format's version", b"SQLite format 4\0" + bytes(4080))):
        with open(db, "wb") as f:
            f.write(data)
        os.chown(db, USER.pw_uid, USER.pw_gid)
        refuses(checks, homes, home, what, [db, "SQLite"])
        done = homes.ctl(home, "status")
        checks.check(done.returncode in (4, 5) and db in done.stderr, what + ", terracectl: " + done.stderr.strip()[-120:])
    os.remove(db)
    os.mkdir(db)
    refuses(checks, homes, home, "a folder", [db, "not a file", "name the database"])
    home = homes.make("nowhere")
    with open(os.path.join(home, "terraced.conf"), "a", encoding="utf-8") as f:
        f.write('database = "%s/none/x.db"\n' % homes.work)
    refuses(checks, homes, home, "a database in no folder", [homes.work + "/none/x.db", "its folder is not there"])


def permissions(checks, homes):
    home = homes.make("readonly")
    p, _ = homes.daemon(home)
    p.send_signal(signal.SIGTERM)
    p.wait(10)
    db = os.path.join(home, "registers.db")
    os.chmod(db, 0o444)
    refuses(checks, homes, home, "a read-only database", [db, "chmod"])
    os.chmod(db, 0o644)
    if ROOT:
        os.chown(db, 0, 0)
        os.chmod(db, 0o600)
        refuses(checks, homes, home, "another user's database", [db, "user 0", "chown"])
        os.chmod(db, 0o666)
        os.chown(home, 0, 0)
        os.chmod(home, 0o755)
        refuses(checks, homes, home, "another user's home", [home, "chown"])
        os.chown(home, USER.pw_uid, USER.pw_gid)
        os.chown(db, USER.pw_uid, USER.pw_gid)
        seed = os.path.join(home, "identity", "sign.seed")
        os.chown(seed, 0, 0)
        refuses(checks, homes, home, "another user's key", [seed, "another user"], (2,), seed)
        os.chown(seed, USER.pw_uid, USER.pw_gid)
    outside = homes.mine(os.path.join(homes.work, "outside"))
    elsewhere = os.path.join(outside, "app.db")
    sqlite3.connect(elsewhere).execute("CREATE TABLE t(a)")
    os.chown(elsewhere, USER.pw_uid, USER.pw_gid)
    os.chmod(outside, 0o555)
    home = homes.make("folder")
    with open(os.path.join(home, "terraced.conf"), "a", encoding="utf-8") as f:
        f.write('database = "%s"\n' % elsewhere)
    refuses(checks, homes, home, "a database in a folder that cannot be written", [elsewhere, "its folder", "chmod"], path=elsewhere)
    os.chmod(outside, 0o755)


def settings(checks, homes):
    home = homes.make("conf")
    conf = os.path.join(home, "terraced.conf")
    with open(conf, encoding="utf-8") as f:
        right = f.read()
    for what, text, named in (("an unknown key", 'colour = "green"', "colour"), ("a bad value", 'seal_ms = "soon"', "seal_ms"),
                              ("an unknown block", "sideways { }", "sideways"), ("an open string", 'url = "https://x', "end of file"),
                              ("no address", 'console = "here"', "console")):
        with open(conf, "w", encoding="utf-8") as f:
            f.write(right + text + "\n")
        refuses(checks, homes, home, what, ["terraced.conf:", named], (2,), conf)
    with open(conf, "w", encoding="utf-8") as f:
        f.write(right)
    p, _ = homes.daemon(home)
    refuses(checks, homes, home, "a home in use", [home, "in use"], (4,), conf)
    checks.check(p.poll() is None and homes.ctl(home, "status").returncode == 0, "the daemon that uses it goes on")


def locked(checks, homes):
    home = homes.make("locked")
    with open(os.path.join(home, "terraced.conf"), "a", encoding="utf-8") as f:
        f.write("seal_ms = 1500\n")
    p, log = homes.daemon(home)
    db = os.path.join(home, "registers.db")
    done = homes.ctl(home, "policy", "publish", os.path.join(TOP, "conf", "policies", "relief.policy"))
    checks.check(done.returncode == 0, "a policy is published " + done.stderr)
    holder = sqlite3.connect(db, isolation_level=None, timeout=20)
    holder.execute("INSERT INTO household(code, village_code) VALUES('532999101201000001', '532999101201')")
    holder.execute("BEGIN IMMEDIATE")
    done = homes.ctl(home, "sync")
    checks.check(done.returncode == 4 and db in done.stderr and "locked by another program" in done.stderr and
                 "end the long transaction" in done.stderr, "a command, while another program holds the lock: " + done.stderr.strip())
    wait(lambda: "locked by another program" in text_of(log), "the daemon to say so", 10)
    said = [line for line in text_of(log).splitlines() if "locked" in line]
    checks.check(p.poll() is None and len(said) == 1, "the daemon goes on, and says so once: %s" % said)
    holder.execute("COMMIT")
    wait(lambda: homes.ctl(home, "sync").returncode == 0, "the daemon to go on", 10)
    wait(lambda: "was locked by another program for" in homes.ctl(home, "--json", "log", "--kind", "alarm").stdout, "the log to tell it", 10)
    checks.check(holder.execute("SELECT count(*) FROM terrace_s1").fetchall() == [(1,)], "freed, what waited is sealed")
    homes.finished += 1


def locked_at_the_start(checks, homes):
    home = homes.make("start")
    p, _ = homes.daemon(home)
    p.send_signal(signal.SIGTERM)
    p.wait(10)
    db = os.path.join(home, "registers.db")
    # A process of its own: reading a file's bytes, as refuses() does, drops the locks of the process that reads.  In
    # rollback mode a lock keeps readers out too.
    other = subprocess.Popen([sys.executable, "-c", "import sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None); "
                              "print(d.execute('PRAGMA journal_mode = DELETE').fetchall()); d.execute('BEGIN EXCLUSIVE'); "
                              "print('locked', flush=True); sys.stdin.read()", db], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    said = [other.stdout.readline() for _ in range(2)]
    checks.check(b"delete" in said[0] and said[1] == b"locked\n", "another program holds the lock")
    refuses(checks, homes, home, "locked at the start", [db, "locked by another program"])
    other.stdin.close()
    other.wait(10)
    checks.check(homes.daemon(home)[0].poll() is None, "freed, the daemon starts")
    homes.finished += 1


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="terrace-live-") as folder:
        homes = Homes(folder)
        try:
            waiting = [threading.Thread(target=part, args=(checks, homes)) for part in (locked, locked_at_the_start)]
            for thread in waiting:           # these wait for locks most of the time
                thread.start()
            for part in (files, permissions, settings):
                part(checks, homes)
            for thread in waiting:
                thread.join()
            checks.check(homes.finished == 2, "both that wait for locks came to their end")
        finally:
            homes.end()
    checks.close()


sys.exit(main())
