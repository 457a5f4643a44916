/* Review in the simulator: at random nodes proposals are accepted and rejected, and what must hold of it at rest. */
#include "tree.h"

#include <stdio.h>
#include <string.h>

#include "engine/self.h"
#include "store/reports.h"

struct open_one {
	struct sim_tree *t;
	struct sim_node *n;
	struct sim_review found;
	uint32_t seen;
	int64_t wanted;                  /* 0 = any, each as likely */
};

static int look(void *arg, const struct proposal *p)
{
	struct open_one *o = arg;
	const struct reg *r = catalog_number(o->n->e->catalog, p->reg);
	_cleanup_(arena_release) struct arena a = {0};
	_cleanup_(buf_release) struct buf key = {0};
	struct value v = {.group = p->group};
	struct key k;

	if (o->wanted != 0) {
		o->seen += p->id == o->wanted;
		return 0;
	}
	if (r == NULL || value_load(p->value, r, &a, &v, NULL) != 0 || key_from_column(p->key, r->nkey, &a, &k, NULL) != 0 ||
	    sim_below(&o->t->random, ++o->seen) != 0)
		return 0;
	key_text(&key, k);
	o->found = (struct sim_review){.id = p->id, .author = p->unit, .tick = (int64_t)version_mark(v.v).tick,
	                               .epoch = version_mark(v.v).epoch};
	snprintf(o->found.reg, sizeof o->found.reg, "%s", r->name);
	snprintf(o->found.group, sizeof o->found.group, "%s", p->group == GROUP_ROW ? "row" : r->groups[p->group]->name);
	snprintf(o->found.key, sizeof o->found.key, "%s", buf_text(&key));
	return 0;
}

/* Whether it decided something. */
static bool decide(struct sim_tree *t, int node)
{
	struct sim_node *n = &t->nodes[node];
	struct open_one o = {t, n, {0}, 0, 0};
	bool accept = sim_chance(&t->random, 0.6);
	_cleanup_(json_release) json_t *answer = NULL;
	const json_t *by;
	struct err err = {0};
	char id[24];
	int rc;

	if (n->e == NULL || t->nreviews == ARRAY_SIZE(t->reviews))
		return false;
	if (report_proposals(n->e->db, NULL, false, look, &o, &err) != 0 && !sim_disk_failed(n))
		sim_fail(t, "%012llu: proposals: %s", (unsigned long long)n->unit, err.text);
	if (o.seen == 0)
		return false;
	snprintf(id, sizeof id, "%lld", (long long)o.found.id);
	const char *const words[] = {"proposals", accept ? "accept" : "reject", id, "--reason", "材料不全"};
	rc = engine_command(n->e, words, accept ? 3 : 5, "sim", &answer, &err);
	if (t->verbose)
		fprintf(stderr, "  [%lld %012llu] %s %s of %012llu: %s\n", (long long)t->now_ms % 100000000, (unsigned long long)n->unit, words[1],
		        id, (unsigned long long)o.found.author, rc == 0 ? "done" : err.text);
	if (rc != 0) {
		if (rc != ERR_REFUSED && !sim_disk_failed(n))
			sim_fail(t, "%012llu: %s: %s", (unsigned long long)n->unit, err_name(rc), err.text);
		return false;
	}
	by = json_object_get(answer, "by");
	o.found.by = n->unit;
	o.found.by_tick = json_integer_value(json_object_get(by, "tick"));
	o.found.by_epoch = json_integer_value(json_object_get(by, "epoch"));
	o.found.accepted = accept;
	o.found.at_ms = t->now_ms;
	t->reviews[t->nreviews++] = o.found;
	return true;
}

void sim_decide(struct sim_tree *t, int node)
{
	for (int k = 0; k < t->n && !decide(t, (node + k) % t->n); k++)
		;
}

/* ---- at rest */

/* Records of the row's group that tell of a losing value of that author at that mark, or (later) at a later one. */
static int records(struct sim_node *n, const struct sim_review *r, uint64_t author, int64_t tick, int64_t epoch, bool later)
{
	sqlite3_stmt *q = NULL;
	int found = 0;

	if (sqlite3_prepare_v2(n->app, "SELECT count(*) FROM terrace_record WHERE register = ?1 AND key = ?2 AND grp = ?3 AND lost_unit = ?4 "
	                       "AND (lost_tick = ?5 AND lost_epoch = ?6 OR ?7 AND lost_tick >= ?5)", -1, &q, NULL) != SQLITE_OK)
		return 0;
	sqlite3_bind_text(q, 1, r->reg, -1, NULL);
	sqlite3_bind_text(q, 2, r->key, -1, NULL);
	sqlite3_bind_text(q, 3, r->group, -1, NULL);
	sqlite3_bind_int64(q, 4, (int64_t)author);
	sqlite3_bind_int64(q, 5, tick);
	sqlite3_bind_int64(q, 6, epoch);
	sqlite3_bind_int(q, 7, later);
	if (sqlite3_step(q) == SQLITE_ROW)
		found = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	return found;
}

/* The decision that stands did not take that one into account: it lost, if to an equal value without a record. */
static bool lost_quietly(const struct sim_node *n, const struct sim_review *r)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct reg *reg = catalog_register(n->e->catalog, slice_of(r->reg));
	const struct cell cell = {.type = CELL_TEXT, .s = slice_of(r->key)};
	const struct group *group = reg != NULL ? reg_group(reg, slice_of(r->group)) : NULL;
	const struct group_state *g;
	struct held h;

	if (reg == NULL || state_load(n->e->state, reg, (struct key){&cell, 1}, &a, &h, NULL) != 0 || h.row->row.decision == NULL)
		return false;
	g = group == NULL ? &h.row->row : row_group(h.row, group->number, h.row->row.decision->life);
	return g != NULL && g->decision != NULL &&
	       (int64_t)g->decision->v->marks.at[unit_level(r->by)].tick < r->by_tick;
}

static bool restored_since(const struct sim_tree *t, int64_t ms)
{
	for (int i = 0; i < t->n; i++)
		if (t->nodes[i].restored_ms != 0 && t->nodes[i].restored_ms >= ms)
			return true;
	return false;
}

static void check_one(struct sim_tree *t, const struct sim_review *r)
{
	bool lost = false;

	for (int i = 0; i < t->n; i++)
		lost = lost || (t->nodes[i].e != NULL && records(&t->nodes[i], r, r->by, r->by_tick, r->by_epoch, true) > 0);
	for (int i = 0; i < t->n; i++) {
		struct sim_node *n = &t->nodes[i];
		struct open_one o = {t, n, {0}, 0, r->id};

		if (n->e == NULL)
			continue;
		report_proposals(n->e->db, r->reg, false, look, &o, NULL);
		if (o.seen > 0 && !lost && !lost_quietly(n, r))
			sim_fail(t, "%012llu: proposal %lld of %012llu, decided by %012llu, is open", (unsigned long long)n->unit, (long long)r->id,
			         (unsigned long long)r->author, (unsigned long long)r->by);
		/* Who decides in another branch may not see the author; what he has replaced by then is past. */
		if (n->unit == r->author && !r->accepted && !unit_contains(r->author, r->by) &&
		    (unit_contains(r->by, r->author) || !journal_wrote_again(t, r)) &&
		    records(n, r, r->author, r->tick, r->epoch, true) == 0)
			sim_fail(t, "%012llu: proposal %lld was rejected by %012llu and has no return", (unsigned long long)n->unit, (long long)r->id,
			         (unsigned long long)r->by);
	}
}

void sim_check_reviews(struct sim_tree *t)
{
	for (uint32_t i = 0; i < t->nreviews; i++)
		if (!restored_since(t, t->reviews[i].at_ms))
			check_one(t, &t->reviews[i]);
}
