/* Duplicates: looked for where a row changes, through an index; what was found before is looked at again. */
#include "engine/duplicates.h"

#include <stdio.h>

#include "base/log.h"
#include "store/same.h"

#define LOOK_ROWS 32u                    /* rows of one identity that one look takes in */
#define SCAN_ROWS 10000u

struct one {                             /* a row, and who else has its identity */
	struct key key;
	struct cell key_cell, *identity;
	uint64_t unit;
	bool has;                        /* it stands and has an identity */
	struct term hash;
	uint32_t n;
	struct cell others[LOOK_ROWS];   /* keys */
	uint64_t units[LOOK_ROWS];
};

/* Two units of one county, seen together at no node below this one. */
static bool ours(struct engine *e, uint64_t a, uint64_t b)
{
	uint64_t child = child_towards(e, a);

	return a != b && unit_at(a, COUNTY) == unit_at(b, COUNTY) && (child == UNIT_NONE || child != child_towards(e, b));
}

static int find_others(struct engine *e, struct reg *r, struct one *one, struct arena *a, struct err *err)
{
	struct key *keys;
	uint32_t n;
	int rc = same_rows(e->db, r, one->identity, LOOK_ROWS, a, &keys, &n, err);

	for (uint32_t i = 0; i < n && rc == 0; i++) {
		struct held h;

		if (key_equal(keys[i], one->key))
			continue;
		rc = state_load(e->state, r, keys[i], a, &h, err);
		if (rc != 0 || !h.exists || !(h.flags & STATE_ALIVE) || !unit_contains(e->unit, h.unit) || !ours(e, one->unit, h.unit))
			continue;
		one->others[one->n] = h.key_cell;
		one->units[one->n++] = h.unit;
	}
	return rc;
}

static int look(struct engine *e, struct reg *r, struct one *one, bool stands, struct arena *a, struct err *err)
{
	struct cell *cells = NULL;
	int rc = stands ? table_read(e->table, r, one->key_cell, one->key, a, &cells, err) : 0;

	one->n = 0;
	one->has = rc == 0 && cells != NULL && same_identity(r, cells, a, &one->identity, &one->hash);
	return one->has ? find_others(e, r, one, a, err) : rc;
}

static int tell(struct engine *e, const struct reg *r, struct cell key, uint64_t unit, uint64_t other, const struct term *hash,
                struct err *err)
{
	char text[400], digits[UNIT_TEXT_SIZE];
	int rc = duplicate_put(e->db, r, key, hash, err);

	snprintf(text, sizeof text, "the same identity stands in unit %s, register %s / 单位%s的台账%s中有相同的身份信息",
	         unit_text(other, digits), r->name, digits, r->name);
	return rc != 0 ? rc : issue_put(e->db, "duplicate-identity", r->name, key, unit, text, now_ms(e), err);
}

static int let_go(struct engine *e, const struct reg *r, struct cell key, struct err *err)
{
	int rc = duplicate_drop(e->db, r, key, err);

	return rc != 0 ? rc : issue_solved(e->db, "duplicate-identity", r->name, key, err);
}

/* A row that was found with another, which has changed since. */
static int look_again(struct engine *e, struct reg *r, struct cell key_cell, struct arena *a, struct err *err)
{
	struct one *one = arena_alloc(a, sizeof *one);
	struct held h;
	int rc = one == NULL ? err_set(err, ERR_NOMEM, "register %s: memory is short", r->name) :
	         key_from_column(key_cell, r->nkey, a, &one->key, err);

	if (rc == 0)
		rc = state_load(e->state, r, one->key, a, &h, err);
	if (rc != 0)
		return rc;
	one->key_cell = key_cell;
	one->unit = h.unit;
	rc = look(e, r, one, h.exists && (h.flags & STATE_ALIVE) && unit_contains(e->unit, h.unit), a, err);
	if (rc != 0)
		return rc;
	return one->n > 0 ? tell(e, r, key_cell, one->unit, one->units[0], &one->hash, err) : let_go(e, r, key_cell, err);
}

int duplicates_look(struct engine *e, struct reg *r, struct key key, struct cell key_cell, uint64_t unit, bool stands,
                    struct arena *a, struct err *err)
{
	struct one *one;
	struct cell *rest;
	struct term was;
	bool found;
	uint32_t n = 0;
	int rc;

	if (r->policy == NULL || r->policy->nidentity == 0 || r->policy->unit_source == UNIT_ALL || r->hold)
		return 0;
	one = arena_alloc(a, sizeof *one);
	if (one == NULL)
		return err_set(err, ERR_NOMEM, "register %s: memory is short", r->name);
	one->key = key;
	one->key_cell = key_cell;
	one->unit = unit;
	rc = duplicate_get(e->db, r, key_cell, &was, &found, err);
	if (rc == 0)
		rc = look(e, r, one, stands, a, err);
	if (rc == 0 && one->n > 0 && !found)
		event(e, LOG_LEVEL_WARNING, "issue", UNIT_NONE, NULL, "duplicate-identity in register %s: units %012llu and %012llu",
		      r->name, (unsigned long long)unit, (unsigned long long)one->units[0]);
	if (rc == 0 && one->n > 0)
		rc = tell(e, r, key_cell, unit, one->units[0], &one->hash, err);
	else if (rc == 0 && found)
		rc = let_go(e, r, key_cell, err);
	for (uint32_t i = 0; i < one->n && rc == 0; i++)
		rc = tell(e, r, one->others[i], one->units[i], unit, &one->hash, err);
	if (rc == 0 && found)                    /* with whom it was found before */
		rc = duplicate_each(e->db, r, &was, LOOK_ROWS, a, &rest, &n, err);
	for (uint32_t i = 0; i < n && rc == 0; i++)
		if (!cell_equal(rest[i], key_cell))
			rc = look_again(e, r, rest[i], a, err);
	return rc;
}

int duplicates_index(struct engine *e, struct reg *r, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct key *keys = NULL;
	uint32_t n = 0;
	bool made;
	int rc = same_index(e->db, r, &made, err);

	if (rc == 0 && made)
		rc = same_twice(e->db, r, SCAN_ROWS, &a, &keys, &n, err);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		_cleanup_(arena_release) struct arena row = {0};
		struct held h;

		rc = state_load(e->state, r, keys[i], &row, &h, err);
		if (rc == 0 && h.exists && h.flags & STATE_ALIVE && unit_contains(e->unit, h.unit))
			rc = duplicates_look(e, r, keys[i], h.key_cell, h.unit, true, &row, err);
	}
	if (n == SCAN_ROWS)
		event(e, LOG_LEVEL_WARNING, "issue", UNIT_NONE, NULL, "register %s: more than %u rows share an identity with another; the "
		      "rest is found as its rows change", r->name, SCAN_ROWS);
	return rc;
}
