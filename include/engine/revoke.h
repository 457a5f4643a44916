/* Revocation (design protocol §1): the superior that enrolled a unit signs a broadcast that names the unit's certificates
 * and the last segments of its key that are trusted (core/revoke.h).  It travels down as every broadcast, and up in
 * hellos (engine/subtree.c), verbatim.  What the key signed before stays valid, what it signed behind is refused; from
 * then on the superior acts for the unit and nothing waits for it. */
#ifndef ENGINE_REVOKE_H
#define ENGINE_REVOKE_H

#include "engine/self.h"

/* Of a direct child; own transaction. */
int revoke_publish(struct engine *e, uint64_t unit, const char *reason, struct err *err);
/* One that came from above or is this node's own; in the caller's transaction. */
int revoke_take(struct engine *e, const struct segment *s, struct slice raw, struct err *err);
/* One that the child `via` tells: issued by it or below it.  *ret_unit: whom it revokes, UNIT_NONE where it is not sound
 * (an event says why). */
int revoke_heard(struct engine *e, uint64_t via, struct slice bytes, uint64_t *ret_unit, struct err *err);

/* ERR_CHAIN where the key is revoked and the segment lies behind what is trusted of it. */
int revoke_check(struct engine *e, const struct segment *s, const uint8_t key[SIGN_PUBLIC_SIZE], const char *name,
                 struct err *err);

#endif
