/* Versions: what a value has taken into account, level by level (design authority.md, Terms, Order, Seen, Join).
 *
 * A mark is (tick, epoch) of one node.  A version is five marks, highest level first; the author's unit; the
 * mode it was written in; the policy list it was sealed under; the version it replaces (base).  All of it is the
 * same bytes on every node: version_put is the only encoding (stores, hashes, segments). */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

#include "core/limits.h"
#include "core/unit.h"

struct mark {
	uint64_t tick;                   /* 0 = nothing seen */
	uint32_t epoch;
};

struct marks {
	struct mark at[LEVELS];
};

/* Names one write (author unit and own mark), or a life (that of the insert that began it); unit 0 = none. */
struct ident {
	uint64_t unit;
	struct mark mark;
};

enum kind { DECISION, PROPOSAL };

/* What a delete had seen of a group: of which life, its decision's marks. */
struct saw {
	struct ident life;
	char group[64];                  /* the group's name; "" is not allowed */
	struct marks marks;
};

struct version {
	uint64_t unit;                   /* author */
	struct marks marks;
	struct ident base;               /* the write it replaces; unit 0 = none */
	struct marks asserts;            /* of a ruling: the marks of what it asserts (zero: no row, defaults) */
	uint64_t policy;                 /* 8 bytes of the hash of the policy list, as a little-endian number */
	enum kind kind;
	bool ruling, acting;
	bool vouched;                    /* local: came as state, the author's signed delta is not here; not encoded */
	struct slice actor;              /* login of the person who decided; empty */
	const struct saw *saw;           /* of a delete */
	uint32_t nsaw;
};

int mark_compare(struct mark a, struct mark b);          /* by (tick, epoch) */
bool mark_equal(struct mark a, struct mark b);
bool ident_equal(struct ident a, struct ident b);
struct mark version_mark(const struct version *v);       /* the author's own */
struct ident version_ident(const struct version *v);

/* Order: marks from the top by (tick, epoch), then the author's unit; the only thing that decides what is held. */
int version_order(const struct version *a, const struct version *b);
int marks_compare(const struct marks *a, const struct marks *b);
struct marks marks_join(const struct marks *a, const struct marks *b);
/* marks with level's mark replaced by `own`, its tick raised past the mark that stood there. */
struct marks marks_raised(const struct marks *m, enum level level, struct mark own);

/* Epochs: from which (epoch, tick) an epoch continues; false where not known or the first. */
struct epochs {
	bool (*former)(void *arg, uint32_t epoch, struct mark *ret);
	void *arg;
};

/* Seen: mark m is seen in `by` (one epoch and not later, or by's epoch left that one at or after it). */
bool mark_seen(struct mark m, struct mark by, const struct epochs *epochs);
/* x has seen y: y's own mark is seen in x's mark of that level, or y is x's base. */
bool version_seen(const struct version *x, const struct version *y, const struct epochs *epochs);
/* A proposal is open while its own mark is greater than the decision's mark of that level (decision may be NULL). */
bool version_open(const struct version *proposal, const struct version *decision);

enum bad_mark { MARK_GOOD, MARK_ABOVE, MARK_FAR };
/* Bounds: a segment from below at a node of `level` that has met `met`. */
enum bad_mark marks_bad(const struct marks *m, enum level level, const struct marks *met);

/* Canonical encoding; version_get yields actor and saw in the arena and sets r->bad on anything malformed. */
void version_put(struct buf *b, const struct version *v);
void version_get(struct reader *r, struct arena *a, struct version *ret);
void marks_put(struct buf *b, const struct marks *m);
void marks_get(struct reader *r, struct marks *ret);
void ident_put(struct buf *b, const struct ident *i);
void ident_get(struct reader *r, struct ident *ret);

#endif
