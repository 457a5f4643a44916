/* Bytes and time of a reconciliation between a township and its county: bench_reconcile ROWS.  Lines `DIFFERING rounds
 * bytes milliseconds`: the rounds of both sides until every row that differs is named and marked; without HTTPS, and
 * without the rows themselves, which pass as any other. */
#include "nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/rounds.h"
#include "store/terms.h"

#define VILLAGES 20

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void settle(struct node *n)
{
	for (int i = 0; i < 2000 && terms_pending(n->engine->state) > 0; i++)
		engine_tick(n->engine, false);
}

static void fill(int rows)
{
	char text[400];

	snprintf(text, sizeof text, "WITH RECURSIVE c(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM c WHERE i < %d) INSERT INTO aid(id, "
	         "unit_code, name, amount) SELECT printf('6207021000%%02d%%06d', i %% %d + 1, i), printf('%%012d', 620702100001 + i %% %d), "
	         "'n' || i, i FROM c", rows - 1, VILLAGES, VILLAGES);
	sql(&town, text);
	seal(&town);
	for (int i = 0; i < 200; i++)
		contact(&town, &county);
	settle(&town);
	settle(&county);
	everybody();
	at_rest(&town, &county, "equal");
	everybody();
}

static void measure(int differing, int rows)
{
	double start, spent;
	int n;

	for (int i = 0; i < differing; i++) {
		char id[40];
		int row = (int)((long long)i * rows / (differing > 0 ? differing : 1)) + 7 + i;

		snprintf(id, sizeof id, "6207021000%02d%06d", row % VILLAGES + 1, row);
		lose(&county, id);
	}
	if (differing > 0)
		hello(&town, &county, NULL);
	else
		rounds_want(town.engine, ROUNDS_PLAN);
	round_bytes = 0;
	start = now();
	n = rounds(&town, &county);
	spent = now() - start;
	printf("%d %d %zu %.1f\n", differing, n, round_bytes, spent);
	contact(&town, &county);
	settle(&town);
	settle(&county);
	at_rest(&town, &county, "equal");
	everybody();
}

int main(int argc, char **argv)
{
	int rows = argc > 1 ? atoi(argv[1]) : 90000;
	void *state = NULL;

	nodes_begin(&state);
	fill(rows);
	measure(0, rows);
	measure(1, rows);
	measure(100, rows);
	nodes_end(&state);
	return 0;
}
