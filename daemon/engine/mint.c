/* Mint: marks and epochs (authority.md, Terms).
 *
 * A tick is raised to every mark of the own level that is met, and by one for each sealed batch.  An epoch opens at
 * the first seal after every start, and continues from the last tick that this disk sealed itself. */
#include "engine/self.h"

#include <string.h>

void mint_meet(struct engine *e, const struct marks *m)
{
	e->met = marks_join(&e->met, m);
}

int mint_epoch_learn(struct engine *e, uint64_t unit, uint32_t epoch, uint32_t former, uint64_t tick, uint64_t position,
                     struct err *err)
{
	sqlite3_stmt *q = db_statement(e->db, SQL_EPOCH_ADD, err);

	if (q == NULL)
		return ERR_DB;
	sqlite3_bind_int64(q, 1, epoch);
	bind_u64(q, 2, unit);
	sqlite3_bind_int64(q, 3, former);
	bind_u64(q, 4, tick);
	bind_u64(q, 5, position);
	return db_run(e->db, q, err);
}

static int open_epoch(struct engine *e, struct err *err)
{
	uint32_t token = 0;
	int rc;

	while (token == 0 || token == e->epoch)
		e->source.random(e->source.arg, &token, sizeof token);
	rc = mint_epoch_learn(e, e->unit, token, e->epoch, e->epoch != 0 ? e->sealed : 0, 0, err);
	if (rc != 0)
		return rc;
	e->former = e->epoch;
	e->epoch = token;
	e->fresh = false;
	for (uint32_t i = 0; rc == 0 && i < e->nchildren; i++)
		rc = dirty_item(e->db, e->children[i], ITEM_EPOCH, token, err);
	return rc;
}

int mint_mark(struct engine *e, const struct marks *base, struct mark *ret, struct err *err)
{
	uint64_t tick = MAX(e->met.at[e->level].tick, base != NULL ? base->at[e->level].tick : 0);
	int rc = e->fresh || e->epoch == 0 ? open_epoch(e, err) : 0;

	if (rc != 0)
		return rc;
	if (tick + 1 >= LIMIT_TICK)
		return err_set(err, ERR_LIMIT, "the counter of unit %012llu is used up", (unsigned long long)e->unit);
	e->sealed = tick + 1;
	*ret = (struct mark){e->sealed, e->epoch};
	e->met.at[e->level] = *ret;
	return 0;
}

bool epoch_former(void *arg, uint32_t epoch, struct mark *ret)
{
	struct engine *e = arg;
	sqlite3_stmt *q = db_statement(e->db, SQL_EPOCH_GET, NULL);
	bool found;

	if (q == NULL)
		return false;
	sqlite3_bind_int64(q, 1, epoch);
	found = db_step(e->db, q, NULL) > 0;
	if (found) {
		*ret = (struct mark){read_unsigned(q, 1), (uint32_t)sqlite3_column_int64(q, 0)};
		found = ret->epoch != 0;
	}
	sqlite3_reset(q);
	return found;
}
