/* Ask: one GET to the superior with this node's own certificate, as the daemon dials it.  For doctor, and for evidence
 * that is not kept here; needs the keys, so only the daemon's user and root can. */
#ifndef CTL_ASK_H
#define CTL_ASK_H

#include "app/home.h"
#include "app/settings.h"
#include "ctl/ctl.h"

#define ASK_MS 15000                     /* how long an answer may take */

/* url: of the superior; path: with its query.  *ret_status is HTTP's; the body of 200, or the sentence of another one
 * in err (whose code is then ERR_REFUSED, ERR_CHAIN for 403, ERR_NOT_FOUND for 404), is returned.  Nothing answered:
 * ERR_NETWORK. */
int ask_parent(const struct ctl *c, const struct settings *s, const struct identity *id, const char *url, const char *path,
               size_t most, int *ret_status, struct buf *ret, struct err *err);

#endif
