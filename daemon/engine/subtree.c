/* Subtree: what a hello tells of the descendants: certificates, each once, and everybody's status.
 *
 * varint count, per certificate: byte 1 where it is the sender's own, else 0; name (length-prefixed); the PEM
 * certificates from the leaf up to the one below the sender (its own: the leaf alone), length-prefixed.  The
 * receiver adds the chain that it has of the sender, so that every chain goes through it.  Byte 2: a revocation, in
 * place of the certificates the segment that says so, verbatim (engine/revoke.c).
 * varint count, per node its status (core/status.h), length-prefixed; the sender's own first. */
#include "engine/hello.h"
#include "engine/renew.h"
#include "engine/revoke.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/status.h"

#define CERTIFICATES_MOST 64u            /* a hello, each is verified in its transaction; the rest goes with the next */
#define CERTIFICATE_REVOKED 2u
#define STATUS_BYTES (2u << 20)

/* ---- telling */

struct telling {
	struct engine *e;
	struct buf *b;
	uint64_t n;
};

static int tell_certificate(void *arg, const struct peer *p)
{
	struct telling *t = arg;
	struct chain chain;
	uint32_t below = 0;
	struct slice part;

	if (p->revoked) {
		buf_put_u8(t->b, CERTIFICATE_REVOKED);
		buf_put_text(t->b, p->name);
		buf_put_slice(t->b, p->revocation);
		t->n++;
		return 0;
	}
	if (chain_read(p->chain, NULL, &chain, NULL) != 0)
		return 0;
	while (below < chain.n && chain.at[below].unit != t->e->unit)
		below++;
	part = below < chain.n ? pem_first(p->chain, below) : (struct slice){ NULL, 0 };
	if (part.n == 0)
		return 0;
	buf_put_u8(t->b, 0);
	buf_put_text(t->b, p->name);
	buf_put_slice(t->b, part);
	t->n++;
	return 0;
}

static int tell_policy(void *arg, uint64_t issuer, uint64_t version, const char *state)
{
	struct status *s = arg;

	if (s->npolicies == ARRAY_SIZE(s->policies) || state == NULL)
		return 0;
	s->policies[s->npolicies].issuer = issuer;
	s->policies[s->npolicies].version = version;
	snprintf(s->policies[s->npolicies++].state, sizeof s->policies[0].state, "%s", state);
	return 0;
}

/* This node's own. */
static int status_own(struct engine *e, struct status *s, struct err *err)
{
	struct outbox_waiting waiting;
	struct record_counts counts;
	char digest[16];
	struct link l;
	bool found = false;
	int rc = link_get(e->db, e->parent, &l, &found, err);

	memset(s, 0, sizeof *s);
	s->unit = e->unit;
	snprintf(s->name, sizeof s->name, "%s", e->id->name);
	s->as_of_ms = now_ms(e);
	s->contact_ms = l.contact_ms;
	s->epoch = e->epoch;
	if (rc == 0)
		rc = stream_sums(e->db, e->unit, &s->sealed, &s->settled, err);
	if (rc == 0)
		rc = outbox_waiting(e->db, l.acked, e->unit, &waiting, err);
	if (rc == 0)
		rc = record_counts(e->db, &counts, err);
	if (rc == 0)
		rc = link_digest(e->db, e->parent, digest, &s->digest_at_ms, err);
	if (rc != 0)
		return rc;
	s->applied = s->sealed - MIN(waiting.own, s->sealed);
	s->pending_segments = waiting.entries;
	s->pending_bytes = waiting.bytes;
	s->oldest_ms = waiting.oldest_ms;
	s->quarantine = counts.quarantine;
	s->conflicts = counts.conflicts;
	s->proposals = counts.proposals;
	s->returns = counts.returns;
	s->issues = counts.issues;
	s->digest = strcmp(digest, "equal") == 0 ? STATUS_EQUAL : strcmp(digest, "differs") == 0 ? STATUS_DIFFERS : STATUS_UNKNOWN;
	return policy_states_each(e->db, tell_policy, s, err);
}

static int tell_status(void *arg, uint64_t unit, uint64_t via, struct slice body, int64_t at_ms)
{
	struct telling *t = arg;

	(void)unit;
	(void)via;
	(void)at_ms;
	if (t->b->n > STATUS_BYTES)
		return 1;
	buf_put_slice(t->b, body);
	t->n++;
	return 0;
}

int subtree_put(struct engine *e, bool own_certificate, struct buf *b, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf part = { 0 }, one = { 0 };
	struct telling t = { .e = e, .b = &part };
	struct status own;
	struct slice leaf = pem_first(buf_slice(&e->id->chain_pem), 1);
	int rc;

	if (own_certificate && leaf.n > 0) {
		buf_put_u8(&part, 1);
		buf_put_text(&part, e->id->name);
		buf_put_slice(&part, leaf);
		t.n++;
	}
	rc = peer_untold(e->db, CERTIFICATES_MOST, &a, tell_certificate, &t, err);
	buf_put_varint(b, t.n);
	buf_put(b, part.p, part.n);
	if (rc == 0)
		rc = status_own(e, &own, err);
	if (rc != 0)
		return rc;
	status_put(&one, &own);
	buf_clear(&part);
	buf_put_slice(&part, buf_slice(&one));
	t.n = 1;
	rc = descendant_each(e->db, tell_status, &t, err);
	buf_put_varint(b, t.n);
	buf_put(b, part.p, part.n);
	return rc == 0 && (b->failed || part.failed || one.failed) ? err_set(err, ERR_NOMEM, "a hello: memory is short") : rc;
}

/* ---- hearing */

/* A child that dials another node now: what waited for it waits for the node between. */
static int moved(struct engine *e, const struct peer *old, uint64_t via, struct err *err)
{
	int rc = dirty_move(e->db, old->unit, via, err);

	event(e, LOG_LEVEL_NOTICE, "enrol", old->unit, NULL, "unit %012llu is reached through unit %012llu now",
	      (unsigned long long)old->unit, (unsigned long long)via);
	return rc == 0 ? link_drop(e->db, old->unit, err) : rc;
}

static int learn_peer(struct engine *e, uint64_t via, bool own, struct slice name, const struct chain *c, struct slice pem,
                      bool *ret_changed, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	const struct facts *leaf = &c->at[0];
	struct peer p = { .unit = leaf->unit, .direct = own, .chain = pem, .until_s = leaf->until_s }, old;
	bool found = false, revoked = false;
	int rc = peer_get(e->db, leaf->unit, &a, &old, &found, err);

	if (rc != 0)
		return rc;
	snprintf(p.name, sizeof p.name, "%.*s", (int)MIN(name.n, sizeof p.name - 1), (const char *)name.p);
	snprintf(p.serial, sizeof p.serial, "%s", leaf->serial);
	memcpy(p.sign_public, leaf->sign_public, sizeof p.sign_public);
	rc = revoked_has(e->db, p.serial, &revoked, err);
	if (rc != 0 || revoked)
		return rc;
	if (found && old.serial[0] != '\0' && strcmp(old.serial, p.serial) != 0 &&
	    memcmp(old.sign_public, p.sign_public, sizeof p.sign_public) != 0)
		rc = peer_revoke(e->db, &old, now_ms(e), err);
	else if (found && old.serial[0] != '\0' && strcmp(old.serial, p.serial) != 0)
		rc = serial_put(e->db, old.serial, old.unit, err);
	if (rc == 0 && found && old.direct && !own)
		rc = moved(e, &old, via, err);
	*ret_changed = *ret_changed || !found || old.direct != own;
	return rc == 0 ? peer_put(e->db, &p, now_ms(e), err) : rc;
}

static int take_certificate(struct engine *e, uint64_t via, struct slice above, struct reader *r, struct buf *learned,
                            uint64_t *n, bool *ret_changed, struct err *err)
{
	_cleanup_(buf_release) struct buf pem = { .cap = LIMIT_CHAIN_BYTES };
	const struct chain *mine = &e->id->chain;
	uint8_t own = read_u8(r);
	struct slice name = read_slice(r), part = read_slice(r);
	struct err why = { 0 };
	struct chain c;
	int rc;

	if (r->bad)
		return err_set(err, ERR_FORMAT, "hello of unit %012llu: a certificate is malformed", (unsigned long long)via);
	if (own == CERTIFICATE_REVOKED) {
		uint64_t unit;

		rc = revoke_heard(e, via, part, &unit, err);
		if (rc == 0 && unit != UNIT_NONE) {
			buf_put_varint(learned, unit);
			(*n)++;
		}
		return rc;
	}
	buf_put(&pem, part.p, part.n);
	if (own != 0)
		buf_put(&pem, e->id->chain_pem.p, e->id->chain_pem.n);
	else
		buf_put(&pem, above.p, above.n);
	rc = chain_read(buf_slice(&pem), &mine->at[mine->n - 1].pin, &c, &why);
	if (rc == 0 && (own != 0 ? c.at[0].unit != via || c.n < 2 || c.at[1].unit != e->unit :
	                           !unit_contains(via, c.at[0].unit) || c.at[0].unit == via))
		rc = err_set(&why, ERR_SCOPE, "unit %012llu is not below unit %012llu", (unsigned long long)c.at[0].unit,
		             (unsigned long long)via);
	if (rc != 0) {
		event(e, LOG_LEVEL_WARNING, "enrol", via, NULL, "a certificate that unit %012llu passed on was refused: %s",
		      (unsigned long long)via, why.text);
		return 0;
	}
	rc = learn_peer(e, via, own != 0, name, &c, buf_slice(&pem), ret_changed, err);
	if (rc == 0 && own == 0) {
		buf_put_varint(learned, c.at[0].unit);
		(*n)++;
	}
	return rc;
}

static int take_status(struct engine *e, uint64_t via, struct reader *r, struct err *err)
{
	struct slice body = read_slice(r);
	struct status s;

	if (r->bad)
		return err_set(err, ERR_FORMAT, "hello of unit %012llu: a status is malformed", (unsigned long long)via);
	if (status_get(body, &s, NULL) != 0 || !unit_contains(via, s.unit))
		return 0;                        /* of a later form, or not its business */
	return descendant_put(e->db, s.unit, via, body, now_ms(e), err);
}

int subtree_take(struct engine *e, uint64_t peer, struct reader *r, struct buf *learned, bool *ret_changed, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf names = { 0 };
	struct peer via = { 0 };
	bool found = false;
	uint64_t count, n = 0;
	int rc = peer_get(e->db, peer, &a, &via, &found, err);

	*ret_changed = false;
	count = read_count(r, 10000);
	for (uint64_t i = 0; i < count && rc == 0; i++) {
		rc = take_certificate(e, peer, via.chain, r, &names, &n, ret_changed, err);
		if (rc == 0 && *ret_changed && !found)
			rc = peer_get(e->db, peer, &a, &via, &found, err);
	}
	buf_put_varint(learned, n);
	buf_put(learned, names.p, names.n);
	count = rc == 0 ? read_count(r, 100000) : 0;
	for (uint64_t i = 0; i < count && rc == 0; i++)
		rc = take_status(e, peer, r, err);
	if (rc == 0 && names.failed)
		rc = err_set(err, ERR_NOMEM, "hello of unit %012llu: memory is short", (unsigned long long)peer);
	return rc;
}

int subtree_told(struct engine *e, struct reader *r, struct err *err)
{
	uint64_t n = read_count(r, 10000);
	int rc = 0;

	for (uint64_t i = 0; i < n && rc == 0; i++) {
		uint64_t unit = read_varint(r);

		if (!r->bad && unit != UNIT_NONE)
			rc = peer_told(e->db, unit, err);
	}
	if (n == CERTIFICATES_MOST)
		e->hello_due = true;             /* there may be more */
	return rc;
}
