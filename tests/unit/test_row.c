/* Rows: merging is commutative, associative and idempotent, and the order of arrival does not matter, on states that
 * small trees of nodes come to: they write, hear of each other, restart, lose their disks to a backup.
 * TERRACE_SEED and TERRACE_TRIPLES choose where it begins and how many triples; a failure prints its seed. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rule.h"

#define NGROUPS 4u
#define NODES   7u
#define STEPS   150u
#define STATES  (NODES + STEPS + 1)
#define EPOCHS  256u
#define TRIPLES_A_TREE 200u

static const char *const names[NGROUPS] = { "row", "a", "b", "c" };
static const uint64_t units[NODES] = {
	620702000000, 620702100000, 620702101000, 620702100001, 620702100002, 620702101001, 620700000000,
};

struct node {
	struct row *row;
	struct marks met;
	uint32_t epoch;                  /* 0 = opens one at its next seal */
	struct mark sealed;              /* the last that this disk sealed itself */
};

struct tree {
	uint64_t seed, random;
	struct arena a;
	struct node nodes[NODES], backup[NODES];
	struct mark former[EPOCHS];
	uint32_t nepochs;
	const struct value *journal[STEPS + 1];
	uint32_t nvalues;
	struct row *states[STATES];
	uint32_t nstates;
};

static uint64_t chance(struct tree *t, uint64_t n)
{
	t->random = t->random * 6364136223846793005u + 1442695040888963407u;
	return (t->random >> 33) % n;
}

static bool former(void *arg, uint32_t epoch, struct mark *ret)
{
	struct tree *t = arg;

	/* Tokens are no order: the low byte numbers them. */
	if (t->former[epoch & 0xff].tick == 0)
		return false;
	*ret = t->former[epoch & 0xff];
	return true;
}

/* ---- states */

static void put_group(struct row *to, const struct group_state *g, struct arena *a)
{
	if (g->decision)
		row_put(to, g->decision, a);
	for (const struct slot *s = g->proposals; s; s = s->next)
		row_put(to, s->value, a);
}

static void merge(struct row *to, const struct row *from, struct arena *a)
{
	put_group(to, &from->row, a);
	for (const struct life_state *l = from->lives; l; l = l->next) {
		row_know_life(to, l->life, a);
		for (uint32_t g = 1; g < NGROUPS; g++)
			put_group(to, &l->groups[g], a);
	}
}

static struct row *merged(const struct row *x, const struct row *y, struct arena *a)
{
	struct row *row = row_new(a, NGROUPS, names);

	merge(row, x, a);
	merge(row, y, a);
	return row;
}

static bool group_equal(const struct group_state *x, const struct group_state *y)
{
	size_t nx = 0, ny = 0;

	if (x->decision != y->decision || group_shown(x) != group_shown(y))
		return false;
	for (const struct slot *s = y->proposals; s; s = s->next)
		ny++;
	for (const struct slot *s = x->proposals; s; s = s->next, nx++) {
		const struct slot *other = group_slot(y, s->value);

		if (!other || other->value != s->value)
			return false;
	}
	return nx == ny;
}

/* Values are one object each, so the same state is the same pointers. */
static bool row_equal(const struct row *x, const struct row *y)
{
	size_t nx = 0, ny = 0;

	if (!group_equal(&x->row, &y->row))
		return false;
	for (const struct life_state *l = y->lives; l; l = l->next)
		ny++;
	for (const struct life_state *l = x->lives; l; l = l->next, nx++) {
		const struct life_state *other = row_life(y, l->life);

		if (!other)
			return false;
		for (uint32_t g = 1; g < NGROUPS; g++)
			if (!group_equal(&l->groups[g], &other->groups[g]))
				return false;
	}
	return nx == ny;
}

/* ---- a tree's history */

static struct mark next_mark(struct tree *t, uint32_t n, const struct marks *base)
{
	struct node *node = &t->nodes[n];
	enum level level = unit_level(units[n]);

	if (node->epoch == 0) {
		node->epoch = (uint32_t)chance(t, 1u << 24) << 8 | ++t->nepochs;
		t->former[t->nepochs] = node->sealed;
	}
	node->sealed = (struct mark){ MAX(node->met.at[level].tick, base->at[level].tick) + 1, node->epoch };
	node->met.at[level] = node->sealed;
	return node->sealed;
}

static struct value *write_value(struct tree *t, uint32_t n, uint32_t group, const struct value *base, const struct marks *marks)
{
	struct value *v = arena_alloc(&t->a, sizeof(*v));
	struct version *version = arena_alloc(&t->a, sizeof(*version));
	struct mark mark = next_mark(t, n, marks);

	version->unit = units[n];
	version->marks = marks_raised(marks, unit_level(units[n]), mark);
	version->kind = chance(t, 4) == 0 ? PROPOSAL : DECISION;
	if (base)
		version->base = version_ident(base->v);
	v->v = version;
	v->group = group;
	v->whole = true;
	t->journal[t->nvalues++] = v;
	return v;
}

static const struct slot *slot_of_unit(const struct group_state *g, uint32_t group, struct ident life, uint64_t unit)
{
	const struct version version = { .unit = unit };
	const struct value v = { .v = &version, .group = group, .life = life };

	return group_slot(g, &v);
}

static void step_write(struct tree *t, uint32_t n)
{
	static const struct marks nothing;
	struct row *row = t->nodes[n].row;
	const struct value *held = row->row.decision, *base, *other;
	const struct slot *mine;
	uint32_t group = chance(t, 5) == 0 ? GROUP_ROW : (uint32_t)(1 + chance(t, NGROUPS - 1));
	struct value *v;
	struct marks marks;

	if (!held || !held->alive) {                             /* a new life */
		v = write_value(t, n, GROUP_ROW, held, held ? &held->v->marks : &nothing);
		((struct version *)(uintptr_t)v->v)->kind = DECISION;
		v->life = version_ident(v->v);
		v->alive = true;
		v->row_unit = units[n];
		row_put(row, v, &t->a);
		return;
	}
	base = group == GROUP_ROW ? held : group_shown(row_group(row, group, held->life));
	marks = base ? base->v->marks : nothing;
	mine = slot_of_unit(row_group(row, group, held->life), group, held->life, units[n]);
	if (mine)                                                /* one's own proposal is taken into account */
		marks = marks_join(&marks, &mine->value->v->marks);
	other = chance(t, 3) == 0 && t->nvalues > 0 ? t->journal[chance(t, t->nvalues)] : NULL;
	if (other && other->group == group && ident_equal(other->life, held->life)) {
		const struct group_state *g = row_group(row, group, held->life);
		const struct slot *s = group_slot(g, other);

		if (s && s->value == other)                      /* answers a proposal that it holds */
			marks = marks_join(&marks, &other->v->marks);
	}
	v = write_value(t, n, group, base, &marks);
	v->life = held->life;
	v->alive = chance(t, 3) > 0;
	v->row_unit = held->row_unit;
	row_put(row, v, &t->a);
}

/* Node n hears all or a part of what another holds. */
static void step_hear(struct tree *t, uint32_t n)
{
	const struct node *from = &t->nodes[chance(t, NODES)];
	const struct life_state *l;

	t->nodes[n].met = marks_join(&t->nodes[n].met, &from->met);
	if (chance(t, 2)) {
		merge(t->nodes[n].row, from->row, &t->a);
		return;
	}
	put_group(t->nodes[n].row, &from->row->row, &t->a);
	l = row_current(from->row);
	if (l)
		put_group(t->nodes[n].row, &l->groups[1 + chance(t, NGROUPS - 1)], &t->a);
}

static void copy_node(struct tree *t, struct node *to, const struct node *from)
{
	*to = *from;
	to->row = row_new(&t->a, NGROUPS, names);
	merge(to->row, from->row, &t->a);
}

static void history(struct tree *t, uint64_t seed)
{
	*t = (struct tree){ .seed = seed, .random = seed * 2654435761u + 1, .a = t->a };
	arena_reset(&t->a);
	for (uint32_t n = 0; n < NODES; n++) {
		t->nodes[n].row = row_new(&t->a, NGROUPS, names);
		t->backup[n].row = row_new(&t->a, NGROUPS, names);
	}
	t->states[t->nstates++] = row_new(&t->a, NGROUPS, names);
	if (chance(t, 4) > 0) {                                  /* most trees begin with one row everywhere */
		step_write(t, 0);
		for (uint32_t n = 1; n < NODES; n++)
			merge(t->nodes[n].row, t->nodes[0].row, &t->a);
	}
	for (uint32_t i = 0; i < STEPS; i++) {
		uint32_t n = (uint32_t)chance(t, NODES);

		switch (chance(t, 12)) {
		case 0:
			t->nodes[n].epoch = 0;                   /* a restart */
			break;
		case 1:
			copy_node(t, &t->backup[n], &t->nodes[n]);
			break;
		case 2:
			copy_node(t, &t->nodes[n], &t->backup[n]);
			t->nodes[n].epoch = 0;
			break;
		case 3: case 4: case 5: case 6:
			step_hear(t, n);
			break;
		default:
			step_write(t, n);
		}
		t->states[t->nstates] = row_new(&t->a, NGROUPS, names);
		merge(t->states[t->nstates++], t->nodes[n].row, &t->a);
	}
	for (uint32_t n = 0; n < NODES; n++)
		t->states[t->nstates++] = t->nodes[n].row;
	assert_false(t->a.failed);
}

/* ---- properties */

#define HOLDS(t, what) do { \
	if (!(what)) \
		fail_msg("TERRACE_SEED=%" PRIu64 ": %s", (t)->seed, #what); \
} while (0)

static void check_triple(struct tree *t, struct arena *a)
{
	const struct row *x = t->states[chance(t, t->nstates)], *y = t->states[chance(t, t->nstates)],
		*z = t->states[chance(t, t->nstates)], *xy = merged(x, y, a), *yx = merged(y, x, a), *yz = merged(y, z, a),
		*xy_z = merged(xy, z, a), *x_yz = merged(x, yz, a), *xx = merged(x, x, a), *xy_y = merged(xy, y, a);

	HOLDS(t, row_equal(xy, yx));
	HOLDS(t, row_equal(xy_z, x_yz));
	HOLDS(t, row_equal(xx, x));
	HOLDS(t, row_equal(xy_y, xy));
}

/* All values of the tree, in any order and some of them twice, end in one state. */
static void check_arrival(struct tree *t, struct arena *a)
{
	struct row *sorted = row_new(a, NGROUPS, names), *mixed = row_new(a, NGROUPS, names);
	uint32_t order[ARRAY_SIZE(t->journal)], n = t->nvalues;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = (uint32_t)chance(t, i + 1);

		row_put(sorted, t->journal[i], a);
		order[i] = order[j];
		order[j] = i;
	}
	for (uint32_t i = 0; i < n; i++) {
		row_put(mixed, t->journal[order[i]], a);
		if (chance(t, 4) == 0)
			row_put(mixed, t->journal[order[chance(t, i + 1)]], a);
	}
	HOLDS(t, row_equal(sorted, mixed));
}

/* Who has seen is greater; of two that have taken the same into account above, the superior's is greater. */
static uint32_t check_pair(struct tree *t, const struct value *x, const struct value *y)
{
	struct epochs epochs = { former, t };
	enum level lx = unit_level(x->v->unit), ly = unit_level(y->v->unit);

	/* Decisions of group row are in one place, all others in one of their life. */
	if (x == y || x->group != y->group || ((x->group != GROUP_ROW || x->v->kind == PROPOSAL || y->v->kind == PROPOSAL)
	                                       && !ident_equal(x->life, y->life)))
		return 0;
	if (version_seen(x->v, y->v, &epochs)) {
		HOLDS(t, version_order(x->v, y->v) > 0);
		HOLDS(t, !version_seen(y->v, x->v, &epochs));
		return 1;
	}
	for (enum level l = PROVINCE; l < lx; l++)
		if (!mark_equal(x->v->marks.at[l], y->v->marks.at[l]))
			return 1;
	if (lx < ly && !version_seen(y->v, x->v, &epochs)
	    && mark_seen(y->v->marks.at[lx], version_mark(x->v), &epochs))
		HOLDS(t, version_order(x->v, y->v) > 0);
	return 1;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 10) : otherwise;
}

static void test_algebra(void **state)
{
	uint64_t seed = setting("TERRACE_SEED", 1), triples = setting("TERRACE_TRIPLES", 100000), pairs = 0, trees = 0;
	struct tree *t = calloc(1, sizeof(*t));
	struct arena a = {0};

	(void)state;
	for (uint64_t done = 0; done < triples; done += TRIPLES_A_TREE, trees++) {
		history(t, seed + trees);
		for (uint32_t i = 0; i < TRIPLES_A_TREE; i++) {
			check_triple(t, &a);
			arena_reset(&a);
		}
		for (uint32_t i = 0; i < 10; i++) {
			check_arrival(t, &a);
			arena_reset(&a);
		}
		for (uint32_t i = 0; i < t->nvalues; i++)
			for (uint32_t j = 0; j < t->nvalues; j++)
				pairs += check_pair(t, t->journal[i], t->journal[j]);
	}
	printf("%" PRIu64 " triples and %" PRIu64 " orders of arrival of %" PRIu64 " trees, %" PRIu64 " pairs, from TERRACE_SEED=%"
	       PRIu64 "\n", triples, trees * 10, trees, pairs, seed);
	arena_release(&a);
	arena_release(&t->a);
	free(t);
}

/* ---- single functions */

static struct value value_at(struct version *version, uint32_t group, struct ident life)
{
	return (struct value){ .v = version, .group = group, .life = life, .whole = true };
}

static struct version version_at(uint64_t unit, uint64_t tick, enum kind kind)
{
	struct version v = { .unit = unit, .kind = kind };

	v.marks.at[unit_level(unit)] = (struct mark){ tick, 1 };
	return v;
}

static void test_places(void **state)
{
	struct version insert = version_at(units[3], 1, DECISION), p1 = version_at(units[3], 2, PROPOSAL),
		p2 = version_at(units[4], 3, PROPOSAL), older = version_at(units[3], 1, PROPOSAL);
	struct ident life = version_ident(&insert), other = { units[4], { 9, 1 } };
	struct value row_value = value_at(&insert, GROUP_ROW, life), a1 = value_at(&p1, 1, life), a2 = value_at(&p2, 1, life),
		a0 = value_at(&older, 1, life), moved = value_at(&p1, GROUP_ROW, life), moved_other = value_at(&p1, GROUP_ROW, other),
		beyond = value_at(&p1, NGROUPS, life);
	struct arena a = {0};
	struct row *row = row_new(&a, NGROUPS, names);

	(void)state;
	assert_null(row_current(row));
	assert_null(row_group(row, 1, life));
	assert_null(group_shown(NULL));
	assert_true(value_open(&a1, NULL));
	row_put(row, &row_value, &a);
	assert_ptr_equal(row_current(row), row_life(row, life));
	assert_null(group_shown(row_group(row, 1, life)));
	row_put(row, &a1, &a);
	row_put(row, &a2, &a);
	row_put(row, &a0, &a);
	assert_ptr_equal(group_slot(row_group(row, 1, life), &a0)->value, &a1);         /* the greatest of its author */
	assert_ptr_equal(group_shown(row_group(row, 1, life)), &a2);                     /* the greatest of all */
	assert_null(group_slot(row_group(row, 2, life), &a1));
	/* In group row one for each author and life; a proposal makes no life known. */
	row_put(row, &moved, &a);
	row_put(row, &moved_other, &a);
	assert_ptr_equal(group_slot(&row->row, &moved)->value, &moved);
	assert_ptr_equal(group_slot(&row->row, &moved_other)->value, &moved_other);
	assert_null(row_life(row, other));
	row_put(row, &beyond, &a);                               /* no such group: nothing happens */
	assert_null(row_group(row, NGROUPS, life));
	assert_ptr_equal(group_shown(&row->row), &row_value);
	arena_release(&a);
}

static void test_partial(void **state)
{
	static const struct cell old[3] = { { .type = CELL_INT, .i = 1 }, { .type = CELL_INT, .i = 2 }, { .type = CELL_INT, .i = 3 } },
		new[3] = { { .type = CELL_INT, .i = 10 }, { .type = CELL_NULL, .i = 0 }, { .type = CELL_NULL, .i = 0 } };
	static const bool first[3] = { true, false, false }, not_last[3] = { true, true, false };
	struct version v1 = version_at(units[3], 1, DECISION), v2 = version_at(units[3], 2, DECISION);
	struct ident life = version_ident(&v1);
	struct value base = value_at(&v1, 1, life), part = value_at(&v2, 1, life);
	const struct value *whole;
	struct arena a = {0};
	struct row *row = row_new(&a, NGROUPS, names);

	(void)state;
	base.ncells = part.ncells = 3;
	base.cells = old;
	part.cells = new;
	part.present = first;
	part.whole = false;
	v2.base = version_ident(&v1);
	assert_ptr_equal(value_completed(NULL, &part, &a), &part);      /* its base is not here */
	row_put(row, &base, &a);
	assert_ptr_equal(value_completed(row_group(row, 1, life), &base, &a), &base);
	row_put(row, &part, &a);
	whole = row_group(row, 1, life)->decision;
	assert_true(whole->whole && !whole->present && whole->ncells == 3);
	assert_true(whole->cells[0].i == 10 && whole->cells[1].i == 2 && whole->cells[2].i == 3);
	assert_ptr_equal(whole->v, &v2);
	assert_false(part.whole);
	/* A column that the base does not know either (an older policy) stays absent. */
	base.present = not_last;
	row_group(row, 1, life)->decision = &base;
	whole = value_completed(row_group(row, 1, life), &part, &a);
	assert_true(whole->whole && whole->present[0] && whole->present[1] && !whole->present[2]);
	v2.base.unit = units[4];
	assert_ptr_equal(value_completed(row_group(row, 1, life), &part, &a), &part);
	arena_release(&a);
}

static void test_covered(void **state)
{
	struct version v = version_at(units[3], 2, DECISION), end = version_at(units[3], 5, DECISION);
	struct ident life = { units[3], { 1, 1 } };
	struct saw saw = { .group = "b", .life = life };
	struct value edit = value_at(&v, 2, life), tombstone = value_at(&end, GROUP_ROW, life);
	struct arena a = {0};
	struct row *row = row_new(&a, NGROUPS, names), *nameless = row_new(&a, NGROUPS, NULL);

	(void)state;
	assert_false(row_covered(row, &edit, &tombstone));
	end.saw = &saw;
	end.nsaw = 1;
	saw.marks.at[VILLAGE] = (struct mark){ 2, 1 };
	assert_true(row_covered(row, &edit, &tombstone));
	assert_false(row_covered(nameless, &edit, &tombstone));
	saw.marks.at[VILLAGE] = (struct mark){ 1, 1 };
	assert_false(row_covered(row, &edit, &tombstone));
	saw.marks.at[VILLAGE] = (struct mark){ 2, 1 };
	edit.group = 1;
	assert_false(row_covered(row, &edit, &tombstone));
	edit.group = 2;
	saw.life.mark.tick = 7;
	assert_false(row_covered(row, &edit, &tombstone));
	arena_release(&a);
}

static void test_no_memory(void **state)
{
	struct version v = version_at(units[3], 2, DECISION), p = version_at(units[3], 3, PROPOSAL);
	struct ident life = { units[3], { 1, 1 } };
	struct value edit = value_at(&v, 2, life), proposal = value_at(&p, 2, life);

	(void)state;
	for (size_t cap = 1; cap < 600; cap += 16) {
		struct arena a = { .cap = cap };
		struct row *row = row_new(&a, NGROUPS, names);

		if (row) {
			row_put(row, &edit, &a);
			row_put(row, &proposal, &a);
			assert_true(a.failed || (row_group(row, 2, life)->decision == &edit && row_group(row, 2, life)->proposals));
		} else {
			assert_true(a.failed);
		}
		arena_release(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_covered),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_algebra),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
