/* Schema: the bracket around a planned upgrade of the application. */
#include "engine/schema.h"

#include "base/log.h"
#include "engine/contact.h"
#include "engine/hold.h"
#include "store/reports.h"

static const struct cell no_key;

int schema_running(const struct engine *e, struct err *err)
{
	return !e->paused ? 0 : err_set(err, ERR_BUSY, "an upgrade of the application's schema is going on; it ends with "
	                                "`terracectl schema end`");
}

static int walking(void *arg, uint32_t reg)
{
	(void)reg;
	*(bool *)arg = true;
	return 1;
}

static int take_away(struct engine *e, struct err *err)
{
	int rc = seal_empty(e, err);

	for (uint32_t i = 0; rc == 0 && i < e->catalog->nregs; i++)
		rc = capture_remove(e->db, e->catalog->regs[i], err);
	if (rc == 0)
		rc = meta_put_number(e->db, CAPTURE_PAUSED, now_ms(e), err);
	return rc == 0 ? issue_put(e->db, "schema-paused", NULL, no_key, UNIT_NONE,
	                           "capture is paused for an upgrade of the application; give terracectl schema end when it is done / "
	                           "业务程序升级期间暂停采集，升级完成后请执行 terracectl schema end", now_ms(e), err) : rc;
}

int schema_begin(struct engine *e, const char *actor, json_t **ret, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	bool walk = false;
	int rc;

	if (e->paused)
		return err_set(err, ERR_REFUSED, "an upgrade was begun already; it ends with `terracectl schema end`");
	rc = report_walks(e->db, walking, &walk, err);
	if (rc == 0 && walk)
		rc = err_set(err, ERR_REFUSED, "rows are being walked (an adoption or an audit); wait until `terracectl reconcile "
		             "status` says that it is done");
	if (rc == 0)
		rc = begin_empty(e, err);
	guard = e;
	if (rc == 0)
		rc = take_away(e, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc != 0)
		return rc;
	e->paused = true;
	event(e, LOG_LEVEL_NOTICE, "policy", UNIT_NONE, NULL, "%s begins an upgrade of the application's schema: capture is paused", actor);
	*ret = json_pack("{s:b, s:s}", "paused", true, "actor", actor);
	return 0;
}

static int put_back(struct engine *e, int *ret_audited, struct err *err)
{
	int rc = meta_put_number(e->db, CAPTURE_PAUSED, 0, err);

	if (rc == 0)
		rc = audit_remember(e, err);
	if (rc == 0)
		rc = engine_reload_catalog(e, err);
	if (rc == 0)
		rc = hold_look(e, err);
	if (rc == 0)
		rc = watch_install(e, false, err);
	for (uint32_t i = 0; rc == 0 && i < e->catalog->nregs; i++) {
		const struct reg *r = e->catalog->regs[i];

		if (r->policy == NULL || r->hold || r->adoption == ADOPT_WAITS)
			continue;
		rc = watch_walk(e, r, "audit", err);
		(*ret_audited)++;
	}
	return rc == 0 ? issue_solved(e->db, "schema-paused", NULL, no_key, err) : rc;
}

int schema_end(struct engine *e, const char *actor, json_t **ret, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int audited = 0, rc;

	if (!e->paused)
		return err_set(err, ERR_REFUSED, "no upgrade was begun; `terracectl schema begin` begins one");
	rc = engine_begin(e, err);
	guard = e;
	if (rc == 0)
		rc = put_back(e, &audited, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc != 0)
		return rc;
	e->paused = false;
	event(e, LOG_LEVEL_NOTICE, "policy", UNIT_NONE, NULL, "%s ends the upgrade of the application's schema: %d registers are audited",
	      actor, audited);
	*ret = json_pack("{s:b, s:i, s:s}", "paused", false, "audited", audited, "actor", actor);
	return 0;
}
