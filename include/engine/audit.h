/* Audit: the table itself against the hash of every row (design protocol §7); and mending what it found, or what a
 * reconciliation found to be damage: the same version, another value. */
#ifndef ENGINE_AUDIT_H
#define ENGINE_AUDIT_H

#include "engine/merge.h"
#include "store/findings.h"

/* One slice of a register, as seal_walk: rows of the table, then rows of the state that the table lacks.  What differs
 * is listed, nothing else happens.  In the caller's transaction, with an empty log and no term missing. */
int audit_walk(struct engine *e, struct reg *r, const struct cell *after, bool state_rows, uint32_t most, struct arena *a,
               struct cell *ret_last, uint32_t *ret_n, struct err *err);
/* The register has been looked at: an alarm where something was found. */
void audit_tell(struct engine *e, const struct reg *r);

#define ROW_MARK_SIZE 8
/* Eight bytes that change with whatever this node holds of the row, in state or table. */
int row_mark(struct state *s, struct table *t, struct reg *r, struct key key, struct arena *a, uint8_t ret[ROW_MARK_SIZE],
             struct err *err);

/* In merge_change, before the values are decided on: a state came of a row that was found damaged.  Where its values are
 * what the record's hash says, or the author's signed delta, they are the row's from now on (row->mend). */
int mend_row(struct merging *m, struct merging_row *row, const struct value *const *came, uint32_t n, struct err *err);
/* The same from the signed deltas that are kept here; *ret_mended. */
int mend_from_evidence(struct engine *e, struct reg *r, struct key key, bool *ret_mended, struct err *err);
/* This node's table stands: what it says of the row is sealed as if written now (captured-late).  ERR_REFUSED where its
 * level may not write it. */
int mend_keep(struct engine *e, struct reg *r, struct key key, struct err *err);

#endif
