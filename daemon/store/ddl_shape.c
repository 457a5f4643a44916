/* DDL: whether a register fits its table, and the whole of `policy check` in an empty database. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/limits.h"
#include "store/db.h"
#include "store/ddl.h"
#include "store/rulebox.h"

enum affinity { AFFINITY_BLOB, AFFINITY_TEXT, AFFINITY_NUMERIC, AFFINITY_INTEGER, AFFINITY_REAL };

struct shape_column {
	char *name, *type, *fallback, *collation; /* fallback: the default's SQL, NULL = none */
	bool not_null, generated;
	uint32_t pk; /* place in the primary key, from 1 */
};

struct shape {
	const struct policy_register *r;
	struct arena arena;
	struct shape_column *columns;
	uint32_t ncolumns, npk;
	bool pk_index; /* the primary key has an index: no alias of the rowid */
};

static void shape_release(struct shape *s)
{
	arena_release(&s->arena);
}

static int failed(sqlite3 *db, const struct policy_register *r, struct err *err)
{
	return err_set(err, ERR_DB, "register %s: %s", r->name, sqlite3_errmsg(db));
}

static void finalize(sqlite3_stmt **s)
{
	sqlite3_finalize(*s);
}

static int query(sqlite3 *db, const char *sql, const char *name, sqlite3_stmt **ret)
{
	int rc = sqlite3_prepare_v2(db, sql, -1, ret, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(*ret, 1, name, -1, SQLITE_STATIC);
	return rc;
}

static char *column_text(struct shape *s, sqlite3_stmt *q, int i)
{
	const unsigned char *t = sqlite3_column_text(q, i);
	return t == NULL ? NULL
			 : arena_text(&s->arena, (struct slice){ t, (size_t)sqlite3_column_bytes(q, i) });
}

/* SQLite's own five rules of column affinity, in their order. */
static enum affinity affinity_of(const char *type)
{
	char upper[64];
	size_t n = 0;
	for (; n < sizeof(upper) - 1 && type[n] != '\0'; n++)
		upper[n] = type[n] >= 'a' && type[n] <= 'z' ? (char)(type[n] - 32) : type[n];
	upper[n] = '\0';
	if (strstr(upper, "INT") != NULL)
		return AFFINITY_INTEGER;
	if (strstr(upper, "CHAR") != NULL || strstr(upper, "CLOB") != NULL || strstr(upper, "TEXT") != NULL)
		return AFFINITY_TEXT;
	if (upper[0] == '\0' || strstr(upper, "BLOB") != NULL)
		return AFFINITY_BLOB;
	if (strstr(upper, "REAL") != NULL || strstr(upper, "FLOA") != NULL || strstr(upper, "DOUB") != NULL)
		return AFFINITY_REAL;
	return AFFINITY_NUMERIC;
}

static const struct shape_column *column_named(const struct shape *s, const char *name)
{
	for (uint32_t i = 0; i < s->ncolumns; i++)
		if (strcasecmp(s->columns[i].name, name) == 0)
			return &s->columns[i];
	return NULL;
}

static int load_columns(sqlite3 *db, struct shape *s, struct err *err)
{
	_cleanup_(finalize) sqlite3_stmt *q = NULL;
	const struct policy_register *r = s->r;
	s->columns = arena_array(&s->arena, 2001, sizeof(*s->columns));
	if (s->columns == NULL)
		return err_set(err, ERR_NOMEM, "register %s: no memory", r->name);
	if (query(db, "SELECT name,type,\"notnull\",dflt_value,pk,hidden FROM pragma_table_xinfo(?1)",
		  r->name, &q) != SQLITE_OK)
		return failed(db, r, err);
	int rc;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW && s->ncolumns < 2000) {
		struct shape_column *c = &s->columns[s->ncolumns++];
		c->name = column_text(s, q, 0);
		c->type = column_text(s, q, 1);
		c->not_null = sqlite3_column_int(q, 2) != 0;
		c->fallback = column_text(s, q, 3);
		if (c->fallback != NULL && strcasecmp(c->fallback, "null") == 0)
			c->fallback = NULL;
		c->pk = (uint32_t)sqlite3_column_int(q, 4);
		s->npk += c->pk > 0;
		c->generated = sqlite3_column_int(q, 5) != 0;
		const char *collation = "BINARY";
		if (c->name != NULL)
			sqlite3_table_column_metadata(db, "main", r->name, c->name, NULL, &collation, NULL,
						      NULL, NULL);
		c->collation = arena_text(&s->arena, slice_of(collation));
		if (c->name == NULL || c->type == NULL || c->collation == NULL)
			return err_set(err, ERR_NOMEM, "register %s: no memory", r->name);
	}
	return rc == SQLITE_DONE ? 0 : failed(db, r, err);
}

static int load_table(sqlite3 *db, struct shape *s, struct err *err)
{
	_cleanup_(finalize) sqlite3_stmt *q = NULL;
	const struct policy_register *r = s->r;
	if (query(db,
		  "SELECT type,name,sql FROM sqlite_master WHERE name=?1 COLLATE NOCASE AND type IN "
		  "('table','view')",
		  r->name, &q) != SQLITE_OK)
		return failed(db, r, err);
	int rc = sqlite3_step(q);
	if (rc == SQLITE_DONE)
		return err_set(err, ERR_SCHEMA, "register %s: there is no table %s%s", r->name, r->name,
			       r->application_schema ? " yet; the application has to make it"
						     : "; its CREATE TABLE is missing in schema");
	if (rc != SQLITE_ROW)
		return failed(db, r, err);
	const char *type = column_text(s, q, 0), *name = column_text(s, q, 1), *sql = column_text(s, q, 2);
	if (type == NULL || name == NULL || sql == NULL)
		return err_set(err, ERR_NOMEM, "register %s: no memory", r->name);
	if (strcmp(type, "table") != 0)
		return err_set(err, ERR_POLICY, "register %s: %s is a view; a register is a table", r->name,
			       name);
	if (strcmp(name, r->name) != 0)
		return err_set(err, ERR_POLICY, "register %s: the table is written %s; write it the same way",
			       r->name, name);
	if (strncasecmp(sql, "create virtual", 14) == 0)
		return err_set(err, ERR_POLICY, "register %s: a virtual table cannot be a register", r->name);
	/* What the application brought along is named by `adopt` and `doctor`, not refused. */
	if (!r->application_schema && ddl_conflict_clause(sql, err) != 0)
		return err_prefix(err, "register %s: ", r->name);
	return load_columns(db, s, err);
}

/* A named column that is there under exactly that name and is no generated one. */
static int column_sound(const struct shape *s, const char *what, const char *name,
			const struct shape_column **ret, struct err *err)
{
	const struct shape_column *c = column_named(s, name);
	if (c == NULL)
		return err_set(err, s->r->application_schema ? ERR_SCHEMA : ERR_POLICY,
			       "register %s: %s: the table has no column %s", s->r->name, what, name);
	if (strcmp(c->name, name) != 0)
		return err_set(err, ERR_POLICY,
			       "register %s: %s: column %s is written %s in the table; write it the same way",
			       s->r->name, what, name, c->name);
	if (c->generated)
		return err_set(
			err, ERR_POLICY,
			"register %s: %s: column %s is generated; it follows by itself and is not named",
			s->r->name, what, name);
	*ret = c;
	return 0;
}

static bool in_key(const struct policy_register *r, const char *name)
{
	for (uint32_t i = 0; i < r->nkey; i++)
		if (strcasecmp(r->key[i], name) == 0)
			return true;
	return false;
}

/* Whether one index holds exactly the key's columns, each compared by BINARY; refuses what displaces unseen. */
static int index_fits(sqlite3 *db, const struct shape *s, const char *index, bool *ret, struct err *err)
{
	_cleanup_(finalize) sqlite3_stmt *q = NULL;
	const struct policy_register *r = s->r;
	uint32_t columns = 0, fitting = 0;
	if (query(db, "SELECT cid,name,coll FROM pragma_index_xinfo(?1) WHERE key", index, &q) != SQLITE_OK)
		return failed(db, r, err);
	int rc;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(q, 1),
			   *collation = (const char *)sqlite3_column_text(q, 2);
		if (sqlite3_column_int(q, 0) == -2 && !r->application_schema)
			return err_set(err, ERR_POLICY,
				       "register %s: unique index %s has an expression; a unique index names "
				       "columns only",
				       r->name, index);
		columns++;
		fitting += name != NULL && in_key(r, name) && collation != NULL &&
			   strcasecmp(collation, "binary") == 0;
	}
	*ret = columns == r->nkey && fitting == columns;
	return rc == SQLITE_DONE ? 0 : failed(db, r, err);
}

static int unique_indexes(sqlite3 *db, struct shape *s, bool *ret_key, struct err *err)
{
	_cleanup_(finalize) sqlite3_stmt *q = NULL;
	const struct policy_register *r = s->r;
	int code, rc;
	*ret_key = false;
	if (query(db, "SELECT name,origin,partial FROM pragma_index_list(?1) WHERE \"unique\"", r->name,
		  &q) != SQLITE_OK)
		return failed(db, r, err);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		char *name = column_text(s, q, 0), *origin = column_text(s, q, 1);
		bool fits = false;
		if (name == NULL || origin == NULL)
			return err_set(err, ERR_NOMEM, "register %s: no memory", r->name);
		if (sqlite3_column_int(q, 2) != 0) {
			if (r->application_schema)
				continue;
			return err_set(err, ERR_POLICY,
				       "register %s: unique index %s is partial; it displaces rows unseen",
				       r->name, name);
		}
		s->pk_index |= strcmp(origin, "pk") == 0;
		if ((code = index_fits(db, s, name, &fits, err)) != 0)
			return code;
		*ret_key |= fits;
	}
	return rc == SQLITE_DONE ? 0 : failed(db, r, err);
}

static int key_shape(sqlite3 *db, struct shape *s, struct err *err)
{
	const struct policy_register *r = s->r;
	bool unique;
	int code = unique_indexes(db, s, &unique, err);
	if (code != 0)
		return code;
	bool rowid = s->npk == 1 && !s->pk_index, alias = false;
	for (uint32_t i = 0; i < r->nkey; i++) {
		const struct shape_column *c = NULL;
		if ((code = column_sound(s, "key", r->key[i], &c, err)) != 0)
			return code;
		alias |= rowid && c->pk > 0 && r->nkey == 1;
		if (!c->not_null && !alias)
			return err_set(err, ERR_POLICY,
				       "register %s: key column %s may be NULL; declare it NOT NULL", r->name,
				       c->name);
		enum affinity a = affinity_of(c->type);
		if (a == AFFINITY_NUMERIC || a == AFFINITY_REAL || c->type[0] == '\0')
			return err_set(err, ERR_POLICY,
				       "register %s: key column %s is declared \"%s\"; a key is TEXT, "
				       "INTEGER or BLOB, so "
				       "that it has one storage class",
				       r->name, c->name, c->type);
		if (strcasecmp(c->collation, "binary") != 0)
			return err_set(err, ERR_POLICY,
				       "register %s: key column %s compares by %s; a key compares by BINARY",
				       r->name, c->name, c->collation);
	}
	if (s->npk == 0 && !unique)
		return err_set(
			err, ERR_POLICY,
			"register %s: the table has no PRIMARY KEY and no UNIQUE key; without a key no row "
			"can be told from another: declare one",
			r->name);
	if (!unique && !alias)
		return err_set(
			err, ERR_POLICY,
			"register %s: the key is not exactly the table's PRIMARY KEY or one of its UNIQUE "
			"keys",
			r->name);
	if (alias && !r->assigned)
		return err_set(
			err, ERR_POLICY,
			"register %s: the database numbers key %s itself, so two nodes would give one number "
			"to two rows; use a key that the application makes (unit code and counter), or "
			"promise by "
			"assigned = true that its numbers are unique in the tree",
			r->name, r->key[0]);
	return 0;
}

/* Levels that may write a column of group g (or, NULL, one outside all groups). */
static uint8_t writers(const struct policy_group *g)
{
	return g == NULL ? 0 : (uint8_t)(g->own | g->propose);
}

/* The alias of the rowid, where it is not the key: a local number of each database. */
static bool numbers_itself(const struct shape *s, const struct shape_column *c)
{
	return c->pk > 0 && s->npk == 1 && !s->pk_index && !in_key(s->r, c->name);
}

static int groups_shape(struct shape *s, struct policy_where *where, struct err *err)
{
	const struct policy_register *r = s->r;
	const struct shape_column *c = NULL;
	const struct policy_group **group_of = arena_array(&s->arena, s->ncolumns + 1, sizeof(*group_of));
	int code;
	if (group_of == NULL)
		return err_set(err, ERR_NOMEM, "register %s: no memory", r->name);
	if (r->unit_source == UNIT_COLUMN || r->unit_source == UNIT_VIA) {
		if ((code = column_sound(s, "unit", r->unit_column, &c, err)) != 0)
			return code;
		if (r->unit_source == UNIT_COLUMN && affinity_of(c->type) != AFFINITY_TEXT)
			return err_set(err, ERR_POLICY,
				       "register %s: unit column %s is declared \"%s\"; a unit code is TEXT",
				       r->name, c->name, c->type);
	}
	for (uint32_t i = 0; i < r->ngroups; i++) {
		const struct policy_group *g = &r->groups[i];
		*where = (struct policy_where){ r->name, "group", g->name };
		for (uint32_t k = 0; k < g->ncolumns; k++) {
			if ((code = column_sound(s, g->name, g->columns[k], &c, err)) != 0)
				return code;
			if (numbers_itself(s, c))
				return err_set(err, ERR_POLICY,
					       "register %s: the database numbers column %s itself, each node in its own "
					       "way; leave it out of group %s", r->name, c->name, g->name);
			group_of[c - s->columns] = g;
		}
	}
	*where = (struct policy_where){ .reg = r->name };
	for (uint32_t i = 0; i < s->ncolumns; i++) {
		const struct policy_group *g = group_of[i];
		c = &s->columns[i];
		bool named = in_key(r, c->name) ||
			     (r->unit_source == UNIT_COLUMN && strcasecmp(c->name, r->unit_column) == 0);
		if (named || c->generated || numbers_itself(s, c) || !c->not_null || c->fallback != NULL ||
		    (r->create & ~writers(g)) == 0)
			continue;
		if (g == NULL)
			return err_set(err, ERR_POLICY,
				       "register %s: column %s is in no group, so other nodes make the row "
				       "without it; "
				       "give it a default, or allow NULL",
				       r->name, c->name);
		*where = (struct policy_where){ r->name, "group", g->name };
		return err_set(
			err, ERR_POLICY,
			"register %s: a level that creates rows may not write column %s of group %s; give it "
			"a default, or allow NULL",
			r->name, c->name, g->name);
	}
	return 0;
}

int ddl_shape(sqlite3 *db, const struct policy_register *r, struct policy_where *ret_where, struct err *err)
{
	_cleanup_(shape_release) struct shape s = { .r = r };
	struct policy_where unused;
	if (ret_where == NULL)
		ret_where = &unused;
	*ret_where = (struct policy_where){ .reg = r->name };
	int code;
	if ((code = load_table(db, &s, err)) != 0 || (code = key_shape(db, &s, err)) != 0)
		return code;
	return groups_shape(&s, ret_where, err);
}

/* The rule authorizer: reads the policy's own tables, calls listed functions, nothing else.  `insert` admits the one
 * INSERT that makes SQLite compile a table's checks, generated columns and defaults. */
struct rule_guard {
	bool insert, dates;
	char refused[96];
};

static bool daemon_table(const char *name)
{
	return name != NULL &&
	       (strncasecmp(name, "sqlite_", 7) == 0 || strncasecmp(name, "terrace_", 8) == 0);
}

static int authorize_rule(void *arg, int action, const char *a, const char *b, const char *database,
			  const char *inner)
{
	static const char *const dates[] = { "date", "time", "datetime", "julianday", "strftime" };
	struct rule_guard *g = arg;
	(void)database;
	(void)inner;
	switch (action) {
	case SQLITE_SELECT:
		return SQLITE_OK;
	case SQLITE_READ:
		if (!daemon_table(a))
			return SQLITE_OK;
		snprintf(g->refused, sizeof(g->refused), "reading %.60s", a);
		return SQLITE_DENY;
	case SQLITE_INSERT:
		if (g->insert && !daemon_table(a))
			return SQLITE_OK;
		break;
	case SQLITE_FUNCTION:
		if (ddl_function_allowed(b))
			return SQLITE_OK;
		for (size_t i = 0; g->dates && i < ARRAY_SIZE(dates); i++)
			if (strcasecmp(b, dates[i]) == 0)
				return SQLITE_OK;
		snprintf(g->refused, sizeof(g->refused), "function %.60s", b);
		return SQLITE_DENY;
	default:
		break;
	}
	snprintf(g->refused, sizeof(g->refused), "action %d", action);
	return SQLITE_DENY;
}

static int compile(sqlite3 *db, char *sql, struct rule_guard guard, const char *what, const char *name,
		   struct err *err)
{
	sqlite3_stmt *s = NULL;
	int code = 0;
	sqlite3_set_authorizer(db, authorize_rule, &guard);
	if (sql == NULL)
		code = err_set(err, ERR_NOMEM, "%s %s: no memory", what, name);
	else if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		code = guard.refused[0] != '\0'
			       ? err_set(err, ERR_POLICY,
					 "%s %s: %s is not admitted: the clock, randomness and unbounded "
					 "output differ "
					 "from node to node",
					 what, name, guard.refused)
			       : err_set(err, ERR_POLICY, "%s %s: %s", what, name, sqlite3_errmsg(db));
	sqlite3_finalize(s);
	sqlite3_free(sql);
	sqlite3_set_authorizer(db, NULL, NULL);
	return code;
}

static int compile_defaults(sqlite3 *db, const char *table, struct err *err)
{
	_cleanup_(finalize) sqlite3_stmt *q = NULL;
	char what[2 * LIMIT_NAME];
	if (query(db, "SELECT name,dflt_value FROM pragma_table_xinfo(?1) WHERE dflt_value IS NOT NULL",
		  table, &q) != SQLITE_OK)
		return err_set(err, ERR_DB, "table %s: %s", table, sqlite3_errmsg(db));
	while (sqlite3_step(q) == SQLITE_ROW) {
		snprintf(what, sizeof(what), "table %.100s, default of column", table);
		int code =
			compile(db, sqlite3_mprintf("SELECT (%s)", sqlite3_column_text(q, 1)),
				(struct rule_guard){ 0 }, what, (const char *)sqlite3_column_text(q, 0), err);
		if (code != 0)
			return code;
	}
	return 0;
}

/* Views, defaults, checks, generated columns and foreign keys compile; none of it has run. */
static int compile_all(sqlite3 *db, struct err *err)
{
	_cleanup_(finalize) sqlite3_stmt *q = NULL;
	int code = 0;
	if (sqlite3_prepare_v2(db,
			       "SELECT type,name FROM sqlite_master WHERE type IN ('table','view') AND name "
			       "NOT LIKE 'sqlite_%'",
			       -1, &q, NULL) != SQLITE_OK)
		return err_set(err, ERR_DB, "schema: %s", sqlite3_errmsg(db));
	while (code == 0 && sqlite3_step(q) == SQLITE_ROW) {
		const char *type = (const char *)sqlite3_column_text(q, 0),
			   *name = (const char *)sqlite3_column_text(q, 1);
		if (strcmp(type, "view") == 0) {
			code = compile(db, sqlite3_mprintf("SELECT * FROM \"%w\"", name),
				       (struct rule_guard){ 0 }, "view", name, err);
			continue;
		}
		if ((code = compile_defaults(db, name, err)) == 0)
			code = compile(db, sqlite3_mprintf("INSERT INTO \"%w\" DEFAULT VALUES", name),
				       (struct rule_guard){ .insert = true, .dates = true }, "table", name,
				       err);
		if (code != 0)
			continue;
		char *sql = sqlite3_mprintf("PRAGMA foreign_key_check(\"%w\")", name);
		if (sql == NULL || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
			code = err_set(err, ERR_POLICY, "table %s, foreign keys: %s", name,
				       sqlite3_errmsg(db));
		sqlite3_free(sql);
	}
	return code;
}

static void close_db(sqlite3 **db)
{
	sqlite3_close(*db);
}

static int registers_fit(sqlite3 *db, const struct policy *p, struct policy_where *where, struct err *err)
{
	for (uint32_t i = 0; i < p->nregisters; i++) {
		int code =
			p->registers[i].application_schema ? 0 : ddl_shape(db, &p->registers[i], where, err);
		if (code != 0)
			return code;
	}
	return 0;
}

static void close_rules(struct rulebox **rules)
{
	rulebox_close(*rules);
}

int ddl_check(const struct policy *p, struct policy_where *ret_where, struct err *err)
{
	_cleanup_(close_db) sqlite3 *db = NULL;
	struct policy_where unused;
	if (ret_where == NULL)
		ret_where = &unused;
	*ret_where = (struct policy_where){ 0 };
	if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY,
			    NULL) != SQLITE_OK)
		return err_set(err, ERR_NOMEM, "no memory for the check's database");
	db_confine(db);
	sqlite3_limit(db, SQLITE_LIMIT_COLUMN, 2000);
	sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 200);
	sqlite3_limit(db, SQLITE_LIMIT_COMPOUND_SELECT, 50);
	int code;
	for (uint32_t i = 0; i < p->nstatements; i++)
		if ((code = ddl_run(db, p->statements[i], err)) != 0)
			return err_prefix(err, "schema, statement %u: ", i + 1);
	if ((code = compile_all(db, err)) != 0)
		return err_prefix(err, "schema: ");
	if ((code = registers_fit(db, p, ret_where, err)) != 0)
		return code;
	_cleanup_(close_rules) struct rulebox *rules = NULL;
	return rulebox_open(db, p, &rules, ret_where, err);
}
