/* Cells, reading: the counterpart of cells_put.c, whose head comment gives the bytes. */
#include <math.h>
#include <string.h>

#include "core/cells.h"
#include "core/forms.h"
#include "core/ints.h"
#include "core/unit.h"

/* The cells of one form, in row order: `at` are their places in ret. */
struct share {
	struct unpack *in;
	struct cell *ret;
	const uint64_t *units;
	const uint32_t *at;
	size_t n;
};

static int64_t *numbers_of(const struct share *s)
{
	int64_t *x = arena_array(s->in->scratch, s->n, sizeof *x);

	if (x != NULL)
		ints_get(&s->in->r, x, s->n);
	else
		s->in->r.bad = true;
	return s->in->r.bad ? NULL : x;
}

static void get_ints(const struct share *s)
{
	const int64_t *x = numbers_of(s);

	for (size_t i = 0; x != NULL && i < s->n; i++)
		s->ret[s->at[i]] = (struct cell){ .type = CELL_INT, .i = x[i] };
}

static void get_reals(const struct share *s)
{
	struct slice planes = read_bytes(&s->in->r, 8 * s->n);

	for (size_t i = 0; planes.n > 0 && i < s->n; i++) {
		struct cell c = { .type = CELL_REAL };
		uint64_t bits = 0;

		for (size_t w = 0; w < 8; w++)
			bits |= (uint64_t)planes.p[w * s->n + i] << (8 * w);
		memcpy(&c.r, &bits, sizeof c.r);
		if (isnan(c.r) || bits == UINT64_C(1) << 63)
			s->in->r.bad = true;
		s->ret[s->at[i]] = c;
	}
}

static void get_decimals(const struct share *s)
{
	unsigned scale = read_u8(&s->in->r);
	const int64_t *m;

	if (scale > DECIMAL_SCALE_MOST)
		s->in->r.bad = true;
	m = numbers_of(s);
	for (size_t i = 0; m != NULL && i < s->n; i++) {
		if (m[i] < -(INT64_C(1) << 53) || m[i] > INT64_C(1) << 53)
			s->in->r.bad = true;
		s->ret[s->at[i]] = (struct cell){ .type = CELL_REAL, .r = decimal_value(m[i], scale) };
	}
}

static void get_texts(const struct share *s, enum cell_type type)
{
	struct slice *texts = arena_array(s->in->scratch, s->n, sizeof *texts);

	if (texts != NULL)
		texts_get(s->in, texts, s->n);
	else
		s->in->r.bad = true;
	for (size_t i = 0; !s->in->r.bad && i < s->n; i++)
		s->ret[s->at[i]] = (struct cell){ .type = type, .s = texts[i] };
}

static void get_units(const struct share *s)
{
	struct slice text = { NULL, 0 };

	for (size_t i = 0; i < s->n && !s->in->r.bad; i++) {
		size_t row = s->at[i];

		if (i == 0 || s->units[row] != s->units[s->at[i - 1]]) {
			uint8_t *p = unpack_build(s->in, UNIT_TEXT_SIZE - 1);

			if (p == NULL)
				return;
			digits_write(p, UNIT_TEXT_SIZE - 1, (int64_t)s->units[row]);
			text = (struct slice){ p, UNIT_TEXT_SIZE - 1 };
		}
		s->ret[row] = (struct cell){ .type = CELL_TEXT, .s = text };
	}
}

/* Stamps, dates, digits: numbers within bounds, texts of one width. */
static void get_written(const struct share *s, enum cell_form form)
{
	size_t width = form == FORM_STAMP ? STAMP_SIZE : form == FORM_DATE ? DATE_SIZE : read_u8(&s->in->r);
	int64_t least = form == FORM_STAMP ? STAMP_LEAST : form == FORM_DATE ? DATE_LEAST : 0;
	int64_t most = form == FORM_STAMP ? STAMP_MOST : DATE_MOST;
	const int64_t *x;
	uint8_t *p;

	if (form == FORM_DIGITS) {
		if (width < 1 || width > DIGITS_MOST)
			s->in->r.bad = true;
		most = 0;
		for (size_t i = 0; i < width && !s->in->r.bad; i++)
			most = most * 10 + 9;
	}
	x = numbers_of(s);
	p = x != NULL ? unpack_build(s->in, s->n * width) : NULL;
	for (size_t i = 0; p != NULL && i < s->n; i++, p += width) {
		if (x[i] < least || x[i] > most) {
			s->in->r.bad = true;
			return;
		}
		if (form == FORM_STAMP)
			stamp_write(p, x[i]);
		else if (form == FORM_DATE)
			date_write(p, x[i]);
		else
			digits_write(p, width, x[i]);
		s->ret[s->at[i]] = (struct cell){ .type = CELL_TEXT, .s = { p, width } };
	}
}

static void get_citizens(const struct share *s)
{
	const int64_t *region = numbers_of(s), *birth = numbers_of(s), *order = numbers_of(s);
	uint8_t *p = region && birth && order ? unpack_build(s->in, s->n * CITIZEN_SIZE) : NULL;

	for (size_t i = 0; p != NULL && i < s->n; i++, p += CITIZEN_SIZE) {
		struct citizen c = { region[i], birth[i], order[i] };

		if (!citizen_sound(&c)) {
			s->in->r.bad = true;
			return;
		}
		citizen_write(p, &c);
		s->ret[s->at[i]] = (struct cell){ .type = CELL_TEXT, .s = { p, CITIZEN_SIZE } };
	}
}

static void get_form(const struct share *s, enum cell_form form)
{
	switch (form) {
	case FORM_NULL:
		for (size_t i = 0; i < s->n; i++)
			s->ret[s->at[i]] = (struct cell){ .type = CELL_NULL };
		return;
	case FORM_INT:
		get_ints(s);
		return;
	case FORM_REAL:
		get_reals(s);
		return;
	case FORM_TEXT:
		get_texts(s, CELL_TEXT);
		return;
	case FORM_BLOB:
		get_texts(s, CELL_BLOB);
		return;
	case FORM_DECIMAL:
		get_decimals(s);
		return;
	case FORM_UNIT:
		get_units(s);
		return;
	case FORM_CITIZEN:
		get_citizens(s);
		return;
	case FORM_STAMP: case FORM_DATE: case FORM_DIGITS:
		get_written(s, form);
		return;
	case FORMS:
		break;
	}
	s->in->r.bad = true;
}

static void get_body(struct unpack *in, unsigned form, struct cell *ret, const uint64_t *units, size_t n)
{
	int64_t *forms = arena_array(in->scratch, n, sizeof *forms);
	uint32_t *at = arena_array(in->scratch, n, sizeof *at);
	size_t of[FORMS] = { 0 };

	if (forms == NULL || at == NULL || (form >= FORMS && form != CELLS_MIXED)) {
		in->r.bad = true;
		return;
	}
	if (form == CELLS_MIXED)
		ints_get(&in->r, forms, n);
	for (size_t i = 0; i < n; i++) {
		if (form != CELLS_MIXED)
			forms[i] = form;
		if (forms[i] < 0 || forms[i] >= FORMS || (forms[i] == FORM_UNIT && units == NULL)) {
			in->r.bad = true;
			return;
		}
		of[forms[i]]++;
	}
	for (enum cell_form f = FORM_NULL; f < FORMS && !in->r.bad; f++) {
		struct share s = { .in = in, .ret = ret, .units = units, .at = at };

		if (of[f] == 0)
			continue;
		for (size_t i = 0; i < n; i++)
			if (forms[i] == (int64_t)f)
				at[s.n++] = (uint32_t)i;
		get_form(&s, f);
	}
}

void cells_get(struct unpack *in, struct cell *ret, const uint64_t *units, size_t n)
{
	unsigned head;
	uint64_t d;
	struct cell *entries;
	int64_t *index;

	if (n == 0)
		return;
	head = read_u8(&in->r);
	if (head & ~(CELLS_MIXED | CELLS_DICTIONARY))
		in->r.bad = true;
	if (in->r.bad)
		return;
	if ((head & CELLS_DICTIONARY) == 0) {
		get_body(in, head, ret, units, n);
		return;
	}
	d = read_varint(&in->r);
	if (d < 1 || d > n)
		in->r.bad = true;
	entries = in->r.bad ? NULL : arena_array(in->scratch, d, sizeof *entries);
	index = in->r.bad ? NULL : arena_array(in->scratch, n, sizeof *index);
	if (entries == NULL || index == NULL) {
		in->r.bad = true;
		return;
	}
	get_body(in, head & CELLS_MIXED, entries, NULL, d);
	if (d > 1)
		ints_get(&in->r, index, n);
	for (size_t i = 0; i < n && !in->r.bad; i++) {
		if (index[i] < 0 || (uint64_t)index[i] >= d)
			in->r.bad = true;
		else
			ret[i] = entries[index[i]];
	}
}
