/* What encoder and decoder of a payload share: blocks (rows of one register and shape) and, column by column, the
 * spans of cells that the blocks contribute. */
#ifndef CORE_CHANGE_WIRE_H
#define CORE_CHANGE_WIRE_H

#include "core/change.h"

#define PAYLOAD_FORMAT 1u

/* Head of a part in a shape: bits, above them 0 for group `row`, else the group's number + 1. */
enum { HEAD_WHOLE = 1, HEAD_ALIVE = 2, HEAD_SHIFT = 2 };

struct block_part {
	uint32_t group;                  /* or PART_ROW */
	bool whole, alive;
	uint32_t ncolumns;
	const uint32_t *columns;         /* ascending */
	uint32_t first_cell;             /* where its cells begin in those of a row */
};

struct block {
	uint32_t reg, rows, nparts;
	const struct block_part *parts;
	uint32_t row_cells;              /* cells of one row */
	uint32_t first_change, first_part, first_cell;        /* counted over all blocks before */
};

/* Cells that one part of one block gives to a column: its rows, in order. */
struct span {
	uint32_t block, part, at;        /* at: place of the column in the part */
};

struct layout {
	const struct wire_register *registers;
	uint32_t nregisters, nblocks;
	struct block *blocks;
	uint32_t nchanges, nparts, ncells, nrow_parts, nkey_cells;    /* of all blocks */
	uint32_t ncolumns;               /* of all groups of all registers, numbered in order */
	uint32_t *first_span;            /* ncolumns + 1: column c's spans are [first_span[c], first_span[c + 1]) */
	struct span *spans;
};

/* From registers and blocks (reg, rows, parts) all the rest.  ERR_LIMIT names the cap. */
int layout_fill(struct layout *l, struct arena *a, struct err *err);

#endif
