/* Push: the outbox, then state, up to the parent, POST /v1/segments (design protocol §2, §3, §4).
 *
 * Body: byte 1 (format); varint P, the last entry acknowledged, and its head (32 bytes); varint count and that many
 * segments, each length-prefixed: entries P + 1, P + 2 …; varint count and state segments, length-prefixed.
 * Answer: byte 1 (format); byte status (enum push_status); name of the error and its sentence (length-prefixed, "ok"
 * and empty where there is none); varint last entry applied and its head; varint position of
 * the state up and its hash; ten varints, the counts over all changes of the body: taken, taken over, kept, diverted,
 * refused, aside, old, passed, asked, quarantined; varint ms that applying took; needs; varint count and receipts, each
 * length-prefixed (engine/contact.h). */
#include "engine/push.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

bool engine_push_ready(struct engine *e)
{
	struct outbox_head head;
	struct link l;
	bool found = false;

	if (e->parent == UNIT_NONE || link_get(e->db, e->parent, &l, &found, NULL) != 0 || !found || !l.healed || l.twin)
		return false;
	return (outbox_head(e->db, &head, NULL) == 0 && head.seq > l.acked) || l.built > l.fed || dirty_unsent(e->db, e->parent);
}

struct gathering {
	struct buf b;
	size_t most;
	uint64_t n, last;
};

static int gather(void *arg, uint64_t seq, struct slice bytes)
{
	struct gathering *g = arg;

	if (g->n > 0 && g->b.n + bytes.n > g->most)
		return 1;
	buf_put_slice(&g->b, bytes);
	g->n++;
	g->last = seq;
	return 0;
}

static int fill_outbox(struct engine *e, const struct link *l, size_t most, struct gathering *g, bool *ret_all,
                       struct err *err)
{
	struct outbox_head head;
	int rc;

	g->most = most;
	g->last = l->acked;
	rc = outbox_each(e->db, l->acked, gather, g, err);
	if (rc == 0)
		rc = outbox_head(e->db, &head, err);
	if (rc == 0)
		*ret_all = g->last >= head.seq;
	return rc;
}

static int fill_state(struct engine *e, struct link *l, size_t most, struct buf *b, uint32_t *ret_n, struct err *err)
{
	int rc = run_build(e, l, l->fed, most, b, ret_n, err);

	if (rc == 0)
		rc = link_put(e->db, l, err);
	return rc == 0 ? engine_commit(e, err) : rc;
}

int engine_push_make(struct engine *e, size_t most, struct buf *body, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	_cleanup_(buf_release) struct buf states = { 0 };
	struct gathering g = { 0 };
	bool found = false, all = false, state, first = false;
	uint32_t nstates = 0;
	struct link l;
	int rc;

	if (e->parent == UNIT_NONE)
		return 0;
	rc = link_get(e->db, e->parent, &l, &found, err);
	if (rc != 0 || !found || !l.healed || l.twin)
		return rc;
	state = l.built > l.fed || dirty_unsent(e->db, e->parent);
	if (state) {                             /* a row is read as state: the log is emptied into the outbox before */
		rc = begin_empty(e, err);
		if (rc != 0)
			return rc;
		guard = e;
		rc = link_get(e->db, e->parent, &l, &found, err);
		first = dirty_item_any(e->db, e->parent, ITEM_BROADCAST);        /* the policies that deltas are judged by */
	}
	if (rc == 0 && !first)
		rc = fill_outbox(e, &l, most, &g, &all, err);
	if (rc == 0 && state && (all || first) && g.b.n < most)
		rc = fill_state(e, &l, most - g.b.n, &states, &nstates, err);
	else if (rc == 0 && state)
		rc = engine_commit(e, err);
	if (rc == 0 && g.n + nstates > 0) {
		buf_put_u8(body, CONTACT_FORMAT);
		buf_put_varint(body, l.acked);
		buf_put(body, l.acked_head.at, DIGEST_SIZE);
		buf_put_varint(body, g.n);
		buf_put(body, g.b.p, g.b.n);
		buf_put_varint(body, nstates);
		buf_put(body, states.p, states.n);
		if (body->failed || g.b.failed || states.failed)
			rc = err_set(err, ERR_NOMEM, "sending segments: memory is short");
		else if (g.n > 0)
			event(e, LOG_LEVEL_DEBUG, "send", e->parent, NULL, "%llu segments from the outbox, %u of state",
			      (unsigned long long)g.n, nstates);
	}
	buf_release(&g.b);
	return rc;
}

struct push_answer {
	uint8_t status;
	struct slice code, say;
	uint64_t received, position, ms;
	struct digest received_head, position_hash;
};

static void answer_get(struct reader *r, struct push_answer *a)
{
	struct slice head, hash;

	if (read_u8(r) != CONTACT_FORMAT)
		r->bad = true;
	a->status = read_u8(r);
	a->code = read_slice(r);
	a->say = read_slice(r);
	a->received = read_varint(r);
	head = read_bytes(r, DIGEST_SIZE);
	a->position = read_varint(r);
	hash = read_bytes(r, DIGEST_SIZE);
	for (int i = 0; i < 10; i++)
		read_varint(r);
	a->ms = read_varint(r);
	if (r->bad)
		return;
	memcpy(a->received_head.at, head.p, DIGEST_SIZE);
	memcpy(a->position_hash.at, hash.p, DIGEST_SIZE);
}

static int take_acknowledged(struct engine *e, struct link *l, const struct push_answer *a, struct err *err)
{
	struct digest at;
	bool found = false, fits = false;
	int rc = outbox_head_at(e->db, a->received, &at, &found, err);

	if (rc == 0 && a->received >= l->acked && found && digest_equal(&at, &a->received_head)) {
		l->acked = a->received;
		l->acked_head = a->received_head;
		fits = true;
	}
	if (rc == 0 && fits)
		rc = run_acknowledge(e, l, a->position, &a->position_hash, &fits, err);
	if (rc == 0 && (!fits || a->status == PUSH_HEAL)) {
		e->hello_due = true;             /* the heads are compared anew, and the certificates below told again */
		rc = peer_told(e->db, UNIT_NONE, err);
	}
	return rc;
}

static int take_receipts(struct engine *e, struct reader *r, struct err *err)
{
	uint64_t n = read_count(r, PUSH_LINES / RECEIPT_LINES + 1);
	int rc = 0;

	for (uint64_t i = 0; i < n && rc == 0; i++) {
		struct slice one = read_slice(r);

		if (!r->bad)
			rc = receipt_store(e, one, e->parent, parent_key(e), err);
	}
	return rc;
}

/* What the parent refuses it refuses again: an alarm here too, and the uplink waits longer each time. */
static int refused(struct engine *e, const struct push_answer *a, struct err *err)
{
	char name[32];
	int code;

	snprintf(name, sizeof name, "%.*s", (int)MIN(a->code.n, sizeof name - 1), (const char *)a->code.p);
	code = err_from_name(name);
	event(e, LOG_LEVEL_ERROR, "alarm", e->parent, NULL, "the parent refuses a segment: %s: %.*s", name,
	      (int)MIN(a->say.n, 500), (const char *)a->say.p);
	return err_set(err, code != 0 ? code : ERR_REFUSED, "the parent refuses a segment: %.*s", (int)MIN(a->say.n, 500),
	               (const char *)a->say.p);
}

int engine_push_take(struct engine *e, int http_status, struct slice answer, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct reader r = reader_of(answer);
	struct push_answer a = { 0 };
	bool found = false, more = false;
	struct link l;
	int rc;

	answer_get(&r, &a);
	if (r.bad && http_status == 409) {       /* without a receipt: the heads are compared anew */
		e->hello_due = true;
		return peer_told(e->db, UNIT_NONE, err);
	}
	if (r.bad)
		return err_set(err, ERR_FORMAT, "the parent's answer to segments is malformed (HTTP status %d)", http_status);
	if (parent_key(e) == NULL)
		return err_set(err, ERR_CHAIN, "this node's chain does not name its parent; renew it");
	rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	rc = link_get(e->db, e->parent, &l, &found, err);
	if (rc == 0 && found && l.healed)
		rc = take_acknowledged(e, &l, &a, err);
	if (rc == 0)
		rc = needs_take(e, e->parent, &r, err);
	if (rc == 0)
		rc = take_receipts(e, &r, err);
	if (rc == 0 && !reader_done(&r))
		rc = err_set(err, ERR_FORMAT, "the parent's answer to segments is malformed");
	l.contact_ms = now_ms(e);
	if (rc == 0)
		rc = link_put(e->db, &l, err);
	if (rc == 0)
		rc = merge_erase_told(e, &more, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	return rc == 0 && a.status == PUSH_REFUSED ? refused(e, &a, err) : rc;
}
