/* Outbox: streams, segments kept, the sequence to the parent, receipts. */
#include "store/outbox.h"

#include <string.h>

#include "store/links.h"

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

/* ---- streams */

int stream_get(struct db *db, uint64_t author, uint64_t stream, struct stream_head *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_STREAM_GET, err);
	int rc;

	bind_u64(s, 1, author);
	bind_u64(s, 2, stream);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	memset(ret, 0, sizeof *ret);
	if (rc > 0) {
		ret->position = read_unsigned(s, 0);
		get_digest(s, 1, &ret->hash);
		ret->settled = read_unsigned(s, 2);
		ret->list = read_unsigned(s, 3);
		ret->epoch = (uint32_t)read_unsigned(s, 4);
		sqlite3_reset(s);
	}
	return 0;
}

int stream_put(struct db *db, uint64_t author, uint64_t stream, const struct stream_head *head, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_STREAM_PUT, err);

	bind_u64(s, 1, author);
	bind_u64(s, 2, stream);
	bind_u64(s, 3, head->position);
	bind_digest(s, 4, &head->hash);
	bind_u64(s, 5, head->settled);
	bind_u64(s, 6, head->list);
	bind_u64(s, 7, head->epoch);
	return db_run(db, s, err);
}

int stream_forget(struct db *db, uint64_t scope, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_STREAM_FORGET, err);

	bind_u64(s, 1, scope);
	bind_u64(s, 2, unit_last(scope));
	return db_run(db, s, err);
}

int stream_heads(struct db *db, uint64_t scope, uint32_t most,
                 int (*fn)(void *arg, uint64_t author, uint64_t stream, uint64_t position, const struct digest *hash), void *arg,
                 struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_STREAM_HEADS, err);
	int rc;

	bind_u64(s, 1, scope);
	bind_u64(s, 2, unit_last(scope));
	bind_u64(s, 3, most);
	while ((rc = db_step(db, s, err)) > 0) {
		struct slice hash = read_blob(s, 3);
		struct digest d = { 0 };

		if (hash.n == DIGEST_SIZE)
			memcpy(d.at, hash.p, DIGEST_SIZE);
		if (fn(arg, read_unsigned(s, 0), read_unsigned(s, 1), read_unsigned(s, 2), &d) != 0)
			break;
	}
	sqlite3_reset(s);
	return rc < 0 ? db_code(err) : 0;
}

int stream_sums(struct db *db, uint64_t author, uint64_t *ret_position, uint64_t *ret_settled, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_STREAM_SUMS, err);

	bind_u64(s, 1, author);
	if (db_step(db, s, err) < 0)
		return db_code(err);
	*ret_position = read_unsigned(s, 0);
	*ret_settled = read_unsigned(s, 1);
	sqlite3_reset(s);
	return 0;
}

/* ---- segments */

static int found(struct db *db, sqlite3_stmt *s, int64_t *ret_id, struct digest *ret_hash, struct err *err)
{
	int rc = db_step(db, s, err);

	if (rc < 0)
		return db_code(err);
	*ret_id = 0;
	if (rc > 0) {
		*ret_id = sqlite3_column_int64(s, 0);
		if (ret_hash != NULL)
			get_digest(s, 1, ret_hash);
		sqlite3_reset(s);
	}
	return 0;
}

int segment_find(struct db *db, uint64_t author, uint32_t kind, uint64_t stream, uint64_t position, int64_t *ret_id,
                 struct digest *ret_hash, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SEGMENT_FIND, err);

	bind_u64(s, 1, author);
	bind_u64(s, 2, kind);
	bind_u64(s, 3, stream);
	bind_u64(s, 4, position);
	return found(db, s, ret_id, ret_hash, err);
}

int segments_of_mark(struct db *db, uint64_t author, uint64_t stream, struct mark mark, int64_t *ret_ids, uint32_t most,
                     uint32_t *ret_n, bool *ret_all, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SEGMENTS_OF_SEAL, err);
	uint64_t first = 0;
	struct digest ignored;
	uint32_t n = 0;
	int64_t id = 0;
	int rc;

	*ret_n = 0;
	*ret_all = false;
	if (s == NULL)
		return ERR_DB;
	bind_u64(s, 1, author);
	bind_u64(s, 2, mark.epoch);
	bind_u64(s, 3, mark.tick);
	bind_u64(s, 4, stream);
	while ((rc = db_step(db, s, err)) > 0 && n < most) {
		if (n == 0)
			first = read_unsigned(s, 1);
		ret_ids[n++] = sqlite3_column_int64(s, 0);
	}
	sqlite3_reset(s);
	if (rc < 0)
		return db_code(err);
	if (rc > 0 || n == 0)
		return 0;
	*ret_n = n;
	rc = first > 1 ? segment_find(db, author, SEGMENT_DELTA, stream, first - 1, &id, &ignored, err) : 0;
	*ret_all = rc == 0 && (first == 1 || id != 0);
	return rc;
}

int segment_find_epoch(struct db *db, uint64_t author, uint32_t kind, uint64_t stream, uint64_t position, uint32_t epoch,
                       int64_t *ret_id, struct digest *ret_hash, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SEGMENT_FIND_EPOCH, err);

	bind_u64(s, 1, author);
	bind_u64(s, 2, kind);
	bind_u64(s, 3, stream);
	bind_u64(s, 4, position);
	bind_u64(s, 5, epoch);
	return found(db, s, ret_id, ret_hash, err);
}

int segment_of_mark(struct db *db, uint64_t author, struct mark mark, bool *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SEGMENT_OF_MARK, err);
	int step;

	if (s == NULL)
		return db_code(err);
	bind_u64(s, 1, author);
	bind_u64(s, 2, mark.epoch);
	bind_u64(s, 3, mark.tick);
	step = db_step(db, s, err);
	*ret = step > 0;
	sqlite3_reset(s);
	return step < 0 ? db_code(err) : 0;
}

int stream_waits(struct db *db, uint64_t author, uint64_t tick, bool *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SEALED_WAITS, err);
	int step;

	if (s == NULL)
		return ERR_DB;
	bind_u64(s, 1, author);
	bind_u64(s, 2, tick);
	step = db_step(db, s, err);
	sqlite3_reset(s);
	*ret = step > 0;
	return step < 0 ? ERR_DB : 0;
}

int segment_keep(struct db *db, const struct segment *s, uint64_t origin, int64_t at_ms, int64_t *ret_id, struct err *err)
{
	const struct segment_header *h = &s->header;
	struct digest hash = segment_hash(s);
	sqlite3_stmt *q;
	int rc = segment_find_epoch(db, h->author, h->kind, h->stream, h->position, h->epoch, ret_id, NULL, err);

	if (rc != 0 || *ret_id != 0)
		return rc;
	q = db_statement(db, SQL_SEGMENT_ADD, err);
	bind_u64(q, 1, h->author);
	bind_u64(q, 2, h->kind);
	bind_u64(q, 3, h->stream);
	bind_u64(q, 4, h->position);
	bind_u64(q, 5, h->epoch);
	bind_u64(q, 6, h->tick);
	bind_digest(q, 7, &hash);
	sqlite3_bind_int64(q, 8, at_ms);
	bind_u64(q, 9, origin);
	bind_slice(q, 10, s->bytes);
	rc = db_run(db, q, err);
	*ret_id = rc == 0 ? sqlite3_last_insert_rowid(db->sql) : 0;
	return rc;
}

int segment_bytes(struct db *db, int64_t id, struct buf *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SEGMENT_BYTES, err);
	struct slice b;
	int rc;

	sqlite3_bind_int64(s, 1, id);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "segment %lld is not kept here any more", (long long)id);
	b = read_blob(s, 0);
	buf_put(ret, b.p, b.n);
	sqlite3_reset(s);
	return ret->failed ? err_set(err, ERR_NOMEM, "segment %lld: memory is short", (long long)id) : 0;
}

int segment_settled(struct db *db, uint64_t author, uint64_t stream, uint64_t position, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SEGMENT_SETTLED, err);

	bind_u64(s, 1, author);
	bind_u64(s, 2, stream);
	bind_u64(s, 3, position);
	sqlite3_bind_int64(s, 4, at_ms);
	return db_run(db, s, err);
}

int segment_reclaim(struct db *db, uint64_t own, int64_t own_ms, int64_t other_ms, uint32_t most, bool *more,
                    struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_SEGMENT_RECLAIM, err);
	int rc;

	bind_u64(s, 1, own);
	sqlite3_bind_int64(s, 2, other_ms);
	sqlite3_bind_int64(s, 3, own_ms);
	bind_u64(s, 4, most);
	rc = db_run(db, s, err);
	*more |= rc == 0 && (uint32_t)sqlite3_changes(db->sql) == most;
	return rc;
}

/* ---- the sequence to the parent */

static int one_head(struct db *db, enum statement_id id, struct outbox_head *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);
	int rc = db_step(db, s, err);

	if (rc < 0)
		return db_code(err);
	memset(ret, 0, sizeof *ret);
	if (rc > 0) {
		ret->seq = read_unsigned(s, 0);
		get_digest(s, 1, &ret->head);
		sqlite3_reset(s);
	}
	return 0;
}

int outbox_head(struct db *db, struct outbox_head *ret, struct err *err)
{
	return one_head(db, SQL_OUTBOX_HEAD, ret, err);
}

int outbox_base(struct db *db, struct outbox_head *ret, struct err *err)
{
	int rc = one_head(db, SQL_OUTBOX_FIRST, ret, err);

	if (rc == 0 && ret->seq == 1)            /* nothing was dropped: from the beginning */
		memset(ret, 0, sizeof *ret);
	return rc;
}

int outbox_head_at(struct db *db, uint64_t seq, struct digest *ret, bool *ret_found, struct err *err)
{
	struct outbox_head base;
	sqlite3_stmt *s;
	int rc;

	memset(ret, 0, sizeof *ret);
	if (seq == 0) {
		rc = outbox_base(db, &base, err);
		*ret_found = rc == 0 && base.seq == 0;
		return rc;
	}
	s = db_statement(db, SQL_OUTBOX_AT, err);
	bind_u64(s, 1, seq);
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

int outbox_add(struct db *db, int64_t segment, struct slice bytes, struct err *err)
{
	struct outbox_head last;
	struct digest head;
	sqlite3_stmt *s;
	int rc = outbox_head(db, &last, err);

	if (rc != 0)
		return rc;
	head = digest_chain(&last.head, bytes);
	s = db_statement(db, SQL_OUTBOX_ADD, err);
	bind_u64(s, 1, last.seq + 1);
	sqlite3_bind_int64(s, 2, segment);
	bind_digest(s, 3, &head);
	return db_run(db, s, err);
}

int outbox_each(struct db *db, uint64_t after, int (*fn)(void *arg, uint64_t seq, struct slice bytes), void *arg,
                struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_OUTBOX_EACH, err);
	int rc, stop = 0;

	bind_u64(s, 1, after);
	while (stop == 0 && (rc = db_step(db, s, err)) > 0)
		stop = fn(arg, read_unsigned(s, 0), read_blob(s, 1));
	sqlite3_reset(s);
	if (stop > 1)
		return stop;
	return stop == 0 && rc < 0 ? db_code(err) : 0;
}

int outbox_waiting(struct db *db, uint64_t after, uint64_t author, struct outbox_waiting *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_OUTBOX_WAITING, err);

	bind_u64(s, 1, after);
	bind_u64(s, 2, author);
	if (db_step(db, s, err) < 0)
		return db_code(err);
	ret->entries = read_unsigned(s, 0);
	ret->bytes = read_unsigned(s, 1);
	ret->oldest_ms = sqlite3_column_int64(s, 2);
	ret->own = read_unsigned(s, 3);
	sqlite3_reset(s);
	return 0;
}

int outbox_reclaim(struct db *db, uint64_t acked, int64_t settled_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_OUTBOX_RECLAIM, err);

	bind_u64(s, 1, acked);
	sqlite3_bind_int64(s, 2, settled_ms);
	return db_run(db, s, err);
}

int reported_put(struct db *db, uint64_t author, struct mark mark, uint64_t list, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_REPORTED_PUT, err);

	bind_u64(s, 1, author);
	bind_u64(s, 2, mark.tick);
	bind_u64(s, 3, mark.epoch);
	bind_u64(s, 4, list);
	return db_run(db, s, err);
}

/* ---- receipts */

int receipt_put(struct db *db, const struct receipt *r, int64_t at_ms, int64_t *ret_id, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_RECEIPT_PUT, err);
	int rc;

	bind_u64(s, 1, r->kind);
	bind_u64(s, 2, r->author);
	bind_u64(s, 3, r->stream);
	bind_u64(s, 4, r->signer);
	bind_u64(s, 5, r->position);
	bind_slice(s, 6, r->body);
	sqlite3_bind_int64(s, 7, at_ms);
	rc = db_run(db, s, err);
	if (rc != 0 || ret_id == NULL)
		return rc;
	s = db_statement(db, SQL_RECEIPT_ID, err);
	bind_u64(s, 1, r->kind);
	bind_u64(s, 2, r->author);
	bind_u64(s, 3, r->stream);
	bind_u64(s, 4, r->signer);
	return found(db, s, ret_id, NULL, err);
}

int receipt_get(struct db *db, int64_t id, struct arena *a, struct receipt *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_RECEIPT_GET, err);
	int rc;

	sqlite3_bind_int64(s, 1, id);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	*ret_found = rc > 0;
	if (rc > 0) {
		ret->kind = (uint32_t)read_unsigned(s, 0);
		ret->author = read_unsigned(s, 1);
		ret->stream = read_unsigned(s, 2);
		ret->signer = read_unsigned(s, 3);
		ret->position = read_unsigned(s, 4);
		ret->body = arena_slice(a, read_blob(s, 5));
		sqlite3_reset(s);
	}
	return a->failed ? err_set(err, ERR_NOMEM, "receipt %lld: memory is short", (long long)id) : 0;
}

int receipt_body(struct db *db, int64_t id, uint64_t position, struct slice body, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_RECEIPT_BODY, err);

	sqlite3_bind_int64(s, 1, id);
	bind_slice(s, 2, body);
	bind_u64(s, 3, position);
	return db_run(db, s, err);
}
