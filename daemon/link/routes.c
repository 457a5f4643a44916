#include "link/routes.h"

#include <string.h>

#include "base/text.h"
#include "core/limits.h"

/* One segment of the largest size with its frame; a push holds several smaller ones. */
#define PUSH_BODY (LIMIT_SEGMENT_STORED + LIMIT_HEADER + 1024)

static int run_enroll(struct engine *e, struct exchange *x, struct err *err)
{
	return engine_enroll_answer(e, x->body, &x->answer, err);
}

static int run_hello(struct engine *e, struct exchange *x, struct err *err)
{
	return engine_hello_answer(e, &x->peer, x->body, &x->answer, err);
}

static int run_renew(struct engine *e, struct exchange *x, struct err *err)
{
	return engine_renew_answer(e, &x->peer, x->body, &x->answer, err);
}

static int run_leave(struct engine *e, struct exchange *x, struct err *err)
{
	return engine_leave_answer(e, &x->peer, x->body, &x->answer, err);
}

static int run_push(struct engine *e, struct exchange *x, struct err *err)
{
	return engine_push_answer(e, &x->peer, x->body, &x->answer, err);
}

static int run_round(struct engine *e, struct exchange *x, struct err *err)
{
	return engine_round_answer(e, &x->peer, x->body, &x->answer, err);
}

static int bad_query(const struct exchange *x, struct err *err, const char *name, const char *value)
{
	return err_set(err, ERR_FORMAT, "%s: %s=%.40s: not a proper value", x->route->path, name, value ? value : "(missing)");
}

static int number(const struct exchange *x, const char *name, uint64_t most, uint64_t absent, uint64_t *ret,
                  struct err *err)
{
	const char *text = exchange_query(x, name);

	if (!text && absent != UINT64_MAX) {
		*ret = absent;
		return 0;
	}
	return text && !text_number(text, 0, most, ret) ? 0 : bad_query(x, err, name, text);
}

/* GET /v1/feed?after=N&hash=HEX[&wait=S][&most=BYTES]; the receipt in Terrace-Receipt as base64url. */
static int run_feed(struct engine *e, struct exchange *x, struct err *err)
{
	uint8_t receipt[LIMIT_RECEIPT];
	uint64_t after, wait_s, most;
	size_t n = 0;
	struct digest hash;

	int r = number(x, "after", UINT64_MAX - 1, UINT64_MAX, &after, err);
	if (!r)
		r = number(x, "wait", 3600, 0, &wait_s, err);
	if (!r)
		r = number(x, "most", LIMIT_SEGMENT_STORED, SERVER_ANSWER_MOST, &most, err);
	if (r)
		return r;
	const char *hex = exchange_query(x, "hash"), *text = exchange_header(x, "Terrace-Receipt");
	if (!hex || hex_get(slice_of(hex), hash.at, DIGEST_SIZE))
		return bad_query(x, err, "hash", hex);
	if (text && base64url_get(slice_of(text), receipt, sizeof(receipt), &n))
		return err_set(err, ERR_FORMAT, "/v1/feed: Terrace-Receipt is not base64url of at most %u bytes", LIMIT_RECEIPT);
	x->wait_ms = MIN((int64_t)wait_s * 1000, SERVER_WAIT_MOST_MS);
	return engine_feed_answer(e, &x->peer, after, &hash, (struct slice){ receipt, n },
	                          (size_t)MIN(most, SERVER_ANSWER_MOST), &x->answer, err);
}

/* GET /v1/segments?author=UNIT&epoch=E&tick=T[&skip=N]: evidence. */
static int run_evidence(struct engine *e, struct exchange *x, struct err *err)
{
	const char *unit = exchange_query(x, "author");
	uint64_t author, epoch, tick, skip;

	if (!unit || unit_parse(slice_of(unit), &author, NULL))
		return bad_query(x, err, "author", unit);
	int r = number(x, "epoch", UINT32_MAX, UINT64_MAX, &epoch, err);
	if (!r)
		r = number(x, "tick", LIMIT_TICK, UINT64_MAX, &tick, err);
	if (!r)
		r = number(x, "skip", UINT32_MAX, 0, &skip, err);
	if (r)
		return r;
	return engine_evidence_answer(e, &x->peer, author, (struct mark){ tick, (uint32_t)epoch }, (uint32_t)skip, SERVER_ANSWER_MOST,
	                              &x->answer, err);
}

static bool ready_feed(struct engine *e, struct exchange *x)
{
	return engine_feed_ready(e, x->peer.unit);
}

const struct route routes_link[] = {
	{ "POST", "/v1/enroll", ROUTE_BODY | ROUTE_ANYBODY | ROUTE_TRIES, LIMIT_ENROLL_BODY, run_enroll, NULL },
	{ "POST", "/v1/hello", ROUTE_BODY | ROUTE_EXPIRED, LIMIT_HELLO_BODY, run_hello, NULL },
	{ "POST", "/v1/renew", ROUTE_BODY | ROUTE_EXPIRED, LIMIT_ENROLL_BODY, run_renew, NULL },
	{ "POST", "/v1/segments", ROUTE_BODY | ROUTE_EXPIRED | ROUTE_SPACE, PUSH_BODY, run_push, NULL },
	{ "POST", "/v1/leave", ROUTE_BODY, 64, run_leave, NULL },
	{ "POST", "/v1/reconcile", ROUTE_BODY, LIMIT_RECONCILE_BODY + LIMIT_RECONCILE_STATES, run_round, NULL },
	{ "GET", "/v1/segments", 0, 0, run_evidence, NULL },
	{ "GET", "/v1/feed", 0, 0, run_feed, ready_feed },
	{ NULL, NULL, 0, 0, NULL, NULL },
};
