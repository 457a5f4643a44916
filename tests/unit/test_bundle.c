/* Bundles: a county, a township and a village that only a stick connects; and what a stick does to a file. */
#include "nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/box.h"
#include "core/bundle.h"
#include "engine/bundle.h"

/* ---- the stick */

static struct buf export_of(struct node *from, struct node *to)
{
	struct buf file = { 0 };
	json_t *told = NULL;

	clock_ms += 1000;
	OK(engine_bundle_export(from->engine, to->id.unit, "tester", &file, &told, e));
	json_release(&told);
	return file;
}

static int import_at(struct node *to, const struct buf *file, struct err *say)
{
	json_t *told = NULL;
	int rc;

	clock_ms += 1000;
	rc = engine_bundle_import(to->engine, buf_slice(file), "tester", &told, say);
	json_release(&told);
	return rc;
}

static void carry(struct node *from, struct node *to)
{
	_cleanup_(buf_release) struct buf file = export_of(from, to);
	struct err say = { 0 };

	if (import_at(to, &file, &say) != 0)
		fail_msg("%012llu to %012llu: %s", (unsigned long long)from->id.unit, (unsigned long long)to->id.unit, say.text);
}

static void round_trip(struct node *child, struct node *parent)
{
	carry(child, parent);
	carry(parent, child);
}

static void expect(struct node *to, const struct buf *file, int code, const char *says)
{
	_cleanup_(buf_release) struct buf copy = { 0 };
	struct err say = { 0 };
	int64_t changes = ask(to, "SELECT count(*) FROM aid");
	int rc = import_at(to, file, &say);

	if (rc != code || strstr(say.text, says) == NULL)
		fail_msg("expected %s with \"%s\"; it is %s: %s", err_name(code), says, err_name(rc), say.text);
	assert_int_equal(ask(to, "SELECT count(*) FROM aid"), changes);
}

/* ---- stories */

static void test_two_trips_are_a_round(void **state)
{
	(void)state;
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('b1', '620702100001', '甲', 1)");
	sql(&town, "INSERT INTO aid(id, unit_code, name, amount) VALUES('b2', '620702100001', '乙', 2)");
	carry(&village, &town);
	assert_int_equal(AMOUNT(&town, "b1"), 1);
	assert_int_equal(AMOUNT(&village, "b2"), INT64_MIN);
	carry(&town, &village);
	assert_int_equal(AMOUNT(&village, "b2"), 2);
	carry(&village, &town);
	hash_all(&town);
	hash_all(&village);
	round_trip(&village, &town);
	round_trip(&village, &town);
	assert_int_equal(ask(&town, "SELECT digest = 'equal' FROM terrace_link WHERE peer = 620702100001"), 1);
	assert_int_equal(ask(&village, "SELECT digest = 'equal' FROM terrace_link WHERE peer = 620702100000"), 1);
}

/* A village that was enrolled, and never had a line. */
static void test_from_the_first_hello(void **state)
{
	struct node bare;

	(void)state;
	sql(&town, "INSERT INTO aid(id, unit_code, name, amount) VALUES('b3', '620702100002', '丙', 3)");
	join(&bare, &town, U_VILLAGE_2, "bare");
	round_trip(&bare, &town);
	assert_int_equal(AMOUNT(&bare, "b3"), 3);
	sql(&bare, "UPDATE aid SET amount = 4 WHERE id = 'b3'");
	carry(&bare, &town);
	assert_int_equal(AMOUNT(&town, "b3"), 4);
	sql(&bare, "UPDATE aid SET amount = 5 WHERE id = 'b3'");
	sql(&town, "UPDATE aid SET amount = 6 WHERE id = 'b3'");
	round_trip(&bare, &town);
	round_trip(&bare, &town);
	assert_int_equal(AMOUNT(&bare, "b3"), 6);
	assert_int_equal(ask(&bare, "SELECT count(*) FROM terrace_conflicts"), 1);
	assert_int_equal(ask(&bare, "SELECT count(*) > 0 FROM terrace_receipt WHERE signer = 620702100000"), 1);
	assert_int_equal(ask(&town, "SELECT count(*) > 0 FROM terrace_receipt WHERE signer = 620702100002"), 1);
	close_node(&bare);
	identity_release(&bare.id);
}

static void test_lost_late_repeated(void **state)
{
	_cleanup_(buf_release) struct buf one = { 0 }, two = { 0 }, down = { 0 }, down_2 = { 0 };

	(void)state;
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('c1', '620702100001', '甲', 1)");
	one = export_of(&village, &town);
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('c2', '620702100001', '甲', 2)");
	two = export_of(&village, &town);
	down = export_of(&town, &village);
	OK(import_at(&town, &two, e));           /* it holds what the first one holds */
	assert_int_equal(AMOUNT(&town, "c1") + AMOUNT(&town, "c2"), 3);
	expect(&town, &one, ERR_GONE, "older than one that was taken");
	expect(&town, &two, ERR_GONE, "repeated");
	sql(&town, "UPDATE aid SET amount = 9 WHERE id = 'c1'");
	down_2 = export_of(&town, &village);
	OK(import_at(&village, &down_2, e));
	assert_int_equal(AMOUNT(&village, "c1"), 9);
	expect(&village, &down, ERR_GONE, "older than what came since");
	expect(&village, &down_2, ERR_GONE, "repeated");
	assert_int_equal(ask(&town, "SELECT twin FROM terrace_link WHERE peer = 620702100001"), 0);
	assert_int_equal(ask(&town, "SELECT healed FROM terrace_link WHERE peer = 620702100001"), 1);
}

/* Bundles that were under way while the line stood. */
static void test_stick_and_network(void **state)
{
	_cleanup_(buf_release) struct buf up = { 0 }, down = { 0 };
	int64_t heal = ask(&town, "SELECT heal FROM terrace_link WHERE peer = 620702100001");

	(void)state;
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('d1', '620702100001', '甲', 1)");
	sql(&town, "INSERT INTO aid(id, unit_code, name, amount) VALUES('d2', '620702100001', '乙', 2)");
	up = export_of(&village, &town);
	down = export_of(&town, &village);
	sql(&village, "UPDATE aid SET amount = 3 WHERE id = 'd1'");
	contact(&village, &town);
	assert_int_equal(AMOUNT(&town, "d1"), 3);
	assert_int_equal(AMOUNT(&village, "d2"), 2);
	expect(&town, &up, ERR_GONE, "older than one that was taken");
	expect(&village, &down, ERR_GONE, "older than what came since");
	assert_int_equal(AMOUNT(&town, "d1"), 3);
	sql(&village, "UPDATE aid SET amount = 5 WHERE id = 'd1'");
	carry(&village, &town);
	assert_int_equal(AMOUNT(&town, "d1"), 5);
	contact(&village, &town);
	round_trip(&village, &town);
	assert_int_equal(ask(&town, "SELECT heal FROM terrace_link WHERE peer = 620702100001"), heal);
	at_rest(&village, &town, "equal");
}

static void test_a_restored_disk(void **state)
{
	char command[600];

	(void)state;
	round_trip(&village, &town);
	close_node(&village);
	snprintf(command, sizeof command, "cp %s %s.old", village.path, village.path);
	assert_int_equal(system(command), 0);
	open_node(&village);
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('e1', '620702100001', '甲', 1)");
	round_trip(&village, &town);
	round_trip(&village, &town);
	close_node(&village);
	snprintf(command, sizeof command, "rm -f %s-wal %s-shm; mv %s.old %s", village.path, village.path, village.path, village.path);
	assert_int_equal(system(command), 0);
	open_node(&village);
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('e2', '620702100001', '甲', 2)");
	{
		_cleanup_(buf_release) struct buf up = export_of(&village, &town);

		expect(&town, &up, ERR_GONE, "older than one that was taken");
	}
	carry(&town, &village);                  /* it hears that more was said in its name: it is a restored one */
	for (int i = 0; i < 3; i++)
		round_trip(&village, &town);
	assert_int_equal(AMOUNT(&village, "e1"), 1);
	assert_int_equal(AMOUNT(&town, "e2"), 2);
	hash_all(&town);
	hash_all(&village);
	for (int i = 0; i < 3; i++)
		round_trip(&village, &town);
	assert_int_equal(ask(&town, "SELECT digest = 'equal' AND NOT twin FROM terrace_link WHERE peer = 620702100001"), 1);
}

/* What does not fit waits for the next one, and the command says so. */
static void test_cut(void **state)
{
	bool more = true;
	int bundles = 0;

	(void)state;
	close_node(&village);
	village.bundle_cut = 300;
	open_node(&village);
	for (int i = 0; i < 8; i++) {
		char text[200];

		snprintf(text, sizeof text, "INSERT INTO aid(id, unit_code, name, amount) VALUES('g%d', '620702100001', '甲', %d)", i, i);
		sql(&village, text);
		seal(&village);
	}
	for (; more; bundles++) {
		_cleanup_(buf_release) struct buf file = { 0 };
		json_t *told = NULL;

		assert_true(bundles < 12);
		OK(engine_bundle_export(village.engine, U_TOWN, "tester", &file, &told, e));
		more = json_is_true(json_object_get(told, "more"));
		json_release(&told);
		OK(import_at(&town, &file, e));
		carry(&town, &village);
	}
	assert_true(bundles > 2);
	assert_int_equal(ask(&town, "SELECT count(*) FROM aid WHERE id LIKE 'g%'"), 8);
	close_node(&village);
	village.bundle_cut = 0;
	open_node(&village);
}

/* A long import gives others their turn, and goes on where it was; also where the process ended in between. */
static void test_steps(void **state)
{
	_cleanup_(buf_release) struct buf up = { 0 }, down = { 0 };
	json_t *told = NULL;
	bool again = true;
	int steps = 0;

	(void)state;
	for (int i = 0; i < 6; i++) {
		char text[200];

		snprintf(text, sizeof text, "INSERT INTO aid(id, unit_code, name, amount) VALUES('h%d', '620702100001', '甲', %d)", i, i);
		sql(&village, text);
		seal(&village);
	}
	close_node(&village);
	village.bundle_cut = 1u << 20;
	open_node(&village);
	up = export_of(&village, &town);
	for (; again; steps++) {
		assert_true(steps < 100);
		clock_step = 400;
		OK(engine_bundle_import(town.engine, buf_slice(&up), "tester", &told, e));
		clock_step = 0;
		again = json_is_true(json_object_get(told, "again"));
		json_release(&told);
		if (steps == 0) {
			assert_true(again);
			assert_true(ask(&town, "SELECT count(*) FROM aid WHERE id LIKE 'h%'") < 6);
			close_node(&town);
			open_node(&town);
			again = true;
		}
	}
	assert_int_equal(ask(&town, "SELECT count(*) FROM aid WHERE id LIKE 'h%'"), 6);
	expect(&town, &up, ERR_GONE, "repeated");
	round_trip(&village, &town);
}

/* A restored disk that lost nothing of its own: only what its parent sent, and acknowledged since, is missing. */
static void test_a_restored_reader(void **state)
{
	char command[600];

	(void)state;
	round_trip(&village, &town);
	close_node(&village);
	snprintf(command, sizeof command, "cp %s %s.old", village.path, village.path);
	assert_int_equal(system(command), 0);
	open_node(&village);
	sql(&town, "INSERT INTO aid(id, unit_code, name, amount) VALUES('k1', '620702100001', '乙', 8)");
	for (int i = 0; i < 3; i++)
		round_trip(&village, &town);
	assert_int_equal(AMOUNT(&village, "k1"), 8);
	close_node(&village);
	snprintf(command, sizeof command, "rm -f %s-wal %s-shm; mv %s.old %s", village.path, village.path, village.path, village.path);
	assert_int_equal(system(command), 0);
	open_node(&village);
	assert_int_equal(AMOUNT(&village, "k1"), INT64_MIN);
	for (int i = 0; i < 3; i++) {
		_cleanup_(buf_release) struct buf up = export_of(&village, &town);

		import_at(&town, &up, NULL);     /* the first is older than what was heard */
		carry(&town, &village);
	}
	assert_int_equal(AMOUNT(&village, "k1"), 8);
}

/* ---- damage */

static void test_damage(void **state)
{
	_cleanup_(buf_release) struct buf file = export_of(&village, &town), bad = { 0 };
	static const char text[] = "no bundle at all, but some letter that somebody wrote";
	struct buf letter = { 0 };

	(void)state;
	for (size_t at = 0; at < file.n; at += 1 + file.n / 60) {
		buf_clear(&bad);
		buf_put(&bad, file.p, file.n);
		bad.p[at] ^= 16;
		expect(&town, &bad, at < BOX_MAGIC_SIZE ? ERR_FORMAT : ERR_SIGNATURE, at < BOX_MAGIC_SIZE ? "no bundle" : "altered");
		bad.n = at;
		assert_true(import_at(&town, &bad, NULL) != 0);
	}
	buf_clear(&bad);
	buf_put(&bad, file.p, file.n);
	buf_put_u8(&bad, 0);
	assert_true(import_at(&town, &bad, NULL) != 0);
	buf_put(&letter, text, sizeof text);
	expect(&town, &letter, ERR_FORMAT, "no bundle");
	buf_release(&letter);
	expect(&county, &file, ERR_SIGNATURE, "not for this node");
	expect(&village, &file, ERR_SIGNATURE, "not for this node");
	OK(import_at(&town, &file, e));          /* nothing of all that did anything */
}

/* What a bundle says in its inside, made by hand: another recipient, line, tree, sender; an order that is not allowed. */
static void test_foreign(void **state)
{
	const struct digest tree = county.id.chain.at[0].pin;
	const struct bundle_part hello = { BUNDLE_HELLO, { (const uint8_t *)"", 0 } }, feed = { BUNDLE_FEED, { (const uint8_t *)"", 0 } };
	const struct bundle_part both[] = { { BUNDLE_HELLO, { NULL, 0 } }, { BUNDLE_FEED, { NULL, 0 } } };
	const struct {
		struct bundle b;
		int code;
		const char *says;
	} cases[] = {
		{ { .from = U_VILLAGE, .to = U_TOWN_2 }, ERR_SCOPE, "is for unit 620702200000" },
		{ { .from = U_VILLAGE, .to = U_TOWN, .line = slice_of("water") }, ERR_SCOPE, "line \"water\"" },
		{ { .from = U_VILLAGE, .to = U_TOWN, .tree = { { 1 } } }, ERR_CHAIN, "another tree" },
		{ { .from = U_TOWN_2, .to = U_TOWN }, ERR_NOT_FOUND, "neither the superior" },
		{ { .from = U_COUNTY, .to = U_TOWN }, ERR_SIGNATURE, "not signed by unit 620702000000" },
		{ { .from = U_VILLAGE, .to = U_TOWN, .nparts = 1, .parts = (struct bundle_part *)(uintptr_t)&feed }, ERR_FORMAT,
		  "other direction" },
		{ { .from = U_VILLAGE, .to = U_TOWN, .nparts = 2, .parts = (struct bundle_part *)(uintptr_t)both }, ERR_FORMAT, "malformed" },
		{ { .from = 7, .to = U_TOWN }, ERR_FORMAT, "malformed" },
		{ { .from = U_VILLAGE, .to = U_TOWN }, ERR_FORMAT, "hello of unit 620702100001 is malformed" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_release) struct buf content = { 0 }, file = { 0 };
		struct bundle b = cases[i].b;

		if (b.nparts == 0) {
			b.nparts = 1;
			b.parts = (struct bundle_part *)(uintptr_t)&hello;
		}
		if (b.line.n == 0)
			b.line = slice_of("civil-affairs");
		if (digest_zero(&b.tree))
			b.tree = tree;
		OK(bundle_put(&b, &village.id.sign, &content, e));
		OK(box_seal(town.id.sign.public_key, buf_slice(&content), &file, e));
		expect(&town, &file, cases[i].code, cases[i].says);
	}
}

static void test_box(void **state)
{
	static const size_t sizes[] = { 0, 1, BOX_PIECE - 1, BOX_PIECE, BOX_PIECE + 1, 3 * BOX_PIECE };
	struct sign_key key, other;

	(void)state;
	sign_key_new(&key);
	sign_key_new(&other);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_(buf_release) struct buf content = { 0 }, box = { 0 }, back = { 0 }, none = { 0 };
		uint8_t *p = buf_reserve(&content, sizes[i] + 1);
		struct err say = { 0 };

		memset(p, (int)i, sizes[i] + 1);
		content.n = sizes[i];
		OK(box_seal(key.public_key, buf_slice(&content), &box, e));
		assert_true(box.n <= BOX_MOST(sizes[i]));
		OK(box_open(&key, buf_slice(&box), sizes[i], &back, e));
		assert_true(slice_equal(buf_slice(&content), buf_slice(&back)));
		assert_int_equal(box_open(&other, buf_slice(&box), sizes[i], &none, &say), ERR_SIGNATURE);
		if (sizes[i] > BOX_PIECE) {
			assert_int_equal(box_open(&key, buf_slice(&box), 1000, &none, &say), ERR_LIMIT);
			/* whole pieces are missing at the end */
			assert_int_equal(box_open(&key, (struct slice){ box.p, 120 + BOX_PIECE + 17 }, sizes[i], &none, &say), ERR_FORMAT);
		}
	}
}

static void test_inspect(void **state)
{
	_cleanup_(buf_release) struct buf file = { 0 };
	json_t *told = NULL;

	(void)state;
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('f1', '620702100001', '甲', 1)");
	file = export_of(&village, &town);
	clock_ms += 3600000;
	OK(engine_bundle_inspect(town.engine, buf_slice(&file), &told, e));
	assert_string_equal(json_string_value(json_object_get(told, "from")), "620702100001");
	assert_string_equal(json_string_value(json_object_get(told, "direction")), "up");
	assert_true(json_integer_value(json_object_get(told, "age_s")) >= 3600);
	assert_int_equal(json_integer_value(json_object_get(told, "changes")), 1);
	json_release(&told);
	assert_int_equal(AMOUNT(&town, "f1"), INT64_MIN);
	assert_true(engine_bundle_inspect(county.engine, buf_slice(&file), &told, NULL) != 0);
	OK(import_at(&town, &file, e));
	assert_int_equal(AMOUNT(&town, "f1"), 1);
}

static void test_to_nobody(void **state)
{
	_cleanup_(buf_release) struct buf file = { 0 };
	struct err say = { 0 };
	json_t *told = NULL;

	(void)state;
	assert_int_equal(engine_bundle_export(county.engine, U_VILLAGE, "t", &file, &told, &say), ERR_NOT_FOUND);
	assert_int_equal(engine_bundle_export(county.engine, U_COUNTY, "t", &file, &told, &say), ERR_NOT_FOUND);
	assert_int_equal(file.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_box),
		cmocka_unit_test(test_two_trips_are_a_round),
		cmocka_unit_test(test_from_the_first_hello),
		cmocka_unit_test(test_lost_late_repeated),
		cmocka_unit_test(test_stick_and_network),
		cmocka_unit_test(test_a_restored_disk),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_a_restored_reader),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_inspect),
		cmocka_unit_test(test_to_nobody),
	};

	return cmocka_run_group_tests_name("bundle", tests, nodes_begin, nodes_end);
}
