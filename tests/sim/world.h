/* World: what the histories are made of: units, registers, policies, what clerks write.
 *
 * Registers: r, and c whose rows refer to rows of r, both with a unit column; o, whose rows are of the unit that created
 * them; a, the root's reference data, of unit `all`. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "tree.h"

struct sim_policy {
	struct policy p;
	struct policy_register regs[SIM_REGISTERS];
	struct policy_group groups[2], of_c[1], of_o[1], of_a[1];
	struct policy_rule rules[3];
	struct policy_parameter parameter;
	struct policy_parameter_value most;
	const char *key[1], *ga[2], *gb[1], *gc[2], *gv[1];
};

/* Superiors first; wanted = 0: a small tree, else as many as that, over five levels; at most SIM_NODES. */
int world_units(struct sim_random *r, int wanted, uint64_t *ret);
/* The levels that each register comes to, for good. */
void world_bands(struct sim_tree *t, struct sim_random *r);
void world_policy(struct sim_tree *t, struct sim_random *r, uint64_t version, bool propose, struct sim_policy *ret);
/* Rows of r, by the root. */
void world_begin(struct sim_tree *t);
void world_write(struct sim_tree *t, int node);
/* Rows to begin with, of whoever may make them. */
void world_stock(struct sim_tree *t);
/* Nothing typed is lost: what the statement took stands, waits as a proposal or in quarantine, or has a record, as soon as
 * it is sealed. */
void world_type(struct sim_tree *t, int node);

#endif
