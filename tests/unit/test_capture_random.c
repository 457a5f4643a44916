/* Random SQL on random tables under random rights: every row that changed is named by the log, what stood is kept, and
 * nothing passes that this level may not do.  SEED=n runs one, SEEDS=n so many. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture_world.h"

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
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
