/* View: what of a document a person wants to see, as a document of finished cells that table_put lays out.  Lists
 * show short forms: only the columns that differ, `column: kept → lost`, cut visibly with "…"; `show` and --json have
 * the whole. */
#ifndef CTL_VIEW_H
#define CTL_VIEW_H

#include "ctl/ctl.h"

struct view {
	struct ctl *c;
	json_t *names;                   /* unit → name, of every unit known here; loaded once */
	int64_t now_ms;
	bool cut;                        /* something was cut with "…" */
};

/* A document to print for the command's words; NULL where memory is short.  *ret_cut: something is shown short. */
json_t *view_of(struct ctl *c, const json_t *document, bool *ret_cut);

/* ---- parts, for the files view*.c */
const char *view_words(const struct view *v, const char *english, const char *chinese);
void view_printf(const struct view *v, struct buf *b, const char *english, const char *chinese, ...)
	__attribute__((format(printf, 3, 5), format(printf, 4, 5)));
const char *view_text(const json_t *object, const char *key);    /* "" where it is no text */
/* Puts text under key; "-" where it is empty. */
void view_put(json_t *object, const char *key, struct buf *text);
void view_say(json_t *object, const char *key, const char *text);
/* Translated. */
void view_phrase(const struct view *v, json_t *object, const char *key, const char *text);
/* A kind of record or issue: "edited while deleted". */
void view_kind(const struct view *v, json_t *object, const char *key, const char *kind);
/* "2026-11-25 07:43", local. */
void view_time(json_t *object, const char *key, const json_t *time);
/* "青石镇 532999101000". */
void view_unit(struct view *v, struct buf *b, const char *unit);
/* The same of {level, unit, epoch, tick}, with its level; whole: with the write's number. */
void view_who(struct view *v, struct buf *b, const json_t *who, bool whole);
void view_policy(struct view *v, struct buf *b, const json_t *list);
/* "household 532999101201000001 family". */
void view_row(struct view *v, struct buf *b, const json_t *record);
/* At most so many columns of the terminal, "…" at the end where something is left out. */
void view_cut(struct view *v, struct buf *b, const char *text, size_t columns);
/* `column: from → to`, of the columns that differ; at most `most` of them where most is not 0. */
void view_changes(struct view *v, struct buf *b, const json_t *from, const json_t *to, uint32_t most);
/* Rows {column, base, kept, lost} of the columns that differ; the others as `column=value` in b. */
json_t *view_values(struct view *v, const json_t *base, const json_t *kept, const json_t *lost, struct buf *same);
/* "5 min". */
void view_age(const struct view *v, struct buf *b, int64_t seconds);
int64_t view_since(const struct view *v, const json_t *time);    /* seconds; -1 where there is no time */
/* Why the rule decided so, in words. */
const char *view_rule(const struct view *v, const char *kind, int rule);

/* ---- whole documents */
json_t *view_status(struct view *v, const json_t *document);
json_t *view_why(struct view *v, const json_t *document);
json_t *view_why_unit(struct view *v, const json_t *document);

#endif
