#include "capture_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

void app_do(struct world *w, const char *sql)
{
	char *say = NULL;

	if (sqlite3_exec(w->app, sql, NULL, NULL, &say) != SQLITE_OK)
		fail_msg("%s: %s", sql, say);
}

void policy_store(struct world *w, const struct spec *specs, size_t n, uint64_t version)
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

void world_load(struct world *w)
{
	struct err err = { 0 };

	catalog_release(w->c);
	w->c = NULL;
	if (catalog_load(w->ledger, &w->c, &err) != 0)
		fail_msg("catalog_load: %s", err.text);
}

void world_open(struct world *w, const char *journal, const struct spec *specs, size_t n)
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

void world_close(struct world *w)
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

const struct capture_modes all_own = { .own = ~UINT64_C(0), .create = true, .remove = true };

void install(struct world *w, const struct reg *r, const struct capture_modes *m)
{
	struct err err = { 0 };

	assert_int_equal(db_begin(w->ledger, &err), 0);
	if (capture_install(w->ledger, r, m, &err) != 0)
		fail_msg("capture_install %s: %s", r->name, err.text);
	assert_int_equal(db_commit(w->ledger, &err), 0);
}

struct reg *reg_of(const struct world *w, const char *name)
{
	struct reg *r = catalog_register(w->c, slice_of(name));

	assert_non_null(r);
	return r;
}

const struct column *column_of(const struct reg *r, const char *name)
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

void cell_show(struct buf *b, struct cell c)
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

void log_clear(struct world *w)
{
	struct err err = { 0 };

	assert_int_equal(log_reclaim(w->ledger, log_last(w->ledger), &err), 0);
	assert_false(log_pending(w->ledger));
}

const char *log_text(struct world *w)
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

void expect_abort(struct world *w, const char *sql, const char *say)
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
