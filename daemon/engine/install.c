/* Install: broadcasts. */
#include "engine/install.h"

#include "engine/adopt.h"
#include "engine/contact.h"
#include "engine/hold.h"
#include "engine/revoke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"
#include "store/ddl.h"
#include "store/policybox.h"

#define TIME_NOTE_MS 600000              /* by the steady clock: a wall clock that goes back stops no note */

static uint64_t stream_of(uint32_t kind)
{
	return (uint64_t)kind << 8;
}

static const uint8_t *issuer_key(struct engine *e, uint64_t issuer)
{
	for (uint32_t i = 0; i < e->id->chain.n; i++)
		if (e->id->chain.at[i].unit == issuer)
			return e->id->chain.at[i].sign_public;
	return NULL;
}

/* ---- policy: stage, activate */

/* What a policy defines may be defined by no ancestor of its issuer; what it goes on from must allow it. */
static int check_place(struct engine *e, const struct policy *p, struct err *err)
{
	for (uint32_t i = 0; i < e->catalog->nregs; i++) {
		const struct reg *r = e->catalog->regs[i];

		if (r->issuer != p->issuer && policy_register(p, r->name) != NULL && r->policy != NULL)
			return err_set(err, ERR_POLICY, "policy %s: register %s is already defined by unit %012llu", p->name, r->name,
			               (unsigned long long)r->issuer);
	}
	for (uint32_t i = 0; i < p->nregisters; i++)
		if (p->registers[i].ceiling < unit_level(p->issuer) && e->parent != UNIT_NONE && p->issuer == e->unit &&
		    p->registers[i].ceiling != PROVINCE)
			return err_set(err, ERR_POLICY, "policy %s: register %s has a ceiling above its issuer", p->name,
			               p->registers[i].name);
	return 0;
}

static int put_in_force(struct engine *e, const struct policy *p, const struct policy *before, struct err *err)
{
	int rc = ddl_apply(e->db->sql, p, err);

	for (uint32_t i = 0; i < p->nregisters && rc == 0; i++) {
		struct err say = {0};

		rc = ddl_shape(e->db->sql, &p->registers[i], NULL, &say);
		if (rc == ERR_SCHEMA && p->registers[i].application_schema)
			rc = 0;                  /* schema hold */
		if (rc != 0 && err != NULL)
			*err = say;
	}
	if (rc == 0)
		rc = policybox_activate(e->db, p->issuer, p->version, now_ms(e), err);
	if (rc == 0)
		rc = engine_reload_catalog(e, err);
	for (uint32_t i = 0; i < p->nregisters && rc == 0; i++) {
		struct reg *r = catalog_register(e->catalog, slice_of(p->registers[i].name));

		if (r != NULL && (before == NULL || policy_register(before, r->name) == NULL))
			rc = adopt_wait(e, r, err);
	}
	if (rc == 0)
		rc = watch_install(e, false, err);
	return rc == 0 ? hold_look(e, err) : rc;
}

/* In the caller's transaction; what fails is rolled back to where it began, and the last good policy stays. */
static int activate(struct engine *e, uint64_t issuer, uint64_t version, bool dry, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	struct policy p, before;
	bool found, had;
	struct err say = {0};
	int rc = policybox_get(e->db, issuer, version, &a, &p, NULL, &found, err);

	if (rc == 0 && !found)
		return err_set(err, ERR_POLICY, "policy %012llu:%llu is not here", (unsigned long long)issuer,
		               (unsigned long long)version);
	if (rc == 0)
		rc = policybox_get(e->db, issuer, 0, &a, &before, NULL, &had, err);
	if (rc == 0)
		rc = seal_empty(e, err);
	if (rc == 0)
		rc = state_flush(e->state, err);
	if (rc == 0)
		rc = db_savepoint(e->db, err);
	if (rc != 0)
		return rc;
	p.issuer = issuer;
	p.version = version;
	rc = ddl_check(&p, NULL, &say);
	if (rc == 0 && had)
		rc = policy_follows(&before, &p, &say);
	if (rc == 0 && had)
		rc = ddl_follows(&before, &p, &say);
	if (rc == 0)
		rc = check_place(e, &p, &say);
	if (rc == 0)
		rc = put_in_force(e, &p, had ? &before : NULL, &say);
	if (rc == 0 && !dry) {
		rc = db_savepoint_release(e->db, err);
		e->activity++;                   /* digests are compared anew: both sides have the same registers now */
		if (rc == 0)
			event(e, LOG_LEVEL_NOTICE, "policy", issuer, NULL, "policy %s version %llu is active", p.name,
			      (unsigned long long)version);
		return rc;
	}
	db_savepoint_rollback(e->db);
	if (engine_reload_catalog(e, err) != 0)
		return err->code;
	if (rc == 0)
		return 0;
	if (rc == ERR_BUSY || rc == ERR_NOMEM || rc == ERR_FULL || rc == ERR_STOPPING) {
		if (err != NULL)
			*err = say;
		return rc;                       /* not the policy's fault: it comes again */
	}
	event(e, LOG_LEVEL_ERROR, "alarm", issuer, NULL, "policy version %llu %s: %s; the one before stays in force",
	      (unsigned long long)version, dry ? "does not fit here" : "could not be activated", say.text);
	return policybox_fail(e->db, issuer, version, say.text, now_ms(e), err);
}

static int take_policy(struct engine *e, const struct segment *s, struct slice canonical, int64_t id, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	uint64_t issuer = s->header.author;
	struct policy p;
	int rc = policy_get(canonical, &a, &p, err);

	if (rc != 0)
		return rc;
	if (p.issuer != issuer)
		return err_set(err, ERR_POLICY, "policy %s names another issuer than its signer", p.name);
	if (p.version <= policybox_latest(e->db, issuer))
		return err_set(err, ERR_POLICY, "policy %s version %llu of unit %012llu is not newer than what is here", p.name,
		               (unsigned long long)p.version, (unsigned long long)issuer);
	rc = policybox_put(e->db, issuer, p.version, canonical, id, "staged", NULL, now_ms(e), err);
	if (rc == 0) {
		event(e, LOG_LEVEL_NOTICE, "policy", issuer, NULL, "policy %s version %llu staged", p.name,
		      (unsigned long long)p.version);
		rc = activate(e, issuer, p.version, true, err);
	}
	return rc;
}

static int take_activate(struct engine *e, const struct segment *s, struct slice raw, struct err *err)
{
	struct reader r = reader_of(raw);
	uint64_t version = read_varint(&r);

	if (!reader_done(&r))
		return err_set(err, ERR_FORMAT, "an activate of unit %012llu is malformed", (unsigned long long)s->header.author);
	return activate(e, s->header.author, version, false, err);
}

/* ---- units, time */

static int take_units(struct engine *e, struct slice raw, struct err *err)
{
	struct reader r = reader_of(raw);
	uint64_t n = read_count(&r, 2000000);
	int rc = units_clear(e->db, err);

	for (uint64_t i = 0; i < n && rc == 0 && !r.bad; i++) {
		uint64_t code = read_varint(&r);
		struct slice name = read_slice(&r);
		char text[LIMIT_NAME + 1];

		if (r.bad || name.n > LIMIT_NAME || !utf8_valid(name) || memchr(name.p, 0, name.n) != NULL)
			return err_set(err, ERR_FORMAT, "the unit list is malformed at unit %012llu", (unsigned long long)code);
		snprintf(text, sizeof text, "%.*s", (int)name.n, (const char *)name.p);
		rc = units_add(e->db, code, text, err);
	}
	if (rc == 0 && !reader_done(&r))
		rc = err_set(err, ERR_FORMAT, "the unit list is malformed");
	return rc;
}

static int take_time(struct engine *e, const struct segment *s, struct slice raw, struct err *err)
{
	struct reader r = reader_of(raw);
	int64_t at = (int64_t)read_varint(&r);

	if (r.bad)
		return err_set(err, ERR_FORMAT, "a time note is malformed");
	tree_time_hear(e, at);
	return time_notes_drop(e->db, s->header.author, s->header.position, err);
}

void tree_time_hear(struct engine *e, int64_t at_s)
{
	if (e->parent == UNIT_NONE || at_s <= engine_tree_time(e))
		return;
	e->tree_s = at_s;
	e->tree_steady_ms = steady_ms(e);
}

/* ---- taking */

static int dirty_all(struct engine *e, int64_t id, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < e->nchildren && rc == 0; i++)
		rc = dirty_item(e->db, e->children[i], ITEM_BROADCAST, id, err);
	return rc;
}

static int check_chain(const struct segment *s, const struct stream_head *head, bool *ret_again, struct err *err)
{
	struct digest hash = segment_hash(s);

	*ret_again = false;
	if (s->header.kind == SEGMENT_TIME) {
		*ret_again = s->header.position <= head->position;
		return 0;
	}
	if (s->header.position <= head->position) {
		*ret_again = true;
		if (s->header.position == head->position && !digest_equal(&hash, &head->hash))
			return err_set(err, ERR_EQUIVOCATION, "%s of unit %012llu: two different ones at position %llu",
			               segment_kind_text(s->header.kind), (unsigned long long)s->header.author,
			               (unsigned long long)s->header.position);
		return 0;
	}
	if (s->header.position != head->position + 1 || !digest_equal(&s->header.previous, &head->hash))
		return err_set(err, ERR_GAP, "%s of unit %012llu: position %llu does not follow %llu", segment_kind_text(s->header.kind),
		               (unsigned long long)s->header.author, (unsigned long long)s->header.position,
		               (unsigned long long)head->position);
	return 0;
}

static int take_kind(struct engine *e, const struct segment *s, struct slice raw, int64_t id, struct err *err)
{
	switch (s->header.kind) {
	case SEGMENT_POLICY: return take_policy(e, s, raw, id, err);
	case SEGMENT_ACTIVATE: return take_activate(e, s, raw, err);
	case SEGMENT_UNITS: return take_units(e, raw, err);
	case SEGMENT_TIME: return take_time(e, s, raw, err);
	case SEGMENT_REVOKE: return revoke_take(e, s, raw, err);
	default:
		event(e, LOG_LEVEL_WARNING, "policy", s->header.author, NULL, "%s is kept and passed on; this version does not act on "
		      "it", segment_kind_text(s->header.kind));
		return 0;
	}
}

/* By the issuer's key; what the top signed before it had another stays valid. */
static int verify(struct engine *e, const struct segment *s, const uint8_t *key, struct err *err)
{
	uint32_t n;
	const struct former *former = former_tops(e, s->header.author, &n);
	int rc = segment_verify(s, key, err);

	for (uint32_t i = 0; i < n && rc == ERR_SIGNATURE; i++)
		rc = segment_verify(s, former[i].sign_public, err);
	return rc;
}

int broadcast_take(struct engine *e, uint64_t from, struct slice bytes, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	_cleanup_(buf_release) struct buf raw = {0};
	struct stream_head head;
	struct segment s;
	const uint8_t *key;
	int64_t id = 0;
	bool again;
	int rc = segment_parse(bytes, &a, &s, err);

	if (rc != 0)
		return rc;
	if (s.header.kind < SEGMENT_POLICY || s.header.kind > SEGMENT_REVOKE)
		return err_set(err, ERR_FORMAT, "a segment of kind %u is no broadcast", s.header.kind);
	key = issuer_key(e, s.header.author);
	if (key == NULL)
		return err_set(err, ERR_SCOPE, "%s of unit %012llu, which does not stand above this node", segment_kind_text(s.header.kind),
		               (unsigned long long)s.header.author);
	rc = verify(e, &s, key, err);
	if (rc == 0)
		rc = stream_get(e->db, s.header.author, stream_of(s.header.kind), &head, err);
	if (rc == 0)
		rc = check_chain(&s, &head, &again, err);
	if (rc != 0 || again)
		return rc;
	rc = segment_inflate(&s, &raw, err);
	if (rc == 0)
		rc = segment_keep(e->db, &s, from, now_ms(e), &id, err);
	if (rc == 0)
		rc = take_kind(e, &s, buf_slice(&raw), id, err);
	if (rc != 0)
		return rc;
	head.position = s.header.position;
	head.hash = segment_hash(&s);
	head.epoch = s.header.epoch;
	rc = stream_put(e->db, s.header.author, stream_of(s.header.kind), &head, err);
	if (rc == 0 && from != e->unit && from != e->parent) {
		event(e, LOG_LEVEL_WARNING, "heal", from, NULL, "%s %llu of unit %012llu was lost here and comes back from below",
		      segment_kind_text(s.header.kind), (unsigned long long)s.header.position, (unsigned long long)s.header.author);
		if (e->parent != UNIT_NONE && s.header.author != e->unit)        /* who may have lost it too */
			rc = dirty_item(e->db, e->parent, ITEM_BROADCAST, id, err);
	}
	return rc == 0 ? dirty_all(e, id, err) : rc;
}

/* ---- issuing */

int broadcast_issue(struct engine *e, uint32_t kind, struct slice raw, struct err *err)
{
	_cleanup_(buf_release) struct buf out = {0};
	struct segment_header h;
	struct stream_head head;
	int rc = stream_get(e->db, e->unit, stream_of(kind), &head, err);

	if (rc != 0)
		return rc;
	h = (struct segment_header){
		.format = SEGMENT_FORMAT, .suite = SEGMENT_SUITE_ED25519_BLAKE2B, .kind = kind, .author = e->unit, .epoch = e->epoch,
		.tick = e->met.at[e->level].tick, .stream = e->unit, .position = head.position + 1, .previous = head.hash,
		.policy = e->catalog->list, .wall_ms = now_ms(e), .changes = 1,
	};
	rc = segment_seal(&h, raw, &e->id->sign, &out, err);
	return rc == 0 ? broadcast_take(e, e->unit, buf_slice(&out), err) : rc;
}

static bool is_due(struct engine *e, const struct policy *p, int64_t now_s)
{
	char today[16];
	time_t t = (time_t)now_s;
	struct tm tm;

	(void)e;
	if (p->effective == NULL)
		return true;
	gmtime_r(&t, &tm);
	strftime(today, sizeof today, "%Y-%m-%d", &tm);
	return strcmp(p->effective, today) <= 0;
}

/* The oldest staged policy of this node, where its day has come. */
static int activate_due(struct engine *e, int64_t now_s, bool *ret_done, struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	_cleanup_(buf_release) struct buf raw = {0};
	struct policy p;
	uint64_t version;
	bool found;
	int rc = policybox_get(e->db, e->unit, UINT64_MAX, &a, &p, &version, &found, err);

	*ret_done = false;
	if (rc != 0 || !found || now_s == 0 || !is_due(e, &p, now_s))
		return rc;
	buf_put_varint(&raw, version);
	*ret_done = true;
	return broadcast_issue(e, SEGMENT_ACTIVATE, buf_slice(&raw), err);
}

static int time_note(struct engine *e, int64_t now_s, struct err *err)
{
	static const uint32_t kinds[] = {SEGMENT_POLICY, SEGMENT_ACTIVATE, SEGMENT_UNITS, SEGMENT_REVOKE};
	_cleanup_(buf_release) struct buf raw = {0};

	buf_put_varint(&raw, (uint64_t)now_s);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct stream_head head;

		if (stream_get(e->db, e->unit, stream_of(kinds[i]), &head, err) != 0)
			return ERR_DB;
		buf_put_varint(&raw, kinds[i]);
		buf_put_varint(&raw, head.position);
	}
	return broadcast_issue(e, SEGMENT_TIME, buf_slice(&raw), err);
}

int broadcast_next(struct engine *e, int64_t now_s, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	_cleanup_(arena_release) struct arena a = {0};
	struct policy p;
	uint64_t version;
	bool found = false, note, done;
	int rc = policybox_get(e->db, e->unit, UINT64_MAX, &a, &p, &version, &found, err);

	note = e->parent == UNIT_NONE && e->nchildren > 0 && (e->noted_ms == 0 || steady_ms(e) - e->noted_ms >= TIME_NOTE_MS);
	if (rc != 0 || !(note || (found && now_s != 0 && is_due(e, &p, now_s))))
		return rc;
	rc = engine_begin(e, err);
	guard = e;
	if (rc == 0)
		rc = activate_due(e, now_s, &done, err);
	if (rc == 0 && note)
		rc = time_note(e, now_s, err);
	if (rc == 0)
		rc = engine_commit(e, err);
	if (rc == 0 && note)
		e->noted_ms = MAX(steady_ms(e), 1);
	return rc;
}

int policy_publish(struct engine *e, struct slice canonical, uint64_t *ret_version, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	_cleanup_(arena_release) struct arena a = {0};
	_cleanup_(buf_release) struct buf form = {0};
	uint64_t latest = policybox_latest(e->db, e->unit);
	struct policy p, before;
	bool had, done;
	int rc = policy_get(canonical, &a, &p, err);

	if (rc != 0)
		return rc;
	if (p.version <= latest)
		return err_set(err, ERR_POLICY, "policy %s: version %llu is not higher than %llu, which is published already; raise it",
		               p.name, (unsigned long long)p.version, (unsigned long long)latest);
	p.issuer = e->unit;
	rc = ddl_check(&p, NULL, err);
	if (rc == 0)
		rc = policybox_get(e->db, e->unit, 0, &a, &before, NULL, &had, err);
	if (rc == 0 && had)
		rc = policy_follows(&before, &p, err);
	if (rc == 0 && had)
		rc = ddl_follows(&before, &p, err);
	if (rc == 0)
		rc = check_place(e, &p, err);
	if (rc == 0)
		rc = policy_put(&p, &form, err);
	if (rc == 0)
		rc = engine_begin(e, err);
	guard = e;
	if (rc == 0)
		rc = broadcast_issue(e, SEGMENT_POLICY, buf_slice(&form), err);
	if (rc == 0)
		rc = activate_due(e, e->parent == UNIT_NONE ? engine_tree_time(e) : MAX(engine_tree_time(e), now_ms(e) / 1000), &done,
		                  err);
	if (rc == 0)
		rc = engine_commit(e, err);
	*ret_version = p.version;
	return rc;
}

/* One line of the list: nothing, or CODE NAME, in the scope of this node or above it. */
static int unit_line(const struct engine *e, struct slice text, uint32_t line, uint64_t *ret_code, struct slice *ret_name,
                     struct err *err)
{
	*ret_code = UNIT_NONE;
	if (text.n == 0)
		return 0;
	if (text.n < 14 || unit_parse((struct slice){text.p, 12}, ret_code, NULL) != 0 ||
	    (text.p[12] != ' ' && text.p[12] != ',' && text.p[12] != '\t'))
		return err_set(err, ERR_FORMAT, "line %u of the unit list is not `CODE NAME`", line);
	*ret_name = (struct slice){text.p + 13, text.n - 13};
	if (ret_name->n > LIMIT_NAME || !utf8_valid(*ret_name))
		return err_set(err, ERR_FORMAT, "line %u of the unit list: the name is not UTF-8 text of at most %u bytes", line, LIMIT_NAME);
	if (!unit_contains(e->unit, *ret_code) && !unit_contains(*ret_code, e->unit))
		return err_set(err, ERR_FORMAT, "line %u of the unit list: unit %012llu lies outside unit %012llu", line,
		               (unsigned long long)*ret_code, (unsigned long long)e->unit);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* ERR_FORMAT where a unit stands twice; sorts. */
static int units_once(uint64_t *codes, uint32_t n, struct err *err)
{
	qsort(codes, n, sizeof *codes, by_number);
	for (uint32_t i = 1; i < n; i++)
		if (codes[i] == codes[i - 1])
			return err_set(err, ERR_FORMAT, "unit %012llu stands twice in the unit list", (unsigned long long)codes[i]);
	return 0;
}

int units_publish(struct engine *e, struct slice lines, uint32_t *ret_count, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	_cleanup_(buf_release) struct buf body = {0}, raw = {0}, codes = {0};
	const char *p = (const char *)lines.p, *end = p + lines.n;
	uint32_t n = 0, line = 0;
	int rc = 0;

	if (e->parent != UNIT_NONE)
		return err_set(err, ERR_REFUSED, "the unit list is published by the top node only");
	while (p < end && rc == 0) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		struct slice text = {(const uint8_t *)p, (size_t)((stop != NULL ? stop : end) - p)};
		struct slice name;
		uint64_t code;

		p = stop != NULL ? stop + 1 : end;
		rc = unit_line(e, text, ++line, &code, &name, err);
		if (rc != 0 || code == UNIT_NONE)
			continue;
		buf_put_varint(&body, code);
		buf_put_slice(&body, name);
		buf_put(&codes, &code, sizeof code);
		n++;
	}
	if (rc == 0 && n == 0)
		rc = err_set(err, ERR_FORMAT, "the unit list is empty");
	buf_put_varint(&raw, n);
	buf_put(&raw, body.p, body.n);
	if (rc == 0 && (raw.failed || body.failed || codes.failed))
		rc = err_set(err, ERR_NOMEM, "the unit list: memory is short");
	if (rc == 0)
		rc = units_once((uint64_t *)(void *)codes.p, n, err);
	if (rc == 0)
		rc = engine_begin(e, err);
	guard = e;
	if (rc == 0)
		rc = broadcast_issue(e, SEGMENT_UNITS, buf_slice(&raw), err);
	if (rc == 0)
		rc = engine_commit(e, err);
	*ret_count = n;
	return rc;
}

struct downing {
	struct engine *e;
	uint64_t child;
	struct err *err;
};

static int one_down(void *arg, int64_t id)
{
	struct downing *d = arg;

	return dirty_item(d->e->db, d->child, ITEM_BROADCAST, id, d->err);
}

int broadcasts_down(struct engine *e, uint64_t child, struct err *err)
{
	struct downing d = {e, child, err};

	return broadcasts_each(e->db, one_down, &d, err);
}
