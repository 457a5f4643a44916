/* Seal, what goes back: writes that this level may only suggest, or may not make at all.  The row is put back to what
 * stands by the rules of a merge: what the table refuses waits in quarantine, the state is right at once. */
#include <string.h>

#include "base/log.h"
#include "engine/seal_inside.h"

static int memory(const struct reg *r, struct err *err)
{
	return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
}

/* ---- a group */

int back_stood(struct merging *m, struct merging_row *row, uint32_t g, const struct look *look, const struct cell *cells,
               struct err *err)
{
	struct life_state *l = row_current(row->held.row);
	const struct group *group = m->reg->groups[g];
	struct value *whole;
	struct cell *stood;

	if (row->held.flags & STATE_QUARANTINE)          /* the table lags: quarantine has its cells, and they are loaded */
		return 0;
	whole = arena_copy(&m->row, l->groups[g].decision, sizeof *whole);
	stood = arena_array(&m->row, group->ncolumns + 1, sizeof *stood);
	if (whole == NULL || stood == NULL)
		return memory(m->reg, err);
	for (uint32_t i = 0; i < group->ncolumns; i++) {
		size_t at = (size_t)(group->columns[i] - m->reg->columns);

		stood[i] = look->has_old[at] ? look->old[at] : cells[at];
	}
	whole->cells = stood;
	whole->ncells = group->ncolumns;
	whole->present = NULL;
	l->groups[g].decision = whole;
	return 0;
}

void back_group(const struct reg *r, uint32_t g, struct look *look)
{
	for (uint32_t i = 0; i < r->groups[g]->ncolumns; i++) {
		size_t at = (size_t)(r->groups[g]->columns[i] - r->columns);

		look->back[at] = look->has_old[at];
		look->goes_back = look->goes_back || look->back[at];
	}
}

int back_return(struct merging *m, struct merging_row *row, struct value *lost, const struct value *kept, const char *why,
                const char *say, struct err *err)
{
	return merging_record(m, row, lost, kept, "read-only", 0, why, say, err);
}

/* ---- group row */

static bool is_number(const struct column *c)
{
	return c->affinity == 'I' || c->affinity == 'N' || c->affinity == 'R';
}

/* The unit as the column holds it. */
static int unit_cell(struct merging *m, uint64_t unit, struct cell *ret, struct err *err)
{
	char *text = arena_alloc(&m->row, UNIT_TEXT_SIZE);

	if (text == NULL)
		return memory(m->reg, err);
	*ret = is_number(m->reg->unit) ? (struct cell){.type = CELL_INT, .i = (int64_t)unit} :
	       (struct cell){.type = CELL_TEXT, .s = slice_of(unit_text(unit, text))};
	return 0;
}

int back_unit(struct merging *m, struct merging_row *row, struct look *look, struct err *err)
{
	/* via: the column that refers to the row stands in a group and goes back with it. */
	size_t at = m->reg->unit != NULL ? (size_t)(m->reg->unit - m->reg->columns) : 0;
	int rc = m->reg->unit == NULL || look->has_old[at] ? 0 : unit_cell(m, row->held.row->row.decision->row_unit, &look->old[at], err);

	if (m->reg->unit != NULL)
		look->has_old[at] = look->back[at] = look->goes_back = true;
	return rc;
}

int seal_take_out(struct merging *m, struct merging_row *row, struct err *err)
{
	struct err say = {0};
	int rc = table_keys(m->e->table, m->reg, row->held.key, true, &say);

	if (rc == 0)
		return table_delete(m->e->table, m->reg, row->held.key, err);
	if (rc != ERR_REFUSED) {
		if (err != NULL)
			*err = say;
		return rc;
	}
	/* it stays, is not sealed, and is an issue for people */
	return issue_put(m->e->db, "not-allowed", m->reg->name, row->held.key_cell, UNIT_NONE,
	                 "this level may not create the row, but another row refers to it / 本级无权新建该行，但有其他行引用它",
	                 now_ms(m->e), err);
}

/* ---- a row that was taken away */

/* Whether what was done last with a column of the row stands, by the rights of this level. */
static bool decides(struct merging *m, const struct merging_row *row, const struct column *c)
{
	uint64_t unit = row->held.row->row.decision->row_unit;
	bool acting;

	if (c == m->reg->unit)
		return own_mode(m->e, m->reg, unit, GROUP_ROW, RIGHT_CREATE, &acting) == MODE_OWN;
	return c->group != 0 && own_mode(m->e, m->reg, unit, c->group, RIGHT_GROUP, &acting) == MODE_OWN;
}

/* `was`: the row as it was when it went; `is`: as it comes back.  look->columns: what was typed before it went. */
static void as_it_stood(struct merging *m, const struct merging_row *row, struct look *look, struct cell *was,
                        struct cell *is)
{
	const struct reg *r = m->reg;

	for (uint32_t i = 0; i < r->ncolumns + r->nlocal; i++) {
		const struct column *c = i < r->ncolumns ? &r->columns[i] : &r->local[i - r->ncolumns];

		was[i] = look->has_old[i] ? look->last[i] : c->fallback;
		/* what does not travel is nobody's to decide: as it was when it went */
		is[i] = !look->has_old[i] || i >= r->ncolumns || decides(m, row, c) ? was[i] : look->old[i];
		if (i < r->ncolumns)
			look->columns[i] = look->has_old[i] && !cell_equal(look->old[i], was[i]);
	}
	for (uint32_t i = 0; i < r->nkey; i++) {
		size_t at = (size_t)(r->key[i] - r->columns);

		was[at] = is[at] = look->old[at] = row->held.key.cells[i];
		look->has_old[at] = true;
	}
	look->whole = true;
	look->goes_back = true;
}

static int delete_told(struct merging *m, struct merging_row *row, bool propose, struct err *err)
{
	const struct value *h = row->held.row->row.decision;
	struct value *v;
	struct mark own;
	int rc = seal_mark(m, &own, err);

	if (rc != 0)
		return rc;
	v = merging_value(m, row, h, GROUP_ROW, h->life, propose ? PROPOSAL : DECISION, false, own, err);
	if (v == NULL)
		return ERR_NOMEM;
	v->row_unit = h->row_unit;
	if (propose)
		return merging_own(m, row, v, NULL, err);
	event(m->e, LOG_LEVEL_WARNING, "refuse", UNIT_NONE, NULL, "register %s: a delete that this level may not make was put back",
	      m->reg->name);
	return back_return(m, row, v, h, "mode", "this level may not delete rows / 本级无权删除", err);
}

int back_delete(struct merging *m, struct merging_row *row, struct look *look, bool propose, struct err *err)
{
	struct life_state *l = row_current(row->held.row);
	const struct reg *r = m->reg;
	struct cell *was = arena_array(&m->row, r->ncolumns + r->nlocal + 1, sizeof *was);
	struct cell *is = arena_array(&m->row, r->ncolumns + r->nlocal + 1, sizeof *is);
	struct err say = {0};
	int rc;

	if (was == NULL || is == NULL)
		return memory(r, err);
	as_it_stood(m, row, look, was, is);
	rc = delete_told(m, row, propose, err);
	for (uint32_t g = 1; g < r->ngroups && rc == 0; g++)
		if (l->groups[g].decision != NULL && r->groups[g] != NULL)
			rc = back_stood(m, row, g, look, was, err);
	if (rc != 0)
		return rc;
	rc = table_restore(m->e->table, r, look->has_old, is, &say);
	if (rc == 0) {
		rc = table_keys(m->e->table, r, row->held.key, false, &say);
		look->orphan = rc == ERR_REFUSED;
	}
	if (rc == ERR_REFUSED) {
		row->refused = arena_text(&m->row, slice_of(say.text));
		if (row->refused == NULL)
			return memory(r, err);
	} else if (rc != 0) {
		if (err != NULL)
			*err = say;
		return rc;
	}
	return seal_update(m, row, look, was, err);
}

/* ---- the end of a row */

/* The table as it has to be, or the reason why it is not. */
static int write_back(struct merging *m, struct merging_row *row, struct look *look, struct err *err)
{
	struct err say = {0};
	int rc = table_write(m->e->table, m->reg, row->held.key, false, look->back, look->old, &say);

	if (rc == ERR_REFUSED) {
		row->refused = arena_text(&m->row, slice_of(say.text));
		return row->refused != NULL ? 0 : memory(m->reg, err);
	}
	if (rc != 0 && err != NULL)
		*err = say;
	return rc;
}

int back_end(struct merging *m, struct merging_row *row, struct look *look, struct err *err)
{
	int rc = 0;

	/* Where the table lags already, the end of the row writes all of it. */
	if (look->goes_back && row->refused == NULL && !(row->held.flags & STATE_QUARANTINE))
		rc = write_back(m, row, look, err);
	if (rc == 0 && row->refused != NULL)
		m->e->next_retry_ms = 0;         /* another row of this seal may be in the way, and go back as well */
	if (rc == 0 && (row->nown > 0 || row->refused != NULL))
		rc = merging_end_row(m, row, err);
	return rc == 0 && look->orphan ? table_delete(m->e->table, m->reg, row->held.key, err) : rc;
}
