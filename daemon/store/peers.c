/* Peers: enrolled descendants, revocations, invitations, what is known of the subtree. */
#include "store/links.h"

#include <stdio.h>
#include <string.h>

static void copy_text(sqlite3_stmt *s, int i, char *ret, size_t size)
{
	const unsigned char *text = sqlite3_column_text(s, i);

	snprintf(ret, size, "%s", text != NULL ? (const char *)text : "");
}

static void read_peer(sqlite3_stmt *s, struct arena *a, struct peer *ret)
{
	struct slice key = read_blob(s, 5);

	memset(ret, 0, sizeof *ret);
	ret->unit = read_unsigned(s, 0);
	copy_text(s, 1, ret->name, sizeof ret->name);
	ret->direct = sqlite3_column_int(s, 2) != 0;
	ret->revoked = sqlite3_column_int(s, 3) != 0;
	ret->chain = arena_slice(a, read_blob(s, 4));
	key = read_blob(s, 5);
	if (key.n == sizeof ret->sign_public)
		memcpy(ret->sign_public, key.p, key.n);
	copy_text(s, 6, ret->serial, sizeof ret->serial);
	ret->until_s = sqlite3_column_int64(s, 7);
	ret->revocation = arena_slice(a, read_blob(s, 8));
}

int peer_get(struct db *db, uint64_t unit, struct arena *a, struct peer *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_PEER_GET, err);
	int rc;

	bind_u64(s, 1, unit);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	*ret_found = rc > 0;
	if (rc > 0) {
		read_peer(s, a, ret);
		sqlite3_reset(s);
	}
	return a->failed ? err_set(err, ERR_NOMEM, "reading the peer %012llu: memory is short", (unsigned long long)unit) : 0;
}

int peer_put(struct db *db, const struct peer *p, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_PEER_PUT, err);

	bind_u64(s, 1, p->unit);
	bind_text(s, 2, p->name);
	bind_u64(s, 3, p->direct);
	bind_u64(s, 4, p->revoked);
	bind_slice(s, 5, p->chain);
	bind_slice(s, 6, (struct slice){ p->sign_public, sizeof p->sign_public });
	bind_text(s, 7, p->serial);
	sqlite3_bind_int64(s, 8, at_ms);
	sqlite3_bind_int64(s, 9, p->until_s);
	if (p->revocation.n > 0)
		bind_slice(s, 10, p->revocation);
	else
		sqlite3_bind_null(s, 10);
	if (db_run(db, s, err) != 0)
		return db_code(err);
	s = db_statement(db, p->direct && !p->revoked ? SQL_MANNED_ADD : SQL_MANNED_DROP, err);
	bind_u64(s, 1, p->unit);
	return db_run(db, s, err);
}

/* All of them are read first, because fn may use the same statement. */
static int each(struct db *db, bool told_too, uint32_t most, struct arena *a, int (*fn)(void *arg, const struct peer *p),
                void *arg, struct err *err)
{
	struct piece {
		struct piece *next;
		struct peer peer;
	} *first = NULL, **last = &first;
	sqlite3_stmt *s = db_statement(db, SQL_PEER_ALL, err);
	int rc;

	sqlite3_bind_int(s, 1, told_too);
	sqlite3_bind_int64(s, 2, most != 0 ? (int64_t)most : -1);
	while ((rc = db_step(db, s, err)) > 0 && (*last = arena_alloc(a, sizeof **last)) != NULL) {
		read_peer(s, a, &(*last)->peer);
		last = &(*last)->next;
	}
	sqlite3_reset(s);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "reading the peers: memory is short");
	if (rc < 0)
		return db_code(err);
	rc = 0;
	for (struct piece *p = first; p != NULL && rc == 0; p = p->next)
		rc = fn(arg, &p->peer);
	return rc > 1 ? rc : 0;
}

int peer_each(struct db *db, struct arena *a, int (*fn)(void *arg, const struct peer *p), void *arg, struct err *err)
{
	return each(db, true, 0, a, fn, arg, err);
}

int peer_untold(struct db *db, uint32_t most, struct arena *a, int (*fn)(void *arg, const struct peer *p), void *arg,
                struct err *err)
{
	return each(db, false, most, a, fn, arg, err);
}

int peer_told(struct db *db, uint64_t unit, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, unit != UNIT_NONE ? SQL_PEER_TOLD : SQL_PEER_UNTOLD, err);

	bind_u64(s, 1, unit);
	return db_run(db, s, err);
}

/* ---- revocation */

int revoked_put(struct db *db, const char *serial, uint64_t unit, const uint8_t sign_public[32], int64_t at_ms,
                struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_REVOKED_PUT, err);

	bind_text(s, 1, serial);
	bind_u64(s, 2, unit);
	bind_slice(s, 3, (struct slice){ sign_public, 32 });
	sqlite3_bind_int64(s, 4, at_ms);
	return db_run(db, s, err);
}

int serial_put(struct db *db, const char *serial, uint64_t unit, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SERIAL_PUT, err);

	bind_text(s, 1, serial);
	bind_u64(s, 2, unit);
	return db_run(db, s, err);
}

int peer_revoke(struct db *db, const struct peer *p, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SERIALS_REVOKE, err);

	bind_u64(s, 1, p->unit);
	bind_slice(s, 2, (struct slice){ p->sign_public, sizeof p->sign_public });
	sqlite3_bind_int64(s, 3, at_ms);
	if (db_run(db, s, err) != 0)
		return db_code(err);
	s = db_statement(db, SQL_SERIALS_DROP, err);
	bind_u64(s, 1, p->unit);
	if (db_run(db, s, err) != 0)
		return db_code(err);
	return revoked_put(db, p->serial, p->unit, p->sign_public, at_ms, err);
}

int revoked_keys(struct db *db, uint64_t unit, uint8_t ret[8][32], uint32_t *ret_n, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_REVOKED_KEYS, err);
	int rc;

	*ret_n = 0;
	bind_u64(s, 1, unit);
	while ((rc = db_step(db, s, err)) > 0 && *ret_n < 8)
		memcpy(ret[(*ret_n)++], read_blob(s, 0).p, 32);
	sqlite3_reset(s);
	return rc < 0 ? db_code(err) : 0;
}

int revoked_each(struct db *db, int (*fn)(void *arg, const char *serial), void *arg, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_REVOKED_ALL, err);
	int rc, stop = 0;

	sqlite3_bind_int(s, 1, 0);
	while ((rc = db_step(db, s, err)) > 0 && stop == 0)
		stop = fn(arg, (const char *)sqlite3_column_text(s, 0));
	sqlite3_reset(s);
	if (stop > 1)
		return stop;
	return rc < 0 ? db_code(err) : 0;
}

int revoked_has(struct db *db, const char *serial, bool *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_REVOKED_HAS, err);
	int rc;

	bind_text(s, 1, serial);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	*ret = rc > 0;
	sqlite3_reset(s);
	return 0;
}

int serials_of(struct db *db, uint64_t unit, struct arena *a, uint32_t most, struct slice *ret, uint32_t *ret_n, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SERIALS_OF, err);
	uint32_t n = 0;
	int rc;

	bind_u64(s, 1, unit);
	while ((rc = db_step(db, s, err)) > 0 && n < most)
		ret[n++] = arena_slice(a, read_blob(s, 0));
	sqlite3_reset(s);
	if (rc < 0)
		return db_code(err);
	if (rc > 0)
		return err_set(err, ERR_LIMIT, "unit %012llu has more than %u certificates", (unsigned long long)unit, most);
	*ret_n = n;
	return a->failed ? err_set(err, ERR_NOMEM, "reading serial numbers: memory is short") : 0;
}

int trusted_put(struct db *db, const uint8_t sign_public[32], uint64_t stream, const struct trusted *t, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_TRUSTED_PUT, err);

	bind_slice(s, 1, (struct slice){ sign_public, 32 });
	bind_u64(s, 2, stream);
	bind_u64(s, 3, t->epoch);
	bind_u64(s, 4, t->position);
	bind_slice(s, 5, (struct slice){ t->hash.at, DIGEST_SIZE });
	return db_run(db, s, err);
}

int trusted_get(struct db *db, const uint8_t sign_public[32], uint64_t stream, struct trusted *ret, bool *ret_found,
                struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_TRUSTED_GET, err);
	int rc;

	bind_slice(s, 1, (struct slice){ sign_public, 32 });
	bind_u64(s, 2, stream);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	*ret_found = rc > 0;
	if (rc > 0) {
		struct slice hash = read_blob(s, 2);

		*ret = (struct trusted){ .epoch = (uint32_t)read_unsigned(s, 0), .position = read_unsigned(s, 1) };
		if (hash.n == DIGEST_SIZE)
			memcpy(ret->hash.at, hash.p, DIGEST_SIZE);
		sqlite3_reset(s);
	}
	return 0;
}

int peer_forget(struct db *db, uint64_t unit, struct err *err)
{
	static const enum statement_id all[] = { SQL_NEED_DROP, SQL_DESCENDANT_DROP };
	int rc = dirty_drop(db, unit, err);

	if (rc == 0)
		rc = link_drop(db, unit, err);
	for (size_t i = 0; i < ARRAY_SIZE(all) && rc == 0; i++) {
		sqlite3_stmt *s = db_statement(db, all[i], err);

		bind_u64(s, 1, unit);
		rc = db_run(db, s, err);
	}
	return rc;
}

int invite_get(struct db *db, uint64_t unit, struct invite *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_INVITE_GET, err);
	int rc;

	bind_u64(s, 1, unit);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	*ret_found = rc > 0;
	if (rc > 0) {
		struct slice secret = read_blob(s, 1);

		memset(ret, 0, sizeof *ret);
		copy_text(s, 0, ret->name, sizeof ret->name);
		if (secret.n == DIGEST_SIZE)
			memcpy(ret->secret.at, secret.p, DIGEST_SIZE);
		ret->until_s = sqlite3_column_int64(s, 2);
		ret->used_ms = sqlite3_column_int64(s, 3);
		sqlite3_reset(s);
	}
	return 0;
}

int invite_put(struct db *db, uint64_t unit, const struct invite *i, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_INVITE_PUT, err);

	if (s == NULL)
		return db_code(err);
	bind_u64(s, 1, unit);
	bind_text(s, 2, i->name);
	bind_slice(s, 3, (struct slice){ i->secret.at, DIGEST_SIZE });
	sqlite3_bind_int64(s, 4, i->until_s);
	return db_run(db, s, err);
}

int invite_used(struct db *db, uint64_t unit, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_INVITE_USED, err);

	bind_u64(s, 1, unit);
	sqlite3_bind_int64(s, 2, at_ms);
	return db_run(db, s, err);
}

/* ---- what is known of the subtree, and of policies */

int descendant_put(struct db *db, uint64_t unit, uint64_t via, struct slice body, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DESCENDANT_PUT, err);

	bind_u64(s, 1, unit);
	bind_u64(s, 2, via);
	bind_slice(s, 3, body);
	sqlite3_bind_int64(s, 4, at_ms);
	return db_run(db, s, err);
}

int descendant_each(struct db *db, int (*fn)(void *arg, uint64_t unit, uint64_t via, struct slice body, int64_t at_ms),
                    void *arg, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DESCENDANT_ALL, err);
	int rc, stop = 0;

	sqlite3_bind_int(s, 1, 0);
	while ((rc = db_step(db, s, err)) > 0 && stop == 0)
		stop = fn(arg, read_unsigned(s, 0), read_unsigned(s, 1), read_blob(s, 2), sqlite3_column_int64(s, 3));
	sqlite3_reset(s);
	if (stop > 1)
		return stop;
	return rc < 0 ? db_code(err) : 0;
}

int policy_lists_each(struct db *db, int (*fn)(void *arg, struct slice body), void *arg, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LISTS_ALL, err);
	int rc, stop = 0;

	sqlite3_bind_int(s, 1, 0);
	while ((rc = db_step(db, s, err)) > 0 && stop == 0)
		stop = fn(arg, read_blob(s, 0));
	sqlite3_reset(s);
	if (stop > 1)
		return stop;
	return rc < 0 ? db_code(err) : 0;
}

int policy_list(struct db *db, uint64_t hash, struct arena *a, struct policy_entry **ret, uint32_t *ret_n, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_LIST_ONE, err);
	struct reader r;
	int rc;

	*ret_n = 0;
	bind_u64(s, 1, hash);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	if (rc == 0)
		return 0;
	r = reader_of(read_blob(s, 0));
	*ret_n = (uint32_t)read_count(&r, 64);
	*ret = arena_array(a, *ret_n + 1, sizeof **ret);
	for (uint32_t i = 0; *ret != NULL && i < *ret_n; i++) {
		(*ret)[i].issuer = read_varint(&r);
		(*ret)[i].version = read_varint(&r);
	}
	sqlite3_reset(s);
	if (*ret == NULL)
		return err_set(err, ERR_NOMEM, "reading a policy list: memory is short");
	return r.bad ? err_set(err, ERR_DAMAGED, "policy list %016llx is damaged", (unsigned long long)hash) : 0;
}

int policy_states_each(struct db *db, int (*fn)(void *arg, uint64_t issuer, uint64_t version, const char *state), void *arg,
                       struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_POLICY_STATES, err);
	int rc, stop = 0;

	sqlite3_bind_int(s, 1, 0);
	while ((rc = db_step(db, s, err)) > 0 && stop == 0)
		stop = fn(arg, read_unsigned(s, 0), read_unsigned(s, 1), (const char *)sqlite3_column_text(s, 2));
	sqlite3_reset(s);
	if (stop > 1)
		return stop;
	return rc < 0 ? db_code(err) : 0;
}
