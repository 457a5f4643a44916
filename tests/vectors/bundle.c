/* The vectors of bundles: tests/vectors/bundle-up.hex and bundle-down.hex, whole files.  Sender: the key of the seed 00 01 …
 * 1f; recipient: that of 20 21 … 3f.  What is in them is made anew and compared; the box around it is random, so it is
 * opened.  --write FOLDER makes them, --corpus FOLDER the contents as seeds of the fuzzer. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "core/box.h"
#include "core/bundle.h"
#include "core/limits.h"
#include "core/status.h"
#include "engine/contact.h"
#include "engine/hello.h"

#define FOLDER "tests/vectors"
#define PER_LINE 48
#define VILLAGE_CODE UINT64_C(620702100001)
#define TOWN_CODE UINT64_C(620702100000)

static struct sign_key sender, recipient;
static unsigned int passed, failed;

static void key_from(uint8_t first, struct sign_key *ret)
{
	uint8_t seed[SIGN_SEED_SIZE];

	for (size_t i = 0; i < sizeof seed; i++)
		seed[i] = (uint8_t)(first + i);
	sign_key_from_seed(seed, ret);
}

static int read_hex(const char *path, struct buf *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf text = { 0 }, digits = { 0 };
	int rc = file_read(path, 4u << 20, &text, err);

	for (size_t i = 0; rc == 0 && i < text.n; i++)
		if (text.p[i] != '\n')
			buf_put_u8(&digits, text.p[i]);
	if (rc == 0 && (buf_reserve(ret, digits.n / 2) == NULL || hex_get(buf_slice(&digits), ret->p, ret->n) != 0))
		rc = err_set(err, ERR_FORMAT, "%s: not hexadecimal", path);
	return rc;
}

/* ---- bodies */

static void put_hello(struct buf *b)
{
	_cleanup_(buf_release) struct buf status = { 0 };
	const struct digest above = digest_of(slice_of("certificates"));
	const struct status own = { .unit = VILLAGE_CODE, .name = "村", .as_of_ms = 1764000000000, .epoch = 7, .sealed = 1 };
	const struct hello h = {
		.number = 3, .answered = 2, .wall_ms = 1764000000000, .epoch = 7, .sealed = 4, .nepochs = 1, .epochs = { { 7, 0, 0 } },
		.seq = 1, .position = 5, .position_hash = digest_of(slice_of("position")),
	};

	hello_put(b, &h);
	buf_put_u64(b, 0);
	for (int i = 0; i < 9; i++)              /* lists, needs, digests, certificates: none */
		buf_put_varint(b, 0);
	status_put(&status, &own);
	buf_put_varint(b, 1);
	buf_put_slice(b, buf_slice(&status));
	buf_put(b, above.at, DIGEST_SIZE);
}

static void put_receipt(struct buf *b)
{
	const struct digest hash = digest_of(slice_of("position"));
	uint8_t signature[SIGN_SIZE];

	buf_put_u8(b, CONTACT_FORMAT);
	buf_put_varint(b, VILLAGE_CODE);
	buf_put_signed(b, 1764000000);
	buf_put_varint(b, 1);
	buf_put_varint(b, TOWN_CODE);
	buf_put_varint(b, VILLAGE_CODE);
	buf_put_varint(b, 5);
	buf_put(b, hash.at, DIGEST_SIZE);
	sign_make(&sender, "terrace receipt 1", buf_slice(b), signature);
	buf_put(b, signature, SIGN_SIZE);
}

static void put_segments(struct buf *b, struct slice delta, struct slice state)
{
	const struct digest zero = { { 0 } };

	buf_put_u8(b, CONTACT_FORMAT);
	buf_put_varint(b, 0);
	buf_put(b, zero.at, DIGEST_SIZE);
	buf_put_varint(b, 1);
	buf_put_slice(b, delta);
	buf_put_varint(b, 1);
	buf_put_slice(b, state);
}

static void put_answers(struct buf *hello, struct buf *segments)
{
	const struct hello_answer a = { .number = 3, .tree_s = 1764000000, .received = 1, .digest = UINT8_MAX };
	const struct digest zero = { { 0 } };

	hello_answer_put(hello, &a);
	for (int i = 0; i < 4; i++)              /* addresses, needs, certificates, chain: none */
		buf_put_varint(hello, 0);
	buf_put_u8(segments, CONTACT_FORMAT);
	buf_put_u8(segments, 0);
	buf_put_text(segments, "ok");
	buf_put_text(segments, "");
	for (int i = 0; i < 2; i++) {
		buf_put_varint(segments, 1);
		buf_put(segments, zero.at, DIGEST_SIZE);
	}
	for (int i = 0; i < 13; i++)             /* counts, time, needs, receipts */
		buf_put_varint(segments, 0);
}

static int make(bool up, struct buf *content, struct err *err)
{
	_cleanup_(buf_release) struct buf one = { 0 }, two = { 0 }, three = { 0 }, delta = { 0 }, state = { 0 };
	struct bundle_part parts[3] = { { 0 } };
	struct bundle b = {
		.line = slice_of("civil-affairs"), .tree = digest_of(slice_of("tree")), .from = up ? VILLAGE_CODE : TOWN_CODE,
		.to = up ? TOWN_CODE : VILLAGE_CODE, .wall_ms = 1764000000000, .tree_s = 1764000000, .nparts = 3, .parts = parts,
	};
	int rc = read_hex(FOLDER "/wire-delta-one.hex", &delta, err);

	if (rc == 0)
		rc = read_hex(FOLDER "/wire-state-mixed.hex", &state, err);
	if (rc != 0)
		return rc;
	if (up) {
		put_hello(&one);
		put_receipt(&two);
		put_segments(&three, buf_slice(&delta), buf_slice(&state));
	} else {
		put_answers(&one, &two);
		buf_put_u8(&three, CONTACT_FORMAT);
		buf_put_slice(&three, buf_slice(&state));
	}
	for (uint8_t i = 0; i < 3; i++)
		parts[i] = (struct bundle_part){ (uint8_t)(1 + i + (up ? 0 : 3)), buf_slice(i == 0 ? &one : i == 1 ? &two : &three) };
	return bundle_put(&b, &sender, content, err);
}

/* ---- files */

static int write_one(const char *folder, bool up, bool corpus, struct err *err)
{
	_cleanup_(free_pointer) char *path = text_printf(corpus ? "%s/%s" : "%s/bundle-%s.hex", folder, up ? "up" : "down");
	_cleanup_(buf_release) struct buf content = { 0 }, box = { 0 }, lines = { 0 };
	int rc = make(up, &content, err);

	if (rc == 0 && corpus)
		return file_write(path, buf_slice(&content), 0644, err);
	if (rc == 0)
		rc = box_seal(recipient.public_key, buf_slice(&content), &box, err);
	for (size_t i = 0; rc == 0 && i < box.n; i += PER_LINE) {
		hex_put(&lines, (struct slice){ box.p + i, MIN(PER_LINE, box.n - i) });
		buf_put_u8(&lines, '\n');
	}
	return rc == 0 ? file_write(path, buf_slice(&lines), 0644, err) : rc;
}

static void check(bool good, const char *what)
{
	passed += good;
	failed += !good;
	if (!good)
		fprintf(stderr, "FAILED: %s\n", what);
}

static void check_one(bool up)
{
	const char *path = up ? FOLDER "/bundle-up.hex" : FOLDER "/bundle-down.hex";
	_cleanup_(buf_release) struct buf box = { 0 }, content = { 0 }, expected = { 0 }, none = { 0 };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct err err = { 0 };
	struct bundle b;

	check(read_hex(path, &box, &err) == 0, path);
	check(make(up, &expected, &err) == 0, err.text);
	check(box_open(&recipient, buf_slice(&box), LIMIT_BUNDLE, &content, &err) == 0, err.text);
	check(slice_equal(buf_slice(&content), buf_slice(&expected)), "the content is another one");
	check(bundle_get(buf_slice(&content), &a, &b, &err) == 0, err.text);
	check(b.nparts == 3 && bundle_verify(&b, sender.public_key, &err) == 0, "its parts and its signature");
	check(bundle_verify(&b, recipient.public_key, NULL) != 0, "a signature by another key");
	check(box_open(&sender, buf_slice(&box), LIMIT_BUNDLE, &none, NULL) != 0, "opened by another");
	for (size_t i = 0; i < box.n; i += 7) {
		buf_clear(&none);
		box.p[i] ^= 4;
		check(box_open(&recipient, buf_slice(&box), LIMIT_BUNDLE, &none, NULL) != 0, "altered and not noticed");
		box.p[i] ^= 4;
		buf_clear(&none);
		check(box_open(&recipient, (struct slice){ box.p, i }, LIMIT_BUNDLE, &none, NULL) != 0, "cut and not noticed");
	}
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	int rc = sign_init(&err);

	key_from(0, &sender);
	key_from(0x20, &recipient);
	if (rc == 0 && argc == 3) {
		bool corpus = strcmp(argv[1], "--corpus") == 0;

		rc = write_one(argv[2], true, corpus, &err);
		if (rc == 0)
			rc = write_one(argv[2], false, corpus, &err);
	} else if (rc == 0) {
		check_one(true);
		check_one(false);
		printf("bundle: %u passed, %u failed\n", passed, failed);
	}
	if (rc != 0)
		fprintf(stderr, "bundle: %s\n", err.text);
	return rc != 0 || failed > 0;
}
