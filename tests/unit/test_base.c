/* Floor 0: bytes, errors, text, time, files, log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/text.h"

static void test_err_table(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_set(&e, ERR_GAP, "stream %d, up %d", 7, 17), ERR_GAP);
	assert_string_equal(e.text, "stream 7, up 17");
	assert_int_equal(err_prefix(&e, "%s: ", "segment"), ERR_GAP);
	assert_string_equal(e.text, "segment: stream 7, up 17");
	assert_int_equal(err_set(NULL, ERR_IO, "nobody reads this"), ERR_IO);
	for (int code = 0; code < ERR_COUNT; code++)
		assert_int_equal(err_from_name(err_name(code)), code);
	assert_int_equal(err_from_name("no such name"), ERR_BUG);
	assert_string_equal(err_name(-1), "internal");
	assert_string_equal(err_name(ERR_COUNT), "internal");
	assert_int_equal(err_http(ERR_GONE), 410);
	assert_int_equal(err_exit(ERR_NOT_RUNNING), 3);
	assert_int_equal(err_retry(ERR_BUSY), RETRY_LATER);
}

/* A sentence that is too long is cut between characters, by err_set and by err_prefix. */
static void test_err_long(void **state)
{
	char text[1000];
	struct err e;

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'a', shift);
		for (size_t i = shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "村", 4);
		err_set(&e, ERR_FORMAT, "%s", text);
		assert_true(utf8_valid(slice_of(e.text)));
		assert_true(strlen(e.text) >= sizeof(e.text) - 4);
		err_prefix(&e, "unit %s: ", "620702001000");
		assert_true(utf8_valid(slice_of(e.text)));
		assert_memory_equal(e.text, "unit 620702001000: ", 19);
		assert_int_equal(err_prefix(&e, "%s", text), ERR_FORMAT);
		assert_true(utf8_valid(slice_of(e.text)));
	}
}

static void test_buf_and_reader(void **state)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	(void)state;
	buf_put_u8(&b, 7);
	buf_put_u32(&b, 0x01020304);
	buf_put_u64(&b, UINT64_MAX - 1);
	buf_put_signed(&b, INT64_MIN);
	buf_put_signed(&b, -1);
	buf_put_signed(&b, INT64_MAX);
	buf_put_text(&b, "乡镇");
	buf_put(&b, NULL, 0);
	buf_printf(&b, "%05d", 42);
	assert_false(b.failed);
	assert_int_equal(b.p[1], 4);
	struct reader r = reader_of(buf_slice(&b));
	assert_int_equal(read_u8(&r), 7);
	assert_int_equal(read_u32(&r), 0x01020304);
	assert_true(read_u64(&r) == UINT64_MAX - 1);
	assert_true(read_signed(&r) == INT64_MIN);
	assert_true(read_signed(&r) == -1);
	assert_true(read_signed(&r) == INT64_MAX);
	assert_true(slice_equal(read_slice(&r), slice_of("乡镇")));
	assert_false(reader_done(&r));
	assert_true(slice_equal(read_bytes(&r, 5), slice_of("00042")));
	assert_true(reader_done(&r));
	assert_int_equal(read_u8(&r), 0);
	assert_true(r.bad);
	assert_int_equal(reader_left(&r), 0);
	buf_clear(&b);
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(b.n, 0);
}

static uint64_t varint_of(const char *bytes, size_t n, bool *ret_good)
{
	struct reader r = reader_of((struct slice){ (const uint8_t *)bytes, n });
	uint64_t x = read_varint(&r);

	*ret_good = reader_done(&r);
	return x;
}

static void test_varint(void **state)
{
	static const uint64_t samples[] = { 0, 1, 127, 128, 300, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX };
	static const size_t sizes[] = { 1, 1, 1, 2, 2, 2, 3, 5, 9, 10 };
	bool good;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		_cleanup_(buf_release) struct buf b = { 0 };
		buf_put_varint(&b, samples[i]);
		assert_int_equal(b.n, sizes[i]);
		assert_true(varint_of((const char *)b.p, b.n, &good) == samples[i]);
		assert_true(good);
		varint_of((const char *)b.p, b.n - 1, &good);
		assert_false(good);
	}
	varint_of("\x80\x00", 2, &good);                                 /* longer than it needs to be */
	assert_false(good);
	varint_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &good);    /* 65 bits */
	assert_false(good);
	varint_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, &good); /* eleven bytes */
	assert_false(good);
}

static void test_reader_bounds(void **state)
{
	static const uint8_t long_slice[] = { 5, 'a', 'b' }, count[] = { 3, 1, 2, 3 };
	struct reader r = reader_of((struct slice){ long_slice, sizeof(long_slice) });

	(void)state;
	assert_int_equal(read_slice(&r).n, 0);
	assert_true(r.bad);
	assert_int_equal(read_u32(&r), 0);
	assert_false(reader_done(&r));
	r = reader_of((struct slice){ count, sizeof(count) });
	assert_int_equal(read_count(&r, 3), 3);
	r = reader_of((struct slice){ count, sizeof(count) });
	assert_int_equal(read_count(&r, 2), 0);
	assert_true(r.bad);
	r = reader_of((struct slice){ count, sizeof(count) - 1 });
	assert_int_equal(read_count(&r, 100), 0);
	assert_true(r.bad);
	r = reader_of((struct slice){ NULL, 0 });
	assert_true(reader_done(&r));
	assert_int_equal(read_bytes(&r, 0).n, 0);
	assert_true(reader_done(&r));
}

static void test_buf_cap(void **state)
{
	_cleanup_(buf_release) struct buf b = { .cap = 10 };

	(void)state;
	buf_put(&b, "0123456789", 10);
	assert_false(b.failed);
	assert_string_equal(buf_text(&b), "0123456789");                 /* the NUL does not count */
	buf_put_u8(&b, 'x');
	assert_true(b.failed);
	assert_int_equal(b.n, 10);
	assert_null(buf_reserve(&b, 1));
	assert_string_equal(buf_text(&b), "");
	buf_clear(&b);
	buf_printf(&b, "%s", "01234567890");
	assert_true(b.failed);
	assert_int_equal(b.n, 0);
	buf_clear(&b);
	assert_null(buf_reserve(&b, SIZE_MAX));
	buf_release(&b);
	assert_int_equal(b.cap, 10);
	assert_false(b.failed);
}

static void test_slices(void **state)
{
	(void)state;
	assert_true(slice_compare(slice_of("ab"), slice_of("abc")) < 0);
	assert_true(slice_compare(slice_of("b"), slice_of("abc")) > 0);
	assert_int_equal(slice_compare(slice_of(""), (struct slice){ NULL, 0 }), 0);
	assert_true(slice_equal(slice_of(""), (struct slice){ NULL, 0 }));
	assert_false(slice_equal(slice_of("a"), slice_of("b")));
	char *owned = strdup("x"), *taken = TAKE(owned);
	assert_null(owned);
	free_pointer(&taken);
}

static void test_arena(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };

	(void)state;
	for (size_t round = 0; round < 3; round++) {
		for (size_t n = 0; n < 3000; n += 7) {
			uint8_t *p = arena_alloc(&a, n);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xa5, n);
			assert_string_equal(arena_text(&a, slice_of("村")), "村");
		}
		uint8_t *large = arena_alloc(&a, 3u << 20);
		assert_non_null(large);
		large[(3u << 20) - 1] = 1;
		assert_true(slice_equal(arena_slice(&a, slice_of("x")), slice_of("x")));
		assert_memory_equal(arena_copy(&a, "copy", 5), "copy", 5);
		assert_true(a.used > 3u << 20);
		arena_reset(&a);
		assert_int_equal(a.used, 0);
	}
	assert_null(arena_array(&a, SIZE_MAX / 2, 3));
	assert_true(a.failed);
	assert_null(arena_alloc(&a, 1));
}

static void test_arena_cap(void **state)
{
	_cleanup_(arena_release) struct arena a = { .cap = 1000 };

	(void)state;
	assert_non_null(arena_alloc(&a, 900));
	assert_false(a.failed);
	assert_null(arena_alloc(&a, 101));
	assert_true(a.failed);
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 1000));
	assert_null(arena_alloc(&a, SIZE_MAX));
}

static void test_utf8(void **state)
{
	static const char *const bad[] = {
		"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x80\x80\x80",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe6\x9d", "\xe6\x9d" "a", "a\xc3",
	};

	(void)state;
	assert_true(utf8_valid(slice_of("")));
	assert_true(utf8_valid(slice_of("a é 村 𠮷 \xed\x9f\xbf \xf4\x8f\xbf\xbf")));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(utf8_valid(slice_of(bad[i])));
	assert_int_equal(utf8_width("abc"), 3);
	assert_int_equal(utf8_width("青石镇 1"), 8);
	assert_int_equal(utf8_width("（村）"), 6);
	assert_int_equal(utf8_width("e\xcc\x81"), 1);
	assert_int_equal(utf8_width("\xff"), 1);
}

static void test_hex(void **state)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	uint8_t bytes[4];

	(void)state;
	hex_put(&b, (struct slice){ (const uint8_t *)"\x00\x7f\xab\xff", 4 });
	assert_string_equal(buf_text(&b), "007fabff");
	assert_int_equal(hex_get(slice_of("007fABff"), bytes, 4), 0);
	assert_memory_equal(bytes, "\x00\x7f\xab\xff", 4);
	assert_int_equal(hex_get(slice_of("007fab"), bytes, 4), -1);
	assert_int_equal(hex_get(slice_of("007fabf"), bytes, 4), -1);
	assert_int_equal(hex_get(slice_of("007fabfg"), bytes, 4), -1);
}

static void test_base64url(void **state)
{
	/* RFC 4648 section 10, and the two characters that differ from base64. */
	static const char *const pairs[][2] = {
		{ "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg" },
		{ "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbe", "-_--" },
	};
	uint8_t bytes[16];
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		_cleanup_(buf_release) struct buf b = { 0 };
		base64url_put(&b, slice_of(pairs[i][0]));
		assert_string_equal(buf_text(&b), pairs[i][1]);
		assert_int_equal(base64url_get(slice_of(pairs[i][1]), bytes, strlen(pairs[i][0]), &n), 0);
		assert_true(slice_equal((struct slice){ bytes, n }, slice_of(pairs[i][0])));
	}
	assert_int_equal(base64url_get(slice_of("Zm9v"), bytes, 2, &n), -1);
	assert_int_equal(base64url_get(slice_of("Z"), bytes, 16, &n), -1);
	assert_int_equal(base64url_get(slice_of("Zh"), bytes, 16, &n), -1);      /* a second spelling of "f" */
	assert_int_equal(base64url_get(slice_of("Zg=="), bytes, 16, &n), -1);
	assert_int_equal(base64url_get(slice_of("a+b/"), bytes, 16, &n), -1);
}

static void test_numbers(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x10", "1e3", "18446744073709551616", "11" };
	uint64_t x = 5;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(text_number(bad[i], 0, 10, &x), -1);
	assert_int_equal(text_number("1", 2, 10, &x), -1);
	assert_true(x == 5);
	assert_int_equal(text_number("18446744073709551615", 0, UINT64_MAX, &x), 0);
	assert_true(x == UINT64_MAX);
	char *text = text_printf("%s/%d", "up", 17);
	assert_string_equal(text, "up/17");
	free(text);
}

static void test_time(void **state)
{
	char text[RFC3339_SIZE];

	(void)state;
	assert_string_equal(time_rfc3339(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(time_rfc3339(INT64_C(1795581340999), text), "2026-11-25T04:35:40Z");
	assert_string_equal(time_rfc3339(-1, text), "1969-12-31T23:59:59Z");
	assert_true(strlen(time_rfc3339(INT64_MAX, text)) > 0);
	assert_true(strlen(time_rfc3339(INT64_MIN, text)) > 0);
	setenv("TZ", "CST-8", 1);
	tzset();
	assert_string_equal(time_local(INT64_C(1795581340999), text), "2026-11-25 12:35:40");
	unsetenv("TZ");
	tzset();
}

static void test_source(void **state)
{
	struct source s = source_system();
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	s.random(s.arg, a, sizeof(a));
	s.random(s.arg, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_true(s.wall_ms(s.arg) > INT64_C(1700000000000));
	int64_t before = s.steady_ms(s.arg);
	assert_true(s.steady_ms(s.arg) >= before);
}

static void test_json(void **state)
{
	_cleanup_(json_release) json_t *j = json_object();
	_cleanup_(buf_release) struct buf b = { 0 };

	(void)state;
	json_object_set_new(j, "unit", json_string("620702001000"));
	json_object_set_new(j, "level", json_integer(-7));
	json_object_set_new(j, "name", json_slice(slice_of("张\xe4\xb8\xff\"")));
	json_object_set_new(j, "nul", json_slice((struct slice){ (const uint8_t *)"a\0b", 3 }));
	json_object_set_new(j, "empty", json_slice((struct slice){ NULL, 0 }));
	assert_int_equal(json_put(&b, j), 0);
	assert_string_equal(buf_text(&b), "{\"unit\":\"620702001000\",\"level\":-7,\"name\":\"张\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\\"\","
	                                  "\"nul\":\"a\\u0000b\",\"empty\":\"\"}");
	b.cap = b.n;
	assert_int_equal(json_put(&b, j), -1);
}

/* A folder of its own for each test, named in $state. */
static int make_folder(void **state)
{
	char *name = strdup("/tmp/terrace-test-XXXXXX");

	*state = name;
	return mkdtemp(name) ? 0 : -1;
}

static int drop_folder(void **state)
{
	char *command = text_printf("rm -rf '%s'", (char *)*state);
	int r = system(command);

	free(command);
	free(*state);
	return r;
}

static void test_files(void **state)
{
	_cleanup_(free_pointer) char *path = path_join(*state, "a"), *folder = path_join(*state, "identity");
	_cleanup_(buf_release) struct buf b = { 0 };
	struct err e = { 0 };
	struct stat st;

	assert_int_equal(file_read(path, 100, &b, &e), ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(file_write(path, slice_of("first"), 0640, &e), 0);
	assert_int_equal(file_write(path, slice_of("second"), 0600, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	buf_put_text(&b, "what stood");
	assert_int_equal(file_read(path, 5, &b, &e), ERR_LIMIT);
	assert_int_equal(b.n, 11);                               /* untouched on failure */
	assert_int_equal(file_read(path, 6, &b, &e), 0);
	assert_string_equal(buf_text(&b), "second");
	assert_int_equal(file_read(path, SIZE_MAX, &b, NULL), 0);
	assert_true(file_exists(path));
	assert_int_equal(file_make_folder(folder, 0700, &e), 0);
	assert_int_equal(file_make_folder(folder, 0700, &e), 0);
	assert_int_equal(file_make_folder(path, 0700, &e), ERR_IO);
	assert_int_equal(file_write(folder, slice_of("x"), 0600, &e), ERR_IO);   /* a folder stands there */
	assert_int_equal(file_remove(path, &e), 0);
	assert_int_equal(file_remove(path, &e), 0);
	assert_false(file_exists(path));
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(rmdir(*state), 0);                      /* no temporary file is left */
	assert_int_equal(mkdir(*state, 0700), 0);
}

static void test_path_join(void **state)
{
	static const char *const cases[][3] = {
		{ "/a", "b", "/a/b" }, { "/a/", "b", "/a/b" }, { "/a", "/b", "/b" }, { "", "b", "b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *path = path_join(cases[i][0], cases[i][1]);
		assert_string_equal(path, cases[i][2]);
		free(path);
	}
}

static void test_lock(void **state)
{
	_cleanup_(free_pointer) char *path = path_join(*state, "lock");
	int first = -1, second = -1;
	struct err e = { 0 };

	assert_int_equal(file_lock(path, &first, &e), 0);
	assert_int_equal(file_lock(path, &second, &e), ERR_BUSY);
	assert_int_equal(second, -1);
	fd_close(&first);
	assert_int_equal(first, -1);
	assert_int_equal(file_lock(path, &second, &e), 0);
	fd_close(&second);
}

/* Runs the logger with standard error going to a file, and returns what was written there. */
static char *logged(const char *path, enum log_level most, enum log_level level, const char *text)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	pid_t child = fork();

	if (child == 0) {
		setenv("JOURNAL_STREAM", "1:1", 1);              /* inherited from somewhere: not our stream */
		if (!freopen(path, "w", stderr))
			_exit(1);
		log_set_level(most);
		log_line(level, &(struct log_fields){ .unit = "620702001000" }, "%s", text);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(file_read(path, 10000, &b, NULL), 0);
	return strdup(buf_text(&b));
}

static void test_log(void **state)
{
	_cleanup_(free_pointer) char *path = path_join(*state, "log");
	_cleanup_(free_pointer) char *line = logged(path, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, "one\ntwo\x1b");
	_cleanup_(free_pointer) char *none = logged(path, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, "quiet");

	assert_true(strlen(line) > 21);
	assert_string_equal(line + 20, " warning one two \n");
	assert_string_equal(none, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_table),
		cmocka_unit_test(test_err_long),
		cmocka_unit_test(test_buf_and_reader),
		cmocka_unit_test(test_varint),
		cmocka_unit_test(test_reader_bounds),
		cmocka_unit_test(test_buf_cap),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_arena_cap),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64url),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_json),
		cmocka_unit_test_setup_teardown(test_files, make_folder, drop_folder),
		cmocka_unit_test(test_path_join),
		cmocka_unit_test_setup_teardown(test_lock, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_log, make_folder, drop_folder),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
