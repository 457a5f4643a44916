/* Contact: what hello, push, feed and enrolment share: receipts, opened segments, runs of state segments (design
 * protocol §3, points a–e, the same both ways), heals. */
#ifndef ENGINE_CONTACT_H
#define ENGINE_CONTACT_H

#include "engine/self.h"

#define CONTACT_FORMAT 1
#define SLICE_HALF_MS  100               /* waiting segments are applied or built in one transaction for so long */

/* Whether deltas of that ceiling leave this node: its parent does not stand above the ceiling.  The node where they
 * do not is the level of record. */
static inline bool goes_up(const struct engine *e, enum level ceiling)
{
	return e->parent != UNIT_NONE && unit_level(e->parent) >= ceiling;
}

/* Whether rows of the register travel on the link to peer: not below its floor, not above its ceiling, and up only
 * where its policy comes from the peer or above it (a policy of a lower unit is not known there). */
bool travels(const struct engine *e, const struct reg *r, uint64_t peer);

/* Whether both ends of the link to peer (the parent or a child) hold the register, so that digests are compared; and the
 * units whose rows stand here of it, with that peer. */
bool compares(const struct engine *e, const struct reg *r, uint64_t peer);
uint64_t compare_scope(const struct engine *e, const struct reg *r, uint64_t peer);

/* Seals what the log holds, long logs in slices of their own, and begins with an empty log. */
int begin_empty(struct engine *e, struct err *err);
/* A child is taken from only after a hello since this start: a restored node learns there what it had met. */
bool greet(struct engine *e, uint64_t child);    /* false: memory */
bool greeted(const struct engine *e, uint64_t child);
void ungreet(struct engine *e, uint64_t child);
/* The parent's signing key, as this node's own chain says; NULL at the top. */
const uint8_t *parent_key(const struct engine *e);
/* The keys that the top node of this node's chain had before, newest first; *ret_n of them. */
const struct former *former_tops(const struct engine *e, uint64_t unit, uint32_t *ret_n);
/* Errors of the machine, after which a whole transaction is void; the others speak of what came. */
bool transient(int code);

/* Once a day: what was settled long enough leaves the outbox, evidence and the sync log their time.  Own transaction;
 * nothing while the tree's time is not known. */
int contact_reclaim(struct engine *e, bool *ret_more, struct err *err);

/* ---- receipts
 * byte 1 (format); varint signer; zigzag tree time (s); varint count ≤ RECEIPT_LINES; per line varints author,
 * stream, position and 32 bytes hash of that segment; 64 bytes Ed25519 signature over all that precedes, domain
 * "terrace receipt 1". */
#define RECEIPT_LINES 64u
struct receipt_line {
	uint64_t author, stream, position;
	struct digest hash;
};
void receipt_make(struct engine *e, const struct receipt_line *lines, uint32_t n, struct buf *b);
/* Verifies; lines: room for RECEIPT_LINES. */
int receipt_read(struct slice body, uint64_t signer, const uint8_t key[SIGN_PUBLIC_SIZE], struct receipt_line *lines,
                 uint32_t *ret_n, struct err *err);
/* Verifies and keeps it under each of its lines. */
int receipt_store(struct engine *e, struct slice body, uint64_t signer, const uint8_t key[SIGN_PUBLIC_SIZE],
                  struct err *err);

/* ---- settled (ITEM_SETTLED)
 * byte 1 (format); varints signer, author, stream, position; 32 bytes hash of that segment; zigzag tree time (s); byte
 * 1 where the digest is known; 16 bytes: sum of the terms of all rows of the author's unit, in the registers of that
 * ceiling (zero where unknown); 64 bytes signature over all that precedes, domain "terrace settled 1". */
int settled_make(struct engine *e, const struct receipt *r, struct arena *a, struct slice *ret, struct err *err);
int settled_take(struct engine *e, struct slice body, struct err *err);
/* Whether the body is what the keeper of that key signed about (author, stream, position). */
int settled_check(struct slice body, const struct receipt *r, const uint8_t key[SIGN_PUBLIC_SIZE], struct err *err);

/* ---- needs: varint count, per need register (length-prefixed) and key (canonical form of a key) */
int needs_put(struct engine *e, uint64_t peer, struct buf *b, struct err *err);
int needs_take(struct engine *e, uint64_t peer, struct reader *r, struct err *err);

/* ---- a segment taken apart, in the order of checks */
struct opened {
	struct arena arena;
	struct segment s;
	struct buf raw, name;
	struct payload payload;
};
int opened_parse(struct opened *o, struct slice bytes, struct err *err);         /* length, header */
int opened_decode(struct opened *o, const uint8_t key[SIGN_PUBLIC_SIZE], struct err *err);  /* signature, inflate, decode */
void opened_release(struct opened *o);

/* ---- runs */
/* (b) Inside a transaction with an empty log: rewinds to `after`, builds segments and appends them, each
 * length-prefixed, at most about `most` bytes and SLICE_HALF_MS.  *l: built rises; the caller puts it. */
int run_build(struct engine *e, struct link *l, uint64_t after, size_t most, struct buf *out, uint32_t *ret_n,
              struct err *err);
/* (d) `after` with its hash acknowledges; *ret_fits false: a pair that was neither built nor acknowledged, nothing
 * done.  *l: fed rises. */
int run_acknowledge(struct engine *e, struct link *l, uint64_t after, const struct digest *hash, bool *ret_fits,
                    struct err *err);
/* (c) Takes one state segment in a transaction of its own; one that does not follow is left (*ret_left). */
int run_take(struct engine *e, uint64_t peer, struct slice bytes, const uint8_t key[SIGN_PUBLIC_SIZE], bool *ret_left,
             struct counts *ret, struct err *err);
/* Something waits for the peer, or was built and is not acknowledged. */
bool run_waits(struct engine *e, uint64_t peer);

/* ---- items (engine/items.c) */
/* Body of an item in the arena; n = 0: it is there no more. */
int item_body(struct engine *e, uint64_t peer, uint32_t kind, int64_t id, struct arena *a, struct slice *ret,
              struct err *err);
int item_take(struct engine *e, uint64_t from, const struct item *i, struct err *err);
/* A node whose own digest differs from three settled receipts running, with nothing under way, says so. */
void settled_compare(struct engine *e);

/* ---- heals (engine/heal.c) */
struct heal_numbers {                    /* agreed in the hello: both sides continue from these */
	int64_t number;
	uint64_t feed, up;
};
/* Both sides of a heal, in the caller's transaction: what waited is dropped for cursors over everything, numbers
 * restart.  *l is filled; the caller puts it. */
int heal_begin(struct engine *e, struct link *l, const struct heal_numbers *n, struct err *err);
/* This node's disk turned out to be a restored one: what it takes waits for a heal with the parent. */
int heal_restored(struct engine *e, struct err *err);

#endif
