/* Report: how the last reconciliation stands, which rows audit and comparisons found, and what is known of the
 * neighbours' digests.  Rows that an audit sealed late, because triggers were missing, stand in this node's own deltas. */
#include "engine/report_inside.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "core/change.h"
#include "core/segment.h"
#include "store/compared.h"
#include "store/outbox.h"

#define SHOWN 1000u                      /* rows that are listed; all are counted */

struct audit {
	struct report *r;
	int64_t after;                   /* the last segment before the audit */
	bool walking[LIMIT_REGISTERS + 1];       /* by number */
	uint64_t found[LIMIT_REGISTERS + 1];
	json_t *rows, *neighbours, *seen;        /* seen: REGISTER and key of the rows counted */
	json_t *registers;               /* of the neighbour at hand */
	uint64_t *peers;                 /* neighbours, those asked for */
	uint32_t npeers, room;
	struct err *err;
	int rc;
	bool busy;
};

/* What --register and --unit leave. */
static bool wanted(const struct audit *a, const struct reg *reg, uint64_t unit)
{
	const struct report_filter *f = &a->r->filter;

	if (f->reg != NULL && (reg == NULL || strcasecmp(reg->name, f->reg) != 0))
		return false;
	return f->unit == UNIT_NONE || unit == UNIT_NONE || unit_contains(f->unit, unit) || unit_contains(unit, f->unit);
}

/* ---- rows */

static int payload_rows(struct audit *a, const struct payload *p)
{
	for (uint32_t i = 0; i < p->nchanges; i++) {
		const struct change *c = &p->changes[i];
		const struct reg *reg = catalog_register(a->r->catalog, p->registers[c->reg].name);
		_cleanup_(buf_release) struct buf key = { 0 }, name = { 0 };
		json_t *j;

		if (!(c->flags & CHANGE_LATE) || !wanted(a, reg, c->unit))
			continue;
		hex_put(&name, p->registers[c->reg].name);
		buf_put_u8(&name, ' ');
		key_text(&key, c->key);
		hex_put(&name, buf_slice(&key));
		if (json_object_get(a->seen, buf_text(&name)) != NULL)
			continue;
		json_object_set_new(a->seen, buf_text(&name), json_true());
		if (reg != NULL && reg->number <= LIMIT_REGISTERS)
			a->found[reg->number]++;
		if (json_array_size(a->rows) >= SHOWN)
			continue;
		j = json_object();
		put(j, "register", json_slice(p->registers[c->reg].name));
		put(j, "key", json_slice(buf_slice(&key)));
		put(j, "unit", json_unit(c->unit));
		put(j, "kind", json_string("captured-late"));
		put(j, "will", json_string("reported as this node's: triggers were missing when it was written"));
		json_array_append_new(a->rows, j);
	}
	return 0;
}

static int segment_rows(void *arg, const struct segment_row *row)
{
	_cleanup_(arena_release) struct arena arena = { 0 };
	_cleanup_(buf_release) struct buf bytes = { 0 }, raw = { 0 };
	struct audit *a = arg;
	struct segment s;
	struct payload p;

	if (row->id <= a->after || row->kind != SEGMENT_DELTA)
		return 0;
	a->rc = segment_bytes(a->r->db, row->id, &bytes, a->err);
	if (a->rc == 0)
		a->rc = segment_parse(buf_slice(&bytes), &arena, &s, a->err);
	if (a->rc == 0)
		a->rc = segment_inflate(&s, &raw, a->err);
	if (a->rc == 0)
		a->rc = payload_decode(buf_slice(&raw), &arena, &p, a->err);
	if (a->rc == 0)
		payload_rows(a, &p);
	return a->rc != 0;
}

static int walking(void *arg, uint32_t reg)
{
	struct audit *a = arg;

	if (reg <= LIMIT_REGISTERS)
		a->walking[reg] = true;
	a->busy = true;
	return 0;
}

static json_t *registers_json(struct audit *a)
{
	const struct catalog *c = a->r->catalog;
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->nregs; i++) {
		const struct reg *reg = c->regs[i];
		json_t *j;

		if (reg->policy == NULL || reg->number > LIMIT_REGISTERS || !wanted(a, reg, UNIT_NONE))
			continue;
		j = json_object();
		put(j, "register", json_words(reg->name));
		put(j, "state", json_string(reg->hold ? "held" : a->walking[reg->number] ? "comparing" : "compared"));
		put(j, "differ", json_count(a->found[reg->number]));
		json_array_append_new(list, j);
	}
	return list;
}

/* ---- neighbours */

static int register_compared(void *arg, const char *name, uint64_t unit, const char *found, int64_t at_ms)
{
	struct audit *a = arg;
	const struct reg *reg = catalog_register(a->r->catalog, slice_of(name));
	json_t *j;

	if (!wanted(a, reg, unit) || (unit == UNIT_NONE && a->r->filter.unit != UNIT_NONE))
		return 0;
	j = json_object();
	put(j, "register", json_words(name));
	put(j, "unit", json_unit(unit));
	put(j, "digest", json_string(found));
	put(j, "as_of", json_time(at_ms));
	json_array_append_new(a->registers, j);
	a->r->found |= strcmp(found, "differs") == 0;
	return 0;
}

static int neighbour(struct audit *a, uint64_t unit, const char *name, bool superior)
{
	char digest[16] = "", name_of[40];
	struct link l;
	int64_t at = 0;
	bool found = false;
	json_t *j;
	int rc;

	if (a->r->with != UNIT_NONE && a->r->with != unit)
		return 0;
	if (a->npeers == a->room) {
		uint64_t *more = arena_array(&a->r->arena, a->room * 2 + 16, sizeof *more);

		if (more == NULL)
			return err_set(a->err, ERR_NOMEM, "reconcile: memory is short");
		if (a->npeers > 0)
			memcpy(more, a->peers, a->npeers * sizeof *more);
		a->peers = more;
		a->room = a->room * 2 + 16;
	}
	a->peers[a->npeers++] = unit;
	rc = link_get(a->r->db, unit, &l, &found, a->err);
	if (rc == 0 && found)
		rc = link_digest(a->r->db, unit, digest, &at, a->err);
	if (rc != 0)
		return rc;
	j = json_object();
	put(j, "unit", json_unit(unit));
	put(j, "name", json_words(name != NULL ? name : ""));
	put(j, "level", json_level(unit));
	put(j, "superior", json_boolean(superior));
	put(j, "digest", json_string(*digest != '\0' ? digest : "unknown"));
	put(j, "as_of", json_time(at));
	snprintf(name_of, sizeof name_of, "reconciled/%012llu", (unsigned long long)unit);
	put(j, "compared", json_time(meta_number(a->r->db, name_of, 0)));
	snprintf(name_of, sizeof name_of, "left out/%012llu", (unsigned long long)unit);
	put(j, "more", json_boolean(meta_number(a->r->db, name_of, 0) != 0));
	put(j, "registers", a->registers = json_array());
	json_array_append_new(a->neighbours, j);
	if (a->r->filter.reg == NULL && a->r->filter.unit == UNIT_NONE)
		a->r->found |= strcmp(digest, "differs") == 0;
	return compared_each(a->r->db, unit, register_compared, a, a->err);
}

static int child(void *arg, const struct peer_row *p)
{
	struct audit *a = arg;

	if (p->direct && !p->revoked)
		a->rc = neighbour(a, p->unit, p->name, false);
	return a->rc != 0;
}

int report_reconcile(struct report *r, struct err *err)
{
	_cleanup_(json_release) json_t *seen = json_object();
	struct audit a = { .r = r, .after = meta_number(r->db, "audit segment", INT64_MAX), .seen = seen, .err = err };
	uint64_t log = 0, more = 0;
	int rc = report_catalog(r, err);

	r->ret = json_object();
	put(r->ret, "started", json_time(meta_number(r->db, "audit at", 0)));
	put(r->ret, "rows", a.rows = json_array());
	put(r->ret, "neighbours", a.neighbours = json_array());
	if (rc == 0)
		rc = report_walks(r->db, walking, &a, err);
	if (rc == 0)
		rc = report_log_rows(r->db, &log, err);
	if (rc == 0)
		rc = report_segments(r->db, r->home->unit, segment_rows, &a, err);
	if (rc == 0 && a.rc == 0 && r->home->parent != UNIT_NONE)
		rc = neighbour(&a, r->home->parent, NULL, true);
	if (rc == 0 && a.rc == 0)
		rc = report_peers(r->db, child, &a, err);
	if (rc != 0 || a.rc != 0)
		return rc != 0 ? rc : a.rc;
	if (r->with != UNIT_NONE && a.npeers == 0)
		return err_set(err, ERR_NOT_FOUND, "unit %012llu is neither the superior of this node nor a direct subordinate; "
		               "terracectl peers lists them", (unsigned long long)r->with);
	if (r->filter.reg != NULL && report_reg(r, r->filter.reg) == NULL)
		return err_set(err, ERR_NOT_FOUND, "%s is no register of the policies in force here", r->filter.reg);
	rc = report_plan(r, a.rows, a.peers, a.npeers, a.found, &more, err);
	if (rc != 0)
		return rc;
	put(r->ret, "more", json_count(more));
	put(r->ret, "done", json_boolean(!a.busy && log == 0));
	put(r->ret, "registers", registers_json(&a));
	for (uint32_t i = 0; i <= LIMIT_REGISTERS; i++)
		r->found |= a.found[i] > 0;
	return 0;
}
