/* Retry: rows that wait in quarantine, tried again.
 *
 * A slice is tried as a payload is: each row under a savepoint of its own, then the foreign keys of all that went in, and
 * where some break the slice is begun anew without them and what depends on them.  So a parent row and its children, or
 * rows that refer to each other, go in together whatever the order of their entries. */
#include "engine/merge.h"

#include <string.h>

#define PASSES 20                        /* over one slice */
#define SWAPS 20

struct entry {
	uint32_t reg;                    /* its number */
	struct cell key;
	bool unique, stays;              /* another row has its unique value; it cannot go in with the others */
};

struct slice_of_rows {
	const struct catalog *catalog;
	struct arena arena;
	uint32_t n, seen, most;
	int64_t last;
	struct entry *rows;
};

static int collect(void *arg, const struct waiting *w)
{
	struct slice_of_rows *t = arg;
	const struct reg *r = catalog_number(t->catalog, w->reg);

	if (t->n == t->most)
		return 1;
	t->last = w->id;
	if (w->dropped || r == NULL || r->hold || r->adoption != ADOPT_NOT)
		return 0;                        /* the whole register waits: its own end is the time to try */
	t->rows[t->n++] = (struct entry){.reg = w->reg, .key = cell_copy(&t->arena, w->key)};
	return t->arena.failed ? ERR_NOMEM : 0;
}

/* Several slices of work in one savepoint each: counters of the engine go back with it. */
static int mark(struct engine *e, struct err *err)
{
	int rc = state_flush(e->state, err);

	return rc == 0 ? db_savepoint(e->db, err) : rc;
}

static void back(struct engine *e, uint64_t activity)
{
	db_savepoint_rollback(e->db);
	state_forget(e->state);
	e->activity = activity;
}

/* `all` (may be NULL) gets what was touched; else the row's keys are looked at here. */
static int retry_row(struct engine *e, struct reg *r, struct cell key_cell, const struct touched *waiting,
                     struct merging *all, struct err *err)
{
	static const struct arrival self;
	struct counts counts = {0};
	struct merging_row row;
	struct merging m;
	struct key key;
	int rc;

	merge_begin(&m, e, &self, &counts);
	m.retrying = true;
	m.waiting = waiting;
	m.adopting = r->adoption > ADOPT_WAITS;  /* asked for by the walk, of a row that the table lacks */
	rc = key_from_column(key_cell, r->nkey, &m.row, &key, err);
	if (rc == 0)
		rc = merging_load(&m, r, key, &row, err);
	if (rc == 0)
		rc = merging_end_row(&m, &row, err);
	if (rc == 0 && m.touched != NULL && all == NULL)
		rc = table_keys(e->table, r, key, m.touched->deleted, err);
	if (rc == 0 && m.touched != NULL && all != NULL) {
		struct touched *t = arena_copy(&all->pass, m.touched, sizeof *t);

		if (t == NULL)
			rc = err_set(err, ERR_NOMEM, "retrying quarantine: memory is short");
		else {
			t->key = key_copy(&all->pass, m.touched->key);
			t->next = all->touched;
			all->touched = t;
		}
	}
	merging_release(&m);
	return rc;
}

/* 0 also where it still waits: *ret_done false. *ret_unique: because another row has its unique value. */
static int retry_one(struct engine *e, struct reg *r, struct cell key, const struct touched *waiting, struct merging *all,
                     bool *ret_done, bool *ret_unique, struct err *err)
{
	uint64_t activity = e->activity;
	struct err say = {0};
	int rc = mark(e, err);

	*ret_unique = *ret_done = false;
	if (rc != 0)
		return rc;
	rc = retry_row(e, r, key, waiting, all, &say);
	if (rc == 0) {
		*ret_done = true;
		return db_savepoint_release(e->db, err);
	}
	back(e, activity);
	*ret_unique = rc == ERR_REFUSED && strstr(say.text, "UNIQUE constraint") != NULL;
	if (rc != ERR_REFUSED && err != NULL)
		*err = say;
	return rc == ERR_REFUSED ? 0 : rc;
}

int merge_retry_row(struct engine *e, struct reg *r, struct cell key, struct err *err)
{
	bool done, unique;

	return retry_one(e, r, key, NULL, NULL, &done, &unique, err);
}

/* One pass over the slice, inside the caller's savepoint. */
static int try_slice(struct engine *e, struct slice_of_rows *t, struct touched **waiting, struct arena *keep,
                     uint32_t *ret_applied, bool *ret_found, struct err *err)
{
	static const struct arrival self;
	struct counts counts = {0};
	struct merging all;
	int rc = 0;

	*ret_applied = 0;
	merge_begin(&all, e, &self, &counts);
	for (uint32_t i = 0; rc == 0 && i < t->n; i++) {
		bool done;

		rc = retry_one(e, catalog_number(e->catalog, t->rows[i].reg), t->rows[i].key, *waiting, &all, &done,
		               &t->rows[i].unique, err);
		*ret_applied += done;
	}
	if (rc == 0)
		rc = merge_breaking(&all, waiting, keep, ret_found, err);
	merging_release(&all);
	return rc;
}

static int retry_slice(struct engine *e, struct slice_of_rows *t, uint32_t *ret_applied, struct err *err)
{
	_cleanup_(arena_release) struct arena keep = {0};
	uint64_t activity = e->activity;
	struct touched *waiting = NULL;
	bool found = true;
	int rc = 0;

	for (int pass = 0; pass < PASSES && found && rc == 0; pass++) {
		rc = mark(e, err);
		if (rc != 0)
			return rc;
		rc = try_slice(e, t, &waiting, &keep, ret_applied, &found, err);
		if (rc == 0 && !found)
			return db_savepoint_release(e->db, err);
		back(e, activity);
	}
	*ret_applied = 0;
	return rc;
}

/* ---- rows that stand in each other's way (two have changed a unique value for each other's): out together, in together */

static int swap_rows(struct engine *e, struct slice_of_rows *t, uint32_t *ret_in, bool *ret_refused, struct err *err)
{
	struct cell **locals = arena_array(&t->arena, t->n + 1, sizeof *locals);
	struct key *keys = arena_array(&t->arena, t->n + 1, sizeof *keys);
	int rc = locals != NULL && keys != NULL ? 0 : err_set(err, ERR_NOMEM, "retrying quarantine: memory is short");

	*ret_in = 0;
	*ret_refused = false;
	for (uint32_t i = 0; i < t->n && rc == 0; i++) {
		struct reg *r = catalog_number(e->catalog, t->rows[i].reg);

		if (t->rows[i].stays)
			continue;
		rc = key_from_column(t->rows[i].key, r->nkey, &t->arena, &keys[i], err);
		if (rc == 0)
			rc = table_take(e->table, r, keys[i], &t->arena, &locals[i], err);
	}
	for (uint32_t i = 0; i < t->n && rc == 0; i++) {
		bool done, unique;

		if (t->rows[i].stays)
			continue;
		rc = retry_one(e, catalog_number(e->catalog, t->rows[i].reg), t->rows[i].key, NULL, NULL, &done, &unique, err);
		t->rows[i].stays = !done;
		*ret_refused |= !done;
		*ret_in += done;
	}
	for (uint32_t i = 0; i < t->n && rc == 0 && !*ret_refused; i++)
		if (!t->rows[i].stays)
			rc = table_locals(e->table, catalog_number(e->catalog, t->rows[i].reg), keys[i], locals[i], err);
	return rc;
}

static int retry_together(struct engine *e, struct slice_of_rows *t, uint32_t *ret_applied, struct err *err)
{
	uint64_t activity = e->activity;
	bool refused = true;
	int rc = 0;

	*ret_applied = 0;
	for (int pass = 0; pass < SWAPS && refused && rc == 0; pass++) {
		struct err say = {0};
		uint32_t in = 0;

		rc = mark(e, err);
		if (rc != 0)
			return rc;
		rc = swap_rows(e, t, &in, &refused, &say);
		if (rc == 0 && !refused) {
			*ret_applied = in;
			return db_savepoint_release(e->db, err);
		}
		back(e, activity);
		if (rc == ERR_REFUSED)
			return 0;
		if (rc != 0 && err != NULL)
			*err = say;
	}
	return rc;
}

int merge_retry(struct engine *e, struct retry *r, struct err *err)
{
	struct slice_of_rows t = {.catalog = e->catalog, .most = r->most};
	uint32_t stuck = 0, more = 0;
	int rc;

	r->applied = 0;
	t.rows = arena_array(&t.arena, r->most, sizeof *t.rows);
	rc = t.rows != NULL ? quarantine_each(e->db, r->after, collect, &t, err) : ERR_NOMEM;
	if (rc == ERR_NOMEM)
		err_set(err, ERR_NOMEM, "retrying quarantine: memory is short");
	if (rc == 0 && t.n > 0)
		rc = retry_slice(e, &t, &r->applied, err);
	r->after = t.n == t.most ? t.last : 0;
	for (uint32_t i = 0; rc == 0 && i < t.n; i++)
		if (t.rows[i].unique)
			t.rows[stuck++] = t.rows[i];
	t.n = stuck;
	if (rc == 0 && stuck > 1)
		rc = retry_together(e, &t, &more, err);
	r->applied += more;
	arena_release(&t.arena);
	return rc;
}
