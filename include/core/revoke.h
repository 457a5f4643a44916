/* Revoke: the document of a revocation, what a segment of kind revoke carries (terrace-wire(7), Revoke).
 *
 * byte 1 (format); varint unit; 32 bytes: the signing key that its certificates named; varint count 1..REVOKE_SERIALS of
 * serial numbers, each length-prefixed hexadecimal text, ascending; 4 bytes: the epoch last trusted (0: nothing is);
 * varint count ≤ LEVELS of streams, ascending, per stream varint number, varint last position trusted (≥ 1), 32 bytes
 * hash of that segment; length-prefixed reason in words, UTF-8, ≤ REVOKE_REASON bytes, may be empty. */
#ifndef CORE_REVOKE_H
#define CORE_REVOKE_H

#include "core/digest.h"
#include "core/sign.h"
#include "core/unit.h"

#define REVOKE_SERIALS 256u
#define REVOKE_REASON  200u

struct revoke_stream {
	uint64_t number, position;
	struct digest hash;
};

struct revoke {
	uint64_t unit;
	uint8_t sign_public[SIGN_PUBLIC_SIZE];
	uint32_t nserials;
	struct slice serial[REVOKE_SERIALS];     /* views */
	uint32_t epoch;
	uint32_t nstreams;
	struct revoke_stream stream[LEVELS];
	struct slice reason;             /* a view */
};

void revoke_put(const struct revoke *v, struct buf *b);
int revoke_get(struct slice body, struct revoke *ret, struct err *err);

#endif
