#include "base/bytes.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 64u
#define VARINT_MOST 10u
#define BLOCK_FIRST 4096u
#define BLOCK_MOST (256u << 10)

void free_pointer(void *address_of_pointer)
{
	void *p;

	memcpy(&p, address_of_pointer, sizeof(p));
	free(p);
}

struct slice slice_of(const char *text)
{
	return (struct slice){ (const uint8_t *)text, strlen(text) };
}

bool slice_equal(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int slice_compare(struct slice a, struct slice b)
{
	size_t n = MIN(a.n, b.n);
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* Memory for total bytes, whatever the cap says; false leaves everything as it was. */
static bool make_room(struct buf *b, size_t total)
{
	size_t room = MAX(b->room, BUF_FIRST);

	if (b->p && total <= b->room)
		return true;
	while (room < total)
		room = room > SIZE_MAX / 2 ? total : room * 2;
	uint8_t *p = realloc(b->p, room);
	if (!p)
		return false;
	b->p = p;
	b->room = room;
	return true;
}

void buf_release(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .cap = b->cap };
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n > SIZE_MAX - b->n || (b->cap && b->n + n > b->cap) || !make_room(b, b->n + n)) {
		b->failed = true;
		return NULL;
	}
	b->n += n;
	return b->p + b->n - n;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *to = buf_reserve(b, n);

	if (to && n)
		memcpy(to, p, n);
}

void buf_put_u8(struct buf *b, uint8_t x)
{
	uint8_t *to = buf_reserve(b, 1);

	if (to)
		*to = x;
}

static void put_little_endian(struct buf *b, uint64_t x, size_t n)
{
	uint8_t *to = buf_reserve(b, n);

	for (size_t i = 0; to && i < n; i++)
		to[i] = (uint8_t)(x >> 8 * i);
}

void buf_put_u32(struct buf *b, uint32_t x)
{
	put_little_endian(b, x, 4);
}

void buf_put_u64(struct buf *b, uint64_t x)
{
	put_little_endian(b, x, 8);
}

void buf_put_varint(struct buf *b, uint64_t x)
{
	uint8_t bytes[VARINT_MOST];
	size_t n = 0;

	if (x < 0x80) {
		buf_put_u8(b, (uint8_t)x);
		return;
	}
	while (x >= 0x80) {
		bytes[n++] = (uint8_t)(x | 0x80);
		x >>= 7;
	}
	bytes[n++] = (uint8_t)x;
	buf_put(b, bytes, n);
}

void buf_put_signed(struct buf *b, int64_t x)
{
	buf_put_varint(b, ((uint64_t)x << 1) ^ (x < 0 ? UINT64_MAX : 0));
}

void buf_put_slice(struct buf *b, struct slice s)
{
	if (s.n >= 0x80) {
		buf_put_varint(b, s.n);
		buf_put(b, s.p, s.n);
		return;
	}
	uint8_t *to = buf_reserve(b, s.n + 1);  /* the common case in one step */
	if (to) {
		*to = (uint8_t)s.n;
		if (s.n)
			memcpy(to + 1, s.p, s.n);
	}
}

void buf_put_text(struct buf *b, const char *text)
{
	buf_put_slice(b, slice_of(text));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || b->failed || (b->cap && (size_t)n > b->cap - MIN(b->n, b->cap)) ||
	    !make_room(b, b->n + (size_t)n + 1)) {
		b->failed = true;
		return;
	}
	va_start(args, format);
	vsnprintf((char *)b->p + b->n, (size_t)n + 1, format, args);
	va_end(args);
	b->n += (size_t)n;
}

struct slice buf_slice(const struct buf *b)
{
	return (struct slice){ b->p, b->n };
}

const char *buf_text(struct buf *b)
{
	if (b->failed || !make_room(b, b->n + 1)) {
		b->failed = true;
		return "";
	}
	b->p[b->n] = '\0';
	return (const char *)b->p;
}

struct reader reader_of(struct slice s)
{
	return (struct reader){ .p = s.p, .end = s.n ? s.p + s.n : s.p };
}

size_t reader_left(const struct reader *r)
{
	return r->bad || r->p == r->end ? 0 : (size_t)(r->end - r->p);
}

struct slice read_bytes(struct reader *r, size_t n)
{
	if (r->bad || n > reader_left(r)) {
		r->bad = true;
		return (struct slice){ NULL, 0 };
	}
	struct slice s = { r->p, n };
	if (n)
		r->p += n;
	return s;
}

static uint64_t read_little_endian(struct reader *r, size_t n)
{
	struct slice s = read_bytes(r, n);
	uint64_t x = 0;

	for (size_t i = 0; i < s.n; i++)
		x |= (uint64_t)s.p[i] << 8 * i;
	return x;
}

uint8_t read_u8(struct reader *r)
{
	return (uint8_t)read_little_endian(r, 1);
}

uint32_t read_u32(struct reader *r)
{
	return (uint32_t)read_little_endian(r, 4);
}

uint64_t read_u64(struct reader *r)
{
	return read_little_endian(r, 8);
}

uint64_t read_varint(struct reader *r)
{
	uint64_t x = 0;

	for (unsigned int i = 0; i < VARINT_MOST; i++) {
		uint8_t byte = read_u8(r);
		if (r->bad)
			return 0;
		x |= (uint64_t)(byte & 0x7f) << 7 * i;
		if (byte & 0x80)
			continue;
		/* A last byte of 0 is a longer form of a shorter number; the tenth holds one bit. */
		if ((byte == 0 && i > 0) || (i == VARINT_MOST - 1 && byte > 1))
			break;
		return x;
	}
	r->bad = true;
	return 0;
}

int64_t read_signed(struct reader *r)
{
	uint64_t x = read_varint(r);

	return (int64_t)((x >> 1) ^ (x & 1 ? UINT64_MAX : 0));
}

uint64_t read_count(struct reader *r, uint64_t most)
{
	uint64_t x = read_varint(r);

	if (x > most || x > reader_left(r))
		r->bad = true;
	return r->bad ? 0 : x;
}

struct slice read_slice(struct reader *r)
{
	uint64_t n = read_varint(r);

	if (n > reader_left(r))
		r->bad = true;
	return read_bytes(r, r->bad ? 0 : (size_t)n);
}

bool reader_done(const struct reader *r)
{
	return !r->bad && r->p == r->end;
}

struct arena_block {
	struct arena_block *next;
	size_t used, room;
	alignas(max_align_t) uint8_t bytes[];
};

/* A new block of at least n bytes.  An ordinary one becomes the first; one for a single large piece goes behind
 * it, so that the space left in the first is still used. */
static struct arena_block *add_block(struct arena *a, size_t n)
{
	size_t room = a->first ? MIN(MAX(a->first->room, BLOCK_FIRST) * 2, BLOCK_MOST) : BLOCK_FIRST;
	bool large = n > room / 2;

	if (n > SIZE_MAX - sizeof(struct arena_block))
		return NULL;
	struct arena_block *block = malloc(sizeof(*block) + (large ? n : room));
	if (!block)
		return NULL;
	block->used = 0;
	block->room = large ? n : room;
	if (large && a->first) {
		block->next = a->first->next;
		a->first->next = block;
	} else {
		block->next = a->first;
		a->first = block;
	}
	return block;
}

/* n bytes, not zeroed; padding up to the alignment counts as used. */
static void *take_bytes(struct arena *a, size_t n, size_t alignment)
{
	struct arena_block *block = a->first;
	size_t pad = block ? -block->used & (alignment - 1) : 0;

	if (a->failed)
		return NULL;
	if (n > SIZE_MAX / 2 || (a->cap && (a->used > a->cap || n + pad > a->cap - a->used)))
		goto failed;
	if (!block || pad > block->room - block->used || n > block->room - block->used - pad) {
		block = add_block(a, n);
		pad = 0;
		a->starved = block == NULL;
	}
	if (!block)
		goto failed;
	void *p = block->bytes + block->used + pad;
	block->used += pad + n;
	a->used += pad + n;
	return p;
failed:
	a->failed = true;
	return NULL;
}

void *arena_alloc(struct arena *a, size_t n)
{
	void *p = take_bytes(a, n, alignof(max_align_t));

	return p ? memset(p, 0, n) : NULL;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size) {
		a->failed = true;
		return NULL;
	}
	return arena_alloc(a, count * size);
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
	void *copy = take_bytes(a, n, alignof(max_align_t));

	return copy && n ? memcpy(copy, p, n) : copy;
}

char *arena_text(struct arena *a, struct slice s)
{
	char *copy = s.n < SIZE_MAX ? take_bytes(a, s.n + 1, 1) : NULL;

	if (!copy)
		return NULL;
	if (s.n)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

struct slice arena_slice(struct arena *a, struct slice s)
{
	uint8_t *copy = take_bytes(a, s.n, 1);

	if (!copy)
		return (struct slice){ NULL, 0 };
	if (s.n)
		memcpy(copy, s.p, s.n);
	return (struct slice){ copy, s.n };
}

static void free_blocks(struct arena_block *block)
{
	while (block) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
}

void arena_reset(struct arena *a)
{
	if (a->first) {
		free_blocks(a->first->next);
		a->first->next = NULL;
		a->first->used = 0;
	}
	a->used = 0;
	a->failed = a->starved = false;
}

void arena_release(struct arena *a)
{
	free_blocks(a->first);
	*a = (struct arena){ .cap = a->cap };
}
