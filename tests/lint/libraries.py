#!/usr/bin/env python3
"""Libraries: each is known to named files only (architecture, Floors); a header of no listed library is a new one."""
import fnmatch
import re

import lint

# header pattern: files that may include it
KNOWN = {
    "sqlite3.h": ["daemon/store/*", "include/store/*"],
    "zlib.h": ["daemon/core/zip.c"],
    "sodium.h": ["daemon/core/sign.c", "daemon/core/digest.c", "daemon/core/box.c", "daemon/base/rand.c"],
    "gnutls/*": ["daemon/core/chain.c", "daemon/link/tls.c", "daemon/link/enrol.c"],
    "microhttpd.h": ["daemon/link/server.c"],
    "curl/*": ["daemon/link/dial.c"],
    "confuse.h": ["daemon/app/settings.c", "daemon/ctl/policy*.c"],
    "jansson.h": ["include/base/json.h", "daemon/base/json.c"],       # the one seam to it
    "systemd/*": ["daemon/app/service.c", "daemon/base/log.c"],
}
# What belongs to the C library and the kernel.
C_LIBRARY = re.compile(r"(arpa|linux|net|netinet|sys)/\w+\.h|(assert|ctype|dirent|endian|errno|fcntl|float|fnmatch|getopt|glob|grp|iconv|"
                       r"ifaddrs|inttypes|langinfo|libgen|limits|locale|malloc|math|netdb|poll|pthread|pwd|regex|sched|"
                       r"semaphore|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|"
                       r"stdnoreturn|string|strings|syslog|termios|threads|time|unistd|wchar|wctype)\.h")


def judge(files):
    for path, text in files.items():
        if not lint.is_c(path):
            continue
        for line, quote, header in lint.includes(text):
            homes = [h for pattern, h in KNOWN.items() if fnmatch.fnmatch(header, pattern)]
            if homes and not any(fnmatch.fnmatch(path, home) for home in homes[0]):
                yield "%s:%d: %s is known to %s only" % (path, line, header, ", ".join(homes[0]))
            elif quote == "<" and not homes and not C_LIBRARY.fullmatch(header):
                yield "%s:%d: <%s>: a library that tests/lint/libraries.py does not list" % (path, line, header)


lint.main(judge, caught=[
    ("daemon/link/x.c", "#include <sqlite3.h>\n"),
    ("include/core/zip.h", "#include <zlib.h>\n"),
    ("daemon/engine/seal.c", "#include <sodium.h>\n"),
    ("daemon/link/uplink.c", "#include <gnutls/gnutls.h>\n"),
    ("daemon/link/routes.c", "#include <microhttpd.h>\n"),
    ("daemon/ctl/main.c", "#include <curl/curl.h>\n"),
    ("daemon/core/policy.c", "#include <confuse.h>\n"),
    ("daemon/ctl/show.c", "#include <jansson.h>\n"),
    ("daemon/app/main.c", "#include <systemd/sd-daemon.h>\n"),
    ("daemon/core/x.c", "#include <openssl/ssl.h>\n"),
], allowed=[
    ("daemon/store/db.c", "#include <sqlite3.h>\n#include <sys/stat.h>\n#include <string.h>\n"),
    ("daemon/core/chain.c", "#include <gnutls/x509.h>\n"),
    ("daemon/ctl/policy_read.c", "#include <confuse.h>\n"),
    ("daemon/core/x.c", "/* <zlib.h> is known to zip.c */\n"),
])
