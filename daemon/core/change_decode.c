/* Change, decoding, second half: tables, keys, columns, items.  The bytes stand in the head comment of
 * change_wire.c.
 *
 * Nothing is believed: every count meets its cap and, where its members take bytes, the bytes left, before memory
 * is spent; memory in all is capped by the arena and LIMIT_DECODED; texts that are built (front coding, numbers
 * written out) by LIMIT_SEGMENT_RAW. */
#include <inttypes.h>
#include <string.h>

#include "core/cells.h"
#include "core/change_decoder.h"
#include "core/ints.h"
#include "core/limits.h"

#define KNOWN_FLAGS (CHANGE_GONE | CHANGE_NOT_HELD | CHANGE_LATE)
#define UNIT_LEAST  UINT64_C(10000000000)
#define UNIT_END    UINT64_C(1000000000000)

/* ---- tables */

/* n indexes below `most`; for a table of one entry none are written. */
static int64_t *get_indexes(struct decoder *d, size_t n, uint32_t most)
{
	int64_t *index = decoder_array(d, d->in.scratch, n, sizeof *index);

	if (index == NULL || most == 1)
		return index;
	ints_get(&d->in.r, index, n);
	for (size_t i = 0; i < n && !d->in.r.bad; i++)
		if (index[i] < 0 || index[i] >= (int64_t)most)
			d->in.r.bad = true;
	return d->in.r.bad ? NULL : index;
}

/* The number of a table's entries: at least one where anything points into it, at most what can. */
static uint32_t get_size(struct decoder *d, size_t pointers)
{
	uint64_t n = read_varint(&d->in.r);

	if (n > pointers || (n == 0 && pointers > 0))
		d->in.r.bad = true;
	return d->in.r.bad ? 0 : (uint32_t)n;
}

static int get_units(struct decoder *d, uint64_t **ret_values)
{
	uint64_t *values;
	int64_t *index;

	d->nunits = get_size(d, (size_t)d->l.nchanges + d->l.nrow_parts);
	values = decoder_array(d, d->in.out, d->nunits, sizeof *values);
	for (uint32_t i = 0; i < d->nunits && !d->in.r.bad; i++) {
		values[i] = read_varint(&d->in.r);
		if (values[i] != 0 && (values[i] < UNIT_LEAST || values[i] >= UNIT_END))
			d->in.r.bad = true;
	}
	index = d->in.r.bad ? NULL : get_indexes(d, d->l.nchanges, d->nunits);
	d->units = decoder_array(d, d->in.out, d->l.nchanges, sizeof *d->units);
	d->unit_index = decoder_array(d, d->in.out, d->l.nchanges, sizeof *d->unit_index);
	for (uint32_t i = 0; !d->in.r.bad && index != NULL && i < d->l.nchanges; i++) {
		d->unit_index[i] = index[i];
		d->changes[i].unit = d->units[i] = values[index[i]];
	}
	*ret_values = values;
	return d->in.r.bad ? decoder_bad(d, "the table of units") : 0;
}

static int get_flags(struct decoder *d)
{
	int64_t *flags = decoder_array(d, d->in.scratch, d->l.nchanges, sizeof *flags);

	if (flags != NULL)
		ints_get(&d->in.r, flags, d->l.nchanges);
	for (uint32_t i = 0; i < d->l.nchanges && !d->in.r.bad; i++) {
		if (flags[i] & ~(int64_t)KNOWN_FLAGS)
			d->in.r.bad = true;
		d->changes[i].flags = (uint32_t)flags[i];
	}
	return d->in.r.bad ? decoder_bad(d, "the stream of flags") : 0;
}

/* The part that is k-th in wire order: block by block, part by part, row by row. */
static struct part *part_at(struct decoder *d, const struct block *block, uint32_t part, uint32_t row)
{
	return d->parts + block->first_part + (size_t)row * block->nparts + part;
}

static int get_versions(struct decoder *d)
{
	uint32_t n = get_size(d, d->l.nparts), k = 0;
	struct slice *records = decoder_array(d, d->in.scratch, n, sizeof *records);
	struct version *versions = decoder_array(d, d->in.out, n, sizeof *versions);
	int64_t *index = NULL;

	if (records != NULL)
		records_get(&d->in, records, n);
	for (uint32_t i = 0; i < n && !d->in.r.bad; i++) {
		struct reader r = reader_of(records[i]);

		version_get(&r, d->in.out, &versions[i]);
		if (!reader_done(&r))
			d->in.r.bad = true;
	}
	if (!d->in.r.bad && n > 0)
		index = get_indexes(d, d->l.nparts, n);
	for (uint32_t i = 0; index != NULL && i < d->l.nblocks; i++)
		for (uint32_t p = 0; p < d->l.blocks[i].nparts; p++)
			for (uint32_t r = 0; r < d->l.blocks[i].rows; r++)
				part_at(d, &d->l.blocks[i], p, r)->version = &versions[index[k++]];
	return d->in.r.bad ? decoder_bad(d, "the table of versions") : 0;
}

static int get_lives(struct decoder *d)
{
	uint32_t n = get_size(d, d->l.nparts), k = 0;
	struct slice *records = decoder_array(d, d->in.scratch, n, sizeof *records);
	struct ident *lives = decoder_array(d, d->in.scratch, n, sizeof *lives);
	int64_t *index = NULL;

	if (records != NULL)
		records_get(&d->in, records, n);
	for (uint32_t i = 0; i < n && !d->in.r.bad; i++) {
		struct reader r = reader_of(records[i]);

		ident_get(&r, &lives[i]);
		if (!reader_done(&r))
			d->in.r.bad = true;
	}
	if (!d->in.r.bad && n > 0)
		index = get_indexes(d, d->l.nparts, n);
	for (uint32_t i = 0; index != NULL && i < d->l.nblocks; i++)
		for (uint32_t p = 0; p < d->l.blocks[i].nparts; p++)
			for (uint32_t r = 0; r < d->l.blocks[i].rows; r++)
				part_at(d, &d->l.blocks[i], p, r)->life = lives[index[k++]];
	return d->in.r.bad ? decoder_bad(d, "the table of lives") : 0;
}

static int get_row_units(struct decoder *d, const uint64_t *values)
{
	int64_t *index = decoder_array(d, d->in.scratch, d->l.nrow_parts, sizeof *index);
	uint32_t k = 0;

	if (index != NULL)
		ints_get(&d->in.r, index, d->l.nrow_parts);
	for (uint32_t i = 0; i < d->l.nblocks && !d->in.r.bad; i++) {
		const struct block *block = &d->l.blocks[i];

		for (uint32_t p = 0; p < block->nparts; p++)
			for (uint32_t r = 0; block->parts[p].group == PART_ROW && r < block->rows; r++) {
				uint64_t at = (uint64_t)index[k++] + (uint64_t)d->unit_index[block->first_change + r];

				if (at >= d->nunits)
					d->in.r.bad = true;
				else
					part_at(d, block, p, r)->row_unit = values[at];
			}
	}
	return d->in.r.bad ? decoder_bad(d, "the stream of row units") : 0;
}

/* ---- keys and columns */

static int get_keys(struct decoder *d)
{
	for (uint32_t r = 0, first = 0, n; r < d->l.nregisters; r++, first += n) {
		uint32_t nkey = d->l.registers[r].nkey;
		struct cell *column, *keys;

		for (n = 0; first + n < d->l.nchanges && d->changes[first + n].reg == r; n++)
			;
		keys = decoder_array(d, d->in.out, (size_t)n * nkey, sizeof *keys);
		for (uint32_t k = 0; k < nkey && n > 0 && !d->in.r.bad; k++) {
			decoder_scratch_reset(d);
			column = decoder_array(d, d->in.scratch, n, sizeof *column);
			if (column != NULL)
				cells_get(&d->in, column, d->units + first, n);
			for (uint32_t i = 0; i < n && !d->in.r.bad; i++) {
				if (column[i].type == CELL_NULL)
					d->in.r.bad = true;
				keys[(size_t)i * nkey + k] = column[i];
			}
		}
		for (uint32_t i = 0; i < n && !d->in.r.bad; i++) {
			size_t bytes = 0;

			d->changes[first + i].key = (struct key){ keys + (size_t)i * nkey, nkey };
			for (uint32_t k = 0; k < nkey; k++)
				bytes += cell_size(keys[(size_t)i * nkey + k]);
			if (bytes > LIMIT_KEY)
				return err_set(d->err, ERR_LIMIT, "payload, register %.*s: a key of %zu bytes, more than %u",
				               (int)d->l.registers[r].name.n, (const char *)d->l.registers[r].name.p,
				               bytes, LIMIT_KEY);
		}
		if (d->in.r.bad)
			return decoder_malformed(d, "a key", d->l.registers[r].name, (struct slice){ (const uint8_t *)"(key)", 5 });
	}
	return 0;
}

static int get_column(struct decoder *d, uint32_t number, struct slice reg, struct slice name)
{
	const struct span *first = &d->l.spans[d->l.first_span[number]];
	const struct span *end = &d->l.spans[d->l.first_span[number + 1]];
	struct cell *column;
	uint64_t *units;
	size_t n = 0, i = 0;

	decoder_scratch_reset(d);
	for (const struct span *s = first; s < end; s++)
		n += d->l.blocks[s->block].rows;
	column = decoder_array(d, d->in.scratch, n, sizeof *column);
	units = decoder_array(d, d->in.scratch, n, sizeof *units);
	for (const struct span *s = first; s < end && !d->in.r.bad; s++) {
		memcpy(units + i, d->units + d->l.blocks[s->block].first_change,
		       d->l.blocks[s->block].rows * sizeof *units);
		i += d->l.blocks[s->block].rows;
	}
	if (!d->in.r.bad)
		cells_get(&d->in, column, units, n);
	if (d->in.r.bad)
		return decoder_malformed(d, "a stream of cells", reg, name);
	i = 0;
	for (const struct span *s = first; s < end; s++) {
		const struct block *block = &d->l.blocks[s->block];
		struct cell *to = d->cells + block->first_cell + block->parts[s->part].first_cell + s->at;

		for (uint32_t r = 0; r < block->rows; r++, to += block->row_cells)
			*to = column[i++];
	}
	return 0;
}

static int get_columns(struct decoder *d)
{
	uint32_t number = 0;
	int rc = 0;

	for (uint32_t r = 0; r < d->l.nregisters; r++)
		for (uint32_t g = 0; g < d->l.registers[r].ngroups; g++) {
			const struct wire_group *group = &d->l.registers[r].groups[g];

			for (uint32_t c = 0; rc == 0 && c < group->ncolumns; c++)
				rc = get_column(d, number++, d->l.registers[r].name, group->columns[c]);
		}
	return rc;
}

/* ---- items and the end */

static int get_items(struct decoder *d, struct payload *p)
{
	uint32_t n = (uint32_t)read_count(&d->in.r, LIMIT_SEGMENT_ITEMS), known = 0;
	struct item *items = decoder_array(d, d->in.out, n, sizeof *items);

	for (uint32_t i = 0; i < n && !d->in.r.bad; i++) {
		uint64_t kind = read_varint(&d->in.r);
		struct slice body = read_slice(&d->in.r);

		if (kind < 1 || kind > UINT32_MAX)
			d->in.r.bad = true;
		if (d->in.r.bad)
			break;
		if (kind > ITEM_RETURN && kind != ITEM_HEALED && kind % 2 != 0)
			return err_set(d->err, ERR_FORMAT, "payload: an item of kind %" PRIu64 ", which must be understood "
			               "and is not; this node needs a newer version", kind);
		if (kind <= ITEM_RETURN || kind == ITEM_HEALED || kind == ITEM_ASK)
			items[known++] = (struct item){ (uint32_t)kind, body };
	}
	p->items = items;
	p->nitems = known;
	return d->in.r.bad ? decoder_bad(d, "an item") : 0;
}

static int get_extensions(struct decoder *d)
{
	while (!d->in.r.bad && reader_left(&d->in.r) > 0) {
		uint64_t type = read_varint(&d->in.r);

		read_slice(&d->in.r);
		if (!d->in.r.bad && type % 2 != 0)
			return err_set(d->err, ERR_FORMAT, "payload: extension %" PRIu64 ", which must be understood and is "
			               "not; this node needs a newer version", type);
	}
	return d->in.r.bad ? decoder_bad(d, "the extension area") : 0;
}

static int decode(struct decoder *d, struct payload *p)
{
	uint64_t format = read_varint(&d->in.r);
	uint64_t *unit_values;
	int rc;

	if (format != PAYLOAD_FORMAT)
		return err_set(d->err, ERR_FORMAT, "payload: format %" PRIu64 ", this node reads %u", format, PAYLOAD_FORMAT);
	rc = decoder_names(d);
	if (rc == 0)
		rc = decoder_blocks(d);
	if (rc != 0)
		return rc;
	rc = get_units(d, &unit_values);
	if (rc == 0)
		rc = get_flags(d);
	if (rc == 0)
		rc = get_keys(d);
	decoder_scratch_reset(d);
	if (rc == 0)
		rc = get_versions(d);
	if (rc == 0)
		rc = get_lives(d);
	if (rc == 0)
		rc = get_row_units(d, unit_values);
	if (rc == 0)
		rc = get_columns(d);
	if (rc == 0)
		rc = get_items(d, p);
	if (rc == 0)
		rc = get_extensions(d);
	return rc;
}

int payload_decode(struct slice raw, struct arena *a, struct payload *p, struct err *err)
{
	struct arena scratch = { .cap = LIMIT_DECODED };
	struct decoder d = {
		.in = { .r = reader_of(raw), .out = a, .scratch = &scratch, .built = LIMIT_SEGMENT_RAW },
		.raw = raw, .err = err,
	};
	struct payload ret = { 0 };
	size_t cap = a->cap;
	int rc;

	if (raw.n > LIMIT_SEGMENT_RAW)
		return err_set(err, ERR_LIMIT, "payload: %zu bytes, more than %u", raw.n, LIMIT_SEGMENT_RAW);
	if (cap == 0 || cap - MIN(cap, a->used) > LIMIT_DECODED)
		a->cap = a->used + LIMIT_DECODED;
	rc = decode(&d, &ret);
	a->cap = cap;
	arena_release(&scratch);
	if (rc != 0)
		return rc;
	ret.nregisters = d.l.nregisters;
	ret.registers = d.l.registers;
	ret.nchanges = d.l.nchanges;
	ret.changes = d.changes;
	*p = ret;
	return 0;
}
