/* peers revoke, rejoin: an administrator's word about those below. */
#include <string.h>

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
