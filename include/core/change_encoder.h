/* The encoder's work on one payload, shared by change_blocks.c (checks, names, order) and change_encode.c (tables,
 * streams). */
#ifndef CORE_CHANGE_ENCODER_H
#define CORE_CHANGE_ENCODER_H

#include "core/change_wire.h"

struct encoder {
	const struct payload *p;
	struct buf *b;
	struct arena all, scratch;       /* for the whole payload; for one stream */
	struct err *err;
	const struct change **changes;   /* in wire order */
	uint32_t **group_number;         /* by register given: by group given: wire number */
	uint32_t ***column_number;       /* by register, group, column given: wire number */
	uint32_t *register_number;
	uint64_t *units;                 /* of the changes, in wire order */
	int64_t *unit_index;
	struct layout l;
	uint64_t bytes;                  /* of texts, versions and lives: what a reader may have to build */
};

/* Refuses what cannot be encoded: ERR_LIMIT, ERR_FORMAT (a real that is not a number), ERR_BUG. */
int encoder_check(struct encoder *e);
/* Fills registers, numbers, changes and the layout. */
int encoder_order(struct encoder *e);
void encoder_put_names(struct encoder *e);
void encoder_put_blocks(struct encoder *e);
int encoder_no_memory(struct encoder *e);
/* Counts bytes that a reader may have to build; ERR_LIMIT above LIMIT_SEGMENT_RAW. */
int encoder_count(struct encoder *e, uint64_t more);

#endif
