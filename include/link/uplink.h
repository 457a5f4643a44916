/* Uplink: the thread that keeps the link to the parent: hello, then side by side what waits to go up and the feed (a
 * long poll), until something fails; then the next address, and after the last one a pause with jitter.  It never
 * touches the engine but through the ledger.  The log hears of the link at most once a minute.  A body that the line did
 * not carry whole is followed by shorter ones, so that a line that breaks often carries all the same.
 *
 * interval > 0: a contact every that many seconds, over when nothing waits either way.  window: outside it only
 * UPLINK_SMALL bytes an hour go each way, so that small changes still travel and bulk waits. */
#ifndef LINK_UPLINK_H
#define LINK_UPLINK_H

#include "link/ledger.h"

#define UPLINK_PART  (1u << 20)          /* about the bytes of one feed answer */
#define UPLINK_PUSH  (256u << 10)        /* and of one push: the parent takes little at a time (engine/push.h) */
#define UPLINK_SMALL (1u << 20)

struct uplink;

struct uplink_options {
	const struct identity *identity;
	struct ledger *ledger;
	const char *const *urls;         /* NULL-terminated, tried in turn */
	const char *proxy;
	uint32_t interval_s, rate_kbps;
	int window_from, window_until;   /* minutes of the local day; equal = always */
	const char *spool;
	struct source source;
};

int uplink_start(const struct uplink_options *o, struct uplink **ret, struct err *err);
void uplink_poke(struct uplink *u);      /* contact now, whatever pause is on; from any thread; NULL is allowed */
void uplink_stop(struct uplink *u);      /* a job it waits for is answered first; NULL is allowed */

/* For status: since when and how the link stands; text is what failed last, "" where nothing did. */
struct uplink_state {
	bool joined;
	char url[256], text[300];
	int64_t since_ms, next_ms;       /* wall time; next_ms 0 = under way */
};
void uplink_state(struct uplink *u, struct uplink_state *ret);

#endif
