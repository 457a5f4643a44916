/* Box: bytes that one recipient alone can open (libsodium: a sealed box for the key, a secret stream for the content).
 *
 * The recipient is named by its Ed25519 key, as its certificate has it; the X25519 key is computed from it.  Nothing in
 * the box says who sent it, or to whom: what is inside says so, signed.
 *
 *   16 bytes   "terrace bundle 1"
 *   80 bytes   sealed box (crypto_box_seal) of the stream's 32-byte key
 *   24 bytes   header of crypto_secretstream_xchacha20poly1305
 *   pieces     65,536 bytes of content and 17 more each, all but the last full; the last is tagged as final; the
 *              additional data of the first piece are the first 16 bytes of the file */
#ifndef CORE_BOX_H
#define CORE_BOX_H

#include "core/sign.h"

#define BOX_MAGIC "terrace bundle 1"
#define BOX_MAGIC_SIZE 16u
#define BOX_PIECE 65536u
#define BOX_MOST(content) ((size_t)(content) + ((size_t)(content) / BOX_PIECE + 1) * 17 + 120)

/* Appends the box to ret. */
int box_seal(const uint8_t to[SIGN_PUBLIC_SIZE], struct slice content, struct buf *ret, struct err *err);
/* Opens into ret, at most `most` bytes.  ERR_FORMAT: no box, cut; ERR_SIGNATURE: for somebody else, or altered; ERR_LIMIT. */
int box_open(const struct sign_key *key, struct slice box, size_t most, struct buf *ret, struct err *err);

/* ---- what a passphrase opens: the same stream without magic and sealed key, header and pieces; the additional data of the
 * first piece are `context`, what stands in the clear beside the box.  The key is Argon2id's (crypto_pwhash). */
#define BOX_KEY    32
#define BOX_SALT   16
#define BOX_HEADER 24
#define BOX_MORE   17

struct box_cost {                        /* of Argon2id: passes, and memory in KiB */
	uint32_t passes, kib;
};
/* The cost of what is made now; box_key refuses one that is above BOX_MOST_PASSES or BOX_MOST_KIB (ERR_LIMIT). */
#define BOX_COST ((struct box_cost){ 3, 65536 })
#define BOX_MOST_PASSES 16u
#define BOX_MOST_KIB (1u << 20)

int box_key(struct slice passphrase, const uint8_t salt[BOX_SALT], struct box_cost cost, uint8_t ret[BOX_KEY], struct err *err);
/* Appends the box of plain to ret. */
int box_lock(const uint8_t key[BOX_KEY], struct slice context, struct slice plain, struct buf *ret, struct err *err);
/* Appends its content to ret; ERR_SIGNATURE where the key is another one, or a byte of box or context differs. */
int box_unlock(const uint8_t key[BOX_KEY], struct slice context, struct slice box, struct buf *ret, struct err *err);

#endif
