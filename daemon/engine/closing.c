/* Closing: conflicts and returns that end by themselves, and the sentence of one that opens (authority.md, What follows
 * each verdict). */
#include "engine/merge.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

#define SENTENCE_BELOW "下级未采纳 / the deciding level below did not accept it"

bool closing_same(const struct value *a, const struct value *b)
{
	if (a->group == GROUP_ROW)
		return a->alive == b->alive && a->row_unit == b->row_unit && ident_equal(a->life, b->life);
	if (a->cells == NULL || b->cells == NULL || !ident_equal(a->life, b->life))
		return false;
	for (uint32_t i = 0; i < a->ncells || i < b->ncells; i++) {
		bool x = i < a->ncells && (a->present == NULL || a->present[i]);
		bool y = i < b->ncells && (b->present == NULL || b->present[i]);

		if (x && y && !cell_equal(a->cells[i], b->cells[i]))
			return false;
		if (x != y && a->whole && b->whole)
			return false;
	}
	return true;
}

struct closing {
	const struct reg *reg;
	struct arena *arena;
	uint32_t group;
	const struct value *v, *held;    /* what came to stand, the decision held; either may be NULL */
};

static bool later(struct ident a, struct ident b)
{
	return a.unit == b.unit && mark_compare(a.mark, b.mark) > 0;
}

static const char *ends(void *arg, struct ident lost, struct slice lost_value)
{
	const struct closing *c = arg;
	struct value value = {.group = c->group};

	if (c->held != NULL && ident_equal(version_ident(c->held->v), lost))
		return "resolved";
	if (c->held != NULL && lost_value.n > 0 && value_load(lost_value, c->reg, c->arena, &value, NULL) == 0 &&
	    closing_same(&value, c->held))
		return "resolved";
	/* Its author has written since, or his later proposal was decided. */
	if (c->v == NULL)
		return NULL;
	return later(version_ident(c->v->v), lost) || (c->v->v->kind == DECISION && later(c->v->v->base, lost)) ? "replaced" : NULL;
}

static int group_ends(struct merging *m, struct merging_row *row, const struct value *v, const struct value *held,
                      struct err *err)
{
	struct closing c = {m->reg, &m->row, v->group, v, held};

	return record_settle(m->e->db, m->reg->name, row->held.key_cell,
	                     v->group == GROUP_ROW ? "row" : m->reg->groups[v->group]->name, ends, &c, err);
}

/* What merges into a life that has ended comes to stand nowhere; where that life returns, its groups do. */
int closing_value(struct merging *m, struct merging_row *row, const struct value *v, struct err *err)
{
	const struct value *d = row->held.row->row.decision;
	const struct life_state *l = row_current(row->held.row);
	const struct group_state *g = row_group(row->held.row, v->group, v->life);
	bool lives = d != NULL && d->alive && l != NULL && unit_contains(m->e->unit, d->row_unit);
	int rc;

	if (v->group != GROUP_ROW && (!lives || !ident_equal(v->life, d->life) || m->reg->groups[v->group] == NULL))
		return 0;
	rc = group_ends(m, row, v, g != NULL && v->v->kind == DECISION ? g->decision : NULL, err);
	for (uint32_t i = 1; rc == 0 && v->group == GROUP_ROW && v == d && lives && i < row->held.row->ngroups; i++)
		if (l->groups[i].decision != NULL && m->reg->groups[i] != NULL)
			rc = group_ends(m, row, l->groups[i].decision, l->groups[i].decision, err);
	return rc;
}

int closing_arrived(struct engine *e, const struct record *r, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct reg *reg = catalog_register(e->catalog, slice_of(r->reg));
	const struct group *g = reg != NULL ? reg_group(reg, slice_of(r->group)) : NULL;
	bool of_row = strcmp(r->group, "row") == 0;
	const struct group_state *state;
	struct closing c = {reg, &a, g != NULL ? g->number : GROUP_ROW, NULL, NULL};
	struct held h;
	struct key key;
	int rc;

	if (reg == NULL || (g == NULL && !of_row))
		return 0;
	rc = key_from_column(r->key, reg->nkey, &a, &key, err);
	if (rc == 0)
		rc = state_load(e->state, reg, key, &a, &h, err);
	if (rc != 0 || !h.exists || !(h.flags & STATE_ALIVE) || !unit_contains(e->unit, h.unit))
		return rc;
	rc = held_cells(e->table, &h, &a, err);
	state = row_group(h.row, c.group, h.row->row.decision->life);
	if (rc != 0 || state == NULL || state->decision == NULL)
		return rc;
	c.held = state->decision;
	if (ident_equal(version_ident(state->decision->v), r->lost))
		return 0;                        /* what decided against it is still on its way */
	/* A return is read even where its author has written again by now; a conflict is past then. */
	c.v = strcmp(r->kind, "superseded") == 0 ? state->decision : NULL;
	return record_settle(e->db, reg->name, r->key, r->group, ends, &c, err);
}

/* A row that moved between units takes open proposals along: who decides them may not see their author.  Where both do
 * meet, the author's return is made. */
static int answer_across(struct merging *m, struct merging_row *row, const struct value *v, const struct group_state *g,
                         const struct group_state *was, struct err *err)
{
	uint64_t from = child_towards(m->e, v->v->unit);
	int rc = 0;

	for (const struct slot *s = g->proposals; rc == 0 && s != NULL; s = s->next) {
		const struct value *p = s->value;
		uint64_t to = child_towards(m->e, p->v->unit);

		if (to == UNIT_NONE || to == from || !value_open(p, was) || value_open(p, g) ||
		    !ident_equal(v->v->base, version_ident(p->v)) || closing_same(p, g->decision))
			continue;
		m->decider = v->v->unit;
		rc = merging_record(m, row, p, g->decision, "rejected", 4, "rejected", SENTENCE_BELOW, err);
		m->decider = UNIT_NONE;
	}
	return rc;
}

int closing_answer(struct merging *m, struct merging_row *row, const struct value *v, const struct value *before, bool came,
                   struct err *err)
{
	const struct value mine = {.v = &(const struct version){.unit = m->e->unit}, .life = v->life, .group = v->group};
	const struct group_state *g = row_group(row->held.row, v->group, v->life), was = {.decision = before};
	const struct slot *slot = came && v->v->kind == DECISION && v->v->unit != m->e->unit && g != NULL ? group_slot(g, &mine) : NULL;
	const struct value *p = slot != NULL ? slot->value : NULL;
	bool accepted;
	int rc = came && v->v->kind == DECISION && g != NULL && child_towards(m->e, v->v->unit) != UNIT_NONE ?
	         answer_across(m, row, v, g, &was, err) : 0;

	if (rc != 0)
		return rc;
	if (p == NULL || !value_open(p, &was) || value_open(p, g))
		return 0;
	accepted = closing_same(p, g->decision);
	event(m->e, LOG_LEVEL_NOTICE, "review", m->from->peer, m->from->name, "register %s, group %s: unit %012llu %s what this node "
	      "proposed", m->reg->name, v->group == GROUP_ROW ? "row" : m->reg->groups[v->group]->name,
	      (unsigned long long)v->v->unit, accepted ? "accepted" : "decided otherwise than");
	if (accepted || !ident_equal(v->v->base, version_ident(p->v)) || !unit_contains(m->e->unit, v->v->unit))
		return 0;
	m->decider = v->v->unit;
	rc = merging_record(m, row, p, g->decision, "rejected", 4, "rejected", SENTENCE_BELOW, err);
	m->decider = UNIT_NONE;
	return rc;
}

const char *closing_sentence(struct merging *m, const struct merging_row *row, enum why why)
{
	const struct value *d = row->held.row->row.decision;
	_cleanup_(buf_release) struct buf b = {0};

	switch (why) {
	case WHY_MODE:
		return "本级对该字段组无此权限 / this level has no right to write the group so";
	case WHY_OLD_POLICY:
		return "按旧策略填写，请核对后重新填写 / written under an older policy: look at it and write it again";
	case WHY_KEY_CLASH:
		buf_printf(&b, "该编号已由单位 %012llu 登记 / the key is held by unit %012llu",
		           (unsigned long long)(d != NULL ? d->row_unit : UNIT_NONE), (unsigned long long)(d != NULL ? d->row_unit : UNIT_NONE));
		return arena_text(&m->row, buf_slice(&b));
	case WHY_FORGED_RULING:
		return "裁定与上级所存不符 / the ruling asserts what the superior does not hold";
	default:
		return NULL;
	}
}
