/* Scope: at no step does a node hold, or send to a child, what is not the business of its unit (design authority.md,
 * Existence, keys and movement; protocol §3): rows of its tables and of its state, values beside a marker, overflow,
 * quarantine, records, segments; of a register that does not come to its level, nothing at all. */
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/contact.h"
#include "engine/self.h"

#define U(unit) ((unsigned long long)(unit))

static const struct sim_band *band_of(const struct sim_tree *t, const char *reg)
{
	for (int i = 0; i < SIM_REGISTERS; i++)
		if (t->bands[i].reg != NULL && strcmp(t->bands[i].reg, reg) == 0)
			return &t->bands[i];
	return NULL;
}

bool sim_holds(const struct sim_tree *t, const struct sim_node *n, const char *reg)
{
	const struct sim_band *b = band_of(t, reg);

	return b == NULL || (unit_level(n->unit) >= b->ceiling && unit_level(n->unit) <= b->floor);
}

static int64_t number(struct sim_node *n, const char *sql)
{
	sqlite3_stmt *q = NULL;
	int64_t value = 0;

	if (sqlite3_prepare_v2(n->app, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		value = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return value;
}

/* Rows of one register's table, where it has a column for the unit. */
static void check_table(struct sim_tree *t, struct sim_node *n, const struct reg *r)
{
	char sql[300];
	sqlite3_stmt *q = NULL;

	if (r->unit == NULL)
		return;
	snprintf(sql, sizeof sql, "SELECT %s, k FROM %s WHERE k NOT IN (SELECT key FROM terrace_quarantine WHERE register = %u)",
	         r->unit->name, r->name, r->number);
	if (sqlite3_prepare_v2(n->app, sql, -1, &q, NULL) != SQLITE_OK)
		return;
	while (sqlite3_step(q) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(q, 0);

		if (!unit_contains(n->unit, strtoull(text != NULL ? text : "0", NULL, 10)))
			sim_fail(t, "%012llu: its table %s holds row %s of unit %s", U(n->unit), r->name, sqlite3_column_text(q, 1),
			         text != NULL ? text : "NULL");
	}
	sqlite3_finalize(q);
}

/* Rows of that key (a column of the row at hand) in a table. */
static int64_t there(struct sim_node *n, const char *table, const char *where, sqlite3_stmt *row)
{
	char sql[300];
	sqlite3_stmt *q = NULL;
	int64_t rows = 0;

	snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE %s", table, where);
	if (sqlite3_prepare_v2(n->app, sql, -1, &q, NULL) == SQLITE_OK) {
		sqlite3_bind_value(q, 1, sqlite3_column_value(row, 0));
		rows = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
	}
	sqlite3_finalize(q);
	return rows;
}

/* One row of the state that is not this node's (any more): a marker.  Its values may stay until all is told above. */
static void check_marker(struct sim_tree *t, struct sim_node *n, const struct reg *r, sqlite3_stmt *row, bool rest)
{
	const char *what = NULL;
	char where[100], aside[140], table[300];

	/* A removal that the table refuses waits in quarantine, as any other change does. */
	snprintf(table, sizeof table, "k = ?1 AND k NOT IN (SELECT key FROM terrace_issue WHERE state = 'open' AND kind NOT IN ('warn', "
	         "'rule', 'duplicate-identity')) AND k NOT IN (SELECT key FROM terrace_quarantine WHERE register = %u)", r->number);
	snprintf(where, sizeof where, "register = %u AND key = ?1", r->number);
	snprintf(aside, sizeof aside, "%s AND value IS NOT NULL", where);
	if (!log_pending(n->e->db) && there(n, r->name, table, row) != 0)
		what = "the table's row";
	else if (there(n, "terrace_aside", aside, row) != 0 && (rest || there(n, "terrace_tombstone", where, row) == 0))
		what = "values";
	else if (there(n, "terrace_overflow", where, row) != 0)
		what = "overflow";
	if (what != NULL)
		sim_fail(t, "%012llu holds %s of row %s of %s, which is of unit %012lld%s", U(n->unit), what, sqlite3_column_text(row, 0),
		         r->name, (long long)sqlite3_column_int64(row, 1), rest ? ", at rest" : "");
}

static void check_state(struct sim_tree *t, struct sim_node *n, const struct reg *r, bool rest)
{
	static const char *const beside[] = {"terrace_aside", "terrace_overflow", "terrace_quarantine"};
	char sql[200];
	sqlite3_stmt *q = NULL;

	snprintf(sql, sizeof sql, "SELECT key, unit, flags FROM terrace_s%u", r->number);
	if (sqlite3_prepare_v2(n->app, sql, -1, &q, NULL) != SQLITE_OK)
		return;
	while (sqlite3_step(q) == SQLITE_ROW && t->failure[0] == '\0')
		if (!unit_contains(n->unit, (uint64_t)sqlite3_column_int64(q, 1)))
			check_marker(t, n, r, q, rest);
	sqlite3_finalize(q);
	for (size_t i = 0; i < ARRAY_SIZE(beside); i++) {
		snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE register = %u AND key NOT IN (SELECT key FROM terrace_s%u)",
		         beside[i], r->number, r->number);
		if (number(n, sql) != 0)
			sim_fail(t, "%012llu: %s holds values of %s of a row that it does not hold", U(n->unit), beside[i], r->name);
	}
}

/* Of a register that does not come to this level. */
static void check_absent(struct sim_tree *t, struct sim_node *n, const struct reg *r)
{
	char rows[100], state[100];

	snprintf(rows, sizeof rows, "SELECT count(*) FROM %s", r->name);
	snprintf(state, sizeof state, "SELECT count(*) FROM terrace_s%u", r->number);
	if (number(n, rows) != 0 || number(n, state) != 0)
		sim_fail(t, "%012llu holds rows of %s, which does not come to its level", U(n->unit), r->name);
}

static void check_segments(struct sim_tree *t, struct sim_node *n)
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(n->app, "SELECT author, kind FROM terrace_segment WHERE kind <= 2", -1, &q, NULL) != SQLITE_OK)
		return;
	while (sqlite3_step(q) == SQLITE_ROW)
		if (sqlite3_column_int(q, 1) != SEGMENT_DELTA || !unit_contains(n->unit, (uint64_t)sqlite3_column_int64(q, 0)))
			sim_fail(t, "%012llu keeps a segment of kind %d by %012lld", U(n->unit), sqlite3_column_int(q, 1),
			         (long long)sqlite3_column_int64(q, 0));
	sqlite3_finalize(q);
}

/* A record is about a row of this scope, or about a value that an author of this scope lost; then it does not show what
 * stands in a row of another. */
static void check_record(struct sim_tree *t, const struct sim_node *n, uint64_t row_unit, uint64_t lost_unit, const char *group,
                         bool shows)
{
	if (unit_contains(n->unit, row_unit))
		return;
	if (!unit_contains(n->unit, lost_unit))
		sim_fail(t, "%012llu has a record of a row of %012llu about a value of %012llu", U(n->unit), U(row_unit), U(lost_unit));
	if (shows && strcmp(group, "row") != 0)
		sim_fail(t, "%012llu has a record that shows a value of a row of %012llu", U(n->unit), U(row_unit));
}

static void check_records(struct sim_tree *t, struct sim_node *n)
{
	sqlite3_stmt *q = NULL;

	/* What a node decided itself it saw with its own eyes. */
	if (sqlite3_prepare_v2(n->app, "SELECT unit, lost_unit, grp, (kept IS NOT NULL OR kept_text IS NOT NULL) AND kind <> "
	                       "'edited-while-deleted' FROM terrace_record WHERE decider <> ?1", -1, &q, NULL) != SQLITE_OK)
		return;
	bind_u64(q, 1, n->unit);
	while (sqlite3_step(q) == SQLITE_ROW)
		check_record(t, n, (uint64_t)sqlite3_column_int64(q, 0), (uint64_t)sqlite3_column_int64(q, 1),
		             (const char *)sqlite3_column_text(q, 2), sqlite3_column_int(q, 3) != 0);
	sqlite3_finalize(q);
}

void sim_scope(struct sim_tree *t, bool rest)
{
	for (int i = 0; i < t->n && t->failure[0] == '\0'; i++) {
		struct sim_node *n = &t->nodes[i];

		if (n->e == NULL)
			continue;
		for (uint32_t k = 0; k < n->e->catalog->nregs; k++) {
			const struct reg *r = n->e->catalog->regs[k];

			if (!sim_holds(t, n, r->name)) {
				check_absent(t, n, r);
			} else if (r->policy->unit_source != UNIT_ALL) {
				check_table(t, n, r);
				check_state(t, n, r, rest);
			}
		}
		check_segments(t, n);
		check_records(t, n);
	}
}

/* ---- what goes down a link */

static void check_change(struct sim_tree *t, const struct sim_node *n, const struct payload *p, const struct change *c)
{
	_cleanup_(buf_release) struct buf name = {0};
	struct reg *r;

	buf_put(&name, p->registers[c->reg].name.p, p->registers[c->reg].name.n);
	r = catalog_register(t->nodes[0].e->catalog, buf_slice(&name));
	if (!sim_holds(t, n, buf_text(&name)))
		sim_fail(t, "a row of %s is sent to %012llu, which it does not come to", buf_text(&name), U(n->unit));
	if ((r != NULL && r->policy->unit_source == UNIT_ALL) || unit_contains(n->unit, c->unit))
		return;
	for (uint32_t i = 0; i < c->nparts; i++)
		if (c->parts[i].group != PART_ROW)
			sim_fail(t, "a value of a row of %012llu of %s is sent to %012llu", U(c->unit), buf_text(&name), U(n->unit));
}

void sim_scope_sent(struct sim_tree *t, const struct sim_node *n, struct slice body)
{
	struct reader in = reader_of(body);

	read_u8(&in);
	while (reader_left(&in) > 0 && !in.bad && t->failure[0] == '\0') {
		_cleanup_(arena_release) struct arena a = {0};
		_cleanup_(buf_release) struct buf raw = {0};
		struct slice bytes = read_slice(&in);
		struct segment s;
		struct payload p;

		if (segment_parse(bytes, &a, &s, NULL) != 0 || segment_inflate(&s, &raw, NULL) != 0 ||
		    payload_decode(buf_slice(&raw), &a, &p, NULL) != 0) {
			sim_fail(t, "a feed to %012llu cannot be read", U(n->unit));
			return;
		}
		for (uint32_t i = 0; i < p.nchanges; i++)
			check_change(t, n, &p, &p.changes[i]);
		for (uint32_t i = 0; i < p.nitems; i++) {
			struct record r;

			if (p.items[i].kind == ITEM_RECORD && record_decode(p.items[i].body, &a, &r, NULL) == 0)
				check_record(t, n, r.unit, r.lost.unit, r.group, (r.kept.n > 0 || r.kept_text != NULL) &&
				             strcmp(r.kind, "edited-while-deleted") != 0);
		}
	}
}
