#!/usr/bin/env python3
"""Decoder of bundles, written from terrace-wire(7) alone.

  bundle.py --seed HEX [--key HEX] BUNDLE ...

--seed is the recipient's 32-byte secret seed, --key the sender's public key: then the signature is checked.  Prints one
JSON object a bundle: its head, its parts as bodies of the link, the segments in them as decode.py has them."""
import argparse
import json
import sys

import decode
import encode
import link
from basics import Malformed, Reader, blake2b, need, text_of, verify
from box import open_box

KINDS = {1: "hello", 2: "receipt", 3: "segments", 4: "hello answer", 5: "segments answer", 6: "feed"}
MOST = 64 << 20


def segments(all_, keys):
    return [decode.segment(s, keys, False, False) for s in all_]


def part(kind, body, keys):
    need(kind in KINDS, "kind of a part")
    if kind == 1:
        return link.hello(body)
    if kind == 2:
        return link.receipt(body, keys)
    if kind == 4:
        return link.hello_answer(body)
    if kind == 5:
        return link.push_answer(body, keys)
    if kind == 6:
        return {"states": segments(link.feed(body), keys)}
    out = link.push(body)
    out["entries"], out["states"] = segments(out["entries"], keys), segments(out["states"], keys)
    return out


def content(data, key):
    need(len(data) <= MOST, "too large")
    r = Reader(data)
    need(r.u8() == 1, "format of a bundle")
    out = {"line": text_of(r.slice()), "tree": r.take(32).hex(), "from": r.unit(), "to": r.unit(), "wall_ms": r.signed(),
           "tree_s": r.signed()}
    parts = r.many(r.varint(10000), lambda: (r.u8(), r.slice()))
    signed, signature = data[:r.at], r.take(64)
    need(r.left() == 0, "bytes behind the signature")
    need(len(out["line"].encode()) <= 64, "line")
    kinds = [k for k, _ in parts]
    need(kinds and kinds == sorted(kinds) and all(kinds.count(k) < 2 for k in (1, 2, 4, 5)), "order of the parts")
    need(kinds[0] == 1 if kinds[0] < 4 else True, "a bundle up begins with a hello")
    need(kinds[0] > 3 or kinds[-1] < 4, "both directions in one bundle")
    if key:
        need(verify(key, b"terrace bundle 1\0" + blake2b(signed), signature), "signature of the bundle")
    keys = {"%012d" % out["from"]: [key]} if key else None
    out["parts"] = [{"kind": KINDS[k], "body": part(k, body, None if k in (3, 6) else keys)} for k, body in parts]
    return out


def bundle(data, seed, key):
    return content(open_box(data, seed, encode.public_key(seed)), key)


def main():
    args = argparse.ArgumentParser(usage="bundle.py --seed HEX [--key HEX] BUNDLE ...")
    args.add_argument("--seed", required=True)
    args.add_argument("--key")
    args.add_argument("bundles", nargs="+")
    args = args.parse_args()
    status = 0
    for path in args.bundles:
        try:
            made = bundle(decode.read_input(path), bytes.fromhex(args.seed), bytes.fromhex(args.key) if args.key else None)
            print(json.dumps(made, ensure_ascii=False))
        except Malformed as e:
            print("%s: %s" % (path, e), file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
