/* Ints: choosing a layout, writing it, reading it back.
 *
 * head   u8   bits 0-2 layout, 8 differences, 16 step, 32 zigzag, 64 base; 128 is 0
 * first  signed, with differences: the first number; the n−1 differences are what the layout carries
 * base   signed, not 0, where bit 64; else 0.  A number is base + u * step, with zigzag the one that u stands for
 * step   varint >= 2, where bit 16; else 1
 * then   constant: nothing.  varints: every u.  runs: u and (repetitions − 1) until all are there.
 *        planes: u8 width 1..8, then the lowest byte of every u, the next of every u, ...
 *        packed: u8 d 2..16, then bytes that hold k = floor(log_d 256) digits each, the first the lowest. */
#include "core/ints.h"

#include <stdlib.h>
#include <string.h>

#define VARINT_SIZE 10
#define PACKED_MOST 16u

/* What the layouts carry: numbers or their differences, seen as base + u * step. */
struct form {
	const int64_t *v;
	size_t n, runs;
	int64_t least;
	uint64_t step, most;             /* most: the greatest u */
	bool negative;                   /* numbers on both sides of zero */
};

static uint32_t log2_fixed(uint64_t x)
{
	unsigned bit = 63u - (unsigned)__builtin_clzll(x);
	uint64_t fraction = bit >= 8 ? x >> (bit - 8) & 255 : x << (8 - bit) & 255;

	/* a parabola through the ends lies within 0.01 bit of the logarithm */
	return bit << 8 | (uint32_t)(fraction + (fraction * (256 - fraction) * 88 >> 16));
}

uint64_t bytes_cost(struct slice s)
{
	uint32_t count[256] = { 0 };
	uint64_t cost, kept = 0, symbols = 0;

	if (s.n == 0)
		return 0;
	for (size_t i = 0; i < s.n; i++)
		count[s.p[i]]++;
	for (unsigned i = 0; i < 256; i++)
		if (count[i] > 0) {
			kept += (uint64_t)count[i] * log2_fixed(count[i]);
			symbols++;
		}
	cost = s.n * log2_fixed(s.n) - kept + symbols * 5 * 256;
	return MIN(cost, (uint64_t)s.n * 8 * 256);
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static struct form form_of(const int64_t *v, size_t n)
{
	struct form f = { .v = v, .n = n, .runs = 1, .least = v[0] };
	int64_t most = v[0];

	for (size_t i = 1; i < n; i++) {
		f.least = MIN(f.least, v[i]);
		most = MAX(most, v[i]);
		f.runs += v[i] != v[i - 1];
	}
	f.negative = f.least < 0 && most > 0;
	for (size_t i = 0; i < n && f.step != 1; i++)
		f.step = gcd((uint64_t)v[i] - (uint64_t)f.least, f.step);
	if (f.step == 0)
		f.step = 1;
	f.most = ((uint64_t)most - (uint64_t)f.least) / f.step;
	return f;
}

static uint64_t zigzag(int64_t x)
{
	return ((uint64_t)x << 1) ^ (x < 0 ? UINT64_MAX : 0);
}

static uint64_t unsigned_of(const struct form *f, size_t i, bool zig)
{
	uint64_t u;

	if (zig)
		return zigzag(f->v[i]);
	u = (uint64_t)f->v[i] - (uint64_t)f->least;
	return f->step == 1 ? u : u / f->step;
}

static unsigned per_byte(unsigned digits)
{
	unsigned k = 0;

	for (unsigned room = 256; room >= digits; room /= digits)
		k++;
	return k;
}

static uint8_t *varint_at(uint8_t *p, uint64_t x)
{
	while (x >= 0x80) {
		*p++ = (uint8_t)(x | 0x80);
		x >>= 7;
	}
	*p++ = (uint8_t)x;
	return p;
}

static void put_varints(struct buf *b, const struct form *f, bool zig)
{
	uint8_t *start = buf_reserve(b, f->n * VARINT_SIZE), *p = start;

	if (start == NULL)
		return;
	for (size_t i = 0; i < f->n; i++)
		p = varint_at(p, unsigned_of(f, i, zig));
	b->n -= f->n * VARINT_SIZE - (size_t)(p - start);
}

static void put_runs(struct buf *b, const struct form *f, bool zig)
{
	for (size_t i = 0, run; i < f->n; i += run) {
		for (run = 1; i + run < f->n && f->v[i + run] == f->v[i]; run++)
			;
		buf_put_varint(b, unsigned_of(f, i, zig));
		buf_put_varint(b, run - 1);
	}
}

static void put_planes(struct buf *b, const struct form *f)
{
	size_t width = 1;
	uint8_t *p;

	while (width < 8 && f->most >> (8 * width) != 0)
		width++;
	buf_put_u8(b, (uint8_t)width);
	p = buf_reserve(b, width * f->n);
	for (size_t i = 0; p != NULL && i < f->n; i++) {
		uint64_t u = unsigned_of(f, i, false);

		for (size_t w = 0; w < width; w++)
			p[w * f->n + i] = (uint8_t)(u >> (8 * w));
	}
}

static void put_packed(struct buf *b, const struct form *f)
{
	unsigned digits = (unsigned)f->most + 1, k = per_byte(digits);

	buf_put_u8(b, (uint8_t)digits);
	for (size_t i = 0; i < f->n; i += k) {
		unsigned byte = 0;

		for (size_t j = MIN(i + k, f->n); j-- > i;)
			byte = byte * digits + (unsigned)unsigned_of(f, j, false);
		buf_put_u8(b, (uint8_t)byte);
	}
}

static void put_layout(struct buf *b, const struct form *f, enum ints_layout layout, const int64_t *first, bool zig)
{
	bool step = f->step > 1 && !zig && layout != INTS_CONSTANT, base = !zig && f->least != 0;

	buf_put_u8(b, (uint8_t)((unsigned)layout | (first ? INTS_DELTA : 0u) | (step ? INTS_STEP : 0u) |
	                        (zig ? INTS_ZIGZAG : 0u) | (base ? INTS_BASE : 0u)));
	if (first != NULL)
		buf_put_signed(b, *first);
	if (base)
		buf_put_signed(b, f->least);
	if (step)
		buf_put_varint(b, f->step);
	if (layout == INTS_VARINTS)
		put_varints(b, f, zig);
	else if (layout == INTS_RUNS)
		put_runs(b, f, zig);
	else if (layout == INTS_PLANES)
		put_planes(b, f);
	else if (layout == INTS_PACKED)
		put_packed(b, f);
}

/* The shortest so far and the next try; the buffers change places. */
struct contest {
	struct buf best, next;
	uint64_t cost;
};

static void try_layout(struct contest *c, const struct form *f, enum ints_layout layout, const int64_t *first, bool zig)
{
	uint64_t cost;

	buf_clear(&c->next);
	put_layout(&c->next, f, layout, first, zig);
	cost = bytes_cost(buf_slice(&c->next));
	if (c->next.failed || cost < c->cost) {
		struct buf lost = c->best;

		c->best = c->next;
		c->next = lost;
		c->cost = cost;
	}
}

static void try_form(struct contest *c, const struct form *f, const int64_t *first)
{
	if (f->most == 0) {
		try_layout(c, f, INTS_CONSTANT, first, false);
		return;
	}
	if (f->runs <= f->n / 2 + 1)
		try_layout(c, f, INTS_RUNS, first, f->negative);
	if (f->most < PACKED_MOST)
		try_layout(c, f, INTS_PACKED, first, false);
	try_layout(c, f, INTS_PLANES, first, false);
	if (f->most >= 128) {
		try_layout(c, f, INTS_VARINTS, first, false);
		if (f->negative)
			try_layout(c, f, INTS_VARINTS, first, true);
	}
}

void ints_put(struct buf *b, const int64_t *v, size_t n)
{
	struct contest c = { .cost = UINT64_MAX };
	struct form whole;

	if (n == 0)
		return;
	whole = form_of(v, n);
	try_form(&c, &whole, NULL);
	if (n > 1 && whole.most != 0) {
		int64_t *differences = malloc((n - 1) * sizeof *differences);

		for (size_t i = 1; differences != NULL && i < n; i++)
			differences[i - 1] = (int64_t)((uint64_t)v[i] - (uint64_t)v[i - 1]);
		if (differences != NULL) {
			struct form change = form_of(differences, n - 1);

			try_form(&c, &change, v);
		}
		c.best.failed |= differences == NULL;
		free(differences);
	}
	buf_put(b, c.best.p, c.best.n);
	b->failed |= c.best.failed;
	buf_release(&c.best);
	buf_release(&c.next);
}

/* ---- reading */

struct layout {
	uint64_t base, step;
	bool zig;
};

static int64_t number_of(const struct layout *l, uint64_t u)
{
	if (l->zig)
		return (int64_t)((u >> 1) ^ (u & 1 ? UINT64_MAX : 0));
	return (int64_t)(l->base + u * l->step);
}

/* The common case, one byte, without a call. */
static inline uint64_t varint_from(struct reader *r)
{
	if (!r->bad && r->p < r->end && *r->p < 0x80)
		return *r->p++;
	return read_varint(r);
}

static void get_runs(struct reader *r, const struct layout *l, int64_t *ret, size_t n)
{
	for (size_t i = 0; i < n && !r->bad;) {
		int64_t x = number_of(l, varint_from(r));
		uint64_t more = varint_from(r);

		if (more >= n - i)
			r->bad = true;
		for (size_t end = i + 1 + (r->bad ? 0 : (size_t)more); !r->bad && i < end; i++)
			ret[i] = x;
	}
}

static void get_planes(struct reader *r, const struct layout *l, int64_t *ret, size_t n)
{
	size_t width = read_u8(r);
	struct slice s;

	if (width < 1 || width > 8)
		r->bad = true;
	s = read_bytes(r, width * n);
	for (size_t i = 0; !r->bad && i < n; i++) {
		uint64_t u = 0;

		for (size_t w = 0; w < width; w++)
			u |= (uint64_t)s.p[w * n + i] << (8 * w);
		ret[i] = number_of(l, u);
	}
}

static void get_packed(struct reader *r, const struct layout *l, int64_t *ret, size_t n)
{
	unsigned digits = read_u8(r), k;
	struct slice s;

	if (digits < 2 || digits > PACKED_MOST) {
		r->bad = true;
		return;
	}
	k = per_byte(digits);
	s = read_bytes(r, (n + k - 1) / k);
	for (size_t i = 0; !r->bad && i < n; i += k) {
		unsigned byte = s.p[i / k];

		for (size_t j = i; j < MIN(i + k, n); j++) {
			ret[j] = number_of(l, byte % digits);
			byte /= digits;
		}
		if (byte != 0)
			r->bad = true;
	}
}

static void get_layout(struct reader *r, unsigned head, int64_t *ret, size_t n)
{
	struct layout l = { .step = 1, .zig = (head & INTS_ZIGZAG) != 0 };
	enum ints_layout layout = (enum ints_layout)(head & 7);

	if (head & INTS_BASE) {
		l.base = (uint64_t)read_signed(r);
		if (l.base == 0)
			r->bad = true;
	}
	if (head & INTS_STEP) {
		l.step = read_varint(r);
		if (l.step < 2)
			r->bad = true;
	}
	if ((l.zig && layout != INTS_VARINTS && layout != INTS_RUNS) || (layout == INTS_CONSTANT && l.step != 1) ||
	    (l.zig && (l.step != 1 || l.base != 0)))
		r->bad = true;
	if (layout == INTS_CONSTANT) {
		for (size_t i = 0; !r->bad && i < n; i++)
			ret[i] = (int64_t)l.base;
	} else if (layout == INTS_VARINTS) {
		for (size_t i = 0; !r->bad && i < n; i++)
			ret[i] = number_of(&l, varint_from(r));
	} else if (layout == INTS_RUNS) {
		get_runs(r, &l, ret, n);
	} else if (layout == INTS_PLANES) {
		get_planes(r, &l, ret, n);
	} else {
		get_packed(r, &l, ret, n);
	}
}

void ints_get(struct reader *r, int64_t *ret, size_t n)
{
	unsigned head;

	if (n == 0)
		return;
	head = read_u8(r);
	if ((head & 7) >= INTS_LAYOUTS || head >= 128 || ((head & INTS_DELTA) && n < 2))
		r->bad = true;
	if (!r->bad && (head & INTS_DELTA)) {
		ret[0] = read_signed(r);
		get_layout(r, head, ret + 1, n - 1);
		for (size_t i = 1; !r->bad && i < n; i++)
			ret[i] = (int64_t)((uint64_t)ret[i - 1] + (uint64_t)ret[i]);
	} else if (!r->bad) {
		get_layout(r, head, ret, n);
	}
	if (r->bad)
		memset(ret, 0, n * sizeof *ret);
}
