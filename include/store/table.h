/* Table: reads and writes the application's register tables; the only code that touches their columns.
 *
 * Writes are UPDATE for changed columns and INSERT or UPSERT for whole rows, never REPLACE; our connection fires no
 * trigger and no cascade.  What the table refuses is the caller's to keep in quarantine. */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include "store/state.h"

struct table;
int table_open(struct db *db, struct table **ret, struct err *err);
void table_close(struct table *t);
void table_forget(struct table *t);      /* after a new catalog or a roll-back of DDL */

/* Cells of all columns of the register (index = position in r->columns), views in the arena; *ret NULL where the
 * table has no such row. */
int table_read(struct table *t, const struct reg *r, struct cell key_cell, struct key key, struct arena *a,
               struct cell **ret, struct err *err);
/* Fills the cells of every standing decision (from the table, the overflow or the quarantine) of a loaded row. */
int held_cells(struct table *t, struct held *h, struct arena *a, struct err *err);
/* What the quarantine keeps of a row: the standing decisions with their cells. */
void held_store(const struct held *h, struct buf *b);
/* The row's columns: those set in `mask` (by position in r->columns) get cells[i]; insert: the row is new. Returns
 * ERR_REFUSED with the constraint's text when the table says no (nothing is changed then). */
int table_write(struct table *t, const struct reg *r, struct key key, bool insert, const bool *mask,
                const struct cell *cells, struct err *err);
/* A row that the application took away comes back, its local columns too: mask and cells by place in r->columns, then
 * r->local; the key's stand among them. */
int table_restore(struct table *t, const struct reg *r, const bool *mask, const struct cell *cells, struct err *err);
/* Takes the row out; *ret: its local columns, by place in r->local (NULL where there was no row), in the arena. */
int table_take(struct table *t, const struct reg *r, struct key key, struct arena *a, struct cell **ret, struct err *err);
/* The row's local columns as they were taken; nothing where cells is NULL. */
int table_locals(struct table *t, const struct reg *r, struct key key, const struct cell *cells, struct err *err);
int table_delete(struct table *t, const struct reg *r, struct key key, struct err *err);
/* Foreign keys among the registers for this row as it stands: 0, or ERR_REFUSED naming parent or child. */
int table_keys(struct table *t, const struct reg *r, struct key key, bool deleted, struct err *err);
/* The rows that refer to this one by a foreign key, at most `most`; *ret_all false: some stand in a table that is no
 * register. */
struct table_child {
	struct reg *reg;
	struct key key;
};
int table_children(struct table *t, const struct catalog *c, const struct reg *r, struct key key, uint32_t most,
                   struct arena *a, struct table_child **ret, uint32_t *ret_n, bool *ret_all, struct err *err);
/* The next keys of the table itself in key order, after `after` in its one-cell form (NULL = from the start). */
int table_scan(struct table *t, const struct reg *r, const struct cell *after, uint32_t most, struct arena *a,
               struct key **ret, uint32_t *ret_n, struct err *err);
/* The same of the rows whose `via` column refers to the key of a parent row. */
int table_referring(struct table *t, const struct reg *r, struct cell parent, const struct cell *after, uint32_t most,
                    struct arena *a, struct key **ret, uint32_t *ret_n, struct err *err);
bool table_has_keys(struct table *t, const struct reg *r);      /* whether any foreign key touches the register */

#endif
