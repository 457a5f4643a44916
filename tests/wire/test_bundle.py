#!/usr/bin/env python3
"""The committed bundles through the decoder that was written from terrace-wire(7) alone; damage is noticed."""
import os
import sys

import bundle
import decode
import encode
from basics import Malformed

HERE = os.path.dirname(os.path.abspath(__file__))
SENDER, RECIPIENT = bytes(range(32)), bytes(range(32, 64))
passed = failed = 0


def check(good, what):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAILED:", what)


def refused(data, seed, key, what):
    try:
        bundle.bundle(data, seed, key)
        check(False, what)
    except Malformed:
        check(True, what)


def main():
    key = encode.public_key(SENDER)
    for name, kinds in (("up", ["hello", "receipt", "segments"]), ("down", ["hello answer", "segments answer", "feed"])):
        data = decode.read_input(os.path.join(HERE, "../vectors/bundle-%s.hex" % name))
        out = bundle.bundle(data, RECIPIENT, key)
        check([p["kind"] for p in out["parts"]] == kinds, "%s: its parts" % name)
        check(out["line"] == "civil-affairs" and {out["from"], out["to"]} == {620702100000, 620702100001}, "%s: its head" % name)
        check(out["tree_s"] == 1764000000 and out["wall_ms"] == 1764000000000, "%s: its times" % name)
        check(out["parts"][0]["body"]["number"] == 3, "%s: the number of the hello" % name)
        states = out["parts"][2]["body"]["states"]
        check(len(states) == 1 and states[0]["header"]["kind"] == "state" and states[0]["header"]["changes"] > 0, "%s: its state" % name)
        check(name == "down" or out["parts"][2]["body"]["entries"][0]["header"]["kind"] == "delta", "up: its delta")
        refused(data, SENDER, key, "%s: opened by another" % name)
        refused(data, RECIPIENT, encode.public_key(RECIPIENT), "%s: signed by another" % name)
        refused(data[:-1], RECIPIENT, key, "%s: cut" % name)
        refused(data + b"\0", RECIPIENT, key, "%s: longer" % name)
        for at in range(0, len(data), len(data) // 12):
            refused(data[:at] + bytes([data[at] ^ 8]) + data[at + 1:], RECIPIENT, key, "%s: byte %d" % (name, at))
    print("wire_bundle: %d passed, %d failed" % (passed, failed))
    return failed > 0


sys.exit(main())
