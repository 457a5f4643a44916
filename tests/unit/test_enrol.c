/* Enrolment at the issuing node, new machines, a node between, bodies that are wrong. */
#include <stdio.h>
#include <string.h>

#include "nodes.h"

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

/* A village that dialled the county gets a township between; it keeps its file, and its keys or not. */
static void node_between(uint64_t unit, uint64_t between, bool keep_keys)
{
	struct node second, middle, second_was;
	char text[160], file[32];

	snprintf(file, sizeof file, "second-%d", keep_keys);
	join(&second, &county, unit, file);
	contact(&second, &county);
	snprintf(text, sizeof text, "INSERT INTO aid VALUES('b1-%d', '%llu', '陈', 1, NULL)", keep_keys, (unsigned long long)unit);
	sql(&second, text);
	seal(&second);
	contact(&second, &county);
	snprintf(text, sizeof text, "UPDATE aid SET amount = 2 WHERE id = 'b1-%d'", keep_keys);
	sql(&county, text);
	seal(&county);                                   /* waits for the village */
	snprintf(text, sizeof text, "INSERT INTO aid VALUES('b2-%d', '%llu', '褚', 1, NULL)", keep_keys, (unsigned long long)unit);
	sql(&second, text);
	seal(&second);                                   /* waits for the county */
	join(&middle, &county, between, keep_keys ? "middle-1" : "middle-0");
	contact(&middle, &county);
	snprintf(text, sizeof text, "SELECT sum(amount) FROM aid WHERE unit_code = '%llu'", (unsigned long long)unit);
	assert_int_equal(ask(&middle, text), 2);
	second_was = second;
	close_node(&second_was);
	join_with(&second, &middle, unit, file, keep_keys ? &second_was : NULL);
	for (int i = 0; i < 3; i++) {
		contact(&second, &middle);
		contact(&middle, &county);
	}
	assert_int_equal(ask(&second, text), 3);
	assert_int_equal(ask(&county, text), 3);
	snprintf(text, sizeof text, "UPDATE aid SET amount = 3 WHERE id = 'b2-%d'", keep_keys);
	sql(&second, text);
	seal(&second);
	for (int i = 0; i < 3; i++) {
		contact(&second, &middle);
		contact(&middle, &county);
	}
	snprintf(text, sizeof text, "SELECT sum(amount) FROM aid WHERE unit_code = '%llu'", (unsigned long long)unit);
	assert_int_equal(ask(&county, text), 5);
	snprintf(text, sizeof text, "SELECT direct FROM terrace_peer WHERE unit = %llu", (unsigned long long)unit);
	assert_int_equal(ask(&county, text), 0);
	snprintf(text, sizeof text, "SELECT count(*) FROM terrace_dirty WHERE peer = %llu", (unsigned long long)unit);
	assert_int_equal(ask(&county, text), 0);
	at_rest(&second, &middle, "equal");
	at_rest(&middle, &county, "equal");
	close_node(&second);
	close_node(&middle);
	identity_release(&second.id);
	identity_release(&second_was.id);
	identity_release(&middle.id);
}

static void test_node_between(void **state)
{
	(void)state;
	node_between(UINT64_C(620702200001), UINT64_C(620702200000), true);
	node_between(UINT64_C(620702300001), UINT64_C(620702300000), false);
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
		cmocka_unit_test(test_enrolment), cmocka_unit_test(test_new_machine), cmocka_unit_test(test_node_between),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, nodes_begin, nodes_end);
}
