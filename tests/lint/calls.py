#!/usr/bin/env python3
"""Calls that are not made: unbounded copies, calls without errors or thread safety, printing below app."""
import re

import lint

NEVER = {
    "strcpy": "unbounded", "strcat": "unbounded", "stpcpy": "unbounded", "sprintf": "unbounded", "vsprintf": "unbounded",
    "gets": "unbounded", "scanf": "unbounded", "strncpy": "may leave no NUL", "strncat": "counts what is left, not what is there",
    "strtok": "keeps state", "atoi": "has no errors: text_number", "atol": "has no errors", "atoll": "has no errors",
    "atof": "has no errors", "system": "runs a shell", "popen": "runs a shell", "alloca": "unbounded stack",
    "rand": "not random: rand_bytes", "srand": "not random", "random": "not random", "tmpnam": "races", "mktemp": "races",
    "localtime": "one buffer for all threads", "gmtime": "one buffer for all threads", "ctime": "one buffer for all threads",
    "asctime": "one buffer for all threads", "getpwnam": "one buffer for all threads",
}
PRINT = ["printf", "vprintf", "fprintf", "vfprintf", "dprintf", "puts", "fputs", "putchar", "perror", "exit", "_exit", "err", "errx", "warn"]
CALL = r"(?<![\w.>])(%s)\s*\("
NEVER_CALL = re.compile(CALL % "|".join(NEVER))
PRINT_CALL = re.compile(CALL % "|".join(PRINT))
BELOW_APP = tuple("%s/%s/" % (top, floor) for top in ("daemon", "include") for floor in ("base", "core", "store", "engine", "link"))


def judge(files):
    for path, text in files.items():
        if not lint.is_c(path):
            continue
        text = lint.code(text)
        for m in NEVER_CALL.finditer(text):
            yield "%s:%d: %s() is not called here: %s" % (path, lint.line_of(text, m.start()), m[1], NEVER[m[1]])
        for m in PRINT_CALL.finditer(text) if path.startswith(BELOW_APP) else ():
            yield "%s:%d: %s() below app: errors go up, lines through base/log" % (path, lint.line_of(text, m.start()), m[1])


lint.main(judge, caught=
    [("daemon/app/x.c", "x = %s(a);\n" % name) for name in NEVER] +
    [("daemon/engine/x.c", "%s (a);\n" % name) for name in PRINT],
    allowed=[
    ("daemon/app/x.c", "snprintf(a, 1, b); fprintf(stderr, c); exit(1); my_system(x); s->random(p);\n"),
    ("daemon/core/x.c", "buf_printf(b, c); vsnprintf(a); s.random(s.arg); err_set(e); /* strcpy(a) */ f(\"puts(x)\");\n"),
    ("daemon/ctl/x.c", "printf(x);\n"),
    ("tests/unit/x.c", "system(x);\n"),
])
