/* Strand: a row has left this node's scope while rows that refer to it by a foreign key are still here.
 *
 * It leaves the table at once all the same (design authority.md, Existence, keys and movement).  What refers to it and
 * stays this node's to hold waits in quarantine, decided as ever, until its own removal comes or its parent row does. */
#include "engine/merge.h"

#define CHILDREN 4096u
#define DEPTH 16u

static int aside(struct merging *m, struct reg *r, struct key key, uint32_t depth, bool *ret_done, struct err *err);

static int strand(struct merging *m, struct reg *r, struct key key, uint32_t depth, bool *ret_done, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct table_child *children;
	uint32_t n = 0;
	int rc = table_children(m->e->table, m->e->catalog, r, key, CHILDREN, &a, &children, &n, ret_done, err);

	if (depth == DEPTH || n == CHILDREN)
		*ret_done = false;
	for (uint32_t i = 0; i < n && rc == 0 && *ret_done; i++)
		rc = aside(m, children[i].reg, children[i].key, depth + 1, ret_done, err);
	return rc;
}

/* First what refers to the child in turn. */
static int aside(struct merging *m, struct reg *r, struct key key, uint32_t depth, bool *ret_done, struct err *err)
{
	struct merging_row row;
	int rc = strand(m, r, key, depth, ret_done, err);

	if (rc != 0 || !*ret_done)
		return rc;
	arena_reset(&m->row);
	rc = merging_load(m, r, key, &row, err);
	if (rc == 0 && !row.stood)               /* not sealed: nothing else has its values */
		*ret_done = false;
	if (rc != 0 || !*ret_done)
		return rc;
	rc = merging_set_aside(m, &row, true, "foreign key: its parent row has left this unit", err);
	if (rc == 0)
		rc = state_save(m->e->state, &row.held, m->e->unit, false, &m->row, err);
	return rc == 0 ? table_delete(m->e->table, r, key, err) : rc;
}

int merging_strand(struct merging *m, struct reg *r, struct key key, bool *ret_done, struct err *err)
{
	*ret_done = true;
	return strand(m, r, key, 0, ret_done, err);
}
