/* What capture costs the application: bench_capture VERB …, for tests/bench/bench_capture.sh.
 *
 *   install DB              puts capture on household and person, all groups owned: seconds, triggers
 *   ops DB FILE N [all]     the first N operations of a probe file (tests/bench/workload.py) in one transaction,
 *                           prepared; all: an update sets every column, two of them to something new
 *   bulk-update DB          every row, two columns, by key, one transaction: seconds
 *   bulk-insert FROM DB     every row of FROM into the empty tables of DB, one transaction: seconds
 *   adopt DB                a node of the county takes the file over and seals all its rows: seconds
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rand.h"
#include "engine/engine.h"
#include "engine/install.h"
#include "engine/self.h"
#include "store/capture.h"

#define COUNTY_UNIT UINT64_C(532999000000)
#define COLUMNS 32

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what, const char *say)
{
	fprintf(stderr, "bench_capture: %s: %s\n", what, say);
	exit(1);
}

static void ok(int rc, const struct err *err)
{
	if (rc != 0)
		die(err_name(rc), err->text);
}

static void run(sqlite3 *db, const char *sql)
{
	char *say = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &say) != SQLITE_OK)
		die(sql, say);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK)
		die(sql, sqlite3_errmsg(db));
	return s;
}

static void step(sqlite3 *db, sqlite3_stmt *s)
{
	if (sqlite3_step(s) != SQLITE_DONE)
		die(sqlite3_sql(s), sqlite3_errmsg(db));
	sqlite3_reset(s);
}

/* ---- the two tables */

struct table {
	const char *name;
	uint32_t n;
	char columns[COLUMNS][32];
	bool number[COLUMNS];
	sqlite3_stmt *insert, *whole, *update[COLUMNS];  /* update: this column and the last */
};

static sqlite3 *application(const char *path, struct table tables[2])
{
	static const char *const names[] = { "household", "person" };
	sqlite3 *db;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		die(path, sqlite3_errmsg(db));
	run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-64000");
	for (int t = 0; t < 2; t++) {
		sqlite3_stmt *s = prepare(db, "SELECT name, type <> 'TEXT' FROM pragma_table_info(?1)");
		memset(&tables[t], 0, sizeof(tables[t]));
		tables[t].name = names[t];
		sqlite3_bind_text(s, 1, names[t], -1, SQLITE_STATIC);
		for (; sqlite3_step(s) == SQLITE_ROW && tables[t].n < COLUMNS; tables[t].n++) {
			snprintf(tables[t].columns[tables[t].n], sizeof(tables[t].columns[0]), "%s", sqlite3_column_text(s, 0));
			tables[t].number[tables[t].n] = sqlite3_column_int(s, 1);
		}
		sqlite3_finalize(s);
	}
	return db;
}

static uint32_t column_named(const struct table *t, const char *name)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (strcmp(t->columns[i], name) == 0)
			return i;
	die("no column", name);
	return 0;
}

static sqlite3_stmt *insert_of(sqlite3 *db, struct table *t)
{
	_cleanup_(buf_release) struct buf sql = { 0 };

	if (t->insert == NULL) {
		buf_printf(&sql, "INSERT INTO %s VALUES(?1", t->name);
		for (uint32_t i = 1; i < t->n; i++)
			buf_printf(&sql, ",?%u", i + 1);
		buf_printf(&sql, ")");
		t->insert = prepare(db, buf_text(&sql));
	}
	return t->insert;
}

/* Key at ?1, the column's value at ?2, updated_at at ?3. */
static sqlite3_stmt *update_of(sqlite3 *db, struct table *t, uint32_t column)
{
	char sql[200];

	if (t->update[column] == NULL) {
		snprintf(sql, sizeof(sql), "UPDATE %s SET %s=?2, %s=?3 WHERE %s=?1", t->name, t->columns[column],
		         t->columns[t->n - 1], t->columns[0]);
		t->update[column] = prepare(db, sql);
	}
	return t->update[column];
}

/* As an object mapper saves a row: every column by value, ?1 to ?n. */
static sqlite3_stmt *whole_of(sqlite3 *db, struct table *t)
{
	_cleanup_(buf_release) struct buf sql = { 0 };

	if (t->whole == NULL) {
		buf_printf(&sql, "UPDATE %s SET ", t->name);
		for (uint32_t i = 1; i < t->n; i++)
			buf_printf(&sql, "%s%s=?%u", i > 1 ? "," : "", t->columns[i], i + 1);
		buf_printf(&sql, " WHERE %s=?1", t->columns[0]);
		t->whole = prepare(db, buf_text(&sql));
	}
	return t->whole;
}

static void bind_word(sqlite3_stmt *s, int i, const char *word, bool number)
{
	if (number && strchr(word, '.') == NULL && *word != '\0')
		sqlite3_bind_int64(s, i, atoll(word));
	else if (number && *word != '\0')
		sqlite3_bind_double(s, i, atof(word));
	else
		sqlite3_bind_text(s, i, word, -1, SQLITE_STATIC);
}

/* ---- operations */

struct op {
	char kind;
	struct table *table;
	uint32_t column, n;
	char *words[COLUMNS];            /* U: key, value, updated_at; I: the row */
	sqlite3_value *row[COLUMNS];     /* all: what stands */
};

static struct op *ops_read(const char *path, struct table tables[2], uint32_t most, uint32_t *ret_n)
{
	FILE *f = fopen(path, "r");
	struct op *ops = calloc(most + 1, sizeof(*ops));
	char *line = NULL;
	size_t room = 0;
	uint32_t n = 0;

	if (f == NULL || ops == NULL)
		die(path, "cannot be read");
	for (; n < most && getline(&line, &room, f) > 0; n++) {
		struct op *o = &ops[n];
		char *rest = strdup(line);
		rest[strcspn(rest, "\n")] = '\0';
		o->kind = *strsep(&rest, "\t");
		o->table = &tables[strcmp(strsep(&rest, "\t"), "person") == 0];
		while (rest != NULL && o->n < COLUMNS)
			o->words[o->n++] = strsep(&rest, "\t");
		if (o->kind == 'U') {            /* key, column, value, updated_at */
			o->column = column_named(o->table, o->words[1]);
			o->words[1] = o->words[2];
			o->words[2] = o->words[3];
		}
	}
	free(line);
	fclose(f);
	*ret_n = n;
	return ops;
}

static void rows_read(sqlite3 *db, struct op *ops, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char sql[100];
		struct table *t = ops[i].table;
		snprintf(sql, sizeof(sql), "SELECT * FROM %s WHERE %s=?1", t->name, t->columns[0]);
		sqlite3_stmt *s = prepare(db, sql);
		bind_word(s, 1, ops[i].words[0], t->number[0]);
		if (sqlite3_step(s) != SQLITE_ROW)
			die(sql, "no such row");
		for (uint32_t c = 0; c < t->n; c++)
			ops[i].row[c] = sqlite3_value_dup(sqlite3_column_value(s, (int)c));
		sqlite3_finalize(s);
	}
}

/* Everything is made ready for all of the file whatever `count`, so that count 0 is the base to subtract. */
static void verb_ops(const char *path, const char *file, uint32_t count, bool all)
{
	struct table tables[2];
	sqlite3 *db = application(path, tables);
	uint32_t n;
	struct op *ops = ops_read(file, tables, 1u << 20, &n);

	if (all)
		rows_read(db, ops, n);
	for (uint32_t i = 0; i < n; i++)
		if (ops[i].kind == 'I')
			insert_of(db, ops[i].table);
		else if (all)
			whole_of(db, ops[i].table);
		else
			update_of(db, ops[i].table, ops[i].column);
	run(db, "BEGIN IMMEDIATE");
	for (uint32_t i = 0; i < MIN(count, n); i++) {
		struct op *o = &ops[i];
		struct table *t = o->table;
		sqlite3_stmt *s;

		if (o->kind == 'I') {
			s = t->insert;
			for (uint32_t c = 0; c < t->n; c++)
				bind_word(s, (int)c + 1, o->words[c], t->number[c]);
		} else if (all) {
			s = t->whole;
			for (uint32_t c = 0; c < t->n; c++)
				sqlite3_bind_value(s, (int)c + 1, o->row[c]);
			bind_word(s, (int)o->column + 1, o->words[1], t->number[o->column]);
			bind_word(s, (int)t->n, o->words[2], false);
		} else {
			s = t->update[o->column];
			bind_word(s, 1, o->words[0], t->number[0]);
			bind_word(s, 2, o->words[1], t->number[o->column]);
			bind_word(s, 3, o->words[2], false);
		}
		step(db, s);
	}
	run(db, "COMMIT");
}

static void verb_bulk_update(const char *path)
{
	static const char *const columns[] = { "category", "labour" };
	struct table tables[2];
	sqlite3 *db = application(path, tables);
	sqlite3_value **keys[2];
	uint32_t counts[2] = { 0, 0 };

	for (int t = 0; t < 2; t++) {
		char sql[100];
		snprintf(sql, sizeof(sql), "SELECT %s FROM %s", tables[t].columns[0], tables[t].name);
		sqlite3_stmt *s = prepare(db, sql);
		keys[t] = calloc(1u << 20, sizeof(sqlite3_value *));
		while (sqlite3_step(s) == SQLITE_ROW && counts[t] < 1u << 20)
			keys[t][counts[t]++] = sqlite3_value_dup(sqlite3_column_value(s, 0));
		sqlite3_finalize(s);
		update_of(db, &tables[t], column_named(&tables[t], columns[t]));
	}
	double start = now();
	run(db, "BEGIN IMMEDIATE");
	for (int t = 0; t < 2; t++) {
		sqlite3_stmt *s = update_of(db, &tables[t], column_named(&tables[t], columns[t]));
		for (uint32_t i = 0; i < counts[t]; i++) {
			sqlite3_bind_value(s, 1, keys[t][i]);
			sqlite3_bind_text(s, 2, "另一值", -1, SQLITE_STATIC);
			sqlite3_bind_text(s, 3, "2026-11-25 12:00:00", -1, SQLITE_STATIC);
			step(db, s);
		}
	}
	run(db, "COMMIT");
	printf("%.4f %u\n", now() - start, counts[0] + counts[1]);
}

static void verb_bulk_insert(const char *from, const char *path)
{
	struct table tables[2], theirs[2];
	sqlite3 *source = application(from, theirs), *db = application(path, tables);
	sqlite3_value **rows[2];
	uint32_t counts[2] = { 0, 0 };

	for (int t = 0; t < 2; t++) {
		char sql[100];
		snprintf(sql, sizeof(sql), "SELECT * FROM %s", tables[t].name);
		sqlite3_stmt *s = prepare(source, sql);
		rows[t] = calloc((size_t)100000 * tables[t].n, sizeof(sqlite3_value *));
		for (; counts[t] < 100000 && sqlite3_step(s) == SQLITE_ROW; counts[t]++)
			for (uint32_t c = 0; c < tables[t].n; c++)
				rows[t][counts[t] * tables[t].n + c] = sqlite3_value_dup(sqlite3_column_value(s, (int)c));
		sqlite3_finalize(s);
		insert_of(db, &tables[t]);
	}
	double start = now();
	run(db, "BEGIN IMMEDIATE");
	for (int t = 0; t < 2; t++)
		for (uint32_t i = 0; i < counts[t]; i++) {
			for (uint32_t c = 0; c < tables[t].n; c++)
				sqlite3_bind_value(tables[t].insert, (int)c + 1, rows[t][i * tables[t].n + c]);
			step(db, tables[t].insert);
		}
	run(db, "COMMIT");
	printf("%.4f %u\n", now() - start, counts[0] + counts[1]);
}

/* ---- capture put on */

/* Key and unit as the workload has them, every other column in one group. */
static void policy_form(struct table tables[2], struct buf *form)
{
	static const char *columns[2][COLUMNS], *keys[2];
	static struct policy_group groups[2];
	static struct policy_register registers[2];
	const struct policy p = { .name = "bench", .issuer = COUNTY_UNIT, .version = 1, .nregisters = 2, .registers = registers };
	struct err err = { 0 };

	for (int t = 0; t < 2; t++) {
		for (uint32_t c = 1; c < tables[t].n; c++)
			if (strcmp(tables[t].columns[c], "village_code") != 0)
				columns[t][groups[t].ncolumns++] = tables[t].columns[c];
		keys[t] = tables[t].columns[0];
		groups[t].name = "main";
		groups[t].columns = columns[t];
		groups[t].own = 0x1f;
		registers[t] = (struct policy_register){
			.name = tables[t].name, .nkey = 1, .key = &keys[t], .unit_source = UNIT_COLUMN,
			.unit_column = "village_code", .floor = VILLAGE, .assigned = true, .application_schema = true, .create = 0x1f, .remove = 0x1f,
			.ngroups = 1, .groups = &groups[t],
		};
	}
	ok(policy_put(&p, form, &err), &err);
}

static void verb_install(const char *path)
{
	const struct capture_modes modes = { .own = ~UINT64_C(0), .create = true, .remove = true };
	_cleanup_(buf_release) struct buf form = { 0 };
	struct table tables[2];
	struct err err = { 0 };
	struct catalog *c;
	struct db *db;
	sqlite3_stmt *s;

	sqlite3_close(application(path, tables));
	policy_form(tables, &form);
	ok(db_open(path, DB_WRITE, &db, &err), &err);
	ok(db_prepare(db, "INSERT INTO terrace_policy(issuer, version, canonical, state, at) VALUES(?1, 1, ?2, 'active', 0)", &s,
	              &err), &err);
	bind_u64(s, 1, COUNTY_UNIT);
	bind_slice(s, 2, buf_slice(&form));
	step(db->sql, s);
	sqlite3_finalize(s);
	double start = now();
	ok(catalog_load(db, &c, &err), &err);
	ok(db_begin(db, &err), &err);
	for (uint32_t i = 0; i < c->nregs; i++)
		ok(capture_install(db, c->regs[i], &modes, &err), &err);
	ok(db_commit(db, &err), &err);
	double took = now() - start;
	s = prepare(db->sql, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'");
	sqlite3_step(s);
	printf("%.4f %d\n", took, sqlite3_column_int(s, 0));
	sqlite3_finalize(s);
	catalog_release(c);
	db_close(db);
}

/* ---- the whole node: how much the file grows */

static void heard(void *arg, int level, const char *kind, uint64_t peer, const char *segment, const char *text)
{
	(void)arg, (void)peer, (void)segment;
	if (level <= 4)
		fprintf(stderr, "%s: %s\n", kind, text);
}

/* As `terracectl adopt --apply` orders it. */
static void begin_adoption(struct engine *e)
{
	char list[20], words[64][80];
	const char *order[66] = { "adopt", list };
	struct err err = { 0 };
	json_t *answer = NULL;
	uint32_t n = 2;

	snprintf(list, sizeof(list), "%016llx", (unsigned long long)e->catalog->list);
	for (uint32_t i = 0; i < e->catalog->nregs && n < 66; i++)
		if (e->catalog->regs[i]->adoption == ADOPT_WAITS) {
			snprintf(words[n - 2], sizeof(words[0]), "%s=mine", e->catalog->regs[i]->name);
			order[n] = words[n - 2];
			n++;
		}
	ok(engine_command(e, order, n, "bench", &answer, &err), &err);
	json_decref(answer);
}

static void verb_adopt(const char *path)
{
	static struct identity id;
	struct engine_options o = { .database = path, .identity = &id, .source = source_system(), .seal_ms = 1, .seal_max_ms = 1,
		                    .event = heard };
	_cleanup_(buf_release) struct buf form = { 0 };
	struct table tables[2];
	struct engine *e;
	struct err err = { 0 };
	uint8_t serial[16] = { 0x81, 1 };
	struct sign_key recovery;
	uint64_t version;

	sqlite3_close(application(path, tables));
	policy_form(tables, &form);
	id.unit = COUNTY_UNIT;
	snprintf(id.line, sizeof(id.line), "bench");
	snprintf(id.name, sizeof(id.name), "剑云县");
	sign_key_new(&id.sign);
	sign_key_new(&recovery);
	ok(chain_key_new(&id.tls_key_pem, &err), &err);
	ok(chain_self_signed(buf_slice(&id.tls_key_pem), id.unit, id.line, id.name, id.sign.public_key, recovery.public_key, serial,
	                     time(NULL) - 86400, time(NULL) + 86400 * 3650, &id.chain_pem, &err), &err);
	ok(chain_read(buf_slice(&id.chain_pem), NULL, &id.chain, &err), &err);
	double start = now();
	ok(engine_open(&o, &e, &err), &err);
	ok(policy_publish(e, buf_slice(&form), &version, &err), &err);
	begin_adoption(e);
	for (int i = 0, quiet = 0; i < 2000 && quiet < 3; i++) {         /* sealing, then row terms, then checkpoints */
		int64_t wait = engine_tick(e, true);
		quiet = wait > 500 ? quiet + 1 : 0;
		if (wait > 0) {
			struct timespec pause = { 0, MIN(wait, 200) * 1000000 };
			nanosleep(&pause, NULL);
		}
	}
	printf("%.4f\n", now() - start);
	engine_close(e);
}

int main(int argc, char **argv)
{
	rand_start();
	if (argc == 3 && strcmp(argv[1], "install") == 0)
		verb_install(argv[2]);
	else if (argc >= 5 && strcmp(argv[1], "ops") == 0)
		verb_ops(argv[2], argv[3], (uint32_t)atoi(argv[4]), argc == 6);
	else if (argc == 3 && strcmp(argv[1], "bulk-update") == 0)
		verb_bulk_update(argv[2]);
	else if (argc == 4 && strcmp(argv[1], "bulk-insert") == 0)
		verb_bulk_insert(argv[2], argv[3]);
	else if (argc == 3 && strcmp(argv[1], "adopt") == 0)
		verb_adopt(argv[2]);
	else
		die("usage", "see the head of tests/bench/bench_capture.c");
	return 0;
}
