/* The document of a revocation: its bytes, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/text.h"
#include "core/revoke.h"

/* Unit 620702100001, key of thirty-two 0x11, two serials, epoch 7, streams 0 (position 5) and 2 (position 300). */
static const char vector[] =
	"01" "a1d4e9a58812"
	"1111111111111111111111111111111111111111111111111111111111111111"
	"02" "04" "34306161" "04" "34306262"
	"07000000"
	"02"
	"00" "05" "2222222222222222222222222222222222222222222222222222222222222222"
	"02" "ac02" "3333333333333333333333333333333333333333333333333333333333333333"
	"06" "e5a4b1e7aa83";

static struct revoke sample(void)
{
	struct revoke v = { .unit = UINT64_C(620702100001), .nserials = 2, .epoch = 7, .nstreams = 2, .reason = slice_of("失窃") };

	memset(v.sign_public, 0x11, sizeof v.sign_public);
	v.serial[0] = slice_of("40aa");
	v.serial[1] = slice_of("40bb");
	v.stream[0] = (struct revoke_stream){ .number = 0, .position = 5 };
	v.stream[1] = (struct revoke_stream){ .number = 2, .position = 300 };
	memset(v.stream[0].hash.at, 0x22, DIGEST_SIZE);
	memset(v.stream[1].hash.at, 0x33, DIGEST_SIZE);
	return v;
}

static void test_bytes(void **state)
{
	_cleanup_(buf_release) struct buf b = { 0 }, hex = { 0 };
	struct revoke v = sample(), back;

	(void)state;
	revoke_put(&v, &b);
	hex_put(&hex, buf_slice(&b));
	assert_string_equal(buf_text(&hex), vector);
	assert_int_equal(revoke_get(buf_slice(&b), &back, NULL), 0);
	assert_true(back.unit == v.unit && back.epoch == 7 && back.nserials == 2 && back.nstreams == 2);
	assert_true(slice_equal(back.serial[1], v.serial[1]) && slice_equal(back.reason, v.reason));
	assert_int_equal(back.stream[1].position, 300);
	assert_memory_equal(back.stream[1].hash.at, v.stream[1].hash.at, DIGEST_SIZE);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(revoke_get((struct slice){ b.p, n }, &back, NULL), ERR_FORMAT);
	buf_put_u8(&b, 0);
	assert_int_equal(revoke_get(buf_slice(&b), &back, NULL), ERR_FORMAT);
}

static void refused(const struct revoke *v, int line)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct revoke back;

	revoke_put(v, &b);
	if (revoke_get(buf_slice(&b), &back, NULL) != ERR_FORMAT)
		fail_msg("line %d: taken", line);
}

#define REFUSED(change) do { struct revoke v = sample(); change; refused(&v, __LINE__); } while (0)

static void test_refused(void **state)
{
	char reason[REVOKE_REASON + 2];

	(void)state;
	memset(reason, 'a', sizeof reason - 1);
	reason[sizeof reason - 1] = '\0';
	REFUSED(v.unit = UNIT_NONE);
	REFUSED(v.nserials = 0);
	REFUSED(v.serial[1] = slice_of("40aa"));         /* twice */
	REFUSED(v.serial[0] = slice_of("40cc"));         /* not ascending */
	REFUSED(v.serial[1] = slice_of("40BB"));
	REFUSED(v.serial[1] = slice_of("40b"));
	REFUSED(v.serial[0] = slice_of(""));
	REFUSED(v.stream[1].number = 0);
	REFUSED(v.stream[1].number = LEVELS);
	REFUSED(v.stream[0].position = 0);
	REFUSED(v.epoch = 0);
	REFUSED(v.reason = slice_of(reason));
	REFUSED(v.reason = slice_of("\xff"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_bytes), cmocka_unit_test(test_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
