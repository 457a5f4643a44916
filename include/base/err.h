/* Errors: one table of codes, and one struct that is filled once, where the cause is known.
 *
 * A function that can fail returns int: 0, or a code of this table, and fills its `struct err *` (last
 * parameter, may be NULL) with a sentence that names the object and says what to do next.  Callers pass it on
 * unchanged; only the edge (engine event, HTTP answer, terracectl) prints it.  No personal data in a text. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_retry { RETRY_NEVER, RETRY_LATER, RETRY_NOW };

/*   code, name, retry class, HTTP status, exit status of terracectl */
#define ERR_TABLE(X) \
	X(NONE, "ok", NEVER, 200, 0) \
	X(USAGE, "usage", NEVER, 400, 2) \
	X(CONFIG, "config", NEVER, 500, 2) \
	X(IO, "io", LATER, 500, 4) \
	X(NOMEM, "no-memory", LATER, 503, 4) \
	X(DB, "database", LATER, 500, 4) \
	X(BUSY, "busy", LATER, 503, 4) \
	X(FULL, "disk-full", LATER, 507, 4) \
	X(LIMIT, "too-large", NEVER, 413, 4) \
	X(FORMAT, "malformed", NEVER, 400, 5) \
	X(SIGNATURE, "bad-signature", NEVER, 403, 5) \
	X(CHAIN, "no-place-in-the-tree", NEVER, 403, 5) \
	X(EXPIRED, "expired", NEVER, 403, 4) \
	X(SCOPE, "out-of-scope", NEVER, 403, 4) \
	X(GAP, "gap", NOW, 409, 4) \
	X(EQUIVOCATION, "equivocation", NEVER, 409, 5) \
	X(BAD_MARK, "bad-mark", NEVER, 409, 5) \
	X(BAD_STATE, "bad-state", NEVER, 400, 5) \
	X(POLICY, "policy", NEVER, 409, 4) \
	X(REFUSED, "refused", NEVER, 403, 4) \
	X(GONE, "gone", NEVER, 410, 4) \
	X(NOT_FOUND, "not-found", NEVER, 404, 4) \
	X(METHOD, "wrong-method", NEVER, 405, 4) \
	X(NOT_RUNNING, "not-running", NEVER, 503, 3) \
	X(NETWORK, "network", LATER, 502, 4) \
	X(DAMAGED, "damaged", NEVER, 500, 5) \
	X(STOPPING, "stopping", LATER, 503, 4) \
	X(SCHEMA, "schema", LATER, 409, 4) \
	X(HEAL, "heal-first", LATER, 409, 4) \
	X(BUG, "internal", NEVER, 500, 4)

enum err_code {
#define X(id, name, retry, http, status) ERR_##id,
	ERR_TABLE(X)
#undef X
	ERR_COUNT
};

struct err {
	int code;
	char text[600];
};

/* Fills *e (where not NULL) with code and the printf-like sentence; returns code. */
int err_set(struct err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts a printf-like prefix in front of the sentence that e holds already; returns e's code. */
int err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *err_name(int code);          /* "bad-signature" */
enum err_retry err_retry(int code);
int err_http(int code);
int err_exit(int code);
int err_from_name(const char *name);     /* ERR_BUG where no code has that name */

#endif
