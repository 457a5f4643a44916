/* Records: one a losing value, its travelling form, quarantine, issues, the sync log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/records.h"

#define COUNTY UINT64_C(620702000000)
#define TOWN UINT64_C(620702100000)
#define VILLAGE UINT64_C(620702100001)

static char path[64];
static struct db *db;
static struct err e;

#define OK(call) do { \
	int ok_ = (call); \
	if (ok_ != 0) \
		fail_msg("%s: %s", #call, e.text); \
} while (0)

static int begin(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/terrace-records-%d.db", (int)getpid());
	unlink(path);
	return db_open(path, DB_MAKE, &db, &e);
}

static int end(void **state)
{
	char more[80];

	(void)state;
	db_close(db);
	unlink(path);
	snprintf(more, sizeof more, "%s-wal", path);
	unlink(more);
	snprintf(more, sizeof more, "%s-shm", path);
	unlink(more);
	return 0;
}

static struct record lost(uint64_t tick, uint64_t decider, const char *key)
{
	return (struct record){
		.reg = "household", .group = "decision", .key = { .type = CELL_TEXT, .s = slice_of(key) },
		.lost = { VILLAGE, { tick, 9 } }, .unit = VILLAGE, .kind = "superseded", .why = NULL, .say = "低于标准", .rule = 5,
		.decider = decider, .policy = UINT64_MAX, .at_ms = -5, .tree_s = 1764000000, .kept = slice_of("kept"),
		.lost_value = slice_of("lost"), .kept_text = "{\"a\":1}", .lost_text = "{\"a\":2}", .vouched = true,
	};
}

static struct record held(int64_t id, struct arena *a)
{
	struct record r = { 0 };
	bool found = false;

	OK(record_get(db, id, a, &r, &found, &e));
	assert_true(found);
	return r;
}

static void test_one_a_value(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct record r = lost(10, TOWN, "H-1");
	int64_t id, other;
	bool found;

	(void)state;
	OK(record_put(db, &r, &id, &e));
	assert_int_not_equal(id, 0);
	OK(record_put(db, &r, &other, &e));
	assert_int_equal(other, 0);                      /* the same once more */
	/* Decided higher up: that word stands, under the same number. */
	r.decider = COUNTY;
	r.kind = "refused";
	OK(record_put(db, &r, &other, &e));
	assert_int_equal(other, id);
	assert_string_equal(held(id, &a).kind, "refused");
	r.decider = TOWN;
	r.kind = "superseded";
	OK(record_put(db, &r, &other, &e));
	assert_int_equal(other, 0);
	assert_string_equal(held(id, &a).kind, "refused");
	/* A later value of the same author takes the place of the open record; an earlier one comes too late. */
	r = lost(12, TOWN, "H-1");
	OK(record_put(db, &r, &other, &e));
	assert_int_not_equal(other, 0);
	OK(record_get(db, id, &a, &r, &found, &e));
	assert_true(!found || other == id);
	r = lost(11, TOWN, "H-1");
	OK(record_put(db, &r, &id, &e));
	assert_int_equal(id, 0);
	r = lost(3, TOWN, "H-2");                        /* of another row */
	OK(record_put(db, &r, &id, &e));
	assert_int_not_equal(id, 0);
}

static void test_form(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf b = { 0 }, again = { 0 };
	struct record r = lost(20, COUNTY, "H-3"), got;
	int64_t id;

	(void)state;
	OK(record_put(db, &r, &id, &e));
	r = held(id, &a);
	record_encode(&b, &r);
	OK(record_decode(buf_slice(&b), &a, &got, &e));
	assert_string_equal(got.say, "低于标准");
	assert_null(got.why);
	assert_int_equal(got.base.n, 0);
	assert_true(got.vouched);
	assert_int_equal(got.at_ms, -5);
	assert_string_equal(got.state, "open");
	assert_true(cell_equal(got.key, r.key));
	record_encode(&again, &got);
	assert_true(slice_equal(buf_slice(&b), buf_slice(&again)));
	for (size_t n = 0; n < b.n; n++)                 /* cut anywhere it is malformed */
		assert_int_equal(record_decode((struct slice){ b.p, n }, &a, &got, &e), ERR_FORMAT);
	buf_put_u8(&b, 0);
	assert_int_equal(record_decode(buf_slice(&b), &a, &got, &e), ERR_FORMAT);
}

static const char *resolved(void *arg, struct ident held, struct slice value)
{
	assert_string_equal(value.n == 4 ? "lost" : "", "lost");
	return ident_equal(*(const struct ident *)arg, held) ? "resolved" : NULL;
}

static void test_resolved(void **state)
{
	struct ident other = { VILLAGE, { 29, 9 } };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct record r = lost(30, TOWN, "H-4");
	struct record_counts counts;
	int64_t id;

	(void)state;
	OK(record_put(db, &r, &id, &e));
	OK(record_counts(db, &counts, &e));
	assert_true(counts.conflicts > 0);
	OK(record_settle(db, "household", r.key, "decision", resolved, &other, &e));
	assert_string_equal(held(id, &a).state, "open");
	assert_true(record_any_open(db));
	OK(record_settle(db, "household", r.key, "decision", resolved, &r.lost, &e));
	assert_string_equal(held(id, &a).state, "resolved");
}

static int count_row(void *arg, const struct waiting *w)
{
	assert_int_equal(w->reg, 4);
	assert_int_equal(w->key.i, 8);
	(*(int *)arg)++;
	return 0;
}

static void test_quarantine(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	const struct reg r = { .number = 4, .name = "person" };
	const struct cell key = { .type = CELL_INT, .i = 8 };
	struct slice value;
	bool found, alive;
	int n = 0;

	(void)state;
	assert_false(quarantine_any(db));
	OK(quarantine_put(db, &r, key, true, slice_of("value"), "unique", 1, &e));
	OK(quarantine_put(db, &r, key, false, slice_of("later"), "unique", 2, &e));
	assert_true(quarantine_any(db));
	OK(quarantine_get(db, &r, key, &a, &found, &alive, &value, &e));
	assert_true(found && !alive && slice_equal(value, slice_of("later")));
	OK(quarantine_each(db, 0, count_row, &n, &e));
	assert_int_equal(n, 1);
	OK(quarantine_drop(db, &r, key, &e));
	assert_false(quarantine_any(db));
	OK(quarantine_get(db, &r, key, &a, &found, &alive, &value, &e));
	assert_false(found);
}

static int64_t count(const char *sql)
{
	sqlite3_stmt *s;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(db->sql, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

static void test_issues(void **state)
{
	const struct cell none = { .type = CELL_NULL }, key = { .type = CELL_INT, .i = 3 };

	(void)state;
	OK(issue_put(db, "bad-unit", "person", key, TOWN, "one", 1, &e));
	OK(issue_put(db, "bad-unit", "person", key, TOWN, "two", 2, &e));
	OK(issue_put(db, "clock", NULL, none, UNIT_NONE, "skew", 3, &e));
	OK(issue_put(db, "clock", NULL, none, UNIT_NONE, "skew", 4, &e));      /* without a row there is one of it too */
	assert_int_equal(count("SELECT count(*) FROM terrace_issue"), 2);
	assert_int_equal(count("SELECT since FROM terrace_issue WHERE kind = 'bad-unit'"), 1);
	OK(issue_solved(db, "bad-unit", "person", key, &e));
	OK(issue_solved(db, "clock", NULL, none, &e));
	assert_int_equal(count("SELECT count(*) FROM terrace_issue WHERE state = 'open'"), 0);
	OK(issue_put(db, "bad-unit", "person", key, TOWN, "again", 9, &e));
	assert_int_equal(count("SELECT since FROM terrace_issue WHERE kind = 'bad-unit' AND state = 'open'"), 9);
}

static void test_events(void **state)
{
	(void)state;
	OK(event_put(db, 1, 6, "apply", TOWN, "delta 1", "x", &e));
	OK(event_put(db, 2, 6, "seal", UNIT_NONE, NULL, "y", &e));
	OK(event_reclaim(db, 2, 100, &(bool){ false }, &e));
	assert_int_equal(count("SELECT count(*) FROM terrace_event"), 1);
	assert_int_equal(count("SELECT peer IS NULL FROM terrace_event"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_a_value), cmocka_unit_test(test_form), cmocka_unit_test(test_resolved),
		cmocka_unit_test(test_quarantine), cmocka_unit_test(test_issues), cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
