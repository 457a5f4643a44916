/* Review: what this level decides about proposals (authority.md, Review).
 *
 * A decision answers exactly the proposal whose number was given: its version takes that one into account (Join), so it
 * closes it on every node by itself, while a newer one of the same author stays open.  A command is one transaction: it
 * decides all that it names or nothing. */
#ifndef ENGINE_REVIEW_H
#define ENGINE_REVIEW_H

#include "base/json.h"
#include "engine/merge.h"

/* Who decides on proposal p (with the cells left out) of a row of that unit, as the policy in force here says: whether
 * this node may, in its own right or acting; else the unit of the level that does. */
struct reviewer {
	bool here, acting;
	uint64_t unit;
};
struct reviewer review_by(const struct reg *r, uint64_t row_unit, const struct value *p, bool accept, uint64_t node,
                          uint64_t child, uint64_t parent);

/* `proposals accept | reject` with the words behind it: numbers; or --all with --register R, --unit U, and --sum S, the
 * sum over what was shown; --count N, how many they are; --reason TEXT for a rejection.
 * {count, actor, id where it is one, by: the decision's {level, unit, epoch, tick}}.
 * ERR_REFUSED where this level may not decide, where what was shown is no longer what waits, where the table does not
 * take it; ERR_NOT_FOUND where nothing of that number is known here. */
int review_command(struct engine *e, bool accept, const char *const *words, uint32_t n, const char *actor, json_t **ret,
                   struct err *err);

#endif
