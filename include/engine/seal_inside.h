/* Seal's inside: what engine/seal.c, seal_unit.c, seal_rules.c and adopt.c share.  cells: of all columns of m->reg, as the
 * table has them. */
#ifndef ENGINE_SEAL_INSIDE_H
#define ENGINE_SEAL_INSIDE_H

#include "engine/merge.h"

/* One row to look at, with what the log says of it. */
struct look {
	struct reg *reg;
	struct key key;
	bool whole;                      /* look at all columns, else at `columns` */
	bool gone_only;                  /* an audit's second round: only rows that the table has no more */
	bool columns[LIMIT_COLUMNS];
	struct cell *old, *last;         /* by place in reg->columns: what stood, and what a row that went had */
	bool *has_old;
};

/* One mark a slice: the counter stands above every mark of this level that is held, and a slice has each row once. */
int seal_mark(struct merging *m, struct mark *ret, struct err *err);
struct cell *seal_cells(struct merging *m, const struct group *g, const struct cell *cells);
bool seal_at_default(const struct reg *r, const struct group *g, const struct cell *cells);
bool seal_shows(const struct reg *r, const struct group *g, const struct value *v, const struct cell *cells);
/* A row that is not held: group row and the groups that differ from their defaults, as this level may write them. */
int seal_insert(struct merging *m, struct merging_row *row, const struct cell *cells, struct err *err);
/* The table as it has to be: columns of `mask` get `cells`. */
int seal_put_back(struct merging *m, struct merging_row *row, const bool *mask, const struct cell *cells, struct err *err);
/* A row that this level may not make goes from the table, unless another row refers to it: then it stays, is not
 * sealed, and is an issue for people. */
int seal_take_out(struct merging *m, struct merging_row *row, struct err *err);

/* ---- engine/seal_unit.c: the unit that a row names, and moves */
/* UNIT_NONE with a sentence where it is NULL, malformed, unknown or out of this node's scope. */
uint64_t seal_unit(struct engine *e, const struct reg *r, const struct cell *cells, const char **ret_say);
/* The row stays in the table, is not sealed, and is an issue for people. */
int seal_bad_unit(struct merging *m, struct merging_row *row, const char *say, struct err *err);
/* The unit column of a row that stands was written: a move, an issue, or back with a return. */
int seal_move(struct merging *m, struct merging_row *row, const struct cell *cells, struct err *err);

/* ---- engine/seal_rules.c: what this level's own rules refuse of its clerks' writes */
/* A new row of that unit: *ret_refused, taken out with a return to the node itself. */
int seal_judge_insert(struct merging *m, struct merging_row *row, uint64_t unit, const struct cell *cells,
                      bool *ret_refused, struct err *err);
/* A changed row: what is refused is put back with a return, and leaves *wanted (bit 1 << group) and *moved. */
int seal_judge_update(struct merging *m, struct merging_row *row, const struct look *look, uint64_t unit,
                      const struct cell *cells, uint64_t *wanted, bool *moved, struct err *err);

#endif
