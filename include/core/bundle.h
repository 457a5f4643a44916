/* Bundle: what a link would have sent to one neighbour, as one signed content for a stick (design protocol §9).  The box
 * around it is core/box.h.
 *
 *   u8        format 1
 *   slice     business line
 *   32 bytes  the tree: SHA-256 of the top node's SubjectPublicKeyInfo
 *   varint    sender, varint recipient (units)
 *   signed    wall clock of the sender, ms (information only); signed tree time, s (0: not known)
 *   varint    count of parts; each u8 kind (enum bundle_kind), slice body
 *   64 bytes  Ed25519 signature of the sender over "terrace bundle 1", NUL, BLAKE2b-256 of all that precedes
 *
 * A bundle up (to the parent) holds one hello, then at most one receipt, then segments; one down at most one answer to a
 * hello, then at most one answer to segments, then feeds.  Bodies are those of the link. */
#ifndef CORE_BUNDLE_H
#define CORE_BUNDLE_H

#include "core/digest.h"
#include "core/sign.h"

enum bundle_kind {
	BUNDLE_HELLO = 1,                /* body of POST /v1/hello */
	BUNDLE_RECEIPT = 2,              /* of Terrace-Receipt */
	BUNDLE_SEGMENTS = 3,             /* body of POST /v1/segments */
	BUNDLE_HELLO_ANSWER = 4,
	BUNDLE_SEGMENTS_ANSWER = 5,
	BUNDLE_FEED = 6,                 /* answer of GET /v1/feed */
};

struct bundle_part {
	uint8_t kind;
	struct slice body;
};

struct bundle {
	struct slice line;
	struct digest tree;
	uint64_t from, to;
	int64_t wall_ms, tree_s;
	uint32_t nparts;
	struct bundle_part *parts;       /* in the arena; bodies are views */
	struct slice content, signature;     /* what is signed, and the signature: views */
};

/* Appends the signed content; line, tree, from, to, times and parts are given. */
int bundle_put(const struct bundle *b, const struct sign_key *key, struct buf *ret, struct err *err);
/* Form and order of the parts; the signature is not looked at. */
int bundle_get(struct slice content, struct arena *a, struct bundle *ret, struct err *err);
int bundle_verify(const struct bundle *b, const uint8_t key[SIGN_PUBLIC_SIZE], struct err *err);

#endif
