#!/usr/bin/env python3
"""Decides every recorded conflict again, from its record alone.

redecide.py [--tamper] FILE...    each line: one record as `terracectl why --json` tells it (of `records`), or `-`

It shares no code with the programs: what it knows is design authority.md (Order, Seen, The rule), and what it is told is
the record.  Prints what it could not confirm; exit 1 then.  --tamper changes one value of each record first, and every
verdict that depends on it has to fall: the proof that the check can fail."""
import json
import sys
from collections import Counter

LEVELS = ("province", "prefecture", "county", "township", "village")
NOTHING = (0, 0)


def mark(j):
    return (j["tick"], j["epoch"]) if j else NOTHING


def marks(j):
    return tuple(mark((j or {}).get(l)) for l in LEVELS)


def ident(j):
    return (j["unit"], j["tick"], j["epoch"]) if j else None


class Side:
    """The kept or the lost value."""

    def __init__(self, j):
        self.unit, self.level, self.own = j["unit"], LEVELS.index(j["level"]), (j["tick"], j["epoch"])
        self.id, self.base, self.life = ident(j), ident(j.get("base")), ident(j["life"])
        self.marks, self.asserts = marks(j["marks"]), marks(j.get("asserts"))
        self.mode, self.acting, self.values = j["mode"], j["acting"], j["values"]
        self.saw = [(ident(s["life"]), s["group"], marks(s["marks"])) for s in j.get("saw", ())]
        if self.marks[self.level] != self.own:
            raise ValueError("its own mark is not the mark of its level")

    @property
    def order(self):
        return (self.marks, self.unit)

    @property
    def proposal(self):
        return self.mode == "proposal"


class Case:
    """One record."""

    def __init__(self, j):
        self.j, self.group, self.kind, self.rule, self.why = j, j["group"], j["kind"], j["rule"], j["why"] or ""
        self.lost = Side(j["lost"])
        self.kept = Side(j["kept"]) if j["kept"] else None
        self.former = {e["epoch"]: (e["former"], e["left_at"]) for e in j["epochs"]}
        self.rights = j["rights"]

    def mark_seen(self, m, by):
        if m == NOTHING:
            return True
        tick, epoch = m
        if by[1] == epoch:
            return tick <= by[0]
        at, walked = by[1], 0
        while at in self.former and walked < 200:
            at, left = self.former[at]
            walked += 1
            if at == epoch:
                return tick <= left
        return False

    def seen(self, x, y):
        return self.mark_seen(y.own, x.marks[y.level]) or x.base == y.id

    def open(self, proposal, decision):
        return decision is None or proposal.own > decision.marks[proposal.level]

    def covered(self, by, v):
        return any(life == v.life and group == self.group and v.own <= m[v.level] for life, group, m in by.saw)

    def has_right(self, right, v, also=None):
        """The author may write so, by the policy list that the record names."""
        last = len(LEVELS) if v.acting else v.level + 1
        names = set(LEVELS[v.level:last])
        wanted = [right] + ([also] if also else [])
        if v.proposal:
            wanted = wanted + ["propose"]
        return any(names & set(self.rights.get(w, ())) for w in wanted)

    def may_write(self, v):
        if self.group != "row":
            return self.has_right("own", v)
        if v.proposal and v.id == v.life:
            return False
        again = self.kept is not None and self.kept.life == v.life and self.kept.values == v.values
        right, other = ("create", "delete") if v.values["alive"] else ("delete", "create")
        return self.has_right(right, v, other if again else None)


def differ(a, b, group):
    if a.life != b.life or group == "row":
        return a.life != b.life or a.values != b.values
    return any(a.values[c] != b.values[c] for c in a.values if c in b.values) or set(a.values) != set(b.values)


def superseded(c):
    kept, lost = c.kept, c.lost
    if kept is None:
        return "nothing is kept"
    if kept.id == lost.id:
        return "a value lost to itself"
    if not differ(kept, lost, c.group):
        return "both say the same"
    if c.seen(kept, lost):
        return "what is kept had taken the other into account"
    if c.rule == 4:
        if not (kept.proposal and lost.proposal and kept.unit == lost.unit and kept.order > lost.order):
            return "no later proposal of the same author"
        return None
    if lost.proposal:
        if kept.proposal:
            return None if kept.unit == lost.unit and kept.order >= lost.order else "another author's proposal closes nothing"
        return "the proposal is open still" if c.open(lost, kept) else None
    if kept.proposal:
        return "a proposal is kept against a decision"
    if kept.order < lost.order:
        return "what is kept is not the greater"
    if c.rule == 5 and c.group == "row" and not lost.values["alive"] and kept.life != lost.life:
        return "the end of one life loses nothing to another"
    return None if c.rule in (5, 6) else "rule %d supersedes nothing" % c.rule


def edited_while_deleted(c):
    kept, lost = c.kept, c.lost
    if c.rule != 2 or kept is None or "alive" not in kept.values or c.group == "row":
        return "no row that ended"
    if kept.values["alive"] and kept.life == lost.life:
        return "the row lives, and is the same"
    if lost.proposal:
        return "a proposal was not an edit"
    return "the delete had seen it" if c.covered(kept, lost) else None


def refused(c):
    kept, lost = c.kept, c.lost
    if c.rule != 1:
        return "rule %d refuses nothing" % c.rule
    if not c.j["say"]:
        return "a return without a sentence"
    if c.why in ("lock", "rule"):
        return None                      # the sentence is the policy's own, with the values that it used
    if c.why == "key-clash":
        if c.group != "row" or kept is None or not kept.values["alive"]:
            return "no living row is kept"
        return "one row, or one unit" if kept.life == lost.life or kept.values["unit"] == lost.values["unit"] else None
    if c.rights is None:
        return "the policy list is not known"
    if c.why == "mode":
        return "its author may write it" if c.may_write(lost) else None
    if c.why == "old-policy":
        return None if newer_reported(c) else "its author had reported no newer list"
    if c.why == "forged-ruling":
        if lost.mode != "ruling":
            return "no ruling"
        if kept is not None and lost.base == kept.id and lost.asserts == kept.marks and not differ(kept, lost, c.group):
            return "it asserts what is kept"
        return None
    return "why %r?" % c.why


def older(a, b):
    """No issuer's version in a is higher, and one is lower."""
    a, b = ({e["issuer"]: e["version"] for e in l} for l in (a, b))
    return set(a) <= set(b) and all(a[i] <= b[i] for i in a) and (any(a[i] < b[i] for i in a) or set(b) != set(a))


def newer_reported(c):
    return any(c.mark_seen(mark(r), c.lost.own) and older(c.j["policy"], r["policy"]) for r in c.j.get("reported") or ())


def rejected(c):
    kept, lost = c.kept, c.lost
    if not lost.proposal or kept is None or kept.proposal:
        return "no proposal was decided"
    if c.open(lost, kept):
        return "the proposal is open still"
    return None if c.seen(kept, lost) else "who rejected had not seen it"


def read_only(c):
    if c.rule != 0:
        return "rule %d is none of the author's own node" % c.rule
    if c.rights is None:
        return "the policy list is not known"
    return "this level may write it" if c.lost.mode != "proposal" and c.may_write(c.lost) else None


DECIDERS = {"superseded": superseded, "edited-while-deleted": edited_while_deleted, "refused": refused, "rejected": rejected,
            "read-only": read_only}


def decide(j):
    """What is wrong with the record's verdict; None where it is confirmed."""
    if j["why"] == "adoption":
        return None                      # decided by a person's plan, not by the rule
    if j["kind"] not in DECIDERS:
        return "unknown kind"
    try:
        return DECIDERS[j["kind"]](Case(j))
    except (KeyError, TypeError, ValueError) as e:
        return "the record lacks what decides it: %r" % e


def tampered(j):
    """The same record with the roles of the two values exchanged, or with the right given that was missing."""
    j = json.loads(json.dumps(j))
    if j["kind"] in ("superseded", "rejected") and j["kept"]:
        j["kept"], j["lost"] = j["lost"], j["kept"]
    elif j["kind"] == "edited-while-deleted" and j["kept"]:
        j["kept"]["values"]["alive"], j["kept"]["life"] = True, j["lost"]["life"]
    elif j["why"] == "key-clash":
        j["kept"]["values"]["unit"] = j["lost"]["values"]["unit"]
    elif j["rights"] is not None and j["why"] not in ("lock", "rule", "adoption", "old-policy", "forged-ruling"):
        j["rights"] = {r: list(LEVELS) for r in ("own", "create", "delete", "propose")}
    else:
        j["say"] = j["rule"] = None
    return j


def main(words):
    tamper = "--tamper" in words
    files = [w for w in words if w != "--tamper"]
    counts, failed, survived = Counter(), 0, 0
    for name in files:
        with sys.stdin if name == "-" else open(name, encoding="utf-8") as f:
            for line in f:
                j = json.loads(line)
                what = "%s/%s" % (j["kind"], j["why"] or j["rule"])
                counts[what] += 1
                if tamper:
                    survived += j["why"] != "adoption" and decide(tampered(j)) is None
                    continue
                wrong = decide(j)
                if wrong is not None:
                    failed += 1
                    if failed <= 20:
                        print("redecide: seed %s, node %s, record %s, %s: %s" % (j.get("seed"), j.get("at_node"), j["id"], what, wrong),
                              file=sys.stderr)
    print("redecide: " + ", ".join("%d %s" % (n, w) for w, n in sorted(counts.items())))
    total = sum(counts.values())
    if tamper:
        print("redecide: %d of %d false records are noticed" % (total - survived, total))
        return survived != 0 or total == 0
    print("redecide: %d passed, %d failed" % (total - failed, failed))
    return failed != 0 or total == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
