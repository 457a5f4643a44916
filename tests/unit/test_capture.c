/* Capture and catalog against real SQL: whatever the application writes, the log names every row that changed; where
 * this level may not write, the statement fails and leaves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/capture.h"

/* ---- a world: one file, the application's connection and the ledger's */

struct spec {                            /* a register as a test names it */
	const char *ddl, *name, *key, *unit;     /* key, columns: separated by '|' */
	const char *groups[4];           /* "name:column|column" */
};

struct world {
	char path[64];
	struct db *ledger;
	sqlite3 *app;
	struct catalog *c;
	struct arena arena;
};

static uint32_t split(struct arena *a, const char *text, const char ***ret)
{
	uint32_t n = 0;
	const char **words = arena_array(a, 64, sizeof(*words));

	for (const char *end; *text != '\0'; text = *end == '|' ? end + 1 : end) {
		end = strchrnul(text, '|');
		words[n++] = arena_text(a, (struct slice){ (const uint8_t *)text, (size_t)(end - text) });
	}
	*ret = words;
	return n;
}

static void app_do(struct world *w, const char *sql)
{
	char *say = NULL;

	if (sqlite3_exec(w->app, sql, NULL, NULL, &say) != SQLITE_OK)
		fail_msg("%s: %s", sql, say);
}

static void policy_store(struct world *w, const struct spec *specs, size_t n, uint64_t version)
{
	struct policy_register *regs = arena_array(&w->arena, n, sizeof(*regs));
	struct policy p = { .name = "test", .issuer = UINT64_C(532999000000), .version = version,
		            .nregisters = (uint32_t)n, .registers = regs, .text = slice_of("# test\n") };
	_cleanup_(buf_release) struct buf b = { 0 };
	struct err err = { 0 };
	sqlite3_stmt *s;

	for (size_t i = 0; i < n; i++) {
		struct policy_group *groups = arena_array(&w->arena, 4, sizeof(*groups));
		regs[i] = (struct policy_register){ .name = specs[i].name, .unit_source = UNIT_ALL, .floor = VILLAGE,
			                            .create = 0x1f, .remove = 0x1f, .groups = groups };
		regs[i].nkey = split(&w->arena, specs[i].key, &regs[i].key);
		if (specs[i].unit != NULL) {
			regs[i].unit_source = UNIT_COLUMN;
			regs[i].unit_column = specs[i].unit;
		}
		for (; regs[i].ngroups < 4 && specs[i].groups[regs[i].ngroups] != NULL; regs[i].ngroups++) {
			const char *text = specs[i].groups[regs[i].ngroups], *colon = strchr(text, ':');
			struct policy_group *g = &groups[regs[i].ngroups];
			g->name = arena_text(&w->arena, (struct slice){ (const uint8_t *)text, (size_t)(colon - text) });
			g->ncolumns = split(&w->arena, colon + 1, &g->columns);
			g->own = 1u << COUNTY;
		}
	}
	if (policy_put(&p, &b, &err) != 0)
		fail_msg("policy_put: %s", err.text);
	assert_int_equal(db_exec(w->ledger, "UPDATE terrace_policy SET state = 'old'", &err), 0);
	assert_int_equal(db_prepare(w->ledger, "INSERT INTO terrace_policy(issuer, version, canonical, state, at) "
	                            "VALUES(532999000000, ?1, ?2, 'active', 0)", &s, &err), 0);
	bind_u64(s, 1, version);
	bind_slice(s, 2, buf_slice(&b));
	assert_int_equal(sqlite3_step(s), SQLITE_DONE);
	sqlite3_finalize(s);
}

static void world_load(struct world *w)
{
	struct err err = { 0 };

	catalog_release(w->c);
	w->c = NULL;
	if (catalog_load(w->ledger, &w->c, &err) != 0)
		fail_msg("catalog_load: %s", err.text);
}

static void world_open(struct world *w, const char *journal, const struct spec *specs, size_t n)
{
	static int number;
	struct err err = { 0 };
	char sql[64];

	memset(w, 0, sizeof(*w));
	snprintf(w->path, sizeof(w->path), "/tmp/terrace-capture-%d-%d.db", (int)getpid(), number++);
	unlink(w->path);
	assert_int_equal(sqlite3_open(w->path, &w->app), SQLITE_OK);
	snprintf(sql, sizeof(sql), "PRAGMA journal_mode=%s; PRAGMA synchronous=OFF", journal);
	app_do(w, sql);
	for (size_t i = 0; i < n; i++)
		app_do(w, specs[i].ddl);
	if (db_open(w->path, DB_WRITE, &w->ledger, &err) != 0)
		fail_msg("db_open: %s", err.text);
	assert_int_equal(db_exec(w->ledger, "PRAGMA synchronous=OFF", &err), 0);
	policy_store(w, specs, n, 1);
	world_load(w);
}

static void world_close(struct world *w)
{
	char path[80];

	catalog_release(w->c);
	db_close(w->ledger);
	assert_int_equal(sqlite3_close(w->app), SQLITE_OK);
	arena_release(&w->arena);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", w->path, i == 0 ? "" : i == 1 ? "-wal" : "-shm");
		unlink(path);
	}
}

static const struct capture_modes all_own = { .own = ~UINT64_C(0), .create = true, .remove = true };

static void install(struct world *w, const struct reg *r, const struct capture_modes *m)
{
	struct err err = { 0 };

	assert_int_equal(db_begin(w->ledger, &err), 0);
	if (capture_install(w->ledger, r, m, &err) != 0)
		fail_msg("capture_install %s: %s", r->name, err.text);
	assert_int_equal(db_commit(w->ledger, &err), 0);
}

static struct reg *reg_of(const struct world *w, const char *name)
{
	struct reg *r = catalog_register(w->c, slice_of(name));

	assert_non_null(r);
	return r;
}

static const struct column *column_of(const struct reg *r, const char *name)
{
	for (uint32_t i = 0; i < r->ncolumns; i++)
		if (strcmp(r->columns[i].name, name) == 0)
			return &r->columns[i];
	for (uint32_t i = 0; i < r->nlocal; i++)
		if (strcmp(r->local[i].name, name) == 0)
			return &r->local[i];
	fail_msg("no column %s", name);
	return NULL;
}

static const char *column_name(const struct reg *r, uint32_t number)
{
	for (uint32_t i = 0; i < r->ncolumns + r->nlocal; i++) {
		const struct column *c = i < r->ncolumns ? &r->columns[i] : &r->local[i - r->ncolumns];
		if (c->number == number)
			return c->name;
	}
	return "?";
}

/* A cell as text in which different cells differ. */
static void cell_show(struct buf *b, struct cell c)
{
	switch (c.type) {
	case CELL_NULL: buf_printf(b, "NULL"); break;
	case CELL_INT: buf_printf(b, "%lld", (long long)c.i); break;
	case CELL_REAL: buf_printf(b, "r%.17g", c.r); break;
	case CELL_TEXT:
		buf_printf(b, "'");
		for (size_t i = 0; i < c.s.n; i++)
			buf_put_u8(b, c.s.p[i] != 0 ? c.s.p[i] : '~');
		buf_printf(b, "'");
		break;
	case CELL_BLOB:
		buf_printf(b, "x");
		for (size_t i = 0; i < c.s.n; i++)
			buf_printf(b, "%02x", c.s.p[i]);
		break;
	}
}

static void log_clear(struct world *w)
{
	struct err err = { 0 };

	assert_int_equal(log_reclaim(w->ledger, log_last(w->ledger), &err), 0);
	assert_false(log_pending(w->ledger));
}

/* The log since the last call, as text: `row 1`, `name 1`, `name 1 was 'x'`, `gone 1`, joined by `, `. */
static const char *log_text(struct world *w)
{
	static struct buf b;
	struct arena a = { 0 };
	struct log_entry *e;
	uint32_t n;
	struct err err = { 0 };

	buf_clear(&b);
	assert_int_equal(log_read(w->ledger, 0, 100000, &a, &e, &n, &err), 0);
	assert_int_equal(log_pending(w->ledger), n > 0);
	for (uint32_t i = 0; i < n; i++) {
		const struct reg *r = catalog_number(w->c, e[i].reg);
		buf_printf(&b, "%s", i > 0 ? ", " : "");
		if (w->c->nregs > 1)
			buf_printf(&b, "%s: ", r->name);
		buf_printf(&b, "%s%s%s ", e[i].operation == LOG_ROW ? "row" : e[i].operation == LOG_DELETE ? "gone" : "",
		           e[i].operation == LOG_DELETE && e[i].column ? " " : "",
		           e[i].column ? column_name(r, e[i].column) : "");
		cell_show(&b, e[i].key);
		if (e[i].has_old) {
			buf_printf(&b, " was ");
			cell_show(&b, e[i].old);
		}
	}
	arena_release(&a);
	log_clear(w);
	return buf_text(&b);
}

#define expect(w, sql, log) do { app_do(w, sql); assert_string_equal(log_text(w), log); } while (0)

/* The statement fails with a sentence that begins like `say`, and the log stays empty. */
static void expect_abort(struct world *w, const char *sql, const char *say)
{
	char *text = NULL;

	assert_int_not_equal(sqlite3_exec(w->app, sql, NULL, NULL, &text), SQLITE_OK);
	if (text == NULL || strncmp(text, say, strlen(say)) != 0)
		fail_msg("%s: %s instead of %s", sql, text, say);
	sqlite3_free(text);
	if (!sqlite3_get_autocommit(w->app))
		app_do(w, "ROLLBACK");
	assert_string_equal(log_text(w), "");
}

/* ---- the catalog */

static void test_catalog(void **state)
{
	static const struct spec specs[] = {
		{ "CREATE TABLE child(id INTEGER PRIMARY KEY, parent TEXT REFERENCES Parent(code), n)", "child", "id", NULL,
		  { "main:parent|n" } },
		{ "CREATE TABLE parent(code TEXT NOT NULL PRIMARY KEY, unit TEXT NOT NULL DEFAULT '', a VARCHAR(20) DEFAULT 'it''s' "
		  "COLLATE NOCASE, b DECIMAL DEFAULT '12', c INT DEFAULT -5, d DOUBLE DEFAULT 1, e DEFAULT x'00ff', "
		  "f TEXT DEFAULT CURRENT_TIMESTAMP, g DEFAULT (1+1), h BOOLEAN DEFAULT TRUE, i INTEGER DEFAULT abc, only_here)",
		  "parent", "code", "unit", { "one:a|b|c", "two:d|e|f|g|missing", "three:h|i" } },
		{ "CREATE TABLE pair(\"a b\" TEXT NOT NULL, b INTEGER NOT NULL, v, PRIMARY KEY(\"a b\", b)) WITHOUT ROWID", "pair",
		  "a b|b", NULL, { "main:v" } },
		{ "CREATE TABLE quirk(id INTEGER PRIMARY KEY DESC NOT NULL, v)", "quirk", "id", NULL, { "main:v" } },
	};
	struct world w;
	struct db *reader;
	struct catalog *again;
	struct err err = { 0 };

	(void)state;
	world_open(&w, "WAL", specs, ARRAY_SIZE(specs));
	assert_int_equal(w.c->nregs, 4);
	assert_string_equal(w.c->regs[0]->name, "parent");       /* a parent first */
	assert_int_equal(w.c->nentries, 1);
	assert_true(w.c->entries[0].version == 1 && w.c->list == policy_list_hash(w.c->entries, 1));
	struct reg *child = reg_of(&w, "CHILD"), *parent = reg_of(&w, "parent"), *pair = reg_of(&w, "pair");
	assert_true(child->number == 1 && parent->number == 2);
	assert_true(child->rowid_key && !parent->rowid_key && !pair->rowid_key && !reg_of(&w, "quirk")->rowid_key);
	assert_true(parent->hold && !child->hold);
	assert_true(parent->unit == &parent->columns[1] && parent->unit->group == 0);
	assert_int_equal(parent->nlocal, 1);
	assert_string_equal(parent->local[0].name, "only_here");
	assert_int_equal(parent->ngroups, 4);
	assert_string_equal(parent->groups[0]->name, "row");
	assert_int_equal(pair->nkey, 2);
	struct group *one = reg_group(parent, slice_of("one")), *two = reg_group(parent, slice_of("two"));
	assert_int_equal(two->number, 2);
	assert_true(group_column(two, slice_of("e")) == two->columns[1] && two->columns[1]->in_group == 1);
	assert_true(!one->columns[0]->binary && one->columns[0]->affinity == 'T' && one->columns[1]->affinity == 'N');
	static const char *const defaults[] = { "'it's'", "12", "-5", "r1", "x00ff", "NULL", "NULL", "NULL", "1", "'abc'" };
	for (uint32_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		_cleanup_(buf_release) struct buf b = { 0 };
		cell_show(&b, parent->columns[i + 2].fallback);
		assert_string_equal(buf_text(&b), defaults[i]);
		assert_int_equal(parent->columns[i + 2].computed, i == 5 || i == 6);
		assert_int_equal(parent->columns[i + 2].present, i != 7);
	}

	/* numbers stay, whatever the next version brings */
	uint32_t number = column_of(parent, "h")->number, greatest = column_of(parent, "only_here")->number;
	static const struct spec next[] = {
		{ "", "parent", "code", "unit", { "zero:missing", "three:h|only_here|i", "two:d|e|f|g" } },
	};
	policy_store(&w, next, 1, 2);
	world_load(&w);
	parent = reg_of(&w, "parent");
	assert_true(parent->number == 2 && column_of(parent, "h")->number == number);
	assert_true(column_of(parent, "only_here")->number == greatest && column_of(parent, "only_here")->group == 3);
	assert_true(reg_group(parent, slice_of("one"))->policy == NULL && parent->groups[4]->columns[0]->number <= greatest);
	assert_int_equal(parent->nlocal, 3);

	/* a reader gives no numbers */
	static const struct spec unknown[] = {
		{ "", "pair", "a b|b", NULL, { "main:v" } }, { "", "strange", "k", NULL, { "main:v" } },
	};
	policy_store(&w, unknown, 2, 3);
	assert_int_equal(db_open(w.path, DB_READ, &reader, &err), 0);
	assert_int_equal(catalog_load(reader, &again, &err), 0);
	assert_int_equal(again->nregs, 1);
	catalog_release(again);
	db_close(reader);
	world_load(&w);
	struct reg *strange = reg_of(&w, "strange");
	assert_true(strange->hold && !strange->key[0]->present);
	install(&w, strange, &all_own);          /* no table yet: the state table alone */
	world_close(&w);
}

/* ---- statements one by one */

static const struct spec person[] = { {
	"CREATE TABLE person(id INTEGER PRIMARY KEY, unit TEXT NOT NULL DEFAULT '', name TEXT, age INTEGER, "
	"card TEXT UNIQUE, seat TEXT COLLATE NOCASE, row_no INTEGER, note DEFAULT 'none', UNIQUE(seat, row_no))",
	"person", "id", "unit", { "main:name|age|card", "place:seat|row_no|note" } } };

static void test_clauses(void **state)
{
	struct world w;

	for (int mode = 0; mode < 4; mode++) {
		bool recursive = mode & 1;
		(void)state;
		world_open(&w, mode & 2 ? "WAL" : "DELETE", person, 1);
		install(&w, reg_of(&w, "person"), &all_own);
		app_do(&w, recursive ? "PRAGMA recursive_triggers=ON" : "PRAGMA recursive_triggers=OFF");
		expect(&w, "INSERT INTO person(id,unit,name,card) VALUES(1,'u','a','c1'),(2,'u','b','c2'),(3,'u','c','c3')",
		       "row 1, row 2, row 3");
		expect(&w, "UPDATE person SET name='z', age=7 WHERE id<3", "age 1, name 1, age 2, name 2");
		expect(&w, "UPDATE person SET name='z', age=8, card='c1' WHERE id=1", "age 1");
		expect(&w, "UPDATE person SET name=name, age=age", "");
		expect(&w, "UPDATE person SET unit='v' WHERE id=1", "unit 1");
		expect(&w, "UPDATE person SET age='8' WHERE id=1", "");          /* affinity makes it 8 */
		expect(&w, "DELETE FROM person WHERE id=3", "gone 3");
		/* the key's own conflict is a rewrite; another key's displaces a row */
		expect(&w, "INSERT OR REPLACE INTO person(id,unit,card) VALUES(1,'u','c1')", recursive ? "gone 1, row 1" : "row 1");
		expect(&w, "REPLACE INTO person(id,unit,card) VALUES(9,'u','c2')", recursive ? "row 2, gone 2, row 9" : "row 2, row 9");
		expect(&w, "INSERT INTO person(id,seat,row_no) VALUES(4,'A',1),(5,'B',2)", "row 4, row 5");
		expect(&w, "INSERT OR REPLACE INTO person(id,card,seat,row_no) VALUES(7,'c1','a',1)",
		       recursive ? "row 4, row 1, gone 4, gone 1, row 7" : "row 4, row 1, row 7");
		expect(&w, "UPDATE OR REPLACE person SET card='c2' WHERE id=7", recursive ? "row 9, gone 9, card 7" : "row 9, card 7");
		expect(&w, "UPDATE OR REPLACE person SET seat='A' WHERE id=7", "seat 7");
		expect(&w, "UPDATE OR IGNORE person SET id=5 WHERE id=7", "");
		expect(&w, "INSERT OR IGNORE INTO person(id,card) VALUES(5,'q'),(6,'c6')", "row 6");
		expect(&w, "INSERT OR IGNORE INTO person(id,card) VALUES(8,'c6')", "row 6");     /* a look too many */
		expect(&w, "INSERT INTO person(id,name) VALUES(5,'upsert') ON CONFLICT(id) DO UPDATE SET name=excluded.name",
		       "name 5");
		expect(&w, "INSERT INTO person(id,name) VALUES(5,'x') ON CONFLICT(id) DO NOTHING", "");
		app_do(&w, "INSERT INTO person(id,card) VALUES(20,'t')");
		log_text(&w);
		assert_int_not_equal(sqlite3_exec(w.app, "INSERT OR FAIL INTO person(id,card) VALUES(21,'x'),(20,'y'),(22,'z')", 0, 0, 0),
		                     SQLITE_OK);
		assert_string_equal(log_text(&w), "row 21");
		expect_abort(&w, "INSERT OR ABORT INTO person(id) VALUES(30),(20)", "UNIQUE");
		expect_abort(&w, "BEGIN; INSERT INTO person(id) VALUES(30); INSERT OR ROLLBACK INTO person(id) VALUES(31),(20)", "UNIQUE");
		/* the key moves, by any of its names */
		expect(&w, "UPDATE person SET id=40, name='k' WHERE id=20", "row 20, row 40, name 40");
		expect(&w, "UPDATE person SET rowid=41 WHERE id=40", "row 40, row 41");
		expect(&w, "UPDATE person SET _rowid_=42 WHERE id=41", "row 41, row 42");
		expect(&w, "UPDATE person SET OID=43 WHERE id=42", "row 42, row 43");
		expect(&w, "UPDATE OR REPLACE person SET id=5 WHERE id=43", recursive ? "gone 5, row 43, row 5" : "row 43, row 5");
		app_do(&w, "BEGIN; INSERT INTO person(id) VALUES(50); SAVEPOINT s; INSERT INTO person(id) VALUES(51); ROLLBACK TO s; "
		       "DELETE FROM person WHERE id=50; COMMIT");
		assert_string_equal(log_text(&w), "row 50, gone 50");
		world_close(&w);
	}
}

static void test_values(void **state)
{
	static const struct spec specs[] = { {
		"CREATE TABLE \"登记 \"\"甲\"\"\"(\"编 号\" TEXT NOT NULL, '地''区' INTEGER NOT NULL, \"值 \"\"x\"\"\", [n] NUMERIC, t TEXT "
		"COLLATE NOCASE, i INTEGER, PRIMARY KEY(\"编 号\", '地''区')) WITHOUT ROWID",
		"登记 \"甲\"", "编 号|地'区", NULL, { "组 一:值 \"x\"|n|t|i" } } };
	struct world w;
	struct key k;
	struct arena a = { 0 };
	struct log_entry *e;
	uint32_t n;
	struct err err = { 0 };

	(void)state;
	world_open(&w, "WAL", specs, 1);
	install(&w, w.c->regs[0], &all_own);
	app_do(&w, "INSERT INTO \"登记 \"\"甲\"\"\" VALUES('007', 9223372036854775807, 1, 1, 'a', -9223372036854775808), "
	       "(CAST(x'6100ff' AS TEXT), -9223372036854775808, NULL, NULL, NULL, NULL), ('a,''b', '12', 1, 1, 1, 1)");
	assert_int_equal(log_read(w.ledger, 0, 10, &a, &e, &n, &err), 0);
	assert_int_equal(n, 3);
	assert_int_equal(key_from_column(e[0].key, 2, &a, &k, &err), 0);
	assert_true(slice_equal(k.cells[0].s, slice_of("007")) && k.cells[0].type == CELL_TEXT && k.cells[1].i == INT64_MAX);
	assert_int_equal(key_from_column(e[1].key, 2, &a, &k, &err), 0);
	assert_true(slice_equal(k.cells[0].s, (struct slice){ (const uint8_t *)"a\0\xff", 3 }) && k.cells[1].i == INT64_MIN);
	assert_int_equal(key_from_column(e[2].key, 2, &a, &k, &err), 0);
	assert_true(slice_equal(k.cells[0].s, slice_of("a,'b")) && k.cells[1].i == 12);
	log_text(&w);
	/* differences that compare equal */
	static const char *const seen[] = { "\"值 \"\"x\"\"\"=1.0", "\"值 \"\"x\"\"\"='1'", "\"值 \"\"x\"\"\"=x'31'",
		                            "\"值 \"\"x\"\"\"=NULL", "t='A'", "i=-9223372036854775808.0", "n='007a'",
		                            "t=CAST(x'4100' AS TEXT)", "t=CAST(x'410000' AS TEXT)" };
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		char sql[200];
		snprintf(sql, sizeof(sql), "UPDATE \"登记 \"\"甲\"\"\" SET %s WHERE \"编 号\"='007'", seen[i]);
		app_do(&w, sql);
		assert_true(log_pending(w.ledger));
		log_clear(&w);
		app_do(&w, sql);
		assert_false(log_pending(w.ledger));
	}
	expect(&w, "UPDATE \"登记 \"\"甲\"\"\" SET \"编 号\"='b' WHERE \"编 号\"='007'",
	       "row 'T303037,9223372036854775807', row 'T62,9223372036854775807'");
	arena_release(&a);
	world_close(&w);
}

static void test_cascades(void **state)
{
	static const struct spec specs[] = {
		{ "CREATE TABLE house(code TEXT NOT NULL PRIMARY KEY, v)", "house", "code", NULL, { "main:v" } },
		{ "CREATE TABLE member(house TEXT NOT NULL REFERENCES house ON DELETE CASCADE ON UPDATE CASCADE, n INTEGER NOT NULL, "
		  "boss INTEGER, PRIMARY KEY(house, n))", "member", "house|n", NULL, { "main:boss" } },
		{ "CREATE TABLE visit(id INTEGER PRIMARY KEY, house TEXT REFERENCES house ON DELETE SET NULL ON UPDATE CASCADE)",
		  "visit", "id", NULL, { "main:house" } },
		{ "CREATE TABLE tree(id INTEGER PRIMARY KEY, up INTEGER REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE)",
		  "tree", "id", NULL, { "main:up" } },
	};
	struct world w;

	(void)state;
	for (int recursive = 0; recursive < 2; recursive++) {
		world_open(&w, "DELETE", specs, ARRAY_SIZE(specs));
		for (uint32_t i = 0; i < w.c->nregs; i++)
			install(&w, w.c->regs[i], &all_own);
		app_do(&w, recursive ? "PRAGMA foreign_keys=ON; PRAGMA recursive_triggers=ON" : "PRAGMA foreign_keys=ON");
		app_do(&w, "INSERT INTO house VALUES('h',1),('i',1); INSERT INTO member VALUES('h',1,0),('h',2,0); "
		       "INSERT INTO visit VALUES(1,'h'),(2,'i'); INSERT INTO tree VALUES(1,NULL),(2,1),(3,2),(4,3)");
		log_clear(&w);
		expect(&w, "UPDATE house SET code='g' WHERE code='h'",
		       "visit: house 1, member: row 'T68,1', member: row 'T67,1', member: row 'T68,2', member: row 'T67,2', "
		       "house: row 'h', house: row 'g'");
		expect(&w, "DELETE FROM house WHERE code='g'",
		       "visit: house 1, member: gone 'T67,1', member: gone 'T67,2', house: gone 'g'");
		expect(&w, "DELETE FROM tree WHERE id=1", "tree: gone 4, tree: gone 3, tree: gone 2, tree: gone 1");
		app_do(&w, "INSERT INTO house VALUES('j',1); INSERT INTO member VALUES('j',1,0)");
		log_clear(&w);
		app_do(&w, "REPLACE INTO house VALUES('j',2)");          /* REPLACE cascades, whatever the pragma */
		assert_non_null(strstr(log_text(&w), "member: gone 'T6A,1'"));
		world_close(&w);
	}
}

/* ---- what stood */

static void test_olds(void **state)
{
	struct world w;
	struct capture_modes m = { .own = 1u << 2, .propose = 1u << 1, .create = true, .may_propose_row = true };

	(void)state;
	world_open(&w, "WAL", person, 1);
	app_do(&w, "ALTER TABLE person ADD COLUMN here DEFAULT 'local'; INSERT INTO person(id,unit,name,age,card,note) "
	       "VALUES(1,'u','a',1,'c1','n1'),(2,'u','b',2,'c2','n2'),(3,'u','c',3,'c3','n3')");
	world_load(&w);
	install(&w, reg_of(&w, "person"), &m);
	expect(&w, "UPDATE person SET name='x', note='m' WHERE id=1", "note 1, name 1 was 'a'");
	expect(&w, "UPDATE person SET name=NULL WHERE id=1", "name 1 was 'x'");
	expect(&w, "UPDATE person SET name='y' WHERE id=1", "name 1 was NULL");
	/* REPLACE of an existing key: what is proposed stood there */
	expect(&w, "REPLACE INTO person(id,unit,name) VALUES(2,'u','bb')",
	       "name 2 was 'b', age 2 was 2, card 2 was 'c2', row 2");
	/* a delete is a proposal: everything, the local column too */
	expect(&w, "DELETE FROM person WHERE id=3", "gone unit 3 was 'u', gone name 3 was 'c', gone age 3 was 3, gone card 3 was "
	       "'c3', gone seat 3 was NULL, gone row_no 3 was NULL, gone note 3 was 'n3', gone here 3 was 'local', gone 3");
	/* so is a displaced row */
	expect(&w, "REPLACE INTO person(id,unit,card) VALUES(8,'u','c1')",
	       "unit 1 was 'u', name 1 was 'y', age 1 was 1, card 1 was 'c1', seat 1 was NULL, row_no 1 was NULL, note 1 was 'm', "
	       "here 1 was 'local', row 1, row 8");
	m.remove = true;
	m.may_propose_row = false;
	install(&w, reg_of(&w, "person"), &m);
	expect(&w, "DELETE FROM person WHERE id=2", "gone name 2 was 'bb', gone age 2 was NULL, gone card 2 was NULL, gone 2");
	/* a level that may only propose a move */
	m.create = false;
	m.may_propose_row = true;
	install(&w, reg_of(&w, "person"), &m);
	expect(&w, "UPDATE person SET unit='w' WHERE id=8", "unit 8 was 'u'");
	world_close(&w);
}

/* ---- authority */

static void test_authority(void **state)
{
	struct world w;
	struct capture_modes m = { .own = 1u << 1, .create = true, .remove = true };

	(void)state;
	for (int recursive = 0; recursive < 2; recursive++) {
		m = (struct capture_modes){ .own = 1u << 1, .create = true, .remove = true };
		m.say[2] = "'位置'由县核对 / place is the county's";
		world_open(&w, "WAL", person, 1);
		const struct reg *r = reg_of(&w, "person");
		app_do(&w, recursive ? "PRAGMA recursive_triggers=ON" : "PRAGMA recursive_triggers=OFF");
		app_do(&w, "INSERT INTO person(id,unit,name,seat,row_no,card) VALUES(1,'u','a','S',1,'c1'),(2,'u','b','T',2,'c2')");
		install(&w, r, &m);
		const char *say = "terrace: '位置'由县核对";
		expect_abort(&w, "UPDATE person SET seat='s' WHERE id=1", say);
		expect_abort(&w, "UPDATE OR IGNORE person SET seat='s', name='q' WHERE id=1", say);
		expect_abort(&w, "UPDATE OR REPLACE person SET name='q', note=1.0", say);
		expect(&w, "UPDATE person SET seat='S', name='b' WHERE id=1", "name 1");
		expect(&w, "UPDATE person SET seat=seat, row_no=row_no, note=note", "");
		/* an insert leaves the county's columns at their defaults */
		expect(&w, "INSERT INTO person(id,unit,name) VALUES(3,'u','c')", "row 3");
		expect(&w, "INSERT INTO person(id,unit,note) VALUES(4,'u','none')", "row 4");
		expect_abort(&w, "INSERT INTO person(id,unit,row_no) VALUES(5,'u',1)", say);
		expect_abort(&w, "INSERT INTO person(id,unit,note) VALUES(5,'u',NULL)", say);
		/* UPSERT and IGNORE of an existing row touch nothing of it */
		expect(&w, "INSERT INTO person(id,unit,name,seat) VALUES(1,'u','up','ZZ') ON CONFLICT(id) DO UPDATE SET name=excluded.name",
		       "name 1");
		expect(&w, "INSERT OR IGNORE INTO person(id,seat) VALUES(1,'ZZ')", "");
		expect_abort(&w, "INSERT INTO person(id,seat) VALUES(1,'ZZ') ON CONFLICT(id) DO UPDATE SET seat=excluded.seat", say);
		/* a rewrite must carry what stands */
		expect_abort(&w, "REPLACE INTO person(id,unit,name) VALUES(1,'u','r')", say);
		expect_abort(&w, "REPLACE INTO person(id,unit,name,seat,row_no) VALUES(1,'u','r','s',1)", say);
		expect(&w, "REPLACE INTO person(id,unit,name,seat,row_no) VALUES(1,'u','r','S',1)",
		       recursive ? "gone seat 1 was 'S', gone row_no 1 was 1, gone note 1 was 'none', gone 1, row 1" : "row 1");
		/* a key change makes a new row of them */
		expect_abort(&w, "UPDATE person SET id=11 WHERE id=1", say);
		expect(&w, "UPDATE person SET id=13 WHERE id=3",
		       "seat 3 was NULL, row_no 3 was NULL, note 3 was 'none', row 3, row 13");
		/* a stale note of what stood must not excuse a later statement */
		app_do(&w, "INSERT OR IGNORE INTO person(id) VALUES(2); DELETE FROM person WHERE id=2");
		log_clear(&w);
		app_do(&w, "INSERT OR IGNORE INTO person(id) VALUES(1)");
		app_do(&w, "DELETE FROM person WHERE id=1");
		log_clear(&w);
		expect_abort(&w, "INSERT INTO person(id,seat,row_no) VALUES(1,'S',1)", say);
		app_do(&w, "INSERT OR IGNORE INTO person(id,unit,seat) SELECT 4,'u','ZZ'");
		log_clear(&w);
		app_do(&w, "DELETE FROM person");
		log_clear(&w);

		/* rights over the row */
		app_do(&w, "INSERT INTO person(id,unit,name,card) VALUES(1,'u','a','c1'),(2,'u','b','c2'),(3,'u','c','c3')");
		log_clear(&w);
		m = (struct capture_modes){ .own = ~UINT64_C(0) };
		m.say_create = "不可新增 / no creating";
		m.say_remove = "不可删除 / no deleting";
		install(&w, r, &m);
		const char *create = "terrace: 不可新增", *delete = "terrace: 不可删除";
		expect_abort(&w, "INSERT INTO person(id,unit) VALUES(5,'u')", create);
		expect_abort(&w, "INSERT OR IGNORE INTO person(id,unit) VALUES(5,'u')", create);
		expect_abort(&w, "DELETE FROM person WHERE id=1", delete);
		expect_abort(&w, "UPDATE person SET unit='v' WHERE id=1", create);
		expect_abort(&w, "UPDATE person SET id=7 WHERE id=1", create);
		expect(&w, "UPDATE person SET name='n', unit='u' WHERE id=1", "name 1");
		expect(&w, "INSERT OR IGNORE INTO person(id,unit) VALUES(1,'u')", "");
		expect(&w, "REPLACE INTO person(id,unit,name,card) VALUES(1,'u','m','c1')", recursive ?
		       "gone unit 1 was 'u', gone name 1 was 'n', gone age 1 was NULL, gone card 1 was 'c1', gone seat 1 was NULL, "
		       "gone row_no 1 was NULL, gone note 1 was 'none', gone 1, row 1" : "row 1");
		expect_abort(&w, "REPLACE INTO person(id,unit,name) VALUES(1,'v','m')", create);
		expect_abort(&w, "DELETE FROM person WHERE id=1", delete);       /* after a rewrite */
		/* displacing another row is deleting it */
		expect_abort(&w, "UPDATE OR REPLACE person SET card='c2' WHERE id=1", delete);
		expect_abort(&w, "REPLACE INTO person(id,unit,card) VALUES(1,'u','c2')", delete);
		app_do(&w, "UPDATE OR IGNORE person SET card='c2' WHERE id=1");
		expect(&w, "UPDATE person SET card='c9' WHERE id=1", "unit 2 was 'u', name 2 was 'b', age 2 was NULL, card 2 was 'c2', "
		       "seat 2 was NULL, row_no 2 was NULL, note 2 was 'none', row 2, card 1");
		m.create = true;
		install(&w, r, &m);
		expect_abort(&w, "UPDATE person SET id=7 WHERE id=1", delete);
		expect(&w, "INSERT INTO person(id,unit) VALUES(5,'u')", "row 5");
		expect_abort(&w, "REPLACE INTO person(id,unit,card) VALUES(6,'u','c2')", delete);
		world_close(&w);
	}
}

static void test_default_sentences(void **state)
{
	struct world w;
	struct capture_modes m = { .own = 0 };

	(void)state;
	world_open(&w, "WAL", person, 1);
	app_do(&w, "INSERT INTO person(id,unit) VALUES(1,'u')");
	install(&w, reg_of(&w, "person"), &m);
	expect_abort(&w, "UPDATE person SET name='x'", "terrace: person: 本级无权修改这些栏目 / this level may not change");
	expect_abort(&w, "DELETE FROM person", "terrace: person: 本级无权删除 / this level may not delete");
	expect_abort(&w, "INSERT INTO person(id) VALUES(2)", "terrace: person: 本级无权新增 / this level may not create");
	world_close(&w);
}

/* ---- installing, checking */

static int64_t pragma(struct world *w, const char *sql)
{
	sqlite3_stmt *s;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(w->app, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

static uint32_t missing(struct world *w, const struct capture_modes *m)
{
	struct err err = { 0 };
	uint32_t n;

	if (capture_check(w->ledger, w->c->regs[0], m, &n, &err) != 0)
		fail_msg("capture_check: %s", err.text);
	return n;
}

static void test_install(void **state)
{
	struct world w;
	struct err err = { 0 };
	struct capture_modes m = { .own = 1u << 1, .create = true };
	char table[32];

	(void)state;
	world_open(&w, "WAL", person, 1);
	struct reg *r = reg_of(&w, "person");
	state_table(r, table);
	assert_string_equal(table, "terrace_s1");
	uint32_t all = missing(&w, &all_own);
	assert_true(all > 8);
	install(&w, r, &all_own);
	assert_int_equal(missing(&w, &all_own), 0);
	assert_int_equal(pragma(&w, "SELECT count(*) FROM sqlite_master WHERE type='trigger'"), all);
	int64_t version = pragma(&w, "PRAGMA schema_version");
	install(&w, r, &all_own);
	assert_true(pragma(&w, "PRAGMA schema_version") == version);
	app_do(&w, "DROP TRIGGER terrace_1_insert");
	assert_int_equal(missing(&w, &all_own), 1);
	install(&w, r, &all_own);
	assert_true(missing(&w, &m) > 0);
	install(&w, r, &m);
	assert_true(missing(&w, &m) == 0 && missing(&w, &all_own) > 0);
	install(&w, r, &all_own);

	/* the application rebuilds the table, as Django and Rails do */
	app_do(&w, "CREATE TABLE person_new(id INTEGER PRIMARY KEY, unit TEXT NOT NULL, name TEXT, age INTEGER, card TEXT, "
	       "seat TEXT, row_no INTEGER, note, extra); DROP TABLE person; ALTER TABLE person_new RENAME TO person");
	world_load(&w);
	r = reg_of(&w, "person");
	assert_int_equal(missing(&w, &all_own), all - 4);        /* no unique keys any more */
	install(&w, r, &all_own);
	expect(&w, "INSERT INTO person(id,unit,extra) VALUES(1,'u',1)", "row 1");
	expect(&w, "UPDATE person SET extra=2", "");             /* local */
	/* a column goes */
	app_do(&w, "DROP TRIGGER terrace_1_c4; ALTER TABLE person DROP COLUMN age");
	world_load(&w);
	r = reg_of(&w, "person");
	assert_true(r->hold && !column_of(r, "age")->present);
	assert_int_equal(missing(&w, &all_own), 0);
	expect(&w, "UPDATE person SET name='x'", "name 1");
	/* the whole table goes, then comes back under another name */
	app_do(&w, "ALTER TABLE person RENAME TO persons; CREATE TABLE person(id INTEGER PRIMARY KEY, unit, name, age, card, seat, "
	       "row_no, note)");
	world_load(&w);
	r = reg_of(&w, "person");
	install(&w, r, &all_own);
	assert_int_equal(missing(&w, &all_own), 0);
	expect(&w, "INSERT INTO persons(id,unit) VALUES(3,'u'); INSERT INTO person(id) VALUES(4)", "row 4");
	assert_int_equal(capture_remove(w.ledger, r, &err), 0);
	assert_int_equal(pragma(&w, "SELECT count(*) FROM sqlite_master WHERE type='trigger'"), 0);
	assert_int_equal(pragma(&w, "SELECT count(*) FROM sqlite_master WHERE name='terrace_s1'"), 1);
	world_close(&w);
}

static void test_encoding(void **state)
{
	static const struct spec specs[] = { { "CREATE TABLE t(a TEXT NOT NULL, b INT NOT NULL, v, PRIMARY KEY(a,b))", "t", "a|b",
		                               NULL, { "main:v" } } };
	struct world w;
	struct err err = { 0 };

	(void)state;
	world_open(&w, "DELETE", specs, 0);
	db_close(w.ledger);
	sqlite3_close(w.app);
	unlink(w.path);
	assert_int_equal(sqlite3_open(w.path, &w.app), SQLITE_OK);
	app_do(&w, "PRAGMA encoding='UTF-16'");
	app_do(&w, specs[0].ddl);
	assert_int_equal(db_open(w.path, DB_WRITE, &w.ledger, &err), 0);
	policy_store(&w, specs, 1, 1);
	world_load(&w);
	assert_int_equal(capture_install(w.ledger, w.c->regs[0], &all_own, &err), ERR_SCHEMA);
	assert_non_null(strstr(err.text, "UTF-8"));
	world_close(&w);
}

static void test_log(void **state)
{
	struct world w;
	struct arena a = { 0 };
	struct log_entry *e;
	uint32_t n;
	struct err err = { 0 };

	(void)state;
	world_open(&w, "WAL", person, 1);
	install(&w, reg_of(&w, "person"), &all_own);
	assert_true(!log_pending(w.ledger) && log_last(w.ledger) == 0);
	assert_int_equal(log_reclaim(w.ledger, 0, &err), 0);
	app_do(&w, "INSERT INTO person(id) VALUES(1),(2),(3)");
	assert_true(log_pending(w.ledger) && log_last(w.ledger) == 3);
	assert_int_equal(log_read(w.ledger, 0, 2, &a, &e, &n, &err), 0);
	assert_true(n == 2 && e[1].seq == 2 && e[1].reg == 1 && e[1].column == 0 && e[1].operation == LOG_ROW);
	assert_int_equal(log_read(w.ledger, 2, 9, &a, &e, &n, &err), 0);
	assert_true(n == 1 && e[0].seq == 3 && e[0].key.i == 3 && !e[0].has_old);
	assert_int_equal(log_reclaim(w.ledger, 2, &err), 0);
	assert_true(log_pending(w.ledger));
	assert_int_equal(log_reclaim(w.ledger, 3, &err), 0);
	assert_true(!log_pending(w.ledger) && log_last(w.ledger) == 3);
	assert_int_equal(pragma(&w, "SELECT count(*) FROM terrace_log"), 1);
	assert_int_equal(log_read(w.ledger, 0, 9, &a, &e, &n, &err), 0);
	assert_int_equal(n, 0);
	app_do(&w, "DELETE FROM person WHERE id=1");             /* numbers go on */
	assert_true(log_pending(w.ledger) && log_last(w.ledger) == 4);
	arena_release(&a);
	world_close(&w);
}

/* ---- random SQL: what changed must be in the log */

struct random {
	uint64_t x;
};

static uint32_t pick(struct random *r, uint32_t n)
{
	r->x ^= r->x << 13;
	r->x ^= r->x >> 7;
	r->x ^= r->x << 17;
	return (uint32_t)((r->x >> 16) % n);
}

static const struct spec random_specs[] = {
	{ "CREATE TABLE t(id INTEGER PRIMARY KEY, unit TEXT NOT NULL DEFAULT 'u', a TEXT UNIQUE, b COLLATE NOCASE, c INTEGER, "
	  "d NUMERIC DEFAULT 1, UNIQUE(b, c))", "t", "id", "unit", { "one:a|b", "two:c", "three:d" } },
	{ "CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, unit TEXT, a NOT NULL DEFAULT 'a' UNIQUE, b TEXT COLLATE NOCASE, c REAL, "
	  "d BLOB, loc); CREATE UNIQUE INDEX tb ON t(b COLLATE BINARY); CREATE UNIQUE INDEX td ON t(d COLLATE NOCASE)",
	  "t", "k", "unit", { "one:a|b", "two:c|d" } },
	{ "CREATE TABLE t(k TEXT NOT NULL, n INTEGER NOT NULL, a TEXT UNIQUE, b, c DEFAULT 0, PRIMARY KEY(k,n), UNIQUE(n, b)) "
	  "WITHOUT ROWID", "t", "k|n", NULL, { "one:a", "two:b|c" } },
	{ "CREATE TABLE t(id INTEGER PRIMARY KEY, k TEXT NOT NULL UNIQUE, unit TEXT, a, b UNIQUE)", "t", "k", "unit",
	  { "one:a", "two:b" } },
	{ "CREATE TABLE t(k NOT NULL UNIQUE, rowid TEXT UNIQUE, a INTEGER, b TEXT AS (a || 'x') UNIQUE, c)", "t", "k", NULL,
	  { "one:rowid|a", "two:c" } },
	{ "CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, up TEXT REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE, a UNIQUE "
	  "REFERENCES t(k) ON DELETE SET NULL)", "t", "k", NULL, { "one:up", "two:a" } },
	{ "CREATE TABLE t(\"a \"\"b\" TEXT NOT NULL, '主 键' INTEGER NOT NULL, \"x'y\" UNIQUE, z TEXT, UNIQUE(z, \"x'y\"), "
	  "PRIMARY KEY(\"a \"\"b\", '主 键'))", "t", "a \"b|主 键", NULL, { "g:x'y|z" } },
	{ "CREATE TABLE t(k INTEGER PRIMARY KEY, a TEXT UNIQUE, n INT DEFAULT 0, z); "
	  "CREATE TRIGGER app1 AFTER UPDATE OF a ON t BEGIN UPDATE t SET n = n + 1 WHERE k = new.k; END; "
	  "CREATE TRIGGER app2 AFTER INSERT ON t WHEN new.k < 3 BEGIN INSERT OR REPLACE INTO t(k, a) VALUES(new.k + 10, new.a || 'z'); END",
	  "t", "k", NULL, { "one:a", "two:n", "three:z" } },
};

struct snapshot {
	uint32_t n;
	struct shot {
		char *key;
		char **cells;            /* of columns, then local ones */
	} *rows;
};

static char *shown(struct arena *a, struct cell c)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	cell_show(&b, c);
	return arena_text(a, buf_slice(&b));
}

static const struct column *nth(const struct reg *r, uint32_t i)
{
	return i < r->ncolumns ? &r->columns[i] : &r->local[i - r->ncolumns];
}

static void snapshot(struct world *w, const struct reg *r, struct arena *a, struct snapshot *ret)
{
	_cleanup_(buf_release) struct buf sql = { 0 };
	uint32_t n = r->ncolumns + r->nlocal;
	sqlite3_stmt *s;

	buf_printf(&sql, "SELECT ");
	for (uint32_t i = 0; i < n; i++) {
		buf_printf(&sql, "%s", i > 0 ? "," : "");
		identifier_put(&sql, nth(r, i)->name);
	}
	buf_printf(&sql, " FROM t");
	assert_int_equal(sqlite3_prepare_v2(w->app, buf_text(&sql), -1, &s, NULL), SQLITE_OK);
	ret->n = 0;
	ret->rows = arena_array(a, 2000, sizeof(*ret->rows));
	while (sqlite3_step(s) == SQLITE_ROW && ret->n < 2000) {
		struct shot *row = &ret->rows[ret->n++];
		struct cell key[4];
		row->cells = arena_array(a, n, sizeof(char *));
		for (uint32_t i = 0; i < n; i++) {
			row->cells[i] = shown(a, read_cell(s, (int)i));
			if (i < r->nkey)
				key[i] = cell_copy(a, read_cell(s, (int)i));
		}
		row->key = shown(a, key_column((struct key){ key, r->nkey }, a));
	}
	sqlite3_finalize(s);
}

static bool same(const struct snapshot *a, const struct snapshot *b, uint32_t ncells)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		for (uint32_t j = 0; j < ncells; j++)
			if (strcmp(a->rows[i].cells[j], b->rows[i].cells[j]) != 0)
				return false;
	return true;
}

static const struct shot *shot_of(const struct snapshot *s, const char *key)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (strcmp(s->rows[i].key, key) == 0)
			return &s->rows[i];
	return NULL;
}

struct seen {
	bool row, column[64], has[64];
	char *old[64];                   /* the first */
};

static void log_of(struct log_entry *e, uint32_t n, struct arena *a, const char *key, struct seen *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(shown(a, e[i].key), key) != 0)
			continue;
		if (e[i].column == 0)
			ret->row = true;
		else if (e[i].operation == LOG_COLUMN)
			ret->column[e[i].column] = true;
		if (e[i].has_old && !ret->has[e[i].column]) {
			ret->has[e[i].column] = true;
			ret->old[e[i].column] = shown(a, e[i].old);
		}
	}
}

/* One row's change against the log; `alone`: one statement, so that rights must have held as well. */
static const char *judge(const struct reg *r, const struct capture_modes *m, const struct shot *before,
                         const struct shot *after, const struct seen *seen, bool alone)
{
	static char say[100];
	bool neither = !m->remove && !m->may_propose_row;

	if ((before == NULL) != (after == NULL) && !seen->row)
		return before == NULL ? "a new row is not in the log" : "a row that went is not in the log";
	if (alone && before == NULL && after != NULL && !m->create)
		return "a row came without the right to create";
	if (alone && before != NULL && after == NULL && neither)
		return "a row went without the right to delete";
	for (uint32_t i = r->nkey; i < r->ncolumns + r->nlocal; i++) {
		const struct column *c = nth(r, i);
		bool local = i >= r->ncolumns, unit = c == r->unit;
		bool own = unit ? m->create : m->own >> c->group & 1;
		bool propose = unit ? m->may_propose_row : m->propose >> c->group & 1;
		const char *was = before != NULL ? before->cells[i] : NULL, *is = after != NULL ? after->cells[i] : NULL;

		snprintf(say, sizeof(say), "column %s: ", c->name);
		if (before != NULL && after != NULL && !local && strcmp(was, is) != 0) {
			if (!seen->row && !seen->column[c->number])
				return strcat(say, "changed and not in the log");
			/* a row displaced and then entered afresh: as after DELETE and INSERT, the seal puts it back */
			if (alone && !own && !propose && !seen->has[c->number])
				return strcat(say, "changed without a right");
			if (!own && propose && !seen->has[c->number])
				return strcat(say, "no old value");
		}
		if (before != NULL && after == NULL && !m->remove && !seen->has[c->number])
			return strcat(say, "no old value of a row that went");
		if (before != NULL && after == NULL && !local && !own && !seen->has[c->number])
			return strcat(say, "no old value where this level does not decide");
		/* what this level decides itself may have changed first, and stays changed */
		if (before != NULL && !own && !local && seen->has[c->number] && strcmp(seen->old[c->number], was) != 0)
			return strcat(say, "the first old value is not what stood");
		if (alone && before == NULL && after != NULL && !local && !unit && !own && !propose && !c->computed) {
			struct arena a = { 0 };
			bool equal = strcmp(is, shown(&a, c->fallback)) == 0;
			arena_release(&a);
			if (!equal)
				return strcat(say, "inserted without a right");
		}
	}
	return NULL;
}

static void value(struct random *r, struct buf *b)
{
	static const char *const values[] = {
		"NULL", "0", "1", "2", "3", "4", "'1'", "1.0", "'a'", "'A'", "'b'", "'B'", "'007'", "x'00'", "x'61'", "-1", "2.5",
		"9223372036854775807", "-9223372036854775808", "-9223372036854775808.0", "CAST(x'610062' AS TEXT)", "'张三'", "'c'",
		"'d'", "''", "5", "6",
	};

	buf_printf(b, "%s", values[pick(r, ARRAY_SIZE(values))]);
}

static void key_value(struct random *r, struct buf *b, bool number)
{
	static const char *const texts[] = { "'a'", "'b'", "'c'", "'A'", "'1'", "'d,e'", "'f'", "'张'", "1" };

	if (number)
		buf_printf(b, "%u", pick(r, 9));
	else
		buf_printf(b, "%s", texts[pick(r, ARRAY_SIZE(texts))]);
}

static void column_value(struct random *r, struct buf *b, const struct reg *reg, const struct column *c, bool any)
{
	for (uint32_t i = 0; i < reg->nkey; i++)
		if (reg->key[i] == c) {
			key_value(r, b, c->affinity == 'I');
			return;
		}
	if (any && pick(r, 4) == 0)
		identifier_put(b, nth(reg, pick(r, reg->ncolumns))->name);
	else if (pick(r, 3) == 0)
		key_value(r, b, pick(r, 2));
	else
		value(r, b);
}

static void where(struct random *r, struct buf *b, const struct reg *reg)
{
	uint32_t kind = pick(r, 5);

	if (kind == 0)
		return;
	const struct column *c = kind < 4 ? reg->key[pick(r, reg->nkey)] : nth(reg, pick(r, reg->ncolumns));
	buf_printf(b, " WHERE ");
	identifier_put(b, c->name);
	buf_printf(b, "%s", kind == 3 ? "<" : "=");
	column_value(r, b, reg, c, false);
}

static void assignments(struct random *r, struct buf *b, const struct reg *reg, bool excluded)
{
	uint32_t n = 1 + pick(r, 3);
	bool moved = false;

	for (uint32_t i = 0; i < n; i++) {
		static const char *const aliases[] = { "rowid", "_rowid_", "oid" };
		const struct column *c = nth(reg, pick(r, reg->ncolumns + reg->nlocal));

		buf_printf(b, "%s", i > 0 ? "," : " SET ");
		if (!moved && pick(r, 12) == 0) {
			moved = true;
			buf_printf(b, "%s=%u", aliases[pick(r, 3)], pick(r, 9));
			continue;
		}
		identifier_put(b, c->name);
		buf_printf(b, "=");
		if (excluded && pick(r, 2)) {
			buf_printf(b, "excluded.");
			identifier_put(b, c->name);
		} else {
			column_value(r, b, reg, c, true);
		}
	}
}

static void statement(struct random *r, struct buf *b, const struct reg *reg)
{
	static const char *const clauses[] = { "", "", "", " OR REPLACE", " OR REPLACE", " OR IGNORE", " OR FAIL", " OR ABORT",
		                               " OR ROLLBACK" };
	const char *clause = clauses[pick(r, ARRAY_SIZE(clauses))];
	uint32_t kind = pick(r, 10), n = reg->ncolumns + reg->nlocal, rows = 1 + pick(r, 3);
	uint64_t mask = pick(r, 3) == 0 ? ~UINT64_C(0) : pick(r, 1u << n);

	buf_clear(b);
	if (kind == 0) {
		buf_printf(b, "DELETE FROM t");
		where(r, b, reg);
		return;
	}
	if (kind < 5) {
		buf_printf(b, "UPDATE%s t", clause);
		assignments(r, b, reg, false);
		where(r, b, reg);
		return;
	}
	bool alias = pick(r, 10) == 0;
	buf_printf(b, "INSERT%s INTO t(%s", clause, alias ? "_rowid_," : "");
	for (uint32_t i = 0, first = 1; i < n; i++)
		if (i < reg->nkey || mask >> i & 1) {
			buf_printf(b, "%s", first ? "" : ",");
			identifier_put(b, nth(reg, i)->name);
			first = 0;
		}
	buf_printf(b, ")%s", kind == 9 ? " " : " VALUES");
	for (uint32_t row = 0; row < (kind == 9 ? 1 : rows); row++) {
		buf_printf(b, "%s", kind == 9 ? "SELECT " : row > 0 ? ",(" : "(");
		if (alias)
			buf_printf(b, "%u,", pick(r, 9));
		for (uint32_t i = 0, first = 1; i < n; i++)
			if (i < reg->nkey || mask >> i & 1) {
				buf_printf(b, "%s", first ? "" : ",");
				column_value(r, b, reg, nth(reg, i), kind == 9);
				first = 0;
			}
		buf_printf(b, "%s", kind == 9 ? " FROM t" : ")");
	}
	if (kind == 9)
		where(r, b, reg);
	if (kind == 8) {
		buf_printf(b, " ON CONFLICT");
		if (pick(r, 3) > 0) {
			buf_printf(b, "(");
			for (uint32_t i = 0; i < reg->nkey; i++) {
				buf_printf(b, "%s", i > 0 ? "," : "");
				identifier_put(b, reg->key[i]->name);
			}
			buf_printf(b, ")");
		}
		buf_printf(b, " DO ");
		if (pick(r, 3) > 0) {
			buf_printf(b, "UPDATE");
			assignments(r, b, reg, true);
		} else {
			buf_printf(b, "NOTHING");
		}
	}
}

static struct capture_modes random_modes(struct random *r)
{
	struct capture_modes m = { 0 };
	uint32_t kind = pick(r, 4);

	m.create = kind == 0 || pick(r, 4) > 0;
	m.remove = kind == 0 || pick(r, 2);
	m.may_propose_row = kind > 0 && pick(r, 2);
	for (uint32_t g = 1; g < 5; g++)
		switch (kind == 0 ? 0 : pick(r, 3)) {
		case 0: m.own |= UINT64_C(1) << g; break;
		case 1: m.propose |= UINT64_C(1) << g; break;
		default: break;
		}
	return m;
}

static void run_seed(uint64_t seed, uint32_t steps, uint32_t counts[2])
{
	struct random r = { seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };
	_cleanup_(buf_release) struct buf sql = { 0 }, history = { 0 };
	struct world w;
	struct err err = { 0 };

	pick(&r, 2);
	world_open(&w, pick(&r, 3) ? "WAL" : "DELETE", &random_specs[seed % ARRAY_SIZE(random_specs)], 1);
	const struct reg *reg = w.c->regs[0];
	bool app_triggers = seed % ARRAY_SIZE(random_specs) == ARRAY_SIZE(random_specs) - 1;
	if (pick(&r, 2))
		app_do(&w, "PRAGMA recursive_triggers=ON");
	if (pick(&r, 2))
		app_do(&w, "PRAGMA foreign_keys=ON");
	for (uint32_t i = 0; i < 40; i++) {      /* before capture is on: rows of every kind */
		statement(&r, &sql, reg);
		sqlite3_exec(w.app, buf_text(&sql), NULL, NULL, NULL);
	}
	struct capture_modes m = random_modes(&r);
	install(&w, reg, &m);
	for (uint32_t step = 0; step < steps; step++) {
		struct arena a = { 0 };
		struct snapshot before, after;
		struct log_entry *e;
		uint32_t n, statements = pick(&r, 3) ? 1 : 1 + pick(&r, 4);
		bool transaction = statements > 1 && pick(&r, 2), clean = true;

		snapshot(&w, reg, &a, &before);
		buf_clear(&history);
		if (transaction)
			app_do(&w, "BEGIN");
		for (uint32_t i = 0; i < statements; i++) {
			char *say = NULL;
			statement(&r, &sql, reg);
			int rc = sqlite3_exec(w.app, buf_text(&sql), NULL, NULL, &say);
			counts[rc != SQLITE_OK]++;
			buf_printf(&history, "  %s;  -- %s\n", buf_text(&sql), say != NULL ? say : "ok");
			/* never ours, but for the sentence */
			if (say != NULL && strstr(say, "terrace_") != NULL)
				fail_msg("seed %llu: our trigger failed a write: %s: %s", (unsigned long long)seed, buf_text(&sql), say);
			/* FAIL and IGNORE keep what they did before the row that failed */
			clean &= rc != SQLITE_OK && strstr(buf_text(&sql), "OR FAIL") == NULL &&
			         strstr(buf_text(&sql), "OR IGNORE") == NULL;
			sqlite3_free(say);
		}
		if (!sqlite3_get_autocommit(w.app))
			app_do(&w, "COMMIT");
		snapshot(&w, reg, &a, &after);
		assert_int_equal(log_read(w.ledger, 0, 1000000, &a, &e, &n, &err), 0);
		if (clean && n > 0 && same(&before, &after, reg->ncolumns + reg->nlocal))
			fail_msg("seed %llu: a failing statement left log rows:\n%s", (unsigned long long)seed, buf_text(&history));
		for (uint32_t i = 0; i < before.n + after.n; i++) {
			const char *key = i < before.n ? before.rows[i].key : after.rows[i - before.n].key, *say;
			struct seen seen;
			log_of(e, n, &a, key, &seen);
			say = judge(reg, &m, shot_of(&before, key), shot_of(&after, key), &seen, statements == 1 && !app_triggers);
			if (say != NULL)
				fail_msg("seed %llu step %u key %s: %s (own %llx propose %llx create %d remove %d row %d):\n%s",
				         (unsigned long long)seed, step, key, say, (unsigned long long)m.own,
				         (unsigned long long)m.propose, m.create, m.remove, m.may_propose_row, buf_text(&history));
		}
		log_clear(&w);
		arena_release(&a);
		if (pick(&r, 40) == 0) {         /* another policy, in the middle of the day */
			m = random_modes(&r);
			install(&w, reg, &m);
		}
	}
	world_close(&w);
}

static void test_random(void **state)
{
	const char *one = getenv("SEED"), *many = getenv("SEEDS");
	uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1, n = one != NULL ? 1 : many != NULL ? strtoull(many, NULL, 10) : 64;
	uint32_t counts[2] = { 0, 0 };

	(void)state;
	for (uint64_t seed = first; seed < first + n; seed++)
		run_seed(seed, 150, counts);
	print_message("%u statements passed, %u failed\n", counts[0], counts[1]);
	assert_true(counts[0] > counts[1] / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_catalog), cmocka_unit_test(test_clauses), cmocka_unit_test(test_values),
		cmocka_unit_test(test_cascades), cmocka_unit_test(test_olds), cmocka_unit_test(test_authority),
		cmocka_unit_test(test_default_sentences), cmocka_unit_test(test_install), cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_log), cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
