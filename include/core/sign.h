/* Sign: Ed25519 (RFC 8032) through libsodium.  Secret keys are wiped when released. */
#ifndef CORE_SIGN_H
#define CORE_SIGN_H

#include "base/bytes.h"
#include "base/err.h"

#define SIGN_PUBLIC_SIZE 32
#define SIGN_SEED_SIZE 32
#define SIGN_SIZE 64

struct sign_key {
	uint8_t seed[SIGN_SEED_SIZE];
	uint8_t public_key[SIGN_PUBLIC_SIZE];
	uint8_t secret[64];
};

int sign_init(struct err *err);                  /* once, before any other use */
void sign_key_new(struct sign_key *ret);         /* from the system's randomness */
void sign_key_from_seed(const uint8_t seed[SIGN_SEED_SIZE], struct sign_key *ret);
void sign_key_release(struct sign_key *k);       /* wipes */
/* Signs domain tag (NUL-terminated, counted with its NUL) and message. */
void sign_make(const struct sign_key *k, const char *domain, struct slice message, uint8_t ret[SIGN_SIZE]);
bool sign_check(const uint8_t public_key[SIGN_PUBLIC_SIZE], const char *domain, struct slice message,
                const uint8_t signature[SIGN_SIZE]);
bool bytes_equal_secret(const void *a, const void *b, size_t n);         /* constant time */
void bytes_wipe(void *p, size_t n);

#endif
