/* Findings: rows whose table is not what the record says, as an audit found them (design protocol §7). */
#ifndef STORE_FINDINGS_H
#define STORE_FINDINGS_H

#include "store/catalog.h"

enum finding_kind {
	FINDING_NONE,
	FINDING_CHANGED,                 /* the table's values are not those on record */
	FINDING_MISSING,                 /* the record has the row, the table has not */
	FINDING_UNKNOWN,                 /* the table has a row that the record has not */
};

struct damage {
	uint32_t reg;                    /* its number */
	struct cell key;
	enum finding_kind kind;
	bool asked;                      /* the neighbours were asked for its values */
};
int finding_put(struct db *db, const struct damage *f, int64_t at_ms, struct err *err);
int finding_clear(struct db *db, const struct reg *r, struct cell key, struct err *err);
/* Those of a register that nobody was asked for yet. */
int finding_forget(struct db *db, const struct reg *r, struct err *err);
int finding_get(struct db *db, const struct reg *r, struct cell key, struct damage *ret, struct err *err);
int finding_each(struct db *db, int (*fn)(void *arg, const struct damage *f), void *arg, struct err *err);
bool finding_any(struct db *db);
uint64_t finding_count(struct db *db, const struct reg *r);

/* Whether people are told of the row already, as an open issue. */
bool finding_is_issue(struct db *db, const struct reg *r, struct cell key);

#endif
