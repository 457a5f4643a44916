#!/usr/bin/env python3
"""SQL in one place: no string outside daemon/store is a statement (style, idiom 9)."""
import re

import lint

STATEMENT = (r"SELECT\s+(DISTINCT\s+)?[\w*(\"'?]|INSERT\s+(OR\s+\w+\s+)?INTO\s|REPLACE\s+INTO\s|UPDATE\s+(OR\s+\w+\s+)?[\w\"%]+\s+SET\s|"
             r"DELETE\s+FROM\s|CREATE\s+(TEMP\w*\s+|UNIQUE\s+)?(TABLE|INDEX|TRIGGER|VIEW)\s|ALTER\s+TABLE\s|"
             r"DROP\s+(TABLE|INDEX|TRIGGER|VIEW)\s|PRAGMA\s+\w|BEGIN(\s+(IMMEDIATE|EXCLUSIVE|DEFERRED))?\s*;?$|COMMIT\s*;?$|"
             r"ROLLBACK(\s+TO\s+\w+)?\s*;?$|SAVEPOINT\s+\w|VACUUM(\s+INTO\b.*)?\s*;?$|ATTACH\s+(DATABASE\s+)?['?\"%]")
# A statement begins its string; only in capitals does it count further on, where prose stands too.
AT_START = re.compile(r"\s*(EXPLAIN\s+(QUERY\s+PLAN\s+)?)?(%s)" % STATEMENT)
WITHIN = re.compile(r"\b(INSERT\s+(OR\s+\w+\s+)?INTO|SELECT\s[^;]*\sFROM|UPDATE\s+\S+\s+SET|DELETE\s+FROM)\s+[\w\"%(]")
LOWER = re.compile(r"\s*(select\s+(\*|[\w.]+(\s*,\s*[\w.*]+)*|.*\(.*\).*)\s+from\s|insert\s+into\s+\S+\s*(\(|values)|update\s+\S+\s+set\s+\S+\s*=|delete\s+from\s+\S+\s+where\s|"
                   r"create\s+(table|index|trigger|view)\s+\S+\s*(\(|on\s|after\s|before\s|as\s)|pragma\s+\w+\s*(=|\(|;|$))")


def judge(files):
    for path, text in files.items():
        if not lint.is_c(path) or path.startswith(("daemon/store/", "include/store/")):
            continue
        for line, literal in lint.literals(text):
            if AT_START.match(literal) or WITHIN.search(literal) or LOWER.match(literal):
                yield "%s:%d: SQL belongs in daemon/store: \"%.60s\"" % (path, line, literal)


lint.main(judge, caught=[
    ("daemon/engine/x.c", 'run("SELECT a FROM b");\n'),
    ("daemon/engine/x.c", 'run("INSERT OR "\n    "REPLACE INTO b VALUES(1)");\n'),
    ("daemon/link/x.c", 'run("select count(*) from terrace_log");\n'),
    ("daemon/core/x.c", 'x = "UPDATE %s SET x = 1";\n'),
    ("daemon/ctl/x.c", 'x = "PRAGMA data_version";\n'),
    ("daemon/app/x.c", 'x = "BEGIN IMMEDIATE";\n'),
    ("daemon/app/x.c", 'x = "\\n\\tDELETE FROM t";\n'),
    ("include/core/x.h", '#define MAKE "CREATE TABLE t(a)"\n'),
], allowed=[
    ("daemon/store/x.c", 'run("SELECT a FROM b");\n'),
    ("daemon/core/x.c", '/* "SELECT a FROM b" */ x = "select the rows from the list";\n'),
    ("daemon/core/x.c", 'say("a policy must not DROP TABLE or delete from a register");\n'),
    ("daemon/core/x.c", 'say("update the chain", "commit", "begin");\n'),
])
