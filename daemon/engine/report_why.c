/* Report: why a row says what it says: what is held of each group, who wrote it under which policies, what is proposed,
 * and every record of the row. */
#include "engine/report_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the key as a person types it */

/* `12`, `张三-7`, `3,南村`; in quotes, doubled within, where a comma is part of it. */
static struct slice key_part(const char **at, struct arena *a)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	char quote = **at == '\'' || **at == '"' ? *(*at)++ : '\0';

	for (; **at != '\0'; (*at)++) {
		if (quote == '\0' && **at == ',')
			break;
		if (quote != '\0' && **at == quote) {
			if ((*at)[1] != quote) {
				(*at)++;
				break;
			}
			(*at)++;
		}
		buf_put_u8(&b, (uint8_t)**at);
	}
	return arena_slice(a, buf_slice(&b));
}

/* The cell that the column makes of the text. */
static struct cell key_cell(const struct column *column, struct slice text, struct arena *a)
{
	const char *s = arena_text(a, text);
	struct cell c = { .type = CELL_TEXT, .s = text };
	char *end;

	if (s == NULL || *s == '\0' || column->affinity == 'T' || column->affinity == 'B')
		return c;
	errno = 0;
	long long i = strtoll(s, &end, 10);
	if (*end == '\0' && errno == 0)
		return column->affinity == 'R' ? (struct cell){ .type = CELL_REAL, .r = (double)i } :
		                                 (struct cell){ .type = CELL_INT, .i = i };
	double d = strtod(s, &end);
	return *end == '\0' ? (struct cell){ .type = CELL_REAL, .r = d } : c;
}

static int key_read(const struct reg *reg, const char *text, struct arena *a, struct key *ret, struct err *err)
{
	struct cell *cells = arena_array(a, reg->nkey, sizeof *cells);
	const char *at = text;

	if (cells == NULL)
		return err_set(err, ERR_NOMEM, "reading a key: memory is short");
	if (reg->nkey == 1 && *text != '\'' && *text != '"') {
		cells[0] = key_cell(reg->key[0], slice_of(text), a);
		*ret = (struct key){ cells, 1 };
		return 0;
	}
	for (uint32_t i = 0; i < reg->nkey; i++) {
		cells[i] = key_cell(reg->key[i], key_part(&at, a), a);
		if (*at != (i + 1 < reg->nkey ? ',' : '\0'))
			return err_set(err, ERR_USAGE, "the key of register %s has %u parts, with commas between them", reg->name, reg->nkey);
		at++;
	}
	*ret = (struct key){ cells, reg->nkey };
	return 0;
}

/* ---- versions */

struct telling {
	struct report *r;
	const struct held *h;
	struct err *err;
	int rc;
};

static json_t *version_json(struct telling *t, const char *group, const struct value *v)
{
	struct report *r = t->r;
	const struct reg *reg = t->h->reg;
	json_t *segment = NULL;
	const struct version *of = v->v;
	json_t *j = report_value(r, reg, v);

	put(j, "mode", json_string(of->kind == PROPOSAL ? "proposal" : of->ruling ? "ruling" : "decision"));
	put(j, "acting", json_boolean(of->acting));
	put(j, "vouched", json_boolean(of->vouched));
	put(j, "actor", of->actor.n > 0 ? json_slice(of->actor) : json_null());
	put(j, "base", json_ident(of->base));
	put(j, "policy", json_list(r, of->policy));
	if (t->rc == 0)
		t->rc = report_evidence_of(r, reg, t->h->key, group, of, &segment, t->err);
	put(j, "segment", segment);
	return j;
}

static json_t *group_json(struct telling *t, const char *name, const struct group_state *g)
{
	json_t *j = json_object(), *list = json_array();

	put(j, "group", json_words(name));
	put(j, "held", g != NULL && g->decision != NULL ? version_json(t, name, g->decision) : json_null());
	for (const struct slot *s = g != NULL ? g->proposals : NULL; s != NULL; s = s->next)
		if (value_open(s->value, g))
			json_array_append_new(list, version_json(t, name, s->value));
	put(j, "proposals", list);
	return j;
}

static json_t *groups_json(struct telling *t)
{
	const struct held *h = t->h;
	const struct life_state *life = row_current(h->row);
	const char *wanted = t->r->filter.group;
	json_t *list = json_array();

	if (wanted == NULL || strcmp(wanted, "row") == 0)
		json_array_append_new(list, group_json(t, "row", &h->row->row));
	for (uint32_t g = 1; g < h->reg->ngroups; g++)
		if (h->reg->groups[g] != NULL && (wanted == NULL || strcmp(wanted, h->reg->groups[g]->name) == 0))
			json_array_append_new(list, group_json(t, h->reg->groups[g]->name,
			                                       life != NULL && g < h->row->ngroups ? &life->groups[g] : NULL));
	return list;
}

/* ---- the row */

static json_t *row_json(struct telling *t)
{
	struct report *r = t->r;
	const struct held *h = t->h;
	const struct life_state *life = row_current(h->row);
	json_t *j = json_object();

	put(j, "register", json_words(h->reg->name));
	put(j, "key", json_key(r, h->reg, h->key_cell));
	put(j, "unit", json_unit(h->unit));
	put(j, "alive", json_boolean(h->row->row.decision != NULL && h->row->row.decision->alive));
	put(j, "life", life != NULL ? json_ident(life->life) : json_null());
	put(j, "quarantine", json_boolean((h->flags & STATE_QUARANTINE) != 0));
	put(j, "groups", groups_json(t));
	return j;
}

struct reading {
	struct state *state;
	struct table *table;
};

static void reading_end(struct reading *x)
{
	if (x->table != NULL)
		table_close(x->table);
	if (x->state != NULL)
		state_close(x->state);
}

static int row_read(struct report *r, struct reg *reg, struct key key, struct cell *ret_cell, struct err *err)
{
	_cleanup_(reading_end) struct reading x = { 0 };
	struct held h;
	int rc = state_open(r->db, &x.state, err);

	if (rc == 0)
		rc = table_open(r->db, &x.table, err);
	if (rc == 0)
		rc = state_load(x.state, reg, key, &r->arena, &h, err);
	if (rc == 0 && h.exists)
		rc = held_cells(x.table, &h, &r->arena, err);
	if (rc != 0)
		return rc;
	*ret_cell = cell_copy(&r->arena, h.key_cell);
	struct telling t = { .r = r, .h = &h, .err = err };
	r->ret = row_json(&t);
	put(r->ret, "known", json_boolean(h.exists));
	return t.rc;
}

int report_why(struct report *r, struct err *err)
{
	json_t *records = NULL;
	struct key key = { 0 };
	struct cell cell;
	struct reg *reg;
	int rc;

	if (r->filter.unit != UNIT_NONE && r->n == 0 && r->evidence)
		return err_set(err, ERR_USAGE, "why: --evidence goes with REGISTER and KEY");
	if (r->filter.unit != UNIT_NONE && r->n == 0)
		return report_why_unit(r, err);
	if (r->n < 2)
		return err_set(err, ERR_USAGE, "why: give REGISTER and KEY, or --unit U");
	if (report_catalog(r, err) != 0)
		return err->code;
	reg = report_reg(r, r->words[0]);
	if (reg == NULL)
		return err_set(err, ERR_NOT_FOUND, "%s is no register of the policies in force here; terracectl policy show names them",
		               r->words[0]);
	if (r->filter.group != NULL && strcmp(r->filter.group, "row") != 0 && reg_group(reg, slice_of(r->filter.group)) == NULL)
		return err_set(err, ERR_NOT_FOUND, "register %s has no group %s", reg->name, r->filter.group);
	rc = key_read(reg, r->words[1], &r->arena, &key, err);
	if (rc == 0)
		rc = row_read(r, reg, key, &cell, err);
	if (rc != 0)
		return rc;
	r->filter = (struct report_filter){ .reg = reg->name, .key = &cell, .group = r->filter.group, .all = true };
	rc = report_row_records(r, &records, err);
	if (rc == 0 && !json_is_true(json_object_get(r->ret, "known")) && json_array_size(records) == 0)
		rc = err_set(err, ERR_NOT_FOUND, "register %s has no row %s, and none is on record", reg->name, r->words[1]);
	json_object_del(r->ret, "known");
	put(r->ret, "records", records);
	return rc;
}
