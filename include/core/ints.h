/* Ints: the stream that every number of a payload travels in (terrace-wire(7), "ints").
 *
 * One byte says how: layout, and whether differences, a zigzag or a common step are used; the encoder tries what
 * can fit and keeps what it reckons to be shortest after deflate.  Arithmetic is modulo 2^64, two's complement. */
#ifndef CORE_INTS_H
#define CORE_INTS_H

#include "base/bytes.h"

enum ints_layout { INTS_CONSTANT, INTS_VARINTS, INTS_RUNS, INTS_PLANES, INTS_PACKED, INTS_LAYOUTS };
enum ints_flag { INTS_DELTA = 8, INTS_STEP = 16, INTS_ZIGZAG = 32, INTS_BASE = 64 };

/* Nothing is written, nothing read, for n = 0. */
void ints_put(struct buf *b, const int64_t *v, size_t n);
/* Fills ret[0..n); sets r->bad on anything malformed. */
void ints_get(struct reader *r, int64_t *ret, size_t n);

/* How long bytes will be after deflate, in 1/256 bit: order-0 entropy and a table of the symbols that occur. */
uint64_t bytes_cost(struct slice s);

#endif
