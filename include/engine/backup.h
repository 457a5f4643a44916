/* Backup: what a node's database says of itself, for the head of a backup and for who is to be asked before one is put
 * back.  Opens the file read-only; no daemon is needed. */
#ifndef ENGINE_BACKUP_H
#define ENGINE_BACKUP_H

#include "core/backup.h"

/* Epoch, ticks, tree time, outbox and links of the file; the rest of *ret stays.  Links live in the arena. */
int backup_facts(const char *database, struct arena *a, struct backup_header *ret, struct err *err);

#endif
