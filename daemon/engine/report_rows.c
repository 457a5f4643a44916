/* Report: conflicts, returns, issues, quarantine. */
#include "engine/report_inside.h"

#include <string.h>

/* ---- values */

/* The line of JSON that a value's text is; what does not read back stands as text. */
json_t *json_values(const char *text)
{
	json_t *j = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	return j != NULL ? j : json_words(text);
}

/* Its version, without its cells. */
int stored_version(struct report *r, const char *reg, struct slice stored, struct value *ret)
{
	const struct reg none = { .name = reg };
	struct err ignored;

	*ret = (struct value){ .group = GROUP_ROW };
	return stored.n > 0 ? value_load(stored, &none, &r->arena, ret, &ignored) : ERR_NOT_FOUND;
}

/* {level, unit, epoch, tick, values}; null where there is no such value. */
static json_t *side_json(struct report *r, const char *reg, struct slice stored, const char *text, struct ident otherwise)
{
	struct ident who = otherwise;
	struct value v;
	json_t *j;

	if (stored_version(r, reg, stored, &v) == 0)
		who = version_ident(v.v);
	if (who.unit == UNIT_NONE && text == NULL)
		return json_null();
	j = who.unit != UNIT_NONE ? json_ident(who) : json_object();
	put(j, "values", json_values(text));
	return j;
}

/* What the losing value was written over. */
static json_t *base_json(struct report *r, const struct record *rec)
{
	struct value v;

	if (rec->base.n > 0 || rec->base_text != NULL)
		return side_json(r, rec->reg, rec->base, rec->base_text, (struct ident){ 0 });
	return stored_version(r, rec->reg, rec->lost_value, &v) == 0 ? json_ident(v.v->base) : json_null();
}

/* ---- records */

static json_t *conflict_json(struct report *r, const struct record *rec)
{
	json_t *j = json_object();

	put(j, "id", json_integer(rec->id));
	put(j, "at", json_time(rec->at_ms));
	put(j, "kind", json_words(rec->kind));
	put(j, "register", json_words(rec->reg));
	put(j, "key", json_key(r, report_reg(r, rec->reg), rec->key));
	put(j, "group", json_words(rec->group));
	put(j, "kept", side_json(r, rec->reg, rec->kept, rec->kept_text, (struct ident){ 0 }));
	put(j, "lost", side_json(r, rec->reg, rec->lost_value, rec->lost_text, rec->lost));
	put(j, "base", base_json(r, rec));
	put(j, "rule", json_integer(rec->rule));
	put(j, "policy", json_list(r, rec->policy));
	put(j, "state", json_words(rec->state));
	return j;
}

static void record_more(struct report *r, const struct record *rec, json_t *j)
{
	put(j, "unit", json_unit(rec->unit));
	put(j, "why", json_words(rec->why));
	put(j, "say", json_words(rec->say));
	put(j, "decided_by", json_named(r, rec->decider));
	put(j, "tree_time", json_time(rec->tree_s * 1000));
	put(j, "vouched", json_boolean(rec->vouched));
	put(j, "note", json_words(rec->note));
	put(j, "actor", json_words(rec->actor));
	report_record_facts(r, rec, j);
}

static json_t *return_json(struct report *r, const struct record *rec)
{
	json_t *j = json_object();

	put(j, "id", json_integer(rec->id));
	put(j, "register", json_words(rec->reg));
	put(j, "key", json_key(r, report_reg(r, rec->reg), rec->key));
	put(j, "group", json_words(rec->group));
	put(j, "by", json_named(r, rec->decider));
	put(j, "reason", json_words(rec->say != NULL && *rec->say != '\0' ? rec->say : rec->why != NULL ? rec->why : rec->kind));
	put(j, "at", json_time(rec->at_ms));
	return j;
}

static int conflict_line(void *arg, const struct record *rec)
{
	struct report *r = arg;

	json_array_append_new(r->ret, conflict_json(r, rec));
	r->found |= rec->state != NULL && strcmp(rec->state, "open") == 0;
	return 0;
}

static int return_line(void *arg, const struct record *rec)
{
	struct report *r = arg;

	json_array_append_new(r->ret, return_json(r, rec));
	r->found |= rec->state != NULL && strcmp(rec->state, "open") == 0;
	return 0;
}

static int conflict_whole(void *arg, const struct record *rec)
{
	struct report *r = arg;

	r->ret = conflict_json(r, rec);
	record_more(r, rec, r->ret);
	return 1;
}

static int return_whole(void *arg, const struct record *rec)
{
	struct report *r = arg;

	r->ret = return_json(r, rec);
	put(r->ret, "kind", json_words(rec->kind));
	put(r->ret, "kept", side_json(r, rec->reg, rec->kept, rec->kept_text, (struct ident){ 0 }));
	put(r->ret, "lost", side_json(r, rec->reg, rec->lost_value, rec->lost_text, rec->lost));
	put(r->ret, "base", base_json(r, rec));
	put(r->ret, "rule", json_integer(rec->rule));
	put(r->ret, "policy", json_list(r, rec->policy));
	put(r->ret, "state", json_words(rec->state));
	record_more(r, rec, r->ret);
	return 1;
}

static int records(struct report *r, enum record_class class, int (*fn)(void *arg, const struct record *rec), struct err *err)
{
	int rc = report_catalog(r, err);

	r->filter.records = class;
	r->ret = json_array();
	return rc == 0 ? report_records(r->db, &r->filter, fn, r, err) : rc;
}

static int record_one(struct report *r, enum record_class class, int (*fn)(void *arg, const struct record *rec), struct err *err)
{
	int rc = report_id(r, err);

	if (rc == 0)
		rc = report_catalog(r, err);
	r->filter.records = class;
	if (rc == 0)
		rc = report_records(r->db, &r->filter, fn, r, err);
	if (rc == 0 && r->ret == NULL)
		rc = err_set(err, ERR_NOT_FOUND, "there is no %s %s", class == RECORDS_CONFLICTS ? "conflict" : "return", r->words[0]);
	return rc;
}

int report_conflicts_list(struct report *r, struct err *err)
{
	return records(r, RECORDS_CONFLICTS, conflict_line, err);
}

int report_conflicts_show(struct report *r, struct err *err)
{
	return record_one(r, RECORDS_CONFLICTS, conflict_whole, err);
}

int report_returns_list(struct report *r, struct err *err)
{
	return records(r, RECORDS_RETURNS, return_line, err);
}

int report_returns_show(struct report *r, struct err *err)
{
	return record_one(r, RECORDS_RETURNS, return_whole, err);
}

static int record_line(void *arg, const struct record *rec)
{
	struct report *r = arg;
	json_t *j = conflict_json(r, rec);

	record_more(r, rec, j);
	json_array_append_new(r->ret, j);
	return 0;
}

int report_row_records(struct report *r, json_t **ret, struct err *err)
{
	json_t *kept = r->ret;
	int found = r->found, rc = records(r, RECORDS_ANY, record_line, err);

	*ret = r->ret;
	r->ret = kept;
	r->found = found;
	return rc;
}

json_t *report_value(struct report *r, const struct reg *reg, const struct value *v)
{
	_cleanup_(buf_release) struct buf text = { 0 };
	json_t *j;

	(void)r;
	if (v == NULL)
		return json_null();
	value_text(&text, reg, v);
	j = json_ident(version_ident(v->v));
	put(j, "values", json_values(buf_text(&text)));
	return j;
}

/* ---- issues */

static json_t *issue_json(struct report *r, const struct issue *i)
{
	json_t *j = json_object();

	put(j, "id", json_integer(i->id));
	put(j, "kind", json_words(i->kind));
	put(j, "register", json_words(i->reg));
	put(j, "key", json_key(r, report_reg(r, i->reg), i->key));
	put(j, "unit", json_unit(i->unit));
	put(j, "text", json_words(i->text));
	put(j, "since", json_time(i->since_ms));
	put(j, "state", json_words(i->state));
	put(j, "note", json_words(i->note));
	put(j, "actor", json_words(i->actor));
	return j;
}

static int issue_line(void *arg, const struct issue *i)
{
	struct report *r = arg;

	json_array_append_new(r->ret, issue_json(r, i));
	r->found |= i->state != NULL && strcmp(i->state, "open") == 0;
	return 0;
}

static int issue_whole(void *arg, const struct issue *i)
{
	struct report *r = arg;

	r->ret = issue_json(r, i);
	return 1;
}

int report_issues_list(struct report *r, struct err *err)
{
	int rc = report_catalog(r, err);

	r->ret = json_array();
	return rc == 0 ? report_issues(r->db, &r->filter, issue_line, r, err) : rc;
}

int report_issues_show(struct report *r, struct err *err)
{
	int rc = report_id(r, err);

	if (rc == 0)
		rc = report_catalog(r, err);
	if (rc == 0)
		rc = report_issues(r->db, &r->filter, issue_whole, r, err);
	if (rc == 0 && r->ret == NULL)
		rc = err_set(err, ERR_NOT_FOUND, "there is no issue %s", r->words[0]);
	return rc;
}

/* ---- quarantine */

static int waiting_line(void *arg, const struct waiting_row *w)
{
	struct report *r = arg;
	struct reg *reg = catalog_number(r->catalog, w->reg);
	json_t *j = json_object();

	put(j, "id", w->id != 0 ? json_integer(w->id) : json_null());    /* none: too large to be sealed, an issue */
	put(j, "register", json_words(reg != NULL ? reg->name : NULL));
	put(j, "key", json_key(r, reg, w->key));
	put(j, "alive", json_boolean(w->alive));
	put(j, "why", json_words(w->why));
	put(j, "since", json_time(w->since_ms));
	put(j, "tries", json_integer(w->tries));
	put(j, "state", json_words(w->dropped_ms != 0 ? "dropped" : "waits"));
	put(j, "dropped", w->dropped_ms != 0 ? json_time(w->dropped_ms) : json_null());
	put(j, "reason", json_words(w->reason));
	put(j, "actor", json_words(w->actor));
	json_array_append_new(r->ret, j);
	r->found = 1;
	return 0;
}

int report_quarantine_list(struct report *r, struct err *err)
{
	int rc = report_catalog(r, err);

	r->ret = json_array();
	return rc == 0 ? report_quarantine(r->db, r->filter.all, waiting_line, r, err) : rc;
}
