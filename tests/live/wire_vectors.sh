#!/bin/sh
# The vectors through the decoder that was written from terrace-wire(7) alone: the same content as the daemon's own
# code finds, signatures that hold, and damage that is noticed.
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build}"
wire=$BUILD/tests/vectors-wire
if [ ! -x "$wire" ]; then
	make --no-print-directory "$wire" || exit 1
fi
exec python3 - "$wire" <<'END'
import glob, json, os, re, subprocess, sys, tempfile

wire = sys.argv[1]
key = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"   # of the seed 00 01 02 .. 1f
passed = failed = 0


def check(good, what):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAILED:", what)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def decode(path, *more):
    return run("python3", "tests/wire/decode.py", "--exact", "--key", key, *more, path)


vectors = sorted(glob.glob("tests/vectors/wire-*.hex"))
check(len(vectors) >= 6, "vectors are missing")
for path in vectors:
    theirs, ours = decode(path), run(wire, "--json", path)
    check(theirs.returncode == 0, "%s: %s" % (path, theirs.stderr))
    check(ours.returncode == 0, "%s: %s" % (path, ours.stderr))
    if theirs.returncode == 0 and ours.returncode == 0:
        check(json.loads(theirs.stdout) == json.loads(ours.stdout), "%s: the two decoders differ" % path)
    check(run("python3", "tests/wire/decode.py", path).returncode == 0, "%s: plain output" % path)
    bytes_ = bytes.fromhex(open(path).read())
    with tempfile.TemporaryDirectory() as folder:
        bad = os.path.join(folder, "bad")
        for at in range(0, len(bytes_), max(1, len(bytes_) // 5)):
            with open(bad, "wb") as f:
                f.write(bytes_[:at] + bytes([bytes_[at] ^ 16]) + bytes_[at + 1:])
            check(decode(bad).returncode == 1, "%s: byte %d changed and not noticed" % (path, at))
        with open(bad, "wb") as f:
            f.write(bytes_[:-1])
        check(decode(bad).returncode == 1, "%s: cut and not noticed" % path)

# the dictionary on the page is the one in the file
page = open("daemon/man/terrace-wire.7.scd", encoding="utf-8").read().replace("\\\\", "\\")
words = open("schema/dict/terrace-1.txt", encoding="utf-8").read()
check(words in page, "terrace-wire(7) prints another dictionary than schema/dict/terrace-1.txt")
print("wire_vectors: %d passed, %d failed" % (passed, failed))
sys.exit(failed > 0)
END
