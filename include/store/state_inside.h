/* Inside of state: shared by state.c, aside.c and terms.c alone. */
#ifndef STORE_STATE_INSIDE_H
#define STORE_STATE_INSIDE_H

#include "store/state.h"

struct sum {                             /* of one (register, unit): what terrace_digest says after the next flush */
	uint64_t unit;
	struct term sum;
	int64_t rows, pending;
	bool changed;
};

struct reg_state {                       /* one a register, by number */
	const struct reg *reg;
	const char **names;              /* of the groups, by number */
	sqlite3_stmt *load, *insert, *update, *remove, *scan_first, *scan, *missing, *term, *max, *count, *terms[4];
	struct sum *sums;                /* open addressing on unit; NULL until first used */
	uint32_t nsums, room;
	struct cell *changed;            /* keys whose terms are missing; bounded, else `missed` */
	uint32_t nchanged, changed_room;
	bool missed;
	bool top_known;                  /* of an INTEGER PRIMARY KEY: no row has one above `top` */
	int64_t top;
	struct term_order *order;        /* of groups and columns in a term (terms.c); NULL until first used */
};

struct state {
	struct db *db;
	struct sets *sets;
	struct reg_state *regs;
	uint32_t nregs;
	int64_t pending;                 /* rows without a term; −1 = not read yet */
	struct buf scratch, form;
	struct arena keys;               /* of `changed` */
};

int state_of(struct state *s, const struct reg *r, struct reg_state **ret, struct err *err);
void term_order_free(struct term_order *o);
int sum_of(struct state *s, struct reg_state *rs, uint64_t unit, struct sum **ret, struct err *err);
void changed_add(struct state *s, struct reg_state *rs, struct cell key);
int aside_load(struct state *s, struct held *h, struct arena *a, struct err *err);
int aside_save(struct state *s, const struct held *h, bool stands, bool *ret_any, struct arena *a, struct err *err);

#endif
