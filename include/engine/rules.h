/* Rules: a policy's rules and locks at work on rows (authority.md, Lock; Policy rules that software checks).
 *
 * What the rule asks (judge_failing), what sealing asks of this node's own writes, the issues of warn rules, and what
 * a reviewer sees of a proposal. */
#ifndef ENGINE_RULES_H
#define ENGINE_RULES_H

#include "engine/merge.h"

struct finding {                         /* a rule that a row fails */
	const char *rule, *say;          /* name; the policy's sentence with the parameter values that were read */
	bool warn;                       /* else refuse */
};

/* Compiles the rules of the catalog; called whenever the catalog is new. */
int rules_open(struct engine *e, struct err *err);
void rules_close(struct engine *e);
/* Whether levels of this mask (bit 1 << level) check any rule of that severity. */
bool rules_checked(const struct engine *e, const struct reg *r, uint8_t levels, bool warn);
bool rules_locked(const struct engine *e, const struct reg *r);          /* some group has a lock */
/* The levels whose checks are this node's for a row of that unit, as with modes: its own, unmanned ones below it on the
 * row's path, at the level of record also those above. */
uint8_t rules_levels(struct engine *e, const struct reg *r, uint64_t row_unit);
/* All columns of the row (by place in r->columns) by its decisions, by group number; a group without one has its
 * defaults. */
int rules_cells(const struct reg *r, struct key key, uint64_t unit, const struct value *const *decisions,
                struct arena *a, struct cell **ret, struct err *err);
/* The rules that these levels check and the row fails, those that refuse first. */
int rules_row(struct engine *e, const struct reg *r, const struct cell *cells, uint8_t levels, struct arena *a,
              struct finding **ret, uint32_t *ret_n, struct err *err);
/* 1 = the group is locked, with its sentence; 0 = not. */
int rules_lock(struct engine *e, const struct reg *r, uint32_t group, const struct cell *cells, struct arena *a,
               bool *ret_locked, const char **ret_say, struct err *err);
/* For review: what the row (with its cells: held_cells) would fail if v, whole, became its decision. */
int rules_of_value(struct engine *e, const struct held *h, const struct value *v, struct arena *a, struct finding **ret,
                   uint32_t *ret_n, struct err *err);

/* ---- inside a pass (engine/judge.c) */
/* struct rule_context.failing; arg: the merging. */
enum why judge_failing(void *arg, const struct row *row, const struct value *value, const char **ret_say);
/* Sealing: the sentence of a rule that this node's own write of a row fails, or NULL.  written: groups that get their
 * cells from `cells` (the table); unit: as it would be. */
int judge_own(struct merging *m, struct merging_row *row, uint64_t written, uint64_t unit, const struct cell *cells,
              const char **ret_say, struct err *err);
/* The issue of warn rules for a row as it now is. */
int judge_warn(struct merging *m, struct merging_row *row, bool stands, struct err *err);

#endif
