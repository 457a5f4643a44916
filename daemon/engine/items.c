/* Items: documents that ride in the feed (core/change.h, enum item_kind).
 *
 * ITEM_BROADCAST  the segment, verbatim
 * ITEM_RECORD     store/records.c gives its form
 * ITEM_EPOCH      varint unit; 4 bytes epoch; 4 bytes former (0 = the first); varint tick, varint position
 * ITEM_SETTLED    engine/contact.h gives its form
 * ITEM_HEALED     varint number of the heal
 * ITEM_ASK        varint 1: say hello; 2: also compare rows and tell what differs (engine/rounds.h) */
#include "engine/rounds.h"

#include <string.h>

#include "base/log.h"
#include "engine/merge.h"
#include "store/terms.h"

#define DOMAIN_SETTLED "terrace settled 1"
#define SETTLED_DIFFERS 3                /* receipts running, before it is an alarm */

int item_down(struct engine *e, uint64_t unit, enum item_kind kind, int64_t id, struct err *err)
{
	uint64_t child = unit == UNIT_NONE ? UNIT_NONE : child_towards(e, unit);
	int rc = 0;

	for (uint32_t i = 0; i < e->nchildren && rc == 0; i++)
		if (unit == UNIT_NONE || e->children[i] == child)
			rc = dirty_item(e->db, e->children[i], kind, id, err);
	return rc;
}

/* ---- settled */

/* The level of record of a stream, as this node's own chain shows it: the highest superior not above the ceiling. */
static const struct facts *level_of_record(const struct engine *e, uint64_t ceiling)
{
	const struct chain *c = &e->id->chain;
	const struct facts *best = NULL;

	for (uint32_t i = 0; i < c->n; i++)
		if ((uint64_t)unit_level(c->at[i].unit) >= ceiling)
			best = &c->at[i];
	return best;
}

/* Sum of the terms of all rows of the unit in registers of that ceiling; *ret_known false while one is missing. */
static int digest_of_unit(struct engine *e, uint64_t unit, uint64_t ceiling, struct term *ret, bool *ret_known,
                          struct err *err)
{
	int rc = 0;

	memset(ret, 0, sizeof *ret);
	*ret_known = true;
	for (uint32_t i = 0; i < e->catalog->nregs && rc == 0; i++) {
		struct reg *r = e->catalog->regs[i];
		uint64_t rows, pending;
		struct term sum;

		if (r->policy == NULL || r->policy->ceiling != ceiling || r->policy->unit_source == UNIT_ALL)
			continue;
		rc = terms_digest(e->state, r, unit, &sum, &rows, &pending, err);
		if (rc == 0 && pending > 0)
			*ret_known = false;
		if (rc == 0)
			term_add(ret, &sum);
	}
	return rc;
}

int settled_make(struct engine *e, const struct receipt *r, struct arena *a, struct slice *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	uint8_t signature[SIGN_SIZE];
	struct stream_head head;
	struct term sum;
	bool known;
	int rc = stream_get(e->db, r->author, r->stream, &head, err);

	if (rc == 0)
		rc = digest_of_unit(e, r->author, r->stream, &sum, &known, err);
	if (rc != 0)
		return rc;
	if (!known)
		memset(&sum, 0, sizeof sum);
	buf_put_u8(&b, CONTACT_FORMAT);
	buf_put_varint(&b, e->unit);
	buf_put_varint(&b, r->author);
	buf_put_varint(&b, r->stream);
	buf_put_varint(&b, head.position);
	buf_put(&b, head.hash.at, DIGEST_SIZE);
	buf_put_signed(&b, engine_tree_time(e));
	buf_put_u8(&b, known);
	buf_put(&b, sum.at, TERM_SIZE);
	if (b.failed)
		return err_set(err, ERR_NOMEM, "a settled receipt: memory is short");
	sign_make(&e->id->sign, DOMAIN_SETTLED, buf_slice(&b), signature);
	buf_put(&b, signature, SIGN_SIZE);
	*ret = arena_slice(a, buf_slice(&b));
	return a->failed || b.failed ? err_set(err, ERR_NOMEM, "a settled receipt: memory is short") : 0;
}

struct settled {
	uint64_t signer, author, stream, position;
	struct digest hash;
	bool known;
	struct term sum;
	struct slice signature;
};

static int settled_read(struct slice body, struct settled *ret, struct err *err)
{
	struct reader r = reader_of(body);
	uint8_t format = read_u8(&r);
	struct slice hash, sum;

	ret->signer = read_varint(&r);
	ret->author = read_varint(&r);
	ret->stream = read_varint(&r);
	ret->position = read_varint(&r);
	hash = read_bytes(&r, DIGEST_SIZE);
	read_signed(&r);
	ret->known = read_u8(&r) == 1;
	sum = read_bytes(&r, TERM_SIZE);
	ret->signature = read_bytes(&r, SIGN_SIZE);
	if (format != CONTACT_FORMAT || !reader_done(&r) || ret->stream >= LEVELS)
		return err_set(err, ERR_FORMAT, "a settled receipt of %zu bytes is malformed", body.n);
	memcpy(ret->hash.at, hash.p, DIGEST_SIZE);
	memcpy(ret->sum.at, sum.p, TERM_SIZE);
	return 0;
}

int settled_check(struct slice body, const struct receipt *r, const uint8_t key[SIGN_PUBLIC_SIZE], struct err *err)
{
	struct settled x;
	int rc = settled_read(body, &x, err);

	if (rc == 0 && (x.signer != r->signer || x.author != r->author || x.stream != r->stream || x.position != r->position ||
	                !sign_check(key, DOMAIN_SETTLED, (struct slice){ body.p, body.n - SIGN_SIZE }, x.signature.p)))
		rc = err_set(err, ERR_SIGNATURE, "a settled receipt is not signed by unit %012llu", (unsigned long long)r->signer);
	return rc;
}

/* This node's own: what the level of record says must be what was sealed here. */
static int settled_own(struct engine *e, const struct settled *x, struct err *err)
{
	struct stream_head head;
	struct digest mine;
	struct term sum;
	bool known;
	int64_t id;
	int rc = stream_get(e->db, e->unit, x->stream, &head, err);

	if (rc == 0)
		rc = segment_find(e->db, e->unit, SEGMENT_DELTA, x->stream, x->position, &id, &mine, err);
	if (rc != 0)
		return rc;
	if (x->position > head.position || (id != 0 && !digest_equal(&mine, &x->hash))) {
		if (meta_number(e->db, "restored", 0) != 0)
			return 0;                /* of the life of this disk that a restore took back: its rows came by the heal */
		event(e, LOG_LEVEL_ERROR, "alarm", e->parent, NULL, "not-as-recorded: unit %012llu settled position %llu of stream %s "
		      "with a segment that this node did not seal", (unsigned long long)x->signer, (unsigned long long)x->position,
		      level_name((enum level)x->stream));
		return 0;
	}
	if (x->position <= head.settled)
		return 0;
	head.settled = x->position;
	rc = stream_put(e->db, e->unit, x->stream, &head, err);
	if (rc == 0)
		rc = segment_settled(e->db, e->unit, x->stream, x->position, kept_ms(e), err);
	if (rc != 0 || !x->known || x->position != head.position)
		return rc;
	/* The rows beside it come later in the same segment: compared when all is taken (settled_compare). */
	rc = digest_of_unit(e, e->unit, x->stream, &sum, &known, err);
	if (rc == 0)
		rc = meta_put(e->db, "settled digest", (struct slice){ x->sum.at, TERM_SIZE }, err);
	return rc == 0 ? meta_put_number(e->db, "settled stream", (int64_t)x->stream, err) : rc;
}

void settled_compare(struct engine *e)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int64_t stream = meta_number(e->db, "settled stream", -1), times;
	struct outbox_head head;
	struct term sum;
	struct link l;
	bool found = false, known = false;

	if (stream < 0 || log_pending(e->db) || link_get(e->db, e->parent, &l, &found, NULL) != 0 || !found)
		return;
	if (outbox_head(e->db, &head, NULL) != 0 || head.seq != l.acked || dirty_any(e->db, e->parent))
		return;
	if (digest_of_unit(e, e->unit, (uint64_t)stream, &sum, &known, NULL) != 0 || !known)
		return;
	if (meta_get(e->db, "settled digest", &b, &found, NULL) != 0 || !found || b.n != TERM_SIZE)
		return;
	times = memcmp(b.p, sum.at, TERM_SIZE) == 0 ? 0 : meta_number(e->db, "settled differs", 0) + 1;
	if (times == SETTLED_DIFFERS)
		event(e, LOG_LEVEL_ERROR, "alarm", e->parent, NULL, "not-as-recorded: the level of record holds other rows of this "
		      "unit, for the %lldth time running; see terracectl reconcile", (long long)times);
	meta_put_number(e->db, "settled differs", times, NULL);
	meta_put_number(e->db, "settled stream", -1, NULL);
}

/* By its key, or one that it had before as the top of the tree. */
static bool signed_by(const struct engine *e, const struct facts *record, struct slice body, const uint8_t signature[SIGN_SIZE])
{
	const struct slice message = { body.p, body.n - SIGN_SIZE };
	uint32_t n;
	const struct former *former = former_tops(e, record->unit, &n);
	bool good = sign_check(record->sign_public, DOMAIN_SETTLED, message, signature);

	for (uint32_t i = 0; i < n && !good; i++)
		good = sign_check(former[i].sign_public, DOMAIN_SETTLED, message, signature);
	return good;
}

int settled_take(struct engine *e, struct slice body, struct err *err)
{
	struct settled x;
	const struct facts *record;
	struct stream_head head;
	int64_t id = 0;
	int rc = settled_read(body, &x, err);

	if (rc != 0)
		return rc;
	record = level_of_record(e, x.stream);
	if (record == NULL || record->unit != x.signer || !signed_by(e, record, body, x.signature.p)) {
		event(e, LOG_LEVEL_ERROR, "alarm", e->parent, NULL, "a settled receipt for unit %012llu is not signed by its level of "
		      "record", (unsigned long long)x.author);
		return 0;
	}
	if (x.author == e->unit)
		rc = settled_own(e, &x, err);
	else
		rc = stream_get(e->db, x.author, x.stream, &head, err);
	if (rc == 0 && x.author != e->unit && head.settled < x.position) {
		head.settled = x.position;
		rc = stream_put(e->db, x.author, x.stream, &head, err);
		if (rc == 0)
			rc = segment_settled(e->db, x.author, x.stream, x.position, kept_ms(e), err);
	}
	if (rc == 0) {
		const struct receipt r = { .kind = RECEIPT_SETTLED, .author = x.author, .stream = x.stream, .signer = x.signer,
			                   .position = x.position, .body = body };

		rc = receipt_put(e->db, &r, now_ms(e), &id, err);
	}
	return rc == 0 && x.author != e->unit ? item_down(e, x.author, ITEM_SETTLED, id, err) : rc;
}

/* ---- bodies */

/* Of a row that is not of the peer's scope the record tells that a value lost and why, not what stands there: no columns.
 * An edit lost to the end of its row, a value of group row. */
static int record_body(struct engine *e, uint64_t peer, int64_t id, struct arena *a, struct slice *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct record r;
	bool found = false;
	int rc = record_get(e->db, id, a, &r, &found, err);

	if (rc != 0 || !found)
		return rc;
	if (strcmp(r.group, "row") != 0 && strcmp(r.kind, "edited-while-deleted") != 0 && !unit_contains(peer, r.unit)) {
		r.kept = (struct slice){ NULL, 0 };
		r.kept_text = NULL;
	}
	record_encode(&b, &r);
	*ret = arena_slice(a, buf_slice(&b));
	return b.failed ? err_set(err, ERR_NOMEM, "record %lld: memory is short", (long long)id) : 0;
}

static int epoch_body(struct engine *e, int64_t id, struct arena *a, struct slice *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct epoch_row row;
	bool found = false;
	int rc = epoch_row(e->db, (uint32_t)id, &row, &found, err);

	if (rc != 0 || !found)
		return rc;
	buf_put_varint(&b, row.unit);
	buf_put_u32(&b, row.epoch);
	buf_put_u32(&b, row.former);
	buf_put_varint(&b, row.tick);
	buf_put_varint(&b, row.position);
	*ret = arena_slice(a, buf_slice(&b));
	return b.failed ? err_set(err, ERR_NOMEM, "epoch %lld: memory is short", (long long)id) : 0;
}

static int settled_body(struct engine *e, int64_t id, struct arena *a, struct slice *ret, struct err *err)
{
	struct receipt r;
	bool found = false;
	int rc = receipt_get(e->db, id, a, &r, &found, err);

	if (rc != 0 || !found)
		return rc;
	if (r.signer != e->unit) {
		*ret = r.body;
		return 0;
	}
	rc = settled_make(e, &r, a, ret, err);
	return rc == 0 ? receipt_body(e->db, id, r.position, *ret, err) : rc;
}

static int broadcast_body(struct engine *e, int64_t id, struct arena *a, struct slice *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int rc = segment_bytes(e->db, id, &b, err);

	if (rc == ERR_NOT_FOUND)
		return 0;
	*ret = arena_slice(a, buf_slice(&b));
	return rc;
}

int item_body(struct engine *e, uint64_t peer, uint32_t kind, int64_t id, struct arena *a, struct slice *ret,
              struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int rc = 0;

	*ret = (struct slice){ NULL, 0 };
	switch (kind) {
	case ITEM_BROADCAST:
		rc = broadcast_body(e, id, a, ret, err);
		break;
	case ITEM_RECORD:
		rc = record_body(e, peer, id, a, ret, err);
		break;
	case ITEM_EPOCH:
		rc = epoch_body(e, id, a, ret, err);
		break;
	case ITEM_SETTLED:
		rc = settled_body(e, id, a, ret, err);
		break;
	case ITEM_HEALED:
	case ITEM_ASK:
		buf_put_varint(&b, (uint64_t)id);
		*ret = arena_slice(a, buf_slice(&b));
		break;
	default:
		break;
	}
	if (rc == 0 && (a->failed || b.failed))
		rc = err_set(err, ERR_NOMEM, "building a state segment: memory is short");
	return rc;
}

/* ---- taking */

static int take_epoch(struct engine *e, struct slice body, struct err *err)
{
	struct reader r = reader_of(body);
	struct epoch_row row, known;
	bool found = false;
	int rc;

	row.unit = read_varint(&r);
	row.epoch = read_u32(&r);
	row.former = read_u32(&r);
	row.tick = read_varint(&r);
	row.position = read_varint(&r);
	if (!reader_done(&r) || row.epoch == 0)
		return err_set(err, ERR_FORMAT, "an epoch of %zu bytes is malformed", body.n);
	rc = epoch_row(e->db, row.epoch, &known, &found, err);
	if (rc != 0 || found)
		return rc;
	rc = mint_epoch_learn(e, row.unit, row.epoch, row.former, row.tick, row.position, err);
	return rc == 0 ? item_down(e, UNIT_NONE, ITEM_EPOCH, row.epoch, err) : rc;
}

static int take_record(struct engine *e, uint64_t from, struct slice body, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct record r;
	int64_t id = 0;
	int rc = record_decode(body, &a, &r, err);

	if (rc == 0)
		rc = record_put(e->db, &r, &id, err);
	if (rc != 0 || id == 0)
		return rc;
	if (r.lost.unit == e->unit)
		event(e, LOG_LEVEL_NOTICE, strcmp(r.kind, "refused") == 0 || strcmp(r.kind, "rejected") == 0 ?
		      "refuse" : "conflict", from, NULL,
		      "%s: register %s, group %s: this node's value was decided against by unit %012llu (rule %d); record %lld", r.kind,
		      r.reg, r.group, (unsigned long long)r.decider, r.rule, (long long)id);
	rc = closing_arrived(e, &r, err);
	return rc == 0 ? item_down(e, r.lost.unit, ITEM_RECORD, id, err) : rc;
}

/* One that is not in order is an alarm and stops nothing else. */
static int take_broadcast(struct engine *e, uint64_t from, struct slice body, struct err *err)
{
	struct err why = { 0 };
	int rc = db_savepoint(e->db, err);

	if (rc != 0)
		return rc;
	rc = broadcast_take(e, from, body, &why);
	if (rc == 0)
		return db_savepoint_release(e->db, err);
	if (transient(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	db_savepoint_rollback(e->db);
	state_forget(e->state);
	event(e, LOG_LEVEL_ERROR, "alarm", from, NULL, "a broadcast was refused: %s", why.text);
	return 0;
}

static int take_healed(struct engine *e, uint64_t from, struct slice body, struct err *err)
{
	struct reader r = reader_of(body);
	uint64_t heal = read_varint(&r);
	struct link l;
	bool found = false;
	int rc = link_get(e->db, from, &l, &found, err);

	if (rc != 0 || !reader_done(&r) || !found || (uint64_t)l.heal != heal)
		return rc;
	if (!e->ready)
		event(e, LOG_LEVEL_NOTICE, "heal", from, NULL, "healed: this node takes from its children");
	e->ready = true;
	db_wake_all(e->db);
	return 0;
}

/* What is not understood of it is ignored: a later parent may ask for more. */
static int take_ask(struct engine *e, uint64_t from, struct slice body)
{
	struct reader r = reader_of(body);
	uint64_t what = read_varint(&r);

	if (r.bad || from != e->parent)
		return 0;
	e->hello_due = true;
	if (what == ASK_ROUNDS)
		rounds_want(e, ROUNDS_PARENT);
	return 0;
}

int item_take(struct engine *e, uint64_t from, const struct item *i, struct err *err)
{
	switch (i->kind) {
	case ITEM_BROADCAST:
		return take_broadcast(e, from, i->body, err);
	case ITEM_RECORD:
		return take_record(e, from, i->body, err);
	case ITEM_EPOCH:
		return take_epoch(e, i->body, err);
	case ITEM_SETTLED:
		return settled_take(e, i->body, err);
	case ITEM_HEALED:
		return take_healed(e, from, i->body, err);
	case ITEM_ASK:
		return take_ask(e, from, i->body);
	default:
		return i->kind % 2 == 0 ? 0 : err_set(err, ERR_FORMAT, "an item of kind %u is not known here; install the current "
		                                      "version", i->kind);
	}
}
