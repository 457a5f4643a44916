/* Mend: values of a damaged row from where they are right: the side whose row hash fits, the author's signed delta, and
 * where neither is there the superior (design protocol §7).  Versions stay as they are: damage is no conflict. */
#include "engine/audit.h"

#include <string.h>

#include "base/log.h"
#include "engine/contact.h"
#include "engine/seal.h"
#include "store/compared.h"
#include "store/reports.h"
#include "store/terms.h"

#define BASES_MOST 64u                   /* deltas of one group that are followed back */

static int memory(const struct merging *m, struct err *err)
{
	return err_set(err, ERR_NOMEM, "register %s: memory is short", m->reg->name);
}

static bool is_whole(const struct value *v, const struct group *g)
{
	return v != NULL && v->cells != NULL && v->present == NULL && g != NULL && v->ncells == g->ncolumns;
}

/* The value among those that came that says the same version of the group. */
static const struct value *same_version(const struct value *const *came, uint32_t n, const struct value *d)
{
	for (uint32_t i = 0; i < n; i++)
		if (came[i] != NULL && came[i]->group == d->group && came[i]->v->kind == DECISION && ident_equal(came[i]->life, d->life) &&
		    ident_equal(version_ident(came[i]->v), version_ident(d->v)))
			return came[i];
	return NULL;
}

/* The decision's version with other cells. */
static const struct value *with_cells(struct merging *m, const struct value *d, const struct value *from)
{
	struct value *v = arena_copy(&m->row, d, sizeof *v);

	if (v == NULL)
		return NULL;
	v->cells = from->cells;
	v->ncells = from->ncells;
	v->present = NULL;
	return v;
}

/* Whether the row on record, with those values in place of the table's, hashes to what the record says. */
static int fits(struct merging *m, struct merging_row *row, const struct value *const *came, uint32_t n, bool *ret, struct err *err)
{
	struct life_state *l;
	struct held copy;
	struct term term;
	int rc = state_load(m->e->state, m->reg, row->held.key, &m->row, &copy, err);

	*ret = false;
	if (rc != 0 || !copy.has_term)
		return rc;
	rc = held_cells(m->e->table, &copy, &m->row, err);
	l = row_current(copy.row);
	for (uint32_t g = 1; rc == 0 && l != NULL && g < copy.row->ngroups; g++) {
		const struct value *d = l->groups[g].decision, *v = d != NULL ? same_version(came, n, d) : NULL;

		if (is_whole(v, m->reg->groups[g]) && (l->groups[g].decision = with_cells(m, d, v)) == NULL)
			return memory(m, err);
	}
	if (rc == 0)
		rc = terms_row(m->e->state, m->e->table, &copy, &m->row, &term, err);
	*ret = rc == 0 && term_equal(&term, &copy.term);
	return rc;
}

/* Those values are the row's from now on. */
static int put_in(struct merging *m, struct merging_row *row, const struct value *const *came, uint32_t n, enum mending_kind kind,
                  struct err *err)
{
	struct life_state *l = row_current(row->held.row);
	int rc = held_cells(m->e->table, &row->held, &m->row, err);

	for (uint32_t g = 1; rc == 0 && l != NULL && g < row->held.row->ngroups; g++) {
		const struct value *d = l->groups[g].decision, *v = d != NULL ? same_version(came, n, d) : NULL;

		if (is_whole(v, m->reg->groups[g]) && (l->groups[g].decision = with_cells(m, d, v)) == NULL)
			return memory(m, err);
	}
	row->mend = kind;
	row->held.rehash = kind == MEND_STATE;
	return rc;
}

/* ---- signed deltas kept here */

struct seeking {
	struct merging *m;
	const struct merging_row *row;
	struct ident wanted;
	uint32_t group;
	struct value value;
	bool found;
	int rc;
};

static int seek(void *arg, int64_t id, struct slice bytes)
{
	struct seeking *s = arg;
	struct arena *a = &s->m->row;
	_cleanup_(buf_release) struct buf raw = { .cap = LIMIT_SEGMENT_RAW };
	const struct wire_map *maps;
	struct segment segment;
	struct payload p;

	(void)id;
	if (segment_parse(arena_slice(a, bytes), a, &segment, NULL) != 0 || segment_inflate(&segment, &raw, NULL) != 0 ||
	    payload_decode(arena_slice(a, buf_slice(&raw)), a, &p, NULL) != 0 || (maps = wire_maps(s->m->e, &p, a)) == NULL)
		return 0;
	for (uint32_t i = 0; i < p.nchanges; i++) {
		const struct change *c = &p.changes[i];

		if (maps[c->reg].reg != s->m->reg || !key_equal(c->key, s->row->held.key))
			continue;
		for (uint32_t k = 0; k < c->nparts; k++)
			if (c->parts[k].group != PART_ROW && ident_equal(version_ident(c->parts[k].version), s->wanted) &&
			    wire_value(s->m->e, &p, &maps[c->reg], c, &c->parts[k], a, &s->value, NULL) == 0 && s->value.group == s->group) {
				s->found = true;
				return 1;
			}
	}
	return 0;
}

/* The whole value of a version as its author signed it, from this delta and those that it builds on; NULL: not kept. */
static int evidence(struct merging *m, const struct merging_row *row, const struct value *d, const struct value **ret, struct err *err)
{
	const struct group *group = m->reg->groups[d->group];
	struct cell *cells = arena_array(&m->row, group->ncolumns + 1, sizeof *cells);
	bool *known = arena_array(&m->row, group->ncolumns + 1, sizeof *known);
	struct value *v = arena_copy(&m->row, d, sizeof *v);
	struct ident ident = version_ident(d->v);
	uint32_t left = group->ncolumns;

	*ret = NULL;
	if (cells == NULL || known == NULL || v == NULL)
		return memory(m, err);
	for (uint32_t i = 0; i < BASES_MOST && left > 0 && ident.unit != UNIT_NONE; i++) {
		struct seeking s = { .m = m, .row = row, .wanted = ident, .group = d->group };
		int rc = report_evidence(m->e->db, ident.unit, ident.mark, 0, seek, &s, err);

		if (rc != 0 || !s.found)
			return rc;
		for (uint32_t k = 0; k < s.value.ncells; k++)
			if (!known[k] && (s.value.present == NULL || s.value.present[k])) {
				cells[k] = s.value.cells[k];
				known[k] = true;
				left--;
			}
		ident = s.value.v->base;
	}
	if (left > 0)
		return 0;
	v->cells = cells;
	v->ncells = group->ncolumns;
	v->present = NULL;
	*ret = v;
	return 0;
}

static int evidence_all(struct merging *m, const struct merging_row *row, const struct value **ret, uint32_t *ret_n, struct err *err)
{
	const struct life_state *l = row_current(row->held.row);
	int rc = 0;

	*ret_n = 0;
	for (uint32_t g = 1; rc == 0 && l != NULL && g < row->held.row->ngroups; g++)
		if (l->groups[g].decision != NULL && m->reg->groups[g] != NULL) {
			rc = evidence(m, row, l->groups[g].decision, &ret[*ret_n], err);
			*ret_n += ret[*ret_n] != NULL;
		}
	return rc;
}

/* ---- a state came */

static bool same_cells(const struct value *a, const struct value *b)
{
	for (uint32_t i = 0; i < a->ncells && i < b->ncells; i++)
		if (!cell_equal(a->cells[i], b->cells[i]))
			return false;
	return a->ncells == b->ncells;
}

/* The same version with other values on the two sides, each agreeing with its own hash. */
static int settle(struct merging *m, struct merging_row *row, const struct value *const *came, uint32_t n, struct err *err)
{
	const struct life_state *l = row_current(row->held.row);
	const struct value **right = arena_array(&m->row, LIMIT_GROUPS, sizeof *right);
	uint32_t nright = 0;
	int rc = right == NULL ? memory(m, err) : held_cells(m->e->table, &row->held, &m->row, err);

	for (uint32_t g = 1; rc == 0 && l != NULL && g < row->held.row->ngroups; g++) {
		const struct value *d = l->groups[g].decision, *v = d != NULL ? same_version(came, n, d) : NULL, *signed_one = NULL;

		if (!is_whole(v, m->reg->groups[g]) || !is_whole(d, m->reg->groups[g]) || same_cells(v, d))
			continue;
		rc = evidence(m, row, d, &signed_one, err);
		if (signed_one == NULL && !m->from->below)
			signed_one = v;          /* nobody can say any more: the superior's */
		if (signed_one != NULL && !same_cells(signed_one, d))
			right[nright++] = signed_one;
	}
	if (rc != 0 || nright == 0)
		return rc;
	event(m->e, LOG_LEVEL_ERROR, "alarm", m->from->peer, m->from->name, "register %s: a row had other values than its version; they are "
	      "mended", m->reg->name);
	return put_in(m, row, right, nright, MEND_STATE, err);
}

int mend_row(struct merging *m, struct merging_row *row, const struct value *const *came, uint32_t n, struct err *err)
{
	struct damage f;
	bool good = false;
	int rc = finding_get(m->e->db, m->reg, row->held.key_cell, &f, err);

	if (rc != 0 || !row->stood || row->held.flags & STATE_QUARANTINE)
		return rc;
	if (f.kind != FINDING_NONE && f.asked) {
		rc = fits(m, row, came, n, &good, err);
		if (rc == 0 && good)
			rc = put_in(m, row, came, n, MEND_TABLE, err);
		if (rc == 0 && good)
			rc = finding_clear(m->e->db, m->reg, row->held.key_cell, err);
		if (rc == 0)
			event(m->e, good ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR, good ? "reconcile" : "alarm", m->from->peer, m->from->name,
			      good ? "register %s: a row of the table is what the record says again" :
			      "register %s: what the neighbour holds of a damaged row does not fit the record either", m->reg->name);
		return rc;
	}
	if (!difference_has(m->e->db, m->from->peer, m->reg, row->held.key_cell))
		return 0;
	return settle(m, row, came, n, err);
}

/* ---- by command */

int mend_from_evidence(struct engine *e, struct reg *r, struct key key, bool *ret_mended, struct err *err)
{
	static const struct arrival self;
	struct counts counts = { 0 };
	struct merging_row row;
	struct merging m;
	const struct value **right;
	uint32_t n = 0;
	int rc;

	*ret_mended = false;
	merging_begin(&m, e, &self, &counts);
	rc = merging_load(&m, r, key, &row, err);
	right = arena_array(&m.row, LIMIT_GROUPS + 1, sizeof *right);
	if (rc == 0 && right == NULL)
		rc = memory(&m, err);
	if (rc == 0 && row.stood && !(row.held.flags & STATE_QUARANTINE))
		rc = evidence_all(&m, &row, right, &n, err);
	if (rc == 0 && n > 0)
		rc = fits(&m, &row, right, n, ret_mended, err);
	if (rc == 0 && *ret_mended)
		rc = put_in(&m, &row, right, n, MEND_TABLE, err);
	if (rc == 0 && *ret_mended)
		rc = merging_end_row(&m, &row, err);
	if (rc == 0 && *ret_mended)
		rc = finding_clear(e->db, r, row.held.key_cell, err);
	if (rc == 0)
		rc = merging_end(&m, err);
	merging_release(&m);
	return rc;
}

int mend_keep(struct engine *e, struct reg *r, struct key key, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	uint64_t before = e->activity;
	int rc = seal_late(e, r, key, err);

	if (rc == 0 && e->activity == before)
		rc = err_set(err, ERR_REFUSED, "register %s: this level may not write that row, so it cannot keep it; apply the plan without "
		             "--keep-local", r->name);
	return rc == 0 ? finding_clear(e->db, r, key_column(key, &a), err) : rc;
}
