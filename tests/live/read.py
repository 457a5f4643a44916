#!/usr/bin/env python3
"""What people read of a tree at work: lists and explanations fit 80 columns in both languages and are in one language;
the sync log's filters; why a unit is late; the signed delta behind a value, kept here or fetched from the superior."""
import csv
import io
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import unicodedata

from lib_tree import Checks, Tree, wait
from node import TERRACECTL

KEY = "532999101201000001"
LONG = "青石镇西河村委会西河第9村民小组128号" * 4
LISTS = [("conflicts", "list"), ("proposals", "list"), ("returns", "list"), ("issues", "list"), ("quarantine", "list"), ("log",),
         ("peers",), ("policy", "status"), ("policy", "list"), ("segment", "list"), ("status",), ("status", "--tree"),
         ("units", "list"), ("why", "household", KEY), ("why", "--unit", "532999101201"), ("doctor",), ("verify",)]
# English words that no option, name, path or value of these documents has.
ENGLISH = re.compile(r"\b(the|of|is|are|this|these|which|there|here|from|by|open|none|yes|no|never|settled|"
                     r"sealed|applied|version|superseded|changes|taken|unit)\b")


def width(line):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def read(node, lang, *words):
    env = {k: v for k, v in os.environ.items() if k not in ("LC_ALL", "LC_MESSAGES", "COLUMNS")}
    done = subprocess.run([TERRACECTL, "--home", node.home, *words], env=dict(env, LANG=lang, LC_CTYPE="C.UTF-8"), timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def write(node, sql, *parameters):
    node.open().execute(sql, parameters)


def make_things(t):
    """A conflict and a row that has no place, with long values."""
    write(t.village, "INSERT INTO household(code, village_code, head_name, population, category, phone) VALUES(?, ?, ?, 4, '一般户', '1')",
          KEY, "532999101201", "李桂英")
    wait(lambda: t.county.value("SELECT count(*) FROM household") == 1, "the household at the county")
    wait(lambda: t.village.ask("status")["upstream"]["settled"] == 1, "its receipt at the village")
    t.village.stop()
    write(t.village, "UPDATE household SET address=?, phone='2'", LONG + "甲")
    write(t.township, "UPDATE household SET address=?, phone='3'", LONG + "乙")
    t.township.ctl("sync", "--wait", "10", allow=(0, 1))
    t.village.start()
    wait(lambda: t.county.ask("conflicts") and t.village.ask("conflicts"), "the conflict at county and village")
    write(t.township, "INSERT INTO household(code, village_code, head_name, population, category) VALUES('x', 'nowhere', 'x', 1, 'x')")
    wait(lambda: t.township.ask("issues"), "the issue at the township")


def lists(c, t):
    for node in t.nodes:
        for words in LISTS:
            for lang in ("C.UTF-8", "zh_CN.UTF-8"):
                status, out, err = read(node, lang, *words)
                if words[:2] == ("why", "--unit") and node is t.village:
                    c.check(status == 4 and (lang[0] == "C" or not ENGLISH.search(err.replace("terracectl peers", ""))), err.strip())
                    continue
                wide = [line for line in out.splitlines() if width(line) > 80]
                english = [line for line in out.splitlines() if lang[0] == "z" and ENGLISH.search(re.sub(r"[(（].*[)）]|/\S+|terracectl [a-z]+( [a-z]+)?", "", line))]
                c.check(status in (0, 1) and out and not err and not wide and not english,
                        "%s: %s in %s: %s" % (node.label, " ".join(words), lang[:2], (wide + english + [err])[0]))
    _, out, _ = read(t.township, "C.UTF-8", "conflicts")
    c.check("phone: 3 → 2" in " ".join(out.split()) and "…" in out and "conflicts show ID" in out, "a list shows what differs, and says that it cuts")
    number = t.township.ask("conflicts")[0]["id"]
    _, out, _ = read(t.township, "zh_CN.UTF-8", "conflicts", "show", str(number))
    c.check("".join(out.split()).count(LONG) == 0 and out.count("甲") == out.count("乙") == 1 and "…" not in out, "show cuts nothing")
    flat = " ".join(read(t.township, "C.UTF-8", "why", "household", KEY)[1].split())
    for part in ("HISTORY", "superseded", "SEGMENT delta 532999101000/county", "POLICY county 532999000000 version 1"):
        c.check(part in flat, "why says: " + part)


def log(c, t):
    node = t.township
    everything = node.ask("log")
    last = everything[-1]
    c.check(node.ask("log", "--kind", "conflict") == [e for e in everything if e["kind"] == "conflict"] != [], "--kind")
    _, out, _ = read(node, "zh_CN.UTF-8", "log", "--kind", "冲突", "--json")
    c.check(last["at"] in out or '"conflict"' in out, "--kind in Chinese")
    of_village = [e for e in everything if e["peer"] == "532999101201"]
    c.check(node.ask("log", "--unit", "532999101201") == of_village != [], "--unit")
    c.check(0 < len(node.ask("log", "--since", last["at"])) <= len(everything), "--since a time")
    c.check(node.ask("log", "--since", "2999-01-01") == [] and len(node.ask("log", "--since", "1h")) >= len(everything), "--since")
    _, out, _ = read(node, "C.UTF-8", "log", "--csv", "--kind", "apply")
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    c.check(rows and list(rows[0]) == ["id", "at", "kind", "level", "peer", "segment", "text"] and {r["kind"] for r in rows} == {"apply"},
            "--csv with --kind")
    for extra, form in (([], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  conflict .*"), (["--json"], r'^\{.*"kind":"conflict".*\}$')):
        p = subprocess.Popen([TERRACECTL, "--home", node.home, *extra, "log", "--follow", "--kind", "conflict"], stdout=subprocess.PIPE)
        line = p.stdout.readline().decode()
        p.send_signal(signal.SIGTERM)
        p.wait(10)
        p.stdout.close()
        c.check(re.match(form, line.rstrip("\n")), "--follow: " + line.strip()[:60])
    p = subprocess.Popen([TERRACECTL, "--home", node.home, "log", "--follow", "--since", "2999-01-01"], stdout=subprocess.PIPE)
    time.sleep(.3)
    p.send_signal(signal.SIGTERM)
    c.check(p.communicate(timeout=10)[0] == b"", "--follow with --since shows nothing older")


def busy(c, t):
    """sync --wait waits for what was sealed so far, not for a program that goes on writing."""
    stop = threading.Event()

    def keep_writing():
        db = t.township.open()
        while not stop.is_set():
            db.execute("UPDATE household SET population = population % 50 + 1")
            time.sleep(.02)
        db.close()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    begin = time.monotonic()
    status, out, err = read(t.township, "C.UTF-8", "sync", "--wait", "20")
    stop.set()
    writer.join()
    c.check(status == 0 and time.monotonic() - begin < 19, "sync --wait beside a busy program: %d %s%s" % (status, out.strip(), err.strip()))
    t.township.ctl("sync", "--wait", "10", allow=(0, 1))


def late(c, t):
    t.village.stop()
    write(t.township, "UPDATE household SET phone='5'")
    t.township.ctl("sync", "--wait", "10", allow=(0, 1))
    why = t.township.ask("why", "--unit", "532999101201")
    c.check(why["waiting_for_it"] > 0 and any("go down to it" in r for r in why["reasons"]), "why --unit: %s" % why["reasons"])
    _, out, _ = read(t.township, "zh_CN.UTF-8", "why", "--unit", "532999101201")
    c.check("等待下发" in out and "原因" in out, "and in Chinese")
    t.village.start()


def evidence(c, t):
    """The village's signed deltas are at the township and the county; gone from the village and the township they are fetched."""
    wait(lambda: t.village.value("SELECT phone FROM household") == "5", "the township's word at the village")
    write(t.village, "UPDATE household SET phone='6'")
    wait(lambda: t.county.value("SELECT phone FROM household") == "6", "the village's word at the county")
    t.village.ctl("sync", "--wait", "10")
    here = t.village.ask("why", "household", KEY, "--group", "family", "--evidence")["groups"][0]["held"]
    c.check(here["unit"] == "532999101201" and here["segment"]["authentic"] and here["segment"]["id"] and
            here["segment"]["says"]["values"]["phone"] == "6", "kept here: shown and verified")
    for node in (t.village, t.township):
        node.stop()
        db = sqlite3.connect(node.database)
        db.execute("DELETE FROM terrace_segment WHERE author=532999101201 AND kind=1")
        db.execute("DELETE FROM terrace_outbox WHERE segment NOT IN (SELECT id FROM terrace_segment)")
        db.commit()
        db.close()
    t.township.start()
    gone = t.township.ask("why", "household", KEY, "--group", "family")["groups"][0]["held"]
    c.check(gone["segment"] is None, "gone here")
    status, out, _ = read(t.township, "C.UTF-8", "why", "household", KEY, "--group", "family")
    c.check(status == 0 and "not kept here; kept by village 532999101201 and its superiors" in " ".join(out.split()), "who keeps it is said")
    fetched = t.township.ask("why", "household", KEY, "--group", "family", "--evidence")["groups"][0]["held"]["segment"]
    c.check(fetched and fetched["authentic"] and fetched["id"] is None and fetched["hash"] == here["segment"]["hash"] and
            fetched["says"] == here["segment"]["says"], "fetched from the county, verified: the same bytes")
    status, out, _ = read(t.township, "zh_CN.UTF-8", "why", "household", KEY, "--evidence")
    c.check(status == 0 and "真实" in out, "and in Chinese")
    db = sqlite3.connect(t.county.database)
    body = db.execute("SELECT bytes FROM terrace_segment WHERE author=532999101201 AND kind=1 ORDER BY id DESC LIMIT 1").fetchone()[0]
    # (the rest of the flow with a forged copy: the county hands out what it has, the township judges it)
    spoilt = body[:-1] + bytes([body[-1] ^ 1])
    db.execute("UPDATE terrace_segment SET bytes=? WHERE bytes=?", (spoilt, body))
    db.commit()
    db.close()
    text = t.township.ctl("why", "household", KEY, "--group", "family", "--evidence", "--json", allow=(0, 5))
    c.check('"authentic":true' not in text, "a spoilt copy is not taken for evidence")


def main():
    c = Checks()
    with Tree() as t:
        make_things(t)
        lists(c, t)
        log(c, t)
        busy(c, t)
        late(c, t)
        evidence(c, t)
    c.close()


if __name__ == "__main__":
    main()
