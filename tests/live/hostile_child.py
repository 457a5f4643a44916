#!/usr/bin/env python3
"""A child that keeps no rules, with proper signatures and marks: it writes rows of its sibling, groups that it reads,
proposals, replays, states that contradict what was signed, hellos that lie, and floods.  Every attempt is refused and
named in the parent's log; nobody's row changes, nothing of a sibling's comes down, others are not slowed, and at the
end, with the honest daemon back, the whole tree is equal."""
import os
import statistics
import subprocess
import sys
import threading
import time

from lib_hostile import TOP, Checks, HostileTree, alarms, decode, encode, sqlite3, wait

SIBLING, MOVED, DELETED, ENTERED = "532999101201000001", "532999101202000001", "532999101201000002", "532999101202000002"
CANARY = "金丝雀雀"


def signed_of(tree, key):
    """What the sibling and its village signed of a row: lives and marks that a hostile child could have guessed."""
    db = sqlite3.connect("file:%s?mode=ro" % tree.township.database, uri=True)
    rows = db.execute("SELECT bytes FROM terrace_segment WHERE kind = 1 ORDER BY id").fetchall()
    db.close()
    for data, in rows:
        for c in decode.segment(data, None, False, False)["payload"]["changes"]:
            if c["key"] == [["text", key]] and len(c["parts"]) > 1:
                return c
    return None


class Story:
    def __init__(self, tree, checks):
        self.t, self.b, self.c, self.n = tree, tree.bad, checks, 500
        self.rows = tree.county.open().execute("SELECT * FROM household ORDER BY code").fetchall()

    def registers(self, but=()):
        now = self.t.county.open().execute("SELECT * FROM household ORDER BY code").fetchall()
        return [r for r in now if r[0] not in but], [r for r in self.rows if r[0] not in but]

    def sends(self, what, changes, verdict, word, kind="alarm", **more):
        """Admitted as a segment, and decided: the verdict's count, the log's word, and no row of the register changed."""
        b = self.b
        before = len(alarms(self.t.county, kind))
        sent = [b.delta(changes, **more)]
        got = b.push(sent)
        good = got[1] == "ok" and got[3]["counts"][verdict] == len(changes)
        self.c.check(good, "%s: %s (%s)" % (what, verdict, {n: x for n, x in got[3].get("counts", {}).items() if x}))
        if got[1] == "ok":
            b.took(sent)
        if word:
            said = alarms(self.t.county, kind)
            self.c.check(len(said) > before and any(word in x for x in said), "%s: the log says %s" % (what, word))
        now, then = self.registers()
        self.c.check(now == then, "%s: the register is as it was" % what)


def siblings(s):
    """The sibling's row, with its key, life and marks guessed right."""
    b = s.b
    for what, key, keep, alive in (("a field of the sibling's row", SIBLING, False, None),
                                   ("the sibling's row taken over", MOVED, True, True),
                                   ("the sibling's row deleted", DELETED, True, False)):
        theirs = signed_of(s.t, key)
        c = b.row(key, b.tick + 1, head_name="stolen")
        c["parts"] = [dict(p, life=theirs["parts"][0]["life"]) for p in c["parts"] if (p["group"] is None) == keep]
        for p in c["parts"]:
            if keep:
                p["alive"] = alive
            p["version"]["marks"] = {**theirs["parts"][0]["version"]["marks"], "township": [b.tick + 1, b.epoch]}
        s.sends(what, [c], "refused", "out-of-scope")
    c = b.row(ENTERED, b.tick + 1)
    s.sends("the sibling's key entered anew", [c], "refused", None)
    wait(lambda: s.t.village.value("SELECT head_name FROM household WHERE code = ?", SIBLING) == CANARY, "the village's row")
    leaks = [o for o in b.feed()[1] if CANARY in str(o)]
    s.c.check(not leaks, "nothing of the sibling's row came down with the refusals")
    needs = encode.varint(1) + encode.text("household") + encode.varint(1) + b"\3" + encode.text(SIBLING)
    status, _ = b.hello(needs=needs)
    got = b.feed()[1]
    s.c.check(status == 200 and CANARY not in str(got), "a need for the sibling's row brings no value of it")


def rights(s):
    """What the policy does not give to this level."""
    b, code = s.b, "532999102201000001"
    mine = next(c for data in b.sent for c in decode.segment(data, None, False, False)["payload"]["changes"]
                if c["key"] == [["text", code]])
    life = mine["parts"][0]["life"]
    for kind in ("decision", "proposal"):
        c = b.row(code, b.tick + 1)
        p = next(p for p in c["parts"] if p["group"] == "family")
        p.update(life=life, group="check", columns=["poverty_cause"], cells=[["text", "因灾"]])
        p["version"]["kind"] = kind
        c["parts"] = [p]
        s.sends("a %s in a group that it reads" % kind, [c], "refused", "may not write", "refuse")
    c = b.row(code, b.tick + 1, head_name="later")
    c["parts"] = [dict(p, life=life) for p in c["parts"] if p["group"] == "family"]
    c["parts"][0]["version"]["kind"] = "proposal"
    s.sends("a proposal where it owns the group", [c], "diverted", None)
    c = b.row("532999102201000900", b.tick + 1)
    for p in c["parts"]:
        p["version"]["policy"] = 12345
    s.sends("a row under a policy list that nobody published", [c], "refused", "may not write", "refuse")
    got = b.push([b.sent[0]], after=0, head=bytes(32))
    now, then = s.registers()
    s.c.check(got[1] in ("ok", "heal-first") and now == then, "its first segment once more: %s" % (got[:3],))
    s.c.check(b.heal(), "the link goes on")


def states(s):
    """State up: signed by this child for one link, about values of others and of its own."""
    b = s.b

    def state(changes):
        h = b.header(changes, kind="state", stream=int(s.t.county.unit), position=b.built + 1, follows=b.built)
        h.pop("previous")
        return encode.segment(h, encode.payload(changes), b.seed)
    one = next(c for data in b.sent for c in decode.segment(data, None, False, False)["payload"]["changes"]
               if c["key"] == [["text", "532999102201000002"]])

    def never_signed(p):
        p["version"]["marks"].update(township=[b.tick - 1, b.epoch])
    for what, change in (("another value than it signed", lambda p: p["cells"].__setitem__(0, ["text", "changed"])),
                         ("a later value that it never signed", never_signed)):
        c = {**one, "parts": [dict(p, version=dict(p["version"], marks=dict(p["version"]["marks"]))) for p in one["parts"]
                              if p["group"] == "family"]}
        c["parts"][0]["cells"] = list(c["parts"][0]["cells"])
        change(c["parts"][0])
        before = len([x for x in alarms(s.t.county) if "equivocation" in x])
        got = b.push([], [state([c])])
        changed = c["parts"][0]["version"]["marks"] != one["parts"][0]["version"]["marks"]
        s.c.check(got[1] == "ok" and got[3]["counts"]["refused" if changed else "old"] == 1, "state with %s: %s" % (what, got[:3]))
        b.built += got[1] == "ok"
        if changed:
            s.c.check(len([x for x in alarms(s.t.county) if "equivocation" in x]) == before + 1, "alarm equivocation")
        s.c.check(s.registers()[0] == s.registers()[1], "state with %s: the register is as it was" % what)
    c = b.row(SIBLING, 1, unit=532999101201, head_name="stolen")
    for p in c["parts"]:
        p["version"].update(unit=532999101000, marks={"township": [b.tick, 99]})
    before = len(alarms(s.t.county))
    got = b.push([], [state([c])])
    b.built += got[1] == "ok"
    s.c.check(s.registers()[0] == s.registers()[1], "state as of the sibling: the register is as it was (%s)" % (got[1:3],))


def hellos(s):
    b = s.b
    for what, more in (("cut", None), ("with a flood of needs", 10001)):
        body = b.hello_body()
        body = body[:-3] if more is None else b.hello_body(needs=encode.varint(more) + b"\1a\1\3\1b" * more)
        status, text, _ = b.ask("POST", "/v1/hello", body)
        s.c.check(status == 400 and b"532999102000" in text, "a hello %s: %d %s" % (what, status, text[:120]))
    with open(os.path.join(s.t.village.home, "identity", "chain.pem"), encoding="ascii") as f:
        pem = f.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    status, a = b.hello(certificates=encode.varint(1) + b"\0" + encode.text("stolen") + encode.text(pem))
    s.c.check(status == 200 and a["learned"] == [], "a hello with the sibling's village as its own: nothing is learned")
    peers = {p["unit"]: p for p in s.t.county.ask("peers")}
    s.c.check(peers["532999101201"].get("name") != "stolen", "the tree is what it was")


def flood(s):
    """Fifteen connections push without pause; meanwhile the honest township's change arrives as fast as before."""
    t, over, sent, busy = s.t, threading.Event(), [0], [0]
    good = s.b.push_body([s.b.delta([s.b.row("532999102201000999", s.b.tick + 1)], seed=bytes(32))])

    def send():
        while not over.is_set():
            status, _, _ = s.b.ask("POST", "/v1/segments", good)
            sent[0] += 1
            busy[0] += status == 503

    def seconds():
        out = []
        for _ in range(8):
            s.n += 1
            code = "532999101202%06d" % s.n
            start = time.monotonic()
            t.township.open().execute("INSERT INTO household(code, village_code) VALUES(?, '532999101202')", (code,))
            wait(lambda: t.county.value("SELECT count(*) FROM household WHERE code = ?", code), "the township's row")
            out.append(time.monotonic() - start)
        return statistics.median(out)
    before = seconds()
    events = t.county.value("SELECT count(*) FROM terrace_event")
    threads = [threading.Thread(target=send, daemon=True) for _ in range(15)]
    for x in threads:
        x.start()
    during = seconds()
    over.set()
    for x in threads:
        x.join(30)
    grown = t.county.value("SELECT count(*) FROM terrace_event") - events
    s.c.check(sent[0] > 50, "%d pushes of a flood, %d told to wait" % (sent[0], busy[0]))
    s.c.check(during < before * 3 + .5, "a township's change beside it: %.2f s, before %.2f s" % (during, before))
    s.c.check(grown < 200, "%d lines in the sync log for %d refusals" % (grown, sent[0]))
    t.township.open().execute("DELETE FROM household WHERE code > '532999101202000500'")


def equal(tree):
    return subprocess.run([sys.executable, os.path.join(TOP, "tests", "lib", "compare.py"),
                           *("%s=%s" % (n.unit, n.home) for n in tree.nodes)], capture_output=True).returncode == 0


def main():
    checks = Checks()
    with HostileTree() as t:
        t.village.open().execute("UPDATE household SET head_name = ? WHERE code = ?", (CANARY, SIBLING))
        wait(lambda: t.county.value("SELECT head_name FROM household WHERE code = ?", SIBLING) == CANARY, "the canary at the county")
        s = Story(t, checks)
        for part in (siblings, rights, states, hellos, flood):
            part(s)
        checks.check(all(n.process.poll() is None for n in t.nodes if n is not t.second), "every honest daemon runs")
        t.second.start()
        wait(lambda: equal(t), "the tree to be equal", 30)
        checks.check(True, "the child's own daemon goes on, and the tree is equal")
    checks.close()


sys.exit(main())
