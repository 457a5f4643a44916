/* Reconciliation between neighbours: what is equal costs nothing, what differs is found row by row and heals. */
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#include "engine/rounds.h"
#include "store/terms.h"

/* A row is lost at a node, from state and table, as if it never had come. */
static void lose(struct node *n, const char *id)
{
	struct engine *e1 = n->engine;
	struct reg *r = catalog_register(e1->catalog, slice_of("aid"));
	const struct cell cell = { .type = CELL_TEXT, .s = slice_of(id) };
	const struct key key = { &cell, 1 };
	struct arena a = { 0 };
	struct held h;

	OK(engine_begin(e1, e));
	OK(state_load(e1->state, r, key, &a, &h, e));
	assert_true(h.exists);
	OK(state_delete(e1->state, &h, e1->unit, e));
	OK(table_delete(e1->table, r, key, e));
	OK(engine_commit(e1, e));
	arena_release(&a);
}

static void rows(struct node *n, uint64_t unit, int from, int to)
{
	char text[200];

	snprintf(text, sizeof text, "WITH RECURSIVE c(i) AS (VALUES(%d) UNION ALL SELECT i + 1 FROM c WHERE i < %d) INSERT INTO aid(id, "
	         "unit_code, name, amount) SELECT printf('%%06d', i), '%012llu', 'n' || i, i FROM c", from, to - 1,
	         (unsigned long long)unit);
	sql(n, text);
	seal(n);
}

static const char *digest_of_link(struct node *n, uint64_t peer)
{
	static char digest[16];
	int64_t at;

	OK(link_digest(n->engine->db, peer, digest, &at, e));
	return digest;
}

static void test_equal(void **state)
{
	int n;

	(void)state;
	rows(&village, U_VILLAGE, 0, 3000);
	everybody();
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	everybody();
	round_bytes = 0;
	rounds_want(village.engine, ROUNDS_PLAN);
	n = rounds(&village, &town);
	assert_int_equal(n, 1);
	assert_true(round_bytes <= 64);
	assert_true(meta_number(village.engine->db, "reconciled/620702100000", 0) > 0);
}

static int64_t amount_of(struct node *n, const char *id)
{
	char text[100];

	snprintf(text, sizeof text, "SELECT amount FROM aid WHERE id = '%s'", id);
	return ask(n, text);
}

static void heals(struct node *loser, const char *id, int64_t amount, uint32_t rows_that_differ, size_t bytes)
{
	uint32_t alarms = county.alarms + town.alarms;

	(void)rows_that_differ;
	hash_all(&village);
	hash_all(&town);
	round_bytes = 0;
	hello(&village, &town, NULL);
	assert_string_equal(digest_of_link(&town, U_VILLAGE), "differs");
	assert_true(county.alarms + town.alarms > alarms);
	contact(&village, &town);
	assert_true(round_bytes > 0 && round_bytes <= bytes);
	assert_true(village.engine->rounds == NULL);
	assert_int_equal(amount_of(loser, id), amount);
	at_rest(&village, &town, "equal");
	assert_false(difference_any(town.engine->db) || difference_any(village.engine->db));
}

/* A row that one side lost comes back, and no cursor walks over everything for it. */
static void test_missing(void **state)
{
	(void)state;
	lose(&town, "001234");
	heals(&town, "001234", 1234, 1, 1000);
	lose(&village, "000007");
	heals(&village, "000007", 7, 1, 1000);
	assert_int_equal(ask(&town, "SELECT count(*) FROM aid"), 3000);
}

static void test_many(void **state)
{
	char id[8];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof id, "%06d", i * 29);
		lose(i % 2 == 0 ? &town : &village, id);
	}
	heals(&town, "000290", 290, 100, 20000);
	assert_int_equal(ask(&town, "SELECT count(*) FROM aid"), 3000);
	assert_int_equal(ask(&village, "SELECT count(*) FROM aid"), 3000);
}

/* For an administrator: the rows are kept with the other side's state, nothing moves. */
static void test_plan(void **state)
{
	(void)state;
	lose(&town, "000100");
	lose(&village, "000200");
	hash_all(&village);
	hash_all(&town);
	rounds_want(village.engine, ROUNDS_PLAN);
	assert_true(rounds(&village, &town) > 2);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_difference"), 2);
	assert_int_equal(ask(&village, "SELECT held FROM terrace_difference WHERE key = '000100'"), 0);
	assert_int_equal(ask(&village, "SELECT held FROM terrace_difference WHERE key = '000200'"), 1);
	assert_true(ask(&village, "SELECT length(body) FROM terrace_difference WHERE key = '000200'") > 50);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_difference"), 0);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_compared WHERE unit = 620702100001 AND found = 'differs'"), 1);
	rounds_want(village.engine, ROUNDS_PARENT);
	assert_true(rounds(&village, &town) > 2);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_difference"), 2);
	assert_int_equal(ask(&town, "SELECT held FROM terrace_difference WHERE key = '000100'"), 1);
	assert_int_equal(ask(&town, "SELECT held FROM terrace_difference WHERE key = '000200'"), 0);
	assert_true(meta_number(town.engine->db, "reconciled/620702100001", 0) > 0);
	heals(&town, "000100", 100, 2, 2000);
	assert_int_equal(amount_of(&village, "000200"), 200);
}

/* What is not a round of reconciliation is refused and changes nothing. */
static void test_bad(void **state)
{
	static const uint8_t bodies[][12] = {
		{ 0 }, { 2, 1, 0, 0, 0, 0, 0, 0, 0, 0 }, { 1, 5, 0, 0, 0, 0, 0, 0, 0, 0 }, { 1, 3, 0, 0, 0, 0, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		_cleanup_(buf_release) struct buf answer = { 0 };
		struct err say = { 0 };

		assert_int_equal(engine_round_answer(town.engine, facts(&village), (struct slice){ bodies[i], i < 3 ? i * 3 + 1 : 9 }, &answer, &say),
		                 ERR_FORMAT);
		assert_int_equal(answer.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal), cmocka_unit_test(test_missing), cmocka_unit_test(test_many), cmocka_unit_test(test_plan),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, nodes_begin, nodes_end);
}
