/* Survey: what an application's own table brings along, before and beside Terrace: its triggers and what they write,
 * rows without their parents, unique keys that displace rows unseen, text that is no text (design adoption.md). */
#ifndef STORE_SURVEY_H
#define STORE_SURVEY_H

#include "store/catalog.h"

/* None of them runs when Terrace writes.  HARMLESS: it writes nothing, or only registers, whose changes travel.
 * DOUBLING: it writes a table that does not travel; run at every node it would count twice.  IMPOSSIBLE: it cannot be
 * run on our connection at all (a function, a collation or a module that the application registers). */
enum trigger_class { TRIGGER_HARMLESS, TRIGGER_DOUBLING, TRIGGER_IMPOSSIBLE };
const char *trigger_word(enum trigger_class c);

struct survey_trigger {
	const char *name, *sql, *error;  /* error: why it is impossible, or NULL */
	enum trigger_class class;
	bool local;                      /* the policy's `local` names it */
	uint32_t nwrites;
	const char *writes[16];          /* tables */
};
/* The triggers of the register's table that are not ours. */
int survey_triggers(struct db *db, const struct catalog *c, const struct reg *r, struct arena *a,
                    struct survey_trigger **ret, uint32_t *ret_n, struct err *err);
/* Tables that the trigger writes when a row of `table` is written, by compiling the three statements on db; ERR_POLICY
 * with SQLite's own sentence where they do not compile.  The trigger stands on db, alone or beside others. */
int trigger_writes(sqlite3 *db, const char *table, struct survey_trigger *t, struct arena *a, struct err *err);

struct survey_find {
	const char *name, *text;
	uint64_t rows;
};
/* Foreign keys of the table with rows whose parent is missing; text: the parent table. */
int survey_orphans(struct db *db, const struct reg *r, struct arena *a, struct survey_find **ret, uint32_t *ret_n,
                   struct err *err);
/* Unique keys and clauses through which rows are displaced unseen; text says why. */
int survey_unseen(struct db *db, const struct reg *r, struct arena *a, struct survey_find **ret, uint32_t *ret_n,
                  struct err *err);
/* Tables that no policy in force names; rows counted. */
int survey_others(struct db *db, const struct catalog *c, struct arena *a, struct survey_find **ret, uint32_t *ret_n,
                  struct err *err);
/* The SQL of the table, its indexes and its triggers but ours: what a plan was made for. */
int survey_sql(struct db *db, const struct reg *r, struct buf *b, struct err *err);
/* Cells of the register's text that are not UTF-8, or hold a NUL. */
int survey_texts(struct db *db, const struct reg *r, uint64_t *ret_invalid, uint64_t *ret_nul, struct err *err);

#endif
