/* Records: what `why` says of every record of every node, for who decides each case again (tests/lib/redecide.py). */
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/report.h"

static void row_records(struct sim_tree *t, struct sim_node *n, const char *reg, const char *key, FILE *f)
{
	const struct report_home home = {
		.database = n->path, .unit = n->unit, .parent = n->id.parent, .level = unit_level(n->unit), .name = "unit",
		.now_ms = t->now_ms,
	};
	const char *const words[] = {"why", reg, key};
	_cleanup_(json_release) json_t *answer = NULL;
	struct err err = {0};
	int found = 0;
	const json_t *records;

	if (report_run(&home, words, 3, &answer, &found, &err) != 0) {
		sim_fail(t, "%012llu: why %s %s: %s", (unsigned long long)n->unit, reg, key, err.text);
		return;
	}
	records = json_object_get(answer, "records");
	if (json_array_size(records) == 0)
		sim_fail(t, "%012llu: why %s %s tells of no record, and there is one", (unsigned long long)n->unit, reg, key);
	for (size_t i = 0; i < json_array_size(records); i++) {
		_cleanup_(json_release) json_t *one = json_copy(json_array_get(records, i));

		json_object_set_new(one, "at_node", json_sprintf("%012llu", (unsigned long long)n->unit));
		json_object_set_new(one, "seed", json_integer((json_int_t)t->seed));
		if (json_dumpf(one, f, JSON_COMPACT) != 0 || fputc('\n', f) == EOF)
			sim_fail(t, "records cannot be written: %s", strerror(errno));
	}
}

void sim_records(struct sim_tree *t, const char *file)
{
	FILE *f = fopen(file, "a");

	if (f == NULL) {
		sim_fail(t, "%s: %s", file, strerror(errno));
		return;
	}
	for (int i = 0; i < t->n && t->failure[0] == '\0'; i++) {
		struct sim_node *n = &t->nodes[i];
		sqlite3_stmt *q = NULL;

		if (n->app == NULL || sqlite3_prepare_v2(n->app, "SELECT DISTINCT register, key FROM terrace_record ORDER BY 1, 2", -1, &q,
		                                         NULL) != SQLITE_OK)
			continue;
		while (sqlite3_step(q) == SQLITE_ROW)
			row_records(t, n, (const char *)sqlite3_column_text(q, 0), (const char *)sqlite3_column_text(q, 1), f);
		sqlite3_finalize(q);
	}
	if (fclose(f) != 0)
		sim_fail(t, "%s: %s", file, strerror(errno));
}
