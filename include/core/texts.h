/* Texts: streams of byte strings (terrace-wire(7), "texts", "records"). */
#ifndef CORE_TEXTS_H
#define CORE_TEXTS_H

#include "base/bytes.h"

/* What a decoder reads from and builds in.  `built` bytes may still be made that do not stand in the source; it is
 * the bound on what front coding can blow up. */
struct unpack {
	struct reader r;
	struct arena *out;               /* what lives on */
	struct arena *scratch;           /* reset between streams */
	size_t built;
};

/* n > 0 bytes in in->out, counted against in->built; NULL and r.bad where that is not allowed. */
uint8_t *unpack_build(struct unpack *in, size_t n);

enum texts_layout { TEXTS_LENGTHS, TEXTS_TERMINATED, TEXTS_FRONT };

/* Bytes of any kind; the encoder chooses the layout.  b->failed where memory is short. */
void texts_put(struct buf *b, const struct slice *s, size_t n);
void texts_get(struct unpack *in, struct slice *ret, size_t n);

/* Records: byte strings that mostly repeat their predecessor's beginning and end (versions, idents). */
void records_put(struct buf *b, const struct slice *s, size_t n);
void records_get(struct unpack *in, struct slice *ret, size_t n);

#endif
