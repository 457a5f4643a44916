"""Pairs: two writers of one row, every level of each, every mode, who had seen whom, decided at every level of the path."""
from rule import COLUMNS, DECISION, LEVELS, NONE, NO_ROW, OWN, PROPOSAL, PROPOSE, READ, RIGHTS, Value, inside, put, raised
from vectors import outcome, row_json, value_json

PATH = ["r1111"[:n] for n in range(1, LEVELS + 1)]
NEITHER, LATER, EARLIER = "neither has seen the other", "the second has seen the first", "the first has seen the second"

def writes(first, second, kinds, group, relation):
    """The insert of the row by the top, and the two values over it."""
    born = Value("row", "r", DECISION, raised((NONE,) * LEVELS, 0, (1, 5)), ("r", (1, 5)), {"alive": True, "unit": PATH[-1]})
    base = born if group == "row" else None
    made = []
    for i, (level, kind) in enumerate(zip((first, second), kinds)):
        other = made[0] if i and relation == LATER else None
        on = other or base
        marks = on.marks if on else (NONE,) * LEVELS
        cols = {"alive": bool(i), "unit": PATH[-1]} if group == "row" else {"x": i + 1, "y": i + 1}
        made.append(Value(group, PATH[level], kind, raised(marks, level, (10 + i, 20 + level)), born.life, cols, base=on and on.id))
    if relation == EARLIER:                            # what arrives second was written first
        made[0] = made[0].but(marks=raised(made[1].marks, first, (12, 20 + first)), base=made[1].id)
    return born, made

def policy(group, levels, modes):
    """Each writer's level has its mode; two modes of one level: the stronger."""
    p = {g: [READ] * LEVELS for g in [*COLUMNS, *RIGHTS]}
    for level, mode in sorted(zip(levels, modes), key=lambda x: [READ, PROPOSE, OWN].index(x[1])):
        for g in RIGHTS if group == "row" else [group]:
            p[g][level] = mode
    p["create"][0] = OWN
    return p

def pairs():
    kind = {OWN: DECISION, PROPOSE: PROPOSAL, READ: DECISION}
    for group in ("a", "row"):
        for first in range(LEVELS):
            for second in range(LEVELS):
                for modes in [(a, b) for a in (OWN, PROPOSE, READ) for b in (OWN, PROPOSE, READ)]:
                    for relation in (NEITHER, LATER, EARLIER):
                        born, (held, v) = writes(first, second, [kind[m] for m in modes], group, relation)
                        for node in PATH:
                            below = inside(node, v.unit) and node != v.unit
                            case = {"node": node, "came": "below" if below else "above", "epochs": {}, "whole_row": False, "healing": False, "was": False,
                                    "policies": [policy(group, (first, second), modes)], "reported": [], "failing": "", "next": [40, 9],
                                    "how": ["max", "x"] if group == "a" else None,
                                    "state": row_json(put(put(NO_ROW, born), held)), "incoming": value_json(v)}
                            yield dict(case, asked=outcome(case))

def told():
    """A line a verdict: how many pairs end so, for people."""
    from collections import Counter
    return Counter(c["asked"][0] for c in pairs())
