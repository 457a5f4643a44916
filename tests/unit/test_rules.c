/* Rules and locks on a small tree: a county, a township and a village in one process. */
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#include "engine/install.h"
#include "engine/rules.h"
#include "store/rulebox.h"

static const char *key[] = { "id" }, *money[] = { "amount", "on_day" }, *posting[] = { "state" }, *person[] = { "kind", "number" };

static const struct policy_parameter_value floors[] = { { "2026-01-01", "355" }, { "2027-01-01", "370.5" } };
static const struct policy_parameter parameters[] = { { "floor", "CNY/month", 2, floors } };
static const char *kinds[] = { "code", "01", "name", "A", "code", "02", "name", "B" };
static const struct policy_named codes[] = { { "codes", "kinds", 8, kinds } };
static const char *statements[] = {
	"CREATE TABLE aid(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, name TEXT, amount INTEGER, checked INTEGER)",
	"CREATE TABLE relief(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, amount INTEGER, on_day TEXT, state TEXT COLLATE NOCASE, "
	"kind TEXT, number TEXT)",
	"CREATE TABLE old(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, amount INTEGER)",
};
static const char *aid_columns[] = { "name", "amount" }, *aid_checks[] = { "checked" }, *old_columns[] = { "amount" };
static const struct policy_group aid_groups[] = {
	{ .name = "main", .ncolumns = 2, .columns = aid_columns, .own = 0x1c },
	{ .name = "check", .ncolumns = 1, .columns = aid_checks, .own = 1 << COUNTY },
};
static const struct policy_group old_groups[] = { { .name = "main", .ncolumns = 1, .columns = old_columns, .own = 0x1c } };
static const struct policy_rule old_rules[] = { { .name = "most", .check = "amount < 10", .say = "x / x", .at = 1 << VILLAGE } };
static struct policy_group groups[] = {
	{ .name = "money", .ncolumns = 2, .columns = money, .own = 0x1c, .lock = "state = 'Posted'", .lock_say = "公示 / posted" },
	{ .name = "posting", .ncolumns = 1, .columns = posting, .own = 0x0c, .propose = 0x10 },
	{ .name = "person", .ncolumns = 2, .columns = person, .own = 0x1c, .on_conflict = "max number" },
};
static const struct policy_rule rules[] = {
	{ .name = "floor", .check = "amount IS NULL OR amount >= param('floor', on_day)", .say = "低于下限 / below the floor", .at = 1 << COUNTY },
	{ .name = "most", .check = "coalesce(amount, 0) <= 9999", .say = "太多 / too much", .at = 1 << VILLAGE },
	{ .name = "whole", .check = "amount IS NULL OR on_day IS NOT NULL", .say = "缺日期 / no day", .at = 1 << TOWNSHIP },
	{ .name = "kind", .check = "kind IS NULL OR kind IN (SELECT code FROM kinds)", .say = "类别 / kind", .warn = true, .at = 1 << TOWNSHIP },
};
static const char *identity[] = { "number" };
static struct policy_register registers[] = {{
	.name = "relief", .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code", .ceiling = COUNTY, .floor = VILLAGE,
	.create = 0x1c, .remove = 0x1c, .ngroups = 3, .groups = groups, .nrules = 4, .rules = rules,
}, {
	.name = "aid", .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code", .ceiling = PROVINCE, .floor = VILLAGE,
	.create = 0x1f, .remove = 0x1f, .ngroups = 2, .groups = aid_groups,
}, {
	.name = "old", .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code", .ceiling = COUNTY, .floor = VILLAGE,
	.create = 0x1c, .remove = 0x1c, .ngroups = 1, .groups = old_groups, .nrules = 1, .rules = old_rules,
}};

static void publish(uint64_t version, uint32_t nregisters)
{
	static const char text[] = "policy \"relief\" { version = 1 }\n";
	const struct policy p = { .name = "relief", .version = version, .nstatements = nregisters, .statements = statements,
		                  .nregisters = nregisters, .registers = registers, .nparameters = 1, .parameters = parameters, .nnamed = 1, .named = codes,
		                  .text = { (const uint8_t *)text, sizeof text - 1 } };
	_cleanup_(buf_release) struct buf form = { 0 };
	uint64_t made;

	OK(policy_put(&p, &form, e));
	OK(policy_publish(county.engine, buf_slice(&form), &made, e));
}

static int begin(void **state)
{
	int r = nodes_begin(state);

	registers[0].nidentity = 0;
	publish(2, 2);
	everybody();
	sql(&village, "INSERT INTO relief(id, unit_code, amount, on_day, kind) VALUES('a', '620702100001', 400, '2026-05-01', '01')");
	seal(&village);
	everybody();
	assert_int_equal(ask(&county, "SELECT amount FROM relief"), 400);
	return r;
}

#define STORIES(name) cmocka_unit_test_setup_teardown(name, begin, nodes_end)
#define RETURNED(node, words) ask(node, "SELECT count(*) FROM terrace_record WHERE kind = 'refused' AND state = 'open' AND say LIKE '%" words "%'")

static void write_by(struct node *n, const char *text)
{
	sql(n, text);
	seal(n);
}

static void county_refuses(void **state)
{
	(void)state;
	write_by(&village, "UPDATE relief SET amount = 300 WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&village, "SELECT amount FROM relief"), 400);
	assert_int_equal(ask(&town, "SELECT amount FROM relief"), 400);
	assert_int_equal(ask(&county, "SELECT amount FROM relief"), 400);
	assert_int_equal(RETURNED(&village, "below the floor [floor = 355 CNY/month (2026-01-01)]"), 1);
	assert_int_equal(RETURNED(&county, "below the floor"), 1);
	/* The parameter is that of the row's day; a correction stands at once. */
	write_by(&village, "UPDATE relief SET amount = 370, on_day = '2027-02-01' WHERE id = 'a'");
	everybody();
	assert_int_equal(RETURNED(&village, "floor = 370.5 CNY/month (2027-01-01)"), 1);
	write_by(&village, "UPDATE relief SET amount = 371, on_day = '2027-02-01' WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&county, "SELECT amount FROM relief"), 371);
	/* Before the first date, without a date, with what is no date: the parameter is NULL, and NULL passes. */
	write_by(&village, "UPDATE relief SET amount = 1, on_day = '2025-12-31' WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&county, "SELECT amount FROM relief"), 1);
	/* The county itself. */
	write_by(&county, "UPDATE relief SET amount = 2, on_day = '2026-12-31' WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&county, "SELECT amount FROM relief"), 1);
	assert_int_equal(ask(&county, "SELECT on_day = '2025-12-31' FROM relief"), 1);
}

static void author_is_judged(void **state)
{
	(void)state;
	write_by(&village, "UPDATE relief SET amount = 10000, kind = '02' WHERE id = 'a'");
	assert_int_equal(ask(&village, "SELECT amount FROM relief"), 400);        /* all that was written with it */
	assert_int_equal(ask(&village, "SELECT kind = '01' FROM relief"), 1);
	assert_int_equal(RETURNED(&village, "too much"), 2);
	write_by(&village, "UPDATE relief SET amount = 20000 WHERE id = 'a'");
	assert_int_equal(ask(&village, "SELECT amount FROM relief"), 400);
	write_by(&village, "INSERT INTO relief(id, unit_code, amount, on_day) VALUES('b', '620702100001', 10000, '2026-05-01')");
	assert_int_equal(ask(&village, "SELECT count(*) FROM relief"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_record WHERE key = 'b' AND grp = 'money' AND lost_text LIKE '%10000%'"), 1);
	write_by(&village, "INSERT OR REPLACE INTO relief(id, unit_code, amount, on_day) VALUES('a', '620702100001', 10001, '2026-05-01')");
	assert_int_equal(ask(&village, "SELECT amount FROM relief"), 400);
	write_by(&village, "UPDATE relief SET kind = '02' WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&county, "SELECT kind = '02' FROM relief"), 1);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	assert_int_equal(ask(&county, "SELECT count(*) FROM relief"), 1);
}

/* A row that comes in one change is judged as a whole, group row included. */
static void inserts_are_whole(void **state)
{
	(void)state;
	write_by(&village, "INSERT INTO relief(id, unit_code, amount, on_day, kind) VALUES('c', '620702100001', 500, '2026-01-01', '01')");
	write_by(&village, "INSERT INTO relief(id, unit_code, amount, on_day) VALUES('d', '620702100001', 100, '2026-01-01')");
	everybody();
	assert_int_equal(ask(&county, "SELECT group_concat(id, '') = 'ac' FROM relief"), 1);
	assert_int_equal(ask(&village, "SELECT group_concat(id, '') = 'ac' FROM relief"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) > 0 FROM terrace_record WHERE key = 'd' AND why = 'rule'"), 1);
}

static void warnings(void **state)
{
	(void)state;
	write_by(&village, "UPDATE relief SET kind = '99' WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&county, "SELECT kind = '99' FROM relief"), 1);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_issue WHERE kind = 'warn' AND state = 'open' AND text LIKE 'kind: %'"), 1);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_issue"), 0);
	write_by(&village, "UPDATE relief SET kind = '02' WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_issue WHERE state = 'open'"), 0);
	write_by(&town, "UPDATE relief SET kind = '98' WHERE id = 'a'");
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_issue WHERE state = 'open'"), 1);
	write_by(&village, "DELETE FROM relief WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_issue WHERE state = 'open'"), 0);
}

static void locks(void **state)
{
	(void)state;
	write_by(&town, "UPDATE relief SET state = 'POSTED' WHERE id = 'a'");      /* NOCASE, as the table compares */
	everybody();
	write_by(&village, "UPDATE relief SET amount = 500 WHERE id = 'a'");
	write_by(&village, "UPDATE relief SET kind = '02' WHERE id = 'a'");        /* another group */
	everybody();
	assert_int_equal(ask(&village, "SELECT amount FROM relief"), 400);
	assert_int_equal(ask(&county, "SELECT kind = '02' FROM relief"), 1);
	assert_int_equal(RETURNED(&village, "公示 / posted"), 1);
	write_by(&town, "UPDATE relief SET amount = 450 WHERE id = 'a'");          /* locked at the county too */
	everybody();
	assert_int_equal(ask(&county, "SELECT amount FROM relief"), 400);
	assert_int_equal(RETURNED(&town, "公示 / posted"), 2);         /* its own, and the village's */
	write_by(&county, "UPDATE relief SET amount = 460 WHERE id = 'a'");
	write_by(&town, "UPDATE relief SET state = 'confirmed' WHERE id = 'a'");
	everybody();
	write_by(&village, "UPDATE relief SET amount = 470 WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&county, "SELECT amount FROM relief"), 470);
	at_rest(&village, &town, "equal");
}

/* A lock counts by the decision: what a village proposes locks nothing.  Review sees what a proposal fails. */
static void proposals(void **state)
{
	struct reg *r = catalog_register(town.engine->catalog, slice_of("relief"));
	struct cell id = { .type = CELL_TEXT, .s = slice_of("a") }, cells[2] = { { .type = CELL_INT, .i = 5 }, { .type = CELL_NULL } };
	struct value v = { .group = 1, .whole = true, .ncells = 2, .cells = cells };
	struct arena a = { 0 };
	struct finding *found;
	struct held h;
	uint32_t n;

	(void)state;
	write_by(&village, "UPDATE relief SET state = 'posted' WHERE id = 'a'");
	everybody();
	write_by(&village, "UPDATE relief SET amount = 500 WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&county, "SELECT amount FROM relief"), 500);
	OK(state_load(town.engine->state, r, (struct key){ &id, 1 }, &a, &h, e));
	OK(held_cells(town.engine->table, &h, &a, e));
	OK(rules_of_value(town.engine, &h, &v, &a, &found, &n, e));
	assert_int_equal(n, 1);
	assert_string_equal(found[0].rule, "whole");
	assert_string_equal(found[0].say, "缺日期 / no day");
	arena_release(&a);
}

#define NUMBER(node, text) assert_int_equal(ask(node, "SELECT number = '" text "' FROM relief WHERE id = 'a'"), 1)

/* The greater of two numbers written without sight of each other, by a decision of the county; an informed edit stands. */
static void the_greater_stands(void **state)
{
	struct node *at[] = { &village, &town, &county };

	(void)state;
	for (int k = 0; k < 2; k++) {
		write_by(&village, k == 0 ? "UPDATE relief SET number = '5' WHERE id = 'a'" : "UPDATE relief SET number = '3' WHERE id = 'a'");
		write_by(&town, k == 0 ? "UPDATE relief SET number = '3', kind = '02' WHERE id = 'a'" : "UPDATE relief SET number = '5', kind = '02' WHERE id = 'a'");
		everybody();
		for (int i = 0; i < 3; i++)
			NUMBER(at[i], "5");
		assert_int_equal(ask(&village, k == 0 ? "SELECT kind = '01' FROM relief" : "SELECT kind = '02' FROM relief"), 1);
		write_by(&village, "UPDATE relief SET number = '1', kind = '01' WHERE id = 'a'");
		everybody();
		NUMBER(&county, "1");
	}
	/* Against the county itself; NULL wins nothing; a record of each losing write, closed where its value stands. */
	write_by(&village, "UPDATE relief SET number = '7' WHERE id = 'a'");
	write_by(&county, "UPDATE relief SET number = NULL WHERE id = 'a'");
	everybody();
	for (int i = 0; i < 3; i++)
		NUMBER(at[i], "7");
	write_by(&village, "UPDATE relief SET number = NULL WHERE id = 'a'");
	write_by(&county, "UPDATE relief SET number = '0' WHERE id = 'a'");
	everybody();
	for (int i = 0; i < 3; i++)
		NUMBER(at[i], "0");
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_record WHERE grp = 'person' AND kind = 'superseded'") >= 3, 1);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_record WHERE lost_text LIKE '%number=7%' AND state = 'open'"), 0);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

#define FOUND(node) ask(node, "SELECT count(*) FROM terrace_issue WHERE kind = 'duplicate-identity' AND state = 'open'")

/* One person in two villages of a township: an issue on both rows, there and nowhere else, and it ends by itself. */
static void one_identity_twice(void **state)
{
	(void)state;
	write_by(&village, "UPDATE relief SET number = 'S1' WHERE id = 'a'");
	write_by(&town, "INSERT INTO relief(id, unit_code, number) VALUES('b', '620702100002', 'S1')");
	write_by(&town, "INSERT INTO relief(id, unit_code, number) VALUES('c', '620702100001', 'S1')");      /* in the same unit */
	everybody();
	assert_int_equal(FOUND(&town), 0);
	registers[0].identity = identity;
	registers[0].nidentity = 1;
	publish(3, 3);                               /* rows that were there are looked at */
	everybody();
	assert_int_equal(FOUND(&town), 3);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_issue WHERE text LIKE '%620702100002%relief%' AND key IN ('a', 'c')"), 2);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_issue WHERE text LIKE '%S1%' OR text LIKE '%''a''%'"), 0);
	assert_int_equal(FOUND(&county), 0);
	assert_int_equal(FOUND(&village), 0);
	write_by(&village, "UPDATE relief SET number = NULL WHERE id = 'c'");
	everybody();
	assert_int_equal(FOUND(&town), 2);
	write_by(&town, "DELETE FROM relief WHERE id = 'b'");
	assert_int_equal(FOUND(&town), 0);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_duplicate"), 0);
	/* Two townships: the county. */
	write_by(&county, "INSERT INTO relief(id, unit_code, number) VALUES('d', '620702200001', 'S1')");
	everybody();
	assert_int_equal(FOUND(&county), 2);
	assert_int_equal(FOUND(&town), 0);
	write_by(&county, "UPDATE relief SET unit_code = '620702100001' WHERE id = 'd'");
	everybody();
	assert_int_equal(FOUND(&county), 0);
	write_by(&county, "UPDATE relief SET unit_code = '620702100002' WHERE id = 'd'");
	everybody();
	assert_int_equal(FOUND(&county), 0);
	assert_int_equal(FOUND(&town), 2);
	registers[0].nidentity = 0;
	publish(4, 3);
	everybody();
	assert_int_equal(FOUND(&town), 0);
	assert_int_equal(ask(&town, "SELECT count(*) FROM sqlite_master WHERE name GLOB 'terrace_i[0-9]*'"), 0);
}

/* What stood in the table before the policy came stays there. */
static void adopted_rows_stay(void **state)
{
	char list[20];
	const char *const words[] = { "adopt", list, "old=mine" };
	json_t *answer = NULL;

	(void)state;
	sql(&village, statements[2]);
	sql(&village, "INSERT INTO old(id, unit_code, amount) VALUES('x', '620702100001', 50)");
	publish(3, 3);
	everybody();
	assert_int_equal(ask(&county, "SELECT count(*) FROM old"), 0);       /* it waits for a plan */
	snprintf(list, sizeof list, "%016llx", (unsigned long long)village.engine->catalog->list);
	OK(engine_command(village.engine, words, 3, "test", &answer, e));
	json_decref(answer);
	hash_all(&village);
	everybody();
	assert_int_equal(ask(&village, "SELECT amount FROM old"), 50);
	assert_int_equal(ask(&county, "SELECT amount FROM old"), 50);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_issue WHERE kind = 'rule' AND state = 'open'"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORIES(county_refuses), STORIES(author_is_judged), STORIES(inserts_are_whole), STORIES(warnings), STORIES(locks),
		STORIES(proposals), STORIES(the_greater_stands), STORIES(one_identity_twice), STORIES(adopted_rows_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
