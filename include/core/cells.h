/* Cells: one column of a payload as a stream (terrace-wire(7), "cells").
 *
 * Every cell has a form, how it is written: its storage class, or for texts and reals a number that gives exactly
 * the same bytes back.  Forms and numbers are streams of their own; a column with few distinct cells is a
 * dictionary and indexes into it. */
#ifndef CORE_CELLS_H
#define CORE_CELLS_H

#include "core/texts.h"
#include "core/value.h"

enum cell_form {
	FORM_NULL, FORM_INT, FORM_REAL, FORM_TEXT, FORM_BLOB,        /* = enum cell_type */
	FORM_DECIMAL,                    /* real m / 10^scale */
	FORM_UNIT,                       /* text: the twelve digits of the row's unit */
	FORM_STAMP, FORM_DATE, FORM_CITIZEN, FORM_DIGITS,
	FORMS
};
#define CELLS_MIXED 15u                  /* head: the forms follow */
#define CELLS_DICTIONARY 16u             /* head: bit */

/* Cells c[0..n) of rows in units[0..n); scratch is the caller's to reset.  b->failed where memory is short.
 * Reals must not be NaN. */
void cells_put(struct buf *b, const struct cell *c, const uint64_t *units, size_t n, struct arena *scratch);
/* Fills ret[0..n); texts are views into the source or built in in->out.  Sets in->r.bad on anything malformed. */
void cells_get(struct unpack *in, struct cell *ret, const uint64_t *units, size_t n);

#endif
