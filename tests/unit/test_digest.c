/* Digests and signatures: published vectors, and the algebra of terms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "core/digest.h"
#include "core/sign.h"

static void assert_hex(const void *p, size_t n, const char *hex)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	hex_put(&b, (struct slice){ p, n });
	assert_string_equal(buf_text(&b), hex);
}

/* BLAKE2b-256 and BLAKE2b-128 as hashlib.blake2b(b"abc", digest_size=n) gives them. */
static void test_known(void **state)
{
	struct digest d = digest_of(slice_of("abc")), two = digest_two(slice_of("a"), slice_of("bc"));
	struct term t = term_of(slice_of("abc"));

	(void)state;
	assert_hex(d.at, DIGEST_SIZE, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
	assert_hex(t.at, TERM_SIZE, "cf4ab791c62b8d2b2109c90275287816");
	assert_true(digest_equal(&d, &two));
	d = digest_of((struct slice){ NULL, 0 });
	assert_hex(d.at, DIGEST_SIZE, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

static void test_chain(void **state)
{
	struct digest zero = { 0 }, one = digest_chain(&zero, slice_of("segment 1"));
	struct digest two = digest_chain(&one, slice_of("segment 2"));
	struct digest same = digest_two((struct slice){ one.at, DIGEST_SIZE }, slice_of("segment 2"));

	(void)state;
	assert_true(digest_zero(&zero));
	assert_false(digest_zero(&one));
	assert_true(digest_equal(&two, &same));
	assert_false(digest_equal(&one, &two));
}

static void test_terms(void **state)
{
	struct term a = term_of(slice_of("a")), b = term_of(slice_of("b")), sum = { 0 }, other = { 0 };
	struct term carry, one = { { 1 } }, zero = { 0 };

	(void)state;
	term_add(&sum, &a);
	term_add(&sum, &b);
	term_add(&other, &b);
	term_add(&other, &a);
	assert_true(term_equal(&sum, &other));
	term_subtract(&sum, &a);
	assert_true(term_equal(&sum, &b));
	memset(&carry, 0xff, sizeof carry);              /* 2^128 − 1 + 1 = 0 */
	term_add(&carry, &one);
	assert_true(term_equal(&carry, &zero));
	term_subtract(&carry, &one);
	assert_int_equal(carry.at[TERM_SIZE - 1], 0xff);
}

/* RFC 8032, 7.1, test 1: the seed, and a signature made without a domain is not ours. */
static void test_sign(void **state)
{
	struct sign_key k, other;
	uint8_t seed[SIGN_SEED_SIZE], signature[SIGN_SIZE];
	static uint8_t large[20000];

	(void)state;
	assert_int_equal(hex_get(slice_of("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"), seed,
	                         sizeof seed), 0);
	sign_key_from_seed(seed, &k);
	assert_hex(k.public_key, SIGN_PUBLIC_SIZE, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
	sign_make(&k, "domain", slice_of("message"), signature);
	assert_true(sign_check(k.public_key, "domain", slice_of("message"), signature));
	assert_false(sign_check(k.public_key, "domai", slice_of("nmessage"), signature));
	assert_false(sign_check(k.public_key, "other", slice_of("message"), signature));
	assert_false(sign_check(k.public_key, "domain", slice_of("messagE"), signature));
	for (unsigned i = 0; i < SIGN_SIZE; i++) {
		signature[i] ^= 1;
		assert_false(sign_check(k.public_key, "domain", slice_of("message"), signature));
		signature[i] ^= 1;
	}
	sign_make(&k, "domain", (struct slice){ large, sizeof large }, signature);
	assert_true(sign_check(k.public_key, "domain", (struct slice){ large, sizeof large }, signature));
	sign_key_new(&other);
	assert_false(sign_check(other.public_key, "domain", (struct slice){ large, sizeof large }, signature));
	sign_key_release(&k);
	for (unsigned i = 0; i < SIGN_SEED_SIZE; i++)
		assert_int_equal(k.seed[i], 0);
	assert_true(bytes_equal_secret("abc", "abc", 3));
	assert_false(bytes_equal_secret("abc", "abd", 3));
}

static int start(void **state)
{
	(void)state;
	return sign_init(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known), cmocka_unit_test(test_chain), cmocka_unit_test(test_terms),
		cmocka_unit_test(test_sign),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
