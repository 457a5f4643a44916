/* Change: the payload of delta and state segments, columnar (terrace-wire(7)).
 *
 * One codec serves both kinds.  A change is what a segment says of one row: its key, unit and life, and parts.
 * A part is one value of one group: group `row` (lives or not), a group whole or in some of its columns, a
 * proposal.  A register and its groups and columns are named in full once a segment, so that nobody needs a
 * policy to decode it.  Rows are grouped by register and shape (which parts and columns), keys sorted; versions,
 * idents and units are tables that streams of run lengths point into.  Encoder and decoder own no file and no
 * socket; a decoded payload lives in the caller's arena and views the raw bytes. */
#ifndef CORE_CHANGE_H
#define CORE_CHANGE_H

#include "core/value.h"
#include "core/version.h"

enum change_flag {
	CHANGE_GONE = 1,                 /* state down: the marker with this version of group row is dropped above */
	CHANGE_NOT_HELD = 2,             /* answer to a need: the sender does not hold the row; no parts */
	CHANGE_LATE = 4,                 /* captured-late: found by an audit, not by a trigger */
};

struct wire_group {                      /* a group as the segment names it */
	struct slice name;
	uint32_t ncolumns;
	const struct slice *columns;
};

struct wire_register {
	struct slice name;
	uint32_t nkey;                   /* cells of a key */
	uint32_t ngroups;                /* group `row` is not listed */
	const struct wire_group *groups;
};

#define PART_ROW UINT32_MAX              /* part.group of group `row` */

struct part {
	uint32_t group;                  /* index into the register's groups, or PART_ROW */
	const struct version *version;
	struct ident life;
	bool whole;                      /* of a group: all its columns in the author's policy are here; PART_ROW: true */
	bool alive;                      /* PART_ROW */
	uint64_t row_unit;               /* PART_ROW: the unit it names */
	uint32_t ncolumns;
	const uint32_t *columns;         /* indexes into the group's columns, ascending */
	const struct cell *cells;        /* ncolumns */
};

struct change {
	uint32_t reg;                    /* index into payload.registers */
	uint32_t flags;                  /* enum change_flag */
	struct key key;
	uint64_t unit;                   /* of the row, as the sender holds it */
	uint32_t nparts;
	const struct part *parts;
};

/* A document that rides in a state segment: a broadcast segment verbatim, a record, an epoch, a settled receipt, the
 * end marker of a heal, what the parent asks of the child. */
enum item_kind { ITEM_BROADCAST = 1, ITEM_RECORD = 2, ITEM_EPOCH = 3, ITEM_SETTLED = 4, ITEM_RETURN = 5, ITEM_HEALED = 7,
                 ITEM_ASK = 8 };

struct item {
	uint32_t kind;                   /* unknown even kinds are ignored, odd ones refused */
	struct slice body;
};

struct payload {
	uint32_t nregisters, nchanges, nitems;
	const struct wire_register *registers;
	const struct change *changes;
	const struct item *items;
};

/* Appends the encoding of p to b.  Changes may stand in any order; the encoder sorts (by register as given, then
 * shape, then key) and names only what is used, so numbers of registers, groups and columns come back smaller.
 * Versions are told apart by content; −0 becomes 0.  ERR_LIMIT: above a cap, cut smaller; ERR_FORMAT: a real that is
 * not a number; ERR_BUG: numbers out of range, NULL in a key. */
int payload_encode(const struct payload *p, struct buf *b, struct err *err);
/* Decodes raw into p (arrays in the arena, views into raw).  ERR_FORMAT names the place; ERR_LIMIT the cap. */
int payload_decode(struct slice raw, struct arena *a, struct payload *p, struct err *err);

#endif
