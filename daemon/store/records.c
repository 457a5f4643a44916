/* Records: conflicts and returns, issues, quarantine, the sync log.
 *
 * Body of ITEM_RECORD: byte 1 (format); register, group, kind (each length-prefixed); key as a cell in the one-cell
 * form; ident of the losing write; varints unit, rule, decider, policy; zigzag varints at (ms), tree time (s); byte
 * vouched; then why, say, the stored values kept, lost, base and their texts: each a varint 0 (absent) or length + 1
 * and the bytes.  State, note and actor are each node's own and do not travel. */
#include "store/records.h"

#include <string.h>

#define RECORD_FORMAT 1

/* ---- one record */

static void bind_optional(sqlite3_stmt *s, int i, struct slice v)
{
	if (v.n == 0)
		sqlite3_bind_null(s, i);
	else
		bind_slice(s, i, v);
}

static void bind_name(sqlite3_stmt *s, const struct record *r)
{
	bind_text(s, 1, r->reg);
	bind_cell(s, 2, r->key);
	bind_text(s, 3, r->group);
	bind_u64(s, 4, r->lost.unit);
	bind_u64(s, 5, r->lost.mark.tick);
	bind_u64(s, 6, r->lost.mark.epoch);
}

/* The record of the same losing value that stands here: its id, 0 = none, and who decided. */
static int standing(struct db *db, const struct record *r, int64_t *ret_id, uint64_t *ret_decider, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_RECORD_SAME, err);
	int rc;

	bind_name(s, r);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	*ret_id = rc > 0 ? sqlite3_column_int64(s, 0) : 0;
	*ret_decider = rc > 0 ? read_unsigned(s, 1) : UNIT_NONE;
	sqlite3_reset(s);
	return 0;
}

static int put(struct db *db, int64_t id, const struct record *r, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_RECORD_ADD, err);

	if (id != 0)
		sqlite3_bind_int64(s, 1, id);
	bind_text(s, 2, r->reg);
	bind_cell(s, 3, r->key);
	bind_text(s, 4, r->group);
	bind_u64(s, 5, r->lost.unit);
	bind_u64(s, 6, r->lost.mark.tick);
	bind_u64(s, 7, r->lost.mark.epoch);
	bind_u64(s, 8, r->unit);
	bind_text(s, 9, r->kind);
	bind_text(s, 10, r->why);
	sqlite3_bind_int(s, 11, r->rule);
	bind_u64(s, 12, r->decider);
	bind_u64(s, 13, r->policy);
	sqlite3_bind_int64(s, 14, r->at_ms);
	sqlite3_bind_int64(s, 15, r->tree_s);
	bind_optional(s, 16, r->kept);
	bind_optional(s, 17, r->lost_value);
	bind_optional(s, 18, r->base);
	bind_text(s, 19, r->kept_text);
	bind_text(s, 20, r->lost_text);
	bind_text(s, 21, r->base_text);
	bind_text(s, 22, r->say);
	sqlite3_bind_int(s, 23, r->vouched);
	bind_text(s, 24, r->state != NULL ? r->state : "open");
	bind_text(s, 25, r->note);
	bind_text(s, 26, r->actor);
	return db_run(db, s, err);
}

int record_put(struct db *db, const struct record *r, int64_t *ret_id, struct err *err)
{
	uint64_t decider;
	sqlite3_stmt *s;
	int64_t id;
	int rc = standing(db, r, &id, &decider, err);

	*ret_id = 0;
	if (rc != 0)
		return rc;
	if (id != 0 && (decider == r->decider || unit_level(decider) <= unit_level(r->decider)))
		return 0;                        /* decided at least as high: it stands */
	if (id == 0) {
		s = db_statement(db, SQL_RECORD_LATER, err);
		bind_name(s, r);
		rc = db_step(db, s, err);
		sqlite3_reset(s);
		if (rc != 0)
			return rc < 0 ? db_code(err) : 0;        /* its author replaced the value since: that record speaks */
	}
	s = db_statement(db, SQL_RECORD_EARLIER, err);
	bind_name(s, r);
	rc = db_run(db, s, err);
	if (rc == 0)
		rc = put(db, id, r, err);
	if (rc == 0)
		*ret_id = id != 0 ? id : sqlite3_last_insert_rowid(db->sql);
	return rc;
}

static char *copied_text(struct arena *a, sqlite3_stmt *s, int i)
{
	if (sqlite3_column_type(s, i) == SQLITE_NULL)
		return NULL;
	return arena_text(a, (struct slice){ sqlite3_column_text(s, i), (size_t)sqlite3_column_bytes(s, i) });
}

int record_get(struct db *db, int64_t id, struct arena *a, struct record *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_RECORD_GET, err);
	int rc;

	sqlite3_bind_int64(s, 1, id);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	*ret_found = rc > 0;
	if (rc == 0)
		return 0;
	*ret = (struct record){
		.id = sqlite3_column_int64(s, 0), .reg = copied_text(a, s, 1), .group = copied_text(a, s, 3),
		.key = cell_copy(a, read_cell(s, 2)),
		.lost = { read_unsigned(s, 4), { read_unsigned(s, 5), (uint32_t)read_unsigned(s, 6) } },
		.unit = read_unsigned(s, 7), .kind = copied_text(a, s, 8), .why = copied_text(a, s, 9),
		.say = copied_text(a, s, 21), .rule = sqlite3_column_int(s, 10), .decider = read_unsigned(s, 11),
		.policy = read_unsigned(s, 12), .at_ms = sqlite3_column_int64(s, 13), .tree_s = sqlite3_column_int64(s, 14),
		.kept = arena_slice(a, read_blob(s, 15)), .lost_value = arena_slice(a, read_blob(s, 16)),
		.base = arena_slice(a, read_blob(s, 17)), .kept_text = copied_text(a, s, 18),
		.lost_text = copied_text(a, s, 19), .base_text = copied_text(a, s, 20),
		.vouched = sqlite3_column_int(s, 22) != 0, .state = copied_text(a, s, 23), .note = copied_text(a, s, 24),
		.actor = copied_text(a, s, 25),
	};
	sqlite3_reset(s);
	return a->failed ? err_set(err, ERR_NOMEM, "record %lld: memory is short", (long long)id) : 0;
}

bool record_any_open(struct db *db)
{
	sqlite3_stmt *s = db_statement(db, SQL_RECORD_ANY_OPEN, NULL);
	bool any = s != NULL && db_step(db, s, NULL) > 0;

	sqlite3_reset(s);
	return any;
}

#define SETTLE_MOST 64                   /* records of one group of one row that are read at once */

int record_settle(struct db *db, const char *reg, struct cell key, const char *group,
                  const char *(*fn)(void *arg, struct ident lost, struct slice lost_value), void *arg, struct err *err)
{
	int64_t ids[SETTLE_MOST];
	const char *states[SETTLE_MOST];
	uint32_t n = SETTLE_MOST;
	int rc = 0, step = 1;

	while (rc == 0 && n == SETTLE_MOST) {            /* what ended is not read again */
		sqlite3_stmt *s = db_statement(db, SQL_RECORD_OPEN_OF, err);

		if (s == NULL)
			return db_code(err);
		n = 0;
		bind_text(s, 1, reg);
		bind_cell(s, 2, key);
		bind_text(s, 3, group);
		while (n < SETTLE_MOST && (step = db_step(db, s, err)) > 0) {
			const struct ident lost = { read_unsigned(s, 1), { read_unsigned(s, 2), (uint32_t)read_unsigned(s, 3) } };

			ids[n] = sqlite3_column_int64(s, 0);
			states[n] = fn(arg, lost, read_blob(s, 4));
			n += states[n] != NULL;
		}
		sqlite3_reset(s);
		rc = step < 0 ? db_code(err) : 0;
		for (uint32_t i = 0; i < n && rc == 0; i++) {
			s = db_statement(db, SQL_RECORD_END, err);
			if (s == NULL)
				return db_code(err);
			sqlite3_bind_int64(s, 1, ids[i]);
			bind_text(s, 2, states[i]);
			rc = db_run(db, s, err);
		}
	}
	return rc;
}

int record_counts(struct db *db, struct record_counts *ret, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_COUNTS, err);

	sqlite3_bind_int(s, 1, 0);
	if (db_step(db, s, err) <= 0)
		return db_code(err);
	*ret = (struct record_counts){ read_unsigned(s, 0), read_unsigned(s, 1), read_unsigned(s, 2), read_unsigned(s, 3),
		                       read_unsigned(s, 4) };
	sqlite3_reset(s);
	return 0;
}

/* ---- its travelling form */

static void put_optional(struct buf *b, struct slice s, bool there)
{
	buf_put_varint(b, there ? (uint64_t)s.n + 1 : 0);
	if (there)
		buf_put(b, s.p, s.n);
}

static void put_optional_text(struct buf *b, const char *text)
{
	put_optional(b, text != NULL ? slice_of(text) : (struct slice){ NULL, 0 }, text != NULL);
}

void record_encode(struct buf *b, const struct record *r)
{
	buf_put_u8(b, RECORD_FORMAT);
	buf_put_text(b, r->reg);
	buf_put_text(b, r->group);
	buf_put_text(b, r->kind);
	cell_put(b, r->key);
	ident_put(b, &r->lost);
	buf_put_varint(b, r->unit);
	buf_put_varint(b, (uint64_t)r->rule);
	buf_put_varint(b, r->decider);
	buf_put_varint(b, r->policy);
	buf_put_signed(b, r->at_ms);
	buf_put_signed(b, r->tree_s);
	buf_put_u8(b, r->vouched);
	put_optional_text(b, r->why);
	put_optional_text(b, r->say);
	put_optional(b, r->kept, r->kept.n != 0);
	put_optional(b, r->lost_value, r->lost_value.n != 0);
	put_optional(b, r->base, r->base.n != 0);
	put_optional_text(b, r->kept_text);
	put_optional_text(b, r->lost_text);
	put_optional_text(b, r->base_text);
}

static char *get_text(struct reader *r, struct arena *a)
{
	struct slice s = read_slice(r);

	if (s.n == 0 || memchr(s.p, 0, s.n) != NULL)
		r->bad = true;
	return arena_text(a, s);
}

static struct slice get_optional(struct reader *r, bool *ret_there)
{
	uint64_t n = read_varint(r);

	*ret_there = n != 0;
	if (n == 0)
		return (struct slice){ NULL, 0 };
	if (n - 1 > reader_left(r)) {
		r->bad = true;
		return (struct slice){ NULL, 0 };
	}
	return read_bytes(r, (size_t)n - 1);
}

static char *get_optional_text(struct reader *r, struct arena *a)
{
	bool there;
	struct slice s = get_optional(r, &there);

	if (there && s.n != 0 && memchr(s.p, 0, s.n) != NULL)
		r->bad = true;
	return there ? arena_text(a, s) : NULL;
}

int record_decode(struct slice body, struct arena *a, struct record *ret, struct err *err)
{
	struct reader r = reader_of(body);
	struct record x = { .state = "open" };
	uint8_t format = read_u8(&r);
	uint64_t rule;
	bool there;

	x.reg = get_text(&r, a);
	x.group = get_text(&r, a);
	x.kind = get_text(&r, a);
	x.key = cell_copy(a, cell_get(&r));
	ident_get(&r, &x.lost);
	x.unit = read_varint(&r);
	rule = read_varint(&r);
	x.rule = rule <= 100 ? (int)rule : -1;
	x.decider = read_varint(&r);
	x.policy = read_varint(&r);
	x.at_ms = read_signed(&r);
	x.tree_s = read_signed(&r);
	x.vouched = read_u8(&r) != 0;
	x.why = get_optional_text(&r, a);
	x.say = get_optional_text(&r, a);
	x.kept = get_optional(&r, &there);
	x.lost_value = get_optional(&r, &there);
	x.base = get_optional(&r, &there);
	x.kept_text = get_optional_text(&r, a);
	x.lost_text = get_optional_text(&r, a);
	x.base_text = get_optional_text(&r, a);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "a record: memory is short");
	if (format != RECORD_FORMAT || x.rule < 0 || x.key.type == CELL_NULL || !reader_done(&r))
		return err_set(err, ERR_FORMAT, "a record of %zu bytes is malformed", body.n);
	*ret = x;
	return 0;
}

/* ---- quarantine */

int quarantine_put(struct db *db, const struct reg *r, struct cell key, bool alive, struct slice value, const char *why,
                   int64_t at_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_QUARANTINE_PUT, err);

	bind_u64(s, 1, r->number);
	bind_cell(s, 2, key);
	sqlite3_bind_int(s, 3, alive);
	bind_slice(s, 4, value);
	bind_text(s, 5, why);
	sqlite3_bind_int64(s, 6, at_ms);
	return db_run(db, s, err);
}

int quarantine_get(struct db *db, const struct reg *r, struct cell key, struct arena *a, bool *ret_found,
                   bool *ret_alive, struct slice *ret_value, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_QUARANTINE_GET, err);
	int rc;

	bind_u64(s, 1, r->number);
	bind_cell(s, 2, key);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	*ret_found = rc > 0;
	if (rc > 0) {
		*ret_alive = sqlite3_column_int(s, 0) != 0;
		*ret_value = arena_slice(a, read_blob(s, 1));
		sqlite3_reset(s);
	}
	return a->failed ? err_set(err, ERR_NOMEM, "register %s, quarantine: memory is short", r->name) : 0;
}

bool quarantine_any(struct db *db)
{
	sqlite3_stmt *s = db_statement(db, SQL_QUARANTINE_ANY, NULL);
	bool any = db_step(db, s, NULL) > 0;

	sqlite3_reset(s);
	return any;
}

int quarantine_drop(struct db *db, const struct reg *r, struct cell key, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_QUARANTINE_DROP, err);

	bind_u64(s, 1, r->number);
	bind_cell(s, 2, key);
	return db_run(db, s, err);
}

bool quarantine_waits(struct db *db)
{
	sqlite3_stmt *s = db_statement(db, SQL_QUARANTINE_WAITS, NULL);
	bool waits = db_step(db, s, NULL) > 0;

	sqlite3_reset(s);
	return waits;
}

bool quarantine_dropped(struct db *db, const struct reg *r, struct cell key)
{
	sqlite3_stmt *s = db_statement(db, SQL_QUARANTINE_DROPPED, NULL);
	bool dropped;

	bind_u64(s, 1, r->number);
	bind_cell(s, 2, key);
	dropped = db_step(db, s, NULL) > 0;
	sqlite3_reset(s);
	return dropped;
}

int quarantine_give_up(struct db *db, int64_t id, int64_t at_ms, const char *reason, const char *actor, bool *ret_found,
                       struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_QUARANTINE_GIVE_UP, err);
	int rc;

	sqlite3_bind_int64(s, 1, id);
	sqlite3_bind_int64(s, 2, at_ms);
	bind_text(s, 3, reason);
	bind_text(s, 4, actor);
	rc = db_run(db, s, err);
	*ret_found = rc == 0 && sqlite3_changes(db->sql) > 0;
	return rc;
}

int quarantine_again(struct db *db, int64_t id, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_QUARANTINE_AGAIN, err);

	sqlite3_bind_int64(s, 1, id);
	return db_run(db, s, err);
}

int quarantine_each(struct db *db, int64_t after, int (*fn)(void *arg, const struct waiting *w), void *arg, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_QUARANTINE_EACH, err);
	int rc = 0, stop = 0;

	sqlite3_bind_int64(s, 1, after);
	while (stop == 0 && (rc = db_step(db, s, err)) > 0) {
		const struct waiting w = { sqlite3_column_int64(s, 0), (uint32_t)read_unsigned(s, 1), read_cell(s, 2),
			                   sqlite3_column_int(s, 3) != 0 };

		stop = fn(arg, &w);
	}
	sqlite3_reset(s);
	if (stop > 1)
		return stop;
	return rc < 0 ? db_code(err) : 0;
}

/* ---- issues; register and key may be NULL, which UNIQUE does not compare */

int issue_put(struct db *db, const char *kind, const char *reg, struct cell key, uint64_t unit, const char *text,
              int64_t at_ms, struct err *err)
{
	static const enum statement_id steps[] = { SQL_ISSUE_AGAIN, SQL_ISSUE_ADD };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps) && rc == 0; i++) {
		sqlite3_stmt *s = db_statement(db, steps[i], err);

		bind_text(s, 1, kind);
		bind_text(s, 2, reg);
		bind_cell(s, 3, key);
		bind_u64(s, 4, unit);
		bind_text(s, 5, text);
		sqlite3_bind_int64(s, 6, at_ms);
		rc = db_run(db, s, err);
		if (rc == 0 && sqlite3_changes(db->sql) > 0)
			break;
	}
	return rc;
}

int issue_is_open(struct db *db, const char *kind, const char *reg, struct cell key, bool *ret, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_ISSUE_OPEN, err);
	int rc;

	if (q == NULL)
		return db_code(err);
	bind_text(q, 1, kind);
	bind_text(q, 2, reg);
	bind_cell(q, 3, key);
	rc = db_step(db, q, err);
	sqlite3_reset(q);
	*ret = rc > 0;
	return rc < 0 ? db_code(err) : 0;
}

bool issue_any(struct db *db, const char *kind, const char *reg)
{
	sqlite3_stmt *s = db_statement(db, SQL_ISSUE_ANY, NULL);
	bool any;

	bind_text(s, 1, kind);
	bind_text(s, 2, reg);
	any = db_step(db, s, NULL) > 0;
	sqlite3_reset(s);
	return any;
}

int issue_solved(struct db *db, const char *kind, const char *reg, struct cell key, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_ISSUE_SOLVED, err);

	bind_text(s, 1, kind);
	bind_text(s, 2, reg);
	bind_cell(s, 3, key);
	return db_run(db, s, err);
}

/* ---- the sync log */

int event_put(struct db *db, int64_t at_ms, int level, const char *kind, uint64_t peer, const char *segment,
              const char *text, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_EVENT_ADD, err);

	sqlite3_bind_int64(s, 1, at_ms);
	bind_text(s, 2, kind);
	sqlite3_bind_int(s, 3, level);
	if (peer != UNIT_NONE)
		bind_u64(s, 4, peer);
	bind_text(s, 5, segment);
	bind_text(s, 6, text);
	return db_run(db, s, err);
}

static int reclaim(struct db *db, enum statement_id id, int64_t before_ms, uint32_t most, bool *more, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);
	int rc;

	sqlite3_bind_int64(s, 1, before_ms);
	bind_u64(s, 2, most);
	rc = db_run(db, s, err);
	*more |= rc == 0 && (uint32_t)sqlite3_changes(db->sql) == most;
	return rc;
}

int event_reclaim(struct db *db, int64_t before_ms, uint32_t most, bool *more, struct err *err)
{
	return reclaim(db, SQL_EVENT_RECLAIM, before_ms, most, more, err);
}

int closed_reclaim(struct db *db, int64_t before_ms, uint32_t most, bool *more, struct err *err)
{
	int rc = reclaim(db, SQL_RECORD_RECLAIM, before_ms, most, more, err);

	return rc == 0 ? reclaim(db, SQL_ISSUE_RECLAIM, before_ms, most, more, err) : rc;
}

/* ---- closed by people */

static int close_by(struct db *db, enum statement_id id, int64_t entry, const char *note, const char *actor, bool *ret_found,
                    struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);
	int rc;

	if (s == NULL)
		return db_code(err);
	sqlite3_bind_int64(s, 1, entry);
	bind_text(s, 2, note);
	bind_text(s, 3, actor);
	rc = db_run(db, s, err);
	*ret_found = rc == 0 && sqlite3_changes(db->sql) > 0;
	return rc;
}

int record_close(struct db *db, int64_t id, const char *note, const char *actor, bool *ret_found, struct err *err)
{
	return close_by(db, SQL_RECORD_CLOSE, id, note, actor, ret_found, err);
}

int issue_noted(struct db *db, const char *kind, const char *reg, struct cell key, const char *note, const char *actor,
                struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_ISSUE_NOTED, err);

	bind_text(s, 1, kind);
	bind_text(s, 2, reg);
	bind_cell(s, 3, key);
	bind_text(s, 4, note);
	bind_text(s, 5, actor);
	return db_run(db, s, err);
}

int issue_close(struct db *db, int64_t id, const char *note, const char *actor, bool *ret_found, struct err *err)
{
	return close_by(db, SQL_ISSUE_CLOSE, id, note, actor, ret_found, err);
}
