/* Same: the index, the search, the memory of what was found. */
#include "store/same.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct column *column_of(const struct reg *r, const char *name)
{
	for (uint32_t i = 0; i < r->ncolumns; i++)
		if (strcasecmp(r->columns[i].name, name) == 0)
			return &r->columns[i];
	return NULL;
}

static void put_columns(struct buf *sql, const struct reg *r)
{
	for (uint32_t i = 0; i < r->policy->nidentity; i++) {
		buf_printf(sql, i > 0 ? ", " : "");
		identifier_put(sql, column_of(r, r->policy->identity[i])->name);
	}
}

static void put_keys(struct buf *sql, const struct reg *r)
{
	for (uint32_t i = 0; i < r->nkey; i++) {
		buf_printf(sql, i > 0 ? ", " : "");
		identifier_put(sql, r->key[i]->name);
	}
}

/* ---- the index */

static int standing_index(struct db *db, const char *name, struct buf *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SAME_INDEX, err);
	int rc;

	if (s == NULL)
		return db_code(err);
	bind_text(s, 1, name);
	rc = db_step(db, s, err);
	if (rc > 0)
		buf_printf(ret, "%s", (const char *)sqlite3_column_text(s, 0));
	sqlite3_reset(s);
	return rc < 0 ? db_code(err) : 0;
}

static int forget_all(struct db *db, const struct reg *r, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DUPLICATE_CLEAR, err);
	int rc;

	if (s == NULL)
		return db_code(err);
	bind_u64(s, 1, r->number);
	rc = db_run(db, s, err);
	s = rc == 0 ? db_statement(db, SQL_DUPLICATE_SOLVED, err) : NULL;
	if (s == NULL)
		return db_code(err);
	bind_text(s, 1, r->name);
	return db_run(db, s, err);
}

int same_index(struct db *db, const struct reg *r, bool *ret_made, struct err *err)
{
	_cleanup_(buf_release) struct buf stands = {0}, wanted = {0};
	char name[32], drop[64];
	int rc;

	*ret_made = false;
	snprintf(name, sizeof name, "terrace_i%u", r->number);
	rc = standing_index(db, name, &stands, err);
	if (rc == 0 && r->policy != NULL && r->policy->nidentity > 0 && !r->hold) {
		buf_printf(&wanted, "CREATE INDEX terrace_i%u ON ", r->number);
		identifier_put(&wanted, r->name);
		buf_printf(&wanted, "(");
		put_columns(&wanted, r);
		buf_printf(&wanted, ")");
	}
	if (rc != 0 || strcmp(buf_text(&stands), buf_text(&wanted)) == 0)
		return rc;
	snprintf(drop, sizeof drop, "DROP INDEX terrace_i%u", r->number);
	rc = forget_all(db, r, err);
	if (rc == 0 && stands.n > 0)
		rc = db_exec(db, drop, err);
	*ret_made = wanted.n > 0;
	return rc == 0 && wanted.n > 0 ? db_exec(db, buf_text(&wanted), err) : rc;
}

/* ---- the search */

bool same_identity(const struct reg *r, const struct cell *cells, struct arena *a, struct cell **ret, struct term *ret_hash)
{
	uint32_t n = r->policy != NULL ? r->policy->nidentity : 0;
	_cleanup_(buf_release) struct buf b = {0};
	struct cell *identity = arena_array(a, n + 1, sizeof *identity);

	if (n == 0 || identity == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		const struct column *c = column_of(r, r->policy->identity[i]);

		identity[i] = c != NULL ? cells[c - r->columns] : (struct cell){0};
		if (identity[i].type == CELL_NULL || ((identity[i].type == CELL_TEXT || identity[i].type == CELL_BLOB) &&
		                                      identity[i].s.n == 0))
			return false;
		cell_put(&b, identity[i]);
	}
	*ret = identity;
	*ret_hash = term_of(buf_slice(&b));
	return !b.failed;
}

static int read_keys(struct db *db, const struct reg *r, sqlite3_stmt *q, uint32_t most, struct arena *a, struct key **ret,
                     uint32_t *ret_n, struct err *err)
{
	struct key *keys = arena_array(a, most + 1, sizeof *keys);
	uint32_t n = 0;
	int rc = 0;

	while (keys != NULL && n < most && (rc = db_step(db, q, err)) > 0) {
		struct cell *cells = arena_array(a, r->nkey, sizeof *cells);

		for (uint32_t i = 0; cells != NULL && i < r->nkey; i++)
			cells[i] = cell_copy(a, read_cell(q, (int)i));
		keys[n++] = (struct key){cells, r->nkey};
	}
	sqlite3_finalize(q);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	*ret = keys;
	*ret_n = n;
	return rc < 0 ? db_code(err) : 0;
}

int same_rows(struct db *db, const struct reg *r, const struct cell *identity, uint32_t most, struct arena *a,
              struct key **ret, uint32_t *ret_n, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	sqlite3_stmt *q = NULL;
	int rc;

	buf_printf(&sql, "SELECT ");
	put_keys(&sql, r);
	buf_printf(&sql, " FROM ");
	identifier_put(&sql, r->name);
	for (uint32_t i = 0; i < r->policy->nidentity; i++) {
		buf_printf(&sql, i == 0 ? " WHERE " : " AND ");
		identifier_put(&sql, column_of(r, r->policy->identity[i])->name);
		buf_printf(&sql, " = ?%u", i + 1);
	}
	buf_printf(&sql, " LIMIT %u", most);
	rc = db_prepare(db, buf_text(&sql), &q, err);
	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < r->policy->nidentity; i++)
		bind_cell(q, (int)i + 1, identity[i]);
	return read_keys(db, r, q, most, a, ret, ret_n, err);
}

int same_twice(struct db *db, const struct reg *r, uint32_t most, struct arena *a, struct key **ret, uint32_t *ret_n,
               struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	sqlite3_stmt *q = NULL;
	int rc;

	buf_printf(&sql, "SELECT ");
	put_keys(&sql, r);
	buf_printf(&sql, " FROM ");
	identifier_put(&sql, r->name);
	buf_printf(&sql, " WHERE (");
	put_columns(&sql, r);
	buf_printf(&sql, ") IN (SELECT ");
	put_columns(&sql, r);
	buf_printf(&sql, " FROM ");
	identifier_put(&sql, r->name);
	buf_printf(&sql, " GROUP BY ");
	put_columns(&sql, r);
	buf_printf(&sql, " HAVING count(*) > 1) LIMIT %u", most);
	rc = db_prepare(db, buf_text(&sql), &q, err);
	return rc == 0 ? read_keys(db, r, q, most, a, ret, ret_n, err) : rc;
}

/* ---- memory */

int duplicate_put(struct db *db, const struct reg *r, struct cell key, const struct term *hash, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DUPLICATE_PUT, err);

	if (s == NULL)
		return db_code(err);
	bind_u64(s, 1, r->number);
	bind_cell(s, 2, key);
	bind_slice(s, 3, (struct slice){hash->at, TERM_SIZE});
	return db_run(db, s, err);
}

int duplicate_get(struct db *db, const struct reg *r, struct cell key, struct term *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DUPLICATE_GET, err);
	int rc;

	if (s == NULL)
		return db_code(err);
	bind_u64(s, 1, r->number);
	bind_cell(s, 2, key);
	rc = db_step(db, s, err);
	*ret_found = rc > 0 && sqlite3_column_bytes(s, 0) == TERM_SIZE;
	if (*ret_found)
		memcpy(ret->at, sqlite3_column_blob(s, 0), TERM_SIZE);
	sqlite3_reset(s);
	return rc < 0 ? db_code(err) : 0;
}

int duplicate_drop(struct db *db, const struct reg *r, struct cell key, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DUPLICATE_DROP, err);

	if (s == NULL)
		return db_code(err);
	bind_u64(s, 1, r->number);
	bind_cell(s, 2, key);
	return db_run(db, s, err);
}

int duplicate_each(struct db *db, const struct reg *r, const struct term *hash, uint32_t most, struct arena *a,
                   struct cell **ret, uint32_t *ret_n, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DUPLICATE_EACH, err);
	struct cell *keys = arena_array(a, most + 1, sizeof *keys);
	uint32_t n = 0;
	int rc = 0;

	if (s == NULL || keys == NULL)
		return s == NULL ? db_code(err) : err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	bind_u64(s, 1, r->number);
	bind_slice(s, 2, (struct slice){hash->at, TERM_SIZE});
	sqlite3_bind_int64(s, 3, most);
	while (n < most && (rc = db_step(db, s, err)) > 0)
		keys[n++] = cell_copy(a, read_cell(s, 0));
	sqlite3_reset(s);
	*ret = keys;
	*ret_n = n;
	return rc < 0 ? db_code(err) : a->failed ? err_set(err, ERR_NOMEM, "register %s: memory is short", r->name) : 0;
}
