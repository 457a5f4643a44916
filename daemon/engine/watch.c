/* Watch: the triggers that this node's modes need, and the walk over rows that no trigger named. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/audit.h"
#include "engine/duplicates.h"
#include "engine/merge.h"
#include "engine/adopt.h"
#include "engine/seal.h"
#include "engine/watch.h"
#include "store/terms.h"

#define WALK_ROWS 2000u
#define CHUNK_MS 500
#define PAUSE_MS 2000
#define QUIET_MS 1000                    /* since the application's last write */
#define WALK_WAITING 500u                 /* rows of the state a slice: each is a savepoint where it waits */

/* ---- modes */

/* A node in its tree, as far as its modes for one register depend on it: whether it may write at all, and the levels
 * that it acts for in every row. */
struct place {
	bool here;
	enum level first, level, last;
};

static struct place place_of(const struct reg *r, uint64_t unit, uint64_t parent)
{
	const struct policy_register *p = r->policy;
	enum level level = unit_level(unit);
	bool all = p->unit_source == UNIT_ALL, top = parent == UNIT_NONE || unit_level(parent) < p->ceiling || all;

	return (struct place){policy_comes_to(p, level) && (!all || unit == r->issuer), top ? PROVINCE : level, level,
	                      all ? VILLAGE : level};
}

static enum mode strongest(struct place at, const struct reg *r, uint32_t number, enum right right)
{
	enum mode best = MODE_READ;

	/* This level, those below it that may be unmanned, and at the top those above it. */
	for (enum level l = at.first; at.here && l < LEVELS; l++)
		best = MAX(best, policy_mode(r->policy, number, right, l));
	return best;
}

/* What is this level's for every row: its own mode, at the top also that of levels above. */
static enum mode always(struct place at, const struct reg *r, uint32_t number, enum right right)
{
	enum mode best = MODE_READ;

	for (enum level l = at.first; at.here && l <= at.last; l++)
		best = MAX(best, policy_mode(r->policy, number, right, l));
	return best;
}

/* A right that is not this level's always, and that it takes over where levels below are unmanned: the first that has at
 * least `want`; 0 where there is none, or where this level has as much for every row. */
static enum level taken_over(struct place at, const struct reg *r, uint32_t number, enum right right, enum mode want)
{
	if (!at.here || always(at, r, number, right) >= want)
		return 0;
	for (enum level l = at.level + 1; l < LEVELS; l++)
		if (policy_mode(r->policy, number, right, l) >= want)
			return l;
	return 0;
}

/* Refuse rules that this node may have to check: its level's, of levels below that may be unmanned, at the top above. */
static bool checks(struct place at, const struct reg *r)
{
	for (uint32_t i = 0; i < r->policy->nrules; i++)
		if (at.here && !r->policy->rules[i].warn && r->policy->rules[i].at >> at.first != 0)
			return true;
	return false;
}

static void who_decides(const struct reg *r, uint32_t number, enum right right, const char *what, struct buf *b)
{
	_cleanup_(buf_release) struct buf zh = {0}, en = {0};

	for (enum level l = PROVINCE; l < LEVELS; l++)
		if (policy_mode(r->policy, number, right, l) == MODE_OWN) {
			buf_printf(&zh, "%s%s", zh.n > 0 ? "、" : "", level_name_zh(l));
			buf_printf(&en, "%s%s", en.n > 0 ? ", " : "", level_name(l));
		}
	buf_printf(b, "%s: 由%s决定，本级不能修改 / decided by %s, not at this level", what, buf_text(&zh), buf_text(&en));
}

struct sentences {
	struct buf text[66];
};

static void modes_of(struct place at, const struct reg *r, struct capture_modes *ret, struct sentences *s)
{
	char what[300];

	memset(ret, 0, sizeof *ret);
	ret->create = strongest(at, r, 0, RIGHT_CREATE) == MODE_OWN;
	ret->remove = always(at, r, 0, RIGHT_DELETE) == MODE_OWN;
	ret->may_propose_row = (!ret->remove && strongest(at, r, 0, RIGHT_DELETE) != MODE_READ) ||
	                       strongest(at, r, 0, RIGHT_CREATE) == MODE_PROPOSE;
	ret->level = at.level;
	ret->create_from = taken_over(at, r, 0, RIGHT_CREATE, MODE_OWN);
	ret->move_from = taken_over(at, r, 0, RIGHT_CREATE, MODE_PROPOSE);
	ret->remove_from = taken_over(at, r, 0, RIGHT_DELETE, MODE_PROPOSE);
	snprintf(what, sizeof what, "%s", r->name);
	who_decides(r, 0, RIGHT_CREATE, what, &s->text[64]);
	who_decides(r, 0, RIGHT_DELETE, what, &s->text[65]);
	ret->say_create = buf_text(&s->text[64]);
	ret->say_remove = buf_text(&s->text[65]);
	for (uint32_t g = 1; g < r->ngroups; g++) {
		uint32_t number = r->groups[g] == NULL ? 0 : policy_group_number(r->policy, slice_of(r->groups[g]->name));
		enum mode here, most;

		if (number == 0)
			continue;
		here = always(at, r, number, RIGHT_GROUP);
		most = strongest(at, r, number, RIGHT_GROUP);
		/* What is this level's only for some rows (unmanned units), or what its own rules may refuse, keeps its old
		 * values: sealing judges row by row. */
		if (here == MODE_OWN && !checks(at, r))
			ret->own |= UINT64_C(1) << g;
		else if (most != MODE_READ)
			ret->propose |= UINT64_C(1) << g;
		ret->group_from[g] = taken_over(at, r, number, RIGHT_GROUP, MODE_PROPOSE);
		snprintf(what, sizeof what, "%s.%s", r->name, r->groups[g]->name);
		who_decides(r, number, RIGHT_GROUP, what, &s->text[g]);
		ret->say[g] = buf_text(&s->text[g]);
	}
}

static void sentences_release(struct sentences *s)
{
	for (size_t k = 0; k < ARRAY_SIZE(s->text); k++)
		buf_release(&s->text[k]);
}

int watch_missing(struct db *db, const struct catalog *c, uint64_t unit, uint64_t parent,
                  int (*fn)(void *arg, const struct reg *r, uint32_t missing, const char *names), void *arg, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < c->nregs && rc == 0; i++) {
		_cleanup_(sentences_release) struct sentences s = {0};
		_cleanup_(buf_release) struct buf names = {0};
		const struct reg *r = c->regs[i];
		struct capture_modes modes;
		uint32_t missing = 0;

		if (r->policy == NULL || r->hold || r->adoption == ADOPT_WAITS)
			continue;
		modes_of(place_of(r, unit, parent), r, &modes, &s);
		rc = capture_check(db, r, &modes, &missing, &names, err);
		if (rc == 0 && fn(arg, r, missing, buf_text(&names)) != 0)
			break;
	}
	return rc;
}

int watch_register(struct engine *e, struct reg *r, struct err *err)
{
	_cleanup_(sentences_release) struct sentences s = {0};
	struct capture_modes modes;

	int rc;

	modes_of(place_of(r, e->unit, e->parent), r, &modes, &s);
	rc = capture_install(e->db, r, &modes, err);
	return rc == 0 ? duplicates_index(e, r, err) : rc;
}

int watch_install(struct engine *e, bool check, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < e->catalog->nregs && rc == 0; i++) {
		_cleanup_(sentences_release) struct sentences s = {0};
		struct reg *r = e->catalog->regs[i];
		struct capture_modes modes;
		uint32_t missing = 1;

		if (r->policy == NULL)
			continue;
		if (r->hold || r->adoption == ADOPT_WAITS) {     /* what comes for it is held in the state */
			rc = capture_state(e->db, r, err);
			continue;
		}
		modes_of(place_of(r, e->unit, e->parent), r, &modes, &s);
		if (check)
			rc = capture_check(e->db, r, &modes, &missing, NULL, err);
		if (rc == 0 && missing > 0) {
			rc = capture_install(e->db, r, &modes, err);
			if (rc == 0 && check) {
				event(e, LOG_LEVEL_ERROR, "alarm", UNIT_NONE, NULL, "register %s: %u triggers were missing (table rebuilt?); "
				      "they stand again, and the rows are audited", r->name, missing);
				rc = watch_walk(e, r, "audit", err);
			}
		}
		if (rc == 0)
			rc = duplicates_index(e, r, err);
	}
	return rc;
}

/* ---- the walk */

enum why_walk { WALK_ADOPT, WALK_AUDIT, WALK_CHECK, WALK_WEEKLY, WALKS };
static const char *const why_walk[] = { "adopt", "audit", "check", "weekly" };

/* An adoption goes over the state first, so that parents of what is written later are there. */
enum stage { TABLE_BEGIN, TABLE_ON, STATE_BEGIN, STATE_ON };

int watch_walk(struct engine *e, const struct reg *r, const char *why, struct err *err)
{
	sqlite3_stmt *q = db_statement(e->db, SQL_SEAL_CURSOR_PUT, err);

	if (q == NULL)
		return ERR_DB;
	if (r->adoption != ADOPT_NOT && strcmp(why, "audit") == 0)
		return 0;                        /* its rows are not ours yet */
	bind_u64(q, 1, r->number);
	sqlite3_bind_null(q, 2);
	sqlite3_bind_int64(q, 3, strcmp(why, why_walk[WALK_ADOPT]) == 0 ? STATE_BEGIN : TABLE_BEGIN);
	bind_text(q, 4, why);
	return db_run(e->db, q, err);
}

struct walk {
	struct reg *reg;
	struct cell key;
	int64_t stage;
	enum why_walk why;
};

static int walk_of(struct engine *e, struct reg *r, struct arena *a, struct walk *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *q = db_statement(e->db, SQL_SEAL_CURSOR, err);
	int rc;

	*ret_found = false;
	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, r->number);
	rc = db_step(e->db, q, err);
	if (rc <= 0)
		return rc < 0 ? ERR_DB : 0;
	ret->reg = r;
	ret->key = cell_copy(a, read_cell(q, 0));
	ret->stage = sqlite3_column_int64(q, 1);
	ret->why = WALK_ADOPT;
	for (enum why_walk why = WALK_ADOPT; why < WALKS; why++)
		if (strcmp((const char *)sqlite3_column_text(q, 2), why_walk[why]) == 0)
			ret->why = why;
	*ret_found = true;
	sqlite3_reset(q);
	return 0;
}

/* The walk of the first register, parents first; one in the background waits for the others. */
static int walk_get(struct engine *e, struct arena *a, struct walk *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *q = db_statement(e->db, SQL_SEAL_CURSOR_ANY, err);
	int rc;

	*ret_found = false;
	if (q == NULL)
		return ERR_DB;
	rc = db_step(e->db, q, err);
	sqlite3_reset(q);
	if (rc <= 0)
		return rc < 0 ? ERR_DB : 0;
	rc = 0;
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; rc == 0 && !*ret_found && i < e->catalog->nregs; i++) {
			if (!e->catalog->regs[i]->hold)
				rc = walk_of(e, e->catalog->regs[i], a, ret, ret_found, err);
			*ret_found = *ret_found && (pass > 0 || ret->why != WALK_WEEKLY);
		}
	return rc;
}

static int walk_put(struct engine *e, const struct walk *w, bool done, struct err *err)
{
	sqlite3_stmt *q = db_statement(e->db, done ? SQL_SEAL_CURSOR_END : SQL_SEAL_CURSOR_PUT, err);

	if (q == NULL)
		return ERR_DB;
	bind_u64(q, 1, w->reg->number);
	if (!done) {
		bind_cell(q, 2, w->key);
		sqlite3_bind_int64(q, 3, w->stage);
		bind_text(q, 4, why_walk[w->why]);
	}
	return db_run(e->db, q, err);
}

/* Rows that are held and wait: those that the table lacks are written now (an audit: all of them). */
static int walk_waiting(struct engine *e, struct walk *w, struct arena *a, uint32_t *ret_n, struct err *err)
{
	struct cell after = w->key;
	struct key *keys;
	int rc = state_scan(e->state, w->reg, w->stage == STATE_ON ? &after : NULL, UNIT_NONE, WALK_WAITING, a, &keys, ret_n, err);

	for (uint32_t i = 0; rc == 0 && i < *ret_n; i++) {
		struct cell *cells = NULL;
		struct held held;

		w->key = key_column(keys[i], a);
		rc = state_load(e->state, w->reg, keys[i], a, &held, err);
		if (rc != 0 || !(held.flags & STATE_QUARANTINE))
			continue;
		if (w->why == WALK_ADOPT && w->reg->adoption != ADOPT_NOT)
			rc = table_read(e->table, w->reg, w->key, keys[i], a, &cells, err);
		if (rc == 0 && cells == NULL)
			rc = merge_retry_row(e, w->reg, w->key, err);
		state_trim(e->state);
	}
	return rc;
}

bool watch_walking(struct engine *e, const struct reg *r)
{
	sqlite3_stmt *q = db_statement(e->db, SQL_WALKING, NULL);
	bool walking;

	if (q == NULL)
		return false;
	bind_u64(q, 1, r->number);
	walking = db_step(e->db, q, NULL) > 0;
	sqlite3_reset(q);
	return walking;
}

/* Compared with the record: every row has its hash before. */
static int walk_look(struct engine *e, struct walk *w, struct arena *a, uint32_t *ret_n, struct err *err)
{
	struct cell from = w->key;
	uint64_t before = terms_pending(e->state), left = 0;

	if (before > 0) {
		int rc = terms_hash(e->state, e->table, e->catalog, e->unit, WALK_ROWS, &left, err);

		if (rc != 0 || (left > 0 && left != before)) {
			*ret_n = UINT32_MAX;
			return rc;
		}
	}
	return audit_walk(e, w->reg, w->stage & 1 ? &from : NULL, w->stage >= STATE_BEGIN, WALK_ROWS, a, &w->key, ret_n, err);
}

static int walk_slice(struct engine *e, struct walk *w, struct arena *a, uint32_t *ret_n, struct err *err)
{
	bool state_rows = w->stage >= STATE_BEGIN;
	struct cell from = w->key;
	uint32_t waiting = 0;
	int rc = 0;

	if (w->why == WALK_CHECK || w->why == WALK_WEEKLY)
		return walk_look(e, w, a, ret_n, err);
	if (!state_rows || w->why == WALK_AUDIT)
		rc = seal_walk(e, w->reg, w->stage & 1 ? &from : NULL, state_rows, w->why == WALK_AUDIT,
		               state_rows ? WALK_WAITING : WALK_ROWS, a, &w->key, ret_n, err);
	if (rc == 0 && state_rows) {
		w->key = from;
		rc = walk_waiting(e, w, a, &waiting, err);
		*ret_n = waiting;
	}
	if (rc == 0 && !state_rows && w->why == WALK_ADOPT && w->reg->adoption != ADOPT_NOT)
		rc = adopt_step(e, w->reg, *ret_n, err);
	return rc;
}

static int step(struct engine *e, struct reg **ret_adopted, bool *ret_more, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct walk w;
	uint32_t n = 0;
	bool found, done = false;
	int rc = walk_get(e, &a, &w, &found, err);

	if (rc != 0 || !found)
		return rc;
	rc = seal_empty(e, err);
	if (rc == 0)
		rc = walk_slice(e, &w, &a, &n, err);
	*ret_more = true;
	if (rc != 0 || n == UINT32_MAX)          /* hashes first */
		return rc;
	if (n > 0) {
		w.stage |= 1;
	} else if (w.why == WALK_ADOPT ? w.stage >= STATE_BEGIN && w.reg->adoption != ADOPT_NOT : w.stage < STATE_BEGIN) {
		w.stage = w.why == WALK_ADOPT ? TABLE_BEGIN : STATE_BEGIN;       /* its second half */
		w.key.type = CELL_NULL;
	} else {
		done = true;
		event(e, LOG_LEVEL_INFO, "seal", UNIT_NONE, NULL, "register %s: all rows have been looked at", w.reg->name);
		if (w.why == WALK_CHECK || w.why == WALK_WEEKLY)
			audit_tell(e, w.reg);
		if (w.why == WALK_ADOPT && w.reg->adoption != ADOPT_NOT) {
			*ret_adopted = w.reg;
			rc = adopt_end(e, w.reg, err);
		}
	}
	return rc == 0 ? walk_put(e, &w, done, err) : rc;
}

/* In the background: chunks of half a second, a pause after each, and none while the application writes. */
static bool may_go_on(struct engine *e)
{
	int64_t now = steady_ms(e);

	if (now < e->walk_ms)
		return false;
	if (now - e->hint_ms < QUIET_MS || log_pending(e->db)) {
		e->walk_ms = now + QUIET_MS;
		return false;
	}
	if (now - e->walk_began_ms >= CHUNK_MS + PAUSE_MS)
		e->walk_began_ms = now;
	if (now - e->walk_began_ms <= CHUNK_MS)
		return true;
	e->walk_ms = e->walk_began_ms + CHUNK_MS + PAUSE_MS;
	return false;
}

int watch_step(struct engine *e, bool *ret_more, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	_cleanup_(arena_release) struct arena a = {0};
	struct reg *adopted = NULL;
	struct walk w;
	bool found;
	int rc = walk_get(e, &a, &w, &found, err);

	*ret_more = false;
	if (rc != 0 || !found || (w.why == WALK_WEEKLY && !may_go_on(e)))
		return rc;
	rc = engine_begin(e, err);
	guard = e;
	if (rc == 0)
		rc = step(e, &adopted, ret_more, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc == 0 && adopted != NULL)
		adopted->adoption = ADOPT_NOT;
	return rc;
}
