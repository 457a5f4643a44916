/* Judge: rules and locks inside a pass. */
#include "engine/rules.h"

#include <string.h>

#include "base/log.h"

/* ---- the row as it would become */

struct becoming {
	const struct value *row;         /* the decision of group row that would stand */
	const struct value *groups[LIMIT_GROUPS];
};

/* What stands with all decisions of the change put: a failing row is refused with all its changes. */
static void becomes(struct merging *m, const struct row *held, struct becoming *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->row = held->row.decision;
	for (uint32_t i = 0; i < m->nincoming; i++) {
		const struct value *v = m->incoming[i];

		if (v->group == GROUP_ROW && v->v->kind == DECISION &&
		    (ret->row == NULL || version_order(v->v, ret->row->v) > 0))
			ret->row = v;
	}
	for (uint32_t g = 1; ret->row != NULL && g < held->ngroups; g++) {
		const struct group_state *s = row_group(held, g, ret->row->life);

		ret->groups[g] = s != NULL ? s->decision : NULL;
		for (uint32_t i = 0; i < m->nincoming; i++) {
			const struct value *v = m->incoming[i];

			if (v->group != g || v->v->kind != DECISION || !ident_equal(v->life, ret->row->life))
				continue;
			v = value_completed(s, v, &m->row);
			if (v->whole && (ret->groups[g] == NULL || version_order(v->v, ret->groups[g]->v) > 0))
				ret->groups[g] = v;
		}
	}
}

/* The rules are asked once a change, with all that it brings. */
static int judge_change(struct merging *m, const struct row *held, struct err *err)
{
	struct becoming b;
	struct finding *found;
	struct cell *cells;
	uint8_t levels;
	uint32_t n;
	int rc;

	m->judged = true;
	m->judged_say = NULL;
	becomes(m, held, &b);
	if (b.row == NULL || !b.row->alive || m->reg->policy == NULL)
		return 0;
	levels = rules_levels(m->e, m->reg, b.row->row_unit);
	if (!rules_checked(m->e, m->reg, levels, false))
		return 0;
	rc = rules_cells(m->reg, m->at->held.key, b.row->row_unit, b.groups, &m->row, &cells, err);
	if (rc == 0)
		rc = rules_row(m->e, m->reg, cells, levels, &m->row, &found, &n, err);
	if (rc == 0 && n > 0 && !found[0].warn)
		m->judged_say = found[0].say;
	return rc;
}

/* By the decisions that stood before the change, at a node that owns the group. */
static int judge_lock(struct merging *m, const struct value *v, const char **ret_say, struct err *err)
{
	struct cell *cells;
	bool locked, acting;
	int rc;

	*ret_say = NULL;
	if (!m->at->stood || !ident_equal(m->at->life, v->life) ||
	    own_mode(m->e, m->reg, m->at->unit, v->group, RIGHT_GROUP, &acting) != MODE_OWN)
		return 0;
	rc = rules_cells(m->reg, m->at->held.key, m->at->unit, m->at->decisions, &m->row, &cells, err);
	return rc == 0 ? rules_lock(m->e, m->reg, v->group, cells, &m->row, &locked, ret_say, err) : rc;
}

enum why judge_failing(void *arg, const struct row *row, const struct value *v, const char **ret_say)
{
	struct merging *m = arg;

	*ret_say = NULL;
	if (m->trouble.code != 0)
		return WHY_NONE;                 /* the pass ends with it */
	if (v->group != GROUP_ROW && rules_locked(m->e, m->reg) && judge_lock(m, v, ret_say, &m->trouble) == 0 &&
	    *ret_say != NULL)
		return WHY_LOCK;
	if (v->group == GROUP_ROW && !v->alive)
		return WHY_NONE;                 /* a row that ends is not judged */
	if (!m->judged && judge_change(m, row, &m->trouble) != 0)
		return WHY_NONE;
	*ret_say = m->judged_say;
	return m->judged_say != NULL ? WHY_RULE : WHY_NONE;
}

/* ---- own writes */

int judge_own(struct merging *m, struct merging_row *row, uint64_t written, uint64_t unit, const struct cell *cells,
              const char **ret_say, struct err *err)
{
	const struct life_state *l = row->stood ? row_current(row->held.row) : NULL;
	const struct value *now[LIMIT_GROUPS] = {0};
	uint8_t levels = m->reg->policy != NULL ? rules_levels(m->e, m->reg, unit) : 0;
	struct finding *found;
	struct cell *all;
	uint32_t n;
	int rc = 0;

	*ret_say = NULL;
	if (!rules_checked(m->e, m->reg, levels, false))
		return 0;
	if (l != NULL)
		rc = held_cells(m->e->table, &row->held, &m->row, err);
	for (uint32_t g = 1; l != NULL && g < row->held.row->ngroups; g++)
		now[g] = l->groups[g].decision;
	if (rc == 0)
		rc = rules_cells(m->reg, row->held.key, unit, now, &m->row, &all, err);
	for (uint32_t i = 0; rc == 0 && i < m->reg->ncolumns; i++)
		if (m->reg->columns[i].group != 0 && written >> m->reg->columns[i].group & 1)
			all[i] = cells[i];
	if (rc == 0)
		rc = rules_row(m->e, m->reg, all, levels, &m->row, &found, &n, err);
	if (rc == 0 && n > 0 && !found[0].warn)
		*ret_say = found[0].say;
	return rc;
}

/* ---- warnings */

static int warn_open(struct merging *m, struct merging_row *row, const struct finding *found, uint32_t n, struct err *err)
{
	_cleanup_(buf_release) struct buf text = {0};

	for (uint32_t i = 0; i < n; i++)
		if (found[i].warn)
			buf_printf(&text, "%s%s: %s", text.n > 0 ? "; " : "", found[i].rule, found[i].say);
	if (text.failed)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", m->reg->name);
	return issue_put(m->e->db, "warn", m->reg->name, row->held.key_cell, row->held.row->row.decision->row_unit,
	                 buf_text(&text), now_ms(m->e), err);
}

int judge_warn(struct merging *m, struct merging_row *row, bool stands, struct err *err)
{
	const struct value *d = row->held.row->row.decision, *now[LIMIT_GROUPS] = {0};
	const struct life_state *l = row_current(row->held.row);
	uint8_t levels = m->reg->policy != NULL ? rules_levels(m->e, m->reg, d->row_unit) : 0;
	struct finding *found = NULL;
	struct cell *cells;
	uint32_t n = 0;
	bool warn = false;
	int rc = 0;

	if (!rules_checked(m->e, m->reg, levels, true))
		return 0;
	if (stands) {
		rc = held_cells(m->e->table, &row->held, &m->row, err);
		for (uint32_t g = 1; l != NULL && g < row->held.row->ngroups; g++)
			now[g] = l->groups[g].decision;
		if (rc == 0)
			rc = rules_cells(m->reg, row->held.key, d->row_unit, now, &m->row, &cells, err);
		if (rc == 0)
			rc = rules_row(m->e, m->reg, cells, levels, &m->row, &found, &n, err);
	}
	for (uint32_t i = 0; i < n; i++)
		warn = warn || found[i].warn;
	if (rc != 0)
		return rc;
	return warn ? warn_open(m, row, found, n, err) :
	       issue_solved(m->e->db, "warn", m->reg->name, row->held.key_cell, err);
}
