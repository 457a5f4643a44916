/* Via: rows whose unit is that of the row they refer to, `unit = via COLUMN -> REGISTER` (adoption.md 5).
 *
 * The unit of such a row is said by the value of its group `row`, as any other's; nothing of the rule knows of it.  Who
 * seals the row takes the unit from the parent row as held.  Who moves a parent row moves the rows that refer to it in
 * the same transaction, as writes of its own; and a superior to whom a row comes from below that names another unit than
 * the parent row it holds moves it likewise: what was entered under the old unit meanwhile follows.  From above nothing
 * is moved: the superior has done it.  terrace_via holds the parent rows whose dependents have to be looked at yet. */
#include "engine/merge.h"
#include "engine/seal_inside.h"

#define AT_ONCE 256u

static const struct arrival self;

static bool from_above(const struct merging *m)
{
	return !m->from->below && m->from->peer != UNIT_NONE;
}

int via_unit(struct engine *e, const struct reg *r, struct cell refers, struct arena *a, uint64_t *ret, struct err *err)
{
	const struct key key = {arena_copy(a, &refers, sizeof refers), 1};
	struct held h;
	int rc;

	*ret = UNIT_NONE;
	if (key.cells == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	if (r->parent == NULL || refers.type == CELL_NULL)
		return 0;
	rc = state_load(e->state, r->parent, key, a, &h, err);
	if (rc == 0 && h.exists && h.flags & STATE_ALIVE && unit_contains(e->unit, h.unit))
		*ret = h.unit;
	return rc;
}

/* What the row's column says, as it stands now. */
static int refers_to(struct merging *m, struct merging_row *row, struct cell *ret, struct err *err)
{
	const struct column *c = m->reg->via;
	const struct life_state *l = row_current(row->held.row);
	const struct value *v;

	for (uint32_t i = 0; i < m->reg->nkey; i++)
		if (m->reg->key[i] == c) {
			*ret = row->held.key.cells[i];
			return 0;
		}
	v = l != NULL ? group_shown(&l->groups[c->group]) : NULL;
	if (v != NULL && v->cells == NULL && !row->held.has_cells) {
		int rc = held_cells(m->e->table, &row->held, &m->row, err);

		if (rc != 0)
			return rc;
		v = group_shown(&l->groups[c->group]);
	}
	*ret = v != NULL && v->cells != NULL && c->in_group < v->ncells && (v->present == NULL || v->present[c->in_group]) ?
	       v->cells[c->in_group] : c->fallback;
	return 0;
}

/* The row follows: this node's own decision on top of what stands, where it may move rows. */
static int follow(struct merging *m, struct merging_row *row, uint64_t unit, struct err *err)
{
	const struct value *d = row->held.row->row.decision;
	const struct arrival *from = m->from;
	struct value *v;
	struct mark own;
	bool acting;
	int rc;

	if (own_mode(m->e, m->reg, d->row_unit, GROUP_ROW, RIGHT_CREATE, &acting) != MODE_OWN)
		return 0;
	rc = mint_mark(m->e, &d->v->marks, &own, err);
	if (rc != 0)
		return rc;
	v = merging_value(m, row, d, GROUP_ROW, d->life, DECISION, acting, own, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->alive = true;
	v->row_unit = unit;
	m->from = &self;                         /* the source of what came does not know it */
	rc = merging_own(m, row, v, NULL, err);
	m->from = from;
	return rc;
}

static bool stands(const struct merging *m, const struct value *d)
{
	return d != NULL && d->alive && unit_contains(m->e->unit, d->row_unit);
}

int via_row(struct merging *m, struct merging_row *row, struct err *err)
{
	const struct value *d = row->held.row->row.decision;
	const struct life_state *l = row_current(row->held.row);
	struct cell refers;
	uint64_t unit = UNIT_NONE;
	int rc;

	if (m->reg->via == NULL || from_above(m) || m->retrying || !stands(m, d))
		return 0;
	if (row->stood && d->row_unit == row->unit && ident_equal(d->life, row->life) &&
	    (m->reg->via->group == 0 || l->groups[m->reg->via->group].decision == row->decisions[m->reg->via->group]))
		return 0;
	rc = refers_to(m, row, &refers, err);
	if (rc == 0)
		rc = via_unit(m->e, m->reg, refers, &m->row, &unit, err);
	return rc == 0 && unit != UNIT_NONE && unit != d->row_unit ? follow(m, row, unit, err) : rc;
}

int via_note(struct merging *m, const struct merging_row *row, struct err *err)
{
	const struct value *d = row->held.row->row.decision;
	bool moved = row->unit != UNIT_NONE && (!row->stood || row->unit != d->row_unit), waits = false;

	if (m->reg->ndependents == 0 || !stands(m, d) || (row->stood && !moved))
		return 0;
	/* Rows that wait for their parent row in the table are looked at whoever brought it. */
	for (uint32_t i = 0; i < m->reg->ndependents; i++)
		waits = waits || issue_any(m->e->db, "bad-unit", m->reg->dependents[i]->name);
	if (!waits && (!moved || from_above(m)))
		return 0;
	return via_put(m->e->db, m->reg, row->held.key_cell, moved && !from_above(m), err);
}

/* ---- the rows that refer to a parent row */

static int dependent(struct merging *m, struct reg *r, struct key key, uint64_t unit, bool move, struct err *err)
{
	struct merging_row row;
	int rc;

	arena_reset(&m->row);
	rc = merging_load(m, r, key, &row, err);
	if (rc != 0)
		return rc;
	if (!row.stood)                          /* never sealed, since its parent row was not known */
		return log_look(m->e->db, r, row.held.key_cell, err);
	if (!move || row.unit == unit)
		return 0;
	rc = follow(m, &row, unit, err);
	return rc == 0 && row.nown > 0 ? merging_end_row(m, &row, err) : rc;
}

static int dependents(struct merging *m, struct reg *r, struct cell key, uint64_t unit, bool move,
                      struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct cell after = {.type = CELL_NULL};
	uint32_t n = AT_ONCE;
	int rc = 0;

	while (rc == 0 && n == AT_ONCE) {
		struct key *keys;

		rc = table_referring(m->e->table, r, key, after.type != CELL_NULL ? &after : NULL, AT_ONCE, &a, &keys, &n, err);
		for (uint32_t i = 0; i < n && rc == 0; i++)
			rc = dependent(m, r, keys[i], unit, move, err);
		if (n > 0 && rc == 0)
			after = key_column(keys[n - 1], &a);
		state_trim(m->e->state);
	}
	return rc;
}

struct lagging {                         /* rows of a register that wait in quarantine */
	struct arena a;
	uint32_t reg, n, room;
	struct cell *keys;
};

static void lagging_release(struct lagging *l)
{
	arena_release(&l->a);
}

static int lags(void *arg, const struct waiting *w)
{
	struct lagging *l = arg;

	if (w->reg != l->reg)
		return 0;
	if (l->n == l->room) {
		struct cell *more = arena_array(&l->a, l->room * 2 + 64, sizeof *more);

		if (more == NULL)
			return ERR_NOMEM;
		for (uint32_t i = 0; i < l->n; i++)
			more[i] = l->keys[i];
		l->keys = more;
		l->room = l->room * 2 + 64;
	}
	l->keys[l->n++] = cell_copy(&l->a, w->key);
	return 0;
}

/* Those that the table lacks follow as well. */
static int quarantined(struct merging *m, struct reg *r, struct cell refers, uint64_t unit, struct err *err)
{
	_cleanup_(lagging_release) struct lagging l = {.reg = r->number};
	int rc = quarantine_any(m->e->db) ? quarantine_each(m->e->db, 0, lags, &l, err) : 0;

	for (uint32_t i = 0; i < l.n && rc == 0; i++) {
		struct merging_row row;
		struct cell said;
		struct key key;

		arena_reset(&m->row);
		rc = key_from_column(l.keys[i], r->nkey, &l.a, &key, err);
		if (rc == 0)
			rc = merging_load(m, r, key, &row, err);
		if (rc != 0 || !stands(m, row.held.row->row.decision) || row.unit == unit)
			continue;
		rc = refers_to(m, &row, &said, err);
		if (rc == 0 && cell_equal(said, refers))
			rc = follow(m, &row, unit, err);
		if (rc == 0 && row.nown > 0)
			rc = merging_end_row(m, &row, err);
	}
	return rc;
}

static int settle(struct merging *m, const struct via_row *v, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct reg *parent = catalog_number(m->e->catalog, v->reg);
	struct held h;
	struct key key;
	int rc = 0;

	if (parent == NULL || parent->nkey != 1)
		return 0;
	rc = key_from_column(v->key, 1, &a, &key, err);
	if (rc == 0)
		rc = state_load(m->e->state, parent, key, &a, &h, err);
	if (rc != 0 || !h.exists || !(h.flags & STATE_ALIVE) || !unit_contains(m->e->unit, h.unit))
		return rc;
	for (uint32_t i = 0; i < parent->ndependents && rc == 0; i++) {
		rc = dependents(m, parent->dependents[i], v->key, h.unit, v->move, err);
		if (rc == 0 && v->move)
			rc = quarantined(m, parent->dependents[i], v->key, h.unit, err);
	}
	return rc;
}

int via_settle(struct merging *m, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	uint32_t n = 1;
	int rc = 0;

	if (!m->e->catalog->follows)
		return 0;
	while (rc == 0 && n > 0) {               /* a row that follows may have rows that follow it */
		struct via_row *rows;

		arena_reset(&a);
		rc = via_next(m->e->db, AT_ONCE, &a, &rows, &n, err);
		for (uint32_t i = 0; i < n && rc == 0; i++) {
			rc = via_drop(m->e->db, &rows[i], err);
			if (rc == 0)
				rc = settle(m, &rows[i], err);
		}
	}
	return rc;
}

int via_tick(struct engine *e, struct err *err)
{
	struct counts counts = {0};
	struct merging m;
	int rc;

	merging_begin(&m, e, &self, &counts);
	rc = via_settle(&m, err);
	if (rc == 0)
		rc = merging_end(&m, err);
	merging_release(&m);
	return rc;
}
