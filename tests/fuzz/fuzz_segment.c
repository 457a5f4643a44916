/* A whole segment, as it comes from a peer or a stick: length, header, signature, payload. */
#include <stdlib.h>

#include "core/change.h"
#include "core/segment.h"
#include "wire_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(arena_release) struct arena a = { .cap = 16u << 20 };
	_cleanup_(buf_release) struct buf raw = { 0 };
	_cleanup_(buf_release) struct buf name = { 0 };
	struct slice bytes = { data, size };
	struct sign_key key;
	struct segment s;
	struct payload p;
	struct err err;
	size_t n = 0;
	int length = segment_length(bytes, &n, &err);

	if (segment_parse(bytes, &a, &s, &err) != 0)
		return 0;
	if (length != 0 || n != size)
		abort();                         /* both read the same header */
	segment_name(&s.header, &name);
	sample_key(&key);
	(void)segment_verify(&s, key.public_key, &err);
	/* a fuzzer finds no signature: what a signed segment may hold is looked at all the same */
	if (segment_inflate(&s, &raw, &err) == 0 && raw.n != s.header.raw)
		abort();
	if (s.header.kind == SEGMENT_DELTA || s.header.kind == SEGMENT_STATE)
		(void)payload_decode(buf_slice(&raw), &a, &p, &err);
	return 0;
}
