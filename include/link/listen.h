/* Listening sockets by their text in terraced.conf: ADDRESS:PORT or [ADDRESS]:PORT, numeric; empty or * = every address. */
#ifndef LINK_LISTEN_H
#define LINK_LISTEN_H

#include "base/err.h"

int listen_check(const char *where, struct err *err);    /* the form only; ERR_CONFIG */
/* Non-blocking, closed on exec.  Port 0: the system chooses; *ret_port is the real one.  ERR_BUSY: in use. */
int listen_on(const char *where, int *ret_fd, int *ret_port, struct err *err);

#endif
