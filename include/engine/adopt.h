/* Adopt: rows that stood in the application's table before their policy came (design adoption.md 7).
 *
 * While a register waits, the superior's rows are held in the state and wait in quarantine, so that both sides can be
 * compared here.  `keep` says what happens to a group that both have and that differs:
 *   mine      a decision on top of the superior's (a proposal where this level may only propose)
 *   superior  the superior's stays; the local value becomes a record
 *   review    a proposal; the superior's is shown until it is accepted
 * A group that this level only reads is always the superior's.  Nothing is lost: what does not stay is on record. */
#ifndef ENGINE_ADOPT_H
#define ENGINE_ADOPT_H

#include "engine/merge.h"

enum adopt_side { ADOPT_EQUAL, ADOPT_DIFFERS, ADOPT_ONLY_HERE, ADOPT_ENDED, ADOPT_ELSEWHERE };

/* How a row of the table stands against what is held; the held cells are filled.  ENDED: the superior deleted it;
 * ELSEWHERE: the key belongs to a row of another unit, out of this node's scope. */
enum adopt_side adopt_compare(const struct reg *r, const struct held *held, uint64_t scope, const struct cell *cells);

/* One row of the table that is not adopted yet, by r->adoption.  In the caller's pass. */
int adopt_row(struct merging *m, struct merging_row *row, const struct cell *cells, struct err *err);

/* The register waits (its table has rows) or, where the table is empty, begins at once. */
int adopt_wait(struct engine *e, struct reg *r, struct err *err);
/* Registers that wait and whose table is empty by now begin.  In the caller's transaction. */
int adopt_look(struct engine *e, struct err *err);
/* keep by register; triggers stand from now on, the rows are walked by the next ticks. */
int adopt_begin(struct engine *e, struct reg *r, enum adoption keep, const char *actor, struct err *err);
/* `adopt`: the policy list that the plan was made under (16 hexadecimal digits), then REGISTER=keep, one a register. */
int adopt_apply(struct engine *e, const char *const *words, uint32_t n, const char *actor, json_t **ret, struct err *err);
/* One slice of n rows is done; the last is. */
int adopt_step(struct engine *e, const struct reg *r, uint32_t n, struct err *err);
int adopt_end(struct engine *e, const struct reg *r, struct err *err);

#endif
