/* The commands that only read (engine/report.h), with or without a daemon. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/home.h"
#include "app/settings.h"
#include "base/file.h"
#include "base/text.h"
#include "core/limits.h"
#include "ctl/ctl.h"
#include "ctl/phrases.h"
#include "ctl/view.h"
#include "engine/report.h"

#define FOLLOW_MS    500
#define FOLLOW_FIRST 10
#define TELL_MS      2000               /* between two lines of progress */
#define STATUS_MS    2000               /* how long the daemon may take to say how the link stands */

/* The chain says who the parent is.  Who may not read it, or has none yet, sees the rest all the same; one that does not
 * read leaves the reason in why. */
static bool read_chain(const char *home, struct chain *ret, struct err *why)
{
	_cleanup_(free_pointer) char *folder = path_join(home, HOME_IDENTITY), *path = folder ? path_join(folder, HOME_CHAIN) : NULL;
	_cleanup_(buf_release) struct buf pem = { 0 };

	return path && !file_read(path, LIMIT_CHAIN_BYTES, &pem, NULL) && !chain_read(buf_slice(&pem), NULL, ret, why);
}

static int print_csv(const json_t *document, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int r = csv_put(&b, document, err);

	return r ? r : ctl_write(&b, err);
}

struct telling {
	const struct ctl *c;
	int64_t told_ms;
};

static void tell(void *arg, const char *what, uint64_t done)
{
	struct telling *t = arg;
	int64_t now = source_system().steady_ms(NULL);

	if (now - t->told_ms < TELL_MS)
		return;
	t->told_ms = now;
	ctl_note(t->c, "%s: %llu", "%s：%llu", what, (unsigned long long)done);
}

static int run(const struct ctl *c, const struct settings *s, const char *home_folder, const char *const *words, uint32_t n,
               struct slice fetched, json_t **ret, int *ret_status, struct err *err)
{
	struct telling t = { c, source_system().steady_ms(NULL) };
	struct chain chain;
	struct err why = { 0 };
	bool enrolled = read_chain(home_folder, &chain, &why);
	const struct report_home home = { .database = s->database,
		                          .unit = s->unit,
		                          .parent = enrolled && chain.n > 1 ? chain.at[1].unit : UNIT_NONE,
		                          .level = unit_level(s->unit),
		                          .name = s->name,
		                          .url = s->has_upstream ? s->upstream_urls[0] : NULL,
		                          .chain = enrolled ? &chain : NULL,
		                          .chain_error = why.code ? why.text : NULL,
		                          .progress = tell,
		                          .arg = &t,
		                          .now_ms = source_system().wall_ms(NULL),
		                          .space_soft_mb = s->space_soft_mb,
		                          .space_hard_mb = s->space_hard_mb,
		                          .fetched = fetched };

	return report_run(&home, words, n, ret, ret_status, err);
}

int ctl_report(const struct ctl *c, const char *const *words, uint32_t n, json_t **ret, int *ret_status, struct err *err)
{
	return ctl_report_with(c, words, n, (struct slice){ 0 }, ret, ret_status, err);
}

int ctl_report_with(const struct ctl *c, const char *const *words, uint32_t n, struct slice fetched, json_t **ret,
                    int *ret_status, struct err *err)
{
	struct settings s;
	int r = settings_read(c->home, &s, err);

	*ret = NULL;
	if (r)
		return r;
	r = run(c, &s, c->home, words, n, fetched, ret, ret_status, err);
	settings_release(&s);
	return r;
}

/* The command's words without an option of ours; whether it stood there. */
static bool take_flag(struct ctl *c, const char *flag, const char **words, uint32_t *ret_n)
{
	bool found = false;
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->nwords; i++)
		if (!strcmp(c->words[i], flag)) {
			found = true;
		} else {                           /* the kinds of events may be named as tables name them */
			bool kind = n && !strcmp(words[n - 1], "--kind");
			words[n++] = kind ? phrase_english(c->words[i]) : c->words[i];
		}
	*ret_n = n;
	return found;
}

/* How the link stands this moment only the running daemon knows. */
static void add_uplink(struct ctl *c, json_t *document)
{
	static const char *const words[] = { "status" }, *const keys[] = { "url", "since", "next_contact", "error" };
	_cleanup_(json_release) json_t *answer = NULL;
	json_t *upstream = json_object_get(document, "upstream"), *live;

	if (!upstream || !strcmp(json_string_value(json_object_get(upstream, "state")), "top"))
		return;
	bool runs = !ctl_call_for(c, words, 1, STATUS_MS, &answer, NULL);
	live = json_object_get(answer, "upstream");
	for (size_t i = runs ? 0 : 1; i < ARRAY_SIZE(keys); i++)
		json_object_set(upstream, keys[i], json_object_get(live, keys[i]) ? json_object_get(live, keys[i]) : json_null());
	const char *state = json_string_value(json_object_get(live, "state"));
	if (!runs)
		json_object_set_new(upstream, "state", json_string("stopped"));
	else if (state && strcmp(state, "joined") && strcmp(json_string_value(json_object_get(upstream, "state")), "twin"))
		json_object_set_new(upstream, "state", json_string(state));
}

int cmd_report(struct ctl *c, struct err *err)
{
	_cleanup_(json_release) json_t *document = NULL;
	const char *words[CTL_WORDS] = { NULL };
	uint32_t n;
	int status = 0;
	bool csv = take_flag(c, "--csv", words, &n);
	int r = ctl_report(c, words, n, &document, &status, err);

	if (!r && !strcmp(words[0], "status"))
		add_uplink(c, document);
	if (!r)
		r = csv && !c->json ? print_csv(document, err) : ctl_print(c, document, err);
	c->status = MAX(c->status, status);
	return r;
}

/* ---- log --follow: the last events, then each as it comes, a line each, until the reader goes away */

static void put_field(struct buf *b, const char *text, size_t width)
{
	size_t n = utf8_width(text);

	buf_printf(b, "%s", text);
	for (; n < width + 2; n++)
		buf_put_u8(b, ' ');
}

static int print_event(struct ctl *c, const json_t *event, struct err *err)
{
	_cleanup_(json_release) json_t *list = json_pack("[O]", event), *view = NULL;
	_cleanup_(buf_release) struct buf b = { 0 };
	char local[RFC3339_SIZE];
	int64_t ms;
	bool cut;

	if (c->json) {
		json_put(&b, event);
	} else if ((view = view_of(c, list, &cut)) != NULL) {
		const json_t *row = json_array_get(view, 0);
		const char *at = view_text(row, "at");
		put_field(&b, time_of(at, &ms) ? at : time_local(ms, local), 19);
		put_field(&b, view_text(row, "kind"), 10);
		put_field(&b, view_text(row, "peer"), 12);
		buf_printf(&b, "%s", view_text(row, "text"));
	}
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < ' ')
			b.p[i] = ' ';
	if (puts(buf_text(&b)) < 0 || fflush(stdout))
		return err_set(err, ERR_IO, "standard output: cannot be written");
	return 0;
}

int cmd_log(struct ctl *c, struct err *err)
{
	const struct timespec pause = { .tv_sec = FOLLOW_MS / 1000, .tv_nsec = FOLLOW_MS % 1000 * 1000000L };
	const char *words[CTL_WORDS + 2] = { NULL };
	char since[RFC3339_SIZE] = "";
	json_int_t last = 0;
	uint32_t n, own;
	int status, r = 0;

	if (!take_flag(c, "--follow", words, &own))
		return cmd_report(c, err);
	if (own > CTL_WORDS - 2)
		return err_set(err, ERR_USAGE, "more than %d words", CTL_WORDS - 2);
	for (bool first = true; !r; first = false) {
		_cleanup_(json_release) json_t *document = NULL;
		n = own;
		if (*since) {                    /* the later one counts */
			words[n++] = "--since";
			words[n++] = since;
		}
		r = ctl_report(c, words, n, &document, &status, err);
		size_t count = json_array_size(document);
		for (size_t i = first && count > FOLLOW_FIRST ? count - FOLLOW_FIRST : 0; !r && i < count; i++) {
			const json_t *event = json_array_get(document, i);
			json_int_t id = json_integer_value(json_object_get(event, "id"));
			if (id <= last)
				continue;
			r = print_event(c, event, err);
			last = id;
			const char *at = json_string_value(json_object_get(event, "at"));
			snprintf(since, sizeof(since), "%s", at ? at : "");
		}
		if (!r)
			nanosleep(&pause, NULL);
	}
	return r;
}
