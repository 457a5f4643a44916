/* Value: cells and keys.  The canonical form stands at the top of core/value.h. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/limits.h"
#include "core/value.h"

/* ---- cells */

/* The one form of a number with a point: −0 is 0. */
static double real_of(double r)
{
	return r == 0 ? 0.0 : r;
}

/* SQLite stores what is not a number as NULL. */
static enum cell_type type_of(struct cell c)
{
	return c.type == CELL_REAL && isnan(c.r) ? CELL_NULL : c.type;
}

static int compare_integers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int compare_reals(double a, double b)
{
	return (a > b) - (a < b);
}

/* Exactly, although a double holds only 53 bits of an integer. */
static int compare_mixed(int64_t i, double r)
{
	int64_t whole;

	if (r < -0x1p63)
		return 1;
	if (r >= 0x1p63)
		return -1;
	whole = (int64_t)r;
	return i != whole ? compare_integers(i, whole) : compare_reals((double)whole, r);
}

/* NULL, numbers, text, blob */
static int class_of(enum cell_type type)
{
	return type == CELL_REAL ? CELL_INT : (int)type;
}

int cell_compare(struct cell a, struct cell b)
{
	enum cell_type at = type_of(a), bt = type_of(b);
	int order;

	if (class_of(at) != class_of(bt))
		return compare_integers(class_of(at), class_of(bt));
	if (at == CELL_NULL)
		return 0;
	if (at == CELL_TEXT || at == CELL_BLOB)
		return slice_compare(a.s, b.s);
	if (at == bt)
		return at == CELL_INT ? compare_integers(a.i, b.i) : compare_reals(a.r, b.r);
	order = at == CELL_INT ? compare_mixed(a.i, b.r) : -compare_mixed(b.i, a.r);
	return order != 0 ? order : compare_integers(at, bt);
}

bool cell_equal(struct cell a, struct cell b)
{
	enum cell_type at = type_of(a);

	if (at != type_of(b))
		return false;
	if (at == CELL_TEXT || at == CELL_BLOB)
		return slice_equal(a.s, b.s);
	return at == CELL_NULL || (at == CELL_INT ? a.i == b.i : a.r == b.r);
}

static size_t varint_size(uint64_t x)
{
	size_t n = 1;

	for (; x >= 0x80; x >>= 7)
		n++;
	return n;
}

size_t cell_size(struct cell c)
{
	switch (type_of(c)) {
	case CELL_INT:
		return 1 + varint_size(((uint64_t)c.i << 1) ^ (c.i < 0 ? UINT64_MAX : 0));
	case CELL_REAL:
		return 1 + 8;
	case CELL_TEXT:
	case CELL_BLOB:
		return 1 + varint_size(c.s.n) + c.s.n;
	default:
		return 1;
	}
}

void cell_put(struct buf *b, struct cell c)
{
	enum cell_type type = type_of(c);
	double r;
	uint64_t bits;

	buf_put_u8(b, (uint8_t)type);
	switch (type) {
	case CELL_INT:
		buf_put_signed(b, c.i);
		break;
	case CELL_REAL:
		r = real_of(c.r);
		memcpy(&bits, &r, sizeof(bits));
		buf_put_u64(b, bits);
		break;
	case CELL_TEXT:
	case CELL_BLOB:
		buf_put_slice(b, c.s);
		break;
	default:
		break;
	}
}

static double real_get(struct reader *r)
{
	uint64_t bits = read_u64(r);
	double x;

	memcpy(&x, &bits, sizeof(x));
	if (isnan(x) || (x == 0 && bits != 0))
		r->bad = true;
	return r->bad ? 0 : x;
}

struct cell cell_get(struct reader *r)
{
	struct cell c = { .type = CELL_NULL, .i = 0 };
	unsigned type = read_u8(r);

	switch (type) {
	case CELL_NULL:
		break;
	case CELL_INT:
		c.i = read_signed(r);
		break;
	case CELL_REAL:
		c.r = real_get(r);
		break;
	case CELL_TEXT:
	case CELL_BLOB:
		c.s = read_slice(r);
		break;
	default:
		r->bad = true;
	}
	if (r->bad)
		return (struct cell){ .type = CELL_NULL, .i = 0 };
	c.type = (enum cell_type)type;
	return c;
}

struct cell cell_copy(struct arena *a, struct cell c)
{
	if (c.type == CELL_TEXT || c.type == CELL_BLOB)
		c.s = arena_slice(a, c.s);
	return c;
}

/* ---- keys */

int key_compare(struct key a, struct key b)
{
	for (uint32_t i = 0; i < a.n && i < b.n; i++) {
		int order = cell_compare(a.cells[i], b.cells[i]);

		if (order != 0)
			return order;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool key_equal(struct key a, struct key b)
{
	return key_compare(a, b) == 0;
}

void key_put(struct buf *b, struct key k)
{
	buf_put_varint(b, k.n);
	for (uint32_t i = 0; i < k.n; i++)
		cell_put(b, k.cells[i]);
}

struct key key_get(struct reader *r, struct arena *a)
{
	size_t before = reader_left(r);
	uint32_t n = (uint32_t)read_count(r, LIMIT_COLUMNS);
	struct cell *cells = n > 0 ? arena_array(a, n, sizeof(*cells)) : NULL;

	if (!cells)
		r->bad = true;
	for (uint32_t i = 0; i < n && !r->bad; i++)
		cells[i] = cell_get(r);
	if (before - reader_left(r) > LIMIT_KEY)
		r->bad = true;
	return r->bad ? (struct key){ NULL, 0 } : (struct key){ cells, n };
}

struct key key_copy(struct arena *a, struct key k)
{
	struct cell *cells = arena_array(a, k.n, sizeof(*cells));

	for (uint32_t i = 0; cells && i < k.n; i++)
		cells[i] = cell_copy(a, k.cells[i]);
	return cells ? (struct key){ cells, k.n } : (struct key){ NULL, 0 };
}

/* ---- for people */

static bool plain(struct slice s)
{
	if (s.n == 0 || !utf8_valid(s) || s.p[0] == ' ' || s.p[s.n - 1] == ' ' || slice_equal(s, slice_of("NULL")))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f || s.p[i] == ',' || s.p[i] == '\'')
			return false;
	return true;
}

static void put_quoted(struct buf *b, struct slice s)
{
	buf_put_u8(b, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'')
			buf_put_u8(b, '\'');
		buf_put_u8(b, s.p[i]);
	}
	buf_put_u8(b, '\'');
}

/* A text with control characters or without sense is shown as the blob of its bytes. */
static bool showable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return utf8_valid(s);
}

static void put_hex(struct buf *b, struct slice s)
{
	static const char digits[] = "0123456789ABCDEF";
	uint8_t *to = buf_reserve(b, 2 * s.n);

	for (size_t i = 0; to && i < s.n; i++) {
		to[2 * i] = (uint8_t)digits[s.p[i] >> 4];
		to[2 * i + 1] = (uint8_t)digits[s.p[i] & 15];
	}
}

/* As SQLite's quote(): 15 digits where they come back as the same number, always with a point or an exponent. */
static void put_real(struct buf *b, double r)
{
	char text[40];

	r = real_of(r);
	if (isinf(r)) {
		buf_printf(b, "%s", r > 0 ? "9.0e+999" : "-9.0e+999");
		return;
	}
	snprintf(text, sizeof(text), "%.15g", r);
	if (strtod(text, NULL) != r)
		snprintf(text, sizeof(text), "%.17g", r);
	size_t digits = strcspn(text, "e");
	bool point = memchr(text, '.', digits) != NULL;
	buf_printf(b, "%.*s%s%s", (int)digits, text, point ? "" : ".0", text + digits);
}

static void put_blob(struct buf *b, struct slice s)
{
	buf_printf(b, "X'");
	put_hex(b, s);
	buf_put_u8(b, '\'');
}

static void put_quote(struct buf *b, struct cell c)
{
	switch (type_of(c)) {
	case CELL_INT:
		buf_printf(b, "%" PRId64, c.i);
		break;
	case CELL_REAL:
		put_real(b, c.r);
		break;
	case CELL_BLOB:
		put_blob(b, c.s);
		break;
	case CELL_TEXT:
		buf_put_u8(b, 'T');
		put_hex(b, c.s);
		break;
	default:
		buf_printf(b, "NULL");
	}
}

static void put_shown(struct buf *b, struct cell c)
{
	if (c.type != CELL_TEXT)
		put_quote(b, c);
	else if (plain(c.s))
		buf_put(b, c.s.p, c.s.n);
	else if (showable(c.s))
		put_quoted(b, c.s);
	else
		put_blob(b, c.s);
}

void key_text(struct buf *b, struct key k)
{
	for (uint32_t i = 0; i < k.n; i++) {
		if (i > 0)
			buf_put_u8(b, ',');
		put_shown(b, k.cells[i]);
	}
}

/* ---- the database's form */

struct cell key_column(struct key k, struct arena *a)
{
	_cleanup_(buf_release) struct buf b = {0};

	if (k.n == 1)
		return k.cells[0];
	for (uint32_t i = 0; i < k.n; i++) {
		if (i > 0)
			buf_put_u8(&b, ',');
		put_quote(&b, k.cells[i]);
	}
	if (b.failed)
		a->failed = true;
	return (struct cell){ .type = CELL_TEXT, .s = arena_slice(a, buf_slice(&b)) };
}

static int digit_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int bytes_get(struct slice hex, enum cell_type type, struct arena *a, struct cell *ret)
{
	uint8_t *bytes = arena_alloc(a, hex.n / 2 + 1);

	if (hex.n % 2 != 0 || !bytes)
		return -1;
	for (size_t i = 0; i < hex.n; i += 2) {
		int high = digit_of(hex.p[i]), low = digit_of(hex.p[i + 1]);

		if (high < 0 || low < 0)
			return -1;
		bytes[i / 2] = (uint8_t)(high * 16 + low);
	}
	*ret = (struct cell){ .type = type, .s = { bytes, hex.n / 2 } };
	return 0;
}

static int number_get(struct slice text, struct cell *ret)
{
	char s[64], *end;

	if (text.n == 0 || text.n >= sizeof(s))
		return -1;
	memcpy(s, text.p, text.n);
	s[text.n] = '\0';
	if (strspn(s, "+-.0123456789e") != text.n && strcmp(s, "Inf") != 0 && strcmp(s, "-Inf") != 0)
		return -1;
	errno = 0;
	if (strspn(s, "-0123456789") == text.n) {
		*ret = (struct cell){ .type = CELL_INT, .i = strtoll(s, &end, 10) };
		return *end == '\0' && end != s && errno == 0 ? 0 : -1;
	}
	*ret = (struct cell){ .type = CELL_REAL, .r = strtod(s, &end) };
	ret->r = real_of(ret->r);
	return *end == '\0' && end != s && !isnan(ret->r) ? 0 : -1;
}

/* One cell as put_quote wrote it, or a trigger: quote() of another SQLite may print other digits of a real. */
static int quote_get(struct slice s, struct arena *a, struct cell *ret)
{
	if (s.n >= 1 && s.p[0] == 'T')
		return bytes_get((struct slice){ s.p + 1, s.n - 1 }, CELL_TEXT, a, ret);
	if (s.n >= 3 && s.p[0] == 'X' && s.p[1] == '\'' && s.p[s.n - 1] == '\'')
		return bytes_get((struct slice){ s.p + 2, s.n - 3 }, CELL_BLOB, a, ret);
	if (slice_equal(s, slice_of("NULL"))) {
		*ret = (struct cell){ .type = CELL_NULL, .i = 0 };
		return 0;
	}
	return number_get(s, ret);
}

int key_from_column(struct cell column, uint32_t n, struct arena *a, struct key *ret, struct err *err)
{
	struct cell *cells = arena_array(a, n, sizeof(*cells));
	struct slice left = column.s, one;

	if (!cells)
		return err_set(err, ERR_NOMEM, "no memory for a key of %" PRIu32 " columns", n);
	if (n == 1) {
		cells[0] = column;
		*ret = (struct key){ cells, n };
		return 0;
	}
	if (column.type != CELL_TEXT || n == 0)
		return err_set(err, ERR_FORMAT, "a key of %" PRIu32 " columns is kept as a text, this is not one", n);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *comma = left.n > 0 ? memchr(left.p, ',', left.n) : NULL;

		if (!comma != (i + 1 == n))
			return err_set(err, ERR_FORMAT, "a key of %" PRIu32 " columns is kept with %s parts", n,
			               comma ? "more" : "fewer");
		one = (struct slice){ left.p, comma ? (size_t)(comma - left.p) : left.n };
		if (quote_get(one, a, &cells[i]) < 0)
			return err_set(err, ERR_FORMAT, "part %" PRIu32 " of a key of %" PRIu32
			               " columns is neither a number nor T or X with hexadecimal digits", i + 1, n);
		if (comma)
			left = (struct slice){ comma + 1, left.n - one.n - 1 };
	}
	*ret = (struct key){ cells, n };
	return 0;
}
