#include "core/box.h"

#include <sodium.h>
#include <string.h>

#define SEALED_KEY (crypto_secretstream_xchacha20poly1305_KEYBYTES + crypto_box_SEALBYTES)
#define STREAM_HEADER crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define TAIL crypto_secretstream_xchacha20poly1305_ABYTES
#define HEAD (BOX_MAGIC_SIZE + SEALED_KEY + STREAM_HEADER)

_Static_assert(HEAD == 120 && TAIL == 17, "the sizes that box.h promises");

static int memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "a bundle: memory is short");
}

int box_seal(const uint8_t to[SIGN_PUBLIC_SIZE], struct slice content, struct buf *ret, struct err *err)
{
	crypto_secretstream_xchacha20poly1305_state state;
	uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES], curve[crypto_box_PUBLICKEYBYTES];
	uint8_t *p = buf_reserve(ret, BOX_MOST(content.n) - 17 * (content.n > 0 && content.n % BOX_PIECE == 0));
	const uint8_t *from = content.p;
	size_t left = content.n;
	int bad;

	if (p == NULL)
		return memory(err);
	if (crypto_sign_ed25519_pk_to_curve25519(curve, to) != 0)
		return err_set(err, ERR_CHAIN, "a bundle: the recipient's key is no key");
	memcpy(p, BOX_MAGIC, BOX_MAGIC_SIZE);
	crypto_secretstream_xchacha20poly1305_keygen(key);
	bad = crypto_box_seal(p + BOX_MAGIC_SIZE, key, sizeof key, curve);
	bad |= crypto_secretstream_xchacha20poly1305_init_push(&state, p + BOX_MAGIC_SIZE + SEALED_KEY, key);
	sodium_memzero(key, sizeof key);
	for (bool first = true, last = false; !last && bad == 0; first = false) {
		size_t n = MIN(left, BOX_PIECE);
		uint8_t *to_piece = p + HEAD + (content.n - left) / BOX_PIECE * (BOX_PIECE + TAIL);

		last = n == left;
		bad |= crypto_secretstream_xchacha20poly1305_push(&state, to_piece, NULL, from, n, p, first ? BOX_MAGIC_SIZE : 0,
		                                                  last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
		from += n;
		left -= n;
	}
	sodium_memzero(&state, sizeof state);
	return bad == 0 ? 0 : err_set(err, ERR_CHAIN, "a bundle: the recipient's key cannot be sealed to");
}

static int open_key(const struct sign_key *me, const uint8_t *sealed, uint8_t *ret)
{
	uint8_t public_key[crypto_box_PUBLICKEYBYTES], secret[crypto_box_SECRETKEYBYTES];
	int bad = crypto_sign_ed25519_pk_to_curve25519(public_key, me->public_key);

	bad |= crypto_sign_ed25519_sk_to_curve25519(secret, me->secret);
	bad = bad != 0 || crypto_box_seal_open(ret, sealed, SEALED_KEY, public_key, secret) != 0;
	sodium_memzero(secret, sizeof secret);
	return bad;
}

static int altered(struct err *err, size_t at)
{
	return err_set(err, ERR_SIGNATURE, "the bundle is altered or cut at about byte %zu; copy it again from where it was made", at);
}

/* The pieces in order; each is proved before the next is looked at. */
static int open_pieces(crypto_secretstream_xchacha20poly1305_state *state, struct slice box, struct buf *ret, struct err *err)
{
	bool last = false;

	for (size_t at = HEAD; !last;) {
		size_t n = MIN(box.n - at, BOX_PIECE + TAIL);
		unsigned char tag;
		uint8_t *to;

		if (n < TAIL)
			return err_set(err, ERR_FORMAT, "the bundle is cut at byte %zu; copy it again from where it was made", box.n);
		to = buf_reserve(ret, n - TAIL);
		if (to == NULL)
			return memory(err);
		if (crypto_secretstream_xchacha20poly1305_pull(state, to, NULL, &tag, box.p + at, n, box.p, at == HEAD ? BOX_MAGIC_SIZE : 0) != 0)
			return altered(err, at);
		at += n;
		last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
		if (last && at != box.n)
			return err_set(err, ERR_FORMAT, "the bundle has %zu bytes behind its end; copy it again from where it was made", box.n - at);
	}
	return 0;
}

int box_open(const struct sign_key *key, struct slice box, size_t most, struct buf *ret, struct err *err)
{
	crypto_secretstream_xchacha20poly1305_state state;
	uint8_t stream[crypto_secretstream_xchacha20poly1305_KEYBYTES];
	int rc;

	if (box.n < BOX_MAGIC_SIZE || memcmp(box.p, BOX_MAGIC, BOX_MAGIC_SIZE) != 0)
		return err_set(err, ERR_FORMAT, "this is no bundle (a file of terracectl bundle export)");
	if (box.n > BOX_MOST(most))
		return err_set(err, ERR_LIMIT, "the bundle has %zu bytes; at most %zu are taken", box.n, BOX_MOST(most));
	if (box.n < HEAD + TAIL)
		return err_set(err, ERR_FORMAT, "the bundle is cut at byte %zu; copy it again from where it was made", box.n);
	if (open_key(key, box.p + BOX_MAGIC_SIZE, stream) != 0)
		return err_set(err, ERR_SIGNATURE, "the bundle is not for this node, or is altered in its first bytes: only the unit that "
		               "`bundle export --to` named can open it, with the identity that it has now");
	rc = crypto_secretstream_xchacha20poly1305_init_pull(&state, box.p + BOX_MAGIC_SIZE + SEALED_KEY, stream) == 0 ? 0 :
	     altered(err, BOX_MAGIC_SIZE + SEALED_KEY);
	sodium_memzero(stream, sizeof stream);
	if (rc == 0)
		rc = open_pieces(&state, box, ret, err);
	sodium_memzero(&state, sizeof state);
	return rc;
}

/* ---- what a passphrase opens */

_Static_assert(BOX_KEY == crypto_secretstream_xchacha20poly1305_KEYBYTES, "size of a key");
_Static_assert(BOX_SALT == crypto_pwhash_argon2id_SALTBYTES, "size of a salt");
_Static_assert(BOX_HEADER == crypto_secretstream_xchacha20poly1305_HEADERBYTES, "size of a header");
_Static_assert(BOX_MORE == crypto_secretstream_xchacha20poly1305_ABYTES, "what a piece is longer");

int box_key(struct slice passphrase, const uint8_t salt[BOX_SALT], struct box_cost cost, uint8_t ret[BOX_KEY], struct err *err)
{
	if (cost.passes < 1 || cost.passes > BOX_MOST_PASSES || cost.kib < 8 || cost.kib > BOX_MOST_KIB)
		return err_set(err, ERR_LIMIT, "a passphrase's cost of %u passes over %u KiB is not possible", cost.passes, cost.kib);
	if (crypto_pwhash(ret, BOX_KEY, (const char *)passphrase.p, passphrase.n, salt, cost.passes, (size_t)cost.kib << 10,
	                  crypto_pwhash_ALG_ARGON2ID13))
		return err_set(err, ERR_NOMEM, "the passphrase needs %u MiB of memory, which are not free", cost.kib >> 10);
	return 0;
}

int box_lock(const uint8_t key[BOX_KEY], struct slice context, struct slice plain, struct buf *ret, struct err *err)
{
	crypto_secretstream_xchacha20poly1305_state state;
	uint8_t *to = buf_reserve(ret, BOX_HEADER);
	size_t at = 0;
	bool first = true;

	if (to)
		crypto_secretstream_xchacha20poly1305_init_push(&state, to, key);
	for (bool last = false; to && !last; first = false) {
		size_t n = MIN(plain.n - at, (size_t)BOX_PIECE);
		last = at + n == plain.n;
		to = buf_reserve(ret, n + BOX_MORE);
		if (to)
			crypto_secretstream_xchacha20poly1305_push(&state, to, NULL, plain.p ? plain.p + at : NULL, n, first ? context.p : NULL,
			                                           first ? context.n : 0,
			                                           last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
		at += n;
	}
	sodium_memzero(&state, sizeof(state));
	return to ? 0 : err_set(err, ERR_NOMEM, "a box of %zu bytes: out of memory", plain.n);
}

static int bad_box(struct err *err)
{
	return err_set(err, ERR_SIGNATURE, "it does not open: the passphrase is another one, or it is damaged");
}

int box_unlock(const uint8_t key[BOX_KEY], struct slice context, struct slice box, struct buf *ret, struct err *err)
{
	crypto_secretstream_xchacha20poly1305_state state;
	size_t at = BOX_HEADER;
	unsigned char tag = 0;
	int r = 0;

	if (box.n < BOX_HEADER + BOX_MORE || crypto_secretstream_xchacha20poly1305_init_pull(&state, box.p, key))
		return bad_box(err);
	for (bool first = true; !r && tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL; first = false) {
		size_t n = MIN(box.n - at, (size_t)BOX_PIECE + BOX_MORE);
		uint8_t *to = buf_reserve(ret, n < BOX_MORE ? 0 : n - BOX_MORE);
		if (ret->failed)
			r = err_set(err, ERR_NOMEM, "a box of %zu bytes: out of memory", box.n);
		else if (n < BOX_MORE || crypto_secretstream_xchacha20poly1305_pull(&state, to, NULL, &tag, box.p + at, n, first ? context.p : NULL,
		                                                                     first ? context.n : 0))
			r = bad_box(err);
		at += n;
	}
	sodium_memzero(&state, sizeof(state));
	return r || at == box.n ? r : bad_box(err);
}
