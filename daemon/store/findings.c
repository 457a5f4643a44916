/* Findings of audits. */
#include "store/findings.h"

int finding_put(struct db *db, const struct damage *f, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_FINDING_PUT, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, f->reg);
	bind_cell(q, 2, f->key);
	sqlite3_bind_int(q, 3, (int)f->kind);
	sqlite3_bind_int(q, 4, f->asked);
	sqlite3_bind_int64(q, 5, at_ms);
	return db_run(db, q, err);
}

int finding_clear(struct db *db, const struct reg *r, struct cell key, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_FINDING_CLEAR, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, r->number);
	bind_cell(q, 2, key);
	return db_run(db, q, err);
}

int finding_forget(struct db *db, const struct reg *r, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_FINDING_FORGET, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, r->number);
	return db_run(db, q, err);
}

int finding_get(struct db *db, const struct reg *r, struct cell key, struct damage *ret, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_FINDING_GET, err);
	int rc;

	*ret = (struct damage){.reg = r->number, .key = key};
	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, r->number);
	bind_cell(q, 2, key);
	rc = db_step(db, q, err);
	if (rc > 0) {
		ret->kind = (enum finding_kind)sqlite3_column_int(q, 0);
		ret->asked = sqlite3_column_int(q, 1) != 0;
	}
	sqlite3_reset(q);
	return rc < 0 ? ERR_DB : 0;
}

int finding_each(struct db *db, int (*fn)(void *arg, const struct damage *f), void *arg, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_FINDING_EACH, err);
	int rc;

	if (q == NULL)
		return ERR_DB;
	sqlite3_bind_int(q, 1, 0);
	while ((rc = db_step(db, q, err)) > 0) {
		const struct damage f = {.reg = (uint32_t)sqlite3_column_int64(q, 0), .key = read_cell(q, 1),
		                          .kind = (enum finding_kind)sqlite3_column_int(q, 2), .asked = sqlite3_column_int(q, 3) != 0};

		if (fn(arg, &f) != 0)
			break;
	}
	sqlite3_reset(q);
	return rc < 0 ? ERR_DB : 0;
}

static int64_t number_of(struct db *db, enum statement_id id, const struct reg *r, const struct cell *key)
{
	sqlite3_stmt *q = db_statement(db, id, NULL);
	int64_t n = 0;

	if (q == NULL)
		return 0;
	if (r != NULL && key == NULL)
		bind_u64(q, 1, r->number);
	else if (r != NULL)
		bind_text(q, 1, r->name);
	if (key != NULL)
		bind_cell(q, 2, *key);
	if (db_step(db, q, NULL) > 0)
		n = sqlite3_column_int64(q, 0);
	sqlite3_reset(q);
	return n;
}

bool finding_any(struct db *db)
{
	return number_of(db, SQL_FINDING_ANY, NULL, NULL) != 0;
}

uint64_t finding_count(struct db *db, const struct reg *r)
{
	return (uint64_t)number_of(db, SQL_FINDING_COUNT, r, NULL);
}

bool finding_is_issue(struct db *db, const struct reg *r, struct cell key)
{
	return number_of(db, SQL_FINDING_ISSUE, r, &key) != 0;
}
