/* Watch, the reading side: which triggers of ours a node's registers lack, without a running engine. */
#ifndef ENGINE_WATCH_H
#define ENGINE_WATCH_H

#include "store/catalog.h"

/* Hands every register in force to fn, with how many of its triggers are missing, changed or too many, and which, until fn
 * returns non-zero.  The node's unit, and its parent's or UNIT_NONE. */
int watch_missing(struct db *db, const struct catalog *c, uint64_t unit, uint64_t parent,
                  int (*fn)(void *arg, const struct reg *r, uint32_t missing, const char *names), void *arg, struct err *err);

#endif
