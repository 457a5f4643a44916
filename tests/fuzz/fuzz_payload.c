/* A raw payload: whatever decodes encodes, and comes back the same. */
#include <stdlib.h>

#include "core/change.h"
#include "wire_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(arena_release) struct arena a = { .cap = 32u << 20 };
	_cleanup_(buf_release) struct buf raw = { 0 };
	_cleanup_(buf_release) struct buf before = { 0 };
	_cleanup_(buf_release) struct buf after = { 0 };
	struct payload p, q;
	struct err err;
	int rc = payload_decode((struct slice){ data, size }, &a, &p, &err);

	if (rc != 0) {
		if (rc != ERR_FORMAT && rc != ERR_LIMIT)
			abort();
		return 0;
	}
	/* a text may be built from one entry of a dictionary many times: together more than may be encoded */
	rc = payload_encode(&p, &raw, &err);
	if (rc == ERR_LIMIT)
		return 0;
	if (rc != 0 || payload_decode(buf_slice(&raw), &a, &q, &err) != 0) {
		if (a.failed)
			return 0;
		abort();
	}
	sample_describe(&p, &before);
	sample_describe(&q, &after);
	if (!slice_equal(buf_slice(&before), buf_slice(&after)))
		abort();
	return 0;
}
