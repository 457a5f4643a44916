/* Review's inside: an order about proposals while it is carried out; only daemon/engine/review*.c include this. */
#ifndef ENGINE_REVIEW_INSIDE_H
#define ENGINE_REVIEW_INSIDE_H

#include "engine/review.h"
#include "store/reports.h"

struct picked {                          /* one proposal as it was found; all in the order's arena */
	struct picked *next;
	int64_t id;
	struct reg *reg;
	struct cell key;
	uint32_t group;
	uint64_t author;
	struct slice value;
};

struct review {
	struct engine *e;
	bool accept, all;
	int64_t ids[256];
	uint32_t nids;
	const char *reg, *reason, *actor;
	uint64_t unit, count;
	bool has_count, has_sum;
	int64_t sum;

	struct arena arena;
	struct picked *picked, **tail;
	uint32_t npicked;
	struct merging m;
	struct ident by;                 /* the last decision */
	const struct picked *last;       /* the one decided before; a second one of its row needs a mark of its own */
	int64_t other;                   /* while telling what became of a number */
	bool decided;
};

/* The proposals that the order names, as they wait now; what became of a number that none of them has is the error. */
int review_find(struct review *v, struct err *err);
/* Decides on all that was found, inside the caller's transaction; ret_n: how many. */
int review_decide(struct review *v, uint64_t *ret_n, struct err *err);

#endif
