#include "base/rand.h"

#include <sodium.h>
#include <stdlib.h>

void rand_start(void)
{
	if (sodium_init() < 0)
		abort();
}

void rand_bytes(void *p, size_t n)
{
	randombytes_buf(p, n);
}
