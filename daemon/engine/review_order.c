/* Review: the words of an order, and the proposals that they name. */
#include "engine/review_inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

/* ---- finding */

static bool wanted(const struct review *v, int64_t id)
{
	for (uint32_t i = 0; i < v->nids; i++)
		if (v->ids[i] == id)
			return true;
	return v->all;
}

static int pick(void *arg, const struct proposal *p)
{
	struct review *v = arg;
	struct picked *k;

	if (!wanted(v, p->id))
		return 0;
	k = arena_alloc(&v->arena, sizeof *k);
	if (k == NULL)
		return 1;
	*k = (struct picked){
		.id = p->id, .reg = catalog_number(v->e->catalog, p->reg), .key = cell_copy(&v->arena, p->key), .group = p->group,
		.author = p->unit, .value = arena_slice(&v->arena, p->value),
	};
	*v->tail = k;
	v->tail = &k->next;
	return ++v->npicked > LIMIT_REVIEW || v->arena.failed;
}

static int same_place(void *arg, const struct proposal *p)
{
	struct review *v = arg;

	if (proposal_place(p->id) == proposal_place(v->other)) {
		v->other = p->id;
		return 1;
	}
	return 0;
}

static int same_number(void *arg, const struct proposal *p)
{
	struct review *v = arg;

	v->decided = v->decided || p->id == v->other;
	return v->decided;
}

/* A number that nothing open has: what became of it. */
static int missing(struct review *v, int64_t id, struct err *err)
{
	int rc;

	v->other = id;
	v->decided = false;
	rc = report_proposals(v->e->db, NULL, true, same_number, v, err);
	if (rc == 0)
		rc = report_proposals(v->e->db, NULL, false, same_place, v, err);
	if (rc != 0)
		return rc;
	if (v->other != id)
		return err_set(err, ERR_REFUSED, "proposal %lld was replaced by a newer one of the same author, %lld; nothing was decided: "
		               "look at `proposals show %lld`", (long long)id, (long long)v->other, (long long)v->other);
	if (v->decided)
		return err_set(err, ERR_REFUSED, "proposal %lld is not open any more: it was decided, or its author has decided himself; "
		               "`why` tells the row's story", (long long)id);
	return err_set(err, ERR_NOT_FOUND, "there is no open proposal %lld at this node; `proposals list` names those that wait",
	               (long long)id);
}

int review_find(struct review *v, struct err *err)
{
	int rc;

	v->tail = &v->picked;
	rc = report_proposals(v->e->db, v->reg, false, pick, v, err);
	if (rc != 0)
		return rc;
	if (v->arena.failed)
		return err_set(err, ERR_NOMEM, "deciding on proposals: memory is short");
	if (v->npicked > LIMIT_REVIEW)
		return err_set(err, ERR_LIMIT, "more than %u proposals wait: narrow them with --register and --unit", LIMIT_REVIEW);
	for (uint32_t i = 0; i < v->nids; i++) {
		uint32_t n = 0;

		for (const struct picked *k = v->picked; k != NULL; k = k->next)
			n += k->id == v->ids[i];
		if (n == 0)
			return missing(v, v->ids[i], err);
		if (n > 1)
			return err_set(err, ERR_REFUSED, "the number %lld names %u proposals; narrow it with --register", (long long)v->ids[i], n);
	}
	return 0;
}

/* ---- the words */

static int number_of(const char *text, int64_t *ret, struct err *err)
{
	uint64_t id;

	if (text_number(text, 1, INT64_MAX, &id) != 0)
		return err_set(err, ERR_USAGE, "%s is not a number from the list", text);
	*ret = (int64_t)id;
	return 0;
}

static int option(struct review *v, const char *name, const char *value, struct err *err)
{
	uint64_t n;

	if (strcmp(name, "--register") == 0) {
		v->reg = value;
		return 0;
	}
	if (strcmp(name, "--unit") == 0)
		return unit_parse(slice_of(value), &v->unit, err);
	if (strcmp(name, "--reason") == 0) {
		v->reason = value;
		return 0;
	}
	if (text_number(value, 0, INT64_MAX, &n) != 0)
		return err_set(err, ERR_USAGE, "%s %s: not a number", name, value);
	if (strcmp(name, "--count") == 0) {
		v->count = n;
		v->has_count = true;
		return 0;
	}
	if (strcmp(name, "--sum") != 0)
		return err_set(err, ERR_USAGE, "%s: no such option", name);
	v->sum = (int64_t)n;
	v->has_sum = true;
	return 0;
}

static int add_id(struct review *v, const char *text, struct err *err)
{
	int64_t id = 0;
	int rc = number_of(text, &id, err);

	for (uint32_t i = 0; rc == 0 && i < v->nids; i++)
		if (v->ids[i] == id)
			return err_set(err, ERR_USAGE, "%s stands twice", text);
	if (rc == 0 && v->nids == ARRAY_SIZE(v->ids))
		return err_set(err, ERR_LIMIT, "at most %zu numbers in one command; --all takes more", ARRAY_SIZE(v->ids));
	if (rc == 0)
		v->ids[v->nids++] = id;
	return rc;
}

static bool blank(const char *text)
{
	return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}

static int words_read(struct review *v, const char *const *words, uint32_t n, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < n && rc == 0; i++) {
		if (strcmp(words[i], "--all") == 0)
			v->all = true;
		else if (words[i][0] != '-')
			rc = add_id(v, words[i], err);
		else if (i + 1 == n)
			rc = err_set(err, ERR_USAGE, "%s: its value is missing", words[i]);
		else {
			rc = option(v, words[i], words[i + 1], err);
			i++;
		}
	}
	if (rc != 0)
		return rc;
	if (v->all == (v->nids > 0))
		return err_set(err, ERR_USAGE, "name the proposals by their numbers, or say --all");
	if (v->all && !v->has_count)
		return err_set(err, ERR_REFUSED, "--all needs --count, the number of proposals that are to be decided");
	if (!v->all && v->has_count && v->count != v->nids)
		return err_set(err, ERR_REFUSED, "%u numbers are named, %llu were confirmed; nothing was decided", v->nids,
		               (unsigned long long)v->count);
	if (!v->accept && blank(v->reason))
		return err_set(err, ERR_REFUSED, "a rejection needs a reason, which its author will read: --reason TEXT");
	if (!v->accept && (strlen(v->reason) > LIMIT_REASON || !utf8_valid(slice_of(v->reason))))
		return err_set(err, ERR_REFUSED, "the reason is not UTF-8 text of at most %u bytes", LIMIT_REASON);
	if (v->accept && v->reason != NULL)
		return err_set(err, ERR_USAGE, "--reason belongs to reject");
	if (v->reg != NULL && catalog_register(v->e->catalog, slice_of(v->reg)) == NULL)
		return err_set(err, ERR_NOT_FOUND, "%s is no register of the policies in force here", v->reg);
	return 0;
}

static int run(struct review *v, uint64_t *ret_n, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int rc = engine_begin(v->e, err);

	guard = v->e;
	if (rc == 0)
		rc = seal_empty(v->e, err);
	if (rc == 0)
		rc = review_find(v, err);
	if (rc == 0)
		rc = review_decide(v, ret_n, err);
	if (rc == 0)
		rc = engine_commit(v->e, err);
	return rc;
}

int review_command(struct engine *e, bool accept, const char *const *words, uint32_t n, const char *actor, json_t **ret,
                   struct err *err)
{
	struct review *v = calloc(1, sizeof *v);
	char unit[UNIT_TEXT_SIZE];
	uint64_t count = 0;
	int rc;

	if (v == NULL)
		return err_set(err, ERR_NOMEM, "deciding on proposals: memory is short");
	v->e = e;
	v->accept = accept;
	v->actor = actor;
	rc = words_read(v, words, n, err);
	if (rc == 0)
		rc = run(v, &count, err);
	if (rc == 0) {
		event(e, LOG_LEVEL_NOTICE, "review", UNIT_NONE, NULL, "%llu proposal%s %s by %s", (unsigned long long)count,
		      count == 1 ? "" : "s", accept ? "accepted" : "rejected", actor);
		*ret = json_pack("{s:I, s:s, s:{s:s, s:s, s:I, s:I}}", "count", (json_int_t)count, "actor", actor, "by", "level",
		                 level_name(e->level), "unit", unit_text(v->by.unit, unit), "epoch", (json_int_t)v->by.mark.epoch,
		                 "tick", (json_int_t)v->by.mark.tick);
		if (v->nids == 1)
			json_object_set_new(*ret, "id", json_integer(v->ids[0]));
	}
	arena_release(&v->arena);
	free(v);
	return rc;
}
