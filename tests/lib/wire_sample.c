#include "wire_sample.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VILLAGE  UINT64_C(620702100201)
#define TOWNSHIP UINT64_C(620702100000)
#define COUNTY_UNIT UINT64_C(620702000000)
#define POLICY   UINT64_C(0x1d2c3b4a59687786)

uint64_t chance_next(struct chance *c)
{
	uint64_t z = c->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t chance_below(struct chance *c, uint64_t end)
{
	return chance_next(c) % end;
}

/* ---- cells */

static struct cell text(struct arena *a, const char *s)
{
	return (struct cell){ .type = CELL_TEXT, .s = arena_slice(a, slice_of(s)) };
}

static struct cell integer(int64_t i)
{
	return (struct cell){ .type = CELL_INT, .i = i };
}

static struct cell real(double r)
{
	return (struct cell){ .type = CELL_REAL, .r = r };
}

static struct cell bytes(struct arena *a, enum cell_type type, const void *p, size_t n)
{
	return (struct cell){ .type = type, .s = arena_slice(a, (struct slice){ p, n }) };
}

static struct cell printed(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static struct cell printed(struct arena *a, const char *format, ...)
{
	char s[200];
	va_list args;

	va_start(args, format);
	vsnprintf(s, sizeof s, format, args);
	va_end(args);
	return text(a, s);
}

static struct cell citizen(struct arena *a, struct chance *c)
{
	static const unsigned weight[17] = { 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2 };
	char s[19];
	unsigned sum = 0;

	snprintf(s, sizeof s, "620702%04u%02u%02u%03u", 1930 + (unsigned)chance_below(c, 90),
	         1 + (unsigned)chance_below(c, 12), 1 + (unsigned)chance_below(c, 28), (unsigned)chance_below(c, 1000));
	for (unsigned i = 0; i < 17; i++)
		sum += (unsigned)(s[i] - '0') * weight[i];
	s[17] = "10X98765432"[sum % 11];
	s[18] = '\0';
	return text(a, s);
}

static const int64_t edges[] = { 0, 1, -1, 127, 128, 255, 256, INT64_MAX, INT64_MIN, INT64_MIN + 1, 1000000, -65536 };
static const char *const odd_texts[] = {
	"", "0", "007", "1e5", "12", " 12", "2026-02-30", "2026-02-28", "2024-02-29 23:59:60", "2024-02-29 23:59:59",
	"0000-01-01", "9999-12-31 23:59:59", "62070219520230001X", "620702100201", "999999999999999999",
	"1000000000000000000", "镇", "南村第3村民小组", "a", "ab", "abc", "abd", "-1", "+1", "1.0",
};

/* A cell of a column whose cells are all of one `kind`, now and then an exception. */
static struct cell cell_of(struct arena *a, struct chance *c, unsigned kind, uint64_t unit, uint32_t row)
{
	static const uint8_t nul[] = { 'a', 0, 'b' }, broken[] = { 0xe5, 0xbc, 0xff, 0xc0, 0x80 };
	double r;

	if (chance_below(c, 16) == 0)
		kind = (unsigned)chance_below(c, 18);
	switch (kind) {
	case 0: return (struct cell){ .type = CELL_NULL };
	case 1: return integer(edges[chance_below(c, ARRAY_SIZE(edges))]);
	case 2: return integer((int64_t)chance_next(c));
	case 3: return integer((int64_t)row * 7 + (int64_t)chance_below(c, 3));
	case 4: return integer((int64_t)chance_below(c, 5) * 100);
	case 5: return real((double)chance_below(c, 10000000) / 100);
	case 6: return real(chance_below(c, 2) ? -0.0 : -INFINITY);
	case 7:
		do {
			uint64_t bits = chance_next(c);

			memcpy(&r, &bits, sizeof r);
		} while (isnan(r));
		return real(r);
	case 8: return text(a, odd_texts[chance_below(c, ARRAY_SIZE(odd_texts))]);
	case 9: return bytes(a, CELL_TEXT, chance_below(c, 2) ? nul : broken, chance_below(c, 4));
	case 10: return bytes(a, CELL_BLOB, broken, chance_below(c, sizeof broken));
	case 11: return printed(a, "2026-%02u-%02u 08:%02u:%02u", 1 + (unsigned)chance_below(c, 12),
	                        1 + (unsigned)chance_below(c, 28), (unsigned)chance_below(c, 60), (unsigned)row % 60);
	case 12: return printed(a, "%04u-%02u-%02u", (unsigned)chance_below(c, 10000), 1 + (unsigned)chance_below(c, 12),
	                        1 + (unsigned)chance_below(c, 28));
	case 13: return citizen(a, c);
	case 14: return printed(a, "%011llu", (unsigned long long)chance_below(c, 100000000000));
	case 15: return printed(a, "%012llu", (unsigned long long)unit);
	case 16: return printed(a, "一般户/%u", (unsigned)chance_below(c, 4));
	default: return printed(a, "南村东路第%u号-%llx", row, (unsigned long long)chance_below(c, 1u << 20));
	}
}

/* ---- versions */

static struct marks marks_of(struct chance *c, uint64_t unit)
{
	struct marks m = { 0 };

	for (unsigned l = 0; l < LEVELS; l++)
		if (l == unit_level(unit) || chance_below(c, 3) == 0)
			m.at[l] = (struct mark){ 1 + chance_below(c, chance_below(c, 2) ? 100 : LIMIT_TICK - 1),
			                         (uint32_t)chance_next(c) };
	return m;
}

static struct ident ident_of(struct chance *c)
{
	return (struct ident){ chance_below(c, 2) ? VILLAGE : TOWNSHIP, { 1 + chance_below(c, 50), 0x5eed0000 } };
}

static const struct version *version_of(struct arena *a, struct chance *c)
{
	static const uint64_t units[] = { VILLAGE, TOWNSHIP, COUNTY_UNIT };
	struct version *v = arena_alloc(a, sizeof *v);

	v->unit = units[chance_below(c, 3)];
	v->marks = marks_of(c, v->unit);
	v->policy = POLICY;
	v->kind = chance_below(c, 5) == 0 ? PROPOSAL : DECISION;
	v->acting = chance_below(c, 9) == 0;
	if (chance_below(c, 2))
		v->base = ident_of(c);
	if (chance_below(c, 12) == 0) {
		v->ruling = true;
		v->asserts = marks_of(c, COUNTY_UNIT);
	}
	if (chance_below(c, 12) == 0)
		v->actor = arena_slice(a, slice_of("王秀英"));
	if (chance_below(c, 12) == 0) {
		struct saw *saw = arena_array(a, 2, sizeof *saw);

		for (unsigned i = 0; i < 2; i++) {
			saw[i].life = (struct ident){ VILLAGE, { 7, 0x5eed0000 } };
			snprintf(saw[i].group, sizeof saw[i].group, "group%u", i);
			saw[i].marks = marks_of(c, TOWNSHIP);
		}
		v->saw = saw;
		v->nsaw = 2;
	}
	return v;
}

/* ---- random payloads */

struct kinds {                           /* of a register's columns, by group */
	unsigned at[4][8];
};

static void random_register(struct arena *a, struct chance *c, uint32_t number, struct wire_register *reg,
                            struct kinds *kinds)
{
	struct wire_group *groups;

	reg->name = printed(a, "register_%u", number).s;
	reg->nkey = 1 + (uint32_t)chance_below(c, 3);
	reg->ngroups = (uint32_t)chance_below(c, 5);
	reg->groups = groups = arena_array(a, reg->ngroups, sizeof *groups);
	for (uint32_t g = 0; g < reg->ngroups; g++) {
		struct slice *columns = arena_array(a, 8, sizeof *columns);

		groups[g].name = printed(a, "group_%u", g).s;
		groups[g].ncolumns = (uint32_t)chance_below(c, 9);
		for (uint32_t i = 0; i < groups[g].ncolumns; i++) {
			columns[i] = printed(a, "列%u_%u", g, i).s;
			kinds->at[g][i] = (unsigned)chance_below(c, 18);
		}
		groups[g].columns = columns;
	}
}

static void random_part(struct arena *a, struct chance *c, const struct wire_register *reg, const struct kinds *kinds,
                        uint64_t unit, uint32_t row, struct part *part)
{
	const struct wire_group *g;
	uint32_t *columns;
	struct cell *cells;

	part->life = chance_below(c, 8) == 0 ? (struct ident){ 0 } : ident_of(c);
	if (reg->ngroups == 0 || chance_below(c, 3) == 0) {
		part->group = PART_ROW;
		part->whole = true;
		part->alive = chance_below(c, 4) != 0;
		part->row_unit = chance_below(c, 5) ? unit : COUNTY_UNIT;
		return;
	}
	part->group = (uint32_t)chance_below(c, reg->ngroups);
	part->whole = chance_below(c, 2);
	g = &reg->groups[part->group];
	columns = arena_array(a, g->ncolumns, sizeof *columns);
	cells = arena_array(a, g->ncolumns, sizeof *cells);
	for (uint32_t i = 0; i < g->ncolumns; i++)
		if (part->whole || chance_below(c, 3) == 0) {
			columns[part->ncolumns] = i;
			cells[part->ncolumns++] = cell_of(a, c, kinds->at[part->group][i], unit, row);
		}
	part->columns = columns;
	part->cells = cells;
}

static void random_change(struct arena *a, struct chance *c, struct payload *p, const struct kinds *kinds,
                          const struct version *const *versions, uint32_t row, struct change *change)
{
	struct cell *key;
	struct part *parts;

	change->reg = (uint32_t)chance_below(c, p->nregisters);
	change->flags = chance_below(c, 6) == 0 ? (uint32_t)chance_below(c, 8) : 0;
	change->unit = chance_below(c, 9) == 0 ? 0 : VILLAGE + chance_below(c, 3);
	change->key.n = p->registers[change->reg].nkey;
	change->key.cells = key = arena_array(a, change->key.n, sizeof *key);
	for (uint32_t k = 0; k < change->key.n; k++)
		do
			key[k] = cell_of(a, c, 1 + (change->reg * 5 + k * 3) % 16, change->unit, row);
		while (key[k].type == CELL_NULL);
	change->nparts = (uint32_t)chance_below(c, chance_below(c, 4) == 0 ? 6 : 3);
	change->parts = parts = arena_array(a, change->nparts, sizeof *parts);
	for (uint32_t i = 0; i < change->nparts; i++) {
		random_part(a, c, &p->registers[change->reg], &kinds[change->reg], change->unit, row, &parts[i]);
		parts[i].version = versions[chance_below(c, chance_below(c, 4) == 0 ? 20 : 1)];
	}
}

struct payload *sample_random(struct arena *a, uint64_t seed, uint32_t most_changes)
{
	struct chance c = { seed };
	struct payload *p = arena_alloc(a, sizeof *p);
	struct kinds kinds[3] = { 0 };
	struct wire_register *registers = arena_array(a, 3, sizeof *registers);
	struct change *changes;
	struct item *items;
	const struct version *versions[20];

	p->nregisters = 1 + (uint32_t)chance_below(&c, 3);
	p->registers = registers;
	for (uint32_t r = 0; r < p->nregisters; r++)
		random_register(a, &c, r, &registers[r], &kinds[r]);
	for (unsigned i = 0; i < 20; i++)
		versions[i] = version_of(a, &c);
	p->nchanges = (uint32_t)chance_below(&c, most_changes + 1);
	p->changes = changes = arena_array(a, p->nchanges, sizeof *changes);
	for (uint32_t i = 0; i < p->nchanges; i++)
		random_change(a, &c, p, kinds, versions, i, &changes[i]);
	p->nitems = (uint32_t)chance_below(&c, 4);
	p->items = items = arena_array(a, p->nitems, sizeof *items);
	for (uint32_t i = 0; i < p->nitems; i++)
		items[i] = (struct item){ 1 + (uint32_t)chance_below(&c, 5), cell_of(a, &c, 17, VILLAGE, i).s };
	return p;
}

/* ---- describing */

static void describe_cells(struct buf *b, const struct cell *c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		cell_put(b, c[i]);
}

static void describe_change(const struct payload *p, const struct change *c, struct buf *b)
{
	const struct wire_register *reg = &p->registers[c->reg];

	buf_put_slice(b, reg->name);
	buf_put_varint(b, c->key.n);
	describe_cells(b, c->key.cells, c->key.n);
	buf_put_varint(b, c->flags);
	buf_put_varint(b, c->unit);
	buf_put_varint(b, c->nparts);
	for (uint32_t i = 0; i < c->nparts; i++) {
		const struct part *part = &c->parts[i];

		version_put(b, part->version);
		ident_put(b, &part->life);
		if (part->group == PART_ROW) {
			buf_put_text(b, part->alive ? "alive" : "not alive");
			buf_put_varint(b, part->row_unit);
			continue;
		}
		buf_put_slice(b, reg->groups[part->group].name);
		buf_put_u8(b, part->whole);
		for (uint32_t k = 0; k < part->ncolumns; k++)
			buf_put_slice(b, reg->groups[part->group].columns[part->columns[k]]);
		describe_cells(b, part->cells, part->ncolumns);
	}
}

static int slice_order(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

void sample_describe(const struct payload *p, struct buf *b)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf one = { 0 };
	struct slice *all = arena_array(&a, p->nchanges, sizeof *all);

	for (uint32_t i = 0; i < p->nchanges; i++) {
		buf_clear(&one);
		describe_change(p, &p->changes[i], &one);
		all[i] = arena_slice(&a, buf_slice(&one));
	}
	qsort(all, p->nchanges, sizeof *all, slice_order);
	for (uint32_t i = 0; i < p->nchanges; i++)
		buf_put_slice(b, all[i]);
	for (uint32_t i = 0; i < p->nitems; i++) {
		buf_put_varint(b, p->items[i].kind);
		buf_put_slice(b, p->items[i].body);
	}
}

/* ---- named samples */

static const struct version *plain_version(struct arena *a, uint64_t unit, uint64_t tick, struct ident base)
{
	struct version *v = arena_alloc(a, sizeof *v);

	v->unit = unit;
	v->marks.at[COUNTY] = (struct mark){ 3157, 0x5f3a99c1 };
	v->marks.at[unit_level(unit)] = (struct mark){ tick, 0xdeb3a7b2 };
	v->policy = POLICY;
	v->base = base;
	return v;
}

/* One clerk's save: two columns of one household. */
static struct payload *one_update(struct arena *a)
{
	static const struct slice columns[] = { { (const uint8_t *)"income", 6 }, { (const uint8_t *)"phone", 5 },
	                                        { (const uint8_t *)"updated_at", 10 } };
	static const struct wire_group groups[] = { { { (const uint8_t *)"main", 4 }, 3, columns } };
	static const struct wire_register registers[] = { { { (const uint8_t *)"household", 9 }, 1, 1, groups } };
	static const uint32_t used[] = { 0, 2 };
	struct ident life = { VILLAGE, { 17, 0xdeb3a7b2 } };
	struct payload *p = arena_alloc(a, sizeof *p);
	struct change *c = arena_alloc(a, sizeof *c);
	struct part *part = arena_alloc(a, sizeof *part);
	struct cell *cells = arena_array(a, 3, sizeof *cells);

	cells[0] = text(a, "620702100201006123");
	cells[1] = real(20344.27);
	cells[2] = text(a, "2026-03-09 08:30:32");
	*part = (struct part){ .version = plain_version(a, VILLAGE, 412, life), .life = life, .ncolumns = 2,
		.columns = used, .cells = cells + 1 };
	*c = (struct change){ .key = { cells, 1 }, .unit = VILLAGE, .nparts = 1, .parts = part };
	*p = (struct payload){ .nregisters = 1, .nchanges = 1, .registers = registers, .changes = c };
	return p;
}

/* Every layout of every stream: a column for each kind of cell, 120 rows. */
static struct payload *columns_of_all_kinds(struct arena *a)
{
	enum { COLUMNS = 24, ROWS = 120 };
	struct chance c = { 42 };
	struct payload *p = arena_alloc(a, sizeof *p);
	struct slice *names = arena_array(a, COLUMNS, sizeof *names);
	struct wire_group *group = arena_alloc(a, sizeof *group);
	struct wire_register *reg = arena_alloc(a, sizeof *reg);
	struct change *changes = arena_array(a, ROWS, sizeof *changes);
	uint32_t *columns = arena_array(a, COLUMNS, sizeof *columns);

	for (uint32_t i = 0; i < COLUMNS; i++) {
		names[i] = printed(a, "kind_%02u", i).s;
		columns[i] = i;
	}
	*group = (struct wire_group){ slice_of("all"), COLUMNS, names };
	*reg = (struct wire_register){ slice_of("sample"), 2, 1, group };
	for (uint32_t r = 0; r < ROWS; r++) {
		struct cell *cells = arena_array(a, COLUMNS + 2, sizeof *cells);
		struct part *part = arena_alloc(a, sizeof *part);
		uint64_t unit = VILLAGE + r / 50;
		struct ident life = { VILLAGE, { 17 + r / 40, 0xdeb3a7b2 } };

		for (uint32_t i = 0; i < 18; i++)
			cells[i] = cell_of(a, &c, i, unit, r);
		cells[18] = integer(5);
		cells[19] = integer(r / 30);
		cells[20] = printed(a, "路径/第%03u卷/页", r);
		cells[21] = chance_below(&c, 3) ? printed(a, "1%010llu", (unsigned long long)chance_below(&c, 9999999999))
		                                : text(a, "");
		cells[22] = integer((int64_t)chance_below(&c, 3) - 1);
		cells[23] = integer((r % 2 ? -1 : 1) * (int64_t)chance_below(&c, 100000));
		cells[COLUMNS] = printed(a, "%s", r % 2 ? "东" : "西");
		cells[COLUMNS + 1] = integer(1000 + (int64_t)r * 3);
		*part = (struct part){ .version = plain_version(a, VILLAGE, 412, life), .life = life, .whole = true,
			.ncolumns = COLUMNS, .columns = columns, .cells = cells };
		changes[r] = (struct change){ .key = { cells + COLUMNS, 2 }, .unit = unit, .nparts = 1, .parts = part };
	}
	*p = (struct payload){ .nregisters = 1, .nchanges = ROWS, .registers = reg, .changes = changes };
	return p;
}

static const char *const names[] = { "delta-one", "delta-columns", "delta-mixed", "state-mixed", "state-empty", "policy" };

uint32_t sample_count(void)
{
	return ARRAY_SIZE(names);
}

struct sample *sample_named(struct arena *a, uint32_t n)
{
	static const struct policy_entry policies[] = { { COUNTY_UNIT, 7 }, { TOWNSHIP, 2 }, { COUNTY_UNIT, 6 } };
	static const uint32_t lists[] = { 2, 1 };
	static const uint8_t note[] = { 100, 3, 'a', 'b', 'c' };  /* extension 100, not known: carried */
	struct sample *s = arena_alloc(a, sizeof *s);
	struct segment_header *h = &s->header;

	s->name = names[n];
	*h = (struct segment_header){ .format = SEGMENT_FORMAT, .suite = SEGMENT_SUITE_ED25519_BLAKE2B,
		.kind = SEGMENT_DELTA, .author = VILLAGE, .epoch = 0xdeb3a7b2, .tick = 412, .stream = COUNTY,
		.position = 731, .policy = POLICY, .wall_ms = 1773045000123 };
	h->previous = digest_of(slice_of("the segment before"));
	if (n == 0) {
		s->payload = one_update(a);
	} else if (n == 1) {
		s->payload = columns_of_all_kinds(a);
		h->final = true;
	} else if (n == 2) {
		s->payload = sample_random(a, 5, 120);
		h->position = 1;
		h->previous = (struct digest){ 0 };
		h->continues = true;
		h->continues_mark = (struct mark){ 400, 0x01020304 };
		h->continues_position = 0;
		h->npolicies = 2;
		h->policies = policies;
		h->policy = policy_list_hash(policies, 2);
	} else if (n == 3 || n == 4) {
		s->payload = n == 3 ? sample_random(a, 20, 60) : arena_alloc(a, sizeof *s->payload);
		h->kind = SEGMENT_STATE;
		h->author = COUNTY_UNIT;
		h->stream = VILLAGE;
		h->position = 90;
		h->follows = 88;
		h->npolicies = n == 3 ? 3 : 0;
		h->policies = policies;
		h->nlists = n == 3 ? 2 : 0;
		h->lists = lists;
		h->extensions = (struct slice){ note, sizeof note };
	} else {
		s->body = slice_of("policy \"dibao\" { version = 7 }\n");
		h->kind = SEGMENT_POLICY;
		h->author = h->stream = COUNTY_UNIT;
		h->wall_ms = -1;
	}
	h->changes = s->payload ? s->payload->nchanges : 0;
	return s;
}

void sample_key(struct sign_key *ret)
{
	uint8_t seed[SIGN_SEED_SIZE];

	for (unsigned i = 0; i < SIGN_SEED_SIZE; i++)
		seed[i] = (uint8_t)i;
	sign_key_from_seed(seed, ret);
}
