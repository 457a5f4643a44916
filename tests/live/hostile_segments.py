#!/usr/bin/env python3
"""Segments that no honest child would send, at a real parent over HTTPS: each is refused with a sentence that names it, is
an alarm in the parent's log, and changes nothing that the parent holds; afterwards the child's own daemon goes on and
the whole tree is equal."""
import http.client
import os
import subprocess
import sys
import zlib

from lib_hostile import (HOST, TOP, Checks, HostileTree, alarms, decode, encode, wait)

SIBLING, VILLAGE = 532999101201, 532999102201
MIB = 1 << 20


def peak_kib(node):
    with open("/proc/%d/status" % node.process.pid, encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


class Story:
    def __init__(self, tree, checks):
        self.t, self.b, self.c, self.n = tree, tree.bad, checks, 100

    def code(self):
        self.n += 1
        return "%012d%06d" % (VILLAGE, self.n)

    def row(self, **more):
        return self.b.row(self.code(), self.b.tick + 1, **more)

    def refused(self, what, entries, status, word, named, but=(), alarm=True, **more):
        """One push: this HTTP status and word, a sentence with the name, the same state, an alarm of that word."""
        b = self.b
        before = b.change(what) and len(alarms(self.t.county))
        got = b.push(entries, **more)
        self.c.check(got[0] == status and got[1] == word, "%s: %d %s (got %d %s: %s)" % (what, status, word, *got[:3]))
        self.c.check(named in got[2], "%s: the sentence names it: %s" % (what, got[2]))
        self.c.check(b.unchanged(*but) == [], "%s: nothing changed %s" % (what, b.unchanged(*but)))
        if alarm:
            said = alarms(self.t.county)
            self.c.check(len(said) > before and any(word in x for x in said[before:] + said[:len(said) - before]),
                         "%s: an alarm says so" % what)

    def spoiled(self, **more):
        return [self.b.delta([self.row()], **more)]


def sizes(s):
    b, county = s.b, s.t.county
    b.change("")
    c = http.client.HTTPSConnection(HOST, county.port, context=b.tls, timeout=20)
    c.putrequest("POST", "/v1/segments")
    c.putheader("Content-Length", str(17 * MIB))
    c.endheaders()
    r = c.getresponse()
    text = r.read().decode()
    c.close()
    s.c.check(r.status == 413 and "/v1/segments" in text and str(17 * MIB) in text, "17 MiB: 413 before the body is read: " + text)
    s.c.check(b.unchanged() == [], "17 MiB: nothing changed")
    before = peak_kib(county)
    name = "segment delta 532999102000/county #%d" % (b.place + 1)
    s.refused("a header that speaks of 17 MiB", s.spoiled(stored_length=17 * MIB), 413, "too-large", "17825792")
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(bomb.compress(bytes(MIB)) for _ in range(256)) + bomb.flush()
    s.refused("a bomb of 256 MiB, told as 1 KiB", [bomb_of(b, packed, 1024)], 400, "malformed", name)
    s.refused("a bomb of 256 MiB, told as 16 MiB", [bomb_of(b, packed, 16 * MIB)], 400, "malformed", name)
    s.refused("a bomb of 256 MiB, told as such", [bomb_of(b, packed, 256 * MIB)], 413, "too-large", str(256 * MIB))
    full = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = full.compress(bytes(16 * MIB)) + full.flush()
    s.refused("16 MiB of zeros", [bomb_of(b, packed, 16 * MIB)], 400, "malformed", "payload")
    grown = peak_kib(county) - before
    s.c.check(grown < 64 * 1024, "the parent's memory grew by %d KiB, at most 64 MiB" % grown)


def bomb_of(b, packed, told):
    h = b.header([b.sample], codec=1, raw_length=told)
    head = encode.header(h, packed, told)
    signature = encode.sign(b.seed, b"terrace segment 1\0" + head + decode.blake2b(packed))
    return encode.slice_(head) + signature + packed


def forms(s):
    b = s.b
    name = "segment delta 532999102000/county #%d" % (b.place + 1)
    s.refused("an unknown format", s.spoiled(format=2), 400, "malformed", "format 2")
    s.refused("an unknown suite", s.spoiled(suite=2), 400, "malformed", "suite 2")
    s.refused("an unknown kind", s.spoiled(kind=12), 400, "malformed", "kind 12")
    s.refused("a kind that does not go up", s.spoiled(kind="policy", stream=b.unit), 400, "malformed", "only deltas go up")
    s.refused("another count than the header's", [b.delta([s.row()], raw=encode.payload([s.row(), s.row()]))], 400, "malformed", name[8:])
    s.refused("an extension that must be understood", [b.delta([s.row()], raw=encode.payload([s.row()], (), b"\x09\0"))],
              400, "malformed", "extension")
    good = s.spoiled()[0]
    for cut in (1, 40, 150, len(good) - 1):
        s.refused("a segment cut to %d of %d bytes" % (cut, len(good)), [good[:cut]], 400, "malformed", "segment")
    body = b.push_body([good])
    for cut in (0, 1, 20, 45, len(body) - 1):
        b.change("")
        status, text, _ = b.ask("POST", "/v1/segments", body[:cut])
        got = b.answer(status, text)
        s.c.check(status == 400 and got[1] == "malformed" and "532999102000" in got[2] and b.unchanged() == [],
                  "a body cut to %d of %d bytes: %d %s" % (cut, len(body), status, got[2]))


def rights(s):
    b = s.b
    name = "segment delta 532999102000/county #%d" % (b.place + 1)
    s.refused("a bad signature", s.spoiled(seed=bytes(32)), 403, "bad-signature", name)
    good = bytearray(s.spoiled()[0])
    good[-1] ^= 1
    s.refused("a changed byte", [bytes(good)], 403, "bad-signature", name)
    s.refused("a segment of the sibling, signed by this child", s.spoiled(author=532999101000), 403, "out-of-scope",
              "532999101000")
    s.refused("a segment of the county itself", s.spoiled(author=532999000000), 403, "out-of-scope", "532999000000")
    s.refused("a segment of a village that has no node", s.spoiled(author=VILLAGE), 409, "heal-first", "certificate", alarm=False)
    s.refused("a row of the sibling's village", [b.delta([s.row(unit=SIBLING)])], 403, "out-of-scope", str(SIBLING))
    s.refused("a row of another county", [b.delta([s.row(unit=533001101201)])], 403, "out-of-scope", "533001101201")
    c = s.row()
    c["parts"][0]["row_unit"] = SIBLING
    s.refused("a row that names the sibling's village as its unit", [b.delta([c])], 400, "bad-state", "household")
    c = s.row()
    for p in c["parts"]:
        p["version"]["unit"] = 532999101000
    s.refused("a value of the sibling in an own delta", [b.delta([c])], 403, "out-of-scope", "532999101000")
    c = s.row()
    for p in c["parts"]:
        p["version"].update(unit=532999000000, marks={"county": [b.tick + 1, b.epoch]})
    s.refused("a value of the county in an own delta", [b.delta([c])], 403, "out-of-scope", "532999000000")


def marks(s):
    b = s.b
    name = "segment delta 532999102000/county #%d" % (b.place + 1)
    far = b.tick + (1 << 33)
    c = b.row(s.code(), far)
    s.refused("a mark from the future", [b.delta([c], tick=far)], 409, "bad-mark", name[8:])
    c = s.row()
    for p in c["parts"]:
        p["version"]["marks"] = b.marks(b.tick + 1, county=[1 << 30, 77])
    s.refused("a mark of the county that it never made", [b.delta([c])], 409, "bad-mark", name[8:])
    c = s.row()
    for p in c["parts"]:
        p["version"]["marks"] = b.marks(b.tick + 1, province=[5, 77])
    s.refused("a mark of a level above the top", [b.delta([c])], 409, "bad-mark", name[8:])
    before = alarms(s.t.county)
    b.change("")
    status, a = b.hello(met=b.marks(1 << 50))
    s.c.check(status == 409 and a["code"] == "bad-mark" and "532999102000" in a["message"] and b.unchanged() == [],
              "a hello with a mark from the future: %d %s" % (status, a))
    s.c.check(len(alarms(s.t.county)) > len(before), "a hello with a mark from the future: an alarm")


def chain(s):
    """The link heals after each: the chain of the stream cannot be gone on with."""
    b, but = s.b, ("terrace_stream",)
    s.refused("a gap in the positions", s.spoiled(position=b.place + 2), 409, "gap", "position %d" % (b.place + 1), but)
    s.c.check(b.push(s.spoiled())[1] == "heal-first" and b.heal(), "after a gap the link heals")
    good = s.spoiled()
    s.c.check(b.push(good)[1] == "ok", "and goes on")
    b.took(good)
    s.refused("a wrong previous hash", s.spoiled(previous="11" * 32), 409, "equivocation", "predecessor", but)
    s.c.check(b.heal(), "after a wrong previous hash the link heals")
    good = s.spoiled()
    s.c.check(b.push(good)[1] == "ok", "and goes on")
    b.took(good)
    other = b.delta([s.row(head_name="another")], position=b.place, previous="22" * 32, tick=b.tick)
    s.refused("another segment at a position that was taken", [other], 409, "equivocation", "position", but)
    s.c.check(b.heal(), "after it the link heals")
    b.change("")
    got = b.push([good[0]])
    s.c.check(got[1] == "ok" and got[3]["counts"]["old"] == 1, "the same segment again is old: %s" % (got[:3],))


def forged(s):
    """Rulings of this child: refused by a ruling of the county; the values stand, everywhere."""
    b, county = s.b, s.t.county
    code = "532999102201000001"
    county.open().execute("UPDATE household SET poverty_cause = '因病' WHERE code = ?", (code,))
    county.ctl("sync", "--wait", "10")
    row = next(c for o in b.feed()[1] for c in reversed(o["payload"]["changes"]) if c["key"] == [["text", code]])
    check = next(p for p in row["parts"] if p["group"] == "check")
    v = check["version"]
    b.tick += 1
    ruling = dict(v, unit=b.unit, acting=False, ruling=True, marks=b.marks(b.tick + 1, **v["marks"]), policy=b.list,
                  base=[v["unit"], *v["marks"]["county"]], asserts=v["marks"])
    c = dict(row, parts=[dict(check, version=ruling, cells=[["text", "因灾"]])], flags=0)
    before = [x for x in alarms(county) if "forged-ruling" in x]
    sent = [b.delta([c], tick=b.tick + 1)]
    got = b.push(sent)
    s.c.check(got[1] == "ok" and got[3]["counts"]["refused"] == 1, "a forged ruling is refused: %s" % (got,))
    b.took(sent)
    s.c.check(county.value("SELECT poverty_cause FROM household WHERE code = ?", code) == "因病", "the county's value stands")
    s.c.check(len([x for x in alarms(county) if "forged-ruling" in x]) == len(before) + 1, "alarm forged-ruling")
    s.c.check(any(r["key"] == code and r["group"] == "check" and "does not hold" in r["reason"]
                  for r in county.ask("returns", "list")), "and it is on record")


def main():
    checks = Checks()
    with HostileTree() as t:
        s = Story(t, checks)
        for part in (sizes, forms, rights, marks, forged, chain):
            part(s)
        t.second.start()
        wait(lambda: subprocess.run([sys.executable, os.path.join(TOP, "tests", "lib", "compare.py"),
                                     *("%s=%s" % (n.unit, n.home) for n in t.nodes)], capture_output=True).returncode == 0,
             "the tree to be equal", 30)
        checks.check(True, "the child's own daemon goes on, and the tree is equal")
        checks.check(all(n.process.poll() is None for n in t.nodes), "every daemon runs")
    checks.close()


sys.exit(main())
