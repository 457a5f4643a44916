/* Expression: the text of a rule or lock, before SQLite sees it.
 *
 * Looked at here is what an authorizer cannot see: that the text is one expression and nothing behind it, that it
 * names no clock ('now', 'localtime', 'utc'), binds nothing, has no WITH, and that each param('NAME', …) names a
 * parameter of the policy.  Columns, tables and functions are the authorizer's (store/rulebox.h). */
#ifndef STORE_EXPRESSION_H
#define STORE_EXPRESSION_H

#include "core/policy.h"

#define LIMIT_EXPRESSION 4096u           /* bytes of its text */

/* ERR_POLICY with a sentence, or 0. */
int expression_check(const char *text, const struct policy *p, struct err *err);
const struct policy_parameter *policy_parameter(const struct policy *p, struct slice name);      /* NULL = none */

#endif
