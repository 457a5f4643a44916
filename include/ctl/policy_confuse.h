/* Policy grammar for libConfuse; takes only what policy_text_scan has passed. */
#ifndef CTL_POLICY_CONFUSE_H
#define CTL_POLICY_CONFUSE_H

#include "base/bytes.h"
#include "base/err.h"

struct cfg_t;
/* Unknown keys and values of the wrong shape are ERR_POLICY, "path:line: …".  *ret is freed with cfg_free. */
int policy_confuse(const char *path, struct buf *plain, struct cfg_t **ret, struct err *err);

#endif
