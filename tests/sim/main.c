/* Sim: random histories of whole trees.  sim [--seeds N] [--from S] [--seed S] [--verbose] [--keep FOLDER]: the seed decides all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

static const char *const ddl[] = {
	"CREATE TABLE r(k TEXT NOT NULL PRIMARY KEY, unit TEXT, x INTEGER DEFAULT 0, y TEXT, s INTEGER DEFAULT 0)",
	"CREATE TABLE c(k TEXT NOT NULL PRIMARY KEY, unit TEXT, parent TEXT REFERENCES r(k) ON DELETE CASCADE, u INTEGER UNIQUE)",
};

static uint64_t losers;                  /* of all histories */

struct sim_policy {
	struct policy p;
	struct policy_register regs[2];
	struct policy_group groups[2], of_c[1];
	const char *key[1], *ga[2], *gb[1], *gc[2];
};

static uint8_t levels(struct sim_random *r, double p)
{
	uint8_t mask = 0;

	for (int l = 0; l < LEVELS; l++)
		if (sim_chance(r, p))
			mask |= (uint8_t)(1u << l);
	return mask != 0 ? mask : (uint8_t)(1u << sim_below(r, LEVELS));
}

static void policy_make(struct sim_random *r, uint64_t version, bool propose, struct sim_policy *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->key[0] = "k";
	ret->ga[0] = "x";
	ret->ga[1] = "y";
	ret->gb[0] = "s";
	ret->groups[0] = (struct policy_group){.name = "a", .ncolumns = 2, .columns = ret->ga, .own = levels(r, propose ? 0.4 : 0.7)};
	ret->groups[1] = (struct policy_group){.name = "b", .ncolumns = 1, .columns = ret->gb, .own = levels(r, propose ? 0.4 : 0.7)};
	for (int g = 0; g < 2 && propose; g++)
		ret->groups[g].propose = (uint8_t)(levels(r, 0.6) & ~ret->groups[g].own);
	ret->gc[0] = "parent";
	ret->gc[1] = "u";
	ret->of_c[0] = (struct policy_group){.name = "all", .ncolumns = 2, .columns = ret->gc, .own = levels(r, 0.8)};
	ret->regs[1] = (struct policy_register){
		.name = "c", .nkey = 1, .key = ret->key, .unit_source = UNIT_COLUMN, .unit_column = "unit", .ceiling = PROVINCE,
		.floor = VILLAGE, .create = levels(r, 0.9), .remove = levels(r, 0.8), .ngroups = 1, .groups = ret->of_c,
	};
	ret->regs[0] = (struct policy_register){
		.name = "r", .nkey = 1, .key = ret->key, .unit_source = UNIT_COLUMN, .unit_column = "unit", .ceiling = PROVINCE,
		.floor = VILLAGE, .create = levels(r, 0.8), .remove = levels(r, 0.7), .ngroups = 2, .groups = ret->groups,
	};
	ret->p = (struct policy){.name = "sim", .version = version, .nstatements = 2, .nregisters = 2, .registers = ret->regs};
	ret->p.statements = (const char **)(uintptr_t)ddl;
}

static int units_make(struct sim_random *r, uint64_t *ret)
{
	int n = 1, size = 2 + (int)sim_below(r, sim_chance(r, 0.3) ? 11 : 5);
	static const uint64_t step[LEVELS] = {10000000000, 100000000, 1000000, 1000, 1};

	ret[0] = sim_chance(r, 0.5) ? UINT64_C(530000000000) : UINT64_C(532900000000);
	while (n < size) {
		uint64_t up = ret[sim_below(r, (uint32_t)n)];
		enum level l = unit_level(up) + 1 + (sim_chance(r, 0.15) ? 1 : 0);
		uint64_t u;
		bool known = false;

		if (l >= LEVELS)
			continue;
		u = up + step[l] * (1 + sim_below(r, 3));
		for (int i = 0; i < n; i++)
			known = known || ret[i] == u;
		if (!known)
			ret[n++] = u;
	}
	/* superiors first */
	for (int i = 0; i < n; i++)
		for (int k = i + 1; k < n; k++)
			if (unit_level(ret[k]) < unit_level(ret[i])) {
				uint64_t u = ret[i];

				ret[i] = ret[k];
				ret[k] = u;
			}
	return n;
}

static uint64_t some_unit(struct sim_tree *t, uint64_t scope)
{
	for (int k = 0; k < 30; k++) {
		uint64_t u = t->nodes[sim_below(&t->random, (uint32_t)t->n)].unit;

		if (unit_contains(scope, u))
			return u;
	}
	return scope;
}

static void write_something(struct sim_tree *t, int node)
{
	struct sim_node *n = &t->nodes[node];
	struct sim_random *r = &t->random;
	int k = (int)sim_below(r, 6), what = (int)sim_below(r, n->tree->keys ? 16 : 12), p = (int)sim_below(r, 6);
	unsigned long long unit = some_unit(t, n->unit);

	if (what < 3)
		sim_sql(n, "INSERT INTO r(k, unit, x, y) VALUES('k%d', '%012llu', %d, 'n%d')", k, unit, (int)sim_below(r, 9), node);
	else if (what < 5)
		sim_sql(n, "UPDATE r SET x = %d WHERE k = 'k%d'", (int)sim_below(r, 99), k);
	else if (what < 6)
		sim_sql(n, "UPDATE r SET y = 't%d' WHERE k = 'k%d'", (int)sim_below(r, 99), k);
	else if (what < 8)
		sim_sql(n, "UPDATE r SET s = %d WHERE k = 'k%d'", (int)sim_below(r, 5), k);
	else if (what < 9)
		sim_sql(n, "DELETE FROM r WHERE k = 'k%d'", k);
	else if (what < 10)
		sim_sql(n, "UPDATE r SET unit = '%012llu' WHERE k = 'k%d'", unit, k);
	else if (what < 11)
		sim_sql(n, "INSERT OR REPLACE INTO r(k, unit, x, y) VALUES('k%d', '%012llu', %d, 'r%d')", k, unit, (int)sim_below(r, 9), node);
	else if (what < 12)
		sim_sql(n, "UPDATE r SET x = %d, y = 'b', s = 1 WHERE k = 'k%d'", (int)sim_below(r, 99), k);
	else if (what < 14)
		sim_sql(n, "INSERT INTO c(k, unit, parent, u) SELECT 'c%d', unit, k, %d FROM r WHERE k = 'k%d'", k, (int)sim_below(r, 9), p);
	else if (what < 15)
		sim_sql(n, "UPDATE c SET u = %d WHERE k = 'c%d'", (int)sim_below(r, 9), k);
	else
		sim_sql(n, "DELETE FROM c WHERE k = 'c%d'", k);
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

static int history(uint64_t seed, bool verbose, bool restores, const char *keep, uint64_t *reviews)
{
	struct sim_random r = {seed * 7919 + 17};
	uint64_t units[SIM_NODES];
	int n = units_make(&r, units), length = 20 + (int)sim_below(&r, 150);
	struct sim_tree *t = calloc(1, sizeof *t);
	struct sim_policy policy;
	uint64_t version = 1;
	bool propose = sim_chance(&r, 0.4);
	int rc;

	if (t == NULL || sim_open(t, seed, units, n) != 0) {
		fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, t != NULL ? t->failure : "memory is short");
		return 1;
	}
	t->verbose = verbose;
	t->keep = keep;
	t->keys = sim_chance(&r, 0.5);
	t->random = r;
	t->loss = sim_chance(&r, 0.5) ? 0.2 : 0;
	t->twice = sim_chance(&r, 0.5) ? 0.2 : 0;
	for (int i = 0; i < n && sim_chance(&r, 0.3); i++)
		t->nodes[i].skew_ms = sim_chance(&r, 0.5) ? -1700000000000 : 2500000000000;
	for (int i = 1; i < n; i++)
		if (sim_chance(&r, 0.8))
			sim_enrol(t, i);
	policy_make(&r, version, propose, &policy);
	sim_publish(t, 0, &policy.p);
	if (sim_chance(&r, 0.7))
		sim_drain(t);
	t->random = r;
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
		if (what < 40)
			write_something(t, node);
		else if (what < 75)
			sim_contact(t, node);
		else if (what < 83 || (what < 90 && !propose))
			sim_tick(t, sim_below(&t->random, 3000));
		else if (what < 92)
			sim_restart(t, node);
		else if (what < 94 && restores)
			sim_backup(t, node);
		else if (what < 95 && restores)
			sim_restore(t, node);
		else if (what < 96) {
			policy_make(&t->random, ++version, propose, &policy);
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
	if (t->failure[0] == '\0')
		sim_check(t);
	if (t->failure[0] == '\0')
		sim_check_reviews(t);
	*reviews += t->nreviews;
	rc = t->failure[0] != '\0';
	losers += t->losers;
	if (rc != 0)
		fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, t->failure);
	sim_close(t);
	free(t);
	return rc;
}

int main(int argc, char **argv)
{
	uint64_t seeds = 50, from = 1, failed = 0, reviews = 0;
	bool verbose = false, restores = true;
	const char *keep = NULL;
	struct err err = {0};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
			seeds = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
			from = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			from = strtoull(argv[++i], NULL, 10);
			seeds = 1;
		} else if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc)
			keep = argv[++i];
		else if (strcmp(argv[i], "--verbose") == 0)
			verbose = true;
		else if (strcmp(argv[i], "--no-restores") == 0)
			restores = false;
		else {
			fprintf(stderr, "usage: sim [--seeds N] [--from S] [--seed S] [--no-restores] [--verbose] [--keep FOLDER]\n");
			return 2;
		}
	}
	if (sign_init(&err) != 0) {
		fprintf(stderr, "sim: %s\n", err.text);
		return 2;
	}
	for (uint64_t s = from; s < from + seeds; s++)
		failed += (uint64_t)history(s, verbose, restores, keep, &reviews);
	printf("sim: %llu losing decisions had to have a record\n", (unsigned long long)losers);
	printf("sim: %llu passed, %llu failed (%llu proposals decided)\n", (unsigned long long)(seeds - failed), (unsigned long long)failed,
	       (unsigned long long)reviews);
	return failed != 0;
}
