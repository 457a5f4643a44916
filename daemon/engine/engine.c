/* Engine: opening, transactions, the tree around it, events, what is due. */
#include "engine/rounds.h"
#include "engine/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/contact.h"
#include "engine/lists.h"
#include "engine/rules.h"
#include "store/backup.h"
#include "store/local.h"

int64_t now_ms(struct engine *e)
{
	return e->source.wall_ms(e->source.arg);
}

int64_t steady_ms(struct engine *e)
{
	return e->source.steady_ms(e->source.arg);
}

int64_t engine_tree_time(struct engine *e)
{
	int64_t told = e->tree_s == 0 ? 0 : e->tree_s + (steady_ms(e) - e->tree_steady_ms) / 1000;
	int64_t wall = now_ms(e) / 1000;

	if (e->parent != UNIT_NONE || wall <= told)
		return told;
	e->tree_s = wall;                /* the top's own clock leads, but a clock that is put back takes nobody back */
	e->tree_steady_ms = steady_ms(e);
	return wall;
}

/* A neighbour that gives cause for line after line has so many a minute; the first of the next minute counts the rest. */
static bool may_say(struct engine *e, const char *kind, uint64_t peer, char *text, size_t room)
{
	struct said *s = &e->said[0];
	int64_t now = steady_ms(e);
	size_t n = strlen(text);

	if (strcmp(kind, "alarm") != 0 && strcmp(kind, "refuse") != 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(e->said); i++) {
		if (e->said[i].peer == peer) {
			s = &e->said[i];
			break;
		}
		if (e->said[i].since_ms < s->since_ms)
			s = &e->said[i];
	}
	if (s->peer != peer || now - s->since_ms >= SAID_MS) {
		if (s->peer == peer && s->more > 0 && n + 80 < room)
			snprintf(text + n, room - n, " (%u more lines about this unit were left out in the minute before)", s->more);
		*s = (struct said){ .peer = peer, .since_ms = now };
	}
	if (s->n >= SAID_MOST) {
		s->more++;
		return false;
	}
	s->n++;
	return true;
}

int64_t kept_ms(struct engine *e)
{
	int64_t tree = engine_tree_time(e);

	return tree != 0 ? tree * 1000 : now_ms(e);
}

void event(struct engine *e, int level, const char *kind, uint64_t peer, const char *segment, const char *format, ...)
{
	char text[700];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (level <= LOG_LEVEL_NOTICE && peer != UNIT_NONE && !may_say(e, kind, peer, text, sizeof text))
		return;
	if (level <= LOG_LEVEL_INFO && e->db != NULL && e->space != SPACE_HARD)
		event_put(e->db, now_ms(e), level, kind, peer, segment, text, NULL);
	if (e->options.event != NULL)
		e->options.event(e->options.arg, level, kind, peer, segment, text);
}

void engine_say_damage(struct engine *e, const struct err *err)
{
	int64_t now = steady_ms(e);

	if (e->damage_said_ms != 0 && now - e->damage_said_ms < SAID_MS)
		return;
	e->damage_said_ms = now;
	event(e, LOG_LEVEL_ERROR, "alarm", UNIT_NONE, NULL, "%s", err->text);
}

/* ---- counters: one row of terrace_meta */

static void counters_put(struct engine *e, struct buf *b)
{
	buf_put_varint(b, 1);
	marks_put(b, &e->met);
	buf_put_varint(b, e->sealed);
	buf_put_u32(b, e->epoch);
	buf_put_u32(b, e->former);
	buf_put_u8(b, e->ready);
	buf_put_varint(b, (uint64_t)engine_tree_time(e));
}

int counters_read(struct db *db, struct counters *ret, bool *ret_found, struct err *err)
{
	_cleanup_(buf_release) struct buf b = {0};
	struct reader r;
	int rc = meta_get(db, "counters", &b, ret_found, err);

	if (rc != 0 || !*ret_found)
		return rc;
	r = reader_of(buf_slice(&b));
	if (read_varint(&r) != 1)
		r.bad = true;
	marks_get(&r, &ret->met);
	ret->sealed = read_varint(&r);
	ret->epoch = read_u32(&r);
	ret->former = read_u32(&r);
	ret->ready = read_u8(&r);
	ret->tree_s = (int64_t)read_varint(&r);
	return r.bad ? err_set(err, ERR_DAMAGED, "%s: the node's counters are damaged; restore a backup", db->path) : 0;
}

static int counters_get(struct engine *e, struct err *err)
{
	struct counters c = {0};
	bool found;
	int rc = counters_read(e->db, &c, &found, err);

	if (rc != 0 || !found)
		return rc;
	e->met = c.met;
	e->sealed = c.sealed;
	e->epoch = c.epoch;
	e->former = c.former;
	e->ready = e->ready || c.ready;
	if (c.tree_s > engine_tree_time(e)) {
		e->tree_s = c.tree_s;
		e->tree_steady_ms = steady_ms(e);
	}
	return 0;
}

int engine_begin(struct engine *e, struct err *err)
{
	if (atomic_load(&e->stopping))
		return err_set(err, ERR_STOPPING, "stopping");
	if (e->catalog_stale) {
		int rc = engine_reload_catalog(e, err);

		if (rc != 0)
			return rc;
		e->catalog_stale = false;
	}
	return db_begin(e->db, err);
}

int engine_commit(struct engine *e, struct err *err)
{
	_cleanup_(buf_release) struct buf b = {0};
	int rc = state_flush(e->state, err);

	counters_put(e, &b);
	if (rc == 0)
		rc = meta_put(e->db, "counters", buf_slice(&b), err);
	if (rc == 0)
		rc = db_commit(e->db, err);
	if (rc != 0)
		engine_rollback(e);
	e->children_changed = e->catalog_changed = false;
	return rc;
}

void engine_rollback(struct engine *e)
{
	if (!e->db->in_transaction && sqlite3_get_autocommit(e->db->sql) == 0)
		return;
	db_rollback(e->db);
	state_forget(e->state);
	lists_forget(e->lists);
	if (e->children_changed)
		engine_reload_children(e, NULL);
	e->children_changed = false;
	if (e->catalog_changed)                  /* a policy that was put in force in what was rolled back never was */
		e->catalog_stale = engine_reload_catalog(e, NULL) != 0;
	e->catalog_changed = false;
	e->fresh = e->fresh || e->epoch == 0;
	if (e->epoch != 0) {
		uint32_t epoch = e->epoch;

		counters_get(e, NULL);
		if (e->epoch != epoch)           /* the epoch opened in what was rolled back never was */
			e->fresh = true;
	}
}

void engine_guard(struct engine **e)
{
	if (*e != NULL && (*e)->db->in_transaction)
		engine_rollback(*e);
}

/* ---- the tree around */

int engine_reload_children(struct engine *e, struct err *err)
{
	sqlite3_stmt *q = db_statement(e->db, SQL_CHILDREN, err);
	uint32_t room = 0, n = 0;
	uint64_t *units = NULL;
	int rc;

	if (q == NULL)
		return ERR_DB;
	while ((rc = db_step(e->db, q, err)) > 0) {
		if (n == room) {
			uint64_t *more = realloc(units, (room = room == 0 ? 32 : room * 2) * sizeof *units);

			if (more == NULL) {
				free(units);
				sqlite3_reset(q);
				return err_set(err, ERR_NOMEM, "reading the children: memory is short");
			}
			units = more;
		}
		units[n++] = read_unsigned(q, 0);
	}
	sqlite3_reset(q);
	free(e->children);
	e->children = units;
	e->nchildren = n;
	return rc < 0 ? ERR_DB : 0;
}

static bool is_child(struct engine *e, uint64_t unit)
{
	uint32_t low = 0, high = e->nchildren;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (e->children[mid] == unit)
			return true;
		if (e->children[mid] < unit)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

uint64_t child_towards(struct engine *e, uint64_t unit)
{
	if (e->nchildren == 0 || unit == e->unit || !unit_contains(e->unit, unit))
		return UNIT_NONE;
	for (enum level l = e->level + 1; l <= unit_level(unit); l++)
		if (is_child(e, unit_at(unit, l)))
			return unit_at(unit, l);
	return UNIT_NONE;
}

static void local_said(void *arg, const char *reg, const char *text)
{
	event(arg, LOG_LEVEL_ERROR, "alarm", UNIT_NONE, NULL, "register %s: %s", reg, text);
}

int engine_reload_catalog(struct engine *e, struct err *err)
{
	struct catalog *c = NULL;
	int rc = catalog_load(e->db, &c, err);

	if (rc != 0)
		return rc;
	state_flush(e->state, err);
	state_forget(e->state);
	table_forget(e->table);
	lists_forget(e->lists);
	rules_close(e);
	catalog_release(e->catalog);
	e->catalog = c;
	e->activity++;                           /* what waits in quarantine may fit now */
	e->catalog_changed = e->catalog_changed || e->db->in_transaction;
	rc = rules_open(e, err);
	if (rc != 0)
		return rc;
	rc = local_install(e->db, c, local_said, e, err);
	if (rc == 0 && c->nentries > 0)
		rc = list_learn(e, c->entries, c->nentries, err);
	return rc;
}

/* ---- open and close */

static int check_owner(struct engine *e, struct err *err)
{
	int64_t unit = meta_number(e->db, "unit", 0);

	if (unit == 0)
		return meta_put_number(e->db, "unit", (int64_t)e->unit, err);
	if ((uint64_t)unit != e->unit)
		return err_set(err, ERR_CONFIG, "%s belongs to unit %012llu, not %012llu; name the right database",
		               e->db->path, (unsigned long long)unit, (unsigned long long)e->unit);
	return 0;
}

/* A file that terracectl put back heals with every neighbour, whatever their heads say, and opens an epoch. */
static int put_back(struct engine *e, struct err *err)
{
	int rc;

	if (!backup_marked(e->db))
		return 0;
	rc = engine_begin(e, err);
	if (rc == 0)
		rc = heal_restored(e, err);
	if (rc == 0)
		rc = backup_unmark(e->db, err);
	return rc == 0 ? engine_commit(e, err) : rc;
}

int engine_open(const struct engine_options *o, struct engine **ret, struct err *err)
{
	struct engine *e = calloc(1, sizeof *e);
	int rc;

	if (e == NULL)
		return err_set(err, ERR_NOMEM, "opening the engine: memory is short");
	e->options = *o;
	e->id = o->identity;
	e->unit = e->id->unit;
	e->level = unit_level(e->unit);
	e->parent = e->id->parent;
	e->source = o->source;
	e->epochs = (struct epochs){epoch_former, e};
	e->fresh = true;
	e->ready = e->parent == UNIT_NONE;
	e->hello_due = e->parent != UNIT_NONE;
	e->schema_version = -1;
	rc = db_open(o->database, o->make ? DB_MAKE : DB_WRITE, &e->db, err);
	if (rc == 0)
		rc = state_open(e->db, &e->state, err);
	if (rc == 0)
		rc = table_open(e->db, &e->table, err);
	if (rc == 0)
		rc = lists_open(&e->lists, err);
	if (rc == 0)
		rc = check_owner(e, err);
	if (rc == 0)
		rc = counters_get(e, err);
	if (rc == 0)
		rc = engine_reload_children(e, err);
	if (rc == 0)
		rc = engine_reload_catalog(e, err);
	if (rc == 0)
		rc = put_back(e, err);
	e->paused = rc == 0 && capture_paused(e->db);
	if (rc != 0) {
		engine_close(e);
		return rc;
	}
	*ret = e;
	return 0;
}

/* ---- another file under the same name */

struct parts {                           /* what hangs from the connection */
	struct db *db;
	struct state *state;
	struct table *table;
	struct lists *lists;
	struct catalog *catalog;
};

static void parts_close(struct parts *p)
{
	catalog_release(p->catalog);
	lists_close(p->lists);
	table_close(p->table);
	state_close(p->state);
	db_close(p->db);
}

static int parts_open(struct engine *e, struct parts *p, struct err *err)
{
	int64_t unit;
	int rc = db_open(e->options.database, DB_WRITE, &p->db, err);

	if (rc == 0)
		rc = state_open(p->db, &p->state, err);
	if (rc == 0)
		rc = table_open(p->db, &p->table, err);
	if (rc == 0)
		rc = lists_open(&p->lists, err);
	if (rc == 0)
		rc = catalog_load(p->db, &p->catalog, err);
	unit = rc == 0 ? meta_number(p->db, "unit", 0) : 0;
	if (unit != 0 && (uint64_t)unit != e->unit)
		rc = err_set(err, ERR_CONFIG, "%s was replaced by a file of unit %012llu; this node is %012llu: put the right one back",
		             p->db->path, (unsigned long long)unit, (unsigned long long)e->unit);
	if (rc != 0)
		parts_close(p);
	return rc;
}

int engine_reopen(struct engine *e, struct err *err)
{
	struct parts now = {0}, was = {e->db, e->state, e->table, e->lists, e->catalog};
	int rc = parts_open(e, &now, err);

	if (rc != 0)
		return rc;
	db_rollback(e->db);
	rules_close(e);
	e->catalog = now.catalog;
	e->db = now.db;
	e->state = now.state;
	e->table = now.table;
	e->lists = now.lists;
	parts_close(&was);
	/* As after a start: what the file says, and nothing of what this process knew. */
	e->met = (struct marks){0};
	e->sealed = 0;
	e->epoch = e->former = 0;
	e->fresh = true;
	e->ready = e->parent == UNIT_NONE;
	e->hello_due = e->parent != UNIT_NONE;
	e->schema_version = -1;
	e->log_last = e->log_first_ms = e->next_look_ms = 0;
	e->ngreeted = 0;
	rc = check_owner(e, err);
	if (rc == 0)
		rc = counters_get(e, err);
	if (rc == 0)
		rc = engine_reload_children(e, err);
	if (rc == 0)
		rc = engine_reload_catalog(e, err);
	if (rc == 0)
		rc = put_back(e, err);
	e->paused = rc == 0 && capture_paused(e->db);
	return rc;
}

void engine_close(struct engine *e)
{
	if (e == NULL)
		return;
	if (e->db != NULL)
		db_rollback(e->db);
	rules_close(e);
	rounds_end(e);
	catalog_release(e->catalog);
	lists_close(e->lists);
	table_close(e->table);
	state_close(e->state);
	db_close(e->db);
	free(e->children);
	free(e->greeted);
	free(e);
}

void engine_stop(struct engine *e)
{
	atomic_store(&e->stopping, true);
}

void identity_release(struct identity *i)
{
	sign_key_release(&i->sign);
	if (i->tls_key_pem.p != NULL)
		bytes_wipe(i->tls_key_pem.p, i->tls_key_pem.room);
	buf_release(&i->tls_key_pem);
	buf_release(&i->chain_pem);
}
