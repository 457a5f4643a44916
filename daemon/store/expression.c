/* Expression: one pass over the tokens. */
#include "store/expression.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/limits.h"

enum token_type { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_NAME, TOKEN_NUMBER, TOKEN_SIGN, TOKEN_OPEN };

struct token {
	enum token_type type;            /* TOKEN_OPEN: a quote or comment that nothing closes */
	const char *at;
	size_t n;                        /* TOKEN_TEXT: without its quotes; '' stays two */
};

static bool word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (uint8_t)c >= 0x80;
}

/* Behind blanks and comments; NULL: a comment is not closed. */
static const char *skip(const char *s)
{
	for (;;) {
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r' || *s == '\f') {
			s++;
		} else if (s[0] == '-' && s[1] == '-') {
			s += strcspn(s, "\n");
		} else if (s[0] == '/' && s[1] == '*') {
			s = strstr(s + 2, "*/");
			if (s == NULL)
				return NULL;
			s += 2;
		} else {
			return s;
		}
	}
}

static struct token quoted(const char **s)
{
	char close = **s == '[' ? ']' : **s;
	struct token t = {**s == '\'' ? TOKEN_TEXT : TOKEN_NAME, *s + 1, 0};

	for (const char *p = *s + 1; *p != '\0'; p++) {
		if (*p != close)
			continue;
		if (close != ']' && p[1] == close) {
			p++;
			continue;
		}
		t.n = (size_t)(p - t.at);
		*s = p + 1;
		return t;
	}
	t.type = TOKEN_OPEN;
	return t;
}

static struct token next_token(const char **s)
{
	const char *p = skip(*s);
	struct token t = {TOKEN_OPEN, *s, 0};

	if (p == NULL)
		return t;
	*s = p;
	t = (struct token){TOKEN_SIGN, p, 1};
	if (*p == '\0') {
		t.type = TOKEN_END;
		return t;
	}
	if (strchr("'\"`[", *p) != NULL)
		return quoted(s);
	if (word_byte(*p)) {
		t.type = *p >= '0' && *p <= '9' ? TOKEN_NUMBER : TOKEN_WORD;
		while (word_byte(p[t.n]))
			t.n++;
	}
	*s = p + t.n;
	return t;
}

static bool is_word(struct token t, const char *word)
{
	return t.type == TOKEN_WORD && t.n == strlen(word) && strncasecmp(t.at, word, t.n) == 0;
}

static bool is_text(struct token t, const char *text)
{
	return t.type == TOKEN_TEXT && t.n == strlen(text) && strncasecmp(t.at, text, t.n) == 0;
}

const struct policy_parameter *policy_parameter(const struct policy *p, struct slice name)
{
	for (uint32_t i = 0; i < p->nparameters; i++)
		if (slice_equal(slice_of(p->parameters[i].name), name))
			return &p->parameters[i];
	return NULL;
}

/* What stands behind the word param. */
static int check_param(const char *s, const struct policy *p, struct err *err)
{
	struct token open = next_token(&s), name = next_token(&s);

	if (open.type != TOKEN_SIGN || *open.at != '(')
		return 0;                        /* a column of that name */
	if (name.type != TOKEN_TEXT)
		return err_set(err, ERR_POLICY, "param() takes the parameter's name in single quotes first: param('NAME', "
		               "DATE_COLUMN)");
	if (policy_parameter(p, (struct slice){(const uint8_t *)name.at, name.n}) == NULL)
		return err_set(err, ERR_POLICY, "there is no parameter %.*s", (int)MIN(name.n, (size_t)LIMIT_NAME), name.at);
	return 0;
}

static int check_token(struct token t, const char *behind, const struct policy *p, struct err *err)
{
	static const char *const clocks[] = {"now", "localtime", "utc"};

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++)
		if (is_text(t, clocks[i]))
			return err_set(err, ERR_POLICY, "'%s' asks the clock; compare with a date column of the row", clocks[i]);
	if (is_word(t, "with") || is_word(t, "recursive"))
		return err_set(err, ERR_POLICY, "WITH is not admitted in an expression");
	if (is_word(t, "param"))
		return check_param(behind, p, err);
	if (t.type == TOKEN_SIGN && strchr("?:@$;#", *t.at) != NULL)
		return err_set(err, ERR_POLICY, "an expression holds no \"%c\"", *t.at);
	return 0;
}

int expression_check(const char *text, const struct policy *p, struct err *err)
{
	const char *s = text;
	int depth = 0, tokens = 0;

	if (strlen(text) > LIMIT_EXPRESSION)
		return err_set(err, ERR_POLICY, "an expression has at most %u bytes", LIMIT_EXPRESSION);
	for (struct token t = next_token(&s); t.type != TOKEN_END; t = next_token(&s), tokens++) {
		int rc = t.type == TOKEN_OPEN ? err_set(err, ERR_POLICY, "a quote or comment is not closed") :
		         check_token(t, s, p, err);

		if (rc != 0)
			return rc;
		depth += (t.type == TOKEN_SIGN && *t.at == '(') - (t.type == TOKEN_SIGN && *t.at == ')');
		if (depth < 0)
			break;
	}
	if (tokens == 0)
		return err_set(err, ERR_POLICY, "the expression is empty");
	return depth == 0 ? 0 : err_set(err, ERR_POLICY, "the parentheses do not match");
}
