/* Capture, the text of the triggers.
 *
 * What they must hold is in the design, architecture.md, SQLite rules.  In short: a log row says "look at this key";
 * every write that can change a row passes one of these triggers, whatever conflict clause or cascade caused it, with
 * recursive_triggers on or off; where this level may not write, AFTER triggers abort, since BEFORE INSERT fires for
 * UPSERT and IGNORE too.  BEFORE triggers only write down what a REPLACE is about to remove. */
#include "store/capture_sql.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CHUNK 32u                        /* columns compared in one expression; SQLite caps its depth */

static int memory(struct maker *k)
{
	return err_set(k->err, ERR_NOMEM, "triggers of %s: memory is short", k->r->name);
}

/* ---- what a column is to this level */

static bool is_key(const struct reg *r, const struct column *c)
{
	for (uint32_t i = 0; i < r->nkey; i++)
		if (r->key[i] == c)
			return true;
	return false;
}

/* A column that travels and has a right of its own: the groups' and the unit column. */
static bool judged(const struct maker *k, const struct column *c)
{
	return c->present && !is_key(k->r, c) && (c->group != 0 || c == k->r->unit);
}

static enum mode mode_of(const struct maker *k, const struct column *c)
{
	if (c->group == 0)               /* the unit: moving a row needs create */
		return k->m->create ? MODE_OWN : k->m->may_propose_row ? MODE_PROPOSE : MODE_READ;
	if (k->m->own >> c->group & 1)
		return MODE_OWN;
	return k->m->propose >> c->group & 1 ? MODE_PROPOSE : MODE_READ;
}

/* The level below of which this one takes the right over where it is unmanned; 0 = none. */
static enum level from_of(const struct maker *k, const struct column *c)
{
	return c->group == 0 ? k->m->move_from : k->m->group_from[c->group];
}

/* A write may be aborted: always, or in some rows. */
static bool reads(const struct maker *k, const struct column *c)
{
	return judged(k, c) && (mode_of(k, c) == MODE_READ || from_of(k, c) != 0);
}

static bool takes_over(const struct maker *k, const struct column *c)
{
	return judged(k, c) && from_of(k, c) != 0;
}

static bool any(const struct maker *k, bool (*is)(const struct maker *k, const struct column *c))
{
	for (uint32_t i = 0; i < k->r->ncolumns; i++)
		if (is(k, &k->r->columns[i]))
			return true;
	return false;
}

static bool proposes(const struct maker *k, const struct column *c)
{
	return judged(k, c) && mode_of(k, c) == MODE_PROPOSE;
}

/* A row that goes (old.*): what this level has not decided by itself; where it may not delete, everything. */
static void put_all_olds(struct maker *k, unsigned operation)
{
	for (uint32_t i = 0; i < k->r->ncolumns; i++) {
		const struct column *c = &k->r->columns[i];
		if (judged(k, c) && (!k->m->remove || mode_of(k, c) != MODE_OWN))
			piece_log_old(k, "old", c, operation);
	}
	for (uint32_t i = 0; !k->m->remove && i < k->r->nlocal; i++)
		piece_log_old(k, "old", &k->r->local[i], operation);
}

/* ---- sentences */

static void put_raise(struct maker *k, const char *said, const char *what, const char *what_zh)
{
	_cleanup_(buf_release) struct buf text = { 0 };

	buf_printf(&text, "terrace: ");
	if (said != NULL)
		buf_printf(&text, "%s", said);
	else
		buf_printf(&text, "%s: 本级无权%s / this level may not %s", k->r->name, what_zh, what);
	piece_text(k, "SELECT RAISE(ABORT,");
	literal_put(&k->b, buf_text(&text));
	piece_text(k, ")");
}

static void put_raise_for(struct maker *k, const struct column *c)
{
	if (c->group != 0)
		put_raise(k, k->m->say[c->group], "change these columns", "修改这些栏目");
	else
		put_raise(k, k->m->say_create, "move a row", "变更所属单位");
}

/* ---- one trigger */

static void begin(struct maker *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void begin(struct maker *k, const char *format, ...)
{
	char rest[40];
	va_list args;

	va_start(args, format);
	vsnprintf(rest, sizeof(rest), format, args);
	va_end(args);
	snprintf(k->name, sizeof(k->name), "terrace_%u_%s", k->r->number, rest);
	buf_clear(&k->b);
	buf_printf(&k->b, "CREATE TRIGGER %s ", k->name);
}

static void on_table(struct maker *k, const char *then)
{
	piece_text(k, " ON ");
	identifier_put(&k->b, k->r->name);
	piece_text(k, then);
}

static void end(struct maker *k)
{
	piece_text(k, " END");
	if (k->n == k->room) {
		struct trigger *more = arena_array(k->a, 2 * k->room + 32, sizeof(*more));
		if (more == NULL)
			return;
		if (k->n > 0)
			memcpy(more, k->list, k->n * sizeof(*more));
		k->list = more;
		k->room = 2 * k->room + 32;
	}
	k->list[k->n++] = (struct trigger){ .name = arena_text(k->a, slice_of(k->name)),
		                            .sql = arena_text(k->a, buf_slice(&k->b)) };
}

/* ---- a column changed */

static void column_triggers(struct maker *k)
{
	for (uint32_t i = 0; i < k->r->ncolumns; i++) {
		const struct column *c = &k->r->columns[i];
		enum mode mode = mode_of(k, c);

		if (!judged(k, c) || mode == MODE_READ)
			continue;
		begin(k, "c%u", c->number);
		piece_text(k, "AFTER UPDATE OF ");
		identifier_put(&k->b, c->name);
		on_table(k, " WHEN ");
		piece_differs(k, c, "old", "new");
		piece_text(k, " BEGIN ");
		if (mode == MODE_PROPOSE)
			piece_log_old(k, "new", c, LOG_KEPT);
		else
			piece_log(k, "new", c->number, LOG_COLUMN);
		end(k);
	}
}

/* The next columns of one right that this level only reads, always or in some rows, from *at on; they share a sentence. */
static uint32_t read_columns(const struct maker *k, uint32_t *at, const struct column *ret[CHUNK])
{
	uint32_t n = 0;

	for (; *at < k->r->ncolumns && n < CHUNK; (*at)++) {
		const struct column *c = &k->r->columns[*at];
		if (!reads(k, c))
			continue;
		if (n > 0 && ret[0]->group != c->group)
			break;
		ret[n++] = c;
	}
	return n;
}

static void read_triggers(struct maker *k)
{
	const struct column *c[CHUNK];

	for (uint32_t at = 0, n; (n = read_columns(k, &at, c)) > 0;) {
		begin(k, "r%u", c[0]->number);
		piece_text(k, "AFTER UPDATE OF ");
		for (uint32_t i = 0; i < n; i++) {
			piece_text(k, i > 0 ? "," : "");
			identifier_put(&k->b, c[i]->name);
		}
		on_table(k, " WHEN (");
		for (uint32_t i = 0; i < n; i++) {
			piece_text(k, i > 0 ? " OR " : "");
			piece_differs(k, c[i], "old", "new");
		}
		piece_text(k, ")");
		piece_and_manned(k, "old", false, from_of(k, c[0]));
		piece_text(k, " BEGIN ");
		put_raise_for(k, c[0]);
		piece_text(k, ";");
		end(k);
	}
}

/* ---- a row comes: INSERT, or UPDATE of the key */

/* new.c IS NOT the default. */
static void put_unlike_default(struct maker *k, const struct column *c)
{
	static const char *const classes[] = { "null", "integer", "real", "text", "blob" };

	if (c->computed) {
		piece_text(k, "0");
		return;
	}
	piece_column(k, "new", c->name);
	if (!c->binary)
		piece_text(k, " COLLATE BINARY");
	piece_text(k, " IS NOT ");
	if (c->fallback.type == CELL_TEXT && memchr(c->fallback.s.p, 0, c->fallback.s.n) == NULL) {
		char *text = arena_text(k->a, c->fallback.s);
		if (text != NULL)
			literal_put(&k->b, text);
	} else {
		piece_literal(&k->b, c->fallback);
	}
	if (strchr("NIB", c->affinity) != NULL) {
		piece_text(k, " OR typeof(");
		piece_column(k, "new", c->name);
		buf_printf(&k->b, ")<>'%s'", classes[c->fallback.type]);
	}
}

/* new.c IS NOT what stood under this key. */
static void put_unlike_standing(struct maker *k, const struct column *c)
{
	char number[32];

	snprintf(number, sizeof(number), "=%u)", c->number);
	piece_column(k, "new", c->name);
	if (!c->binary)
		piece_text(k, " COLLATE BINARY");
	piece_text(k, " IS NOT (SELECT value");
	piece_displaced(k, "new", number);
	if (strchr("NIB", c->affinity) != NULL) {
		piece_text(k, " OR typeof(");
		piece_column(k, "new", c->name);
		piece_text(k, ")<>(SELECT typeof(value)");
		piece_displaced(k, "new", number);
	}
}

/* BEFORE a row comes under a key that may be taken: what an OR REPLACE would remove is written down. */
static void standing_trigger(struct maker *k, const char *name, const char *event, bool key_moves)
{
	if (!any(k, proposes) && !k->stands)
		return;
	begin(k, "%s", name);
	piece_text(k, event);
	on_table(k, "");
	if (key_moves) {
		piece_text(k, " WHEN ");
		piece_key_differs(k, "old", "new");
	} else if (!k->stands) {
		piece_text(k, " WHEN EXISTS(SELECT 1");
		piece_from_same_key(k);
		piece_text(k, ")");
	}
	piece_text(k, " BEGIN ");
	for (uint32_t i = 0; i < k->r->ncolumns; i++) {
		const struct column *c = &k->r->columns[i];
		if (!proposes(k, c))
			continue;
		piece_text(k, "INSERT INTO terrace_log(what,key,old) SELECT ");
		piece_what(k, c->number, LOG_KEPT);
		piece_text(k, ",");
		piece_key(k, "new");
		piece_text(k, ",");
		piece_column(k, NULL, c->name);
		piece_from_same_key(k);
		piece_text(k, ";");
	}
	if (k->stands) {
		piece_text(k, "DELETE");
		piece_displaced(k, "new", ">=0;");
		buf_printf(&k->b, "INSERT INTO terrace_displaced(register,key,number) SELECT %u,", k->r->number);
		piece_key(k, "new");
		piece_text(k, ",0");
		piece_from_same_key(k);
		piece_text(k, ";");
	}
	for (uint32_t i = 0; k->stands && i < k->r->ncolumns; i++) {
		const struct column *c = &k->r->columns[i];
		if (!reads(k, c) && !(k->acts && c == k->r->unit))
			continue;
		buf_printf(&k->b, "INSERT INTO terrace_displaced(register,key,number,value) SELECT %u,", k->r->number);
		piece_key(k, "new");
		buf_printf(&k->b, ",%u,", c->number);
		piece_column(k, NULL, c->name);
		piece_from_same_key(k);
		piece_text(k, ";");
	}
	end(k);
}

/* The aborts after a row came: columns that this level only reads must hold what stood, else the defaults. */
static void put_coming_aborts(struct maker *k)
{
	const struct column *c[CHUNK];

	for (uint32_t at = 0, n; (n = read_columns(k, &at, c)) > 0;) {
		put_raise_for(k, c[0]);
		piece_text(k, " WHERE CASE WHEN ");
		piece_stood(k, "new");
		piece_text(k, " THEN ");
		for (uint32_t i = 0; i < n; i++) {
			piece_text(k, i > 0 ? " OR " : "");
			put_unlike_standing(k, c[i]);
		}
		piece_text(k, " ELSE ");
		for (uint32_t i = 0; i < n; i++) {
			piece_text(k, i > 0 ? " OR " : "");
			if (c[i]->group != 0)
				put_unlike_default(k, c[i]);
			else
				piece_text(k, "0");     /* the unit of a new row: create is asked for it */
		}
		piece_text(k, " END");
		piece_and_manned(k, "new", true, from_of(k, c[0]));
		piece_text(k, ";");
	}
}

/* A row that an OR REPLACE removed for unique key i (number −1−i), where this level may not delete. */
static void put_displacing_abort(struct maker *k, uint32_t i)
{
	char number[32];

	snprintf(number, sizeof(number), "=%d)", -1 - (int)i);
	put_raise(k, k->m->say_remove, "delete a row", "删除");
	piece_text(k, " WHERE EXISTS(SELECT 1");
	piece_displaced(k, "new", number);
	piece_text(k, ";");
}

static void put_forget(struct maker *k)
{
	piece_text(k, "DELETE");
	piece_displaced(k, "new", " IS NOT NULL;");
}

static void insert_triggers(struct maker *k)
{
	standing_trigger(k, "stand", "BEFORE INSERT", false);
	begin(k, "insert");
	piece_text(k, "AFTER INSERT");
	on_table(k, " BEGIN ");
	if (!k->m->create || k->m->create_from != 0) {
		put_raise(k, k->m->say_create, "create a row", "新增");
		piece_text(k, " WHERE NOT ");
		piece_stood(k, "new");
		piece_and_manned(k, "new", true, k->m->create_from);
		piece_text(k, ";");
	}
	put_coming_aborts(k);
	for (uint32_t i = 0; k->forbids_delete && i < k->shape.nuniques; i++)
		put_displacing_abort(k, i);
	piece_log(k, "new", 0, LOG_ROW);
	if (k->stands)
		put_forget(k);
	end(k);
}

static void delete_trigger(struct maker *k)
{
	begin(k, "delete");
	piece_text(k, "AFTER DELETE");
	on_table(k, " BEGIN ");
	if (k->forbids_delete || k->m->remove_from != 0) {
		/* with recursive_triggers on, an OR REPLACE that rewrites the row comes here too */
		put_raise(k, k->m->say_remove, "delete a row", "删除");
		piece_text(k, " WHERE NOT ");
		piece_stood(k, "old");
		piece_and_manned(k, "old", false, k->m->remove_from);
		piece_text(k, ";");
	}
	put_all_olds(k, LOG_DELETE);
	piece_log(k, "old", 0, LOG_DELETE);
	end(k);
}

/* ---- the key moves */

static void put_aliases(struct maker *k)
{
	for (uint32_t i = 0; k->shape.aliases[i] != NULL; i++) {
		piece_text(k, ",");
		piece_text(k, k->shape.aliases[i]);
	}
}

static void key_triggers(struct maker *k)
{
	struct buf event = { 0 };

	buf_clear(&k->b);
	for (uint32_t i = 0; i < k->r->nkey; i++) {
		piece_text(k, i > 0 ? "," : "BEFORE UPDATE OF ");
		identifier_put(&k->b, k->r->key[i]->name);
	}
	if (k->r->rowid_key)
		put_aliases(k);
	event = k->b;
	k->b = (struct buf){ 0 };
	standing_trigger(k, "keystand", buf_text(&event), true);
	begin(k, "key");
	piece_text(k, "AFTER");
	piece_text(k, buf_text(&event) + strlen("BEFORE"));
	on_table(k, " WHEN ");
	piece_key_differs(k, "old", "new");
	piece_text(k, " BEGIN ");
	if (!k->m->create) {
		put_raise(k, k->m->say_create, "change the key of a row", "修改主键");
		piece_text(k, ";");
	} else if (k->forbids_delete) {
		put_raise(k, k->m->say_remove, "change the key of a row", "修改主键");
		piece_text(k, ";");
	} else {
		if (k->m->create_from != 0) {
			put_raise(k, k->m->say_create, "change the key of a row", "修改主键");
			piece_text(k, " WHERE 1");
			piece_and_manned(k, "new", true, k->m->create_from);
			piece_text(k, ";");
		}
		if (k->m->remove_from != 0) {
			put_raise(k, k->m->say_remove, "change the key of a row", "修改主键");
			piece_text(k, " WHERE 1");
			piece_and_manned(k, "old", false, k->m->remove_from);
			piece_text(k, ";");
		}
		put_coming_aborts(k);
		put_all_olds(k, LOG_KEPT);
		piece_log(k, "old", 0, LOG_ROW);
		piece_log(k, "new", 0, LOG_ROW);
		if (k->stands)
			put_forget(k);
	}
	end(k);
	buf_release(&event);
}

/* ---- other unique keys: rows that OR REPLACE removes without a delete trigger */

static void put_part(struct maker *k, const char *row, const struct part *p)
{
	if (row != NULL && p->fill != NULL && strcmp(row, "new") == 0) {
		piece_text(k, "ifnull(");
		piece_column(k, row, p->name);
		piece_text(k, ",");
		piece_text(k, p->fill);
		piece_text(k, ")");
	} else {
		piece_column(k, row, p->name);
	}
}

static void put_collation(struct maker *k, const struct part *p)
{
	if (p->collation == NULL)
		return;
	piece_text(k, " COLLATE ");
	identifier_put(&k->b, p->collation);
}

/* `FROM t WHERE u=new.u AND k IS NOT new.k`: the row in the way. */
static void put_from_in_the_way(struct maker *k, const struct unique *u, const char *self)
{
	piece_text(k, " FROM ");
	identifier_put(&k->b, k->r->name);
	for (uint32_t i = 0; i < u->n; i++) {
		piece_text(k, i > 0 ? " AND " : " WHERE ");
		put_part(k, NULL, &u->parts[i]);
		piece_text(k, "=");
		put_part(k, "new", &u->parts[i]);
		put_collation(k, &u->parts[i]);
	}
	piece_text(k, " AND ");
	piece_key_differs(k, NULL, self);
}

/* What a REPLACE is about to remove: look at its key, and what stood where it may have to be put back. */
static void put_in_the_way(struct maker *k, uint32_t at, const char *self)
{
	const struct unique *u = &k->shape.uniques[at];
	const uint32_t n = k->r->ncolumns;

	if (k->forbids_delete) {
		char number[32];
		snprintf(number, sizeof(number), "=%d;", -1 - (int)at);
		piece_text(k, "DELETE");
		piece_displaced(k, "new", number);
		buf_printf(&k->b, "INSERT INTO terrace_displaced(register,key,number) SELECT %u,", k->r->number);
		piece_key(k, "new");
		buf_printf(&k->b, ",%d", -1 - (int)at);
		put_from_in_the_way(k, u, self);
		piece_text(k, ";");
	}
	for (uint32_t i = 0; i < n + k->r->nlocal; i++) {
		const struct column *c = i < n ? &k->r->columns[i] : &k->r->local[i - n];
		if (i < n ? !judged(k, c) || (k->m->remove && mode_of(k, c) == MODE_OWN) : k->m->remove)
			continue;
		piece_text(k, "INSERT INTO terrace_log(what,key,old) SELECT ");
		piece_what(k, c->number, LOG_KEPT);
		piece_text(k, ",");
		piece_key(k, NULL);
		piece_text(k, ",");
		piece_column(k, NULL, c->name);
		put_from_in_the_way(k, u, self);
		piece_text(k, ";");
	}
	piece_text(k, "INSERT INTO terrace_log(what,key) SELECT ");
	piece_what(k, 0, LOG_ROW);
	piece_text(k, ",");
	piece_key(k, NULL);
	put_from_in_the_way(k, u, self);
	piece_text(k, ";");
}

/* UPDATE OF the key's columns; a generated one may change with any. */
static void put_update_of(struct maker *k, const struct unique *u, const char *time)
{
	bool generated = false;

	for (uint32_t i = 0; i < u->n; i++)
		generated |= u->parts[i].generated;
	piece_text(k, time);
	piece_text(k, " UPDATE");
	for (uint32_t i = 0; !generated && i < u->n; i++) {
		piece_text(k, i > 0 ? "," : " OF ");
		identifier_put(&k->b, u->parts[i].name);
	}
	if (u->rowid)
		for (uint32_t i = 0; k->shape.aliases[i] != NULL; i++)
			if (strcasecmp(k->shape.aliases[i], u->parts[0].name) != 0) {
				piece_text(k, ",");
				piece_text(k, k->shape.aliases[i]);
			}
}

/* Only a key that moves can meet another row. */
static void put_when_moves(struct maker *k, const struct unique *u)
{
	on_table(k, " WHEN (");
	for (uint32_t i = 0; i < u->n; i++) {
		piece_text(k, i > 0 ? " OR " : "");
		put_part(k, "old", &u->parts[i]);
		piece_text(k, " IS NOT ");
		put_part(k, "new", &u->parts[i]);
		put_collation(k, &u->parts[i]);
	}
	piece_text(k, ")");
}

static void unique_triggers(struct maker *k, uint32_t at)
{
	const struct unique *u = &k->shape.uniques[at];

	begin(k, "u%u", at + 1);
	piece_text(k, "BEFORE INSERT");
	on_table(k, "");
	if (!k->forbids_delete) {
		piece_text(k, " WHEN ");
		if (u->hidden) {         /* -1 where the statement does not name it */
			put_part(k, "new", u->parts);
			piece_text(k, "<>-1 AND ");
		}
		piece_text(k, "EXISTS(SELECT 1");
		put_from_in_the_way(k, u, "new");
		piece_text(k, ")");
	}
	piece_text(k, " BEGIN ");
	put_in_the_way(k, at, "new");
	end(k);

	begin(k, "v%u", at + 1);
	put_update_of(k, u, "BEFORE");
	put_when_moves(k, u);
	if (!k->forbids_delete) {
		piece_text(k, " AND EXISTS(SELECT 1");
		put_from_in_the_way(k, u, "old");
		piece_text(k, ")");
	}
	piece_text(k, " BEGIN ");
	put_in_the_way(k, at, "old");
	end(k);

	if (!k->forbids_delete)
		return;
	begin(k, "w%u", at + 1);
	put_update_of(k, u, "AFTER");
	put_when_moves(k, u);
	piece_text(k, " BEGIN ");
	put_displacing_abort(k, at);
	end(k);
}

int triggers_make(struct db *db, const struct reg *r, const struct capture_modes *modes, struct arena *a,
                  struct trigger **ret, uint32_t *ret_n, struct err *err)
{
	struct err here = { 0 };
	struct maker k = { .db = db, .r = r, .m = modes, .a = a, .err = err != NULL ? err : &here };
	int rc;

	*ret = NULL;
	*ret_n = 0;
	k.err->code = 0;
	for (uint32_t i = 0; i < r->nkey; i++)
		if (!r->key[i]->present)         /* no table, or not the register's: hold */
			return 0;
	if ((rc = shape_read(db, r, a, &k.shape, k.err)) != 0)
		return rc;
	k.forbids_delete = !modes->remove && !modes->may_propose_row;
	k.acts = modes->create_from != 0 || modes->remove_from != 0 || any(&k, takes_over);
	k.stands = !modes->create || k.forbids_delete || k.acts || any(&k, reads);
	column_triggers(&k);
	read_triggers(&k);
	insert_triggers(&k);
	delete_trigger(&k);
	key_triggers(&k);
	for (uint32_t i = 0; i < k.shape.nuniques; i++)
		unique_triggers(&k, i);
	if (k.b.failed || a->failed)
		rc = memory(&k);
	buf_release(&k.b);
	if (rc != 0)
		return rc;
	*ret = k.list;
	*ret_n = k.n;
	return 0;
}
