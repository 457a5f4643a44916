/* adopt, schema, release: an application's own database. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/home.h"
#include "app/settings.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "ctl/ctl.h"
#include "store/release.h"

#define PLAN_MOST (32u << 20)
#define PLAN_NAME "adopt.plan"
#define BATCH     48u                    /* registers of one order */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static json_t *register_of(const json_t *plan, const char *name)
{
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(plan, "registers"), i, one) {
		if (!strcmp(text_of(one, "register"), name))
			return one;
	}
	return NULL;
}

static bool keep_sound(const char *word)
{
	return !strcmp(word, "mine") || !strcmp(word, "superior") || !strcmp(word, "review");
}

/* ---- the plan */

static int ask(struct ctl *c, json_t **ret, struct err *err)
{
	static const char *const words[] = { "adopt" };
	int status;

	return ctl_report(c, words, ARRAY_SIZE(words), ret, &status, err);
}

/* --keep REGISTER=WORD; `=WORD` or a word alone is for all. */
static int set_keep(json_t *plan, const char *option, struct err *err)
{
	const char *is = strchr(option, '=');
	char name[200];
	size_t i;
	json_t *one;

	snprintf(name, sizeof(name), "%.*s", (int)(is ? is - option : 0), option);
	const char *word = is ? is + 1 : option;
	if (!keep_sound(word))
		return err_set(err, ERR_USAGE, "--keep %s: write REGISTER=mine, REGISTER=superior or REGISTER=review", option);
	if (*name && !register_of(plan, name))
		return err_set(err, ERR_NOT_FOUND, "--keep %s: register %s does not wait to be adopted", option, name);
	json_array_foreach(json_object_get(plan, "registers"), i, one) {
		if (!*name || !strcmp(text_of(one, "register"), name))
			json_object_set_new(one, "keep", json_string(word));
	}
	return 0;
}

static int write_plan(const char *path, const json_t *plan, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	char *text = json_dumps(plan, JSON_INDENT(2));

	if (!text)
		return err_set(err, ERR_NOMEM, "out of memory");
	buf_put(&b, text, strlen(text));
	buf_put_u8(&b, '\n');
	free(text);
	return b.failed ? err_set(err, ERR_NOMEM, "out of memory") : file_write(path, buf_slice(&b), 0640, err);
}

static int say_plan(struct ctl *c, const json_t *plan, const char *path, struct err *err)
{
	_cleanup_(free_pointer) char *me = ctl_name(c);
	int r = ctl_print(c, plan, err);

	if (r)
		return r;
	ctl_say(c, "Nothing has been changed.  The plan is in %s; `keep` of each register may be edited there (mine, superior, review).",
	        "尚未改动任何内容。方案在 %s；可在其中修改各登记表的 keep（mine 本级、superior 上级、review 送审）。", path);
	ctl_say(c, "Next: %s adopt --apply %s", "下一步：%s adopt --apply %s", me ? me : "terracectl", path);
	return 0;
}

static int make_plan(struct ctl *c, const char *const *keeps, const char *out, struct err *err)
{
	_cleanup_(free_pointer) char *usual = path_join(c->home, PLAN_NAME);
	_cleanup_(json_release) json_t *plan = NULL;
	const char *path = out ? out : usual;
	int r = path ? ask(c, &plan, err) : err_set(err, ERR_NOMEM, "out of memory");

	for (; !r && *keeps; keeps++)
		r = set_keep(plan, *keeps, err);
	if (r)
		return r;
	if (!json_array_size(json_object_get(plan, "registers"))) {
		r = ctl_print(c, plan, err);
		if (!r)
			ctl_say(c, "No register waits to be adopted.", "没有待接入的登记表。");
		return r;
	}
	c->status = 1;
	r = write_plan(path, plan, err);
	return r ? r : say_plan(c, plan, path, err);
}

/* ---- applying it */

static int read_plan(const char *path, json_t **ret, struct err *err)
{
	_cleanup_(buf_release) struct buf text = { 0 };
	json_error_t at;
	int r = file_read(path, PLAN_MOST, &text, err);

	if (r)
		return r;
	*ret = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &at);
	if (!*ret)
		return err_set(err, ERR_FORMAT, "%s:%d: not a plan: %s", path, at.line, at.text);
	if (!json_is_array(json_object_get(*ret, "registers")) || !*text_of(*ret, "hash") || !*text_of(*ret, "list"))
		return err_set(err, ERR_FORMAT, "%s: not a plan of terracectl adopt", path);
	return 0;
}

/* The plan says what stands now, and the superior's rows are all here. */
static int check_plan(const char *path, const json_t *plan, const json_t *now, bool at_once, struct err *err)
{
	size_t i;
	json_t *one;

	if (strcmp(text_of(plan, "hash"), text_of(now, "hash")))
		return err_set(err, ERR_REFUSED, "%s: what it was made for has changed since (the policy, a table, or a row that differs); "
		               "make a new plan with terracectl adopt", path);
	if (*text_of(now, "superior") && strcmp(text_of(now, "digest"), "equal") && !at_once)
		return err_set(err, ERR_BUSY, "the superior's rows are not known to be all here yet (digest %s); wait until terracectl "
		               "status says equal, or give --now", text_of(now, "digest"));
	json_array_foreach(json_object_get(plan, "registers"), i, one) {
		json_t *stands = register_of(now, text_of(one, "register"));
		if (!keep_sound(text_of(one, "keep")))
			return err_set(err, ERR_USAGE, "%s: register %s: keep is mine, superior or review", path, text_of(one, "register"));
		if (*text_of(stands, "problem"))
			return err_set(err, ERR_REFUSED, "%s", text_of(stands, "problem"));
	}
	return 0;
}

static int order_all(struct ctl *c, const json_t *plan, struct err *err)
{
	const char *words[BATCH + 2] = { "adopt", text_of(plan, "list") };
	char *owned[BATCH];
	size_t at = 0, all = json_array_size(json_object_get(plan, "registers"));
	int r = 0;

	while (!r && at < all) {
		_cleanup_(json_release) json_t *answer = NULL;
		uint32_t n = 0;
		for (; n < BATCH && at < all; at++) {
			const json_t *one = json_array_get(json_object_get(plan, "registers"), at);
			if (strcmp(text_of(one, "state"), "waits"))
				continue;
			owned[n] = text_printf("%s=%s", text_of(one, "register"), text_of(one, "keep"));
			words[2 + n] = owned[n];
			if (!owned[n])
				r = err_set(err, ERR_NOMEM, "out of memory");
			n += owned[n] != NULL;
		}
		if (!r && n)
			r = ctl_call(c, words, n + 2, &answer, err);
		while (n)
			free(owned[--n]);
	}
	return r;
}

static bool still_runs(struct ctl *c, const json_t *now, bool tell)
{
	bool runs = false;
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(now, "registers"), i, one) {
		if (strcmp(text_of(one, "state"), "runs"))
			continue;
		runs = true;
		if (tell)
			ctl_note(c, "%s: %lld of %lld rows", "%s：%lld / %lld 行", text_of(one, "register"),
			         (long long)json_integer_value(json_object_get(one, "done")),
			         (long long)json_integer_value(json_object_get(one, "total")));
	}
	return runs;
}

static int await(struct ctl *c, uint64_t seconds, json_t **ret, struct err *err)
{
	const struct source clock = source_system();
	int64_t begin = clock.steady_ms(NULL), told = begin;

	for (;;) {
		int r = ask(c, ret, err);
		int64_t now = clock.steady_ms(NULL);
		bool tell = now - told >= 2000;
		if (r)
			return r;
		if (tell)
			told = now;
		if (!still_runs(c, *ret, tell) || now - begin >= (int64_t)seconds * 1000) {
			c->status = still_runs(c, *ret, false);
			return 0;
		}
		json_release(ret);
		nanosleep(&(struct timespec){ .tv_nsec = 200000000L }, NULL);
	}
}

static int apply_plan(struct ctl *c, const char *path, bool at_once, uint64_t seconds, struct err *err)
{
	_cleanup_(json_release) json_t *plan = NULL, *now = NULL, *end = NULL;
	int r = read_plan(path, &plan, err);

	if (!r)
		r = ask(c, &now, err);
	if (!r)
		r = check_plan(path, plan, now, at_once, err);
	if (!r)
		r = order_all(c, plan, err);
	if (!r)
		r = await(c, seconds, &end, err);
	if (!r)
		r = ctl_print(c, end, err);
	if (r)
		return r;
	if (c->status)
		ctl_say(c, "The adoption goes on by itself; terracectl adopt shows how far it is.", "接入仍在进行；用 terracectl adopt 查看进度。");
	else
		ctl_say(c, "The registers are adopted.  terracectl conflicts, returns and issues list show what did not stay.",
		        "登记表已接入。未保留的内容见 terracectl conflicts、returns 和 issues。");
	return 0;
}

int cmd_adopt(struct ctl *c, struct err *err)
{
	const char *apply[2] = { NULL }, *out[2] = { NULL }, *wait[2] = { NULL }, *keeps[CTL_SEVERAL + 1] = { NULL };
	bool at_once = false;
	const struct ctl_option options[] = {
		{ .name = "apply", .value = apply }, { .name = "out", .value = out },     { .name = "wait", .value = wait },
		{ .name = "now", .flag = &at_once }, { .name = "keep", .value = keeps, .several = true },
	};
	uint64_t seconds = 600;
	int r = ctl_options(c, options, ARRAY_SIZE(options), 0, 0, err);

	if (!r && wait[0] && text_number(wait[0], 0, 86400, &seconds))
		r = err_set(err, ERR_USAGE, "--wait %s: seconds, 0 to 86400", wait[0]);
	if (!r && apply[0] && (keeps[0] || out[0]))
		r = err_set(err, ERR_USAGE, "--keep and --out are for the plan; --apply takes what the plan says");
	if (r)
		return r;
	return apply[0] ? apply_plan(c, apply[0], at_once, seconds, err) : make_plan(c, keeps, out[0], err);
}

/* ---- schema */

static int schema(struct ctl *c, const char *what, struct err *err)
{
	const char *const words[] = { "schema", what };
	_cleanup_(json_release) json_t *answer = NULL;
	int r = ctl_options(c, NULL, 0, 0, 0, err);

	if (!r)
		r = ctl_call(c, words, ARRAY_SIZE(words), &answer, err);
	return r ? r : c->json ? ctl_print(c, answer, err) : 0;
}

int cmd_schema_begin(struct ctl *c, struct err *err)
{
	_cleanup_(free_pointer) char *me = ctl_name(c);
	int r = schema(c, "begin", err);

	if (!r)
		ctl_say(c, "Capture is paused.  Upgrade the application, then: %s schema end", "已暂停采集。请升级业务程序，完成后执行：%s schema end",
		        me ? me : "terracectl");
	return r;
}

int cmd_schema_end(struct ctl *c, struct err *err)
{
	_cleanup_(free_pointer) char *me = ctl_name(c);
	int r = schema(c, "end", err);

	if (!r)
		ctl_say(c, "Capture goes on; every table is compared with the record.  Next: %s reconcile status",
		        "已恢复采集，正在逐行核对各表。下一步：%s reconcile status", me ? me : "terracectl");
	return r;
}

/* ---- release */

static int refuse_unsent(const struct release_facts *f, struct err *err)
{
	if (!f->unsealed && !f->unsent)
		return 0;
	return err_set(err, ERR_REFUSED, "%llu changes are not sealed and %llu segments are not acknowledged by the superior; start the "
	               "daemon and let terracectl sync --wait 60 end with 0, or give --force and lose them for the others",
	               (unsigned long long)f->unsealed, (unsigned long long)f->unsent);
}

int cmd_release(struct ctl *c, struct err *err)
{
	bool force = false;
	const struct ctl_option options[] = { { .name = "force", .flag = &force } };
	_cleanup_(json_release) json_t *document = NULL;
	_cleanup_(fd_close) int lock = -1;
	struct release_facts facts = { 0 };
	struct settings s = { 0 };
	int r = ctl_options(c, options, ARRAY_SIZE(options), 0, 0, err);

	if (r || (r = settings_read(c->home, &s, err)) != 0)
		return r;
	r = home_lock(c->home, &lock, err);
	if (r == ERR_BUSY)
		r = err_set(err, ERR_REFUSED, "%s: the daemon runs; stop it first (systemctl disable --now), it would put everything back",
		            c->home);
	if (!r)
		r = release_look(s.database, &facts, err);
	if (!r && !force)
		r = refuse_unsent(&facts, err);
	if (!r)
		r = release_file(s.database, &facts, err);
	if (!r) {
		document = json_pack("{s:s, s:i, s:i, s:i}", "database", s.database, "triggers", (int)facts.triggers, "views",
		                     (int)facts.views, "tables", (int)facts.tables);
		r = c->json ? ctl_print(c, document, err) : 0;
	}
	if (!r)
		ctl_say(c, "%s: %u triggers, %u views and %u tables of Terrace are gone; the data is as it was.",
		        "%s：已删除 Terrace 的 %u 个触发器、%u 个视图和 %u 个表，业务数据未变。", s.database, facts.triggers, facts.views,
		        facts.tables);
	settings_release(&s);
	return r;
}
