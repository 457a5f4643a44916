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

/* ---- store/capture_piece.c */

struct maker {                           /* of one register's triggers */
	struct db *db;
	const struct reg *r;
	const struct capture_modes *m;
	struct arena *a;
	struct err *err;
	struct buf b;                    /* the trigger being written */
	char name[64];
	struct trigger *list;
	uint32_t n, room;
	struct shape shape;
	bool forbids_delete;             /* neither remove nor propose: a delete is aborted */
	bool acts;                       /* some right is one of unmanned units only */
	bool stands;                     /* some write is judged by what stood: terrace_displaced is used */
};

/* A cell as an expression of the same class and bytes. */
void piece_literal(struct buf *b, struct cell c);
/* Whether a row of that unit (an expression that gives the code as a number) is one where a node of level `self` has not
 * the right that it would take over from level `from`: the unit lies above it, or somebody at it or above is enrolled whom
 * the register comes to (its levels end at `floor`). */
void piece_manned(struct buf *b, const char *unit, enum level self, enum level from, enum level floor);

/* All of these go on with the trigger being written.  row: "old", "new", or NULL for the table that a subquery reads. */
void piece_text(struct maker *k, const char *text);
void piece_column(struct maker *k, const char *row, const char *name);
void piece_key(struct maker *k, const char *row);
void piece_differs(struct maker *k, const struct column *c, const char *a, const char *b);
void piece_key_differs(struct maker *k, const char *a, const char *b);
void piece_from_same_key(struct maker *k);
void piece_what(struct maker *k, uint32_t column, unsigned operation);
void piece_log(struct maker *k, const char *row, uint32_t column, unsigned operation);
void piece_log_old(struct maker *k, const char *key_row, const struct column *c, unsigned operation);
void piece_displaced(struct maker *k, const char *row, const char *numbers);
void piece_stood(struct maker *k, const char *row);
/* ` AND (…)`: only in rows of manned units; nothing where from is 0.  coming: the row comes under its key. */
void piece_and_manned(struct maker *k, const char *row, bool coming, enum level from);

#endif
