/* Status: what a node says of itself, and its superiors pass on, in every hello: `status --tree` shows it with the
 * age of the knowledge.  Numbers of the node that says it, times of its own wall clock: for people, never a
 * decision.
 *
 * Form: byte 1 (format); varint unit; name (length-prefixed); zigzag as_of, contact; 4 bytes epoch; varints sealed,
 * applied, settled, pending_segments, pending_bytes; zigzag oldest; varints quarantine, conflicts, proposals,
 * returns, issues; byte digest; zigzag digest_at; varint count, per policy varint issuer, varint version, state
 * (length-prefixed). */
#ifndef CORE_STATUS_H
#define CORE_STATUS_H

#include "core/unit.h"

enum status_digest { STATUS_UNKNOWN, STATUS_EQUAL, STATUS_DIFFERS };

struct status_policy {
	uint64_t issuer, version;
	char state[16];                  /* "active", "staged", "failed" */
};

struct status {
	uint64_t unit;
	char name[193];
	int64_t as_of_ms, contact_ms;    /* when it was said; the node's last contact with its parent, 0 = none */
	uint32_t epoch;
	uint64_t sealed, applied, settled;       /* deltas of its own, over all streams */
	uint64_t pending_segments, pending_bytes;        /* in its outbox, not acknowledged */
	int64_t oldest_ms;               /* wall time of the oldest of them; 0 = none */
	uint64_t quarantine, conflicts, proposals, returns, issues;
	enum status_digest digest;       /* of the link to its parent */
	int64_t digest_at_ms;
	uint32_t npolicies;
	struct status_policy policies[64];
};

void status_put(struct buf *b, const struct status *s);
int status_get(struct slice body, struct status *ret, struct err *err);

#endif
