/* Seal: from the log, or from the table itself, to this node's own writes; see engine/self.h for seal_log. */
#ifndef ENGINE_SEAL_H
#define ENGINE_SEAL_H

#include "engine/self.h"

#define SEAL_ENTRIES 12000u              /* log rows of one slice: well under SLICE_MS of write lock */

/* One slice of a register's rows that no trigger named, from `after` on (NULL = the start): rows of the table, or of
 * the state (state_rows) that the table may lack.  late: found by an audit.  In the caller's transaction. */
int seal_walk(struct engine *e, struct reg *r, const struct cell *after, bool state_rows, bool late, uint32_t most,
              struct arena *a, struct cell *ret_last, uint32_t *ret_n, struct err *err);

/* One row that no trigger named, as a person wants it kept. */
int seal_late(struct engine *e, struct reg *r, struct key key, struct err *err);

#endif
