/* Capture, pieces of SQL that triggers are put together from. */
#include <stdio.h>
#include <string.h>

#include "store/capture_sql.h"

void piece_literal(struct buf *b, struct cell c)
{
	static const char digits[] = "0123456789ABCDEF";

	switch (c.type) {
	case CELL_NULL:
		buf_printf(b, "NULL");
		return;
	case CELL_INT:
		if (c.i == INT64_MIN)            /* its digits alone are a real number */
			buf_printf(b, "(-9223372036854775807-1)");
		else
			buf_printf(b, "(%lld)", (long long)c.i);
		return;
	case CELL_REAL:
		buf_printf(b, "(%.17g%s", c.r, c.r == (double)(int64_t)c.r && c.r < 1e15 && c.r > -1e15 ? ".0)" : "*1.0)");
		return;
	case CELL_TEXT:
	case CELL_BLOB:
		buf_printf(b, c.type == CELL_TEXT ? "CAST(x'" : "x'");
		for (size_t i = 0; i < c.s.n; i++) {
			buf_put_u8(b, (uint8_t)digits[c.s.p[i] >> 4]);
			buf_put_u8(b, (uint8_t)digits[c.s.p[i] & 15]);
		}
		buf_printf(b, c.type == CELL_TEXT ? "' AS TEXT)" : "'");
		return;
	}
}

/* Somebody at one of these levels above the unit, or the unit itself, is enrolled. */
static void enrolled(struct buf *b, const char *unit, enum level first, enum level last)
{
	static const char *const step[LEVELS] = { "10000000000", "100000000", "1000000", "1000", "1" };

	buf_printf(b, "EXISTS(SELECT 1 FROM terrace_manned WHERE unit IN(");
	for (enum level l = first; l <= last; l++) {
		buf_printf(b, l > first ? "," : "");
		if (l == VILLAGE)
			buf_printf(b, "%s", unit);
		else
			buf_printf(b, "%s/%s*%s", unit, step[l], step[l]);
	}
	buf_printf(b, "))");
}

void piece_manned(struct buf *b, const char *unit, enum level self, enum level from, enum level floor)
{
	static const char *const above[LEVELS] = { "", "10000000000", "100000000", "1000000", "1000" };

	/* Nobody's unit (NULL, no code) is for sealing to judge. */
	buf_printf(b, "(%s>0 AND (%s%%%s=0", unit, unit, above[from]);
	if (floor + 1 < from) {                  /* who is enrolled below the floor has no right, and is acted for whole */
		buf_printf(b, " AND NOT ");
		enrolled(b, unit, MAX(self, floor) + 1, from - 1);
	}
	if (self < MIN(from, floor)) {
		buf_printf(b, " OR ");
		enrolled(b, unit, self + 1, MIN(from, floor));
	}
	buf_printf(b, "))");
}

/* ---- of one trigger */

void piece_text(struct maker *k, const char *text)
{
	buf_put(&k->b, text, strlen(text));
}

/* `new."c"`; row NULL: the column of the table a subquery reads. */
void piece_column(struct maker *k, const char *row, const char *name)
{
	if (row != NULL) {
		piece_text(k, row);
		piece_text(k, ".");
	}
	identifier_put(&k->b, name);
}

/* The key in one cell (core/value.h). */
void piece_key(struct maker *k, const char *row)
{
	if (k->r->nkey == 1) {
		piece_column(k, row, k->r->key[0]->name);
		return;
	}
	for (uint32_t i = 0; i < k->r->nkey; i++) {
		const char *name = k->r->key[i]->name;
		piece_text(k, i > 0 ? "||','||CASE typeof(" : "CASE typeof(");
		piece_column(k, row, name);
		piece_text(k, ") WHEN 'text' THEN 'T'||hex(");
		piece_column(k, row, name);
		piece_text(k, ") ELSE quote(");
		piece_column(k, row, name);
		piece_text(k, ") END");
	}
}

/* `a.c IS NOT b.c`, seeing every difference that travels: bytes, and class where the affinity leaves a choice. */
void piece_differs(struct maker *k, const struct column *c, const char *a, const char *b)
{
	piece_column(k, a, c->name);
	if (!c->binary)
		piece_text(k, " COLLATE BINARY");
	piece_text(k, " IS NOT ");
	piece_column(k, b, c->name);
	if (strchr("NIB", c->affinity) == NULL)
		return;
	piece_text(k, " OR typeof(");
	piece_column(k, a, c->name);
	piece_text(k, ")<>typeof(");
	piece_column(k, b, c->name);
	piece_text(k, ")");
}

void piece_key_differs(struct maker *k, const char *a, const char *b)
{
	piece_text(k, "(");
	for (uint32_t i = 0; i < k->r->nkey; i++) {
		if (i > 0)
			piece_text(k, " OR ");
		if (k->r->rowid_key) {
			piece_column(k, a, k->r->key[0]->name);
			piece_text(k, "<>");
			piece_column(k, b, k->r->key[0]->name);
		} else {
			piece_differs(k, k->r->key[i], a, b);
		}
	}
	piece_text(k, ")");
}

/* `FROM t WHERE k=new.k`: the row that holds the new key now. */
void piece_from_same_key(struct maker *k)
{
	piece_text(k, " FROM ");
	identifier_put(&k->b, k->r->name);
	for (uint32_t i = 0; i < k->r->nkey; i++) {
		piece_text(k, i > 0 ? " AND " : " WHERE ");
		piece_column(k, NULL, k->r->key[i]->name);
		piece_text(k, "=");
		piece_column(k, "new", k->r->key[i]->name);
		if (!k->r->key[i]->binary)
			piece_text(k, " COLLATE BINARY");
	}
}

void piece_what(struct maker *k, uint32_t column, unsigned operation)
{
	buf_printf(&k->b, "%llu", (unsigned long long)k->r->number << 16 | column << 2 | operation);
}

/* Logs one row of a trigger's row. */
void piece_log(struct maker *k, const char *row, uint32_t column, unsigned operation)
{
	piece_text(k, "INSERT INTO terrace_log(what,key) VALUES(");
	piece_what(k, column, operation);
	piece_text(k, ",");
	piece_key(k, row);
	piece_text(k, ");");
}

void piece_log_old(struct maker *k, const char *key_row, const struct column *c, unsigned operation)
{
	piece_text(k, "INSERT INTO terrace_log(what,key,old) VALUES(");
	piece_what(k, c->number, operation);
	piece_text(k, ",");
	piece_key(k, key_row);
	piece_text(k, ",");
	piece_column(k, "old", c->name);
	piece_text(k, ");");
}

void piece_displaced(struct maker *k, const char *row, const char *numbers)
{
	buf_printf(&k->b, " FROM terrace_displaced WHERE register=%u AND key=", k->r->number);
	piece_key(k, row);
	piece_text(k, " AND number");
	piece_text(k, numbers);
}

void piece_stood(struct maker *k, const char *row)
{
	piece_text(k, "EXISTS(SELECT 1");
	piece_displaced(k, row, "=0");
	piece_text(k, ")");
}

/* The unit of a trigger's row as a number; of a row that comes under a key, what stood there before. */
static void unit_sql(struct maker *k, const char *row, bool coming, struct buf *ret)
{
	struct buf b = k->b;
	char number[32], state[32];

	k->b = (struct buf){ 0 };
	if (k->r->unit == NULL) {
		state_table(k->r, state);
		buf_printf(&k->b, "(SELECT unit FROM %s WHERE key=", state);
		piece_key(k, row);
		piece_text(k, ")");
	} else {
		piece_text(k, "CAST(");
		if (coming) {
			snprintf(number, sizeof(number), "=%u),", k->r->unit->number);
			piece_text(k, "ifnull((SELECT value");
			piece_displaced(k, row, number);
		}
		piece_column(k, row, k->r->unit->name);
		piece_text(k, coming ? ") AS INTEGER)" : " AS INTEGER)");
	}
	*ret = k->b;
	k->b = b;
}

void piece_and_manned(struct maker *k, const char *row, bool coming, enum level from)
{
	_cleanup_(buf_release) struct buf unit = { 0 };

	if (from == 0)
		return;
	unit_sql(k, row, coming, &unit);
	piece_text(k, " AND ");
	if (coming && k->r->unit == NULL) {      /* a new row is its maker's own, or its parent's: the latter sealing knows */
		bool via = k->r->policy != NULL && k->r->policy->unit_source == UNIT_VIA;

		piece_text(k, via ? "(" : "(NOT ");
		piece_stood(k, row);
		piece_text(k, via ? " AND " : " OR ");
	}
	piece_manned(&k->b, buf_text(&unit), k->m->level, from, k->r->policy != NULL ? k->r->policy->floor : VILLAGE);
	if (coming && k->r->unit == NULL)
		piece_text(k, ")");
}
