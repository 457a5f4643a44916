/* Compression: round trips, bounds, the published dictionary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "core/limits.h"
#include "core/zip.h"

#define DICTIONARY_FILE "schema/dict/terrace-1.txt"

static const struct slice none = { NULL, 0 };

static void assert_round_trip(struct slice raw, uint32_t dictionary, struct slice context)
{
	_cleanup_(buf_release) struct buf stored = { 0 };
	_cleanup_(buf_release) struct buf back = { 0 };

	assert_int_equal(zip_deflate(raw, dictionary, context, &stored, NULL), 0);
	assert_int_equal(zip_inflate(buf_slice(&stored), dictionary, context, raw.n, &back, NULL), 0);
	assert_true(slice_equal(raw, buf_slice(&back)));
}

static void test_round_trips(void **state)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	uint32_t x = 1;

	(void)state;
	for (size_t n = 0; n < 300000; n = n * 3 + 1) {
		buf_clear(&b);
		for (size_t i = 0; i < n; i++) {
			x = x * 1664525 + 1013904223;
			buf_put_u8(&b, (uint8_t)(x >> (x & 1 ? 24 : 30)));
		}
		assert_round_trip(buf_slice(&b), 0, none);
		assert_round_trip(buf_slice(&b), 1, none);
		assert_round_trip(buf_slice(&b), 1, slice_of("context of both sides"));
	}
}

/* The length that the header names is the bound, whatever the stream would give. */
static void test_bound(void **state)
{
	static uint8_t zeros[1u << 20];
	_cleanup_(buf_release) struct buf stored = { 0 };
	_cleanup_(buf_release) struct buf back = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(zip_deflate((struct slice){ zeros, sizeof zeros }, 0, none, &stored, &err), 0);
	assert_true(stored.n < 2000);
	assert_int_equal(zip_inflate(buf_slice(&stored), 0, none, 100, &back, &err), ERR_FORMAT);
	assert_int_equal(back.n, 0);
	assert_true(back.room <= 128);
	assert_int_equal(zip_inflate(buf_slice(&stored), 0, none, sizeof zeros + 1, &back, &err), ERR_FORMAT);
	assert_int_equal(zip_inflate(buf_slice(&stored), 0, none, sizeof zeros - 1, &back, &err), ERR_FORMAT);
	assert_int_equal(zip_inflate(buf_slice(&stored), 0, none, (size_t)LIMIT_SEGMENT_RAW + 1, &back, &err), ERR_LIMIT);
	buf_put_u8(&stored, 0);                          /* bytes behind the end */
	assert_int_equal(zip_inflate(buf_slice(&stored), 0, none, sizeof zeros, &back, &err), ERR_FORMAT);
	stored.n -= 2;                                   /* cut */
	assert_int_equal(zip_inflate(buf_slice(&stored), 0, none, sizeof zeros, &back, &err), ERR_FORMAT);
	assert_int_equal(zip_inflate(none, 0, none, 0, &back, &err), ERR_FORMAT);
}

static void test_unknown_dictionary(void **state)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	(void)state;
	assert_int_equal(zip_deflate(slice_of("x"), 2, none, &b, NULL), ERR_FORMAT);
	assert_int_equal(zip_inflate(slice_of("x"), 2, none, 1, &b, NULL), ERR_FORMAT);
	assert_int_equal(zip_dictionary(0).n, 0);
}

/* schema/dict/terrace-1.txt: the same bytes, line ends left out, \ooo for a byte. */
static void test_dictionary_file(void **state)
{
	_cleanup_(buf_release) struct buf file = { 0 };
	_cleanup_(buf_release) struct buf bytes = { 0 };
	struct err err = { 0 };

	(void)state;
	if (file_read(DICTIONARY_FILE, 1u << 16, &file, &err) != 0)
		fail_msg("%s (run from the top of the source)", err.text);
	for (size_t i = 0; i < file.n; i++) {
		if (file.p[i] == '\\') {
			assert_true(i + 3 < file.n);
			buf_put_u8(&bytes, (uint8_t)((file.p[i + 1] - '0') << 6 | (file.p[i + 2] - '0') << 3 |
			                             (file.p[i + 3] - '0')));
			i += 3;
		} else if (file.p[i] != '\n') {
			buf_put_u8(&bytes, file.p[i]);
		}
	}
	assert_true(slice_equal(buf_slice(&bytes), zip_dictionary(1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips), cmocka_unit_test(test_bound), cmocka_unit_test(test_unknown_dictionary),
		cmocka_unit_test(test_dictionary_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
