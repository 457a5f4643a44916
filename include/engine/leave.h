/* Leave: the orderly way out of a tree (design protocol §1): everything is sealed and settled, then the node asks its
 * parent to be revoked.  It is over for this certificate only: another invitation brings the node back. */
#ifndef ENGINE_LEAVE_H
#define ENGINE_LEAVE_H

#include "engine/self.h"

/* `terracectl leave`: from now on the node leaves as soon as it can.  ERR_REFUSED at the top and with children. */
int leave_begin(struct engine *e, struct err *err);
bool has_left(struct engine *e);

#endif
