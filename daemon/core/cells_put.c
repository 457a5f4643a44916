/* Cells, writing: which form each cell takes, and whether the column is shorter as a dictionary.
 *
 * cells   u8 head   bits 0-3 the form of all cells, or 15: mixed; 16 dictionary; others 0
 *         without 16: body of n cells
 *         with 16:    varint d, 1..n; body of the d entries (never form unit); for d > 1 ints of n indexes < d
 * body    with 15: ints of the forms; then for every form that occurs, ascending, its cells in row order:
 *         null      nothing
 *         int       ints
 *         real      eight planes: the lowest byte of every number, the next of every number, ...
 *         text      texts
 *         blob      texts
 *         decimal   u8 scale 0..9, ints of m
 *         unit      nothing
 *         stamp     ints of seconds
 *         date      ints of days
 *         citizen   ints of regions, ints of birth days, ints of orders
 *         digits    u8 width 1..18, ints */
#include <stdlib.h>
#include <string.h>

#include "core/cells.h"
#include "core/forms.h"
#include "core/ints.h"
#include "core/unit.h"

/* With at most n / 16 distinct cells a column is a dictionary.  A text form is worth its exceptions when at least 7 of 8 texts that are not empty take it. */
#define DICTIONARY_FEW 16
#define COVERS(count, all) ((count) > 0 && (count) * 8 >= (all) * 7)

struct column {
	const struct cell *c;
	const uint64_t *units;           /* NULL in a dictionary */
	size_t n;
	struct arena *scratch;
	enum cell_form text;             /* the form texts take where they can */
	unsigned width, scale;           /* of digits, of decimals */
};

struct number {
	int64_t x;
	struct citizen citizen;
};

/* The number of c in `form`; false where it cannot be written so. */
static bool number_of(const struct column *col, size_t i, enum cell_form form, struct number *ret)
{
	struct slice s = col->c[i].s;
	unsigned scale;

	switch (form) {
	case FORM_UNIT:
		return col->units != NULL && s.n == UNIT_TEXT_SIZE - 1 && digits_read(s.p, s.n, &ret->x) &&
		       (uint64_t)ret->x == col->units[i];
	case FORM_STAMP:
		return s.n == STAMP_SIZE && stamp_read(s.p, &ret->x);
	case FORM_DATE:
		return s.n == DATE_SIZE && date_read(s.p, &ret->x);
	case FORM_CITIZEN:
		return s.n == CITIZEN_SIZE && citizen_read(s.p, &ret->citizen);
	case FORM_DIGITS:
		return s.n == col->width && s.n > 0 && digits_read(s.p, s.n, &ret->x);
	case FORM_DECIMAL:
		if (!decimal_read(col->c[i].r, &scale, &ret->x) || scale > col->scale)
			return false;
		for (; scale < col->scale; scale++)
			if (__builtin_mul_overflow(ret->x, 10, &ret->x))
				return false;
		return ret->x >= -(INT64_C(1) << 53) && ret->x <= INT64_C(1) << 53 &&
		       decimal_value(ret->x, col->scale) == col->c[i].r;
	case FORM_NULL: case FORM_INT: case FORM_REAL: case FORM_TEXT: case FORM_BLOB: case FORMS:
		break;
	}
	return false;
}

/* The width that most texts of digits have. */
static void choose_width(struct column *col)
{
	size_t count[DIGITS_MOST + 1] = { 0 };
	int64_t ignored;

	for (size_t i = 0; i < col->n; i++)
		if (col->c[i].type == CELL_TEXT && col->c[i].s.n > 0 && col->c[i].s.n <= DIGITS_MOST &&
		    digits_read(col->c[i].s.p, col->c[i].s.n, &ignored))
			count[col->c[i].s.n]++;
	for (unsigned w = 1; w <= DIGITS_MOST; w++)
		if (count[w] > count[col->width])
			col->width = w;
}

static void choose_text(struct column *col)
{
	size_t all = 0, count;
	struct number number;

	col->text = FORM_TEXT;
	choose_width(col);
	for (size_t i = 0; i < col->n; i++)
		all += col->c[i].type == CELL_TEXT && col->c[i].s.n > 0;
	for (enum cell_form form = FORM_UNIT; form < FORMS && all > 0; form++) {
		/* The first text decides nearly always; only then are all looked at. */
		count = 0;
		for (size_t i = 0, missed = 0; i < col->n && missed * 8 <= all; i++)
			if (col->c[i].type == CELL_TEXT && col->c[i].s.n > 0) {
				bool takes = number_of(col, i, form, &number);

				count += takes;
				missed += !takes;
			}
		if (COVERS(count, all)) {
			col->text = form;
			return;
		}
	}
}

/* The scale that writes the reals shortest, a real out of its reach counted as nine bytes. */
static void choose_scale(struct column *col)
{
	size_t count[DECIMAL_SCALE_MOST + 1] = { 0 }, all = 0, within = 0, best = SIZE_MAX;
	unsigned scale;
	int64_t m;

	for (size_t i = 0; i < col->n; i++)
		if (col->c[i].type == CELL_REAL) {
			all++;
			if (decimal_read(col->c[i].r, &scale, &m))
				count[scale]++;
		}
	for (scale = 0; scale <= DECIMAL_SCALE_MOST; scale++) {
		size_t cost;

		within += count[scale];
		cost = within * (2 + scale / 2) + (all - within) * 9;
		if (cost < best) {
			best = cost;
			col->scale = scale;
		}
	}
}

static enum cell_form form_of(const struct column *col, size_t i, struct number *ret)
{
	const struct cell *c = &col->c[i];

	switch (c->type) {
	case CELL_NULL:
		return FORM_NULL;
	case CELL_INT:
		ret->x = c->i;
		return FORM_INT;
	case CELL_REAL:
		return number_of(col, i, FORM_DECIMAL, ret) ? FORM_DECIMAL : FORM_REAL;
	case CELL_TEXT:
		return col->text != FORM_TEXT && number_of(col, i, col->text, ret) ? col->text : FORM_TEXT;
	case CELL_BLOB:
		return FORM_BLOB;
	}
	return FORM_NULL;
}

static void put_reals(struct buf *b, const struct slice *bits, size_t n)
{
	for (size_t w = 0; w < 8; w++)
		for (size_t i = 0; i < n; i++)
			buf_put_u8(b, bits[i].p[w]);
}

/* One form's cells: `numbers` in row order, or `texts`. */
static void put_form(struct buf *b, const struct column *col, enum cell_form form, const struct number *numbers,
                     const struct slice *texts, int64_t *x, size_t n)
{
	if (form == FORM_NULL || form == FORM_UNIT)
		return;
	if (form == FORM_REAL) {
		put_reals(b, texts, n);
		return;
	}
	if (form == FORM_TEXT || form == FORM_BLOB) {
		texts_put(b, texts, n);
		return;
	}
	if (form == FORM_CITIZEN) {
		for (size_t i = 0; i < n; i++)
			x[i] = numbers[i].citizen.region;
		ints_put(b, x, n);
		for (size_t i = 0; i < n; i++)
			x[i] = numbers[i].citizen.birth;
		ints_put(b, x, n);
		for (size_t i = 0; i < n; i++)
			x[i] = numbers[i].citizen.order;
	} else {
		for (size_t i = 0; i < n; i++)
			x[i] = numbers[i].x;
	}
	if (form == FORM_DECIMAL)
		buf_put_u8(b, (uint8_t)col->scale);
	if (form == FORM_DIGITS)
		buf_put_u8(b, (uint8_t)col->width);
	ints_put(b, x, n);
}

/* Eight bytes of a real, little-endian. */
static struct slice real_bits(double r, struct arena *a)
{
	uint8_t *p = arena_alloc(a, 8);
	uint64_t bits;

	memcpy(&bits, &r, sizeof bits);
	for (unsigned w = 0; p != NULL && w < 8; w++)
		p[w] = (uint8_t)(bits >> (8 * w));
	return (struct slice){ p, 8 };
}

/* Head (with `flag`) and, behind `count` where it is not 0, the body. */
static void put_body(struct buf *b, struct column *col, unsigned flag, size_t count)
{
	int64_t *forms = arena_array(col->scratch, col->n, sizeof *forms);
	int64_t *x = arena_array(col->scratch, col->n, sizeof *x);
	struct number *numbers = arena_array(col->scratch, col->n, sizeof *numbers), *mine;
	struct slice *texts = arena_array(col->scratch, col->n, sizeof *texts);
	size_t of[FORMS] = { 0 };
	bool mixed = false;

	mine = arena_array(col->scratch, col->n, sizeof *mine);
	if (mine == NULL || forms == NULL || x == NULL || numbers == NULL || texts == NULL) {
		b->failed = true;
		return;
	}
	choose_text(col);
	choose_scale(col);
	for (size_t i = 0; i < col->n; i++) {
		forms[i] = form_of(col, i, &numbers[i]);
		mixed = mixed || forms[i] != forms[0];
		of[forms[i]]++;
	}
	buf_put_u8(b, (uint8_t)(flag | (mixed ? CELLS_MIXED : (unsigned)forms[0])));
	if (count > 0)
		buf_put_varint(b, count);
	if (mixed)
		ints_put(b, forms, col->n);
	for (enum cell_form form = FORM_NULL; form < FORMS; form++) {
		size_t n = 0;

		if (of[form] == 0)
			continue;
		for (size_t i = 0; i < col->n; i++) {
			if (forms[i] != (int64_t)form)
				continue;
			mine[n] = numbers[i];
			texts[n++] = form == FORM_REAL ? real_bits(col->c[i].r, col->scratch) : col->c[i].s;
		}
		if (col->scratch->failed) {
			b->failed = true;
			return;
		}
		put_form(b, col, form, mine, texts, x, n);
	}
}

/* ---- dictionary */

struct entry {
	struct cell c;
	size_t at;                       /* order of first sight, then place in the dictionary */
};

static bool same(struct cell a, struct cell b)
{
	if (a.type != b.type)
		return false;
	if (a.type == CELL_TEXT || a.type == CELL_BLOB)
		return slice_equal(a.s, b.s);
	return a.type == CELL_NULL || a.i == b.i;        /* the bits of an integer or a real */
}

static uint64_t hash(struct cell c)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ c.type;

	if (c.type == CELL_TEXT || c.type == CELL_BLOB)
		for (size_t i = 0; i < c.s.n; i++)
			h = (h ^ c.s.p[i]) * UINT64_C(0x100000001b3);
	else if (c.type != CELL_NULL)
		h = (h ^ (uint64_t)c.i) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->c.type != y->c.type)
		return x->c.type < y->c.type ? -1 : 1;
	if (x->c.type == CELL_TEXT || x->c.type == CELL_BLOB)
		return slice_compare(x->c.s, y->c.s);
	if (x->c.type == CELL_REAL)
		return (x->c.r > y->c.r) - (x->c.r < y->c.r);
	return x->c.type == CELL_NULL ? 0 : (x->c.i > y->c.i) - (x->c.i < y->c.i);
}

/* The distinct cells in ret_entries, and which each cell is; their number, or 0 when there are more than most. */
static size_t distinct(const struct cell *c, size_t n, size_t most, struct entry *entries, int64_t *index,
                       struct arena *scratch)
{
	size_t room = 16, d = 0;
	uint32_t *slots;

	while (room < 2 * n)
		room *= 2;
	slots = arena_array(scratch, room, sizeof *slots);       /* 0 free, else entry + 1 */
	for (size_t i = 0; slots != NULL && i < n; i++) {
		size_t at = hash(c[i]) & (room - 1);

		while (slots[at] != 0 && !same(entries[slots[at] - 1].c, c[i]))
			at = (at + 1) & (room - 1);
		if (slots[at] == 0) {
			if (d == most)
				return 0;
			entries[d] = (struct entry){ c[i], d };
			slots[at] = (uint32_t)++d;
		}
		index[i] = (int64_t)slots[at] - 1;
	}
	return d;
}

/* The column as a dictionary, in `whole`: the number of its entries, 0 where it is none. */
static size_t put_dictionary(struct buf *whole, const struct cell *c, size_t n, struct arena *scratch)
{
	size_t most = n / 2 + 1, d;
	struct entry *entries = arena_array(scratch, most, sizeof *entries);
	int64_t *index = arena_array(scratch, n, sizeof *index), *place = arena_array(scratch, most, sizeof *place);
	struct cell *cells = arena_array(scratch, most, sizeof *cells);
	struct column col = { .c = cells, .scratch = scratch };

	if (entries == NULL || index == NULL || place == NULL || cells == NULL)
		return 0;
	d = distinct(c, n, most, entries, index, scratch);
	if (d == 0)
		return 0;
	qsort(entries, d, sizeof *entries, entry_compare);
	for (size_t i = 0; i < d; i++) {
		cells[i] = entries[i].c;
		place[entries[i].at] = (int64_t)i;
	}
	col.n = d;
	put_body(whole, &col, CELLS_DICTIONARY, d);
	for (size_t i = 0; i < n; i++)
		index[i] = place[index[i]];
	if (d > 1)
		ints_put(whole, index, n);
	return d;
}

/* Does the column look like the rows' units?  Then it costs nothing written directly. */
static bool looks_like_units(const struct column *col)
{
	struct number number;

	return col->c[0].type == CELL_TEXT && col->c[col->n - 1].type == CELL_TEXT &&
	       number_of(col, 0, FORM_UNIT, &number) && number_of(col, col->n - 1, FORM_UNIT, &number);
}

void cells_put(struct buf *b, const struct cell *c, const uint64_t *units, size_t n, struct arena *scratch)
{
	struct column col = { .c = c, .units = units, .n = n, .scratch = scratch };
	_cleanup_(buf_release) struct buf direct = { 0 };
	_cleanup_(buf_release) struct buf dictionary = { 0 };
	size_t d = 0;

	if (n == 0)
		return;
	if (n > 2 && !looks_like_units(&col))
		d = put_dictionary(&dictionary, c, n, scratch);
	/* with few distinct cells nothing is shorter, and nothing else is tried */
	if (d == 0 || d > n / DICTIONARY_FEW)
		put_body(&direct, &col, 0, 0);
	b->failed |= direct.failed || dictionary.failed || scratch->failed;
	if (d == 0 || (direct.n > 0 && bytes_cost(buf_slice(&direct)) <= bytes_cost(buf_slice(&dictionary))))
		buf_put(b, direct.p, direct.n);
	else
		buf_put(b, dictionary.p, dictionary.n);
}
