#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

static int file_err(struct err *err, const char *verb, const char *path)
{
	int cause = errno;
	int code = cause == ENOENT ? ERR_NOT_FOUND : cause == ENOSPC || cause == EDQUOT ? ERR_FULL : ERR_IO;

	return err_set(err, code, "%s: cannot %s: %s", path, verb, strerror(cause));
}

static int no_memory(struct err *err, const char *path)
{
	return err_set(err, ERR_NOMEM, "%s: out of memory", path);
}

void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

char *path_join(const char *folder, const char *name)
{
	if (name[0] == '/')
		return strdup(name);
	size_t n = strlen(folder);
	return text_printf("%s%s%s", folder, n && folder[n - 1] != '/' ? "/" : "", name);
}

bool file_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* Reads fd to its end; one byte more than `most` is enough to know that it is too large. */
static int read_all(int fd, const char *path, size_t most, struct buf *ret, struct err *err)
{
	for (;;) {
		size_t want = MIN((size_t)64 << 10, most - ret->n + 1), before = ret->n;
		uint8_t *to = buf_reserve(ret, want);
		if (!to)
			return no_memory(err, path);
		ssize_t n = read(fd, to, want);
		ret->n = before + (n > 0 ? (size_t)n : 0);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return file_err(err, "read", path);
		if (ret->n > most)
			return err_set(err, ERR_LIMIT, "%s: larger than the %zu bytes allowed", path, most);
	}
}

int file_read(const char *path, size_t most, struct buf *ret, struct err *err)
{
	_cleanup_(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_(buf_release) struct buf content = { 0 };

	if (fd < 0)
		return file_err(err, "open", path);
	if (most == SIZE_MAX)
		most--;
	int r = read_all(fd, path, most, &content, err);
	if (r)
		return r;
	content.cap = ret->cap;
	free(ret->p);
	*ret = content;
	content = (struct buf){ 0 };
	return 0;
}

static int write_all(int fd, struct slice content)
{
	for (size_t done = 0; done < content.n;) {
		ssize_t n = write(fd, content.p + done, content.n - done);
		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int file_sync_folder(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(free_pointer) char *folder = slash ? strndup(path, MAX((size_t)(slash - path), 1u)) : strdup(".");

	if (!folder)
		return no_memory(err, path);
	_cleanup_(fd_close) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return file_err(err, "sync the folder", folder);
	return 0;
}

int file_write(const char *path, struct slice content, mode_t mode, struct err *err)
{
	_cleanup_(free_pointer) char *temporary = text_printf("%s.XXXXXX", path);

	if (!temporary)
		return no_memory(err, path);
	_cleanup_(fd_close) int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return file_err(err, "write", path);
	if (fchmod(fd, mode) < 0 || write_all(fd, content) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0) {
		int r = file_err(err, "write", path);
		unlink(temporary);
		return r;
	}
	return file_sync_folder(path, err);
}

int file_make_folder(const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0) {
		/* The mode is the caller's decision, not the umask's. */
		if (chmod(path, mode) < 0)
			return file_err(err, "set the mode", path);
		return file_sync_folder(path, err);
	}
	if (errno != EEXIST || stat(path, &st) < 0)
		return file_err(err, "make the folder", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_IO, "%s: exists and is no folder", path);
	return 0;
}

bool file_reserve(const char *path, size_t n)
{
	_cleanup_(fd_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool done = fd >= 0 && posix_fallocate(fd, 0, (off_t)n) == 0;

	if (fd >= 0 && !done)
		unlink(path);
	return done;
}

int file_remove(const char *path, struct err *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return file_err(err, "remove", path);
	return 0;
}

int file_lock(const char *path, int *ret_fd, struct err *err)
{
	_cleanup_(fd_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return file_err(err, "open", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return err_set(err, ERR_BUSY, "%s: held by another process", path);
		return file_err(err, "lock", path);
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* ---- files in memory */

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

int fd_memory(const char *name, int *ret_fd, struct err *err)
{
	*ret_fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return *ret_fd >= 0 ? 0 : file_err(err, "make a file in memory", name);
}

int fd_give(int fd, struct slice content, struct err *err)
{
	if (fcntl(fd, F_GET_SEALS) < 0)
		return err_set(err, ERR_USAGE, "what was handed over is no file in memory");
	return write_all(fd, content) < 0 ? file_err(err, "write", "the file handed over") : 0;
}

int fd_close_writing(int fd, struct err *err)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? file_err(err, "close for writing", "a file in memory") : 0;
}

int fd_take(int fd, size_t most, struct buf *ret, struct err *err)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	uint8_t *to;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
		return err_set(err, ERR_USAGE, "what was handed over is no file in memory, or may still change");
	if ((uint64_t)st.st_size > most)
		return err_set(err, ERR_LIMIT, "the file has %jd bytes; at most %zu are taken", (intmax_t)st.st_size, most);
	to = buf_reserve(ret, (size_t)st.st_size);
	if (to == NULL)
		return no_memory(err, "the file handed over");
	for (off_t done = 0; done < st.st_size;) {
		ssize_t n = pread(fd, to + done, (size_t)(st.st_size - done), done);
		if (n == 0 || (n < 0 && errno != EINTR))
			return file_err(err, "read", "the file handed over");
		done += n > 0 ? n : 0;
	}
	return 0;
}
