/* Bytes: views, growing buffers, bounded readers, canonical varints, arenas.
 *
 * A varint is LEB128 (7 bits a byte, least significant first), at most 10 bytes, shortest form only; a signed
 * number is zigzag-coded first.  A reader never reads past its end: after the first bad read it stays bad and
 * yields zeros, so a decoder checks once at the end.  Buffers and arenas have a cap; past it, or when memory
 * is short, they stay failed and hold what they held. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Cleanup idiom: `_cleanup_(buf_release) struct buf b = {0};` and `return TAKE(pointer);` */
#define _cleanup_(f) __attribute__((cleanup(f)))
#define TAKE(pointer) __extension__({ __auto_type taken_ = (pointer); (pointer) = NULL; taken_; })
void free_pointer(void *address_of_pointer);     /* for _cleanup_(free_pointer) char *s */

struct slice {
	const uint8_t *p;
	size_t n;
};

struct slice slice_of(const char *text);         /* without the NUL */
bool slice_equal(struct slice a, struct slice b);
int slice_compare(struct slice a, struct slice b);    /* memcmp, then length */

struct buf {
	uint8_t *p;
	size_t n, room, cap;                     /* cap 0 = no cap but memory */
	bool failed;
};

void buf_release(struct buf *b);
void buf_clear(struct buf *b);                   /* keeps the memory */
uint8_t *buf_reserve(struct buf *b, size_t n);   /* n more bytes, counted in; NULL = failed */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_u8(struct buf *b, uint8_t x);
void buf_put_u32(struct buf *b, uint32_t x);     /* little-endian */
void buf_put_u64(struct buf *b, uint64_t x);     /* little-endian */
void buf_put_varint(struct buf *b, uint64_t x);
void buf_put_signed(struct buf *b, int64_t x);
void buf_put_slice(struct buf *b, struct slice s);    /* varint length, bytes */
void buf_put_text(struct buf *b, const char *text);   /* the same for a NUL-terminated text */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct slice buf_slice(const struct buf *b);
const char *buf_text(struct buf *b);             /* NUL added behind n; "" when failed */

struct reader {
	const uint8_t *p, *end;
	bool bad;
};

struct reader reader_of(struct slice s);
size_t reader_left(const struct reader *r);
uint8_t read_u8(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
uint64_t read_varint(struct reader *r);
int64_t read_signed(struct reader *r);
uint64_t read_count(struct reader *r, uint64_t most); /* a varint; bad above most or above the bytes left */
struct slice read_bytes(struct reader *r, size_t n);
struct slice read_slice(struct reader *r);       /* varint length, bytes; a view into the source */
bool reader_done(const struct reader *r);        /* all read and nothing bad */

/* Arena: many small pieces with one end.  Zeroed memory, aligned for any object. */
struct arena_block;
struct arena {
	struct arena_block *first;
	size_t used, cap;                        /* bytes handed out; cap 0 = none */
	bool failed;
	bool starved;                            /* it failed because memory is short, not by its cap */
};

void *arena_alloc(struct arena *a, size_t n);    /* NULL = failed */
void *arena_array(struct arena *a, size_t count, size_t size);
void *arena_copy(struct arena *a, const void *p, size_t n);
char *arena_text(struct arena *a, struct slice s);    /* NUL-terminated copy */
struct slice arena_slice(struct arena *a, struct slice s);
void arena_reset(struct arena *a);               /* keeps one block */
void arena_release(struct arena *a);

#endif
