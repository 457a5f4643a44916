/* Body of POST /v1/leave: byte 1 (format), varint last entry of the child's outbox, 32 bytes head.  Answer: byte 1. */
#include "engine/leave.h"

#include <string.h>

#include "base/log.h"
#include "engine/contact.h"
#include "engine/revoke.h"

#define AGAIN_MS 5000

/* Both say of which certificate they speak. */
static const char leaving[] = "leaving", left[] = "left";

static bool said(struct engine *e, const char *name)
{
	_cleanup_(buf_release) struct buf serial = { 0 };
	bool found = false;

	return meta_get(e->db, name, &serial, &found, NULL) == 0 && found &&
	       slice_equal(buf_slice(&serial), slice_of(e->id->chain.at[0].serial));
}

static int say(struct engine *e, const char *name, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int rc = engine_begin(e, err);

	guard = e;
	if (rc == 0)
		rc = meta_put(e->db, name, slice_of(e->id->chain.at[0].serial), err);
	return rc == 0 ? engine_commit(e, err) : rc;
}

bool has_left(struct engine *e)
{
	return e->parent != UNIT_NONE && said(e, left);
}

/* ---- the child's side */

int leave_begin(struct engine *e, struct err *err)
{
	int rc;

	if (e->parent == UNIT_NONE)
		return err_set(err, ERR_REFUSED, "this node is the top of its tree; it has nobody to leave");
	if (e->nchildren > 0)
		return err_set(err, ERR_REFUSED, "unit %012llu is enrolled below this node and would be cut off: it leaves first, or is "
		               "revoked (terracectl peers revoke)", (unsigned long long)e->children[0]);
	rc = engine_seal(e, err);
	if (rc == 0)
		rc = say(e, leaving, err);
	if (rc == 0)
		e->want_sync = e->hello_due = !has_left(e);
	return rc;
}

bool engine_leave_due(struct engine *e)
{
	bool waits = true;

	if (e->parent == UNIT_NONE || steady_ms(e) < e->leave_ms || !said(e, leaving) || said(e, left))
		return false;
	return stream_waits(e->db, e->unit, e->sealed, &waits, NULL) == 0 && !waits && !log_pending(e->db) && !e->hello_due &&
	       !engine_push_ready(e);
}

int engine_leave_make(struct engine *e, struct buf *body, struct err *err)
{
	struct outbox_head head;
	int rc = outbox_head(e->db, &head, err);

	e->leave_ms = steady_ms(e) + AGAIN_MS;
	if (rc != 0)
		return rc;
	buf_put_u8(body, CONTACT_FORMAT);
	buf_put_varint(body, head.seq);
	buf_put(body, head.head.at, DIGEST_SIZE);
	return body->failed ? err_set(err, ERR_NOMEM, "leaving: memory is short") : 0;
}

int engine_leave_take(struct engine *e, bool granted, struct err *err)
{
	int rc;

	if (!granted || !said(e, leaving))
		return err_set(err, ERR_REFUSED, "the parent does not let this node go yet");
	rc = say(e, left, err);
	if (rc != 0)
		return rc;
	event(e, LOG_LEVEL_NOTICE, "enrol", e->parent, NULL, "this node has left the tree");
	e->hello_due = e->want_sync = false;
	return 0;
}

/* ---- the parent's side */

/* All that the child sealed is here. */
static int check_link(struct engine *e, const struct facts *peer, uint64_t seq, struct slice head, struct err *err)
{
	bool found = false;
	struct link l;
	int rc = link_get(e->db, peer->unit, &l, &found, err);

	if (rc == 0 && (!found || !l.healed || l.twin || !greeted(e, peer->unit)))
		return err_set(err, ERR_HEAL, "the link to unit %012llu has to heal first: say hello", (unsigned long long)peer->unit);
	if (rc == 0 && (l.received != seq || memcmp(l.received_head.at, head.p, DIGEST_SIZE) != 0))
		return err_set(err, ERR_GAP, "unit %012llu leaves: entry %llu of its outbox was expected first", (unsigned long long)peer->unit,
		               (unsigned long long)l.received + 1);
	return rc;
}

int engine_leave_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer, struct err *err)
{
	struct reader r = reader_of(body);
	uint8_t format = read_u8(&r);
	uint64_t seq = read_varint(&r);
	struct slice head = read_bytes(&r, DIGEST_SIZE);
	int rc;

	if (!reader_done(&r) || format != CONTACT_FORMAT)
		return err_set(err, ERR_FORMAT, "unit %012llu leaves: a malformed body", (unsigned long long)peer->unit);
	rc = check_link(e, peer, seq, head, err);
	if (rc == 0)
		rc = revoke_publish(e, peer->unit, "leave", err);
	if (rc == 0)
		buf_put_u8(answer, CONTACT_FORMAT);
	return rc;
}
