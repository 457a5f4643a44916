"""Encoder of segments, written from terrace-wire(7) alone, for tests that play a node which keeps no rules.  It takes what
decode.py gives (header, payload without items), in the plainest layouts that the page allows, and signs with any seed."""
import hashlib
import struct
import zlib

from basics import BASE, L, LEVELS, P, blake2b, point_multiply
from basics import KINDS

NUMBER = {name: n for n, name in KINDS.items()}
ROW = "row"


# ---- signature: Ed25519, RFC 8032 section 5.1

def compress(p):
    z = pow(p[2], P - 2, P)
    x, y = p[0] * z % P, p[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def secret_of(seed):
    h = hashlib.sha512(seed).digest()
    return (int.from_bytes(h[:32], "little") & (1 << 254) - 8) | 1 << 254, h[32:]


def public_key(seed):
    return compress(point_multiply(secret_of(seed)[0], BASE))


def sign(seed, message):
    a, prefix = secret_of(seed)
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    head = compress(point_multiply(r, BASE))
    h = int.from_bytes(hashlib.sha512(head + public_key(seed) + message).digest(), "little") % L
    return head + ((r + h * a) % L).to_bytes(32, "little")


# ---- numbers and strings

def varint(x):
    out = bytearray()
    while x > 127:
        out.append(x & 127 | 128)
        x >>= 7
    return bytes(out) + bytes([x])


def signed(x):
    return varint(2 * x if x >= 0 else -2 * x - 1)


def slice_(data):
    return varint(len(data)) + data


def text(s):
    return slice_(s.encode())


def u32(x):
    return struct.pack("<I", x)


def u64(x):
    return struct.pack("<Q", x)


# ---- versions

def mark(m):
    return varint(m[0]) + u32(m[1])


def marks(of):
    return bytes([sum(1 << i for i, name in enumerate(LEVELS) if name in of)]) + b"".join(mark(of[x]) for x in LEVELS if x in of)


def ident(i):
    return varint(i[0]) + mark(i[1:]) if i[0] else b"\0"


def version(v):
    has = {8: "base" in v, 16: "actor" in v, 32: "saw" in v}
    flags = (v["kind"] == "proposal") + 2 * v["ruling"] + 4 * v["acting"] + sum(bit for bit, there in has.items() if there)
    out = bytes([flags]) + varint(v["unit"]) + marks(v["marks"]) + u64(v["policy"])
    if has[8]:
        out += ident(v["base"])
    if v["ruling"]:
        out += marks(v["asserts"])
    if has[16]:
        out += text(v["actor"])
    if has[32]:
        out += varint(len(v["saw"])) + b"".join(saw(v["saw"]))
    return out


def saw(list_):
    life, seen = [0, 0, 0], {}
    for s in list_:
        same = (s["life"] == life) + 2 * (s["marks"] == seen)
        yield (bytes([same]) + text(s["group"]) + (b"" if same & 1 else ident(s["life"])) +
               (b"" if same & 2 else marks(s["marks"])))
        life, seen = s["life"], s["marks"]


# ---- streams: ints as varints, texts with their lengths, one form a cell

def ints(numbers):
    return b"\x21" + b"".join(map(signed, numbers)) if numbers else b""


def texts(strings):
    return b"\0" + ints([len(s) for s in strings]) + b"".join(strings) if strings else b""


def records(strings):
    if not strings:
        return b""
    rest = strings[1:]
    return slice_(strings[0]) + ints([0] * len(rest)) + ints([0] * len(rest)) + texts(rest)


FORMS = {"null": 0, "int": 1, "real": 2, "text": 3, "text-hex": 3, "blob": 4}


def cells(of):
    if not of:
        return b""
    out = b"\x0f" + ints([FORMS[c[0]] for c in of])
    out += ints([c[1] for c in of if c[0] == "int"])
    reals = [struct.pack("<d", c[1]) for c in of if c[0] == "real"]
    out += b"".join(bytes(x[plane] for x in reals) for plane in range(8))
    out += texts([c[1].encode() if c[0] == "text" else bytes.fromhex(c[1]) for c in of if FORMS[c[0]] == 3])
    return out + texts([bytes.fromhex(c[1]) for c in of if c[0] == "blob"])


def table(values, encode):
    """The distinct values, and which of them each is."""
    distinct = list(dict.fromkeys(values))
    index = [distinct.index(v) for v in values]
    return varint(len(distinct)) + encode(distinct) + (ints(index) if len(distinct) > 1 else b"")


# ---- payload

def names_of(changes):
    """register -> group -> columns, in the order in which they first occur; and the cells of each key."""
    registers, keys = {}, {}
    for c in changes:
        groups = registers.setdefault(c["register"], {})
        keys.setdefault(c["register"], len(c["key"]))
        for p in c["parts"]:
            if p["group"] is not None:
                columns = groups.setdefault(p["group"], [])
                columns += [x for x in p["columns"] if x not in columns]
    return registers, keys


def part_head(p, groups):
    if p["group"] is None:
        return varint(2 * p["alive"])
    columns = groups[p["group"]]
    at = sorted(columns.index(x) for x in p["columns"])
    gaps = [b - a for a, b in zip([0] + [x + 1 for x in at], at)]
    return varint((list(groups).index(p["group"]) + 1) * 4 + p["whole"]) + varint(len(at)) + b"".join(map(varint, gaps))


def payload(changes, items=(), extensions=b""):
    registers, keys = names_of(changes)
    order = list(registers)
    changes = sorted(changes, key=lambda c: order.index(c["register"]))
    out = varint(1) + varint(len(registers))
    for name, groups in registers.items():
        out += text(name) + varint(keys[name]) + varint(len(groups))
        for group, columns in groups.items():
            out += text(group) + varint(len(columns)) + b"".join(map(text, columns))
    out += varint(len(changes))
    for c in changes:
        groups = registers[c["register"]]
        out += varint(order.index(c["register"])) + varint(1) + varint(len(c["parts"]))
        out += b"".join(part_head(p, groups) for p in c["parts"])
    parts = [p for c in changes for p in c["parts"]]
    of_row = [(c["unit"], p["row_unit"]) for c in changes for p in c["parts"] if p["group"] is None]
    units = list(dict.fromkeys([c["unit"] for c in changes] + [u for _, u in of_row]))
    out += varint(len(units)) + b"".join(map(varint, units))
    out += ints([units.index(c["unit"]) for c in changes]) if len(units) > 1 else b""
    out += ints([c["flags"] for c in changes])
    for name in order:
        mine = [c for c in changes if c["register"] == name]
        for i in range(keys[name]):
            out += cells([c["key"][i] for c in mine])
    out += table([p["version"] if isinstance(p["version"], bytes) else version(p["version"]) for p in parts], records)
    out += table([ident(p["life"]) for p in parts], records)
    out += ints([units.index(b) - units.index(a) for a, b in of_row])
    for name in order:
        for group, columns in registers[name].items():
            for column in columns:
                out += cells([p["cells"][p["columns"].index(column)] for c in changes if c["register"] == name
                              for p in c["parts"] if p["group"] == group and column in p["columns"]])
    out += varint(len(items)) + b"".join(varint(kind) + slice_(body) for kind, body in items)
    return out + extensions


# ---- segment

def extensions(h):
    out = b""
    if "continues" in h:
        tick, epoch, position = h["continues"]
        out += varint(1) + slice_(varint(tick) + u32(epoch) + varint(position))
    if h.get("final"):
        out += varint(2) + slice_(b"")
    for one in h.get("policies", []):
        out += varint(3) + slice_(varint(len(one)) + b"".join(varint(a) + varint(b) for a, b in one))
    return out


def header(h, stored, raw):
    """h as decode.py shows it; format, suite, codec, stored_length and raw_length may be there to lie."""
    out = varint(h.get("format", 1)) + varint(h.get("suite", 1)) + varint(NUMBER.get(h["kind"], h["kind"]))
    out += varint(h["author"]) + varint(h["tick"]) + u32(h["epoch"]) + u64(h["policy"]) + varint(h["stream"])
    out += varint(h["position"])
    out += varint(h["follows"]) if h["kind"] == "state" else bytes.fromhex(h["previous"])
    out += signed(h.get("wall_ms", 0)) + varint(h["changes"]) + varint(h.get("codec", 0))
    out += varint(h.get("stored_length", len(stored))) + varint(h.get("raw_length", raw))
    return out + extensions(h)


def segment(h, body, seed):
    """body: the raw payload.  Codec 0, or 1 with any deflate stream; a wrong seed makes a wrong signature."""
    stored = body
    if h.get("codec", 0) == 1:
        z = zlib.compressobj(9, zlib.DEFLATED, -15)
        stored = z.compress(body) + z.flush()
    head = header(h, stored, len(body))
    return slice_(head) + sign(seed, b"terrace segment 1\0" + head + blake2b(stored)) + stored
