/* Spool: a body that comes in pieces, in memory while it is small, then in a file without a name under HOME/spool.
 * Pieces may be of any size; the cap is the caller's. */
#ifndef LINK_SPOOL_H
#define LINK_SPOOL_H

#include <stdatomic.h>

#include "base/bytes.h"
#include "base/err.h"

#define SPOOL_MEMORY      (1u << 20)     /* bytes of one body kept in memory */
#define SPOOL_MEMORY_ALL  (32u << 20)    /* of all bodies of a room; beyond it every body goes to a file at once */

struct spool_room {                      /* what bodies share; zeroed, folder set */
	const char *folder;
	_Atomic size_t used;
};

struct spool {
	struct spool_room *room;
	struct buf memory;
	int fd;                          /* -1 while in memory */
	size_t size;
	void *map;
	size_t counted;                  /* of room->used */
};

void spool_init(struct spool *s, struct spool_room *room);
int spool_put(struct spool *s, const void *p, size_t n, struct err *err);    /* ERR_FULL, ERR_IO, ERR_NOMEM */
/* The whole body; stays valid until release.  Nothing may be put afterwards. */
int spool_slice(struct spool *s, struct slice *ret, struct err *err);
void spool_clear(struct spool *s);       /* empty again */
void spool_release(struct spool *s);

#endif
