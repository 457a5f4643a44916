/* Payloads: what is encoded comes back, and nothing that comes in breaks the decoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "core/cells.h"
#include "core/change.h"
#include "core/forms.h"
#include "core/ints.h"
#include "core/limits.h"
#include "wire_sample.h"

static void assert_round_trip(const struct payload *p)
{
	_cleanup_(buf_release) struct buf raw = { 0 };
	_cleanup_(buf_release) struct buf again = { 0 };
	_cleanup_(buf_release) struct buf before = { 0 };
	_cleanup_(buf_release) struct buf after = { 0 };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct payload q;
	struct err err = { 0 };
	int rc = payload_encode(p, &raw, &err);

	if (rc == 0)
		rc = payload_decode(buf_slice(&raw), &a, &q, &err);
	if (rc != 0)
		fail_msg("%s", err.text);
	assert_int_equal(q.nchanges, p->nchanges);
	assert_int_equal(q.nitems, p->nitems);
	sample_describe(p, &before);
	sample_describe(&q, &after);
	assert_int_equal(before.n, after.n);
	assert_memory_equal(before.p, after.p, before.n);
	/* what was decoded encodes to the same bytes: the order is the encoder's, not the caller's */
	assert_int_equal(payload_encode(&q, &again, &err), 0);
	assert_int_equal(raw.n, again.n);
	assert_memory_equal(raw.p, again.p, raw.n);
}

static void test_round_trips(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		_cleanup_(arena_release) struct arena a = { 0 };

		assert_round_trip(sample_random(&a, seed, seed % 4 == 0 ? 300 : 12));
	}
	for (uint32_t i = 0; i < sample_count(); i++) {
		_cleanup_(arena_release) struct arena a = { 0 };
		struct sample *s = sample_named(&a, i);

		if (s->payload != NULL)
			assert_round_trip(s->payload);
	}
}

/* The order in which changes are given makes no difference. */
static void test_order(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf first = { 0 };
	_cleanup_(buf_release) struct buf second = { 0 };
	struct payload *p = sample_random(&a, 8, 300);
	struct change *turned = arena_array(&a, p->nchanges, sizeof *turned);

	(void)state;
	assert_true(p->nchanges > 20);
	assert_int_equal(payload_encode(p, &first, NULL), 0);
	for (uint32_t i = 0; i < p->nchanges; i++)
		turned[i] = p->changes[p->nchanges - 1 - i];
	p->changes = turned;
	assert_int_equal(payload_encode(p, &second, NULL), 0);
	assert_int_equal(first.n, second.n);
}

/* ---- ints and cells alone */

static void assert_ints(const int64_t *v, size_t n)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int64_t *back = calloc(n + 1, sizeof *back);
	struct reader r;

	ints_put(&b, v, n);
	assert_false(b.failed);
	r = reader_of(buf_slice(&b));
	ints_get(&r, back, n);
	assert_true(reader_done(&r));
	if (n > 0)
		assert_memory_equal(back, v, n * sizeof *v);
	free(back);
}

static void test_ints(void **state)
{
	static const int64_t edges[] = { INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN, INT64_MIN + 1, INT64_MAX - 1 };
	struct chance c = { 3 };

	(void)state;
	for (size_t n = 0; n <= ARRAY_SIZE(edges); n++)
		assert_ints(edges, n);
	for (unsigned turn = 0; turn < 600; turn++) {
		int64_t v[200];
		size_t n = chance_below(&c, 200);
		uint64_t range = UINT64_C(1) << chance_below(&c, 64), step = 1 + chance_below(&c, turn % 3 ? 1 : 1000);
		int64_t at = (int64_t)chance_next(&c);

		for (size_t i = 0; i < n; i++) {
			uint64_t u = chance_below(&c, range) * step;

			switch (turn % 4) {
			case 0: v[i] = (int64_t)u; break;
			case 1: v[i] = i > 0 ? (int64_t)((uint64_t)v[i - 1] + u) : at; break;
			case 2: v[i] = i > 0 && u % 7 != 0 ? v[i - 1] : (int64_t)u; break;
			default: v[i] = (int64_t)(u - range / 2); break;
			}
		}
		assert_ints(v, n);
	}
}

static void test_forms(void **state)
{
	static const char *const stamps[] = { "1970-01-01 00:00:00", "0000-01-01 00:00:00", "9999-12-31 23:59:59",
	                                      "2000-02-29 12:34:56", "1900-02-28 23:59:59" };
	static const char *const not_stamps[] = { "1900-02-29 00:00:00", "2026-13-01 00:00:00", "2026-00-01 00:00:00",
	                                          "2026-01-00 00:00:00", "2026-01-01 24:00:00", "2026-01-01 00:60:00",
	                                          "2026-01-01 00:00:60", "2026-01-01T00:00:00", "2026/01/01 00:00:00" };
	uint8_t back[STAMP_SIZE];
	int64_t x;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stamps); i++) {
		assert_true(stamp_read((const uint8_t *)stamps[i], &x));
		assert_true(x >= STAMP_LEAST && x <= STAMP_MOST);
		stamp_write(back, x);
		assert_memory_equal(back, stamps[i], STAMP_SIZE);
	}
	for (size_t i = 0; i < ARRAY_SIZE(not_stamps); i++)
		assert_false(stamp_read((const uint8_t *)not_stamps[i], &x));
	for (int64_t day = DATE_LEAST; day <= DATE_MOST; day++) {
		uint8_t date[DATE_SIZE];

		date_write(date, day);
		assert_true(date_read(date, &x));
		assert_int_equal(x, day);
	}
}

static void test_decimals(void **state)
{
	struct chance c = { 5 };
	unsigned scale;
	int64_t m;

	(void)state;
	assert_true(decimal_read(0.1, &scale, &m) && scale == 1 && m == 1);
	assert_true(decimal_read(-0.0, &scale, &m) && scale == 0 && m == 0);
	assert_false(decimal_read(1.0 / 3, &scale, &m));
	assert_false(decimal_read(INFINITY, &scale, &m));
	assert_false(decimal_read(1e300, &scale, &m));
	for (unsigned i = 0; i < 10000; i++) {
		double r = (double)chance_below(&c, UINT64_C(1) << 40) / 1000 - 1e6;

		if (decimal_read(r, &scale, &m))
			assert_true(decimal_value(m, scale) == r);
	}
}

/* ---- refusals */

static void test_refused_by_encoder(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf b = { 0 };
	struct payload *p = sample_named(&a, 0)->payload;
	struct change c = p->changes[0];
	struct part part = c.parts[0];
	struct cell cells[2] = { part.cells[0], part.cells[1] }, key = { .type = CELL_NULL };
	static const uint32_t wrong_order[] = { 2, 0 };
	struct payload q = *p;
	struct err err = { 0 };

	(void)state;
	q.changes = &c;
	c.parts = &part;
	part.cells = cells;
	cells[0].r = NAN;
	assert_int_equal(payload_encode(&q, &b, &err), ERR_FORMAT);
	cells[0].r = 1;
	part.columns = wrong_order;
	assert_int_equal(payload_encode(&q, &b, &err), ERR_BUG);
	c.nparts = 0;
	assert_int_equal(payload_encode(&q, &b, &err), 0);
	c.key.cells = &key;
	assert_int_equal(payload_encode(&q, &b, &err), ERR_BUG);
	q.nchanges = LIMIT_SEGMENT_CHANGES + 1;
	assert_int_equal(payload_encode(&q, &b, &err), ERR_LIMIT);
}

static void decode_any(struct slice raw)
{
	_cleanup_(arena_release) struct arena a = { .cap = 16u << 20 };
	struct payload p = { 0 };
	struct err err = { 0 };
	int rc = payload_decode(raw, &a, &p, &err);

	if (rc != 0) {
		assert_true(rc == ERR_FORMAT || rc == ERR_LIMIT);
		assert_true(err.text[0] != '\0');
	}
}

/* A copy of exactly that size, so that the sanitizer sees a read behind it. */
static void decode_copy(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n + !n);

	if (n > 0)
		memcpy(copy, p, n);
	decode_any((struct slice){ copy, n });
	free(copy);
}

static void test_damage(void **state)
{
	static const uint8_t masks[] = { 0x01, 0x80, 0xff };
	static const uint32_t most[] = { 8, 30, 60 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(most); i++) {
		_cleanup_(arena_release) struct arena a = { 0 };
		_cleanup_(buf_release) struct buf raw = { 0 };

		assert_int_equal(payload_encode(sample_random(&a, 21 + i, most[i]), &raw, NULL), 0);
		for (size_t n = 0; n < raw.n; n++) {
			_cleanup_(arena_release) struct arena b = { 0 };
			struct payload p;

			decode_copy(raw.p, n);
			/* a cut at the very end may only lose the (empty) extension area, and there is none */
			assert_int_not_equal(payload_decode((struct slice){ raw.p, n }, &b, &p, NULL), 0);
		}
		for (size_t n = 0; n < raw.n; n++)
			for (size_t m = 0; m < ARRAY_SIZE(masks); m++) {
				raw.p[n] ^= masks[m];
				decode_copy(raw.p, raw.n);
				raw.p[n] ^= masks[m];
			}
	}
}

static void put_names(struct buf *b, unsigned columns)
{
	buf_put_varint(b, 1);
	buf_put_varint(b, 1);
	buf_put_text(b, "r");
	buf_put_varint(b, 1);
	buf_put_varint(b, 1);
	buf_put_text(b, "g");
	buf_put_varint(b, columns);
	for (unsigned i = 0; i < columns; i++) {
		char name[8];

		snprintf(name, sizeof name, "c%u", i);
		buf_put_text(b, name);
	}
}

static int decode_small(const struct buf *raw, struct err *err, size_t *ret_used)
{
	_cleanup_(arena_release) struct arena a = { .cap = 4u << 20 };
	struct payload p;
	int rc = payload_decode(buf_slice(raw), &a, &p, err);

	*ret_used = a.used;
	return rc;
}

/* Counts that promise much and cost the sender nothing. */
static void test_bombs(void **state)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct err err = { 0 };
	size_t used;

	(void)state;
	buf_put_varint(&b, 1);
	buf_put_varint(&b, UINT64_MAX);                  /* registers */
	assert_int_equal(decode_small(&b, &err, &used), ERR_FORMAT);
	assert_true(used < 4096);

	buf_clear(&b);
	put_names(&b, 1000);
	buf_put_varint(&b, 1);                           /* one block of 5,000 rows of 1,000 columns */
	buf_put_varint(&b, 0);
	buf_put_varint(&b, 5000);
	buf_put_varint(&b, 1);
	buf_put_varint(&b, 1 << 2);
	buf_put_varint(&b, 1000);
	for (unsigned i = 0; i < 1000; i++)
		buf_put_varint(&b, 0);
	assert_int_equal(decode_small(&b, &err, &used), ERR_LIMIT);
	assert_non_null(strstr(err.text, "cells"));

	buf_clear(&b);
	put_names(&b, 0);
	buf_put_varint(&b, 1);                           /* 5,000 rows of 100 parts without columns */
	buf_put_varint(&b, 0);
	buf_put_varint(&b, 5000);
	buf_put_varint(&b, 100);
	for (unsigned i = 0; i < 100; i++) {
		buf_put_varint(&b, 1 << 2);
		buf_put_varint(&b, 0);
	}
	assert_int_equal(decode_small(&b, &err, &used), ERR_LIMIT);
	assert_non_null(strstr(err.text, "parts"));

	buf_clear(&b);
	put_names(&b, 100);
	buf_put_varint(&b, 1);                           /* within the caps, above the caller's arena */
	buf_put_varint(&b, 0);
	buf_put_varint(&b, 5000);
	buf_put_varint(&b, 1);
	buf_put_varint(&b, 1 << 2);
	buf_put_varint(&b, 100);
	for (unsigned i = 0; i < 100; i++)
		buf_put_varint(&b, 0);
	assert_int_equal(decode_small(&b, &err, &used), ERR_LIMIT);
}

/* Front coding: 20,000 texts that each repeat the 2,000 bytes of the first; they cost the sender nothing. */
static void test_front_bomb(void **state)
{
	enum { N = 20000, LENGTH = 2000 };
	static struct slice ret[N];
	static int64_t numbers[N];
	_cleanup_(buf_release) struct buf b = { 0 };
	_cleanup_(arena_release) struct arena out = { 0 };
	_cleanup_(arena_release) struct arena scratch = { 0 };
	struct unpack in = { .out = &out, .scratch = &scratch, .built = LIMIT_SEGMENT_RAW };

	(void)state;
	for (size_t i = 1; i < N; i++)
		numbers[i] = LENGTH;
	buf_put_u8(&b, TEXTS_FRONT);
	ints_put(&b, numbers, N);
	memset(numbers, 0, sizeof numbers);
	numbers[0] = LENGTH;
	buf_put_u8(&b, TEXTS_LENGTHS);
	ints_put(&b, numbers, N);
	memset(buf_reserve(&b, LENGTH), 'x', LENGTH);
	assert_true(b.n < LENGTH + 50);
	in.r = reader_of(buf_slice(&b));
	texts_get(&in, ret, N);
	assert_true(in.r.bad);
	assert_true(out.used <= LIMIT_SEGMENT_RAW + 16 * N);
}

static void test_twice_named(void **state)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct err err = { 0 };
	size_t used;

	(void)state;
	put_names(&b, 2);
	b.p[b.n - 1] = '0';                              /* c0, c0 */
	buf_put_varint(&b, 0);
	assert_int_equal(decode_small(&b, &err, &used), ERR_FORMAT);
	assert_non_null(strstr(err.text, "names"));
}

static void test_extensions_and_items(void **state)
{
	static const uint8_t even[] = { 1, 0, 0, 0, 0, 0, 0, 2, 1, 'x' }, odd[] = { 1, 0, 0, 0, 0, 0, 0, 3, 0 };
	static const uint8_t items[] = { 1, 0, 0, 0, 0, 0, 2, 10, 0, 2, 1, 'y' }, odd_item[] = { 1, 0, 0, 0, 0, 0, 1, 9, 0 };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct payload p;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(payload_decode((struct slice){ even, sizeof even }, &a, &p, &err), 0);
	assert_int_equal(payload_decode((struct slice){ odd, sizeof odd }, &a, &p, &err), ERR_FORMAT);
	assert_int_equal(payload_decode((struct slice){ items, sizeof items }, &a, &p, &err), 0);
	assert_int_equal(p.nitems, 1);                   /* the unknown even one is ignored */
	assert_int_equal(p.items[0].kind, ITEM_RECORD);
	assert_int_equal(payload_decode((struct slice){ odd_item, sizeof odd_item }, &a, &p, &err), ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips), cmocka_unit_test(test_order), cmocka_unit_test(test_ints),
		cmocka_unit_test(test_forms), cmocka_unit_test(test_decimals), cmocka_unit_test(test_refused_by_encoder),
		cmocka_unit_test(test_damage), cmocka_unit_test(test_bombs), cmocka_unit_test(test_front_bomb),
		cmocka_unit_test(test_twice_named), cmocka_unit_test(test_extensions_and_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
