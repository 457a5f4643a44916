/* terracectl's own parts: tables for people, comma-separated values, the options of a command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/text.h"
#include "ctl/ctl.h"

static json_t *document(const char *text)
{
	json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(j);
	return j;
}

static void expect_table(const char *json, size_t width, bool chinese, const char *expected)
{
	_cleanup_(json_release) json_t *j = document(json);
	_cleanup_(buf_release) struct buf b = { 0 };

	table_put(&b, j, width, chinese);
	assert_string_equal(buf_text(&b), expected);
}

static void table_aligns_wide_characters(void **state)
{
	(void)state;
	expect_table("[{\"unit\":\"1\",\"name\":\"青石镇\"},{\"unit\":\"22\",\"name\":\"a\",\"online\":true}]", 0, false,
	             "UNIT  NAME    ONLINE\n"
	             "1     青石镇  -\n"
	             "22    a       yes\n");
	expect_table("[{\"name\":\"a\",\"online\":false}]", 0, true, "名称  在线\na     否\n");
	expect_table("[]", 0, false, "(none)\n");
}

static void table_fits_the_terminal(void **state)
{
	(void)state;
	expect_table("[{\"id\":1,\"text\":\"一二三四五六七八九十\"}]", 18, false, "ID  TEXT\n1   一二三四五六七\n    八九十\n");
	expect_table("[{\"id\":1,\"text\":\"one two three four\"}]", 15, false, "ID  TEXT\n1   one two\n    three four\n");
	/* Nothing sensible is left of four columns in twenty: lines. */
	expect_table("[{\"a\":\"aaaaaaaaaaaa\",\"b\":\"bbbbbbbbbbbb\",\"c\":1},{\"a\":2,\"b\":3,\"c\":4}]", 20, false,
	             "A  aaaaaaaaaaaa\nB  bbbbbbbbbbbb\nC  1\n\nA  2\nB  3\nC  4\n");
}

static void table_never_exceeds_the_terminal(void **state)
{
	_cleanup_(json_release) json_t *j = document("[{\"id\":12,\"text\":\"混合 mixed 文字 text 一二三四\",\"reason\":\"一个很长的原因 a reason\"}]");

	(void)state;
	for (size_t width = 30; width < 80; width++) {
		_cleanup_(buf_release) struct buf b = { 0 };
		char *at = NULL;
		table_put(&b, j, width, false);
		buf_text(&b);
		for (char *line = strtok_r((char *)b.p, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
			assert_true(utf8_valid(slice_of(line)));
			assert_true(utf8_width(line) <= width);
		}
	}
}

static void lines_show_what_is_deeper(void **state)
{
	(void)state;
	expect_table("{\"name\":\"x\",\"upstream\":{\"url\":\"u\",\"sealed\":3},\"children\":[{\"unit\":\"5\"}],\"quarantine\":0}", 0, false,
	             "NAME        x\nUPSTREAM\n  URL     u\n  SEALED  3\nCHILDREN\n  UNIT\n  5\nQUARANTINE  0\n");
	expect_table("[{\"key\":[\"a\",1],\"kept\":{\"level\":null,\"unit\":\"5\",\"values\":{\"phone\":null,\"n\":1}}}]", 0, false,
	             "KEY   KEPT\na, 1  unit=5 values=(phone=- n=1)\n");
}

static void controls_do_not_reach_the_terminal(void **state)
{
	(void)state;
	expect_table("[{\"text\":\"a\\u001b[2Jb\\u009bc\\nd\"},{\"text\":1}]", 0, false, "TEXT\na [2Jb c d\n1\n");
	expect_table("[{\"id\":1,\"text\":\"a\\nb\"}]", 0, false, "ID    1\nTEXT\na\nb\n");
	expect_table("{\"text\":\"a\\u001b\\nb\"}", 0, false, "TEXT\na \nb\n");
}

static void times_are_local(void **state)
{
	int64_t ms;

	(void)state;
	setenv("TZ", "Asia/Shanghai", 1);
	tzset();
	expect_table("[{\"at\":\"2026-11-25T04:35:40Z\"}]", 0, false, "TIME\n2026-11-25 12:35:40\n");
	assert_int_equal(time_of("2026-11-25T04:35:40", &ms), -1);
	assert_int_equal(time_of("1970-01-01T00:00:01Z", &ms), 0);
	assert_int_equal(ms, 1000);
}

static void csv_quotes(void **state)
{
	_cleanup_(json_release) json_t *j = document("[{\"a\":\"x,\\\"y\\\"\",\"b\":1},{\"b\":null,\"c\":{\"d\":[1,2]}}]");
	_cleanup_(json_release) json_t *none = document("{}");
	_cleanup_(buf_release) struct buf b = { 0 };

	(void)state;
	assert_int_equal(csv_put(&b, j, NULL), 0);
	assert_string_equal(buf_text(&b), "a,b,c\r\n\"x,\"\"y\"\"\",1,\r\n,,\"{\"\"d\"\":[1,2]}\"\r\n");
	assert_int_equal(csv_put(&b, none, NULL), ERR_USAGE);
}

static int take(const char *const *words, struct ctl *c, const char **name, const char **urls, bool *root)
{
	const struct ctl_option options[] = {
		{ .name = "name", .value = name }, { .name = "url", .value = urls, .several = true }, { .name = "root", .flag = root },
	};

	for (c->argc = 0; words[c->argc]; c->argc++)
		c->argv[c->argc] = words[c->argc];
	return ctl_options(c, options, ARRAY_SIZE(options), 1, 2, NULL);
}

static void options_are_taken(void **state)
{
	static const char *const good[] = { "a", "--name", "--root", "--url=x", "--url", "y", "--root", "--", "--b", NULL };
	static const char *const bad[][4] = {
		{ NULL }, { "a", "b", "c" }, { "a", "--name" }, { "a", "--names", "x" }, { "a", "--root=1" }, { "a", "-x" },
		{ "a", "--name=x", "--name=y" },
	};
	const char *name[2] = { NULL }, *urls[CTL_SEVERAL + 1] = { NULL };
	struct ctl c = { .home = "h" };
	bool root = false;

	(void)state;
	assert_int_equal(take(good, &c, name, urls, &root), 0);
	assert_string_equal(name[0], "--root");
	assert_string_equal(urls[0], "x");
	assert_string_equal(urls[1], "y");
	assert_null(urls[2]);
	assert_true(root);
	assert_int_equal(c.argc, 2);
	assert_string_equal(c.argv[1], "--b");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		name[0] = urls[0] = NULL;
		assert_int_equal(take(bad[i], &c, name, urls, &root), ERR_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_aligns_wide_characters), cmocka_unit_test(table_fits_the_terminal),
		cmocka_unit_test(table_never_exceeds_the_terminal), cmocka_unit_test(lines_show_what_is_deeper),
		cmocka_unit_test(controls_do_not_reach_the_terminal), cmocka_unit_test(times_are_local),
		cmocka_unit_test(csv_quotes), cmocka_unit_test(options_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
