/* Adopt: what stood in the application's table before its policy came. */
#include "engine/adopt.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/contact.h"
#include "engine/rules.h"
#include "engine/seal_inside.h"
#include "store/policybox.h"

static int memory(const struct reg *r, struct err *err)
{
	return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
}

/* ---- comparing */

static bool same_group(const struct reg *r, uint32_t g, const struct value *shown, const struct cell *cells)
{
	return shown != NULL ? seal_shows(r, r->groups[g], shown, cells) : seal_at_default(r, r->groups[g], cells);
}

static bool same_unit(const struct reg *r, const struct value *row, const struct cell *cells)
{
	struct cell c;
	uint64_t unit;

	if (r->unit == NULL)
		return true;
	c = cells[r->unit - r->columns];
	if (c.type == CELL_INT)
		return c.i >= 0 && (uint64_t)c.i == row->row_unit;
	return c.type == CELL_TEXT && unit_parse(c.s, &unit, NULL) == 0 && unit == row->row_unit;
}

enum adopt_side adopt_compare(const struct reg *r, const struct held *held, uint64_t scope, const struct cell *cells)
{
	const struct value *d = held->exists ? held->row->row.decision : NULL;
	const struct life_state *l = held->exists ? row_current(held->row) : NULL;

	if (d == NULL)
		return ADOPT_ONLY_HERE;
	if (!d->alive)
		return ADOPT_ENDED;
	if (!unit_contains(scope, d->row_unit))
		return ADOPT_ELSEWHERE;
	if (!same_unit(r, d, cells))
		return ADOPT_DIFFERS;
	for (uint32_t g = 1; g < r->ngroups; g++)
		if (r->groups[g] != NULL && !same_group(r, g, l != NULL ? group_shown(&l->groups[g]) : NULL, cells))
			return ADOPT_DIFFERS;
	return ADOPT_EQUAL;
}

/* ---- one row */

static const char *say_of(const struct reg *r)
{
	return r->adoption == ADOPT_SUPERIOR ?
	       "the superior's was kept when the table was adopted / 接入时按上级的内容保留" :
	       "this level may not decide it; the superior's was kept when the table was adopted / 本级无权决定，接入时按上级的内容保留";
}

/* The local value of a group that does not stay. */
static int recorded(struct merging *m, struct merging_row *row, uint32_t g, const struct value *kept, bool read,
                    const struct cell *cells, struct err *err)
{
	const struct group *group = m->reg->groups[g];
	struct mark own;
	struct value *v;
	int rc = seal_mark(m, &own, err);

	if (rc != 0)
		return rc;
	v = merging_value(m, row, NULL, g, row->life, DECISION, false, own, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->cells = seal_cells(m, group, cells);
	v->ncells = group->ncolumns;
	if (v->cells == NULL)
		return memory(m->reg, err);
	return merging_record(m, row, v, kept, read ? "read-only" : "superseded", 0, "adoption", say_of(m->reg), err);
}

static int adopt_group(struct merging *m, struct merging_row *row, uint32_t g, const struct cell *cells, struct err *err)
{
	const struct life_state *l = row_current(row->held.row);
	const struct value *d = l->groups[g].decision, *base = group_shown(&l->groups[g]);
	bool acting, decides;
	enum mode mode = own_mode(m->e, m->reg, row->unit, g, RIGHT_GROUP, &acting);
	struct mark own;
	struct value *v;
	int rc;

	if (same_group(m->reg, g, base, cells))
		return 0;
	/* Where nobody above has said anything, there is nothing of the superior's to keep. */
	if (mode == MODE_READ || (m->reg->adoption == ADOPT_SUPERIOR && d != NULL))
		return recorded(m, row, g, d, mode == MODE_READ, cells, err);
	decides = mode == MODE_OWN && !m->review;
	rc = seal_mark(m, &own, err);
	if (rc != 0)
		return rc;
	v = merging_value(m, row, base, g, row->life, decides ? DECISION : PROPOSAL, acting, own, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->cells = seal_cells(m, m->reg->groups[g], cells);
	v->ncells = m->reg->groups[g]->ncolumns;
	return v->cells != NULL ? merging_own(m, row, v, NULL, err) : memory(m->reg, err);
}

/* The table names another unit than the superior's row. */
static int adopt_unit(struct merging *m, struct merging_row *row, const struct cell *cells, struct err *err)
{
	const struct value *d = row->held.row->row.decision;
	const char *say = NULL;
	uint64_t unit = seal_unit(m->e, m->reg, cells, &say);
	bool acting;
	struct mark own;
	struct value *v;
	int rc = seal_mark(m, &own, err);

	if (rc != 0)
		return rc;
	if (unit != UNIT_NONE && m->reg->adoption == ADOPT_MINE &&
	    own_mode(m->e, m->reg, d->row_unit, GROUP_ROW, RIGHT_CREATE, &acting) == MODE_OWN) {
		v = merging_value(m, row, d, GROUP_ROW, d->life, DECISION, acting, own, err);
		if (v == NULL)
			return ERR_NOMEM;
		v->alive = true;
		v->row_unit = unit;
		return merging_own(m, row, v, NULL, err);
	}
	v = merging_value(m, row, NULL, GROUP_ROW, d->life, DECISION, false, own, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->alive = true;
	v->row_unit = unit != UNIT_NONE ? unit : d->row_unit;
	return merging_record(m, row, v, d, "superseded", 0, "adoption", say != NULL ? say : say_of(m->reg), err);
}

/* The superior deleted it: the row goes, with all its values on record. */
static int adopt_ended(struct merging *m, struct merging_row *row, const struct cell *cells, struct err *err)
{
	const struct reg *r = m->reg;
	int rc = 0;

	for (uint32_t g = 1; rc == 0 && g < r->ngroups; g++)
		if (r->groups[g] != NULL && !seal_at_default(r, r->groups[g], cells))
			rc = recorded(m, row, g, NULL, false, cells, err);
	if (rc == 0)
		rc = table_delete(m->e->table, r, row->held.key, err);
	return rc == 0 ? merging_end_row(m, row, err) : rc;
}

/* What stood here before there was a rule is sealed all the same; an issue names the rule. */
static int judged(struct merging *m, struct merging_row *row, const struct cell *cells, struct err *err)
{
	const char *say = NULL;
	uint64_t own = 0;
	int rc;

	for (uint32_t i = 0; i < row->nown; i++)
		own |= row->own[i].v->kind == DECISION && row->own[i].group != GROUP_ROW ? UINT64_C(1) << row->own[i].group : 0;
	rc = own != 0 ? judge_own(m, row, own, row->held.row->row.decision->row_unit, cells, &say, err) : 0;
	if (rc != 0 || say == NULL)
		return rc;
	return issue_put(m->e->db, "rule", m->reg->name, row->held.key_cell, row->unit, say, now_ms(m->e), err);
}

static int adopt_here(struct merging *m, struct merging_row *row, const struct cell *cells, struct err *err)
{
	struct look *look;
	int rc;

	switch (adopt_compare(m->reg, &row->held, m->e->unit, cells)) {
	case ADOPT_EQUAL:
		break;
	case ADOPT_DIFFERS:
		if (!same_unit(m->reg, row->held.row->row.decision, cells)) {
			rc = adopt_unit(m, row, cells, err);
			if (rc != 0)
				return rc;
		}
		for (uint32_t g = 1; g < m->reg->ngroups; g++) {
			rc = m->reg->groups[g] != NULL ? adopt_group(m, row, g, cells, err) : 0;
			if (rc != 0)
				return rc;
		}
		rc = judged(m, row, cells, err);
		if (rc != 0)
			return rc;
		break;
	case ADOPT_ENDED:
		if (m->reg->adoption == ADOPT_SUPERIOR)
			return adopt_ended(m, row, cells, err);
		/* fall through */
	case ADOPT_ONLY_HERE:
	case ADOPT_ELSEWHERE:
		look = arena_alloc(&m->row, sizeof *look);
		if (look == NULL)
			return err_set(err, ERR_NOMEM, "register %s: memory is short", m->reg->name);
		rc = seal_look(m, m->reg, row->held.key_cell, look, err);
		if (rc == 0)
			rc = seal_insert(m, row, look, cells, err);
		if (rc != 0 || row->nown == 0)   /* a bad unit, or not this level's to create: an issue, and it stays */
			return rc;
		m->table_stands = !(row->held.flags & STATE_QUARANTINE);         /* the row is there, as it was sealed */
		return back_end(m, row, look, err);
	}
	return merging_end_row(m, row, err);
}

int adopt_row(struct merging *m, struct merging_row *row, const struct cell *cells, struct err *err)
{
	bool walk = m->walk;
	int rc = held_cells(m->e->table, &row->held, &m->row, err);

	if (rc != 0)
		return rc;
	m->adopting = m->walk = true;            /* the table stands, but where the row waits */
	m->review = m->reg->adoption == ADOPT_REVIEW;
	rc = adopt_here(m, row, cells, err);
	m->adopting = m->review = false;
	m->walk = walk;
	return rc;
}

/* ---- the register */

static int put(struct engine *e, struct reg *r, enum adoption keep, const char *actor, int64_t total, struct err *err)
{
	sqlite3_stmt *q = db_statement(e->db, keep == ADOPT_NOT ? SQL_ADOPTION_END : SQL_ADOPTION_PUT, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, r->number);
	if (keep != ADOPT_NOT) {
		bind_text(q, 2, adoption_word(keep));
		bind_text(q, 3, actor);
		sqlite3_bind_int64(q, 4, total);
	}
	r->adoption = keep;
	return db_run(e->db, q, err);
}

int adopt_wait(struct engine *e, struct reg *r, struct err *err)
{
	if (!r->hold && !table_has_rows(e->db, r->name))
		return 0;
	if (!r->hold)
		event(e, LOG_LEVEL_NOTICE, "policy", UNIT_NONE, NULL, "register %s: its table has rows already; they stay as they are "
		      "until terracectl adopt has shown a plan and is told to apply it", r->name);
	return put(e, r, ADOPT_WAITS, NULL, 0, err);
}

int adopt_look(struct engine *e, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < e->catalog->nregs && rc == 0; i++) {
		struct reg *r = e->catalog->regs[i];

		if (r->policy == NULL || r->hold || r->adoption != ADOPT_WAITS || table_has_rows(e->db, r->name))
			continue;
		rc = put(e, r, ADOPT_NOT, NULL, 0, err);
		if (rc == 0)
			rc = watch_register(e, r, err);
		if (rc == 0)                     /* what waited above an empty table is written by the walk */
			rc = watch_walk(e, r, "adopt", err);
	}
	return rc;
}

int adopt_begin(struct engine *e, struct reg *r, enum adoption keep, const char *actor, struct err *err)
{
	int64_t total = 0;
	int rc = table_count(e->db, r->name, &total, err);

	if (rc == 0)
		rc = put(e, r, keep, actor, total, err);
	if (rc == 0)
		rc = watch_register(e, r, err);
	return rc == 0 ? watch_walk(e, r, "adopt", err) : rc;
}

int adopt_step(struct engine *e, const struct reg *r, uint32_t n, struct err *err)
{
	sqlite3_stmt *q = db_statement(e->db, SQL_ADOPTION_STEP, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, r->number);
	bind_u64(q, 2, n);
	return db_run(e->db, q, err);
}

int adopt_end(struct engine *e, const struct reg *r, struct err *err)
{
	sqlite3_stmt *q = db_statement(e->db, SQL_ADOPTION_END, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, r->number);
	event(e, LOG_LEVEL_NOTICE, "adopt", UNIT_NONE, NULL, "register %s is adopted (keep = %s)", r->name,
	      adoption_word(r->adoption));
	return db_run(e->db, q, err);
}

static int apply_one(struct engine *e, const char *word, const char *actor, struct err *err)
{
	const char *is = strchr(word, '=');
	struct reg *r = is != NULL ? catalog_register(e->catalog, (struct slice){(const uint8_t *)word, (size_t)(is - word)}) : NULL;
	enum adoption keep = is != NULL ? adoption_of(is + 1) : ADOPT_NOT;

	if (keep == ADOPT_NOT)
		return err_set(err, ERR_USAGE, "%s: write REGISTER=mine, REGISTER=superior or REGISTER=review", word);
	if (r == NULL || r->policy == NULL)
		return err_set(err, ERR_NOT_FOUND, "%.*s is no register of the policies in force here", (int)(is - word), word);
	if (r->adoption != ADOPT_WAITS)
		return err_set(err, ERR_REFUSED, "register %s does not wait to be adopted; make a new plan with terracectl adopt", r->name);
	if (r->hold)
		return err_set(err, ERR_REFUSED, "register %s: the application's table lacks a column of the policy; upgrade the "
		               "application first", r->name);
	return adopt_begin(e, r, keep, actor, err);
}

int adopt_apply(struct engine *e, const char *const *words, uint32_t n, const char *actor, json_t **ret, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	char list[20];
	int rc;

	snprintf(list, sizeof list, "%016llx", (unsigned long long)e->catalog->list);
	if (strcmp(list, words[0]) != 0)
		return err_set(err, ERR_REFUSED, "the plan was made under another policy; make a new one with terracectl adopt");
	rc = begin_empty(e, err);
	guard = e;
	for (uint32_t i = 1; rc == 0 && i < n; i++)
		rc = apply_one(e, words[i], actor, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc != 0) {
		if (e->db->in_transaction)
			engine_rollback(e);
		engine_reload_catalog(e, NULL);  /* what was said of registers in it */
		return rc;
	}
	for (uint32_t i = 1; i < n; i++)
		event(e, LOG_LEVEL_NOTICE, "adopt", UNIT_NONE, NULL, "%s begins, ordered by %s", words[i], actor);
	*ret = json_pack("{s:i, s:s}", "registers", (int)n - 1, "actor", actor);
	return 0;
}
