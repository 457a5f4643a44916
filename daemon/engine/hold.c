/* Hold: waiting for the application's own schema. */
#include "engine/hold.h"

#include <stdio.h>

#include "base/log.h"
#include "engine/adopt.h"
#include "store/ddl.h"

static const struct cell no_key;

static const char *lacking(const struct reg *r)
{
	for (uint32_t i = 0; i < r->ncolumns; i++)
		if (!r->columns[i].present)
			return r->columns[i].name;
	return "?";
}

static int begins(struct engine *e, const struct reg *r, struct err *err)
{
	char text[600];
	bool table = r->key[0]->present;

	snprintf(text, sizeof text, "%s %s; what comes for it waits until the application has made it / 业务程序的表尚缺：%s，升级业务程序后自动继续",
	         table ? "the application's table has no column" : "the application has no table", table ? lacking(r) : r->name,
	         table ? lacking(r) : r->name);
	event(e, LOG_LEVEL_ERROR, "alarm", UNIT_NONE, NULL, "schema hold: register %s: %s", r->name, text);
	return issue_put(e->db, "schema-hold", r->name, no_key, UNIT_NONE, text, now_ms(e), err);
}

static int ends(struct engine *e, struct reg *r, struct err *err)
{
	int rc = issue_solved(e->db, "schema-hold", r->name, no_key, err);

	if (rc == 0 && r->adoption != ADOPT_WAITS)
		rc = watch_register(e, r, err);
	if (rc == 0 && r->adoption != ADOPT_WAITS)
		rc = watch_walk(e, r, "audit", err);
	event(e, LOG_LEVEL_NOTICE, "policy", UNIT_NONE, NULL, "register %s: the table has what the policy asks for; the hold has ended",
	      r->name);
	return rc;
}

/* The application's upgrade left a table that no register can be. */
static int shape(struct engine *e, const struct reg *r, struct err *err)
{
	struct err say = {0};
	bool open = false;
	int rc;

	if (!r->policy->application_schema || r->hold)
		return 0;
	rc = issue_is_open(e->db, "schema-shape", r->name, no_key, &open, err);
	if (rc != 0)
		return rc;
	if (ddl_shape(e->db->sql, r->policy, NULL, &say) != ERR_POLICY)
		return open ? issue_solved(e->db, "schema-shape", r->name, no_key, err) : 0;
	if (!open)
		event(e, LOG_LEVEL_ERROR, "alarm", UNIT_NONE, NULL, "%s", say.text);
	return issue_put(e->db, "schema-shape", r->name, no_key, UNIT_NONE, say.text, now_ms(e), err);
}

int hold_look(struct engine *e, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < e->catalog->nregs && rc == 0; i++) {
		struct reg *r = e->catalog->regs[i];
		bool open = false;

		if (r->policy == NULL)
			continue;
		rc = issue_is_open(e->db, "schema-hold", r->name, no_key, &open, err);
		if (rc == 0 && r->hold && !open)
			rc = begins(e, r, err);
		else if (rc == 0 && !r->hold && open)
			rc = ends(e, r, err);
		if (rc == 0)
			rc = shape(e, r, err);
	}
	return rc == 0 ? adopt_look(e, err) : rc;
}

int hold_fill(struct merging *m, struct merging_row *row, struct cell *cells, struct err *err)
{
	const struct life_state *l = row->stood ? row_current(row->held.row) : NULL;
	int rc = l != NULL ? held_cells(m->e->table, &row->held, &m->row, err) : 0;

	for (uint32_t g = 1; rc == 0 && l != NULL && g < m->reg->ngroups; g++) {
		const struct group *group = m->reg->groups[g];
		const struct value *v = group_shown(&l->groups[g]);

		for (uint32_t i = 0; group != NULL && v != NULL && v->cells != NULL && i < group->ncolumns && i < v->ncells; i++)
			if (!group->columns[i]->present && (v->present == NULL || v->present[i]))
				cells[group->columns[i] - m->reg->columns] = v->cells[i];
	}
	return rc;
}
