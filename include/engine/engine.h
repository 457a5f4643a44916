/* Engine: everything that happens in one node, called by one thread (the ledger), with clock, randomness and
 * link as parameters, so that fifty nodes run in one test process.
 *
 * A link is six pairs of calls: one side makes a body, the other answers it, the first takes the answer.  Bodies
 * are bytes of terrace-wire(7); HTTP and the simulator carry them alike.  Every call is one or more transactions
 * that are committed when it returns 0; a body that is refused changes nothing but counters and events. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/clock.h"
#include "base/json.h"
#include "core/chain.h"
#include "core/sign.h"
#include "engine/space.h"
#include "core/version.h"

struct engine;

struct identity {                        /* what HOME/identity holds, read by app/ or made by a test */
	uint64_t unit;
	char line[65], name[193];
	uint64_t parent;                 /* unit of the parent; UNIT_NONE at the top */
	struct sign_key sign;
	struct buf tls_key_pem, chain_pem;
	struct chain chain;              /* of chain_pem */
};
void identity_release(struct identity *i);

struct engine_options {
	const char *database;            /* path of the registers' file */
	bool make;                       /* make the file where it is absent */
	const struct identity *identity; /* outlives the engine */
	struct source source;
	int seal_ms, seal_max_ms;        /* quiet time, and the longest wait */
	uint32_t space_soft_mb, space_hard_mb;   /* marks of the disk (engine/space.h); 0 = none */
	const char *const *urls;         /* what children dial, NULL-terminated; told in hello answers and invites */
	size_t bundle_cut;               /* bytes where a bundle is cut; 0 = LIMIT_BUNDLE_CUT */
	/* One line an event, for the log; may be NULL.  kind as `terracectl log --kind`; no personal data. */
	void (*event)(void *arg, int level, const char *kind, uint64_t peer, const char *segment, const char *text);
	/* This node's certificates were renewed (PEM, leaf first, checked): they are kept for the next start, and the
	 * identity with them is returned; the one before stays valid.  NULL: it could not be kept, see err. */
	const struct identity *(*renewed)(void *arg, struct slice chain_pem, struct err *err);
	void *arg;
};

int engine_open(const struct engine_options *o, struct engine **ret, struct err *err);
void engine_close(struct engine *e);             /* NULL is allowed */
/* From any thread: running calls return soon with ERR_STOPPING; what is committed stays. */
void engine_stop(struct engine *e);

/* Does what is due: looks for new log rows, seals, brings row terms up to date, checkpoints, reclaims.  Returns
 * the milliseconds until it wants to be called again.  `hint`: the file changed (inotify). */
int64_t engine_tick(struct engine *e, bool hint);
enum space engine_space(struct engine *e);       /* as found at the last tick */
int engine_seal(struct engine *e, struct err *err);      /* seals all that the log holds now */
/* A call ended with ERR_DAMAGED: whoever asked was refused; here an alarm says so, once a minute. */
void engine_say_damage(struct engine *e, const struct err *err);
int64_t engine_tree_time(struct engine *e);              /* seconds since 1970; 0 = not known yet */
/* What is kept for so many days is stamped with tree time; with the own clock while that is not known. */
int64_t kept_ms(struct engine *e);

/* ---- the link, child's side */
struct orders {                          /* what a hello's answer asks of the uplink */
	bool twin, hold;                 /* frozen: stop until an administrator acts; schema hold */
	bool again;                      /* say hello once more at once */
};
bool engine_push_ready(struct engine *e);        /* something waits to go up */
bool engine_hello_due(struct engine *e);         /* a hello is wanted now (first contact, 10 minutes at rest, sync) */
int engine_hello_make(struct engine *e, struct buf *body, struct err *err);
int engine_hello_take(struct engine *e, struct slice answer, struct orders *ret, struct err *err);
/* The next part of the outbox, then state up, at most about `most` bytes; empty = nothing to send. */
int engine_push_make(struct engine *e, size_t most, struct buf *body, struct err *err);
int engine_push_take(struct engine *e, int http_status, struct slice answer, struct err *err);
/* What the next GET names: after, its hash, the signed receipt for the Terrace-Receipt header (bytes). */
int engine_feed_make(struct engine *e, uint64_t *ret_after, struct digest *ret_hash, struct buf *receipt,
                     struct err *err);
int engine_feed_take(struct engine *e, struct slice body, struct err *err);

/* POST /v1/renew, from half the certificate's life on.  A status other than 200 is a refusal; it is asked again later. */
bool engine_renew_due(struct engine *e);
bool engine_upload_only(struct engine *e);       /* the certificate has expired: feed and reconciliation wait for the renewal */
int engine_renew_make(struct engine *e, struct buf *body, struct err *err);
int engine_renew_take(struct engine *e, int http_status, struct slice answer, struct err *err);
/* POST /v1/leave, when people asked for it and everything is settled; granted: by the answer, or by a word that this
 * certificate is revoked already. */
bool engine_leave_due(struct engine *e);
int engine_leave_make(struct engine *e, struct buf *body, struct err *err);
int engine_leave_take(struct engine *e, bool granted, struct err *err);
const struct identity *engine_identity(struct engine *e);        /* the one in force; on the engine's thread */

/* A reconciliation with the parent, POST /v1/reconcile, round by round; empty = nothing to ask now. */
bool engine_round_ready(struct engine *e);
int engine_round_make(struct engine *e, struct buf *body, struct err *err);
int engine_round_take(struct engine *e, int http_status, struct slice answer, struct err *err);

/* ---- the link, parent's side; peer is the unit that the connection's chain proved, upload_only an expired one */
int engine_hello_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer,
                        struct err *err);
/* On ERR_GAP the answer still holds a receipt that names the expected position. */
int engine_push_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer,
                       struct err *err);
int engine_round_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer,
                        struct err *err);
int engine_renew_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer, struct err *err);
int engine_leave_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer, struct err *err);
bool engine_feed_ready(struct engine *e, uint64_t peer);
/* Units for which engine_feed_ready may say otherwise than before, since the last call: their number, or more than
 * ENGINE_WOKEN where it may be any. */
#define ENGINE_WOKEN 32u
uint32_t engine_feed_woken(struct engine *e, uint64_t ret[ENGINE_WOKEN]);
/* Empty body: nothing waits (204). */
int engine_feed_answer(struct engine *e, const struct facts *peer, uint64_t after, const struct digest *hash,
                       struct slice receipt, size_t most, struct buf *body, struct err *err);
/* The deltas that the author, a unit in the peer's own scope (else ERR_SCOPE), sealed under that mark, without the first
 * `skip`: byte 1 (format), then each length-prefixed, the first always and more while they fit into `most`.  Empty: no more of them (204);
 * ERR_NOT_FOUND: none is kept. */
int engine_evidence_answer(struct engine *e, const struct facts *peer, uint64_t author, struct mark mark, uint32_t skip,
                           size_t most, struct buf *answer, struct err *err);
/* Whether a chain may connect: strict descendant issued by this node, not revoked; a copy the server may use
 * from its own threads is published through engine_revoked. */
/* A child whose chain was issued by this node already (an offline enrolment, tests) becomes a peer. */
int engine_welcome(struct engine *e, const struct chain *c, struct slice pem, struct err *err);
int engine_enroll_answer(struct engine *e, struct slice body, struct buf *answer, struct err *err);
/* Serial numbers revoked, as a sorted NUL-separated copy owned by the caller; called by the ledger after changes. */
int engine_revoked(struct engine *e, struct buf *ret, struct err *err);

/* ---- people: one command of terracectl as words, one JSON document back.  Commands that write run here (by the
 * control socket, on the ledger); those that only read are reports (engine/report.h).  actor: the login. */
int engine_command(struct engine *e, const char *const *words, uint32_t nwords, const char *actor, json_t **ret,
                   struct err *err);

#endif
