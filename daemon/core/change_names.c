/* Change, decoding, first half: the tables of names and blocks, and memory for what they promise. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/change_decoder.h"
#include "core/limits.h"

int decoder_malformed(struct decoder *d, const char *place, struct slice reg, struct slice column)
{
	if (d->starved || d->in.out->starved || d->in.scratch->starved)
		return err_set(d->err, ERR_NOMEM, "payload: memory is short for %s", place);
	if (d->in.out->failed || d->in.scratch->failed)
		return err_set(d->err, ERR_LIMIT, "payload: %s would take more memory than is allowed", place);
	if (reg.n == 0)
		return err_set(d->err, ERR_FORMAT, "payload: %s is malformed, near byte %zu of %zu", place,
		               (size_t)(d->in.r.p - d->raw.p), d->raw.n);
	return err_set(d->err, ERR_FORMAT, "payload, register %.*s, column %.*s: %s is malformed, near byte %zu of %zu",
	               (int)reg.n, (const char *)reg.p, (int)column.n, (const char *)column.p, place,
	               (size_t)(d->in.r.p - d->raw.p), d->raw.n);
}

int decoder_bad(struct decoder *d, const char *place)
{
	return decoder_malformed(d, place, (struct slice){ NULL, 0 }, (struct slice){ NULL, 0 });
}

void decoder_scratch_reset(struct decoder *d)
{
	d->starved |= d->in.scratch->starved;
	arena_reset(d->in.scratch);
}

void *decoder_array(struct decoder *d, struct arena *a, size_t n, size_t size)
{
	void *p = d->in.r.bad ? NULL : arena_array(a, n, size);

	if (p == NULL)
		d->in.r.bad = true;
	return p;
}

/* ---- names */

static struct slice get_name(struct decoder *d)
{
	struct slice s = read_slice(&d->in.r);

	if (s.n == 0 || s.n > LIMIT_NAME || memchr(s.p, 0, s.n) != NULL || !utf8_valid(s))
		d->in.r.bad = true;
	return s;
}

static int name_compare(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Two of one name would be one column with two cells. */
static void refuse_twice(struct decoder *d, const struct slice *names, size_t n)
{
	struct slice *sorted = n > 1 ? decoder_array(d, d->in.scratch, n, sizeof *sorted) : NULL;

	if (sorted == NULL)
		return;
	memcpy(sorted, names, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, name_compare);
	for (size_t i = 1; i < n; i++)
		if (slice_equal(sorted[i - 1], sorted[i]))
			d->in.r.bad = true;
}

static void get_group(struct decoder *d, struct wire_group *g, uint64_t *columns_left)
{
	struct slice *names;

	g->name = get_name(d);
	g->ncolumns = (uint32_t)read_count(&d->in.r, *columns_left);
	*columns_left -= g->ncolumns;
	names = decoder_array(d, d->in.out, g->ncolumns, sizeof *names);
	for (uint32_t c = 0; names != NULL && c < g->ncolumns; c++)
		names[c] = get_name(d);
	g->columns = names;
	if (!d->in.r.bad)
		refuse_twice(d, names, g->ncolumns);
}

static void get_register(struct decoder *d, struct wire_register *reg)
{
	uint64_t columns_left = LIMIT_COLUMNS, nkey;
	struct wire_group *groups;
	struct slice *names;

	reg->name = get_name(d);
	nkey = read_varint(&d->in.r);
	if (nkey < 1 || nkey > LIMIT_COLUMNS)
		d->in.r.bad = true;
	reg->nkey = (uint32_t)nkey;
	reg->ngroups = (uint32_t)read_count(&d->in.r, LIMIT_GROUPS);
	groups = decoder_array(d, d->in.out, reg->ngroups, sizeof *groups);
	names = decoder_array(d, d->in.scratch, reg->ngroups, sizeof *names);
	for (uint32_t g = 0; names != NULL && g < reg->ngroups && !d->in.r.bad; g++) {
		get_group(d, &groups[g], &columns_left);
		names[g] = groups[g].name;
	}
	reg->groups = groups;
	if (!d->in.r.bad)
		refuse_twice(d, names, reg->ngroups);
}

int decoder_names(struct decoder *d)
{
	struct wire_register *registers;
	struct slice *names;

	d->l.nregisters = (uint32_t)read_count(&d->in.r, LIMIT_REGISTERS);
	registers = decoder_array(d, d->in.out, d->l.nregisters, sizeof *registers);
	names = decoder_array(d, d->in.scratch, d->l.nregisters, sizeof *names);
	for (uint32_t r = 0; names != NULL && r < d->l.nregisters && !d->in.r.bad; r++) {
		get_register(d, &registers[r]);
		names[r] = registers[r].name;
	}
	d->l.registers = registers;
	if (!d->in.r.bad)
		refuse_twice(d, names, d->l.nregisters);
	return d->in.r.bad ? decoder_bad(d, "the table of names") : 0;
}

/* ---- blocks */

static void get_block_part(struct decoder *d, const struct wire_register *reg, struct block_part *part)
{
	uint64_t head = read_varint(&d->in.r), group = head >> HEAD_SHIFT, next = 0;
	uint32_t *columns, most;

	part->whole = (head & HEAD_WHOLE) != 0;
	part->alive = (head & HEAD_ALIVE) != 0;
	if (group == 0) {
		part->group = PART_ROW;
		if (part->whole)
			d->in.r.bad = true;
		part->whole = true;
		return;
	}
	if (part->alive || group > reg->ngroups) {
		d->in.r.bad = true;
		return;
	}
	part->group = (uint32_t)group - 1;
	most = reg->groups[part->group].ncolumns;
	part->ncolumns = (uint32_t)read_count(&d->in.r, most);
	columns = decoder_array(d, d->in.out, part->ncolumns, sizeof *columns);
	for (uint32_t c = 0; columns != NULL && c < part->ncolumns && !d->in.r.bad; c++) {
		uint64_t gap = read_varint(&d->in.r);

		if (gap >= most || next + gap >= most) {
			d->in.r.bad = true;
			return;
		}
		columns[c] = (uint32_t)(next + gap);
		next = columns[c] + 1u;
	}
	part->columns = columns;
}

static void get_block(struct decoder *d, struct block *block)
{
	uint64_t reg = read_varint(&d->in.r), rows = read_varint(&d->in.r);
	struct block_part *parts;

	if (reg >= d->l.nregisters || rows < 1 || rows > LIMIT_SEGMENT_CHANGES) {
		d->in.r.bad = true;
		return;
	}
	block->reg = (uint32_t)reg;
	block->rows = (uint32_t)rows;
	block->nparts = (uint32_t)read_count(&d->in.r, LIMIT_SEGMENT_PARTS);
	parts = decoder_array(d, d->in.out, block->nparts, sizeof *parts);
	for (uint32_t p = 0; parts != NULL && p < block->nparts && !d->in.r.bad; p++) {
		get_block_part(d, &d->l.registers[reg], &parts[p]);
		parts[p].first_cell = block->row_cells;
		block->row_cells += parts[p].ncolumns;
		if (block->row_cells > LIMIT_SEGMENT_CELLS)
			d->in.r.bad = true;
	}
	block->parts = parts;
}

/* Ties changes to their parts and parts to their cells. */
static void tie(struct decoder *d)
{
	for (uint32_t i = 0; i < d->l.nblocks; i++) {
		const struct block *block = &d->l.blocks[i];

		for (uint32_t r = 0; r < block->rows; r++) {
			struct change *c = &d->changes[block->first_change + r];
			struct part *parts = d->parts + block->first_part + (size_t)r * block->nparts;
			struct cell *cells = d->cells + block->first_cell + (size_t)r * block->row_cells;

			c->reg = block->reg;
			c->nparts = block->nparts;
			c->parts = parts;
			for (uint32_t p = 0; p < block->nparts; p++) {
				parts[p].group = block->parts[p].group;
				parts[p].whole = block->parts[p].whole;
				parts[p].alive = block->parts[p].alive;
				parts[p].ncolumns = block->parts[p].ncolumns;
				parts[p].columns = block->parts[p].columns;
				parts[p].cells = cells + block->parts[p].first_cell;
			}
		}
	}
}

int decoder_blocks(struct decoder *d)
{
	int rc;

	d->l.nblocks = (uint32_t)read_count(&d->in.r, LIMIT_SEGMENT_CHANGES);
	d->l.blocks = decoder_array(d, d->in.out, d->l.nblocks, sizeof *d->l.blocks);
	for (uint32_t i = 0; i < d->l.nblocks && !d->in.r.bad; i++) {
		get_block(d, &d->l.blocks[i]);
		/* so that the rows of a register, and its keys, stand together */
		if (!d->in.r.bad && i > 0 && d->l.blocks[i].reg < d->l.blocks[i - 1].reg)
			d->in.r.bad = true;
	}
	if (d->in.r.bad)
		return decoder_bad(d, "the table of blocks");
	rc = layout_fill(&d->l, d->in.out, d->err);
	if (rc != 0)
		return rc;
	d->changes = decoder_array(d, d->in.out, d->l.nchanges, sizeof *d->changes);
	d->parts = decoder_array(d, d->in.out, d->l.nparts, sizeof *d->parts);
	d->cells = decoder_array(d, d->in.out, d->l.ncells, sizeof *d->cells);
	if (d->in.r.bad)
		return decoder_bad(d, "the table of blocks");
	tie(d);
	return 0;
}
