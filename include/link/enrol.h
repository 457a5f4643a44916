/* Enrolment, the side that joins: gives the invitation's secret and a certificate request to the parent, whose key
 * must be the invitation's, and checks the chain that comes back (core/enroll.h has the formats).  Blocks. */
#ifndef LINK_ENROL_H
#define LINK_ENROL_H

#include "core/chain.h"
#include "core/enroll.h"

struct enrol_options {
	const struct invitation *invitation;
	struct slice key_pem;            /* this node's TLS key */
	const uint8_t *sign_public;      /* SIGN_PUBLIC_SIZE bytes */
	const char *proxy;               /* "" = none */
	const char *spool;               /* a folder */
	int deadline_ms;                 /* for one address */
};

/* Tries the invitation's addresses in turn.  ERR_NETWORK when none answers; the parent's own refusal (ERR_REFUSED,
 * ERR_GONE …) ends it at once. */
int enrol_ask(const struct enrol_options *o, struct buf *ret_chain_pem, struct chain *ret, struct err *err);

/* The same by stick: the body of POST /v1/enroll, and the chain that came back, checked against the invitation. */
int enrol_request(const struct enrol_options *o, struct buf *ret_body, struct err *err);
int enrol_accept(const struct enrol_options *o, struct slice chain_pem, struct chain *ret, struct err *err);

#endif
