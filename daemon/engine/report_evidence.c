/* Report: the signed delta behind a value: kept here, or fetched from the superior that keeps it. */
#include "engine/report_inside.h"

#include <string.h>

struct looking {
	struct report *r;
	const struct reg *reg;
	struct key key;
	const char *group;
	const struct version *wanted;
	json_t *found;
};

static const struct part *part_of(const struct looking *l, const struct payload *p, const struct wire_register **ret)
{
	for (uint32_t i = 0; i < p->nchanges; i++) {
		const struct change *c = &p->changes[i];
		const struct wire_register *w = &p->registers[c->reg];

		if (!slice_equal(w->name, slice_of(l->reg->name)) || !key_equal(c->key, l->key))
			continue;
		for (uint32_t k = 0; k < c->nparts; k++) {
			const struct part *part = &c->parts[k];
			struct slice name = part->group == PART_ROW ? slice_of("row") :
			                    part->group < w->ngroups ? w->groups[part->group].name : (struct slice){ 0 };

			if (!slice_equal(name, slice_of(l->group)) || !ident_equal(version_ident(part->version), version_ident(l->wanted)))
				continue;
			*ret = w;
			return part;
		}
	}
	return NULL;
}

/* One segment; l->found where it says the value.  A segment that does not read is none that brought it. */
static int look(struct looking *l, int64_t id, struct slice bytes)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf raw = { 0 }, name = { 0 };
	const struct wire_register *w = NULL;
	const struct part *part = NULL;
	const char *by = NULL;
	struct payload p;
	struct segment s;
	struct err why = { 0 };
	int rc;

	if (segment_parse(bytes, &a, &s, NULL) != 0 || s.header.kind != SEGMENT_DELTA ||
	    s.header.author != l->wanted->unit || segment_inflate(&s, &raw, NULL) != 0 ||
	    payload_decode(buf_slice(&raw), &a, &p, NULL) != 0 || (part = part_of(l, &p, &w)) == NULL)
		return 0;
	segment_name(&s.header, &name);
	l->found = l->r->evidence ? report_segment_json(l->r, &s) : json_object();
	put(l->found, "name", json_slice(buf_slice(&name)));
	put(l->found, "id", id != 0 ? json_integer(id) : json_null());
	if (l->r->evidence) {
		rc = report_segment_authentic(l->r, &s, &by, &why);
		put(l->found, "authentic", json_boolean(rc == 0));
		put(l->found, "by", json_words(by));
		put(l->found, "error", json_words(rc != 0 ? why.text : NULL));
		put(l->found, "says", report_part_json(l->r, w, part));
		if (rc != 0)
			l->r->found = 5;
	}
	return 1;
}

static int kept(void *arg, int64_t id, struct slice bytes)
{
	return look(arg, id, bytes);
}

int report_evidence_of(struct report *r, const struct reg *reg, struct key key, const char *group, const struct version *v,
                       json_t **ret, struct err *err)
{
	struct looking l = { .r = r, .reg = reg, .key = key, .group = group, .wanted = v };
	struct reader in = reader_of(r->home->fetched);
	int rc = report_evidence(r->db, v->unit, version_mark(v), 0, kept, &l, err);

	while (rc == 0 && l.found == NULL && reader_left(&in) > 0 && !in.bad) {
		struct slice bytes = read_slice(&in);

		if (!in.bad)
			look(&l, 0, bytes);
	}
	*ret = l.found;
	return rc;
}
