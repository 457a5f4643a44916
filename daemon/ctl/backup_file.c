/* Backup file: one file, streamed and hashed. */
#include "ctl/backup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

#define MAGIC_SIZE (sizeof(BACKUP_MAGIC) - 1)

static int io(struct err *err, const char *verb, const char *path)
{
	return err_set(err, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, "%s: cannot %s: %s", path, verb, strerror(errno));
}

/* Bytes read, n of them unless the file ends; -1. */
static ssize_t read_full(int fd, uint8_t *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = read(fd, to + done, n - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (!got)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static int write_full(int fd, struct slice s)
{
	for (size_t done = 0; done < s.n;) {
		ssize_t n = write(fd, s.p + done, s.n - done);
		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* From one file to another, piece by piece, up to `left` bytes; *chain goes on. */
static int pass_on(int from, const char *from_name, int to, const char *to_name, uint64_t left, struct digest *chain,
                   struct err *err)
{
	_cleanup_(free_pointer) uint8_t *piece = malloc(BACKUP_PIECE);

	if (!piece)
		return err_set(err, ERR_NOMEM, "%s: out of memory", from_name);
	while (left) {
		size_t want = (size_t)MIN(left, (uint64_t)BACKUP_PIECE);
		ssize_t n = read_full(from, piece, want);
		if (n < 0)
			return io(err, "read", from_name);
		if ((size_t)n < want)
			return err_set(err, ERR_DAMAGED, "%s: ends too early, it was cut off", from_name);
		*chain = digest_chain(chain, (struct slice){ piece, want });
		if (write_full(to, (struct slice){ piece, want }))
			return io(err, "write", to_name);
		left -= want;
	}
	return 0;
}

static int write_to(int fd, const char *name, struct slice head, struct slice box, const char *database, struct err *err)
{
	_cleanup_(fd_close) int from = open(database, O_RDONLY | O_CLOEXEC);
	_cleanup_(buf_release) struct buf front = { 0 };
	struct digest chain = { 0 };
	off_t size = from < 0 ? -1 : lseek(from, 0, SEEK_END);
	int r;

	if (size < 0 || lseek(from, 0, SEEK_SET))
		return io(err, "read", database);
	buf_put(&front, head.p, head.n);
	buf_put(&front, box.p, box.n);
	if (front.failed)
		return err_set(err, ERR_NOMEM, "%s: out of memory", name);
	chain = digest_chain(&chain, buf_slice(&front));
	if (write_full(fd, buf_slice(&front)))
		return io(err, "write", name);
	r = pass_on(from, database, fd, name, (uint64_t)size, &chain, err);
	if (!r && (write_full(fd, (struct slice){ chain.at, DIGEST_SIZE }) || fsync(fd)))
		r = io(err, "write", name);
	return r;
}

int backup_file_write(const char *path, struct slice head, struct slice box, const char *database, struct err *err)
{
	_cleanup_(free_pointer) char *temporary = text_printf("%s.XXXXXX", path);
	_cleanup_(fd_close) int fd = temporary ? mkostemp(temporary, O_CLOEXEC) : -1;
	int r;

	if (fd < 0)
		return temporary ? io(err, "write", path) : err_set(err, ERR_NOMEM, "%s: out of memory", path);
	r = write_to(fd, path, head, box, database, err);
	if (!r && rename(temporary, path))
		r = io(err, "write", path);
	if (r)
		unlink(temporary);
	return r ? r : file_sync_folder(path, err);
}

/* ---- reading */

bool backup_file_is(const char *path)
{
	_cleanup_(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t first[MAGIC_SIZE];

	return fd >= 0 && read_full(fd, first, sizeof(first)) == (ssize_t)sizeof(first) && !memcmp(first, BACKUP_MAGIC, MAGIC_SIZE);
}

static int read_more(struct backup_source *s, struct buf *to, size_t n, struct err *err)
{
	uint8_t *p = buf_reserve(to, n);
	ssize_t got = p ? read_full(s->fd, p, n) : -1;

	if (!p)
		return err_set(err, ERR_NOMEM, "%s: out of memory", s->path);
	if (got < 0)
		return io(err, "read", s->path);
	return (size_t)got < n ? err_set(err, ERR_DAMAGED, "%s: ends too early, it was cut off", s->path) : 0;
}

static int read_head(struct backup_source *s, struct err *err)
{
	size_t all = 0;
	int r = read_more(s, &s->head, MAGIC_SIZE + 4, err);

	if (r == ERR_DAMAGED)
		r = err_set(err, ERR_FORMAT, "no backup of terracectl, or one of a newer version");
	if (!r)
		r = backup_header_length(buf_slice(&s->head), &all, err);
	if (!r)
		r = read_more(s, &s->head, all - s->head.n, err);
	if (!r)
		r = backup_header_get(buf_slice(&s->head), &s->arena, &s->header, err);
	if (!r && s->header.identity)
		r = read_more(s, &s->box, (size_t)s->header.identity, err);
	return r;
}

int backup_source_open(const char *path, struct backup_source *ret, struct err *err)
{
	int r;

	*ret = (struct backup_source){ .fd = open(path, O_RDONLY | O_CLOEXEC), .path = path };
	if (ret->fd < 0)
		return io(err, "open", path);
	r = read_head(ret, err);
	if (r == ERR_FORMAT || r == ERR_DAMAGED)
		err_prefix(err, "%s: ", path);
	return r;
}

void backup_source_close(struct backup_source *s)
{
	fd_close(&s->fd);
	buf_release(&s->head);
	buf_release(&s->box);
	arena_release(&s->arena);
}

int backup_source_extract(struct backup_source *s, int fd, const char *name, struct err *err)
{
	_cleanup_(buf_release) struct buf front = { 0 }, end = { 0 };
	struct digest chain = { 0 };
	uint8_t more;
	int r;

	buf_put(&front, s->head.p, s->head.n);
	buf_put(&front, s->box.p, s->box.n);
	if (front.failed)
		return err_set(err, ERR_NOMEM, "%s: out of memory", s->path);
	chain = digest_chain(&chain, buf_slice(&front));
	r = pass_on(s->fd, s->path, fd, name, s->header.database, &chain, err);
	if (!r)
		r = read_more(s, &end, DIGEST_SIZE, err);
	if (!r && (memcmp(end.p, chain.at, DIGEST_SIZE) || read_full(s->fd, &more, 1) != 0))
		r = err_set(err, ERR_DAMAGED, "%s: its hash does not fit, it is damaged; use another backup", s->path);
	return !r && fsync(fd) ? io(err, "write", name) : r;
}
