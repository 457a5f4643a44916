/* peers revoke, rejoin: an administrator's word about those below; leave. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/ctl.h"

int cmd_peers_revoke(struct ctl *c, struct err *err)
{
	const char *reason[2] = { NULL };
	const struct ctl_option options[] = { { .name = "reason", .value = reason } };
	_cleanup_(json_release) json_t *answer = NULL;
	int r = ctl_options(c, options, ARRAY_SIZE(options), 1, 1, err);

	if (r)
		return r;
	const char *const words[] = { "peers", "revoke", c->argv[0], reason[0] ? reason[0] : "" };
	r = ctl_call(c, words, ARRAY_SIZE(words), &answer, err);
	if (r || c->json)
		return r ? r : ctl_print(c, answer, err);
	ctl_say(c, "%s: revoked. What it sent before stays; this node writes for it until it is invited anew.",
	        "%s：已吊销。此前上报的内容保留；重新邀请之前由本级代为登记。", c->argv[0]);
	return 0;
}

int cmd_rejoin(struct ctl *c, struct err *err)
{
	_cleanup_(json_release) json_t *answer = NULL;
	int r = ctl_options(c, NULL, 0, 1, 1, err);

	if (r)
		return r;
	const char *const words[] = { "rejoin", c->argv[0] };
	r = ctl_call(c, words, ARRAY_SIZE(words), &answer, err);
	if (r || c->json)
		return r ? r : ctl_print(c, answer, err);
	ctl_say(c, "%s: settled; the machine that comes next goes on. Next: terracectl sync there.",
	        "%s：已处理，下一台联系上的机器继续使用。下一步：在该机器上执行 terracectl sync。", c->argv[0]);
	return 0;
}

#define LEAVE_S 60
#define LOOK_MS 200

/* Until the parent has let it go, or the time is over. */
static int wait_left(struct ctl *c, int64_t seconds, bool *ret_done, json_t **ret, struct err *err)
{
	static const char *const words[] = { "leave", "--status" };
	const struct source clock = source_system();
	int64_t until = clock.steady_ms(NULL) + seconds * 1000;

	for (;;) {
		json_release(ret);
		*ret = NULL;
		int r = ctl_call(c, words, ARRAY_SIZE(words), ret, err);
		*ret_done = !r && json_is_true(json_object_get(*ret, "done"));
		if (r || *ret_done || clock.steady_ms(NULL) >= until)
			return r;
		nanosleep(&(struct timespec){ 0, LOOK_MS * 1000000L }, NULL);
	}
}

int cmd_leave(struct ctl *c, struct err *err)
{
	static const char *const begin[] = { "leave" }, *const sync[] = { "sync" };
	const char *wait[2] = { NULL };
	const struct ctl_option options[] = { { .name = "wait", .value = wait } };
	_cleanup_(json_release) json_t *answer = NULL;
	uint64_t seconds = LEAVE_S;
	bool done = false;
	int r = ctl_options(c, options, ARRAY_SIZE(options), 0, 0, err);

	if (!r && wait[0] && text_number(wait[0], 0, 86400, &seconds))
		r = err_set(err, ERR_USAGE, "--wait %s: seconds, 0 to 86400", wait[0]);
	if (!r)
		r = ctl_call(c, begin, 1, &answer, err);
	json_release(&answer);
	answer = NULL;
	if (!r)
		r = ctl_call(c, sync, 1, &answer, err);          /* the superior is contacted now */
	if (!r)
		r = wait_left(c, (int64_t)seconds, &done, &answer, err);
	if (r)
		return r;
	c->status = done ? 0 : 1;
	if (c->json)
		return ctl_print(c, answer, err);
	if (done)
		ctl_say(c, "This node has left the tree; its data stays. terracectl release frees the database of Terrace.",
		        "本节点已退出，数据保留。用 terracectl release 可从数据库中删除 Terrace 的对象。");
	else
		ctl_say(c, "Not everything is settled after %llu s; the node leaves as soon as it is.",
		        "%llu 秒后仍有未归档的内容；全部归档后本节点自动退出。", (unsigned long long)seconds);
	return 0;
}
