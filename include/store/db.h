/* Db: one connection to the registers' file, its prepared statements and its transaction guard.
 *
 * Every statement of the daemon is a row of store/statements.h, prepared at first use and kept; only capture and
 * table generate SQL (from names checked against the schema and quoted).  The ledger owns the one connection that
 * writes; reports open a second, read-only one.  See design architecture.md, SQLite rules. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <sqlite3.h>

#include "base/err.h"
#include "core/value.h"
#include "core/version.h"
#include "store/statements.h"

#define DB_BUSY_MS 5000                 /* a lock of another program is waited for so long */

#define WOKEN_MOST 32u

struct woken {
	uint32_t n;                      /* WOKEN_MOST + 1: more than are listed, so any */
	uint64_t peers[WOKEN_MOST];
};

struct db {
	sqlite3 *sql;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	const char *path;
	bool in_transaction, read_only;
	bool full;                       /* the disk refused a write; who takes note of it resets this */
	uint64_t changes;                /* transactions committed since open */
	uint64_t device, inode;          /* of the file as it was opened; 0 = not known */
	struct woken woken;              /* neighbours that something may wait for now, since db_woken was called last */
};

/* Something may wait for this neighbour now that did not before: its long poll is looked at. */
void db_wake(struct db *db, uint64_t peer);
void db_wake_all(struct db *db);
/* Those since the last call. */
struct woken db_woken(struct db *db);

enum db_mode { DB_WRITE, DB_MAKE, DB_READ, DB_BARE };    /* BARE: writes, and migrates nothing */

/* Opens, sets the connection's rules (triggers and foreign keys off on the writer, trusted_schema=0, busy timeout,
 * synchronous=FULL), runs forward migrations of schema/state where it may write.  Errors say which of: not a
 * SQLite file, read-only, locked for long, owned by another user, made by a newer terraced. */
int db_open(const char *path, enum db_mode mode, struct db **ret, struct err *err);
void db_close(struct db *db);
/* Gives back the memory that work has left in caches: nothing has been written for a while. */
void db_rest(struct db *db);
/* Whether another file stands under the path now: a copy was put in its place.  A path without a file is none. */
bool db_replaced(const struct db *db);

int db_begin(struct db *db, struct err *err);                    /* BEGIN IMMEDIATE (BEGIN on a reader) */
int db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db);                                 /* nothing open: nothing done */
/* Rolls back at the end of the scope unless committed: `_cleanup_(db_guard) struct db *guard = db;` */
void db_guard(struct db **db);
int db_savepoint(struct db *db, struct err *err);                /* one level, named terrace */
int db_savepoint_release(struct db *db, struct err *err);
void db_savepoint_rollback(struct db *db);                       /* and releases */

/* The prepared statement, reset and unbound; NULL sets err. */
sqlite3_stmt *db_statement(struct db *db, enum statement_id id, struct err *err);
/* Steps once: 1 a row, 0 done, −1 with err set (and the statement reset). */
int db_step(struct db *db, sqlite3_stmt *s, struct err *err);
int db_run(struct db *db, sqlite3_stmt *s, struct err *err);     /* steps to the end, resets */
int db_exec(struct db *db, const char *sql, struct err *err);    /* generated SQL only */
int db_prepare(struct db *db, const char *sql, sqlite3_stmt **ret, struct err *err);     /* persistent */
/* Fills err from the connection's last error; `what` names the object. Returns the code. */
int db_fail(struct db *db, const char *what, struct err *err);

/* The code that err holds; ERR_DB where it holds none or is NULL. */
static inline int db_code(const struct err *err)
{
	return err != NULL && err->code != 0 ? err->code : ERR_DB;
}

/* Binding and reading; index counts from 1 and from 0, as in SQLite.  Unsigned 64-bit numbers are stored as the
 * signed number of the same bits. */
void bind_cell(sqlite3_stmt *s, int i, struct cell c);           /* bytes must outlive the step */
void bind_slice(sqlite3_stmt *s, int i, struct slice v);         /* blob */
void bind_text(sqlite3_stmt *s, int i, const char *text);        /* NULL allowed */
void bind_u64(sqlite3_stmt *s, int i, uint64_t v);
struct cell read_cell(sqlite3_stmt *s, int i);                   /* a view until the next step; −0 as 0 */
struct slice read_blob(sqlite3_stmt *s, int i);
uint64_t read_unsigned(sqlite3_stmt *s, int i);

/* terrace_meta */
int meta_get(struct db *db, const char *name, struct buf *ret, bool *ret_found, struct err *err);
int meta_put(struct db *db, const char *name, struct slice value, struct err *err);
int64_t meta_number(struct db *db, const char *name, int64_t otherwise);
int meta_put_number(struct db *db, const char *name, int64_t value, struct err *err);

/* What no connection of ours needs is off: attaching, extensions, functions of the schema with side effects, writing to
 * the schema's own table; deep and long statements have their limits.  Called once after every open. */
void db_confine(sqlite3 *sql);
void identifier_put(struct buf *b, const char *name);            /* "quoted" */
void literal_put(struct buf *b, const char *text);               /* 'quoted' */

#endif
