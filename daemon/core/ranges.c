/* Ranges: spans, their codec, and the steps of both sides. */
#include "core/ranges.h"

#include <string.h>

#define SPANS_MOST 16384u                /* of one register in one message */

/* ---- bounds */

static bool is_bytes(struct cell c)
{
	return c.type == CELL_TEXT || c.type == CELL_BLOB;
}

void bound_put(struct buf *b, struct cell *before, struct cell c)
{
	size_t same = 0;

	if (!is_bytes(c)) {
		cell_put(b, c);
		*before = c;
		return;
	}
	while (before->type == c.type && same < c.s.n && same < before->s.n && c.s.p[same] == before->s.p[same])
		same++;
	buf_put_u8(b, (uint8_t)c.type);
	buf_put_varint(b, same);
	buf_put_varint(b, c.s.n - same);
	buf_put(b, c.s.p + same, c.s.n - same);
	*before = c;
}

struct cell bound_get(struct reader *r, struct cell *before, struct arena *a)
{
	struct reader ahead = *r;
	struct cell c = { .type = (enum cell_type)read_u8(&ahead) };
	uint64_t same, n;
	struct slice rest;
	uint8_t *p;

	if (ahead.bad || !is_bytes(c)) {
		c = cell_get(r);
		*before = c;
		return c;
	}
	*r = ahead;
	same = read_varint(r);
	n = read_count(r, LIMIT_KEY);
	rest = read_bytes(r, n);
	if (r->bad || same > (before->type == c.type ? before->s.n : 0) || same + n > LIMIT_KEY) {
		r->bad = true;
		return (struct cell){ .type = CELL_NULL };
	}
	p = arena_alloc(a, same + n + 1);
	if (p == NULL) {
		r->bad = true;
		return (struct cell){ .type = CELL_NULL };
	}
	if (same > 0)
		memcpy(p, before->s.p, same);
	if (n > 0)
		memcpy(p + same, rest.p, n);
	c.s = (struct slice){ p, same + n };
	*before = c;
	return c;
}

/* ---- codec */

void spans_put(struct buf *b, const struct spans *s)
{
	struct cell before = { .type = CELL_NULL };
	uint64_t last = 0;

	buf_put_slice(b, s->name);
	buf_put_varint(b, s->nunits);
	for (uint32_t i = 0; i < s->nunits; i++) {
		buf_put_varint(b, s->units[i] - last);
		last = s->units[i];
	}
	buf_put_varint(b, s->n);
	for (uint32_t i = 0; i < s->n; i++) {
		const struct span *x = &s->at[i];

		buf_put_u8(b, (uint8_t)x->mode);
		bound_put(b, &before, x->to);
		if (x->mode == SPAN_SUM)
			buf_put(b, x->sum, RANGES_SUM);
		if (x->mode == SPAN_IDS) {
			buf_put_varint(b, x->ids.n / RANGES_ID);
			buf_put(b, x->ids.p, x->ids.n);
		}
	}
}

static void units_get(struct reader *r, struct arena *a, struct spans *ret)
{
	uint64_t *units, last = 0;

	ret->nunits = (uint32_t)read_count(r, LIMIT_RANGES_UNITS);
	units = arena_array(a, ret->nunits + 1, sizeof *units);
	for (uint32_t i = 0; units != NULL && i < ret->nunits && !r->bad; i++) {
		uint64_t step = read_varint(r);

		if (step == 0 || step > UINT64_C(999999999999) - last)
			r->bad = true;
		else
			units[i] = last += step;
	}
	ret->units = units;
}

void spans_get(struct reader *r, struct arena *a, struct spans *ret)
{
	struct cell before = { .type = CELL_NULL };

	*ret = (struct spans){ .arena = a, .name = read_slice(r) };
	units_get(r, a, ret);
	ret->n = ret->room = (uint32_t)read_count(r, SPANS_MOST);
	ret->at = arena_array(a, ret->n + 1, sizeof *ret->at);
	if (ret->name.n == 0 || ret->name.n > LIMIT_NAME || a->failed)
		r->bad = true;
	for (uint32_t i = 0; i < ret->n && !r->bad; i++) {
		struct span *x = &ret->at[i];
		struct cell last = before;
		uint8_t mode = read_u8(r);
		struct slice s;

		x->mode = (enum span_mode)mode;
		x->to = bound_get(r, &before, a);
		if (mode >= SPAN_MODES || (i > 0 && (last.type == CELL_NULL || (x->to.type != CELL_NULL && cell_compare(last, x->to) >= 0))))
			r->bad = true;
		if (mode == SPAN_SUM) {
			s = read_bytes(r, RANGES_SUM);
			if (!r->bad)
				memcpy(x->sum, s.p, RANGES_SUM);
		} else if (mode == SPAN_IDS) {
			x->ids = read_bytes(r, (size_t)read_count(r, LIMIT_RANGES_IDS) * RANGES_ID);
		}
	}
	if (r->bad)
		ret->n = 0;
}

/* ---- spans being made */

static int memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "comparing rows: memory is short");
}

static int span_add(struct spans *s, enum span_mode mode, struct cell to, struct span **ret, struct err *err)
{
	struct span *x;

	if (mode == SPAN_SKIP && s->n > 0 && s->at[s->n - 1].mode == SPAN_SKIP) {
		s->at[s->n - 1].to = cell_copy(s->arena, to);
		return s->arena->failed ? memory(err) : 0;
	}
	if (s->n == s->room) {
		uint32_t room = s->room == 0 ? 64 : s->room * 2;
		struct span *more = arena_array(s->arena, room, sizeof *more);

		if (more == NULL)
			return memory(err);
		if (s->n > 0)
			memcpy(more, s->at, s->n * sizeof *more);
		s->at = more;
		s->room = room;
	}
	s->size += 12 + (is_bytes(to) ? to.s.n : 8);
	x = &s->at[s->n++];
	*x = (struct span){ .mode = mode, .to = cell_copy(s->arena, to) };
	if (ret != NULL)
		*ret = x;
	return s->arena->failed ? memory(err) : 0;
}

int spans_append(struct spans *s, const struct spans *more, uint32_t from, struct err *err)
{
	int rc = from > 0 && from < more->n ? span_add(s, SPAN_SKIP, more->at[from - 1].to, NULL, err) : 0;

	for (uint32_t i = from; i < more->n && rc == 0; i++) {
		struct span *x = NULL;

		rc = span_add(s, more->at[i].mode, more->at[i].to, &x, err);
		if (rc != 0 || x == NULL)
			continue;
		memcpy(x->sum, more->at[i].sum, RANGES_SUM);
		x->ids = arena_slice(s->arena, more->at[i].ids);
		s->size += x->ids.n;
	}
	return rc == 0 && s->arena->failed ? memory(err) : rc;
}

/* The shortest bound that divides two neighbours: `before` lies below it, `after` does not. */
static struct cell between(struct cell before, struct cell after)
{
	size_t n = 0;

	if (before.type != after.type || !is_bytes(after))
		return after;
	while (n < before.s.n && n < after.s.n && before.s.p[n] == after.s.p[n])
		n++;
	after.s.n = MIN(n + 1, after.s.n);
	return after;
}

/* ---- one span's rows */

struct tally {
	struct term sum;
	uint64_t n;
};

static int tally_row(void *arg, struct cell key, const struct term *t)
{
	struct tally *x = arg;

	(void)key;
	term_add(&x->sum, t);
	x->n++;
	return 0;
}

static int measure(const struct ranges_rows *rows, const struct cell *from, struct cell to, struct tally *ret, struct err *err)
{
	memset(ret, 0, sizeof *ret);
	return rows->each(rows->arg, from, to, tally_row, ret, err);
}

struct cutting {
	struct spans *out;
	const struct ranges_rows *rows;
	uint64_t per;                    /* rows a span */
	size_t most;
	struct tally here;
	struct buf last;                 /* bytes of the row before, where its key has some */
	struct cell before;
	bool stopped;                    /* room or time was over at `before`'s successor: */
	struct cell at;
	struct err *err;
};

static int cut(struct cutting *c, struct cell to)
{
	struct span *x = NULL;
	int rc = span_add(c->out, SPAN_SUM, to, &x, c->err);

	if (rc == 0)
		memcpy(x->sum, c->here.sum.at, RANGES_SUM);
	memset(&c->here, 0, sizeof c->here);
	return rc;
}

#define ENOUGH -1

static int cut_row(void *arg, struct cell key, const struct term *t)
{
	struct cutting *c = arg;
	int rc = 0;

	if (c->here.n >= c->per) {
		struct cell bound = between(c->before, key);

		rc = cut(c, bound);
		if (rc == 0 && c->most != 0 && (c->out->size > c->most || (c->rows->over != NULL && c->rows->over(c->rows->arg)))) {
			c->stopped = true;
			c->at = cell_copy(c->out->arena, bound);
			return ENOUGH;
		}
	}
	if (rc != 0)
		return rc;
	tally_row(&c->here, key, t);
	c->before = key;
	if (is_bytes(key)) {
		buf_clear(&c->last);
		buf_put(&c->last, key.s.p, key.s.n);
		c->before.s = buf_slice(&c->last);
	}
	return c->last.failed ? memory(c->err) : 0;
}

static int cut_all(struct cutting *c, const struct cell *from, struct cell to, struct err *err)
{
	int rc;

	c->err = err;
	rc = c->rows->each(c->rows->arg, from, to, cut_row, c, err);
	if (rc == 0)
		rc = cut(c, to);
	buf_release(&c->last);
	return rc == ENOUGH ? 0 : rc;
}

struct naming {
	uint8_t *ids;
	uint64_t n, room;
};

static int name_row(void *arg, struct cell key, const struct term *t)
{
	struct naming *x = arg;

	(void)key;
	if (x->n < x->room)
		memcpy(x->ids + x->n++ * RANGES_ID, t->at, RANGES_ID);
	return 0;
}

static int name_all(const struct ranges_rows *rows, const struct cell *from, struct cell to, uint64_t count, struct spans *out,
                    struct err *err)
{
	struct naming x = { arena_alloc(out->arena, count * RANGES_ID + 1), 0, count };
	struct span *s = NULL;
	int rc = x.ids == NULL ? memory(err) : rows->each(rows->arg, from, to, name_row, &x, err);

	if (rc == 0)
		rc = span_add(out, SPAN_IDS, to, &s, err);
	if (rc != 0)
		return rc;
	s->ids = (struct slice){ x.ids, (size_t)x.n * RANGES_ID };
	out->size += s->ids.n;
	return 0;
}

/* ---- the steps */

int ranges_begin(const struct ranges_rows *rows, uint32_t per, struct cell *at, size_t most, struct spans *out,
                 bool *ret_done, struct err *err)
{
	struct cutting c = { .out = out, .rows = rows, .per = MAX(per, 1), .most = most };
	struct cell from = *at, end = { .type = CELL_NULL };
	int rc = 0;

	if (from.type != CELL_NULL)
		rc = span_add(out, SPAN_SKIP, from, NULL, err);
	if (rc == 0)
		rc = cut_all(&c, from.type != CELL_NULL ? &from : NULL, end, err);
	*ret_done = !c.stopped;
	if (c.stopped)
		*at = c.at;
	return rc;
}

static bool no_room(const struct spans *out, const struct ranges_rows *rows, size_t most)
{
	return out->size > most || (out->n > 0 && rows->over != NULL && rows->over(rows->arg));
}

static int answer_one(const struct span *x, const struct cell *from, const struct ranges_rows *rows, struct spans *out,
                      struct err *err)
{
	struct cutting c = { .out = out, .rows = rows };
	struct tally t;
	int rc = measure(rows, from, x->to, &t, err);

	if (rc != 0)
		return rc;
	if (x->mode == SPAN_SUM && memcmp(t.sum.at, x->sum, RANGES_SUM) == 0)
		return span_add(out, SPAN_SKIP, x->to, NULL, err);
	if (t.n <= (x->mode == SPAN_WANT ? LIMIT_RANGES_IDS : LIMIT_RANGES_LEAF))
		return name_all(rows, from, x->to, t.n, out, err);
	c.per = (t.n + RANGES_WAYS - 1) / RANGES_WAYS;
	return cut_all(&c, from, x->to, err);
}

int ranges_answer(const struct spans *in, const struct ranges_rows *rows, size_t most, struct spans *out, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < in->n && rc == 0; i++) {
		const struct span *x = &in->at[i];
		const struct cell *from = i > 0 ? &in->at[i - 1].to : NULL;

		if (x->mode != SPAN_SUM && x->mode != SPAN_WANT)
			rc = span_add(out, SPAN_SKIP, x->to, NULL, err);
		else if (no_room(out, rows, most))
			rc = span_add(out, SPAN_LATER, x->to, NULL, err);
		else
			rc = answer_one(x, from, rows, out, err);
	}
	return rc;
}

struct matching {
	const struct ranges_found *found;
	struct slice ids;
	uint8_t *seen;                   /* one a id */
	struct err *err;
};

static int match_row(void *arg, struct cell key, const struct term *t)
{
	struct matching *m = arg;

	for (size_t i = 0; i < m->ids.n / RANGES_ID; i++)
		if (!m->seen[i] && memcmp(m->ids.p + i * RANGES_ID, t->at, RANGES_ID) == 0) {
			m->seen[i] = 1;
			return 0;
		}
	return m->found->mine(m->found->arg, key, m->err);
}

static int match(const struct span *x, const struct cell *from, const struct ranges_rows *rows, const struct ranges_found *found,
                 struct arena *a, struct err *err)
{
	size_t n = x->ids.n / RANGES_ID, left = 0;
	struct matching m = { found, x->ids, arena_alloc(a, n + 1), err };
	uint8_t *ids = arena_alloc(a, x->ids.n + 1);
	int rc = m.seen == NULL || ids == NULL ? memory(err) : rows->each(rows->arg, from, x->to, match_row, &m, err);

	for (size_t i = 0; i < n && rc == 0; i++)
		if (!m.seen[i])
			memcpy(ids + left++ * RANGES_ID, x->ids.p + i * RANGES_ID, RANGES_ID);
	if (rc == 0 && left > 0)
		rc = found->theirs(found->arg, from, x->to, (struct slice){ ids, left * RANGES_ID }, err);
	return rc;
}

/* A sum of the other side: equal, small enough for ids, or cut further. */
static int go_on_one(const struct span *x, const struct cell *from, const struct ranges_rows *rows, struct spans *out,
                     struct err *err)
{
	struct cutting c = { .out = out, .rows = rows };
	struct span *same = NULL;
	struct tally t;
	int rc = measure(rows, from, x->to, &t, err);

	if (rc != 0)
		return rc;
	if (x->mode == SPAN_LATER) {
		rc = span_add(out, SPAN_SUM, x->to, &same, err);
		if (rc == 0)
			memcpy(same->sum, t.sum.at, RANGES_SUM);
		return rc;
	}
	if (memcmp(t.sum.at, x->sum, RANGES_SUM) == 0)
		return span_add(out, SPAN_SKIP, x->to, NULL, err);
	if (t.n <= LIMIT_RANGES_LEAF)
		return span_add(out, SPAN_WANT, x->to, NULL, err);
	c.per = (t.n + RANGES_WAYS - 1) / RANGES_WAYS;
	return cut_all(&c, from, x->to, err);
}

int ranges_go_on(const struct spans *in, uint32_t *at, const struct ranges_rows *rows, const struct ranges_found *found,
                 size_t most, struct spans *out, struct err *err)
{
	int rc = 0;

	if (*at > 0)
		rc = span_add(out, SPAN_SKIP, in->at[*at - 1].to, NULL, err);
	while (*at < in->n && rc == 0 && !no_room(out, rows, most)) {
		const struct span *x = &in->at[*at];
		const struct cell *from = *at > 0 ? &in->at[*at - 1].to : NULL;

		if (x->mode == SPAN_IDS)
			rc = match(x, from, rows, found, out->arena, err);
		if (rc == 0 && (x->mode == SPAN_SUM || x->mode == SPAN_LATER))
			rc = go_on_one(x, from, rows, out, err);
		else if (rc == 0)
			rc = span_add(out, SPAN_SKIP, x->to, NULL, err);
		(*at)++;
	}
	while (out->n > 0 && out->at[out->n - 1].mode == SPAN_SKIP)
		out->n--;                        /* what lies behind the last bound is skipped anyway */
	return rc;
}
