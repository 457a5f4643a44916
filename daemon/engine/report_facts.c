/* Report: everything that a decision used, so that anyone can decide the case again from its record alone (design
 * authority.md, Explaining): of both values the marks of every level, mode, life, what a ruling asserts, what a delete
 * had seen; of the epochs what each continued; of the policy list who may what. */
#include "engine/report_inside.h"

#include <string.h>

#include "core/policy.h"
#include "store/policybox.h"

#define EPOCHS_MOST 64                   /* of one chain; a chain that is longer says so by its last former */

static json_t *mark_json(struct mark m)
{
	json_t *j;

	if (m.tick == 0)
		return json_null();
	j = json_object();
	put(j, "tick", json_count(m.tick));
	put(j, "epoch", json_count(m.epoch));
	return j;
}

/* {"county": {tick, epoch}, …}: the levels of which something was taken into account. */
static json_t *marks_json(const struct marks *m)
{
	json_t *j = json_object();

	for (enum level l = PROVINCE; l < LEVELS; l++)
		if (m->at[l].tick != 0)
			put(j, level_name(l), mark_json(m->at[l]));
	return j;
}

static json_t *saw_json(const struct version *v)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < v->nsaw; i++) {
		json_t *one = json_object();

		put(one, "life", json_ident(v->saw[i].life));
		put(one, "group", json_words(v->saw[i].group));
		put(one, "marks", marks_json(&v->saw[i].marks));
		json_array_append_new(list, one);
	}
	return list;
}

void report_side_facts(struct report *r, const char *reg, struct slice stored, json_t *side)
{
	struct value v;

	if (stored_version(r, reg, stored, &v) != 0 || !json_is_object(side))
		return;
	put(side, "mode", json_string(v.v->kind == PROPOSAL ? "proposal" : v.v->ruling ? "ruling" : "decision"));
	put(side, "acting", json_boolean(v.v->acting));
	put(side, "marks", marks_json(&v.v->marks));
	put(side, "life", json_ident(v.life));
	put(side, "base", json_ident(v.v->base));
	if (v.v->ruling)
		put(side, "asserts", marks_json(&v.v->asserts));
	if (v.v->nsaw > 0)
		put(side, "saw", saw_json(v.v));
}

/* From the epoch of each mark of the kept value back to the first, as far as this node knows. */
static json_t *epochs_json(struct report *r, const struct record *rec)
{
	json_t *list = json_array();
	uint32_t n = 0;
	struct value v;

	if (stored_version(r, rec->reg, rec->kept, &v) != 0)
		return list;
	for (enum level l = PROVINCE; l < LEVELS; l++) {
		uint32_t epoch = v.v->marks.at[l].epoch;
		bool found = v.v->marks.at[l].tick != 0;

		while (found && n < EPOCHS_MOST) {
			struct epoch_row row;
			json_t *one;

			if (epoch_row(r->db, epoch, &row, &found, NULL) != 0 || !found || row.former == 0)
				break;
			one = json_object();
			put(one, "epoch", json_count(epoch));
			put(one, "former", json_count(row.former));
			put(one, "left_at", json_count(row.tick));
			json_array_append_new(list, one);
			epoch = row.former;
			n++;
		}
	}
	return list;
}

static json_t *levels_json(uint8_t mask)
{
	json_t *list = json_array();

	for (enum level l = PROVINCE; l < LEVELS; l++)
		if (mask >> l & 1)
			json_array_append_new(list, json_string(level_name(l)));
	return list;
}

static json_t *rights_of(const struct policy_register *p, const char *group)
{
	json_t *j = json_object();

	if (strcmp(group, "row") == 0) {
		put(j, "create", levels_json(p->create));
		put(j, "delete", levels_json(p->remove));
		put(j, "propose", levels_json(p->propose));
		return j;
	}
	for (uint32_t g = 0; g < p->ngroups; g++)
		if (strcmp(p->groups[g].name, group) == 0) {
			put(j, "own", levels_json(p->groups[g].own));
			put(j, "propose", levels_json(p->groups[g].propose));
		}
	return j;
}

/* Who may write the group under the list that the losing value names; null where that list is not known here. */
static json_t *rights_json(struct report *r, const struct record *rec)
{
	const struct reg *reg = report_reg(r, rec->reg);
	struct policy_entry *entries = NULL;
	uint32_t n = 0;

	if (rec->policy == 0 || policy_list(r->db, rec->policy, &r->arena, &entries, &n, NULL) != 0)
		return json_null();
	for (uint32_t i = 0; i < n; i++) {
		const struct policy_register *of;
		struct policy p;
		bool found = false;
		uint64_t version = entries[i].version;

		if ((reg != NULL && reg->issuer != entries[i].issuer) || version == 0 ||
		    policybox_get(r->db, entries[i].issuer, version, &r->arena, &p, &version, &found, NULL) != 0 || !found)
			continue;
		of = policy_register(&p, rec->reg);
		if (of != NULL)
			return rights_of(of, rec->group);
	}
	return json_null();
}

void report_record_facts(struct report *r, const struct record *rec, json_t *j)
{
	report_side_facts(r, rec->reg, rec->kept, json_object_get(j, "kept"));
	report_side_facts(r, rec->reg, rec->lost_value, json_object_get(j, "lost"));
	put(j, "epochs", epochs_json(r, rec));
	put(j, "rights", rights_json(r, rec));
}
