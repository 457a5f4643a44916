/* Hold: registers whose table is the application's (`schema = application`) and is missing or lacks a column of the
 * policy.  What comes for them waits in quarantine until the application has been upgraded; what is written in the
 * table meanwhile is sealed, columns that it lacks saying what stands. */
#ifndef ENGINE_HOLD_H
#define ENGINE_HOLD_H

#include "engine/merge.h"

/* After the catalog was read again: opens and solves the issue `schema-hold`, and where a hold has ended installs the
 * triggers and starts the walk that writes what waited.  In the caller's transaction. */
int hold_look(struct engine *e, struct err *err);
/* The columns that the table lacks, in cells of all columns of the row as the table has them. */
int hold_fill(struct merging *m, struct merging_row *row, struct cell *cells, struct err *err);

#endif
