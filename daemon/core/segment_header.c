/* Segment header: its bytes, and those of the segment.
 *
 * segment   varint n (<= LIMIT_HEADER), header of n bytes, signature of 64 bytes, stored payload
 * header    varint format 1, varint suite, varint kind, varint author, varint tick, u32 epoch, u64 policy,
 *           varint stream, varint position, then delta and broadcast: 32 bytes hash of the segment
 *           before (zero for the first), state: varint the number that it follows; signed wall_ms, varint changes,
 *           varint codec, of codec 2 varint dictionary, varint stored, varint raw; extensions to the end
 * extension varint type, slice value; types ascend, only type 3 may repeat
 *     1     varint epoch's tick it continues from, u32 its epoch, varint that stream's position
 *     2     nothing: last segment of one seal
 *     3     varint n, n entries: varint issuer, varint version; issuers ascend
 * Codec 2: the preset dictionary is dictionary N and then the header's bytes before `codec`, because versions of a
 * small payload repeat author, mark and policy.  Signed is the domain, NUL, header, BLAKE2b-256 of the stored payload. */
#include "core/segment_header.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/limits.h"

#define UNIT_END UINT64_C(1000000000000)
#define WALL_MOST INT64_C(9007199254740992)

static const char *const kinds[] = {
	[SEGMENT_DELTA] = "delta", [SEGMENT_STATE] = "state", [SEGMENT_POLICY] = "policy",
	[SEGMENT_ACTIVATE] = "activate", [SEGMENT_UNITS] = "units", [SEGMENT_TIME] = "time",
	[SEGMENT_ANCHOR] = "anchor", [SEGMENT_REVOKE] = "revoke", [SEGMENT_BLOB] = "blob",
};

const char *segment_kind_text(uint32_t kind)
{
	return kind >= SEGMENT_DELTA && kind < ARRAY_SIZE(kinds) ? kinds[kind] : "unknown";
}

void segment_name(const struct segment_header *h, struct buf *b)
{
	char unit[UNIT_TEXT_SIZE];

	buf_printf(b, "%s %s", segment_kind_text(h->kind), unit_text(h->author, unit));
	if (h->kind == SEGMENT_DELTA && h->stream < LEVELS)
		buf_printf(b, "/%s", level_name((enum level)h->stream));
	else if (h->kind == SEGMENT_STATE)
		buf_printf(b, " for %s", unit_text(h->stream, unit));
	buf_printf(b, " #%" PRIu64, h->position);
}

int segment_wrong(struct err *err, const struct segment_header *h, int code, const char *what)
{
	_cleanup_(buf_release) struct buf name = { 0 };

	segment_name(h, &name);
	return err_set(err, code, "segment %s: %s", buf_text(&name), what);
}

static void put_list(struct buf *b, const struct policy_entry *list, uint32_t n)
{
	buf_put_varint(b, n);
	for (uint32_t i = 0; i < n; i++) {
		buf_put_varint(b, list[i].issuer);
		buf_put_varint(b, list[i].version);
	}
}

uint64_t policy_list_hash(const struct policy_entry *list, uint32_t n)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct digest d;
	struct reader r;

	put_list(&b, list, n);
	d = digest_of(buf_slice(&b));
	r = reader_of((struct slice){ d.at, 8 });
	return read_u64(&r);
}

void segment_put_extensions(struct buf *b, const struct segment_header *h)
{
	_cleanup_(buf_release) struct buf value = { 0 };
	const struct policy_entry *list = h->policies;
	uint32_t nlists = h->nlists > 0 ? h->nlists : h->npolicies > 0;

	if (h->continues) {
		buf_put_varint(&value, h->continues_mark.tick);
		buf_put_u32(&value, h->continues_mark.epoch);
		buf_put_varint(&value, h->continues_position);
		buf_put_varint(b, EXT_CONTINUES);
		buf_put_slice(b, buf_slice(&value));
	}
	if (h->final) {
		buf_put_varint(b, EXT_FINAL);
		buf_put_varint(b, 0);
	}
	for (uint32_t i = 0; i < nlists; i++) {
		uint32_t n = h->nlists > 0 ? h->lists[i] : h->npolicies;

		buf_clear(&value);
		put_list(&value, list, n);
		list += n;
		buf_put_varint(b, EXT_POLICY_LIST);
		buf_put_slice(b, buf_slice(&value));
	}
	buf_put(b, h->extensions.p, h->extensions.n);
	b->failed |= value.failed;
}

void segment_put_context(struct buf *b, const struct segment_header *h)
{
	buf_put_varint(b, h->format);
	buf_put_varint(b, h->suite);
	buf_put_varint(b, h->kind);
	buf_put_varint(b, h->author);
	buf_put_varint(b, h->tick);
	buf_put_u32(b, h->epoch);
	buf_put_u64(b, h->policy);
	buf_put_varint(b, h->stream);
	buf_put_varint(b, h->position);
	if (h->kind == SEGMENT_STATE)
		buf_put_varint(b, h->follows);
	else
		buf_put(b, h->previous.at, DIGEST_SIZE);
	buf_put_signed(b, h->wall_ms);
	buf_put_varint(b, h->changes);
}

void segment_put_header(struct buf *b, const struct segment_header *h)
{
	segment_put_context(b, h);
	buf_put_varint(b, h->codec);
	if (h->codec == CODEC_DICTIONARY)
		buf_put_varint(b, h->dictionary);
	buf_put_varint(b, h->stored);
	buf_put_varint(b, h->raw);
}

static uint64_t read_below(struct reader *r, uint64_t end)
{
	uint64_t x = read_varint(r);

	if (x >= end)
		r->bad = true;
	return r->bad ? 0 : x;
}

static int get_continues(struct slice value, struct segment_header *h)
{
	struct reader r = reader_of(value);

	h->continues = true;
	h->continues_mark.tick = read_below(&r, LIMIT_TICK);
	h->continues_mark.epoch = read_u32(&r);
	h->continues_position = read_below(&r, LIMIT_TICK);
	return reader_done(&r) ? 0 : -1;
}

/* Lists are counted first (entries NULL), then read. */
static int get_list(struct slice value, struct segment_header *h, struct policy_entry *entries, uint32_t *lists)
{
	struct reader r = reader_of(value);
	uint64_t n = read_count(&r, LIMIT_HEADER), last = 0;

	for (uint64_t i = 0; i < n; i++) {
		struct policy_entry entry = { .issuer = read_varint(&r), .version = read_varint(&r) };

		if (entry.issuer <= last)
			r.bad = true;
		last = entry.issuer;
		if (entries != NULL)
			entries[h->npolicies + i] = entry;
	}
	if (lists != NULL)
		lists[h->nlists] = (uint32_t)n;
	h->npolicies += (uint32_t)n;
	return reader_done(&r) && ++h->nlists <= LIMIT_POLICY_LISTS ? 0 : -1;
}

int segment_scan_extensions(struct segment_header *h, struct policy_entry *entries, uint32_t *lists, struct err *err)
{
	struct reader r = reader_of(h->extensions);
	uint64_t last = 0;

	h->npolicies = h->nlists = 0;
	while (!r.bad && reader_left(&r) > 0) {
		uint64_t type = read_varint(&r);
		struct slice value = read_slice(&r);
		int rc = 0;

		if (r.bad || type < last || type == 0 || (type == last && type != EXT_POLICY_LIST))
			return segment_wrong(err, h, ERR_FORMAT, "its extensions are malformed or not in order");
		last = type;
		if (type == EXT_CONTINUES)
			rc = get_continues(value, h);
		else if (type == EXT_POLICY_LIST)
			rc = get_list(value, h, entries, lists);
		else if (type == EXT_FINAL)
			h->final = true;
		else if (type % 2 != 0)
			return segment_wrong(err, h, ERR_FORMAT, "it has an extension that must be understood and is not; "
			                                 "this node needs a newer version");
		if (rc != 0)
			return segment_wrong(err, h, ERR_FORMAT, "its extensions are malformed");
	}
	return r.bad ? segment_wrong(err, h, ERR_FORMAT, "its extensions are malformed") : 0;
}

static bool header_sound(const struct segment_header *h)
{
	if (h->author == UNIT_NONE || h->codec > CODEC_DICTIONARY)
		return false;
	if (h->codec == CODEC_STORED && h->stored != h->raw)
		return false;
	if (h->codec == CODEC_DICTIONARY && h->dictionary == 0)
		return false;
	if (h->kind == SEGMENT_DELTA && h->stream >= LEVELS)
		return false;
	return h->wall_ms > -WALL_MOST && h->wall_ms < WALL_MOST;
}

static int too_large(const struct segment_header *h, uint64_t stored, uint64_t raw, struct err *err)
{
	char what[120];

	snprintf(what, sizeof what, "its payload of %" PRIu64 " bytes, %" PRIu64 " when inflated; at most %u and %u are allowed",
	         stored, raw, LIMIT_SEGMENT_STORED, LIMIT_SEGMENT_RAW);
	return segment_wrong(err, h, ERR_LIMIT, what);
}

int segment_get_header(struct slice bytes, struct segment_header *h, struct err *err)
{
	struct reader r = reader_of(bytes);
	struct slice previous;
	uint64_t stored, raw;

	*h = (struct segment_header){ 0 };
	h->format = (uint32_t)read_below(&r, UINT32_MAX);
	h->suite = (uint32_t)read_below(&r, UINT32_MAX);
	if (!r.bad && (h->format != SEGMENT_FORMAT || h->suite != SEGMENT_SUITE_ED25519_BLAKE2B))
		return err_set(err, ERR_FORMAT, "segment of format %u, suite %u; this node reads format %u, suite %u",
		               h->format, h->suite, SEGMENT_FORMAT, SEGMENT_SUITE_ED25519_BLAKE2B);
	h->kind = (uint32_t)read_below(&r, UINT32_MAX);
	if (!r.bad && (h->kind < SEGMENT_DELTA || h->kind > SEGMENT_BLOB))
		return err_set(err, ERR_FORMAT, "segment of kind %u; this node knows the kinds %u to %u", h->kind, SEGMENT_DELTA,
		               SEGMENT_BLOB);
	h->author = read_below(&r, UNIT_END);
	h->tick = read_below(&r, LIMIT_TICK);
	h->epoch = read_u32(&r);
	h->policy = read_u64(&r);
	h->stream = read_below(&r, UNIT_END);
	h->position = read_below(&r, LIMIT_TICK);
	if (h->kind == SEGMENT_STATE) {
		h->follows = read_below(&r, LIMIT_TICK);
	} else {
		previous = read_bytes(&r, DIGEST_SIZE);
		if (previous.n == DIGEST_SIZE)
			memcpy(h->previous.at, previous.p, DIGEST_SIZE);
	}
	h->wall_ms = read_signed(&r);
	h->changes = (uint32_t)read_below(&r, UINT64_C(1) << 32);
	h->codec = (uint32_t)read_below(&r, UINT32_MAX);
	if (h->codec == CODEC_DICTIONARY)
		h->dictionary = (uint32_t)read_below(&r, UINT32_MAX);
	stored = read_varint(&r);
	raw = read_varint(&r);
	if (!r.bad && (stored > LIMIT_SEGMENT_STORED || raw > LIMIT_SEGMENT_RAW))
		return too_large(h, stored, raw, err);
	h->stored = (uint32_t)stored;
	h->raw = (uint32_t)raw;
	if (r.bad || !header_sound(h))
		return err_set(err, ERR_FORMAT, "segment: its header of %zu bytes is malformed", bytes.n);
	h->extensions = (struct slice){ r.p, reader_left(&r) };
	return 0;
}
