/* Server: the listening side.  libmicrohttpd's pool of two threads in poll mode reads requests, checks who asks,
 * spools the body and puts one job for the ledger; meanwhile the connection is suspended.  It comes back when the job
 * has answered, or when the server's clock finds its time over (a suspended connection is watched by nobody else), or
 * at the end.  Server threads never touch the engine.
 *
 * Refused before the body is read: unknown path 404, wrong method 405, no place in the tree 403, too large 413, no
 * Content-Length 400, the disk nearly full 507.  Full queue, or a child's share of it; too many tries, or connections of one child: 503 and
 * Retry-After.  Errors are JSON {"code", "message"}. */
#ifndef LINK_SERVER_H
#define LINK_SERVER_H

#include "link/ledger.h"
#include "link/spool.h"

#define SERVER_CONNECTIONS  4096         /* 2,000 children keep two each */
#define SERVER_JOB_MS       50000        /* a job is waited for no longer; below the client's idle limit */
#define SERVER_WAIT_MOST_MS 55000        /* a long poll */
#define SERVER_ANSWER_MOST  (1u << 20)   /* bytes of a feed answer unless the child asks for less */

struct server;
struct exchange;

enum route_flags {
	ROUTE_ANYBODY = 1,               /* no certificate is needed */
	ROUTE_EXPIRED = 2,               /* one expired for at most a year is enough */
	ROUTE_TRIES = 4,                 /* counted by address (tries.h) */
	ROUTE_BODY = 8,
	ROUTE_SPACE = 16,                /* refused with 507 before the body while the disk is nearly full */
};

struct route {
	const char *method, *path;
	unsigned int flags;
	size_t most;                     /* bytes of a body */
	/* On the ledger's thread: fills x->answer.  An error becomes its HTTP status and a JSON body, unless
	 * x->answer holds something.  Empty answer: 204. */
	int (*run)(struct engine *e, struct exchange *x, struct err *err);
	/* For long polls, else NULL: after an empty answer run is called again when this says so. */
	bool (*ready)(struct engine *e, struct exchange *x);
};

struct exchange {                        /* one request, as its handler sees it */
	const struct route *route;
	struct facts peer;               /* unit 0: nobody known */
	bool upload_only;
	struct slice body;
	int64_t wait_ms;                 /* how long an empty answer may wait */
	struct buf answer;
};

/* A value of the query or a header of the request; NULL where absent. */
const char *exchange_query(const struct exchange *x, const char *name);
const char *exchange_header(const struct exchange *x, const char *name);

struct server_options {
	const char *listen;              /* ADDRESS:PORT, [ADDRESS]:PORT; port 0 = any */
	const struct identity *identity;
	const char *spool;               /* a folder */
	const struct route *routes;      /* ended by a method of NULL */
	struct ledger *ledger;
	struct source source;
};

/* *ret is set on failure too: the ledger knows it by then, so it must be given to server_stop after ledger_stop. */
int server_start(const struct server_options *o, struct server **ret, struct err *err);
int server_port(const struct server *s);
/* Children are judged by this identity from now on; the one before stays valid.  From any thread.  What the server shows
 * itself is the key's first certificate: who dials looks at unit and key, and never at a date.  NULL is allowed. */
void server_identity(struct server *s, const struct identity *identity);
/* After ledger_stop: wakes and closes all.  NULL is allowed. */
void server_stop(struct server *s);

#endif
