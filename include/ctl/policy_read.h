/* Policy reader: the text of terrace-policy(5) to a struct policy, once, at `policy check`.
 *
 * Every error begins "path:line: ".  What is read here is whole and sound in itself (core/policy_sound.h); whether
 * its SQL may run and fits its registers is ddl_check's, whether this version enforces it policy_unsupported's.
 * policy_check is all three in that order, for `policy check` and `policy publish`. */
#ifndef CTL_POLICY_READ_H
#define CTL_POLICY_READ_H

#include "core/policy_sound.h"

/* Files of `schema = { … }` are read relative to the policy's own folder.  Everything lives in the arena. */
int policy_read(const char *path, struct arena *a, struct policy *ret, struct err *err);
/* The same for a text in memory; path is its name in errors and the place that schema files are relative to. */
int policy_read_text(const char *path, struct slice text, struct arena *a, struct policy *ret, struct err *err);

/* The first block or key of the policy's own text that this version would not enforce; 0 where there is none. */
int policy_unsupported(const struct policy *p, const char *path, struct err *err);
/* Puts "path:line: " of the block in front of err's sentence; the policy's own line where nothing is named. */
int policy_blame(const struct policy *p, const char *path, const struct policy_where *where, struct err *err);

int policy_check(const char *path, struct arena *a, struct policy *ret, struct err *err);

#endif
