/* Backup file: reading and writing the file itself (core/backup.h), with its hash. */
#ifndef CTL_BACKUP_FILE_H
#define CTL_BACKUP_FILE_H

#include "core/backup.h"

/* The file at path appears whole or not at all, mode 0600.  head: magic and header; box may be empty; database: the
 * path of the copy, of head's length. */
int backup_file_write(const char *path, struct slice head, struct slice box, const char *database, struct err *err);

struct backup_source {
	int fd;                          /* at the database */
	const char *path;
	struct backup_header header;
	struct buf head;                 /* magic and header: the box's context */
	struct buf box;
	struct arena arena;
};
/* Reads all before the database.  ERR_FORMAT: no backup. */
int backup_source_open(const char *path, struct backup_source *ret, struct err *err);
void backup_source_close(struct backup_source *s);
/* Copies the database to fd and checks the hash of the whole; ERR_DAMAGED. */
int backup_source_extract(struct backup_source *s, int fd, const char *name, struct err *err);
/* Whether the file begins as a backup does. */
bool backup_file_is(const char *path);

#endif
