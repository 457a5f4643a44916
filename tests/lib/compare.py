#!/usr/bin/env python3
"""Compares the registers of a tree from outside: sqlite3 and this file, nothing of Terrace's code.

  compare.py [OPTIONS] UNIT=PATH...     PATH: a database, or a home (its terraced.conf names the database)

Each node is compared with the nearest node above it that is given: the node's rows must be the upper node's rows
in the node's scope, value by value with storage class, and none of its rows may lie outside its scope.  Tables of
Terrace (terrace_...) and of SQLite are left out.  Exit status: 0 equal, 1 a difference, 2 usage.

  --tables T,T...            only these (default: every table that any node has)
  --columns TABLE=C,C...     compare these columns only, besides the key
  --unit-column TABLE=C      the column that holds the unit (default: village_code or unit_code)
  --whole TABLE              has no unit: every node has all of it
  --skip TABLE
  --show N                   how many differing keys to name a table (5)"""
import argparse
import hashlib
import os
import re
import sqlite3
import sys
import unicodedata

UNIT_COLUMNS = ("village_code", "unit_code")
LEVEL_DIGITS = (2, 4, 6, 9, 12)


def usage_error(text):
    print("compare: " + text, file=sys.stderr)
    sys.exit(2)


def scope_of(unit):
    """The digits that every unit in its scope begins with."""
    digits = max((n for start, n in zip((0,) + LEVEL_DIGITS, LEVEL_DIGITS) if int(unit[start:n])), default=0)
    return unit[:digits]


def quoted(name):
    return '"%s"' % name.replace('"', '""')


def cell(value):
    return 0.0 if isinstance(value, float) and value == 0 else value


class Node:
    def __init__(self, unit, path):
        if not re.fullmatch(r"\d{12}", unit) or not int(unit):
            usage_error("%s: not a 12-digit unit" % unit)
        self.unit, self.scope, self.above = unit, scope_of(unit), None
        if os.path.isdir(path):
            path = self.database_of(path)
        if not os.path.exists(path):
            usage_error("%s: no such database" % path)
        self.db = sqlite3.connect("file:%s?mode=ro" % path.replace("%", "%25").replace("?", "%3f"), uri=True, timeout=60)
        self.db.text_factory = lambda raw: ("text", raw)         # a text is no blob, and need not be UTF-8
        self.db.execute("BEGIN")                                 # one moment for all tables
        rows = self.db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        names = [name[1].decode() for name, in rows]
        self.tables = {n for n in names if not n.lower().startswith(("terrace_", "sqlite_"))}

    @staticmethod
    def database_of(home):
        name = "registers.db"
        conf = os.path.join(home, "terraced.conf")
        if os.path.exists(conf):
            with open(conf, encoding="utf-8") as f:
                m = re.search(r'^\s*database\s*=\s*"([^"]*)"', f.read(), re.M)
            name = m[1] if m else name
        return os.path.join(home, name)

    def columns(self, table):
        """(columns, key columns); a table without a declared key is keyed by the whole row."""
        info = self.db.execute("PRAGMA table_info(%s)" % quoted(table)).fetchall()
        names = [row[1][1].decode() for row in info]
        keys = [name for _, name in sorted((row[5], row[1][1].decode()) for row in info if row[5])]
        return names, keys or names

    def rows(self, table, key, columns, unit_column):
        """key -> (unit, hash of the compared values)"""
        wanted = key + columns + ([unit_column] if unit_column else [])
        found = {}
        for row in self.db.execute("SELECT %s FROM %s" % (",".join(map(quoted, wanted)), quoted(table))):
            values = tuple(map(cell, row))
            unit = values[-1][1].decode(errors="replace") if unit_column and isinstance(values[-1], tuple) else ""
            compared = values[:len(key) + len(columns)]
            found[values[:len(key)]] = (unit, hashlib.blake2b(repr(compared).encode(), digest_size=16).digest())
        return found


def pairs(texts, what):
    result = {}
    for text in texts:
        name, sep, value = text.partition("=")
        if not sep:
            usage_error("%s: not TABLE=%s" % (text, what))
        result[name] = value
    return result


def key_text(key):
    return ",".join(v[1].decode(errors="replace") if isinstance(v, tuple) else str(v) for v in key)


class Comparison:
    """One table of one node against the node above (or, at the top, against its own scope)."""
    def __init__(self, node, table, args):
        self.node, self.table, self.args = node, table, args
        self.problems, self.counts = [], dict.fromkeys(("rows", "differ", "only here", "only above", "outside"), 0)
        above = node.above
        for one in (node, above):
            if one and table not in one.tables:
                self.problems.append("%s has no such table" % one.unit)
        if self.problems:
            return
        names, key = node.columns(table)
        columns = args.columns.get(table, "").split(",") if table in args.columns else names
        missing = sorted(set(columns) - set(names))
        if missing:
            self.problems.append("%s has no column %s" % (node.unit, ", ".join(missing)))
            return
        self.unit_column = None if table in args.whole else args.unit_column.get(
            table, next((c for c in UNIT_COLUMNS if c in names), None))
        if table not in args.whole and self.unit_column not in names:
            self.problems.append("no unit column; name it with --unit-column %s=COLUMN, or --whole %s" % (table, table))
            return
        if above and table not in args.columns and above.columns(table) != (names, key):
            self.problems.append("columns differ from those of %s" % above.unit)
            return
        self.judge(key, [c for c in columns if c not in key])

    def in_scope(self, unit):
        return self.unit_column is None or len(unit) == 12 and unit.startswith(self.node.scope)

    def judge(self, key, columns):
        mine = self.node.rows(self.table, key, columns, self.unit_column)
        self.counts["rows"] = len(mine)
        self.note("outside", [k for k, (unit, _) in mine.items() if not self.in_scope(unit)])
        if not self.node.above:
            return
        theirs = {k: v for k, v in self.node.above.rows(self.table, key, columns, self.unit_column).items()
                  if self.in_scope(v[0])}
        self.note("differ", [k for k in mine if k in theirs and mine[k][1] != theirs[k][1]])
        self.note("only here", [k for k in mine if k not in theirs])
        self.note("only above", [k for k in theirs if k not in mine])

    def note(self, what, keys):
        self.counts[what] = len(keys)
        if keys:
            shown = " ".join(sorted(map(key_text, keys))[:self.args.show])
            self.problems.append("%s: %s%s" % (what, shown, " ..." if len(keys) > self.args.show else ""))


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def print_table(rows):
    widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text + " " * (w - width(text)) for text, w in zip(row, widths)).rstrip())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("nodes", nargs="+")
    p.add_argument("--tables", default="")
    for option in ("--columns", "--unit-column", "--whole", "--skip"):
        p.add_argument(option, action="append", default=[])
    p.add_argument("--show", type=int, default=5)
    args = p.parse_args()
    args.columns, args.unit_column = pairs(args.columns, "COLUMNS"), pairs(args.unit_column, "COLUMN")
    nodes = [Node(*text.partition("=")[::2]) for text in args.nodes]
    nodes.sort(key=lambda n: (len(n.scope), n.unit))
    for node in nodes:
        over = [n for n in nodes if n is not node and len(n.scope) < len(node.scope) and node.scope.startswith(n.scope)]
        node.above = max(over, key=lambda n: len(n.scope), default=None)
    tables = args.tables.split(",") if args.tables else sorted(set().union(*(n.tables for n in nodes)) - set(args.skip))
    if not tables:
        usage_error("no register in any database")
    lines, wrong = [("unit", "with", "register", "rows", "differ", "only here", "only above", "outside", "")], []
    for node in nodes:
        for table in tables:
            c = Comparison(node, table, args)
            lines.append((node.unit, node.above.unit if node.above else "-", table, *map(str, c.counts.values()),
                          "DIFFERENT" if c.problems else "equal" if node.above else "top"))
            wrong += ["%s %s: %s" % (node.unit, table, problem) for problem in c.problems]
    print_table(lines)
    for problem in wrong:
        print(problem)
    print("compare: %d nodes, %d registers: %s" % (len(nodes), len(tables), "different" if wrong else "equal"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
