/* What every node relies on in a policy: names well-formed and unique, groups disjoint and owned, dates that are
 * dates.  Shared by policy_put, policy_get and the reader of the text; no SQL is looked at here. */
#ifndef CORE_POLICY_SOUND_H
#define CORE_POLICY_SOUND_H

#include "core/policy.h"

/* The block that an error is about, so that the reader of a text can name its line; NULL = none, or the whole. */
struct policy_where {
	const char *reg;                 /* register */
	const char *kind, *name;         /* "group" "check", inside the register where one is named */
};

/* ERR_POLICY with the sentence, and where. */
int policy_sound(const struct policy *p, struct policy_where *ret_where, struct err *err);
bool policy_name_good(const char *name);         /* 1..LIMIT_NAME bytes, no control characters */
bool policy_date_good(const char *date);         /* YYYY-MM-DD, a day that exists, 1900 or later */
/* Levels that may delete: as said, else the highest owner of any group (without groups: the highest creator). */
uint8_t policy_remove(const struct policy_register *r);

#endif
