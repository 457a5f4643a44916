/* Policy: questions to a policy, what every node relies on, and what a next version may change.
 *
 * policy_sound is the gate of both directions: nothing is written and nothing is believed that does not pass it.
 * Names are SQL identifiers: equal when they differ in ASCII case only, as SQLite compares them. */
#include <string.h>
#include <strings.h>

#include "core/limits.h"
#include "core/policy.h"
#include "core/policy_sound.h"

const struct policy_register *policy_register(const struct policy *p, const char *name)
{
	for (uint32_t i = 0; i < p->nregisters; i++)
		if (strcasecmp(p->registers[i].name, name) == 0)
			return &p->registers[i];
	return NULL;
}

uint32_t policy_group_number(const struct policy_register *r, struct slice name)
{
	for (uint32_t i = 0; i < r->ngroups; i++)
		if (slice_equal(slice_of(r->groups[i].name), name))
			return i + 1;
	return 0;
}

uint8_t policy_remove(const struct policy_register *r)
{
	if (r->remove != 0)
		return r->remove;
	uint8_t owners = 0;
	for (uint32_t i = 0; i < r->ngroups; i++)
		owners |= r->groups[i].own;
	if (owners == 0)
		owners = r->create;
	return (uint8_t)(owners & -owners); /* the lowest bit is the highest level */
}

bool policy_comes_to(const struct policy_register *r, enum level level)
{
	return level >= r->ceiling && level <= r->floor;
}

enum mode policy_mode(const struct policy_register *r, uint32_t group, enum right right, enum level level)
{
	uint8_t own, propose;
	if (group == GROUP_ROW) {
		own = right == RIGHT_DELETE ? policy_remove(r) : r->create;
		propose = r->propose;
	} else if (group <= r->ngroups) {
		own = r->groups[group - 1].own;
		propose = r->groups[group - 1].propose;
	} else {
		return MODE_READ;
	}
	uint8_t bit = (uint8_t)(1u << level);
	return own & bit ? MODE_OWN : propose & bit ? MODE_PROPOSE : MODE_READ;
}

static bool reserved(const char *name)
{
	return strncasecmp(name, "terrace_", 8) == 0 || strncasecmp(name, "sqlite_", 7) == 0;
}

bool policy_name_good(const char *name)
{
	size_t n = strlen(name);
	if (n == 0 || n > LIMIT_NAME)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return true;
}

static int name_sound(const char *what, const char *name, struct err *err)
{
	if (!policy_name_good(name))
		return err_set(err, ERR_POLICY, "%s: a name has 1 to %u bytes and no control characters",
			       what, LIMIT_NAME);
	return 0;
}

/* Every name good and none twice; n is small (columns of a register), so pairs are compared. */
static int names_sound(const char *what, const char *const *names, uint32_t n, struct err *err)
{
	for (uint32_t i = 0; i < n; i++) {
		int code = name_sound(what, names[i], err);
		if (code != 0)
			return code;
		for (uint32_t j = 0; j < i; j++)
			if (strcasecmp(names[i], names[j]) == 0)
				return err_set(err, ERR_POLICY, "%s: %s is named twice", what, names[i]);
	}
	return 0;
}

static bool among(const char *name, const char *const *names, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

bool policy_date_good(const char *d)
{
	static const uint8_t days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	for (int i = 0; i < 10; i++)
		if (i == 4 || i == 7 ? d[i] != '-' : d[i] < '0' || d[i] > '9')
			return false;
	if (d[10] != '\0')
		return false;
	int year = (d[0] - '0') * 1000 + (d[1] - '0') * 100 + (d[2] - '0') * 10 + d[3] - '0';
	int month = (d[5] - '0') * 10 + d[6] - '0', day = (d[8] - '0') * 10 + d[9] - '0';
	if (year < 1900 || month < 1 || month > 12 || day < 1 || day > days[month - 1])
		return false;
	return month != 2 || day != 29 || (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

static int group_sound(const struct policy_register *r, uint32_t at, struct err *err)
{
	const struct policy_group *g = &r->groups[at];
	int code;
	if ((code = name_sound("group", g->name, err)) != 0)
		return code;
	if (strlen(g->name) >= sizeof(((struct saw *)0)->group))
		return err_set(err, ERR_POLICY, "group %s: a group's name has at most %zu bytes", g->name,
			       sizeof(((struct saw *)0)->group) - 1);
	if (strcasecmp(g->name, "row") == 0)
		return err_set(err, ERR_POLICY, "group row has create, delete and propose only");
	for (uint32_t i = 0; i < at; i++)
		if (strcasecmp(g->name, r->groups[i].name) == 0)
			return err_set(err, ERR_POLICY, "group %s is there twice", g->name);
	if (g->ncolumns == 0)
		return err_set(err, ERR_POLICY, "group %s: columns are missing", g->name);
	if ((code = names_sound("columns", g->columns, g->ncolumns, err)) != 0)
		return err_prefix(err, "group %s, ", g->name);
	if (g->own == 0)
		return err_set(err, ERR_POLICY, "group %s: no level owns it; say own = { LEVEL }", g->name);
	if ((g->own | g->propose) >= 1u << LEVELS || (g->own & g->propose) != 0)
		return err_set(err, ERR_POLICY, "group %s: a level stands in own or in propose, not in both",
			       g->name);
	if (g->lock == NULL && g->lock_say != NULL)
		return err_set(err, ERR_POLICY, "group %s: lock_say without lock", g->name);
	if (g->on_conflict != NULL &&
	    ((strncmp(g->on_conflict, "max ", 4) != 0 && strncmp(g->on_conflict, "min ", 4) != 0) ||
	     !among(g->on_conflict + 4, g->columns, g->ncolumns)))
		return err_set(err, ERR_POLICY,
			       "group %s: on_conflict is \"max COLUMN\" or \"min COLUMN\" of the group", g->name);
	for (uint32_t c = 0; c < g->ncolumns; c++) {
		const char *name = g->columns[c];
		if (among(name, r->key, r->nkey))
			return err_set(err, ERR_POLICY,
				       "group %s: %s is a key column; the key belongs to the row itself",
				       g->name, name);
		if (r->unit_source == UNIT_COLUMN && strcasecmp(name, r->unit_column) == 0)
			return err_set(err, ERR_POLICY,
				       "group %s: %s is the unit column; it belongs to group row", g->name,
				       name);
		for (uint32_t i = 0; i < at; i++)
			if (among(name, r->groups[i].columns, r->groups[i].ncolumns))
				return err_set(err, ERR_POLICY, "group %s: column %s is in group %s already",
					       g->name, name, r->groups[i].name);
	}
	return 0;
}

static int unit_sound(const struct policy_register *r, struct err *err)
{
	bool column = r->unit_source == UNIT_COLUMN || r->unit_source == UNIT_VIA;
	if (r->unit_source > UNIT_ALL || (r->unit_column != NULL) != column ||
	    (r->unit_register != NULL) != (r->unit_source == UNIT_VIA))
		return err_set(err, ERR_POLICY,
			       "unit is a column, origin, \"via COLUMN -> REGISTER\" or all");
	if (column && name_sound("unit", r->unit_column, err) != 0)
		return ERR_POLICY;
	if (r->unit_source == UNIT_VIA && name_sound("unit", r->unit_register, err) != 0)
		return ERR_POLICY;
	return 0;
}

static bool travels(const struct policy_register *r, const char *column)
{
	bool found = among(column, r->key, r->nkey);
	for (uint32_t g = 0; g < r->ngroups && !found; g++)
		found = among(column, r->groups[g].columns, r->groups[g].ncolumns);
	return found;
}

static int extras_sound(const struct policy_register *r, struct policy_where *where, struct err *err)
{
	int code;
	for (uint32_t i = 0; i < r->nrules; i++) {
		const struct policy_rule *rule = &r->rules[i];
		*where = (struct policy_where){ r->name, "rule", rule->name };
		if ((code = name_sound("rule", rule->name, err)) != 0)
			return code;
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(rule->name, r->rules[j].name) == 0)
				return err_set(err, ERR_POLICY, "rule %s is there twice", rule->name);
		if (rule->check[0] == '\0' || rule->say[0] == '\0' || rule->at == 0 ||
		    rule->at >= 1u << LEVELS)
			return err_set(err, ERR_POLICY, "rule %s: check, say and at are needed", rule->name);
	}
	for (uint32_t i = 0; i < r->ndeadlines; i++) {
		const struct policy_deadline *d = &r->deadlines[i];
		*where = (struct policy_where){ r->name, "deadline", d->name };
		if ((code = name_sound("deadline", d->name, err)) != 0)
			return code;
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(d->name, r->deadlines[j].name) == 0)
				return err_set(err, ERR_POLICY, "deadline %s is there twice", d->name);
		if (!policy_name_good(d->from) || !policy_name_good(d->to) || d->days == 0 || d->days > 36500)
			return err_set(err, ERR_POLICY, "deadline %s: from, to and days are needed", d->name);
	}
	where->kind = NULL;
	if ((code = names_sound("identity", r->identity, r->nidentity, err)) != 0 ||
	    (code = names_sound("local", r->local, r->nlocal, err)) != 0)
		return code;
	for (uint32_t i = 0; i < r->nidentity; i++)
		if (!travels(r, r->identity[i]))
			return err_set(err, ERR_POLICY, "identity: %s is in no group and no part of the key",
				       r->identity[i]);
	return names_sound("publish", r->publish, r->npublish, err);
}

static int register_sound(const struct policy_register *r, struct policy_where *where, struct err *err)
{
	int code;
	if (reserved(r->name))
		return err_set(err, ERR_POLICY, "names that begin with terrace_ or sqlite_ are reserved");
	if (r->nkey == 0)
		return err_set(err, ERR_POLICY, "a register needs a key: key = { COLUMN, ... }");
	if ((code = names_sound("key", r->key, r->nkey, err)) != 0 || (code = unit_sound(r, err)) != 0)
		return code;
	if ((unsigned)r->ceiling >= LEVELS || (unsigned)r->floor >= LEVELS || r->ceiling > r->floor)
		return err_set(err, ERR_POLICY, "the ceiling stands above the floor or is the same level");
	if (r->create == 0 || (r->create | r->remove | r->propose) >= 1u << LEVELS)
		return err_set(err, ERR_POLICY,
			       "no level may create a row; say group row { create = { LEVEL } }");
	*where = (struct policy_where){ .reg = r->name, .kind = "group", .name = "row" };
	if ((r->create & policy_remove(r) & r->propose) != 0)
		return err_set(err, ERR_POLICY,
			       "group row: a level that may create and delete has nothing to propose");
	if (r->ngroups >= LIMIT_GROUPS)
		return err_set(err, ERR_POLICY, "at most %u groups", LIMIT_GROUPS - 1);
	uint64_t columns = r->nkey;
	for (uint32_t i = 0; i < r->ngroups; i++) {
		columns += r->groups[i].ncolumns;
		if (columns > LIMIT_COLUMNS)
			return err_set(err, ERR_POLICY, "at most %u columns", LIMIT_COLUMNS);
		where->name = r->groups[i].name;
		if ((code = group_sound(r, i, err)) != 0)
			return code;
	}
	where->kind = NULL;
	return extras_sound(r, where, err);
}

static int parameter_sound(const struct policy *p, uint32_t at, struct err *err)
{
	const struct policy_parameter *q = &p->parameters[at];
	int code;
	if ((code = name_sound("parameter", q->name, err)) != 0)
		return code;
	for (uint32_t j = 0; j < at; j++)
		if (strcmp(q->name, p->parameters[j].name) == 0)
			return err_set(err, ERR_POLICY, "parameter %s is there twice", q->name);
	if (q->nvalues == 0)
		return err_set(err, ERR_POLICY,
			       "parameter %s has no value; say from \"DATE\" { value = \"…\" }", q->name);
	for (uint32_t j = 0; j < q->nvalues; j++) {
		if (!policy_date_good(q->values[j].from))
			return err_set(err, ERR_POLICY,
				       "parameter %s: from \"%.20s\" is no date (YYYY-MM-DD)", q->name,
				       q->values[j].from);
		if (j > 0 && strcmp(q->values[j - 1].from, q->values[j].from) >= 0)
			return err_set(err, ERR_POLICY, "parameter %s: the dates do not ascend", q->name);
	}
	return 0;
}

/* A row follows the row that it refers to: by its one key column, to every level that one comes to, by the hand of
 * whoever may move that one. */
static int via_sound(const struct policy *p, const struct policy_register *r, struct err *err)
{
	const struct policy_register *parent = policy_register(p, r->unit_register), *up = parent;
	bool named = among(r->unit_column, r->key, r->nkey);

	if (parent == NULL)
		return err_set(err, ERR_POLICY, "there is no register %s", r->unit_register);
	for (uint32_t depth = 0; up != NULL && up->unit_source == UNIT_VIA; depth++) {
		if (up == r || depth > p->nregisters)
			return err_set(err, ERR_POLICY, "register %s takes its unit from this one in turn", parent->name);
		up = policy_register(p, up->unit_register);
	}
	for (uint32_t g = 0; g < r->ngroups; g++)
		named = named || among(r->unit_column, r->groups[g].columns, r->groups[g].ncolumns);
	if (!named)
		return err_set(err, ERR_POLICY, "column %s stands in no group and is no key column, so it would not travel",
			       r->unit_column);
	if (parent->unit_source == UNIT_ALL)
		return err_set(err, ERR_POLICY, "rows of register %s are everybody's and have no unit", parent->name);
	if (parent->nkey != 1)
		return err_set(err, ERR_POLICY, "register %s has a key of %u columns; one column cannot refer to it",
			       parent->name, parent->nkey);
	if (r->ceiling < parent->ceiling || r->floor > parent->floor)
		return err_set(err, ERR_POLICY, "it comes to levels that register %s does not come to; give it the same ceiling "
			       "and floor", parent->name);
	if ((parent->create & ~r->create) != 0)
		return err_set(err, ERR_POLICY, "a level that may move rows of register %s may not move these with them; give it "
			       "create", parent->name);
	return 0;
}

int policy_sound(const struct policy *p, struct policy_where *ret_where, struct err *err)
{
	int code;
	*ret_where = (struct policy_where){ 0 };
	if ((code = name_sound("policy", p->name, err)) != 0)
		return code;
	if (p->version == 0 || p->version >= LIMIT_TICK)
		return err_set(err, ERR_POLICY, "policy %s: version is a number from 1 on", p->name);
	if ((p->effective != NULL && !policy_date_good(p->effective)) ||
	    (p->expires != NULL && !policy_date_good(p->expires)))
		return err_set(err, ERR_POLICY, "policy %s: effective and expires are dates (YYYY-MM-DD)",
			       p->name);
	if (p->effective != NULL && p->expires != NULL && strcmp(p->effective, p->expires) >= 0)
		return err_set(err, ERR_POLICY, "policy %s: it expires before it is effective", p->name);
	if (p->nregisters > LIMIT_REGISTERS)
		return err_set(err, ERR_POLICY, "policy %s: at most %u registers", p->name, LIMIT_REGISTERS);
	for (uint32_t i = 0; i < p->nregisters; i++) {
		const struct policy_register *r = &p->registers[i];
		if ((code = name_sound("register", r->name, err)) != 0)
			return code;
		*ret_where = (struct policy_where){ .reg = r->name };
		if (policy_register(p, r->name) != r)
			return err_set(err, ERR_POLICY, "register %s is there twice", r->name);
		if (register_sound(r, ret_where, err) != 0)
			return err_prefix(err, "register %s: ", r->name);
		if (r->unit_source == UNIT_VIA && via_sound(p, r, err) != 0)
			return err_prefix(err, "register %s: unit via: ", r->name);
	}
	for (uint32_t i = 0; i < p->nparameters; i++) {
		*ret_where = (struct policy_where){ .kind = "parameter", .name = p->parameters[i].name };
		if ((code = parameter_sound(p, i, err)) != 0)
			return code;
	}
	for (uint32_t i = 0; i < p->nnamed; i++) {
		const struct policy_named *n = &p->named[i];
		*ret_where = (struct policy_where){ .kind = n->kind, .name = n->name };
		if (name_sound("block", n->kind, err) != 0 || name_sound(n->kind, n->name, err) != 0)
			return ERR_POLICY;
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(n->kind, p->named[j].kind) == 0 && strcmp(n->name, p->named[j].name) == 0)
				return err_set(err, ERR_POLICY, "%s %s is there twice", n->kind, n->name);
	}
	return 0;
}

/* A column that travelled before must travel still: values of it are on their way and in every state. */
static int register_follows(const struct policy_register *before, const struct policy_register *after,
			    struct err *err)
{
	const char *name = before->name;
	bool same_key = before->nkey == after->nkey;
	for (uint32_t i = 0; same_key && i < before->nkey; i++)
		same_key = strcasecmp(before->key[i], after->key[i]) == 0;
	if (!same_key)
		return err_set(err, ERR_POLICY, "register %s: the key may not change; make a new register",
			       name);
	if (before->unit_source != after->unit_source ||
	    (before->unit_column != NULL && strcasecmp(before->unit_column, after->unit_column) != 0) ||
	    (before->unit_register != NULL && strcasecmp(before->unit_register, after->unit_register) != 0))
		return err_set(err, ERR_POLICY, "register %s: the unit may not change; make a new register",
			       name);
	if (before->ceiling != after->ceiling || before->floor != after->floor)
		return err_set(err, ERR_POLICY, "register %s: ceiling and floor may not change; make a new register", name);
	if (before->application_schema != after->application_schema)
		return err_set(err, ERR_POLICY, "register %s: who owns the schema may not change", name);
	for (uint32_t g = 0; g < before->ngroups; g++) {
		const struct policy_group *old = &before->groups[g];
		for (uint32_t c = 0; c < old->ncolumns; c++) {
			const struct policy_group *now = NULL;
			for (uint32_t i = 0; now == NULL && i < after->ngroups; i++)
				if (among(old->columns[c], after->groups[i].columns,
					  after->groups[i].ncolumns))
					now = &after->groups[i];
			if (now == NULL)
				return err_set(err, ERR_POLICY,
					       "register %s: column %s is dropped; a column stays once it "
					       "has travelled",
					       name, old->columns[c]);
			if (strcmp(now->name, old->name) != 0)
				return err_set(err, ERR_POLICY,
					       "register %s: column %s moves from group %s to group %s; it "
					       "must stay",
					       name, old->columns[c], old->name, now->name);
		}
	}
	return 0;
}

int policy_follows(const struct policy *before, const struct policy *after, struct err *err)
{
	if (after->version <= before->version)
		return err_set(
			err, ERR_POLICY,
			"policy %s: version %llu does not follow version %llu; give it a higher number",
			after->name, (unsigned long long)after->version, (unsigned long long)before->version);
	for (uint32_t i = 0; i < before->nregisters; i++) {
		const struct policy_register *r = policy_register(after, before->registers[i].name);
		if (r == NULL)
			return err_set(err, ERR_POLICY,
				       "register %s is dropped; a register stays once it has travelled",
				       before->registers[i].name);
		int code = register_follows(&before->registers[i], r, err);
		if (code != 0)
			return code;
	}
	return 0;
}
