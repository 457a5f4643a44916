/* Units: codes, levels, scopes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/unit.h"

static const uint64_t gansu = 620000000000, zhangye = 620700000000, ganzhou = 620702000000, town = 620702100000,
	village = 620702100001, dongguan = 441900000000, direct_town = 441900003000;

static void test_parse(void **state)
{
	static const char *const bad[] = {
		"", "62070210000", "6207021000000", "62070210000a", "62070210000 ", "-62070210000", "000000000000",
		"007021000000", "６２０７０２１０００００", "62070210\xff\xff\xff\xff",
	};
	char text[UNIT_TEXT_SIZE];
	struct err err;
	uint64_t unit = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct err){0};
		assert_int_equal(unit_parse(slice_of(bad[i]), &unit, &err), ERR_FORMAT);
		assert_true(strlen(err.text) > 0);
		assert_int_equal(unit, 7);               /* untouched */
	}
	assert_non_null(strstr(err.text, "(not UTF-8)"));
	assert_int_equal(unit_parse(slice_of("二十四个汉字会在字符边界被截断"), &unit, &err), ERR_FORMAT);
	assert_non_null(strstr(err.text, "\"二十四个汉字会在\""));
	assert_int_equal(unit_parse((struct slice){ NULL, 0 }, &unit, &err), ERR_FORMAT);
	assert_int_equal(unit_parse(slice_of("620702100001"), &unit, NULL), 0);
	assert_int_equal(unit, village);
	assert_string_equal(unit_text(unit, text), "620702100001");
	assert_string_equal(unit_text(UINT64_C(10000000000), text), "010000000000");
	assert_string_equal(unit_text(UNIT_NONE, text), "000000000000");
}

static void test_level(void **state)
{
	enum level level = VILLAGE;

	(void)state;
	assert_int_equal(unit_level(gansu), PROVINCE);
	assert_int_equal(unit_level(zhangye), PREFECTURE);
	assert_int_equal(unit_level(ganzhou), COUNTY);
	assert_int_equal(unit_level(town), TOWNSHIP);
	assert_int_equal(unit_level(village), VILLAGE);
	assert_int_equal(unit_level(direct_town), TOWNSHIP);     /* directly under a prefecture */
	assert_int_equal(unit_level(620702000001), VILLAGE);     /* a village directly under a county */
	assert_int_equal(unit_level(623000000000), PREFECTURE);
	for (enum level l = PROVINCE; l < LEVELS; l++) {
		assert_int_equal(level_parse(level_name(l), &level), 0);
		assert_int_equal(level, l);
		assert_true(strlen(level_name_zh(l)) >= 3);
	}
	assert_int_equal(level_parse("city", &level), -1);
	assert_int_equal(level_parse("", &level), -1);
	assert_string_equal(level_name(LEVELS), "unknown");
	assert_string_equal(level_name_zh(TOWNSHIP), "乡镇");
}

static void test_contains(void **state)
{
	static const uint64_t path[] = { 620000000000, 620700000000, 620702000000, 620702100000, 620702100001 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(path); i++)
		for (size_t j = 0; j < ARRAY_SIZE(path); j++)
			assert_int_equal(unit_contains(path[i], path[j]), i <= j);
	assert_true(unit_contains(dongguan, direct_town));
	assert_false(unit_contains(direct_town, dongguan));
	assert_false(unit_contains(town, 620702101001));
	assert_false(unit_contains(ganzhou, 620703100001));
	assert_false(unit_contains(UNIT_NONE, village));
}

static void test_ancestors(void **state)
{
	(void)state;
	assert_int_equal(unit_at(village, PROVINCE), gansu);
	assert_int_equal(unit_at(village, PREFECTURE), zhangye);
	assert_int_equal(unit_at(village, COUNTY), ganzhou);
	assert_int_equal(unit_at(village, TOWNSHIP), town);
	assert_int_equal(unit_at(village, VILLAGE), village);
	assert_int_equal(unit_at(ganzhou, VILLAGE), ganzhou);
	assert_int_equal(unit_at(direct_town, COUNTY), dongguan);
	assert_int_equal(unit_common(village, 620702100002), town);
	assert_int_equal(unit_common(village, 620702101001), ganzhou);
	assert_int_equal(unit_common(village, 620703100001), zhangye);
	assert_int_equal(unit_common(village, 623000000000), gansu);
	assert_int_equal(unit_common(village, village), village);
	assert_int_equal(unit_common(village, ganzhou), ganzhou);
	assert_int_equal(unit_common(ganzhou, village), ganzhou);
	assert_int_equal(unit_common(direct_town, 441900004001), dongguan);
	assert_int_equal(unit_common(direct_town, dongguan), dongguan);
	assert_int_equal(unit_common(village, direct_town), UNIT_NONE);
}

/* On random codes with many zero fields: a scope is what has it as ancestor, the common one contains both. */
static void test_random(void **state)
{
	static const uint64_t field[LEVELS] = {
		UINT64_C(10000000000), UINT64_C(100000000), UINT64_C(1000000), UINT64_C(1000), UINT64_C(1),
	};
	uint64_t seed = 1, unit[2];

	(void)state;
	for (int n = 0; n < 200000; n++) {
		for (int i = 0; i < 2; i++) {
			unit[i] = field[0];
			for (int l = 1; l < LEVELS; l++) {
				seed = seed * 6364136223846793005u + 1442695040888963407u;
				unit[i] += (seed >> 60) % 3 * field[l];
			}
		}
		uint64_t common = unit_common(unit[0], unit[1]);
		assert_true(unit_contains(common, unit[0]) && unit_contains(common, unit[1]));
		assert_int_equal(unit_contains(unit[0], unit[1]), common == unit[0]);
		assert_int_equal(unit_contains(unit[0], unit[1]), unit_at(unit[1], unit_level(unit[0])) == unit[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_ancestors),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
