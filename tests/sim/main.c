/* Sim: random histories of whole trees; the seed decides all.
 *
 * sim [--seeds N] [--from S] [--seed S] [--month S] [--clocks] [--nodes N] [--faults] [--no-restores] [--via] [--verbose] [--keep FOLDER]
 *     [--records FILE]
 * A month (one for ten seeds) is a history by stick. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/self.h"
#include "store/compared.h"
#include "store/findings.h"
#include "world.h"

/* Of all histories. */
static uint64_t histories, losers, reviews, typed, sealed, twins, instants, injected[SIM_FAULTS];

enum clocks { CLOCKS_MIXED, CLOCKS_PERFECT, CLOCKS_WILD };

struct options {
	bool verbose, restores, via;     /* via: rows that follow in every history */
	bool faults;                     /* disks and lines fail in every history */
	bool twice;                      /* every history with wild clocks and with perfect ones: the same comes of it */
	enum clocks clocks;
	int nodes;                       /* 0: a small tree */
	const char *keep;
	const char *records;             /* the file that takes them, or NULL */
	struct buf *dump;                /* what everybody holds at the end, or NULL */
	void (*plant)(struct sim_tree *t);       /* a fault at the end that the checks have to find, or NULL */
};

/* ---- faults, to see that the checks find them */

static void plant_sql(struct sim_tree *t, int from, const char *sql)
{
	for (int i = from; i < t->n; i++)
		if (t->nodes[i].app != NULL)
			sqlite3_exec(t->nodes[i].app, sql, NULL, NULL, NULL);
}

static void plant_record(struct sim_tree *t)
{
	plant_sql(t, 0, "DELETE FROM terrace_record");
}

static void plant_row(struct sim_tree *t)
{
	plant_sql(t, 1, "INSERT INTO r(k, unit) VALUES('zz', '110000000000')");
}

static void plant_value(struct sim_tree *t)
{
	plant_sql(t, 1, "INSERT INTO terrace_s1(key, unit, flags, version, term) VALUES('zz', 110000000000, 3, 1, zeroblob(16)); "
	          "INSERT INTO terrace_aside VALUES(1, 'zz', 1, 1, 1, 1, 0, x'00', NULL)");
}

static void plant_overflow(struct sim_tree *t)
{
	plant_sql(t, 0, "INSERT INTO terrace_overflow VALUES(1, 'zz', 'a', 'x', x'00')");
}

static void plant_segment(struct sim_tree *t)
{
	plant_sql(t, 1, "INSERT INTO terrace_segment(author, kind, stream, position, epoch, tick, hash, at, origin, bytes) VALUES("
	          "110000000000, 1, 0, 1, 1, 1, x'00', 0, 0, x'00')");
}

static void plant_shown(struct sim_tree *t)
{
	plant_sql(t, 1, "INSERT INTO terrace_record(register, key, grp, lost_unit, lost_tick, lost_epoch, unit, kind, rule, decider, policy, "
	          "at, tree_time, kept_text) SELECT 'r', 'zz', 'a', value, 1, 1, 110000000000, 'superseded', 6, 110000000000, 0, 0, 0, "
	          "'{}' FROM terrace_meta WHERE name = 'unit'");
}

/* Rows are lost while all is quiet: the digests tell, the rows that differ are found and come back. */
static void lose_some(struct sim_tree *t)
{
	int times = 1 + (int)sim_below(&t->random, 4);

	for (int i = 0; i < times; i++) {
		char key[8];

		snprintf(key, sizeof key, "k%d", (int)sim_below(&t->random, 6));
		sim_lose(t, (int)sim_below(&t->random, (uint32_t)t->n), key);
	}
	sim_tick(t, 61000);
	sim_drain(t);                            /* the time note has passed: the links are at rest */
	for (int k = 0; k < 3; k++) {            /* a node in the middle may have to heal from below before it can from above */
		for (int i = 0; i < t->n; i++)
			t->nodes[i].hello = true;
		sim_drain(t);
	}
}

/* The administrator's audit finds nothing where nothing was spoilt. */
static void audit_all(struct sim_tree *t)
{
	static const char *const words[] = {"reconcile"};

	for (int i = 0; i < t->n; i++) {
		struct engine *e = t->nodes[i].e;
		json_t *answer = NULL;
		struct err err = {0};

		if (e == NULL)
			continue;
		if (engine_command(e, words, 1, "sim", &answer, &err) != 0)
			sim_fail(t, "%012llu: reconcile: %s", (unsigned long long)t->nodes[i].unit, err.text);
		json_decref(answer);
	}
	sim_drain(t);
	for (int i = 0; i < t->n; i++)
		if (t->nodes[i].e != NULL && (finding_any(t->nodes[i].e->db) || difference_any(t->nodes[i].e->db)))
			sim_fail(t, "%012llu: an audit finds rows that nobody spoilt", (unsigned long long)t->nodes[i].unit);
}

/* Every third node has a clock of 1970, of 2099, or one that jumps; wild: every one. */
static void set_clocks(struct sim_tree *t, struct sim_random *r, enum clocks clocks)
{
	for (int i = 0; i < t->n; i++) {
		struct sim_node *n = &t->nodes[i];
		int what = (int)sim_below(r, clocks == CLOCKS_MIXED ? 9 : 3);

		if (clocks == CLOCKS_PERFECT)
			continue;
		n->skew_ms = what == 0 ? 86400000 - t->now_ms : what == 1 ? 2270000000000 : 0;
		n->jumps = what == 2 && i > 0;   /* the top's clock is tree time: wrong perhaps, but it goes on */
	}
}

static int begin(struct sim_tree *t, uint64_t seed, const struct options *o, struct sim_random *r)
{
	uint64_t units[SIM_NODES];
	int n = world_units(r, o->nodes, units);

	if (sim_open(t, seed, units, n) != 0)
		return -1;
	t->verbose = o->verbose;
	t->keep = o->keep;
	t->keys = sim_chance(r, 0.6) || o->via;
	t->via = t->keys && (sim_chance(r, 0.6) || o->via);
	t->rules = sim_chance(r, 0.5);
	t->edits = t->rules && !t->via && sim_chance(r, 0.6);
	world_bands(t, r);
	t->loss = sim_chance(r, 0.5) ? 0.2 : 0;
	t->twice = sim_chance(r, 0.5) ? 0.2 : 0;
	struct sim_random clocks = {seed ^ 0x636c6f636b};
	set_clocks(t, &clocks, o->clocks);
	for (int i = 1; i < n; i++)
		if (sim_chance(r, o->nodes > 0 ? 0.95 : 0.8))
			sim_enrol(t, i);
	return 0;
}

/* A node between two that are enrolled comes with re-enrolment. */
static void enrol_later(struct sim_tree *t, int node)
{
	bool below = false;

	for (int k = 0; k < t->n; k++)
		below = below || (t->nodes[k].enrolled && unit_contains(t->nodes[node].unit, t->nodes[k].unit));
	if (below)
		return;
	sim_disk_end(t);
	sim_enrol(t, node);
}

/* A machine or a line fails. */
static void befall(struct sim_tree *t, int node, const struct options *o)
{
	switch (sim_below(&t->random, o->restores ? 6 : 3)) {
	case 0:
		sim_cut(t, node);
		break;
	case 1:
		sim_disk(t, node, false);
		break;
	case 2:
	case 3:
		sim_disk(t, node, true);
		break;
	case 4:
		sim_disk_end(t);
		sim_backup(t, node, true);
		break;
	default:
		sim_disk_end(t);
		sim_restore(t, node);
		break;
	}
}

struct course {                          /* of one history */
	struct sim_tree *t;
	const struct options *o;
	struct sim_policy policy;
	uint64_t version;
	bool propose, faults;
};

static void publish(struct course *c, struct sim_random *r)
{
	sim_disk_end(c->t);
	/* Whoever restored an issuer waits for its children before it issues again. */
	if (c->t->nodes[0].restored_ms != 0)
		sim_drain(c->t);
	world_policy(c->t, r, ++c->version, c->propose, &c->policy);
	sim_publish(c->t, 0, &c->policy.p);
}

static void step(struct course *c)
{
	struct sim_tree *t = c->t;
	int node = (int)sim_below(&t->random, (uint32_t)t->n), what = (int)sim_below(&t->random, c->faults ? 106 : 100);

	t->step++;
	if (!t->nodes[node].enrolled) {
		if (what < 10)
			enrol_later(t, node);
		return;
	}
	if (what >= 83 && what < 96)
		sim_disk_end(t);
	if (what < 6)
		world_type(t, node);
	else if (what < 40)
		world_write(t, node);
	else if (what < 75)
		sim_contact(t, node);
	else if (what < 83 || (what < 90 && !c->propose))
		sim_tick(t, sim_below(&t->random, 3000));
	else if (what < 92)
		sim_restart(t, node);
	else if (what < 94 && c->o->restores)
		sim_backup(t, node, false);
	else if (what < 95 && c->o->restores)
		sim_restore(t, node);
	else if (what < 96)
		publish(c, &t->random);
	else if (what >= 100)
		befall(t, node, c->o);
	if (c->propose && what >= 83 && what < 90)
		sim_decide(t, node);
	sim_disk_step(t);
	journal_note(t);
	if (t->n <= 16 || t->step % 16 == 0)
		sim_audit(t);
	if (t->failure[0] == '\0' && t->nodes[node].parent >= 0 && t->step % 3 == 0)
		sim_status(t, t->nodes[node].parent, false);
}

static void finish(struct course *c, struct sim_random *r)
{
	struct sim_tree *t = c->t;
	const struct options *o = c->o;

	sim_disk_end(t);
	sim_drain(t);
	if (sim_chance(r, 0.5) && t->failure[0] == '\0')
		lose_some(t);
	if (t->failure[0] == '\0' && o->plant != NULL)
		o->plant(t);
	if (t->failure[0] == '\0')
		sim_check(t);
	for (int i = 0; i < t->n && t->failure[0] == '\0'; i++)
		sim_status(t, i, true);
	if (t->failure[0] == '\0')
		sim_check_reviews(t);
	if (t->failure[0] == '\0' && o->plant == NULL && sim_chance(r, 0.3))
		audit_all(t);
	if (t->failure[0] == '\0' && o->plant == NULL && o->records != NULL)
		sim_records(t, o->records);
	if (t->failure[0] == '\0' && o->dump != NULL)
		sim_dump(t, o->dump);
}

static int once(uint64_t seed, const struct options *o)
{
	struct sim_random r = {seed * 7919 + 17};
	struct sim_tree *t = calloc(1, sizeof *t);
	struct course c = {.t = t, .o = o, .propose = sim_chance(&r, 0.4), .faults = sim_chance(&r, 0.4) || o->faults};
	int length = 20 + (int)sim_below(&r, 150) + 10 * o->nodes, rc;

	if (o->clocks != CLOCKS_MIXED)           /* a disk fails at its n-th write, and a clock's digits make other writes */
		c.faults = false;
	if (t == NULL || begin(t, seed, o, &r) != 0) {
		fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, t != NULL ? t->failure : "memory is short");
		return 1;
	}
	publish(&c, &r);
	if (t->edits || sim_chance(&r, 0.8) || o->nodes > 0) {
		sim_drain(t);
		if (t->edits)
			world_begin(t);
		else
			world_stock(t);
		sim_drain(t);
	}
	t->random = r;
	while (t->step < length && t->failure[0] == '\0')
		step(&c);
	finish(&c, &r);
	rc = t->failure[0] != '\0';
	if (o->plant == NULL) {
		histories++;
		losers += t->losers;
		reviews += t->nreviews;
		typed += (uint64_t)t->found;
		sealed += t->sealed;
		instants += t->instants;
		for (int i = 0; i < SIM_FAULTS; i++)
			injected[i] += t->injected[i];
	}
	if (rc != 0 && o->plant == NULL)
		fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, t->failure);
	sim_close(t);
	free(t);
	return rc;
}

static void tell_difference(uint64_t seed, const struct buf *a, const struct buf *b)
{
	size_t i = 0, from = 0, end;

	for (; i < MIN(a->n, b->n) && a->p[i] == b->p[i]; i++)
		if (a->p[i] == '\n')
			from = i + 1;
	fprintf(stderr, "seed %llu: with wild clocks and with perfect ones not the same comes of it:\n", (unsigned long long)seed);
	for (end = from; end < a->n && a->p[end] != '\n'; end++)
		;
	fprintf(stderr, "  wild    %.*s\n", (int)(end - from), (const char *)a->p + from);
	for (end = from; end < b->n && b->p[end] != '\n'; end++)
		;
	fprintf(stderr, "  perfect %.*s\n", (int)(end - from), (const char *)b->p + from);
}

/* No clock decides anything: every fifth history, and with --clocks every one, happens a second time. */
static int history(uint64_t seed, const struct options *o)
{
	_cleanup_(buf_release) struct buf wild = {0}, perfect = {0};
	struct options one = *o;

	if (o->plant != NULL || (!o->twice && seed % 5 != 0))
		return once(seed, o);
	one.clocks = CLOCKS_WILD;
	one.dump = &wild;
	if (once(seed, &one) != 0)
		return 1;
	one.clocks = CLOCKS_PERFECT;
	one.dump = &perfect;
	if (once(seed, &one) != 0)
		return 1;
	twins++;
	if (slice_equal(buf_slice(&wild), buf_slice(&perfect)))
		return 0;
	tell_difference(seed, &wild, &perfect);
	return 1;
}

/* Each planted fault is found in some of the first histories. */
static int faults(void)
{
	static const struct {
		const char *name;
		void (*plant)(struct sim_tree *t);
	} all[] = {
		{"a record is missing", plant_record}, {"a row of another unit", plant_row}, {"values beside a marker", plant_value},
		{"overflow of no row", plant_overflow}, {"a segment of a sibling", plant_segment},
		{"a record shows another unit's row", plant_shown},
	};
	int missed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const struct options o = {.restores = false, .plant = all[i].plant};
		bool found = false;

		for (uint64_t s = 1; s <= 30 && !found; s++)
			found = history(s, &o) != 0;
		if (!found)
			fprintf(stderr, "sim: nothing notices that %s\n", all[i].name);
		missed += !found;
	}
	return missed;
}

int main(int argc, char **argv)
{
	uint64_t seeds = 50, from = 1, failed = 0, months = 0, month = 0;
	struct sim_sticks sticks = {0};
	struct options o = {.restores = true};
	int missed = 0;
	struct err err = {0};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
			seeds = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
			from = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			from = strtoull(argv[++i], NULL, 10);
			seeds = 1;
		} else if (strcmp(argv[i], "--month") == 0 && i + 1 < argc) {
			month = strtoull(argv[++i], NULL, 10);
			seeds = 0;
		} else if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc)
			o.keep = argv[++i];
		else if (strcmp(argv[i], "--verbose") == 0)
			o.verbose = true;
		else if (strcmp(argv[i], "--via") == 0)
			o.via = true;
		else if (strcmp(argv[i], "--no-restores") == 0)
			o.restores = false;
		else if (strcmp(argv[i], "--records") == 0 && i + 1 < argc)
			o.records = argv[++i];
		else if (strcmp(argv[i], "--clocks") == 0)
			o.twice = true;
		else if (strcmp(argv[i], "--faults") == 0)
			o.faults = true;
		else if (strcmp(argv[i], "--nodes") == 0 && i + 1 < argc && atoi(argv[i + 1]) >= LEVELS && atoi(argv[i + 1]) <= SIM_NODES)
			o.nodes = atoi(argv[++i]);
		else {
			fprintf(stderr, "usage: sim [--seeds N] [--from S] [--seed S] [--month S] [--clocks] [--nodes %d-%d] [--faults] [--no-restores] "
			        "[--via] [--verbose] [--keep FOLDER] [--records FILE]\n", LEVELS, SIM_NODES);
			return 2;
		}
	}
	if (sign_init(&err) != 0) {
		fprintf(stderr, "sim: %s\n", err.text);
		return 2;
	}
	for (uint64_t s = from; s < from + seeds; s++)
		failed += (uint64_t)history(s, &o);
	months = month != 0 ? 1 : seeds > 1 && o.nodes == 0 ? seeds / 10 : 0;
	month = month != 0 ? month : from;
	for (uint64_t s = month; s < month + months; s++)
		failed += (uint64_t)sim_month(s, o.verbose, o.keep, &sticks);
	seeds += months;
	if (seeds > 1 && o.nodes == 0)
		missed = faults();
	printf("sim: %llu histories (%llu with wild clocks and again with perfect ones), %llu values sealed; faults: %llu restores, %llu "
	       "clones, %llu machines died, %llu full disks, %llu dead lines; acknowledged changes lost: %s\n", (unsigned long long)histories,
	       (unsigned long long)twins, (unsigned long long)sealed, (unsigned long long)injected[FAULT_RESTORE],
	       (unsigned long long)injected[FAULT_CLONE], (unsigned long long)injected[FAULT_KILL],
	       (unsigned long long)injected[FAULT_DISK], (unsigned long long)injected[FAULT_CUT], failed == 0 ? "0" : "see above");
	printf("sim: %llu months by stick: %llu bundles taken, %llu late or repeated ones refused, %llu lost\n",
	       (unsigned long long)months, (unsigned long long)sticks.carried, (unsigned long long)sticks.refused,
	       (unsigned long long)sticks.lost);
	printf("sim: at %llu instants what a status says of a node was held against the truth\n", (unsigned long long)instants);
	printf("sim: %llu losing decisions had to have a record, %llu proposals were decided, %llu times what was typed was found "
	       "again\n", (unsigned long long)losers, (unsigned long long)reviews, (unsigned long long)typed);
	printf("sim: %llu passed, %llu failed\n", (unsigned long long)(seeds - failed), (unsigned long long)failed + (unsigned)missed);
	return failed != 0 || missed != 0;
}
