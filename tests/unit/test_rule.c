/* The rule against the model: every case of the vectors (tests/model, format in authority_model.py) is decided in C and
 * compared with what the model said: clause, losers, ruling, state after.  The file is argv[1], or $TERRACE_VECTORS,
 * or $VECTORS/rule.json, or build/vectors/rule.json.  Stories of single verdicts are in test_story.c, the algebra
 * of merging in test_row.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/rule.h"

#define NGROUPS 4u

static const char *const group_names[NGROUPS] = { "row", "a", "b", "d" };
static const char *const group_columns[NGROUPS][2] = { { NULL, NULL }, { "x", "y" }, { "x", "y" }, { "s", "x" } };
static const char *const right_names[] = { [RIGHT_CREATE] = "create", [RIGHT_DELETE] = "delete" };
static const struct cell zeros[2] = { { .type = CELL_INT, .i = 0 }, { .type = CELL_INT, .i = 0 } };

static const char *path;
static json_t *doc;
static struct arena document;            /* values of the document */
static struct value *values;
static size_t settled;                  /* cases that on_conflict answers */

/* ---- reading the document */

/* "r" is a province; each digit more is one field. */
static uint64_t unit_of(const char *text)
{
	static const uint64_t field[LEVELS] = {
		UINT64_C(10000000000), UINT64_C(100000000), UINT64_C(1000000), UINT64_C(1000), UINT64_C(1),
	};
	uint64_t unit = field[0];

	assert_int_equal(text[0], 'r');
	assert_true(strlen(text) <= LEVELS);
	for (size_t i = 1; i < strlen(text); i++)
		unit += (uint64_t)(text[i] - '0') * field[i];
	return unit;
}

static uint64_t number(const json_t *array, size_t i)
{
	return (uint64_t)json_integer_value(json_array_get(array, i));
}

static const char *text(const json_t *array, size_t i)
{
	const char *s = json_string_value(json_array_get(array, i));

	return s ? s : "";
}

static struct marks marks_of(const json_t *array)
{
	struct marks m = {0};

	for (size_t l = 0; l < LEVELS; l++)
		m.at[l] = (struct mark){ number(array, 2 * l), (uint32_t)number(array, 2 * l + 1) };
	return m;
}

static struct ident ident_of(const json_t *array)
{
	if (!json_is_array(array))
		return (struct ident){0};
	return (struct ident){ unit_of(text(array, 0)), { number(array, 1), (uint32_t)number(array, 2) } };
}

static uint32_t group_number(const char *name)
{
	for (uint32_t g = 0; g < NGROUPS; g++)
		if (strcmp(name, group_names[g]) == 0)
			return g;
	fail_msg("group %s", name);
	return 0;
}

static void read_cells(struct value *v, const json_t *columns)
{
	struct cell *cells = arena_array(&document, 2, sizeof(*cells));
	bool *present = arena_array(&document, 2, sizeof(*present));

	for (uint32_t i = 0; i < 2; i++) {
		json_t *x = json_object_get(columns, group_columns[v->group][i]);

		present[i] = x != NULL;
		cells[i] = (struct cell){ .type = CELL_INT, .i = json_integer_value(x) };
	}
	v->ncells = 2;
	v->cells = cells;
	v->present = present[0] && present[1] ? NULL : present;
}

static void read_saw(struct version *v, const json_t *saw)
{
	struct saw *s = arena_array(&document, json_array_size(saw), sizeof(*s));

	v->nsaw = (uint32_t)json_array_size(saw);
	v->saw = v->nsaw > 0 ? s : NULL;
	for (size_t i = 0; i < v->nsaw; i++) {
		const json_t *one = json_array_get(saw, i);

		s[i].life = ident_of(json_array_get(one, 0));
		snprintf(s[i].group, sizeof(s[i].group), "%s", text(one, 1));
		s[i].marks = marks_of(json_array_get(one, 2));
	}
}

/* [group, unit, kind, MARKS, life ID, columns, policy, flags, base ID, asserts MARKS, saw] */
static void read_value(const json_t *j, struct value *v)
{
	struct version *version = arena_alloc(&document, sizeof(*version));
	const json_t *columns = json_array_get(j, 5);

	version->unit = unit_of(text(j, 1));
	version->kind = text(j, 2)[0] == 'p' ? PROPOSAL : DECISION;
	version->marks = marks_of(json_array_get(j, 3));
	version->policy = number(j, 6);
	version->ruling = strchr(text(j, 7), 'r') != NULL;
	version->acting = strchr(text(j, 7), 'a') != NULL;
	version->base = ident_of(json_array_get(j, 8));
	version->asserts = marks_of(json_array_get(j, 9));
	read_saw(version, json_array_get(j, 10));
	v->v = version;
	v->group = group_number(text(j, 0));
	v->life = ident_of(json_array_get(j, 4));
	v->whole = strchr(text(j, 7), 'w') != NULL;
	if (v->group == GROUP_ROW) {
		v->alive = json_is_true(json_object_get(columns, "alive"));
		v->row_unit = unit_of(json_string_value(json_object_get(columns, "unit")));
	} else {
		read_cells(v, columns);
	}
}

static const struct value *value_at(const json_t *index)
{
	return json_is_integer(index) ? &values[json_integer_value(index)] : NULL;
}

/* [[values], [life IDs that are known]] */
static const json_t *state_at(const json_t *index)
{
	return json_is_integer(index) ? json_array_get(json_object_get(doc, "states"), (size_t)json_integer_value(index)) : NULL;
}

static void forget_others(struct row *row, const json_t *lives)
{
	const json_t *x;
	size_t i;

	for (struct life_state **l = &row->lives; *l;) {
		bool known = false;

		json_array_foreach(lives, i, x)
			known |= ident_equal((*l)->life, ident_of(x));
		if (known)
			l = &(*l)->next;
		else
			*l = (*l)->next;
	}
}

static struct row *row_of(const json_t *state, struct arena *a)
{
	struct row *row = row_new(a, NGROUPS, group_names);
	const json_t *x;
	size_t i;

	json_array_foreach(json_array_get(state, 0), i, x)
		row_put(row, value_at(x), a);
	forget_others(row, json_array_get(state, 1));    /* a marker knows no life, not even its own */
	json_array_foreach(json_array_get(state, 1), i, x)
		row_know_life(row, ident_of(x), a);
	return row;
}

static int setup(void **unused)
{
	json_error_t error;
	const json_t *list, *x;
	size_t i;

	(void)unused;
	doc = json_load_file(path, 0, &error);
	if (!doc) {
		fprintf(stderr, "%s: %s (line %d)\n", path, error.text, error.line);
		return -1;
	}
	list = json_object_get(doc, "values");
	values = arena_array(&document, json_array_size(list), sizeof(*values));
	json_array_foreach(list, i, x)
		read_value(x, &values[i]);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	json_decref(doc);
	arena_release(&document);
	return 0;
}

/* ---- what the node of a case knows */

static bool epoch_former(void *arg, uint32_t epoch, struct mark *ret)
{
	const json_t *x;
	size_t i;

	(void)arg;
	json_array_foreach(json_object_get(doc, "epochs"), i, x)
		if (number(x, 0) == epoch) {
			*ret = (struct mark){ number(x, 2), (uint32_t)number(x, 1) };
			return true;
		}
	return false;
}

static const struct epochs epochs = { epoch_former, NULL };

static enum mode case_mode(void *arg, uint64_t policy, uint32_t group, enum right right, enum level level)
{
	const json_t *list = json_object_get(doc, "policies"), *mine = json_array_get(arg, 4);
	const json_t *one = json_array_get(list, number(mine, policy));
	const char *modes = json_string_value(json_object_get(one, right == RIGHT_GROUP ? group_names[group] : right_names[right]));

	assert_int_equal(group == GROUP_ROW, right != RIGHT_GROUP);
	return modes[level] == 'o' ? MODE_OWN : modes[level] == 'p' ? MODE_PROPOSE : MODE_READ;
}

static bool case_outdated(void *arg, const struct version *v)
{
	const json_t *x;
	size_t i;

	json_array_foreach(json_array_get(arg, 5), i, x) {
		struct mark mark = { number(x, 0), (uint32_t)number(x, 1) };

		if (number(x, 2) > v->policy && mark_seen(mark, version_mark(v), &epochs))
			return true;
	}
	return false;
}

static enum why case_failing(void *arg, const struct row *row, const struct value *v, const char **ret_say)
{
	const char *why = text(arg, 6);

	(void)row;
	assert_true(v->whole);
	*ret_say = why;
	return strcmp(why, "lock") == 0 ? WHY_LOCK : strcmp(why, "rule") == 0 ? WHY_RULE : WHY_NONE;
}

static const struct cell *case_defaults(void *arg, uint32_t group, uint32_t *ret_n)
{
	(void)arg;
	assert_true(group != GROUP_ROW && group < NGROUPS);
	*ret_n = 2;
	return zeros;
}

/* ---- comparing */

static bool saw_equal(const struct version *a, const struct version *b)
{
	if (a->nsaw != b->nsaw)
		return false;
	for (uint32_t i = 0; i < a->nsaw; i++)
		if (!ident_equal(a->saw[i].life, b->saw[i].life) || strcmp(a->saw[i].group, b->saw[i].group) != 0
		    || marks_compare(&a->saw[i].marks, &b->saw[i].marks) != 0)
			return false;
	return true;
}

static bool version_equal(const struct version *a, const struct version *b)
{
	return a->unit == b->unit && marks_compare(&a->marks, &b->marks) == 0 && ident_equal(a->base, b->base)
		&& marks_compare(&a->asserts, &b->asserts) == 0 && a->policy == b->policy && a->kind == b->kind
		&& a->ruling == b->ruling && a->acting == b->acting && saw_equal(a, b);
}

static bool value_equal(const struct value *a, const struct value *b)
{
	if (!version_equal(a->v, b->v) || !ident_equal(a->life, b->life) || a->group != b->group || a->whole != b->whole)
		return false;
	if (a->group == GROUP_ROW)
		return a->alive == b->alive && a->row_unit == b->row_unit;
	for (uint32_t i = 0; i < 2; i++) {
		bool mine = !a->present || a->present[i], its = !b->present || b->present[i];

		if (mine != its || (mine && !cell_equal(a->cells[i], b->cells[i])))
			return false;
	}
	return a->ncells == 2 && b->ncells == 2;
}

static bool same_set(const struct value *const *mine, size_t nmine, const json_t *its)
{
	const json_t *x;
	size_t i, found = 0;

	json_array_foreach(its, i, x)
		for (size_t j = 0; j < nmine; j++)
			if (value_equal(mine[j], value_at(x))) {
				found++;
				break;
			}
	return found == nmine && nmine == json_array_size(its);
}

static size_t list_group(const struct group_state *g, const struct value **ret)
{
	size_t n = 0;

	if (g->decision)
		ret[n++] = g->decision;
	for (const struct slot *s = g->proposals; s; s = s->next)
		ret[n++] = s->value;
	return n;
}

static bool same_state(const struct row *row, const json_t *state)
{
	const struct value *all[200];
	size_t n = list_group(&row->row, all), i, lives = 0, known = 0;
	const json_t *x;

	for (const struct life_state *l = row->lives; l; l = l->next, lives++)
		for (uint32_t g = 1; g < NGROUPS; g++)
			n += list_group(&l->groups[g], all + n);
	json_array_foreach(json_array_get(state, 1), i, x)
		known += row_life(row, ident_of(x)) != NULL;
	return lives == known && known == json_array_size(json_array_get(state, 1))
		&& same_set(all, n, json_array_get(state, 0));
}

/* The model numbers what was seen with 3 and what is taken with 4; the page has 6 and 5 where v is a decision. */
static int number_on_page(const char *clause, const struct value *v, const struct verdict *verdict)
{
	int rule = clause[0] - '0';

	if (strcmp(clause, "4 take ") == 0 && v->v->kind == DECISION)
		return 5;
	if (strcmp(clause, "3 old ") == 0)
		return verdict->rule == 6 ? 6 : 3;
	return rule;
}

/* What the engine does next: merge, or answer with a ruling. */
static const struct value *follow(struct row *row, const struct value *v, const struct verdict *verdict, const json_t *c,
                                  struct arena *a)
{
	const json_t *next = json_array_get(c, 7);
	struct mark own = { number(next, 0), (uint32_t)number(next, 1) };
	const struct value *ruling;

	switch (verdict->name) {
	case VERDICT_NEED:
	case VERDICT_BAD_STATE:
		return NULL;
	case VERDICT_PASS:
		if (row_life(row, v->life) && verdict->value->whole)
			row_put(row, verdict->value, a);
		return NULL;
	case VERDICT_REFUSE:
	case VERDICT_REVIVE:
		ruling = rule_ruling(row, v, verdict->name == VERDICT_REVIVE, unit_of(text(c, 0)), own, 0, zeros, 2, a);
		row_know_life(row, v->life, a);
		row_put(row, ruling, a);
		return ruling;
	default:
		row_put(row, verdict->value, a);
		return NULL;
	}
}

static bool case_was(void *arg, uint64_t author)
{
	(void)author;                    /* the value's own: a case asks of no other */
	return strchr(text(arg, 1), 'p') != NULL;
}

static void check_settling(const struct row *row, const struct value *v, const struct verdict *verdict,
                           const struct rule_context *ctx, const json_t *c, size_t n, struct arena *a)
{
	const json_t *how = json_array_get(c, 12), *next = json_array_get(c, 7);
	const struct value *asked = value_at(json_array_get(c, 13)), *lost, *kept = NULL, *mine = NULL;
	struct mark own = { number(next, 0), (uint32_t)number(next, 1) };
	uint32_t column = 0;

	if (!json_is_array(how))
		return;
	while (column < 1 && strcmp(text(how, 1), group_columns[v->group][column]) != 0)
		column++;
	lost = rule_better(row, v, verdict, ctx, strcmp(text(how, 0), "max") == 0, column, a, &kept);
	if (lost)
		mine = rule_settling(kept, lost, ctx->unit, own, 0, v->v->acting, a);
	if (!mine != !asked || (mine && !value_equal(mine, asked)))
		fail_msg("case %zu: on_conflict %s, the model settles it %s", n, mine ? "settled" : "not settled",
		         asked ? (mine ? "otherwise" : "") : "not");
	settled += mine != NULL;
}

static void check_case(const json_t *c, size_t n, struct arena *a)
{
	struct row *row = row_of(state_at(json_array_get(c, 2)), a);
	const struct value *v = value_at(json_array_get(c, 3)), *ruling, *answer;
	const char *came = text(c, 1);
	struct rule_context ctx = {
		.unit = unit_of(text(c, 0)), .below = came[0] == 'b', .whole_row = strchr(came, 'w') != NULL,
		.healing = strchr(came, 'h') != NULL, .epochs = &epochs,
		.mode = case_mode, .outdated = case_outdated, .was = case_was, .failing = case_failing, .defaults = case_defaults,
		.arg = (void *)(uintptr_t)c,
	};
	const char *clause = text(json_object_get(doc, "clauses"), number(c, 8));
	const json_t *losers = json_array_get(c, 9), *after = state_at(json_array_get(c, 11));
	struct verdict verdict;
	char mine[64];

	rule_decide(row, v, &ctx, a, &verdict);
	snprintf(mine, sizeof(mine), "%d %s %s", verdict.rule, verdict_text(verdict.name), why_text(verdict.why));
	if (strcmp(mine + 2, clause + 2) != 0 || verdict.rule != number_on_page(clause, v, &verdict))
		fail_msg("case %zu: \"%s\", the model says \"%s\"", n, mine, clause);
	if (strcmp(clause, "3 old ") == 0 && verdict.rule == 6 && row_group(row, v->group, v->life)->decision)
		assert_false(ident_equal(version_ident(v->v), version_ident(row_group(row, v->group, v->life)->decision->v)));
	if (!same_set(verdict.losers, verdict.nlosers, losers))
		fail_msg("case %zu (%s): %u losers, others than the model's %zu", n, clause, verdict.nlosers, json_array_size(losers));
	if (verdict.nlosers > 0 && value_at(json_array_get(losers, 0))->v->kind == DECISION)
		assert_int_equal(verdict.losers[0]->v->kind, DECISION);
	if (verdict.why == WHY_LOCK || verdict.why == WHY_RULE)
		assert_string_equal(verdict.say, text(c, 6));
	else
		assert_null(verdict.say);
	check_settling(row, v, &verdict, &ctx, c, n, a);
	ruling = follow(row, v, &verdict, c, a);
	answer = value_at(json_array_get(c, 10));
	if (!ruling != !answer || (ruling && !value_equal(ruling, answer)))
		fail_msg("case %zu (%s): another ruling than the model's", n, clause);
	if (!same_state(row, after))
		fail_msg("case %zu (%s): another state after than the model's", n, clause);
	assert_false(a->failed);
}

static void test_cases(void **unused)
{
	const json_t *cases = json_object_get(doc, "cases"), *clauses = json_object_get(doc, "clauses"), *x;
	struct arena a = {0};
	size_t i, *count = calloc(json_array_size(clauses), sizeof(*count));

	(void)unused;
	json_array_foreach(cases, i, x) {
		check_case(x, i, &a);
		arena_reset(&a);
		count[number(x, 8)]++;
	}
	arena_release(&a);
	printf("%zu cases\n", i);
	json_array_foreach(clauses, i, x)
		printf("  %6zu  %s\n", count[i], json_string_value(x));
	assert_true(json_array_size(cases) > 0);
	assert_true(settled > 0);
	free(count);
}

/* Every verdict and every reason that a ruling can name occurs, else the comparison above says too little. */
static void test_nothing_is_missing(void **unused)
{
	static const char *const must[] = {
		"1 refuse mode", "1 refuse old-policy", "1 refuse lock", "1 refuse rule", "1 refuse key-clash",
		"1 refuse forged-ruling", "1 revive ",
		"1 bad-state ", "2 need life", "2 need base", "2 pass scope", "2 aside dead", "2 aside life", "3 old ", "4 take ",
		"4 divert ", "5 take-over ", "6 keep ",
	};
	const json_t *clauses = json_object_get(doc, "clauses"), *x;
	size_t j;

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(must); i++) {
		bool there = false;

		json_array_foreach(clauses, j, x)
			there |= strcmp(json_string_value(x), must[i]) == 0;
		if (!there)
			fail_msg("no case of \"%s\"", must[i]);
	}
}

static void test_bad_marks(void **unused)
{
	static const char *const name[] = { [MARK_GOOD] = "", [MARK_ABOVE] = "above", [MARK_FAR] = "far" };
	const json_t *x;
	size_t i;

	(void)unused;
	json_array_foreach(json_object_get(doc, "bad_marks"), i, x) {
		struct marks m = marks_of(json_array_get(x, 1)), met = marks_of(json_array_get(x, 2));
		enum bad_mark bad = marks_bad(&m, (enum level)number(x, 0), &met);

		if (strcmp(name[bad], text(x, 3)) != 0)
			fail_msg("bad mark %zu: \"%s\", the model says \"%s\"", i, name[bad], text(x, 3));
	}
	assert_true(i > 0);
}

/* Every version of the document survives the encoding, byte for byte. */
static void test_encoding(void **unused)
{
	_cleanup_(buf_release) struct buf first = {0}, again = {0};
	size_t n = json_array_size(json_object_get(doc, "values"));
	struct arena a = {0};

	(void)unused;
	for (size_t i = 0; i < n; i++) {
		struct version back;
		struct reader r;

		buf_clear(&first);
		buf_clear(&again);
		version_put(&first, values[i].v);
		r = reader_of(buf_slice(&first));
		version_get(&r, &a, &back);
		if (version_mark(values[i].v).tick == 0) {       /* the vectors hold a few: no node takes one from the wire */
			assert_true(r.bad);
			continue;
		}
		assert_true(reader_done(&r));
		assert_true(version_equal(&back, values[i].v));
		version_put(&again, &back);
		assert_true(slice_equal(buf_slice(&first), buf_slice(&again)));
		arena_reset(&a);
	}
	arena_release(&a);
}

int main(int argc, char **argv)
{
	static char beside[4096];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_nothing_is_missing),
		cmocka_unit_test(test_bad_marks),
		cmocka_unit_test(test_encoding),
	};

	path = argc > 1 ? argv[1] : getenv("TERRACE_VECTORS");
	if (!path) {
		snprintf(beside, sizeof(beside), "%s/rule.json", getenv("VECTORS") ? getenv("VECTORS") : "build/vectors");
		path = beside;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
