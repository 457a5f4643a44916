#!/usr/bin/env python3
"""A document archive with data on both sides is adopted: plan, keep = mine, superior and review, full-text triggers as
TEMP copies, a rebuild by the application, release."""
import json
import os
import sys

from lib_adopt import COUNTY, TOWN, Pair, schema, wait
from lib_tree import Checks

DOCUMENT = "INSERT INTO documents_document(id, unit_code, title, content, decision, correspondent_id) VALUES"


def fts(node, word):
    return node.value("SELECT count(*) FROM documents_fts WHERE documents_fts MATCH ?", word)


def waits(node, register):
    return [r for r in node.ask("adopt")["registers"] if r["register"] == register][0]


def plan_of(c, t):
    """What the plan says before anything changes."""
    wait(lambda: t.town.ask("adopt")["digest"] == "equal" and waits(t.town, "documents_document")["equal"] == 1,
         "the county's rows to be held", 40)
    before = t.town.dump()
    plan = t.town.ask("adopt")
    d = waits(t.town, "documents_document")
    c.check((d["equal"], d["differing"], d["only_here"], d["only_superior"]) == (1, 2, 2, 1),
            "equal, differing, only here, only above: %s" % [d[k] for k in ("equal", "differing", "only_here", "only_superior")])
    classes = {x["trigger"]: (x["class"], x["local"]) for x in d["triggers"]}
    c.check(classes["documents_fts_insert"] == ("doubling", True) and classes["documents_count"] == ("doubling", False) and
            classes["documents_title_check"] == ("harmless", False), "triggers are classified: %s" % classes)
    c.check(d["orphans"][0]["rows"] == 1, "the row without its parent is counted")
    c.check("documents_note" in plan["other_tables"], "tables outside the policy are named")
    c.check(t.town.dump() == before and t.town.value("SELECT count(*) FROM sqlite_master WHERE type='trigger' AND name LIKE 'terrace%'") == 0,
            "nothing has changed, and no trigger of ours stands")
    path = os.path.join(t.folder, "plan")
    t.town.ctl("adopt", "--keep", "documents_document=mine", "--keep", "documents_correspondent=superior", "--out", path, allow=(1,))
    t.town.sql("UPDATE documents_document SET title='edited since' WHERE id='d2'")
    t.town.ctl("adopt", "--apply", path, allow=(4,))
    c.check(True, "a stale plan is refused")
    t.town.ctl("adopt", "--keep", "documents_document=mine", "--keep", "documents_correspondent=superior", "--out", path, allow=(1,))
    return path


def begin(t):
    t.county.application(schema("documents"))
    t.county.script("INSERT INTO documents_correspondent VALUES('k1', '%s', '县农机局', '')" % TOWN)
    for row in ("('d1', '{0}', 'same', 'text', NULL, 'k1')", "('d2', '{0}', 'county two', 'alpha', 'yes', NULL)",
                "('d3', '{0}', 'county three', 'x', 'no', NULL)", "('d9', '{0}', 'only above', 'uplandword', NULL, NULL)"):
        t.county.script(DOCUMENT + row.format(TOWN))
    t.begin("documents.policy")
    c = t.county
    c.ctl("adopt", allow=(1,))
    c.ctl("adopt", "--apply", os.path.join(c.home, "adopt.plan"))
    t.town.application(schema("documents"))
    t.town.script("INSERT INTO documents_correspondent VALUES('k1', '%s', '农机局', 'old')" % TOWN)
    for row in ("('d1', '{0}', 'same', 'text', NULL, 'k1')", "('d2', '{0}', 'town two', 'alpha', 'yes', NULL)",
                "('d3', '{0}', 'county three', 'x', 'mine', NULL)", "('d4', '{0}', 'only here', 'beta', NULL, NULL)",
                "('d5', '{0}', 'orphan', 'gamma', NULL, 'nobody')"):
        t.town.script(DOCUMENT + row.format(TOWN))
    t.town.script("INSERT INTO documents_note(note, document_id) VALUES('stays here', 'd1')")
    t.town_before = t.town.dump()
    t.town.enrol()


def adopted(c, t, path):
    t.town.ctl("adopt", "--apply", path)
    wait(lambda: t.town.value("SELECT count(*) FROM documents_document") == 6, "the row that was only above")
    c.check(t.town.value("SELECT title FROM documents_document WHERE id='d2'") == "edited since", "mine: the local value stands")
    wait(lambda: t.county.value("SELECT title FROM documents_document WHERE id='d2'") == "edited since", "it at the county")
    c.check(t.county.value("SELECT count(*) FROM documents_document") == 6, "rows that were only here are at the county")
    c.check(t.town.value("SELECT decision FROM documents_document WHERE id='d3'") == "no", "a group of the county's is the county's")
    c.check(t.town.value("SELECT count(*) FROM terrace_returns WHERE key='d3' AND returned LIKE '%mine%'") == 1,
            "and the township's value of it is a return")
    c.check(t.town.value("SELECT name FROM documents_correspondent WHERE id='k1'") == "县农机局", "superior: the county's name came")
    lost = t.town.ask("conflicts", "--register", "documents_correspondent")
    c.check(len(lost) == 1 and "农机局" in json.dumps(lost, ensure_ascii=False), "the replaced name is on record")
    c.check(fts(t.town, "uplandword") == 1 and fts(t.county, "beta") == 1, "full-text indexes follow on both sides")
    c.check(t.town.value("SELECT n FROM documents_counter") == 5, "the application's counter was not run by our writes")
    c.check(t.town.value("SELECT count(*) FROM documents_fts") == 6 and t.town.value(
        "SELECT count(*) FROM documents_fts WHERE documents_fts MATCH 'beta'") == 1, "no entry of the index twice")
    t.rest()
    c.check(True, "digests agree")


def used(c, t):
    t.town.sql("UPDATE documents_document SET content='deltaword', title='t' WHERE id='d4'")
    wait(lambda: fts(t.county, "deltaword") == 1 and fts(t.county, "beta") == 0, "an update in the county's index")
    t.county.sql("DELETE FROM documents_document WHERE id='d9'")
    wait(lambda: fts(t.town, "uplandword") == 0, "a delete in the township's index")
    try:
        t.town.sql("UPDATE documents_document SET decision='x' WHERE id='d1'")
        c.check(False, "the county's group can be written")
    except Exception as error:
        c.check("terrace: " in str(error), "the county's group is refused in the application")
    c.check(True, "plain SQL on both sides")


REBUILD = """PRAGMA foreign_keys=OFF; BEGIN;
CREATE TABLE "new__documents_document" ("id" varchar(32) NOT NULL PRIMARY KEY, "unit_code" varchar(12) NOT NULL,
  "title" varchar(200) NOT NULL DEFAULT '', "content" text NOT NULL DEFAULT '', "created" datetime NULL,
  "archive_serial_number" integer NULL UNIQUE, "decision" varchar(16) NULL, "checksum" varchar(32) NOT NULL DEFAULT '',
  "owner" varchar(30) NULL,
  "correspondent_id" varchar(32) NULL REFERENCES "documents_correspondent" ("id") DEFERRABLE INITIALLY DEFERRED);
INSERT INTO "new__documents_document" (id, unit_code, title, content, created, archive_serial_number, decision, checksum,
  correspondent_id) SELECT id, unit_code, upper(title), content, created, archive_serial_number, decision, checksum,
  correspondent_id FROM documents_document;
DROP TABLE "documents_document"; ALTER TABLE "new__documents_document" RENAME TO "documents_document"; COMMIT;
UPDATE documents_document SET content='in the gap' WHERE id='d4';"""


def rebuilt(c, t):
    t.town.script(REBUILD)
    wait(lambda: t.county.value("SELECT content FROM documents_document WHERE id='d4'") == "in the gap", "what the gap hid")
    c.check(t.county.value("SELECT title FROM documents_document WHERE id='d1'") == "SAME", "the rebuild's own change was sealed, late")
    c.check(any("documents_document" in e for e in t.town.events("triggers were missing")), "the alarm names the table")
    t.town.sql("UPDATE documents_document SET title='after' WHERE id='d1'")
    wait(lambda: t.county.value("SELECT title FROM documents_document WHERE id='d1'") == "after", "the next write")
    c.check(True, "capture goes on behind a rebuild")


def released(c, t):
    t.rest()
    t.town.ctl("release", allow=(4,))
    c.check(True, "release is refused while the daemon runs")
    rows = t.town.value("SELECT group_concat(id || title || content) FROM documents_document")
    t.town.stop()
    t.town.ctl("release")
    dump = t.town.dump()
    c.check("terrace" not in dump.lower(), "nothing of ours is left")
    c.check(t.town.value("SELECT group_concat(id || title || content) FROM documents_document") == rows, "the data is as it was")
    c.check(t.town.value("PRAGMA integrity_check") == "ok", "the file is whole")


def main():
    checks = Checks()
    with Pair() as t:
        begin(t)
        path = plan_of(checks, t)
        adopted(checks, t, path)
        used(checks, t)
        rebuilt(checks, t)
        released(checks, t)
    checks.close()


assert COUNTY
sys.exit(main())
