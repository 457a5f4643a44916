"""Mutants: each clause of the rule broken in turn; vectors, algebra or histories must notice."""
import contextlib
import io
import json
import os
import sys
import types

from vectors import mark_cases, pack, unpack, vectors

MUTANTS = [
    ("seen: other epochs count", "    if by[1] == epoch:\n        return tick <= by[0]\n", "    return tick <= by[0]\n"),
    ("seen: descent ignored", "        if token == epoch:\n            return tick <= left", "        if token == epoch:\n            return False"),
    ("seen: all of the former epoch", "            return tick <= left", "            return True"),
    ("seen: base ignored", " or x.base == y.id\n", "\n"),
    ("seen: later tick", "        return tick <= by[0]\n", "        return tick < by[0]\n"),
    ("order: from the bottom", "self.order = (marks, unit)", "self.order = (marks[::-1], unit)"),
    ("order: by unit first", "self.order = (marks, unit)", "self.order = (unit, marks)"),
    ("order: own tick only", "self.order = (marks, unit)", "self.order = (self.mark, unit)"),
    ("1: path unchecked", 'return "scope"', 'pass'),
    ("1: old holders out", 'h.life[0], *ctx.was))', 'h.life[0]))'),
    ("1: born elsewhere", '(h.cols["unit"], h.life[0], *ctx.was))', '(h.cols["unit"], *ctx.was))'),
    ("1: path after a restore", "v.life != h.life or ctx.healing and ctx.state:", "v.life != h.life:"),
    ("1: no path while healing", "or ctx.healing and ctx.state:", "or ctx.healing:"),
    ("1: path of another life", "h is None or v.life != h.life or ctx.healing and", "h is None or ctx.healing and"),
    ("1: mode unchecked", 'return "mode"', 'return ""'),
    ("1: proposals need own", "STRENGTH[OWN if v.kind == DECISION else PROPOSE]", "STRENGTH[OWN]"),
    ("1: acting ignored", "LEVELS if v.acting else v.level + 1", "v.level + 1"),
    ("1: acting for levels above", "slice(v.level, LEVELS if", "slice(0 if v.acting else v.level, LEVELS if"),
    ("1: one right for the row", '["create" if v.cols["alive"] else "delete"]', '["create"]'),
    ("1: rights swapped", '"create" if v.cols["alive"] else "delete"', '"delete" if v.cols["alive"] else "create"'),
    ("1: said again needs create", "return RIGHTS if again else", "return"),
    ("1: said again of any life", "h.life == v.life and h.cols == v.cols if h", "h.cols == v.cols if h"),
    ("1: either right does", "h.life == v.life and h.cols == v.cols if h", "True if h"),
    ("1: healing nodes ask for create", "else healing and v.id != v.life", "else False"),
    ("1: all nodes heal", "else healing and v.id != v.life", "else v.id != v.life"),
    ("1: healing inserts", "else healing and v.id != v.life", "else healing"),
    ("1: inserts proposed", "v.kind == PROPOSAL and v.id == v.life:\n        return False", "v.kind == PROPOSAL and v.id == v.life:\n        return True"),
    ("1: no proposed row values", 'v.kind == PROPOSAL and v.id == v.life:\n        return False', "v.kind == PROPOSAL:\n        return False"),
    ("1: anybody proposes row values", 'if v.group == "row" and v.kind == PROPOSAL and v.id == v.life:\n        return False', 'if v.group == "row" and v.kind == PROPOSAL:\n        return v.id != v.life'),
    ("1: old policy admitted", 'return "old-policy"', 'return ""'),
    ("1: any older report counts", "version > v.policy and mark_seen", "version >= v.policy and mark_seen"),
    ("1: later reports count", "and mark_seen(mark, v.mark, ctx.epochs) for", "for"),
    ("1: rulings not exempt", "not upholds(row, v, ctx) and reason", "reason"),
    ("1: all rulings exempt", '"forged-ruling" if not upholds(row, v, ctx) and reason(row, v, ctx) else ""', '""'),
    ("1: own right does not help", "not upholds(row, v, ctx) and reason(row, v, ctx)", "not upholds(row, v, ctx)"),
    ("1: rulings are proposals too", "if not (v.ruling and v.kind == DECISION)", "if not v.ruling"),
    ("1: rulings clash", 'if clashes(row, v, ctx.unit):\n        return "key-clash"', 'if clashes(row, v, ctx.unit):\n        return ""'),
    ("1: clash of rulings is forged", 'if clashes(row, v, ctx.unit):\n        return "key-clash"  ', 'if False:\n        return "key-clash"  '),
    ("forged: columns unchecked", " and v.life == h.life and v.cols == h.cols:\n        return \"base\"", " and v.life == h.life:\n        return \"base\""),
    ("forged: base unchecked", "h and v.base == h.id and v.asserts", "h and v.asserts"),
    ("forged: asserts unchecked", "v.base == h.id and v.asserts == h.marks and", "v.base == h.id and"),
    ("forged: held value no help", "        return \"base\"", "        return \"\""),
    ("forged: nothing is anything", " or v.cols != defaults(v):\n", ":\n"),
    ("forged: nothing asserts marks", "if any(m != NONE for m in v.asserts) or v.cols", "if v.cols"),
    ("forged: nothing no help", 'return "nothing" if h is None else "first"', 'return "" if h is None else "first"'),
    ("forged: first value of anybody", "and inside(v.unit, h.unit) and h.unit != v.unit and seen(v, h", "and seen(v, h"),
    ("forged: first value later", "and h.base is None and inside(v.unit", "and inside(v.unit"),
    ("forged: first value unseen", " and h.unit != v.unit and seen(v, h, ctx.epochs)", " and h.unit != v.unit"),
    ("forged: first value of rows", 'h and v.group != "row" and h.base is None', "h and h.base is None"),
    ("forged: first value no help", 'else "first" if refuses else ""', 'else ""'),
    ("forged: dead no help", '            return "dead"', '            return ""'),
    ("forged: revive no help", '            return "revive"', '            return ""'),
    ("forged: revives anything", "if v.base == v.life and (h is None or h.life != v.life)", "if (h is None or h.life != v.life)"),
    ("forged: revives its life", "v.base == v.life and (h is None or h.life != v.life) and", "v.base == v.life and"),
    ("forged: revives for itself", " and inside(v.unit, author) and author != v.unit \\\n", " \\\n"),
    ("forged: revives out of scope", 'and inside(author, v.cols["unit"]) and could', "and could"),
    ("forged: revives without right", 'and could(author, v, ctx):\n            return "revive"', ':\n            return "revive"'),
    ("forged: lost without restore", "lost = ctx.healing and (", "lost = ("),
    ("forged: nothing is lost", 'return "lost" if lost and', 'return "" if lost and'),
    ("forged: lost and replaced", "ctx.healing and (h is None or h.marks < v.asserts)", "ctx.healing"),
    ("forged: lost without right", 'or could(v.base[0], v, ctx, True)) else ""', 'or True) else ""'),
    ("forged: lost of a superior", "(not inside(ctx.unit, v.base[0]) or v.base[0] == ctx.unit or could", "(could"),
    ("2: rulings wait for their life", "v.kind == DECISION and upholds(row, v, ctx):\n            return Verdict(2, \"aside\", \"life\", ())", "v.kind == DECISION and upholds(row, v, ctx):\n            pass"),
    ("2: any ruling before its life", "and v.ruling and v.kind == DECISION and upholds(row, v, ctx):", "and v.ruling and v.kind == DECISION:"),
    ("2: markers judge", "if below and not marker else", "if below else"),
    ("once more: not of group row", 'and h.life == v.life and h.order[0] > v.asserts', 'and h.group != "row" and h.order[0] > v.asserts'),
    ("once more: never", 'and h.life == v.life and h.order[0] > v.asserts', 'and False'),
    ("1: rules on proposals", "    if v.kind == PROPOSAL:\n        return \"\"  ", "    if False:\n        return \"\"  "),
    ("1: no locks, no rules", 'else ctx.failing(row, v)\n', 'else ""\n'),
    ("1: clash admitted", 'return "key-clash" if clashes(row, v, ctx.unit) else', "return"),
    ("1: clash over a tombstone", 'h is not None and h.cols["alive"] and h.life != v.life', "h is not None and h.life != v.life"),
    ("1: clash within a unit", '        and h.cols["unit"] != v.cols["unit"] and inside(unit, h.cols["unit"])\n\ndef refusal', '        and inside(unit, h.cols["unit"])\n\ndef refusal'),
    ("1: what loses is refused too", "    if verdict.name in TAKES or revived:\n", "    if verdict.name in TAKES + (\"keep\",):\n"),
    ("1: bad units unchecked", 'return Verdict(1, "bad-state", "", ())', "pass"),
    ("1: bad units from above only", 'if v.group == "row" and v.kind == DECISION and not inside(v.unit, v', 'if ctx.came == "above" and v.group == "row" and v.kind == DECISION and not inside(v.unit, v'),
    ("1: bad units from below only", 'if v.group == "row" and v.kind == DECISION and not inside(v.unit, v', 'if ctx.came == "below" and v.group == "row" and v.kind == DECISION and not inside(v.unit, v'),
    ("1: bad units of proposals", 'v.group == "row" and v.kind == DECISION and not inside(v.unit, v', 'v.group == "row" and not inside(v.unit, v'),
    ("1: nothing revives", 'return verdict if why else Verdict(1, "revive", "", ())', "return verdict"),
    ("1: revives without right", "verdict if why else Verdict(1, \"revive\"", "Verdict(1, \"revive\""),
    ("1: revives within a unit", '        and h.cols["unit"] != v.cols["unit"] and inside(unit, h.cols["unit"])\n\ndef bad', '        and inside(unit, h.cols["unit"])\n\ndef bad'),
    ("1: revives more than inserts", " and v.id == v.life and not", " and not"),
    ("1: revives out of scope", ' and inside(unit, h.cols["unit"])\n\ndef bad', "\n\ndef bad"),
    ("revive: asserts the tombstone", "h = v if revive else held", "h = held"),
    ("seal: bad units sealed", "        if not inside(self.unit, unit):\n", "        if False:\n"),
    ("seal: moves to bad units sealed", '        if not inside(self.tree.root, cols.get("unit", self.tree.root)):\n', "        if False:\n"),
    ("seal: one right for the row", "h.cols[\"unit\"], right) for right", "h.cols[\"unit\"], \"create\" if group == \"row\" else right) for right"),
    ("seal: older proposal unseen", "        if mine:\n            marks = join(marks, mine.marks)", "        if False:\n            marks = join(marks, mine.marks)"),
    ("review: answers unseen", "            marks = join(marks, answer.marks)\n", "            pass\n"),
    ("review: rejects without a return", '                self.record(key, p, "rejected", v)\n', "                pass\n"),
    ("review: answers what is newest", "            marks = join(marks, answer.marks)\n", "            marks = join(marks, answer.marks[:answer.level] + ((answer.mark[0] + 9, answer.mark[1]),) + answer.marks[answer.level + 1:])\n"),
    ("bad-mark: own level free", "zip(marks[:level + 1], met)", "zip(marks[:level], met)"),
    ("bad-mark: equal is bad", "m > g for m, g in zip(marks[:level", "m >= g > NONE for m, g in zip(marks[:level"),
    ("bad-mark: no distance", "m[0] > g[0] + 2 ** 32", "False"),
    ("bad-mark: distance itself", "m[0] > g[0] + 2 ** 32", "m[0] >= g[0] + 2 ** 32"),
    ("4: the end of a life recorded", ' or v.group == "row" and not h.cols["alive"] and v.life != h.life:\n', ":\n"),
    ("2: unknown life taken", 'return Verdict(2, "need", "life", ())', "pass"),
    ("2: base guessed", 'return Verdict(2, "need", "base", ())', "whole = v"),
    ("2: out of scope decided", 'return Verdict(2, "pass", "scope", ())', "pass"),
    ("2: dead rows decided", 'if v.group != "row" and not (h.cols["alive"] and h.life == v.life):', 'if v.group != "row" and h.life != v.life:'),
    ("2: other lives decided", 'if v.group != "row" and not (h.cols["alive"] and h.life == v.life):', 'if v.group != "row" and not h.cols["alive"]:'),
    ("2: saw ignored", "if v.kind == DECISION and not covered(v, h) else ()", "if v.kind == DECISION else ()"),
    ("3: seen is kept", "Verdict(3, \"old\", \"\", ()) if v.id == h.id or seen(h, v, epochs)", "Verdict(3, \"old\", \"\", ()) if v.id == h.id"),
    ("3: itself is a conflict", "if v.id == h.id or seen(h, v, epochs)", "if v.id != h.id and seen(h, v, epochs)"),
    ("4: proposal replaces", 'return Verdict(4, "divert" if h else "take", "", lost)', 'return Verdict(4, "take", "", lost)'),
    ("4: older proposal stays", "(p, p and p.order >= v.order)", "(p, bool(p))"),
    ("4: open by seen", "proposal.mark > decision.marks[proposal.level]", "proposal.mark[0] >= decision.marks[proposal.level][0]"),
    ("4: closed proposals unrecorded", "lost = tuple(p for p in open_proposals(g) if not is_open(p, v) and not seen(v, p, epochs))", "lost = ()"),
    ("4: forked proposals unrecorded", "lost = (p,) if p and is_open(p, h) and not seen(v, p, epochs) else ()", "lost = ()"),
    ("5: take-over unrecorded", 'return Verdict(5, "take-over", "", (h,) + lost)', 'return Verdict(4, "take", "", lost)'),
    ("6: keep unrecorded", 'if v.id == h.id or seen(h, v, epochs) else Verdict(6, "keep", "", (v,))', "if True else None"),
    ("ruling: has not seen", "raised(join(held.marks, v.marks) if held else v.marks", "raised(held.marks if held else (NONE,) * LEVELS"),
    ("ruling: asserts the refused", "    cols = h.cols if h else", "    cols = v.cols if h else"),
    ("merge: newest arrival", "g = g if g.decision and g.decision.order >= v.order else Group(v, g.proposals)", "g = Group(v, g.proposals)"),
    ("merge: decision drops proposals", "else Group(v, g.proposals)", "else Group(v, {})"),
    ("merge: proposals by arrival", "g = g if p and p.order >= v.order else Group(g.decision", "g = Group(g.decision"),
    ("settle: the wrong way", 'x > y if how[0] == "max" else x < y', 'x < y if how[0] == "max" else x > y'),
    ("settle: equal values", 'x > y if how[0] == "max" else x < y', 'x >= y if how[0] == "max" else x <= y'),
    ("settle: the other value", "lost.life, lost.cols, base=kept.id, policy", "lost.life, kept.cols, base=kept.id, policy"),
    ("settle: has not seen the lost", "marks = raised(join(kept.marks, lost.marks), level_of(unit), mark)\n    return Value(lost", "marks = raised(kept.marks, level_of(unit), mark)\n    return Value(lost"),
    ("settle: has not seen the kept", "marks = raised(join(kept.marks, lost.marks), level_of(unit), mark)\n    return Value(lost", "marks = raised(lost.marks, level_of(unit), mark)\n    return Value(lost"),
    ("settle: base", "lost.cols, base=kept.id, policy", "lost.cols, base=lost.id, policy"),
    ("settle: rulings are answered", "v.kind != DECISION or v.ruling \\\n", "v.kind != DECISION \\\n"),
    ("settle: rulings win", "if lost is None or lost.ruling:", "if lost is None:"),
    ("settle: of another life", '            or not (h.cols["alive"] and h.life == v.life):', "            or False:"),
    ("settle: refused values win", 'if verdict.name == "keep" and below and refusal(row, whole, ctx):', "if False:"),
    ("settle: what comes from above is judged", 'if verdict.name == "keep" and below and refusal', 'if verdict.name == "keep" and refusal'),
    ("settle: keeps only", 'if verdict.name not in ("take-over", "keep") or v.group', 'if verdict.name not in ("keep",) or v.group'),
    ("settle: take-overs only", 'if verdict.name not in ("take-over", "keep") or v.group', 'if verdict.name not in ("take-over",) or v.group'),
    ("settle: by every owner", "or self.unit != self.tree.root and OWN in above:", "or False:"),
    ("settle: by the root only", "or self.unit != self.tree.root and OWN in above:", "or self.unit != self.tree.root:"),
    ("settle: by readers", 'if self.mode(h.cols["unit"], v.group)[0] != OWN or self.unit', 'if self.unit'),
    ("settle: partial values travel", "group not in self.tree.on_conflict and not answer", "not answer"),
    ("raise: tick from the counter alone", "tick = max(mark[0], marks[level][0] + 1)", "tick = mark[0]"),
]

MODULES = ("rule", "tree", "histories", "vectors")      # each imports from those before it
FOLDER = os.path.dirname(os.path.abspath(__file__))

def mutated(sources, name, old, new):
    """All modules anew, the first place in them that says `old` says `new`; the namespace of the last, and of histories."""
    where = next((m for m in MODULES if old in sources[m]), None)
    if not where:
        sys.exit("mutant '%s' does not apply" % name)
    before, made = {m: sys.modules.pop(m, None) for m in MODULES}, {}
    try:
        for m in MODULES:
            made[m] = sys.modules[m] = types.ModuleType(m)
            text = sources[m].replace(old, new, 1) if m == where else sources[m]
            exec(compile(text, "mutant " + m, "exec"), vars(made[m]))
    finally:
        sys.modules.update({m: x for m, x in before.items() if x})
    return made["vectors"], made["histories"]

def mutants(n=40, histories=1500):
    sources = {m: open(os.path.join(FOLDER, m + ".py"), encoding="utf-8").read() for m in MODULES}
    cases, survivors = pack(vectors(n, 1), list(mark_cases(n, 1))), []
    cases = list(unpack(json.loads(json.dumps(cases)))) + cases["bad_marks"]
    for name, old, new in MUTANTS:
        try:
            v, h = mutated(sources, name, old, new)
        except SyntaxError as e:
            sys.exit("mutant '%s': %s" % (name, e))
        killed = next(("vectors (%s)" % (c["asked"][0] if isinstance(c, dict) else "bad_mark") for c in cases if not quietly(v.replays, c, True)), None)
        killed = killed or quietly(h.algebra, 2000, False) and "algebra" or quietly(h.check, histories, False, 0) and "check"
        print("%-36s %s" % (name, "killed by " + killed if killed else "SURVIVES"), flush=True)
        survivors += [] if killed else [name]
    print("%d mutants, %d survive %s" % (len(MUTANTS), len(survivors), survivors))
    return len(survivors)

def quietly(function, argument, vector, *more):
    """A mutant may also fail by crashing."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return function(argument, *more)
    except Exception:
        return not vector
