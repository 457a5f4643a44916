/* policy_get: any bytes; what it takes must be written back as the same bytes. */
#include <stdlib.h>

#include "core/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_(arena_release) struct arena a = {.cap = 64u << 20};
	_cleanup_(buf_release) struct buf b = {0};
	struct policy p;
	struct err err = {0};
	if (policy_get((struct slice){data, n}, &a, &p, &err) != 0)
		return 0;
	if (policy_put(&p, &b, &err) != 0 || !slice_equal(buf_slice(&b), (struct slice){data, n}))
		abort();
	return 0;
}
