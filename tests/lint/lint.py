"""What the lints share: the tree as {path: text}, C without its comments and strings, and the frame in which a lint
first proves on planted text that it catches what it is for."""
import os
import re
import sys

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
TEXT = (".c", ".h", ".py", ".sh", ".sql", ".scd", ".md", ".conf", ".policy", ".service", ".sysusers", ".tmpfiles")
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.S)


def tree(top=TOP):
    files = {}
    for folder, below, names in os.walk(top):
        below[:] = sorted(d for d in below if not d.startswith("build") and d not in (".git", "__pycache__"))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), top)
            if name.endswith(TEXT) or path in ("Makefile", ".ci/run"):
                with open(os.path.join(top, path), encoding="utf-8", errors="replace") as f:
                    files[path] = f.read()
    return files


def is_c(path, *folders):
    return path.endswith((".c", ".h")) and path.startswith(tuple(f + "/" for f in folders or ("daemon", "include")))


def code(text, keep_strings=False):
    """The text with comments (and strings) blanked; lines and columns stay."""
    def blank(m):
        if keep_strings and m[0][0] in "\"'":
            return m[0]
        return re.sub(r"[^\n]", " ", m[0])
    return TOKEN.sub(blank, text)


def includes(text):
    """(line, "<" or '"', header) of every #include."""
    for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', code(text, True), re.M):
        yield line_of(text, m.start(1)), m[1], m[2]


def literals(text):
    """(line, content) of every string literal; adjacent ones joined."""
    text = code(text, True)
    for m in re.finditer(r'"(?:[^"\\\n]|\\.)*"(?:\s*(?:PRI\w+\s*)?"(?:[^"\\\n]|\\.)*")*', text):
        parts = re.findall(r'"((?:[^"\\\n]|\\.)*)"', m[0])
        yield line_of(text, m.start()), re.sub(r'\\[nt]', " ", "".join(parts)).replace('\\"', '"')


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def main(judge, caught, allowed=()):
    """judge: {path: text} -> findings.  caught and allowed: pairs (path, text) it must, must not complain about."""
    passed, failed = 0, 0
    for plants, wanted in ((caught, True), (allowed, False)):
        for path, text in plants:
            findings = list(judge({path: text}))
            if bool(findings) == wanted:
                passed += 1
                continue
            failed += 1
            print("self-test: %s in %s:\n%s" % ("not caught" if wanted else "wrongly caught: %s" % findings, path, text))
    findings = list(judge(tree()))
    for finding in findings:
        print(finding)
    passed, failed = passed + (not findings), failed + len(findings)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(failed > 0)
