/* Terms: the hash of every living row and, per (register, unit), their sum (design protocol §7).
 *
 * A row's term is 16 bytes of BLAKE2b over: format 1, register name, key, unit, life, version of group row, count and
 * per group with a decision (in the order of their names) name, version, and its columns that differ from the
 * declared default (in the order of their names) as name and cell; then the open proposals (by group name and author)
 * as stored values.  Marks are written out, local numbers never.  Saving a row subtracts its term; terms_hash
 * adds the new one, outside that transaction, with an empty log. */
#ifndef STORE_TERMS_H
#define STORE_TERMS_H

#include "store/table.h"

/* Adds missing terms, at most `most` rows; *ret_left: rows still without.  In the caller's transaction. */
int terms_hash(struct state *s, struct table *t, const struct catalog *c, uint64_t scope, uint32_t most,
               uint64_t *ret_left, struct err *err);
uint64_t terms_pending(struct state *s);         /* rows without a term, as known */
/* Sum, rows and rows without a term of all units in `scope` of one register. */
int terms_digest(struct state *s, struct reg *r, uint64_t scope, struct term *ret, uint64_t *ret_rows,
                 uint64_t *ret_pending, struct err *err);
/* The same unit by unit. */
int terms_each(struct state *s, struct reg *r,
               int (*fn)(void *arg, uint64_t unit, const struct term *sum, uint64_t rows, uint64_t pending), void *arg,
               struct err *err);
/* The term of a loaded row as state and table say it now; its cells are filled. */
int terms_row(struct state *s, struct table *t, struct held *h, struct arena *a, struct term *ret, struct err *err);

/* The sums of a register anew, from the terms of its rows: where rows agree and sums do not.  *ret_changed: they were
 * wrong.  Walks over every row. */
int terms_recount(struct state *s, struct reg *r, uint64_t scope, bool *ret_changed, struct err *err);

#endif
