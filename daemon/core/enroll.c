#include "core/enroll.h"

#include <string.h>

#include "base/text.h"
#include "core/limits.h"
#include "core/sign.h"

#define CHECK_SIZE 4u
#define REQUEST_FORMAT 1
#define HTTPS "https://"

int url_check(const char *url, struct err *err)
{
	size_t n = strlen(url);

	if (n >= sizeof(((struct invitation *)0)->url[0]))
		return err_set(err, ERR_USAGE, "address \"%.40s…\": longer than 255 bytes", url);
	if (strncmp(url, HTTPS, strlen(HTTPS)))
		return err_set(err, ERR_USAGE, "address \"%s\": does not begin with https://", url);
	const char *host = url + strlen(HTTPS);
	for (const char *p = host; *p; p++)
		if (*p <= ' ' || *p == 0x7f || strchr("/?#@\\\"", *p))
			return err_set(err, ERR_USAGE, "address \"%s\": nothing but host and port may follow https://", url);
	if (!*host || *host == ':')
		return err_set(err, ERR_USAGE, "address \"%s\": no host", url);
	return 0;
}

int invitation_put(const struct invitation *i, struct buf *b, struct err *err)
{
	_cleanup_(buf_release) struct buf body = { 0 };

	if (i->nurls == 0 || i->nurls > ENROLL_URLS)
		return err_set(err, ERR_USAGE, "invitation: %u addresses, 1 to %u are possible", i->nurls, ENROLL_URLS);
	buf_put_varint(&body, i->nurls);
	for (uint32_t at = 0; at < i->nurls; at++) {
		int r = url_check(i->url[at], err);
		if (r)
			return r;
		buf_put_text(&body, i->url[at]);
	}
	buf_put(&body, i->pin.at, DIGEST_SIZE);
	buf_put(&body, i->secret, ENROLL_SECRET_SIZE);
	buf_put_varint(&body, i->unit);
	buf_put_text(&body, i->line);
	buf_put_text(&body, i->name);
	struct digest check = digest_of(buf_slice(&body));
	buf_put(&body, check.at, CHECK_SIZE);
	buf_put(b, ENROLL_LINE_TEXT, strlen(ENROLL_LINE_TEXT));
	base64url_put(b, buf_slice(&body));
	return body.failed || b->failed ? err_set(err, ERR_NOMEM, "invitation: out of memory") : 0;
}

static bool get_text(struct reader *r, char *to, size_t size)
{
	struct slice s = read_slice(r);

	if (r->bad || s.n >= size || memchr(s.p, 0, s.n) || !utf8_valid(s)) {
		r->bad = true;
		return false;
	}
	memcpy(to, s.p, s.n);
	to[s.n] = '\0';
	return true;
}

static struct slice trim(struct slice s)
{
	while (s.n && strchr(" \t\r\n", s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	return s;
}

static int get_body(struct slice body, struct invitation *i, struct err *err)
{
	struct reader r = reader_of(body);
	char text[UNIT_TEXT_SIZE];

	i->nurls = (uint32_t)read_count(&r, ENROLL_URLS);
	for (uint32_t at = 0; at < i->nurls; at++)
		if (get_text(&r, i->url[at], sizeof(i->url[at])) && url_check(i->url[at], err))
			return err_prefix(err, "invitation: ");
	struct slice pin = read_bytes(&r, DIGEST_SIZE), secret = read_bytes(&r, ENROLL_SECRET_SIZE);
	i->unit = read_varint(&r);
	get_text(&r, i->line, sizeof(i->line));
	get_text(&r, i->name, sizeof(i->name));
	if (!reader_done(&r) || i->nurls == 0 || !i->line[0] || i->unit > UINT64_C(999999999999))
		return err_set(err, ERR_FORMAT, "invitation: malformed; ask for a new one (terracectl invite)");
	memcpy(i->pin.at, pin.p, DIGEST_SIZE);
	memcpy(i->secret, secret.p, ENROLL_SECRET_SIZE);
	return unit_parse(slice_of(unit_text(i->unit, text)), &i->unit, err);
}

int invitation_get(struct slice text, struct invitation *ret, struct err *err)
{
	uint8_t body[LIMIT_INVITE_LINE];
	struct invitation i = { 0 };
	size_t start = strlen(ENROLL_LINE_TEXT), n = 0;

	text = trim(text);
	if (text.n > LIMIT_INVITE_LINE)
		return err_set(err, ERR_LIMIT, "invitation: %zu bytes, at most %u are allowed", text.n, LIMIT_INVITE_LINE);
	if (text.n < start || memcmp(text.p, ENROLL_LINE_TEXT, start))
		return err_set(err, ERR_FORMAT, "invitation: does not begin with %s", ENROLL_LINE_TEXT);
	struct slice letters = { text.p + start, text.n - start };
	if (base64url_get(letters, body, sizeof(body), &n) || n <= CHECK_SIZE)
		return err_set(err, ERR_FORMAT, "invitation: a character is wrong or missing; copy the whole line again");
	n -= CHECK_SIZE;
	struct digest check = digest_of((struct slice){ body, n });
	if (memcmp(check.at, body + n, CHECK_SIZE))
		return err_set(err, ERR_FORMAT, "invitation: a character is wrong or missing; copy the whole line again");
	int r = get_body((struct slice){ body, n }, &i, err);
	if (!r)
		*ret = i;
	bytes_wipe(i.secret, sizeof(i.secret));
	bytes_wipe(body, sizeof(body));
	return r;
}

void enroll_put(const struct enroll_request *r, struct buf *b)
{
	buf_put_u8(b, REQUEST_FORMAT);
	buf_put(b, r->secret, ENROLL_SECRET_SIZE);
	buf_put_varint(b, r->unit);
	buf_put_slice(b, r->request_pem);
}

int enroll_get(struct slice body, struct enroll_request *ret, struct err *err)
{
	struct reader r = reader_of(body);
	struct enroll_request q = { 0 };

	if (body.n > LIMIT_ENROLL_BODY)
		return err_set(err, ERR_LIMIT, "enrolment: %zu bytes, at most %u are allowed", body.n, LIMIT_ENROLL_BODY);
	uint8_t format = read_u8(&r);
	if (!r.bad && format != REQUEST_FORMAT)
		return err_set(err, ERR_FORMAT, "enrolment: format %u is not known here", format);
	struct slice secret = read_bytes(&r, ENROLL_SECRET_SIZE);
	q.unit = read_varint(&r);
	q.request_pem = read_slice(&r);
	if (!reader_done(&r))
		return err_set(err, ERR_FORMAT, "enrolment: truncated or malformed body");
	*ret = q;
	memcpy(ret->secret, secret.p, ENROLL_SECRET_SIZE);
	return 0;
}

void renew_put(struct slice request_pem, struct buf *b)
{
	buf_put_u8(b, REQUEST_FORMAT);
	buf_put_slice(b, request_pem);
}

int renew_get(struct slice body, struct slice *ret_request_pem, struct err *err)
{
	struct reader r = reader_of(body);

	if (body.n > LIMIT_ENROLL_BODY)
		return err_set(err, ERR_LIMIT, "renewal: %zu bytes, at most %u are allowed", body.n, LIMIT_ENROLL_BODY);
	uint8_t format = read_u8(&r);
	struct slice pem = read_slice(&r);
	if (!reader_done(&r) || format != REQUEST_FORMAT)
		return err_set(err, ERR_FORMAT, "renewal: truncated or malformed body");
	*ret_request_pem = pem;
	return 0;
}
