/* Catalog: active policies joined with the application's tables and the local numbers.
 *
 * The table is asked as it stands now; what it lacks is marked, never an error: the application owns its schema.
 * Names are SQL identifiers: equal when they differ in ASCII case only. */
#include "store/catalog.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/limits.h"

struct loading {
	struct db *db;
	struct catalog *c;
	struct arena *a;
	sqlite3 *scratch;                /* evaluates defaults, away from the application's functions */
	bool began;                      /* our own transaction for new numbers */
	struct err *err;
};

static int memory(struct loading *l)
{
	return err_set(l->err, ERR_NOMEM, "reading the policies of %s: memory is short", l->db->path);
}

static char *text_of(struct loading *l, sqlite3_stmt *s, int i)
{
	return arena_text(l->a, (struct slice){ sqlite3_column_text(s, i), (size_t)sqlite3_column_bytes(s, i) });
}

static int code_of(const struct loading *l)
{
	return l->err->code != 0 ? l->err->code : ERR_DB;
}

/* ---- numbers */

struct names {
	uint32_t n, greatest;
	uint32_t *numbers;
	const char **names;
};

/* The numbers given so far under `of` (0 for registers, else a register's columns or groups). */
static int names_read(struct loading *l, enum statement_id id, uint32_t of, uint32_t more, struct names *ret)
{
	uint32_t room = more + 16;
	sqlite3_stmt *s = db_statement(l->db, id, l->err);
	int rc = -1;

	memset(ret, 0, sizeof(*ret));
	if (s == NULL)
		return code_of(l);
	ret->numbers = arena_array(l->a, room, sizeof(*ret->numbers));
	ret->names = arena_array(l->a, room, sizeof(*ret->names));
	bind_u64(s, 1, of);
	while (!l->a->failed && (rc = db_step(l->db, s, l->err)) > 0) {
		if (ret->n + more == room) {
			uint32_t *numbers = arena_array(l->a, 2 * room, sizeof(*numbers));
			const char **names = arena_array(l->a, 2 * room, sizeof(*names));
			if (numbers == NULL || names == NULL)
				break;
			memcpy(numbers, ret->numbers, ret->n * sizeof(*numbers));
			memcpy(names, ret->names, ret->n * sizeof(*names));
			ret->numbers = numbers;
			ret->names = names;
			room *= 2;
		}
		ret->numbers[ret->n] = (uint32_t)sqlite3_column_int64(s, 0);
		ret->names[ret->n] = text_of(l, s, 1);
		ret->greatest = MAX(ret->greatest, ret->numbers[ret->n]);
		ret->n++;
	}
	sqlite3_reset(s);
	if (l->a->failed)
		return memory(l);
	return rc < 0 ? code_of(l) : 0;
}

/* The number of a name, given now where it has none; 0 on a reader that may not give one. */
static int number_of(struct loading *l, struct names *known, enum statement_id add, uint32_t of, const char *name,
                     uint32_t most, uint32_t *ret)
{
	sqlite3_stmt *s;

	for (uint32_t i = 0; i < known->n; i++)
		if (strcasecmp(known->names[i], name) == 0) {
			*ret = known->numbers[i];
			return 0;
		}
	*ret = 0;
	if (l->db->read_only)
		return 0;
	if (known->greatest >= most)
		return err_set(l->err, ERR_LIMIT, "%s: %u numbers are used up; a name once given is never given again", name,
		               most);
	if (!l->db->in_transaction) {
		if (db_begin(l->db, l->err) != 0)
			return code_of(l);
		l->began = true;
	}
	if ((s = db_statement(l->db, add, l->err)) == NULL)
		return code_of(l);
	bind_u64(s, 1, of);
	bind_u64(s, 2, known->greatest + 1);
	bind_text(s, 3, name);
	if (db_run(l->db, s, l->err) != 0)
		return code_of(l);
	known->names[known->n] = name;
	known->numbers[known->n++] = *ret = ++known->greatest;
	return 0;
}

/* ---- the table */

static bool has_word(const char *type, const char *word)
{
	for (size_t n = strlen(word); *type != '\0'; type++)
		if (strncasecmp(type, word, n) == 0)
			return true;
	return false;
}

/* SQLite's five rules, in their order. */
static char affinity_of(const char *type)
{
	if (has_word(type, "INT"))
		return 'I';
	if (has_word(type, "CHAR") || has_word(type, "CLOB") || has_word(type, "TEXT"))
		return 'T';
	if (*type == '\0' || has_word(type, "BLOB"))
		return 'B';
	if (has_word(type, "REAL") || has_word(type, "FLOA") || has_word(type, "DOUB"))
		return 'R';
	return 'N';
}

/* A literal: a signed number, a string, a blob, a bare word.  Anything else is an expression. */
static bool literal(const char *text)
{
	size_t n = strlen(text);

	if (strncasecmp(text, "CURRENT_", 8) == 0)
		return false;
	if (*text == 'x' || *text == 'X')
		if (text[1] == '\'')
			text++;
	if (*text == '\'' || *text == '"' || *text == '`') {
		char quote = *text;
		for (text++; *text != '\0'; text++)
			if (*text == quote && *++text != quote)
				break;
		return *text == '\0';
	}
	while (*text == '+' || *text == '-' || *text == ' ')
		text++;
	for (; n > 0 && *text != '\0'; text++)
		if (strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.", *text) == NULL &&
		    !((*text == '+' || *text == '-') && (text[-1] == 'e' || text[-1] == 'E')) && (uint8_t)*text < 0x80)
			return false;
	return n > 0;
}

/* What the column holds after an INSERT that does not name it. */
static int fallback_read(struct loading *l, struct column *c, const char *text)
{
	static const char *const types[] = { ['T'] = "TEXT", ['N'] = "NUMERIC", ['I'] = "INTEGER", ['R'] = "REAL",
		                             ['B'] = "BLOB" };
	_cleanup_(buf_release) struct buf sql = { 0 };
	sqlite3_stmt *s = NULL;

	if (text == NULL)
		return 0;
	c->computed = true;
	if (!literal(text))
		return 0;
	if (l->scratch == NULL && sqlite3_open_v2(":memory:", &l->scratch, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
	                                          SQLITE_OPEN_MEMORY, NULL) != SQLITE_OK)
		return memory(l);
	db_confine(l->scratch);
	buf_printf(&sql, "DROP TABLE IF EXISTS t; CREATE TABLE t(n, c %s DEFAULT %s); INSERT INTO t(n) VALUES(1)",
	           types[(int)c->affinity], text);
	if (sqlite3_exec(l->scratch, buf_text(&sql), NULL, NULL, NULL) != SQLITE_OK)
		return 0;                        /* not understood: as an expression */
	if (sqlite3_prepare_v2(l->scratch, "SELECT c FROM t", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
		c->fallback = cell_copy(l->a, read_cell(s, 0));
		c->computed = false;
	}
	sqlite3_finalize(s);
	return l->a->failed ? memory(l) : 0;
}

static int collation_read(struct loading *l, const struct reg *r, struct column *c)
{
	const char *collation = NULL;

	if (sqlite3_table_column_metadata(l->db->sql, "main", r->name, c->name, NULL, &collation, NULL, NULL, NULL) !=
	    SQLITE_OK)
		return db_fail(l->db, r->name, l->err);
	c->binary = collation == NULL || strcasecmp(collation, "BINARY") == 0;
	return 0;
}

static struct column *column_named(struct column *columns, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcasecmp(columns[i].name, name) == 0)
			return &columns[i];
	return NULL;
}

struct table {                           /* one pass over table_xinfo */
	uint32_t n, nprimary;
	struct table_column {
		const char *name, *type, *fallback;
		bool not_null, generated, primary;
	} *columns;
};

static int table_read(struct loading *l, const char *name, struct table *ret)
{
	sqlite3_stmt *s = db_statement(l->db, SQL_CATALOG_TABLE, l->err);
	uint32_t room = 0;
	int rc;

	if (s == NULL)
		return code_of(l);
	bind_text(s, 1, name);
	rc = db_step(l->db, s, l->err);
	sqlite3_reset(s);
	if (rc <= 0)
		return rc < 0 ? code_of(l) : 0;
	if ((s = db_statement(l->db, SQL_CATALOG_COLUMNS, l->err)) == NULL)
		return code_of(l);
	bind_text(s, 1, name);
	while ((rc = db_step(l->db, s, l->err)) > 0) {
		if (ret->n == room) {
			struct table_column *more = arena_array(l->a, 2 * room + 16, sizeof(*more));
			if (more == NULL)
				break;
			if (room > 0)
				memcpy(more, ret->columns, room * sizeof(*more));
			ret->columns = more;
			room = 2 * room + 16;
		}
		struct table_column *c = &ret->columns[ret->n++];
		c->name = text_of(l, s, 0);
		c->type = text_of(l, s, 1);
		c->not_null = sqlite3_column_int(s, 2) != 0;
		c->fallback = sqlite3_column_type(s, 3) == SQLITE_NULL ? NULL : text_of(l, s, 3);
		c->primary = sqlite3_column_int(s, 4) != 0;
		c->generated = sqlite3_column_int(s, 5) != 0;
		ret->nprimary += c->primary;
	}
	sqlite3_reset(s);
	if (l->a->failed)
		return memory(l);
	return rc < 0 ? code_of(l) : 0;
}

/* What the live table says about a column of the register; generated columns cannot be written: not there. */
static int column_meet(struct loading *l, struct reg *r, struct column *c, const struct table *t)
{
	c->affinity = 'B';
	c->binary = true;
	for (uint32_t i = 0; i < t->n; i++) {
		if (strcasecmp(t->columns[i].name, c->name) != 0 || t->columns[i].generated)
			continue;
		c->present = true;
		c->affinity = affinity_of(t->columns[i].type);
		c->not_null = t->columns[i].not_null;
		if (collation_read(l, r, c) != 0 || fallback_read(l, c, t->columns[i].fallback) != 0)
			return code_of(l);
	}
	r->hold |= !c->present;
	return 0;
}

/* An INTEGER PRIMARY KEY is the rowid itself: SQLite makes no index for it. */
static int rowid_key_read(struct loading *l, struct reg *r, const struct table *t)
{
	sqlite3_stmt *s;
	int rc;

	if (r->nkey != 1 || !r->key[0]->present || t->nprimary != 1)
		return 0;
	for (uint32_t i = 0; i < t->n; i++)
		if (t->columns[i].primary && strcasecmp(t->columns[i].name, r->key[0]->name) == 0)
			r->rowid_key = strcasecmp(t->columns[i].type, "INTEGER") == 0;
	if (!r->rowid_key)
		return 0;
	if ((s = db_statement(l->db, SQL_CATALOG_UNIQUE, l->err)) == NULL)
		return code_of(l);
	bind_text(s, 1, r->name);
	while ((rc = db_step(l->db, s, l->err)) > 0)
		if (strcmp((const char *)sqlite3_column_text(s, 1), "pk") == 0)
			r->rowid_key = false;
	return rc < 0 ? code_of(l) : 0;
}

/* ---- a register */

static struct column *column_add(struct reg *r, const char *name)
{
	struct column *c = &r->columns[r->ncolumns++];

	c->name = name;
	return c;
}

/* Key, unit, then the groups' columns, all without numbers yet. */
static int columns_lay(struct loading *l, struct reg *r, const struct policy_register *p)
{
	uint32_t most = p->nkey + 1;

	for (uint32_t g = 0; g < p->ngroups; g++)
		most += p->groups[g].ncolumns;
	r->columns = arena_array(l->a, most, sizeof(*r->columns));
	r->key = arena_array(l->a, p->nkey, sizeof(struct column *));
	if (r->columns == NULL || r->key == NULL)
		return memory(l);
	for (r->nkey = 0; r->nkey < p->nkey; r->nkey++)
		r->key[r->nkey] = column_add(r, p->key[r->nkey]);
	if (p->unit_source == UNIT_COLUMN) {
		r->unit = column_named(r->columns, r->ncolumns, p->unit_column);
		if (r->unit == NULL)
			r->unit = column_add(r, p->unit_column);
	}
	return 0;
}

static int groups_lay(struct loading *l, struct reg *r, const struct policy_register *p)
{
	struct names known;

	if (names_read(l, SQL_CATALOG_GROUP_NUMBERS, r->number, p->ngroups, &known) != 0)
		return code_of(l);
	uint32_t before = known.n;
	r->groups = arena_array(l->a, LIMIT_GROUPS, sizeof(struct group *));
	struct group *all = arena_array(l->a, known.n + p->ngroups + 1, sizeof(*all));
	if (all == NULL || r->groups == NULL)
		return memory(l);
	r->groups[GROUP_ROW] = all;
	all++->name = "row";
	for (uint32_t i = 0; i < before; i++)
		if (known.numbers[i] < LIMIT_GROUPS) {
			r->groups[known.numbers[i]] = all;
			all->number = known.numbers[i];
			all++->name = known.names[i];
		}
	for (uint32_t i = 0; i < p->ngroups; i++) {
		uint32_t number;
		if (number_of(l, &known, SQL_CATALOG_GROUP_ADD, r->number, p->groups[i].name, LIMIT_GROUPS - 1, &number) != 0)
			return code_of(l);
		if (number == 0)
			continue;                /* a reader: not yet */
		struct group *g = r->groups[number];
		if (g == NULL)
			g = r->groups[number] = all++;
		g->number = number;
		g->name = p->groups[i].name;
		g->policy = &p->groups[i];
		g->columns = arena_array(l->a, g->policy->ncolumns, sizeof(struct column *));
		if (g->columns == NULL)
			return memory(l);
		for (; g->ncolumns < g->policy->ncolumns; g->ncolumns++) {
			struct column *c = column_add(r, g->policy->columns[g->ncolumns]);
			c->group = number;
			c->in_group = g->ncolumns;
			g->columns[g->ncolumns] = c;
		}
	}
	for (r->ngroups = LIMIT_GROUPS; r->groups[r->ngroups - 1] == NULL;)
		r->ngroups--;
	return 0;
}

const char *adoption_word(enum adoption a)
{
	return a == ADOPT_MINE ? "mine" : a == ADOPT_SUPERIOR ? "superior" : a == ADOPT_REVIEW ? "review" : NULL;
}

enum adoption adoption_of(const char *word)
{
	for (enum adoption a = ADOPT_MINE; a <= ADOPT_REVIEW; a++)
		if (strcmp(adoption_word(a), word) == 0)
			return a;
	return ADOPT_NOT;
}

static int adoption_read(struct loading *l, struct reg *r)
{
	sqlite3_stmt *s = db_statement(l->db, SQL_ADOPTION_GET, l->err);
	int rc;

	if (s == NULL)
		return code_of(l);
	bind_u64(s, 1, r->number);
	rc = db_step(l->db, s, l->err);
	if (rc > 0)
		r->adoption = sqlite3_column_type(s, 0) == SQLITE_NULL ? ADOPT_WAITS :
		              adoption_of((const char *)sqlite3_column_text(s, 0));
	sqlite3_reset(s);
	return rc < 0 ? code_of(l) : 0;
}

static int register_load(struct loading *l, struct reg *r, const struct policy_register *p)
{
	struct table t = { 0 };
	struct names known;

	if (adoption_read(l, r) != 0)
		return code_of(l);
	if (columns_lay(l, r, p) != 0 || groups_lay(l, r, p) != 0 || table_read(l, r->name, &t) != 0)
		return code_of(l);
	for (uint32_t i = 0; i < r->ncolumns; i++)
		if (column_meet(l, r, &r->columns[i], &t) != 0)
			return code_of(l);
	if (rowid_key_read(l, r, &t) != 0)
		return code_of(l);
	r->local = arena_array(l->a, t.n + 1, sizeof(*r->local));
	if (r->local == NULL)
		return memory(l);
	for (uint32_t i = 0; i < t.n; i++)
		if (!t.columns[i].generated && column_named(r->columns, r->ncolumns, t.columns[i].name) == NULL) {
			struct column *c = &r->local[r->nlocal++];
			c->name = t.columns[i].name;
			if (column_meet(l, r, c, &t) != 0)
				return code_of(l);
		}
	if (names_read(l, SQL_CATALOG_COLUMN_NUMBERS, r->number, r->ncolumns + r->nlocal, &known) != 0)
		return code_of(l);
	for (uint32_t i = 0; i < r->ncolumns + r->nlocal; i++) {
		struct column *c = i < r->ncolumns ? &r->columns[i] : &r->local[i - r->ncolumns];
		if (number_of(l, &known, SQL_CATALOG_COLUMN_ADD, r->number, c->name, (1u << 14) - 1, &c->number) != 0)
			return code_of(l);
	}
	return 0;
}

/* ---- parents first */

static bool among(struct reg *const *regs, uint32_t n, const struct reg *r)
{
	for (uint32_t i = 0; i < n; i++)
		if (regs[i] == r)
			return true;
	return false;
}

struct ordering {
	uint32_t n;                      /* placed */
	struct reg **placed;
	uint32_t *nparents;
	struct reg ***parents;           /* by place in the catalog's first order */
	uint8_t *visited;
};

/* Depth first: what a register refers to, then the register.  A cycle is cut where it was entered. */
static void place(struct loading *l, struct ordering *o, uint32_t at)
{
	if (o->visited[at])
		return;
	o->visited[at] = 1;
	for (uint32_t i = 0; i < o->nparents[at]; i++)
		for (uint32_t j = 0; j < l->c->nregs; j++)
			if (l->c->regs[j] == o->parents[at][i])
				place(l, o, j);
	o->placed[o->n++] = l->c->regs[at];
}

static int order(struct loading *l)
{
	uint32_t n = l->c->nregs;
	struct ordering o = {
		.placed = arena_array(l->a, n, sizeof(struct reg *)),
		.nparents = arena_array(l->a, n, sizeof(uint32_t)),
		.parents = arena_array(l->a, n, sizeof(struct reg **)),
		.visited = arena_array(l->a, n, 1),
	};

	for (uint32_t i = 0; i < n && !l->a->failed; i++) {
		const struct reg *r = l->c->regs[i];
		sqlite3_stmt *s = db_statement(l->db, SQL_CATALOG_PARENTS, l->err);
		int rc = 0;

		if (s == NULL)
			return code_of(l);
		o.parents[i] = arena_array(l->a, n + 1, sizeof(struct reg *));
		bind_text(s, 1, r->name);
		while (o.parents[i] != NULL && (rc = db_step(l->db, s, l->err)) > 0) {
			struct reg *parent = catalog_register(l->c, slice_of((const char *)sqlite3_column_text(s, 0)));
			if (parent != NULL && parent != r && !among(o.parents[i], o.nparents[i], parent))
				o.parents[i][o.nparents[i]++] = parent;
		}
		sqlite3_reset(s);
		if (o.parents[i] == NULL)
			break;
		if (rc < 0)
			return code_of(l);
		if (r->policy->unit_source == UNIT_VIA) {
			struct reg *parent = catalog_register(l->c, slice_of(r->policy->unit_register));
			if (parent != NULL && parent != r && !among(o.parents[i], o.nparents[i], parent))
				o.parents[i][o.nparents[i]++] = parent;
		}
	}
	if (l->a->failed)
		return memory(l);
	for (uint32_t i = 0; i < n; i++)
		place(l, &o, i);
	l->c->regs = o.placed;
	return 0;
}

/* Registers whose rows take their unit from the row they refer to. */
static int follow(struct loading *l)
{
	struct catalog *c = l->c;

	for (uint32_t i = 0; i < c->nregs; i++) {
		struct reg *r = c->regs[i], *parent;

		if (r->policy->unit_source != UNIT_VIA)
			continue;
		parent = catalog_register(c, slice_of(r->policy->unit_register));
		if (parent == NULL)
			continue;
		if (parent->dependents == NULL)
			parent->dependents = arena_array(l->a, c->nregs, sizeof(struct reg *));
		if (parent->dependents == NULL)
			return memory(l);
		r->via = column_named(r->columns, r->ncolumns, r->policy->unit_column);
		r->parent = parent;
		if (r->via != NULL)
			parent->dependents[parent->ndependents++] = r;
		c->follows = true;
	}
	return 0;
}

/* ---- the whole */

static int policies_read(struct loading *l)
{
	struct catalog *c = l->c;
	struct policy *all = arena_array(l->a, ARRAY_SIZE(c->entries), sizeof(*all));
	sqlite3_stmt *s = db_statement(l->db, SQL_CATALOG_POLICIES, l->err);
	int rc;

	c->policies = arena_array(l->a, ARRAY_SIZE(c->entries), sizeof(struct policy *));
	if (s == NULL)
		return code_of(l);
	if (all == NULL || c->policies == NULL)
		return memory(l);
	while ((rc = db_step(l->db, s, l->err)) > 0) {
		uint64_t issuer = read_unsigned(s, 0), version = read_unsigned(s, 1);
		char unit[UNIT_TEXT_SIZE];
		struct slice canonical = arena_slice(l->a, read_blob(s, 2));

		if (c->nentries == ARRAY_SIZE(c->entries))
			rc = err_set(l->err, ERR_LIMIT, "more than %zu policies are active", ARRAY_SIZE(c->entries));
		else if (l->a->failed)
			rc = memory(l);
		else if ((rc = policy_get(canonical, l->a, &all[c->npolicies], l->err)) != 0)
			rc = err_prefix(l->err, "policy %s:%llu: ", unit_text(issuer, unit), (unsigned long long)version);
		if (rc != 0) {
			sqlite3_reset(s);
			return rc;
		}
		all[c->npolicies].issuer = issuer;
		all[c->npolicies].version = version;
		c->entries[c->nentries++] = (struct policy_entry){ .issuer = issuer, .version = version };
		c->policies[c->npolicies] = &all[c->npolicies];
		c->npolicies++;
	}
	if (rc < 0)
		return code_of(l);
	c->list = policy_list_hash(c->entries, c->nentries);
	/* the higher issuer first; the statement's order, by unit, within a level */
	for (uint32_t i = 1; i < c->npolicies; i++) {
		const struct policy *p = c->policies[i];
		uint32_t j = i;
		for (; j > 0 && unit_level(c->policies[j - 1]->issuer) > unit_level(p->issuer); j--)
			c->policies[j] = c->policies[j - 1];
		c->policies[j] = p;
	}
	return 0;
}

static int registers_load(struct loading *l)
{
	struct catalog *c = l->c;
	struct names known;
	uint32_t most = 0;

	for (uint32_t i = 0; i < c->npolicies; i++)
		most += c->policies[i]->nregisters;
	c->regs = arena_array(l->a, most, sizeof(struct reg *));
	if (names_read(l, SQL_CATALOG_REGISTERS, 0, most, &known) != 0)
		return code_of(l);
	for (uint32_t i = 0; i < c->npolicies; i++)
		for (uint32_t j = 0; j < c->policies[i]->nregisters; j++) {
			const struct policy_register *p = &c->policies[i]->registers[j];
			struct reg *r;

			if (catalog_register(c, slice_of(p->name)) != NULL)
				continue;
			if ((r = arena_alloc(l->a, sizeof(*r))) == NULL)
				return memory(l);
			r->name = p->name;
			r->issuer = c->policies[i]->issuer;
			r->policy = p;
			r->document = c->policies[i];
			if (number_of(l, &known, SQL_CATALOG_REGISTER_ADD, 0, r->name, UINT32_MAX - 1, &r->number) != 0)
				return code_of(l);
			if (r->number == 0)
				continue;
			if (register_load(l, r, p) != 0)
				return err_prefix(l->err, "register %s: ", r->name);
			c->regs[c->nregs++] = r;
		}
	return 0;
}

int catalog_load(struct db *db, struct catalog **ret, struct err *err)
{
	struct catalog *c = calloc(1, sizeof(*c));
	struct err here = { 0 };
	struct loading l = { .db = db, .c = c, .a = c != NULL ? &c->arena : NULL, .err = err != NULL ? err : &here };
	int rc;

	l.err->code = 0;
	if (c == NULL)
		return memory(&l);
	rc = policies_read(&l);
	if (rc == 0)
		rc = registers_load(&l);
	if (rc == 0)
		rc = order(&l);
	if (rc == 0)
		rc = follow(&l);
	if (l.began) {
		if (rc == 0)
			rc = db_commit(db, l.err);
		else
			db_rollback(db);
	}
	sqlite3_close_v2(l.scratch);
	if (rc != 0) {
		catalog_release(c);
		return rc;
	}
	*ret = c;
	return 0;
}

void catalog_release(struct catalog *c)
{
	if (c == NULL)
		return;
	arena_release(&c->arena);
	free(c);
}

static bool named(const char *name, struct slice as)
{
	return strlen(name) == as.n && strncasecmp(name, (const char *)as.p, as.n) == 0;
}

struct reg *catalog_register(const struct catalog *c, struct slice name)
{
	for (uint32_t i = 0; i < c->nregs; i++)
		if (named(c->regs[i]->name, name))
			return c->regs[i];
	return NULL;
}

struct reg *catalog_number(const struct catalog *c, uint32_t number)
{
	for (uint32_t i = 0; i < c->nregs; i++)
		if (c->regs[i]->number == number)
			return c->regs[i];
	return NULL;
}

struct group *reg_group(const struct reg *r, struct slice name)
{
	for (uint32_t i = 0; i < r->ngroups; i++)
		if (r->groups[i] != NULL && named(r->groups[i]->name, name))
			return r->groups[i];
	return NULL;
}

struct column *group_column(const struct group *g, struct slice name)
{
	for (uint32_t i = 0; i < g->ncolumns; i++)
		if (named(g->columns[i]->name, name))
			return g->columns[i];
	return NULL;
}
