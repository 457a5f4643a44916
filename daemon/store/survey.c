/* Survey: triggers, foreign keys, unique keys and text of an application's own table. */
#include "store/survey.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "store/ddl.h"

#define FINDINGS 256u

const char *trigger_word(enum trigger_class c)
{
	static const char *const words[] = { "harmless", "doubling", "impossible" };

	return words[c];
}

static int memory(const char *name, struct err *err)
{
	return err_set(err, ERR_NOMEM, "table %s: memory is short", name);
}

static char *text_of(struct arena *a, sqlite3_stmt *s, int i)
{
	return arena_text(a, (struct slice){ sqlite3_column_text(s, i), (size_t)sqlite3_column_bytes(s, i) });
}

/* ---- what a trigger writes */

struct asked {
	struct survey_trigger *t;
	struct arena *a;
};

static int on_access(void *arg, int action, const char *table, const char *more, const char *base, const char *trigger)
{
	struct asked *x = arg;

	(void)more;
	(void)base;
	if ((action != SQLITE_INSERT && action != SQLITE_UPDATE && action != SQLITE_DELETE) || trigger == NULL ||
	    table == NULL || strcasecmp(trigger, x->t->name) != 0)
		return SQLITE_OK;
	for (uint32_t i = 0; i < x->t->nwrites; i++)
		if (strcasecmp(x->t->writes[i], table) == 0)
			return SQLITE_OK;
	if (x->t->nwrites < ARRAY_SIZE(x->t->writes))
		x->t->writes[x->t->nwrites++] = arena_text(x->a, slice_of(table));
	return SQLITE_OK;
}

static int compiles(sqlite3 *db, const struct buf *sql, struct err *err)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db, buf_text((struct buf *)(uintptr_t)sql), -1, &s, NULL);

	sqlite3_finalize(s);
	return rc == SQLITE_OK ? 0 : err_set(err, ERR_POLICY, "%s", sqlite3_errmsg(db));
}

static int update_sql(sqlite3 *db, const char *table, struct buf *b)
{
	sqlite3_stmt *s = NULL;
	int n = 0;

	buf_printf(b, "UPDATE ");
	identifier_put(b, table);
	if (sqlite3_prepare_v2(db, "SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden = 0", -1, &s, NULL) != SQLITE_OK)
		return 0;
	sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
	while (sqlite3_step(s) == SQLITE_ROW) {
		buf_printf(b, n++ == 0 ? " SET " : ", ");
		identifier_put(b, (const char *)sqlite3_column_text(s, 0));
		buf_printf(b, " = NULL");
	}
	sqlite3_finalize(s);
	return n;
}

int trigger_writes(sqlite3 *db, const char *table, struct survey_trigger *t, struct arena *a, struct err *err)
{
	_cleanup_(buf_release) struct buf update = { 0 }, insert = { 0 }, remove = { 0 };
	struct asked asked = { t, a };
	int columns = update_sql(db, table, &update), rc;

	buf_printf(&insert, "INSERT INTO ");
	identifier_put(&insert, table);
	buf_printf(&insert, " DEFAULT VALUES");
	buf_printf(&remove, "DELETE FROM ");
	identifier_put(&remove, table);
	if (update.failed || insert.failed || remove.failed)
		return memory(table, err);
	sqlite3_set_authorizer(db, on_access, &asked);
	rc = compiles(db, &insert, err);
	if (rc == 0 && columns > 0)
		rc = compiles(db, &update, err);
	if (rc == 0)
		rc = compiles(db, &remove, err);
	sqlite3_set_authorizer(db, NULL, NULL);
	return rc;
}

/* ---- classes */

/* The application's tables without their rows, in memory: one trigger at a time is compiled there. */
static int scratch_make(struct db *db, sqlite3 **ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SURVEY_SCHEMA, err);
	int rc;

	if (s == NULL)
		return db_code(err);
	if (sqlite3_open_v2(":memory:", ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_MEMORY, NULL) != SQLITE_OK)
		return memory(db->path, err);
	db_confine(*ret);
	sqlite3_db_config(*ret, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, NULL);
	/* What fails is there already (the shadow of a virtual table), or its triggers will tell. */
	while ((rc = db_step(db, s, err)) > 0)
		sqlite3_exec(*ret, (const char *)sqlite3_column_text(s, 0), NULL, NULL, NULL);
	return rc < 0 ? db_code(err) : 0;
}

static void classify(sqlite3 *scratch, const struct catalog *c, const struct reg *r, struct survey_trigger *t, struct arena *a)
{
	struct err say = { 0 };
	_cleanup_(buf_release) struct buf drop = { 0 };

	for (uint32_t i = 0; i < r->policy->nlocal; i++)
		t->local |= strcasecmp(r->policy->local[i], t->name) == 0;
	if (sqlite3_exec(scratch, t->sql, NULL, NULL, NULL) != SQLITE_OK)
		err_set(&say, ERR_POLICY, "%s", sqlite3_errmsg(scratch));
	else
		trigger_writes(scratch, r->name, t, a, &say);
	buf_printf(&drop, "DROP TRIGGER IF EXISTS ");
	identifier_put(&drop, t->name);
	sqlite3_exec(scratch, buf_text(&drop), NULL, NULL, NULL);
	if (say.code != 0) {
		t->class = TRIGGER_IMPOSSIBLE;
		t->error = arena_text(a, slice_of(say.text));
		return;
	}
	for (uint32_t i = 0; i < t->nwrites; i++)
		if (t->writes[i] != NULL && catalog_register(c, slice_of(t->writes[i])) == NULL)
			t->class = TRIGGER_DOUBLING;
}

int survey_triggers(struct db *db, const struct catalog *c, const struct reg *r, struct arena *a,
                    struct survey_trigger **ret, uint32_t *ret_n, struct err *err)
{
	struct survey_trigger *list = arena_array(a, FINDINGS, sizeof *list);
	sqlite3_stmt *s = db_statement(db, SQL_SURVEY_TRIGGERS, err);
	sqlite3 *scratch = NULL;
	uint32_t n = 0;
	int rc;

	*ret_n = 0;
	if (s == NULL)
		return db_code(err);
	bind_text(s, 1, r->name);
	while (list != NULL && n < FINDINGS && (rc = db_step(db, s, err)) > 0) {
		list[n].name = text_of(a, s, 0);
		list[n++].sql = text_of(a, s, 1);
	}
	sqlite3_reset(s);
	if (a->failed)
		return memory(r->name, err);
	if (n == FINDINGS)
		return err_set(err, ERR_LIMIT, "table %s has more than %u triggers", r->name, FINDINGS - 1);
	rc = n > 0 ? scratch_make(db, &scratch, err) : 0;
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		classify(scratch, c, r, &list[i], a);
	sqlite3_close_v2(scratch);
	*ret = list;
	*ret_n = n;
	return rc;
}

/* ---- keys */

struct finds {
	struct survey_find *list;
	uint32_t n;
	const char *of;
	struct arena *a;
};

static int find_add(struct finds *f, const char *name, const char *text, uint64_t rows, struct err *err)
{
	if (f->list == NULL)
		f->list = arena_array(f->a, FINDINGS, sizeof *f->list);
	if (f->list == NULL)
		return memory(f->of, err);
	if (f->n == FINDINGS)
		return err_set(err, ERR_LIMIT, "%s: more than %u findings", f->of, FINDINGS);
	f->list[f->n++] = (struct survey_find){ arena_text(f->a, slice_of(name)), arena_text(f->a, slice_of(text)), rows };
	return f->a->failed ? memory(f->of, err) : 0;
}

int survey_orphans(struct db *db, const struct reg *r, struct arena *a, struct survey_find **ret, uint32_t *ret_n,
                   struct err *err)
{
	struct finds f = { .of = r->name, .a = a };
	struct err say = { 0 };
	sqlite3_stmt *s = db_statement(db, SQL_SURVEY_ORPHANS, err);
	int rc, step;

	if (s == NULL)
		return db_code(err);
	bind_text(s, 1, r->name);
	for (rc = 0; rc == 0 && (step = db_step(db, s, &say)) > 0;)
		rc = find_add(&f, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1),
		              (uint64_t)sqlite3_column_int64(s, 2), err);
	sqlite3_reset(s);
	if (rc == 0 && step < 0)                 /* the parent has no such key: SQLite itself cannot follow it */
		rc = find_add(&f, "?", say.text, 0, err);
	*ret = f.list;
	*ret_n = f.n;
	return rc;
}

static bool has_expression(struct db *db, const char *index)
{
	sqlite3_stmt *s = db_statement(db, SQL_CATALOG_INDEX, NULL);
	bool found = false;

	if (s == NULL)
		return false;
	bind_text(s, 1, index);
	while (db_step(db, s, NULL) > 0)
		found |= sqlite3_column_type(s, 0) == SQLITE_NULL;
	return found;
}

int survey_unseen(struct db *db, const struct reg *r, struct arena *a, struct survey_find **ret, uint32_t *ret_n,
                  struct err *err)
{
	struct finds f = { .of = r->name, .a = a };
	const char *names[FINDINGS];
	bool partial[FINDINGS];
	uint32_t n = 0;
	struct err say = { 0 };
	sqlite3_stmt *s = db_statement(db, SQL_CATALOG_UNIQUE, err);
	int rc = 0;

	if (s == NULL)
		return db_code(err);
	bind_text(s, 1, r->name);
	while (n < FINDINGS && (rc = db_step(db, s, err)) > 0) {
		names[n] = text_of(a, s, 0);
		partial[n++] = sqlite3_column_int(s, 2) != 0;
	}
	sqlite3_reset(s);
	rc = rc < 0 ? db_code(err) : a->failed ? memory(r->name, err) : 0;
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		if (partial[i])
			rc = find_add(&f, names[i], "a partial unique index", 0, err);
		else if (has_expression(db, names[i]))
			rc = find_add(&f, names[i], "a unique index over an expression", 0, err);
	}
	s = rc == 0 ? db_statement(db, SQL_SURVEY_SQL, err) : NULL;
	if (s != NULL) {
		bind_text(s, 1, r->name);
		while (rc == 0 && db_step(db, s, NULL) > 0)
			if (strcmp((const char *)sqlite3_column_text(s, 0), "trigger") != 0 &&
			    ddl_conflict_clause((const char *)sqlite3_column_text(s, 2), &say) != 0)
				rc = find_add(&f, (const char *)sqlite3_column_text(s, 1), "an ON CONFLICT clause", 0, err);
		sqlite3_reset(s);
	}
	*ret = f.list;
	*ret_n = f.n;
	return rc;
}

int survey_others(struct db *db, const struct catalog *c, struct arena *a, struct survey_find **ret, uint32_t *ret_n,
                  struct err *err)
{
	struct finds f = { .of = db->path, .a = a };
	sqlite3_stmt *s = db_statement(db, SQL_SURVEY_TABLES, err);
	int rc, step = 0;

	if (s == NULL)
		return db_code(err);
	for (rc = 0; rc == 0 && f.n < FINDINGS && (step = db_step(db, s, err)) > 0;) {
		const char *name = (const char *)sqlite3_column_text(s, 0);

		if (catalog_register(c, slice_of(name)) == NULL)
			rc = find_add(&f, name, "", 0, err);
	}
	sqlite3_reset(s);
	*ret = f.list;
	*ret_n = f.n;
	return step < 0 ? db_code(err) : rc;
}

int survey_sql(struct db *db, const struct reg *r, struct buf *b, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SURVEY_SQL, err);
	int rc;

	if (s == NULL)
		return db_code(err);
	bind_text(s, 1, r->name);
	while ((rc = db_step(db, s, err)) > 0) {
		buf_put_slice(b, slice_of((const char *)sqlite3_column_text(s, 1)));
		buf_put_slice(b, slice_of((const char *)sqlite3_column_text(s, 2)));
	}
	sqlite3_reset(s);
	return rc < 0 ? db_code(err) : 0;
}

/* ---- text */

int survey_texts(struct db *db, const struct reg *r, uint64_t *ret_invalid, uint64_t *ret_nul, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = { 0 };
	sqlite3_stmt *s = NULL;
	int rc, columns = 0;

	*ret_invalid = *ret_nul = 0;
	for (uint32_t i = 0; i < r->ncolumns; i++) {
		if (!r->columns[i].present)
			continue;
		buf_printf(&sql, columns++ == 0 ? "SELECT " : ", ");
		identifier_put(&sql, r->columns[i].name);
	}
	if (columns == 0)
		return 0;
	buf_printf(&sql, " FROM ");
	identifier_put(&sql, r->name);
	rc = db_prepare(db, buf_text(&sql), &s, err);
	while (rc == 0 && (rc = db_step(db, s, err)) > 0) {
		rc = 0;
		for (int i = 0; i < columns; i++) {
			struct cell c = read_cell(s, i);

			if (c.type != CELL_TEXT || c.s.n == 0)
				continue;
			*ret_nul += memchr(c.s.p, 0, c.s.n) != NULL;
			*ret_invalid += !utf8_valid(c.s);
		}
	}
	sqlite3_finalize(s);
	return rc < 0 ? db_code(err) : 0;
}
