/* bundle: exchange by stick.  The daemon alone opens and closes bundles; the file itself is read and written here, with
 * the rights of whoever gives the command, and handed over in memory. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/box.h"
#include "core/limits.h"
#include "core/unit.h"
#include "ctl/ctl.h"
#include "ctl/view.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

int cmd_bundle_export(struct ctl *c, struct err *err)
{
	const char *to[2] = { NULL }, *out[2] = { NULL };
	const struct ctl_option options[] = { { .name = "to", .value = to }, { .name = "out", .value = out } };
	_cleanup_(json_release) json_t *answer = NULL;
	_cleanup_(buf_release) struct buf content = { 0 };
	_cleanup_(fd_close) int file = -1;
	uint64_t unit;
	int r = ctl_options(c, options, ARRAY_SIZE(options), 0, 0, err);

	if (!r && (!to[0] || !out[0]))
		r = err_set(err, ERR_USAGE, "--%s is missing", to[0] ? "out" : "to");
	if (!r && unit_parse(slice_of(to[0]), &unit, err))
		r = err->code = ERR_USAGE;
	const char *const words[] = { "bundle", "export", to[0] };
	if (!r)
		r = fd_memory("bundle", &file, err);
	if (!r)
		r = ctl_call_with(c, words, ARRAY_SIZE(words), file, CTL_WAIT_MS, &answer, err);
	if (!r)
		r = fd_close_writing(file, err);
	if (!r)
		r = fd_take(file, BOX_MOST(LIMIT_BUNDLE), &content, err);
	if (!r)
		r = file_write(out[0], buf_slice(&content), 0600, err);
	if (r)
		return r;
	json_object_set_new(answer, "file", json_slice(slice_of(out[0])));
	if (c->json)
		return ctl_print(c, answer, err);
	ctl_say(c, "%s: %lld bytes for %s, which alone can open it.", "%s：%lld 字节，只有 %s 能打开。", out[0], number_of(answer, "bytes"), to[0]);
	if (json_is_true(json_object_get(answer, "more")))
		ctl_say(c, "More waits; it goes with the next one, when this one has been answered.", "还有内容未装下；对方答复后再导出下一个。");
	ctl_say(c, "Next, there: terracectl bundle import FILE; and bring back what it exports to this unit.",
	        "下一步在对方执行：terracectl bundle import 文件；并带回其导出给本单位的交换包。");
	return 0;
}

/* import and inspect: the file is read whole, within what a bundle may have. */
static int hand_over(struct ctl *c, const char *verb, json_t **ret, struct err *err)
{
	_cleanup_(buf_release) struct buf content = { 0 };
	_cleanup_(fd_close) int file = -1;
	int r = ctl_options(c, NULL, 0, 1, 1, err);

	if (!r)
		r = file_read(c->argv[0], BOX_MOST(LIMIT_BUNDLE), &content, err);
	if (!r)
		r = fd_memory("bundle", &file, err);
	if (!r)
		r = fd_give(file, buf_slice(&content), err);
	if (!r)
		r = fd_close_writing(file, err);
	const char *const words[] = { "bundle", verb };
	return r ? r : ctl_call_with(c, words, ARRAY_SIZE(words), file, CTL_WAIT_MS, ret, err);
}

int cmd_bundle_import(struct ctl *c, struct err *err)
{
	_cleanup_(json_release) json_t *answer = NULL;
	int r = hand_over(c, "import", &answer, err);

	if (r || c->json)
		return r ? r : ctl_print(c, answer, err);
	const char *state = text_of(answer, "state");
	ctl_say(c, "%s: taken from %s, %lld changes.", "%s：已导入，来自 %s，%lld 项变更。", c->argv[0], text_of(answer, "from"),
	        number_of(answer, "changes"));
	if (!strcmp(state, "heals"))
		ctl_say(c, "The link is brought in order first: the next bundle each way carries on.", "需先修复线路：双方各再传一个交换包后继续。");
	else if (!strcmp(state, "waits"))
		ctl_say(c, "This node has to hear from its own superior first; then import a new bundle.", "本节点须先与自己的上级修复；之后再导入新的交换包。");
	else if (!strcmp(state, "twin"))
		ctl_say(c, "Two machines run as this unit; settle it with terracectl rejoin.", "有两台机器使用同一单位身份；请用 terracectl rejoin 处理。");
	ctl_say(c, "Next: terracectl bundle export --to %s --out FILE, and take it back.", "下一步：terracectl bundle export --to %s --out 文件，并带回。",
	        text_of(answer, "from"));
	return 0;
}

int cmd_bundle_inspect(struct ctl *c, struct err *err)
{
	_cleanup_(json_release) json_t *answer = NULL;
	int r = hand_over(c, "inspect", &answer, err);

	return r ? r : ctl_print(c, answer, err);
}
