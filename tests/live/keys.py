#!/usr/bin/env python3
"""Certificates over the years: they are renewed by themselves from half their life on, without a restart; past their
end a node may only upload, is marked, and is served its renewal; the chains of those below follow.  A stolen machine is
revoked, and another takes its place; one leaves in order.  The county's
own key is replaced, and everybody follows."""
import os
import shutil
import subprocess
import sys

from lib_hostile import context, identity, request, shift_clock
from lib_tree import Checks, Node, Tree, wait
from node import TERRACECTL          # noqa: E402

YEAR = 365 * 86400
FEED = "/v1/feed?after=0&hash=" + "0" * 64


def serials(node):
    """Of the chain in the identity folder, its own first."""
    with open(os.path.join(node.home, "identity", "chain.pem"), encoding="ascii") as f:
        parts = f.read().split("-----BEGIN CERTIFICATE-----")[1:]
    return [subprocess.run(["openssl", "x509", "-noout", "-serial"], input="-----BEGIN CERTIFICATE-----" + p, check=True,
                           stdout=subprocess.PIPE, text=True).stdout.strip() for p in parts]


def household(node, n):
    node.open().execute("INSERT INTO household(code, village_code) VALUES('5329991012010000%02d', '532999101201')" % n)


def at_county(t, n):
    wait(lambda: t.county.value("SELECT count(*) FROM household") == n, "%d rows at the county" % n)


def later(t, seconds):
    """The county's clock, and so the tree's, that far ahead; the township dials at once."""
    shift_clock(t.county, seconds)
    t.township.ctl("sync")


def revoked(checks, t):
    """A stolen machine: its connections end, the township writes for the village, another machine takes its place."""
    text = t.county.ctl("peers", "revoke", t.village.unit, allow=(4,))
    t.township.ctl("peers", "revoke", t.village.unit, "--reason", "stolen")
    wait(lambda: t.village.ask("status")["upstream"]["state"] == "failed", "the village's connection to end", 10)
    tls = context(*identity(t.village.home))
    for path in ("hello", "segments", "renew"):
        status, body, _ = request(t.township.port, tls, "POST", "/v1/" + path, b"\1")
        checks.check(status == 403 and b"revoked" in body, "%s with a revoked certificate: %d %s" % (path, status, body))
    wait(lambda: {p["unit"]: p["revoked"] for p in t.county.ask("peers")}[t.village.unit], "the county to hear of it")
    checks.check(not text, "the unit above the one that invited refuses, and hears of it")
    household(t.township, 4)
    at_county(t, 5)
    checks.check(not t.township.ask("status")["children"], "the township writes for the village, and waits for nobody")
    t.village.stop()
    again = Node(t.folder, "again", t.village.unit, "village", t.township)
    t.nodes.append(again)
    again.enrol()
    wait(lambda: again.has("household") and again.value("SELECT count(*) FROM household") == 5, "the new machine's rows")
    household(again, 5)
    at_county(t, 6)
    checks.check(True, "another machine is enrolled, heals, and writes")
    household(again, 6)
    again.ctl("leave", "--wait", "15")
    checks.check(t.county.value("SELECT count(*) FROM household") == 7, "leave: what was written last is at the county first")
    wait(lambda: {p["unit"]: p["revoked"] for p in t.township.ask("peers")}[again.unit], "the township to let it go")
    again.stop()
    again.start()
    wait(lambda: "has left the tree" in again.ask("status")["upstream"].get("error", ""), "its status", 5)
    checks.check(again.value("SELECT count(*) FROM household") == 7, "it has left, stays away, and keeps its data")


def new_top(checks, t):
    """The county's key is replaced: its recovery key vouches for the new one, and everybody follows, also one away."""
    recovery = os.path.join(t.folder, "recovery.seed")
    shutil.copy(os.path.join(t.county.home, "identity", "recovery.seed"), recovery)
    former = serials(t.county)[0]
    t.village.stop()
    checks.check("in use" in refusal(t.county, "anchor", "--recovery", recovery), "anchor wants the daemon stopped")
    t.county.stop()
    checks.check("recovery key" in refusal(t.county, "anchor", "--recovery", os.path.join(t.township.home, "identity", "sign.seed")),
                 "another key than the recovery key is refused")
    checks.check("not the top" in refusal(t.village, "anchor", "--recovery", recovery), "so is a node that is not the top")
    t.county.ctl("anchor", "--recovery", recovery)
    checks.check(os.path.exists(os.path.join(t.county.home, "identity", "recovery.seed")), "a recovery key still there goes along")
    checks.check("move it away" in refusal(t.county, "anchor", "--recovery", recovery), "the former keys are not written over")
    t.county.start()
    t.township.ctl("sync")
    wait(lambda: serials(t.township)[1:] == serials(t.county) and serials(t.county)[0] != former, "the township to follow")
    checks.check(True, "the township has a certificate of the county's new key")
    household(t.village, 2)
    t.village.start()
    wait(lambda: serials(t.village)[2:] == serials(t.county), "the village to follow")
    at_county(t, 2)
    t.county.open().execute("UPDATE household SET poverty_cause='因残'")
    wait(lambda: t.village.value("SELECT count(*) FROM household WHERE poverty_cause='因残'") == 2, "the feed under the new key")
    for node in (t.county, t.township, t.village):
        node.ctl("verify")
    checks.check(True, "the village, away meanwhile, too; both ways go on, and what is kept verifies")


def refusal(node, *words):
    return subprocess.run([TERRACECTL, "--home", node.home, *words], stderr=subprocess.PIPE, text=True).stderr


def main():
    checks = Checks()
    with Tree() as t:
        household(t.village, 1)
        at_county(t, 1)
        new_top(checks, t)
        before, below, process = serials(t.township), serials(t.village), t.township.process.pid
        later(t, int(1.2 * YEAR))
        wait(lambda: serials(t.township)[0] != before[0], "the township's renewal")
        t.village.ctl("sync")
        checks.check(serials(t.township)[1:] == before[1:], "past half its life the township's certificate is renewed")
        wait(lambda: serials(t.village)[0] != below[0], "the village's renewal")
        wait(lambda: serials(t.village)[1:] == serials(t.township), "the village has the township's new certificate")
        checks.check(True, "the village's too, by its township's answer; it has the new chain above it")
        household(t.village, 7)
        at_county(t, 3)
        checks.check(t.township.process.poll() is None and t.township.process.pid == process, "no daemon was started anew")
        peers = {p["unit"]: p for p in t.county.ask("peers")}
        checks.check(peers[t.village.unit]["certificate_until"] > "20", "peers says until when certificates are good")

        # The village is away across the end of its certificate; what it shows meanwhile may only upload.
        t.village.stop()
        old = serials(t.village)[0]
        later(t, int(2.4 * YEAR))
        wait(lambda: serials(t.township)[0] != before[0] and t.township.ask("status")["upstream"]["state"] == "connected", "the township")
        later(t, int(3.4 * YEAR))
        tls = context(*identity(t.village.home))
        wait(lambda: request(t.township.port, tls, "GET", FEED)[0] == 403, "the township to learn the time")
        checks.check(t.township.ask("status")["children"][0]["upload_only"], "status marks the one that has expired")
        checks.check(request(t.township.port, tls, "POST", "/v1/reconcile", b"\1")[0] == 403, "no reconciliation, no feed")
        checks.check(request(t.township.port, tls, "POST", "/v1/renew", b"\7")[0] == 400, "a renewal is served, its form judged")
        household(t.village, 3)
        t.village.start()
        at_county(t, 4)
        wait(lambda: serials(t.village)[0] != old, "the renewal after the end")
        wait(lambda: not t.township.ask("status")["children"][0]["upload_only"], "the mark to go")
        t.county.open().execute("UPDATE household SET poverty_cause='因病'")
        wait(lambda: t.village.value("SELECT count(*) FROM household WHERE poverty_cause='因病'") == 4, "the feed")
        checks.check(True, "back after the end it uploads, renews, and has its feed again")
        revoked(checks, t)
    checks.close()


sys.exit(main())
