/* Ranges: range-based reconciliation of two ordered sets (design protocol §7).
 *
 * Two nodes hold the rows of a register, ordered by key in the database's one-cell form, each with its term
 * (store/terms.h).  One drives, the other answers and remembers nothing.  A message cuts the order of the keys into
 * spans; the driver begins with sums, the answer cuts a span whose sum differs into RANGES_WAYS, the driver those
 * among them that differ for it, and so on; a span of at most LIMIT_RANGES_LEAF rows is answered by their ids.  The
 * driver then knows which of its rows the other lacks in that form, and which ids of the other it lacks.
 *
 * Pure: rows come from a callback, spans go into an arena.  Sums are cut to 6 bytes and ids to 5: they find
 * accidents, what they miss the digests still show; against a liar stands the signed chain.
 *
 * Form of one register's spans: name (length-prefixed); varint count of units ≤ LIMIT_RANGES_UNITS (0: every unit in
 * the driver's scope), each a varint, the first as it is, the others less the one before; varint count of spans, per
 * span: byte mode, the bound (below), and with mode 1 six bytes, with mode 2 varint count and five bytes each.  A
 * span reaches from the bound before it (the first: from the beginning) up to, not including, its own.  Keys behind
 * the last bound are skipped.
 * Form of a bound or key: byte class (core/value.h; 0: the end), then zigzag varint | 8 bytes | for text and blob
 * varint of bytes shared with the bound before it (0 where that is of another class), varint count and the others. */
#ifndef CORE_RANGES_H
#define CORE_RANGES_H

#include "core/digest.h"
#include "core/limits.h"
#include "core/value.h"

#define RANGES_WAYS 8u
#define RANGES_SUM  6u
#define RANGES_ID   5u

enum span_mode {
	SPAN_SKIP,                       /* nothing more is asked about it */
	SPAN_SUM,                        /* the sender's sum */
	SPAN_IDS,                        /* the sender's rows, in the order of their keys */
	SPAN_LATER,                      /* the answer had no time or room: ask again */
	SPAN_WANT,                       /* the driver wants the ids */
	SPAN_MODES
};

struct span {
	struct cell to;                  /* CELL_NULL: to the end */
	enum span_mode mode;
	uint8_t sum[RANGES_SUM];
	struct slice ids;
};

struct spans {                           /* of one register */
	struct arena *arena;             /* of those being made */
	struct slice name;
	uint32_t nunits;                 /* 0: all */
	const uint64_t *units;           /* ascending */
	uint32_t n, room;
	struct span *at;
	size_t size;                     /* about the bytes that spans_put will take */
};

void spans_put(struct buf *b, const struct spans *s);
/* Cells and ids are views into the reader's bytes or the arena; sets r->bad. */
void spans_get(struct reader *r, struct arena *a, struct spans *ret);

/* Bounds and keys one after the other; `before` is the one before, and becomes this one. */
void bound_put(struct buf *b, struct cell *before, struct cell c);
struct cell bound_get(struct reader *r, struct cell *before, struct arena *a);

struct ranges_rows {                     /* this node's rows of one register */
	/* Those from `from` (NULL: the first) up to, not including, `to` (CELL_NULL: to the end), in order; a code that
	 * fn returns ends it and is returned. */
	int (*each)(void *arg, const struct cell *from, struct cell to,
	            int (*fn)(void *fn_arg, struct cell key, const struct term *t), void *fn_arg, struct err *err);
	bool (*over)(void *arg);         /* no more time; NULL: never */
	void *arg;
};

/* Adds those of `more` from number `from` on behind the ones there are. */
int spans_append(struct spans *s, const struct spans *more, uint32_t from, struct err *err);

/* The driver's first spans of a register: sums over about `per` rows each, from *at on (CELL_NULL: the first row),
 * until time or room is over; *at is where to go on, *ret_done when the end was reached. */
int ranges_begin(const struct ranges_rows *rows, uint32_t per, struct cell *at, size_t most, struct spans *out,
                 bool *ret_done, struct err *err);

/* What the other side answers. */
int ranges_answer(const struct spans *in, const struct ranges_rows *rows, size_t most, struct spans *out, struct err *err);

struct ranges_found {                    /* what the driver learns */
	int (*mine)(void *arg, struct cell key, struct err *err);        /* a row that the other has not in this form */
	/* ids that the other has and this node has not, somewhere in that span */
	int (*theirs)(void *arg, const struct cell *from, struct cell to, struct slice ids, struct err *err);
	void *arg;
};

/* The driver goes on with an answer, from its span *at; *at < in->n afterwards: the rest waits for the next round. */
int ranges_go_on(const struct spans *in, uint32_t *at, const struct ranges_rows *rows, const struct ranges_found *found,
                 size_t most, struct spans *out, struct err *err);

#endif
