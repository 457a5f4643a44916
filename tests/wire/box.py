"""The box around a bundle of terrace-wire(7), written from the page alone; Python's standard library only."""
import hashlib
import struct

from basics import P, need

MAGIC = b"terrace bundle 1"
PIECE = 65536
M32 = 0xffffffff


def rotate(x, n):
    return (x << n & M32) | x >> 32 - n


# ---- X25519, RFC 7748

def x25519(secret, public):
    k = int.from_bytes(secret, "little") & ~7 & (1 << 255) - 1 | 1 << 254
    u = int.from_bytes(public, "little") & (1 << 255) - 1
    x1, x2, z2, x3, z3, swap = u, 1, 0, u, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = (x2 + z2) % P, (x2 - z2) % P, (x3 + z3) % P, (x3 - z3) % P
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = (aa - bb) % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def curve_public(ed25519):
    y = int.from_bytes(ed25519, "little") & (1 << 255) - 1
    return ((1 + y) * pow(1 - y, P - 2, P) % P).to_bytes(32, "little")


# ---- Salsa20 and ChaCha20

def rounds(x, quarter, columns, diagonals):
    for _ in range(10):
        for a, b, c, d in columns + diagonals:
            quarter(x, a, b, c, d)


def salsa_quarter(x, a, b, c, d):
    x[b] ^= rotate(x[a] + x[d] & M32, 7)
    x[c] ^= rotate(x[b] + x[a] & M32, 9)
    x[d] ^= rotate(x[c] + x[b] & M32, 13)
    x[a] ^= rotate(x[d] + x[c] & M32, 18)


def chacha_quarter(x, a, b, c, d):
    for i, k, m, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[i] = x[i] + x[k] & M32
        x[m] = rotate(x[m] ^ x[i], n)


SALSA = ([(0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)], [(0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)])
CHACHA = ([(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)], [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)])
SIGMA = struct.unpack("<4I", b"expand 32-byte k")


def salsa_state(key, middle):
    k, m = struct.unpack("<8I", key), struct.unpack("<4I", middle)
    return [SIGMA[0], *k[:4], SIGMA[1], *m, SIGMA[2], *k[4:], SIGMA[3]]


def hsalsa20(key, middle):
    x = salsa_state(key, middle)
    rounds(x, salsa_quarter, *SALSA)
    return struct.pack("<8I", *(x[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))


def salsa20_block(key, nonce, n):
    start = salsa_state(key, nonce + struct.pack("<Q", n))
    x = list(start)
    rounds(x, salsa_quarter, *SALSA)
    return struct.pack("<16I", *((a + b) & M32 for a, b in zip(x, start)))


def hchacha20(key, middle):
    x = [*SIGMA, *struct.unpack("<8I", key), *struct.unpack("<4I", middle)]
    rounds(x, chacha_quarter, *CHACHA)
    return struct.pack("<8I", *x[:4], *x[12:])


def chacha20(key, nonce, n, length):
    out = b""
    while len(out) < length:
        start = [*SIGMA, *struct.unpack("<8I", key), n, *struct.unpack("<3I", nonce)]
        x = list(start)
        rounds(x, chacha_quarter, *CHACHA)
        out += struct.pack("<16I", *((a + b) & M32 for a, b in zip(x, start)))
        n += 1
    return out[:length]


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    h = 0
    for i in range(0, len(message), 16):
        h = (h + int.from_bytes(message[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return (h + int.from_bytes(key[16:], "little") & (1 << 128) - 1).to_bytes(16, "little")


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


# ---- the box

def open_key(seed, ed25519, e, tag, sealed):
    mine = curve_public(ed25519)
    shared = hsalsa20(x25519(hashlib.sha512(seed).digest()[:32], e), bytes(16))
    nonce = hashlib.blake2b(e + mine, digest_size=24).digest()
    key = hsalsa20(shared, nonce[:16])
    stream = salsa20_block(key, nonce[16:], 0)
    need(poly1305(stream[:32], sealed) == tag, "the box is not for this key, or altered")
    return xor(sealed, stream[32:])


def open_piece(k, nonce, data, extra):
    c0, c, tag = data[:1], data[1:-16], data[-16:]
    second = chacha20(k, nonce, 1, 64)
    message = extra + bytes(-len(extra) % 16) + c0 + second[1:] + c + bytes(len(c) % 16)
    message += struct.pack("<QQ", len(extra), 64 + len(c))
    need(poly1305(chacha20(k, nonce, 0, 32), message) == tag, "a piece of the box is altered")
    kind = c0[0] ^ second[0]
    need(kind in (0, 3), "kind of a piece")
    return xor(c, chacha20(k, nonce, 2, len(c))), kind == 3, tag


def open_box(data, seed, ed25519):
    need(data[:16] == MAGIC and len(data) >= 137, "no bundle")
    key = open_key(seed, ed25519, data[16:48], data[48:64], data[64:96])
    k, i = hchacha20(key, data[96:112]), data[112:120]
    out, at, counter, last = b"", 120, 1, False
    while not last:
        piece = data[at:at + PIECE + 17]
        need(len(piece) >= 17, "the box is cut")
        content, last, tag = open_piece(k, struct.pack("<I", counter) + i, piece, MAGIC if at == 120 else b"")
        need(last or len(piece) == PIECE + 17, "a short piece")
        out, at, counter, i = out + content, at + len(piece), counter + 1, xor(i, tag[:8])
    need(at == len(data), "bytes behind the box")
    return out
