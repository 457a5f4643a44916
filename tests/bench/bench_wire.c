/* Bytes and time of payloads and segments: bench_wire [--split] OPS_FILE ...
 *
 * An ops file has one operation a line, tab-separated (U table pk column value updated_at | I table v1 .. vn |
 * D table pk), as tests/bench/wire.sh makes them.  Each file is sealed as a township would: changes of at most
 * 5,000 a segment, bases and lives of rows that were entered in batches and some changed since.  --split puts
 * updated_at into a group of its own.  A file named *c1* or *c2* is a delta, any other the state of its rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/change.h"
#include "core/limits.h"
#include "core/segment.h"

#define TOWNSHIP UINT64_C(532999101000)
#define PER_SEGMENT LIMIT_SEGMENT_CHANGES

static const char *const household[] = {
	"code", "village_code", "head_name", "population", "category", "income", "address", "phone", "house_type",
	"house_area", "land_mu", "water", "poverty_cause", "helper", "remark", "updated_at", NULL
};
static const char *const person[] = {
	"id", "household", "village_code", "name", "id_number", "sex", "birth", "nation", "relation", "marital",
	"education", "health", "labour", "occupation", "workplace", "income", "insurance", "pension", "phone",
	"disability", "status", "remark", "updated_at", NULL
};
static const char *const *const tables[] = { household, person };

struct bench {
	struct arena a;
	bool split, state;
	struct wire_register registers[2];
	struct change *changes;
	uint32_t n, room;
	struct version *versions[4096];  /* by base tick: what stood before, or what is written now */
};

static uint32_t epoch_of(uint32_t tick)
{
	return (uint32_t)(UINT64_C(2654435761) * (tick / 40 + 7));
}

static struct ident write_of(uint32_t tick)
{
	return (struct ident){ TOWNSHIP, { tick, epoch_of(tick) } };
}

/* When a row was entered, and when last changed: batches of 5,000 in order of key, every tenth changed since. */
static uint32_t entered(uint32_t reg, uint64_t key)
{
	return 1 + (uint32_t)(reg == 0 ? key % 1000000 : key % 10000000) / 5000 + 8 * reg;
}

static uint32_t changed(uint32_t reg, uint64_t key)
{
	uint64_t h = (key + reg) * UINT64_C(0x9e3779b97f4a7c15);

	return h % 10 == 0 ? 40 + (uint32_t)(h >> 32) % 200 : entered(reg, key);
}

static struct version *version_of(struct bench *b, uint32_t tick, uint32_t base)
{
	struct version *v = arena_alloc(&b->a, sizeof *v);

	v->unit = TOWNSHIP;
	v->marks.at[COUNTY] = (struct mark){ 3157, 0x5f3a99c1 };
	v->marks.at[unit_level(TOWNSHIP)] = (struct mark){ tick, epoch_of(tick) };
	v->policy = UINT64_C(0x8d1f36a2c4e5b790);
	if (base != 0)
		v->base = write_of(base);
	return v;
}

static const struct version *held(struct bench *b, uint32_t tick)
{
	if (b->versions[tick] == NULL)
		b->versions[tick] = version_of(b, tick, 0);
	return b->versions[tick];
}

static const struct version *written(struct bench *b, uint32_t base)
{
	if (b->versions[2048 + base] == NULL)
		b->versions[2048 + base] = version_of(b, 412, base);
	return b->versions[2048 + base];
}

static struct cell cell_of(struct bench *b, const char *column, const char *text)
{
	static const char *const reals[] = { "income", "house_area", "land_mu" };

	for (size_t i = 0; i < ARRAY_SIZE(reals); i++)
		if (strcmp(column, reals[i]) == 0)
			return (struct cell){ .type = CELL_REAL, .r = strtod(text, NULL) };
	if (strcmp(column, "population") == 0 || strcmp(column, "id") == 0)
		return (struct cell){ .type = CELL_INT, .i = strtoll(text, NULL, 10) };
	return (struct cell){ .type = CELL_TEXT, .s = arena_slice(&b->a, slice_of(text)) };
}

static uint32_t column_of(uint32_t reg, const char *name)
{
	uint32_t c = 0;

	while (tables[reg][c] != NULL && strcmp(tables[reg][c], name) != 0)
		c++;
	return c;
}

static uint32_t columns_in(uint32_t reg)
{
	uint32_t n = 0;

	while (tables[reg][n] != NULL)
		n++;
	return n;
}

/* Columns ascending with their cells, cut into the register's groups. */
static void add_parts(struct bench *b, struct change *c, struct part *parts, const uint32_t *columns,
                      const struct cell *cells, uint32_t n, const struct version *v, struct ident life, bool whole)
{
	uint32_t last = columns_in(c->reg) - 1, in_first = b->split && n > 0 && columns[n - 1] == last ? n - 1 : n;
	uint32_t *zero = arena_array(&b->a, 1, sizeof *zero);

	if (in_first > 0)
		parts[c->nparts++] = (struct part){ .group = 0, .version = v, .life = life, .whole = whole,
			.ncolumns = in_first, .columns = columns, .cells = cells };
	if (in_first < n)
		parts[c->nparts++] = (struct part){ .group = 1, .version = v, .life = life, .whole = true,
			.ncolumns = 1, .columns = zero, .cells = cells + in_first };
}

static void add(struct bench *b, char **field, size_t n)
{
	uint32_t reg = strcmp(field[1], "person") == 0, total = columns_in(reg), used = 0;
	struct part *parts = arena_array(&b->a, 4, sizeof *parts);
	uint32_t *columns = arena_array(&b->a, total, sizeof *columns);
	struct cell *cells = arena_array(&b->a, total, sizeof *cells), *key = arena_alloc(&b->a, sizeof *key);
	uint64_t number = strtoull(field[2], NULL, 10);
	uint32_t base = changed(reg, number);
	struct ident life = write_of(entered(reg, number)), now = write_of(412);
	struct change *c;

	if (b->n == b->room) {
		b->room = b->room ? 2 * b->room : 1024;
		b->changes = realloc(b->changes, b->room * sizeof *b->changes);
	}
	c = &b->changes[b->n++];
	*key = cell_of(b, tables[reg][0], field[2]);
	*c = (struct change){ .reg = reg, .key = { key, 1 }, .parts = parts };
	c->unit = TOWNSHIP + (reg == 0 ? number / 1000000 % 1000 : 201 + number % 10000000 * 15 / 70001);
	if (field[0][0] == 'U') {
		columns[used] = column_of(reg, field[3]);
		cells[used++] = cell_of(b, field[3], field[4]);
		columns[used] = total - 1;
		cells[used++] = cell_of(b, "updated_at", field[5]);
		add_parts(b, c, parts, columns, cells, used, written(b, base), life, false);
	} else if (field[0][0] == 'I') {
		const struct version *v = b->state ? held(b, base) : written(b, 0);

		if (!b->state)
			life = now;
		if (reg == 1)                    /* the unit column of a person */
			c->unit = strtoull(field[4], NULL, 10);
		for (uint32_t i = 0; i < total && i + 2 < n; i++) {
			columns[used] = i;
			cells[used++] = cell_of(b, tables[reg][i], field[2 + i]);
		}
		parts[c->nparts++] = (struct part){ .group = PART_ROW, .version = b->state ? held(b, entered(reg, number)) : v,
			.life = life, .whole = true, .alive = true, .row_unit = c->unit };
		add_parts(b, c, parts, columns, cells, used, v, life, true);
	} else {
		struct version *v = version_of(b, 412, entered(reg, number));
		struct saw *saw = arena_alloc(&b->a, sizeof *saw);

		*saw = (struct saw){ .life = life, .group = "all", .marks = held(b, base)->marks };
		v->saw = saw;
		v->nsaw = 1;
		parts[c->nparts++] = (struct part){ .group = PART_ROW, .version = v, .life = life, .row_unit = c->unit };
	}
}

static void make_registers(struct bench *b)
{
	static const char *const names[] = { "household", "person" };

	for (uint32_t r = 0; r < 2; r++) {
		uint32_t n = columns_in(r);
		struct slice *columns = arena_array(&b->a, n, sizeof *columns);
		struct wire_group *groups = arena_array(&b->a, 2, sizeof *groups);

		for (uint32_t c = 0; c < n; c++)
			columns[c] = slice_of(tables[r][c]);
		groups[0] = (struct wire_group){ slice_of("all"), b->split ? n - 1 : n, columns };
		groups[1] = (struct wire_group){ slice_of("edit"), 1, columns + n - 1 };
		b->registers[r] = (struct wire_register){ slice_of(names[r]), 1, b->split ? 2u : 1u, groups };
	}
}

static int by_key(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	return x->reg != y->reg ? (x->reg > y->reg) - (x->reg < y->reg) : key_compare(x->key, y->key);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct totals {
	size_t segments, raw, stored, bytes, header, cells;
	double encode, seal, open, decode;
};

static int one_segment(struct bench *b, uint32_t from, uint32_t n, const struct sign_key *key, struct totals *t)
{
	_cleanup_(buf_release) struct buf raw = { 0 };
	_cleanup_(buf_release) struct buf sealed = { 0 };
	_cleanup_(buf_release) struct buf again = { 0 };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct payload p = { .nregisters = 2, .registers = b->registers, .nchanges = n, .changes = b->changes + from };
	struct segment_header h = { .format = 1, .suite = 1, .kind = b->state ? SEGMENT_STATE : SEGMENT_DELTA,
		.author = TOWNSHIP, .epoch = epoch_of(412), .tick = 412, .stream = b->state ? 532999101201 : COUNTY,
		.position = 731 + from, .policy = UINT64_C(0x8d1f36a2c4e5b790), .wall_ms = 1773045000123, .changes = n };
	struct segment s;
	struct err err;
	double at = now();

	memset(h.previous.at, 0xa5, DIGEST_SIZE);
	if (payload_encode(&p, &raw, &err) != 0)
		goto failed;
	t->encode += now() - at;
	at = now();
	if (segment_seal(&h, buf_slice(&raw), key, &sealed, &err) != 0)
		goto failed;
	t->seal += now() - at;
	at = now();
	if (segment_parse(buf_slice(&sealed), &a, &s, &err) != 0 || segment_verify(&s, key->public_key, &err) != 0 ||
	    segment_inflate(&s, &again, &err) != 0)
		goto failed;
	t->open += now() - at;
	at = now();
	if (payload_decode(buf_slice(&again), &a, &p, &err) != 0)
		goto failed;
	t->decode += now() - at;
	if (p.nchanges != n)
		return 1;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < p.changes[i].nparts; k++)
			t->cells += p.changes[i].parts[k].ncolumns;
	t->segments++;
	t->raw += raw.n;
	t->stored += s.stored.n;
	t->header += s.signed_head.n;
	t->bytes += sealed.n;
	return 0;
failed:
	fprintf(stderr, "%s\n", err.text);
	return 1;
}

static int run(const char *path, bool split)
{
	static char line[65536];
	struct bench b = { .split = split };
	struct totals t = { 0 };
	struct sign_key key;
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	uint8_t seed[SIGN_SEED_SIZE] = { 1 };
	FILE *f = fopen(path, "r");
	int rc = 0;

	if (f == NULL) {
		perror(path);
		return 1;
	}
	b.state = strstr(name, "c1") == NULL && strstr(name, "c2") == NULL && strstr(name, "one") == NULL;
	make_registers(&b);
	while (fgets(line, sizeof line, f) != NULL) {
		char *field[64], *rest = line;
		size_t n = 0;

		line[strcspn(line, "\n")] = '\0';
		while (n < ARRAY_SIZE(field) && (field[n] = strsep(&rest, "\t")) != NULL)
			n++;
		add(&b, field, n);
	}
	fclose(f);
	sign_key_from_seed(seed, &key);
	qsort(b.changes, b.n, sizeof *b.changes, by_key);
	for (uint32_t from = 0; rc == 0 && from < b.n; from += PER_SEGMENT)
		rc = one_segment(&b, from, MIN(PER_SEGMENT, b.n - from), &key, &t);
	if (rc == 0)
		printf("%-10s %7u rows %4zu segments %9zu bytes %7.2f B/row; header %zu, stored %zu, raw %zu; "
		       "cells %zu: encode %.0f, decode %.0f ns each; seal %.1f, open %.1f ms\n",
		       name, b.n, t.segments, t.bytes, (double)t.bytes / b.n, t.header, t.stored, t.raw, t.cells,
		       t.encode * 1e9 / (double)t.cells, t.decode * 1e9 / (double)t.cells, t.seal * 1e3, t.open * 1e3);
	free(b.changes);
	arena_release(&b.a);
	return rc;
}

int main(int argc, char **argv)
{
	bool split = argc > 1 && strcmp(argv[1], "--split") == 0;
	struct err err;
	int rc = 0;

	if (sign_init(&err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (int i = 1 + split; i < argc; i++)
		rc |= run(argv[i], split);
	return rc;
}
