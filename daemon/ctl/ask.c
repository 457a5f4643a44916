/* Asking the superior. */
#include "ctl/ask.h"

#include "app/home.h"
#include "base/file.h"
#include "base/text.h"
#include "link/dial.h"

/* The answer to the request that the lane has under way, within ASK_MS. */
static int await(struct dialer *d, struct lane *lane, const char *url, struct dial_answer *ret, struct err *err)
{
	const struct source clock = source_system();
	int64_t until = clock.steady_ms(NULL) + ASK_MS;
	int code = 0;

	while (!lane_take(lane, ret, &code, err)) {
		int64_t left = until - clock.steady_ms(NULL);
		if (left <= 0)
			return err_set(err, ERR_NETWORK, "%s: no answer in %d s", url, ASK_MS / 1000);
		dialer_run(d, MIN(left, 1000));
	}
	return code;
}

static int judge(const struct dial_answer *a, const char *url, struct buf *ret, struct err *err)
{
	char text[300];

	if (a->status == 200) {
		buf_put(ret, a->body.p, a->body.n);
		return ret->failed ? err_set(err, ERR_NOMEM, "out of memory") : 0;
	}
	if (a->status == 204)
		return 0;
	dial_message(a, text, sizeof(text));
	return err_set(err, a->status == 403 ? ERR_CHAIN : a->status == 404 ? ERR_NOT_FOUND : ERR_REFUSED, "%s: %s", url, text);
}

int ask_parent(const struct ctl *c, const struct settings *s, const struct identity *id, const char *url, const char *path,
               size_t most, int *ret_status, struct buf *ret, struct err *err)
{
	_cleanup_(free_pointer) char *spool = path_join(c->home, HOME_SPOOL), *whole = text_printf("%s%s", url, path);
	struct spool_room room = { .folder = spool };
	const struct dial_options o = { .identity = id, .proxy = s->proxy ? s->proxy : "", .room = &room };
	const struct dial_request request = { .url = whole, .most = most };
	struct dial_answer answer = { 0 };
	struct dialer *d = NULL;
	struct lane *lane = NULL;
	int r = spool && whole ? dialer_new(&o, &d, err) : err_set(err, ERR_NOMEM, "out of memory");

	*ret_status = 0;
	if (!r)
		r = lane_new(d, &lane, err);
	if (!r)
		r = lane_start(lane, &request, err);
	if (!r)
		r = await(d, lane, url, &answer, err);
	if (!r) {
		*ret_status = answer.status;
		r = judge(&answer, url, ret, err);
	}
	dialer_free(d);
	return r;
}
