/* Seal: what the log names, compared with what stood, becomes this node's own writes (authority.md, At the author).
 *
 * A log row says "look at this key".  The table is read now; what did not change is dropped.  A seal is a union of
 * whole transactions of the application; where the log holds more than one slice, it goes slice by slice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/seal.h"
#include "engine/seal_inside.h"

static int memory(const struct reg *r, struct err *err)
{
	return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
}

/* ---- the log, slice by slice */

struct sorting {
	const struct catalog *catalog;
};

static uint32_t place_of(const struct catalog *c, uint32_t reg)
{
	for (uint32_t i = 0; i < c->nregs; i++)
		if (c->regs[i]->number == reg)
			return i;
	return UINT32_MAX;
}

static int by_row(const void *a, const void *b, void *arg)
{
	const struct sorting *s = arg;
	const struct log_entry *x = a, *y = b;
	int order;

	if (x->reg != y->reg)
		return place_of(s->catalog, x->reg) < place_of(s->catalog, y->reg) ? -1 : 1;
	order = cell_compare(x->key, y->key);
	if (order != 0)
		return order;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void note(struct look *look, const struct log_entry *entry)
{
	const struct reg *r = look->reg;

	for (uint32_t i = 0; i < r->ncolumns + r->nlocal && entry->column != 0; i++) {
		if ((i < r->ncolumns ? &r->columns[i] : &r->local[i - r->ncolumns])->number != entry->column)
			continue;
		if (i < r->ncolumns)
			look->columns[i] = true;
		if (entry->has_old && !look->has_old[i]) {
			look->has_old[i] = true;
			look->old[i] = entry->old;
		}
		if (entry->has_old)
			look->last[i] = entry->old;
	}
	if (entry->operation == LOG_ROW || entry->column == 0)
		look->whole = true;
}

int seal_look(struct merging *m, struct reg *r, struct cell key_cell, struct look *look, struct err *err)
{
	memset(look, 0, sizeof *look);
	look->reg = r;
	look->old = arena_array(&m->row, r->ncolumns + r->nlocal + 1, sizeof *look->old);
	look->last = arena_array(&m->row, r->ncolumns + r->nlocal + 1, sizeof *look->last);
	look->has_old = arena_array(&m->row, r->ncolumns + r->nlocal + 1, sizeof *look->has_old);
	if (look->last == NULL || look->old == NULL || look->has_old == NULL)
		return memory(r, err);
	return key_from_column(key_cell, r->nkey, &m->row, &look->key, err);
}

int look_rest(struct merging *m, struct look *look, struct err *err)
{
	struct log_entry *entries;
	uint32_t n = 0;
	int rc = log_read_row(m->e->db, look->reg->number, key_column(look->key, &m->row), look->rest, &m->row, &entries, &n, err);

	for (uint32_t i = 0; i < n && rc == 0; i++)
		note(look, &entries[i]);
	return rc;
}

struct slice_end {
	int64_t last;                    /* greatest seq of the slice */
	bool more;                       /* the log goes on */
	bool backs;                      /* rows went back in an earlier slice of this seal */
};

/* The entries [first, n) of one row. */
static int seal_entries_row(struct merging *m, struct look *look, const struct log_entry *entries, uint32_t n,
                            const struct slice_end *end, struct err *err)
{
	struct reg *r = catalog_number(m->e->catalog, entries[0].reg);
	int64_t done = end->backs ? log_back_of(m->e->db, entries[0].reg, entries[0].key) : 0;
	bool news = false;
	int rc;

	arena_reset(&m->row);
	if (r == NULL || (r->hold && !r->key[0]->present))
		return 0;                        /* its table is gone: an audit looks when it is there again */
	rc = seal_look(m, r, entries[0].key, look, err);
	for (uint32_t i = 0; i < n && rc == 0; i++)
		if (entries[i].seq > done) {
			note(look, &entries[i]);
			news = true;
		}
	if (rc != 0 || !news)
		return rc;
	look->rest = end->more ? end->last : 0;
	rc = seal_row(m, look, err);
	if (rc == 0 && end->more && look->goes_back)
		rc = log_back_put(m->e->db, r->number, entries[0].key, log_last(m->e->db), err);
	state_trim(m->e->state);
	return rc;
}

static int seal_entries(struct merging *m, struct log_entry *entries, uint32_t n, const struct slice_end *end,
                        struct err *err)
{
	struct look *look = arena_alloc(&m->pass, sizeof *look);
	int rc = look == NULL ? err_set(err, ERR_NOMEM, "sealing: memory is short") : 0;

	for (uint32_t i = 0, first; i < n && rc == 0;) {
		for (first = i; i < n && entries[i].reg == entries[first].reg && cell_compare(entries[i].key, entries[first].key) == 0;)
			i++;
		rc = seal_entries_row(m, look, entries + first, i - first, end, err);
	}
	return rc;
}

static int seal_slice(struct engine *e, uint32_t most, bool *ret_more, struct err *err)
{
	static const struct arrival self;
	_cleanup_(arena_release) struct arena a = {0};
	struct sorting s = {e->catalog};
	struct counts counts = {0};
	struct slice_end end = {0};
	struct log_entry *entries;
	struct merging m;
	uint32_t n = 0;
	int rc = log_read(e->db, 0, most, &a, &entries, &n, err);

	*ret_more = n == most;
	if (rc != 0 || n == 0)
		return rc;
	end = (struct slice_end){entries[n - 1].seq, n == most && log_last(e->db) > entries[n - 1].seq, log_back_any(e->db)};
	qsort_r(entries, n, sizeof *entries, by_row, &s);
	merging_begin(&m, e, &self, &counts);
	m.table_stands = true;
	rc = seal_entries(&m, entries, n, &end, err);
	if (rc == 0)
		rc = via_settle(&m, err);
	if (rc == 0)
		rc = merging_end(&m, err);
	merging_release(&m);
	if (rc == 0 && end.backs && !end.more)
		rc = log_back_clear(e->db, err);
	return rc == 0 ? log_reclaim(e->db, end.last, err) : rc;
}

int seal_log(struct engine *e, bool *ret_more, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	/* Rows that follow a row are written in its slice. */
	uint32_t most = e->catalog->follows ? SEAL_ENTRIES / 6 : SEAL_ENTRIES;
	int rc;

	*ret_more = false;
	if (!log_pending(e->db))
		return 0;
	if (e->db->in_transaction)
		return seal_slice(e, most, ret_more, err);
	rc = engine_begin(e, err);
	guard = e;
	if (rc == 0)
		rc = seal_slice(e, most, ret_more, err);
	return rc == 0 ? engine_commit(e, err) : rc;
}

int seal_empty(struct engine *e, struct err *err)
{
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		more = false;
		rc = seal_log(e, &more, err);
	}
	return rc;
}

int engine_seal(struct engine *e, struct err *err)
{
	bool more = true;
	int rc = 0;

	while (rc == 0 && more)
		rc = seal_log(e, &more, err);
	return rc;
}

/* ---- rows that no trigger named: a register that begins with rows, an audit after the schema moved */

static int seal_keys(struct engine *e, struct reg *r, const struct key *keys, uint32_t n, bool gone_only, uint32_t late,
                     struct err *err)
{
	static const struct arrival self;
	struct counts counts = {0};
	struct merging m;
	struct look *look;
	int rc;

	merging_begin(&m, e, &self, &counts);
	m.table_stands = true;
	m.walk = true;
	m.late = late;
	look = arena_alloc(&m.pass, sizeof *look);
	rc = look == NULL ? memory(r, err) : 0;
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		arena_reset(&m.row);
		rc = seal_look(&m, r, key_column(keys[i], &m.row), look, err);
		if (rc != 0)
			break;
		look->whole = true;
		look->gone_only = gone_only;
		rc = seal_row(&m, look, err);
		state_trim(m.e->state);
	}
	if (rc == 0)
		rc = via_settle(&m, err);
	if (rc == 0)
		rc = merging_end(&m, err);
	merging_release(&m);
	return rc;
}

/* One slice of a register, from `after` on: rows of the table, then (audit) rows of the state that the table lacks. */
int seal_walk(struct engine *e, struct reg *r, const struct cell *after, bool state_rows, bool late, uint32_t most,
              struct arena *a, struct cell *ret_last, uint32_t *ret_n, struct err *err)
{
	struct key *keys;
	int rc = state_rows ? state_scan(e->state, r, after, UNIT_NONE, most, a, &keys, ret_n, err) :
	         table_scan(e->table, r, after, most, a, &keys, ret_n, err);

	if (rc != 0 || *ret_n == 0)
		return rc;
	rc = seal_keys(e, r, keys, *ret_n, state_rows, late ? CHANGE_LATE : 0, err);
	if (rc == 0)
		*ret_last = key_column(keys[*ret_n - 1], a);
	return rc;
}

int seal_late(struct engine *e, struct reg *r, struct key key, struct err *err)
{
	return seal_keys(e, r, &key, 1, false, CHANGE_LATE, err);
}
