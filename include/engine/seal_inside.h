/* Seal's inside: the log slice by slice (seal.c), one row (seal_row.c), its unit
 * (seal_unit.c), what goes back because this level does not decide
 * it (seal_back.c), and what this level's own rules refuse (seal_rules.c); adopt.c uses them.
 * cells: of all columns of m->reg, as the table has them. */
#ifndef ENGINE_SEAL_INSIDE_H
#define ENGINE_SEAL_INSIDE_H

#include "engine/merge.h"

/* One row to look at, with what the log says of it.  Arrays are by place in reg->columns, then reg->local. */
struct look {
	struct reg *reg;
	struct key key;
	bool whole;                      /* look at all columns, else at `columns` */
	bool gone_only;                  /* an audit's second round: only rows that the table has no more */
	bool columns[LIMIT_COLUMNS];
	struct cell *old, *last;         /* what stood, and what a row that went had */
	bool *has_old;
	int64_t rest;                    /* the slice ends here, and more of the row may follow; 0 = the log ends */
	bool back[LIMIT_COLUMNS];        /* these columns go back to `old` */
	bool goes_back;                  /* some do, or the row did: what the log still says of it is done with */
	bool orphan;                     /* it may not be in the table now: its parent is missing */
};

/* An empty look at a row, in the row's arena. */
int seal_look(struct merging *m, struct reg *r, struct cell key, struct look *look, struct err *err);
/* What the log says of the row after look->rest, too. */
int look_rest(struct merging *m, struct look *look, struct err *err);

/* ---- engine/seal_row.c */
int seal_row(struct merging *m, struct look *look, struct err *err);
/* Of a row that stays: what of `cells` is another than what stood becomes own writes, or goes back. */
int seal_update(struct merging *m, struct merging_row *row, struct look *look, const struct cell *cells, struct err *err);
/* One mark a slice: the counter stands above every mark of this level that is held, and a slice has each row once. */
int seal_mark(struct merging *m, struct mark *ret, struct err *err);
struct cell *seal_cells(struct merging *m, const struct group *g, const struct cell *cells);
bool seal_at_default(const struct reg *r, const struct group *g, const struct cell *cells);
bool seal_shows(const struct reg *r, const struct group *g, const struct value *v, const struct cell *cells);
/* A row that is not held: group row and the groups that differ from their defaults, as this level may write them; back_end
 * ends it. */
int seal_insert(struct merging *m, struct merging_row *row, struct look *look, const struct cell *cells, struct err *err);

/* ---- engine/seal_unit.c: the unit that a row names, and moves */
/* UNIT_NONE with a sentence where it is NULL, malformed, unknown or out of this node's scope. */
uint64_t seal_unit(struct engine *e, const struct reg *r, const struct cell *cells, const char **ret_say);
/* The row is not sealed, and is an issue for people. */
int seal_bad_unit(struct merging *m, struct merging_row *row, const char *say, struct err *err);
/* The unit column of a row that stands was written: a move, a proposal to move, an issue, or back with a return. */
int seal_move(struct merging *m, struct merging_row *row, struct look *look, const struct cell *cells, struct err *err);

/* ---- engine/seal_back.c */
/* The decision of a group that this level does not decide, with the cells that stood before the clerk typed. */
int back_stood(struct merging *m, struct merging_row *row, uint32_t g, const struct look *look, const struct cell *cells,
               struct err *err);
/* The group's typed columns go back to what stood. */
void back_group(const struct reg *r, uint32_t g, struct look *look);
/* A return to the node itself: `lost` is what it may not write.  say: both languages. */
int back_return(struct merging *m, struct merging_row *row, struct value *lost, const struct value *kept, const char *why,
                const char *say, struct err *err);
/* A move that this level may not make goes back. */
int back_unit(struct merging *m, struct merging_row *row, struct look *look, struct err *err);
/* A delete that this level may not make: the row is back as it stood, with this level's own edits before it went; where
 * it may suggest it, a proposal to delete is open. */
int back_delete(struct merging *m, struct merging_row *row, struct look *look, bool propose, struct err *err);
/* A row that this level may not make goes from the table, unless another row refers to it: then it stays, is not
 * sealed, and is an issue for people. */
int seal_take_out(struct merging *m, struct merging_row *row, struct err *err);
/* The row ends: what goes back is written, or the row waits in quarantine where the table refuses it. */
int back_end(struct merging *m, struct merging_row *row, struct look *look, struct err *err);

/* ---- engine/seal_rules.c: what this level's own rules refuse of its clerks' writes */
/* A new row of that unit: *ret_refused, taken out with a return to the node itself. */
int seal_judge_insert(struct merging *m, struct merging_row *row, uint64_t unit, const struct cell *cells,
                      bool *ret_refused, struct err *err);
/* A changed row: what is refused goes back with a return, and leaves *wanted (bit 1 << group) and *moved. */
int seal_judge_update(struct merging *m, struct merging_row *row, struct look *look, uint64_t unit,
                      const struct cell *cells, uint64_t *wanted, bool *moved, struct err *err);

#endif
