/* Feed: what the parent has for a child, GET /v1/feed (design protocol §3, §4).
 *
 * The request names the child's position, its hash, and a receipt for it (engine/contact.h; one line: author the
 * parent, stream the child's unit).  Body of the answer: byte 1 (format), then state segments, each length-prefixed, to
 * the end; empty: nothing waits. */
#include "engine/contact.h"

#include <string.h>

#include "base/log.h"

/* ---- the child's side */

int engine_feed_make(struct engine *e, uint64_t *ret_after, struct digest *ret_hash, struct buf *receipt,
                     struct err *err)
{
	struct receipt_line line;
	struct link l;
	bool found = false;
	int rc;

	if (e->parent == UNIT_NONE)
		return err_set(err, ERR_NOT_FOUND, "this node has no parent to be fed by");
	rc = link_get(e->db, e->parent, &l, &found, err);
	if (rc != 0)
		return rc;
	*ret_after = l.position;
	*ret_hash = l.position_hash;
	if (l.position == 0)
		return 0;
	line = (struct receipt_line){ e->parent, e->unit, l.position, l.position_hash };
	receipt_make(e, &line, 1, receipt);
	return receipt->failed ? err_set(err, ERR_NOMEM, "a receipt: memory is short") : 0;
}

int engine_feed_take(struct engine *e, struct slice body, struct err *err)
{
	const uint8_t *key = parent_key(e);
	struct reader r = reader_of(body);
	int rc = 0;

	if (body.n == 0)
		return 0;
	if (e->space == SPACE_HARD)
		return err_set(err, ERR_FULL, "the disk of this node is nearly full; the feed is taken when there is room");
	if (key == NULL)
		return err_set(err, ERR_CHAIN, "this node's chain does not name its parent; renew it");
	if (read_u8(&r) != CONTACT_FORMAT)
		return err_set(err, ERR_FORMAT, "the feed of unit %012llu is malformed", (unsigned long long)e->parent);
	while (rc == 0 && reader_left(&r) > 0) {
		struct slice segment = read_slice(&r);
		struct counts counts;
		bool left = false;

		if (r.bad)
			return err_set(err, ERR_FORMAT, "the feed of unit %012llu is cut", (unsigned long long)e->parent);
		rc = run_take(e, e->parent, segment, key, &left, &counts, err);
		if (rc == 0 && left)
			break;                   /* what is asked for next names this node's own position */
	}
	if (rc == 0)
		settled_compare(e);
	else if (!transient(rc) && rc != ERR_SCHEMA)
		event(e, LOG_LEVEL_ERROR, "alarm", e->parent, NULL, "%s", err != NULL ? err->text : err_name(rc));
	return rc;
}

/* ---- the parent's side */

bool engine_feed_ready(struct engine *e, uint64_t peer)
{
	return e->ready && e->space != SPACE_HARD && run_waits(e, peer);
}

uint32_t engine_feed_woken(struct engine *e, uint64_t ret[ENGINE_WOKEN])
{
	struct woken w = db_woken(e->db);

	_Static_assert(ENGINE_WOKEN == WOKEN_MOST, "both list as many");
	memcpy(ret, w.peers, MIN(w.n, ENGINE_WOKEN) * sizeof *ret);
	return e->ready ? w.n : ENGINE_WOKEN + 1;
}

static int take_receipt(struct engine *e, const struct facts *peer, uint64_t after, const struct digest *hash,
                        struct slice receipt, struct err *err)
{
	struct receipt_line lines[RECEIPT_LINES];
	uint32_t n = 0;
	int rc = receipt_read(receipt, peer->unit, peer->sign_public, lines, &n, err);

	if (rc != 0)
		return rc;
	if (n != 1 || lines[0].author != e->unit || lines[0].stream != peer->unit || lines[0].position != after ||
	    !digest_equal(&lines[0].hash, hash))
		return err_set(err, ERR_FORMAT, "unit %012llu: the receipt does not speak of position %llu",
		               (unsigned long long)peer->unit, (unsigned long long)after);
	return 0;
}

/* Acknowledges and builds, in the caller's transaction with an empty log. */
static int serve(struct engine *e, const struct facts *peer, struct link *l, uint64_t after, const struct digest *hash,
                 struct slice receipt, size_t most, struct buf *body, struct err *err)
{
	uint32_t n = 0;
	bool fits = false;
	int rc = run_acknowledge(e, l, after, hash, &fits, err);

	if (rc == 0 && !fits)
		return err_set(err, ERR_HEAL, "unit %012llu asks for the feed after %llu, which is not what this node built: say hello",
		               (unsigned long long)peer->unit, (unsigned long long)after);
	if (rc == 0 && receipt.n > 0)
		rc = receipt_store(e, receipt, peer->unit, peer->sign_public, err);
	if (rc == 0) {
		buf_put_u8(body, CONTACT_FORMAT);
		rc = run_build(e, l, after, most, body, &n, err);
	}
	if (rc == 0 && n == 0)
		buf_clear(body);
	l->contact_ms = now_ms(e);
	return rc == 0 ? link_put(e->db, l, err) : rc;
}

int engine_feed_answer(struct engine *e, const struct facts *peer, uint64_t after, const struct digest *hash,
                       struct slice receipt, size_t most, struct buf *body, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	bool found = false, fresh;
	struct link l;
	int rc = link_get(e->db, peer->unit, &l, &found, err);

	if (rc != 0)
		return rc;
	if (l.twin)
		return err_set(err, ERR_REFUSED, "two machines run as unit %012llu; settle it with `terracectl rejoin`",
		               (unsigned long long)peer->unit);
	if (e->space == SPACE_HARD)
		return 0;                        /* what is built is written down, and there is no room */
	if (found && !e->ready)
		return 0;                        /* nothing is known to be right here before this node has healed itself */
	if (!found || !l.healed || !greeted(e, peer->unit))
		return err_set(err, ERR_HEAL, "the link to unit %012llu has to heal first: say hello", (unsigned long long)peer->unit);
	fresh = after != l.fed;
	if (receipt.n > 0 && fresh)
		rc = take_receipt(e, peer, after, hash, receipt, err);
	else if (fresh)
		rc = err_set(err, ERR_FORMAT, "unit %012llu: position %llu comes without a receipt", (unsigned long long)peer->unit,
		             (unsigned long long)after);
	if (rc != 0)
		return rc;
	if (!fresh && digest_equal(hash, &l.fed_hash) && !run_waits(e, peer->unit))
		return 0;
	rc = begin_empty(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	rc = link_get(e->db, peer->unit, &l, &found, err);     /* sealing may have touched it */
	if (rc == 0)
		rc = serve(e, peer, &l, after, hash, fresh ? receipt : (struct slice){ NULL, 0 }, most, body, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc != 0)
		buf_clear(body);
	return rc;
}
