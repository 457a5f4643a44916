/* Capture: the triggers that write terrace_log in the application's own transaction (architecture.md, SQLite
 * rules).  They use only SQL of SQLite 3.8.3, name nothing but terrace_log, the state table, terrace_displaced and
 * the register itself, and never make an application's write fail, except the authority triggers. */
#ifndef STORE_CAPTURE_H
#define STORE_CAPTURE_H

#include "store/catalog.h"

/* terrace_log.what = register << 16 | column << 2 | operation.
 * A log row says "look at this key", not "this happened": IGNORE and UPSERT log too, in any order within a statement.
 * Of a column that this level does not own the *first* `old` since the last seal is what stood.  Of an own or local
 * column olds are kept only of a row that goes where this level may not delete: there the *last* one counts, since
 * own edits stand. */
enum log_operation {
	LOG_ROW = 0,                     /* look at the row of `key`: inserted, displaced, key moved here or away */
	LOG_COLUMN = 1,                  /* a column changed; `old` may hold what stood (has_old) */
	LOG_DELETE = 2,                  /* deleted; with column 0 once, and with a column number for each `old` kept */
};

/* What this node may do with one register: by group number, [0] = row. */
struct capture_modes {
	uint64_t own, propose;           /* bit 1 << group; acting included */
	bool create, remove;             /* rights over group row */
	bool may_propose_row;
	/* Rights that this level takes over from a level below, for unmanned units: that level; 0 = no such right.  A write to
	 * a row of a manned one is aborted (terrace_manned). */
	enum level level;
	enum level group_from[64], create_from, move_from, remove_from;
	const char *say[64];             /* by group: the sentence of the abort, after "terrace: ", both languages */
	const char *say_create, *say_remove;
};

/* Drops all of ours on the register's table and makes what the modes need.  In the caller's transaction. */
int capture_install(struct db *db, const struct reg *r, const struct capture_modes *modes, struct err *err);
/* Only the state table: of a register that is held or waits for its adoption. */
int capture_state(struct db *db, const struct reg *r, struct err *err);
int capture_remove(struct db *db, const struct reg *r, struct err *err);
/* Whether each trigger of ours stands as it should (text compared); *ret_missing counts those that do not;
 * their names go to `names` (may be NULL), a space between. */
int capture_check(struct db *db, const struct reg *r, const struct capture_modes *modes, uint32_t *ret_missing,
                  struct buf *names, struct err *err);
/* "terrace_s7": the register's state table; made by capture_install where absent. */
void state_table(const struct reg *r, char ret[32]);

/* terrace_meta: since when capture is paused for an upgrade of the application; 0 or absent = it is not. */
#define CAPTURE_PAUSED "schema paused"
bool capture_paused(struct db *db);

/* ---- the log */
struct log_entry {
	int64_t seq;
	uint32_t reg, column;
	enum log_operation operation;
	struct cell key, old;            /* key in the database's one-cell form; both in the arena */
	bool has_old;
};
bool log_pending(struct db *db);                                 /* one look, no transaction */
/* The oldest entries, at most `most`, in order; stops at nothing else. */
int log_read(struct db *db, int64_t after, uint32_t most, struct arena *a, struct log_entry **ret, uint32_t *ret_n,
             struct err *err);
/* What the log says of one row after `after`, in order. */
int log_read_row(struct db *db, uint32_t reg, struct cell key, int64_t after, struct arena *a, struct log_entry **ret,
                 uint32_t *ret_n, struct err *err);
/* A row that went back to what stood while the log goes on: of it only entries after upto are news.  log_back_of: 0
 * where the row is not among them. */
int log_back_put(struct db *db, uint32_t reg, struct cell key, int64_t upto, struct err *err);
bool log_back_any(struct db *db);
int64_t log_back_of(struct db *db, uint32_t reg, struct cell key);
int log_back_clear(struct db *db, struct err *err);
/* The row of that key is looked at by the next seal, as if it had just come. */
int log_look(struct db *db, const struct reg *r, struct cell key, struct err *err);
/* Drops entries up to upto; the newest row of all stays, emptied: it is neither pending nor read again. */
int log_reclaim(struct db *db, int64_t upto, struct err *err);
int64_t log_last(struct db *db);                                 /* greatest seq, 0 = none */

#endif
