/* Review: a village proposes, the township accepts, rejects with a reason, decides in bulk; refusals; returns; records
 * that end by themselves. */
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#include "engine/install.h"
#include "engine/merge.h"
#include "engine/report.h"

#define COUNTY_MAY 1 << COUNTY
#define TOWN_MAY   1 << TOWNSHIP
#define VILLAGE_MAY 1 << VILLAGE

static json_t *doc;

/* ---- the policy: village and county propose `main`, the township decides; the township proposes `check`, the county decides;
 * rows are made by all but removed by the township, the village proposes that */

static void publish_2(void)
{
	static const char *key[] = { "id" }, *columns[] = { "name", "amount" }, *checks[] = { "checked" };
	static const char *statements[] = {
		"CREATE TABLE aid(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, name TEXT, amount INTEGER, checked INTEGER)",
	};
	static const struct policy_group groups[] = {
		{ .name = "main", .ncolumns = 2, .columns = columns, .own = TOWN_MAY, .propose = COUNTY_MAY | VILLAGE_MAY },
		{ .name = "check", .ncolumns = 1, .columns = checks, .own = COUNTY_MAY, .propose = TOWN_MAY },
	};
	static const struct policy_rule rules[] = {
		{ .name = "most", .check = "amount IS NULL OR amount < 1000", .at = TOWN_MAY, .say = "超过上限 / above the ceiling" },
		{ .name = "high", .check = "amount IS NULL OR amount < 500", .at = TOWN_MAY, .warn = true, .say = "偏高 / high" },
	};
	static const struct policy_register aid = {
		.name = "aid", .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code", .ceiling = PROVINCE,
		.floor = VILLAGE, .create = COUNTY_MAY | TOWN_MAY | VILLAGE_MAY, .remove = TOWN_MAY, .propose = VILLAGE_MAY,
		.ngroups = 2, .groups = groups, .nrules = 2, .rules = rules,
	};
	const struct policy p = { .name = "aid", .version = 2, .nstatements = 1, .statements = statements, .nregisters = 1,
		                  .registers = &aid };
	_cleanup_(buf_release) struct buf form = { 0 };
	uint64_t version;

	OK(policy_put(&p, &form, e));
	OK(policy_publish(county.engine, buf_slice(&form), &version, e));
	everybody();
}

static int begin(void **state)
{
	int rc = nodes_begin(state);

	if (rc == 0)
		publish_2();
	return rc;
}

static int end(void **state)
{
	json_decref(doc);
	return nodes_end(state);
}

/* ---- what people do */

static int report_of(struct node *n, const char *const *words, struct err *err)
{
	const struct report_home home = {
		.database = n->path, .unit = n->id.unit, .parent = n->id.parent, .level = unit_level(n->id.unit), .name = n->id.name,
		.chain = &n->id.chain, .now_ms = clock_ms,
	};
	uint32_t count = 0;
	int found;

	json_decref(doc);
	doc = NULL;
	while (words[count] != NULL)
		count++;
	return report_run(&home, words, count, &doc, &found, err);
}

#define REPORT(n, ...) OK(report_of(n, (const char *const[]){ __VA_ARGS__, NULL }, e))

static int order(struct node *n, const char *const *words, struct err *err)
{
	_cleanup_(json_release) json_t *answer = NULL;
	uint32_t count = 0;
	int rc;

	while (words[count] != NULL)
		count++;
	rc = engine_command(n->engine, words, count, "zhang", &answer, err);
	assert_true((rc == 0) == (answer != NULL));
	if (rc == 0)
		assert_string_equal(json_string_value(json_object_get(answer, "actor")), "zhang");
	return rc;
}

#define ORDER(n, ...) OK(order(n, (const char *const[]){ __VA_ARGS__, NULL }, e))
#define REFUSED(code, part, n, ...) do { \
	struct err e_ = { 0 }; \
	int rc_ = order(n, (const char *const[]){ __VA_ARGS__, NULL }, &e_); \
	if (rc_ != code || strstr(e_.text, part) == NULL) \
		fail_msg("%d, not %d with \"%s\": %s", rc_, code, part, e_.text); \
} while (0)

/* The number of the only open proposal of the row that the node lists. */
static const char *number_of(struct node *n, const char *id)
{
	static char text[8][24];
	static int next;
	char *ret = text[next++ % 8];
	json_t *one;
	size_t i;

	ret[0] = '\0';
	REPORT(n, "proposals", "list");
	json_array_foreach(doc, i, one)
		if (strcmp(json_string_value(json_object_get(one, "key")), id) == 0)
			snprintf(ret, sizeof text[0], "%lld", (long long)json_integer_value(json_object_get(one, "id")));
	return ret;
}

static size_t waiting(struct node *n)
{
	REPORT(n, "proposals", "list");
	return json_array_size(doc);
}

static void __attribute__((format(printf, 2, 3))) write_at(struct node *n, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	sql(n, text);
	seal(n);
	everybody();
}

/* A row that the township has decided: amount 100. */
static void row(const char *id)
{
	write_at(&town, "INSERT INTO aid(id, unit_code, name, amount) VALUES('%s', '620702100001', '张三', 100)", id);
}

static void propose(const char *id)
{
	write_at(&village, "UPDATE aid SET amount = 150 WHERE id = '%s'", id);
}

static int64_t amount(struct node *n, const char *id)
{
	char text[100];

	snprintf(text, sizeof text, "SELECT amount FROM aid WHERE id = '%s'", id);
	return ask(n, text);
}

static int64_t __attribute__((format(printf, 2, 3))) count(struct node *n, const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return ask(n, text);
}

#define RETURNS "SELECT count(*) FROM terrace_returns WHERE state = 'open' AND key = '%s'"

/* ---- stories */

static void test_accept(void **state)
{
	const char *id;
	struct node *const all[] = { &county, &town, &village };

	(void)state;
	row("a1");
	propose("a1");
	assert_int_equal(amount(&village, "a1"), 100);           /* put back; nothing typed is lost */
	id = number_of(&village, "a1");
	for (int i = 0; i < 3; i++) {
		assert_string_equal(number_of(all[i], "a1"), id);
		assert_int_equal(amount(all[i], "a1"), 100);
	}
	REPORT(&town, "proposals", "show", id);
	assert_true(json_is_true(json_object_get(doc, "here")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(doc, "standing"), "values"), "amount")), 100);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(doc, "values"), "amount")), 150);
	assert_non_null(json_string_value(json_object_get(doc, "since")));
	assert_true(json_is_object(json_object_get(doc, "base")));
	REPORT(&county, "proposals", "show", id);
	assert_true(json_is_false(json_object_get(doc, "here")));
	assert_string_equal(json_string_value(json_object_get(json_object_get(doc, "decided_by"), "unit")), "620702100000");
	REFUSED(ERR_REFUSED, "township 620702100000", &county, "proposals", "accept", id);
	REFUSED(ERR_REFUSED, "not at this level", &village, "proposals", "accept", id);
	ORDER(&town, "proposals", "accept", id);
	everybody();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(amount(all[i], "a1"), 150);
		assert_int_equal(count(all[i], "SELECT count(*) FROM terrace_proposals WHERE key = '%s'", "a1"), 0);
		assert_int_equal(ask(all[i], "SELECT proposals_open FROM terrace_status"), 0);
	}
	assert_int_equal(count(&village, RETURNS, "a1"), 0);
	REFUSED(ERR_REFUSED, "not open any more", &town, "proposals", "accept", id);
	REFUSED(ERR_REFUSED, "not open any more", &town, "proposals", "reject", id, "--reason", "重复");
	REFUSED(ERR_NOT_FOUND, "no open proposal", &town, "proposals", "accept", "77");
	REPORT(&county, "why", "aid", "a1", "--group", "main");
	assert_string_equal(json_string_value(json_object_get(json_object_get(json_array_get(json_object_get(doc, "groups"), 0), "held"),
	                                                      "actor")), "zhang");
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

static void test_reject(void **state)
{
	const char *id, *again;

	(void)state;
	row("r1");
	propose("r1");
	id = number_of(&town, "r1");
	REFUSED(ERR_REFUSED, "needs a reason", &town, "proposals", "reject", id);
	REFUSED(ERR_REFUSED, "needs a reason", &town, "proposals", "reject", id, "--reason", "  ");
	ORDER(&town, "proposals", "reject", id, "--reason", "材料不全");
	everybody();
	assert_int_equal(amount(&village, "r1"), 100);
	assert_int_equal(waiting(&county), 0);
	assert_int_equal(count(&village, "SELECT count(*) FROM terrace_returns WHERE key = '%s' AND kind = 'rejected' AND say = '材料不全' AND "
	                       "returned LIKE '%%150%%' AND decided_by = '620702100000' AND state = 'open'", "r1"), 1);
	REPORT(&village, "returns", "list");
	assert_string_equal(json_string_value(json_object_get(json_array_get(doc, 0), "reason")), "材料不全");
	/* Corrected and sent again: at once, and the return is done with. */
	write_at(&village, "UPDATE aid SET amount = 120 WHERE id = '%s'", "r1");
	assert_int_equal(count(&village, RETURNS, "r1"), 0);
	assert_int_equal(count(&town, RETURNS, "r1"), 0);
	again = number_of(&town, "r1");
	assert_string_not_equal(again, id);
	REFUSED(ERR_REFUSED, "newer one", &town, "proposals", "accept", id);
	ORDER(&town, "proposals", "accept", again);
	everybody();
	assert_int_equal(amount(&village, "r1"), 120);
	at_rest(&village, &town, "equal");
}

/* The correction was typed before the return was seen. */
static void test_corrected_unseen(void **state)
{
	(void)state;
	row("c1");
	propose("c1");
	ORDER(&town, "proposals", "reject", number_of(&town, "c1"), "--reason", "金额有误");
	sql(&village, "UPDATE aid SET amount = 130 WHERE id = 'c1'");
	seal(&village);
	everybody();
	assert_int_equal(count(&village, RETURNS, "c1"), 1);
	assert_int_equal(waiting(&town), 1);
	ORDER(&town, "proposals", "accept", number_of(&town, "c1"));
	everybody();
	assert_int_equal(amount(&village, "c1"), 130);
	assert_int_equal(count(&village, RETURNS, "c1"), 0);     /* its author's later proposal was decided */
}

/* A newer proposal came between showing and accepting: nothing is decided; and one that arrives later stays open. */
static void test_newer_stays(void **state)
{
	const char *shown;

	(void)state;
	row("n1");
	propose("n1");
	shown = number_of(&town, "n1");
	write_at(&village, "UPDATE aid SET amount = 151 WHERE id = '%s'", "n1");
	assert_int_equal(waiting(&town), 1);             /* folded */
	REFUSED(ERR_REFUSED, "newer one", &town, "proposals", "accept", shown);
	assert_int_equal(amount(&town, "n1"), 100);
	sql(&village, "UPDATE aid SET amount = 152 WHERE id = 'n1'");
	seal(&village);
	ORDER(&town, "proposals", "accept", number_of(&town, "n1"));
	everybody();
	assert_int_equal(amount(&village, "n1"), 151);
	assert_int_equal(waiting(&village), 1);
	ORDER(&town, "proposals", "reject", number_of(&town, "n1"), "--reason", "已批");
	everybody();
	assert_int_equal(waiting(&village), 0);
	assert_int_equal(amount(&county, "n1"), 151);
}

/* No decision stands: the proposal shows provisionally; rejecting asserts the defaults. */
static void test_provisional(void **state)
{
	(void)state;
	write_at(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('%s', '620702100001', '李四', 9)", "p1");
	write_at(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('%s', '620702100001', '李四', 9)", "p2");
	assert_int_equal(amount(&county, "p1"), 9);
	ORDER(&town, "proposals", "reject", number_of(&town, "p1"), "--reason", "不符合条件");
	ORDER(&town, "proposals", "accept", number_of(&town, "p2"));
	everybody();
	assert_int_equal(count(&village, "SELECT count(*) FROM aid WHERE id = '%s' AND amount IS NULL AND name IS NULL", "p1"), 1);
	assert_int_equal(count(&village, RETURNS, "p1"), 1);
	assert_int_equal(amount(&village, "p2"), 9);
	assert_int_equal(waiting(&village), 0);
	at_rest(&village, &town, "equal");
}

static void test_bulk(void **state)
{
	char sum[24];
	int64_t s = 0;
	size_t i;
	json_t *one;

	(void)state;
	row("b1");
	row("b2");
	row("b3");
	propose("b1");
	propose("b2");
	propose("b3");
	assert_int_equal(waiting(&town), 3);
	json_array_foreach(doc, i, one)
		s = (s + json_integer_value(json_object_get(one, "id"))) & ((INT64_C(1) << 52) - 1);
	snprintf(sum, sizeof sum, "%lld", (long long)s);
	REFUSED(ERR_REFUSED, "--count", &town, "proposals", "accept", "--all");
	REFUSED(ERR_REFUSED, "3 proposals would be decided, 2", &town, "proposals", "accept", "--all", "--count", "2");
	REFUSED(ERR_REFUSED, "queue changed", &town, "proposals", "accept", "--all", "--count", "3", "--sum", "1");
	REFUSED(ERR_NOT_FOUND, "no proposal waits here", &county, "proposals", "accept", "--all", "--count", "0");
	REFUSED(ERR_NOT_FOUND, "no register", &town, "proposals", "accept", "--all", "--count", "3", "--register", "nothing");
	REFUSED(ERR_NOT_FOUND, "no proposal waits", &town, "proposals", "accept", "--all", "--count", "0", "--unit", "620702100002");
	REFUSED(ERR_USAGE, "--all", &town, "proposals", "accept", "--register", "aid");
	/* One that fails: nothing is decided. */
	REFUSED(ERR_NOT_FOUND, "no open proposal", &town, "proposals", "accept", number_of(&town, "b1"), "78");
	assert_int_equal(waiting(&town), 3);
	ORDER(&town, "proposals", "reject", number_of(&town, "b3"), number_of(&town, "b2"), "--reason", "重报", "--count", "2");
	assert_int_equal(waiting(&town), 1);
	ORDER(&town, "proposals", "accept", "--all", "--count", "1", "--register", "aid", "--unit", "620702100001");
	everybody();
	assert_int_equal(amount(&village, "b1"), 150);
	assert_int_equal(amount(&village, "b2"), 100);
	assert_int_equal(waiting(&village), 0);
	assert_int_equal(count(&village, RETURNS, "b2") + count(&village, RETURNS, "b3"), 2);
	at_rest(&village, &town, "equal");
}

/* ---- group row: what the village has no right to, it suggests */

static void propose_row(struct node *n, const char *id, bool alive, uint64_t unit)
{
	static const struct arrival self;
	struct counts counts = { 0 };
	struct cell cell = { .type = CELL_TEXT, .s = slice_of(id) };
	struct merging_row r;
	struct merging m;
	struct mark own;
	struct value *v;

	OK(engine_begin(n->engine, e));
	merging_begin(&m, n->engine, &self, &counts);
	OK(merging_load(&m, catalog_register(n->engine->catalog, slice_of("aid")), (struct key){ &cell, 1 }, &r, e));
	OK(mint_mark(n->engine, NULL, &own, e));
	v = merging_value(&m, &r, r.held.row->row.decision, GROUP_ROW, r.life, PROPOSAL, false, own, NULL);
	v->alive = alive;
	v->row_unit = unit;
	OK(merging_own(&m, &r, v, NULL, e));
	OK(merging_end_row(&m, &r, e));
	OK(merging_end(&m, e));
	merging_release(&m);
	OK(engine_commit(n->engine, e));
	everybody();
}

static void test_rows(void **state)
{
	(void)state;
	row("d1");
	row("d2");
	row("m1");
	row("m2");
	propose_row(&village, "d1", false, U_VILLAGE);
	propose_row(&village, "d2", false, U_VILLAGE);
	propose_row(&village, "m1", true, U_VILLAGE_2);
	propose_row(&village, "m2", true, UINT64_C(620702200001));
	assert_int_equal(waiting(&county), 4);
	REFUSED(ERR_REFUSED, "township 620702100000", &county, "proposals", "accept", number_of(&county, "d1"));
	ORDER(&town, "proposals", "accept", number_of(&town, "d1"));
	ORDER(&town, "proposals", "reject", number_of(&town, "d2"), "--reason", "仍在册");
	ORDER(&town, "proposals", "accept", number_of(&town, "m1"));
	REFUSED(ERR_REFUSED, "county 620702000000", &town, "proposals", "accept", number_of(&town, "m2"));
	everybody();
	assert_int_equal(waiting(&town), 1);
	ORDER(&county, "proposals", "accept", number_of(&county, "m2"));
	everybody();
	assert_int_equal(waiting(&county) + waiting(&town) + waiting(&village), 0);
	assert_int_equal(count(&village, "SELECT count(*) FROM aid WHERE id = '%s'", "d1"), 0);
	assert_int_equal(count(&county, "SELECT count(*) FROM aid WHERE id = '%s'", "d1"), 0);
	assert_int_equal(amount(&village, "d2"), 100);
	assert_int_equal(count(&village, "SELECT count(*) FROM terrace_returns WHERE key = '%s' AND group_name = 'row' AND say = '仍在册'", "d2"), 1);
	assert_int_equal(count(&village, "SELECT count(*) FROM aid WHERE id IN ('m1', '%s')", "m2"), 0);
	assert_int_equal(count(&town, "SELECT count(*) FROM aid WHERE id = '%s' AND unit_code = '620702100002'", "m1"), 1);
	assert_int_equal(count(&county, "SELECT count(*) FROM aid WHERE id = '%s' AND unit_code = '620702200001'", "m2"), 1);
	assert_int_equal(count(&town, "SELECT count(*) FROM aid WHERE id = '%s'", "m2"), 0);
	assert_int_equal(village.alarms + town.alarms + county.alarms, 0);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

/* ---- unmanned: the county's own word for what the township would decide */

static void test_acting(void **state)
{
	(void)state;
	/* Township 620702200000 has no node: the county acts for it, its own proposal and decision included. */
	write_at(&county, "INSERT INTO aid(id, unit_code, name, amount) VALUES('%s', '620702200001', '王五', 7)", "u1");
	assert_int_equal(amount(&county, "u1"), 7);
	assert_int_equal(waiting(&county), 0);           /* the stronger mode: decided at once */
	/* The township proposes `check`; the county decides it. */
	row("u2");
	write_at(&town, "UPDATE aid SET checked = 1 WHERE id = '%s'", "u2");
	assert_int_equal(waiting(&county), 1);
	REFUSED(ERR_REFUSED, "county 620702000000", &town, "proposals", "reject", number_of(&town, "u2"), "--reason", "x");
	ORDER(&county, "proposals", "accept", number_of(&county, "u2"));
	everybody();
	assert_int_equal(ask(&village, "SELECT checked FROM aid WHERE id = 'u2'"), 1);
	at_rest(&village, &town, "equal");
}

/* A superior proposes, the township decides: its word comes up, and the county makes the return of it. */
static void test_from_above(void **state)
{
	(void)state;
	row("s1");
	row("s2");
	write_at(&county, "UPDATE aid SET amount = 300 WHERE id IN ('s1', '%s')", "s2");
	assert_int_equal(amount(&county, "s1"), 100);
	assert_int_equal(waiting(&town), 2);
	propose("s1");
	REFUSED(ERR_REFUSED, "not the only one", &town, "proposals", "accept", "--all", "--count", "3");
	ORDER(&town, "proposals", "reject", "--all", "--count", "3", "--reason", "按乡镇核定");
	everybody();
	assert_int_equal(count(&county, RETURNS, "s1"), 1);
	assert_int_equal(count(&village, RETURNS, "s1"), 1);
	assert_int_equal(count(&county, "SELECT count(*) FROM terrace_returns WHERE key = '%s' AND decided_by = '620702100000'", "s2"), 1);
	assert_int_equal(waiting(&county), 0);
	write_at(&county, "UPDATE aid SET amount = 310 WHERE id = '%s'", "s2");
	ORDER(&town, "proposals", "accept", number_of(&town, "s2"));
	everybody();
	assert_int_equal(amount(&county, "s2"), 310);
	assert_int_equal(count(&county, RETURNS, "s2"), 0);
	at_rest(&town, &county, "equal");
}

/* A `refuse` rule forbids accepting; both kinds are shown in the queue. */
static void test_rules(void **state)
{
	const json_t *failing;

	(void)state;
	row("x1");
	row("x2");
	write_at(&village, "UPDATE aid SET amount = 5000 WHERE id = '%s'", "x1");
	write_at(&village, "UPDATE aid SET amount = 600 WHERE id = '%s'", "x2");
	REPORT(&town, "proposals", "show", number_of(&town, "x1"));
	failing = json_object_get(doc, "failing");
	assert_int_equal(json_array_size(failing), 2);
	assert_true(json_is_true(json_object_get(json_array_get(failing, 0), "refuse")));
	assert_string_equal(json_string_value(json_object_get(json_array_get(failing, 0), "rule")), "most");
	assert_true(json_is_false(json_object_get(json_array_get(failing, 1), "refuse")));
	REFUSED(ERR_REFUSED, "above the ceiling", &town, "proposals", "accept", number_of(&town, "x1"));
	REFUSED(ERR_REFUSED, "above the ceiling", &town, "proposals", "accept", "--all", "--count", "2");
	assert_int_equal(waiting(&town), 2);
	ORDER(&town, "proposals", "reject", number_of(&town, "x1"), "--reason", "超过上限");
	ORDER(&town, "proposals", "accept", number_of(&town, "x2"));
	everybody();
	assert_int_equal(amount(&village, "x2"), 600);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_issue WHERE state = 'open' AND key = 'x2'"), 1);
	at_rest(&village, &town, "equal");
}

/* What the table does not take is refused at once and decides nothing. */
static void test_table_says_no(void **state)
{
	(void)state;
	row("t1");
	row("t2");
	sql(&town, "CREATE UNIQUE INDEX one_name ON aid(name) WHERE amount = 150 AND id >= 't1'");
	propose("t1");
	propose("t2");
	ORDER(&town, "proposals", "accept", number_of(&town, "t1"));
	REFUSED(ERR_REFUSED, "UNIQUE", &town, "proposals", "accept", number_of(&town, "t2"));
	assert_int_equal(waiting(&town), 1);
	sql(&town, "DROP INDEX one_name");
	ORDER(&town, "proposals", "accept", number_of(&town, "t2"));
	everybody();
	assert_int_equal(amount(&village, "t2"), 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept), cmocka_unit_test(test_reject), cmocka_unit_test(test_corrected_unseen),
		cmocka_unit_test(test_newer_stays), cmocka_unit_test(test_provisional), cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_rows), cmocka_unit_test(test_acting), cmocka_unit_test(test_from_above), cmocka_unit_test(test_rules), cmocka_unit_test(test_table_says_no),
	};

	return cmocka_run_group_tests_name("review", tests, begin, end);
}
