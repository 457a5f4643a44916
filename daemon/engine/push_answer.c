/* Push, the parent's side: each delta is checked (design protocol §2), applied and kept in one transaction; those that
 * wait share one for SLICE_HALF_MS.  One that is refused stops the body there; those before it stay applied.  The
 * bodies' form stands in push.c. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/push.h"
#include "engine/revoke.h"

struct pushing {
	struct engine *e;
	const struct facts *peer;
	struct link l;
	bool open;                       /* a transaction is */
	bool holds;                      /* deltas that stay when a later one is refused */
	int64_t began_ms, first_ms;
	struct counts counts;
	uint32_t nlines;
	struct receipt_line *lines;
	uint8_t status;
	bool enough;                     /* the rest of the body is for another request: others wait */
};

static int open_transaction(struct pushing *p, struct err *err)
{
	int rc;

	if (p->open)
		return 0;
	rc = begin_empty(p->e, err);
	if (rc != 0)
		return rc;
	p->open = true;
	p->holds = false;
	p->began_ms = steady_ms(p->e);
	return 0;
}

static int close_transaction(struct pushing *p, struct err *err)
{
	int rc = 0;

	if (p->open) {
		p->l.contact_ms = now_ms(p->e);
		rc = link_put(p->e->db, &p->l, err);
		if (rc == 0)
			rc = engine_commit(p->e, err);
		else
			engine_rollback(p->e);
	}
	p->open = false;
	return rc;
}

static void add_counts(struct counts *sum, const struct counts *c)
{
	sum->taken += c->taken;
	sum->taken_over += c->taken_over;
	sum->kept += c->kept;
	sum->diverted += c->diverted;
	sum->refused += c->refused;
	sum->aside += c->aside;
	sum->old += c->old;
	sum->passed += c->passed;
	sum->asked += c->asked;
	sum->quarantined += c->quarantined;
}

static int add_line(struct pushing *p, const struct segment_header *h, const struct digest *hash, struct err *err)
{
	uint32_t i = 0;

	while (i < p->nlines && (p->lines[i].author != h->author || p->lines[i].stream != h->stream))
		i++;
	if (i == p->nlines) {
		if (i % 64 == 0) {
			struct receipt_line *more = realloc(p->lines, (i + 64) * sizeof *more);

			if (more == NULL)
				return err_set(err, ERR_NOMEM, "receipts: memory is short");
			p->lines = more;
		}
		p->nlines++;
	}
	p->lines[i] = (struct receipt_line){ h->author, h->stream, h->position, *hash };
	return 0;
}

/* The author's chain and scope: it is the peer, or known to be below it.  The chain itself was checked when it was
 * learned (engine/subtree.c), and goes through the peer. */
static int check_author(struct pushing *p, const struct opened *o, uint8_t ret_key[SIGN_PUBLIC_SIZE], struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	const struct segment_header *h = &o->s.header;
	const char *name = (const char *)o->name.p;
	struct peer author;
	bool found = false;
	int rc;

	if (h->kind != SEGMENT_DELTA || h->stream >= LEVELS)
		return err_set(err, ERR_FORMAT, "%s: only deltas go up", name);
	if (h->stream > (uint64_t)p->e->level)
		return err_set(err, ERR_SCOPE, "%s: its ceiling lies below this node", name);
	if (h->author == p->peer->unit) {
		memcpy(ret_key, p->peer->sign_public, SIGN_PUBLIC_SIZE);
		return 0;
	}
	if (!unit_contains(p->peer->unit, h->author))
		return err_set(err, ERR_SCOPE, "%s: its author is not below unit %012llu, which sent it", name,
		               (unsigned long long)p->peer->unit);
	rc = peer_get(p->e->db, h->author, &a, &author, &found, err);
	if (rc != 0)
		return rc;
	if (!found)
		p->status = PUSH_HEAL;
	if (!found)
		return err_set(err, ERR_HEAL, "%s: the certificate of its author is not known here; a hello brings it", name);
	memcpy(ret_key, author.sign_public, SIGN_PUBLIC_SIZE);
	return author.revoked ? revoke_check(p->e, &o->s, ret_key, name, err) : 0;
}

/* What a former certificate's key of the unit signed before it was replaced stays valid. */
static int decode(struct pushing *p, struct opened *o, const uint8_t key[SIGN_PUBLIC_SIZE], struct err *err)
{
	uint8_t former[8][SIGN_PUBLIC_SIZE];
	uint32_t n = 0;
	struct err say = { 0 };
	int rc = opened_decode(o, key, &say);

	if (rc == ERR_SIGNATURE && revoked_keys(p->e->db, o->s.header.author, former, &n, NULL) == 0)
		for (uint32_t i = 0; i < n && rc == ERR_SIGNATURE; i++)
			if (segment_verify(&o->s, former[i], NULL) == 0) {
				rc = revoke_check(p->e, &o->s, former[i], (const char *)o->name.p, &say);
				rc = rc == 0 ? opened_decode(o, former[i], &say) : rc;
			}
	if (rc != 0 && err != NULL)
		*err = say;
	return rc;
}

/* Its place in the author's stream.  *ret_again: it was applied before. */
static int check_place(struct pushing *p, const struct opened *o, const struct stream_head *head, const struct digest *hash,
                       bool *ret_again, struct err *err)
{
	const struct segment_header *h = &o->s.header;
	const char *name = (const char *)o->name.p;
	bool fork = h->continues && h->epoch != head->epoch;
	struct digest there;
	int64_t id = 0;
	int rc = segment_find_epoch(p->e->db, h->author, h->kind, h->stream, h->position, h->epoch, &id, &there, err);

	*ret_again = false;
	if (rc != 0)
		return rc;
	if (id != 0 && !digest_equal(&there, hash))
		return err_set(err, ERR_EQUIVOCATION, "%s: another segment of that position and epoch was applied before", name);
	*ret_again = id != 0 || (h->position == head->position && h->epoch == head->epoch && digest_equal(hash, &head->hash));
	if (*ret_again || head->position == 0)
		return 0;
	if (h->continues && h->continues_position != h->position - 1)
		return err_set(err, ERR_FORMAT, "%s: it continues from position %llu", name, (unsigned long long)h->continues_position);
	if (h->position > head->position + 1)
		return err_set(err, ERR_GAP, "%s: position %llu was expected", name, (unsigned long long)head->position + 1);
	if (h->position == head->position + 1) {
		if (digest_equal(&h->previous, &head->hash))
			return 0;
		return err_set(err, ERR_EQUIVOCATION, "%s: its predecessor is not the segment that was applied", name);
	}
	if (!fork) {
		*ret_again = h->epoch == head->epoch;    /* older than what is kept as evidence */
		return *ret_again ? 0 : err_set(err, ERR_EQUIVOCATION, "%s: it lies behind position %llu of another epoch", name,
		                                (unsigned long long)head->position);
	}
	/* A restored disk goes on from where its backup was. */
	rc = h->position == 1 ? 0 : segment_find(p->e->db, h->author, h->kind, h->stream, h->position - 1, &id, &there, err);
	if (rc == 0 && h->position > 1 && id != 0 && !digest_equal(&there, &h->previous))
		return err_set(err, ERR_EQUIVOCATION, "%s: its predecessor is not the segment that was applied", name);
	if (rc == 0)
		event(p->e, LOG_LEVEL_WARNING, "alarm", p->peer->unit, name, "restored: the author's new epoch goes on from position %llu of "
		      "%llu", (unsigned long long)h->continues_position, (unsigned long long)head->position);
	return rc;
}

/* ---- one delta, in the open transaction */

static int learn_epoch(struct pushing *p, const struct segment_header *h, struct err *err)
{
	struct epoch_row known;
	bool found = false;
	int rc = epoch_row(p->e->db, h->epoch, &known, &found, err);

	if (rc != 0 || found || !h->continues)
		return rc;
	rc = mint_epoch_learn(p->e, h->author, h->epoch, h->continues_mark.epoch, h->continues_mark.tick, h->continues_position,
	                      err);
	for (uint32_t i = 0; i < p->e->nchildren && rc == 0; i++)
		if (p->e->children[i] != p->peer->unit)
			rc = dirty_item(p->e->db, p->e->children[i], ITEM_EPOCH, h->epoch, err);
	return rc;
}

static int learn_list(struct pushing *p, const struct segment_header *h, struct err *err)
{
	const struct mark mark = { h->tick, h->epoch };
	int rc;

	if (h->npolicies == 0)
		return 0;
	if (h->nlists != 1 || policy_list_hash(h->policies, h->npolicies) != h->policy)
		return err_set(err, ERR_FORMAT, "a delta of unit %012llu names another policy list than its own",
		               (unsigned long long)h->author);
	rc = list_learn(p->e, h->policies, h->npolicies, err);
	return rc == 0 ? reported_put(p->e->db, h->author, mark, h->policy, err) : rc;
}

/* What was known of the peer's run goes on with what it seals. */
static void follow_epoch(struct pushing *p, const struct segment_header *h)
{
	if (h->author != p->peer->unit)
		return;
	if (h->epoch != p->l.epoch && (p->l.epoch == 0 || (h->continues && h->continues_mark.epoch == p->l.epoch))) {
		p->l.epoch = h->epoch;
		p->l.tick = h->tick;
	} else if (h->epoch == p->l.epoch) {
		p->l.tick = MAX(p->l.tick, h->tick);
	}
}

static int settle(struct pushing *p, const struct segment_header *h, struct err *err)
{
	const struct receipt r = { .kind = RECEIPT_SETTLED, .author = h->author, .stream = h->stream, .signer = p->e->unit,
		                   .position = h->position };
	int64_t id = 0;
	int rc = receipt_put(p->e->db, &r, now_ms(p->e), &id, err);     /* its body is made when it is sent */

	return rc == 0 ? item_down(p->e, h->author, ITEM_SETTLED, id, err) : rc;
}

static int apply(struct pushing *p, const struct opened *o, struct stream_head *head, const struct digest *hash,
                 struct counts *counts, struct err *err)
{
	struct engine *e = p->e;
	const struct segment_header *h = &o->s.header;
	const struct arrival from = { .peer = p->peer->unit, .below = true, .header = h, .name = (const char *)o->name.p };
	bool up = goes_up(e, (enum level)h->stream);
	int64_t id = 0;
	int rc = learn_epoch(p, h, err);

	if (rc == 0)
		rc = learn_list(p, h, err);
	if (rc == 0)
		rc = state_flush(e->state, err);
	if (rc == 0)
		rc = merge_payload(e, &from, &o->payload, counts, err);
	if (rc == 0)
		rc = segment_keep(e->db, &o->s, p->peer->unit, kept_ms(e), &id, err);
	if (rc == 0 && up)
		rc = outbox_add(e->db, id, o->s.bytes, err);      /* its rulings stand before it */
	head->position = h->position;
	head->hash = *hash;
	head->list = h->policy;
	head->epoch = h->epoch;
	if (!up)
		head->settled = h->position;
	if (rc == 0)
		rc = stream_put(e->db, h->author, h->stream, head, err);
	if (rc == 0 && !up)
		rc = settle(p, h, err);
	if (rc == 0)
		follow_epoch(p, h);
	return rc;
}

/* A delta that comes again comes from a heal: what this node holds of its rows now may be unknown to the child. */
static int tell_again(struct pushing *p, const struct opened *o, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	int rc = 0;

	for (uint32_t i = 0; i < o->payload.nchanges && rc == 0; i++) {
		const struct change *c = &o->payload.changes[i];
		struct reg *r = catalog_register(p->e->catalog, o->payload.registers[c->reg].name);

		if (r != NULL && c->key.n == r->nkey)
			rc = dirty_mark(p->e->db, p->peer->unit, r, key_column(c->key, &a), UINT64_MAX, err);
	}
	return rc;
}

/* A delta that fails leaves nothing.  The first of a transaction takes all of it back: a savepoint would copy every page
 * that it changes. */
static int enter_delta(struct pushing *p, struct err *err)
{
	return p->holds ? db_savepoint(p->e->db, err) : 0;
}

static void leave_delta(struct pushing *p, int rc)
{
	struct err ignored = { 0 };

	if (p->holds) {
		db_savepoint_rollback(p->e->db);
		state_forget(p->e->state);
		return;
	}
	engine_rollback(p->e);
	p->open = false;
	if (!transient(rc))
		open_transaction(p, &ignored);   /* for the contact */
}

/* One entry of the peer's outbox; its transaction stays open. */
static int take_delta(struct pushing *p, struct slice bytes, uint64_t seq, const struct digest *link_head, struct err *err)
{
	_cleanup_(opened_release) struct opened o = { 0 };
	uint8_t key[SIGN_PUBLIC_SIZE];
	struct link was = p->l;
	struct stream_head head;
	struct counts counts = { 0 };
	struct digest hash;
	bool again = false;
	int rc = opened_parse(&o, bytes, err);

	if (rc != 0)
		return err_prefix(err, "entry %llu of unit %012llu: ", (unsigned long long)seq, (unsigned long long)p->peer->unit);
	buf_text(&o.name);
	hash = segment_hash(&o.s);
	rc = check_author(p, &o, key, err);
	if (rc == 0)
		rc = decode(p, &o, key, err);
	if (rc == 0)
		rc = open_transaction(p, err);
	if (rc == 0)
		rc = stream_get(p->e->db, o.s.header.author, o.s.header.stream, &head, err);
	if (rc == 0)
		rc = check_place(p, &o, &head, &hash, &again, err);
	if (rc != 0)
		return rc;
	rc = enter_delta(p, err);
	if (rc != 0)
		return rc;
	counts.old = again ? o.s.header.changes : 0;
	if (again)
		rc = tell_again(p, &o, err);
	else
		rc = apply(p, &o, &head, &hash, &counts, err);
	p->l.received = seq;
	p->l.received_head = *link_head;
	if (rc == 0)
		rc = add_line(p, &o.s.header, &hash, err);
	if (rc == 0 && p->holds)
		rc = db_savepoint_release(p->e->db, err);
	if (rc != 0) {
		leave_delta(p, rc);
		p->l = was;
		return rc;
	}
	p->holds = true;
	add_counts(&p->counts, &counts);
	event(p->e, LOG_LEVEL_INFO, "apply", p->peer->unit, (const char *)o.name.p, "%u changes%s: %u taken, %u taken over, %u kept, "
	      "%u diverted, %u refused, %u aside, %u old, %u passed, %u asked; %u in quarantine", o.s.header.changes,
	      again ? " again" : "", counts.taken, counts.taken_over, counts.kept, counts.diverted, counts.refused, counts.aside,
	      counts.old, counts.passed, counts.asked, counts.quarantined);
	return 0;
}

/* ---- the body */

static int alarm_refused(struct pushing *p, int rc, const struct err *err)
{
	struct err ignored = { 0 };

	if (rc == ERR_HEAL)                      /* mends itself with the hello that it asks for */
		event(p->e, LOG_LEVEL_WARNING, "heal", p->peer->unit, NULL, "%s", err->text);
	else
		event(p->e, LOG_LEVEL_ERROR, "alarm", p->peer->unit, NULL, "%s: %s", err_name(rc), err->text);
	if (rc != ERR_EQUIVOCATION && rc != ERR_GAP)
		return rc;
	/* The chain of a stream is broken: what the deltas do not bring, the heal brings as state. */
	if (engine_begin(p->e, &ignored) == 0) {
		if (stream_forget(p->e->db, p->peer->unit, &ignored) != 0 ||
		    heal_start(p->e, p->peer->unit, "the chain of a stream is broken", &ignored) != 0 ||
		    engine_commit(p->e, &ignored) != 0)
			engine_rollback(p->e);
	}
	p->status = PUSH_HEAL;
	return rc;
}

/* Every entry from where the link stands; those before it are only followed along the chain of heads. */
static int take_deltas(struct pushing *p, struct reader *r, uint64_t seq, struct digest head, struct err *err)
{
	uint64_t n = read_count(r, UINT32_MAX);
	bool follows = seq == p->l.received;
	int rc = 0;

	if (follows && !digest_equal(&head, &p->l.received_head)) {
		p->status = PUSH_HEAL;
		return err_set(err, ERR_HEAL, "unit %012llu: the heads of the outbox differ at %llu: say hello",
		               (unsigned long long)p->peer->unit, (unsigned long long)seq);
	}
	for (uint64_t i = 0; i < n && rc == 0 && !p->enough; i++) {
		struct slice bytes = read_slice(r);

		if (r->bad)
			break;
		if (!follows && seq > p->l.received) {
			p->status = PUSH_GAP;
			return err_set(err, ERR_GAP, "unit %012llu: entry %llu of the outbox was expected, not %llu",
			               (unsigned long long)p->peer->unit, (unsigned long long)p->l.received + 1,
			               (unsigned long long)seq + 1);
		}
		head = digest_chain(&head, bytes);
		seq++;
		if (follows) {
			rc = take_delta(p, bytes, seq, &head, err);
			if (rc == 0 && steady_ms(p->e) - p->began_ms > SLICE_HALF_MS)
				rc = close_transaction(p, err);
			p->enough = steady_ms(p->e) - p->first_ms > PUSH_MOST_MS;
			continue;
		}
		follows = seq == p->l.received;
		if (follows && !digest_equal(&head, &p->l.received_head)) {
			p->status = PUSH_HEAL;
			return err_set(err, ERR_HEAL, "unit %012llu: the heads of the outbox differ at %llu: say hello",
			               (unsigned long long)p->peer->unit, (unsigned long long)seq);
		}
	}
	return rc;
}

static int take_states(struct pushing *p, struct reader *r, struct err *err)
{
	uint64_t n = read_count(r, UINT32_MAX);
	bool left = false, found = false;
	int rc = close_transaction(p, err);

	for (uint64_t i = 0; i < n && rc == 0 && !r->bad && !left && !p->enough; i++) {
		struct slice bytes = read_slice(r);
		struct counts counts;

		if (r->bad)
			break;
		rc = run_take(p->e, p->peer->unit, bytes, p->peer->sign_public, &left, &counts, err);
		if (rc == 0 && !left)
			add_counts(&p->counts, &counts);
		p->enough = steady_ms(p->e) - p->first_ms > PUSH_MOST_MS;
	}
	if (n > 0) {
		struct err ignored;
		int again = link_get(p->e->db, p->peer->unit, &p->l, &found, &ignored);

		rc = rc != 0 ? rc : again;
	}
	return rc;
}

static int put_answer(struct pushing *p, int code, const char *say, struct buf *b, struct err *err)
{
	const struct counts *c = &p->counts;
	uint32_t n = MIN(p->nlines, PUSH_LINES);
	int rc;

	buf_clear(b);
	buf_put_u8(b, CONTACT_FORMAT);
	buf_put_u8(b, p->status);
	buf_put_text(b, err_name(code));
	buf_put_text(b, code != 0 ? say : "");
	buf_put_varint(b, p->l.received);
	buf_put(b, p->l.received_head.at, DIGEST_SIZE);
	buf_put_varint(b, p->l.position);
	buf_put(b, p->l.position_hash.at, DIGEST_SIZE);
	buf_put_varint(b, c->taken);
	buf_put_varint(b, c->taken_over);
	buf_put_varint(b, c->kept);
	buf_put_varint(b, c->diverted);
	buf_put_varint(b, c->refused);
	buf_put_varint(b, c->aside);
	buf_put_varint(b, c->old);
	buf_put_varint(b, c->passed);
	buf_put_varint(b, c->asked);
	buf_put_varint(b, c->quarantined);
	buf_put_varint(b, (uint64_t)MAX(steady_ms(p->e) - p->first_ms, 0));
	rc = needs_put(p->e, p->peer->unit, b, err);
	buf_put_varint(b, (n + RECEIPT_LINES - 1) / RECEIPT_LINES);
	for (uint32_t i = 0; i < n; i += RECEIPT_LINES) {
		_cleanup_(buf_release) struct buf one = { 0 };

		receipt_make(p->e, p->lines + i, MIN(n - i, RECEIPT_LINES), &one);
		buf_put_slice(b, buf_slice(&one));
	}
	return rc == 0 && b->failed ? err_set(err, ERR_NOMEM, "a receipt: memory is short") : rc;
}

/* Whether the body is whole: of one that is cut nothing is taken. */
static bool framed(struct reader r)
{
	for (int part = 0; part < 2; part++)
		for (uint64_t n = read_count(&r, UINT32_MAX); n > 0 && !r.bad; n--)
			read_slice(&r);
	return reader_done(&r);
}

static int take_body(struct pushing *p, struct slice body, struct err *err)
{
	struct reader r = reader_of(body);
	uint8_t format = read_u8(&r);
	uint64_t seq = read_varint(&r);
	struct slice head = read_bytes(&r, DIGEST_SIZE);
	struct digest at;
	int rc;

	if (r.bad || format != CONTACT_FORMAT || !framed(r))
		return err_set(err, ERR_FORMAT, "segments of unit %012llu: a body of %zu bytes, cut or malformed",
		               (unsigned long long)p->peer->unit, body.n);
	memcpy(at.at, head.p, DIGEST_SIZE);
	rc = take_deltas(p, &r, seq, at, err);
	return rc == 0 && !p->enough ? take_states(p, &r, err) : rc;
}

/* A link that may carry; else what has to be done first. */
static int check_link(struct pushing *p, struct err *err)
{
	bool found = false;
	int rc = link_get(p->e->db, p->peer->unit, &p->l, &found, err);

	if (rc != 0)
		return rc;
	if (p->e->space != SPACE_GOOD)
		return err_set(err, ERR_FULL, "the disk of unit %012llu is nearly full; it takes no segments until there is room",
		               (unsigned long long)p->e->unit);
	if (p->l.twin)
		return err_set(err, ERR_REFUSED, "two machines run as unit %012llu; settle it with `terracectl rejoin`",
		               (unsigned long long)p->peer->unit);
	if (found && p->l.healed && p->e->ready && greeted(p->e, p->peer->unit))
		return 0;
	p->status = PUSH_HEAL;
	return err_set(err, ERR_HEAL, p->e->ready ? "the link to unit %012llu has to heal first: say hello" :
	               "this node heals with its own parent first; unit %012llu comes later", (unsigned long long)p->peer->unit);
}

int engine_push_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer,
                       struct err *err)
{
	struct pushing p = { .e = e, .peer = peer, .first_ms = steady_ms(e) };
	struct err say = { 0 };
	int rc = check_link(&p, &say), ended = 0;

	if (rc == 0)
		rc = take_body(&p, body, &say);
	if (p.open && transient(rc)) {
		engine_rollback(e);              /* nothing of this transaction is promised */
		p.open = false;
		free(p.lines);
		p.lines = NULL;
		p.nlines = 0;
	} else if (p.open) {
		struct err why = { 0 };

		ended = close_transaction(&p, &why);
		if (ended != 0) {
			rc = ended;
			say = why;
		}
	}
	if (rc != 0 && !transient(rc) && p.status == PUSH_DONE) {
		p.status = PUSH_REFUSED;
		if (rc != ERR_SCHEMA)
			rc = alarm_refused(&p, rc, &say);
	}
	if (!transient(rc)) {
		struct err why = { 0 };

		ended = put_answer(&p, rc, say.text, answer, &why);
		if (ended != 0) {
			rc = ended;
			say = why;
		}
	}
	free(p.lines);
	if (rc != 0 && err != NULL)
		*err = say;
	return rc;
}
