/* Compared: differences with the neighbours. */
#include "store/compared.h"

int compared_put(struct db *db, uint64_t peer, const char *reg, uint64_t unit, const char *found, int64_t at_ms,
                 struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_COMPARED_PUT, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, peer);
	bind_text(q, 2, reg);
	bind_u64(q, 3, unit);
	bind_text(q, 4, found);
	sqlite3_bind_int64(q, 5, at_ms);
	return db_run(db, q, err);
}

int compared_each(struct db *db, uint64_t peer,
                  int (*fn)(void *arg, const char *reg, uint64_t unit, const char *found, int64_t at_ms), void *arg,
                  struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_COMPARED_EACH, err);
	int rc;

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, peer);
	while ((rc = db_step(db, q, err)) > 0)
		if (fn(arg, (const char *)sqlite3_column_text(q, 0), read_unsigned(q, 1), (const char *)sqlite3_column_text(q, 2),
		       sqlite3_column_int64(q, 3)) != 0)
			break;
	sqlite3_reset(q);
	return rc < 0 ? ERR_DB : 0;
}

int compared_forget(struct db *db, uint64_t peer, bool all, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, all ? SQL_COMPARED_FORGET : SQL_COMPARED_DROP, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, peer);
	return db_run(db, q, err);
}

int difference_put(struct db *db, uint64_t peer, const struct difference *d, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_DIFFERENCE_PUT, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, peer);
	bind_u64(q, 2, d->reg);
	bind_cell(q, 3, d->key);
	sqlite3_bind_int(q, 4, d->held);
	bind_slice(q, 5, d->body);
	sqlite3_bind_int64(q, 6, at_ms);
	return db_run(db, q, err);
}

int difference_each(struct db *db, uint64_t peer, int (*fn)(void *arg, const struct difference *d), void *arg, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_DIFFERENCE_EACH, err);
	int rc;

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, peer);
	while ((rc = db_step(db, q, err)) > 0) {
		const struct difference d = {.reg = (uint32_t)sqlite3_column_int64(q, 0), .key = read_cell(q, 1),
		                             .held = sqlite3_column_int(q, 2) != 0, .body = read_blob(q, 3)};

		if (fn(arg, &d) != 0)
			break;
	}
	sqlite3_reset(q);
	return rc < 0 ? ERR_DB : 0;
}

bool difference_any(struct db *db)
{
	sqlite3_stmt *q = db_statement(db, SQL_DIFFERENCE_ANY, NULL);
	bool any = q != NULL && db_step(db, q, NULL) > 0;

	if (q != NULL)
		sqlite3_reset(q);
	return any;
}

bool difference_has(struct db *db, uint64_t peer, const struct reg *r, struct cell key)
{
	sqlite3_stmt *q = db_statement(db, SQL_DIFFERENCE_HAS, NULL);
	bool has;

	if (q == NULL)
		return false;
	bind_u64(q, 1, peer);
	bind_u64(q, 2, r->number);
	bind_cell(q, 3, key);
	has = db_step(db, q, NULL) > 0;
	sqlite3_reset(q);
	return has;
}

int difference_forget(struct db *db, uint64_t peer, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_DIFFERENCE_FORGET, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, peer);
	return db_run(db, q, err);
}

int mending_get(struct db *db, uint64_t peer, enum mending *ret, int64_t *ret_at_ms, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_LINK_MENDING_GET, err);
	int rc;

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, peer);
	rc = db_step(db, q, err);
	*ret = rc > 0 ? (enum mending)sqlite3_column_int(q, 0) : MENDING_NONE;
	*ret_at_ms = rc > 0 ? sqlite3_column_int64(q, 1) : 0;
	sqlite3_reset(q);
	return rc < 0 ? ERR_DB : 0;
}

int mending_put(struct db *db, uint64_t peer, enum mending m, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_LINK_MENDING_PUT, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, peer);
	sqlite3_bind_int(q, 2, (int)m);
	sqlite3_bind_int64(q, 3, at_ms);
	return db_run(db, q, err);
}
