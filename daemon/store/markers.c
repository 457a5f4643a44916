/* Markers: tombstones and removals. */
#include "store/markers.h"

static int run_row(struct db *db, enum statement_id id, uint64_t reg, struct cell key, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);

	bind_u64(s, 1, reg);
	bind_cell(s, 2, key);
	return db_run(db, s, err);
}

int held_put(struct db *db, const struct reg *r, struct cell key, uint64_t unit, int64_t since_s, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_HELD_PUT, err);

	bind_u64(s, 1, r->number);
	bind_cell(s, 2, key);
	bind_u64(s, 3, unit);
	sqlite3_bind_int64(s, 4, since_s);
	return db_run(db, s, err);
}

int held_forget(struct db *db, uint32_t reg, struct cell key, struct err *err)
{
	return run_row(db, SQL_HELD_FORGET, reg, key, err);
}

int held_told(struct db *db, const struct reg *r, struct cell key, struct err *err)
{
	return run_row(db, SQL_HELD_TOLD, r->number, key, err);
}

int held_due(struct db *db, const struct marker *after, bool top, int64_t before_s, uint32_t most, struct arena *a,
             struct marker **ret, uint32_t *ret_n, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_HELD_DUE, err);
	int rc = 1;

	*ret_n = 0;
	*ret = arena_array(a, most, sizeof **ret);
	if (s == NULL)
		return db_code(err);
	bind_u64(s, 1, after->reg);
	bind_cell(s, 2, after->key);
	sqlite3_bind_int(s, 3, top);
	sqlite3_bind_int64(s, 4, before_s);
	bind_u64(s, 5, most);
	while (*ret != NULL && *ret_n < most && (rc = db_step(db, s, err)) > 0)
		(*ret)[(*ret_n)++] = (struct marker){ (uint32_t)read_unsigned(s, 0), cell_copy(a, read_cell(s, 1)), read_unsigned(s, 2),
			                              sqlite3_column_int64(s, 3) };
	sqlite3_reset(s);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "reclaiming markers: memory is short");
	return rc < 0 ? db_code(err) : 0;
}

static int64_t number(struct db *db, sqlite3_stmt *s)
{
	int64_t n = s != NULL && db_step(db, s, NULL) > 0 ? sqlite3_column_int64(s, 0) : 0;

	sqlite3_reset(s);
	return n;
}

int held_count(struct db *db, int64_t *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_REPORT_MARKERS, err);

	if (s == NULL)
		return db_code(err);
	sqlite3_bind_int(s, 1, 0);
	*ret = number(db, s);
	return 0;
}

/* ---- gone */

static sqlite3_stmt *one(struct db *db, enum statement_id id, uint64_t peer, uint32_t reg, struct cell key, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);

	bind_u64(s, 1, peer);
	bind_u64(s, 2, reg);
	bind_cell(s, 3, key);
	return s;
}

int gone_put(struct db *db, uint64_t peer, uint32_t reg, struct cell key, struct slice value, int64_t since_s, bool due,
             struct err *err)
{
	sqlite3_stmt *s = one(db, SQL_GONE_PUT, peer, reg, key, err);

	bind_slice(s, 4, value);
	sqlite3_bind_int64(s, 5, since_s);
	sqlite3_bind_int(s, 6, due);
	return db_run(db, s, err);
}

int gone_get(struct db *db, uint64_t peer, uint32_t reg, struct cell key, struct arena *a, struct slice *ret, bool *ret_found,
             struct err *err)
{
	sqlite3_stmt *s = one(db, SQL_GONE_GET, peer, reg, key, err);
	int rc = db_step(db, s, err);

	*ret_found = rc > 0;
	if (rc > 0) {
		*ret = arena_slice(a, read_blob(s, 0));
		sqlite3_reset(s);
	}
	if (a->failed)
		return err_set(err, ERR_NOMEM, "a marker: memory is short");
	return rc < 0 ? db_code(err) : 0;
}

bool gone_any(struct db *db, uint64_t peer)
{
	sqlite3_stmt *s = db_statement(db, SQL_GONE_ANY, NULL);

	bind_u64(s, 1, peer);
	return number(db, s) != 0;
}

int gone_forget(struct db *db, uint64_t peer, uint32_t reg, struct cell key, struct err *err)
{
	return db_run(db, one(db, SQL_GONE_FORGET, peer, reg, key, err), err);
}

int gone_ready(struct db *db, int64_t before_s, uint32_t most, struct arena *a, struct gone **ret, uint32_t *ret_n, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_GONE_READY, err);
	int rc = 1;

	*ret_n = 0;
	*ret = arena_array(a, most, sizeof **ret);
	if (s == NULL)
		return db_code(err);
	sqlite3_bind_int64(s, 1, before_s);
	bind_u64(s, 2, most);
	while (*ret != NULL && *ret_n < most && (rc = db_step(db, s, err)) > 0)
		(*ret)[(*ret_n)++] = (struct gone){ read_unsigned(s, 0), (uint32_t)read_unsigned(s, 1), cell_copy(a, read_cell(s, 2)) };
	sqlite3_reset(s);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "reclaiming markers: memory is short");
	return rc < 0 ? db_code(err) : 0;
}

int gone_due(struct db *db, const struct gone *g, struct err *err)
{
	return db_run(db, one(db, SQL_GONE_DUE, g->peer, g->reg, g->key, err), err);
}

int gone_settled(struct db *db, struct err *err)
{
	return db_run(db, db_statement(db, SQL_GONE_SETTLED, err), err);
}

/* ---- rest */

int link_rest_put(struct db *db, uint64_t peer, int64_t at_s, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LINK_REST_PUT, err);

	bind_u64(s, 1, peer);
	sqlite3_bind_int64(s, 2, at_s);
	return db_run(db, s, err);
}

int64_t link_rest(struct db *db, uint64_t peer)
{
	sqlite3_stmt *s = db_statement(db, SQL_LINK_REST, NULL);

	bind_u64(s, 1, peer);
	return number(db, s);
}
