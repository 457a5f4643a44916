#include "core/bundle.h"

#include <string.h>

#include "core/limits.h"

#define FORMAT 1
#define UNIT_LEAST UINT64_C(10000000000)
#define UNIT_MOST UINT64_C(999999999999)
#define DOMAIN "terrace bundle 1"

int bundle_put(const struct bundle *b, const struct sign_key *key, struct buf *ret, struct err *err)
{
	size_t start = ret->n;
	uint8_t signature[SIGN_SIZE];
	struct digest d;

	buf_put_u8(ret, FORMAT);
	buf_put_slice(ret, b->line);
	buf_put(ret, b->tree.at, DIGEST_SIZE);
	buf_put_varint(ret, b->from);
	buf_put_varint(ret, b->to);
	buf_put_signed(ret, b->wall_ms);
	buf_put_signed(ret, b->tree_s);
	buf_put_varint(ret, b->nparts);
	for (uint32_t i = 0; i < b->nparts; i++) {
		buf_put_u8(ret, b->parts[i].kind);
		buf_put_slice(ret, b->parts[i].body);
	}
	if (ret->failed)
		return err_set(err, ERR_NOMEM, "a bundle: memory is short");
	d = digest_of((struct slice){ ret->p + start, ret->n - start });
	sign_make(key, DOMAIN, (struct slice){ d.at, DIGEST_SIZE }, signature);
	buf_put(ret, signature, SIGN_SIZE);
	return ret->failed ? err_set(err, ERR_NOMEM, "a bundle: memory is short") : 0;
}

/* Up: hello, receipt?, segments…; down: hello's answer?, segments' answer?, feeds…  Of one direction, in ascending kinds,
 * none twice but segments and feeds. */
static bool in_order(const struct bundle *b)
{
	for (uint32_t i = 0; i < b->nparts; i++) {
		uint8_t kind = b->parts[i].kind, before = i > 0 ? b->parts[i - 1].kind : 0;

		if (kind < BUNDLE_HELLO || kind > BUNDLE_FEED || kind < before)
			return false;
		if (kind == before && kind != BUNDLE_SEGMENTS && kind != BUNDLE_FEED)
			return false;
		if (kind <= BUNDLE_SEGMENTS ? b->parts[0].kind != BUNDLE_HELLO : b->parts[0].kind <= BUNDLE_SEGMENTS)
			return false;
	}
	return b->nparts > 0;
}

static bool is_unit(uint64_t unit)
{
	return unit >= UNIT_LEAST && unit <= UNIT_MOST;
}

int bundle_get(struct slice content, struct arena *a, struct bundle *ret, struct err *err)
{
	struct reader r = reader_of(content);
	uint8_t format = read_u8(&r);
	struct slice tree;

	memset(ret, 0, sizeof *ret);
	if (format != FORMAT)
		return err_set(err, ERR_FORMAT, "the bundle has format %u; this version reads format %d", format, FORMAT);
	ret->line = read_slice(&r);
	tree = read_bytes(&r, DIGEST_SIZE);
	ret->from = read_varint(&r);
	ret->to = read_varint(&r);
	ret->wall_ms = read_signed(&r);
	ret->tree_s = read_signed(&r);
	ret->nparts = (uint32_t)read_count(&r, LIMIT_BUNDLE_PARTS);
	ret->parts = arena_array(a, ret->nparts + 1, sizeof *ret->parts);
	if (ret->parts == NULL)
		return err_set(err, ERR_NOMEM, "a bundle: memory is short");
	for (uint32_t i = 0; i < ret->nparts && !r.bad; i++) {
		ret->parts[i].kind = read_u8(&r);
		ret->parts[i].body = read_slice(&r);
	}
	ret->content = (struct slice){ content.p, content.n - reader_left(&r) };
	ret->signature = read_bytes(&r, SIGN_SIZE);
	if (!reader_done(&r) || ret->line.n > 64 || !is_unit(ret->from) || !is_unit(ret->to) || !in_order(ret))
		return err_set(err, ERR_FORMAT, "the bundle is malformed");
	memcpy(ret->tree.at, tree.p, DIGEST_SIZE);
	return 0;
}

int bundle_verify(const struct bundle *b, const uint8_t key[SIGN_PUBLIC_SIZE], struct err *err)
{
	struct digest d = digest_of(b->content);

	if (sign_check(key, DOMAIN, (struct slice){ d.at, DIGEST_SIZE }, b->signature.p))
		return 0;
	return err_set(err, ERR_SIGNATURE, "the bundle is not signed by unit %012llu, or with a key that it has no more",
	               (unsigned long long)b->from);
}
