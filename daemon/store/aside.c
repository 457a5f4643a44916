/* Aside: values that do not stand in the register's table, and the stored form of a value with its cells.
 *
 * Stored form: format 1, flags (1 whole, 2 alive), ident of the life, version, row unit; then for a field group the
 * count of its cells and (column name, cell) for each that is there. */
#include "store/state_inside.h"

#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_FORMAT 1
#define LIFE_KNOWN (-1)

static uint32_t cells_there(const struct value *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; v->cells != NULL && i < v->ncells; i++)
		n += v->present == NULL || v->present[i];
	return n;
}

void value_store(struct buf *b, const struct reg *r, const struct value *v)
{
	const struct group *g = v->group != GROUP_ROW && v->group < r->ngroups ? r->groups[v->group] : NULL;

	buf_put_varint(b, VALUE_FORMAT);
	buf_put_varint(b, (v->whole ? 1u : 0) | (v->alive ? 2u : 0));
	ident_put(b, &v->life);
	version_put(b, v->v);
	buf_put_varint(b, v->row_unit);
	buf_put_varint(b, g != NULL ? cells_there(v) : 0);
	for (uint32_t i = 0; g != NULL && v->cells != NULL && i < v->ncells && i < g->ncolumns; i++)
		if (v->present == NULL || v->present[i]) {
			buf_put_text(b, g->columns[i]->name);
			cell_put(b, v->cells[i]);
		}
}

static int cells_load(struct reader *in, const struct group *g, struct arena *a, struct value *ret)
{
	uint64_t n = read_count(in, LIMIT_COLUMNS);
	uint32_t columns = g != NULL ? g->ncolumns : 0;
	struct cell *cells = arena_array(a, columns + 1, sizeof *cells);
	bool *present = arena_array(a, columns + 1, sizeof *present);

	if (cells == NULL || present == NULL)
		return -1;
	for (uint64_t i = 0; i < n && !in->bad; i++) {
		struct slice name = read_slice(in);
		struct cell c = cell_copy(a, cell_get(in));
		struct column *column = g != NULL ? group_column(g, name) : NULL;

		if (column == NULL)
			continue;                /* a column that no active policy names any more */
		cells[column->in_group] = c;
		present[column->in_group] = true;
	}
	ret->ncells = columns;
	ret->cells = cells;
	ret->present = present;
	return 0;
}

int value_load(struct slice stored, const struct reg *r, struct arena *a, struct value *ret, struct err *err)
{
	struct reader in = reader_of(stored);
	struct version *v = arena_alloc(a, sizeof *v);
	uint64_t format = read_varint(&in), flags = read_varint(&in);
	uint32_t group = ret->group;

	if (v == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	*ret = (struct value){.v = v, .group = group, .whole = flags & 1, .alive = (flags & 2) != 0};
	ident_get(&in, &ret->life);
	version_get(&in, a, v);
	ret->row_unit = read_varint(&in);
	if (cells_load(&in, group != GROUP_ROW && group < r->ngroups ? r->groups[group] : NULL, a, ret) != 0)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	if (group == GROUP_ROW) {
		ret->ncells = 0;
		ret->cells = NULL;
		ret->present = NULL;
	}
	if (format != VALUE_FORMAT || !reader_done(&in))
		return err_set(err, ERR_DAMAGED, "register %s: a stored value is damaged; run `terracectl reconcile`", r->name);
	return 0;
}

/* The shortest of two forms that reads back: 35771.87, not 35771.870000000003. */
static void real_text(struct buf *b, double r)
{
	char text[40];

	snprintf(text, sizeof text, "%.15g", r);
	if (strtod(text, NULL) != r)
		snprintf(text, sizeof text, "%.17g", r);
	buf_printf(b, "%s", text);
}

/* What JSON writes as it is, between quotes: nearly every text. */
static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == '"' || s.p[i] == '\\')
			return false;
	return utf8_valid(s);
}

static void cell_json(struct buf *b, struct cell c)
{
	_cleanup_(json_release) json_t *j = NULL;

	if (c.type == CELL_REAL) {
		real_text(b, c.r);
		return;
	}
	if (c.type == CELL_TEXT && is_plain(c.s)) {
		buf_put_u8(b, '"');
		buf_put(b, c.s.p, c.s.n);
		buf_put_u8(b, '"');
		return;
	}
	switch (c.type) {
	case CELL_NULL: j = json_null(); break;
	case CELL_INT: j = json_integer(c.i); break;
	case CELL_REAL: break;
	case CELL_TEXT: j = json_slice(c.s); break;
	case CELL_BLOB: j = json_sprintf("(%zu bytes)", c.s.n); break;
	}
	json_put(b, j);
}

void value_text(struct buf *b, const struct reg *r, const struct value *v)
{
	const struct group *g = v->group != GROUP_ROW && v->group < r->ngroups ? r->groups[v->group] : NULL;
	char unit[UNIT_TEXT_SIZE];
	bool first = true;

	if (v->group == GROUP_ROW) {
		buf_printf(b, "{\"alive\": %s, \"unit\": \"%s\"}", v->alive ? "true" : "false", unit_text(v->row_unit, unit));
		return;
	}
	buf_put_u8(b, '{');
	for (uint32_t i = 0; g != NULL && v->cells != NULL && i < v->ncells && i < g->ncolumns; i++) {
		struct cell name = {.type = CELL_TEXT, .s = slice_of(g->columns[i]->name)};

		if (v->present != NULL && !v->present[i])
			continue;
		if (!first)
			buf_put(b, ", ", 2);
		first = false;
		cell_json(b, name);
		buf_put(b, ": ", 2);
		cell_json(b, v->cells[i]);
	}
	buf_put_u8(b, '}');
}

/* ---- load and save */

int aside_load(struct state *s, struct held *h, struct arena *a, struct err *err)
{
	sqlite3_stmt *q = db_statement(s->db, SQL_ASIDE_LOAD, err);
	int rc = 0, step = 0;

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, h->reg->number);
	bind_cell(q, 2, h->key_cell);
	while (rc == 0 && (step = db_step(s->db, q, err)) > 0) {
		struct ident life = {read_unsigned(q, 0), {read_unsigned(q, 1), (uint32_t)sqlite3_column_int64(q, 2)}};
		int64_t group = sqlite3_column_int64(q, 3);
		struct value *v;

		if (group == LIFE_KNOWN) {
			row_know_life(h->row, life, a);
			continue;
		}
		v = arena_alloc(a, sizeof *v);
		if (v == NULL) {
			rc = err_set(err, ERR_NOMEM, "register %s: memory is short", h->reg->name);
			break;
		}
		v->group = (uint32_t)group;
		rc = value_load(arena_slice(a, read_blob(q, 5)), h->reg, a, v, err);
		v->since_ms = sqlite3_column_int64(q, 6);
		if (rc == 0)
			row_put(h->row, v, a);
	}
	sqlite3_reset(q);
	return rc != 0 ? rc : step < 0 ? ERR_DB : 0;
}

static int add(struct state *s, const struct held *h, struct ident life, int64_t group, uint64_t slot,
               const struct value *v, bool open, struct err *err)
{
	sqlite3_stmt *q = db_statement(s->db, SQL_ASIDE_ADD, err);

	if (q == NULL)
		return ERR_DB;
	buf_clear(&s->scratch);
	buf_clear(&s->form);
	bind_u64(q, 1, h->reg->number);
	bind_cell(q, 2, h->key_cell);
	bind_u64(q, 3, life.unit);
	bind_u64(q, 4, life.mark.tick);
	sqlite3_bind_int64(q, 5, life.mark.epoch);
	sqlite3_bind_int64(q, 6, group);
	bind_u64(q, 7, slot);
	if (v != NULL) {
		value_store(&s->scratch, h->reg, v);
		value_text(&s->form, h->reg, v);
		bind_slice(q, 8, buf_slice(&s->scratch));
		bind_text(q, 9, buf_text(&s->form));
	}
	sqlite3_bind_int64(q, 10, v != NULL ? v->since_ms : 0);
	sqlite3_bind_int(q, 11, open);
	return db_run(s->db, q, err);
}

static int add_group(struct state *s, const struct held *h, const struct life_state *l, uint32_t g, bool standing,
                     bool *any, struct err *err)
{
	const struct group_state *gs = &l->groups[g];
	int rc = 0;

	if (gs->decision != NULL && !standing) {
		if (gs->decision->cells == NULL)
			return err_set(err, ERR_BUG, "register %s: a value would go aside without its columns", h->reg->name);
		*any = true;
		rc = add(s, h, l->life, g, 0, gs->decision, false, err);
	}
	for (const struct slot *p = gs->proposals; rc == 0 && p != NULL; p = p->next) {
		*any = true;
		rc = add(s, h, l->life, g, p->value->v->unit, p->value, standing && value_open(p->value, gs), err);
	}
	return rc;
}

int aside_save(struct state *s, const struct held *h, bool stands, bool *ret_any, struct arena *a, struct err *err)
{
	const struct life_state *current = row_current(h->row);
	sqlite3_stmt *q;
	bool any = false;
	int rc = 0;

	(void)a;
	if (h->flags & STATE_ASIDE) {
		q = db_statement(s->db, SQL_ASIDE_CLEAR, err);
		bind_u64(q, 1, h->reg->number);
		bind_cell(q, 2, h->key_cell);
		rc = db_run(s->db, q, err);
	}
	for (const struct life_state *l = h->row->lives; rc == 0 && l != NULL; l = l->next) {
		if (l != current) {
			any = true;
			rc = add(s, h, l->life, LIFE_KNOWN, 0, NULL, false, err);
		}
		for (uint32_t g = 1; rc == 0 && g < h->row->ngroups; g++)
			rc = add_group(s, h, l, g, stands && l == current, &any, err);
	}
	for (const struct slot *p = h->row->row.proposals; rc == 0 && p != NULL; p = p->next) {
		any = true;
		rc = add(s, h, p->value->life, GROUP_ROW, p->value->v->unit, p->value, stands && current != NULL &&
		         ident_equal(p->value->life, current->life) && value_open(p->value, &h->row->row), err);
	}
	*ret_any = any;
	return rc;
}

/* ---- where a row has been */

static sqlite3_stmt *of_row(struct db *db, enum statement_id id, const struct reg *r, struct cell key, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);

	if (s != NULL) {
		bind_u64(s, 1, r->number);
		bind_cell(s, 2, key);
	}
	return s;
}

int was_add(struct db *db, const struct reg *r, struct cell key, uint64_t unit, struct err *err)
{
	sqlite3_stmt *s = of_row(db, SQL_WAS_ADD, r, key, err);

	if (s == NULL)
		return ERR_DB;
	bind_u64(s, 3, unit);
	return db_run(db, s, err);
}

bool was_below(struct db *db, const struct reg *r, struct cell key, uint64_t author)
{
	sqlite3_stmt *s = of_row(db, SQL_WAS_EACH, r, key, NULL);
	bool found = false;

	while (s != NULL && !found && db_step(db, s, NULL) > 0)
		found = unit_contains(author, read_unsigned(s, 0));
	if (s != NULL)
		sqlite3_reset(s);
	return found;
}

int was_clear(struct db *db, const struct reg *r, struct cell key, struct err *err)
{
	sqlite3_stmt *s = of_row(db, SQL_WAS_CLEAR, r, key, err);

	return s == NULL ? ERR_DB : db_run(db, s, err);
}
