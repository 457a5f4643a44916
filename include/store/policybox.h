/* Policybox: every policy version of every issuer above (and of this node), and which one is in force.
 * States: staged (came, checked, waits for its issuer's activate), active, last (the good one before), old, failed. */
#ifndef STORE_POLICYBOX_H
#define STORE_POLICYBOX_H

#include "core/policy.h"
#include "store/db.h"

int policybox_put(struct db *db, uint64_t issuer, uint64_t version, struct slice canonical, int64_t segment,
                  const char *state, const char *note, int64_t at_ms, struct err *err);
/* Greatest version known, 0 = none. */
uint64_t policybox_latest(struct db *db, uint64_t issuer);
/* Reads a version (0 = the active one, UINT64_MAX = the oldest staged one) into the arena. */
int policybox_get(struct db *db, uint64_t issuer, uint64_t version, struct arena *a, struct policy *ret,
                  uint64_t *ret_version, bool *ret_found, struct err *err);
int policybox_activate(struct db *db, uint64_t issuer, uint64_t version, int64_t at_ms, struct err *err);
int policybox_fail(struct db *db, uint64_t issuer, uint64_t version, const char *note, int64_t at_ms, struct err *err);

/* Whether a version newer than the one in force is here and could not be put in force. */
bool policybox_failed(struct db *db);

int units_clear(struct db *db, struct err *err);
int units_add(struct db *db, uint64_t code, const char *name, struct err *err);
/* Every broadcast segment kept, oldest first. */
int broadcasts_each(struct db *db, int (*fn)(void *arg, int64_t id), void *arg, struct err *err);
/* Time notes of the author before that position are of no use any more. */
int time_notes_drop(struct db *db, uint64_t author, uint64_t before, struct err *err);

/* Whether the register's table has any row. */
bool table_has_rows(struct db *db, const char *table);
int table_count(struct db *db, const char *table, int64_t *ret, struct err *err);

#endif
