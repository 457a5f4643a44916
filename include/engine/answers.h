/* Answers: the decisions of this node that a value which came calls for (authority.md: Ruling, Once more; policy,
 * on_conflict).  Each is an ordinary write of its own, inside the pass. */
#ifndef ENGINE_ANSWERS_H
#define ENGINE_ANSWERS_H

#include "engine/merge.h"

/* The ruling on a refused (or revived) value; it stands in the outbox before the delta that it rules on. */
int answer_refused(struct merging *m, struct merging_row *row, const struct value *v, const struct verdict *verdict,
                   struct err *err);
/* Displaced by a ruling against another write: this node's own value once more, on top, in the mode that it has now. */
int answer_once_more(struct merging *m, struct merging_row *row, const struct verdict *verdict, struct err *err);

struct settlement {
	const struct value *kept, *lost;         /* lost NULL: nothing to settle */
	bool acting;
};
/* Before v is put: whether a conflict is to be answered with the value that lost (on_conflict = max | min COLUMN). */
struct settlement answer_conflict(struct merging *m, struct merging_row *row, const struct value *v,
                                  const struct verdict *verdict);
int answer_settle(struct merging *m, struct merging_row *row, const struct settlement *s, struct err *err);

#endif
