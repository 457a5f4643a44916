/* Backoff: full jitter.  The n-th pause after a success is a random part of min(MOST, LEAST * 2^n). */
#ifndef LINK_BACKOFF_H
#define LINK_BACKOFF_H

#include "base/clock.h"

#define BACKOFF_LEAST_MS 5000
#define BACKOFF_MOST_MS  (30 * 60 * 1000)

struct backoff {
	uint32_t failures;
};

void backoff_reset(struct backoff *b);
/* Milliseconds to wait now, 0..BACKOFF_MOST_MS; a function of b and the source's randomness alone. */
int64_t backoff_next(struct backoff *b, const struct source *source);

#endif
