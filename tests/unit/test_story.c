/* Every verdict as a story of a village, its neighbour, their township and the county: what is informed, concurrent,
 * proposed, refused. */
#include "story.h"

#include <string.h>

/* ---- 3, 5, 6 */

static void story_informed(void **state)
{
	const struct value *v;

	(void)state;
	everybody_has_a_row();
	v = pays(&the_county, 300, DECISION);
	comes(&the_town, v, true);
	comes(&the_village, v, true);
	EXPECT(5, "take", "", 0);
	v = pays(&the_village, 320, DECISION);               /* who has seen the county's corrects it */
	comes(&the_town, v, false);
	EXPECT(5, "take", "", 0);
	comes(&the_county, v, false);
	EXPECT(5, "take", "", 0);
	assert_int_equal(amount(&the_county), 320);
	comes(&the_county, v, false);
	EXPECT(3, "old", "", 0);                         /* once more the same */
}

static void story_concurrent(void **state)
{
	const struct value *five, *six, *t;

	(void)state;
	everybody_has_a_row();
	five = pays(&the_village, 5, DECISION);
	six = pays(&the_village, 6, DECISION);
	t = pays(&the_town, 300, DECISION);
	comes(&the_town, five, false);
	EXPECT(6, "keep", "", 1);
	assert_ptr_equal(last.losers[0], five);
	comes(&the_village, t, true);
	EXPECT(5, "take-over", "", 1);
	assert_ptr_equal(last.losers[0], six);
	assert_false(rule_once_more(&last, the_village.unit));       /* no ruling: the superior decided */
	assert_int_equal(amount(&the_village), 300);
	comes(&the_county, six, false);
	comes(&the_county, five, false);
	EXPECT(6, "old", "", 0);                         /* seen by what is held */
}

/* ---- 4 */

static void story_proposal(void **state)
{
	const struct value *t, *p, *q;

	(void)state;
	everybody_has_a_row();
	aid[VILLAGE] = MODE_PROPOSE;
	p = pays(&the_village, 400, PROPOSAL);
	comes(&the_town, p, false);
	EXPECT(4, "take", "", 0);                        /* no decision yet: shown, provisional */
	assert_int_equal(amount(&the_town), 400);
	t = pays(&the_town, 300, DECISION);                  /* edits the proposal, and so closes it */
	assert_false(value_open(p, row_group(the_town.row, AID, p->life)));
	comes(&the_village, t, true);
	EXPECT(5, "take", "", 0);
	q = pays(&the_village, 500, PROPOSAL);
	comes(&the_town, q, false);
	EXPECT(4, "divert", "", 0);
	assert_int_equal(amount(&the_town), 300);
	comes(&the_town, p, false);
	EXPECT(6, "old", "", 0);                         /* the older one of the same author */
	/* The county decides without having seen either: what it closes unseen is recorded. */
	the_county.tick = 9;
	t = pays(&the_county, 700, DECISION);
	((struct version *)(uintptr_t)t->v)->marks.at[VILLAGE] = (struct mark){ 99, 77 };
	comes(&the_town, t, true);
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
	bad = pays(&the_village, -1, DECISION);
	good = pays(&the_village, 3, DECISION);
	ruling = comes(&the_town, bad, false);
	EXPECT(1, "refuse", "rule", 1);
	assert_string_equal(last.say, "金额不得为负");
	assert_int_equal(amount(&the_town), 0);              /* the defaults: nothing was held */
	assert_true(version_order(ruling->v, bad->v) > 0);
	/* The ruling takes over the 3 at home, which it had not seen: once more. */
	comes(&the_village, ruling, true);
	EXPECT(5, "take-over", "", 1);
	assert_ptr_equal(last.losers[0], good);
	assert_true(rule_once_more(&last, the_village.unit));
	assert_false(rule_once_more(&last, the_neighbour.unit));
	again = pays(&the_village, 3, DECISION);
	comes(&the_town, again, false);
	EXPECT(5, "take", "", 0);
	/* The county, which gets ruling and writes in their order, does not rule again. */
	assert_null(comes(&the_county, ruling, false));
	EXPECT(5, "take", "", 0);
	comes(&the_county, bad, false);
	EXPECT(6, "old", "", 0);
}

/* The village's next write reaches the township, which refuses it; the village hears why. */
static void refuses(int64_t sum, enum kind kind, bool acting, const char *why)
{
	const struct value *v = pays(&the_village, sum, kind), *ruling;

	((struct version *)(uintptr_t)v->v)->acting = acting;
	ruling = comes(&the_town, v, false);
	EXPECT(1, "refuse", why, 1);
	assert_ptr_equal(last.losers[0], v);
	if (strcmp(why, "lock") == 0)
		assert_string_equal(last.say, "已公示");
	else
		assert_null(last.say);
	comes(&the_village, ruling, true);
	EXPECT(5, "take", "", 0);
	assert_int_equal(amount(&the_village), 0);
}

/* Once more: only one's own decision, of the same life, that is greater than what the ruling asserts. */
static void story_once_more(void **state)
{
	const struct value *first, *ruling;
	struct version own, ruled;
	struct value mine, other;

	(void)state;
	everybody_has_a_row();
	first = pays(&the_village, 5, DECISION);
	comes(&the_town, first, false);
	checked = true;
	ruling = comes(&the_town, pays(&the_village, -1, DECISION), false);      /* asserts the 5 */
	pays(&the_village, 6, DECISION);
	comes(&the_village, ruling, true);
	assert_true(rule_once_more(&last, the_village.unit));
	mine = *last.losers[0];
	last.losers[0] = &mine;
	own = *mine.v;
	mine.v = &own;
	assert_true(rule_once_more(&last, the_village.unit));
	own.marks = first->v->marks;                             /* just what the ruling asserts */
	assert_false(rule_once_more(&last, the_village.unit));
	own = *ruling->v;
	own.unit = the_village.unit;
	assert_false(rule_once_more(&last, the_village.unit));       /* its own ruling */
	own.ruling = false;
	assert_true(rule_once_more(&last, the_village.unit));
	own.kind = PROPOSAL;
	assert_false(rule_once_more(&last, the_village.unit));
	own.kind = DECISION;
	mine.life.mark.tick++;
	assert_false(rule_once_more(&last, the_village.unit));
	mine.life.mark.tick--;
	other = *last.value;
	ruled = *other.v;
	other.v = &ruled;
	last.value = &other;
	ruled.ruling = false;
	assert_false(rule_once_more(&last, the_village.unit));
}

/* A delete too. */
static void story_delete_once_more(void **state)
{
	const struct value *bad, *ruling, *end;

	(void)state;
	everybody_has_a_row();
	delete[VILLAGE] = MODE_READ;
	bad = deletes(&the_village);
	ruling = comes(&the_town, bad, false);
	EXPECT(1, "refuse", "mode", 1);
	comes(&the_village, ruling, true);
	assert_true(the_village.row->row.decision->alive);
	delete[VILLAGE] = MODE_OWN;
	bad = moves(&the_village, the_village.unit, DECISION);
	create[VILLAGE] = delete[VILLAGE] = MODE_READ;
	ruling = comes(&the_town, bad, false);
	EXPECT(1, "refuse", "mode", 1);
	delete[VILLAGE] = MODE_OWN;
	end = deletes(&the_village);
	comes(&the_village, ruling, true);
	EXPECT(5, "take-over", "", 1);
	assert_ptr_equal(last.losers[0], end);
	assert_true(rule_once_more(&last, the_village.unit));
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
	comes(&the_town, pays(&the_village, 5, PROPOSAL), false);        /* a lock says nothing about proposals */
	EXPECT(4, "divert", "", 0);
}

/* The township acts for a village without a computer. */
static void story_acting(void **state)
{
	const struct value *v;

	(void)state;
	everybody_has_a_row();
	aid[TOWNSHIP] = MODE_READ;
	v = pays(&the_town, 6, DECISION);
	((struct version *)(uintptr_t)v->v)->acting = true;
	assert_null(comes(&the_county, v, false));
	EXPECT(5, "take", "", 0);
	v = pays(&the_town, 7, DECISION);
	assert_non_null(comes(&the_county, v, false));
	EXPECT(1, "refuse", "mode", 1);
}

static void story_delete_is_another_right(void **state)
{
	const struct value *v;

	(void)state;
	everybody_has_a_row();
	delete[VILLAGE] = MODE_PROPOSE;
	v = deletes(&the_village);
	comes(&the_town, v, false);
	EXPECT(1, "refuse", "mode", 1);
	assert_true(the_town.row->row.decision->alive);
	story_begin(NULL);
	everybody_has_a_row();
	create[VILLAGE] = MODE_READ;
	comes(&the_town, deletes(&the_village), false);
	EXPECT(5, "take", "", 0);
	comes(&the_town, inserts(&the_village), false);
	EXPECT(1, "refuse", "mode", 1);
}

static void story_key_clash(void **state)
{
	const struct value *row = inserts(&the_village), *clash = inserts(&the_neighbour), *ruling;

	(void)state;
	comes(&the_town, row, false);
	ruling = comes(&the_town, clash, false);
	EXPECT(1, "refuse", "key-clash", 1);
	assert_int_equal(ruling->row_unit, the_village.unit);
	comes(&the_neighbour, ruling, true);
	EXPECT(5, "take", "", 0);                        /* it has seen the clash; the return tells */
	assert_int_equal(the_neighbour.row->row.decision->row_unit, the_village.unit);
}

/* A person is struck off in one village and entered in another that has not heard of it. */
static void story_revive(void **state)
{
	const struct value *ended, *entered, *ruling;

	(void)state;
	everybody_has_a_row();
	comes(&the_town, moves(&the_town, the_village.unit, DECISION), false);
	comes(&the_village, the_town.row->row.decision, true);
	ended = deletes(&the_village);
	comes(&the_town, ended, false);
	the_neighbour.row = row_new(&arena, NGROUPS, story_names);
	entered = inserts(&the_neighbour);
	ruling = comes(&the_town, entered, false);
	EXPECT(1, "revive", "", 0);
	assert_true(ruling->alive && ruling->row_unit == the_neighbour.unit);
	assert_true(ident_equal(ruling->life, entered->life));
	assert_true(version_order(ruling->v, ended->v) > 0 && version_order(ruling->v, entered->v) > 0);
	/* The county holds the same tombstone: the ruling needs no right of the township's. */
	create[TOWNSHIP] = MODE_READ;
	comes(&the_county, ended, false);
	assert_null(comes(&the_county, ruling, false));
	EXPECT(5, "take", "", 0);
	assert_int_equal(the_county.row->row.decision->row_unit, the_neighbour.unit);
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
		STORY(names_of_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
