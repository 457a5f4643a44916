/* Journal: what every node sealed, read from its signed segments as they come to be, and the check that needs it: no
 * losing decision is without a record (design authority.md, Histories).
 *
 * It knows the truth that no node knows: which write looked at which, which a restore wiped out, who held a record. */
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/contact.h"
#include "engine/self.h"

struct sim_column {
	const char *name;
	struct slice cell;               /* canonical form */
};

struct sim_write {                       /* one value of one node's own delta */
	int node;
	int64_t step;
	const char *reg, *group;
	struct key key;
	struct cell key_cell;
	struct ident id, life;
	const struct version *v;
	bool alive;                      /* group row */
	uint64_t row_unit;
	uint32_t ncolumns;
	struct sim_column *columns;
	struct digest segment;           /* that carries it */
	uint64_t held;                   /* bit by node: has its record now */
	bool record_lost;                /* a node that had its record was restored to before */
	bool perished;                   /* after a restore no disk had a trace of it */
};

struct sim_journal {
	struct arena a;
	uint32_t n, room;
	struct sim_write *at;
};

/* ---- reading what was sealed */

static struct sim_write *write_new(struct sim_journal *j)
{
	if (j->n == j->room) {
		j->room = j->room == 0 ? 256 : j->room * 2;
		j->at = realloc(j->at, j->room * sizeof *j->at);
		if (j->at == NULL)
			abort();
	}
	memset(&j->at[j->n], 0, sizeof j->at[j->n]);
	return &j->at[j->n++];
}

static const struct version *version_kept(struct arena *a, const struct version *v)
{
	_cleanup_(buf_release) struct buf b = {0};
	struct version *copy = arena_alloc(a, sizeof *copy);
	struct reader r;

	version_put(&b, v);
	r = reader_of(arena_slice(a, buf_slice(&b)));
	version_get(&r, a, copy);
	return copy;
}

static void part_read(struct sim_journal *j, struct sim_write *w, const struct wire_register *reg, const struct part *part)
{
	const struct wire_group *g = part->group == PART_ROW ? NULL : &reg->groups[part->group];

	w->group = g == NULL ? "row" : arena_text(&j->a, g->name);
	w->v = version_kept(&j->a, part->version);
	w->id = version_ident(w->v);
	w->life = part->life;
	w->alive = part->alive;
	w->row_unit = part->row_unit;
	w->ncolumns = part->ncolumns;
	w->columns = arena_array(&j->a, part->ncolumns + 1, sizeof *w->columns);
	for (uint32_t i = 0; i < part->ncolumns; i++) {
		_cleanup_(buf_release) struct buf cell = {0};

		cell_put(&cell, part->cells[i]);
		w->columns[i].name = arena_text(&j->a, g->columns[part->columns[i]]);
		w->columns[i].cell = arena_slice(&j->a, buf_slice(&cell));
	}
}

static void segment_read(struct sim_tree *t, int node, struct slice bytes)
{
	_cleanup_(arena_release) struct arena a = {0};
	_cleanup_(buf_release) struct buf raw = {0};
	struct sim_journal *j = t->journal;
	struct segment s;
	struct payload p;
	struct digest hash;

	if (segment_parse(bytes, &a, &s, NULL) != 0 || segment_inflate(&s, &raw, NULL) != 0 ||
	    payload_decode(buf_slice(&raw), &a, &p, NULL) != 0) {
		sim_fail(t, "%012llu: a segment of its own cannot be read", (unsigned long long)t->nodes[node].unit);
		return;
	}
	hash = segment_hash(&s);
	for (uint32_t i = 0; i < p.nchanges; i++)
		for (uint32_t k = 0; k < p.changes[i].nparts; k++) {
			struct sim_write *w = write_new(j);

			w->node = node;
			w->step = t->step;
			w->reg = arena_text(&j->a, p.registers[p.changes[i].reg].name);
			w->key = key_copy(&j->a, p.changes[i].key);
			w->key_cell = key_column(w->key, &j->a);
			w->segment = hash;
			part_read(j, w, &p.registers[p.changes[i].reg], &p.changes[i].parts[k]);
		}
}

static bool is_row(const struct sim_write *w)
{
	return strcmp(w->group, "row") == 0;
}

/* ---- who has what */

static sqlite3_stmt *ask(struct sim_node *n, const char *select)
{
	sqlite3_stmt *q = NULL;

	return n->app != NULL && sqlite3_prepare_v2(n->app, select, -1, &q, NULL) == SQLITE_OK ? q : NULL;
}

static bool has_record(struct sim_node *n, const struct sim_write *w)
{
	sqlite3_stmt *q = ask(n, "SELECT 1 FROM terrace_record WHERE register = ?1 AND key = ?2 AND grp = ?3 AND lost_unit = ?4 AND "
	                      "lost_tick = ?5 AND lost_epoch = ?6");
	bool has;

	if (q == NULL)
		return false;
	bind_text(q, 1, w->reg);
	bind_cell(q, 2, w->key_cell);
	bind_text(q, 3, w->group);
	bind_u64(q, 4, w->id.unit);
	bind_u64(q, 5, w->id.mark.tick);
	bind_u64(q, 6, w->id.mark.epoch);
	has = sqlite3_step(q) == SQLITE_ROW;
	sqlite3_finalize(q);
	return has;
}

/* The author typed again what its own node sent back: that return speaks for what it wrote before. */
static bool has_return(struct sim_node *n, const struct sim_write *w)
{
	sqlite3_stmt *q = ask(n, "SELECT 1 FROM terrace_record WHERE register = ?1 AND key = ?2 AND grp = ?3 AND lost_unit = ?4 AND "
	                      "decider = ?4 AND (lost_tick, lost_epoch) > (?5, ?6)");
	bool has;

	if (q == NULL)
		return false;
	bind_text(q, 1, w->reg);
	bind_cell(q, 2, w->key_cell);
	bind_text(q, 3, w->group);
	bind_u64(q, 4, w->id.unit);
	bind_u64(q, 5, w->id.mark.tick);
	bind_u64(q, 6, w->id.mark.epoch);
	has = sqlite3_step(q) == SQLITE_ROW;
	sqlite3_finalize(q);
	return has;
}

static bool has_segment(struct sim_node *n, const struct digest *hash)
{
	sqlite3_stmt *q = ask(n, "SELECT 1 FROM terrace_segment WHERE hash = ?1");
	bool has;

	if (q == NULL)
		return false;
	bind_slice(q, 1, (struct slice){hash->at, DIGEST_SIZE});
	has = sqlite3_step(q) == SQLITE_ROW;
	sqlite3_finalize(q);
	return has;
}

static bool among(const struct group_state *g, struct ident id)
{
	if (g->decision != NULL && ident_equal(version_ident(g->decision->v), id))
		return true;
	for (const struct slot *s = g->proposals; s != NULL; s = s->next)
		if (ident_equal(version_ident(s->value->v), id))
			return true;
	return false;
}

static bool load(struct sim_node *n, const struct sim_write *w, struct arena *a, struct held *ret)
{
	struct reg *r = n->e != NULL ? catalog_register(n->e->catalog, slice_of(w->reg)) : NULL;

	return r != NULL && state_load(n->e->state, r, w->key, a, ret, NULL) == 0 && held_cells(n->e->table, ret, a, NULL) == 0;
}

static bool has_value(struct sim_node *n, const struct sim_write *w)
{
	_cleanup_(arena_release) struct arena a = {0};
	const struct group *g;
	struct held h;

	if (!load(n, w, &a, &h))
		return false;
	if (is_row(w))
		return among(&h.row->row, w->id);
	g = reg_group(h.reg, slice_of(w->group));
	for (const struct life_state *l = h.row->lives; g != NULL && l != NULL; l = l->next)
		if (among(&l->groups[g->number], w->id))
			return true;
	return false;
}

/* ---- what the history calls */

void journal_open(struct sim_tree *t)
{
	t->journal = calloc(1, sizeof *t->journal);
	if (t->journal == NULL)
		abort();
}

void journal_close(struct sim_tree *t)
{
	if (t->journal == NULL)
		return;
	arena_release(&t->journal->a);
	free(t->journal->at);
	free(t->journal);
	t->journal = NULL;
}

void journal_note(struct sim_tree *t)
{
	for (int i = 0; i < t->n; i++) {
		struct sim_node *n = &t->nodes[i];
		sqlite3_stmt *q = ask(n, "SELECT id, bytes FROM terrace_segment WHERE author = ?1 AND kind = 1 AND id > ?2 ORDER BY id");

		if (q == NULL)
			continue;
		bind_u64(q, 1, n->unit);
		sqlite3_bind_int64(q, 2, n->noted);
		while (sqlite3_step(q) == SQLITE_ROW) {
			n->noted = sqlite3_column_int64(q, 0);
			segment_read(t, i, (struct slice){sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1)});
		}
		sqlite3_finalize(q);
	}
}

void journal_before_restore(struct sim_tree *t, int node)
{
	journal_note(t);
	for (uint32_t i = 0; i < t->journal->n; i++) {
		struct sim_write *w = &t->journal->at[i];

		w->held = has_record(&t->nodes[node], w) ? w->held | UINT64_C(1) << node : w->held & ~(UINT64_C(1) << node);
	}
}

void journal_after_restore(struct sim_tree *t, int node)
{
	struct sim_node *n = &t->nodes[node];
	sqlite3_stmt *q = ask(n, "SELECT coalesce(max(id), 0) FROM terrace_segment");

	n->restored_at = t->step;
	n->noted = 0;
	if (q != NULL && sqlite3_step(q) == SQLITE_ROW)
		n->noted = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	for (uint32_t i = 0; i < t->journal->n; i++) {
		struct sim_write *w = &t->journal->at[i];
		bool known = false;

		if ((w->held >> node & 1) != 0 && !has_record(n, w))
			w->record_lost = true;
		for (int k = 0; k < t->n && !known && !w->perished; k++)
			known = has_segment(&t->nodes[k], &w->segment) || has_record(&t->nodes[k], w) || has_value(&t->nodes[k], w);
		w->perished = w->perished || !known;
	}
}

/* ---- the check */

static bool same_group(const struct sim_write *a, const struct sim_write *b)
{
	return a != b && strcmp(a->reg, b->reg) == 0 && strcmp(a->group, b->group) == 0 && key_equal(a->key, b->key);
}

static bool says_same(const struct sim_write *a, const struct sim_write *b)
{
	if (!ident_equal(a->life, b->life))
		return false;
	if (is_row(a))
		return a->alive == b->alive && a->row_unit == b->row_unit;
	for (uint32_t i = 0; i < a->ncolumns; i++)
		for (uint32_t k = 0; k < b->ncolumns; k++)
			if (strcmp(a->columns[i].name, b->columns[k].name) == 0 && !slice_equal(a->columns[i].cell, b->columns[k].cell))
				return false;
	return true;
}

static bool recorded(struct sim_tree *t, const struct sim_write *w)
{
	for (int i = 0; i < t->n; i++)
		if (has_record(&t->nodes[i], w))
			return true;
	return w->record_lost;
}

/* w was built on v, step by step. */
static bool built_on(const struct sim_tree *t, const struct sim_write *w, const struct sim_write *v)
{
	const struct sim_journal *j = t->journal;
	struct ident at = w->v->base;

	for (uint32_t depth = 0; depth < 100 && at.unit != UNIT_NONE; depth++) {
		const struct sim_write *next = NULL;

		if (ident_equal(at, v->id))
			return true;
		for (uint32_t i = 0; i < j->n && next == NULL; i++)
			if (same_group(&j->at[i], v) && ident_equal(j->at[i].id, at))
				next = &j->at[i];
		if (next == NULL)
			return false;
		at = next->v->base;
	}
	return false;
}

/* A ruling was made against v: it has seen v, and what it asserts has not. */
static bool ruled_against(struct sim_tree *t, const struct sim_write *v, const struct epochs *epochs)
{
	const struct sim_journal *j = t->journal;
	enum level l = unit_level(v->id.unit);

	for (uint32_t i = 0; i < j->n; i++) {
		const struct sim_write *r = &j->at[i];

		if (same_group(r, v) && r->v->ruling && !r->perished && version_seen(r->v, v->v, epochs) &&
		    !ident_equal(r->v->base, v->id) && !mark_seen(v->id.mark, r->v->asserts.at[l], epochs))
			return true;
	}
	return false;
}

/* Somebody took v into account and went on from it, or its author wrote again and that write has a record. */
static bool replaced(struct sim_tree *t, const struct sim_write *v)
{
	const struct sim_journal *j = t->journal;

	for (uint32_t i = 0; i < j->n; i++) {
		const struct sim_write *w = &j->at[i];
		bool later = w->id.unit == v->id.unit && mark_compare(w->id.mark, v->id.mark) > 0;

		if (!same_group(w, v) || w->perished)
			continue;
		if (built_on(t, w, v) || (later && recorded(t, w)))
			return true;
	}
	return false;
}

/* What the history ended with, as the highest node that holds the author's rows has it. */
static struct sim_node *top_of(struct sim_tree *t, const struct sim_write *v)
{
	struct sim_node *top = &t->nodes[v->node];

	for (int i = 0; i < t->n; i++) {
		struct sim_node *n = &t->nodes[i];

		if (n->e != NULL && unit_contains(n->unit, v->id.unit) && unit_level(n->unit) < unit_level(top->unit) &&
		    sim_holds(t, n, v->reg))
			top = n;
	}
	return top;
}

/* Its row ended, or is another's now: a delete that had seen it, or a lost insert whose record holds the whole row. */
static bool ended_knowingly(struct sim_tree *t, const struct sim_write *v)
{
	const struct sim_journal *j = t->journal;

	for (uint32_t i = 0; i < j->n; i++) {
		const struct sim_write *r = &j->at[i];

		if (strcmp(r->reg, v->reg) != 0 || !is_row(r) || !key_equal(r->key, v->key))
			continue;
		if (ident_equal(r->life, v->life) && recorded(t, r))
			return true;
		for (uint32_t k = 0; k < r->v->nsaw; k++) {
			const struct saw *s = &r->v->saw[k];

			if (ident_equal(s->life, v->life) && strcmp(s->group, v->group) == 0 &&
			    mark_compare(v->id.mark, s->marks.at[unit_level(v->id.unit)]) <= 0)
				return true;
		}
	}
	return false;
}

static bool needs_record(struct sim_tree *t, const struct sim_write *v)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct sim_node *top = top_of(t, v);
	const struct value *d, *final = NULL;
	struct held h;
	bool refused;

	if (v->v->kind != DECISION || v->perished || !load(top, v, &a, &h) || h.row->row.decision == NULL)
		return false;
	d = h.row->row.decision;
	if (is_row(v)) {
		final = d;
		if (!v->alive && !ident_equal(v->life, d->life))
			return false;            /* what it ended has ended */
	} else if (ident_equal(v->life, d->life)) {
		const struct group *g = reg_group(h.reg, slice_of(v->group));

		final = g != NULL && row_current(h.row) != NULL ? row_current(h.row)->groups[g->number].decision : NULL;
	}
	refused = ruled_against(t, v, &top->e->epochs);
	if (final != NULL && ident_equal(version_ident(final->v), v->id))
		return false;
	if (final != NULL && !refused && version_seen(final->v, v->v, &top->e->epochs))
		return false;
	if (!is_row(v) && !(d->alive && ident_equal(v->life, d->life)) && ended_knowingly(t, v))
		return false;
	for (uint32_t i = 0; i < t->journal->n; i++)
		if (same_group(&t->journal->at[i], v) && !t->journal->at[i].perished && !refused && says_same(&t->journal->at[i], v))
			return false;
	return !replaced(t, v);
}

bool journal_wrote_again(struct sim_tree *t, const struct sim_review *r)
{
	for (uint32_t i = 0; i < t->journal->n; i++) {
		const struct sim_write *w = &t->journal->at[i];
		_cleanup_(buf_release) struct buf key = {0};

		key_text(&key, w->key);
		if (w->id.unit == r->author && (int64_t)w->id.mark.tick > r->tick && strcmp(w->reg, r->reg) == 0 &&
		    strcmp(w->group, r->group) == 0 && strcmp(buf_text(&key), r->key) == 0)
			return true;
	}
	return false;
}

void journal_check(struct sim_tree *t)
{
	journal_note(t);
	t->sealed = t->journal->n;
	for (uint32_t i = 0; i < t->journal->n && t->failure[0] == '\0'; i++) {
		const struct sim_write *v = &t->journal->at[i];
		struct sim_node *author = &t->nodes[v->node];
		_cleanup_(buf_release) struct buf key = {0};

		if (!needs_record(t, v))
			continue;
		t->losers++;
		if (author->restored_at < v->step ? has_record(author, v) : recorded(t, v))
			continue;
		if (has_return(author, v))
			continue;
		key_text(&key, v->key);
		sim_fail(t, "lost without a record: %s of %s, group %s, by %012llu at %llu%s (step %lld%s)", buf_text(&key), v->reg, v->group,
		         (unsigned long long)v->id.unit, (unsigned long long)v->id.mark.tick, v->v->ruling ? ", a ruling" : "",
		         (long long)v->step, recorded(t, v) ? "; its author has none" : "");
	}
}
