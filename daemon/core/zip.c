/* Zip: raw deflate (RFC 1951) through zlib.  Level 6 in one pass; a smaller memory than zlib's default
 * makes blocks shorter, which fits columns that differ from one another. */
#include "core/zip.h"

#include <limits.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "core/dict.h"
#include "core/limits.h"

#define LEVEL 6
#define WINDOW (-15)                     /* negative: raw, no zlib header */
#define MEMORY 6

struct slice zip_dictionary(uint32_t number)
{
	if (number == 1)
		return (struct slice){ (const uint8_t *)dict_terrace_1, dict_terrace_1_size };
	return (struct slice){ NULL, 0 };
}

/* Dictionary and context in one piece, in b; empty for 0. */
static int make_preset(uint32_t number, struct slice context, struct buf *b, struct err *err)
{
	struct slice words = zip_dictionary(number);

	if (number == 0)
		return 0;
	if (words.n == 0)
		return err_set(err, ERR_FORMAT, "compression dictionary %u is not known here; "
		                                "the sender must seal for the formats this node names", number);
	buf_put(b, words.p, words.n);
	buf_put(b, context.p, context.n);
	return b->failed ? err_set(err, ERR_NOMEM, "no memory for compression dictionary %u", number) : 0;
}

int zip_deflate(struct slice raw, uint32_t dictionary, struct slice context, struct buf *out, struct err *err)
{
	_cleanup_(buf_release) struct buf preset = { 0 };
	z_stream z = { 0 };
	size_t start = out->n, room;
	uint8_t *p;
	int rc = make_preset(dictionary, context, &preset, err);

	if (rc != 0)
		return rc;
	if (raw.n > LIMIT_SEGMENT_RAW)
		return err_set(err, ERR_LIMIT, "%zu bytes to compress, more than %u", raw.n, LIMIT_SEGMENT_RAW);
	if (deflateInit2(&z, LEVEL, Z_DEFLATED, WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return err_set(err, ERR_NOMEM, "no memory to compress %zu bytes", raw.n);
	if (preset.n > 0)
		deflateSetDictionary(&z, preset.p, (uInt)preset.n);
	room = deflateBound(&z, raw.n);
	p = buf_reserve(out, room);
	if (p == NULL) {
		deflateEnd(&z);
		return err_set(err, ERR_NOMEM, "no memory to compress %zu bytes", raw.n);
	}
	z.next_out = p;
	z.avail_out = (uInt)room;
	z.next_in = raw.p;
	z.avail_in = (uInt)raw.n;
	rc = deflate(&z, Z_FINISH);
	out->n = start + z.total_out;
	deflateEnd(&z);
	return rc == Z_STREAM_END ? 0 : err_set(err, ERR_BUG, "zlib ended with %d where the output had room", rc);
}

int zip_inflate(struct slice stored, uint32_t dictionary, struct slice context, size_t raw_length, struct buf *out,
                struct err *err)
{
	_cleanup_(buf_release) struct buf preset = { 0 };
	z_stream z = { 0 };
	size_t start = out->n;
	uint8_t nothing, *p = &nothing;
	bool whole;
	int rc = make_preset(dictionary, context, &preset, err);

	if (rc != 0)
		return rc;
	if (raw_length > LIMIT_SEGMENT_RAW || stored.n > LIMIT_SEGMENT_STORED)
		return err_set(err, ERR_LIMIT, "%zu bytes to inflate to %zu, more than %u", stored.n, raw_length,
		               LIMIT_SEGMENT_RAW);
	if (inflateInit2(&z, WINDOW) != Z_OK)
		return err_set(err, ERR_NOMEM, "no memory to inflate %zu bytes", stored.n);
	if (preset.n > 0)
		inflateSetDictionary(&z, preset.p, (uInt)preset.n);
	if (raw_length > 0)
		p = buf_reserve(out, raw_length);
	if (p == NULL) {
		inflateEnd(&z);
		return err_set(err, ERR_NOMEM, "no memory to inflate to %zu bytes", raw_length);
	}
	z.next_out = p;
	z.avail_out = (uInt)raw_length;
	z.next_in = stored.p;
	z.avail_in = (uInt)stored.n;
	rc = inflate(&z, Z_FINISH);
	whole = rc == Z_STREAM_END && z.avail_out == 0 && z.avail_in == 0;
	inflateEnd(&z);
	if (whole)
		return 0;
	out->n = start;
	return err_set(err, ERR_FORMAT, "the stored payload does not inflate to exactly %zu bytes (zlib: %d)",
	               raw_length, rc);
}
