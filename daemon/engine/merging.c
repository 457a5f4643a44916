/* Merging: one pass over rows; what a verdict or an own write does to state, table, records, dirty sets. */
#include "engine/duplicates.h"
#include "engine/gone.h"
#include "engine/rules.h"

#include <string.h>

#include "base/log.h"

int merging_begin(struct merging *m, struct engine *e, const struct arrival *from, struct counts *counts)
{
	memset(m, 0, sizeof *m);
	m->e = e;
	m->from = from;
	m->counts = counts;
	for (uint32_t i = 0; i < LEVELS; i++)
		m->own[i].arena = &m->pass;
	m->open_records = record_any_open(e->db);
	return 0;
}

const struct cell *merging_defaults(struct merging *m, uint32_t group, uint32_t *ret_n)
{
	const struct group *g = group < m->reg->ngroups ? m->reg->groups[group] : NULL;
	struct cell *cells;

	*ret_n = 0;
	if (g == NULL)
		return NULL;
	cells = arena_array(&m->row, g->ncolumns + 1, sizeof *cells);
	if (cells == NULL)
		return NULL;
	for (uint32_t i = 0; i < g->ncolumns; i++)
		cells[i] = g->columns[i]->fallback;
	*ret_n = g->ncolumns;
	return cells;
}

void merging_release(struct merging *m)
{
	arena_release(&m->row);
	arena_release(&m->pass);
}

static int memory(const struct merging *m, struct err *err)
{
	return err_set(err, ERR_NOMEM, "register %s: memory is short", m->reg != NULL ? m->reg->name : "");
}

/* ---- a row begins */

static const struct value *shown_of(const struct merging_row *row, uint32_t g)
{
	const struct life_state *l = row_current(row->held.row);

	return l != NULL ? group_shown(&l->groups[g]) : NULL;
}

static int snapshot(struct merging *m, struct merging_row *row)
{
	const struct life_state *l = row_current(row->held.row);
	uint32_t n = row->held.row->ngroups;

	row->decisions = arena_array(&m->row, n + 1, sizeof *row->decisions);
	row->shown = arena_array(&m->row, n + 1, sizeof *row->shown);
	if (row->decisions == NULL || row->shown == NULL)
		return -1;
	for (uint32_t g = 1; g < n && l != NULL; g++) {
		row->decisions[g] = l->groups[g].decision;
		row->shown[g] = shown_of(row, g);
	}
	return 0;
}

int merging_load(struct merging *m, struct reg *r, struct key key, struct merging_row *row, struct err *err)
{
	int rc;

	m->reg = r;
	row->up = 0;
	row->mend = MEND_NONE;
	row->nown = 0;
	row->refused = NULL;
	row->inserted = false;
	memset(row->down, 0, sizeof row->down);
	memset(row->groups, 0, sizeof row->groups);
	rc = state_load(m->e->state, r, key, &m->row, &row->held, err);
	if (rc != 0)
		return rc;
	m->key = row->held.key_cell;
	row->unit = row->held.unit;
	row->stood = row->held.exists && (row->held.flags & STATE_ALIVE) && unit_contains(m->e->unit, row->unit);
	row->life = row->held.exists ? row->held.set->life : (struct ident){0};
	/* What stands beside the table may have to move, and rules look at whole rows: then all cells are wanted at hand. */
	if (row->held.exists && (row->held.flags & (STATE_ASIDE | STATE_QUARANTINE) ||
	                         (m->from->below && (rules_locked(m->e, r) || rules_checked(m->e, r, UINT8_MAX, false))))) {
		rc = held_cells(m->e->table, &row->held, &m->row, err);
		if (rc != 0)
			return rc;
	}
	return snapshot(m, row) == 0 ? 0 : memory(m, err);
}

/* ---- what follows a verdict */

static void dirty_down(struct merging_row *row, uint64_t child, uint64_t groups)
{
	for (int i = 0; i < 2; i++)
		if (row->down[i] == child || row->down[i] == UNIT_NONE) {
			row->down[i] = child;
			row->groups[i] |= groups | 1;
			return;
		}
}

/* Every child whose scope holds the row before or after learns of it, but for the source of what is taken (verdict
 * VERDICTS: this node's own write, which has none). */
static void dirty(struct merging *m, struct merging_row *row, const struct value *was, const struct value *now,
                  const struct value *v, bool changed, enum verdict_name verdict)
{
	bool answer = verdict == VERDICT_KEEP || verdict == VERDICT_REFUSE || verdict == VERDICT_REVIVE;
	uint64_t source = m->from->below && verdict != VERDICTS ? m->from->peer : UNIT_NONE, at[2];
	bool whole = (was == NULL) != (now == NULL) ||
	             (was != NULL && (!ident_equal(was->life, now->life) || was->row_unit != now->row_unit ||
	                              was->alive != now->alive));
	/* Who deleted a row holds its values no more: where the end does not stand, the row comes back whole. */
	uint64_t groups = whole || (answer && v->group == GROUP_ROW) ? UINT64_MAX : UINT64_C(1) << v->group;

	if (!changed && !answer)
		return;
	at[0] = was != NULL ? child_towards(m->e, was->row_unit) : UNIT_NONE;
	at[1] = now != NULL ? child_towards(m->e, now->row_unit) : UNIT_NONE;
	for (int i = 0; i < 2; i++)
		if (at[i] != UNIT_NONE && (at[i] != source || answer))
			dirty_down(row, at[i], groups);
	if (source != UNIT_NONE && answer && v->group == GROUP_ROW && at[0] != source && at[1] != source)
		dirty_down(row, source, 0);
}

static void texts(const struct merging *m, const struct value *v, struct buf *stored, struct buf *text)
{
	if (v == NULL)
		return;
	value_store(stored, m->reg, v);
	value_text(text, m->reg, v);
}

int merging_record(struct merging *m, const struct merging_row *row, const struct value *lost, const struct value *kept,
                   const char *kind, int rule, const char *why, const char *say, struct err *err)
{
	_cleanup_(buf_release) struct buf k = {0}, l = {0}, kt = {0}, lt = {0};
	struct engine *e = m->e;
	struct record r = {
		.reg = m->reg->name, .group = lost->group == GROUP_ROW ? "row" : m->reg->groups[lost->group]->name,
		.key = row->held.key_cell, .lost = version_ident(lost->v),
		.unit = row->held.row->row.decision != NULL ? row->held.row->row.decision->row_unit : lost->row_unit,
		.kind = kind, .why = why, .say = say, .rule = rule, .decider = m->decider != UNIT_NONE ? m->decider : e->unit, .policy = lost->v->policy,
		.at_ms = now_ms(e), .tree_s = engine_tree_time(e), .vouched = m->from->state && m->from->below, .state = "open",
	};
	int64_t id = 0;
	int rc;

	texts(m, kept, &k, &kt);
	texts(m, lost, &l, &lt);
	r.kept = buf_slice(&k);
	r.lost_value = buf_slice(&l);
	r.kept_text = kept != NULL ? buf_text(&kt) : NULL;
	r.lost_text = buf_text(&lt);
	rc = record_put(e->db, &r, &id, err);
	if (rc == 0 && id != 0) {
		m->open_records = true;
		rc = item_down(e, lost->v->unit, ITEM_RECORD, id, err);
		event(e, LOG_LEVEL_NOTICE, strcmp(kind, "refused") == 0 || strcmp(kind, "rejected") == 0 ? "refuse" : "conflict", m->from->peer, m->from->name,
		      "%s in register %s, group %s: record %lld", kind, r.reg, r.group, (long long)id);
	}
	return rc;
}

/* The delete (or the new life) ends groups of the life before that it had not seen. */
static int ended(struct merging *m, struct merging_row *row, const struct value *was, const struct value *now,
                 struct err *err)
{
	const struct life_state *l = row_life(row->held.row, was->life);
	int rc = 0;

	for (uint32_t g = 1; l != NULL && rc == 0 && g < row->held.row->ngroups; g++)
		if (l->groups[g].decision != NULL && !row_covered(row->held.row, l->groups[g].decision, now))
			rc = merging_record(m, row, l->groups[g].decision, now, "edited-while-deleted", 2, "dead", NULL, err);
	return rc;
}

/* What v lost against: the greater proposal of its author, else the decision that stands. */
static const struct value *outdid(const struct value *v, const struct verdict *verdict, const struct value *decision,
                                  const struct value *proposal)
{
	if (v->v->kind == PROPOSAL && proposal != NULL && verdict->name == VERDICT_KEEP && version_order(proposal->v, v->v) >= 0)
		return proposal;
	return decision;
}

/* Aside, what the end had not seen lost to the end; what it had seen may lose to v there as anywhere. */
static int record_losers(struct merging *m, struct merging_row *row, const struct value *v, const struct verdict *verdict,
                         const struct value *before, const struct value *proposal, struct err *err)
{
	const struct row *r = row->held.row;
	bool refused = verdict->name == VERDICT_REFUSE, aside = verdict->name == VERDICT_ASIDE;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < verdict->nlosers; i++) {
		const struct value *lost = verdict->losers[i];
		bool ends = aside && (lost == v || !row_covered(r, lost, r->row.decision));
		const struct value *kept = ends ? r->row.decision : lost == v ? outdid(v, verdict, before, proposal) : v;

		if (kept != NULL && !refused && !ends && closing_same(lost, kept))
			continue;
		rc = merging_record(m, row, lost, kept, ends ? "edited-while-deleted" : refused ? "refused" : "superseded",
		                    aside && !ends ? 5 : verdict->rule, why_text(verdict->why),
		                    verdict->say == NULL && refused ? closing_sentence(m, row, verdict->why) : verdict->say, err);
	}
	return rc;
}

int merging_accept(struct merging *m, struct merging_row *row, const struct value *v, const struct verdict *verdict,
                   struct err *err)
{
	struct row *r = row->held.row;
	const struct value *was = r->row.decision, *now;
	const struct group_state *g = row_group(r, v->group, v->life);
	const struct value *before = g != NULL ? g->decision : NULL;
	const struct slot *slot = g != NULL ? group_slot(g, v) : NULL;
	const struct value *proposal = slot != NULL ? slot->value : NULL;
	bool changed_here;
	bool moves = rule_moves(r, v, &m->context);
	int rc;

	rc = verdict != NULL ? record_losers(m, row, v, verdict, before, proposal, err) : 0;
	if (rc != 0)
		return rc;
	if (verdict != NULL && verdict->name == VERDICT_REFUSE) {
		row_know_life(r, v->life, &m->row);      /* its ruling follows at once */
		dirty(m, row, was, was, v, false, VERDICT_REFUSE);
		return 0;
	}
	row_put(r, v, &m->row);
	if (m->row.failed)
		return memory(m, err);
	now = r->row.decision;
	/* Also where the move lost: its level may have passed the row on already. */
	if (moves && now->row_unit != was->row_unit)
		rc = was_add(m->e->db, m->reg, row->held.key_cell, was->row_unit, err);
	if (rc == 0 && moves && now->row_unit != v->row_unit)
		rc = was_add(m->e->db, m->reg, row->held.key_cell, v->row_unit, err);
	if (rc != 0)
		return rc;
	if (was != NULL && was->alive && now != was && (!ident_equal(now->life, was->life) || !now->alive))
		rc = ended(m, row, was, now, err);
	g = row_group(r, v->group, v->life);
	slot = g != NULL ? group_slot(g, v) : NULL;
	changed_here = g != NULL && (g->decision != before || (slot != NULL ? slot->value : NULL) != proposal);
	dirty(m, row, was, now, v, changed_here, verdict != NULL ? verdict->name : VERDICTS);
	if (rc == 0 && changed_here)
		rc = closing_answer(m, row, v, before, verdict != NULL, err);
	if (rc == 0 && changed_here && m->open_records)
		rc = closing_value(m, row, v, err);
	return rc;
}

/* ---- own writes */

/* What a write builds on has seen: its base, and for a proposal this node's own older one. */
static struct marks marks_below(const struct merging_row *row, const struct value *v, const struct value *base)
{
	static const struct marks nothing;
	const struct group_state *g = row_group(row->held.row, v->group, v->life);
	const struct slot *mine = g != NULL && v->v->kind == PROPOSAL ? group_slot(g, v) : NULL;
	struct marks marks = base != NULL ? base->v->marks : nothing;

	return mine != NULL ? marks_join(&marks, &mine->value->v->marks) : marks;
}

struct value *merging_value(struct merging *m, const struct merging_row *row, const struct value *base, uint32_t group,
                            struct ident life, enum kind kind, bool acting, struct mark own, struct err *err)
{
	struct value *v = arena_alloc(&m->row, sizeof *v);
	struct version *version = arena_alloc(&m->row, sizeof *version);
	struct marks marks;

	if (v == NULL || version == NULL) {
		memory(m, err);
		return NULL;
	}
	version->unit = m->e->unit;
	version->kind = kind;
	version->acting = acting;
	version->policy = m->e->catalog->list;
	*v = (struct value){.v = version, .life = life, .group = group, .whole = true, .since_ms = now_ms(m->e)};
	marks = marks_below(row, v, base);
	version->marks = marks_raised(&marks, m->e->level, own);
	if (base != NULL)
		version->base = version_ident(base->v);
	return v;
}

int merging_own(struct merging *m, struct merging_row *row, const struct value *value, const struct value *sent,
                struct err *err)
{
	int rc = merging_accept(m, row, value, NULL, err);

	if (rc != 0)
		return rc;
	if (row->nown == ARRAY_SIZE(row->own))
		return err_set(err, ERR_LIMIT, "register %s: more than %zu values of one row in one pass", m->reg->name,
		               ARRAY_SIZE(row->own));
	row->own[row->nown++] = sent != NULL ? *sent : *value;
	mint_meet(m->e, &value->v->marks);
	return 0;
}

static int queue_own(struct merging *m, struct merging_row *row, struct err *err)
{
	enum level ceiling = m->reg->policy != NULL ? m->reg->policy->ceiling : PROVINCE;
	struct state_builder *b = &m->own[ceiling];
	struct change *c;
	struct part *parts;
	uint32_t reg = wire_register(m->e, b, m->reg);

	if (reg == UINT32_MAX || (c = wire_change(b)) == NULL)
		return memory(m, err);
	parts = arena_array(b->arena, row->nown, sizeof *parts);
	if (parts == NULL)
		return memory(m, err);
	*c = (struct change){.reg = reg, .flags = m->late, .key = key_copy(b->arena, row->held.key), .nparts = row->nown,
	                     .parts = parts};
	c->unit = row->stood ? row->unit : row->held.row->row.decision->row_unit;
	for (uint32_t i = 0; i < row->nown; i++) {
		if (!wire_part(b, m->reg, &row->own[i], &parts[i]))
			return memory(m, err);
	}
	return 0;
}

int merging_end(struct merging *m, struct err *err)
{
	int rc = 0;

	for (int i = 0; i < LEVELS && rc == 0; i++)
		if (m->own[i].nchanges > 0) {
			struct payload p = {.nregisters = m->own[i].nregisters, .registers = m->own[i].registers,
			                    .nchanges = m->own[i].nchanges, .changes = m->own[i].changes};

			rc = seal_delta(m->e, (enum level)i, &p, err);
		}
	return rc;
}

/* ---- a row ends: table, quarantine, state, dirty */

static void put_cells(const struct reg *r, uint32_t g, const struct value *v, bool *mask, struct cell *cells)
{
	const struct group *group = r->groups[g];

	for (uint32_t i = 0; group != NULL && i < group->ncolumns; i++) {
		size_t at = (size_t)(group->columns[i] - r->columns);

		if (v == NULL) {
			if (group->columns[i]->computed)
				continue;
			mask[at] = true;
			cells[at] = group->columns[i]->fallback;
		} else if (v->cells != NULL && i < v->ncells && (v->present == NULL || v->present[i])) {
			mask[at] = true;
			cells[at] = v->cells[i];
		}
	}
}

static void put_identity(const struct merging_row *row, const struct reg *r, bool insert, bool *mask, struct cell *cells)
{
	for (uint32_t i = 0; insert && i < r->nkey; i++) {
		size_t at = (size_t)(r->key[i] - r->columns);

		mask[at] = true;
		cells[at] = row->held.key.cells[i];
	}
	if (r->unit != NULL) {
		size_t at = (size_t)(r->unit - r->columns);

		mask[at] = true;
		if (r->unit->affinity == 'I' || r->unit->affinity == 'N' || r->unit->affinity == 'R')
			cells[at] = (struct cell){.type = CELL_INT, .i = (int64_t)row->held.row->row.decision->row_unit};
		else
			cells[at] = (struct cell){.type = CELL_TEXT};     /* the caller has the twelve digits */
	}
}

/* The table as the row now is: 0, ERR_REFUSED where the table says no. */
static int write_table(struct merging *m, struct merging_row *row, bool stands, bool lagged, struct err *err)
{
	const struct reg *r = m->reg;
	bool mask[LIMIT_COLUMNS] = {0}, insert = !row->stood, any = false;
	struct cell *cells = arena_array(&m->row, r->ncolumns + 1, sizeof *cells), *there;
	const struct value *d = row->held.row->row.decision;
	bool whole;
	int rc = 0;

	if (cells == NULL)
		return memory(m, err);
	if (lagged) {                            /* the table may have anything: look */
		rc = table_read(m->e->table, r, row->held.key_cell, row->held.key, &m->row, &there, err);
		if (rc != 0)
			return rc;
		if (!stands)
			return there != NULL ? table_delete(m->e->table, r, row->held.key, err) : 0;
		insert = there == NULL;
	} else if (!stands) {
		return row->stood ? table_delete(m->e->table, r, row->held.key, err) : 0;
	}
	whole = insert || lagged || !ident_equal(row->life, d->life);
	if (insert || lagged || d->row_unit != row->unit) {
		put_identity(row, r, insert, mask, cells);
		if (r->unit != NULL) {
			size_t at = (size_t)(r->unit - r->columns);
			char *text = arena_alloc(&m->row, UNIT_TEXT_SIZE);

			if (text == NULL)
				return memory(m, err);
			if (cells[at].type == CELL_TEXT)
				cells[at].s = slice_of(unit_text(d->row_unit, text));
			any = true;
		}
	}
	for (uint32_t g = 1; g < row->held.row->ngroups; g++) {
		const struct value *now = shown_of(row, g);

		if (whole || now != row->shown[g]) {
			put_cells(r, g, now, mask, cells);
			any = true;
		}
	}
	rc = any || insert ? table_write(m->e->table, r, row->held.key, insert, mask, cells, err) : 0;
	row->inserted = rc == 0 && insert;
	return rc;
}

static bool waits_already(const struct merging *m, const struct merging_row *row)
{
	for (const struct touched *t = m->waiting; t != NULL; t = t->next)
		if (t->reg == m->reg && key_equal(t->key, row->held.key))
			return true;
	return false;
}

int merging_set_aside(struct merging *m, struct merging_row *row, bool stands, const char *why, struct err *err)
{
	_cleanup_(buf_release) struct buf value = {0};
	int rc;

	/* The table's own columns are what the state has no other copy of: take them before they are cut loose. */
	rc = held_cells(m->e->table, &row->held, &m->row, err);
	if (rc != 0)
		return rc;
	held_store(&row->held, &value);
	row->held.flags |= STATE_QUARANTINE;
	if (m->counts != NULL)
		m->counts->quarantined++;
	if (!m->reg->hold && m->reg->adoption == ADOPT_NOT)      /* else the whole register was told of at once */
		event(m->e, LOG_LEVEL_WARNING, "quarantine", m->from->peer, m->from->name, "a row of register %s waits: %s",
		      m->reg->name, why);
	return quarantine_put(m->e->db, m->reg, row->held.key_cell, stands, buf_slice(&value), why, now_ms(m->e), err);
}

/* What stands in the table, wholly or in part, gets all its cells before it leaves it: the life that the table shows,
 * which may have ended by now. */
static int complete_cells(struct merging *m, struct merging_row *row, struct err *err)
{
	struct life_state *l = row->stood ? row_life(row->held.row, row->life) : NULL;
	struct cell *columns = NULL;
	int rc;

	for (uint32_t g = 1; l != NULL && g < row->held.row->ngroups; g++) {
		const struct value *v = l->groups[g].decision;
		const struct group *group = m->reg->groups[g];
		struct value *whole;
		struct cell *cells;

		if (v == NULL || group == NULL || (v->cells != NULL && v->present == NULL))
			continue;
		if (columns == NULL) {
			rc = table_read(m->e->table, m->reg, row->held.key_cell, row->held.key, &m->row, &columns, err);
			if (rc != 0 || columns == NULL)
				return rc;
		}
		whole = arena_copy(&m->row, v, sizeof *whole);
		cells = arena_array(&m->row, group->ncolumns + 1, sizeof *cells);
		if (whole == NULL || cells == NULL)
			return memory(m, err);
		for (uint32_t i = 0; i < group->ncolumns; i++)
			cells[i] = v->cells != NULL && i < v->ncells && (v->present == NULL || v->present[i]) ?
			           v->cells[i] : columns[group->columns[i] - m->reg->columns];
		whole->cells = cells;
		whole->ncells = group->ncolumns;
		whole->present = NULL;
		l->groups[g].decision = whole;
	}
	return 0;
}

static int touch(struct merging *m, struct merging_row *row, bool deleted, struct err *err)
{
	struct touched *t;

	if (!table_has_keys(m->e->table, m->reg))
		return 0;
	t = arena_alloc(&m->pass, sizeof *t);
	if (t == NULL)
		return memory(m, err);
	*t = (struct touched){.next = m->touched, .reg = m->reg, .key = key_copy(&m->pass, row->held.key), .deleted = deleted,
	                      .left = deleted && row->held.row->row.decision->alive, .fresh = row->inserted};
	m->touched = t;
	return 0;
}

static int end_table(struct merging *m, struct merging_row *row, bool stands, struct err *err)
{
	bool waits = (row->held.flags & STATE_QUARANTINE) != 0, lagged = waits || row->mend != MEND_NONE;
	struct err say = {0};
	int rc = 0;

	if (m->reg->hold)
		rc = err_set(&say, ERR_REFUSED, "schema hold: the table %s lacks a column of the policy", m->reg->name);
	else if (m->reg->adoption != ADOPT_NOT && !m->adopting && (waits || !row->held.exists))
		rc = err_set(&say, ERR_REFUSED, "the rows of table %s wait for `terracectl adopt`", m->reg->name);
	else if (row->refused != NULL)
		rc = err_set(&say, ERR_REFUSED, "%s", row->refused);
	else if (waits_already(m, row))
		rc = err_set(&say, ERR_REFUSED, "%s", "foreign key: a row that it needs, or that needs it, is missing");
	else if (!m->table_stands || lagged)
		rc = write_table(m, row, stands, lagged, &say);
	if (rc == ERR_REFUSED && !m->retrying) {
		rc = complete_cells(m, row, err);
		return rc != 0 ? rc : merging_set_aside(m, row, stands, say.text, err);
	}
	if (rc != 0) {
		if (err != NULL)
			*err = say;
		return rc;
	}
	if (waits) {
		row->held.flags &= ~(uint32_t)STATE_QUARANTINE;
		rc = quarantine_drop(m->e->db, m->reg, row->held.key_cell, err);
		if (rc == 0)                     /* an unsealed row of that key stood in the way */
			rc = issue_solved(m->e->db, "not-allowed", m->reg->name, row->held.key_cell, err);
	}
	if (rc == 0 && (stands || row->stood || lagged))
		rc = touch(m, row, !stands, err);
	return rc;
}

static bool changed(const struct merging_row *row)
{
	const struct value *d = row->held.row->row.decision;
	const struct life_state *l = row_current(row->held.row);

	if (row->mend != MEND_NONE)
		return true;
	/* What waits in quarantine is tried again whenever it is looked at. */
	if (!row->held.exists || row->refused != NULL || d->v != &row->held.set->row || row->held.flags & (STATE_ASIDE | STATE_QUARANTINE))
		return true;
	for (const struct life_state *x = row->held.row->lives; x != NULL; x = x->next)
		if (x != l)
			return true;
	if (row->held.row->row.proposals != NULL)
		return true;
	for (uint32_t g = 1; g < row->held.row->ngroups; g++)
		if (l->groups[g].decision != row->decisions[g] || l->groups[g].proposals != NULL)
			return true;
	return false;
}

/* A person gave it up, and nothing new was said of what stands. */
static bool given_up(const struct merging *m, const struct merging_row *row)
{
	if (!(row->held.flags & STATE_QUARANTINE) || m->retrying || row->refused != NULL ||
	    row->held.row->row.decision->v != &row->held.set->row)
		return false;
	for (uint32_t g = 1; g < row->held.row->ngroups; g++)
		if (shown_of(row, g) != row->shown[g])
			return false;
	return quarantine_dropped(m->e->db, m->reg, row->held.key_cell);
}

int merging_end_row(struct merging *m, struct merging_row *row, struct err *err)
{
	struct engine *e = m->e;
	const struct value *d = row->held.row->row.decision;
	bool stands, fresh;
	int rc = 0;

	if (d == NULL)
		return 0;                        /* nothing came to stand */
	fresh = !row->held.exists || d->v != &row->held.set->row;
	stands = d->alive && unit_contains(e->unit, d->row_unit);
	if (changed(row)) {
		/* Of a row that ends or leaves, all values go aside: they need their cells while the table has them. */
		if (row->stood && (!stands || !ident_equal(row->life, d->life) || row->held.flags & STATE_ASIDE ||
		    row->held.row->lives->next != NULL))
			rc = m->table_stands ? 0 : complete_cells(m, row, err);
		if (rc == 0)
			rc = given_up(m, row) ? 0 : end_table(m, row, stands, err);
		if (rc == 0)
			rc = gone_note(m, row, stands, fresh, err);
		if (rc == 0)
			rc = state_save(e->state, &row->held, e->unit, false, &m->row, err);
		e->activity++;
		if (rc == 0)
			rc = judge_warn(m, row, stands, err);
		if (rc == 0)
			rc = via_note(m, row, err);
		if (rc == 0)
			rc = duplicates_look(e, m->reg, row->held.key, row->held.key_cell, d->row_unit, stands, &m->row, err);
		/* Out of scope: its values go once all is told above. */
		if (rc == 0 && row->held.flags & STATE_ASIDE && !unit_contains(e->unit, d->row_unit))
			rc = marker_add(e->db, m->reg, row->held.key_cell, now_ms(e), err);
	}
	for (int i = 0; i < 2 && rc == 0; i++)
		if (row->down[i] != UNIT_NONE)
			rc = dirty_mark(e->db, row->down[i], m->reg, row->held.key_cell, row->groups[i], err);
	for (uint32_t i = 0; rc == 0 && m->reg->policy != NULL && m->reg->policy->unit_source == UNIT_ALL && i < e->nchildren; i++)
		rc = dirty_mark(e->db, e->children[i], m->reg, row->held.key_cell, UINT64_MAX, err);
	if (rc == 0 && row->up != 0 && e->parent != UNIT_NONE)
		rc = dirty_mark(e->db, e->parent, m->reg, row->held.key_cell, UINT64_MAX, err);
	if (rc == 0 && row->nown > 0)
		rc = queue_own(m, row, err);
	return rc;
}
