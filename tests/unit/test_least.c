/* What our connections cannot be made to do by what a file or a policy holds, and names that are SQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "store/db.h"

static char path[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/test_least.XXXXXX");
	int fd = mkstemp(path);

	return fd < 0 || close(fd) != 0 || unlink(path) != 0;
}

static int tear_down(void **state)
{
	char journal[80];

	(void)state;
	for (const char *const *end = (const char *const[]){ "", "-wal", "-shm", NULL }; *end; end++) {
		snprintf(journal, sizeof journal, "%s%s", path, *end);
		unlink(journal);
	}
	return 0;
}

static int64_t ask(struct db *db, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t x = INT64_MIN;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		x = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return x;
}

static void test_confined(void **state)
{
	static const struct { int limit, most; } limits[] = {
		{ SQLITE_LIMIT_ATTACHED, 0 }, { SQLITE_LIMIT_WORKER_THREADS, 0 }, { SQLITE_LIMIT_TRIGGER_DEPTH, 20 },
		{ SQLITE_LIMIT_EXPR_DEPTH, 1000 }, { SQLITE_LIMIT_SQL_LENGTH, 4 << 20 },
	};
	struct err err = { 0 };
	struct db *db = NULL;

	(void)state;
	for (int mode = 0; mode < 2; mode++) {
		assert_int_equal(db_open(path, mode == 0 ? DB_MAKE : DB_READ, &db, &err), 0);
		for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
			assert_true(sqlite3_limit(db->sql, limits[i].limit, -1) <= limits[i].most);
		assert_int_equal(ask(db, "PRAGMA trusted_schema"), 0);
		assert_int_not_equal(sqlite3_exec(db->sql, "ATTACH ':memory:' AS other", NULL, NULL, NULL), SQLITE_OK);
		assert_int_not_equal(sqlite3_exec(db->sql, "SELECT load_extension('x')", NULL, NULL, NULL), SQLITE_OK);
		assert_int_not_equal(sqlite3_exec(db->sql, "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = ''", NULL,
		                                  NULL, NULL), SQLITE_OK);
		db_close(db);
	}
}

/* A trigger in the application's file does not run on our connection. */
static void test_no_triggers(void **state)
{
	struct err err = { 0 };
	struct db *db = NULL;

	(void)state;
	assert_int_equal(db_open(path, DB_MAKE, &db, &err), 0);
	assert_int_equal(db_exec(db, "CREATE TABLE t(a); CREATE TABLE u(a); CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO u "
	                         "VALUES(1); END; INSERT INTO t VALUES(1)", &err), 0);
	assert_int_equal(ask(db, "SELECT count(*) FROM u"), 0);
	db_close(db);
}

static void test_names(void **state)
{
	static const char *const names[] = { "a\"; DROP TABLE t; --", "\"", "\"\"", "'", "a b", "\xe6\x88\xb7", "select", "]", "`", "" };
	struct err err = { 0 };
	struct db *db = NULL;

	(void)state;
	assert_int_equal(db_open(path, DB_MAKE, &db, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(buf_release) struct buf b = { 0 };

		buf_put(&b, "SELECT n = ", 11);
		literal_put(&b, names[i]);
		buf_put(&b, " FROM (SELECT ", 14);
		literal_put(&b, names[i]);
		buf_put(&b, " AS n, 1 AS ", 12);
		identifier_put(&b, names[i]);
		buf_put(&b, ")", 1);
		assert_int_equal(ask(db, buf_text(&b)), 1);
	}
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_confined, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_triggers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("least privilege", tests, NULL, NULL);
}
