/* Release: an application's database goes on without Terrace: every trigger, view and table of ours is taken away, the
 * data stays as it is.  On a file that no daemon runs on. */
#ifndef STORE_RELEASE_H
#define STORE_RELEASE_H

#include <stdint.h>

#include "base/err.h"

struct release_facts {
	uint64_t unsealed, unsent;       /* changes in the log; segments that the superior has not acknowledged */
	uint32_t triggers, views, tables;        /* taken away */
};

/* ERR_NOT_FOUND where the file holds nothing of ours. */
int release_look(const char *path, struct release_facts *ret, struct err *err);
/* In one transaction. */
int release_file(const char *path, struct release_facts *ret, struct err *err);

#endif
