/* Review: proposals become this level's decisions. */
#include "engine/review_inside.h"

#include <stdio.h>
#include <string.h>

#include "engine/rules.h"

/* ---- who decides */

static enum mode row_mode(const struct reg *r, uint64_t row_unit, bool create, uint64_t node, uint64_t child, uint64_t parent,
                          bool *ret_acting)
{
	return mode_at(r, row_unit, GROUP_ROW, create ? RIGHT_CREATE : RIGHT_DELETE, node, child, parent, ret_acting);
}

/* The level that decides next above the author's; without one the lowest that decides at all. */
static uint64_t owner(const struct reg *r, uint64_t row_unit, const struct value *p, enum right right)
{
	uint32_t number = p->group == GROUP_ROW ? 0 : policy_group_number(r->policy, slice_of(r->groups[p->group]->name));
	enum level author = unit_level(p->v->unit);
	int best = -1;

	for (int l = PROVINCE; l <= (int)unit_level(row_unit); l++)
		if ((p->group == GROUP_ROW || number != 0) && policy_mode(r->policy, number, right, (enum level)l) == MODE_OWN &&
		    (l < (int)author || best < 0 || best >= (int)author))
			best = l;
	return best >= 0 ? unit_at(row_unit, (enum level)best) : UNIT_NONE;
}

struct reviewer review_by(const struct reg *r, uint64_t row_unit, const struct value *p, bool accept, uint64_t node,
                          uint64_t child, uint64_t parent)
{
	struct reviewer ret = {.here = false};
	enum right right = p->group != GROUP_ROW ? RIGHT_GROUP : p->alive ? RIGHT_CREATE : RIGHT_DELETE;
	uint64_t common = p->group == GROUP_ROW && p->alive ? unit_common(row_unit, p->row_unit) : UNIT_NONE;
	bool acting = false;

	if (r->policy == NULL || (p->group != GROUP_ROW && (p->group >= r->ngroups || r->groups[p->group] == NULL)))
		return ret;
	if (p->group != GROUP_ROW)
		ret.here = mode_at(r, row_unit, p->group, right, node, child, parent, &ret.acting) == MODE_OWN;
	else
		ret.here = row_mode(r, row_unit, right == RIGHT_CREATE, node, child, parent, &ret.acting) == MODE_OWN;
	/* To say again that a row stands where it stands either right will do. */
	if (p->group == GROUP_ROW && !accept && !ret.here) {
		ret.here = row_mode(r, row_unit, right != RIGHT_CREATE, node, child, parent, &acting) == MODE_OWN;
		ret.acting = acting;
	}
	ret.unit = ret.here ? node : owner(r, row_unit, p, right);
	/* Into another scope: the lowest common ancestor, or whoever stands above it. */
	if (accept && common != UNIT_NONE && !unit_contains(node, p->row_unit)) {
		ret.here = false;
		ret.unit = ret.unit != UNIT_NONE && unit_contains(ret.unit, common) ? ret.unit : common;
	}
	return ret;
}

/* ---- the decision */

static int memory(const struct reg *r, struct err *err)
{
	return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
}

/* The proposal's cells; a column that its group has got since is as it stands. */
static int cells_whole(struct review *v, const struct merging_row *row, const struct value *p, struct value *ret, struct err *err)
{
	const struct life_state *l = row_current(row->held.row);
	const struct value *d = l->groups[p->group].decision;
	uint32_t n = 0;
	const struct cell *defaults = merging_defaults(&v->m, p->group, &n);
	struct cell *cells = arena_array(&v->m.row, n + 1, sizeof *cells);

	if (defaults == NULL || cells == NULL)
		return memory(v->m.reg, err);
	for (uint32_t i = 0; i < n; i++) {
		bool there = i < p->ncells && (p->present == NULL || p->present[i]);
		bool stands = d != NULL && d->cells != NULL && i < d->ncells && (d->present == NULL || d->present[i]);

		cells[i] = there ? p->cells[i] : stands ? d->cells[i] : defaults[i];
	}
	ret->cells = cells;
	ret->ncells = n;
	return 0;
}

/* What stands, or the defaults. */
static int cells_standing(struct review *v, const struct merging_row *row, const struct value *p, struct value *ret,
                          struct err *err)
{
	const struct value none = {.group = p->group};

	return cells_whole(v, row, &none, ret, err);
}

/* What the delete has seen of each group (as the seal of a delete says it). */
static int saw_all(struct review *v, const struct merging_row *row, struct version *version, struct err *err)
{
	const struct life_state *l = row_current(row->held.row);
	struct saw *saw = arena_array(&v->m.row, row->held.row->ngroups, sizeof *saw);
	uint32_t n = 0;

	if (saw == NULL)
		return memory(v->m.reg, err);
	for (uint32_t g = 1; g < row->held.row->ngroups; g++) {
		if (l->groups[g].decision == NULL || v->m.reg->groups[g] == NULL)
			continue;
		saw[n].life = l->life;
		snprintf(saw[n].group, sizeof saw[n].group, "%s", v->m.reg->groups[g]->name);
		saw[n++].marks = l->groups[g].decision->v->marks;
	}
	version->saw = saw;
	version->nsaw = n;
	return 0;
}

/* This level's decision that takes p into account: it says what p says, or again what stands. */
static int made(struct review *v, const struct picked *k, const struct merging_row *row, const struct value *p,
                const struct group_state *g, bool acting, struct value **ret, struct err *err)
{
	const struct value *d = row->held.row->row.decision, *h = g->decision;
	struct marks joined = h != NULL ? marks_join(&h->v->marks, &p->v->marks) : p->v->marks;
	bool fresh = v->last == NULL || (v->last->reg == k->reg && cell_equal(v->last->key, k->key));
	struct version *version;
	struct value *value;
	int rc = fresh ? mint_mark(v->e, NULL, &v->m.batch, err) : 0;

	if (rc != 0)
		return rc;
	v->last = k;
	value = merging_value(&v->m, row, p, p->group, d->life, DECISION, acting, v->m.batch, err);
	if (value == NULL)
		return ERR_NOMEM;
	version = (struct version *)(uintptr_t)value->v;
	version->marks = marks_raised(&joined, v->e->level, v->m.batch);
	version->actor = slice_of(v->actor);
	v->by = version_ident(version);
	*ret = value;
	if (p->group != GROUP_ROW)
		return v->accept ? cells_whole(v, row, p, value, err) : cells_standing(v, row, p, value, err);
	value->alive = v->accept ? p->alive : d->alive;
	value->row_unit = v->accept && p->alive ? p->row_unit : d->row_unit;
	return value->alive ? 0 : saw_all(v, row, version, err);
}

static int may(const struct review *v, const struct picked *k, uint64_t row_unit, const struct value *p, bool *ret_acting,
               struct err *err)
{
	struct engine *e = v->e;
	struct reviewer by = review_by(k->reg, row_unit, p, v->accept, e->unit, child_towards(e, row_unit), e->parent);
	const char *group = p->group == GROUP_ROW ? "row" : k->reg->groups[p->group]->name;

	*ret_acting = by.acting;
	if (by.here)
		return 0;
	if (by.unit == UNIT_NONE)
		return err_set(err, ERR_REFUSED, "proposal %lld: no level decides group %s of register %s by the policy in force here",
		               (long long)k->id, group, k->reg->name);
	return err_set(err, ERR_REFUSED, "proposal %lld: group %s of register %s is decided by %s %012llu (or who acts for it), not at this "
	               "level", (long long)k->id, group, k->reg->name, level_name(unit_level(by.unit)), (unsigned long long)by.unit);
}

/* The proposal in the row as it is held now; NULL where it is no longer what was picked. */
static const struct value *in_row(struct review *v, const struct merging_row *row, const struct picked *k,
                                  const struct group_state **ret_group)
{
	const struct value *d = row->held.row->row.decision;
	struct value was = {.group = k->group};
	const struct group_state *g;
	const struct slot *slot;

	if (d == NULL || !row->stood || value_load(k->value, k->reg, &v->m.row, &was, NULL) != 0 || !ident_equal(was.life, d->life))
		return NULL;
	*ret_group = g = row_group(row->held.row, k->group, d->life);
	slot = g != NULL ? group_slot(g, &was) : NULL;
	if (slot == NULL || !ident_equal(version_ident(slot->value->v), version_ident(was.v)) || !value_open(slot->value, g))
		return NULL;
	return slot->value;
}

/* Two authors propose otherwise for one group: which of them a person has to say. */
static bool rivals(const struct group_state *g, const struct value *p)
{
	uint32_t n = 0;

	for (const struct slot *s = g->proposals; s != NULL; s = s->next)
		n += value_open(s->value, g) && ident_equal(s->value->life, p->life);
	return n > 1;
}

/* A `refuse` rule that this level checks forbids accepting what the row would fail by. */
static int rules_allow(struct review *v, const struct picked *k, const struct merging_row *row, const struct value *decision,
                       struct err *err)
{
	struct finding *found = NULL;
	uint32_t n = 0;
	int rc = rules_of_value(v->e, &row->held, decision, &v->m.row, &found, &n, err);

	if (rc == 0 && n > 0 && !found[0].warn)
		return err_set(err, ERR_REFUSED, "proposal %lld: rule %s of register %s: %s", (long long)k->id, found[0].rule, k->reg->name,
		               found[0].say);
	return rc;
}

static int apply(struct review *v, struct merging_row *row, const struct value *p, const struct value *decision, struct err *err)
{
	bool lagged = (row->held.flags & STATE_QUARANTINE) != 0;
	int rc = merging_own(&v->m, row, decision, NULL, err);

	if (rc == 0 && !v->accept)
		rc = merging_record(&v->m, row, p, decision, "rejected", 4, "rejected", v->reason, err);
	v->m.retrying = !lagged;                 /* a person hears at once what the table does not take */
	if (rc == 0)
		rc = merging_end_row(&v->m, row, err);
	state_trim(v->e->state);
	return rc;
}

static int decide(struct review *v, const struct picked *k, bool *ret_passed, struct err *err)
{
	const struct group_state *g = NULL;
	struct merging_row row;
	const struct value *p;
	struct value *decision;
	struct key key;
	bool acting;
	int rc;

	*ret_passed = false;
	if (k->reg == NULL || k->reg->policy == NULL)
		return err_set(err, ERR_REFUSED, "proposal %lld: its register is in no policy in force here", (long long)k->id);
	arena_reset(&v->m.row);
	rc = key_from_column(k->key, k->reg->nkey, &v->m.pass, &key, err);
	if (rc == 0)
		rc = merging_load(&v->m, k->reg, key, &row, err);
	if (rc != 0)
		return rc;
	if (v->all && v->unit != UNIT_NONE && !unit_contains(v->unit, row.unit)) {
		*ret_passed = true;
		return 0;
	}
	p = in_row(v, &row, k, &g);
	if (p == NULL)
		return err_set(err, ERR_REFUSED, "proposal %lld changed meanwhile; nothing was decided: look at the list again",
		               (long long)k->id);
	rc = may(v, k, row.unit, p, &acting, v->all ? NULL : err);
	if (rc == ERR_REFUSED && v->all) {       /* open here, decided elsewhere */
		*ret_passed = true;
		return 0;
	}
	if (rc == 0 && v->all && v->accept && rivals(g, p))
		rc = err_set(err, ERR_REFUSED, "proposal %lld is not the only one for its group; decide such ones by their numbers first",
		             (long long)k->id);
	if (rc == 0)
		rc = made(v, k, &row, p, g, acting, &decision, err);
	if (rc == 0 && v->accept)
		rc = rules_allow(v, k, &row, decision, err);
	return rc == 0 ? apply(v, &row, p, decision, err) : rc;
}

/* Foreign keys of all rows touched, when all is decided. */
static int keys_hold(struct review *v, struct err *err)
{
	int rc = 0;

	for (const struct touched *t = v->m.touched; t != NULL && rc == 0; t = t->next)
		rc = table_keys(v->e->table, t->reg, t->key, t->deleted, err);
	return rc;
}

static int confirmed(const struct review *v, uint64_t n, int64_t sum, struct err *err)
{
	if (v->all && v->has_count && n != v->count)
		return err_set(err, ERR_REFUSED, "%llu proposals would be decided, %llu were confirmed; nothing was decided: look at the "
		               "list again", (unsigned long long)n, (unsigned long long)v->count);
	if (v->all && v->has_sum && sum != v->sum)
		return err_set(err, ERR_REFUSED, "the queue changed since it was shown; nothing was decided: look at the list again");
	return n > 0 ? 0 : err_set(err, ERR_NOT_FOUND, "no proposal waits here for this level; `proposals list` shows all");
}

int review_decide(struct review *v, uint64_t *ret_n, struct err *err)
{
	static const struct arrival self;
	struct counts counts = {0};
	int64_t sum = 0;
	int rc = 0;

	merging_begin(&v->m, v->e, &self, &counts);
	for (const struct picked *k = v->picked; k != NULL && rc == 0; k = k->next) {
		bool passed = false;

		rc = decide(v, k, &passed, err);
		if (rc == 0 && !passed) {
			sum = proposal_sum(sum, k->id);
			++*ret_n;
		}
		if (rc == 0 && atomic_load(&v->e->stopping))
			rc = err_set(err, ERR_STOPPING, "stopping");
	}
	if (rc == 0)
		rc = confirmed(v, *ret_n, sum, err);
	if (rc == 0)
		rc = keys_hold(v, err);
	if (rc == 0)
		rc = merging_end(&v->m, err);
	merging_release(&v->m);
	return rc;
}
