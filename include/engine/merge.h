/* Merge: the narrow waist.  Seal, receive, review, heal, restore and bundle all end here, and nothing else writes
 * state.  One merging is one pass over one payload or one slice of the log, inside one transaction. */
#ifndef ENGINE_MERGE_H
#define ENGINE_MERGE_H

#include "engine/self.h"

struct touched {                         /* a row whose foreign keys are looked at before the end */
	struct touched *next;
	struct reg *reg;
	struct key key;
	bool deleted;
	bool left;                       /* it lives, but not in this node's scope any more */
	bool fresh, broken;              /* the pass put it into the table; it breaks a key */
};

struct reported {                        /* lists an author reported active, for rule 1 */
	uint64_t author;
	uint32_t n;
	struct mark *marks;
	uint64_t *lists;
};

struct mode_known {                      /* a mode asked for before in this pass */
	const struct reg *reg;
	uint64_t policy;
	uint32_t group;
	enum right right;
	enum level level;
	enum mode mode;
};

struct merging {
	struct engine *e;
	const struct arrival *from;
	struct counts *counts;
	struct rule_context context;
	struct arena row;                /* of one row; reset between rows */
	struct arena pass;               /* of the pass: own changes, touched rows */
	struct reg *reg;                 /* of the row at hand */
	struct cell key;                 /* its key in one cell */
	struct merging_row *at;          /* the row at hand, and the values of the change that is being decided */
	const struct value **incoming;
	uint32_t nincoming;
	bool judged;                     /* the rules were asked about this change, and what refuses it says so */
	const char *judged_say;
	struct err trouble;              /* of a question that the rule asked */
	struct reported reported;
	struct mode_known modes[16];
	struct state_builder own[LEVELS];        /* own writes by ceiling, sealed at the end */
	struct touched *touched;
	const struct touched *waiting;   /* rows that an earlier pass found breaking a foreign key: straight to quarantine */
	bool awaits;                     /* rows were asked of the sender of this state */
	bool damaged;                    /* rows were found damaged: a state may mend them (engine/audit.h) */
	bool table_stands;               /* own writes of the application: the table says so already */
	bool walk;                       /* sealing rows that no trigger named */
	uint64_t decider;                /* of a record that tells of another's decision; UNIT_NONE: this node */
	struct ident asked;              /* vouched_state's last question and its answer */
	bool asked_kept;
	bool open_records;               /* records are open: what comes to stand may end them (engine/closing.c) */
	bool adopting;                   /* rows that stood before their policy came: the table is written where it lags */
	bool review;                     /* adopting: what this level might decide becomes a proposal */
	bool retrying;                   /* what the table refuses again stays in quarantine as it is */
	struct mark batch;               /* sealing: one mark for the slice; tick 0 = not minted yet */
	uint32_t late;                   /* CHANGE_LATE for what an audit found */
};

enum mending_kind {
	MEND_NONE,
	MEND_TABLE,                      /* the table is written as the record says */
	MEND_STATE,                      /* that too, and the row's hash is made anew */
};

/* The row as it was before, and what is due for it. */
struct merging_row {
	struct held held;
	bool stood;                      /* it lived in this node's scope */
	uint64_t unit;
	struct ident life;
	const struct value **decisions;  /* of the standing life, by group, as they were */
	const struct value **shown;      /* what the table shows, by group */
	enum mending_kind mend;          /* (engine/audit.h) */
	uint64_t up;                     /* the row becomes dirty for the parent */
	uint64_t down[2];                /* children */
	uint64_t groups[2];
	bool inserted;                   /* into the table, by this pass */
	const char *refused;             /* sealing: why the table did not take back what stands; it waits in quarantine */
	uint32_t nown;                   /* own parts of this row, for the delta */
	struct value own[LIMIT_GROUPS];
};

int merging_begin(struct merging *m, struct engine *e, const struct arrival *from, struct counts *counts);
int merging_load(struct merging *m, struct reg *r, struct key key, struct merging_row *row, struct err *err);
/* Puts a value in its place and does what follows its verdict (NULL: an own write) for records and children. */
int merging_accept(struct merging *m, struct merging_row *row, const struct value *v, const struct verdict *verdict,
                   struct err *err);
/* One write of this node itself, already fit to stand: put, recorded, dirty for the children, and part of the delta
 * (`sent` = what travels where that is less than the whole group; NULL = value). */
int merging_own(struct merging *m, struct merging_row *row, const struct value *value, const struct value *sent,
                struct err *err);
/* State, table (unless table_stands), quarantine, dirty entries of the row. */
int merging_end_row(struct merging *m, struct merging_row *row, struct err *err);
/* The row's standing values go to quarantine: the table does not take them now. */
int merging_set_aside(struct merging *m, struct merging_row *row, bool stands, const char *why, struct err *err);
/* (engine/strand.c) What refers to a row that has left goes from the table to quarantine; *ret_done false: some of it
 * cannot, nothing more is done. */
int merging_strand(struct merging *m, struct reg *r, struct key key, bool *ret_done, struct err *err);
/* Seals the own changes of the pass. */
int merging_end(struct merging *m, struct err *err);
void merging_release(struct merging *m);
/* A fresh value and version in the row's arena for this node's own write on top of `base` (NULL = over nothing).  A
 * proposal has seen this node's older one, whatever it is built on: else it might never take its place. */
struct value *merging_value(struct merging *m, const struct merging_row *row, const struct value *base, uint32_t group,
                            struct ident life, enum kind kind, bool acting, struct mark own, struct err *err);
int merging_record(struct merging *m, const struct merging_row *row, const struct value *lost, const struct value *kept,
                   const char *kind, int rule, const char *why, const char *say, struct err *err);
/* The group's defaults, ret_n of them: what stands where nobody has decided. */
const struct cell *merging_defaults(struct merging *m, uint32_t group, uint32_t *ret_n);

/* ---- engine/closing.c: records that end by themselves */
/* v has come to stand in the row: records of the same group end as `resolved` where the decision held carries the loser's
 * value, as `replaced` where v is a later value of the loser's author, or decides on one. */
int closing_value(struct merging *m, struct merging_row *row, const struct value *v, struct err *err);
/* A record has come from above, perhaps behind what ends it. */
int closing_arrived(struct engine *e, const struct record *r, struct err *err);
/* v decides on this node's own proposal: an event says so; where a subordinate rejects it, its return is made here (records
 * travel downwards only).  before: the decision that v took the place of. */
int closing_answer(struct merging *m, struct merging_row *row, const struct value *v, const struct value *before, bool came,
                   struct err *err);
/* Two values of one group that say the same (of what both say) never make a conflict. */
bool closing_same(const struct value *a, const struct value *b);
/* Why a value was refused, for people, where no rule has a sentence of its own; in the arena of the row. */
const char *closing_sentence(struct merging *m, const struct merging_row *row, enum why why);

/* ---- engine/vouched.c: issues beside the records */
/* v came as state from a child: an issue where it comes to stand and its author's signed delta is not kept here. */
int vouched_state(struct merging *m, const struct merging_row *row, const struct value *v, enum verdict_name verdict,
                  struct err *err);
/* v, whose write is held already, came as delta: such an issue ends; one that says another thing is an alarm. */
int vouched_delta(struct merging *m, struct merging_row *row, const struct value *v, struct err *err);
/* Two units entered one key; v was refused for it. */
int vouched_clash(struct merging *m, const struct merging_row *row, const struct value *v, struct err *err);

/* A merging whose rule asks what a payload's does. */
void merge_begin(struct merging *m, struct engine *e, const struct arrival *from, struct counts *counts);
/* Adds to *waiting (in `keep`) the touched rows that break a foreign key, and what depends on them: rows new to the table
 * are taken out of it meanwhile, so where *ret_found is true the caller goes back to its savepoint. */
int merge_breaking(struct merging *m, struct touched **waiting, struct arena *keep, bool *ret_found, struct err *err);

/* ---- engine/retry.c: rows that wait in quarantine are tried again, in the order of their entries; those that were
 * given up are not. */
struct retry {
	uint32_t most;                   /* entries looked at */
	int64_t after;                   /* behind which entry; afterwards behind which to go on, 0: the end was reached */
	uint32_t applied;                /* how many the table took */
};
int merge_retry(struct engine *e, struct retry *t, struct err *err);
int merge_retry_row(struct engine *e, struct reg *r, struct cell key, struct err *err);  /* 0 also where it still waits */

/* ---- engine/via.c: rows whose unit is that of the row they refer to */
/* The unit of the row of r->parent that a cell refers to, while it lives in this node's scope; else UNIT_NONE. */
int via_unit(struct engine *e, const struct reg *r, struct cell refers, struct arena *a, uint64_t *ret, struct err *err);
/* Before a row that came ends: it follows its parent row. */
int via_row(struct merging *m, struct merging_row *row, struct err *err);
/* A row ends that others take their unit from: they are looked at by via_settle. */
int via_note(struct merging *m, const struct merging_row *row, struct err *err);
/* Before the pass ends: the dependents of every row noted follow. */
int via_settle(struct merging *m, struct err *err);
/* The same alone, for what no pass came to, in the caller's transaction with an empty log. */
int via_tick(struct engine *e, struct err *err);

/* ---- engine/wire.c */
/* Index of the register in the builder, with all its groups and columns; UINT32_MAX = memory. */
uint32_t wire_register(struct engine *e, struct state_builder *b, struct reg *r);
/* The part that says v; false = memory. */
bool wire_part(struct state_builder *b, const struct reg *r, const struct value *v, struct part *ret);
/* Room for one change more. */
struct change *wire_change(struct state_builder *b);
/* What each register of a payload is here; its index is the payload's.  NULL = memory. */
struct wire_map {
	struct reg *reg;                 /* NULL: not known here */
	struct group **groups;           /* by the payload's index of the group; NULL: not known here */
	uint32_t **columns;              /* by group and the payload's index of the column: its place; UINT32_MAX: not known */
};
const struct wire_map *wire_maps(struct engine *e, const struct payload *p, struct arena *a);
/* The local value that a part says, in the arena; ERR_SCHEMA where the group is not known here. */
int wire_value(struct engine *e, const struct payload *p, const struct wire_map *map, const struct change *c,
               const struct part *part, struct arena *a, struct value *ret, struct err *err);
/* A row of this register is in the scope of `scope` (unit `all`: of every descendant of its issuer). */
bool row_in_scope(const struct reg *r, uint64_t unit, uint64_t scope);

#endif
