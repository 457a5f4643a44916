"""Random histories of whole trees, permutations of delivery, and the algebra of merging."""
import random
import time
from collections import Counter

from rule import (
    COLUMNS, DECISION, LEVELS, NONE, NO_ROW, OWN, PROPOSE, READ, RIGHTS, Value, contents, current, decide, full, inside, level_of, mark_seen, merge_row,
    open_proposals, put, raised, seen, standing)
from tree import Tree, copied

# ---------------------------------------------------------------- random histories

def random_policy(r, harsh=False):
    if harsh:
        return {g: [r.choice([READ, READ, PROPOSE, OWN]) for _ in range(LEVELS)] for g in [*COLUMNS, *RIGHTS]}
    pick = lambda: r.choice([OWN, OWN, PROPOSE, READ])
    p = {g: [pick() for _ in range(LEVELS)] for g in COLUMNS}
    propose = [r.choice([PROPOSE, READ]) for _ in range(LEVELS)]
    p.update({right: [r.choice([OWN, OWN, OWN, may]) for may in propose] for right in RIGHTS})
    for g in p:
        if OWN not in p[g]:
            p[g][r.randrange(LEVELS)] = OWN
    return p

def random_units(r, root, size):
    units = []
    while len(units) < size:
        u = r.choice([root] + units)
        if len(u) < LEVELS:
            u += r.choice("123")
            if u not in units:
                units.append(u)
    return units

def history(seed, restores=True, length=None, drain=True, big=False, hostile=False):
    r = random.Random(seed)
    root = "r" + "1" * r.choice([0, 0, 1])
    every = random_units(r, root, r.choice([r.randint(1, 9), r.randint(5, 30)]) if big else r.randint(1, 9))
    enrolled = [u for u in every if r.random() < 0.8]
    t = Tree(root, enrolled, random_policy(r), seed)
    for n in t.nodes.values():
        n.checks = r.random() < 0.3
    t.on_conflict = {g: (r.choice(["max", "min"]), "x") for g in COLUMNS if r.random() < 0.4}
    keys = ["k%d" % i for i in range(r.choice([1, 1, 2, 3]))]
    restores = restores and r.random() < 0.6
    weights = {"insert": r.choice([0.2, 1, 3]), "edit": 10, "delete": r.choice([0, 1, 3]), "move": r.choice([0, 1, 2]), "review": r.choice([1, 4]),
               "contact": 10, "net": r.choice([12, 22, 60]), "backup": r.choice([1, 5]), "restore": r.choice([0.5, 1, 2]) if restores else 0, "restart": 0.3,
               "heal": 3, "policy": r.choice([0, 1]), "enrol": r.choice([0, 0.5]), "reclaim": 0.5}
    loss, twice, fifo = r.choice([0, 0.1, 0.3]), r.choice([0, 0.2]), r.random() < 0.3
    if r.random() < 0.5:                               # all nodes of the path begin with the row
        for key in keys:
            t.nodes[root].insert(key, max(r.choice(every), r.choice(every), key=len), {g: {} for g in COLUMNS})
        t.drain()
    weights["forge"] = 6 if hostile else 0
    names, w = list(weights), list(weights.values())
    thief = r.choice(sorted(t.nodes)) if hostile else root
    for t.now in range(1, (length or r.choice([15, 40, 100, 200])) + 1):
        op = r.choices(names, w)[0]
        u = thief if op == "forge" else r.choice(sorted(t.nodes))
        n, key = t.nodes[u], r.choice(keys)
        step(t, r, op, u, n, key, every, loss, twice, fifo)
    t.now += 1
    if drain:
        t.drain()
    return t

def random_cols(r, group, n):
    low = 0 if n.checks else -2
    return {c: (r.choice([0, 0, 1]) if c == "s" else r.randint(low, 5)) for c in r.sample(COLUMNS[group], r.choice([1, 2]))}

def step(t, r, op, u, n, key, every, loss, twice, fifo):
    h = n.disk.rows.get(key, NO_ROW).row.decision
    if op == "insert":
        units = [x for x in every + [t.root] if inside(u, x) and not (n.checks and x[-1] == "3")]
        n.insert(key, r.choice(units or [u]) if r.random() < 0.95 else r.choice(every + ["", "x"]),
                 {g: random_cols(r, g, n) for g in COLUMNS if r.random() < 0.5})
    elif op == "edit":
        g = r.choice(list(COLUMNS))
        n.edit(key, g, random_cols(r, g, n))
    elif op == "forge" and u != t.root:
        g = r.choice([*COLUMNS, "row"])
        unit = r.choice([x for x in every if inside(u, x)] or [u])
        n.forge(key, g, {"alive": r.random() < 0.3, "unit": unit} if g == "row" else {c: r.randint(0, 5) for c in COLUMNS[g]}, r.random() < 0.2)
    elif op == "delete":
        n.edit(key, "row", {"alive": False})
    elif op == "move":
        n.edit(key, "row", {"unit": r.choice([x for x in every if not (n.checks and x[-1] == "3")] + [t.root] * 2 + ["x"])})
    elif op == "review" and h and h.cols["alive"]:
        row = n.disk.rows[key]
        for name, g in [("row", standing(row))] + sorted(current(row).items()):
            waiting = sorted(open_proposals(g), key=lambda p: p.order)
            if waiting and r.random() < 0.7:
                p = r.choice(waiting)
                accept = r.random() < 0.6 and (not n.checks or p.cols.get("x", 0) >= 0)
                t.count["reviewed: %s" % ("accepted" if accept else "rejected")] += n.review(key, name, p, accept)
                break
    elif op == "contact":
        t.contact(u, r if r.random() < 0.5 else None)
    elif op == "net" and t.net:
        i = 0 if fifo else r.randrange(len(t.net))
        m = t.net[i]
        if r.random() >= twice:
            t.net.pop(i)
        if r.random() >= loss:
            t.deliver(*m, r if r.random() < 0.3 else None)
    elif op == "heal" and not t.healed(u):
        t.heal(u)
    elif op == "backup":
        n.backups = (n.backups + [copied(n.disk)])[-3:]
    elif op == "restore":
        t.restore(u, r.choice(n.backups))
    elif op == "restart":
        t.restart(u)
    elif op == "policy":
        p = t.up[u]
        if u == t.root:
            t.policies.append(random_policy(r))
            n.disk.policy = len(t.policies) - 1
        elif t.nodes[p].disk.policy > n.disk.policy:
            n.disk.policy = t.nodes[p].disk.policy
            n.send_up(u, (n.next_mark((NONE,) * LEVELS), n.disk.policy), [])
    elif op == "enrol":
        new = [x for x in every if x not in t.nodes]
        if new:
            t.enrol(r.choice(new))
    elif op == "reclaim":
        t.count["reclaimed"] += t.reclaim(key)

def register_story(other, touched, late):
    """Village r11 strikes a person off, village `other` enters the same number: alive in `other` on every node."""
    t = Tree("r", ["r1", "r11", "r12", "r2", "r21"], {g: [OWN] * LEVELS for g in [*COLUMNS, *RIGHTS]})
    t.nodes["r1" if touched == "row" else "r11"].insert("k", "r11", {"a": {"x": 1}})
    t.drain()
    for n, x in [("r1", 2)] * (touched == "aid") + [("r11", 5 + i) for i in range(late)]:
        t.nodes[n].edit("k", "a", {"x": x})
    t.nodes["r11"].edit("k", "row", {"alive": False})
    t.contact("r11")
    t.deliver(*t.net.pop(0))
    t.nodes[other].insert("k", other, {"a": {"x": 9}})
    t.drain()
    t.check()
    row = t.nodes["r"].disk.rows["k"]              # the check has compared it with those of all other nodes
    good = row.row.decision.cols == {"alive": True, "unit": other} and current(row)["a"].decision.cols["x"] == 9
    return t.failures + ([] if good else ["register: %s, %s, %d" % (other, touched, late)])

def older_proposal_story():
    """The county suggests, the village builds on it; the township, which had heard of neither, decides.  What the village suggests next is
    built on the decision, which has seen less from above than its older suggestion: it takes that one's place all the same."""
    p = {g: [OWN] * LEVELS for g in [*COLUMNS, *RIGHTS]}
    p["a"] = [PROPOSE, OWN, PROPOSE, READ, READ]
    t = Tree("r", ["r1", "r11"], p)
    t.nodes["r"].insert("k", "r11", {})
    t.drain()
    t.nodes["r"].edit("k", "a", {"x": 1})
    suggested = t.nodes["r"].disk.rows["k"]
    for v in current(suggested)["a"].proposals.values():
        t.nodes["r11"].receive("k", v, None)           # the township hears of it later
    t.nodes["r11"].edit("k", "a", {"x": 2})
    t.nodes["r1"].edit("k", "a", {"x": 3})
    decided = current(t.nodes["r1"].disk.rows["k"])["a"].decision
    t.nodes["r11"].receive("k", decided, None)
    t.nodes["r11"].edit("k", "a", {"x": 4})
    t.drain()
    t.check()
    open_ = {p.unit: p.cols["x"] for p in open_proposals(current(t.nodes["r"].disk.rows["k"])["a"])}
    return t.failures + ([] if open_.get("r11") == 4 else ["older proposal: %s" % open_])

def once_more_story(group):
    """A village writes what the township refuses, then something innocent that the ruling had not seen: the innocent stands everywhere."""
    t = Tree("r", ["r1", "r11"], {g: [OWN] * LEVELS for g in [*COLUMNS, *RIGHTS]})
    t.nodes["r1"].checks = True
    t.nodes["r11"].insert("k", "r11", {"a": {"x": 1}})
    t.drain()
    bad, good = ({"unit": "r113"}, {"alive": False}) if group == "row" else ({"x": -1}, {"x": 3})
    t.nodes["r11"].edit("k", group, bad)
    t.nodes["r11"].edit("k", group, good)
    t.drain()
    t.check()
    row = t.nodes["r"].disk.rows["k"]
    cols = (row.row if group == "row" else current(row)[group]).decision.cols
    stands = all(cols[c] == x for c, x in good.items()) and t.rulings == 1
    return t.failures + ([] if stands else ["once more: %s ends as %s after %d rulings" % (group, cols, t.rulings)])

def forger_story(group, kept):
    """A village seals as rulings what it may not write: refused, and what the county decided stands; who asserts it may (kept)."""
    modes = [OWN, OWN, READ, READ, READ]
    t = Tree("r", ["r1", "r11"], {g: modes for g in [*COLUMNS, *RIGHTS]})
    t.nodes["r1"].insert("k", "r11", {"a": {"x": 1}})
    t.drain()
    g = t.nodes["r11"].disk.rows["k"]
    h = g.row.decision if group == "row" else current(g)[group].decision
    v = Value(group, "r11", DECISION, raised(h.marks, 2, t.nodes["r11"].next_mark(h.marks)), h.life,
              h.cols if kept else {"alive": False, "unit": "r11"} if group == "row" else {"x": 9, "y": 0}, base=h.id, ruling=True, asserts=h.marks)
    t.forged.add(("k", group, v.id))
    t.nodes["r11"].seal("k", [v], over=(h,))
    t.drain()
    row = t.nodes["r"].disk.rows["k"]
    now = (row.row if group == "row" else current(row)[group]).decision
    good = now.cols == h.cols and (t.rulings == 0) == kept and t.count[1, "refuse", "forged-ruling"] == (not kept)
    return [] if good else ["forger: %s, kept %s" % (group, kept)]

def settled_story(order, how, own, owner):
    """Two villages' township, the township and the county set sums that none of the others has seen; the deltas arrive in this order.
    The greatest (smallest) stands everywhere, by a decision of the highest level that owns the group; an informed edit stands as ever."""
    t = Tree("r", ["r1", "r11"], {g: own if g == "a" else [OWN] * LEVELS for g in [*COLUMNS, *RIGHTS]})
    t.on_conflict = {"a": (how, "x")}
    t.nodes["r11"].insert("k", "r11", {"a": {"x": 4}} if own[2] == OWN else {})
    t.drain()
    writers = [u for u in ("r", "r1", "r11") if own[level_of(u)] == OWN]
    sums = dict(zip(writers, {"max": (5, 7, 9), "min": (9, 7, 5)}[how]))
    if order % 2:
        sums = dict(zip(writers, reversed(list(sums.values()))))
    for u, x in sums.items():
        t.nodes[u].edit("k", "a", {"x": x, "y": x})
    for u in (["r1", "r11"], ["r11", "r1"])[order // 2]:
        t.contact(u)
        while t.net:
            t.deliver(*t.net.pop(0))
    t.drain()
    t.check()
    g = current(t.nodes["r"].disk.rows["k"])["a"].decision
    best = (max if how == "max" else min)(sums.values())
    good = g.cols == {"x": best, "y": best} and (g.unit == owner or sums.get(g.unit) == best) and (t.count["settled"] > 0) == (g.unit == owner and sums.get(owner) != best)
    low = writers[-1]
    t.nodes[low].edit("k", "a", {"x": 6})              # it has seen all that stands
    t.drain()
    t.check()
    good = good and current(t.nodes["r"].disk.rows["k"])["a"].decision.cols["x"] == 6
    return t.failures + ([] if good else ["settled: %s %s %s ends as %s of %s" % (order, how, owner, g.cols, g.unit)])

def settled_refused_story():
    """What rule 1 would refuse wins nothing, however great: the village may not write, the township checks."""
    t = Tree("r", ["r1", "r11"], {g: [OWN] * LEVELS for g in [*COLUMNS, *RIGHTS]})
    t.on_conflict = {"a": ("min", "x")}
    t.nodes["r"].checks = True
    t.nodes["r11"].insert("k", "r11", {"a": {"x": 4}})
    t.drain()
    t.nodes["r"].edit("k", "a", {"x": 5})
    t.nodes["r11"].edit("k", "a", {"x": -1})
    t.drain()
    t.check()
    x = current(t.nodes["r"].disk.rows["k"])["a"].decision.cols["x"]
    return t.failures + ([] if x == 5 else ["settled, refused: ends as %d" % x])

def settled_reader_story():
    """A county that only reads answers no conflict, though it stands above all who own the group."""
    t = Tree("r", ["r1", "r11"], {g: [READ, OWN, OWN, READ, READ] if g == "a" else [OWN] * LEVELS for g in [*COLUMNS, *RIGHTS]})
    t.on_conflict = {"a": ("max", "x")}
    t.nodes["r11"].insert("k", "r11", {"a": {"x": 4}})
    t.drain()
    n = t.nodes["r"]
    row = n.disk.rows["k"]
    v = Value("a", "r1", DECISION, raised((NONE,) * LEVELS, 1, (5, 7)), row.row.decision.life, {"x": 1, "y": 0})
    verdict = decide(row, v, n.context("k", "r1", False))
    good = verdict.name == "take-over" and n.conflict_won("k", row, v, verdict, "r1", False) is None
    return [] if good else ["settled by a reader: %s" % (verdict,)]

def settled_stories():
    all_own, two, delegated = [OWN] * LEVELS, [OWN, OWN] + [READ] * 3, [READ, OWN, OWN] + [READ] * 2
    for order in range(4):
        for how in ("max", "min"):
            for own, owner in ((all_own, "r"), (two, "r"), (delegated, "r1")):
                yield from settled_story(order, how, own, owner)
    yield from settled_refused_story()
    yield from settled_reader_story()

def check(n, seed):
    bad, count, rulings, start = [], Counter(), 0, time.time()
    for s in range(seed, seed + n):
        t = history(s)
        t.check()
        count += t.count
        if t.failures:
            bad.append(s)
            if len(bad) <= 5:
                print("seed %d: %s" % (s, t.failures[0][:400]))
    for s in range(seed, seed + n // 5):
        t = history(s, restores=False, hostile=True)
        t.check()
        count["forged"] += len(t.forged)
        count[1, "refuse", "forged-ruling"] += t.count[1, "refuse", "forged-ruling"]
        for text in t.failures[:1]:
            bad.append(s)
            print("hostile seed %d: %s" % (s, text[:400]))
    for story in [(o, x, l) for o in ("r12", "r21") for x in ("", "aid", "row") for l in (0, 3)]:
        for text in register_story(*story):
            bad.append(text)
            print(text[:400])
    for text in sum([older_proposal_story(), once_more_story("a"), once_more_story("row")] + [forger_story(g, k) for g in ("a", "row") for k in (False, True)], list(settled_stories())):
        bad.append(text)
        print(text[:400])
    for s in range(seed, seed + n // 10):
        for text in permutation(s):
            bad.append(s)
            print(text[:400])
    print("%d histories and %d sets of permutations from seed %d: %d failed %s (%.0f s)" % (n, n // 10, seed, len(bad), bad[:20], time.time() - start))
    print(", ".join("%s %d" % (" ".join(map(str, k)) if isinstance(k, tuple) else k, c) for k, c in sorted(count.items(), key=str)))
    return len(bad)

def states_of(t, key):
    rows = [d.rows[key] for n in t.nodes.values() for d in [n.disk] + n.backups if key in d.rows]
    return [r for i, r in enumerate(rows) if all(r is not x for x in rows[:i])]

def algebra(n, seed=0):
    bad, done, pairs = [], 0, Counter()
    while done < n and len(bad) < 5:
        r, seed = random.Random(seed), seed + 1
        t = history(seed, length=r.choice([20, 60, 120]), drain=False)
        for key in sorted({k for k, _, _ in t.journal}):
            rows = states_of(t, key) + [NO_ROW]
            values = [v for k, v, _ in t.journal if k == key]
            rows += [put(r.choice(rows), r.choice(values)) for _ in range(4)]
            for _ in range(20):
                a, b, c = r.choice(rows), r.choice(rows), r.choice(rows)
                done += 1
                if full(merge_row(a, b)) != full(merge_row(b, a)):
                    bad.append("not commutative, seed %d" % seed)
                if full(merge_row(merge_row(a, b), c)) != full(merge_row(a, merge_row(b, c))):
                    bad.append("not associative, seed %d" % seed)
                if full(merge_row(a, a)) != full(a) or full(merge_row(merge_row(a, b), b)) != full(merge_row(a, b)):
                    bad.append("not idempotent, seed %d" % seed)
                shuffled = r.sample(values, len(values)) + r.choices(values, k=3)
                x = y = NO_ROW
                for v in shuffled:
                    x = put(x, v)
                for v in r.sample(shuffled, len(shuffled)):
                    y = put(y, v)
                if full(x) != full(y):
                    bad.append("order of arrival matters, seed %d" % seed)
                v, w = r.choice(values), r.choice(values)
                if v.group == w.group and v.id != w.id and (v.group == "row" or v.life == w.life):
                    if seen(v, w, t.epochs):
                        pairs["seen"] += 1
                        if not v.order > w.order:
                            bad.append("seen but not greater, seed %d: %s %s" % (seed, v.json(), w.json()))
                    elif v.level < w.level and v.marks[:v.level] == w.marks[:v.level] and not seen(w, v, t.epochs):
                        pairs["concurrent"] += 1
                        same = w.marks[v.level][0] == 0 or mark_seen(w.marks[v.level], v.mark, t.epochs)
                        if same and not v.order > w.order:
                            bad.append("the superior's is not greater, seed %d: %s %s" % (seed, v.json(), w.json()))
    print("algebra: %d triples, %s: %d failed" % (done, dict(pairs), len(bad)))
    for b in bad[:5]:
        print("  " + b[:300])
    return len(bad)

# ---------------------------------------------------------------- permutations

def permutation(seed, orders=4):
    """The same writes, none of which depends on what another node wrote meanwhile: the order of delivery changes nothing."""
    finals = []
    for order in range(orders):
        r = random.Random(seed)
        units = random_units(r, "r", r.randint(1, 7))
        t = Tree("r", units, {g: [r.choice([OWN, OWN, PROPOSE]) for _ in range(LEVELS)] for g in list(COLUMNS)})
        t.policies[0].update({right: [OWN] * LEVELS for right in RIGHTS})
        keys = ["k1", "k2"]
        for k in keys:
            t.nodes["r"].insert(k, r.choice(units), {g: {c: 0 for c in COLUMNS[g]} for g in COLUMNS if r.random() < 0.7})
        t.drain()
        for t.now in range(1, r.choice([5, 15, 30])):
            n, k = t.nodes[r.choice(sorted(t.nodes))], r.choice(keys)
            op, g = r.random(), r.choice(list(COLUMNS))
            if op < 0.1:
                n.edit(k, "row", {"alive": False})
            elif op < 0.2:
                n.edit(k, "row", {"unit": r.choice(units)})
            elif op < 0.3 and (not n.disk.rows[k].row.decision.cols["alive"] if k in n.disk.rows else False):
                n.insert(k, n.disk.rows[k].row.decision.cols["unit"], {g: {c: 1 for c in COLUMNS[g]}})
            else:
                n.edit(k, g, {c: (0 if c == "s" else r.randint(0, 9)) for c in COLUMNS[g][1:]})
        mix = random.Random(seed * 1000 + order)
        for _ in range(60):
            if mix.random() < 0.5 or not t.net:
                t.contact(mix.choice(sorted(t.nodes)), mix)
            else:
                m = t.net.pop(mix.randrange(len(t.net)))
                if mix.random() < 0.8:
                    t.deliver(*m, mix)
        t.drain()
        t.check()
        top = t.nodes["r"].disk.rows
        if t.rulings:
            return []                                  # a ruling reads what is held: writes depend on reads
        finals.append([contents(top[k]) for k in keys])
        if t.failures:
            return ["seed %d: %s" % (seed, t.failures[0])]
    return [] if all(f == finals[0] for f in finals) else ["seed %d: order of delivery matters" % seed]
