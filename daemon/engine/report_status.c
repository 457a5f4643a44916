/* Report: the node, its tree, its neighbours and their policies, the sync log. */
#include "engine/report_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "base/text.h"
#include "store/markers.h"
#include "store/outbox.h"
#include "store/policybox.h"

/* ---- status */

static const char *upstream_state(const struct report *r, const struct link *l, bool found)
{
	if (!found || l->contact_ms == 0)
		return "never";
	if (l->twin)
		return "twin";
	if (!report_is_recent(r, l->contact_ms))
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
	put(*ret, "oldest_unsettled_s", json_count((uint64_t)report_seconds_since(r, oldest)));
	return 0;
}

/* Of the counters (engine/engine.c): format 1, marks met, last tick sealed, epoch, its former, ready, tree time. */
static void counters_of(const struct report *r, uint32_t *ret_epoch, int64_t *ret_tree_s)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct reader in;
	struct marks met;
	bool found = false;

	*ret_epoch = 0;
	*ret_tree_s = 0;
	if (meta_get(r->db, "counters", &b, &found, NULL) != 0 || !found)
		return;
	in = reader_of(buf_slice(&b));
	if (read_varint(&in) != 1)
		return;
	marks_get(&in, &met);
	read_varint(&in);
	*ret_epoch = read_u32(&in);
	read_u32(&in);
	read_u8(&in);
	*ret_tree_s = (int64_t)read_varint(&in);
}

int64_t report_tree_time(const struct report *r)
{
	uint32_t epoch;
	int64_t tree_s;

	counters_of(r, &epoch, &tree_s);
	return r->home->parent == UNIT_NONE ? MAX(tree_s, r->home->now_ms / 1000) : tree_s;
}

static uint32_t epoch_of(const struct report *r)
{
	uint32_t epoch;
	int64_t tree_s;

	counters_of(r, &epoch, &tree_s);
	return epoch;
}

int report_status(struct report *r, struct err *err)
{
	_cleanup_(report_nodes_release) struct nodes l = { 0 };
	struct issuers issuers = { 0 };
	struct record_counts counts = { 0 };
	json_t *up = NULL, *children;
	struct link parent = { 0 };
	bool has_parent = false;
	uint64_t rows = 0;
	int64_t markers = 0;
	int rc = report_nodes_gather(r, &l, err);

	if (rc == 0 && r->home->parent != UNIT_NONE)
		rc = link_get(r->db, r->home->parent, &parent, &has_parent, err);
	if (rc == 0)
		rc = policy_states_each(r->db, report_issuer_seen, &issuers, err);
	if (rc == 0)
		rc = record_counts(r->db, &counts, err);
	if (rc == 0)
		rc = report_log_rows(r->db, &rows, err);
	if (rc == 0)
		rc = held_count(r->db, &markers, err);
	if (rc == 0)
		rc = upstream(r, &up, err);
	if (rc != 0)
		return rc;
	children = json_array();
	for (uint32_t i = 0; i < l.n; i++)
		if (r->tree || l.at[i].direct)
			json_array_append_new(children, report_child_json(r, &l.at[i]));
	r->ret = json_object();
	put(r->ret, "unit", json_unit(r->home->unit));
	put(r->ret, "name", json_words(r->home->name));
	put(r->ret, "level", json_string(level_name(r->home->level)));
	put(r->ret, "epoch", json_count(epoch_of(r)));
	put(r->ret, "policy", report_issuers_json(&issuers));
	put(r->ret, "log_pending", json_count(rows));
	put(r->ret, "upstream", up);
	put(r->ret, "space", json_pack("{s:I, s:s}", "free_mb", (json_int_t)space_free_mb(r->home->database), "state", space_name(report_space(r))));
	put(r->ret, "children", children);
	put(r->ret, "quarantine", json_count(counts.quarantine));
	put(r->ret, "markers", json_integer(markers));
	put(r->ret, "conflicts_open", json_count(counts.conflicts));
	put(r->ret, "proposals_open", json_count(counts.proposals));
	put(r->ret, "returns_open", json_count(counts.returns));
	put(r->ret, "issues_open", json_count(counts.issues));
	put(r->ret, "next", json_words(report_own_next(r, &parent, has_parent, &issuers, &counts)));
	return 0;
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
	put(j, "certificate_until", json_time(p->until_s * 1000));
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

/* The names known here: of the unit list, of certificates, of this node's own chain, as each says of itself. */
static int name_put(void *arg, uint64_t unit, const char *name)
{
	struct report *r = arg;
	char code[UNIT_TEXT_SIZE];

	if (name != NULL && *name != '\0')
		put(r->ret, unit_text(unit, code), json_words(name));
	return 0;
}

int report_units_names(struct report *r, struct err *err)
{
	_cleanup_(report_nodes_release) struct nodes l = { 0 };
	const struct chain *c = r->home->chain;
	int rc = report_nodes_gather(r, &l, err);

	r->ret = json_object();
	for (uint32_t i = 0; rc == 0 && i < l.n; i++)
		name_put(r, l.at[i].unit, l.at[i].name);
	for (uint32_t i = 0; rc == 0 && c != NULL && i < c->n; i++)
		name_put(r, c->at[i].unit, c->at[i].name);
	if (rc == 0)
		rc = report_units(r->db, name_put, r, err);
	return rc == 0 ? name_put(r, r->home->unit, r->home->name) : rc;
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
	rc = policy_states_each(r->db, report_issuer_seen, &l, err);
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
		put(j, "active", report_version_json(p->active));
		put(j, "staged", report_version_json(p->staged));
		put(j, "failed", report_version_json(p->failed));
		put(j, "as_of", json_time(as_of_ms));
		put(j, "writes", json_string(writes_of(mine, p)));
		json_array_append_new(r->ret, j);
		r->found |= p->failed > p->active;
	}
}

int report_policy_status(struct report *r, struct err *err)
{
	_cleanup_(report_nodes_release) struct nodes l = { 0 };
	struct issuers own = { 0 }, theirs;
	int rc = report_nodes_gather(r, &l, err);

	if (rc == 0)
		rc = policy_states_each(r->db, report_issuer_seen, &own, err);
	r->ret = json_array();
	if (rc != 0)
		return rc;
	policy_node(r, r->home->unit, r->home->name, r->home->now_ms, &own, &own);
	for (uint32_t i = 0; i < l.n; i++) {
		report_issuers_of(&l.at[i].status, &theirs);
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
