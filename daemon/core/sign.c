/* Sign: Ed25519 over `domain`, NUL, message.  What is signed is a header and a hash, so it nearly always fits on
 * the stack; without memory for a longer one the signature is zero, which no key verifies. */
#include "core/sign.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_ON_STACK 9216

int sign_init(struct err *err)
{
	if (sodium_init() < 0)
		return err_set(err, ERR_IO, "the system gives no randomness (libsodium cannot start); "
		                            "check getrandom(2) and /dev/urandom");
	return 0;
}

void sign_key_new(struct sign_key *ret)
{
	randombytes_buf(ret->seed, sizeof ret->seed);
	crypto_sign_seed_keypair(ret->public_key, ret->secret, ret->seed);
}

void sign_key_from_seed(const uint8_t seed[SIGN_SEED_SIZE], struct sign_key *ret)
{
	memcpy(ret->seed, seed, SIGN_SEED_SIZE);
	crypto_sign_seed_keypair(ret->public_key, ret->secret, ret->seed);
}

void sign_key_release(struct sign_key *k)
{
	sodium_memzero(k, sizeof *k);
}

/* Domain, NUL, message in one piece: in `small` or, where too long for it, in memory that the caller frees. */
static uint8_t *tagged(const char *domain, struct slice message, uint8_t *small, size_t *ret_n)
{
	size_t tag = strlen(domain) + 1;
	uint8_t *p = small;

	*ret_n = tag + message.n;
	if (*ret_n > MESSAGE_ON_STACK)
		p = malloc(*ret_n);
	if (p == NULL)
		return NULL;
	memcpy(p, domain, tag);
	if (message.n > 0)
		memcpy(p + tag, message.p, message.n);
	return p;
}

void sign_make(const struct sign_key *k, const char *domain, struct slice message, uint8_t ret[SIGN_SIZE])
{
	uint8_t small[MESSAGE_ON_STACK];
	size_t n;
	uint8_t *p = tagged(domain, message, small, &n);

	if (p == NULL) {
		memset(ret, 0, SIGN_SIZE);
		return;
	}
	crypto_sign_detached(ret, NULL, p, n, k->secret);
	if (p != small)
		free(p);
}

bool sign_check(const uint8_t public_key[SIGN_PUBLIC_SIZE], const char *domain, struct slice message,
                const uint8_t signature[SIGN_SIZE])
{
	uint8_t small[MESSAGE_ON_STACK];
	size_t n;
	uint8_t *p = tagged(domain, message, small, &n);
	bool good;

	if (p == NULL)
		return false;
	good = crypto_sign_verify_detached(signature, p, n, public_key) == 0;
	if (p != small)
		free(p);
	return good;
}

bool bytes_equal_secret(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

void bytes_wipe(void *p, size_t n)
{
	sodium_memzero(p, n);
}
