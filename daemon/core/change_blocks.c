/* Change, encoding, first half: what may be encoded, the names that are used, the order and the shapes. */
#include <math.h>
#include <stdlib.h>

#include "core/change_encoder.h"
#include "core/limits.h"

int encoder_no_memory(struct encoder *e)
{
	return err_set(e->err, ERR_NOMEM, "payload: no memory to encode %u changes", e->p->nchanges);
}

static int bug(struct encoder *e, uint32_t change, const char *what)
{
	return err_set(e->err, ERR_BUG, "payload, change %u: %s", change, what);
}

int encoder_count(struct encoder *e, uint64_t more)
{
	e->bytes += more;
	if (e->bytes > LIMIT_SEGMENT_RAW)
		return err_set(e->err, ERR_LIMIT, "payload: %llu bytes of texts and versions, more than %u",
		               (unsigned long long)e->bytes, LIMIT_SEGMENT_RAW);
	return 0;
}

/* ---- checks */

static int check_cells(struct encoder *e, uint32_t change, const struct cell *c, uint32_t n, uint64_t *bytes)
{
	for (uint32_t i = 0; i < n; i++) {
		if (c[i].type == CELL_REAL && isnan(c[i].r))
			return err_set(e->err, ERR_FORMAT, "payload, change %u: a real that is not a number", change);
		if (c[i].type == CELL_TEXT || c[i].type == CELL_BLOB)
			*bytes += c[i].s.n;
	}
	return 0;
}

static int check_key(struct encoder *e, uint32_t change, struct key key)
{
	size_t size = 0;

	for (uint32_t k = 0; k < key.n; k++) {
		if (key.cells[k].type == CELL_NULL)
			return bug(e, change, "NULL in a key");
		size += cell_size(key.cells[k]);
	}
	if (size > LIMIT_KEY)
		return err_set(e->err, ERR_LIMIT, "payload, change %u: a key of %zu bytes, more than %u", change, size,
		               LIMIT_KEY);
	return 0;
}

static int check_part(struct encoder *e, uint32_t change, const struct wire_register *reg, const struct part *part,
                      uint64_t *bytes)
{
	if (part->version == NULL)
		return bug(e, change, "a part without a version");
	if (part->group == PART_ROW)
		return part->ncolumns == 0 ? 0 : bug(e, change, "columns in group row");
	if (part->group >= reg->ngroups)
		return bug(e, change, "a group that the register does not have");
	for (uint32_t c = 0; c < part->ncolumns; c++)
		if (part->columns[c] >= reg->groups[part->group].ncolumns ||
		    (c > 0 && part->columns[c] <= part->columns[c - 1]))
			return bug(e, change, "columns that are not the group's, or not ascending");
	return check_cells(e, change, part->cells, part->ncolumns, bytes);
}

int encoder_check(struct encoder *e)
{
	if (e->p->nchanges > LIMIT_SEGMENT_CHANGES || e->p->nitems > LIMIT_SEGMENT_ITEMS)
		return err_set(e->err, ERR_LIMIT, "payload: %u changes and %u items, more than %u and %u",
		               e->p->nchanges, e->p->nitems, LIMIT_SEGMENT_CHANGES, LIMIT_SEGMENT_ITEMS);
	for (uint32_t i = 0; i < e->p->nchanges; i++) {
		const struct change *c = &e->p->changes[i];
		int rc;

		if (c->reg >= e->p->nregisters || c->key.n != e->p->registers[c->reg].nkey || c->key.n == 0)
			return bug(e, i, "no such register, or another number of key cells");
		rc = check_key(e, i, c->key);
		if (rc == 0)
			rc = check_cells(e, i, c->key.cells, c->key.n, &e->bytes);
		for (uint32_t p = 0; rc == 0 && p < c->nparts; p++)
			rc = check_part(e, i, &e->p->registers[c->reg], &c->parts[p], &e->bytes);
		if (rc != 0)
			return rc;
	}
	return encoder_count(e, 0);
}

/* ---- names that are used */

static struct wire_group used_group(struct encoder *e, const struct wire_group *g, uint32_t *number)
{
	struct wire_group used = { .name = g->name };
	struct slice *names = arena_array(&e->all, g->ncolumns, sizeof *names);

	for (uint32_t c = 0; names != NULL && c < g->ncolumns; c++)
		if (number[c] != 0) {
			number[c] = used.ncolumns;
			names[used.ncolumns++] = g->columns[c];
		}
	used.columns = names;
	return used;
}

static struct wire_register used_register(struct encoder *e, uint32_t r)
{
	const struct wire_register *reg = &e->p->registers[r];
	struct wire_register used = { .name = reg->name, .nkey = reg->nkey };
	struct wire_group *groups = arena_array(&e->all, reg->ngroups, sizeof *groups);

	for (uint32_t g = 0; groups != NULL && g < reg->ngroups; g++)
		if (e->group_number[r][g] != 0) {
			groups[used.ngroups] = used_group(e, &reg->groups[g], e->column_number[r][g]);
			e->group_number[r][g] = used.ngroups++;
		}
	used.groups = groups;
	return used;
}

/* Numbering tables of one register, all zero (unused). */
static bool make_numbers(struct encoder *e, uint32_t r)
{
	const struct wire_register *reg = &e->p->registers[r];

	e->group_number[r] = arena_array(&e->all, (size_t)reg->ngroups + 1, sizeof **e->group_number);
	e->column_number[r] = arena_array(&e->all, (size_t)reg->ngroups + 1, sizeof **e->column_number);
	for (uint32_t g = 0; !e->all.failed && g < reg->ngroups; g++)
		e->column_number[r][g] = arena_array(&e->all, (size_t)reg->groups[g].ncolumns + 1, sizeof(uint32_t));
	return !e->all.failed;
}

static int choose_names(struct encoder *e)
{
	const struct payload *p = e->p;
	struct wire_register *used = arena_array(&e->all, p->nregisters, sizeof *used);

	e->group_number = arena_array(&e->all, p->nregisters, sizeof *e->group_number);
	e->column_number = arena_array(&e->all, p->nregisters, sizeof *e->column_number);
	e->register_number = arena_array(&e->all, p->nregisters, sizeof *e->register_number);
	if (e->all.failed)
		return encoder_no_memory(e);
	for (uint32_t i = 0; i < p->nchanges; i++) {
		const struct change *c = &p->changes[i];

		if (e->group_number[c->reg] == NULL && !make_numbers(e, c->reg))
			return encoder_no_memory(e);
		for (uint32_t k = 0; k < c->nparts; k++) {
			const struct part *part = &c->parts[k];

			if (part->group == PART_ROW)
				continue;
			e->group_number[c->reg][part->group] = 1;
			for (uint32_t j = 0; j < part->ncolumns; j++)
				e->column_number[c->reg][part->group][part->columns[j]] = 1;
		}
	}
	for (uint32_t r = 0; r < p->nregisters; r++)
		if (e->group_number[r] != NULL) {
			e->register_number[r] = e->l.nregisters;
			used[e->l.nregisters++] = used_register(e, r);
		}
	e->l.registers = used;
	return e->all.failed ? encoder_no_memory(e) : 0;
}

void encoder_put_names(struct encoder *e)
{
	buf_put_varint(e->b, e->l.nregisters);
	for (uint32_t r = 0; r < e->l.nregisters; r++) {
		const struct wire_register *reg = &e->l.registers[r];

		buf_put_slice(e->b, reg->name);
		buf_put_varint(e->b, reg->nkey);
		buf_put_varint(e->b, reg->ngroups);
		for (uint32_t g = 0; g < reg->ngroups; g++) {
			buf_put_slice(e->b, reg->groups[g].name);
			buf_put_varint(e->b, reg->groups[g].ncolumns);
			for (uint32_t c = 0; c < reg->groups[g].ncolumns; c++)
				buf_put_slice(e->b, reg->groups[g].columns[c]);
		}
	}
}

/* ---- order and blocks */

static uint32_t head_of(const struct part *p)
{
	if (p->group == PART_ROW)
		return p->alive ? HEAD_ALIVE : 0;
	return ((p->group + 1) << HEAD_SHIFT) | (p->whole ? HEAD_WHOLE : 0u);
}

static int number_compare(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int part_compare(const struct part *a, const struct part *b)
{
	int order = number_compare(head_of(a), head_of(b));

	if (order == 0)
		order = number_compare(a->ncolumns, b->ncolumns);
	for (uint32_t i = 0; order == 0 && i < a->ncolumns; i++)
		order = number_compare(a->columns[i], b->columns[i]);
	return order;
}

static int shape_compare(const struct change *a, const struct change *b)
{
	int order = number_compare(a->reg, b->reg);

	if (order == 0)
		order = number_compare(a->nparts, b->nparts);
	for (uint32_t i = 0; order == 0 && i < a->nparts; i++)
		order = part_compare(&a->parts[i], &b->parts[i]);
	return order;
}

static int change_compare(const void *a, const void *b)
{
	const struct change *x = *(const struct change *const *)a, *y = *(const struct change *const *)b;
	int order = shape_compare(x, y);

	if (order == 0)
		order = key_compare(x->key, y->key);
	return order != 0 ? order : (x > y) - (x < y);   /* one array: as given */
}

static const struct block_part *shape_of(struct encoder *e, const struct change *c, struct block *block)
{
	struct block_part *parts = arena_array(&e->all, (size_t)c->nparts + 1, sizeof *parts);

	for (uint32_t i = 0; parts != NULL && i < c->nparts; i++) {
		const struct part *part = &c->parts[i];
		uint32_t *columns = arena_array(&e->all, (size_t)part->ncolumns + 1, sizeof *columns);
		bool row = part->group == PART_ROW;

		for (uint32_t k = 0; columns != NULL && k < part->ncolumns; k++)
			columns[k] = e->column_number[c->reg][part->group][part->columns[k]];
		parts[i] = (struct block_part){
			.group = row ? PART_ROW : e->group_number[c->reg][part->group],
			.whole = part->whole && !row,
			.alive = part->alive && row,
			.ncolumns = part->ncolumns,
			.columns = columns,
			.first_cell = block->row_cells,
		};
		block->row_cells += part->ncolumns;
	}
	block->nparts = c->nparts;
	return parts;
}

static int make_blocks(struct encoder *e)
{
	const struct payload *p = e->p;
	bool sorted = true;

	e->changes = arena_array(&e->all, (size_t)p->nchanges + 1, sizeof *e->changes);
	e->l.blocks = arena_array(&e->all, (size_t)p->nchanges + 1, sizeof *e->l.blocks);
	if (e->all.failed)
		return encoder_no_memory(e);
	for (uint32_t i = 0; i < p->nchanges; i++) {
		e->changes[i] = &p->changes[i];
		sorted = sorted && (i == 0 || change_compare(&e->changes[i - 1], &e->changes[i]) < 0);
	}
	if (!sorted)                             /* a feed comes in order of key */
		qsort(e->changes, p->nchanges, sizeof(void *), change_compare);
	for (uint32_t i = 0; i < p->nchanges; i++) {
		const struct change *c = e->changes[i];

		if (i == 0 || shape_compare(e->changes[i - 1], c) != 0) {
			struct block *block = &e->l.blocks[e->l.nblocks++];

			block->reg = e->register_number[c->reg];
			block->parts = shape_of(e, c, block);
		}
		e->l.blocks[e->l.nblocks - 1].rows++;
	}
	if (e->all.failed)
		return encoder_no_memory(e);
	return layout_fill(&e->l, &e->all, e->err);
}

void encoder_put_blocks(struct encoder *e)
{
	buf_put_varint(e->b, e->l.nblocks);
	for (uint32_t i = 0; i < e->l.nblocks; i++) {
		const struct block *block = &e->l.blocks[i];

		buf_put_varint(e->b, block->reg);
		buf_put_varint(e->b, block->rows);
		buf_put_varint(e->b, block->nparts);
		for (uint32_t p = 0; p < block->nparts; p++) {
			const struct block_part *part = &block->parts[p];

			if (part->group == PART_ROW) {
				buf_put_varint(e->b, part->alive ? HEAD_ALIVE : 0);
				continue;
			}
			buf_put_varint(e->b, ((uint64_t)part->group + 1) << HEAD_SHIFT | (part->whole ? HEAD_WHOLE : 0u));
			buf_put_varint(e->b, part->ncolumns);
			for (uint32_t c = 0; c < part->ncolumns; c++)
				buf_put_varint(e->b, part->columns[c] - (c > 0 ? part->columns[c - 1] + 1 : 0));
		}
	}
}

int encoder_order(struct encoder *e)
{
	int rc = choose_names(e);

	return rc == 0 ? make_blocks(e) : rc;
}
