/* Gone: markers are dropped from the top downward. */
#include "engine/gone.h"

#include "core/limits.h"
#include "store/markers.h"

#define GONE_ROWS 500u
#define DAY_S INT64_C(86400)

static int64_t tree_s(struct engine *e)
{
	return MAX(engine_tree_time(e), 1);
}

int gone_note(struct merging *m, const struct merging_row *row, bool stands, bool fresh, struct err *err)
{
	if (!stands)
		return fresh ? held_put(m->e->db, m->reg, row->held.key_cell, row->held.row->row.decision->row_unit, tree_s(m->e), err) : 0;
	return row->held.exists && !row->stood ? held_forget(m->e->db, m->reg->number, row->held.key_cell, err) : 0;
}

int gone_state(struct engine *e, struct state_builder *b, struct reg *r, struct cell key_cell, uint64_t child, bool *ret_found,
               struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct slice stored;
	struct change *c;
	struct part *part;
	struct value v = {0};
	struct key key;
	uint32_t reg;
	int rc = gone_get(e->db, child, r->number, key_cell, &a, &stored, ret_found, err);

	if (rc != 0 || !*ret_found)
		return rc;
	rc = value_load(stored, r, &a, &v, err);
	if (rc == 0)
		rc = key_from_column(key_cell, r->nkey, &a, &key, err);
	if (rc != 0)
		return rc;
	v.group = GROUP_ROW;
	reg = wire_register(e, b, r);
	part = arena_alloc(b->arena, sizeof *part);
	c = reg != UINT32_MAX ? wire_change(b) : NULL;
	if (c == NULL || part == NULL || !wire_part(b, r, &v, part))
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	*c = (struct change){.reg = reg, .flags = CHANGE_GONE, .key = key_copy(b->arena, key), .unit = v.row_unit, .nparts = 1,
	                     .parts = part};
	return 0;
}

static int keep(struct engine *e, uint64_t child, const struct reg *r, struct cell key, const struct value *v, bool due,
                struct err *err)
{
	_cleanup_(buf_release) struct buf b = {0};

	value_store(&b, r, v);
	if (b.failed)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	return gone_put(e->db, child, r->number, key, buf_slice(&b), tree_s(e), due, err);
}

int gone_sent(struct engine *e, const struct reg *r, struct cell key, const struct change *c, uint64_t child, struct err *err)
{
	const struct part *p = c->parts;
	struct value v;

	if (c->flags != 0 || c->nparts == 0 || row_in_scope(r, c->unit, child))
		return gone_any(e->db, child) ? gone_forget(e->db, child, r->number, key, err) : 0;
	v = (struct value){.v = p->version, .life = p->life, .group = GROUP_ROW, .whole = true, .alive = p->alive,
	                   .row_unit = p->row_unit};
	return keep(e, child, r, key, &v, false, err);
}

/* ---- reclaiming */

static bool concerns(const struct reg *r, uint64_t unit, uint64_t child)
{
	return (r->policy != NULL && r->policy->unit_source == UNIT_ALL) || unit_contains(child, unit);
}

/* Nothing of the row is under way on any link, and the children have had it since. */
static bool acknowledged(struct engine *e, const struct reg *r, const struct marker *m)
{
	if (e->parent != UNIT_NONE && dirty_has(e->db, e->parent, r, m->key))
		return false;
	for (uint32_t i = 0; i < e->nchildren; i++) {
		if (dirty_has(e->db, e->children[i], r, m->key))
			return false;
		if (concerns(r, m->unit, e->children[i]) &&
		    (link_rest(e->db, e->children[i]) <= m->since_s || cursor_open(e->db, e->children[i])))
			return false;
	}
	return true;
}

static int drop(struct engine *e, struct reg *r, const struct marker *m, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	const struct value *d;
	struct held h;
	struct key key;
	int rc = key_from_column(m->key, r->nkey, &a, &key, err);

	if (rc == 0)
		rc = state_load(e->state, r, key, &a, &h, err);
	if (rc != 0)
		return rc;
	d = h.exists ? h.row->row.decision : NULL;
	if (d == NULL || (d->alive && unit_contains(e->unit, d->row_unit)))
		return held_forget(e->db, r->number, m->key, err);       /* it is none any more */
	if (h.flags & STATE_QUARANTINE)          /* the table has the row yet */
		return 0;
	for (uint32_t i = 0; i < e->nchildren && rc == 0; i++) {
		if (!concerns(r, m->unit, e->children[i]))
			continue;
		rc = keep(e, e->children[i], r, m->key, d, true, err);
		if (rc == 0)
			rc = dirty_mark(e->db, e->children[i], r, m->key, 0, err);
	}
	if (rc == 0)
		rc = state_delete(e->state, &h, e->unit, err);
	if (rc == 0)
		rc = marker_drop(e->db, r->number, m->key, err);
	return rc == 0 ? held_forget(e->db, r->number, m->key, err) : rc;
}

/* Removals that children were sent long ago. */
static int tell(struct engine *e, int64_t before_s, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	_cleanup_(arena_release) struct arena a = {0};
	struct gone *all;
	uint32_t n = 0;
	int rc = engine_begin(e, err);

	if (rc != 0)
		return rc;
	guard = e;
	rc = gone_settled(e->db, err);
	if (rc == 0)
		rc = gone_ready(e->db, before_s, 4 * GONE_ROWS, &a, &all, &n, err);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		const struct reg *r = catalog_number(e->catalog, all[i].reg);

		rc = r != NULL ? dirty_mark(e->db, all[i].peer, r, all[i].key, 0, err) : 0;
		if (rc == 0)
			rc = gone_due(e->db, &all[i], err);
	}
	return rc == 0 ? engine_commit(e, err) : rc;
}

static int slice(struct engine *e, struct marker *after, int64_t before_s, struct arena *a, uint32_t *ret_n, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct marker *all;
	int rc = engine_begin(e, err);

	if (rc != 0)
		return rc;
	guard = e;
	rc = seal_empty(e, err);
	if (rc == 0)
		rc = held_due(e->db, after, e->parent == UNIT_NONE, before_s, GONE_ROWS, a, &all, ret_n, err);
	for (uint32_t i = 0; i < *ret_n && rc == 0; i++) {
		struct reg *r = catalog_number(e->catalog, all[i].reg);

		*after = all[i];
		if (r != NULL && acknowledged(e, r, &all[i]))
			rc = drop(e, r, &all[i], err);
	}
	return rc == 0 ? engine_commit(e, err) : rc;
}

int gone_reclaim(struct engine *e, struct err *err)
{
	int64_t before_s = engine_tree_time(e) - AWAY_DAYS * DAY_S;
	struct arena pages[2] = {{0}, {0}};      /* the last key of a page begins the next */
	struct marker after = {0};
	uint32_t n = GONE_ROWS;
	int rc = before_s > 0 ? tell(e, before_s, err) : 0;

	for (uint32_t i = 0; rc == 0 && n == GONE_ROWS && !atomic_load(&e->stopping); i++) {
		arena_reset(&pages[i & 1]);
		n = 0;
		rc = slice(e, &after, before_s, &pages[i & 1], &n, err);
	}
	arena_release(&pages[0]);
	arena_release(&pages[1]);
	return rc;
}
