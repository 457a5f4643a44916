"""Homes whose programs run as an unprivileged user, also where the test is root."""
import os
import pwd
import shutil
import signal
import subprocess

from lib_tree import wait

BUILD = os.environ.get("BUILD", "build")
ROOT = os.geteuid() == 0
USER = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.geteuid())
DROP = ["setpriv", "--reuid=%d" % USER.pw_uid, "--regid=%d" % USER.pw_gid, "--clear-groups", "--"] if ROOT else []


class Homes:
    def __init__(self, folder):
        self.folder, self.running, self.finished = folder, [], 0
        os.chmod(folder, 0o755)
        for name in ("terraced", "terracectl"):
            shutil.copy(os.path.join(BUILD, name), folder)
        self.work = self.mine(os.path.join(folder, "homes"))

    def mine(self, path):
        """The unprivileged user's own folder."""
        os.makedirs(path, exist_ok=True)
        os.chown(path, USER.pw_uid, USER.pw_gid)
        return path

    def run(self, *words, timeout=30):
        return subprocess.run([*DROP, *words], capture_output=True, text=True, timeout=timeout, cwd=self.work)

    def ctl(self, home, *words):
        return self.run(os.path.join(self.folder, "terracectl"), "--home", home, *words)

    def make(self, name):
        home = os.path.join(self.work, name)
        done = self.ctl(home, "init", "--root", "--unit", "532999000000", "--name", "x")
        assert done.returncode == 0, done.stderr
        return home

    def daemon(self, home):
        """One that stays; (process, its log)."""
        log = home + ".log"
        with open(log, "ab") as f:
            p = subprocess.Popen([*DROP, os.path.join(self.folder, "terraced"), "--home", home], stdin=subprocess.DEVNULL, stdout=f,
                                 stderr=f, cwd=self.work)
        self.running.append(p)
        wait(lambda: p.poll() is not None or self.ctl(home, "sync").returncode == 0, "the daemon of " + home, 15)
        return p, log

    def end(self):
        for p in self.running:
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
                p.wait(10)
