#!/usr/bin/env python3
"""Decoder of Terrace segments, written from terrace-wire(7) alone; Python's standard library only.

  decode.py [--exact] [--key HEX_OR_FILE] [--keys FILE] [--documents] SEGMENT ...

A SEGMENT is a file of bytes, or of hexadecimal where its name ends in .hex.  Prints one JSON object a segment: header,
hash, and the payload (or the body of a broadcast).  With --key (the author's 32-byte public key) the signature is
checked first; --keys names a JSON object of units' (twelve digits) lists of keys, also for broadcasts inside of states and
for settled receipts: no key, or none that fits, is an error.  --documents decodes items and the payloads
of broadcasts.  --exact writes texts and reals in hexadecimal and versions as their bytes.  Exit 1: something is wrong."""
import argparse
import datetime
import json
import os
import re
import struct
import sys
import zlib

from basics import KINDS, SEGMENT_MOST, Malformed, Reader, blake2b, check_signature, need, text_of, unzigzag, wrap
from documents import BROADCASTS, ITEMS, read_ident, read_version, shown

ROW = None


# ---- segment

def dictionary(number):
    need(number == 1, "dictionary %d is not known" % number)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../schema/dict/terrace-1.txt")
    with open(path, "rb") as f:
        words = f.read().replace(b"\n", b"")
    return re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), words)


def policy_list(value):
    r = Reader(value)
    out = r.many(r.varint(8192), lambda: [r.varint(), r.varint()])
    need(r.left() == 0 and all(a[0] < b[0] for a, b in zip(out, out[1:])), "policy list")
    return out


def read_extensions(r, h):
    last = 0
    h["policies"] = []
    while r.left():
        kind, value = r.varint(), r.slice()
        need(kind > last or kind == last == 3, "extensions are not in order")
        last = kind
        if kind == 1:
            v = Reader(value)
            h["continues"] = [v.varint(2**53 - 1), v.u32(), v.varint(2**53 - 1)]
            need(v.left() == 0, "extension 1")
        elif kind == 2:
            h["final"] = True
        elif kind == 3:
            h["policies"].append(policy_list(value))
        else:
            need(kind % 2 == 0, "extension %d must be understood" % kind)
    need(len(h["policies"]) <= 64, "policy lists")


def read_header(data):
    """Header as a dict, and codec, dictionary, stored, raw, context."""
    r, h = Reader(data), {}
    need(r.varint() == 1 and r.varint() == 1, "format or suite")
    kind = r.varint()
    need(kind in KINDS, "kind")
    h["kind"] = KINDS[kind]
    h["author"] = r.varint(10**12 - 1)
    need(h["author"] > 0, "author")
    h["tick"], h["epoch"] = r.varint(2**53 - 1), r.u32()
    h["policy"] = r.u64()
    h["stream"] = r.varint(4 if kind == 1 else 10**12 - 1)
    h["position"] = r.varint(2**53 - 1)
    if kind == 2:
        h["follows"] = r.varint(2**53 - 1)
    else:
        h["previous"] = r.take(32).hex()
    h["wall_ms"] = r.signed()
    need(-2**53 < h["wall_ms"] < 2**53, "wall")
    h["changes"] = r.varint(2**32 - 1)
    context = data[:r.at]
    codec = r.varint(2)
    number = r.varint() if codec == 2 else 0
    stored, raw = r.varint(SEGMENT_MOST), r.varint(SEGMENT_MOST)
    need(codec != 0 or stored == raw, "stored and raw differ")
    need(codec != 2 or number != 0, "dictionary 0")
    h["final"] = False
    read_extensions(r, h)
    return h, codec, number, stored, raw, context


def inflate(stored, codec, number, raw, context):
    if codec == 0:
        return stored
    preset = dictionary(number) + context if codec == 2 else b""
    z = zlib.decompressobj(-15, preset) if preset else zlib.decompressobj(-15)
    try:
        out = z.decompress(stored, raw + 1)
    except zlib.error as e:
        raise Malformed("inflating: %s" % e) from None
    need(len(out) == raw and z.eof and not z.unused_data and not z.unconsumed_tail, "not exactly %d bytes" % raw)
    return out


def segment(data, keys, exact, documents):
    """keys: None, or a dict of units' keys; "*" holds those that may be anybody's."""
    r = Reader(data)
    n = r.varint(8192)
    head, signature = r.take(n), r.take(64)
    h, codec, number, stored_length, raw_length, context = read_header(head)
    stored = r.take(stored_length)
    need(r.left() == 0, "bytes behind the end")
    check_signature(keys, h["author"], b"terrace segment 1", head + blake2b(stored), signature)
    raw = inflate(stored, codec, number, raw_length, context)
    out = {"header": h, "hash": blake2b(data).hex()}
    if h["kind"] in ("delta", "state"):
        out["payload"] = Payload(raw, exact, keys, documents).decode()
        need(len(out["payload"]["changes"]) == h["changes"], "changes of the header")
    elif exact:
        out["body"] = raw.hex()
    else:
        read = BROADCASTS.get(h["kind"]) if documents else None
        out["body"] = read(raw) if read else raw.decode("utf-8", "backslashreplace")
        need(not documents or h["kind"] != "policy" or out["body"]["issuer"] == h["author"], "a policy of another issuer")
    return out


def payload_of(deflated, raw_length):
    """The states of rows in a reconciliation."""
    return Payload(inflate(deflated, 1, 0, raw_length, b""), False, None, False).decode()


# ---- streams

def read_ints(r, n):
    if n == 0:
        return []
    head = r.u8()
    layout, differences, has_step, zig, has_base = head & 7, head & 8, head & 16, head & 32, head & 64
    need(head < 128 and layout < 5 and not (differences and n < 2), "ints")
    need(not (zig and (has_step or has_base or layout not in (1, 2))) and not (layout == 0 and has_step), "ints")
    first = r.signed() if differences else None
    base = r.signed() if has_base else 0
    step = r.varint() if has_step else 1
    need((not has_base or base != 0) and (not has_step or step >= 2), "ints")
    m = n - 1 if differences else n
    out = [unzigzag(u) if zig else wrap(base + u * step) for u in read_layout(r, layout, m)]
    if differences:
        sums = [first]
        for x in out:
            sums.append(wrap(sums[-1] + x))
        return sums
    return out


def read_layout(r, layout, m):
    if layout == 0:
        return [0] * m
    if layout == 1:
        return [r.varint() for _ in range(m)]
    if layout == 2:
        out = []
        while len(out) < m:
            u, more = r.varint(), r.varint()
            need(more < m - len(out), "runs")
            out += [u] * (more + 1)
        return out
    if layout == 3:
        width = r.u8()
        need(1 <= width <= 8, "width")
        planes = [r.take(m) for _ in range(width)]
        return [sum(p[i] << 8 * w for w, p in enumerate(planes)) for i in range(m)]
    base = r.u8()
    need(2 <= base <= 16, "packed")
    k, room = 0, 256
    while room >= base:
        k, room = k + 1, room // base
    out = []
    for byte in r.take((m + k - 1) // k):
        for _ in range(min(k, m - len(out))):
            out.append(byte % base)
            byte //= base
        need(byte == 0, "packed")
    return out


def read_plain(r, layout, n):
    need(layout in (0, 1), "texts")
    if layout == 0:
        lengths = read_ints(r, n)
        return [r.take(x) for x in lengths]
    out = []
    for _ in range(n):
        end = r.data.find(b"\0", r.at)
        need(end >= 0, "texts")
        out.append(r.take(end - r.at))
        r.at += 1
    return out


def read_texts(r, n):
    if n == 0:
        return []
    layout = r.u8()
    if layout != 2:
        return read_plain(r, layout, n)
    shared = read_ints(r, n)
    out, before = [], b""
    for front, rest in zip(shared, read_plain(r, r.u8(), n)):
        need(0 <= front <= len(before), "texts")
        before = before[:front] + rest
        out.append(before)
    return out


def read_records(r, n):
    if n == 0:
        return []
    out = [r.slice()]
    fronts, ends = read_ints(r, n - 1), read_ints(r, n - 1)
    for front, end, middle in zip(fronts, ends, read_texts(r, n - 1)):
        before = out[-1]
        need(front >= 0 and end >= 0 and front + end <= len(before), "records")
        out.append(before[:front] + middle + before[len(before) - end:])
    return out


def date_text(days):
    """Days since 1970 as YYYY-MM-DD; datetime begins with year 1, so count in eras of 400 years."""
    need(-719528 <= days <= 2932896, "date")
    era, rest = divmod(days + 719528, 146097)
    d = datetime.date(2000, 1, 1) + datetime.timedelta(days=rest)
    return "%04d-%02d-%02d" % (d.year - 2000 + 400 * era, d.month, d.day)


def stamp_text(seconds):
    day, s = divmod(seconds, 86400)
    return "%s %02d:%02d:%02d" % (date_text(day), s // 3600, s // 60 % 60, s % 60)


def citizen_text(region, birth, order):
    need(0 <= region <= 999999 and 0 <= order <= 999, "citizen")
    digits = "%06d%s%03d" % (region, date_text(birth).replace("-", ""), order)
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return digits + "10X98765432"[sum(int(c) * w for c, w in zip(digits, weights)) % 11]


def decimal(i, scale):
    need(abs(i) <= 2**53, "decimal")
    return i / 10**scale


def read_reals(r, m):
    planes = [r.take(m) for _ in range(8)]
    out = []
    for i in range(m):
        data = bytes(p[i] for p in planes)
        x = struct.unpack("<d", data)[0]
        need(x == x and data != b"\0" * 7 + b"\x80", "real")
        out.append(x)
    return out


def read_form(r, form, m, units):
    """The m cells of one form, as (class, value)."""
    if form == 0:
        return [("null", None)] * m
    if form == 1:
        return [("int", x) for x in read_ints(r, m)]
    if form == 2:
        return [("real", x) for x in read_reals(r, m)]
    if form in (3, 4):
        return [("text" if form == 3 else "blob", s) for s in read_texts(r, m)]
    if form == 5:
        scale = r.u8()
        need(scale <= 9, "scale")
        return [("real", decimal(i, scale)) for i in read_ints(r, m)]
    if form == 6:
        need(units is not None, "form 6 in a dictionary")
        texts = ["%012d" % u for u in units]
    elif form == 7:
        texts = [stamp_text(x) for x in read_ints(r, m)]
    elif form == 8:
        texts = [date_text(x) for x in read_ints(r, m)]
    elif form == 9:
        texts = [citizen_text(*x) for x in zip(read_ints(r, m), read_ints(r, m), read_ints(r, m))]
    else:
        width = r.u8()
        need(1 <= width <= 18, "width")
        numbers = read_ints(r, m)
        need(all(0 <= x < 10**width for x in numbers), "digits")
        texts = ["%0*d" % (width, x) for x in numbers]
    return [("text", t.encode()) for t in texts]


def read_body(r, form, n, units):
    forms = read_ints(r, n) if form == 15 else [form] * n
    need(all(0 <= f <= 10 for f in forms), "form")
    out = [None] * n
    for f in sorted(set(forms)):
        at = [i for i in range(n) if forms[i] == f]
        for i, c in zip(at, read_form(r, f, len(at), [units[i] for i in at] if units is not None else None)):
            out[i] = c
    return out


def read_cells(r, n, units):
    if n == 0:
        return []
    head = r.u8()
    need(head < 32, "cells")
    if not head & 16:
        return read_body(r, head & 15, n, units)
    d = r.varint(n)
    need(d > 0, "dictionary")
    entries = read_body(r, head & 15, d, None)
    index = read_ints(r, n) if d > 1 else [0] * n
    need(all(0 <= i < d for i in index), "index")
    return [entries[i] for i in index]


# ---- payload

class Payload:
    def __init__(self, raw, exact, keys, documents):
        self.r, self.exact, self.keys, self.documents = Reader(raw), exact, keys, documents

    def names(self):
        r = self.r
        registers = []
        for _ in range(r.varint(1000)):
            register = {"name": r.name(), "nkey": r.varint(1000), "groups": []}
            need(register["nkey"] > 0, "key")
            for _ in range(r.varint(64)):
                group = {"name": r.name()}
                group["columns"] = r.many(r.varint(1000), r.name)
                need(len(set(group["columns"])) == len(group["columns"]), "a column twice")
                register["groups"].append(group)
            need(len({g["name"] for g in register["groups"]}) == len(register["groups"]), "a group twice")
            need(sum(len(g["columns"]) for g in register["groups"]) <= 1000, "columns")
            registers.append(register)
        need(len({x["name"] for x in registers}) == len(registers), "a register twice")
        return registers

    def shape_part(self, register):
        r = self.r
        head = r.varint()
        part = {"group": ROW, "whole": bool(head & 1), "alive": bool(head & 2), "columns": []}
        if head >> 2 == 0:
            need(not part["whole"], "whole of group row")
            return part
        need(head >> 2 <= len(register["groups"]) and not part["alive"], "part")
        part["group"] = (head >> 2) - 1
        most, next_column = len(register["groups"][part["group"]]["columns"]), 0
        for _ in range(r.varint(most)):
            next_column += r.varint()
            need(next_column < most, "column")
            part["columns"].append(next_column)
            next_column += 1
        return part

    def blocks(self, registers):
        r, out, last = self.r, [], 0
        for _ in range(r.varint(5000)):
            register, rows = r.varint(), r.varint(5000)
            need(last <= register < len(registers) and rows > 0, "block")
            last = register
            parts = r.many(r.varint(131072), lambda: self.shape_part(registers[register]))
            out.append({"register": register, "rows": rows, "parts": parts})
        need(sum(b["rows"] for b in out) <= 5000, "changes")
        need(sum(b["rows"] * len(b["parts"]) for b in out) <= 131072, "parts")
        cells = sum(b["rows"] * (registers[b["register"]]["nkey"] + sum(len(p["columns"]) for p in b["parts"]))
                    for b in out)
        need(cells <= 1048576, "cells")
        return out

    def table(self, pointers, read):
        """A table and the indexes into it."""
        n = self.r.varint(pointers)
        need(n > 0 or pointers == 0, "an empty table")
        return read(n)

    def indexes(self, n, entries):
        index = read_ints(self.r, n) if entries > 1 else [0] * n
        need(all(0 <= i < entries for i in index), "index")
        return index

    def cell(self, c):
        return shown(c, self.exact)

    def decode(self):
        r = self.r
        need(r.varint() == 1, "payload format")
        registers = self.names()
        blocks = self.blocks(registers)
        changes, parts, row_parts, columns = [], [], [], {}
        for b in blocks:
            register = registers[b["register"]]
            mine = [{"register": register["name"], "key": [], "parts": []} for _ in range(b["rows"])]
            for shape in b["parts"]:
                for i, change in enumerate(mine):
                    part = {"cells": {}, "shape": shape, "register": b["register"], "change": len(changes) + i}
                    change["parts"].append(part)
                    parts.append(part)
                    if shape["group"] is ROW:
                        row_parts.append(part)
                    for c in shape["columns"]:
                        columns.setdefault((b["register"], shape["group"], c), []).append(part)
            changes += mine
        # units, flags
        units = self.table(len(changes) + len(row_parts), lambda n: r.many(n, lambda: r.unit(none=True)))
        unit_index = self.indexes(len(changes), len(units))
        change_units = [units[i] for i in unit_index]
        for change, unit, flags in zip(changes, change_units, read_ints(r, len(changes))):
            need(flags & ~7 == 0, "flags")
            change["unit"], change["flags"] = unit, flags
        # keys
        at = 0
        for number, register in enumerate(registers):
            n = sum(b["rows"] for b in blocks if b["register"] == number)
            for _ in range(register["nkey"]):
                for change, c in zip(changes[at:at + n], read_cells(r, n, change_units[at:at + n])):
                    need(c[0] != "null", "NULL in a key")
                    change["key"].append(self.cell(c))
            at += n
        # versions, lives, row units
        versions = self.table(len(parts), lambda n: read_records(r, n))
        understood = [read_version(v) for v in versions]
        for part, i in zip(parts, self.indexes(len(parts), len(versions))):
            part["version"] = versions[i].hex() if self.exact else understood[i]
        lives = self.table(len(parts), lambda n: [self.ident(x) for x in read_records(r, n)])
        for part, i in zip(parts, self.indexes(len(parts), len(lives))):
            part["life"] = lives[i]
        for part, i in zip(row_parts, read_ints(r, len(row_parts))):
            i += unit_index[part["change"]]
            need(0 <= i < len(units), "row unit")
            part["row_unit"] = units[i]
        # columns
        for number, register in enumerate(registers):
            for g, group in enumerate(register["groups"]):
                for c in range(len(group["columns"])):
                    mine = columns.get((number, g, c), [])
                    cells = read_cells(r, len(mine), [change_units[p["change"]] for p in mine])
                    for part, cell in zip(mine, cells):
                        part["cells"][c] = self.cell(cell)
        for change in changes:
            change["parts"] = [self.part(registers, p) for p in change["parts"]]
        return {"changes": changes, "items": self.items()}

    @staticmethod
    def ident(data):
        r = Reader(data)
        out = read_ident(r)
        need(r.left() == 0, "ident")
        return out

    @staticmethod
    def part(registers, p):
        out, shape = {"version": p["version"], "life": p["life"]}, p["shape"]
        if shape["group"] is ROW:
            return {**out, "group": None, "alive": shape["alive"], "row_unit": p["row_unit"]}
        group = registers[p["register"]]["groups"][shape["group"]]
        return {**out, "group": group["name"], "whole": shape["whole"],
                "columns": [group["columns"][c] for c in shape["columns"]],
                "cells": [p["cells"][c] for c in shape["columns"]]}

    def item(self, kind, body):
        if kind == 1:
            return ["broadcast", item_broadcast(body, self.keys)]
        need(kind in ITEMS, "item of kind %d is refused" % kind)
        name, read = ITEMS[kind]
        return [name, read(body, self.keys)]

    def items(self):
        r, out = self.r, []
        for _ in range(r.varint(5000)):
            kind, body = r.varint(2**32 - 1), r.slice()
            known = 1 <= kind <= 5 or kind in (7, 8)
            need(kind > 0 and (known or kind % 2 == 0), "item of kind %d must be understood" % kind)
            if known and self.documents:
                out.append(self.item(kind, body))
            elif known:
                out.append([kind, body.hex()])
        while r.left():
            kind = r.varint()
            r.slice()
            need(kind % 2 == 0, "extension %d must be understood" % kind)
        return out


def item_broadcast(data, keys):
    out = segment(data, keys, False, True)
    need(out["header"]["kind"] in ("policy", "activate", "units", "time", "anchor", "revoke"), "a broadcast of another kind")
    return out


def read_input(path):
    with open(path, "rb") as f:
        data = f.read()
    return bytes.fromhex(data.decode("ascii")) if path.endswith(".hex") else data


def main():
    args = argparse.ArgumentParser(usage="decode.py [--exact] [--key HEX_OR_FILE] [--keys FILE] [--documents] SEGMENT ...")
    args.add_argument("--exact", action="store_true")
    args.add_argument("--key")
    args.add_argument("--keys")
    args.add_argument("--documents", action="store_true")
    args.add_argument("segments", nargs="+")
    args = args.parse_args()
    keys = None
    if args.key:
        keys = {"*": [bytes.fromhex(args.key) if re.fullmatch("[0-9a-f]{64}", args.key) else read_input(args.key)]}
    if args.keys:
        with open(args.keys, encoding="ascii") as f:
            keys = {unit: [bytes.fromhex(k) for k in mine] for unit, mine in json.load(f).items()}
    status = 0
    for path in args.segments:
        try:
            print(json.dumps(segment(read_input(path), keys, args.exact, args.documents), ensure_ascii=False))
        except Malformed as e:
            print("%s: %s" % (path, e), file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
