/* Evidence: what a child says as state against what its author signed, and against what this node knows of itself. */
#include "engine/evidence.h"

#include <string.h>

#include "base/log.h"

#define SEGMENTS_MOST 64u                /* of one seal; of a larger one nothing is looked up */

struct looking {
	struct merging *m;
	const struct merging_row *row;
	const struct value *v;
	struct arena arena;
	struct buf raw, bytes;
	bool found, differs;
};

static bool cells_differ(const struct value *v, const struct value *signed_value)
{
	for (uint32_t i = 0; i < signed_value->ncells && i < v->ncells; i++) {
		if (signed_value->present != NULL && !signed_value->present[i])
			continue;
		if ((v->present == NULL || v->present[i]) && !cell_equal(v->cells[i], signed_value->cells[i]))
			return true;
	}
	return false;
}

static bool differ(const struct value *v, const struct value *w)
{
	if (!ident_equal(v->life, w->life))
		return true;
	return v->group == GROUP_ROW ? v->alive != w->alive || v->row_unit != w->row_unit : cells_differ(v, w);
}

/* What the signed payload says of the very write that v claims to be. */
static void compare(struct looking *l, const struct payload *p)
{
	const struct wire_map *maps = wire_maps(l->m->e, p, &l->arena);
	const struct value *v = l->v;

	for (uint32_t i = 0; maps != NULL && i < p->nchanges && !l->found; i++) {
		const struct change *c = &p->changes[i];

		if (maps[c->reg].reg != l->m->reg || c->key.n != l->m->reg->nkey ||
		    !cell_equal(key_column(c->key, &l->arena), l->row->held.key_cell))
			continue;
		for (uint32_t k = 0; k < c->nparts && !l->found; k++) {
			struct value w;

			if ((c->parts[k].group == PART_ROW) != (v->group == GROUP_ROW) ||
			    !ident_equal(version_ident(c->parts[k].version), version_ident(v->v)) ||
			    wire_value(l->m->e, p, &maps[c->reg], c, &c->parts[k], &l->arena, &w, NULL) != 0)
				continue;
			if (w.group != v->group)
				continue;
			l->found = true;
			l->differs = differ(v, &w);
		}
	}
}

/* It was verified when it was kept. */
static int look_into(struct looking *l, int64_t id, struct err *err)
{
	struct segment s;
	struct payload p;
	int rc;

	arena_reset(&l->arena);
	buf_clear(&l->bytes);
	buf_clear(&l->raw);
	l->arena.cap = LIMIT_DECODED;
	l->raw.cap = LIMIT_SEGMENT_RAW;
	rc = segment_bytes(l->m->e->db, id, &l->bytes, err);
	if (rc == 0)
		rc = segment_parse(buf_slice(&l->bytes), &l->arena, &s, err);
	if (rc == 0)
		rc = segment_inflate(&s, &l->raw, err);
	if (rc == 0)
		rc = payload_decode(buf_slice(&l->raw), &l->arena, &p, err);
	if (rc == 0)
		compare(l, &p);
	return rc;
}

/* Another value than was signed, or one that was never signed: the chain of the author's stream says so, where it is kept. */
static int contradicts(struct merging *m, const struct merging_row *row, const struct value *v, bool *ret, struct err *err)
{
	const struct mark mark = version_mark(v->v);
	struct looking l = { .m = m, .row = row, .v = v };
	int64_t ids[SEGMENTS_MOST];
	bool never = false, all = false;
	int rc = 0;

	for (uint64_t stream = 0; rc == 0 && stream < LEVELS; stream++) {
		uint32_t n = 0;

		rc = segments_of_mark(m->e->db, v->v->unit, stream, mark, ids, SEGMENTS_MOST, &n, &all, err);
		for (uint32_t i = 0; rc == 0 && i < n && !l.differs && !l.found; i++)
			rc = look_into(&l, ids[i], err);
		never |= all && stream == (uint64_t)m->reg->policy->ceiling;
	}
	*ret = l.differs || (never && !l.found);
	arena_release(&l.arena);
	buf_release(&l.raw);
	buf_release(&l.bytes);
	return rc;
}

/* Others' values of others' rows: a child that says such a thing has it from nowhere, unless a restore took it here. */
static bool strangers(struct merging *m, const struct merging_row *row, const struct value *v)
{
	const struct value *d = row->held.row->row.decision;
	uint64_t unit = v->group == GROUP_ROW ? v->row_unit : d != NULL ? d->row_unit : UNIT_NONE;
	uint64_t author = v->v->unit, peer = m->from->peer;

	return !m->context.healing && m->reg->policy->unit_source != UNIT_ALL && !unit_contains(peer, author) &&
	       !unit_contains(author, peer) && !unit_contains(peer, unit);
}

/* A value as of this node itself, of a run that it does not remember: a restore that it has not noticed, or a lie. */
static int own_unknown(struct merging *m, const struct value *v, struct err *err)
{
	struct epoch_row known;
	bool found = false;
	uint32_t epoch = version_mark(v->v).epoch;
	int rc = v->v->unit == m->e->unit && epoch != m->e->epoch && !m->context.healing ?
	         epoch_row(m->e->db, epoch, &known, &found, err) : 0;

	if (rc == 0 && !found && v->v->unit == m->e->unit && epoch != m->e->epoch && !m->context.healing)
		event(m->e, LOG_LEVEL_WARNING, "alarm", m->from->peer, m->from->name, "a value in register %s as of this node, of a run "
		      "that it does not remember; unit %012llu alone vouches for it", m->reg->name, (unsigned long long)m->from->peer);
	return rc;
}

int evidence_state(struct merging *m, const struct merging_row *row, const struct value *v, const struct verdict *verdict,
                   bool *ret_refused, struct err *err)
{
	int rc = 0;

	*ret_refused = false;
	if (verdict->name == VERDICT_OLD || verdict->name == VERDICT_PASS || verdict->name == VERDICT_NEED || m->reg->policy == NULL)
		return 0;
	if (strangers(m, row, v)) {
		*ret_refused = true;
		event(m->e, LOG_LEVEL_ERROR, "alarm", m->from->peer, m->from->name, "out-of-scope: a value as of unit %012llu in register "
		      "%s, of a row that is not below unit %012llu", (unsigned long long)v->v->unit, m->reg->name,
		      (unsigned long long)m->from->peer);
		return 0;
	}
	rc = contradicts(m, row, v, ret_refused, err);
	if (rc == 0 && !*ret_refused && verdict->name != VERDICT_KEEP)
		rc = own_unknown(m, v, err);
	if (rc == 0 && *ret_refused)
		event(m->e, LOG_LEVEL_ERROR, "alarm", m->from->peer, m->from->name, "equivocation: a value as of unit %012llu in register "
		      "%s that this unit has not signed", (unsigned long long)v->v->unit, m->reg->name);
	return rc;
}
