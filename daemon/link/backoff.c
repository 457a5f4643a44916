#include "link/backoff.h"

#include "base/bytes.h"

void backoff_reset(struct backoff *b)
{
	b->failures = 0;
}

int64_t backoff_next(struct backoff *b, const struct source *source)
{
	int64_t ceiling = BACKOFF_LEAST_MS;
	uint64_t random = 0;

	for (uint32_t i = 0; i < b->failures && ceiling < BACKOFF_MOST_MS; i++)
		ceiling *= 2;
	ceiling = MIN(ceiling, BACKOFF_MOST_MS);
	if (b->failures < UINT32_MAX)
		b->failures++;
	source->random(source->arg, &random, sizeof(random));
	return (int64_t)(random % ((uint64_t)ceiling + 1));
}
