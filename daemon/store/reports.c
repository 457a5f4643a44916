/* Reports: what people see, read row by row. */
#include "store/reports.h"

#include <string.h>

static const char *text_at(sqlite3_stmt *s, int i)
{
	return (const char *)sqlite3_column_text(s, i);
}

/* Steps through s; `one` reads a row and hands it on. */
static int each(struct db *db, sqlite3_stmt *s, int (*one)(sqlite3_stmt *s, void *fn_arg), void *fn_arg, struct err *err)
{
	int step = 1, stop = 0;

	if (s == NULL)
		return db_code(err);
	while (stop == 0 && (step = db_step(db, s, err)) > 0)
		stop = one(s, fn_arg);
	sqlite3_reset(s);
	return step < 0 ? db_code(err) : 0;
}

static sqlite3_stmt *filtered(struct db *db, enum statement_id id, const struct report_filter *f, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);
	int n = s != NULL ? sqlite3_bind_parameter_count(s) : 0;

	if (s == NULL)
		return NULL;
	sqlite3_bind_int64(s, 1, f->id);
	bind_text(s, 2, f->reg);
	if (f->key != NULL)
		bind_cell(s, 3, *f->key);
	bind_text(s, 4, f->group);
	bind_u64(s, 5, f->unit);
	bind_u64(s, 6, f->unit != UNIT_NONE ? unit_last(f->unit) : UNIT_NONE);
	sqlite3_bind_int64(s, 7, f->since_ms);
	if (n >= 8)
		sqlite3_bind_int(s, 8, f->all || f->id != 0);
	if (n >= 9)
		sqlite3_bind_int(s, 9, (int)f->records);
	if (n >= 10)
		bind_text(s, 10, f->kind);
	return s;
}

static sqlite3_stmt *whole(struct db *db, enum statement_id id, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);

	if (s != NULL)
		bind_u64(s, 1, 0);
	return s;
}

/* ---- records and issues */

struct record_call {
	int (*fn)(void *arg, const struct record *r);
	void *arg;
};

static int one_record(sqlite3_stmt *s, void *arg)
{
	const struct record_call *c = arg;
	const struct record r = {
		.id = sqlite3_column_int64(s, 0), .reg = text_at(s, 1), .key = read_cell(s, 2), .group = text_at(s, 3),
		.lost = { read_unsigned(s, 4), { read_unsigned(s, 5), (uint32_t)sqlite3_column_int64(s, 6) } },
		.unit = read_unsigned(s, 7), .kind = text_at(s, 8), .why = text_at(s, 9), .rule = sqlite3_column_int(s, 10),
		.decider = read_unsigned(s, 11), .policy = read_unsigned(s, 12), .at_ms = sqlite3_column_int64(s, 13),
		.tree_s = sqlite3_column_int64(s, 14), .kept = read_blob(s, 15), .lost_value = read_blob(s, 16),
		.base = read_blob(s, 17), .kept_text = text_at(s, 18), .lost_text = text_at(s, 19), .base_text = text_at(s, 20),
		.say = text_at(s, 21), .vouched = sqlite3_column_int(s, 22) != 0, .state = text_at(s, 23), .note = text_at(s, 24),
		.actor = text_at(s, 25),
	};

	return c->fn(c->arg, &r);
}

int report_records(struct db *db, const struct report_filter *f, int (*fn)(void *arg, const struct record *r), void *arg,
                   struct err *err)
{
	struct record_call c = { fn, arg };

	return each(db, filtered(db, SQL_REPORT_RECORDS, f, err), one_record, &c, err);
}

struct issue_call {
	int (*fn)(void *arg, const struct issue *i);
	void *arg;
};

static int one_issue(sqlite3_stmt *s, void *arg)
{
	const struct issue_call *c = arg;
	const struct issue i = {
		.id = sqlite3_column_int64(s, 0), .since_ms = sqlite3_column_int64(s, 1), .kind = text_at(s, 2),
		.reg = text_at(s, 3), .text = text_at(s, 4), .state = text_at(s, 5), .note = text_at(s, 6), .actor = text_at(s, 7),
		.key = read_cell(s, 8), .unit = read_unsigned(s, 9),
	};

	return c->fn(c->arg, &i);
}

int report_issues(struct db *db, const struct report_filter *f, int (*fn)(void *arg, const struct issue *i), void *arg,
                  struct err *err)
{
	struct issue_call c = { fn, arg };

	return each(db, filtered(db, SQL_REPORT_ISSUES, f, err), one_issue, &c, err);
}

/* ---- quarantine and proposals */

struct waiting_call {
	int (*fn)(void *arg, const struct waiting_row *w);
	void *arg;
};

static int one_waiting(sqlite3_stmt *s, void *arg)
{
	const struct waiting_call *c = arg;
	const struct waiting_row w = {
		.id = sqlite3_column_int64(s, 0), .since_ms = sqlite3_column_int64(s, 1), .tries = sqlite3_column_int64(s, 2),
		.reg = (uint32_t)sqlite3_column_int64(s, 3), .key = read_cell(s, 4), .alive = sqlite3_column_int(s, 5) != 0,
		.why = text_at(s, 6), .dropped_ms = sqlite3_column_int64(s, 7), .reason = text_at(s, 8), .actor = text_at(s, 9),
	};

	return c->fn(c->arg, &w);
}

int report_quarantine(struct db *db, bool all, int (*fn)(void *arg, const struct waiting_row *w), void *arg, struct err *err)
{
	struct waiting_call c = { fn, arg };
	sqlite3_stmt *s = db_statement(db, SQL_REPORT_QUARANTINE, err);

	if (s != NULL)
		sqlite3_bind_int(s, 1, all);
	return each(db, s, one_waiting, &c, err);
}

struct proposal_call {
	int (*fn)(void *arg, const struct proposal *p);
	void *arg;
};

#define PLACE_BITS 24

static int64_t bits(const struct buf *b)
{
	struct digest d = digest_of(buf_slice(b));

	return (int64_t)d.at[0] << 16 | (int64_t)d.at[1] << 8 | d.at[2];
}

/* 24 bits of the hash over register, key, group and author, then 24 bits over these and the value as stored: another
 * value, another number; names only, so that all nodes agree. */
static int64_t proposal_number(const char *reg, const char *group, const struct proposal *p)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int64_t place;

	buf_put_text(&b, reg);
	cell_put(&b, p->key);
	buf_put_text(&b, group);
	buf_put_varint(&b, p->unit);
	place = bits(&b);
	buf_put_slice(&b, p->value);
	return place << PLACE_BITS | bits(&b);
}

int64_t proposal_place(int64_t id)
{
	return id >> PLACE_BITS;
}

static int one_proposal(sqlite3_stmt *s, void *arg)
{
	const struct proposal_call *c = arg;
	struct proposal p = {
		.reg = (uint32_t)sqlite3_column_int64(s, 0), .group = (uint32_t)sqlite3_column_int64(s, 1), .key = read_cell(s, 2),
		.unit = read_unsigned(s, 3), .value = read_blob(s, 4), .text = text_at(s, 5), .since_ms = sqlite3_column_int64(s, 6),
	};
	const char *reg = text_at(s, 8), *group = text_at(s, 9);

	p.id = proposal_number(reg != NULL ? reg : "", group != NULL ? group : "", &p);
	return c->fn(c->arg, &p);
}

int report_proposals(struct db *db, const char *reg, bool closed, int (*fn)(void *arg, const struct proposal *p), void *arg,
                     struct err *err)
{
	struct proposal_call c = { fn, arg };
	sqlite3_stmt *s = db_statement(db, closed ? SQL_REPORT_PROPOSALS_CLOSED : SQL_REPORT_PROPOSALS, err);

	if (s != NULL)
		bind_text(s, 1, reg);
	return each(db, s, one_proposal, &c, err);
}

/* ---- the sync log, policies, units, peers */

struct event_call {
	int (*fn)(void *arg, const struct event_row *e);
	void *arg;
};

static int one_event(sqlite3_stmt *s, void *arg)
{
	const struct event_call *c = arg;
	const struct event_row e = {
		.id = sqlite3_column_int64(s, 0), .at_ms = sqlite3_column_int64(s, 1), .kind = text_at(s, 2),
		.segment = text_at(s, 3), .text = text_at(s, 4), .level = sqlite3_column_int(s, 5), .peer = read_unsigned(s, 6),
	};

	return c->fn(c->arg, &e);
}

int report_events(struct db *db, const struct report_filter *f, int (*fn)(void *arg, const struct event_row *e), void *arg,
                  struct err *err)
{
	struct event_call c = { fn, arg };

	return each(db, filtered(db, SQL_REPORT_EVENTS, f, err), one_event, &c, err);
}

struct policy_call {
	int (*fn)(void *arg, const struct policy_row *p);
	void *arg;
};

static int one_policy(sqlite3_stmt *s, void *arg)
{
	const struct policy_call *c = arg;
	const struct policy_row p = {
		.issuer = read_unsigned(s, 0), .version = read_unsigned(s, 1), .state = text_at(s, 2), .note = text_at(s, 3),
		.at_ms = sqlite3_column_int64(s, 4),
	};

	return c->fn(c->arg, &p);
}

int report_policies(struct db *db, int (*fn)(void *arg, const struct policy_row *p), void *arg, struct err *err)
{
	struct policy_call c = { fn, arg };

	return each(db, whole(db, SQL_REPORT_POLICIES, err), one_policy, &c, err);
}

struct unit_call {
	int (*fn)(void *arg, uint64_t unit, const char *name);
	void *arg;
};

static int one_unit(sqlite3_stmt *s, void *arg)
{
	const struct unit_call *c = arg;

	return c->fn(c->arg, read_unsigned(s, 0), text_at(s, 1));
}

int report_units(struct db *db, int (*fn)(void *arg, uint64_t unit, const char *name), void *arg, struct err *err)
{
	struct unit_call c = { fn, arg };

	return each(db, whole(db, SQL_REPORT_UNITS, err), one_unit, &c, err);
}

const char *report_unit_name(struct db *db, uint64_t unit, struct arena *a)
{
	static const enum statement_id lists[] = { SQL_UNIT_KNOWN, SQL_PEER_NAME };
	const char *name = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(lists) && name == NULL; i++) {
		sqlite3_stmt *s = db_statement(db, lists[i], NULL);

		if (s == NULL)
			continue;
		bind_u64(s, 1, unit);
		if (db_step(db, s, NULL) > 0 && text_at(s, 0) != NULL && *text_at(s, 0) != '\0')
			name = arena_text(a, slice_of(text_at(s, 0)));
		sqlite3_reset(s);
	}
	return name != NULL ? name : "";
}

struct peer_call {
	int (*fn)(void *arg, const struct peer_row *p);
	void *arg;
};

static int one_peer(sqlite3_stmt *s, void *arg)
{
	const struct peer_call *c = arg;
	const struct peer_row p = {
		.unit = read_unsigned(s, 0), .name = text_at(s, 1), .serial = text_at(s, 2), .direct = sqlite3_column_int(s, 3) != 0,
		.revoked = sqlite3_column_int(s, 4) != 0, .enrolled_ms = sqlite3_column_int64(s, 5),
		.until_s = sqlite3_column_int64(s, 6),
	};

	return c->fn(c->arg, &p);
}

int report_peers(struct db *db, int (*fn)(void *arg, const struct peer_row *p), void *arg, struct err *err)
{
	struct peer_call c = { fn, arg };

	return each(db, whole(db, SQL_REPORT_PEERS, err), one_peer, &c, err);
}

/* ---- segments and numbers */

struct segment_call {
	int (*fn)(void *arg, const struct segment_row *s);
	void *arg;
};

static int one_segment(sqlite3_stmt *s, void *arg)
{
	const struct segment_call *c = arg;
	const struct segment_row row = {
		.id = sqlite3_column_int64(s, 0), .at_ms = sqlite3_column_int64(s, 1), .settled_ms = sqlite3_column_int64(s, 2),
		.bytes = sqlite3_column_int64(s, 3), .author = read_unsigned(s, 4), .stream = read_unsigned(s, 5),
		.position = read_unsigned(s, 6), .tick = read_unsigned(s, 7), .origin = read_unsigned(s, 8),
		.kind = (uint32_t)sqlite3_column_int64(s, 9), .epoch = (uint32_t)sqlite3_column_int64(s, 10),
	};

	return c->fn(c->arg, &row);
}

int report_segments(struct db *db, uint64_t author, int (*fn)(void *arg, const struct segment_row *s), void *arg,
                    struct err *err)
{
	struct segment_call c = { fn, arg };
	sqlite3_stmt *s = whole(db, SQL_REPORT_SEGMENTS, err);

	if (s != NULL)
		bind_u64(s, 1, author);
	return each(db, s, one_segment, &c, err);
}

struct evidence_call {
	int (*fn)(void *arg, int64_t id, struct slice bytes);
	void *arg;
};

static int one_evidence(sqlite3_stmt *s, void *arg)
{
	const struct evidence_call *c = arg;

	return c->fn(c->arg, sqlite3_column_int64(s, 0), read_blob(s, 1));
}

int report_evidence(struct db *db, uint64_t author, struct mark mark, uint32_t skip,
                    int (*fn)(void *arg, int64_t id, struct slice bytes), void *arg, struct err *err)
{
	struct evidence_call c = { fn, arg };
	sqlite3_stmt *s = whole(db, SQL_REPORT_EVIDENCE, err);

	if (s != NULL) {
		bind_u64(s, 1, author);
		sqlite3_bind_int64(s, 2, mark.epoch);
		bind_u64(s, 3, mark.tick);
		sqlite3_bind_int64(s, 4, skip);
	}
	return each(db, s, one_evidence, &c, err);
}

static int one_number(sqlite3_stmt *s, void *arg)
{
	*(int64_t *)arg = sqlite3_column_int64(s, 0);
	return 1;
}

int report_log_rows(struct db *db, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = each(db, whole(db, SQL_REPORT_LOG_ROWS, err), one_number, &n, err);

	*ret = (uint64_t)n;
	return rc;
}

int report_oldest(struct db *db, uint64_t author, int64_t *ret_ms, struct err *err)
{
	sqlite3_stmt *s = whole(db, SQL_REPORT_OLDEST, err);

	*ret_ms = 0;
	if (s != NULL)
		bind_u64(s, 1, author);
	return each(db, s, one_number, ret_ms, err);
}

struct walk_call {
	int (*fn)(void *arg, uint32_t reg);
	void *arg;
};

static int one_walk(sqlite3_stmt *s, void *arg)
{
	const struct walk_call *c = arg;

	return c->fn(c->arg, (uint32_t)read_unsigned(s, 0));
}

int report_walks(struct db *db, int (*fn)(void *arg, uint32_t reg), void *arg, struct err *err)
{
	struct walk_call c = { fn, arg };

	return each(db, whole(db, SQL_REPORT_WALKS, err), one_walk, &c, err);
}

int report_last_segment(struct db *db, int64_t *ret, struct err *err)
{
	*ret = 0;
	return each(db, whole(db, SQL_REPORT_LAST_SEGMENT, err), one_number, ret, err);
}

struct line_call {
	int (*fn)(void *arg, const char *line);
	void *arg;
};

static int one_line(sqlite3_stmt *s, void *arg)
{
	const struct line_call *c = arg;

	return c->fn(c->arg, text_at(s, 0));
}

int report_integrity(struct db *db, bool deep, int (*fn)(void *arg, const char *line), void *arg, struct err *err)
{
	struct line_call c = { fn, arg };

	return each(db, db_statement(db, deep ? SQL_REPORT_CHECK_DEEP : SQL_REPORT_CHECK, err), one_line, &c, err);
}

int report_waiting_rows(struct db *db, uint32_t reg, uint64_t *ret, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_REPORT_WAITING, err);
	int rc;

	*ret = 0;
	if (q == NULL)
		return db_code(err);
	bind_u64(q, 1, reg);
	rc = db_step(db, q, err);
	if (rc > 0)
		*ret = read_unsigned(q, 0);
	sqlite3_reset(q);
	return rc < 0 ? db_code(err) : 0;
}

int report_adoption(struct db *db, uint32_t reg, uint64_t *ret_total, uint64_t *ret_done, struct err *err)
{
	sqlite3_stmt *q = db_statement(db, SQL_ADOPTION_GET, err);
	int rc;

	if (q == NULL)
		return db_code(err);
	bind_u64(q, 1, reg);
	rc = db_step(db, q, err);
	if (rc > 0) {
		*ret_total = read_unsigned(q, 1);
		*ret_done = read_unsigned(q, 2);
	}
	sqlite3_reset(q);
	return rc < 0 ? db_code(err) : 0;
}
