/* Table: the application's register tables. */
#include "store/table_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int table_open(struct db *db, struct table **ret, struct err *err)
{
	struct table *t = calloc(1, sizeof *t);

	if (t == NULL)
		return err_set(err, ERR_NOMEM, "opening the tables: memory is short");
	t->db = db;
	*ret = t;
	return 0;
}

void table_forget(struct table *t)
{
	for (uint32_t i = 0; i < t->nregs; i++) {
		struct reg_table *rt = &t->regs[i];
		struct writer *w;
		struct key_check *c;

		sqlite3_finalize(rt->read);
		sqlite3_finalize(rt->remove);
		while ((w = rt->writers) != NULL) {
			rt->writers = w->next;
			sqlite3_finalize(w->statement);
			free(w->mask);
			free(w);
		}
		while ((c = rt->checks) != NULL) {
			rt->checks = c->next;
			sqlite3_finalize(c->statement);
			free(c->text);
			free(c);
		}
	}
	free(t->regs);
	t->regs = NULL;
	t->nregs = 0;
	t->nkeys = 0;
	t->keys_known = false;
	arena_reset(&t->arena);
}

void table_close(struct table *t)
{
	if (t == NULL)
		return;
	table_forget(t);
	arena_release(&t->arena);
	free(t);
}

int table_of(struct table *t, const struct reg *r, struct reg_table **ret, struct err *err)
{
	if (r->number >= t->nregs) {
		uint32_t n = r->number + 8;
		struct reg_table *more = realloc(t->regs, n * sizeof *more);

		if (more == NULL)
			return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
		memset(more + t->nregs, 0, (n - t->nregs) * sizeof *more);
		t->regs = more;
		t->nregs = n;
	}
	*ret = &t->regs[r->number];
	(*ret)->reg = r;
	return 0;
}

void table_where_key(struct buf *sql, const struct reg *r, const char *alias, int first)
{
	for (uint32_t i = 0; i < r->nkey; i++) {
		buf_printf(sql, "%s%s", i == 0 ? " WHERE " : " AND ", alias);
		identifier_put(sql, r->key[i]->name);
		buf_printf(sql, " = ?%d", first + (int)i);
	}
}

void table_bind_key(sqlite3_stmt *s, int first, struct key key)
{
	for (uint32_t i = 0; i < key.n; i++)
		bind_cell(s, first + (int)i, key.cells[i]);
}

/* ---- read */

static int prepare_read(struct table *t, struct reg_table *rt, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	const struct reg *r = rt->reg;

	buf_printf(&sql, "SELECT 1");
	for (uint32_t i = 0; i < r->ncolumns; i++) {
		buf_printf(&sql, ", ");
		if (r->columns[i].present)
			identifier_put(&sql, r->columns[i].name);
		else
			buf_printf(&sql, "NULL");
	}
	buf_printf(&sql, " FROM ");
	identifier_put(&sql, r->name);
	table_where_key(&sql, r, "", 1);
	return db_prepare(t->db, buf_text(&sql), &rt->read, err);
}

int table_read(struct table *t, const struct reg *r, struct cell key_cell, struct key key, struct arena *a,
               struct cell **ret, struct err *err)
{
	struct reg_table *rt;
	struct cell *cells;
	int rc = table_of(t, r, &rt, err);

	(void)key_cell;
	*ret = NULL;
	if (rc == 0 && rt->read == NULL)
		rc = prepare_read(t, rt, err);
	if (rc != 0)
		return rc;
	table_bind_key(rt->read, 1, key);
	rc = db_step(t->db, rt->read, err);
	if (rc <= 0)
		return rc < 0 ? ERR_DB : 0;
	cells = arena_array(a, r->ncolumns, sizeof *cells);
	for (uint32_t i = 0; cells != NULL && i < r->ncolumns; i++)
		cells[i] = cell_copy(a, read_cell(rt->read, (int)i + 1));
	sqlite3_reset(rt->read);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	*ret = cells;
	return 0;
}

/* ---- cells of a loaded row */

static int overflow_load(struct table *t, const struct held *h, struct arena *a, struct cell *cells, struct err *err)
{
	sqlite3_stmt *q = db_statement(t->db, SQL_OVERFLOW_LOAD, err);
	int rc;

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, h->reg->number);
	bind_cell(q, 2, h->key_cell);
	while ((rc = db_step(t->db, q, err)) > 0) {
		struct group *g = reg_group(h->reg, (struct slice){sqlite3_column_text(q, 0), (size_t)sqlite3_column_bytes(q, 0)});
		struct column *c = g == NULL ? NULL : group_column(g, (struct slice){sqlite3_column_text(q, 1),
		                                                                     (size_t)sqlite3_column_bytes(q, 1)});
		struct reader in = reader_of(read_blob(q, 2));

		if (c != NULL && !c->present)
			cells[c - h->reg->columns] = cell_copy(a, cell_get(&in));
	}
	sqlite3_reset(q);
	return rc < 0 ? ERR_DB : 0;
}

static int give(struct held *h, uint32_t g, const struct cell *columns, struct arena *a)
{
	struct life_state *l = row_current(h->row);
	const struct group *group = h->reg->groups[g];
	struct value *v;
	struct cell *cells;

	if (l == NULL || l->groups[g].decision == NULL || l->groups[g].decision->cells != NULL || group == NULL)
		return 0;
	v = arena_copy(a, l->groups[g].decision, sizeof *v);
	cells = arena_array(a, group->ncolumns + 1, sizeof *cells);
	if (v == NULL || cells == NULL)
		return -1;
	for (uint32_t i = 0; i < group->ncolumns; i++)
		cells[i] = columns[group->columns[i] - h->reg->columns];
	v->cells = cells;
	v->ncells = group->ncolumns;
	v->present = NULL;
	l->groups[g].decision = v;
	return 0;
}

static int from_quarantine(struct table *t, struct held *h, struct arena *a, struct err *err)
{
	struct life_state *l = row_current(h->row);
	sqlite3_stmt *q = db_statement(t->db, SQL_TABLE_QUARANTINE, err);
	struct reader in;
	uint64_t n;
	int rc;

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, h->reg->number);
	bind_cell(q, 2, h->key_cell);
	rc = db_step(t->db, q, err);
	if (rc <= 0)
		return rc < 0 ? ERR_DB : err_set(err, ERR_DAMAGED, "register %s: a row waits but its values are missing; run "
		                                 "`terracectl reconcile`", h->reg->name);
	in = reader_of(arena_slice(a, read_blob(q, 0)));
	sqlite3_reset(q);
	n = read_count(&in, LIMIT_GROUPS);
	for (rc = 0; rc == 0 && n > 0 && !in.bad; n--) {
		struct value *v = arena_alloc(a, sizeof *v);

		if (v == NULL)
			return err_set(err, ERR_NOMEM, "register %s: memory is short", h->reg->name);
		v->group = (uint32_t)read_varint(&in);
		rc = value_load(read_slice(&in), h->reg, a, v, err);
		if (rc == 0 && l != NULL && v->group > 0 && v->group < h->row->ngroups && l->groups[v->group].decision != NULL &&
		    l->groups[v->group].decision->cells == NULL) {
			v->v = l->groups[v->group].decision->v;
			l->groups[v->group].decision = v;
		}
	}
	return rc != 0 ? rc : in.bad ? err_set(err, ERR_DAMAGED, "register %s: values in quarantine are damaged", h->reg->name) : 0;
}

void held_store(const struct held *h, struct buf *b)
{
	const struct life_state *l = row_current(h->row);
	_cleanup_(buf_release) struct buf one = {0};
	uint32_t n = 0;

	for (uint32_t g = 1; l != NULL && g < h->row->ngroups; g++)
		n += l->groups[g].decision != NULL;
	buf_put_varint(b, n);
	for (uint32_t g = 1; l != NULL && g < h->row->ngroups; g++) {
		if (l->groups[g].decision == NULL)
			continue;
		buf_clear(&one);
		value_store(&one, h->reg, l->groups[g].decision);
		buf_put_varint(b, g);
		buf_put_slice(b, buf_slice(&one));
	}
}

int held_cells(struct table *t, struct held *h, struct arena *a, struct err *err)
{
	struct cell *columns = NULL;
	int rc = 0;

	if (h->has_cells || !h->exists || !(h->flags & STATE_ALIVE)) {
		h->has_cells = true;
		return 0;
	}
	if (h->flags & STATE_QUARANTINE) {
		rc = from_quarantine(t, h, a, err);
		h->has_cells = rc == 0;
		return rc;
	}
	rc = table_read(t, h->reg, h->key_cell, h->key, a, &columns, err);
	if (rc == 0 && columns == NULL) {        /* taken away behind the triggers' back: the audit tells; here defaults */
		columns = arena_array(a, h->reg->ncolumns, sizeof *columns);
		for (uint32_t i = 0; columns != NULL && i < h->reg->ncolumns; i++)
			columns[i] = h->reg->columns[i].fallback;
	}
	if (rc == 0 && columns != NULL && h->flags & STATE_OVERFLOW)
		rc = overflow_load(t, h, a, columns, err);
	for (uint32_t g = 1; rc == 0 && columns != NULL && g < h->row->ngroups; g++)
		if (give(h, g, columns, a) != 0)
			rc = ERR_NOMEM;
	if (rc == ERR_NOMEM || (rc == 0 && columns == NULL))
		return err_set(err, ERR_NOMEM, "register %s: memory is short", h->reg->name);
	h->has_cells = rc == 0;
	return rc;
}

/* ---- write */

static int prepare_writer(struct table *t, struct reg_table *rt, bool insert, const bool *mask, struct writer **ret,
                          struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	const struct reg *r = rt->reg;
	struct writer *w = calloc(1, sizeof *w);
	bool first = true;
	int rc;

	if (w == NULL || (w->mask = malloc(r->ncolumns * sizeof *w->mask)) == NULL) {
		free(w);
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	}
	memcpy(w->mask, mask, r->ncolumns * sizeof *mask);
	w->insert = insert;
	buf_printf(&sql, insert ? "INSERT INTO " : "UPDATE ");
	identifier_put(&sql, r->name);
	buf_printf(&sql, insert ? "(" : " SET ");
	for (uint32_t i = 0; i < r->ncolumns; i++) {
		if (!mask[i])
			continue;
		buf_printf(&sql, first ? "" : ", ");
		identifier_put(&sql, r->columns[i].name);
		if (!insert)
			buf_printf(&sql, " = ?%u", i + 1);
		first = false;
	}
	if (insert) {
		buf_printf(&sql, ") VALUES(");
		first = true;
		for (uint32_t i = 0; i < r->ncolumns; i++)
			if (mask[i]) {
				buf_printf(&sql, "%s?%u", first ? "" : ", ", i + 1);
				first = false;
			}
		buf_printf(&sql, ")");
	} else {
		table_where_key(&sql, r, "", (int)r->ncolumns + 1);
	}
	rc = db_prepare(t->db, buf_text(&sql), &w->statement, err);
	if (rc != 0) {
		free(w->mask);
		free(w);
		return rc;
	}
	w->next = rt->writers;
	rt->writers = w;
	*ret = w;
	return 0;
}

/* It moves to the front: rows of one kind follow each other. */
static struct writer *find_writer(struct reg_table *rt, bool insert, const bool *mask)
{
	for (struct writer **at = &rt->writers; *at != NULL; at = &(*at)->next) {
		struct writer *w = *at;

		if (w->insert != insert || memcmp(w->mask, mask, rt->reg->ncolumns * sizeof *mask) != 0)
			continue;
		*at = w->next;
		w->next = rt->writers;
		return rt->writers = w;
	}
	return NULL;
}

/* Where a local trigger runs, what fails may be its own: the row waits, and the rest goes on. */
static int by_local(const struct reg *r, int rc, struct err *err)
{
	if (rc != ERR_DB || r->policy == NULL || r->policy->nlocal == 0)
		return rc;
	if (err != NULL)
		err->code = ERR_REFUSED;
	return ERR_REFUSED;
}

static int refused(struct table *t, const struct reg *r, struct err *err)
{
	if ((sqlite3_errcode(t->db->sql) & 0xff) == SQLITE_CONSTRAINT)
		return err_set(err, ERR_REFUSED, "table %s: %s", r->name, sqlite3_errmsg(t->db->sql));
	if ((sqlite3_errcode(t->db->sql) & 0xff) == SQLITE_MISMATCH || (sqlite3_errcode(t->db->sql) & 0xff) == SQLITE_TOOBIG)
		return err_set(err, ERR_REFUSED, "table %s: %s", r->name, sqlite3_errmsg(t->db->sql));
	return by_local(r, db_fail(t->db, r->name, err), err);
}

static int overflow_write(struct table *t, const struct reg *r, struct key key, const bool *mask, const struct cell *cells,
                          struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	_cleanup_(buf_release) struct buf form = {0};

	for (uint32_t i = 0; i < r->ncolumns; i++) {
		sqlite3_stmt *q;

		if (!mask[i] || r->columns[i].present || r->columns[i].group == 0)
			continue;
		q = db_statement(t->db, SQL_OVERFLOW_PUT, err);
		if (q == NULL)
			return ERR_DB;
		buf_clear(&form);
		cell_put(&form, cells[i]);
		bind_u64(q, 1, r->number);
		bind_cell(q, 2, key_column(key, &a));
		bind_text(q, 3, r->groups[r->columns[i].group]->name);
		bind_text(q, 4, r->columns[i].name);
		bind_slice(q, 5, buf_slice(&form));
		if (db_run(t->db, q, err) != 0)
			return ERR_DB;
	}
	return 0;
}

int table_write(struct table *t, const struct reg *r, struct key key, bool insert, const bool *mask,
                const struct cell *cells, struct err *err)
{
	bool present[LIMIT_COLUMNS], any = insert, beyond = false;
	struct reg_table *rt;
	struct writer *w;
	int rc = table_of(t, r, &rt, err);

	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < r->ncolumns; i++) {
		present[i] = mask[i] && r->columns[i].present;
		any = any || present[i];
		beyond = beyond || (mask[i] && !r->columns[i].present);
	}
	if (beyond)
		rc = overflow_write(t, r, key, mask, cells, err);
	if (rc != 0 || !any)
		return rc;
	w = find_writer(rt, insert, present);
	if (w == NULL)
		rc = by_local(r, prepare_writer(t, rt, insert, present, &w, err), err);
	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < r->ncolumns; i++)
		if (present[i])
			bind_cell(w->statement, (int)i + 1, cells[i]);
	if (!insert)
		table_bind_key(w->statement, (int)r->ncolumns + 1, key);
	if (sqlite3_step(w->statement) != SQLITE_DONE) {
		rc = refused(t, r, err);
		sqlite3_reset(w->statement);
		return rc;
	}
	sqlite3_reset(w->statement);
	if (!insert && sqlite3_changes(t->db->sql) == 0)
		return err_set(err, ERR_REFUSED, "table %s: the row is missing, taken away unseen", r->name);
	return 0;
}

static const struct column *any_column(const struct reg *r, uint32_t i)
{
	return i < r->ncolumns ? &r->columns[i] : &r->local[i - r->ncolumns];
}

int table_restore(struct table *t, const struct reg *r, const bool *mask, const struct cell *cells, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0}, values = {0};
	uint32_t n = r->ncolumns + r->nlocal, bound = 0;
	sqlite3_stmt *s = NULL;
	int rc;

	buf_printf(&sql, "INSERT INTO ");
	identifier_put(&sql, r->name);
	for (uint32_t i = 0; i < n; i++) {
		const struct column *c = any_column(r, i);

		if (!mask[i] || !c->present)
			continue;
		buf_printf(&sql, bound == 0 ? "(" : ", ");
		identifier_put(&sql, c->name);
		buf_printf(&values, bound++ == 0 ? "?" : ", ?");
	}
	buf_printf(&sql, ") VALUES(%s)", buf_text(&values));
	rc = db_prepare(t->db, buf_text(&sql), &s, err);
	if (rc != 0)
		return rc;
	bound = 0;
	for (uint32_t i = 0; i < n; i++)
		if (mask[i] && any_column(r, i)->present)
			bind_cell(s, (int)++bound, cells[i]);
	if (sqlite3_step(s) != SQLITE_DONE)
		rc = refused(t, r, err);
	sqlite3_finalize(s);
	return rc;
}

int table_delete(struct table *t, const struct reg *r, struct key key, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	struct reg_table *rt;
	int rc = table_of(t, r, &rt, err);

	if (rc == 0 && rt->remove == NULL) {
		buf_printf(&sql, "DELETE FROM ");
		identifier_put(&sql, r->name);
		table_where_key(&sql, r, "", 1);
		rc = by_local(r, db_prepare(t->db, buf_text(&sql), &rt->remove, err), err);
	}
	if (rc != 0)
		return rc;
	sqlite3_reset(rt->remove);
	table_bind_key(rt->remove, 1, key);
	if (sqlite3_step(rt->remove) != SQLITE_DONE)
		rc = refused(t, r, err);
	sqlite3_reset(rt->remove);
	return rc;
}

static int locals_read(struct table *t, const struct reg *r, struct key key, struct arena *a, struct cell **ret,
                       struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	struct cell *cells = arena_array(a, r->nlocal + 1, sizeof *cells);
	sqlite3_stmt *s = NULL;
	int rc;

	if (cells == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	buf_printf(&sql, "SELECT ");
	for (uint32_t i = 0; i < r->nlocal; i++) {
		buf_printf(&sql, i > 0 ? ", " : "");
		identifier_put(&sql, r->local[i].name);
	}
	buf_printf(&sql, " FROM ");
	identifier_put(&sql, r->name);
	table_where_key(&sql, r, "", 1);
	rc = db_prepare(t->db, buf_text(&sql), &s, err);
	if (rc != 0)
		return rc;
	table_bind_key(s, 1, key);
	if (sqlite3_step(s) == SQLITE_ROW) {
		for (uint32_t i = 0; i < r->nlocal; i++)
			cells[i] = cell_copy(a, read_cell(s, (int)i));
		*ret = cells;
	}
	sqlite3_finalize(s);
	return a->failed ? err_set(err, ERR_NOMEM, "register %s: memory is short", r->name) : 0;
}

int table_take(struct table *t, const struct reg *r, struct key key, struct arena *a, struct cell **ret, struct err *err)
{
	int rc = 0;

	*ret = NULL;
	if (r->nlocal > 0)
		rc = locals_read(t, r, key, a, ret, err);
	return rc == 0 ? table_delete(t, r, key, err) : rc;
}

int table_locals(struct table *t, const struct reg *r, struct key key, const struct cell *cells, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	sqlite3_stmt *s = NULL;
	int rc;

	if (cells == NULL)
		return 0;
	buf_printf(&sql, "UPDATE ");
	identifier_put(&sql, r->name);
	for (uint32_t i = 0; i < r->nlocal; i++) {
		buf_printf(&sql, i > 0 ? ", " : " SET ");
		identifier_put(&sql, r->local[i].name);
		buf_printf(&sql, " = ?%u", i + 1);
	}
	table_where_key(&sql, r, "", (int)r->nlocal + 1);
	rc = db_prepare(t->db, buf_text(&sql), &s, err);
	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < r->nlocal; i++)
		bind_cell(s, (int)i + 1, cells[i]);
	table_bind_key(s, (int)r->nlocal + 1, key);
	if (sqlite3_step(s) != SQLITE_DONE)
		rc = refused(t, r, err);
	sqlite3_finalize(s);
	return rc;
}

/* ---- scan */

/* Row values compare column by column with the key's own order; the table is walked by its key's index.  column: only
 * the rows that have the last parameter there. */
static void scan_sql(const struct reg *r, bool after, const char *column, uint32_t most, struct buf *sql)
{
	buf_printf(sql, "SELECT ");
	for (uint32_t i = 0; i < r->nkey; i++) {
		buf_printf(sql, i == 0 ? "" : ", ");
		identifier_put(sql, r->key[i]->name);
	}
	buf_printf(sql, " FROM ");
	identifier_put(sql, r->name);
	for (uint32_t i = 0; after && i < r->nkey; i++) {
		buf_printf(sql, i == 0 ? " WHERE (" : ", ");
		identifier_put(sql, r->key[i]->name);
	}
	for (uint32_t i = 0; after && i < r->nkey; i++)
		buf_printf(sql, "%s?%u%s", i == 0 ? ") > (" : ", ", i + 1, i + 1 == r->nkey ? ")" : "");
	if (column != NULL) {
		buf_printf(sql, after ? " AND " : " WHERE ");
		identifier_put(sql, column);
		buf_printf(sql, " = ?%u", r->nkey + 1);
	}
	for (uint32_t i = 0; i < r->nkey; i++) {
		buf_printf(sql, i == 0 ? " ORDER BY " : ", ");
		identifier_put(sql, r->key[i]->name);
	}
	buf_printf(sql, " LIMIT %u", most);
}

static int scan(struct table *t, const struct reg *r, const char *column, const struct cell *value, const struct cell *after,
                uint32_t most, struct arena *a, struct key **ret, uint32_t *ret_n, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = {0};
	sqlite3_stmt *q = NULL;
	struct key from;
	int rc = 0;

	*ret_n = 0;
	*ret = arena_array(a, most, sizeof **ret);
	if (*ret == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	scan_sql(r, after != NULL, column, most, &sql);
	if (after != NULL)
		rc = key_from_column(*after, r->nkey, a, &from, err);
	if (rc == 0)
		rc = db_prepare(t->db, buf_text(&sql), &q, err);
	if (rc == 0 && after != NULL)
		table_bind_key(q, 1, from);
	if (rc == 0 && column != NULL)
		bind_cell(q, (int)r->nkey + 1, *value);
	while (rc == 0 && (rc = db_step(t->db, q, err)) > 0) {
		struct cell *cells = arena_array(a, r->nkey, sizeof *cells);

		rc = 0;
		if (cells == NULL) {
			rc = err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
			break;
		}
		for (uint32_t i = 0; i < r->nkey; i++)
			cells[i] = cell_copy(a, read_cell(q, (int)i));
		(*ret)[(*ret_n)++] = (struct key){cells, r->nkey};
	}
	sqlite3_finalize(q);
	return rc < 0 ? ERR_DB : rc;
}

int table_scan(struct table *t, const struct reg *r, const struct cell *after, uint32_t most, struct arena *a,
               struct key **ret, uint32_t *ret_n, struct err *err)
{
	return scan(t, r, NULL, NULL, after, most, a, ret, ret_n, err);
}

int table_referring(struct table *t, const struct reg *r, struct cell parent, const struct cell *after, uint32_t most,
                    struct arena *a, struct key **ret, uint32_t *ret_n, struct err *err)
{
	return scan(t, r, r->via->name, &parent, after, most, a, ret, ret_n, err);
}
