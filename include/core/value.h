/* Cells and keys: SQLite's five storage classes as bytes that are the same on every node.
 *
 * Canonical form of a cell (used in hashes, keys and stores, never dependent on a machine): one byte class
 * (enum cell_type), then nothing | zigzag varint | 8 bytes IEEE 754 little-endian, −0 as 0 | varint length and
 * bytes.  A key in canonical form is its cells one after the other.  In the database a composite key is its
 * columns joined by `,`, each quote(c), or 'T'||hex(c) where it is text (design architecture.md, SQLite rules);
 * a single-column key is the cell itself. */
#ifndef CORE_VALUE_H
#define CORE_VALUE_H

#include "base/bytes.h"
#include "base/err.h"

enum cell_type { CELL_NULL, CELL_INT, CELL_REAL, CELL_TEXT, CELL_BLOB };

struct cell {
	enum cell_type type;
	union {
		int64_t i;
		double r;
		struct slice s;          /* a view; owned by an arena or the caller */
	};
};

struct key {
	const struct cell *cells;
	uint32_t n;
};

bool cell_equal(struct cell a, struct cell b);   /* class and bytes; −0 equals 0 */
int cell_compare(struct cell a, struct cell b);  /* NULL < numbers < text < blob, like SQLite with BINARY */
size_t cell_size(struct cell c);                 /* bytes of the canonical form */
void cell_put(struct buf *b, struct cell c);     /* canonical form */
struct cell cell_get(struct reader *r);          /* sets r->bad */
struct cell cell_copy(struct arena *a, struct cell c);

int key_compare(struct key a, struct key b);
bool key_equal(struct key a, struct key b);
void key_put(struct buf *b, struct key k);       /* varint n, cells */
struct key key_get(struct reader *r, struct arena *a);
struct key key_copy(struct arena *a, struct key k);
/* For people: `12`, `张三-7`, `3,南村`; quotes only where needed. */
void key_text(struct buf *b, struct key k);
/* The database's one-cell form of a key: the cell itself for n = 1, else the joined text (in arena), and back. */
struct cell key_column(struct key k, struct arena *a);
int key_from_column(struct cell column, uint32_t n, struct arena *a, struct key *ret, struct err *err);

#endif
