"""A few readable stories of a village, a township and a county."""
import sys

from rule import EMPTY, LEVELS, OWN, PROPOSE, READ, current, inside, open_proposals, shown
from tree import Tree, copied

NAMES = {"county": "r", "township": "r1", "village 1": "r11", "village 2": "r12", "township 2": "r2", "village 3": "r21"}
REST = "everybody meets"
STORIES = {     # modes of the aid group from the top; who checks; then (node, x of the aid group or another act), or a sentence
    "informed": ([OWN] * 3, (), [("county", 300), REST, ("village 1", 320), "The county sets 300; the village sees it and corrects to 320.",
                                 REST, "An informed edit stands, also under the county."]),
    "concurrent": ([OWN] * 3, (), [("village 1", 5), ("village 1", 6), ("township", 300), "The village writes twice, the township once, unseen.",
                                   REST, "The superior stands; the village has a record of what it lost."]),
    "proposal": ([OWN, PROPOSE, PROPOSE], (), [("county", 300), REST, ("village 1", 400), REST, "The village proposes 400: the table keeps 300.",
                                               ("county", "reject"), REST, "300 again, having seen the proposal: closed everywhere."]),
    "delegated": ([READ, OWN, PROPOSE], (), [("township", 300), REST, ("county", 1), "The township owns, the county reads: it cannot overwrite."]),
    "refused": ([OWN] * 3, ("township",), [("village 1", -1), ("village 1", 3), "The village types -1, then 3; the township refuses less than 0.",
                                           REST, "The ruling against -1 had not seen 3: the village's node submits 3 once more."]),
    "clash": ([OWN] * 3, (), [("village 2", "insert"), "Village 2 enters a key that village 1 holds.",
                              REST, "The township rules that its row stands; village 2 has the return."]),
    "register": ([OWN] * 3, (), [("village 1", "delete"), ("village 2", "insert"), "Village 1 strikes a person off; village 2 enters the same number.",
                                 REST, "The township sees both: the new life stands, nothing is recorded.",
                                 ("village 2", "delete"), ("village 3", "insert"), REST, "The same into another township: the county ruled."]),
    "move": ([OWN] * 3, (), [("township", "move"), ("village 1", 7), "The township moves the row while village 1, not knowing, sets 7.",
                             REST, "The edit is decided where the row is held; village 1 keeps a marker."]),
    "restore": ([OWN] * 3, (), [("township", "backup"), ("village 1", 7), REST, ("township", 8), REST, ("township", "restore"), ("township", 2),
                                "The township, restored to before 7 and 8, writes 2 before it hears of anybody.",
                                REST, "Of the two lives of its disk the greater (tick, token) stands, the other is recorded."]),
}

def story(name):
    if name not in STORIES:
        sys.exit("stories: " + " ".join(STORIES))
    modes, checks, acts = STORIES[name]
    own = [OWN] * LEVELS
    t = Tree("r", ["r1", "r11", "r12"] + ["r2", "r21"] * any("village 3" in act for act in acts), {"a": modes + [READ] * (LEVELS - 3), "b": own, "d": own, "create": own, "delete": own})
    for who in checks:
        t.nodes[NAMES[who]].checks = True
    t.nodes["r11"].insert("k", "r11", {"a": {"x": 1}})
    t.drain()
    for act in acts:
        if act == REST:
            t.drain()
        elif isinstance(act, str):
            tell(t, act)
        else:
            n, what = t.nodes[NAMES[act[0]]], act[1]
            if isinstance(what, int):
                n.edit("k", "a", {"x": what})
            elif what == "reject":
                g = current(n.disk.rows["k"])["a"]
                n.edit("k", "a", g.decision.cols, answer=open_proposals(g)[0])
            elif what == "insert":
                n.insert("k", n.unit, {"a": {"x": 9}})
            elif what == "delete":
                n.edit("k", "row", {"alive": False})
            elif what == "move":
                n.edit("k", "row", {"unit": "r12"})
            elif what == "backup":
                n.backups.append(copied(n.disk))
            else:
                t.restore(n.unit, n.backups[-1])
    t.check()
    print("\n".join(t.failures) or "all nodes of the path agree")

def tell(t, text):
    name = {u: n for n, u in NAMES.items()}
    print(text)
    for u, n in sorted(t.nodes.items()):
        row = n.disk.rows.get("k")
        h = row and row.row.decision
        g = current(row).get("a", EMPTY) if row else EMPTY
        v = shown(g)
        print("    %-10s %s%s%s" % (name[u], "nothing" if not h else "marker" if not inside(u, h.cols["unit"]) else "tombstone of " + name[h.cols["unit"]] if not h.cols["alive"] else "row of %s, aid %s" % (
            name[h.cols["unit"]], v and "%d by %s%s" % (v.cols["x"], name[v.unit], "" if g.decision else " (provisional)")),
            "".join(", proposal %d by %s" % (p.cols["x"], name[p.unit]) for p in open_proposals(g) if g.decision),
            "".join(", record: %s %s" % (k[1], why) for k, (why, _) in sorted(n.disk.records.items()))))
