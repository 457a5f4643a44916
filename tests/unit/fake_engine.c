/* A fake engine for tests of link/: it is included by them, so that its engine_* functions stand before the real
 * ones.  It counts, echoes, waits and refuses as told; every field may be set from outside between calls. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/enroll.h"
#include "engine/bundle.h"
#include "engine/engine.h"

struct engine {
	_Atomic bool stop, ready, push_ready, hello_due, renew_due, upload_only, leave_due;
	_Atomic int renewals, leaves;
	char feed_serial[41];            /* of the certificate that last asked for the feed; set before feed_answers */
	_Atomic int ticks, hints, hellos, hello_answers, pushes, push_answers, feeds, feed_answers, commands, enrolls;
	_Atomic int64_t tree_time;
	_Atomic int push_ms, push_code, hello_code, syncs_left;
	_Atomic uint64_t last_peer;
	_Atomic bool last_receipt;
	_Atomic int64_t last_push_ms;    /* steady time of the last push answered */
	const char *revoked;             /* set before nrevoked */
	_Atomic size_t nrevoked;
	_Atomic bool blocked;            /* jobs of the test wait */
	_Atomic enum space space;
	bool stuck;                      /* does not hear engine_stop */
	const struct identity *identity, *next_identity; /* the next: after a renewal */
	struct invitation invitation;
};

static int64_t fake_now(void)
{
	return source_system().steady_ms(NULL);
}

static void fake_sleep(struct engine *e, int ms)
{
	for (int64_t until = fake_now() + ms; fake_now() < until && (!e->stop || e->stuck);)
		nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
}

void identity_release(struct identity *i)
{
	buf_release(&i->tls_key_pem);
	buf_release(&i->chain_pem);
	sign_key_release(&i->sign);
	*i = (struct identity){ 0 };
}

int engine_open(const struct engine_options *o, struct engine **ret, struct err *err)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return err_set(err, ERR_NOMEM, "out of memory");
	e->identity = o->identity;
	e->hello_due = true;
	e->push_ms = getenv("FAKE_PUSH_MS") ? atoi(getenv("FAKE_PUSH_MS")) : 0;
	e->stuck = getenv("FAKE_STUCK") != NULL;
	*ret = e;
	return 0;
}

void engine_close(struct engine *e)
{
	free(e);
}

void engine_stop(struct engine *e)
{
	e->stop = true;
}

int64_t engine_tick(struct engine *e, bool hint)
{
	e->ticks++;
	e->hints += hint;
	return 100;
}

int64_t engine_tree_time(struct engine *e)
{
	return e->tree_time;
}

bool engine_round_ready(struct engine *e)
{
	(void)e;
	return false;
}

int engine_round_make(struct engine *e, struct buf *body, struct err *err)
{
	(void)e;
	(void)body;
	(void)err;
	return 0;
}

int engine_round_take(struct engine *e, int http_status, struct slice answer, struct err *err)
{
	(void)e;
	(void)http_status;
	(void)answer;
	(void)err;
	return 0;
}

int engine_round_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer, struct err *err)
{
	(void)e;
	(void)peer;
	(void)err;
	buf_put(answer, body.p, body.n);
	return 0;
}

/* ---- renewal: the answer to one is the chain in PEM, as the test made it */

bool engine_renew_due(struct engine *e)
{
	return e->renew_due;
}

bool engine_upload_only(struct engine *e)
{
	return e->upload_only;
}

const struct identity *engine_identity(struct engine *e)
{
	return e->identity;
}

int engine_renew_make(struct engine *e, struct buf *body, struct err *err)
{
	(void)err;
	e->renew_due = false;
	buf_put(body, "renew", 5);
	return 0;
}

int engine_renew_take(struct engine *e, int http_status, struct slice answer, struct err *err)
{
	if (http_status != 200 || !slice_equal(answer, slice_of("renewed")))
		return err_set(err, ERR_REFUSED, "renewal: a strange answer");
	e->renewals++;
	e->identity = e->next_identity;
	e->upload_only = false;
	return 0;
}

int engine_renew_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer, struct err *err)
{
	e->renewals++;
	e->last_peer = peer->unit;
	if (!slice_equal(body, slice_of("renew")))
		return err_set(err, ERR_FORMAT, "renewal: malformed");
	buf_put(answer, "renewed", 7);
	return 0;
}

bool engine_leave_due(struct engine *e)
{
	return e->leave_due;
}

int engine_leave_make(struct engine *e, struct buf *body, struct err *err)
{
	(void)err;
	e->leave_due = false;
	buf_put(body, "leave", 5);
	return 0;
}

int engine_leave_take(struct engine *e, bool granted, struct err *err)
{
	if (!granted)
		return err_set(err, ERR_REFUSED, "leave: not granted");
	e->leaves++;
	return 0;
}

int engine_leave_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer, struct err *err)
{
	e->leaves++;
	e->last_peer = peer->unit;
	if (!slice_equal(body, slice_of("leave")))
		return err_set(err, ERR_FORMAT, "leave: malformed");
	buf_put(answer, "left", 4);
	return 0;
}

bool engine_push_ready(struct engine *e)
{
	return e->push_ready;
}

bool engine_hello_due(struct engine *e)
{
	return e->hello_due;
}

int engine_hello_make(struct engine *e, struct buf *body, struct err *err)
{
	(void)err;
	e->hellos++;
	buf_put(body, "hello", 5);
	return 0;
}

int engine_hello_take(struct engine *e, struct slice answer, struct orders *ret, struct err *err)
{
	if (!slice_equal(answer, slice_of("hello yourself")))
		return err_set(err, ERR_FORMAT, "hello: a strange answer");
	e->hello_due = false;
	*ret = (struct orders){ 0 };
	return 0;
}

int engine_push_make(struct engine *e, size_t most, struct buf *body, struct err *err)
{
	(void)err;
	(void)most;
	if (e->push_ready)
		buf_put(body, "push", 4);
	return 0;
}

int engine_push_take(struct engine *e, int http_status, struct slice answer, struct err *err)
{
	if (http_status != 200)
		return err_set(err, ERR_GAP, "push: status %d", http_status);
	if (!slice_equal(answer, slice_of("push")))
		return err_set(err, ERR_FORMAT, "push: a strange receipt");
	e->push_ready = false;
	e->pushes++;
	e->last_push_ms = fake_now();
	return 0;
}

int engine_feed_make(struct engine *e, uint64_t *ret_after, struct digest *ret_hash, struct buf *receipt, struct err *err)
{
	(void)err;
	*ret_after = (uint64_t)e->feeds;
	memset(ret_hash->at, 7, DIGEST_SIZE);
	buf_put(receipt, "signed", 6);
	return 0;
}

int engine_feed_take(struct engine *e, struct slice body, struct err *err)
{
	if (!slice_equal(body, slice_of("food")))
		return err_set(err, ERR_FORMAT, "feed: strange food");
	e->feeds++;
	return 0;
}

int engine_hello_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer,
                        struct err *err)
{
	e->hello_answers++;
	e->last_peer = peer->unit;
	if (e->hello_code)
		return err_set(err, e->hello_code, "hello: told to refuse");
	if (!slice_equal(body, slice_of("hello")))
		return err_set(err, ERR_FORMAT, "hello: malformed");
	buf_put(answer, "hello yourself", 14);
	return 0;
}

int engine_push_answer(struct engine *e, const struct facts *peer, struct slice body, struct buf *answer,
                       struct err *err)
{
	fake_sleep(e, e->push_ms);
	if (e->stop)
		return err_set(err, ERR_STOPPING, "stopping");
	e->push_answers++;
	e->last_peer = peer->unit;
	buf_put(answer, body.p, body.n);
	return e->push_code ? err_set(err, e->push_code, "push: told to refuse") : 0;
}

bool engine_feed_ready(struct engine *e, uint64_t peer)
{
	(void)peer;
	return e->ready;
}

uint32_t engine_feed_woken(struct engine *e, uint64_t ret[ENGINE_WOKEN])
{
	(void)e, (void)ret;
	return ENGINE_WOKEN + 1;
}

int engine_evidence_answer(struct engine *e, const struct facts *peer, uint64_t author, struct mark mark, uint32_t skip,
                           size_t most, struct buf *answer, struct err *err)
{
	(void)e;
	(void)most;
	if (!unit_contains(peer->unit, author))
		return err_set(err, ERR_SCOPE, "evidence: another's");
	if (skip == 0)
		buf_printf(answer, "%llu of %u", (unsigned long long)mark.tick, mark.epoch);
	return 0;
}

int engine_feed_answer(struct engine *e, const struct facts *peer, uint64_t after, const struct digest *hash,
                       struct slice receipt, size_t most, struct buf *body, struct err *err)
{
	(void)after;
	(void)hash;
	(void)most;
	(void)err;
	memcpy(e->feed_serial, peer->serial, sizeof(e->feed_serial));
	e->feed_answers++;
	e->last_peer = peer->unit;
	e->last_receipt = slice_equal(receipt, slice_of("signed"));
	if (atomic_exchange(&e->ready, false))
		buf_put(body, "food", 4);
	return 0;
}

int engine_enroll_answer(struct engine *e, struct slice body, struct buf *answer, struct err *err)
{
	const uint8_t serial[16] = { 1, 2, 3 };
	struct enroll_request q;
	struct facts asked;

	e->enrolls++;
	int r = enroll_get(body, &q, err);
	if (!r && !bytes_equal_secret(q.secret, e->invitation.secret, ENROLL_SECRET_SIZE))
		r = err_set(err, ERR_REFUSED, "enrolment: no such invitation");
	if (!r && e->invitation.unit != q.unit)
		r = err_set(err, ERR_GONE, "enrolment: the invitation has been used");
	if (!r)
		r = chain_request_read(q.request_pem, &asked, err);
	if (!r)
		r = chain_issue(q.request_pem, q.unit, e->identity->line, asked.name, buf_slice(&e->identity->tls_key_pem),
		                buf_slice(&e->identity->chain_pem), serial, 1764000000, 1964000000, answer, err);
	if (!r)
		buf_put(answer, e->identity->chain_pem.p, e->identity->chain_pem.n);
	return r;
}

int engine_revoked(struct engine *e, struct buf *ret, struct err *err)
{
	(void)err;
	size_t n = e->nrevoked;
	if (n)
		buf_put(ret, e->revoked, n);
	return 0;
}

enum space engine_space(struct engine *e)
{
	return e->space;
}

int engine_command(struct engine *e, const char *const *words, uint32_t nwords, const char *actor, json_t **ret,
                   struct err *err)
{
	e->commands++;
	if (!strcmp(words[0], "hang"))
		fake_sleep(e, 60000);
	if (!strcmp(words[0], "refuse"))
		return err_set(err, ERR_REFUSED, "refused, as told");
	*ret = json_object();
	json_object_set_new(*ret, "actor", json_string(actor));
	json_object_set_new(*ret, "words", json_integer(nwords));
	if (!strcmp(words[0], "find"))
		json_object_set_new(*ret, "exit", json_integer(1));
	if (!strcmp(words[0], "status"))
		json_object_set_new(*ret, "upstream", json_object());
	if (!strcmp(words[0], "sync") && nwords == 1)
		json_object_set_new(*ret, "sealed", json_integer(17));
	if (!strcmp(words[0], "sync") && nwords == 3)
		json_object_set_new(*ret, "done", json_boolean(!strcmp(words[2], "17") && --e->syncs_left <= 0));
	return 0;
}

int engine_bundle_command(struct engine *e, const char *const *words, uint32_t n, const char *actor, struct slice in,
                          struct buf *out, json_t **ret, struct err *err)
{
	(void)err;
	e->commands++;
	*ret = json_object();
	json_object_set_new(*ret, "actor", json_string(actor));
	json_object_set_new(*ret, "words", json_integer(n));
	json_object_set_new(*ret, "bytes", json_integer((json_int_t)in.n));
	buf_put(out, words[0], strlen(words[0]));
	return 0;
}

void engine_say_damage(struct engine *e, const struct err *err)
{
	(void)e;
	(void)err;
}
