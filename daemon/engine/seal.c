/* Seal: what the log names, compared with what stood, becomes this node's own writes (authority.md, At the author).
 *
 * A log row says "look at this key".  The table is read now; what did not change is dropped.  A seal is a union of
 * whole transactions of the application; where the log holds more than one slice, it goes slice by slice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/merge.h"
#include "engine/adopt.h"
#include "engine/hold.h"
#include "engine/seal.h"
#include "engine/seal_inside.h"
#include "store/terms.h"

static int memory(const struct reg *r, struct err *err)
{
	return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
}

int seal_mark(struct merging *m, struct mark *ret, struct err *err)
{
	int rc = m->batch.tick == 0 ? mint_mark(m->e, NULL, &m->batch, err) : 0;

	*ret = m->batch;
	return rc;
}

/* ---- values from the table's cells */

struct cell *seal_cells(struct merging *m, const struct group *g, const struct cell *cells)
{
	struct cell *ret = arena_array(&m->row, g->ncolumns + 1, sizeof *ret);

	for (uint32_t i = 0; ret != NULL && i < g->ncolumns; i++)
		ret[i] = cells[g->columns[i] - m->reg->columns];
	return ret;
}

bool seal_at_default(const struct reg *r, const struct group *g, const struct cell *cells)
{
	for (uint32_t i = 0; i < g->ncolumns; i++) {
		const struct column *c = g->columns[i];

		if (c->computed || !cell_equal(cells[c - r->columns], c->fallback))
			return false;
	}
	return true;
}

bool seal_shows(const struct reg *r, const struct group *g, const struct value *v, const struct cell *cells)
{
	for (uint32_t i = 0; i < g->ncolumns && i < v->ncells; i++)
		if ((v->present == NULL || v->present[i]) && !cell_equal(cells[g->columns[i] - r->columns], v->cells[i]))
			return false;
	return true;
}

static size_t group_size(const struct merging *m, const struct group *g, const struct cell *cells)
{
	size_t n = 0;

	for (uint32_t i = 0; i < g->ncolumns; i++)
		n += cell_size(cells[g->columns[i] - m->reg->columns]);
	return n;
}

int seal_put_back(struct merging *m, struct merging_row *row, const bool *mask, const struct cell *cells, struct err *err)
{
	struct err say = {0};
	int rc = table_write(m->e->table, m->reg, row->held.key, false, mask, cells, &say);

	if (rc == ERR_REFUSED) {
		event(m->e, LOG_LEVEL_WARNING, "alarm", UNIT_NONE, NULL, "register %s: what this level may not write could not be "
		      "put back: %s", m->reg->name, say.text);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = say;
	return rc;
}

/* A group that this level may not write, written past the trigger: back, and a return to the node itself. */
static int returned(struct merging *m, struct merging_row *row, const struct group *g, const struct cell *cells,
                    const struct cell *stood, const bool *has_stood, struct err *err)
{
	bool mask[LIMIT_COLUMNS] = {0}, any = false;
	struct value *v;
	struct mark none = {1, 0};
	int rc;

	for (uint32_t i = 0; i < g->ncolumns; i++) {
		size_t at = (size_t)(g->columns[i] - m->reg->columns);

		mask[at] = has_stood == NULL || has_stood[at];
		any = any || mask[at];
	}
	v = merging_value(m, row, NULL, g->number, row->life, DECISION, false, none, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->cells = seal_cells(m, g, cells);
	v->ncells = g->ncolumns;
	rc = merging_record(m, row, v, NULL, "read-only", 0, "mode", "this level only reads the group / 本级对该字段组只读", err);
	return rc == 0 && any ? seal_put_back(m, row, mask, stood, err) : rc;
}

/* ---- insert */

static int insert_groups(struct merging *m, struct merging_row *row, uint64_t unit, struct ident life, struct mark own,
                         const struct cell *cells, struct err *err)
{
	const struct reg *r = m->reg;
	struct cell *defaults = arena_array(&m->row, r->ncolumns + 1, sizeof *defaults);
	int rc = 0;

	if (defaults == NULL)
		return memory(r, err);
	for (uint32_t i = 0; i < r->ncolumns; i++)
		defaults[i] = r->columns[i].fallback;
	for (uint32_t g = 1; g < r->ngroups && rc == 0; g++) {
		bool acting;
		enum mode mode;
		struct value *v;

		if (r->groups[g] == NULL || seal_at_default(r, r->groups[g], cells))
			continue;
		mode = own_mode(m->e, r, unit, g, RIGHT_GROUP, &acting);
		if (mode == MODE_READ) {
			rc = returned(m, row, r->groups[g], cells, defaults, NULL, err);
			continue;
		}
		v = merging_value(m, row, NULL, g, life, mode == MODE_OWN && !m->review ? DECISION : PROPOSAL, acting, own, err);
		if (v == NULL)
			return ERR_NOMEM;
		v->cells = seal_cells(m, r->groups[g], cells);
		v->ncells = r->groups[g]->ncolumns;
		rc = merging_own(m, row, v, NULL, err);
	}
	return rc;
}

static int not_allowed(struct merging *m, struct merging_row *row, const char *say, struct err *err)
{
	return issue_put(m->e->db, "not-allowed", m->reg->name, row->held.key_cell, UNIT_NONE, say, now_ms(m->e), err);
}

int seal_take_out(struct merging *m, struct merging_row *row, struct err *err)
{
	struct err say = {0};
	int rc = table_keys(m->e->table, m->reg, row->held.key, true, &say);

	if (rc == 0)
		return table_delete(m->e->table, m->reg, row->held.key, err);
	if (rc != ERR_REFUSED) {
		if (err != NULL)
			*err = say;
		return rc;
	}
	return not_allowed(m, row, "this level may not create the row, but another row refers to it / 本级无权新建该行，但有其他行引用它",
	                   err);
}

int seal_insert(struct merging *m, struct merging_row *row, const struct cell *cells, struct err *err)
{
	const struct value *old = row->held.row->row.decision;
	struct engine *e = m->e;
	const char *say;
	uint64_t unit = seal_unit(e, m->reg, cells, &say);
	struct value *v;
	struct mark own;
	bool acting, refused;
	int rc;

	if (unit == UNIT_NONE)
		return seal_bad_unit(m, row, say, err);
	if (own_mode(e, m->reg, unit, GROUP_ROW, RIGHT_CREATE, &acting) != MODE_OWN) {
		struct mark none = {1, 0};

		if (m->adopting)                 /* it stood there before there was a rule: it is not taken away */
			return not_allowed(m, row, "this level may not create the row; it stays here and is not sent / "
			                   "本级无权新建该行，该行留在本地，不上报", err);
		v = merging_value(m, row, NULL, GROUP_ROW, (struct ident){e->unit, none}, DECISION, false, none, err);
		if (v == NULL)
			return ERR_NOMEM;
		v->row_unit = unit;
		rc = merging_record(m, row, v, old, "read-only", 0, "mode", "this level may not create rows / 本级无权新建", err);
		return rc != 0 ? rc : seal_take_out(m, row, err);
	}
	rc = seal_judge_insert(m, row, unit, cells, &refused, err);
	if (rc == 0 && !refused)
		rc = seal_mark(m, &own, err);
	if (rc != 0 || refused)
		return rc;
	v = merging_value(m, row, old, GROUP_ROW, (struct ident){e->unit, own}, DECISION, acting, own, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->life.mark = version_mark(v->v);
	v->alive = true;
	v->row_unit = unit;
	if (old != NULL) {
		((struct version *)(uintptr_t)v->v)->saw = old->v->saw;
		((struct version *)(uintptr_t)v->v)->nsaw = old->v->nsaw;
	}
	rc = merging_own(m, row, v, NULL, err);
	if (rc == 0)
		rc = insert_groups(m, row, unit, v->life, own, cells, err);
	if (rc == 0)
		rc = issue_solved(e->db, "bad-unit", m->reg->name, row->held.key_cell, err);
	return rc;
}

/* ---- delete */

static int seal_update(struct merging *m, struct merging_row *row, const struct look *look, const struct cell *cells,
                       struct err *err);

/* The row is decided to live, own edits before it went included, but its parent is gone: it waits in quarantine, and
 * the table goes without. */
static int lags(struct merging *m, struct merging_row *row, const struct look *look, const struct cell *cells,
                const char *why, struct err *err)
{
	struct touched *wait = arena_alloc(&m->pass, sizeof *wait);
	int rc = seal_update(m, row, look, cells, err);

	if (wait == NULL)
		return memory(m->reg, err);
	*wait = (struct touched){(struct touched *)(uintptr_t)m->waiting, m->reg, key_copy(&m->pass, row->held.key), false};
	m->waiting = wait;
	if (rc == 0 && row->nown > 0) {
		rc = merging_end_row(m, row, err);
	} else if (rc == 0) {
		rc = merging_set_aside(m, row, true, why, err);
		if (rc == 0)
			rc = state_save(m->e->state, &row->held, m->e->unit, false, &m->row, err);
	}
	row->nown = 0;                           /* done with */
	return rc == 0 ? table_delete(m->e->table, m->reg, row->held.key, err) : rc;
}

/* A delete that this level may not make: the row is back as it stood, with this level's own edits before it went. */
static int undelete(struct merging *m, struct merging_row *row, struct look *look, struct err *err)
{
	const struct reg *r = m->reg;
	const struct value *h = row->held.row->row.decision;
	bool mask[LIMIT_COLUMNS] = {0}, acting;
	struct cell *cells = NULL;
	struct err say = {0};
	int rc, keys;

	for (uint32_t i = 0; i < r->ncolumns; i++) {
		uint32_t g = r->columns[i].group;
		bool own = g != 0 && own_mode(m->e, r, h->row_unit, g, RIGHT_GROUP, &acting) == MODE_OWN;

		mask[i] = look->has_old[i];
		if (own)
			look->old[i] = look->last[i];
	}
	for (uint32_t i = 0; i < r->nkey; i++) {
		mask[r->key[i] - r->columns] = true;
		look->old[r->key[i] - r->columns] = row->held.key.cells[i];
	}
	event(m->e, LOG_LEVEL_WARNING, "refuse", UNIT_NONE, NULL, "register %s: a delete that this level may not make was put back",
	      r->name);
	rc = table_write(m->e->table, r, row->held.key, true, mask, look->old, err);
	if (rc == 0)
		rc = table_read(m->e->table, r, row->held.key_cell, row->held.key, &m->row, &cells, err);
	if (rc != 0 || cells == NULL)
		return rc;
	memset(look->columns, 0, sizeof look->columns);
	look->whole = true;
	keys = table_keys(m->e->table, r, row->held.key, false, &say);
	if (keys == ERR_REFUSED)
		return lags(m, row, look, cells, say.text, err);
	if (keys != 0) {
		if (err != NULL)
			*err = say;
		return keys;
	}
	return seal_update(m, row, look, cells, err);
}

static int seal_delete(struct merging *m, struct merging_row *row, struct look *look, struct err *err)
{
	const struct value *h = row->held.row->row.decision;
	struct life_state *l = row_current(row->held.row);
	struct engine *e = m->e;
	struct saw *saw;
	struct value *v;
	struct mark own;
	uint32_t n = 0;
	bool acting;
	int rc;

	if (own_mode(e, m->reg, h->row_unit, GROUP_ROW, RIGHT_DELETE, &acting) != MODE_OWN)
		return undelete(m, row, look, err);
	rc = seal_mark(m, &own, err);
	if (rc != 0)
		return rc;
	v = merging_value(m, row, h, GROUP_ROW, h->life, DECISION, acting, own, err);
	saw = arena_array(&m->row, row->held.row->ngroups, sizeof *saw);
	if (v == NULL || saw == NULL)
		return memory(m->reg, err);
	v->row_unit = h->row_unit;
	for (uint32_t g = 1; g < row->held.row->ngroups; g++) {
		const struct value *d = l->groups[g].decision;

		if (d == NULL)
			continue;
		saw[n].life = h->life;
		snprintf(saw[n].group, sizeof saw[n].group, "%s", m->reg->groups[g]->name);
		saw[n++].marks = d->v->marks;
	}
	((struct version *)(uintptr_t)v->v)->saw = saw;
	((struct version *)(uintptr_t)v->v)->nsaw = n;
	rc = merging_own(m, row, v, NULL, err);
	/* The application has taken the values away; of this life only its end is known here from now on. */
	for (uint32_t g = 1; g < row->held.row->ngroups; g++)
		l->groups[g].decision = NULL;
	return rc;
}

/* ---- update */

static int seal_group(struct merging *m, struct merging_row *row, uint32_t g, const struct look *look,
                      const struct cell *cells, struct err *err)
{
	const struct life_state *l = row_current(row->held.row);
	const struct value *h = row->held.row->row.decision, *base = group_shown(&l->groups[g]);
	const struct group *group = m->reg->groups[g];
	struct engine *e = m->e;
	struct value *v, sent;
	struct mark own;
	bool acting, partial;
	bool *present;
	enum mode mode = own_mode(e, m->reg, h->row_unit, g, RIGHT_GROUP, &acting);
	int rc;

	for (uint32_t i = 0; base != NULL && base->v->kind == PROPOSAL && i < group->ncolumns && i < base->ncells; i++) {
		size_t at = (size_t)(group->columns[i] - m->reg->columns);

		look->old[at] = base->cells[i];
		look->has_old[at] = true;
	}
	if (mode == MODE_READ)
		return returned(m, row, group, cells, look->old, look->has_old, err);
	rc = seal_mark(m, &own, err);
	if (rc != 0)
		return rc;
	v = merging_value(m, row, base, g, h->life, mode == MODE_OWN ? DECISION : PROPOSAL, acting, own, err);
	present = arena_array(&m->row, group->ncolumns + 1, sizeof *present);
	if (v == NULL || present == NULL)
		return memory(m->reg, err);
	v->cells = seal_cells(m, group, cells);
	v->ncells = group->ncolumns;
	/* Only what changed travels where the base is this node's own decision; else the whole group. */
	partial = mode == MODE_OWN && base != NULL && base->v->kind == DECISION && base->v->unit == e->unit && !look->whole;
	sent = *v;
	for (uint32_t i = 0; i < group->ncolumns; i++)
		present[i] = look->columns[group->columns[i] - m->reg->columns];
	if (partial) {
		sent.whole = false;
		sent.present = present;
	}
	rc = merging_own(m, row, v, partial ? &sent : NULL, err);
	if (rc == 0 && mode == MODE_PROPOSE && l->groups[g].decision != NULL) {
		bool mask[LIMIT_COLUMNS] = {0};

		for (uint32_t i = 0; i < group->ncolumns; i++)
			mask[group->columns[i] - m->reg->columns] = look->has_old[group->columns[i] - m->reg->columns];
		rc = seal_put_back(m, row, mask, look->old, err);
	}
	return rc;
}

static bool group_touched(const struct reg *r, uint32_t g, const struct look *look)
{
	for (uint32_t i = 0; i < r->groups[g]->ncolumns; i++)
		if (look->columns[r->groups[g]->columns[i] - r->columns])
			return true;
	return false;
}

/* Whether table and versions still hash to the row's term: then nothing changed. */
static bool unchanged(struct merging *m, struct merging_row *row, struct err *err)
{
	struct held copy;
	struct term term;

	if (!row->held.has_term)
		return false;
	if (state_load(m->e->state, m->reg, row->held.key, &m->row, &copy, err) != 0 ||
	    terms_row(m->e->state, m->e->table, &copy, &m->row, &term, err) != 0)
		return false;
	return term_equal(&term, &row->held.term);
}

/* Of a row that was looked at as a whole: a group that nobody has decided counts as written where it differs from its
 * defaults; others where the row's hash moved, and this level may write them (what it only reads or proposes is
 * compared by what the log kept). */
static bool wants_seal(struct merging *m, struct merging_row *row, uint32_t g, const struct look *look,
                       const struct cell *cells, bool same)
{
	const struct life_state *l = row_current(row->held.row);
	const struct value *shown = group_shown(&l->groups[g]);
	bool acting;

	if (group_touched(m->reg, g, look))
		return true;
	if (!look->whole)
		return false;
	if (shown == NULL)
		return !seal_at_default(m->reg, m->reg->groups[g], cells);
	if (shown->v->kind == PROPOSAL)          /* provisional: its own cells say what the table showed */
		return !seal_shows(m->reg, m->reg->groups[g], shown, cells);
	return !same && own_mode(m->e, m->reg, row->unit, g, RIGHT_GROUP, &acting) == MODE_OWN;
}

static int seal_update(struct merging *m, struct merging_row *row, const struct look *look, const struct cell *cells,
                       struct err *err)
{
	const struct reg *r = m->reg;
	bool moved = r->unit != NULL && (look->whole || look->columns[r->unit - r->columns]), same;
	uint64_t wanted = 0, unit = UNIT_NONE;
	const char *say;
	int rc = 0;

	if (row->held.flags & STATE_QUARANTINE) {        /* the table lags: what it shows is what the clerk built on */
		rc = held_cells(m->e->table, &row->held, &m->row, err);
		if (rc != 0)
			return rc;
	}
	same = look->whole && unchanged(m, row, err);
	for (uint32_t g = 1; g < r->ngroups; g++)
		if (r->groups[g] != NULL && wants_seal(m, row, g, look, cells, same))
			wanted |= UINT64_C(1) << g;
	if (moved)
		unit = seal_unit(m->e, r, cells, &say);
	rc = seal_judge_update(m, row, look, unit != UNIT_NONE ? unit : row->held.row->row.decision->row_unit, cells, &wanted,
	                       &moved, err);
	if (rc == 0 && moved)
		rc = seal_move(m, row, cells, err);
	for (uint32_t g = 1; g < r->ngroups && rc == 0; g++)
		if (wanted >> g & 1)
			rc = seal_group(m, row, g, look, cells, err);
	return rc;
}

/* ---- one row */

static int too_large(struct merging *m, struct merging_row *row, struct err *err)
{
	event(m->e, LOG_LEVEL_ERROR, "alarm", UNIT_NONE, NULL, "too-large: a row of register %s exceeds %u bytes and is kept "
	      "aside", m->reg->name, LIMIT_ROW);
	return issue_put(m->e->db, "too-large", m->reg->name, row->held.key_cell, UNIT_NONE,
	                 "the row exceeds 8 MiB: make it smaller or delete it / 该行超过8MiB，请缩小或删除", now_ms(m->e), err);
}

static int seal_row(struct merging *m, struct look *look, struct err *err)
{
	struct merging_row row;
	struct cell *cells;
	size_t size = 0;
	int rc = merging_load(m, look->reg, look->key, &row, err);

	if (rc == 0)
		rc = table_read(m->e->table, look->reg, row.held.key_cell, look->key, &m->row, &cells, err);
	if (rc == 0 && cells != NULL && look->reg->hold)
		rc = hold_fill(m, &row, cells, err);
	if (rc != 0)
		return rc;
	if (look->gone_only && cells != NULL)
		return 0;
	for (uint32_t g = 1; cells != NULL && g < look->reg->ngroups; g++)
		if (look->reg->groups[g] != NULL && (!row.stood || look->whole || group_touched(look->reg, g, look)))
			size += group_size(m, look->reg->groups[g], cells);
	if (size > LIMIT_ROW)
		return too_large(m, &row, err);
	if (look->reg->adoption > ADOPT_WAITS && (!row.held.exists || row.held.flags & STATE_QUARANTINE))
		return cells != NULL ? adopt_row(m, &row, cells, err) : 0;
	if (cells == NULL && row.stood && !(row.held.flags & STATE_QUARANTINE))
		rc = seal_delete(m, &row, look, err);
	else if (cells != NULL && !row.stood)
		rc = seal_insert(m, &row, cells, err);
	else if (cells != NULL)
		rc = seal_update(m, &row, look, cells, err);
	if (rc == 0)
		rc = issue_solved(m->e->db, "too-large", look->reg->name, row.held.key_cell, err);
	if (rc == 0 && cells == NULL)
		rc = issue_solved(m->e->db, "bad-unit", look->reg->name, row.held.key_cell, err);
	return rc == 0 && row.nown > 0 ? merging_end_row(m, &row, err) : rc;
}

/* ---- the log, slice by slice */

struct sorting {
	const struct catalog *catalog;
};

static uint32_t place_of(const struct catalog *c, uint32_t reg)
{
	for (uint32_t i = 0; i < c->nregs; i++)
		if (c->regs[i]->number == reg)
			return i;
	return UINT32_MAX;
}

static int by_row(const void *a, const void *b, void *arg)
{
	const struct sorting *s = arg;
	const struct log_entry *x = a, *y = b;
	int order;

	if (x->reg != y->reg)
		return place_of(s->catalog, x->reg) < place_of(s->catalog, y->reg) ? -1 : 1;
	order = cell_compare(x->key, y->key);
	if (order != 0)
		return order;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void note(struct look *look, const struct log_entry *entry)
{
	for (uint32_t i = 0; i < look->reg->ncolumns; i++) {
		if (look->reg->columns[i].number != entry->column || entry->column == 0)
			continue;
		look->columns[i] = true;
		if (entry->has_old && !look->has_old[i]) {
			look->has_old[i] = true;
			look->old[i] = entry->old;
		}
		if (entry->has_old)
			look->last[i] = entry->old;
	}
	if (entry->operation == LOG_ROW || entry->column == 0)
		look->whole = true;
}

static int look_new(struct merging *m, struct reg *r, struct cell key_cell, struct look *look, struct err *err)
{
	memset(look, 0, sizeof *look);
	look->reg = r;
	look->old = arena_array(&m->row, r->ncolumns + 1, sizeof *look->old);
	look->last = arena_array(&m->row, r->ncolumns + 1, sizeof *look->last);
	look->has_old = arena_array(&m->row, r->ncolumns + 1, sizeof *look->has_old);
	if (look->last == NULL || look->old == NULL || look->has_old == NULL)
		return memory(r, err);
	return key_from_column(key_cell, r->nkey, &m->row, &look->key, err);
}

static int seal_entries(struct merging *m, struct log_entry *entries, uint32_t n, struct err *err)
{
	struct look *look = arena_alloc(&m->pass, sizeof *look);
	int rc = look == NULL ? err_set(err, ERR_NOMEM, "sealing: memory is short") : 0;

	for (uint32_t i = 0; i < n && rc == 0;) {
		struct reg *r = catalog_number(m->e->catalog, entries[i].reg);
		uint32_t first = i;

		if (r != NULL && r->hold && !r->key[0]->present)
			r = NULL;                /* its table is gone: an audit looks when it is there again */

		arena_reset(&m->row);
		if (r != NULL)
			rc = look_new(m, r, entries[i].key, look, err);
		for (; i < n && rc == 0 && entries[i].reg == entries[first].reg && cell_compare(entries[i].key, entries[first].key) == 0; i++)
			if (r != NULL)
				note(look, &entries[i]);
		if (rc == 0 && r != NULL)
			rc = seal_row(m, look, err);
		state_trim(m->e->state);
	}
	return rc;
}

static int seal_slice(struct engine *e, uint32_t most, bool *ret_more, struct err *err)
{
	static const struct arrival self;
	_cleanup_(arena_release) struct arena a = {0};
	struct sorting s = {e->catalog};
	struct counts counts = {0};
	struct log_entry *entries;
	struct merging m;
	uint32_t n = 0;
	int64_t last;
	int rc = log_read(e->db, 0, most, &a, &entries, &n, err);

	*ret_more = n == most;
	if (rc != 0 || n == 0)
		return rc;
	last = entries[n - 1].seq;
	qsort_r(entries, n, sizeof *entries, by_row, &s);
	merging_begin(&m, e, &self, &counts);
	m.table_stands = true;
	rc = seal_entries(&m, entries, n, err);
	if (rc == 0)
		rc = merging_end(&m, err);
	merging_release(&m);
	return rc == 0 ? log_reclaim(e->db, last, err) : rc;
}

int seal_log(struct engine *e, bool *ret_more, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int rc;

	*ret_more = false;
	if (!log_pending(e->db))
		return 0;
	if (e->db->in_transaction)
		return seal_slice(e, SEAL_ENTRIES, ret_more, err);
	rc = engine_begin(e, err);
	guard = e;
	if (rc == 0)
		rc = seal_slice(e, SEAL_ENTRIES, ret_more, err);
	return rc == 0 ? engine_commit(e, err) : rc;
}

int seal_empty(struct engine *e, struct err *err)
{
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		more = false;
		rc = seal_log(e, &more, err);
	}
	return rc;
}

int engine_seal(struct engine *e, struct err *err)
{
	bool more = true;
	int rc = 0;

	while (rc == 0 && more)
		rc = seal_log(e, &more, err);
	return rc;
}

/* ---- rows that no trigger named: a register that begins with rows, an audit after the schema moved */

static int seal_keys(struct merging *m, struct reg *r, const struct key *keys, uint32_t n, bool gone_only, struct err *err)
{
	struct look *look = arena_alloc(&m->pass, sizeof *look);
	int rc = look == NULL ? memory(r, err) : 0;

	for (uint32_t i = 0; i < n && rc == 0; i++) {
		arena_reset(&m->row);
		rc = look_new(m, r, key_column(keys[i], &m->row), look, err);
		if (rc != 0)
			break;
		look->whole = true;
		look->gone_only = gone_only;
		rc = seal_row(m, look, err);
		state_trim(m->e->state);
	}
	return rc;
}

/* One slice of a register, from `after` on: rows of the table, then (audit) rows of the state that the table lacks. */
int seal_walk(struct engine *e, struct reg *r, const struct cell *after, bool state_rows, bool late, uint32_t most,
              struct arena *a, struct cell *ret_last, uint32_t *ret_n, struct err *err)
{
	static const struct arrival self;
	struct counts counts = {0};
	struct merging m;
	struct key *keys;
	int rc = state_rows ? state_scan(e->state, r, after, UNIT_NONE, most, a, &keys, ret_n, err) :
	         table_scan(e->table, r, after, most, a, &keys, ret_n, err);

	if (rc != 0 || *ret_n == 0)
		return rc;
	merging_begin(&m, e, &self, &counts);
	m.table_stands = true;
	m.walk = true;
	m.late = late ? CHANGE_LATE : 0;
	rc = seal_keys(&m, r, keys, *ret_n, state_rows, err);
	if (rc == 0)
		rc = merging_end(&m, err);
	merging_release(&m);
	if (rc == 0)
		*ret_last = key_column(keys[*ret_n - 1], a);
	return rc;
}
