/* State: state rows, their load and save. */
#include "store/state_inside.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

int state_open(struct db *db, struct state **ret, struct err *err)
{
	struct state *s = calloc(1, sizeof *s);

	if (s == NULL)
		return err_set(err, ERR_NOMEM, "opening the state: memory is short");
	s->db = db;
	s->pending = -1;
	if (sets_open(db, &s->sets, err) != 0) {
		free(s);
		return ERR_NOMEM;
	}
	*ret = s;
	return 0;
}

static void statements_finalize(struct reg_state *rs)
{
	sqlite3_stmt **all[] = {&rs->load, &rs->insert, &rs->update, &rs->remove, &rs->scan_first, &rs->scan, &rs->missing,
	                        &rs->term, &rs->max, &rs->count, &rs->terms[0], &rs->terms[1], &rs->terms[2], &rs->terms[3]};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		sqlite3_finalize(*all[i]);
		*all[i] = NULL;
	}
}

void state_forget(struct state *s)
{
	for (uint32_t i = 0; i < s->nregs; i++) {
		struct reg_state *rs = &s->regs[i];

		statements_finalize(rs);
		free(rs->names);
		free(rs->sums);
		free(rs->changed);
		term_order_free(rs->order);
	}
	free(s->regs);
	s->regs = NULL;
	s->nregs = 0;
	s->pending = -1;
	arena_reset(&s->keys);
	sets_forget(s->sets);
}

void state_close(struct state *s)
{
	if (s == NULL)
		return;
	state_forget(s);
	sets_close(s->sets);
	buf_release(&s->scratch);
	buf_release(&s->form);
	arena_release(&s->keys);
	free(s);
}

void state_trim(struct state *s)
{
	if (sets_large(s->sets))
		sets_forget(s->sets);
}

/* ---- per register */

/* The place of a term is taken from the start, so that writing it moves nothing: all zero while it is missing. */
#define NO_TERM "x'00000000000000000000000000000000'"

/* before terrace_s<number> after */
static int prepare(struct state *s, uint32_t number, const char *before, const char *after, sqlite3_stmt **ret,
                   struct err *err)
{
	char sql[200];

	snprintf(sql, sizeof sql, "%s terrace_s%u%s", before, number, after);
	return db_prepare(s->db, sql, ret, err);
}

static int prepare_all(struct state *s, struct reg_state *rs, uint32_t n, struct err *err)
{
	if (prepare(s, n, "SELECT unit, flags, version, term FROM", " WHERE key = ?1", &rs->load, err) != 0 ||
	    prepare(s, n, "INSERT INTO", "(key, unit, flags, version, term) VALUES(?1, ?2, ?3, ?4, " NO_TERM ")", &rs->insert, err) != 0 ||
	    prepare(s, n, "UPDATE", " SET unit = ?2, flags = ?3, version = ?4, term = " NO_TERM " WHERE key = ?1",
	            &rs->update, err) != 0 ||
	    prepare(s, n, "DELETE FROM", " WHERE key = ?1", &rs->remove, err) != 0 ||
	    prepare(s, n, "SELECT key, unit FROM", " ORDER BY key", &rs->scan_first, err) != 0 ||
	    prepare(s, n, "SELECT key, unit FROM", " WHERE key > ?1 ORDER BY key", &rs->scan, err) != 0 ||
	    prepare(s, n, "SELECT key FROM", " WHERE term = " NO_TERM " AND flags & 1 LIMIT ?1", &rs->missing, err) != 0 ||
	    prepare(s, n, "UPDATE", " SET term = ?2 WHERE key = ?1", &rs->term, err) != 0 ||
	    prepare(s, n, "SELECT max(key) FROM", "", &rs->max, err) != 0 ||
	    prepare(s, n, "SELECT unit, term FROM", " WHERE flags & 1", &rs->count, err) != 0 ||
	    prepare(s, n, "SELECT key, unit, term FROM", " WHERE flags & 1 ORDER BY key", &rs->terms[0], err) != 0 ||
	    prepare(s, n, "SELECT key, unit, term FROM", " WHERE flags & 1 AND key >= ?1 ORDER BY key", &rs->terms[1], err) != 0 ||
	    prepare(s, n, "SELECT key, unit, term FROM", " WHERE flags & 1 AND key < ?2 ORDER BY key", &rs->terms[2], err) != 0 ||
	    prepare(s, n, "SELECT key, unit, term FROM", " WHERE flags & 1 AND key >= ?1 AND key < ?2 ORDER BY key", &rs->terms[3], err) != 0)
		return err != NULL ? err->code : ERR_DB;
	return 0;
}

int state_of(struct state *s, const struct reg *r, struct reg_state **ret, struct err *err)
{
	struct reg_state *rs;
	int rc;

	if (r->number >= s->nregs) {
		uint32_t n = r->number + 8;
		struct reg_state *more = realloc(s->regs, n * sizeof *more);

		if (more == NULL)
			return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
		memset(more + s->nregs, 0, (n - s->nregs) * sizeof *more);
		s->regs = more;
		s->nregs = n;
	}
	rs = &s->regs[r->number];
	if (rs->reg == NULL) {
		rs->names = calloc(LIMIT_GROUPS, sizeof *rs->names);
		if (rs->names == NULL)
			return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
		for (uint32_t g = 1; g < r->ngroups; g++)
			rs->names[g] = r->groups[g] != NULL ? r->groups[g]->name : "";
		rc = prepare_all(s, rs, r->number, err);
		if (rc != 0) {
			statements_finalize(rs);
			free(rs->names);
			rs->names = NULL;
			return rc;
		}
		rs->reg = r;
	}
	*ret = rs;
	return 0;
}

int state_new(struct state *s, struct reg *r, struct arena *a, struct row **ret, struct err *err)
{
	struct reg_state *rs;
	int rc = state_of(s, r, &rs, err);

	if (rc != 0)
		return rc;
	*ret = row_new(a, r->ngroups, rs->names);
	return *ret != NULL ? 0 : err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
}

/* ---- load */

/* Rows come in the order of their keys: above the greatest there is nothing to look for. */
static bool beyond(const struct reg_state *rs, struct cell key)
{
	return rs->top_known && key.i > rs->top;
}

static void top_load(struct state *s, struct reg_state *rs)
{
	rs->top_known = db_step(s->db, rs->max, NULL) > 0 && sqlite3_column_type(rs->max, 0) == SQLITE_INTEGER;
	rs->top = rs->top_known ? sqlite3_column_int64(rs->max, 0) : 0;
	sqlite3_reset(rs->max);
}

static int fill(struct held *h, struct arena *a)
{
	const struct version_set *set = h->set;
	struct value *v = arena_array(a, set->ngroups, sizeof *v);
	struct life_state *l;

	if (v == NULL)
		return -1;
	v[0] = (struct value){.v = &set->row, .life = set->life, .group = GROUP_ROW, .whole = true,
	                      .alive = (h->flags & STATE_ALIVE) != 0, .row_unit = h->unit};
	row_put(h->row, &v[0], a);
	l = row_life(h->row, set->life);
	if (l == NULL)
		return -1;
	for (uint32_t g = 1; g < set->ngroups && g < h->reg->ngroups; g++) {
		if (set->groups[g] == NULL)
			continue;
		v[g] = (struct value){.v = set->groups[g], .life = set->life, .group = g, .whole = true};
		l->groups[g].decision = &v[g];
	}
	return 0;
}

int state_load(struct state *s, struct reg *r, struct key key, struct arena *a, struct held *ret, struct err *err)
{
	static const struct term none;
	struct reg_state *rs;
	struct slice term;
	int64_t id = 0;
	int rc = state_of(s, r, &rs, err);

	if (rc != 0)
		return rc;
	*ret = (struct held){.reg = r, .key = key, .key_cell = key_column(key, a)};
	ret->row = row_new(a, r->ngroups, rs->names);
	if (ret->row == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	if (r->rowid_key && beyond(rs, ret->key_cell))
		return 0;
	bind_cell(rs->load, 1, ret->key_cell);
	rc = db_step(s->db, rs->load, err);
	if (rc < 0)
		return ERR_DB;
	if (rc == 0) {
		if (r->rowid_key && !rs->top_known)
			top_load(s, rs);
		return 0;
	}
	ret->exists = true;
	ret->unit = read_unsigned(rs->load, 0);
	ret->flags = ret->stored_flags = (uint32_t)sqlite3_column_int64(rs->load, 1);
	id = sqlite3_column_int64(rs->load, 2);
	term = read_blob(rs->load, 3);
	if (term.n == TERM_SIZE)
		memcpy(ret->term.at, term.p, TERM_SIZE);
	ret->has_term = memcmp(&ret->term, &none, sizeof none) != 0;
	sqlite3_reset(rs->load);
	rc = sets_get(s->sets, id, &ret->set, err);
	if (rc != 0)
		return rc;
	if (fill(ret, a) != 0)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	return ret->flags & STATE_ASIDE ? aside_load(s, ret, a, err) : 0;
}

/* ---- save */

static int account(struct state *s, struct reg_state *rs, const struct held *h, bool stood, bool stands, uint64_t unit,
                   struct err *err)
{
	struct sum *sum;
	int rc;

	if (stood) {
		rc = sum_of(s, rs, h->unit, &sum, err);
		if (rc != 0)
			return rc;
		sum->rows--;
		if (h->has_term) {
			term_subtract(&sum->sum, &h->term);
		} else {
			sum->pending--;
			s->pending--;
		}
		sum->changed = true;
	}
	if (stands) {
		rc = sum_of(s, rs, unit, &sum, err);
		if (rc != 0)
			return rc;
		sum->rows++;
		sum->pending++;
		s->pending++;
		sum->changed = true;
		if (!stood || h->has_term)
			changed_add(s, rs, h->key_cell);
	}
	return 0;
}

int state_save(struct state *s, struct held *h, uint64_t scope, bool erase, struct arena *a, struct err *err)
{
	const struct value *d = h->row->row.decision;
	const struct version *none[1] = {NULL}, **groups = none;
	struct life_state *current = row_current(h->row);
	const struct version_set *set;
	struct reg_state *rs;
	uint32_t ngroups = 1, flags = h->flags & (STATE_QUARANTINE | STATE_OVERFLOW);
	bool stands, stood = h->exists && (h->flags & STATE_ALIVE) && unit_contains(scope, h->unit), any = false;
	sqlite3_stmt *q;
	int rc = state_of(s, h->reg, &rs, err);

	if (rc != 0)
		return rc;
	if (d == NULL || current == NULL)
		return err_set(err, ERR_BUG, "register %s: a row without a decision about it", h->reg->name);
	stands = d->alive && unit_contains(scope, d->row_unit);
	if (stands) {
		ngroups = h->row->ngroups;
		groups = arena_array(a, ngroups, sizeof *groups);
		if (groups == NULL)
			return err_set(err, ERR_NOMEM, "register %s: memory is short", h->reg->name);
		for (uint32_t g = 1; g < ngroups; g++)
			groups[g] = current->groups[g].decision != NULL ? current->groups[g].decision->v : NULL;
	}
	rc = sets_intern(s->sets, d->life, d->v, ngroups, groups, &set, err);
	if (rc == 0 && erase) {
		q = db_statement(s->db, SQL_ASIDE_CLEAR, err);
		bind_u64(q, 1, h->reg->number);
		bind_cell(q, 2, h->key_cell);
		rc = db_run(s->db, q, err);
	} else if (rc == 0) {
		rc = aside_save(s, h, stands, &any, a, err);
	}
	if (rc != 0)
		return rc;
	flags |= (d->alive ? STATE_ALIVE : 0) | (any ? STATE_ASIDE : 0);
	if (!h->rehash && h->exists && set == h->set && flags == h->stored_flags && d->row_unit == h->unit && !(any && h->has_term))
		return 0;                        /* nothing changed that this row says */
	rc = account(s, rs, h, stood, stands, d->row_unit, err);
	if (rc != 0)
		return rc;
	q = h->exists ? rs->update : rs->insert;
	sqlite3_reset(q);
	bind_cell(q, 1, h->key_cell);
	bind_u64(q, 2, d->row_unit);
	sqlite3_bind_int64(q, 3, flags);
	sqlite3_bind_int64(q, 4, set->id);
	rc = db_run(s->db, q, err);
	if (rc != 0)
		return rc;
	if (h->reg->rowid_key && beyond(rs, h->key_cell))
		rs->top = h->key_cell.i;
	h->exists = true;
	h->unit = d->row_unit;
	h->flags = h->stored_flags = flags;
	h->set = set;
	h->has_term = false;
	return 0;
}

int state_delete(struct state *s, struct held *h, uint64_t scope, struct err *err)
{
	bool stood = h->exists && (h->flags & STATE_ALIVE) && unit_contains(scope, h->unit);
	struct reg_state *rs;
	sqlite3_stmt *q;
	int rc = state_of(s, h->reg, &rs, err);

	if (rc == 0)
		rc = account(s, rs, h, stood, false, UNIT_NONE, err);
	if (rc != 0)
		return rc;
	sqlite3_reset(rs->remove);
	bind_cell(rs->remove, 1, h->key_cell);
	rc = db_run(s->db, rs->remove, err);
	if (rc == 0 && h->flags & STATE_ASIDE) {
		q = db_statement(s->db, SQL_ASIDE_CLEAR, err);
		bind_u64(q, 1, h->reg->number);
		bind_cell(q, 2, h->key_cell);
		rc = db_run(s->db, q, err);
	}
	if (rc == 0)
		rc = was_clear(s->db, h->reg, h->key_cell, err);
	h->exists = false;
	return rc;
}

/* ---- scan */

int state_scan(struct state *s, struct reg *r, const struct cell *after, uint64_t scope, uint32_t most, struct arena *a,
               struct key **ret, uint32_t *ret_n, struct err *err)
{
	struct reg_state *rs;
	sqlite3_stmt *q;
	uint32_t n = 0;
	int rc = state_of(s, r, &rs, err);

	if (rc != 0)
		return rc;
	*ret = arena_array(a, most, sizeof **ret);
	if (*ret == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	q = after != NULL ? rs->scan : rs->scan_first;
	sqlite3_reset(q);
	if (after != NULL)
		bind_cell(q, 1, *after);
	while (n < most && (rc = db_step(s->db, q, err)) > 0) {
		if (scope != UNIT_NONE && !unit_contains(scope, read_unsigned(q, 1)))
			continue;
		rc = key_from_column(cell_copy(a, read_cell(q, 0)), r->nkey, a, &(*ret)[n++], err);
		if (rc != 0)
			break;
	}
	sqlite3_reset(q);
	*ret_n = n;
	return rc < 0 ? ERR_DB : rc > 1 ? rc : 0;
}

static bool among(const uint64_t *units, uint32_t n, uint64_t unit)
{
	uint32_t low = 0;

	while (low < n) {
		uint32_t middle = low + (n - low) / 2;

		if (units[middle] == unit)
			return true;
		if (units[middle] < unit)
			low = middle + 1;
		else
			n = middle;
	}
	return false;
}

int state_terms(struct state *s, struct reg *r, const struct cell *from, struct cell to, uint64_t scope,
                const uint64_t *units, uint32_t nunits, int (*fn)(void *arg, struct cell key, const struct term *t), void *arg,
                struct err *err)
{
	struct reg_state *rs;
	struct term term;
	sqlite3_stmt *q;
	int got = 0, rc = state_of(s, r, &rs, err);

	if (rc != 0)
		return rc;
	q = rs->terms[(from != NULL ? 1 : 0) + (to.type != CELL_NULL ? 2 : 0)];
	sqlite3_reset(q);
	if (from != NULL)
		bind_cell(q, 1, *from);
	if (to.type != CELL_NULL)
		bind_cell(q, 2, to);
	while (rc == 0 && (got = db_step(s->db, q, err)) > 0) {
		uint64_t unit = read_unsigned(q, 1);
		struct slice blob = read_blob(q, 2);

		if (nunits > 0 ? !among(units, nunits, unit) : !unit_contains(scope, unit))
			continue;
		memset(&term, 0, sizeof term);
		if (blob.n == TERM_SIZE)
			memcpy(term.at, blob.p, TERM_SIZE);
		rc = fn(arg, read_cell(q, 0), &term);
	}
	sqlite3_reset(q);
	return rc == 0 && got < 0 ? ERR_DB : rc;
}
