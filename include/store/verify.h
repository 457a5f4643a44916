/* Verify: walks over everything that can be checked by itself.  Each hands its rows to fn until fn returns non-zero; slices live
 * until it returns. */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store/outbox.h"

struct kept_segment {                    /* the columns beside the bytes that say the same */
	int64_t id;
	uint64_t author, stream, position, tick;
	uint32_t kind, epoch;
	struct slice hash, bytes;
};
int verify_segments(struct db *db, int (*fn)(void *arg, const struct kept_segment *s), void *arg, struct err *err);
/* Segments of that place that are kept (several, after a restore), and whether one of them has the hash. */
int verify_place(struct db *db, uint64_t author, uint32_t kind, uint64_t stream, uint64_t position, struct slice hash,
                 bool *ret_kept, bool *ret_fits, struct err *err);
/* Heads of streams, with kind and stream as segments of them have it. */
int verify_streams(struct db *db,
                   int (*fn)(void *arg, uint64_t author, uint32_t kind, uint64_t stream, uint64_t position, struct slice hash),
                   void *arg, struct err *err);
/* bytes empty: the segment is not kept. */
int verify_outbox(struct db *db, int (*fn)(void *arg, uint64_t seq, struct slice head, struct slice bytes), void *arg,
                  struct err *err);
int verify_receipts(struct db *db, int (*fn)(void *arg, int64_t id, const struct receipt *r), void *arg, struct err *err);
/* segment 0: none is named. */
int verify_policies(struct db *db,
                    int (*fn)(void *arg, uint64_t issuer, uint64_t version, struct slice canonical, int64_t segment), void *arg,
                    struct err *err);
int verify_lists(struct db *db, int (*fn)(void *arg, uint64_t hash, struct slice body), void *arg, struct err *err);
int verify_versions(struct db *db, int (*fn)(void *arg, int64_t id), void *arg, struct err *err);
/* Rows whose parent is not there; row 0: the table has no rowid. */
int verify_foreign(struct db *db, int (*fn)(void *arg, const char *table, int64_t row, const char *parent), void *arg,
                   struct err *err);

#endif
