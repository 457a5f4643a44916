/* Texts and records.
 *
 * texts    u8 layout 0: ints of the lengths, then all bytes
 *                    1: every text with a NUL behind it (none has one inside)
 *                    2: ints of how many bytes each shares with the text before (the first: 0), then texts (0, 1)
 *                       of the rests
 * records  slice the first; for n > 1: ints of the n−1 shared beginnings, ints of the n−1 shared ends, texts of
 *          what stands between; beginning and end never overlap in either of the two records */
#include "core/texts.h"

#include <stdlib.h>
#include <string.h>

#include "core/ints.h"

/* ---- writing */

static size_t shared_front(struct slice a, struct slice b)
{
	size_t n = 0, most = MIN(a.n, b.n);

	while (n < most && a.p[n] == b.p[n])
		n++;
	return n;
}

static size_t shared_end(struct slice a, struct slice b, size_t front)
{
	size_t n = 0, most = MIN(a.n, b.n) - front;

	while (n < most && a.p[a.n - 1 - n] == b.p[b.n - 1 - n])
		n++;
	return n;
}

static void put_plain(struct buf *b, const struct slice *s, size_t n, int64_t *numbers)
{
	bool same = true, zero = false;

	for (size_t i = 0; i < n; i++) {
		numbers[i] = (int64_t)s[i].n;
		same = same && s[i].n == s[0].n;
		zero = zero || (s[i].n > 0 && memchr(s[i].p, 0, s[i].n) != NULL);
	}
	if (same || zero) {
		buf_put_u8(b, TEXTS_LENGTHS);
		ints_put(b, numbers, n);
	} else {
		buf_put_u8(b, TEXTS_TERMINATED);
	}
	for (size_t i = 0; i < n; i++) {
		buf_put(b, s[i].p, s[i].n);
		if (!same && !zero)
			buf_put_u8(b, 0);
	}
}

/* Front coding pays where the texts are sorted: when more than a third of all bytes repeat those before. */
static bool front_pays(const struct slice *s, size_t n)
{
	size_t all = s[0].n, shared = 0;

	for (size_t i = 1; i < n; i++) {
		all += s[i].n;
		shared += shared_front(s[i - 1], s[i]);
	}
	return n > 2 && shared > all / 3;
}

void texts_put(struct buf *b, const struct slice *s, size_t n)
{
	int64_t *numbers;
	struct slice *rests;

	if (n == 0)
		return;
	numbers = calloc(n, sizeof *numbers);
	rests = calloc(n, sizeof *rests);
	if (numbers == NULL || rests == NULL) {
		b->failed = true;
	} else if (front_pays(s, n)) {
		rests[0] = s[0];
		for (size_t i = 1; i < n; i++) {
			size_t shared = shared_front(s[i - 1], s[i]);

			numbers[i] = (int64_t)shared;
			rests[i] = (struct slice){ s[i].p + shared, s[i].n - shared };
		}
		buf_put_u8(b, TEXTS_FRONT);
		ints_put(b, numbers, n);
		put_plain(b, rests, n, numbers);
	} else {
		put_plain(b, s, n, numbers);
	}
	free(numbers);
	free(rests);
}

void records_put(struct buf *b, const struct slice *s, size_t n)
{
	int64_t *fronts, *ends;
	struct slice *middles;

	if (n == 0)
		return;
	buf_put_slice(b, s[0]);
	if (n == 1)
		return;
	fronts = calloc(n, sizeof *fronts);
	ends = calloc(n, sizeof *ends);
	middles = calloc(n, sizeof *middles);
	if (fronts != NULL && ends != NULL && middles != NULL) {
		for (size_t i = 1; i < n; i++) {
			size_t front = shared_front(s[i - 1], s[i]), end = shared_end(s[i - 1], s[i], front);

			fronts[i - 1] = (int64_t)front;
			ends[i - 1] = (int64_t)end;
			middles[i - 1] = (struct slice){ s[i].p + front, s[i].n - front - end };
		}
		ints_put(b, fronts, n - 1);
		ints_put(b, ends, n - 1);
		texts_put(b, middles, n - 1);
	} else {
		b->failed = true;
	}
	free(fronts);
	free(ends);
	free(middles);
}

/* ---- reading */

static int64_t *numbers_from(struct unpack *in, size_t n)
{
	int64_t *numbers = arena_array(in->scratch, n, sizeof *numbers);

	if (numbers != NULL)
		ints_get(&in->r, numbers, n);
	else
		in->r.bad = true;
	return in->r.bad ? NULL : numbers;
}

static void get_terminated(struct reader *r, struct slice *ret, size_t n)
{
	for (size_t i = 0; i < n && !r->bad; i++) {
		size_t left = reader_left(r);
		const uint8_t *end = left > 0 ? memchr(r->p, 0, left) : NULL;

		if (end == NULL) {
			r->bad = true;
			return;
		}
		ret[i] = (struct slice){ r->p, (size_t)(end - r->p) };
		r->p = end + 1;
	}
}

static void get_plain(struct unpack *in, unsigned layout, struct slice *ret, size_t n)
{
	int64_t *lengths;

	if (layout == TEXTS_TERMINATED) {
		get_terminated(&in->r, ret, n);
		return;
	}
	if (layout != TEXTS_LENGTHS) {
		in->r.bad = true;
		return;
	}
	lengths = numbers_from(in, n);
	for (size_t i = 0; lengths != NULL && i < n && !in->r.bad; i++) {
		if (lengths[i] < 0)
			in->r.bad = true;
		else
			ret[i] = read_bytes(&in->r, (size_t)lengths[i]);
	}
}

uint8_t *unpack_build(struct unpack *in, size_t n)
{
	uint8_t *p = NULL;

	if (!in->r.bad && n <= in->built)
		p = arena_alloc(in->out, n);
	if (p != NULL)
		in->built -= n;
	else
		in->r.bad = true;
	return p;
}

void texts_get(struct unpack *in, struct slice *ret, size_t n)
{
	unsigned layout;
	int64_t *shared;

	if (n == 0)
		return;
	layout = read_u8(&in->r);
	if (layout != TEXTS_FRONT) {
		get_plain(in, layout, ret, n);
		return;
	}
	shared = numbers_from(in, n);
	get_plain(in, read_u8(&in->r), ret, n);
	for (size_t i = 0; shared != NULL && i < n && !in->r.bad; i++) {
		size_t before = i > 0 ? ret[i - 1].n : 0, front = (size_t)shared[i];
		uint8_t *p;

		if (shared[i] < 0 || front > before)
			in->r.bad = true;
		if (in->r.bad || front == 0)
			continue;
		p = unpack_build(in, front + ret[i].n);
		if (p == NULL)
			break;
		memcpy(p, ret[i - 1].p, front);
		if (ret[i].n > 0)
			memcpy(p + front, ret[i].p, ret[i].n);
		ret[i] = (struct slice){ p, front + ret[i].n };
	}
}

void records_get(struct unpack *in, struct slice *ret, size_t n)
{
	int64_t *fronts, *ends;

	if (n == 0)
		return;
	ret[0] = read_slice(&in->r);
	if (n == 1)
		return;
	fronts = numbers_from(in, n - 1);
	ends = numbers_from(in, n - 1);
	texts_get(in, ret + 1, n - 1);
	for (size_t i = 1; fronts != NULL && ends != NULL && i < n && !in->r.bad; i++) {
		struct slice before = ret[i - 1], middle = ret[i];
		size_t front = (size_t)fronts[i - 1], end = (size_t)ends[i - 1];
		uint8_t *p;

		if (fronts[i - 1] < 0 || ends[i - 1] < 0 || front > before.n || end > before.n - front) {
			in->r.bad = true;
			return;
		}
		p = unpack_build(in, front + middle.n + end);
		if (p == NULL)
			return;
		memcpy(p, before.p, front);
		if (middle.n > 0)
			memcpy(p + front, middle.p, middle.n);
		memcpy(p + front + middle.n, before.p + before.n - end, end);
		ret[i] = (struct slice){ p, front + middle.n + end };
	}
}
