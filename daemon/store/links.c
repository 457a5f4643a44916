/* Links: one row a neighbour; what was built for it; needs. */
#include "store/links.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "core/limits.h"

static void get_digest(sqlite3_stmt *s, int i, struct digest *ret)
{
	struct slice b = read_blob(s, i);

	memset(ret, 0, sizeof *ret);
	if (b.n == DIGEST_SIZE)
		memcpy(ret->at, b.p, DIGEST_SIZE);
}

static void bind_digest(sqlite3_stmt *s, int i, const struct digest *d)
{
	bind_slice(s, i, (struct slice){ d->at, DIGEST_SIZE });
}

static void read_link(sqlite3_stmt *s, struct link *ret)
{
	ret->peer = read_unsigned(s, 0);
	ret->received = read_unsigned(s, 1);
	get_digest(s, 2, &ret->received_head);
	ret->acked = read_unsigned(s, 3);
	get_digest(s, 4, &ret->acked_head);
	ret->built = read_unsigned(s, 5);
	ret->fed = read_unsigned(s, 6);
	get_digest(s, 7, &ret->fed_hash);
	ret->position = read_unsigned(s, 8);
	get_digest(s, 9, &ret->position_hash);
	ret->epoch = (uint32_t)read_unsigned(s, 10);
	ret->tick = read_unsigned(s, 11);
	ret->superseded = (uint32_t)read_unsigned(s, 12);
	ret->healed = sqlite3_column_int(s, 13) != 0;
	ret->heal = sqlite3_column_int64(s, 14);
	ret->twin = sqlite3_column_int(s, 15) != 0;
	ret->contact_ms = sqlite3_column_int64(s, 16);
	ret->hello = read_unsigned(s, 17);
	ret->answered = read_unsigned(s, 18);
	ret->healed_by = read_unsigned(s, 19);
}

int link_get(struct db *db, uint64_t peer, struct link *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LINK_GET, err);
	int rc;

	bind_u64(s, 1, peer);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	memset(ret, 0, sizeof *ret);
	ret->peer = peer;
	*ret_found = rc > 0;
	if (rc > 0) {
		read_link(s, ret);
		sqlite3_reset(s);
	}
	return 0;
}

int link_put(struct db *db, const struct link *l, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LINK_PUT, err);

	db_wake(db, l->peer);
	bind_u64(s, 1, l->peer);
	bind_u64(s, 2, l->received);
	bind_digest(s, 3, &l->received_head);
	bind_u64(s, 4, l->acked);
	bind_digest(s, 5, &l->acked_head);
	bind_u64(s, 6, l->built);
	bind_u64(s, 7, l->fed);
	bind_digest(s, 8, &l->fed_hash);
	bind_u64(s, 9, l->position);
	bind_digest(s, 10, &l->position_hash);
	bind_u64(s, 11, l->epoch);
	bind_u64(s, 12, l->tick);
	bind_u64(s, 13, l->superseded);
	bind_u64(s, 14, l->healed);
	sqlite3_bind_int64(s, 15, l->heal);
	bind_u64(s, 16, l->twin);
	sqlite3_bind_int64(s, 17, l->contact_ms);
	bind_u64(s, 18, l->hello);
	bind_u64(s, 19, l->answered);
	bind_u64(s, 20, l->healed_by);
	return db_run(db, s, err);
}

static int run_with(struct db *db, enum statement_id id, uint64_t one, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);

	bind_u64(s, 1, one);
	return db_run(db, s, err);
}

int link_drop(struct db *db, uint64_t peer, struct err *err)
{
	return run_with(db, SQL_LINK_DROP, peer, err);
}

int link_unheal(struct db *db, uint64_t but, struct err *err)
{
	return run_with(db, SQL_LINK_UNHEAL, but, err);
}

int link_each(struct db *db, int (*fn)(void *arg, const struct link *l), void *arg, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	sqlite3_stmt *s = db_statement(db, SQL_LINK_ALL, err);
	struct link **all = NULL;
	uint32_t n = 0, room = 0;
	int rc;

	sqlite3_bind_int(s, 1, 0);
	while ((rc = db_step(db, s, err)) > 0 && !a.failed) {     /* all first: fn may use the same statement */
		if (n == room) {
			struct link **more = arena_array(&a, room = room * 2 + 16, sizeof(*more));

			if (more != NULL && n > 0)
				memcpy(more, all, n * sizeof(*more));
			all = more;
		}
		struct link *l = arena_alloc(&a, sizeof *l);
		if (all == NULL || l == NULL)
			break;
		read_link(s, l);
		all[n++] = l;
	}
	sqlite3_reset(s);
	if (a.failed)
		return err_set(err, ERR_NOMEM, "reading the links: memory is short");
	if (rc < 0)
		return db_code(err);
	rc = 0;
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = fn(arg, all[i]);
	return rc > 1 ? rc : 0;
}

int link_digest_put(struct db *db, uint64_t peer, const char *text, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LINK_DIGEST_PUT, err);

	bind_u64(s, 1, peer);
	bind_text(s, 2, text);
	sqlite3_bind_int64(s, 3, at_ms);
	return db_run(db, s, err);
}

int link_digest(struct db *db, uint64_t peer, char ret_found[16], int64_t *ret_at_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LINK_DIGEST_GET, err);
	const char *text;
	int rc;

	bind_u64(s, 1, peer);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	text = rc > 0 ? (const char *)sqlite3_column_text(s, 0) : NULL;
	snprintf(ret_found, 16, "%s", text != NULL ? text : "unknown");
	*ret_at_ms = rc > 0 ? sqlite3_column_int64(s, 1) : 0;
	sqlite3_reset(s);
	return 0;
}

/* ---- (e) built */

int built_add(struct db *db, uint64_t peer, uint64_t number, const struct digest *hash, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_BUILT_ADD, err);

	bind_u64(s, 1, peer);
	bind_u64(s, 2, number);
	bind_digest(s, 3, hash);
	return db_run(db, s, err);
}

int built_hash(struct db *db, uint64_t peer, uint64_t number, struct digest *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_BUILT_GET, err);
	int rc;

	bind_u64(s, 1, peer);
	bind_u64(s, 2, number);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	*ret_found = rc > 0;
	if (rc > 0) {
		get_digest(s, 0, ret);
		sqlite3_reset(s);
	}
	return 0;
}

int built_done(struct db *db, uint64_t peer, uint64_t upto, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_BUILT_DONE, err);

	bind_u64(s, 1, peer);
	bind_u64(s, 2, upto);
	return db_run(db, s, err);
}

/* ---- needs */

int need_add(struct db *db, uint64_t peer, const char *reg, struct cell key, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_NEED_ADD, err);

	bind_u64(s, 1, peer);
	bind_text(s, 2, reg);
	bind_cell(s, 3, key);
	sqlite3_bind_int64(s, 4, at_ms);
	return db_run(db, s, err);
}

int need_done(struct db *db, uint64_t peer, const char *reg, struct cell key, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_NEED_DONE, err);

	bind_u64(s, 1, peer);
	bind_text(s, 2, reg);
	bind_cell(s, 3, key);
	return db_run(db, s, err);
}

int need_each(struct db *db, uint64_t peer, int (*fn)(void *arg, const char *reg, struct cell key), void *arg,
              struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_NEED_EACH, err);
	int rc, stop = 0;

	bind_u64(s, 1, peer);
	bind_u64(s, 2, LIMIT_NEEDS);
	while ((rc = db_step(db, s, err)) > 0 && stop == 0)
		stop = fn(arg, (const char *)sqlite3_column_text(s, 0), read_cell(s, 1));
	sqlite3_reset(s);
	if (stop > 1)
		return stop;
	return rc < 0 ? db_code(err) : 0;
}

uint64_t need_count(struct db *db, uint64_t peer)
{
	sqlite3_stmt *s = db_statement(db, peer != UNIT_NONE ? SQL_NEED_COUNT : SQL_NEED_COUNT_ALL, NULL);
	uint64_t n = 0;

	bind_u64(s, 1, peer);
	if (db_step(db, s, NULL) > 0) {
		n = read_unsigned(s, 0);
		sqlite3_reset(s);
	}
	return n;
}
