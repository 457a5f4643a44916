/* Policy: canonical form, reader, checks of SQL.  The inputs of the reader stand in tests/conf: good-*.policy, and
 * bad-*.policy whose first line `# expect LINE WORDS` says where the error is and what its sentence holds. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "core/limits.h"
#include "ctl/policy_read.h"
#include "store/ddl.h"

#define FOLDER "tests/conf/"

static void read_good(const char *path, struct arena *a, struct policy *ret)
{
	struct err err = {0};
	if (policy_read(path, a, ret, &err) != 0)
		fail_msg("%s", err.text);
}

static void put(const struct policy *p, struct buf *b)
{
	struct err err = {0};
	if (policy_put(p, b, &err) != 0)
		fail_msg("%s", err.text);
}

/* Canonical form there and back is the same bytes; returned for more. */
static void round_trip(const struct policy *p, struct buf *ret)
{
	struct buf again = {0};
	struct arena a = {0};
	struct policy q;
	struct err err = {0};
	put(p, ret);
	if (policy_get(buf_slice(ret), &a, &q, &err) != 0)
		fail_msg("%s", err.text);
	put(&q, &again);
	assert_true(slice_equal(buf_slice(ret), buf_slice(&again)));
	arena_release(&a);
	buf_release(&again);
}

static void test_good(void **state)
{
	static const char *const files[] = {"good-plain", "good-forms", "good-propose", "good-all", "good-rules", "good-local"};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[200];
		struct arena a = {0};
		struct buf b = {0};
		struct policy p;
		struct err err = {0};
		snprintf(path, sizeof(path), FOLDER "%s.policy", files[i]);
		read_good(path, &a, &p);
		round_trip(&p, &b);
		if (ddl_check(&p, NULL, &err) != 0)
			fail_msg("%s: %s", path, err.text);
		buf_release(&b);
		arena_release(&a);
	}
}

static void test_relief(void **state)
{
	struct arena a = {0};
	struct policy p;
	struct err err = {0};
	(void)state;
	if (policy_check("conf/policies/relief.policy", &a, &p, &err) != 0)
		fail_msg("%s", err.text);
	const struct policy_register *r = policy_register(&p, "relief_case");
	assert_non_null(r);
	assert_int_equal(p.nregisters, 3);
	uint32_t decision = policy_group_number(r, slice_of("decision")), check = policy_group_number(r, slice_of("check"));
	assert_int_equal(policy_mode(r, decision, RIGHT_GROUP, TOWNSHIP), MODE_OWN);
	assert_int_equal(policy_mode(r, decision, RIGHT_GROUP, VILLAGE), MODE_READ);
	assert_int_equal(policy_mode(r, check, RIGHT_GROUP, COUNTY), MODE_OWN);
	assert_int_equal(policy_mode(r, GROUP_ROW, RIGHT_CREATE, VILLAGE), MODE_OWN);
	assert_int_equal(policy_mode(r, GROUP_ROW, RIGHT_DELETE, VILLAGE), MODE_READ);
	assert_int_equal(policy_mode(r, GROUP_ROW, RIGHT_DELETE, TOWNSHIP), MODE_OWN);
	arena_release(&a);
}

/* Everything of the large example is where it belongs. */
static void test_fields(void **state)
{
	struct arena a = {0};
	struct policy p;
	(void)state;
	read_good(FOLDER "good-all.policy", &a, &p);
	const struct policy_register *r = &p.registers[0];
	assert_string_equal(p.name, "relief");
	assert_int_equal(p.version, 3);
	assert_string_equal(p.expires, "2030-12-31");
	assert_int_equal(p.nstatements, 6);
	assert_string_equal(p.statements[4], "ALTER TABLE relief_case ADD COLUMN bank TEXT");
	assert_string_equal(p.parameters[0].values[0].from, "2026-01-01");
	assert_string_equal(p.parameters[0].values[1].value, "370");
	assert_int_equal(r->unit_source, UNIT_COLUMN);
	assert_string_equal(r->unit_column, "unit_code");
	assert_int_equal(r->ceiling, COUNTY);
	assert_int_equal(r->floor, TOWNSHIP);
	assert_int_equal(r->ngroups, 3);
	assert_string_equal(r->groups[2].lock, "state = '公示'");
	assert_string_equal(r->groups[0].on_conflict, "max phone");
	assert_int_equal(policy_mode(r, 3, RIGHT_GROUP, VILLAGE), MODE_PROPOSE);
	assert_int_equal(policy_mode(r, 0, RIGHT_DELETE, VILLAGE), MODE_PROPOSE);
	assert_int_equal(r->nrules, 2);
	assert_true(r->rules[1].warn);
	assert_int_equal(r->rules[0].at, 1u << TOWNSHIP | 1u << COUNTY);
	assert_int_equal(r->deadlines[0].days, 20);
	assert_true(r->deadlines[0].working_days);
	assert_false(r->deadlines[1].working_days);
	assert_string_equal(r->hold, "publish mask = applicant\npublish days = 7\nretention from = bank_date");
	assert_int_equal(r->retention_days, 3650);
	assert_int_equal(p.nnamed, 5);
	assert_string_equal(p.named[0].kind, "report");
	assert_string_equal(p.named[0].words[10], "figure");
	assert_string_equal(p.named[0].words[11], "cases");
	assert_string_equal(p.named[0].words[13], "count(*)");
	arena_release(&a);
	read_good(FOLDER "good-via.policy", &a, &p);
	assert_int_equal(p.registers[1].unit_source, UNIT_VIA);
	assert_string_equal(p.registers[1].unit_column, "household");
	assert_string_equal(p.registers[1].unit_register, "household");
	arena_release(&a);
}

static int count_bad, count_wrong;

static void one_bad(const char *name)
{
	char path[300], want[320];
	struct buf text = {0};
	struct arena a = {0};
	struct err err = {0};
	struct policy p;
	unsigned line;
	int at;
	snprintf(path, sizeof(path), FOLDER "%s", name);
	assert_int_equal(file_read(path, LIMIT_POLICY_TEXT, &text, &err), 0);
	const char *head = buf_text(&text);
	if (sscanf(head, "# expect %u %n", &line, &at) != 1)
		fail_msg("%s: no `# expect LINE WORDS`", path);
	char *words = strndup(head + at, strcspn(head + at, "\n"));
	if (policy_check(path, &a, &p, &err) == 0)
		snprintf(err.text, sizeof(err.text), "it was taken");
	snprintf(want, sizeof(want), "%s:%u: ", path, line);
	if (strncmp(err.text, want, strlen(want)) != 0 || strstr(err.text, words) == NULL)
		fprintf(stderr, "%s: wanted %s…%s\n     got %s\n", path, want, words, err.text), count_wrong++;
	free(words);
	arena_release(&a);
	buf_release(&text);
	count_bad++;
}

static void test_bad(void **state)
{
	DIR *d = opendir(FOLDER);
	(void)state;
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (strncmp(e->d_name, "bad-", 4) == 0 && strstr(e->d_name, ".policy") != NULL)
			one_bad(e->d_name);
	closedir(d);
	assert_true(count_bad >= 40);
	assert_int_equal(count_wrong, 0);
}

static void test_propose(void **state)
{
	struct arena a = {0};
	struct policy p;
	struct err err = {0};
	(void)state;
	if (policy_check(FOLDER "good-propose.policy", &a, &p, &err) != 0)
		fail_msg("%s", err.text);
	arena_release(&a);
}

static int read_text(const char *text, size_t n, struct err *err)
{
	struct arena a = {0};
	struct policy p;
	int code = policy_read_text("x", (struct slice){(const uint8_t *)text, n}, &a, &p, err);
	arena_release(&a);
	return code;
}

static void test_sizes(void **state)
{
	struct buf b = {0};
	struct err err = {0};
	(void)state;
	buf_printf(&b, "policy p { version = 1\n");
	while (b.n <= LIMIT_POLICY_TEXT)
		buf_printf(&b, "# %080d\n", 1);
	assert_int_equal(read_text((char *)b.p, b.n, &err), ERR_LIMIT);
	buf_clear(&b);
	buf_printf(&b, "policy p { version = 1\n");
	for (int i = 0; i < 4097; i++)
		buf_printf(&b, "codes c%d { }\n", i);
	buf_printf(&b, "}\n");
	assert_int_equal(read_text((char *)b.p, b.n, &err), ERR_POLICY);
	assert_non_null(strstr(err.text, "too many blocks"));
	buf_clear(&b);
	for (int i = 0; i < 3000; i++)
		buf_printf(&b, "a { ");
	assert_int_equal(read_text((char *)b.p, b.n, &err), ERR_POLICY);
	assert_non_null(strstr(err.text, "too deep"));
	buf_release(&b);
}

/* A text that is cut off anywhere is an error, never a shorter policy; the environment is never read. */
static void test_truncated(void **state)
{
	struct buf b = {0};
	struct err err = {0};
	(void)state;
	assert_int_equal(file_read(FOLDER "good-all.policy", LIMIT_POLICY_TEXT, &b, &err), 0);
	size_t end = b.n;
	while (b.p[end - 1] != '}')
		end--;
	for (size_t n = 0; n < end; n++) {
		char *copy = malloc(n + 1);
		memcpy(copy, b.p, n);
		if (read_text(copy, n, &err) == 0)
			fail_msg("taken when cut to %zu bytes", n);
		free(copy);
	}
	buf_release(&b);
}

/* Canonical bytes: no prefix is taken, and what a changed byte still lets through writes the same bytes again. */
static void test_damaged(void **state)
{
	struct arena a = {0};
	struct buf b = {0}, again = {0};
	struct policy p;
	unsigned taken = 0;
	(void)state;
	read_good(FOLDER "good-all.policy", &a, &p);
	round_trip(&p, &b);
	size_t text = b.n - p.text.n;
	for (size_t n = 0; n < b.n; n++) {
		struct arena q = {0};
		struct policy out;
		uint8_t *copy = malloc(n + 1);
		memcpy(copy, b.p, n);
		assert_int_not_equal(policy_get((struct slice){copy, n}, &q, &out, NULL), 0);
		free(copy);
		arena_release(&q);
	}
	for (size_t i = 0; i < text; i++)
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			struct arena q = {0};
			struct policy out;
			b.p[i] ^= (uint8_t)bit;
			if (policy_get(buf_slice(&b), &q, &out, NULL) == 0) {
				buf_clear(&again);
				put(&out, &again);
				assert_true(slice_equal(buf_slice(&b), buf_slice(&again)));
				taken++;
			}
			b.p[i] ^= (uint8_t)bit;
			arena_release(&q);
		}
	assert_true(taken > 0);
	buf_release(&b);
	buf_release(&again);
	arena_release(&a);
}

/* The first bytes of a canonical form, written out: terrace-wire(7) shows the same. */
static void test_bytes(void **state)
{
	static const char *key[] = {"k"}, *columns[] = {"a"};
	static const uint8_t want[] = {
		1, 1, 'p', 0, 7, 0, 0, 0, 1,                    /* format, name, issuer, version, dates, statements, registers */
		1, 'r', 1, 1, 'k', 1, 0, 0, 2, 4, 0,            /* name, key, origin, county … village, flags */
		0x18, 0x08, 0, 1,                               /* create township and village, delete township, groups */
		1, 'g', 1, 1, 'a', 0x08, 0, 0, 0, 0,            /* group g: a, own township */
		0, 0, 0, 0, 0, 0, 0,                            /* rules, deadlines, identity, local, publish, hold, days */
		0, 0, 0,                                        /* parameters, named, text */
	};
	const struct policy_group g = {.name = "g", .ncolumns = 1, .columns = columns, .own = 1u << TOWNSHIP};
	const struct policy_register r = {.name = "r", .nkey = 1, .key = key, .unit_source = UNIT_ORIGIN, .ceiling = COUNTY,
	                                  .floor = VILLAGE, .create = 1u << TOWNSHIP | 1u << VILLAGE, .ngroups = 1, .groups = &g};
	const struct policy p = {.name = "p", .version = 7, .nregisters = 1, .registers = &r};
	struct buf b = {0};
	(void)state;
	round_trip(&p, &b);
	assert_int_equal(b.n, sizeof(want));
	assert_memory_equal(b.p, want, sizeof(want));
	buf_release(&b);
}

/* good-plain's text with one thing changed, as the next version of it. */
static void follow(const char *from, const char *to, const char *said)
{
	struct buf b = {0}, changed = {0};
	struct arena a = {0};
	struct policy before, after;
	struct err err = {0};
	read_good(FOLDER "good-plain.policy", &a, &before);
	assert_int_equal(file_read(FOLDER "good-plain.policy", LIMIT_POLICY_TEXT, &b, &err), 0);
	const char *text = buf_text(&b), *at = strstr(text, "version = 3");
	assert_non_null(at);
	buf_printf(&changed, "%.*sversion = 4%s", (int)(at - text), text, at + strlen("version = 3"));
	char *next = strdup(buf_text(&changed));
	buf_clear(&changed);
	at = strstr(next, from);
	assert_non_null(at);
	buf_printf(&changed, "%.*s%s%s", (int)(at - next), next, to, at + strlen(from));
	if (policy_read_text(FOLDER "next.policy", buf_slice(&changed), &a, &after, &err) != 0)
		fail_msg("%s", err.text);
	int code = policy_follows(&before, &after, &err);
	if (code == 0)
		code = ddl_follows(&before, &after, &err);
	if ((code == 0) != (said == NULL) || (said != NULL && strstr(err.text, said) == NULL))
		fail_msg("%s -> %s: %s", from, to, err.text);
	free(next);
	buf_release(&b);
	buf_release(&changed);
	arena_release(&a);
}

static void test_follows(void **state)
{
	(void)state;
	follow("own = { county }", "own = { township }", NULL);
	follow("columns = { housing }", "columns = { housing, note }", NULL);
	follow("version = 4", "version = 3", "does not follow");
	follow("register relief_case", "register relief", "register relief_case is dropped");
	follow("applicant, phone", "applicant", "column phone is dropped");
	follow("columns = { housing }", "columns = { housing, phone2 }", NULL);
	follow("key = { case_no }", "key = { note }", "key may not change");
	follow("unit = unit_code", "unit = origin", "unit may not change");
	follow("unit = unit_code", "unit = unit_code ceiling = county", "ceiling and floor may not change");
	follow("unit = unit_code", "unit = unit_code floor = township", "ceiling and floor may not change");
	follow("group check ", "group county ", "from group check to group county");
	follow(", \"sql/column.sql\"", "", "column bank of table relief_case is dropped");
	follow("\"sql/case.sql\", ", "", "table relief_case is dropped");
	follow("sql/case.sql", "sql/nullable-key.sql", "CREATE TABLE differs");
}

static void test_apply(void **state)
{
	sqlite3 *db = NULL;
	struct arena a = {0};
	struct policy p;
	struct err err = {0};
	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	read_good(FOLDER "good-plain.policy", &a, &p);
	/* An application that has the table already, one column short, and an index of that name with other columns. */
	const char *old = "CREATE TABLE relief_case(case_no TEXT NOT NULL PRIMARY KEY, unit_code TEXT, applicant TEXT, phone TEXT,"
	                  "housing INTEGER, amount REAL, state TEXT); CREATE INDEX relief_unit ON relief_case(phone);"
	                  "INSERT INTO relief_case VALUES('1','532999100201','张三','1','2',3,'4')";
	assert_int_equal(sqlite3_exec(db, old, NULL, NULL, NULL), SQLITE_OK);
	for (int twice = 0; twice < 2; twice++)
		if (ddl_apply(db, &p, &err) != 0)
			fail_msg("%s", err.text);
	assert_int_equal(sqlite3_exec(db, "SELECT bank, bank_date FROM relief_case; SELECT * FROM relief_sum", NULL, NULL, NULL),
	                 SQLITE_OK);
	sqlite3_stmt *s = NULL;
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT name FROM pragma_index_info('relief_unit')", -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(s, 0), "unit_code");
	sqlite3_finalize(s);
	if (ddl_shape(db, &p.registers[0], NULL, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(ddl_run(db, "DROP TABLE relief_case", &err), ERR_POLICY);
	assert_int_equal(ddl_run(db, "CREATE TABLE z(a); DROP TABLE relief_case", &err), ERR_POLICY);
	assert_int_equal(ddl_run(db, "CREATE TABLE z(a INTEGER DEFAULT (random()))", &err), 0);  /* policy check says no */
	assert_int_equal(sqlite3_exec(db, "SELECT * FROM relief_case", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	arena_release(&a);
}

static void test_split(void **state)
{
	static const char sql[] = " -- a;b\nCREATE TABLE a(x TEXT DEFAULT ';') ;; /* ; */\n;CREATE TRIGGER t AFTER INSERT ON a BEGIN "
	                          "SELECT 1; SELECT ';'; END;\nCREATE VIEW \"v;\" AS SELECT [x;] FROM a;";
	struct arena a = {0};
	const char **list;
	uint32_t n;
	struct err err = {0};
	(void)state;
	assert_int_equal(ddl_split(slice_of(sql), &a, &list, &n, &err), 0);
	assert_int_equal(n, 3);
	assert_string_equal(list[0], "CREATE TABLE a(x TEXT DEFAULT ';')");
	assert_string_equal(list[2], "CREATE VIEW \"v;\" AS SELECT [x;] FROM a");
	assert_int_equal(ddl_split(slice_of("CREATE TABLE a(x)"), &a, &list, &n, &err), ERR_POLICY);
	assert_int_equal(ddl_split(slice_of(" \n-- nothing"), &a, &list, &n, &err), 0);
	assert_int_equal(n, 0);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_relief), cmocka_unit_test(test_fields),
		cmocka_unit_test(test_bad), cmocka_unit_test(test_propose), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_damaged), cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_follows), cmocka_unit_test(test_apply), cmocka_unit_test(test_split),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
