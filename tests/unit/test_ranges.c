/* Ranges: the bytes of spans, and two sets that find all their differences and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "core/ranges.h"

#define MOST 4000u
#define OK(call) do { \
	struct err e_ = { 0 }, *e = &e_; \
	if ((call) != 0) \
		fail_msg("%s: %s", #call, e->text); \
} while (0)

struct row {
	char key[40];
	uint32_t n;                      /* its number, to sort by */
	struct term term;
	bool told;
};

struct set {
	uint32_t n;
	struct row at[MOST];
	uint32_t looked, budget;
};

static uint64_t seed = 1;

static uint64_t next(void)
{
	uint64_t z = seed += 0x9E3779B97F4A7C15u;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

static struct cell key_of(const struct row *r)
{
	return (struct cell){ .type = CELL_TEXT, .s = slice_of(r->key) };
}

static int each(void *arg, const struct cell *from, struct cell to, int (*fn)(void *fn_arg, struct cell key, const struct term *t),
                void *fn_arg, struct err *err)
{
	struct set *s = arg;
	int rc = 0;

	(void)err;
	for (uint32_t i = 0; i < s->n && rc == 0; i++) {
		struct cell key = key_of(&s->at[i]);

		if ((from != NULL && cell_compare(key, *from) < 0) || (to.type != CELL_NULL && cell_compare(key, to) >= 0))
			continue;
		s->looked++;
		rc = fn(fn_arg, key, &s->at[i].term);
	}
	return rc;
}

static bool over(void *arg)
{
	struct set *s = arg;

	return s->budget != 0 && s->looked > s->budget;
}

/* Rows number 0 to n − 1 in steps; `odd` of a thousand are otherwise in the second set: changed, missing, or more. */
static void sets_make(struct set *a, struct set *b, uint32_t n, uint32_t odd, uint32_t *ret_differences)
{
	memset(a, 0, sizeof *a);
	memset(b, 0, sizeof *b);
	*ret_differences = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct row r = { .n = i };
		bool differs = next() % 1000 < odd;
		int how = (int)(next() % 3);

		snprintf(r.key, sizeof r.key, "5329991012%02u%07u", i / 1000, i * 3);
		r.term = term_of(slice_of(r.key));
		*ret_differences += differs;
		if (!differs || how != 2)
			a->at[a->n++] = r;
		if (differs && how == 0)
			r.term.at[next() % RANGES_ID]++;
		if (!differs || how != 1)
			b->at[b->n++] = r;
	}
}

struct learned {
	struct set *a, *b;
	uint32_t mine, theirs;
};

static int mine(void *arg, struct cell key, struct err *err)
{
	struct learned *l = arg;

	(void)err;
	for (uint32_t i = 0; i < l->a->n; i++)
		if (slice_equal(slice_of(l->a->at[i].key), key.s)) {
			assert_false(l->a->at[i].told);
			l->a->at[i].told = true;
			l->mine++;
			return 0;
		}
	fail_msg("a row that is not there");
	return 0;
}

static int theirs(void *arg, const struct cell *from, struct cell to, struct slice ids, struct err *err)
{
	struct learned *l = arg;

	(void)err;
	for (size_t k = 0; k < ids.n / RANGES_ID; k++) {
		bool found = false;

		for (uint32_t i = 0; i < l->b->n && !found; i++) {
			struct row *r = &l->b->at[i];
			struct cell key = key_of(r);

			if (r->told || memcmp(r->term.at, ids.p + k * RANGES_ID, RANGES_ID) != 0 ||
			    (from != NULL && cell_compare(key, *from) < 0) || (to.type != CELL_NULL && cell_compare(key, to) >= 0))
				continue;
			found = r->told = true;
			l->theirs++;
		}
		assert_true(found);
	}
	return 0;
}

/* Through the bytes, as on the wire. */
static size_t carry(const struct spans *s, struct arena *a, struct spans *ret)
{
	struct buf b = { 0 };
	struct slice bytes;
	struct reader r;

	spans_put(&b, s);
	bytes = arena_slice(a, buf_slice(&b));
	buf_release(&b);
	r = reader_of(bytes);
	spans_get(&r, a, ret);
	assert_true(reader_done(&r));
	assert_int_equal(ret->n, s->n);
	return bytes.n;
}

static uint32_t reconcile(struct set *a, struct set *b, size_t most, size_t *ret_bytes)
{
	struct ranges_rows left = { each, over, a }, right = { each, over, b };
	struct learned l = { a, b, 0, 0 };
	const struct ranges_found found = { mine, theirs, &l };
	struct cell at = { .type = CELL_NULL };
	struct spans answer = { 0 };
	struct arena kept = { 0 };
	bool done = false;
	uint32_t rounds = 0, from = 0;

	*ret_bytes = 0;
	for (; !done || answer.n > from; rounds++) {
		struct arena arena = { 0 };
		struct spans ask = { .arena = &arena, .name = slice_of("r") }, heard, said = { .arena = &arena, .name = slice_of("r") };

		if (rounds > 2000)
			fail_msg("never ends");
		a->looked = b->looked = 0;
		OK(ranges_go_on(&answer, &from, &left, &found, most, &ask, e));
		if (from == answer.n && !done)
			OK(ranges_begin(&left, MAX(a->n / RANGES_WAYS, 16), &at, most, &ask, &done, e));
		at = cell_copy(&arena, at);
		if (ask.n == 0 && from == answer.n && done) {
			arena_release(&arena);
			break;
		}
		*ret_bytes += carry(&ask, &arena, &heard);
		OK(ranges_answer(&heard, &right, most, &said, e));
		if (from < answer.n)
			fail_msg("the test takes an answer whole");
		*ret_bytes += carry(&said, &arena, &answer);
		from = 0;
		arena_release(&kept);
		kept = arena;
	}
	arena_release(&kept);
	for (uint32_t i = 0; i < a->n; i++)
		for (uint32_t k = 0; k < b->n; k++)
			if (a->at[i].n == b->at[k].n) {
				bool same = term_equal(&a->at[i].term, &b->at[k].term);

				assert_int_equal(a->at[i].told, !same);
				assert_int_equal(b->at[k].told, !same);
			}
	return rounds;
}

static uint32_t differing(const struct set *a, const struct set *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->n; i++)
		n += a->at[i].told;
	for (uint32_t i = 0; i < b->n; i++) {
		bool both = false;

		for (uint32_t k = 0; k < a->n && !both; k++)
			both = a->at[k].n == b->at[i].n;
		n += b->at[i].told && !both;
	}
	return n;
}

static void test_sets(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 5, 33, 200, 1500 }, odds[] = { 0, 1, 30, 500, 1000 };
	struct set *a = malloc(sizeof *a), *b = malloc(sizeof *b);
	uint32_t differences;
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t k = 0; k < ARRAY_SIZE(odds); k++)
			for (int round = 0; round < 3; round++) {
				sets_make(a, b, sizes[i], odds[k], &differences);
				reconcile(a, b, LIMIT_RECONCILE_CUT, &bytes);
				assert_int_equal(differing(a, b), differences);
			}
	free(a);
	free(b);
}

/* One side has nothing; there is little time for each answer: it takes more rounds and finds the same. */
static void test_uneven(void **state)
{
	struct set *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b), *none = calloc(1, sizeof *none);
	uint32_t differences, quick, slow;
	size_t bytes;

	(void)state;
	sets_make(a, b, 2500, 0, &differences);
	reconcile(none, b, LIMIT_RECONCILE_CUT, &bytes);
	assert_int_equal(differing(none, b), 2500);
	reconcile(a, none, LIMIT_RECONCILE_CUT, &bytes);
	assert_int_equal(differing(a, none), 2500);
	sets_make(a, b, 2500, 20, &differences);
	quick = reconcile(a, b, LIMIT_RECONCILE_CUT, &bytes);
	assert_int_equal(differing(a, b), differences);
	sets_make(a, b, 2500, 20, &differences);
	b->budget = 300;
	slow = reconcile(a, b, LIMIT_RECONCILE_CUT, &bytes);
	assert_int_equal(differing(a, b), differences);
	assert_true(slow > quick);
	free(a);
	free(b);
	free(none);
}

static void test_bytes(void **state)
{
	struct set *a = malloc(sizeof *a), *b = malloc(sizeof *b);
	uint32_t differences;
	size_t bytes;

	(void)state;
	sets_make(a, b, MOST, 0, &differences);
	assert_int_equal(reconcile(a, b, LIMIT_RECONCILE_CUT, &bytes), 1);
	assert_true(bytes < 400);
	b->at[1234].term.at[0]++;
	reconcile(a, b, LIMIT_RECONCILE_CUT, &bytes);
	assert_int_equal(differing(a, b), 1);
	assert_true(bytes < 1000);
	free(a);
	free(b);
}

static void test_form(void **state)
{
	static const uint64_t units[] = { UINT64_C(532999101201), UINT64_C(532999101202) };
	static const uint8_t ids[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	struct span at[] = {
		{ .to = { .type = CELL_TEXT, .s = slice_of("532999101201") }, .mode = SPAN_SUM, .sum = { 1, 2, 3, 4, 5, 6 } },
		{ .to = { .type = CELL_TEXT, .s = slice_of("5329992") }, .mode = SPAN_SKIP },
		{ .to = { .type = CELL_TEXT, .s = slice_of("6") }, .mode = SPAN_WANT },
		{ .to = { .type = CELL_NULL }, .mode = SPAN_IDS, .ids = { ids, sizeof ids } },
	};
	const struct spans s = { .name = slice_of("household"), .nunits = 2, .units = units, .n = 4, .at = at };
	_cleanup_(buf_release) struct buf b = { 0 }, hex = { 0 };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct spans back;
	struct reader r;

	(void)state;
	spans_put(&b, &s);
	hex_put(&hex, buf_slice(&b));
	assert_string_equal(buf_text(&hex),
	                    "09686f757365686f6c640291b6e3c9c10f0104" "0103000c353332393939313031323031" "010203040506"
	                    "0003060132" "0403000136" "02000201" "0203040506" "0708090a");
	r = reader_of(buf_slice(&b));
	spans_get(&r, &a, &back);
	assert_true(reader_done(&r));
	assert_int_equal(back.n, 4);
	assert_int_equal(back.nunits, 2);
	assert_true(back.units[1] == units[1]);
	assert_true(cell_equal(back.at[1].to, at[1].to));
	for (size_t n = 0; n < b.n; n++) {       /* cut anywhere it is malformed */
		r = reader_of((struct slice){ b.p, n });
		spans_get(&r, &a, &back);
		assert_false(reader_done(&r));
	}
	at[1].to.s = slice_of("4");              /* bounds that do not rise */
	buf_clear(&b);
	spans_put(&b, &s);
	r = reader_of(buf_slice(&b));
	spans_get(&r, &a, &back);
	assert_true(r.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets), cmocka_unit_test(test_uneven), cmocka_unit_test(test_bytes), cmocka_unit_test(test_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
