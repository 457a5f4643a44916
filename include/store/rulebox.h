/* Rulebox: a policy's rules and locks, compiled as SQL over one row (authority.md, Policy rules that software checks).
 *
 * Expressions run on a database of their own, in memory, that holds a table for each register with one row and the
 * register's columns (affinity and collation as declared), and a table (code, name, valid_from, valid_to) for each
 * code list.  An authorizer admits these and a fixed list of functions; steps, depth and sizes are bounded.  Nothing
 * here reads a file, a clock or the application's tables. */
#ifndef STORE_RULEBOX_H
#define STORE_RULEBOX_H

#include <sqlite3.h>

#include "core/policy_sound.h"

#define RULE_STEPS 200000u               /* of SQLite's machine, for one expression on one row */

struct rulebox;
struct ruled;                            /* one register of it */

/* Compiles all; `schema` says how the registers' columns are declared (one that it lacks has none).  ERR_POLICY, with
 * where, for an expression that does not compile or fails on an empty row.  The policy outlives the box. */
int rulebox_open(sqlite3 *schema, const struct policy *p, struct rulebox **ret, struct policy_where *ret_where,
                 struct err *err);
void rulebox_close(struct rulebox *b);
/* NULL: the register has neither rules nor locks. */
struct ruled *rulebox_register(struct rulebox *b, const char *name);
/* The columns that rulebox_row wants, in its order: key, unit, groups. */
uint32_t ruled_columns(const struct ruled *r, const char *const **ret);
/* The row that the next questions are about. */
int rulebox_row(struct ruled *r, const struct cell *cells, struct err *err);

/* What an expression says; `used`: the parameter values that it read ("rural_floor = 355 (2026-01-01)"), or why it
 * could not be computed; valid until the next question. */
enum rule_says { RULE_TRUE, RULE_FALSE, RULE_NULL, RULE_TROUBLE };
enum rule_says rulebox_rule(struct ruled *r, uint32_t rule, const char **ret_used);      /* by number in the policy */
enum rule_says rulebox_lock(struct ruled *r, uint32_t group, const char **ret_used);     /* from 0, as in the policy */

/* The functions of rules beside those of ddl_function_allowed (store/rule_functions.c). */
struct rule_reading {                    /* what param() reads and writes down */
	const struct policy *policy;
	char used[400];
};
int rule_functions(sqlite3 *sql, struct rule_reading *reading);
bool rule_function_allowed(const char *name);

#endif
