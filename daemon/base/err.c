#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

struct err_row {
	const char *name;
	enum err_retry retry;
	int http, status;
};

static const struct err_row rows[ERR_COUNT] = {
#define X(id, name, retry, http, status) [ERR_##id] = { name, RETRY_##retry, http, status },
	ERR_TABLE(X)
#undef X
};

/* A number that is no code is a bug of ours and shows as one. */
static const struct err_row *row_of(int code)
{
	return &rows[code >= 0 && code < ERR_COUNT ? code : ERR_BUG];
}

/* A cut sentence must not end inside a UTF-8 character: it goes into JSON and onto terminals. */
static void drop_broken_tail(char *text, size_t n)
{
	size_t start = n;

	while (start > 0 && n - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return;
	unsigned char lead = (unsigned char)text[start - 1];
	size_t follow = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
	if (n - start < follow)
		text[start - 1] = '\0';
}

static void cut_at_character(char *text, size_t size, int wanted)
{
	if (wanted >= 0 && (size_t)wanted >= size)
		drop_broken_tail(text, size - 1);
}

int err_set(struct err *e, int code, const char *format, ...)
{
	va_list args;

	if (!e)
		return code;
	e->code = code;
	va_start(args, format);
	cut_at_character(e->text, sizeof(e->text), vsnprintf(e->text, sizeof(e->text), format, args));
	va_end(args);
	return code;
}

int err_prefix(struct err *e, const char *format, ...)
{
	char text[sizeof(e->text)];
	va_list args;

	if (!e)
		return ERR_BUG;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	size_t room = sizeof(text), used = MIN(n < 0 ? 0 : (size_t)n, room - 1);
	size_t kept = strnlen(e->text, sizeof(e->text));
	size_t take = MIN(kept, room - 1 - used);

	memmove(e->text + used, e->text, take);
	memcpy(e->text, text, used);
	e->text[used + take] = '\0';
	if (take < kept || (n >= 0 && (size_t)n >= room))
		drop_broken_tail(e->text, used + take);
	return e->code;
}

const char *err_name(int code)
{
	return row_of(code)->name;
}

enum err_retry err_retry(int code)
{
	return row_of(code)->retry;
}

int err_http(int code)
{
	return row_of(code)->http;
}

int err_exit(int code)
{
	return row_of(code)->status;
}

int err_from_name(const char *name)
{
	for (int code = 0; code < ERR_COUNT; code++)
		if (strcmp(rows[code].name, name) == 0)
			return code;
	return ERR_BUG;
}
