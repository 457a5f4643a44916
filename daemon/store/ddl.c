/* DDL: splitting, classes, the authorizers, and running. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "core/limits.h"
#include "store/ddl.h"

/* Tokens of SQL, as far as classes need them: words, quoted names, strings, numbers, single signs. */
enum token_type { TOKEN_END, TOKEN_WORD, TOKEN_NAME, TOKEN_STRING, TOKEN_SIGN };

struct token {
	enum token_type type;
	const char *at;
	size_t n;
};

static const char *skip_blank(const char *s)
{
	for (;;) {
		if (*s != '\0' && strchr(" \t\r\n\f", *s) != NULL) {
			s++;
		} else if (s[0] == '-' && s[1] == '-') {
			s += strcspn(s, "\n");
		} else if (s[0] == '/' && s[1] == '*') {
			const char *end = strstr(s + 2, "*/");
			s = end != NULL ? end + 2 : s + strlen(s);
		} else {
			return s;
		}
	}
}

static bool word_byte(unsigned char c)
{
	return c >= 0x80 || c == '_' || c == '$' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

static struct token next_token(const char **at)
{
	const char *s = skip_blank(*at);
	struct token t = { TOKEN_END, s, 0 };
	if (*s == '\0') {
		*at = s;
		return t;
	}
	if (strchr("'\"`[", *s) != NULL) {
		char close = *s == '[' ? ']' : *s;
		t.type = *s == '\'' ? TOKEN_STRING : TOKEN_NAME;
		for (s++; *s != '\0'; s++) {
			if (*s != close)
				continue;
			if (close != ']' && s[1] == close)
				s++;
			else
				break;
		}
		s += *s != '\0';
	} else if (word_byte((unsigned char)*s)) {
		t.type = TOKEN_WORD;
		while (word_byte((unsigned char)*s))
			s++;
	} else {
		t.type = TOKEN_SIGN;
		s++;
	}
	t.n = (size_t)(s - t.at);
	*at = s;
	return t;
}

static bool is_word(struct token t, const char *word)
{
	return t.type == TOKEN_WORD && t.n == strlen(word) && strncasecmp(t.at, word, t.n) == 0;
}

static bool is_sign(struct token t, char sign)
{
	return t.type == TOKEN_SIGN && *t.at == sign;
}

static bool same_token(struct token a, struct token b)
{
	return a.type == b.type && a.n == b.n &&
	       (a.type == TOKEN_WORD ? strncasecmp(a.at, b.at, a.n) : memcmp(a.at, b.at, a.n)) == 0;
}

static bool same_sql(const char *a, const char *b)
{
	for (;;) {
		struct token x = next_token(&a), y = next_token(&b);
		if (!same_token(x, y))
			return false;
		if (x.type == TOKEN_END)
			return true;
	}
}

/* The name itself, quotes taken off; also a single-quoted one, which SQLite takes for a name here. */
static int token_name(struct token t, char ret[LIMIT_NAME + 1], struct err *err)
{
	size_t n = 0;
	if (t.type == TOKEN_END || t.type == TOKEN_SIGN)
		return err_set(err, ERR_POLICY, "a name is missing");
	const char *s = t.at, *end = t.at + t.n;
	char close = '\0';
	if (t.type != TOKEN_WORD) {
		close = *s == '[' ? ']' : *s;
		s++;
		end--;
	}
	for (; s < end; s++) {
		if (n >= LIMIT_NAME)
			return err_set(err, ERR_POLICY, "the name %.*s… is longer than %u bytes", 40, t.at,
				       LIMIT_NAME);
		ret[n++] = *s;
		if (close != '\0' && close != ']' && *s == close)
			s++;
	}
	ret[n] = '\0';
	if (strncasecmp(ret, "terrace_", 8) == 0 || strncasecmp(ret, "sqlite_", 7) == 0)
		return err_set(err, ERR_POLICY, "%s: names that begin with terrace_ or sqlite_ are reserved",
			       ret);
	return policy_name_good(ret) ? 0
				     : err_set(err, ERR_POLICY, "a name is empty or has control characters");
}

/* Up to and with the `;` that completes the statement (a trigger's inner ones do not); 0 = none does. */
static size_t statement_size(const char *s)
{
	_cleanup_(buf_release) struct buf part = { 0 };
	const char *end = s;
	for (int inner = 0; inner < 1000;) {
		struct token t = next_token(&end);
		if (t.type == TOKEN_END)
			return 0;
		if (!is_sign(t, ';'))
			continue;
		buf_clear(&part);
		buf_put(&part, s, (size_t)(end - s));
		if (sqlite3_complete(buf_text(&part)))
			return (size_t)(end - s);
		inner++;
	}
	return 0;
}

int ddl_split(struct slice sql, struct arena *a, const char ***ret, uint32_t *ret_n, struct err *err)
{
	char *text = arena_text(a, sql);
	const char **list = NULL;
	uint32_t n = 0, room = 0;
	if (text == NULL)
		return err_set(err, ERR_NOMEM, "no memory for the schema's text");
	if ((sql.n > 0 && memchr(sql.p, 0, sql.n) != NULL) || !utf8_valid(sql))
		return err_set(err, ERR_POLICY, "the schema's text is not UTF-8");
	for (const char *s = skip_blank(text); *s != '\0'; s = skip_blank(s)) {
		size_t size = statement_size(s);
		if (size == 0)
			return err_set(err, ERR_POLICY,
				       "the statement \"%.40s…\" is not closed by a semicolon", s);
		const char *end = s + size;
		char *part = arena_text(a, (struct slice){ (const uint8_t *)s, size });
		if (n == room) {
			room = room == 0 ? 16 : 2 * room;
			const char **more = arena_array(a, room, sizeof(*more));
			if (more != NULL && n > 0)
				memcpy(more, list, n * sizeof(*more));
			list = more;
		}
		if (list == NULL || part == NULL)
			return err_set(err, ERR_NOMEM, "no memory for the schema's statements");
		part[strlen(part) - 1] = '\0';
		for (size_t k = strlen(part); k > 0 && strchr(" \t\r\n\f", part[k - 1]) != NULL; k--)
			part[k - 1] = '\0';
		if (part[0] != '\0')
			list[n++] = part;
		s = end;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

int ddl_conflict_clause(const char *sql, struct err *err)
{
	struct token before = { 0 };
	for (struct token t = next_token(&sql); t.type != TOKEN_END; before = t, t = next_token(&sql))
		if (is_word(before, "on") && is_word(t, "conflict"))
			return err_set(
				err, ERR_POLICY,
				"an ON CONFLICT clause in the schema displaces rows unseen; leave it out");
	return 0;
}

static int not_admitted(const char *statement, struct err *err)
{
	return err_set(err, ERR_POLICY,
		       "\"%.40s…\": a policy brings CREATE TABLE, CREATE INDEX, CREATE VIEW and "
		       "ALTER TABLE … ADD COLUMN only",
		       statement);
}

static int class_alter(const char *s, const char *statement, struct ddl *ret, struct err *err)
{
	int code;
	ret->class = DDL_COLUMN;
	if (!is_word(next_token(&s), "table"))
		return not_admitted(statement, err);
	ret->rest = s;
	if ((code = token_name(next_token(&s), ret->name, err)) != 0)
		return code;
	if (!is_word(next_token(&s), "add"))
		return not_admitted(statement, err);
	struct token t = next_token(&s);
	if (is_word(t, "column"))
		t = next_token(&s);
	return (code = token_name(t, ret->column, err)) != 0 ? code : ddl_conflict_clause(statement, err);
}

int ddl_class(const char *statement, struct ddl *ret, struct err *err)
{
	const char *s = statement;
	int code;
	*ret = (struct ddl){ 0 };
	struct token t = next_token(&s);
	if (is_word(t, "alter"))
		return class_alter(s, statement, ret, err);
	if (!is_word(t, "create"))
		return not_admitted(statement, err);
	t = next_token(&s);
	bool unique = is_word(t, "unique");
	if (unique)
		t = next_token(&s);
	if (is_word(t, "index"))
		ret->class = unique ? DDL_UNIQUE_INDEX : DDL_INDEX;
	else if (is_word(t, "table") && !unique)
		ret->class = DDL_TABLE;
	else if (is_word(t, "view") && !unique)
		ret->class = DDL_VIEW;
	else
		return not_admitted(statement, err);
	const char *mark = skip_blank(s);
	t = next_token(&s);
	if (is_word(t, "if")) {
		if (!is_word(next_token(&s), "not") || !is_word(next_token(&s), "exists"))
			return not_admitted(statement, err);
		mark = skip_blank(s);
		t = next_token(&s);
	}
	ret->rest = mark;
	if ((code = token_name(t, ret->name, err)) != 0)
		return code;
	t = next_token(&s);
	if (is_sign(t, '.'))
		return err_set(err, ERR_POLICY, "\"%.40s…\": write the name without a database in front",
			       statement);
	if (ret->class == DDL_TABLE && !is_sign(t, '('))
		return err_set(err, ERR_POLICY,
			       "table %s: CREATE TABLE … AS SELECT is not admitted; list the columns",
			       ret->name);
	if (ret->class == DDL_UNIQUE_INDEX)
		for (int depth = 0; t.type != TOKEN_END; t = next_token(&s)) {
			depth += is_sign(t, '(') - is_sign(t, ')');
			if (depth == 0 && is_word(t, "where"))
				return err_set(
					err, ERR_POLICY,
					"index %s: a partial unique index displaces rows unseen; leave out "
					"WHERE or UNIQUE",
					ret->name);
		}
	return ddl_conflict_clause(statement, err);
}

bool ddl_function_allowed(const char *name)
{
	static const char *const allowed[] = {
		"abs",       "avg", "char",   "coalesce", "count",  "glob",    "hex",
		"ifnull",    "iif", "instr",  "length",   "like",   "lower",   "ltrim",
		"max",       "min", "nullif", "round",    "rtrim",  "sign",    "substr",
		"substring", "sum", "total",  "trim",     "typeof", "unicode", "upper",
	};
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (strcasecmp(name, allowed[i]) == 0)
			return true;
	return false;
}

/* What the authorizer refused, for the sentence. */
struct guard {
	enum ddl_class class;
	char refused[64];
};

static bool schema_table(const char *name)
{
	return name != NULL && strncasecmp(name, "sqlite_", 7) == 0;
}

static int authorize(void *arg, int action, const char *a, const char *b, const char *database,
		     const char *inner)
{
	struct guard *g = arg;
	bool table = g->class == DDL_TABLE, column = g->class == DDL_COLUMN;
	(void)database;
	(void)inner;
	switch (action) {
	case SQLITE_CREATE_TABLE:
		if (table)
			return SQLITE_OK;
		break;
	case SQLITE_CREATE_INDEX:
		if (table || g->class == DDL_INDEX || g->class == DDL_UNIQUE_INDEX)
			return SQLITE_OK;
		break;
	case SQLITE_CREATE_VIEW:
		if (g->class == DDL_VIEW)
			return SQLITE_OK;
		break;
	case SQLITE_ALTER_TABLE:
		if (column)
			return SQLITE_OK;
		break;
	case SQLITE_REINDEX: /* filling a new index */
	case SQLITE_SELECT:  /* the tests of ADD COLUMN */
		if (g->class != DDL_VIEW)
			return SQLITE_OK;
		break;
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
	case SQLITE_DELETE:
		if (schema_table(a))
			return SQLITE_OK;
		break;
	case SQLITE_PRAGMA: /* ADD COLUMN tests the rows that are there against its NOT NULL and CHECK */
		if (column && strcmp(a, "quick_check") == 0)
			return SQLITE_OK;
		break;
	case SQLITE_READ:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		if (ddl_function_allowed(b) || strncasecmp(b, "sqlite_", 7) == 0 ||
		    (column &&
		     (strcmp(b, "printf") == 0 || strcmp(b, "raise") == 0 || strcmp(b, "quote") == 0)))
			return SQLITE_OK;
		/* SQLite itself refuses the clock in checks and generated columns when they run. */
		if (strcasecmp(b, "date") == 0 || strcasecmp(b, "datetime") == 0 ||
		    strcasecmp(b, "time") == 0 || strcasecmp(b, "julianday") == 0 ||
		    strcasecmp(b, "strftime") == 0)
			return SQLITE_OK;
		snprintf(g->refused, sizeof(g->refused), "function %.40s", b);
		return SQLITE_DENY;
	default:
		break;
	}
	if (g->refused[0] == '\0')
		snprintf(g->refused, sizeof(g->refused), "action %d on %.30s", action, a != NULL ? a : "-");
	return SQLITE_DENY;
}

int ddl_run(sqlite3 *db, const char *statement, struct err *err)
{
	struct ddl d;
	int code = ddl_class(statement, &d, err);
	if (code != 0)
		return code;
	struct guard guard = { .class = d.class };
	sqlite3_stmt *s = NULL;
	const char *tail = NULL;
	sqlite3_set_authorizer(db, authorize, &guard);
	int rc = sqlite3_prepare_v2(db, statement, -1, &s, &tail);
	if (rc == SQLITE_OK && *skip_blank(tail) != '\0')
		code = err_set(err, ERR_POLICY, "\"%.40s…\" holds two statements", statement);
	else if (rc == SQLITE_OK)
		rc = sqlite3_step(s) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(db);
	if (code == 0 && rc != SQLITE_OK && guard.refused[0] != '\0')
		code = err_set(err, ERR_POLICY, "\"%.40s…\": %s is not admitted here", statement,
			       guard.refused);
	else if (code == 0 && rc != SQLITE_OK)
		code = err_set(err,
			       rc == SQLITE_FULL    ? ERR_FULL
			       : rc == SQLITE_IOERR ? ERR_IO
						    : ERR_POLICY,
			       "\"%.40s…\": %s", statement, sqlite3_errmsg(db));
	sqlite3_finalize(s);
	sqlite3_set_authorizer(db, NULL, NULL);
	return code;
}

/* The SQL text of a table, index or view, in *ret (cleared first); false where there is none. */
static bool object_sql(sqlite3 *db, const char *name, struct buf *ret_type, struct buf *ret)
{
	sqlite3_stmt *s = NULL;
	bool found = false;
	buf_clear(ret);
	buf_clear(ret_type);
	if (sqlite3_prepare_v2(
		    db, "SELECT type, coalesce(sql,'') FROM sqlite_master WHERE name=?1 COLLATE NOCASE", -1,
		    &s, NULL) == SQLITE_OK) {
		sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
		if (sqlite3_step(s) == SQLITE_ROW) {
			buf_put(ret_type, sqlite3_column_text(s, 0), (size_t)sqlite3_column_bytes(s, 0));
			buf_put(ret, sqlite3_column_text(s, 1), (size_t)sqlite3_column_bytes(s, 1));
			found = true;
		}
	}
	sqlite3_finalize(s);
	return found;
}

static bool column_there(sqlite3 *db, const struct ddl *d)
{
	return sqlite3_table_column_metadata(db, "main", d->name, d->column, NULL, NULL, NULL, NULL, NULL) ==
	       SQLITE_OK;
}

static int drop(sqlite3 *db, const char *type, const char *name, struct err *err)
{
	char *sql = sqlite3_mprintf("DROP %s \"%w\"", type, name);
	int rc = sql != NULL ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
	sqlite3_free(sql);
	return rc == SQLITE_OK ? 0 : err_set(err, ERR_DB, "drop %s %s: %s", type, name, sqlite3_errmsg(db));
}

int ddl_apply(sqlite3 *db, const struct policy *p, struct err *err)
{
	_cleanup_(buf_release) struct buf sql = { 0 };
	_cleanup_(buf_release) struct buf type = { 0 };
	for (uint32_t i = 0; i < p->nstatements; i++) {
		struct ddl d, stored;
		int code = ddl_class(p->statements[i], &d, err);
		if (code != 0)
			return code;
		if (d.class == DDL_COLUMN) {
			if (column_there(db, &d))
				continue;
		} else if (object_sql(db, d.name, &type, &sql)) {
			const char *want = d.class == DDL_TABLE  ? "table"
					   : d.class == DDL_VIEW ? "view"
								 : "index";
			if (strcmp(buf_text(&type), want) != 0)
				return err_set(err, ERR_SCHEMA,
					       "%s is a %s in this database; the policy makes it a %s",
					       d.name, buf_text(&type), want);
			if (d.class == DDL_TABLE ||
			    (ddl_class(buf_text(&sql), &stored, NULL) == 0 && stored.class == d.class &&
			     same_sql(stored.rest, d.rest)))
				continue;
			if ((code = drop(db, want, d.name, err)) != 0)
				return code;
		}
		if ((code = ddl_run(db, p->statements[i], err)) != 0)
			return code;
	}
	return 0;
}

/* The CREATE TABLE statement of a table, or NULL. */
static const char *create_of(const struct policy *p, const char *table)
{
	struct ddl d;
	for (uint32_t i = 0; i < p->nstatements; i++)
		if (ddl_class(p->statements[i], &d, NULL) == 0 && d.class == DDL_TABLE &&
		    strcasecmp(d.name, table) == 0)
			return d.rest;
	return NULL;
}

static const char *column_of(const struct policy *p, const char *table, const char *column)
{
	struct ddl d;
	for (uint32_t i = 0; i < p->nstatements; i++)
		if (ddl_class(p->statements[i], &d, NULL) == 0 && d.class == DDL_COLUMN &&
		    strcasecmp(d.name, table) == 0 && strcasecmp(d.column, column) == 0)
			return d.rest;
	return NULL;
}

int ddl_follows(const struct policy *before, const struct policy *after, struct err *err)
{
	for (uint32_t i = 0; i < before->nstatements; i++) {
		struct ddl d;
		int code = ddl_class(before->statements[i], &d, err);
		if (code != 0)
			return code;
		if (d.class == DDL_TABLE) {
			const char *now = create_of(after, d.name);
			if (now == NULL)
				return err_set(err, ERR_POLICY,
					       "table %s is dropped; a table stays once it was published",
					       d.name);
			if (!same_sql(now, d.rest))
				return err_set(err, ERR_POLICY,
					       "table %s: its CREATE TABLE differs from version %llu's; "
					       "leave it as it "
					       "was and add columns with ALTER TABLE … ADD COLUMN",
					       d.name, (unsigned long long)before->version);
		} else if (d.class == DDL_COLUMN) {
			const char *now = column_of(after, d.name, d.column);
			if (now == NULL)
				return err_set(err, ERR_POLICY,
					       "column %s of table %s is dropped; a column stays once it was "
					       "published",
					       d.column, d.name);
			if (!same_sql(now, d.rest))
				return err_set(err, ERR_POLICY,
					       "column %s of table %s differs from version %llu's; leave it "
					       "as it was",
					       d.column, d.name, (unsigned long long)before->version);
		}
	}
	return 0;
}
