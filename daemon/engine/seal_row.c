/* Seal, one row: what the table says now, compared with what stood, becomes this node's own writes; what this level
 * does not decide goes back (engine/seal_back.c). */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/adopt.h"
#include "engine/hold.h"
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

/* ---- insert */

static int insert_group(struct merging *m, struct merging_row *row, uint32_t g, uint64_t unit, struct look *look,
                        struct mark own, const struct cell *cells, struct err *err)
{
	const struct group *group = m->reg->groups[g];
	bool acting;
	enum mode mode = own_mode(m->e, m->reg, unit, g, RIGHT_GROUP, &acting);
	struct value *v = merging_value(m, row, NULL, g, row->held.row->row.decision->life,
	                                mode == MODE_PROPOSE || (mode == MODE_OWN && m->review) ? PROPOSAL : DECISION, acting,
	                                own, err);

	if (v == NULL)
		return ERR_NOMEM;
	v->cells = seal_cells(m, group, cells);
	v->ncells = group->ncolumns;
	if (mode != MODE_READ)
		return merging_own(m, row, v, NULL, err);
	for (uint32_t i = 0; i < group->ncolumns; i++) {
		size_t at = (size_t)(group->columns[i] - m->reg->columns);

		look->has_old[at] = !group->columns[i]->computed;
		look->old[at] = group->columns[i]->fallback;
	}
	back_group(m->reg, g, look);
	return back_return(m, row, v, NULL, "mode", "this level only reads the group / 本级对该字段组只读", err);
}

/* The whole row goes back to its author: what it is, and each group that was written. */
static int insert_returned(struct merging *m, struct merging_row *row, uint64_t unit, const struct cell *cells,
                           struct err *err)
{
	static const char say[] = "this level may not create rows / 本级无权新建";
	const struct value *old = row->held.row->row.decision;
	struct mark own;
	struct value *v;
	int rc = seal_mark(m, &own, err);

	if (rc != 0)
		return rc;
	for (uint32_t g = 0; g < m->reg->ngroups && rc == 0; g++) {
		const struct group *group = m->reg->groups[g];

		if (g != GROUP_ROW && (group == NULL || seal_at_default(m->reg, group, cells)))
			continue;
		v = merging_value(m, row, NULL, g, (struct ident){m->e->unit, own}, DECISION, false, own, err);
		if (v == NULL)
			return ERR_NOMEM;
		v->alive = true;
		v->row_unit = unit;
		v->cells = g != GROUP_ROW ? seal_cells(m, group, cells) : NULL;
		v->ncells = g != GROUP_ROW ? group->ncolumns : 0;
		rc = back_return(m, row, v, g == GROUP_ROW ? old : NULL, "mode", say, err);
	}
	return rc == 0 ? seal_take_out(m, row, err) : rc;
}

/* It stood there before there was a rule: it is not taken away. */
static int insert_stays(struct merging *m, struct merging_row *row, struct err *err)
{
	return issue_put(m->e->db, "not-allowed", m->reg->name, row->held.key_cell, UNIT_NONE,
	                 "this level may not create the row; it stays here and is not sent / 本级无权新建该行，该行留在本地，不上报",
	                 now_ms(m->e), err);
}

int seal_insert(struct merging *m, struct merging_row *row, struct look *look, const struct cell *cells,
                       struct err *err)
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
	if (own_mode(e, m->reg, unit, GROUP_ROW, RIGHT_CREATE, &acting) != MODE_OWN)
		return m->adopting ? insert_stays(m, row, err) : insert_returned(m, row, unit, cells, err);
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
	for (uint32_t g = 1; g < m->reg->ngroups && rc == 0; g++)
		if (m->reg->groups[g] != NULL && !seal_at_default(m->reg, m->reg->groups[g], cells))
			rc = insert_group(m, row, g, unit, look, own, cells, err);
	if (rc == 0)
		rc = issue_solved(e->db, "bad-unit", m->reg->name, row->held.key_cell, err);
	if (rc == 0)                             /* a policy that came since lets this level make the row */
		rc = issue_solved(e->db, "not-allowed", m->reg->name, row->held.key_cell, err);
	return rc;
}

/* ---- delete */

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
	enum mode mode = own_mode(e, m->reg, h->row_unit, GROUP_ROW, RIGHT_DELETE, &acting);
	int rc;

	if (mode != MODE_OWN)
		return back_delete(m, row, look, mode == MODE_PROPOSE, err);
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

/* Whether the clerk typed another value than stood, in a group that this level does not decide. */
static bool typed(const struct reg *r, const struct group *g, const struct look *look, const struct value *base,
                  const struct cell *cells)
{
	for (uint32_t i = 0; i < g->ncolumns; i++) {
		const struct column *c = g->columns[i];
		size_t at = (size_t)(c - r->columns);

		if (look->has_old[at] ? !cell_equal(cells[at], look->old[at]) :
		    base == NULL && look->whole && !c->computed && !cell_equal(cells[at], c->fallback))
			return true;
	}
	return false;
}

/* What a provisional group showed is its own proposal, whatever the log says. */
static void provisional(const struct reg *r, const struct group *g, const struct value *base, struct look *look)
{
	for (uint32_t i = 0; base != NULL && base->v->kind == PROPOSAL && i < g->ncolumns && i < base->ncells; i++) {
		size_t at = (size_t)(g->columns[i] - r->columns);

		look->old[at] = base->cells[i];
		look->has_old[at] = true;
	}
}

/* A group that this level does not decide: what was typed becomes a proposal, or a return; a decision that stands goes
 * back into the table. */
static int seal_other(struct merging *m, struct merging_row *row, uint32_t g, struct look *look, const struct cell *cells,
                      enum mode mode, bool acting, struct err *err)
{
	const struct life_state *l = row_current(row->held.row);
	const struct value *base = group_shown(&l->groups[g]);
	const struct group *group = m->reg->groups[g];
	struct value *v;
	struct mark own;
	int rc = 0;

	provisional(m->reg, group, base, look);
	if (!typed(m->reg, group, look, base, cells))
		return 0;
	if (l->groups[g].decision != NULL) {
		rc = back_stood(m, row, g, look, cells, err);
		base = l->groups[g].decision;
	}
	if (rc == 0)
		rc = seal_mark(m, &own, err);
	if (rc != 0)
		return rc;
	v = merging_value(m, row, base, g, row->held.row->row.decision->life, mode == MODE_READ ? DECISION : PROPOSAL, acting,
	                  own, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->cells = seal_cells(m, group, cells);
	v->ncells = group->ncolumns;
	if (mode == MODE_READ || l->groups[g].decision != NULL)
		back_group(m->reg, g, look);
	if (mode == MODE_READ)
		return back_return(m, row, v, base, "mode", "this level only reads the group / 本级对该字段组只读", err);
	return merging_own(m, row, v, NULL, err);
}

static int seal_group(struct merging *m, struct merging_row *row, uint32_t g, struct look *look, const struct cell *cells,
                      struct err *err)
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

	if (mode != MODE_OWN)
		return seal_other(m, row, g, look, cells, mode, acting, err);
	rc = seal_mark(m, &own, err);
	if (rc != 0)
		return rc;
	v = merging_value(m, row, base, g, h->life, DECISION, acting, own, err);
	present = arena_array(&m->row, group->ncolumns + 1, sizeof *present);
	if (v == NULL || present == NULL)
		return memory(m->reg, err);
	v->cells = seal_cells(m, group, cells);
	v->ncells = group->ncolumns;
	/* Only what changed travels where the base is this node's own decision; else the whole group (on_conflict: always,
	 * since who settles a conflict takes whole values). */
	partial = base != NULL && base->v->kind == DECISION && base->v->unit == e->unit && !look->whole &&
	          (group->policy == NULL || group->policy->on_conflict == NULL);
	sent = *v;
	for (uint32_t i = 0; i < group->ncolumns; i++)
		present[i] = look->columns[group->columns[i] - m->reg->columns];
	if (partial) {
		sent.whole = false;
		sent.present = present;
	}
	return merging_own(m, row, v, partial ? &sent : NULL, err);
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

int seal_update(struct merging *m, struct merging_row *row, struct look *look, const struct cell *cells, struct err *err)
{
	const struct reg *r = m->reg;
	const struct column *names = r->unit != NULL ? r->unit : r->via;         /* the unit, or the row that says it */
	bool moved = names != NULL && (look->whole || look->columns[names - r->columns]), same;
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
		rc = seal_move(m, row, look, cells, err);
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

int seal_row(struct merging *m, struct look *look, struct err *err)
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
	if (cells == NULL && row.stood && look->rest != 0 && !look->whole && (rc = look_rest(m, look, err)) != 0)
		return rc;                       /* what the row had is told in the next slice */
	for (uint32_t g = 1; cells != NULL && g < look->reg->ngroups; g++)
		if (look->reg->groups[g] != NULL && (!row.stood || look->whole || group_touched(look->reg, g, look)))
			size += group_size(m, look->reg->groups[g], cells);
	if (size > LIMIT_ROW)
		return too_large(m, &row, err);
	if (look->reg->adoption > ADOPT_WAITS && (!row.held.exists || row.held.flags & STATE_QUARANTINE))
		return cells != NULL ? adopt_row(m, &row, cells, err) : 0;
	if (look->reg->adoption > ADOPT_WAITS && m->walk)
		return 0;                        /* adopted already; the triggers stand since */
	if (cells == NULL && row.stood && !(row.held.flags & STATE_QUARANTINE))
		rc = seal_delete(m, &row, look, err);
	else if (cells != NULL && !row.stood)
		rc = seal_insert(m, &row, look, cells, err);
	else if (cells != NULL)
		rc = seal_update(m, &row, look, cells, err);
	if (rc == 0)
		rc = issue_solved(m->e->db, "too-large", look->reg->name, row.held.key_cell, err);
	if (rc == 0 && cells == NULL)
		rc = issue_solved(m->e->db, "bad-unit", look->reg->name, row.held.key_cell, err);
	return rc == 0 ? back_end(m, &row, look, err) : rc;
}
