/* Audit: the table against the record. */
#include "engine/audit.h"

#include <string.h>

#include "base/log.h"
#include "store/terms.h"

static int find(struct engine *e, struct reg *r, struct key key, bool state_rows, struct arena *a, enum finding_kind *ret,
                struct err *err)
{
	struct held h, copy;
	struct cell *there = NULL;
	struct term term;
	bool stands;
	int rc = state_load(e->state, r, key, a, &h, err);

	*ret = FINDING_NONE;
	if (rc != 0 || (h.exists && h.flags & STATE_QUARANTINE))
		return rc;
	stands = h.exists && h.flags & STATE_ALIVE && unit_contains(e->unit, h.unit);
	if (state_rows) {
		if (stands)
			rc = table_read(e->table, r, h.key_cell, key, a, &there, err);
		*ret = stands && there == NULL ? FINDING_MISSING : FINDING_NONE;
		return rc;
	}
	if (!stands) {
		*ret = finding_is_issue(e->db, r, h.key_cell) ? FINDING_NONE : FINDING_UNKNOWN;
		return 0;
	}
	if (!h.has_term)
		return 0;
	rc = state_load(e->state, r, key, a, &copy, err);
	if (rc == 0)
		rc = terms_row(e->state, e->table, &copy, a, &term, err);
	*ret = rc == 0 && !term_equal(&term, &h.term) ? FINDING_CHANGED : FINDING_NONE;
	return rc;
}

static int look(struct engine *e, struct reg *r, struct key key, bool state_rows, struct arena *a, struct err *err)
{
	struct damage f = { .reg = r->number, .key = key_column(key, a) };
	int rc = find(e, r, key, state_rows, a, &f.kind, err);

	if (rc != 0)
		return rc;
	if (f.kind != FINDING_NONE)
		return finding_put(e->db, &f, now_ms(e), err);
	return state_rows ? 0 : finding_clear(e->db, r, f.key, err);
}

int audit_walk(struct engine *e, struct reg *r, const struct cell *after, bool state_rows, uint32_t most, struct arena *a,
               struct cell *ret_last, uint32_t *ret_n, struct err *err)
{
	_cleanup_(arena_release) struct arena row = { 0 };
	struct key *keys;
	int rc = after == NULL && !state_rows ? finding_forget(e->db, r, err) : 0;

	if (rc == 0)
		rc = state_rows ? state_scan(e->state, r, after, UNIT_NONE, most, a, &keys, ret_n, err) :
		     table_scan(e->table, r, after, most, a, &keys, ret_n, err);
	for (uint32_t i = 0; rc == 0 && i < *ret_n; i++) {
		arena_reset(&row);
		rc = look(e, r, keys[i], state_rows, &row, err);
		state_trim(e->state);
	}
	if (rc == 0 && *ret_n > 0)
		*ret_last = key_column(keys[*ret_n - 1], a);
	return rc;
}

void audit_tell(struct engine *e, const struct reg *r)
{
	uint64_t n = finding_count(e->db, r);

	if (n > 0)
		event(e, LOG_LEVEL_ERROR, "alarm", UNIT_NONE, NULL, "register %s: %llu rows of the table are not what the record says; "
		      "`terracectl reconcile --plan FILE` names them and what can be done", r->name, (unsigned long long)n);
}

int row_mark(struct state *s, struct table *t, struct reg *r, struct key key, struct arena *a, uint8_t ret[ROW_MARK_SIZE],
             struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct cell *there = NULL;
	struct digest d;
	struct held h;
	int rc = state_load(s, r, key, a, &h, err);

	if (rc == 0)
		rc = table_read(t, r, h.key_cell, key, a, &there, err);
	if (rc != 0)
		return rc;
	buf_put_u8(&b, h.exists);
	if (h.exists) {
		buf_put_varint(&b, h.unit);
		buf_put_varint(&b, h.flags & STATE_ALIVE);
		ident_put(&b, &h.set->life);
		version_put(&b, &h.set->row);
		for (uint32_t g = 1; g < h.set->ngroups; g++)
			if (h.set->groups[g] != NULL)
				version_put(&b, h.set->groups[g]);
	}
	for (uint32_t i = 0; there != NULL && i < r->ncolumns; i++)
		cell_put(&b, there[i]);
	d = digest_of(buf_slice(&b));
	memcpy(ret, d.at, ROW_MARK_SIZE);
	return b.failed ? err_set(err, ERR_NOMEM, "register %s: memory is short", r->name) : 0;
}
