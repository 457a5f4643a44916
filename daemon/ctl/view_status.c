/* Views of status and of a unit that is late. */
#include "ctl/view.h"

#include <string.h>

#include "ctl/phrases.h"

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void put_policies(struct view *v, json_t *to, const json_t *list)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		buf_printf(&b, "%s", i ? view_words(v, ", ", "，") : "");
		view_unit(v, &b, view_text(one, "issuer"));
		if (number(one, "active"))
			view_printf(v, &b, " version %lld", " 第 %lld 版", (long long)number(one, "active"));
		if (number(one, "staged"))
			view_printf(v, &b, " (%lld is staged)", "（第 %lld 版待生效）", (long long)number(one, "staged"));
	}
	view_put(to, "policy", &b);
}

/* What is open, without what is not. */
static void put_open(struct view *v, json_t *to, const json_t *of)
{
	static const struct {
		const char *key, *english, *chinese;
	} kinds[] = {
		{ "quarantine", "quarantine", "隔离" },   { "conflicts_open", "conflicts", "冲突" }, { "proposals_open", "proposals", "申报" },
		{ "returns_open", "returns", "退回" },     { "issues_open", "issues", "问题" },
	};
	_cleanup_(buf_release) struct buf b = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (number(of, kinds[i].key))
			buf_printf(&b, "%s%s %lld", b.n ? view_words(v, ", ", "，") : "", view_words(v, kinds[i].english, kinds[i].chinese),
			           (long long)number(of, kinds[i].key));
	view_put(to, "open", &b);
}

/* "3 to send (2 h old), 5 sealed, 4 applied, 4 settled". */
static void put_up(struct view *v, json_t *to, const json_t *of)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	json_int_t pending = number(of, "pending_segments"), oldest = number(of, "oldest_unsettled_s");

	if (pending)
		view_printf(v, &b, "%lld to send", "待传 %lld 段", (long long)pending);
	if (oldest) {
		buf_printf(&b, "%s", b.n ? view_words(v, ", ", "，") : "");
		buf_printf(&b, "%s", view_words(v, "oldest ", "最早 "));
		view_age(v, &b, oldest);
	}
	buf_printf(&b, "%s", b.n ? view_words(v, "; ", "；") : "");
	if (json_object_get(of, "sealed"))
		view_printf(v, &b, "sealed %lld, ", "封装 %lld，", (long long)number(of, "sealed"));
	view_printf(v, &b, "applied %lld, settled %lld", "应用 %lld，归档 %lld", (long long)number(of, "applied"),
	            (long long)number(of, "settled"));
	view_put(to, "up", &b);
}

static void put_tables(struct view *v, json_t *to, const json_t *of)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int64_t age = view_since(v, json_object_get(of, "as_of"));

	phrase_put(&b, view_text(of, "digest"), v->c->chinese);
	if (age >= 0) {
		buf_printf(&b, "%s", view_words(v, ", ", "，"));
		view_age(v, &b, age);
		buf_printf(&b, "%s", view_words(v, " ago", "前"));
	}
	view_put(to, "tables", &b);
}

static json_t *child_row(struct view *v, const json_t *of, bool tree)
{
	_cleanup_(buf_release) struct buf unit = { 0 };
	json_t *j = json_object();

	view_unit(v, &unit, view_text(of, "unit"));
	view_put(j, "unit", &unit);
	view_time(j, "last_contact", json_object_get(of, "last_contact"));
	put_up(v, j, of);
	put_tables(v, j, of);
	if (!tree)
		return j;
	put_open(v, j, of);
	view_phrase(v, j, "next", view_text(of, "next"));
	return j;
}

static json_t *upstream_lines(struct view *v, const json_t *up)
{
	json_t *j = json_object();

	view_phrase(v, j, "state", view_text(up, "state"));
	if (*view_text(up, "url"))
		json_object_set(j, "url", json_object_get(up, "url"));
	if (*view_text(up, "last_contact"))
		json_object_set(j, "last_contact", json_object_get(up, "last_contact"));
	if (*view_text(up, "error"))
		view_phrase(v, j, "error", view_text(up, "error"));
	if (*view_text(up, "next_contact"))
		json_object_set(j, "next_contact", json_object_get(up, "next_contact"));
	put_up(v, j, up);
	return j;
}

json_t *view_status(struct view *v, const json_t *document)
{
	_cleanup_(buf_release) struct buf unit = { 0 };
	const json_t *children = json_object_get(document, "children");
	json_t *j = json_object(), *rows = json_array(), *one;
	size_t i;

	view_who(v, &unit, document, false);
	view_put(j, "unit", &unit);
	put_policies(v, j, json_object_get(document, "policy"));
	json_object_set(j, "log_pending", json_object_get(document, "log_pending"));
	json_object_set_new(j, "upstream", upstream_lines(v, json_object_get(document, "upstream")));
	put_open(v, j, document);
	view_phrase(v, j, "next", *view_text(document, "next") ? view_text(document, "next") : "nothing: all is up to date");
	json_array_foreach(children, i, one)
		json_array_append_new(rows, child_row(v, one, json_object_get(one, "next") != NULL));
	if (i)
		json_object_set(j, "children", rows);
	json_decref(rows);
	return j;
}

json_t *view_why_unit(struct view *v, const json_t *document)
{
	_cleanup_(buf_release) struct buf unit = { 0 };
	json_t *j = child_row(v, document, true), *list = json_array(), *one;
	size_t i;

	view_who(v, &unit, document, false);
	view_put(j, "unit", &unit);
	put_policies(v, j, json_object_get(document, "policy"));
	json_array_foreach(json_object_get(document, "reasons"), i, one) {
		_cleanup_(buf_release) struct buf text = { 0 };
		phrase_put(&text, json_string_value(one), v->c->chinese);
		json_array_append_new(list, json_slice(buf_slice(&text)));
	}
	json_object_del(j, "next");
	json_object_set_new(j, "reasons", list);
	view_phrase(v, j, "next", view_text(document, "next"));
	return j;
}
