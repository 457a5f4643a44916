/* Outbox: segments as they were sealed, the streams they belong to, and the one sequence that goes to the parent
 * (design protocol §3, Up; §6, heads). */
#ifndef STORE_OUTBOX_H
#define STORE_OUTBOX_H

#include "core/segment.h"
#include "store/db.h"

struct stream_head {                     /* of (author, stream): stream is the ceiling, or kind << 8 for broadcasts */
	uint64_t position;               /* of the last one held; 0 = none */
	struct digest hash;
	uint64_t settled;                /* position up to which the level of record has settled */
	uint64_t list;                   /* policy list last named in this stream */
	uint32_t epoch;                  /* of its last segment */
};
int stream_get(struct db *db, uint64_t author, uint64_t stream, struct stream_head *ret, struct err *err);
int stream_put(struct db *db, uint64_t author, uint64_t stream, const struct stream_head *head, struct err *err);

/* Forgets the heads of all deltas' streams of authors in scope: after a heal the next segment of each is the first. */
int stream_forget(struct db *db, uint64_t scope, struct err *err);
/* Of every delta stream of authors in scope, by author, at most `most`, until fn returns non-zero. */
int stream_heads(struct db *db, uint64_t scope, uint32_t most,
                 int (*fn)(void *arg, uint64_t author, uint64_t stream, uint64_t position, const struct digest *hash), void *arg,
                 struct err *err);
/* Sums over all delta streams of an author: positions, and how far they are settled. */
int stream_sums(struct db *db, uint64_t author, uint64_t *ret_position, uint64_t *ret_settled, struct err *err);

/* Whether one of the author's deltas up to that tick is not settled yet. */
int stream_waits(struct db *db, uint64_t author, uint64_t tick, bool *ret, struct err *err);

/* Keeps a segment (kind, author, stream, position, epoch once; the same again: its old number); *ret_id its number. */
int segment_keep(struct db *db, const struct segment *s, uint64_t origin, int64_t at_ms, int64_t *ret_id,
                 struct err *err);
int segment_bytes(struct db *db, int64_t id, struct buf *ret, struct err *err);
int segment_find(struct db *db, uint64_t author, uint32_t kind, uint64_t stream, uint64_t position, int64_t *ret_id,
                 struct digest *ret_hash, struct err *err);     /* the newest; id 0 = not kept */
/* The author's deltas of the seal that made this mark in that stream, at most `most`: more than that are no answer
 * (n = 0).  *ret_all: also the one before them is kept, so what is not in these was never signed in the stream. */
int segments_of_mark(struct db *db, uint64_t author, uint64_t stream, struct mark mark, int64_t *ret_ids, uint32_t most,
                     uint32_t *ret_n, bool *ret_all, struct err *err);
int segment_find_epoch(struct db *db, uint64_t author, uint32_t kind, uint64_t stream, uint64_t position, uint32_t epoch,
                       int64_t *ret_id, struct digest *ret_hash, struct err *err);
/* The author's deltas up to position are settled since at_ms. */
/* A delta of that epoch that seals the mark or a later one is kept: streams have no gaps. */
int segment_of_mark(struct db *db, uint64_t author, struct mark mark, bool *ret, struct err *err);
int segment_settled(struct db *db, uint64_t author, uint64_t stream, uint64_t position, int64_t at_ms, struct err *err);
/* Drops deltas that the outbox names no more: of `own` settled before own_ms, any kept since before other_ms. *more is set
 * where `most` went. */
int segment_reclaim(struct db *db, uint64_t own, int64_t own_ms, int64_t other_ms, uint32_t most, bool *more, struct err *err);

struct outbox_head {
	uint64_t seq;                    /* of the last entry; 0 = empty */
	struct digest head;              /* H(seq) = BLAKE2b(H(seq − 1), segment) */
};
int outbox_head(struct db *db, struct outbox_head *ret, struct err *err);
/* The earliest place from which it can be sent again: 0, or the first entry kept (whose own segment is not sent). */
int outbox_base(struct db *db, struct outbox_head *ret, struct err *err);
int outbox_head_at(struct db *db, uint64_t seq, struct digest *ret, bool *ret_found, struct err *err);
int outbox_add(struct db *db, int64_t segment, struct slice bytes, struct err *err);
/* Calls fn for each entry after `seq`, in order, until it returns non-zero (1 = enough). */
int outbox_each(struct db *db, uint64_t after, int (*fn)(void *arg, uint64_t seq, struct slice bytes), void *arg,
                struct err *err);
struct outbox_waiting {
	uint64_t entries, bytes, own;    /* own: entries whose author is `author` */
	int64_t oldest_ms;               /* wall time; 0 = none */
};
int outbox_waiting(struct db *db, uint64_t after, uint64_t author, struct outbox_waiting *ret, struct err *err);
/* Drops the entries before `acked` that were settled before settled_ms; the entry `acked` stays. */
int outbox_reclaim(struct db *db, uint64_t acked, int64_t settled_ms, struct err *err);

/* An author reported a policy list by the first delta that it sealed under it. */
int reported_put(struct db *db, uint64_t author, struct mark mark, uint64_t list, struct err *err);

/* Receipts: the last one of each (kind, author, stream, signer). */
enum receipt_kind { RECEIPT_TAKEN = 0, RECEIPT_SETTLED = 1 };
struct receipt {
	uint32_t kind;
	uint64_t author, stream, signer, position;
	struct slice body;               /* empty: to be made when it is sent; a view, or in the arena */
};
int receipt_put(struct db *db, const struct receipt *r, int64_t at_ms, int64_t *ret_id, struct err *err);
int receipt_get(struct db *db, int64_t id, struct arena *a, struct receipt *ret, bool *ret_found, struct err *err);
int receipt_body(struct db *db, int64_t id, uint64_t position, struct slice body, struct err *err);

#endif
