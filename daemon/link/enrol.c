#include "link/enrol.h"

#include <string.h>

#include "base/text.h"
#include "core/limits.h"
#include "link/dial.h"

/* What came back must be for this node: its unit, line and both its keys, issued by the key of the invitation and by
 * the very chain that the other end showed, or one under the top that took its top's place meanwhile. */
static int check_answer(const struct enrol_options *o, const struct chain *shown, const struct chain *c, struct err *err)
{
	_cleanup_(buf_release) struct buf request = { 0 };
	const struct invitation *i = o->invitation;
	struct facts asked;
	int r = chain_request(o->key_pem, i->unit, i->line, i->name, o->sign_public, &request, err);

	if (!r)
		r = chain_request_read(buf_slice(&request), &asked, err);
	if (r)
		return r;
	if (c->n < 2 || c->n != shown->n + 1 || !digest_equal(&c->at[1].pin, &i->pin) ||
	    (!digest_equal(&c->at[c->n - 1].pin, &shown->at[shown->n - 1].pin) &&
	     !chain_follows(&shown->at[shown->n - 1], &c->at[c->n - 1])))
		return err_set(err, ERR_CHAIN, "the parent's answer: a certificate that is not of its own chain");
	if (c->at[0].unit != i->unit || strcmp(c->at[0].line, i->line) || !digest_equal(&c->at[0].pin, &asked.pin) ||
	    memcmp(c->at[0].sign_public, o->sign_public, SIGN_PUBLIC_SIZE))
		return err_set(err, ERR_CHAIN, "the parent's answer: a certificate for another node");
	return 0;
}

static int refusal(const struct dial_answer *a, const char *url, struct err *err)
{
	_cleanup_(json_release) json_t *j = json_loadb((const char *)a->body.p, a->body.n, 0, NULL);
	const char *name = json_string_value(json_object_get(j, "code"));
	const char *message = json_string_value(json_object_get(j, "message"));
	int code = name ? err_from_name(name) : ERR_NETWORK;

	if (message)
		return err_set(err, code, "%s: %.400s", url, message);
	return err_set(err, code, "%s: HTTP status %d", url, a->status);
}

/* *ret_final: another address would say the same. */
static int ask_one(struct dialer *d, struct lane *lane, const struct enrol_options *o, const char *url, struct slice body,
                   struct dial_answer *ret, bool *ret_final, struct err *err)
{
	const struct source clock = source_system();
	_cleanup_(free_pointer) char *path = text_printf("%s/v1/enroll", url);
	const struct dial_request request = { .url = path, .post = true, .body = body, .most = LIMIT_CHAIN_BYTES };
	int64_t until = clock.steady_ms(NULL) + o->deadline_ms;
	int code = 0, r = path ? lane_start(lane, &request, err) : err_set(err, ERR_NOMEM, "out of memory");

	while (!r && !lane_take(lane, ret, &code, err)) {
		int64_t left = until - clock.steady_ms(NULL);
		if (left <= 0)
			r = err_set(err, ERR_NETWORK, "%s: no answer in %d s", url, o->deadline_ms / 1000);
		else
			dialer_run(d, MIN(left, 1000));
	}
	if (r || code) {
		lane_cancel(lane);
		return r ? r : code;
	}
	*ret_final = ret->status < 500;
	return ret->status == 200 ? 0 : refusal(ret, url, err);
}

int enrol_request(const struct enrol_options *o, struct buf *ret_body, struct err *err)
{
	_cleanup_(buf_release) struct buf request = { 0 };
	const struct invitation *i = o->invitation;
	struct enroll_request q = { .unit = i->unit };
	int r = chain_request(o->key_pem, i->unit, i->line, i->name, o->sign_public, &request, err);

	if (r)
		return r;
	memcpy(q.secret, i->secret, ENROLL_SECRET_SIZE);
	q.request_pem = buf_slice(&request);
	enroll_put(&q, ret_body);
	bytes_wipe(q.secret, sizeof q.secret);
	return ret_body->failed ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

/* Nobody shows a chain here: the issuer's key is the invitation's, and what stands above it is signed link by link. */
int enrol_accept(const struct enrol_options *o, struct slice chain_pem, struct chain *ret, struct err *err)
{
	struct chain c, above = { 0 };
	int r = chain_read(chain_pem, NULL, &c, err);

	if (r)
		return r;
	above.n = c.n - 1;
	for (uint32_t at = 0; at < above.n; at++)
		above.at[at] = c.at[at + 1];
	r = above.n == 0 ? err_set(err, ERR_CHAIN, "the parent's answer: a certificate that is not of its own chain") :
	                   check_answer(o, &above, &c, err);
	if (!r)
		*ret = c;
	return r;
}

int enrol_ask(const struct enrol_options *o, struct buf *ret_chain_pem, struct chain *ret, struct err *err)
{
	const struct invitation *i = o->invitation;
	_cleanup_(buf_release) struct buf body = { 0 };
	struct spool_room room = { .folder = o->spool };
	const struct dial_options options = { .pin = &i->pin, .proxy = o->proxy, .room = &room };
	struct dial_answer answer = { 0 };
	struct dialer *d = NULL;
	struct lane *lane = NULL;
	struct chain c = { 0 };
	bool final = false;

	int r = enrol_request(o, &body, err);
	if (!r)
		r = dialer_new(&options, &d, err);
	if (!r)
		r = lane_new(d, &lane, err);
	for (uint32_t at = 0; lane && at < i->nurls && !final; at++) {
		r = ask_one(d, lane, o, i->url[at], buf_slice(&body), &answer, &final, err);
		if (!r)
			break;
	}
	if (!r)
		r = chain_read(answer.body, NULL, &c, err);
	if (!r)
		r = check_answer(o, &answer.peer, &c, err);
	if (!r) {
		buf_put(ret_chain_pem, answer.body.p, answer.body.n);
		*ret = c;
	}
	dialer_free(d);
	bytes_wipe(body.p, body.n);
	return r;
}
