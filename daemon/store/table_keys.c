/* Table, foreign keys: rows that miss their parent row, rows that refer to one. */
#include "store/table_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int keys_load(struct table *t, struct err *err)
{
	sqlite3_stmt *q;
	struct foreign_key *k = NULL;
	int id = -1, rc;

	if (t->keys_known)
		return 0;
	q = db_statement(t->db, SQL_FOREIGN_KEYS, err);
	if (q == NULL)
		return ERR_DB;
	while ((rc = db_step(t->db, q, err)) > 0) {
		const char *child = (const char *)sqlite3_column_text(q, 0), *to;

		if (k == NULL || strcmp(k->child, child) != 0 || id != sqlite3_column_int(q, 1)) {
			if (t->nkeys == ARRAY_SIZE(t->keys)) {
				sqlite3_reset(q);
				return err_set(err, ERR_LIMIT, "more than %zu foreign keys in one database", ARRAY_SIZE(t->keys));
			}
			k = &t->keys[t->nkeys++];
			*k = (struct foreign_key){.child = arena_text(&t->arena, slice_of(child)),
			                          .parent = arena_text(&t->arena, slice_of((const char *)sqlite3_column_text(q, 2)))};
			id = sqlite3_column_int(q, 1);
		}
		if (k->n == ARRAY_SIZE(k->from)) {
			sqlite3_reset(q);
			return err_set(err, ERR_LIMIT, "table %s: a foreign key of more than %zu columns", k->child,
			               ARRAY_SIZE(k->from));
		}
		to = (const char *)sqlite3_column_text(q, 4);
		k->from[k->n] = arena_text(&t->arena, slice_of((const char *)sqlite3_column_text(q, 3)));
		k->to[k->n++] = to != NULL ? arena_text(&t->arena, slice_of(to)) : NULL;
	}
	sqlite3_reset(q);
	t->keys_known = rc == 0;
	return rc < 0 ? ERR_DB : 0;
}

static const char *target(const struct foreign_key *k, uint32_t i, const struct reg *parent)
{
	return k->to[i] != NULL ? k->to[i] : parent != NULL && i < parent->nkey ? parent->key[i]->name : "rowid";
}

/* c(hild): its row has no parent.  p(arent): a child row names the key that is going. */
static int add_check(struct table *t, struct reg_table *rt, const struct foreign_key *k, bool as_parent, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	struct key_check *c;
	const struct reg *r = rt->reg;

	buf_printf(&sql, "SELECT 1 FROM ");
	identifier_put(&sql, k->child);
	buf_printf(&sql, " AS c");
	if (as_parent) {
		for (uint32_t i = 0; i < k->n; i++) {
			const char *to = target(k, i, r);
			uint32_t at = 0;

			while (at < r->nkey && sqlite3_stricmp(r->key[at]->name, to) != 0)
				at++;
			if (at == r->nkey)
				return 0;        /* refers to another unique key: audited, not checked here */
			buf_printf(&sql, "%sc.", i == 0 ? " WHERE " : " AND ");
			identifier_put(&sql, k->from[i]);
			buf_printf(&sql, " = ?%u", at + 1);
		}
		buf_printf(&sql, " LIMIT 1");
	} else {
		table_where_key(&sql, r, "c.", 1);
		for (uint32_t i = 0; i < k->n; i++) {
			buf_printf(&sql, " AND c.");
			identifier_put(&sql, k->from[i]);
			buf_printf(&sql, " IS NOT NULL");
		}
		buf_printf(&sql, " AND NOT EXISTS(SELECT 1 FROM ");
		identifier_put(&sql, k->parent);
		for (uint32_t i = 0; i < k->n; i++) {
			buf_printf(&sql, "%s", i == 0 ? " WHERE " : " AND ");
			identifier_put(&sql, k->parent);
			buf_printf(&sql, ".");
			identifier_put(&sql, target(k, i, NULL));
			buf_printf(&sql, " = c.");
			identifier_put(&sql, k->from[i]);
		}
		buf_printf(&sql, ")");
	}
	c = calloc(1, sizeof *c);
	if (c == NULL || asprintf(&c->text, "%s.%s -> %s", k->child, k->from[0], k->parent) < 0) {
		free(c);
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	}
	c->as_parent = as_parent;
	c->key = k;
	c->next = rt->checks;
	rt->checks = c;
	return db_prepare(t->db, buf_text(&sql), &c->statement, err);
}

static int checks_make(struct table *t, struct reg_table *rt, struct err *err)
{
	int rc = keys_load(t, err);

	for (uint32_t i = 0; rc == 0 && i < t->nkeys; i++) {
		if (sqlite3_stricmp(t->keys[i].child, rt->reg->name) == 0)
			rc = add_check(t, rt, &t->keys[i], false, err);
		if (rc == 0 && sqlite3_stricmp(t->keys[i].parent, rt->reg->name) == 0)
			rc = add_check(t, rt, &t->keys[i], true, err);
	}
	rt->keys_known = rc == 0;
	return rc;
}

int table_keys(struct table *t, const struct reg *r, struct key key, bool deleted, struct err *err)
{
	struct reg_table *rt;
	int rc = table_of(t, r, &rt, err);

	if (rc == 0 && !rt->keys_known)
		rc = checks_make(t, rt, err);
	if (rc != 0 || r->policy == NULL || r->policy->ignore_foreign_keys)
		return rc;
	for (struct key_check *c = rt->checks; c != NULL; c = c->next) {
		if (c->as_parent != deleted)
			continue;
		sqlite3_reset(c->statement);
		table_bind_key(c->statement, 1, key);
		rc = db_step(t->db, c->statement, err);
		sqlite3_reset(c->statement);
		if (rc < 0)
			return ERR_DB;
		if (rc > 0)
			return err_set(err, ERR_REFUSED, "foreign key %s: %s", c->text,
			               deleted ? "a row still refers to it" : "its parent row is missing");
	}
	return 0;
}

static int children_of(struct table *t, const struct foreign_key *k, const struct reg *r, struct key key, struct reg *child,
                       uint32_t most, struct arena *a, struct table_child *ret, uint32_t *ret_n, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	sqlite3_stmt *q = NULL;
	int rc;

	for (uint32_t i = 0; i < child->nkey; i++) {
		buf_printf(&sql, i == 0 ? "SELECT " : ", ");
		identifier_put(&sql, child->key[i]->name);
	}
	buf_printf(&sql, " FROM ");
	identifier_put(&sql, child->name);
	for (uint32_t i = 0; i < k->n; i++) {
		uint32_t at = 0;

		while (at < r->nkey && sqlite3_stricmp(r->key[at]->name, target(k, i, r)) != 0)
			at++;
		buf_printf(&sql, i == 0 ? " WHERE " : " AND ");
		identifier_put(&sql, k->from[i]);
		buf_printf(&sql, " = ?%u", at + 1);
	}
	rc = db_prepare(t->db, buf_text(&sql), &q, err);
	if (rc == 0)
		table_bind_key(q, 1, key);
	while (rc == 0 && *ret_n < most && (rc = db_step(t->db, q, err)) > 0) {
		struct cell *cells = arena_array(a, child->nkey, sizeof *cells);

		rc = cells == NULL ? err_set(err, ERR_NOMEM, "register %s: memory is short", child->name) : 0;
		for (uint32_t i = 0; rc == 0 && i < child->nkey; i++)
			cells[i] = cell_copy(a, read_cell(q, (int)i));
		if (rc == 0)
			ret[(*ret_n)++] = (struct table_child){child, {cells, child->nkey}};
	}
	sqlite3_finalize(q);
	return rc < 0 ? ERR_DB : rc;
}

int table_children(struct table *t, const struct catalog *c, const struct reg *r, struct key key, uint32_t most,
                   struct arena *a, struct table_child **ret, uint32_t *ret_n, bool *ret_all, struct err *err)
{
	struct reg_table *rt;
	int rc = table_of(t, r, &rt, err);

	*ret_n = 0;
	*ret = arena_array(a, most, sizeof **ret);
	if (rc == 0 && *ret == NULL)
		rc = err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	if (rc == 0 && !rt->keys_known)
		rc = checks_make(t, rt, err);
	for (struct key_check *k = rc == 0 ? rt->checks : NULL; k != NULL && rc == 0; k = k->next) {
		struct reg *child = k->as_parent ? catalog_register(c, slice_of(k->key->child)) : NULL;

		if (k->as_parent && child == NULL) {
			sqlite3_reset(k->statement);
			table_bind_key(k->statement, 1, key);
			rc = db_step(t->db, k->statement, err);
			sqlite3_reset(k->statement);
			*ret_all = *ret_all && rc == 0;
			rc = rc < 0 ? ERR_DB : 0;
		} else if (k->as_parent) {
			rc = children_of(t, k->key, r, key, child, most, a, *ret, ret_n, err);
		}
	}
	return rc;
}

bool table_has_keys(struct table *t, const struct reg *r)
{
	struct reg_table *rt = NULL;

	if (table_of(t, r, &rt, NULL) != 0 || (!rt->keys_known && checks_make(t, rt, NULL) != 0))
		return true;
	return rt->checks != NULL;
}
