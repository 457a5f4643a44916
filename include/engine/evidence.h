/* Evidence: what a child says as state, against what its author signed and what this node knows of itself.  A contradiction
 * is an alarm. */
#ifndef ENGINE_EVIDENCE_H
#define ENGINE_EVIDENCE_H

#include "engine/merge.h"

/* Of a value in a child's state that the rule would take or record: *ret_refused where its author's signed deltas, kept here,
 * say otherwise or do not have it (alarm equivocation).  It is left out then.  Where they are not kept the child vouches. */
int evidence_state(struct merging *m, const struct merging_row *row, const struct value *v, const struct verdict *verdict,
                   bool *ret_refused, struct err *err);
#endif
