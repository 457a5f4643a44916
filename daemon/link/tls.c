#include "link/tls.h"

#include <gnutls/gnutls.h>
#include <string.h>

#include "core/limits.h"

static int read_peer(void *session, const struct digest *top_pin, struct chain *ret, struct err *err)
{
	struct slice der[LIMIT_CHAIN];
	unsigned int n = 0;
	const gnutls_datum_t *list = session ? gnutls_certificate_get_peers(session, &n) : NULL;

	if (!list || n == 0)
		return err_set(err, ERR_CHAIN, "no certificate was shown");
	if (n > LIMIT_CHAIN)
		return err_set(err, ERR_CHAIN, "a chain of %u certificates, at most %u are allowed", n, LIMIT_CHAIN);
	for (unsigned int i = 0; i < n; i++)
		der[i] = (struct slice){ list[i].data, list[i].size };
	int r = chain_read_der(der, n, top_pin, ret, err);
	/* To the one who asks, too long a chain is a chain without a place. */
	return r == ERR_LIMIT ? err_set(err, ERR_CHAIN, "a chain larger than %u bytes", LIMIT_CHAIN_BYTES) : r;
}

static const struct facts *top_of(const struct chain *c)
{
	return &c->at[c->n - 1];
}

/* Whether the chain was issued by a top certificate in whose place this node's own stands by an anchor. */
static bool is_former(const struct facts *issuer, const struct identity *me)
{
	const struct facts *top = &me->chain.at[0];

	for (uint32_t i = 0; me->chain.n == 1 && top->anchored && i < top->nformer; i++)
		if (digest_equal(&top->former[i].pin, &issuer->pin))
			return true;
	return false;
}

/* Under this tree's top; or issued by this node's own key, or its former one, before a new top took the place. */
static int check_top(const struct chain *c, const struct identity *me, struct err *err)
{
	char child[UNIT_TEXT_SIZE];
	const struct facts *issuer = &c->at[c->n > 1];

	if (digest_equal(&top_of(c)->pin, &top_of(&me->chain)->pin) ||
	    (c->n > 1 && issuer->unit == me->unit && (digest_equal(&issuer->pin, &me->chain.at[0].pin) || is_former(issuer, me))))
		return 0;
	return err_set(err, ERR_CHAIN, "chain of %s: its top certificate (%s) is not this tree's", unit_text(c->at[0].unit, child),
	               top_of(c)->name);
}

int tls_check_child(void *session, const struct identity *me, struct chain *ret, struct err *err)
{
	char child[UNIT_TEXT_SIZE], issuer[UNIT_TEXT_SIZE], mine[UNIT_TEXT_SIZE];
	struct chain c;
	int r = read_peer(session, NULL, &c, err);

	if (!r)
		r = check_top(&c, me, err);
	if (r)
		return r;
	unit_text(c.at[0].unit, child);
	unit_text(me->unit, mine);
	if (c.n < 2 || c.at[0].unit == me->unit || !unit_contains(me->unit, c.at[0].unit))
		return err_set(err, ERR_CHAIN, "%s is not below %s", child, mine);
	if (c.at[1].unit != me->unit)
		return err_set(err, ERR_CHAIN, "%s belongs to %s, not to %s", child, unit_text(c.at[1].unit, issuer), mine);
	if (strcmp(c.at[0].line, me->line))
		return err_set(err, ERR_CHAIN, "%s is of line \"%s\", this node of \"%s\"", child, c.at[0].line, me->line);
	*ret = c;
	return 0;
}

static bool is_revoked(struct slice revoked, const char *serial)
{
	const char *p = (const char *)revoked.p, *end = p + revoked.n;

	while (p < end) {
		int order = strcmp(p, serial);
		if (order >= 0)
			return order == 0;
		p += strlen(p) + 1;
	}
	return false;
}

bool tls_is_former(const struct chain *child, const struct identity *me)
{
	return child->n > 1 && !digest_equal(&child->at[1].pin, &me->chain.at[0].pin);
}

bool tls_is_revoked(const struct chain *c, struct slice revoked)
{
	for (uint32_t i = 0; revoked.n && i < c->n; i++)
		if (is_revoked(revoked, c->at[i].serial))
			return true;
	return false;
}

int tls_check_now(const struct chain *child, struct slice revoked, int64_t tree_time_s, bool *ret_upload_only,
                  struct err *err)
{
	char unit[UNIT_TEXT_SIZE];

	*ret_upload_only = false;
	for (uint32_t i = 0; revoked.n && i < child->n; i++)
		if (is_revoked(revoked, child->at[i].serial))
			return err_set(err, ERR_CHAIN, "certificate of %s: revoked", unit_text(child->at[i].unit, unit));
	int r = tree_time_s ? chain_dates(child, tree_time_s, err) : 0;
	if (!r)
		return 0;
	if (tree_time_s <= child->at[0].until_s || tree_time_s - child->at[0].until_s > TLS_EXPIRED_MOST_S)
		return r;
	*ret_upload_only = true;
	return 0;
}

int tls_check_parent(void *session, const struct identity *me, struct err *err)
{
	char shown[UNIT_TEXT_SIZE], wanted[UNIT_TEXT_SIZE];
	struct chain c;

	if (me->chain.n < 2)
		return err_set(err, ERR_CHAIN, "this node has no parent");
	const struct facts *parent = &me->chain.at[1];
	int r = read_peer(session, NULL, &c, err);
	if (r)
		return err_prefix(err, "the parent's address answers with another node: ");
	if (me->chain.n == 2 && c.n == 1 && chain_follows(parent, &c.at[0]))
		return 0;                        /* the top, with another key: its recovery key says so */
	if (c.at[0].unit != parent->unit || !digest_equal(&c.at[0].pin, &parent->pin) || strcmp(c.at[0].line, me->line))
		return err_set(err, ERR_CHAIN, "the parent's address answers as %s, line \"%s\", with %s key; expected %s",
		               unit_text(c.at[0].unit, shown), c.at[0].line,
		               digest_equal(&c.at[0].pin, &parent->pin) ? "the right" : "another",
		               unit_text(parent->unit, wanted));
	return 0;
}

int tls_check_pin(void *session, const struct digest *pin, struct chain *ret, struct err *err)
{
	struct chain c;
	int r = read_peer(session, NULL, &c, err);

	if (!r && !digest_equal(&c.at[0].pin, pin))
		r = err_set(err, ERR_CHAIN, "the address of the invitation answers with another node's key");
	if (!r)
		*ret = c;
	return r;
}
