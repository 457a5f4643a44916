/* Sets: interned version sets. */
#include "store/sets.h"

#include <stdlib.h>
#include <string.h>

#define SETS_MOST 20000
#define SET_FORMAT 1

struct entry {
	struct entry *by_id, *by_body;   /* next in the bucket */
	struct slice body;
	uint32_t hash;
	struct version_set set;
};

#define BUCKETS 4096u

struct sets {
	struct db *db;
	struct arena arena;
	uint32_t n;
	struct entry *by_id[BUCKETS], *by_body[BUCKETS];
	const struct entry *recent[4];   /* most rows of a batch share one, or a few */
	uint32_t next;
	struct buf body;
};

int sets_open(struct db *db, struct sets **ret, struct err *err)
{
	struct sets *s = calloc(1, sizeof *s);

	if (s == NULL)
		return err_set(err, ERR_NOMEM, "opening the version sets: memory is short");
	s->db = db;
	s->body.cap = 1u << 20;
	*ret = s;
	return 0;
}

void sets_close(struct sets *s)
{
	if (s == NULL)
		return;
	arena_release(&s->arena);
	buf_release(&s->body);
	free(s);
}

void sets_forget(struct sets *s)
{
	arena_reset(&s->arena);
	memset(s->by_id, 0, sizeof s->by_id);
	memset(s->by_body, 0, sizeof s->by_body);
	s->n = 0;
	memset(s->recent, 0, sizeof s->recent);
}

bool sets_large(const struct sets *s)
{
	return s->n > SETS_MOST;
}

static uint32_t hash_of(struct slice b)
{
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < b.n; i++)
		h = (h ^ b.p[i]) * 1099511628211u;
	return (uint32_t)(h ^ h >> 32);
}

static int decode(struct sets *s, struct slice body, struct version_set *ret, struct err *err)
{
	struct reader r = reader_of(body);
	uint64_t format = read_varint(&r), count;

	ident_get(&r, &ret->life);
	version_get(&r, &s->arena, &ret->row);
	count = read_count(&r, LIMIT_GROUPS);
	ret->ngroups = 1;
	ret->groups = arena_array(&s->arena, LIMIT_GROUPS, sizeof *ret->groups);
	for (uint64_t i = 0; i < count && !r.bad; i++) {
		uint64_t g = read_varint(&r);
		struct version *v = arena_alloc(&s->arena, sizeof *v);

		if (g == 0 || g >= LIMIT_GROUPS || v == NULL || ret->groups == NULL) {
			r.bad = true;
			break;
		}
		version_get(&r, &s->arena, v);
		ret->groups[g] = v;
		ret->ngroups = (uint32_t)g + 1;
	}
	if (s->arena.failed)
		return err_set(err, ERR_NOMEM, "version set %lld: memory is short", (long long)ret->id);
	if (format != SET_FORMAT || !reader_done(&r))
		return err_set(err, ERR_DAMAGED, "version set %lld is damaged; run `terracectl reconcile`", (long long)ret->id);
	return 0;
}

static int enter(struct sets *s, int64_t id, struct slice body, struct entry **ret, struct err *err)
{
	struct entry *e = arena_alloc(&s->arena, sizeof *e);
	int rc;

	if (e == NULL)
		return err_set(err, ERR_NOMEM, "version set %lld: memory is short", (long long)id);
	e->body = arena_slice(&s->arena, body);
	e->set.id = id;
	rc = decode(s, e->body, &e->set, err);
	if (rc != 0)
		return rc;
	e->hash = hash_of(body);
	e->by_id = s->by_id[(uint64_t)id % BUCKETS];
	s->by_id[(uint64_t)id % BUCKETS] = e;
	e->by_body = s->by_body[e->hash % BUCKETS];
	s->by_body[e->hash % BUCKETS] = e;
	s->n++;
	*ret = e;
	return 0;
}

int sets_get(struct sets *s, int64_t id, const struct version_set **ret, struct err *err)
{
	struct entry *e = s->by_id[(uint64_t)id % BUCKETS];
	sqlite3_stmt *q;
	int rc;

	while (e != NULL && e->set.id != id)
		e = e->by_id;
	if (e == NULL) {
		q = db_statement(s->db, SQL_SET_BY_ID, err);
		if (q == NULL)
			return ERR_DB;
		sqlite3_bind_int64(q, 1, id);
		rc = db_step(s->db, q, err);
		if (rc < 0)
			return ERR_DB;
		if (rc == 0)
			return err_set(err, ERR_DAMAGED, "version set %lld is missing; run `terracectl reconcile`", (long long)id);
		rc = enter(s, id, read_blob(q, 0), &e, err);
		sqlite3_reset(q);
		if (rc != 0)
			return rc;
	}
	*ret = &e->set;
	return 0;
}

static int added(struct sets *s, struct slice body, int64_t *ret_id, struct err *err)
{
	sqlite3_stmt *q = db_statement(s->db, SQL_SET_BY_BODY, err);
	int rc;

	if (q == NULL)
		return ERR_DB;
	bind_slice(q, 1, body);
	rc = db_step(s->db, q, err);
	if (rc < 0)
		return ERR_DB;
	if (rc > 0) {
		*ret_id = sqlite3_column_int64(q, 0);
		sqlite3_reset(q);
		return 0;
	}
	q = db_statement(s->db, SQL_SET_ADD, err);
	if (q == NULL)
		return ERR_DB;
	bind_slice(q, 1, body);
	rc = db_run(s->db, q, err);
	*ret_id = sqlite3_last_insert_rowid(s->db->sql);
	return rc;
}

static void body_put(struct sets *s, struct ident life, const struct version *row, uint32_t ngroups,
                     const struct version *const *groups)
{
	uint32_t count = 0;

	buf_clear(&s->body);
	buf_put_varint(&s->body, SET_FORMAT);
	ident_put(&s->body, &life);
	version_put(&s->body, row);
	for (uint32_t g = 1; g < ngroups; g++)
		count += groups[g] != NULL;
	buf_put_varint(&s->body, count);
	for (uint32_t g = 1; g < ngroups; g++)
		if (groups[g] != NULL) {
			buf_put_varint(&s->body, g);
			version_put(&s->body, groups[g]);
		}
}

static bool same_marks(const struct marks *a, const struct marks *b)
{
	for (int i = 0; i < LEVELS; i++)
		if (!mark_equal(a->at[i], b->at[i]))
			return false;
	return true;
}

/* Whether both encode to the same bytes, as far as that is seen without encoding them. */
static bool same_version(const struct version *a, const struct version *b)
{
	return a == b || (a->unit == b->unit && a->policy == b->policy && a->kind == b->kind && a->ruling == b->ruling &&
	                  a->acting == b->acting && a->nsaw == 0 && b->nsaw == 0 && ident_equal(a->base, b->base) &&
	                  same_marks(&a->marks, &b->marks) && same_marks(&a->asserts, &b->asserts) &&
	                  slice_equal(a->actor, b->actor));
}

static bool same_set(const struct version_set *set, struct ident life, const struct version *row, uint32_t ngroups,
                     const struct version *const *groups)
{
	if (!ident_equal(set->life, life) || !same_version(&set->row, row))
		return false;
	for (uint32_t g = 1; g < ngroups || g < set->ngroups; g++) {
		const struct version *mine = g < set->ngroups ? set->groups[g] : NULL, *other = g < ngroups ? groups[g] : NULL;

		if (mine != other && (mine == NULL || other == NULL || !same_version(mine, other)))
			return false;
	}
	return true;
}

int sets_intern(struct sets *s, struct ident life, const struct version *row, uint32_t ngroups,
                const struct version *const *groups, const struct version_set **ret, struct err *err)
{
	struct slice body;
	struct entry *e;
	uint32_t hash;
	int64_t id = 0;
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(s->recent); i++)
		if (s->recent[i] != NULL && same_set(&s->recent[i]->set, life, row, ngroups, groups)) {
			*ret = &s->recent[i]->set;
			return 0;
		}
	body_put(s, life, row, ngroups, groups);
	body = buf_slice(&s->body);
	if (s->body.failed)
		return err_set(err, ERR_LIMIT, "the versions of one row take more than %zu bytes", s->body.cap);
	hash = hash_of(body);
	e = s->by_body[hash % BUCKETS];
	while (e != NULL && (e->hash != hash || !slice_equal(e->body, body)))
		e = e->by_body;
	if (e == NULL) {
		rc = added(s, body, &id, err);
		if (rc == 0)
			rc = enter(s, id, body, &e, err);
		if (rc != 0)
			return rc;
	}
	s->recent[s->next++ % ARRAY_SIZE(s->recent)] = e;
	*ret = &e->set;
	return 0;
}
