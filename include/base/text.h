/* Text: UTF-8, hexadecimal, base64url, quoting for people. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

bool utf8_valid(struct slice s);
size_t utf8_width(const char *s);                /* columns on a terminal: a CJK character takes two */
void hex_put(struct buf *b, struct slice s);     /* lower case */
int hex_get(struct slice text, uint8_t *ret, size_t n);       /* 0, or -1 where not exactly n bytes */
void base64url_put(struct buf *b, struct slice s);            /* without padding, RFC 4648 section 5 */
int base64url_get(struct slice text, uint8_t *ret, size_t size, size_t *ret_n);
char *text_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));    /* owned by the caller */
/* Strict decimal number of the whole text, least..most; 0 or -1. */
int text_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret);

#endif
