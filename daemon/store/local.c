/* Local: TEMP copies of the triggers that a policy names. */
#include "store/local.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "store/survey.h"

#define PREFIX "CREATE TRIGGER "

struct installing {
	struct db *db;
	const struct catalog *c;
	void (*say)(void *arg, const char *reg, const char *text);
	void *arg;
	struct arena arena;
	uint32_t made;
};

static int drop(struct db *db, const char *name, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = { 0 };

	buf_printf(&sql, "DROP TRIGGER temp.");
	identifier_put(&sql, name);
	return db_exec(db, buf_text(&sql), err);
}

static int drop_all(struct installing *x, struct err *err)
{
	const char *names[256];
	uint32_t n = 0;
	sqlite3_stmt *s = db_statement(x->db, SQL_LOCAL_STANDING, err);
	int rc;

	if (s == NULL)
		return db_code(err);
	while (n < ARRAY_SIZE(names) && (rc = db_step(x->db, s, err)) > 0)
		names[n++] = arena_text(&x->arena, slice_of((const char *)sqlite3_column_text(s, 0)));
	sqlite3_reset(s);
	rc = x->arena.failed ? err_set(err, ERR_NOMEM, "local triggers: memory is short") : 0;
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = drop(x->db, names[i], err);
	return rc;
}

/* It may write what follows the register, never a register: that would not be captured. */
static int sound(struct installing *x, const struct reg *r, struct survey_trigger *t, char text[900])
{
	struct err say = { 0 };

	if (trigger_writes(x->db->sql, r->name, t, &x->arena, &say) != 0) {
		snprintf(text, 900, "local trigger %s cannot run here: %s", t->name, say.text);
		return -1;
	}
	for (uint32_t i = 0; i < t->nwrites; i++)
		if (t->writes[i] == NULL || catalog_register(x->c, slice_of(t->writes[i])) != NULL ||
		    strncasecmp(t->writes[i], "terrace_", 8) == 0) {
			snprintf(text, 900, "local trigger %s writes %s, which travels by itself; take it out of `local`", t->name,
			         t->writes[i] != NULL ? t->writes[i] : "?");
			return -1;
		}
	return 0;
}

static int one(struct installing *x, const struct reg *r, const char *name, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = { 0 };
	struct survey_trigger t = { .name = name };
	sqlite3_stmt *s = db_statement(x->db, SQL_LOCAL_TRIGGER, err);
	char text[900];
	int rc;

	if (s == NULL)
		return db_code(err);
	bind_text(s, 1, r->name);
	bind_text(s, 2, name);
	rc = db_step(x->db, s, err);
	if (rc > 0)
		t.sql = arena_text(&x->arena, slice_of((const char *)sqlite3_column_text(s, 0)));
	sqlite3_reset(s);
	if (rc < 0)
		return db_code(err);
	if (t.sql == NULL || strncasecmp(t.sql, PREFIX, strlen(PREFIX)) != 0) {
		snprintf(text, sizeof text, "local trigger %s: the table %s has no such trigger", name, r->name);
		x->say(x->arg, r->name, text);
		return 0;
	}
	buf_printf(&sql, "CREATE TEMP TRIGGER %s", t.sql + strlen(PREFIX));
	if (sqlite3_exec(x->db->sql, buf_text(&sql), NULL, NULL, NULL) != SQLITE_OK) {
		snprintf(text, sizeof text, "local trigger %s cannot run here: %s", name, sqlite3_errmsg(x->db->sql));
		x->say(x->arg, r->name, text);
		return 0;
	}
	x->made++;
	if (sound(x, r, &t, text) == 0)
		return 0;
	x->made--;
	x->say(x->arg, r->name, text);
	return drop(x->db, name, err);
}

int local_install(struct db *db, const struct catalog *c, void (*say)(void *arg, const char *reg, const char *text), void *arg,
                  struct err *err)
{
	struct installing x = { .db = db, .c = c, .say = say, .arg = arg };
	int rc = drop_all(&x, err), now;

	/* A virtual table in a trigger's body compiles only so. */
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, &now);
	for (uint32_t i = 0; rc == 0 && i < c->nregs; i++)
		for (uint32_t k = 0; rc == 0 && c->regs[i]->policy != NULL && !c->regs[i]->hold && k < c->regs[i]->policy->nlocal; k++)
			rc = one(&x, c->regs[i], c->regs[i]->policy->local[k], err);
	if (x.made == 0)
		sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &now);
	arena_release(&x.arena);
	return rc;
}
