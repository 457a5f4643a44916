/* Plan: the administrator's reconciliation: audit and comparison are started here, and a plan that a report made of what
 * they found (engine/report_plan.c) is carried out, row by row. */
#ifndef ENGINE_PLAN_H
#define ENGINE_PLAN_H

#include "engine/self.h"

/* One row of a plan in one word, as the report writes it and `reconcile apply` reads it:
 * hex of the register's name ":" hex of the canonical key ":" kind ":" unit of the neighbour (000000000000: none) ":" hex
 * of the row's mark (engine/audit.h). */
enum plan_kind {
	PLAN_CHANGED = 'c', PLAN_MISSING = 'm', PLAN_UNKNOWN = 'u',      /* enum finding_kind */
	PLAN_DIFFERS = 'd',              /* between neighbours */
};

/* reconcile [--register R] [--with UNIT]: begins.
 * reconcile apply check|do restore|keep ROW...: check: whether every row is what the plan says; do: carries them out,
 * each in its own transaction, a row that is not what the plan says is refused. */
int reconcile_command(struct engine *e, const char *const *words, uint32_t n, const char *actor, json_t **ret, struct err *err);

/* Once a week every table is audited, in the background.  Steady time when to call again. */
int64_t plan_weekly(struct engine *e);

#endif
