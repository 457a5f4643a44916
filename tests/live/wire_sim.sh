#!/bin/sh
# What whole trees sealed and sent (histories of the simulator), through the decoder that was written from
# terrace-wire(7) alone: every segment of every node's store, every body of the links, all signatures and hash chains.
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build}"
sim=$BUILD/tests/sim
if [ ! -x "$sim" ]; then
	make --no-print-directory "$sim" || exit 1
fi
exec python3 -B - "$sim" "$@" <<'END'
import base64, collections, glob, json, os, re, sqlite3, subprocess, sys, tempfile

sys.path.insert(0, "tests/wire")
import decode, link
from basics import Malformed, blake2b

sim, seeds = sys.argv[1], sys.argv[2:] or ["3", "7", "11", "12", "19", "24"]
passed = failed = 0
seen = collections.Counter()
done = {}


def check(good, what):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAILED:", what)


def attempt(what, read, *more):
    """What it reads, or None, which is a failure."""
    try:
        out = read(*more)
    except Malformed as e:
        check(False, "%s: %s" % (what, e))
        return None
    check(True, what)
    return out


def rows(path, sql):
    db = sqlite3.connect("file:%s?mode=ro&immutable=1" % path, uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def chain_keys(pem):
    """unit -> key: the alternative names terrace:UNIT:KEY stand as plain letters in the certificates."""
    for body in re.findall(r"-----BEGIN CERTIFICATE-----([^-]*)-----END", pem):
        for unit, key in re.findall(rb"terrace:(\d{12}):([A-Za-z0-9_-]{43})", base64.b64decode(body)):
            yield unit.decode(), base64.urlsafe_b64decode(key + b"=")


def count(out):
    seen[out["header"]["kind"]] += 1
    for name, body in out.get("payload", {}).get("items", []):
        seen["item " + name] += 1
        if name == "broadcast":
            seen["broadcast " + body["header"]["kind"]] += 1


def segment(where, data, keys):
    """Each once; the receiver's checks of the order of states are in runs()."""
    if data not in done:
        done[data] = attempt(where, decode.segment, data, keys, False, True)
        if done[data] is not None:
            count(done[data])
    return done[data]


def stores(folder, keys):
    for path in sorted(glob.glob(folder + "/*.db")):
        before = {}
        for kind, stream, author, position, hash_, data in rows(
                path, "SELECT kind, stream, author, position, hash, bytes FROM terrace_segment ORDER BY author, kind, stream, position"):
            where = "%s: segment %d of %012d" % (path, position, author)
            out = segment(where, data, keys)
            if out is None:
                continue
            h = out["header"]
            check(decode.KINDS[kind] == h["kind"] and [h["author"], h["stream"], h["position"]] == [author, stream, position]
                  and out["hash"] == hash_.hex(), where + ": the store says otherwise")
            last = before.get((author, kind, stream))
            if last and last[0] + 1 == position and last[1] == h["epoch"]:
                check(h["previous"] == last[2], where + ": the chain")
            elif position == 1 and "continues" not in h:
                check(int(h["previous"], 16) == 0, where + ": the first has a previous one")
            before[author, kind, stream] = position, h["epoch"], out["hash"]
        for signer, body in rows(path, "SELECT signer, body FROM terrace_receipt WHERE kind = 0"):
            attempt("%s: receipt" % path, link.receipt, bytes(body), keys)
            seen["receipt"] += 1


def bodies(folder, keys):
    for path in sorted(glob.glob(folder + "/*.*")):
        what = path.rsplit(".", 1)[1]
        with open(path, "rb") as f:
            data = f.read()
        if what == "push":
            out = attempt(path, link.push, data)
            states = out["states"] if out else []
            for s in out["entries"] if out else []:
                segment(path, s, keys)
        elif what == "feed":
            states = attempt(path, link.feed, data) or []
        else:
            if what == "hello":
                attempt(path, link.hello, data)
            elif what == "welcome":
                attempt(path, link.hello_answer, data)
            elif what == "pushed" and data:
                attempt(path, link.push_answer, data, keys)
            continue
        seen[what] += 1
        last = None
        for s in states:
            out = segment(path, s, keys)
            if out is None:
                break
            h = out["header"]
            check(h["kind"] == "state" and h["position"] > h["follows"] and last in (None, h["follows"]),
                  path + ": the run does not follow")
            check(what == "feed" or not out["payload"]["items"], path + ": a state that goes up carries items")
            last = h["position"]


def damage(keys):
    """A changed byte anywhere is noticed, and so is a cut."""
    for data in list(done)[:6]:
        for at in range(0, len(data), max(1, len(data) // 4)):
            try:
                decode.segment(data[:at] + bytes([data[at] ^ 16]) + data[at + 1:], keys, False, True)
                check(False, "byte %d changed and not noticed" % at)
            except Malformed:
                check(True, "")


for seed in seeds:
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run([sim, "--seed", seed, "--keep", folder], capture_output=True, text=True)
        check(ran.returncode == 0, "seed %s: %s" % (seed, ran.stdout + ran.stderr))
        keys = collections.defaultdict(set)
        for path in glob.glob(folder + "/*.db"):
            for unit, key, chain in rows(path, "SELECT unit, sign_key, chain FROM terrace_peer"):
                if key:
                    keys["%012d" % unit].add(bytes(key))
                for name, of_name in chain_keys(bytes(chain or b"").decode()):
                    keys[name].add(of_name)
        keys = {unit: sorted(mine) for unit, mine in keys.items()}
        done.clear()
        stores(folder, keys)
        bodies(folder, keys)
        damage(keys)
        # the program itself, once a history
        data = next(iter(done))
        with open(folder + "/keys.json", "w") as f:
            json.dump({unit: [k.hex() for k in mine] for unit, mine in keys.items()}, f)
        with open(folder + "/one", "wb") as f:
            f.write(data)
        ran = subprocess.run([sys.executable, "-B", "tests/wire/decode.py", "--documents", "--keys", folder + "/keys.json", folder + "/one"],
                             capture_output=True, text=True)
        check(ran.returncode == 0 and json.loads(ran.stdout)["hash"] == blake2b(data).hex(), "decode.py: " + ran.stderr)
for kind in ("delta", "state", "policy", "activate", "time", "push", "feed", "receipt", "item broadcast", "item record",
             "item epoch", "item settled", "item healed"):
    check(seen[kind] > 0, "no %s among the histories" % kind)
print("  ".join("%s %d" % x for x in sorted(seen.items())))
print("wire_sim: %d passed, %d failed" % (passed, failed))
sys.exit(failed > 0)
END
