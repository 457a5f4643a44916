/* What the receiver of changes pays: bench_apply VERB …, for tests/bench/bench_apply.sh.
 *
 *   prepare FOLDER PLAIN EMPTY C1.sql C2.sql    two nodes of two levels, one child: FOLDER/CASE/{county,town}.db, where
 *                           CASE is c1, c2 or c3 and -up (the township wrote) or -down (the county did), and what was
 *                           written waits to be carried; prints `seal SECONDS`: every row
 *   apply FOLDER CASE       carries it: `apply SECONDS hash SECONDS rows`, first the calls that take it, then the terms
 *   plain DB OPS.tsv        the same statements, prepared, in one transaction: `plain SECONDS`
 *
 * measured_apply, measured_hash and measured_plain are what callgrind counts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rand.h"
#include "engine/install.h"
#include "store/terms.h"

#define COUNTY_UNIT UINT64_C(532999000000)
#define TOWN_UNIT UINT64_C(532999101000)
#define COLUMNS 32
#define BODY (1u << 22)
#define MEASURED __attribute__((noinline, noclone))

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what, const char *say)
{
	fprintf(stderr, "bench_apply: %s: %s\n", what, say);
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

static sqlite3 *open_plain(const char *path)
{
	sqlite3 *db;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		die(path, sqlite3_errmsg(db));
	run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -32000");
	return db;
}

/* ---- plain statements */

struct word {
	int type;
	int64_t i;
	double r;
	const char *text;
	int n;
};

struct op {
	sqlite3_stmt *statement;
	int n;
	struct word words[COLUMNS];      /* as they are bound, from ?1 */
};

struct plain {
	sqlite3 *db;
	uint32_t n, room;
	struct op *ops;
	char *sql[256];                  /* statements met so far */
	sqlite3_stmt *statements[256];
};

static sqlite3_stmt *statement_of(struct plain *p, const char *sql)
{
	int i = 0;

	while (p->sql[i] != NULL && strcmp(p->sql[i], sql) != 0)
		i++;
	if (p->sql[i] == NULL) {
		p->sql[i] = strdup(sql);
		if (sqlite3_prepare_v3(p->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &p->statements[i], NULL) != SQLITE_OK)
			die(sql, sqlite3_errmsg(p->db));
	}
	return p->statements[i];
}

static bool is_number(sqlite3 *db, const char *table, const char *column)
{
	const char *type;

	sqlite3_table_column_metadata(db, NULL, table, column, &type, NULL, NULL, NULL, NULL);
	return type[0] != 'T';
}

static void word_of(struct op *o, const char *text, bool number)
{
	struct word *w = &o->words[o->n++];

	*w = (struct word){SQLITE_TEXT, strtoll(text, NULL, 10), strtod(text, NULL), text, (int)strlen(text)};
	if (number && *text != '\0')
		w->type = strchr(text, '.') != NULL ? SQLITE_FLOAT : SQLITE_INTEGER;
}

/* U table key column value updated_at | I table values … | D table key */
static void op_read(struct plain *p, struct op *o, char *line)
{
	const char *kind = strsep(&line, "\t"), *table = strsep(&line, "\t");
	const char *key = strcmp(table, "person") == 0 ? "id" : "code";
	char sql[500], column[COLUMNS][40] = {{0}};
	int ncolumns = 0;
	sqlite3_stmt *s = NULL;

	if (*kind == 'U') {
		const char *k = strsep(&line, "\t"), *name = strsep(&line, "\t");

		snprintf(sql, sizeof sql, "UPDATE %s SET %s = ?1, updated_at = ?2 WHERE %s = ?3", table, name, key);
		word_of(o, strsep(&line, "\t"), is_number(p->db, table, name));
		word_of(o, line, false);
		word_of(o, k, is_number(p->db, table, key));
	} else if (*kind == 'D') {
		snprintf(sql, sizeof sql, "DELETE FROM %s WHERE %s = ?1", table, key);
		word_of(o, line, is_number(p->db, table, key));
	} else {
		snprintf(sql, sizeof sql, "SELECT * FROM %s", table);
		if (sqlite3_prepare_v2(p->db, sql, -1, &s, NULL) != SQLITE_OK)
			die(sql, sqlite3_errmsg(p->db));
		for (; ncolumns < sqlite3_column_count(s); ncolumns++)
			snprintf(column[ncolumns], sizeof column[0], "%s", sqlite3_column_name(s, ncolumns));
		sqlite3_finalize(s);
		snprintf(sql, sizeof sql, "INSERT INTO %s VALUES(?1", table);
		for (int i = 1; i < ncolumns; i++)
			snprintf(sql + strlen(sql), sizeof sql - strlen(sql), ", ?%d", i + 1);
		snprintf(sql + strlen(sql), sizeof sql - strlen(sql), ")");
		for (int i = 0; i < ncolumns; i++)
			word_of(o, strsep(&line, "\t"), is_number(p->db, table, column[i]));
	}
	o->statement = statement_of(p, sql);
}

MEASURED void measured_plain(struct plain *p);
MEASURED void measured_plain(struct plain *p)
{
	run(p->db, "BEGIN IMMEDIATE");
	for (uint32_t i = 0; i < p->n; i++) {
		const struct op *o = &p->ops[i];

		for (int k = 0; k < o->n; k++) {
			const struct word *w = &o->words[k];

			if (w->type == SQLITE_TEXT)
				sqlite3_bind_text(o->statement, k + 1, w->text, w->n, SQLITE_STATIC);
			else if (w->type == SQLITE_INTEGER)
				sqlite3_bind_int64(o->statement, k + 1, w->i);
			else
				sqlite3_bind_double(o->statement, k + 1, w->r);
		}
		if (sqlite3_step(o->statement) != SQLITE_DONE)
			die(sqlite3_sql(o->statement), sqlite3_errmsg(p->db));
		sqlite3_reset(o->statement);
	}
	run(p->db, "COMMIT");
}

static void verb_plain(const char *path, const char *file)
{
	static struct plain p;
	FILE *f = fopen(file, "r");
	char *line = NULL;
	size_t size = 0;
	double start;

	if (f == NULL)
		die(file, "cannot be read");
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	p.db = open_plain(path);
	while (getline(&line, &size, f) > 0) {
		if (p.n == p.room) {
			p.room = p.room == 0 ? 1024 : p.room * 2;
			p.ops = realloc(p.ops, p.room * sizeof *p.ops);
		}
		line[strcspn(line, "\n")] = '\0';
		p.ops[p.n] = (struct op){0};
		op_read(&p, &p.ops[p.n++], strdup(line));
	}
	fclose(f);
	start = now();
	measured_plain(&p);
	printf("plain %.4f %u\n", now() - start, p.n);
}

/* ---- two nodes */

struct side {
	struct identity id;
	struct engine *e;
	sqlite3 *app;
	char path[400];
};

struct pair {
	const char *root;                /* holds every case; what runs now is root/now */
	struct side county, town;
	int64_t ahead_ms;                /* of the system's clock: waiting costs nothing here */
	bool again;
};

static int64_t wall(void *arg)
{
	return source_system().wall_ms(NULL) + ((struct pair *)arg)->ahead_ms;
}

static int64_t steady(void *arg)
{
	return source_system().steady_ms(NULL) + ((struct pair *)arg)->ahead_ms;
}

static void fill_random(void *arg, void *p, size_t n)
{
	(void)arg;
	source_system().random(NULL, p, n);
}

static void heard(void *arg, int level, const char *kind, uint64_t peer, const char *segment, const char *text)
{
	(void)arg, (void)peer;
	if (level <= 3)
		fprintf(stderr, "%s %s: %s\n", kind, segment != NULL ? segment : "", text);
}

static void pem(const char *folder, const char *name, struct buf *b, bool make)
{
	char path[400];
	FILE *f;
	int c;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, make ? "w" : "r");
	if (f == NULL)
		die(path, "cannot be opened");
	if (make)
		fwrite(b->p, 1, b->n, f);
	while (!make && (c = getc(f)) != EOF)
		buf_put_u8(b, (uint8_t)c);
	fclose(f);
}

static void certify(struct pair *p, struct side *s, struct err *err)
{
	_cleanup_(buf_release) struct buf request = {0};
	const uint8_t recovery[SIGN_PUBLIC_SIZE] = {7}, serial[16] = {1, (uint8_t)(s == &p->town)};
	int64_t from = time(NULL) - 86400, until = time(NULL) + 86400 * 365;

	ok(chain_key_new(&s->id.tls_key_pem, err), err);
	if (s == &p->county) {
		ok(chain_self_signed(buf_slice(&s->id.tls_key_pem), s->id.unit, s->id.line, s->id.name, s->id.sign.public_key, recovery,
		                     serial, from, until, &s->id.chain_pem, err), err);
		return;
	}
	ok(chain_request(buf_slice(&s->id.tls_key_pem), s->id.unit, s->id.line, s->id.name, s->id.sign.public_key, &request, err),
	   err);
	ok(chain_issue(buf_slice(&request), s->id.unit, s->id.line, s->id.name, buf_slice(&p->county.id.tls_key_pem),
	               buf_slice(&p->county.id.chain_pem), serial, from, until, &s->id.chain_pem, err), err);
	buf_put(&s->id.chain_pem, p->county.id.chain_pem.p, p->county.id.chain_pem.n);
}

static void identify(struct pair *p, struct side *s, const char *keys, bool make)
{
	bool town = s == &p->town;
	uint8_t seed[SIGN_SEED_SIZE] = {town ? 2 : 1};
	struct err err = {0};

	s->id.unit = town ? TOWN_UNIT : COUNTY_UNIT;
	s->id.parent = town ? COUNTY_UNIT : UNIT_NONE;
	snprintf(s->id.line, sizeof s->id.line, "bench");
	snprintf(s->id.name, sizeof s->id.name, "unit");
	sign_key_from_seed(seed, &s->id.sign);
	if (make)
		certify(p, s, &err);
	pem(keys, town ? "town.key" : "county.key", &s->id.tls_key_pem, make);
	pem(keys, town ? "town.pem" : "county.pem", &s->id.chain_pem, make);
	ok(chain_read(buf_slice(&s->id.chain_pem), NULL, &s->id.chain, &err), &err);
}

static void side_open(struct pair *p, struct side *s)
{
	struct engine_options o = {.database = s->path, .identity = &s->id, .source = {wall, steady, fill_random, p}, .seal_ms = 1,
	                           .seal_max_ms = 1, .event = heard};
	struct err err = {0};

	ok(engine_open(&o, &s->e, &err), &err);
	s->app = open_plain(s->path);
}

static void side_close(struct side *s)
{
	sqlite3_close(s->app);
	engine_close(s->e);
}

static void pair_open(struct pair *p, const char *root, const char *name)
{
	p->root = root;
	snprintf(p->county.path, sizeof p->county.path, "%s/%s/county.db", root, name);
	snprintf(p->town.path, sizeof p->town.path, "%s/%s/town.db", root, name);
	side_open(p, &p->county);
	side_open(p, &p->town);
	p->again = true;
}

static void pair_close(struct pair *p)
{
	side_close(&p->town);            /* the last connection empties the WAL */
	side_close(&p->county);
}

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...)
{
	char command[2000];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof command, format, args);
	va_end(args);
	if (system(command) != 0)
		die(command, "failed");
}

/* Keeps what stands now as a case. */
static void pair_save(struct pair *p, const char *name)
{
	pair_close(p);
	shell("cd %s && rm -rf %s && cp -r now %s", p->root, name, name);
	pair_open(p, p->root, "now");
}

static void tick(struct pair *p, struct engine *e)
{
	for (int i = 0, quiet = 0; i < 5000 && quiet < 3; i++) {
		int64_t wait = engine_tick(e, i == 0);

		quiet = wait > 500 ? quiet + 1 : 0;
		p->ahead_ms += wait > 0 ? 50 : 0;
	}
}

/* ---- the link */

struct measured {
	double apply, hash;
	uint32_t bodies;
};

static void hello(struct pair *p)
{
	for (int i = 0; i < 5 && p->again; i++) {
		_cleanup_(buf_release) struct buf body = {0}, answer = {0};
		struct orders orders = {0};
		struct err err = {0};

		ok(engine_hello_make(p->town.e, &body, &err), &err);
		ok(engine_hello_answer(p->county.e, &p->town.id.chain.at[0], buf_slice(&body), &answer, &err), &err);
		ok(engine_hello_take(p->town.e, buf_slice(&answer), &orders, &err), &err);
		p->again = orders.again;
	}
}

MEASURED int measured_apply(struct pair *p, struct slice body, bool up, struct buf *answer, struct err *err);
MEASURED int measured_apply(struct pair *p, struct slice body, bool up, struct buf *answer, struct err *err)
{
	return up ? engine_push_answer(p->county.e, &p->town.id.chain.at[0], body, answer, err) :
	            engine_feed_take(p->town.e, body, err);
}

static bool push(struct pair *p, struct measured *m)
{
	_cleanup_(buf_release) struct buf body = {0}, answer = {0};
	struct err err = {0};
	double start;

	ok(engine_push_make(p->town.e, BODY, &body, &err), &err);
	if (body.n == 0)
		return false;
	start = now();
	ok(measured_apply(p, buf_slice(&body), true, &answer, &err), &err);
	m->apply += now() - start;
	m->bodies++;
	ok(engine_push_take(p->town.e, 200, buf_slice(&answer), &err), &err);
	return true;
}

static bool feed(struct pair *p, struct measured *m)
{
	_cleanup_(buf_release) struct buf receipt = {0}, body = {0};
	struct digest hash;
	struct err err = {0};
	uint64_t after;
	double start;

	ok(engine_feed_make(p->town.e, &after, &hash, &receipt, &err), &err);
	ok(engine_feed_answer(p->county.e, &p->town.id.chain.at[0], after, &hash, buf_slice(&receipt), BODY, &body, &err), &err);
	if (body.n == 0)
		return false;
	start = now();
	ok(measured_apply(p, buf_slice(&body), false, NULL, &err), &err);
	m->apply += now() - start;
	m->bodies++;
	return true;
}

static void settle(struct pair *p)
{
	struct measured m = {0};
	bool busy = true;

	for (int round = 0; round < 100 && busy; round++) {
		busy = p->again;
		tick(p, p->county.e);
		tick(p, p->town.e);
		hello(p);
		while (push(p, &m))
			busy = true;
		while (feed(p, &m))
			busy = true;
	}
}

/* As the tick does it (engine/tick.c), until no term is missing. */
MEASURED void measured_hash(struct engine *e);
MEASURED void measured_hash(struct engine *e)
{
	uint64_t left = terms_pending(e->state);
	struct err err = {0};

	while (left > 0) {
		ok(engine_begin(e, &err), &err);
		ok(terms_hash(e->state, e->table, e->catalog, e->unit, 2000, &left, &err), &err);
		ok(engine_commit(e, &err), &err);
	}
}

static void verb_apply(const char *folder, const char *name)
{
	static struct pair p;
	struct measured m = {0};
	double start;
	bool up = strstr(name, "-up") != NULL;
	struct engine *e;

	identify(&p, &p.county, folder, false);
	identify(&p, &p.town, folder, false);
	pair_open(&p, folder, name);
	hello(&p);
	while (up ? push(&p, &m) : feed(&p, &m))
		;
	e = up ? p.county.e : p.town.e;
	start = now();
	measured_hash(e);
	m.hash = now() - start;
	printf("apply %.4f hash %.4f bodies %u\n", m.apply, m.hash, m.bodies);
	pair_close(&p);
}

/* ---- making the cases */

/* Key and unit as the workload has them, every other column in one group. */
static void policy_form(sqlite3 *db, struct buf *form)
{
	static char columns[2][COLUMNS][40];
	static const char *names[2][COLUMNS], *const tables[2] = {"household", "person"}, *keys[2] = {"code", "id"};
	static struct policy_group groups[2];
	static struct policy_register registers[2];
	const struct policy p = {.name = "bench", .issuer = COUNTY_UNIT, .version = 1, .nregisters = 2, .registers = registers};
	struct err err = {0};

	for (int t = 0; t < 2; t++) {
		char sql[100];
		sqlite3_stmt *s;

		groups[t] = (struct policy_group){.name = "main", .columns = names[t], .own = 0x1f};
		snprintf(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s') WHERE name NOT IN ('code', 'id', 'village_code')",
		         tables[t]);
		sqlite3_prepare_v2(db, sql, -1, &s, NULL);
		while (sqlite3_step(s) == SQLITE_ROW) {
			uint32_t i = groups[t].ncolumns++;

			snprintf(columns[t][i], sizeof columns[t][i], "%s", sqlite3_column_text(s, 0));
			names[t][i] = columns[t][i];
		}
		sqlite3_finalize(s);
		registers[t] = (struct policy_register){
			.name = tables[t], .nkey = 1, .key = &keys[t], .unit_source = UNIT_COLUMN, .unit_column = "village_code",
			.floor = VILLAGE, .assigned = true, .application_schema = true, .create = 0x1f, .remove = 0x1f, .ngroups = 1,
			.groups = &groups[t],
		};
	}
	ok(policy_put(&p, form, &err), &err);
}

static void run_file(sqlite3 *db, const char *path)
{
	_cleanup_(buf_release) struct buf sql = {0};
	FILE *f = fopen(path, "r");
	char part[65536];
	size_t n;

	if (f == NULL)
		die(path, "cannot be read");
	while ((n = fread(part, 1, sizeof part, f)) > 0)
		buf_put(&sql, part, n);
	fclose(f);
	run(db, buf_text(&sql));
}

static void seal(struct side *s)
{
	struct err err = {0};

	ok(engine_seal(s->e, &err), &err);
}

/* The rows are written, sealed and carried, then each change set from there. */
static void cases(const char *folder, const char *plain, const char *empty, char **sql, bool up)
{
	_cleanup_(buf_release) struct buf form = {0};
	static const char *const names[2][3] = {{"c3-down", "c1-down", "c2-down"}, {"c3-up", "c1-up", "c2-up"}};
	struct pair *p = calloc(1, sizeof *p);
	struct side *writer = up ? &p->town : &p->county;
	char command[2000];
	struct err err = {0};
	uint64_t version;
	double start;

	identify(p, &p->county, folder, up);
	identify(p, &p->town, folder, up);
	shell("rm -rf %s/now; mkdir %s/now", folder, folder);
	shell("cp %s %s/now/county.db", empty, folder);
	shell("cp %s %s/now/town.db", empty, folder);
	pair_open(p, folder, "now");
	policy_form(p->county.app, &form);
	ok(policy_publish(p->county.e, buf_slice(&form), &version, &err), &err);
	ok(engine_welcome(p->county.e, &p->town.id.chain, buf_slice(&p->town.id.chain_pem), &err), &err);
	settle(p);
	snprintf(command, sizeof command, "ATTACH '%s' AS source; BEGIN; INSERT INTO household SELECT * FROM source.household; "
	         "INSERT INTO person SELECT * FROM source.person; COMMIT; DETACH source", plain);
	run(writer->app, command);
	start = now();
	seal(writer);
	if (up)
		printf("seal %.4f\n", now() - start);
	pair_save(p, names[up][0]);
	settle(p);
	for (int i = 0; i < 2; i++) {
		pair_save(p, "base");
		run_file(writer->app, sql[i]);
		seal(writer);
		pair_save(p, names[up][1 + i]);
		pair_close(p);
		shell("cd %s && rm -rf now && mv base now", folder);
		pair_open(p, folder, "now");
	}
	pair_close(p);
}

int main(int argc, char **argv)
{
	struct err err = {0};

	rand_start();
	ok(sign_init(&err), &err);
	if (argc == 7 && strcmp(argv[1], "prepare") == 0) {
		cases(argv[2], argv[3], argv[4], argv + 5, true);
		cases(argv[2], argv[3], argv[4], argv + 5, false);
	} else if (argc == 4 && strcmp(argv[1], "apply") == 0) {
		verb_apply(argv[2], argv[3]);
	} else if (argc == 4 && strcmp(argv[1], "plain") == 0) {
		verb_plain(argv[2], argv[3]);
	} else {
		die("usage", "see the head of tests/bench/bench_apply.c");
	}
	return 0;
}
