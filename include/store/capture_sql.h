/* Capture, the text: which triggers a register needs under given modes, as SQL.  Pure but for asking the live table
 * for its unique keys; nothing is written.  The same table and modes give the same names and the same bytes. */
#ifndef STORE_CAPTURE_SQL_H
#define STORE_CAPTURE_SQL_H

#include "store/capture.h"

/* In the table only: LOG_COLUMN whose `old` holds what stood (NULL is a value too); log_read says has_old. */
#define LOG_KEPT 3

struct trigger {
	const char *name, *sql;          /* sql as sqlite_master keeps it */
};

/* No table: no trigger. */
int triggers_make(struct db *db, const struct reg *r, const struct capture_modes *modes, struct arena *a,
                  struct trigger **ret, uint32_t *ret_n, struct err *err);

#endif
