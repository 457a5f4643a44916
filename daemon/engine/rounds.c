/* Rounds, the child's side: it drives.  What it knows is in memory: a restart lets it go, and the next comparison of
 * digests, or the administrator, begins it again. */
#include "engine/rounds.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/terms.h"

#define PER_LEAST 64u                    /* rows of the first spans */
#define PER_MOST 16384u
#define MOVING_MS 1000                   /* between two looks while something is under way */
#define MOVING_MOST 15u
#define HEAL_MOST 20000u                 /* rows; beyond, everything passes once more */
#define PLAN_MOST 2000u                  /* rows of a plan; beyond, what is left is said to be left */

struct side {                            /* of one register */
	const char *name;
	uint32_t nunits;
	uint64_t *units;
	uint64_t rows;
	struct cell at;                  /* the first spans went up to here */
	bool done;                       /* to the end */
	struct spans heard;              /* the last answer */
	uint32_t from;                   /* of its spans the first that was not looked at */
};

struct mine_row {
	uint32_t side;
	struct cell key;
};

struct need {
	uint32_t side;
	struct cell from, to;
	bool has_from;
	struct slice ids;
};

struct rounds {
	enum round_purpose purpose;
	enum round_kind kind;
	struct arena arena, heard, made; /* of the whole; of the last answers; of the request being made */
	struct side *sides;
	uint32_t nsides;
	struct mine_row *mine;
	uint32_t nmine, mine_room, mine_at;
	struct need *needs;
	uint32_t nneeds, needs_room, needs_at;
	uint64_t wanted;                 /* ids of the parent's rows, all together */
	struct buf sent;                 /* a request without its answer yet */
	struct round_key asked[LIMIT_RECONCILE_ROWS];
	uint32_t asked_side[LIMIT_RECONCILE_ROWS], nasked;       /* of the request under way */
	uint32_t side_now;               /* whose row is being looked at */
	uint32_t moving, differ;
	int64_t next_ms;
	bool first, last, more;          /* of the fetches; rows were left out */
};

static void rounds_free(struct rounds *x)
{
	if (x == NULL)
		return;
	arena_release(&x->arena);
	arena_release(&x->heard);
	arena_release(&x->made);
	buf_release(&x->sent);
	free(x->mine);
	free(x->needs);
	free(x);
}

void rounds_end(struct engine *e)
{
	rounds_free(e->rounds);
	e->rounds = NULL;
}

static int memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "comparing rows: memory is short");
}

void rounds_want(struct engine *e, enum round_purpose purpose)
{
	if (e->parent != UNIT_NONE)
		e->rounds_wanted |= (uint32_t)purpose;
}

static bool link_stands(struct engine *e)
{
	struct link l;
	bool found = false;

	return e->parent != UNIT_NONE && link_get(e->db, e->parent, &l, &found, NULL) == 0 && found && l.healed && !l.twin;
}

bool engine_round_ready(struct engine *e)
{
	if (e->rounds == NULL && e->rounds_wanted == 0)
		return false;
	return (e->rounds == NULL || steady_ms(e) >= e->rounds->next_ms) && !e->hello_due && link_stands(e);
}

static int begin(struct engine *e, struct err *err)
{
	static const enum round_purpose order[] = { ROUNDS_HEAL, ROUNDS_PLAN, ROUNDS_PARENT };
	struct rounds *x = calloc(1, sizeof *x);

	if (x == NULL)
		return memory(err);
	for (size_t i = 0; i < ARRAY_SIZE(order) && x->purpose == 0; i++)
		if (e->rounds_wanted & order[i])
			x->purpose = order[i];
	e->rounds_wanted &= ~(uint32_t)x->purpose;
	x->kind = ROUND_OPEN;
	x->first = true;
	e->rounds = x;
	return 0;
}

/* ---- making */

static void put_head(struct engine *e, struct buf *b, enum round_kind kind)
{
	buf_put_u8(b, CONTACT_FORMAT);
	buf_put_u8(b, (uint8_t)kind);
	buf_put_u64(b, e->catalog->list);
}

static struct reg *reg_of(struct engine *e, const struct rounds *x, uint32_t side)
{
	struct reg *r = catalog_register(e->catalog, slice_of(x->sides[side].name));

	return r != NULL && compares(e, r, e->parent) ? r : NULL;
}

static int make_open(struct engine *e, struct buf *b, struct err *err)
{
	struct outbox_head head;
	uint64_t rows, pending;
	struct term total;
	struct link l;
	bool found = false;
	int rc = link_get(e->db, e->parent, &l, &found, err);

	if (rc == 0)
		rc = outbox_head(e->db, &head, err);
	if (rc == 0)
		rc = round_total(e, e->parent, &total, &rows, &pending, err);
	if (rc != 0)
		return rc;
	if (pending > 0 || log_pending(e->db)) {         /* the sums are not up to date: in a moment */
		e->rounds->next_ms = steady_ms(e) + MOVING_MS;
		e->rounds->moving++;
		return 0;
	}
	put_head(e, b, ROUND_OPEN);
	buf_put_varint(b, head.seq);
	buf_put_varint(b, l.position);
	buf_put_varint(b, l.built);
	buf_put(b, total.at, TERM_SIZE);
	buf_put_varint(b, rows);
	return 0;
}

static int make_units(struct engine *e, struct rounds *x, struct buf *b, struct err *err)
{
	int rc = 0;

	put_head(e, b, ROUND_UNITS);
	buf_put_varint(b, x->nsides);
	for (uint32_t i = 0; i < x->nsides && rc == 0; i++) {
		struct reg *r = reg_of(e, x, i);
		struct unit_sum *units = NULL;
		uint64_t last = 0;
		uint32_t n = 0;

		if (r == NULL)
			return err_set(err, ERR_GONE, "register %s went", x->sides[i].name);
		arena_reset(&x->made);
		if (r->policy->unit_source != UNIT_ALL)
			rc = round_units(e, r, e->unit, &x->made, &units, &n, err);
		if (n > ROUND_UNITS_MOST || b->n + n * 14 > LIMIT_RECONCILE_CUT)
			n = 0;
		buf_put_text(b, r->name);
		buf_put_varint(b, n);
		for (uint32_t k = 0; k < n; k++) {
			buf_put_varint(b, units[k].unit - last);
			buf_put(b, units[k].sum, RANGES_SUM);
			last = units[k].unit;
		}
	}
	return rc;
}

static int found_mine(void *arg, struct cell key, struct err *err)
{
	struct rounds *x = arg;

	if (x->nmine == x->mine_room) {
		uint32_t room = x->mine_room * 2 + 64;
		struct mine_row *more = realloc(x->mine, room * sizeof *more);

		if (more == NULL)
			return memory(err);
		x->mine = more;
		x->mine_room = room;
	}
	x->mine[x->nmine++] = (struct mine_row){ x->side_now, cell_copy(&x->arena, key) };
	return x->arena.failed ? memory(err) : 0;
}

static int found_theirs(void *arg, const struct cell *from, struct cell to, struct slice ids, struct err *err)
{
	struct rounds *x = arg;

	for (size_t at = 0; at < ids.n; at += LIMIT_RECONCILE_ROWS * RANGES_ID) {
		struct slice part = { ids.p + at, MIN(ids.n - at, LIMIT_RECONCILE_ROWS * RANGES_ID) };

		if (x->nneeds == x->needs_room) {
			uint32_t room = x->needs_room * 2 + 64;
			struct need *more = realloc(x->needs, room * sizeof *more);

			if (more == NULL)
				return memory(err);
			x->needs = more;
			x->needs_room = room;
		}
		x->needs[x->nneeds] = (struct need){ .side = x->side_now, .to = cell_copy(&x->arena, to), .has_from = from != NULL,
			                             .ids = arena_slice(&x->arena, part) };
		if (from != NULL)
			x->needs[x->nneeds].from = cell_copy(&x->arena, *from);
		x->nneeds++;
	}
	x->wanted += ids.n / RANGES_ID;
	return x->arena.failed ? memory(err) : 0;
}

static int ask_side(struct engine *e, struct rounds *x, uint32_t i, int64_t until, size_t most, struct spans *ask, struct err *err)
{
	struct side *s = &x->sides[i];
	struct round_rows rows = { .e = e, .reg = reg_of(e, x, i), .scope = e->unit, .units = s->units, .nunits = s->nunits,
		                   .until_ms = until };
	struct ranges_rows of = round_rows(&rows);
	const struct ranges_found found = { found_mine, found_theirs, x };
	int rc;

	if (rows.reg == NULL)
		return err_set(err, ERR_GONE, "register %s went", s->name);
	*ask = (struct spans){ .arena = &x->made, .name = slice_of(s->name), .nunits = s->nunits, .units = s->units };
	x->side_now = i;
	rc = ranges_go_on(&s->heard, &s->from, &of, &found, most, ask, err);
	if (rc == 0 && s->from >= s->heard.n && !s->done) {
		rc = ranges_begin(&of, (uint32_t)MIN(MAX(s->rows / RANGES_WAYS, PER_LEAST), PER_MOST), &s->at, most, ask, &s->done, err);
		s->at = cell_copy(&x->arena, s->at);
	}
	return rc == 0 && (x->made.failed || x->arena.failed) ? memory(err) : rc;
}

/* Nothing to ask any more: the rows are fetched. */
static int make_ranges(struct engine *e, struct rounds *x, struct buf *b, struct err *err)
{
	_cleanup_(buf_release) struct buf part = { 0 };
	int64_t until = steady_ms(e) + SLICE_HALF_MS;
	uint64_t n = 0;
	bool left = false;
	int rc = 0;

	arena_reset(&x->made);
	for (uint32_t i = 0; i < x->nsides && rc == 0; i++) {
		struct spans ask;

		if (part.n < LIMIT_RECONCILE_CUT && steady_ms(e) < until) {
			rc = ask_side(e, x, i, until, LIMIT_RECONCILE_CUT - part.n, &ask, err);
			if (rc == 0 && ask.n > 0) {
				spans_put(&part, &ask);
				n++;
			}
		}
		left |= !x->sides[i].done || x->sides[i].from < x->sides[i].heard.n;
	}
	if (rc != 0 || part.failed)
		return rc != 0 ? rc : memory(err);
	if (n == 0) {
		x->next_ms = 0;
		x->kind = left ? ROUND_RANGES : ROUND_FETCH;
		return 0;
	}
	put_head(e, b, ROUND_RANGES);
	buf_put_varint(b, n);
	buf_put(b, part.p, part.n);
	return 0;
}

/* ---- the rows */

static uint64_t fetch_flags(const struct rounds *x)
{
	uint64_t flags = x->purpose == ROUNDS_HEAL ? FETCH_MARK : x->purpose == ROUNDS_PLAN ? FETCH_STATES : FETCH_KEEP;

	return flags | (x->first ? FETCH_FIRST : 0) | (x->last ? FETCH_LAST : 0) | (x->more ? FETCH_MORE : 0);
}

/* What this request asks for of a register; *used: rows so far.  Rows and ids of one place go together, so that the
 * parent sees which of them are the same row. */
static void put_side(struct rounds *x, uint32_t i, struct reg *r, struct buf *b, uint64_t *used)
{
	struct cell before = { .type = CELL_NULL };
	uint32_t keys = 0, needs = 0, at = x->mine_at;
	uint64_t ids = 0, room = LIMIT_RECONCILE_ROWS - *used;
	uint64_t half = x->needs_at < x->nneeds && x->needs[x->needs_at].side == i ? (room + 1) / 2 : room;

	while (at + keys < x->nmine && x->mine[at + keys].side == i && keys < half)
		keys++;
	while (x->needs_at + needs < x->nneeds && x->needs[x->needs_at + needs].side == i &&
	       keys + ids + x->needs[x->needs_at + needs].ids.n / RANGES_ID <= room)
		ids += x->needs[x->needs_at + needs++].ids.n / RANGES_ID;
	buf_put_text(b, r->name);
	buf_put_varint(b, keys);
	for (uint32_t k = 0; k < keys; k++) {
		bound_put(b, &before, x->mine[at + k].key);
		x->asked_side[x->nasked] = i;
		x->asked[x->nasked++] = (struct round_key){ r, x->mine[at + k].key };
	}
	buf_put_varint(b, needs);
	for (uint32_t k = 0; k < needs; k++) {
		const struct need *need = &x->needs[x->needs_at + k];

		bound_put(b, &before, need->has_from ? need->from : (struct cell){ .type = CELL_NULL });
		bound_put(b, &before, need->to);
		buf_put_varint(b, need->ids.n / RANGES_ID);
		buf_put(b, need->ids.p, need->ids.n);
	}
	x->mine_at += keys;
	x->needs_at += needs;
	*used += keys + ids;
}

static int by_side(const void *a, const void *b)
{
	const struct mine_row *x = a, *y = b;

	return x->side < y->side ? -1 : x->side > y->side ? 1 : cell_compare(x->key, y->key);
}

static int by_need(const void *a, const void *b)
{
	const struct need *x = a, *y = b;

	if (x->side != y->side)
		return x->side < y->side ? -1 : 1;
	return !x->has_from || !y->has_from ? x->has_from - y->has_from : cell_compare(x->from, y->from);
}

/* Beyond the most the rest of a plan is left out; a heal lets everything pass. */
static int cut_found(struct engine *e, struct rounds *x, struct err *err)
{
	if (x->nmine > 1)
		qsort(x->mine, x->nmine, sizeof *x->mine, by_side);
	if (x->nneeds > 1)
		qsort(x->needs, x->nneeds, sizeof *x->needs, by_need);
	if (x->purpose == ROUNDS_HEAL && x->nmine + x->wanted > HEAL_MOST)
		return heal_start(e, e->parent, "more rows differ than are worth naming", err);
	if (x->purpose == ROUNDS_HEAL || x->nmine + x->wanted <= PLAN_MOST)
		return 0;
	x->more = true;
	x->nmine = MIN(x->nmine, PLAN_MOST / 2);
	while (x->nneeds > 0 && x->wanted > PLAN_MOST / 2)
		x->wanted -= x->needs[--x->nneeds].ids.n / RANGES_ID;
	return 0;
}

static int make_fetch(struct engine *e, struct rounds *x, struct buf *b, struct err *err)
{
	_cleanup_(buf_release) struct buf part = { 0 };
	uint64_t n = 0, used = 0;
	int rc = x->first ? cut_found(e, x, err) : 0;

	if (rc != 0 || !link_stands(e))
		return rc;
	x->nasked = 0;
	for (uint32_t i = 0; i < x->nsides && used < LIMIT_RECONCILE_ROWS; i++) {
		struct reg *r = reg_of(e, x, i);
		bool any = (x->mine_at < x->nmine && x->mine[x->mine_at].side == i) ||
		           (x->needs_at < x->nneeds && x->needs[x->needs_at].side == i);

		if (r == NULL)
			return err_set(err, ERR_GONE, "register %s went", x->sides[i].name);
		if (!any)
			continue;
		put_side(x, i, r, &part, &used);
		n++;
		if ((x->mine_at < x->nmine && x->mine[x->mine_at].side == i) || (x->needs_at < x->nneeds && x->needs[x->needs_at].side == i))
			break;                   /* the rest of this register goes with the next */
	}
	x->last = x->mine_at == x->nmine && x->needs_at == x->nneeds;
	put_head(e, b, ROUND_FETCH);
	buf_put_varint(b, fetch_flags(x));
	buf_put_varint(b, n);
	buf_put(b, part.p, part.n);
	if (x->purpose == ROUNDS_PARENT)
		rc = round_states_put(e, e->parent, x->asked, x->nasked, b, err);
	return rc == 0 && part.failed ? memory(err) : rc;
}

static int make(struct engine *e, struct rounds *x, struct buf *b, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int rc = 0;

	if (x->kind == ROUND_OPEN)
		return make_open(e, b, err);
	if (x->kind == ROUND_UNITS)
		return make_units(e, x, b, err);
	if (x->kind == ROUND_RANGES)
		rc = make_ranges(e, x, b, err);
	if (rc != 0 || x->kind != ROUND_FETCH)
		return rc;
	rc = begin_empty(e, err);                /* rows may be read as state */
	if (rc != 0)
		return rc;
	guard = e;
	rc = make_fetch(e, x, b, err);
	return rc == 0 ? engine_commit(e, err) : rc;
}

int engine_round_make(struct engine *e, struct buf *body, struct err *err)
{
	int rc = 0;

	if (!engine_round_ready(e))
		return 0;
	if (e->rounds == NULL)
		rc = begin(e, err);
	if (rc == 0 && e->rounds->sent.n == 0) {
		rc = make(e, e->rounds, &e->rounds->sent, err);
		if (rc == 0 && e->rounds->sent.failed)
			rc = memory(err);
	}
	if (rc == 0)
		buf_put(body, e->rounds->sent.p, e->rounds->sent.n);
	if (rc != 0 || !link_stands(e) || e->rounds->moving > MOVING_MOST)
		rounds_end(e);
	return rc == ERR_GONE ? 0 : rc;
}

/* ---- taking */

static int malformed(struct err *err)
{
	return err_set(err, ERR_FORMAT, "the parent's answer to a reconciliation is malformed");
}

static const char *const purposes[] = { [ROUNDS_HEAL] = "heal", [ROUNDS_PLAN] = "plan", [ROUNDS_PARENT] = "parent" };

static int finish(struct engine *e, struct rounds *x, struct err *err)
{
	char name[40];
	int rc = 0;

	event(e, x->differ > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, x->differ > 0 && x->purpose == ROUNDS_HEAL ? "alarm" : "reconcile",
	      e->parent, NULL, "compared with unit %012llu row by row (%s): %u rows in %u registers are not the same%s",
	      (unsigned long long)e->parent, purposes[x->purpose], x->differ, x->nsides,
	      x->differ == 0 ? "" : x->purpose == ROUNDS_HEAL ? "; they pass once more, both ways" : "; terracectl reconcile shows them");
	snprintf(name, sizeof name, "reconciled/%012llu", (unsigned long long)e->parent);
	if (x->purpose == ROUNDS_PLAN)
		rc = meta_put_number(e->db, name, now_ms(e), err);
	snprintf(name, sizeof name, "left out/%012llu", (unsigned long long)e->parent);
	if (rc == 0 && x->purpose == ROUNDS_PLAN)
		rc = meta_put_number(e->db, name, x->more, err);
	if (rc == 0 && x->purpose == ROUNDS_HEAL && x->differ == 0 && x->nsides > 0)
		rc = round_recount(e, e->parent, err);
	if (rc == 0 && x->purpose == ROUNDS_HEAL)
		e->compared = e->activity - 1;   /* digests are compared again when all has passed */
	return rc;
}

static int take_open(struct engine *e, struct rounds *x, enum round_verdict verdict, struct reader *r, struct err *err)
{
	uint64_t n, rows, pending;
	int rc = 0;

	if (verdict == ROUND_EQUAL) {
		x->kind = ROUND_FETCH;           /* nothing to fetch: said where somebody at the parent waits for it */
		return reader_done(r) ? 0 : malformed(err);
	}
	n = read_count(r, LIMIT_REGISTERS);
	x->sides = arena_array(&x->arena, n + 1, sizeof *x->sides);
	for (uint64_t i = 0; x->sides != NULL && i < n && rc == 0; i++) {
		struct slice name = read_slice(r), sum = read_bytes(r, RANGES_SUM);
		struct reg *reg = r->bad ? NULL : catalog_register(e->catalog, name);
		struct term mine;

		if (r->bad || reg == NULL || !compares(e, reg, e->parent))
			return malformed(err);
		rc = terms_digest(e->state, reg, e->unit, &mine, &rows, &pending, err);
		if (rc == 0 && memcmp(mine.at, sum.p, RANGES_SUM) != 0)
			x->sides[x->nsides++] = (struct side){ .name = arena_text(&x->arena, name), .rows = rows };
	}
	if (x->sides == NULL || x->arena.failed)
		return memory(err);
	if (rc == 0 && verdict == ROUND_MOVING && ++x->moving < MOVING_MOST) {
		x->nsides = 0;
		x->next_ms = steady_ms(e) + MOVING_MS;
		return reader_done(r) ? 0 : malformed(err);
	}
	x->kind = x->nsides > 0 ? ROUND_UNITS : ROUND_FETCH;
	return rc == 0 && !reader_done(r) ? malformed(err) : rc;
}

static int take_units(struct engine *e, struct rounds *x, struct reader *r, struct err *err)
{
	int rc = compared_forget(e->db, e->parent, false, err);

	for (uint32_t i = 0; i < x->nsides && rc == 0; i++) {
		struct side *s = &x->sides[i];
		uint64_t last = 0;

		if (read_u8(r) != 2)
			continue;
		s->nunits = (uint32_t)read_count(r, LIMIT_RANGES_UNITS);
		s->units = arena_array(&x->arena, s->nunits + 1, sizeof *s->units);
		for (uint32_t k = 0; s->units != NULL && k < s->nunits && rc == 0 && !r->bad; k++) {
			s->units[k] = last += read_varint(r);
			rc = compared_put(e->db, e->parent, s->name, s->units[k], "differs", now_ms(e), err);
		}
		s->done = s->nunits == 0;        /* the same by now */
	}
	x->kind = ROUND_RANGES;
	return rc == 0 && !reader_done(r) ? malformed(err) : rc;
}

static int take_ranges(struct rounds *x, struct reader *r, struct slice answer, struct err *err)
{
	struct arena next = { 0 };
	struct reader in = reader_of(arena_slice(&next, answer));
	uint64_t n;
	int rc = 0;

	in.p += answer.n - reader_left(r);
	n = read_count(&in, LIMIT_REGISTERS);
	for (uint32_t i = 0; i < x->nsides && rc == 0; i++) {
		struct side *s = &x->sides[i];
		struct reader ahead = in;
		struct spans said = { .arena = &next };

		if (n > 0 && slice_equal(read_slice(&ahead), slice_of(s->name))) {
			spans_get(&in, &next, &said);
			n--;
		}
		said.arena = &next;
		said.room = said.n;
		rc = spans_append(&said, &s->heard, s->from, err);
		s->heard = said;
		s->from = 0;
	}
	arena_release(&x->heard);
	x->heard = next;
	if (rc == 0 && next.failed)
		return memory(err);
	return rc == 0 && (n > 0 || !reader_done(&in)) ? malformed(err) : rc;
}

static int take_key(struct engine *e, struct rounds *x, struct reg *reg, struct cell key, struct err *err)
{
	const struct difference d = { .reg = reg->number, .key = key, .held = true };
	int rc;

	if (x->purpose != ROUNDS_HEAL)
		return 0;
	rc = dirty_mark(e->db, e->parent, reg, key, UINT64_MAX, err);
	return rc == 0 ? difference_put(e->db, e->parent, &d, now_ms(e), err) : rc;
}

static int take_fetch(struct engine *e, struct rounds *x, struct reader *r, struct err *err)
{
	uint64_t n = read_count(r, LIMIT_REGISTERS);
	struct round_key *keys = arena_array(&x->made, 3 * LIMIT_RECONCILE_ROWS, sizeof *keys);
	uint32_t nkeys = x->nasked;
	int rc = x->first && x->purpose != ROUNDS_PARENT ? difference_forget(e->db, e->parent, err) : 0;

	if (keys == NULL)
		return memory(err);
	for (uint32_t i = 0; i < x->nasked; i++) {
		keys[i] = (struct round_key){ reg_of(e, x, x->asked_side[i]), x->asked[i].key };
		if (keys[i].reg == NULL)
			return err_set(err, ERR_GONE, "register %s went", x->sides[x->asked_side[i]].name);
	}
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		struct cell before = { .type = CELL_NULL };
		uint64_t more = read_count(r, LIMIT_RECONCILE_ROWS);
		struct reg *reg = NULL;

		if (more == 0)
			continue;
		reg = catalog_register(e->catalog, read_slice(r));
		if (reg == NULL)
			return malformed(err);
		for (uint64_t k = 0; k < more && !r->bad; k++) {
			struct cell key = bound_get(r, &before, &x->made);

			if (!r->bad && nkeys < 3 * LIMIT_RECONCILE_ROWS)
				keys[nkeys++] = (struct round_key){ reg, key };
		}
	}
	if (r->bad)
		return malformed(err);
	if (rc == 0 && x->purpose == ROUNDS_PLAN)
		rc = round_states_keep(e, e->parent, r, keys, nkeys, err);
	for (uint32_t i = 0; i < nkeys && rc == 0; i++)
		rc = take_key(e, x, keys[i].reg, keys[i].key, err);
	x->first = false;
	x->differ += nkeys;
	return rc == 0 && !reader_done(r) ? malformed(err) : rc;
}

static int take(struct engine *e, struct rounds *x, struct slice answer, bool *ret_over, struct err *err)
{
	struct reader r = reader_of(answer);
	uint8_t format = read_u8(&r), verdict = read_u8(&r);
	int rc;

	if (r.bad || format != CONTACT_FORMAT || verdict > ROUND_MOVING)
		return malformed(err);
	if (verdict == ROUND_UNKNOWN) {
		*ret_over = ++x->moving >= MOVING_MOST || x->purpose == ROUNDS_HEAL || x->kind != ROUND_OPEN;
		x->next_ms = steady_ms(e) + MOVING_MS;
		return 0;
	}
	switch (x->kind) {
	case ROUND_OPEN:
		rc = take_open(e, x, (enum round_verdict)verdict, &r, err);
		*ret_over = rc == 0 && verdict == ROUND_EQUAL && x->purpose != ROUNDS_PARENT;
		if (*ret_over)
			rc = difference_forget(e->db, e->parent, err);
		return rc == 0 && *ret_over ? finish(e, x, err) : rc;
	case ROUND_UNITS:
		return take_units(e, x, &r, err);
	case ROUND_RANGES:
		return take_ranges(x, &r, answer, err);
	default:
		rc = take_fetch(e, x, &r, err);
		*ret_over = x->last;
		return rc == 0 && x->last ? finish(e, x, err) : rc;
	}
}

int engine_round_take(struct engine *e, int http_status, struct slice answer, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	bool over = false;
	int rc;

	if (e->rounds == NULL)
		return 0;
	buf_clear(&e->rounds->sent);
	if (http_status != 200) {
		event(e, LOG_LEVEL_WARNING, "reconcile", e->parent, NULL, "the parent does not compare rows now (HTTP status %d)", http_status);
		rounds_end(e);
		return 0;
	}
	rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	rc = take(e, e->rounds, answer, &over, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc != 0 || over)
		rounds_end(e);
	return rc == ERR_GONE ? 0 : rc;
}
