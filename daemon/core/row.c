/* Row: the state of one row in memory, and the merge.
 *
 * Putting keeps the greater, place by place: the decision of a group, the proposal of an author.  So merging is
 * commutative, associative and idempotent, and the shown value is a function of the state.  Lives and proposals are
 * few: lists. */
#include <string.h>

#include "core/rule.h"

struct row *row_new(struct arena *a, uint32_t ngroups, const char *const *names)
{
	struct row *row = arena_alloc(a, sizeof(*row));

	if (row) {
		row->ngroups = ngroups;
		row->names = names;
	}
	return row;
}

struct life_state *row_life(const struct row *row, struct ident life)
{
	for (struct life_state *l = row->lives; l; l = l->next)
		if (ident_equal(l->life, life))
			return l;
	return NULL;
}

struct life_state *row_current(const struct row *row)
{
	return row->row.decision ? row_life(row, row->row.decision->life) : NULL;
}

struct group_state *row_group(const struct row *row, uint32_t group, struct ident life)
{
	struct life_state *l;

	if (group == GROUP_ROW)
		return (struct group_state *)(uintptr_t)&row->row;
	l = group < row->ngroups ? row_life(row, life) : NULL;
	return l ? &l->groups[group] : NULL;
}

static struct life_state *life_made(struct row *row, struct ident life, struct arena *a)
{
	struct life_state *l = row_life(row, life);

	if (l)
		return l;
	l = arena_alloc(a, sizeof(*l));
	if (!l)
		return NULL;
	l->groups = arena_array(a, row->ngroups, sizeof(*l->groups));
	if (!l->groups)
		return NULL;
	l->life = life;
	l->next = row->lives;
	row->lives = l;
	return l;
}

void row_know_life(struct row *row, struct ident life, struct arena *a)
{
	life_made(row, life, a);
}

/* One proposal for each author; in group row for each author and life. */
static bool slot_of(const struct slot *s, const struct value *v)
{
	return s->value->v->unit == v->v->unit && (v->group != GROUP_ROW || ident_equal(s->value->life, v->life));
}

struct slot *group_slot(const struct group_state *g, const struct value *v)
{
	for (struct slot *s = g ? g->proposals : NULL; s; s = s->next)
		if (slot_of(s, v))
			return s;
	return NULL;
}

static void put_proposal(struct group_state *g, const struct value *v, struct arena *a)
{
	struct slot *s = group_slot(g, v);

	if (s) {
		if (version_order(v->v, s->value->v) > 0)
			s->value = v;
		return;
	}
	s = arena_alloc(a, sizeof(*s));
	if (!s)
		return;
	s->value = v;
	s->next = g->proposals;
	g->proposals = s;
}

void row_put(struct row *row, const struct value *v, struct arena *a)
{
	struct group_state *g = &row->row;

	if (v->group != GROUP_ROW) {
		struct life_state *l = v->group < row->ngroups ? life_made(row, v->life, a) : NULL;

		if (!l)
			return;
		g = &l->groups[v->group];
	} else if (v->v->kind == DECISION) {
		life_made(row, v->life, a);
	}
	v = value_completed(g, v, a);
	if (v->v->kind == PROPOSAL)
		put_proposal(g, v, a);
	else if (!g->decision || version_order(v->v, g->decision->v) > 0)
		g->decision = v;
}

/* ---- what a group shows */

bool value_open(const struct value *proposal, const struct group_state *g)
{
	return version_open(proposal->v, g && g->decision ? g->decision->v : NULL);
}

const struct value *group_shown(const struct group_state *g)
{
	const struct value *most = NULL;

	if (!g || g->decision)
		return g ? g->decision : NULL;
	for (const struct slot *s = g->proposals; s; s = s->next)     /* without a decision all are open */
		if (!most || version_order(s->value->v, most->v) > 0)
			most = s->value;
	return most;
}

/* ---- partial values */

static const struct value *base_of(const struct group_state *g, const struct ident *base)
{
	if (!g || base->unit == UNIT_NONE)
		return NULL;
	if (g->decision && ident_equal(version_ident(g->decision->v), *base))
		return g->decision;
	for (const struct slot *s = g->proposals; s; s = s->next)
		if (ident_equal(version_ident(s->value->v), *base))
			return s->value;
	return NULL;
}

static bool cell_there(const struct value *v, uint32_t i)
{
	return i < v->ncells && (!v->present || v->present[i]);
}

/* What v does not write stays as in its base.  A column that the base does not know either stays absent. */
static const struct value *completed(const struct value *v, const struct value *base, struct arena *a)
{
	uint32_t n = MAX(v->ncells, base->ncells), there = 0;
	struct value *whole = arena_copy(a, v, sizeof(*v));
	struct cell *cells = arena_array(a, n, sizeof(*cells));
	bool *present = arena_array(a, n, sizeof(*present));

	if (!whole || (n > 0 && (!cells || !present)))
		return v;
	for (uint32_t i = 0; i < n; i++) {
		const struct value *from = cell_there(v, i) ? v : base;

		present[i] = cell_there(from, i);
		if (present[i])
			cells[i] = from->cells[i];
		there += present[i];
	}
	whole->whole = true;
	whole->ncells = n;
	whole->cells = cells;
	whole->present = there < n ? present : NULL;
	return whole;
}

const struct value *value_completed(const struct group_state *g, const struct value *v, struct arena *a)
{
	const struct value *base = v->whole ? NULL : base_of(g, &v->v->base);

	return base ? completed(v, base, a) : v;
}

/* ---- deletes */

bool row_covered(const struct row *row, const struct value *v, const struct value *row_decision)
{
	const struct version *end = row_decision->v;

	if (!row->names || v->group >= row->ngroups)
		return false;
	for (uint32_t i = 0; i < end->nsaw; i++) {
		const struct saw *s = &end->saw[i];

		if (ident_equal(s->life, v->life) && strcmp(s->group, row->names[v->group]) == 0
		    && mark_compare(version_mark(v->v), s->marks.at[unit_level(v->v->unit)]) <= 0)
			return true;
	}
	return false;
}
