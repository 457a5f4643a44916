/* Release: takes all of ours out of the application's file. */
#include "store/release.h"

#include <stdio.h>

#include "store/db.h"

static void close_db(struct db **db)
{
	db_close(*db);
}

static int open_ours(const char *path, enum db_mode mode, struct db **ret, struct err *err)
{
	int rc = db_open(path, mode == DB_READ ? DB_READ : DB_BARE, ret, err);

	if (rc == 0 && meta_number(*ret, "state", -1) < 0)
		rc = err_set(err, ERR_NOT_FOUND, "%s holds nothing of Terrace", path);
	return rc;
}

int release_look(const char *path, struct release_facts *ret, struct err *err)
{
	_cleanup_(close_db) struct db *db = NULL;
	sqlite3_stmt *s;
	int rc = open_ours(path, DB_READ, &db, err);

	if (rc != 0)
		return rc;
	s = db_statement(db, SQL_RELEASE_WAITS, err);
	if (s == NULL || db_step(db, s, err) < 0)
		return db_code(err);
	ret->unsealed = read_unsigned(s, 0);
	ret->unsent = read_unsigned(s, 1);
	sqlite3_reset(s);
	return 0;
}

/* Names first: a drop moves the schema under the cursor. */
static int drop_kind(struct db *db, const char *kind, uint32_t *ret_n, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf sql = { 0 };
	sqlite3_stmt *s = db_statement(db, SQL_RELEASE_OURS, err);
	int rc;

	*ret_n = 0;
	if (s == NULL)
		return db_code(err);
	bind_text(s, 1, kind);
	while ((rc = db_step(db, s, err)) > 0) {
		buf_printf(&sql, "DROP %s ", kind);
		identifier_put(&sql, (const char *)sqlite3_column_text(s, 0));
		buf_put(&sql, ";", 1);
		(*ret_n)++;
	}
	sqlite3_reset(s);
	if (rc == 0 && sql.failed)
		return err_set(err, ERR_NOMEM, "%s: memory is short", db->path);
	return rc < 0 ? db_code(err) : sql.n > 0 ? db_exec(db, buf_text(&sql), err) : 0;
}

int release_file(const char *path, struct release_facts *ret, struct err *err)
{
	_cleanup_(close_db) struct db *db = NULL;
	uint32_t indexes;
	int rc = open_ours(path, DB_WRITE, &db, err);

	if (rc == 0)
		rc = db_begin(db, err);
	if (rc == 0)
		rc = drop_kind(db, "trigger", &ret->triggers, err);
	if (rc == 0)
		rc = drop_kind(db, "view", &ret->views, err);
	if (rc == 0)
		rc = drop_kind(db, "table", &ret->tables, err);
	if (rc == 0)                             /* what is left hangs on tables of the application */
		rc = drop_kind(db, "index", &indexes, err);
	return rc == 0 ? db_commit(db, err) : rc;
}
