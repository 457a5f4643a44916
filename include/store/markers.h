/* Markers: tombstones and removals that this node holds, and those that children were sent (protocol.md §6). */
#ifndef STORE_MARKERS_H
#define STORE_MARKERS_H

#include "store/links.h"

struct marker {
	uint32_t reg;                    /* its number */
	struct cell key;
	uint64_t unit;
	int64_t since_s;                 /* tree time */
};
/* A row has ended or left; one that did before has done so anew. */
int held_put(struct db *db, const struct reg *r, struct cell key, uint64_t unit, int64_t since_s, struct err *err);
int held_forget(struct db *db, uint32_t reg, struct cell key, struct err *err);
int held_told(struct db *db, const struct reg *r, struct cell key, struct err *err);      /* the parent has dropped it */
/* Those behind `after` (reg 0: from the start) that the parent dropped; at the top, those held since `before_s`. */
int held_due(struct db *db, const struct marker *after, bool top, int64_t before_s, uint32_t most, struct arena *a,
             struct marker **ret, uint32_t *ret_n, struct err *err);
int held_count(struct db *db, int64_t *ret, struct err *err);

/* What a child will be told that it is gone: group row's value as the child has it (value_store). */
int gone_put(struct db *db, uint64_t peer, uint32_t reg, struct cell key, struct slice value, int64_t since_s, bool due,
             struct err *err);
int gone_get(struct db *db, uint64_t peer, uint32_t reg, struct cell key, struct arena *a, struct slice *ret, bool *ret_found,
             struct err *err);
bool gone_any(struct db *db, uint64_t peer);
int gone_forget(struct db *db, uint64_t peer, uint32_t reg, struct cell key, struct err *err);
struct gone {
	uint64_t peer;
	uint32_t reg;
	struct cell key;
};
/* Sent before `before_s` to a child that was at rest since, and not told of yet. */
int gone_ready(struct db *db, int64_t before_s, uint32_t most, struct arena *a, struct gone **ret, uint32_t *ret_n, struct err *err);
int gone_due(struct db *db, const struct gone *g, struct err *err);
int gone_settled(struct db *db, struct err *err);        /* those told and acknowledged are forgotten */

/* Tree time at which digests of the link were last equal: all that either had was with the other. */
int link_rest_put(struct db *db, uint64_t peer, int64_t at_s, struct err *err);
int64_t link_rest(struct db *db, uint64_t peer);

#endif
