/* Db: connection, statements, transactions. */
#include "store/db.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/schema.h"

static const char *const statement_texts[STATEMENT_COUNT] = {
#define X(id, sql) sql,
	STATEMENT_TABLE(X)
#undef X
};

int db_fail(struct db *db, const char *what, struct err *err)
{
	int rc = sqlite3_extended_errcode(db->sql);
	const char *say = sqlite3_errmsg(db->sql);
	int cause = sqlite3_system_errno(db->sql);

	if ((rc & 0xff) == SQLITE_IOERR && (cause == ENOSPC || cause == EDQUOT))
		rc = SQLITE_FULL;                /* an index of the write-ahead log that cannot grow */
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, ERR_BUSY, "%s: %s is locked by another program; it is tried again, or end the long "
		               "transaction (%s)", what, db->path, say);
	case SQLITE_FULL:
		db->full = true;
		return err_set(err, ERR_FULL, "%s: no space left for %s; free some (%s)", what, db->path, say);
	case SQLITE_NOMEM:
		return err_set(err, ERR_NOMEM, "%s: memory is short", what);
	case SQLITE_NOTADB:
		return err_set(err, ERR_DAMAGED, "%s is not a SQLite database; name the right file or restore a backup",
		               db->path);
	case SQLITE_CORRUPT:
		return err_set(err, ERR_DAMAGED, "%s: %s is damaged (%s); restore a backup with `terracectl restore`", what,
		               db->path, say);
	case SQLITE_READONLY:
		return err_set(err, ERR_IO, "%s: %s cannot be written by this user; check its owner and folder (%s)", what,
		               db->path, say);
	case SQLITE_CANTOPEN:
		return err_set(err, ERR_IO, "%s cannot be opened; check that it exists and who owns it (%s)", db->path, say);
	case SQLITE_INTERRUPT:
		return err_set(err, ERR_STOPPING, "%s: interrupted", what);
	default:
		return err_set(err, ERR_DB, "%s: %s (SQLite %d)", what, say, rc);
	}
}

static int exec_as(struct db *db, const char *what, const char *sql, struct err *err)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_fail(db, what, err);
}

int db_exec(struct db *db, const char *sql, struct err *err)
{
	char what[80];

	snprintf(what, sizeof what, "%.60s", sql);
	return exec_as(db, what, sql, err);
}

int db_prepare(struct db *db, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	char what[80];

	if (sqlite3_prepare_v3(db->sql, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) == SQLITE_OK)
		return 0;
	snprintf(what, sizeof what, "%.60s", sql);
	return db_fail(db, what, err);
}

sqlite3_stmt *db_statement(struct db *db, enum statement_id id, struct err *err)
{
	sqlite3_stmt *s = db->statements[id];

	if (s == NULL) {
		if (db_prepare(db, statement_texts[id], &db->statements[id], err) != 0)
			return NULL;
		return db->statements[id];
	}
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return s;
}

int db_step(struct db *db, sqlite3_stmt *s, struct err *err)
{
	char what[80];
	int rc;

	if (s == NULL)
		return -1;
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE) {
		sqlite3_reset(s);
		return 0;
	}
	snprintf(what, sizeof what, "%.60s", sqlite3_sql(s));
	db_fail(db, what, err);
	sqlite3_reset(s);
	return -1;
}

int db_run(struct db *db, sqlite3_stmt *s, struct err *err)
{
	int rc;

	if (s == NULL)
		return err != NULL ? err->code : ERR_DB;
	do
		rc = db_step(db, s, err);
	while (rc > 0);
	return rc < 0 ? (err != NULL ? err->code : ERR_DB) : 0;
}

int db_begin(struct db *db, struct err *err)
{
	int rc = exec_as(db, "beginning to write", db->read_only ? "BEGIN" : "BEGIN IMMEDIATE", err);

	db->in_transaction = rc == 0;
	return rc;
}

int db_commit(struct db *db, struct err *err)
{
	int rc = db_exec(db, "COMMIT", err);

	if (rc != 0) {
		db_rollback(db);
		return rc;
	}
	db->in_transaction = false;
	db->changes++;
	return 0;
}

void db_rollback(struct db *db)
{
	if (!db->in_transaction)
		return;
	if (!sqlite3_get_autocommit(db->sql))
		sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	db->in_transaction = false;
}

void db_guard(struct db **db)
{
	if (*db != NULL)
		db_rollback(*db);
}

int db_savepoint(struct db *db, struct err *err)
{
	return db_exec(db, "SAVEPOINT terrace", err);
}

int db_savepoint_release(struct db *db, struct err *err)
{
	return db_exec(db, "RELEASE terrace", err);
}

void db_savepoint_rollback(struct db *db)
{
	sqlite3_exec(db->sql, "ROLLBACK TO terrace", NULL, NULL, NULL);
	sqlite3_exec(db->sql, "RELEASE terrace", NULL, NULL, NULL);
}

void db_wake(struct db *db, uint64_t peer)
{
	struct woken *w = &db->woken;

	for (uint32_t i = w->n; i > 0 && w->n <= WOKEN_MOST; i--)        /* many rows for one neighbour in turn */
		if (w->peers[i - 1] == peer)
			return;
	if (w->n < WOKEN_MOST)
		w->peers[w->n] = peer;
	w->n = MIN(w->n + 1, WOKEN_MOST + 1);
}

void db_wake_all(struct db *db)
{
	db->woken.n = WOKEN_MOST + 1;
}

struct woken db_woken(struct db *db)
{
	struct woken w = db->woken;

	db->woken.n = 0;
	return w;
}

/* ---- opening */

/* One step of schema/state a transaction; the number of steps done stands in terrace_meta. */
static int migrate(struct db *db, struct err *err)
{
	int64_t done = 0;
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(db->sql, "SELECT 1 FROM sqlite_master WHERE name = 'terrace_meta'", -1, &s, NULL) != SQLITE_OK)
		return db_fail(db, "reading the schema", err);
	if (sqlite3_step(s) == SQLITE_ROW)
		done = -1;
	sqlite3_finalize(s);
	if (sqlite3_errcode(db->sql) != SQLITE_OK && sqlite3_errcode(db->sql) != SQLITE_ROW &&
	    sqlite3_errcode(db->sql) != SQLITE_DONE)
		return db_fail(db, "reading the schema", err);
	if (done < 0)
		done = meta_number(db, "state", 0);
	if (done > (int64_t)schema_step_count)
		return err_set(err, ERR_SCHEMA, "%s was made by a newer terraced (state %lld, this one knows %zu); install that "
		               "version", db->path, (long long)done, schema_step_count);
	for (size_t i = (size_t)done; i < schema_step_count; i++) {
		if (db_begin(db, err) != 0)
			return err->code;
		if (exec_as(db, "making the daemon's tables", schema_steps[i].sql, err) != 0 || meta_put_number(db, "state", (int64_t)i + 1, err) != 0 ||
		    db_commit(db, err) != 0) {
			db_rollback(db);
			return err != NULL ? err->code : ERR_DB;
		}
	}
	return 0;
}

void db_confine(sqlite3 *sql)
{
	static const struct { int limit, most; } limits[] = {
		{ SQLITE_LIMIT_ATTACHED, 0 }, { SQLITE_LIMIT_WORKER_THREADS, 0 }, { SQLITE_LIMIT_TRIGGER_DEPTH, 20 },
		{ SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000 }, { SQLITE_LIMIT_EXPR_DEPTH, 1000 }, { SQLITE_LIMIT_FUNCTION_ARG, 127 },
		{ SQLITE_LIMIT_COMPOUND_SELECT, 500 }, { SQLITE_LIMIT_SQL_LENGTH, 4 << 20 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		sqlite3_limit(sql, limits[i].limit, limits[i].most);
	sqlite3_db_config(sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(sql, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
}

static int configure(struct db *db, struct err *err)
{
	int off;

	sqlite3_extended_result_codes(db->sql, 1);
	sqlite3_busy_timeout(db->sql, DB_BUSY_MS);
	db_confine(db->sql);
	if (!db->read_only)
		sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &off);
	/* "foreign_keys" and friends are settings of this connection alone; nothing of the file is touched. */
	return exec_as(db, "opening it", "PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; "
	               "PRAGMA cache_size = -32000; PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = OFF", err);
}

/* SQLite makes its journals beside the file. */
static int check_folder(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(free_pointer) char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)MAX(slash - path, 1));

	if (folder == NULL)
		return err_set(err, ERR_NOMEM, "opening %s: memory is short", path);
	if (access(folder, F_OK) != 0)
		return err_set(err, ERR_IO, "%s: its folder is not there; make it, or name the right file", path);
	if (access(folder, W_OK | X_OK) != 0)
		return err_set(err, ERR_IO, "%s: its folder cannot be written by user %u, and SQLite's journal stands there: give "
		               "the folder to that user or its group (chown, chmod g+rwx)", path, (unsigned)geteuid());
	return 0;
}

static int check_owner(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return errno == ENOENT ? check_folder(path, err) : err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_IO, "%s is not a file; name the database itself", path);
	if (access(path, R_OK | W_OK) != 0 && st.st_uid == geteuid())
		return err_set(err, ERR_IO, "%s is read-only for its own user: chmod u+rw", path);
	if (access(path, R_OK | W_OK) != 0)
		return err_set(err, ERR_IO, "%s belongs to user %u and cannot be written by user %u: give it to the daemon's user "
		               "(chown) or add that user to its group (chmod g+rw, the folder too)", path,
		               (unsigned)st.st_uid, (unsigned)geteuid());
	return check_folder(path, err);
}

int db_open(const char *path, enum db_mode mode, struct db **ret, struct err *err)
{
	struct db *db = calloc(1, sizeof *db);
	int flags = SQLITE_OPEN_NOMUTEX | (mode == DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
	            (mode == DB_MAKE ? SQLITE_OPEN_CREATE : 0);
	static bool configured;
	struct stat st;
	bool fresh;
	int rc;

	if (db == NULL)
		return err_set(err, ERR_NOMEM, "opening %s: memory is short", path);
	if (!configured) {
		sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
		configured = true;
	}
	db->path = strdup(path);
	db_wake_all(db);
	db->read_only = mode == DB_READ;
	fresh = stat(path, &st) != 0;
	rc = db->read_only ? 0 : check_owner(path, err);
	if (rc == 0 && sqlite3_open_v2(path, &db->sql, flags, NULL) != SQLITE_OK)
		rc = db->sql != NULL ? db_fail(db, "open", err) : err_set(err, ERR_NOMEM, "opening %s: memory is short", path);
	if (rc == 0)
		rc = configure(db, err);
	if (rc == 0 && !db->read_only && sqlite3_db_readonly(db->sql, "main") == 1)
		rc = err_set(err, ERR_IO, "%s is read-only; check its permissions and its folder's", path);
	if (rc == 0 && fresh && mode == DB_MAKE)          /* a file of ours; an adopted one keeps its journal mode */
		rc = db_exec(db, "PRAGMA journal_mode = WAL", err);
	if (rc == 0 && (mode == DB_WRITE || mode == DB_MAKE))
		rc = migrate(db, err);
	if (rc != 0) {
		db_close(db);
		return rc;
	}
	if (stat(path, &st) == 0) {
		db->device = st.st_dev;
		db->inode = st.st_ino;
	}
	*ret = db;
	return 0;
}

bool db_replaced(const struct db *db)
{
	struct stat st;

	return db->inode != 0 && stat(db->path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	       (st.st_ino != db->inode || st.st_dev != db->device);
}

void db_rest(struct db *db)
{
	sqlite3_db_release_memory(db->sql);
	malloc_trim(0);
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	db_rollback(db);
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close_v2(db->sql);
	free((void *)(uintptr_t)db->path);
	free(db);
}

/* ---- cells */

void bind_cell(sqlite3_stmt *s, int i, struct cell c)
{
	switch (c.type) {
	case CELL_NULL: sqlite3_bind_null(s, i); break;
	case CELL_INT: sqlite3_bind_int64(s, i, c.i); break;
	case CELL_REAL: sqlite3_bind_double(s, i, c.r); break;
	case CELL_TEXT: sqlite3_bind_text(s, i, c.s.n != 0 ? (const char *)c.s.p : "", (int)c.s.n, SQLITE_STATIC); break;
	case CELL_BLOB: bind_slice(s, i, c.s); break;
	}
}

void bind_slice(sqlite3_stmt *s, int i, struct slice v)
{
	if (v.n == 0)
		sqlite3_bind_zeroblob(s, i, 0);
	else
		sqlite3_bind_blob(s, i, v.p, (int)v.n, SQLITE_STATIC);
}

void bind_text(sqlite3_stmt *s, int i, const char *text)
{
	if (text == NULL)
		sqlite3_bind_null(s, i);
	else
		sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC);
}

void bind_u64(sqlite3_stmt *s, int i, uint64_t v)
{
	sqlite3_bind_int64(s, i, (int64_t)v);
}

struct cell read_cell(sqlite3_stmt *s, int i)
{
	sqlite3_value *v = sqlite3_column_value(s, i);   /* one thread a connection: as good as a protected one */
	struct cell c = {.type = CELL_NULL};

	switch (sqlite3_value_type(v)) {
	case SQLITE_INTEGER:
		c.type = CELL_INT;
		c.i = sqlite3_value_int64(v);
		break;
	case SQLITE_FLOAT:
		c.type = CELL_REAL;
		c.r = sqlite3_value_double(v);
		if (c.r == 0)
			c.r = 0;
		break;
	case SQLITE_TEXT:
		c.type = CELL_TEXT;
		c.s.p = sqlite3_value_text(v);
		c.s.n = (size_t)sqlite3_value_bytes(v);
		break;
	case SQLITE_BLOB:
		c.type = CELL_BLOB;
		c.s.p = sqlite3_value_blob(v);
		c.s.n = (size_t)sqlite3_value_bytes(v);
		break;
	default:
		break;
	}
	return c;
}

struct slice read_blob(sqlite3_stmt *s, int i)
{
	struct slice v;

	v.p = sqlite3_column_blob(s, i);
	v.n = (size_t)sqlite3_column_bytes(s, i);
	return v;
}

uint64_t read_unsigned(sqlite3_stmt *s, int i)
{
	return (uint64_t)sqlite3_column_int64(s, i);
}

/* ---- terrace_meta */

int meta_get(struct db *db, const char *name, struct buf *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_META_GET, err);
	int rc;

	if (s == NULL)
		return ERR_DB;
	bind_text(s, 1, name);
	rc = db_step(db, s, err);
	if (rc < 0)
		return err != NULL ? err->code : ERR_DB;
	*ret_found = rc > 0;
	if (rc > 0) {
		struct slice v = read_blob(s, 0);
		buf_put(ret, v.p, v.n);
	}
	sqlite3_reset(s);
	return 0;
}

int meta_put(struct db *db, const char *name, struct slice value, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_META_PUT, err);

	if (s == NULL)
		return ERR_DB;
	bind_text(s, 1, name);
	bind_slice(s, 2, value);
	return db_run(db, s, err);
}

int64_t meta_number(struct db *db, const char *name, int64_t otherwise)
{
	sqlite3_stmt *s = db_statement(db, SQL_META_GET, NULL);
	int64_t n = otherwise;

	if (s == NULL)
		return otherwise;
	bind_text(s, 1, name);
	if (db_step(db, s, NULL) > 0) {
		n = sqlite3_column_int64(s, 0);
		sqlite3_reset(s);
	}
	return n;
}

int meta_put_number(struct db *db, const char *name, int64_t value, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_META_PUT, err);

	if (s == NULL)
		return ERR_DB;
	bind_text(s, 1, name);
	sqlite3_bind_int64(s, 2, value);
	return db_run(db, s, err);
}

/* ---- names in generated SQL */

static void quoted_put(struct buf *b, const char *text, char quote)
{
	buf_put_u8(b, (uint8_t)quote);
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == quote)
			buf_put_u8(b, (uint8_t)quote);
		buf_put_u8(b, (uint8_t)*p);
	}
	buf_put_u8(b, (uint8_t)quote);
}

void identifier_put(struct buf *b, const char *name)
{
	quoted_put(b, name, '"');
}

void literal_put(struct buf *b, const char *text)
{
	quoted_put(b, text, '\'');
}
