/* Report: verify, the rows: each living row's term in the digest is the hash of what state and table say now, each sum is
 * that of its terms.  A row that the log holds was written since and is left out: its term is not made yet. */
#include "engine/report_inside.h"

#include "store/capture.h"
#include "store/terms.h"
#include "store/verify.h"

#define ROWS_AT_ONCE 1000u

struct rows_walk {
	struct checking *c;
	struct state *state;
	struct table *table;
	struct sets *sets;
	struct reg *reg;
};

static void found(struct rows_walk *w, struct key key, const char *check, const char *error)
{
	_cleanup_(buf_release) struct buf text = { 0 };

	key_text(&text, key);
	verify_finding(w->c, check, error, "%s %s", w->reg->name, buf_text(&text));
}

static int in_log(struct rows_walk *w, struct cell key, struct arena *a, bool *ret, struct err *err)
{
	struct log_entry *entries;
	uint32_t n = 0;
	int rc = log_read_row(w->c->r->db, w->reg->number, key, 0, a, &entries, &n, err);

	*ret = n > 0;
	return rc;
}

static int check_term(struct rows_walk *w, struct held *h, struct arena *a, struct err *err)
{
	struct cell *cells = NULL;
	struct term term;
	int rc = 0;

	if (!(h->flags & STATE_QUARANTINE)) {
		rc = table_read(w->table, w->reg, h->key_cell, h->key, a, &cells, err);
		if (rc != 0 || cells == NULL) {
			if (rc == 0)
				found(w, h->key, "row", "the table lacks it, the record has it");
			return rc;
		}
	}
	rc = terms_row(w->state, w->table, h, a, &term, err);
	if (rc == 0 && !term_equal(&term, &h->term))
		found(w, h->key, "row", "its values or versions are not those that its hash was made of");
	return rc;
}

static int check_row(struct rows_walk *w, struct key key, struct arena *a, struct err *err)
{
	struct err why = { 0 };
	bool waits = false;
	struct held h;
	int rc = state_load(w->state, w->reg, key, a, &h, &why);

	if (rc == 0 && h.exists)
		rc = in_log(w, h.key_cell, a, &waits, &why);
	if (rc == 0 && h.exists && !waits && h.has_term && (h.flags & STATE_ALIVE) && unit_contains(w->c->r->home->unit, h.unit))
		rc = check_term(w, &h, a, &why);
	if (rc == ERR_NOMEM || rc == ERR_DB) {
		*err = why;
		return rc;
	}
	if (rc != 0)
		found(w, key, "row", why.text);
	return 0;
}

/* The sums speak of sealed state: what the log holds is in none of them. */
static int check_register(struct rows_walk *w, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 }, keys = { 0 }, last = { 0 };
	struct cell after = { .type = CELL_NULL };
	bool first = true, wrong = false;
	uint32_t n = 1;
	int rc = 0;

	while (rc == 0 && n > 0) {
		struct key *list;

		arena_reset(&keys);
		rc = state_scan(w->state, w->reg, first ? NULL : &after, UNIT_NONE, ROWS_AT_ONCE, &keys, &list, &n, err);
		for (uint32_t i = 0; rc == 0 && i < n; i++) {
			arena_reset(&a);
			rc = check_row(w, list[i], &a, err);
			state_trim(w->state);
			verify_progress(w->c, w->reg->name, ++w->c->rows);
		}
		if (rc == 0 && n > 0) {
			arena_reset(&last);
			after = cell_copy(&last, key_column(list[n - 1], &keys));
		}
		first = false;
	}
	if (rc == 0)
		rc = terms_recount(w->state, w->reg, w->c->r->home->unit, &wrong, err);
	if (rc == 0 && wrong)
		verify_finding(w->c, "digest", "a sum in it is not that of its rows' hashes", "register %s", w->reg->name);
	return rc;
}

static int version_check(void *arg, int64_t id)
{
	struct rows_walk *w = arg;
	const struct version_set *set;
	struct err why = { 0 };

	if (sets_get(w->sets, id, &set, &why) != 0)
		verify_finding(w->c, "versions", why.text, "version set %lld", (long long)id);
	if (sets_large(w->sets))
		sets_forget(w->sets);
	return 0;
}

static int foreign_check(void *arg, const char *table, int64_t row, const char *parent)
{
	_cleanup_(buf_release) struct buf text = { 0 };
	struct rows_walk *w = arg;

	buf_printf(&text, "what it refers to in %s is not there", parent != NULL ? parent : "?");
	verify_finding(w->c, "foreign key", buf_text(&text), "%s, row %lld", table != NULL ? table : "?", (long long)row);
	return 0;
}

int verify_rows(struct checking *c, struct err *err)
{
	struct rows_walk w = { .c = c };
	int rc = sets_open(c->r->db, &w.sets, err);

	if (rc == 0)
		rc = state_open(c->r->db, &w.state, err);
	if (rc == 0)
		rc = table_open(c->r->db, &w.table, err);
	if (rc == 0)
		rc = verify_versions(c->r->db, version_check, &w, err);
	for (uint32_t i = 0; rc == 0 && c->r->catalog != NULL && i < c->r->catalog->nregs; i++) {
		w.reg = c->r->catalog->regs[i];
		if (w.reg->policy != NULL && !w.reg->hold && w.reg->adoption == ADOPT_NOT)
			rc = check_register(&w, err);
	}
	if (rc == 0)
		rc = verify_foreign(c->r->db, foreign_check, &w, err);
	table_close(w.table);
	state_close(w.state);
	sets_close(w.sets);
	return rc;
}
