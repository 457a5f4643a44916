/* Stick: two townships and a village that never meet the network.  For a month people write, export, carry and import;
 * sticks are lost, late, carried twice.  In every other history a line stands now and then.  At the end
 * a few ordered trips bring everybody in step. */
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/bundle.h"
#include "engine/contact.h"
#include "engine/self.h"
#include "world.h"

#define DAY_MS INT64_C(86400000)
#define FLYING 40
#define TRIPS_MOST 60

struct flying {                          /* a file on its way */
	struct buf file;
	int to, from;
	int64_t due_ms;
};

struct month {
	struct sim_tree *t;
	struct flying sticks[FLYING];
	bool lines;
	int carried, refused, lost;
};

static void trouble(struct sim_tree *t, const struct sim_node *n, const char *what, int rc, const struct err *err)
{
	if (rc != 0 && t->verbose)
		fprintf(stderr, "  [%012llu] %s: %s: %s\n", (unsigned long long)n->unit, what, err_name(rc), err->text);
	if (rc != 0 && rc != ERR_GONE && rc != ERR_HEAL && rc != ERR_SCHEMA)
		sim_fail(t, "%012llu: %s: %s: %s", (unsigned long long)n->unit, what, err_name(rc), err->text);
}

static bool export_to(struct sim_tree *t, int from, int to, struct buf *file)
{
	struct err err = {0};
	json_t *told = NULL;
	int rc = engine_bundle_export(t->nodes[from].e, t->nodes[to].unit, "sim", file, &told, &err);

	json_release(&told);
	trouble(t, &t->nodes[from], "export", rc, &err);
	return rc == 0;
}

static int import_at(struct sim_tree *t, int to, const struct buf *file)
{
	struct err err = {0};
	json_t *told = NULL;
	int rc = engine_bundle_import(t->nodes[to].e, buf_slice(file), "sim", &told, &err);

	json_release(&told);
	trouble(t, &t->nodes[to], "import", rc, &err);
	return rc;
}

/* A stick is filled for a neighbour; when it comes there, chance decides. */
static void fill_stick(struct month *m)
{
	struct sim_tree *t = m->t;
	int child = 1 + (int)sim_below(&t->random, (uint32_t)t->n - 1), at = 0;
	bool up = sim_chance(&t->random, 0.5);
	struct flying *f;

	while (at < FLYING && m->sticks[at].file.n > 0)
		at++;
	if (at == FLYING)
		return;
	f = &m->sticks[at];
	f->from = up ? child : t->nodes[child].parent;
	f->to = up ? t->nodes[child].parent : child;
	f->due_ms = t->now_ms + (int64_t)sim_below(&t->random, sim_chance(&t->random, 0.2) ? 6 * 24 : 8) * DAY_MS / 24;
	if (sim_chance(&t->random, 0.15)) {
		_cleanup_(buf_release) struct buf lost = {0};

		m->lost += export_to(t, f->from, f->to, &lost);
	} else if (!export_to(t, f->from, f->to, &f->file)) {
		buf_release(&f->file);
	}
}

static void take_sticks(struct month *m)
{
	struct sim_tree *t = m->t;

	for (int i = 0; i < FLYING && t->failure[0] == '\0'; i++) {
		struct flying *f = &m->sticks[i];

		if (f->file.n == 0 || f->due_ms > t->now_ms)
			continue;
		if (import_at(t, f->to, &f->file) == 0)
			m->carried++;
		else
			m->refused++;
		if (sim_chance(&t->random, 0.2))         /* it is put into the machine again some day */
			f->due_ms = t->now_ms + (int64_t)sim_below(&t->random, 5 * 24) * DAY_MS / 24;
		else
			buf_release(&f->file);
		journal_note(t);
	}
}

static void hour(struct month *m)
{
	struct sim_tree *t = m->t;
	int node = (int)sim_below(&t->random, (uint32_t)t->n), what = (int)sim_below(&t->random, 100);

	t->step++;
	t->now_ms += DAY_MS / 24 - 3000;
	sim_tick(t, 3000);
	if (what < 30)
		world_write(t, node);
	else if (what < 60)
		fill_stick(m);
	else if (what < 68 && m->lines)
		sim_contact(t, node);
	else if (what < 72)
		sim_restart(t, node);
	take_sticks(m);
	journal_note(t);
	if (t->step % 4 == 0)
		sim_audit(t);
}

static bool link_waits(struct sim_tree *t, int child)
{
	struct engine *c = t->nodes[child].e, *p = t->nodes[t->nodes[child].parent].e;
	struct link l;
	bool found = false;

	if (link_get(c->db, c->parent, &l, &found, NULL) != 0 || !l.healed || link_get(p->db, c->unit, &l, &found, NULL) != 0 || !l.healed)
		return true;
	return engine_push_ready(c) || run_waits(p, c->unit) || !c->ready || log_pending(c->db) || log_pending(p->db);
}

/* From below to above, from above to below, until nothing waits anywhere. */
static void ordered_trips(struct sim_tree *t)
{
	int quiet = 0;

	for (int trip = 0; quiet < 3 && t->failure[0] == '\0'; trip++) {
		bool waits = false;

		if (trip == TRIPS_MOST)
			sim_fail(t, "after %d ordered trips something still waits", trip);
		sim_tick(t, 61000);
		for (int k = 0; k < 2 * (t->n - 1); k++) {
			_cleanup_(buf_release) struct buf file = {0};
			bool up = k < t->n - 1;
			int child = up ? t->n - 1 - k : k - t->n + 2, parent = t->nodes[child].parent;

			if (export_to(t, up ? child : parent, up ? parent : child, &file))
				import_at(t, up ? parent : child, &file);
			sim_tick(t, 500);
		}
		for (int i = 1; i < t->n; i++)
			waits = waits || link_waits(t, i);
		quiet = waits ? 0 : quiet + 1;
		journal_note(t);
	}
}

int sim_month(uint64_t seed, bool verbose, const char *keep, struct sim_sticks *ret)
{
	static const uint64_t units[] = {532900000000, 532901000000, 532902000000, 532901101000};
	struct sim_tree *t = calloc(1, sizeof *t);
	struct sim_random r = {seed * 104729 + 5};
	struct month m = {.t = t, .lines = seed % 2 == 1};
	struct sim_policy policy;
	int rc;

	if (t == NULL || sim_open(t, seed + 1000000, units, ARRAY_SIZE(units)) != 0) {
		fprintf(stderr, "month %llu: %s\n", (unsigned long long)seed, t != NULL ? t->failure : "memory is short");
		return 1;
	}
	t->verbose = verbose;
	t->keep = keep;
	t->keys = sim_chance(&r, 0.5);
	world_bands(t, &r);
	t->random = r;
	for (int i = 1; i < t->n; i++)
		sim_enrol(t, i);
	world_policy(t, &r, 1, sim_chance(&r, 0.4), &policy);
	sim_publish(t, 0, &policy.p);
	for (int i = 0; i < 30 * 24 && t->failure[0] == '\0'; i++)
		hour(&m);
	ordered_trips(t);
	if (t->failure[0] == '\0')
		sim_check(t);
	rc = t->failure[0] != '\0';
	if (rc != 0)
		fprintf(stderr, "month %llu: %s\n", (unsigned long long)seed, t->failure);
	ret->carried += (uint64_t)m.carried;
	ret->refused += (uint64_t)m.refused;
	ret->lost += (uint64_t)m.lost;
	for (int i = 0; i < FLYING; i++)
		buf_release(&m.sticks[i].file);
	sim_close(t);
	free(t);
	return rc;
}
