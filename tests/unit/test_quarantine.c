/* Quarantine: ten thousand changes, some of which the township's table does not take: only those and what depends on them
 * wait, all else is applied in the same pass and goes on, and all is applied when the cause is mended. */
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#include "engine/install.h"
#include "engine/self.h"
#include "store/records.h"

#define PERSONS 6000
#define VISITS 3830
#define CHAIN 150
#define MEMOS 20

static const char *key[] = { "id" }, *person_columns[] = { "age", "slot", "note" }, *visit_columns[] = { "person", "before", "what" },
                  *memo_columns[] = { "body", "extra" }, *aid_columns[] = { "name", "amount" }, *aid_checks[] = { "checked" };
static const char *statements[] = {
	"CREATE TABLE aid(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, name TEXT, amount INTEGER, checked INTEGER)",
	"CREATE TABLE person(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, age INTEGER, slot TEXT, note TEXT)",
	"CREATE TABLE visit(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, person TEXT REFERENCES person(id), "
	"before TEXT REFERENCES visit(id), what TEXT)",
	"CREATE TABLE memo(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, body TEXT, extra INTEGER)",
};
static const struct policy_group aid_groups[] = {
	{ .name = "main", .ncolumns = 2, .columns = aid_columns, .own = 0x1c },
	{ .name = "check", .ncolumns = 1, .columns = aid_checks, .own = 1 << COUNTY },
};
static const struct policy_group person_groups[] = { { .name = "main", .ncolumns = 3, .columns = person_columns, .own = 0x1c } };
static const struct policy_group visit_groups[] = { { .name = "main", .ncolumns = 3, .columns = visit_columns, .own = 0x1c } };
static const struct policy_group memo_groups[] = { { .name = "main", .ncolumns = 2, .columns = memo_columns, .own = 0x1c } };
#define REGISTER(n, ng, gs) { .name = n, .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code", \
	.ceiling = PROVINCE, .floor = VILLAGE, .create = 0x1c, .remove = 0x1c, .ngroups = ng, .groups = gs }
static const struct policy_register registers[] = {
	REGISTER("aid", 2, aid_groups), REGISTER("person", 1, person_groups), REGISTER("visit", 1, visit_groups), REGISTER("memo", 1, memo_groups),
};

static void publish(void)
{
	const struct policy p = { .name = "aid", .version = 2, .nstatements = 4, .statements = statements, .nregisters = 4,
		                  .registers = registers };
	_cleanup_(buf_release) struct buf form = { 0 };
	uint64_t made;

	OK(policy_put(&p, &form, e));
	OK(policy_publish(county.engine, buf_slice(&form), &made, e));
}

static void ticks(struct node *n, int seconds)
{
	for (int i = 0; i < seconds; i++) {
		clock_ms += 1000;
		for (int k = 0; k < 30 && engine_tick(n->engine, false) == 0; k++)
			;
	}
}

/* The township's own table asks for more than the policy does, and lacks a column. */
static int begin(void **state)
{
	int r = nodes_begin(state);

	publish();
	everybody();
	sql(&town, "DROP TABLE person; CREATE TABLE person(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, age INTEGER CHECK(age < 150), "
	           "slot TEXT, note TEXT); CREATE UNIQUE INDEX one_each ON person(slot); DROP TABLE memo; "
	           "CREATE TABLE memo(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, body TEXT)");
	ticks(&town, 35);
	return r;
}

#define WAITS(n) ask(n, "SELECT count(*) FROM terrace_quarantine WHERE dropped IS NULL")
#define MISSING_VISITS "SELECT id FROM visit WHERE person LIKE 'nobody%' OR before = 'nowhere' "
/* By hand: bad rows, and by foreign key what hangs on them. */
#define CLOSURE(bad) "WITH RECURSIVE p(id) AS (" bad "), v(id) AS (" MISSING_VISITS "UNION SELECT id FROM visit WHERE person IN (SELECT id FROM p) " \
	"UNION SELECT visit.id FROM visit JOIN v ON visit.before = v.id) "
#define BAD_AT_TOWN "SELECT id FROM person WHERE age >= 150 OR substr(id, 2) % 300 = 2"
#define BAD_NOWHERE "SELECT id FROM person WHERE 0"

static void write_all(void)
{
	char text[3000];

	snprintf(text, sizeof text,
	         "BEGIN; WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	         "INSERT INTO person SELECT printf('p%%04d', i), '620702100001', CASE WHEN i %% 300 = 0 THEN 200 ELSE i %% 90 END, "
	         "CASE WHEN i %% 300 = 2 THEN 's' || (i - 1) ELSE 's' || i END, NULL FROM n; "
	         "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	         "INSERT INTO visit SELECT printf('v%%04d', i), '620702100001', CASE WHEN i %% 350 = 7 THEN 'nobody' || i ELSE "
	         "printf('p%%04d', i) END, NULL, 'x' FROM n; "
	         "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	         "INSERT INTO visit SELECT printf('w%%03d', i), '620702100001', NULL, CASE WHEN i = 0 THEN 'nowhere' ELSE "
	         "printf('w%%03d', i - 1) END, 'y' FROM n; "
	         "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	         "INSERT INTO memo SELECT printf('m%%02d', i), '620702100001', 'body', i FROM n; "
	         "INSERT INTO person VALUES('q', '620702100001', 1, 'q', hex(zeroblob(4600000))); COMMIT",
	         PERSONS - 1, VISITS - 1, CHAIN - 1, MEMOS - 1);
	sql(&village, text);
	for (int i = 0; i < 10; i++)
		seal(&village);
}

static void poisoned(void **state)
{
	int64_t expected, at_county, applied;

	(void)state;
	write_all();
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_issue WHERE kind = 'too-large' AND state = 'open'"), 1);
	expected = ask(&village, CLOSURE(BAD_AT_TOWN) "SELECT (SELECT count(*) FROM p) + (SELECT count(*) FROM v) + (SELECT count(*) FROM memo)");
	at_county = ask(&village, CLOSURE(BAD_NOWHERE) "SELECT count(*) FROM v");
	contact(&village, &town);
	applied = ask(&town, "SELECT (SELECT count(*) FROM person) + (SELECT count(*) FROM visit) + (SELECT count(*) FROM memo)");
	printf("quarantine: %d changes, 1 of them too large to be sealed; computed closure %lld, waiting %lld, applied in one pass %lld\n",
	       PERSONS + VISITS + CHAIN + MEMOS + 1, (long long)expected, (long long)WAITS(&town), (long long)applied);
	assert_int_equal(WAITS(&town), expected);
	assert_int_equal(applied, PERSONS + VISITS + CHAIN + MEMOS - expected);
	/* What waits here is decided and goes on. */
	contact(&town, &county);
	assert_int_equal(ask(&county, "SELECT count(*) FROM person"), PERSONS);
	assert_int_equal(ask(&county, "SELECT count(*) FROM memo"), MEMOS);
	assert_int_equal(WAITS(&county), at_county);
	/* A sweep finds nothing that can stand, however often. */
	ticks(&town, 30);
	assert_int_equal(WAITS(&town), expected);
	/* Mended: the missing rows come, the tables ask for less. */
	sql(&village, "INSERT INTO visit VALUES('nowhere', '620702100001', NULL, NULL, 'z'); INSERT INTO person(id, unit_code) SELECT person, "
	              "'620702100001' FROM visit WHERE person LIKE 'nobody%'; DELETE FROM person WHERE id = 'q'");
	seal(&village);
	contact(&village, &town);
	ticks(&town, 60);
	printf("quarantine: %lld wait when the missing rows have come", (long long)WAITS(&town));
	assert_int_equal(ask(&town, "SELECT count(*) FROM visit WHERE id LIKE 'w%'"), CHAIN);
	sql(&town, "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, ' CHECK(age < 150)', '') WHERE name = 'person'; "
	           "PRAGMA writable_schema = 0; DROP INDEX one_each; ALTER TABLE memo ADD COLUMN extra INTEGER");
	ticks(&town, 90);
	contact(&town, &county);
	ticks(&county, 60);
	printf(", %lld when the tables are mended\n", (long long)WAITS(&town));
	assert_int_equal(WAITS(&town), 0);
	assert_int_equal(WAITS(&county), 0);
	for (int i = 0; i < 2; i++) {
		static const char *const sums[] = { "SELECT sum(age) + count(*) + sum(substr(slot, 2)) FROM person",
			"SELECT count(*) + count(person) + count(before) FROM visit", "SELECT sum(extra) + count(body) FROM memo" };
		struct node *n = i == 0 ? &town : &county;

		for (size_t k = 0; k < ARRAY_SIZE(sums); k++)
			assert_int_equal(ask(n, sums[k]), ask(&village, sums[k]));
	}
	contact(&village, &town);
	at_rest(&village, &town, "equal");
}

/* Two that wait for each other, and three that stand on each other's unique value, go in together; one that cannot keeps
 * nobody else out. */
static void together(void **state)
{
	(void)state;
	sql(&village, "INSERT INTO person(id, unit_code, slot) VALUES('a', '620702100001', 'A'), ('b', '620702100001', 'B'), "
	              "('c', '620702100001', 'C'), ('d', '620702100001', 'D')");
	seal(&village);
	everybody();
	sql(&town, "INSERT INTO person(id, unit_code, slot) VALUES('own', NULL, 'own')");
	sql(&village, "UPDATE person SET slot = 'B2' WHERE id = 'a'; UPDATE person SET slot = 'A' WHERE id = 'b'; "
	              "UPDATE person SET slot = 'B' WHERE id = 'a'; UPDATE person SET slot = 'own' WHERE id = 'd'; "
	              "INSERT INTO visit(id, unit_code, before) VALUES('x', '620702100001', 'y'), ('y', '620702100001', 'z')");
	seal(&village);
	contact(&village, &town);
	assert_int_equal(WAITS(&town), 5);
	sql(&village, "UPDATE visit SET before = 'x' WHERE id = 'y'");
	seal(&village);
	contact(&village, &town);
	ticks(&town, 20);
	assert_int_equal(ask(&town, "SELECT count(*) FROM visit WHERE id IN ('x', 'y')"), 2);
	assert_int_equal(ask(&town, "SELECT count(*) FROM person WHERE id = 'a' AND slot = 'B' OR id = 'b' AND slot = 'A'"), 2);
	assert_int_equal(WAITS(&town), 1);
	assert_int_equal(ask(&town, "SELECT slot = 'D' FROM person WHERE id = 'd'"), 1);
}

/* More wait than one slice holds; those behind have their turn. */
static void turns(void **state)
{
	(void)state;
	sql(&village, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1199) INSERT INTO person(id, unit_code, slot, age) "
	              "SELECT printf('t%04d', i), '620702100001', 't' || i, 160 FROM n");
	seal(&village);
	contact(&village, &town);
	assert_int_equal(WAITS(&town), 1200);
	sql(&town, "INSERT INTO person(id, unit_code, slot) VALUES('in the way', NULL, 'zz')");
	sql(&village, "INSERT INTO person(id, unit_code, slot) VALUES('u', '620702100001', 'zz')");
	seal(&village);
	contact(&village, &town);
	ticks(&town, 60);
	assert_int_equal(WAITS(&town), 1201);
	sql(&town, "DELETE FROM person WHERE id = 'in the way'");
	ticks(&town, 60);
	assert_int_equal(WAITS(&town), 1200);
	assert_int_equal(ask(&town, "SELECT slot = 'zz' FROM person WHERE id = 'u'"), 1);
}

static int order(struct node *n, const char *a, const char *b, const char *c, const char *d)
{
	const char *words[] = { a, b, c, d };
	json_t *ret = NULL;
	struct err err = { 0 };
	int rc = engine_command(n->engine, words, d != NULL ? 4 : c != NULL ? 3 : 2, "tester", &ret, &err);

	if (loud && rc != 0)
		fprintf(stderr, "%s\n", err.text);
	json_decref(ret);
	return rc;
}

static void tell_again(struct node *n, uint64_t peer, const char *id)
{
	const struct cell cell = { .type = CELL_TEXT, .s = slice_of(id) };

	OK(engine_begin(n->engine, e));
	OK(dirty_mark(n->engine->db, peer, catalog_register(n->engine->catalog, slice_of("person")), cell, UINT64_MAX, e));
	OK(engine_commit(n->engine, e));
}

/* Given up: the table keeps what it shows, nothing tries it, the state and the others have it; until another value comes. */
static void given_up(void **state)
{
	char id[30];

	(void)state;
	sql(&village, "INSERT INTO person(id, unit_code, age) VALUES('g', '620702100001', 40)");
	seal(&village);
	everybody();
	sql(&village, "UPDATE person SET age = 180 WHERE id = 'g'");
	seal(&village);
	everybody();
	assert_int_equal(WAITS(&town), 1);
	snprintf(id, sizeof id, "%lld", (long long)ask(&town, "SELECT id FROM terrace_quarantine"));
	assert_int_equal(order(&town, "quarantine", "drop", id, ""), ERR_USAGE);
	assert_int_equal(order(&town, "quarantine", "drop", "999999", "no such"), ERR_NOT_FOUND);
	assert_int_equal(order(&town, "quarantine", "drop", id, "typed wrongly"), 0);
	assert_int_equal(order(&town, "quarantine", "drop", id, "again"), ERR_REFUSED);
	assert_int_equal(WAITS(&town), 0);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_issue WHERE kind = 'quarantine-dropped' AND state = 'closed' AND "
	                            "note = 'typed wrongly' AND actor = 'tester'"), 1);
	/* The cause is mended, yet it is not tried; the state has it all the while. */
	sql(&town, "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, 'age < 150', 'age < 190') WHERE name = 'person'; "
	           "PRAGMA writable_schema = 0; CREATE TABLE cookie(a); DROP TABLE cookie");
	ticks(&town, 60);
	assert_int_equal(order(&town, "quarantine", "retry", NULL, NULL), 0);
	/* Nor when the same is told once more. */
	tell_again(&county, U_TOWN, "g");
	contact(&town, &county);
	assert_int_equal(ask(&town, "SELECT age FROM person WHERE id = 'g'"), 40);
	assert_int_equal(ask(&county, "SELECT age FROM person WHERE id = 'g'"), 180);
	at_rest(&town, &county, "equal");
	/* By number it is. */
	assert_int_equal(order(&town, "quarantine", "retry", id, NULL), 0);
	assert_int_equal(ask(&town, "SELECT age FROM person WHERE id = 'g'"), 180);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_quarantine"), 0);
	/* A clerk's own write to a row that was given up, and another value from below, end it as well. */
	for (int i = 0; i < 2; i++) {
		sql(&village, "UPDATE person SET age = 195 WHERE id = 'g'");
		seal(&village);
		everybody();
		snprintf(id, sizeof id, "%lld", (long long)ask(&town, "SELECT id FROM terrace_quarantine"));
		assert_int_equal(order(&town, "quarantine", "drop", id, "no"), 0);
		sql(i == 0 ? &village : &town, i == 0 ? "UPDATE person SET age = 60 WHERE id = 'g'" : "UPDATE person SET age = 61 WHERE id = 'g'");
		seal(i == 0 ? &village : &town);
		everybody();
		assert_int_equal(ask(&town, "SELECT age FROM person WHERE id = 'g'"), 60 + i);
		assert_int_equal(ask(&county, "SELECT age FROM person WHERE id = 'g'"), 60 + i);
		assert_int_equal(ask(&village, "SELECT age FROM person WHERE id = 'g'"), 60 + i);
		assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_quarantine"), 0);
	}
}

#define STORIES(name) cmocka_unit_test_setup_teardown(name, begin, nodes_end)

int main(void)
{
	const struct CMUnitTest tests[] = { STORIES(poisoned), STORIES(together), STORIES(turns), STORIES(given_up) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
