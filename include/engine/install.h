/* Install: policies and other broadcasts, from publishing at the issuer to activation at every node below
 * (design protocol §0, §8). */
#ifndef ENGINE_INSTALL_H
#define ENGINE_INSTALL_H

#include "engine/self.h"

/* Publishes a checked policy in its canonical form as this node's next version, and activates it where its
 * `effective` has come.  Own transaction.  *ret_version: the version it got. */
int policy_publish(struct engine *e, struct slice canonical, uint64_t *ret_version, struct err *err);
/* Publishes the unit list (code, name) of the tree; at the root only.  lines: "CODE NAME\n". */
int units_publish(struct engine *e, struct slice lines, uint32_t *ret_count, struct err *err);

#endif
