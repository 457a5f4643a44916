/* Records: what people see of decisions: conflicts and returns (one table), issues, quarantine, the sync log. */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

#include "store/state.h"

struct record {
	int64_t id;
	const char *reg, *group;         /* names; group "row" */
	struct cell key;
	struct ident lost;               /* the losing write */
	uint64_t unit;                   /* the row's unit as held where it was decided */
	const char *kind;                /* conflicts: "superseded", "edited-while-deleted"; returns: "refused", "rejected", "read-only" */
	const char *why, *say;           /* rule's word; sentence, or NULL */
	int rule;
	uint64_t decider;                /* unit that decided */
	uint64_t policy;
	int64_t at_ms, tree_s;
	struct slice kept, lost_value, base;     /* value_store; empty = none */
	const char *kept_text, *lost_text, *base_text;
	bool vouched;
	const char *state, *note, *actor;        /* "open", "closed" by a person, "resolved", "replaced" */
};
/* One a losing value; an older record from a lower decider, or an open one of an earlier value of the same author,
 * gives way.  *ret_id 0 where the one that stands stays. */
int record_put(struct db *db, const struct record *r, int64_t *ret_id, struct err *err);
int record_get(struct db *db, int64_t id, struct arena *a, struct record *ret, bool *ret_found, struct err *err);
void record_encode(struct buf *b, const struct record *r);       /* body of ITEM_RECORD */
int record_decode(struct slice body, struct arena *a, struct record *ret, struct err *err);
/* How much of what people see is open. */
struct record_counts {
	uint64_t quarantine, conflicts, proposals, returns, issues;      /* what is open */
};
int record_counts(struct db *db, struct record_counts *ret, struct err *err);
bool record_any_open(struct db *db);
/* Hands the open records of a row's group to fn, which says the state that ends one, or NULL: it stays open. */
int record_settle(struct db *db, const char *reg, struct cell key, const char *group,
                  const char *(*fn)(void *arg, struct ident lost, struct slice lost_value), void *arg, struct err *err);

int quarantine_put(struct db *db, const struct reg *r, struct cell key, bool alive, struct slice value, const char *why,
                   int64_t at_ms, struct err *err);
int quarantine_get(struct db *db, const struct reg *r, struct cell key, struct arena *a, bool *ret_found,
                   bool *ret_alive, struct slice *ret_value, struct err *err);
bool quarantine_any(struct db *db);      /* given up or not */
bool quarantine_waits(struct db *db);    /* one that nobody gave up */
int quarantine_drop(struct db *db, const struct reg *r, struct cell key, struct err *err);
/* From the entry behind `after` on; what fn returns, if not 0, ends it, and above 1 is returned. */
struct waiting {
	int64_t id;
	uint32_t reg;                    /* its number */
	struct cell key;                 /* until fn returns */
	bool dropped;
};
int quarantine_each(struct db *db, int64_t after, int (*fn)(void *arg, const struct waiting *w), void *arg, struct err *err);
/* A person gives the entry up: nothing tries it until another value of the row comes, or quarantine_again.  *ret_found
 * false: there is none that waits. */
int quarantine_give_up(struct db *db, int64_t id, int64_t at_ms, const char *reason, const char *actor, bool *ret_found,
                       struct err *err);
int quarantine_again(struct db *db, int64_t id, struct err *err);
bool quarantine_dropped(struct db *db, const struct reg *r, struct cell key);

int issue_put(struct db *db, const char *kind, const char *reg, struct cell key, uint64_t unit, const char *text,
              int64_t at_ms, struct err *err);
int issue_is_open(struct db *db, const char *kind, const char *reg, struct cell key, bool *ret, struct err *err);
bool issue_any(struct db *db, const char *kind, const char *reg);         /* an open one */
int issue_solved(struct db *db, const char *kind, const char *reg, struct cell key, struct err *err);

/* A person closes an open entry with a note; *ret_found false: there is none of that number. */
int record_close(struct db *db, int64_t id, const char *note, const char *actor, bool *ret_found, struct err *err);
/* One that is only there to be read later: it is closed as it is made. */
int issue_noted(struct db *db, const char *kind, const char *reg, struct cell key, const char *note, const char *actor,
                struct err *err);
int issue_close(struct db *db, int64_t id, const char *note, const char *actor, bool *ret_found, struct err *err);

int event_put(struct db *db, int64_t at_ms, int level, const char *kind, uint64_t peer, const char *segment,
              const char *text, struct err *err);
/* At most `most` of each; *more is set where that many went. */
int event_reclaim(struct db *db, int64_t before_ms, uint32_t most, bool *more, struct err *err);
int closed_reclaim(struct db *db, int64_t before_ms, uint32_t most, bool *more, struct err *err);        /* records, issues */

#endif
