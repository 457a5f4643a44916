/* Seal, units: the unit that a row of the table names, and moves (authority.md, At the author). */
#include <stdio.h>

#include "base/log.h"
#include "engine/seal_inside.h"

static bool unit_known(struct engine *e, uint64_t unit)
{
	sqlite3_stmt *q = db_statement(e->db, SQL_UNIT_ANY, NULL);
	bool known = true;

	if (q == NULL || db_step(e->db, q, NULL) <= 0)
		return true;                     /* no list yet: any well-formed code */
	sqlite3_reset(q);
	q = db_statement(e->db, SQL_UNIT_KNOWN, NULL);
	if (q == NULL)
		return true;
	bind_u64(q, 1, unit);
	known = db_step(e->db, q, NULL) > 0;
	sqlite3_reset(q);
	return known;
}

/* The code that the row's unit column holds: a well-formed one, or UNIT_NONE with a sentence. */
static uint64_t code_of(struct cell c, const char **ret_say)
{
	char digits[24];
	uint64_t unit = UNIT_NONE;

	if (c.type == CELL_NULL) {
		*ret_say = "the unit is NULL: enter its 12-digit code, then the row travels / 单位为空，请填写12位区划代码";
		return UNIT_NONE;
	}
	if (c.type == CELL_INT && c.i > 0) {
		snprintf(digits, sizeof digits, "%012lld", (long long)c.i);
		c = (struct cell){.type = CELL_TEXT, .s = slice_of(digits)};
	}
	if (c.type != CELL_TEXT || unit_parse(c.s, &unit, NULL) != 0)
		*ret_say = "the unit is not a 12-digit division code: correct it, then the row travels / 单位不是12位区划代码，请更正";
	return *ret_say == NULL ? unit : UNIT_NONE;
}

/* Of the row that it refers to. */
static uint64_t parents_unit(struct engine *e, const struct reg *r, const struct cell *cells, const char **ret_say)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct cell c = cells[r->via - r->columns];
	uint64_t unit = UNIT_NONE;

	if (via_unit(e, r, c, &a, &unit, NULL) != 0 || unit == UNIT_NONE)
		*ret_say = c.type == CELL_NULL ?
		           "the row refers to no row that says its unit: enter it, then the row travels / 未填写所属的上级记录，无法确定单位，请填写" :
		           "the row that says its unit is not known here: enter it, then the row travels / 所属的上级记录在本级不存在，请先登记";
	return unit;
}

uint64_t seal_unit(struct engine *e, const struct reg *r, const struct cell *cells, const char **ret_say)
{
	uint64_t unit;

	*ret_say = NULL;
	if (r->via != NULL)
		return parents_unit(e, r, cells, ret_say);
	if (r->unit == NULL)
		return e->unit;                  /* origin, all */
	unit = code_of(cells[r->unit - r->columns], ret_say);
	if (unit == UNIT_NONE)
		return UNIT_NONE;
	if (!unit_contains(e->unit, unit))
		*ret_say = "the unit lies outside this node's scope: correct it, or enter the row there / 单位不在本级管辖范围，请更正或到该处登记";
	else if (!unit_known(e, unit))
		*ret_say = "the unit is not in the unit list: correct it, or have it added (units import) / 单位不在单位名录，请更正或补充名录";
	return *ret_say == NULL ? unit : UNIT_NONE;
}

int seal_bad_unit(struct merging *m, struct merging_row *row, const char *say, struct err *err)
{
	event(m->e, LOG_LEVEL_WARNING, "issue", UNIT_NONE, NULL, "bad-unit in register %s: %s", m->reg->name, say);
	return issue_put(m->e->db, "bad-unit", m->reg->name, row->held.key_cell, UNIT_NONE, say, now_ms(m->e), err);
}

/* No superior that holds the register sees both units: such a move is nobody's to decide. */
static bool leaves_ceiling(struct merging *m, uint64_t from, const struct cell *cells, uint64_t *ret_unit)
{
	const char *say = NULL;
	uint64_t to = code_of(cells[m->reg->unit - m->reg->columns], &say), common = to != UNIT_NONE ? unit_common(from, to) : UNIT_NONE;

	*ret_unit = to;
	return to != UNIT_NONE && !unit_contains(m->e->unit, to) && unit_known(m->e, to) &&
	       (common == UNIT_NONE || unit_level(common) < m->reg->policy->ceiling);
}

/* A unit beyond this node's scope that the row may be proposed to move to: of the list; without one, under the root. */
static bool is_beyond(struct engine *e, uint64_t unit)
{
	const struct chain *chain = &e->id->chain;

	return unit != UNIT_NONE && e->parent != UNIT_NONE && chain->n > 0 && !unit_contains(e->unit, unit) &&
	       unit_contains(chain->at[chain->n - 1].unit, unit) && unit_known(e, unit);
}

/* The move is made, proposed, or (say) goes back with a return. */
static int move_to(struct merging *m, struct merging_row *row, struct look *look, uint64_t unit, enum kind kind, bool acting,
                   const char *why, const char *say, struct err *err)
{
	const struct value *h = row->held.row->row.decision;
	struct value *v;
	struct mark own;
	int rc = seal_mark(m, &own, err);

	if (rc != 0)
		return rc;
	v = merging_value(m, row, h, GROUP_ROW, h->life, kind, acting, own, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->alive = true;
	v->row_unit = unit;
	rc = say != NULL ? back_return(m, row, v, h, why, say, err) : merging_own(m, row, v, NULL, err);
	return rc == 0 && (say != NULL || kind == PROPOSAL) ? back_unit(m, row, look, err) : rc;
}

/* The row refers to another row, or that one moved: it follows. */
static int move_via(struct merging *m, struct merging_row *row, struct look *look, const struct cell *cells, struct err *err)
{
	const struct value *h = row->held.row->row.decision;
	const char *say;
	uint64_t unit = seal_unit(m->e, m->reg, cells, &say);
	bool acting;

	if (unit == h->row_unit)
		return issue_solved(m->e->db, "bad-unit", m->reg->name, row->held.key_cell, err);
	if (unit == UNIT_NONE)
		return seal_bad_unit(m, row, say, err);
	if (own_mode(m->e, m->reg, h->row_unit, GROUP_ROW, RIGHT_CREATE, &acting) != MODE_OWN)
		return seal_bad_unit(m, row, "the row refers to a row of another unit, and this level may not move it there: have a superior "
		                     "do it / 所属的上级记录属于其他单位，本级无权迁移，请由上级办理", err);
	return move_to(m, row, look, unit, DECISION, acting, NULL, NULL, err);
}

int seal_move(struct merging *m, struct merging_row *row, struct look *look, const struct cell *cells, struct err *err)
{
	const struct value *h = row->held.row->row.decision;
	struct engine *e = m->e;
	const char *say;
	uint64_t unit = seal_unit(e, m->reg, cells, &say), to;
	enum mode mode;
	bool acting;
	int rc;

	if (m->reg->via != NULL)
		return move_via(m, row, look, cells, err);
	if (unit == h->row_unit)
		return issue_solved(e->db, "bad-unit", m->reg->name, row->held.key_cell, err);
	if (unit == UNIT_NONE && leaves_ceiling(m, h->row_unit, cells, &to))
		return move_to(m, row, look, to, DECISION, false, "ceiling", "this register does not leave that level: enter the row there "
		               "anew / 本台账不出该层级，请到该处重新登记", err);
	if (unit == UNIT_NONE && !is_beyond(e, to)) {
		rc = seal_bad_unit(m, row, say, err);
		return rc == 0 ? back_unit(m, row, look, err) : rc;
	}
	mode = own_mode(e, m->reg, h->row_unit, GROUP_ROW, RIGHT_CREATE, &acting);
	if (mode == MODE_READ)
		return move_to(m, row, look, unit != UNIT_NONE ? unit : to, DECISION, false, "mode", "this level may not move rows / 本级无权迁移",
		               err);
	/* What leaves this node's scope is for the common ancestor to decide. */
	return move_to(m, row, look, unit != UNIT_NONE ? unit : to, mode == MODE_PROPOSE || unit == UNIT_NONE ? PROPOSAL : DECISION,
	               acting, NULL, NULL, err);
}
