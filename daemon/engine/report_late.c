/* Report: why a unit is late: every reason that is known here, the most pressing first, and the next step. */
#include "engine/report_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/outbox.h"

struct reasons {
	const struct report *r;
	json_t *list;
};

static void __attribute__((format(printf, 2, 3))) reason(struct reasons *s, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	json_array_append_new(s->list, json_slice(slice_of(text)));
}

/* "5 min"; terracectl says it in Chinese. */
static char *age_text(int64_t s, char ret[32])
{
	snprintf(ret, 32, "%lld %s", (long long)(s < 120 ? s : s < 7200 ? s / 60 : s < 172800 ? s / 3600 : s / 86400),
	         s < 120 ? "s" : s < 7200 ? "min" : s < 172800 ? "h" : "days");
	return ret;
}

static char *size_text(uint64_t n, char ret[32])
{
	if (n < 10000)
		snprintf(ret, 32, "%llu bytes", (unsigned long long)n);
	else if (n < 10000000)
		snprintf(ret, 32, "%llu KB", (unsigned long long)n / 1000);
	else
		snprintf(ret, 32, "%llu MB", (unsigned long long)n / 1000000);
	return ret;
}

static void policy_reasons(struct reasons *s, const struct issuers *own, const struct status *status)
{
	char unit[UNIT_TEXT_SIZE];
	struct issuers theirs;

	report_issuers_of(status, &theirs);
	for (uint32_t i = 0; i < theirs.n; i++) {
		const struct issuer *p = &theirs.at[i];

		if (p->failed > p->active)
			reason(s, "policy version %llu of unit %s could not be taken there; version %llu goes on", (unsigned long long)p->failed,
			       unit_text(p->issuer, unit), (unsigned long long)p->active);
		if (p->staged > p->active)
			reason(s, "policy version %llu of unit %s waits there for its date", (unsigned long long)p->staged,
			       unit_text(p->issuer, unit));
	}
	for (uint32_t i = 0; i < own->n; i++) {
		bool there = false;

		for (uint32_t k = 0; k < theirs.n; k++)
			there = there || (theirs.at[k].issuer == own->at[i].issuer && theirs.at[k].active != 0);
		if (!there && own->at[i].active != 0)
			reason(s, "it has no policy of unit %s yet; what it writes in those registers is not taken up",
			       unit_text(own->at[i].issuer, unit));
	}
}

static void backlog_reasons(struct reasons *s, const struct node_known *k, uint64_t down, uint64_t needs)
{
	const struct status *t = &k->status;
	char size[32], age[32];

	if (t->pending_segments > 0)
		reason(s, "%llu segments (%s) wait there to go up, the oldest for %s", (unsigned long long)t->pending_segments,
		       size_text(t->pending_bytes, size), age_text(report_seconds_since(s->r, t->oldest_ms), age));
	else if (t->applied > t->settled)
		reason(s, "%llu of its segments are taken by its superior and wait to be settled",
		       (unsigned long long)(t->applied - t->settled));
	if (down > 0)
		reason(s, "%llu rows and documents wait here to go down to it", (unsigned long long)down);
	if (needs > 0)
		reason(s, "this node lacks %llu rows that it asked it for", (unsigned long long)needs);
}

static void node_reasons(struct reasons *s, const struct node_known *k, const struct issuers *own, uint64_t down, uint64_t needs)
{
	const struct status *t = &k->status;
	int64_t contact = k->direct && k->has_link ? k->link.contact_ms : t->as_of_ms;
	char age[32];

	if (contact == 0)
		reason(s, "no sign of life since it was enrolled");
	else if (!report_is_recent(s->r, contact))
		reason(s, "no contact for %s", age_text(report_seconds_since(s->r, contact), age));
	if (k->has_link && k->link.twin)
		reason(s, "two machines run with its identity, and both stand still");
	else if (k->has_link && contact > 0 && !k->link.healed)
		reason(s, "the link heals: every row passes once more");
	if (k->has_status && t->quarantine > 0)
		reason(s, "%llu of its changes wait there because its tables do not take them", (unsigned long long)t->quarantine);
	if (k->has_status)
		policy_reasons(s, own, t);
	backlog_reasons(s, k, down, needs);
	if (strcmp(report_digest_name(k), "differs") == 0)
		reason(s, "its tables differ from the record of its superior");
	if (k->has_status && t->conflicts + t->proposals + t->returns + t->issues > 0)
		reason(s, "%llu conflicts, %llu proposals, %llu returns, %llu issues are open there", (unsigned long long)t->conflicts,
		       (unsigned long long)t->proposals, (unsigned long long)t->returns, (unsigned long long)t->issues);
	if (json_array_size(s->list) == 0)
		reason(s, "nothing keeps it: it is up to date");
}

int report_why_unit(struct report *r, struct err *err)
{
	_cleanup_(report_nodes_release) struct nodes l = { 0 };
	struct reasons s = { .r = r };
	struct issuers own = { 0 };
	char unit[UNIT_TEXT_SIZE];
	const char *next;
	int rc = report_nodes_gather(r, &l, err);

	if (rc == 0)
		rc = policy_states_each(r->db, report_issuer_seen, &own, err);
	if (rc != 0)
		return rc;
	r->tree = true;
	for (uint32_t i = 0; i < l.n; i++) {
		const struct node_known *k = &l.at[i];
		uint64_t down;

		if (k->unit != r->filter.unit)
			continue;
		down = dirty_count(r->db, k->unit);
		next = report_next_of(r, k);
		r->ret = report_child_json(r, k);
		put(r->ret, "waiting_for_it", json_count(down));
		s.list = json_array();
		node_reasons(&s, k, &own, down, need_count(r->db, k->unit));
		put(r->ret, "reasons", s.list);
		put(r->ret, "next", json_words(next != NULL ? next : "nothing: it is up to date"));
		r->found = next != NULL;
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "unit %s is no enrolled descendant of this node; terracectl peers lists them",
	               unit_text(r->filter.unit, unit));
}
