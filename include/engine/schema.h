/* Schema: an upgrade of the application that was planned (`terracectl schema begin` … `end`).  Between the two our
 * triggers do not stand, so that every ALTER TABLE works, and the node exchanges nothing: what the tables hold and what
 * the state says of them may differ.  At the end all registers are audited; what was written is sealed as late. */
#ifndef ENGINE_SCHEMA_H
#define ENGINE_SCHEMA_H

#include "engine/self.h"

int schema_begin(struct engine *e, const char *actor, json_t **ret, struct err *err);
int schema_end(struct engine *e, const char *actor, json_t **ret, struct err *err);
/* ERR_BUSY while one is going on. */
int schema_running(const struct engine *e, struct err *err);

#endif
