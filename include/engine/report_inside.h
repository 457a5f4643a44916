/* The reports' inside: only daemon/engine/report*.c include this. */
#ifndef ENGINE_REPORT_INSIDE_H
#define ENGINE_REPORT_INSIDE_H

#include "engine/space.h"
#include "core/change.h"
#include "core/segment.h"
#include "core/status.h"
#include "engine/report.h"
#include "store/catalog.h"
#include "store/links.h"
#include "store/reports.h"
#include "store/table.h"

struct report {
	const struct report_home *home;
	struct db *db;
	struct arena arena;
	struct catalog *catalog;         /* NULL until report_catalog */
	const char *words[4];            /* what stands behind the command's own words, options taken out */
	uint32_t n;
	struct report_filter filter;     /* of the options */
	bool tree, deep, evidence;
	uint64_t author, with;           /* with: a neighbour */
	json_t *ret;
	int found;                       /* *ret_exit */
};

/* The commands. */
int report_status(struct report *r, struct err *err);
enum space report_space(const struct report *r);
int report_peers_list(struct report *r, struct err *err);
int report_units_list(struct report *r, struct err *err);
int report_units_names(struct report *r, struct err *err);
int report_policy_list(struct report *r, struct err *err);
int report_policy_show(struct report *r, struct err *err);
int report_policy_status(struct report *r, struct err *err);
int report_log(struct report *r, struct err *err);
int report_conflicts_list(struct report *r, struct err *err);
int report_conflicts_show(struct report *r, struct err *err);
int report_returns_list(struct report *r, struct err *err);
int report_returns_show(struct report *r, struct err *err);
int report_proposals_list(struct report *r, struct err *err);
int report_proposals_show(struct report *r, struct err *err);
int report_issues_list(struct report *r, struct err *err);
int report_issues_show(struct report *r, struct err *err);
int report_quarantine_list(struct report *r, struct err *err);
int report_why(struct report *r, struct err *err);
int report_why_unit(struct report *r, struct err *err);
int report_segment_list(struct report *r, struct err *err);
int report_segment_dump(struct report *r, struct err *err);
int report_segment_verify(struct report *r, struct err *err);
int report_verify(struct report *r, struct err *err);
int report_reconcile(struct report *r, struct err *err);
/* (report_plan.c) What audit and comparisons with those peers found, appended to rows; found: counted by number of the
 * register; *ret_more: rows left out. */
int report_plan(struct report *r, json_t *rows, const uint64_t *peers, uint32_t npeers, uint64_t *found, uint64_t *ret_more,
                struct err *err);
int report_adopt(struct report *r, struct err *err);

/* ---- parts of documents; NULL where memory is short, which json's own setters pass on as an error */
json_t *json_unit(uint64_t unit);                /* "620702000000"; null where none */
json_t *json_level(uint64_t unit);
json_t *json_time(int64_t ms);                   /* null for 0 */
json_t *json_count(uint64_t n);
json_t *json_words(const char *text);            /* null for NULL */
json_t *json_cell(struct cell c);
json_t *json_who(uint64_t unit);                 /* {unit, level} */
json_t *json_named(struct report *r, uint64_t unit);     /* {unit, level, name}; "" where nobody has named it */
json_t *json_ident(struct ident i);              /* {level, unit, epoch, tick}; null where none */
/* A policy list by its hash: [{issuer, version}]; its bare number as text where it is not known here. */
json_t *json_list(struct report *r, uint64_t hash);
/* A key in the database's form, as people write it. */
json_t *json_key(struct report *r, const struct reg *reg, struct cell key);
/* The line of JSON that a value's text is; what does not read back stands as text. */
json_t *json_values(const char *text);
/* The version of a stored value, without its cells; not 0 where none is stored. */
int stored_version(struct report *r, const char *reg, struct slice stored, struct value *ret);
/* A value with its cells: {level, unit, epoch, tick, values}; null for NULL. */
json_t *report_value(struct report *r, const struct reg *reg, const struct value *v);
/* (report_facts.c) What a decision used, beside the values: put into the record's document, and into one side of it. */
void report_record_facts(struct report *r, const struct record *rec, json_t *j);
void report_side_facts(struct report *r, const char *reg, struct slice stored, json_t *side);
/* The records that the filter names, oldest first. */
int report_row_records(struct report *r, json_t **ret, struct err *err);
/* Puts v under name and takes it over; a NULL v becomes null. */
void put(json_t *object, const char *name, json_t *v);

/* ---- descendants (report_nodes.c) */

/* Policies: per issuer the active and the newest staged and failed version. */
struct issuer {
	uint64_t issuer, active, staged, failed;
};

struct issuers {
	struct issuer at[64];
	uint32_t n;
};

int report_issuer_seen(void *arg, uint64_t issuer, uint64_t version, const char *state);  /* policy_states_each, arg: issuers */
json_t *report_version_json(uint64_t version);
json_t *report_issuers_json(const struct issuers *l);
void report_issuers_of(const struct status *s, struct issuers *ret);

struct node_known {
	uint64_t unit, via;
	const char *name;
	bool direct, has_status, has_peer;
	int64_t until_s;                 /* end of the certificate; 0 = not known */
	struct status status;
	struct link link;
	bool has_link;
	char digest[16];
	int64_t digest_ms;
};

struct nodes {
	struct report *r;
	struct node_known *at;           /* ascending by unit once gathered */
	uint32_t n, room;
};

int64_t report_seconds_since(const struct report *r, int64_t ms);
bool report_is_recent(const struct report *r, int64_t ms);
int64_t report_tree_time(const struct report *r);        /* seconds; 0 = not known */
int report_nodes_gather(struct report *r, struct nodes *l, struct err *err);
void report_nodes_release(struct nodes *l);
json_t *report_child_json(const struct report *r, const struct node_known *k);
const char *report_next_of(const struct report *r, const struct node_known *k);   /* the next step; NULL = none */
const char *report_digest_name(const struct node_known *k);
/* The next step of this node itself; NULL = none. */
const char *report_own_next(const struct report *r, const struct link *l, bool has_link, const struct issuers *p,
                            const struct record_counts *counts);

/* ---- signed segments (report_segment.c, report_evidence.c) */
json_t *report_segment_json(struct report *r, const struct segment *s);          /* what its header says */
json_t *report_part_json(struct report *r, const struct wire_register *w, const struct part *p);
/* Of the own chain, of the unit's certificate as known here, then of its former ones; *ret_by says which held. */
/* That the payload reads. */
int report_segment_sound(struct report *r, const struct segment *s, struct err *err);
int report_segment_authentic(struct report *r, const struct segment *s, const char **ret_by, struct err *err);
/* The delta that brought a value of the row: {id, name}, with --evidence the header, whether it is authentic, by whose
 * key, and what it says of the row; null where it is kept neither here nor among what was fetched (report_home). */
int report_evidence_of(struct report *r, const struct reg *reg, struct key key, const char *group, const struct version *v,
                       json_t **ret, struct err *err);

/* ---- verify (report_verify.c, report_verify_rows.c) */
struct checking {
	struct report *r;
	uint64_t segments, bad, triggers, rows, receipts, findings;
	bool pages_bad;
};
/* Puts a finding; after the first VERIFY_FINDINGS of a check only their number grows. */
#define VERIFY_FINDINGS 1000u
void verify_finding(struct checking *c, const char *check, const char *error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void verify_progress(struct checking *c, const char *what, uint64_t done);
/* Every row's term against what state and table say, every sum, every version set, foreign keys. */
int verify_rows(struct checking *c, struct err *err);

int report_catalog(struct report *r, struct err *err);
struct reg *report_reg(struct report *r, const char *name);      /* NULL = not known here */
int report_id(struct report *r, struct err *err);        /* the first word as filter.id */

#endif
