/* Report: the plan of an adoption: what an application's own database brings along, register by register, compared
 * with what is held of the superior's rows.  Reads only; the plan's hash covers what a decision was made on. */
#include "engine/report_inside.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "engine/adopt.h"
#include "store/ddl.h"
#include "store/survey.h"

#define SLICE 2000u
#define SHOWN 20u                        /* keys of differing rows that are listed; all are counted */

struct plan {
	struct report *r;
	struct state *state;
	struct table *table;
	struct digest hash;
	json_t *registers;
};

struct sides {
	uint64_t rows, of[ADOPT_ELSEWHERE + 1], bad_unit, superior;
	json_t *keys;
};

static void mix(struct plan *p, struct slice s)
{
	p->hash = digest_chain(&p->hash, s);
}

static enum mode mode_here(const struct report *r, const struct reg *reg, uint32_t number, enum right right)
{
	enum mode best = MODE_READ;

	for (enum level l = r->home->parent == UNIT_NONE ? PROVINCE : r->home->level; l < LEVELS; l++)
		best = MAX(best, policy_mode(reg->policy, number, right, l));
	return best;
}

/* ---- rows */

static bool unit_sound(const struct report *r, const struct reg *reg, const struct cell *cells)
{
	char digits[24];
	struct cell c;
	uint64_t unit;

	if (reg->unit == NULL)
		return true;
	c = cells[reg->unit - reg->columns];
	if (c.type == CELL_INT && c.i > 0) {
		snprintf(digits, sizeof digits, "%012lld", (long long)c.i);
		c = (struct cell){ .type = CELL_TEXT, .s = slice_of(digits) };
	}
	return c.type == CELL_TEXT && unit_parse(c.s, &unit, NULL) == 0 && unit_contains(r->home->unit, unit);
}

/* A differing row as the decision saw it: key, local cells, the superior's marks. */
static void mix_row(struct plan *p, const struct reg *reg, const struct held *held, const struct cell *cells)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	const struct life_state *l = row_current(held->row);

	key_put(&b, held->key);
	for (uint32_t i = 0; i < reg->ncolumns; i++)
		cell_put(&b, cells[i]);
	for (uint32_t g = 0; g < held->row->ngroups; g++) {
		const struct value *v = g == 0 ? held->row->row.decision : l != NULL ? group_shown(&l->groups[g]) : NULL;

		if (v != NULL)
			marks_put(&b, &v->v->marks);
	}
	mix(p, buf_slice(&b));
}

static int one_row(struct plan *p, struct reg *reg, struct key key, struct arena *a, struct sides *s, struct err *err)
{
	struct cell key_cell = key_column(key, a), *cells = NULL;
	enum adopt_side side;
	struct held held;
	int rc = state_load(p->state, reg, key, a, &held, err);

	if (rc == 0)
		rc = held_cells(p->table, &held, a, err);
	if (rc == 0)
		rc = table_read(p->table, reg, key_cell, key, a, &cells, err);
	if (rc != 0 || cells == NULL)
		return rc;
	side = adopt_compare(reg, &held, p->r->home->unit, cells);
	s->rows++;
	s->of[side]++;
	s->bad_unit += side == ADOPT_ONLY_HERE && !unit_sound(p->r, reg, cells);
	if (side == ADOPT_DIFFERS || side == ADOPT_ENDED || side == ADOPT_ELSEWHERE) {
		mix_row(p, reg, &held, cells);
		if (json_array_size(s->keys) < SHOWN)
			json_array_append_new(s->keys, json_key(p->r, reg, key_cell));
	}
	return 0;
}

static int rows(struct plan *p, struct reg *reg, struct sides *s, struct err *err)
{
	struct cell after, *from = NULL;
	_cleanup_(arena_release) struct arena keep = { 0 };
	uint32_t n = SLICE;
	int rc = 0;

	while (rc == 0 && n == SLICE) {
		_cleanup_(arena_release) struct arena a = { 0 }, one = { 0 };
		struct key *keys;

		rc = table_scan(p->table, reg, from, SLICE, &a, &keys, &n, err);
		for (uint32_t i = 0; rc == 0 && i < n; i++) {
			arena_reset(&one);
			rc = one_row(p, reg, keys[i], &one, s, err);
			state_trim(p->state);
		}
		if (rc == 0 && n > 0) {
			arena_reset(&keep);
			after = cell_copy(&keep, key_column(keys[n - 1], &a));
			from = &after;
		}
	}
	return rc;
}

/* Rows that the superior has and the table does not: those that wait, less those that met a row of the table. */
static int only_above(struct plan *p, struct reg *reg, struct sides *s, struct err *err)
{
	uint64_t waiting = 0;
	int rc = report_waiting_rows(p->r->db, reg->number, &waiting, err);
	uint64_t met = s->of[ADOPT_EQUAL] + s->of[ADOPT_DIFFERS];

	s->superior = waiting > met ? waiting - met : 0;
	return rc;
}

/* ---- what the table brings along */

static json_t *triggers_json(const struct survey_trigger *list, uint32_t n)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < n; i++) {
		json_t *j = json_object(), *writes = json_array();

		for (uint32_t k = 0; k < list[i].nwrites; k++)
			json_array_append_new(writes, json_words(list[i].writes[k]));
		put(j, "trigger", json_words(list[i].name));
		put(j, "class", json_string(trigger_word(list[i].class)));
		put(j, "writes", writes);
		put(j, "local", json_boolean(list[i].local));
		put(j, "error", json_words(list[i].error));
		json_array_append_new(all, j);
	}
	return all;
}

static json_t *finds_json(const struct survey_find *list, uint32_t n, const char *name, const char *text, bool count)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < n; i++) {
		json_t *j = json_object();

		put(j, name, json_words(list[i].name));
		if (text != NULL)
			put(j, text, json_words(list[i].text));
		if (count)
			put(j, "rows", json_count(list[i].rows));
		json_array_append_new(all, j);
	}
	return all;
}

static int brings(struct plan *p, struct reg *reg, json_t *j, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = { 0 };
	struct arena *a = &p->r->arena;
	struct survey_trigger *triggers = NULL;
	struct survey_find *finds = NULL;
	struct err say = { 0 };
	uint32_t n = 0;
	int rc = survey_triggers(p->r->db, p->r->catalog, reg, a, &triggers, &n, err);

	if (rc == 0)
		put(j, "triggers", triggers_json(triggers, n));
	if (rc == 0)
		rc = survey_orphans(p->r->db, reg, a, &finds, &n, err);
	if (rc == 0) {
		put(j, "foreign_keys", json_string(reg->policy->ignore_foreign_keys ? "ignore" : "enforce"));
		put(j, "orphans", finds_json(finds, n, "foreign_key", "parent", true));
		rc = survey_unseen(p->r->db, reg, a, &finds, &n, err);
	}
	if (rc == 0)
		put(j, "unseen", finds_json(finds, n, "object", "why", false));
	if (rc == 0)
		rc = survey_sql(p->r->db, reg, &sql, err);
	if (rc == 0)
		mix(p, buf_slice(&sql));
	if (rc == 0 && ddl_shape(p->r->db->sql, reg->policy, NULL, &say) != 0)
		put(j, "problem", json_words(say.text));
	return rc;
}

static json_t *names(struct column *const *columns, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, json_words(columns[i]->name));
	return list;
}

static int progress(struct plan *p, const struct reg *reg, json_t *j, struct err *err)
{
	uint64_t total = 0, done = 0;
	int rc = report_adoption(p->r->db, reg->number, &total, &done, err);

	put(j, "total", json_count(total));
	put(j, "done", json_count(done));
	return rc;
}

static int one_register(struct plan *p, struct reg *reg, struct err *err)
{
	struct sides s = { .keys = json_array() };
	json_t *j = json_object();
	bool waits = reg->adoption == ADOPT_WAITS;
	int rc = 0;

	json_array_append_new(p->registers, j);
	put(j, "register", json_words(reg->name));
	put(j, "state", json_string(!waits ? "runs" : reg->hold ? "held" : "waits"));
	put(j, "keep", json_string(waits ? (p->r->home->parent == UNIT_NONE ? "mine" : "review") : adoption_word(reg->adoption)));
	mix(p, slice_of(reg->name));
	put(j, "key", names(reg->key, reg->nkey));
	put(j, "unit", json_words(reg->unit != NULL ? reg->unit->name : NULL));
	if (!waits)
		rc = progress(p, reg, j, err);
	else if (!reg->hold)
		rc = rows(p, reg, &s, err);
	if (rc == 0 && waits && !reg->hold)
		rc = only_above(p, reg, &s, err);
	if (rc == 0 && waits) {
		put(j, "rows", json_count(s.rows));
		put(j, "equal", json_count(s.of[ADOPT_EQUAL]));
		put(j, "differing", json_count(s.of[ADOPT_DIFFERS]));
		put(j, "only_here", json_count(s.of[ADOPT_ONLY_HERE]));
		put(j, "only_superior", json_count(s.superior));
		put(j, "deleted_above", json_count(s.of[ADOPT_ENDED]));
		put(j, "key_clash", json_count(s.of[ADOPT_ELSEWHERE]));
		put(j, "bad_unit", json_count(s.bad_unit));
		put(j, "may_create", json_boolean(mode_here(p->r, reg, 0, RIGHT_CREATE) == MODE_OWN));
		put(j, "keys", json_incref(s.keys));
		rc = brings(p, reg, j, err);
	}
	json_decref(s.keys);
	return rc;
}

/* Whether all that the superior has of this node's units has come down: its digest says so. */
static int superior(struct plan *p, json_t *j, struct err *err)
{
	char digest[16] = "";
	int64_t at = 0;
	int rc = 0;

	if (p->r->home->parent == UNIT_NONE)
		return 0;
	rc = link_digest(p->r->db, p->r->home->parent, digest, &at, err);
	put(j, "superior", json_unit(p->r->home->parent));
	put(j, "digest", json_string(*digest != '\0' ? digest : "unknown"));
	put(j, "as_of", json_time(at));
	return rc;
}

int report_adopt(struct report *r, struct err *err)
{
	struct plan p = { .r = r, .registers = json_array() };
	_cleanup_(buf_release) struct buf hex = { 0 };
	struct survey_find *others = NULL;
	char list[20];
	uint32_t n = 0;
	int rc = report_catalog(r, err);

	r->ret = json_object();
	put(r->ret, "registers", p.registers);
	if (rc == 0)
		rc = state_open(r->db, &p.state, err);
	if (rc == 0)
		rc = table_open(r->db, &p.table, err);
	if (rc == 0)
		rc = superior(&p, r->ret, err);
	if (rc == 0) {
		snprintf(list, sizeof list, "%016llx", (unsigned long long)r->catalog->list);
		mix(&p, slice_of(list));
		put(r->ret, "unit", json_unit(r->home->unit));
		put(r->ret, "list", json_string(list));
		put(r->ret, "policy", json_list(r, r->catalog->list));
	}
	for (uint32_t i = 0; rc == 0 && i < r->catalog->nregs; i++)
		if (r->catalog->regs[i]->policy != NULL && r->catalog->regs[i]->adoption != ADOPT_NOT) {
			r->found = 1;
			rc = one_register(&p, r->catalog->regs[i], err);
		}
	if (rc == 0)
		rc = survey_others(r->db, r->catalog, &r->arena, &others, &n, err);
	if (rc == 0) {
		put(r->ret, "other_tables", json_array());
		for (uint32_t i = 0; i < n; i++)
			json_array_append_new(json_object_get(r->ret, "other_tables"), json_words(others[i].name));
		hex_put(&hex, (struct slice){ p.hash.at, sizeof p.hash.at });
		put(r->ret, "hash", json_string(buf_text(&hex)));
	}
	table_close(p.table);
	state_close(p.state);
	return rc;
}
