/* Policybox: policies and units as they were signed, and the DDL they bring. */
#include "store/policybox.h"

#include <string.h>

int policybox_put(struct db *db, uint64_t issuer, uint64_t version, struct slice canonical, int64_t segment,
                  const char *state, const char *note, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_POLICY_PUT, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, issuer);
	bind_u64(q, 2, version);
	bind_slice(q, 3, canonical);
	sqlite3_bind_int64(q, 4, segment);
	bind_text(q, 5, state);
	bind_text(q, 6, note);
	sqlite3_bind_int64(q, 7, at_ms);
	return db_run(db, q, err);
}

uint64_t policybox_latest(struct db *db, uint64_t issuer)
{
	sqlite3_stmt *q = db_statement(db, SQL_POLICY_LATEST, NULL);
	uint64_t version = 0;

	if (q == NULL)
		return 0;
	bind_u64(q, 1, issuer);
	if (db_step(db, q, NULL) > 0)
		version = read_unsigned(q, 0);
	sqlite3_reset(q);
	return version;
}

int policybox_get(struct db *db, uint64_t issuer, uint64_t version, struct arena *a, struct policy *ret,
                  uint64_t *ret_version, bool *ret_found, struct err *err)
{
	bool by_state = version == 0 || version == UINT64_MAX;
	sqlite3_stmt *q = db_statement(db, version == 0 ? SQL_POLICY_ACTIVE : by_state ? SQL_POLICY_STAGED : SQL_POLICY_GET,
	                               err);
	struct slice canonical;
	int rc;

	*ret_found = false;
	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, issuer);
	if (!by_state)
		bind_u64(q, 2, version);
	rc = db_step(db, q, err);
	if (rc <= 0)
		return rc < 0 ? ERR_DB : 0;
	if (ret_version != NULL)
		*ret_version = by_state ? read_unsigned(q, 0) : version;
	canonical = arena_slice(a, read_blob(q, by_state ? 1 : 0));
	sqlite3_reset(q);
	*ret_found = true;
	return policy_get(canonical, a, ret, err);
}

static int set_state(struct db *db, uint64_t issuer, uint64_t version, const char *state, const char *note, int64_t at_ms,
                     struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_POLICY_STATE, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, issuer);
	bind_u64(q, 2, version);
	bind_text(q, 3, state);
	bind_text(q, 4, note);
	sqlite3_bind_int64(q, 5, at_ms);
	return db_run(db, q, err);
}

int policybox_activate(struct db *db, uint64_t issuer, uint64_t version, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_POLICY_RETIRE, err);
	int rc;

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, issuer);
	bind_u64(q, 2, version);
	rc = db_run(db, q, err);
	return rc == 0 ? set_state(db, issuer, version, "active", NULL, at_ms, err) : rc;
}

int policybox_fail(struct db *db, uint64_t issuer, uint64_t version, const char *note, int64_t at_ms, struct err *err)
{
	return set_state(db, issuer, version, "failed", note, at_ms, err);
}

/* ---- units, broadcasts */

bool policybox_failed(struct db *db)
{
	sqlite3_stmt *q = db_statement(db, SQL_POLICY_FAILED, NULL);
	bool any = q != NULL && db_step(db, q, NULL) > 0;

	if (q != NULL)
		sqlite3_reset(q);
	return any;
}

int units_clear(struct db *db, struct err *err)
{
	return db_run(db, db_statement(db, SQL_UNITS_CLEAR, err), err);
}

int units_add(struct db *db, uint64_t code, const char *name, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_UNIT_ADD, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, code);
	bind_text(q, 2, name);
	return db_run(db, q, err);
}

int broadcasts_each(struct db *db, int (*fn)(void *arg, int64_t id), void *arg, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_BROADCASTS, err);
	int rc, step;

	if (q == NULL)
		return ERR_DB;
	for (rc = 0; rc == 0 && (step = db_step(db, q, err)) > 0;)
		rc = fn(arg, sqlite3_column_int64(q, 0));
	sqlite3_reset(q);
	return rc;
}

int time_notes_drop(struct db *db, uint64_t author, uint64_t before, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_TIME_DROP, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, author);
	bind_u64(q, 2, before);
	return db_run(db, q, err);
}

/* ---- tables */

bool table_has_rows(struct db *db, const char *table)
{
	_cleanup_(buf_release) struct buf sql = {0};
	sqlite3_stmt *q = NULL;
	bool any;

	buf_printf(&sql, "SELECT 1 FROM ");
	identifier_put(&sql, table);
	buf_printf(&sql, " LIMIT 1");
	if (sqlite3_prepare_v2(db->sql, buf_text(&sql), -1, &q, NULL) != SQLITE_OK)
		return false;
	any = sqlite3_step(q) == SQLITE_ROW;
	sqlite3_finalize(q);
	return any;
}

int table_count(struct db *db, const char *table, int64_t *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	sqlite3_stmt *q = NULL;
	int rc;

	buf_printf(&sql, "SELECT count(*) FROM ");
	identifier_put(&sql, table);
	rc = db_prepare(db, buf_text(&sql), &q, err);
	if (rc == 0 && db_step(db, q, err) > 0)
		*ret = sqlite3_column_int64(q, 0);
	else if (rc == 0)
		rc = db_code(err);
	sqlite3_finalize(q);
	return rc;
}
