/* Rules: one rulebox a policy, and where each register's columns are. */
#include "engine/rules.h"

#include <stdlib.h>
#include <strings.h>

#include "store/rulebox.h"

struct rule_register {
	struct ruled *ruled;             /* NULL: neither rules nor locks */
	uint32_t ncolumns;
	uint32_t *at;                    /* of the rulebox's columns: the place in reg->columns */
	uint8_t refuse, warn;            /* levels that check any */
	bool locks;
};

struct rules {
	struct arena arena;
	uint32_t nboxes;
	struct rulebox **boxes;          /* by the catalog's policies; NULL where there is nothing to compile */
	uint32_t nregisters;             /* by reg->number */
	struct rule_register *registers;
};

static const struct rule_register *of(const struct engine *e, const struct reg *r)
{
	static const struct rule_register none;

	return e->rules != NULL && r->number < e->rules->nregisters ? &e->rules->registers[r->number] : &none;
}

bool rules_checked(const struct engine *e, const struct reg *r, uint8_t levels, bool warn)
{
	const struct rule_register *x = of(e, r);

	return ((warn ? x->warn : x->refuse) & levels) != 0;
}

bool rules_locked(const struct engine *e, const struct reg *r)
{
	return of(e, r)->locks;
}

uint8_t rules_levels(struct engine *e, const struct reg *r, uint64_t row_unit)
{
	const struct policy_register *p = r->policy;
	uint64_t child = child_towards(e, row_unit);
	enum level last = child != UNIT_NONE && unit_level(child) <= p->floor && p->unit_source != UNIT_ALL ? unit_level(child) : LEVELS;
	bool top = e->parent == UNIT_NONE || unit_level(e->parent) < p->ceiling || p->unit_source == UNIT_ALL;
	uint8_t mask = 0;

	if (!policy_comes_to(p, e->level) || (p->unit_source == UNIT_ALL && e->unit != r->issuer))
		return 0;
	for (enum level l = top ? PROVINCE : e->level; l < last; l++)
		mask |= (uint8_t)(1u << l);
	return mask;
}

/* ---- opening */

static int column_places(struct rules *rules, struct rule_register *x, const struct reg *r, struct err *err)
{
	const char *const *names;

	x->ncolumns = ruled_columns(x->ruled, &names);
	x->at = arena_array(&rules->arena, x->ncolumns + 1, sizeof *x->at);
	if (x->at == NULL)
		return err_set(err, ERR_NOMEM, "rules of register %s: memory is short", r->name);
	for (uint32_t i = 0; i < x->ncolumns; i++) {
		uint32_t k = 0;

		while (k < r->ncolumns && strcasecmp(r->columns[k].name, names[i]) != 0)
			k++;
		if (k == r->ncolumns)
			return err_set(err, ERR_BUG, "register %s: the catalog lacks column %s", r->name, names[i]);
		x->at[i] = k;
	}
	return 0;
}

static int open_register(struct engine *e, struct rules *rules, const struct reg *r, struct err *err)
{
	struct rule_register *x = &rules->registers[r->number];

	for (uint32_t i = 0; i < e->catalog->npolicies; i++)
		if (e->catalog->policies[i] == r->document)
			x->ruled = rulebox_register(rules->boxes[i], r->name);
	if (x->ruled == NULL)
		return 0;
	for (uint32_t i = 0; i < r->policy->nrules; i++)
		*(r->policy->rules[i].warn ? &x->warn : &x->refuse) |= r->policy->rules[i].at;
	for (uint32_t i = 0; i < r->policy->ngroups; i++)
		x->locks = x->locks || r->policy->groups[i].lock != NULL;
	return column_places(rules, x, r, err);
}

static bool has_expressions(const struct policy *p)
{
	for (uint32_t i = 0; i < p->nregisters; i++) {
		if (p->registers[i].nrules > 0)
			return true;
		for (uint32_t g = 0; g < p->registers[i].ngroups; g++)
			if (p->registers[i].groups[g].lock != NULL)
				return true;
	}
	return false;
}

int rules_open(struct engine *e, struct err *err)
{
	const struct catalog *c = e->catalog;
	struct rules *rules = calloc(1, sizeof *rules);
	struct policy_where where;
	int rc = 0;

	rules_close(e);
	if (rules == NULL)
		return err_set(err, ERR_NOMEM, "rules: memory is short");
	e->rules = rules;
	for (uint32_t i = 0; i < c->nregs; i++)
		rules->nregisters = MAX(rules->nregisters, c->regs[i]->number + 1);
	rules->boxes = arena_array(&rules->arena, c->npolicies + 1, sizeof(struct rulebox *));
	rules->registers = arena_array(&rules->arena, rules->nregisters + 1, sizeof *rules->registers);
	if (rules->arena.failed)
		return err_set(err, ERR_NOMEM, "rules: memory is short");
	rules->nboxes = c->npolicies;
	for (uint32_t i = 0; i < c->npolicies && rc == 0; i++)
		if (has_expressions(c->policies[i]))
			rc = rulebox_open(e->db->sql, c->policies[i], &rules->boxes[i], &where, err);
	for (uint32_t i = 0; i < c->nregs && rc == 0; i++)
		if (c->regs[i]->policy != NULL)
			rc = open_register(e, rules, c->regs[i], err);
	return rc;
}

void rules_close(struct engine *e)
{
	struct rules *rules = e->rules;

	e->rules = NULL;
	if (rules == NULL)
		return;
	for (uint32_t i = 0; i < rules->nboxes; i++)
		rulebox_close(rules->boxes[i]);
	arena_release(&rules->arena);
	free(rules);
}

/* ---- a row */

static struct cell unit_cell(const struct column *c, uint64_t unit, struct arena *a)
{
	char text[UNIT_TEXT_SIZE];

	if (c->affinity == 'I' || c->affinity == 'N' || c->affinity == 'R')
		return (struct cell){.type = CELL_INT, .i = (int64_t)unit};
	return (struct cell){.type = CELL_TEXT, .s = arena_slice(a, slice_of(unit_text(unit, text)))};
}

int rules_cells(const struct reg *r, struct key key, uint64_t unit, const struct value *const *decisions,
                struct arena *a, struct cell **ret, struct err *err)
{
	struct cell *cells = arena_array(a, r->ncolumns + 1, sizeof *cells);

	if (cells == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	for (uint32_t i = 0; i < r->ncolumns; i++)
		cells[i] = r->columns[i].fallback;
	for (uint32_t i = 0; i < r->nkey && i < key.n; i++)
		cells[r->key[i] - r->columns] = key.cells[i];
	if (r->unit != NULL)
		cells[r->unit - r->columns] = unit_cell(r->unit, unit, a);
	for (uint32_t g = 1; g < r->ngroups; g++) {
		const struct value *v = decisions[g];

		if (r->groups[g] == NULL || v == NULL || v->cells == NULL)
			continue;
		for (uint32_t i = 0; i < r->groups[g]->ncolumns && i < v->ncells; i++)
			if (v->present == NULL || v->present[i])
				cells[r->groups[g]->columns[i] - r->columns] = v->cells[i];
	}
	*ret = cells;
	return a->failed ? err_set(err, ERR_NOMEM, "register %s: memory is short", r->name) : 0;
}

static int fill(const struct rule_register *x, const struct reg *r, const struct cell *cells, struct arena *a,
                struct err *err)
{
	struct cell *wanted = arena_array(a, x->ncolumns + 1, sizeof *wanted);

	if (wanted == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	for (uint32_t i = 0; i < x->ncolumns; i++)
		wanted[i] = cells[x->at[i]];
	return rulebox_row(x->ruled, wanted, err);
}

static const char *sentence(struct arena *a, const char *say, const char *used)
{
	_cleanup_(buf_release) struct buf b = {0};

	if (used[0] == '\0')
		return say;
	buf_printf(&b, "%s [%s]", say, used);
	return arena_text(a, buf_slice(&b));
}

int rules_row(struct engine *e, const struct reg *r, const struct cell *cells, uint8_t levels, struct arena *a,
              struct finding **ret, uint32_t *ret_n, struct err *err)
{
	const struct rule_register *x = of(e, r);
	struct finding *found;
	uint32_t n = 0;
	int rc;

	*ret_n = 0;
	*ret = NULL;
	if (((x->refuse | x->warn) & levels) == 0)
		return 0;
	found = arena_array(a, r->policy->nrules, sizeof *found);
	rc = found == NULL ? err_set(err, ERR_NOMEM, "register %s: memory is short", r->name) : fill(x, r, cells, a, err);
	for (int warn = 0; warn < 2 && rc == 0; warn++)
		for (uint32_t i = 0; i < r->policy->nrules; i++) {
			const struct policy_rule *rule = &r->policy->rules[i];
			enum rule_says says;
			const char *used;

			if (rule->warn != (warn == 1) || (rule->at & levels) == 0)
				continue;
			says = rulebox_rule(x->ruled, i, &used);
			if (says == RULE_TRUE || says == RULE_NULL)
				continue;        /* NULL passes, as in a CHECK constraint */
			found[n++] = (struct finding){rule->name, sentence(a, rule->say, used), rule->warn};
		}
	if (rc == 0 && a->failed)
		rc = err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	*ret = found;
	*ret_n = n;
	return rc;
}

int rules_lock(struct engine *e, const struct reg *r, uint32_t group, const struct cell *cells, struct arena *a,
               bool *ret_locked, const char **ret_say, struct err *err)
{
	const struct rule_register *x = of(e, r);
	const struct group *g = r->groups[group];
	uint32_t number = g == NULL || g->policy == NULL ? 0 : policy_group_number(r->policy, slice_of(g->name));
	enum rule_says says;
	const char *used;
	int rc;

	*ret_locked = false;
	if (number == 0 || !x->locks || r->policy->groups[number - 1].lock == NULL)
		return 0;
	rc = fill(x, r, cells, a, err);
	if (rc != 0)
		return rc;
	says = rulebox_lock(x->ruled, number - 1, &used);
	*ret_locked = says == RULE_TRUE || says == RULE_TROUBLE;
	if (*ret_locked) {
		const char *say = r->policy->groups[number - 1].lock_say;

		*ret_say = sentence(a, say != NULL ? say : "已锁定，不得修改 / locked: no change", used);
	}
	return 0;
}

int rules_of_value(struct engine *e, const struct held *h, const struct value *v, struct arena *a, struct finding **ret,
                   uint32_t *ret_n, struct err *err)
{
	const struct value *d = h->row->row.decision, *now[LIMIT_GROUPS] = {0};
	const struct life_state *l = row_current(h->row);
	struct cell *cells;
	uint64_t unit;
	int rc;

	*ret = NULL;
	*ret_n = 0;
	if (d == NULL || l == NULL || h->reg->policy == NULL || (v->group == GROUP_ROW && !v->alive))
		return 0;
	for (uint32_t g = 1; g < h->row->ngroups; g++)
		now[g] = g == v->group ? v : l->groups[g].decision;
	unit = v->group == GROUP_ROW ? v->row_unit : d->row_unit;
	rc = rules_cells(h->reg, h->key, unit, now, a, &cells, err);
	return rc == 0 ? rules_row(e, h->reg, cells, rules_levels(e, h->reg, unit), a, ret, ret_n, err) : rc;
}
