/* Policy text: one pass over the bytes, no recursion.
 *
 *   body  = { item }              item  = WORD "=" value | WORD [ value1 ] "{" body "}"
 *   value = value1 | "{" [ value1 { "," value1 } ] "}"            value1 = WORD | STRING
 *
 * A WORD is letters, digits, `_ . : - >` and every byte from 0x80 on; all else stands in quotes.  In "…" a backslash
 * comes before `"` `\` `n` or `t`, in '…' before `'` or `\`. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/limits.h"
#include "ctl/policy_text.h"

#define MOST_DEPTH 5u /* policy, register, group … and one to spare */

enum sign { END, WORD, OPEN, CLOSE, EQUALS, COMMA };

struct scan {
	const char *path;
	struct arena *a;
	struct err *err;
	uint8_t *s, *end; /* the copy in which comments become blanks */
	uint32_t line, blocks, keys;
	const char *word; /* of WORD: its text, unquoted */
};

static int bad(struct scan *c, uint32_t line, const char *sentence, const char *what)
{
	return err_set(c->err, ERR_POLICY, "%s:%u: %s%.120s", c->path, line, sentence, what);
}

static void blank(struct scan *c, size_t n)
{
	for (; n > 0 && c->s < c->end; n--, c->s++) {
		if (*c->s == '\n')
			c->line++;
		else
			*c->s = ' ';
	}
}

/* Blanks and comments; 0, or an error for a comment that does not end. */
static int skip(struct scan *c)
{
	for (;;) {
		size_t left = (size_t)(c->end - c->s);
		if (left == 0)
			return 0;
		if (*c->s == '\n' || *c->s == ' ' || *c->s == '\t' || *c->s == '\r') {
			blank(c, 1);
		} else if (*c->s == '#' || (left > 1 && c->s[0] == '/' && c->s[1] == '/')) {
			const uint8_t *e = memchr(c->s, '\n', left);
			blank(c, e != NULL ? (size_t)(e - c->s) : left);
		} else if (left > 1 && c->s[0] == '/' && c->s[1] == '*') {
			uint32_t line = c->line;
			const uint8_t *e = left > 3 ? memmem(c->s + 2, left - 2, "*/", 2) : NULL;
			if (e == NULL)
				return bad(c, line, "", "this comment does not end");
			blank(c, (size_t)(e + 2 - c->s));
		} else {
			return 0;
		}
	}
}

static bool word_byte(uint8_t b)
{
	return b >= 0x80 || (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') ||
	       (b != '\0' && strchr("_.:->", b) != NULL);
}

static int quoted(struct scan *c)
{
	uint8_t close = *c->s++;
	uint32_t line = c->line;
	const uint8_t *start = c->s;
	size_t n = 0;
	/* Its end first, so that the copy takes no more than the string. */
	for (const uint8_t *p = c->s;; p++) {
		if (p >= c->end)
			return bad(c, line, "", "this string does not end");
		if (*p == '\\')
			p++;
		else if (*p == close) {
			n = (size_t)(p - start);
			break;
		}
	}
	char *text = arena_alloc(c->a, n + 1);
	if (text == NULL)
		return err_set(c->err, ERR_NOMEM, "%s: no memory", c->path);
	size_t k = 0;
	for (; *c->s != close; c->s++) {
		if (*c->s == '\n')
			c->line++;
		if (*c->s != '\\') {
			text[k++] = (char)*c->s;
			continue;
		}
		c->s++;
		if (*c->s == close || *c->s == '\\')
			text[k++] = (char)*c->s;
		else if (close == '"' && (*c->s == 'n' || *c->s == 't'))
			text[k++] = *c->s == 'n' ? '\n' : '\t';
		else
			return bad(c, c->line, "",
				   close == '"' ? "a backslash in \"…\" comes before \" \\ n or t only"
						: "a backslash in '…' comes before ' or \\ only");
	}
	c->s++;
	c->word = text;
	return 0;
}

static int next(struct scan *c, enum sign *ret)
{
	int code = skip(c);
	if (code != 0)
		return code;
	*ret = END;
	if (c->s == c->end)
		return 0;
	if (*c->s == '"' || *c->s == '\'') {
		*ret = WORD;
		return quoted(c);
	}
	if (word_byte(*c->s)) {
		const uint8_t *start = c->s;
		while (c->s < c->end && word_byte(*c->s))
			c->s++;
		*ret = WORD;
		c->word = arena_text(c->a, (struct slice){ start, (size_t)(c->s - start) });
		return c->word != NULL ? 0 : err_set(c->err, ERR_NOMEM, "%s: no memory", c->path);
	}
	static const char signs[] = "{}=,";
	static const enum sign meaning[] = { OPEN, CLOSE, EQUALS, COMMA };
	const char *at = strchr(signs, *c->s);
	if (at == NULL) {
		char what[2] = { (char)*c->s, '\0' };
		return bad(c, c->line, "put this in quotes: ", what);
	}
	*ret = meaning[at - signs];
	c->s++;
	return 0;
}

static int value(struct scan *c, const char *kind)
{
	enum sign sign;
	int code = next(c, &sign);
	if (code != 0 || sign == WORD)
		return code;
	if (sign != OPEN)
		return bad(c, c->line, "a value is missing after ", kind);
	uint32_t line = c->line;
	for (bool first = true;; first = false) {
		if ((code = next(c, &sign)) != 0)
			return code;
		if (first && sign == CLOSE)
			return 0;
		if (sign == END)
			return bad(c, line, "this list is not closed: ", kind);
		if (sign != WORD)
			return bad(c, c->line, "values stand between commas in the list ", kind);
		if ((code = next(c, &sign)) != 0)
			return code;
		if (sign == CLOSE)
			return 0;
		if (sign == END)
			return bad(c, line, "this list is not closed: ", kind);
		if (sign != COMMA)
			return bad(c, c->line, "a comma or } is missing in the list ", kind);
	}
}

static int add(struct scan *c, struct policy_node *in, struct policy_node *n)
{
	for (const struct policy_node *o = in->first; o != NULL; o = o->next) {
		if (strcmp(o->kind, n->kind) != 0)
			continue;
		if (o->block && n->block && o->title != NULL && n->title != NULL &&
		    strcmp(o->title, n->title) != 0)
			continue;
		char what[160];
		snprintf(what, sizeof(what), "%.60s %.60s (first in line %u)", n->kind,
			 n->title != NULL ? n->title : "", o->line);
		return bad(c, n->line, "this is given twice: ", what);
	}
	n->parent = in;
	n->depth = in->depth + 1;
	if (in->last != NULL)
		in->last->next = n;
	else
		in->first = n;
	in->last = n;
	return 0;
}

static int item(struct scan *c, struct policy_node **in)
{
	enum sign sign;
	int code;
	const char *kind = c->word;
	for (const char *k = kind; *k != '\0'; k++)
		if (!(*k == '_' || (*k >= 'a' && *k <= 'z')))
			return bad(c, c->line, "no key or block is called ", kind);
	struct policy_node *n = arena_alloc(c->a, sizeof(*n));
	if (n == NULL)
		return err_set(c->err, ERR_NOMEM, "%s: no memory", c->path);
	n->kind = kind;
	n->line = c->line;
	if ((code = next(c, &sign)) != 0)
		return code;
	if (sign == EQUALS && ++c->keys > 4 * LIMIT_POLICY_BLOCKS)
		return bad(c, n->line, "", "the text has too many keys");
	if (sign == EQUALS)
		return (code = add(c, *in, n)) != 0 ? code : value(c, kind);
	if (sign == WORD) {
		n->title = c->word;
		if ((code = next(c, &sign)) != 0)
			return code;
	}
	if (sign != OPEN)
		return bad(c, c->line, "= or { is missing after ", kind);
	n->block = true;
	if (++c->blocks > LIMIT_POLICY_BLOCKS)
		return bad(c, n->line, "", "the text has too many blocks");
	if ((*in)->depth >= MOST_DEPTH)
		return bad(c, n->line, "this block stands too deep: ", kind);
	if ((code = add(c, *in, n)) != 0)
		return code;
	*in = n;
	return 0;
}

static int scan_all(struct scan *c, struct policy_node *root)
{
	struct policy_node *in = root;
	for (;;) {
		enum sign sign;
		int code = next(c, &sign);
		if (code != 0)
			return code;
		if (sign == END && in != root)
			return bad(c, in->line, "this block is not closed: ", in->kind);
		if (sign == END)
			return 0;
		if (sign == CLOSE && in == root)
			return bad(c, c->line, "", "this } closes nothing");
		if (sign == CLOSE)
			in = in->parent;
		else if (sign == WORD)
			code = item(c, &in);
		else
			return bad(c, c->line, "", "a key or a block is expected here");
		if (code != 0)
			return code;
	}
}

/* What no string may hold either: control bytes and ${. */
static int bytes_sound(struct scan *c)
{
	uint32_t line = 1;
	for (const uint8_t *p = c->s; p < c->end; p++) {
		if (*p == '\n')
			line++;
		else if (*p < 0x20 && *p != '\t' && *p != '\r')
			return bad(c, line, "", "a control character stands here");
		else if (*p == '$' && p + 1 < c->end && p[1] == '{')
			return bad(c, line, "", "${ is not admitted: nothing is taken from the environment");
	}
	if (utf8_valid((struct slice){ c->s, (size_t)(c->end - c->s) }))
		return 0;
	line = 1;
	for (const uint8_t *p = c->s, *e; p < c->end; p = e + 1, line++) {
		e = memchr(p, '\n', (size_t)(c->end - p));
		if (e == NULL)
			e = c->end;
		if (!utf8_valid((struct slice){ p, (size_t)(e - p) }))
			break;
		if (e == c->end)
			break;
	}
	return bad(c, line, "", "this line is not UTF-8; save the file as UTF-8 (not GBK or GB 18030)");
}

int policy_text_scan(const char *path, struct slice text, struct arena *a, struct policy_node **ret,
		     struct buf *ret_plain, struct err *err)
{
	struct scan c = { .path = path, .a = a, .err = err, .line = 1 };
	if (text.n > LIMIT_POLICY_TEXT)
		return err_set(err, ERR_LIMIT, "%s: a policy has at most %u bytes; this one has %zu", path,
			       LIMIT_POLICY_TEXT, text.n);
	c.s = arena_alloc(a, text.n + 1);
	struct policy_node *root = arena_alloc(a, sizeof(*root));
	if (c.s == NULL || root == NULL)
		return err_set(err, ERR_NOMEM, "%s: no memory", path);
	if (text.n > 0)
		memcpy(c.s, text.p, text.n);
	c.end = c.s + text.n;
	root->kind = "";
	const uint8_t *start = c.s;
	int code = bytes_sound(&c);
	if (code != 0)
		return code;
	if (text.n >= 3 && memcmp(c.s, "\xef\xbb\xbf", 3) == 0)
		blank(&c, 3);
	if ((code = scan_all(&c, root)) != 0)
		return code;
	if (ret_plain != NULL)
		buf_put(ret_plain, start, text.n);
	*ret = root;
	return 0;
}

const struct policy_node *policy_text_find(const struct policy_node *in, const char *kind, const char *title)
{
	for (const struct policy_node *n = in->first; n != NULL; n = n->next)
		if (strcmp(n->kind, kind) == 0 &&
		    (title == NULL || (n->title != NULL && strcmp(n->title, title) == 0)))
			return n;
	return NULL;
}

char *policy_text_path(const struct policy_node *n, char *ret, size_t size)
{
	const struct policy_node *chain[MOST_DEPTH + 2];
	size_t count = 0, at = 0;
	for (; n->parent != NULL && count < ARRAY_SIZE(chain); n = n->parent)
		chain[count++] = n;
	ret[0] = '\0';
	for (size_t i = count; i-- > 0 && at < size;)
		at += (size_t)snprintf(ret + at, size - at, "%s%s", at > 0 ? "/" : "", chain[i]->kind);
	return ret;
}
