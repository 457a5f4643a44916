/* Report: the table of the reading commands, their options, the parts that documents are made of. */
#include "engine/report_inside.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

/* ---- parts */

json_t *json_unit(uint64_t unit)
{
	char text[UNIT_TEXT_SIZE];

	return unit != UNIT_NONE ? json_string(unit_text(unit, text)) : json_null();
}

json_t *json_level(uint64_t unit)
{
	return unit != UNIT_NONE ? json_string(level_name(unit_level(unit))) : json_null();
}

json_t *json_time(int64_t ms)
{
	char text[RFC3339_SIZE];

	return ms > 0 ? json_string(time_rfc3339(ms, text)) : json_null();
}

json_t *json_count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

json_t *json_words(const char *text)
{
	return text != NULL ? json_slice(slice_of(text)) : json_null();
}

json_t *json_cell(struct cell c)
{
	switch (c.type) {
	case CELL_NULL: return json_null();
	case CELL_INT: return json_integer(c.i);
	case CELL_REAL: return json_real(c.r);
	case CELL_TEXT: return json_slice(c.s);
	case CELL_BLOB: return json_sprintf("(%zu bytes)", c.s.n);
	}
	return json_null();
}

void put(json_t *object, const char *name, json_t *v)
{
	json_object_set_new(object, name, v != NULL ? v : json_null());
}

json_t *json_who(uint64_t unit)
{
	json_t *j;

	if (unit == UNIT_NONE)
		return json_null();
	j = json_object();
	put(j, "unit", json_unit(unit));
	put(j, "level", json_level(unit));
	return j;
}

json_t *json_named(struct report *r, uint64_t unit)
{
	json_t *j = json_who(unit);

	if (unit == r->home->unit && r->home->name != NULL)
		put(j, "name", json_words(r->home->name));
	else if (unit != UNIT_NONE)
		put(j, "name", json_words(report_unit_name(r->db, unit, &r->arena)));
	return j;
}

json_t *json_ident(struct ident i)
{
	json_t *j;

	if (i.unit == UNIT_NONE)
		return json_null();
	j = json_object();
	put(j, "level", json_level(i.unit));
	put(j, "unit", json_unit(i.unit));
	put(j, "epoch", json_count(i.mark.epoch));
	put(j, "tick", json_count(i.mark.tick));
	return j;
}

json_t *json_list(struct report *r, uint64_t hash)
{
	struct policy_entry *entries = NULL;
	uint32_t n = 0;
	json_t *list;

	if (hash == 0)
		return json_array();
	if (policy_list(r->db, hash, &r->arena, &entries, &n, NULL) != 0 || n == 0)
		return json_sprintf("%016llx", (unsigned long long)hash);
	list = json_array();
	for (uint32_t i = 0; i < n; i++) {
		json_t *one = json_object();

		put(one, "issuer", json_unit(entries[i].issuer));
		put(one, "version", json_count(entries[i].version));
		json_array_append_new(list, one);
	}
	return list;
}

json_t *json_key(struct report *r, const struct reg *reg, struct cell key)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct key k = { &key, 1 };

	if (key.type == CELL_NULL)
		return json_null();
	if (reg != NULL && reg->nkey > 1 && key_from_column(key, reg->nkey, &r->arena, &k, NULL) != 0)
		k = (struct key){ &key, 1 };
	key_text(&b, k);
	return json_slice(buf_slice(&b));
}

int report_catalog(struct report *r, struct err *err)
{
	return r->catalog != NULL ? 0 : catalog_load(r->db, &r->catalog, err);
}

struct reg *report_reg(struct report *r, const char *name)
{
	return r->catalog != NULL && name != NULL ? catalog_register(r->catalog, slice_of(name)) : NULL;
}

int report_id(struct report *r, struct err *err)
{
	uint64_t id;

	if (text_number(r->words[0], 1, INT64_MAX, &id) != 0)
		return err_set(err, ERR_USAGE, "%s is not a number from the list", r->words[0]);
	r->filter.id = (int64_t)id;
	return 0;
}

/* ---- commands */

static const struct report_command {
	const char *words[2];            /* second NULL: the one word */
	bool plain;                      /* also without its second word */
	uint32_t least, most;            /* words behind */
	const char *options;             /* letters of `options` below */
	int (*run)(struct report *r, struct err *err);
} commands[] = {
	{ { "status", NULL }, false, 0, 0, "t", report_status },
	{ { "peers", "list" }, true, 0, 0, "", report_peers_list },
	{ { "units", "list" }, true, 0, 0, "", report_units_list },
	{ { "units", "names" }, false, 0, 0, "", report_units_names },
	{ { "policy", "list" }, true, 0, 0, "", report_policy_list },
	{ { "policy", "show" }, false, 0, 1, "", report_policy_show },
	{ { "policy", "status" }, false, 0, 0, "", report_policy_status },
	{ { "log", NULL }, false, 0, 0, "uks", report_log },
	{ { "conflicts", "list" }, true, 0, 0, "rusa", report_conflicts_list },
	{ { "conflicts", "show" }, false, 1, 1, "", report_conflicts_show },
	{ { "returns", "list" }, true, 0, 0, "rusa", report_returns_list },
	{ { "returns", "show" }, false, 1, 1, "", report_returns_show },
	{ { "proposals", "list" }, true, 0, 0, "rusa", report_proposals_list },
	{ { "proposals", "show" }, false, 1, 1, "", report_proposals_show },
	{ { "issues", "list" }, true, 0, 0, "rusa", report_issues_list },
	{ { "issues", "show" }, false, 1, 1, "", report_issues_show },
	{ { "why", NULL }, false, 0, 2, "gue", report_why },
	{ { "quarantine", "list" }, true, 0, 0, "a", report_quarantine_list },
	{ { "segment", "list" }, true, 0, 0, "w", report_segment_list },
	{ { "segment", "dump" }, false, 1, 1, "", report_segment_dump },
	{ { "segment", "verify" }, false, 1, 1, "", report_segment_verify },
	{ { "verify", NULL }, false, 0, 0, "d", report_verify },
	{ { "reconcile", "status" }, false, 0, 0, "ruW", report_reconcile },
	{ { "adopt", NULL }, false, 0, 0, "", report_adopt },
};

static const struct report_command *find(const char *const *words, uint32_t n, uint32_t *ret_own)
{
	for (size_t i = 0; n > 0 && i < ARRAY_SIZE(commands); i++) {
		const struct report_command *c = &commands[i];
		bool second = n > 1 && c->words[1] != NULL && strcmp(words[1], c->words[1]) == 0;

		if (strcmp(words[0], c->words[0]) != 0 ||
		    (c->words[1] != NULL && !second && !(c->plain && (n == 1 || words[1][0] == '-'))))
			continue;
		*ret_own = second ? 2 : 1;
		return c;
	}
	return NULL;
}

bool report_has(const char *const *words, uint32_t n)
{
	uint32_t own;

	return find(words, n, &own) != NULL;
}

/* ---- options */

/* 2026-11-25, 2026-11-25T04:35[:40][Z]; without Z local time; or 90m, 24h, 7d: so long ago. */
static int since_read(struct report *r, const char *text, struct err *err)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d" };
	size_t n = strlen(text);
	int64_t unit_ms = n > 1 ? text[n - 1] == 'm' ? 60000 : text[n - 1] == 'h' ? 3600000 : text[n - 1] == 'd' ? 86400000 : 0 : 0;
	uint64_t count;
	char number[12];

	if (unit_ms != 0 && n < sizeof number) {
		memcpy(number, text, n - 1);
		number[n - 1] = '\0';
		if (text_number(number, 1, 1000000, &count) == 0) {
			r->filter.since_ms = r->home->now_ms - (int64_t)count * unit_ms;
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(text, forms[i], &tm);

		if (end == NULL || (*end != '\0' && strcmp(end, "Z") != 0))
			continue;
		r->filter.since_ms = (int64_t)(*end == 'Z' ? timegm(&tm) : mktime(&tm)) * 1000;
		return 0;
	}
	return err_set(err, ERR_USAGE, "--since %s is no time; write 2026-11-25, 2026-11-25T04:35:40Z, 90m, 24h or 7d", text);
}

static int option_set(struct report *r, char letter, const char *value, struct err *err)
{
	switch (letter) {
	case 't': r->tree = true; return 0;
	case 'a': r->filter.all = true; return 0;
	case 'd': r->deep = true; return 0;
	case 'e': r->evidence = true; return 0;
	case 'r': r->filter.reg = value; return 0;
	case 'g': r->filter.group = value; return 0;
	case 'k': r->filter.kind = value; return 0;
	case 's': return since_read(r, value, err);
	case 'w': return unit_parse(slice_of(value), &r->author, err);
	case 'W': return unit_parse(slice_of(value), &r->with, err);
	default: return unit_parse(slice_of(value), &r->filter.unit, err);
	}
}

static int option_read(struct report *r, const struct report_command *c, const char *const *words, uint32_t n, uint32_t *i,
                       struct err *err)
{
	static const struct {
		const char *name;
		char letter;
		bool flag;
	} options[] = {
		{ "tree", 't', true }, { "all", 'a', true }, { "deep", 'd', true }, { "evidence", 'e', true },
		{ "register", 'r', false }, { "unit", 'u', false }, { "since", 's', false }, { "kind", 'k', false },
		{ "group", 'g', false }, { "author", 'w', false }, { "with", 'W', false },
	};
	const char *word = words[*i] + 2;

	for (size_t k = 0; k < ARRAY_SIZE(options); k++) {
		size_t length = strlen(options[k].name);
		const char *value = NULL;

		if (strncmp(word, options[k].name, length) != 0 || (word[length] != '\0' && word[length] != '=') ||
		    strchr(c->options, options[k].letter) == NULL)
			continue;
		if (options[k].flag && word[length] == '=')
			return err_set(err, ERR_USAGE, "--%s takes no value", options[k].name);
		if (word[length] == '=')
			value = word + length + 1;
		else if (!options[k].flag && *i + 1 < n)
			value = words[++*i];
		if (!options[k].flag && value == NULL)
			return err_set(err, ERR_USAGE, "--%s: its value is missing", options[k].name);
		return option_set(r, options[k].letter, value, err);
	}
	return err_set(err, ERR_USAGE, "%s: no such option", words[*i]);
}

static int words_read(struct report *r, const struct report_command *c, const char *const *words, uint32_t n, struct err *err)
{
	bool only = false;

	for (uint32_t i = 0; i < n; i++) {
		if (!only && strcmp(words[i], "--") == 0) {
			only = true;
		} else if (!only && strncmp(words[i], "--", 2) == 0) {
			if (option_read(r, c, words, n, &i, err) != 0)
				return err->code;
		} else if (r->n == c->most) {
			return err_set(err, ERR_USAGE, "%s: one word too many", words[i]);
		} else {
			r->words[r->n++] = words[i];
		}
	}
	return r->n < c->least ? err_set(err, ERR_USAGE, "%s: words are missing", c->words[0]) : 0;
}

/* ---- running */

static int open_file(struct report *r, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	bool found;
	int rc;

	if (!file_exists(r->home->database))
		return err_set(err, ERR_NOT_FOUND, "%s is not there yet; start terraced once", r->home->database);
	rc = db_open(r->home->database, DB_READ, &r->db, err);
	if (rc == 0)
		rc = db_begin(r->db, err);
	if (rc == 0 && meta_number(r->db, "state", -1) < 0 && meta_get(r->db, "state", &b, &found, err) == ERR_DAMAGED)
		rc = ERR_DAMAGED;
	else if (rc == 0 && meta_number(r->db, "state", -1) < 0)
		rc = err_set(err, ERR_NOT_FOUND, "%s holds nothing of Terrace yet; start terraced on it once", r->home->database);
	return rc;
}

int report_run(const struct report_home *home, const char *const *words, uint32_t n, json_t **ret, int *ret_exit,
               struct err *err)
{
	struct report r = { .home = home };
	struct err own = { 0 };
	uint32_t behind = 0;
	const struct report_command *c = find(words, n, &behind);
	int rc;

	*ret = NULL;
	*ret_exit = 0;
	err = err != NULL ? err : &own;
	if (c == NULL)
		return err_set(err, ERR_USAGE, "%s: no such report", n > 0 ? words[0] : "");
	rc = words_read(&r, c, words + behind, n - behind, err);
	if (rc == 0)
		rc = open_file(&r, err);
	if (rc == 0)
		rc = c->run(&r, err);
	if (rc == 0 && (r.ret == NULL || r.arena.failed))
		rc = err_set(err, ERR_NOMEM, "%s: memory is short", words[0]);
	if (r.catalog != NULL)
		catalog_release(r.catalog);
	db_close(r.db);
	arena_release(&r.arena);
	if (rc != 0) {
		json_decref(r.ret);
		return rc;
	}
	*ret = r.ret;
	*ret_exit = r.found;
	return 0;
}
