#!/usr/bin/env python3
"""Files one can hand over: at most 800 lines, nothing left behind, no path of one machine, scripts that parse."""
import re
import subprocess

import lint

MOST_LINES = 800
LEFT = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|not impl" r"emented")
MACHINE = re.compile(r"(?<![\w.])/(wo" r"rk|fa" r"rm|ho" r"me|ro" r"ot)/|\.lib" r"rary\b")
TEMPORARY = re.compile(r"(?<![\w.])/t" r"mp/")
GUARD = re.compile(r"#ifndef (\w+)\n#define (\w+)\n")


def parses(path, text):
    if path.endswith(".py"):
        try:
            compile(text, path, "exec")
        except SyntaxError as e:
            return str(e)
    elif path.endswith(".sh") or text.startswith("#!/bin/sh"):
        shell = "bash" if text.startswith(("#!/bin/bash", "#!/usr/bin/env bash")) else "sh"
        done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True)
        return done.stderr.strip() if done.returncode else None
    return None


def judge(files):
    for path, text in files.items():
        lines = text.split("\n")
        if len(lines) > MOST_LINES + 1 and path.endswith((".c", ".h", ".py", ".sh")):
            yield "%s: %d lines; split it at %d" % (path, len(lines) - 1, MOST_LINES)
        if text and not text.endswith("\n"):
            yield "%s: no newline at the end" % path
        for number, line in enumerate(lines, 1):
            for what, pattern in (("left behind", LEFT), ("a path of one machine", MACHINE)):
                m = pattern.search(line)
                if m:
                    yield "%s:%d: %s: %s" % (path, number, what, m[0])
            if not path.startswith("tests/") and TEMPORARY.search(line):
                yield "%s:%d: the machine's temporary folder is no place of ours" % (path, number)
            if line.rstrip("\r") != line.rstrip() and not path.endswith(".md"):
                yield "%s:%d: white space at the end" % (path, number)
        if path.startswith("include/"):
            name = re.sub(r"\W", "_", path[len("include/"):]).upper()
            m = GUARD.search(text)
            if not m or m[1] != name or m[2] != name:
                yield "%s: the include guard is not %s" % (path, name)
        wrong = parses(path, text)
        if wrong:
            yield "%s: does not parse: %s" % (path, wrong)


lint.main(judge, caught=[
    ("daemon/core/x.c", "x\n" * 801),
    ("daemon/core/x.c", "/* TO" "DO later */\n"),
    ("tests/unit/x.c", "/* XX" "X */\n"),
    ("README.md", "cd /wo" "rk/main\n"),
    ("tests/live/x.sh", "cd /ho" "me/me\n"),
    ("daemon/core/x.c", "open(\"/t" "mp/x\");\n"),
    ("daemon/core/x.c", "int x; \n"),
    ("daemon/core/x.c", "int x;"),
    ("include/core/x.h", "#ifndef CORE_Y_H\n#define CORE_Y_H\n#endif\n"),
    ("tests/lib/x.sh", "#!/bin/sh\nif true; then\n"),
    ("tests/lib/x.py", "def f(:\n"),
], allowed=[
    ("daemon/core/x.c", "x\n" * 800),
    ("tests/unit/x.c", "mkdtemp(\"/t" "mp/a-XX" "XXXX\");\n"),
    ("daemon/core/x.c", "/* under .../wo" "rk/x and http://a/home/ */\n"),
    ("include/core/x.h", "/* x */\n#ifndef CORE_X_H\n#define CORE_X_H\n#endif\n"),
    ("tests/lib/x.sh", "#!/bin/bash\nread -r a <<<x\n"),
])
