/* Tick: what is due between jobs.  An inotify event only starts the quiet time; a look at the log decides. */
#include "base/log.h"
#include "engine/contact.h"
#include "engine/gone.h"
#include "engine/hold.h"
#include "engine/merge.h"
#include "engine/plan.h"
#include "store/terms.h"

#define LOOK_MS 30000
#define LOOK_AGAIN_MS 1000
#define HASH_ROWS 2000u
#define RETRY_MS 5000
#define RETRY_ROWS 500u
#define RETRY_REST 10                    /* a sweep may take a tenth of the time */
#define VIA_MS 3000
#define ERASE_MS 1000
#define CHECKPOINT_MS 3000
#define BROADCAST_MS 1000
#define HELLO_MS 600000
#define REST_MS 2000
#define RECLAIM_MS 86400000

#define BUSY_SAY_MS 60000
#define SAY_MS 60000

/* Another program holds the lock: a line a minute to the journal (the sync log stands in the file that is locked), and
 * one in both when it is over. */
static void report_busy(struct engine *e, int rc, const struct err *err)
{
	int64_t now = steady_ms(e);

	if (rc == ERR_BUSY && e->busy_ms == 0) {
		e->busy_ms = now;
		e->busy_commits = e->db->changes;
	}
	if (rc == ERR_BUSY && (e->busy_said_ms == 0 || now - e->busy_said_ms >= BUSY_SAY_MS)) {
		e->busy_said_ms = now;
		if (e->options.event != NULL)
			e->options.event(e->options.arg, LOG_LEVEL_WARNING, "alarm", UNIT_NONE, NULL, err->text);
	}
	if (rc == 0 && e->busy_ms != 0 && e->db->changes != e->busy_commits) {
		event(e, LOG_LEVEL_WARNING, "alarm", UNIT_NONE, NULL, "the database was locked by another program for about %lld s",
		      (long long)(now - e->busy_ms) / 1000 + DB_BUSY_MS / 1000);
		e->busy_ms = 0;
	}
}

static void report(struct engine *e, const char *kind, int rc, const struct err *err)
{
	int64_t now = steady_ms(e);

	report_busy(e, rc, err);
	if (rc == 0 || rc == ERR_STOPPING || rc == ERR_BUSY || (e->options.space_hard_mb != 0 && rc == ERR_FULL))
		return;                          /* a full disk is the space's to tell */
	if (rc == e->said_rc && now - e->said_ms < SAY_MS)
		return;
	e->said_rc = rc;
	e->said_ms = now;
	event(e, LOG_LEVEL_ERROR, kind, UNIT_NONE, NULL, "%s", err->text);
}

/* Milliseconds until the log wants to be looked at again; 0 = now. */
static int64_t look(struct engine *e, bool hint)
{
	int64_t now = steady_ms(e), last, quiet, longest;
	struct err err = {0};
	bool more = false;
	int rc;

	if (hint) {
		e->hint_ms = now;
		e->next_look_ms = MIN(e->next_look_ms, now + e->options.seal_ms);
	}
	if (now < e->next_look_ms)
		return e->next_look_ms - now;
	if (!log_pending(e->db)) {
		e->log_first_ms = 0;
		/* The event precedes the visible commit: once more after a second, then every 30. */
		e->next_look_ms = now + (now - e->hint_ms < LOOK_AGAIN_MS ? LOOK_AGAIN_MS : LOOK_MS);
		return e->next_look_ms - now;
	}
	last = log_last(e->db);
	if (e->log_first_ms == 0)
		e->log_first_ms = now;
	if (last != e->log_last) {
		e->log_last = last;
		e->log_seen_ms = now;
	}
	/* An event tells the time of the newest write better than the look does. */
	quiet = MIN(e->log_seen_ms, e->hint_ms != 0 ? e->hint_ms : e->log_seen_ms) + e->options.seal_ms;
	longest = e->log_first_ms + e->options.seal_max_ms;
	if (now < quiet && now < longest) {
		e->next_look_ms = MIN(quiet, longest);
		return e->next_look_ms - now;
	}
	rc = seal_log(e, &more, &err);
	report(e, "seal", rc, &err);
	if (rc == 0 && !more)
		e->log_first_ms = 0;
	e->next_look_ms = now + (rc != 0 ? LOOK_AGAIN_MS : more ? 0 : e->options.seal_ms);
	return e->next_look_ms - now;
}

/* A restored copy, VACUUM INTO and rename: the node goes on as after a restore. */
static int64_t replaced(struct engine *e)
{
	struct err err = {0};
	int rc;

	if (!db_replaced(e->db))
		return INT64_MAX;
	rc = engine_reopen(e, &err);
	if (rc != 0)
		report(e, "alarm", rc, &err);
	else
		event(e, LOG_LEVEL_ERROR, "alarm", UNIT_NONE, NULL, "%s was replaced by another file; it is taken for a restored copy",
		      e->db->path);
	return LOOK_AGAIN_MS;
}

/* The application changed the schema: triggers are checked, and what they missed is found. */
static int64_t schema(struct engine *e)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	sqlite3_stmt *q = db_statement(e->db, SQL_SCHEMA_VERSION, NULL);
	int64_t version = q != NULL && db_step(e->db, q, NULL) > 0 ? sqlite3_column_int64(q, 0) : e->schema_version;
	struct err err = {0};
	int rc;

	if (q != NULL)
		sqlite3_reset(q);
	if (version == e->schema_version)
		return INT64_MAX;
	rc = engine_begin(e, &err);
	guard = e;
	if (rc == 0)
		rc = engine_reload_catalog(e, &err);
	if (rc == 0)
		rc = hold_look(e, &err);
	if (rc == 0)
		rc = watch_install(e, true, &err);
	if (rc == 0)
		rc = engine_commit(e, &err);
	report(e, "alarm", rc, &err);
	if (rc == 0) {
		q = db_statement(e->db, SQL_SCHEMA_VERSION, NULL);
		if (q != NULL && db_step(e->db, q, NULL) > 0)
			e->schema_version = sqlite3_column_int64(q, 0);
		if (q != NULL)
			sqlite3_reset(q);
	}
	return rc == 0 ? 0 : LOOK_AGAIN_MS;
}

static int64_t hash(struct engine *e)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct err err = {0};
	uint64_t left = 0, before = terms_pending(e->state);
	int rc;

	if (before == 0 || log_pending(e->db))
		return INT64_MAX;
	rc = engine_begin(e, &err);
	guard = e;
	if (rc == 0)
		rc = seal_empty(e, &err);
	if (rc == 0)
		rc = terms_hash(e->state, e->table, e->catalog, e->unit, HASH_ROWS, &left, &err);
	if (rc == 0)
		rc = engine_commit(e, &err);
	report(e, "alarm", rc, &err);
	return rc != 0 || left == before ? LOOK_AGAIN_MS : left > 0 ? 0 : INT64_MAX;
}

/* When anything has come since the last sweep, a parent row, a policy, another schema, all of it is tried, slice after slice;
 * else one slice at a time: what stands in the way may be the application's own. */
static int64_t retry(struct engine *e)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct retry t = {.most = RETRY_ROWS, .after = e->retry_after};
	int64_t now = steady_ms(e);
	struct err err = {0};
	int rc;

	if (now < e->next_retry_ms)
		return e->next_retry_ms - now;
	e->next_retry_ms = now + RETRY_MS;
	if (!quarantine_waits(e->db))
		return RETRY_MS;
	if (!e->retry_sweep && e->retried != e->activity) {
		e->retry_sweep = true;
		e->retry_began_ms = now;
		e->retried = e->activity;
		t.after = 0;
	}
	rc = engine_begin(e, &err);
	guard = e;
	if (rc == 0)
		rc = seal_empty(e, &err);
	if (rc == 0)
		rc = merge_retry(e, &t, &err);
	if (rc == 0)
		rc = engine_commit(e, &err);
	report(e, "quarantine", rc, &err);
	e->retry_after = rc == 0 ? t.after : 0;
	if (rc != 0 || e->retry_after == 0) {
		if (e->retry_sweep)
			e->next_retry_ms = now + MAX(RETRY_MS, (steady_ms(e) - e->retry_began_ms) * RETRY_REST);
		e->retry_sweep = false;
	} else if (e->retry_sweep) {
		e->next_retry_ms = now;
	}
	return e->next_retry_ms - now;
}

/* Values of rows that left the scope while nothing waited to go up. */
static int64_t erase(struct engine *e)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int64_t now = steady_ms(e);
	struct err err = {0};
	bool more = false;
	int rc;

	if (now < e->next_erase_ms)
		return e->next_erase_ms - now;
	e->next_erase_ms = now + ERASE_MS;
	if (!marker_any(e->db))
		return INT64_MAX;
	rc = engine_begin(e, &err);
	guard = e;
	if (rc == 0)
		rc = merge_erase_told(e, &more, &err);
	if (rc == 0)
		rc = engine_commit(e, &err);
	report(e, "alarm", rc, &err);
	if (more)
		e->next_erase_ms = now;
	return more ? 0 : ERASE_MS;
}

/* Rows that have to follow the row they refer to, where the last segment of a seal did not come. */
static int64_t via(struct engine *e)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int64_t now = steady_ms(e);
	struct err err = {0};
	int rc;

	if (!e->catalog->follows)
		return INT64_MAX;
	if (now < e->next_via_ms)
		return e->next_via_ms - now;
	e->next_via_ms = now + VIA_MS;
	if (!via_any(e->db))
		return VIA_MS;
	rc = engine_begin(e, &err);
	guard = e;
	if (rc == 0)
		rc = seal_empty(e, &err);
	if (rc == 0)
		rc = via_tick(e, &err);
	if (rc == 0)
		rc = engine_commit(e, &err);
	report(e, "alarm", rc, &err);
	return VIA_MS;
}

static int64_t checkpoint(struct engine *e)
{
	int64_t now = steady_ms(e);

	if (now < e->next_checkpoint_ms)
		return e->next_checkpoint_ms - now;
	e->next_checkpoint_ms = now + CHECKPOINT_MS;
	if (e->checkpointed == e->db->changes) {
		if (e->rested != e->db->changes)
			db_rest(e->db);
		e->rested = e->db->changes;
		return INT64_MAX;
	}
	sqlite3_wal_checkpoint_v2(e->db->sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	e->checkpointed = e->db->changes;
	return CHECKPOINT_MS;
}

static int64_t broadcasts(struct engine *e)
{
	int64_t now = steady_ms(e);
	struct err err = {0};
	int rc;

	if (now < e->next_broadcast_ms)
		return e->next_broadcast_ms - now;
	e->next_broadcast_ms = now + BROADCAST_MS;
	rc = broadcast_next(e, engine_tree_time(e), &err);
	report(e, "policy", rc, &err);
	return BROADCAST_MS;
}

/* Digests are compared when this node has come to rest after a change, and every ten minutes. */
static int64_t compare(struct engine *e)
{
	int64_t now = steady_ms(e);

	if (e->parent == UNIT_NONE)
		return INT64_MAX;
	if (now - e->hello_ms > HELLO_MS)
		e->hello_due = true;
	if (e->activity == e->compared)
		return INT64_MAX;
	if (e->activity != e->looked) {
		e->looked = e->activity;
		e->active_ms = now;
	}
	if (now - e->active_ms < REST_MS || now < e->compare_ms || terms_pending(e->state) > 0 || engine_push_ready(e))
		return LOOK_AGAIN_MS;
	e->hello_due = true;
	e->compare_ms = now + LOOK_MS;
	return LOOK_AGAIN_MS;
}

/* Once a day: what has been settled and kept long enough. */
static void reclaim(struct engine *e)
{
	struct err err = {0};
	bool more = false;
	int rc;

	if (steady_ms(e) < e->next_reclaim_ms)
		return;
	rc = contact_reclaim(e, &more, &err);
	e->next_reclaim_ms = steady_ms(e) + (more ? LOOK_AGAIN_MS : RECLAIM_MS);
	if (rc == 0 && !more)
		rc = gone_reclaim(e, &err);
	report(e, "alarm", rc, &err);
}

int64_t engine_tick(struct engine *e, bool hint)
{
	int64_t wait = LOOK_MS;
	struct err err = {0};
	bool more = false;
	int rc;

	report_busy(e, 0, NULL);
	if (atomic_load(&e->stopping))
		return LOOK_MS;
	wait = MIN(wait, replaced(e));
	if (e->paused)
		return wait;
	wait = MIN(wait, space_look(e));
	if (e->space == SPACE_HARD)
		return MIN(wait, compare(e));
	wait = MIN(wait, schema(e));
	wait = MIN(wait, look(e, hint));
	rc = watch_step(e, &more, &err);
	report(e, "seal", rc, &err);
	if (steady_ms(e) >= e->next_weekly_ms)
		e->next_weekly_ms = plan_weekly(e);
	if (e->walk_ms > steady_ms(e))
		wait = MIN(wait, e->walk_ms - steady_ms(e));
	wait = more ? 0 : MIN(wait, hash(e));
	wait = MIN(wait, retry(e));
	wait = MIN(wait, via(e));
	wait = MIN(wait, erase(e));
	wait = MIN(wait, broadcasts(e));
	wait = MIN(wait, checkpoint(e));
	reclaim(e);
	wait = MIN(wait, compare(e));
	return MAX(wait, 0);
}
