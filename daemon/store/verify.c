/* Verify: the walks. */
#include "store/verify.h"

#include <string.h>

static int each(struct db *db, enum statement_id id, int (*one)(sqlite3_stmt *s, void *call), void *call, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);
	int step = 1, stop = 0;

	if (s == NULL)
		return db_code(err);
	while (stop == 0 && (step = db_step(db, s, err)) > 0)
		stop = one(s, call);
	sqlite3_reset(s);
	return step < 0 ? db_code(err) : 0;
}

struct segments_call {
	int (*fn)(void *arg, const struct kept_segment *s);
	void *arg;
};

static int one_segment(sqlite3_stmt *s, void *call)
{
	const struct segments_call *c = call;
	const struct kept_segment k = {
		.id = sqlite3_column_int64(s, 0), .author = read_unsigned(s, 1), .kind = (uint32_t)sqlite3_column_int64(s, 2),
		.stream = read_unsigned(s, 3), .position = read_unsigned(s, 4), .epoch = (uint32_t)sqlite3_column_int64(s, 5),
		.tick = read_unsigned(s, 6), .hash = read_blob(s, 7), .bytes = read_blob(s, 8),
	};

	return c->fn(c->arg, &k);
}

int verify_segments(struct db *db, int (*fn)(void *arg, const struct kept_segment *s), void *arg, struct err *err)
{
	struct segments_call c = { fn, arg };

	return each(db, SQL_VERIFY_SEGMENTS, one_segment, &c, err);
}

int verify_place(struct db *db, uint64_t author, uint32_t kind, uint64_t stream, uint64_t position, struct slice hash,
                 bool *ret_kept, bool *ret_fits, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_VERIFY_PREVIOUS, err);
	int step;

	*ret_kept = *ret_fits = false;
	if (s == NULL)
		return db_code(err);
	bind_u64(s, 1, author);
	sqlite3_bind_int64(s, 2, kind);
	bind_u64(s, 3, stream);
	bind_u64(s, 4, position);
	while ((step = db_step(db, s, err)) > 0) {
		*ret_kept = true;
		*ret_fits |= slice_equal(read_blob(s, 0), hash);
	}
	return step < 0 ? db_code(err) : 0;
}

struct streams_call {
	int (*fn)(void *arg, uint64_t author, uint32_t kind, uint64_t stream, uint64_t position, struct slice hash);
	void *arg;
};

static int one_stream(sqlite3_stmt *s, void *call)
{
	const struct streams_call *c = call;

	return c->fn(c->arg, read_unsigned(s, 0), (uint32_t)sqlite3_column_int64(s, 4), read_unsigned(s, 5), read_unsigned(s, 2),
	             read_blob(s, 3));
}

int verify_streams(struct db *db,
                   int (*fn)(void *arg, uint64_t author, uint32_t kind, uint64_t stream, uint64_t position, struct slice hash),
                   void *arg, struct err *err)
{
	struct streams_call c = { fn, arg };

	return each(db, SQL_VERIFY_STREAMS, one_stream, &c, err);
}

struct outbox_call {
	int (*fn)(void *arg, uint64_t seq, struct slice head, struct slice bytes);
	void *arg;
};

static int one_entry(sqlite3_stmt *s, void *call)
{
	const struct outbox_call *c = call;

	return c->fn(c->arg, read_unsigned(s, 0), read_blob(s, 1), read_blob(s, 2));
}

int verify_outbox(struct db *db, int (*fn)(void *arg, uint64_t seq, struct slice head, struct slice bytes), void *arg,
                  struct err *err)
{
	struct outbox_call c = { fn, arg };

	return each(db, SQL_VERIFY_OUTBOX, one_entry, &c, err);
}

struct receipts_call {
	int (*fn)(void *arg, int64_t id, const struct receipt *r);
	void *arg;
};

static int one_receipt(sqlite3_stmt *s, void *call)
{
	const struct receipts_call *c = call;
	const struct receipt r = { .kind = (uint32_t)sqlite3_column_int64(s, 1), .author = read_unsigned(s, 2),
		                   .stream = read_unsigned(s, 3), .signer = read_unsigned(s, 4), .position = read_unsigned(s, 5),
		                   .body = read_blob(s, 6) };

	return c->fn(c->arg, sqlite3_column_int64(s, 0), &r);
}

int verify_receipts(struct db *db, int (*fn)(void *arg, int64_t id, const struct receipt *r), void *arg, struct err *err)
{
	struct receipts_call c = { fn, arg };

	return each(db, SQL_VERIFY_RECEIPTS, one_receipt, &c, err);
}

struct policies_call {
	int (*fn)(void *arg, uint64_t issuer, uint64_t version, struct slice canonical, int64_t segment);
	void *arg;
};

static int one_policy(sqlite3_stmt *s, void *call)
{
	const struct policies_call *c = call;

	return c->fn(c->arg, read_unsigned(s, 0), read_unsigned(s, 1), read_blob(s, 2), sqlite3_column_int64(s, 3));
}

int verify_policies(struct db *db,
                    int (*fn)(void *arg, uint64_t issuer, uint64_t version, struct slice canonical, int64_t segment), void *arg,
                    struct err *err)
{
	struct policies_call c = { fn, arg };

	return each(db, SQL_VERIFY_POLICIES, one_policy, &c, err);
}

struct lists_call {
	int (*fn)(void *arg, uint64_t hash, struct slice body);
	void *arg;
};

static int one_list(sqlite3_stmt *s, void *call)
{
	const struct lists_call *c = call;

	return c->fn(c->arg, read_unsigned(s, 0), read_blob(s, 1));
}

int verify_lists(struct db *db, int (*fn)(void *arg, uint64_t hash, struct slice body), void *arg, struct err *err)
{
	struct lists_call c = { fn, arg };

	return each(db, SQL_VERIFY_LISTS, one_list, &c, err);
}

struct versions_call {
	int (*fn)(void *arg, int64_t id);
	void *arg;
};

static int one_version(sqlite3_stmt *s, void *call)
{
	const struct versions_call *c = call;

	return c->fn(c->arg, sqlite3_column_int64(s, 0));
}

int verify_versions(struct db *db, int (*fn)(void *arg, int64_t id), void *arg, struct err *err)
{
	struct versions_call c = { fn, arg };

	return each(db, SQL_VERIFY_VERSIONS, one_version, &c, err);
}

struct foreign_call {
	int (*fn)(void *arg, const char *table, int64_t row, const char *parent);
	void *arg;
};

static int one_foreign(sqlite3_stmt *s, void *call)
{
	const struct foreign_call *c = call;

	return c->fn(c->arg, (const char *)sqlite3_column_text(s, 0), sqlite3_column_int64(s, 1), (const char *)sqlite3_column_text(s, 2));
}

int verify_foreign(struct db *db, int (*fn)(void *arg, const char *table, int64_t row, const char *parent), void *arg,
                   struct err *err)
{
	struct foreign_call c = { fn, arg };

	return each(db, SQL_VERIFY_FOREIGN, one_foreign, &c, err);
}
