/* Change, encoding, second half: tables of distinct values and the streams.  The bytes stand in the head comment of
 * change_wire.c.  The same payload is always the same bytes: nothing here depends on addresses or on the order in
 * which changes are given (but for equal keys). */
#include <string.h>

#include "core/cells.h"
#include "core/change_encoder.h"
#include "core/ints.h"
#include "core/limits.h"

/* Distinct byte strings in order of first sight. */
struct table {
	struct slice *items;
	uint32_t n, slots_mask;
	uint32_t *slots;                 /* 0 free, else index + 1 */
};

static bool table_init(struct table *t, size_t most, struct arena *a)
{
	size_t room = 16;

	while (room < 2 * most)
		room *= 2;
	t->items = arena_array(a, most + 1, sizeof *t->items);
	t->slots = arena_array(a, room, sizeof *t->slots);
	t->slots_mask = (uint32_t)room - 1;
	return t->items != NULL && t->slots != NULL;
}

/* The index of s, which is copied where it is new. */
static uint32_t table_add(struct table *t, struct slice s, struct arena *a)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	uint32_t at;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ s.p[i]) * UINT64_C(0x100000001b3);
	for (at = (uint32_t)(h ^ h >> 32) & t->slots_mask; t->slots[at] != 0; at = (at + 1) & t->slots_mask)
		if (slice_equal(t->items[t->slots[at] - 1], s))
			return t->slots[at] - 1;
	t->items[t->n] = arena_slice(a, s);
	t->slots[at] = ++t->n;
	return t->n - 1;
}

/* The k-th part in wire order. */
struct cursor {
	uint32_t block, part, row;
};

static const struct part *part_next(const struct encoder *e, struct cursor *at)
{
	const struct block *block;
	const struct part *part;

	while (at->part >= e->l.blocks[at->block].nparts) {
		at->block++;
		at->part = at->row = 0;
	}
	block = &e->l.blocks[at->block];
	part = &e->changes[block->first_change + at->row]->parts[at->part];
	if (++at->row == block->rows) {
		at->row = 0;
		at->part++;
	}
	return part;
}

static int put_versions(struct encoder *e)
{
	_cleanup_(buf_release) struct buf one = { 0 };
	int64_t *index = arena_array(&e->scratch, (size_t)e->l.nparts + 1, sizeof *index);
	const struct version *last = NULL;
	struct table t = { 0 };
	struct cursor at = { 0 };

	if (index == NULL || !table_init(&t, e->l.nparts, &e->scratch))
		return encoder_no_memory(e);
	for (uint32_t i = 0; i < e->l.nparts; i++) {
		const struct version *v = part_next(e, &at)->version;
		uint32_t known = t.n;

		if (v == last) {
			index[i] = index[i - 1];
			continue;
		}
		last = v;
		buf_clear(&one);
		version_put(&one, v);
		if (one.failed)
			return encoder_no_memory(e);
		index[i] = table_add(&t, buf_slice(&one), &e->scratch);
		if (one.n > LIMIT_VERSION)
			return err_set(e->err, ERR_LIMIT, "payload: a version of %zu bytes, more than %u", one.n,
			               LIMIT_VERSION);
		if (t.n > known && encoder_count(e, one.n) != 0)
			return ERR_LIMIT;
	}
	buf_put_varint(e->b, t.n);
	records_put(e->b, t.items, t.n);
	if (t.n > 1)
		ints_put(e->b, index, e->l.nparts);
	return e->scratch.failed ? encoder_no_memory(e) : 0;
}

static int put_lives(struct encoder *e)
{
	_cleanup_(buf_release) struct buf one = { 0 };
	int64_t *index = arena_array(&e->scratch, (size_t)e->l.nparts + 1, sizeof *index);
	struct ident last = { 0 };
	struct table t = { 0 };
	struct cursor at = { 0 };

	if (index == NULL || !table_init(&t, e->l.nparts, &e->scratch))
		return encoder_no_memory(e);
	for (uint32_t i = 0; i < e->l.nparts; i++) {
		struct ident life = part_next(e, &at)->life;
		uint32_t known = t.n;

		if (i > 0 && ident_equal(life, last)) {
			index[i] = index[i - 1];
			continue;
		}
		last = life;
		buf_clear(&one);
		ident_put(&one, &life);
		if (one.failed)
			return encoder_no_memory(e);
		index[i] = table_add(&t, buf_slice(&one), &e->scratch);
		if (t.n > known && encoder_count(e, one.n) != 0)
			return ERR_LIMIT;
	}
	buf_put_varint(e->b, t.n);
	records_put(e->b, t.items, t.n);
	if (t.n > 1)
		ints_put(e->b, index, e->l.nparts);
	return e->scratch.failed ? encoder_no_memory(e) : 0;
}

static uint32_t unit_add(struct table *t, uint64_t unit, struct arena *a)
{
	return table_add(t, (struct slice){ (const uint8_t *)&unit, sizeof unit }, a);
}

/* Units of changes and of what their row parts name; the indexes of the latter stay in *ret_row_units. */
static int put_units(struct encoder *e, int64_t **ret_row_units)
{
	size_t most = (size_t)e->l.nchanges + e->l.nrow_parts, row_parts = 0;
	struct table t = { 0 };

	e->units = arena_array(&e->all, (size_t)e->l.nchanges + 1, sizeof *e->units);
	e->unit_index = arena_array(&e->all, (size_t)e->l.nchanges + 1, sizeof *e->unit_index);
	*ret_row_units = arena_array(&e->all, (size_t)e->l.nrow_parts + 1, sizeof **ret_row_units);
	if (!table_init(&t, most, &e->all) || e->all.failed)
		return encoder_no_memory(e);
	for (uint32_t i = 0; i < e->l.nchanges; i++) {
		e->units[i] = e->changes[i]->unit;
		e->unit_index[i] = unit_add(&t, e->units[i], &e->all);
	}
	for (uint32_t i = 0; i < e->l.nblocks; i++)
		for (uint32_t p = 0; p < e->l.blocks[i].nparts; p++)
			for (uint32_t r = 0; e->l.blocks[i].parts[p].group == PART_ROW && r < e->l.blocks[i].rows; r++) {
				uint32_t change = e->l.blocks[i].first_change + r;
				uint64_t unit = e->changes[change]->parts[p].row_unit;

				(*ret_row_units)[row_parts++] = unit_add(&t, unit, &e->all) - e->unit_index[change];
			}
	if (e->all.failed)
		return encoder_no_memory(e);
	buf_put_varint(e->b, t.n);
	for (uint32_t i = 0; i < t.n; i++) {
		uint64_t unit;

		memcpy(&unit, t.items[i].p, sizeof unit);
		buf_put_varint(e->b, unit);
	}
	if (t.n > 1)
		ints_put(e->b, e->unit_index, e->l.nchanges);
	return 0;
}

/* ---- streams */

static void put_flags(struct encoder *e)
{
	int64_t *flags = arena_array(&e->scratch, (size_t)e->l.nchanges + 1, sizeof *flags);

	for (uint32_t i = 0; flags != NULL && i < e->l.nchanges; i++)
		flags[i] = e->changes[i]->flags;
	if (flags != NULL)
		ints_put(e->b, flags, e->l.nchanges);
}

static struct cell plain(struct cell c)
{
	if (c.type == CELL_REAL && c.r == 0)
		c.r = 0;                         /* −0 is 0 */
	return c;
}

static void put_keys(struct encoder *e)
{
	for (uint32_t r = 0, first = 0, n; r < e->l.nregisters; r++, first += n) {
		struct cell *cells;

		for (n = 0; first + n < e->l.nchanges && e->register_number[e->changes[first + n]->reg] == r; n++)
			;
		for (uint32_t k = 0; k < e->l.registers[r].nkey; k++) {
			arena_reset(&e->scratch);
			cells = arena_array(&e->scratch, (size_t)n + 1, sizeof *cells);
			for (uint32_t i = 0; cells != NULL && i < n; i++)
				cells[i] = plain(e->changes[first + i]->key.cells[k]);
			if (cells == NULL)
				return;
			cells_put(e->b, cells, e->units + first, n, &e->scratch);
		}
	}
}

static void put_columns(struct encoder *e)
{
	for (uint32_t c = 0; c < e->l.ncolumns && !e->scratch.failed; c++) {
		const struct span *end = &e->l.spans[e->l.first_span[c + 1]];
		struct cell *cells;
		uint64_t *units;
		size_t n = 0, i = 0;

		arena_reset(&e->scratch);
		for (const struct span *s = &e->l.spans[e->l.first_span[c]]; s < end; s++)
			n += e->l.blocks[s->block].rows;
		cells = arena_array(&e->scratch, n + 1, sizeof *cells);
		units = arena_array(&e->scratch, n + 1, sizeof *units);
		if (cells == NULL || units == NULL)
			return;
		for (const struct span *s = &e->l.spans[e->l.first_span[c]]; s < end; s++) {
			const struct block *block = &e->l.blocks[s->block];

			for (uint32_t r = 0; r < block->rows; r++, i++) {
				cells[i] = plain(e->changes[block->first_change + r]->parts[s->part].cells[s->at]);
				units[i] = e->units[block->first_change + r];
			}
		}
		cells_put(e->b, cells, units, n, &e->scratch);
	}
}

static void put_items(struct encoder *e)
{
	buf_put_varint(e->b, e->p->nitems);
	for (uint32_t i = 0; i < e->p->nitems; i++) {
		buf_put_varint(e->b, e->p->items[i].kind);
		buf_put_slice(e->b, e->p->items[i].body);
	}
}

static int encode(struct encoder *e)
{
	int64_t *row_units;
	int rc = encoder_check(e);

	if (rc == 0)
		rc = encoder_order(e);
	if (rc != 0)
		return rc;
	buf_put_varint(e->b, PAYLOAD_FORMAT);
	encoder_put_names(e);
	encoder_put_blocks(e);
	rc = put_units(e, &row_units);
	if (rc != 0)
		return rc;
	put_flags(e);
	put_keys(e);
	arena_reset(&e->scratch);
	rc = put_versions(e);
	arena_reset(&e->scratch);
	if (rc == 0)
		rc = put_lives(e);
	if (rc != 0)
		return rc;
	ints_put(e->b, row_units, e->l.nrow_parts);
	put_columns(e);
	put_items(e);
	return e->b->failed || e->scratch.failed ? encoder_no_memory(e) : 0;
}

int payload_encode(const struct payload *p, struct buf *b, struct err *err)
{
	struct encoder e = { .p = p, .b = b, .err = err };
	size_t start = b->n;
	int rc = encode(&e);

	if (rc == 0 && b->n - start > LIMIT_SEGMENT_RAW)
		rc = err_set(err, ERR_LIMIT, "payload: %zu bytes, more than %u", b->n - start, LIMIT_SEGMENT_RAW);
	if (rc != 0)
		b->n = start;
	arena_release(&e.all);
	arena_release(&e.scratch);
	return rc;
}
