/* Seal, rules: a node never seals a write that its own level would refuse.
 *
 * What a clerk of this node writes is judged like what comes from below: where a refuse rule fails that this level
 * checks, all that the clerk changed and this level decides goes back to what stood, with a return to the node itself
 * (proposals go on: review shows what they fail).  Where what stood is not known, since no trigger saw the change (an
 * adopted table, an audit after the schema moved), nothing is taken from the application: the write is sealed, and an
 * issue names the rule. */
#include <string.h>

#include "base/log.h"
#include "engine/rules.h"
#include "engine/seal_inside.h"

static bool decides(struct merging *m, uint64_t unit, uint32_t g)
{
	bool acting;

	return own_mode(m->e, m->reg, unit, g, RIGHT_GROUP, &acting) == MODE_OWN;
}

static int record(struct merging *m, struct merging_row *row, struct value *v, const char *say, struct err *err)
{
	return merging_record(m, row, v, NULL, "refused", 1, "rule", say, err);
}

static struct value *lost(struct merging *m, const struct merging_row *row, uint32_t group, struct ident life, struct mark own, struct err *err)
{
	return merging_value(m, row, NULL, group, life, DECISION, false, own, err);
}

static int record_group(struct merging *m, struct merging_row *row, uint32_t g, struct ident life, struct mark own,
                        const struct cell *cells, const char *say, struct err *err)
{
	struct value *v = lost(m, row, g, life, own, err);

	if (v == NULL)
		return ERR_NOMEM;
	v->cells = seal_cells(m, m->reg->groups[g], cells);
	v->ncells = m->reg->groups[g]->ncolumns;
	return record(m, row, v, say, err);
}

static int only_told(struct merging *m, struct merging_row *row, uint64_t unit, const char *say, struct err *err)
{
	event(m->e, LOG_LEVEL_WARNING, "issue", UNIT_NONE, NULL, "register %s: a row that was there already fails a rule of "
	      "this level", m->reg->name);
	return issue_put(m->e->db, "rule", m->reg->name, row->held.key_cell, unit, say, now_ms(m->e), err);
}

static void told(struct merging *m)
{
	event(m->e, LOG_LEVEL_NOTICE, "refuse", UNIT_NONE, NULL, "register %s: a write that fails a rule of this level was put "
	      "back", m->reg->name);
}

static bool at_defaults(const struct reg *r, const struct group *g, const struct cell *cells)
{
	for (uint32_t i = 0; i < g->ncolumns; i++)
		if (!cell_equal(cells[g->columns[i] - r->columns], g->columns[i]->fallback))
			return false;
	return true;
}

int seal_judge_insert(struct merging *m, struct merging_row *row, uint64_t unit, const struct cell *cells,
                      bool *ret_refused, struct err *err)
{
	const struct reg *r = m->reg;
	uint64_t own = 0;
	struct value *v;
	struct mark mark;
	const char *say;
	int rc;

	*ret_refused = false;
	for (uint32_t g = 1; g < r->ngroups; g++)
		if (r->groups[g] != NULL && decides(m, unit, g))
			own |= UINT64_C(1) << g;
	rc = judge_own(m, row, own, unit, cells, &say, err);
	if (rc != 0 || say == NULL)
		return rc;
	if (m->walk)
		return only_told(m, row, unit, say, err);
	*ret_refused = true;
	rc = seal_mark(m, &mark, err);
	if (rc != 0)
		return rc;
	v = lost(m, row, GROUP_ROW, (struct ident){m->e->unit, mark}, mark, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->alive = true;
	v->row_unit = unit;
	rc = record(m, row, v, say, err);
	for (uint32_t g = 1; g < r->ngroups && rc == 0; g++)
		if (r->groups[g] != NULL && !at_defaults(r, r->groups[g], cells))
			rc = record_group(m, row, g, v->life, mark, cells, say, err);
	told(m);
	return rc == 0 ? seal_take_out(m, row, err) : rc;
}

/* What the group's columns held before the clerk came to them; false where the log does not know. */
static bool stood(const struct reg *r, uint32_t g, const struct look *look)
{
	bool any = false;

	for (uint32_t i = 0; i < r->groups[g]->ncolumns; i++) {
		size_t at = (size_t)(r->groups[g]->columns[i] - r->columns);

		if (look->columns[at] && !look->has_old[at])
			return false;
		any = any || look->has_old[at];
	}
	return any;
}

static bool differs(const struct reg *r, uint32_t g, const struct look *look, const struct cell *cells)
{
	for (uint32_t i = 0; i < r->groups[g]->ncolumns; i++) {
		size_t at = (size_t)(r->groups[g]->columns[i] - r->columns);

		if ((look->columns[at] || look->whole) && !(look->has_old[at] && cell_equal(look->old[at], cells[at])))
			return true;
	}
	return false;
}

static int put_unit_back(struct merging *m, struct merging_row *row, struct look *look, uint64_t unit, struct mark mark,
                         const char *say, struct err *err)
{
	struct value *v = lost(m, row, GROUP_ROW, row->life, mark, err);
	int rc;

	if (v == NULL)
		return ERR_NOMEM;
	v->alive = true;
	v->row_unit = unit;
	rc = record(m, row, v, say, err);
	return rc == 0 ? back_unit(m, row, look, err) : rc;
}

static int put_groups_back(struct merging *m, struct merging_row *row, uint64_t groups, struct look *look,
                           const struct cell *cells, struct mark mark, const char *say, struct err *err)
{
	int rc = 0;

	for (uint32_t g = 1; g < m->reg->ngroups && rc == 0; g++) {
		if (!(groups >> g & 1))
			continue;
		rc = record_group(m, row, g, row->life, mark, cells, say, err);
		if (rc == 0 && row_current(row->held.row)->groups[g].decision != NULL)
			rc = back_stood(m, row, g, look, cells, err);
		back_group(m->reg, g, look);
	}
	return rc;
}

int seal_judge_update(struct merging *m, struct merging_row *row, struct look *look, uint64_t unit,
                      const struct cell *cells, uint64_t *wanted, bool *moved, struct err *err)
{
	const struct reg *r = m->reg;
	const struct value *h = row->held.row->row.decision;
	bool move = *moved && unit != h->row_unit, known = true;
	struct mark mark;
	const char *say;
	uint64_t own = 0;
	int rc;

	for (uint32_t g = 1; g < r->ngroups; g++)
		if (*wanted >> g & 1 && decides(m, h->row_unit, g) && differs(r, g, look, cells)) {
			own |= UINT64_C(1) << g;
			known = stood(r, g, look) && known;
		}
	if (own == 0 && !move)
		return 0;
	rc = judge_own(m, row, own, move ? unit : h->row_unit, cells, &say, err);
	if (rc != 0 || say == NULL)
		return rc == 0 ? issue_solved(m->e->db, "rule", r->name, row->held.key_cell, err) : rc;
	if (m->walk || !known)
		return only_told(m, row, h->row_unit, say, err);
	rc = seal_mark(m, &mark, err);
	if (rc == 0)
		rc = put_groups_back(m, row, own, look, cells, mark, say, err);
	if (rc == 0 && move)
		rc = put_unit_back(m, row, look, unit, mark, say, err);
	*wanted &= ~own;
	*moved = *moved && !move;
	told(m);
	return rc;
}
