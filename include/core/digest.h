/* Digest: BLAKE2b hashes, the link's hash chain, and additive digests of sets of rows (design protocol §7). */
#ifndef CORE_DIGEST_H
#define CORE_DIGEST_H

#include "base/bytes.h"

#define DIGEST_SIZE 32
#define TERM_SIZE 16

struct digest {
	uint8_t at[DIGEST_SIZE];
};

struct term {                            /* a 128-bit number, little-endian; sums are modulo 2^128 */
	uint8_t at[TERM_SIZE];
};

struct digest digest_of(struct slice s);
struct digest digest_two(struct slice a, struct slice b);        /* of the concatenation */
struct digest digest_chain(const struct digest *previous, struct slice s);       /* H(n) = BLAKE2b(H(n−1), s) */
bool digest_equal(const struct digest *a, const struct digest *b);               /* constant time */
bool digest_zero(const struct digest *d);
struct term term_of(struct slice s);
void term_add(struct term *sum, const struct term *t);
void term_subtract(struct term *sum, const struct term *t);
bool term_equal(const struct term *a, const struct term *b);

#endif
