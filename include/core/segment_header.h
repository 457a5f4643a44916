/* Segment header: what segment.c needs of it. */
#ifndef CORE_SEGMENT_HEADER_H
#define CORE_SEGMENT_HEADER_H

#include "core/segment.h"

/* "segment NAME: what" */
int segment_wrong(struct err *err, const struct segment_header *h, int code, const char *what);

/* The header's fields before `codec`: the compression context. */
void segment_put_context(struct buf *b, const struct segment_header *h);
/* All fields but the extensions; then those. */
void segment_put_header(struct buf *b, const struct segment_header *h);
void segment_put_extensions(struct buf *b, const struct segment_header *h);
/* The header's fields; extensions as they stand. */
int segment_get_header(struct slice bytes, struct segment_header *h, struct err *err);
/* One pass over the extension area; where entries and lists are not NULL, policy lists are kept there. */
int segment_scan_extensions(struct segment_header *h, struct policy_entry *entries, uint32_t *lists, struct err *err);

#endif
