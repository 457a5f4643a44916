#include "link/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "core/sign.h"

void spool_init(struct spool *s, struct spool_room *room)
{
	*s = (struct spool){ .room = room, .fd = -1 };
}

static int file_failed(struct spool *s, const char *what, struct err *err)
{
	int code = errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;

	return err_set(err, code, "%s: cannot %s a body: %s", s->room->folder, what, strerror(errno));
}

static int write_piece(struct spool *s, const uint8_t *p, size_t n, struct err *err)
{
	while (n) {
		ssize_t done = write(s->fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return file_failed(s, "write", err);
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static void forget_memory(struct spool *s)
{
	bytes_wipe(s->memory.p, s->memory.n);    /* it may have been an invitation's secret */
	buf_release(&s->memory);
	atomic_fetch_sub(&s->room->used, s->counted);
	s->counted = 0;
}

static int to_file(struct spool *s, struct err *err)
{
	s->fd = open(s->room->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0) {
		/* A file system without O_TMPFILE. */
		_cleanup_(free_pointer) char *name = path_join(s->room->folder, "body.XXXXXX");
		s->fd = name ? mkostemp(name, O_CLOEXEC) : -1;
		if (s->fd < 0)
			return file_failed(s, "store", err);
		unlink(name);
	}
	int r = write_piece(s, s->memory.p, s->memory.n, err);
	if (!r)
		forget_memory(s);
	return r;
}

int spool_put(struct spool *s, const void *p, size_t n, struct err *err)
{
	int r = 0;

	if (s->fd < 0 && (s->size + n > SPOOL_MEMORY || atomic_load(&s->room->used) + n > SPOOL_MEMORY_ALL))
		r = to_file(s, err);
	if (!r && s->fd >= 0)
		r = write_piece(s, p, n, err);
	if (r)
		return r;
	if (s->fd < 0) {
		buf_put(&s->memory, p, n);
		if (s->memory.failed)
			return err_set(err, ERR_NOMEM, "body: out of memory");
		s->counted += n;
		atomic_fetch_add(&s->room->used, n);
	}
	s->size += n;
	return 0;
}

int spool_slice(struct spool *s, struct slice *ret, struct err *err)
{
	if (s->fd >= 0 && !s->map && s->size) {
		void *map = mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, s->fd, 0);
		if (map == MAP_FAILED)
			return file_failed(s, "read", err);
		s->map = map;
	}
	*ret = s->map ? (struct slice){ s->map, s->size } : buf_slice(&s->memory);
	return 0;
}

void spool_clear(struct spool *s)
{
	if (s->map)
		munmap(s->map, s->size);
	fd_close(&s->fd);
	forget_memory(s);
	s->map = NULL;
	s->size = 0;
}

void spool_release(struct spool *s)
{
	if (s->room)
		spool_clear(s);
}
