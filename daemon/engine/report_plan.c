/* Report: the plan of a reconciliation: every row that an audit or a comparison found, with both sides' values, versions
 * and authors, what will be done, and by which rule.  What is to be done stands in one word a row, which `reconcile apply`
 * carries out (engine/plan.h). */
#include "engine/report_inside.h"

#include <strings.h>
#include <string.h>

#include "base/text.h"
#include "core/change.h"
#include "engine/audit.h"
#include "engine/plan.h"
#include "store/compared.h"

#define ROWS_MOST 5000u

struct planning {
	struct report *r;
	struct state *state;
	struct table *table;
	json_t *rows;
	uint64_t *found;                 /* by number of the register */
	uint64_t more;                   /* rows left out */
	uint64_t peer;
	struct arena arena;              /* of one row */
	struct err *err;
	int rc;
};

static void apply_word(struct planning *p, json_t *row, struct reg *reg, struct key key, char kind, uint64_t with)
{
	_cleanup_(buf_release) struct buf word = { 0 }, bytes = { 0 };
	uint8_t mark[ROW_MARK_SIZE];

	p->rc = row_mark(p->state, p->table, reg, key, &p->arena, mark, p->err);
	hex_put(&word, slice_of(reg->name));
	key_put(&bytes, key);
	buf_put_u8(&word, ':');
	hex_put(&word, buf_slice(&bytes));
	buf_printf(&word, ":%c:%012llu:", kind, (unsigned long long)with);
	hex_put(&word, (struct slice){ mark, sizeof mark });
	put(row, "apply", json_string(buf_text(&word)));
}

static bool wanted(const struct planning *p, const struct reg *reg, uint64_t unit)
{
	const struct report_filter *f = &p->r->filter;

	return (f->reg == NULL || strcasecmp(reg->name, f->reg) == 0) &&
	       (f->unit == UNIT_NONE || unit == UNIT_NONE || unit_contains(f->unit, unit) || unit_contains(unit, f->unit));
}

/* A new row of the plan; NULL: not asked for, or too many. */
static json_t *plan_row(struct planning *p, const struct reg *reg, struct cell key, uint64_t unit, const char *kind)
{
	json_t *row;

	if (!wanted(p, reg, unit))
		return NULL;
	if (reg->number <= LIMIT_REGISTERS)
		p->found[reg->number]++;
	p->r->found = 1;
	if (json_array_size(p->rows) >= ROWS_MOST) {
		p->more++;
		return NULL;
	}
	row = json_object();
	put(row, "register", json_words(reg->name));
	put(row, "key", json_key(p->r, reg, key));
	put(row, "unit", json_unit(unit));
	put(row, "kind", json_string(kind));
	json_array_append_new(p->rows, row);
	return row;
}

/* ---- what an audit found */

static json_t *held_groups(struct planning *p, struct held *h)
{
	const struct life_state *l = row_current(h->row);
	json_t *groups = json_array();

	p->rc = held_cells(p->table, h, &p->arena, p->err);
	for (uint32_t g = 1; p->rc == 0 && l != NULL && g < h->row->ngroups; g++) {
		json_t *one;

		if (l->groups[g].decision == NULL || h->reg->groups[g] == NULL)
			continue;
		one = json_object();
		put(one, "group", json_words(h->reg->groups[g]->name));
		put(one, "here", report_value(p->r, h->reg, l->groups[g].decision));
		json_array_append_new(groups, one);
	}
	return groups;
}

static int found_damage(void *arg, const struct damage *f)
{
	static const char *const kinds[] = { "", "changed", "missing", "not-entered" };
	static const char *const will[] = { "",
		"the values of the record come back, from the author's signed delta or from a neighbour",
		"the row comes back, from the author's signed delta or from a neighbour",
		"the row is taken out of the table, which nobody entered in the ordinary way",
	};
	static const char words[] = { ' ', PLAN_CHANGED, PLAN_MISSING, PLAN_UNKNOWN };
	struct planning *p = arg;
	struct reg *reg = catalog_number(p->r->catalog, f->reg);
	struct held h;
	struct key key;
	json_t *row;

	arena_reset(&p->arena);
	if (reg == NULL || reg->policy == NULL || key_from_column(f->key, reg->nkey, &p->arena, &key, NULL) != 0)
		return 0;
	p->rc = state_load(p->state, reg, key, &p->arena, &h, p->err);
	row = p->rc == 0 ? plan_row(p, reg, f->key, h.exists ? h.unit : UNIT_NONE, kinds[f->kind]) : NULL;
	if (row == NULL)
		return p->rc != 0;
	put(row, "with", json_null());
	if (f->kind == FINDING_CHANGED)
		put(row, "groups", held_groups(p, &h));
	put(row, "rule", json_null());
	put(row, "will", json_string(f->asked ? "the neighbours were asked for its values" : will[f->kind]));
	put(row, "asked", json_boolean(f->asked));
	if (p->rc == 0)
		apply_word(p, row, reg, key, words[f->kind], UNIT_NONE);
	return p->rc != 0;
}

/* ---- what a comparison found */

struct sides {
	const struct value *here;
	const struct part *there;
};

static bool same_values(const struct wire_group *w, const struct part *there, const struct group *g, const struct value *here)
{
	for (uint32_t i = 0; i < there->ncolumns; i++) {
		struct column *column = group_column(g, w->columns[there->columns[i]]);

		if (column == NULL || here->cells == NULL || column->in_group >= here->ncells ||
		    !cell_equal(here->cells[column->in_group], there->cells[i]))
			return false;
	}
	return true;
}

/* What the rule does of two values, and its number. */
static const char *judged(const struct sides *s, bool same, int *ret_rule)
{
	int order;

	*ret_rule = 5;
	if (s->here == NULL)
		return "taken from there";
	if (s->there == NULL)
		return "sent there";
	order = version_order(s->here->v, s->there->version);
	if (order != 0)
		return order > 0 ? "sent there: it is greater" : "taken from there: it is greater";
	*ret_rule = 3;
	return same ? NULL : "damage, the same version with other values: the author's signed delta is right, else the superior's value";
}

static void group_put(struct planning *p, json_t *groups, const char *name, const struct sides *s, const struct held *h,
                      const struct wire_register *w, bool same)
{
	int rule = 0;
	const char *will = judged(s, same, &rule);
	json_t *one;

	if (will == NULL)
		return;
	one = json_object();
	put(one, "group", json_words(name));
	put(one, "here", s->here != NULL ? report_value(p->r, h->reg, s->here) : json_null());
	put(one, "there", s->there != NULL ? report_part_json(p->r, w, s->there) : json_null());
	put(one, "rule", json_integer(rule));
	put(one, "will", json_string(will));
	json_array_append_new(groups, one);
}

static const struct part *part_there(const struct wire_register *w, const struct change *c, const char *group)
{
	for (uint32_t i = 0; c != NULL && i < c->nparts; i++)
		if (c->parts[i].version->kind == DECISION &&
		    (c->parts[i].group == PART_ROW ? group == NULL :
		     group != NULL && c->parts[i].group < w->ngroups && slice_equal(w->groups[c->parts[i].group].name, slice_of(group))))
			return &c->parts[i];
	return NULL;
}

static json_t *both_groups(struct planning *p, struct held *h, const struct wire_register *w, const struct change *c)
{
	const struct life_state *l = row_current(h->row);
	json_t *groups = json_array();
	struct sides row = { h->row->row.decision, part_there(w, c, NULL) };

	p->rc = held_cells(p->table, h, &p->arena, p->err);
	group_put(p, groups, "row", &row, h, w, true);
	for (uint32_t g = 1; p->rc == 0 && g < h->reg->ngroups; g++) {
		const struct group *group = h->reg->groups[g];
		struct sides s = { l != NULL && g < h->row->ngroups ? l->groups[g].decision : NULL, NULL };

		if (group == NULL)
			continue;
		s.there = part_there(w, c, group->name);
		if (s.here != NULL || s.there != NULL)
			group_put(p, groups, group->name, &s, h, w, s.here != NULL && s.there != NULL &&
			          same_values(&w->groups[s.there->group], s.there, group, s.here));
	}
	return groups;
}

static const char *kind_of(const struct held *h, uint64_t scope, const struct difference *d, const struct part *there)
{
	bool here = h->exists && h->flags & STATE_ALIVE && unit_contains(scope, h->unit);

	if (!here)
		return "missing-here";
	return !d->held || (there != NULL && !there->alive) ? "missing-there" : "differs";
}

static int found_difference(void *arg, const struct difference *d)
{
	struct planning *p = arg;
	struct reg *reg = catalog_number(p->r->catalog, d->reg);
	struct payload payload = { 0 };
	const struct change *c;
	const struct part *there;
	struct held h;
	struct key key;
	json_t *row;

	arena_reset(&p->arena);
	if (reg == NULL || reg->policy == NULL || key_from_column(d->key, reg->nkey, &p->arena, &key, NULL) != 0)
		return 0;
	p->rc = state_load(p->state, reg, key, &p->arena, &h, p->err);
	if (p->rc == 0 && d->body.n > 0)
		p->rc = payload_decode(d->body, &p->arena, &payload, p->err);
	if (p->rc != 0)
		return 1;
	c = payload.nchanges > 0 ? &payload.changes[0] : NULL;
	there = part_there(payload.registers, c, NULL);
	row = plan_row(p, reg, d->key, h.exists ? h.unit : there != NULL ? there->row_unit : UNIT_NONE,
	              kind_of(&h, p->r->home->unit, d, there));
	if (row == NULL)
		return 0;
	put(row, "with", json_unit(p->peer));
	if (c != NULL)
		put(row, "groups", both_groups(p, &h, payload.registers, c));
	put(row, "rule", json_integer(5));
	put(row, "will", json_string("the row passes once more, both ways, and the rule decides"));
	if (p->rc == 0)
		apply_word(p, row, reg, key, PLAN_DIFFERS, p->peer);
	return p->rc != 0;
}

/* ---- the whole */

static void planning_release(struct planning *p)
{
	arena_release(&p->arena);
	if (p->table != NULL)
		table_close(p->table);
	if (p->state != NULL)
		state_close(p->state);
}

int report_plan(struct report *r, json_t *rows, const uint64_t *peers, uint32_t npeers, uint64_t *found, uint64_t *ret_more,
                struct err *err)
{
	_cleanup_(planning_release) struct planning p = { .r = r, .rows = rows, .found = found, .err = err };
	int rc = state_open(r->db, &p.state, err);

	if (rc == 0)
		rc = table_open(r->db, &p.table, err);
	if (rc == 0)
		rc = finding_each(r->db, found_damage, &p, err);
	for (uint32_t i = 0; rc == 0 && p.rc == 0 && i < npeers; i++) {
		p.peer = peers[i];
		rc = difference_each(r->db, p.peer, found_difference, &p, err);
	}
	*ret_more = p.more;
	return rc == 0 ? p.rc : rc;
}
