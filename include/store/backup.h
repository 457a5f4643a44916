/* Backup, the database's part: a consistent copy of a file that is in use, and putting one in its place.
 *
 * In WAL mode the copy is of one instant and keeps nobody from writing.  With a rollback journal it is made in short
 * slices, between which others write; a write makes it begin again, and after BACKUP_AGAIN times it is given up. */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store/db.h"

#define BACKUP_AGAIN 30u

/* Makes the file `to`, in rollback mode, whole by itself; *ret_wal: the original is in WAL mode.  fn (may be NULL) is told
 * of pages after every slice. */
int backup_copy(const char *from, const char *to, void (*fn)(void *arg, int64_t done, int64_t all), void *arg, bool *ret_wal,
                struct err *err);
/* Whether the pages of a copy are whole, and of which unit it is; ERR_DAMAGED with SQLite's own words. */
int backup_check(const char *path, uint64_t *ret_unit, struct err *err);
/* A copy that is going to be put back: marks it as restored (engine_open heals then), and gives it its journal mode. */
int backup_mark(const char *path, bool wal, struct err *err);
/* Whether a file is marked so; takes the mark away in the caller's transaction. */
bool backup_marked(struct db *db);
int backup_unmark(struct db *db, struct err *err);
/* The file that is going to be replaced: what its journal holds goes into it, and *ret_wal says what mode it was in.
 * ERR_BUSY where another program has it open. */
int backup_settle(const char *path, bool *ret_wal, struct err *err);

#endif
