/* Catalog: the registers as this node holds them now: the active policies joined with the application's tables
 * and with the small numbers (register, column, group) that stand in triggers, logs and state tables.
 *
 * Numbers are given once and never change their meaning; they are local and never leave the node. */
#ifndef STORE_CATALOG_H
#define STORE_CATALOG_H

#include "core/policy.h"
#include "store/db.h"

struct column {
	uint32_t number;                 /* in the log, from 1; below 1 << 14 */
	const char *name;
	uint32_t group;                  /* number of its group; 0 for key and unit columns */
	uint32_t in_group;               /* its place in the group's order */
	char affinity;                   /* 'T'ext 'N'umeric 'I'nteger 'R'eal 'B'lob/none */
	bool binary;                     /* collation BINARY */
	bool not_null;
	struct cell fallback;            /* the declared default as the column stores it; NULL where none or computed */
	bool computed;                   /* the default is an expression (CURRENT_TIMESTAMP …): not known beforehand */
	bool present;                    /* the table has it; else values go to terrace_overflow */
};

struct group {
	uint32_t number;                 /* 1 … 63 */
	const char *name;
	uint32_t ncolumns;
	struct column **columns;         /* in the policy's order */
	const struct policy_group *policy;       /* NULL: no active policy has it any more */
};

/* A register whose table had rows before its policy came: until `terracectl adopt` says what is to be kept it is
 * neither watched nor written; then its rows are sealed slice by slice. */
enum adoption { ADOPT_NOT, ADOPT_WAITS, ADOPT_MINE, ADOPT_SUPERIOR, ADOPT_REVIEW };
const char *adoption_word(enum adoption a);      /* "mine", "superior", "review"; NULL for the others */
enum adoption adoption_of(const char *word);     /* ADOPT_NOT where it is none of the three */

struct reg {                             /* `register` is a keyword of C */
	uint32_t number;
	const char *name;
	uint64_t issuer;
	const struct policy_register *policy;
	const struct policy *document;
	uint32_t nkey;
	struct column **key;
	struct column *unit;             /* NULL unless unit_source is UNIT_COLUMN */
	struct column *via;              /* UNIT_VIA: the column that refers to a row of `parent`; else NULL */
	struct reg *parent;
	uint32_t ndependents;            /* registers whose rows take their unit from a row of this one */
	struct reg **dependents;
	bool rowid_key;                  /* the key is an INTEGER PRIMARY KEY */
	uint32_t ncolumns;               /* key, unit and groups' */
	struct column *columns;
	uint32_t nlocal;                 /* the table's other columns: they never travel, but stand in the log where a */
	struct column *local;            /* row is put back that this level may not delete */
	uint32_t ngroups;                /* greatest number + 1; index = number, [0] is `row` */
	struct group **groups;           /* NULL where a number is not in use */
	bool hold;                       /* schema hold: the application's table is missing or lacks a column */
	enum adoption adoption;
};

struct catalog {
	struct arena arena;
	uint32_t nregs;
	struct reg **regs;               /* in parents-first order (foreign keys) */
	bool follows;                    /* some register takes its unit from another */
	uint32_t npolicies;
	const struct policy **policies;  /* active */
	uint64_t list;                   /* hash of the active list */
	struct policy_entry entries[64];
	uint32_t nentries;
};

/* Builds it from terrace_policy (state active), giving numbers to what is new (in the caller's transaction, or in one
 * of its own).  A reader leaves out a register that has no numbers yet.  The policy of the higher issuer comes
 * first; a register that a second policy names again is the first's. */
int catalog_load(struct db *db, struct catalog **ret, struct err *err);
void catalog_release(struct catalog *c);
struct reg *catalog_register(const struct catalog *c, struct slice name);        /* NULL = none */
struct reg *catalog_number(const struct catalog *c, uint32_t number);
struct group *reg_group(const struct reg *r, struct slice name);
struct column *group_column(const struct group *g, struct slice name);

#endif
