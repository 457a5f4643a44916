/* Sim: random histories of whole trees.  sim [--seeds N] [--from S] [--seed S] [--month S] [--via] [--verbose] [--keep FOLDER]:
 * the seed decides all.  A month (one for ten seeds) is a history by stick. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/self.h"
#include "store/compared.h"
#include "store/findings.h"
#include "world.h"

static uint64_t losers, reviews, typed;  /* of all histories */

struct options {
	bool verbose, restores, via;     /* via: rows that follow in every history */
	const char *keep;
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

static int history(uint64_t seed, const struct options *o)
{
	struct sim_random r = {seed * 7919 + 17};
	uint64_t units[SIM_NODES];
	int n = world_units(&r, units), length = 20 + (int)sim_below(&r, 150);
	struct sim_tree *t = calloc(1, sizeof *t);
	struct sim_policy policy;
	uint64_t version = 1;
	bool propose = sim_chance(&r, 0.4);
	int rc;

	if (t == NULL || sim_open(t, seed, units, n) != 0) {
		fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, t != NULL ? t->failure : "memory is short");
		return 1;
	}
	t->verbose = o->verbose;
	t->keep = o->keep;
	t->keys = sim_chance(&r, 0.6) || o->via;
	t->via = t->keys && (sim_chance(&r, 0.6) || o->via);
	t->rules = sim_chance(&r, 0.5);
	t->edits = t->rules && !t->via && sim_chance(&r, 0.6);
	world_bands(t, &r);
	t->random = r;
	t->loss = sim_chance(&r, 0.5) ? 0.2 : 0;
	t->twice = sim_chance(&r, 0.5) ? 0.2 : 0;
	for (int i = 0; i < n && sim_chance(&r, 0.3); i++)
		t->nodes[i].skew_ms = sim_chance(&r, 0.5) ? -1700000000000 : 2500000000000;
	for (int i = 1; i < n; i++)
		if (sim_chance(&r, 0.8))
			sim_enrol(t, i);
	world_policy(t, &r, version, propose, &policy);
	sim_publish(t, 0, &policy.p);
	if (t->edits || sim_chance(&r, 0.7))
		sim_drain(t);
	t->random = r;
	if (t->edits) {
		world_begin(t);
		sim_drain(t);
	}
	for (int i = 0; i < length && t->failure[0] == '\0'; i++) {
		int node = (int)sim_below(&t->random, (uint32_t)n), what = (int)sim_below(&t->random, 100);

		t->step++;
		if (!t->nodes[node].enrolled) {
			bool below = false;      /* a node between two that are enrolled comes with re-enrolment */

			for (int k = 0; k < n; k++)
				below = below || (t->nodes[k].enrolled && unit_contains(units[node], units[k]));
			if (what < 10 && !below)
				sim_enrol(t, node);
			continue;
		}
		if (what < 6)
			world_type(t, node);
		else if (what < 40)
			world_write(t, node);
		else if (what < 75)
			sim_contact(t, node);
		else if (what < 83 || (what < 90 && !propose))
			sim_tick(t, sim_below(&t->random, 3000));
		else if (what < 92)
			sim_restart(t, node);
		else if (what < 94 && o->restores)
			sim_backup(t, node);
		else if (what < 95 && o->restores)
			sim_restore(t, node);
		else if (what < 96) {
			world_policy(t, &t->random, ++version, propose, &policy);
			sim_publish(t, 0, &policy.p);
		}
		if (propose && what >= 83 && what < 90)
			sim_decide(t, node);
		journal_note(t);
		sim_audit(t);
	}
	sim_drain(t);
	if (sim_chance(&r, 0.5) && t->failure[0] == '\0')
		lose_some(t);
	if (t->failure[0] == '\0' && o->plant != NULL)
		o->plant(t);
	if (t->failure[0] == '\0')
		sim_check(t);
	if (t->failure[0] == '\0')
		sim_check_reviews(t);
	if (t->failure[0] == '\0' && o->plant == NULL && sim_chance(&r, 0.3))
		audit_all(t);
	rc = t->failure[0] != '\0';
	if (o->plant == NULL) {
		losers += t->losers;
		reviews += t->nreviews;
		typed += (uint64_t)t->found;
	}
	if (rc != 0 && o->plant == NULL)
		fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, t->failure);
	sim_close(t);
	free(t);
	return rc;
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
		else {
			fprintf(stderr, "usage: sim [--seeds N] [--from S] [--seed S] [--month S] [--no-restores] [--via] [--verbose] [--keep FOLDER]\n");
			return 2;
		}
	}
	if (sign_init(&err) != 0) {
		fprintf(stderr, "sim: %s\n", err.text);
		return 2;
	}
	for (uint64_t s = from; s < from + seeds; s++)
		failed += (uint64_t)history(s, &o);
	months = month != 0 ? 1 : seeds > 1 ? seeds / 10 : 0;
	month = month != 0 ? month : from;
	for (uint64_t s = month; s < month + months; s++)
		failed += (uint64_t)sim_month(s, o.verbose, o.keep, &sticks);
	seeds += months;
	if (seeds > 1)
		missed = faults();
	printf("sim: %llu months by stick: %llu bundles taken, %llu late or repeated ones refused, %llu lost\n",
	       (unsigned long long)months, (unsigned long long)sticks.carried, (unsigned long long)sticks.refused,
	       (unsigned long long)sticks.lost);
	printf("sim: %llu losing decisions had to have a record, %llu proposals were decided, %llu times what was typed was found "
	       "again\n", (unsigned long long)losers, (unsigned long long)reviews, (unsigned long long)typed);
	printf("sim: %llu passed, %llu failed\n", (unsigned long long)(seeds - failed), (unsigned long long)failed + (unsigned)missed);
	return failed != 0 || missed != 0;
}
