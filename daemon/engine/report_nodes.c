/* Report: the descendants: what each said of itself, what is known here of the way to it, and what keeps it. */
#include "engine/report_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/policybox.h"

#define ONLINE_MS (15 * INT64_C(60000))   /* a node at rest says hello every ten minutes */

int64_t report_seconds_since(const struct report *r, int64_t ms)
{
	return ms > 0 && r->home->now_ms > ms ? (r->home->now_ms - ms) / 1000 : 0;
}

bool report_is_recent(const struct report *r, int64_t ms)
{
	return ms > 0 && r->home->now_ms - ms < ONLINE_MS;
}

/* ---- policies: per issuer the active and the newest staged and failed version */

static int issuer_add(struct issuers *l, uint64_t issuer, uint64_t version, const char *state)
{
	struct issuer *p = NULL;

	for (uint32_t i = 0; i < l->n; i++)
		if (l->at[i].issuer == issuer)
			p = &l->at[i];
	if (p == NULL && l->n == ARRAY_SIZE(l->at))
		return 0;
	if (p == NULL) {
		p = &l->at[l->n++];
		*p = (struct issuer){ .issuer = issuer };
	}
	if (strcmp(state, "active") == 0)
		p->active = version;
	else if (strcmp(state, "staged") == 0)
		p->staged = MAX(p->staged, version);
	else if (strcmp(state, "failed") == 0)
		p->failed = MAX(p->failed, version);
	return 0;
}

int report_issuer_seen(void *arg, uint64_t issuer, uint64_t version, const char *state)
{
	return state != NULL ? issuer_add(arg, issuer, version, state) : 0;
}

json_t *report_version_json(uint64_t version)
{
	return version != 0 ? json_count(version) : json_null();
}

json_t *report_issuers_json(const struct issuers *l)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < l->n; i++) {
		json_t *one = json_object();

		put(one, "issuer", json_unit(l->at[i].issuer));
		put(one, "active", report_version_json(l->at[i].active));
		put(one, "staged", report_version_json(l->at[i].staged));
		json_array_append_new(list, one);
	}
	return list;
}

void report_issuers_of(const struct status *s, struct issuers *ret)
{
	memset(ret, 0, sizeof *ret);
	for (uint32_t i = 0; i < s->npolicies; i++)
		issuer_add(ret, s->policies[i].issuer, s->policies[i].version, s->policies[i].state);
}

/* ---- descendants: what each said of itself, and the certificates known here */

void report_nodes_release(struct nodes *l)
{
	free(l->at);
}

static struct node_known *node_of(struct nodes *l, uint64_t unit)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->at[i].unit == unit)
			return &l->at[i];
	if (l->n == l->room) {
		uint32_t room = l->room * 2 + 16;
		struct node_known *more = realloc(l->at, room * sizeof *more);

		if (more == NULL)
			return NULL;
		l->at = more;
		l->room = room;
	}
	memset(&l->at[l->n], 0, sizeof *l->at);
	l->at[l->n].unit = unit;
	return &l->at[l->n++];
}

static int known_peer(void *arg, const struct peer_row *p)
{
	struct nodes *l = arg;
	struct node_known *k = p->revoked ? NULL : node_of(l, p->unit);

	if (k == NULL)
		return p->revoked ? 0 : 1;
	k->direct = p->direct;
	k->has_peer = true;
	k->until_s = p->until_s;
	k->name = p->name != NULL ? arena_text(&l->r->arena, slice_of(p->name)) : NULL;
	return 0;
}

static int known_status(void *arg, uint64_t unit, uint64_t via, struct slice body, int64_t at_ms)
{
	struct nodes *l = arg;
	struct node_known *k = node_of(l, unit);

	(void)at_ms;
	if (k == NULL)
		return 1;
	k->via = via;
	k->has_status = status_get(body, &k->status, NULL) == 0;
	if (k->has_status && (k->name == NULL || *k->name == '\0'))
		k->name = arena_text(&l->r->arena, slice_of(k->status.name));
	return 0;
}

static int by_unit(const void *a, const void *b)
{
	const struct node_known *x = a, *y = b;

	return x->unit < y->unit ? -1 : x->unit > y->unit;
}

int report_nodes_gather(struct report *r, struct nodes *l, struct err *err)
{
	int rc;

	l->r = r;
	rc = report_peers(r->db, known_peer, l, err);
	if (rc == 0)
		rc = descendant_each(r->db, known_status, l, err);
	for (uint32_t i = 0; rc == 0 && i < l->n; i++) {
		struct node_known *k = &l->at[i];

		rc = link_get(r->db, k->unit, &k->link, &k->has_link, err);
		if (rc == 0 && k->has_link)
			rc = link_digest(r->db, k->unit, k->digest, &k->digest_ms, err);
	}
	if (l->n > 1)
		qsort(l->at, l->n, sizeof *l->at, by_unit);
	return rc;
}

const char *report_digest_name(const struct node_known *k)
{
	static const char *const names[] = { "unknown", "equal", "differs" };

	if (k->direct && k->has_link && k->digest[0] != '\0')
		return k->digest;
	return k->has_status && (unsigned)k->status.digest < ARRAY_SIZE(names) ? names[k->status.digest] : "unknown";
}

/* The last contact with its parent; of a direct child this node knows it itself. */
static int64_t contact_of(const struct node_known *k)
{
	return k->direct && k->has_link && k->link.contact_ms > 0 ? k->link.contact_ms : k->has_status ? k->status.contact_ms : 0;
}

/* Of a direct child: it may only upload until it has renewed its certificate. */
static bool has_expired(const struct report *r, const struct node_known *k)
{
	return k->direct && k->until_s > 0 && report_tree_time(r) > k->until_s;
}

const char *report_next_of(const struct report *r, const struct node_known *k)
{
	if (!k->has_status && contact_of(k) == 0)
		return "never heard of: start terraced there, or check its upstream url";
	if (k->has_link && k->link.twin)
		return "two machines use its identity: settle it with terracectl rejoin";
	if (has_expired(r, k))
		return "its certificate has expired: it renews it when it has contact; after a year, invite it anew";
	if (!report_is_recent(r, k->direct ? contact_of(k) : k->status.as_of_ms))
		return "silent: check power and network there, then terracectl doctor";
	if (strcmp(report_digest_name(k), "differs") == 0)
		return "tables differ: terracectl reconcile";
	if (k->status.quarantine > 0)
		return "changes wait there: terracectl quarantine list at that unit";
	for (uint32_t i = 0; i < k->status.npolicies; i++)
		if (strcmp(k->status.policies[i].state, "failed") == 0)
			return "a policy failed there: terracectl policy status";
	if (k->status.conflicts + k->status.issues > 0)
		return "open conflicts or issues: terracectl conflicts list at that unit";
	return NULL;
}

json_t *report_child_json(const struct report *r, const struct node_known *k)
{
	const struct status *s = &k->status;
	json_t *j = json_object();
	struct issuers l;

	report_issuers_of(s, &l);
	put(j, "unit", json_unit(k->unit));
	put(j, "name", json_words(k->name != NULL ? k->name : ""));
	put(j, "level", json_level(k->unit));
	put(j, "online", json_boolean(report_is_recent(r, k->direct ? contact_of(k) : s->as_of_ms)));
	put(j, "last_contact", json_time(contact_of(k)));
	put(j, "applied", json_count(s->applied));
	put(j, "settled", json_count(s->settled));
	put(j, "pending_segments", json_count(s->pending_segments));
	put(j, "policy", report_issuers_json(&l));
	put(j, "digest", json_string(report_digest_name(k)));
	put(j, "as_of", json_time(k->direct && k->digest_ms > 0 ? k->digest_ms : s->digest_at_ms));
	if (k->direct)
		put(j, "upload_only", json_boolean(has_expired(r, k)));
	if (!r->tree)
		return j;
	put(j, "via", json_unit(k->direct ? r->home->unit : k->via));
	put(j, "sealed", json_count(s->sealed));
	put(j, "pending_bytes", json_count(s->pending_bytes));
	put(j, "oldest_unsettled_s", json_count((uint64_t)report_seconds_since(r, s->oldest_ms)));
	put(j, "quarantine", json_count(s->quarantine));
	put(j, "conflicts_open", json_count(s->conflicts));
	put(j, "proposals_open", json_count(s->proposals));
	put(j, "returns_open", json_count(s->returns));
	put(j, "issues_open", json_count(s->issues));
	put(j, "next", json_words(report_next_of(r, k)));
	return j;
}


enum space report_space(const struct report *r)
{
	return space_state(space_free_mb(r->home->database), r->home->space_soft_mb, r->home->space_hard_mb, SPACE_GOOD);
}

const char *report_own_next(const struct report *r, const struct link *l, bool has_link, const struct issuers *p,
                            const struct record_counts *counts)
{
	switch (report_space(r)) {
	case SPACE_HARD:
		return "the disk is nearly full and nothing is sealed or taken: make room";
	case SPACE_SOFT:
		return "the disk fills and subordinates have to wait: make room";
	case SPACE_GOOD:
		break;
	}
	if (has_link && l->twin)
		return "two machines use its identity: settle it with terracectl rejoin";
	if (r->home->parent != UNIT_NONE && !(has_link && report_is_recent(r, l->contact_ms)))
		return "no contact with the superior: terracectl doctor";
	for (uint32_t i = 0; i < p->n; i++)
		if (p->at[i].failed > p->at[i].active)
			return "a policy failed here: terracectl policy list";
	if (counts->quarantine > 0)
		return "changes wait here: terracectl quarantine list";
	if (counts->returns > 0)
		return "a superior sent something back: terracectl returns list";
	if (counts->proposals > 0)
		return "proposals are open: terracectl proposals list";
	if (counts->conflicts > 0)
		return "open conflicts: terracectl conflicts list";
	return counts->issues > 0 ? "open issues: terracectl issues list" : NULL;
}
