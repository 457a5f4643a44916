/* DDL: the few statements a policy may bring, and whether a register fits its table.
 *
 * A statement's class is read from its first words; it then runs under an authorizer that admits what that class
 * needs and nothing else.  `policy check` runs all of them in an empty in-memory database; staging and activation
 * run what is missing in the live one.  Every error names the statement or the register and the column. */
#ifndef STORE_DDL_H
#define STORE_DDL_H

#include <sqlite3.h>

#include "core/policy_sound.h"

enum ddl_class { DDL_TABLE, DDL_INDEX, DDL_UNIQUE_INDEX, DDL_VIEW, DDL_COLUMN };

struct ddl {
	enum ddl_class class;
	char name[LIMIT_NAME + 1];       /* table, index or view; DDL_COLUMN: the table */
	char column[LIMIT_NAME + 1];     /* DDL_COLUMN */
	const char *rest;                /* the statement from the name on, in its own text */
};

/* Splits SQL text into statements without surrounding blanks, comments and `;`, in the arena. */
int ddl_split(struct slice sql, struct arena *a, const char ***ret, uint32_t *ret_n, struct err *err);
/* CREATE TABLE, CREATE [UNIQUE] INDEX, CREATE VIEW, ALTER TABLE … ADD COLUMN, with or without IF NOT EXISTS; all
 * else is ERR_POLICY with a sentence. */
int ddl_class(const char *statement, struct ddl *ret, struct err *err);
/* Classifies and runs one statement on db under the authorizer of its class (which is removed again). */
int ddl_run(sqlite3 *db, const char *statement, struct err *err);
/* Runs the policy's statements on db, skipping tables, columns, indexes and views that are there already; an index
 * or view whose text differs is made anew.  The caller holds the transaction. */
int ddl_apply(sqlite3 *db, const struct policy *p, struct err *err);

/* `policy check`: all statements in an empty database; views, defaults and checks compile under the rule
 * authorizer; then ddl_shape for each register whose schema is the policy's, and its rules and locks compile
 * (store/rulebox.h).  where may be NULL. */
int ddl_check(const struct policy *p, struct policy_where *ret_where, struct err *err);
/* What the next version's statements may not do: drop or change a table or column that is there before. */
int ddl_follows(const struct policy *before, const struct policy *after, struct err *err);

/* A register against the table as db has it: key, unit, groups, defaults, unique indexes.  where may be NULL. */
int ddl_shape(sqlite3 *db, const struct policy_register *r, struct policy_where *ret_where, struct err *err);
/* ERR_POLICY where the table's or index's own SQL text has an ON CONFLICT clause. */
int ddl_conflict_clause(const char *sql, struct err *err);
/* What a rule, check, default or view may call: no clock, no randomness, no unbounded output. */
bool ddl_function_allowed(const char *name);

#endif
