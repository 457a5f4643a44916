/* The reports' inside: only daemon/engine/report*.c include this. */
#ifndef ENGINE_REPORT_INSIDE_H
#define ENGINE_REPORT_INSIDE_H

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
	bool tree, deep;
	uint64_t author, with;           /* with: a neighbour */
	json_t *ret;
	int found;                       /* *ret_exit */
};

/* The commands. */
int report_status(struct report *r, struct err *err);
int report_peers_list(struct report *r, struct err *err);
int report_units_list(struct report *r, struct err *err);
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

/* ---- parts of documents; NULL where memory is short, which json's own setters pass on as an error */
json_t *json_unit(uint64_t unit);                /* "620702000000"; null where none */
json_t *json_level(uint64_t unit);
json_t *json_time(int64_t ms);                   /* null for 0 */
json_t *json_count(uint64_t n);
json_t *json_words(const char *text);            /* null for NULL */
json_t *json_cell(struct cell c);
json_t *json_who(uint64_t unit);                 /* {unit, level} */
json_t *json_ident(struct ident i);              /* {level, unit, epoch, tick}; null where none */
/* A policy list by its hash: [{issuer, version}]; its bare number as text where it is not known here. */
json_t *json_list(struct report *r, uint64_t hash);
/* A key in the database's form, as people write it. */
json_t *json_key(struct report *r, const struct reg *reg, struct cell key);
/* A value with its cells: {level, unit, epoch, tick, values}; null for NULL. */
json_t *report_value(struct report *r, const struct reg *reg, const struct value *v);
/* The records that the filter names, oldest first. */
int report_row_records(struct report *r, json_t **ret, struct err *err);
/* Puts v under name and takes it over; a NULL v becomes null. */
void put(json_t *object, const char *name, json_t *v);

int report_catalog(struct report *r, struct err *err);
struct reg *report_reg(struct report *r, const char *name);      /* NULL = not known here */
int report_id(struct report *r, struct err *err);        /* the first word as filter.id */

#endif
