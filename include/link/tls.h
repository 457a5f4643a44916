/* TLS: who is at the other end of a connection (design protocol §1).  A session is GnuTLS's, as libmicrohttpd and
 * libcurl hand it over; nobody else in link/ knows the library.
 *
 * The one that listens asks for a certificate, takes the whole chain and judges: the top is this tree's, the issuer is
 * this unit, same line, strict descendant, no serial of the chain revoked, dates by tree time.  Where a new top took the place
 * of another (core/chain.h, anchor) what this node's own key issued is good, what its former one issued may upload only.  The one that dials
 * checks that the chain is the parent that its own chain names, by unit and key, and never a date. */
#ifndef LINK_TLS_H
#define LINK_TLS_H

#include "engine/engine.h"

#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define TLS_EXPIRED_MOST_S (INT64_C(366) * 86400)        /* how long past its end a certificate may still upload */

/* The peer's chain, checked against this tree and this node, without revocation and dates; ERR_CHAIN. */
int tls_check_child(void *session, const struct identity *me, struct chain *ret, struct err *err);
bool tls_is_revoked(const struct chain *c, struct slice revoked);
/* Whether this node's key, in force now, is another than the one that issued the chain. */
bool tls_is_former(const struct chain *child, const struct identity *me);
/* What changes while a connection stands: revocation (sorted serials, each with its NUL) and dates (tree_time_s 0 =
 * not known: not judged).  *ret_upload_only: past its end, by at most TLS_EXPIRED_MOST_S. */
int tls_check_now(const struct chain *child, struct slice revoked, int64_t tree_time_s, bool *ret_upload_only,
                  struct err *err);
/* Before any request byte: the chain's leaf is the parent that me->chain names. */
int tls_check_parent(void *session, const struct identity *me, struct err *err);
/* At enrolment: the leaf has the invitation's pin; the chain is whole in itself. */
int tls_check_pin(void *session, const struct digest *pin, struct chain *ret, struct err *err);

#endif
