/* Hello: the bodies of POST /v1/hello and what both sides conclude (design protocol §4, §6, §7).  The byte-exact
 * form stands in daemon/engine/hello.c. */
#ifndef ENGINE_HELLO_H
#define ENGINE_HELLO_H

#include "engine/contact.h"

enum hello_flag { HELLO_HEAL = 1 };      /* the child asks for a heal: it agrees to whatever numbers are named */

enum hello_order {
	ORDER_HEAL = 1,                  /* say hello again and ask for a heal */
	ORDER_WAIT = 2,                  /* the parent has to heal with its own parent first */
	ORDER_TWIN = 4,
	ORDER_HOLD = 8,
	ORDER_HEALED = 16,               /* the heal begins; its numbers follow */
	ORDER_RESTORED = 32,             /* the child's disk is a restored one: its next seal opens an epoch */
	ORDER_RANGES = 64,               /* digests differ: find the rows, and let them pass both ways (engine/rounds.h) */
};

#define HELLO_EPOCHS 64u
struct hello_epoch {
	uint32_t epoch, former;
	uint64_t tick;                   /* of `former`, at which epoch continues */
};

struct hello {                           /* its head */
	uint64_t flags;
	uint64_t number;                 /* counts the child's hellos, by the network and in bundles */
	uint64_t answered;               /* the last one whose answer it took */
	int64_t wall_ms;
	struct marks met;
	uint32_t epoch;
	uint64_t sealed;                 /* last tick that the child sealed itself */
	uint32_t nepochs;
	struct hello_epoch epochs[HELLO_EPOCHS];         /* newest first, each the former of the one before */
	uint64_t seq, acked;             /* outbox: last entry, and from where it will be sent */
	struct digest head, acked_head;
	uint64_t position;               /* feed */
	struct digest position_hash;
	uint64_t built, fed, waiting;    /* state up; waiting: entries, open cursors counted as one */
	struct digest fed_hash;
	uint64_t list;                   /* hash of the active policy list */
	uint64_t needs, pending;         /* rows asked from anybody; rows without a term in the digests */
	uint64_t log;                    /* 1: the log is not empty */
	uint64_t disk_mib;               /* free for the database; 0 = unknown */
};
void hello_put(struct buf *b, const struct hello *h);
void hello_get(struct reader *r, struct hello *ret);

struct hello_answer {                    /* its head */
	uint64_t orders;
	uint64_t number;                 /* the greatest hello of the child that was heard */
	int64_t tree_s;
	struct marks met;
	uint64_t received, position, built, fed;
	struct digest received_head, position_hash, fed_hash;
	struct heal_numbers heal;        /* where ORDER_HEALED */
	uint8_t digest;                  /* enum status_digest of core/status.h: what the comparison found; 255 = not compared */
	uint64_t ndiffer;                /* where they differ: registers, their names follow the head */
};
void hello_answer_put(struct buf *b, const struct hello_answer *a);
void hello_answer_get(struct reader *r, struct hello_answer *ret);

/* The same calls for a hello that travels in a bundle: it may be late, and so may its answer.  `again`: the bundle's
 * segments were taken meanwhile; nothing is judged again, digests at rest are compared. */
int hello_answer_late(struct engine *e, const struct facts *peer, struct slice body, bool again, struct buf *answer, struct err *err);
int hello_take_late(struct engine *e, struct slice answer, struct orders *ret, struct err *err);

/* ---- the subtree (engine/subtree.c): certificates and status of descendants */
int subtree_put(struct engine *e, bool own_certificate, struct buf *b, struct err *err);
/* learned: the units whose certificates are known now, as the answer names them; *ret_changed: direct children did. */
int subtree_take(struct engine *e, uint64_t peer, struct reader *r, struct buf *learned, bool *ret_changed, struct err *err);
int subtree_told(struct engine *e, struct reader *r, struct err *err);

#endif
