/* Merge: a payload that came, change by change, into what is held.  Verdicts are the rule's; this file carries
 * them out (authority.md, What follows each verdict). */
#include "engine/answers.h"
#include "engine/audit.h"
#include "engine/evidence.h"
#include "engine/rules.h"

#include <string.h>

#include "base/log.h"
#include "store/compared.h"
#include "store/markers.h"

#define BREAKING_ROUNDS 64              /* of one look for what depends on a row that breaks a key */
#define PASSES 20                       /* over one payload, before all that it touches waits */

/* ---- what the rule asks */

static enum mode ask_mode(void *arg, uint64_t policy, uint32_t group, enum right right, enum level level)
{
	struct merging *m = arg;
	struct mode_known *k = &m->modes[(group * 3 + right) % ARRAY_SIZE(m->modes)];

	if (k->reg != m->reg || k->policy != policy || k->group != group || k->right != right || k->level != level)
		*k = (struct mode_known){m->reg, policy, group, right, level, list_mode(m->e, policy, m->reg, group, right, level)};
	return k->mode;
}

static bool reported_grow(struct merging *m, uint32_t *room)
{
	struct mark *marks = arena_array(&m->pass, *room * 2, sizeof *marks);
	uint64_t *lists = arena_array(&m->pass, *room * 2, sizeof *lists);

	if (marks == NULL || lists == NULL)
		return false;
	memcpy(marks, m->reported.marks, *room * sizeof *marks);
	memcpy(lists, m->reported.lists, *room * sizeof *lists);
	m->reported.marks = marks;
	m->reported.lists = lists;
	*room *= 2;
	return true;
}

static int reported_load(struct merging *m, uint64_t author)
{
	sqlite3_stmt *q = db_statement(m->e->db, SQL_REPORTED, NULL);
	uint32_t room = 64;

	m->reported = (struct reported){.author = author};
	m->reported.marks = arena_array(&m->pass, room, sizeof *m->reported.marks);
	m->reported.lists = arena_array(&m->pass, room, sizeof *m->reported.lists);
	if (q == NULL || m->reported.marks == NULL || m->reported.lists == NULL)
		return -1;
	bind_u64(q, 1, author);
	while (db_step(m->e->db, q, NULL) > 0) {
		if (m->reported.n == room && !reported_grow(m, &room))
			break;
		m->reported.marks[m->reported.n] = (struct mark){read_unsigned(q, 0), (uint32_t)sqlite3_column_int64(q, 1)};
		m->reported.lists[m->reported.n++] = read_unsigned(q, 2);
	}
	sqlite3_reset(q);
	return m->pass.failed ? -1 : 0;
}

static bool ask_outdated(void *arg, const struct version *v)
{
	struct merging *m = arg;

	if (m->reported.author != v->unit && reported_load(m, v->unit) != 0)
		return false;
	for (uint32_t i = 0; i < m->reported.n; i++)
		if (m->reported.lists[i] != v->policy && list_older(m->e, v->policy, m->reported.lists[i]) &&
		    mark_seen(m->reported.marks[i], version_mark(v), &m->e->epochs))
			return true;
	return false;
}

static bool ask_was(void *arg, uint64_t author)
{
	struct merging *m = arg;

	return was_below(m->e->db, m->reg, m->key, author);
}

static const struct cell *ask_defaults(void *arg, uint32_t group, uint32_t *ret_n)
{
	return merging_defaults(arg, group, ret_n);
}

void merge_begin(struct merging *m, struct engine *e, const struct arrival *from, struct counts *counts)
{
	merging_begin(m, e, from, counts);
	m->context = (struct rule_context){.unit = e->unit, .below = from->below, .whole_row = from->state || !from->below,
	                                   .epochs = &e->epochs, .mode = ask_mode, .outdated = ask_outdated, .was = ask_was,
	                                   .failing = judge_failing, .defaults = ask_defaults, .arg = m};
	m->awaits = from->state && from->peer != UNIT_NONE && need_count(e->db, from->peer) > 0;
	m->damaged = from->state && (finding_any(e->db) || difference_any(e->db));
	m->context.healing = from->below && heal_going_on(e, from->peer);
}

/* ---- one value */

static void count(struct counts *c, enum verdict_name name)
{
	switch (name) {
	case VERDICT_OLD: c->old++; break;
	case VERDICT_TAKE: c->taken++; break;
	case VERDICT_TAKE_OVER: c->taken_over++; break;
	case VERDICT_DIVERT: c->diverted++; break;
	case VERDICT_KEEP: c->kept++; break;
	case VERDICT_REFUSE: case VERDICT_REVIVE: c->refused++; break;
	case VERDICT_ASIDE: c->aside++; break;
	case VERDICT_PASS: c->passed++; break;
	default: c->asked++; break;
	}
}

/* The weight of a verdict where a change of several values is counted once. */
static int weight(enum verdict_name name)
{
	static const int of[VERDICTS] = {[VERDICT_OLD] = 0, [VERDICT_PASS] = 1, [VERDICT_TAKE] = 2, [VERDICT_ASIDE] = 3,
	                                 [VERDICT_DIVERT] = 4, [VERDICT_TAKE_OVER] = 5, [VERDICT_KEEP] = 6,
	                                 [VERDICT_REVIVE] = 7, [VERDICT_REFUSE] = 8, [VERDICT_NEED] = 9,
	                                 [VERDICT_BAD_STATE] = 10};

	return of[name];
}

/* What no honest node seals has a line in the log: it may be a hostile one's, or one that a restore has confused. */
static void refusal_said(struct merging *m, const struct value *v, enum why why)
{
	struct engine *e = m->e;

	if (why == WHY_FORGED_RULING)
		event(e, LOG_LEVEL_ERROR, "alarm", m->from->peer, m->from->name, "forged-ruling in register %s", m->reg->name);
	else if (why == WHY_SCOPE)
		event(e, LOG_LEVEL_ERROR, "alarm", m->from->peer, m->from->name, "out-of-scope: unit %012llu writes a row of register %s "
		      "that is not and was not below it", (unsigned long long)v->v->unit, m->reg->name);
	else if (why == WHY_MODE)
		event(e, LOG_LEVEL_WARNING, "refuse", m->from->peer, m->from->name, "unit %012llu may not write this in register %s",
		      (unsigned long long)v->v->unit, m->reg->name);
}

static int merge_value(struct merging *m, struct merging_row *row, const struct value *v, enum verdict_name *worst,
                       struct err *err)
{
	struct engine *e = m->e;
	bool child = m->from->below, state = m->from->state;
	struct settlement settlement;
	struct verdict verdict;
	int rc = 0;

	if (v->v->ruling && !row->held.has_cells)
		rc = held_cells(e->table, &row->held, &m->row, err);
	if (rc != 0)
		return rc;
	rule_decide(row->held.row, v, &m->context, &m->row, &verdict);
	if ((verdict.nlosers > 0 || verdict.name == VERDICT_REFUSE || verdict.name == VERDICT_ASIDE) && !row->held.has_cells) {
		rc = held_cells(e->table, &row->held, &m->row, err);
		if (rc != 0)
			return rc;
		rule_decide(row->held.row, v, &m->context, &m->row, &verdict);
	}
	if (m->trouble.code != 0) {
		if (err != NULL)
			*err = m->trouble;
		return m->trouble.code;
	}
	if (m->row.failed)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", m->reg->name);
	if (child && state) {
		bool refused = false;

		rc = evidence_state(m, row, v, &verdict, &refused, err);
		if (refused)
			*worst = VERDICT_REFUSE;
		if (rc != 0 || refused)
			return rc;
	}
	mint_meet(e, &v->v->marks);
	if (weight(verdict.name) >= weight(*worst))
		*worst = verdict.name;
	switch (verdict.name) {
	case VERDICT_BAD_STATE:
		return err_set(err, ERR_BAD_STATE, "%s: register %s: a row of a unit that its author does not stand above",
		               m->from->name, m->reg->name);
	case VERDICT_NEED:
		if (child)
			rc = need_add(e->db, m->from->peer, m->reg->name, row->held.key_cell, now_ms(e), err);
		return rc;
	case VERDICT_PASS:
		if (!(state && child))
			return 0;                /* a delta was relayed already; a state is kept until it has gone up */
		row->up = 1;
		break;
	default:
		break;
	}
	if (verdict.name == VERDICT_REFUSE)
		refusal_said(m, v, verdict.why);
	if (child && state)
		rc = vouched_state(m, row, verdict.value, verdict.name, err);
	else if (child && verdict.rule == 3)
		rc = vouched_delta(m, row, verdict.value, err);
	if (rc == 0 && verdict.why == WHY_KEY_CLASH && verdict.name == VERDICT_REFUSE)
		rc = vouched_clash(m, row, verdict.value, err);
	settlement = answer_conflict(m, row, v, &verdict);
	if (rc == 0)
		rc = merging_accept(m, row, verdict.value, &verdict, err);
	if (rc == 0 && settlement.lost != NULL)
		rc = answer_settle(m, row, &settlement, err);
	if (rc != 0)
		return rc;
	if (verdict.name == VERDICT_REFUSE || verdict.name == VERDICT_REVIVE)
		return answer_refused(m, row, verdict.value, &verdict, err);
	if (verdict.name == VERDICT_KEEP && (!child || v->group == GROUP_ROW))
		row->up = 1;
	if (child && state && (verdict.name == VERDICT_TAKE || verdict.name == VERDICT_TAKE_OVER ||
	                       verdict.name == VERDICT_DIVERT || verdict.name == VERDICT_ASIDE || verdict.name == VERDICT_KEEP))
		row->up = 1;                     /* state goes on as state */
	if (!child && m->from->peer != UNIT_NONE && rule_once_more(&verdict, e->unit))
		return answer_once_more(m, row, &verdict, err);
	return 0;
}

/* ---- one change */

static int check_change(struct merging *m, const struct change *c, struct err *err)
{
	const struct arrival *from = m->from;
	const struct policy_register *policy = m->reg->policy;

	if (!from->below)
		return 0;
	if (!policy_comes_to(policy, unit_level(from->header->author)))
		return err_set(err, ERR_SCOPE, "%s: register %s does not come to the level of its author %012llu", from->name,
		               m->reg->name, (unsigned long long)from->header->author);
	if (!from->state && !unit_contains(from->header->author, c->unit) && policy->unit_source != UNIT_ALL)
		return err_set(err, ERR_SCOPE, "%s: register %s has a row of unit %012llu, which is not below its author %012llu",
		               from->name, m->reg->name, (unsigned long long)c->unit, (unsigned long long)from->header->author);
	for (uint32_t i = 0; i < c->nparts; i++) {
		const struct version *v = c->parts[i].version;
		enum bad_mark bad = marks_bad(&v->marks, m->e->level, &m->e->met);

		if (policy->unit_source == UNIT_ALL && v->unit != m->reg->issuer)
			return err_set(err, ERR_SCOPE, "%s: register %s: a value of unit %012llu, but only %012llu writes it", from->name,
			               m->reg->name, (unsigned long long)v->unit, (unsigned long long)m->reg->issuer);
		if (!from->state && v->unit != from->header->author)
			return err_set(err, ERR_SCOPE, "%s: register %s: a value of unit %012llu in a delta of %012llu", from->name,
			               m->reg->name, (unsigned long long)v->unit, (unsigned long long)from->header->author);
		if (bad != MARK_GOOD)
			return err_set(err, ERR_BAD_MARK, "%s: register %s: a mark %s that this node has not met", from->name,
			               m->reg->name, bad == MARK_ABOVE ? "of this node's level or above it" : "far in the future");
	}
	return 0;
}

/* A tombstone or marker that the sender has dropped goes here too, where it is the same, in its time (engine/gone.c). */
static int take_gone(struct merging *m, struct merging_row *row, const struct change *c, struct err *err)
{
	const struct value *d = row->held.row->row.decision;

	if (d == NULL || c->nparts == 0 || row->stood || m->from->below ||
	    !ident_equal(version_ident(d->v), version_ident(c->parts[0].version)))
		return 0;
	return held_told(m->e->db, m->reg, row->held.key_cell, err);
}

static bool speaks_of(const struct payload *p, const struct change *c, const struct part *part, const struct reg *r,
                      uint32_t g)
{
	if (g == GROUP_ROW || part->group == PART_ROW)
		return g == GROUP_ROW && part->group == PART_ROW;
	return r->groups[g] != NULL && slice_equal(p->registers[c->reg].groups[part->group].name, slice_of(r->groups[g]->name));
}

/* What a child tells of a row that is less than what is held here is answered by what is held. */
static void less_is_answered(struct merging *m, struct merging_row *row, const struct payload *p, const struct change *c)
{
	const struct life_state *l = row_current(row->held.row);
	const struct value *d = row->held.row->row.decision;
	uint64_t groups = 0, child = m->from->peer;

	for (uint32_t g = 0; d != NULL && g < row->held.row->ngroups; g++) {
		const struct group_state *gs = g == 0 ? &row->held.row->row : &l->groups[g];
		bool told = gs->decision == NULL && gs->proposals == NULL;

		for (uint32_t i = 0; i < c->nparts && !told; i++)
			told = gs->proposals == NULL && speaks_of(p, c, &c->parts[i], m->reg, g) &&
			       ident_equal(version_ident(c->parts[i].version), version_ident(gs->decision->v));
		if (!told)
			groups |= UINT64_C(1) << g;
	}
	for (int i = 0; i < 2 && groups != 0; i++)
		if (row->down[i] == child || row->down[i] == UNIT_NONE) {
			row->down[i] = child;
			row->groups[i] |= groups | 1;
			return;
		}
}

/* The values of the change, in the row's arena: rules look at all of them. */
static int incoming(struct merging *m, struct merging_row *row, const struct payload *p, const struct wire_map *map,
                    const struct change *c, struct err *err)
{
	int rc = 0;

	m->at = row;
	m->judged = false;
	m->nincoming = 0;
	m->incoming = arena_array(&m->row, c->nparts + 1, sizeof *m->incoming);
	for (uint32_t i = 0; m->incoming != NULL && i < c->nparts && rc == 0; i++) {
		struct value *v = arena_alloc(&m->row, sizeof *v);

		if (v == NULL)
			break;
		rc = wire_value(m->e, p, map, c, &c->parts[i], &m->row, v, err);
		v->since_ms = now_ms(m->e);
		m->incoming[m->nincoming++] = v;
	}
	return rc == 0 && m->row.failed ? err_set(err, ERR_NOMEM, "register %s: memory is short", m->reg->name) : rc;
}

static int merge_change(struct merging *m, const struct payload *p, const struct wire_map *map, const struct change *c,
                        struct err *err)
{
	struct engine *e = m->e;
	struct slice name = p->registers[c->reg].name;
	struct reg *r = map->reg;
	struct merging_row row;
	enum verdict_name worst = VERDICT_OLD;
	int rc;

	if (r == NULL)
		return err_set(err, ERR_SCHEMA, "%s: register %.*s is not known here yet; its policy is on the way", m->from->name,
		               (int)name.n, (const char *)name.p);
	if (c->key.n != r->nkey)
		return err_set(err, ERR_FORMAT, "%s: register %s has keys of %u columns, this change has %u", m->from->name,
		               r->name, r->nkey, c->key.n);
	m->reg = r;
	rc = check_change(m, c, err);
	if (rc == 0)
		rc = merging_load(m, r, c->key, &row, err);
	if (rc == 0 && c->flags & CHANGE_NOT_HELD) {
		rc = need_done(e->db, m->from->peer, r->name, row.held.key_cell, err);
		m->counts->old++;
		return rc;
	}
	if (rc == 0 && c->flags & CHANGE_GONE) {
		m->counts->old++;
		return take_gone(m, &row, c, err);
	}
	if (rc == 0 && m->awaits)
		rc = need_done(e->db, m->from->peer, r->name, row.held.key_cell, err);
	if (rc == 0)
		rc = incoming(m, &row, p, map, c, err);
	if (rc == 0 && m->from->state && m->damaged)
		rc = mend_row(m, &row, (const struct value *const *)m->incoming, m->nincoming, err);
	/* Group row first: what the groups' values say of a life is judged by it. */
	for (int pass = 0; pass < 2 && rc == 0; pass++)
		for (uint32_t i = 0; i < m->nincoming && rc == 0; i++)
			if ((m->incoming[i]->group == GROUP_ROW) == (pass == 0))
				rc = merge_value(m, &row, m->incoming[i], &worst, err);
	if (rc == 0 && m->from->state && m->from->below)
		less_is_answered(m, &row, p, c);
	if (rc == 0)
		rc = via_row(m, &row, err);
	if (rc == 0)
		rc = merging_end_row(m, &row, err);
	count(m->counts, worst);
	return rc;
}

/* ---- the payload, in passes: rows that break a foreign key go to quarantine with what depends on them */

/* Oldest first: parents come before their children, and one round finds a whole chain. */
static void in_order(struct merging *m)
{
	struct touched *t = m->touched, *next;

	for (m->touched = NULL; t != NULL; t = next) {
		next = t->next;
		t->next = m->touched;
		m->touched = t;
	}
}

/* It waits; *ret_known: so it did already. */
static int waits_now(const struct touched *t, struct touched **waiting, struct arena *keep, bool *ret_known, struct err *err)
{
	struct touched *w;

	*ret_known = false;
	for (w = *waiting; w != NULL && !*ret_known; w = w->next)
		*ret_known = w->reg == t->reg && key_equal(w->key, t->key);
	if (*ret_known)
		return 0;
	w = arena_alloc(keep, sizeof *w);
	if (w == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", t->reg->name);
	*w = (struct touched){.next = *waiting, .reg = t->reg, .key = key_copy(keep, t->key), .deleted = t->deleted, .left = t->left};
	*waiting = w;
	return keep->failed ? err_set(err, ERR_NOMEM, "register %s: memory is short", t->reg->name) : 0;
}

static int look_at(struct merging *m, struct touched *t, struct touched **waiting, struct arena *keep, bool *ret_found,
                   bool *ret_again, struct err *err)
{
	bool known = false, done = false;
	struct err say = {0};
	int rc = table_keys(m->e->table, t->reg, t->key, t->deleted, &say);

	if (rc == 0)
		return 0;
	if (rc != ERR_REFUSED) {
		if (err != NULL)
			*err = say;
		return rc;
	}
	rc = t->left ? merging_strand(m, t->reg, t->key, &done, err) : 0;
	if (rc != 0 || done)
		return rc;
	t->broken = true;
	rc = waits_now(t, waiting, keep, &known, err);
	if (rc != 0 || known)
		return rc;
	*ret_found = true;
	if (!t->fresh || t->deleted)
		return 0;
	*ret_again = true;
	rc = table_delete(m->e->table, t->reg, t->key, &say);
	if (rc != 0 && rc != ERR_REFUSED && err != NULL)
		*err = say;
	return rc == ERR_REFUSED ? 0 : rc;
}

int merge_breaking(struct merging *m, struct touched **waiting, struct arena *keep, bool *ret_found, struct err *err)
{
	bool again = true;

	*ret_found = false;
	in_order(m);
	for (int round = 0; again && round < BREAKING_ROUNDS; round++) {
		again = false;
		for (struct touched *t = m->touched; t != NULL; t = t->next) {
			int rc = t->broken ? 0 : look_at(m, t, waiting, keep, ret_found, &again, err);

			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

/* Keys that never come to rest: all that the pass touched waits, and quarantine finds out what can stand. */
static int all_wait(struct merging *m, struct touched **waiting, struct arena *keep, struct err *err)
{
	int rc = 0;

	for (struct touched *t = m->touched; t != NULL && rc == 0; t = t->next) {
		bool known;

		rc = waits_now(t, waiting, keep, &known, err);
	}
	return rc;
}

static int one_pass(struct merging *m, const struct payload *p, struct err *err)
{
	const struct wire_map *maps = wire_maps(m->e, p, &m->pass);
	int rc = maps != NULL ? 0 : err_set(err, ERR_NOMEM, "%s: memory is short", m->from->name);

	for (uint32_t i = 0; i < p->nchanges && rc == 0; i++) {
		arena_reset(&m->row);
		rc = merge_change(m, p, &maps[p->changes[i].reg], &p->changes[i], err);
		state_trim(m->e->state);
		if (rc == 0 && (i & 63) == 0 && atomic_load(&m->e->stopping))
			rc = err_set(err, ERR_STOPPING, "stopping");
	}
	/* What a seal moves together comes together: the rows that follow may stand in its last segment. */
	return rc == 0 && m->from->header->final ? via_settle(m, err) : rc;
}

/* Only a foreign key makes a pass be taken back and begun again; then what it did has to be set apart. */
static bool may_break(struct engine *e, const struct payload *p)
{
	bool may = false;

	for (uint32_t i = 0; i < p->nregisters && !may; i++) {
		const struct reg *r = catalog_register(e->catalog, p->registers[i].name);

		may = r != NULL && table_has_keys(e->table, r);
	}
	return may;
}

struct before {                          /* counters of the engine, to go back to */
	struct marks met;
	uint64_t sealed;
	uint32_t epoch, former;
	bool fresh;
};

int merge_payload(struct engine *e, const struct arrival *from, const struct payload *p, struct counts *ret,
                  struct err *err)
{
	_cleanup_(arena_release) struct arena keep = {0};
	struct touched *waiting = NULL;
	struct before was = {e->met, e->sealed, e->epoch, e->former, e->fresh};
	bool found = false, apart = may_break(e, p);
	int rc = 0;

	for (int pass = 0; pass < 2 * PASSES; pass++) {
		struct merging m;

		memset(ret, 0, sizeof *ret);
		merge_begin(&m, e, from, ret);
		m.waiting = waiting;
		rc = state_flush(e->state, err);         /* what a roll-back to the savepoint must not forget */
		if (rc == 0 && apart)
			rc = db_savepoint(e->db, err);
		if (rc == 0)
			rc = one_pass(&m, p, err);
		if (rc == 0)
			rc = merge_breaking(&m, &waiting, &keep, &found, err);
		if (rc == 0 && found && pass >= PASSES)
			rc = all_wait(&m, &waiting, &keep, err);
		if (rc == 0 && !found)
			rc = merging_end(&m, err);
		merging_release(&m);
		if (rc == 0 && !found)
			return apart ? db_savepoint_release(e->db, err) : 0;
		if (apart)
			db_savepoint_rollback(e->db);
		state_forget(e->state);
		e->met = was.met;
		e->sealed = was.sealed;
		e->epoch = was.epoch;
		e->former = was.former;
		e->fresh = was.fresh;
		if (rc != 0)
			return rc;
	}
	return err_set(err, ERR_BUG, "%s: foreign keys never come to rest", from->name);
}

/* ---- a row as state */

static bool add_values(struct state_builder *b, const struct reg *r, const struct group_state *g, bool open_only,
                       struct ident life, struct part *parts, uint32_t *n)
{
	if (g->decision != NULL && !wire_part(b, r, g->decision, &parts[(*n)++]))
		return false;
	for (const struct slot *s = g->proposals; s != NULL; s = s->next) {
		if (open_only && (!value_open(s->value, g) || !ident_equal(s->value->life, life)))
			continue;
		if (!wire_part(b, r, s->value, &parts[(*n)++]))
			return false;
	}
	return true;
}

static uint32_t values_count(const struct row *row)
{
	uint32_t n = row->row.decision != NULL;

	for (const struct slot *s = row->row.proposals; s != NULL; s = s->next)
		n++;
	for (const struct life_state *l = row->lives; l != NULL; l = l->next)
		for (uint32_t g = 1; g < row->ngroups; g++) {
			n += l->groups[g].decision != NULL;
			for (const struct slot *s = l->groups[g].proposals; s != NULL; s = s->next)
				n++;
		}
	return n;
}

int merge_state(struct engine *e, struct state_builder *b, struct reg *r, struct cell key_cell, uint64_t receiver, bool up,
                uint64_t groups, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	const struct life_state *current;
	const struct value *d;
	struct change *c;
	struct part *parts;
	struct held h;
	struct key key;
	uint32_t reg = wire_register(e, b, r), n = 0;
	bool ok = true, held_there;
	int rc = reg == UINT32_MAX ? err_set(err, ERR_NOMEM, "register %s: memory is short", r->name) :
	         key_from_column(key_cell, r->nkey, &a, &key, err);

	if (rc == 0)
		rc = state_load(e->state, r, key, &a, &h, err);
	if (rc == 0)
		rc = held_cells(e->table, &h, &a, err);
	if (rc != 0)
		return rc;
	c = wire_change(b);
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	*c = (struct change){.reg = reg, .key = key_copy(b->arena, key), .unit = e->unit};
	d = h.row->row.decision;
	if (d == NULL) {
		c->flags = CHANGE_NOT_HELD;
		return 0;
	}
	c->unit = d->row_unit;
	parts = arena_array(b->arena, values_count(h.row) + 1, sizeof *parts);
	if (parts == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	current = row_current(h.row);
	held_there = up || row_in_scope(r, d->row_unit, receiver);
	if (!held_there) {                       /* a marker */
		ok = wire_part(b, r, d, &parts[n++]);
	} else {
		ok = add_values(b, r, &h.row->row, !up, d->life, parts, &n);
		for (const struct life_state *l = h.row->lives; l != NULL; l = l->next)
			for (uint32_t g = 1; ok && g < h.row->ngroups; g++)
				if ((up || (l == current && groups >> g & 1)) && r->groups[g] != NULL)
					ok = add_values(b, r, &l->groups[g], !up, l->life, parts, &n);
	}
	c->parts = parts;
	c->nparts = n;
	return ok ? 0 : err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
}

int merge_erase(struct engine *e, struct reg *r, struct cell key_cell, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct held h;
	struct key key;
	int rc = key_from_column(key_cell, r->nkey, &a, &key, err);

	if (rc == 0)
		rc = state_load(e->state, r, key, &a, &h, err);
	if (rc != 0 || !h.exists || !(h.flags & STATE_ASIDE) || unit_contains(e->unit, h.unit) ||
	    dirty_has(e->db, e->parent, r, key_cell))
		return rc;
	h.row->row.proposals = NULL;
	return state_save(e->state, &h, e->unit, true, &a, err);
}
