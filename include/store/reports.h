/* Reports: the reading side of what people see.  Every function walks rows in a fixed order and hands each to fn,
 * until fn returns non-zero; texts and slices live until fn returns, or in the arena where one is given. */
#ifndef STORE_REPORTS_H
#define STORE_REPORTS_H

#include "store/records.h"

enum record_class { RECORDS_ANY, RECORDS_CONFLICTS, RECORDS_RETURNS };

/* Zero, NULL or false = not asked for. */
struct report_filter {
	int64_t id, since_ms;
	const char *reg, *group, *kind;
	const struct cell *key;
	uint64_t unit;                   /* the unit's whole scope */
	bool all;                        /* closed ones too */
	enum record_class records;
};

/* Records, oldest first. */
int report_records(struct db *db, const struct report_filter *f, int (*fn)(void *arg, const struct record *r), void *arg,
                   struct err *err);

struct issue {
	int64_t id, since_ms;
	const char *kind, *reg, *text, *state, *note, *actor;
	struct cell key;
	uint64_t unit;                   /* UNIT_NONE = none named */
};
int report_issues(struct db *db, const struct report_filter *f, int (*fn)(void *arg, const struct issue *i), void *arg,
                  struct err *err);

struct waiting_row {                     /* of the quarantine; id 0: too large to be sealed */
	int64_t id, since_ms, tries;
	uint32_t reg;                    /* its number */
	struct cell key;
	bool alive;
	const char *why;
	int64_t dropped_ms;              /* 0 = it waits */
	const char *reason, *actor;      /* of who gave it up */
};
/* all: also those that were given up. */
int report_quarantine(struct db *db, bool all, int (*fn)(void *arg, const struct waiting_row *w), void *arg, struct err *err);

/* A proposal.  It has no number of its own: people name it by one made of what it is, which is the same on every node
 * of the path.  Another value in its place has another number of the same place (proposal_place). */
struct proposal {
	int64_t id;
	uint32_t reg, group;             /* numbers */
	struct cell key;
	uint64_t unit;                   /* author */
	struct slice value;              /* value_store */
	const char *text;
	int64_t since_ms;                /* when it came here; 0 = not known */
};
/* Open ones, or (closed) those that are decided; reg NULL = of all registers. */
int report_proposals(struct db *db, const char *reg, bool closed, int (*fn)(void *arg, const struct proposal *p), void *arg,
                     struct err *err);
/* Numbers of a list add up to one that says which they were. */
static inline int64_t proposal_sum(int64_t sum, int64_t id)
{
	return (sum + id) & ((INT64_C(1) << 52) - 1);
}
int64_t proposal_place(int64_t id);      /* register, key, group and author of what the number names */

struct event_row {
	int64_t id, at_ms;
	const char *kind, *segment, *text;
	int level;
	uint64_t peer;
};
int report_events(struct db *db, const struct report_filter *f, int (*fn)(void *arg, const struct event_row *e), void *arg,
                  struct err *err);

struct policy_row {
	uint64_t issuer, version;
	const char *state, *note;
	int64_t at_ms;
};
int report_policies(struct db *db, int (*fn)(void *arg, const struct policy_row *p), void *arg, struct err *err);

int report_units(struct db *db, int (*fn)(void *arg, uint64_t unit, const char *name), void *arg, struct err *err);
/* Of the unit list, else of the enrolled; "" where nobody has named it.  Copied into the arena. */
const char *report_unit_name(struct db *db, uint64_t unit, struct arena *a);

struct peer_row {
	uint64_t unit;
	const char *name, *serial;
	bool direct, revoked;
	int64_t enrolled_ms, until_s;    /* until: end of the certificate */
};
int report_peers(struct db *db, int (*fn)(void *arg, const struct peer_row *p), void *arg, struct err *err);

struct segment_row {
	int64_t id, at_ms, settled_ms, bytes;
	uint64_t author, stream, position, tick, origin;
	uint32_t kind, epoch;
};
/* author UNIT_NONE = all; oldest first. */
int report_segments(struct db *db, uint64_t author, int (*fn)(void *arg, const struct segment_row *s), void *arg,
                    struct err *err);

/* The author's deltas that were sealed under a mark, as far as they are kept here, without the first `skip`. */
int report_evidence(struct db *db, uint64_t author, struct mark mark, uint32_t skip,
                    int (*fn)(void *arg, int64_t id, struct slice bytes), void *arg, struct err *err);

/* Rows that the log holds; wall time of the author's oldest delta that is not settled, 0 = none. */
int report_log_rows(struct db *db, uint64_t *ret, struct err *err);
int report_oldest(struct db *db, uint64_t author, int64_t *ret_ms, struct err *err);
/* Registers whose rows are being walked, by number; the greatest id of a segment kept here, 0 = none. */
int report_walks(struct db *db, int (*fn)(void *arg, uint32_t reg), void *arg, struct err *err);
/* Living rows of a register that wait in quarantine; how far its adoption is. */
int report_waiting_rows(struct db *db, uint32_t reg, uint64_t *ret, struct err *err);
int report_adoption(struct db *db, uint32_t reg, uint64_t *ret_total, uint64_t *ret_done, struct err *err);
int report_last_segment(struct db *db, int64_t *ret, struct err *err);
/* What SQLite says of the file's pages, line by line; "ok" alone where nothing is wrong. */
int report_integrity(struct db *db, bool deep, int (*fn)(void *arg, const char *line), void *arg, struct err *err);

#endif
