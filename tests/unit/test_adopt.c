/* Adoption on a small tree in one process: rows on both sides, keep = review and superior, orders that are refused, and the
 * schema hold that a superior orders whose policy could not be put in force. */
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#include "engine/adopt.h"
#include "engine/install.h"

static const char *key[] = { "id" }, *aid_columns[] = { "name", "amount" }, *aid_checks[] = { "checked" }, *columns[] = { "amount" };
static const char *statements[] = {
	"CREATE TABLE aid(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, name TEXT, amount INTEGER, checked INTEGER)",
	"CREATE TABLE old(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, amount INTEGER)",
	"CREATE TABLE extra(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, amount INTEGER)",
};
static const struct policy_group aid_groups[] = {
	{ .name = "main", .ncolumns = 2, .columns = aid_columns, .own = 0x1c },
	{ .name = "check", .ncolumns = 1, .columns = aid_checks, .own = 1 << COUNTY },
};
static const struct policy_group groups[] = { { .name = "main", .ncolumns = 1, .columns = columns, .own = 0x1c } };
static const struct policy_register registers[] = {{
	.name = "aid", .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code", .ceiling = PROVINCE, .floor = VILLAGE,
	.create = 0x1f, .remove = 0x1f, .ngroups = 2, .groups = aid_groups,
}, {
	.name = "old", .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code", .ceiling = COUNTY, .floor = VILLAGE,
	.create = 0x1c, .remove = 0x1c, .ngroups = 1, .groups = groups,
}, {
	.name = "extra", .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code", .ceiling = COUNTY, .floor = VILLAGE,
	.create = 0x1c, .remove = 0x1c, .ngroups = 1, .groups = groups,
}};

static void publish(uint64_t version, uint32_t n)
{
	static const char text[] = "policy \"relief\" { version = 1 }\n";
	const struct policy p = { .name = "relief", .version = version, .nstatements = n, .statements = statements, .nregisters = n,
		                  .registers = registers, .text = { (const uint8_t *)text, sizeof text - 1 } };
	_cleanup_(buf_release) struct buf form = { 0 };
	uint64_t made;

	OK(policy_put(&p, &form, e));
	OK(policy_publish(county.engine, buf_slice(&form), &made, e));
}

static int order(struct node *n, const char *list, const char *what)
{
	char now[20];
	const char *const words[] = { "adopt", list != NULL ? list : now, what };
	struct err err = { 0 };
	json_t *answer = NULL;
	int rc;

	snprintf(now, sizeof now, "%016llx", (unsigned long long)n->engine->catalog->list);
	rc = engine_command(n->engine, words, 3, "test", &answer, &err);
	json_decref(answer);
	return rc;
}

static void done(struct node *n)
{
	hash_all(n);
	everybody();
	assert_int_equal(ask(n, "SELECT count(*) FROM terrace_adoption"), 0);
	assert_int_equal(ask(n, "SELECT count(*) FROM terrace_quarantine"), 0);
}

/* The county has x and z of the village, the village another x, and y. */
static int begin(void **state)
{
	int r = nodes_begin(state);

	sql(&county, statements[1]);
	sql(&county, "INSERT INTO old VALUES('x', '620702100001', 10), ('z', '620702100001', 30)");
	sql(&village, statements[1]);
	sql(&village, "INSERT INTO old VALUES('x', '620702100001', 50), ('y', '620702100001', 60)");
	publish(2, 2);
	everybody();
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_s2"), 0);        /* it waits for a plan */
	assert_int_equal(order(&county, NULL, "old=mine"), 0);
	done(&county);
	assert_int_equal(ask(&town, "SELECT count(*) FROM old"), 2);
	assert_int_equal(ask(&village, "SELECT count(*) FROM old"), 2);
	assert_int_equal(ask(&village, "SELECT amount FROM old WHERE id = 'x'"), 50);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_quarantine"), 2);
	assert_int_equal(ask(&village, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'terrace_2%'"), 0);
	return r;
}

#define STORIES(name) cmocka_unit_test_setup_teardown(name, begin, nodes_end)

static void orders_refused(void **state)
{
	(void)state;
	assert_int_equal(order(&village, "0123456789abcdef", "old=mine"), ERR_REFUSED);      /* made under another policy */
	assert_int_equal(order(&village, NULL, "old=theirs"), ERR_USAGE);
	assert_int_equal(order(&village, NULL, "old"), ERR_USAGE);
	assert_int_equal(order(&village, NULL, "new=mine"), ERR_NOT_FOUND);
	assert_int_equal(order(&village, NULL, "aid=mine"), ERR_REFUSED);                    /* it does not wait */
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_adoption WHERE keep IS NULL"), 1);
	assert_int_equal(order(&village, NULL, "old=mine"), 0);
	assert_int_equal(order(&village, NULL, "old=mine"), ERR_REFUSED);                    /* it runs */
	done(&village);
	assert_int_equal(ask(&county, "SELECT amount FROM old WHERE id = 'x'"), 50);
	assert_int_equal(ask(&county, "SELECT amount FROM old WHERE id = 'y'"), 60);
	assert_int_equal(ask(&village, "SELECT amount FROM old WHERE id = 'z'"), 30);
	at_rest(&village, &town, "equal");
}

static void review(void **state)
{
	(void)state;
	assert_int_equal(order(&village, NULL, "old=review"), 0);
	done(&village);
	assert_int_equal(ask(&village, "SELECT amount FROM old WHERE id = 'x'"), 10);         /* what stands */
	assert_int_equal(ask(&county, "SELECT amount FROM old WHERE id = 'x'"), 10);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_proposals WHERE key = 'x' AND proposed LIKE '%50%'"), 1);
	assert_int_equal(ask(&county, "SELECT amount FROM old WHERE id = 'y'"), 60);          /* shown, provisional */
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_proposals WHERE key = 'y'"), 1);
	at_rest(&village, &town, "equal");
}

static void superior(void **state)
{
	(void)state;
	assert_int_equal(order(&village, NULL, "old=superior"), 0);
	done(&village);
	assert_int_equal(ask(&village, "SELECT amount FROM old WHERE id = 'x'"), 10);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_conflicts WHERE key = 'x' AND lost LIKE '%50%' AND kept LIKE '%10%'"), 1);
	assert_int_equal(ask(&county, "SELECT amount FROM old WHERE id = 'y'"), 60);
	at_rest(&village, &town, "equal");
}

/* Written while the walk runs, before and behind it: both are adopted and sealed. */
static void written_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(order(&village, NULL, "old=superior"), 0);
	sql(&village, "INSERT INTO old VALUES('w', '620702100001', 70)");
	sql(&village, "UPDATE old SET amount = 61 WHERE id = 'y'");
	seal(&village);
	done(&village);
	assert_int_equal(ask(&county, "SELECT amount FROM old WHERE id = 'w'"), 70);
	assert_int_equal(ask(&county, "SELECT amount FROM old WHERE id = 'y'"), 61);
	sql(&village, "DELETE FROM old WHERE id = 'w'");
	seal(&village);
	everybody();
	assert_int_equal(ask(&county, "SELECT count(*) FROM old WHERE id = 'w'"), 0);
	at_rest(&village, &town, "equal");
}

/* The township cannot put the third version in force, the village can: the village's push is to wait. */
static void held(void **state)
{
	_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 };
	struct orders o = { 0 };

	(void)state;
	sql(&town, "CREATE VIEW extra AS SELECT 1 AS id");
	OK(engine_hello_make(village.engine, &body, e));
	OK(engine_hello_answer(town.engine, facts(&village), buf_slice(&body), &answer, e));
	OK(engine_hello_take(village.engine, buf_slice(&answer), &o, e));
	assert_false(o.hold);
	publish(3, 3);
	everybody();
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_policy WHERE version = 3 AND state = 'failed'"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_policy WHERE version = 3 AND state = 'active'"), 1);
	buf_clear(&body);
	buf_clear(&answer);
	OK(engine_hello_make(village.engine, &body, e));
	OK(engine_hello_answer(town.engine, facts(&village), buf_slice(&body), &answer, e));
	OK(engine_hello_take(village.engine, buf_slice(&answer), &o, e));
	assert_true(o.hold);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORIES(orders_refused), STORIES(review), STORIES(superior), STORIES(written_meanwhile), STORIES(held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
