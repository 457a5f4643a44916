#!/usr/bin/env python3
"""Who may not come in: no certificate, another tree's, another line's, a sibling's, a grandchild's, an expired and a
replaced one, wrong and used and expired invitations, too many tries.  Each gets a sentence, and nothing changes."""
import base64
import json
import os
import re
import subprocess
import sys

from lib_hostile import (Checks, Node, Tree, blake2b, context, copy_home, dump, free_ports, identity, link, request,
                         shift_clock, wait)

FEED = "/v1/feed?after=0&hash=" + "0" * 64
YEAR = 365 * 86400


class Other(Node):
    """A root of another tree with a township of its own."""

    def __init__(self, folder, label, line):
        super().__init__(folder, label, "532999000000", label)
        self.port = self.relay_port = free_ports(1)[0]
        self.ctl("init", "--unit", self.unit, "--name", label, "--line", line, "--root", *self.listen_options())
        self.start()
        self.child = Node(folder, label + "-town", "532999101000", label + " town", self)
        self.child.enrol()
        self.child.stop()
        self.stop()


def refused(checks, node, what, tls, code, named, paths=("hello", "segments", "feed")):
    before = dump(node)
    for name in paths:
        method, path = ("GET", FEED) if name == "feed" else ("POST", "/v1/" + name)
        status, body, _ = request(node.port, tls, method, path, b"" if name == "feed" else b"\1" * 100)
        j = json.loads(body) if body[:1] == b"{" else {"code": "", "message": repr(body)}
        checks.check(status == 403 and j["code"] == code and named in j["message"], "%s, %s: %d %s" % (what, name, status, j))
    checks.check(dump(node) == before, what + ": nothing changed")


def certificates(checks, t, second):
    county = t.county
    refused(checks, county, "no certificate", context(), "no-place-in-the-tree", "no certificate")
    foreign, other = Other(t.folder, "foreign", "civil-affairs"), Other(t.folder, "forestry", "forestry")
    refused(checks, county, "another tree's certificate", context(*identity(foreign.child.home)), "no-place-in-the-tree", "top")
    refused(checks, county, "another line's certificate", context(*identity(other.child.home)), "no-place-in-the-tree", "top")
    refused(checks, second, "a sibling's certificate", context(*identity(t.township.home)), "no-place-in-the-tree",
            "532999101000 is not below 532999102000")
    refused(checks, county, "a grandchild's certificate", context(*identity(t.village.home)), "no-place-in-the-tree",
            "532999101201 belongs to 532999101000")
    refused(checks, t.township, "the parent's certificate", context(*identity(county.home)), "no-place-in-the-tree", "not below")
    mixed = context(identity(t.township.home)[0], identity(t.township.home)[1])
    status, _, _ = request(county.port, mixed, "GET", "/v1/nothing")
    checks.check(status == 404, "a proper certificate comes as far as the paths")
    with open(county.log, encoding="utf-8") as f:
        checks.check("refused" in f.read(), "the parent's log names the refusals")


def impostor(checks, t, second):
    """A child whose parent's address answers with another node says so, and sends nothing."""
    conf = os.path.join(t.village.home, "terraced.conf")
    t.village.stop()
    with open(conf, encoding="utf-8") as f:
        right = f.read()
    with open(conf, "w", encoding="utf-8") as f:
        f.write(right.replace(str(t.township.port), str(second.port)))
    before = dump(second)
    t.village.start()
    wait(lambda: "answers as 532999102000" in open(t.village.log, encoding="utf-8").read(), "the village to see the impostor")
    checks.check(dump(second) == before, "another node at the parent's address is named, and gets nothing")
    t.village.stop()
    with open(conf, "w", encoding="utf-8") as f:
        f.write(right)
    t.village.start()


def expired(checks, t):
    county, township = t.county, context(*identity(t.township.home))
    for node in (t.village, t.township):
        node.stop()
    for years, paths, upload in ((2.5, ("feed",), 400), (4, ("hello", "segments", "feed"), 403)):
        shift_clock(county, int(years * YEAR))
        wait(lambda: county.ask("status") is not None, "the county")
        wait(lambda: request(county.port, township, "GET", FEED)[0] == 403, "the county's time")
        refused(checks, county, "a certificate that expired %.1f years ago" % (years - 2), township, "expired", "532999101000",
                paths)
        status, _, _ = request(county.port, township, "POST", "/v1/segments", b"\7")
        checks.check(status == upload or status == 409, "its uploads: %d" % status)
    shift_clock(county, 0)
    t.township.start()
    t.village.start()


def changed(line, secret=None):
    """The same invitation with another secret, and a check that fits."""
    data = base64.urlsafe_b64decode(line[len("terrace:1:"):] + "=" * 3)[:-4]
    at = data.index(bytes.fromhex(link.invitation(line)["secret"]))
    data = data[:at] + (secret or bytes(32)) + data[at + 32:]
    return "terrace:1:" + base64.urlsafe_b64encode(data + blake2b(data)[:4]).rstrip(b"=").decode()


def join(folder, name, line):
    home = os.path.join(folder, name)
    done = subprocess.run([os.path.join(os.environ.get("BUILD", "build"), "terracectl"), "--home", home, "join", line],
                          capture_output=True, text=True, timeout=60)
    return home, done.returncode, done.stderr


def invitations(checks, t):
    county = t.county

    def invite(unit):
        return re.search(r"terrace:1:\S+", county.ctl("invite", unit, "--name", "x"))[0]
    line = invite("532999103000")
    before = dump(county)
    for what, use, status, say in (("a wrong secret", changed(line), 4, "no such invitation"),
                                   ("a cut line", line[:-5], 5, "invitation"),
                                   ("no invitation at all", "hello", 5, "invitation")):
        home, got, text = join(t.folder, "new", use)
        checks.check(got == status and say in text and not os.path.exists(os.path.join(home, "terraced.conf")),
                     "%s: %d %s" % (what, got, text.strip()))
    checks.check(dump(county) == before, "wrong invitations change nothing at the county")
    home, got, text = join(t.folder, "third", line)
    checks.check(got == 0, "the right one works once: %s" % text)
    before = dump(county)
    home, got, text = join(t.folder, "again", line)
    checks.check(got == 4 and "used" in text and "new one" in text and dump(county) == before, "a used one: %s" % text.strip())
    tries = [request(county.port, context(), "POST", "/v1/enroll", b"\1" + bytes(60))[::2] for _ in range(4)]
    status, headers = tries[-1]
    checks.check(status == 503 and int(headers["Retry-After"]) > 0, "the sixth try of a minute: 503, and when to come again")
    shift_clock(county, 0)                   # the count of tries is the process's
    line = invite("532999104000")
    shift_clock(county, 4 * 86400)
    before = dump(county)
    home, got, text = join(t.folder, "late", line)
    checks.check(got == 4 and "expired" in text and dump(county) == before, "one of four days ago: %s" % text.strip())
    shift_clock(county, 0)


def replaced(checks, t, second):
    """The unit is invited again: the certificate of the machine that burned opens nothing any more."""
    old = context(*identity(copy_home(second, os.path.join(t.folder, "burned"))))
    second.stop()
    line = re.search(r"terrace:1:\S+", t.county.ctl("invite", second.unit, "--name", "x"))[0]
    checks.check(join(t.folder, "fresh", line)[1] == 0, "another machine joins for the same unit")
    wait(lambda: request(t.county.port, old, "GET", FEED)[0] == 403, "the revocation")
    refused(checks, t.county, "a replaced certificate", old, "no-place-in-the-tree", "revoked")


def main():
    checks = Checks()
    with Tree() as t:
        second = Node(t.folder, "second", "532999102000", "second township", t.county)
        second.port = second.relay_port = free_ports(1)[0]
        t.nodes.append(second)
        second.enrol()
        certificates(checks, t, second)
        impostor(checks, t, second)
        invitations(checks, t)
        replaced(checks, t, second)
        expired(checks, t)                   # last: the tree's time does not go back
    checks.close()


sys.exit(main())
