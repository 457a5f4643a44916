/* The decoder's work on one payload, shared by change_names.c (names, blocks) and change_decode.c (the rest). */
#ifndef CORE_CHANGE_DECODER_H
#define CORE_CHANGE_DECODER_H

#include "core/change_wire.h"
#include "core/texts.h"

struct decoder {
	struct unpack in;
	struct slice raw;
	struct layout l;
	struct change *changes;
	struct part *parts;              /* change by change */
	struct cell *cells;              /* change by change, part by part */
	uint64_t *units;
	int64_t *unit_index;
	uint32_t nunits;
	bool starved;                    /* memory was short, not the cap reached */
	struct err *err;
};

/* Where and what is wrong; a cap where memory was refused. */
int decoder_malformed(struct decoder *d, const char *place, struct slice reg, struct slice column);
int decoder_bad(struct decoder *d, const char *place);
/* n things in a; NULL, and the reader bad, where it was or memory is refused. */
void decoder_scratch_reset(struct decoder *d);   /* remembers whether memory was short */
void *decoder_array(struct decoder *d, struct arena *a, size_t n, size_t size);
/* The tables of names and of blocks; then changes, parts and cells are there, tied together and empty. */
int decoder_names(struct decoder *d);
int decoder_blocks(struct decoder *d);

#endif
