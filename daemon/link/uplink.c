#include "link/uplink.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"
#include "core/limits.h"
#include "link/backoff.h"
#include "link/dial.h"

#define CALL_MS       60000              /* in the ledger's queue; past it the contact ends */
#define FEED_WAIT_S   55
#define HOUR_MS       (3600 * 1000)
#define HELLO_LEAST_MS 1000              /* between two hellos that nobody ordered */
#define AGAIN_MOST    5u                 /* hellos and refused positions in a row */
#define HOLD_MS       60000
#define SAY_MS        60000              /* lines of the log about the link: at most one in this time */
#define PART_S        3
#define PART_LEAST    (64u << 10)        /* a line that breaks within a part gets a quarter of it, down to one segment */
#define ANSWER_MOST   (LIMIT_SEGMENT_STORED + (1u << 20))

enum stage { RESTING, MEETING, JOINED };
enum talk { HELLO, RENEW, PUSH, ROUND, LEAVE };

struct uplink {
	struct uplink_options o;
	struct spool_room room;
	pthread_t thread;
	struct dialer *dialer;
	struct lane *talk, *feed;        /* hello and push; the feed */
	enum talk what;
	enum stage stage;
	struct backoff backoff;
	uint32_t url;                    /* of o.urls, the one in use */
	uint32_t again;                  /* hellos ordered in a row */
	int64_t next_ms, hello_ms, feed_ms, held_until, small_since;
	int64_t poked_until;             /* a poke cut a pause short: a failure before this time goes on with that pause */
	int64_t said_ms;                 /* of the last line of the log about the link; 0 = none yet */
	uint32_t unsaid;                 /* failures since then */
	uint64_t small_up, small_down;   /* bytes since small_since, outside the window */
	size_t part_up, part_down;       /* how much at a time this line carries whole */
	size_t part_fast;                /* what it carries in PART_S: a feed that breaks off costs no more than that */
	bool feed_empty, frozen;
	bool told_joined;                /* what the log says last */
	struct buf body, receipt;
	_Atomic bool stop, poked, push_ready, hello_due, round_ready, renew_due, upload_only, full, leave_due;
	const struct identity *identity; /* the engine's after the last step; the one in use is o.identity */
	pthread_mutex_t lock;            /* state */
	struct uplink_state state;
};

static int64_t now_ms(const struct uplink *u)
{
	return u->o.source.steady_ms(u->o.source.arg);
}

static void say(struct uplink *u, enum log_level level, const char *text)
{
	char parent[UNIT_TEXT_SIZE];
	const struct log_fields fields = { .peer = unit_text(u->o.identity->parent, parent), .event = "contact" };

	log_line(level, &fields, "%s", text);
}

static void set_state(struct uplink *u, bool joined, int64_t pause, const char *text)
{
	int64_t wall = u->o.source.wall_ms(u->o.source.arg);

	pthread_mutex_lock(&u->lock);
	if (u->state.joined != joined || !u->state.since_ms)
		u->state.since_ms = wall;
	u->state.joined = joined;
	u->state.next_ms = pause ? wall + pause : 0;
	snprintf(u->state.url, sizeof(u->state.url), "%s", u->o.urls[u->url]);
	if (text)
		snprintf(u->state.text, sizeof(u->state.text), "%s", text);
	pthread_mutex_unlock(&u->lock);
}

void uplink_state(struct uplink *u, struct uplink_state *ret)
{
	pthread_mutex_lock(&u->lock);
	*ret = u->state;
	pthread_mutex_unlock(&u->lock);
}

/* Outside the hours for bulk a contact takes small parts only; 0 = nothing more this hour. */
static size_t part_size(struct uplink *u, size_t line, uint64_t *used)
{
	time_t now = (time_t)(u->o.source.wall_ms(u->o.source.arg) / 1000);
	struct tm local;

	if (u->o.window_from == u->o.window_until || !localtime_r(&now, &local))
		return line;
	int minute = local.tm_hour * 60 + local.tm_min, from = u->o.window_from, until = u->o.window_until;
	if (from < until ? minute >= from && minute < until : minute >= from || minute < until)
		return line;
	if (now_ms(u) - u->small_since >= HOUR_MS) {
		u->small_since = now_ms(u);
		u->small_up = u->small_down = 0;
	}
	return *used >= UPLINK_SMALL ? 0 : MIN(line, (size_t)(UPLINK_SMALL - *used));
}

/* ---- the ends of a contact */

static void rest(struct uplink *u, int64_t pause, const char *text)
{
	lane_cancel(u->talk);
	lane_cancel(u->feed);
	u->stage = RESTING;
	u->next_ms = now_ms(u) + pause;
	set_state(u, false, MAX(pause, 1), text);
}

/* A link that comes and goes, or stays away, fills no log: what is not said now is told with the next line. */
static void say_state(struct uplink *u, bool joined, const char *text)
{
	int64_t now = now_ms(u);
	char line[900];

	if (joined == u->told_joined && joined)
		return;
	if (u->said_ms && now - u->said_ms < SAY_MS) {
		u->unsaid += !joined;
		return;
	}
	snprintf(line, sizeof(line), u->unsaid ? "%s (%u failures since the last line)" : "%s", text, u->unsaid);
	say(u, joined ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, line);
	u->said_ms = now;
	u->unsaid = 0;
	u->told_joined = joined;
}

static void say_joined(struct uplink *u)
{
	char line[300];

	snprintf(line, sizeof(line), "in contact with the parent at %s", u->o.urls[u->url]);
	say_state(u, true, line);
}

/* The next address at once, after the last one a pause. */
static void fail(struct uplink *u, int64_t least_s, const char *text)
{
	char line[700];
	int64_t pause = 0, now = now_ms(u);
	bool more = u->o.urls[u->url + 1] != NULL;

	if ((!more || least_s) && u->poked_until > now)
		pause = MAX(u->poked_until - now, least_s * 1000);       /* who pokes again and again makes no pause longer */
	else if (!more || least_s)
		pause = MAX(backoff_next(&u->backoff, &u->o.source), least_s * 1000);
	snprintf(line, sizeof(line), "%s; %s in %lld s", text, more ? "the next address" : "again", (long long)(pause + 999) / 1000);
	if (!atomic_load(&u->stop))
		say_state(u, false, line);
	rest(u, pause, text);
	u->url = more ? u->url + 1 : 0;
	u->again = 0;
}

static void succeeded(struct uplink *u)
{
	backoff_reset(&u->backoff);
	u->poked_until = 0;
	u->again = 0;
}

/* ---- talk: hello and push */

struct request_call {
	struct uplink *u;
	size_t most;
	int status;
	struct slice answer;
	struct orders orders;
	uint64_t after;
	struct digest hash;
};

static int call(struct uplink *u, int (*fn)(struct engine *e, void *arg, struct err *err), struct request_call *c,
                struct err *err)
{
	c->u = u;
	int r = ledger_call(u->o.ledger, fn, c, CALL_MS, err);
	if (r == ERR_STOPPING)
		atomic_store(&u->stop, true);
	return r;
}

/* After every step the flags are read anew on the ledger's thread, so that a flag never lags behind the step. */
static int flagged(struct engine *e, struct uplink *u, int r)
{
	atomic_store(&u->push_ready, engine_push_ready(e));
	atomic_store(&u->hello_due, engine_hello_due(e));
	atomic_store(&u->round_ready, engine_round_ready(e));
	atomic_store(&u->renew_due, engine_renew_due(e));
	atomic_store(&u->upload_only, engine_upload_only(e));
	atomic_store(&u->leave_due, engine_leave_due(e));
	u->identity = engine_identity(e);
	atomic_store(&u->full, engine_space(e) == SPACE_HARD);
	return r;
}

static int call_hello_make(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	buf_clear(&c->u->body);
	return engine_hello_make(e, &c->u->body, err);
}

static int call_hello_take(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	return flagged(e, c->u, engine_hello_take(e, c->answer, &c->orders, err));
}

static int call_push_make(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	buf_clear(&c->u->body);
	return flagged(e, c->u, engine_push_make(e, c->most, &c->u->body, err));
}

static int call_push_take(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	return flagged(e, c->u, engine_push_take(e, c->status, c->answer, err));
}

static int call_renew_make(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	buf_clear(&c->u->body);
	return flagged(e, c->u, engine_renew_make(e, &c->u->body, err));
}

static int call_renew_take(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	return flagged(e, c->u, engine_renew_take(e, c->status, c->answer, err));
}

static int call_leave_make(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	buf_clear(&c->u->body);
	return flagged(e, c->u, engine_leave_make(e, &c->u->body, err));
}

static int call_leave_take(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	return flagged(e, c->u, engine_leave_take(e, c->status == 200, err));
}

static int call_round_make(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	buf_clear(&c->u->body);
	return flagged(e, c->u, engine_round_make(e, &c->u->body, err));
}

static int call_round_take(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	return flagged(e, c->u, engine_round_take(e, c->status, c->answer, err));
}

static void post(struct uplink *u, enum talk what, const char *path)
{
	_cleanup_(free_pointer) char *url = text_printf("%s%s", u->o.urls[u->url], path);
	const struct dial_request r = { .url = url, .post = true, .body = buf_slice(&u->body), .most = LIMIT_HELLO_BODY };
	struct err e = { 0 };

	u->what = what;
	if (!url || u->body.failed || lane_start(u->talk, &r, &e))
		fail(u, 0, e.code ? e.text : "out of memory");
}

static void start_hello(struct uplink *u)
{
	struct request_call c = { 0 };
	struct err e = { 0 };

	u->hello_ms = now_ms(u);
	if (call(u, call_hello_make, &c, &e))
		fail(u, 0, e.text);
	else
		post(u, HELLO, "/v1/hello");
}

static void start_push(struct uplink *u)
{
	struct request_call c = { .most = part_size(u, u->part_up, &u->small_up) };
	struct err e = { 0 };

	if (c.most == 0)
		return;
	if (call(u, call_push_make, &c, &e)) {
		fail(u, 0, e.text);
	} else if (u->body.n) {
		u->small_up += u->body.n;
		post(u, PUSH, "/v1/segments");
	} else {
		atomic_store(&u->push_ready, false);     /* until the ledger says so again */
	}
}

static void start_renew(struct uplink *u)
{
	struct request_call c = { 0 };
	struct err e = { 0 };

	if (call(u, call_renew_make, &c, &e))
		fail(u, 0, e.text);
	else
		post(u, RENEW, "/v1/renew");
}

static void start_leave(struct uplink *u)
{
	struct request_call c = { 0 };
	struct err e = { 0 };

	if (call(u, call_leave_make, &c, &e))
		fail(u, 0, e.text);
	else
		post(u, LEAVE, "/v1/leave");
}

/* A reconciliation goes on as long as nothing else has to be said. */
static void start_round(struct uplink *u)
{
	struct request_call c = { 0 };
	struct err e = { 0 };

	if (call(u, call_round_make, &c, &e))
		fail(u, 0, e.text);
	else if (u->body.n)
		post(u, ROUND, "/v1/reconcile");
}

static void obey(struct uplink *u, const struct orders *o)
{
	if (o->twin) {
		if (!u->frozen)
			say(u, LOG_LEVEL_ERROR, "frozen: two machines run with this node's identity; see terracectl rejoin");
		u->frozen = true;
		rest(u, BACKOFF_MOST_MS, "frozen: two machines run with this node's identity");
		return;
	}
	u->frozen = false;
	u->held_until = o->hold ? now_ms(u) + HOLD_MS : 0;
	u->stage = JOINED;
	say_joined(u);
	u->feed_empty = false;
	set_state(u, true, 0, "");
	if (!o->again)
		return;
	if (++u->again > AGAIN_MOST)
		fail(u, 0, "the parent asks for one hello after the other");
	else
		start_hello(u);
}

/* Granted by this answer, or by an earlier one that was lost: then the certificate is revoked already. */
static bool leave_answered(struct uplink *u, const struct dial_answer *a)
{
	struct request_call c = { .status = a->status };
	char text[500];

	dial_message(a, text, sizeof(text));
	if (a->status == 403 && strstr(text, "revoked"))
		c.status = 200;
	if (call(u, call_leave_take, &c, NULL))
		return false;
	rest(u, BACKOFF_MOST_MS, "this node has left the tree");
	return true;
}

static void hello_answered(struct uplink *u, const struct dial_answer *a)
{
	struct request_call c = { .answer = a->body };
	char text[500];
	struct err e = { 0 };

	if (a->status == 403 && leave_answered(u, a))
		return;
	if (a->status != 200) {
		dial_message(a, text, sizeof(text));
		err_set(&e, ERR_REFUSED, "%s/v1/hello: %s", u->o.urls[u->url], text);
		fail(u, a->retry_after_s, e.text);
	} else if (call(u, call_hello_take, &c, &e)) {
		fail(u, 0, e.text);
	} else {
		obey(u, &c.orders);
	}
}

/* 409 names the position expected, 413 a cut that is too large: the engine mends both; 507 is waited out.  The rest is a
 * failure. */
static void push_answered(struct uplink *u, const struct dial_answer *a)
{
	struct request_call c = { .answer = a->body, .status = a->status };
	bool known = a->status == 200 || a->status == 409 || a->status == 413 || a->status == 400;
	char text[500];
	struct err e = { 0 };
	int r = known ? call(u, call_push_take, &c, &e) : 0;

	if (a->status == 200 && !r) {
		succeeded(u);
		u->part_up = MIN(u->part_up + PART_LEAST, UPLINK_PUSH);
		return;
	}
	if (a->status == 409 && !r && ++u->again <= AGAIN_MOST)
		return;
	if (a->status == 507) {                  /* its disk is full: what goes up waits, the rest goes on */
		u->held_until = now_ms(u) + HOLD_MS;
		dial_message(a, text, sizeof(text));
		say_state(u, false, text);
		set_state(u, true, 0, text);
		return;
	}
	dial_message(a, text, sizeof(text));
	if (!r)
		err_set(&e, ERR_REFUSED, "%s/v1/segments: %s", u->o.urls[u->url], text);
	fail(u, a->retry_after_s, e.text);
}

/* The link goes on without: the engine asks again later. */
static void renew_answered(struct uplink *u, const struct dial_answer *a)
{
	struct request_call c = { .answer = a->body, .status = a->status };
	char text[500], line[1500];
	struct err e = { 0 };

	if (!call(u, call_renew_take, &c, &e))
		return;
	dial_message(a, text, sizeof(text));
	snprintf(line, sizeof(line), "%s/v1/renew: %s: %s", u->o.urls[u->url], e.text, text);
	if (!atomic_load(&u->stop))
		say(u, LOG_LEVEL_WARNING, line);
}

/* The certificates were renewed: from now on this node shows the new ones.  What was under way on the old connection is
 * asked again. */
static void change_identity(struct uplink *u)
{
	struct err e = { 0 };

	if (!u->identity || u->identity == u->o.identity || lane_busy(u->talk))
		return;
	lane_cancel(u->feed);
	u->feed_ms = 0;
	if (dialer_identity(u->dialer, u->identity, &e))
		fail(u, 0, e.text);
	else
		u->o.identity = u->identity;
}

static void round_answered(struct uplink *u, const struct dial_answer *a)
{
	struct request_call c = { .answer = a->body, .status = a->status };
	struct err e = { 0 };

	if (call(u, call_round_take, &c, &e))
		fail(u, 0, e.text);
	else
		succeeded(u);
}

/* ---- feed */

static int call_feed_make(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	buf_clear(&c->u->receipt);
	return engine_feed_make(e, &c->after, &c->hash, &c->u->receipt, err);
}

static int call_feed_take(struct engine *e, void *arg, struct err *err)
{
	struct request_call *c = arg;

	return flagged(e, c->u, engine_feed_take(e, c->answer, err));
}

static void start_feed(struct uplink *u)
{
	_cleanup_(buf_release) struct buf url = { 0 }, receipt = { 0 };
	size_t most = part_size(u, MIN(u->part_down, u->part_fast), &u->small_down);
	struct request_call c = { 0 };
	struct err e = { 0 };

	if (most == 0)
		return;
	if (call(u, call_feed_make, &c, &e)) {
		fail(u, 0, e.text);
		return;
	}
	buf_printf(&url, "%s/v1/feed?after=%ju&hash=", u->o.urls[u->url], (uintmax_t)c.after);
	hex_put(&url, (struct slice){ c.hash.at, DIGEST_SIZE });
	buf_printf(&url, "&wait=%d", u->o.interval_s ? 0 : FEED_WAIT_S);
	if (most != UPLINK_PART)
		buf_printf(&url, "&most=%zu", most);
	base64url_put(&receipt, buf_slice(&u->receipt));
	const struct dial_request r = { .url = buf_text(&url), .receipt = receipt.n ? buf_text(&receipt) : NULL,
		                        .most = ANSWER_MOST };
	u->feed_ms = now_ms(u);
	if (url.failed || receipt.failed || lane_start(u->feed, &r, &e))
		fail(u, 0, e.code ? e.text : "out of memory");
}

static void feed_answered(struct uplink *u, const struct dial_answer *a)
{
	struct request_call c = { .answer = a->body };
	char text[500];
	struct err e = { 0 };

	u->small_down += a->body.n;
	if (a->body.n >= PART_LEAST / 2)
		u->part_fast = MIN(MAX(a->body.n * PART_S * 1000 / (size_t)MAX(now_ms(u) - u->feed_ms, 1), PART_LEAST), UPLINK_PART);
	u->feed_empty = a->status == 204;
	if (a->status == 204) {
		/* An answer that did not wait as asked is not asked for again at once. */
		u->feed_ms = now_ms(u) - u->feed_ms < 1000 ? now_ms(u) + 1000 : 0;
		succeeded(u);
	} else if (a->status == 200) {
		u->feed_ms = 0;
		u->part_down = MIN(u->part_down + PART_LEAST, UPLINK_PART);
		if (call(u, call_feed_take, &c, &e))
			fail(u, 0, e.text);
		else
			succeeded(u);
	} else if (a->status == 409 && ++u->again <= AGAIN_MOST) {
		u->stage = MEETING;              /* the position is not one that the parent knows: heads are compared anew */
		u->feed_ms = 0;
		lane_cancel(u->talk);
		start_hello(u);
	} else {
		dial_message(a, text, sizeof(text));
		err_set(&e, ERR_REFUSED, "%s/v1/feed: %s", u->o.urls[u->url], text);
		fail(u, a->retry_after_s, e.text);
	}
}

/* ---- the thread */

/* No answer came.  A body that the line did not carry is sent again from its beginning: the next is shorter. */
static void broken(struct uplink *u, size_t *part, const struct err *e)
{
	if (part && e->code == ERR_NETWORK)
		*part = MAX(*part / 4, PART_LEAST);
	fail(u, 0, e->text);
}

static void take_answers(struct uplink *u)
{
	struct dial_answer a;
	struct err e = { 0 };
	int code;

	if (lane_take(u->talk, &a, &code, &e)) {
		if (code)
			broken(u, u->what == PUSH ? &u->part_up : NULL, &e);
		else if (u->what == HELLO)
			hello_answered(u, &a);
		else if (u->what == RENEW)
			renew_answered(u, &a);
		else if (u->what == ROUND)
			round_answered(u, &a);
		else if (u->what == LEAVE)
			leave_answered(u, &a);
		else
			push_answered(u, &a);
	}
	if (lane_take(u->feed, &a, &code, &e)) {
		if (code)
			broken(u, &u->part_down, &e);
		else
			feed_answered(u, &a);
	}
}

/* Starts what is due; returns when to look again. */
static int64_t step(struct uplink *u)
{
	int64_t now = now_ms(u);
	bool poked = atomic_exchange(&u->poked, false);

	change_identity(u);
	if (u->stage == RESTING) {
		if (now < u->next_ms && !poked)
			return u->next_ms - now;
		if (now < u->next_ms && u->backoff.failures)
			u->poked_until = u->next_ms;
		u->stage = MEETING;
		start_hello(u);
		return 1000;
	}
	if (u->stage == MEETING)
		return 1000;
	if (!u->told_joined && u->stage == JOINED)
		say_joined(u);
	bool push = atomic_load(&u->push_ready) && now >= u->held_until, hello = atomic_load(&u->hello_due) || poked;
	bool renew = atomic_load(&u->renew_due), upload_only = atomic_load(&u->upload_only);
	bool round = atomic_load(&u->round_ready) && !upload_only;
	if (!lane_busy(u->talk)) {
		if ((hello && now - u->hello_ms >= HELLO_LEAST_MS) || (u->held_until && now >= u->held_until))
			start_hello(u);
		else if (renew)
			start_renew(u);
		else if (push && !atomic_load(&u->hello_due))    /* certificates go up before the deltas of their authors */
			start_push(u);
		else if (atomic_load(&u->leave_due))
			start_leave(u);
		if (!lane_busy(u->talk) && round)
			start_round(u);
	}
	if (u->stage != JOINED)
		return 0;
	if (u->o.interval_s && !lane_busy(u->talk) && !push && !round && !renew && (u->feed_empty || upload_only) && !lane_busy(u->feed)) {
		rest(u, (int64_t)u->o.interval_s * 1000, "");
		return (int64_t)u->o.interval_s * 1000;
	}
	if (!lane_busy(u->feed) && !upload_only && !atomic_load(&u->full) && now >= u->feed_ms && !(u->o.interval_s && u->feed_empty))
		start_feed(u);
	return 500;
}

static void *run(void *arg)
{
	struct uplink *u = arg;

	while (!atomic_load(&u->stop)) {
		int64_t pause = step(u);
		dialer_run(u->dialer, pause);
		take_answers(u);
	}
	return NULL;
}

/* On the ledger's thread. */
static void watch(struct engine *e, void *arg)
{
	struct uplink *u = arg;
	bool push = engine_push_ready(e), hello = engine_hello_due(e), round = engine_round_ready(e), renew = engine_renew_due(e);
	bool leave = engine_leave_due(e);
	bool news = (push && !atomic_load(&u->push_ready)) || (hello && !atomic_load(&u->hello_due)) ||
	            (round && !atomic_load(&u->round_ready)) || (renew && !atomic_load(&u->renew_due)) ||
	            (leave && !atomic_load(&u->leave_due));

	atomic_store(&u->push_ready, push);
	atomic_store(&u->hello_due, hello);
	atomic_store(&u->round_ready, round);
	atomic_store(&u->renew_due, renew);
	atomic_store(&u->leave_due, leave);
	atomic_store(&u->upload_only, engine_upload_only(e));
	atomic_store(&u->full, engine_space(e) == SPACE_HARD);
	if (news)
		dialer_wake(u->dialer);
}

void uplink_poke(struct uplink *u)
{
	if (!u)
		return;
	atomic_store(&u->poked, true);
	dialer_wake(u->dialer);
}

static void free_uplink(struct uplink *u)
{
	dialer_free(u->dialer);
	buf_release(&u->body);
	buf_release(&u->receipt);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

int uplink_start(const struct uplink_options *o, struct uplink **ret, struct err *err)
{
	struct uplink *u = calloc(1, sizeof(*u));
	sigset_t all, before;

	if (!u)
		return err_set(err, ERR_NOMEM, "uplink: out of memory");
	u->o = *o;
	u->room.folder = o->spool;
	u->small_since = now_ms(u);
	u->part_up = UPLINK_PUSH;
	u->part_down = UPLINK_PART;
	u->part_fast = PART_LEAST;
	pthread_mutex_init(&u->lock, NULL);
	const struct dial_options d = { .identity = o->identity, .proxy = o->proxy, .rate_kbps = o->rate_kbps, .room = &u->room };
	int r = dialer_new(&d, &u->dialer, err);
	if (!r)
		r = lane_new(u->dialer, &u->talk, err);
	if (!r)
		r = lane_new(u->dialer, &u->feed, err);
	if (r) {
		free_uplink(u);
		return r;
	}
	set_state(u, false, 0, "");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&u->thread, NULL, run, u);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		free_uplink(u);
		return err_set(err, ERR_NOMEM, "uplink: cannot start: %s", strerror(failed));
	}
	ledger_watch(o->ledger, watch, u);
	*ret = u;
	return 0;
}

void uplink_stop(struct uplink *u)
{
	if (!u)
		return;
	atomic_store(&u->stop, true);
	dialer_wake(u->dialer);
	pthread_join(u->thread, NULL);
	ledger_unwatch(u->o.ledger, watch, u);
	free_uplink(u);
}
