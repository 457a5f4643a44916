"""Signatures, numbers and strings of terrace-wire(7), and the keys that signatures are checked with."""
import hashlib

MASK = (1 << 64) - 1
KINDS = {1: "delta", 2: "state", 3: "policy", 4: "activate", 5: "units", 6: "time", 7: "anchor", 8: "revoke", 9: "blob"}
LEVELS = ("province", "prefecture", "county", "township", "village")
SEGMENT_MOST = 16 << 20


class Malformed(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Malformed(what)


# ---- signature: Ed25519, RFC 8032 section 5.1

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def point_add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    x, y, z, t = f - e, h - g, h + g, f + e
    return x * y % P, z * t % P, y * z % P, x * t % P


def point_multiply(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = point_add(q, p)
        p = point_add(p, p)
        n >>= 1
    return q


def point_of(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verify(key, message, signature):
    a, r = point_of(key), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = point_multiply(s, BASE), point_add(r, point_multiply(h, a))
    return ((left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0)


def blake2b(data):
    return hashlib.blake2b(data, digest_size=32).digest()


# ---- numbers and strings

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, n):
        need(0 <= n <= self.left(), "cut")
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return int.from_bytes(self.take(4), "little")

    def u64(self):
        return int.from_bytes(self.take(8), "little")

    def varint(self, most=MASK):
        x = 0
        for i in range(10):
            byte = self.u8()
            x |= (byte & 127) << 7 * i
            if byte < 128:
                need((byte > 0 or i == 0) and x <= MASK, "varint")
                need(x <= most, "number too large")
                return x
        raise Malformed("varint")

    def signed(self):
        return unzigzag(self.varint())

    def slice(self):
        return self.take(self.varint())

    def name(self):
        s = self.slice()
        need(1 <= len(s) <= 128 and 0 not in s, "name")
        return text_of(s)

    def unit(self, none=False):
        x = self.varint(10**12 - 1)
        need(x >= 10**10 or (none and x == 0), "unit")
        return x

    def many(self, count, one):
        need(count <= self.left(), "count")
        return [one() for _ in range(count)]


def unzigzag(u):
    return u >> 1 if u % 2 == 0 else -(u + 1 >> 1)


def wrap(x):
    x &= MASK
    return x - (1 << 64) if x >> 63 else x


def text_of(s):
    try:
        return s.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None


# ---- keys

def keys_of(keys, unit):
    """All keys that the unit is known to have had; None: nothing is checked."""
    if keys is None:
        return None
    mine = keys.get("*", []) + keys.get("%012d" % unit, [])
    need(mine, "no key of unit %012d is known" % unit)
    return mine


def check_signature(keys, unit, domain, message, signature):
    mine = keys_of(keys, unit)
    need(mine is None or any(verify(k, domain + b"\0" + message, signature) for k in mine),
         "signature of unit %012d (%s)" % (unit, domain.decode()))
