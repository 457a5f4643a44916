#!/usr/bin/env python3
"""The low-income-aid case in nine steps, at a village, its township and the county, each a daemon: the county's check body
answers, the survey is proposed and accepted, the case is posted for seven days and locked meanwhile, an objection, a
return with its reason, the confirmation, the filing.  Then the same with the decision at the county and back at the township,
by policy alone, with writes in flight under both."""
import os
import sys

from lib_tree import TOP, Checks, Tree, wait

VILLAGE = "532999101201"
POLICY = """policy "aid" {
  version = %(version)d
  schema = { "%(tables)s" }
  parameter rural_floor { unit = "CNY/month" from "2026-01-01" { value = "355" } from "2027-01-01" { value = "370" } }
  register aid_case {
    key = { case_no }
    unit = unit_code
    ceiling = county
    group row       { create = { village, township } delete = { township } }
    group applicant { columns = { applicant, id_number, members, accepted_on } own = { village, township }
                      lock = "state IN ('公示','已确认')" lock_say = "公示期间不得修改 / posted: no change" }
    group check     { columns = { housing, vehicles, fund } own = { county } }
    group survey    { columns = { survey, surveyed_on } own = { township } propose = { village } }
    group opinion   { columns = { village_opinion } own = { village } }
    group decision  { columns = { category, monthly_amount, decided_on } own = { %(own)s } propose = { %(propose)s } }
    group progress  { columns = { state, notice_from, notice_until } own = { township } }
    group objection { columns = { objection } own = { village } }
    group filing    { columns = { filed_on } own = { county } }
    rule floor { check = "monthly_amount IS NULL OR monthly_amount >= param('rural_floor', decided_on)"
                 severity = refuse at = { township, county } say = "低于农村低保补差下限 / below the rural floor" }
  }
}
"""


class Case:
    """What the clerks of the three offices do, with plain SQL, and how long until the others see it."""

    def __init__(self, tree, checks, number):
        self.t, self.c, self.no = tree, checks, "%s-2026-%04d" % (VILLAGE, number)

    def write(self, node, **columns):
        db = node.open()
        db.execute("UPDATE aid_case SET %s WHERE case_no = ?" % ", ".join("%s = ?" % c for c in columns), (*columns.values(), self.no))
        db.close()

    def open(self, node, **columns):
        columns.update(case_no=self.no, unit_code=VILLAGE)
        db = node.open()
        db.execute("INSERT INTO aid_case(%s) VALUES(%s)" % (", ".join(columns), ", ".join("?" * len(columns))), (*columns.values(),))
        db.close()

    def get(self, node, column):
        db = node.open()
        row = db.execute("SELECT %s FROM aid_case WHERE case_no = ?" % column, (self.no,)).fetchone()
        db.close()
        return row and row[0]

    def seen(self, what, **columns):
        """Every office has these values."""
        for node in self.t.nodes:
            for column, value in columns.items():
                wait(lambda: self.get(node, column) == value, "%s: %s at the %s" % (what, column, node.label))
        self.c.check(True, what)

    def refused(self, node, what, word, **columns):
        try:
            self.write(node, **columns)
            said = ""
        except Exception as e:                         # the application's own error
            said = str(e)
        self.c.check("terrace: " in said and word in said, "%s: %s" % (what, said))

    def proposal(self, node, column, value):
        """The open proposal of this case that says so, once it is there."""
        def find():
            for p in node.ask("proposals", "list"):
                if p["key"] in (self.no, [self.no]) and p["values"].get(column) == value:
                    return p
            return None

        wait(find, "the proposal of %s at the %s" % (column, node.label))
        return find()

    def returned(self, node, word):
        """A return for this case at the node whose reason has the word."""
        def find():
            return any(r["key"] in (self.no, [self.no]) and word in (r["reason"] or "") for r in node.ask("returns", "list", "--all"))

        wait(find, "a return with %s at the %s" % (word, node.label))
        return True


def publish(tree, version, own, propose):
    path = os.path.join(tree.folder, "aid-%d.policy" % version)
    with open(path, "w", encoding="utf-8") as f:
        f.write(POLICY % {"version": version, "own": own, "propose": propose,
                          "tables": os.path.abspath(os.path.join(TOP, "tests", "live", "cases", "tables.sql"))})
    tree.county.ctl("policy", "publish", path)
    return version


def active(tree, version, nodes=None):
    for node in nodes or tree.nodes:
        wait(lambda: any(p["active"] == version for p in node.ask("status")["policy"]), "version %d at the %s" % (version, node.label))


def nine_steps(t, c):
    village, town, county = t.village, t.township, t.county
    case = Case(t, c, 1)

    # 1 commission of the check: the village enters the applicant
    case.open(village, applicant="李桂英", id_number="532999195501010021", members=2)
    case.seen("1 the village collects", applicant="李桂英", members=2)
    # 2 the county's check body answers; its word prevails
    case.write(county, housing="1套", vehicles="无", fund="无")
    case.seen("2 the county's check is everywhere", housing="1套", vehicles="无")
    case.refused(town, "2 nobody below changes it", "由县决定", vehicles="1辆")
    # 3 the township accepts the application
    case.write(town, accepted_on="2026-08-03", state="受理")
    case.seen("3 the township accepts the case", accepted_on="2026-08-03", state="受理")
    # 4 survey at home: the village suggests, the township accepts what it was shown
    case.write(village, survey="两人，均年老", surveyed_on="2026-08-05")
    p = case.proposal(town, "survey", "两人，均年老")
    town.ctl("proposals", "accept", str(p["id"]))
    case.seen("4 the survey is accepted", survey="两人，均年老")
    # a second thought of the village does not stand by itself: it is put back and waits
    case.write(village, survey="两人，一人残疾")
    p = case.proposal(town, "survey", "两人，一人残疾")
    wait(lambda: case.get(village, "survey") == "两人，均年老", "the village's table shows what was decided")
    c.check(case.get(town, "survey") == "两人，均年老", "4 a suggestion changes nothing until it is accepted")
    town.ctl("proposals", "accept", str(p["id"]))
    case.seen("4 accepted, it stands everywhere", survey="两人，一人残疾")
    # 5 the village's opinion is advice; the agency's first opinion is the township's
    case.write(village, village_opinion="同意")
    case.write(town, state="初审")
    case.seen("5 opinion and first review", village_opinion="同意", state="初审")
    # 6 posted for seven days: what the village changes meanwhile comes back with the lock's sentence
    case.write(town, state="公示", notice_from="2026-08-12", notice_until="2026-08-19")
    case.seen("6 posted", state="公示", notice_until="2026-08-19")
    case.write(village, members=3)
    case.returned(village, "公示期间不得修改")
    case.seen("6 what is posted stays as it is", members=2)
    # 7 objection, review again, correction
    case.write(village, objection="家庭人口有误")
    case.seen("7 the objection is known", objection="家庭人口有误")
    case.write(town, state="复核")
    case.seen("7 the posting is taken back", state="复核")
    case.write(village, members=3)
    case.seen("7 the correction stands at once", members=3)
    # 8 the village suggests an amount; too low by the parameter of that year: it cannot be accepted, and is sent back
    case.write(village, category="B", monthly_amount=300, decided_on="2026-08-25")
    p = case.proposal(town, "monthly_amount", 300)
    shown = town.ctl("proposals", "show", str(p["id"]))
    c.check("低于农村低保补差下限" in shown or "below the rural floor" in shown, "8 the queue shows the rule that it fails")
    town.ctl("proposals", "accept", str(p["id"]), allow=(4,))
    town.ctl("proposals", "reject", str(p["id"]), "--reason", "低于下限，请按2026年标准重报")
    c.check(case.returned(village, "低于下限"), "8 the return reaches the village with its reason")
    case.write(village, category="B", monthly_amount=420, decided_on="2026-08-25")
    p = case.proposal(town, "monthly_amount", 420)
    town.ctl("proposals", "accept", str(p["id"]))
    case.seen("8 confirmed", category="B", monthly_amount=420)
    case.write(town, monthly_amount=100)
    wait(lambda: case.get(town, "monthly_amount") == 420, "the township's own slip is put back")
    c.check(case.returned(town, "低于农村低保补差下限"), "8 the township's own slip below the floor comes back to it")
    # 9 filing with the county
    case.write(town, state="已确认")
    case.write(county, filed_on="2026-08-28")
    case.seen("9 filed", state="已确认", filed_on="2026-08-28")
    why = "".join(town.ctl("why", "aid_case", case.no).split())          # lines are wrapped
    c.check(all(w in why for w in ("monthly_amount=420", "公示期间不得修改", "低于下限", "低于农村低保补差下限")), "why tells the whole story")
    return case


def decided_above(t, c):
    """The same, the decision at the county: the township suggests; what is in flight under the old version is judged by it."""
    village, town, county = t.village, t.township, t.county
    village.stop()                                     # away while the right moves up
    flight = Case(t, c, 2)
    flight.open(town, applicant="王德", members=1, category="C", monthly_amount=380, decided_on="2026-09-01")
    publish(t, 2, "county", "township")
    active(t, 2, [county, town])
    wait(lambda: flight.get(county, "monthly_amount") == 380, "what was decided under version 1")
    case = Case(t, c, 3)
    case.open(town, applicant="赵明", members=4, accepted_on="2026-09-02")
    case.write(town, category="A", monthly_amount=500, decided_on="2026-09-20")
    p = case.proposal(county, "monthly_amount", 500)
    county.ctl("proposals", "accept", str(p["id"]))
    village.start()
    active(t, 2)
    case.seen("the county decides what the township suggests", monthly_amount=500)
    flight.seen("what the township decided before stands", monthly_amount=380)
    flight.write(town, monthly_amount=600)
    p = flight.proposal(county, "monthly_amount", 600)
    wait(lambda: flight.get(town, "monthly_amount") == 380, "put back at the township")
    county.ctl("proposals", "reject", str(p["id"]), "--reason", "材料不全")
    c.check(flight.returned(town, "材料不全"), "the county's reason reaches the township")
    flight.seen("a rejected suggestion changes nothing", monthly_amount=380)
    # and down again (权限下放), the township away while it is published
    town.stop()
    db = town.open()
    db.execute("UPDATE aid_case SET monthly_amount = 390 WHERE case_no = ?", (flight.no,))
    db.close()
    publish(t, 3, "township", "village")
    active(t, 3, [county])
    town.start()
    active(t, 3)
    p = [x for x in town.ask("proposals", "list") if x["values"].get("monthly_amount") == 390]
    if p:                                              # sealed before the new version came: a suggestion of its own to accept
        town.ctl("proposals", "accept", str(p[0]["id"]))
    flight.seen("decided at the township again", monthly_amount=390)
    case.write(town, monthly_amount=520)
    case.seen("the township decides alone", monthly_amount=520)


def main():
    os.environ["LANG"] = "zh_CN.UTF-8"               # what people read is looked at in Chinese
    c = Checks()
    with Tree(publish=False) as t:
        publish(t, 1, "township", "village")
        active(t, 1)
        nine_steps(t, c)
        decided_above(t, c)
        for node in t.nodes:
            wait(lambda: node.ask("status")["quarantine"] == 0, "no quarantine at the %s" % node.label)
        rows = [node.open().execute("SELECT * FROM aid_case ORDER BY case_no").fetchall() for node in t.nodes]
        c.check(rows[0] == rows[1] == rows[2] and len(rows[0]) == 3, "the three offices hold the same")
        for node in t.nodes[1:]:
            node.ctl("sync", "--wait", "20")
    c.close()


sys.exit(main())
