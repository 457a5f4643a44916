/* Certificates over the years, on virtual clocks: renewal from half the life on, upload only past the end, a year of
 * grace, and the chains of those below; revocation, leaving, a new key at the top. */
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/renew.h"
#include "engine/revoke.h"
#include "store/outbox.h"

#define DAY_MS INT64_C(86400000)

static int64_t until(const struct node *n)
{
	return n->id.chain.at[0].until_s;
}

static int64_t tree_s(void)
{
	return clock_ms / 1000;
}

/* As the uplink does it; the status. */
static int renew(struct node *child, struct node *parent)
{
	_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 };
	struct err say = { 0 };
	int rc;

	OK(engine_renew_make(child->engine, &body, e));
	rc = engine_renew_answer(parent->engine, facts(child), buf_slice(&body), &answer, &say);
	if (rc != 0)
		return rc;
	return engine_renew_take(child->engine, 200, buf_slice(&answer), &say);
}

static void days(int n)
{
	clock_ms += n * DAY_MS;
}

static void test_half_life(void **state)
{
	int64_t before = until(&town);
	char serial[41];
	uint32_t renewals = town.renewals;

	(void)state;
	assert_false(engine_renew_due(town.engine));
	assert_int_equal(renew(&town, &county), 0);      /* too early: the same certificate is given again */
	assert_int_equal(until(&town), before);
	days(NODE_DAYS / 2 + 1);
	contact(&town, &county);
	assert_true(engine_renew_due(town.engine));
	assert_false(engine_upload_only(town.engine));
	snprintf(serial, sizeof serial, "%s", town.id.chain.at[0].serial);
	assert_int_equal(renew(&town, &county), 0);
	assert_true(until(&town) > before + NODE_DAYS / 2 * 86400 - 86400);
	assert_string_not_equal(town.id.chain.at[0].serial, serial);
	assert_true(town.renewals > renewals);
	assert_false(engine_renew_due(town.engine));
	assert_int_equal(ask(&county, "SELECT until FROM terrace_peer WHERE unit = 620702100000"), until(&town));
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_serial WHERE unit = 620702100000"), 1);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_revoked"), 0);
}

/* The answer was lost, or the folder was full: asked again, the same certificate is given. */
static void test_lost(void **state)
{
	_cleanup_(buf_release) struct buf body = { 0 }, lost = { 0 };
	struct err say = { 0 };

	(void)state;
	days(NODE_DAYS / 2 + 1);
	contact(&town, &county);
	OK(engine_renew_make(town.engine, &body, e));
	OK(engine_renew_answer(county.engine, facts(&town), buf_slice(&body), &lost, e));
	town.full = true;
	assert_int_equal(engine_renew_take(town.engine, 200, buf_slice(&lost), &say), ERR_FULL);
	town.full = false;
	assert_false(engine_renew_due(town.engine));     /* not at once */
	clock_ms += 20 * 60 * 1000;
	assert_true(engine_renew_due(town.engine));
	assert_int_equal(renew(&town, &county), 0);
	struct chain given;
	OK(chain_read(buf_slice(&lost), NULL, &given, e));
	assert_string_equal(town.id.chain.at[0].serial, given.at[0].serial);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_serial WHERE unit = 620702100000"), 2);
}

/* Those below have the new chain with the next hello; their own certificates stay. */
static void test_chains_below(void **state)
{
	char serial[41];
	bool twin;

	(void)state;
	assert_string_not_equal(village.id.chain.at[1].serial, town.id.chain.at[0].serial);
	snprintf(serial, sizeof serial, "%s", village.id.chain.at[0].serial);
	village.full = true;
	hello(&village, &town, &twin);                   /* cannot be kept: the next hello brings it again */
	assert_string_not_equal(village.id.chain.at[1].serial, town.id.chain.at[0].serial);
	village.full = false;
	hello(&village, &town, &twin);
	assert_string_equal(village.id.chain.at[1].serial, town.id.chain.at[0].serial);
	assert_string_equal(village.id.chain.at[0].serial, serial);
	sql(&village, "INSERT INTO aid VALUES('k1', '620702100001', '孙', 1, NULL)");
	seal(&village);
	everybody();
	assert_int_equal(AMOUNT(&county, "k1"), 1);
}

/* A village is away across the end of its certificate and its township's renewals; it writes all the while. */
static void test_village_away(void **state)
{
	(void)state;
	for (int month = 0; month < 30; month++) {
		char text[120];

		days(30);
		snprintf(text, sizeof text, "INSERT INTO aid VALUES('m%d', '620702100001', '赵', %d, NULL)", month, month);
		sql(&village, text);
		seal(&village);
		contact(&town, &county);
		if (engine_renew_due(town.engine))
			assert_int_equal(renew(&town, &county), 0);
	}
	assert_true(tree_s() > until(&village));
	assert_true(tree_s() < until(&town));
	hello(&village, &town, NULL);                    /* tree time is heard, and the chain above is the new one */
	assert_true(engine_upload_only(village.engine));
	assert_string_equal(village.id.chain.at[1].serial, town.id.chain.at[0].serial);
	push(&village, &town, 0);                        /* uploads go on */
	assert_int_equal(AMOUNT(&town, "m29"), 29);
	assert_true(engine_renew_due(village.engine));
	assert_int_equal(renew(&village, &town), 0);
	assert_false(engine_upload_only(village.engine));
	everybody();
	assert_int_equal(AMOUNT(&county, "m29"), 29);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	/* The county knows the village's new certificate. */
	assert_int_equal(ask(&county, "SELECT until FROM terrace_peer WHERE unit = 620702100001"), until(&village));
}

/* A request for another key, unit or of a machine that was replaced. */
static void test_refused(void **state)
{
	_cleanup_(buf_release) struct buf request = { 0 }, body = { 0 }, answer = { 0 };
	struct facts other = *facts(&village);
	struct sign_key stranger;
	struct err say = { 0 };

	(void)state;
	sign_key_new(&stranger);
	OK(chain_request(buf_slice(&village.id.tls_key_pem), U_VILLAGE, "civil-affairs", "", stranger.public_key, &request, e));
	renew_put(buf_slice(&request), &body);
	assert_int_equal(engine_renew_answer(town.engine, facts(&village), buf_slice(&body), &answer, &say), ERR_REFUSED);
	buf_clear(&request);
	buf_clear(&body);
	OK(chain_request(buf_slice(&town.id.tls_key_pem), U_VILLAGE, "civil-affairs", "", village.id.sign.public_key, &request, e));
	renew_put(buf_slice(&request), &body);
	assert_int_equal(engine_renew_answer(town.engine, facts(&village), buf_slice(&body), &answer, &say), ERR_REFUSED);
	buf_clear(&body);
	OK(engine_renew_make(village.engine, &body, e));
	other.unit = U_VILLAGE_2;
	assert_int_equal(engine_renew_answer(town.engine, &other, buf_slice(&body), &answer, &say), ERR_REFUSED);
	buf_put_u8(&body, 0);
	assert_int_equal(engine_renew_answer(town.engine, facts(&village), buf_slice(&body), &answer, &say), ERR_FORMAT);
	assert_int_equal(answer.n, 0);
	/* Another machine takes the village's place: the first one's certificates, renewed ones too, are void. */
	struct node second;
	other = *facts(&village);
	buf_clear(&body);
	OK(engine_renew_make(village.engine, &body, e));
	join(&second, &town, U_VILLAGE, "second");
	assert_int_equal(engine_renew_answer(town.engine, &other, buf_slice(&body), &answer, &say), ERR_CHAIN);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_revoked WHERE unit = 620702100001"), 2);
	close_node(&second);
	identity_release(&second.id);
}

/* An answer that is not for this node changes nothing. */
static void test_false_answers(void **state)
{
	struct digest before = facts(&town)->fingerprint;
	struct err say = { 0 };

	(void)state;
	assert_int_equal(engine_renew_take(town.engine, 503, (struct slice){ 0 }, &say), ERR_REFUSED);
	assert_int_equal(engine_renew_take(town.engine, 200, buf_slice(&village.id.chain_pem), &say), ERR_CHAIN);
	assert_int_equal(engine_renew_take(town.engine, 200, buf_slice(&county.id.chain_pem), &say), ERR_CHAIN);
	assert_int_not_equal(engine_renew_take(town.engine, 200, slice_of("nonsense"), &say), 0);
	assert_int_not_equal(renew_follow(town.engine, buf_slice(&village.id.chain_pem), &say), 0);
	assert_true(digest_equal(&before, &facts(&town)->fingerprint));
}

/* ---- revocation */

static int order(struct node *n, const char *a, const char *b, const char *c, const char *d, struct err *say)
{
	const char *const words[] = { a, b, c, d };
	_cleanup_(json_release) json_t *ret = NULL;

	return engine_command(n->engine, words, d != NULL ? 4 : c != NULL ? 3 : b != NULL ? 2 : 1, "tester", &ret, say);
}

static int say_hello(struct node *child, struct node *parent, struct err *say)
{
	_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 };

	OK(engine_hello_make(child->engine, &body, e));
	return engine_hello_answer(parent->engine, facts(child), buf_slice(&body), &answer, say);
}

#define PEERS "SELECT count(*) FROM terrace_peer WHERE unit = 620702100001 AND revoked "

static void test_revoke(void **state)
{
	_cleanup_(buf_release) struct buf list = { 0 };
	struct node again;
	struct err say = { 0 };

	(void)state;
	/* A fresh village: the one before it was replaced. */
	close_node(&village);
	identity_release(&village.id);
	join(&village, &town, U_VILLAGE, "village-2");
	everybody();
	sql(&village, "INSERT INTO aid VALUES('v1', '620702100001', '王', 1, NULL)");
	seal(&village);
	contact(&village, &town);                        /* at the town, not yet at the county */
	sql(&village, "INSERT INTO aid VALUES('v2', '620702100001', '王', 2, NULL)");
	seal(&village);                                  /* behind the last trusted position */
	assert_int_equal(order(&county, "peers", "revoke", "620702100001", "", &say), ERR_REFUSED);
	assert_int_equal(order(&town, "peers", "revoke", "620702100009", "", &say), ERR_NOT_FOUND);
	assert_int_equal(order(&town, "peers", "revoke", "620702100001", "失窃", &say), 0);
	assert_int_equal(order(&town, "peers", "revoke", "620702100001", "", &say), ERR_REFUSED);
	OK(engine_revoked(town.engine, &list, e));
	assert_non_null(memmem(list.p, list.n, village.id.chain.at[0].serial, strlen(village.id.chain.at[0].serial)));
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_manned WHERE unit = 620702100001"), 0);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_dirty WHERE peer = 620702100001"), 0);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_link WHERE peer = 620702100001"), 0);
	assert_int_not_equal(push(&village, &town, 0), 0);
	assert_int_equal(say_hello(&village, &town, &say), ERR_CHAIN);
	assert_int_not_equal(feed(&village, &town, false), 0);
	assert_int_equal(AMOUNT(&town, "v1"), 1);
	assert_int_equal(AMOUNT(&town, "v2"), INT64_MIN);
	/* The county hears of it with the hello that brings what is trusted, and takes that. */
	contact(&town, &county);
	assert_int_equal(ask(&county, PEERS "= 1"), 1);
	assert_int_equal(AMOUNT(&county, "v1"), 1);
	buf_clear(&list);
	OK(engine_revoked(county.engine, &list, e));
	assert_non_null(memmem(list.p, list.n, village.id.chain.at[0].serial, strlen(village.id.chain.at[0].serial)));
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_peer WHERE told = 0"), 0);
	/* The town writes for it, and nothing waits for it. */
	sql(&town, "UPDATE aid SET amount = 5 WHERE id = 'v1'");
	seal(&town);
	contact(&town, &county);
	assert_int_equal(AMOUNT(&county, "v1"), 5);
	at_rest(&town, &county, "equal");
	/* Invited anew, another machine takes the place, and heals. */
	join(&again, &town, U_VILLAGE, "village-3");
	contact(&again, &town);
	assert_int_equal(AMOUNT(&again, "v1"), 5);
	sql(&again, "INSERT INTO aid VALUES('v3', '620702100001', '王', 3, NULL)");
	seal(&again);
	contact(&again, &town);
	contact(&town, &county);
	assert_int_equal(AMOUNT(&county, "v3"), 3);
	assert_int_equal(ask(&county, PEERS "= 0"), 1);
	assert_int_equal(say_hello(&village, &town, &say), ERR_CHAIN);
	close_node(&village);
	identity_release(&village.id);
	village = again;
	close_node(&village);
	open_node(&village);
	everybody();
	at_rest(&village, &town, "equal");
}

static int first_delta(void *arg, uint64_t seq, struct slice bytes)
{
	struct buf *b = arg;

	(void)seq;
	buf_clear(b);
	buf_put(b, bytes.p, bytes.n);
	return 0;
}

/* A relay cannot bring what a revoked key signs later, nor can anybody after the unit has another key. */
static void test_behind(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf last = { 0 }, raw = { 0 }, forged = { 0 };
	struct trusted t;
	struct segment s;
	struct err say = { 0 };
	uint8_t key[SIGN_PUBLIC_SIZE];
	bool found = false;

	(void)state;
	sql(&village, "INSERT INTO aid VALUES('z1', '620702100001', '王', 1, NULL)");
	seal(&village);
	everybody();
	OK(outbox_each(village.engine->db, 0, first_delta, &last, e));
	OK(segment_parse(buf_slice(&last), &a, &s, e));
	memcpy(key, village.id.sign.public_key, sizeof key);
	assert_int_equal(order(&town, "peers", "revoke", "620702100001", "", &say), 0);
	contact(&town, &county);
	OK(trusted_get(county.engine->db, key, s.header.stream, &t, &found, e));
	assert_true(found);
	assert_int_equal(t.position, s.header.position);
	assert_int_equal(revoke_check(county.engine, &s, key, "last", &say), 0);
	/* The same position with other bytes, and one behind it. */
	struct segment_header h = { .format = SEGMENT_FORMAT, .suite = SEGMENT_SUITE_ED25519_BLAKE2B, .kind = SEGMENT_DELTA,
		                    .author = U_VILLAGE, .epoch = s.header.epoch, .tick = s.header.tick, .stream = s.header.stream,
		                    .position = s.header.position, .previous = s.header.previous, .policy = s.header.policy,
		                    .changes = s.header.changes };
	OK(segment_inflate(&s, &raw, e));
	OK(segment_seal(&h, buf_slice(&raw), &village.id.sign, &forged, e));
	OK(segment_parse(buf_slice(&forged), &a, &s, e));
	assert_int_equal(revoke_check(county.engine, &s, key, "forged", &say), ERR_CHAIN);
	h.position++;
	buf_clear(&forged);
	OK(segment_seal(&h, buf_slice(&raw), &village.id.sign, &forged, e));
	OK(segment_parse(buf_slice(&forged), &a, &s, e));
	assert_int_equal(revoke_check(county.engine, &s, key, "later", &say), ERR_CHAIN);
}

/* A revocation by one who does not stand above the unit, or altered, is not taken. */
static void test_false_revocation(void **state)
{
	_cleanup_(buf_release) struct buf kept = { 0 };
	uint64_t unit;

	(void)state;
	int64_t id = ask(&town, "SELECT id FROM terrace_segment WHERE kind = 8 ORDER BY id DESC LIMIT 1");
	OK(segment_bytes(town.engine->db, id, &kept, e));
	OK(revoke_heard(county.engine, U_TOWN_2, buf_slice(&kept), &unit, e));
	assert_int_equal(unit, UNIT_NONE);
	kept.p[kept.n - 3] ^= 1;
	OK(revoke_heard(county.engine, U_TOWN, buf_slice(&kept), &unit, e));
	assert_int_equal(unit, UNIT_NONE);
	kept.p[kept.n - 3] ^= 1;
	OK(revoke_heard(county.engine, U_TOWN, buf_slice(&kept), &unit, e));
	assert_int_equal(unit, U_VILLAGE);
}

/* ---- leaving */

static int leave(struct node *child, struct node *parent, bool lost, struct err *say)
{
	_cleanup_(buf_release) struct buf body = { 0 }, answer = { 0 };
	int rc;

	OK(engine_leave_make(child->engine, &body, e));
	rc = engine_leave_answer(parent->engine, facts(child), buf_slice(&body), &answer, say);
	return rc != 0 || lost ? rc : engine_leave_take(child->engine, true, say);
}

static void test_leave(void **state)
{
	struct node third;
	struct err say = { 0 };

	(void)state;
	join(&third, &town, U_VILLAGE_2, "third");
	contact(&third, &town);
	assert_int_equal(order(&county, "leave", NULL, NULL, NULL, &say), ERR_REFUSED);  /* the top */
	assert_int_equal(order(&town, "leave", NULL, NULL, NULL, &say), ERR_REFUSED);    /* others would be cut off */
	assert_false(engine_leave_due(third.engine));
	sql(&third, "INSERT INTO aid VALUES('l1', '620702100002', '冯', 1, NULL)");
	assert_int_equal(order(&third, "leave", NULL, NULL, NULL, &say), 0);
	assert_false(engine_leave_due(third.engine));    /* it waits at least for what is sealed */
	assert_int_equal(leave(&third, &town, false, &say), ERR_GAP);
	contact(&third, &town);
	clock_ms += 10000;
	assert_false(engine_leave_due(third.engine));    /* applied, not settled */
	contact(&town, &county);
	contact(&third, &town);                          /* the county's word that it is settled */
	clock_ms += 10000;
	assert_true(engine_leave_due(third.engine));
	assert_int_equal(leave(&third, &town, true, &say), 0);   /* its answer is lost: the next hello is refused */
	assert_int_equal(say_hello(&third, &town, &say), ERR_CHAIN);
	assert_non_null(strstr(say.text, "revoked"));
	OK(engine_leave_take(third.engine, true, e));
	assert_false(engine_leave_due(third.engine));
	_cleanup_(buf_release) struct buf body = { 0 };
	assert_int_equal(engine_hello_make(third.engine, &body, &say), ERR_GONE);
	assert_int_equal(AMOUNT(&county, "l1"), 1);
	assert_int_equal(ask(&town, "SELECT revoked FROM terrace_peer WHERE unit = 620702100002"), 1);
	contact(&town, &county);
	at_rest(&town, &county, "equal");
	/* An invitation brings the same home back. */
	struct node back;
	close_node(&third);
	join_with(&back, &town, U_VILLAGE_2, "third", &third);
	contact(&back, &town);
	assert_false(engine_leave_due(back.engine));
	at_rest(&back, &town, "equal");
	close_node(&back);
	buf_release(&back.id.tls_key_pem);
	buf_release(&back.id.chain_pem);
	identity_release(&third.id);
}

/* ---- the top's keys */

static const struct facts *top_of(const struct node *n)
{
	return &n->id.chain.at[n->id.chain.n - 1];
}

/* As terracectl anchor does it, the daemon stopped. */
static void rotate(void)
{
	const uint8_t serial[16] = { (uint8_t)rand(), (uint8_t)rand(), 3 };
	struct facts before = *top_of(&county);

	close_node(&county);
	sign_key_new(&county.id.sign);
	buf_clear(&county.id.tls_key_pem);
	buf_clear(&county.id.chain_pem);
	OK(chain_key_new(&county.id.tls_key_pem, e));
	OK(chain_anchor(buf_slice(&county.id.tls_key_pem), &before, county.id.sign.public_key, &recovery_key, serial, tree_s() - 86400,
	                tree_s() + 20 * INT64_C(365) * 86400, &county.id.chain_pem, e));
	OK(chain_read(buf_slice(&county.id.chain_pem), NULL, &county.id.chain, e));
	assert_true(county.id.chain.at[0].anchored);
	open_node(&county);
}

static void follow(struct node *child)
{
	hello(child, &county, NULL);
	assert_true(engine_renew_due(child->engine));
	assert_true(engine_upload_only(child->engine));
	assert_int_equal(renew(child, &county), 0);
	assert_false(engine_upload_only(child->engine));
	assert_true(digest_equal(&top_of(child)->pin, &top_of(&county)->pin));
}

static void test_anchor(void **state)
{
	const uint8_t serial[16] = { 9 };
	_cleanup_(buf_release) struct buf pem = { 0 };
	struct digest first = top_of(&county)->pin;
	struct facts known = *top_of(&county);
	struct sign_key other;
	struct node second;
	struct chain c;
	struct err say = { 0 };

	(void)state;
	close_node(&village);
	identity_release(&village.id);
	join(&village, &town, U_VILLAGE, "village-4");
	everybody();
	/* Another key than the recovery key: refused, and not followed where somebody signs it all the same. */
	sign_key_new(&other);
	assert_int_equal(chain_anchor(buf_slice(&village.id.tls_key_pem), &known, other.public_key, &other, serial, 0, 1, &pem, &say),
	                 ERR_REFUSED);
	memcpy(known.recovery_public, other.public_key, sizeof known.recovery_public);
	OK(chain_anchor(buf_slice(&village.id.tls_key_pem), &known, other.public_key, &other, serial, 0, 1, &pem, e));
	OK(chain_read(buf_slice(&pem), NULL, &c, e));
	assert_false(chain_follows(top_of(&county), &c.at[0]));
	assert_int_equal(renew_follow(town.engine, buf_slice(&pem), &say), ERR_CHAIN);
	assert_false(engine_upload_only(town.engine));
	/* Twice, while the village is away. */
	sql(&village, "INSERT INTO aid VALUES('t1', '620702100001', '蒋', 1, NULL)");
	seal(&village);
	rotate();
	follow(&town);
	contact(&town, &county);
	struct facts middle = *top_of(&county);
	rotate();
	follow(&town);
	contact(&town, &county);
	assert_true(chain_follows(&middle, top_of(&county)));
	assert_false(chain_follows(top_of(&county), &middle));   /* a key that was replaced does not come back */
	assert_true(digest_equal(&top_of(&village)->pin, &first));
	hello(&village, &town, NULL);
	everybody();
	assert_true(digest_equal(&top_of(&village)->pin, &top_of(&county)->pin));
	assert_int_equal(AMOUNT(&county, "t1"), 1);
	sql(&county, "UPDATE aid SET checked = 7 WHERE id = 't1'");
	seal(&county);
	everybody();
	assert_int_equal(ask(&village, "SELECT checked FROM aid WHERE id = 't1'"), 7);
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	/* Who comes later takes what the top signed with its first key. */
	join(&second, &county, U_TOWN_2, "town-2");
	contact(&second, &county);
	assert_int_equal(ask(&second, "SELECT count(*) FROM terrace_policy WHERE state = 'active'"), 1);
	at_rest(&second, &county, "equal");
	/* Renewed by its own parent, the village stays under the new top. */
	days(NODE_DAYS / 2 + 1);
	contact(&town, &county);
	assert_int_equal(renew(&town, &county), 0);
	hello(&village, &town, NULL);
	assert_int_equal(renew(&village, &town), 0);
	everybody();
	assert_int_equal(village.id.chain.n, 3);
	close_node(&second);
	identity_release(&second.id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_life), cmocka_unit_test(test_lost), cmocka_unit_test(test_chains_below),
		cmocka_unit_test(test_village_away), cmocka_unit_test(test_false_answers), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_revoke), cmocka_unit_test(test_behind), cmocka_unit_test(test_false_revocation),
		cmocka_unit_test(test_leave), cmocka_unit_test(test_anchor),
	};

	return cmocka_run_group_tests(tests, nodes_begin, nodes_end);
}
