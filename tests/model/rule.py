"""The rule of design/authority.md and the state of a row: values, versions, what a node decides, merging."""
from collections import namedtuple

LEVELS = 5                                   # highest first; a unit's level is its depth in the division code
NONE = (0, 0)                                # the mark of a level of which a value has seen nothing
DECISION, PROPOSAL = "decision", "proposal"
OWN, PROPOSE, READ = "own", "propose", "read"
STRENGTH = {READ: 0, PROPOSE: 1, OWN: 2}
COLUMNS = {"a": ("x", "y"), "b": ("x", "y"), "d": ("s", "x")}       # field groups; lock: d.s = 1 locks b and d
RIGHTS = ("create", "delete")                # of group row: an insert or a move; a delete
LOCKED = ("b", "d")
TAKES = ("take", "take-over", "divert")

# ---------------------------------------------------------------- values, groups, rows (all immutable)

class Value:
    """One write of one group of one row by one node.  `cols` of group row: alive, unit; `life` names the row's life."""
    __slots__ = ("group", "unit", "kind", "marks", "life", "cols", "base", "whole", "ruling", "asserts", "policy", "acting",
                 "saw", "level", "mark", "id", "order", "slot")

    def __init__(self, group, unit, kind, marks, life, cols, base=None, whole=True, ruling=False, asserts=None, policy=0,
                 acting=False, saw=()):
        self.group, self.unit, self.kind, self.marks, self.life, self.cols = group, unit, kind, marks, life, cols
        self.base, self.whole, self.ruling, self.asserts = base, whole, ruling, asserts
        self.policy, self.acting, self.saw = policy, acting, saw
        self.level = level_of(unit)
        self.mark = marks[self.level]
        self.id = (unit, self.mark)
        self.slot = (unit, life) if group == "row" else unit               # one proposal for each author (and life)
        self.order = (marks, unit)                     # Order: level by level from the top by (tick, token), then the unit

    def but(self, **change):
        fields = {n: getattr(self, n) for n in Value.__slots__[:13]}
        fields.update(change)
        return Value(**fields)

    def json(self):
        return {n: getattr(self, n) for n in Value.__slots__[:13]}

Group = namedtuple("Group", "decision proposals")      # greatest decision or None; {author unit: its greatest proposal}
Row = namedtuple("Row", "row lives")                   # group row; {life: {group: Group}}
Verdict = namedtuple("Verdict", "rule name why losers")
EMPTY = Group(None, {})
NO_ROW = Row(EMPTY, {})

def level_of(unit):
    return len(unit) - 1

def inside(scope, unit):
    return unit.startswith(scope)

def join(*versions):
    return tuple(max(m) for m in zip(*versions))

# ---------------------------------------------------------------- the rule: seen, order, open, shown, decide

def mark_seen(mark, by, epochs):
    """Mark (tick, epoch) is seen in mark `by`: one epoch and not later, or `by`'s epoch left that one at or after it."""
    tick, epoch = mark
    if tick == 0:
        return True
    if by[1] == epoch:
        return tick <= by[0]
    token = by[1]
    while token in epochs:
        token, left = epochs[token]
        if token == epoch:
            return tick <= left
    return False

def seen(x, y, epochs):
    """x has seen y."""
    return mark_seen(y.mark, x.marks[y.level], epochs) or x.base == y.id

def is_open(proposal, decision):
    """A proposal is open while its own mark is greater than the decision's mark of that level (by Order, not by Seen)."""
    return decision is None or proposal.mark > decision.marks[proposal.level]

def open_proposals(group):
    return [p for p in group.proposals.values() if is_open(p, group.decision)]

def shown(group):
    """The decision; without one the greatest open proposal (provisional); without any None: the defaults."""
    return group.decision or max(open_proposals(group), key=lambda p: p.order, default=None)

def decide_group(g, v, epochs):
    """Rules 3-6 for one group: Order decides what is held, Seen only what is recorded."""
    h = g.decision
    if v.kind == PROPOSAL:
        p = g.proposals.get(v.slot)
        for held, stands in ((p, p and p.order >= v.order), (h, not is_open(v, h))):
            if held and stands:
                return Verdict(3, "old", "", ()) if held.id == v.id or seen(held, v, epochs) else Verdict(6, "keep", "", (v,))
        lost = (p,) if p and is_open(p, h) and not seen(v, p, epochs) else ()
        return Verdict(4, "divert" if h else "take", "", lost)
    if h and v.order <= h.order:
        return Verdict(3, "old", "", ()) if v.id == h.id or seen(h, v, epochs) else Verdict(6, "keep", "", (v,))
    lost = tuple(p for p in open_proposals(g) if not is_open(p, v) and not seen(v, p, epochs))
    if h is None or seen(v, h, epochs) or v.group == "row" and not h.cols["alive"] and v.life != h.life:
        return Verdict(4, "take", "", lost)            # the end of one life loses nothing to another life
    return Verdict(5, "take-over", "", (h,) + lost)

class Context:
    """What a node knows when it decides: itself, where the value came from, policies, reports, what its rules say."""

    def __init__(self, unit, came, epochs, policies, reported=None, failing=None, state=False, healing=False, was=()):
        self.unit, self.came, self.epochs, self.policies, self.state = unit, came, epochs, policies, state
        self.reported = reported or {}                 # author unit: [(mark, policy version)] reported active, in order
        self.healing = healing                         # restored, and the digests of this link have not agreed since
        self.was = was                                 # units in which the row has been before
        self.failing = failing or (lambda row, v: "")  # the node's `refuse` rules and locks: a reason, or ""

def rights(v, h, healing=False):
    """What the author of v must have, one of them: the mode of its field group; for a value of group row `create` (an insert, a move)
    or `delete`; where h says already what v says (a rejection), or may have said it and is lost in a restore, either."""
    if v.group != "row":
        return [v.group]
    again = h.life == v.life and h.cols == v.cols if h else healing and v.id != v.life
    return RIGHTS if again else ["create" if v.cols["alive"] else "delete"]

def may_write(v, h, policies, healing=False):
    """The author may write this group in that mode, under the policy version that its segment names."""
    if v.group == "row" and v.kind == PROPOSAL and v.id == v.life:
        return False                                   # an insert is never proposed: no row exists provisionally
    levels = slice(v.level, LEVELS if v.acting else v.level + 1)       # acting: for unmanned levels below
    best = max(STRENGTH[m] for g in rights(v, h, healing) for m in policies[v.policy][g][levels])
    return best >= STRENGTH[OWN if v.kind == DECISION else PROPOSE]

def upholds(row, v, ctx):
    """Why the ruling v needs no right of its author's, or "": what it asserts is its `base`, and that is held here; `nothing` is held
    here and it asserts just that; it says of a `dead` row that it is dead; it puts back a subordinate's `first` value, which it refuses;
    it does `revive` a row, by the right of the insert's author; or the base was `lost` in this node's own restore, by its author's."""
    h = group_of(row, v).decision
    if v.group == "row" and (h is None or not h.cols["alive"]):
        if not v.cols["alive"]:
            return "dead"
        author = v.life[0]
        if v.base == v.life and (h is None or h.life != v.life) and inside(v.unit, author) and author != v.unit \
                and inside(author, v.cols["unit"]) and could(author, v, ctx):
            return "revive"
    if v.base is None:
        if any(m != NONE for m in v.asserts) or v.cols != defaults(v):
            return ""
        refuses = h and v.group != "row" and h.base is None and inside(v.unit, h.unit) and h.unit != v.unit and seen(v, h, ctx.epochs)
        return "nothing" if h is None else "first" if refuses else ""
    if h and v.base == h.id and v.asserts == h.marks and v.life == h.life and v.cols == h.cols:
        return "base"
    lost = ctx.healing and (h is None or h.marks < v.asserts)
    return "lost" if lost and (not inside(ctx.unit, v.base[0]) or v.base[0] == ctx.unit or could(v.base[0], v, ctx, True)) else ""

def could(author, v, ctx, lost=False):
    """That subordinate, acting perhaps, could decide what the ruling v asserts."""
    return may_write(v.but(unit=author, acting=True), None, ctx.policies, lost)

def clashes(row, v, unit):
    """A value of group row that speaks of another life and another unit than the living row held (also a delete: it ends nothing here)."""
    h = row.row.decision
    return v.group == "row" and v.kind == DECISION and h is not None and h.cols["alive"] and h.life != v.life \
        and h.cols["unit"] != v.cols["unit"] and inside(unit, h.cols["unit"])

def refusal(row, v, ctx):
    """Rule 1: why a value from below is not admitted, or ""."""
    if not (v.ruling and v.kind == DECISION):
        return reason(row, v, ctx)
    if clashes(row, v, ctx.unit):
        return "key-clash"                             # an honest "no such row" of a node that does not see the other row
    return "forged-ruling" if not upholds(row, v, ctx) and reason(row, v, ctx) else ""

def on_path(row, v, ctx):
    """The author stands above the row, or did when it was born, or before it moved away; of another life and over nothing, keys and
    rights decide."""
    h = row.row.decision
    if h is None or v.life != h.life or ctx.healing and ctx.state:   # a restore may have lost where the row of a state was
        return True
    return any(inside(v.unit, unit) for unit in (h.cols["unit"], h.life[0], *ctx.was))

def reason(row, v, ctx):
    """Why a value that is no ruling is not admitted, or ""."""
    if not on_path(row, v, ctx):
        return "scope"
    if not may_write(v, group_of(row, v).decision, ctx.policies, ctx.healing):
        return "mode"
    if any(version > v.policy and mark_seen(mark, v.mark, ctx.epochs) for mark, version in ctx.reported.get(v.unit, ())):
        return "old-policy"
    if v.kind == PROPOSAL:
        return ""                                      # rules and locks are about decisions; a proposal only waits
    return "key-clash" if clashes(row, v, ctx.unit) else ctx.failing(row, v)

def group_of(row, v):
    return row.row if v.group == "row" else row.lives.get(v.life, {}).get(v.group, EMPTY)

def completed(g, v):
    """The whole value of a partial one, or None where its base is not held."""
    if v.whole:
        return v
    for held in [g.decision] + list(g.proposals.values()):
        if held and held.id == v.base:
            return v.but(cols={**held.cols, **v.cols}, whole=True)
    return None

def defaults(v):
    """The columns where nobody has decided: no such row, or the defaults."""
    return {"alive": False, "unit": v.cols["unit"]} if v.group == "row" else dict.fromkeys(COLUMNS[v.group], 0)

def covered(v, row_value):
    """The delete that ended v's life had seen v."""
    return any(life == v.life and group == v.group and v.mark <= marks[v.level] for life, group, marks in row_value.saw)

def decide(row, v, ctx):
    """The verdict of node ctx.unit that holds `row` (or None) on value v, numbered as in authority.md."""
    row = row or NO_ROW
    h = row.row.decision
    below = ctx.came == "below" and inside(ctx.unit, v.unit) and v.unit != ctx.unit
    if v.group == "row" and v.kind == DECISION and not inside(v.unit, v.cols["unit"]):
        return Verdict(1, "bad-state", "", ())         # malformed: a unit decides about rows of its own scope
    if h is None and (v.group != "row" or v.kind == PROPOSAL) or v.group != "row" and v.life not in row.lives and not ctx.state:
        if below and v.group != "row" and v.ruling and v.kind == DECISION and upholds(row, v, ctx):
            return Verdict(2, "aside", "life", ())     # it stands before the delta that brings the life: nothing else rules again
        return Verdict(2, "need", "life", ())          # a state is the answer to a need, never its cause
    if v.group != "row":
        if not inside(ctx.unit, h.cols["unit"]):
            return Verdict(2, "pass", "scope", ())
    g = group_of(row, v)
    verdict = decide_group(g, v, ctx.epochs)
    revived = below and verdict.name == "keep" and revives(h, v, ctx.unit)
    if verdict.name in TAKES or revived:
        whole = completed(g, v)
        if whole is None:
            return Verdict(2, "need", "base", ())
        if v.group != "row" and not (h.cols["alive"] and h.life == v.life):
            lost = (v,) if v.kind == DECISION and not covered(v, h) else ()
            return Verdict(2, "aside", "dead" if h.life == v.life else "life", lost + verdict.losers)
        marker = v.group == "row" and h is not None and not inside(ctx.unit, h.cols["unit"])
        why = refusal(row, whole, ctx) if below and not marker else ""     # over a marker nothing is judged: it is where the row is held
        if revived:
            return verdict if why else Verdict(1, "revive", "", ())
        if why:
            return Verdict(1, "refuse", why, (v,))
    return verdict

def revives(h, v, unit):
    """An insert that would lose to the end of another unit's row: a new life owes nothing to a delete that it could not see."""
    return v.group == "row" and not v.ruling and v.cols["alive"] and v.id == v.life and not h.cols["alive"] and h.life != v.life \
        and h.cols["unit"] != v.cols["unit"] and inside(unit, h.cols["unit"])

def bad_mark(marks, level, met):
    """Why a segment from below with a version is refused at a node of `level` that has met `met`, or ""."""
    if any(m > g for m, g in zip(marks[:level + 1], met)):
        return "above"                                 # what my level or a higher one wrote has come through me
    return "far" if any(m[0] > g[0] + 2 ** 32 for m, g in zip(marks, met)) else ""

def put(row, v):
    """The row with v in its place, whatever stood there less; merging is nothing but this."""
    g = group_of(row, v)
    v = completed(g, v) or v
    if v.kind == DECISION:
        g = g if g.decision and g.decision.order >= v.order else Group(v, g.proposals)
    else:
        p = g.proposals.get(v.slot)
        g = g if p and p.order >= v.order else Group(g.decision, {**g.proposals, v.slot: v})
    if v.group == "row":
        return Row(g, row.lives if v.life in row.lives or v.kind == PROPOSAL else {**row.lives, v.life: {}})
    return Row(row.row, {**row.lives, v.life: {**row.lives.get(v.life, {}), v.group: g}})

def values_of(row, lives=True):
    yield from filter(None, [row.row.decision])
    yield from row.row.proposals.values()
    for groups in row.lives.values() if lives else ():
        for g in groups.values():
            yield from filter(None, [g.decision])
            yield from g.proposals.values()

def merge_row(a, b):
    """The least row that is greater than both: group by group, life by life, keep the greater."""
    for v in values_of(b):
        a = put(a, v)
    return Row(a.row, {**{life: {} for life in b.lives}, **a.lives})

def ruling(row, v, unit, mark, policy=0, revive=False):
    """The decision that refuses v: what was held (no such row, defaults), marked as having seen v; or the one that revives v's."""
    held = group_of(row, v).decision
    h = v if revive else held                          # what it asserts
    cols = h.cols if h else defaults(v)
    marks = raised(join(held.marks, v.marks) if held else v.marks, level_of(unit), mark)
    return Value(v.group, unit, DECISION, marks, h.life if h else v.life, cols, base=h and h.id, ruling=True,
                 asserts=h.marks if h else (NONE,) * LEVELS, policy=policy, saw=held.saw if held else ())

def better(row, v, verdict, ctx, how):
    """on_conflict of a group, `how` = ("max" or "min", column): (kept, lost) of a conflict of two decisions that the lost one should
    have won, or None.  A ruling is nobody's new decision; what rule 1 would refuse wins nothing."""
    h = row.row.decision
    if verdict.name not in ("take-over", "keep") or v.group == "row" or v.kind != DECISION or v.ruling \
            or not (h.cols["alive"] and h.life == v.life):
        return None
    held, whole = group_of(row, v).decision, completed(group_of(row, v), v)
    kept, lost = (whole, held) if verdict.name == "take-over" else (held, whole)
    if lost is None or lost.ruling:
        return None
    x, y = lost.cols[how[1]], kept.cols[how[1]]
    if not (x > y if how[0] == "max" else x < y):
        return None
    below = ctx.came == "below" and inside(ctx.unit, v.unit) and v.unit != ctx.unit
    if verdict.name == "keep" and below and refusal(row, whole, ctx):
        return None
    return kept, lost

def settling(kept, lost, unit, mark, policy=0, acting=False):
    """The decision of the highest owner that takes the lost value, whole, having seen both."""
    marks = raised(join(kept.marks, lost.marks), level_of(unit), mark)
    return Value(lost.group, unit, DECISION, marks, lost.life, lost.cols, base=kept.id, policy=policy, acting=acting)

def raised(marks, level, mark):
    """One's own mark, greater than what it builds on: the tick goes past the mark of that level where it must."""
    tick = max(mark[0], marks[level][0] + 1)
    return marks[:level] + ((tick, mark[1]),) + marks[level + 1:]

def standing(row):
    """Group row without the proposals of former lives."""
    h = row.row.decision
    return Group(h, {s: p for s, p in row.row.proposals.items() if p.life == h.life})

def current(row):
    """{group: Group} of the life that group row's decision names."""
    h = row.row.decision
    return row.lives.get(h.life, {}) if h else {}

def signature(row):
    """What two nodes of a row's path compare: versions of group row and, of its life, every decision and open proposal."""
    if row is None or row.row.decision is None:
        return None
    one = lambda g: (g.decision and g.decision.id, tuple(sorted(p.id for p in open_proposals(g))))
    return one(standing(row)), row.row.decision.life, tuple(sorted((n, one(g)) for n, g in current(row).items() if one(g) != (None, ())))

def contents(row):
    one = lambda g: (g.decision and (g.decision.id, g.decision.marks, sorted(g.decision.cols.items())),
                     sorted((p.id, p.marks, sorted(p.cols.items())) for p in open_proposals(g)))
    h = row.row.decision
    return one(standing(row)), h.life, sorted((n, one(g)) for n, g in current(row).items() if shown(g))

def full(row):
    one = lambda g: (g.decision and g.decision.order, sorted(p.order for p in g.proposals.values()))
    return one(row.row), sorted((l, sorted((n, one(g)) for n, g in gs.items())) for l, gs in row.lives.items() if gs)
