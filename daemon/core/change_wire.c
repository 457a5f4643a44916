/* Blocks and spans.
 *
 * payload     varint format 1
 *             varint n, n registers: name, varint key cells, varint n, n groups: name, varint n, n column names
 *             varint n, n blocks: varint register, varint rows, varint n, n parts:
 *                 varint head: 1 whole, 2 alive, above them 0 = group row, else the group's number + 1
 *                 of groups: varint n, column numbers: the first, then each minus the one before minus 1
 *             units      varint n, n varints, for n > 1 ints of the changes' indexes
 *             flags      ints of the changes
 *             keys       register by register, cell by cell of its key: cells of its changes
 *             versions   varint n, records of the n, for n > 1 ints of the parts' indexes
 *             lives      the same
 *             row units  ints of the row parts' unit index minus their change's
 *             columns    register by register, group by group, column by column: cells of its spans
 *             varint n, n items: varint kind, slice body
 *             extensions to the end: varint type, slice value
 * A name is a slice.  Changes stand block by block, parts block by block, part by part of the shape, row by row. */
#include "core/change_wire.h"

static int too_many(struct err *err, const char *what, uint64_t n, uint64_t most)
{
	return err_set(err, ERR_LIMIT, "payload: %llu %s, more than %llu", (unsigned long long)n, what,
	               (unsigned long long)most);
}

static int count(struct layout *l, struct err *err)
{
	uint64_t changes = 0, parts = 0, cells = 0, row_parts = 0, key_cells = 0;

	for (uint32_t i = 0; i < l->nblocks; i++) {
		struct block *b = &l->blocks[i];

		b->first_change = (uint32_t)changes;
		b->first_part = (uint32_t)parts;
		b->first_cell = (uint32_t)cells;
		changes += b->rows;
		key_cells += (uint64_t)b->rows * l->registers[b->reg].nkey;
		parts += (uint64_t)b->rows * b->nparts;
		cells += (uint64_t)b->rows * b->row_cells;
		for (uint32_t p = 0; p < b->nparts; p++)
			row_parts += b->parts[p].group == PART_ROW ? b->rows : 0;
		if (changes > LIMIT_SEGMENT_CHANGES)
			return too_many(err, "changes", changes, LIMIT_SEGMENT_CHANGES);
		if (parts > LIMIT_SEGMENT_PARTS)
			return too_many(err, "parts", parts, LIMIT_SEGMENT_PARTS);
		if (cells + key_cells > LIMIT_SEGMENT_CELLS)
			return too_many(err, "cells", cells + key_cells, LIMIT_SEGMENT_CELLS);
	}
	l->nchanges = (uint32_t)changes;
	l->nparts = (uint32_t)parts;
	l->ncells = (uint32_t)cells;
	l->nrow_parts = (uint32_t)row_parts;
	l->nkey_cells = (uint32_t)key_cells;
	return 0;
}

/* How many groups stand before each register, how many columns before each group. */
struct numbering {
	uint32_t *first_group, *first_column;
};

static bool number_columns(struct layout *l, struct arena *a, struct numbering *ret)
{
	uint32_t groups = 0;

	for (uint32_t r = 0; r < l->nregisters; r++)
		groups += l->registers[r].ngroups;
	ret->first_group = arena_array(a, (size_t)l->nregisters + 1, sizeof *ret->first_group);
	ret->first_column = arena_array(a, (size_t)groups + 1, sizeof *ret->first_column);
	if (ret->first_group == NULL || ret->first_column == NULL)
		return false;
	groups = l->ncolumns = 0;
	for (uint32_t r = 0; r < l->nregisters; r++) {
		ret->first_group[r] = groups;
		for (uint32_t g = 0; g < l->registers[r].ngroups; g++) {
			ret->first_column[groups++] = l->ncolumns;
			l->ncolumns += l->registers[r].groups[g].ncolumns;
		}
	}
	return true;
}

static uint32_t column_number(const struct numbering *n, const struct block *b, const struct block_part *p, uint32_t at)
{
	return n->first_column[n->first_group[b->reg] + p->group] + p->columns[at];
}

int layout_fill(struct layout *l, struct arena *a, struct err *err)
{
	struct numbering n;
	uint32_t *next;
	int rc = count(l, err);

	if (rc != 0)
		return rc;
	l->first_span = NULL;
	if (number_columns(l, a, &n))
		l->first_span = arena_array(a, (size_t)l->ncolumns + 1, sizeof *l->first_span);
	next = arena_array(a, (size_t)l->ncolumns + 1, sizeof *next);
	if (l->first_span == NULL || next == NULL)
		return err_set(err, a->starved ? ERR_NOMEM : ERR_LIMIT, "payload: no memory for its columns");
	for (uint32_t i = 0; i < l->nblocks; i++)
		for (uint32_t p = 0; p < l->blocks[i].nparts; p++)
			for (uint32_t c = 0; c < l->blocks[i].parts[p].ncolumns; c++)
				l->first_span[column_number(&n, &l->blocks[i], &l->blocks[i].parts[p], c) + 1]++;
	for (uint32_t c = 0; c < l->ncolumns; c++) {
		l->first_span[c + 1] += l->first_span[c];
		next[c] = l->first_span[c];
	}
	l->spans = arena_array(a, (size_t)l->first_span[l->ncolumns] + 1, sizeof *l->spans);
	if (l->spans == NULL)
		return err_set(err, a->starved ? ERR_NOMEM : ERR_LIMIT, "payload: no memory for its columns");
	for (uint32_t i = 0; i < l->nblocks; i++)
		for (uint32_t p = 0; p < l->blocks[i].nparts; p++)
			for (uint32_t c = 0; c < l->blocks[i].parts[p].ncolumns; c++)
				l->spans[next[column_number(&n, &l->blocks[i], &l->blocks[i].parts[p], c)]++] =
					(struct span){ i, p, c };
	return 0;
}
