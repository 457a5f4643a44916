/* Run: state segments of one link, built, acknowledged and taken by the five rules of design protocol §3.
 *
 * The feed to a child and the state up to the parent are the same code.  What a segment carries: broadcasts first, then
 * records, epochs, settled receipts, then dirty rows, then what the open cursors come to, and at the very end the end
 * marker of a heal. */
#include "engine/gone.h"
#include "engine/contact.h"

#include <string.h>

#include "base/log.h"

#define ROWS_AT_ONCE 256u
#define RAW_MOST (8u << 20)              /* raw bytes where a segment is cut whatever it compresses to */
#define RATIO_FIRST 5u                   /* raw bytes a stored one, until a segment was measured */
#define REGISTERS_MOST 60u
#define LISTS_MOST 40u

struct run {
	struct engine *e;
	struct link *l;
	bool up;
	size_t raw_cut;
	int64_t until_ms;
	/* of the segment at hand */
	struct arena arena;
	struct state_builder b;
	struct item *items;
	uint32_t nitems;
	size_t cells;
	bool any;                        /* an item or a row is in it */
};

static uint64_t number(const struct run *r)
{
	return r->l->built + 1;
}

static int memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "building a state segment: memory is short");
}

static bool full(const struct run *r)
{
	return r->b.size >= r->raw_cut || r->b.nchanges >= LIMIT_SEGMENT_CHANGES || r->nitems >= LIMIT_SEGMENT_ITEMS ||
	       r->cells >= LIMIT_SEGMENT_CELLS / 2 || r->b.nregisters >= REGISTERS_MOST;
}

/* ---- filling */

static int add_item(struct run *r, uint32_t kind, int64_t id, struct err *err)
{
	struct slice body = { NULL, 0 };
	int rc = item_body(r->e, r->l->peer, kind, id, &r->arena, &body, err);

	if (rc == 0 && body.n == 0)
		return dirty_item_forget(r->e->db, r->l->peer, kind, id, err);
	if (rc != 0)
		return rc;
	if (r->items == NULL)
		r->items = arena_array(&r->arena, LIMIT_SEGMENT_ITEMS + 1, sizeof *r->items);
	if (r->items == NULL)
		return memory(err);
	r->items[r->nitems++] = (struct item){ kind, body };
	r->b.size += body.n + 8;
	r->any = true;
	return dirty_item_sent(r->e->db, r->l->peer, kind, id, number(r), err);
}

static int add_items(struct run *r, bool end, struct err *err)
{
	uint32_t *kinds, n = 0;
	int64_t *ids;
	int rc = dirty_items(r->e->db, r->l->peer, LIMIT_SEGMENT_ITEMS, &r->arena, &kinds, &ids, &n, err);

	for (uint32_t i = 0; i < n && rc == 0 && !full(r); i++)
		if ((kinds[i] == ITEM_HEALED) == end)
			rc = add_item(r, kinds[i], ids[i], err);
	return rc;
}

static int add_row(struct run *r, const struct dirty_row *row, struct err *err)
{
	struct reg *reg = catalog_number(r->e->catalog, row->reg);
	uint32_t before = r->b.nchanges;
	int rc;

	if (reg == NULL || !travels(r->e, reg, r->l->peer))
		return dirty_forget(r->e->db, r->l->peer, row, err);
	if (!r->up && row->groups == 0) {        /* no group of it: what it was is gone */
		bool found = false;

		rc = gone_state(r->e, &r->b, reg, row->key, r->l->peer, &found, err);
	} else {
		rc = merge_state(r->e, &r->b, reg, row->key, r->l->peer, r->up, row->groups, err);
		if (rc == 0 && !r->up && r->b.nchanges > before)
			rc = gone_sent(r->e, reg, row->key, &r->b.changes[before], r->l->peer, err);
	}
	if (rc != 0)
		return rc;
	if (r->b.nchanges == before)
		return dirty_forget(r->e->db, r->l->peer, row, err);
	for (uint32_t i = before; i < r->b.nchanges; i++) {
		r->cells += r->b.changes[i].key.n;
		for (uint32_t k = 0; k < r->b.changes[i].nparts; k++)
			r->cells += r->b.changes[i].parts[k].ncolumns;
	}
	r->any = true;
	return dirty_sent(r->e->db, r->l->peer, row, number(r), err);
}

static int add_rows(struct run *r, struct err *err)
{
	struct dirty_row *rows;
	uint32_t n = 1;
	int rc = 0;

	while (n > 0 && rc == 0 && !full(r)) {
		rc = dirty_rows(r->e->db, r->l->peer, ROWS_AT_ONCE, &r->arena, &rows, &n, err);
		for (uint32_t i = 0; i < n && rc == 0 && !full(r); i++)
			rc = add_row(r, &rows[i], err);
	}
	return rc;
}

/* The next rows of one register that a cursor comes to. */
static int add_scanned(struct run *r, struct reg *reg, const struct cell *after, struct err *err)
{
	bool all = r->up || (reg->policy != NULL && reg->policy->unit_source == UNIT_ALL);
	struct key *keys;
	uint32_t n = 0;
	int rc = travels(r->e, reg, r->l->peer) ?
	         state_scan(r->e->state, reg, after, all ? UNIT_NONE : r->l->peer, ROWS_AT_ONCE, &r->arena, &keys, &n, err) : 0;

	if (rc == 0 && n == 0)
		return cursor_end(r->e->db, r->l->peer, reg, err);
	for (uint32_t i = 0; i < n && rc == 0 && !full(r); i++) {
		const struct dirty_row row = { reg->number, key_column(keys[i], &r->arena), UINT64_MAX };

		rc = r->arena.failed ? memory(err) : add_row(r, &row, err);
		if (rc == 0)
			rc = cursor_put(r->e->db, r->l->peer, reg, row.key, err);
	}
	return rc;
}

static int add_cursors(struct run *r, struct err *err)
{
	int rc = 0;

	while (rc == 0 && !full(r)) {
		struct reg *reg;
		struct cell key;
		bool has_key;

		rc = cursor_next(r->e->db, r->l->peer, r->e->catalog, &reg, &key, &has_key, &r->arena, err);
		if (rc != 0 || reg == NULL)
			return rc;
		rc = add_scanned(r, reg, has_key ? &key : NULL, err);
	}
	return rc;
}

/* ---- sealing */

/* A state that goes up carries every policy list that its values name. */
static int add_lists(struct run *r, struct segment_header *h, struct err *err)
{
	struct policy_entry *all = arena_array(&r->arena, LISTS_MOST * 64, sizeof *all);
	uint32_t *counts = arena_array(&r->arena, LISTS_MOST, sizeof *counts);
	uint64_t seen[LISTS_MOST];
	uint32_t n = 0, nseen = 0;

	if (all == NULL || counts == NULL)
		return memory(err);
	h->policies = all;
	h->lists = counts;
	for (uint32_t i = 0; i < r->b.nchanges; i++)
		for (uint32_t k = 0; k < r->b.changes[i].nparts; k++) {
			uint64_t list = r->b.changes[i].parts[k].version->policy;
			struct policy_entry *entries;
			bool known = nseen == LISTS_MOST;
			int rc;

			for (uint32_t s = 0; s < nseen && !known; s++)
				known = seen[s] == list;
			if (known)
				continue;
			seen[nseen++] = list;
			rc = policy_list(r->e->db, list, &r->arena, &entries, &n, err);
			if (rc != 0)
				return rc;
			if (n == 0 || (h->npolicies + n) * 20 > LIMIT_HEADER - 1024)
				continue;
			memcpy(all + h->npolicies, entries, n * sizeof *entries);
			h->npolicies += n;
			counts[h->nlists++] = n;
		}
	return 0;
}

static int seal(struct run *r, uint64_t follows, struct buf *out, struct err *err)
{
	_cleanup_(buf_release) struct buf raw = { .cap = LIMIT_SEGMENT_RAW }, bytes = { 0 };
	struct engine *e = r->e;
	const struct payload p = { r->b.nregisters, r->b.nchanges, r->nitems, r->b.registers, r->b.changes, r->items };
	struct segment_header h = {
		.format = SEGMENT_FORMAT, .suite = SEGMENT_SUITE_ED25519_BLAKE2B, .kind = SEGMENT_STATE, .author = e->unit,
		.epoch = e->epoch, .tick = e->met.at[e->level].tick, .stream = r->l->peer, .position = number(r),
		.follows = follows, .policy = e->catalog->list, .wall_ms = now_ms(e), .changes = r->b.nchanges, .final = true,
	};
	struct digest hash;
	int rc = r->up ? add_lists(r, &h, err) : 0;

	if (rc == 0)
		rc = payload_encode(&p, &raw, err);
	if (rc == 0)
		rc = segment_seal(&h, buf_slice(&raw), &e->id->sign, &bytes, err);
	if (rc != 0)
		return rc;
	hash = digest_of(buf_slice(&bytes));
	buf_put_slice(out, buf_slice(&bytes));
	if (out->failed)
		return memory(err);
	rc = built_add(e->db, r->l->peer, h.position, &hash, err);
	r->l->built = h.position;
	if (h.stored > 4096)
		r->raw_cut = MIN(MAX(r->b.size / h.stored, 1) * LIMIT_STATE_CUT, RAW_MOST);
	return rc;
}

int run_build(struct engine *e, struct link *l, uint64_t after, size_t most, struct buf *out, uint32_t *ret_n,
              struct err *err)
{
	struct run r = { .e = e, .l = l, .up = l->peer == e->parent, .raw_cut = LIMIT_STATE_CUT * RATIO_FIRST,
		         .until_ms = steady_ms(e) + SLICE_HALF_MS };
	size_t start = out->n;
	uint64_t follows = after;
	bool alone;
	int rc = dirty_rewind(e->db, l->peer, after, err);

	*ret_n = 0;
	/* What was built before is let go: its numbers are never used again, and never acknowledged either. */
	while (rc == 0 && out->n - start < most && steady_ms(e) <= r.until_ms) {
		arena_reset(&r.arena);
		r.b = (struct state_builder){ .arena = &r.arena };
		r.items = NULL;
		r.nitems = 0;
		r.cells = 0;
		r.any = false;
		if (most - (out->n - start) < LIMIT_STATE_CUT)       /* a sender outside its hours takes little */
			r.raw_cut = MIN(r.raw_cut, (most - (out->n - start)) * RATIO_FIRST);
		rc = add_items(&r, false, err);
		alone = r.up && r.nitems > 0;                       /* policies come before what is judged by them */
		if (rc == 0 && !alone)
			rc = add_rows(&r, err);
		if (rc == 0 && !alone)
			rc = add_cursors(&r, err);
		if (rc == 0 && !alone && !full(&r))                 /* nothing is left: a heal ends here */
			rc = add_items(&r, true, err);
		if (rc != 0 || !r.any)
			break;
		rc = seal(&r, follows, out, err);
		follows = l->built;
		(*ret_n)++;
		if (alone)
			break;
	}
	arena_release(&r.arena);
	return rc;
}

int run_acknowledge(struct engine *e, struct link *l, uint64_t after, const struct digest *hash, bool *ret_fits,
                    struct err *err)
{
	struct digest built;
	bool found = false;
	int rc;

	if (after == l->fed) {
		*ret_fits = digest_equal(hash, &l->fed_hash);
		return 0;
	}
	*ret_fits = false;
	if (after < l->fed || after > l->built)
		return 0;
	rc = built_hash(e->db, l->peer, after, &built, &found, err);
	if (rc != 0 || !found || !digest_equal(hash, &built))
		return rc;
	*ret_fits = true;
	l->fed = after;
	l->fed_hash = *hash;
	rc = dirty_done(e->db, l->peer, after, err);
	return rc == 0 ? built_done(e->db, l->peer, after, err) : rc;
}

bool run_waits(struct engine *e, uint64_t peer)
{
	struct link l;
	bool found = false;

	if (link_get(e->db, peer, &l, &found, NULL) != 0 || !found || !l.healed || l.twin)
		return false;
	return l.built > l.fed || dirty_unsent(e->db, peer);
}

/* ---- taking */

static int take_lists(struct engine *e, const struct segment_header *h, struct err *err)
{
	const struct policy_entry *at = h->policies;
	int rc = 0;

	for (uint32_t i = 0; i < h->nlists && rc == 0; i++) {
		rc = list_learn(e, at, h->lists[i], err);
		at += h->lists[i];
	}
	return rc;
}

static int take_opened(struct engine *e, struct link *l, const struct opened *o, struct counts *ret, struct err *err)
{
	bool below = l->peer != e->parent;
	const struct arrival from = { .peer = l->peer, .below = below, .state = true, .header = &o->s.header,
		                      .name = (const char *)o->name.p };
	int rc = take_lists(e, &o->s.header, err);

	for (uint32_t i = 0; i < o->payload.nitems && rc == 0; i++)
		rc = below && o->payload.items[i].kind != ITEM_BROADCAST ?
		     err_set(err, ERR_FORMAT, "%s: a state that goes up carries no items but broadcasts", from.name) :
		     item_take(e, l->peer, &o->payload.items[i], err);
	if (rc == 0)
		rc = state_flush(e->state, err);
	if (rc == 0)
		rc = merge_payload(e, &from, &o->payload, ret, err);
	if (rc != 0)
		return rc;
	l->position = o->s.header.position;
	l->position_hash = segment_hash(&o->s);
	l->contact_ms = now_ms(e);
	return link_put(e->db, l, err);
}

int run_take(struct engine *e, uint64_t peer, struct slice bytes, const uint8_t key[SIGN_PUBLIC_SIZE], bool *ret_left,
             struct counts *ret, struct err *err)
{
	_cleanup_(opened_release) struct opened o = { 0 };
	const struct segment_header *h = &o.s.header;
	bool found = false, ready = e->ready;
	struct link l;
	int rc = opened_parse(&o, bytes, err);

	memset(ret, 0, sizeof *ret);
	*ret_left = false;
	if (rc != 0)
		return rc;
	buf_text(&o.name);
	if (h->kind != SEGMENT_STATE || h->author != peer || h->stream != e->unit || h->position <= h->follows)
		return err_set(err, ERR_FORMAT, "%s: not a state of unit %012llu for this node", (const char *)o.name.p,
		               (unsigned long long)peer);
	rc = link_get(e->db, peer, &l, &found, err);
	if (rc != 0)
		return rc;
	if (!found || !l.healed || h->follows != l.position) {
		*ret_left = true;                /* the position that is asked for next says so */
		return 0;
	}
	rc = opened_decode(&o, key, err);
	if (rc == 0)
		rc = begin_empty(e, err);
	if (rc != 0)
		return rc;
	rc = take_opened(e, &l, &o, ret, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc != 0) {
		engine_rollback(e);
		e->ready = ready;
		return rc;
	}
	event(e, LOG_LEVEL_INFO, "apply", peer, (const char *)o.name.p, "%u changes, %u items: %u taken, %u taken over, %u kept, "
	      "%u diverted, %u refused, %u aside, %u old, %u passed, %u asked; %u in quarantine", h->changes, o.payload.nitems,
	      ret->taken, ret->taken_over, ret->kept, ret->diverted, ret->refused, ret->aside, ret->old, ret->passed, ret->asked,
	      ret->quarantined);
	return 0;
}
