/* Every verdict as a story of a village, its neighbour, their township and the county.
 * Group `aid` has one column; all levels own everything unless a story says otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/rule.h"

#define AID 1u
#define NGROUPS 2u

static const char *const names[NGROUPS] = { "row", "aid" };
static const struct cell zero = { .type = CELL_INT, .i = 0 };

struct place {
	uint64_t unit;
	struct row *row;
	uint64_t tick;
	uint32_t epoch;
};

static struct arena arena;
static struct place county, town, village, neighbour;
static enum mode aid[LEVELS], create[LEVELS], delete[LEVELS];
static bool newer_list, locked, checked, healing;
static struct verdict last;

static enum mode story_mode(void *arg, uint64_t policy, uint32_t group, enum right right, enum level level)
{
	(void)arg, (void)policy, (void)group;
	return right == RIGHT_CREATE ? create[level] : right == RIGHT_DELETE ? delete[level] : aid[level];
}

static bool story_outdated(void *arg, const struct version *v)
{
	(void)arg, (void)v;
	return newer_list;
}

static enum why story_failing(void *arg, const struct row *row, const struct value *v, const char **ret_say)
{
	(void)arg, (void)row;
	if (locked && v->group == AID) {
		*ret_say = "已公示";
		return WHY_LOCK;
	}
	if (checked && v->group == AID && v->cells[0].i < 0) {
		*ret_say = "金额不得为负";
		return WHY_RULE;
	}
	return WHY_NONE;
}

static const struct cell *story_defaults(void *arg, uint32_t group, uint32_t *ret_n)
{
	(void)arg, (void)group;
	*ret_n = 1;
	return &zero;
}

static int begin(void **state)
{
	static const uint64_t unit[] = { 620702000000, 620702100000, 620702100001, 620702100002 };
	struct place *const place[] = { &county, &town, &village, &neighbour };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(place); i++)
		*place[i] = (struct place){ unit[i], row_new(&arena, NGROUPS, names), 0, i + 1 };
	for (int l = 0; l < LEVELS; l++)
		aid[l] = create[l] = delete[l] = MODE_OWN;
	newer_list = locked = checked = healing = false;
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

/* ---- what people do */

static struct value *written(struct place *at, uint32_t group, enum kind kind, const struct value *base)
{
	static const struct marks nothing;
	struct value *v = arena_alloc(&arena, sizeof(*v));
	struct version *version = arena_alloc(&arena, sizeof(*version));

	version->unit = at->unit;
	version->kind = kind;
	version->marks = marks_raised(base ? &base->v->marks : &nothing, unit_level(at->unit), (struct mark){ ++at->tick, at->epoch });
	at->tick = version_mark(version).tick;
	if (base)
		version->base = version_ident(base->v);
	v->v = version;
	v->group = group;
	v->whole = true;
	return v;
}

static const struct value *inserts(struct place *at)
{
	struct value *v = written(at, GROUP_ROW, DECISION, at->row->row.decision);

	v->life = version_ident(v->v);
	v->alive = true;
	v->row_unit = at->unit;
	row_put(at->row, v, &arena);
	return v;
}

static const struct value *deletes(struct place *at)
{
	const struct value *held = at->row->row.decision, *seen = group_shown(row_group(at->row, AID, held->life));
	struct value *v = written(at, GROUP_ROW, DECISION, held);
	struct version *version = (struct version *)(uintptr_t)v->v;
	struct saw *saw = arena_alloc(&arena, sizeof(*saw));

	v->life = held->life;
	v->row_unit = held->row_unit;
	if (seen) {
		*saw = (struct saw){ .life = held->life, .group = "aid", .marks = seen->v->marks };
		version->saw = saw;
		version->nsaw = 1;
	}
	row_put(at->row, v, &arena);
	return v;
}

static const struct value *moves(struct place *at, uint64_t unit, enum kind kind)
{
	struct value *v = written(at, GROUP_ROW, kind, at->row->row.decision);

	v->life = at->row->row.decision->life;
	v->alive = true;
	v->row_unit = unit;
	row_put(at->row, v, &arena);
	return v;
}

static const struct value *pays(struct place *at, int64_t amount, enum kind kind)
{
	struct ident life = at->row->row.decision->life;
	struct value *v = written(at, AID, kind, group_shown(row_group(at->row, AID, life)));
	struct cell *cell = arena_alloc(&arena, sizeof(*cell));

	*cell = (struct cell){ .type = CELL_INT, .i = amount };
	v->life = life;
	v->ncells = 1;
	v->cells = cell;
	row_put(at->row, v, &arena);
	return v;
}

/* v comes to `at`, from a child or not, and `at` does what its verdict says; the ruling, where it ruled. */
static const struct value *comes_from(bool below, struct place *at, const struct value *v, bool state)
{
	struct rule_context ctx = {
		.unit = at->unit, .below = below, .whole_row = state, .healing = healing,
		.mode = story_mode, .outdated = story_outdated, .failing = story_failing, .defaults = story_defaults,
	};
	const struct value *ruling = NULL;

	rule_decide(at->row, v, &ctx, &arena, &last);
	if (last.name == VERDICT_REFUSE || last.name == VERDICT_REVIVE) {
		ruling = rule_ruling(at->row, v, last.name == VERDICT_REVIVE, at->unit, (struct mark){ ++at->tick, at->epoch }, 0,
		                     &zero, 1, &arena);
		at->tick = version_mark(ruling->v).tick;
		row_know_life(at->row, v->life, &arena);
		row_put(at->row, ruling, &arena);
	} else if (last.name != VERDICT_NEED && last.name != VERDICT_BAD_STATE) {
		row_put(at->row, last.value, &arena);
	}
	return ruling;
}

static const struct value *comes(struct place *at, const struct value *v, bool state)
{
	return comes_from(at->unit != v->v->unit && unit_contains(at->unit, v->v->unit), at, v, state);
}

#define EXPECT(number, verdict, reason, losers) do { \
	assert_string_equal(verdict_text(last.name), verdict); \
	assert_string_equal(why_text(last.why), reason); \
	assert_int_equal(last.rule, number); \
	assert_int_equal(last.nlosers, losers); \
} while (0)

static int64_t amount(const struct place *at)
{
	const struct value *v = group_shown(row_group(at->row, AID, at->row->row.decision->life));

	return v ? v->cells[0].i : 0;
}

/* The village's row, known to everybody. */
static const struct value *everybody_has_a_row(void)
{
	const struct value *row = inserts(&village);

	comes(&town, row, false);
	EXPECT(5, "take", "", 0);
	comes(&county, row, false);
	comes(&neighbour, row, true);
	return row;
}

/* ---- 3, 5, 6 */

static void story_informed(void **state)
{
	const struct value *v;

	(void)state;
	everybody_has_a_row();
	v = pays(&county, 300, DECISION);
	comes(&town, v, true);
	comes(&village, v, true);
	EXPECT(5, "take", "", 0);
	v = pays(&village, 320, DECISION);               /* who has seen the county's corrects it */
	comes(&town, v, false);
	EXPECT(5, "take", "", 0);
	comes(&county, v, false);
	EXPECT(5, "take", "", 0);
	assert_int_equal(amount(&county), 320);
	comes(&county, v, false);
	EXPECT(3, "old", "", 0);                         /* once more the same */
}

static void story_concurrent(void **state)
{
	const struct value *five, *six, *t;

	(void)state;
	everybody_has_a_row();
	five = pays(&village, 5, DECISION);
	six = pays(&village, 6, DECISION);
	t = pays(&town, 300, DECISION);
	comes(&town, five, false);
	EXPECT(6, "keep", "", 1);
	assert_ptr_equal(last.losers[0], five);
	comes(&village, t, true);
	EXPECT(5, "take-over", "", 1);
	assert_ptr_equal(last.losers[0], six);
	assert_false(rule_once_more(&last, village.unit));       /* no ruling: the superior decided */
	assert_int_equal(amount(&village), 300);
	comes(&county, six, false);
	comes(&county, five, false);
	EXPECT(6, "old", "", 0);                         /* seen by what is held */
}

/* ---- 4 */

static void story_proposal(void **state)
{
	const struct value *t, *p, *q;

	(void)state;
	everybody_has_a_row();
	aid[VILLAGE] = MODE_PROPOSE;
	p = pays(&village, 400, PROPOSAL);
	comes(&town, p, false);
	EXPECT(4, "take", "", 0);                        /* no decision yet: shown, provisional */
	assert_int_equal(amount(&town), 400);
	t = pays(&town, 300, DECISION);                  /* edits the proposal, and so closes it */
	assert_false(value_open(p, row_group(town.row, AID, p->life)));
	comes(&village, t, true);
	EXPECT(5, "take", "", 0);
	q = pays(&village, 500, PROPOSAL);
	comes(&town, q, false);
	EXPECT(4, "divert", "", 0);
	assert_int_equal(amount(&town), 300);
	comes(&town, p, false);
	EXPECT(6, "old", "", 0);                         /* the older one of the same author */
	/* The county decides without having seen either: what it closes unseen is recorded. */
	county.tick = 9;
	t = pays(&county, 700, DECISION);
	((struct version *)(uintptr_t)t->v)->marks.at[VILLAGE] = (struct mark){ 99, 77 };
	comes(&town, t, true);
	EXPECT(5, "take-over", "", 2);
	assert_int_equal(last.losers[0]->v->kind, DECISION);
	assert_ptr_equal(last.losers[1], q);
}

/* ---- 1 */

static void story_refused(void **state)
{
	const struct value *bad, *good, *ruling, *again;

	(void)state;
	everybody_has_a_row();
	checked = true;
	bad = pays(&village, -1, DECISION);
	good = pays(&village, 3, DECISION);
	ruling = comes(&town, bad, false);
	EXPECT(1, "refuse", "rule", 1);
	assert_string_equal(last.say, "金额不得为负");
	assert_int_equal(amount(&town), 0);              /* the defaults: nothing was held */
	assert_true(version_order(ruling->v, bad->v) > 0);
	/* The ruling takes over the 3 at home, which it had not seen: once more. */
	comes(&village, ruling, true);
	EXPECT(5, "take-over", "", 1);
	assert_ptr_equal(last.losers[0], good);
	assert_true(rule_once_more(&last, village.unit));
	assert_false(rule_once_more(&last, neighbour.unit));
	again = pays(&village, 3, DECISION);
	comes(&town, again, false);
	EXPECT(5, "take", "", 0);
	/* The county, which gets ruling and writes in their order, does not rule again. */
	assert_null(comes(&county, ruling, false));
	EXPECT(5, "take", "", 0);
	comes(&county, bad, false);
	EXPECT(6, "old", "", 0);
}

/* The village's next write reaches the township, which refuses it; the village hears why. */
static void refuses(int64_t sum, enum kind kind, bool acting, const char *why)
{
	const struct value *v = pays(&village, sum, kind), *ruling;

	((struct version *)(uintptr_t)v->v)->acting = acting;
	ruling = comes(&town, v, false);
	EXPECT(1, "refuse", why, 1);
	assert_ptr_equal(last.losers[0], v);
	if (strcmp(why, "lock") == 0)
		assert_string_equal(last.say, "已公示");
	else
		assert_null(last.say);
	comes(&village, ruling, true);
	EXPECT(5, "take", "", 0);
	assert_int_equal(amount(&village), 0);
}

/* Once more: only one's own decision, of the same life, that is greater than what the ruling asserts. */
static void story_once_more(void **state)
{
	const struct value *first, *ruling;
	struct version own, ruled;
	struct value mine, other;

	(void)state;
	everybody_has_a_row();
	first = pays(&village, 5, DECISION);
	comes(&town, first, false);
	checked = true;
	ruling = comes(&town, pays(&village, -1, DECISION), false);      /* asserts the 5 */
	pays(&village, 6, DECISION);
	comes(&village, ruling, true);
	assert_true(rule_once_more(&last, village.unit));
	mine = *last.losers[0];
	last.losers[0] = &mine;
	own = *mine.v;
	mine.v = &own;
	assert_true(rule_once_more(&last, village.unit));
	own.marks = first->v->marks;                             /* just what the ruling asserts */
	assert_false(rule_once_more(&last, village.unit));
	own = *ruling->v;
	own.unit = village.unit;
	assert_false(rule_once_more(&last, village.unit));       /* its own ruling */
	own.ruling = false;
	assert_true(rule_once_more(&last, village.unit));
	own.kind = PROPOSAL;
	assert_false(rule_once_more(&last, village.unit));
	own.kind = DECISION;
	mine.life.mark.tick++;
	assert_false(rule_once_more(&last, village.unit));
	mine.life.mark.tick--;
	other = *last.value;
	ruled = *other.v;
	other.v = &ruled;
	last.value = &other;
	ruled.ruling = false;
	assert_false(rule_once_more(&last, village.unit));
}

/* A delete too. */
static void story_delete_once_more(void **state)
{
	const struct value *bad, *ruling, *end;

	(void)state;
	everybody_has_a_row();
	delete[VILLAGE] = MODE_READ;
	bad = deletes(&village);
	ruling = comes(&town, bad, false);
	EXPECT(1, "refuse", "mode", 1);
	comes(&village, ruling, true);
	assert_true(village.row->row.decision->alive);
	delete[VILLAGE] = MODE_OWN;
	bad = moves(&village, village.unit, DECISION);
	create[VILLAGE] = delete[VILLAGE] = MODE_READ;
	ruling = comes(&town, bad, false);
	EXPECT(1, "refuse", "mode", 1);
	delete[VILLAGE] = MODE_OWN;
	end = deletes(&village);
	comes(&village, ruling, true);
	EXPECT(5, "take-over", "", 1);
	assert_ptr_equal(last.losers[0], end);
	assert_true(rule_once_more(&last, village.unit));
}

static void story_rights(void **state)
{
	(void)state;
	everybody_has_a_row();
	aid[VILLAGE] = MODE_PROPOSE;
	refuses(1, DECISION, false, "mode");
	aid[VILLAGE] = MODE_READ;
	refuses(2, PROPOSAL, false, "mode");
	refuses(2, PROPOSAL, true, "mode");              /* there is no level below that it could act for */
	aid[VILLAGE] = MODE_OWN;
	newer_list = true;
	refuses(3, DECISION, false, "old-policy");
	refuses(3, PROPOSAL, false, "old-policy");
	newer_list = false;
	locked = true;
	refuses(4, DECISION, false, "lock");
	comes(&town, pays(&village, 5, PROPOSAL), false);        /* a lock says nothing about proposals */
	EXPECT(4, "divert", "", 0);
}

/* The township acts for a village without a computer. */
static void story_acting(void **state)
{
	const struct value *v;

	(void)state;
	everybody_has_a_row();
	aid[TOWNSHIP] = MODE_READ;
	v = pays(&town, 6, DECISION);
	((struct version *)(uintptr_t)v->v)->acting = true;
	assert_null(comes(&county, v, false));
	EXPECT(5, "take", "", 0);
	v = pays(&town, 7, DECISION);
	assert_non_null(comes(&county, v, false));
	EXPECT(1, "refuse", "mode", 1);
}

static void story_delete_is_another_right(void **state)
{
	const struct value *v;

	(void)state;
	everybody_has_a_row();
	delete[VILLAGE] = MODE_PROPOSE;
	v = deletes(&village);
	comes(&town, v, false);
	EXPECT(1, "refuse", "mode", 1);
	assert_true(town.row->row.decision->alive);
	begin(NULL);
	everybody_has_a_row();
	create[VILLAGE] = MODE_READ;
	comes(&town, deletes(&village), false);
	EXPECT(5, "take", "", 0);
	comes(&town, inserts(&village), false);
	EXPECT(1, "refuse", "mode", 1);
}

static void story_key_clash(void **state)
{
	const struct value *row = inserts(&village), *clash = inserts(&neighbour), *ruling;

	(void)state;
	comes(&town, row, false);
	ruling = comes(&town, clash, false);
	EXPECT(1, "refuse", "key-clash", 1);
	assert_int_equal(ruling->row_unit, village.unit);
	comes(&neighbour, ruling, true);
	EXPECT(5, "take", "", 0);                        /* it has seen the clash; the return tells */
	assert_int_equal(neighbour.row->row.decision->row_unit, village.unit);
}

/* A person is struck off in one village and entered in another that has not heard of it. */
static void story_revive(void **state)
{
	const struct value *ended, *entered, *ruling;

	(void)state;
	everybody_has_a_row();
	comes(&town, moves(&town, village.unit, DECISION), false);
	comes(&village, town.row->row.decision, true);
	ended = deletes(&village);
	comes(&town, ended, false);
	neighbour.row = row_new(&arena, NGROUPS, names);
	entered = inserts(&neighbour);
	ruling = comes(&town, entered, false);
	EXPECT(1, "revive", "", 0);
	assert_true(ruling->alive && ruling->row_unit == neighbour.unit);
	assert_true(ident_equal(ruling->life, entered->life));
	assert_true(version_order(ruling->v, ended->v) > 0 && version_order(ruling->v, entered->v) > 0);
	/* The county holds the same tombstone: the ruling needs no right of the township's. */
	create[TOWNSHIP] = MODE_READ;
	comes(&county, ended, false);
	assert_null(comes(&county, ruling, false));
	EXPECT(5, "take", "", 0);
	assert_int_equal(county.row->row.decision->row_unit, neighbour.unit);
}

static void story_forged_ruling(void **state)
{
	const struct value *honest, *t;
	struct value *forged;
	struct version *version;
	struct cell more = { .type = CELL_INT, .i = 9999 };

	(void)state;
	everybody_has_a_row();
	aid[TOWNSHIP] = MODE_READ;
	t = pays(&county, 300, DECISION);
	comes(&town, t, true);
	comes(&village, t, true);
	aid[VILLAGE] = MODE_READ;
	honest = comes(&town, pays(&village, 400, DECISION), false);
	assert_null(comes(&county, honest, false));              /* says what the county holds: no right needed */
	EXPECT(5, "take", "", 0);
	forged = arena_copy(&arena, honest, sizeof(*honest));
	forged->cells = &more;
	forged->v = version = arena_copy(&arena, honest->v, sizeof(*version));
	version->marks.at[TOWNSHIP].tick += 5;
	assert_non_null(comes(&county, forged, false));
	EXPECT(1, "refuse", "forged-ruling", 1);
	assert_int_equal(amount(&county), 300);
	aid[TOWNSHIP] = MODE_OWN;                                /* could write that value itself */
	forged->v = version = arena_copy(&arena, version, sizeof(*version));
	version->marks = marks_raised(&row_group(county.row, AID, t->life)->decision->v->marks, TOWNSHIP, (struct mark){ 50, 2 });
	assert_null(comes(&county, forged, false));
	EXPECT(5, "take", "", 0);
}

/* A copy of `like` with a version of its own, to be bent. */
static struct value *bent(const struct value *like, struct version **ret_version)
{
	struct value *v = arena_copy(&arena, like, sizeof(*v));

	*ret_version = arena_copy(&arena, like->v, sizeof(**ret_version));
	v->v = *ret_version;
	return v;
}

/* The township refuses the village's first write; the county has that write already. */
static void story_first_value(void **state)
{
	const struct value *first, *honest;
	struct value *v;
	struct version *version;

	(void)state;
	everybody_has_a_row();
	aid[TOWNSHIP] = MODE_READ;
	checked = true;
	first = pays(&village, -1, DECISION);
	honest = comes(&town, first, false);
	EXPECT(1, "refuse", "rule", 1);
	checked = false;
	comes(&county, first, false);
	v = bent(honest, &version);
	version->marks.at[VILLAGE] = (struct mark){0};           /* has not seen it */
	comes(&county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	county.row = row_new(&arena, NGROUPS, names);
	comes(&county, village.row->row.decision, false);
	comes(&county, first, false);
	comes(&county, honest, false);
	EXPECT(5, "take", "", 0);
	assert_int_equal(amount(&county), 0);
	/* Not the first: what was there before stands, not the defaults. */
	county.row = row_new(&arena, NGROUPS, names);
	comes(&county, village.row->row.decision, false);
	comes(&county, first, false);
	comes(&county, pays(&village, 7, DECISION), false);
	v = bent(honest, &version);
	version->marks.at[VILLAGE] = (struct mark){ village.tick, village.epoch };
	comes(&county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	assert_int_equal(amount(&county), 7);
}

/* A township without the right to create says that it revives. */
static void story_forged_revival(void **state)
{
	const struct value *entered, *ended, *honest;
	struct value *v;
	struct version *version;

	(void)state;
	everybody_has_a_row();
	comes(&town, moves(&town, village.unit, DECISION), false);
	comes(&village, town.row->row.decision, true);
	ended = deletes(&village);
	comes(&town, ended, false);
	comes(&county, ended, false);
	neighbour.row = row_new(&arena, NGROUPS, names);
	entered = inserts(&neighbour);
	honest = comes(&town, entered, false);
	EXPECT(1, "revive", "", 0);
	create[TOWNSHIP] = MODE_READ;
	v = bent(honest, &version);
	v->row_unit = village.unit;                              /* not the unit of him who entered it */
	comes(&county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	county.row = row_new(&arena, NGROUPS, names);
	comes(&county, ended, false);
	v = bent(honest, &version);
	v->life = version->base = (struct ident){ town.unit, { 40, town.epoch } };       /* its own insert */
	comes(&county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	county.row = row_new(&arena, NGROUPS, names);
	comes(&county, ended, false);
	v = bent(honest, &version);
	v->life = version->base = (struct ident){ county.unit, { 40, county.epoch } };   /* its superior's */
	comes(&county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	county.row = row_new(&arena, NGROUPS, names);
	comes(&county, ended, false);
	create[VILLAGE] = MODE_READ;                             /* nor may villages enter anybody */
	comes(&county, honest, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	healing = true;                                          /* nor after a restore, by the right to delete */
	county.row = row_new(&arena, NGROUPS, names);
	comes(&county, ended, false);
	v = bent(honest, &version);
	version->marks.at[VILLAGE].tick++;
	comes(&county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
}

/* The county lost its disk; a ruling of the township asserts what the county does not hold any more. */
static void story_lost(void **state)
{
	const struct value *base, *honest;
	struct value *v;
	struct version *version;

	(void)state;
	everybody_has_a_row();
	aid[TOWNSHIP] = MODE_READ;
	base = pays(&county, 300, DECISION);
	comes(&town, base, true);
	comes(&village, base, true);
	checked = true;
	honest = comes(&town, pays(&village, -1, DECISION), false);
	EXPECT(1, "refuse", "rule", 1);
	county.row = row_new(&arena, NGROUPS, names);
	comes(&county, village.row->row.decision, false);
	comes(&county, honest, false);
	EXPECT(1, "refuse", "forged-ruling", 1);                 /* nothing was lost */
	healing = true;
	county.row = row_new(&arena, NGROUPS, names);
	comes(&county, village.row->row.decision, false);
	comes(&county, honest, false);
	EXPECT(5, "take", "", 0);
	assert_int_equal(amount(&county), 300);
	/* The base is said to be the village's, which may not write it. */
	aid[VILLAGE] = MODE_READ;
	county.row = row_new(&arena, NGROUPS, names);
	comes(&county, village.row->row.decision, false);
	v = bent(honest, &version);
	version->base.unit = village.unit;
	comes(&county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
}

/* What the county wrote itself comes back to it from below, after a restore: that is not judged by rights. */
static void story_own_comes_back(void **state)
{
	const struct value *own;

	(void)state;
	everybody_has_a_row();
	own = pays(&county, 300, DECISION);
	aid[COUNTY] = MODE_READ;
	county.row = row_new(&arena, NGROUPS, names);
	comes(&county, village.row->row.decision, false);
	assert_null(comes_from(true, &county, own, true));
	EXPECT(5, "take", "", 0);
}

/* A proposal that is closed already is not recorded when the restored village's next one takes its slot. */
static void story_closed_long_ago(void **state)
{
	const struct value *p, *q;

	(void)state;
	everybody_has_a_row();
	p = pays(&village, 400, PROPOSAL);
	comes(&town, p, false);
	pays(&town, 300, DECISION);
	village.row = row_new(&arena, NGROUPS, names);
	comes(&village, town.row->row.decision, true);
	village.epoch = 99;                                      /* of which nobody knows where it comes from */
	q = pays(&village, 500, PROPOSAL);
	comes(&town, q, false);
	EXPECT(4, "divert", "", 0);
	village.row = row_new(&arena, NGROUPS, names);
	comes(&village, town.row->row.decision, true);
	village.epoch = 100;
	comes(&town, pays(&village, 600, PROPOSAL), false);
	EXPECT(4, "divert", "", 1);                              /* an open one of another disk is */
	assert_ptr_equal(last.losers[0], q);
}

static void story_bad_state(void **state)
{
	(void)state;
	everybody_has_a_row();
	comes(&town, moves(&village, neighbour.unit, DECISION), false);  /* a unit decides about rows of its own scope */
	EXPECT(1, "bad-state", "", 0);
	comes(&town, moves(&village, neighbour.unit, PROPOSAL), false);
	EXPECT(4, "divert", "", 0);
}

/* ---- 2 */

static void story_aside(void **state)
{
	const struct value *edit, *late, *gone;

	(void)state;
	everybody_has_a_row();
	edit = pays(&village, 5, DECISION);
	comes(&county, edit, false);
	gone = deletes(&county);                         /* had seen the 5 */
	comes(&town, gone, true);
	late = pays(&village, 6, DECISION);
	comes(&town, edit, false);
	EXPECT(2, "aside", "dead", 0);
	comes(&town, late, false);
	EXPECT(2, "aside", "dead", 1);
	assert_ptr_equal(last.losers[0], late);
	assert_ptr_equal(row_group(town.row, AID, late->life)->decision, late);        /* merged all the same */
	comes(&town, inserts(&town), false);
	comes(&town, pays(&village, 7, DECISION), false);
	EXPECT(2, "aside", "life", 1);
}

static void story_pass(void **state)
{
	struct place *const old = &village;
	const struct value *move;

	(void)state;
	everybody_has_a_row();
	move = moves(&town, neighbour.unit, DECISION);
	comes(old, move, true);
	EXPECT(5, "take", "", 0);
	comes(old, pays(&town, 8, DECISION), true);
	EXPECT(2, "pass", "scope", 0);
}

static void story_need(void **state)
{
	const struct value *row = inserts(&village), *first = pays(&village, 5, DECISION);
	struct value *part, *ruling;

	(void)state;
	comes(&town, first, false);
	EXPECT(2, "need", "life", 0);
	/* A ruling stands before the delta that brings the life: merged aside, where it needs no right. */
	ruling = rule_ruling(town.row, first, false, town.unit, (struct mark){ 9, town.epoch }, 0, &zero, 1, &arena);
	aid[TOWNSHIP] = MODE_READ;
	comes(&county, ruling, false);
	EXPECT(2, "aside", "life", 0);
	county.row = row_new(&arena, NGROUPS, names);
	ruling->cells = first->cells;
	comes(&county, ruling, false);
	EXPECT(2, "need", "life", 0);
	comes(&town, row, false);
	part = arena_copy(&arena, pays(&village, 6, DECISION), sizeof(*part));
	part->whole = false;
	comes(&town, part, false);
	EXPECT(2, "need", "base", 0);
	comes(&town, first, false);
	comes(&town, part, false);
	EXPECT(5, "take", "", 0);
	assert_true(last.value->whole);
	assert_int_equal(amount(&town), 6);
}

static void names_of_verdicts(void **state)
{
	(void)state;
	for (enum verdict_name name = VERDICT_OLD; name < VERDICTS; name++)
		assert_true(strlen(verdict_text(name)) > 2);
	for (enum why why = WHY_MODE; why < WHYS; why++)
		assert_true(strlen(why_text(why)) > 2);
	assert_string_equal(verdict_text(VERDICTS), "unknown");
	assert_string_equal(why_text(WHYS), "unknown");
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(story_informed),
		STORY(story_concurrent),
		STORY(story_proposal),
		STORY(story_refused),
		STORY(story_once_more),
		STORY(story_delete_once_more),
		STORY(story_rights),
		STORY(story_acting),
		STORY(story_delete_is_another_right),
		STORY(story_key_clash),
		STORY(story_revive),
		STORY(story_forged_ruling),
		STORY(story_first_value),
		STORY(story_forged_revival),
		STORY(story_lost),
		STORY(story_own_comes_back),
		STORY(story_closed_long_ago),
		STORY(story_bad_state),
		STORY(story_aside),
		STORY(story_pass),
		STORY(story_need),
		STORY(names_of_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
