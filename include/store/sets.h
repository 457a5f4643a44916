/* Sets: distinct version sets, interned in terrace_version and cached decoded.
 *
 * Body of a set: format 1, ident of the standing life, version of group row, count, then (group number, version)
 * ascending.  Group numbers are local, so a body never leaves the node. */
#ifndef STORE_SETS_H
#define STORE_SETS_H

#include "core/digest.h"
#include "store/db.h"

/* What group row and the groups of the standing life have for versions.  Never changes; lives until sets_forget. */
struct version_set {
	int64_t id;
	struct ident life;
	struct version row;
	uint32_t ngroups;                /* greatest group number + 1 */
	const struct version **groups;   /* [g] NULL = no decision */
};

struct sets;
int sets_open(struct db *db, struct sets **ret, struct err *err);
void sets_close(struct sets *s);
/* After a roll-back, and between rows when the cache has grown: pointers given so far are dead. */
void sets_forget(struct sets *s);
bool sets_large(const struct sets *s);
int sets_get(struct sets *s, int64_t id, const struct version_set **ret, struct err *err);
/* The set that says this (groups as in struct version_set), made where there is none. */
int sets_intern(struct sets *s, struct ident life, const struct version *row, uint32_t ngroups,
                const struct version *const *groups, const struct version_set **ret, struct err *err);

#endif
