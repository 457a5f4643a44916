/* Contact: receipts, needs, opened segments. */
#include "engine/contact.h"
#include "engine/schema.h"

#include <stdlib.h>
#include <string.h>

#define DOMAIN_RECEIPT "terrace receipt 1"

bool travels(const struct engine *e, const struct reg *r, uint64_t peer)
{
	return r->policy != NULL && policy_comes_to(r->policy, e->level) && policy_comes_to(r->policy, unit_level(peer)) &&
	       (peer != e->parent || unit_contains(r->issuer, peer));
}

bool compares(const struct engine *e, const struct reg *r, uint64_t peer)
{
	return travels(e, r, peer) && (peer == e->parent || (unit_level(e->unit) >= r->policy->ceiling && unit_contains(r->issuer, e->unit)));
}

/* Rows of unit `all` stand under each node's own unit. */
uint64_t compare_scope(const struct engine *e, const struct reg *r, uint64_t peer)
{
	return r->policy->unit_source == UNIT_ALL || peer == e->parent ? e->unit : peer;
}

int begin_empty(struct engine *e, struct err *err)
{
	bool more = log_pending(e->db);
	int rc = schema_running(e, err);

	while (rc == 0 && more)
		rc = seal_log(e, &more, err);
	if (rc == 0)
		rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	rc = seal_empty(e, err);
	if (rc != 0)
		engine_rollback(e);
	return rc;
}

const uint8_t *parent_key(const struct engine *e)
{
	const struct chain *c = &e->id->chain;

	return e->parent != UNIT_NONE && c->n > 1 && c->at[1].unit == e->parent ? c->at[1].sign_public : NULL;
}

const struct former *former_tops(const struct engine *e, uint64_t unit, uint32_t *ret_n)
{
	const struct facts *top = &e->id->chain.at[e->id->chain.n - 1];

	*ret_n = top->unit == unit && top->anchored ? top->nformer : 0;
	return top->former;
}

bool transient(int code)
{
	switch (code) {
	case ERR_IO: case ERR_NOMEM: case ERR_DB: case ERR_BUSY: case ERR_FULL: case ERR_STOPPING: case ERR_DAMAGED: case ERR_BUG:
		return true;
	default:
		return false;
	}
}

#define DAY_MS INT64_C(86400000)
#define SETTLED_DAYS 30
#define RECLAIM_ROWS 2000u

int contact_reclaim(struct engine *e, bool *ret_more, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int64_t now = engine_tree_time(e) * 1000;        /* segments are stamped with it: this node's clock drops nothing */
	struct link l = { 0 };
	bool found = false;
	int rc;

	*ret_more = false;
	if (now <= 0)
		return 0;
	rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	if (e->parent != UNIT_NONE)
		rc = link_get(e->db, e->parent, &l, &found, err);
	if (rc == 0 && found && l.healed)
		rc = outbox_reclaim(e->db, l.acked, now - SETTLED_DAYS * DAY_MS, err);
	if (rc == 0)
		rc = segment_reclaim(e->db, e->unit, now - SETTLED_DAYS * DAY_MS, now - EVIDENCE_DAYS * DAY_MS, RECLAIM_ROWS, ret_more, err);
	if (rc == 0)
		rc = event_reclaim(e->db, MIN(now, now_ms(e)) - EVIDENCE_DAYS * DAY_MS, RECLAIM_ROWS, ret_more, err);
	if (rc == 0)
		rc = closed_reclaim(e->db, MIN(now, now_ms(e)) - EVIDENCE_DAYS * DAY_MS, RECLAIM_ROWS, ret_more, err);
	return rc == 0 ? engine_commit(e, err) : rc;
}

/* ---- receipts */

void receipt_make(struct engine *e, const struct receipt_line *lines, uint32_t n, struct buf *b)
{
	size_t start = b->n;
	uint8_t signature[SIGN_SIZE];

	buf_put_u8(b, CONTACT_FORMAT);
	buf_put_varint(b, e->unit);
	buf_put_signed(b, engine_tree_time(e));
	buf_put_varint(b, n);
	for (uint32_t i = 0; i < n; i++) {
		buf_put_varint(b, lines[i].author);
		buf_put_varint(b, lines[i].stream);
		buf_put_varint(b, lines[i].position);
		buf_put(b, lines[i].hash.at, DIGEST_SIZE);
	}
	if (b->failed)
		return;
	sign_make(&e->id->sign, DOMAIN_RECEIPT, (struct slice){ b->p + start, b->n - start }, signature);
	buf_put(b, signature, SIGN_SIZE);
}

int receipt_read(struct slice body, uint64_t signer, const uint8_t key[SIGN_PUBLIC_SIZE], struct receipt_line *lines,
                 uint32_t *ret_n, struct err *err)
{
	struct reader r = reader_of(body);
	struct slice signature;
	uint8_t format;
	uint64_t unit;

	if (body.n > LIMIT_RECEIPT)
		return err_set(err, ERR_LIMIT, "a receipt of %zu bytes; at most %u are allowed", body.n, LIMIT_RECEIPT);
	format = read_u8(&r);
	unit = read_varint(&r);
	read_signed(&r);
	*ret_n = (uint32_t)read_count(&r, RECEIPT_LINES);
	for (uint32_t i = 0; i < *ret_n; i++) {
		struct slice hash;

		lines[i].author = read_varint(&r);
		lines[i].stream = read_varint(&r);
		lines[i].position = read_varint(&r);
		hash = read_bytes(&r, DIGEST_SIZE);
		if (r.bad)
			break;
		memcpy(lines[i].hash.at, hash.p, DIGEST_SIZE);
	}
	signature = read_bytes(&r, SIGN_SIZE);
	if (format != CONTACT_FORMAT || !reader_done(&r))
		return err_set(err, ERR_FORMAT, "a receipt of %zu bytes is malformed", body.n);
	if (unit != signer || !sign_check(key, DOMAIN_RECEIPT, (struct slice){ body.p, body.n - SIGN_SIZE }, signature.p))
		return err_set(err, ERR_SIGNATURE, "a receipt is not signed by unit %012llu", (unsigned long long)signer);
	return 0;
}

int receipt_store(struct engine *e, struct slice body, uint64_t signer, const uint8_t key[SIGN_PUBLIC_SIZE],
                  struct err *err)
{
	struct receipt_line lines[RECEIPT_LINES];
	uint32_t n = 0;
	int rc = receipt_read(body, signer, key, lines, &n, err);

	for (uint32_t i = 0; i < n && rc == 0; i++) {
		const struct receipt r = { .kind = RECEIPT_TAKEN, .author = lines[i].author, .stream = lines[i].stream,
			                   .signer = signer, .position = lines[i].position, .body = body };

		rc = receipt_put(e->db, &r, now_ms(e), NULL, err);
	}
	return rc;
}

/* ---- needs */

struct naming {
	struct engine *e;
	struct buf *b;
	struct arena arena;
	uint32_t n;
};

static int name_need(void *arg, const char *reg, struct cell cell)
{
	struct naming *x = arg;
	const struct reg *r = catalog_register(x->e->catalog, slice_of(reg));
	struct key key;

	arena_reset(&x->arena);
	if (r == NULL || key_from_column(cell, r->nkey, &x->arena, &key, NULL) != 0)
		return 0;                        /* asked again when the policy is there */
	buf_put_text(x->b, reg);
	key_put(x->b, key);
	x->n++;
	return x->b->n > LIMIT_HELLO_BODY / 4;
}

int needs_put(struct engine *e, uint64_t peer, struct buf *b, struct err *err)
{
	_cleanup_(buf_release) struct buf body = { 0 };
	struct naming x = { .e = e, .b = &body };
	int rc = need_count(e->db, peer) == 0 ? 0 : need_each(e->db, peer, name_need, &x, err);

	buf_put_varint(b, x.n);
	buf_put(b, body.p, body.n);
	arena_release(&x.arena);
	return rc;
}

int needs_take(struct engine *e, uint64_t peer, struct reader *r, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	uint64_t n = read_count(r, LIMIT_NEEDS);
	int rc = 0;

	for (uint64_t i = 0; i < n && rc == 0; i++) {
		struct slice name = read_slice(r);
		struct key key = key_get(r, &a);
		const struct reg *reg = r->bad ? NULL : catalog_register(e->catalog, name);

		if (reg != NULL && key.n == reg->nkey)
			rc = dirty_mark(e->db, peer, reg, key_column(key, &a), UINT64_MAX, err);
	}
	if (rc == 0 && a.failed)
		return err_set(err, ERR_NOMEM, "reading needs: memory is short");
	return rc;
}

/* ---- segments */

int opened_parse(struct opened *o, struct slice bytes, struct err *err)
{
	int rc;

	o->arena.cap = LIMIT_DECODED;
	o->raw.cap = LIMIT_SEGMENT_RAW;
	rc = segment_parse(bytes, &o->arena, &o->s, err);
	if (rc == 0)
		segment_name(&o->s.header, &o->name);
	return rc;
}

int opened_decode(struct opened *o, const uint8_t key[SIGN_PUBLIC_SIZE], struct err *err)
{
	int rc = segment_verify(&o->s, key, err);

	if (rc == 0)
		rc = segment_inflate(&o->s, &o->raw, err);
	if (rc == 0)
		rc = payload_decode(buf_slice(&o->raw), &o->arena, &o->payload, err);
	if (rc == 0 && o->payload.nchanges != o->s.header.changes)
		rc = err_set(err, ERR_FORMAT, "%s: %u changes, its header says %u", buf_text(&o->name), o->payload.nchanges,
		             o->s.header.changes);
	return rc;
}

void opened_release(struct opened *o)
{
	arena_release(&o->arena);
	buf_release(&o->raw);
	buf_release(&o->name);
}

bool greeted(const struct engine *e, uint64_t child)
{
	for (uint32_t i = 0; i < e->ngreeted; i++)
		if (e->greeted[i] == child)
			return true;
	return false;
}

bool greet(struct engine *e, uint64_t child)
{
	uint64_t *more;

	if (greeted(e, child))
		return true;
	more = realloc(e->greeted, (e->ngreeted + 1) * sizeof *more);
	if (more == NULL)
		return false;
	e->greeted = more;
	e->greeted[e->ngreeted++] = child;
	return true;
}

void ungreet(struct engine *e, uint64_t child)
{
	for (uint32_t i = 0; i < e->ngreeted; i++)
		if (e->greeted[i] == child) {
			e->greeted[i] = e->greeted[--e->ngreeted];
			return;
		}
}
