/* View of why: a row in one screen: what is held of each group and since whose write, then everything that happened to
 * it, oldest first, in sentences. */
#include "ctl/view.h"

#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "ctl/phrases.h"

#define VALUES_COLUMNS 150               /* of a group's values: two lines */

static void values_line(struct view *v, json_t *to, const char *key, const json_t *held)
{
	_cleanup_(buf_release) struct buf same = { 0 }, b = { 0 };

	json_t *rows = view_values(v, NULL, held, held, &same);
	json_decref(rows);
	view_cut(v, &b, buf_text(&same), VALUES_COLUMNS);
	view_put(to, key, &b);
}

/* "decision, acting for a unit without a node", "proposal". */
static void mode_line(struct view *v, json_t *to, const json_t *held)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	phrase_put(&b, view_text(held, "mode"), v->c->chinese);
	if (json_is_true(json_object_get(held, "acting")))
		buf_printf(&b, "%s", view_words(v, ", acting for a level without a node", "，代没有节点的层级"));
	if (json_is_true(json_object_get(held, "vouched")))
		buf_printf(&b, "%s", view_words(v, ", as a subordinate passed it on", "，由下级转报"));
	view_put(to, "mode", &b);
}

/* What brought it; without that, who keeps it. */
static void segment_line(struct view *v, json_t *to, const json_t *held)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	const json_t *segment = json_object_get(held, "segment");

	if (json_is_object(segment)) {
		buf_printf(&b, "%s", view_text(segment, "name"));
		if (json_is_integer(json_object_get(segment, "id")))
			view_printf(v, &b, ", kept here: terracectl segment dump %lld", "，保存在本级：terracectl segment dump %lld",
			            (long long)json_integer_value(json_object_get(segment, "id")));
		else
			buf_printf(&b, "%s", view_words(v, ", kept by the superior", "，保存在上级"));
	} else {
		buf_printf(&b, "%s", view_words(v, "not kept here; kept by ", "本级未保存；保存于 "));
		view_unit(v, &b, view_text(held, "unit"));
		view_printf(v, &b, " and its superiors, for %d days", " 及其上级，保存 %d 天", EVIDENCE_DAYS);
	}
	view_put(to, "segment", &b);
}

static void evidence_line(struct view *v, json_t *to, const json_t *held)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	const json_t *segment = json_object_get(held, "segment");

	if (!json_is_boolean(json_object_get(segment, "authentic")))
		return;
	if (json_is_true(json_object_get(segment, "authentic"))) {
		buf_printf(&b, "%s", view_words(v, "authentic: signed with ", "真实：签名密钥为"));
		phrase_put(&b, view_text(segment, "by"), v->c->chinese);
	} else {
		buf_printf(&b, "%s", view_words(v, "NOT AUTHENTIC: ", "不可信："));
		phrase_put(&b, view_text(segment, "error"), v->c->chinese);
	}
	view_put(to, "evidence", &b);
	json_object_set(to, "hash", json_object_get(segment, "hash"));
	view_time(to, "at", json_object_get(segment, "wall"));
	values_line(v, to, "says", json_object_get(segment, "says"));
}

static json_t *value_block(struct view *v, const json_t *held)
{
	_cleanup_(buf_release) struct buf author = { 0 }, base = { 0 }, policy = { 0 };
	json_t *j = json_object();

	values_line(v, j, "values", held);
	view_who(v, &author, held, true);
	view_put(j, "author", &author);
	if (*view_text(held, "actor"))
		view_say(j, "actor", view_text(held, "actor"));
	mode_line(v, j, held);
	if (json_is_object(json_object_get(held, "base"))) {
		view_who(v, &base, json_object_get(held, "base"), true);
		view_put(j, "base", &base);
	}
	view_policy(v, &policy, json_object_get(held, "policy"));
	view_put(j, "policy", &policy);
	segment_line(v, j, held);
	evidence_line(v, j, held);
	return j;
}

static void group_blocks(struct view *v, json_t *to, const json_t *group)
{
	_cleanup_(buf_release) struct buf heading = { 0 };
	const json_t *held = json_object_get(group, "held");
	json_t *one;
	size_t i;

	view_printf(v, &heading, "GROUP %s", "字段组 %s", view_text(group, "group"));
	if (json_is_object(held))
		json_object_set_new(to, buf_text(&heading), value_block(v, held));
	else
		view_say(to, buf_text(&heading), view_words(v, "nothing was decided; the columns hold their defaults", "尚无决定，各字段为默认值"));
	json_array_foreach(json_object_get(group, "proposals"), i, one) {
		buf_clear(&heading);
		view_printf(v, &heading, "PROPOSED FOR %s (%u)", "对 %s 的申报（%u）", view_text(group, "group"), (unsigned)i + 1);
		json_object_set_new(to, buf_text(&heading), value_block(v, one));
	}
}

/* ---- what happened */

/* "conflict 3, group family: 西河村 … wrote category: 低保户 → 特困户; 青石镇 … 's value stands, because …; open". */
static void record_sentence(struct view *v, struct buf *b, const json_t *r)
{
	_cleanup_(buf_release) struct buf kind = { 0 };
	const char *name = view_text(r, "kind"), *why = view_rule(v, name, (int)json_integer_value(json_object_get(r, "rule")));

	phrase_put(&kind, name, v->c->chinese);
	for (size_t i = 0; i < kind.n; i++)
		if (kind.p[i] == '-')
			kind.p[i] = ' ';
	view_printf(v, b, "%lld, %s, group %s: ", "%lld，%s，字段组 %s：", (long long)json_integer_value(json_object_get(r, "id")),
	            buf_text(&kind), view_text(r, "group"));
	view_unit(v, b, view_text(json_object_get(r, "lost"), "unit"));
	buf_printf(b, "%s", view_words(v, " wrote ", " 登记的 "));
	view_changes(v, b, json_object_get(r, "kept"), json_object_get(r, "lost"), 4);
	if (json_is_object(json_object_get(r, "kept"))) {
		buf_printf(b, "%s", view_words(v, " does not stand; the value of ", " 未被采用；采用的是 "));
		view_unit(v, b, view_text(json_object_get(r, "kept"), "unit"));
		buf_printf(b, "%s", view_words(v, " does", " 的值"));
	} else {
		buf_printf(b, "%s", view_words(v, " does not stand", " 未被采用"));
	}
	if (*view_text(r, "say")) {              /* the superior's own words */
		buf_printf(b, "%s", view_words(v, ": ", "："));
		phrase_put(b, view_text(r, "say"), v->c->chinese);
	} else if (*why) {
		buf_printf(b, "%s%s", view_words(v, ": ", "："), why);
	}
	buf_printf(b, "%s", view_words(v, " (", "（"));
	phrase_put(b, view_text(r, "state"), v->c->chinese);
	buf_printf(b, "%s", view_words(v, ")", "）"));
}

json_t *view_why(struct view *v, const json_t *document)
{
	_cleanup_(buf_release) struct buf unit = { 0 };
	json_t *j, *history, *one;
	size_t i;

	if (json_object_get(document, "reasons"))
		return view_why_unit(v, document);
	j = json_object();
	json_object_set(j, "register", json_object_get(document, "register"));
	json_object_set(j, "key", json_object_get(document, "key"));
	view_unit(v, &unit, view_text(document, "unit"));
	view_put(j, "unit", &unit);
	view_say(j, "state", json_is_true(json_object_get(document, "alive")) ? view_words(v, "the row lives", "该行存在") :
	                     view_words(v, "the row is deleted, or not held here", "该行已删除，或不在本级"));
	if (json_is_true(json_object_get(document, "quarantine")))
		view_say(j, "quarantine", view_words(v, "the table lags behind: terracectl quarantine list", "数据表尚未更新：terracectl quarantine list"));
	json_array_foreach(json_object_get(document, "groups"), i, one)
		group_blocks(v, j, one);
	history = json_array();
	json_array_foreach(json_object_get(document, "records"), i, one) {
		_cleanup_(buf_release) struct buf text = { 0 };
		json_t *row = json_object();
		view_time(row, "at", json_object_get(one, "at"));
		record_sentence(v, &text, one);
		view_put(row, "event", &text);
		json_array_append_new(history, row);
	}
	if (json_array_size(history))
		json_object_set(j, "history", history);
	json_decref(history);
	return j;
}
