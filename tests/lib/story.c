#include "story.h"

#include <string.h>

const char *const story_names[NGROUPS] = { "row", "aid" };
const struct cell zero = { .type = CELL_INT, .i = 0 };

struct arena arena;
struct place the_county, the_town, the_village, the_neighbour;
enum mode aid[LEVELS], create[LEVELS], delete[LEVELS];
bool newer_list, locked, checked, healing;
struct verdict last;

static enum mode story_mode(void *arg, uint64_t policy, uint32_t group, enum right right, enum level level)
{
	(void)arg, (void)policy, (void)group;
	return right == RIGHT_CREATE ? create[level] : right == RIGHT_DELETE ? delete[level] : aid[level];
}

static bool story_outdated(void *arg, const struct version *v)
{
	(void)arg, (void)v;
	return newer_list;
}

static enum why story_failing(void *arg, const struct row *row, const struct value *v, const char **ret_say)
{
	(void)arg, (void)row;
	if (locked && v->group == AID) {
		*ret_say = "已公示";
		return WHY_LOCK;
	}
	if (checked && v->group == AID && v->cells[0].i < 0) {
		*ret_say = "金额不得为负";
		return WHY_RULE;
	}
	return WHY_NONE;
}

static const struct cell *story_defaults(void *arg, uint32_t group, uint32_t *ret_n)
{
	(void)arg, (void)group;
	*ret_n = 1;
	return &zero;
}

int story_begin(void **state)
{
	static const uint64_t unit[] = { 620702000000, 620702100000, 620702100001, 620702100002 };
	struct place *const place[] = { &the_county, &the_town, &the_village, &the_neighbour };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(place); i++)
		*place[i] = (struct place){ unit[i], row_new(&arena, NGROUPS, story_names), 0, i + 1 };
	for (int l = 0; l < LEVELS; l++)
		aid[l] = create[l] = delete[l] = MODE_OWN;
	newer_list = locked = checked = healing = false;
	return 0;
}

int story_end(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

/* ---- what people do */

static struct value *written(struct place *at, uint32_t group, enum kind kind, const struct value *base)
{
	static const struct marks nothing;
	struct value *v = arena_alloc(&arena, sizeof(*v));
	struct version *version = arena_alloc(&arena, sizeof(*version));

	version->unit = at->unit;
	version->kind = kind;
	version->marks = marks_raised(base ? &base->v->marks : &nothing, unit_level(at->unit), (struct mark){ ++at->tick, at->epoch });
	at->tick = version_mark(version).tick;
	if (base)
		version->base = version_ident(base->v);
	v->v = version;
	v->group = group;
	v->whole = true;
	return v;
}

const struct value *inserts(struct place *at)
{
	struct value *v = written(at, GROUP_ROW, DECISION, at->row->row.decision);

	v->life = version_ident(v->v);
	v->alive = true;
	v->row_unit = at->unit;
	row_put(at->row, v, &arena);
	return v;
}

const struct value *deletes(struct place *at)
{
	const struct value *held = at->row->row.decision, *seen = group_shown(row_group(at->row, AID, held->life));
	struct value *v = written(at, GROUP_ROW, DECISION, held);
	struct version *version = (struct version *)(uintptr_t)v->v;
	struct saw *saw = arena_alloc(&arena, sizeof(*saw));

	v->life = held->life;
	v->row_unit = held->row_unit;
	if (seen) {
		*saw = (struct saw){ .life = held->life, .group = "aid", .marks = seen->v->marks };
		version->saw = saw;
		version->nsaw = 1;
	}
	row_put(at->row, v, &arena);
	return v;
}

const struct value *moves(struct place *at, uint64_t unit, enum kind kind)
{
	struct value *v = written(at, GROUP_ROW, kind, at->row->row.decision);

	v->life = at->row->row.decision->life;
	v->alive = true;
	v->row_unit = unit;
	row_put(at->row, v, &arena);
	return v;
}

const struct value *pays(struct place *at, int64_t sum, enum kind kind)
{
	struct ident life = at->row->row.decision->life;
	struct value *v = written(at, AID, kind, group_shown(row_group(at->row, AID, life)));
	struct cell *cell = arena_alloc(&arena, sizeof(*cell));

	*cell = (struct cell){ .type = CELL_INT, .i = sum };
	v->life = life;
	v->ncells = 1;
	v->cells = cell;
	row_put(at->row, v, &arena);
	return v;
}

const struct value *comes_from(bool below, struct place *at, const struct value *v, bool state)
{
	struct rule_context ctx = {
		.unit = at->unit, .below = below, .whole_row = state, .healing = healing,
		.mode = story_mode, .outdated = story_outdated, .failing = story_failing, .defaults = story_defaults,
	};
	const struct value *ruling = NULL;

	rule_decide(at->row, v, &ctx, &arena, &last);
	if (last.name == VERDICT_REFUSE || last.name == VERDICT_REVIVE) {
		ruling = rule_ruling(at->row, v, last.name == VERDICT_REVIVE, at->unit, (struct mark){ ++at->tick, at->epoch }, 0,
		                     &zero, 1, &arena);
		at->tick = version_mark(ruling->v).tick;
		row_know_life(at->row, v->life, &arena);
		row_put(at->row, ruling, &arena);
	} else if (last.name != VERDICT_NEED && last.name != VERDICT_BAD_STATE) {
		row_put(at->row, last.value, &arena);
	}
	return ruling;
}

const struct value *comes(struct place *at, const struct value *v, bool state)
{
	return comes_from(at->unit != v->v->unit && unit_contains(at->unit, v->v->unit), at, v, state);
}

int64_t amount(const struct place *at)
{
	const struct value *v = group_shown(row_group(at->row, AID, at->row->row.decision->life));

	return v ? v->cells[0].i : 0;
}

const struct value *everybody_has_a_row(void)
{
	const struct value *row = inserts(&the_village);

	comes(&the_town, row, false);
	EXPECT(5, "take", "", 0);
	comes(&the_county, row, false);
	comes(&the_neighbour, row, true);
	return row;
}
