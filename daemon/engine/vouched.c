/* Vouched: values that a child told as state, whose author's signed delta is not here, and keys that two units hold: what
 * people look at beside the records (terrace-wire(7), State up; authority.md, Existence). */
#include <stdio.h>

#include "base/log.h"
#include "engine/merge.h"

/* One question a batch: its values share a mark. */
static int delta_kept(struct merging *m, const struct version *v, bool *ret, struct err *err)
{
	struct ident name = version_ident(v);

	if (!ident_equal(m->asked, name)) {
		int rc = segment_of_mark(m->e->db, name.unit, name.mark, &m->asked_kept, err);

		if (rc != 0)
			return rc;
		m->asked = name;
	}
	*ret = m->asked_kept;
	return 0;
}

static bool comes_to_stand(enum verdict_name name)
{
	return name == VERDICT_TAKE || name == VERDICT_TAKE_OVER || name == VERDICT_DIVERT;
}

int vouched_state(struct merging *m, const struct merging_row *row, const struct value *v, enum verdict_name verdict,
                  struct err *err)
{
	struct engine *e = m->e;
	char text[200];
	bool kept = true;
	int rc;

	if (!comes_to_stand(verdict) || v->v->unit == m->from->peer || !unit_contains(e->unit, v->v->unit))
		return 0;
	rc = delta_kept(m, v->v, &kept, err);
	if (rc != 0 || kept)
		return rc;
	snprintf(text, sizeof text, "group %s of unit %012llu came from unit %012llu without its author's signed delta / 由下级转报，没有登记单位的签名",
	         v->group == GROUP_ROW ? "row" : m->reg->groups[v->group]->name, (unsigned long long)v->v->unit,
	         (unsigned long long)m->from->peer);
	return issue_put(e->db, "vouched", m->reg->name, row->held.key_cell, v->v->unit, text, now_ms(e), err);
}

/* The delta of a value that is held already: it was vouched perhaps, and says now what its author signed. */
int vouched_delta(struct merging *m, struct merging_row *row, const struct value *v, struct err *err)
{
	const struct group_state *g = row_group(row->held.row, v->group, v->life);
	const struct slot *slot = g != NULL && v->v->kind == PROPOSAL ? group_slot(g, v) : NULL;
	const struct value *h = slot != NULL ? slot->value : g != NULL && v->v->kind == DECISION ? g->decision : NULL;
	int rc = 0;

	if (h == NULL || !ident_equal(version_ident(h->v), version_ident(v->v)))
		return 0;
	if (!row->held.has_cells)
		rc = held_cells(m->e->table, &row->held, &m->row, err);
	if (rc != 0)
		return rc;
	if (v->group == GROUP_ROW || (h->cells != NULL && v->cells != NULL)) {
		if (!closing_same(h, v))
			event(m->e, LOG_LEVEL_ERROR, "alarm", m->from->peer, m->from->name, "equivocation: unit %012llu signed another value of "
			      "register %s than the one that was told as state", (unsigned long long)v->v->unit, m->reg->name);
	}
	return issue_solved(m->e->db, "vouched", m->reg->name, row->held.key_cell, err);
}

int vouched_clash(struct merging *m, const struct merging_row *row, const struct value *v, struct err *err)
{
	const struct value *d = row->held.row->row.decision;
	char text[200];

	if (d == NULL)
		return 0;
	snprintf(text, sizeof text, "the key is held by unit %012llu, and unit %012llu entered it too / 同一编号由两个单位登记",
	         (unsigned long long)d->row_unit, (unsigned long long)v->row_unit);
	return issue_put(m->e->db, "key-clash", m->reg->name, row->held.key_cell, v->row_unit, text, now_ms(m->e), err);
}
