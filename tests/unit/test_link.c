/* The listening side on loopback, with a fake engine: refusals, caps, long polls, deadlines, the end. */
#include "link_fixture.c"

/* ---- tests */

static void test_refusals(void **state)
{
	struct host h;

	(void)state;
	host_start(&h, &county, 0);
	expect(&h, NULL, "POST", "/v1/hello", "hello", 403, "no-place-in-the-tree");
	expect(&h, &foreign_town, "POST", "/v1/hello", "hello", 403, "no-place-in-the-tree");
	expect(&h, &other_town, "POST", "/v1/hello", "hello", 403, "no-place-in-the-tree");
	expect(&h, &county, "POST", "/v1/hello", "hello", 403, "no-place-in-the-tree");
	expect(&h, &village, "POST", "/v1/hello", "hello", 403, "no-place-in-the-tree");    /* the town's child, not ours */
	assert_int_equal(h.engine.hello_answers, 0);
	expect(&h, &town, "POST", "/v1/hello", "hello", 200, NULL);
	assert_true(h.engine.last_peer == TOWN);
	expect(&h, &town, "POST", "/v1/hello", "rubbish", 400, "malformed");
	expect(&h, &town, "POST", "/v1/nothing", "hello", 404, "not-found");
	expect(&h, &town, "GET", "/v1/hello", NULL, 405, "wrong-method");
	expect(&h, &town, "DELETE", "/v1/feed", NULL, 405, "wrong-method");
	expect(&h, &town, "GET", "/v1/feed", NULL, 400, "malformed");
	expect(&h, &town, "GET", "/v1/feed?after=1&hash=07", NULL, 400, "malformed");
	expect(&h, &town, "GET", "/v1/feed?after=-1&hash=07", NULL, 400, "malformed");
	expect(&h, &town, "GET", FEED, NULL, 204, NULL);
	h.engine.push_code = ERR_SIGNATURE;
	expect(&h, &town, "GET", "/v1/segments", NULL, 400, "malformed");
	expect(&h, &town, "GET", "/v1/segments?author=532999101&epoch=1&tick=2", NULL, 400, "malformed");
	expect(&h, &town, "POST", "/v1/segments", "", 403, "bad-signature");
	h.engine.push_code = ERR_GAP;    /* the answer is a receipt, not an error's text */
	expect(&h, &town, "POST", "/v1/segments", "receipt", 409, NULL);
	host_stop(&h);
	host_start(&h, &town, 0);
	expect(&h, &town_2, "POST", "/v1/hello", "hello", 403, "no-place-in-the-tree");     /* a sibling */
	expect(&h, &village, "POST", "/v1/hello", "hello", 200, NULL);
	host_stop(&h);
}

static void test_dates_and_revocation(void **state)
{
	char serials[100];
	struct host h;

	(void)state;
	host_start(&h, &county, 0);
	h.engine.tree_time = UNTIL + 1;
	usleep(250000);                  /* published by a tick */
	expect(&h, &town, "POST", "/v1/segments", "push", 200, NULL);
	expect(&h, &town, "POST", "/v1/hello", "hello", 200, NULL);
	expect(&h, &town, "GET", FEED, NULL, 403, "expired");
	h.engine.tree_time = UNTIL + TLS_EXPIRED_MOST_S + 1;
	usleep(250000);
	expect(&h, &town, "POST", "/v1/segments", "push", 403, "expired");
	h.engine.tree_time = FROM - 1;
	usleep(250000);
	expect(&h, &town, "POST", "/v1/hello", "hello", 403, "expired");
	h.engine.tree_time = FROM;
	usleep(250000);
	expect(&h, &town, "GET", FEED, NULL, 204, NULL);
	int n = snprintf(serials, sizeof(serials), "00%c%s%cff", 0, town.chain.at[0].serial, 0);
	h.engine.revoked = serials;
	h.engine.nrevoked = (size_t)n + 1;
	usleep(1300000);
	expect(&h, &town, "GET", FEED, NULL, 403, "no-place-in-the-tree");
	expect(&h, &town_2, "GET", FEED, NULL, 204, NULL);
	host_stop(&h);
}

static void test_sizes(void **state)
{
	_cleanup_(buf_release) struct buf body = { 0 };
	_cleanup_(reply_release) struct reply r;
	struct host h;
	size_t n = 3u << 20;

	(void)state;
	host_start(&h, &county, 0);
	memset(buf_reserve(&body, 17u << 20), 'x', 17u << 20);
	ask_with(&r, &h, &town, "POST", "/v1/segments", (char *)body.p, n, NULL, NULL);   /* through a file */
	assert_int_equal(r.status, 200);
	assert_true(r.body.n == n && !memcmp(r.body.p, body.p, n));
	reply_release(&r);
	/* Refused by its length: the answer may be lost where the sender is still sending. */
	ask_with(&r, &h, &town, "POST", "/v1/segments", (char *)body.p, body.n, NULL, NULL);
	assert_true(r.status == 413 || r.code == CURLE_SEND_ERROR || r.code == CURLE_RECV_ERROR);
	reply_release(&r);
	ask_with(&r, &h, NULL, "POST", "/v1/enroll", (char *)body.p, LIMIT_ENROLL_BODY + 1, NULL, NULL);
	assert_int_equal(r.status, 413);
	reply_release(&r);
	ask_with(&r, &h, &town, "POST", "/v1/segments", (char *)body.p, 100, "Transfer-Encoding: chunked", NULL);
	assert_int_equal(r.status, 400);
	assert_int_equal(h.engine.push_answers, 1);
	host_stop(&h);
}

/* A full disk refuses segments before their body; hello, the feed and acknowledgements in it go on. */
static void test_full_disk(void **state)
{
	struct host h;

	(void)state;
	host_start(&h, &county, 0);
	expect(&h, &town, "POST", "/v1/segments", "segments", 200, NULL);
	h.engine.space = SPACE_SOFT;
	usleep(1300000);                 /* the ledger looks up once a second */
	expect(&h, &town, "POST", "/v1/segments", "segments", 507, "disk-full");
	expect(&h, &town, "POST", "/v1/hello", "hello", 200, NULL);
	expect(&h, &town, "GET", FEED, NULL, 204, NULL);
	assert_int_equal(h.engine.push_answers, 1);
	h.engine.space = SPACE_GOOD;
	usleep(1300000);
	expect(&h, &town, "POST", "/v1/segments", "segments", 200, NULL);
	host_stop(&h);
}

static void test_enroll_tries(void **state)
{
	struct host h;

	(void)state;
	host_start(&h, &county, 0);
	for (int i = 0; i < 5; i++)
		expect(&h, NULL, "POST", "/v1/enroll", "nonsense", 400, "malformed");
	expect(&h, NULL, "POST", "/v1/enroll", "nonsense", 503, "busy");
	assert_int_equal(h.engine.enrolls, 5);
	host_stop(&h);
}

struct poller {
	struct host *h;
	const struct identity *as;
	const char *path;
	struct reply r;
	pthread_t thread;
};

static void *poll_feed(void *arg)
{
	struct poller *p = arg;

	ask_with(&p->r, p->h, p->as, "GET", p->path, NULL, 0, "Terrace-Receipt: c2lnbmVk", NULL);
	return NULL;
}

static void test_long_poll(void **state)
{
	struct poller p = { .as = &town, .path = FEED "&wait=20" };
	struct host h;

	(void)state;
	host_start(&h, &county, 0);
	p.h = &h;
	pthread_create(&p.thread, NULL, poll_feed, &p);
	usleep(600000);
	assert_int_equal(h.engine.feed_answers, 1);
	h.engine.ready = true;           /* seen after the next tick, at most 100 ms away */
	pthread_join(p.thread, NULL);
	assert_int_equal(p.r.status, 200);
	assert_string_equal(buf_text(&p.r.body), "food");
	assert_true(h.engine.last_receipt);
	assert_int_equal(h.engine.feed_answers, 2);
	print_message("    long poll answered after %.0f ms, of these 600 of waiting for news\n", p.r.seconds * 1000);
	assert_true(p.r.seconds < 1.5);
	reply_release(&p.r);
	p.path = FEED "&wait=1";
	poll_feed(&p);
	assert_int_equal(p.r.status, 204);
	assert_true(p.r.seconds > 0.9 && p.r.seconds < 2);
	reply_release(&p.r);
	host_stop(&h);
}

static void drop_job(struct job *job)
{
	free(job);
}

static int run_blocked(struct engine *e, struct job *job, struct err *err)
{
	(void)job;
	(void)err;
	while (e->blocked)
		usleep(1000);
	return 0;
}

static void test_full_queue(void **state)
{
	struct host h;
	int posted = 0, r = 0;

	(void)state;
	host_start(&h, &county, 0);
	h.engine.blocked = true;
	for (;;) {
		struct job *job = calloc(1, sizeof(*job));
		job->run = run_blocked;
		job->done = drop_job;
		r = ledger_post(h.ledger, job);
		if (r) {
			free(job);
			if (posted > (int)QUEUE_JOBS)
				break;
			usleep(1000);            /* the first is taken out of the queue soon */
		}
		posted += !r;
	}
	assert_int_equal(r, ERR_BUSY);
	expect(&h, &town, "POST", "/v1/hello", "hello", 503, "busy");
	expect(&h, &town, "GET", FEED, NULL, 503, "busy");
	h.engine.blocked = false;
	usleep(100000);
	expect(&h, &town, "POST", "/v1/hello", "hello", 200, NULL);
	host_stop(&h);
}

struct flood {
	struct host *h;
	pthread_t thread;
	_Atomic bool *over;
	int answers, busy;
};

static void *push_always(void *arg)
{
	struct flood *f = arg;

	while (!*f->over) {
		_cleanup_(reply_release) struct reply r;
		ask_with(&r, f->h, &town, "POST", "/v1/segments", "push", 4, NULL, NULL);
		f->answers += r.status == 200;
		f->busy += r.status == 503;
	}
	return NULL;
}

/* One child floods with jobs of 40 ms on fifteen connections; another's requests pass between them. */
static void test_flood(void **state)
{
	struct flood f[15];
	_Atomic bool over = false;
	double longest = 0, sum = 0;
	int answers = 0;
	struct host h;

	(void)state;
	host_start(&h, &county, 0);
	h.engine.push_ms = 40;
	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		f[i] = (struct flood){ .h = &h, .over = &over };
		pthread_create(&f[i].thread, NULL, push_always, &f[i]);
	}
	usleep(500000);
	for (int i = 0; i < 20; i++) {
		_cleanup_(reply_release) struct reply r;
		ask_with(&r, &h, &town_2, "POST", "/v1/hello", "hello", 5, NULL, NULL);
		assert_int_equal(r.status, 200);
		longest = MAX(longest, r.seconds);
		sum += r.seconds;
	}
	over = true;
	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		pthread_join(f[i].thread, NULL);
		answers += f[i].answers;
	}
	print_message("    beside %d pushes of 40 ms from another child: a hello takes %.0f ms, at most %.0f\n", answers,
	              sum / 20 * 1000, longest * 1000);
	assert_true(answers > 15);
	assert_true(sum / 20 < 0.3);     /* in one line for all it would wait for fourteen of them, 0.56 s */
	host_stop(&h);
}

struct opener {
	const struct host *h;
	struct reply r;
	pthread_t thread;
};

static void *poll_long(void *arg)
{
	struct opener *o = arg;

	ask_with(&o->r, o->h, &town, "GET", FEED "&wait=3", NULL, 0, "Terrace-Receipt: c2lnbmVk", NULL);
	return NULL;
}

/* A child opens connections without end: its oldest give way, then it is told to wait; another child comes in. */
static void test_many_connections(void **state)
{
	static struct opener o[60];
	int cut = 0, busy = 0, good = 0;
	struct host h;

	(void)state;
	host_start(&h, &county, 0);
	for (size_t i = 0; i < ARRAY_SIZE(o); i++) {
		o[i] = (struct opener){ .h = &h };
		pthread_create(&o[i].thread, NULL, poll_long, &o[i]);
		usleep(10000);
	}
	expect(&h, &town_2, "POST", "/v1/hello", "hello", 200, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(o); i++) {
		pthread_join(o[i].thread, NULL);
		cut += o[i].r.status == 0;
		busy += o[i].r.status == 503;
		good += o[i].r.status == 204;
		reply_release(&o[i].r);
	}
	print_message("    60 connections of one child: %d answered, %d cut, %d told to wait\n", good, cut, busy);
	assert_true(good <= 16 && cut + busy >= 44 && busy > 0);
	expect(&h, &town, "POST", "/v1/hello", "hello", 200, NULL);
	host_stop(&h);
}

static void test_slow_sender(void **state)
{
	_cleanup_(reply_release) struct reply r;
	struct trickle t = { "a body that comes in pieces of one byte each", 44, 0 };
	struct host h;

	(void)state;
	host_start(&h, &county, 0);
	ask_with(&r, &h, &town, "POST", "/v1/segments", NULL, 44, NULL, &t);
	assert_int_equal(r.status, 200);
	assert_string_equal(buf_text(&r.body), "a body that comes in pieces of one byte each");
	host_stop(&h);
}

static int dial_raw(const struct host *h)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server_port(h->server)),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* Half a ClientHello, half a record header, nothing at all, rubbish: the processor rests. */
static void test_half_handshake(void **state)
{
	static const uint8_t hello[] = { 0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8 };
	struct host h;
	int fds[16];

	(void)state;
	host_start(&h, &county, 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial_raw(&h);
		size_t n = i % 4 == 0 ? sizeof(hello) : i % 4 == 1 ? 3 : 0;
		assert_true(send(fds[i], hello, n, MSG_NOSIGNAL) == (ssize_t)n);
		if (i % 4 == 3)
			shutdown(fds[i], SHUT_WR);
	}
	usleep(200000);
	double before = cpu_seconds();
	usleep(1500000);
	double used = cpu_seconds() - before;
	print_message("    processor time beside 16 half handshakes: %.0f ms in 1500 ms\n", used * 1000);
	assert_true(used < 0.3);
	expect(&h, &town, "POST", "/v1/hello", "hello", 200, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	host_stop(&h);
}

static void *push_bytes(void *arg)
{
	static const char body[1000] = "";
	struct poller *p = arg;
	struct trickle t = { body, sizeof(body), 50000 };

	ask_with(&p->r, p->h, p->as, "POST", "/v1/segments", NULL, sizeof(body), NULL, &t);
	return NULL;
}

/* Open long polls, half-sent bodies and handshakes: the end comes in less than 2 s. */
static void test_end(void **state)
{
	struct poller p[12];
	struct host h;
	int fd;

	(void)state;
	host_start(&h, &county, 0);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = (struct poller){ .h = &h, .as = i % 2 ? &town : &town_2, .path = FEED "&wait=50" };
		pthread_create(&p[i].thread, NULL, i < 8 ? poll_feed : push_bytes, &p[i]);
	}
	fd = dial_raw(&h);
	assert_int_equal(send(fd, "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);
	usleep(700000);
	int64_t took = host_stop(&h);
	print_message("    end with 8 long polls, 4 half-sent bodies and a half handshake: %lld ms\n", (long long)took);
	assert_true(took < 2000);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		pthread_join(p[i].thread, NULL);
		assert_true(p[i].r.status == 503 || p[i].r.status == 0);
		reply_release(&p[i].r);
	}
	close(fd);
}

static void *push_slowly(void *arg)
{
	struct poller *p = arg;

	ask_with(&p->r, p->h, p->as, "POST", "/v1/segments", "push", 4, NULL, NULL);
	return NULL;
}

static void test_end_in_job(void **state)
{
	struct poller p[3];
	struct host h;

	(void)state;
	host_start(&h, &county, 0);
	h.engine.push_ms = 30000;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = (struct poller){ .h = &h, .as = &town };
		pthread_create(&p[i].thread, NULL, push_slowly, &p[i]);
	}
	usleep(500000);
	int64_t took = host_stop(&h);
	print_message("    end within a job, two more waiting: %lld ms\n", (long long)took);
	assert_true(took < 2000);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		pthread_join(p[i].thread, NULL);
		assert_true(p[i].r.status == 503 || p[i].r.status == 0);
		reply_release(&p[i].r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_dates_and_revocation),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_enroll_tries),
		cmocka_unit_test(test_long_poll),
		cmocka_unit_test(test_full_queue),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_many_connections),
		cmocka_unit_test(test_slow_sender),
		cmocka_unit_test(test_half_handshake),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_end_in_job),
	};

	return cmocka_run_group_tests_name("link", tests, set_up, tear_down);
}
