/* The administrator's reconciliation: an audit of the tables and a comparison with the neighbours, row by row; a plan of
 * what could be done, in words and as a file; and doing exactly that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "core/digest.h"
#include "ctl/ctl.h"
#include "ctl/phrases.h"

#define NEIGHBOURS_MS 20000              /* how long neighbours may take once the audit is over */
#define MENDED_MS     15000              /* how long an applied plan is watched */
#define PLAN_FORMAT   1
#define PLAN_MOST     (64u << 20)
#define BATCH         16u                /* rows of one command: the node is not held up */

struct wish {
	const char *only[2], *with[2], *unit[2], *wait[2], *plan[2], *apply[2];
	bool keep;
	uint64_t seconds;
	const char *look[8];             /* the report's words */
	uint32_t nlook;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* ---- waiting */

static bool all_compared(const json_t *document, const char *started)
{
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(document, "neighbours"), i, one) {
		if (strcmp(text_of(one, "compared"), started) < 0)
			return false;
	}
	return true;
}

static void progress(struct ctl *c, const json_t *document, bool done)
{
	size_t i, looked = 0, all = json_array_size(json_object_get(document, "registers"));
	json_t *one;

	json_array_foreach(json_object_get(document, "registers"), i, one)
		looked += strcmp(text_of(one, "state"), "comparing") != 0;
	if (c->json || !isatty(STDERR_FILENO))
		return;
	if (done)
		fprintf(stderr, "\r%*s\r", 40, "");
	else
		fprintf(stderr, "\r%s %zu/%zu ", ctl_words(c, "registers", "台账"), looked, all);
	fflush(stderr);
}

/* Until every row has been looked at, and for a while until the neighbours have compared. */
static int await(struct ctl *c, const struct wish *w, json_t **ret, int *ret_status, struct err *err)
{
	const struct source clock = source_system();
	int64_t begin = clock.steady_ms(NULL), done_at = 0;

	for (;;) {
		int r = ctl_report(c, w->look, w->nlook, ret, ret_status, err);
		int64_t now = clock.steady_ms(NULL);
		bool done = !r && json_is_true(json_object_get(*ret, "done")), over = false;
		if (done && !done_at)
			done_at = now;
		over = r || now - begin >= (int64_t)w->seconds * 1000 ||
		       (done && (now - done_at >= NEIGHBOURS_MS || all_compared(*ret, text_of(*ret, "started"))));
		if (!r && w->seconds)
			progress(c, *ret, over);
		if (over)
			return r;
		json_release(ret);
		nanosleep(&(struct timespec){ .tv_nsec = 200000000L }, NULL);
	}
}

/* ---- the plan as a file */

static void hash_of(const json_t *rows, struct buf *hex)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct digest d;
	size_t i;
	json_t *one;

	json_array_foreach(rows, i, one)
		buf_put_text(&b, text_of(one, "apply"));
	d = digest_of(buf_slice(&b));
	hex_put(hex, (struct slice){ d.at, DIGEST_SIZE });
}

static int plan_write(struct ctl *c, const char *path, json_t *document, struct err *err)
{
	_cleanup_(buf_release) struct buf text = { 0 };
	_cleanup_(json_release) json_t *plan = json_object();

	json_object_set_new(plan, "format", json_integer(PLAN_FORMAT));
	json_object_set_new(plan, "home", json_string(c->home));
	json_object_set(plan, "made", json_object_get(document, "started"));
	json_object_set(plan, "hash", json_object_get(document, "hash"));
	json_object_set(plan, "rows", json_object_get(document, "rows"));
	if (json_put(&text, plan) || text.failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	buf_put_u8(&text, '\n');
	return file_write(path, buf_slice(&text), 0600, err);
}

static int plan_read(const char *path, json_t **ret, struct err *err)
{
	_cleanup_(buf_release) struct buf text = { 0 }, hash = { 0 };
	int r = file_read(path, PLAN_MOST, &text, err);

	if (r)
		return r;
	*ret = json_loadb((const char *)text.p, text.n, 0, NULL);
	if (!*ret || json_integer_value(json_object_get(*ret, "format")) != PLAN_FORMAT || !json_is_array(json_object_get(*ret, "rows")))
		return err_set(err, ERR_FORMAT, "%s: this is no plan; make one with terracectl reconcile --plan FILE", path);
	hash_of(json_object_get(*ret, "rows"), &hash);
	return strcmp(buf_text(&hash), text_of(*ret, "hash")) == 0 ? 0 :
	       err_set(err, ERR_FORMAT, "%s: the plan was changed since it was made; make a new one", path);
}

/* ---- applying */

/* The rows in batches: all are checked before the first is changed. */
static int give_rows(struct ctl *c, const json_t *rows, const char *mode, bool keep, int *ret_mended, int *ret_asked, struct err *err)
{
	const char *words[BATCH + 4] = { "reconcile", "apply", mode, keep ? "keep" : "restore" };
	size_t at = 0, n = json_array_size(rows);
	int r = 0;

	while (at < n && !r) {
		_cleanup_(json_release) json_t *answer = NULL;
		uint32_t k = 4;
		for (; at < n && k < ARRAY_SIZE(words); at++) {
			const char *word = text_of(json_array_get(rows, at), "apply");
			if (*word)
				words[k++] = word;
		}
		if (k > 4)
			r = ctl_call(c, words, k, &answer, err);
		*ret_mended += (int)json_integer_value(json_object_get(answer, "mended"));
		*ret_asked += (int)json_integer_value(json_object_get(answer, "asked"));
		if (!r && !c->json && isatty(STDERR_FILENO))
			fprintf(stderr, "\r%s %zu/%zu ", strcmp(mode, "do") ? ctl_words(c, "checked", "已检查") : ctl_words(c, "applied", "已执行"), at, n);
	}
	if (!c->json && isatty(STDERR_FILENO))
		fprintf(stderr, "\r%*s\r", 40, "");
	return r;
}

/* What neighbours were asked for comes within moments where they are reached. */
static int await_mended(struct ctl *c, size_t *ret_left, struct err *err)
{
	static const char *const look[] = { "reconcile", "status" };
	const struct source clock = source_system();
	int64_t begin = clock.steady_ms(NULL);

	for (;;) {
		_cleanup_(json_release) json_t *document = NULL;
		size_t i;
		int status, r = ctl_report(c, look, ARRAY_SIZE(look), &document, &status, err);
		json_t *one;
		*ret_left = 0;
		json_array_foreach(json_object_get(document, "rows"), i, one)
			*ret_left += json_is_true(json_object_get(one, "asked"));
		if (r || *ret_left == 0 || clock.steady_ms(NULL) - begin >= MENDED_MS)
			return r;
		nanosleep(&(struct timespec){ .tv_nsec = 200000000L }, NULL);
	}
}

static int apply(struct ctl *c, const struct wish *w, struct err *err)
{
	_cleanup_(json_release) json_t *plan = NULL, *answer = NULL;
	int mended = 0, asked = 0, ignored = 0, r = plan_read(w->apply[0], &plan, err);
	size_t left = 0;

	json_t *rows = json_object_get(plan, "rows");
	if (!r)
		r = give_rows(c, rows, "check", w->keep, &ignored, &ignored, err);
	if (!r)
		r = give_rows(c, rows, "do", w->keep, &mended, &asked, err);
	if (!r && asked)
		r = await_mended(c, &left, err);
	if (r)
		return r;
	if (left)
		c->status = 1;
	if (c->json) {
		answer = json_pack("{s:i, s:i, s:I}", "mended", mended, "asked", asked, "left", (json_int_t)left);
		return ctl_print(c, answer, err);
	}
	ctl_say(c, "%d rows were mended here, %d pass between the neighbours; terracectl reconcile shows what is left.",
	        "本级已修复 %d 行，另有 %d 行由上下级传送；用 terracectl reconcile 查看剩余差异。", mended, asked);
	if (left)
		ctl_say(c, "%zu rows still wait for a neighbour's answer.", "仍有 %zu 行在等待上下级答复。", left);
	return 0;
}

/* ---- the command */

static int wish_read(struct ctl *c, struct wish *w, struct err *err)
{
	const struct ctl_option options[] = {
		{ .name = "register", .value = w->only }, { .name = "wait", .value = w->wait }, { .name = "with", .value = w->with },
		{ .name = "unit", .value = w->unit }, { .name = "plan", .value = w->plan }, { .name = "apply", .value = w->apply },
		{ .name = "keep-local", .flag = &w->keep },
	};
	const struct {
		const char *name;
		const char *const *value;
	} filters[] = { { "--register", w->only }, { "--with", w->with }, { "--unit", w->unit } };
	int r = ctl_options(c, options, ARRAY_SIZE(options), 0, 1, err);

	if (!r && c->argc && strcmp(c->argv[0], "status"))
		r = err_set(err, ERR_USAGE, "%s: one word too many", c->argv[0]);
	if (!r && w->wait[0] && text_number(w->wait[0], 0, 86400, &w->seconds))
		r = err_set(err, ERR_USAGE, "--wait %s: seconds, 0 to 86400", w->wait[0]);
	if (!r && (w->keep && !w->apply[0]))
		r = err_set(err, ERR_USAGE, "--keep-local goes with --apply FILE");
	if (!r && w->apply[0] && (c->argc || w->only[0] || w->with[0] || w->unit[0] || w->plan[0]))
		r = err_set(err, ERR_USAGE, "--apply FILE does exactly what the plan says: no other option goes with it");
	w->look[w->nlook++] = "reconcile";
	w->look[w->nlook++] = "status";
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		if (filters[i].value[0]) {
			w->look[w->nlook++] = filters[i].name;
			w->look[w->nlook++] = filters[i].value[0];
		}
	return r;
}

static int begin(struct ctl *c, const struct wish *w, json_t **ret, struct err *err)
{
	const char *words[5] = { "reconcile" };
	_cleanup_(json_release) json_t *document = NULL;
	uint32_t n = 1;
	int status = 0, r = ctl_report(c, w->look, w->nlook, &document, &status, err);   /* what is misspelt is told before anything is done */

	if (w->only[0]) {
		words[n++] = "--register";
		words[n++] = w->only[0];
	}
	if (w->with[0]) {
		words[n++] = "--with";
		words[n++] = w->with[0];
	}
	return r ? r : ctl_call(c, words, n, ret, err);
}

/* "household 532999101201000001, 532999101201, changed: ..." */
static void say_row(const struct ctl *c, const json_t *row)
{
	_cleanup_(buf_release) struct buf kind = { 0 }, will = { 0 };
	const char *with = text_of(row, "with");

	phrase_put(&kind, text_of(row, "kind"), c->chinese);
	phrase_put(&will, text_of(row, "will"), c->chinese);
	printf("%s %s  %s  %s%s%s: %s\n", text_of(row, "register"), text_of(row, "key"), text_of(row, "unit"), buf_text(&kind),
	       *with ? " " : "", with, buf_text(&will));
}

static int show(struct ctl *c, const struct wish *w, json_t *document, bool done, int status, struct err *err)
{
	_cleanup_(json_release) json_t *shown = json_copy(document);
	size_t i;
	json_t *one;

	json_object_del(shown, "rows");
	int r = ctl_print(c, c->json ? document : shown, err);
	if (r || c->json)
		return r;
	json_array_foreach(json_object_get(document, "rows"), i, one)
		say_row(c, one);
	if (!done)
		ctl_say(c, "Not every row has been looked at yet; terracectl reconcile status says how far it is.",
		        "尚未核对完；用 terracectl reconcile status 查看进度。");
	else if (!status)
		ctl_say(c, "Nothing differs, as far as is known.", "就目前所知没有差异。");
	else if (w->plan[0])
		ctl_say(c, "The plan is written to %s; nothing was changed.  To carry it out: terracectl reconcile --apply %s",
		        "方案已写入 %s，尚未作任何更改。执行方案：terracectl reconcile --apply %s", w->plan[0], w->plan[0]);
	else
		ctl_say(c, "Something differs; terracectl reconcile --plan FILE writes down what can be done.",
		        "有差异；用 terracectl reconcile --plan 文件 写出处理方案。");
	return 0;
}

int cmd_reconcile(struct ctl *c, struct err *err)
{
	_cleanup_(json_release) json_t *answer = NULL, *document = NULL;
	_cleanup_(buf_release) struct buf hash = { 0 };
	struct wish w = { .seconds = 600 };
	int status = 0, r = wish_read(c, &w, err);

	if (r || w.apply[0])
		return r ? r : apply(c, &w, err);
	if (!c->argc)
		r = begin(c, &w, &answer, err);
	else
		w.seconds = 0;
	if (!r)
		r = await(c, &w, &document, &status, err);
	if (r)
		return r;
	if (answer)
		json_object_set(document, "actor", json_object_get(answer, "actor"));
	hash_of(json_object_get(document, "rows"), &hash);
	json_object_set_new(document, "hash", json_string(buf_text(&hash)));
	if (w.plan[0])
		r = plan_write(c, w.plan[0], document, err);
	bool done = json_is_true(json_object_get(document, "done"));
	c->status = MAX(c->status, done ? status : 1);
	return r ? r : show(c, &w, document, done, status, err);
}
