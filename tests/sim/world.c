/* World: what the histories are made of: units, registers, policies, what clerks write. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static const char *const ddl[] = {
	"CREATE TABLE r(k TEXT NOT NULL PRIMARY KEY, unit TEXT, x INTEGER DEFAULT 0, y TEXT, s INTEGER DEFAULT 0)",
	"CREATE TABLE c(k TEXT NOT NULL PRIMARY KEY, unit TEXT, parent TEXT REFERENCES r(k) ON DELETE CASCADE, u INTEGER UNIQUE)",
	"CREATE TABLE o(k TEXT NOT NULL PRIMARY KEY, v INTEGER DEFAULT 0)",
	"CREATE TABLE a(k TEXT NOT NULL PRIMARY KEY, v INTEGER DEFAULT 0)",
};

static uint8_t levels(struct sim_random *r, double p)
{
	uint8_t mask = 0;

	for (int l = 0; l < LEVELS; l++)
		if (sim_chance(r, p))
			mask |= (uint8_t)(1u << l);
	return mask != 0 ? mask : (uint8_t)(1u << sim_below(r, LEVELS));
}

static struct sim_band band_make(struct sim_random *r, const char *reg, bool narrow)
{
	struct sim_band b = {reg, PROVINCE, VILLAGE};

	if (narrow) {
		b.ceiling = (enum level)sim_below(r, TOWNSHIP + 1);
		b.floor = b.ceiling + (enum level)sim_below(r, (uint32_t)(LEVELS - b.ceiling));
	}
	return b;
}

void world_bands(struct sim_tree *t, struct sim_random *r)
{
	t->bands[0] = band_make(r, "r", sim_chance(r, 0.2));
	t->bands[1] = t->bands[0];
	t->bands[1].reg = "c";
	t->bands[2] = band_make(r, "o", sim_chance(r, 0.4));
	t->bands[3] = band_make(r, "a", false);
}

static void register_fill(struct sim_policy *p, int at, const struct sim_band *band, enum unit_source source,
                          uint8_t create, uint8_t delete, uint32_t ngroups, const struct policy_group *groups)
{
	p->regs[at] = (struct policy_register){
		.name = band->reg, .nkey = 1, .key = p->key, .unit_source = source, .unit_column = source == UNIT_COLUMN ? "unit" : NULL,
		.ceiling = band->ceiling, .floor = band->floor, .create = create, .remove = delete, .ngroups = ngroups, .groups = groups,
	};
}

/* A lock, a conflict that a value wins, rules of one row of r, at random levels. */
static void rules_make(struct sim_random *r, struct sim_policy *ret)
{
	static const char *const wins[] = {"max x", "min x", "max y"};

	if (sim_chance(r, 0.6))
		ret->groups[0].on_conflict = wins[sim_below(r, 3)];
	if (sim_chance(r, 0.3))
		ret->groups[1].on_conflict = "min s";
	if (sim_chance(r, 0.4))
		ret->groups[sim_below(r, 2)].lock = "s = 3";
	ret->most = (struct policy_parameter_value){"2026-01-01", "80"};
	ret->parameter = (struct policy_parameter){.name = "most", .nvalues = 1, .values = &ret->most};
	ret->rules[0] = (struct policy_rule){.name = "most", .check = "x <= param('most', '2026-05-01')", .say = "too much", .at = levels(r, 0.3)};
	ret->rules[1] = (struct policy_rule){.name = "pair", .check = "NOT (y = 't7' AND s = 2)", .say = "not together", .at = levels(r, 0.3)};
	ret->rules[2] = (struct policy_rule){.name = "even", .check = "x % 2 = 0", .say = "odd", .warn = true, .at = levels(r, 0.4)};
	ret->regs[0].nrules = 3;
	ret->regs[0].rules = ret->rules;
	ret->p.nparameters = 1;
	ret->p.parameters = &ret->parameter;
}

void world_policy(struct sim_tree *t, struct sim_random *r, uint64_t version, bool propose, struct sim_policy *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->key[0] = "k";
	ret->ga[0] = "x";
	ret->ga[1] = "y";
	ret->gb[0] = "s";
	ret->gc[0] = "parent";
	ret->gc[1] = "u";
	ret->gv[0] = "v";
	ret->groups[0] = (struct policy_group){.name = "a", .ncolumns = 2, .columns = ret->ga, .own = levels(r, propose ? 0.4 : 0.7)};
	ret->groups[1] = (struct policy_group){.name = "b", .ncolumns = 1, .columns = ret->gb, .own = levels(r, propose ? 0.4 : 0.7)};
	for (int g = 0; g < 2 && propose; g++)
		ret->groups[g].propose = (uint8_t)(levels(r, 0.6) & ~ret->groups[g].own);
	ret->of_c[0] = (struct policy_group){.name = "all", .ncolumns = 2, .columns = ret->gc, .own = levels(r, 0.8)};
	ret->of_o[0] = (struct policy_group){.name = "all", .ncolumns = 1, .columns = ret->gv, .own = levels(r, 0.8)};
	ret->of_a[0] = (struct policy_group){.name = "all", .ncolumns = 1, .columns = ret->gv, .own = levels(r, 0.5)};
	register_fill(ret, 0, &t->bands[0], UNIT_COLUMN, levels(r, 0.8), levels(r, 0.7), 2, ret->groups);
	register_fill(ret, 1, &t->bands[1], UNIT_COLUMN, levels(r, 0.9), levels(r, 0.8), 1, ret->of_c);
	if (t->via) {                            /* every level may move, so that at rest every row has followed */
		ret->regs[1].unit_source = UNIT_VIA;
		ret->regs[1].unit_column = "parent";
		ret->regs[1].unit_register = "r";
		ret->regs[0].create = ret->regs[1].create = (1u << LEVELS) - 1;
	}
	register_fill(ret, 2, &t->bands[2], UNIT_ORIGIN, levels(r, 0.9), levels(r, 0.8), 1, ret->of_o);
	register_fill(ret, 3, &t->bands[3], UNIT_ALL, levels(r, 0.5), levels(r, 0.5), 1, ret->of_a);
	for (int i = 0; i < 2 && propose; i++)
		ret->regs[i].propose = (uint8_t)(levels(r, 0.4) & ~(ret->regs[i].create & ret->regs[i].remove));
	if (propose)
		ret->of_c[0].propose = (uint8_t)(levels(r, 0.4) & ~ret->of_c[0].own);
	ret->p = (struct policy){.name = "sim", .version = version, .nstatements = ARRAY_SIZE(ddl), .nregisters = SIM_REGISTERS,
	                         .registers = ret->regs};
	ret->p.statements = (const char **)(uintptr_t)ddl;
	if (t->rules)
		rules_make(r, ret);
}

int world_units(struct sim_random *r, int wanted, uint64_t *ret)
{
	int n = 1, size = wanted > 0 ? wanted : 2 + (int)sim_below(r, sim_chance(r, 0.3) ? 11 : 5);
	static const uint64_t step[LEVELS] = {10000000000, 100000000, 1000000, 1000, 1};

	ret[0] = sim_chance(r, 0.5) || wanted > 0 ? UINT64_C(530000000000) : UINT64_C(532900000000);
	while (n < size) {
		bool chain = wanted > 0 && n < LEVELS;   /* a large tree has every level */
		uint64_t up = ret[chain ? (uint32_t)n - 1 : sim_below(r, (uint32_t)n)];
		enum level l = unit_level(up) + 1 + (!chain && sim_chance(r, 0.15) ? 1 : 0);
		uint64_t u;
		bool known = false;

		if (l >= LEVELS)
			continue;
		u = up + step[l] * (1 + sim_below(r, 3));
		for (int i = 0; i < n; i++)
			known = known || ret[i] == u;
		if (!known)
			ret[n++] = u;
	}
	/* superiors first */
	for (int i = 0; i < n; i++)
		for (int k = i + 1; k < n; k++)
			if (unit_level(ret[k]) < unit_level(ret[i])) {
				uint64_t u = ret[i];

				ret[i] = ret[k];
				ret[k] = u;
			}
	return n;
}

static uint64_t some_unit(struct sim_tree *t, uint64_t scope)
{
	for (int k = 0; k < 30; k++) {
		uint64_t u = t->nodes[sim_below(&t->random, (uint32_t)t->n)].unit;

		if (unit_contains(scope, u))
			return u;
	}
	return scope;
}

/* The registers without a unit column. */
static void write_beside(struct sim_node *n, const char *reg, int k)
{
	struct sim_random *r = &n->tree->random;
	int v = (int)sim_below(r, 9), what = (int)sim_below(r, 6);

	if (what < 3)
		sim_sql(n, "INSERT INTO %s(k, v) VALUES('%s%d', %d)", reg, reg, k, v);
	else if (what < 5)
		sim_sql(n, "UPDATE %s SET v = %d WHERE k = '%s%d'", reg, v, reg, k);
	else
		sim_sql(n, "DELETE FROM %s WHERE k = '%s%d'", reg, reg, k);
}

/* Rows that follow: made, moved with the row they refer to, sent to another. */
static void write_followers(struct sim_node *n, int k, int p, unsigned long long unit)
{
	struct sim_random *r = &n->tree->random;
	int what = (int)sim_below(r, 12);

	if (what < 2)
		sim_sql(n, "INSERT INTO r(k, unit, x, y) VALUES('k%d', '%012llu', 1, 'p')", p, unit);
	else if (what < 6)
		sim_sql(n, "INSERT INTO c(k, unit, parent, u) SELECT 'c%d', unit, k, %d FROM r WHERE k = 'k%d'", k, (int)sim_below(r, 99), p);
	else if (what < 10)
		sim_sql(n, "UPDATE r SET unit = '%012llu' WHERE k = 'k%d'", unit, p);
	else
		sim_sql(n, "UPDATE c SET parent = 'k%d' WHERE k = 'c%d'", p, k);
}

void world_begin(struct sim_tree *t)
{
	for (int k = 0; k < 6; k++)
		sim_sql(&t->nodes[0], "INSERT INTO r(k, unit, x, y) VALUES('k%d', '%012llu', %d, 'n')", k,
		        (unsigned long long)some_unit(t, t->nodes[0].unit), k);
}

void world_write(struct sim_tree *t, int node)
{
	struct sim_node *n = &t->nodes[node];
	struct sim_random *r = &t->random;
	int k = (int)sim_below(r, 6), what = (int)sim_below(r, t->keys ? 16 : 12), p = (int)sim_below(r, 6);
	unsigned long long unit = some_unit(t, n->unit);

	if (t->via && sim_chance(r, 0.5)) {
		write_followers(n, k, p, unit);
		return;
	}
	if (t->edits && sim_chance(r, 0.8)) {
		what = 3 + (int)sim_below(r, 5);
	} else if (sim_chance(r, 0.15)) {
		write_beside(n, sim_chance(r, 0.5) ? "o" : "a", k);
		return;
	}
	if (what < 3)
		sim_sql(n, "INSERT INTO r(k, unit, x, y) VALUES('k%d', '%012llu', %d, 'n%d')", k, unit, (int)sim_below(r, 9), node);
	else if (what < 5)
		sim_sql(n, "UPDATE r SET x = %d WHERE k = 'k%d'", (int)sim_below(r, 99), k);
	else if (what < 6)
		sim_sql(n, "UPDATE r SET y = 't%d' WHERE k = 'k%d'", (int)sim_below(r, 99), k);
	else if (what < 8)
		sim_sql(n, "UPDATE r SET s = %d WHERE k = 'k%d'", (int)sim_below(r, 5), k);
	else if (what < 9)
		sim_sql(n, "DELETE FROM r WHERE k = 'k%d'", k);
	else if (what < 10)
		sim_sql(n, "UPDATE r SET unit = '%012llu' WHERE k = 'k%d'", unit, k);
	else if (what < 11)
		sim_sql(n, "INSERT OR REPLACE INTO r(k, unit, x, y) VALUES('k%d', '%012llu', %d, 'r%d')", k, unit, (int)sim_below(r, 9), node);
	else if (what < 12)
		sim_sql(n, "UPDATE r SET x = %d, y = 'b', s = 1 WHERE k = 'k%d'", (int)sim_below(r, 99), k);
	else if (what < 14)
		sim_sql(n, "INSERT INTO c(k, unit, parent, u) SELECT 'c%d', unit, k, %d FROM r WHERE k = 'k%d'", k, (int)sim_below(r, 9), p);
	else if (what < 15)
		sim_sql(n, "UPDATE c SET u = %d WHERE k = 'c%d'", (int)sim_below(r, 9), k);
	else
		sim_sql(n, "DELETE FROM c WHERE k = 'c%d'", k);
}

void world_stock(struct sim_tree *t)
{
	for (int k = 0; k < 6; k++)
		for (int tries = 0; tries < 8; tries++) {
			struct sim_node *n = &t->nodes[sim_below(&t->random, (uint32_t)t->n)];

			if (n->app != NULL && sim_sql(n, "INSERT INTO r(k, unit, x, y) VALUES('k%d', '%012llu', %d, 'stock')", k,
			                              (unsigned long long)some_unit(t, n->unit), k) == 0)
				break;
		}
}

static bool stands_somewhere(struct sim_node *n, const char *text)
{
	static const char *const places[] = {
		"SELECT 1 FROM r WHERE y = ?1",
		"SELECT 1 FROM terrace_aside WHERE instr(text, ?1)",
		"SELECT 1 FROM terrace_record WHERE instr(lost_text, ?1)",
		"SELECT 1 FROM terrace_quarantine WHERE instr(value, CAST(?1 AS BLOB))",
	};
	bool any = false;

	for (size_t i = 0; i < sizeof places / sizeof *places && !any; i++) {
		sqlite3_stmt *q = NULL;

		if (sqlite3_prepare_v2(n->app, places[i], -1, &q, NULL) != SQLITE_OK)
			continue;
		sqlite3_bind_text(q, 1, text, -1, SQLITE_STATIC);
		any = sqlite3_step(q) == SQLITE_ROW;
		sqlite3_finalize(q);
	}
	return any;
}

void world_type(struct sim_tree *t, int node)
{
	struct sim_node *n = &t->nodes[node];
	int k = (int)sim_below(&t->random, 6), what = (int)sim_below(&t->random, 4), before = sqlite3_total_changes(n->app);
	unsigned long long unit = some_unit(t, n->unit);
	struct err err = {0};
	char text[40];
	int rc = 0;

	snprintf(text, sizeof text, "typed%d.", ++t->typed);
	if (sim_disk_failed(n) || engine_seal(n->e, &err) != 0)
		return;
	if (what == 0)
		rc = sim_sql(n, "UPDATE r SET y = '%s', s = %d, x = 1 WHERE k = 'k%d'", text, (int)sim_below(&t->random, 9), k);
	else if (what == 1)
		rc = sim_sql(n, "BEGIN; UPDATE r SET y = 'first' WHERE k = 'k%d'; UPDATE r SET y = '%s' WHERE k = 'k%d'; COMMIT", k, text, k);
	else if (what == 2)
		rc = sim_sql(n, "INSERT OR REPLACE INTO r(k, unit, x, y) VALUES('k%d', '%012llu', 2, '%s')", k, unit, text);
	else
		rc = sim_sql(n, "UPDATE r SET y = '%s', unit = '%012llu' WHERE k = 'k%d'", text, unit, k);
	if (!sqlite3_get_autocommit(n->app))
		sqlite3_exec(n->app, "ROLLBACK", NULL, NULL, NULL);
	if (rc != 0 || sqlite3_total_changes(n->app) == before)
		return;
	rc = engine_seal(n->e, &err);
	if (sim_disk_failed(n))
		return;
	if (rc != 0)
		sim_fail(t, "%012llu: seal: %s", (unsigned long long)n->unit, err.text);
	else if (!stands_somewhere(n, text))
		sim_fail(t, "%012llu: what was typed into k%d is gone: %s (%d)", (unsigned long long)n->unit, k, text, what);
	else
		t->found++;
}
