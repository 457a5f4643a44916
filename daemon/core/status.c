#include "core/status.h"

#include <string.h>

#include "base/text.h"

#define STATUS_FORMAT 1

void status_put(struct buf *b, const struct status *s)
{
	buf_put_u8(b, STATUS_FORMAT);
	buf_put_varint(b, s->unit);
	buf_put_text(b, s->name);
	buf_put_signed(b, s->as_of_ms);
	buf_put_signed(b, s->contact_ms);
	buf_put_u32(b, s->epoch);
	buf_put_varint(b, s->sealed);
	buf_put_varint(b, s->applied);
	buf_put_varint(b, s->settled);
	buf_put_varint(b, s->pending_segments);
	buf_put_varint(b, s->pending_bytes);
	buf_put_signed(b, s->oldest_ms);
	buf_put_varint(b, s->quarantine);
	buf_put_varint(b, s->conflicts);
	buf_put_varint(b, s->proposals);
	buf_put_varint(b, s->returns);
	buf_put_varint(b, s->issues);
	buf_put_u8(b, (uint8_t)s->digest);
	buf_put_signed(b, s->digest_at_ms);
	buf_put_varint(b, s->npolicies);
	for (uint32_t i = 0; i < s->npolicies; i++) {
		buf_put_varint(b, s->policies[i].issuer);
		buf_put_varint(b, s->policies[i].version);
		buf_put_text(b, s->policies[i].state);
	}
}

static void get_text(struct reader *r, char *ret, size_t size)
{
	struct slice s = read_slice(r);

	if (r->bad || s.n >= size || memchr(s.p, 0, s.n) != NULL || !utf8_valid(s)) {
		r->bad = true;
		return;
	}
	memcpy(ret, s.p, s.n);
	ret[s.n] = '\0';
}

int status_get(struct slice body, struct status *ret, struct err *err)
{
	struct reader r = reader_of(body);
	uint8_t format = read_u8(&r), digest;

	memset(ret, 0, sizeof *ret);
	ret->unit = read_varint(&r);
	get_text(&r, ret->name, sizeof ret->name);
	ret->as_of_ms = read_signed(&r);
	ret->contact_ms = read_signed(&r);
	ret->epoch = read_u32(&r);
	ret->sealed = read_varint(&r);
	ret->applied = read_varint(&r);
	ret->settled = read_varint(&r);
	ret->pending_segments = read_varint(&r);
	ret->pending_bytes = read_varint(&r);
	ret->oldest_ms = read_signed(&r);
	ret->quarantine = read_varint(&r);
	ret->conflicts = read_varint(&r);
	ret->proposals = read_varint(&r);
	ret->returns = read_varint(&r);
	ret->issues = read_varint(&r);
	digest = read_u8(&r);
	ret->digest = digest <= STATUS_DIFFERS ? (enum status_digest)digest : STATUS_UNKNOWN;
	ret->digest_at_ms = read_signed(&r);
	ret->npolicies = (uint32_t)read_count(&r, ARRAY_SIZE(ret->policies));
	for (uint32_t i = 0; i < ret->npolicies && !r.bad; i++) {
		ret->policies[i].issuer = read_varint(&r);
		ret->policies[i].version = read_varint(&r);
		get_text(&r, ret->policies[i].state, sizeof ret->policies[i].state);
	}
	if (format != STATUS_FORMAT || !reader_done(&r))
		return err_set(err, ERR_FORMAT, "a status of %zu bytes is malformed", body.n);
	return 0;
}
