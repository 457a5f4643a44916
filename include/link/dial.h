/* Dialer: the side that dials, and the only file that knows libcurl.  One dialer belongs to one thread; it has lanes,
 * each with one request under way.  Before the first byte of a request the other end's chain is checked (tls.h); a
 * public CA or a host name counts for nothing.  A request that fails on a kept connection is repeated once on a new
 * one.  Connecting and idling have deadlines. */
#ifndef LINK_DIAL_H
#define LINK_DIAL_H

#include "engine/engine.h"
#include "link/spool.h"

#define DIAL_CONNECT_MS 30000
#define DIAL_IDLE_S     75               /* no byte either way; above the server's SERVER_JOB_MS and SERVER_WAIT_MOST_MS */

struct dialer;
struct lane;

struct dial_options {
	const struct identity *identity; /* the certificate shown, and whose parent is expected; NULL: pin instead */
	const struct digest *pin;        /* at enrolment: the key expected, no certificate is shown */
	const char *proxy;               /* "" = none; the environment is never asked */
	uint32_t rate_kbps;              /* 0 = as fast as it goes; each way */
	struct spool_room *room;         /* for the answers */
};

struct dial_request {
	const char *url;                 /* https://HOST:PORT/path?query; copied */
	bool post;
	struct slice body;               /* of a post; stays valid until the end */
	const char *receipt;             /* header Terrace-Receipt, or NULL; copied */
	size_t most;                     /* bytes of the answer */
};

struct dial_answer {
	int status;                      /* HTTP status; 0: none came, see lane_take's error */
	int64_t retry_after_s;           /* 0 = not said */
	struct slice body;               /* valid until the lane's next start */
	struct chain peer;               /* with a pin: the chain the other end showed */
};

int dialer_new(const struct dial_options *o, struct dialer **ret, struct err *err);
/* From the next request on another identity, on connections of its own; lanes are idle or cancelled. */
int dialer_identity(struct dialer *d, const struct identity *identity, struct err *err);
void dialer_free(struct dialer *d);      /* ends what is under way; NULL is allowed */
int lane_new(struct dialer *d, struct lane **ret, struct err *err);      /* freed with the dialer */
int lane_start(struct lane *l, const struct dial_request *r, struct err *err);
void lane_cancel(struct lane *l);
bool lane_busy(const struct lane *l);
/* Once after a request has ended: false = nothing new.  *ret_code 0 or ERR_NETWORK, ERR_CHAIN, ERR_LIMIT … */
bool lane_take(struct lane *l, struct dial_answer *ret, int *ret_code, struct err *err);
void dialer_run(struct dialer *d, int64_t most_ms);       /* moves bytes; returns when a lane ended, woken or in time */
void dialer_wake(struct dialer *d);      /* from any thread */
/* The message of a JSON error body for people, else its status. */
void dial_message(const struct dial_answer *a, char *ret, size_t size);

#endif
