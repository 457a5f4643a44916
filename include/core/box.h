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

#endif
