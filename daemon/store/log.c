/* Log: reading and reclaiming terrace_log.
 *
 * Without AUTOINCREMENT a number would be given again once the greatest is gone, so the newest row is never deleted:
 * reclaiming empties it instead.  An emptied row (what NULL) is nobody's news. */
#include "store/capture.h"
#include "store/capture_sql.h"

bool log_pending(struct db *db)
{
	sqlite3_stmt *s = db_statement(db, SQL_LOG_PENDING, NULL);
	bool pending = s != NULL && db_step(db, s, NULL) > 0 && sqlite3_column_int(s, 0) != 0;

	if (s != NULL)
		sqlite3_reset(s);
	return pending;
}

static struct log_entry entry_of(sqlite3_stmt *s, struct arena *a)
{
	uint64_t what = read_unsigned(s, 1);
	unsigned operation = what & 3;
	struct log_entry e = {
		.seq = sqlite3_column_int64(s, 0),
		.reg = (uint32_t)(what >> 16),
		.column = what >> 2 & 0x3fff,
		.operation = operation == LOG_KEPT ? LOG_COLUMN : (enum log_operation)operation,
		.key = cell_copy(a, read_cell(s, 2)),
	};

	e.has_old = operation == LOG_KEPT || (operation == LOG_DELETE && e.column != 0);
	if (e.has_old)
		e.old = cell_copy(a, read_cell(s, 3));
	return e;
}

static int entries_read(struct db *db, sqlite3_stmt *s, struct arena *a, struct log_entry **ret, uint32_t *ret_n,
                        struct err *err)
{
	struct log_entry *list = NULL;
	uint32_t n = 0, room = 0;
	int rc = 0;

	while ((rc = db_step(db, s, err)) > 0) {
		if (n == room) {
			struct log_entry *more = arena_array(a, 2 * (size_t)room + 64, sizeof(*more));
			if (more == NULL)
				break;
			for (uint32_t i = 0; i < n; i++)
				more[i] = list[i];
			list = more;
			room = 2 * room + 64;
		}
		list[n++] = entry_of(s, a);
	}
	sqlite3_reset(s);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "reading the log: memory is short");
	if (rc < 0)
		return err != NULL ? err->code : ERR_DB;
	*ret = list;
	*ret_n = n;
	return 0;
}

int log_read(struct db *db, int64_t after, uint32_t most, struct arena *a, struct log_entry **ret, uint32_t *ret_n,
             struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LOG_READ, err);

	if (s == NULL)
		return err != NULL ? err->code : ERR_DB;
	sqlite3_bind_int64(s, 1, after);
	sqlite3_bind_int64(s, 2, most);
	return entries_read(db, s, a, ret, ret_n, err);
}

int log_read_row(struct db *db, uint32_t reg, struct cell key, int64_t after, struct arena *a, struct log_entry **ret,
                 uint32_t *ret_n, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LOG_READ_ROW, err);

	if (s == NULL)
		return err != NULL ? err->code : ERR_DB;
	sqlite3_bind_int64(s, 1, after);
	sqlite3_bind_int64(s, 2, reg);
	bind_cell(s, 3, key);
	return entries_read(db, s, a, ret, ret_n, err);
}

int log_back_put(struct db *db, uint32_t reg, struct cell key, int64_t upto, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LOG_BACK_PUT, err);

	if (s == NULL)
		return err != NULL ? err->code : ERR_DB;
	sqlite3_bind_int64(s, 1, reg);
	bind_cell(s, 2, key);
	sqlite3_bind_int64(s, 3, upto);
	return db_run(db, s, err);
}

bool log_back_any(struct db *db)
{
	sqlite3_stmt *s = db_statement(db, SQL_LOG_BACK_ANY, NULL);
	bool any = s != NULL && db_step(db, s, NULL) > 0;

	if (s != NULL)
		sqlite3_reset(s);
	return any;
}

int64_t log_back_of(struct db *db, uint32_t reg, struct cell key)
{
	sqlite3_stmt *s = db_statement(db, SQL_LOG_BACK_OF, NULL);
	int64_t upto = 0;

	if (s == NULL)
		return 0;
	sqlite3_bind_int64(s, 1, reg);
	bind_cell(s, 2, key);
	if (db_step(db, s, NULL) > 0)
		upto = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return upto;
}

int log_back_clear(struct db *db, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LOG_BACK_CLEAR, err);

	return s != NULL ? db_run(db, s, err) : err != NULL ? err->code : ERR_DB;
}

int log_look(struct db *db, const struct reg *r, struct cell key, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LOG_LOOK, err);

	bind_u64(s, 1, (uint64_t)r->number << 16 | LOG_ROW);
	bind_cell(s, 2, key);
	return db_run(db, s, err);
}

int log_reclaim(struct db *db, int64_t upto, struct err *err)
{
	static const enum statement_id steps[] = { SQL_LOG_DROP, SQL_LOG_EMPTY, SQL_DISPLACED_CLEAR };

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		sqlite3_stmt *s = db_statement(db, steps[i], err);
		int rc;

		if (s == NULL)
			return err != NULL ? err->code : ERR_DB;
		if (steps[i] != SQL_DISPLACED_CLEAR)
			sqlite3_bind_int64(s, 1, upto);
		if ((rc = db_run(db, s, err)) != 0)
			return rc;
	}
	return 0;
}

int64_t log_last(struct db *db)
{
	sqlite3_stmt *s = db_statement(db, SQL_LOG_LAST, NULL);
	int64_t last = s != NULL && db_step(db, s, NULL) > 0 ? sqlite3_column_int64(s, 0) : 0;

	if (s != NULL)
		sqlite3_reset(s);
	return last;
}
