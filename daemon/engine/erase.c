/* Erase: the values of rows that left this node's scope go when all that waits here to go up about them has been
 * acknowledged (design authority.md, Existence, keys and movement); what stays of such a row is its marker. */
#include "engine/merge.h"

#define ERASE_ROWS 1000u

/* Nothing of this node's or its children's waits for the parent: deltas, or a heal that has yet to tell everything. */
static int all_told(struct engine *e, bool *ret_told, struct err *err)
{
	struct outbox_head head;
	struct link l;
	bool found = false;
	int rc = link_get(e->db, e->parent, &l, &found, err);

	if (rc == 0)
		rc = outbox_head(e->db, &head, err);
	*ret_told = rc == 0 && found && l.healed && head.seq == l.acked && !cursor_open(e->db, e->parent) && !log_pending(e->db);
	return rc;
}

int merge_erase_told(struct engine *e, bool *ret_more, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct dirty_row *rows;
	uint32_t n = 0;
	bool told = false;
	int rc;

	*ret_more = false;
	if (e->parent == UNIT_NONE || !marker_any(e->db))
		return 0;
	rc = all_told(e, &told, err);
	if (rc != 0 || !told)
		return rc;
	rc = marker_rows(e->db, e->parent, ERASE_ROWS, &a, &rows, &n, err);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		struct reg *r = catalog_number(e->catalog, rows[i].reg);

		if (r != NULL)
			rc = merge_erase(e, r, rows[i].key, err);
		if (rc == 0)
			rc = marker_drop(e->db, rows[i].reg, rows[i].key, err);
	}
	*ret_more = rc == 0 && n == ERASE_ROWS;
	return rc;
}
