#include "nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rand.h"
#include "engine/install.h"

#define LINE "civil-affairs"

static char folder[64];
int64_t clock_step;
int64_t clock_ms = INT64_C(1764000000000);
struct node county, town, village;
struct sign_key recovery_key;
bool loud;

static int64_t tell_time(void *arg)
{
	(void)arg;
	return clock_ms += clock_step;
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

/* As the daemon keeps it, but that one identity is in use. */
static const struct identity *renewed(void *arg, struct slice chain_pem, struct err *err)
{
	struct node *n = arg;
	struct chain c;

	if (n->full) {
		err_set(err, ERR_FULL, "no room for the chain");
		return NULL;
	}
	if (chain_read(chain_pem, NULL, &c, err) != 0)
		return NULL;
	n->renewals++;
	n->id.chain = c;
	buf_clear(&n->id.chain_pem);
	buf_put(&n->id.chain_pem, chain_pem.p, chain_pem.n);
	return &n->id;
}

void open_node(struct node *n)
{
	static const char *const urls[] = { "https://127.0.0.1:8447", NULL };
	const struct engine_options o = {
		.database = n->path, .make = true, .identity = &n->id, .source = { tell_time, tell_time, tell_random, NULL },
		.seal_ms = 200, .seal_max_ms = 2000, .urls = urls, .event = heard, .renewed = renewed, .arg = n,
		.bundle_cut = n->bundle_cut,
	};

	OK(engine_open(&o, &n->engine, e));
}

void close_node(struct node *n)
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
	uint8_t serial[16] = { 0x81, (uint8_t)rand() };

	memset(n, 0, sizeof *n);
	n->id.unit = unit;
	snprintf(n->id.line, sizeof n->id.line, LINE);
	snprintf(n->id.name, sizeof n->id.name, "甘州区");
	sign_key_new(&n->id.sign);
	sign_key_new(&recovery_key);
	OK(chain_key_new(&n->id.tls_key_pem, e));
	OK(chain_self_signed(buf_slice(&n->id.tls_key_pem), unit, LINE, n->id.name, n->id.sign.public_key, recovery_key.public_key,
	                     serial, clock_ms / 1000 - 86400, clock_ms / 1000 + 20 * INT64_C(365) * 86400, &n->id.chain_pem, e));
	OK(chain_read(buf_slice(&n->id.chain_pem), NULL, &n->id.chain, e));
	place_of(n, "county");
	open_node(n);
}

void sql(struct node *n, const char *text)
{
	sqlite3 *db;
	char *say = NULL;

	assert_int_equal(sqlite3_open(n->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	if (sqlite3_exec(db, text, NULL, NULL, &say) != SQLITE_OK)
		fail_msg("%s: %s", text, say);
	sqlite3_close(db);
}

int64_t ask(struct node *n, const char *text)
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

void invite(struct node *by, uint64_t unit, const uint8_t secret[ENROLL_SECRET_SIZE])
{
	_cleanup_(buf_release) struct buf hex = { 0 }, text = { 0 };
	struct digest d = digest_of((struct slice){ secret, ENROLL_SECRET_SIZE });

	for (size_t i = 0; i < DIGEST_SIZE; i++)
		buf_printf(&hex, "%02x", d.at[i]);
	buf_printf(&text, "INSERT OR REPLACE INTO terrace_invite(unit, name, secret, until) VALUES(%llu, '单位', x'%s', %lld)",
	           (unsigned long long)unit, buf_text(&hex), (long long)(clock_ms / 1000 + 72 * 3600));
	sql(by, buf_text(&text));
}

struct buf request_of(struct node *n, uint64_t unit, const uint8_t secret[ENROLL_SECRET_SIZE])
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

/* A machine joins; its file may be there already, and its keys. */
void join_with(struct node *n, struct node *by, uint64_t unit, const char *file, const struct node *keys)
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
	if (keys != NULL) {
		n->id.sign = keys->id.sign;
		buf_put(&n->id.tls_key_pem, keys->id.tls_key_pem.p, keys->id.tls_key_pem.n);
	} else {
		sign_key_new(&n->id.sign);
		OK(chain_key_new(&n->id.tls_key_pem, e));
	}
	body = request_of(n, unit, secret);
	OK(engine_enroll_answer(by->engine, buf_slice(&body), &n->id.chain_pem, e));
	OK(chain_read(buf_slice(&n->id.chain_pem), &by->id.chain.at[by->id.chain.n - 1].pin, &n->id.chain, e));
	assert_int_equal(n->id.chain.n, by->id.chain.n + 1);
	place_of(n, file);
	open_node(n);
}

void join(struct node *n, struct node *by, uint64_t unit, const char *file)
{
	join_with(n, by, unit, file, NULL);
}

void publish_aid(struct node *n, uint64_t version, uint8_t check)
{
	static const char *key[] = { "id" }, *columns[] = { "name", "amount" }, *checks[] = { "checked" };
	static const char *statements[] = {
		"CREATE TABLE aid(id TEXT NOT NULL PRIMARY KEY, unit_code TEXT, name TEXT, amount INTEGER, checked INTEGER)",
	};
	const struct policy_group groups[] = {
		{ .name = "main", .ncolumns = 2, .columns = columns, .own = 1 << COUNTY | 1 << TOWNSHIP | 1 << VILLAGE },
		{ .name = "check", .ncolumns = 1, .columns = checks, .own = check },
	};
	const struct policy_register aid = {
		.name = "aid", .nkey = 1, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code",
		.ceiling = PROVINCE, .floor = VILLAGE, .create = 0x1f, .remove = 0x1f, .ngroups = 2, .groups = groups,
	};
	const struct policy p = { .name = "aid", .version = version, .nstatements = 1, .statements = statements, .nregisters = 1,
		                  .registers = &aid };
	_cleanup_(buf_release) struct buf form = { 0 };
	uint64_t made;

	OK(policy_put(&p, &form, e));
	OK(policy_publish(n->engine, buf_slice(&form), &made, e));
}

/* ---- the road */

const struct facts *facts(const struct node *n)
{
	return &n->id.chain.at[0];
}

void hello(struct node *child, struct node *parent, bool *ret_twin)
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
int push(struct node *child, struct node *parent, int lost)
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

int feed(struct node *child, struct node *parent, bool lost)
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

size_t round_bytes;

int rounds(struct node *child, struct node *parent)
{
	for (int i = 0;; i++) {
		_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 };
		struct err say = { 0 };
		int rc;

		if (i > 5000)
			fail_msg("a reconciliation never ends");
		OK(engine_round_make(child->engine, &body, e));
		if (body.n == 0)
			return i;
		rc = engine_round_answer(parent->engine, facts(child), buf_slice(&body), &answer, &say);
		round_bytes += body.n + answer.n;
		OK(engine_round_take(child->engine, rc == 0 ? 200 : 409, buf_slice(&answer), e));
	}
}

/* As the uplink does it, until nothing waits on this link. */
void contact(struct node *child, struct node *parent)
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
		busy = rounds(child, parent) > 0 || busy;
		busy = feed(child, parent, false) != 0 || busy;
		if (!busy)
			return;
	}
	fail_msg("never quiet");
}

void lose(struct node *n, const char *id)
{
	struct engine *e1 = n->engine;
	struct reg *r = catalog_register(e1->catalog, slice_of("aid"));
	const struct cell cell = { .type = CELL_TEXT, .s = slice_of(id) };
	const struct key key = { &cell, 1 };
	struct arena a = { 0 };
	struct held h;

	OK(engine_begin(e1, e));
	OK(state_load(e1->state, r, key, &a, &h, e));
	assert_true(h.exists);
	OK(state_delete(e1->state, &h, e1->unit, e));
	OK(table_delete(e1->table, r, key, e));
	OK(engine_commit(e1, e));
	arena_release(&a);
}

void seal(struct node *n)
{
	OK(engine_seal(n->engine, e));
}

void hash_all(struct node *n)
{
	for (int i = 0; i < 20; i++)
		engine_tick(n->engine, false);
}

void everybody(void)
{
	for (int i = 0; i < 3; i++) {
		contact(&village, &town);
		contact(&town, &county);
	}
	contact(&village, &town);
}

void at_rest(struct node *child, struct node *parent, const char *expected)
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

int nodes_begin(void **state)
{
	(void)state;
	rand_start();
	loud = getenv("LOUD") != NULL;
	OK(sign_init(e));
	snprintf(folder, sizeof folder, "/tmp/terrace-contact-XXXXXX");
	assert_non_null(mkdtemp(folder));
	make_root(&county, U_COUNTY);
	publish_aid(&county, 1, 1 << COUNTY);
	join(&town, &county, U_TOWN, "town");
	contact(&town, &county);
	join(&village, &town, U_VILLAGE, "village");
	everybody();
	return 0;
}

int nodes_end(void **state)
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
