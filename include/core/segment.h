/* Segment: the only thing that carries data (design protocol §2).  Header, signature, stored payload; its bytes
 * never change after sealing.  Order of checks: length, header, (author's chain and scope: the caller), payload
 * hash and signature, inflate (bounded), decode.  Byte-exact form: terrace-wire(7). */
#ifndef CORE_SEGMENT_H
#define CORE_SEGMENT_H

#include "base/bytes.h"
#include "base/err.h"
#include "core/digest.h"
#include "core/sign.h"
#include "core/version.h"

enum segment_kind {
	SEGMENT_DELTA = 1, SEGMENT_STATE = 2, SEGMENT_POLICY = 3, SEGMENT_ACTIVATE = 4, SEGMENT_UNITS = 5,
	SEGMENT_TIME = 6, SEGMENT_ANCHOR = 7, SEGMENT_REVOKE = 8, SEGMENT_BLOB = 9,
};
const char *segment_kind_text(uint32_t kind);

#define SEGMENT_FORMAT 1u
#define SEGMENT_SUITE_ED25519_BLAKE2B 1u  /* 2 is reserved for SM2 with SM3 */

enum codec { CODEC_STORED = 0, CODEC_DEFLATE = 1, CODEC_DICTIONARY = 2 };

/* Extension types: odd ones must be understood, even ones are carried and ignored. */
enum extension {
	EXT_CONTINUES = 1,               /* first of an epoch in this stream: epoch, tick and position it continues from */
	EXT_POLICY_LIST = 3,             /* the policy list: count, then (issuer, version) */
	EXT_FINAL = 2,                   /* last segment of one seal */
};

struct policy_entry {
	uint64_t issuer, version;
};

struct segment_header {
	uint32_t format, suite, kind;
	uint64_t author;
	uint32_t epoch;
	uint64_t tick;
	uint64_t stream;                 /* delta: ceiling level as a number 0-4; state: receiver's unit; broadcast: issuer */
	uint64_t position;
	struct digest previous;          /* delta, broadcast: hash of the stream's previous segment (zero for the first) */
	uint64_t follows;                /* state: the number that it follows */
	uint64_t policy;                 /* hash of the policy list in force */
	int64_t wall_ms;                 /* information only */
	uint32_t changes;
	uint32_t codec, dictionary;
	uint32_t stored, raw;            /* lengths */
	bool continues;                  /* EXT_CONTINUES is there */
	struct mark continues_mark;
	uint64_t continues_position;
	uint32_t npolicies;              /* of every EXT_POLICY_LIST together, list after list */
	const struct policy_entry *policies;
	uint32_t nlists;                 /* lists: several in a state that goes up; sealing takes 0 as one list */
	const uint32_t *lists;           /* how many entries each has */
	bool final;                      /* EXT_FINAL is there */
	struct slice extensions;         /* parsed: all of them, as they stand; sealing: further ones, of types above 3 */
};

/* A segment's parts as views into its bytes. */
struct segment {
	struct segment_header header;
	struct slice bytes;              /* the whole segment */
	struct slice signed_head;        /* the header's bytes */
	struct slice signature;
	struct slice stored;
};

/* Seals: compresses raw (choosing stored, deflate or dictionary by the shorter), fills codec, stored and raw of
 * *h, signs with key, appends the whole to out. */
int segment_seal(struct segment_header *h, struct slice raw, const struct sign_key *key, struct buf *out,
                 struct err *err);
/* Reads the first bytes: ret_n the whole length, once known; 0 = more bytes are wanted.  For streaming receivers. */
int segment_length(struct slice head, size_t *ret_n, struct err *err);
/* Takes a whole segment apart; nothing is inflated.  Policies of the header live in the arena. */
int segment_parse(struct slice bytes, struct arena *a, struct segment *ret, struct err *err);
/* Signature over domain tag, header and BLAKE2b-256 of the stored payload. */
int segment_verify(const struct segment *s, const uint8_t public_key[SIGN_PUBLIC_SIZE], struct err *err);
/* Inflates the payload, never past the header's raw length nor LIMIT_SEGMENT_RAW. */
int segment_inflate(const struct segment *s, struct buf *ret, struct err *err);
/* Hash of the whole segment: what the next one of its stream names. */
struct digest segment_hash(const struct segment *s);
/* For people: "delta 620702001000/county #17". */
void segment_name(const struct segment_header *h, struct buf *b);

/* The sorted list's 8-byte name. */
uint64_t policy_list_hash(const struct policy_entry *list, uint32_t n);

#endif
