/* Certificates over the years, on virtual clocks: renewal from half the life on, upload only past the end, a year of
 * grace, and the chains of those below. */
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/renew.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_life), cmocka_unit_test(test_lost), cmocka_unit_test(test_chains_below),
		cmocka_unit_test(test_village_away), cmocka_unit_test(test_false_answers), cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, nodes_begin, nodes_end);
}
