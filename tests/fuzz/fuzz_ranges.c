/* One register's spans: whatever decodes encodes, and comes back the same. */
#include <stdlib.h>

#include "core/ranges.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(arena_release) struct arena a = { .cap = 32u << 20 };
	_cleanup_(buf_release) struct buf one = { 0 }, two = { 0 };
	struct reader r = reader_of((struct slice){ data, size });
	struct spans s, again;

	spans_get(&r, &a, &s);
	if (r.bad)
		return 0;
	spans_put(&one, &s);
	r = reader_of(buf_slice(&one));
	spans_get(&r, &a, &again);
	if (a.failed || one.failed)
		return 0;
	if (!reader_done(&r) || again.n != s.n || again.nunits != s.nunits)
		abort();
	spans_put(&two, &again);
	if (!slice_equal(buf_slice(&one), buf_slice(&two)))
		abort();
	return 0;
}
