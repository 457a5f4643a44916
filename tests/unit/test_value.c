/* Cells and keys: order like SQLite's, one canonical form, the database's joined form and back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/limits.h"
#include "core/value.h"

static struct cell integer(int64_t i)
{
	return (struct cell){ .type = CELL_INT, .i = i };
}

static struct cell real(double r)
{
	return (struct cell){ .type = CELL_REAL, .r = r };
}

static struct cell text(const char *s)
{
	return (struct cell){ .type = CELL_TEXT, .s = slice_of(s) };
}

static struct cell blob(const char *s, size_t n)
{
	return (struct cell){ .type = CELL_BLOB, .s = { (const uint8_t *)s, n } };
}

static const struct cell null = { .type = CELL_NULL, .i = 0 };

static size_t samples(struct cell *c)
{
	const struct cell all[] = {
		null, integer(INT64_MIN), integer(-1), integer(0), integer(1), integer(63), integer(64), integer(INT64_MAX),
		integer(INT64_C(9007199254740993)), real(-INFINITY), real(-1e300), real(-9223372036854775808.0), real(-1.5), real(-0.0),
		real(0.1), real(1.0), real(1.5), real(1e15), real(1e16), real(1e20), real(9007199254740992.0), real(9223372036854775808.0),
		real(INFINITY), real(2.2250738585072014e-308), real(1.0 / 3), real(5e-324), text(""), text("1"), text("12"), text("a"), text("a,b"),
		text("张三"), blob("", 0), blob("\0x", 2), blob("\xff", 1), { .type = CELL_TEXT, .s = { (const uint8_t *)"a\0b", 3 } },
	};

	memcpy(c, all, sizeof(all));
	return ARRAY_SIZE(all);
}

static void bind(sqlite3_stmt *s, int i, struct cell c)
{
	if (c.type == CELL_NULL)
		sqlite3_bind_null(s, i);
	else if (c.type == CELL_INT)
		sqlite3_bind_int64(s, i, c.i);
	else if (c.type == CELL_REAL)
		sqlite3_bind_double(s, i, c.r);
	else if (c.type == CELL_TEXT)
		sqlite3_bind_text(s, i, (const char *)c.s.p, (int)c.s.n, SQLITE_STATIC);
	else
		sqlite3_bind_blob(s, i, c.s.p, (int)c.s.n, SQLITE_STATIC);
}

/* SQLite itself is the judge of the order: the place of a in a sorted pair. */
static void test_order_is_sqlites(void **state)
{
	struct cell c[64];
	size_t n = samples(c);
	sqlite3 *db;
	sqlite3_stmt *s;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT ?1 < ?2, ?1 = ?2, ?1 IS ?2", -1, &s, NULL), SQLITE_OK);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			int order = cell_compare(c[i], c[j]);

			assert_int_equal(order > 0, cell_compare(c[j], c[i]) < 0);
			assert_int_equal(order == 0, cell_equal(c[i], c[j]));
			if (c[i].type == CELL_NULL || c[j].type == CELL_NULL) {
				assert_int_equal(order, (c[i].type != CELL_NULL) - (c[j].type != CELL_NULL));
				continue;
			}
			bind(s, 1, c[i]);
			bind(s, 2, c[j]);
			assert_int_equal(sqlite3_step(s), SQLITE_ROW);
			if (sqlite3_column_int(s, 1) && c[i].type != c[j].type)
				assert_int_equal(order, c[i].type == CELL_INT ? -1 : 1);     /* 1 and 1.0 are two keys here */
			else if (sqlite3_column_int(s, 1))
				assert_int_equal(order, 0);
			else
				assert_int_equal(order < 0, sqlite3_column_int(s, 0));
			sqlite3_reset(s);
		}
	sqlite3_finalize(s);
	sqlite3_close(db);
}

static void test_canonical(void **state)
{
	_cleanup_(buf_release) struct buf b = {0};
	struct cell c[64];
	size_t n = samples(c);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		struct reader r;
		struct cell back;

		buf_clear(&b);
		cell_put(&b, c[i]);
		assert_int_equal(b.n, cell_size(c[i]));
		r = reader_of(buf_slice(&b));
		back = cell_get(&r);
		assert_true(reader_done(&r));
		assert_true(cell_equal(back, c[i]));
		for (size_t cut = 0; cut < b.n; cut++) {
			r = reader_of((struct slice){ b.p, cut });
			cell_get(&r);
			assert_true(r.bad);
		}
	}
	buf_clear(&b);
	cell_put(&b, integer(-1));
	cell_put(&b, real(-0.0));
	cell_put(&b, real(1.5));
	cell_put(&b, real(NAN));
	cell_put(&b, text("张"));
	assert_int_equal(b.n, 2 + 9 + 9 + 1 + 5);
	assert_memory_equal(b.p, "\x01\x01" "\x02\0\0\0\0\0\0\0\0" "\x02\0\0\0\0\0\0\xf8\x3f" "\0" "\x03\x03\xe5\xbc\xa0", b.n);
	assert_int_equal(cell_size(real(NAN)), 1);
}

static void test_malformed_cells(void **state)
{
	static const struct slice bad[] = {
		{ (const uint8_t *)"\x05", 1 },                                  /* no such class */
		{ (const uint8_t *)"\x01\x80\x00", 3 },                          /* a longer form */
		{ (const uint8_t *)"\x02\0\0\0\0\0\0\0\x80", 9 },                /* -0 */
		{ (const uint8_t *)"\x02\0\0\0\0\0\0\xf8\x7f", 9 },              /* not a number */
		{ (const uint8_t *)"\x03\x02x", 3 },                             /* longer than what is there */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct reader r = reader_of(bad[i]);

		assert_int_equal(cell_get(&r).type, CELL_NULL);
		assert_true(r.bad);
	}
}

static void test_keys(void **state)
{
	_cleanup_(buf_release) struct buf b = {0};
	struct arena a = {0};
	struct cell c[64], big = text("");
	size_t n = samples(c);
	char long_text[LIMIT_KEY + 1];
	struct reader r;

	(void)state;
	for (size_t i = 0; i + 3 <= n; i++) {
		struct key k = { c + i, 3 }, back, copy;

		buf_clear(&b);
		key_put(&b, k);
		r = reader_of(buf_slice(&b));
		back = key_get(&r, &a);
		assert_true(reader_done(&r));
		assert_true(key_equal(k, back));
		copy = key_copy(&a, k);
		assert_true(key_equal(k, copy));
		assert_true(key_compare(k, (struct key){ c + i, 2 }) > 0);
	}
	r = reader_of((struct slice){ (const uint8_t *)"\0", 1 });
	assert_int_equal(key_get(&r, &a).n, 0);
	assert_true(r.bad);                              /* a key of nothing */
	r = reader_of((struct slice){ (const uint8_t *)"\xff\xff\xff\x7f\0", 5 });
	key_get(&r, &a);
	assert_true(r.bad);                              /* more cells than bytes */
	memset(long_text, 'x', sizeof(long_text));
	for (size_t length = LIMIT_KEY - 4; length <= LIMIT_KEY - 3; length++) {
		big.s = (struct slice){ (const uint8_t *)long_text, length };
		buf_clear(&b);
		key_put(&b, (struct key){ &big, 1 });
		r = reader_of(buf_slice(&b));
		key_get(&r, &a);
		assert_int_equal(r.bad, b.n > LIMIT_KEY);
	}
	assert_true(b.n > LIMIT_KEY);
	arena_release(&a);
}

static void test_key_for_people(void **state)
{
	static const struct {
		struct cell c[2];
		uint32_t n;
		const char *shown;
	} keys[] = {
		{ { { .type = CELL_INT, .i = 12 } }, 1, "12" },
		{ { { .type = CELL_TEXT, .s = { (const uint8_t *)"张三-7", 8 } } }, 1, "张三-7" },
		{ { { .type = CELL_INT, .i = 3 }, { .type = CELL_TEXT, .s = { (const uint8_t *)"南村", 6 } } }, 2, "3,南村" },
		{ { { .type = CELL_TEXT, .s = { (const uint8_t *)"a,b", 3 } } }, 1, "'a,b'" },
		{ { { .type = CELL_TEXT, .s = { (const uint8_t *)"it's", 4 } } }, 1, "'it''s'" },
		{ { { .type = CELL_TEXT, .s = { (const uint8_t *)"", 0 } } }, 1, "''" },
		{ { { .type = CELL_TEXT, .s = { (const uint8_t *)" a", 2 } } }, 1, "' a'" },
		{ { { .type = CELL_TEXT, .s = { (const uint8_t *)"a b", 3 } } }, 1, "a b" },
		{ { { .type = CELL_TEXT, .s = { (const uint8_t *)"NULL", 4 } } }, 1, "'NULL'" },
		{ { { .type = CELL_TEXT, .s = { (const uint8_t *)"a\nb", 3 } } }, 1, "X'610A62'" },
		{ { { .type = CELL_TEXT, .s = { (const uint8_t *)"\xff", 1 } } }, 1, "X'FF'" },
		{ { { .type = CELL_BLOB, .s = { (const uint8_t *)"\x01\xab", 2 } }, { .type = CELL_NULL, .i = 0 } }, 2, "X'01AB',NULL" },
		{ { { .type = CELL_REAL, .r = 1.5 }, { .type = CELL_REAL, .r = 2 } }, 2, "1.5,2.0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		_cleanup_(buf_release) struct buf b = {0};

		key_text(&b, (struct key){ keys[i].c, keys[i].n });
		assert_string_equal(buf_text(&b), keys[i].shown);
	}
}

/* What a trigger writes: each column by quote(), or 'T' and hex() where it is text. */
static void test_column_is_sqlites(void **state)
{
	struct arena a = {0};
	struct cell c[64];
	size_t n = samples(c);
	sqlite3 *db;
	sqlite3_stmt *s;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT iif(typeof(?1) = 'text', 'T' || hex(?1), quote(?1)) || ',' || "
	                                    "iif(typeof(?2) = 'text', 'T' || hex(?2), quote(?2))", -1, &s, NULL), SQLITE_OK);
	for (size_t i = 0; i < n; i++) {
		struct cell pair[2] = { c[i], c[(i + 7) % n] }, column = key_column((struct key){ pair, 2 }, &a), its;
		struct key back;
		struct err err = {0};

		assert_int_equal(column.type, CELL_TEXT);
		assert_int_equal(key_from_column(column, 2, &a, &back, &err), 0);
		assert_true(key_equal(back, (struct key){ pair, 2 }));
		bind(s, 1, pair[0]);
		bind(s, 2, pair[1]);
		assert_int_equal(sqlite3_step(s), SQLITE_ROW);
		its = (struct cell){ .type = CELL_TEXT, .s = { sqlite3_column_text(s, 0), (size_t)sqlite3_column_bytes(s, 0) } };
		if (pair[0].type != CELL_REAL && pair[1].type != CELL_REAL)
			assert_true(cell_equal(its, column));
		if (!(pair[0].type == CELL_REAL && fabs(pair[0].r) < 1e-300) && !(pair[1].type == CELL_REAL && fabs(pair[1].r) < 1e-300)) {
			assert_int_equal(key_from_column(its, 2, &a, &back, &err), 0);
			assert_true(key_equal(back, (struct key){ pair, 2 }));
		}
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	assert_true(cell_equal(key_column((struct key){ c + 5, 1 }, &a), c[5]));
	arena_release(&a);
}

static void test_bad_columns(void **state)
{
	static const char *const bad[] = {
		"", "1", "1,2,3", "1,", ",1", "1,T4", "1,T4g", "1,X'41", "1,X41'", "1,x", "1,1x", "1,--1", "1,nan", "1,99999999999999999999",
		"1, 2", "1,NULLL", "1,'a'", "1,0x10",
	};
	struct arena a = {0};
	struct key k;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct err){0};
		if (key_from_column(text(bad[i]), 2, &a, &k, &err) != ERR_FORMAT)
			fail_msg("\"%s\" is taken", bad[i]);
		assert_true(strlen(err.text) > 0);
	}
	assert_int_equal(key_from_column(integer(1), 2, &a, &k, &err), ERR_FORMAT);
	assert_int_equal(key_from_column(integer(1), 1, &a, &k, &err), 0);
	assert_int_equal(k.cells[0].i, 1);
	arena_release(&a);
}

static void test_copy_is_ones_own(void **state)
{
	struct arena a = {0};
	char word[] = "村";
	struct cell copy = cell_copy(&a, text(word));

	(void)state;
	word[0] = 'x';
	assert_true(cell_equal(copy, text("村")));
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_is_sqlites),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_malformed_cells),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_key_for_people),
		cmocka_unit_test(test_column_is_sqlites),
		cmocka_unit_test(test_bad_columns),
		cmocka_unit_test(test_copy_is_ones_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
