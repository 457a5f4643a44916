/* Files: whole reads with a cap, atomic writes (temporary name, fsync, rename, fsync of the folder), folders,
 * one lock file a home. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"

int file_read(const char *path, size_t most, struct buf *ret, struct err *err);
int file_write(const char *path, struct slice content, mode_t mode, struct err *err);     /* atomic, durable */
int file_sync_folder(const char *path, struct err *err);      /* of the folder that path stands in: names are durable */
int file_make_folder(const char *path, mode_t mode, struct err *err);     /* exists already: 0 */
bool file_exists(const char *path);
/* A file of so many bytes that the disk has set aside, whatever it holds; left out where there is no room (false). */
bool file_reserve(const char *path, size_t n);
int file_remove(const char *path, struct err *err);                       /* absent: 0 */
/* Takes an exclusive lock on path (made 0600 where absent); ERR_BUSY when another process holds it.  The lock
 * ends with *ret_fd or the process. */
int file_lock(const char *path, int *ret_fd, struct err *err);
char *path_join(const char *folder, const char *name);        /* owned by the caller; name alone where absolute */
/* A file in memory (memfd), by which a process hands bytes to another.  fd_take demands one that nobody can change any
 * more, so that neither a device nor the other process holds the reader up; fd_give one that is still open for writing. */
int fd_memory(const char *name, int *ret_fd, struct err *err);
int fd_give(int fd, struct slice content, struct err *err);
int fd_close_writing(int fd, struct err *err);
int fd_take(int fd, size_t most, struct buf *ret, struct err *err);
void fd_close(int *fd);                                        /* for _cleanup_(fd_close) int fd = -1 */

#endif
