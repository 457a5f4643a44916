/* Duplicates: one identity in two units of a county is an issue at the node in whose scope both first lie (policy,
 * identity = { … }).  The issue names the other unit and the register, nothing else, and is solved by itself. */
#ifndef ENGINE_DUPLICATES_H
#define ENGINE_DUPLICATES_H

#include "engine/self.h"

/* The row was changed, came or went (stands: it lives in this node's scope, and the state says so already). */
int duplicates_look(struct engine *e, struct reg *r, struct key key, struct cell key_cell, uint64_t unit, bool stands,
                    struct arena *a, struct err *err);
/* A register whose policy names another identity than before: its index, and all rows that are there. */
int duplicates_index(struct engine *e, struct reg *r, struct err *err);

#endif
