/* Answers: what this node itself decides about a value that came. */
#include "engine/answers.h"

#include "base/log.h"

int answer_refused(struct merging *m, struct merging_row *row, const struct value *v, const struct verdict *verdict,
                   struct err *err)
{
	static const struct marks nothing;
	const struct group_state *g = row_group(row->held.row, v->group, v->life);
	const struct value *h = g != NULL ? g->decision : NULL;
	struct marks joined = marks_join(h != NULL ? &h->v->marks : &nothing, &v->v->marks);
	const struct cell *defaults;
	struct value *ruling;
	struct mark own;
	uint32_t n = 0;
	int rc = mint_mark(m->e, &joined, &own, err);

	if (rc != 0)
		return rc;
	defaults = v->group == GROUP_ROW ? NULL : merging_defaults(m, v->group, &n);
	ruling = rule_ruling(row->held.row, v, verdict->name == VERDICT_REVIVE, m->e->unit, own, m->e->catalog->list, defaults,
	                     n, &m->row);
	if (ruling == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", m->reg->name);
	return merging_own(m, row, ruling, NULL, err);
}

int answer_once_more(struct merging *m, struct merging_row *row, const struct verdict *verdict, struct err *err)
{
	const struct value *lost = verdict->losers[0], *ruling = verdict->value;
	bool acting = false;
	enum right right = lost->group != GROUP_ROW ? RIGHT_GROUP : lost->alive ? RIGHT_CREATE : RIGHT_DELETE;
	const struct value *d = row->held.row->row.decision;
	enum mode mode = own_mode(m->e, m->reg, d->row_unit, lost->group, right, &acting);
	struct value *again;
	struct mark own;
	int rc;

	if (mode == MODE_READ)
		return 0;
	rc = mint_mark(m->e, &ruling->v->marks, &own, err);
	if (rc != 0)
		return rc;
	again = merging_value(m, row, ruling, lost->group, lost->life, mode == MODE_OWN ? DECISION : PROPOSAL, acting, own, err);
	if (again == NULL)
		return ERR_NOMEM;
	again->alive = lost->alive;
	again->row_unit = lost->row_unit;
	again->cells = lost->cells;
	again->ncells = lost->ncells;
	again->present = lost->present;
	if (lost->group == GROUP_ROW && !lost->alive) {
		((struct version *)(uintptr_t)again->v)->saw = lost->v->saw;
		((struct version *)(uintptr_t)again->v)->nsaw = lost->v->nsaw;
	}
	return merging_own(m, row, again, NULL, err);
}

/* ---- on_conflict */

/* This node is that of the highest level that owns the group of such a row. */
static bool highest_owner(struct merging *m, uint64_t row_unit, uint32_t group, bool *ret_acting)
{
	const struct policy_register *p = m->reg->policy;
	uint32_t number = policy_group_number(p, slice_of(m->reg->groups[group]->name));
	bool top = m->e->parent == UNIT_NONE || unit_level(m->e->parent) < p->ceiling || p->unit_source == UNIT_ALL;

	if (own_mode(m->e, m->reg, row_unit, group, RIGHT_GROUP, ret_acting) != MODE_OWN)
		return false;
	for (enum level l = PROVINCE; l < m->e->level && !top; l++)
		if (policy_mode(p, number, RIGHT_GROUP, l) == MODE_OWN)
			return false;
	return true;
}

struct settlement answer_conflict(struct merging *m, struct merging_row *row, const struct value *v,
                                  const struct verdict *verdict)
{
	const struct group *g = v->group == GROUP_ROW ? NULL : m->reg->groups[v->group];
	const char *how = g != NULL && g->policy != NULL && m->reg->policy != NULL ? g->policy->on_conflict : NULL;
	const struct value *d = row->held.row->row.decision;
	const struct column *column;
	struct settlement s = {0};

	if (how == NULL || (verdict->name != VERDICT_KEEP && verdict->name != VERDICT_TAKE_OVER) || d == NULL ||
	    !unit_contains(m->e->unit, d->row_unit) || !highest_owner(m, d->row_unit, v->group, &s.acting))
		return s;
	column = group_column(g, slice_of(how + 4));     /* "max COLUMN", "min COLUMN" */
	if (column != NULL)
		s.lost = rule_better(row->held.row, v, verdict, &m->context, how[1] == 'a', column->in_group, &m->row, &s.kept);
	return s;
}

int answer_settle(struct merging *m, struct merging_row *row, const struct settlement *s, struct err *err)
{
	struct marks joined = marks_join(&s->kept->v->marks, &s->lost->v->marks);
	struct value *v;
	struct mark own;
	int rc = mint_mark(m->e, &joined, &own, err);

	if (rc != 0)
		return rc;
	v = rule_settling(s->kept, s->lost, m->e->unit, own, m->e->catalog->list, s->acting, &m->row);
	if (v == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", m->reg->name);
	event(m->e, LOG_LEVEL_NOTICE, "conflict", m->from->peer, m->from->name, "register %s, group %s: the %s value is decided",
	      m->reg->name, m->reg->groups[v->group]->name, m->reg->groups[v->group]->policy->on_conflict);
	return merging_own(m, row, v, NULL, err);
}
