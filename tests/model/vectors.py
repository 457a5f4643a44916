"""Vectors: cases of every clause for the C implementation, as one JSON document (format: authority_model.py)."""
import json
import random
import sys
from collections import Counter

from rule import (
    COLUMNS, Context, DECISION, EMPTY, LEVELS, NONE, NO_ROW, OWN, PROPOSAL, PROPOSE, READ, Row, Value, bad_mark, better, completed, current, decide,
    defaults, group_of, inside, join, level_of, may_write, put, raised, reason, rights, ruling, seen, settling, shown, upholds, values_of)
from histories import history, random_policy

def flat(marks):
    x = [n for m in marks for n in m]
    while x and x[-1] == 0:
        x.pop()
    return x

def marks_from(x):
    x = x + [0] * (2 * LEVELS - len(x))
    return tuple(zip(x[::2], x[1::2]))

def id_json(i):
    return i and [i[0], *i[1]]

def id_from(j):
    return j and (j[0], (j[1], j[2]))

def value_json(v):
    j = [v.group, v.unit, v.kind[0], flat(v.marks), id_json(v.life), v.cols, v.policy, "w" * v.whole + "r" * v.ruling + "a" * v.acting,
         id_json(v.base), v.asserts and flat(v.asserts), [[id_json(l), g, flat(m)] for l, g, m in v.saw]]
    while not j[-1]:
        j.pop()
    return j

def value_from(j):
    group, unit, kind, marks, life, cols, policy, flags, base, asserts, saw = j + [0, "", None, None, []][len(j) - 6:]
    return Value(group, unit, DECISION if kind == "d" else PROPOSAL, marks_from(marks), id_from(life), cols, id_from(base), "w" in flags,
                 "r" in flags, marks_from(asserts or []) if "r" in flags else None, policy, "a" in flags,
                 tuple((id_from(l), g, marks_from(m)) for l, g, m in saw))

def row_json(row):
    return row and [sorted(map(value_json, values_of(row)), key=json.dumps), sorted(map(id_json, row.lives))]

def row_from(j):
    if j is None:
        return None
    row, lives = NO_ROW, [id_from(l) for l in j[1]]
    for x in j[0]:
        row = put(row, value_from(x))
    return Row(row.row, {l: row.lives.get(l, {}) for l in lives})

def outcome(case):
    """What a vector asks: the verdict of node `node` that holds `state` on `incoming`, and the state after it."""
    row, v = row_from(case["state"]), value_from(case["incoming"])
    ctx = context_of(case)
    verdict = decide(row, v, ctx)
    after, answer, held = row, None, row or NO_ROW
    if verdict.name not in ("need", "bad-state") and not (verdict.name == "pass" and (
            v.life not in row.lives or completed(group_of(row, v), v) is None)):
        after = put(held, v)
        if verdict.name in ("refuse", "revive"):
            answer = ruling(held, v, ctx.unit, tuple(case["next"]), 0, verdict.name == "revive")
            after = put(Row(held.row, {**held.lives, v.life: held.lives.get(v.life, {})}), answer)
    won = case["how"] and better(held, v, verdict, ctx, case["how"])
    settled = won and value_json(settling(*won, ctx.unit, tuple(case["next"]), 0, v.acting))
    return ["%d %s %s" % verdict[:3], [value_json(l) for l in verdict.losers], answer and value_json(answer), row_json(after), settled or None]

def pack(cases, marks):
    """Vectors as one document, every value, state and policy once (the format: see the top)."""
    doc, index, tokens = {"clauses": [], "epochs": [], "policies": [], "values": [], "states": [], "cases": [], "bad_marks": marks}, {}, {}
    def number(table, x):
        name = table, json.dumps(x)
        if x is not None and name not in index:
            index[name] = len(doc[table])
            doc[table].append(x)
        return index.get(name)
    state = lambda j: j and number("states", [sorted(number("values", x) for x in j[0]), j[1]])
    for c in cases:
        clause, losers, answer, after, settled = c["asked"]
        for token, former in c["epochs"].items():
            assert tokens.setdefault(token, former) == former
            number("epochs", [token, *former])
        doc["cases"].append([c["node"], c["came"][0] + "w" * c["whole_row"] + "h" * c["healing"] + "p" * c["was"], state(c["state"]), number("values", c["incoming"]),
                             [number("policies", {g: "".join(m[0] if m != PROPOSE else "p" for m in ms) for g, ms in p.items()}) for p in c["policies"]],
                             c["reported"], c["failing"], c["next"], number("clauses", clause), [number("values", x) for x in losers],
                             number("values", answer), state(after), c["how"] and list(c["how"]), number("values", settled)])
    return doc

def unpack(doc):
    epochs = {e: (f, tick) for e, f, tick in doc["epochs"]}
    modes = {"o": OWN, "p": PROPOSE, "r": READ}
    state = lambda i: None if i is None else [sorted((doc["values"][x] for x in doc["states"][i][0]), key=json.dumps), doc["states"][i][1]]
    value = lambda i: None if i is None else doc["values"][i]
    for node, came, held, v, ps, reported, failing, mark, clause, losers, answer, after, how, settled in doc["cases"]:
        yield {"node": node, "came": "below" if came[0] == "b" else "above", "whole_row": "w" in came, "healing": "h" in came, "was": "p" in came, "state": state(held), "incoming": value(v),
               "policies": [{g: [modes[m] for m in ms] for g, ms in doc["policies"][p].items()} for p in ps], "reported": reported,
               "failing": failing, "next": mark, "epochs": epochs, "how": how,
               "asked": [doc["clauses"][clause], [value(x) for x in losers], value(answer), state(after), value(settled)]}

def mark_cases(n, seed):
    """[level, marks, greatest marks met, answer] for bad_mark, n of each answer."""
    r, have = random.Random(seed), Counter()
    while min(have[x] for x in ("", "above", "far")) < n:
        met = [(r.randint(1, 9), r.randint(1, 3)) if r.random() < 0.7 else NONE for _ in range(LEVELS)]
        level = r.randrange(LEVELS - 1)
        marks = [r.choice([NONE, m, m, (m[0], max(0, m[1] - r.choice([0, 1]))), (m[0], m[1] + 1) if l > level or r.random() < 0.1 else m,
                           (m[0] + 2 ** 32 + r.choice([-1, 0, 1]), 1) if l > level or r.random() < 0.1 else m]) for l, m in enumerate(met)]
        answer = bad_mark(tuple(marks), level, tuple(met))
        if have[answer] < n:
            have[answer] += 1
            yield [level, flat(marks), flat(met), answer]

def context_of(case):
    reported = {case["incoming"][1]: [((tick, token), version) for tick, token, version in case["reported"]]}
    return Context(case["node"], case["came"], case["epochs"], case["policies"], reported, lambda row, v: case["failing"], case["whole_row"], case["healing"],
                   case["incoming"][1:2] * case["was"])

def features(unit, row, v, clause, losers, epochs, ctx):
    h = group_of(row or NO_ROW, v).decision
    yield clause
    whole = completed(group_of(row or NO_ROW, v), v)
    if ctx.came == "below" and whole and (clause[2:] in TAKING or clause == "2 aside life"):
        if v.ruling and reason(row or NO_ROW, whole, ctx):
            yield "upheld, %s: %s" % (upholds(row or NO_ROW, whole, ctx), clause)
        elif v.ruling:
            yield "own right: " + clause
        elif v.group == "row" and v.kind == DECISION and len(rights(v, h, ctx.healing)) > 1 and not may_write(v, None, ctx.policies):
            yield ("said again: " if h else "said again, lost: ") + clause
    if v.group == "row":
        yield "%s, %s: %s" % ("insert" if v.life == v.id else "move" if v.cols["alive"] else "delete", v.kind, clause)
    if clause == "1 bad-state ":
        yield ctx.came + ": " + clause
    if clause == "1 refuse forged-ruling":
        if ctx.healing and v.base and inside(unit, v.base[0]) and v.base[0] != unit:
            yield ("healing, nothing held: " if h is None else "healing, less held: " if h.marks < v.asserts else "healing: ") + clause
        yield "%s %s: %s" % (twist_of(row, v), "row" if v.group == "row" else "group", clause)
    d = row and row.row.decision
    if ctx.came == "below" and d and v.life == d.life and not inside(v.unit, d.cols["unit"]) and not v.ruling:
        if inside(v.unit, d.life[0]) and clause[2:] in TAKING:
            yield "born there: " + clause
        elif clause[2:] in TAKING:
            yield ("out of its path, healing: " if ctx.healing and not ctx.was else "moved away: ") + clause
        elif clause == "1 refuse scope" and v.group == "row":
            yield "row, scope: " + clause
        if clause == "1 refuse scope" and ctx.healing:
            yield "healing delta: " + clause
    if v.kind == PROPOSAL and losers and losers[0] is not v:
        yield "fork: " + clause
    if h and v.id == v.life and not h.cols.get("alive", True) and h.cols["unit"] != v.cols["unit"] and inside(unit, v.unit) \
            and unit != v.unit and not inside(unit, h.cols["unit"]):
        yield "marker: " + clause
    if clause.startswith("2 aside") and v.kind == DECISION and not losers:
        yield "covered by saw"
    if h and v.group == "row" and not h.cols["alive"] and h.life != v.life and h.cols["unit"] != v.cols["unit"]:
        yield "over a tombstone: " + clause
        yield ("of two lives: " if not seen(v, h, epochs) else "seen: ") + clause
        if v.id != v.life and v.cols["alive"] and v.kind == DECISION:
            yield "no insert: " + clause
    if h and v.id == v.life and not h.cols.get("alive", True) and h.cols["unit"] == v.cols["unit"]:
        yield "in its unit: " + clause
    if h and h.marks[v.level][1] in epochs and epochs[h.marks[v.level][1]][0] == v.mark[1]:
        yield ("within" if v.mark[0] <= epochs[h.marks[v.level][1]][1] else "beyond") + " the former epoch"
    yield v.kind + ": " + clause
    if v.acting:
        yield "acting"
    if not v.whole:
        yield "partial: " + clause
    if v.ruling:
        yield "ruling: " + clause
    if h and h.level == v.level and h.unit != v.unit:
        yield "other unit: " + clause
    if h and h.unit == v.unit and h.mark[1] != v.mark[1]:
        yield "epochs: " + clause
    if row and len(row.lives) > 1:
        yield "lives: " + clause
    if h and v.kind == DECISION:
        yield ("superior" if v.level < h.level else "same level" if v.level == h.level else "subordinate") + ": " + clause

def settled_features(row, v, verdict, ctx, how):
    """Of a conflict under on_conflict: answered, or why not."""
    if not how or v.kind != DECISION:
        return
    h, g = row.row.decision, group_of(row, v)
    lost = completed(g, v) if verdict.name == "keep" else g.decision
    if better(row, v, verdict, ctx, how):
        yield "settled %s: %s" % (how[0], verdict.name)
    elif v.ruling:
        yield "ruling: not settled"
    elif not h.cols["alive"] or h.life != v.life:
        yield "of a life that ended: not settled"
    elif lost is None:
        yield "partial: not settled"
    elif lost.ruling:
        yield "over a ruling: not settled"
    else:
        kept = g.decision if verdict.name == "keep" else completed(g, v)
        x, y = lost.cols[how[1]], kept.cols[how[1]]
        yield "equal: not settled" if x == y else "less: not settled" if (x < y) == (how[0] == "max") else "refused: not settled"

def twist_of(row, v):
    """What is wrong with a forged ruling: one thing, or more."""
    h = group_of(row or NO_ROW, v).decision
    wrong = [n for n, x in (("columns", v.cols != (h.cols if h else defaults(v))), ("base", v.base != (h and h.id)),
                            ("asserts", v.asserts != (h.marks if h else (NONE,) * LEVELS)), ("life", h and v.life != h.life)) if x]
    return wrong[0] if len(wrong) == 1 else "several"

TAKING = ("take ", "take-over ", "divert ")
MUST = ["1 refuse mode", "1 refuse scope", "1 refuse old-policy", "1 refuse lock", "1 refuse rule", "1 refuse key-clash", "1 refuse forged-ruling", "1 revive ",
        "1 bad-state ", "2 need life",
        "2 need base", "2 pass scope", "2 aside dead", "2 aside life", "3 old ", "4 take ", "4 divert ", "5 take-over ", "6 keep "]
ALSO = ["acting", "moved away: 4 take ", "moved away: 5 take-over ", "born there: 4 take ", "out of its path, healing: 4 take ", "healing delta: 1 refuse scope",
        "row, scope: 1 refuse scope", "marker: 6 keep ", "fork: 4 take ", "in its unit: 6 keep ", "no insert: 6 keep ", "of two lives: 4 take ",
        "covered by saw", "over a tombstone: 4 take ", "within the former epoch", "beyond the former epoch",
        "epochs: 3 old ", "epochs: 4 take ", "epochs: 5 take-over ", "epochs: 6 keep ",
        "other unit: 4 take ", "other unit: 5 take-over ",
        "other unit: 6 keep ", "lives: 4 take ", "lives: 5 take-over ", "lives: 6 keep ", "partial: 4 take ", "partial: 3 old ",
        "partial: 6 keep ", "ruling: 4 take ", "ruling: 5 take-over ", "ruling: 6 keep ", "proposal: 3 old ", "proposal: 6 keep ",
        "proposal: 4 take ", "superior: 5 take-over ", "subordinate: 6 keep ", "subordinate: 4 take ", "same level: 5 take-over "] + [
        x + ": 1 refuse forged-ruling" for x in ("columns row", "base row", "asserts row", "several row", "columns group", "base group", "asserts group",
                                                 "several group")] + [
        "first later: 1 refuse forged-ruling", "first unseen: 1 refuse forged-ruling", "first row: 1 refuse forged-ruling",
        "first own: 1 refuse forged-ruling", "nothing columns: 1 refuse forged-ruling", "nothing asserts: 1 refuse forged-ruling",
        "nothing columns: 2 need life", "nothing asserts: 2 need life", "healing, nothing held: 1 refuse forged-ruling",
        "healing, less held: 1 refuse forged-ruling", "healing: 1 refuse forged-ruling",
        "revive base: 1 refuse forged-ruling", "revive own: 1 refuse forged-ruling", "revive unit: 1 refuse forged-ruling",
        "revive life: 1 refuse forged-ruling", "revive : 1 refuse forged-ruling",
        "upheld, base: 4 take ", "upheld, nothing: 4 take ", "upheld, dead: 4 take ", "upheld, first: 4 take ", "upheld, revive: 4 take ",
        "upheld, lost: 4 take ", "upheld, nothing: 2 aside life", "own right: 4 take ", "own right: 5 take-over ", "ruling: 1 refuse key-clash",
        "above: 1 bad-state ", "below: 1 bad-state ", "said again: 4 take ", "said again, lost: 4 take ",
        "again, lost: 1 refuse mode", "lost: 1 refuse forged-ruling", "insert, proposal: 1 refuse mode", "insert, decision: 1 refuse mode",
        "move, proposal: 1 refuse mode", "delete, proposal: 1 refuse mode", "move, decision: 1 refuse mode", "delete, decision: 1 refuse mode",
        "settled max: keep", "settled min: keep", "settled max: take-over", "settled min: take-over", "ruling: not settled",
        "of a life that ended: not settled", "partial: not settled", "equal: not settled", "less: not settled", "refused: not settled",
        "over a ruling: not settled", "older, joined: 4 take ", "older, joined: 4 divert ", "older, not joined: 6 keep ",
        "delete, proposal: 4 divert ", "move, proposal: 4 divert ", "delete, decision: 4 take ", "move, decision: 4 take "]

def next_write(r, row, like, unit, epochs, tokens):
    """An honest write on what some node holds: any unit's, or its author's in another epoch, or a ruling against `like`."""
    unit = r.choice([unit, like.unit])
    base = shown(group_of(row, like))
    tokens = tokens.get(unit) or [7]
    mark = (r.randint(1, 12), r.choice(tokens))
    if level_of(unit) < like.level and r.random() < 0.5:
        return ruling(row, like, unit, mark)
    marks = raised(base.marks if base else (NONE,) * LEVELS, level_of(unit), mark)
    former = base and epochs.get(base.marks[level_of(unit)][1])
    if former and r.random() < 0.5:                    # something from the life of the disk before
        marks = raised((NONE,) * LEVELS, level_of(unit), (max(1, former[1] + r.choice([-1, 0, 1, 2])), former[0]))
        base = None
    return Value(like.group, unit, r.choice([DECISION, PROPOSAL]), marks, like.life, like.cols, base=base and base.id,
                 policy=like.policy, acting=r.random() < 0.1)

def forged(r, row, like, unit, epochs, values):
    """A ruling of a hostile subordinate: it asserts something else than it says that it does, or than what is held."""
    v = ruling(row, like, unit, (r.randint(1, 12), 7))
    other = r.choice([w for w in values if w.group == like.group])
    h = group_of(row, like).decision
    nothing = {"base": None, "asserts": (NONE,) * LEVELS, "cols": defaults(like)}
    if like.group == "row":
        cols = {"alive": r.random() < 0.7, "unit": r.choice([v.cols["unit"], unit, other.cols["unit"]])}
        born = {"life": other.life, "base": other.life, "asserts": other.marks, "cols": {"alive": True, "unit": other.cols["unit"]}}
    else:
        cols, born = {c: r.randint(0, 9) for c in COLUMNS[like.group]}, {"cols": other.cols, "base": other.id, "asserts": other.marks}
    return v.but(**r.choice([{"cols": cols}, {"base": other.id}, {"base": None}, {"asserts": r.choice([other.marks, like.marks])}, nothing, born,
                             {"cols": cols, "base": other.id}, {"acting": True, "cols": cols}, {"life": other.life} if h is None else {"cols": cols},
                             {"kind": PROPOSAL, "cols": cols}, {}]))

def special(r, row, u, every, under):
    """(name, value): rare values, rulings from below u that uphold what is not their base, and those that miss it by one condition."""
    h, unit, mark, zero = row.row.decision, r.choice(under), (r.randint(1, 12), 7), (NONE,) * LEVELS
    what = r.choice(["first"] * 6 + ["nothing"] + ["revive"] * 4 + ["lost"] * 3 + ["insert", "absent", "again", "again", "fork", "moved", "older"] + ["stray"] * 4 + ["conflict"] * 3)
    low = r.choice([x for x in every if inside(unit, x) and x != unit] or [unit])
    born = Value("row", low, DECISION, raised(zero, level_of(low), mark), (low, mark), {"alive": True, "unit": low}, acting=r.random() < 0.1)
    held = [g.decision for g in [row.row, *current(row).values()] if g.decision and inside(u, g.decision.unit)
            and len(g.decision.unit) > len(u) + (r.random() < 0.8)]
    if what == "insert":
        return what, born
    if what == "first" and held:
        v, miss = r.choice(held), ""
        by = v.unit[:r.randint(len(u) + 1, len(v.unit) - (r.random() < 0.8 and len(v.unit) > len(u) + 1))]
        x = ruling(row, v, by, mark).but(base=None, asserts=zero, cols=defaults(v))
        if r.random() < 0.3:                           # it has not seen what it refuses
            x, miss = x.but(marks=raised(zero, level_of(by), mark)), " unseen"
        return "%s%s%s%s" % (what, " row" if v.group == "row" else "", " later" if v.base else "", " own" if by == v.unit else miss), x
    if what == "nothing" and h:
        v = Value(r.choice(list(COLUMNS)), low, DECISION, born.marks, r.choice([h.life, born.life]), {})
        x = ruling(Row(row.row, {}), v, unit, mark)
        twist = r.choice(["", "", "columns", "asserts"])
        return what + " " + twist, x.but(**{"columns": {"cols": {c: 9 for c in x.cols}}, "asserts": {"asserts": x.marks}}.get(twist, {}))
    if what == "lost":                                 # its base may be what a restore has lost, or less than what is held
        life, g = (h.life, r.choice([*COLUMNS, "row"])) if h else (born.life, "row")
        by, base = r.choice([unit, u[:r.randint(1, len(u))], low]), group_of(row, born.but(group=g, life=life)).decision
        asserts = raised(base.marks if base else zero, level_of(by), (r.randint(1, 40), 7))
        asserts = raised(zero, level_of(by), asserts[level_of(by)]) if r.random() < 0.3 else asserts
        at = level_of(unit)
        x = Value(g, unit, DECISION, raised(join(asserts, base.marks) if base else asserts, at, mark), life, {}, base=(by, asserts[level_of(by)]),
                  ruling=True, asserts=asserts)
        return what, x.but(cols=dict(defaults(born), alive=True) if g == "row" else {c: r.randint(0, 9) for c in COLUMNS[g]})
    if what == "again" and not h and r.random() < 0.3:
        return "again, lost", Value("row", unit, DECISION, born.marks, (low, (90, 7)), {"alive": True, "unit": low}, base=(low, (91, 7)))
    if what == "again" and h:
        return what, Value("row", unit, DECISION, raised(h.marks, level_of(unit), mark), h.life, h.cols, base=h.id)
    if what == "revive" and not (h and h.cols["alive"]):
        x, twist = ruling(row, born, unit, mark, revive=True), r.choice(["", "", "base", "own", "unit", "life"])
        if twist == "own" or low == unit:
            twist, x = "own", x.but(life=(unit, mark), base=(unit, mark))
        if twist == "base":
            x = x.but(base=(low, (98, 7)))
        if twist == "unit":
            x = x.but(cols={"alive": True, "unit": unit})
        if twist == "life" and low != unit:            # of the life whose end is held
            return what + " life", x.but(marks=raised(x.marks, level_of(unit), (50, 7)))
        twist = "" if twist == "life" else twist
        return what + " " + twist, x
    if what == "moved" and h and not h.cols["alive"]:
        return what, born.but(life=(low, (99, 7)))
    if what == "older" and h and h.cols["alive"] and level_of(unit):    # on a decision that has seen less from above than one's older proposal
        g, at = r.choice(list(COLUMNS)), level_of(unit)
        base = current(row).get(g, EMPTY).decision
        before = Value(g, unit, PROPOSAL, raised(raised(zero, r.randrange(at), (90, 7)), at, (40, 7)), h.life, dict.fromkeys(COLUMNS[g], 1))
        marks = base.marks if base else zero
        seen_it = r.random() < 0.6
        x = before.but(marks=raised(join(marks, before.marks) if seen_it else marks, at, (41, 7)), base=base and base.id, cols=dict.fromkeys(COLUMNS[g], 2))
        return ("older, joined" if seen_it else "older, not joined"), (before, x)
    away = [x for x in under if h and not inside(x, h.cols["unit"])]
    if what == "stray" and h and h.cols["alive"] and inside(u, h.cols["unit"]) and away:       # of one below u that is not above the row
        by, mover, life = r.choice(away), None, h.life
        to = [x for x in under if not inside(by, x)]
        if to and r.random() < 0.5:                    # the row has moved away from where it was born
            life = by, (55, 7)
            mover = Value("row", u, DECISION, raised(h.marks, level_of(u), (56, 7)), life, {"alive": True, "unit": r.choice(to)}, base=life)
        g, at = r.choice([*COLUMNS, "row"]), level_of(by)
        base = (mover or h) if g == "row" else None if mover else current(row).get(g, EMPTY).decision
        marks = raised(base.marks if base else zero, at, (60, 7))
        if r.random() < 0.4:
            marks = raised(raised(zero, r.randrange(at) if at else 0, (90, 7)), at, (60, 7))
        cols = {"alive": r.random() < 0.5, "unit": by} if g == "row" else {c: r.randint(0, 9) for c in COLUMNS[g]}
        x = Value(g, by, DECISION, marks, life, cols)
        return what, (mover, x) if mover else x
    decided = [g.decision for _, g in sorted(current(row).items()) if g.decision] if h else []
    if what == "conflict" and decided and level_of(unit):              # two decisions of one group that have not seen each other
        like, at = r.choice(decided), level_of(unit)
        marks = raised(raised(zero, r.randrange(at), (90, 7)) if r.random() < 0.5 else zero, at, (40 + r.randint(0, 9), 7))
        x = Value(like.group, unit, DECISION, marks, like.life, {c: r.randint(0, 9) for c in COLUMNS[like.group]})
        return what, (ruling(row, like, u, mark), x) if r.random() < 0.2 else x
    waiting = [p for g in current(row).values() if not g.decision for p in g.proposals.values()]
    if what == "fork" and waiting:
        p = r.choice(waiting)
        return what, p.but(marks=raised(zero, p.level, (p.mark[0] + r.randint(0, 2), r.choice([7, 10 ** 8]))), base=None)
    return (what, ruling(NO_ROW, born, unit, mark)) if what == "absent" and h else ("", None)

def vectors(n, seed, limit=40000):
    """Cases until every clause has n and every listed feature n / 10 (at least 60) of them."""
    have, tries, need = Counter(), 0, {x: n if x in MUST else max(n // 10, min(n, 60)) for x in MUST + ALSO}
    while tries < limit and any(have[x] < need[x] for x in need):
        r, seed, tries = random.Random(seed), seed + 1, tries + 1
        t = history(seed, length=r.choice([40, 80, 120]), drain=r.random() < 0.3)
        every = sorted(t.nodes) + [u + x for u in t.nodes for x in "123" if len(u) < LEVELS]
        for key in sorted({k for k, _, _ in t.journal}):
            values = [v for k, v, _ in t.journal if k == key]
            tokens = {u: sorted({v.mark[1] for v in values if v.unit == u}) for u in every}
            held = [(u, row) for u, node in t.nodes.items() for d in [node.disk] + node.backups for row in [d.rows.get(key)] if row]
            for _ in range(300 if held else 0):
                u, row = r.choice(held) if r.random() < 0.95 else (r.choice(sorted(t.nodes)), None)
                u = u if r.random() < 0.9 else r.choice(sorted(t.nodes))
                h = row and row.row.decision
                if h and not h.cols["alive"] and r.random() < 0.5:
                    row = Row(row.row, {l: {} for l in row.lives})     # the tombstone came first
                known = [w for w in values if row and (w.group == "row" or w.life in row.lives)] if r.random() < 0.95 else values
                v = r.choice(known or values)
                if h and not h.cols["alive"] and r.random() < 0.3:     # somebody enters the key who has not heard of its end
                    unit, mark = r.choice(every), (r.randint(1, 9), 7)
                    v = Value("row", unit, DECISION, raised((NONE,) * LEVELS, level_of(unit), mark), (unit, mark), {"alive": True, "unit": unit})
                elif r.random() < 0.5:
                    v = next_write(r, r.choice(held)[1], v, r.choice(every), t.epochs, tokens)
                under = [x for x in every if inside(u, x) and x != u]
                name, rare = "", None
                if under and r.random() < 0.25:
                    row = None if r.random() < 0.2 else row
                    name, rare = special(r, row or NO_ROW, u, every, under)
                    if isinstance(rare, tuple):
                        row, rare = put(row, rare[0]), rare[1]
                    if name == "revive life":
                        row = put(NO_ROW, rare.but(unit=rare.life[0], marks=raised((NONE,) * LEVELS, level_of(rare.life[0]), (1, 7)), cols={
                            **rare.cols, "alive": False}, ruling=False, base=None, asserts=None))
                if rare:
                    v = rare
                elif row and under and r.random() < 0.25:
                    v = forged(r, row, v, r.choice(under), t.epochs, values)
                elif v.group == "row" and r.random() < 0.05:           # a unit that its author is not above, or an insert proposed
                    v = v.but(cols=dict(v.cols, unit=r.choice(every))) if r.random() < 0.5 else v.but(kind=PROPOSAL, life=v.id)
                if v.base and v.kind == DECISION and v.group != "row" and r.random() < 0.4:
                    cols = {c: x for c, x in v.cols.items() if r.random() < 0.6}
                    v = v.but(cols=cols or v.cols, whole=False)
                below = inside(u, v.unit) and u != v.unit
                reported = []
                if below and r.random() < 0.2:
                    e = r.choice(sorted(t.epochs)) if t.epochs and r.random() < 0.5 else v.mark[1]
                    reported = [[max(1, v.mark[0] - r.choice([0, 1, 1, -1])), e, v.policy + r.choice([0, 1])]]
                case = {"node": u, "came": "below" if below else "above", "epochs": t.epochs, "whole_row": r.random() < (0.6 if name == "stray" else 0.3),
                        "healing": r.random() < (0.7 if "lost" in name else 0.4 if name == "stray" else 0.1) and below,
                        "was": r.random() < 0.3 and below,
                        "policies": [random_policy(r, harsh=bool(rare) and name != "stray") for _ in t.policies] if r.random() < (0.7 if rare else 0.15) else t.policies,
                        "reported": reported,
                        "failing": r.choice(["", "", "", "lock", "rule"]), "next": [r.randint(1, 40), 9], "incoming": value_json(v)}
                verdict = decide(row, v, context_of(case))
                how = verdict.name in ("take-over", "keep") and v.group != "row" and [r.choice(["max", "min"]), r.choice(COLUMNS[v.group])]
                case["how"] = how or None
                tags = features(u, row, v, "%d %s %s" % verdict[:3], verdict.losers, t.epochs, context_of(case))
                tags = [*tags, *settled_features(row or NO_ROW, v, verdict, context_of(case), how)]
                tags = [x for x in [*tags, "%s: %d %s %s" % (name, *verdict[:3])] if x in need]
                if any(have[x] < need[x] for x in tags):
                    have.update(tags)
                    case["state"] = row_json(row)
                    case["policies"] = case["policies"][:v.policy + 1]
                    text = json.dumps([case["state"], case["incoming"], reported])
                    near = [e for e in t.epochs if str(e) in text]
                    for e in near:                     # only the epochs that the case speaks of, and those that they come from
                        near += [f for f in t.epochs[e][:1] if f in t.epochs and f not in near]
                    case["epochs"] = {e: t.epochs[e] for e in near}
                    yield dict(case, asked=outcome(case))
    missing = {c: have[c] for c in need if have[c] < need[c]}
    print("vectors: %d clauses and features, least %d%s" % (len(MUST + ALSO), min(have[c] for c in MUST + ALSO),
                                                            ", too few of %s" % missing if missing else ""), file=sys.stderr)

def replays(case):
    if isinstance(case, list):
        return bad_mark(marks_from(case[1]), case[0], marks_from(case[2])) == case[3]
    return outcome(case) == case["asked"]
