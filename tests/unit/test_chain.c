/* Certificates: what a good chain says, and every bad one that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "core/chain.h"
#include "core/limits.h"

#define COUNTY UINT64_C(532999000000)
#define TOWN UINT64_C(532999001000)
#define TOWN_2 UINT64_C(532999002000)
#define VILLAGE UINT64_C(532999001001)
#define LINE "civil-affairs"
#define FROM INT64_C(1764000000)
#define UNTIL (FROM + 2 * 365 * 86400)

struct node {
	struct buf key, cert;
	struct sign_key sign;
};

static struct node county, town, village, foreign;
static uint8_t serial_last;

static void node_release(struct node *n)
{
	buf_release(&n->key);
	buf_release(&n->cert);
}

static void make_root(struct node *n, uint64_t unit, const char *line, const char *name)
{
	struct sign_key recovery;
	uint8_t serial[16] = { 0xff, ++serial_last };
	struct err e = { 0 };

	sign_key_new(&n->sign);
	sign_key_new(&recovery);
	assert_int_equal(chain_key_new(&n->key, &e), 0);
	assert_int_equal(chain_self_signed(buf_slice(&n->key), unit, line, name, n->sign.public_key, recovery.public_key,
	                                   serial, FROM, FROM + 20 * INT64_C(365) * 86400, &n->cert, &e), 0);
}

static int try_issue(struct node *n, const struct node *by, uint64_t asked, uint64_t unit, const char *line,
                     const char *name, struct err *e)
{
	_cleanup_(buf_release) struct buf request = { 0 };
	uint8_t serial[16] = { 0x80, ++serial_last };

	sign_key_new(&n->sign);
	assert_int_equal(chain_key_new(&n->key, e), 0);
	assert_int_equal(chain_request(buf_slice(&n->key), asked, line, name, n->sign.public_key, &request, e), 0);
	return chain_issue(buf_slice(&request), unit, LINE, name, buf_slice(&by->key), buf_slice(&by->cert), serial, FROM,
	                   UNTIL, &n->cert, e);
}

static void issue(struct node *n, const struct node *by, uint64_t unit, const char *name)
{
	struct err e = { 0 };

	if (try_issue(n, by, unit, unit, LINE, name, &e))
		fail_msg("%s", e.text);
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(sign_init(NULL), 0);
	make_root(&county, COUNTY, LINE, "滇池县, \"East\" + 1\\2");
	issue(&town, &county, TOWN, "东风乡");
	issue(&village, &town, VILLAGE, "");
	make_root(&foreign, COUNTY, LINE, "impostor");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	node_release(&county);
	node_release(&town);
	node_release(&village);
	node_release(&foreign);
	return 0;
}

static void bundle(struct buf *b, const struct node *const *nodes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_put(b, nodes[i]->cert.p, nodes[i]->cert.n);
}

#define BUNDLE(b, ...) \
	bundle(b, (const struct node *const[]){ __VA_ARGS__ }, \
	       sizeof((const struct node *const[]){ __VA_ARGS__ }) / sizeof(struct node *))

static struct digest top_pin(void)
{
	struct chain c;

	assert_int_equal(chain_read(buf_slice(&county.cert), NULL, &c, NULL), 0);
	return c.at[0].pin;
}

static void refused(struct buf *pem, int code, const char *says)
{
	struct digest pin = top_pin();
	struct chain c = { .n = 77 };
	struct err e = { 0 };

	assert_int_equal(chain_read(buf_slice(pem), &pin, &c, &e), code);
	if (!strstr(e.text, says))
		fail_msg("\"%s\" does not say \"%s\"", e.text, says);
	assert_int_equal(c.n, 77);
	buf_release(pem);
}

static void test_good(void **state)
{
	_cleanup_(buf_release) struct buf pem = { 0 };
	struct digest pin = top_pin();
	struct chain c;
	struct err e = { 0 };

	(void)state;
	BUNDLE(&pem, &village, &town, &county);
	if (chain_read(buf_slice(&pem), &pin, &c, &e))
		fail_msg("%s", e.text);
	assert_int_equal(c.n, 3);
	assert_true(c.at[0].unit == VILLAGE && c.at[1].unit == TOWN && c.at[2].unit == COUNTY);
	assert_string_equal(c.at[0].line, LINE);
	assert_string_equal(c.at[0].name, "");
	assert_string_equal(c.at[1].name, "东风乡");
	assert_string_equal(c.at[2].name, "滇池县, \"East\" + 1\\2");
	assert_memory_equal(c.at[0].sign_public, village.sign.public_key, 32);
	assert_false(c.at[0].has_recovery);
	assert_true(c.at[2].has_recovery);
	assert_int_equal(strlen(c.at[0].serial), 32);
	assert_int_equal(c.at[0].from_s, FROM);
	assert_int_equal(c.at[0].until_s, UNTIL);
	assert_int_equal(chain_dates(&c, FROM, &e), 0);
	assert_int_equal(chain_dates(&c, UNTIL, &e), 0);
	assert_int_equal(chain_dates(&c, UNTIL + 1, &e), ERR_EXPIRED);
	assert_non_null(strstr(e.text, "532999001001: expired 2027-"));
	assert_int_equal(chain_dates(&c, FROM - 1, &e), ERR_EXPIRED);
	print_message("    chain of three: %zu bytes of PEM\n", pem.n);
}

/* A village directly under the county, and two roots that differ only in their key. */
static void test_foreign(void **state)
{
	struct node child = { 0 };
	struct buf pem = { 0 };

	(void)state;
	issue(&child, &foreign, TOWN, "东风乡");
	BUNDLE(&pem, &child, &foreign);
	refused(&pem, ERR_CHAIN, "not this tree's");
	BUNDLE(&pem, &child, &county);   /* same names, the real root behind it */
	refused(&pem, ERR_CHAIN, "not signed by the certificate of 532999000000");
	BUNDLE(&pem, &town);
	refused(&pem, ERR_CHAIN, "not signed");
	node_release(&child);
}

static void test_containment(void **state)
{
	struct node child = { 0 };
	struct buf pem = { 0 };
	struct err e = { 0 };

	(void)state;
	/* The issuing side refuses. */
	assert_int_equal(try_issue(&child, &town, TOWN_2, TOWN_2, LINE, "", &e), ERR_SCOPE);
	node_release(&child);
	assert_int_equal(try_issue(&child, &town, TOWN, TOWN, LINE, "", &e), ERR_SCOPE);
	node_release(&child);
	assert_int_equal(try_issue(&child, &county, TOWN_2, TOWN, LINE, "", &e), ERR_REFUSED);
	node_release(&child);
	assert_int_equal(try_issue(&child, &county, TOWN, TOWN, "health", "", &e), ERR_REFUSED);
	node_release(&child);
	/* The checking side refuses a chain put together from true certificates. */
	issue(&child, &county, TOWN_2, "");
	BUNDLE(&pem, &village, &child, &county);
	refused(&pem, ERR_CHAIN, "issued by 532999002000, which is not above it");
	BUNDLE(&pem, &town, &village, &county);
	refused(&pem, ERR_CHAIN, "issued by 532999001001, which is not above it");
	BUNDLE(&pem, &town, &town, &county);
	refused(&pem, ERR_CHAIN, "which is not above it");
	BUNDLE(&pem, &county, &county);
	refused(&pem, ERR_CHAIN, "a recovery key is the top node's alone");
	node_release(&child);
}

/* A root of another line that signs with the same unit: the certificate's line differs from its issuer's. */
static void test_line(void **state)
{
	struct node other = { 0 };
	struct buf pem = { 0 };

	(void)state;
	make_root(&other, COUNTY, "health", "other line");
	BUNDLE(&pem, &town, &other);
	refused(&pem, ERR_CHAIN, "line \"civil-affairs\", its issuer's is \"health\"");
	BUNDLE(&pem, &other);
	refused(&pem, ERR_CHAIN, "not this tree's");
	node_release(&other);
}

/* Every byte of a DER chain turned over: never accepted, never a crash. */
static void test_tampered(void **state)
{
	_cleanup_(buf_release) struct buf der = { 0 }, root = { 0 };
	const struct node *nodes[] = { &town, &county };
	struct buf *to[] = { &der, &root };
	struct digest pin = top_pin();
	struct chain c;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *p = strstr(buf_text(&((struct node *)(uintptr_t)nodes[i])->cert), "-----\n") + 6;
		uint32_t bits = 0, have = 0;
		for (; *p != '-'; p++) {
			const char *set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", *at = strchr(set, *p);
			if (*p == '\n' || !at)
				continue;
			bits = bits << 6 | (uint32_t)(at - set);
			have += 6;
			if (have >= 8) {
				have -= 8;
				buf_put_u8(to[i], (uint8_t)(bits >> have));
			}
		}
	}
	struct slice good[] = { buf_slice(&der), buf_slice(&root) };
	assert_int_equal(chain_read_der(good, 2, &pin, &c, NULL), 0);
	for (size_t at = 0; at < der.n; at++) {
		der.p[at] ^= 0x21;
		int r = chain_read_der(good, 2, &pin, &c, NULL);
		if (!r)
			fail_msg("byte %zu of %zu is not protected", at, der.n);
		der.p[at] ^= 0x21;
	}
	for (size_t n = 0; n < der.n; n += 7) {
		struct slice cut[] = { { der.p, n }, good[1] };
		assert_int_not_equal(chain_read_der(cut, 2, &pin, &c, NULL), 0);
	}
}

static void test_sizes(void **state)
{
	struct buf pem = { 0 };
	struct slice many[LIMIT_CHAIN + 1];
	struct chain c;

	(void)state;
	refused(&pem, ERR_CHAIN, "PEM");
	buf_put(&pem, "no certificate at all", 21);
	refused(&pem, ERR_CHAIN, "PEM");
	BUNDLE(&pem, &town, &town, &town, &town, &town, &town, &county);
	refused(&pem, ERR_LIMIT, "more than 6");
	memset(buf_reserve(&pem, LIMIT_CHAIN_BYTES + 1), 'A', LIMIT_CHAIN_BYTES + 1);
	refused(&pem, ERR_LIMIT, "at most 16384");
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = buf_slice(&town.cert);
	assert_int_equal(chain_read_der(many, LIMIT_CHAIN + 1, NULL, &c, NULL), ERR_LIMIT);
	assert_int_equal(chain_read_der(many, 0, NULL, &c, NULL), ERR_CHAIN);
	assert_int_equal(chain_read_der(many, 1, NULL, &c, NULL), ERR_CHAIN);    /* PEM where DER belongs */
}

static void test_request(void **state)
{
	_cleanup_(buf_release) struct buf request = { 0 };
	struct facts f;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chain_request(buf_slice(&town.key), TOWN, LINE, "名", town.sign.public_key, &request, &e), 0);
	assert_int_equal(chain_request_read(buf_slice(&request), &f, &e), 0);
	assert_true(f.unit == TOWN);
	assert_string_equal(f.line, LINE);
	assert_string_equal(f.name, "名");
	assert_memory_equal(f.sign_public, town.sign.public_key, 32);
	for (size_t at = 60; at < request.n - 60; at += 5) {
		uint8_t was = request.p[at];
		if (was == '\n')
			continue;
		request.p[at] = was == 'A' ? 'B' : 'A';
		if (chain_request_read(buf_slice(&request), &f, NULL) == 0 && was != '=')
			fail_msg("byte %zu of a request is not protected", at);
		request.p[at] = was;
	}
	assert_int_equal(chain_request_read(slice_of("x"), &f, &e), ERR_FORMAT);
}

static void test_pin(void **state)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct digest d = { { 0xff, 0xfe, 0xfd } };

	(void)state;
	chain_pin_text(&d, &b);
	assert_string_equal(buf_text(&b), "sha256////79AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_containment),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_pin),
	};

	return cmocka_run_group_tests_name("chain", tests, set_up, tear_down);
}
