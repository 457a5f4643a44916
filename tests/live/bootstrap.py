#!/usr/bin/env python3
"""A township's first load over a slow line, its daemon killed (SIGKILL) again and again on the way: it goes on where it was, and
what passes twice is no more than the line carries in a few seconds.  DEEP=1: more rows, 50 kills."""
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

from lib_tree import POLICY, Checks, Failed, wait
from node import HOST, Node, free_ports

DEEP = bool(os.environ.get("DEEP"))
ROWS, KILLS, RATE = (100000, 50, 800000) if DEEP else (16000, 10, 500000)
PART_S = 4                                   # uplink.c asks for what 3 s carry
MILLION = 24e6                               # bytes of a million rows of an ordinary register


class Line:
    """A TCP relay that carries RATE bytes a second downward and counts them."""

    def __init__(self, port, to):
        self.to, self.down, self.rate, self.due = to, 0, 0, 0
        self.listener = socket.create_server((HOST, port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((HOST, self.to))
            except OSError:
                near.close()
                continue
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            threading.Thread(target=self.carry, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self.carry, args=(far, near, True), daemon=True).start()

    def carry(self, source, target, down):
        try:
            while True:
                piece = source.recv(4096)
                if not piece:
                    break
                if down:
                    self.down += len(piece)
                    self.due = max(self.due, time.monotonic()) + len(piece) / (self.rate or 1e9)
                    time.sleep(max(self.due - time.monotonic() - .02, 0))
                target.sendall(piece)
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def rows(node):
    try:
        return node.value("SELECT count(*) FROM household") if node.has("household") else 0
    except Exception:                        # its file is being made
        return 0


def fill(county):
    db = county.open()
    db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
               "INSERT INTO household(code, village_code, head_name, population, phone) SELECT printf('532999101%03d%06d', 200 + i % 20, i), "
               "'532999101' || printf('%03d', 200 + i % 20), '户' || hex(randomblob(100)), i % 7, 13800000000 + abs(random()) % 99999999 FROM n",
               (ROWS,))
    db.close()
    county.ctl("sync")
    wait(lambda: county.ask("status")["log_pending"] == 0, "the rows to be sealed", 120)


def load(node, line, kills):
    """Loads the whole, killed so often, each time a while after some more rows have come; bytes that came down."""
    begin, before, seen, armed = line.down, 0, [], None
    node.start()
    while True:
        have = rows(node)
        if have < before:
            raise Failed("%d rows were there, now %d" % (before, have))
        before = have
        if have >= ROWS:
            return line.down - begin, seen
        if armed is None and len(seen) < kills and have >= (seen[-1] if seen else 0) + ROWS // (3 * kills):
            armed = line.down + 17000 * len(seen) % 90000
        if armed is not None and line.down >= armed:
            node.process.send_signal(signal.SIGKILL)
            node.process.wait()
            seen.append(rows(node))
            armed = None
            node.start()
        time.sleep(.01)


def tree(folder):
    county = Node(folder, "county", "532999000000", "county")
    township = Node(folder, "township", "532999101000", "township", county)
    county.port, county.relay_port = free_ports(2)
    county.init("--root", *county.listen_options())
    county.start()
    county.ctl("policy", "publish", POLICY)
    line = Line(county.relay_port, county.port)
    fill(county)
    township.enrol()
    township.stop()
    return county, township, line


def empty(township):
    for name in os.listdir(township.home):
        if name.startswith("registers.db"):
            os.unlink(os.path.join(township.home, name))


def main():
    checks, folder = Checks(), tempfile.mkdtemp(prefix="terrace-live-")
    nodes = []
    try:
        county, township, line = tree(folder)
        nodes = [county, township]
        empty(township)
        line.rate = RATE
        whole, _ = load(township, line, 0)
        township.stop()
        empty(township)
        total, seen = load(township, line, KILLS)
        again = max(total - whole, 0)
        print("    %d rows in %d KiB; killed %d times, with %s rows" % (ROWS, whole >> 10, len(seen), seen[:12]))
        print("    passed again: %d KiB, %d KiB a kill; of a million rows' load %.2f %% a kill" %
              (again >> 10, again / KILLS / 1024, again / KILLS / MILLION * 100))
        checks.check(len(seen) == KILLS and len(set(seen)) == KILLS, "killed %d times, no row was lost again" % KILLS)
        checks.check(again / KILLS <= RATE * PART_S, "a kill costs what the line carries in %d s at most" % PART_S)
        checks.check(again / KILLS < .02 * MILLION, "less than 2 % of a million rows' load")
        checks.check(township.value("SELECT sum(population) FROM household") == county.value("SELECT sum(population) FROM household"),
                     "and everything is there")
    finally:
        for node in nodes:
            node.stop()
        shutil.rmtree(folder, ignore_errors=True)
    checks.close()


sys.exit(main())
