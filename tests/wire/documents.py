"""Versions, items and broadcast payloads of terrace-wire(7), written from the page alone."""
import re
import struct

from basics import KINDS, LEVELS, Reader, check_signature, need, text_of

# ---- versions

def read_mark(r):
    tick = r.varint(2**53 - 1)
    need(tick > 0, "tick 0")
    return [tick, r.u32()]


def read_marks(r):
    levels = r.u8()
    need(levels < 32, "levels")
    return {LEVELS[i]: read_mark(r) for i in range(5) if levels >> i & 1}


def read_ident(r):
    unit = r.unit(none=True)
    return [unit] + read_mark(r) if unit else [0, 0, 0]


def level_of(unit):
    fields = (unit // 10**10, unit // 10**8 % 100, unit // 10**6 % 100, unit // 1000 % 1000, unit % 1000)
    return LEVELS[max(i for i in range(5) if fields[i] or i == 0)]


def read_saw(r, n):
    out, life, marks = [], [0, 0, 0], {}
    for _ in range(n):
        same, group = r.u8(), r.slice()
        need(same < 4 and 1 <= len(group) <= 63 and 0 not in group, "saw")
        if not same & 1:
            before, life = life, read_ident(r)
            need(life != before, "saw: life repeated")
        if not same & 2:
            before, marks = marks, read_marks(r)
            need(marks != before, "saw: marks repeated")
        need(life[0], "saw: no life")
        out.append({"group": text_of(group), "life": life, "marks": marks})
    return out


def read_version(data):
    need(len(data) <= 4096, "version too long")
    r, v = Reader(data), {}
    flags = r.u8()
    need(flags < 64, "flags of a version")
    v["kind"] = "proposal" if flags & 1 else "decision"
    v["ruling"], v["acting"] = bool(flags & 2), bool(flags & 4)
    v["unit"] = r.unit()
    v["marks"] = read_marks(r)
    need(level_of(v["unit"]) in v["marks"], "a version without its author's mark")
    v["policy"] = r.u64()
    if flags & 8:
        v["base"] = read_ident(r)
        need(v["base"][0], "base")
    if flags & 2:
        v["asserts"] = read_marks(r)
    if flags & 16:
        actor = r.slice()
        need(1 <= len(actor) <= 128, "actor")
        v["actor"] = text_of(actor)
    if flags & 32:
        n = r.varint(64)
        need(n > 0, "saw")
        v["saw"] = read_saw(r, n)
    need(r.left() == 0, "bytes behind a version")
    return v


# ---- items and broadcast payloads

def shown(c, exact):
    kind, value = c
    if kind == "null":
        return [kind]
    if kind == "real" and exact:
        return [kind, struct.pack("<d", value).hex()]
    if kind in ("text", "blob"):
        if kind == "blob" or exact:
            return [kind, value.hex()]
        try:
            return [kind, value.decode("utf-8")]
        except UnicodeDecodeError:
            return ["text-hex", value.hex()]
    return [kind, value]


def read_cell(r):
    """A canonical cell."""
    form = r.u8()
    need(form < 5, "cell")
    if form == 0:
        return ("null", None)
    if form == 1:
        return ("int", r.signed())
    if form == 2:
        data = r.take(8)
        x = struct.unpack("<d", data)[0]
        need(x == x and data != b"\0" * 7 + b"\x80", "real")
        return ("real", x)
    return ("text" if form == 3 else "blob", r.slice())


def whole(read):
    """A reader of a document that ends with its bytes."""
    def inner(data, *more):
        r = Reader(data)
        out = read(r, *more)
        need(r.left() == 0, "bytes behind the end of a document")
        return out
    return inner


def plain_text(r, least=0):
    s = r.slice()
    need(len(s) >= least and 0 not in s, "text")
    return text_of(s)


def version_at(r):
    """A version in the middle of a document: its bytes end where the version does."""
    rest = r.data[r.at:]
    inner = Reader(rest[:4096])
    flags = inner.u8()
    inner.unit()
    read_marks(inner)
    inner.u64()
    if flags & 8:
        read_ident(inner)
    if flags & 2:
        read_marks(inner)
    if flags & 16:
        inner.slice()
    if flags & 32:
        read_saw(inner, inner.varint(64))
    return read_version(r.take(inner.at))


@whole
def stored_value(r):
    need(r.varint() == 1, "format of a stored value")
    flags = r.varint(3)
    out = {"whole": bool(flags & 1), "alive": bool(flags & 2), "life": read_ident(r), "version": version_at(r),
           "row_unit": r.unit(none=True)}
    out["cells"] = r.many(r.varint(1000), lambda: [r.name(), shown(read_cell(r), False)])
    return out


def optional(r, read):
    n = r.varint()
    return read(r.take(n - 1)) if n else None


def optional_text(data):
    need(0 not in data, "text")
    return text_of(data)


@whole
def item_record(r, keys):
    need(r.u8() == 1, "format of a record")
    out = {"register": plain_text(r, 1), "group": plain_text(r, 1), "kind": plain_text(r, 1)}
    need(out["kind"] in ("superseded", "refused", "rejected", "edited-while-deleted", "key-clash", "read-only"), "kind of a record")
    out["key"] = shown(read_cell(r), False)
    need(out["key"] != ["null"], "key of a record")
    out["lost"], out["unit"], out["rule"] = read_ident(r), r.unit(), r.varint(100)
    out["decider"], out["policy"] = r.unit(), r.varint()
    out["at_ms"], out["tree_s"], out["vouched"] = r.signed(), r.signed(), r.u8() != 0
    out["why"], out["say"] = optional(r, optional_text), optional(r, optional_text)
    for name in ("kept", "lost_value", "base"):
        out[name] = optional(r, stored_value)
    for name in ("kept_text", "lost_text", "base_text"):
        out[name] = optional(r, optional_text)
    return out


@whole
def item_epoch(r, keys):
    out = {"unit": r.unit(), "epoch": r.u32(), "former": r.u32(), "tick": r.varint(2**53 - 1), "position": r.varint(2**53 - 1)}
    need(out["epoch"] != 0, "epoch 0")
    return out


@whole
def item_settled(r, keys):
    need(r.u8() == 1, "format of a settled receipt")
    out = {"signer": r.unit(), "author": r.unit(), "stream": r.varint(4), "position": r.varint(2**53 - 1),
           "hash": r.take(32).hex(), "tree_s": r.signed()}
    known, digest = r.u8(), r.take(16)
    need(known == 1 or digest == bytes(16), "a digest that is not known")
    out["digest"] = digest.hex() if known == 1 else None
    message = r.data[:r.at]
    check_signature(keys, out["signer"], b"terrace settled 1", message, r.take(64))
    return out


ITEMS = {2: ("record", item_record), 3: ("epoch", item_epoch), 4: ("settled", item_settled),
         7: ("healed", whole(lambda r, keys: r.varint())), 8: ("ask", whole(lambda r, keys: r.varint()))}


def texts_at(r, most):
    return r.many(r.varint(most), lambda: plain_text(r))


def levels_at(r):
    mask = r.u8()
    need(mask < 32, "levels")
    return [LEVELS[i] for i in range(5) if mask >> i & 1]


def byte_at(r, most):
    x = r.u8()
    need(x <= most, "value not allowed")
    return x


def policy_register(r):
    out = {"name": plain_text(r), "key": texts_at(r, 1000), "unit_source": byte_at(r, 3), "unit_column": plain_text(r),
           "unit_register": plain_text(r), "ceiling": LEVELS[byte_at(r, 4)], "floor": LEVELS[byte_at(r, 4)],
           "flags": byte_at(r, 7), "create": levels_at(r), "delete": levels_at(r), "propose": levels_at(r)}
    need(out["delete"], "nobody deletes")
    out["groups"] = r.many(r.varint(63), lambda: {
        "name": plain_text(r), "columns": texts_at(r, 1000), "own": levels_at(r), "propose": levels_at(r),
        "lock": plain_text(r), "lock_say": plain_text(r), "on_conflict": plain_text(r)})
    out["rules"] = r.many(r.varint(4096), lambda: {
        "name": plain_text(r), "check": plain_text(r), "say": plain_text(r), "severity": byte_at(r, 1), "at": levels_at(r)})
    out["deadlines"] = r.many(r.varint(4096), lambda: {
        "name": plain_text(r), "from": plain_text(r), "to": plain_text(r), "days": r.varint(2**32 - 1),
        "working": byte_at(r, 1)})
    for name in ("identity", "local", "publish"):
        out[name] = texts_at(r, 1000)
    out["hold"], out["retention_days"] = plain_text(r), r.varint(2**32 - 1)
    return out


@whole
def body_policy(r):
    need(r.varint() == 1, "format of a policy")
    out = {"name": plain_text(r), "issuer": r.unit(none=True), "version": r.varint(2**53 - 1), "effective": plain_text(r),
           "expires": plain_text(r), "statements": texts_at(r, 4096)}
    need(out["version"] > 0, "version 0")
    out["registers"] = r.many(r.varint(1000), lambda: policy_register(r))
    out["parameters"] = r.many(r.varint(4096), lambda: {
        "name": plain_text(r), "unit": plain_text(r),
        "values": r.many(r.varint(4096), lambda: [plain_text(r), plain_text(r)])})
    out["named"] = r.many(r.varint(4096), lambda: {
        "kind": plain_text(r), "name": plain_text(r),
        "words": r.many(r.varint(256 << 10), lambda: [plain_text(r), plain_text(r)])})
    out["source"] = text_of(r.slice())
    need(len(out["source"].encode()) <= 256 << 10, "policy text")
    return out


@whole
def body_units(r):
    return r.many(r.varint(2000000), lambda: [r.unit(), text_of(r.slice())])


@whole
def body_time(r):
    out = {"time_s": r.varint(), "positions": {}}
    while r.left():
        kind = r.varint()
        out["positions"][KINDS.get(kind, str(kind))] = r.varint()
    return out


@whole
def body_revoke(r):
    need(r.u8() == 1, "format of a revocation")
    out = {"unit": r.unit(), "key": r.take(32).hex(), "serials": r.many(r.varint(256), lambda: text_of(r.slice()))}
    need(out["serials"] and out["serials"] == sorted(set(out["serials"])), "serial numbers")
    need(all(re.fullmatch("([0-9a-f]{2}){1,20}", s) for s in out["serials"]), "serial number")
    out["epoch"] = r.u32()
    out["streams"] = r.many(r.varint(5), lambda: [r.varint(4), r.varint(), r.take(32).hex()])
    numbers = [s[0] for s in out["streams"]]
    need(numbers == sorted(set(numbers)) and all(s[1] > 0 for s in out["streams"]), "streams")
    need(out["epoch"] or not numbers, "streams without an epoch")
    out["reason"] = text_of(r.slice())
    need(len(out["reason"].encode()) <= 200, "reason")
    return out


BROADCASTS = {"policy": body_policy, "activate": whole(lambda r: r.varint()), "units": body_units, "time": body_time,
              "revoke": body_revoke}
