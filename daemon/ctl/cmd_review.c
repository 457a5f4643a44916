/* proposals accept, proposals reject: what this level decides about what waits in its queue. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "core/limits.h"
#include "ctl/ctl.h"
#include "store/reports.h"

struct choice {
	const char *reg[2], *unit[2], *count[2], *reason[2];
	bool all;
	uint64_t n;                      /* how many are to be decided */
	int64_t sum;                     /* of --all: over the numbers of what was shown */
};

/* What `proposals list` shows with the same filters, and waits for this level. */
static int choose_all(struct ctl *c, struct choice *x, json_t *ret_shown, struct err *err)
{
	_cleanup_(json_release) json_t *list = NULL;
	const char *words[6] = { "proposals", "list" };
	uint32_t n = 2;
	int status = 0;
	size_t i;
	json_t *one;

	if (x->reg[0]) {
		words[n++] = "--register";
		words[n++] = x->reg[0];
	}
	if (x->unit[0]) {
		words[n++] = "--unit";
		words[n++] = x->unit[0];
	}
	int r = ctl_report(c, words, n, &list, &status, err);
	if (r)
		return r;
	json_array_foreach(list, i, one) {
		if (!json_is_true(json_object_get(one, "here")))
			continue;
		x->n++;
		x->sum = proposal_sum(x->sum, json_integer_value(json_object_get(one, "id")));
		json_array_append(ret_shown, one);
	}
	return x->n ? 0 : err_set(err, ERR_NOT_FOUND, "no proposal waits here for this level; terracectl proposals list shows all");
}

static bool answered_yes(void)
{
	char line[16];

	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y') && (line[1] == '\n' || !strcmp(line + 1, "es\n"));
}

/* Several at once need their number from a person: by --count, or on a terminal by y. */
static int confirm(struct ctl *c, const struct choice *x, bool accept, const json_t *shown, struct err *err)
{
	uint64_t count;

	if (x->count[0] && text_number(x->count[0], 1, LIMIT_REVIEW, &count))
		return err_set(err, ERR_USAGE, "--count %s: a number from 1 to %u", x->count[0], LIMIT_REVIEW);
	if (x->count[0] && count != x->n)
		return err_set(err, ERR_REFUSED, "%llu proposals would be decided, --count says %llu; nothing was decided: look at the list "
		               "again", (unsigned long long)x->n, (unsigned long long)count);
	if (x->count[0] || (x->n == 1 && !x->all))
		return 0;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return err_set(err, ERR_REFUSED, "%llu proposals would be %s; confirm their number with --count %llu",
		               (unsigned long long)x->n, accept ? "accepted" : "rejected", (unsigned long long)x->n);
	if (x->all && !c->json) {
		int r = ctl_print(c, shown, err);
		if (r)
			return r;
		fflush(stdout);
	}
	fprintf(stderr, "%s (%llu) [y/N] ", ctl_words(c, accept ? "Accept all of these?" : "Reject all of these?",
	                                              accept ? "全部通过？" : "全部退回？"), (unsigned long long)x->n);
	return answered_yes() ? 0 : err_set(err, ERR_REFUSED, "not confirmed; nothing was decided");
}

static int give_order(struct ctl *c, const struct choice *x, bool accept, struct err *err)
{
	_cleanup_(json_release) json_t *answer = NULL;
	const char *words[CTL_WORDS + 12] = { "proposals", accept ? "accept" : "reject" };
	char count[24], sum[24];
	uint32_t n = 2;

	for (uint32_t i = 0; i < c->argc; i++)
		words[n++] = c->argv[i];
	snprintf(count, sizeof(count), "%llu", (unsigned long long)x->n);
	snprintf(sum, sizeof(sum), "%lld", (long long)x->sum);
	const char *const more[][2] = {
		{ "--register", x->reg[0] }, { "--unit", x->unit[0] }, { "--reason", x->reason[0] }, { "--count", count },
		{ "--sum", x->all ? sum : NULL },
	};
	if (x->all)
		words[n++] = "--all";
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (more[i][1]) {
			words[n++] = more[i][0];
			words[n++] = more[i][1];
		}
	int r = ctl_call(c, words, n, &answer, err);
	if (r || c->json)
		return r ? r : ctl_print(c, answer, err);
	const char *actor = json_string_value(json_object_get(answer, "actor"));
	long long done = json_integer_value(json_object_get(answer, "count"));
	if (accept)
		ctl_say(c, "Accepted: %lld, by %s.", "已通过 %lld 件，操作人 %s。", done, actor ? actor : "");
	else
		ctl_say(c, "Rejected: %lld, by %s; each author gets the reason.", "已退回 %lld 件，操作人 %s；原因随件退回填报单位。", done,
		        actor ? actor : "");
	return 0;
}

static int review(struct ctl *c, bool accept, struct err *err)
{
	_cleanup_(json_release) json_t *shown = json_array();
	struct choice x = { .all = false };
	const struct ctl_option options[] = {
		{ .name = "register", .value = x.reg }, { .name = "unit", .value = x.unit }, { .name = "count", .value = x.count },
		{ .name = "all", .flag = &x.all }, { .name = "reason", .value = x.reason },
	};
	int r = ctl_options(c, options, ARRAY_SIZE(options) - accept, 0, CTL_WORDS, err);

	if (!r && x.all == (c->argc > 0))
		r = err_set(err, ERR_USAGE, "name the proposals by their numbers, or say --all");
	if (!r && !x.all && x.unit[0])
		r = err_set(err, ERR_USAGE, "--unit goes with --all");
	if (!r && !accept && (!x.reason[0] || !x.reason[0][strspn(x.reason[0], " \t\r\n")]))
		r = err_set(err, ERR_REFUSED, "a rejection needs a reason, which its author will read: --reason TEXT");
	x.n = c->argc;
	if (!r && x.all) {
		x.n = 0;
		r = choose_all(c, &x, shown, err);
	}
	if (!r)
		r = confirm(c, &x, accept, shown, err);
	return r ? r : give_order(c, &x, accept, err);
}

int cmd_proposals_accept(struct ctl *c, struct err *err)
{
	return review(c, true, err);
}

int cmd_proposals_reject(struct ctl *c, struct err *err)
{
	return review(c, false, err);
}
