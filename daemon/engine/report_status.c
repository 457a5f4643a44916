/* Report: the node, its tree, its neighbours and their policies, the sync log. */
#include "engine/report_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "base/text.h"
#include "store/outbox.h"
#include "store/policybox.h"

#define ONLINE_MS (15 * INT64_C(60000))   /* a node at rest says hello every ten minutes */

static int64_t seconds_since(const struct report *r, int64_t ms)
{
	return ms > 0 && r->home->now_ms > ms ? (r->home->now_ms - ms) / 1000 : 0;
}

static bool is_recent(const struct report *r, int64_t ms)
{
	return ms > 0 && r->home->now_ms - ms < ONLINE_MS;
}

/* ---- policies: per issuer the active and the newest staged and failed version */

struct issuer {
	uint64_t issuer, active, staged, failed;
};

struct issuers {
	struct issuer at[64];
	uint32_t n;
};

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

static int issuer_seen(void *arg, uint64_t issuer, uint64_t version, const char *state)
{
	return state != NULL ? issuer_add(arg, issuer, version, state) : 0;
}

static json_t *json_version(uint64_t version)
{
	return version != 0 ? json_count(version) : json_null();
}

static json_t *issuers_json(const struct issuers *l)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < l->n; i++) {
		json_t *one = json_object();

		put(one, "issuer", json_unit(l->at[i].issuer));
		put(one, "active", json_version(l->at[i].active));
		put(one, "staged", json_version(l->at[i].staged));
		json_array_append_new(list, one);
	}
	return list;
}

static void issuers_of(const struct status *s, struct issuers *ret)
{
	memset(ret, 0, sizeof *ret);
	for (uint32_t i = 0; i < s->npolicies; i++)
		issuer_add(ret, s->policies[i].issuer, s->policies[i].version, s->policies[i].state);
}

/* ---- descendants: what each said of itself, and the certificates known here */

struct node_known {
	uint64_t unit, via;
	const char *name;
	bool direct, has_status, has_peer;
	struct status status;
	struct link link;
	bool has_link;
	char digest[16];
	int64_t digest_ms;
};

struct nodes {
	struct report *r;
	struct node_known *at;           /* ascending by unit once gathered */
	uint32_t n, room;
};

static void nodes_release(struct nodes *l)
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

static int nodes_gather(struct report *r, struct nodes *l, struct err *err)
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

static const char *digest_name(const struct node_known *k)
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

static const char *next_of(const struct report *r, const struct node_known *k)
{
	if (!k->has_status && contact_of(k) == 0)
		return "never heard of: start terraced there, or check its upstream url";
	if (k->has_link && k->link.twin)
		return "two machines use its identity: settle it with terracectl rejoin";
	if (!is_recent(r, k->direct ? contact_of(k) : k->status.as_of_ms))
		return "silent: check power and network there, then terracectl doctor";
	if (strcmp(digest_name(k), "differs") == 0)
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

static json_t *child_json(const struct report *r, const struct node_known *k)
{
	const struct status *s = &k->status;
	json_t *j = json_object();
	struct issuers l;

	issuers_of(s, &l);
	put(j, "unit", json_unit(k->unit));
	put(j, "name", json_words(k->name != NULL ? k->name : ""));
	put(j, "level", json_level(k->unit));
	put(j, "online", json_boolean(is_recent(r, k->direct ? contact_of(k) : s->as_of_ms)));
	put(j, "last_contact", json_time(contact_of(k)));
	put(j, "applied", json_count(s->applied));
	put(j, "settled", json_count(s->settled));
	put(j, "pending_segments", json_count(s->pending_segments));
	put(j, "policy", issuers_json(&l));
	put(j, "digest", json_string(digest_name(k)));
	put(j, "as_of", json_time(k->direct && k->digest_ms > 0 ? k->digest_ms : s->digest_at_ms));
	if (!r->tree)
		return j;
	put(j, "via", json_unit(k->direct ? r->home->unit : k->via));
	put(j, "sealed", json_count(s->sealed));
	put(j, "pending_bytes", json_count(s->pending_bytes));
	put(j, "oldest_unsettled_s", json_count((uint64_t)seconds_since(r, s->oldest_ms)));
	put(j, "quarantine", json_count(s->quarantine));
	put(j, "conflicts_open", json_count(s->conflicts));
	put(j, "proposals_open", json_count(s->proposals));
	put(j, "returns_open", json_count(s->returns));
	put(j, "issues_open", json_count(s->issues));
	put(j, "next", json_words(next_of(r, k)));
	return j;
}

/* ---- status */

static const char *upstream_state(const struct report *r, const struct link *l, bool found)
{
	if (!found || l->contact_ms == 0)
		return "never";
	if (l->twin)
		return "twin";
	if (!is_recent(r, l->contact_ms))
		return "silent";
	return l->healed ? "connected" : "healing";
}

static int upstream(struct report *r, json_t **ret, struct err *err)
{
	const struct report_home *h = r->home;
	struct outbox_waiting waiting = { 0 };
	uint64_t sealed = 0, settled = 0;
	struct link l = { 0 };
	bool found = false;
	int64_t oldest = 0;
	int rc = stream_sums(r->db, h->unit, &sealed, &settled, err);

	if (rc == 0 && h->parent != UNIT_NONE)
		rc = link_get(r->db, h->parent, &l, &found, err);
	if (rc == 0 && h->parent != UNIT_NONE)
		rc = outbox_waiting(r->db, l.acked, h->unit, &waiting, err);
	if (rc == 0)
		rc = report_oldest(r->db, h->unit, &oldest, err);
	if (rc != 0)
		return rc;
	*ret = json_object();
	put(*ret, "url", json_words(h->url));
	put(*ret, "state", json_string(h->parent == UNIT_NONE ? "top" : upstream_state(r, &l, found)));
	put(*ret, "last_contact", json_time(l.contact_ms));
	put(*ret, "sealed", json_count(sealed));
	put(*ret, "applied", json_count(sealed - MIN(waiting.own, sealed)));
	put(*ret, "settled", json_count(settled));
	put(*ret, "pending_segments", json_count(waiting.entries));
	put(*ret, "pending_bytes", json_count(waiting.bytes));
	put(*ret, "oldest_unsettled_s", json_count((uint64_t)seconds_since(r, oldest)));
	return 0;
}

/* Of the counters (engine/engine.c): format 1, marks met, last tick sealed, epoch. */
static uint32_t epoch_of(const struct report *r)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct reader in;
	struct marks met;
	bool found = false;

	if (meta_get(r->db, "counters", &b, &found, NULL) != 0 || !found)
		return 0;
	in = reader_of(buf_slice(&b));
	if (read_varint(&in) != 1)
		return 0;
	marks_get(&in, &met);
	read_varint(&in);
	return read_u32(&in);
}

int report_status(struct report *r, struct err *err)
{
	_cleanup_(nodes_release) struct nodes l = { 0 };
	struct issuers issuers = { 0 };
	struct record_counts counts = { 0 };
	json_t *up = NULL, *children;
	uint64_t rows = 0;
	int rc = nodes_gather(r, &l, err);

	if (rc == 0)
		rc = policy_states_each(r->db, issuer_seen, &issuers, err);
	if (rc == 0)
		rc = record_counts(r->db, &counts, err);
	if (rc == 0)
		rc = report_log_rows(r->db, &rows, err);
	if (rc == 0)
		rc = upstream(r, &up, err);
	if (rc != 0)
		return rc;
	children = json_array();
	for (uint32_t i = 0; i < l.n; i++)
		if (r->tree || l.at[i].direct)
			json_array_append_new(children, child_json(r, &l.at[i]));
	r->ret = json_object();
	put(r->ret, "unit", json_unit(r->home->unit));
	put(r->ret, "name", json_words(r->home->name));
	put(r->ret, "level", json_string(level_name(r->home->level)));
	put(r->ret, "epoch", json_count(epoch_of(r)));
	put(r->ret, "policy", issuers_json(&issuers));
	put(r->ret, "log_pending", json_count(rows));
	put(r->ret, "upstream", up);
	put(r->ret, "children", children);
	put(r->ret, "quarantine", json_count(counts.quarantine));
	put(r->ret, "conflicts_open", json_count(counts.conflicts));
	put(r->ret, "proposals_open", json_count(counts.proposals));
	put(r->ret, "returns_open", json_count(counts.returns));
	return 0;
}

/* ---- why --unit: one descendant and what keeps it */

int report_why_unit(struct report *r, struct err *err)
{
	_cleanup_(nodes_release) struct nodes l = { 0 };
	char unit[UNIT_TEXT_SIZE];
	const char *next;
	int rc = nodes_gather(r, &l, err);

	if (rc != 0)
		return rc;
	r->tree = true;
	for (uint32_t i = 0; i < l.n; i++) {
		if (l.at[i].unit != r->filter.unit)
			continue;
		next = next_of(r, &l.at[i]);
		r->ret = child_json(r, &l.at[i]);
		put(r->ret, "waiting_for_it", json_count(dirty_count(r->db, l.at[i].unit)));
		put(r->ret, "next", json_words(next != NULL ? next : "nothing: it is up to date"));
		r->found = next != NULL;
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "unit %s is no enrolled descendant of this node; terracectl peers lists them",
	               unit_text(r->filter.unit, unit));
}

/* ---- peers, units */

static int peer_line(void *arg, const struct peer_row *p)
{
	struct report *r = arg;
	json_t *j = json_object();

	put(j, "unit", json_unit(p->unit));
	put(j, "name", json_words(p->name != NULL ? p->name : ""));
	put(j, "level", json_level(p->unit));
	put(j, "direct", json_boolean(p->direct));
	put(j, "revoked", json_boolean(p->revoked));
	put(j, "serial", json_words(p->serial));
	put(j, "enrolled", json_time(p->enrolled_ms));
	json_array_append_new(r->ret, j);
	return 0;
}

int report_peers_list(struct report *r, struct err *err)
{
	r->ret = json_array();
	return report_peers(r->db, peer_line, r, err);
}

static int unit_line(void *arg, uint64_t unit, const char *name)
{
	struct report *r = arg;
	json_t *j = json_object();

	put(j, "unit", json_unit(unit));
	put(j, "name", json_words(name));
	put(j, "level", json_level(unit));
	json_array_append_new(r->ret, j);
	return 0;
}

int report_units_list(struct report *r, struct err *err)
{
	r->ret = json_array();
	return report_units(r->db, unit_line, r, err);
}

/* ---- policies */

static int policy_line(void *arg, const struct policy_row *p)
{
	struct report *r = arg;
	json_t *j = json_object();

	put(j, "issuer", json_unit(p->issuer));
	put(j, "version", json_count(p->version));
	put(j, "state", json_words(p->state));
	put(j, "at", json_time(p->at_ms));
	put(j, "note", json_words(p->note));
	json_array_append_new(r->ret, j);
	r->found |= p->state != NULL && strcmp(p->state, "failed") == 0;
	return 0;
}

int report_policy_list(struct report *r, struct err *err)
{
	r->ret = json_array();
	return report_policies(r->db, policy_line, r, err);
}

static int policy_put_text(struct report *r, uint64_t issuer, uint64_t version, const char *state, json_t **ret, struct err *err)
{
	struct policy p;
	bool found = false;
	int rc = policybox_get(r->db, issuer, version, &r->arena, &p, &version, &found, err);

	*ret = NULL;
	if (rc != 0 || !found)
		return rc;
	*ret = json_object();
	put(*ret, "issuer", json_unit(issuer));
	put(*ret, "version", json_count(version));
	put(*ret, "name", json_words(p.name));
	put(*ret, "state", json_words(state));
	put(*ret, "effective", json_words(p.effective));
	put(*ret, "expires", json_words(p.expires));
	put(*ret, "text", json_slice(p.text));
	return 0;
}

struct wanted {
	uint64_t issuer, version;
	char state[16];
	bool found;
};

static int policy_state(void *arg, const struct policy_row *p)
{
	struct wanted *w = arg;

	if (p->issuer != w->issuer || p->version != w->version)
		return 0;
	snprintf(w->state, sizeof w->state, "%s", p->state != NULL ? p->state : "");
	w->found = true;
	return 1;
}

static int policy_named(struct report *r, const char *word, struct err *err)
{
	const char *colon = strchr(word, ':');
	struct wanted w = { 0 };
	int rc;

	if (colon == NULL || text_number(colon + 1, 1, INT64_MAX, &w.version) != 0)
		return err_set(err, ERR_USAGE, "%s: a policy is named ISSUER:VERSION, as terracectl policy list shows", word);
	rc = unit_parse((struct slice){ (const uint8_t *)word, (size_t)(colon - word) }, &w.issuer, err);
	if (rc == 0)
		rc = report_policies(r->db, policy_state, &w, err);
	if (rc == 0 && w.found)
		rc = policy_put_text(r, w.issuer, w.version, w.state, &r->ret, err);
	if (rc == 0 && r->ret == NULL)
		return err_set(err, ERR_NOT_FOUND, "policy %s is not known here; terracectl policy list shows which are", word);
	return rc;
}

/* Without a name every policy in force. */
int report_policy_show(struct report *r, struct err *err)
{
	struct issuers l = { 0 };
	int rc;

	if (r->n > 0)
		return policy_named(r, r->words[0], err);
	rc = policy_states_each(r->db, issuer_seen, &l, err);
	r->ret = json_array();
	for (uint32_t i = 0; rc == 0 && i < l.n; i++) {
		json_t *one = NULL;

		if (l.at[i].active != 0)
			rc = policy_put_text(r, l.at[i].issuer, l.at[i].active, "active", &one, err);
		if (one != NULL)
			json_array_append_new(r->ret, one);
	}
	return rc;
}

static const char *writes_of(const struct issuer *own, const struct issuer *p)
{
	if (p->failed > p->active)
		return "a newer version could not be taken: what it writes is judged by the version that is active there";
	if (p->active == 0)
		return "not in force there: nothing that it writes in these registers is taken up yet";
	if (own == NULL || p->active == own->active)
		return "the same version as here";
	if (p->active < own->active)
		return "an older version than here: what it writes is judged by that one, and comes back where the newer one forbids it";
	return "a newer version than here: this node has not activated it yet";
}

static void policy_node(struct report *r, uint64_t unit, const char *name, int64_t as_of_ms, const struct issuers *own,
                        const struct issuers *l)
{
	for (uint32_t i = 0; i < own->n + l->n; i++) {
		const struct issuer *p = NULL, *mine = i < own->n ? &own->at[i] : NULL;
		struct issuer none = { 0 };
		json_t *j;

		for (uint32_t k = 0; mine != NULL && k < l->n; k++)
			if (l->at[k].issuer == mine->issuer)
				p = &l->at[k];
		if (mine == NULL) {              /* an issuer below this node */
			p = &l->at[i - own->n];
			for (uint32_t k = 0; k < own->n; k++)
				if (own->at[k].issuer == p->issuer)
					mine = &own->at[k];
			if (mine != NULL)
				continue;
		} else if (p == NULL) {
			none.issuer = mine->issuer;
			p = &none;
		}
		j = json_object();
		put(j, "unit", json_unit(unit));
		put(j, "name", json_words(name != NULL ? name : ""));
		put(j, "issuer", json_unit(p->issuer));
		put(j, "active", json_version(p->active));
		put(j, "staged", json_version(p->staged));
		put(j, "failed", json_version(p->failed));
		put(j, "as_of", json_time(as_of_ms));
		put(j, "writes", json_string(writes_of(mine, p)));
		json_array_append_new(r->ret, j);
		r->found |= p->failed > p->active;
	}
}

int report_policy_status(struct report *r, struct err *err)
{
	_cleanup_(nodes_release) struct nodes l = { 0 };
	struct issuers own = { 0 }, theirs;
	int rc = nodes_gather(r, &l, err);

	if (rc == 0)
		rc = policy_states_each(r->db, issuer_seen, &own, err);
	r->ret = json_array();
	if (rc != 0)
		return rc;
	policy_node(r, r->home->unit, r->home->name, r->home->now_ms, &own, &own);
	for (uint32_t i = 0; i < l.n; i++) {
		issuers_of(&l.at[i].status, &theirs);
		policy_node(r, l.at[i].unit, l.at[i].name, l.at[i].has_status ? l.at[i].status.as_of_ms : 0, &own, &theirs);
	}
	return 0;
}

/* ---- the sync log */

static int event_line(void *arg, const struct event_row *e)
{
	static const char *const levels[] = { "", "", "", "error", "warning", "notice", "info", "debug" };
	struct report *r = arg;
	json_t *j = json_object();

	put(j, "id", json_integer(e->id));
	put(j, "at", json_time(e->at_ms));
	put(j, "kind", json_words(e->kind));
	put(j, "level", json_string(e->level >= 0 && e->level < 8 ? levels[e->level] : ""));
	put(j, "peer", json_unit(e->peer));
	put(j, "segment", json_words(e->segment));
	put(j, "text", json_words(e->text));
	json_array_append_new(r->ret, j);
	return 0;
}

int report_log(struct report *r, struct err *err)
{
	r->ret = json_array();
	return report_events(r->db, &r->filter, event_line, r, err);
}
