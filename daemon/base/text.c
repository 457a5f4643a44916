#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One character from p[0..n): its length and *ret_code, or 0 where it is not UTF-8 (overlong forms, surrogates and
 * numbers above U+10FFFF are not). */
static size_t decode_character(const uint8_t *p, size_t n, uint32_t *ret_code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (length == 0 || length > n)
		return 0;
	uint32_t code = length == 1 ? p[0] : p[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return length;
}

bool utf8_valid(struct slice s)
{
	uint32_t code;

	for (size_t i = 0, n; i < s.n; i += n) {
		n = decode_character(s.p + i, s.n - i, &code);
		if (n == 0)
			return false;
	}
	return true;
}

struct range {
	uint32_t first, last;
};

/* East Asian Wide and Fullwidth (Unicode TR 11), as coarse as a table of registers needs. */
static const struct range wide[] = {
	{ 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf }, { 0xa960, 0xa97f }, { 0xac00, 0xd7a3 },
	{ 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff01, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f },
	{ 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
};
static const struct range without_width[] = {
	{ 0, 0x1f }, { 0x7f, 0x9f }, { 0x300, 0x36f }, { 0x200b, 0x200f }, { 0xfe00, 0xfe0f },
};

static bool in_ranges(uint32_t code, const struct range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

size_t utf8_width(const char *s)
{
	struct slice text = slice_of(s);
	size_t width = 0;

	for (size_t i = 0, n; i < text.n; i += n) {
		uint32_t code;
		n = decode_character(text.p + i, text.n - i, &code);
		if (n == 0) {
			n = 1;
			width++;
		} else if (!in_ranges(code, without_width, ARRAY_SIZE(without_width))) {
			width += in_ranges(code, wide, ARRAY_SIZE(wide)) ? 2 : 1;
		}
	}
	return width;
}

void hex_put(struct buf *b, struct slice s)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *to = s.n <= SIZE_MAX / 2 ? buf_reserve(b, s.n * 2) : NULL;

	for (size_t i = 0; to && i < s.n; i++) {
		to[2 * i] = (uint8_t)digits[s.p[i] >> 4];
		to[2 * i + 1] = (uint8_t)digits[s.p[i] & 15];
	}
}

static int hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int hex_get(struct slice text, uint8_t *ret, size_t n)
{
	if (text.n % 2 || text.n / 2 != n)
		return -1;
	for (size_t i = 0; i < text.n; i++)
		if (hex_digit(text.p[i]) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		ret[i] = (uint8_t)((unsigned int)hex_digit(text.p[2 * i]) * 16 + (unsigned int)hex_digit(text.p[2 * i + 1]));
	return 0;
}

void base64url_put(struct buf *b, struct slice s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < s.n; i += 3) {
		size_t have = MIN(s.n - i, 3u);
		uint32_t x = (uint32_t)s.p[i] << 16 | (have > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) |
			     (have > 2 ? s.p[i + 2] : 0);
		for (size_t digit = 0; digit <= have; digit++)
			buf_put_u8(b, (uint8_t)digits[x >> (18 - 6 * digit) & 63]);
	}
}

static int base64url_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int base64url_get(struct slice text, uint8_t *ret, size_t size, size_t *ret_n)
{
	uint32_t bits = 0;
	unsigned int nbits = 0;
	size_t n = 0;

	if (text.n % 4 == 1 || text.n / 4 * 3 + (text.n % 4 ? text.n % 4 - 1 : 0) > size)
		return -1;
	for (size_t i = 0; i < text.n; i++) {
		int digit = base64url_digit(text.p[i]);
		if (digit < 0)
			return -1;
		bits = bits << 6 | (uint32_t)digit;
		nbits += 6;
		if (nbits >= 8) {
			nbits -= 8;
			ret[n++] = (uint8_t)(bits >> nbits);
			bits &= (1u << nbits) - 1;
		}
	}
	/* Bits that no byte takes must be 0: one text for one value. */
	if (bits)
		return -1;
	*ret_n = n;
	return 0;
}

char *text_printf(const char *format, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, format);
	int n = vasprintf(&text, format, args);
	va_end(args);
	return n < 0 ? NULL : text;
}

int text_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
	uint64_t x = 0;

	if (!*text)
		return -1;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9' || x > (UINT64_MAX - (uint64_t)(*p - '0')) / 10)
			return -1;
		x = x * 10 + (uint64_t)(*p - '0');
	}
	if (x < least || x > most)
		return -1;
	*ret = x;
	return 0;
}
