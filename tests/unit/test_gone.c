/* Gone: a delete-heavy load over years; markers and evidence are reclaimed from the top downward, a village that was away
 * for four hundred days brings nothing back. */
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define STEP_DAYS 25
#define ROWS 20

static struct node other;                /* a healthy township beside */

static void rest(struct node *child, struct node *parent)
{
	hash_all(child);
	hash_all(parent);
	contact(child, parent);
	hello(child, parent, NULL);
	contact(child, parent);
}

static void write_rows(struct node *n, int step, uint64_t unit, const char *name)
{
	char text[500];

	snprintf(text, sizeof text, "BEGIN; DELETE FROM aid WHERE name = '%s'; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
	         "WHERE i < %d) INSERT INTO aid(id, unit_code, name, amount) SELECT '%s' || %d || '-' || i, '%llu', '%s', i FROM n; COMMIT",
	         name, ROWS, name, step, (unsigned long long)unit, name);
	sql(n, text);
	seal(n);
}

/* So many days: everywhere rows end and others begin, also those of the village, by its township. */
static void days_pass(int step, bool writes, bool away)
{
	clock_ms += STEP_DAYS * DAY_MS;
	if (writes) {
		write_rows(&other, step, U_TOWN_2, "o");
		write_rows(&town, step, U_VILLAGE, "v");
		write_rows(&county, step, U_TOWN, "c");
	}
	for (int i = 0; i < 2; i++) {
		if (other.engine != NULL)
			rest(&other, &county);
		rest(&town, &county);
		if (!away)
			rest(&village, &town);
	}
}

#define MARKERS(n) ask(n, "SELECT count(*) FROM terrace_marker")
#define SEGMENTS(n) ask(n, "SELECT count(*) FROM terrace_segment")
#define DEAD(n) ask(n, "SELECT count(*) FROM terrace_s1 WHERE flags & 1 = 0")

static void line(const char *when)
{
	printf("gone: %s: markers county %lld, healthy township %lld, township %lld, village %lld; segments county %lld, township %lld; "
	       "events %lld\n", when, (long long)MARKERS(&county), (long long)MARKERS(&other), (long long)MARKERS(&town),
	       (long long)MARKERS(&village), (long long)SEGMENTS(&county), (long long)SEGMENTS(&town),
	       (long long)ask(&county, "SELECT count(*) FROM terrace_event"));
}

static void years(void **state)
{
	int64_t county_then, segments_then;
	int step = 0;

	(void)state;
	join(&other, &county, U_TOWN_2, "other");
	contact(&other, &county);
	/* A row that the village holds, and will write while it is away and others end it. */
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('stale', '620702100001', 'stale', 1)");
	seal(&village);
	for (; step < 50 / STEP_DAYS; step++)
		days_pass(step, true, false);
	sql(&village, "UPDATE aid SET amount = 2 WHERE id = 'stale'");
	seal(&village);
	sql(&town, "DELETE FROM aid WHERE id = 'stale'");
	seal(&town);
	for (; step < 450 / STEP_DAYS; step++)
		days_pass(step, true, true);
	line("day 450, the village was away since day 50");
	/* Back: nothing that ended comes to life, at any of them. */
	for (; step < 550 / STEP_DAYS; step++)
		days_pass(step, true, false);
	assert_int_equal(ask(&county, "SELECT count(*) FROM aid"), 3 * ROWS);
	assert_int_equal(ask(&town, "SELECT count(*) FROM aid"), 2 * ROWS);
	assert_int_equal(ask(&village, "SELECT count(*) FROM aid"), ROWS);
	line("day 550");
	for (; step < 1000 / STEP_DAYS; step++)
		days_pass(step, true, false);
	/* None goes before a backup that has the row living is too old to be restored. */
	assert_true(MARKERS(&county) >= 3 * ROWS * (375 / STEP_DAYS));
	county_then = MARKERS(&county);
	segments_then = SEGMENTS(&county);
	line("day 1000");
	/* No more than what ended within the days that a backup may be old, and what is on its way. */
	assert_true(county_then <= 3 * ROWS * (400 / STEP_DAYS + 6));
	for (; step < 1300 / STEP_DAYS; step++)
		days_pass(step, true, false);
	line("day 1300");
	assert_true(MARKERS(&county) <= county_then + 3 * ROWS);
	assert_true(SEGMENTS(&county) <= segments_then + 5);
	assert_int_equal(MARKERS(&county), DEAD(&county));
	assert_int_equal(MARKERS(&village), DEAD(&village));
	/* When nothing ends any more, all of them go, everywhere, and so does what was kept to tell of them. */
	for (; step < 1900 / STEP_DAYS; step++)
		days_pass(step, false, false);
	line("day 1900, nothing written since day 1300");
	for (size_t i = 0; i < 4; i++) {
		struct node *n = (struct node *[]){ &county, &other, &town, &village }[i];

		assert_int_equal(MARKERS(n), 0);
		assert_int_equal(DEAD(n), 0);
		assert_int_equal(ask(n, "SELECT count(*) FROM terrace_gone"), 0);
		assert_int_equal(ask(n, "SELECT count(*) FROM terrace_dirty"), 0);
		assert_int_equal(ask(n, "SELECT count(*) FROM terrace_aside"), 0);
	}
	assert_int_equal(ask(&county, "SELECT count(*) FROM aid"), 3 * ROWS);
	assert_int_equal(ask(&village, "SELECT count(*) FROM aid"), ROWS);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	/* The key may be used again. */
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('stale', '620702100001', 'again', 7)");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "stale"), 7);
	close_node(&other);
	identity_release(&other.id);
	memset(&other, 0, sizeof other);
}

/* A row that moved away: its old holder's marker goes too, though the row lives on elsewhere. */
static void moved(void **state)
{
	(void)state;
	join(&other, &county, U_TOWN_2, "other");
	contact(&other, &county);
	sql(&town, "INSERT INTO aid(id, unit_code, name, amount) VALUES('m', '620702100000', 'm', 1)");
	seal(&town);
	rest(&town, &county);
	sql(&county, "UPDATE aid SET unit_code = '620702200000' WHERE id = 'm'");
	seal(&county);
	for (int i = 0; i < 3; i++)
		days_pass(i, false, false);
	assert_int_equal(MARKERS(&town), 1);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_gone"), 1);
	for (int i = 0; i < 450 / STEP_DAYS; i++)
		days_pass(i, false, false);
	assert_int_equal(MARKERS(&town), 0);
	assert_int_equal(DEAD(&town), 0);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_s1 WHERE key = 'm'"), 0);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_gone"), 0);
	assert_int_equal(AMOUNT(&other, "m"), 1);
	/* And back: told as a whole row. */
	sql(&county, "UPDATE aid SET unit_code = '620702100000' WHERE id = 'm'");
	seal(&county);
	days_pass(0, false, false);
	assert_int_equal(AMOUNT(&town, "m"), 1);
	at_rest(&town, &county, "equal");
	close_node(&other);
	identity_release(&other.id);
	memset(&other, 0, sizeof other);
}

/* A village that acknowledged the marker, but whose older write has not arrived yet: its township keeps the marker. */
static void unsent(void **state)
{
	(void)state;
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('u', '620702100001', 'u', 1)");
	seal(&village);
	rest(&village, &town);
	rest(&town, &county);
	clock_ms += DAY_MS;
	rest(&village, &town);
	sql(&village, "UPDATE aid SET amount = 2 WHERE id = 'u'");
	seal(&village);
	sql(&town, "DELETE FROM aid WHERE id = 'u'");
	seal(&town);
	for (int i = 0; i < 5; i++)
		feed(&village, &town, false);
	assert_int_equal(ask(&village, "SELECT count(*) FROM aid"), 0);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_dirty WHERE peer = 620702100001"), 0);
	for (int i = 0; i < 500 / STEP_DAYS; i++) {
		clock_ms += STEP_DAYS * DAY_MS;
		rest(&town, &county);
	}
	assert_int_equal(MARKERS(&county), 0);
	assert_int_equal(MARKERS(&town), 1);
	for (int i = 0; i < 100 / STEP_DAYS; i++)
		days_pass(i, false, false);
	assert_int_equal(ask(&town, "SELECT count(*) FROM aid"), 0);
	assert_int_equal(ask(&county, "SELECT count(*) FROM aid"), 0);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_record WHERE kind = 'edited-while-deleted'"), 1);
	at_rest(&village, &town, "equal");
}

#define STORIES(name) cmocka_unit_test_setup_teardown(name, nodes_begin, nodes_end)

int main(void)
{
	const struct CMUnitTest tests[] = { STORIES(moved), STORIES(unsent), STORIES(years) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
