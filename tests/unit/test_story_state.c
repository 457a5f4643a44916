/* Stories of what is forged, lost, late, or comes as state. */
#include "story.h"

#include <string.h>

static void story_forged_ruling(void **state)
{
	const struct value *honest, *t;
	struct value *forged;
	struct version *version;
	struct cell more = { .type = CELL_INT, .i = 9999 };

	(void)state;
	everybody_has_a_row();
	aid[TOWNSHIP] = MODE_READ;
	t = pays(&the_county, 300, DECISION);
	comes(&the_town, t, true);
	comes(&the_village, t, true);
	aid[VILLAGE] = MODE_READ;
	honest = comes(&the_town, pays(&the_village, 400, DECISION), false);
	assert_null(comes(&the_county, honest, false));              /* says what the county holds: no right needed */
	EXPECT(5, "take", "", 0);
	forged = arena_copy(&arena, honest, sizeof(*honest));
	forged->cells = &more;
	forged->v = version = arena_copy(&arena, honest->v, sizeof(*version));
	version->marks.at[TOWNSHIP].tick += 5;
	assert_non_null(comes(&the_county, forged, false));
	EXPECT(1, "refuse", "forged-ruling", 1);
	assert_int_equal(amount(&the_county), 300);
	aid[TOWNSHIP] = MODE_OWN;                                /* could write that value itself */
	forged->v = version = arena_copy(&arena, version, sizeof(*version));
	version->marks = marks_raised(&row_group(the_county.row, AID, t->life)->decision->v->marks, TOWNSHIP, (struct mark){ 50, 2 });
	assert_null(comes(&the_county, forged, false));
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
	first = pays(&the_village, -1, DECISION);
	honest = comes(&the_town, first, false);
	EXPECT(1, "refuse", "rule", 1);
	checked = false;
	comes(&the_county, first, false);
	v = bent(honest, &version);
	version->marks.at[VILLAGE] = (struct mark){0};           /* has not seen it */
	comes(&the_county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	the_county.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_county, the_village.row->row.decision, false);
	comes(&the_county, first, false);
	comes(&the_county, honest, false);
	EXPECT(5, "take", "", 0);
	assert_int_equal(amount(&the_county), 0);
	/* Not the first: what was there before stands, not the defaults. */
	the_county.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_county, the_village.row->row.decision, false);
	comes(&the_county, first, false);
	comes(&the_county, pays(&the_village, 7, DECISION), false);
	v = bent(honest, &version);
	version->marks.at[VILLAGE] = (struct mark){ the_village.tick, the_village.epoch };
	comes(&the_county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	assert_int_equal(amount(&the_county), 7);
}

/* A township without the right to create says that it revives. */
static void story_forged_revival(void **state)
{
	const struct value *entered, *ended, *honest;
	struct value *v;
	struct version *version;

	(void)state;
	everybody_has_a_row();
	comes(&the_town, moves(&the_town, the_village.unit, DECISION), false);
	comes(&the_village, the_town.row->row.decision, true);
	ended = deletes(&the_village);
	comes(&the_town, ended, false);
	comes(&the_county, ended, false);
	the_neighbour.row = row_new(&arena, NGROUPS, story_names);
	entered = inserts(&the_neighbour);
	honest = comes(&the_town, entered, false);
	EXPECT(1, "revive", "", 0);
	create[TOWNSHIP] = MODE_READ;
	v = bent(honest, &version);
	v->row_unit = the_village.unit;                              /* not the unit of him who entered it */
	comes(&the_county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	the_county.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_county, ended, false);
	v = bent(honest, &version);
	v->life = version->base = (struct ident){ the_town.unit, { 40, the_town.epoch } };       /* its own insert */
	comes(&the_county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	the_county.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_county, ended, false);
	v = bent(honest, &version);
	v->life = version->base = (struct ident){ the_county.unit, { 40, the_county.epoch } };   /* its superior's */
	comes(&the_county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	the_county.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_county, ended, false);
	create[VILLAGE] = MODE_READ;                             /* nor may villages enter anybody */
	comes(&the_county, honest, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
	healing = true;                                          /* nor after a restore, by the right to delete */
	the_county.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_county, ended, false);
	v = bent(honest, &version);
	version->marks.at[VILLAGE].tick++;
	comes(&the_county, v, false);
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
	base = pays(&the_county, 300, DECISION);
	comes(&the_town, base, true);
	comes(&the_village, base, true);
	checked = true;
	honest = comes(&the_town, pays(&the_village, -1, DECISION), false);
	EXPECT(1, "refuse", "rule", 1);
	the_county.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_county, the_village.row->row.decision, false);
	comes(&the_county, honest, false);
	EXPECT(1, "refuse", "forged-ruling", 1);                 /* nothing was lost */
	healing = true;
	the_county.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_county, the_village.row->row.decision, false);
	comes(&the_county, honest, false);
	EXPECT(5, "take", "", 0);
	assert_int_equal(amount(&the_county), 300);
	/* The base is said to be the village's, which may not write it. */
	aid[VILLAGE] = MODE_READ;
	the_county.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_county, the_village.row->row.decision, false);
	v = bent(honest, &version);
	version->base.unit = the_village.unit;
	comes(&the_county, v, false);
	EXPECT(1, "refuse", "forged-ruling", 1);
}

/* What the county wrote itself comes back to it from below, after a restore: that is not judged by rights. */
static void story_own_comes_back(void **state)
{
	const struct value *own;

	(void)state;
	everybody_has_a_row();
	own = pays(&the_county, 300, DECISION);
	aid[COUNTY] = MODE_READ;
	the_county.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_county, the_village.row->row.decision, false);
	assert_null(comes_from(true, &the_county, own, true));
	EXPECT(5, "take", "", 0);
}

/* A proposal that is closed already is not recorded when the restored village's next one takes its slot. */
static void story_closed_long_ago(void **state)
{
	const struct value *p, *q;

	(void)state;
	everybody_has_a_row();
	p = pays(&the_village, 400, PROPOSAL);
	comes(&the_town, p, false);
	pays(&the_town, 300, DECISION);
	the_village.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_village, the_town.row->row.decision, true);
	the_village.epoch = 99;                                      /* of which nobody knows where it comes from */
	q = pays(&the_village, 500, PROPOSAL);
	comes(&the_town, q, false);
	EXPECT(4, "divert", "", 0);
	the_village.row = row_new(&arena, NGROUPS, story_names);
	comes(&the_village, the_town.row->row.decision, true);
	the_village.epoch = 100;
	comes(&the_town, pays(&the_village, 600, PROPOSAL), false);
	EXPECT(4, "divert", "", 1);                              /* an open one of another disk is */
	assert_ptr_equal(last.losers[0], q);
}

static void story_bad_state(void **state)
{
	(void)state;
	everybody_has_a_row();
	comes(&the_town, moves(&the_village, the_neighbour.unit, DECISION), false);  /* a unit decides about rows of its own scope */
	EXPECT(1, "bad-state", "", 0);
	comes(&the_town, moves(&the_village, the_neighbour.unit, PROPOSAL), false);
	EXPECT(4, "divert", "", 0);
}

/* ---- 2 */

static void story_aside(void **state)
{
	const struct value *edit, *late, *gone;

	(void)state;
	everybody_has_a_row();
	edit = pays(&the_village, 5, DECISION);
	comes(&the_county, edit, false);
	gone = deletes(&the_county);                         /* had seen the 5 */
	comes(&the_town, gone, true);
	late = pays(&the_village, 6, DECISION);
	comes(&the_town, edit, false);
	EXPECT(2, "aside", "dead", 0);
	comes(&the_town, late, false);
	EXPECT(2, "aside", "dead", 1);
	assert_ptr_equal(last.losers[0], late);
	assert_ptr_equal(row_group(the_town.row, AID, late->life)->decision, late);        /* merged all the same */
	comes(&the_town, inserts(&the_town), false);
	comes(&the_town, pays(&the_village, 7, DECISION), false);
	EXPECT(2, "aside", "life", 1);
}

static void story_pass(void **state)
{
	struct place *const old = &the_village;
	const struct value *move;

	(void)state;
	everybody_has_a_row();
	move = moves(&the_town, the_neighbour.unit, DECISION);
	comes(old, move, true);
	EXPECT(5, "take", "", 0);
	comes(old, pays(&the_town, 8, DECISION), true);
	EXPECT(2, "pass", "scope", 0);
}

static void story_need(void **state)
{
	const struct value *row = inserts(&the_village), *first = pays(&the_village, 5, DECISION);
	struct value *part, *ruling;

	(void)state;
	comes(&the_town, first, false);
	EXPECT(2, "need", "life", 0);
	/* A ruling stands before the delta that brings the life: merged aside, where it needs no right. */
	ruling = rule_ruling(the_town.row, first, false, the_town.unit, (struct mark){ 9, the_town.epoch }, 0, &zero, 1, &arena);
	aid[TOWNSHIP] = MODE_READ;
	comes(&the_county, ruling, false);
	EXPECT(2, "aside", "life", 0);
	the_county.row = row_new(&arena, NGROUPS, story_names);
	ruling->cells = first->cells;
	comes(&the_county, ruling, false);
	EXPECT(2, "need", "life", 0);
	comes(&the_town, row, false);
	part = arena_copy(&arena, pays(&the_village, 6, DECISION), sizeof(*part));
	part->whole = false;
	comes(&the_town, part, false);
	EXPECT(2, "need", "base", 0);
	comes(&the_town, first, false);
	comes(&the_town, part, false);
	EXPECT(5, "take", "", 0);
	assert_true(last.value->whole);
	assert_int_equal(amount(&the_town), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
