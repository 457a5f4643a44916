"""A node that keeps no rules: it has the identity of an enrolled child whose daemon has ended, its own codec
(tests/wire) and its own HTTPS, and sends its parent what it likes."""
import base64
import copy
import http.client
import json
import os
import shutil
import sqlite3
import ssl
import subprocess
import sys

from lib_tree import TOP, Checks, Tree, wait                 # noqa: F401
from node import HOST, Node, free_ports

sys.path.insert(0, os.path.join(TOP, "tests", "wire"))
import decode                                                # noqa: E402
import encode                                                # noqa: E402
import link                                                  # noqa: E402
from basics import blake2b                                   # noqa: E402

ZERO = bytes(32)
# What must not change when something is refused: the registers, and all that is held, kept and relayed of them.
HELD = ("household", "person", "relief_case", "terrace_version", "terrace_aside", "terrace_overflow", "terrace_quarantine",
        "terrace_outbox", "terrace_epoch", "terrace_policy", "terrace_policy_list", "terrace_record",
        "terrace_unit", "terrace_reported", "terrace_revoked")


def context(chain=None, key=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if chain:
        c.load_cert_chain(chain, key)
    return c


def identity(home):
    return os.path.join(home, "identity", "chain.pem"), os.path.join(home, "identity", "tls.key")


def request(port, tls, method, path, body=b"", headers=(), timeout=30):
    """(status, body, headers); status 0: the connection was cut, which a refused certificate may also be."""
    c = http.client.HTTPSConnection(HOST, port, context=tls, timeout=timeout)
    try:
        c.request(method, path, body or None, dict(headers))
        r = c.getresponse()
        return r.status, r.read(), r.headers
    except (OSError, http.client.HTTPException):
        return 0, b"", {}
    finally:
        c.close()


def dump(node):
    """{table: rows} of what a refusal leaves alone."""
    db = sqlite3.connect("file:%s?mode=ro" % node.database, uri=True, timeout=60)
    try:
        db.execute("BEGIN")
        there = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        states = [t for t in there if t.startswith("terrace_s") and t[9:].isdigit()]
        out = {t: sorted(map(repr, db.execute('SELECT * FROM "%s"' % t))) for t in there if t in HELD}
        # The term of a row follows a moment after the row; time notes come by themselves; who was told what is no state.
        out.update((t, sorted(map(repr, db.execute('SELECT key, unit, flags, version FROM "%s"' % t)))) for t in states)
        out["terrace_stream"] = sorted(map(repr, db.execute("SELECT * FROM terrace_stream WHERE stream < 1536 OR stream > 1791")))
        out["terrace_segment"] = sorted(map(repr, db.execute("SELECT * FROM terrace_segment WHERE kind <> 6")))
        out["terrace_peer"] = sorted(map(repr, db.execute("SELECT unit, direct, chain, serial, revoked FROM terrace_peer")))
        return out
    finally:
        db.close()


def alarms(node, kind="alarm"):
    return [e["text"] for e in node.ask("log", "--kind", kind)]


class Hostile:
    """The child's place on its link, taken from its database once its daemon has ended."""

    def __init__(self, node, parent):
        self.node, self.parent, self.unit = node, parent, int(node.unit)
        self.tls = context(*identity(node.home))
        self.hellos, self.answered = 1 << 40, 0              # more than the honest daemon has said
        with open(os.path.join(node.home, "identity", "sign.seed"), encoding="ascii") as f:
            self.seed = bytes.fromhex(f.read().strip())
        self.load()

    def load(self):
        db = sqlite3.connect("file:%s?mode=ro" % self.node.database, uri=True, timeout=60)
        self.acked, self.head, self.built, self.fed, self.fed_hash, self.position, self.position_hash = db.execute(
            "SELECT acked, acked_head, built, fed, fed_hash, position, position_hash FROM terrace_link").fetchone()
        self.head, self.fed_hash, self.position_hash = (x or ZERO for x in (self.head, self.fed_hash, self.position_hash))
        data = [row[0] for row in db.execute(
            "SELECT bytes FROM terrace_segment WHERE kind = 1 AND author = ? ORDER BY id", (self.unit,))]
        db.close()
        self.sent = data                                     # what the honest daemon had sealed
        self.last = decode.segment(data[-1], None, False, False)
        h = self.last["header"]
        self.epoch, self.tick, self.place, self.previous = h["epoch"], h["tick"], h["position"], self.last["hash"]
        self.sample = self.last["payload"]["changes"][-1]    # a whole insert of a household
        self.list = h["policy"]

    # ---- making

    def marks(self, tick, **more):
        level = "township" if self.unit % 1000 == 0 else "village"
        return {**self.sample["parts"][0]["version"]["marks"], level: [tick, self.epoch], **more}

    def row(self, code, tick, unit=None, **cells):
        """An insert as the honest daemon would have sealed it; callers then spoil it."""
        c = copy.deepcopy(self.sample)
        c["key"], c["unit"] = [["text", code]], unit or c["unit"]
        for p in c["parts"]:
            p["life"] = [self.unit, tick, self.epoch]
            p["version"]["marks"] = self.marks(tick)
            if p["group"] is None:
                p["row_unit"] = c["unit"]
                continue
            for column, value in {"village_code": "%012d" % c["unit"], **cells}.items():
                if column in p["columns"]:
                    p["cells"][p["columns"].index(column)] = ["text", value]
        return c

    def header(self, changes, **more):
        return {"kind": "delta", "author": self.unit, "tick": self.tick + 1, "epoch": self.epoch, "policy": self.list,
                "stream": self.last["header"]["stream"], "position": self.place + 1, "previous": self.previous,
                "changes": len(changes), "codec": 1, "final": True, **more}

    def delta(self, changes, seed=None, raw=None, **more):
        body = encode.payload(changes) if raw is None else raw
        return encode.segment(self.header(changes, **more), body, seed or self.seed)

    # ---- sending

    def ask(self, method, path, body=b"", headers=(), timeout=30):
        return request(self.parent.port, self.tls, method, path, body, headers, timeout)

    def push_body(self, entries, states=(), after=None, head=None):
        out = b"\1" + encode.varint(self.acked if after is None else after) + (head or self.head)
        for some in (entries, states):
            out += encode.varint(len(some)) + b"".join(map(encode.slice_, some))
        return out

    def push(self, entries, states=(), **more):
        """(HTTP status, word, sentence, the whole answer)"""
        status, body, _ = self.ask("POST", "/v1/segments", self.push_body(entries, states, **more))
        return self.answer(status, body)

    @staticmethod
    def answer(status, body):
        if body[:1] == b"{":
            j = json.loads(body)
            return status, j["code"], j["message"], {}
        a = link.push_answer(body, None) if body else {}
        return status, a.get("error", ""), a.get("sentence", ""), a

    def took(self, entries):
        """What was sent was applied: the child's place moves on."""
        for e in entries:
            self.acked, self.head = self.acked + 1, blake2b(self.head + e)
            out = decode.segment(e, None, False, False)
            self.place, self.previous, self.tick = out["header"]["position"], out["hash"], out["header"]["tick"]

    def hello_body(self, flags=0, met=None, status=True, seq=None, needs=b"\0", certificates=b"\0"):
        w = encode
        seq = self.acked if seq is None else seq
        self.hellos += 1
        out = b"\1" + w.varint(flags) + w.varint(self.hellos) + w.varint(self.answered) + w.varint(1) + w.varint(1) + w.signed(0)
        out += w.marks(met if met is not None else self.marks(self.tick)) + w.u32(self.epoch) + w.varint(self.tick) + b"\0"
        out += w.varint(seq) + self.head + w.varint(self.acked) + self.head
        out += w.varint(self.position) + self.position_hash + w.varint(self.built) + w.varint(self.fed) + self.fed_hash
        out += w.varint(0) + w.u64(self.list) + b"\0\0" + b"\0\0\0\0" + b"\0" + needs + certificates
        own = (b"\1" + w.varint(self.unit) + w.text(self.node.name) + b"\0\0" + w.u32(self.epoch) + b"\0" * 5 + b"\0" +
               b"\0" * 5 + b"\0\0" + b"\0")
        return out + (w.varint(1) + w.slice_(own) if status else b"\0") + b"\0" * 32

    def hello(self, **more):
        """(HTTP status, the answer or the error's JSON)"""
        status, body, _ = self.ask("POST", "/v1/hello", self.hello_body(**more))
        if status != 200:
            return status, json.loads(body or b"{}")
        a = link.hello_answer(body)
        self.answered = a["number"]
        return status, a

    def heal(self):
        """Hello, and again with a heal where the parent orders it; afterwards pushes are taken."""
        status, a = self.hello()
        if status == 200 and "heal" in a["orders"]:
            status, a = self.hello(flags=1)
        if status == 200 and "healed" in a["orders"]:
            self.position = self.fed = self.built = 0
            self.position, self.built, self.fed = a["feed"], a["up"], a["up"]
            self.position_hash = self.fed_hash = bytes.fromhex(link.heal_hash(a["heal"]))
        return status == 200 and not set(a["orders"]) & {"heal", "wait", "twin"}

    def feed(self):
        """Everything that the parent has for this child, decoded; the position moves on."""
        out = []
        for _ in range(20):
            line = encode.varint(int(self.parent.unit)) + encode.varint(self.unit) + encode.varint(self.position) + self.position_hash
            body = b"\1" + encode.varint(self.unit) + encode.signed(0) + b"\1" + line
            receipt = body + encode.sign(self.seed, b"terrace receipt 1\0" + body)
            coded = base64.urlsafe_b64encode(receipt).rstrip(b"=").decode()
            status, data, _ = self.ask("GET", "/v1/feed?after=%d&hash=%s" % (self.position, self.position_hash.hex()), b"",
                                       [("Terrace-Receipt", coded)])
            if status != 200:
                return status, out
            for segment in link.feed(data):
                one = decode.segment(segment, None, False, False)
                out.append(one)
                self.position, self.position_hash = one["header"]["position"], bytes.fromhex(one["hash"])
        return 200, out

    def change(self, text):
        """From here on the parent may have changed; what it holds now is what must stay."""
        self.before = dump(self.parent)
        return text

    def unchanged(self, *but):
        now = dump(self.parent)
        return [t for t in now if t not in but and now[t] != self.before.get(t)]


class HostileTree(Tree):
    """The small tree and a second township, whose daemon enrols, enters two households, is in step, and ends."""

    def __enter__(self):
        super().__enter__()
        try:
            self.second = Node(self.folder, "second", "532999102000", "second township", self.county)
            self.second.port = self.second.relay_port = free_ports(1)[0]
            self.nodes.append(self.second)
            self.second.enrol()
            wait(lambda: self.second.has("household"), "the policy at the second township")
            for node, code in ((self.second, "532999102201"), (self.township, "532999101202"), (self.village, "532999101201")):
                for i in (1, 2):
                    node.open().execute("INSERT INTO household(code, village_code, head_name, population, category) "
                                        "VALUES(?, ?, 'x', 3, 'y')", ("%s%06d" % (code, i), code))
                    node.ctl("sync", "--wait", "20")
            wait(lambda: self.county.value("SELECT count(*) FROM household") == 6, "the first rows at the county")
            self.second.ctl("sync", "--wait", "20")
            self.second.stop()
            self.bad = Hostile(self.second, self.county)
            return self
        except BaseException:
            self.__exit__(None, None, None)
            raise


def shift_clock(node, seconds):
    """The node's daemon is started anew with its wall clock that far ahead."""
    library = os.path.join(os.path.dirname(node.home), "clock_shift.so")
    if not os.path.exists(library):
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library,
                        os.path.join(TOP, "tests", "live", "clock_shift.c"), "-ldl"], check=True)
    node.stop()
    if seconds:
        os.environ.update(LD_PRELOAD=library, CLOCK_SHIFT=str(seconds))
    try:
        node.start()
    finally:
        os.environ.pop("LD_PRELOAD", None)
        os.environ.pop("CLOCK_SHIFT", None)


def copy_home(node, to):
    shutil.copytree(node.home, to, ignore=shutil.ignore_patterns("control.sock"))
    return to
