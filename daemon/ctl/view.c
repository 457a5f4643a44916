/* The parts that views are made of. */
#include "ctl/view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/phrases.h"

#define VALUE_COLUMNS 24                 /* of one value in a list */
#define KEY_COLUMNS   36

const char *view_words(const struct view *v, const char *english, const char *chinese)
{
	return ctl_words(v->c, english, chinese);
}

/* Both texts take the same arguments; where their order differs the Chinese one numbers them. */
void view_printf(const struct view *v, struct buf *b, const char *english, const char *chinese, ...)
{
	_cleanup_(free_pointer) char *text = NULL;
	va_list args;

	va_start(args, chinese);
	int n = vasprintf(&text, view_words(v, english, chinese), args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		b->failed = true;
		return;
	}
	buf_put(b, text, (size_t)n);
}

const char *view_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

void view_say(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_slice(slice_of(*text ? text : "-")));
}

void view_put(json_t *object, const char *key, struct buf *text)
{
	view_say(object, key, buf_text(text));
}

void view_phrase(const struct view *v, json_t *object, const char *key, const char *text)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	phrase_put(&b, text, v->c->chinese);
	view_put(object, key, &b);
}

void view_kind(const struct view *v, json_t *object, const char *key, const char *kind)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	phrase_put(&b, kind, v->c->chinese);
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] == '-')
			b.p[i] = ' ';
	view_put(object, key, &b);
}

void view_time(json_t *object, const char *key, const json_t *time)
{
	const char *text = json_string_value(time);
	char local[RFC3339_SIZE];
	int64_t ms;

	if (!text || time_of(text, &ms)) {
		view_say(object, key, text ? text : "-");
		return;
	}
	time_local(ms, local);
	local[16] = '\0';                /* the minute will do */
	view_say(object, key, local);
}

/* ---- units */

static const char *name_of(struct view *v, const char *unit)
{
	static const char *const words[] = { "units", "names" };
	int status;

	if (!v->names && ctl_report(v->c, words, ARRAY_SIZE(words), &v->names, &status, NULL))
		v->names = json_object();
	return view_text(v->names, unit);
}

void view_unit(struct view *v, struct buf *b, const char *unit)
{
	const char *name = *unit ? name_of(v, unit) : "";

	buf_printf(b, "%s%s%s", name, *name ? " " : "", *unit ? unit : "-");
}

void view_who(struct view *v, struct buf *b, const json_t *who, bool whole)
{
	const char *level = view_text(who, "level");

	view_unit(v, b, view_text(who, "unit"));
	if (*level) {
		buf_printf(b, "%s", view_words(v, " (", "（"));
		phrase_put(b, level, v->c->chinese);
		buf_printf(b, "%s", view_words(v, ")", "）"));
	}
	if (whole && json_object_get(who, "tick"))
		view_printf(v, b, ", write %lld of run %lld", "，运行期 %2$lld 第 %1$lld 次登记",
		           (long long)json_integer_value(json_object_get(who, "tick")),
		           (long long)json_integer_value(json_object_get(who, "epoch")));
}

void view_policy(struct view *v, struct buf *b, const json_t *list)
{
	json_t *one;
	size_t i;

	if (json_is_string(list)) {
		view_printf(v, b, "unknown here (%s)", "本级未知（%s）", json_string_value(list));
		return;
	}
	json_array_foreach(list, i, one) {
		buf_printf(b, "%s", i ? view_words(v, ", ", "，") : "");
		view_unit(v, b, view_text(one, "issuer"));
		view_printf(v, b, " version %lld", " 第 %lld 版", (long long)json_integer_value(json_object_get(one, "version")));
	}
}

/* ---- values */

void view_cut(struct view *v, struct buf *b, const char *text, size_t columns)
{
	size_t n = 0, width = 0;

	if (utf8_width(text) <= columns) {
		buf_printf(b, "%s", text);
		return;
	}
	while (text[n]) {
		char one[5] = { 0 };
		size_t length = 1;
		while (length < 4 && ((uint8_t)text[n + length] & 0xc0) == 0x80)
			length++;
		memcpy(one, text + n, length);
		if (width + utf8_width(one) > columns - 1)
			break;
		width += utf8_width(one);
		n += length;
	}
	buf_put(b, text, n);
	buf_printf(b, "…");
	v->cut = true;
}

void view_row(struct view *v, struct buf *b, const json_t *record)
{
	const char *group = view_text(record, "group");

	buf_printf(b, "%s ", view_text(record, "register"));
	view_cut(v, b, view_text(record, "key"), KEY_COLUMNS);
	buf_printf(b, "%s%s", *group ? " " : "", group);
}

static void put_value(struct view *v, struct buf *b, const json_t *value)
{
	if (json_is_string(value) && !json_string_length(value))
		buf_printf(b, "%s", view_words(v, "(empty)", "（空）"));
	else if (!value || json_is_null(value))
		buf_printf(b, "-");
	else
		table_cell(b, value, v->c->chinese);
}

/* How many bytes of both are the same from the left, in whole characters, but for the last few. */
static size_t common(const char *a, const char *z)
{
	size_t n = 0, back = 0;

	while (a[n] && a[n] == z[n])
		n++;
	while (n && ((uint8_t)a[n] & 0xc0) == 0x80)
		n--;
	for (; n && back < 4; back++)
		for (n--; n && ((uint8_t)a[n] & 0xc0) == 0x80;)
			n--;
	return n;
}

/* "from → to"; short, both cut, so that the place where they differ stays. */
static void put_change(struct view *v, struct buf *b, const json_t *from, const json_t *to, bool brief)
{
	_cleanup_(buf_release) struct buf old = { 0 }, new = { 0 };
	size_t skip = 0;

	put_value(v, &old, from);
	put_value(v, &new, to);
	const char *a = buf_text(&old), *z = buf_text(&new);
	if (!brief) {
		buf_printf(b, "%s → %s", a, z);
		return;
	}
	if (utf8_width(a) > VALUE_COLUMNS && utf8_width(z) > VALUE_COLUMNS)
		skip = common(a, z);
	v->cut |= skip > 0;
	buf_printf(b, "%s", skip ? "…" : "");
	view_cut(v, b, a + skip, VALUE_COLUMNS);
	buf_printf(b, " → %s", skip ? "…" : "");
	view_cut(v, b, z + skip, VALUE_COLUMNS);
}

/* Group row's two members have names of their own. */
static const char *column_name(const struct view *v, const json_t *values, const char *key)
{
	if (!json_is_boolean(json_object_get(values, "alive")) || json_object_size(values) > 2)
		return key;
	return !strcmp(key, "alive") ? view_words(v, "row lives", "该行存在") : !strcmp(key, "unit") ? view_words(v, "unit", "单位") : key;
}

static const json_t *values_of(const json_t *side)
{
	return json_object_get(side, "values");
}

void view_changes(struct view *v, struct buf *b, const json_t *from, const json_t *to, uint32_t most)
{
	const json_t *old = values_of(from), *new = values_of(to), *all = json_is_object(new) ? new : old;
	uint32_t n = 0, left = 0;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)all, key, value) {
		const json_t *a = json_object_get(old, key), *z = json_object_get(new, key);
		if (json_is_object(old) && json_is_object(new) && (!a || !z || json_equal(a, z)))
			continue;
		if (most && n == most) {
			left++;
			continue;
		}
		buf_printf(b, "%s%s: ", n++ ? "; " : "", column_name(v, all, key));
		put_change(v, b, a, z, most != 0);
	}
	if (left) {
		view_printf(v, b, "; … %u more", "；… 另有 %u 项", left);
		v->cut = true;
	}
	if (n == 0)
		buf_printf(b, "%s", json_is_object(all) ? view_words(v, "the same values", "值相同") : "-");
}

json_t *view_values(struct view *v, const json_t *base, const json_t *kept, const json_t *lost, struct buf *same)
{
	const json_t *a = values_of(kept), *z = values_of(lost), *first = values_of(base), *all = json_is_object(z) ? z : a;
	json_t *rows = json_array(), *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)all, key, value) {
		const json_t *sides[] = { json_object_get(first, key), json_object_get(a, key), json_object_get(z, key) };
		static const char *const names[] = { "base", "kept", "lost" };
		if (sides[1] && sides[2] && json_equal(sides[1], sides[2])) {
			buf_printf(same, "%s%s=", same->n ? ", " : "", column_name(v, all, key));
			put_value(v, same, sides[1]);
			continue;
		}
		json_t *row = json_object();
		view_say(row, "column", column_name(v, all, key));
		for (size_t i = json_is_object(first) ? 0 : 1; i < 3; i++) {
			_cleanup_(buf_release) struct buf cell = { 0 };
			put_value(v, &cell, sides[i]);
			view_put(row, names[i], &cell);
		}
		json_array_append_new(rows, row);
	}
	return rows;
}

/* ---- time that has passed */

int64_t view_since(const struct view *v, const json_t *time)
{
	const char *text = json_string_value(time);
	int64_t ms;

	if (!text || time_of(text, &ms))
		return -1;
	return MAX(v->now_ms - ms, 0) / 1000;
}

void view_age(const struct view *v, struct buf *b, int64_t s)
{
	if (s < 0)
		buf_printf(b, "-");
	else if (s < 120)
		view_printf(v, b, "%lld s", "%lld 秒", (long long)s);
	else if (s < 2 * 3600)
		view_printf(v, b, "%lld min", "%lld 分钟", (long long)s / 60);
	else if (s < 2 * 86400)
		view_printf(v, b, "%lld h", "%lld 小时", (long long)s / 3600);
	else
		view_printf(v, b, "%lld days", "%lld 天", (long long)s / 86400);
}

/* ---- the rule */

const char *view_rule(const struct view *v, const char *kind, int rule)
{
	static const struct {
		const char *kind;
		int rule;
		const char *english, *chinese;
	} said[] = {
		{ "superseded", 5, "the value that came counts more, and its writer had not seen this one", "后到的值效力更高，且其登记人未见到本值" },
		{ "superseded", 6, "the value that stood counts more, and this writer had not seen it", "原有的值效力更高，而登记人未见到它" },
		{ "edited-while-deleted", 2, "whoever deleted the row had not seen this edit", "删除该行的人未见到这次修改" },
		{ "refused", 1, "the superior did not take it", "上级未予采纳" },
		{ "rejected", 4, "what was proposed was not accepted", "申报未获通过" },
		{ "read-only", 0, "this level may not write it; it was put back", "本级无权登记，已恢复原值" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(said); i++)
		if (!strcmp(said[i].kind, kind) && said[i].rule == rule)
			return view_words(v, said[i].english, said[i].chinese);
	return "";
}
