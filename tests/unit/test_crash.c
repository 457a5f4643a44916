/* Crash: at the n-th write, sync, truncation or deletion the machine dies, or the disk refuses once; n = 1, 2, ... until
 * the story passes untouched.  Whatever n, the node comes right alone: what the application committed is everywhere, what
 * a neighbour acknowledged it still has (no link heals, nothing alarms), and every level is equal.
 *
 * Every n is tried with CRASH_ALL=1 (make check-deep); else a sample that moves on with each n. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nodes.h"

#include "base/file.h"
#include "disk.h"

#define KEYS 12

struct story {
	struct node *victim;
	bool written[KEYS];              /* the application's commit came back whole */
	uint32_t writes;
};

/* ---- as the application does; its own write may fail with the disk */

static bool write_row(struct node *n, const char *text)
{
	sqlite3 *db;
	bool ok = sqlite3_open(n->path, &db) == SQLITE_OK;

	sqlite3_busy_timeout(db, 100);
	ok = ok && sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK;
	sqlite3_close(db);
	return ok;
}

static void insert(struct story *s, struct node *n, int key, const char *unit)
{
	char text[200];

	snprintf(text, sizeof text, "INSERT INTO aid VALUES('c%d', '%s', '张三', %d, NULL)", key, unit, key);
	s->written[key] = write_row(n, text);
	s->writes++;
}

static void update(struct node *n, int key, int amount)
{
	char text[200];

	snprintf(text, sizeof text, "UPDATE aid SET amount = %d WHERE id = 'c%d'", amount, key);
	write_row(n, text);
}

/* ---- the road, where every step may fail */

static bool say_hello(struct node *child, struct node *parent)
{
	struct orders orders = { .again = true };
	struct err say;

	for (int i = 0; i < 5 && orders.again; i++) {
		_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 };

		if (engine_hello_make(child->engine, &body, &say) != 0
		    || engine_hello_answer(parent->engine, facts(child), buf_slice(&body), &answer, &say) != 0
		    || engine_hello_take(child->engine, buf_slice(&answer), &orders, &say) != 0)
			return false;
	}
	return true;
}

static bool up(struct node *child, struct node *parent)
{
	_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 };
	struct err say;
	int rc;

	if (engine_push_make(child->engine, 1u << 20, &body, &say) != 0 || body.n == 0)
		return false;
	rc = engine_push_answer(parent->engine, facts(child), buf_slice(&body), &answer, &say);
	if (rc != 0 && err_http(rc) != 409)
		return false;
	return engine_push_take(child->engine, rc == 0 ? 200 : 409, buf_slice(&answer), &say) == 0;
}

static bool down(struct node *child, struct node *parent)
{
	_cleanup_(buf_release) struct buf receipt = { 0 }, body = { 0 };
	struct digest hash;
	struct err say;
	uint64_t after;

	return engine_feed_make(child->engine, &after, &hash, &receipt, &say) == 0
		&& engine_feed_answer(parent->engine, facts(child), after, &hash, buf_slice(&receipt), 1u << 20, &body, &say) == 0
		&& body.n != 0 && engine_feed_take(child->engine, buf_slice(&body), &say) == 0;
}

static void meet(struct node *child, struct node *parent)
{
	for (int i = 0; i < 12 && child->engine != NULL && parent->engine != NULL; i++) {
		bool busy = false;

		clock_ms += 10;
		if (engine_hello_due(child->engine))
			busy = say_hello(child, parent);
		busy = up(child, parent) || busy;
		busy = down(child, parent) || busy;
		if (!busy)
			return;
	}
}

static void pass_time(struct node *n)
{
	for (int i = 0; i < 8; i++) {
		clock_ms += 400;
		engine_tick(n->engine, i == 0);
	}
}

/* ---- the story; it stops where the machine dies */

static void put_in(struct node *n)
{
	struct err say;

	engine_seal(n->engine, &say);
}

#define STEP(call) do { \
	call; \
	if (disk_struck() && dies) \
		return; \
} while (0)

static void tell(struct story *s, bool dies)
{
	STEP(insert(s, &village, 0, "620702100001"));
	STEP(put_in(&village));
	STEP(insert(s, &town, 1, "620702100000"));
	STEP(meet(&village, &town));
	STEP(put_in(&town));
	STEP(meet(&town, &county));
	STEP(insert(s, &village, 2, "620702100001"));
	STEP(insert(s, &village, 3, "620702100001"));
	STEP(update(&county, 0, 70));
	STEP(put_in(&county));
	STEP(put_in(&village));
	STEP(pass_time(&village));
	STEP(meet(&village, &town));
	STEP(meet(&town, &county));
	STEP(pass_time(&town));
	STEP(pass_time(&county));
	STEP(insert(s, &county, 4, "620702100001"));
	STEP(put_in(&county));
	STEP(meet(&town, &county));
	STEP(meet(&village, &town));
	STEP(update(&village, 4, 44));
	STEP(put_in(&village));
	STEP(meet(&village, &town));
	STEP(meet(&town, &county));
	STEP(pass_time(&town));
}

/* ---- before and after */

static struct node *const nodes[] = { &county, &town, &village };

static void copy_disks(const char *from, const char *to)
{
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		_cleanup_(buf_release) struct buf content = { 0 };
		char source[140], target[140];

		snprintf(source, sizeof source, "%s%s", nodes[i]->path, from);
		snprintf(target, sizeof target, "%s%s", nodes[i]->path, to);
		OK(file_read(source, 1u << 30, &content, e));
		assert_true(disk_put(target, buf_slice(&content)));
	}
}

static void sweep(struct node *n)
{
	static const char *const parts[] = { "-wal", "-shm", "-journal" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		char name[140];

		snprintf(name, sizeof name, "%s%s", n->path, parts[i]);
		unlink(name);
	}
}

static void expect_equal(struct story *s, uint32_t n)
{
	for (int i = 0; i < KEYS; i++) {
		char text[100];
		int64_t at_county;

		snprintf(text, sizeof text, "SELECT amount FROM aid WHERE id = 'c%d'", i);
		at_county = ask(&county, text);
		if (ask(&town, text) != at_county || (i != 1 && ask(&village, text) != at_county))
			fail_msg("at %u: row c%d differs", n, i);
		if (s->written[i] && at_county == INT64_MIN)
			fail_msg("at %u: row c%d was committed and is lost", n, i);
	}
}

static void expect_calm(struct node *n, uint32_t at, bool dies)
{
	if (n->alarms != 0 && (dies || strstr(n->last_alarm, "disk") == NULL))
		fail_msg("at %u: alarm at %012llu: %s", at, (unsigned long long)n->id.unit, n->last_alarm);
	if (ask(n, "SELECT count(*) FROM terrace_event WHERE kind = 'heal'") != ask(n, "SELECT heals FROM before_story"))
		fail_msg("at %u: %012llu healed: what it had acknowledged was gone", at, (unsigned long long)n->id.unit);
}

static bool one(struct story *s, uint32_t at, enum disk_fault fault)
{
	bool struck;

	copy_disks(".base", "");
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		sweep(nodes[i]);
	disk_arm(s->victim->path, at, fault);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		open_node(nodes[i]);
		nodes[i]->alarms = 0;
	}
	clock_ms += 1000;
	tell(s, fault == DISK_DIES);
	struck = disk_struck();
	if (struck && fault == DISK_DIES) {
		close_node(s->victim);
		assert_true(disk_power_cut(at));
		s->victim->alarms = 0;           /* it said that its disk was failing */
		open_node(s->victim);
	} else if (!struck) {
		disk_arm(s->victim->path, 0, fault);
	}
	for (int i = 0; i < 3; i++) {
		clock_ms += 5000;
		for (size_t k = 0; k < ARRAY_SIZE(nodes); k++)
			seal(nodes[k]);
		everybody();
	}
	expect_equal(s, at);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		expect_calm(nodes[i], at, fault == DISK_DIES);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		close_node(nodes[i]);
	return struck;
}

/* n = 1, 2, ... until nothing is struck any more. */
static void until_untouched(struct node *victim, enum disk_fault fault)
{
	uint32_t step = getenv("CRASH_ALL") != NULL ? 1 : fault == DISK_DIES ? 13 : 23, tried = 0, n;
	bool struck = true;

	for (n = 1; struck; n += step) {
		struct story s = { .victim = victim };

		struck = one(&s, n, fault);
		tried++;
		assert_true(n < 5000);
	}
	assert_true(tried > 5);                  /* the story does write */
	printf("%012llu: %u of %u calls tried\n", (unsigned long long)victim->id.unit, tried, n);
}

static void test_village_dies(void **state) { (void)state; until_untouched(&village, DISK_DIES); }
static void test_town_dies(void **state) { (void)state; until_untouched(&town, DISK_DIES); }
static void test_county_dies(void **state) { (void)state; until_untouched(&county, DISK_DIES); }
static void test_village_refused(void **state) { (void)state; until_untouched(&village, DISK_ERROR); }
static void test_town_full(void **state) { (void)state; until_untouched(&town, DISK_FULL); }
static void test_county_full(void **state) { (void)state; until_untouched(&county, DISK_FULL); }

static int begin(void **state)
{
	disk_start();
	if (nodes_begin(state) != 0)
		return -1;
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		sql(nodes[i], "CREATE TABLE before_story AS SELECT count(*) AS heals FROM terrace_event WHERE kind = 'heal'");
		close_node(nodes[i]);
	}
	copy_disks("", ".base");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_village_dies), cmocka_unit_test(test_town_dies), cmocka_unit_test(test_county_dies),
		cmocka_unit_test(test_village_refused), cmocka_unit_test(test_town_full), cmocka_unit_test(test_county_full),
	};

	return cmocka_run_group_tests(tests, begin, nodes_end);
}
