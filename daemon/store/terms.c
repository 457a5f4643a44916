/* Terms: row hashes and their sums. */
#include "store/terms.h"

#include <stdlib.h>
#include <string.h>

#include "store/state_inside.h"

#define TERM_FORMAT 1
#define CHANGED_MOST 200000u

/* ---- sums */

static struct sum *place(struct reg_state *rs, uint64_t unit)
{
	uint32_t i = (uint32_t)((unit * 0x9E3779B97F4A7C15u) >> 32) & (rs->room - 1);

	while (rs->sums[i].unit != UNIT_NONE && rs->sums[i].unit != unit)
		i = (i + 1) & (rs->room - 1);
	return &rs->sums[i];
}

static int grow(struct reg_state *rs, struct err *err)
{
	struct sum *old = rs->sums;
	uint32_t room = rs->room;

	rs->room = room == 0 ? 64 : room * 2;
	rs->sums = calloc(rs->room, sizeof *rs->sums);
	if (rs->sums == NULL) {
		rs->sums = old;
		rs->room = room;
		return err_set(err, ERR_NOMEM, "register %s: memory is short", rs->reg->name);
	}
	for (uint32_t i = 0; i < room; i++)
		if (old[i].unit != UNIT_NONE)
			*place(rs, old[i].unit) = old[i];
	free(old);
	return 0;
}

static int sums_load(struct state *s, struct reg_state *rs, struct err *err)
{
	sqlite3_stmt *q;
	int rc;

	if (rs->sums != NULL)
		return 0;
	rc = grow(rs, err);
	if (rc != 0)
		return rc;
	q = db_statement(s->db, SQL_DIGEST_GET, err);
	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, rs->reg->number);
	while ((rc = db_step(s->db, q, err)) > 0) {
		struct sum *sum;

		if (rs->nsums * 2 >= rs->room && grow(rs, err) != 0)
			break;
		sum = place(rs, read_unsigned(q, 0));
		sum->unit = read_unsigned(q, 0);
		if (sqlite3_column_bytes(q, 1) == TERM_SIZE)
			memcpy(sum->sum.at, sqlite3_column_blob(q, 1), TERM_SIZE);
		sum->rows = sqlite3_column_int64(q, 2);
		sum->pending = sqlite3_column_int64(q, 3);
		rs->nsums++;
	}
	sqlite3_reset(q);
	return rc < 0 ? ERR_DB : 0;
}

int sum_of(struct state *s, struct reg_state *rs, uint64_t unit, struct sum **ret, struct err *err)
{
	int rc = sums_load(s, rs, err);

	if (rc == 0 && rs->nsums * 2 >= rs->room)
		rc = grow(rs, err);
	if (rc != 0)
		return rc;
	terms_pending(s);
	*ret = place(rs, unit);
	if ((*ret)->unit == UNIT_NONE) {
		(*ret)->unit = unit;
		rs->nsums++;
	}
	return 0;
}

int state_flush(struct state *s, struct err *err)
{
	for (uint32_t i = 0; i < s->nregs; i++) {
		struct reg_state *rs = &s->regs[i];

		for (uint32_t k = 0; rs->sums != NULL && k < rs->room; k++) {
			struct sum *sum = &rs->sums[k];
			sqlite3_stmt *q;

			if (!sum->changed)
				continue;
			q = db_statement(s->db, SQL_DIGEST_PUT, err);
			if (q == NULL)
				return ERR_DB;
			bind_u64(q, 1, i);
			bind_u64(q, 2, sum->unit);
			bind_slice(q, 3, (struct slice){sum->sum.at, TERM_SIZE});
			sqlite3_bind_int64(q, 4, sum->rows);
			sqlite3_bind_int64(q, 5, sum->pending);
			if (db_run(s->db, q, err) != 0)
				return ERR_DB;
			sum->changed = false;
		}
	}
	return 0;
}

uint64_t terms_pending(struct state *s)
{
	if (s->pending < 0) {
		sqlite3_stmt *q = db_statement(s->db, SQL_DIGEST_PENDING, NULL);

		s->pending = q != NULL && db_step(s->db, q, NULL) > 0 ? sqlite3_column_int64(q, 0) : 0;
		if (q != NULL)
			sqlite3_reset(q);
	}
	return s->pending > 0 ? (uint64_t)s->pending : 0;
}

int terms_each(struct state *s, struct reg *r,
               int (*fn)(void *arg, uint64_t unit, const struct term *sum, uint64_t rows, uint64_t pending), void *arg,
               struct err *err)
{
	struct reg_state *rs;
	int rc = state_of(s, r, &rs, err);

	if (rc == 0)
		rc = sums_load(s, rs, err);
	for (uint32_t k = 0; rc == 0 && k < rs->room; k++)
		if (rs->sums[k].unit != UNIT_NONE && rs->sums[k].rows > 0)
			rc = fn(arg, rs->sums[k].unit, &rs->sums[k].sum, (uint64_t)rs->sums[k].rows, (uint64_t)rs->sums[k].pending);
	return rc;
}

struct adding {
	uint64_t scope, rows, pending;
	struct term sum;
};

static int add_sum(void *arg, uint64_t unit, const struct term *sum, uint64_t rows, uint64_t pending)
{
	struct adding *a = arg;

	if (unit_contains(a->scope, unit)) {
		term_add(&a->sum, sum);
		a->rows += rows;
		a->pending += pending;
	}
	return 0;
}

int terms_digest(struct state *s, struct reg *r, uint64_t scope, struct term *ret, uint64_t *ret_rows,
                 uint64_t *ret_pending, struct err *err)
{
	struct adding a = {.scope = scope};
	int rc = terms_each(s, r, add_sum, &a, err);

	*ret = a.sum;
	*ret_rows = a.rows;
	*ret_pending = a.pending;
	return rc;
}

/* ---- one row's term */

struct named {
	const char *name;
	uint32_t i;
};

struct term_order {                      /* numbers of the groups, and places of each one's columns, by name */
	struct arena arena;
	uint32_t n;
	struct named *groups;
	struct named **columns;          /* by number of the group */
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void term_order_free(struct term_order *o)
{
	if (o == NULL)
		return;
	arena_release(&o->arena);
	free(o);
}

static bool order_fill(struct term_order *o, const struct reg *r)
{
	o->groups = arena_array(&o->arena, r->ngroups, sizeof *o->groups);
	o->columns = arena_array(&o->arena, r->ngroups, sizeof *o->columns);
	for (uint32_t g = 1; g < r->ngroups && !o->arena.failed; g++) {
		const struct group *group = r->groups[g];
		struct named *names = group != NULL ? arena_array(&o->arena, group->ncolumns + 1, sizeof *names) : NULL;

		if (names == NULL)
			continue;
		o->groups[o->n++] = (struct named){group->name, g};
		o->columns[g] = names;
		for (uint32_t i = 0; i < group->ncolumns; i++)
			names[i] = (struct named){group->columns[i]->name, i};
		qsort(names, group->ncolumns, sizeof *names, by_name);
	}
	if (!o->arena.failed)
		qsort(o->groups, o->n, sizeof *o->groups, by_name);
	return !o->arena.failed;
}

static const struct term_order *order_of(struct reg_state *rs)
{
	struct term_order *o = rs->order;

	if (o != NULL)
		return o;
	o = calloc(1, sizeof *o);
	if (o == NULL || !order_fill(o, rs->reg)) {
		term_order_free(o);
		return NULL;
	}
	return rs->order = o;
}

static bool is_default(const struct column *c, struct cell cell)
{
	return !c->computed && cell_equal(c->fallback, cell);
}

static void group_put(struct buf *b, const struct group *g, const struct named *columns, const struct value *v)
{
	buf_put_text(b, g->name);
	version_put(b, v->v);
	for (uint32_t k = 0; v->cells != NULL && k < g->ncolumns; k++) {
		uint32_t i = columns[k].i;

		if (i >= v->ncells || (v->present != NULL && !v->present[i]) || is_default(g->columns[i], v->cells[i]))
			continue;
		buf_put_text(b, columns[k].name);
		cell_put(b, v->cells[i]);
	}
	buf_put_u8(b, 0);
}

static void proposals_put(struct buf *b, const struct reg *r, const struct group_state *g, struct ident life)
{
	const struct slot *done = NULL;

	/* few: by author, smallest first */
	for (;;) {
		const struct slot *next = NULL;

		for (const struct slot *p = g->proposals; p != NULL; p = p->next)
			if (value_open(p->value, g) && ident_equal(p->value->life, life) &&
			    (done == NULL || p->value->v->unit > done->value->v->unit) &&
			    (next == NULL || p->value->v->unit < next->value->v->unit))
				next = p;
		if (next == NULL)
			break;
		buf_put_u8(b, 2);
		value_store(b, r, next->value);
		done = next;
	}
}

int terms_row(struct state *s, struct table *t, struct held *h, struct arena *a, struct term *ret, struct err *err)
{
	const struct life_state *l = row_current(h->row);
	const struct value *d = h->row->row.decision;
	const struct term_order *order;
	struct reg_state *rs;
	int rc = held_cells(t, h, a, err);

	if (rc == 0)
		rc = state_of(s, h->reg, &rs, err);
	if (rc != 0)
		return rc;
	order = order_of(rs);
	if (order == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", h->reg->name);
	buf_clear(&s->scratch);
	buf_put_varint(&s->scratch, TERM_FORMAT);
	buf_put_text(&s->scratch, h->reg->name);
	key_put(&s->scratch, h->key);
	/* A row of unit `all` stands under each node's own unit: its issuer's is the same everywhere. */
	buf_put_varint(&s->scratch, h->reg->policy != NULL && h->reg->policy->unit_source == UNIT_ALL ? h->reg->issuer : d->row_unit);
	ident_put(&s->scratch, &d->life);
	version_put(&s->scratch, d->v);
	proposals_put(&s->scratch, h->reg, &h->row->row, d->life);
	for (uint32_t i = 0; i < order->n; i++) {
		uint32_t number = order->groups[i].i;
		const struct group_state *g = &l->groups[number];

		if (g->decision != NULL) {
			buf_put_u8(&s->scratch, 1);
			group_put(&s->scratch, h->reg->groups[number], order->columns[number], g->decision);
		}
		proposals_put(&s->scratch, h->reg, g, d->life);
	}
	if (s->scratch.failed)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", h->reg->name);
	*ret = term_of(buf_slice(&s->scratch));
	return 0;
}

/* ---- the pass that brings terms up to date */

void changed_add(struct state *s, struct reg_state *rs, struct cell key)
{
	if (rs->nchanged == CHANGED_MOST) {
		rs->missed = true;
		return;
	}
	if (rs->nchanged == rs->changed_room) {
		uint32_t room = rs->changed_room == 0 ? 256 : rs->changed_room * 2;
		struct cell *more = realloc(rs->changed, room * sizeof *more);

		if (more == NULL) {
			rs->missed = true;
			return;
		}
		rs->changed = more;
		rs->changed_room = room;
	}
	rs->changed[rs->nchanged++] = cell_copy(&s->keys, key);
}

static int hash_key(struct state *s, struct table *t, struct reg_state *rs, struct reg *r, struct cell key_cell,
                    uint64_t scope, struct arena *a, struct err *err)
{
	struct held h;
	struct term term;
	struct sum *sum;
	struct key key;
	int rc = key_from_column(key_cell, r->nkey, a, &key, err);

	if (rc == 0)
		rc = state_load(s, r, key, a, &h, err);
	if (rc != 0 || !h.exists || h.has_term || !(h.flags & STATE_ALIVE) || !unit_contains(scope, h.unit))
		return rc;
	rc = terms_row(s, t, &h, a, &term, err);
	if (rc == 0)
		rc = sum_of(s, rs, h.unit, &sum, err);
	if (rc != 0)
		return rc;
	term_add(&sum->sum, &term);
	sum->pending--;
	sum->changed = true;
	s->pending--;
	sqlite3_reset(rs->term);
	bind_cell(rs->term, 1, h.key_cell);
	bind_slice(rs->term, 2, (struct slice){term.at, TERM_SIZE});
	return db_run(s->db, rs->term, err);
}

/* After a start, or where the list was too long: the rows that lack a term, by a scan. */
static int find_missing(struct state *s, struct reg_state *rs, uint32_t most, struct err *err)
{
	int rc;

	sqlite3_reset(rs->missing);
	sqlite3_bind_int64(rs->missing, 1, most);
	while ((rc = db_step(s->db, rs->missing, err)) > 0)
		changed_add(s, rs, read_cell(rs->missing, 0));
	sqlite3_reset(rs->missing);
	return rc < 0 ? ERR_DB : 0;
}

static int hash_register(struct state *s, struct table *t, struct reg *r, uint64_t scope, uint32_t most, uint32_t *done,
                         struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct reg_state *rs;
	int rc = state_of(s, r, &rs, err);

	if (rc == 0 && rs->nchanged == 0)
		rc = find_missing(s, rs, most, err);
	while (rc == 0 && rs->nchanged > 0 && *done < most) {
		arena_reset(&a);
		rc = hash_key(s, t, rs, r, rs->changed[rs->nchanged - 1], scope, &a, err);
		if (rc == 0)
			rs->nchanged--;
		(*done)++;
	}
	return rc;
}

int terms_hash(struct state *s, struct table *t, const struct catalog *c, uint64_t scope, uint32_t most,
               uint64_t *ret_left, struct err *err)
{
	uint32_t done = 0, left = 0;
	int rc = 0;

	for (uint32_t i = 0; i < c->nregs && rc == 0 && done < most && terms_pending(s) > 0; i++) {
		rc = hash_register(s, t, c->regs[i], scope, most, &done, err);
		state_trim(s);
	}
	for (uint32_t i = 0; i < s->nregs; i++)
		left += s->regs[i].nchanged;
	if (left == 0)
		arena_reset(&s->keys);
	*ret_left = terms_pending(s);
	return rc;
}

/* ---- sums that are wrong themselves */

static int recount_row(struct state *s, struct reg_state *fresh, uint64_t unit, struct slice term, struct err *err)
{
	struct term none = {0}, t = {0};
	struct sum *sum;
	int rc = sum_of(s, fresh, unit, &sum, err);

	if (rc != 0)
		return rc;
	if (term.n == TERM_SIZE)
		memcpy(t.at, term.p, TERM_SIZE);
	term_add(&sum->sum, &t);
	sum->rows++;
	sum->pending += term_equal(&t, &none);
	return 0;
}

int terms_recount(struct state *s, struct reg *r, uint64_t scope, bool *ret_changed, struct err *err)
{
	struct reg_state *rs, fresh;
	int got = 0, rc = state_of(s, r, &rs, err);

	*ret_changed = false;
	if (rc == 0)
		rc = sums_load(s, rs, err);
	fresh = (struct reg_state){.reg = r};
	if (rc == 0)
		rc = grow(&fresh, err);
	if (rc != 0)
		return rc;
	sqlite3_reset(rs->count);
	while (rc == 0 && (got = db_step(s->db, rs->count, err)) > 0)
		if (unit_contains(scope, read_unsigned(rs->count, 0)))
			rc = recount_row(s, &fresh, read_unsigned(rs->count, 0), read_blob(rs->count, 1), err);
	sqlite3_reset(rs->count);
	for (uint32_t k = 0; rc == 0 && got == 0 && k < rs->room; k++)         /* units that have no rows any more */
		if (rs->sums[k].unit != UNIT_NONE) {
			struct sum *sum;

			rc = sum_of(s, &fresh, rs->sums[k].unit, &sum, err);
		}
	for (uint32_t k = 0; rc == 0 && got == 0 && k < fresh.room; k++) {
		struct sum *now = &fresh.sums[k], *was;

		if (now->unit == UNIT_NONE)
			continue;
		rc = sum_of(s, rs, now->unit, &was, err);
		if (rc != 0 || (was->rows == now->rows && was->pending == now->pending && term_equal(&was->sum, &now->sum)))
			continue;
		*was = *now;
		was->changed = *ret_changed = true;
	}
	s->pending = -1;
	free(fresh.sums);
	return rc == 0 && got < 0 ? ERR_DB : rc;
}
