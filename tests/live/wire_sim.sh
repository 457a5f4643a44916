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
import decode, documents, link, terms
from basics import Malformed, Reader, blake2b

sim, seeds = sys.argv[1], sys.argv[2:] or [str(n) for n in range(1, 31)]
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
    asked = None
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
            elif what == "round":
                asked = attempt(path, link.round_request, data, decode.payload_of)
                seen["round %d" % asked["kind"] if asked else "round"] += 1
            elif what == "rounded" and data and asked:
                attempt(path, link.round_answer, data, asked, decode.payload_of)
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
            items = out["payload"]["items"]
            check(what == "feed" or not items or (all(i[0] == "broadcast" for i in items) and not out["payload"]["changes"]),
                  path + ": a state that goes up carries items other than broadcasts")
            last = h["position"]


COLUMNS = {"r": {"a": {"x": 0, "y": None}, "b": {"s": 0}}, "c": {"all": {"parent": None, "u": None}},
           "o": {"all": {"v": 0}}, "a": {"all": {"v": 0}}}     # and defaults


def taken(r, read):
    """The bytes that read takes."""
    start = r.at
    read(r)
    return r.data[start:r.at]


def version_set(body, names):
    """A store's version set: life, version of group row, versions by name of the group, all as bytes."""
    r = Reader(bytes(body))
    r.varint()
    life, row, groups = taken(r, documents.read_ident), taken(r, documents.version_at), {}
    for _ in range(r.varint(64)):
        name = names[r.varint()]
        groups[name] = taken(r, documents.version_at)
    return life, row, groups


def root_of(folder):
    """Rows of unit `all` count as their issuer's: here the root's, which has no superior."""
    return min((int(os.path.basename(path)[:12]) for path in glob.glob(folder + "/*.db")), key=lambda u: len(str(u).rstrip("0")))


def row_terms(folder):
    """The terms and digests that nodes keep are those that the page makes of the same rows."""
    for path in sorted(glob.glob(folder + "/*.db")):
        sets = dict(rows(path, "SELECT id, body FROM terrace_version"))
        digests = {(register, unit): (sum_, n) for register, unit, sum_, n in rows(
            path, "SELECT register, unit, sum, rows FROM terrace_digest WHERE pending = 0 AND rows > 0")}
        for register, name in rows(path, "SELECT number, name FROM terrace_register"):
            group_names = dict(rows(path, "SELECT number, name FROM terrace_group WHERE register = %d" % register))
            mine = collections.defaultdict(list)
            for key, unit, flags, version, held in rows(
                    path, "SELECT key, unit, flags, version, term FROM terrace_s%d WHERE flags & 1 AND term <> zeroblob(16)" % register):
                mine[unit].append(bytes(held))
                if flags & 12:           # in quarantine: the table lags
                    continue
                life, row, groups = version_set(sets[version], group_names)
                offered = collections.defaultdict(list)
                for group, slot, value, of_life in aside(path, register, key):
                    if of_life == life and slot:
                        offered[group].append((slot, version_bytes(value), value))
                said = {}
                for number, group in group_names.items():
                    if group in groups or offered[number]:
                        defaults = COLUMNS[name][group]
                        found = rows(path, "SELECT %s FROM %s WHERE k = '%s'" % (", ".join(defaults), name, key))
                        check(found, "%s: %s %s lives, but the table has no such row" % (path, name, key))
                        values = found[0] if found else list(defaults.values())
                        said[group] = (groups.get(group), {c: v for c, v in zip(defaults, values) if v != defaults[c]},
                                       offered[number])
                check(terms.term(name, [key], root_of(folder) if name == "a" else unit, life, row, offered[0], said) == held,
                      "%s: term of %s %s" % (path, name, key))
                seen["term"] += 1
                seen["term with proposals"] += any(offered.values())
            for unit, of_rows in mine.items():
                if (register, unit) in digests and digests[register, unit][1] == len(of_rows):
                    check(terms.total(of_rows) == digests[register, unit][0], "%s: digest of %s, %012d" % (path, name, unit))
                    seen["digest"] += 1


def version_bytes(value):
    r = Reader(value)
    r.varint(), r.varint(), documents.read_ident(r)
    return taken(r, documents.version_at)


def aside(path, register, key):
    for group, slot, value in rows(
            path, "SELECT grp, slot, value FROM terrace_aside WHERE register = %d AND key = '%s' AND grp >= 0 AND value NOT NULL"
            % (register, key)):
        r = Reader(value)
        r.varint(), r.varint()
        yield group, slot, value, taken(r, documents.read_ident)


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
        row_terms(folder)
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
             "item epoch", "item settled", "item healed", "round 1", "round 2", "round 3", "round 4", "term", "term with proposals", "digest"):
    check(seen[kind] > 0, "no %s among the histories" % kind)
print("  ".join("%s %d" % x for x in sorted(seen.items())))
print("wire_sim: %d passed, %d failed" % (passed, failed))
sys.exit(failed > 0)
END
