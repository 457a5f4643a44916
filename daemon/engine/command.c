/* Command: what people order through the control socket and the ledger carries out.  One row a command; each
 * answers one JSON document.  The reading commands are reports. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "core/enroll.h"
#include "engine/adopt.h"
#include "engine/contact.h"
#include "engine/install.h"
#include "engine/leave.h"
#include "engine/plan.h"
#include "engine/merge.h"
#include "engine/review.h"
#include "engine/revoke.h"
#include "engine/schema.h"
#include "engine/seal.h"
#include "store/reports.h"

#define POLICY_MOST (4u << 20)

struct order {
	struct engine *e;
	const char *const *words;        /* behind the command's own */
	uint32_t n;
	const char *actor;
};

static int decoded(const char *text, struct buf *ret, struct err *err)
{
	size_t n = strlen(text), got = 0;
	uint8_t *p = n / 4 * 3 + 3 <= POLICY_MOST ? buf_reserve(ret, n / 4 * 3 + 3) : NULL;

	if (p == NULL)
		return err_set(err, ERR_LIMIT, "the document is larger than %u bytes", POLICY_MOST);
	if (base64url_get(slice_of(text), p, n / 4 * 3 + 3, &got) != 0)
		return err_set(err, ERR_FORMAT, "the document is not base64url");
	ret->n = got;
	return 0;
}

static int publish(const struct order *o, json_t **ret, struct err *err)
{
	_cleanup_(buf_release) struct buf canonical = {0};
	char unit[UNIT_TEXT_SIZE];
	uint64_t version = 0;
	int rc = decoded(o->words[0], &canonical, err);

	if (rc == 0)
		rc = policy_publish(o->e, buf_slice(&canonical), &version, err);
	if (rc != 0)
		return rc;
	event(o->e, LOG_LEVEL_NOTICE, "policy", UNIT_NONE, NULL, "version %llu published by %s", (unsigned long long)version, o->actor);
	*ret = json_pack("{s:s, s:I, s:s}", "issuer", unit_text(o->e->unit, unit), "version", (json_int_t)version, "actor",
	                 o->actor);
	return 0;
}

static int import_units(const struct order *o, json_t **ret, struct err *err)
{
	_cleanup_(buf_release) struct buf lines = {0};
	uint32_t n = 0;
	int rc = decoded(o->words[0], &lines, err);

	if (rc == 0)
		rc = units_publish(o->e, buf_slice(&lines), &n, err);
	if (rc == 0)
		*ret = json_pack("{s:i, s:s}", "units", (int)n, "actor", o->actor);
	return rc;
}

/* ---- invitations */

static int invitation_fill(struct engine *e, uint64_t unit, const char *name, struct invitation *i, struct err *err)
{
	*i = (struct invitation){.unit = unit, .pin = e->id->chain.at[0].pin};
	for (const char *const *u = e->options.urls; u != NULL && *u != NULL && i->nurls < ENROLL_URLS; u++)
		snprintf(i->url[i->nurls++], sizeof i->url[0], "%s", *u);
	if (i->nurls == 0)
		return err_set(err, ERR_CONFIG, "this node has no `url` that children could dial: set `listen` and `url` in "
		               "terraced.conf and restart");
	e->source.random(e->source.arg, i->secret, sizeof i->secret);
	snprintf(i->line, sizeof i->line, "%s", e->id->line);
	snprintf(i->name, sizeof i->name, "%s", name);
	return 0;
}

static int invite(const struct order *o, json_t **ret, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	_cleanup_(buf_release) struct buf line = {0};
	struct engine *e = o->e;
	struct invitation i;
	struct invite kept = {0};
	char until[RFC3339_SIZE];
	uint64_t unit, hours = 72;
	int rc = unit_parse(slice_of(o->words[0]), &unit, err);

	if (rc != 0)
		return rc;
	if (unit == e->unit || !unit_contains(e->unit, unit))
		return err_set(err, ERR_REFUSED, "unit %012llu is not below unit %012llu", (unsigned long long)unit,
		               (unsigned long long)e->unit);
	if (o->n > 2 && text_number(o->words[2], 1, 24 * 366, &hours) != 0)
		return err_set(err, ERR_USAGE, "hours: %s is not a number from 1 to %d", o->words[2], 24 * 366);
	if (engine_tree_time(e) == 0)
		return err_set(err, ERR_BUSY, "this node does not know the tree's time yet; it has to reach its parent first");
	rc = invitation_fill(e, unit, o->n > 1 ? o->words[1] : "", &i, err);
	if (rc == 0)
		rc = invitation_put(&i, &line, err);
	snprintf(kept.name, sizeof kept.name, "%s", i.name);
	kept.secret = digest_of((struct slice){i.secret, sizeof i.secret});
	kept.until_s = engine_tree_time(e) + (int64_t)hours * 3600;
	bytes_wipe(i.secret, sizeof i.secret);
	if (rc == 0)
		rc = engine_begin(e, err);
	guard = e;
	if (rc == 0)
		rc = invite_put(e->db, unit, &kept, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc != 0)
		return rc;
	event(e, LOG_LEVEL_NOTICE, "enrol", unit, NULL, "invited by %s for %llu hours", o->actor, (unsigned long long)hours);
	*ret = json_pack("{s:s, s:s, s:s, s:s}", "unit", o->words[0], "line", buf_text(&line), "until",
	                 time_rfc3339(kept.until_s * 1000, until), "actor", o->actor);
	return 0;
}

static int revoke(const struct order *o, json_t **ret, struct err *err)
{
	const char *reason = o->n > 1 ? o->words[1] : "";
	uint64_t unit;
	int rc = unit_parse(slice_of(o->words[0]), &unit, err);

	if (rc == 0)
		rc = revoke_publish(o->e, unit, reason, err);
	if (rc != 0)
		return rc;
	event(o->e, LOG_LEVEL_NOTICE, "enrol", unit, NULL, "revoked by %s", o->actor);
	*ret = json_pack("{s:s, s:s}", "unit", o->words[0], "actor", o->actor);
	return 0;
}

/* Two machines ran as one unit, and the administrator has stopped one of them: the other goes on, as a restored disk. */
static int rejoin(const struct order *o, json_t **ret, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct link l = {0};
	bool found = false;
	uint64_t unit;
	int rc = unit_parse(slice_of(o->words[0]), &unit, err);

	if (rc == 0)
		rc = engine_begin(o->e, err);
	guard = o->e;
	if (rc == 0)
		rc = link_get(o->e->db, unit, &l, &found, err);
	if (rc == 0 && (!found || unit == o->e->parent))
		rc = err_set(err, ERR_NOT_FOUND, "unit %012llu is no enrolled descendant of this node; terracectl peers lists them",
		             (unsigned long long)unit);
	if (rc == 0 && !l.twin)
		rc = err_set(err, ERR_REFUSED, "unit %012llu: no two machines were seen under this name", (unsigned long long)unit);
	l.twin = false;
	l.superseded = 0;
	if (rc == 0)
		rc = link_put(o->e->db, &l, err);
	if (rc == 0)
		rc = engine_commit(o->e, err);
	if (rc != 0)
		return rc;
	event(o->e, LOG_LEVEL_NOTICE, "enrol", unit, NULL, "twin settled by %s: the machine that comes next goes on", o->actor);
	*ret = json_pack("{s:s, s:s}", "unit", o->words[0], "actor", o->actor);
	return 0;
}

/* A request that came by stick; the answer goes back on it. */
static int enroll(const struct order *o, json_t **ret, struct err *err)
{
	_cleanup_(buf_release) struct buf body = {0}, chain = {0};
	char unit[UNIT_TEXT_SIZE];
	struct enroll_request q;
	int rc = decoded(o->words[0], &body, err);

	if (rc == 0 && body.n > LIMIT_ENROLL_BODY)
		rc = err_set(err, ERR_LIMIT, "a request of %zu bytes; at most %u are taken", body.n, LIMIT_ENROLL_BODY);
	if (rc == 0)
		rc = enroll_get(buf_slice(&body), &q, err);
	if (rc == 0)
		rc = engine_enroll_answer(o->e, buf_slice(&body), &chain, err);
	if (rc != 0)
		return rc;
	event(o->e, LOG_LEVEL_NOTICE, "enrol", q.unit, NULL, "a request by stick was answered by %s", o->actor);
	*ret = json_pack("{s:s, s:s, s:s}", "unit", unit_text(q.unit, unit), "chain", buf_text(&chain), "actor", o->actor);
	bytes_wipe(q.secret, sizeof q.secret);
	return 0;
}

static int leave(const struct order *o, json_t **ret, struct err *err)
{
	bool status = o->n > 0 && strcmp(o->words[0], "--status") == 0;
	int rc = status ? 0 : leave_begin(o->e, err);

	if (rc == 0 && !status)
		event(o->e, LOG_LEVEL_NOTICE, "enrol", o->e->parent, NULL, "leaves the tree when everything is settled, asked by %s", o->actor);
	if (rc == 0)
		*ret = json_pack("{s:b, s:s}", "done", has_left(o->e), "actor", o->actor);
	return rc;
}

/* ---- sync */

/* Everything sealed up to that tick is settled; and where nothing was sealed since, nothing waits to be. */
static int settled_upto(struct engine *e, uint64_t tick, bool *ret_done, struct err *err)
{
	bool waits = false, hello = e->parent != UNIT_NONE && e->hello_due;

	*ret_done = false;
	if (stream_waits(e->db, e->unit, tick, &waits, err) != 0)
		return err->code;
	if (waits || hello || quarantine_waits(e->db))
		return 0;
	*ret_done = e->sealed > tick || (!log_pending(e->db) && (e->parent == UNIT_NONE || !engine_push_ready(e)));
	return 0;
}

static int sync_now(const struct order *o, json_t **ret, struct err *err)
{
	struct engine *e = o->e;
	bool done = false;
	uint64_t tick;
	int rc;

	if (o->n == 2 && strcmp(o->words[0], "--status") == 0) {
		if (text_number(o->words[1], 0, LIMIT_TICK, &tick) != 0)
			return err_set(err, ERR_USAGE, "sync --status: %s is no tick", o->words[1]);
		rc = settled_upto(e, tick, &done, err);
		if (rc == 0)
			*ret = json_pack("{s:b}", "done", done);
		return rc;
	}
	rc = engine_seal(e, err);
	e->want_sync = e->hello_due = e->parent != UNIT_NONE;
	if (rc == 0)
		*ret = json_pack("{s:I}", "sealed", (json_int_t)e->sealed);
	return rc;
}

/* ---- closing, quarantine, audit */

static int close_one(const struct order *o, int (*fn)(struct db *, int64_t, const char *, const char *, bool *, struct err *),
                     json_t **ret, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	bool found = false;
	uint64_t id;
	int rc;

	if (text_number(o->words[0], 1, INT64_MAX, &id) != 0)
		return err_set(err, ERR_USAGE, "%s is not a number from the list", o->words[0]);
	if (o->n < 2 || o->words[1][0] == '\0')
		return err_set(err, ERR_USAGE, "give a note or reason in words");
	rc = engine_begin(o->e, err);
	guard = o->e;
	if (rc == 0)
		rc = fn(o->e->db, (int64_t)id, o->words[1], o->actor, &found, err);
	if (rc == 0 && !found)
		rc = err_set(err, ERR_NOT_FOUND, "there is no open entry %s", o->words[0]);
	if (rc == 0)
		rc = engine_commit(o->e, err);
	if (rc == 0)
		*ret = json_pack("{s:I, s:s}", "id", (json_int_t)id, "actor", o->actor);
	return rc;
}

static int close_conflict(const struct order *o, json_t **ret, struct err *err)
{
	return close_one(o, record_close, ret, err);
}

static int close_issue(const struct order *o, json_t **ret, struct err *err)
{
	return close_one(o, issue_close, ret, err);
}

static int accept_proposals(const struct order *o, json_t **ret, struct err *err)
{
	return review_command(o->e, true, o->words, o->n, o->actor, ret, err);
}

static int reject_proposals(const struct order *o, json_t **ret, struct err *err)
{
	return review_command(o->e, false, o->words, o->n, o->actor, ret, err);
}

struct wanted {
	int64_t id;
	uint32_t reg;
	struct cell key;
	struct arena arena;
	bool found, dropped;
};

static int waiting_one(void *arg, const struct waiting *w)
{
	struct wanted *x = arg;

	x->found = w->id == x->id;
	x->dropped = w->dropped;
	x->reg = w->reg;
	x->key = cell_copy(&x->arena, w->key);
	return 1;
}

/* The entry of that number; its register is known here. */
static int wanted(const struct order *o, struct wanted *x, struct reg **ret, struct err *err)
{
	uint64_t id;
	int rc;

	if (text_number(o->words[0], 1, INT64_MAX, &id) != 0)
		return err_set(err, ERR_USAGE, "%s is not a number from the list", o->words[0]);
	x->id = (int64_t)id;
	rc = quarantine_each(o->e->db, x->id - 1, waiting_one, x, err);
	if (rc != 0)
		return rc;
	*ret = x->found ? catalog_number(o->e->catalog, x->reg) : NULL;
	if (*ret == NULL)
		return err_set(err, ERR_NOT_FOUND, "nothing of number %s is in quarantine", o->words[0]);
	return x->arena.failed ? err_set(err, ERR_NOMEM, "quarantine %s: memory is short", o->words[0]) : 0;
}

/* One entry, also one that was given up; it waits again where the table still refuses it. */
static int retry_entry(const struct order *o, json_t **ret, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct wanted x = {0};
	struct reg *r = NULL;
	bool left = false;
	int rc = begin_empty(o->e, err);

	if (rc != 0)
		return rc;
	guard = o->e;
	rc = wanted(o, &x, &r, err);
	if (rc == 0)
		rc = quarantine_again(o->e->db, x.id, err);
	if (rc == 0)
		rc = merge_retry_row(o->e, r, x.key, err);
	arena_release(&x.arena);
	if (rc == 0)
		rc = engine_commit(o->e, err);
	if (rc != 0)
		return rc;
	x = (struct wanted){.id = x.id};
	rc = quarantine_each(o->e->db, x.id - 1, waiting_one, &x, err);
	left = x.found;
	arena_release(&x.arena);
	*ret = json_pack("{s:b, s:s}", "left", left, "actor", o->actor);
	return rc;
}

#define RETRY_SLICE 2000u
#define RETRY_SWEEPS 50

/* All that waits, in slices; what went in may let in others that were looked at before. */
static int retry_waiting(const struct order *o, json_t **ret, struct err *err)
{
	uint32_t applied = 1;

	if (o->n > 0)
		return retry_entry(o, ret, err);
	for (int sweep = 0; sweep < RETRY_SWEEPS && applied > 0; sweep++) {
		struct retry t = {.most = RETRY_SLICE};

		applied = 0;
		do {
			_cleanup_(engine_guard) struct engine *guard = NULL;
			int rc = begin_empty(o->e, err);

			if (rc != 0)
				return rc;
			guard = o->e;
			rc = merge_retry(o->e, &t, err);
			if (rc == 0)
				rc = engine_commit(o->e, err);
			if (rc != 0)
				return rc;
			applied += t.applied;
		} while (t.after != 0 && !atomic_load(&o->e->stopping));
	}
	*ret = json_pack("{s:b, s:s}", "left", quarantine_waits(o->e->db), "actor", o->actor);
	return 0;
}

/* What waits is decided and stands in the state of every node; that stays.  It only waits no more: the table keeps what it
 * shows until another value of the row comes or somebody says `quarantine retry ID`.  Who did it, and why, is a closed
 * issue, which stays when the row is in the table at last. */
static int drop_waiting(const struct order *o, json_t **ret, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct engine *e = o->e;
	struct wanted x = {0};
	struct reg *r = NULL;
	bool found = false;
	int rc;

	if (o->words[1][0] == '\0')
		return err_set(err, ERR_USAGE, "give a reason in words");
	rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	rc = wanted(o, &x, &r, err);
	if (rc == 0)
		rc = quarantine_give_up(e->db, x.id, now_ms(e), o->words[1], o->actor, &found, err);
	if (rc == 0 && !found)
		rc = err_set(err, ERR_REFUSED, "quarantine %s was given up already; terracectl quarantine list --all says by whom",
		             o->words[0]);
	if (rc == 0)
		rc = issue_put(e->db, "quarantine-dropped", r->name, x.key, UNIT_NONE,
		               "the table keeps what it shows; the decided value stands in the record / 表中内容保持不变，已定的值仍在记录中",
		               now_ms(e), err);
	if (rc == 0)
		rc = issue_noted(e->db, "quarantine-dropped", r->name, x.key, o->words[1], o->actor, err);
	if (rc == 0)
		event(e, LOG_LEVEL_WARNING, "quarantine", UNIT_NONE, NULL, "entry %lld of register %s was given up by %s", (long long)x.id,
		      r->name, o->actor);
	arena_release(&x.arena);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc == 0)
		*ret = json_pack("{s:I, s:s}", "id", (json_int_t)x.id, "actor", o->actor);
	return rc;
}

/* The report `reconcile status` says how it stands: what it finds are the late rows of segments behind this one. */
int audit_remember(struct engine *e, struct err *err)
{
	int64_t last = 0;
	int rc = report_last_segment(e->db, &last, err);

	if (rc == 0)
		rc = meta_put_number(e->db, "audit segment", last, err);
	return rc == 0 ? meta_put_number(e->db, "audit at", now_ms(e), err) : rc;
}

static int reconcile(const struct order *o, json_t **ret, struct err *err)
{
	return reconcile_command(o->e, o->words, o->n, o->actor, ret, err);
}

/* ---- an application's own database */

static int adopt(const struct order *o, json_t **ret, struct err *err)
{
	return adopt_apply(o->e, o->words, o->n, o->actor, ret, err);
}

static int upgrade_begin(const struct order *o, json_t **ret, struct err *err)
{
	return schema_begin(o->e, o->actor, ret, err);
}

static int upgrade_end(const struct order *o, json_t **ret, struct err *err)
{
	return schema_end(o->e, o->actor, ret, err);
}

/* ---- the table */

static const struct command {
	const char *words[2];            /* second may be NULL */
	uint32_t least;                  /* words behind */
	int (*run)(const struct order *o, json_t **ret, struct err *err);
} commands[] = {
	{{"policy", "publish"}, 1, publish},
	{{"units", "import"}, 1, import_units},
	{{"invite", NULL}, 1, invite},
	{{"peers", "revoke"}, 1, revoke},
	{{"rejoin", NULL}, 1, rejoin},
	{{"enroll", NULL}, 1, enroll},
	{{"leave", NULL}, 0, leave},
	{{"sync", NULL}, 0, sync_now},
	{{"proposals", "accept"}, 1, accept_proposals},
	{{"proposals", "reject"}, 1, reject_proposals},
	{{"conflicts", "close"}, 2, close_conflict},
	{{"issues", "close"}, 2, close_issue},
	{{"quarantine", "retry"}, 0, retry_waiting},
	{{"quarantine", "drop"}, 2, drop_waiting},
	{{"reconcile", NULL}, 0, reconcile},
	{{"adopt", NULL}, 2, adopt},
	{{"schema", "begin"}, 0, upgrade_begin},
	{{"schema", "end"}, 0, upgrade_end},
};

int engine_command(struct engine *e, const char *const *words, uint32_t nwords, const char *actor, json_t **ret,
                   struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];
		uint32_t own = c->words[1] != NULL ? 2 : 1;
		struct order o;

		if (nwords < own || strcmp(words[0], c->words[0]) != 0 || (own == 2 && strcmp(words[1], c->words[1]) != 0))
			continue;
		o = (struct order){e, words + own, nwords - own, actor};
		if (o.n < c->least)
			return err_set(err, ERR_USAGE, "%s: words are missing", words[0]);
		return c->run(&o, ret, err);
	}
	return err_set(err, ERR_USAGE, "%s: the daemon does not know this command", nwords > 0 ? words[0] : "");
}
