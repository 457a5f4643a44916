"""One node of the demonstration: its home, its daemon, and what people do to it (terracectl, plain SQL)."""
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time

BUILD = os.environ.get("BUILD", "build")
TERRACED, TERRACECTL = os.path.join(BUILD, "terraced"), os.path.join(BUILD, "terracectl")
HOST = "127.0.0.1"


class Failed(Exception):
    pass


def free_ports(n):
    """n ports that nobody listens on now."""
    taken = [socket.socket() for _ in range(n)]
    for s in taken:
        s.bind((HOST, 0))
    ports = [s.getsockname()[1] for s in taken]
    for s in taken:
        s.close()
    return ports


class Node:
    def __init__(self, folder, label, unit, name, parent=None):
        self.label, self.unit, self.name, self.parent = label, unit, name, parent
        self.home = os.path.join(folder, label)
        self.log = os.path.join(folder, label + ".log")
        self.process = None
        self.port = self.relay_port = None               # of a node with children

    # ---- terracectl

    def ctl_line(self, *words):
        return " ".join([TERRACECTL, "--home", self.home, *words])

    def ctl(self, *words, allow=(0,), timeout=150):
        """Standard output; an exit status that is not allowed ends the demonstration."""
        line = [TERRACECTL, "--home", self.home, *words]
        try:
            done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failed("%s: no answer in %d s" % (self.ctl_line(*words), timeout))
        if done.returncode not in allow:
            raise Failed("%s: exit status %d\n%s%s" % (self.ctl_line(*words), done.returncode,
                                                       done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")))
        return done.stdout.decode(errors="replace")

    def ask(self, *words, allow=(0, 1)):
        text = self.ctl(*words, "--json", allow=allow)
        try:
            return json.loads(text)
        except ValueError:
            raise Failed("%s: no JSON: %s" % (self.ctl_line(*words, "--json"), text[:200]))

    # ---- enrolment

    def listen_options(self):
        return ["--listen", "%s:%d" % (HOST, self.port), "--url", "https://%s:%d" % (HOST, self.relay_port)]

    def init(self, *options):
        self.ctl("init", "--unit", self.unit, "--name", self.name, "--line", "civil-affairs", *options)

    def enrol(self):
        """The parent's administrator gives the invitation, this one's joins with it.  A bare join makes the home."""
        text = self.parent.ctl("invite", self.unit, "--name", self.name)
        line = re.search(r"terrace:1:[A-Za-z0-9_-]+", text)
        if not line:
            raise Failed("%s: no invitation in: %s" % (self.parent.ctl_line("invite", self.unit), text))
        if self.port:
            self.init(*self.listen_options())
        self.ctl("join", line[0])
        self.start()

    # ---- the daemon

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([TERRACED, "--home", self.home], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Failed("%s: the daemon ended at once, status %d" % (self.name, self.process.returncode))
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(os.path.join(self.home, "control.sock"))
                return
            except OSError:
                time.sleep(.02)
            finally:
                s.close()
        raise Failed("%s: the daemon does not answer after 20 s" % self.name)

    def stop(self):
        """Seconds that the orderly end took."""
        if not self.process or self.process.poll() is not None:
            return 0
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - start

    # ---- plain SQL, as any application

    @property
    def database(self):
        return os.path.join(self.home, "registers.db")

    def open(self):
        db = sqlite3.connect(self.database, isolation_level=None, timeout=60)
        db.execute("PRAGMA busy_timeout=60000")
        return db

    def value(self, sql, *parameters):
        db = sqlite3.connect("file:%s?mode=ro" % self.database, uri=True, timeout=60)
        try:
            return db.execute(sql, parameters).fetchone()[0]
        finally:
            db.close()

    def has(self, table, column=None):
        sql = "SELECT count(*) FROM pragma_table_info(?)" + (" WHERE name=?" if column else "")
        return os.path.exists(self.database) and self.value(sql, *([table, column] if column else [table])) > 0
