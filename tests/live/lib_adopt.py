"""A county and a township, each with an application's own database; for the tests of adoption."""
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile

from lib_tree import TOP, wait
from node import Failed, Node, free_ports

SCHEMAS = os.path.join(TOP, "tests", "live", "schemas")
COUNTY, TOWN = "532999000000", "532999101000"


def schema(name):
    with open(os.path.join(SCHEMAS, name + ".sql")) as f:
        return f.read()


class Guest(Node):
    """A node on a file that an application made."""

    def __init__(self, folder, label, unit, parent=None):
        super().__init__(folder, label, unit, label, parent)
        self.file = os.path.join(folder, label + "-app.db")

    @property
    def database(self):
        return self.file

    def application(self, sql, pragma="PRAGMA journal_mode=WAL"):
        db = sqlite3.connect(self.file, isolation_level=None)
        db.execute(pragma)
        db.executescript(sql)
        db.close()

    def sql(self, text, *parameters):
        db = self.open()
        db.execute("PRAGMA foreign_keys=ON")
        db.execute(text, parameters)
        db.close()

    def script(self, text):
        db = self.open()
        db.executescript(text)
        db.close()

    def dump(self):
        """The file as SQL without what is ours."""
        return subprocess.run(["sqlite3", self.file, ".dump"], stdout=subprocess.PIPE, check=True).stdout.decode(errors="replace")

    def enrol(self):
        text = self.parent.ctl("invite", self.unit, "--name", self.name)
        self.ctl("join", re.search(r"terrace:1:[A-Za-z0-9_-]+", text)[0], "--database", self.file)
        self.start()

    def events(self, word):
        with open(self.log, errors="replace") as f:
            return [line for line in f if word in line]


class Pair:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="terrace-live-")
        self.county = Guest(self.folder, "county", COUNTY)
        self.town = Guest(self.folder, "town", TOWN, self.county)
        self.county.port = self.county.relay_port = free_ports(1)[0]

    def __enter__(self):
        return self

    def begin(self, policy):
        """The county runs on its file and publishes."""
        self.county.init("--root", "--database", self.county.file, *self.county.listen_options())
        self.county.start()
        self.policy = os.path.join(SCHEMAS, policy)
        self.county.ctl("policy", "publish", self.policy)

    def rest(self, node=None):
        """Both have settled everything and their digests agree."""
        self.town.ctl("sync", "--wait", "20")
        wait(lambda: self.town.ctl("sync", "--wait", "5", allow=(0, 1)) is not None and
             any(c["digest"] == "equal" for c in self.county.ask("status")["children"]), "equal digests")

    def __exit__(self, *_):
        self.town.stop()
        self.county.stop()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)


__all__ = ["COUNTY", "Failed", "Guest", "Pair", "TOWN", "schema", "wait"]
