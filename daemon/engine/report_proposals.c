/* Report: the review queue: what is proposed and what stands, who decides, and the rules that the row would fail. */
#include "engine/report_inside.h"

#include <stdlib.h>
#include <string.h>

#include "engine/review.h"
#include "engine/rules.h"

struct proposing {
	struct report *r;
	struct engine e;                 /* as much of it as modes and rules ask for, on the reading connection */
	struct state *state;
	struct table *table;
	struct err *err;
	bool whole;
	int rc;
};

static int proposing_begin(struct proposing *p, struct err *err)
{
	const struct report_home *home = p->r->home;
	int rc;

	p->e.db = p->r->db;
	p->e.catalog = p->r->catalog;
	p->e.unit = home->unit;
	p->e.level = unit_level(home->unit);
	p->e.parent = home->parent;
	rc = engine_reload_children(&p->e, err);
	if (rc == 0)
		rc = rules_open(&p->e, err);
	if (rc == 0)
		rc = state_open(p->r->db, &p->state, err);
	return rc == 0 ? table_open(p->r->db, &p->table, err) : rc;
}

static void proposing_end(struct proposing *p)
{
	if (p->table != NULL)
		table_close(p->table);
	if (p->state != NULL)
		state_close(p->state);
	rules_close(&p->e);
	free(p->e.children);
}

/* The row where the proposal wants to go. */
static int row_of(struct proposing *p, struct reg *reg, const struct proposal *one, struct held *ret)
{
	struct arena *a = &p->r->arena;
	struct key key = { 0 };
	int rc = key_from_column(cell_copy(a, one->key), reg->nkey, a, &key, p->err);

	if (rc == 0)
		rc = state_load(p->state, reg, key, a, ret, p->err);
	return rc == 0 ? held_cells(p->table, ret, a, p->err) : rc;
}

static const struct value *standing(const struct held *h, uint32_t group)
{
	const struct life_state *life = row_current(h->row);

	if (group == GROUP_ROW)
		return h->row->row.decision;
	return life != NULL && group < h->row->ngroups ? life->groups[group].decision : NULL;
}

/* [{rule, say, refuse}]: what the row would fail if the proposal were accepted. */
static int failing(struct proposing *p, const struct held *h, const struct value *v, json_t **ret)
{
	struct finding *found = NULL;
	uint32_t n = 0;
	int rc = rules_of_value(&p->e, h, v, &p->r->arena, &found, &n, p->err);

	*ret = json_array();
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		json_t *one = json_object();

		put(one, "rule", json_words(found[i].rule));
		put(one, "say", json_words(found[i].say));
		put(one, "refuse", json_boolean(!found[i].warn));
		json_array_append_new(*ret, one);
	}
	return rc;
}

/* The filters of `list`. */
static bool wanted(const struct report *r, const struct proposal *p, uint64_t row_unit)
{
	const struct report_filter *f = &r->filter;

	if (f->id != 0)
		return f->id == p->id;
	if (p->since_ms < f->since_ms)
		return false;
	return f->unit == UNIT_NONE || unit_contains(f->unit, p->unit) || unit_contains(f->unit, row_unit);
}

static json_t *known_json(struct report *r, const struct proposal *one, const char *reg, const char *group)
{
	json_t *j = json_object();

	put(j, "id", json_integer(one->id));
	put(j, "register", json_words(reg));
	put(j, "key", json_null());
	put(j, "group", json_words(group));
	put(j, "from", json_named(r, one->unit));
	put(j, "values", json_values(one->text));
	put(j, "standing", json_null());
	put(j, "reason", json_null());
	put(j, "state", json_string("open"));
	put(j, "unit", json_null());
	put(j, "since", json_time(one->since_ms));
	put(j, "here", json_false());
	put(j, "decided_by", json_null());
	put(j, "failing", json_array());
	return j;
}

static void version_put_json(struct report *r, json_t *j, const struct version *v)
{
	json_t *from = json_object_get(j, "from");

	put(from, "epoch", json_count(version_mark(v).epoch));
	put(from, "tick", json_count(version_mark(v).tick));
	put(j, "base", json_ident(v->base));
	put(j, "policy", json_list(r, v->policy));
	put(j, "actor", v->actor.n > 0 ? json_slice(v->actor) : json_null());
}

/* What the row that is held says of it. */
static int row_put_json(struct proposing *p, struct reg *reg, const struct proposal *one, json_t *j, bool *ret_wanted)
{
	struct report *r = p->r;
	struct value v = { .group = one->group };
	struct reviewer by;
	json_t *fails;
	struct held h;
	uint64_t unit;
	int rc = row_of(p, reg, one, &h);

	if (rc != 0)
		return rc;
	unit = h.row->row.decision != NULL ? h.row->row.decision->row_unit : h.unit;
	*ret_wanted = wanted(r, one, unit);
	if (!*ret_wanted)
		return 0;
	rc = value_load(one->value, reg, &r->arena, &v, p->err);
	if (rc != 0)
		return rc;
	by = review_by(reg, unit, &v, true, p->e.unit, child_towards(&p->e, unit), p->e.parent);
	put(j, "key", json_key(r, reg, one->key));
	put(j, "standing", report_value(r, reg, standing(&h, one->group)));
	put(j, "unit", json_unit(unit));
	put(j, "here", json_boolean(by.here));
	put(j, "decided_by", json_named(r, by.unit));
	if (p->whole)
		version_put_json(r, j, v.v);
	rc = failing(p, &h, &v, &fails);
	put(j, "failing", fails);
	return rc;
}

static int proposal_line(void *arg, const struct proposal *one)
{
	struct proposing *p = arg;
	struct report *r = p->r;
	struct reg *reg = catalog_number(r->catalog, one->reg);
	const char *group = one->group == GROUP_ROW ? "row" :
	                    reg != NULL && one->group < reg->ngroups && reg->groups[one->group] != NULL ?
	                    reg->groups[one->group]->name : NULL;
	_cleanup_(json_release) json_t *j = NULL;
	bool take = true;

	if (r->filter.id != 0 && r->filter.id != one->id)
		return 0;
	j = known_json(r, one, reg != NULL ? reg->name : NULL, group);
	if (reg != NULL && group != NULL)
		p->rc = row_put_json(p, reg, one, j, &take);
	else
		take = wanted(r, one, UNIT_NONE);
	if (p->rc != 0)
		return 1;
	if (!take)
		return 0;
	r->found = 1;
	if (p->whole) {
		r->ret = TAKE(j);
		return 1;
	}
	json_array_append(r->ret, j);
	return 0;
}

static int proposals(struct report *r, bool whole, struct err *err)
{
	struct proposing *p = calloc(1, sizeof *p);
	int rc = p == NULL ? err_set(err, ERR_NOMEM, "the review queue: memory is short") : report_catalog(r, err);

	if (p == NULL)
		return rc;
	*p = (struct proposing){ .r = r, .whole = whole, .err = err };
	if (rc == 0)
		rc = proposing_begin(p, err);
	if (rc == 0)
		rc = report_proposals(r->db, r->filter.reg, false, proposal_line, p, err);
	if (rc == 0)
		rc = p->rc;
	proposing_end(p);
	free(p);
	return rc;
}

int report_proposals_list(struct report *r, struct err *err)
{
	r->ret = json_array();
	return proposals(r, false, err);
}

int report_proposals_show(struct report *r, struct err *err)
{
	int rc = report_id(r, err);

	if (rc == 0)
		rc = proposals(r, true, err);
	r->found = 0;
	if (rc == 0 && r->ret == NULL)
		rc = err_set(err, ERR_NOT_FOUND, "there is no open proposal %s", r->words[0]);
	return rc;
}
