/* Outgoing: this node's own changes as signed delta segments (design protocol §2, §3). */
#include "engine/contact.h"

#include <string.h>

#include "base/log.h"

#define RATIO_FIRST 5u                   /* raw bytes a stored one, until a segment was measured, and at most */
#define RATIO_FROM 4096u                 /* a shorter one says nothing */

static size_t change_size(const struct change *c)
{
	size_t n = 16;

	for (uint32_t i = 0; i < c->key.n; i++)
		n += cell_size(c->key.cells[i]);
	for (uint32_t i = 0; i < c->nparts; i++)
		for (uint32_t k = 0; k < c->parts[i].ncolumns; k++)
			n += cell_size(c->parts[i].cells[k]);
	return n;
}

/* How many changes from `at` on go into one segment: by count, and by a raw size that deflates to about the cut. */
static uint32_t portion(const struct payload *p, uint32_t at, size_t raw_cut)
{
	size_t size = 0;
	uint32_t n = 0;

	while (at + n < p->nchanges && n < LIMIT_SEGMENT_CHANGES) {
		size += change_size(&p->changes[at + n]);
		if (n > 0 && size > raw_cut)
			break;
		n++;
	}
	return n;
}

static void fill_header(struct engine *e, enum level ceiling, const struct stream_head *head, uint32_t changes, bool final,
                       struct segment_header *h)
{
	*h = (struct segment_header){
		.format = SEGMENT_FORMAT, .suite = SEGMENT_SUITE_ED25519_BLAKE2B, .kind = SEGMENT_DELTA, .author = e->unit,
		.epoch = e->epoch, .tick = e->met.at[e->level].tick, .stream = ceiling, .position = head->position + 1,
		.previous = head->hash, .policy = e->catalog->list, .wall_ms = now_ms(e), .changes = changes, .final = final,
	};
	if (head->epoch != e->epoch) {
		struct mark former = {0};

		h->continues = true;
		if (e->epochs.former(e->epochs.arg, e->epoch, &former))
			h->continues_mark = former;
		h->continues_position = head->position;
	}
	if (head->list != e->catalog->list) {
		h->npolicies = e->catalog->nentries;
		h->policies = e->catalog->entries;
	}
}

static int emit(struct engine *e, enum level ceiling, struct slice raw, uint32_t changes, bool final, struct buf *out,
                struct err *err)
{
	_cleanup_(arena_release) struct arena a = {0};
	_cleanup_(buf_release) struct buf name = {0};
	struct stream_head head;
	struct segment_header h;
	struct segment s;
	int64_t id = 0;
	int rc = stream_get(e->db, e->unit, ceiling, &head, err);

	if (rc == 0)
		fill_header(e, ceiling, &head, changes, final, &h);
	buf_clear(out);
	if (rc == 0)
		rc = segment_seal(&h, raw, &e->id->sign, out, err);
	if (rc == 0)
		rc = segment_parse(buf_slice(out), &a, &s, err);
	if (rc == 0)
		rc = segment_keep(e->db, &s, e->unit, kept_ms(e), &id, err);
	/* Nothing is sent beyond the ceiling: the highest node not above it is the level of record. */
	if (rc == 0 && goes_up(e, ceiling))
		rc = outbox_add(e->db, id, buf_slice(out), err);
	if (rc != 0)
		return rc;
	head.position = h.position;
	head.hash = segment_hash(&s);
	head.list = e->catalog->list;
	head.epoch = e->epoch;
	if (!goes_up(e, ceiling))
		head.settled = head.position;    /* this is the level of record */
	segment_name(&h, &name);
	event(e, LOG_LEVEL_INFO, "seal", UNIT_NONE, buf_text(&name), "%u changes, %zu bytes", changes, out->n);
	return stream_put(e->db, e->unit, ceiling, &head, err);
}

int seal_delta(struct engine *e, enum level ceiling, const struct payload *p, struct err *err)
{
	_cleanup_(buf_release) struct buf raw = {.cap = LIMIT_SEGMENT_RAW}, out = {0};
	uint32_t at = 0;
	int rc = 0;

	while (at < p->nchanges && rc == 0) {
		uint32_t n = portion(p, at, (size_t)LIMIT_DELTA_CUT * (e->delta_ratio != 0 ? e->delta_ratio : RATIO_FIRST));
		struct payload part = *p;

		part.changes = p->changes + at;
		part.nchanges = n;
		buf_clear(&raw);
		rc = payload_encode(&part, &raw, err);
		if (rc == 0)
			rc = emit(e, ceiling, buf_slice(&raw), n, at + n == p->nchanges, &out, err);
		if (rc == 0 && out.n >= RATIO_FROM)
			e->delta_ratio = (uint32_t)MIN(MAX(raw.n / out.n, 1u), RATIO_FIRST);
		at += n;
	}
	return rc;
}
