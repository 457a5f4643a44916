#!/usr/bin/env python3
"""Least privilege: every database connection is confined, names get into SQL only quoted, files are opened only where their
names are our own, secrets are wiped where they are held, both programs leave no core file."""
import re

import lint

OPEN = re.compile(r"sqlite3_open(_v2)?\s*\(")
NEAR = 8                                                     # lines
NAME = re.compile(r"\b(FROM|INTO|UPDATE|JOIN|TABLE|TRIGGER|INDEX|VIEW|DROP|ON|EXISTS|PRAGMA|SET|COLUMN)\s+(\\?[\"']?)%s")
# Each with the reason why it is no name of anybody else's.
OURS = {
    ("daemon/store/capture.c", "CREATE TABLE IF NOT EXISTS %s"): "terrace_s and a number",
    ("daemon/store/capture_sql.c", "CREATE TRIGGER %s "): "terrace_ and numbers",
    ("daemon/store/local.c", "CREATE TEMP TRIGGER %s"): "the rest of the trigger's own text in the schema",
    ("daemon/store/release.c", "DROP %s "): "a kind: TABLE, VIEW, TRIGGER",
    ("daemon/store/ddl.c", "DROP %s \"%w\""): "a kind",
}
FILES = re.compile(r"(?<![\w.>])(open|openat|creat|fopen|freopen|mkstemp|mkostemp|rename|renameat|unlink|unlinkat|remove|symlink|link|mkdir|opendir)\s*\(")
OPENERS = ("daemon/base/file.c", "daemon/link/spool.c", "daemon/link/control.c", "daemon/app/", "daemon/ctl/", "daemon/store/db.c")
SECRETS = (("struct sign_key", r"sign_key_release\(&%s\)"), ("struct invitation", r"(bytes_wipe|explicit_bzero)\(%s\.secret"),
           ("struct enroll_request", r"(bytes_wipe|explicit_bzero)\(%s\.secret"))


def connections(path, text):
    lines = text.split("\n")
    for m in OPEN.finditer(text):
        line = lint.line_of(text, m.start())
        near = "\n".join(lines[line - 1:line + NEAR])
        if "db_confine(" not in near and not (path == "daemon/store/db.c" and "configure(" in near):
            yield "%s:%d: a connection without db_confine()" % (path, line)


def names(path, text):
    for line, literal in lint.literals(text):
        ours = any(path == p and literal.startswith(start) for p, start in OURS)
        if NAME.search(literal) and re.match(r"\s*[A-Z]{3,} ", literal) and not ours:
            yield "%s:%d: a name in SQL without quoting (identifier_put, %%w): \"%.60s\"" % (path, line, literal)


def secrets(path, text):
    for kind, wiped in SECRETS:
        for m in re.finditer(r"^\t+%s (\w+)( = \{[^;]*\})?;" % kind, text, re.M):
            rest = text[m.end():]
            body = rest[:(re.search(r"^\}", rest, re.M) or re.search("$", rest)).start()]
            returned = re.search(r"\*ret = %s;|enroll_get\([^;]*&%s" % (m[1], m[1]), body) and kind == "struct enroll_request"
            if not re.search(wiped % m[1], body) and not returned:
                yield "%s:%d: %s %s is not wiped before its function ends" % (path, lint.line_of(text, m.start()), kind, m[1])


def judge(files):
    for path, text in files.items():
        if not lint.is_c(path, "daemon"):
            continue
        code = lint.code(text)
        if path.startswith("daemon/store/"):
            yield from connections(path, code)
            yield from names(path, text)
        if not path.startswith(OPENERS):
            for m in FILES.finditer(code):
                yield "%s:%d: %s() here: files are opened where their names are our own" % (path, lint.line_of(code, m.start()), m[1])
        yield from secrets(path, code)
        if path in ("daemon/app/main.c", "daemon/ctl/main.c") and not ("PR_SET_DUMPABLE, 0" in code and "RLIMIT_CORE" in code):
            yield "%s: keys could end in a core file" % path


lint.main(judge, caught=[
    ("daemon/store/x.c", "int f(void)\n{\n\tsqlite3_open_v2(\":memory:\", &db, 0, NULL);\n}\n"),
    ("daemon/store/x.c", 'buf_printf(&b, "SELECT a FROM %s", name);\n'),
    ("daemon/store/x.c", 'buf_printf(&b, "DELETE FROM \\"%s\\"", name);\n'),
    ("daemon/store/x.c", 'buf_printf(&b, "DROP TABLE %s", name);\n'),
    ("daemon/engine/x.c", "fd = open(peer->name, O_RDONLY);\n"),
    ("daemon/link/server.c", "rename(a, header);\n"),
    ("daemon/app/x.c", "int f(void)\n{\n\tstruct sign_key key;\n\tsign_key_new(&key);\n}\n"),
    ("daemon/ctl/x.c", "int f(void)\n{\n\tstruct invitation i = { 0 };\n\treturn 0;\n}\n"),
    ("daemon/app/main.c", "int main(void)\n{\n}\n"),
    ("daemon/ctl/main.c", "setrlimit(RLIMIT_CORE, &none);\n"),
], allowed=[
    ("daemon/store/x.c", "sqlite3_open_v2(\":memory:\", &db, 0, NULL);\ndb_confine(db);\n"),
    ("daemon/store/x.c", 'sqlite3_mprintf("DROP TABLE \\"%w\\"", name);\nerr_set(e, 1, "table %s is dropped");\n'),
    ("daemon/app/x.c", "int f(void)\n{\n\tstruct sign_key key;\n\tsign_key_release(&key);\n}\n"),
    ("daemon/base/file.c", "open(path, 0);\n"),
])
