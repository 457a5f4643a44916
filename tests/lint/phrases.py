#!/usr/bin/env python3
"""Every sentence that terracectl, reports, orders and the sync log say stands in the catalogue of Chinese texts, and the
catalogue is sound: as many parts on the right as on the left name, nothing twice, nothing that nobody says."""
import re

import lint

CATALOGUE = ["daemon/ctl/phrases_words.c", "daemon/ctl/phrases_events.c", "daemon/ctl/phrases_errors.c",
             "daemon/ctl/phrases_policy.c"]
STRINGS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
ARGUMENT = r'(?:[^"(),;]|"(?:[^"\\]|\\.)*"|\((?:[^()]|\([^()]*\))*\))*'
CONVERSION = re.compile(r"%[0-9.*#-]*[hlzjt]*[a-zA-Z]")
# Who says what people read.
ERRORS = ["daemon/ctl/main.c", "daemon/ctl/ctl.c", "daemon/ctl/cmd_report.c", "daemon/ctl/cmd_why.c", "daemon/ctl/ask.c",
          "daemon/ctl/cmd_home.c", "daemon/ctl/csv.c", "daemon/engine/report.c", "daemon/engine/report_why.c",
          "daemon/engine/report_rows.c", "daemon/engine/report_status.c", "daemon/engine/report_late.c",
          "daemon/engine/report_segment.c", "daemon/engine/evidence.c", "daemon/core/unit.c",
          "daemon/core/box.c", "daemon/core/bundle.c", "daemon/engine/bundle.c", "daemon/engine/bundle_take.c"]
EVENTS = ["daemon/engine/%s.c" % name for name in (
    "bundle", "bundle_take", "command", "enrol", "heal", "install", "items", "leave", "merging", "outgoing", "push", "push_answer", "renew", "revoke", "run",
    "seal", "subtree")]


def joined(strings):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', strings))


def rows_of(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return [(joined(a), joined(b)) for a, b in re.findall(r"\{\s*" + STRINGS + r",\s*" + STRINGS + r"\}", text)]


KNOWN = {english for path in CATALOGUE for english, _ in rows_of(lint.tree()[path])}


def said(text, call, at):
    """First string among the arguments from number `at` on of each call; None where it is no literal."""
    for m in re.finditer(r"\b%s\(" % call, text):
        pattern = re.compile((ARGUMENT + ",") * at + r"\s*" + STRINGS)
        found = pattern.match(text, m.end())
        if found:
            yield joined(found[1])


def sentences(path, text):
    if path in ERRORS:
        yield from said(text, "err_set", 2)
    if path in EVENTS:
        yield from said(text, "event", 5)
    if path.startswith("daemon/engine/report_"):
        yield from said(text, "reason", 1)
    if path in ("daemon/engine/report_nodes.c", "daemon/engine/report_status.c"):
        for s in re.findall(r'return ("[^"]* [^"]*")[ ;]', text):
            yield joined(s)


def needs_none(s):
    """What consists of parts alone says nothing itself; a text in both languages needs no translation."""
    return not re.search(r"[a-z]{3}", CONVERSION.sub("", s)) or re.search(r"[\u4e00-\u9fff]", s)


def judge(files):
    seen = set()
    for path in CATALOGUE:
        for english, chinese in rows_of(files.get(path, "")):
            parts = len(CONVERSION.findall(english.replace("%%", "")))
            if not {int(n) for n in re.findall(r"\{(\d)\}", chinese)} <= set(range(1, parts + 1)):
                yield '%s: "%s" has %d parts, its translation names others' % (path, english, parts)
            if parts > 9:
                yield '%s: "%s" has more than 9 parts' % (path, english)
            if CONVERSION.search(chinese.replace("%%", "")):
                yield '%s: a conversion on the right side: "%s"' % (path, chinese)
            if english in seen:
                yield '%s: twice: "%s"' % (path, english)
            seen.add(english)
    for path, text in files.items():
        for s in sentences(path, text):
            plain = re.sub(r"%[.][*]s|%[.0-9]+s", "%s", s)
            counted = re.split(r"[,;:] ", s)         # views show what is not zero of them, part by part
            if not needs_none(s) and s not in KNOWN and plain not in KNOWN and not all(part in KNOWN for part in counted):
                yield '%s: no Chinese for "%s"; add a row to daemon/ctl/phrases_*.c' % (path, s)


lint.main(judge, caught=[
    ("daemon/ctl/ctl.c", 'return err_set(err, ERR_USAGE, "%s: a new complaint", x);\n'),
    ("daemon/engine/report.c", 'return err_set(err, f(x), "a new "\n "complaint");\n'),
    ("daemon/engine/seal.c", 'event(e, LOG_LEVEL_INFO, "seal", UNIT_NONE, buf_text(&name), "something %u new", n);\n'),
    ("daemon/engine/report_late.c", 'reason(s, "it is late for %s", x);\n'),
    ("daemon/engine/report_nodes.c", 'return "do something: terracectl now";\n'),
    (CATALOGUE[0], '{ "a %s", "{2}" },\n'),
    (CATALOGUE[0], '{ "a", "甲" },\n{ "a", "乙" },\n'),
    (CATALOGUE[1], '{ "a %d", "%d" },\n'),
], allowed=[
    ("daemon/ctl/ctl.c", 'return err_set(err, ERR_USAGE, "%s: no such option", x);\n'),
    ("daemon/engine/seal.c", 'event(e, l, "alarm", p, NULL, "%s", err->text); event(e, l, "x", p, n, "both / 两种");\n'),
    ("daemon/store/x.c", 'return err_set(err, ERR_DB, "what a lower floor says");\n'),
    (CATALOGUE[2], '{ "a %s of %.*s", "{2} {1}" },\n'),
])
