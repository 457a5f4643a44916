/* Backup: the form of a backup file, one file with everything that a node was.
 *
 *   "terrace backup 1" and a line feed
 *   length of the header (4 bytes, little-endian), header
 *   the identity: absent, or a box (core/box.h) whose context is the header
 *   the database, a SQLite file
 *   BLAKE2b-256 chain (core/digest.h, H(0) = zero) of all before it: what stands before the database as one piece, then
 *   the database in pieces of BACKUP_PIECE bytes
 *
 * Header: unit, line, name (texts), tree time and wall time (seconds), epoch (4 bytes), tick last sealed, tick of the
 * database's own level met; last number of the outbox and its head; mode of the journal (0 rollback, 1 WAL); count of
 * links, and of each: unit, received, acknowledged, built, fed, position; cost of the passphrase (passes, KiB) and salt
 * (16 bytes, zero without identity), bytes of the identity, bytes of the database.  Numbers are varints.
 *
 * The identity's content: count of files, then name and bytes of each. */
#ifndef CORE_BACKUP_H
#define CORE_BACKUP_H

#include "core/box.h"
#include "core/digest.h"
#include "core/unit.h"

#define BACKUP_MAGIC    "terrace backup 1\n"
#define BACKUP_PIECE    (1u << 20)
#define BACKUP_HEADER   (1u << 20)       /* bytes of a header, at most */
#define BACKUP_LINKS    4096u
#define BACKUP_IDENTITY (1u << 20)       /* bytes of a box, at most */
#define BACKUP_FILES    8u

struct backup_link {                     /* heads, as store/links.h has them */
	uint64_t peer, received, acked, built, fed, position;
};

struct backup_header {
	uint64_t unit;
	char line[65], name[193];
	int64_t tree_s, wall_s;          /* tree time 0: not known then */
	uint32_t epoch;
	uint64_t sealed, met, outbox;
	struct digest outbox_head;
	bool wal;
	uint32_t nlinks;
	struct backup_link *links;
	struct box_cost cost;
	uint8_t salt[BOX_SALT];
	uint64_t identity, database;     /* bytes; identity 0 = none */
};

/* Appends magic, length and header. */
int backup_header_put(const struct backup_header *h, struct buf *b, struct err *err);
/* Length of all before the identity, from the file's first bytes (BACKUP_MAGIC's and 4 more). */
int backup_header_length(struct slice first, size_t *ret, struct err *err);
/* Links live in the arena. */
int backup_header_get(struct slice bytes, struct arena *a, struct backup_header *ret, struct err *err);

struct backup_file {
	const char *name;
	struct slice content;
};
int backup_files_put(const struct backup_file *files, uint32_t n, struct buf *b, struct err *err);
/* Names and contents in the arena; a name is a plain one, without folders. */
int backup_files_get(struct slice bytes, struct arena *a, struct backup_file ret[BACKUP_FILES], uint32_t *ret_n, struct err *err);

#endif
