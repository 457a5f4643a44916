/* Contact between whole nodes: a county, a township and a village in one process, bodies carried by hand.
 * Enrolment, policy, deltas, feed, settled; lost and repeated bodies; restored disks, twins, a node between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rand.h"
#include "core/enroll.h"
#include "core/status.h"
#include "engine/contact.h"
#include "engine/install.h"

#define U_COUNTY UINT64_C(620702000000)
#define U_TOWN UINT64_C(620702100000)
#define U_TOWN_2 UINT64_C(620702200000)
#define U_VILLAGE UINT64_C(620702100001)
#define U_VILLAGE_2 UINT64_C(620702100002)
#define LINE "civil-affairs"

#define OK(call) do { \
	struct err e_ok = { 0 }, *e = &e_ok; \
	int ok_ = (call); \
	if (ok_ != 0) \
		fail_msg("%s: %d %s", #call, ok_, e->text); \
} while (0)

struct node {
	char path[100];
	struct identity id;
	struct engine *engine;
	uint32_t alarms;
	char last_alarm[400];
};

static char folder[64];
static int64_t clock_ms = INT64_C(1764000000000);
static struct node county, town, village;
static bool loud;

static int64_t tell_time(void *arg)
{
	(void)arg;
	return clock_ms;
}

static void tell_random(void *arg, void *p, size_t n)
{
	(void)arg;
	rand_bytes(p, n);
}

static void heard(void *arg, int level, const char *kind, uint64_t peer, const char *segment, const char *text)
{
	struct node *n = arg;

	(void)peer;
	if (loud)
		fprintf(stderr, "%012llu %d %s %s: %s\n", (unsigned long long)n->id.unit, level, kind, segment != NULL ? segment : "",
		        text);
	if (strcmp(kind, "alarm") == 0) {
		n->alarms++;
		snprintf(n->last_alarm, sizeof n->last_alarm, "%s", text);
	}
}

static void open_node(struct node *n)
{
	static const char *const urls[] = { "https://127.0.0.1:8447", NULL };
	const struct engine_options o = {
		.database = n->path, .make = true, .identity = &n->id, .source = { tell_time, tell_time, tell_random, NULL },
		.seal_ms = 200, .seal_max_ms = 2000, .urls = urls, .event = heard, .arg = n,
	};

	OK(engine_open(&o, &n->engine, e));
}

static void close_node(struct node *n)
{
	engine_close(n->engine);
	n->engine = NULL;
}

static void place_of(struct node *n, const char *file)
{
	snprintf(n->path, sizeof n->path, "%s/%s.db", folder, file);
}

/* ---- making nodes */

static void make_root(struct node *n, uint64_t unit)
{
	struct sign_key recovery;
	uint8_t serial[16] = { 0x81, (uint8_t)rand() };

	memset(n, 0, sizeof *n);
	n->id.unit = unit;
	snprintf(n->id.line, sizeof n->id.line, LINE);
	snprintf(n->id.name, sizeof n->id.name, "甘州区");
	sign_key_new(&n->id.sign);
	sign_key_new(&recovery);
	OK(chain_key_new(&n->id.tls_key_pem, e));
	OK(chain_self_signed(buf_slice(&n->id.tls_key_pem), unit, LINE, n->id.name, n->id.sign.public_key, recovery.public_key,
	                     serial, clock_ms / 1000 - 86400, clock_ms / 1000 + 20 * INT64_C(365) * 86400, &n->id.chain_pem, e));
	OK(chain_read(buf_slice(&n->id.chain_pem), NULL, &n->id.chain, e));
	place_of(n, "county");
	open_node(n);
}

static void sql(struct node *n, const char *text)
{
	sqlite3 *db;
	char *say = NULL;

	assert_int_equal(sqlite3_open(n->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	if (sqlite3_exec(db, text, NULL, NULL, &say) != SQLITE_OK)
		fail_msg("%s: %s", text, say);
	sqlite3_close(db);
}

static int64_t ask(struct node *n, const char *text)
{
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t value;

	assert_int_equal(sqlite3_open(n->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	if (sqlite3_prepare_v2(db, text, -1, &s, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
	value = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : INT64_MIN;
	sqlite3_finalize(s);
	sqlite3_close(db);
	return value;
}

static void invite(struct node *by, uint64_t unit, const uint8_t secret[ENROLL_SECRET_SIZE])
{
	_cleanup_(buf_release) struct buf hex = { 0 }, text = { 0 };
	struct digest d = digest_of((struct slice){ secret, ENROLL_SECRET_SIZE });

	for (size_t i = 0; i < DIGEST_SIZE; i++)
		buf_printf(&hex, "%02x", d.at[i]);
	buf_printf(&text, "INSERT OR REPLACE INTO terrace_invite(unit, name, secret, until) VALUES(%llu, '单位', x'%s', %lld)",
	           (unsigned long long)unit, buf_text(&hex), (long long)(clock_ms / 1000 + 72 * 3600));
	sql(by, buf_text(&text));
}

static struct buf request_of(struct node *n, uint64_t unit, const uint8_t secret[ENROLL_SECRET_SIZE])
{
	_cleanup_(buf_release) struct buf request = { 0 };
	struct enroll_request q = { .unit = unit };
	struct buf body = { 0 };

	OK(chain_request(buf_slice(&n->id.tls_key_pem), unit, LINE, "单位", n->id.sign.public_key, &request, e));
	memcpy(q.secret, secret, ENROLL_SECRET_SIZE);
	q.request_pem = buf_slice(&request);
	enroll_put(&q, &body);
	return body;
}

/* A bare machine joins; its file may be there already. */
static void join(struct node *n, struct node *by, uint64_t unit, const char *file)
{
	uint8_t secret[ENROLL_SECRET_SIZE];
	_cleanup_(buf_release) struct buf body = { 0 };

	memset(n, 0, sizeof *n);
	rand_bytes(secret, sizeof secret);
	invite(by, unit, secret);
	n->id.unit = unit;
	n->id.parent = by->id.unit;
	snprintf(n->id.line, sizeof n->id.line, LINE);
	snprintf(n->id.name, sizeof n->id.name, "单位");
	sign_key_new(&n->id.sign);
	OK(chain_key_new(&n->id.tls_key_pem, e));
	body = request_of(n, unit, secret);
	OK(engine_enroll_answer(by->engine, buf_slice(&body), &n->id.chain_pem, e));
	OK(chain_read(buf_slice(&n->id.chain_pem), &by->id.chain.at[by->id.chain.n - 1].pin, &n->id.chain, e));
	assert_int_equal(n->id.chain.n, by->id.chain.n + 1);
	place_of(n, file);
	open_node(n);
}

static void publish(struct node *n)
{
	static const char *key[] = { "id" }, *columns[] = { "name", "amount" }, *checks[] = { "checked" };
	static const char *statements[] = {
		"CREATE TABLE aid(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, name TEXT, amount INTEGER, checked INTEGER)",
	};
	static const struct policy_group groups[] = {
		{ .name = "main", .ncolumns = 2, .columns = columns, .own = 1 << COUNTY | 1 << TOWNSHIP | 1 << VILLAGE },
		{ .name = "check", .ncolumns = 1, .columns = checks, .own = 1 << COUNTY },
	};
	static const struct policy_register aid = {
		.name = "aid", .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code",
		.ceiling = PROVINCE, .floor = VILLAGE, .create = 0x1f, .remove = 0x1f, .ngroups = 2, .groups = groups,
	};
	const struct policy p = { .name = "aid", .version = 1, .nstatements = 1, .statements = statements, .nregisters = 1,
		                  .registers = &aid };
	_cleanup_(buf_release) struct buf form = { 0 };
	uint64_t version;

	OK(policy_put(&p, &form, e));
	OK(policy_publish(n->engine, buf_slice(&form), &version, e));
}

/* ---- the road */

static const struct facts *facts(const struct node *n)
{
	return &n->id.chain.at[0];
}

static void hello(struct node *child, struct node *parent, bool *ret_twin)
{
	struct orders orders = { .again = true };

	for (int i = 0; i < 5 && orders.again; i++) {
		_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 };

		OK(engine_hello_make(child->engine, &body, e));
		OK(engine_hello_answer(parent->engine, facts(child), buf_slice(&body), &answer, e));
		OK(engine_hello_take(child->engine, buf_slice(&answer), &orders, e));
	}
	if (ret_twin != NULL)
		*ret_twin = orders.twin;
}

/* One push; lost: 1 = the body, 2 = the answer. */
static int push(struct node *child, struct node *parent, int lost)
{
	_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 };
	struct err say = { 0 };
	int rc;

	OK(engine_push_make(child->engine, 1u << 20, &body, e));
	if (body.n == 0 || lost == 1)
		return 0;
	rc = engine_push_answer(parent->engine, facts(child), buf_slice(&body), &answer, &say);
	if (lost == 2)
		return 0;
	if (rc == 0 || err_http(rc) == 409)
		OK(engine_push_take(child->engine, rc == 0 ? 200 : 409, buf_slice(&answer), e));
	else if (loud)
		fprintf(stderr, "push: %s\n", say.text);
	return rc;
}

static int feed(struct node *child, struct node *parent, bool lost)
{
	_cleanup_(buf_release) struct buf receipt = { 0 }, body = { 0 };
	struct digest hash;
	struct err say = { 0 };
	uint64_t after;
	int rc;

	OK(engine_feed_make(child->engine, &after, &hash, &receipt, e));
	rc = engine_feed_answer(parent->engine, facts(child), after, &hash, buf_slice(&receipt), 1u << 20, &body, &say);
	if (rc == ERR_HEAL)
		child->engine->hello_due = true;
	if (rc != 0 || lost || body.n == 0)
		return rc;
	OK(engine_feed_take(child->engine, buf_slice(&body), e));
	return 1;
}

/* As the uplink does it, until nothing waits on this link. */
static void contact(struct node *child, struct node *parent)
{
	for (int i = 0; i < 40; i++) {
		bool busy = false;

		clock_ms += 10;
		if (engine_hello_due(child->engine)) {
			hello(child, parent, NULL);
			busy = true;
		}
		if (engine_push_ready(child->engine)) {
			push(child, parent, 0);
			busy = true;
		}
		busy = feed(child, parent, false) != 0 || busy;
		if (!busy)
			return;
	}
	fail_msg("never quiet");
}

static void seal(struct node *n)
{
	OK(engine_seal(n->engine, e));
}

static void hash_all(struct node *n)
{
	for (int i = 0; i < 20; i++)
		engine_tick(n->engine, false);
}

static void everybody(void)
{
	for (int i = 0; i < 3; i++) {
		contact(&village, &town);
		contact(&town, &county);
	}
	contact(&village, &town);
}

static void at_rest(struct node *child, struct node *parent, const char *expected)
{
	char digest[16];
	int64_t at;

	hash_all(child);
	hash_all(parent);
	contact(child, parent);
	hello(child, parent, NULL);
	contact(child, parent);
	hello(child, parent, NULL);
	OK(link_digest(parent->engine->db, child->id.unit, digest, &at, e));
	assert_string_equal(digest, expected);
}

#define AMOUNT(node, id) ask(node, "SELECT amount FROM aid WHERE id = '" id "'")

static int begin(void **state)
{
	(void)state;
	rand_start();
	OK(sign_init(e));
	snprintf(folder, sizeof folder, "/tmp/terrace-contact-XXXXXX");
	assert_non_null(mkdtemp(folder));
	make_root(&county, U_COUNTY);
	publish(&county);
	join(&town, &county, U_TOWN, "town");
	contact(&town, &county);
	join(&village, &town, U_VILLAGE, "village");
	everybody();
	return 0;
}

static int end(void **state)
{
	char command[120];

	(void)state;
	close_node(&village);
	close_node(&town);
	close_node(&county);
	identity_release(&village.id);
	identity_release(&town.id);
	identity_release(&county.id);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

/* ---- stories */

static void test_up_and_down(void **state)
{
	(void)state;
	assert_true(town.engine->ready && village.engine->ready);
	sql(&village, "INSERT INTO aid VALUES('a', '620702100001', '张三', 100, NULL)");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&town, "a"), 100);
	assert_int_equal(AMOUNT(&county, "a"), 100);
	sql(&county, "UPDATE aid SET amount = 120, checked = 1 WHERE id = 'a'");
	seal(&county);
	everybody();
	assert_int_equal(AMOUNT(&town, "a"), 120);
	assert_int_equal(AMOUNT(&village, "a"), 120);
	assert_int_equal(ask(&village, "SELECT checked FROM aid"), 1);
	/* Settled by the county, told all the way down. */
	assert_int_equal(ask(&village, "SELECT sum(settled) FROM terrace_stream WHERE author = 620702100001 AND stream < 5"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_receipt WHERE kind = 1 AND signer = 620702000000"), 1);
	assert_int_equal(ask(&village, "SELECT count(*) FROM terrace_receipt WHERE kind = 0 AND signer = 620702100000"), 1);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_receipt WHERE kind = 0 AND signer = 620702100001"), 1);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_descendant"), 2);
	assert_int_equal(county.alarms + town.alarms + village.alarms, 0);
}

static void test_lost_and_repeated(void **state)
{
	_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 }, first = { 0 };

	(void)state;
	for (int i = 0; i < 30; i++) {
		char text[200];

		snprintf(text, sizeof text, "INSERT OR REPLACE INTO aid VALUES('l%d', '620702100001', '李四', %d, NULL)", i % 7, i);
		sql(i % 3 == 2 ? &town : &village, text);
		seal(i % 3 == 2 ? &town : &village);
		push(&village, &town, i % 3);
		feed(&village, &town, i % 4 < 2);
		if (i == 10)                             /* a body that is kept on the road */
			OK(engine_push_make(village.engine, 1u << 20, &first, e));
	}
	everybody();
	for (int i = 0; i < 7; i++) {
		char text[100];
		int64_t amount;

		snprintf(text, sizeof text, "SELECT amount FROM aid WHERE id = 'l%d'", i);
		amount = ask(&county, text);
		assert_int_equal(ask(&village, text), amount);
		assert_int_equal(ask(&town, text), amount);
	}
	/* Late and twice: nothing happens, the answer is the same place. */
	for (int i = 0; i < 2; i++) {
		buf_clear(&answer);
		OK(engine_push_answer(town.engine, facts(&village), buf_slice(&first), &answer, e));
	}
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

static void test_many_rows(void **state)
{
	(void)state;
	sql(&county, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) "
	    "INSERT INTO aid SELECT 'm' || i, '620702100001', '王五' || i, i, NULL FROM n");
	seal(&county);
	everybody();
	assert_int_equal(ask(&village, "SELECT count(*) FROM aid WHERE id LIKE 'm%'"), 6000);
	sql(&village, "DELETE FROM aid WHERE id LIKE 'm%' AND amount > 10");
	seal(&village);
	everybody();
	assert_int_equal(ask(&county, "SELECT count(*) FROM aid WHERE id LIKE 'm%'"), 10);
	at_rest(&village, &town, "equal");
}

/* ---- disks that were restored */

static void copy_disk(struct node *n, const char *suffix, bool back)
{
	static const char *const parts[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		_cleanup_(buf_release) struct buf content = { 0 };
		char from[120], to[120];

		snprintf(back ? to : from, 120, "%s%s", n->path, parts[i]);
		snprintf(back ? from : to, 120, "%s%s%s", n->path, suffix, parts[i]);
		unlink(to);
		if (file_exists(from)) {
			OK(file_read(from, 1u << 30, &content, e));
			OK(file_write(to, buf_slice(&content), 0600, e));
		}
	}
}

static void backup(struct node *n)
{
	close_node(n);
	copy_disk(n, ".backup", false);
	open_node(n);
}

static void restore(struct node *n)
{
	close_node(n);
	copy_disk(n, ".backup", true);
	open_node(n);
}

static void test_child_restored(void **state)
{
	(void)state;
	backup(&village);
	everybody();
	sql(&village, "INSERT INTO aid VALUES('r1', '620702100001', '赵', 1, NULL)");
	seal(&village);
	sql(&village, "UPDATE aid SET amount = 2 WHERE id = 'r1'");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "r1"), 2);
	restore(&village);
	assert_int_equal(AMOUNT(&village, "r1"), INT64_MIN);
	contact(&village, &town);
	assert_int_equal(AMOUNT(&village, "r1"), 2);
	/* The next write opens an epoch, and its stream goes on from the backup's position. */
	sql(&village, "UPDATE aid SET amount = 3 WHERE id = 'r1'");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "r1"), 3);
	sql(&village, "UPDATE aid SET amount = 4 WHERE id = 'r1'");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "r1"), 4);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

static void test_relay_restored(void **state)
{
	(void)state;
	backup(&town);
	everybody();
	sql(&village, "INSERT INTO aid VALUES('p1', '620702100001', '钱', 1, NULL)");
	seal(&village);
	sql(&town, "INSERT INTO aid VALUES('p2', '620702100000', '孙', 2, NULL)");
	seal(&town);
	everybody();
	restore(&town);
	/* The village comes first: it is told to wait, the township heals with the county. */
	clock_ms += 10000;
	contact(&village, &town);
	assert_false(town.engine->ready);
	contact(&town, &county);
	assert_true(town.engine->ready);
	assert_int_equal(AMOUNT(&town, "p1"), 1);
	assert_int_equal(AMOUNT(&town, "p2"), 2);
	clock_ms += 10000;
	sql(&village, "UPDATE aid SET amount = 5 WHERE id = 'p1'");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "p1"), 5);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
}

static void test_top_restored(void **state)
{
	(void)state;
	backup(&county);
	everybody();
	sql(&village, "INSERT INTO aid VALUES('t1', '620702100001', '周', 1, NULL)");
	seal(&village);
	everybody();
	restore(&county);
	assert_int_equal(AMOUNT(&county, "t1"), INT64_MIN);
	town.engine->hello_due = true;
	everybody();
	assert_int_equal(AMOUNT(&county, "t1"), 1);
	sql(&county, "UPDATE aid SET amount = 9 WHERE id = 't1'");
	seal(&county);
	everybody();
	assert_int_equal(AMOUNT(&village, "t1"), 9);
	at_rest(&town, &county, "equal");
}

static void test_digests_differ(void **state)
{
	uint32_t before = town.alarms;

	(void)state;
	sql(&village, "INSERT INTO aid VALUES('d1', '620702100001', '吴', 1, NULL)");
	seal(&village);
	everybody();
	at_rest(&village, &town, "equal");
	clock_ms += 2 * 3600 * 1000;
	/* The sum is falsified behind the daemon's back: the heal is an alarm. */
	hash_all(&village);
	close_node(&village);
	sql(&village, "CREATE TABLE right_sum AS SELECT sum FROM terrace_digest WHERE unit = 620702100001");
	sql(&village, "UPDATE terrace_digest SET sum = x'01020304050607080910111213141516' WHERE unit = 620702100001");
	open_node(&village);
	contact(&village, &town);
	hello(&village, &town, NULL);
	assert_true(town.alarms > before);
	assert_non_null(strstr(town.last_alarm, "digests differ"));
	close_node(&village);
	sql(&village, "UPDATE terrace_digest SET sum = (SELECT sum FROM right_sum) WHERE unit = 620702100001");
	sql(&village, "DROP TABLE right_sum");
	open_node(&village);
	everybody();
	at_rest(&village, &town, "equal");
}

/* ---- two machines, one identity */

static void test_twin(void **state)
{
	struct node other;
	bool twin = false;

	(void)state;
	close_node(&village);
	other = village;
	copy_disk(&village, ".twin", false);
	snprintf(other.path, sizeof other.path, "%.80s.twin", village.path);
	open_node(&village);
	sql(&village, "INSERT INTO aid VALUES('w1', '620702100001', '郑', 1, NULL)");
	seal(&village);
	contact(&village, &town);
	/* The copy looks like a restored disk at first, and heals. */
	open_node(&other);
	contact(&other, &town);
	assert_int_equal(AMOUNT(&other, "w1"), 1);
	sql(&other, "UPDATE aid SET amount = 2 WHERE id = 'w1'");
	seal(&other);
	contact(&other, &town);
	assert_int_equal(AMOUNT(&town, "w1"), 2);
	/* The first one comes back. */
	hello(&village, &town, &twin);
	assert_true(twin);
	hello(&other, &town, &twin);
	assert_true(twin);
	assert_non_null(strstr(town.last_alarm, "twin"));
	assert_false(engine_push_ready(village.engine));
	assert_int_equal(feed(&village, &town, false), ERR_REFUSED);
	/* The administrator stops the copy and settles it. */
	close_node(&other);
	{
		struct link l;
		bool found;

		OK(link_get(town.engine->db, U_VILLAGE, &l, &found, e));
		l.twin = false;
		l.superseded = 0;
		OK(link_put(town.engine->db, &l, e));
	}
	hello(&village, &town, &twin);
	assert_false(twin);
	everybody();
	assert_int_equal(AMOUNT(&village, "w1"), 2);
	at_rest(&village, &town, "equal");
}

/* ---- enrolment */

static int enrol(struct node *by, struct buf *body, struct buf *answer)
{
	struct err say = { 0 };
	int rc;

	buf_clear(answer);
	rc = engine_enroll_answer(by->engine, buf_slice(body), answer, &say);
	buf_release(body);
	return rc;
}

static void test_enrolment(void **state)
{
	_cleanup_(buf_release) struct buf answer = { 0 }, again = { 0 }, revoked = { 0 };
	uint8_t secret[ENROLL_SECRET_SIZE] = { 7 }, wrong[ENROLL_SECRET_SIZE] = { 8 };
	struct node n = { 0 }, m = { 0 };
	struct buf body;
	int64_t now = clock_ms;

	(void)state;
	sign_key_new(&n.id.sign);
	sign_key_new(&m.id.sign);
	OK(chain_key_new(&n.id.tls_key_pem, e));
	OK(chain_key_new(&m.id.tls_key_pem, e));
	body = request_of(&n, U_TOWN_2, secret);
	assert_int_equal(enrol(&county, &body, &answer), ERR_REFUSED);         /* nobody is invited */
	invite(&county, U_TOWN_2, secret);
	body = request_of(&n, U_TOWN_2, wrong);
	assert_int_equal(enrol(&county, &body, &answer), ERR_REFUSED);
	body = request_of(&n, U_VILLAGE_2, secret);                            /* the secret of another */
	assert_int_equal(enrol(&county, &body, &answer), ERR_REFUSED);
	clock_ms += 73 * 3600 * INT64_C(1000);
	body = request_of(&n, U_TOWN_2, secret);
	assert_int_equal(enrol(&county, &body, &answer), ERR_GONE);
	clock_ms = now;
	body = request_of(&n, U_TOWN_2, secret);
	assert_int_equal(enrol(&county, &body, &answer), 0);
	body = request_of(&n, U_TOWN_2, secret);                               /* its answer was lost: the same again */
	assert_int_equal(enrol(&county, &body, &again), 0);
	assert_true(slice_equal(buf_slice(&answer), buf_slice(&again)));
	body = request_of(&m, U_TOWN_2, secret);                               /* another machine with a used line */
	assert_int_equal(enrol(&county, &body, &answer), ERR_GONE);
	/* Invited again: the old certificate is revoked. */
	invite(&county, U_TOWN_2, secret);
	OK(engine_revoked(county.engine, &revoked, e));
	assert_int_equal(revoked.n, 0);
	body = request_of(&m, U_TOWN_2, secret);
	assert_int_equal(enrol(&county, &body, &answer), 0);
	OK(engine_revoked(county.engine, &revoked, e));
	assert_true(revoked.n > 1 && revoked.p[revoked.n - 1] == 0);
	/* Out of scope even with an invitation that somebody put there. */
	invite(&town, U_TOWN_2, secret);
	body = request_of(&n, U_TOWN_2, secret);
	assert_int_equal(enrol(&town, &body, &answer), ERR_REFUSED);
	identity_release(&n.id);
	identity_release(&m.id);
}

/* The village's machine burned: a new one with nothing but the invitation. */
static void test_new_machine(void **state)
{
	struct node burned = village;
	int64_t rows;

	(void)state;
	sql(&village, "INSERT INTO aid VALUES('n1', '620702100001', '冯', 1, NULL)");
	seal(&village);
	everybody();
	close_node(&burned);
	join(&village, &town, U_VILLAGE, "village-new");
	contact(&village, &town);
	rows = ask(&town, "SELECT count(*) FROM aid WHERE unit_code = '620702100001'");
	assert_true(rows > 0);
	assert_int_equal(ask(&village, "SELECT count(*) FROM aid"), rows);
	assert_true(village.engine->ready);
	sql(&village, "UPDATE aid SET amount = 2 WHERE id = 'n1'");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "n1"), 2);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	identity_release(&burned.id);
}

/* A village that dialled the county gets a township between. */
static void test_node_between(void **state)
{
	struct node second, middle, second_was;

	(void)state;
	join(&second, &county, UINT64_C(620702200001), "second");
	contact(&second, &county);
	sql(&second, "INSERT INTO aid VALUES('b1', '620702200001', '陈', 1, NULL)");
	seal(&second);
	contact(&second, &county);
	assert_int_equal(AMOUNT(&county, "b1"), 1);
	sql(&county, "UPDATE aid SET amount = 2 WHERE id = 'b1'");
	seal(&county);                                   /* waits for the village */
	sql(&second, "INSERT INTO aid VALUES('b2', '620702200001', '褚', 1, NULL)");
	seal(&second);                                   /* waits for the county */
	join(&middle, &county, U_TOWN_2, "middle");
	contact(&middle, &county);
	assert_int_equal(AMOUNT(&middle, "b1"), 2);
	/* It enrols with the township, and keeps its file and its keys. */
	second_was = second;
	close_node(&second);
	join(&second, &middle, UINT64_C(620702200001), "second");
	assert_int_equal(AMOUNT(&second, "b1"), 1);
	for (int i = 0; i < 3; i++) {
		contact(&second, &middle);
		contact(&middle, &county);
	}
	assert_int_equal(AMOUNT(&second, "b1"), 2);
	assert_int_equal(AMOUNT(&county, "b2"), 1);
	assert_int_equal(ask(&county, "SELECT direct FROM terrace_peer WHERE unit = 620702200001"), 0);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_dirty WHERE peer = 620702200001"), 0);
	sql(&second, "UPDATE aid SET amount = 3 WHERE id = 'b2'");
	seal(&second);
	for (int i = 0; i < 3; i++) {
		contact(&second, &middle);
		contact(&middle, &county);
	}
	assert_int_equal(AMOUNT(&county, "b2"), 3);
	at_rest(&second, &middle, "equal");
	at_rest(&middle, &county, "equal");
	close_node(&second);
	close_node(&middle);
	identity_release(&second.id);
	identity_release(&second_was.id);
	identity_release(&middle.id);
}

/* ---- bodies that are wrong */

static void test_refused(void **state)
{
	_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 }, greeting = { 0 };
	struct facts stranger = village.id.chain.at[0];
	struct err say = { 0 };

	(void)state;
	sql(&village, "INSERT INTO aid VALUES('f1', '620702100001', '卫', 1, NULL)");
	seal(&village);
	OK(engine_push_make(village.engine, 1u << 20, &body, e));
	stranger.sign_public[3] ^= 1;                    /* the connection's chain names another key */
	assert_int_equal(engine_push_answer(town.engine, &stranger, buf_slice(&body), &answer, &say), ERR_SIGNATURE);
	assert_true(answer.n > 0);                       /* and still says what was expected */
	body.p[body.n - 2] ^= 1;
	buf_clear(&answer);
	assert_int_not_equal(engine_push_answer(town.engine, facts(&village), buf_slice(&body), &answer, &say), 0);
	body.p[body.n - 2] ^= 1;
	for (size_t n = 0; n < body.n; n += 1 + n / 40) {
		buf_clear(&answer);
		assert_int_not_equal(engine_push_answer(town.engine, facts(&village), (struct slice){ body.p, n }, &answer, &say), 0);
	}
	assert_int_equal(AMOUNT(&town, "f1"), INT64_MIN);
	OK(engine_hello_make(village.engine, &greeting, e));
	for (size_t n = 0; n < greeting.n; n += 1 + n / 40) {
		buf_clear(&answer);
		assert_int_not_equal(engine_hello_answer(town.engine, facts(&village), (struct slice){ greeting.p, n }, &answer, &say), 0);
	}
	stranger = village.id.chain.at[0];
	stranger.unit = U_TOWN_2;
	assert_int_equal(engine_hello_answer(town.engine, &stranger, buf_slice(&greeting), &answer, &say), ERR_CHAIN);
	buf_clear(&answer);
	OK(engine_push_answer(town.engine, facts(&village), buf_slice(&body), &answer, e));
	OK(engine_push_take(village.engine, 200, buf_slice(&answer), e));
	assert_int_equal(AMOUNT(&town, "f1"), 1);
	everybody();
	at_rest(&village, &town, "equal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_up_and_down), cmocka_unit_test(test_lost_and_repeated), cmocka_unit_test(test_many_rows),
		cmocka_unit_test(test_child_restored), cmocka_unit_test(test_relay_restored), cmocka_unit_test(test_top_restored),
		cmocka_unit_test(test_digests_differ), cmocka_unit_test(test_twin), cmocka_unit_test(test_enrolment),
		cmocka_unit_test(test_new_machine), cmocka_unit_test(test_node_between), cmocka_unit_test(test_refused),
	};

	loud = getenv("LOUD") != NULL;
	return cmocka_run_group_tests(tests, begin, end);
}
