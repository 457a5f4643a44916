/* Policy: what a business line's registers are and who decides what (design protocol §8, authority.md).
 *
 * The text (terrace-policy(5)) is read once, at `policy check`, by the reader in ctl/; what is signed, sent and
 * activated is the canonical form that policy_put writes and policy_get reads back: the same bytes for the same
 * policy.  A struct policy lives in one arena and is never changed after it is read. */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include "core/rule.h"
#include "core/segment.h"

enum unit_source { UNIT_COLUMN, UNIT_ORIGIN, UNIT_VIA, UNIT_ALL };

struct policy_group {
	const char *name;
	uint32_t ncolumns;
	const char **columns;            /* in the policy's order; the group's order everywhere */
	uint8_t own, propose;            /* bit 1 << level */
	const char *lock, *lock_say;     /* NULL = none */
	const char *on_conflict;         /* "max COLUMN", "min COLUMN", NULL */
};

struct policy_rule {
	const char *name, *check, *say;
	bool warn;                       /* else refuse */
	uint8_t at;                      /* levels that check it */
};

struct policy_deadline {
	const char *name, *from, *to;
	uint32_t days;
	bool working_days;
};

struct policy_register {
	const char *name;                /* the table's name */
	uint32_t nkey;
	const char **key;
	enum unit_source unit_source;
	const char *unit_column;         /* UNIT_COLUMN, UNIT_VIA */
	const char *unit_register;       /* UNIT_VIA: the parent register */
	enum level ceiling, floor;       /* PROVINCE and VILLAGE where not said */
	bool assigned;                   /* numbers of an INTEGER PRIMARY KEY are the application's promise */
	bool application_schema;         /* schema = application: the policy checks the shape and waits */
	bool ignore_foreign_keys;        /* foreign_keys = ignore */
	uint8_t create, remove, propose; /* group row: levels with each right */
	uint32_t ngroups;                /* `row` not counted */
	const struct policy_group *groups;
	uint32_t nrules;
	const struct policy_rule *rules;
	uint32_t ndeadlines;
	const struct policy_deadline *deadlines;
	uint32_t nidentity;
	const char **identity;
	uint32_t nlocal;
	const char **local;              /* triggers that run on our connection */
	uint32_t npublish;
	const char **publish;            /* columns a public notice may show */
	const char *hold;                /* publish/retention block's other words, verbatim; NULL */
	uint32_t retention_days;         /* 0 = none said */
};

struct policy_parameter_value {
	const char *from;                /* ISO date */
	const char *value;
};

struct policy_parameter {
	const char *name, *unit;         /* unit of measure */
	uint32_t nvalues;
	const struct policy_parameter_value *values;   /* by date, ascending */
};

struct policy_named {                    /* calendar, report, codes, delegate …: title and key = values, in order */
	const char *kind, *name;
	uint32_t nwords;
	const char **words;              /* key, value, key, value … */
};

struct policy {
	const char *name;
	uint64_t issuer, version;        /* issuer: filled by publish; 0 in a checked text */
	const char *effective, *expires; /* ISO dates; NULL = at once, never */
	uint32_t nstatements;
	const char **statements;         /* DDL, one statement each, in order */
	uint32_t nregisters;
	const struct policy_register *registers;
	uint32_t nparameters;
	const struct policy_parameter *parameters;
	uint32_t nnamed;
	const struct policy_named *named;
	struct slice text;               /* the text for people, comments and all */
};

/* Canonical form (terrace-wire(7)); text last. */
int policy_put(const struct policy *p, struct buf *b, struct err *err);
/* Reads it back, every count capped; also checks what every node relies on: names unique and well-formed, groups
 * disjoint, a level that owns each group, delete by default with the highest owner. */
int policy_get(struct slice canonical, struct arena *a, struct policy *ret, struct err *err);

const struct policy_register *policy_register(const struct policy *p, const char *name);   /* NULL = none */
/* Group's index in the register, counted from 1; 0 where none has that name. */
uint32_t policy_group_number(const struct policy_register *r, struct slice name);
/* Whether rows of the register come to a level: not above its ceiling, not below its floor. */
bool policy_comes_to(const struct policy_register *r, enum level level);
/* The mode of a level: group 0 is `row`, for which right says create or delete. */
enum mode policy_mode(const struct policy_register *r, uint32_t group, enum right right, enum level level);
/* What a sentence of changes between two versions lacks to be allowed: a table or column dropped, a key or unit
 * changed; err names it. */
int policy_follows(const struct policy *before, const struct policy *after, struct err *err);

#endif
