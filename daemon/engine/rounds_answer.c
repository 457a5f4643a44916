/* Rounds, the parent's side.  Nothing is remembered from one to the next; what a round looks at is bounded in time, and
 * the driver asks again for the rest. */
#include "engine/rounds.h"

#include <string.h>

#include "base/log.h"
#include "store/terms.h"

struct answering {
	struct engine *e;
	uint64_t peer;
	const struct link *l;
	struct reader r;
	struct arena arena;
	struct buf *out;
	enum round_kind kind;
};

static int malformed(const struct answering *x, struct err *err)
{
	return err_set(err, ERR_FORMAT, "a reconciliation of unit %012llu is malformed", (unsigned long long)x->peer);
}

static void put_head(struct answering *x, enum round_verdict verdict)
{
	buf_put_u8(x->out, CONTACT_FORMAT);
	buf_put_u8(x->out, (uint8_t)verdict);
}

static struct reg *reg_of(struct answering *x, struct slice name)
{
	struct reg *r = x->r.bad ? NULL : catalog_register(x->e->catalog, name);

	return r != NULL && compares(x->e, r, x->peer) ? r : NULL;
}

/* ---- the whole */

static int answer_open(struct answering *x, struct err *err)
{
	uint64_t seq = read_varint(&x->r), position = read_varint(&x->r), built = read_varint(&x->r), rows, here, pending, n = 0;
	struct slice sum = read_bytes(&x->r, TERM_SIZE);
	_cleanup_(buf_release) struct buf list = { 0 };
	const struct link *l = x->l;
	struct term total, one;
	bool rest;
	int rc;

	rows = read_varint(&x->r);
	if (!reader_done(&x->r))
		return malformed(x, err);
	rc = round_total(x->e, x->peer, &total, &here, &pending, err);
	if (rc != 0 || pending > 0) {
		put_head(x, ROUND_UNKNOWN);
		return rc;
	}
	if (rows == here && memcmp(total.at, sum.p, TERM_SIZE) == 0) {
		put_head(x, ROUND_EQUAL);
		return 0;
	}
	rest = seq == l->received && position == l->fed && l->built == l->fed && built == l->position && !dirty_any(x->e->db, x->peer);
	put_head(x, rest ? ROUND_DIFFERS : ROUND_MOVING);
	for (uint32_t i = 0; i < x->e->catalog->nregs && rc == 0; i++) {
		struct reg *r = x->e->catalog->regs[i];

		if (!compares(x->e, r, x->peer))
			continue;
		rc = terms_digest(x->e->state, r, compare_scope(x->e, r, x->peer), &one, &here, &pending, err);
		buf_put_text(&list, r->name);
		buf_put(&list, one.at, RANGES_SUM);
		n++;
	}
	buf_put_varint(x->out, n);
	buf_put(x->out, list.p, list.n);
	return rc == 0 && list.failed ? err_set(err, ERR_NOMEM, "answering a reconciliation: memory is short") : rc;
}

/* ---- unit by unit */

static void differing(const struct unit_sum *a, uint32_t na, const struct unit_sum *b, uint32_t nb, uint64_t *ret, uint32_t *ret_n)
{
	uint32_t i = 0, k = 0, n = 0;

	while (i < na || k < nb) {
		bool left = k == nb || (i < na && a[i].unit < b[k].unit), right = !left && (i == na || b[k].unit < a[i].unit);
		uint64_t unit = right ? b[k].unit : a[i].unit;

		if (left || right || memcmp(a[i].sum, b[k].sum, RANGES_SUM) != 0)
			ret[n++] = unit;
		i += !right;
		k += !left;
	}
	*ret_n = n;
}

static int remember_units(struct answering *x, const struct reg *r, const uint64_t *units, uint32_t n, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = compared_put(x->e->db, x->peer, r->name, units[i], "differs", now_ms(x->e), err);
	return rc;
}

static int answer_units_of(struct answering *x, struct err *err)
{
	struct reg *r = reg_of(x, read_slice(&x->r));
	uint32_t n = (uint32_t)read_count(&x->r, ROUND_UNITS_MOST), here = 0, ndiffer = 0;
	struct unit_sum *theirs = arena_array(&x->arena, n + 1, sizeof *theirs), *mine;
	uint64_t *differ = arena_array(&x->arena, 2 * (ROUND_UNITS_MOST + 1), sizeof *differ), last = 0;
	int rc;

	if (theirs == NULL || differ == NULL)
		return err_set(err, ERR_NOMEM, "answering a reconciliation: memory is short");
	for (uint32_t i = 0; i < n && !x->r.bad; i++) {
		struct slice s;

		theirs[i].unit = last += read_varint(&x->r);
		s = read_bytes(&x->r, RANGES_SUM);
		if (!x->r.bad)
			memcpy(theirs[i].sum, s.p, RANGES_SUM);
	}
	if (x->r.bad || r == NULL)
		return malformed(x, err);
	rc = round_units(x->e, r, compare_scope(x->e, r, x->peer), &x->arena, &mine, &here, err);
	if (rc != 0)
		return rc;
	if (n > 0 && here <= ROUND_UNITS_MOST)
		differing(mine, here, theirs, n, differ, &ndiffer);
	if (n == 0 || here > ROUND_UNITS_MOST || ndiffer > LIMIT_RANGES_UNITS) {
		buf_put_u8(x->out, 1);
		return ndiffer > LIMIT_RANGES_UNITS ? remember_units(x, r, differ, ndiffer, err) : 0;
	}
	buf_put_u8(x->out, 2);
	buf_put_varint(x->out, ndiffer);
	last = 0;
	for (uint32_t i = 0; i < ndiffer; i++) {
		buf_put_varint(x->out, differ[i] - last);
		last = differ[i];
	}
	return remember_units(x, r, differ, ndiffer, err);
}

static int answer_units(struct answering *x, struct err *err)
{
	uint64_t n = read_count(&x->r, LIMIT_REGISTERS);
	int rc = compared_forget(x->e->db, x->peer, false, err);

	put_head(x, ROUND_DIFFERS);
	for (uint64_t i = 0; i < n && rc == 0; i++)
		rc = answer_units_of(x, err);
	return rc == 0 && !reader_done(&x->r) ? malformed(x, err) : rc;
}

/* ---- spans */

static int answer_ranges(struct answering *x, struct err *err)
{
	uint64_t n = read_count(&x->r, LIMIT_REGISTERS);
	int64_t until = steady_ms(x->e) + SLICE_HALF_MS;
	int rc = 0;

	put_head(x, ROUND_DIFFERS);
	buf_put_varint(x->out, n);
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		struct spans in, out = { .arena = &x->arena };
		struct round_rows rows = { .e = x->e, .until_ms = until };
		struct ranges_rows of = round_rows(&rows);

		spans_get(&x->r, &x->arena, &in);
		rows.reg = reg_of(x, in.name);
		if (rows.reg == NULL)
			return malformed(x, err);
		rows.scope = compare_scope(x->e, rows.reg, x->peer);
		rows.units = (uint64_t *)(uintptr_t)in.units;
		rows.nunits = in.nunits;
		for (uint32_t u = 0; u < in.nunits; u++)
			if (!unit_contains(rows.scope, in.units[u]))
				return malformed(x, err);
		out.name = in.name;
		rc = ranges_answer(&in, &of, LIMIT_RECONCILE_CUT - MIN(x->out->n, LIMIT_RECONCILE_CUT), &out, err);
		if (rc == 0)
			spans_put(x->out, &out);
	}
	return rc == 0 && !reader_done(&x->r) ? malformed(x, err) : rc;
}

/* ---- rows */

struct fetching {
	uint64_t flags;
	struct round_key keys[2 * LIMIT_RECONCILE_ROWS];
	uint32_t n;
};

struct seeking {
	struct answering *x;
	struct fetching *f;
	struct reg *reg;
	struct slice ids;
	uint32_t nkeys;                  /* named by the driver, of this register */
	uint32_t first;
};

static int seek_row(void *arg, struct cell key, const struct term *t)
{
	struct seeking *s = arg;

	for (size_t i = 0; i < s->ids.n / RANGES_ID; i++)
		if (memcmp(s->ids.p + i * RANGES_ID, t->at, RANGES_ID) == 0) {
			for (uint32_t k = s->first; k < s->f->n; k++)
				if (cell_equal(s->f->keys[k].key, key))
					return 0;        /* the driver knows it */
			if (s->f->n < ARRAY_SIZE(s->f->keys))
				s->f->keys[s->f->n++] = (struct round_key){ s->reg, cell_copy(&s->x->arena, key) };
			return 0;
		}
	return 0;
}

static int fetch_register(struct answering *x, struct fetching *f, struct err *err)
{
	struct seeking s = { .x = x, .f = f, .reg = reg_of(x, read_slice(&x->r)), .first = f->n };
	struct cell before = { .type = CELL_NULL };
	uint64_t n = read_count(&x->r, LIMIT_RECONCILE_ROWS);
	int rc = 0;

	for (uint64_t i = 0; i < n && !x->r.bad; i++) {
		struct cell key = bound_get(&x->r, &before, &x->arena);

		if (f->n == ARRAY_SIZE(f->keys) || key.type == CELL_NULL)
			x->r.bad = true;
		else
			f->keys[f->n++] = (struct round_key){ s.reg, key };
	}
	s.nkeys = f->n;
	n = read_count(&x->r, LIMIT_RECONCILE_ROWS);
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		struct cell from = bound_get(&x->r, &before, &x->arena), to = bound_get(&x->r, &before, &x->arena);

		s.ids = read_bytes(&x->r, (size_t)read_count(&x->r, LIMIT_RECONCILE_ROWS) * RANGES_ID);
		if (x->r.bad || s.reg == NULL)
			return malformed(x, err);
		rc = state_terms(x->e->state, s.reg, from.type != CELL_NULL ? &from : NULL, to, compare_scope(x->e, s.reg, x->peer), NULL,
		                 0, seek_row, &s, err);
	}
	if (x->r.bad || s.reg == NULL)
		return malformed(x, err);
	before = (struct cell){ .type = CELL_NULL };
	buf_put_varint(x->out, f->n - s.nkeys);
	if (f->n > s.nkeys)
		buf_put_text(x->out, s.reg->name);
	for (uint32_t i = s.nkeys; i < f->n; i++)
		bound_put(x->out, &before, f->keys[i].key);
	return rc;
}

static int fetch_mark(struct answering *x, const struct fetching *f, struct err *err)
{
	enum mending stage;
	int64_t at;
	int rc = 0;

	for (uint32_t i = 0; i < f->n && rc == 0; i++) {
		const struct difference d = { .reg = f->keys[i].reg->number, .key = f->keys[i].key, .held = true };

		rc = dirty_mark(x->e->db, x->peer, f->keys[i].reg, f->keys[i].key, UINT64_MAX, err);
		if (rc == 0)
			rc = difference_put(x->e->db, x->peer, &d, now_ms(x->e), err);
	}
	if (rc != 0 || !(f->flags & FETCH_LAST))
		return rc;
	rc = mending_get(x->e->db, x->peer, &stage, &at, err);
	if (rc == 0)
		rc = mending_put(x->e->db, x->peer, stage == MENDING_AGAIN ? MENDING_TRIED_AGAIN : MENDING_TRIED, now_ms(x->e), err);
	if (rc == 0 && f->n == 0 && f->flags & FETCH_FIRST)
		rc = round_recount(x->e, x->peer, err);
	return rc == 0 ? dirty_items_again(x->e->db, x->peer, err) : rc;       /* as in every heal: the records of its subtree */
}

/* What an administrator here asked the child for has come whole. */
static int fetch_over(struct answering *x, uint64_t flags, struct err *err)
{
	char name[40];
	int rc;

	snprintf(name, sizeof name, "left out/%012llu", (unsigned long long)x->peer);
	rc = meta_put_number(x->e->db, name, (flags & FETCH_MORE) != 0, err);
	snprintf(name, sizeof name, "reconciled/%012llu", (unsigned long long)x->peer);
	return rc != 0 ? rc : meta_put_number(x->e->db, name, now_ms(x->e), err);
}

static int answer_fetch(struct answering *x, struct err *err)
{
	struct fetching *f = arena_alloc(&x->arena, sizeof *f);
	uint64_t n;
	int rc = 0;

	if (f == NULL)
		return err_set(err, ERR_NOMEM, "answering a reconciliation: memory is short");
	f->flags = read_varint(&x->r);
	n = read_count(&x->r, LIMIT_REGISTERS);
	put_head(x, ROUND_DIFFERS);
	buf_put_varint(x->out, n);
	for (uint64_t i = 0; i < n && rc == 0; i++)
		rc = fetch_register(x, f, err);
	if (rc == 0 && f->flags & FETCH_FIRST)
		rc = difference_forget(x->e->db, x->peer, err);
	if (rc == 0 && f->flags & FETCH_KEEP)
		rc = round_states_keep(x->e, x->peer, &x->r, f->keys, f->n, err);
	if (rc == 0 && !reader_done(&x->r))
		return malformed(x, err);
	if (rc == 0 && f->flags & FETCH_STATES)
		rc = round_states_put(x->e, x->peer, f->keys, f->n, x->out, err);
	if (rc == 0 && f->flags & FETCH_MARK)
		rc = fetch_mark(x, f, err);
	if (rc == 0 && (f->flags & (FETCH_KEEP | FETCH_LAST)) == (FETCH_KEEP | FETCH_LAST))
		rc = fetch_over(x, f->flags, err);
	return rc;
}

/* ---- one round */

static int answer(struct answering *x, struct err *err)
{
	uint64_t list;
	uint8_t format = read_u8(&x->r), kind = read_u8(&x->r);

	list = read_u64(&x->r);
	if (x->r.bad || format != CONTACT_FORMAT || kind < ROUND_OPEN || kind > ROUND_FETCH)
		return malformed(x, err);
	if (list != x->e->catalog->list || !x->e->ready) {
		put_head(x, ROUND_UNKNOWN);
		return 0;
	}
	switch ((enum round_kind)kind) {
	case ROUND_OPEN:
		return answer_open(x, err);
	case ROUND_UNITS:
		return answer_units(x, err);
	case ROUND_RANGES:
		return answer_ranges(x, err);
	default:
		return answer_fetch(x, err);
	}
}

int engine_round_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *out, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct answering x = { .e = e, .peer = peer->unit, .r = reader_of(body), .out = out };
	bool found = false, writes = body.n > 1 && (body.p[1] == ROUND_FETCH || body.p[1] == ROUND_UNITS);
	struct link l;
	int rc = link_get(e->db, peer->unit, &l, &found, err);

	if (rc != 0)
		return rc;
	if (!found || !l.healed || l.twin || !greeted(e, peer->unit))
		return err_set(err, ERR_HEAL, "the link to unit %012llu has to heal first: say hello", (unsigned long long)peer->unit);
	if (writes) {                            /* rows are read as state */
		rc = begin_empty(e, err);
		if (rc != 0)
			return rc;
		guard = e;
	}
	x.l = &l;
	x.arena.cap = LIMIT_DECODED;
	rc = answer(&x, err);
	if (rc == 0 && (out->failed || x.arena.failed))
		rc = err_set(err, ERR_NOMEM, "answering a reconciliation: memory is short");
	arena_release(&x.arena);
	if (rc == 0 && writes)
		rc = engine_commit(e, err);
	if (rc != 0)
		buf_clear(out);
	return rc;
}
