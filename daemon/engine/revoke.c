#include "engine/revoke.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "core/revoke.h"
#include "engine/contact.h"

/* ---- taking */

static int put_trusted(struct engine *e, const struct revoke *v, struct err *err)
{
	uint32_t at = 0;
	int rc = 0;

	for (uint64_t number = 0; number < LEVELS && rc == 0; number++) {
		struct trusted t = { 0 };

		if (at < v->nstreams && v->stream[at].number == number) {
			t = (struct trusted){ v->epoch, v->stream[at].position, v->stream[at].hash };
			at++;
		}
		rc = trusted_put(e->db, v->sign_public, number, &t, err);
	}
	return rc;
}

static int put_serials(struct engine *e, const struct revoke *v, struct err *err)
{
	char serial[41];
	int rc = 0;

	for (uint32_t i = 0; i < v->nserials && rc == 0; i++) {
		snprintf(serial, sizeof serial, "%.*s", (int)v->serial[i].n, (const char *)v->serial[i].p);
		rc = revoked_put(e->db, serial, v->unit, v->sign_public, now_ms(e), err);
	}
	return rc;
}

static bool names(const struct revoke *v, const char *serial)
{
	for (uint32_t i = 0; i < v->nserials; i++)
		if (slice_equal(v->serial[i], slice_of(serial)))
			return true;
	return false;
}

/* Of a unit that was enrolled anew by now the old certificates are noted, nothing else. */
static int apply(struct engine *e, uint64_t issuer, const struct revoke *v, struct slice bytes, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct peer p;
	bool found = false;
	int rc = put_serials(e, v, err);

	if (rc == 0)
		rc = put_trusted(e, v, err);
	if (rc == 0)
		rc = peer_get(e->db, v->unit, &a, &p, &found, err);
	if (rc == 0 && found && names(v, p.serial)) {
		p.revoked = true;
		p.revocation = bytes;
		rc = peer_put(e->db, &p, now_ms(e), err);
		if (rc == 0)
			rc = peer_forget(e->db, v->unit, err);
		ungreet(e, v->unit);
		e->children_changed = true;
		if (rc == 0)
			rc = engine_reload_children(e, err);
		e->hello_due = e->parent != UNIT_NONE;
	}
	if (rc != 0)
		return rc;
	event(e, v->unit == e->unit ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE, v->unit == e->unit ? "alarm" : "enrol", v->unit, NULL,
	      "unit %012llu is revoked by unit %012llu", (unsigned long long)v->unit, (unsigned long long)issuer);
	return 0;
}

static int decode(const struct segment *s, struct slice raw, struct revoke *ret, struct err *err)
{
	uint64_t issuer = s->header.author;
	int rc = revoke_get(raw, ret, err);

	if (rc == 0 && (ret->unit == issuer || !unit_contains(issuer, ret->unit)))
		rc = err_set(err, ERR_SCOPE, "a revocation of unit %012llu by unit %012llu, which does not stand above it",
		             (unsigned long long)ret->unit, (unsigned long long)issuer);
	return rc;
}

int revoke_take(struct engine *e, const struct segment *s, struct slice raw, struct err *err)
{
	struct revoke v;
	int rc = decode(s, raw, &v, err);

	return rc == 0 ? apply(e, s->header.author, &v, s->bytes, err) : rc;
}

/* By the issuer's present key, or one that it had. */
static int verify(struct engine *e, const struct segment *s, const struct peer *issuer, struct err *err)
{
	uint8_t former[8][SIGN_PUBLIC_SIZE];
	uint32_t n = 0;
	int rc = segment_verify(s, issuer->sign_public, err);

	if (rc == ERR_SIGNATURE && revoked_keys(e->db, issuer->unit, former, &n, NULL) == 0)
		for (uint32_t i = 0; i < n && rc != 0; i++)
			rc = segment_verify(s, former[i], err);
	return rc;
}

/* Fills v from the segment; v's views are into raw. */
static int open_heard(struct engine *e, uint64_t via, struct slice bytes, struct arena *a, struct segment *s, struct buf *raw,
                      struct revoke *v, struct err *err)
{
	struct peer issuer;
	bool found = false;
	int rc = segment_parse(bytes, a, s, err);

	if (rc == 0 && (s->header.kind != SEGMENT_REVOKE || !unit_contains(via, s->header.author)))
		rc = err_set(err, ERR_SCOPE, "it is no revocation, or its issuer stands elsewhere");
	if (rc == 0)
		rc = peer_get(e->db, s->header.author, a, &issuer, &found, err);
	if (rc == 0 && !found)
		rc = err_set(err, ERR_CHAIN, "unit %012llu, its issuer, is not known here", (unsigned long long)s->header.author);
	if (rc == 0)
		rc = verify(e, s, &issuer, err);
	if (rc == 0)
		rc = segment_inflate(s, raw, err);
	return rc == 0 ? decode(s, buf_slice(raw), v, err) : rc;
}

int revoke_heard(struct engine *e, uint64_t via, struct slice bytes, uint64_t *ret_unit, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf raw = { .cap = LIMIT_SEGMENT_RAW };
	struct err why = { 0 };
	struct segment s;
	struct revoke v;
	int rc = open_heard(e, via, bytes, &a, &s, &raw, &v, &why);

	*ret_unit = UNIT_NONE;
	if (rc != 0 && transient(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (rc != 0) {
		event(e, LOG_LEVEL_WARNING, "enrol", via, NULL, "a revocation that unit %012llu passed on was refused: %s",
		      (unsigned long long)via, why.text);
		return 0;
	}
	*ret_unit = v.unit;
	return apply(e, s.header.author, &v, s.bytes, err);
}

int revoke_check(struct engine *e, const struct segment *s, const uint8_t key[SIGN_PUBLIC_SIZE], const char *name,
                 struct err *err)
{
	struct digest hash = segment_hash(s);
	struct trusted t;
	bool found = false;
	int rc = trusted_get(e->db, key, s->header.stream, &t, &found, err);

	if (rc != 0 || !found)
		return rc;
	if (s->header.position > t.position ||
	    (s->header.position == t.position && (s->header.epoch != t.epoch || !digest_equal(&hash, &t.hash))))
		return err_set(err, ERR_CHAIN, "%s: its author's key is revoked, and it lies behind the last trusted position %llu", name,
		               (unsigned long long)t.position);
	return 0;
}

/* ---- issuing */

/* The last segment of each stream that was applied here. */
static int fill_streams(struct engine *e, struct revoke *v, struct err *err)
{
	uint64_t best = 0;
	int rc = 0;

	for (uint64_t number = 0; number < LEVELS && rc == 0; number++) {
		struct revoke_stream *s = &v->stream[v->nstreams];
		struct stream_head head;

		rc = stream_get(e->db, v->unit, number, &head, err);
		if (rc != 0 || head.position == 0 || head.epoch == 0)
			continue;
		*s = (struct revoke_stream){ number, head.position, head.hash };
		v->nstreams++;
		if (head.position > best) {
			best = head.position;
			v->epoch = head.epoch;
		}
	}
	return rc;
}

static int find(struct engine *e, uint64_t unit, struct arena *a, struct peer *ret, struct err *err)
{
	bool found = false;
	int rc = peer_get(e->db, unit, a, ret, &found, err);

	if (rc != 0)
		return rc;
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "unit %012llu is no enrolled descendant of this node; terracectl peers lists them",
		               (unsigned long long)unit);
	if (ret->revoked)
		return err_set(err, ERR_REFUSED, "unit %012llu is revoked already; terracectl invite enrols it anew",
		               (unsigned long long)unit);
	if (!ret->direct)
		return err_set(err, ERR_REFUSED, "unit %012llu is enrolled by a unit below this node: give the command there, or revoke that "
		               "unit", (unsigned long long)unit);
	return 0;
}

static int publish(struct engine *e, uint64_t unit, const char *reason, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf raw = { 0 };
	struct revoke v = { .unit = unit, .reason = slice_of(reason) };
	struct peer p;
	int rc = find(e, unit, &a, &p, err);

	if (rc == 0)
		rc = serials_of(e->db, unit, &a, REVOKE_SERIALS, v.serial, &v.nserials, err);
	if (rc == 0)
		rc = fill_streams(e, &v, err);
	if (rc != 0)
		return rc;
	memcpy(v.sign_public, p.sign_public, SIGN_PUBLIC_SIZE);
	revoke_put(&v, &raw);
	if (raw.failed)
		return err_set(err, ERR_NOMEM, "revoking: memory is short");
	return broadcast_issue(e, SEGMENT_REVOKE, buf_slice(&raw), err);
}

int revoke_publish(struct engine *e, uint64_t unit, const char *reason, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int rc;

	if (strlen(reason) > REVOKE_REASON || !utf8_valid(slice_of(reason)))
		return err_set(err, ERR_USAGE, "the reason: UTF-8 text of at most %u bytes", REVOKE_REASON);
	rc = begin_empty(e, err);                /* what was written before is sealed as what it was then */
	if (rc != 0)
		return rc;
	guard = e;
	rc = publish(e, unit, reason, err);
	return rc == 0 ? engine_commit(e, err) : rc;
}
