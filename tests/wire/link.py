"""Bodies of the link of terrace-wire(7), written from the page alone: hello, segments, feed, receipts, needs."""
import base64

from basics import Reader, blake2b, check_signature, need, text_of
from documents import LEVELS, read_cell, read_mark, shown, whole

ORDERS = {1: "heal", 2: "wait", 4: "twin", 8: "hold", 16: "healed", 32: "restored", 64: "ranges"}
COUNTS = ("taken", "taken over", "kept", "diverted", "refused", "aside", "old", "passed", "asked", "quarantined")


def form(r):
    need(r.u8() == 1, "format of a body")


def slice_text(r):
    return text_of(r.slice())


def head(r):
    return r.take(32).hex()


def marks(r):
    levels = r.u8()
    need(levels < 32, "levels")
    return {LEVELS[i]: read_mark(r) for i in range(5) if levels >> i & 1}


def needs(r):
    def one():
        register = r.name()
        return [register, [shown(read_cell(r), False) for _ in range(r.varint(1000))]]
    return r.many(r.varint(10000), one)


@whole
def receipt(r, keys):
    form(r)
    out = {"signer": r.unit(), "tree_s": r.signed()}
    out["lines"] = r.many(r.varint(64), lambda: {
        "author": r.unit(), "stream": r.varint(), "position": r.varint(2**53 - 1), "hash": head(r)})
    message = r.data[:r.at]
    check_signature(keys, out["signer"], b"terrace receipt 1", message, r.take(64))
    return out


@whole
def status(r):
    form(r)
    out = {"unit": r.unit(), "name": slice_text(r), "as_of_ms": r.signed(), "contact_ms": r.signed(), "epoch": r.u32()}
    for name in ("sealed", "applied", "settled", "pending_segments", "pending_bytes"):
        out[name] = r.varint()
    out["oldest_ms"] = r.signed()
    for name in ("quarantine", "conflicts", "proposals", "returns", "issues"):
        out[name] = r.varint()
    out["digest"], out["digest_ms"] = r.u8(), r.signed()
    need(out["digest"] < 3, "digest")
    out["policies"] = r.many(r.varint(64), lambda: [r.unit(), r.varint(), slice_text(r)])
    need(all(p[2] in ("active", "staged", "last", "failed") for p in out["policies"]), "state of a policy")
    return out


def certificate(r):
    own = r.u8()
    need(own < 3, "certificate")
    if own == 2:
        return {"own": False, "name": slice_text(r), "revocation": r.slice().hex()}
    return {"own": own == 1, "name": slice_text(r), "pem": slice_text(r)}


@whole
def policy_list(r):
    return r.many(r.varint(64), lambda: [r.unit(), r.varint()])


@whole
def hello(r):
    form(r)
    out = {"flags": r.varint(), "number": r.varint(2**53 - 1), "answered": r.varint(), "formats": r.many(r.varint(100), r.varint), "wall_ms": r.signed(), "met": marks(r),
           "epoch": r.u32(), "sealed": r.varint()}
    out["epochs"] = r.many(r.varint(64), lambda: [r.u32(), r.u32(), r.varint()])
    out["outbox"] = [r.varint(), head(r)]
    out["acked"] = [r.varint(), head(r)]
    out["position"] = [r.varint(), head(r)]
    out["built"], out["fed"], out["waiting"] = r.varint(), [r.varint(), head(r)], r.varint()
    out["list"] = r.u64()
    out["policies"] = r.many(r.varint(64), lambda: [r.unit(), r.varint()])
    out["lists"] = r.many(r.varint(100000), lambda: policy_list(r.slice()))
    need(out["flags"] & 1 or not out["lists"], "lists without flag 1")
    for name in ("needs_open", "terms_pending", "log", "disk_mib"):
        out[name] = r.varint()
    out["digests"] = r.many(r.varint(1000), lambda: {"register": r.name(), "sum": r.take(16).hex(), "rows": r.varint()})
    out["needs"] = needs(r)
    out["certificates"] = r.many(r.varint(10000), lambda: certificate(r))
    out["status"] = r.many(r.varint(100000), lambda: status(r.slice()))
    need(out["status"], "no status of the sender")
    out["above"] = r.take(32).hex()
    return out


@whole
def hello_answer(r):
    form(r)
    orders = r.varint()
    need(orders < 128, "orders")
    number = r.varint(2**53 - 1)
    out = {"orders": [name for bit, name in ORDERS.items() if orders & bit], "number": number, "tree_s": r.signed(), "met": marks(r),
           "received": [r.varint(), head(r)], "position": [r.varint(), head(r)], "built": r.varint(),
           "fed": [r.varint(), head(r)]}
    if orders & 16:
        out["heal"], out["feed"], out["up"] = r.varint(2**63 - 1), r.varint(), r.varint()
        mine = heal_hash(out["heal"])
        need(out["position"] == [out["up"], mine] and out["fed"] == [out["feed"], mine] and out["built"] == out["feed"],
             "numbers or hash of a heal")
    out["digest"] = r.u8()
    need(out["digest"] in (0, 1, 2, 255), "digest")
    out["differ"] = r.many(r.varint(1000), r.name) if out["digest"] == 2 else []
    out["addresses"] = r.many(r.varint(16), lambda: slice_text(r))
    out["needs"] = needs(r)
    out["learned"] = r.many(r.varint(10000), r.unit)
    out["chain"] = slice_text(r)
    return out


def heal_hash(number):
    return blake2b(b"terrace heal 1\0" + number.to_bytes(8, "little")).hex()


@whole
def push(r):
    form(r)
    out = {"after": r.varint(), "head": head(r)}
    out["entries"] = r.many(r.varint(), r.slice)
    out["states"] = r.many(r.varint(), r.slice)
    h = bytes.fromhex(out["head"])
    for entry in out["entries"]:
        h = blake2b(h + entry)
    out["last"] = [out["after"] + len(out["entries"]), h.hex()]
    return out


@whole
def push_answer(r, keys):
    form(r)
    out = {"status": r.u8(), "error": slice_text(r), "sentence": slice_text(r), "received": [r.varint(), head(r)],
           "position": [r.varint(), head(r)]}
    need(out["status"] < 4 and (out["status"] == 0) == (out["error"] == "ok"), "status")
    out["counts"] = {name: r.varint() for name in COUNTS}
    out["ms"], out["needs"] = r.varint(), needs(r)
    out["receipts"] = r.many(r.varint(65), lambda: receipt(r.slice(), keys))
    return out


@whole
def feed(r):
    if r.left() == 0:
        return []
    form(r)
    out = []
    while r.left():
        out.append(r.slice())
    return out


@whole
def leave(r):
    form(r)
    return {"outbox": [r.varint(), head(r)]}


def units(r, most):
    out = []
    for _ in range(r.varint(most)):
        out.append(r.varint() + (out[-1] if out else 0))
    return out


def bound(r, before):
    form = r.data[r.at] if r.left() else 0
    if form not in (3, 4):
        return read_cell(r)
    r.u8()
    same, rest = r.varint(4096), r.slice()
    need(same == 0 or (before[0] == ("text" if form == 3 else "blob") and same <= len(before[1])), "bound")
    return ("text" if form == 3 else "blob", (before[1][:same] if same else b"") + rest)


def spans(r, asked):
    out = {"register": r.name(), "units": units(r, 64), "spans": []}
    before = ("null", None)
    for i in range(r.varint(16384)):
        mode = r.u8()
        need(mode in ((0, 1, 4) if asked else (0, 1, 2, 3)), "mode of a span")
        need(i == 0 or before[0] != "null", "a span behind the end")
        last, before = before, bound(r, before)
        need(before[0] == "null" or last[0] == "null" or last[0] != before[0] or last[1] < before[1], "bounds do not rise")
        body = r.take(6).hex() if mode == 1 else [r.take(5).hex() for _ in range(r.varint(512))] if mode == 2 else None
        out["spans"].append([mode, shown(before, False), body])
    return out


def states(r, payload):
    length, body = r.varint(16 << 20), r.slice()
    need((length == 0) == (len(body) == 0), "states")
    return payload(body, length) if length else None


@whole
def round_request(r, payload):
    form(r)
    kind = r.u8()
    need(kind in (1, 2, 3, 4), "kind of a round")
    out = {"kind": kind, "list": r.u64()}
    if kind == 1:
        out["seq"], out["position"], out["built"] = r.varint(), r.varint(), r.varint()
        out["sum"], out["rows"] = r.take(16).hex(), r.varint()
    elif kind == 2:
        out["registers"] = []
        for _ in range(r.varint(1000)):
            name, last, mine = r.name(), 0, []
            for _ in range(r.varint(4096)):
                last += r.varint()
                mine.append([last, r.take(6).hex()])
            out["registers"].append([name, mine])
    elif kind == 3:
        out["registers"] = r.many(r.varint(1000), lambda: spans(r, True))
    else:
        out["flags"] = r.varint(63)
        out["registers"] = []
        for _ in range(r.varint(1000)):
            name, before, keys, places = r.name(), ("null", None), [], []
            for _ in range(r.varint(32)):
                before = bound(r, before)
                keys.append(shown(before, False))
            for _ in range(r.varint(32)):
                before = bound(r, before)
                low, before = before, bound(r, before)
                places.append([shown(low, False), shown(before, False), [r.take(5).hex() for _ in range(r.varint(32))]])
            out["registers"].append([name, keys, places])
        if out["flags"] & 4:
            out["states"] = states(r, payload)
    return out


@whole
def round_answer(r, request, payload):
    form(r)
    out = {"verdict": r.u8()}
    need(out["verdict"] < 4, "verdict")
    if out["verdict"] < 2:
        return out
    if request["kind"] == 1:
        out["registers"] = r.many(r.varint(1000), lambda: [r.name(), r.take(6).hex()])
    elif request["kind"] == 2:
        out["units"] = []
        for _ in request["registers"]:
            how = r.u8()
            need(how in (1, 2), "units")
            out["units"].append(units(r, 64) if how == 2 else None)
    elif request["kind"] == 3:
        out["registers"] = r.many(r.varint(1000), lambda: spans(r, False))
        need([x["register"] for x in out["registers"]] == [x["register"] for x in request["registers"]], "registers")
    else:
        need(r.varint() == len(request["registers"]), "registers")
        out["keys"] = []
        for name, *_ in request["registers"]:
            before, keys, n = ("null", None), [], r.varint(64)
            need(n == 0 or r.name() == name, "register of keys")
            for _ in range(n):
                before = bound(r, before)
                keys.append(shown(before, False))
            out["keys"].append(keys)
        if request["flags"] & 2:
            out["states"] = states(r, payload)
    return out


@whole
def invitation_body(r):
    out = {"addresses": r.many(r.varint(8), lambda: slice_text(r)), "pin": r.take(32).hex(), "secret": r.take(32).hex(),
           "unit": r.unit(), "line": slice_text(r), "name": slice_text(r)}
    need(out["addresses"] and out["line"], "invitation")
    before = r.data[:r.at]
    need(r.take(4) == blake2b(before)[:4], "check of an invitation")
    return out


def invitation(line):
    need(line.startswith("terrace:1:"), "invitation")
    letters = line[len("terrace:1:"):]
    return invitation_body(base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4)))
