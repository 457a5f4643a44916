/* Lists: the policies under every list that a value names, and this node's own modes. */
#include <stdlib.h>
#include <string.h>

#include "engine/merge.h"
#include "engine/lists.h"

struct policy_kept {                     /* one policy version, read once */
	struct policy_kept *next;
	uint64_t issuer, version;
	struct policy policy;
	bool found;
};

struct list {
	struct list *next;
	uint64_t hash;
	uint32_t n;
	struct policy_entry entries[64];
};

struct lists {
	struct arena arena;
	struct list *lists;
	struct policy_kept *policies;
};

int lists_open(struct lists **ret, struct err *err)
{
	*ret = calloc(1, sizeof **ret);
	return *ret != NULL ? 0 : err_set(err, ERR_NOMEM, "opening the policy lists: memory is short");
}

void lists_forget(struct lists *l)
{
	arena_reset(&l->arena);
	l->lists = NULL;
	l->policies = NULL;
}

void lists_close(struct lists *l)
{
	if (l == NULL)
		return;
	arena_release(&l->arena);
	free(l);
}

int list_learn(struct engine *e, const struct policy_entry *entries, uint32_t n, struct err *err)
{
	_cleanup_(buf_release) struct buf body = {0};
	sqlite3_stmt *q = db_statement(e->db, SQL_LIST_PUT, err);

	if (q == NULL)
		return ERR_DB;
	buf_put_varint(&body, n);
	for (uint32_t i = 0; i < n; i++) {
		buf_put_varint(&body, entries[i].issuer);
		buf_put_varint(&body, entries[i].version);
	}
	bind_u64(q, 1, policy_list_hash(entries, n));
	bind_slice(q, 2, buf_slice(&body));
	return db_run(e->db, q, err);
}

static const struct list *list_of(struct engine *e, uint64_t hash)
{
	sqlite3_stmt *q;
	struct list *l;
	struct reader in;

	for (l = e->lists->lists; l != NULL; l = l->next)
		if (l->hash == hash)
			return l;
	q = db_statement(e->db, SQL_LIST_GET, NULL);
	if (q == NULL)
		return NULL;
	bind_u64(q, 1, hash);
	if (db_step(e->db, q, NULL) <= 0)
		return NULL;
	l = arena_alloc(&e->lists->arena, sizeof *l);
	in = reader_of(read_blob(q, 0));
	if (l != NULL) {
		l->hash = hash;
		l->n = (uint32_t)read_count(&in, ARRAY_SIZE(l->entries));
		for (uint32_t i = 0; i < l->n; i++) {
			l->entries[i].issuer = read_varint(&in);
			l->entries[i].version = read_varint(&in);
		}
	}
	sqlite3_reset(q);
	if (l == NULL || in.bad)
		return NULL;
	l->next = e->lists->lists;
	e->lists->lists = l;
	return l;
}

static const struct policy *policy_of(struct engine *e, uint64_t issuer, uint64_t version)
{
	struct policy_kept *k;
	sqlite3_stmt *q;

	for (k = e->lists->policies; k != NULL; k = k->next)
		if (k->issuer == issuer && k->version == version)
			return k->found ? &k->policy : NULL;
	k = arena_alloc(&e->lists->arena, sizeof *k);
	q = db_statement(e->db, SQL_LIST_POLICY, NULL);
	if (k == NULL || q == NULL)
		return NULL;
	k->issuer = issuer;
	k->version = version;
	bind_u64(q, 1, issuer);
	bind_u64(q, 2, version);
	if (db_step(e->db, q, NULL) > 0)
		k->found = policy_get(arena_slice(&e->lists->arena, read_blob(q, 0)), &e->lists->arena, &k->policy, NULL) == 0;
	sqlite3_reset(q);
	if (!k->found)
		return NULL;                     /* not remembered: it may still come */
	k->next = e->lists->policies;
	e->lists->policies = k;
	return &k->policy;
}

enum mode list_mode(struct engine *e, uint64_t hash, const struct reg *r, uint32_t group, enum right right,
                    enum level level)
{
	const struct list *l = list_of(e, hash);
	const struct policy_register *pr = NULL;
	uint32_t number;

	for (uint32_t i = 0; l != NULL && i < l->n && pr == NULL; i++) {
		const struct policy *p = l->entries[i].issuer == r->issuer ?
		                         policy_of(e, l->entries[i].issuer, l->entries[i].version) : NULL;

		if (p != NULL)
			pr = policy_register(p, r->name);
	}
	if (pr == NULL)
		return MODE_READ;
	if (group == GROUP_ROW)
		return policy_mode(pr, 0, right, level);
	if (group >= r->ngroups || r->groups[group] == NULL)
		return MODE_READ;
	number = policy_group_number(pr, slice_of(r->groups[group]->name));
	return number != 0 ? policy_mode(pr, number, RIGHT_GROUP, level) : MODE_READ;
}

int list_older(struct engine *e, uint64_t a, uint64_t b)
{
	const struct list *x = list_of(e, a), *y = list_of(e, b);
	bool lower = false;

	if (x == NULL || y == NULL)
		return 0;
	for (uint32_t i = 0; i < y->n; i++) {
		uint64_t mine = 0;

		for (uint32_t k = 0; k < x->n; k++)
			if (x->entries[k].issuer == y->entries[i].issuer)
				mine = x->entries[k].version;
		if (mine > y->entries[i].version)
			return 0;
		lower = lower || mine < y->entries[i].version;
	}
	for (uint32_t k = 0; k < x->n; k++) {
		bool there = false;

		for (uint32_t i = 0; i < y->n; i++)
			there = there || y->entries[i].issuer == x->entries[k].issuer;
		if (!there)
			return 0;
	}
	return lower;
}

enum mode mode_at(const struct reg *r, uint64_t row_unit, uint32_t group, enum right right, uint64_t node, uint64_t child,
                  uint64_t parent, bool *ret_acting)
{
	enum level level = unit_level(node), last = child != UNIT_NONE ? unit_level(child) : unit_level(row_unit) + 1;
	uint32_t number = group == GROUP_ROW || group >= r->ngroups || r->groups[group] == NULL || r->policy == NULL ? 0 :
	                  policy_group_number(r->policy, slice_of(r->groups[group]->name));
	enum mode own, best = MODE_READ;
	bool top;

	*ret_acting = false;
	if (r->policy == NULL || (group != GROUP_ROW && number == 0))
		return MODE_READ;
	if (!policy_comes_to(r->policy, level) || (r->policy->unit_source == UNIT_ALL && node != r->issuer))
		return MODE_READ;
	/* A level that the register does not come to is as good as unmanned; of unit `all` the issuer acts for everybody. */
	if (r->policy->unit_source == UNIT_ALL || (child != UNIT_NONE && unit_level(child) > r->policy->floor))
		last = LEVELS;
	top = parent == UNIT_NONE || unit_level(parent) < r->policy->ceiling || r->policy->unit_source == UNIT_ALL;
	own = policy_mode(r->policy, number, right, level);
	for (enum level l = level + 1; l < last && l < LEVELS; l++)
		best = MAX(best, policy_mode(r->policy, number, right, l));
	for (enum level l = PROVINCE; top && l < level; l++)
		best = MAX(best, policy_mode(r->policy, number, right, l));
	*ret_acting = best > own;
	return MAX(best, own);
}

enum mode own_mode(struct engine *e, const struct reg *r, uint64_t row_unit, uint32_t group, enum right right,
                   bool *ret_acting)
{
	return mode_at(r, row_unit, group, right, e->unit, child_towards(e, row_unit), e->parent, ret_acting);
}
