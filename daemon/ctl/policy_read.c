/* Policy reader: walks the scanned tree, which knows order and lines, and takes the values from libConfuse. */
#include <confuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "core/limits.h"
#include "ctl/policy_confuse.h"
#include "ctl/policy_read.h"
#include "ctl/policy_text.h"
#include "store/ddl.h"

struct reading {
	const char *path;
	struct arena *a;
	struct err *err;
	bool failed; /* err is filled; what follows is skipped */
};

/* One block: its place in the text and its values. */
struct block {
	struct reading *x;
	const struct policy_node *node;
	cfg_t *cfg;
};

static void fail(struct reading *x, uint32_t line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void fail(struct reading *x, uint32_t line, const char *format, ...)
{
	char text[400];
	va_list list;
	if (x->failed)
		return;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	err_set(x->err, ERR_POLICY, "%s:%u: %s", x->path, line, text);
	x->failed = true;
}

static void *array(struct reading *x, size_t n, size_t size)
{
	void *p = arena_array(x->a, n > 0 ? n : 1, size);
	if (p == NULL && !x->failed) {
		err_set(x->err, ERR_NOMEM, "%s: no memory", x->path);
		x->failed = true;
	}
	return p;
}

static const char *copy(struct reading *x, const char *text)
{
	const char *c = arena_text(x->a, slice_of(text));
	if (c == NULL && !x->failed) {
		err_set(x->err, ERR_NOMEM, "%s: no memory", x->path);
		x->failed = true;
	}
	return c != NULL ? c : "";
}

static uint32_t line_of(const struct block *b, const char *key)
{
	const struct policy_node *n = policy_text_find(b->node, key, NULL);
	return n != NULL ? n->line : b->node->line;
}

static bool given(const struct block *b, const char *key)
{
	return policy_text_find(b->node, key, NULL) != NULL;
}

/* A key's text; NULL where it is not given, an error where it is empty. */
static const char *text(const struct block *b, const char *key)
{
	if (!given(b, key))
		return NULL;
	const char *t = cfg_getstr(b->cfg, key);
	if (t == NULL || t[0] == '\0') {
		fail(b->x, line_of(b, key), "%s is empty", key);
		return NULL;
	}
	return copy(b->x, t);
}

static const char *needed(const struct block *b, const char *key)
{
	if (!given(b, key)) {
		fail(b->x, b->node->line, "%s %s: %s is missing", b->node->kind,
		     b->node->title != NULL ? b->node->title : "", key);
		return "";
	}
	const char *t = text(b, key);
	return t != NULL ? t : "";
}

static const char **texts(const struct block *b, const char *key, uint32_t *ret_n)
{
	uint32_t n = given(b, key) ? cfg_size(b->cfg, key) : 0;
	const char **list = array(b->x, n, sizeof(*list));
	*ret_n = 0;
	for (uint32_t i = 0; list != NULL && i < n; i++) {
		const char *t = cfg_getnstr(b->cfg, key, i);
		if (t == NULL || t[0] == '\0')
			fail(b->x, line_of(b, key), "%s has an empty member", key);
		list[(*ret_n)++] = t != NULL ? copy(b->x, t) : "";
	}
	return list;
}

/* One of several words; the first is taken where nothing is said. */
static uint32_t choice(const struct block *b, const char *key, const char *const *words, uint32_t n)
{
	const char *t = text(b, key);
	for (uint32_t i = 0; t != NULL && i < n; i++)
		if (strcmp(t, words[i]) == 0)
			return i;
	if (t != NULL) {
		char all[120] = "";
		for (uint32_t i = 0; i < n; i++)
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i > 0 ? " or " : "",
				 words[i]);
		fail(b->x, line_of(b, key), "%s = %.60s: it is %s", key, t, all);
	}
	return 0;
}

static bool yes(const struct block *b, const char *key)
{
	static const char *const words[] = { "false", "true" };
	return choice(b, key, words, ARRAY_SIZE(words)) == 1;
}

static uint64_t number(const struct block *b, const char *key, uint64_t least, uint64_t most)
{
	uint64_t n = 0;
	const char *t = text(b, key);
	if (t != NULL && text_number(t, least, most, &n) != 0)
		fail(b->x, line_of(b, key), "%s = %.60s: it is a number from %llu to %llu", key, t,
		     (unsigned long long)least, (unsigned long long)most);
	return n;
}

static const char *date(const struct block *b, const char *key)
{
	const char *t = text(b, key);
	if (t != NULL && !policy_date_good(t))
		fail(b->x, line_of(b, key), "%s = %.60s: it is no date (YYYY-MM-DD)", key, t);
	return t;
}

static enum level level(const struct block *b, const char *key, enum level otherwise)
{
	enum level l = otherwise;
	const char *t = text(b, key);
	if (t != NULL && level_parse(t, &l) != 0)
		fail(b->x, line_of(b, key),
		     "%s = %.60s: levels are province, prefecture, county, township, village", key, t);
	return l;
}

static uint8_t levels(const struct block *b, const char *key)
{
	uint32_t n;
	uint8_t all = 0;
	const char **list = texts(b, key, &n);
	for (uint32_t i = 0; list != NULL && i < n; i++) {
		enum level l;
		if (level_parse(list[i], &l) != 0)
			fail(b->x, line_of(b, key),
			     "%s: %.60s: levels are province, prefecture, county, township, village", key,
			     list[i]);
		else if (all & 1u << l)
			fail(b->x, line_of(b, key), "%s: %s is named twice", key, list[i]);
		else
			all |= (uint8_t)(1u << l);
	}
	if (n == 0 && given(b, key))
		fail(b->x, line_of(b, key), "%s names no level; leave it out", key);
	return all;
}

static uint32_t count(const struct policy_node *in, const char *kind)
{
	uint32_t n = 0;
	for (const struct policy_node *c = in->first; c != NULL; c = c->next)
		n += strcmp(c->kind, kind) == 0;
	return n;
}

/* The blocks of one kind in the order of the text: `for (b = inner(&outer, kind); b.node; b = following(…))`. */
static struct block block_at(const struct block *outer, const char *kind, const struct policy_node *n,
			     uint32_t i)
{
	while (n != NULL && strcmp(n->kind, kind) != 0)
		n = n->next;
	struct block b = { outer->x, n, n != NULL ? cfg_getnsec(outer->cfg, kind, i) : NULL };
	if (n != NULL && (b.cfg == NULL || (n->title != NULL && strcmp(cfg_title(b.cfg), n->title) != 0))) {
		fail(outer->x, n->line, "%s %s: the two readers of this text do not agree", kind,
		     n->title != NULL ? n->title : "");
		b.node = NULL;
	}
	return b;
}

#define EACH(b, outer, kind) \
	struct block b = block_at(outer, kind, (outer)->node->first, 0); \
	for (uint32_t b##_i = 0; (b).node != NULL && !(outer)->x->failed; \
	     b = block_at(outer, kind, (b).node->next, ++b##_i))

static void read_group_row(const struct block *b, struct policy_register *r)
{
	static const char *const others[] = { "columns", "own", "lock", "lock_say", "on_conflict" };
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (given(b, others[i]))
			fail(b->x, line_of(b, others[i]),
			     "group row has create, delete and propose; %s is for other groups", others[i]);
	r->create = levels(b, "create");
	r->remove = levels(b, "delete");
	r->propose = levels(b, "propose");
}

static void read_group(const struct block *b, struct policy_group *g)
{
	if (given(b, "create") || given(b, "delete"))
		fail(b->x, line_of(b, given(b, "create") ? "create" : "delete"),
		     "create and delete are for group row");
	g->name = copy(b->x, b->node->title);
	g->columns = texts(b, "columns", &g->ncolumns);
	g->own = levels(b, "own");
	g->propose = levels(b, "propose");
	g->lock = text(b, "lock");
	g->lock_say = text(b, "lock_say");
	g->on_conflict = text(b, "on_conflict");
	const char *c = g->on_conflict;
	if (c != NULL && ((strncmp(c, "max ", 4) != 0 && strncmp(c, "min ", 4) != 0) || c[4] == '\0'))
		fail(b->x, line_of(b, "on_conflict"), "on_conflict is \"max COLUMN\" or \"min COLUMN\"");
}

static void read_rules(const struct block *b, struct policy_register *r)
{
	static const char *const severities[] = { "refuse", "warn" };
	struct policy_rule *rules = array(b->x, count(b->node, "rule"), sizeof(*rules));
	struct policy_deadline *deadlines = array(b->x, count(b->node, "deadline"), sizeof(*deadlines));
	if (b->x->failed)
		return;
	r->rules = rules;
	r->deadlines = deadlines;
	EACH(c, b, "rule") {
		struct policy_rule *rule = &rules[r->nrules++];
		rule->name = copy(b->x, c.node->title);
		rule->check = needed(&c, "check");
		rule->say = needed(&c, "say");
		rule->warn = choice(&c, "severity", severities, ARRAY_SIZE(severities)) == 1;
		rule->at = levels(&c, "at");
		if (!given(&c, "at"))
			fail(b->x, c.node->line, "rule %s: at is missing: the levels that check it",
			     rule->name);
	}
	EACH(d, b, "deadline") {
		struct policy_deadline *line = &deadlines[r->ndeadlines++];
		line->name = copy(b->x, d.node->title);
		line->from = needed(&d, "from");
		line->to = needed(&d, "to");
		line->working_days = given(&d, "working_days");
		if (line->working_days == given(&d, "days"))
			fail(b->x, d.node->line, "deadline %s: give either days or working_days", line->name);
		line->days = (uint32_t)number(&d, line->working_days ? "working_days" : "days", 1, 36500);
	}
}

/* Words that only the printers of notices and the cleaner read: one "block key = value" a line, in their order. */
static void hold_words(const struct block *b, struct buf *hold)
{
	for (const struct policy_node *n = b->node->first; n != NULL && !b->x->failed; n = n->next) {
		bool publish = strcmp(b->node->kind, "publish") == 0;
		if ((publish && strcmp(n->kind, "columns") == 0) ||
		    (!publish && strcmp(n->kind, "days") == 0))
			continue;
		for (uint32_t i = 0; i < cfg_size(b->cfg, n->kind); i++)
			buf_printf(hold, "%s%s %s = %s", hold->n > 0 ? "\n" : "", b->node->kind, n->kind,
				   cfg_getnstr(b->cfg, n->kind, i));
	}
}

static void read_publish(const struct block *b, struct policy_register *r)
{
	_cleanup_(buf_release) struct buf hold = { 0 };
	EACH(p, b, "publish") {
		if (!given(&p, "columns"))
			fail(b->x, p.node->line, "publish: columns is missing");
		r->publish = texts(&p, "columns", &r->npublish);
		hold_words(&p, &hold);
	}
	EACH(t, b, "retention") {
		if (!given(&t, "days"))
			fail(b->x, t.node->line, "retention: days is missing");
		r->retention_days = (uint32_t)number(&t, "days", 1, 36500);
		hold_words(&t, &hold);
	}
	r->hold = hold.n > 0 ? copy(b->x, buf_text(&hold)) : NULL;
}

/* A column, origin, all, or "via COLUMN -> REGISTER". */
static void read_unit(const struct block *b, struct policy_register *r)
{
	const char *unit = needed(b, "unit");
	if (strcmp(unit, "origin") == 0 || strcmp(unit, "all") == 0) {
		r->unit_source = unit[0] == 'o' ? UNIT_ORIGIN : UNIT_ALL;
	} else if (strncmp(unit, "via ", 4) == 0) {
		const char *arrow = strstr(unit, " -> ");
		r->unit_source = UNIT_VIA;
		if (arrow == NULL || arrow <= unit + 4 || arrow[4] == '\0') {
			fail(b->x, line_of(b, "unit"), "unit = \"%.60s\": write \"via COLUMN -> REGISTER\"",
			     unit);
			return;
		}
		r->unit_column = arena_text(
			b->x->a, (struct slice){ (const uint8_t *)unit + 4, (size_t)(arrow - unit - 4) });
		r->unit_register = copy(b->x, arrow + 4);
	} else {
		r->unit_source = UNIT_COLUMN;
		r->unit_column = unit;
	}
}

static void read_register(const struct block *b, struct policy_register *r)
{
	static const char *const schemas[] = { "policy", "application" };
	static const char *const keys[] = { "enforce", "ignore" };
	r->name = copy(b->x, b->node->title);
	r->key = texts(b, "key", &r->nkey);
	if (!given(b, "key"))
		fail(b->x, b->node->line,
		     "register %s: key is missing; a row without a key cannot be told from another", r->name);
	read_unit(b, r);
	r->ceiling = level(b, "ceiling", PROVINCE);
	r->floor = level(b, "floor", VILLAGE);
	if (r->ceiling > r->floor)
		fail(b->x, line_of(b, "floor"), "register %s: the floor stands above the ceiling", r->name);
	r->assigned = yes(b, "assigned");
	r->application_schema = choice(b, "schema", schemas, 2) == 1;
	r->ignore_foreign_keys = choice(b, "foreign_keys", keys, 2) == 1;
	r->local = texts(b, "local", &r->nlocal);
	r->identity = texts(b, "identity", &r->nidentity);
	uint32_t ngroups = count(b->node, "group");
	if (ngroups > LIMIT_GROUPS)
		fail(b->x, b->node->line, "register %s: at most %u groups", r->name, LIMIT_GROUPS - 1);
	struct policy_group *groups = array(b->x, ngroups, sizeof(*groups));
	if (b->x->failed)
		return;
	r->groups = groups;
	if (policy_text_find(b->node, "group", "row") == NULL)
		fail(b->x, b->node->line, "register %s: group row is missing; say who may create a row",
		     r->name);
	EACH(g, b, "group") {
		if (strcmp(g.node->title, "row") == 0)
			read_group_row(&g, r);
		else
			read_group(&g, &groups[r->ngroups++]);
	}
	read_rules(b, r);
	read_publish(b, r);
	r->remove = policy_remove(r);
}

static int by_date(const void *a, const void *b)
{
	const struct policy_parameter_value *x = a, *y = b;
	return strcmp(x->from, y->from);
}

static void read_parameter(const struct block *b, struct policy_parameter *q)
{
	q->name = copy(b->x, b->node->title);
	q->unit = text(b, "unit");
	struct policy_parameter_value *values = array(b->x, count(b->node, "from"), sizeof(*values));
	if (values == NULL)
		return;
	EACH(v, b, "from") {
		struct policy_parameter_value *value = &values[q->nvalues++];
		value->from = copy(b->x, v.node->title);
		value->value = needed(&v, "value");
		if (!policy_date_good(value->from))
			fail(b->x, v.node->line, "from \"%.60s\": it is no date (YYYY-MM-DD)", value->from);
	}
	if (q->nvalues == 0)
		fail(b->x, b->node->line, "parameter %s has no value; say from \"DATE\" { value = \"…\" }",
		     q->name);
	else
		qsort(values, q->nvalues, sizeof(*values), by_date);
	q->values = values;
}

struct words {
	const char **at;
	uint32_t n, room;
};

static void add_word(struct reading *x, struct words *w, const char *key, const char *value)
{
	if (w->n + 2 > w->room) {
		w->room = w->room == 0 ? 32 : 2 * w->room;
		const char **more = array(x, w->room, sizeof(*more));
		if (more == NULL) {
			w->room = w->n;
			return;
		}
		if (w->n > 0)
			memcpy(more, w->at, w->n * sizeof(*more));
		w->at = more;
	}
	w->at[w->n++] = copy(x, key);
	w->at[w->n++] = copy(x, value);
}

static void add_keys(const struct block *b, struct words *w)
{
	for (const struct policy_node *n = b->node->first; n != NULL && !b->x->failed; n = n->next)
		for (uint32_t i = 0; !n->block && i < cfg_size(b->cfg, n->kind); i++)
			add_word(b->x, w, n->kind, cfg_getnstr(b->cfg, n->kind, i));
}

/* Kinds of blocks that are kept as words, what each must say, and its inner block. */
static const struct named_kind {
	const char *kind, *needs[3], *inner, *inner_needs;
} named_kinds[] = {
	{ "report", { "register", "level", "period" }, "figure", "sql" },
	{ "calendar", { NULL }, NULL, NULL },
	{ "codes", { NULL }, "code", "name" },
	{ "delegate", { "level" }, NULL, NULL },
	{ "revoke", { "serial" }, "stream", "position" },
};

static void read_named(const struct block *b, const struct named_kind *k, struct policy_named *n)
{
	struct words w = { 0 };
	n->kind = k->kind;
	n->name = copy(b->x, b->node->title);
	for (size_t i = 0; i < ARRAY_SIZE(k->needs) && k->needs[i] != NULL; i++)
		needed(b, k->needs[i]);
	add_keys(b, &w);
	if (k->inner != NULL) {
		EACH(c, b, k->inner) {
			needed(&c, k->inner_needs);
			if (given(&c, "from"))
				date(&c, "from");
			if (given(&c, "to"))
				date(&c, "to");
			add_word(b->x, &w, k->inner, c.node->title);
			add_keys(&c, &w);
		}
	}
	n->words = w.at;
	n->nwords = w.n;
}

/* SQL files, one after the other, relative to the policy's folder. */
static void read_schema(const struct block *b, struct policy *p)
{
	_cleanup_(buf_release) struct buf all = { 0 };
	uint32_t n, line = line_of(b, "schema");
	const char **files = texts(b, "schema", &n), *slash = strrchr(b->x->path, '/');
	for (uint32_t i = 0; i < n && !b->x->failed; i++) {
		_cleanup_(buf_release) struct buf file = { 0 };
		_cleanup_(free_pointer) char *folder =
			slash != NULL ? strndup(b->x->path, (size_t)(slash - b->x->path) + 1) : strdup(".");
		_cleanup_(free_pointer) char *name = folder != NULL ? path_join(folder, files[i]) : NULL;
		struct err why = { 0 };
		if (name == NULL || file_read(name, LIMIT_POLICY_TEXT, &file, &why) != 0) {
			fail(b->x, line, "schema: %s", name == NULL ? "no memory" : why.text);
			return;
		}
		const char **list;
		uint32_t count_here;
		if (ddl_split(buf_slice(&file), b->x->a, &list, &count_here, &why) != 0) {
			fail(b->x, line, "schema %s: %s", files[i], why.text);
			return;
		}
		all.cap = 0;
		buf_put(&all, list, count_here * sizeof(*list));
	}
	p->nstatements = (uint32_t)(all.n / sizeof(*p->statements));
	p->statements = array(b->x, p->nstatements, sizeof(*p->statements));
	size_t bytes = 0;
	if (p->statements == NULL || all.failed)
		return;
	if (all.n > 0)
		memcpy(p->statements, all.p, all.n);
	for (uint32_t i = 0; i < p->nstatements; i++)
		bytes += strlen(p->statements[i]);
	if (bytes > LIMIT_POLICY_TEXT)
		fail(b->x, line, "schema: all statements together have %zu bytes; at most %u", bytes,
		     LIMIT_POLICY_TEXT);
}

static void read_policy(const struct block *b, struct policy *p)
{
	struct policy_register *registers = array(b->x, count(b->node, "register"), sizeof(*registers));
	struct policy_parameter *parameters = array(b->x, count(b->node, "parameter"), sizeof(*parameters));
	uint32_t nnamed = 0;
	for (size_t i = 0; i < ARRAY_SIZE(named_kinds); i++)
		nnamed += count(b->node, named_kinds[i].kind);
	struct policy_named *named = array(b->x, nnamed, sizeof(*named));
	if (b->x->failed)
		return;
	p->registers = registers;
	p->parameters = parameters;
	p->named = named;
	p->name = copy(b->x, b->node->title);
	needed(b, "version");
	p->version = number(b, "version", 1, LIMIT_TICK - 1);
	p->effective = date(b, "effective");
	p->expires = date(b, "expires");
	read_schema(b, p);
	EACH(q, b, "parameter")
		read_parameter(&q, &parameters[p->nparameters++]);
	EACH(r, b, "register")
		read_register(&r, &registers[p->nregisters++]);
	for (size_t i = 0; i < ARRAY_SIZE(named_kinds); i++) {
		EACH(n, b, named_kinds[i].kind)
			read_named(&n, &named_kinds[i], &named[p->nnamed++]);
	}
}

static void release_cfg(cfg_t **cfg)
{
	if (*cfg != NULL)
		cfg_free(*cfg);
}

int policy_read_text(const char *path, struct slice content, struct arena *a, struct policy *ret,
		     struct err *err)
{
	_cleanup_(buf_release) struct buf plain = { 0 };
	_cleanup_(release_cfg) cfg_t *cfg = NULL;
	struct policy_node *root;
	struct reading x = { .path = path, .a = a, .err = err };
	struct policy p = { 0 };
	struct policy_where where;
	int code = policy_text_scan(path, content, a, &root, &plain, err);
	if (code != 0)
		return code;
	if (plain.failed)
		return err_set(err, ERR_NOMEM, "%s: no memory", path);
	if ((code = policy_confuse(path, &plain, &cfg, err)) != 0)
		return code;
	if (root->first == NULL)
		return err_set(err, ERR_POLICY, "%s:1: the file holds no policy", path);
	if (root->first->next != NULL)
		return err_set(err, ERR_POLICY, "%s:%u: one file holds one policy", path,
			       root->first->next->line);
	struct block outside = { &x, root, cfg };
	EACH(b, &outside, "policy")
		read_policy(&b, &p);
	if (x.failed)
		return err != NULL && err->code != 0 ? err->code : ERR_POLICY;
	p.text = arena_slice(a, content);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "%s: no memory", path);
	if ((code = policy_sound(&p, &where, err)) != 0) {
		policy_blame(&p, path, &where, err);
		return code;
	}
	*ret = p;
	return 0;
}

int policy_read(const char *path, struct arena *a, struct policy *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf content = { 0 };
	int code = file_read(path, LIMIT_POLICY_TEXT, &content, err);
	return code != 0 ? code : policy_read_text(path, buf_slice(&content), a, ret, err);
}
