/* Compared: what is known of differences with the neighbours: what the last comparison of digests found, register by
 * register and unit by unit, and how far the healing of a difference has come. */
#ifndef STORE_COMPARED_H
#define STORE_COMPARED_H

#include "store/catalog.h"

/* What a comparison found of a register (unit UNIT_NONE: of all rows that both have): "equal", "differs". */
int compared_put(struct db *db, uint64_t peer, const char *reg, uint64_t unit, const char *found, int64_t at_ms,
                 struct err *err);
int compared_each(struct db *db, uint64_t peer,
                  int (*fn)(void *arg, const char *reg, uint64_t unit, const char *found, int64_t at_ms), void *arg,
                  struct err *err);
/* Forgets what was found of single units; all: of the registers too. */
int compared_forget(struct db *db, uint64_t peer, bool all, struct err *err);

/* A row that a reconciliation with the peer found different; held: the peer has it; body: a raw payload with its state
 * (core/change.h), empty where it was not told. */
struct difference {
	uint32_t reg;                    /* its number */
	struct cell key;
	bool held;
	struct slice body;
};
int difference_put(struct db *db, uint64_t peer, const struct difference *d, int64_t at_ms, struct err *err);
int difference_each(struct db *db, uint64_t peer, int (*fn)(void *arg, const struct difference *d), void *arg, struct err *err);
bool difference_any(struct db *db);
bool difference_has(struct db *db, uint64_t peer, const struct reg *r, struct cell key);
int difference_forget(struct db *db, uint64_t peer, struct err *err);

/* How far a difference at rest has been healed. */
enum mending {
	MENDING_NONE,
	MENDING_ROWS,                    /* the child is to look for the rows that do */
	MENDING_TRIED,                   /* it found them, and they passed both ways */
	MENDING_AGAIN,                   /* once more: if no row differs now, a sum is wrong */
	MENDING_TRIED_AGAIN,
	MENDING_ALL,                     /* that did not help: everything passed once more */
};
int mending_get(struct db *db, uint64_t peer, enum mending *ret, int64_t *ret_at_ms, struct err *err);
int mending_put(struct db *db, uint64_t peer, enum mending m, int64_t at_ms, struct err *err);

#endif
