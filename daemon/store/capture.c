/* Capture: putting the triggers in place, taking them away, checking them.
 *
 * Only what differs is touched, so that installing twice leaves the schema's version alone (every prepared statement
 * of every program on the file is compiled again when it moves). */
#include "store/capture.h"

#include <stdio.h>
#include <string.h>

#include "store/capture_sql.h"

void state_table(const struct reg *r, char ret[32])
{
	snprintf(ret, 32, "terrace_s%u", r->number);
}

/* Ours by name, whatever table they hang on: a renamed one took them along. */
static int standing_read(struct db *db, const struct reg *r, struct arena *a, struct trigger **ret, uint32_t *ret_n,
                         struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_CAPTURE_STANDING, err);
	struct trigger *list = NULL;
	uint32_t n = 0, room = 0;
	char pattern[32];
	int rc;

	if (s == NULL)
		return err != NULL ? err->code : ERR_DB;
	snprintf(pattern, sizeof(pattern), "terrace_%u_*", r->number);
	bind_text(s, 1, pattern);
	while ((rc = db_step(db, s, err)) > 0) {
		if (n == room) {
			struct trigger *more = arena_array(a, 2 * room + 32, sizeof(*more));
			if (more == NULL)
				break;
			if (n > 0)
				memcpy(more, list, n * sizeof(*more));
			list = more;
			room = 2 * room + 32;
		}
		list[n].name = arena_text(a, slice_of((const char *)sqlite3_column_text(s, 0)));
		list[n].sql = arena_text(a, slice_of((const char *)sqlite3_column_text(s, 1)));
		n++;
	}
	sqlite3_reset(s);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "triggers of %s: memory is short", r->name);
	if (rc < 0)
		return err != NULL ? err->code : ERR_DB;
	*ret = list;
	*ret_n = n;
	return 0;
}

static const struct trigger *named(const struct trigger *list, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

static bool stands(const struct trigger *list, uint32_t n, const struct trigger *t)
{
	const struct trigger *other = named(list, n, t->name);

	return other != NULL && strcmp(other->sql, t->sql) == 0;
}

static int drop(struct db *db, const char *name, struct err *err)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "DROP TRIGGER %.90s", name);      /* our own names need no quotes */
	return db_exec(db, sql, err);
}

/* Composite keys hold text as hex, and hex() gives the bytes of the file's encoding. */
static int encoding_check(struct db *db, const struct reg *r, struct err *err)
{
	_cleanup_(buf_release) struct buf encoding = { 0 };
	sqlite3_stmt *s;
	int rc = 0;

	if (r->nkey == 1)
		return 0;
	if (db_prepare(db, "PRAGMA encoding", &s, err) != 0)
		return err != NULL ? err->code : ERR_DB;
	if (sqlite3_step(s) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), "UTF-8") != 0)
		rc = err_set(err, ERR_SCHEMA, "register %s: a key of several columns needs a database in UTF-8, and %s is in %s; "
		             "copy it into a new file, or give the register a key of one column", r->name, db->path,
		             (const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	return rc;
}

int capture_state(struct db *db, const struct reg *r, struct err *err)
{
	char state[32], sql[256];

	state_table(r, state);
	snprintf(sql, sizeof(sql),
	         "CREATE TABLE IF NOT EXISTS %s(key %s, unit INTEGER NOT NULL, flags INTEGER NOT NULL, "
	         "version INTEGER NOT NULL, term BLOB)%s", state,
	         r->rowid_key ? "INTEGER PRIMARY KEY" : "NOT NULL PRIMARY KEY", r->rowid_key ? "" : " WITHOUT ROWID");
	return db_exec(db, sql, err);
}

int capture_install(struct db *db, const struct reg *r, const struct capture_modes *modes, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct trigger *wanted, *standing;
	uint32_t nwanted, nstanding;
	int rc;

	if ((rc = encoding_check(db, r, err)) != 0 || (rc = capture_state(db, r, err)) != 0 ||
	    (rc = triggers_make(db, r, modes, &a, &wanted, &nwanted, err)) != 0 ||
	    (rc = standing_read(db, r, &a, &standing, &nstanding, err)) != 0)
		return rc;
	for (uint32_t i = 0; i < nstanding; i++)
		if (!stands(wanted, nwanted, &standing[i]) && (rc = drop(db, standing[i].name, err)) != 0)
			return rc;
	for (uint32_t i = 0; i < nwanted; i++)
		if (!stands(standing, nstanding, &wanted[i]) && (rc = db_exec(db, wanted[i].sql, err)) != 0)
			return err_prefix(err, "register %s: ", r->name);
	return 0;
}

bool capture_paused(struct db *db)
{
	return meta_number(db, CAPTURE_PAUSED, 0) != 0;
}

int capture_remove(struct db *db, const struct reg *r, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct trigger *standing;
	uint32_t n;
	int rc = standing_read(db, r, &a, &standing, &n, err);

	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = drop(db, standing[i].name, err);
	return rc;
}

static void name_put(struct buf *names, const char *name, uint32_t before)
{
	if (names != NULL)
		buf_printf(names, "%s%s", before > 0 ? " " : "", name);
}

int capture_check(struct db *db, const struct reg *r, const struct capture_modes *modes, uint32_t *ret_missing,
                  struct buf *names, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct trigger *wanted, *standing;
	uint32_t nwanted, nstanding, missing = 0;
	int rc;

	if ((rc = triggers_make(db, r, modes, &a, &wanted, &nwanted, err)) != 0 ||
	    (rc = standing_read(db, r, &a, &standing, &nstanding, err)) != 0)
		return rc;
	for (uint32_t i = 0; i < nwanted; i++)
		if (!stands(standing, nstanding, &wanted[i]))
			name_put(names, wanted[i].name, missing++);
	for (uint32_t i = 0; i < nstanding; i++)
		if (named(wanted, nwanted, standing[i].name) == NULL)
			name_put(names, standing[i].name, missing++);
	*ret_missing = missing;
	return 0;
}
