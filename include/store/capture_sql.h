/* Capture, the text: which triggers a register needs under given modes, as SQL.  Pure but for asking the live table
 * for its unique keys; nothing is written.  The same table and modes give the same names and the same bytes. */
#ifndef STORE_CAPTURE_SQL_H
#define STORE_CAPTURE_SQL_H

#include "store/capture.h"

/* In the table only: LOG_COLUMN whose `old` holds what stood (NULL is a value too); log_read says has_old. */
#define LOG_KEPT 3

struct part {                            /* a column of a unique key */
	const char *name, *collation;
	const char *fill;                /* what OR REPLACE puts for a NULL: the literal default of a NOT NULL column */
	bool generated;
};

struct unique {
	uint32_t n;
	struct part *parts;
	bool rowid;                      /* the rowid, by name or hidden: every alias moves it */
	bool hidden;                     /* no column of the table names it */
};

struct shape {                           /* of the live table */
	uint32_t ncolumns, nuniques;
	struct part *columns;            /* all */
	struct unique *uniques;          /* other than the register's key; partial and expression indexes left out */
	const char *aliases[4];          /* names of the rowid that no column takes; NULL-terminated */
};
int shape_read(struct db *db, const struct reg *r, struct arena *a, struct shape *ret, struct err *err);

struct trigger {
	const char *name, *sql;          /* sql as sqlite_master keeps it */
};

/* No table: no trigger. */
int triggers_make(struct db *db, const struct reg *r, const struct capture_modes *modes, struct arena *a,
                  struct trigger **ret, uint32_t *ret_n, struct err *err);

#endif
