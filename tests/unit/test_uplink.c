/* The side that dials, on loopback between two fake engines: contact, impostors, kept connections, enrolment. */
#include "link_fixture.c"

/* ---- uplink */

struct child {
	struct engine engine;
	struct ledger *ledger;
	struct uplink *uplink;
	const char *urls[4];
};

static void child_start(struct child *c, const struct identity *identity, const char *url, const char *second)
{
	struct err e = { 0 };

	*c = (struct child){ .engine.hello_due = true, .urls = { url, second } };
	assert_int_equal(ledger_start(&c->engine, "/tmp/no-such-database.db", &c->ledger, &e), 0);
	const struct uplink_options o = { .identity = identity, .ledger = c->ledger, .urls = c->urls, .proxy = "",
		                          .spool = folder, .source = source_system() };
	assert_int_equal(uplink_start(&o, &c->uplink, &e), 0);
}

static int64_t child_stop(struct child *c)
{
	int64_t before = fake_now();

	ledger_stop(c->ledger);
	uplink_stop(c->uplink);
	ledger_release(c->ledger);
	return fake_now() - before;
}

#define WAIT_FOR(condition, ms) \
	do { \
		int64_t until_ = fake_now() + (ms); \
		while (!(condition) && fake_now() < until_) \
			usleep(2000); \
		if (!(condition)) \
			fail_msg("not in %d ms: %s", (ms), #condition); \
	} while (0)

static int no_call(struct engine *e, void *arg, struct err *err)
{
	(void)e;
	(void)arg;
	(void)err;
	return 0;
}

static void test_uplink(void **state)
{
	struct uplink_state s;
	struct child c;
	struct host h;

	(void)state;
	host_start(&h, &county, 0);
	child_start(&c, &town, "https://127.0.0.1:1", h.url);    /* the first address refuses: the second is tried at once */
	WAIT_FOR(h.engine.hello_answers == 1 && h.engine.feed_answers == 1, 4000);
	assert_true(h.engine.last_receipt);
	int64_t most = 0, sum = 0;
	for (int i = 0; i < 50; i++) {
		int64_t before = fake_now();
		c.engine.push_ready = true;
		ledger_call(c.ledger, no_call, NULL, 1000, NULL);   /* wakes the ledger */
		WAIT_FOR(!c.engine.push_ready, 2000);
		most = MAX(most, c.engine.last_push_ms - before);
		sum += c.engine.last_push_ms - before;
	}
	print_message("    push, from ready to receipt: mean %lld ms, most %lld ms (TLS on loopback, no work)\n",
	              (long long)sum / 50, (long long)most);
	for (int i = 0; i < 5; i++) {
		int before = c.engine.feeds;
		h.engine.ready = true;
		WAIT_FOR(c.engine.feeds == before + 1, 2000);
	}
	uplink_state(c.uplink, &s);
	assert_true(s.joined);
	assert_string_equal(s.url, h.url);
	assert_int_equal(h.engine.hello_answers, 1);
	int64_t took = child_stop(&c);
	print_message("    end of an uplink in a long poll: %lld ms\n", (long long)took);
	assert_true(took < 1500);
	host_stop(&h);
}

/* An expired child says hello, renews, uploads; the feed begins with the new certificate on a new connection. */
static void test_uplink_renews(void **state)
{
	_cleanup_(buf_release) struct buf request = { 0 };
	const uint8_t serial[16] = { 77 };
	struct identity later = town;
	struct child c;
	struct host h;

	(void)state;
	later.chain_pem = (struct buf){ 0 };
	assert_int_equal(chain_request(buf_slice(&town.tls_key_pem), TOWN, LINE, "", town.sign.public_key, &request, NULL), 0);
	assert_int_equal(chain_issue(buf_slice(&request), TOWN, LINE, "", buf_slice(&county.tls_key_pem), buf_slice(&county.chain_pem),
	                             serial, FROM, UNTIL, &later.chain_pem, NULL), 0);
	buf_put(&later.chain_pem, county.chain_pem.p, county.chain_pem.n);
	fill_identity(&later);
	host_start(&h, &county, 0);
	h.engine.tree_time = UNTIL + 1000;
	child_start(&c, &town, h.url, NULL);
	c.engine.upload_only = true;
	c.engine.push_ready = true;
	WAIT_FOR(h.engine.push_answers == 1, 4000);
	usleep(700000);
	assert_int_equal(h.engine.feed_answers, 0);
	c.engine.next_identity = &later;
	h.engine.tree_time = FROM + 1000;
	c.engine.renew_due = true;
	ledger_call(c.ledger, no_call, NULL, 1000, NULL);
	WAIT_FOR(h.engine.renewals == 1 && c.engine.renewals == 1, 4000);
	WAIT_FOR(h.engine.feed_answers >= 1, 4000);
	assert_string_equal(h.engine.feed_serial, later.chain.at[0].serial);
	child_stop(&c);
	host_stop(&h);
	buf_release(&later.chain_pem);
}

/* The parent's machine is started anew on the same port: the child comes back. */
static void test_uplink_again(void **state)
{
	struct child c;
	struct host h;
	char url[64];

	(void)state;
	host_start(&h, &county, 0);
	int port = server_port(h.server);
	snprintf(url, sizeof(url), "%s", h.url);
	child_start(&c, &town, url, NULL);
	WAIT_FOR(h.engine.feed_answers >= 1, 4000);
	host_stop(&h);
	usleep(300000);
	host_start(&h, &county, port);
	uplink_poke(c.uplink);
	WAIT_FOR(h.engine.feed_answers >= 1, 12000);
	child_stop(&c);
	host_stop(&h);
}

/* Who asks for a contact again and again makes no pause longer. */
static void test_poked_in_vain(void **state)
{
	struct uplink_state s;
	struct child c;

	(void)state;
	child_start(&c, &town, "https://127.0.0.1:1", NULL);
	WAIT_FOR(c.engine.hellos >= 1, 4000);
	for (int i = 0; i < 40; i++) {
		uplink_poke(c.uplink);
		usleep(20000);
	}
	uplink_state(c.uplink, &s);
	assert_false(s.joined);
	assert_true(c.engine.hellos > 10);
	assert_true(s.next_ms - source_system().wall_ms(NULL) <= 4 * 5000);
	child_stop(&c);
}

static int say_hello(struct dialer *d, struct lane *lane, const char *url, struct err *e)
{
	_cleanup_(free_pointer) char *path = text_printf("%s/v1/hello", url);
	const struct dial_request r = { .url = path, .post = true, .body = slice_of("hello"), .most = 1000 };
	struct dial_answer a = { 0 };
	int code;

	assert_int_equal(lane_start(lane, &r, e), 0);
	for (int i = 0; i < 200; i++) {
		if (lane_take(lane, &a, &code, e))
			return code ? -code : a.status;
		dialer_run(d, 50);
	}
	return 0;
}

/* A connection that was kept, and is dead when it is used again, costs nothing but a new one. */
static void test_kept_connection(void **state)
{
	struct spool_room room = { .folder = folder };
	const struct dial_options o = { .identity = &town, .proxy = "", .room = &room };
	struct dialer *d;
	struct lane *lane;
	struct host h;
	char url[64];
	struct err e = { 0 };

	(void)state;
	host_start(&h, &county, 0);
	int port = server_port(h.server);
	snprintf(url, sizeof(url), "%s", h.url);
	assert_int_equal(dialer_new(&o, &d, &e), 0);
	assert_int_equal(lane_new(d, &lane, &e), 0);
	double before = cpu_seconds();
	for (int i = 0; i < 200; i++)
		assert_int_equal(say_hello(d, lane, url, &e), 200);
	print_message("    a request on a kept connection: %.2f ms of processor, both ends\n", (cpu_seconds() - before) * 5);
	for (int i = 0; i < 3; i++) {
		host_stop(&h);
		host_start(&h, &county, port);
		assert_int_equal(say_hello(d, lane, url, &e), 200);
	}
	host_stop(&h);
	assert_int_equal(say_hello(d, lane, url, &e), -ERR_NETWORK);
	dialer_free(d);
}

/* A machine with the parent's names but another key, and a sibling, are refused before a byte is sent. */
static void test_uplink_impostor(void **state)
{
	const struct identity *const hosts[] = { &foreign, &town_2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct uplink_state s;
		struct child c;
		struct host h;

		host_start(&h, hosts[i], 0);
		child_start(&c, &town, h.url, NULL);
		for (int wait = 0; wait < 2000; wait++) {
			uplink_state(c.uplink, &s);
			if (s.text[0])
				break;
			usleep(2000);
		}
		if (!strstr(s.text, "the parent's address answers"))
			fail_msg("%s", s.text);
		assert_false(s.joined);
		assert_int_equal(h.engine.hello_answers, 0);
		child_stop(&c);
		host_stop(&h);
	}
}

/* ---- enrolment */

static void invite(struct host *h, struct invitation *i)
{
	*i = (struct invitation){ .nurls = 2, .unit = TOWN, .line = LINE, .name = "东风乡", .pin = county.chain.at[0].pin };
	snprintf(i->url[0], sizeof(i->url[0]), "https://127.0.0.1:1");
	snprintf(i->url[1], sizeof(i->url[1]), "%s", h->url);
	rand_bytes(i->secret, sizeof(i->secret));
	h->engine.invitation = *i;
}

static void test_enrol(void **state)
{
	_cleanup_(buf_release) struct buf line = { 0 }, key = { 0 }, pem = { 0 };
	struct invitation i, read;
	struct sign_key sign;
	struct chain c;
	struct host h;
	struct err e = { 0 };

	(void)state;
	host_start(&h, &county, 0);
	invite(&h, &i);
	assert_int_equal(invitation_put(&i, &line, &e), 0);
	buf_put(&line, "\r\n", 2);
	assert_int_equal(invitation_get(buf_slice(&line), &read, &e), 0);
	assert_memory_equal(&i, &read, sizeof(i));
	print_message("    invitation: %zu characters\n", line.n - 2);
	for (size_t at = 0; at + 2 < line.n; at++) {
		line.p[at] ^= 1;
		if (!invitation_get(buf_slice(&line), &read, NULL))
			fail_msg("character %zu of the invitation is not protected", at);
		line.p[at] ^= 1;
	}
	sign_key_new(&sign);
	assert_int_equal(chain_key_new(&key, &e), 0);
	const struct enrol_options o = { .invitation = &i, .key_pem = buf_slice(&key), .sign_public = sign.public_key,
		                         .proxy = "", .spool = folder, .deadline_ms = 5000 };
	if (enrol_ask(&o, &pem, &c, &e))
		fail_msg("%s", e.text);
	assert_int_equal(c.n, 2);
	assert_true(c.at[0].unit == TOWN);
	assert_string_equal(c.at[0].name, "东风乡");
	i.secret[0] ^= 1;
	assert_int_equal(enrol_ask(&o, &pem, &c, &e), ERR_REFUSED);
	assert_non_null(strstr(e.text, "no such invitation"));
	i.secret[0] ^= 1;
	h.engine.invitation.unit = VILLAGE;
	assert_int_equal(enrol_ask(&o, &pem, &c, &e), ERR_GONE);
	i.pin.at[5] ^= 1;
	assert_int_equal(enrol_ask(&o, &pem, &c, &e), ERR_CHAIN);
	assert_int_equal(h.engine.enrolls, 3);
	host_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uplink), cmocka_unit_test(test_uplink_renews),
		cmocka_unit_test(test_uplink_again),
		cmocka_unit_test(test_poked_in_vain),
		cmocka_unit_test(test_kept_connection),
		cmocka_unit_test(test_uplink_impostor),
		cmocka_unit_test(test_enrol),
	};

	return cmocka_run_group_tests_name("uplink", tests, set_up, tear_down);
}
