/* Status: what `status --tree` says of every descendant, against what is true of it (design failure-modes.md, 14): nothing
 * is said to be equal that was not when it was compared, what was never compared is unknown, no count runs ahead of the
 * truth. */
#include "tree.h"

#include <stdio.h>
#include <string.h>

#include "engine/report.h"
#include "engine/self.h"
#include "store/links.h"
#include "store/terms.h"

#define U(unit) ((unsigned long long)(unit))

static json_t *status_of(struct sim_tree *t, const struct sim_node *n)
{
	const struct report_home home = {
		.database = n->path, .unit = n->unit, .parent = n->id.parent, .level = unit_level(n->unit), .name = "unit",
		.now_ms = t->now_ms + n->skew_ms,
	};
	static const char *const words[] = {"status", "--tree"};
	json_t *answer = NULL;
	struct err err = {0};
	int found = 0;

	if (report_run(&home, words, 2, &answer, &found, &err) != 0)
		sim_fail(t, "%012llu: status: %s", U(n->unit), err.text);
	return answer;
}

static uint64_t count_of(const json_t *j, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(j, name));
}

static const char *text_of(const json_t *j, const char *name)
{
	const char *text = json_string_value(json_object_get(j, name));

	return text != NULL ? text : "";
}

static struct sim_node *node_named(struct sim_tree *t, const char *unit)
{
	for (int i = 0; i < t->n; i++) {
		char text[UNIT_TEXT_SIZE];

		if (t->nodes[i].e != NULL && strcmp(unit_text(t->nodes[i].unit, text), unit) == 0)
			return &t->nodes[i];
	}
	return NULL;
}

/* Both sides hold the same of the child's scope; a row without a term yet: not known. */
static bool truly_equal(const struct sim_tree *t, const struct sim_node *n, const struct sim_node *p)
{
	for (int k = 0; k < SIM_REGISTERS - 1; k++) {
		const char *name = t->bands[k].reg;
		struct reg *mine = catalog_register(n->e->catalog, slice_of(name)), *its = catalog_register(p->e->catalog, slice_of(name));
		uint64_t rows[2], pending[2];
		struct term a, b;

		if (mine == NULL || its == NULL || !sim_holds(t, n, name) || !sim_holds(t, p, name) ||
		    terms_digest(n->e->state, mine, n->unit, &a, &rows[0], &pending[0], NULL) != 0 ||
		    terms_digest(p->e->state, its, n->unit, &b, &rows[1], &pending[1], NULL) != 0)
			continue;
		if (pending[0] + pending[1] == 0 && (rows[0] != rows[1] || !term_equal(&a, &b)))
			return false;
	}
	return true;
}

static void check_digest(struct sim_tree *t, struct sim_node *n, const struct sim_node *p, const json_t *said)
{
	const char *word = text_of(said, "digest"), *as_of = text_of(said, "as_of");

	if (strcmp(word, "unknown") != 0 && strcmp(word, "equal") != 0 && strcmp(word, "differs") != 0)
		sim_fail(t, "%012llu says of %012llu that its digest is `%s`", U(p->unit), U(n->unit), word);
	if (strcmp(word, "unknown") != 0 && as_of[0] == '\0')
		sim_fail(t, "%012llu says of %012llu `%s`, and never compared", U(p->unit), U(n->unit), word);
}

void sim_compared(struct sim_tree *t, int node, int64_t *at_ms)
{
	struct sim_node *n = &t->nodes[node], *p = n->parent >= 0 ? &t->nodes[n->parent] : NULL;
	int64_t before = *at_ms;
	char word[16] = "";

	if (n->e == NULL || p == NULL || p->e == NULL || sim_disk_failed(n) || sim_disk_failed(p) ||
	    link_digest(p->e->db, n->unit, word, at_ms, NULL) != 0)
		return;
	if (before != *at_ms && strcmp(word, "equal") == 0 && !truly_equal(t, n, p))
		sim_fail(t, "%012llu says that %012llu is equal, and it is not", U(p->unit), U(n->unit));
}

/* What the node knows of itself now is ahead of what it had said. */
static void check_counts(struct sim_tree *t, const struct sim_node *n, const struct sim_node *p, const json_t *said,
                         const json_t *truth)
{
	static const char *const names[] = {"applied", "settled"};
	uint64_t sealed = 0;
	const json_t *own = json_object_get(truth, "upstream");

	if (t->injected[FAULT_RESTORE] != 0)     /* what a superior had applied it may have lost */
		return;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (count_of(said, names[i]) > count_of(own, names[i]))
			sim_fail(t, "%012llu says of %012llu %s %llu, and it is %llu", U(p->unit), U(n->unit), names[i],
			         U(count_of(said, names[i])), U(count_of(own, names[i])));
	sealed = count_of(said, "sealed");
	if (sealed > count_of(own, "sealed") || count_of(said, "settled") > sealed || count_of(said, "applied") > sealed)
		sim_fail(t, "%012llu says of %012llu sealed %llu, applied %llu, settled %llu", U(p->unit), U(n->unit), U(sealed),
		         U(count_of(said, "applied")), U(count_of(said, "settled")));
}

/* At rest every neighbour knows all of it. */
static void check_rest(struct sim_tree *t, const struct sim_node *n, const struct sim_node *p, const json_t *said,
                       const json_t *truth)
{
	const json_t *own = json_object_get(truth, "upstream");

	if (n->parent < 0 || &t->nodes[n->parent] != p)
		return;
	if (strcmp(text_of(said, "digest"), "differs") == 0)
		sim_fail(t, "%012llu says at rest that %012llu differs", U(p->unit), U(n->unit));
	if (count_of(own, "pending_segments") != 0 || count_of(own, "applied") != count_of(own, "sealed"))
		sim_fail(t, "%012llu says at rest that %llu segments of its own wait", U(n->unit), U(count_of(own, "pending_segments")));
}

void sim_status(struct sim_tree *t, int node, bool rest)
{
	struct sim_node *p = &t->nodes[node];
	_cleanup_(json_release) json_t *all = NULL;
	const json_t *children;

	if (p->e == NULL || sim_disk_failed(p))
		return;
	all = status_of(t, p);
	children = json_object_get(all, "children");
	for (size_t i = 0; i < json_array_size(children) && t->failure[0] == '\0'; i++) {
		const json_t *said = json_array_get(children, i);
		struct sim_node *n = node_named(t, text_of(said, "unit"));
		_cleanup_(json_release) json_t *truth = NULL;

		if (n == NULL || sim_disk_failed(n))
			continue;
		truth = status_of(t, n);
		check_digest(t, n, p, said);
		check_counts(t, n, p, said, truth);
		if (rest)
			check_rest(t, n, p, said, truth);
		t->instants++;
	}
}
