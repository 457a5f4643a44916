/* Tree: nodes, keys, links of the simulator. */
#include "tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/self.h"
#include "store/terms.h"

uint64_t sim_next(struct sim_random *r)
{
	uint64_t z = r->state += 0x9E3779B97F4A7C15u;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

uint32_t sim_below(struct sim_random *r, uint32_t n)
{
	return (uint32_t)(sim_next(r) % n);
}

bool sim_chance(struct sim_random *r, double p)
{
	return (double)(sim_next(r) >> 11) / 9007199254740992.0 < p;
}

void sim_fail(struct sim_tree *t, const char *format, ...)
{
	va_list args;

	if (t->failure[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(t->failure, sizeof t->failure, format, args);
	va_end(args);
}

/* ---- clocks and randomness as the engine sees them */

/* A pure function of the true time, so that clocks take nothing from the history's randomness. */
static int64_t wall(void *arg)
{
	static const int64_t jumps[] = {0, -1799000000000, 2270000000000, -86400000, 86400000 * INT64_C(400), 3600000, -600000, 0};
	struct sim_node *n = arg;
	struct sim_random r = {n->unit * 31 + n->tree->seed + (uint64_t)(n->tree->now_ms / 7000)};

	return n->tree->now_ms + n->skew_ms + (n->jumps ? jumps[sim_below(&r, ARRAY_SIZE(jumps))] : 0);
}

static int64_t steady(void *arg)
{
	struct sim_node *n = arg;

	return n->tree->now_ms;
}

static void fill_random(void *arg, void *p, size_t size)
{
	struct sim_node *n = arg;
	uint8_t *at = p;

	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)sim_next(&n->tree->noise);
}

static void told(void *arg, int level, const char *kind, uint64_t peer, const char *segment, const char *text)
{
	struct sim_node *n = arg;

	if (n->tree->verbose)
		fprintf(stderr, "  [%lld %012llu] %s %s %s: %s (peer %012llu)\n", (long long)n->tree->now_ms % 100000000,
		        (unsigned long long)n->unit, level <= 3 ? "!" : " ", kind, segment != NULL ? segment : "", text,
		        (unsigned long long)peer);
	if (strcmp(kind, "alarm") == 0 && (strstr(text, "bad-mark") != NULL || strstr(text, "equivocation: unit") != NULL))
		sim_fail(n->tree, "%012llu: %s", (unsigned long long)n->unit, text);
	if (strcmp(kind, "alarm") == 0 && strstr(text, "digests") != NULL && n->tree->lost == 0)
		sim_fail(n->tree, "%012llu: nobody lost a row: %s", (unsigned long long)n->unit, text);
	if (strcmp(kind, "alarm") == 0 && strncmp(text, "restored:", 9) == 0 && n->tree->injected[FAULT_RESTORE] == 0)
		sim_fail(n->tree, "%012llu: nobody restored it: %s", (unsigned long long)n->unit, text);
}

/* ---- identities: one key for all certificates keeps trees cheap */

static void key_of(const char *name, struct buf *ret)
{
	static struct buf made;
	struct err err = {0};

	(void)name;
	if (made.n == 0 && chain_key_new(&made, &err) != 0) {
		fprintf(stderr, "sim: %s\n", err.text);
		exit(2);
	}
	buf_put(ret, made.p, made.n);
}

static int identity_make(struct sim_tree *t, struct sim_node *n, const struct sim_node *parent, struct err *err)
{
	_cleanup_(buf_release) struct buf request = {0}, cert = {0};
	uint8_t seed[SIGN_SEED_SIZE], serial[16], recovery[SIGN_PUBLIC_SIZE] = {7};
	int rc;

	fill_random(n, seed, sizeof seed);
	fill_random(n, serial, sizeof serial);
	sign_key_from_seed(seed, &n->id.sign);
	n->id.unit = n->unit;
	snprintf(n->id.line, sizeof n->id.line, "sim");
	snprintf(n->id.name, sizeof n->id.name, "unit");
	key_of("node", &n->id.tls_key_pem);
	if (parent == NULL) {
		rc = chain_self_signed(buf_slice(&n->id.tls_key_pem), n->unit, "sim", "unit", n->id.sign.public_key, recovery, serial,
		                       t->now_ms / 1000 - 1000, t->now_ms / 1000 + 1000000000, &cert, err);
	} else {
		n->id.parent = parent->unit;
		rc = chain_request(buf_slice(&n->id.tls_key_pem), n->unit, "sim", "unit", n->id.sign.public_key, &request, err);
		if (rc == 0)
			rc = chain_issue(buf_slice(&request), n->unit, "sim", "unit", buf_slice(&parent->id.tls_key_pem),
			                 buf_slice(&parent->id.chain_pem), serial, t->now_ms / 1000 - 1000,
			                 t->now_ms / 1000 + 900000000, &cert, err);
	}
	if (rc != 0)
		return rc;
	buf_put(&n->id.chain_pem, cert.p, cert.n);
	if (parent != NULL)
		buf_put(&n->id.chain_pem, parent->id.chain_pem.p, parent->id.chain_pem.n);
	return chain_read(buf_slice(&n->id.chain_pem), NULL, &n->id.chain, err);
}

int sim_node_open(struct sim_tree *t, struct sim_node *n)
{
	struct engine_options o = {
		.database = n->path, .make = true, .identity = &n->id, .source = {wall, steady, fill_random, n},
		.seal_ms = 200, .seal_max_ms = 2000, .event = told, .arg = n,
	};
	struct err err = {0};

	if (engine_open(&o, &n->e, &err) != 0) {
		sim_fail(t, "%012llu: open: %s", (unsigned long long)n->unit, err.text);
		return -1;
	}
	if (sqlite3_open(n->path, &n->app) != SQLITE_OK)
		return -1;
	sqlite3_exec(n->app, "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL", NULL, NULL, NULL);
	if (t->victim < 0 || n != &t->nodes[t->victim]) {
		sqlite3_exec(n->app, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
		sqlite3_exec(n->e->db->sql, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	}
	n->hello = true;
	return 0;
}

void sim_node_close(struct sim_node *n)
{
	sqlite3_close(n->app);
	n->app = NULL;
	engine_close(n->e);
	n->e = NULL;
}

/* ---- the tree */

int sim_open(struct sim_tree *t, uint64_t seed, const uint64_t *units, int n)
{
	char sweep[220];

	memset(t, 0, sizeof *t);
	t->seed = seed;
	t->random.state = seed;
	t->noise.state = seed * 31 + 7;
	t->victim = -1;
	t->now_ms = 1800000000000 + (int64_t)(seed % 1000) * 86400000;
	snprintf(t->folder, sizeof t->folder, "%s/terrace-sim-%d-%llu", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
	         (int)getpid(), (unsigned long long)seed);
	snprintf(sweep, sizeof sweep, "mkdir -p %s", t->folder);
	if (system(sweep) != 0)
		return -1;
	t->n = n;
	for (int i = 0; i < n; i++) {
		struct sim_node *node = &t->nodes[i];

		node->unit = units[i];
		node->tree = t;
		node->parent = -1;
		node->restored_at = -1;
		snprintf(node->path, sizeof node->path, "%s/%012llu.db", t->folder, (unsigned long long)units[i]);
	}
	journal_open(t);
	return sim_enrol(t, 0);
}

void sim_close(struct sim_tree *t)
{
	char sweep[220];

	journal_close(t);
	for (int i = 0; i < t->n; i++) {
		sim_node_close(&t->nodes[i]);
		identity_release(&t->nodes[i].id);
	}
	if (t->keep != NULL) {
		char command[600];

		snprintf(command, sizeof command, "cp %s/*.db %s", t->folder, t->keep);
		if (system(command) != 0)
			fprintf(stderr, "sim: %s\n", command);
	}
	snprintf(sweep, sizeof sweep, "rm -rf %s", t->folder);
	if (system(sweep) != 0)
		fprintf(stderr, "sim: %s stays\n", t->folder);
}

static int parent_of(struct sim_tree *t, int node)
{
	int best = -1;

	for (int i = 0; i < t->n; i++)
		if (i != node && t->nodes[i].enrolled && unit_contains(t->nodes[i].unit, t->nodes[node].unit) &&
		    (best < 0 || unit_level(t->nodes[i].unit) > unit_level(t->nodes[best].unit)))
			best = i;
	return best;
}

int sim_enrol(struct sim_tree *t, int node)
{
	struct sim_node *n = &t->nodes[node];
	int p = parent_of(t, node);
	struct err err = {0};

	n->parent = p;
	if (identity_make(t, n, p >= 0 ? &t->nodes[p] : NULL, &err) != 0) {
		sim_fail(t, "identity: %s", err.text);
		return -1;
	}
	n->enrolled = true;
	if (sim_node_open(t, n) != 0)
		return -1;
	if (p >= 0 && engine_welcome(t->nodes[p].e, &n->id.chain, buf_slice(&n->id.chain_pem), &err) != 0) {
		sim_fail(t, "welcome: %s", err.text);
		return -1;
	}
	return 0;
}

int sim_publish(struct sim_tree *t, int node, const struct policy *p)
{
	_cleanup_(buf_release) struct buf form = {0};
	struct err err = {0};
	uint64_t version;
	int rc = policy_put(p, &form, &err);

	if (rc == 0)
		rc = policy_publish(t->nodes[node].e, buf_slice(&form), &version, &err);
	if (rc != 0)
		sim_fail(t, "publish: %s", err.text);
	return rc;
}

int sim_sql(struct sim_node *n, const char *format, ...)
{
	char sql[2000], *say = NULL;
	va_list args;
	int rc;

	va_start(args, format);
	vsnprintf(sql, sizeof sql, format, args);
	va_end(args);
	rc = sqlite3_exec(n->app, sql, NULL, NULL, &say);
	if (n->tree->verbose)
		fprintf(stderr, "  [%lld %012llu] sql %s -> %s\n", (long long)n->tree->now_ms % 100000000, (unsigned long long)n->unit, sql,
		        say != NULL ? say : "ok");
	if (rc != SQLITE_OK && rc != SQLITE_CONSTRAINT && !sim_disk_failed(n) && strstr(say != NULL ? say : "", "no such table") == NULL)
		sim_fail(n->tree, "%012llu: the application's write failed: %s: %s", (unsigned long long)n->unit, say, sql);
	sqlite3_free(say);
	return rc != SQLITE_OK;
}

void sim_tick(struct sim_tree *t, int64_t ms)
{
	t->now_ms += ms;
	for (int i = 0; i < t->n; i++)
		for (int k = 0; t->nodes[i].e != NULL && k < 50; k++)
			if (engine_tick(t->nodes[i].e, k == 0) != 0)
				break;
}

/* ---- the link */

static void trouble(struct sim_tree *t, const struct sim_node *n, const char *what, int rc, const struct err *err)
{
	if (rc != 0 && t->verbose)
		fprintf(stderr, "  [%012llu] %s: %s: %s\n", (unsigned long long)n->unit, what, err_name(rc), err->text);
	if (sim_disk_failed(n))
		return;
	if (rc == ERR_BUG || rc == ERR_DB || rc == ERR_DAMAGED || rc == ERR_NOMEM || rc == ERR_FORMAT || rc == ERR_BAD_MARK ||
	    rc == ERR_BAD_STATE || rc == ERR_EQUIVOCATION || rc == ERR_SIGNATURE || rc == ERR_LIMIT || rc == ERR_SCOPE)
		sim_fail(t, "%012llu: %s: %s: %s", (unsigned long long)n->unit, what, err_name(rc), err->text);
}

/* keep/000017.feed */
static void keep(struct sim_tree *t, const char *what, const struct buf *body)
{
	char path[600];
	FILE *f;

	if (t->keep == NULL)
		return;
	snprintf(path, sizeof path, "%s/%06d.%s", t->keep, t->kept++, what);
	f = fopen(path, "wb");
	if (f == NULL || fwrite(body->p, 1, body->n, f) != body->n)
		sim_fail(t, "%s: cannot be written", path);
	if (f != NULL)
		fclose(f);
}

static bool hello(struct sim_tree *t, struct sim_node *n, struct sim_node *p)
{
	_cleanup_(buf_release) struct buf body = {0}, answer = {0};
	struct err err = {0};
	struct orders orders = {0};
	int rc = engine_hello_make(n->e, &body, &err);

	trouble(t, n, "hello make", rc, &err);
	keep(t, "hello", &body);
	for (int k = 0; rc == 0 && k < (sim_chance(&t->link, t->twice) ? 2 : 1); k++) {
		buf_clear(&answer);
		rc = engine_hello_answer(p->e, &n->id.chain.at[0], buf_slice(&body), &answer, &err);
		trouble(t, p, "hello answer", rc, &err);
	}
	if (rc != 0 || sim_chance(&t->link, t->loss))
		return false;
	keep(t, "welcome", &answer);
	rc = engine_hello_take(n->e, buf_slice(&answer), &orders, &err);
	trouble(t, n, "hello take", rc, &err);
	n->hello = rc != 0 || orders.again;
	return rc == 0 && !orders.twin && !orders.again;
}

static bool push(struct sim_tree *t, struct sim_node *n, struct sim_node *p)
{
	_cleanup_(buf_release) struct buf body = {0}, answer = {0};
	struct err err = {0};
	int rc = engine_push_make(n->e, 1u << 16, &body, &err), code = 0;

	trouble(t, n, "push make", rc, &err);
	if (rc != 0 || body.n == 0)
		return false;
	keep(t, "push", &body);
	for (int k = 0; k < (sim_chance(&t->link, t->twice) ? 2 : 1); k++) {
		buf_clear(&answer);
		code = engine_push_answer(p->e, &n->id.chain.at[0], buf_slice(&body), &answer, &err);
		trouble(t, p, "push answer", code, &err);
	}
	if (sim_chance(&t->link, t->loss))
		return false;
	if (code == ERR_HEAL)
		n->hello = true;
	if (code != 0 && code != ERR_GAP && code != ERR_HEAL)
		return false;
	keep(t, "pushed", &answer);
	rc = engine_push_take(n->e, code == 0 ? 200 : 409, buf_slice(&answer), &err);
	trouble(t, n, "push take", rc, &err);
	return rc == 0 && code == 0;
}

static bool rounds(struct sim_tree *t, struct sim_node *n, struct sim_node *p)
{
	_cleanup_(buf_release) struct buf body = {0}, answer = {0};
	struct err err = {0};
	int rc, code = 0;

	if (!engine_round_ready(n->e))
		return false;
	rc = engine_round_make(n->e, &body, &err);
	trouble(t, n, "round make", rc, &err);
	if (rc != 0 || body.n == 0)
		return false;
	keep(t, "round", &body);
	for (int k = 0; k < (sim_chance(&t->link, t->twice) ? 2 : 1); k++) {
		buf_clear(&answer);
		code = engine_round_answer(p->e, &n->id.chain.at[0], buf_slice(&body), &answer, &err);
		trouble(t, p, "round answer", code, &err);
	}
	if (sim_chance(&t->link, t->loss))
		return false;
	keep(t, "rounded", &answer);
	rc = engine_round_take(n->e, code == 0 ? 200 : 409, buf_slice(&answer), &err);
	trouble(t, n, "round take", rc, &err);
	return rc == 0;
}

static bool feed(struct sim_tree *t, struct sim_node *n, struct sim_node *p)
{
	_cleanup_(buf_release) struct buf receipt = {0}, body = {0};
	struct err err = {0};
	struct digest hash;
	uint64_t after;
	int rc = engine_feed_make(n->e, &after, &hash, &receipt, &err);

	trouble(t, n, "feed make", rc, &err);
	for (int k = 0; rc == 0 && k < (sim_chance(&t->link, t->twice) ? 2 : 1); k++) {
		buf_clear(&body);
		rc = engine_feed_answer(p->e, &n->id.chain.at[0], after, &hash, buf_slice(&receipt), 1u << 18, &body, &err);
		trouble(t, p, "feed answer", rc, &err);
		if (rc == 0 && body.n > 0)
			sim_scope_sent(t, n, buf_slice(&body));
	}
	if (rc == ERR_HEAL || rc == ERR_GAP)
		n->hello = true;
	if (rc != 0 || body.n == 0 || sim_chance(&t->link, t->loss))
		return false;
	keep(t, "feed", &body);
	rc = engine_feed_take(n->e, buf_slice(&body), &err);
	trouble(t, n, "feed take", rc, &err);
	if (rc == ERR_HEAL || rc == ERR_GAP)
		n->hello = true;
	return rc == 0;
}

static bool contact(struct sim_tree *t, int node)
{
	struct sim_node *n = &t->nodes[node], *p;
	bool busy = false;

	if (n->e == NULL || n->parent < 0 || t->nodes[n->parent].e == NULL)
		return false;
	p = &t->nodes[n->parent];
	t->link.state = t->seed * 1000003 + (uint64_t)t->step * 64 + (uint64_t)node;
	if (n->hello || engine_hello_due(n->e)) {
		n->hello = true;
		busy = true;
		if (!hello(t, n, p))
			return true;
	}
	for (int k = 0; k < 20 && push(t, n, p); k++)
		busy = true;
	for (int k = 0; k < 50 && rounds(t, n, p); k++)
		busy = true;
	for (int k = 0; k < 20 && feed(t, n, p); k++)
		busy = true;
	return busy || engine_round_ready(n->e);
}

void sim_contact(struct sim_tree *t, int node)
{
	struct sim_node *n = &t->nodes[node];
	int64_t compared = 0;
	char word[16];

	if (t->step < t->nodes[node].cut_until)
		return;
	if (n->e != NULL && n->parent >= 0 && t->nodes[n->parent].e != NULL)
		link_digest(t->nodes[n->parent].e->db, n->unit, word, &compared, NULL);
	contact(t, node);
	sim_compared(t, node, &compared);
}

static void tell_unrest(struct sim_tree *t)
{
	for (int i = 0; i < t->n; i++) {
		struct engine *e = t->nodes[i].e;

		if (e != NULL && t->nodes[i].parent >= 0 && (engine_hello_due(e) || engine_push_ready(e) || e->activity != e->compared))
			sim_fail(t, "never quiet: %012llu: hello %d, push %d, changes %llu, compared %llu, terms missing %llu",
			         (unsigned long long)e->unit, engine_hello_due(e), engine_push_ready(e), (unsigned long long)e->activity,
			         (unsigned long long)e->compared, (unsigned long long)terms_pending(e->state));
	}
	sim_fail(t, "never quiet");
}

#define DRAIN_MS 100000

void sim_drain(struct sim_tree *t)
{
	double loss = t->loss, twice = t->twice;
	int64_t began = t->now_ms, lasted;
	int quiet = 0;

	t->loss = t->twice = 0;
	for (int round = 0; round < 400 && t->failure[0] == '\0'; round++) {
		bool busy = false;

		sim_tick(t, 1500);
		for (int i = 0; i < t->n; i++)
			busy = contact(t, i) || (t->nodes[i].e != NULL && terms_pending(t->nodes[i].e->state) > 0) || busy;
		journal_note(t);
		quiet = busy ? 0 : quiet + 1;
		if (quiet == 3)
			break;
		if (round == 399)
			tell_unrest(t);
	}
	/* A round more or less, for a note of the time perhaps, moves nothing that comes after. */
	lasted = (t->now_ms - began + DRAIN_MS - 1) / DRAIN_MS * DRAIN_MS;
	sim_tick(t, began + lasted - t->now_ms);
	t->loss = loss;
	t->twice = twice;
}

/* ---- disasters */

void sim_restart(struct sim_tree *t, int node)
{
	sim_node_close(&t->nodes[node]);
	sim_node_open(t, &t->nodes[node]);
}

/* ---- what must hold when all is quiet */

static void read_table(sqlite3 *db, const char *select, uint64_t scope, struct buf *ret)
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(db, select, -1, &q, NULL) != SQLITE_OK) {
		buf_printf(ret, "(no table)\n");
		return;
	}
	while (sqlite3_step(q) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(q, 1);

		if (scope != UNIT_NONE && !unit_contains(scope, strtoull(text != NULL ? text : "0", NULL, 10)))
			continue;
		for (int i = 0; i < sqlite3_column_count(q); i++)
			buf_printf(ret, "%s|", sqlite3_column_text(q, i) != NULL ? (const char *)sqlite3_column_text(q, i) : "NULL");
		buf_printf(ret, "\n");
	}
	sqlite3_finalize(q);
}

/* What superior and subordinate both have.  Rows that are an open issue stay in the table unsealed (authority.md, At the
 * author). */
static void read_rows(const struct sim_node *n, uint64_t scope, bool held, struct buf *ret)
{
	const struct reg *c = catalog_register(n->e->catalog, slice_of("c"));
	sqlite3 *db = n->app;
	char rows[200];

	read_table(db, "SELECT k, '', v FROM a ORDER BY k", UNIT_NONE, ret);
	if (!held)
		return;
	read_table(db, "SELECT k, unit, x, y, s FROM r WHERE k NOT IN (SELECT key FROM terrace_issue WHERE state = 'open' AND kind NOT IN ('vouched', 'key-clash', 'warn', 'rule', 'duplicate-identity') AND register = 'r') ORDER BY k", scope, ret);
	if (c == NULL || c->via == NULL) {
		read_table(db, "SELECT k, unit, parent, u FROM c WHERE k NOT IN (SELECT key FROM terrace_issue WHERE state = 'open' AND kind NOT IN ('vouched', 'key-clash', 'warn', 'rule', 'duplicate-identity') AND register = 'c') ORDER BY k", scope, ret);
		return;
	}
	snprintf(rows, sizeof rows, "SELECT c.k, printf('%%012d', s.unit), parent, u FROM c JOIN terrace_s%u AS s ON s.key = c.k ORDER BY c.k",
	         c->number);
	read_table(db, rows, scope, ret);
}

static int number(sqlite3 *db, const char *select)
{
	sqlite3_stmt *q = NULL;
	int n = 0;

	if (sqlite3_prepare_v2(db, select, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	return n;
}

static void tell_state(const struct sim_node *n)
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(n->app, "SELECT key, unit, flags, version FROM terrace_s1 ORDER BY key", -1, &q, NULL) != SQLITE_OK)
		return;
	while (sqlite3_step(q) == SQLITE_ROW)
		fprintf(stderr, "    state of %012llu: %s unit %012lld flags %d set %d\n", (unsigned long long)n->unit,
		        sqlite3_column_text(q, 0), (long long)sqlite3_column_int64(q, 1), sqlite3_column_int(q, 2),
		        sqlite3_column_int(q, 3));
	sqlite3_finalize(q);
}

/* Versions too: the sums of the row terms of the child's scope, on both sides of the link. */
static void check_digests(struct sim_tree *t, struct sim_node *n, struct sim_node *p, const char *name)
{
	struct reg *mine = catalog_register(n->e->catalog, slice_of(name)), *its = catalog_register(p->e->catalog, slice_of(name));
	struct term a, b;
	uint64_t rows[2], pending[2];

	if (mine == NULL || its == NULL)
		return;
	if (terms_digest(n->e->state, mine, n->unit, &a, &rows[0], &pending[0], NULL) != 0 ||
	    terms_digest(p->e->state, its, n->unit, &b, &rows[1], &pending[1], NULL) != 0)
		return;
	if (pending[0] != 0 || pending[1] != 0)
		sim_fail(t, "%012llu: rows without a term at rest: %llu here, %llu above", (unsigned long long)n->unit,
		         (unsigned long long)pending[0], (unsigned long long)pending[1]);
	else if (rows[0] != rows[1] || !term_equal(&a, &b))
		sim_fail(t, "digest of %012llu (%llu rows) differs from that of %012llu (%llu rows)", (unsigned long long)n->unit,
		         (unsigned long long)rows[0], (unsigned long long)p->unit, (unsigned long long)rows[1]);
}

/* The table against the state: every row that has a term still hashes to it. */
static void audit_register(struct sim_tree *t, struct sim_node *n, const char *name)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct reg *r = catalog_register(n->e->catalog, slice_of(name));
	struct key *keys;
	uint32_t count = 0;

	if (r == NULL || state_scan(n->e->state, r, NULL, n->unit, 1000, &a, &keys, &count, NULL) != 0)
		return;
	for (uint32_t i = 0; i < count; i++) {
		_cleanup_(buf_release) struct buf key = {0};
		struct held h;
		struct term term;

		if (state_load(n->e->state, r, keys[i], &a, &h, NULL) != 0 || !h.has_term ||
		    terms_row(n->e->state, n->e->table, &h, &a, &term, NULL) != 0 || term_equal(&term, &h.term))
			continue;
		key_text(&key, keys[i]);
		sim_fail(t, "%012llu: the table's row %s of %s is not what the state says", (unsigned long long)n->unit, buf_text(&key),
		         name);
	}
}

void sim_audit(struct sim_tree *t)
{
	for (int i = 0; i < t->n; i++)
		if (t->nodes[i].e != NULL && !sim_disk_failed(&t->nodes[i]) && !log_pending(t->nodes[i].e->db)) {
			for (int k = 0; k < SIM_REGISTERS; k++)
				audit_register(t, &t->nodes[i], t->bands[k].reg);
			if (number(t->nodes[i].app, "SELECT count(*) FROM pragma_foreign_key_check") != 0)
				sim_fail(t, "%012llu: a foreign key is broken", (unsigned long long)t->nodes[i].unit);
		}
	sim_scope(t, false);
}

void sim_dump(struct sim_tree *t, struct buf *ret)
{
	static const char *const all[] = {
		"SELECT k, unit, x, y, s FROM r ORDER BY 1", "SELECT k, unit, parent, u FROM c ORDER BY 1", "SELECT k, '', v FROM o ORDER BY 1",
		"SELECT k, '', v FROM a ORDER BY 1",
		"SELECT key, unit, flags, hex(term) FROM terrace_s1 ORDER BY 1", "SELECT key, unit, flags, hex(term) FROM terrace_s2 ORDER BY 1",
		"SELECT key, unit, flags, hex(term) FROM terrace_s3 ORDER BY 1", "SELECT key, unit, flags, hex(term) FROM terrace_s4 ORDER BY 1",
		"SELECT register, key, grp, lost_unit, lost_tick, lost_epoch, unit, kind, why, rule, decider, policy, kept_text, lost_text, state "
		"FROM terrace_record ORDER BY 1, 2, 3, 4, 5, 6",
	};

	for (int i = 0; i < t->n; i++) {
		buf_printf(ret, "node %012llu\n", (unsigned long long)t->nodes[i].unit);
		for (size_t k = 0; t->nodes[i].app != NULL && k < ARRAY_SIZE(all); k++)
			read_table(t->nodes[i].app, all[k], UNIT_NONE, ret);
	}
}

/* Where a row and the one it takes its unit from are both held, they are of one unit. */
static void check_follows(struct sim_tree *t, struct sim_node *n)
{
	struct reg *c = catalog_register(n->e->catalog, slice_of("c")), *r = catalog_register(n->e->catalog, slice_of("r"));
	char rows[400];

	if (c == NULL || r == NULL || c->via == NULL)
		return;
	snprintf(rows, sizeof rows, "SELECT count(*) FROM c JOIN terrace_s%u AS s ON s.key = c.k AND s.flags & 1 JOIN terrace_s%u AS p ON "
	         "p.key = c.parent AND p.flags & 1 WHERE p.unit <> s.unit", c->number, r->number);
	if (number(n->app, rows) != 0)
		sim_fail(t, "%012llu: %d rows of c did not follow the row they refer to", (unsigned long long)n->unit, number(n->app, rows));
}

void sim_check(struct sim_tree *t)
{
	sim_audit(t);
	sim_scope(t, true);
	journal_check(t);
	for (int i = 0; i < t->n; i++) {
		struct sim_node *n = &t->nodes[i];
		_cleanup_(buf_release) struct buf mine = {0}, its = {0};
		bool held;

		if (n->e != NULL)
			check_follows(t, n);
		if (n->e == NULL || n->parent < 0)
			continue;
		held = sim_holds(t, n, "r") && sim_holds(t, &t->nodes[n->parent], "r");
		read_rows(n, n->unit, held, &mine);
		read_rows(&t->nodes[n->parent], n->unit, held, &its);
		/* A row that waits in quarantine: the table lags, the state (compared below) does not. */
		if (number(n->app, "SELECT count(*) FROM terrace_quarantine") + number(t->nodes[n->parent].app, "SELECT count(*) FROM "
		           "terrace_quarantine") == 0 && strcmp(buf_text(&mine), buf_text(&its)) != 0) {
			if (t->verbose) {
				tell_state(n);
				tell_state(&t->nodes[n->parent]);
			}
			if (t->verbose)
				fprintf(stderr, "%012llu:\n%s%012llu:\n%s", (unsigned long long)n->unit, buf_text(&mine),
				        (unsigned long long)t->nodes[n->parent].unit, buf_text(&its));
			sim_fail(t, "rows of %012llu differ from those of %012llu", (unsigned long long)n->unit,
			         (unsigned long long)t->nodes[n->parent].unit);
		}
		for (int k = 0; k < SIM_REGISTERS - 1; k++)
			if (sim_holds(t, n, t->bands[k].reg) && sim_holds(t, &t->nodes[n->parent], t->bands[k].reg))
				check_digests(t, n, &t->nodes[n->parent], t->bands[k].reg);
		if (number(n->app, "SELECT count(*) FROM pragma_foreign_key_check") != 0)
			sim_fail(t, "%012llu: %d foreign keys are broken, first of row %d", (unsigned long long)n->unit,
			         number(n->app, "SELECT count(*) FROM pragma_foreign_key_check"),
			         number(n->app, "SELECT substr(c.k, 2) * 100 + substr(c.parent, 2) FROM pragma_foreign_key_check f JOIN c ON "
			                "c.rowid = f.rowid"));
	}
}
