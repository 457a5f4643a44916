/* Bundle, the sending side.  The outbox goes first, then states, built in runs of their own transactions as for the
 * network, then what was sealed meanwhile; at last the hello is made: it speaks of all that stands before it.  In the file
 * it stands first. */
#include "engine/bundle.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/box.h"
#include "core/bundle.h"
#include "engine/bundle_inside.h"
#include "engine/hello.h"
#include "engine/push.h"

#define PARTS_FIRST 64u

enum rank { FIRST, SECOND, DELTAS, STATES, RANKS };     /* the order in the file */

struct packed {
	struct bundle_part part;
	enum rank rank;
};

struct packing {
	struct engine *e;
	uint64_t to;
	struct link l;
	struct arena arena;
	struct packed *parts;
	uint32_t nparts, room;
	size_t size;
	uint64_t sent;                   /* to the parent: last entry of the outbox that is in it, and its head */
	struct digest sent_head;
	bool more;                       /* the cut was reached: another bundle is needed */
};

static int memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "a bundle: memory is short");
}

static int add_part(struct packing *p, enum bundle_kind kind, enum rank rank, const struct buf *body, struct err *err)
{

	if (p->nparts == p->room) {
		uint32_t room = p->room == 0 ? PARTS_FIRST : p->room * 2;
		struct packed *more = arena_array(&p->arena, room, sizeof *more);

		if (more == NULL)
			return memory(err);
		if (p->nparts > 0)
			memcpy(more, p->parts, p->nparts * sizeof *more);
		p->parts = more;
		p->room = room;
	}
	p->parts[p->nparts++] = (struct packed){ { (uint8_t)kind, arena_slice(&p->arena, buf_slice(body)) }, rank };
	p->size += body->n + 16;
	return body->failed || p->arena.failed ? memory(err) : 0;
}

static size_t cut(const struct packing *p)
{
	return p->e->options.bundle_cut != 0 ? p->e->options.bundle_cut : LIMIT_BUNDLE_CUT;
}

static bool carries(const struct packing *p)
{
	return p->l.healed && !p->l.twin;
}

/* ---- states: a run in pieces of LIMIT_BUNDLE_PART, each a transaction */

/* *ret_n 0: the run is at its end.  Where the network built meanwhile, it ends too: the run there holds what is left. */
static int build_piece(struct packing *p, uint64_t after, struct buf *body, uint32_t *ret_n, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct engine *e = p->e;
	bool found = false;
	int rc = begin_empty(e, err);

	*ret_n = 0;
	if (rc != 0)
		return rc;
	guard = e;
	rc = link_get(e->db, p->to, &p->l, &found, err);
	if (rc != 0 || !found || !carries(p) || (after != p->l.fed && after != p->l.built))
		return rc;
	rc = run_build(e, &p->l, after, LIMIT_BUNDLE_PART, body, ret_n, err);
	if (rc == 0)
		rc = link_put(e->db, &p->l, err);
	return rc == 0 ? engine_commit(e, err) : rc;
}

static int add_states(struct packing *p, int (*wrap)(struct packing *p, const struct buf *states, uint32_t n, struct err *err),
                      struct err *err)
{
	uint64_t after = p->l.fed;
	uint32_t n = 1;
	int rc = 0;

	if (!carries(p) || (p->l.built == p->l.fed && !dirty_unsent(p->e->db, p->to)))
		return 0;
	while (rc == 0 && n > 0 && !p->more) {   /* where the outbox was cut, states wait: deltas go first */
		_cleanup_(buf_release) struct buf states = { 0 };

		rc = build_piece(p, after, &states, &n, err);
		after = p->l.built;
		if (rc == 0 && n > 0)
			rc = wrap(p, &states, n, err);
		p->more = n > 0 && (p->size > cut(p) || p->nparts >= LIMIT_BUNDLE_PARTS / 2);
	}
	return rc;
}

/* ---- to the parent */

static void put_segments_head(struct buf *b, uint64_t after, const struct digest *head, uint64_t n)
{
	buf_put_u8(b, CONTACT_FORMAT);
	buf_put_varint(b, after);
	buf_put(b, head->at, DIGEST_SIZE);
	buf_put_varint(b, n);
}

/* A body of segments that holds states only; the outbox is named as it was acknowledged, which fits wherever it stands. */
static int wrap_states_up(struct packing *p, const struct buf *states, uint32_t n, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	put_segments_head(&b, p->l.acked, &p->l.acked_head, 0);
	buf_put_varint(&b, n);
	buf_put(&b, states->p, states->n);
	return add_part(p, BUNDLE_SEGMENTS, STATES, &b, err);
}

struct reading {
	struct packing *p;
	struct buf b;                    /* segments, each length-prefixed */
	uint64_t after, n;
	struct digest from, head;        /* of `after`, and of the last one in b */
	struct err *err;
	int rc;
};

static int end_body(struct reading *x)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int rc;

	if (x->n == 0)
		return 0;
	put_segments_head(&b, x->after, &x->from, x->n);
	buf_put(&b, x->b.p, x->b.n);
	buf_put_varint(&b, 0);
	rc = x->b.failed ? memory(x->err) : add_part(x->p, BUNDLE_SEGMENTS, DELTAS, &b, x->err);
	buf_clear(&x->b);
	x->after += x->n;
	x->n = 0;
	x->from = x->head;
	return rc;
}

static int read_entry(void *arg, uint64_t seq, struct slice bytes)
{
	struct reading *x = arg;

	(void)seq;
	if (x->p->size + x->b.n > cut(x->p) || x->p->nparts >= LIMIT_BUNDLE_PARTS - 3) {
		x->p->more = true;
		return 1;
	}
	buf_put_slice(&x->b, bytes);
	x->head = digest_chain(&x->head, bytes);
	x->n++;
	if (x->b.n > LIMIT_BUNDLE_PART)
		x->rc = end_body(x);
	return x->rc != 0;
}

static int add_outbox(struct packing *p, struct err *err)
{
	struct reading x = { .p = p, .after = p->sent, .from = p->sent_head, .head = p->sent_head, .err = err };
	int rc = p->more ? 0 : outbox_each(p->e->db, p->sent, read_entry, &x, err);

	if (rc == 0)
		rc = x.rc;
	if (rc == 0)
		rc = end_body(&x);
	p->sent = x.after;
	p->sent_head = x.head;
	buf_release(&x.b);
	return rc;
}

static int add_hello(struct packing *p, struct err *err)
{
	_cleanup_(buf_release) struct buf hello = { 0 }, receipt = { 0 };
	struct engine *e = p->e;
	struct digest hash;
	uint64_t after;
	int rc = engine_hello_make(e, &hello, err);

	e->hello_due = true;                     /* by the network the next thing that goes is a newer hello */
	if (rc == 0)
		rc = engine_feed_make(e, &after, &hash, &receipt, err);
	if (rc == 0)
		rc = add_part(p, BUNDLE_HELLO, FIRST, &hello, err);
	return rc == 0 && receipt.n > 0 ? add_part(p, BUNDLE_RECEIPT, SECOND, &receipt, err) : rc;
}

static int pack_up(struct packing *p, struct err *err)
{
	int rc = 0;

	p->sent = p->l.acked;
	p->sent_head = p->l.acked_head;
	if (carries(p))
		rc = add_outbox(p, err);
	if (rc == 0)
		rc = add_states(p, wrap_states_up, err);
	if (rc == 0 && carries(p))
		rc = add_outbox(p, err);
	return rc == 0 ? add_hello(p, err) : rc;
}

/* ---- to a child */

static int wrap_states_down(struct packing *p, const struct buf *states, uint32_t n, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	(void)n;
	buf_put_u8(&b, CONTACT_FORMAT);
	buf_put(&b, states->p, states->n);
	return add_part(p, BUNDLE_FEED, STATES, &b, err);
}

/* The answer as it was given, with the heads as they are now: what came since is acknowledged too.  The numbers of a heal
 * stay as they were agreed. */
static int refresh(struct packing *p, struct slice kept, struct buf *b, struct err *err)
{
	struct reader r = reader_of(kept);
	struct hello_answer a;
	const struct link *l = &p->l;

	hello_answer_get(&r, &a);
	if (r.bad)
		return err_set(err, ERR_DAMAGED, "the answer kept for unit %012llu is damaged", (unsigned long long)p->to);
	a.tree_s = engine_tree_time(p->e);
	a.received = l->received;
	a.received_head = l->received_head;
	if (!(a.orders & ORDER_HEALED)) {
		a.position = l->position;
		a.position_hash = l->position_hash;
		a.built = l->built;
		a.fed = l->fed;
		a.fed_hash = l->fed_hash;
	}
	hello_answer_put(b, &a);
	buf_put(b, r.p, reader_left(&r));
	return 0;
}

struct lines {
	struct engine *e;
	struct receipt_line at[RECEIPT_LINES];
	uint32_t n;
	uint64_t receipts;
	struct buf b;
};

static void end_receipt(struct lines *x)
{
	_cleanup_(buf_release) struct buf one = { 0 };

	if (x->n == 0)
		return;
	receipt_make(x->e, x->at, x->n, &one);
	buf_put_slice(&x->b, buf_slice(&one));
	x->receipts++;
	x->n = 0;
}

static int add_line(void *arg, uint64_t author, uint64_t stream, uint64_t position, const struct digest *hash)
{
	struct lines *x = arg;

	x->at[x->n++] = (struct receipt_line){ author, stream, position, *hash };
	if (x->n == RECEIPT_LINES)
		end_receipt(x);
	return 0;
}

/* The form of an answer to segments, with receipts of every stream that came from below the child: whichever of them an
 * earlier bundle lost is in this one. */
static int add_segments_answer(struct packing *p, const struct kept_answer *kept, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct lines x = { .e = p->e };
	int rc = stream_heads(p->e->db, p->to, PUSH_LINES, add_line, &x, err);

	end_receipt(&x);
	buf_put_u8(&b, CONTACT_FORMAT);
	buf_put_u8(&b, kept->status);
	buf_put_text(&b, kept->status != PUSH_DONE ? kept->code : "ok");
	buf_put_text(&b, kept->status != PUSH_DONE ? kept->say : "");
	buf_put_varint(&b, p->l.received);
	buf_put(&b, p->l.received_head.at, DIGEST_SIZE);
	buf_put_varint(&b, p->l.position);
	buf_put(&b, p->l.position_hash.at, DIGEST_SIZE);
	for (int i = 0; i < 11; i++)             /* ten counts, and how long it took */
		buf_put_varint(&b, 0);
	if (rc == 0)
		rc = needs_put(p->e, p->to, &b, err);
	buf_put_varint(&b, x.receipts);
	buf_put(&b, x.b.p, x.b.n);
	if (rc == 0)
		rc = x.b.failed ? memory(err) : add_part(p, BUNDLE_SEGMENTS_ANSWER, SECOND, &b, err);
	buf_release(&x.b);
	return rc;
}

static int pack_down(struct packing *p, struct err *err)
{
	_cleanup_(buf_release) struct buf answer = { 0 };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct kept_answer kept = { 0 };
	int rc = kept_answer_get(p->e, p->to, &a, &kept, err);

	if (rc == 0 && kept.number == 0 && !p->l.healed)
		return err_set(err, ERR_HEAL, "unit %012llu has not been heard of since it was enrolled: it exports a bundle first, which is "
		               "imported here", (unsigned long long)p->to);
	if (rc == 0 && kept.number != 0 && kept.number == p->l.hello) {
		rc = refresh(p, kept.answer, &answer, err);
		if (rc == 0)
			rc = add_part(p, BUNDLE_HELLO_ANSWER, FIRST, &answer, err);
	}
	if (rc == 0 && carries(p))
		rc = add_segments_answer(p, &kept, err);
	if (rc == 0 && p->e->ready)
		rc = add_states(p, wrap_states_down, err);
	if (rc == 0 && p->nparts == 0)
		rc = err_set(err, ERR_HEAL, "the link to unit %012llu has to heal first: import a newer bundle of that unit",
		             (unsigned long long)p->to);
	return rc;
}

/* ---- the file */

static int recipient(struct engine *e, uint64_t to, uint8_t ret_key[SIGN_PUBLIC_SIZE], struct err *err)
{
	struct facts facts;

	if (to != UNIT_NONE && to == e->parent) {
		if (parent_key(e) == NULL)
			return err_set(err, ERR_CHAIN, "this node's chain does not name its parent; renew it");
		memcpy(ret_key, parent_key(e), SIGN_PUBLIC_SIZE);
		return 0;
	}
	if (bundle_child(e, to, &facts, err) != 0)
		return err->code;
	memcpy(ret_key, facts.sign_public, SIGN_PUBLIC_SIZE);
	return 0;
}

static int finish(struct packing *p, const uint8_t key[SIGN_PUBLIC_SIZE], struct buf *file, struct err *err)
{
	_cleanup_(buf_release) struct buf content = { 0 };
	struct bundle_part *parts = arena_array(&p->arena, p->nparts, sizeof *parts);
	struct engine *e = p->e;
	const struct bundle b = {
		.line = slice_of(e->id->line), .tree = e->id->chain.at[e->id->chain.n - 1].pin, .from = e->unit, .to = p->to,
		.wall_ms = now_ms(e), .tree_s = engine_tree_time(e), .nparts = p->nparts, .parts = parts,
	};
	uint32_t n = 0;
	int rc;

	if (parts == NULL)
		return memory(err);
	for (int rank = 0; rank < RANKS; rank++)
		for (uint32_t i = 0; i < p->nparts; i++)
			if (p->parts[i].rank == (enum rank)rank)
				parts[n++] = p->parts[i].part;
	rc = bundle_put(&b, &e->id->sign, &content, err);

	if (rc == 0 && content.n > LIMIT_BUNDLE)
		rc = err_set(err, ERR_LIMIT, "a bundle of %zu bytes; at most %u are possible", content.n, LIMIT_BUNDLE);
	return rc == 0 ? box_seal(key, buf_slice(&content), file, err) : rc;
}

static int pack(struct packing *p, struct err *err)
{
	bool found = false;
	int rc = link_get(p->e->db, p->to, &p->l, &found, err);

	if (rc != 0)
		return rc;
	return p->to == p->e->parent ? pack_up(p, err) : pack_down(p, err);
}

int engine_bundle_export(struct engine *e, uint64_t to, const char *actor, struct buf *file, json_t **ret, struct err *err)
{
	struct packing p = { .e = e, .to = to };
	uint8_t key[SIGN_PUBLIC_SIZE];
	char unit[UNIT_TEXT_SIZE];
	int rc = recipient(e, to, key, err);

	if (rc == 0)
		rc = engine_seal(e, err);
	if (rc == 0)
		rc = pack(&p, err);
	if (rc == 0)
		rc = finish(&p, key, file, err);
	if (rc == 0) {
		event(e, LOG_LEVEL_NOTICE, "bundle", to, NULL, "exported by %s: %zu bytes, %u parts%s", actor, file->n, p.nparts,
		      p.more ? "; more waits" : "");
		*ret = json_pack("{s:s, s:I, s:i, s:b, s:s}", "to", unit_text(to, unit), "bytes", (json_int_t)file->n, "parts",
		                 (int)p.nparts, "more", p.more, "actor", actor);
	}
	arena_release(&p.arena);
	return rc;
}
