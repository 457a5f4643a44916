#!/usr/bin/env python3
"""Bundles: a county, a township and a village; after its enrolment the village has no line any more and keeps in step by
stick alone; the township changes between both.  What is wrong with a stick is told in a sentence and changes nothing."""
import json
import os
import re
import stat
import subprocess
import sys

from lib_tree import Checks, Tree, wait
from node import TERRACECTL, Node

ROW = "INSERT INTO household(code, village_code, head_name, phone) VALUES(?, '532999101201', ?, ?)"


def full_stick(t, check, village, township, refused):
    """A stick that is full: what was on it stays, and nothing half is left.  Needs the right to mount."""
    small = os.path.join(t.folder, "small")
    os.mkdir(small)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", small], stderr=subprocess.DEVNULL).returncode:
        print("  (no right to mount: a full stick is not tried)")
        return
    try:
        out = os.path.join(small, "bundle")
        with open(out, "wb") as f:
            f.write(b"what was there")
        with open(os.path.join(small, "filler"), "wb") as f:
            f.write(b"x" * 4096)
        status, text = refused(village, "export", "--to", township.unit, "--out", out)
        check(status == 4 and "No space left" in text, "a full stick: exit %d, %s" % (status, text))
        with open(out, "rb") as f:
            check(f.read() == b"what was there" and sorted(os.listdir(small)) == ["bundle", "filler"], "and what was on it stays")
    finally:
        subprocess.run(["umount", small], check=True)


def enrol_by_stick(t, check, parent):
    """A village that nobody ever connects: request, answer, and its first bundles."""
    stick = os.path.join(t.folder, "enrolment")
    os.mkdir(stick)
    request, answer = os.path.join(stick, "request"), os.path.join(stick, "answer")
    bare = Node(t.folder, "bare", "532999101202", "bare", parent)
    t.nodes.append(bare)
    line = re.search(r"terrace:1:[A-Za-z0-9_-]+", parent.ctl("invite", bare.unit, "--name", bare.name))[0]
    bare.ctl("join", line, "--request", request)
    check(stat.S_IMODE(os.stat(request).st_mode) == 0o600, "a request is nobody else's to read")
    with open(request, "rb") as f:
        content = f.read()
    with open(os.path.join(stick, "bad"), "wb") as f:
        f.write(content[:5] + bytes([content[5] ^ 1]) + content[6:])
    parent.ctl("invite", "--answer", os.path.join(stick, "bad"), "--out", answer, allow=(4, 5))
    check(not os.path.exists(answer), "a wrong secret gets no answer")
    check(parent.ask("invite", "--answer", request, "--out", answer)["unit"] == bare.unit, "the request is answered")
    bare.ctl("join", line, "--answer", parent.log, allow=(4, 5))
    bare.ctl("join", line, "--answer", answer)
    with open(os.path.join(bare.home, "terraced.conf"), encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(bare.home, "terraced.conf"), "w", encoding="utf-8") as f:
        f.write(re.sub(r'upstream *\{', 'upstream {\n  proxy = "http://127.0.0.1:1"', text))
    bare.start()
    return bare


def main():
    checks = Checks()
    check = checks.check
    with Tree() as t:
        county, township, village = t.county, t.township, t.village
        stick = os.path.join(t.folder, "stick")
        os.mkdir(stick)

        def no_line(node):
            """Its superior is reached through a proxy that does not exist."""
            node.stop()
            conf = os.path.join(node.home, "terraced.conf")
            with open(conf, encoding="utf-8") as f:
                text = f.read()
            with open(conf, "w", encoding="utf-8") as f:
                f.write(re.sub(r'upstream *\{', 'upstream {\n  proxy = "http://127.0.0.1:1"', text))
            node.start()

        def export(node, to, name):
            path = os.path.join(stick, name)
            return path, node.ask("bundle", "export", "--to", to.unit, "--out", path)

        def carry(node, to):
            path, _ = export(node, to, "%s-%s" % (node.label, to.label))
            return to.ask("bundle", "import", path)

        def refused(node, *words):
            done = subprocess.run([TERRACECTL, "--home", node.home, "bundle", *words], capture_output=True, timeout=60)
            return done.returncode, done.stderr.decode()

        def phone(node, code):
            return node.value("SELECT max(phone) FROM household WHERE code=?", code)

        no_line(village)
        no_line(township)
        code = ["53299910120100000%d" % i for i in range(9)]
        village.open().execute(ROW, (code[1], "李桂英", "1"))
        path, told = export(village, township, "first")
        check(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "a bundle is nobody else's to read")
        check(told["bytes"] == os.path.getsize(path) and not told["more"], "export tells its size")
        with open(path, "rb") as f:
            content = f.read()
        check("李桂英".encode() not in content and b"532999101201" not in content and village.name.encode() not in content,
              "a lost stick tells nothing")
        seen = township.ask("bundle", "inspect", path)
        check(seen["from"] == village.unit and seen["to"] == township.unit and seen["direction"] == "up" and
              seen["changes"] == 1 and seen["age_s"] < 600, "inspect: %s" % seen)
        check(phone(township, code[1]) is None, "inspect takes nothing")
        text = township.ctl("bundle", "inspect", path)
        check(village.unit in text, "inspect for people: %s" % text)
        check(township.ask("bundle", "import", path)["state"] == "taken", "taken")
        check(phone(township, code[1]) == "1", "the village's row is in the township")
        for said, status, words in (
                (refused(township, "import", path), 4, "nothing is changed"),
                (refused(county, "import", path), 5, "not for this node"),
                (refused(township, "import", os.path.join(stick, "none")), 4, "none"),
                (refused(township, "import", township.log), 5, "no bundle"),
                (refused(village, "export", "--to", county.unit, "--out", os.path.join(stick, "x")), 4, "neither the superior"),
                (refused(village, "export", "--to", township.unit, "--out", os.path.join(stick, "no", "x")), 4, "cannot"),
                (refused(village, "export", "--to", township.unit), 2, "--out"),
        ):
            check(said[0] == status and words in said[1] and said[1].count("\n") == 1, "exit %d, %s: %s" % (status, words, said))
        for name, bad in (("cut", content[:-20]), ("altered", content[:200] + bytes([content[200] ^ 1]) + content[201:])):
            with open(os.path.join(stick, name), "wb") as f:
                f.write(bad)
            said = refused(township, "import", os.path.join(stick, name))
            check(said[0] == 5 and "copy it again" in said[1], "%s: %s" % (name, said))
        check(os.path.exists("/dev/full") and refused(village, "export", "--to", township.unit, "--out", "/dev/full/x")[0] == 4,
              "a place that cannot be written")
        full_stick(t, check, village, township, refused)
        carry(township, county)
        check(phone(county, code[1]) == "1", "and by the next stick in the county")
        county.open().execute("UPDATE household SET poverty_cause='因病'")
        carry(county, township)
        carry(township, village)
        check(village.value("SELECT poverty_cause FROM household WHERE code=?", code[1]) == "因病", "the county's word is in the village")

        # both wrote without having seen each other
        village.open().execute("UPDATE household SET phone='2' WHERE code=?", (code[1],))
        township.open().execute("UPDATE household SET phone='3' WHERE code=?", (code[1],))
        for _ in range(2):
            carry(village, township)
            carry(township, village)
        check(phone(village, code[1]) == phone(township, code[1]) == "3", "who stands higher counts")
        check(len(village.ask("conflicts")) == 1, "and the village knows what happened")

        # the line of the township comes back while a stick is on its way
        township.open().execute(ROW, (code[2], "王秀英", "5"))
        late, _ = export(township, county, "late")
        conf = os.path.join(township.home, "terraced.conf")
        with open(conf, encoding="utf-8") as f:
            text = f.read().replace('  proxy = "http://127.0.0.1:1"\n', "", 1)
        township.stop()
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text)
        township.start()
        wait(lambda: phone(county, code[2]) == "5", "the line carries what the stick holds")
        said = refused(county, "import", late)
        check(said[0] == 4 and "nothing is changed" in said[1], "the late stick: %s" % (said,))
        village.open().execute(ROW, (code[3], "赵兰", "6"))
        carry(village, township)
        wait(lambda: phone(county, code[3]) == "6", "stick, then line")
        for _ in range(2):
            carry(village, township)
            carry(township, village)
        bare = enrol_by_stick(t, check, township)
        for _ in range(2):
            carry(bare, township)
            carry(township, bare)
        check(bare.has("household"), "the policy came by stick")
        bare.open().execute("INSERT INTO household(code, village_code, phone) VALUES('532999101202000001', '532999101202', '7')")
        carry(bare, township)
        check(phone(township, "532999101202000001") == "7", "a village that was never connected reports")
        alarms = [e for n in t.nodes for e in n.ask("log", "--kind", "alarm") if "restored" in e["text"] or "twin" in e["text"]]
        check(not alarms, "nobody is taken for a restored disk: %s" % alarms[:2])
        digest = {c["unit"]: c["digest"] for c in township.ask("status")["children"]}
        check(json.dumps(digest.get(village.unit)) != "null" and digest[village.unit] == "equal", "in step: %s" % digest)
    checks.close()


sys.exit(main())
