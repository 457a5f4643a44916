/* Reports, over the files of a small tree: a county, a town and a village in one process. */
#include "nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/install.h"
#include "engine/report.h"

static json_t *doc;
static int exit_code;

static int report_of(struct node *n, const char *const *words, struct err *err)
{
	const struct report_home home = {
		.database = n->path, .unit = n->id.unit, .parent = n->id.parent, .level = unit_level(n->id.unit), .name = n->id.name,
		.url = n->id.parent != UNIT_NONE ? "https://127.0.0.1:8447" : NULL, .chain = &n->id.chain, .now_ms = clock_ms,
	};
	uint32_t count = 0;

	json_decref(doc);
	doc = NULL;
	while (words[count] != NULL)
		count++;
	return report_run(&home, words, count, &doc, &exit_code, err);
}

#define REPORT(n, ...) OK(report_of(n, (const char *const[]){ __VA_ARGS__, NULL }, e))
#define REFUSED(code, n, ...) do { \
	struct err e_ = { 0 }; \
	assert_int_equal(report_of(n, (const char *const[]){ __VA_ARGS__, NULL }, &e_), code); \
	assert_null(doc); \
	assert_true(e_.text[0] != '\0'); \
} while (0)

/* The value at a path, names and indexes with dots between them. */
static json_t *at(const char *path)
{
	json_t *j = doc;
	char part[64];

	while (j != NULL && *path != '\0') {
		size_t n = strcspn(path, ".");

		snprintf(part, sizeof part, "%.*s", (int)n, path);
		j = json_is_array(j) ? json_array_get(j, (size_t)atoi(part)) : json_object_get(j, part);
		path += n + (path[n] == '.');
	}
	return j;
}

static void says(const char *path, const char *expected)
{
	const char *s = json_string_value(at(path));

	if (s == NULL || strcmp(s, expected) != 0)
		fail_msg("%s says %s, not %s, in %s", path, s != NULL ? s : "(no text)", expected, json_dumps(doc, JSON_INDENT(1)));
}

static void counts(const char *path, json_int_t expected)
{
	if (!json_is_integer(at(path)) || json_integer_value(at(path)) != expected)
		fail_msg("%s is not %lld in %s", path, (long long)expected, json_dumps(doc, JSON_INDENT(1)));
}

static void keys_are(const json_t *object, const char *const *names)
{
	size_t n = 0;

	for (; names[n] != NULL; n++)
		if (json_object_get(object, names[n]) == NULL)
			fail_msg("%s is missing in %s", names[n], json_dumps(object, 0));
	if (json_object_size(object) != n)
		fail_msg("%zu keys, not %zu: %s", json_object_size(object), n, json_dumps(object, 0));
}

/* ---- a tree with something to tell */

static void publish_bid(void)
{
	static const char *key[] = { "town", "no" }, *columns[] = { "sum" };
	static const char *statements[] = {
		"CREATE TABLE bid(town TEXT NOT NULL, no INTEGER NOT NULL, unit_code TEXT, sum INTEGER, PRIMARY KEY(town, no))",
	};
	static const struct policy_group groups[] = {
		{ .name = "main", .ncolumns = 1, .columns = columns, .own = 1 << TOWNSHIP, .propose = 1 << VILLAGE },
	};
	static const struct policy_register bid = {
		.name = "bid", .nkey = 2, .key = key, .unit_source = UNIT_COLUMN, .unit_column = "unit_code",
		.ceiling = TOWNSHIP, .floor = VILLAGE, .create = 0x18, .remove = 0x18, .ngroups = 1, .groups = groups,
	};
	static const char text[] = "policy \"bid\" { version = 1 }\n";
	const struct policy p = { .name = "bid", .version = 1, .nstatements = 1, .statements = statements, .nregisters = 1,
		                  .registers = &bid, .text = { (const uint8_t *)text, sizeof text - 1 } };
	_cleanup_(buf_release) struct buf form = { 0 };
	uint64_t version;

	OK(policy_put(&p, &form, e));
	OK(policy_publish(town.engine, buf_slice(&form), &version, e));
}

static int begin(void **state)
{
	int r = nodes_begin(state);

	publish_bid();
	everybody();
	sql(&village, "INSERT INTO aid(id, unit_code, name, amount) VALUES('7', '620702100001', '张三', 300)");
	seal(&village);
	everybody();
	sql(&village, "UPDATE aid SET amount = 310 WHERE id = '7'");
	sql(&county, "UPDATE aid SET amount = 400 WHERE id = '7'");
	seal(&village);
	seal(&county);
	everybody();
	sql(&village, "INSERT INTO bid(town, no, unit_code, sum) VALUES('南村', 3, '620702100001', 50)");
	seal(&village);
	everybody();
	return r;
}

static int end(void **state)
{
	json_decref(doc);
	return nodes_end(state);
}

/* ---- tests */

static void test_status(void **state)
{
	static const char *const own[] = { "unit", "name", "level", "epoch", "policy", "log_pending", "upstream", "space", "children", "quarantine",
		                           "markers", "conflicts_open", "proposals_open", "returns_open", "issues_open", "next", NULL };
	static const char *const up[] = { "url", "state", "last_contact", "sealed", "applied", "settled", "pending_segments",
		                          "pending_bytes", "oldest_unsettled_s", NULL };
	static const char *const child[] = { "unit", "name", "level", "online", "last_contact", "applied", "settled",
		                             "pending_segments", "policy", "digest", "as_of", "upload_only", NULL };

	(void)state;
	REPORT(&town, "status");
	assert_int_equal(exit_code, 0);
	keys_are(doc, own);
	keys_are(at("upstream"), up);
	assert_int_equal(json_array_size(at("children")), 1);
	keys_are(at("children.0"), child);
	says("unit", "620702100000");
	says("level", "township");
	says("upstream.state", "connected");
	says("children.0.unit", "620702100001");
	says("children.0.level", "village");
	counts("policy.0.active", 1);
	assert_true(json_is_true(at("children.0.online")));
	REPORT(&village, "status");
	assert_true(json_integer_value(at("epoch")) > 0);
	REPORT(&county, "status");
	says("upstream.state", "top");
	assert_int_equal(json_array_size(at("children")), 1);
	REPORT(&county, "status", "--tree");
	assert_int_equal(json_array_size(at("children")), 2);
	says("children.1.unit", "620702100001");
	says("children.1.via", "620702100000");
	assert_non_null(at("children.1.oldest_unsettled_s"));
	assert_non_null(at("children.1.as_of"));
}

static void test_digest(void **state)
{
	(void)state;
	at_rest(&village, &town, "equal");
	at_rest(&town, &county, "equal");
	REPORT(&town, "status");
	says("children.0.digest", "equal");
	REPORT(&county, "status", "--tree");
	says("children.0.digest", "equal");
	says("children.1.digest", "equal");
	assert_non_null(json_string_value(at("children.0.as_of")));
	REPORT(&county, "reconcile", "status");
	assert_int_equal(exit_code, 0);
	says("neighbours.0.registers.0.register", "aid");
	says("neighbours.0.registers.0.digest", "equal");
	REPORT(&town, "reconcile", "status", "--with", "620702000000", "--register", "aid");
	assert_int_equal(json_array_size(at("neighbours")), 1);
	says("neighbours.0.registers.0.digest", "equal");
	sql(&county, "UPDATE terrace_compared SET found = 'differs'");
	REPORT(&county, "reconcile", "status", "--register", "aid");
	assert_int_equal(exit_code, 1);
	says("neighbours.0.registers.0.digest", "differs");
	sql(&county, "UPDATE terrace_link SET digest = 'differs' WHERE peer = 620702100000");
	REPORT(&county, "status", "--tree");
	says("children.0.digest", "differs");
	says("children.0.next", "tables differ: terracectl reconcile");
	sql(&county, "UPDATE terrace_link SET digest = NULL WHERE peer = 620702100000");
	REPORT(&county, "status");
	says("children.0.digest", "unknown");
}

static void test_conflicts(void **state)
{
	static const char *const names[] = { "id", "at", "kind", "register", "key", "group", "kept", "lost", "base", "rule", "policy",
		                             "state", NULL };
	static const char *const side[] = { "level", "unit", "epoch", "tick", "values", NULL };
	char id[24];

	(void)state;
	REPORT(&county, "conflicts", "list");
	assert_int_equal(exit_code, 1);
	assert_int_equal(json_array_size(doc), 1);
	keys_are(at("0"), names);
	keys_are(at("0.kept"), side);
	keys_are(at("0.lost"), side);
	says("0.kind", "superseded");
	says("0.register", "aid");
	says("0.key", "7");
	says("0.group", "main");
	says("0.kept.level", "county");
	says("0.lost.level", "village");
	counts("0.kept.values.amount", 400);
	counts("0.lost.values.amount", 310);
	says("0.base.level", "village");
	says("0.policy.0.issuer", "620702000000");
	says("0.state", "open");
	snprintf(id, sizeof id, "%lld", (long long)json_integer_value(at("0.id")));
	REPORT(&county, "conflicts", "show", id);
	assert_int_equal(exit_code, 0);
	says("decided_by.level", "county");
	REPORT(&county, "conflicts");
	assert_int_equal(json_array_size(doc), 1);
	REPORT(&county, "conflicts", "list", "--register", "bid");
	assert_int_equal(json_array_size(doc), 0);
	assert_int_equal(exit_code, 0);
	REPORT(&county, "conflicts", "--unit=620702100001");
	assert_int_equal(json_array_size(doc), 1);
	REPORT(&county, "conflicts", "--unit", "620702200000");
	assert_int_equal(json_array_size(doc), 0);
	REPORT(&county, "conflicts", "--since", "2030-01-01T00:00:00Z");
	assert_int_equal(json_array_size(doc), 0);
	REPORT(&county, "conflicts", "--since", "24h");
	assert_int_equal(json_array_size(doc), 1);
	sql(&county, "UPDATE terrace_record SET state = 'closed'");
	REPORT(&county, "conflicts");
	assert_int_equal(json_array_size(doc), 0);
	REPORT(&county, "conflicts", "--all");
	assert_int_equal(json_array_size(doc), 1);
	assert_int_equal(exit_code, 0);
	REFUSED(ERR_NOT_FOUND, &county, "conflicts", "show", "999");
	REFUSED(ERR_NOT_FOUND, &county, "returns", "show", id);
	REFUSED(ERR_USAGE, &county, "conflicts", "show");
	REFUSED(ERR_USAGE, &county, "conflicts", "--tree");
}

static void test_returns(void **state)
{
	static const char *const names[] = { "id", "register", "key", "group", "by", "reason", "at", NULL };

	(void)state;
	sql(&village, "UPDATE terrace_record SET kind = 'refused', say = '低于标准', why = 'rule'");
	REPORT(&village, "returns");
	assert_int_equal(json_array_size(doc), 1);
	keys_are(at("0"), names);
	says("0.by.unit", "620702000000");
	says("0.by.level", "county");
	says("0.reason", "低于标准");
	REPORT(&village, "conflicts");
	assert_int_equal(json_array_size(doc), 0);
	sql(&village, "UPDATE terrace_record SET kind = 'superseded'");
}

static void test_proposals(void **state)
{
	static const char *const names[] = { "id", "register", "key", "group", "from", "values", "standing", "reason", "state",
		                           "unit", "since", "here", "decided_by", "failing", NULL };
	char id[24];

	(void)state;
	REPORT(&town, "proposals", "list");
	assert_int_equal(json_array_size(doc), 1);
	assert_int_equal(exit_code, 1);
	keys_are(at("0"), names);
	says("0.register", "bid");
	says("0.key", "南村,3");
	says("0.group", "main");
	says("0.from.unit", "620702100001");
	counts("0.values.sum", 50);
	assert_true(json_is_null(at("0.standing")));
	snprintf(id, sizeof id, "%lld", (long long)json_integer_value(at("0.id")));
	REPORT(&town, "proposals", "show", id);
	says("unit", "620702100001");
	REPORT(&town, "proposals", "--register", "aid");
	assert_int_equal(json_array_size(doc), 0);
	REFUSED(ERR_NOT_FOUND, &town, "proposals", "show", "1");
}

static void test_why(void **state)
{
	(void)state;
	REPORT(&county, "why", "aid", "7");
	says("register", "aid");
	says("unit", "620702100001");
	assert_true(json_is_true(at("alive")));
	assert_int_equal(json_array_size(at("groups")), 3);
	says("groups.0.group", "row");
	says("groups.0.held.level", "village");
	says("groups.1.group", "main");
	says("groups.1.held.level", "county");
	says("groups.1.held.base.level", "village");
	says("groups.1.held.mode", "decision");
	counts("groups.1.held.policy.0.version", 1);
	counts("groups.1.held.values.amount", 400);
	assert_int_equal(json_array_size(at("records")), 1);
	REPORT(&county, "why", "aid", "7", "--group", "check");
	assert_int_equal(json_array_size(at("groups")), 1);
	assert_int_equal(json_array_size(at("records")), 0);
	REPORT(&town, "why", "bid", "南村,3");
	assert_int_equal(json_array_size(at("groups.1.proposals")), 1);
	says("groups.1.proposals.0.mode", "proposal");
	REPORT(&county, "why", "--unit", "620702100001");
	says("unit", "620702100001");
	assert_non_null(json_string_value(at("next")));
	REFUSED(ERR_NOT_FOUND, &county, "why", "aid", "8");
	REFUSED(ERR_NOT_FOUND, &county, "why", "nothing", "8");
	REFUSED(ERR_NOT_FOUND, &county, "why", "aid", "7", "--group", "x");
	REFUSED(ERR_USAGE, &town, "why", "bid", "南村");
	REFUSED(ERR_USAGE, &town, "why", "bid");
}

static void test_policy(void **state)
{
	(void)state;
	REPORT(&village, "policy", "list");
	assert_int_equal(json_array_size(doc), 2);
	says("0.issuer", "620702000000");
	says("0.state", "active");
	REPORT(&village, "policy", "show", "620702100000:1");
	says("text", "policy \"bid\" { version = 1 }\n");
	says("name", "bid");
	REPORT(&village, "policy", "show");
	assert_int_equal(json_array_size(doc), 2);
	REFUSED(ERR_NOT_FOUND, &village, "policy", "show", "620702100000:9");
	REFUSED(ERR_USAGE, &village, "policy", "show", "bid");
	REPORT(&town, "policy", "status");
	assert_int_equal(json_array_size(doc), 4);
	says("2.unit", "620702100001");
	counts("2.active", 1);
	assert_non_null(json_string_value(at("2.writes")));
}

static void test_lists(void **state)
{
	(void)state;
	REPORT(&county, "peers");
	assert_int_equal(json_array_size(doc), 2);
	says("0.unit", "620702100000");
	assert_true(json_is_true(at("0.direct")));
	assert_false(json_is_true(at("1.direct")));
	REPORT(&county, "units", "list");
	assert_int_equal(json_array_size(doc), 0);
	REPORT(&county, "log", "--kind", "conflict");
	assert_true(json_array_size(doc) > 0);
	says("0.kind", "conflict");
	REPORT(&county, "log", "--unit", "620702100000");
	assert_true(json_array_size(doc) > 0);
	REPORT(&county, "log", "--since", "2035-01-01");
	assert_int_equal(json_array_size(doc), 0);
	REFUSED(ERR_USAGE, &county, "log", "--since", "yesterday");
	REFUSED(ERR_USAGE, &county, "log", "--since");
	REPORT(&county, "quarantine", "list");
	assert_int_equal(json_array_size(doc), 0);
	sql(&county, "INSERT INTO terrace_quarantine(register, key, alive, why, since, tries) "
	             "SELECT number, '9', 1, 'FOREIGN KEY', 1764000000000, 2 FROM terrace_register WHERE name = 'aid'");
	REPORT(&county, "quarantine");
	says("0.register", "aid");
	says("0.since", "2025-11-24T16:00:00Z");
	counts("0.tries", 2);
	assert_int_equal(exit_code, 1);
	sql(&county, "DELETE FROM terrace_quarantine");
	sql(&county, "INSERT INTO terrace_issue(kind, register, key, unit, text, since) "
	             "VALUES('key-clash', 'aid', '7', 620702100001, 'two rows', 1764000000000)");
	REPORT(&county, "issues");
	says("0.kind", "key-clash");
	REPORT(&county, "issues", "show", "1");
	says("text", "two rows");
	REFUSED(ERR_NOT_FOUND, &county, "issues", "show", "2");
	REFUSED(ERR_USAGE, &county, "frobnicate");
	sql(&county, "DELETE FROM terrace_issue");
}

static void test_segments(void **state)
{
	char file[140], id[24];
	_cleanup_(buf_release) struct buf bytes = { 0 };

	(void)state;
	REPORT(&county, "segment", "list", "--author", "620702100001");
	assert_true(json_array_size(doc) > 0);
	says("0.author", "620702100001");
	says("0.kind", "delta");
	snprintf(id, sizeof id, "%lld", (long long)json_integer_value(at("0.id")));
	REPORT(&county, "segment", "dump", id);
	says("author", "620702100001");
	says("rows.0.register", "aid");
	says("rows.0.key", "7");
	assert_true(json_array_size(at("rows.0.parts")) >= 2);
	REPORT(&county, "segment", "verify", id);
	assert_int_equal(exit_code, 0);
	assert_true(json_is_true(at("authentic")));
	REPORT(&county, "verify", "--deep");
	assert_int_equal(exit_code, 0);
	says("database", "ok");
	assert_true(json_integer_value(at("segments")) > 0);

	OK(segment_bytes(county.engine->db, strtoll(id, NULL, 10), &bytes, e));
	snprintf(file, sizeof file, "%s.segment", county.path);
	OK(file_write(file, buf_slice(&bytes), 0600, e));
	REPORT(&village, "segment", "verify", file);
	assert_int_equal(exit_code, 0);
	bytes.p[bytes.n - 1] ^= 1;
	OK(file_write(file, buf_slice(&bytes), 0600, e));
	REPORT(&village, "segment", "verify", file);
	assert_int_equal(exit_code, 5);
	assert_true(json_is_false(at("authentic")));
	bytes.n = 20;
	OK(file_write(file, buf_slice(&bytes), 0600, e));
	REFUSED(ERR_FORMAT, &village, "segment", "verify", file);
	REFUSED(ERR_NOT_FOUND, &county, "segment", "dump", "100000");
	unlink(file);
}

/* The views are there and read. */
static void test_views(void **state)
{
	(void)state;
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_conflicts WHERE lost_unit = '620702100001'"), 1);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_returns"), 0);
	assert_int_equal(ask(&town, "SELECT count(*) FROM terrace_proposals WHERE unit = '620702100001' AND group_name = 'main'"), 1);
	assert_int_equal(ask(&town, "SELECT proposals_open FROM terrace_status"), 1);
	assert_int_equal(ask(&town, "SELECT superior = '620702000000' FROM terrace_status"), 1);
	assert_int_equal(ask(&county, "SELECT count(*) FROM terrace_units"), 0);
	sql(&county, "INSERT INTO terrace_unit VALUES(620702100001, '南村')");
	assert_int_equal(ask(&county, "SELECT superior = '620702100000' AND level = 'village' FROM terrace_units"), 1);
	sql(&county, "DELETE FROM terrace_unit");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status), cmocka_unit_test(test_digest), cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_returns), cmocka_unit_test(test_proposals), cmocka_unit_test(test_why),
		cmocka_unit_test(test_policy), cmocka_unit_test(test_lists), cmocka_unit_test(test_segments),
		cmocka_unit_test(test_views),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
