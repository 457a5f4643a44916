/* Records that end by themselves, the sentence of a return, keys that two units hold, values that a child vouches for. */
#include "nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

static int64_t ended(struct node *n, const char *key, const char *state)
{
	char text[200];

	snprintf(text, sizeof text, "SELECT count(*) FROM terrace_record WHERE key = '%s' AND state = '%s'", key, state);
	return ask(n, text);
}

static void at_all(const char *key, const char *state, int64_t n)
{
	struct node *const all[] = { &county, &town, &village };

	for (int i = 0; i < 3; i++)
		if (ended(all[i], key, state) != n)
			fail_msg("%012llu has %lld records of %s that are %s, not %lld", (unsigned long long)all[i]->id.unit,
			         (long long)ended(all[i], key, state), key, state, (long long)n);
}

static void write_at(struct node *n, const char *text)
{
	sql(n, text);
	seal(n);
}

/* County and village write the same row at once; the county's stands. */
static void conflict(const char *key)
{
	char text[200];

	snprintf(text, sizeof text, "INSERT INTO aid(id, unit_code, amount) VALUES('%s', '620702100001', 1)", key);
	write_at(&village, text);
	everybody();
	snprintf(text, sizeof text, "UPDATE aid SET amount = 100 WHERE id = '%s'", key);
	write_at(&county, text);
	snprintf(text, sizeof text, "UPDATE aid SET amount = 2 WHERE id = '%s'", key);
	write_at(&village, text);
	everybody();
	everybody();
	at_all(key, "open", 1);
}

static void test_later_value(void **state)
{
	(void)state;
	conflict("l1");
	assert_int_equal(AMOUNT(&village, "l1"), 100);
	write_at(&village, "UPDATE aid SET amount = 3 WHERE id = 'l1'");
	everybody();
	assert_int_equal(AMOUNT(&county, "l1"), 3);
	at_all("l1", "replaced", 1);
	at_all("l1", "open", 0);
}

static void test_value_of_the_loser(void **state)
{
	(void)state;
	conflict("v1");
	write_at(&town, "UPDATE aid SET amount = 7 WHERE id = 'v1'");
	everybody();
	at_all("v1", "open", 1);                         /* another's other value ends nothing */
	write_at(&county, "UPDATE aid SET amount = 2 WHERE id = 'v1'");
	everybody();
	everybody();
	at_all("v1", "resolved", 1);
}

/* Record and what ends it come down together. */
static void test_in_one_feed(void **state)
{
	(void)state;
	write_at(&village, "INSERT INTO aid(id, unit_code, amount) VALUES('f1', '620702100001', 1)");
	everybody();
	write_at(&county, "UPDATE aid SET amount = 100 WHERE id = 'f1'");
	write_at(&village, "UPDATE aid SET amount = 2 WHERE id = 'f1'");
	push(&village, &town, 0);
	push(&town, &county, 0);
	assert_int_equal(ended(&county, "f1", "open"), 1);
	write_at(&county, "UPDATE aid SET amount = 2 WHERE id = 'f1'");
	everybody();
	everybody();
	assert_int_equal(AMOUNT(&village, "f1"), 2);
	at_all("f1", "resolved", 1);
}

static void test_closed_by_a_person(void **state)
{
	_cleanup_(json_release) json_t *answer = NULL;
	char id[24];

	(void)state;
	conflict("p1");
	snprintf(id, sizeof id, "%lld", (long long)ask(&town, "SELECT id FROM terrace_record WHERE key = 'p1'"));
	OK(engine_command(town.engine, (const char *const[]){ "conflicts", "close", id, "已核实" }, 4, "li", &answer, e));
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_conflicts WHERE key = 'p1' AND state = 'closed' AND note = '已核实' AND actor = 'li'"),
	                 1);
	assert_int_equal(ended(&village, "p1", "open"), 1);      /* each node's people close their own */
}

static void test_clash(void **state)
{
	struct node second;

	(void)state;
	join(&second, &town, U_VILLAGE_2, "second");
	contact(&second, &town);
	write_at(&village, "INSERT INTO aid(id, unit_code, amount) VALUES('k1', '620702100001', 1)");
	contact(&village, &town);
	write_at(&second, "INSERT INTO aid(id, unit_code) VALUES('k2', '620702100002')");
	for (int i = 0; i < 60; i++)             /* its counter runs ahead: the order alone would let it win */
		write_at(&second, "UPDATE aid SET amount = coalesce(amount, 0) + 1 WHERE id = 'k2'");
	write_at(&second, "INSERT INTO aid(id, unit_code, amount) VALUES('k1', '620702100002', 9)");
	for (int i = 0; i < 3; i++) {
		contact(&second, &town);
		everybody();
	}
	assert_int_equal(ask(&second, "SELECT count(*) FROM terrace_returns WHERE key = 'k1' AND group_name = 'row' AND reason = 'key-clash' AND "
	                              "say LIKE '%620702100001%'"), 1);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_issue WHERE kind = 'key-clash' AND key = 'k1' AND state = 'open'"), 1);
	assert_int_equal(ask(&second, "SELECT count(*) FROM aid WHERE id = 'k1'"), 0);
	close_node(&second);
	identity_release(&second.id);
}

static void copied(const char *from, const char *to)
{
	char text[400];

	snprintf(text, sizeof text, "cp %s %s", from, to);
	assert_int_equal(system(text), 0);
}

/* The county lost what it had of a village's write, and nobody keeps the signed delta: the township's word for it is
 * taken and listed. */
static void test_vouched(void **state)
{
	char copy[120];

	(void)state;
	close_node(&county);
	snprintf(copy, sizeof copy, "%s.copy", county.path);
	copied(county.path, copy);
	open_node(&county);
	write_at(&village, "INSERT INTO aid(id, unit_code, amount) VALUES('w1', '620702100001', 5)");
	everybody();
	assert_int_equal(AMOUNT(&county, "w1"), 5);
	close_node(&county);
	copied(copy, county.path);
	open_node(&county);
	sql(&town, "DELETE FROM terrace_outbox");
	sql(&town, "DELETE FROM terrace_segment WHERE author = 620702100001");
	assert_int_equal(ask(&county, "SELECT count(*) FROM aid WHERE id = 'w1'"), 0);
	for (int i = 0; i < 3; i++) {
		hello(&town, &county, NULL);
		contact(&town, &county);
	}
	assert_int_equal(AMOUNT(&county, "w1"), 5);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_issue WHERE kind = 'vouched' AND key = 'w1' AND state = 'open'"), 1);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_issue WHERE kind = 'vouched' AND key <> 'w1'"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_later_value), cmocka_unit_test(test_value_of_the_loser), cmocka_unit_test(test_in_one_feed),
		cmocka_unit_test(test_closed_by_a_person),
		cmocka_unit_test(test_clash), cmocka_unit_test(test_vouched),
	};

	return cmocka_run_group_tests_name("closing", tests, nodes_begin, nodes_end);
}
