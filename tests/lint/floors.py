#!/usr/bin/env python3
"""Floors: a file of daemon/F or include/F includes headers of its own floor or a lower one (architecture, Floors)."""
import lint

ORDER = ["base", "core", "store", "engine", "link", "app"]
FORBIDDEN = {("link", "store")}                     # link asks the ledger, never the tables
CTL = {"base", "core", "store", "ctl"}
# init and join make a home, sync and doctor speak with the daemon and its parent, reports need no daemon.
CTL_HEADERS = {"engine/backup.h", "engine/report.h", "app/home.h", "app/settings.h", "app/identity.h", "link/control.h", "link/dial.h", "link/enrol.h"}


def complaint(floor, header):
    to = header.split("/")[0]
    if "/" not in header or to not in ORDER + ["ctl"]:
        return "names no floor; write \"floor/name.h\""
    if floor == "ctl":
        return None if to in CTL or header in CTL_HEADERS else "ctl may include base, core, store and %s" % ", ".join(CTL_HEADERS)
    if to == "ctl":
        return "ctl is included by ctl only"
    if floor not in ORDER:
        return "%s is no floor" % floor
    if ORDER.index(to) > ORDER.index(floor):
        return "%s is above %s" % (to, floor)
    return "%s must not know %s" % (floor, to) if (floor, to) in FORBIDDEN else None


def judge(files):
    for path, text in files.items():
        if not lint.is_c(path):
            continue
        for line, quote, header in lint.includes(text):
            why = complaint(path.split("/")[1], header) if quote == '"' else None
            if why:
                yield "%s:%d: #include \"%s\": %s" % (path, line, header, why)


lint.main(judge, caught=[
    ("daemon/core/x.c", '#include "store/db.h"\n'),
    ("daemon/base/x.c", '#include "core/unit.h"\n'),
    ("daemon/link/x.c", '  #  include "store/db.h"\n'),
    ("include/engine/x.h", '#include "link/tls.h"\n'),
    ("daemon/store/x.c", '#include "engine/seal.h"\n'),
    ("daemon/ctl/x.c", '#include "engine/seal.h"\n'),
    ("daemon/ctl/x.c", '#include "link/tls.h"\n'),
    ("daemon/app/x.c", '#include "ctl/command.h"\n'),
    ("daemon/core/x.c", '#include "local.h"\n'),
    ("daemon/attic/x.c", '#include "base/err.h"\n'),
], allowed=[
    ("daemon/core/x.c", '#include "base/err.h"\n#include "core/unit.h"\n#include <string.h>\n'),
    ("daemon/core/x.c", '/* #include "store/db.h" */\n'),
    ("daemon/link/x.c", '#include "engine/seal.h"\n'),
    ("daemon/ctl/x.c", '#include "engine/report.h"\n#include "store/db.h"\n#include "ctl/command.h"\n'),
    ("daemon/app/x.c", '#include "link/tls.h"\n#include "store/db.h"\n'),
    ("tests/unit/x.c", '#include "store/db.h"\n'),
])
