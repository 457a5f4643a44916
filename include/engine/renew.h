/* Renewal: a certificate is made anew from half its life on, the key stays (design protocol §1).  terrace-wire(7)
 * has the bodies: that of POST /v1/renew stands in core/enroll.h; a hello names the hash of the certificates above the
 * child's own, and its answer carries them where the parent's own are others by now. */
#ifndef ENGINE_RENEW_H
#define ENGINE_RENEW_H

#include "engine/self.h"

#define NODE_DAYS 730                    /* the life of a node's certificate */

/* Issues for a checked request, from tree time on: the new certificate and this node's own chain.  ERR_BUSY where the
 * tree's time is not known. */
int certificate_issue(struct engine *e, struct slice request_pem, uint64_t unit, const char *name, struct buf *ret_pem,
                      struct err *err);

/* The first n certificates of a PEM bundle; empty where it has fewer. */
struct slice pem_first(struct slice pem, uint32_t n);

/* The hash that a hello names, and what its answer carries: the parent's chain, empty where the child has it. */
void renew_above_put(const struct engine *e, struct buf *b);
void renew_chain_put(const struct engine *e, const struct digest *above, struct buf *b);
/* After a hello: the parent's chain is other certificates of the same keys; this node's own stays. */
int renew_follow(struct engine *e, struct slice above_pem, struct err *err);

#endif
