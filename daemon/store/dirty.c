/* Dirty: what each neighbour does not know yet, and how far a bootstrap has come (design protocol §3, a–e).
 *
 * A cursor is the lazy form of "all of the register is dirty": what it gives out becomes an entry with the number
 * it was sent under, so that acknowledging and rewinding know one kind of entry only. */
#include "store/links.h"

#include <string.h>

static void bind_row(sqlite3_stmt *s, uint64_t peer, uint32_t reg, struct cell key)
{
	bind_u64(s, 1, peer);
	bind_u64(s, 2, reg);
	bind_cell(s, 3, key);
}

static int two(struct db *db, enum statement_id id, uint64_t one, uint64_t other, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);

	bind_u64(s, 1, one);
	if (sqlite3_bind_parameter_count(s) > 1)
		bind_u64(s, 2, other);
	return db_run(db, s, err);
}

static bool yes(struct db *db, enum statement_id id, uint64_t peer)
{
	sqlite3_stmt *s = db_statement(db, id, NULL);
	bool is = false;

	bind_u64(s, 1, peer);
	if (db_step(db, s, NULL) > 0) {
		is = sqlite3_column_int(s, 0) != 0;
		sqlite3_reset(s);
	}
	return is;
}

/* ---- rows */

int dirty_mark(struct db *db, uint64_t peer, const struct reg *r, struct cell key, uint64_t groups, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DIRTY_MARK, err);

	db_wake(db, peer);
	bind_row(s, peer, r->number, key);
	bind_u64(s, 4, groups);
	return db_run(db, s, err);
}

bool dirty_has(struct db *db, uint64_t peer, const struct reg *r, struct cell key)
{
	sqlite3_stmt *s = db_statement(db, SQL_DIRTY_HAS, NULL);
	bool has;

	bind_row(s, peer, r->number, key);
	has = db_step(db, s, NULL) > 0;
	sqlite3_reset(s);
	return has;
}

int dirty_rewind(struct db *db, uint64_t peer, uint64_t after, struct err *err)
{
	int rc = two(db, SQL_DIRTY_REWIND, peer, after, err);

	db_wake(db, peer);
	return rc == 0 ? two(db, SQL_ITEM_REWIND, peer, after, err) : rc;
}

int dirty_done(struct db *db, uint64_t peer, uint64_t upto, struct err *err)
{
	int rc = two(db, SQL_DIRTY_DONE, peer, upto, err);

	return rc == 0 ? two(db, SQL_ITEM_DONE, peer, upto, err) : rc;
}

uint64_t dirty_count(struct db *db, uint64_t peer)
{
	sqlite3_stmt *s = db_statement(db, SQL_DIRTY_COUNT, NULL);
	uint64_t n = 0;

	bind_u64(s, 1, peer);
	if (db_step(db, s, NULL) > 0) {
		n = read_unsigned(s, 0);
		sqlite3_reset(s);
	}
	return n;
}

bool dirty_any(struct db *db, uint64_t peer)
{
	return yes(db, SQL_DIRTY_ANY, peer);
}

bool dirty_unsent(struct db *db, uint64_t peer)
{
	return yes(db, SQL_DIRTY_UNSENT, peer);
}

int dirty_drop(struct db *db, uint64_t peer, struct err *err)
{
	static const enum statement_id all[] = { SQL_DIRTY_DROP, SQL_ITEM_DROP, SQL_CURSOR_DROP, SQL_BUILT_DROP };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all) && rc == 0; i++)
		rc = two(db, all[i], peer, 0, err);
	return rc;
}

int dirty_move(struct db *db, uint64_t from, uint64_t to, struct err *err)
{
	int rc = two(db, SQL_DIRTY_MOVE, from, to, err);

	db_wake(db, to);
	if (rc == 0)
		rc = two(db, SQL_ITEM_MOVE, from, to, err);
	if (rc == 0)
		rc = two(db, SQL_NEED_MOVE, from, to, err);
	return rc == 0 ? dirty_drop(db, from, err) : rc;
}

static int rows_of(struct db *db, sqlite3_stmt *s, uint32_t most, struct arena *a, struct dirty_row **ret, uint32_t *ret_n,
                   struct err *err)
{
	int rc = 0;

	*ret_n = 0;
	*ret = arena_array(a, most, sizeof **ret);
	while (*ret != NULL && *ret_n < most && (rc = db_step(db, s, err)) > 0) {
		struct dirty_row *row = &(*ret)[(*ret_n)++];

		row->reg = (uint32_t)read_unsigned(s, 0);
		row->key = cell_copy(a, read_cell(s, 1));
		row->groups = sqlite3_column_count(s) > 2 ? read_unsigned(s, 2) : 0;
	}
	sqlite3_reset(s);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "reading what waits for a neighbour: memory is short");
	return rc < 0 ? db_code(err) : 0;
}

int dirty_rows(struct db *db, uint64_t peer, uint32_t most, struct arena *a, struct dirty_row **ret, uint32_t *ret_n,
               struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DIRTY_ROWS, err);

	bind_u64(s, 1, peer);
	bind_u64(s, 2, most);
	return rows_of(db, s, most, a, ret, ret_n, err);
}

int dirty_sent(struct db *db, uint64_t peer, const struct dirty_row *row, uint64_t number, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DIRTY_SENT, err);

	bind_row(s, peer, row->reg, row->key);
	bind_u64(s, 4, row->groups);
	bind_u64(s, 5, number);
	return db_run(db, s, err);
}

int dirty_forget(struct db *db, uint64_t peer, const struct dirty_row *row, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_DIRTY_FORGET, err);

	bind_row(s, peer, row->reg, row->key);
	return db_run(db, s, err);
}

/* ---- items */

static sqlite3_stmt *item(struct db *db, enum statement_id id, uint64_t peer, uint32_t kind, int64_t of, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, id, err);

	bind_u64(s, 1, peer);
	bind_u64(s, 2, kind);
	sqlite3_bind_int64(s, 3, of);
	return s;
}

int dirty_item(struct db *db, uint64_t peer, uint32_t kind, int64_t id, struct err *err)
{
	db_wake(db, peer);
	return db_run(db, item(db, SQL_ITEM_MARK, peer, kind, id, err), err);
}

int dirty_item_sent(struct db *db, uint64_t peer, uint32_t kind, int64_t id, uint64_t number, struct err *err)
{
	sqlite3_stmt *s = item(db, SQL_ITEM_SENT, peer, kind, id, err);

	bind_u64(s, 4, number);
	return db_run(db, s, err);
}

int dirty_item_forget(struct db *db, uint64_t peer, uint32_t kind, int64_t id, struct err *err)
{
	return db_run(db, item(db, SQL_ITEM_FORGET, peer, kind, id, err), err);
}

int dirty_items(struct db *db, uint64_t peer, uint32_t most, struct arena *a, uint32_t **ret_kinds, int64_t **ret_ids,
                uint32_t *ret_n, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_ITEM_ROWS, err);
	int rc = 0;

	bind_u64(s, 1, peer);
	bind_u64(s, 2, most);
	*ret_n = 0;
	*ret_kinds = arena_array(a, most, sizeof **ret_kinds);
	*ret_ids = arena_array(a, most, sizeof **ret_ids);
	while (!a->failed && *ret_n < most && (rc = db_step(db, s, err)) > 0) {
		(*ret_kinds)[*ret_n] = (uint32_t)read_unsigned(s, 0);
		(*ret_ids)[(*ret_n)++] = sqlite3_column_int64(s, 1);
	}
	sqlite3_reset(s);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "reading what waits for a neighbour: memory is short");
	return rc < 0 ? db_code(err) : 0;
}

bool dirty_item_any(struct db *db, uint64_t peer, uint32_t kind)
{
	sqlite3_stmt *s = db_statement(db, SQL_ITEM_KIND, NULL);
	bool any;

	if (s == NULL)
		return false;
	bind_u64(s, 1, peer);
	bind_u64(s, 2, kind);
	any = db_step(db, s, NULL) > 0 && sqlite3_column_int(s, 0) != 0;
	sqlite3_reset(s);
	return any;
}

int dirty_broadcasts_up(struct db *db, uint64_t parent, uint64_t own, struct err *err)
{
	return two(db, SQL_BROADCASTS_UP, parent, own, err);
}

int dirty_items_again(struct db *db, uint64_t peer, struct err *err)
{
	static const enum statement_id all[] = { SQL_ITEM_RECORDS, SQL_ITEM_SETTLEDS, SQL_ITEM_EPOCHS };
	int rc = 0;

	db_wake(db, peer);
	for (size_t i = 0; i < ARRAY_SIZE(all) && rc == 0; i++) {
		sqlite3_stmt *s = db_statement(db, all[i], err);

		bind_u64(s, 1, peer);
		bind_u64(s, 2, unit_last(peer));
		for (int l = 0; all[i] == SQL_ITEM_EPOCHS && l < LEVELS - 1; l++)
			bind_u64(s, 3 + l, unit_at(peer, (enum level)l));
		rc = db_run(db, s, err);
	}
	return rc;
}

int epoch_row(struct db *db, uint32_t epoch, struct epoch_row *ret, bool *ret_found, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_EPOCH_ROW, err);
	int rc;

	bind_u64(s, 1, epoch);
	rc = db_step(db, s, err);
	if (rc < 0)
		return db_code(err);
	*ret_found = rc > 0;
	if (rc > 0) {
		*ret = (struct epoch_row){ .epoch = epoch, .unit = read_unsigned(s, 0), .former = (uint32_t)read_unsigned(s, 1),
			                   .tick = read_unsigned(s, 2), .position = read_unsigned(s, 3) };
		sqlite3_reset(s);
	}
	return 0;
}

/* ---- cursors */

int cursor_start(struct db *db, uint64_t peer, const struct catalog *c, struct err *err)
{
	int rc = two(db, SQL_CURSOR_DROP, peer, 0, err);

	db_wake(db, peer);
	for (uint32_t i = 0; i < c->nregs && rc == 0; i++)
		rc = two(db, SQL_CURSOR_START, peer, c->regs[i]->number, err);
	return rc;
}

int cursor_next(struct db *db, uint64_t peer, const struct catalog *c, struct reg **ret_reg, struct cell *ret_key,
                bool *ret_has_key, struct arena *a, struct err *err)
{
	*ret_reg = NULL;
	*ret_has_key = false;
	if (!cursor_open(db, peer))
		return 0;
	for (uint32_t i = 0; i < c->nregs; i++) {
		sqlite3_stmt *s = db_statement(db, SQL_CURSOR_GET, err);
		int rc;

		bind_u64(s, 1, peer);
		bind_u64(s, 2, c->regs[i]->number);
		rc = db_step(db, s, err);
		if (rc < 0)
			return db_code(err);
		if (rc == 0)
			continue;
		*ret_reg = c->regs[i];
		*ret_has_key = sqlite3_column_int(s, 1) != 0;
		*ret_key = cell_copy(a, read_cell(s, 0));
		sqlite3_reset(s);
		return a->failed ? err_set(err, ERR_NOMEM, "reading a cursor: memory is short") : 0;
	}
	return two(db, SQL_CURSOR_DROP, peer, 0, err);         /* of registers that no policy has any more */
}

int cursor_put(struct db *db, uint64_t peer, const struct reg *r, struct cell key, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_CURSOR_PUT, err);

	bind_row(s, peer, r->number, key);
	return db_run(db, s, err);
}

int cursor_end(struct db *db, uint64_t peer, const struct reg *r, struct err *err)
{
	return two(db, SQL_CURSOR_END, peer, r->number, err);
}

bool cursor_open(struct db *db, uint64_t peer)
{
	return yes(db, SQL_CURSOR_OPEN, peer);
}

/* ---- markers */

int marker_add(struct db *db, const struct reg *r, struct cell key, int64_t at_ms, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_MARKER_ADD, err);

	bind_u64(s, 1, r->number);
	bind_cell(s, 2, key);
	sqlite3_bind_int64(s, 3, at_ms);
	return db_run(db, s, err);
}

int marker_rows(struct db *db, uint64_t parent, uint32_t most, struct arena *a, struct dirty_row **ret, uint32_t *ret_n,
                struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_MARKER_ALL, err);

	bind_u64(s, 1, parent);
	bind_u64(s, 2, most);
	return rows_of(db, s, most, a, ret, ret_n, err);
}

bool marker_any(struct db *db)
{
	sqlite3_stmt *s = db_statement(db, SQL_MARKER_ANY, NULL);
	bool any = db_step(db, s, NULL) > 0;

	sqlite3_reset(s);
	return any;
}

int marker_drop(struct db *db, uint32_t reg, struct cell key, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_MARKER_DROP, err);

	bind_u64(s, 1, reg);
	bind_cell(s, 2, key);
	return db_run(db, s, err);
}

/* ---- rows that others take their unit from */

int via_put(struct db *db, const struct reg *r, struct cell key, bool move, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_VIA_PUT, err);

	bind_u64(s, 1, r->number);
	bind_cell(s, 2, key);
	bind_u64(s, 3, move);
	return db_run(db, s, err);
}

int via_next(struct db *db, uint32_t most, struct arena *a, struct via_row **ret, uint32_t *ret_n, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_VIA_NEXT, err);
	int rc = 0;

	*ret_n = 0;
	*ret = arena_array(a, most, sizeof **ret);
	bind_u64(s, 1, most);
	while (*ret != NULL && (rc = db_step(db, s, err)) > 0)
		(*ret)[(*ret_n)++] = (struct via_row){ (uint32_t)read_unsigned(s, 0), cell_copy(a, read_cell(s, 1)),
			                               sqlite3_column_int(s, 2) != 0 };
	sqlite3_reset(s);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "rows that follow: memory is short");
	return rc < 0 ? db_code(err) : 0;
}

bool via_any(struct db *db)
{
	sqlite3_stmt *s = db_statement(db, SQL_VIA_NEXT, NULL);
	bool any;

	bind_u64(s, 1, 1);
	any = db_step(db, s, NULL) > 0;
	sqlite3_reset(s);
	return any;
}

int via_drop(struct db *db, const struct via_row *v, struct err *err)
{
	sqlite3_stmt *s = db_statement(db, SQL_VIA_DROP, err);

	bind_u64(s, 1, v->reg);
	bind_cell(s, 2, v->key);
	return db_run(db, s, err);
}
