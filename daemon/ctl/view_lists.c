/* Views of lists, and of one of their entries. */
#include "ctl/view.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/phrases.h"

#define LIST_CHANGES 2                   /* columns that differ, in a line of a list */
#define TEXT_COLUMNS 160

static void put_copy(json_t *to, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value)
		json_object_set(to, key, value);
}

static void put_row(struct view *v, json_t *to, const json_t *from)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	view_row(v, &b, from);
	view_put(to, "row", &b);
}

static void put_unit(struct view *v, json_t *to, const char *key, const char *unit)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	view_unit(v, &b, unit);
	view_put(to, key, &b);
}

static void put_who(struct view *v, json_t *to, const char *key, const json_t *who, bool whole)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	view_who(v, &b, who, whole);
	view_put(to, key, &b);
}

static void put_short(struct view *v, json_t *to, const char *key, const char *text)
{
	_cleanup_(buf_release) struct buf whole = { 0 }, b = { 0 };

	phrase_put(&whole, text, v->c->chinese);
	view_cut(v, &b, buf_text(&whole), TEXT_COLUMNS);
	view_put(to, key, &b);
}

static void put_changes(struct view *v, json_t *to, const char *key, const json_t *a, const json_t *z)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	view_changes(v, &b, a, z, LIST_CHANGES);
	view_put(to, key, &b);
}

/* The state is worth a column where not all are open. */
static void put_state(struct view *v, json_t *to, const json_t *from)
{
	const char *state = view_text(from, "state");

	if (*state && strcmp(state, "open"))
		view_phrase(v, to, "state", state);
}

/* ---- a line each */

static json_t *conflict_line(struct view *v, const json_t *r)
{
	json_t *j = json_object();

	put_copy(j, r, "id");
	view_time(j, "at", json_object_get(r, "at"));
	view_kind(v, j, "kind", view_text(r, "kind"));
	put_row(v, j, r);
	put_changes(v, j, "kept_lost", json_object_get(r, "kept"), json_object_get(r, "lost"));
	put_state(v, j, r);
	return j;
}

static json_t *proposal_line(struct view *v, const json_t *r)
{
	_cleanup_(buf_release) struct buf from = { 0 }, change = { 0 };
	const json_t *by = json_object_get(r, "decided_by");
	json_t *j = json_object(), *rule;
	size_t i;

	put_copy(j, r, "id");
	view_unit(v, &from, view_text(json_object_get(r, "from"), "unit"));
	if (*view_text(r, "since")) {
		view_time(j, "from", json_object_get(r, "since"));
		buf_printf(&from, " %s", view_text(j, "from"));
	}
	view_put(j, "from", &from);
	put_row(v, j, r);
	view_changes(v, &change, json_object_get(r, "standing"), r, LIST_CHANGES);
	if (json_is_object(by) && !json_is_true(json_object_get(r, "here"))) {
		buf_printf(&change, "%s", view_words(v, " (decided by ", "（由 "));
		view_unit(v, &change, view_text(by, "unit"));
		buf_printf(&change, "%s", view_words(v, ")", " 审批）"));
	}
	json_array_foreach(json_object_get(r, "failing"), i, rule) {
		_cleanup_(buf_release) struct buf say = { 0 };
		phrase_put(&say, *view_text(rule, "say") ? view_text(rule, "say") : view_text(rule, "rule"), v->c->chinese);
		buf_printf(&change, "%s", view_words(v, "; fails: ", "；不符合："));
		view_cut(v, &change, buf_text(&say), TEXT_COLUMNS / 4);
	}
	view_put(j, "proposed", &change);
	put_state(v, j, r);
	return j;
}

static json_t *return_line(struct view *v, const json_t *r)
{
	json_t *j = json_object();

	put_copy(j, r, "id");
	view_time(j, "at", json_object_get(r, "at"));
	put_row(v, j, r);
	put_unit(v, j, "by", view_text(json_object_get(r, "by"), "unit"));
	put_short(v, j, "reason", view_text(r, "reason"));
	put_state(v, j, r);
	return j;
}

static json_t *issue_line(struct view *v, const json_t *r)
{
	json_t *j = json_object();

	put_copy(j, r, "id");
	view_time(j, "since", json_object_get(r, "since"));
	view_kind(v, j, "kind", view_text(r, "kind"));
	put_row(v, j, r);
	put_short(v, j, "text", view_text(r, "text"));
	put_state(v, j, r);
	return j;
}

static json_t *waiting_line(struct view *v, const json_t *r)
{
	bool alive = json_is_true(json_object_get(r, "alive"));
	json_t *j = json_object();

	put_copy(j, r, "id");
	view_time(j, "since", json_object_get(r, "since"));
	put_row(v, j, r);
	view_say(j, "waits", json_object_get(r, "dropped") && !json_is_null(json_object_get(r, "dropped")) ?
	         view_words(v, "given up", "已放弃") :
	         alive ? view_words(v, "to be written", "待写入") : view_words(v, "to be deleted", "待删除"));
	put_short(v, j, "reason", view_text(r, "why"));
	put_copy(j, r, "tries");
	return j;
}

/* Of "87 changes, 12 items: 84 taken, 0 kept, …; 0 in quarantine" what is not zero. */
static void put_counts(struct view *v, struct buf *b, const char *text)
{
	const char *at = text, *gap = "";

	while (*at) {
		_cleanup_(buf_release) struct buf part = { 0 };
		size_t n = strcspn(at, ",;:");
		buf_put(&part, at, n);
		if (strncmp(buf_text(&part), "0 ", 2)) {
			buf_printf(b, "%s", gap);
			phrase_put(b, buf_text(&part), v->c->chinese);
			gap = at[n] == ':' ? view_words(v, ": ", "：") : view_words(v, ", ", "，");
		} else if (at[n] == ':' && *gap) {
			gap = view_words(v, ": ", "：");
		}
		at += n;
		at += strspn(at, ",;: ");
	}
	if (!b->n)
		buf_printf(b, "%s", view_words(v, "nothing new", "没有新内容"));
}

static json_t *event_line(struct view *v, const json_t *r)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	const char *text = view_text(r, "text"), *segment = view_text(r, "segment"), *level = view_text(r, "level");
	json_t *j = json_object();

	put_copy(j, r, "at");
	view_phrase(v, j, "kind", view_text(r, "kind"));
	if (strcmp(level, "info") && strcmp(level, "notice") && strcmp(level, "debug")) {
		phrase_put(&b, level, v->c->chinese);
		buf_printf(&b, "%s", view_words(v, ": ", "："));
	}
	if (*segment) {
		phrase_put(&b, segment, v->c->chinese);
		buf_printf(&b, "%s", view_words(v, ": ", "："));
	}
	if (!strcmp(view_text(r, "kind"), "apply")) {
		_cleanup_(buf_release) struct buf counts = { 0 };
		put_counts(v, &counts, text);
		buf_printf(&b, "%s", buf_text(&counts));
	} else {
		phrase_put(&b, text, v->c->chinese);
	}
	put_unit(v, j, "peer", view_text(r, "peer"));
	view_put(j, "text", &b);
	return j;
}

static json_t *peer_line(struct view *v, const json_t *r)
{
	json_t *j = json_object();

	put_copy(j, r, "unit");
	put_copy(j, r, "name");
	view_phrase(v, j, "level", view_text(r, "level"));
	put_copy(j, r, "direct");
	put_copy(j, r, "revoked");
	view_time(j, "enrolled", json_object_get(r, "enrolled"));
	view_time(j, "certificate_until", json_object_get(r, "certificate_until"));
	return j;
}

static json_t *policy_status_line(struct view *v, const json_t *r)
{
	json_t *j = json_object();

	put_unit(v, j, "unit", view_text(r, "unit"));
	put_unit(v, j, "issuer", view_text(r, "issuer"));
	put_copy(j, r, "active");
	put_copy(j, r, "staged");
	put_copy(j, r, "failed");
	view_time(j, "as_of", json_object_get(r, "as_of"));
	view_phrase(v, j, "writes", view_text(r, "writes"));
	return j;
}

static json_t *policy_line(struct view *v, const json_t *r)
{
	json_t *j = json_object();

	put_unit(v, j, "issuer", view_text(r, "issuer"));
	put_copy(j, r, "version");
	view_phrase(v, j, "state", view_text(r, "state"));
	view_time(j, "at", json_object_get(r, "at"));
	put_short(v, j, "reason", view_text(r, "note"));
	return j;
}

static json_t *segment_line(struct view *v, const json_t *r)
{
	json_t *j = json_object();

	put_copy(j, r, "id");
	view_phrase(v, j, "kind", view_text(r, "kind"));
	put_unit(v, j, "author", view_text(r, "author"));
	if (json_is_string(json_object_get(r, "stream")))
		view_phrase(v, j, "stream", view_text(r, "stream"));
	else
		put_copy(j, r, "stream");
	put_copy(j, r, "position");
	view_time(j, "at", json_object_get(r, "at"));
	put_copy(j, r, "bytes");
	view_time(j, "settled", json_object_get(r, "settled"));
	return j;
}

/* Everything else: the words that are in the catalogue, as they stand. */
static json_t *localized(const struct view *v, const json_t *document, const char *name)
{
	static const char *const spoken[] = { "kind", "state", "level", "mode", "digest", "check", "next", "reason", "text", "advice",
		                              "error", "why", "by", "codec", "database", "stream", "object", "say", "ceiling", "floor" };
	_cleanup_(buf_release) struct buf b = { 0 };
	const char *key;
	json_t *value, *copy;
	size_t i;

	if (json_is_array(document)) {
		copy = json_array();
		json_array_foreach(document, i, value)
			json_array_append_new(copy, localized(v, value, name));
		return copy;
	}
	if (json_is_object(document)) {
		copy = json_object();
		json_object_foreach((json_t *)(uintptr_t)document, key, value)
			json_object_set_new(copy, key, localized(v, value, !strcmp(name, "values") ? name : key));
		return copy;
	}
	for (i = 0; json_is_string(document) && i < ARRAY_SIZE(spoken); i++)
		if (!strcmp(name, spoken[i]) && !strchr(json_string_value(document), '\n')) {
			phrase_put(&b, json_string_value(document), v->c->chinese);
			return json_slice(buf_slice(&b));
		}
	return json_copy((json_t *)(uintptr_t)document);
}

/* ---- one whole */

/* A record or proposal, as a block: what it is, whose, the columns that differ as a table, the others in a line. */
static json_t *record_block(struct view *v, const json_t *r)
{
	_cleanup_(buf_release) struct buf policy = { 0 }, same = { 0 }, base = { 0 };
	const char *kind = view_text(r, "kind"), *rule = view_rule(v, kind, (int)json_integer_value(json_object_get(r, "rule")));
	const json_t *kept = json_object_get(r, "kept"), *lost = json_object_get(r, "lost");
	json_t *j = json_object();

	put_copy(j, r, "id");
	put_copy(j, r, "at");
	if (json_is_string(json_object_get(r, "since")))
		put_copy(j, r, "since");
	if (*kind)
		view_kind(v, j, "kind", kind);
	put_copy(j, r, "register");
	put_copy(j, r, "key");
	put_copy(j, r, "group");
	if (json_object_get(r, "unit"))
		put_unit(v, j, "unit", view_text(r, "unit"));
	if (json_object_get(r, "from")) {
		put_who(v, j, "from", json_object_get(r, "from"), true);
		kept = json_object_get(r, "standing");
		lost = r;
	}
	put_who(v, j, json_object_get(r, "from") ? "standing_by" : "kept_by", kept, true);
	if (json_object_get(r, "lost"))
		put_who(v, j, "lost_by", lost, true);
	view_who(v, &base, json_object_get(r, "base"), true);
	view_put(j, "base", &base);
	if (json_is_object(json_object_get(r, "decided_by")))
		put_who(v, j, "decided_by", json_object_get(r, "decided_by"), false);
	if (*rule)
		view_say(j, "rule", rule);
	else
		put_copy(j, r, "rule");
	if (*view_text(r, "say"))
		view_phrase(v, j, "reason", view_text(r, "say"));
	else if (*view_text(r, "reason"))
		view_phrase(v, j, "reason", view_text(r, "reason"));
	else if (*view_text(r, "why") && !*rule)
		view_phrase(v, j, "reason", view_text(r, "why"));
	view_policy(v, &policy, json_object_get(r, "policy"));
	view_put(j, "policy", &policy);
	view_phrase(v, j, "state", view_text(r, "state"));
	if (*view_text(r, "note"))
		put_copy(j, r, "note");
	if (*view_text(r, "actor"))
		put_copy(j, r, "actor");
	json_t *values = view_values(v, json_object_get(r, "base"), kept, lost, &same);
	if (json_object_get(r, "from")) {        /* in a proposal the two sides have other names */
		size_t i;
		json_t *row;
		json_array_foreach(values, i, row) {
			json_object_set(row, "standing", json_object_get(row, "kept"));
			json_object_set(row, "proposed", json_object_get(row, "lost"));
			json_object_del(row, "kept");
			json_object_del(row, "lost");
		}
	}
	json_object_set_new(j, "values", values);
	if (json_array_size(json_object_get(r, "failing")))
		put_copy(j, r, "failing");
	if (same.n)
		view_put(j, "same", &same);
	if (json_array_size(json_object_get(r, "failing")))
		json_object_set_new(j, "failing", localized(v, json_object_get(r, "failing"), ""));
	return j;
}

/* ---- which view is whose */

static const struct view_row {
	const char *words[2];            /* second NULL: any, or none */
	json_t *(*line)(struct view *v, const json_t *row);      /* of a list */
	json_t *(*block)(struct view *v, const json_t *document);
} views[] = {
	{ { "conflicts", "show" }, NULL, record_block },
	{ { "proposals", "show" }, NULL, record_block },
	{ { "returns", "show" }, NULL, record_block },
	{ { "conflicts", NULL }, conflict_line, NULL },
	{ { "proposals", NULL }, proposal_line, NULL },
	{ { "returns", NULL }, return_line, NULL },
	{ { "issues", NULL }, issue_line, NULL },
	{ { "quarantine", NULL }, waiting_line, NULL },
	{ { "log", NULL }, event_line, NULL },
	{ { "peers", NULL }, peer_line, NULL },
	{ { "policy", "status" }, policy_status_line, NULL },
	{ { "policy", "list" }, policy_line, NULL },
	{ { "segment", "list" }, segment_line, NULL },
	{ { "status", NULL }, NULL, view_status },
	{ { "why", NULL }, NULL, view_why },
};

static const struct view_row *find(const struct ctl *c)
{
	const char *second = c->nwords > 1 ? c->words[1] : "";

	for (size_t i = 0; c->nwords && i < ARRAY_SIZE(views); i++)
		if (!strcmp(views[i].words[0], c->words[0]) && (!views[i].words[1] || !strcmp(views[i].words[1], second)))
			return &views[i];
	return NULL;
}

/* `policy` alone is its list; a command that answers with an order's outcome has no view of its own. */
json_t *view_of(struct ctl *c, const json_t *document, bool *ret_cut)
{
	struct view v = { .c = c, .now_ms = source_system().wall_ms(NULL) };
	const struct view_row *row = find(c);
	json_t *ret = NULL, *one;
	size_t i;

	if (json_is_array(document) && row && row->line) {
		ret = json_array();
		json_array_foreach(document, i, one)
			json_array_append_new(ret, row->line(&v, one));
	} else if (json_is_object(document) && row && row->block) {
		ret = row->block(&v, document);
	}
	if (!ret)
		ret = localized(&v, document, "");
	json_release(&v.names);
	*ret_cut = v.cut;
	return ret;
}
