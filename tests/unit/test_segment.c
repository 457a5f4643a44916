/* Segments: seal, take apart, verify, inflate; every cut and every changed byte is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/change.h"
#include "core/limits.h"
#include "core/segment.h"
#include "wire_sample.h"

static void raw_of(const struct sample *s, struct buf *raw)
{
	if (s->payload != NULL)
		assert_int_equal(payload_encode(s->payload, raw, NULL), 0);
	else
		buf_put(raw, s->body.p, s->body.n);
}

static void seal(struct sample *s, struct buf *ret)
{
	_cleanup_(buf_release) struct buf raw = { 0 };
	struct sign_key key;
	struct err err = { 0 };

	sample_key(&key);
	raw_of(s, &raw);
	if (segment_seal(&s->header, buf_slice(&raw), &key, ret, &err) != 0)
		fail_msg("%s", err.text);
}

static void assert_headers_equal(const struct segment_header *a, const struct segment_header *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_true(a->author == b->author && a->epoch == b->epoch && a->tick == b->tick);
	assert_true(a->stream == b->stream && a->position == b->position && a->policy == b->policy);
	assert_true(a->wall_ms == b->wall_ms && a->changes == b->changes && a->final == b->final);
	assert_true(a->codec == b->codec && a->dictionary == b->dictionary && a->stored == b->stored && a->raw == b->raw);
	if (a->kind == SEGMENT_STATE)
		assert_true(a->follows == b->follows);
	else
		assert_true(digest_equal(&a->previous, &b->previous));
	assert_int_equal(a->continues, b->continues);
	assert_true(!a->continues || (mark_equal(a->continues_mark, b->continues_mark) &&
	                              a->continues_position == b->continues_position));
	assert_int_equal(a->npolicies, b->npolicies);
	assert_int_equal(a->nlists ? a->nlists : a->npolicies > 0, b->nlists);
	for (uint32_t i = 0; i < a->npolicies; i++)
		assert_true(a->policies[i].issuer == b->policies[i].issuer && a->policies[i].version == b->policies[i].version);
}

static void test_round_trips(void **state)
{
	struct sign_key key;

	(void)state;
	sample_key(&key);
	for (uint32_t i = 0; i < sample_count(); i++) {
		_cleanup_(arena_release) struct arena a = { 0 };
		_cleanup_(buf_release) struct buf sealed = { 0 };
		_cleanup_(buf_release) struct buf raw = { 0 };
		_cleanup_(buf_release) struct buf back = { 0 };
		struct sample *s = sample_named(&a, i);
		struct segment parsed;
		struct err err = { 0 };
		size_t n;

		seal(s, &sealed);
		raw_of(s, &raw);
		assert_int_equal(segment_length(buf_slice(&sealed), &n, &err), 0);
		assert_int_equal(n, sealed.n);
		if (segment_parse(buf_slice(&sealed), &a, &parsed, &err) != 0)
			fail_msg("%s", err.text);
		assert_headers_equal(&s->header, &parsed.header);
		assert_int_equal(segment_verify(&parsed, key.public_key, &err), 0);
		assert_int_equal(segment_inflate(&parsed, &back, &err), 0);
		assert_true(slice_equal(buf_slice(&raw), buf_slice(&back)));
	}
}

/* P6: one committed change. */
static void test_one_change_is_small(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf sealed = { 0 };
	struct sample *s = sample_named(&a, 0);
	struct segment parsed;

	(void)state;
	seal(s, &sealed);
	assert_int_equal(segment_parse(buf_slice(&sealed), &a, &parsed, NULL), 0);
	assert_int_equal(parsed.header.codec, CODEC_DICTIONARY);
	assert_true(parsed.signed_head.n <= LIMIT_HEADER_FIXED);
	assert_true(sealed.n <= 220);
}

/* The greatest of everything still fits the fixed header; one more is refused. */
static void test_header_bounds(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf sealed = { 0 };
	struct sample *s = sample_named(&a, 0);
	struct sign_key key;
	struct segment parsed;
	struct err err;

	(void)state;
	sample_key(&key);
	s->header.author = UINT64_C(999999999999);
	s->header.tick = LIMIT_TICK - 1;
	s->header.position = LIMIT_TICK - 1;
	s->header.wall_ms = -(INT64_C(1) << 53) + 1;
	s->header.changes = UINT32_MAX;
	s->header.stream = LEVELS - 1;
	seal(s, &sealed);
	assert_int_equal(segment_parse(buf_slice(&sealed), &a, &parsed, NULL), 0);
	assert_true(parsed.signed_head.n <= LIMIT_HEADER_FIXED);
	s->header.position = LIMIT_TICK;
	assert_int_equal(segment_seal(&s->header, slice_of("x"), &key, &sealed, &err), ERR_FORMAT);
	s->header.position = 1;
	s->header.stream = LEVELS;
	assert_int_equal(segment_seal(&s->header, slice_of("x"), &key, &sealed, &err), ERR_FORMAT);
}

static void test_length_wants_more(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf sealed = { 0 };
	struct segment parsed;
	struct err err;
	size_t n;

	(void)state;
	seal(sample_named(&a, 1), &sealed);
	assert_int_equal(segment_parse(buf_slice(&sealed), &a, &parsed, NULL), 0);
	for (size_t i = 0; i <= parsed.signed_head.n + 2; i++) {
		bool known = i >= (size_t)(parsed.signed_head.p - sealed.p) + parsed.signed_head.n;

		assert_int_equal(segment_length((struct slice){ sealed.p, i }, &n, &err), 0);
		assert_int_equal(n, known ? sealed.n : 0);
	}
	assert_int_equal(segment_length((struct slice){ (const uint8_t *)"\xff\xff\x03", 3 }, &n, &err), ERR_LIMIT);
	assert_int_equal(segment_length((struct slice){ (const uint8_t *)"\x80\x00", 2 }, &n, &err), ERR_FORMAT);
	assert_int_equal(segment_length((struct slice){ (const uint8_t *)"\x00", 1 }, &n, &err), ERR_FORMAT);
}

/* What a receiver does, on a copy of exactly that size; 0 only where all of it went through. */
static int receive(const uint8_t *p, size_t n, const uint8_t *public_key)
{
	_cleanup_(arena_release) struct arena a = { .cap = 8u << 20 };
	_cleanup_(buf_release) struct buf raw = { 0 };
	_cleanup_(free_pointer) uint8_t *copy = malloc(n + !n);
	struct segment s;
	struct payload payload;
	struct err err = { 0 };
	int rc, unchecked;

	if (n > 0)
		memcpy(copy, p, n);
	rc = segment_parse((struct slice){ copy, n }, &a, &s, &err);
	if (rc != 0) {
		assert_true(err.text[0] != '\0');
		return rc;
	}
	rc = segment_verify(&s, public_key, &err);
	/* go on all the same: a signed segment may be malformed too */
	unchecked = segment_inflate(&s, &raw, &err);
	if (unchecked == 0 && s.header.kind <= SEGMENT_STATE)
		unchecked = payload_decode(buf_slice(&raw), &a, &payload, &err);
	return rc != 0 ? rc : unchecked;
}

static void test_damage(void **state)
{
	struct sign_key key, other;

	(void)state;
	sample_key(&key);
	sign_key_new(&other);
	for (uint32_t i = 0; i < sample_count(); i++) {
		_cleanup_(arena_release) struct arena a = { 0 };
		_cleanup_(buf_release) struct buf sealed = { 0 };

		seal(sample_named(&a, i), &sealed);
		assert_int_equal(receive(sealed.p, sealed.n, key.public_key), 0);
		assert_int_equal(receive(sealed.p, sealed.n, other.public_key), ERR_SIGNATURE);
		for (size_t n = 0; n < sealed.n; n++) {
			assert_int_not_equal(receive(sealed.p, n, key.public_key), 0);
			sealed.p[n] ^= (uint8_t)(1u << n % 8);
			assert_int_not_equal(receive(sealed.p, sealed.n, key.public_key), 0);
			sealed.p[n] ^= (uint8_t)(1u << n % 8);
		}
		buf_put_u8(&sealed, 0);
		assert_int_equal(receive(sealed.p, sealed.n, key.public_key), ERR_FORMAT);
	}
}

static void refused_extension(const uint8_t *p, size_t n)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf sealed = { 0 };
	struct sample *s = sample_named(&a, 5);
	struct sign_key key;

	sample_key(&key);
	s->header.extensions = (struct slice){ p, n };
	assert_int_equal(segment_seal(&s->header, s->body, &key, &sealed, NULL), ERR_FORMAT);
}

static void test_extensions(void **state)
{
	static const uint8_t odd[] = { 5, 0 }, descending[] = { 6, 0, 4, 0 }, twice[] = { 6, 0, 6, 0 }, cut[] = { 6, 1 };
	static const uint8_t list_descends[] = { 3, 5, 2, 9, 1, 8, 1 }, list_long[] = { 3, 4, 1, 9, 1, 0 };
	static const uint8_t continues_short[] = { 1, 1, 5 };

	(void)state;
	refused_extension(odd, sizeof odd);
	refused_extension(descending, sizeof descending);
	refused_extension(twice, sizeof twice);
	refused_extension(cut, sizeof cut);
	refused_extension(list_descends, sizeof list_descends);
	refused_extension(list_long, sizeof list_long);
	refused_extension(continues_short, sizeof continues_short);
}

static void test_names(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf b = { 0 };

	(void)state;
	segment_name(&sample_named(&a, 0)->header, &b);
	assert_string_equal(buf_text(&b), "delta 620702100201/county #731");
	buf_clear(&b);
	segment_name(&sample_named(&a, 3)->header, &b);
	assert_string_equal(buf_text(&b), "state 620702000000 for 620702100201 #90");
	assert_string_equal(segment_kind_text(SEGMENT_REVOKE), "revoke");
	assert_string_equal(segment_kind_text(77), "unknown");
}

static int start(void **state)
{
	(void)state;
	return sign_init(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips), cmocka_unit_test(test_one_change_is_small),
		cmocka_unit_test(test_header_bounds), cmocka_unit_test(test_length_wants_more), cmocka_unit_test(test_damage),
		cmocka_unit_test(test_extensions), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
