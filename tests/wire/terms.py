"""Row terms and digests of terrace-wire(7), written from the page alone."""
import hashlib

from documents import read_version


def varint(x):
    out = bytearray()
    while x > 127:
        out.append(x & 127 | 128)
        x >>= 7
    return bytes(out) + bytes([x])


def signed(x):
    return varint(2 * x if x >= 0 else -2 * x - 1)


def piece(data):
    return varint(len(data)) + data


def cell(x):
    """A cell of None, int, str or bytes in canonical form."""
    if x is None:
        return b"\0"
    if isinstance(x, int):
        return b"\1" + signed(x)
    return b"\3" + piece(x.encode()) if isinstance(x, str) else b"\4" + piece(x)


def is_open(proposal, decision):
    """Both as version bytes; decision may be None."""
    if decision is None:
        return True
    p, d = read_version(proposal), read_version(decision)
    level = level_of(p)
    return p["marks"][level] > d["marks"].get(level, [0, 0])


def level_of(version):
    unit = "%012d" % version["unit"]
    fields = (("village", unit[9:]), ("township", unit[6:9]), ("county", unit[4:6]), ("prefecture", unit[2:4]))
    return next((name for name, digits in fields if int(digits)), "province")


def term(register, key, unit, life, row_version, row_proposals, groups):
    """key: cells; life: bytes; proposals: [(author, version, stored value)]; groups: name -> (version or None, {column:
    cell} without those that are the default, proposals)."""
    b = varint(1) + piece(register.encode()) + varint(len(key)) + b"".join(map(cell, key)) + varint(unit) + life + row_version
    b += proposals(row_proposals, row_version)
    for name in sorted(groups, key=str.encode):
        version, columns, offered = groups[name]
        if version is not None:
            b += b"\1" + piece(name.encode()) + version
            b += b"".join(piece(c.encode()) + cell(columns[c]) for c in sorted(columns, key=str.encode)) + b"\0"
        b += proposals(offered, version)
    return hashlib.blake2b(b, digest_size=16).digest()


def proposals(offered, decision):
    return b"".join(b"\2" + value for _, version, value in sorted(offered) if is_open(version, decision))


def total(terms):
    return (sum(int.from_bytes(t, "little") for t in terms) % 2**128).to_bytes(16, "little")
