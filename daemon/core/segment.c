/* Segment: sealing, taking apart, verifying, inflating.  The bytes stand in the head comment of segment_header.c. */
#include "core/segment.h"

#include <inttypes.h>

#include "core/limits.h"
#include "core/segment_header.h"
#include "core/zip.h"

#define DOMAIN "terrace segment 1"
#define DICTIONARY_NEWEST 1u
#define DICTIONARY_PAYS 16384u           /* raw bytes up to which the dictionary is tried */

/* Raw stored, deflated, or deflated with the dictionary: the shortest, into *ret. */
static int compress(struct segment_header *h, struct slice raw, struct buf *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf with = { 0 };
	_cleanup_(buf_release) struct buf context = { 0 };
	int rc = zip_deflate(raw, 0, (struct slice){ NULL, 0 }, ret, err);

	h->codec = CODEC_DEFLATE;
	h->dictionary = 0;
	segment_put_context(&context, h);
	if (rc == 0 && context.failed)
		return err_set(err, ERR_NOMEM, "no memory to seal %zu bytes", raw.n);
	if (rc == 0 && raw.n <= DICTIONARY_PAYS)
		rc = zip_deflate(raw, DICTIONARY_NEWEST, buf_slice(&context), &with, err);
	if (rc != 0)
		return rc;
	if (raw.n <= DICTIONARY_PAYS && with.n + 1 < ret->n) {
		buf_release(ret);
		*ret = with;
		with = (struct buf){ 0 };
		h->codec = CODEC_DICTIONARY;
		h->dictionary = DICTIONARY_NEWEST;
	}
	if (raw.n <= ret->n) {
		buf_clear(ret);
		buf_put(ret, raw.p, raw.n);
		h->codec = CODEC_STORED;
		h->dictionary = 0;
	}
	h->stored = (uint32_t)ret->n;
	h->raw = (uint32_t)raw.n;
	return ret->failed ? err_set(err, ERR_NOMEM, "no memory to seal %zu bytes", raw.n) : 0;
}

static void sign_message(struct buf *b, struct slice head, struct slice stored)
{
	struct digest d = digest_of(stored);

	buf_put(b, head.p, head.n);
	buf_put(b, d.at, DIGEST_SIZE);
}

int segment_seal(struct segment_header *h, struct slice raw, const struct sign_key *key, struct buf *out,
                 struct err *err)
{
	_cleanup_(buf_release) struct buf stored = { 0 };
	_cleanup_(buf_release) struct buf head = { 0 };
	_cleanup_(buf_release) struct buf message = { 0 };
	struct segment_header again;
	uint8_t signature[SIGN_SIZE];
	size_t fixed;
	int rc = compress(h, raw, &stored, err);

	if (rc != 0)
		return rc;
	segment_put_header(&head, h);
	fixed = head.n;
	segment_put_extensions(&head, h);
	if (head.failed)
		return segment_wrong(err, h, ERR_NOMEM, "no memory for its header");
	if (fixed > LIMIT_HEADER_FIXED || head.n > LIMIT_HEADER || stored.n > LIMIT_SEGMENT_STORED)
		return segment_wrong(err, h, ERR_LIMIT, "its header or its payload is larger than a segment may be");
	/* what is sealed can be read back */
	rc = segment_get_header(buf_slice(&head), &again, err);
	if (rc == 0)
		rc = segment_scan_extensions(&again, NULL, NULL, err);
	if (rc != 0)
		return rc;
	sign_message(&message, buf_slice(&head), buf_slice(&stored));
	if (message.failed)
		return segment_wrong(err, h, ERR_NOMEM, "no memory to sign it");
	sign_make(key, DOMAIN, buf_slice(&message), signature);
	buf_put_slice(out, buf_slice(&head));
	buf_put(out, signature, SIGN_SIZE);
	buf_put(out, stored.p, stored.n);
	return out->failed ? segment_wrong(err, h, ERR_NOMEM, "no memory for it") : 0;
}

/* ---- taking apart */

/* The header's bytes at the beginning of `bytes`; n = 0 where more are wanted. */
static int find_header(struct slice bytes, struct slice *ret, struct err *err)
{
	struct reader r = reader_of(bytes);
	uint64_t n;

	*ret = (struct slice){ NULL, 0 };
	if (bytes.n == 0 || (bytes.n == 1 && bytes.p[0] >= 0x80))
		return 0;
	n = read_varint(&r);
	if (r.bad || n == 0)
		return err_set(err, ERR_FORMAT, "segment: malformed length of the header");
	if (n > LIMIT_HEADER)
		return err_set(err, ERR_LIMIT, "segment: a header of %" PRIu64 " bytes, more than %u", n, LIMIT_HEADER);
	if (n <= reader_left(&r))
		*ret = read_bytes(&r, (size_t)n);
	return 0;
}

static size_t whole_length(struct slice bytes, struct slice head, const struct segment_header *h)
{
	return (size_t)(head.p - bytes.p) + head.n + SIGN_SIZE + h->stored;
}

int segment_length(struct slice bytes, size_t *ret_n, struct err *err)
{
	struct segment_header h;
	struct slice head;
	int rc = find_header(bytes, &head, err);

	if (rc != 0)
		return rc;
	if (head.n == 0) {
		*ret_n = 0;
		return 0;
	}
	rc = segment_get_header(head, &h, err);
	if (rc == 0)
		*ret_n = whole_length(bytes, head, &h);
	return rc;
}

int segment_parse(struct slice bytes, struct arena *a, struct segment *ret, struct err *err)
{
	struct segment s = { .bytes = bytes };
	struct segment_header *h = &s.header;
	struct policy_entry *entries;
	uint32_t *lists;
	int rc = find_header(bytes, &s.signed_head, err);

	if (rc != 0)
		return rc;
	if (s.signed_head.n == 0)
		return err_set(err, ERR_FORMAT, "segment: %zu bytes, cut in its header", bytes.n);
	rc = segment_get_header(s.signed_head, h, err);
	if (rc != 0)
		return rc;
	if (bytes.n != whole_length(bytes, s.signed_head, h))
		return segment_wrong(err, h, ERR_FORMAT, "it is cut, or bytes stand behind its end");
	rc = segment_scan_extensions(h, NULL, NULL, err);
	if (rc != 0)
		return rc;
	entries = arena_array(a, h->npolicies, sizeof *entries);
	lists = arena_array(a, h->nlists, sizeof *lists);
	if (a->starved)
		return segment_wrong(err, h, ERR_NOMEM, "memory is short for its policy lists");
	if (entries == NULL || lists == NULL)
		return segment_wrong(err, h, ERR_LIMIT, "its policy lists would take more memory than is allowed");
	rc = segment_scan_extensions(h, entries, lists, err);
	if (rc != 0)
		return rc;
	h->policies = entries;
	h->lists = lists;
	s.signature = (struct slice){ s.signed_head.p + s.signed_head.n, SIGN_SIZE };
	s.stored = (struct slice){ s.signature.p + SIGN_SIZE, h->stored };
	*ret = s;
	return 0;
}

int segment_verify(const struct segment *s, const uint8_t public_key[SIGN_PUBLIC_SIZE], struct err *err)
{
	_cleanup_(buf_release) struct buf message = { 0 };

	sign_message(&message, s->signed_head, s->stored);
	if (message.failed)
		return segment_wrong(err, &s->header, ERR_NOMEM, "no memory to verify it");
	if (!sign_check(public_key, DOMAIN, buf_slice(&message), s->signature.p))
		return segment_wrong(err, &s->header, ERR_SIGNATURE, "its signature is not its author's, or a byte was changed");
	return 0;
}

int segment_inflate(const struct segment *s, struct buf *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf context = { 0 };
	const struct segment_header *h = &s->header;
	int rc;

	if (h->codec == CODEC_STORED) {
		buf_put(ret, s->stored.p, s->stored.n);
		return ret->failed ? segment_wrong(err, h, ERR_NOMEM, "no memory for its payload") : 0;
	}
	segment_put_context(&context, h);
	if (context.failed)
		return segment_wrong(err, h, ERR_NOMEM, "no memory for its payload");
	rc = zip_inflate(s->stored, h->dictionary, buf_slice(&context), h->raw, ret, err);
	if (rc != 0) {
		_cleanup_(buf_release) struct buf name = { 0 };

		segment_name(h, &name);
		return err_prefix(err, "segment %s: ", buf_text(&name));
	}
	return 0;
}

struct digest segment_hash(const struct segment *s)
{
	return digest_of(s->bytes);
}
