/* Lists: what is remembered of policies under the lists that values name; see engine/self.h for the questions. */
#ifndef ENGINE_LISTS_H
#define ENGINE_LISTS_H

#include "base/err.h"

struct lists;

int lists_open(struct lists **ret, struct err *err);
void lists_forget(struct lists *l);      /* after activation, roll-back or a long run */
void lists_close(struct lists *l);

#endif
