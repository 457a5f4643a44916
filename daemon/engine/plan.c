/* Plan: the reconciliation that a person orders. */
#include "engine/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "engine/audit.h"
#include "engine/rounds.h"

#define WEEK_MS INT64_C(604800000)
#define WEEK_LOOK_MS 3600000             /* between two looks whether a week is over */

/* ---- beginning */

struct wanted {
	const struct reg *reg;
	uint64_t with;
	int registers, neighbours;
};

static int wanted_read(struct engine *e, const char *const *words, uint32_t n, struct wanted *ret, struct err *err)
{
	for (uint32_t i = 0; i + 1 < n; i += 2) {
		const char *value = words[i + 1];
		int rc = 0;

		if (strcmp(words[i], "--register") == 0) {
			ret->reg = catalog_register(e->catalog, slice_of(value));
			if (ret->reg == NULL || ret->reg->policy == NULL)
				return err_set(err, ERR_NOT_FOUND, "%s is no register of the policies in force here", value);
		} else if (strcmp(words[i], "--with") == 0) {
			rc = unit_parse(slice_of(value), &ret->with, err);
		} else {
			rc = err_set(err, ERR_USAGE, "%s: no such option", words[i]);
		}
		if (rc != 0)
			return rc;
	}
	for (uint32_t i = 0; i < e->nchildren; i++)
		ret->neighbours += ret->with == UNIT_NONE || e->children[i] == ret->with;
	ret->neighbours += e->parent != UNIT_NONE && (ret->with == UNIT_NONE || ret->with == e->parent);
	if (ret->with != UNIT_NONE && ret->neighbours == 0)
		return err_set(err, ERR_NOT_FOUND, "unit %012llu is neither the superior of this node nor a direct subordinate; "
		               "terracectl peers lists them", (unsigned long long)ret->with);
	return 0;
}

/* The walk over a register whose triggers were missing seals what it finds, and stays. */
static int walks(struct engine *e, const struct reg *only, const char *why, int *ret_n, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < e->catalog->nregs; i++) {
		const struct reg *r = e->catalog->regs[i];

		if (r->policy == NULL || r->hold || r->adoption != ADOPT_NOT || (only != NULL && r != only) || watch_walking(e, r))
			continue;
		rc = watch_walk(e, r, why, err);
		(*ret_n)++;
	}
	return rc;
}

static int ask_neighbours(struct engine *e, const struct wanted *w, struct err *err)
{
	int rc = 0;

	if (e->parent != UNIT_NONE && (w->with == UNIT_NONE || w->with == e->parent))
		rounds_want(e, ROUNDS_PLAN);
	for (uint32_t i = 0; i < e->nchildren && rc == 0; i++)
		if (w->with == UNIT_NONE || w->with == e->children[i])
			rc = dirty_item(e->db, e->children[i], ITEM_ASK, ASK_ROUNDS, err);
	return rc;
}

static int begin(struct engine *e, const char *const *words, uint32_t n, const char *actor, json_t **ret, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct wanted w = { 0 };
	int rc = wanted_read(e, words, n, &w, err);

	if (rc == 0)
		rc = engine_begin(e, err);
	if (rc != 0)
		return rc;
	guard = e;
	rc = audit_remember(e, err);
	if (rc == 0)
		rc = watch_install(e, true, err);
	if (rc == 0)
		rc = walks(e, w.reg, "check", &w.registers, err);
	if (rc == 0)
		rc = ask_neighbours(e, &w, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc != 0)
		return rc;
	event(e, LOG_LEVEL_NOTICE, "reconcile", UNIT_NONE, NULL, "%d registers are compared with the record, and %d neighbours, asked by %s",
	      w.registers, w.neighbours, actor);
	*ret = json_pack("{s:i, s:i, s:s}", "registers", w.registers, "neighbours", w.neighbours, "actor", actor);
	return 0;
}

/* ---- applying */

struct planned {
	struct arena arena;
	struct reg *reg;
	struct key key;
	struct cell cell;
	enum plan_kind kind;
	uint64_t with;
	uint8_t mark[ROW_MARK_SIZE];
};

/* The text up to the next colon; *at behind it. */
static struct slice part(const char **at)
{
	size_t n = strcspn(*at, ":");
	struct slice s = { (const uint8_t *)*at, n };

	*at += n + ((*at)[n] == ':');
	return s;
}

static struct slice unhex(struct slice hex, struct arena *a)
{
	uint8_t *p = hex.n % 2 == 0 ? arena_alloc(a, hex.n / 2 + 1) : NULL;

	if (p == NULL || hex_get(hex, p, hex.n / 2) != 0)
		return (struct slice){ NULL, 0 };
	return (struct slice){ p, hex.n / 2 };
}

static int planned_read(struct engine *e, const char *word, struct planned *p, struct err *err)
{
	const char *at = word;
	struct slice name = unhex(part(&at), &p->arena), key = unhex(part(&at), &p->arena), kind = part(&at), unit = part(&at), mark;
	struct reader r = reader_of(key);

	mark = unhex(part(&at), &p->arena);
	p->key = key_get(&r, &p->arena);
	if (name.n == 0 || key.n == 0 || key.n > LIMIT_KEY + 16 || !reader_done(&r) || kind.n != 1 || strchr("cmud", kind.p[0]) == NULL ||
	    unit.n != 12 || mark.n != ROW_MARK_SIZE || *at != '\0')
		return err_set(err, ERR_FORMAT, "a row of the plan is malformed; make a new plan");
	p->kind = (enum plan_kind)kind.p[0];
	for (size_t i = 0; i < unit.n; i++)
		p->with = p->with * 10 + (uint64_t)(unit.p[i] - '0');
	memcpy(p->mark, mark.p, ROW_MARK_SIZE);
	p->reg = catalog_register(e->catalog, name);
	if (p->reg == NULL || p->reg->policy == NULL || p->key.n != p->reg->nkey)
		return err_set(err, ERR_REFUSED, "the plan is stale: register %.*s is not what it was; make a new plan", (int)name.n,
		               (const char *)name.p);
	p->cell = key_column(p->key, &p->arena);
	return p->arena.failed ? err_set(err, ERR_NOMEM, "applying a plan: memory is short") : 0;
}

/* Still what the plan says: here, and what was found of it. */
static int planned_check(struct engine *e, struct planned *p, struct err *err)
{
	uint8_t mark[ROW_MARK_SIZE];
	struct damage f;
	int rc = row_mark(e->state, e->table, p->reg, p->key, &p->arena, mark, err);
	bool known;

	if (rc == 0)
		rc = finding_get(e->db, p->reg, p->cell, &f, err);
	if (rc != 0)
		return rc;
	known = p->kind == PLAN_DIFFERS ? difference_has(e->db, p->with, p->reg, p->cell) :
	        f.kind == (p->kind == PLAN_CHANGED ? FINDING_CHANGED : p->kind == PLAN_MISSING ? FINDING_MISSING : FINDING_UNKNOWN);
	if (!known || memcmp(mark, p->mark, ROW_MARK_SIZE) != 0)
		return err_set(err, ERR_REFUSED, "the plan is stale: a row of register %s is not what it was; make a new plan", p->reg->name);
	return 0;
}

/* A neighbour that holds the row sends it, and gets it. */
static int exchange(struct engine *e, struct planned *p, uint64_t peer, struct err *err)
{
	int rc = dirty_mark(e->db, peer, p->reg, p->cell, UINT64_MAX, err);

	if (rc == 0)
		rc = need_add(e->db, peer, p->reg->name, p->cell, now_ms(e), err);
	if (rc == 0 && peer != e->parent)
		rc = dirty_item(e->db, peer, ITEM_ASK, ASK_HELLO, err);
	if (peer == e->parent)
		e->hello_due = true;
	return rc;
}

/* Whom to ask for the values of a damaged row: both who hold it too. */
static int ask_for(struct engine *e, struct planned *p, int *ret_asked, struct err *err)
{
	const struct damage f = { .reg = p->reg->number, .key = p->cell, .asked = true,
		                   .kind = p->kind == PLAN_MISSING ? FINDING_MISSING : FINDING_CHANGED };
	struct held h;
	uint64_t child;
	int rc = state_load(e->state, p->reg, p->key, &p->arena, &h, err), before = *ret_asked;

	child = rc == 0 && h.exists ? child_towards(e, h.unit) : UNIT_NONE;
	if (rc == 0 && e->parent != UNIT_NONE && compares(e, p->reg, e->parent)) {
		rc = need_add(e->db, e->parent, p->reg->name, p->cell, now_ms(e), err);
		e->hello_due = true;
		++*ret_asked;
	}
	if (rc == 0 && child != UNIT_NONE && compares(e, p->reg, child)) {
		rc = need_add(e->db, child, p->reg->name, p->cell, now_ms(e), err);
		if (rc == 0)
			rc = dirty_item(e->db, child, ITEM_ASK, ASK_HELLO, err);
		++*ret_asked;
	}
	if (rc == 0 && *ret_asked == before)
		return err_set(err, ERR_REFUSED, "register %s: nobody else holds the right values of a row, and its author's signed delta is not "
		               "kept here; if the table is right, apply the plan with --keep-local", p->reg->name);
	*ret_asked = before + 1;
	return rc == 0 ? finding_put(e->db, &f, now_ms(e), err) : rc;
}

static int planned_do(struct engine *e, struct planned *p, bool keep, int *ret_mended, int *ret_asked, struct err *err)
{
	bool mended = false;
	int rc;

	if (p->kind == PLAN_DIFFERS) {
		++*ret_asked;
		return exchange(e, p, p->with, err);
	}
	if (keep) {
		rc = mend_keep(e, p->reg, p->key, err);
		*ret_mended += rc == 0;
		return rc;
	}
	if (p->kind == PLAN_UNKNOWN) {
		rc = table_delete(e->table, p->reg, p->key, err);
		if (rc == 0)
			rc = table_keys(e->table, p->reg, p->key, true, err);
		*ret_mended += rc == 0;
		return rc == 0 ? finding_clear(e->db, p->reg, p->cell, err) : rc;
	}
	rc = mend_from_evidence(e, p->reg, p->key, &mended, err);
	*ret_mended += rc == 0 && mended;
	return rc != 0 || mended ? rc : ask_for(e, p, ret_asked, err);
}

static int apply_one(struct engine *e, const char *word, bool change, bool keep, int *ret_mended, int *ret_asked, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	struct planned p = { 0 };
	int rc = begin_empty(e, err);

	if (rc != 0)
		return rc;
	guard = e;
	rc = planned_read(e, word, &p, err);
	if (rc == 0)
		rc = planned_check(e, &p, err);
	if (rc == 0 && change)
		rc = planned_do(e, &p, keep, ret_mended, ret_asked, err);
	arena_release(&p.arena);
	return rc == 0 ? engine_commit(e, err) : rc;
}

static int apply(struct engine *e, const char *const *words, uint32_t n, const char *actor, json_t **ret, struct err *err)
{
	bool change = n > 1 && strcmp(words[0], "do") == 0, keep = n > 1 && strcmp(words[1], "keep") == 0;
	int mended = 0, asked = 0, rc = 0;

	if (n < 2)
		return err_set(err, ERR_USAGE, "reconcile: words are missing");
	for (uint32_t i = 2; i < n && rc == 0; i++)
		rc = apply_one(e, words[i], change, keep, &mended, &asked, err);
	if (mended + asked > 0)
		event(e, LOG_LEVEL_NOTICE, "reconcile", UNIT_NONE, NULL, "a plan is applied by %s: %d rows mended here, %d asked of neighbours",
		      actor, mended, asked);
	if (rc == 0)
		*ret = json_pack("{s:i, s:i, s:s}", "mended", mended, "asked", asked, "actor", actor);
	return rc;
}

int reconcile_command(struct engine *e, const char *const *words, uint32_t n, const char *actor, json_t **ret, struct err *err)
{
	if (n > 0 && strcmp(words[0], "apply") == 0)
		return apply(e, words + 1, n - 1, actor, ret, err);
	return begin(e, words, n, actor, ret, err);
}

/* ---- every week */

int64_t plan_weekly(struct engine *e)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int64_t now = now_ms(e), last = meta_number(e->db, "weekly audit", 0);
	struct err err = { 0 };
	int registers = 0, rc;

	if (last != 0 && now - last < WEEK_MS && now >= last)
		return steady_ms(e) + MIN(WEEK_LOOK_MS, WEEK_MS - (now - last));
	rc = engine_begin(e, &err);
	guard = e;
	if (rc == 0 && last != 0)
		rc = walks(e, NULL, "weekly", &registers, &err);
	if (rc == 0)
		rc = meta_put_number(e->db, "weekly audit", now, &err);
	if (rc == 0)
		rc = engine_commit(e, &err);
	if (rc != 0 && rc != ERR_BUSY && rc != ERR_STOPPING)
		event(e, LOG_LEVEL_ERROR, "reconcile", UNIT_NONE, NULL, "%s", err.text);
	return steady_ms(e) + WEEK_LOOK_MS;
}
