/* Report: the commands that only read.  Each opens the registers' file read-only, reads in one transaction and answers
 * one JSON document; the daemon may run or not.  Times are RFC 3339 UTC, units twelve digits, counts integers. */
#ifndef ENGINE_REPORT_H
#define ENGINE_REPORT_H

#include "base/json.h"
#include "core/chain.h"

struct report_home {                     /* what settings and identity say; outlives the call */
	const char *database;
	uint64_t unit, parent;           /* parent UNIT_NONE: the top, or not enrolled yet */
	enum level level;
	const char *name, *url;          /* url: what this node dials; NULL = nothing */
	const struct chain *chain;       /* of its own certificate; NULL = none yet, or not readable */
	const char *chain_error;         /* why a chain that is there does not read; NULL = it does, or there is none */
	int64_t now_ms;                  /* wall time, for ages */
	uint32_t space_soft_mb, space_hard_mb;   /* marks of the disk (engine/space.h); 0 = none */
	void (*progress)(void *arg, const char *what, uint64_t done);    /* of a long report; may be NULL */
	void *arg;
	struct slice fetched;            /* segments that a superior sent (terrace-wire(7), evidence); for `why --evidence` */
};

/* words: the command and its options, as typed.  *ret_exit: 0, 1 = something was found, 5 = not authentic.  The
 * document is the caller's. */
int report_run(const struct report_home *home, const char *const *words, uint32_t n, json_t **ret, int *ret_exit,
               struct err *err);
/* Whether these words are a report's. */
bool report_has(const char *const *words, uint32_t n);

#endif
