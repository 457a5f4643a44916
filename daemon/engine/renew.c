/* Renewal, both sides.  Proof of possession is the connection, made with the old certificate, and the request, signed
 * with the same key: whoever renews keeps both keys, so that what pins them and what they signed stays good. */
#include "engine/renew.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/enroll.h"
#include "engine/contact.h"

#define DAY_S INT64_C(86400)
#define AGAIN_MS (10 * 60 * 1000)        /* after a try that brought nothing */

static const char pem_begin[] = "-----BEGIN CERTIFICATE-----";

struct slice pem_first(struct slice pem, uint32_t n)
{
	size_t at = 0;

	for (uint32_t i = 0; i <= n; i++) {
		const uint8_t *p = at < pem.n ? memmem(pem.p + at, pem.n - at, pem_begin, sizeof pem_begin - 1) : NULL;

		if (p == NULL)
			return i == n ? pem : (struct slice){ NULL, 0 };
		if (i == n)
			return (struct slice){ pem.p, (size_t)(p - pem.p) };
		at = (size_t)(p - pem.p) + 1;
	}
	return (struct slice){ NULL, 0 };
}

/* All but the first. */
static struct slice pem_above(struct slice pem)
{
	size_t own = pem_first(pem, 1).n;

	return own == 0 ? (struct slice){ NULL, 0 } : (struct slice){ pem.p + own, pem.n - own };
}

static bool half_over(const struct facts *f, int64_t now_s)
{
	return now_s >= f->from_s + (f->until_s - f->from_s) / 2;
}

/* ---- the issuing side */

int certificate_issue(struct engine *e, struct slice request_pem, uint64_t unit, const char *name, struct buf *ret_pem,
                      struct err *err)
{
	const struct buf *mine = &e->id->chain_pem;
	int64_t now = engine_tree_time(e);
	uint8_t serial[16];
	int rc;

	if (now == 0)
		return err_set(err, ERR_BUSY, "unit %012llu does not know the tree's time yet; it has to reach its parent first",
		               (unsigned long long)e->unit);
	e->source.random(e->source.arg, serial, sizeof serial);
	rc = chain_issue(request_pem, unit, e->id->line, name, buf_slice(&e->id->tls_key_pem), buf_slice(mine), serial, now - DAY_S,
	                 now + NODE_DAYS * DAY_S, ret_pem, err);
	buf_put(ret_pem, mine->p, mine->n);
	return rc == 0 && ret_pem->failed ? err_set(err, ERR_NOMEM, "issuing a certificate: memory is short") : rc;
}

/* The request names what the connection's certificate says, and is signed with its key. */
static int check_request(const struct engine *e, const struct facts *peer, const struct facts *asked, struct err *err)
{
	if (asked->unit != peer->unit || strcmp(asked->line, e->id->line) != 0 || !digest_equal(&asked->pin, &peer->pin) ||
	    memcmp(asked->sign_public, peer->sign_public, SIGN_PUBLIC_SIZE) != 0)
		return err_set(err, ERR_REFUSED, "renewal of unit %012llu: the request is for another unit, line or key than its "
		               "certificate's", (unsigned long long)peer->unit);
	return 0;
}

static int check_known(const struct facts *peer, const struct peer *known, bool found, struct err *err)
{
	if (!found)
		return err_set(err, ERR_REFUSED, "renewal of unit %012llu: it is not known here; a hello comes first",
		               (unsigned long long)peer->unit);
	if (known->revoked)
		return err_set(err, ERR_CHAIN, "unit %012llu is revoked", (unsigned long long)peer->unit);
	if (memcmp(known->sign_public, peer->sign_public, SIGN_PUBLIC_SIZE) != 0)
		return err_set(err, ERR_CHAIN, "renewal of unit %012llu: another machine was enrolled in its place",
		               (unsigned long long)peer->unit);
	return 0;
}

static int renew(struct engine *e, const struct facts *peer, struct slice request_pem, struct peer *known, struct buf *answer,
                 struct err *err)
{
	char until[RFC3339_SIZE];
	struct chain c;
	int rc = certificate_issue(e, request_pem, peer->unit, peer->name, answer, err);

	if (rc == 0)
		rc = chain_read(buf_slice(answer), NULL, &c, err);
	if (rc == 0)
		rc = serial_put(e->db, known->serial, peer->unit, err);
	if (rc != 0)
		return rc;
	known->chain = buf_slice(answer);
	known->until_s = c.at[0].until_s;
	snprintf(known->serial, sizeof known->serial, "%s", c.at[0].serial);
	rc = peer_put(e->db, known, now_ms(e), err);
	if (rc == 0)
		event(e, LOG_LEVEL_NOTICE, "enrol", peer->unit, NULL, "the certificate of unit %012llu is renewed until %s, serial %s",
		      (unsigned long long)peer->unit, time_rfc3339(known->until_s * 1000, until), known->serial);
	return rc;
}

/* One that is young enough is given again: its answer may have been lost. */
static int answer_renewal(struct engine *e, const struct facts *peer, struct slice request_pem, struct buf *answer,
                          struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct peer known = { 0 };
	struct facts asked;
	struct chain c;
	bool found = false;
	int rc = chain_request_read(request_pem, &asked, err);

	if (rc == 0)
		rc = check_request(e, peer, &asked, err);
	if (rc == 0)
		rc = peer_get(e->db, peer->unit, &a, &known, &found, err);
	if (rc == 0)
		rc = check_known(peer, &known, found, err);
	if (rc == 0)
		rc = chain_read(known.chain, NULL, &c, err);
	if (rc != 0)
		return rc;
	if (half_over(&c.at[0], engine_tree_time(e)) || !digest_equal(&c.at[c.n - 1].pin, &e->id->chain.at[e->id->chain.n - 1].pin) || !digest_equal(&c.at[0].pin, &peer->pin))
		return renew(e, peer, request_pem, &known, answer, err);
	struct slice leaf = pem_first(known.chain, 1);
	buf_put(answer, leaf.p, leaf.n);
	buf_put(answer, e->id->chain_pem.p, e->id->chain_pem.n);
	return answer->failed ? err_set(err, ERR_NOMEM, "answering a renewal: memory is short") : 0;
}

int engine_renew_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct slice request_pem;
	int rc = renew_get(body, &request_pem, err);

	if (rc == 0)
		rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	rc = answer_renewal(e, peer, request_pem, answer, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc != 0)
		buf_clear(answer);
	else
		e->hello_due = e->parent != UNIT_NONE;
	return rc;
}

/* ---- the side that asks */

static bool same_top(const struct facts *known, const struct facts *now)
{
	return digest_equal(&known->pin, &now->pin) || chain_follows(known, now);
}

bool engine_renew_due(struct engine *e)
{
	int64_t now = engine_tree_time(e);

	return e->parent != UNIT_NONE && steady_ms(e) >= e->renew_ms && (e->reissue || (now != 0 && half_over(&e->id->chain.at[0], now)));
}

bool engine_upload_only(struct engine *e)
{
	return e->parent != UNIT_NONE && (e->reissue || engine_tree_time(e) > e->id->chain.at[0].until_s);
}

const struct identity *engine_identity(struct engine *e)
{
	return e->id;
}

int engine_renew_make(struct engine *e, struct buf *body, struct err *err)
{
	_cleanup_(buf_release) struct buf request = { 0 };
	const struct facts *leaf = &e->id->chain.at[0];
	int rc = chain_request(buf_slice(&e->id->tls_key_pem), e->unit, e->id->line, leaf->name, e->id->sign.public_key, &request,
	                       err);

	e->renew_ms = steady_ms(e) + AGAIN_MS;
	if (rc == 0)
		renew_put(buf_slice(&request), body);
	return rc == 0 && body->failed ? err_set(err, ERR_NOMEM, "a renewal: memory is short") : rc;
}

/* The same unit, line and keys, this node's and its parent's, under the same top or one that took its place. */
static int check_chain(const struct engine *e, const struct chain *c, struct err *err)
{
	const struct chain *mine = &e->id->chain;
	const struct facts *leaf = &c->at[0], *before = &mine->at[0];

	if (c->n < 2 || leaf->unit != e->unit || strcmp(leaf->line, e->id->line) != 0 || !digest_equal(&leaf->pin, &before->pin) ||
	    memcmp(leaf->sign_public, before->sign_public, SIGN_PUBLIC_SIZE) != 0)
		return err_set(err, ERR_CHAIN, "the parent's answer to a renewal: a certificate for another node");
	if (!same_top(&mine->at[mine->n - 1], &c->at[c->n - 1]))
		return err_set(err, ERR_CHAIN, "the parent's answer to a renewal: another tree's top certificate");
	if (c->at[1].unit != e->parent ||
	    (!digest_equal(&c->at[1].pin, &mine->at[1].pin) && !(c->n == 2 && mine->n == 2 && c->at[1].anchored)))
		return err_set(err, ERR_CHAIN, "the parent's answer to a renewal: a certificate that is not of its own chain");
	return 0;
}

static int adopt_chain(struct engine *e, struct slice pem, struct err *err)
{
	const struct identity *id;
	struct chain c;
	int rc = chain_read(pem, NULL, &c, err);

	if (rc == 0)
		rc = check_chain(e, &c, err);
	if (rc == 0 && e->options.renewed == NULL)
		rc = err_set(err, ERR_CONFIG, "this node has no place to keep a new certificate in");
	if (rc != 0)
		return rc;
	id = e->options.renewed(e->options.arg, pem, err);
	if (id == NULL)
		return err != NULL && err->code != 0 ? err->code : ERR_IO;
	e->id = id;
	e->reissue = false;
	return 0;
}

int engine_renew_take(struct engine *e, int http_status, struct slice answer, struct err *err)
{
	const struct facts before = e->id->chain.at[0];
	char until[RFC3339_SIZE];
	int rc;

	if (http_status != 200)
		return err_set(err, ERR_REFUSED, "the parent does not renew the certificate");
	rc = adopt_chain(e, answer, err);
	if (rc != 0 || digest_equal(&before.fingerprint, &e->id->chain.at[0].fingerprint))
		return rc;
	e->renew_ms = 0;
	event(e, LOG_LEVEL_NOTICE, "enrol", e->parent, NULL, "this node's certificate is renewed until %s, serial %s",
	      time_rfc3339(e->id->chain.at[0].until_s * 1000, until), e->id->chain.at[0].serial);
	return 0;
}

/* ---- the certificates above */

void renew_above_put(const struct engine *e, struct buf *b)
{
	struct digest d = digest_of(pem_above(buf_slice(&e->id->chain_pem)));

	buf_put(b, d.at, DIGEST_SIZE);
}

void renew_chain_put(const struct engine *e, const struct digest *above, struct buf *b)
{
	struct digest d = digest_of(buf_slice(&e->id->chain_pem));

	buf_put_slice(b, digest_equal(&d, above) ? (struct slice){ NULL, 0 } : buf_slice(&e->id->chain_pem));
}

/* The top, this node's parent, has another key: this node's own certificate is to be made anew. */
static bool another_key(const struct engine *e, struct slice above_pem)
{
	struct chain c;

	return e->id->chain.n == 2 && chain_read(above_pem, NULL, &c, NULL) == 0 && c.n == 1 &&
	       chain_follows(&e->id->chain.at[1], &c.at[0]);
}

int renew_follow(struct engine *e, struct slice above_pem, struct err *err)
{
	_cleanup_(buf_release) struct buf pem = { .cap = LIMIT_CHAIN_BYTES };
	struct slice leaf = pem_first(buf_slice(&e->id->chain_pem), 1);
	int rc;

	if (another_key(e, above_pem)) {
		e->reissue = true;
		e->renew_ms = 0;
		return 0;
	}
	buf_put(&pem, leaf.p, leaf.n);
	buf_put(&pem, above_pem.p, above_pem.n);
	if (pem.failed)
		return err_set(err, ERR_LIMIT, "the parent's chain is larger than %u bytes", LIMIT_CHAIN_BYTES);
	rc = adopt_chain(e, buf_slice(&pem), err);
	if (rc == 0)
		event(e, LOG_LEVEL_NOTICE, "enrol", e->parent, NULL, "the certificates above this node were renewed; it has the new ones");
	return rc;
}
