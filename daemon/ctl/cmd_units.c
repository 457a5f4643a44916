/* units import: the list of units from a spreadsheet, checked line by line before it is signed. */
#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/text.h"
#include "core/limits.h"
#include "core/unit.h"
#include "ctl/ctl.h"

#define FILE_MOST (512u << 10)           /* with base64url within what the control socket takes */

static int to_utf8(const char *path, const char *encoding, struct buf *b, struct err *err)
{
	bool gb = !strcasecmp(encoding, "gb18030") || !strcasecmp(encoding, "gbk") || !strcasecmp(encoding, "gb2312");
	iconv_t tool;

	if (!strcasecmp(encoding, "utf-8") || !strcasecmp(encoding, "utf8"))
		return 0;
	if (!gb)
		return err_set(err, ERR_USAGE, "--encoding %s: utf-8 or gb18030", encoding);
	tool = iconv_open("UTF-8", "GB18030");
	if (tool == (iconv_t)-1)
		return err_set(err, ERR_IO, "this machine cannot read GB18030; save %s as UTF-8", path);
	size_t in = b->n, room = in * 3 + 4, out = room;
	_cleanup_(buf_release) struct buf made = { 0 };
	char *from = (char *)b->p, *to = (char *)buf_reserve(&made, room);
	size_t done = to ? iconv(tool, &from, &in, &to, &out) : (size_t)-1;
	iconv_close(tool);
	if (!to)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (done == (size_t)-1 || in) {
		uint32_t line = 1;
		for (const char *p = (const char *)b->p; p < from; p++)
			line += *p == '\n';
		return err_set(err, ERR_FORMAT, "%s:%u: not GB18030", path, line);
	}
	made.n = room - out;
	struct buf old = *b;
	*b = made;
	made = old;
	return 0;
}

/* The next field, in place: up to a comma, a tab, a semicolon or a space; in quotes, doubled within, whatever it holds. */
static char *field(char **at, bool last)
{
	char *from = *at + strspn(*at, " "), *to, *end;

	if (*from == '"') {
		to = ++from;
		for (end = from; *end && (*end != '"' || end[1] == '"'); end++) {
			end += *end == '"';
			*to++ = *end;
		}
		end += *end == '"';
		end += strcspn(end, ",;\t");
	} else {
		end = from + strcspn(from, last ? ",;\t" : ",;\t ");
		to = end;
	}
	*at = *end ? end + 1 : end;
	*to = '\0';
	while (to > from && to[-1] == ' ')
		*--to = '\0';
	return from;
}

static int bad(struct err *err, const char *path, uint32_t line, const char *what)
{
	return err_set(err, ERR_FORMAT, "%s:%u: %s; a line is CODE,NAME", path, line, what);
}

/* One line of the list as the daemon takes it: CODE NAME, or nothing where the line says nothing. */
static int line_put(const char *path, uint32_t number, char *text, struct buf *ret, struct err *err)
{
	struct err why;
	uint64_t unit;
	char *at = text, *code = field(&at, false), *name = field(&at, true);

	if (!*code && !*name)
		return 0;
	if (number == 1 && (*code < '0' || *code > '9'))
		return 0;                        /* the headings */
	if (unit_parse(slice_of(code), &unit, &why))
		return bad(err, path, number, why.text);
	if (!*name)
		return bad(err, path, number, "the name is missing");
	if (strlen(name) > LIMIT_NAME)
		return bad(err, path, number, "the name is too long");
	if (!utf8_valid(slice_of(name)))
		return err_set(err, ERR_FORMAT, "%s:%u: not UTF-8; where a spreadsheet program saved it in Chinese, say --encoding gb18030",
		               path, number);
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p < ' ')
			return bad(err, path, number, "a control character in the name");
	buf_printf(ret, "%s %s", code, name);
	return 0;
}

static int lines_put(const char *path, struct buf *file, struct buf *ret, struct err *err)
{
	uint32_t number = 0;
	int r = 0;

	if (memchr(file->p, 0, file->n))
		return err_set(err, ERR_FORMAT, "%s: not a text file; save the sheet as CSV", path);
	buf_put_u8(file, 0);
	if (file->failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	char *at = (char *)file->p + (strncmp((char *)file->p, "\xef\xbb\xbf", 3) ? 0 : 3);
	while (*at && !r) {
		size_t n = strcspn(at, "\n");
		bool more = at[n];
		char *line = at;
		at += n + more;
		line[n] = '\0';
		while (n && line[n - 1] == '\r')
			line[--n] = '\0';
		r = line_put(path, ++number, line, ret, err);
		buf_put_u8(ret, '\n');           /* an empty one keeps the numbers of those behind it */
	}
	return r;
}

int cmd_units_import(struct ctl *c, struct err *err)
{
	_cleanup_(buf_release) struct buf file = { 0 }, lines = { 0 }, text = { 0 };
	_cleanup_(json_release) json_t *answer = NULL;
	const char *encoding[2] = { NULL };
	const struct ctl_option options[] = { { .name = "encoding", .value = encoding } };
	int r = ctl_options(c, options, ARRAY_SIZE(options), 1, 1, err);

	if (!r)
		r = file_read(c->argv[0], FILE_MOST, &file, err);
	if (!r && encoding[0])
		r = to_utf8(c->argv[0], encoding[0], &file, err);
	if (!r)
		r = lines_put(c->argv[0], &file, &lines, err);
	if (r)
		return r;
	base64url_put(&text, buf_slice(&lines));
	if (lines.failed || text.failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	const char *const words[] = { "units", "import", buf_text(&text) };
	r = ctl_call(c, words, ARRAY_SIZE(words), &answer, err);
	if (r)
		return r == ERR_FORMAT ? err_prefix(err, "%s: ", c->argv[0]) : r;
	if (c->json)
		return ctl_print(c, answer, err);
	ctl_say(c, "%lld units are published; every node below gets the list.", "已发布 %lld 个单位，名单将下发到全部下级。",
	        (long long)json_integer_value(json_object_get(answer, "units")));
	return 0;
}
