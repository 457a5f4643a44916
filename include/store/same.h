/* Same: rows of a register that name the same identity (policy, identity = { … }), wherever they are entered.
 *
 * An index of ours on the application's table (terrace_i<register>) finds them; terrace_duplicate remembers which rows
 * were found more than once, under a hash of the identity, so that a row that stops being one lets the others go. */
#ifndef STORE_SAME_H
#define STORE_SAME_H

#include "store/catalog.h"
#include "core/digest.h"

/* Makes the index where the policy names an identity, takes it away where it does not; *ret_made: it is new, and what
 * was remembered under another one is forgotten. */
int same_index(struct db *db, const struct reg *r, bool *ret_made, struct err *err);
/* The identity of a row with these cells (by place in r->columns): its columns' cells and their hash; false where the
 * register has none, or a column is NULL or an empty text. */
bool same_identity(const struct reg *r, const struct cell *cells, struct arena *a, struct cell **ret, struct term *ret_hash);
/* At most `most` keys of rows of the table that have it. */
int same_rows(struct db *db, const struct reg *r, const struct cell *identity, uint32_t most, struct arena *a,
              struct key **ret, uint32_t *ret_n, struct err *err);
/* At most `most` keys of rows whose identity occurs more than once. */
int same_twice(struct db *db, const struct reg *r, uint32_t most, struct arena *a, struct key **ret, uint32_t *ret_n,
               struct err *err);

/* ---- found more than once */
int duplicate_put(struct db *db, const struct reg *r, struct cell key, const struct term *hash, struct err *err);
/* *ret_found false: the row was not. */
int duplicate_get(struct db *db, const struct reg *r, struct cell key, struct term *ret, bool *ret_found, struct err *err);
int duplicate_drop(struct db *db, const struct reg *r, struct cell key, struct err *err);
int duplicate_each(struct db *db, const struct reg *r, const struct term *hash, uint32_t most, struct arena *a,
                   struct cell **ret, uint32_t *ret_n, struct err *err);

#endif
