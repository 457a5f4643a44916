/* Seal, units: the unit that a row of the table names, and moves (authority.md, At the author). */
#include <stdio.h>

#include "base/log.h"
#include "engine/merge.h"
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

uint64_t seal_unit(struct engine *e, const struct reg *r, const struct cell *cells, const char **ret_say)
{
	uint64_t unit;

	*ret_say = NULL;
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

/* A move that this level may not make, or nobody, goes back, with a return to the node itself. */
static int move_returned(struct merging *m, struct merging_row *row, uint64_t unit, const char *why, const char *say,
                         struct err *err)
{
	const struct value *h = row->held.row->row.decision;
	size_t at = (size_t)(m->reg->unit - m->reg->columns);
	struct cell *cells = arena_array(&m->row, m->reg->ncolumns + 1, sizeof *cells);
	char *text = arena_alloc(&m->row, UNIT_TEXT_SIZE);
	struct value *v = merging_value(m, row, NULL, GROUP_ROW, row->life, DECISION, false, (struct mark){1, 0}, err);
	bool mask[LIMIT_COLUMNS] = {0};
	int rc;

	if (v == NULL || cells == NULL || text == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", m->reg->name);
	v->alive = true;
	v->row_unit = unit;
	mask[at] = true;
	cells[at] = (struct cell){.type = CELL_TEXT, .s = slice_of(unit_text(h->row_unit, text))};
	rc = merging_record(m, row, v, h, "read-only", 0, why, say, err);
	return rc == 0 ? seal_put_back(m, row, mask, cells, err) : rc;
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

int seal_move(struct merging *m, struct merging_row *row, const struct cell *cells, struct err *err)
{
	const struct value *h = row->held.row->row.decision;
	struct engine *e = m->e;
	const char *say;
	uint64_t unit = seal_unit(e, m->reg, cells, &say);
	struct value *v;
	struct mark own;
	bool acting;
	int rc;

	if (unit == h->row_unit)
		return issue_solved(e->db, "bad-unit", m->reg->name, row->held.key_cell, err);
	if (unit == UNIT_NONE && leaves_ceiling(m, h->row_unit, cells, &unit))
		return move_returned(m, row, unit, "ceiling", "this register does not leave that level: enter the row there anew / "
		                     "本台账不出该层级，请到该处重新登记", err);
	if (unit == UNIT_NONE)
		return seal_bad_unit(m, row, say, err);
	if (own_mode(e, m->reg, h->row_unit, GROUP_ROW, RIGHT_CREATE, &acting) != MODE_OWN)
		return move_returned(m, row, unit, "mode", "this level may not move rows / 本级无权迁移", err);
	rc = seal_mark(m, &own, err);
	if (rc != 0)
		return rc;
	v = merging_value(m, row, h, GROUP_ROW, h->life, DECISION, acting, own, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->alive = true;
	v->row_unit = unit;
	return merging_own(m, row, v, NULL, err);
}
