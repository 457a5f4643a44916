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

struct maker {
	struct db *db;
	const struct reg *r;
	const struct capture_modes *m;
	struct arena *a;
	struct err *err;
	struct buf b;                    /* the trigger being written */
	char name[64];
	struct trigger *list;
	uint32_t n, room;
	struct shape shape;
	bool forbids_delete;             /* neither remove nor propose: a delete is aborted */
	bool stands;                     /* some write is judged by what stood: terrace_displaced is used */
};

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

static bool any(const struct maker *k, enum mode mode)
{
	for (uint32_t i = 0; i < k->r->ncolumns; i++)
		if (judged(k, &k->r->columns[i]) && mode_of(k, &k->r->columns[i]) == mode)
			return true;
	return false;
}

/* ---- pieces of SQL */

static void put(struct maker *k, const char *text)
{
	buf_put(&k->b, text, strlen(text));
}

/* `new."c"`; row NULL: the column of the table a subquery reads. */
static void put_column(struct maker *k, const char *row, const char *name)
{
	if (row != NULL) {
		put(k, row);
		put(k, ".");
	}
	identifier_put(&k->b, name);
}

/* The key in one cell (core/value.h). */
static void put_key(struct maker *k, const char *row)
{
	if (k->r->nkey == 1) {
		put_column(k, row, k->r->key[0]->name);
		return;
	}
	for (uint32_t i = 0; i < k->r->nkey; i++) {
		const char *name = k->r->key[i]->name;
		put(k, i > 0 ? "||','||CASE typeof(" : "CASE typeof(");
		put_column(k, row, name);
		put(k, ") WHEN 'text' THEN 'T'||hex(");
		put_column(k, row, name);
		put(k, ") ELSE quote(");
		put_column(k, row, name);
		put(k, ") END");
	}
}

/* `a.c IS NOT b.c`, seeing every difference that travels: bytes, and class where the affinity leaves a choice. */
static void put_differs(struct maker *k, const struct column *c, const char *a, const char *b)
{
	put_column(k, a, c->name);
	if (!c->binary)
		put(k, " COLLATE BINARY");
	put(k, " IS NOT ");
	put_column(k, b, c->name);
	if (strchr("NIB", c->affinity) == NULL)
		return;
	put(k, " OR typeof(");
	put_column(k, a, c->name);
	put(k, ")<>typeof(");
	put_column(k, b, c->name);
	put(k, ")");
}

static void put_key_differs(struct maker *k, const char *a, const char *b)
{
	put(k, "(");
	for (uint32_t i = 0; i < k->r->nkey; i++) {
		if (i > 0)
			put(k, " OR ");
		if (k->r->rowid_key) {
			put_column(k, a, k->r->key[0]->name);
			put(k, "<>");
			put_column(k, b, k->r->key[0]->name);
		} else {
			put_differs(k, k->r->key[i], a, b);
		}
	}
	put(k, ")");
}

/* `FROM t WHERE k=new.k`: the row that holds the new key now. */
static void put_from_same_key(struct maker *k)
{
	put(k, " FROM ");
	identifier_put(&k->b, k->r->name);
	for (uint32_t i = 0; i < k->r->nkey; i++) {
		put(k, i > 0 ? " AND " : " WHERE ");
		put_column(k, NULL, k->r->key[i]->name);
		put(k, "=");
		put_column(k, "new", k->r->key[i]->name);
		if (!k->r->key[i]->binary)
			put(k, " COLLATE BINARY");
	}
}

static void put_what(struct maker *k, uint32_t column, unsigned operation)
{
	buf_printf(&k->b, "%llu", (unsigned long long)k->r->number << 16 | column << 2 | operation);
}

/* Logs one row of a trigger's row. */
static void put_log(struct maker *k, const char *row, uint32_t column, unsigned operation)
{
	put(k, "INSERT INTO terrace_log(what,key) VALUES(");
	put_what(k, column, operation);
	put(k, ",");
	put_key(k, row);
	put(k, ");");
}

static void put_log_old(struct maker *k, const char *key_row, const struct column *c, unsigned operation)
{
	put(k, "INSERT INTO terrace_log(what,key,old) VALUES(");
	put_what(k, c->number, operation);
	put(k, ",");
	put_key(k, key_row);
	put(k, ",");
	put_column(k, "old", c->name);
	put(k, ");");
}

/* A row that goes (old.*): what this level has not decided by itself; where it may not delete, everything. */
static void put_all_olds(struct maker *k, unsigned operation)
{
	for (uint32_t i = 0; i < k->r->ncolumns; i++) {
		const struct column *c = &k->r->columns[i];
		if (judged(k, c) && (!k->m->remove || mode_of(k, c) != MODE_OWN))
			put_log_old(k, "old", c, operation);
	}
	for (uint32_t i = 0; !k->m->remove && i < k->r->nlocal; i++)
		put_log_old(k, "old", &k->r->local[i], operation);
}

static void put_displaced(struct maker *k, const char *row, const char *numbers)
{
	buf_printf(&k->b, " FROM terrace_displaced WHERE register=%u AND key=", k->r->number);
	put_key(k, row);
	put(k, " AND number");
	put(k, numbers);
}

static void put_stood(struct maker *k, const char *row)
{
	put(k, "EXISTS(SELECT 1");
	put_displaced(k, row, "=0");
	put(k, ")");
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
	put(k, "SELECT RAISE(ABORT,");
	literal_put(&k->b, buf_text(&text));
	put(k, ")");
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
	put(k, " ON ");
	identifier_put(&k->b, k->r->name);
	put(k, then);
}

static void end(struct maker *k)
{
	put(k, " END");
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
		put(k, "AFTER UPDATE OF ");
		identifier_put(&k->b, c->name);
		on_table(k, " WHEN ");
		put_differs(k, c, "old", "new");
		put(k, " BEGIN ");
		if (mode == MODE_PROPOSE)
			put_log_old(k, "new", c, LOG_KEPT);
		else
			put_log(k, "new", c->number, LOG_COLUMN);
		end(k);
	}
}

/* The next columns of one right that this level only reads, from *at on; they share a sentence. */
static uint32_t read_columns(const struct maker *k, uint32_t *at, const struct column *ret[CHUNK])
{
	uint32_t n = 0;

	for (; *at < k->r->ncolumns && n < CHUNK; (*at)++) {
		const struct column *c = &k->r->columns[*at];
		if (!judged(k, c) || mode_of(k, c) != MODE_READ)
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
		put(k, "AFTER UPDATE OF ");
		for (uint32_t i = 0; i < n; i++) {
			put(k, i > 0 ? "," : "");
			identifier_put(&k->b, c[i]->name);
		}
		on_table(k, " WHEN ");
		for (uint32_t i = 0; i < n; i++) {
			put(k, i > 0 ? " OR " : "");
			put_differs(k, c[i], "old", "new");
		}
		put(k, " BEGIN ");
		put_raise_for(k, c[0]);
		put(k, ";");
		end(k);
	}
}

/* ---- a row comes: INSERT, or UPDATE of the key */

static void put_literal(struct maker *k, struct cell c)
{
	static const char digits[] = "0123456789ABCDEF";

	switch (c.type) {
	case CELL_NULL:
		put(k, "NULL");
		return;
	case CELL_INT:
		if (c.i == INT64_MIN)            /* its digits alone are a real number */
			put(k, "(-9223372036854775807-1)");
		else
			buf_printf(&k->b, "(%lld)", (long long)c.i);
		return;
	case CELL_REAL:
		buf_printf(&k->b, "(%.17g", c.r);
		put(k, c.r == (double)(int64_t)c.r && c.r < 1e15 && c.r > -1e15 ? ".0)" : "*1.0)");
		return;
	case CELL_TEXT:
	case CELL_BLOB:
		put(k, c.type == CELL_TEXT ? "CAST(x'" : "x'");
		for (size_t i = 0; i < c.s.n; i++) {
			buf_put_u8(&k->b, (uint8_t)digits[c.s.p[i] >> 4]);
			buf_put_u8(&k->b, (uint8_t)digits[c.s.p[i] & 15]);
		}
		put(k, c.type == CELL_TEXT ? "' AS TEXT)" : "'");
		return;
	}
}

/* new.c IS NOT the default. */
static void put_unlike_default(struct maker *k, const struct column *c)
{
	static const char *const classes[] = { "null", "integer", "real", "text", "blob" };

	if (c->computed) {
		put(k, "0");
		return;
	}
	put_column(k, "new", c->name);
	if (!c->binary)
		put(k, " COLLATE BINARY");
	put(k, " IS NOT ");
	if (c->fallback.type == CELL_TEXT && memchr(c->fallback.s.p, 0, c->fallback.s.n) == NULL) {
		char *text = arena_text(k->a, c->fallback.s);
		if (text != NULL)
			literal_put(&k->b, text);
	} else {
		put_literal(k, c->fallback);
	}
	if (strchr("NIB", c->affinity) != NULL) {
		put(k, " OR typeof(");
		put_column(k, "new", c->name);
		buf_printf(&k->b, ")<>'%s'", classes[c->fallback.type]);
	}
}

/* new.c IS NOT what stood under this key. */
static void put_unlike_standing(struct maker *k, const struct column *c)
{
	char number[32];

	snprintf(number, sizeof(number), "=%u)", c->number);
	put_column(k, "new", c->name);
	if (!c->binary)
		put(k, " COLLATE BINARY");
	put(k, " IS NOT (SELECT value");
	put_displaced(k, "new", number);
	if (strchr("NIB", c->affinity) != NULL) {
		put(k, " OR typeof(");
		put_column(k, "new", c->name);
		put(k, ")<>(SELECT typeof(value)");
		put_displaced(k, "new", number);
	}
}

/* BEFORE a row comes under a key that may be taken: what an OR REPLACE would remove is written down. */
static void standing_trigger(struct maker *k, const char *name, const char *event, bool key_moves)
{
	bool proposes = any(k, MODE_PROPOSE);

	if (!proposes && !k->stands)
		return;
	begin(k, "%s", name);
	put(k, event);
	on_table(k, "");
	if (key_moves) {
		put(k, " WHEN ");
		put_key_differs(k, "old", "new");
	} else if (!k->stands) {
		put(k, " WHEN EXISTS(SELECT 1");
		put_from_same_key(k);
		put(k, ")");
	}
	put(k, " BEGIN ");
	for (uint32_t i = 0; i < k->r->ncolumns; i++) {
		const struct column *c = &k->r->columns[i];
		if (!judged(k, c) || mode_of(k, c) != MODE_PROPOSE)
			continue;
		put(k, "INSERT INTO terrace_log(what,key,old) SELECT ");
		put_what(k, c->number, LOG_KEPT);
		put(k, ",");
		put_key(k, "new");
		put(k, ",");
		put_column(k, NULL, c->name);
		put_from_same_key(k);
		put(k, ";");
	}
	if (k->stands) {
		put(k, "DELETE");
		put_displaced(k, "new", ">=0;");
		buf_printf(&k->b, "INSERT INTO terrace_displaced(register,key,number) SELECT %u,", k->r->number);
		put_key(k, "new");
		put(k, ",0");
		put_from_same_key(k);
		put(k, ";");
	}
	for (uint32_t i = 0; k->stands && i < k->r->ncolumns; i++) {
		const struct column *c = &k->r->columns[i];
		if (!judged(k, c) || mode_of(k, c) != MODE_READ)
			continue;
		buf_printf(&k->b, "INSERT INTO terrace_displaced(register,key,number,value) SELECT %u,", k->r->number);
		put_key(k, "new");
		buf_printf(&k->b, ",%u,", c->number);
		put_column(k, NULL, c->name);
		put_from_same_key(k);
		put(k, ";");
	}
	end(k);
}

/* The aborts after a row came: columns that this level only reads must hold what stood, else the defaults. */
static void put_coming_aborts(struct maker *k)
{
	const struct column *c[CHUNK];

	for (uint32_t at = 0, n; (n = read_columns(k, &at, c)) > 0;) {
		put_raise_for(k, c[0]);
		put(k, " WHERE CASE WHEN ");
		put_stood(k, "new");
		put(k, " THEN ");
		for (uint32_t i = 0; i < n; i++) {
			put(k, i > 0 ? " OR " : "");
			put_unlike_standing(k, c[i]);
		}
		put(k, " ELSE ");
		for (uint32_t i = 0; i < n; i++) {
			put(k, i > 0 ? " OR " : "");
			if (c[i]->group != 0)
				put_unlike_default(k, c[i]);
			else
				put(k, "0");     /* the unit of a new row: create is asked for it */
		}
		put(k, " END;");
	}
}

/* A row that an OR REPLACE removed for unique key i (number −1−i), where this level may not delete. */
static void put_displacing_abort(struct maker *k, uint32_t i)
{
	char number[32];

	snprintf(number, sizeof(number), "=%d)", -1 - (int)i);
	put_raise(k, k->m->say_remove, "delete a row", "删除");
	put(k, " WHERE EXISTS(SELECT 1");
	put_displaced(k, "new", number);
	put(k, ";");
}

static void put_forget(struct maker *k)
{
	put(k, "DELETE");
	put_displaced(k, "new", " IS NOT NULL;");
}

static void insert_triggers(struct maker *k)
{
	standing_trigger(k, "stand", "BEFORE INSERT", false);
	begin(k, "insert");
	put(k, "AFTER INSERT");
	on_table(k, " BEGIN ");
	if (!k->m->create) {
		put_raise(k, k->m->say_create, "create a row", "新增");
		put(k, " WHERE NOT ");
		put_stood(k, "new");
		put(k, ";");
	}
	put_coming_aborts(k);
	for (uint32_t i = 0; k->forbids_delete && i < k->shape.nuniques; i++)
		put_displacing_abort(k, i);
	put_log(k, "new", 0, LOG_ROW);
	if (k->stands)
		put_forget(k);
	end(k);
}

static void delete_trigger(struct maker *k)
{
	begin(k, "delete");
	put(k, "AFTER DELETE");
	on_table(k, " BEGIN ");
	if (k->forbids_delete) {
		/* with recursive_triggers on, an OR REPLACE that rewrites the row comes here too */
		put_raise(k, k->m->say_remove, "delete a row", "删除");
		put(k, " WHERE NOT ");
		put_stood(k, "old");
		put(k, ";");
	}
	put_all_olds(k, LOG_DELETE);
	put_log(k, "old", 0, LOG_DELETE);
	end(k);
}

/* ---- the key moves */

static void put_aliases(struct maker *k)
{
	for (uint32_t i = 0; k->shape.aliases[i] != NULL; i++) {
		put(k, ",");
		put(k, k->shape.aliases[i]);
	}
}

static void key_triggers(struct maker *k)
{
	struct buf event = { 0 };

	buf_clear(&k->b);
	for (uint32_t i = 0; i < k->r->nkey; i++) {
		put(k, i > 0 ? "," : "BEFORE UPDATE OF ");
		identifier_put(&k->b, k->r->key[i]->name);
	}
	if (k->r->rowid_key)
		put_aliases(k);
	event = k->b;
	k->b = (struct buf){ 0 };
	standing_trigger(k, "keystand", buf_text(&event), true);
	begin(k, "key");
	put(k, "AFTER");
	put(k, buf_text(&event) + strlen("BEFORE"));
	on_table(k, " WHEN ");
	put_key_differs(k, "old", "new");
	put(k, " BEGIN ");
	if (!k->m->create) {
		put_raise(k, k->m->say_create, "change the key of a row", "修改主键");
		put(k, ";");
	} else if (k->forbids_delete) {
		put_raise(k, k->m->say_remove, "change the key of a row", "修改主键");
		put(k, ";");
	} else {
		put_coming_aborts(k);
		put_all_olds(k, LOG_KEPT);
		put_log(k, "old", 0, LOG_ROW);
		put_log(k, "new", 0, LOG_ROW);
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
		put(k, "ifnull(");
		put_column(k, row, p->name);
		put(k, ",");
		put(k, p->fill);
		put(k, ")");
	} else {
		put_column(k, row, p->name);
	}
}

static void put_collation(struct maker *k, const struct part *p)
{
	if (p->collation == NULL)
		return;
	put(k, " COLLATE ");
	identifier_put(&k->b, p->collation);
}

/* `FROM t WHERE u=new.u AND k IS NOT new.k`: the row in the way. */
static void put_from_in_the_way(struct maker *k, const struct unique *u, const char *self)
{
	put(k, " FROM ");
	identifier_put(&k->b, k->r->name);
	for (uint32_t i = 0; i < u->n; i++) {
		put(k, i > 0 ? " AND " : " WHERE ");
		put_part(k, NULL, &u->parts[i]);
		put(k, "=");
		put_part(k, "new", &u->parts[i]);
		put_collation(k, &u->parts[i]);
	}
	put(k, " AND ");
	put_key_differs(k, NULL, self);
}

/* What a REPLACE is about to remove: look at its key, and what stood where it may have to be put back. */
static void put_in_the_way(struct maker *k, uint32_t at, const char *self)
{
	const struct unique *u = &k->shape.uniques[at];
	const uint32_t n = k->r->ncolumns;

	if (k->forbids_delete) {
		char number[32];
		snprintf(number, sizeof(number), "=%d;", -1 - (int)at);
		put(k, "DELETE");
		put_displaced(k, "new", number);
		buf_printf(&k->b, "INSERT INTO terrace_displaced(register,key,number) SELECT %u,", k->r->number);
		put_key(k, "new");
		buf_printf(&k->b, ",%d", -1 - (int)at);
		put_from_in_the_way(k, u, self);
		put(k, ";");
	}
	for (uint32_t i = 0; i < n + k->r->nlocal; i++) {
		const struct column *c = i < n ? &k->r->columns[i] : &k->r->local[i - n];
		if (i < n ? !judged(k, c) || (k->m->remove && mode_of(k, c) == MODE_OWN) : k->m->remove)
			continue;
		put(k, "INSERT INTO terrace_log(what,key,old) SELECT ");
		put_what(k, c->number, LOG_KEPT);
		put(k, ",");
		put_key(k, NULL);
		put(k, ",");
		put_column(k, NULL, c->name);
		put_from_in_the_way(k, u, self);
		put(k, ";");
	}
	put(k, "INSERT INTO terrace_log(what,key) SELECT ");
	put_what(k, 0, LOG_ROW);
	put(k, ",");
	put_key(k, NULL);
	put_from_in_the_way(k, u, self);
	put(k, ";");
}

/* UPDATE OF the key's columns; a generated one may change with any. */
static void put_update_of(struct maker *k, const struct unique *u, const char *time)
{
	bool generated = false;

	for (uint32_t i = 0; i < u->n; i++)
		generated |= u->parts[i].generated;
	put(k, time);
	put(k, " UPDATE");
	for (uint32_t i = 0; !generated && i < u->n; i++) {
		put(k, i > 0 ? "," : " OF ");
		identifier_put(&k->b, u->parts[i].name);
	}
	if (u->rowid)
		for (uint32_t i = 0; k->shape.aliases[i] != NULL; i++)
			if (strcasecmp(k->shape.aliases[i], u->parts[0].name) != 0) {
				put(k, ",");
				put(k, k->shape.aliases[i]);
			}
}

/* Only a key that moves can meet another row. */
static void put_when_moves(struct maker *k, const struct unique *u)
{
	on_table(k, " WHEN (");
	for (uint32_t i = 0; i < u->n; i++) {
		put(k, i > 0 ? " OR " : "");
		put_part(k, "old", &u->parts[i]);
		put(k, " IS NOT ");
		put_part(k, "new", &u->parts[i]);
		put_collation(k, &u->parts[i]);
	}
	put(k, ")");
}

static void unique_triggers(struct maker *k, uint32_t at)
{
	const struct unique *u = &k->shape.uniques[at];

	begin(k, "u%u", at + 1);
	put(k, "BEFORE INSERT");
	on_table(k, "");
	if (!k->forbids_delete) {
		put(k, " WHEN ");
		if (u->hidden) {         /* -1 where the statement does not name it */
			put_part(k, "new", u->parts);
			put(k, "<>-1 AND ");
		}
		put(k, "EXISTS(SELECT 1");
		put_from_in_the_way(k, u, "new");
		put(k, ")");
	}
	put(k, " BEGIN ");
	put_in_the_way(k, at, "new");
	end(k);

	begin(k, "v%u", at + 1);
	put_update_of(k, u, "BEFORE");
	put_when_moves(k, u);
	if (!k->forbids_delete) {
		put(k, " AND EXISTS(SELECT 1");
		put_from_in_the_way(k, u, "old");
		put(k, ")");
	}
	put(k, " BEGIN ");
	put_in_the_way(k, at, "old");
	end(k);

	if (!k->forbids_delete)
		return;
	begin(k, "w%u", at + 1);
	put_update_of(k, u, "AFTER");
	put_when_moves(k, u);
	put(k, " BEGIN ");
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
	k.stands = !modes->create || k.forbids_delete || any(&k, MODE_READ);
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
