/* Backup: copying a database that is in use, by SQLite's own means. */
#include "store/backup.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

#define PAGES_FIRST 256
#define PAGES_MOST  1024
#define SLICE_LONG_MS 50
#define BETWEEN_NS  2000000L
#define MARK        "restore"

static void close_db(struct db **db)
{
	db_close(*db);
}

static int wal_mode(struct db *db, bool *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_BACKUP_MODE, err);
	int rc = db_step(db, s, err);

	if (rc < 0)
		return db_code(err);
	*ret = rc > 0 && !strcmp((const char *)sqlite3_column_text(s, 0), "wal");
	sqlite3_reset(s);
	return 0;
}

/* The instant that is copied begins with the first page that is read. */
static int hold(struct db *db, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_begin(db, err);

	if (rc != 0)
		return rc;
	s = db_statement(db, SQL_BACKUP_LOOK, err);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	sqlite3_reset(s);
	return 0;
}

struct copying {
	struct db *from, *to;
	void (*fn)(void *arg, int64_t done, int64_t all);
	void *arg;
	int pages;
	uint32_t again;
	int left;                        /* pages, after the last slice; -1 = none yet */
};

/* One slice; *ret_done, or an error.  A lock of somebody else's is waited for as ever. */
static int slice(struct copying *c, sqlite3_backup *b, bool *ret_done, struct err *err)
{
	const struct source clock = source_system();
	int64_t began = clock.steady_ms(NULL), took;
	int pages = c->pages, rc = sqlite3_backup_step(b, pages), left = sqlite3_backup_remaining(b);

	took = clock.steady_ms(NULL) - began;
	*ret_done = rc == SQLITE_DONE;
	if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_BUSY && rc != SQLITE_LOCKED)
		return db_fail(rc == SQLITE_FULL || rc == SQLITE_IOERR ? c->to : c->from, "copying", err);
	/* More is left than this slice should have left: it began again. */
	if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED || (c->left >= 0 && left > MAX(c->left - pages, 0)))
		c->again++;
	if (c->again > BACKUP_AGAIN)
		return err_set(err, ERR_BUSY, "%s is written faster than it can be copied; give the command again at a quiet time, or set "
		               "it to WAL mode", c->from->path);
	c->left = left;
	c->pages = took > SLICE_LONG_MS ? MAX(c->pages / 2, 16) : MIN(c->pages * 2, PAGES_MOST);
	if (c->fn)
		c->fn(c->arg, sqlite3_backup_pagecount(b) - left, sqlite3_backup_pagecount(b));
	if (!*ret_done)
		nanosleep(&(struct timespec){ .tv_nsec = BETWEEN_NS }, NULL);
	return 0;
}

int backup_copy(const char *from, const char *to, void (*fn)(void *arg, int64_t done, int64_t all), void *arg, bool *ret_wal,
                struct err *err)
{
	_cleanup_(close_db) struct db *source = NULL, *target = NULL;
	struct copying c = { .fn = fn, .arg = arg, .pages = PAGES_FIRST, .left = -1 };
	sqlite3_backup *b;
	bool done = false;
	int rc = db_open(from, DB_READ, &source, err);

	if (rc == 0)
		rc = wal_mode(source, ret_wal, err);
	if (rc == 0 && *ret_wal)
		rc = hold(source, err);
	if (rc == 0)
		rc = db_open(to, DB_BARE, &target, err);
	if (rc != 0)
		return rc;
	c.from = source;
	c.to = target;
	b = sqlite3_backup_init(target->sql, "main", source->sql, "main");
	if (b == NULL)
		return db_fail(target, "copying", err);
	while (rc == 0 && !done)
		rc = slice(&c, b, &done, err);
	if (sqlite3_backup_finish(b) != SQLITE_OK && rc == 0)
		rc = db_fail(target, "copying", err);
	/* One file, whatever mode the original is in. */
	return rc == 0 && *ret_wal ? db_exec(target, "PRAGMA journal_mode = DELETE", err) : rc;
}

/* ---- putting one back */

int backup_check(const char *path, uint64_t *ret_unit, struct err *err)
{
	_cleanup_(close_db) struct db *db = NULL;
	sqlite3_stmt *s;
	int rc = db_open(path, DB_READ, &db, err);

	if (rc != 0)
		return rc;
	s = db_statement(db, SQL_REPORT_CHECK_DEEP, err);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	rc = rc > 0 && strcmp((const char *)sqlite3_column_text(s, 0), "ok") ?
	     err_set(err, ERR_DAMAGED, "%s is damaged: %s", path, (const char *)sqlite3_column_text(s, 0)) : 0;
	sqlite3_reset(s);
	*ret_unit = rc == 0 ? (uint64_t)meta_number(db, "unit", 0) : 0;
	return rc == 0 && *ret_unit == 0 ? err_set(err, ERR_DAMAGED, "%s holds nothing of Terrace", path) : rc;
}

int backup_mark(const char *path, bool wal, struct err *err)
{
	_cleanup_(close_db) struct db *db = NULL;
	int rc = db_open(path, DB_BARE, &db, err);

	if (rc == 0)
		rc = meta_put_number(db, MARK, 1, err);
	return rc == 0 && wal ? db_exec(db, "PRAGMA journal_mode = WAL", err) : rc;
}

bool backup_marked(struct db *db)
{
	return meta_number(db, MARK, 0) != 0;
}

int backup_unmark(struct db *db, struct err *err)
{
	return meta_put_number(db, MARK, 0, err);
}

/* Leaving WAL mode needs the file alone, and writes the log back; in rollback mode an exclusive lock says the same. */
int backup_settle(const char *path, bool *ret_wal, struct err *err)
{
	_cleanup_(close_db) struct db *db = NULL;
	bool still = false;
	int rc = db_open(path, DB_BARE, &db, err);

	*ret_wal = false;
	if (rc == 0)
		rc = wal_mode(db, ret_wal, err);
	if (rc == 0)
		rc = db_exec(db, *ret_wal ? "PRAGMA journal_mode = DELETE" : "BEGIN EXCLUSIVE; COMMIT", err);
	if (rc == 0)
		rc = wal_mode(db, &still, err);
	if (rc == ERR_BUSY || (rc == 0 && still))
		return err_set(err, ERR_BUSY, "%s is open in another program; end it, then give the command again", path);
	return rc;
}
