/* Rulebox: tables of one row, statements under an authorizer, and the asking. */
#include "store/rulebox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/limits.h"
#include "store/db.h"
#include "store/expression.h"

#define PROGRESS 500                     /* steps between two looks at the count */

struct ruled {
	struct rulebox *box;
	const struct policy_register *policy;
	uint32_t ncolumns;
	const char **columns;
	sqlite3_stmt *fill;
	sqlite3_stmt **rules, **locks;   /* a lock NULL: the group has none */
};

struct rulebox {
	sqlite3 *sql;
	struct arena arena;
	const struct policy *policy;
	struct rule_reading reading;
	uint32_t steps;
	const struct ruled *compiling;   /* what the authorizer asks */
	char refused[200];
	uint32_t nregisters;
	struct ruled *registers;
};

static int memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "rules: memory is short");
}

/* ---- what an expression may do */

static bool has_column(const struct ruled *r, const char *name)
{
	for (uint32_t i = 0; i < r->ncolumns; i++)
		if (strcasecmp(r->columns[i], name) == 0)
			return true;
	return false;
}

static bool is_codes(const struct policy *p, const char *table)
{
	for (uint32_t i = 0; i < p->nnamed; i++)
		if (strcmp(p->named[i].kind, "codes") == 0 && strcasecmp(p->named[i].name, table) == 0)
			return true;
	return false;
}

static int refuse(struct rulebox *b, const char *what, const char *name)
{
	if (b->refused[0] == '\0')
		snprintf(b->refused, sizeof b->refused, "%s%.*s is not admitted", what, (int)LIMIT_NAME, name);
	return SQLITE_DENY;
}

/* table and column of a read; an empty column: the table is named, none of its columns is. */
static int may_read(struct rulebox *b, const char *table, const char *column)
{
	if (table == NULL || table[0] == '\0')
		return SQLITE_OK;                /* of a subquery in FROM, whose own reads were asked */
	if (is_codes(b->policy, table))
		return SQLITE_OK;
	if (strcasecmp(table, b->compiling->policy->name) != 0)
		return refuse(b, "table ", table);
	return column == NULL || column[0] == '\0' || has_column(b->compiling, column) ? SQLITE_OK :
	       refuse(b, "column ", column);
}

static int authorize(void *arg, int action, const char *a, const char *c, const char *database, const char *inner)
{
	struct rulebox *b = arg;

	(void)database;
	(void)inner;
	if (b->compiling == NULL)
		return SQLITE_OK;                /* our own tables */
	switch (action) {
	case SQLITE_SELECT:
		return SQLITE_OK;
	case SQLITE_READ:
		return may_read(b, a, c);
	case SQLITE_FUNCTION:
		return rule_function_allowed(c) ? SQLITE_OK : refuse(b, "function ", c);
	case SQLITE_RECURSIVE:
		return refuse(b, "recursion", "");
	default:
		return refuse(b, "what it does", "");
	}
}

static int progress(void *arg)
{
	struct rulebox *b = arg;

	b->steps += PROGRESS;
	return b->steps > RULE_STEPS;
}

/* ---- asking */

static enum rule_says ask(struct rulebox *b, sqlite3_stmt *s, const char **ret_used)
{
	enum rule_says says = RULE_TROUBLE;
	int rc;

	b->steps = 0;
	b->reading.used[0] = '\0';
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		says = sqlite3_column_type(s, 0) == SQLITE_NULL ? RULE_NULL : sqlite3_column_double(s, 0) != 0 ? RULE_TRUE : RULE_FALSE;
	else if (rc == SQLITE_INTERRUPT)
		snprintf(b->reading.used, sizeof b->reading.used, "it takes more than %u steps", RULE_STEPS);
	else
		snprintf(b->reading.used, sizeof b->reading.used, "it cannot be computed: %.100s", sqlite3_errmsg(b->sql));
	sqlite3_reset(s);
	*ret_used = b->reading.used;
	return says;
}

enum rule_says rulebox_rule(struct ruled *r, uint32_t rule, const char **ret_used)
{
	return ask(r->box, r->rules[rule], ret_used);
}

enum rule_says rulebox_lock(struct ruled *r, uint32_t group, const char **ret_used)
{
	*ret_used = "";
	return r->locks[group] == NULL ? RULE_FALSE : ask(r->box, r->locks[group], ret_used);
}

int rulebox_row(struct ruled *r, const struct cell *cells, struct err *err)
{
	int rc;

	for (uint32_t i = 0; i < r->ncolumns; i++)
		bind_cell(r->fill, (int)i + 1, cells[i]);
	r->box->steps = 0;
	rc = sqlite3_step(r->fill);
	sqlite3_reset(r->fill);
	sqlite3_clear_bindings(r->fill);
	return rc == SQLITE_DONE ? 0 : err_set(err, rc == SQLITE_NOMEM ? ERR_NOMEM : ERR_DB, "rules of register %s: %s",
	                                       r->policy->name, sqlite3_errmsg(r->box->sql));
}

struct ruled *rulebox_register(struct rulebox *b, const char *name)
{
	for (uint32_t i = 0; b != NULL && i < b->nregisters; i++)
		if (strcasecmp(b->registers[i].policy->name, name) == 0)
			return &b->registers[i];
	return NULL;
}

uint32_t ruled_columns(const struct ruled *r, const char *const **ret)
{
	*ret = r->columns;
	return r->ncolumns;
}

/* ---- tables */

static int run(struct rulebox *b, struct buf *text, struct err *err)
{
	if (text->failed)
		return memory(err);
	if (sqlite3_exec(b->sql, buf_text(text), NULL, NULL, NULL) != SQLITE_OK)
		return err_set(err, ERR_POLICY, "rules: %s", sqlite3_errmsg(b->sql));
	return 0;
}

static void put_columns(struct ruled *r)
{
	const struct policy_register *p = r->policy;

	for (uint32_t i = 0; i < p->nkey; i++)
		r->columns[r->ncolumns++] = p->key[i];
	if (p->unit_source == UNIT_COLUMN && !has_column(r, p->unit_column))
		r->columns[r->ncolumns++] = p->unit_column;
	for (uint32_t g = 0; g < p->ngroups; g++)
		for (uint32_t i = 0; i < p->groups[g].ncolumns; i++)
			r->columns[r->ncolumns++] = p->groups[g].columns[i];
}

/* The affinity and collation that the column has in its table. */
static void declare(struct buf *text, sqlite3 *schema, const char *table, const char *column)
{
	static const struct { const char *word, *type; } words[] = {
		{"INT", "INTEGER"}, {"CHAR", "TEXT"}, {"CLOB", "TEXT"}, {"TEXT", "TEXT"}, {"BLOB", "BLOB"},
		{"REAL", "REAL"}, {"FLOA", "REAL"}, {"DOUB", "REAL"},
	};
	const char *type = NULL, *collation = NULL, *affinity = "NUMERIC";

	identifier_put(text, column);
	if (sqlite3_table_column_metadata(schema, "main", table, column, &type, &collation, NULL, NULL, NULL) != SQLITE_OK)
		return;
	if (type == NULL || type[0] == '\0')
		affinity = "BLOB";
	for (size_t i = 0; type != NULL && i < ARRAY_SIZE(words); i++)
		if (strcasestr(type, words[i].word) != NULL) {
			affinity = words[i].type;
			break;
		}
	buf_printf(text, " %s", affinity);
	if (collation != NULL && (strcasecmp(collation, "NOCASE") == 0 || strcasecmp(collation, "RTRIM") == 0))
		buf_printf(text, " COLLATE %s", collation);
}

static int make_table(struct rulebox *b, struct ruled *r, sqlite3 *schema, struct err *err)
{
	_cleanup_(buf_release) struct buf text = {0}, fill = {0};
	int rc;

	buf_printf(&text, "CREATE TABLE ");
	identifier_put(&text, r->policy->name);
	buf_printf(&text, "(terrace_row INTEGER PRIMARY KEY");
	buf_printf(&fill, "INSERT OR REPLACE INTO ");
	identifier_put(&fill, r->policy->name);
	buf_printf(&fill, " VALUES(1");
	for (uint32_t i = 0; i < r->ncolumns; i++) {
		buf_printf(&text, ", ");
		declare(&text, schema, r->policy->name, r->columns[i]);
		buf_printf(&fill, ", ?");
	}
	buf_printf(&text, ")");
	buf_printf(&fill, ")");
	rc = run(b, &text, err);
	if (rc == 0 && (fill.failed || sqlite3_prepare_v2(b->sql, buf_text(&fill), -1, &r->fill, NULL) != SQLITE_OK))
		rc = err_set(err, ERR_POLICY, "rules: %s", sqlite3_errmsg(b->sql));
	return rc;
}

/* Words of a code list: its own keys, then "code" VALUE and the keys of each code. */
static int make_codes(struct rulebox *b, const struct policy_named *n, struct err *err)
{
	_cleanup_(buf_release) struct buf text = {0};
	const char *code = NULL, *name = NULL, *from = NULL, *to = NULL;

	if (policy_register(b->policy, n->name) != NULL)
		return err_set(err, ERR_POLICY, "codes %s: a register has this name; give the list another", n->name);
	buf_printf(&text, "CREATE TABLE ");
	identifier_put(&text, n->name);
	buf_printf(&text, "(code TEXT, name TEXT, valid_from TEXT, valid_to TEXT);");
	for (uint32_t i = 0; i + 1 < n->nwords + 2; i += 2) {
		bool end = i >= n->nwords;

		if (code != NULL && (end || strcmp(n->words[i], "code") == 0)) {
			const char *values[] = {code, name, from, to};

			buf_printf(&text, "INSERT INTO ");
			identifier_put(&text, n->name);
			buf_printf(&text, " VALUES(");
			for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
				buf_printf(&text, k > 0 ? ", " : "");
				if (values[k] != NULL)
					literal_put(&text, values[k]);
				else
					buf_printf(&text, "NULL");
			}
			buf_printf(&text, ");");
			name = from = to = NULL;
		}
		if (end)
			break;
		if (strcmp(n->words[i], "code") == 0)
			code = n->words[i + 1];
		else if (strcmp(n->words[i], "name") == 0)
			name = n->words[i + 1];
		else if (strcmp(n->words[i], "from") == 0)
			from = n->words[i + 1];
		else if (strcmp(n->words[i], "to") == 0)
			to = n->words[i + 1];
	}
	return run(b, &text, err);
}

/* ---- compiling */

static int compile(struct rulebox *b, const struct ruled *r, const char *expression, sqlite3_stmt **ret, struct err *err)
{
	_cleanup_(buf_release) struct buf text = {0};
	const char *used;
	int rc = expression_check(expression, b->policy, err);

	if (rc != 0)
		return rc;
	buf_printf(&text, "SELECT (%s\n) FROM ", expression);
	identifier_put(&text, r->policy->name);
	if (text.failed)
		return memory(err);
	b->compiling = r;
	b->refused[0] = '\0';
	rc = sqlite3_prepare_v3(b->sql, buf_text(&text), -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
	b->compiling = NULL;
	if (rc != SQLITE_OK)
		return err_set(err, rc == SQLITE_NOMEM ? ERR_NOMEM : ERR_POLICY, "%s",
		               b->refused[0] != '\0' ? b->refused : sqlite3_errmsg(b->sql));
	if (sqlite3_bind_parameter_count(*ret) != 0 || sqlite3_column_count(*ret) != 1)
		return err_set(err, ERR_POLICY, "an expression says one thing");
	return ask(b, *ret, &used) == RULE_TROUBLE ? err_set(err, ERR_POLICY, "%s", used) : 0;
}

static int compile_register(struct rulebox *b, struct ruled *r, sqlite3 *schema, struct policy_where *where,
                            struct err *err)
{
	const struct policy_register *p = r->policy;
	struct cell *empty;
	int rc;

	*where = (struct policy_where){.reg = p->name};
	r->columns = arena_array(&b->arena, LIMIT_COLUMNS + 2, sizeof *r->columns);
	r->rules = arena_array(&b->arena, p->nrules + 1, sizeof(sqlite3_stmt *));
	r->locks = arena_array(&b->arena, p->ngroups + 1, sizeof(sqlite3_stmt *));
	empty = arena_array(&b->arena, LIMIT_COLUMNS + 2, sizeof *empty);
	if (b->arena.failed)
		return memory(err);
	put_columns(r);
	rc = make_table(b, r, schema, err);
	if (rc == 0)
		rc = rulebox_row(r, empty, err);
	for (uint32_t i = 0; i < p->nrules && rc == 0; i++) {
		*where = (struct policy_where){p->name, "rule", p->rules[i].name};
		rc = compile(b, r, p->rules[i].check, &r->rules[i], err);
		if (rc != 0)
			err_prefix(err, "register %s, rule %s: ", p->name, p->rules[i].name);
	}
	for (uint32_t i = 0; i < p->ngroups && rc == 0; i++) {
		*where = (struct policy_where){p->name, "group", p->groups[i].name};
		rc = p->groups[i].lock == NULL ? 0 : compile(b, r, p->groups[i].lock, &r->locks[i], err);
		if (rc != 0)
			err_prefix(err, "register %s, lock of group %s: ", p->name, p->groups[i].name);
	}
	return rc;
}

static bool has_expressions(const struct policy_register *r)
{
	bool any = r->nrules > 0;

	for (uint32_t i = 0; i < r->ngroups && !any; i++)
		any = r->groups[i].lock != NULL;
	return any;
}

static int open_memory(struct rulebox *b, struct err *err)
{
	if (sqlite3_open_v2(":memory:", &b->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY |
	                    SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK || rule_functions(b->sql, &b->reading) != SQLITE_OK)
		return memory(err);
	db_confine(b->sql);
	sqlite3_db_config(b->sql, SQLITE_DBCONFIG_DQS_DML, 0, NULL);     /* "x" is a column or an error, never a text */
	sqlite3_limit(b->sql, SQLITE_LIMIT_LENGTH, 3 * (int)LIMIT_ROW);
	sqlite3_limit(b->sql, SQLITE_LIMIT_EXPR_DEPTH, 100);
	sqlite3_limit(b->sql, SQLITE_LIMIT_COMPOUND_SELECT, 20);
	sqlite3_limit(b->sql, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 500);
	sqlite3_set_authorizer(b->sql, authorize, b);
	return 0;
}

int rulebox_open(sqlite3 *schema, const struct policy *p, struct rulebox **ret, struct policy_where *ret_where,
                 struct err *err)
{
	struct rulebox *b = calloc(1, sizeof *b);
	int rc;

	*ret = NULL;
	*ret_where = (struct policy_where){0};
	if (b == NULL)
		return memory(err);
	b->policy = b->reading.policy = p;
	rc = open_memory(b, err);
	b->registers = arena_array(&b->arena, p->nregisters + 1, sizeof *b->registers);
	if (rc == 0 && b->registers == NULL)
		rc = memory(err);
	for (uint32_t i = 0; i < p->nnamed && rc == 0; i++)
		if (strcmp(p->named[i].kind, "codes") == 0) {
			*ret_where = (struct policy_where){.kind = "codes", .name = p->named[i].name};
			rc = make_codes(b, &p->named[i], err);
		}
	sqlite3_progress_handler(b->sql, PROGRESS, progress, b);
	for (uint32_t i = 0; i < p->nregisters && rc == 0; i++)
		if (has_expressions(&p->registers[i])) {
			struct ruled *r = &b->registers[b->nregisters++];

			*r = (struct ruled){.box = b, .policy = &p->registers[i]};
			rc = compile_register(b, r, schema, ret_where, err);
		}
	if (rc != 0) {
		rulebox_close(b);
		return rc;
	}
	*ret = b;
	return 0;
}

void rulebox_close(struct rulebox *b)
{
	if (b == NULL)
		return;
	for (uint32_t i = 0; i < b->nregisters; i++) {
		struct ruled *r = &b->registers[i];

		sqlite3_finalize(r->fill);
		for (uint32_t k = 0; r->rules != NULL && k < r->policy->nrules; k++)
			sqlite3_finalize(r->rules[k]);
		for (uint32_t k = 0; r->locks != NULL && k < r->policy->ngroups; k++)
			sqlite3_finalize(r->locks[k]);
	}
	sqlite3_close(b->sql);
	arena_release(&b->arena);
	free(b);
}
