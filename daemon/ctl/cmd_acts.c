/* What people order of a running daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "core/limits.h"
#include "core/unit.h"
#include "ctl/ctl.h"

#define FILE_MOST (512u << 10)           /* of a list of invitations */

static int order(struct ctl *c, const char *const *words, uint32_t n, json_t **ret, struct err *err)
{
	*ret = NULL;
	return ctl_call(c, words, n, ret, err);
}

/* ---- invite */

static int invite_one(struct ctl *c, const char *unit, const char *name, const char *hours, json_t **ret, struct err *err)
{
	const char *const words[] = { "invite", unit, name, hours };
	uint64_t code;

	if (unit_parse(slice_of(unit), &code, err))
		return err->code = ERR_USAGE;
	return order(c, words, ARRAY_SIZE(words), ret, err);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static const char *local_time(const char *utc, char ret[RFC3339_SIZE])
{
	int64_t ms;

	return time_of(utc, &ms) ? utc : time_local(ms, ret);
}

/* "UNIT,NAME" in place; a byte-order mark, white space at the ends and quotes around the name are taken away. */
static char *split(char *line, char **ret_name)
{
	size_t n = strcspn(line, ",;\t ");

	*ret_name = line[n] ? line + n + 1 : line + n;
	line[n] = '\0';
	char *name = *ret_name + strspn(*ret_name, " \t\"");
	size_t end = strlen(name);
	while (end && strchr(" \t\"\r", name[end - 1]))
		end--;
	name[end] = '\0';
	*ret_name = name;
	return line;
}

static int invite_file(struct ctl *c, const char *path, const char *hours, struct err *err)
{
	_cleanup_(buf_release) struct buf text = { 0 };
	_cleanup_(json_release) json_t *all = json_array();
	int number = 0, r = file_read(path, FILE_MOST, &text, err);
	char *at = NULL, *name;

	if (r)
		return r;
	buf_put_u8(&text, 0);
	if (text.failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	char *from = (char *)text.p + (strncmp((char *)text.p, "\xef\xbb\xbf", 3) ? 0 : 3);
	for (char *line = strtok_r(from, "\r\n", &at); line && !r; line = strtok_r(NULL, "\r\n", &at)) {
		json_t *one = NULL;
		number++;
		const char *unit = split(line, &name);
		if (number == 1 && (*unit < '0' || *unit > '9'))
			continue;                /* the headings */
		r = invite_one(c, unit, name, hours, &one, err);
		if (r)
			err_prefix(err, "%s:%d: ", path, number);
		else
			json_array_append_new(all, one);
		if (!r && !c->json)
			printf("%s %s %s\n", unit, name, text_of(one, "line"));
	}
	/* What was invited before a line that is wrong is told too. */
	int printed = c->json && json_array_size(all) ? ctl_print(c, all, r ? NULL : err) : 0;
	return r ? r : printed;
}

/* A request that came by stick: answered by the daemon, and written for the way back. */
static int invite_answer(struct ctl *c, const char *path, const char *out, struct err *err)
{
	_cleanup_(buf_release) struct buf body = { 0 }, coded = { 0 };
	_cleanup_(json_release) json_t *answer = NULL;
	int r = out ? file_read(path, LIMIT_ENROLL_BODY, &body, err) : err_set(err, ERR_USAGE, "--%s is missing", "out");

	if (r)
		return r;
	base64url_put(&coded, buf_slice(&body));
	const char *const words[] = { "enroll", buf_text(&coded) };
	r = order(c, words, ARRAY_SIZE(words), &answer, err);
	if (!r)
		r = file_write(out, slice_of(text_of(answer, "chain")), 0644, err);
	if (r)
		return r;
	json_object_set_new(answer, "file", json_slice(slice_of(out)));
	if (c->json)
		return ctl_print(c, answer, err);
	ctl_say(c, "%s: the certificate of %s.  Back there: terracectl join LINE --answer FILE", "%s：%s 的证书。带回后执行：terracectl join 邀请行 --answer 文件",
	        out, text_of(answer, "unit"));
	return 0;
}

int cmd_invite(struct ctl *c, struct err *err)
{
	const char *name[2] = { NULL }, *hours[2] = { NULL }, *file[2] = { NULL }, *request[2] = { NULL }, *out[2] = { NULL };
	char until[RFC3339_SIZE];
	const struct ctl_option options[] = {
		{ .name = "name", .value = name }, { .name = "hours", .value = hours }, { .name = "file", .value = file },
		{ .name = "answer", .value = request }, { .name = "out", .value = out },
	};
	_cleanup_(json_release) json_t *answer = NULL;
	int r = ctl_options(c, options, ARRAY_SIZE(options), 0, 1, err);

	if (!r && !c->argc && !file[0] && request[0])
		return invite_answer(c, request[0], out[0], err);
	if (!r && (!file[0] == !c->argc || request[0]))
		r = err_set(err, ERR_USAGE, "name a unit, or a file with --file");
	if (r)
		return r;
	if (file[0])
		return invite_file(c, file[0], hours[0] ? hours[0] : "72", err);
	r = invite_one(c, c->argv[0], name[0] ? name[0] : "", hours[0] ? hours[0] : "72", &answer, err);
	if (r)
		return r;
	if (c->json)
		return ctl_print(c, answer, err);
	puts(text_of(answer, "line"));
	ctl_note(c, "Works once, until %s.  At the unit: terracectl join LINE", "仅可使用一次，有效至 %s。在该单位执行：terracectl join 邀请行",
	         local_time(text_of(answer, "until"), until));
	return 0;
}

/* ---- sync */

int cmd_sync(struct ctl *c, struct err *err)
{
	const char *wait[2] = { NULL };
	const struct ctl_option options[] = { { .name = "wait", .value = wait } };
	_cleanup_(json_release) json_t *answer = NULL;
	uint64_t seconds = 0;
	int r = ctl_options(c, options, ARRAY_SIZE(options), 0, 0, err);

	if (!r && wait[0] && text_number(wait[0], 0, 86400, &seconds))
		r = err_set(err, ERR_USAGE, "--wait %s: seconds, 0 to 86400", wait[0]);
	if (r)
		return r;
	const char *const words[] = { "sync", "--wait", wait[0] };
	r = ctl_call_for(c, words, wait[0] ? 3 : 1, (int)seconds * 1000 + CTL_WAIT_MS, &answer, err);
	if (r || c->json)
		return r ? r : ctl_print(c, answer, err);
	if (!wait[0])
		ctl_say(c, "Sealed; the superior is being contacted.", "已封装，正在联系上级。");
	else if (c->status)
		ctl_say(c, "Not everything is settled and applied after %s s; terracectl why --unit says more.",
		        "%s 秒后仍有未归档或未应用的内容；用 terracectl why --unit 查看原因。", wait[0]);
	else
		ctl_say(c, "Everything is settled and applied.", "已全部归档并应用。");
	return 0;
}

/* ---- closing, quarantine, reconciliation */

/* FAMILY VERB ID TEXT, the text behind an option. */
static int with_text(struct ctl *c, const char *family, const char *verb, const char *option, struct err *err)
{
	const char *text[2] = { NULL };
	const struct ctl_option options[] = { { .name = option, .value = text } };
	_cleanup_(json_release) json_t *answer = NULL;
	int r = ctl_options(c, options, 1, 1, 1, err);

	if (!r && (!text[0] || !*text[0]))
		r = err_set(err, ERR_USAGE, "--%s is missing", option);
	if (r)
		return r;
	const char *const words[] = { family, verb, c->argv[0], text[0] };
	r = order(c, words, ARRAY_SIZE(words), &answer, err);
	if (r || c->json)
		return r ? r : ctl_print(c, answer, err);
	ctl_say(c, "%s %s %s: done, by %s", "%s %s %s：已完成，操作人 %s", family, verb, c->argv[0], text_of(answer, "actor"));
	return 0;
}

int cmd_conflicts_close(struct ctl *c, struct err *err)
{
	return with_text(c, "conflicts", "close", "note", err);
}

int cmd_issues_close(struct ctl *c, struct err *err)
{
	return with_text(c, "issues", "close", "note", err);
}

int cmd_quarantine_drop(struct ctl *c, struct err *err)
{
	return with_text(c, "quarantine", "drop", "reason", err);
}

int cmd_quarantine_retry(struct ctl *c, struct err *err)
{
	_cleanup_(json_release) json_t *answer = NULL;
	int r = ctl_options(c, NULL, 0, 0, 1, err);

	if (r)
		return r;
	const char *const words[] = { "quarantine", "retry", c->argv[0] };
	r = order(c, words, c->argc > 0 ? 3 : 2, &answer, err);
	if (r)
		return r;
	if (json_is_true(json_object_get(answer, "left")))
		c->status = 1;
	if (c->json)
		return ctl_print(c, answer, err);
	if (c->status)
		ctl_say(c, "Some changes still cannot be applied; terracectl quarantine list shows them.",
		        "仍有变更无法应用；用 terracectl quarantine list 查看。");
	else
		ctl_say(c, "Nothing of it is left in quarantine.", "相应变更已全部应用，隔离区无遗留。");
	return 0;
}
