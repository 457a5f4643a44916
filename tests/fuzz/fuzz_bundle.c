/* The content of a bundle, as its sender signed it: whatever decodes encodes to the same bytes, the signature apart; and a
 * file that is no box of ours opens to nothing. */
#include <stdlib.h>
#include <string.h>

#include "core/box.h"
#include "core/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sign_key key;
	_cleanup_(arena_release) struct arena a = { .cap = 32u << 20 };
	_cleanup_(buf_release) struct buf again = { 0 }, opened = { 0 };
	const struct slice content = { data, size };
	struct bundle b;

	if (key.secret[0] == 0 && key.secret[1] == 0) {
		if (sign_init(NULL) != 0)
			abort();
		sign_key_from_seed((const uint8_t[SIGN_SEED_SIZE]){ 1, 2, 3 }, &key);
	}
	if (box_open(&key, content, size, &opened, NULL) == 0)
		abort();
	if (bundle_get(content, &a, &b, NULL) != 0)
		return 0;
	if (bundle_put(&b, &key, &again, NULL) != 0)
		abort();
	if (again.n != size || memcmp(again.p, data, size - SIGN_SIZE) != 0)
		abort();
	if (bundle_verify(&b, key.public_key, NULL) == 0 && memcmp(again.p, data, size) != 0)
		abort();
	return 0;
}
