/* Reconciliation between neighbours: what is equal costs nothing, what differs is found row by row and heals. */
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#include "engine/report.h"
#include "engine/rounds.h"
#include "store/terms.h"

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
	rounds(&village, &town);
	push(&village, &town, 0);                /* the child's state comes before it has the parent's */
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

/* ---- plans */

static json_t *status_of(struct node *n, int *ret_exit)
{
	static const char *const words[] = { "reconcile", "status" };
	const struct report_home home = { .database = n->path, .unit = n->id.unit, .parent = n->id.parent,
		                          .level = unit_level(n->id.unit), .name = "", .chain = &n->id.chain, .now_ms = clock_ms };
	json_t *document = NULL;

	OK(report_run(&home, words, 2, &document, ret_exit, e));
	return document;
}

static const char *row_text(const json_t *document, size_t i, const char *name)
{
	const char *text = json_string_value(json_object_get(json_array_get(json_object_get(document, "rows"), i), name));

	return text != NULL ? text : "";
}

static int apply(struct node *n, const char *mode, const char *word)
{
	const char *const words[] = { "reconcile", "apply", mode, "restore", word };
	json_t *answer = NULL;
	struct err say = { 0 };
	int rc = engine_command(n->engine, words, ARRAY_SIZE(words), "tester", &answer, &say);

	json_decref(answer);
	return rc;
}

/* Between neighbours: missing here, missing there, and a plan that was overtaken. */
static void test_apply(void **state)
{
	json_t *document;
	int found = 0;

	(void)state;
	everybody();
	lose(&town, "000101");
	lose(&village, "000201");
	hash_all(&village);
	hash_all(&town);
	rounds_want(village.engine, ROUNDS_PLAN);
	assert_true(rounds(&village, &town) > 2);
	document = status_of(&village, &found);
	assert_int_equal(found, 1);
	assert_int_equal(json_array_size(json_object_get(document, "rows")), 2);
	assert_string_equal(row_text(document, 0, "key"), "000101");
	assert_string_equal(row_text(document, 0, "kind"), "missing-there");
	assert_string_equal(row_text(document, 1, "kind"), "missing-here");
	assert_string_equal(row_text(document, 1, "with"), "620702100000");
	assert_int_equal(apply(&village, "check", row_text(document, 0, "apply")), 0);
	assert_int_equal(apply(&village, "do", row_text(document, 0, "apply")), 0);
	assert_int_equal(apply(&village, "do", row_text(document, 1, "apply")), 0);
	assert_int_equal(apply(&village, "do", "61:00:d:620702100000:0011223344556677"), ERR_FORMAT);
	contact(&village, &town);
	contact(&village, &town);
	assert_int_equal(amount_of(&town, "000101"), 101);
	assert_int_equal(amount_of(&village, "000201"), 201);
	at_rest(&village, &town, "equal");
	assert_int_equal(apply(&village, "check", row_text(document, 0, "apply")), ERR_REFUSED);
	json_decref(document);
}

static void quietly(struct node *n, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(n->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* A value changes under its version, and the row's hash with it: no hash tells which side is right. */
static void spoil(struct node *n, const char *id)
{
	struct reg *r = catalog_register(n->engine->catalog, slice_of("aid"));
	const struct cell cell = { .type = CELL_TEXT, .s = slice_of(id) };
	struct arena a = { 0 };
	struct held h;
	char text[100];

	snprintf(text, sizeof text, "UPDATE aid SET amount = amount + 1 WHERE id = '%s'", id);
	quietly(n, text);
	OK(engine_begin(n->engine, e));
	OK(state_load(n->engine->state, r, (struct key){ &cell, 1 }, &a, &h, e));
	h.rehash = true;
	OK(state_save(n->engine->state, &h, n->engine->unit, false, &a, e));
	OK(engine_commit(n->engine, e));
	arena_release(&a);
}

static void test_damage(void **state)
{
	(void)state;
	everybody();
	spoil(&town, "000500");                  /* its author's delta is kept at both */
	heals(&town, "000500", 500, 1, 1000);
	spoil(&village, "000501");
	heals(&village, "000501", 501, 1, 1000);
	sql(&town, "DELETE FROM terrace_segment WHERE author = 620702100001");
	sql(&village, "DELETE FROM terrace_segment WHERE author = 620702100001");
	spoil(&village, "000502");               /* nobody can say any more: the superior's stands */
	heals(&village, "000502", 502, 1, 1000);
	spoil(&town, "000503");
	heals(&village, "000503", 504, 1, 1000);
}

/* An audit lists what it finds and changes nothing; in the background it waits for a busy application. */
static void test_audit(void **state)
{
	const char *const words[] = { "reconcile" };
	json_t *answer = NULL, *document;
	int found = 0;

	(void)state;
	everybody();
	at_rest(&village, &town, "equal");
	quietly(&town, "UPDATE aid SET amount = -1 WHERE id = '000700'");
	OK(engine_command(town.engine, words, 1, "tester", &answer, e));
	json_decref(answer);
	hash_all(&town);
	document = status_of(&town, &found);
	assert_int_equal(json_array_size(json_object_get(document, "rows")), 1);
	assert_string_equal(row_text(document, 0, "kind"), "changed");
	assert_non_null(strstr(town.last_alarm, "not what the record says"));
	assert_int_equal(apply(&town, "do", row_text(document, 0, "apply")), 0);
	json_decref(document);
	assert_int_equal(amount_of(&town, "000700"), -1);        /* no delta is kept: the neighbours are asked */
	contact(&village, &town);
	contact(&town, &county);
	contact(&village, &town);
	assert_int_equal(amount_of(&town, "000700"), 700);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_finding"), 0);
	at_rest(&village, &town, "equal");

	quietly(&town, "UPDATE aid SET amount = -1 WHERE id = '000701'");
	engine_tick(town.engine, false);
	clock_ms += INT64_C(8) * 86400 * 1000;
	for (int i = 0; i < 20; i++)
		engine_tick(town.engine, true);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_finding"), 0);
	for (int i = 0; i < 20; i++) {
		clock_ms += 1500;
		engine_tick(town.engine, false);
	}
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_finding"), 1);
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
		cmocka_unit_test(test_bad), cmocka_unit_test(test_apply), cmocka_unit_test(test_damage), cmocka_unit_test(test_audit),
	};

	return cmocka_run_group_tests(tests, nodes_begin, nodes_end);
}
