/* Report: the signed evidence as text, and whether it is authentic. */
#include "engine/report_inside.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "core/change.h"
#include "store/outbox.h"

#define FILE_MOST (LIMIT_SEGMENT_STORED + 2 * LIMIT_HEADER)

static json_t *json_hash(const struct digest *d)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	hex_put(&b, (struct slice){ d->at, DIGEST_SIZE });
	return json_slice(buf_slice(&b));
}

/* A delta's stream is its ceiling, a state's the receiver; else the issuer. */
static json_t *report_stream_json(uint32_t kind, uint64_t stream)
{
	if (kind == SEGMENT_DELTA && stream < LEVELS)
		return json_string(level_name((enum level)stream));
	return stream >= 256 * 256 ? json_unit(stream) : json_count(stream);
}

/* ---- list */

static int segment_line(void *arg, const struct segment_row *s)
{
	struct report *r = arg;
	json_t *j = json_object();

	put(j, "id", json_integer(s->id));
	put(j, "kind", json_string(segment_kind_text(s->kind)));
	put(j, "author", json_unit(s->author));
	put(j, "stream", report_stream_json(s->kind, s->stream));
	put(j, "position", json_count(s->position));
	put(j, "epoch", json_count(s->epoch));
	put(j, "tick", json_count(s->tick));
	put(j, "at", json_time(s->at_ms));
	put(j, "origin", json_unit(s->origin));
	put(j, "bytes", json_integer(s->bytes));
	put(j, "settled", json_time(s->settled_ms));
	json_array_append_new(r->ret, j);
	return 0;
}

int report_segment_list(struct report *r, struct err *err)
{
	r->ret = json_array();
	return report_segments(r->db, r->author, segment_line, r, err);
}

/* ---- dump */

json_t *report_segment_json(struct report *r, const struct segment *s)
{
	const struct segment_header *h = &s->header;
	_cleanup_(buf_release) struct buf name = { 0 };
	struct digest hash = segment_hash(s);
	json_t *j = json_object();

	segment_name(h, &name);
	put(j, "name", json_slice(buf_slice(&name)));
	put(j, "kind", json_string(segment_kind_text(h->kind)));
	put(j, "author", json_unit(h->author));
	put(j, "epoch", json_count(h->epoch));
	put(j, "tick", json_count(h->tick));
	put(j, "stream", report_stream_json(h->kind, h->stream));
	put(j, "position", json_count(h->position));
	put(j, "hash", json_hash(&hash));
	put(j, "previous", digest_zero(&h->previous) ? json_null() : json_hash(&h->previous));
	put(j, "follows", json_count(h->follows));
	put(j, "policy", json_list(r, h->policy));
	put(j, "wall", json_time(h->wall_ms));
	put(j, "changes", json_count(h->changes));
	put(j, "codec", json_string(h->codec == CODEC_STORED ? "stored" : h->codec == CODEC_DEFLATE ? "deflate" : "dictionary"));
	put(j, "stored_bytes", json_count(h->stored));
	put(j, "raw_bytes", json_count(h->raw));
	put(j, "final", json_boolean(h->final));
	if (h->continues) {
		json_t *from = json_object();

		put(from, "epoch", json_count(h->continues_mark.epoch));
		put(from, "tick", json_count(h->continues_mark.tick));
		put(from, "position", json_count(h->continues_position));
		put(j, "continues", from);
	}
	return j;
}

json_t *report_part_json(struct report *r, const struct wire_register *w, const struct part *p)
{
	const struct wire_group *g = p->group != PART_ROW && p->group < w->ngroups ? &w->groups[p->group] : NULL;
	const struct version *v = p->version;
	json_t *j = json_object(), *values;

	put(j, "group", g != NULL ? json_slice(g->name) : json_string("row"));
	put(j, "version", json_ident(version_ident(v)));
	put(j, "mode", json_string(v->kind == PROPOSAL ? "proposal" : v->ruling ? "ruling" : "decision"));
	put(j, "acting", json_boolean(v->acting));
	put(j, "base", json_ident(v->base));
	put(j, "policy", json_list(r, v->policy));
	put(j, "life", json_ident(p->life));
	if (g == NULL) {
		put(j, "alive", json_boolean(p->alive));
		put(j, "unit", json_unit(p->row_unit));
		return j;
	}
	put(j, "whole", json_boolean(p->whole));
	values = json_object();
	for (uint32_t i = 0; i < p->ncolumns; i++) {
		const char *name = p->columns[i] < g->ncolumns ? arena_text(&r->arena, g->columns[p->columns[i]]) : NULL;

		if (name != NULL)
			put(values, name, json_cell(p->cells[i]));
	}
	put(j, "values", values);
	return j;
}

static json_t *change_json(struct report *r, const struct payload *p, const struct change *c)
{
	const struct wire_register *w = &p->registers[c->reg];
	_cleanup_(buf_release) struct buf key = { 0 };
	json_t *j = json_object(), *parts = json_array();

	key_text(&key, c->key);
	put(j, "register", json_slice(w->name));
	put(j, "key", json_slice(buf_slice(&key)));
	put(j, "unit", json_unit(c->unit));
	if (c->flags & CHANGE_GONE)
		put(j, "gone", json_true());
	if (c->flags & CHANGE_NOT_HELD)
		put(j, "not_held", json_true());
	if (c->flags & CHANGE_LATE)
		put(j, "late", json_true());
	for (uint32_t i = 0; i < c->nparts; i++)
		json_array_append_new(parts, report_part_json(r, w, &c->parts[i]));
	put(j, "parts", parts);
	return j;
}

static json_t *item_json(const struct item *i)
{
	static const char *const names[] = { "", "broadcast", "record", "epoch", "settled", "return", "", "healed", "ask" };
	json_t *j = json_object();

	put(j, "kind", i->kind < ARRAY_SIZE(names) && *names[i->kind] ? json_string(names[i->kind]) : json_count(i->kind));
	put(j, "bytes", json_count(i->body.n));
	return j;
}

static int payload_put(struct report *r, struct slice raw, struct err *err)
{
	json_t *changes = json_array(), *items = json_array();
	struct payload p;
	int rc = payload_decode(raw, &r->arena, &p, err);

	for (uint32_t i = 0; rc == 0 && i < p.nchanges; i++)
		json_array_append_new(changes, change_json(r, &p, &p.changes[i]));
	for (uint32_t i = 0; rc == 0 && i < p.nitems; i++)
		json_array_append_new(items, item_json(&p.items[i]));
	put(r->ret, "rows", changes);
	put(r->ret, "items", items);
	return rc;
}

/* ---- one segment, by number or file */

static int segment_load(struct report *r, bool file, struct buf *bytes, struct segment *ret, struct err *err)
{
	uint64_t id;
	int rc;

	if (text_number(r->words[0], 1, INT64_MAX, &id) == 0) {
		rc = segment_bytes(r->db, (int64_t)id, bytes, err);
		if (rc == 0 && bytes->n == 0)
			rc = err_set(err, ERR_NOT_FOUND, "segment %s is not kept here; terracectl segment list shows which are", r->words[0]);
	} else if (file) {
		rc = file_read(r->words[0], FILE_MOST, bytes, err);
	} else {
		rc = err_set(err, ERR_USAGE, "%s is not a number from the list", r->words[0]);
	}
	return rc == 0 ? segment_parse(buf_slice(bytes), &r->arena, ret, err) : rc;
}

int report_segment_dump(struct report *r, struct err *err)
{
	_cleanup_(buf_release) struct buf bytes = { 0 }, raw = { 0 };
	struct segment s;
	int rc = segment_load(r, true, &bytes, &s, err);

	if (rc != 0)
		return rc;
	r->ret = report_segment_json(r, &s);
	if (s.header.kind != SEGMENT_DELTA && s.header.kind != SEGMENT_STATE) {
		rc = segment_inflate(&s, &raw, err);
		put(r->ret, "payload_bytes", json_count(raw.n));
		return rc;
	}
	rc = segment_inflate(&s, &raw, err);
	return rc == 0 ? payload_put(r, buf_slice(&raw), err) : rc;
}

/* ---- verify */

/* Of the own chain, of the unit's certificate as known here, then of its former ones; *ret_by says which held. */
int report_segment_authentic(struct report *r, const struct segment *s, const char **ret_by, struct err *err)
{
	const struct chain *c = r->home->chain;
	uint64_t author = s->header.author;
	uint8_t former[8][32];
	struct peer peer = { 0 };
	uint32_t n = 0;
	bool found = false, any = false;
	char unit[UNIT_TEXT_SIZE];
	int rc;

	for (uint32_t i = 0; c != NULL && i < c->n; i++) {
		if (c->at[i].unit != author)
			continue;
		any = true;
		*ret_by = i == 0 ? "this node's own key" : "the key in this node's chain";
		if (segment_verify(s, c->at[i].sign_public, err) == 0)
			return 0;
		for (uint32_t k = 0; k < c->at[i].nformer; k++)
			if (segment_verify(s, c->at[i].former[k].sign_public, err) == 0)
				return 0;
	}
	rc = peer_get(r->db, author, &r->arena, &peer, &found, err);
	if (rc != 0)
		return rc;
	if (found) {
		any = true;
		*ret_by = peer.revoked ? "the unit's revoked certificate" : "the unit's certificate";
		if (segment_verify(s, peer.sign_public, err) == 0)
			return 0;
	}
	rc = revoked_keys(r->db, author, former, &n, err);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		any = true;
		*ret_by = "a former certificate of the unit";
		if (segment_verify(s, former[i], err) == 0)
			return 0;
	}
	*ret_by = NULL;
	if (rc != 0)
		return rc;
	return any ? err_set(err, ERR_SIGNATURE, "the signature is by none of the keys known of unit %s", unit_text(author, unit)) :
	             err_set(err, ERR_CHAIN, "no certificate of unit %s is known here", unit_text(author, unit));
}

/* The signature covers header and stored payload; that the payload reads is told apart. */
int report_segment_sound(struct report *r, const struct segment *s, struct err *err)
{
	_cleanup_(buf_release) struct buf raw = { 0 };
	struct payload p;
	int rc = segment_inflate(s, &raw, err);

	if (rc == 0 && (s->header.kind == SEGMENT_DELTA || s->header.kind == SEGMENT_STATE))
		rc = payload_decode(buf_slice(&raw), &r->arena, &p, err);
	return rc;
}

int report_segment_verify(struct report *r, struct err *err)
{
	_cleanup_(buf_release) struct buf bytes = { 0 };
	struct err why = { 0 };
	const char *by = NULL;
	struct segment s;
	int rc = segment_load(r, true, &bytes, &s, err);

	if (rc != 0)
		return rc;
	rc = report_segment_authentic(r, &s, &by, &why);
	if (rc == 0)
		rc = report_segment_sound(r, &s, &why);
	if (rc == ERR_DB || rc == ERR_NOMEM) {
		*err = why;
		return rc;
	}
	r->ret = report_segment_json(r, &s);
	put(r->ret, "authentic", json_boolean(rc == 0));
	put(r->ret, "by", json_words(by));
	put(r->ret, "error", json_words(rc != 0 ? why.text : NULL));
	r->found = rc != 0 ? 5 : 0;
	return 0;
}
