/* Rounds: what both sides need: sums of this node's rows, the rows themselves, their states. */
#include "engine/rounds.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/zip.h"
#include "engine/merge.h"
#include "store/terms.h"

/* ---- sums */

struct unit_list {
	struct unit_sum *at;
	uint32_t n;
	uint64_t scope;
};

static int unit_add(void *arg, uint64_t unit, const struct term *sum, uint64_t rows, uint64_t pending)
{
	struct unit_list *l = arg;

	(void)rows;
	(void)pending;
	if (!unit_contains(l->scope, unit))
		return 0;
	if (l->n < ROUND_UNITS_MOST) {
		l->at[l->n].unit = unit;
		memcpy(l->at[l->n].sum, sum->at, RANGES_SUM);
	}
	l->n++;
	return 0;
}

static int by_unit(const void *a, const void *b)
{
	const struct unit_sum *x = a, *y = b;

	return x->unit < y->unit ? -1 : x->unit > y->unit;
}

int round_units(struct engine *e, struct reg *r, uint64_t scope, struct arena *a, struct unit_sum **ret, uint32_t *ret_n,
                struct err *err)
{
	struct unit_list l = { arena_array(a, ROUND_UNITS_MOST, sizeof *l.at), 0, scope };
	int rc = l.at == NULL ? err_set(err, ERR_NOMEM, "comparing rows: memory is short") :
	         terms_each(e->state, r, unit_add, &l, err);

	*ret = l.at;
	*ret_n = l.n;
	if (rc == 0 && l.n > 1 && l.n <= ROUND_UNITS_MOST)
		qsort(l.at, l.n, sizeof *l.at, by_unit);
	return rc;
}

int round_total(struct engine *e, uint64_t peer, struct term *ret, uint64_t *ret_rows, uint64_t *ret_pending, struct err *err)
{
	int rc = 0;

	memset(ret, 0, sizeof *ret);
	*ret_rows = *ret_pending = 0;
	for (uint32_t i = 0; i < e->catalog->nregs && rc == 0; i++) {
		struct reg *r = e->catalog->regs[i];
		uint64_t rows, pending;
		struct term sum;

		if (!compares(e, r, peer))
			continue;
		rc = terms_digest(e->state, r, compare_scope(e, r, peer), &sum, &rows, &pending, err);
		term_add(ret, &sum);
		*ret_rows += rows;
		*ret_pending += pending;
	}
	return rc;
}

int round_recount(struct engine *e, uint64_t peer, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < e->catalog->nregs && rc == 0; i++) {
		struct reg *r = e->catalog->regs[i];
		bool changed = false;

		if (compares(e, r, peer))
			rc = terms_recount(e->state, r, e->unit, &changed, err);
		if (rc == 0 && changed)
			event(e, LOG_LEVEL_ERROR, "alarm", peer, NULL, "register %s: the sums of the digest were wrong, the rows are not; they "
			      "are counted anew", r->name);
	}
	return rc;
}

/* ---- rows */

static int rows_each(void *arg, const struct cell *from, struct cell to,
                     int (*fn)(void *fn_arg, struct cell key, const struct term *t), void *fn_arg, struct err *err)
{
	struct round_rows *x = arg;

	return state_terms(x->e->state, x->reg, from, to, x->scope, x->units, x->nunits, fn, fn_arg, err);
}

static bool rows_over(void *arg)
{
	struct round_rows *x = arg;

	return steady_ms(x->e) >= x->until_ms;
}

struct ranges_rows round_rows(struct round_rows *x)
{
	return (struct ranges_rows){ rows_each, rows_over, x };
}

/* ---- states */

int round_states_put(struct engine *e, uint64_t peer, const struct round_key *keys, uint32_t n, struct buf *b, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf raw = { .cap = LIMIT_SEGMENT_RAW }, zip = { 0 };
	struct state_builder builder = { .arena = &a };
	struct payload p;
	int rc = 0;

	for (uint32_t i = 0; i < n && rc == 0 && builder.size < LIMIT_RECONCILE_CUT; i++)
		rc = merge_state(e, &builder, keys[i].reg, keys[i].key, peer, peer == e->parent, UINT64_MAX, err);
	p = (struct payload){ .nregisters = builder.nregisters, .registers = builder.registers, .nchanges = builder.nchanges,
		              .changes = builder.changes };
	if (rc == 0)
		rc = payload_encode(&p, &raw, err);
	if (rc == 0)
		rc = zip_deflate(buf_slice(&raw), 0, (struct slice){ NULL, 0 }, &zip, err);
	/* One row of many megabytes is not shown; it passes as any other. */
	buf_put_varint(b, zip.n <= LIMIT_RECONCILE_STATES ? raw.n : 0);
	buf_put_slice(b, zip.n <= LIMIT_RECONCILE_STATES ? buf_slice(&zip) : (struct slice){ NULL, 0 });
	return rc == 0 && b->failed ? err_set(err, ERR_NOMEM, "telling rows: memory is short") : rc;
}

static int keep_one(struct engine *e, uint64_t peer, const struct payload *p, const struct round_key *k, struct arena *a,
                    struct err *err)
{
	struct difference d = { .reg = k->reg->number, .key = k->key };
	_cleanup_(buf_release) struct buf body = { .cap = LIMIT_SEGMENT_RAW };
	int rc = 0;

	for (uint32_t i = 0; i < p->nchanges && rc == 0; i++) {
		const struct change *c = &p->changes[i];
		struct payload one = *p;

		if (!slice_equal(p->registers[c->reg].name, slice_of(k->reg->name)) || c->key.n != k->reg->nkey ||
		    !cell_equal(key_column(c->key, a), k->key))
			continue;
		one.changes = c;
		one.nchanges = 1;
		d.held = !(c->flags & (CHANGE_NOT_HELD | CHANGE_GONE));
		rc = payload_encode(&one, &body, err);
		d.body = buf_slice(&body);
		break;
	}
	return rc == 0 ? difference_put(e->db, peer, &d, now_ms(e), err) : rc;
}

int round_states_keep(struct engine *e, uint64_t peer, struct reader *r, const struct round_key *keys, uint32_t n,
                      struct err *err)
{
	_cleanup_(arena_release) struct arena a = { .cap = LIMIT_DECODED };
	_cleanup_(buf_release) struct buf raw = { .cap = LIMIT_SEGMENT_RAW };
	uint64_t length = r != NULL ? read_varint(r) : 0;
	struct slice zip = r != NULL ? read_slice(r) : (struct slice){ NULL, 0 };
	struct payload p = { 0 };
	int rc = 0;

	if (r != NULL && (r->bad || length > LIMIT_SEGMENT_RAW || zip.n > LIMIT_RECONCILE_STATES))
		return err_set(err, ERR_FORMAT, "the states of a reconciliation are malformed");
	if (length > 0)
		rc = zip_inflate(zip, 0, (struct slice){ NULL, 0 }, (size_t)length, &raw, err);
	if (rc == 0 && length > 0)
		rc = payload_decode(buf_slice(&raw), &a, &p, err);
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = keep_one(e, peer, &p, &keys[i], &a, err);
	return rc;
}
