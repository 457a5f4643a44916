/* Faults: what befalls machines and lines in a history: restored and cloned disks, machines that die, disks that are
 * full, lines that are dead, rows that vanish.  One machine at a time has a disk that fails (tests/lib/disk.h). */
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "disk.h"
#include "engine/self.h"

/* ---- copies */

static void copy(const char *from, const char *to, bool live)
{
	char command[1200];

	snprintf(command, sizeof command, "rm -f %s %s-wal %s-shm; cp %s %s; %s test ! -e %s-wal || cp %s-wal %s-wal", to, to, to, from, to,
	         live ? "" : "true ||", from, from, to);
	if (system(command) != 0)
		fprintf(stderr, "sim: %s\n", command);
}

void sim_backup(struct sim_tree *t, int node, bool live)
{
	struct sim_node *n = &t->nodes[node];
	char to[220];

	if (!live)
		sim_node_close(n);               /* the last connection empties the WAL */
	snprintf(to, sizeof to, "%s.b%d", n->path, n->backups % 3);
	copy(n->path, to, live);
	n->backups++;
	t->injected[FAULT_CLONE] += live;
	if (!live)
		sim_node_open(t, n);
}

void sim_restore(struct sim_tree *t, int node)
{
	struct sim_node *n = &t->nodes[node];
	char from[220];

	if (n->backups == 0)
		return;
	journal_before_restore(t, node);
	sim_node_close(n);
	snprintf(from, sizeof from, "%s.b%d", n->path, (int)sim_below(&t->random, (uint32_t)MIN(n->backups, 3)));
	copy(from, n->path, true);
	n->restored_ms = t->now_ms;
	n->backups = 0;                          /* a backup of the life that ended would be a second machine: a twin */
	t->injected[FAULT_RESTORE]++;
	sim_node_open(t, n);
	journal_after_restore(t, node);
}

void sim_cut(struct sim_tree *t, int node)
{
	t->nodes[node].cut_until = t->step + 5 + sim_below(&t->random, 40);
	t->injected[FAULT_CUT]++;
}

/* ---- disks */

bool sim_disk_failed(const struct sim_node *n)
{
	return n->tree->victim >= 0 && n == &n->tree->nodes[n->tree->victim] && disk_struck();
}

void sim_disk(struct sim_tree *t, int node, bool dies)
{
	struct sim_node *n = &t->nodes[node];
	static bool started;

	if (!started)
		disk_start();
	started = true;
	sim_disk_end(t);
	sim_node_close(n);
	t->victim = node;
	t->dies = dies;
	t->victim_until = t->step + 40;
	disk_arm(n->path, 12 + sim_below(&t->random, 150), dies ? DISK_DIES : DISK_FULL);        /* opening may not fail */
	disk_refuse(1 + sim_below(&t->random, 30));
	sim_node_open(t, n);
}

static int64_t last_sealed(struct sim_node *n)
{
	sqlite3_stmt *q = NULL;
	int64_t last = 0;

	if (sqlite3_prepare_v2(n->app, "SELECT coalesce(max(id), 0) FROM terrace_segment", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW)
		last = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return last;
}

/* What was committed before the machine died is there again. */
static void die(struct sim_tree *t, struct sim_node *n)
{
	sim_node_close(n);
	if (!disk_power_cut(sim_next(&t->random)))
		sim_fail(t, "%012llu: its disk cannot be made what a power cut leaves", (unsigned long long)n->unit);
	t->victim = -1;
	sim_node_open(t, n);
	if (t->failure[0] == '\0' && last_sealed(n) < n->noted)
		sim_fail(t, "%012llu: died, and what it had sealed is lost: segment %lld of %lld is its last", (unsigned long long)n->unit,
		         (long long)last_sealed(n), (long long)n->noted);
}

void sim_disk_step(struct sim_tree *t)
{
	if (t->victim >= 0 && ((t->dies && disk_struck()) || t->step >= t->victim_until))
		sim_disk_end(t);
}

void sim_disk_end(struct sim_tree *t)
{
	struct sim_node *n = t->victim >= 0 ? &t->nodes[t->victim] : NULL;
	int node;

	if (n == NULL)
		return;
	t->injected[t->dies ? FAULT_KILL : FAULT_DISK] += disk_struck();
	if (t->dies && disk_struck()) {
		die(t, n);
		return;
	}
	node = t->victim;
	t->victim = -1;
	disk_mend();                             /* an engine whose disk was full goes on without a restart */
	if (t->verbose)
		fprintf(stderr, "  [%lld %012llu] the disk is well again\n", (long long)t->now_ms % 100000000, (unsigned long long)n->unit);
	for (int k = 0; k < 3; k++)
		sim_tick(t, 3000);
	sim_contact(t, node);
	sim_node_close(n);
	disk_rest();
	sim_node_open(t, n);
}

void sim_lose(struct sim_tree *t, int node, const char *key)
{
	struct engine *e = t->nodes[node].e;
	struct reg *r = e != NULL ? catalog_register(e->catalog, slice_of("r")) : NULL;
	const struct cell cell = {.type = CELL_TEXT, .s = slice_of(key)};
	_cleanup_(arena_release) struct arena a = {0};
	struct err err = {0};
	struct held h;
	int rc;

	if (r == NULL || engine_begin(e, &err) != 0)
		return;
	rc = seal_empty(e, &err);
	if (rc == 0)
		rc = state_load(e->state, r, (struct key){&cell, 1}, &a, &h, &err);
	if (rc == 0 && h.exists && h.flags == STATE_ALIVE && unit_contains(e->unit, h.unit) && table_keys(e->table, r, h.key, true, &err) == 0) {
		rc = state_delete(e->state, &h, e->unit, &err);
		if (rc == 0)
			rc = table_delete(e->table, r, h.key, &err);
		e->activity++;
		t->lost++;
	}
	if (rc == 0)
		rc = engine_commit(e, &err);
	if (rc != 0) {
		engine_rollback(e);
		sim_fail(t, "losing a row: %s", err.text);
	}
	if (t->verbose)
		fprintf(stderr, "  [%lld %012llu] loses %s\n", (long long)t->now_ms % 100000000, (unsigned long long)e->unit, key);
}
