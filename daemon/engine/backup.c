/* Backup: the heads of a node, read from its file. */
#include "engine/backup.h"

#include "engine/self.h"

struct collecting {
	struct arena *a;
	struct backup_header *h;
	uint32_t room;
};

static int link_seen(void *arg, const struct link *l)
{
	struct collecting *c = arg;
	struct backup_header *h = c->h;

	if (h->nlinks == c->room) {
		uint32_t room = c->room * 2 + 16;
		struct backup_link *more = arena_array(c->a, room, sizeof *more);

		if (more == NULL)
			return ERR_NOMEM;
		for (uint32_t i = 0; i < h->nlinks; i++)
			more[i] = h->links[i];
		h->links = more;
		c->room = room;
	}
	h->links[h->nlinks++] = (struct backup_link){ l->peer, l->received, l->acked, l->built, l->fed, l->position };
	return 0;
}

static int facts(struct db *db, struct arena *a, struct backup_header *ret, struct err *err)
{
	struct collecting c = { a, ret, 0 };
	struct counters counters = { 0 };
	struct outbox_head head;
	bool found;
	int rc = counters_read(db, &counters, &found, err);

	if (rc == 0)
		rc = outbox_head(db, &head, err);
	if (rc != 0)
		return rc;
	ret->tree_s = counters.tree_s;
	ret->epoch = counters.epoch;
	ret->sealed = counters.sealed;
	ret->met = counters.met.at[unit_level(ret->unit)].tick;
	ret->outbox = head.seq;
	ret->outbox_head = head.head;
	ret->nlinks = 0;
	rc = link_each(db, link_seen, &c, err);
	return a->failed ? err_set(err, ERR_NOMEM, "%s: memory is short", db->path) : rc;
}

int backup_facts(const char *database, struct arena *a, struct backup_header *ret, struct err *err)
{
	struct db *db = NULL;
	uint64_t unit;
	int rc = db_open(database, DB_READ, &db, err);

	if (rc == 0)
		rc = db_begin(db, err);
	unit = rc == 0 ? (uint64_t)meta_number(db, "unit", 0) : 0;
	if (rc == 0 && unit == 0)
		rc = err_set(err, ERR_NOT_FOUND, "%s holds nothing of Terrace yet; start terraced on it once", database);
	else if (rc == 0 && ret->unit != 0 && unit != ret->unit)
		rc = err_set(err, ERR_REFUSED, "%s is of unit %012llu, not of %012llu", database, (unsigned long long)unit,
		             (unsigned long long)ret->unit);
	ret->unit = unit != 0 ? unit : ret->unit;
	if (rc == 0)
		rc = facts(db, a, ret, err);
	db_close(db);
	return rc;
}
