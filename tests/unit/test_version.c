/* Versions: Order, Seen, Open, Join, Bounds, and every byte of the encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/version.h"

static const uint64_t county = 620702000000, town = 620702100000, village = 620702100001, village2 = 620702100002;

/* A disk that sealed until tick 3 in epoch 1, until 5 in 2 (restored from 2 at 5: 3), and goes on in 4. */
static bool former(void *arg, uint32_t epoch, struct mark *ret)
{
	static const struct mark left[] = { [2] = { 3, 1 }, [3] = { 5, 2 }, [4] = { 9, 3 } };
	int *asked = arg;

	if (asked)
		++*asked;
	if (epoch < 2 || epoch > 4)
		return false;
	*ret = left[epoch];
	return true;
}

static const struct epochs epochs = { former, NULL };

static struct mark mark(uint64_t tick, uint32_t epoch)
{
	return (struct mark){ tick, epoch };
}

static struct version version(uint64_t unit, struct mark at_county, struct mark at_town, struct mark at_village)
{
	return (struct version){ .unit = unit, .marks = { .at = { [COUNTY] = at_county, [TOWNSHIP] = at_town, [VILLAGE] = at_village } } };
}

static const struct mark zero;

static void test_order(void **state)
{
	struct version v = version(village, mark(1, 7), zero, mark(5, 8)), w;

	(void)state;
	assert_int_equal(version_order(&v, &v), 0);
	/* The superior's that has taken the same into account is greater, whatever the village's ticks. */
	w = version(town, mark(1, 7), mark(1, 9), zero);
	assert_true(version_order(&w, &v) > 0);
	assert_true(version_order(&v, &w) < 0);
	/* One that knows a newer word from further up beats one that does not. */
	v = version(village, mark(2, 7), zero, mark(1, 8));
	assert_true(version_order(&v, &w) > 0);
	/* At one level by tick, then epoch, then unit. */
	v = version(village, zero, zero, mark(2, 8));
	w = version(village2, zero, zero, mark(1, 9));
	assert_true(version_order(&v, &w) > 0);
	w = version(village2, zero, zero, mark(2, 7));
	assert_true(version_order(&v, &w) > 0);
	w = version(village2, zero, zero, mark(2, 8));
	assert_true(version_order(&v, &w) < 0);
	assert_int_equal(marks_compare(&v.marks, &w.marks), 0);
	assert_true(mark_compare(mark(1, UINT32_MAX), mark(2, 0)) < 0);
	assert_true(mark_compare(mark(2, 1), mark(2, UINT32_MAX)) < 0);
}

static void test_mark_seen(void **state)
{
	int asked = 0;
	struct epochs counting = { former, &asked };

	(void)state;
	assert_true(mark_seen(zero, zero, NULL));                /* nothing is always seen */
	assert_true(mark_seen(mark(5, 2), mark(5, 2), NULL));
	assert_true(mark_seen(mark(4, 2), mark(5, 2), NULL));
	assert_false(mark_seen(mark(6, 2), mark(5, 2), NULL));
	assert_false(mark_seen(mark(1, 1), mark(5, 2), NULL));   /* another epoch, nothing known of it */
	assert_true(mark_seen(mark(3, 1), mark(5, 2), &epochs));
	assert_false(mark_seen(mark(4, 1), mark(5, 2), &epochs));       /* sealed after the disk was copied */
	assert_true(mark_seen(mark(3, 1), mark(12, 4), &epochs));       /* three epochs on */
	assert_true(mark_seen(mark(5, 2), mark(12, 4), &epochs));
	assert_false(mark_seen(mark(6, 2), mark(12, 4), &epochs));
	assert_false(mark_seen(mark(5, 2), mark(3, 1), &epochs));       /* not the other way */
	assert_false(mark_seen(mark(9, 77), mark(12, 4), &epochs));     /* another unit's */
	assert_false(mark_seen(mark(1, 77), mark(12, 4), &epochs));
	/* What is later than where the epoch began is not looked for further back. */
	assert_false(mark_seen(mark(10, 77), mark(12, 4), &counting));
	assert_int_equal(asked, 1);
}

/* Two epochs that name each other come from a liar; the search ends. */
static bool circle(void *arg, uint32_t epoch, struct mark *ret)
{
	(void)arg;
	*ret = mark(9, epoch == 1 ? 2 : 1);
	return true;
}

static void test_circle(void **state)
{
	struct epochs round = { circle, NULL };

	(void)state;
	assert_false(mark_seen(mark(1, 77), mark(12, 1), &round));
}

static void test_version_seen(void **state)
{
	struct version v = version(village, zero, zero, mark(5, 8)), t;

	(void)state;
	t = version(town, zero, mark(1, 9), mark(5, 8));
	assert_true(version_seen(&t, &v, NULL));
	assert_false(version_seen(&v, &t, NULL));
	t.marks.at[VILLAGE] = mark(4, 8);
	assert_false(version_seen(&t, &v, NULL));
	t.base = version_ident(&v);
	assert_true(version_seen(&t, &v, NULL));                 /* its base */
	t.base.unit = village2;
	assert_false(version_seen(&t, &v, NULL));
	t.base = (struct ident){ village, mark(5, 7) };
	assert_false(version_seen(&t, &v, NULL));
}

static void test_open(void **state)
{
	struct version p = version(village, zero, zero, mark(5, 8)), d = version(town, zero, mark(1, 9), mark(4, 8));

	(void)state;
	assert_true(version_open(&p, NULL));
	assert_true(version_open(&p, &d));
	d.marks.at[VILLAGE] = mark(5, 8);
	assert_false(version_open(&p, &d));
	d.marks.at[VILLAGE] = mark(5, 7);
	assert_true(version_open(&p, &d));
	d.marks.at[VILLAGE] = mark(6, 1);                        /* by Order, not by Seen: another epoch closes too */
	assert_false(version_open(&p, &d));
}

static void test_join_and_raise(void **state)
{
	struct version a = version(county, mark(3, 1), mark(2, 5), zero), b = version(town, mark(2, 9), mark(2, 6), mark(7, 1));
	struct marks m = marks_join(&a.marks, &b.marks), r;

	(void)state;
	assert_true(mark_equal(m.at[COUNTY], mark(3, 1)));
	assert_true(mark_equal(m.at[TOWNSHIP], mark(2, 6)));
	assert_true(mark_equal(m.at[VILLAGE], mark(7, 1)));
	r = marks_raised(&m, TOWNSHIP, mark(1, 4));
	assert_true(mark_equal(r.at[TOWNSHIP], mark(3, 4)));     /* past the mark that stood there */
	r = marks_raised(&m, TOWNSHIP, mark(8, 4));
	assert_true(mark_equal(r.at[TOWNSHIP], mark(8, 4)));
	assert_true(mark_equal(r.at[COUNTY], mark(3, 1)) && mark_equal(r.at[VILLAGE], mark(7, 1)));
	assert_true(marks_compare(&r, &m) > 0);
}

static void test_bounds(void **state)
{
	struct marks met = { .at = { mark(1, 1), mark(2, 2), mark(3, 3), mark(4, 4), mark(5, 5) } }, m = met;

	(void)state;
	for (enum level l = PROVINCE; l < LEVELS; l++)
		assert_int_equal(marks_bad(&met, l, &met), MARK_GOOD);
	m.at[COUNTY].tick++;
	assert_int_equal(marks_bad(&m, PREFECTURE, &met), MARK_GOOD);
	assert_int_equal(marks_bad(&m, COUNTY, &met), MARK_ABOVE);
	assert_int_equal(marks_bad(&m, TOWNSHIP, &met), MARK_ABOVE);
	m = met;
	m.at[COUNTY].epoch++;
	assert_int_equal(marks_bad(&m, COUNTY, &met), MARK_ABOVE);
	m = met;
	m.at[VILLAGE].tick += LIMIT_TICK_JUMP;
	assert_int_equal(marks_bad(&m, COUNTY, &met), MARK_GOOD);
	m.at[VILLAGE].tick++;
	assert_int_equal(marks_bad(&m, COUNTY, &met), MARK_FAR);
}

/* ---- encoding */

static bool decodes(struct slice s, struct arena *a, struct version *ret)
{
	struct reader r = reader_of(s);

	version_get(&r, a, ret);
	return reader_done(&r);
}

#define BYTES(s) ((struct slice){ (const uint8_t *)(s), sizeof(s) - 1 })

/* 620702100001 = 0x9084ba6a21 as a varint */
#define VILLAGE_BYTES "\xa1\xd4\xe9\xa5\x88\x12"

static void test_bytes(void **state)
{
	static const char plain[] =
		"\x00" VILLAGE_BYTES "\x18" "\x03\x09\x00\x00\x00" "\xac\x02\x04\x03\x02\x01" "\x88\x77\x66\x55\x44\x33\x22\x11";
	static const char full[] =
		"\x3f" VILLAGE_BYTES "\x10" "\x02\x08\x00\x00\x00" "\x00\x00\x00\x00\x00\x00\x00\x00"
		VILLAGE_BYTES "\x01\x08\x00\x00\x00"             /* base */
		"\x10\x01\x08\x00\x00\x00"                       /* asserts */
		"\x06\xe7\x8e\x8b\xe4\xb8\x80"                   /* actor: 王一 */
		"\x02"                                           /* saw: two */
		"\x00\x03" "aid" VILLAGE_BYTES "\x01\x08\x00\x00\x00" "\x10\x01\x08\x00\x00\x00"
		"\x03\x02" "hh";
	struct version v = version(village, zero, mark(3, 9), mark(300, 0x01020304)), back;
	struct saw saw[2] = { { .group = "aid" }, { .group = "hh" } };
	_cleanup_(buf_release) struct buf b = {0};
	struct arena a = {0};

	(void)state;
	v.policy = UINT64_C(0x1122334455667788);
	version_put(&b, &v);
	assert_int_equal(b.n, sizeof(plain) - 1);
	assert_memory_equal(b.p, plain, b.n);
	v.vouched = true;                                        /* local: no bytes */
	buf_clear(&b);
	version_put(&b, &v);
	assert_memory_equal(b.p, plain, sizeof(plain) - 1);
	assert_true(decodes(buf_slice(&b), &a, &back));
	assert_false(back.vouched);
	assert_int_equal(version_order(&v, &back), 0);

	v = version(village, zero, zero, mark(2, 8));
	v.kind = PROPOSAL;
	v.ruling = v.acting = true;
	v.base = (struct ident){ village, mark(1, 8) };
	v.asserts.at[VILLAGE] = mark(1, 8);
	v.actor = slice_of("王一");
	saw[0].life = saw[1].life = v.base;
	saw[0].marks = saw[1].marks = v.asserts;
	v.saw = saw;
	v.nsaw = 2;
	buf_clear(&b);
	version_put(&b, &v);
	assert_int_equal(b.n, sizeof(full) - 1);
	assert_memory_equal(b.p, full, b.n);
	assert_true(decodes(buf_slice(&b), &a, &back));
	assert_true(back.kind == PROPOSAL && back.ruling && back.acting && back.nsaw == 2);
	assert_true(ident_equal(back.base, v.base) && marks_compare(&back.asserts, &v.asserts) == 0);
	assert_true(slice_equal(back.actor, v.actor));
	assert_true(ident_equal(back.saw[1].life, v.base) && marks_compare(&back.saw[1].marks, &v.asserts) == 0);
	assert_string_equal(back.saw[0].group, "aid");
	assert_string_equal(back.saw[1].group, "hh");
	for (size_t cut = 0; cut < b.n; cut++)
		assert_false(decodes((struct slice){ b.p, cut }, &a, &back));
	arena_release(&a);
}

#define POLICY "\0\0\0\0\0\0\0\0"
#define MARK8 "\x01\x08\0\0\0"
#define HEAD VILLAGE_BYTES "\x10" MARK8 POLICY

static void test_malformed(void **state)
{
	static const struct {
		struct slice bytes;
		const char *why;
	} bad[] = {
		{ BYTES("\x40" HEAD), "an unknown flag" },
		{ BYTES("\x80\x00" HEAD), "a longer flag" },
		{ BYTES("\x00" "\x00" "\x10" MARK8 POLICY), "no author" },
		{ BYTES("\x00" "\xff\xc7\xaf\xa0\x25" "\x10" MARK8 POLICY), "an author below 10^10" },
		{ BYTES("\x00" "\x80\xa0\x94\xa5\x8d\x1d" "\x01" MARK8 POLICY), "an author of thirteen digits" },
		{ BYTES("\x00" VILLAGE_BYTES "\x08" MARK8 POLICY), "no mark of its own" },
		{ BYTES("\x00" VILLAGE_BYTES "\x00" POLICY), "no mark" },
		{ BYTES("\x00" VILLAGE_BYTES "\x30" MARK8 MARK8 POLICY), "a sixth level" },
		{ BYTES("\x00" VILLAGE_BYTES "\x10" "\x00\x08\0\0\0" POLICY), "tick 0" },
		{ BYTES("\x00" VILLAGE_BYTES "\x10" "\x80\x80\x80\x80\x80\x80\x80\x10\x08\0\0\0" POLICY), "tick 2^53" },
		{ BYTES("\x00" VILLAGE_BYTES "\x10" "\x81\x00\x08\0\0\0" POLICY), "a longer tick" },
		{ BYTES("\x08" HEAD "\x00"), "a base that is none" },
		{ BYTES("\x08" HEAD "\x01" MARK8), "a base of no unit" },
		{ BYTES("\x08" HEAD VILLAGE_BYTES "\x00\x08\0\0\0"), "a base at tick 0" },
		{ BYTES("\x10" HEAD "\x00"), "an empty actor" },
		{ BYTES("\x10" HEAD "\x01\xff"), "an actor that is not UTF-8" },
		{ BYTES("\x20" HEAD "\x00"), "saw of nothing" },
		{ BYTES("\x20" HEAD "\x01" "\x00\x00" VILLAGE_BYTES MARK8 "\x10" MARK8), "no group" },
		{ BYTES("\x20" HEAD "\x01" "\x00\x02" "a\0" VILLAGE_BYTES MARK8 "\x10" MARK8), "NUL in a group" },
		{ BYTES("\x20" HEAD "\x01" "\x00\x01\xff" VILLAGE_BYTES MARK8 "\x10" MARK8), "a group that is not UTF-8" },
		{ BYTES("\x20" HEAD "\x01" "\x01\x01" "a" "\x10" MARK8), "the same life as nothing" },
		{ BYTES("\x20" HEAD "\x01" "\x00\x01" "a" "\x00" "\x10" MARK8), "no life" },
		{ BYTES("\x20" HEAD "\x01" "\x00\x01" "a" VILLAGE_BYTES MARK8 "\x00"), "no marks, not said to be the same" },
		{ BYTES("\x20" HEAD "\x01" "\x04\x01" "a" VILLAGE_BYTES MARK8 "\x10" MARK8), "an unknown bit of saw" },
		{ BYTES("\x20" HEAD "\x02" "\x00\x01" "a" VILLAGE_BYTES MARK8 "\x10" MARK8 "\x02\x01" "b" VILLAGE_BYTES MARK8),
		  "a life that is repeated" },
		{ BYTES("\x20" HEAD "\x02" "\x00\x01" "a" VILLAGE_BYTES MARK8 "\x10" MARK8 "\x01\x01" "b" "\x10" MARK8),
		  "marks that are repeated" },
	};
	struct arena a = {0};
	struct version v;

	(void)state;
	assert_true(decodes(BYTES("\x00" HEAD), &a, &v));
	assert_true(decodes(BYTES("\x02" HEAD "\x00"), &a, &v));         /* a ruling that asserts nothing */
	assert_true(decodes(BYTES("\x20" HEAD "\x01" "\x02\x01" "a" VILLAGE_BYTES MARK8), &a, &v));
	assert_true(decodes(BYTES("\x00" VILLAGE_BYTES "\x10" "\xff\xff\xff\xff\xff\xff\xff\x0f\x08\0\0\0" POLICY), &a, &v));
	assert_int_equal(v.marks.at[VILLAGE].tick, LIMIT_TICK - 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (decodes(bad[i].bytes, &a, &v))
			fail_msg("taken: %s", bad[i].why);
		assert_int_equal(v.unit, UNIT_NONE);                     /* nothing of it is used */
	}
	arena_release(&a);
}

/* The largest honest delete fits; past the cap it is refused; names are cut nowhere. */
static void test_many_saw(void **state)
{
	struct version v = version(village, mark(LIMIT_TICK - 1, 7), mark(LIMIT_TICK - 1, 7), mark(LIMIT_TICK - 1, 7)), back;
	struct saw saw[LIMIT_GROUPS + 1] = { { .group = "" } };
	_cleanup_(buf_release) struct buf b = {0};
	struct arena a = {0};

	(void)state;
	for (uint32_t i = 0; i <= LIMIT_GROUPS; i++) {
		saw[i].life = (struct ident){ village, mark(LIMIT_TICK - 1, 1) };
		saw[i].marks = v.marks;
		memset(saw[i].group, 'g', 56);
	}
	v.saw = saw;
	for (v.nsaw = 1; v.nsaw <= LIMIT_GROUPS + 1; v.nsaw++) {
		buf_clear(&b);
		version_put(&b, &v);
		assert_int_equal(decodes(buf_slice(&b), &a, &back), v.nsaw <= LIMIT_GROUPS);
	}
	v.nsaw = LIMIT_GROUPS;
	for (uint32_t i = 0; i < LIMIT_GROUPS; i++)
		memset(saw[i].group, 'g', 63);
	buf_clear(&b);
	version_put(&b, &v);
	assert_true(b.n > LIMIT_VERSION);
	assert_false(decodes(buf_slice(&b), &a, &back));
	v.nsaw = 1;
	buf_clear(&b);
	version_put(&b, &v);
	assert_true(decodes(buf_slice(&b), &a, &back));
	assert_int_equal(strlen(back.saw[0].group), 63);
	arena_release(&a);
}

static void test_idents(void **state)
{
	struct ident none = {0}, one = { village, mark(1, 8) }, back;
	struct marks m = { .at = { [PROVINCE] = mark(1, 2), [VILLAGE] = mark(3, 4) } }, again;
	_cleanup_(buf_release) struct buf b = {0};
	struct reader r;

	(void)state;
	ident_put(&b, &none);
	ident_put(&b, &one);
	marks_put(&b, &m);
	assert_int_equal(b.n, 1 + 6 + 5 + 1 + 5 + 5);
	r = reader_of(buf_slice(&b));
	ident_get(&r, &back);
	assert_true(ident_equal(back, none));
	ident_get(&r, &back);
	assert_true(ident_equal(back, one));
	marks_get(&r, &again);
	assert_true(reader_done(&r));
	assert_int_equal(marks_compare(&m, &again), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_mark_seen),
		cmocka_unit_test(test_circle),
		cmocka_unit_test(test_version_seen),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_join_and_raise),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_many_saw),
		cmocka_unit_test(test_idents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
