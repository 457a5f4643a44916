/* Matching a text against the catalogue, and putting the parts of it into the translation. */
#include "ctl/phrases.h"

#include <string.h>

#define PARTS 9                          /* conversions of one text, at most */
#define DEEP  6                          /* a part may be a text of the catalogue itself, and so on */

struct match {
	struct slice part[PARTS];
	uint32_t n;
};

/* Length of the conversion at p ("%" included), its letter in *ret_letter; 0 = no conversion stands there. */
static size_t conversion(const char *p, char *ret_letter)
{
	size_t n = 1;

	if (p[0] != '%' || p[1] == '%')
		return 0;
	n += strspn(p + n, "0123456789.*-#");
	n += strspn(p + n, "hlzjt");
	*ret_letter = p[n];
	return p[n] ? n + 1 : 0;
}

static bool number_end(const char *text, size_t n)
{
	return n > 0 && strspn(text, "-0123456789abcdef.") >= n;
}

/* Whether text is what the pattern may have printed: the shortest part for each conversion, from the left. */
static bool matches(const char *pattern, const char *text, struct match *m, uint32_t at)
{
	char letter = '\0';

	for (; *pattern; pattern++, text++) {
		size_t n = conversion(pattern, &letter);
		if (n == 0) {
			if (*pattern != *text)
				return false;
			pattern += pattern[0] == '%';
			continue;
		}
		if (at == PARTS)
			return false;
		for (size_t take = letter == 's' || letter == 'c' ? 0 : 1; ; take++) {
			if (take > strlen(text))
				return false;
			m->part[at] = (struct slice){ (const uint8_t *)text, take };
			if (letter != 's' && letter != 'c' && !number_end(text, take))
				return false;
			if (matches(pattern + n, text + take, m, at + 1))
				return true;
		}
	}
	if (*text)
		return false;
	m->n = at;
	return true;
}

/* The row that leaves the least to its conversions; the first of several. */
static const struct phrase *find(const char *text, struct match *ret)
{
	const struct phrase *const all[] = { phrases_words, phrases_events, phrases_errors, phrases_policy }, *best = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (const struct phrase *p = all[i]; p->english; p++) {
			struct match m = { .n = 0 };
			size_t free = 0;
			if ((p->english[0] != text[0] && p->english[0] != '%') || !matches(p->english, text, &m, 0))
				continue;
			for (uint32_t k = 0; k < m.n; k++)
				free += m.part[k].n;
			if (free < least) {
				*ret = m;
				best = p;
				least = free;
			}
		}
	return best;
}

static bool has_han(const char *text, size_t n)
{
	for (size_t i = 0; i + 2 < n; i++)
		if ((uint8_t)text[i] >= 0xe3 && (uint8_t)text[i] <= 0xe9)
			return true;
	return false;
}

/* "中文 / English" or the other way round: the half that is wanted. */
static bool half_of(const char *text, bool chinese, struct slice *ret)
{
	for (const char *mid = strstr(text, " / "); mid; mid = strstr(mid + 1, " / ")) {
		const char *right = mid + 3;
		size_t left_n = (size_t)(mid - text), right_n = strlen(right);
		bool left_han = has_han(text, left_n), right_han = has_han(right, right_n);
		if (left_han == right_han)
			continue;
		*ret = left_han == chinese ? (struct slice){ (const uint8_t *)text, left_n } :
		                             (struct slice){ (const uint8_t *)right, right_n };
		return true;
	}
	return false;
}

/* "file:line: " in front of a sentence; 0 = there is none. */
static size_t place_of(const char *text)
{
	size_t n = strcspn(text, ": "), digits = text[n] == ':' ? strspn(text + n + 1, "0123456789") : 0;

	return n && digits && !strncmp(text + n + 1 + digits, ": ", 2) ? n + digits + 3 : 0;
}

static bool put(struct buf *b, const char *text, bool chinese, int deep);

static bool put_slice(struct buf *b, struct slice s, bool chinese, int deep)
{
	_cleanup_(buf_release) struct buf part = { 0 };

	buf_put(&part, s.p, s.n);
	return put(b, buf_text(&part), chinese, deep);
}

/* Numbers, names and paths are in nobody's language. */
static bool is_name(const char *text)
{
	return !strchr(text, ' ') || has_han(text, strlen(text));
}

static bool put(struct buf *b, const char *text, bool chinese, int deep)
{
	const struct phrase *p;
	struct slice half;
	struct match m = { .n = 0 };
	bool whole = true;
	size_t place = chinese ? place_of(text) : 0;

	buf_put(b, text, place);
	text += place;
	if (half_of(text, chinese, &half)) {
		buf_put(b, half.p, half.n);
		return true;
	}
	if (!chinese || deep == DEEP || !*text || (p = find(text, &m)) == NULL) {
		buf_put(b, text, strlen(text));
		return !chinese || is_name(text);
	}
	for (const char *c = p->chinese; *c; c++) {
		if (c[0] == '{' && c[1] >= '1' && c[1] <= '9' && c[2] == '}') {
			whole &= put_slice(b, m.part[c[1] - '1'], chinese, deep + 1);
			c += 2;
		} else {
			buf_put_u8(b, (uint8_t)*c);
		}
	}
	return whole;
}

bool phrase_put(struct buf *b, const char *text, bool chinese)
{
	return put(b, text, chinese, 0);
}

const char *phrase_english(const char *text)
{
	for (const struct phrase *p = phrases_words; p->english; p++)
		if (!strcmp(p->chinese, text) && !strchr(p->english, '%'))
			return p->english;
	return text;
}
