#include "core/revoke.h"

#include <string.h>

#include "base/text.h"

#define FORMAT 1
#define SERIAL_MOST 40u

void revoke_put(const struct revoke *v, struct buf *b)
{
	buf_put_u8(b, FORMAT);
	buf_put_varint(b, v->unit);
	buf_put(b, v->sign_public, SIGN_PUBLIC_SIZE);
	buf_put_varint(b, v->nserials);
	for (uint32_t i = 0; i < v->nserials; i++)
		buf_put_slice(b, v->serial[i]);
	buf_put_u32(b, v->epoch);
	buf_put_varint(b, v->nstreams);
	for (uint32_t i = 0; i < v->nstreams; i++) {
		buf_put_varint(b, v->stream[i].number);
		buf_put_varint(b, v->stream[i].position);
		buf_put(b, v->stream[i].hash.at, DIGEST_SIZE);
	}
	buf_put_slice(b, v->reason);
}

static bool is_serial(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return s.n > 0 && s.n <= SERIAL_MOST && s.n % 2 == 0;
}

static void get_serials(struct reader *r, struct revoke *v)
{
	v->nserials = (uint32_t)read_count(r, REVOKE_SERIALS);
	for (uint32_t i = 0; i < v->nserials && !r->bad; i++) {
		v->serial[i] = read_slice(r);
		if (!r->bad && (!is_serial(v->serial[i]) || (i > 0 && slice_compare(v->serial[i - 1], v->serial[i]) >= 0)))
			r->bad = true;
	}
	if (v->nserials == 0)
		r->bad = true;
}

static void get_streams(struct reader *r, struct revoke *v)
{
	v->nstreams = (uint32_t)read_count(r, LEVELS);
	for (uint32_t i = 0; i < v->nstreams && !r->bad; i++) {
		struct revoke_stream *s = &v->stream[i];
		struct slice hash;

		s->number = read_varint(r);
		s->position = read_varint(r);
		hash = read_bytes(r, DIGEST_SIZE);
		if (r->bad)
			return;
		memcpy(s->hash.at, hash.p, DIGEST_SIZE);
		if (s->number >= LEVELS || s->position == 0 || (i > 0 && s->number <= v->stream[i - 1].number))
			r->bad = true;
	}
}

int revoke_get(struct slice body, struct revoke *ret, struct err *err)
{
	struct reader r = reader_of(body);
	struct revoke v = { 0 };
	struct slice key;

	if (read_u8(&r) != FORMAT)
		r.bad = true;
	v.unit = read_varint(&r);
	key = read_bytes(&r, SIGN_PUBLIC_SIZE);
	get_serials(&r, &v);
	v.epoch = read_u32(&r);
	get_streams(&r, &v);
	v.reason = read_slice(&r);
	if (!reader_done(&r) || v.unit == UNIT_NONE || v.reason.n > REVOKE_REASON || !utf8_valid(v.reason) ||
	    (v.epoch == 0 && v.nstreams > 0))
		return err_set(err, ERR_FORMAT, "a revocation of %zu bytes is malformed", body.n);
	memcpy(v.sign_public, key.p, SIGN_PUBLIC_SIZE);
	*ret = v;
	return 0;
}
