#!/usr/bin/env python3
# limit: 120
"""A village proposes; the township shows, accepts, rejects with a reason, decides in bulk; the reason is back at the village,
the corrected value goes up at once.  What may not be decided is refused with a sentence and status 4."""
import getpass
import os
import pty
import subprocess
import sys
import time

from lib_tree import Checks, Tree, wait
from node import TERRACECTL

TABLES = "CREATE TABLE subsidy(code TEXT NOT NULL PRIMARY KEY, unit_code TEXT, name TEXT, amount INTEGER, state TEXT);\n"
POLICY = """policy "review" {
  version = 1
  schema = { "tables.sql" }
  register subsidy {
    key = { code }
    unit = unit_code
    ceiling = county
    group row    { create = { village, township } delete = { township } }
    group person { columns = { name } own = { village, township } }
    group money  { columns = { amount, state } own = { township } propose = { village } }
    rule most { check = "amount IS NULL OR amount <= 1000" severity = refuse at = { township } say = "超过上限 / above the ceiling" }
  }
}
"""


def refused(node, *words):
    """Standard error of a command that must end with status 4."""
    done = subprocess.run([TERRACECTL, "--home", node.home, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return done.stderr.decode() if done.returncode == 4 else "status %d: %s" % (done.returncode, done.stderr.decode())


def on_terminal(node, answer, *words):
    """The exit status of a command on a terminal, where a person answers its question."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(TERRACECTL, [TERRACECTL, "--home", node.home, *words])
    text = b""
    while b"[y/N]" not in text:
        text += os.read(terminal, 4096)
    os.write(terminal, answer.encode())
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        pass                                             # the other end is closed
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Story:
    def __init__(self, tree, checks):
        self.county, self.township, self.village = tree.nodes
        self.check, self.sql = checks.check, {n.label: n.open() for n in tree.nodes}

    def write(self, node, sql, *parameters):
        self.sql[node.label].execute(sql, parameters)

    def amount(self, node, code):
        row = self.sql[node.label].execute("SELECT amount FROM subsidy WHERE code = ?", (code,)).fetchone()
        return row and row[0]

    def amounts(self, code, amount):
        wait(lambda: all(self.amount(n, code) == amount for n in (self.county, self.township, self.village)), "%s = %s" % (code, amount))

    def waiting(self, node):
        return {p["key"]: p for p in node.ask("proposals", "list")}

    def number(self, code, amount):
        """Of the proposal as the township has it."""
        def there():
            p = self.waiting(self.township).get(code)
            return p and p["values"]["amount"] == amount
        wait(there, "the proposal for %s" % code)
        return str(self.waiting(self.township)[code]["id"])

    def accept_and_reject(self):
        self.write(self.village, "INSERT INTO subsidy VALUES('S1', ?, '张三', 300, '初审')", self.village.unit)
        self.amounts("S1", 300)                          # provisional
        first = self.number("S1", 300)
        wait(lambda: "S1" in self.waiting(self.county), "the proposal at the county")
        shown = [n.ask("proposals", "show", first) for n in (self.county, self.township, self.village)]
        self.check([p["here"] for p in shown] == [False, True, False] and len({p["id"] for p in shown}) == 1,
                   "one proposal under one number at every node, open at the township")
        self.check(shown[0]["decided_by"]["unit"] == self.township.unit and shown[1]["since"], "who decides, and since when it waits")
        self.check("township " + self.township.unit in refused(self.county, "proposals", "accept", first), "the county is told who decides")
        self.check("not at this level" in refused(self.village, "proposals", "reject", first, "--reason", "x"), "the village too")
        self.check("reason" in refused(self.township, "proposals", "reject", first), "a rejection without a reason is refused")
        self.check("no open proposal" in refused(self.township, "proposals", "accept", "12345"), "an unknown number is refused")
        answer = self.township.ask("proposals", "accept", first)
        self.check(answer["actor"] == getpass.getuser() and answer["count"] == 1, "accepted, by the login behind the socket")
        self.check("not open any more" in refused(self.township, "proposals", "accept", first), "accepting twice is refused")
        wait(lambda: not self.waiting(self.county) and not self.waiting(self.village), "the queue is empty everywhere")

        self.write(self.village, "UPDATE subsidy SET amount = 500 WHERE code = 'S1'")
        second = self.number("S1", 500)
        wait(lambda: self.amount(self.village, "S1") == 300, "the village's table has the decision again")
        self.township.ctl("proposals", "reject", second, "--reason", "收入证明不全，请补充")
        wait(lambda: self.village.ask("returns", "list"), "the return")
        back = self.village.ask("returns", "list")[0]
        whole = self.village.ask("returns", "show", str(back["id"]))
        self.check(back["reason"] == "收入证明不全，请补充" and back["by"]["unit"] == self.township.unit, "the reason is back at the village")
        self.check(whole["lost"]["values"]["amount"] == 500, "with the village's own value")
        self.check(self.sql["village"].execute("SELECT say FROM terrace_returns WHERE state = 'open'").fetchall() == [(back["reason"],)],
                   "the view says the same")
        self.write(self.village, "UPDATE subsidy SET amount = 400 WHERE code = 'S1'")
        third = self.number("S1", 400)
        self.check("newer" in refused(self.township, "proposals", "accept", second) or second != third, "what was decided stays decided")
        wait(lambda: not self.village.ask("returns", "list"), "the corrected value closes the return")
        self.write(self.village, "UPDATE subsidy SET amount = 450 WHERE code = 'S1'")
        fourth = self.number("S1", 450)
        self.check("newer" in refused(self.township, "proposals", "accept", third), "a number answers exactly what was shown")
        self.township.ctl("proposals", "accept", fourth)
        self.amounts("S1", 450)
        held = self.county.ask("why", "subsidy", "S1", "--group", "money")["groups"][0]["held"]
        self.check(held["actor"] == getpass.getuser() and held["unit"] == self.township.unit, "why names the person who decided")

    def rules(self):
        self.write(self.village, "UPDATE subsidy SET amount = 5000 WHERE code = 'S1'")
        number = self.number("S1", 5000)
        self.check([f["rule"] for f in self.township.ask("proposals", "show", number)["failing"]] == ["most"], "the rule that fails is shown")
        self.check("above the ceiling" in refused(self.township, "proposals", "accept", number), "and forbids accepting")
        self.township.ctl("proposals", "reject", number, "--reason", "超过上限")

    def bulk(self):
        for i in range(20):
            self.write(self.village, "INSERT INTO subsidy VALUES(?, ?, '李四', ?, '初审')", "B%02d" % i, self.village.unit, i)
        wait(lambda: len(self.waiting(self.township)) == 20, "20 proposals")
        words = ["proposals", "accept", "--all", "--register", "subsidy", "--unit", self.village.unit]
        self.check("--count 20" in refused(self.township, *words), "in bulk a count has to confirm")
        self.check("20" in refused(self.township, *words, "--count", "19"), "another count decides nothing")
        self.check(on_terminal(self.township, "n\n", *words) == 4 and len(self.waiting(self.township)) == 20, "on a terminal a no decides nothing")
        some = [str(self.waiting(self.township)[k]["id"]) for k in ("B00", "B01", "B02")]
        self.township.ctl("proposals", "reject", *some, "--reason", "重复申报", "--count", "3")
        self.check(on_terminal(self.township, "y\n", *words) == 0 and not self.waiting(self.township), "a yes accepts the rest")
        self.amounts("B19", 19)
        self.amounts("B01", None)
        wait(lambda: len([r for r in self.village.ask("returns", "list") if r["reason"] == "重复申报"]) == 3, "three returns")

    def units(self):
        lines = "单位代码,名称\r\n%s,青石镇\r\n%s,\"南村,新区\"\r\n" % (self.township.unit, self.village.unit)
        path = os.path.join(os.path.dirname(self.county.home), "units.csv")
        for encoding, words, good in (("gb18030", [], False), ("gb18030", ["--encoding", "gb18030"], True), ("utf-8-sig", [], True)):
            with open(path, "w", encoding=encoding, newline="") as f:
                f.write(lines)
            if good:
                self.county.ctl("units", "import", path, *words)
                names = {u["unit"]: u["name"] for u in self.county.ask("units", "list")}
                self.check(names.get(self.village.unit) == "南村,新区", "units import, %s" % encoding)
            else:
                text = self.county.ctl("units", "import", path, *words, allow=(5,))
                self.check(text == "", "GB18030 without a word of it is refused")
        with open(path, "w", encoding="utf-8") as f:
            f.write(lines + "5329991,短\n")
        done = subprocess.run([TERRACECTL, "--home", self.county.home, "units", "import", path], stderr=subprocess.PIPE, timeout=60)
        self.check(done.returncode == 5 and b":4:" in done.stderr, "a bad line is named by its number")
        wait(lambda: len(self.village.ask("units", "list")) >= 2, "the list at the village")
        self.write(self.village, "UPDATE subsidy SET amount = 460 WHERE code = 'S1'")
        number = self.number("S1", 460)
        self.check(self.township.ask("proposals", "show", number)["from"]["name"] == "南村,新区", "queues show names")


def main():
    checks, start = Checks(), time.monotonic()
    with Tree(publish=False) as t:
        folder = os.path.dirname(t.county.home)
        for name, text in (("tables.sql", TABLES), ("review.policy", POLICY)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        t.county.ctl("policy", "publish", os.path.join(folder, "review.policy"))
        wait(lambda: all(n.has("subsidy") for n in t.nodes), "the policy everywhere")
        story = Story(t, checks)
        story.accept_and_reject()
        story.rules()
        story.bulk()
        story.units()
        alarms = [e for n in t.nodes for e in n.ask("log", "--kind", "alarm")]
        checks.check(not alarms, "no alarm: %s" % [a["text"] for a in alarms][:2])
    print("    %.1f s" % (time.monotonic() - start))
    checks.close()


sys.exit(main())
