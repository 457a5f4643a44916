/* Hello, the child's side, and the bodies' form.
 *
 * All numbers are varints (base/bytes.h) but where another size is said; a hash is 32 bytes; a text or a blob is
 * length-prefixed; marks are five times (tick, epoch) as core/version.c writes them; "signed" is zigzag.
 *
 * Body of POST /v1/hello
 *   byte      1, the format
 *   flags     1: the child asks for a heal
 *   number    of this hello; number of the last one whose answer was taken
 *   count, then that many formats of segments that the child reads
 *   signed    wall time in ms (shown as skew, nothing else)
 *   marks     greatest met of every level
 *   4 bytes   epoch in which the child sealed last (0: none); its last tick in it
 *   count ≤ 64, then per epoch, newest first: 4 bytes epoch, 4 bytes former, tick at which it left the former
 *   outbox    last entry, its head H; the entry after which the child sends, its head
 *   feed      position, hash of that segment
 *   state up  last number built, last acknowledged, its hash, entries that wait
 *   list      8 bytes hash of the active policy list; count, per entry issuer and version
 *   count, then policy lists, each a blob (count, per entry issuer and version); all that are known, with flag 1 only
 *   needs (rows asked from anybody), rows without a term, 1 where the log is not empty, free MiB of the disk (0: unknown)
 *   count, then per register that travels: name, 16 bytes sum of its terms in the child's scope, rows
 *   needs that the parent is asked, certificates and status (engine/contact.h, engine/subtree.c)
 *   hash of the certificates above the child's own, as it holds them (engine/renew.h)
 *
 * Body of the answer
 *   byte      1, the format
 *   orders    enum hello_order, bits
 *   number    the greatest of the child's hellos that was heard
 *   signed    tree time in s (0: not known)
 *   marks     greatest met of every level
 *   received  last entry of the child's outbox that was applied, its head
 *   state up  position, hash
 *   feed      last number built, last acknowledged, its hash
 *   where ORDER_HEALED: number of the heal, then the number from which the feed goes on, and that of the state up;
 *             the hash of both is BLAKE2b-256("terrace heal 1" NUL number), the number as 8 bytes
 *   byte      digests: 0 unknown, 1 equal, 2 differ, 255 not compared
 *   where they differ: count, then names of the registers that do
 *   count, then addresses of the parent (texts)
 *   needs that the child is asked
 *   count, then units whose certificates were learned
 *   the parent's certificates (PEM, length-prefixed) where their hash is another, else empty */
#include "engine/hello.h"

#include <string.h>

#include "base/log.h"
#include "core/status.h"
#include "engine/leave.h"
#include "engine/renew.h"
#include "engine/rounds.h"
#include "store/terms.h"

#define COMPARE_MS 2000
#define COMPARE_MOST_MS 60000
#define HASH_ROWS 5000u
#define UNHEALED_MS 5000
#define URLS_MOST 16u

/* ---- heads */

static void put_digest(struct buf *b, const struct digest *d)
{
	buf_put(b, d->at, DIGEST_SIZE);
}

static void get_digest(struct reader *r, struct digest *ret)
{
	struct slice s = read_bytes(r, DIGEST_SIZE);

	if (!r->bad)
		memcpy(ret->at, s.p, DIGEST_SIZE);
}

void hello_put(struct buf *b, const struct hello *h)
{
	buf_put_u8(b, CONTACT_FORMAT);
	buf_put_varint(b, h->flags);
	buf_put_varint(b, h->number);
	buf_put_varint(b, h->answered);
	buf_put_varint(b, 1);
	buf_put_varint(b, SEGMENT_FORMAT);
	buf_put_signed(b, h->wall_ms);
	marks_put(b, &h->met);
	buf_put_u32(b, h->epoch);
	buf_put_varint(b, h->sealed);
	buf_put_varint(b, h->nepochs);
	for (uint32_t i = 0; i < h->nepochs; i++) {
		buf_put_u32(b, h->epochs[i].epoch);
		buf_put_u32(b, h->epochs[i].former);
		buf_put_varint(b, h->epochs[i].tick);
	}
	buf_put_varint(b, h->seq);
	put_digest(b, &h->head);
	buf_put_varint(b, h->acked);
	put_digest(b, &h->acked_head);
	buf_put_varint(b, h->position);
	put_digest(b, &h->position_hash);
	buf_put_varint(b, h->built);
	buf_put_varint(b, h->fed);
	put_digest(b, &h->fed_hash);
	buf_put_varint(b, h->waiting);
}

/* All but what follows the state up: the reader stands at the policy list then. */
void hello_get(struct reader *r, struct hello *ret)
{
	memset(ret, 0, sizeof *ret);
	if (read_u8(r) != CONTACT_FORMAT)
		r->bad = true;
	ret->flags = read_varint(r);
	ret->number = read_varint(r);
	ret->answered = read_varint(r);
	if (ret->number >= LIMIT_TICK)
		r->bad = true;
	for (uint64_t n = read_count(r, 100); n > 0 && !r->bad; n--)
		read_varint(r);
	ret->wall_ms = read_signed(r);
	marks_get(r, &ret->met);
	ret->epoch = read_u32(r);
	ret->sealed = read_varint(r);
	ret->nepochs = (uint32_t)read_count(r, HELLO_EPOCHS);
	for (uint32_t i = 0; i < ret->nepochs; i++) {
		ret->epochs[i].epoch = read_u32(r);
		ret->epochs[i].former = read_u32(r);
		ret->epochs[i].tick = read_varint(r);
	}
	ret->seq = read_varint(r);
	get_digest(r, &ret->head);
	ret->acked = read_varint(r);
	get_digest(r, &ret->acked_head);
	ret->position = read_varint(r);
	get_digest(r, &ret->position_hash);
	ret->built = read_varint(r);
	ret->fed = read_varint(r);
	get_digest(r, &ret->fed_hash);
	ret->waiting = read_varint(r);
}

void hello_answer_put(struct buf *b, const struct hello_answer *a)
{
	buf_put_u8(b, CONTACT_FORMAT);
	buf_put_varint(b, a->orders);
	buf_put_varint(b, a->number);
	buf_put_signed(b, a->tree_s);
	marks_put(b, &a->met);
	buf_put_varint(b, a->received);
	put_digest(b, &a->received_head);
	buf_put_varint(b, a->position);
	put_digest(b, &a->position_hash);
	buf_put_varint(b, a->built);
	buf_put_varint(b, a->fed);
	put_digest(b, &a->fed_hash);
	if (a->orders & ORDER_HEALED) {
		buf_put_varint(b, (uint64_t)a->heal.number);
		buf_put_varint(b, a->heal.feed);
		buf_put_varint(b, a->heal.up);
	}
	buf_put_u8(b, a->digest);
	if (a->digest == STATUS_DIFFERS)
		buf_put_varint(b, a->ndiffer);
}

void hello_answer_get(struct reader *r, struct hello_answer *ret)
{
	memset(ret, 0, sizeof *ret);
	if (read_u8(r) != CONTACT_FORMAT)
		r->bad = true;
	ret->orders = read_varint(r);
	ret->number = read_varint(r);
	if (ret->number >= LIMIT_TICK)
		r->bad = true;
	ret->tree_s = read_signed(r);
	marks_get(r, &ret->met);
	ret->received = read_varint(r);
	get_digest(r, &ret->received_head);
	ret->position = read_varint(r);
	get_digest(r, &ret->position_hash);
	ret->built = read_varint(r);
	ret->fed = read_varint(r);
	get_digest(r, &ret->fed_hash);
	if (ret->orders & ORDER_HEALED) {
		ret->heal.number = (int64_t)read_varint(r);
		ret->heal.feed = read_varint(r);
		ret->heal.up = read_varint(r);
	}
	ret->digest = read_u8(r);
	if (ret->digest == STATUS_DIFFERS)
		ret->ndiffer = read_count(r, LIMIT_REGISTERS);
}

/* ---- making */

static int fill_epochs(struct engine *e, struct hello *h, struct err *err)
{
	uint32_t epoch = e->epoch;
	int rc = 0;

	h->epoch = e->epoch;
	h->sealed = e->sealed;
	while (rc == 0 && epoch != 0 && h->nepochs < HELLO_EPOCHS) {
		struct epoch_row row;
		bool found = false;

		rc = epoch_row(e->db, epoch, &row, &found, err);
		if (rc != 0 || !found)
			break;
		h->epochs[h->nepochs++] = (struct hello_epoch){ epoch, row.former, row.tick };
		epoch = row.former;
	}
	return rc;
}

/* A link that is made by the first hello: sent from the beginning, or from what is kept. */
static int fresh_link(struct engine *e, struct link *l, struct err *err)
{
	struct outbox_head base;
	int rc = outbox_base(e->db, &base, err);

	l->acked = base.seq;
	l->acked_head = base.head;
	return rc == 0 ? link_put(e->db, l, err) : rc;
}

struct signing {
	struct engine *e;
	struct arena arena;
	bool foreign;
};

static int is_signed(void *arg, uint64_t seq, struct slice bytes)
{
	struct signing *x = arg;
	struct segment s;

	(void)seq;
	arena_reset(&x->arena);
	x->foreign = segment_parse(bytes, &x->arena, &s, NULL) != 0 ||
	             (s.header.author == x->e->unit && segment_verify(&s, x->e->id->sign.public_key, NULL) != 0);
	return x->foreign;
}

/* Before a heal: what waits but was signed with a key that this node has no more (its file went on, its identity is
 * a new one) nobody above can verify.  It is left out; the heal brings its rows as state. */
static int leave_foreign(struct engine *e, struct link *l, const struct outbox_head *head, struct err *err)
{
	struct signing x = { .e = e };
	int rc = outbox_each(e->db, l->acked, is_signed, &x, err);

	arena_release(&x.arena);
	if (rc != 0 || !x.foreign)
		return rc;
	event(e, LOG_LEVEL_WARNING, "heal", e->parent, NULL, "%llu segments in the outbox bear a former key's signature; their rows "
	      "go up as state", (unsigned long long)(head->seq - l->acked));
	l->acked = head->seq;
	l->acked_head = head->head;
	return link_put(e->db, l, err);
}

static int fill(struct engine *e, struct hello *h, struct link *l, struct err *err)
{
	struct outbox_head head;
	bool found = false;
	int rc = link_get(e->db, e->parent, l, &found, err);

	if (rc == 0 && !found)
		rc = fresh_link(e, l, err);
	if (rc == 0)
		rc = outbox_head(e->db, &head, err);
	if (rc == 0 && !l->healed)
		rc = leave_foreign(e, l, &head, err);
	if (rc == 0)
		rc = fill_epochs(e, h, err);
	if (rc != 0)
		return rc;
	h->flags = l->healed ? 0 : HELLO_HEAL;
	h->number = ++l->hello;
	h->answered = l->answered;
	h->wall_ms = now_ms(e);
	h->met = e->met;
	h->seq = head.seq;
	h->head = head.head;
	h->acked = l->acked;
	h->acked_head = l->acked_head;
	h->position = l->position;
	h->position_hash = l->position_hash;
	h->built = l->built;
	h->fed = l->fed;
	h->fed_hash = l->fed_hash;
	h->waiting = dirty_count(e->db, e->parent) + cursor_open(e->db, e->parent);
	return 0;
}

struct listing {
	struct buf b;
	uint64_t n;
};

static int put_list(void *arg, struct slice body)
{
	struct listing *l = arg;

	buf_put_slice(&l->b, body);
	l->n++;
	return 0;
}

static int put_lists(struct engine *e, bool all, struct buf *b, struct err *err)
{
	struct listing l = { 0 };
	int rc = all ? policy_lists_each(e->db, put_list, &l, err) : 0;

	buf_put_u64(b, e->catalog->list);
	buf_put_varint(b, e->catalog->nentries);
	for (uint32_t i = 0; i < e->catalog->nentries; i++) {
		buf_put_varint(b, e->catalog->entries[i].issuer);
		buf_put_varint(b, e->catalog->entries[i].version);
	}
	buf_put_varint(b, l.n);
	buf_put(b, l.b.p, l.b.n);
	buf_release(&l.b);
	return rc;
}

static int put_digests(struct engine *e, struct buf *b, struct err *err)
{
	_cleanup_(buf_release) struct buf part = { 0 };
	uint64_t n = 0, missing = 0;
	int rc = 0;

	for (uint32_t i = 0; i < e->catalog->nregs && rc == 0; i++) {
		struct reg *r = e->catalog->regs[i];
		uint64_t rows, pending;
		struct term sum;

		if (!travels(e, r, e->parent))
			continue;
		rc = terms_digest(e->state, r, e->unit, &sum, &rows, &pending, err);
		if (rc != 0)
			break;
		buf_put_text(&part, r->name);
		buf_put(&part, sum.at, TERM_SIZE);
		buf_put_varint(&part, rows);
		missing += pending;
		n++;
	}
	buf_put_varint(b, need_count(e->db, UNIT_NONE));
	buf_put_varint(b, missing);
	buf_put_varint(b, log_pending(e->db));
	buf_put_varint(b, space_free_mb(e->options.database));
	buf_put_varint(b, n);
	buf_put(b, part.p, part.n);
	return rc;
}

int engine_hello_make(struct engine *e, struct buf *body, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct hello h = { 0 };
	struct link l;
	uint64_t left;
	int rc;

	if (e->parent == UNIT_NONE)
		return err_set(err, ERR_NOT_FOUND, "this node has no parent to say hello to");
	if (has_left(e))
		return err_set(err, ERR_GONE, "this node has left the tree; another invitation brings it back (terracectl join)");
	rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	/* Nothing is sealed here: before the first contact a restored disk does not know itself. */
	if (!log_pending(e->db) && terms_pending(e->state) > 0)
		rc = terms_hash(e->state, e->table, e->catalog, e->unit, HASH_ROWS, &left, err);
	if (rc == 0)
		rc = fill(e, &h, &l, err);
	if (rc == 0)
		rc = link_put(e->db, &l, err);
	if (rc != 0)
		return rc;
	hello_put(body, &h);
	rc = put_lists(e, !l.healed, body, err);
	if (rc == 0)
		rc = put_digests(e, body, err);
	if (rc == 0)
		rc = needs_put(e, e->parent, body, err);
	if (rc == 0)
		rc = subtree_put(e, !l.healed, body, err);
	renew_above_put(e, body);
	if (rc == 0 && body->failed)
		rc = err_set(err, ERR_NOMEM, "a hello: memory is short");
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc != 0)
		return rc;
	e->hello_due = false;
	e->want_sync = false;
	e->hello_ms = steady_ms(e);
	return 0;
}

bool engine_hello_due(struct engine *e)
{
	struct link l;
	bool found = false;

	if (e->parent == UNIT_NONE)
		return false;
	if (e->hello_due || e->want_sync)
		return true;
	if (link_get(e->db, e->parent, &l, &found, NULL) != 0)
		return false;
	return (!found || !l.healed) && !l.twin && steady_ms(e) - e->hello_ms >= UNHEALED_MS;
}

/* ---- taking the answer */

/* Where the parent stands in this node's outbox; false: it holds what is not in it, this disk is a restored one. */
static int place(struct engine *e, struct link *l, const struct hello_answer *a, bool *ret_mine, bool *ret_lost,
                 struct err *err)
{
	struct outbox_head head, base;
	struct digest at;
	bool found = false;
	int rc = outbox_head(e->db, &head, err);

	if (rc == 0)
		rc = outbox_base(e->db, &base, err);
	if (rc == 0 && a->received <= head.seq)
		rc = outbox_head_at(e->db, a->received, &at, &found, err);
	if (rc != 0)
		return rc;
	*ret_mine = a->received < base.seq || (found && digest_equal(&at, &a->received_head));
	*ret_lost = a->received < l->acked;
	if (found && *ret_mine) {
		l->acked = a->received;
		l->acked_head = a->received_head;
	} else {
		l->acked = base.seq;
		l->acked_head = base.head;
	}
	return 0;
}

static int keep_urls(struct engine *e, struct reader *r, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	uint64_t n = read_count(r, URLS_MOST);

	for (uint64_t i = 0; i < n && !r->bad; i++) {
		struct slice url = read_slice(r);

		buf_put(&b, url.p, url.n);
		buf_put_u8(&b, '\n');
	}
	return r->bad || b.n == 0 ? 0 : meta_put(e->db, "parent urls", buf_slice(&b), err);
}

/* Register by register; the reader stands at the names of those that differ. */
static int keep_digest(struct engine *e, const struct hello_answer *a, struct reader *r, struct err *err)
{
	bool decided = a->digest == STATUS_EQUAL || a->digest == STATUS_DIFFERS;
	int rc = 0;

	if (decided)
		rc = link_digest_put(e->db, e->parent, a->digest == STATUS_EQUAL ? "equal" : "differs", now_ms(e), err);
	if (rc == 0 && a->digest == STATUS_EQUAL)
		rc = difference_forget(e->db, e->parent, err);
	if (rc == 0 && decided)
		rc = compared_forget(e->db, e->parent, true, err);
	for (uint32_t i = 0; decided && i < e->catalog->nregs && rc == 0; i++)
		if (travels(e, e->catalog->regs[i], e->parent))
			rc = compared_put(e->db, e->parent, e->catalog->regs[i]->name, UNIT_NONE, "equal", now_ms(e), err);
	for (uint64_t i = 0; i < a->ndiffer && rc == 0; i++) {
		const struct reg *reg = catalog_register(e->catalog, read_slice(r));

		if (reg != NULL)
			rc = compared_put(e->db, e->parent, reg->name, UNIT_NONE, "differs", now_ms(e), err);
	}
	return rc;
}

/* What the heads say where no heal was agreed on: the link goes on, or heals. */
static int judge(struct engine *e, struct link *l, const struct hello_answer *a, bool mine, bool lost, struct err *err)
{
	bool fits = false, was = l->healed;
	int rc = 0;

	if (was && (!mine || a->orders & ORDER_RESTORED))
		rc = heal_restored(e, err);
	if (rc == 0 && was)
		rc = run_acknowledge(e, l, a->position, &a->position_hash, &fits, err);
	if (a->orders & ORDER_HEAL || !mine || lost || !fits) {
		if (was)
			event(e, LOG_LEVEL_NOTICE, "heal", e->parent, NULL, "the link heals: %s", !mine || a->orders & ORDER_RESTORED ?
			      "this node's file is a restored one" : lost ? "the parent's file is a restored one" :
			      a->orders & ORDER_HEAL ? "the parent asks for it" : "the numbers of the state up do not fit");
		l->healed = false;
	}
	return rc;
}

static int obey(struct engine *e, struct link *l, const struct hello_answer *a, struct orders *ret, struct err *err)
{
	bool mine = true, lost = false, twin = (a->orders & ORDER_TWIN) != 0;
	int rc;

	if (twin && !l->twin)
		event(e, LOG_LEVEL_ERROR, "alarm", e->parent, NULL, "twin: two machines run as unit %012llu; both stand still until "
		      "`terracectl rejoin` is given at the parent", (unsigned long long)e->unit);
	l->twin = twin;
	ret->twin = twin;
	ret->hold = (a->orders & ORDER_HOLD) != 0;
	if (twin)
		return 0;
	rc = place(e, l, a, &mine, &lost, err);
	if (rc == 0 && a->orders & ORDER_HEALED) {
		if (a->orders & ORDER_RESTORED)
			e->fresh = true;
		if (l->healed && l->heal == a->heal.number)      /* told before, in another bundle */
			return 0;
		return heal_begin(e, l, &a->heal, err);
	}
	if (rc == 0)
		rc = judge(e, l, a, mine, lost, err);
	if (rc == 0 && a->orders & ORDER_RANGES)
		rounds_want(e, ROUNDS_HEAL);
	ret->again = rc == 0 && !l->healed && !(a->orders & ORDER_WAIT);
	return rc;
}

/* At rest after a change the child asks again soon, and less and less often while the parent cannot say. */
static void compared(struct engine *e, uint8_t digest)
{
	bool decided = digest == 1 || digest == 2;

	e->compare_wait_ms = decided ? COMPARE_MS : MIN(MAX(e->compare_wait_ms, COMPARE_MS) * 2, COMPARE_MOST_MS);
	e->compare_ms = steady_ms(e) + e->compare_wait_ms;
	if (decided)
		e->compared = e->activity;
}

/* Whether the answer still says something: it may be one to a hello before the last that was answered, or to one that
 * this disk knows nothing of: then it is a restored one. */
static int judge_number(struct engine *e, struct link *l, const struct hello_answer *a, bool late, bool *ret_restored, struct err *err)
{
	*ret_restored = false;
	if (late && a->number <= l->answered)
		return err_set(err, ERR_GONE, "the answer is older than what was heard of unit %012llu since", (unsigned long long)e->parent);
	*ret_restored = late && a->number > l->hello;
	l->hello = MAX(l->hello, a->number);
	l->answered = MAX(l->answered, a->number);
	if (!*ret_restored)
		return 0;
	l->healed = false;
	return heal_restored(e, err);
}

static int take(struct engine *e, struct slice answer, bool late, struct orders *ret, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct reader r = reader_of(answer);
	struct hello_answer a;
	struct orders orders = { 0 };
	struct err why = { 0 };
	struct slice above;
	struct link l;
	bool found = false, restored = false;
	int rc;

	hello_answer_get(&r, &a);
	if (r.bad)
		return err_set(err, ERR_FORMAT, "the parent's answer to a hello is malformed");
	rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	rc = link_get(e->db, e->parent, &l, &found, err);
	if (rc != 0)
		return rc;
	rc = judge_number(e, &l, &a, late, &restored, err);
	if (rc != 0)
		return rc;
	mint_meet(e, &a.met);
	tree_time_hear(e, a.tree_s);
	l.contact_ms = now_ms(e);
	if (late)
		a.orders &= ~(uint64_t)ORDER_RANGES;     /* a reconciliation asks back and forth: a difference heals as a whole */
	if (!restored)
		rc = obey(e, &l, &a, &orders, err);
	if (rc == 0)
		rc = link_put(e->db, &l, err);
	if (rc == 0)
		rc = keep_digest(e, &a, &r, err);
	compared(e, a.digest);
	if (rc == 0)
		rc = keep_urls(e, &r, err);
	if (rc == 0)
		rc = needs_take(e, e->parent, &r, err);
	if (rc == 0)
		rc = subtree_told(e, &r, err);
	above = read_slice(&r);
	if (rc == 0 && !reader_done(&r))
		rc = err_set(err, ERR_FORMAT, "the parent's answer to a hello is malformed");
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc == 0)
		*ret = orders;
	if (rc == 0 && above.n > 0 && renew_follow(e, above, &why) != 0)
		event(e, LOG_LEVEL_WARNING, "enrol", e->parent, NULL, "the certificates above this node are not taken: %s", why.text);
	return rc;
}

int engine_hello_take(struct engine *e, struct slice answer, struct orders *ret, struct err *err)
{
	return take(e, answer, false, ret, err);
}

int hello_take_late(struct engine *e, struct slice answer, struct orders *ret, struct err *err)
{
	return take(e, answer, true, ret, err);
}
