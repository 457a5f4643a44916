/* What a level may only suggest, in a county, a township and a village of one process: the row goes back to what stands,
 * and the suggestion waits for review.  All writes are plain SQL on a connection of the application's own. */
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#include "engine/install.h"
#include "engine/self.h"

#define UP(level) (1u << (level))
#define U_VILLAGE_3 UINT64_C(620702100003)

static const char *key[] = { "id" };
static const char *statements[] = {
	"CREATE TABLE house(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, amount INTEGER UNIQUE, state TEXT, phone TEXT, seen TEXT, "
	"note TEXT)",
	"CREATE TABLE member(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, house TEXT REFERENCES house(id) ON DELETE CASCADE, name TEXT)",
	"CREATE TABLE aid(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, name TEXT, amount INTEGER, checked INTEGER)",
	"CREATE TABLE visit(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, house TEXT REFERENCES house(id) ON DELETE CASCADE, day TEXT)",
};
static const char *decided[] = { "amount", "state" }, *phone[] = { "phone" }, *seen[] = { "seen" }, *named[] = { "house", "name" };
static const char *visited[] = { "house", "day" };
static const struct policy_group house_groups[] = {
	{ .name = "decision", .ncolumns = 2, .columns = decided, .own = UP(TOWNSHIP), .propose = UP(VILLAGE) },
	{ .name = "contact", .ncolumns = 1, .columns = phone, .own = UP(VILLAGE) },
	{ .name = "check", .ncolumns = 1, .columns = seen, .own = UP(PREFECTURE) },
};
static const struct policy_group member_groups[] = { { .name = "main", .ncolumns = 2, .columns = named, .own = UP(TOWNSHIP) | UP(VILLAGE) } };
static const struct policy_group visit_groups[] = { { .name = "main", .ncolumns = 2, .columns = visited, .own = UP(TOWNSHIP) | UP(VILLAGE) } };
static const char *aid_columns[] = { "name", "amount" }, *aid_checks[] = { "checked" };
static const struct policy_group aid_groups[] = {
	{ .name = "main", .ncolumns = 2, .columns = aid_columns, .own = 0x1c },
	{ .name = "check", .ncolumns = 1, .columns = aid_checks, .own = UP(COUNTY) },
};
#define REGISTER(table, rights, list, n) { .name = table, .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code", \
	.ceiling = COUNTY, .floor = VILLAGE, .create = UP(TOWNSHIP) | UP(VILLAGE), .remove = rights, .propose = UP(VILLAGE) & ~(rights), \
	.ngroups = n, .groups = list }
static const struct policy_register registers[] = {
	REGISTER("house", UP(TOWNSHIP), house_groups, 3),
	REGISTER("member", UP(TOWNSHIP), member_groups, 1),
	REGISTER("visit", UP(TOWNSHIP) | UP(VILLAGE), visit_groups, 1),
	{ .name = "aid", .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code", .ceiling = PROVINCE,
	  .floor = VILLAGE, .create = 0x1f, .remove = 0x1f, .ngroups = 2, .groups = aid_groups },
};

static int begin(void **state)
{
	static const char text[] = "policy \"relief\" { version = 2 }\n";
	const struct policy p = { .name = "relief", .version = 2, .nstatements = 4, .statements = statements, .nregisters = 4,
		                  .registers = registers, .text = { (const uint8_t *)text, sizeof text - 1 } };
	_cleanup_(buf_release) struct buf form = { 0 };
	uint64_t made;
	int r = nodes_begin(state);

	OK(policy_put(&p, &form, e));
	OK(policy_publish(county.engine, buf_slice(&form), &made, e));
	everybody();
	sql(&village, "INSERT INTO house(id, unit_code, phone, note) VALUES('a', '620702100001', '1', 'here'), "
	    "('b', '620702100001', '2', 'here')");
	seal(&village);
	everybody();
	return r;
}

static void write_by(struct node *n, const char *text)
{
	char all[2000];

	snprintf(all, sizeof all, "PRAGMA foreign_keys = ON; %s", text);
	sql(n, all);
	seal(n);
}

/* A statement that the database refuses with a sentence of ours. */
static void refused(struct node *n, const char *text, const char *say)
{
	sqlite3 *db = NULL;
	char *error = NULL;

	assert_int_equal(sqlite3_open(n->path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &error) == SQLITE_OK)
		fail_msg("not refused: %s", text);
	if (strncmp(error, "terrace: ", 9) != 0 || strstr(error, say) == NULL)
		fail_msg("%s: %s", text, error);
	sqlite3_free(error);
	sqlite3_close(db);
}

static void decide(int64_t amount)
{
	char text[100];

	snprintf(text, sizeof text, "UPDATE house SET amount = %lld, state = 'set' WHERE id = 'a'", (long long)amount);
	write_by(&town, text);
	everybody();
	assert_int_equal(ask(&village, "SELECT amount FROM house WHERE id = 'a'"), amount);
}

#define HOUSE(node, column) ask(node, "SELECT " column " FROM house WHERE id = 'a'")
#define OPEN(node, group, words) ask(node, "SELECT count(*) FROM terrace_proposals WHERE group_name = '" group "' AND key = 'a' AND " \
                                           "proposed LIKE '%" words "%'")
#define WAITING(node) ask(node, "SELECT count(*) FROM terrace_quarantine")

static void equal(void)
{
	everybody();
	hash_all(&village);
	hash_all(&town);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

/* ---- a group */

static void provisional(void **state)
{
	(void)state;
	write_by(&village, "UPDATE house SET amount = 7 WHERE id = 'a'");
	assert_int_equal(HOUSE(&village, "amount"), 7);
	everybody();
	assert_int_equal(HOUSE(&county, "amount"), 7);           /* shown above as well, and open there */
	assert_int_equal(OPEN(&town, "decision", "\"amount\": 7"), 1);
	assert_int_equal(OPEN(&county, "decision", "\"amount\": 7"), 1);
	write_by(&village, "UPDATE house SET state = 'x' WHERE id = 'a'");       /* goes on from what it shows */
	everybody();
	assert_int_equal(OPEN(&county, "decision", "\"amount\": 7, \"state\": \"x\""), 1);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_proposals"), 1);
	equal();
}

static void goes_back(void **state)
{
	(void)state;
	decide(5);
	write_by(&village, "UPDATE house SET amount = 6 WHERE id = 'a'; UPDATE house SET amount = 7, phone = '9' WHERE id = 'a'");
	assert_int_equal(HOUSE(&village, "amount"), 5);          /* what stood before the first of several */
	assert_int_equal(HOUSE(&village, "state = 'set'"), 1);
	assert_int_equal(HOUSE(&village, "phone"), 9);           /* its own column stands */
	assert_int_equal(OPEN(&village, "decision", "\"amount\": 7, \"state\": \"set\""), 1);
	everybody();
	assert_int_equal(OPEN(&county, "decision", "\"amount\": 7"), 1);
	assert_int_equal(HOUSE(&county, "amount"), 5);
	/* Again: the newer suggestion takes the older one's place, and is written over what stands. */
	write_by(&village, "UPDATE house SET state = 'other' WHERE id = 'a'");
	everybody();
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_proposals"), 1);
	assert_int_equal(OPEN(&county, "decision", "\"amount\": 5, \"state\": \"other\""), 1);
	/* Typed and taken back before it was sealed: nothing was suggested. */
	write_by(&village, "UPDATE house SET amount = 8 WHERE id = 'a'; UPDATE house SET amount = 5 WHERE id = 'a'");
	assert_int_equal(OPEN(&village, "decision", "\"state\": \"other\""), 1);
	equal();
}

static void replaced_whole(void **state)
{
	(void)state;
	decide(5);
	write_by(&village, "INSERT INTO member(id, unit_code, house, name) VALUES('m', '620702100001', 'a', 'M')");
	write_by(&village, "INSERT INTO visit(id, unit_code, house, day) VALUES('v', '620702100001', 'a', 'D')");
	everybody();
	/* The row is rewritten, its children go by the application's own cascade. */
	write_by(&village, "INSERT OR REPLACE INTO house(id, unit_code, amount, phone) VALUES('a', '620702100001', 9, '3')");
	assert_int_equal(HOUSE(&village, "amount"), 5);
	assert_int_equal(HOUSE(&village, "phone"), 3);
	assert_int_equal(OPEN(&village, "decision", "\"amount\": 9, \"state\": null"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) FROM member"), 1);       /* not this level's to delete */
	assert_int_equal(ask(&village, "SELECT count(*) FROM visit"), 0);        /* this level's */
	equal();
	assert_int_equal(ask(&county, "SELECT count(*) FROM member"), 1);
	assert_int_equal(ask(&county, "SELECT count(*) FROM visit"), 0);
}

/* The value that has to come back was given to another row meanwhile. */
static void taken_meanwhile(void **state)
{
	(void)state;
	decide(5);
	write_by(&village, "UPDATE house SET amount = 6 WHERE id = 'a'; UPDATE house SET amount = 5 WHERE id = 'b'");
	assert_int_equal(WAITING(&village), 1);                  /* b suggests 5, and shows it: nobody has decided on b */
	assert_int_equal(OPEN(&village, "decision", "\"amount\": 6"), 1);
	everybody();
	assert_int_equal(HOUSE(&town, "amount"), 5);
	assert_int_equal(OPEN(&county, "decision", "\"amount\": 6"), 1);
	write_by(&village, "UPDATE house SET amount = 4 WHERE id = 'b'");
	clock_ms += 3600000;
	hash_all(&village);
	assert_int_equal(WAITING(&village), 0);
	assert_int_equal(HOUSE(&village, "amount"), 5);
	equal();
}

/* Two decided rows have their unique values swapped: neither can go back before the other. */
static void swapped(void **state)
{
	(void)state;
	decide(5);
	write_by(&town, "UPDATE house SET amount = 7 WHERE id = 'b'");
	everybody();
	write_by(&village, "UPDATE house SET amount = NULL WHERE id = 'a'; UPDATE house SET amount = 5 WHERE id = 'b'; "
	         "UPDATE house SET amount = 7 WHERE id = 'a'");
	assert_int_equal(OPEN(&village, "decision", "\"amount\": 7"), 1);
	clock_ms += 3600000;
	hash_all(&village);
	assert_int_equal(WAITING(&village), 0);
	assert_int_equal(HOUSE(&village, "amount"), 5);
	assert_int_equal(HOUSE(&village, "note = 'here'"), 1);
	assert_int_equal(ask(&village, "SELECT amount FROM house WHERE id = 'b'"), 7);
	equal();
	/* The same from above: it comes row by row. */
	write_by(&town, "UPDATE house SET amount = NULL WHERE id = 'a'; UPDATE house SET amount = 5 WHERE id = 'b'; "
	         "UPDATE house SET amount = 7 WHERE id = 'a'");
	everybody();
	clock_ms += 3600000;
	hash_all(&village);
	hash_all(&county);
	assert_int_equal(WAITING(&village), 0);
	assert_int_equal(HOUSE(&village, "amount"), 7);
	assert_int_equal(HOUSE(&village, "note = 'here'"), 1);
	equal();
}

/* More log rows than one slice takes: the first value that stood is the one before all of them. */
static void many_in_one_seal(void **state)
{
	(void)state;
	sql(&village, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3500) "
	    "INSERT INTO house(id, unit_code, phone) SELECT 'x' || i, '620702100001', i FROM n");
	seal(&village);
	everybody();
	sql(&town, "UPDATE house SET state = 'stands'");
	seal(&town);
	everybody();
	sql(&village, "UPDATE house SET state = 'once'; UPDATE house SET state = 'twice'; DELETE FROM house WHERE id GLOB 'x*'");
	seal(&village);
	assert_int_equal(ask(&village, "SELECT count(*) FROM house WHERE state = 'stands'"), 3502);
	assert_int_equal(ask(&village, "SELECT count(*) FROM house WHERE id GLOB 'x*' AND phone = substr(id, 2)"), 3500);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_proposals WHERE group_name = 'decision' AND proposed LIKE '%twice%'"), 3502);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_proposals WHERE group_name = 'row'"), 3500);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_back"), 0);
	assert_int_equal(WAITING(&village), 0);
}

/* ---- the row */

static void delete_suggested(void **state)
{
	(void)state;
	decide(5);
	write_by(&village, "INSERT INTO member(id, unit_code, house, name) VALUES('a', '620702100001', 'a', 'M')");
	everybody();
	write_by(&village, "UPDATE house SET amount = 6, phone = '7' WHERE id = 'a'; DELETE FROM house WHERE id = 'a'");
	assert_int_equal(HOUSE(&village, "amount"), 5);
	assert_int_equal(HOUSE(&village, "phone"), 7);           /* what it wrote of its own before */
	assert_int_equal(HOUSE(&village, "note = 'here'"), 1);   /* what does not travel as well */
	assert_int_equal(ask(&village, "SELECT count(*) FROM member"), 1);
	assert_int_equal(OPEN(&village, "row", "\"alive\": false"), 2);  /* house and member */
	assert_int_equal(OPEN(&village, "decision", "\"amount\": 6"), 1);
	equal();
	assert_int_equal(OPEN(&county, "row", "\"alive\": false"), 2);
	assert_int_equal(HOUSE(&county, "phone"), 7);
	/* What the township does, it does. */
	write_by(&town, "DELETE FROM house WHERE id = 'a'");
	equal();
	assert_int_equal(ask(&village, "SELECT count(*) FROM house"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) FROM member"), 0);
}

/* It went, and its unique value is another's now. */
static void delete_and_taken(void **state)
{
	(void)state;
	decide(5);
	write_by(&village, "DELETE FROM house WHERE id = 'a'; UPDATE house SET amount = 5 WHERE id = 'b'");
	assert_int_equal(WAITING(&village), 1);
	assert_int_equal(OPEN(&village, "row", "\"alive\": false"), 1);
	everybody();
	assert_int_equal(HOUSE(&county, "amount"), 5);
	write_by(&village, "UPDATE house SET amount = 4 WHERE id = 'b'");
	clock_ms += 3600000;
	hash_all(&village);
	assert_int_equal(HOUSE(&village, "amount"), 5);
	assert_int_equal(HOUSE(&village, "phone"), 1);
	equal();
}

static void move_suggested(void **state)
{
	(void)state;
	/* The village creates, and so moves within its scope; what leaves the scope is for who stands above both. */
	write_by(&village, "UPDATE house SET unit_code = '620702100002', phone = '8' WHERE id = 'a'");
	assert_int_equal(HOUSE(&village, "unit_code = '620702100001'"), 1);
	assert_int_equal(HOUSE(&village, "phone"), 8);
	assert_int_equal(OPEN(&village, "row", "620702100002"), 1);
	equal();
	assert_int_equal(OPEN(&town, "row", "620702100002"), 1);
	/* A unit that is nobody's: the row keeps its own, and an issue says why. */
	write_by(&village, "UPDATE house SET unit_code = '99' WHERE id = 'b'");
	assert_int_equal(ask(&village, "SELECT unit_code = '620702100001' FROM house WHERE id = 'b'"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_issue WHERE kind = 'bad-unit' AND state = 'open'"), 1);
	equal();
}

/* ---- unmanned units */

static void revoked(struct node *by, uint64_t unit)
{
	struct arena a = { 0 };
	struct peer peer;
	bool found;

	OK(engine_begin(by->engine, e));
	OK(peer_get(by->engine->db, unit, &a, &peer, &found, e));
	assert_true(found);
	peer.revoked = true;
	OK(peer_put(by->engine->db, &peer, clock_ms, e));
	OK(engine_reload_children(by->engine, e));
	OK(engine_commit(by->engine, e));
	arena_release(&a);
}

static void township_acts(void **state)
{
	struct node third = { 0 };

	(void)state;
	/* Nobody is in village 3: the township writes its contact group there, and only there. */
	refused(&town, "UPDATE house SET phone = '5' WHERE id = 'a'", "village");
	refused(&town, "INSERT INTO house(id, unit_code, phone) VALUES('t', '620702100001', '5')", "village");
	refused(&town, "INSERT OR REPLACE INTO house(id, unit_code, phone) VALUES('a', '620702100001', '5')", "village");
	refused(&town, "UPDATE house SET phone = '5' WHERE id = 'b'", "decided by village");
	refused(&county, "UPDATE house SET amount = 5", "township");
	refused(&county, "DELETE FROM house WHERE id = 'a'", "township");
	refused(&county, "INSERT INTO house(id, unit_code) VALUES('t', '620702100003')", "township");
	refused(&village, "UPDATE house SET seen = 'x'", "prefecture");
	write_by(&town, "INSERT INTO house(id, unit_code, phone, amount) VALUES('c', '620702100003', '5', 50)");
	write_by(&town, "UPDATE house SET phone = '6' WHERE id = 'c'");
	assert_int_equal(ask(&town, "SELECT phone FROM house WHERE id = 'c'"), 6);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_record"), 0);
	equal();
	assert_int_equal(ask(&county, "SELECT phone FROM house WHERE id = 'c'"), 6);
	/* Under a unit of its own nobody below could decide. */
	refused(&town, "INSERT INTO house(id, unit_code, phone) VALUES('t', '620702100000', '5')", "village");
	/* The county acts for a level above the top. */
	write_by(&county, "UPDATE house SET seen = 'yes' WHERE id = 'c'");
	assert_int_equal(ask(&county, "SELECT seen = 'yes' FROM house WHERE id = 'c'"), 1);
	/* The village gets its node: rows come down, and the right is its own from now on. */
	join(&third, &town, U_VILLAGE_3, "third");
	contact(&third, &town);
	everybody();
	contact(&third, &town);
	assert_int_equal(ask(&third, "SELECT phone FROM house WHERE id = 'c'"), 6);
	assert_int_equal(ask(&third, "SELECT count(*) FROM house"), 1);
	refused(&town, "UPDATE house SET phone = '7' WHERE id = 'c'", "village");
	write_by(&third, "UPDATE house SET phone = '8', amount = 51 WHERE id = 'c'");
	contact(&third, &town);
	assert_int_equal(ask(&town, "SELECT phone FROM house WHERE id = 'c'"), 8);
	assert_int_equal(ask(&town, "SELECT amount FROM house WHERE id = 'c'"), 50);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_proposals WHERE key = 'c' AND proposed LIKE '%51%'"), 1);
	close_node(&third);
	identity_release(&third.id);
	/* Its machine is gone for good: from then on the township acts again. */
	revoked(&town, U_VILLAGE_3);
	write_by(&town, "UPDATE house SET phone = '9' WHERE id = 'c'");
	assert_int_equal(ask(&town, "SELECT phone FROM house WHERE id = 'c'"), 9);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_record"), 0);
	equal();
}

/* A suggestion of the township, for a village without a node, is there when the village gets one. */
static void late_village(void **state)
{
	static const struct policy_group suggested[] = {
		{ .name = "decision", .ncolumns = 2, .columns = decided, .own = UP(COUNTY), .propose = UP(VILLAGE) },
		{ .name = "contact", .ncolumns = 1, .columns = phone, .own = UP(VILLAGE) },
		{ .name = "check", .ncolumns = 1, .columns = seen, .own = UP(PREFECTURE) },
	};
	static const char text[] = "policy \"relief\" { version = 3 }\n";
	struct policy_register other[4] = { registers[0], registers[1], registers[2], registers[3] };
	const struct policy p = { .name = "relief", .version = 3, .nstatements = 4, .statements = statements, .nregisters = 4,
		                  .registers = other, .text = { (const uint8_t *)text, sizeof text - 1 } };
	_cleanup_(buf_release) struct buf form = { 0 };
	struct node third = { 0 };
	uint64_t made;

	(void)state;
	other[0].groups = suggested;
	OK(policy_put(&p, &form, e));
	OK(policy_publish(county.engine, buf_slice(&form), &made, e));
	everybody();
	refused(&town, "UPDATE house SET amount = 9 WHERE id = 'a'", "county");  /* the village suggests for itself */
	write_by(&town, "INSERT INTO house(id, unit_code, amount) VALUES('c', '620702100003', 50)");
	everybody();
	write_by(&county, "UPDATE house SET amount = 40 WHERE id = 'c'");
	everybody();
	write_by(&town, "UPDATE house SET amount = 60 WHERE id = 'c'");
	assert_int_equal(ask(&town, "SELECT amount FROM house WHERE id = 'c'"), 40);
	everybody();
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_proposals WHERE key = 'c' AND proposed LIKE '%60%'"), 1);
	join(&third, &town, U_VILLAGE_3, "third");
	contact(&third, &town);
	everybody();
	contact(&third, &town);
	assert_int_equal(ask(&third, "SELECT amount FROM house WHERE id = 'c'"), 40);
	assert_int_equal(ask(&third, "SELECT count(*) FROM terrace_proposals WHERE key = 'c' AND proposed LIKE '%60%'"), 1);
	close_node(&third);
	identity_release(&third.id);
}

#define STORIES(name) cmocka_unit_test_setup_teardown(name, begin, nodes_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORIES(provisional), STORIES(goes_back), STORIES(replaced_whole), STORIES(taken_meanwhile), STORIES(swapped), STORIES(many_in_one_seal),
		STORIES(delete_suggested), STORIES(delete_and_taken), STORIES(move_suggested), STORIES(township_acts), STORIES(late_village),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
