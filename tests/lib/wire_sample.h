/* Payloads and segments for the tests of the wire format: random ones from a seed, and the named ones of the
 * vectors. */
#ifndef TESTS_WIRE_SAMPLE_H
#define TESTS_WIRE_SAMPLE_H

#include "core/change.h"
#include "core/segment.h"

struct chance {
	uint64_t state;
};

uint64_t chance_next(struct chance *c);
uint64_t chance_below(struct chance *c, uint64_t end);

/* Registers of one to three key cells, groups, every class and disguise of cells, several parts of one group. */
struct payload *sample_random(struct arena *a, uint64_t seed, uint32_t most_changes);
/* What a payload says, the same whatever its order or numbering: one line a change, sorted; items as they stand. */
void sample_describe(const struct payload *p, struct buf *b);

struct sample {
	const char *name;                /* "delta-one" */
	struct segment_header header;
	struct payload *payload;         /* NULL: body is the raw payload (broadcasts) */
	struct slice body;
};

/* The named samples, n of them; each is the same at every call. */
uint32_t sample_count(void);
struct sample *sample_named(struct arena *a, uint32_t n);
/* The key that signs them. */
void sample_key(struct sign_key *ret);

#endif
