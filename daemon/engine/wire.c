/* Wire: between local registers, groups and values and the names that segments use. */
#include "engine/merge.h"

#include <stdlib.h>
#include <string.h>

bool row_in_scope(const struct reg *r, uint64_t unit, uint64_t scope)
{
	if (r->policy != NULL && r->policy->unit_source == UNIT_ALL)
		return true;
	return unit_contains(scope, unit);
}

static struct wire_register *names_of(struct state_builder *b, const struct reg *r)
{
	struct wire_register *w = &b->registers[b->nregisters];
	struct wire_group *groups = arena_array(b->arena, r->ngroups, sizeof *groups);

	if (groups == NULL)
		return NULL;
	*w = (struct wire_register){.name = slice_of(r->name), .nkey = r->nkey, .groups = groups};
	for (uint32_t g = 1; g < r->ngroups; g++) {
		const struct group *group = r->groups[g];
		struct slice *columns;

		if (group == NULL)
			continue;
		columns = arena_array(b->arena, group->ncolumns + 1, sizeof *columns);
		if (columns == NULL)
			return NULL;
		for (uint32_t i = 0; i < group->ncolumns; i++)
			columns[i] = slice_of(group->columns[i]->name);
		groups[w->ngroups++] = (struct wire_group){slice_of(group->name), group->ncolumns, columns};
	}
	return w;
}

uint32_t wire_register(struct engine *e, struct state_builder *b, struct reg *r)
{
	(void)e;
	for (uint32_t i = 0; i < b->nregisters; i++)
		if (b->regs[i] == r)
			return i;
	if (b->registers == NULL)
		b->registers = arena_array(b->arena, ARRAY_SIZE(b->regs), sizeof *b->registers);
	if (b->registers == NULL || b->nregisters == ARRAY_SIZE(b->regs) || names_of(b, r) == NULL)
		return UINT32_MAX;
	b->regs[b->nregisters] = r;
	return b->nregisters++;
}

struct change *wire_change(struct state_builder *b)
{
	if (b->nchanges == b->room) {
		uint32_t room = b->room == 0 ? 64 : b->room * 2;
		struct change *more = arena_array(b->arena, room, sizeof *more);

		if (more == NULL)
			return NULL;
		if (b->nchanges > 0)
			memcpy(more, b->changes, b->nchanges * sizeof *more);
		b->changes = more;
		b->room = room;
	}
	memset(&b->changes[b->nchanges], 0, sizeof b->changes[0]);
	return &b->changes[b->nchanges++];
}

static uint32_t group_index(const struct reg *r, uint32_t number)
{
	uint32_t n = 0;

	for (uint32_t g = 1; g < number; g++)
		n += r->groups[g] != NULL;
	return n;
}

static const struct version *version_copy(struct arena *a, const struct version *v)
{
	struct version *copy = arena_copy(a, v, sizeof *copy);

	if (copy == NULL)
		return NULL;
	copy->actor = arena_slice(a, v->actor);
	if (v->nsaw > 0)
		copy->saw = arena_copy(a, v->saw, v->nsaw * sizeof *v->saw);
	return copy;
}

bool wire_part(struct state_builder *b, const struct reg *r, const struct value *v, struct part *ret)
{
	uint32_t *columns;
	struct cell *cells;

	*ret = (struct part){.group = PART_ROW, .life = v->life, .whole = v->whole, .alive = v->alive,
	                     .row_unit = r->policy != NULL && r->policy->unit_source == UNIT_ALL ? r->issuer : v->row_unit};
	ret->version = version_copy(b->arena, v->v);
	if (ret->version == NULL)
		return false;
	if (v->group == GROUP_ROW)
		return true;
	ret->group = group_index(r, v->group);
	ret->row_unit = UNIT_NONE;
	columns = arena_array(b->arena, v->ncells + 1, sizeof *columns);
	cells = arena_array(b->arena, v->ncells + 1, sizeof *cells);
	if (columns == NULL || cells == NULL)
		return false;
	for (uint32_t i = 0; v->cells != NULL && i < v->ncells; i++)
		if (v->present == NULL || v->present[i]) {
			columns[ret->ncolumns] = i;
			cells[ret->ncolumns] = cell_copy(b->arena, v->cells[i]);
			b->size += cell_size(v->cells[i]);
			ret->ncolumns++;
		}
	ret->columns = columns;
	ret->cells = cells;
	return !b->arena->failed;
}

static uint32_t *map_columns(const struct wire_group *w, const struct group *group, struct arena *a)
{
	uint32_t *places = arena_array(a, w->ncolumns + 1, sizeof *places);

	for (uint32_t i = 0; places != NULL && i < w->ncolumns; i++) {
		struct column *column = group_column(group, w->columns[i]);

		places[i] = column != NULL ? column->in_group : UINT32_MAX;
	}
	return places;
}

static void map_register(const struct wire_register *w, struct arena *a, struct wire_map *m)
{
	m->groups = arena_array(a, w->ngroups + 1, sizeof *m->groups);
	m->columns = arena_array(a, w->ngroups + 1, sizeof *m->columns);
	for (uint32_t g = 0; g < w->ngroups && !a->failed; g++) {
		m->groups[g] = reg_group(m->reg, w->groups[g].name);
		if (m->groups[g] != NULL)
			m->columns[g] = map_columns(&w->groups[g], m->groups[g], a);
	}
}

const struct wire_map *wire_maps(struct engine *e, const struct payload *p, struct arena *a)
{
	struct wire_map *maps = arena_array(a, p->nregisters + 1, sizeof *maps);

	for (uint32_t i = 0; i < p->nregisters && !a->failed; i++) {
		maps[i].reg = catalog_register(e->catalog, p->registers[i].name);
		if (maps[i].reg != NULL)
			map_register(&p->registers[i], a, &maps[i]);
	}
	return a->failed ? NULL : maps;
}

int wire_value(struct engine *e, const struct payload *p, const struct wire_map *map, const struct change *c,
               const struct part *part, struct arena *a, struct value *ret, struct err *err)
{
	const struct reg *r = map->reg;
	const struct wire_group *w;
	const struct group *group;
	const uint32_t *places;
	struct cell *cells;
	bool *present;
	uint32_t there = 0;

	*ret = (struct value){.v = part->version, .life = part->life, .whole = part->whole, .alive = part->alive,
	                      .row_unit = part->row_unit};
	if (part->group == PART_ROW) {
		ret->group = GROUP_ROW;
		if (r->policy != NULL && r->policy->unit_source == UNIT_ALL)
			ret->row_unit = e->unit;
		return 0;
	}
	w = &p->registers[c->reg].groups[part->group];
	group = map->groups[part->group];
	places = map->columns[part->group];
	if (group == NULL)
		return err_set(err, ERR_SCHEMA, "register %s, group %.*s is not known here yet; its policy is on the way",
		               r->name, (int)w->name.n, (const char *)w->name.p);
	ret->group = group->number;
	ret->ncells = group->ncolumns;
	cells = arena_array(a, group->ncolumns + 1, sizeof *cells);
	present = arena_array(a, group->ncolumns + 1, sizeof *present);
	if (cells == NULL || present == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	for (uint32_t i = 0; i < part->ncolumns; i++) {
		uint32_t at = places[part->columns[i]];

		if (at == UINT32_MAX) {
			struct slice name = w->columns[part->columns[i]];

			return err_set(err, ERR_SCHEMA, "register %s, column %.*s is not known here yet; its policy is on the way",
			               r->name, (int)name.n, (const char *)name.p);
		}
		cells[at] = part->cells[i];
		present[at] = true;
		there++;
	}
	/* A whole value of an older policy lacks columns that were added since: their defaults. */
	for (uint32_t i = 0; ret->whole && there < group->ncolumns && i < group->ncolumns; i++)
		if (!present[i]) {
			cells[i] = group->columns[i]->fallback;
			present[i] = true;
		}
	ret->cells = cells;
	ret->present = ret->whole || there == group->ncolumns ? NULL : present;
	return 0;
}
