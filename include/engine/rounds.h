/* Rounds: reconciliation between a child and its parent, POST /v1/reconcile (design protocol §7).  The child drives, the
 * parent answers each round by itself and remembers nothing.  The byte-exact form stands in terrace-wire(7); what the
 * steps are in core/ranges.h. */
#ifndef ENGINE_ROUNDS_H
#define ENGINE_ROUNDS_H

#include "core/ranges.h"
#include "engine/contact.h"
#include "store/compared.h"

enum round_kind {
	ROUND_OPEN = 1,                  /* the sum of everything */
	ROUND_UNITS = 2,                 /* of the registers that differ, unit by unit */
	ROUND_RANGES = 3,                /* spans of keys */
	ROUND_FETCH = 4,                 /* the rows themselves */
};

enum round_verdict {
	ROUND_UNKNOWN,                   /* cannot be compared now: other policies, sums that are not up to date, a heal */
	ROUND_EQUAL,
	ROUND_DIFFERS,
	ROUND_MOVING,                    /* differs, and something is under way on the link */
};

enum fetch_flag {
	FETCH_MARK = 1,                  /* the rows pass once more, both ways */
	FETCH_STATES = 2,                /* the answer holds the states of the rows */
	FETCH_KEEP = 4,                  /* the parent keeps what differs, with the child's states */
	FETCH_FIRST = 8,
	FETCH_LAST = 16,
	FETCH_MORE = 32,                 /* with the last: rows were left out, they are too many */
};

enum round_purpose {
	ROUNDS_HEAL = 1,                 /* digests at rest differ: the rows that do pass both ways */
	ROUNDS_PLAN = 2,                 /* an administrator here asked */
	ROUNDS_PARENT = 4,               /* one at the parent asked */
};
enum ask { ASK_HELLO = 1, ASK_ROUNDS = 2 };      /* ids of ITEM_ASK */

/* Begins one when none is going on. */
void rounds_want(struct engine *e, enum round_purpose purpose);
void rounds_end(struct engine *e);       /* lets go of everything; NULL-safe */

/* Finds in the sorted list of digests by unit what differs; shared by both sides. */
#define ROUND_UNITS_MOST 4096u
struct unit_sum {
	uint64_t unit;
	uint8_t sum[RANGES_SUM];
};
/* The sums of a register's rows in scope, ascending; *ret_n > ROUND_UNITS_MOST: too many, none is given. */
int round_units(struct engine *e, struct reg *r, uint64_t scope, struct arena *a, struct unit_sum **ret, uint32_t *ret_n,
                struct err *err);
/* The sum over all registers that are compared with the peer. */
int round_total(struct engine *e, uint64_t peer, struct term *ret, uint64_t *ret_rows, uint64_t *ret_pending, struct err *err);

/* The rows agree and the sums do not: the sums are made anew. */
int round_recount(struct engine *e, uint64_t peer, struct err *err);

/* The rows of one register, for core/ranges.h. */
struct round_rows {
	struct engine *e;
	struct reg *reg;
	uint64_t scope, *units;
	uint32_t nunits;
	int64_t until_ms;
};
struct ranges_rows round_rows(struct round_rows *x);

/* The states of rows, deflated: varint raw length, then the bytes with their length.  Inside a transaction with an
 * empty log.  Rows beyond LIMIT_RECONCILE_CUT raw bytes are left out. */
struct round_key {
	struct reg *reg;
	struct cell key;
};
int round_states_put(struct engine *e, uint64_t peer, const struct round_key *keys, uint32_t n, struct buf *b, struct err *err);
/* Reads them and keeps each row as a difference with the peer, also those that the states do not speak of. */
int round_states_keep(struct engine *e, uint64_t peer, struct reader *r, const struct round_key *keys, uint32_t n,
                      struct err *err);

#endif
