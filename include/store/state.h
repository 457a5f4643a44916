/* State: what this node holds of each row beside the register's table: unit, life, versions, proposals, former
 * lives, tombstones, removals, the row's term in the digest (authority.md, What a node holds for a row).
 *
 * A row's versions are one small number into terrace_version, a table of distinct version sets.  Values of the
 * standing decisions are the table's columns (or the quarantine's); all else stands in terrace_aside. */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include "core/digest.h"
#include "store/catalog.h"
#include "store/sets.h"

enum state_flag {
	STATE_ALIVE = 1,                 /* group row says: lives */
	STATE_ASIDE = 2,                 /* terrace_aside has entries */
	STATE_QUARANTINE = 4,            /* the table lags: values stand in terrace_quarantine */
	STATE_OVERFLOW = 8,              /* terrace_overflow has columns */
};

/* One row as held, with its row of the rule's making.  Lives in the arena it was loaded into. */
struct held {
	struct reg *reg;
	struct key key;
	struct cell key_cell;            /* the database's one-cell form */
	bool exists;                     /* a state row is there */
	uint64_t unit;
	uint32_t flags, stored_flags;    /* as they are to be, and as the state row has them */
	const struct version_set *set;
	bool has_term;
	struct term term;
	bool rehash;                     /* the term is made anew though nothing changed that the state row says */
	struct row *row;                 /* cells of standing decisions NULL until held_cells */
	bool has_cells;
};

struct state;                            /* statements a register and the cache of sets */
int state_open(struct db *db, struct state **ret, struct err *err);
void state_close(struct state *s);
void state_forget(struct state *s);      /* after a roll-back or a new catalog: caches, statements, sums not written */
int state_flush(struct state *s, struct err *err);       /* writes the digests' sums; before every commit */
void state_trim(struct state *s);        /* between rows: lets go of a cache that has grown */
/* Empty row of the register for a new key. */
int state_new(struct state *s, struct reg *r, struct arena *a, struct row **ret, struct err *err);

/* Loads the row; key's cells must outlive ret.  A row that is not held: exists false, an empty row. */
int state_load(struct state *s, struct reg *r, struct key key, struct arena *a, struct held *ret, struct err *err);
/* Writes state row, set and aside so that they say what h->row says, for a node of `scope` (out of it: a marker;
 * the groups go aside).  Subtracts the old term from the digest and leaves the new one to the hash pass.  Values that
 * go aside must have their cells (held_cells).  `erase`: a marker's values go altogether. */
int state_save(struct state *s, struct held *h, uint64_t scope, bool erase, struct arena *a, struct err *err);
int state_delete(struct state *s, struct held *h, uint64_t scope, struct err *err);

/* A value with its cells, as records, aside and quarantine keep it: version, life, columns by name. */
void value_store(struct buf *b, const struct reg *r, const struct value *v);
int value_load(struct slice stored, const struct reg *r, struct arena *a, struct value *ret, struct err *err);
/* The same for people, one line of JSON: {"column": value, …}; row: {"alive": true, "unit": "…"}. */
void value_text(struct buf *b, const struct reg *r, const struct value *v);

/* Next keys of the register in key order, after `after` (NULL = from the start), only rows whose unit is in scope
 * (UNIT_NONE = all); dead rows and markers too. */
int state_scan(struct state *s, struct reg *r, const struct cell *after, uint64_t scope, uint32_t most, struct arena *a,
               struct key **ret, uint32_t *ret_n, struct err *err);

/* Living rows with their terms (all zero while one is missing), from `from` (NULL: the first) up to, not including, `to`
 * (CELL_NULL: to the end), in key order: of the units named, or with none of those in scope.  A code that fn returns
 * ends it and is returned; cells live until fn returns. */
int state_terms(struct state *s, struct reg *r, const struct cell *from, struct cell to, uint64_t scope,
                const uint64_t *units, uint32_t nunits, int (*fn)(void *arg, struct cell key, const struct term *t), void *arg,
                struct err *err);

/* Units in which a row has been before it moved; forgotten with the row. */
int was_add(struct db *db, const struct reg *r, struct cell key, uint64_t unit, struct err *err);
bool was_below(struct db *db, const struct reg *r, struct cell key, uint64_t author);
int was_clear(struct db *db, const struct reg *r, struct cell key, struct err *err);

#endif
