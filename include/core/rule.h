/* The rule (design authority.md, The rule): what a node that holds a row does with one value of it.
 *
 * Pure: versions in, verdict out.  Clauses carry the numbers of the page.  A row in memory holds group `row`
 * and, life by life, the groups; every value points to an immutable version; cells ride along unread, but that
 * a partial value is completed from its base.  Nothing else in Terrace decides. */
#ifndef CORE_RULE_H
#define CORE_RULE_H

#include "core/value.h"
#include "core/version.h"

#define GROUP_ROW 0u             /* group numbers: 0 is `row`, the others count from 1 in the register's order */

/* One write of one group of one row. */
struct value {
	const struct version *v;
	struct ident life;
	uint32_t group;
	bool whole;                      /* all columns of the group are here */
	bool alive;                      /* group row: what it says */
	uint64_t row_unit;               /* group row: the unit it names */
	uint32_t ncells;                 /* of the group's columns, in the group's order; absent ones are not written */
	const struct cell *cells;
	const bool *present;             /* NULL = all ncells present; group row has no cells */
	int64_t since_ms;                /* when it came to this node; for showing only, part of nothing */
};

struct slot {                            /* a proposal of one author (and, in group row, life) */
	struct slot *next;
	const struct value *value;
};

struct group_state {
	const struct value *decision;    /* the greatest so far, or NULL */
	struct slot *proposals;
};

struct life_state {
	struct life_state *next;
	struct ident life;
	struct group_state *groups;      /* ngroups of the row, [0] unused */
};

struct row {
	uint32_t ngroups;                /* of the register, group row counted */
	const char *const *names;        /* of the groups, by number ([0] unread): what the `saw` of a delete names */
	struct group_state row;          /* group row */
	struct life_state *lives;        /* every life that is known here */
};

enum verdict_name {
	VERDICT_OLD, VERDICT_TAKE, VERDICT_TAKE_OVER, VERDICT_DIVERT, VERDICT_KEEP, VERDICT_REFUSE, VERDICT_REVIVE,
	VERDICT_ASIDE, VERDICT_PASS, VERDICT_NEED, VERDICT_BAD_STATE, VERDICTS
};

enum why {
	WHY_NONE, WHY_MODE, WHY_OLD_POLICY, WHY_LOCK, WHY_RULE, WHY_KEY_CLASH, WHY_FORGED_RULING,
	WHY_SCOPE, WHY_LIFE, WHY_BASE, WHY_DEAD, WHYS
};

struct verdict {
	int rule;                        /* number on the page */
	enum verdict_name name;
	enum why why;
	const char *say;                 /* the sentence of a lock or rule that refused, or NULL */
	uint32_t nlosers;                /* losing values to record; the first is the decision, if one lost */
	const struct value **losers;     /* in the arena; the incoming value as it came, partial where it was */
	const struct value *value;       /* the incoming value, completed where it was partial */
};

enum mode { MODE_READ, MODE_PROPOSE, MODE_OWN };

/* Group row's two rights, asked for like groups. */
enum right { RIGHT_CREATE, RIGHT_DELETE, RIGHT_GROUP };

/* What the node knows when it decides. */
struct rule_context {
	uint64_t unit;                   /* this node */
	bool below;                      /* the value came from a child */
	bool whole_row;                  /* it came as state */
	bool healing;                    /* this node was restored, and the digests of this link have not agreed since */
	const struct epochs *epochs;
	/* Mode of a level for a group under the policy list; right says which of group row's two is asked. */
	enum mode (*mode)(void *arg, uint64_t policy, uint32_t group, enum right right, enum level level);
	/* Rule 1: the author reported, at a mark that v has seen in its own level, a newer list than v names. */
	bool (*outdated)(void *arg, const struct version *v);
	/* Rule 1: the row has been in a unit below that author.  NULL: it has not. */
	bool (*was)(void *arg, uint64_t author);
	/* Locks and `refuse` rules: WHY_LOCK or WHY_RULE and the sentence, or WHY_NONE. */
	enum why (*failing)(void *arg, const struct row *row, const struct value *value, const char **ret_say);
	/* The defaults of a field group's columns, ret_n of them (a ruling may assert them over nothing). */
	const struct cell *(*defaults)(void *arg, uint32_t group, uint32_t *ret_n);
	void *arg;
};

/* Whether v, a decision of group row that came or was made here, moves the row within its life by one who may speak of it:
 * then the units that it and the value held name are places where the row has been. */
bool rule_moves(const struct row *held, const struct value *v, const struct rule_context *ctx);
/* The verdict on v for the row held (an empty row where nothing is held).  The arena holds what is completed. */
void rule_decide(const struct row *held, const struct value *v, const struct rule_context *ctx, struct arena *a,
                 struct verdict *ret);
/* The decision that refuses (or, VERDICT_REVIVE, the one that revives) v: version and value in the arena; marks
 * as the page says, own mark raised from `own`.  NULL when the arena failed. */
struct value *rule_ruling(const struct row *held, const struct value *v, bool revive, uint64_t unit, struct mark own,
                          uint64_t policy, const struct cell *defaults, uint32_t ncells, struct arena *a);
/* on_conflict: of a conflict that rule_decide found (its verdict on v, v not put yet) the decision that loses by Order
 * although its cell of `column` is the greater (else the smaller) one, whole; NULL where none is due.  NULL cells never
 * win.  A ruling is nobody's new decision, and what rule 1 would refuse wins nothing. */
const struct value *rule_better(const struct row *held, const struct value *v, const struct verdict *verdict,
                                const struct rule_context *ctx, bool greatest, uint32_t column, struct arena *a,
                                const struct value **ret_kept);
/* The decision with which the node of the highest level that owns the group takes it: both seen, `kept` its base. */
struct value *rule_settling(const struct value *kept, const struct value *lost, uint64_t unit, struct mark own,
                            uint64_t policy, bool acting, struct arena *a);
/* Whether this node seals its displaced value (verdict->losers[0]) once more; for values that came from above
 * (authority.md, Once more). */
bool rule_once_more(const struct verdict *verdict, uint64_t unit);

/* names (of the groups, by number) outlive the row; NULL: no `saw` covers anything. */
struct row *row_new(struct arena *a, uint32_t ngroups, const char *const *names);
/* Puts v in its place, whatever stood there less: keep the greater.  Merging is nothing but this.  A partial value
 * is completed where its base is there; v is kept by reference. */
void row_put(struct row *row, const struct value *v, struct arena *a);
/* A decision of group row makes its life known; of a marker whose values are erased none is: there set row.decision. */
void row_know_life(struct row *row, struct ident life, struct arena *a);
struct life_state *row_life(const struct row *row, struct ident life);           /* NULL = not known */
struct life_state *row_current(const struct row *row);   /* the life that group row names, dead or alive, or NULL */
struct group_state *row_group(const struct row *row, uint32_t group, struct ident life);  /* NULL = nothing there */
/* Decision; without one the greatest open proposal; without any NULL: the defaults. */
const struct value *group_shown(const struct group_state *g);
bool value_open(const struct value *proposal, const struct group_state *g);
struct slot *group_slot(const struct group_state *g, const struct value *v);     /* v's author's, or NULL */
/* The whole value of a partial one; v itself where it is whole or its base is not in g (then still not whole). */
const struct value *value_completed(const struct group_state *g, const struct value *v, struct arena *a);
/* The delete row_decision had seen v. */
bool row_covered(const struct row *row, const struct value *v, const struct value *row_decision);

const char *verdict_text(enum verdict_name name);        /* "take-over" */
const char *why_text(enum why why);                      /* "key-clash" */

#endif
