#!/usr/bin/env python3
"""What a village may only suggest, typed into the sqlite3 shell: it is back at once, waits for review at the township, and
comes down when it is accepted; what nobody here decides is refused by the database; what is deleted comes back whole."""
import os
import subprocess
import sys

from lib_tree import Checks, Tree, wait

POLICY = """policy "grant" {
  version = 1
  schema = { "grant.sql" }
  register grant_case {
    key = { id }  unit = place  ceiling = county
    group row      { create = { village } delete = { township } propose = { village } }
    group applied  { columns = { applicant } own = { village } }
    group decision { columns = { amount, state } own = { township } propose = { village } }
    group check    { columns = { verified } own = { county } }
  }
  register visit {
    key = { id }  unit = place  ceiling = county
    group row  { create = { village } delete = { township } propose = { village } }
    group main { columns = { grant_id, day } own = { village } }
  }
}
"""
TABLES = """CREATE TABLE grant_case(id TEXT NOT NULL PRIMARY KEY, place TEXT, applicant TEXT, amount INTEGER UNIQUE, state TEXT,
  verified TEXT, here_only TEXT);
CREATE TABLE visit(id TEXT NOT NULL PRIMARY KEY, place TEXT, grant_id TEXT REFERENCES grant_case(id) ON DELETE CASCADE, day TEXT);
"""
ROW = "SELECT coalesce(applicant, '') || ' ' || coalesce(amount, '-') || ' ' || coalesce(state, '-') FROM grant_case WHERE id = 'g1'"


def shell(node, *lines):
    """The sqlite3 shell, as a clerk with a terminal; (status, error)."""
    done = subprocess.run(["sqlite3", "-bail", node.database], input="\n".join((".timeout 5000", "PRAGMA foreign_keys = ON;") + lines),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
    return done.returncode, done.stderr


def proposals(node):
    return node.ask("proposals", "list")


def refusals(checks, t):
    for node, line, words in ((t.village, "UPDATE grant_case SET verified = 'yes';", ("由县决定", "decided by county")),
                              (t.township, "UPDATE grant_case SET applicant = 'x';", ("由村决定", "decided by village")),
                              (t.county, "UPDATE grant_case SET amount = 1;", ("由乡镇决定", "decided by township")),
                              (t.county, "DELETE FROM grant_case;", ("由乡镇决定", "decided by township")),
                              (t.township, "INSERT INTO grant_case(id, place) VALUES('t', '532999101201');", ("由村决定",))):
        status, say = shell(node, line)
        checks.check(status != 0 and "terrace: grant_case" in say and all(w in say for w in words), "%s: %s is refused: %s" % (
            node.label, line, say.strip()[-80:]))
    shell(t.township, "INSERT INTO grant_case(id, place, applicant) VALUES('u1', '532999101299', 'U');")
    wait(lambda: t.county.value("SELECT count(*) FROM grant_case WHERE id = 'u1'") == 1, "the unmanned village's row")
    checks.check(t.township.value("SELECT count(*) FROM terrace_returns") == 0, "the township enters a case for a village without a computer")


def suggestions(checks, t):
    shell(t.township, "UPDATE grant_case SET amount = 300, state = 'set' WHERE id = 'g1';")
    wait(lambda: t.village.value(ROW) == "A 300 set", "the decision")
    shell(t.village, "UPDATE grant_case SET amount = 350 WHERE id = 'g1';", "UPDATE grant_case SET amount = 400, applicant = 'B' WHERE id = 'g1';")
    wait(lambda: t.village.value(ROW) == "B 300 set", "the table put back, the village's own column as typed")
    wait(lambda: [p["values"].get("amount") for p in proposals(t.township)] == [400], "the proposal at the township")
    checks.check(True, "what the village suggests is back in its table, and open at the township")
    checks.check([p["from"]["level"] for p in proposals(t.village)] == ["village"], "the village lists it too")
    number = str(proposals(t.township)[0]["id"])
    t.township.ctl("proposals", "accept", number)
    wait(lambda: t.village.value(ROW) == "B 400 set", "the accepted value at the village")
    wait(lambda: t.county.value(ROW) == "B 400 set", "the accepted value at the county")
    checks.check(not proposals(t.township), "accepted, it stands everywhere and nothing is open")


def deletion(checks, t):
    shell(t.village, "UPDATE grant_case SET here_only = 'mine' WHERE id = 'g1';",
          "INSERT INTO visit VALUES('v1', '532999101201', 'g1', '2026-11-01');")
    wait(lambda: t.county.value("SELECT count(*) FROM visit") == 1, "the visit at the county")
    status, say = shell(t.village, "DELETE FROM grant_case WHERE id = 'g1';")
    checks.check(status == 0, "the village deletes a case that it may only suggest to delete %s" % say)
    wait(lambda: t.village.value("SELECT count(*) FROM grant_case WHERE id = 'g1'") == 1, "the case back")
    wait(lambda: t.village.value("SELECT count(*) FROM visit") == 1, "what the cascade took back")
    checks.check(t.village.value(ROW) == "B 400 set" and t.village.value("SELECT here_only FROM grant_case WHERE id = 'g1'") == "mine",
                 "it is back as it was, with the column that never travels")
    wait(lambda: len(proposals(t.township)) == 2, "both proposals to delete")
    # what the township deletes is gone: the visit first, then its case
    for register in ("visit", "grant_case"):
        wait(lambda: any(p["register"] == register for p in proposals(t.township)), "the proposal of %s" % register)
        number = [str(p["id"]) for p in proposals(t.township) if p["register"] == register][0]
        t.township.ctl("proposals", "accept", number)
    wait(lambda: t.village.value("SELECT count(*) FROM grant_case WHERE id = 'g1'") == 0, "the deleted case")
    wait(lambda: t.county.value("SELECT count(*) FROM grant_case WHERE id = 'g1'") == 0, "the deleted case at the county")
    checks.check(t.village.value("SELECT count(*) FROM visit") == 0, "accepted by the township, case and visit are gone everywhere")


def main():
    checks = Checks()
    with Tree(publish=False) as t:
        path = os.path.join(t.folder, "grant.policy")
        for name, text in ((path, POLICY), (os.path.join(t.folder, "grant.sql"), TABLES)):
            with open(name, "w", encoding="utf-8") as f:
                f.write(text)
        t.county.ctl("policy", "publish", path)
        wait(lambda: t.village.has("visit"), "the policy at the village")
        shell(t.village, "INSERT INTO grant_case(id, place, applicant) VALUES('g1', '532999101201', 'A');")
        wait(lambda: t.county.value("SELECT count(*) FROM grant_case") == 1, "the case at the county")
        refusals(checks, t)
        suggestions(checks, t)
        deletion(checks, t)
        for node in t.nodes:
            checks.check(not node.ask("quarantine", "list"), "%s: nothing waits in quarantine" % node.label)
    checks.close()


if __name__ == "__main__":
    sys.exit(main())
