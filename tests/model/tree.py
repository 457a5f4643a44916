"""Whole trees of nodes that exchange rows: sealing, links, feeds, disasters, and what must hold when all is quiet."""
import copy
from collections import Counter

from rule import (
    COLUMNS, Context, DECISION, EMPTY, Group, LEVELS, LOCKED, NONE, NO_ROW, OWN, PROPOSAL, READ, RIGHTS, Row, STRENGTH, Value, Verdict,
    bad_mark, better, completed, contents, covered, current, decide, defaults, group_of, inside, join, level_of, may_write, on_path,
    open_proposals, put, raised, ruling, settling, shown, signature, standing, values_of)

class Feed:
    """A parent's side of the link to one child: what is dirty for it, what it was sent, what came from it."""

    def __init__(self):
        self.dirty, self.records, self.needs, self.healing = {}, {}, set(), False
        self.forget()

    def forget(self):
        self.sent, self.no, self.received, self.last_up, self.last_stamp = {}, 0, 0, 0, 0

class Disk:
    """All that a restore takes back."""

    def __init__(self):
        self.rows, self.met, self.sealed, self.epoch, self.fresh, self.policy = {}, (NONE,) * LEVELS, 0, 0, True, 0
        self.outbox, self.out_seq = [], 0              # to the parent: (seq, author, activated policy, [(key, value)])
        self.up_dirty, self.up_no, self.applied = {}, 0, 0
        self.feeds, self.records, self.reported, self.known, self.dropped, self.stamp, self.was = {}, {}, {}, set(), set(), 0, {}

def copied(x):
    """A copy of a disk or a feed that shares nothing that changes."""
    y = copy.copy(x)
    for name, part in vars(x).items():
        if isinstance(part, (dict, list, set)):
            setattr(y, name, {k: copied(v) if isinstance(v, Feed) else v.copy() if isinstance(v, dict) else v for k, v in part.items()}
                    if isinstance(part, dict) else part.copy())
    return y

class Node:
    def __init__(self, tree, unit):
        self.tree, self.unit, self.level, self.disk = tree, unit, level_of(unit), Disk()
        self.boot, self.ready, self.backups, self.checks, self.restored_at = 0, True, [], False, -1

    # ---- sealing

    def next_mark(self, marks):
        """A fresh mark above the counter and above every mark of this level that the write builds on."""
        d = self.disk
        if d.fresh:                                    # every start of the daemon opens an epoch at its first seal
            token = self.tree.token_of()
            if d.epoch:
                self.tree.epochs[token] = (d.epoch, d.sealed)      # what this disk sealed itself, not what it has heard of
            d.epoch, d.fresh = token, False
        d.sealed = max(d.met[self.level][0], marks[self.level][0]) + 1
        d.met = raised(d.met, self.level, (d.sealed, d.epoch))
        return d.sealed, d.epoch

    def mode(self, row_unit, group):
        """Own mode, or the stronger one of a level that this node acts for; True as second where it acts."""
        t, modes = self.tree, self.tree.policies[self.disk.policy][group]
        child = t.child_towards(self.unit, row_unit)
        below = range(self.level + 1, level_of(child) if child else level_of(row_unit) + 1)
        acted = list(below) + (list(range(self.level)) if self.unit == t.root else [])
        best = max([modes[l] for l in acted] + [READ], key=STRENGTH.get)
        return (best, True) if STRENGTH[best] > STRENGTH[modes[self.level]] else (modes[self.level], False)

    def rights(self, group, h, cols):
        """The rights one of which a change of `group` needs: as the rule's `rights`, before there is a value."""
        if group != "row":
            return [group]
        return RIGHTS if {**h.cols, **cols} == h.cols else ["create" if cols.get("alive", True) else "delete"]

    def seal(self, key, values, partial=None, over=()):
        """Own writes: into the state, dirty for the children, and up as one delta (`partial`: the changed columns only)."""
        for v in values:
            self.tree.over[key, v.group, v.id] = {x.id for x in over if x}     # the truth, for the checks: what was looked at
            self.tree.journal.append((key, v, self.tree.now))
            if v.group == "row" and not inside(self.unit if v.kind == DECISION else self.tree.root, v.cols["unit"]):
                self.tree.fail("bad unit sealed: %s" % v.json())
            self.accept(key, v, None, Verdict(0, "own", "", ()))
            slot = group_of(self.disk.rows[key], v).proposals.get(v.slot)
            if v.kind == PROPOSAL and slot is not v:
                self.tree.fail("own proposal does not take its slot: %s before %s" % (slot.json(), v.json()))
        self.send_up(self.unit, None, [(key, v) for v in ([partial] if partial else values)])

    def send_up(self, author, activated, values):
        if self.tree.parent(self.unit):
            self.disk.out_seq += 1
            self.disk.outbox.append((self.disk.out_seq, author, activated, values))

    def insert(self, key, unit, groups):
        """groups: {group: cols}.  Over nothing, a tombstone, or the marker of a row that went away."""
        old = self.disk.rows.get(key, NO_ROW).row.decision
        mode, acting = self.mode(unit, "create")
        if not inside(self.unit, unit):
            self.tree.count["bad-unit"] += 1           # stays in the table, is not sealed
            return False
        if mode != OWN or old and old.cols["alive"] and inside(self.unit, old.cols["unit"]):
            return False
        base = old.marks if old else (NONE,) * LEVELS
        mark = self.next_mark(base)
        life = (self.unit, mark)
        values = [Value("row", self.unit, DECISION, raised(base, self.level, mark), life, {"alive": True, "unit": unit},
                        base=old and old.id, policy=self.disk.policy, acting=acting, saw=old.saw if old else ())]
        for g, cols in groups.items():
            mode, acting = self.mode(unit, g)
            if mode != READ:
                values.append(Value(g, self.unit, DECISION if mode == OWN else PROPOSAL,
                                    raised((NONE,) * LEVELS, self.level, mark), life, {**dict.fromkeys(COLUMNS[g], 0), **cols},
                                    policy=self.disk.policy, acting=acting))
        self.seal(key, values, over=(old,))
        return True

    def review(self, key, group, p, accept):
        """Accepts the proposal p as this level's decision, or rejects it: what stands (or the defaults) is asserted again, and p goes
        back to its author as a return.  Both have taken into account exactly p: a newer one of the same author stays open."""
        row = self.disk.rows[key]
        g = standing(row) if group == "row" else current(row)[group]
        cols = p.cols if accept else g.decision.cols if g.decision else dict.fromkeys(COLUMNS[group], 0)
        if not self.edit(key, group, cols, answer=p):
            return False
        row = self.disk.rows[key]
        v = (row.row if group == "row" else current(row).get(group, EMPTY)).decision
        if v and v.kind == DECISION and v.base == p.id:      # a move out of this scope is a proposal of its own
            self.tree.reviewed.append((key, group, p, v, accept, self.unit, self.tree.now))
            if not accept:
                self.record(key, p, "rejected", v)
        return True

    def edit(self, key, group, cols, answer=None, propose=False):
        """A clerk's change of a group; `answer`: the proposal that this decision accepts, rejects or edits."""
        row = self.disk.rows.get(key, NO_ROW)
        h = row.row.decision
        if not h or not h.cols["alive"] or not inside(self.unit, h.cols["unit"]):
            return False
        if not inside(self.tree.root, cols.get("unit", self.tree.root)):
            self.tree.count["bad-unit"] += 1           # row and state keep the unit that they had
            return False
        mode, acting = max((self.mode(h.cols["unit"], right) for right in self.rights(group, h, cols)), key=lambda m: STRENGTH[m[0]])
        if not inside(self.unit, cols.get("unit", self.unit)):
            propose = True                             # a move out of one's scope is a proposal to the common ancestor
        if mode == READ or mode != OWN and answer:
            return False
        g = standing(row) if group == "row" else current(row).get(group, EMPTY)
        kind = DECISION if mode == OWN and not propose else PROPOSAL
        base = shown(g)
        marks = base.marks if base else (NONE,) * LEVELS
        if answer:
            marks = join(marks, answer.marks)
        mine = kind == PROPOSAL and g.proposals.get((self.unit, h.life) if group == "row" else self.unit)
        if mine:
            marks = join(marks, mine.marks)            # else it may be smaller than one's older proposal, and never take its slot
        old = base.cols if base else dict.fromkeys(COLUMNS.get(group, ()), 0)
        if not answer and all(old[c] == x for c, x in cols.items()):
            return False
        saw = ()
        if group == "row" and cols.get("alive") is False:
            saw = tuple((h.life, n, x.decision.marks) for n, x in current(row).items() if x.decision)
        v = Value(group, self.unit, kind, raised(marks, self.level, self.next_mark(marks)), h.life, {**old, **cols},
                  base=answer.id if answer else base and base.id, policy=self.disk.policy, acting=acting, saw=saw)
        part = group != "row" and group not in self.tree.on_conflict and not answer and kind == DECISION and base and base.kind == DECISION and base.unit == self.unit
        self.seal(key, [v], v.but(cols=cols, whole=False) if part else None,   # partial: on one's own decision
                  over=(base, answer))
        return True

    def forge(self, key, group, cols, nothing):
        """A hostile node seals as a ruling what it may not write: its base is what it holds, what it asserts is not."""
        row = self.disk.rows.get(key, NO_ROW)
        h = row.row.decision
        if not h or not h.cols["alive"] or not inside(self.unit, h.cols["unit"]):
            return
        g = row.row.decision if group == "row" else current(row).get(group, EMPTY).decision
        marks = g.marks if g else (NONE,) * LEVELS
        v = Value(group, self.unit, DECISION, raised(marks, self.level, self.next_mark(marks)), h.life, cols, base=None if nothing else g and g.id,
                  ruling=True, asserts=(NONE,) * LEVELS if nothing or not g else g.marks, policy=self.disk.policy)
        if may_write(v.but(acting=True), g, self.tree.policies) or g and g.cols == cols:
            return
        self.tree.forged.add((key, group, v.id))
        self.seal(key, [v], over=(g,))

    # ---- receiving

    def context(self, key, child, state):
        healing = child in self.disk.feeds and self.disk.feeds[child].healing
        return Context(self.unit, "below" if child else "above", self.tree.epochs, self.tree.policies, self.disk.reported, self.failing, state, healing,
                       self.disk.was.get(key, ()))

    def failing(self, row, v):
        """Locks held here and, where this node checks, the policy's rules: no negative x, no row of a unit 3."""
        h = row.row.decision
        if v.group in LOCKED and h and self.mode(h.cols["unit"], v.group)[0] == OWN:
            d = current(row).get("d", EMPTY).decision
            if d and d.cols["s"] == 1:
                return "lock"
        return "rule" if self.checks and (v.cols.get("x", 0) < 0 or v.cols.get("alive") and v.cols["unit"][-1] == "3") else ""

    def receive(self, key, v, child, from_state=False):
        """A value from below (child) or from above (child None): decide, keep the greater, record, rule, pass on."""
        d, t = self.disk, self.tree
        row = d.rows.get(key)
        bad = child and bad_mark(v.marks, self.level, d.met)
        if bad:
            t.fail("bad-mark %s at %s: %s" % (bad, self.unit, v.json()))
        d.met = join(d.met, v.marks)
        verdict = decide(row, v, self.context(key, child, from_state or not child))
        t.count[(verdict.rule, verdict.name, verdict.why)] += 1
        if verdict.why == "forged-ruling" and (key, v.group, v.id) not in t.forged:
            t.fail("forged-ruling at %s: %s held %s" % (self.unit, v.json(), row and group_of(row, v).decision and group_of(row, v).decision.json()))
        lost = verdict.why == "scope" and any(n.restored_at >= 0 for n in t.nodes.values())      # where the row was is not known here
        if verdict.name == "refuse" and verdict.why in ("mode", "scope") and not t.forged and not lost:
            t.fail(verdict.why + " at %s: %s" % (self.unit, v.json()))
        if verdict.name == "bad-state":
            t.fail("bad-state at %s: %s" % (self.unit, v.json()))
        if verdict.name == "need":
            d.feeds[child].needs.add(key)
            return
        if verdict.name == "pass":                     # a delta was relayed already; a state is kept until it has gone up
            if from_state and child:
                self.mark_up(key)
            elif v.life not in row.lives or completed(group_of(row, v), v) is None:
                return
        better_one = self.conflict_won(key, row, v, verdict, child, from_state)
        changed = self.accept(key, v, child, verdict)
        if verdict.name in ("refuse", "revive"):
            row = row or NO_ROW
            h = group_of(row, v).decision
            r = ruling(row, v, self.unit, self.next_mark(join(v.marks, (h or v).marks)), d.policy, verdict.name == "revive")
            t.rulings += 1
            base = next((b for k, b, _ in t.journal if (k, b.group, b.id) == (key, v.group, v.base) and b.kind == DECISION), None)
            t.count["ruling below the base"] += verdict.name == "refuse" and bool(base and (h is None or base.order > h.order))
            self.seal(key, [r], over=(h, v))
        elif verdict.name == "keep" and (not child or v.group == "row") or child and from_state and changed:
            self.mark_up(key)      # state goes on as state; what the parent may have lost or dropped since is told again
        if better_one:
            kept, lost = better_one
            acting = self.mode(d.rows[key].row.decision.cols["unit"], v.group)[1]
            self.seal(key, [settling(kept, lost, self.unit, self.next_mark(join(kept.marks, lost.marks)), d.policy, acting)], over=(kept, lost))
            t.count["settled"] += 1
        h = verdict.losers and verdict.losers[0]
        if not child and v.ruling and verdict.name == "take-over" and h.unit == self.unit and h.kind == DECISION and not h.ruling \
                and h.life == v.life and h.order[0] > v.asserts:
            again = self.edit(key, h.group, {"alive": False} if h.group == "row" and not h.cols["alive"] else h.cols)
            t.count["once more"] += again              # displaced by a ruling against another write
            t.count["once more of group row"] += again and h.group == "row"

    def conflict_won(self, key, row, v, verdict, child, from_state):
        """on_conflict: what the node of the highest level that owns the group answers a conflict with, as (kept, lost)."""
        how = self.tree.on_conflict.get(v.group)
        h = row and row.row.decision
        if not how or not h or not inside(self.unit, h.cols["unit"]):
            return None
        above = self.tree.policies[self.disk.policy][v.group][:self.level]
        if self.mode(h.cols["unit"], v.group)[0] != OWN or self.unit != self.tree.root and OWN in above:
            return None
        return better(row, v, verdict, self.context(key, child, from_state or not child), how)

    def accept(self, key, v, child, verdict):
        d = self.disk
        before = d.rows.get(key, NO_ROW)
        after = put(before, v)
        if verdict.name == "refuse":                   # its ruling follows at once; only the refused life is known from now on
            after = Row(before.row, {**before.lives, v.life: before.lives.get(v.life, {})})
        d.known.add((key, v.group, v.id))
        for lost in verdict.losers:
            self.record(key, lost, "edited-while-deleted" if verdict.name == "aside" else verdict.why or "superseded", v)
        mine = next((p for p in group_of(before, v).proposals.values() if (p.unit, p.id) == (self.unit, v.base)), None)
        if mine and v.kind == DECISION and v.unit != self.unit and inside(self.unit, v.unit) and v.cols != mine.cols:
            self.record(key, mine, "rejected", v)      # a subordinate's word on it: records travel downwards only
        was, now = before.row.decision, after.row.decision
        if was and was.cols["alive"] and verdict.name != "refuse" and (now.life != was.life or not now.cols["alive"]):
            for g in before.lives.get(was.life, {}).values():
                if g.decision and not covered(g.decision, now):
                    self.record(key, g.decision, "edited-while-deleted", now)
        d.rows[key] = after
        if v.group == "row" and v.kind == DECISION and verdict.name != "refuse" and was and was.life == v.life == now.life:
            named = {x.cols["unit"] for x in (was, v)} - {now.cols["unit"]}        # also where a move lost: its level may have passed it on
            if named and on_path(before, v, self.context(key, None, False)):
                d.was[key] = d.was.get(key, frozenset()) | named
        changed = group_of(before, v) != group_of(after, v)
        place = lambda x: x and (x.life, x.cols["unit"])
        whole = place(was) != place(now)
        if changed or verdict.name in ("keep", "refuse"):
            for c in self.tree.children(self.unit):
                if any(x and inside(c, x.cols["unit"]) for x in (was, now)):
                    if c != child or verdict.name in ("keep", "refuse"):       # no echo to the source of what is taken
                        self.mark_down(key, c, list(COLUMNS) if whole else [v.group])
                elif c == child and v.group == "row" and verdict.name in ("keep", "refuse"):
                    self.mark_down(key, c, [])
        self.erase(key)
        return changed

    def mark_down(self, key, child, groups):
        d = self.disk
        d.stamp += 1
        entry = d.feeds.setdefault(child, Feed()).dirty.setdefault(key, {})
        for g in ["row"] + list(groups):
            entry[g] = d.stamp

    def mark_up(self, key):
        if self.tree.parent(self.unit):
            self.disk.stamp += 1
            self.disk.up_dirty[key] = self.disk.stamp

    def erase(self, key):
        """Out of scope: the values go as soon as nothing of the row waits to go up."""
        d = self.disk
        row = d.rows.get(key)
        h = row and row.row.decision
        if h and not inside(self.unit, h.cols["unit"]) and (row.lives or row.row.proposals):
            if key not in d.up_dirty and not any(k == key for _, _, _, vs in d.outbox for k, _ in vs):
                d.rows[key] = Row(Group(h, {}), {})
                d.known = {n for n in d.known if n[0] != key or n in d.records}
                if any(n.restored_at >= 0 for n in self.tree.nodes.values()):
                    self.tree.perish()

    def record(self, key, lost, why, winner):
        """One record for one losing value, wherever it was decided; it travels to its author's node."""
        d = self.disk
        name = (key, lost.group, lost.id)
        d.known.add(name)
        if name not in d.records:
            d.records[name] = (why, winner.id)
            c = self.tree.child_towards(self.unit, lost.unit)
            if c:
                d.feeds.setdefault(c, Feed()).records[name] = (why, winner.id)

    # ---- links: the child pushes, the parent answers

    def view(self, key, child, groups=None):
        """The row as the child may see it: a marker where it is out of its scope, else the groups of the life that stands."""
        row = self.disk.rows.get(key, NO_ROW)
        h = row.row.decision
        if not h or not inside(child, h.cols["unit"]):
            return Row(Group(h, {}), {})
        return Row(standing(row), {h.life: {n: g for n, g in current(row).items() if groups is None or n in groups}})

    def push(self, r):
        d = self.disk
        d.up_no += 1
        n = len(d.outbox) if r is None else r.randint(0, len(d.outbox))
        return {"no": d.up_no, "items": d.outbox[:n], "states": [(k, d.rows.get(k, NO_ROW)) for k in d.up_dirty], "stamp": d.stamp,
                "ack": d.applied}

    def take_push(self, child, m):
        f = self.disk.feeds.setdefault(child, Feed())
        for seq, author, activated, values in m["items"]:
            if seq == f.received + 1:
                f.received = seq
                self.take_delta(child, author, activated, values)
        if m["no"] > f.last_up:
            f.last_up, f.last_stamp = m["no"], m["stamp"]
            for key, row in m["states"]:
                f.needs.discard(key)
                self.take_state(key, row, child)
            f.healing = f.healing and any(self.tree.differing(child))
            no = m["ack"]
            if no in f.sent:
                stamp, keys, records = f.sent[no]
                for k in keys:
                    left = {g: s for g, s in f.dirty.get(k, {}).items() if s > stamp}
                    f.dirty.pop(k, None)
                    if left:
                        f.dirty[k] = left
                for name in records:
                    f.records.pop(name, None)
                f.sent = {n: s for n, s in f.sent.items() if n > no}
                if not f.dirty:
                    self.tree.nodes[child].ready = True

    def take_delta(self, child, author, activated, values):
        d = self.disk
        if activated:
            d.reported[author] = d.reported.get(author, ()) + (activated,)
        self.send_up(author, activated, values)        # relayed verbatim, whatever the verdict
        n = len(d.outbox)
        for key, v in values:
            self.receive(key, v, child)
        if n and len(d.outbox) > n:                    # its rulings stand before it: the next level does not rule again
            d.outbox[n - 1:] = [(d.outbox[n - 1][0] + i,) + o[1:] for i, o in enumerate(d.outbox[n:] + [d.outbox[n - 1]])]

    def take_state(self, key, row, child):
        if row.row.decision is None:
            return
        for v in sorted(values_of(row), key=lambda v: v.group != "row"):
            self.receive(key, v, child, True)
        if signature(self.view(key, child)) != signature(row):
            self.mark_down(key, child, list(COLUMNS))  # a state from below that is less is answered by the state held

    def answer(self, child, r):
        f = self.disk.feeds.setdefault(child, Feed())
        keys = sorted(f.dirty)
        keys = keys if r is None else r.sample(keys, r.randint(0, len(keys)))
        f.no += 1
        f.sent[f.no] = (self.disk.stamp, keys, list(f.records))
        return {"no": f.no, "rows": [(k, self.view(k, child, f.dirty[k])) for k in keys], "records": dict(f.records),
                "received": f.received, "up": (f.last_up, f.last_stamp), "needs": sorted(f.needs)}

    def take_answer(self, m):
        d = self.disk
        done = [k for _, _, _, vs in d.outbox for k, _ in vs] + list(d.up_dirty)
        d.outbox = [o for o in d.outbox if o[0] > m["received"]]
        d.up_dirty = {k: s for k, s in d.up_dirty.items() if s > m["up"][1]}
        for key in m["needs"]:
            self.mark_up(key)
        for key in done:
            self.erase(key)
        if m["no"] <= d.applied:
            return
        for key, row in m["rows"]:
            for v in sorted(values_of(row), key=lambda v: v.group != "row"):
                self.receive(key, v, None)
        d.applied = m["no"]
        for name, why in m["records"].items():
            if name not in d.records:
                d.records[name] = why
                d.known.add(name)
                c = self.tree.child_towards(self.unit, name[2][0])
                if c:
                    d.feeds.setdefault(c, Feed()).records[name] = why

class Tree:
    def __init__(self, root, units, policy, seed=0):
        self.root, self.policies, self.seed = root, [policy], seed
        self.epochs, self.journal, self.count, self.failures = {}, [], Counter(), []
        self.now = self.number = self.rulings = 0
        self.nodes, self.links, self.net, self.perished, self.settled, self.over = {}, {}, [], set(), {}, {}
        self.on_conflict = {}                          # group: ("max" or "min", column)
        self.forged = set()                            # what a hostile node has sealed
        self.reviewed = []                             # (key, group, proposal, decision, accepted, by, when)
        for u in sorted([root] + units, key=len):
            self.enrol(u, ready=True)
        for u in self.nodes:
            self.links[u] = self.token(u)

    def token_of(self):
        """A token, in no order, that no tree with a near seed has (a node draws 32 random bits)."""
        self.number += 1
        return self.seed % 100000 * 1000 + self.number * 389 % 997 + 1

    def fail(self, text):
        self.failures.append(text)

    # ---- shape

    def enrol(self, unit, ready=False):
        self.nodes[unit] = Node(self, unit)
        self.up = {u: max((p for p in self.nodes if p != u and inside(p, u)), key=len, default=None) for u in self.nodes}
        self.down = {u: sorted(c for c, p in self.up.items() if p == u) for u in self.nodes}
        node, parent = self.nodes[unit], self.up[unit]
        node.ready = ready
        if parent:
            node.disk.policy = self.nodes[parent].disk.policy
        node.backups = [copied(node.disk)]

    def parent(self, unit):
        return self.up[unit]

    def children(self, unit):
        return self.down[unit]

    def child_towards(self, unit, target):
        return next((c for c in self.down[unit] if inside(c, target)), None)

    # ---- links

    def token(self, child):
        p = self.up[child]
        return p and (self.nodes[child].boot, p, self.nodes[p].boot)

    def healed(self, child):
        return self.links.get(child) == self.token(child)

    def heal(self, child):
        """Hello showed a restore, a new neighbour or differing digests: both sides mark every row that differs."""
        p = self.up[child]
        if not p or not self.nodes[p].ready:
            return False
        parent, node = self.nodes[p], self.nodes[child]
        if any(m > g for m, g in zip(node.disk.met[:parent.level], parent.disk.met)):
            self.links[p] = None                       # restored together with what is above it: says hello there again
        parent.disk.met = node.disk.met = join(parent.disk.met, node.disk.met)     # hello names the greatest marks met
        f = parent.disk.feeds.setdefault(child, Feed())
        for gone in [c for c in parent.disk.feeds if c not in self.down[p]]:
            old = parent.disk.feeds.pop(gone)          # what waited for a child that dials another now goes to that one
            c = self.child_towards(p, gone)
            for key in old.dirty if c else ():
                parent.mark_down(key, c, list(COLUMNS))
            if c:
                parent.disk.feeds.setdefault(c, Feed()).records.update(old.records)
        f.forget()
        f.received = node.disk.outbox[0][0] - 1 if node.disk.outbox else node.disk.out_seq
        node.disk.applied, node.disk.up_no = 0, 0
        unsettled = {k for _, _, _, vs in node.disk.outbox for k, _ in vs if k in node.disk.rows}
        f.healing = f.healing or parent.restored_at >= 0 and (self.links.get(child) or (0, 0, 0))[2] != parent.boot
        for key in sorted(set(self.differing(child, markers=True)) | unsettled):
            parent.mark_down(key, child, list(COLUMNS))
            node.mark_up(key)
        f.records.update({name: why for name, why in parent.disk.records.items() if inside(child, name[2][0])})
        self.links[child] = self.token(child)
        node.ready = node.ready or not f.dirty
        return True

    def differing(self, child, markers=False):
        p, node = self.nodes[self.up[child]], self.nodes[child]
        for key in sorted(set(p.disk.rows) | set(node.disk.rows)):
            mine, its = p.view(key, child), node.disk.rows.get(key)
            if not its and not inside(child, getattr(mine.row.decision, "cols", {"unit": ""})["unit"]):
                continue
            if its and its.row.decision and not inside(child, its.row.decision.cols["unit"]):
                its = Row(Group(its.row.decision, {}), {})
                h = mine.row.decision
                if not h or not inside(child, h.cols["unit"]) and not markers:
                    continue                           # markers age; only a heal compares them, where the row is held above
            if its and its.row.decision and (key, its.row.decision.id) in p.disk.dropped and not mine.lives:
                continue                               # a tombstone that the parent has dropped already
            if signature(mine) != signature(its):
                yield key

    def deliver(self, src, dst, token, m, r=None):
        child = src if self.up[src] == dst else dst
        if token != self.token(child) or not self.healed(child):
            return
        if child == src:
            self.nodes[dst].take_push(src, m)
            self.net.append((dst, src, token, self.nodes[dst].answer(src, r)))
        else:
            self.nodes[dst].take_answer(m)

    def contact(self, child, r=None):
        if self.up[child] and self.healed(child) and self.nodes[self.up[child]].ready:
            self.net.append((child, self.up[child], self.links[child], self.nodes[child].push(r)))
            return True
        return False

    def idle(self, child):
        d, f = self.nodes[child].disk, self.nodes[self.up[child]].disk.feeds.get(child, Feed())
        return self.healed(child) and not (d.outbox or d.up_dirty or f.dirty or f.records or f.needs)

    def drain(self):
        """Every link works and nobody writes any more."""
        self.net = []
        for round_ in range(200):
            busy = [c for c in sorted(self.nodes) if self.up[c] and not self.idle(c)]
            if not busy:
                return
            for c in busy:
                if not self.healed(c) and not self.heal(c):
                    continue
                if self.contact(c):
                    while self.net:
                        self.deliver(*self.net.pop(0))
        self.fail("never quiet: %s" % busy)

    # ---- disasters

    def restart(self, unit):
        self.nodes[unit].disk.fresh = True

    def restore(self, unit, backup):
        node = self.nodes[unit]
        node.disk, node.boot, node.ready, node.restored_at = copied(backup), node.boot + 1, unit == self.root, self.now
        node.disk.fresh = True
        self.perish()

    def perish(self):
        """Values of which no disk has a trace any more, after a restore: nothing can bring them back."""
        known = set().union(*[n.disk.known for n in self.nodes.values()])
        for n in self.nodes.values():
            known |= {(k, v.group, v.id) for _, _, _, vs in n.disk.outbox for k, v in vs}
        self.perished = {(k, v.group, v.id) for k, v, _ in self.journal} - known

    def reclaim(self, key):
        """Tombstones go from the root downward; a backup that still holds the living row may not be restored any more."""
        done = 0
        for u in sorted(self.nodes, key=len):
            d, p = self.nodes[u].disk, self.up[u]
            h = d.rows.get(key, NO_ROW).row.decision
            waits = any(k == key for _, _, _, vs in d.outbox for k, _ in vs) or key in d.up_dirty
            fed = [f for c, f in d.feeds.items() if key in f.dirty or key in f.needs]
            old = any(b.rows.get(key, NO_ROW).row.decision not in (None, h) for n in self.nodes.values() for b in n.backups)
            if h and not h.cols["alive"] and not waits and not fed and not old and all(self.healed(c) for c in self.down[u]) \
                    and (not p or (key, h.id) in self.nodes[p].disk.dropped and self.healed(u)):
                del d.rows[key]
                d.dropped.add((key, h.id))
                self.settled[key] = self.now
                done += 1
        return done

    # ---- what must hold when all is quiet

    def check(self):
        for c in self.nodes:
            if self.up[c]:
                for key in self.differing(c):
                    self.fail("digests differ on %s-%s for %s" % (self.up[c], c, key))
        dropped = {d for n in self.nodes.values() for d in n.disk.dropped}
        for key in sorted({k for n in self.nodes.values() for k in n.disk.rows}):
            top = self.nodes[self.root].disk.rows.get(key)
            if top is None:
                if any(n.disk.rows[key].row.decision.cols["alive"] and inside(u, n.disk.rows[key].row.decision.cols["unit"])
                       for u, n in self.nodes.items() if key in n.disk.rows):
                    self.fail("alive below, not held above: %s" % key)
                continue
            for name, g in [("row", standing(top))] + sorted(current(top).items()):
                v = g.decision                          # beside a tombstone nothing is judged; the defaults where nothing was are nothing
                if v and (key, name, v.id) in self.forged and (top.row.decision.cols["alive"] or name == "row") \
                        and (v.base or v.cols != defaults(v)):
                    self.fail("forged ruling stands: %s %s" % (key, v.json()))
            unit = top.row.decision.cols["unit"]
            for u, n in sorted(self.nodes.items()):
                row = n.disk.rows.get(key)
                if inside(u, unit):
                    if not row or contents(row) != contents(top):
                        self.fail("%s: %s differs from the root: %s / %s" % (key, u, row and contents(row), contents(top)))
                elif row and (key, row.row.decision.id) not in dropped and (row.lives or row.row.proposals or inside(u, row.row.decision.cols["unit"])):
                    self.fail("%s: %s holds values out of its scope" % (key, u))
        if not self.forged:
            self.check_records()
            self.check_reviews()

    def check_reviews(self):
        """A proposal that was decided on is closed at every node, unless that decision lost to one that did not know it; who was
        rejected has a return: it travels to who is below; who is above makes it of the decision."""
        for key, group, p, v, accept, by, when in self.reviewed:
            if when <= self.settled.get(key, -1) or any(n.restored_at >= when for n in self.nodes.values()):
                continue
            lost = any((key, group, v.id) in n.disk.records for n in self.nodes.values())
            for u, n in self.nodes.items():
                row = n.disk.rows.get(key)
                g = row and (standing(row) if group == "row" else current(row).get(group, EMPTY))
                if g and not lost and p in open_proposals(g):
                    self.fail("%s: reviewed, but open at %s: %s" % (key, u, p.json()))
            if accept or p.cols == v.cols or p.unit not in self.nodes or (key, group, p.id) in self.nodes[p.unit].disk.records:
                continue
            g = group_of(self.nodes[p.unit].disk.rows.get(key, NO_ROW), v)
            newer = p.slot in g.proposals and g.proposals[p.slot].id != p.id
            if not inside(p.unit, by) or p.unit == by or g.decision == v and not newer:        # of a word that stands, on what it last said
                self.fail("%s: rejected without a return: %s" % (key, p.json()))

    def check_records(self):
        latest = {}
        for key, v, when in self.journal:
            latest.setdefault((key, v.group, v.life if v.group != "row" else None), []).append((v, when))
        saws = {}
        for key, v, when in self.journal:
            if v.group == "row":
                saws.setdefault(key, []).append(v)
        for (key, group, life), values in latest.items():
            top = self.nodes[self.root].disk.rows.get(key)
            if top is None:
                continue                               # reclaimed: the tombstone was settled
            h = top.row.decision
            final = h if group == "row" else current(top).get(group, EMPTY).decision if life == h.life else None
            looked = lambda ids: ids | {i for x in ids for i in self.over.get((key, group, x), ())}
            kept = {final.id} if final else set()      # all that the final decision took into account, step by step
            while looked(kept) != kept:
                kept = looked(kept)
            chain = {i for w, _ in values if (key, group, w.id) not in self.perished for i in self.over[key, group, w.id]}
            while looked(chain) != chain:
                chain = looked(chain)                  # what a later value of its chain replaced
            for v, when in values:
                name = (key, group, v.id)
                if when <= self.settled.get(key, -1):
                    continue                           # of a row whose tombstone was settled and dropped
                if v.kind != DECISION or v.id in kept or v.id in chain or name in self.perished:
                    continue
                if group == "row" and not v.cols["alive"] and v.life != h.life:
                    continue                           # what it ended has ended
                if group != "row" and (life != h.life or not h.cols["alive"]):
                    if any(covered(v, r) for r in saws[key]) or any(
                            r.life == life and (key, "row", r.id) in self.nodes[r.unit].disk.records for r in saws[key]):
                        continue
                author = self.nodes[v.unit]
                where = [author] if author.restored_at < when else self.nodes.values()
                if not any(name in n.disk.records for n in where):
                    self.fail("lost without a record: %s %s by %s (%s)%s" % (key, group, v.unit, v.mark, " ruling" if v.ruling else ""))
