/* Local: triggers of the application that the policy names as `local` (a full-text index that follows a register) run
 * as TEMP copies on the writing connection, which fires no other; trusted_schema is 1 only while there is one. */
#ifndef STORE_LOCAL_H
#define STORE_LOCAL_H

#include "store/catalog.h"

/* Takes away the copies that stand and makes those of the catalog; say: one that cannot be run, with its register. */
int local_install(struct db *db, const struct catalog *c, void (*say)(void *arg, const char *reg, const char *text), void *arg,
                  struct err *err);

#endif
