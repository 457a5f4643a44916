/* Gone: tombstones and removals are dropped from the top downward (protocol.md §6).
 *
 * A marker goes when every child whose scope holds its row was at rest with this node since, so that it has the marker and
 * its own older writes have arrived, and when the parent said that it has dropped the same, or there is no parent and the
 * marker is older than any backup that may still be restored (AWAY_DAYS).  Then the children are told in their turn. */
#ifndef ENGINE_GONE_H
#define ENGINE_GONE_H

#include "engine/merge.h"

/* A row has ended: fresh, as it did not before; or it stands again. */
int gone_note(struct merging *m, const struct merging_row *row, bool stands, bool fresh, struct err *err);
/* The change that tells a child that a marker is gone; *ret_found false: there is nothing to tell. */
int gone_state(struct engine *e, struct state_builder *b, struct reg *r, struct cell key, uint64_t child, bool *ret_found,
               struct err *err);
/* What was just built for a child: a marker is remembered, to be told later; anything else ends that. */
int gone_sent(struct engine *e, const struct reg *r, struct cell key, const struct change *c, uint64_t child, struct err *err);
/* Once a day; in transactions of its own. */
int gone_reclaim(struct engine *e, struct err *err);

#endif
