#!/usr/bin/env python3
"""The encoder that tests use against the decoder that was written from the page: what one writes the other reads, for
the content of every committed vector; signatures hold, and one by another seed does not."""
import copy
import glob
import json
import os
import sys

import decode
import encode
from basics import Malformed, blake2b, verify

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = bytes(range(32))
passed = failed = 0


def check(good, what):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAILED:", what)


def content(out):
    """The changes, whatever the order in which columns are named."""
    changes = copy.deepcopy(out["payload"]["changes"])
    for c in changes:
        for p in c["parts"]:
            if p["group"] is not None:
                p["cells"] = dict(zip(p.pop("columns"), p["cells"]))
    return sorted(json.dumps(c, sort_keys=True) for c in changes)


def main():
    key = encode.public_key(SEED)
    check(key.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8", "the key of the vectors' seed")
    check(verify(key, b"x", encode.sign(SEED, b"x")) and not verify(key, b"y", encode.sign(SEED, b"x")), "signatures")
    keys = {"*": [key]}
    for path in sorted(glob.glob(os.path.join(HERE, "..", "vectors", "wire-*.hex"))):
        name = os.path.basename(path)
        data = bytes.fromhex(open(path, encoding="ascii").read())
        was = decode.segment(data, keys, False, False)
        if "payload" not in was:
            continue
        items = [(kind, bytes.fromhex(body)) for kind, body in was["payload"]["items"]]
        for codec in (0, 1):
            h = dict(was["header"], codec=codec)
            raw = encode.payload(was["payload"]["changes"], items)
            made = encode.segment(h, raw, SEED)
            again = decode.segment(made, keys, False, False)
            check(again["header"] == was["header"], name + ": header")
            check(content(again) == content(was), name + ": changes")
            check(again["payload"]["items"] == was["payload"]["items"], name + ": items")
            check(again["hash"] == blake2b(made).hex(), name + ": hash")
            try:
                decode.segment(encode.segment(h, raw, SEED[::-1]), keys, False, False)
                check(False, name + ": another seed")
            except Malformed:
                check(True, "")
    print("test_encode: %d passed, %d failed" % (passed, failed))
    return failed > 0


sys.exit(main())
