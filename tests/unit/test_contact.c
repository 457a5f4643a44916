/* Contact between whole nodes: deltas, feed, settled; lost and repeated bodies; restored disks, twins. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nodes.h"

#include "base/file.h"

static void test_up_and_down(void **state)
{
	(void)state;
	assert_true(town.engine->ready && village.engine->ready);
	sql(&village, "INSERT INTO aid VALUES('a', '620702100001', '张三', 100, NULL)");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&town, "a"), 100);
	assert_int_equal(AMOUNT(&county, "a"), 100);
	sql(&county, "UPDATE aid SET amount = 120, checked = 1 WHERE id = 'a'");
	seal(&county);
	everybody();
	assert_int_equal(AMOUNT(&town, "a"), 120);
	assert_int_equal(AMOUNT(&village, "a"), 120);
	assert_int_equal(ask(&village, "SELECT checked FROM aid"), 1);
	/* Settled by the county, told all the way down. */
	assert_int_equal(ask(&village, "SELECT sum(settled) FROM terrace_stream WHERE author = 620702100001 AND stream < 5"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_receipt WHERE kind = 1 AND signer = 620702000000"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_receipt WHERE kind = 0 AND signer = 620702100000"), 1);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_receipt WHERE kind = 0 AND signer = 620702100001"), 1);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_descendant"), 2);
	assert_int_equal(county.alarms + town.alarms + village.alarms, 0);
}

static void test_lost_and_repeated(void **state)
{
	_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 }, first = { 0 };

	(void)state;
	for (int i = 0; i < 30; i++) {
		char text[200];

		snprintf(text, sizeof text, "INSERT OR REPLACE INTO aid VALUES('l%d', '620702100001', '李四', %d, NULL)", i % 7, i);
		sql(i % 3 == 2 ? &town : &village, text);
		seal(i % 3 == 2 ? &town : &village);
		push(&village, &town, i % 3);
		feed(&village, &town, i % 4 < 2);
		if (i == 10)                             /* a body that is kept on the road */
			OK(engine_push_make(village.engine, 1u << 20, &first, e));
	}
	everybody();
	for (int i = 0; i < 7; i++) {
		char text[100];
		int64_t amount;

		snprintf(text, sizeof text, "SELECT amount FROM aid WHERE id = 'l%d'", i);
		amount = ask(&county, text);
		assert_int_equal(ask(&village, text), amount);
		assert_int_equal(ask(&town, text), amount);
	}
	/* Late and twice: nothing happens, the answer is the same place. */
	for (int i = 0; i < 2; i++) {
		buf_clear(&answer);
		OK(engine_push_answer(town.engine, facts(&village), buf_slice(&first), &answer, e));
	}
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

static void test_many_rows(void **state)
{
	(void)state;
	sql(&county, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) "
	    "INSERT INTO aid SELECT 'm' || i, '620702100001', '王五' || i, i, NULL FROM n");
	seal(&county);
	everybody();
	assert_int_equal(ask(&village, "SELECT count(*) FROM aid WHERE id LIKE 'm%'"), 6000);
	sql(&village, "DELETE FROM aid WHERE id LIKE 'm%' AND amount > 10");
	seal(&village);
	everybody();
	assert_int_equal(ask(&county, "SELECT count(*) FROM aid WHERE id LIKE 'm%'"), 10);
	at_rest(&village, &town, "equal");
}

/* A row that the parent asks for comes as state with the next push, and is asked no more. */
static void test_need(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct reg *r = catalog_register(town.engine->catalog, slice_of("aid"));
	const struct cell here = { .type = CELL_TEXT, .s = slice_of("a") }, nowhere = { .type = CELL_TEXT, .s = slice_of("zz") };

	(void)state;
	OK(need_add(town.engine->db, U_VILLAGE, r->name, here, 1, e));
	OK(need_add(town.engine->db, U_VILLAGE, r->name, nowhere, 1, e));
	sql(&village, "UPDATE aid SET amount = amount + 1 WHERE id = 'a'");
	seal(&village);
	push(&village, &town, 0);                        /* its answer names the needs */
	assert_int_equal(dirty_count(village.engine->db, U_TOWN), 2);
	assert_int_equal(need_count(town.engine->db, U_VILLAGE), 2);
	assert_true(engine_push_ready(village.engine));
	push(&village, &town, 0);
	assert_int_equal(need_count(town.engine->db, U_VILLAGE), 0);
	assert_int_equal(dirty_count(village.engine->db, U_TOWN), 0);
	everybody();
	at_rest(&village, &town, "equal");
}

/* ---- disks that were restored */

static void copy_disk(struct node *n, const char *suffix, bool back)
{
	static const char *const parts[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		_cleanup_(buf_release) struct buf content = { 0 };
		char from[120], to[120];

		snprintf(back ? to : from, 120, "%s%s", n->path, parts[i]);
		snprintf(back ? from : to, 120, "%s%s%s", n->path, suffix, parts[i]);
		unlink(to);
		if (file_exists(from)) {
			OK(file_read(from, 1u << 30, &content, e));
			OK(file_write(to, buf_slice(&content), 0600, e));
		}
	}
}

static void backup(struct node *n)
{
	close_node(n);
	copy_disk(n, ".backup", false);
	open_node(n);
}

static void restore(struct node *n)
{
	close_node(n);
	copy_disk(n, ".backup", true);
	open_node(n);
}

static void test_child_restored(void **state)
{
	(void)state;
	backup(&village);
	everybody();
	sql(&village, "INSERT INTO aid VALUES('r1', '620702100001', '赵', 1, NULL)");
	seal(&village);
	sql(&village, "UPDATE aid SET amount = 2 WHERE id = 'r1'");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "r1"), 2);
	restore(&village);
	assert_int_equal(AMOUNT(&village, "r1"), INT64_MIN);
	contact(&village, &town);
	assert_int_equal(AMOUNT(&village, "r1"), 2);
	/* The next write opens an epoch, and its stream goes on from the backup's position. */
	sql(&village, "UPDATE aid SET amount = 3 WHERE id = 'r1'");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "r1"), 3);
	sql(&village, "UPDATE aid SET amount = 4 WHERE id = 'r1'");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "r1"), 4);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

static void test_relay_restored(void **state)
{
	(void)state;
	backup(&town);
	everybody();
	sql(&village, "INSERT INTO aid VALUES('p1', '620702100001', '钱', 1, NULL)");
	seal(&village);
	sql(&town, "INSERT INTO aid VALUES('p2', '620702100000', '孙', 2, NULL)");
	seal(&town);
	everybody();
	restore(&town);
	/* The village comes first: it is told to wait, the township heals with the county. */
	clock_ms += 10000;
	contact(&village, &town);
	assert_false(town.engine->ready);
	contact(&town, &county);
	assert_true(town.engine->ready);
	assert_int_equal(AMOUNT(&town, "p1"), 1);
	assert_int_equal(AMOUNT(&town, "p2"), 2);
	clock_ms += 10000;
	sql(&village, "UPDATE aid SET amount = 5 WHERE id = 'p1'");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "p1"), 5);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

static void test_top_restored(void **state)
{
	(void)state;
	backup(&county);
	everybody();
	sql(&village, "INSERT INTO aid VALUES('t1', '620702100001', '周', 1, NULL)");
	seal(&village);
	everybody();
	restore(&county);
	assert_int_equal(AMOUNT(&county, "t1"), INT64_MIN);
	town.engine->hello_due = true;
	everybody();
	assert_int_equal(AMOUNT(&county, "t1"), 1);
	sql(&county, "UPDATE aid SET amount = 9 WHERE id = 't1'");
	seal(&county);
	everybody();
	assert_int_equal(AMOUNT(&village, "t1"), 9);
	at_rest(&town, &county, "equal");
}

/* Who issued a policy is restored to before it: it comes back from below, ahead of what is judged by it. */
static void test_issuer_restored(void **state)
{
	(void)state;
	sql(&county, "INSERT INTO aid VALUES('i1', '620702100000', '卫', 1, NULL)");
	seal(&county);
	backup(&county);
	publish_aid(&county, 2, 1 << COUNTY | 1 << TOWNSHIP);
	everybody();
	assert_int_equal(ask(&village, "SELECT max(version) FROM terrace_policy WHERE state = 'active'"), 2);
	restore(&county);
	assert_int_equal(ask(&county, "SELECT max(version) FROM terrace_policy WHERE state = 'active'"), 1);
	sql(&town, "UPDATE aid SET checked = 7 WHERE id = 'i1'");
	seal(&town);
	town.engine->hello_due = true;
	everybody();
	assert_int_equal(ask(&county, "SELECT max(version) FROM terrace_policy WHERE state = 'active'"), 2);
	assert_int_equal(ask(&county, "SELECT checked FROM aid WHERE id = 'i1'"), 7);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_record WHERE kind = 'refused'"), 0);
	publish_aid(&county, 3, 1 << COUNTY | 1 << TOWNSHIP);
	everybody();
	assert_int_equal(ask(&village, "SELECT max(version) FROM terrace_policy WHERE state = 'active'"), 3);
	at_rest(&town, &county, "equal");
}

/* What was settled long ago is let go; a restored parent then gets the rest as state. */
static void test_reclaimed(void **state)
{
	(void)state;
	backup(&town);
	everybody();
	sql(&village, "INSERT INTO aid VALUES('s1', '620702100001', '沈', 1, NULL)");
	seal(&village);
	everybody();
	clock_ms += 40 * 86400 * INT64_C(1000);
	village.engine->tree_s = town.engine->tree_s = clock_ms / 1000;
	village.engine->tree_steady_ms = clock_ms;
	OK(contact_reclaim(village.engine, &(bool){ false }, e));
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_outbox"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_segment WHERE kind = 1"), 1);
	sql(&village, "INSERT INTO aid VALUES('s2', '620702100001', '韩', 2, NULL)");
	seal(&village);
	restore(&town);
	contact(&village, &town);                        /* told to wait */
	contact(&town, &county);
	clock_ms += 10000;
	everybody();
	assert_int_equal(AMOUNT(&town, "s1"), 1);
	assert_int_equal(AMOUNT(&county, "s2"), 2);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

static void test_digests_differ(void **state)
{
	uint32_t before = town.alarms;

	(void)state;
	sql(&village, "INSERT INTO aid VALUES('d1', '620702100001', '吴', 1, NULL)");
	seal(&village);
	everybody();
	at_rest(&village, &town, "equal");
	clock_ms += 2 * 3600 * 1000;
	/* The sum is falsified behind the daemon's back: it is an alarm, and mended. */
	hash_all(&village);
	close_node(&village);
	sql(&village, "CREATE TABLE right_sum AS SELECT sum FROM terrace_digest WHERE unit = 620702100001");
	sql(&village, "UPDATE terrace_digest SET sum = x'01020304050607080910111213141516' WHERE unit = 620702100001");
	open_node(&village);
	contact(&village, &town);
	hello(&village, &town, NULL);
	assert_true(town.alarms > before);
	assert_non_null(strstr(town.last_alarm, "digests differ"));
	assert_non_null(strstr(village.last_alarm, "counted anew"));
	assert_int_equal(ask(&village, "SELECT d.sum = r.sum FROM terrace_digest d, right_sum r WHERE unit = 620702100001"), 1);
	sql(&village, "DROP TABLE right_sum");
	everybody();
	at_rest(&village, &town, "equal");
}

/* A copy of the feed that comes late follows a number that is not the receiver's any more: it is left. */
static void test_late_feed(void **state)
{
	_cleanup_(buf_release) struct buf receipt = { 0 }, first = { 0 }, second = { 0 };
	struct digest hash, now;
	uint64_t after, then;

	(void)state;
	sql(&county, "INSERT INTO aid VALUES('late', '620702100001', '蒋', 1, NULL)");
	seal(&county);
	contact(&town, &county);
	OK(engine_feed_make(village.engine, &after, &hash, &receipt, e));
	OK(engine_feed_answer(town.engine, facts(&village), after, &hash, buf_slice(&receipt), 1u << 20, &first, e));
	sql(&county, "UPDATE aid SET amount = 2 WHERE id = 'late'");
	seal(&county);
	contact(&town, &county);
	OK(engine_feed_answer(town.engine, facts(&village), after, &hash, buf_slice(&receipt), 1u << 20, &second, e));
	OK(engine_feed_take(village.engine, buf_slice(&second), e));
	OK(engine_feed_make(village.engine, &after, &hash, &receipt, e));
	OK(engine_feed_take(village.engine, buf_slice(&first), e));
	OK(engine_feed_make(village.engine, &then, &now, &receipt, e));
	assert_int_equal(then, after);
	assert_int_equal(AMOUNT(&village, "late"), 2);
	everybody();
	at_rest(&village, &town, "equal");
}

/* Only the number with its own hash acknowledges; a receipt speaks of just that, and is asked for. */
static void test_false_acknowledgement(void **state)
{
	_cleanup_(buf_release) struct buf receipt = { 0 }, body = { 0 };
	struct receipt_line line = { U_TOWN, U_VILLAGE, 0, { { 0 } } };
	struct digest hash;
	struct err say;
	uint64_t after;

	(void)state;
	sql(&county, "UPDATE aid SET amount = 3 WHERE id = 'late'");
	seal(&county);
	contact(&town, &county);
	OK(engine_feed_make(village.engine, &after, &hash, &receipt, e));
	OK(engine_feed_answer(town.engine, facts(&village), after, &hash, buf_slice(&receipt), 1u << 20, &body, e));
	assert_true(body.n > 0);
	line.position = after + 1;
	line.hash.at[0] = 7;
	buf_clear(&receipt);
	receipt_make(village.engine, &line, 1, &receipt);
	assert_int_equal(engine_feed_answer(town.engine, facts(&village), after + 1, &line.hash, buf_slice(&receipt), 1u << 20, &body,
	                                    &say), ERR_HEAL);
	assert_int_equal(engine_feed_answer(town.engine, facts(&village), after + 1, &line.hash, (struct slice){ NULL, 0 }, 1u << 20,
	                                    &body, &say), ERR_FORMAT);
	assert_int_equal(engine_feed_answer(town.engine, facts(&village), after + 2, &line.hash, buf_slice(&receipt), 1u << 20, &body,
	                                    &say), ERR_FORMAT);
	everybody();
	assert_int_equal(AMOUNT(&village, "late"), 3);
	at_rest(&village, &town, "equal");
}

/* Whoever lies below learns of an epoch: who has seen what is judged there too. */
static void test_epochs_below(void **state)
{
	char text[100];

	(void)state;
	close_node(&town);
	open_node(&town);
	contact(&town, &county);
	sql(&town, "INSERT INTO aid VALUES('e1', '620702100000', '沈', 1, NULL)");
	seal(&town);
	everybody();
	snprintf(text, sizeof text, "SELECT count(*) FROM terrace_epoch WHERE epoch = %u", town.engine->epoch);
	assert_int_equal(ask(&village, text), 1);
	assert_int_equal(ask(&county, text), 1);
}

/* The application rebuilds the table: its triggers are gone, and what it writes meanwhile is found. */
static void test_rebuilt(void **state)
{
	uint32_t before = village.alarms;

	(void)state;
	hash_all(&village);
	sql(&village, "BEGIN; CREATE TABLE other(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, name TEXT, amount INTEGER, "
	    "checked INTEGER); INSERT INTO other SELECT * FROM aid; DROP TABLE aid; ALTER TABLE other RENAME TO aid; "
	    "INSERT INTO aid VALUES('b1', '620702100001', '韩', 1, NULL); COMMIT");
	clock_ms += 60000;
	hash_all(&village);
	sql(&village, "INSERT INTO aid VALUES('b2', '620702100001', '杨', 2, NULL)");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "b1"), 1);
	assert_int_equal(AMOUNT(&county, "b2"), 2);
	assert_true(village.alarms > before);
	at_rest(&village, &town, "equal");
}

/* ---- two machines, one identity */

static int rejoin(struct node *n, const char *unit)
{
	const char *const words[] = { "rejoin", unit };
	_cleanup_(json_release) json_t *ret = NULL;
	struct err say = { 0 };

	return engine_command(n->engine, words, 2, "tester", &ret, &say);
}

static void test_twin(void **state)
{
	struct node other;
	bool twin = false;

	(void)state;
	close_node(&village);
	other = village;
	copy_disk(&village, ".twin", false);
	snprintf(other.path, sizeof other.path, "%.80s.twin", village.path);
	open_node(&village);
	sql(&village, "INSERT INTO aid VALUES('w1', '620702100001', '郑', 1, NULL)");
	seal(&village);
	contact(&village, &town);
	/* The copy looks like a restored disk at first, and heals. */
	open_node(&other);
	contact(&other, &town);
	assert_int_equal(AMOUNT(&other, "w1"), 1);
	sql(&other, "UPDATE aid SET amount = 2 WHERE id = 'w1'");
	seal(&other);
	contact(&other, &town);
	assert_int_equal(AMOUNT(&town, "w1"), 2);
	/* The first one comes back. */
	hello(&village, &town, &twin);
	assert_true(twin);
	hello(&other, &town, &twin);
	assert_true(twin);
	assert_non_null(strstr(town.last_alarm, "twin"));
	assert_false(engine_push_ready(village.engine));
	assert_int_equal(feed(&village, &town, false), ERR_REFUSED);
	/* The administrator stops the copy and settles it. */
	close_node(&other);
	assert_int_equal(rejoin(&county, "620702100001"), ERR_NOT_FOUND);        /* its own parent's matter */
	assert_int_equal(rejoin(&town, "620702100001"), 0);
	assert_int_equal(rejoin(&town, "620702100001"), ERR_REFUSED);
	hello(&village, &town, &twin);
	assert_false(twin);
	everybody();
	assert_int_equal(AMOUNT(&village, "w1"), 2);
	at_rest(&village, &town, "equal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_up_and_down), cmocka_unit_test(test_lost_and_repeated), cmocka_unit_test(test_many_rows),
		cmocka_unit_test(test_need), cmocka_unit_test(test_late_feed), cmocka_unit_test(test_false_acknowledgement),
		cmocka_unit_test(test_epochs_below), cmocka_unit_test(test_rebuilt),
		cmocka_unit_test(test_child_restored), cmocka_unit_test(test_relay_restored), cmocka_unit_test(test_top_restored),
		cmocka_unit_test(test_issuer_restored),
		cmocka_unit_test(test_digests_differ), cmocka_unit_test(test_twin),
		cmocka_unit_test(test_reclaimed),
	};

	return cmocka_run_group_tests(tests, nodes_begin, nodes_end);
}
