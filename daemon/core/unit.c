/* Unit: twelve digits as one number.  Fields PP CC DD TTT VVV end at the powers of ten below, so the ancestor at a
 * level is the number with its lower digits taken off. */
#include <string.h>

#include "base/text.h"
#include "core/unit.h"

#define UNIT_DIGITS 12

static const uint64_t below[LEVELS] = {          /* what a unit of that level counts in */
	UINT64_C(10000000000), UINT64_C(100000000), UINT64_C(1000000), UINT64_C(1000), UINT64_C(1),
};

/* A text that may be shown in a sentence: cut at 24 bytes, at the edge of a character. */
static struct slice shown(struct slice text)
{
	size_t n = MIN(text.n, 24u);

	if (!utf8_valid(text))
		return slice_of("(not UTF-8)");
	while (n < text.n && (text.p[n] & 0xc0) == 0x80)
		n--;
	return (struct slice){ text.p, n };
}

static int bad(struct slice text, const char *why, struct err *err)
{
	struct slice s = shown(text);

	return err_set(err, ERR_FORMAT, "unit \"%.*s\": %s", (int)s.n, s.n ? (const char *)s.p : "", why);
}

int unit_parse(struct slice text, uint64_t *ret, struct err *err)
{
	uint64_t unit = 0;

	if (text.n != UNIT_DIGITS)
		return bad(text, "a division code has exactly twelve digits, as 620702100000", err);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return bad(text, "a division code has digits only, as 620702100000", err);
		unit = unit * 10 + (text.p[i] - '0');
	}
	if (unit < below[PROVINCE])
		return bad(text, "the first two digits name the province and are not 00", err);
	*ret = unit;
	return 0;
}

char *unit_text(uint64_t unit, char ret[UNIT_TEXT_SIZE])
{
	for (int i = UNIT_DIGITS; i-- > 0; unit /= 10)
		ret[i] = (char)('0' + unit % 10);
	ret[UNIT_DIGITS] = '\0';
	return ret;
}

/* Asked for every mark: constants, which compilers turn into multiplications, and the commonest answer first. */
enum level unit_level(uint64_t unit)
{
	if (unit % 1000 != 0)
		return VILLAGE;
	if (unit % 1000000 != 0)
		return TOWNSHIP;
	if (unit % 100000000 != 0)
		return COUNTY;
	return unit % 10000000000 != 0 ? PREFECTURE : PROVINCE;
}

bool unit_contains(uint64_t scope, uint64_t unit)
{
	uint64_t size = below[unit_level(scope)];

	return scope / size == unit / size;
}

uint64_t unit_at(uint64_t unit, enum level level)
{
	return unit - unit % below[level];
}

uint64_t unit_last(uint64_t scope)
{
	return scope + below[unit_level(scope)] - 1;
}

uint64_t unit_common(uint64_t a, uint64_t b)
{
	for (int level = VILLAGE; level >= PROVINCE; level--)
		if (a / below[level] == b / below[level])
			return a - a % below[level];
	return UNIT_NONE;
}

static const struct {
	const char *name, *zh;
} names[LEVELS] = {
	{ "province", "省" }, { "prefecture", "市" }, { "county", "县" }, { "township", "乡镇" }, { "village", "村" },
};

const char *level_name(enum level level)
{
	return level < LEVELS ? names[level].name : "unknown";
}

const char *level_name_zh(enum level level)
{
	return level < LEVELS ? names[level].zh : "未知";
}

int level_parse(const char *name, enum level *ret)
{
	for (enum level level = PROVINCE; level < LEVELS; level++)
		if (strcmp(name, names[level].name) == 0) {
			*ret = level;
			return 0;
		}
	return -1;
}
