/* Enrolment at the issuing node, and what its server must not let in (design protocol §1). */
#include "engine/contact.h"
#include "engine/renew.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/enroll.h"

/* One answer for every wrong secret, whether the unit is invited or not. */
static int wrong(uint64_t unit, struct err *err)
{
	return err_set(err, ERR_REFUSED, "unit %012llu: no such invitation; ask for a new one (terracectl invite)",
	               (unsigned long long)unit);
}

/* The same machine asks again, its answer was lost: it gets what it got. */
static bool asked_before(struct engine *e, const struct facts *asked, struct arena *a, struct slice *ret_chain)
{
	struct peer p;
	struct chain c;
	bool found = false;

	if (peer_get(e->db, asked->unit, a, &p, &found, NULL) != 0 || !found || p.revoked || p.chain.n == 0)
		return false;
	if (chain_read(p.chain, NULL, &c, NULL) != 0 || !digest_equal(&c.at[0].pin, &asked->pin))
		return false;
	*ret_chain = p.chain;
	return true;
}

static int check(struct engine *e, const struct enroll_request *q, const struct invite *i, bool found,
                 const struct facts *asked, struct err *err)
{
	struct digest secret = digest_of((struct slice){ q->secret, sizeof q->secret });

	if (!found || !bytes_equal_secret(secret.at, i->secret.at, DIGEST_SIZE))
		return wrong(q->unit, err);
	if (!unit_contains(e->unit, q->unit) || q->unit == e->unit)
		return err_set(err, ERR_REFUSED, "unit %012llu is not below unit %012llu", (unsigned long long)q->unit,
		               (unsigned long long)e->unit);
	if (asked->unit != q->unit || strcmp(asked->line, e->id->line) != 0)
		return err_set(err, ERR_REFUSED, "unit %012llu: the request is for unit %012llu of line %s", (unsigned long long)q->unit,
		               (unsigned long long)asked->unit, asked->line);
	return 0;
}

/* Its predecessor's certificate is revoked; the new one starts from nothing and heals. */
static int admit(struct engine *e, const struct chain *c, const char *name, struct slice pem, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	const struct facts *leaf = &c->at[0];
	struct peer p = { .unit = leaf->unit, .direct = true, .chain = pem, .until_s = leaf->until_s }, old;
	const struct link l = { .peer = leaf->unit };
	bool found = false;
	int rc = peer_get(e->db, leaf->unit, &a, &old, &found, err);

	if (rc == 0 && found && old.serial[0] != '\0')
		rc = peer_revoke(e->db, &old, now_ms(e), err);
	snprintf(p.name, sizeof p.name, "%s", name);
	snprintf(p.serial, sizeof p.serial, "%s", leaf->serial);
	memcpy(p.sign_public, leaf->sign_public, sizeof p.sign_public);
	if (rc == 0)
		rc = peer_put(e->db, &p, now_ms(e), err);
	ungreet(e, leaf->unit);
	if (rc == 0)
		rc = dirty_drop(e->db, leaf->unit, err);
	if (rc == 0)
		rc = link_put(e->db, &l, err);
	if (rc == 0)
		rc = cursor_start(e->db, leaf->unit, e->catalog, err);
	if (rc == 0)
		rc = broadcasts_down(e, leaf->unit, err);
	if (rc == 0)
		rc = invite_used(e->db, leaf->unit, now_ms(e), err);
	return rc == 0 ? engine_reload_children(e, err) : rc;
}

static int enroll(struct engine *e, const struct enroll_request *q, const struct facts *asked, const struct invite *i,
                  struct buf *answer, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf pem = { 0 };
	struct slice known;
	struct chain c;
	int rc;

	if (i->used_ms != 0) {
		if (!asked_before(e, asked, &a, &known))
			return err_set(err, ERR_GONE, "unit %012llu: the invitation was used; ask for a new one", (unsigned long long)q->unit);
		buf_put(answer, known.p, known.n);
		return 0;
	}
	if (engine_tree_time(e) > i->until_s)
		return err_set(err, ERR_GONE, "unit %012llu: the invitation has expired; ask for a new one", (unsigned long long)q->unit);
	rc = certificate_issue(e, q->request_pem, q->unit, i->name[0] != '\0' ? i->name : asked->name, &pem, err);
	if (rc == 0)
		rc = chain_read(buf_slice(&pem), NULL, &c, err);
	if (rc == 0)
		rc = admit(e, &c, i->name[0] != '\0' ? i->name : asked->name, buf_slice(&pem), err);
	if (rc != 0)
		return rc;
	buf_put(answer, pem.p, pem.n);
	event(e, LOG_LEVEL_NOTICE, "enrol", q->unit, NULL, "unit %012llu is enrolled, serial %s", (unsigned long long)q->unit,
	      c.at[0].serial);
	return 0;
}

int engine_enroll_answer(struct engine *e, struct slice body, struct buf *answer, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct enroll_request q;
	struct facts asked;
	struct invite i = { 0 };
	bool found = false;
	int rc = enroll_get(body, &q, err);

	if (rc == 0)
		rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	rc = invite_get(e->db, q.unit, &i, &found, err);
	if (rc == 0)                             /* the secret first: nothing else is told to whom does not have it */
		rc = chain_request_read(q.request_pem, &asked, err);
	if (rc == 0)
		rc = check(e, &q, &i, found, &asked, err);
	if (rc == 0)
		rc = enroll(e, &q, &asked, &i, answer, err);
	if (rc == 0 && answer->failed)
		rc = err_set(err, ERR_NOMEM, "answering an enrolment: memory is short");
	if (rc == 0)
		rc = engine_commit(e, err);
	bytes_wipe(q.secret, sizeof q.secret);
	if (rc != 0) {
		engine_rollback(e);
		engine_reload_children(e, NULL);
		buf_clear(answer);
		return rc;
	}
	e->hello_due = e->parent != UNIT_NONE;   /* the certificate goes up before the first delta does */
	return 0;
}

int engine_welcome(struct engine *e, const struct chain *c, struct slice pem, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int rc = engine_begin(e, err);

	guard = e;
	if (rc == 0)
		rc = admit(e, c, c->at[0].name, pem, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	e->hello_due = e->parent != UNIT_NONE;
	return rc;
}

static int add_serial(void *arg, const char *serial)
{
	struct buf *b = arg;

	buf_put(b, serial, strlen(serial) + 1);
	return 0;
}

int engine_revoked(struct engine *e, struct buf *ret, struct err *err)
{
	int rc = revoked_each(e->db, add_serial, ret, err);

	return rc == 0 && ret->failed ? err_set(err, ERR_NOMEM, "the revoked certificates: memory is short") : rc;
}
