/* Digest: BLAKE2b (RFC 7693) through libsodium, unkeyed.  A term is the 16-byte hash, not a cut of the 32-byte
 * one: the length is part of BLAKE2b's parameters. */
#include "core/digest.h"

#include <sodium.h>

struct digest digest_of(struct slice s)
{
	return digest_two(s, (struct slice){ NULL, 0 });
}

struct digest digest_two(struct slice a, struct slice b)
{
	crypto_generichash_state state;
	struct digest d;

	crypto_generichash_init(&state, NULL, 0, DIGEST_SIZE);
	if (a.n > 0)
		crypto_generichash_update(&state, a.p, a.n);
	if (b.n > 0)
		crypto_generichash_update(&state, b.p, b.n);
	crypto_generichash_final(&state, d.at, DIGEST_SIZE);
	return d;
}

struct digest digest_chain(const struct digest *previous, struct slice s)
{
	return digest_two((struct slice){ previous->at, DIGEST_SIZE }, s);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return sodium_memcmp(a->at, b->at, DIGEST_SIZE) == 0;
}

bool digest_zero(const struct digest *d)
{
	return sodium_is_zero(d->at, DIGEST_SIZE) == 1;
}

struct term term_of(struct slice s)
{
	struct term t;

	crypto_generichash(t.at, TERM_SIZE, s.p, s.n, NULL, 0);
	return t;
}

void term_add(struct term *sum, const struct term *t)
{
	sodium_add(sum->at, t->at, TERM_SIZE);
}

void term_subtract(struct term *sum, const struct term *t)
{
	sodium_sub(sum->at, t->at, TERM_SIZE);
}

bool term_equal(const struct term *a, const struct term *b)
{
	return sodium_memcmp(a->at, b->at, TERM_SIZE) == 0;
}
