/* Hello, the parent's side: whose disk is a restored one, who is a twin, whether digests at rest agree (design
 * protocol §6, §7). */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/status.h"
#include "engine/hello.h"
#include "engine/renew.h"
#include "engine/rounds.h"
#include "store/markers.h"
#include "store/terms.h"
#include "store/policybox.h"

#define HASH_ROWS 5000u
#define MENDING_MS (60 * 1000)           /* how long the child may take to find the rows */
#define HEAL_AGAIN_MS (60 * 60 * 1000)   /* a heal that did not help is not repeated sooner */

struct judging {
	struct engine *e;
	const struct facts *peer;
	struct hello h;
	struct link l;
	struct hello_answer a;
	const char *why;                 /* of ORDER_HEAL */
	bool stick, again;               /* it came in a bundle; for the second time, behind its segments */
	struct buf differ;               /* names of the registers that do */
	struct digest above;             /* of the certificates that the child holds of this node and above */
};

static void heal(struct judging *j, const char *why)
{
	j->a.orders |= ORDER_HEAL;
	if (j->why == NULL)
		j->why = why;
}

/* ---- the child's place in the tree */

static int check_peer(struct judging *j, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct peer p;
	bool found = false, revoked = false;
	int rc;

	if (!unit_contains(j->e->unit, j->peer->unit) || j->peer->unit == j->e->unit)
		return err_set(err, ERR_CHAIN, "unit %012llu is not below unit %012llu", (unsigned long long)j->peer->unit,
		               (unsigned long long)j->e->unit);
	rc = peer_get(j->e->db, j->peer->unit, &a, &p, &found, err);
	if (rc == 0)
		rc = revoked_has(j->e->db, j->peer->serial, &revoked, err);
	if (rc == 0 && (revoked || (found && p.revoked)))
		return err_set(err, ERR_CHAIN, "unit %012llu is revoked", (unsigned long long)j->peer->unit);
	return rc;
}

/* ---- marks */

static int meet(struct judging *j, struct err *err)
{
	struct marks before = j->e->met;

	for (int l = 0; l < LEVELS; l++)
		if (j->h.met.at[l].tick >= LIMIT_TICK || j->h.met.at[l].tick > before.at[l].tick + LIMIT_TICK_JUMP)
			return err_set(err, ERR_BAD_MARK, "hello of unit %012llu: a mark of level %s lies far in the future",
			               (unsigned long long)j->peer->unit, level_name((enum level)l));
	mint_meet(j->e, &j->h.met);
	for (int l = 0; l < (int)j->e->level; l++)
		if (mark_compare(j->e->met.at[l], before.at[l]) > 0)
			j->e->hello_due = j->e->parent != UNIT_NONE;       /* restored together with what is above */
	return 0;
}

/* ---- epochs */

/* Whether the child's epoch descends from `from`, and where it left it. */
static bool descends(const struct hello *h, uint32_t from, uint64_t *ret_tick)
{
	uint32_t epoch = h->epoch;

	for (uint32_t i = 0; i < h->nepochs && h->epochs[i].epoch == epoch; i++) {
		epoch = h->epochs[i].former;
		if (epoch == from) {
			*ret_tick = h->epochs[i].tick;
			return true;
		}
	}
	return false;
}

/* Its run goes on from the one that was known, or it is a restored disk; or two machines say the same name. */
static void judge_epoch(struct judging *j)
{
	struct link *l = &j->l;
	uint64_t left = 0, ignored;
	bool same = j->h.epoch == l->epoch;
	bool after = !same && l->epoch != 0 && descends(&j->h, l->epoch, &left);

	if (l->superseded != 0 && !same && j->h.epoch != 0 &&
	    (j->h.epoch == l->superseded || (!after && descends(&j->h, l->superseded, &ignored)))) {
		l->twin = true;
		j->a.orders |= ORDER_TWIN;
		return;
	}
	if (l->epoch != 0 && ((same && j->h.sealed < l->tick) || (after && left < l->tick) || (!same && !after))) {
		j->a.orders |= ORDER_RESTORED;
		heal(j, "its file is a restored one");
		l->superseded = l->epoch;        /* coming back, it is the other machine's */
	}
	l->epoch = j->h.epoch;
	l->tick = j->h.sealed;
}

/* ---- heads */

/* This node is the restored one: what it holds of the child is less than what the child was acknowledged. */
static int restored_here(struct judging *j, struct err *err)
{
	int rc = heal_restored(j->e, err);

	j->l.healed = false;
	if (rc == 0 && j->e->parent != UNIT_NONE)
		rc = heal_start(j->e, j->e->parent, "this node's file is a restored one", err);
	heal(j, "this node's file is a restored one");
	return rc;
}

static int judge_heads(struct judging *j, struct err *err)
{
	const struct hello *h = &j->h;
	struct link *l = &j->l;
	bool fits = false;
	int rc = 0;

	if (h->seq < l->received || (h->seq == l->received && !digest_equal(&h->head, &l->received_head)) ||
	    h->built < l->position || h->position < l->fed) {
		j->a.orders |= ORDER_RESTORED;
		heal(j, "its file is a restored one");
	}
	if (h->acked > l->received || h->fed > l->position || h->position > l->built)
		return restored_here(j, err);
	if (h->acked == l->received && !digest_equal(&h->acked_head, &l->received_head))
		heal(j, "the heads of its outbox differ");
	if (h->fed == l->position && !digest_equal(&h->fed_hash, &l->position_hash))
		heal(j, "the numbers of its state do not fit");
	rc = run_acknowledge(j->e, l, h->position, &h->position_hash, &fits, err);
	if (rc == 0 && !fits)
		heal(j, "the numbers of its feed do not fit");
	return rc;
}

/* ---- the heal: the child agrees to whatever numbers it is told */

static int begin_heal(struct judging *j, struct err *err)
{
	struct link *l = &j->l;
	struct heal_numbers *n = &j->a.heal;
	bool fits = l->received == j->h.acked && digest_equal(&l->received_head, &j->h.acked_head);
	int rc = 0;

	do
		j->e->source.random(j->e->source.arg, &n->number, sizeof n->number);
	while ((n->number = n->number & INT64_MAX) == 0);
	n->feed = MAX(MAX(l->built, l->position), j->h.position) + 1;
	n->up = MAX(MAX(l->position, l->built), j->h.built) + 1;
	if (!fits)
		rc = stream_forget(j->e->db, l->peer, err);
	l->received = j->h.acked;
	l->received_head = j->h.acked_head;
	l->healed_by = j->h.number;
	j->a.orders = (j->a.orders & ~(uint64_t)ORDER_HEAL) | ORDER_HEALED;
	return rc == 0 ? heal_begin(j->e, l, n, err) : rc;
}

/* ---- digests at rest */

static bool at_rest(struct judging *j, uint64_t list, uint64_t needs, uint64_t pending)
{
	const struct hello *h = &j->h;
	const struct link *l = &j->l;

	return h->seq == l->received && l->built == l->fed && h->position == l->fed && !dirty_any(j->e->db, l->peer) &&
	       h->waiting == 0 && h->built == h->fed && h->fed == l->position && needs == 0 && pending == 0 &&
	       need_count(j->e->db, l->peer) == 0 && list == j->e->catalog->list;
}

/* One register of both. */
static int compare_one(struct judging *j, struct reg *reg, struct slice sum, uint64_t rows, enum status_digest *ret,
                       struct err *err)
{
	struct engine *e = j->e;
	uint64_t rows_here, pending;
	struct term here;
	int rc = terms_digest(e->state, reg, compare_scope(e, reg, j->l.peer), &here, &rows_here, &pending, err);

	if (rc != 0 || pending > 0) {
		*ret = STATUS_UNKNOWN;
		return rc;
	}
	*ret = rows != rows_here || memcmp(here.at, sum.p, TERM_SIZE) != 0 ? STATUS_DIFFERS : STATUS_EQUAL;
	if (*ret == STATUS_DIFFERS) {
		buf_put_text(&j->differ, reg->name);
		j->a.ndiffer++;
	}
	return 0;
}

/* What was found of each register stands until the next comparison. */
static int keep_compared(struct judging *j, struct err *err)
{
	struct reader names = reader_of(buf_slice(&j->differ));
	struct engine *e = j->e;
	int rc = compared_forget(e->db, j->l.peer, true, err);

	for (uint32_t i = 0; i < e->catalog->nregs && rc == 0; i++)
		if (compares(e, e->catalog->regs[i], j->l.peer))
			rc = compared_put(e->db, j->l.peer, e->catalog->regs[i]->name, UNIT_NONE, "equal", now_ms(e), err);
	for (uint64_t i = 0; i < j->a.ndiffer && rc == 0; i++) {
		const struct reg *reg = catalog_register(e->catalog, read_slice(&names));

		if (reg != NULL)
			rc = compared_put(e->db, j->l.peer, reg->name, UNIT_NONE, "differs", now_ms(e), err);
	}
	return rc;
}

/* 0 unknown, 1 equal, 2 differs; reads the digests of the body in any case. */
static int compare(struct judging *j, struct reader *r, bool rest, enum status_digest *ret, struct err *err)
{
	struct engine *e = j->e;
	uint64_t n = read_count(r, LIMIT_REGISTERS), same = 0, mine = 0;
	bool unknown = !rest, differs = false;
	int rc = 0;

	for (uint64_t i = 0; i < n && rc == 0; i++) {
		struct slice name = read_slice(r), sum = read_bytes(r, TERM_SIZE);
		uint64_t rows = read_varint(r);
		struct reg *reg = r->bad ? NULL : catalog_register(e->catalog, name);
		enum status_digest one = STATUS_UNKNOWN;

		if (reg != NULL && compares(e, reg, j->l.peer) && !unknown) {
			rc = compare_one(j, reg, sum, rows, &one, err);
			same++;
		}
		unknown |= one == STATUS_UNKNOWN;
		differs |= one == STATUS_DIFFERS;
	}
	for (uint32_t i = 0; i < e->catalog->nregs; i++)
		mine += compares(e, e->catalog->regs[i], j->l.peer);
	*ret = unknown || same != mine ? STATUS_UNKNOWN : differs ? STATUS_DIFFERS : STATUS_EQUAL;
	return rc == 0 && *ret != STATUS_UNKNOWN ? keep_compared(j, err) : rc;
}

/* A difference heals by itself: first the rows that differ pass both ways; where that does not help everything passes
 * once more, and again after an hour. */
static int mend(struct judging *j, struct err *err)
{
	enum mending stage;
	int64_t at;
	int rc = mending_get(j->e->db, j->l.peer, &stage, &at, err);

	if (rc != 0 || (stage == MENDING_ALL && now_ms(j->e) - at <= HEAL_AGAIN_MS) ||
	    ((stage == MENDING_ROWS || stage == MENDING_AGAIN) && now_ms(j->e) - at <= MENDING_MS))
		return rc;
	if (stage == MENDING_NONE || stage == MENDING_TRIED) {
		struct reader names = reader_of(buf_slice(&j->differ));
		struct slice first = read_slice(&names);

		event(j->e, LOG_LEVEL_ERROR, "alarm", j->l.peer, NULL, "digests differ at rest: register %.*s%s; the rows that differ pass "
		      "once more, both ways", (int)first.n, (const char *)first.p, j->a.ndiffer > 1 ? " and others" : "");
		j->a.orders |= ORDER_RANGES;
		return mending_put(j->e->db, j->l.peer, stage == MENDING_NONE ? MENDING_ROWS : MENDING_AGAIN, now_ms(j->e), err);
	}
	event(j->e, LOG_LEVEL_ERROR, "alarm", j->l.peer, NULL, "digests still differ at rest");
	heal(j, "digests differ at rest");
	return mending_put(j->e->db, j->l.peer, MENDING_ALL, now_ms(j->e), err);
}

static int found_digest(struct judging *j, enum status_digest found, struct err *err)
{
	int rc;

	if (found == STATUS_UNKNOWN)
		return 0;
	j->a.digest = (uint8_t)found;
	rc = link_digest_put(j->e->db, j->l.peer, found == STATUS_EQUAL ? "equal" : "differs", now_ms(j->e), err);
	if (rc == 0 && found == STATUS_DIFFERS)
		return mend(j, err);
	if (rc == 0)
		rc = link_rest_put(j->e->db, j->l.peer, engine_tree_time(j->e), err);
	if (rc == 0)
		rc = heal_mark(j->e, j->l.peer, false, err);
	if (rc == 0)
		rc = difference_forget(j->e->db, j->l.peer, err);
	return rc == 0 ? mending_put(j->e->db, j->l.peer, MENDING_NONE, 0, err) : rc;
}

/* ---- the rest of the body */

static int take_lists(struct judging *j, struct reader *r, uint64_t *ret_list, struct err *err)
{
	uint64_t n;
	int rc = 0;

	*ret_list = read_u64(r);
	for (n = read_count(r, 64) * 2; n > 0 && !r->bad; n--)
		read_varint(r);
	n = read_count(r, 100000);
	for (uint64_t i = 0; i < n && rc == 0 && !r->bad; i++) {
		struct reader one = reader_of(read_slice(r));
		struct policy_entry entries[64];
		uint32_t count = (uint32_t)read_count(&one, ARRAY_SIZE(entries));

		for (uint32_t k = 0; k < count; k++) {
			entries[k].issuer = read_varint(&one);
			entries[k].version = read_varint(&one);
		}
		if (reader_done(&one) && count > 0)
			rc = list_learn(j->e, entries, count, err);
	}
	return rc;
}

static void put_urls(struct engine *e, struct buf *b)
{
	uint64_t n = 0;

	while (e->options.urls != NULL && e->options.urls[n] != NULL && n < 16)
		n++;
	buf_put_varint(b, n);
	for (uint64_t i = 0; i < n; i++)
		buf_put_text(b, e->options.urls[i]);
}

/* A hello in a bundle may be older than what came by the network since; then its heads say nothing. */
static bool is_late(const struct judging *j)
{
	const struct hello *h = &j->h;
	const struct link *l = &j->l;

	return j->stick && l->healed && !(h->flags & HELLO_HEAL) &&
	       (h->seq < l->received || h->built < l->position || h->position < l->fed || (h->epoch == l->epoch && h->sealed < l->tick));
}

/* The child asks again because it has not heard yet that the heal began: it is told the same numbers. */
static bool repeat_heal(struct judging *j)
{
	struct link *l = &j->l;

	if (!j->stick || !l->healed || l->healed_by == 0 || j->h.answered >= l->healed_by)
		return false;
	j->a.heal = (struct heal_numbers){ l->heal, l->fed, l->position };
	j->a.orders = (j->a.orders & ~(uint64_t)ORDER_HEAL) | ORDER_HEALED;
	return true;
}

static int judge(struct judging *j, struct err *err)
{
	int rc = 0;

	if (j->again || is_late(j))
		return 0;

	if (j->l.twin)
		j->a.orders |= ORDER_TWIN;
	else
		judge_epoch(j);
	if (j->a.orders & ORDER_TWIN)
		return 0;
	if (j->l.healed && !(j->h.flags & HELLO_HEAL))
		rc = judge_heads(j, err);
	else if (j->l.healed && j->h.acked > j->l.received)
		rc = restored_here(j, err);
	if (rc != 0)
		return rc;
	if (!j->e->ready) {
		j->a.orders = (j->a.orders & ~(uint64_t)ORDER_HEAL) | ORDER_WAIT;
		j->l.healed = false;
		return 0;
	}
	if (j->h.flags & HELLO_HEAL)
		return repeat_heal(j) ? 0 : begin_heal(j, err);
	if (!j->l.healed)
		heal(j, "the link has not healed yet");
	return 0;
}

/* Everything behind the head, and what it leads to. */
static int take_rest(struct judging *j, struct reader *r, struct buf *learned, bool *ret_changed, struct err *err)
{
	bool goes_on = !(j->a.orders & (ORDER_HEAL | ORDER_WAIT | ORDER_TWIN | ORDER_HEALED));
	enum status_digest found = STATUS_UNKNOWN;
	struct slice above;
	uint64_t list, needs, pending;
	int rc = take_lists(j, r, &list, err);

	/* Schema hold: its values name a policy that is here and could not be put in force; they wait there. */
	if (rc == 0 && list != j->e->catalog->list && list_older(j->e, list, j->e->catalog->list) == 0 && policybox_failed(j->e->db))
		j->a.orders |= ORDER_HOLD;
	needs = read_varint(r);
	pending = read_varint(r);
	read_varint(r);
	read_varint(r);
	if (rc == 0)
		rc = compare(j, r, goes_on && at_rest(j, list, needs, pending), &found, err);
	if (rc == 0)
		rc = found_digest(j, found, err);
	if (rc == 0)
		rc = needs_take(j->e, j->l.peer, r, err);
	if (rc == 0)
		rc = subtree_take(j->e, j->l.peer, r, learned, ret_changed, err);
	above = read_bytes(r, DIGEST_SIZE);
	if (rc == 0 && !reader_done(r))
		rc = err_set(err, ERR_FORMAT, "hello of unit %012llu is malformed", (unsigned long long)j->peer->unit);
	if (rc == 0)
		memcpy(j->above.at, above.p, DIGEST_SIZE);
	return rc;
}

static int put_answer(struct judging *j, const struct buf *learned, struct buf *answer, struct err *err)
{
	const struct link *l = &j->l;
	int rc;

	j->a.number = l->hello;
	j->a.tree_s = engine_tree_time(j->e);
	j->a.met = j->e->met;
	j->a.received = l->received;
	j->a.received_head = l->received_head;
	j->a.position = l->position;
	j->a.position_hash = l->position_hash;
	j->a.built = l->built;
	j->a.fed = l->fed;
	j->a.fed_hash = l->fed_hash;
	if (j->a.digest != STATUS_DIFFERS)
		j->a.ndiffer = 0;
	hello_answer_put(answer, &j->a);
	if (j->a.ndiffer > 0)
		buf_put(answer, j->differ.p, j->differ.n);
	put_urls(j->e, answer);
	rc = needs_put(j->e, l->peer, answer, err);
	buf_put(answer, learned->p, learned->n);
	renew_chain_put(j->e, &j->above, answer);
	return rc == 0 && (answer->failed || j->differ.failed) ? err_set(err, ERR_NOMEM, "answering a hello: memory is short") : rc;
}

static int answer_hello(struct judging *j, struct reader *r, struct buf *answer, bool *ret_changed, struct err *err)
{
	_cleanup_(buf_release) struct buf learned = { 0 };
	uint64_t left;
	bool found = false;
	int rc = check_peer(j, err);

	if (rc == 0)
		rc = link_get(j->e->db, j->peer->unit, &j->l, &found, err);
	if (rc == 0 && j->stick && (j->again ? j->h.number != j->l.hello : j->h.number <= j->l.hello))
		return err_set(err, ERR_GONE, "hello %llu of unit %012llu is not newer than hello %llu, which was heard before",
		               (unsigned long long)j->h.number, (unsigned long long)j->peer->unit, (unsigned long long)j->l.hello);
	j->l.hello = MAX(j->l.hello, j->h.number);
	if (rc == 0)
		rc = meet(j, err);
	if (rc == 0 && !log_pending(j->e->db) && terms_pending(j->e->state) > 0)
		rc = terms_hash(j->e->state, j->e->table, j->e->catalog, j->e->unit, HASH_ROWS, &left, err);
	if (rc == 0)
		rc = judge(j, err);
	if (rc == 0)
		rc = take_rest(j, r, &learned, ret_changed, err);
	if (rc != 0)
		return rc;
	if (j->a.orders & ORDER_HEAL)
		j->l.healed = false;
	j->l.contact_ms = now_ms(j->e);
	rc = link_put(j->e->db, &j->l, err);
	if (rc == 0 && *ret_changed) {
		rc = engine_reload_children(j->e, err);
		j->e->hello_due = j->e->parent != UNIT_NONE;
	}
	return rc == 0 ? put_answer(j, &learned, answer, err) : rc;
}

static void judging_release(struct judging *j)
{
	buf_release(&j->differ);
}

static int hear(struct engine *e, const struct facts *peer, struct slice body, bool stick, bool again, struct buf *answer,
                struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	_cleanup_(judging_release) struct judging j = { .e = e, .peer = peer, .stick = stick, .again = again,
		                                                     .a.digest = UINT8_MAX };
	struct reader r = reader_of(body);
	struct err say = { 0 };
	bool changed = false, twin, ready = e->ready;
	int rc;

	hello_get(&r, &j.h);
	if (r.bad || body.n > LIMIT_HELLO_BODY)
		return err_set(err, ERR_FORMAT, "hello of unit %012llu is malformed", (unsigned long long)peer->unit);
	rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	rc = answer_hello(&j, &r, answer, &changed, &say);
	if (rc == 0)
		rc = engine_commit(e, &say);
	if (rc != 0) {
		if (err != NULL)
			*err = say;
		engine_rollback(e);
		e->ready = ready;
		if (changed)
			engine_reload_children(e, NULL);
		buf_clear(answer);
		if (rc == ERR_BAD_MARK || rc == ERR_CHAIN)
			event(e, LOG_LEVEL_ERROR, "alarm", peer->unit, NULL, "%s", say.text);
		return rc;
	}
	twin = (j.a.orders & ORDER_TWIN) != 0;
	if (!greet(e, peer->unit))
		return err_set(err, ERR_NOMEM, "hello of unit %012llu: memory is short", (unsigned long long)peer->unit);
	if (twin)
		event(e, LOG_LEVEL_ERROR, "alarm", peer->unit, NULL, "twin: two machines run as unit %012llu; both stand still until "
		      "`terracectl rejoin %012llu`", (unsigned long long)peer->unit, (unsigned long long)peer->unit);
	else if (j.a.orders & ORDER_HEAL)
		event(e, LOG_LEVEL_NOTICE, "heal", peer->unit, NULL, "the link heals: %s", j.why);
	return 0;
}

int engine_hello_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer,
                        struct err *err)
{
	return hear(e, peer, body, false, false, answer, err);
}

int hello_answer_late(struct engine *e, const struct facts *peer, struct slice body, bool again, struct buf *answer,
                      struct err *err)
{
	return hear(e, peer, body, true, again, answer, err);
}
