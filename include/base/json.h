/* JSON: the one seam to jansson.  Reports build documents with it, terracectl prints them or tables of them. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

#include "base/bytes.h"

void json_release(json_t **document);            /* for _cleanup_(json_release) json_t *j */
int json_put(struct buf *b, const json_t *document);      /* one line, keys in order of insertion */
json_t *json_slice(struct slice text);           /* a string from bytes that may not be UTF-8: replaced by U+FFFD */

#endif
