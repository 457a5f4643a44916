/* Schema: the forward steps of the daemon's own tables, embedded from schema/state at build. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stddef.h>

struct schema_step {
	const char *name, *sql;
};

extern const struct schema_step schema_steps[];
extern const size_t schema_step_count;

#endif
