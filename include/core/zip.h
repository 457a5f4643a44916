/* Zip: raw deflate (RFC 1951) through zlib, one pass, level 6, with numbered preset dictionaries; inflating is
 * bounded by the length that the header names. */
#ifndef CORE_ZIP_H
#define CORE_ZIP_H

#include "base/bytes.h"
#include "base/err.h"

/* dictionary 0 = none.  With a dictionary, `context` (bytes that both sides have; may be empty) stands behind it as
 * if it were its end.  Appends to out. */
int zip_deflate(struct slice raw, uint32_t dictionary, struct slice context, struct buf *out, struct err *err);
/* Exactly raw_length bytes, else ERR_FORMAT; nothing beyond is ever written. */
int zip_inflate(struct slice stored, uint32_t dictionary, struct slice context, size_t raw_length, struct buf *out,
                struct err *err);
struct slice zip_dictionary(uint32_t number);    /* empty where unknown */

#endif
