/* Policy: the canonical form, format 1.  What is signed, sent and activated is these bytes, nothing else.
 *
 * Notation: varint as in base/bytes.h; u8 one byte; text = varint length, UTF-8 bytes without NUL; opt = text,
 * where length 0 means that nothing was said; list(x) = varint count, then x count times; levels = u8, bit 0
 * province, 1 prefecture, 2 county, 3 township, 4 village, other bits 0; level = u8 0..4 in the same order.
 *
 *   policy      = varint format (1)
 *                 text name, varint issuer (12-digit code as a number; 0 in a checked text), varint version (>= 1)
 *                 opt effective, opt expires                      dates YYYY-MM-DD
 *                 list(text statement)                            DDL, one statement each, in order of execution,
 *                                                                 without surrounding blanks, comments or `;`
 *                 list(register), list(parameter), list(named)    in the order of the text
 *                 text source                                     the policy file as written, for people
 *   register    = text name, list(text column) key
 *                 u8 unit (0 column, 1 origin, 2 via, 3 all), opt unit column (0, 2), opt unit register (2)
 *                 level ceiling, level floor
 *                 u8 flags (1 assigned, 2 schema = application, 4 foreign_keys = ignore; others 0)
 *                 levels create, levels delete, levels propose    of group row; delete is never empty: where the
 *                                                                 text says nothing, the highest owner of any group
 *                 list(group), list(rule), list(deadline)
 *                 list(text) identity, list(text) local, list(text) publish, opt hold, varint retention days
 *   group       = text name, list(text column), levels own, levels propose, opt lock, opt lock_say, opt on_conflict
 *   rule        = text name, text check, text say, u8 severity (0 refuse, 1 warn), levels at
 *   deadline    = text name, text from, text to, varint days, u8 (1 = working days)
 *   parameter   = text name, opt unit of measure, list(text from, text value), dates ascending
 *   named       = text kind, text name, list(text key, text value)     report, calendar, codes, delegate, revoke:
 *                                                                      its own keys in the order of the text, then
 *                                                                      each inner block: (kind, title) and its keys;
 *                                                                      a list repeats its key
 *
 * Nothing follows.  A reader refuses a varint that is not the shortest, bits and values that are not listed, and
 * every policy that is not sound (policy_sound), so two policies are the same exactly if their bytes are. */
#include <string.h>

#include "base/text.h"
#include "core/limits.h"
#include "core/policy.h"
#include "core/policy_sound.h"

#define FORMAT 1u
#define MOST_STATEMENTS 4096u
#define FLAG_ASSIGNED 1u
#define FLAG_APPLICATION 2u
#define FLAG_IGNORE_FK 4u
#define FLAGS 7u

static void put_opt(struct buf *b, const char *text)
{
	buf_put_text(b, text != NULL ? text : "");
}

static void put_texts(struct buf *b, const char *const *texts, uint32_t n)
{
	buf_put_varint(b, n);
	for (uint32_t i = 0; i < n; i++)
		buf_put_text(b, texts[i]);
}

static void put_group(struct buf *b, const struct policy_group *g)
{
	buf_put_text(b, g->name);
	put_texts(b, g->columns, g->ncolumns);
	buf_put_u8(b, g->own);
	buf_put_u8(b, g->propose);
	put_opt(b, g->lock);
	put_opt(b, g->lock_say);
	put_opt(b, g->on_conflict);
}

static void put_rules(struct buf *b, const struct policy_register *r)
{
	buf_put_varint(b, r->nrules);
	for (uint32_t i = 0; i < r->nrules; i++) {
		buf_put_text(b, r->rules[i].name);
		buf_put_text(b, r->rules[i].check);
		buf_put_text(b, r->rules[i].say);
		buf_put_u8(b, r->rules[i].warn);
		buf_put_u8(b, r->rules[i].at);
	}
	buf_put_varint(b, r->ndeadlines);
	for (uint32_t i = 0; i < r->ndeadlines; i++) {
		buf_put_text(b, r->deadlines[i].name);
		buf_put_text(b, r->deadlines[i].from);
		buf_put_text(b, r->deadlines[i].to);
		buf_put_varint(b, r->deadlines[i].days);
		buf_put_u8(b, r->deadlines[i].working_days);
	}
}

static void put_register(struct buf *b, const struct policy_register *r)
{
	buf_put_text(b, r->name);
	put_texts(b, r->key, r->nkey);
	buf_put_u8(b, (uint8_t)r->unit_source);
	put_opt(b, r->unit_column);
	put_opt(b, r->unit_register);
	buf_put_u8(b, (uint8_t)r->ceiling);
	buf_put_u8(b, (uint8_t)r->floor);
	buf_put_u8(b, (uint8_t)((r->assigned ? FLAG_ASSIGNED : 0) |
				(r->application_schema ? FLAG_APPLICATION : 0) |
				(r->ignore_foreign_keys ? FLAG_IGNORE_FK : 0)));
	buf_put_u8(b, r->create);
	buf_put_u8(b, policy_remove(r));
	buf_put_u8(b, r->propose);
	buf_put_varint(b, r->ngroups);
	for (uint32_t i = 0; i < r->ngroups; i++)
		put_group(b, &r->groups[i]);
	put_rules(b, r);
	put_texts(b, r->identity, r->nidentity);
	put_texts(b, r->local, r->nlocal);
	put_texts(b, r->publish, r->npublish);
	put_opt(b, r->hold);
	buf_put_varint(b, r->retention_days);
}

int policy_put(const struct policy *p, struct buf *b, struct err *err)
{
	struct policy_where where;
	int code = policy_sound(p, &where, err);
	if (code != 0)
		return code;
	if (p->nstatements > MOST_STATEMENTS)
		return err_set(err, ERR_LIMIT, "policy %s: at most %u statements", p->name, MOST_STATEMENTS);
	buf_put_varint(b, FORMAT);
	buf_put_text(b, p->name);
	buf_put_varint(b, p->issuer);
	buf_put_varint(b, p->version);
	put_opt(b, p->effective);
	put_opt(b, p->expires);
	put_texts(b, p->statements, p->nstatements);
	buf_put_varint(b, p->nregisters);
	for (uint32_t i = 0; i < p->nregisters; i++)
		put_register(b, &p->registers[i]);
	buf_put_varint(b, p->nparameters);
	for (uint32_t i = 0; i < p->nparameters; i++) {
		const struct policy_parameter *q = &p->parameters[i];
		buf_put_text(b, q->name);
		put_opt(b, q->unit);
		buf_put_varint(b, q->nvalues);
		for (uint32_t j = 0; j < q->nvalues; j++) {
			buf_put_text(b, q->values[j].from);
			buf_put_text(b, q->values[j].value);
		}
	}
	buf_put_varint(b, p->nnamed);
	for (uint32_t i = 0; i < p->nnamed; i++) {
		buf_put_text(b, p->named[i].kind);
		buf_put_text(b, p->named[i].name);
		buf_put_varint(b, p->named[i].nwords / 2);
		for (uint32_t j = 0; j + 1 < p->named[i].nwords; j += 2) {
			buf_put_text(b, p->named[i].words[j]);
			buf_put_text(b, p->named[i].words[j + 1]);
		}
	}
	buf_put_slice(b, p->text);
	return b->failed ? err_set(err, ERR_NOMEM, "policy %s: no memory for its canonical form", p->name)
			 : 0;
}

/* Reading: r->bad carries what the bytes lack; the arena's failed flag is asked once, at the end. */
struct source {
	struct reader r;
	struct arena *a;
};

static const char *get_text(struct source *s)
{
	struct slice t = read_slice(&s->r);
	if (s->r.bad || (t.n > 0 && (memchr(t.p, 0, t.n) != NULL || !utf8_valid(t)))) {
		s->r.bad = true;
		return "";
	}
	const char *text = arena_text(s->a, t);
	return text != NULL ? text : "";
}

static const char *get_opt(struct source *s)
{
	const char *text = get_text(s);
	return text[0] != '\0' ? text : NULL;
}

static uint8_t get_below(struct source *s, unsigned most)
{
	uint8_t x = read_u8(&s->r);
	if (x > most) {
		s->r.bad = true;
		return 0;
	}
	return x;
}

static uint8_t get_levels(struct source *s)
{
	return get_below(s, (1u << LEVELS) - 1);
}

static uint32_t get_number(struct source *s, uint32_t most)
{
	uint64_t x = read_varint(&s->r);
	if (x > most) {
		s->r.bad = true;
		return 0;
	}
	return (uint32_t)x;
}

/* A list's memory; every element takes a byte at least, so read_count bounds it by the bytes that are there. */
static void *get_list(struct source *s, uint32_t most, size_t size, uint32_t *ret_n)
{
	uint64_t n = read_count(&s->r, most);
	void *list = n > 0 && !s->r.bad ? arena_array(s->a, n, size) : NULL;
	*ret_n = list != NULL ? (uint32_t)n : 0;
	if (n > 0 && list == NULL)
		s->r.bad = true;
	return list;
}

static const char **get_texts(struct source *s, uint32_t most, uint32_t *ret_n)
{
	const char **texts = get_list(s, most, sizeof(*texts), ret_n);
	for (uint32_t i = 0; i < *ret_n; i++)
		texts[i] = get_text(s);
	return texts;
}

static void get_groups(struct source *s, struct policy_register *ret)
{
	struct policy_group *groups = get_list(s, LIMIT_GROUPS - 1, sizeof(*groups), &ret->ngroups);
	ret->groups = groups;
	for (uint32_t i = 0; i < ret->ngroups; i++) {
		struct policy_group *g = &groups[i];
		g->name = get_text(s);
		g->columns = get_texts(s, LIMIT_COLUMNS, &g->ncolumns);
		g->own = get_levels(s);
		g->propose = get_levels(s);
		g->lock = get_opt(s);
		g->lock_say = get_opt(s);
		g->on_conflict = get_opt(s);
	}
}

static void get_rules(struct source *s, struct policy_register *ret)
{
	struct policy_rule *rules = get_list(s, LIMIT_POLICY_BLOCKS, sizeof(*rules), &ret->nrules);
	ret->rules = rules;
	for (uint32_t i = 0; i < ret->nrules; i++) {
		rules[i].name = get_text(s);
		rules[i].check = get_text(s);
		rules[i].say = get_text(s);
		rules[i].warn = get_below(s, 1);
		rules[i].at = get_levels(s);
	}
	struct policy_deadline *deadlines =
		get_list(s, LIMIT_POLICY_BLOCKS, sizeof(*deadlines), &ret->ndeadlines);
	ret->deadlines = deadlines;
	for (uint32_t i = 0; i < ret->ndeadlines; i++) {
		deadlines[i].name = get_text(s);
		deadlines[i].from = get_text(s);
		deadlines[i].to = get_text(s);
		deadlines[i].days = get_number(s, UINT32_MAX);
		deadlines[i].working_days = get_below(s, 1);
	}
}

static void get_register(struct source *s, struct policy_register *ret)
{
	ret->name = get_text(s);
	ret->key = get_texts(s, LIMIT_COLUMNS, &ret->nkey);
	ret->unit_source = (enum unit_source)get_below(s, UNIT_ALL);
	ret->unit_column = get_opt(s);
	ret->unit_register = get_opt(s);
	ret->ceiling = (enum level)get_below(s, VILLAGE);
	ret->floor = (enum level)get_below(s, VILLAGE);
	uint8_t flags = get_below(s, FLAGS);
	ret->assigned = flags & FLAG_ASSIGNED;
	ret->application_schema = flags & FLAG_APPLICATION;
	ret->ignore_foreign_keys = flags & FLAG_IGNORE_FK;
	ret->create = get_levels(s);
	ret->remove = get_levels(s);
	if (ret->remove == 0)
		s->r.bad = true;
	ret->propose = get_levels(s);
	get_groups(s, ret);
	get_rules(s, ret);
	ret->identity = get_texts(s, LIMIT_COLUMNS, &ret->nidentity);
	ret->local = get_texts(s, LIMIT_COLUMNS, &ret->nlocal);
	ret->publish = get_texts(s, LIMIT_COLUMNS, &ret->npublish);
	ret->hold = get_opt(s);
	ret->retention_days = get_number(s, UINT32_MAX);
}

static void get_rest(struct source *s, struct policy *ret)
{
	struct policy_parameter *parameters =
		get_list(s, LIMIT_POLICY_BLOCKS, sizeof(*parameters), &ret->nparameters);
	ret->parameters = parameters;
	for (uint32_t i = 0; i < ret->nparameters; i++) {
		struct policy_parameter *q = &parameters[i];
		q->name = get_text(s);
		q->unit = get_opt(s);
		struct policy_parameter_value *values =
			get_list(s, LIMIT_POLICY_BLOCKS, sizeof(*values), &q->nvalues);
		q->values = values;
		for (uint32_t j = 0; j < q->nvalues; j++) {
			values[j].from = get_text(s);
			values[j].value = get_text(s);
		}
	}
	struct policy_named *named = get_list(s, LIMIT_POLICY_BLOCKS, sizeof(*named), &ret->nnamed);
	ret->named = named;
	for (uint32_t i = 0; i < ret->nnamed; i++) {
		named[i].kind = get_text(s);
		named[i].name = get_text(s);
		uint32_t pairs;
		const char **words = get_list(s, LIMIT_POLICY_TEXT, 2 * sizeof(*words), &pairs);
		for (uint32_t j = 0; j < 2 * pairs; j++)
			words[j] = get_text(s);
		named[i].words = words;
		named[i].nwords = 2 * pairs;
	}
	struct slice text = read_slice(&s->r);
	if (text.n > LIMIT_POLICY_TEXT || !utf8_valid(text))
		s->r.bad = true;
	else
		ret->text = arena_slice(s->a, text);
}

int policy_get(struct slice canonical, struct arena *a, struct policy *ret, struct err *err)
{
	struct source s = { .r = reader_of(canonical), .a = a };
	struct policy p = { 0 };
	uint64_t format = read_varint(&s.r);
	if (!s.r.bad && format != FORMAT)
		return err_set(err, ERR_FORMAT,
			       "policy: format %llu is not known here; this version reads format %u",
			       (unsigned long long)format, FORMAT);
	p.name = get_text(&s);
	p.issuer = read_varint(&s.r);
	p.version = read_varint(&s.r);
	p.effective = get_opt(&s);
	p.expires = get_opt(&s);
	p.statements = get_texts(&s, MOST_STATEMENTS, &p.nstatements);
	struct policy_register *registers = get_list(&s, LIMIT_REGISTERS, sizeof(*registers), &p.nregisters);
	p.registers = registers;
	for (uint32_t i = 0; i < p.nregisters && !s.r.bad; i++)
		get_register(&s, &registers[i]);
	if (!s.r.bad)
		get_rest(&s, &p);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "policy: no memory to read it (%zu bytes)", canonical.n);
	if (!reader_done(&s.r))
		return err_set(err, ERR_FORMAT, "policy: the canonical form is malformed (%zu bytes)",
			       canonical.n);
	struct policy_where where;
	int code = policy_sound(&p, &where, err);
	if (code != 0)
		return code;
	*ret = p;
	return 0;
}
