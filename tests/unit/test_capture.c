/* Capture and catalog against real SQL: whatever the application writes, the log names every row that changed; where
 * this level may not write, the statement fails and leaves nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture_world.h"

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

	if (capture_check(w->ledger, w->c->regs[0], m, &n, NULL, &err) != 0)
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

/* A right that this level (a county) takes over from townships where they have no node: judged row by row. */
static void test_manned(void **state)
{
	static const struct spec specs[] = {
		{ "CREATE TABLE person(id INTEGER PRIMARY KEY, unit TEXT, name TEXT, age INTEGER DEFAULT 0, card TEXT UNIQUE)", "person",
		  "id", "unit", { "main:name|card", "other:age" } },
		{ "CREATE TABLE number(a TEXT NOT NULL, b TEXT NOT NULL, unit INTEGER, name TEXT, PRIMARY KEY(a, b))", "number", "a|b",
		  "unit", { "main:name" } },
	};
	struct capture_modes m = { .own = 1u << 2, .propose = 1u << 1, .create = true, .may_propose_row = true, .level = COUNTY };
	struct world w;

	(void)state;
	world_open(&w, "WAL", specs, 2);
	app_do(&w, "CREATE TABLE IF NOT EXISTS terrace_manned(unit INTEGER NOT NULL PRIMARY KEY); "
	       "INSERT INTO terrace_manned VALUES(620702100000), (620702300001)");
	app_do(&w, "INSERT INTO person(id, unit, name) VALUES(1, '620702100001', 'a'), (2, '620702200001', 'b'), "
	       "(3, '620702300001', 'c'), (4, '620702000000', 'd'), (5, NULL, 'e'), (6, 'nowhere', 'f'), (7, '620702300002', 'g')");
	m.group_from[1] = TOWNSHIP;
	m.create_from = m.move_from = m.remove_from = TOWNSHIP;
	m.say[1] = "由乡镇决定 / the township's";
	m.say_create = m.say_remove = "由乡镇决定 / the township's row";
	install(&w, reg_of(&w, "person"), &m);
	install(&w, reg_of(&w, "number"), &m);
	static const char *const no[] = {
		"UPDATE person SET name = 'x' WHERE id = 1",
		"UPDATE person SET name = 'x' WHERE id IN (2, 1)",
		"UPDATE person SET unit = '620702200001' WHERE id = 1",
		"UPDATE person SET name = 'x', unit = '620702200001' WHERE id = 1",
		"UPDATE person SET name = 'x' WHERE id = 4",             /* nobody is below the county's own rows */
		"DELETE FROM person WHERE id = 1",
		"DELETE FROM person WHERE id = 4",
		"INSERT INTO person(id, unit) VALUES(9, '620702100002')",
		"INSERT INTO person(id, unit) VALUES(9, '620702000000')",
		"INSERT INTO person(id, unit) VALUES(9, '620702200001'), (10, '620702100000')",
		"REPLACE INTO person(id, unit, name) VALUES(1, '620702200001', 'x')",    /* by the unit that stood there */
		"UPDATE person SET id = 20 WHERE id = 1",
		"INSERT INTO person(id, unit, name) VALUES(1, '620702100001', 'x') ON CONFLICT(id) DO UPDATE SET name = 'y'",
		"INSERT INTO number VALUES('x', 'y', 620702100003, 'n')",
	};
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		expect_abort(&w, no[i], "terrace: 由乡镇决定");
	expect(&w, "UPDATE person SET age = 1 WHERE id = 1", "person: age 1");
	expect(&w, "UPDATE person SET name = 'a' WHERE id = 1", "");
	expect(&w, "REPLACE INTO person(id, unit, name) VALUES(1, '620702100001', 'a')",
	       "person: name 1 was 'a', person: card 1 was NULL, person: row 1");
	expect(&w, "UPDATE person SET name = 'x' WHERE id = 2", "person: name 2 was 'b'");
	/* A village's node under no township's leaves the township's part to the county. */
	expect(&w, "UPDATE person SET name = 'x' WHERE id = 3", "person: name 3 was 'c'");
	expect(&w, "UPDATE person SET name = 'x' WHERE id > 4", "person: name 5 was 'e', person: name 6 was 'f', person: name 7 was 'g'");
	expect(&w, "INSERT INTO person(id, unit, name) VALUES(9, '620702200002', 'i')", "person: row 9");
	expect(&w, "INSERT INTO number VALUES('x', 'y', 620702200003, 'n')", "number: row 'T78,T79'");
	expect(&w, "UPDATE number SET name = 'm'", "number: name 'T78,T79' was 'n'");
	expect(&w, "UPDATE person SET id = 30 WHERE id = 9",
	       "person: unit 9 was '620702200002', person: name 9 was 'i', person: card 9 was NULL, person: age 9 was 0, person: row 9, person: row 30");
	/* The township gets its node. */
	app_do(&w, "INSERT INTO terrace_manned VALUES(620702200000)");
	expect_abort(&w, "UPDATE person SET name = 'y' WHERE id = 2", "terrace: 由乡镇决定");
	expect_abort(&w, "UPDATE number SET name = 'o'", "terrace: 由乡镇决定");
	expect_abort(&w, "DELETE FROM number", "terrace: 由乡镇决定");
	app_do(&w, "DELETE FROM terrace_manned");
	expect(&w, "UPDATE person SET name = 'z' WHERE id = 1", "person: name 1 was 'a'");
	world_close(&w);
}

/* `unit = origin`: the unit stands beside the table; a new row is its maker's own, which nobody below decides. */
static void test_manned_origin(void **state)
{
	static const struct spec specs[] = {
		{ "CREATE TABLE note(id TEXT NOT NULL PRIMARY KEY, text TEXT)", "note", "id", NULL, { "main:text" } } };
	struct capture_modes m = { .propose = 1u << 1, .create = true, .remove = true, .level = COUNTY };
	struct world w;

	(void)state;
	world_open(&w, "WAL", specs, 1);
	app_do(&w, "CREATE TABLE IF NOT EXISTS terrace_manned(unit INTEGER NOT NULL PRIMARY KEY); "
	       "INSERT INTO terrace_manned VALUES(620702100000); INSERT INTO note VALUES('a', 'x'), ('b', 'x')");
	m.group_from[1] = TOWNSHIP;
	install(&w, reg_of(&w, "note"), &m);
	app_do(&w, "INSERT INTO terrace_s1(key, unit, flags, version) VALUES('a', 620702100001, 1, 1), ('b', 620702200001, 1, 1)");
	expect_abort(&w, "UPDATE note SET text = 'y' WHERE id = 'a'", "terrace: ");
	expect_abort(&w, "INSERT INTO note VALUES('c', 'y')", "terrace: ");
	expect_abort(&w, "REPLACE INTO note VALUES('a', 'y')", "terrace: ");
	expect(&w, "INSERT INTO note(id) VALUES('c')", "row 'c'");
	expect(&w, "UPDATE note SET text = 'y' WHERE id = 'b'", "text 'b' was 'x'");
	expect(&w, "REPLACE INTO note VALUES('b', 'z')", "text 'b' was 'y', row 'b'");
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_catalog), cmocka_unit_test(test_clauses), cmocka_unit_test(test_values),
		cmocka_unit_test(test_cascades), cmocka_unit_test(test_olds), cmocka_unit_test(test_authority),
		cmocka_unit_test(test_manned), cmocka_unit_test(test_manned_origin),
		cmocka_unit_test(test_default_sentences), cmocka_unit_test(test_install), cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
