/* Capture, the table's shape: its columns, and the unique keys through which OR REPLACE can remove another row. */
#include <string.h>
#include <strings.h>

#include "store/capture_sql.h"

struct reading {
	struct db *db;
	const struct reg *r;
	struct arena *a;
	struct err *err;
	struct shape *shape;
};

static int memory(struct reading *k)
{
	return err_set(k->err, ERR_NOMEM, "unique keys of %s: memory is short", k->r->name);
}

static int code_of(const struct reading *k)
{
	return k->err->code != 0 ? k->err->code : ERR_DB;
}

static char *text_of(struct reading *k, sqlite3_stmt *s, int i)
{
	return arena_text(k->a, (struct slice){ sqlite3_column_text(s, i), (size_t)sqlite3_column_bytes(s, i) });
}

static struct part *column_named(struct reading *k, const char *name)
{
	for (uint32_t i = 0; i < k->shape->ncolumns; i++)
		if (strcasecmp(k->shape->columns[i].name, name) == 0)
			return &k->shape->columns[i];
	return NULL;
}

static int columns_read(struct reading *k, const char **ret_primary)
{
	uint32_t most = k->r->ncolumns + k->r->nlocal + 2000, primaries = 0;
	sqlite3_stmt *s = db_statement(k->db, SQL_CATALOG_COLUMNS, k->err);
	int rc = -1;

	k->shape->columns = arena_array(k->a, most, sizeof(*k->shape->columns));
	if (s == NULL)
		return code_of(k);
	bind_text(s, 1, k->r->name);
	while (!k->a->failed && k->shape->ncolumns < most && (rc = db_step(k->db, s, k->err)) > 0) {
		struct part *p = &k->shape->columns[k->shape->ncolumns++];
		const char *collation = NULL, *fill = (const char *)sqlite3_column_text(s, 3);

		p->name = text_of(k, s, 0);
		p->generated = sqlite3_column_int(s, 5) != 0;
		if (sqlite3_column_int(s, 2) != 0 && fill != NULL && strchr("'0123456789", *fill) != NULL)
			p->fill = text_of(k, s, 3);
		if (sqlite3_column_int(s, 4) != 0 && ++primaries == 1 &&
		    sqlite3_stricmp((const char *)sqlite3_column_text(s, 1), "INTEGER") == 0)
			*ret_primary = p->name;
		if (p->name != NULL && sqlite3_table_column_metadata(k->db->sql, "main", k->r->name, p->name, NULL, &collation,
		                                                     NULL, NULL, NULL) == SQLITE_OK &&
		    collation != NULL && strcasecmp(collation, "BINARY") != 0)
			p->collation = arena_text(k->a, slice_of(collation));
	}
	sqlite3_reset(s);
	if (primaries != 1)
		*ret_primary = NULL;
	return k->a->failed ? memory(k) : rc < 0 ? code_of(k) : 0;
}

/* Two rows that agree in it have one key: a conflict is a rewrite. */
static bool holds_key(const struct reading *k, const struct unique *u)
{
	for (uint32_t i = 0; i < k->r->nkey; i++) {
		bool found = false;
		for (uint32_t j = 0; j < u->n; j++)
			found |= strcasecmp(u->parts[j].name, k->r->key[i]->name) == 0 &&
			         (u->parts[j].collation == NULL || strcasecmp(u->parts[j].collation, "BINARY") == 0);
		if (!found)
			return false;
	}
	return true;
}

static struct unique *unique_add(struct reading *k, uint32_t room)
{
	struct unique *u = &k->shape->uniques[k->shape->nuniques];

	memset(u, 0, sizeof(*u));
	u->parts = arena_array(k->a, room, sizeof(*u->parts));
	return u->parts != NULL ? u : NULL;
}

/* Columns of one index; partial and expression indexes are refused by `policy check`, named by doctor. */
static int index_read(struct reading *k, const char *name)
{
	sqlite3_stmt *s = db_statement(k->db, SQL_CATALOG_INDEX, k->err);
	struct unique *u = unique_add(k, k->shape->ncolumns + 1);
	bool expression = false;
	int rc;

	if (s == NULL)
		return code_of(k);
	if (u == NULL)
		return memory(k);
	bind_text(s, 1, name);
	while ((rc = db_step(k->db, s, k->err)) > 0) {
		const char *column = (const char *)sqlite3_column_text(s, 0), *collation = (const char *)sqlite3_column_text(s, 1);
		struct part *of = column != NULL ? column_named(k, column) : NULL;

		expression |= of == NULL || u->n > k->shape->ncolumns;
		if (expression)
			continue;
		struct part *p = &u->parts[u->n++];
		*p = *of;
		/* said where it is not what `=` takes from the column anyway */
		p->collation = NULL;
		if (collation != NULL && (of->collation != NULL || strcasecmp(collation, "BINARY") != 0))
			p->collation = arena_text(k->a, slice_of(collation));
	}
	if (rc < 0)
		return code_of(k);
	if (!expression && u->n > 0 && !holds_key(k, u))
		k->shape->nuniques++;
	return k->a->failed ? memory(k) : 0;
}

static int uniques_read(struct reading *k, const char *primary)
{
	sqlite3_stmt *s = db_statement(k->db, SQL_CATALOG_UNIQUE, k->err);
	const char *names[64];
	uint32_t n = 0, aliases = 0;
	static const char *const words[] = { "rowid", "_rowid_", "oid" };
	int rc;

	k->shape->uniques = arena_array(k->a, ARRAY_SIZE(names) + 1, sizeof(*k->shape->uniques));
	if (s == NULL)
		return code_of(k);
	if (k->shape->uniques == NULL)
		return memory(k);
	bind_text(s, 1, k->r->name);
	while ((rc = db_step(k->db, s, k->err)) > 0) {
		if (strcmp((const char *)sqlite3_column_text(s, 1), "pk") == 0)
			primary = NULL;          /* it has an index: not the rowid */
		if (sqlite3_column_int(s, 2) != 0)
			continue;
		if (n == ARRAY_SIZE(names)) {
			sqlite3_reset(s);
			return err_set(k->err, ERR_LIMIT, "%s has more than %zu unique indexes", k->r->name, ARRAY_SIZE(names));
		}
		names[n++] = text_of(k, s, 0);
	}
	if (rc < 0)
		return code_of(k);
	for (uint32_t i = 0; i < n; i++)
		if (names[i] == NULL || index_read(k, names[i]) != 0)
			return names[i] == NULL ? memory(k) : code_of(k);
	/* the rowid is a unique key as well, named or not */
	for (uint32_t i = 0; i < ARRAY_SIZE(words); i++)
		if (column_named(k, words[i]) == NULL)
			k->shape->aliases[aliases++] = words[i];
	if (k->r->rowid_key || (primary == NULL && aliases == 0))
		return 0;
	if (primary == NULL && sqlite3_table_column_metadata(k->db->sql, "main", k->r->name, k->shape->aliases[0], NULL, NULL, NULL,
	                                                     NULL, NULL) != SQLITE_OK)
		return 0;                        /* WITHOUT ROWID */
	struct unique *u = unique_add(k, 1);
	if (u == NULL)
		return memory(k);
	u->n = 1;
	u->rowid = true;
	u->hidden = primary == NULL;
	u->parts[0].name = primary != NULL ? primary : k->shape->aliases[0];
	if (!holds_key(k, u))
		k->shape->nuniques++;
	return 0;
}

int shape_read(struct db *db, const struct reg *r, struct arena *a, struct shape *ret, struct err *err)
{
	struct err here = { 0 };
	struct reading k = { .db = db, .r = r, .a = a, .err = err != NULL ? err : &here, .shape = ret };
	const char *primary = NULL;
	int rc;

	k.err->code = 0;
	memset(ret, 0, sizeof(*ret));
	if ((rc = columns_read(&k, &primary)) != 0)
		return rc;
	return uniques_read(&k, primary);
}
