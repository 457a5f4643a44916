/* Rule: authority.md, The rule, clause by clause.
 *
 * Order alone (version_order, version_open) decides what is held; Seen alone (version_seen) decides what is
 * recorded.  Nothing is allocated but what is completed and the lists of losers, which are rare. */
#include "core/rule.h"

/* A value, and where it stands. */
struct question {
	const struct row *row;
	const struct value *v;           /* as it came */
	const struct value *whole;       /* completed where it was partial and its base is here */
	const struct group_state *g;     /* v's place; may be NULL */
	const struct value *h;           /* the decision held there, or NULL */
	const struct rule_context *ctx;
	struct arena *a;
};

static void say(struct verdict *ret, int rule, enum verdict_name name, enum why why)
{
	ret->rule = rule;
	ret->name = name;
	ret->why = why;
}

static void lose(struct verdict *ret, const struct value *v, uint32_t more, struct arena *a)
{
	if (!ret->losers)
		ret->losers = arena_array(a, 1 + more, sizeof(*ret->losers));
	if (ret->losers)
		ret->losers[ret->nlosers++] = v;
}

static bool same_write(const struct value *a, const struct value *b)
{
	return ident_equal(version_ident(a->v), version_ident(b->v));
}

static bool seen(const struct question *q, const struct value *x, const struct value *y)
{
	return version_seen(x->v, y->v, q->ctx->epochs);
}

/* ---- 1
 *
 * 1. Admit, for whatever comes from below (delta or state), at each superior: the author may write this group in that
 * mode under the policy list that the value names (not older than one that its author reported at a mark which this
 * value has seen in its own level); and, if v is a decision, no lock holds and no `refuse` rule that this level checks
 * fails for the row as it would become; and no key clash.  A ruling is exempt only if what it asserts is its base and
 * this node holds that base with exactly those columns, or its author could write that value itself, or it revives a
 * dead row; any other that would be taken is refused, alarm `forged-ruling`.  If v would not be taken anyway (2-6), it
 * is only recorded.  Otherwise -> refuse: answer with a ruling. */

static bool cells_equal(const struct value *a, const struct cell *cells, uint32_t ncells, const bool *present)
{
	for (uint32_t i = 0; i < MAX(a->ncells, ncells); i++) {
		bool mine = i < a->ncells && (!a->present || a->present[i]), its = i < ncells && (!present || present[i]);

		if (mine != its || (mine && !cell_equal(a->cells[i], cells[i])))
			return false;
	}
	return true;
}

/* Both say the same of the same life. */
static bool asserts_equal(const struct value *a, const struct value *b)
{
	if (!ident_equal(a->life, b->life))
		return false;
	if (a->group == GROUP_ROW)
		return a->alive == b->alive && a->row_unit == b->row_unit;
	return cells_equal(a, b->cells, b->ncells, b->present);
}

/* The ruling v without a base says nothing over nothing: no asserted marks, the defaults. */
static bool asserts_nothing(const struct question *q, const struct value *v)
{
	static const struct marks nothing;
	const struct cell *cells;
	uint32_t n = 0;

	if (marks_compare(&v->v->asserts, &nothing) != 0)
		return false;
	cells = q->ctx->defaults(q->ctx->arg, v->group, &n);
	return cells_equal(v, cells, n, NULL);
}

/* h is just what a ruling refuses: a subordinate's first value, which it has seen. */
static bool first_of_subordinate(const struct question *q, const struct value *v, const struct value *h)
{
	return h->v->base.unit == UNIT_NONE && h->v->unit != v->v->unit
		&& unit_contains(v->v->unit, h->v->unit) && seen(q, v, h);
}

/* The strongest mode that a unit may have written v in: of its own level, and where it acted, of those below. */
static enum mode mode_of(const struct question *q, enum right right, uint64_t unit, bool acting)
{
	enum level level = unit_level(unit), last = acting ? VILLAGE : level;
	enum mode best = MODE_READ;

	for (; level <= last && best != MODE_OWN; level++) {
		enum mode mode = q->ctx->mode(q->ctx->arg, q->v->v->policy, q->v->group, right, level);

		best = MAX(best, mode);
	}
	return best;
}

/* In group row an insert or a move needs `create`, a delete `delete`. */
static enum right right_of(const struct value *v)
{
	return v->group != GROUP_ROW ? RIGHT_GROUP : v->alive ? RIGHT_CREATE : RIGHT_DELETE;
}

/* That unit had the right to write v; in group row either right will do to say again what stands (a rejection). */
static bool has_right(const struct question *q, uint64_t unit, bool acting, enum mode want, bool again)
{
	enum right right = right_of(q->v);

	if (mode_of(q, right, unit, acting) >= want)
		return true;
	return again && mode_of(q, right == RIGHT_CREATE ? RIGHT_DELETE : RIGHT_CREATE, unit, acting) >= want;
}

/* That unit may have said v again of a row that was lost here: v is no insert of its own. */
static bool again_of_lost(const struct question *q, uint64_t unit)
{
	struct ident own = { unit, q->v->v->marks.at[unit_level(unit)] };

	return q->v->group == GROUP_ROW && q->ctx->healing && !ident_equal(own, q->v->life);
}

/* The author may write this group in that mode.  An insert is never proposed: no row exists provisionally. */
static bool may_write(const struct question *q)
{
	const struct version *v = q->v->v;
	bool again = q->h ? q->v->group == GROUP_ROW && asserts_equal(q->v, q->h) : again_of_lost(q, v->unit);

	if (q->v->group == GROUP_ROW && v->kind == PROPOSAL && ident_equal(version_ident(v), q->v->life))
		return false;
	return has_right(q, v->unit, v->acting, v->kind == DECISION ? MODE_OWN : MODE_PROPOSE, again);
}

/* That subordinate, acting perhaps, could decide what the ruling v asserts. */
static bool could_decide(const struct question *q, uint64_t unit, bool again)
{
	return has_right(q, unit, true, MODE_OWN, again);
}

/* The ruling v revives, by the right of the insert's author. */
static bool revives_of_right(const struct question *q, const struct value *v)
{
	uint64_t author = v->life.unit;

	return ident_equal(v->v->base, v->life) && (!q->h || !ident_equal(q->h->life, v->life)) && author != v->v->unit
		&& unit_contains(v->v->unit, author) && unit_contains(author, v->row_unit)
		&& could_decide(q, author, false);
}

/* The base that v asserts may have been lost in this node's own restore; it stands by the right of its author. */
static bool lost_here(const struct question *q, const struct value *v)
{
	uint64_t author = v->v->base.unit;

	if (!q->ctx->healing || (q->h && marks_compare(&q->h->v->marks, &v->v->asserts) >= 0))
		return false;
	return !unit_contains(q->ctx->unit, author) || author == q->ctx->unit
		|| could_decide(q, author, again_of_lost(q, author));
}

/* The ruling v needs no right of its author's: what it asserts is its base, and exactly that is held here; nothing is
 * held and it asserts just that; it says of a dead row that it is dead; it puts back a subordinate's first value, which
 * it refuses; it revives; or its base was lost here. */
static bool upholds(const struct question *q)
{
	const struct value *v = q->whole, *h = q->h;
	struct ident base = v->v->base;

	if (v->group == GROUP_ROW && (!h || !h->alive) && (!v->alive || revives_of_right(q, v)))
		return true;
	if (base.unit == UNIT_NONE)
		return v->group != GROUP_ROW && (!h || first_of_subordinate(q, v, h)) && asserts_nothing(q, v);
	if (h && ident_equal(base, version_ident(h->v)) && marks_compare(&v->v->asserts, &h->v->marks) == 0
	    && asserts_equal(v, h))
		return true;
	return lost_here(q, v);
}

/* The decision v speaks of another life and another unit than a living row that this node holds; also a delete: the
 * end of another row ends nothing here. */
static bool key_clash(const struct question *q)
{
	const struct value *h = q->row->row.decision;

	return q->v->group == GROUP_ROW && q->v->v->kind == DECISION && h && h->alive && !ident_equal(h->life, q->v->life)
		&& h->row_unit != q->v->row_unit && unit_contains(q->ctx->unit, h->row_unit);
}

/* The author stands above the row, or did when it was born, or before it moved away; of another life and over nothing,
 * keys and rights decide.  A restore may have lost where the row of a state was. */
static bool on_path(const struct question *q)
{
	const struct value *h = q->row->row.decision;
	const struct rule_context *ctx = q->ctx;
	uint64_t author = q->v->v->unit;

	if (!h || !ident_equal(q->v->life, h->life) || (ctx->healing && ctx->whole_row))
		return true;
	return unit_contains(author, h->row_unit) || unit_contains(author, h->life.unit)
		|| (ctx->was && ctx->was(ctx->arg, author));
}

static enum why reason(const struct question *q, const char **ret_say)
{
	const struct rule_context *ctx = q->ctx;

	if (!on_path(q))
		return WHY_SCOPE;
	if (!may_write(q))
		return WHY_MODE;
	if (ctx->outdated(ctx->arg, q->v->v))
		return WHY_OLD_POLICY;
	if (q->v->v->kind == PROPOSAL)
		return WHY_NONE;                 /* rules and locks are about decisions; a proposal only waits */
	if (key_clash(q))
		return WHY_KEY_CLASH;
	return ctx->failing(ctx->arg, q->row, q->whole, ret_say);
}

/* A ruling may clash honestly: "no such row" of a node that does not see the other row. */
static enum why refusal(const struct question *q, const char **ret_say)
{
	if (!q->v->v->ruling || q->v->v->kind != DECISION)
		return reason(q, ret_say);
	if (key_clash(q))
		return WHY_KEY_CLASH;
	return !upholds(q) && reason(q, ret_say) != WHY_NONE ? WHY_FORGED_RULING : WHY_NONE;
}

/* Over a marker nothing is judged: it is decided where the row is held. */
static bool over_marker(const struct question *q)
{
	return q->v->group == GROUP_ROW && q->h && !unit_contains(q->ctx->unit, q->h->row_unit);
}

/* An insert that would be kept out by the end of another unit's row: a new life owes nothing to a delete that it
 * could not see.  Ruled for by a node in whose scope both units lie. */
static bool revives(const struct question *q)
{
	const struct value *v = q->v, *h = q->h;

	return v->group == GROUP_ROW && !v->v->ruling && v->alive && ident_equal(version_ident(v->v), v->life)
		&& !h->alive && !ident_equal(h->life, v->life) && h->row_unit != v->row_unit
		&& unit_contains(q->ctx->unit, h->row_unit);
}

/* ---- 3-6 for one group */

static void stays(const struct question *q, const struct value *held, struct verdict *ret)
{
	/* 3. v is h (same unit, same mark) -> old. */
	if (same_write(held, q->v)) {
		say(ret, 3, VERDICT_OLD, WHY_NONE);
		return;
	}
	/* 6. v is not greater: nothing changes.  h has seen v -> old; else -> keep, a conflict with v as the loser. */
	if (seen(q, held, q->v)) {
		say(ret, 6, VERDICT_OLD, WHY_NONE);
		return;
	}
	say(ret, 6, VERDICT_KEEP, WHY_NONE);
	lose(ret, q->v, 0, q->a);
}

/* 4. v is a proposal -> its author's slot if greater than what is there; where a decision stands the table does not
 * change: divert to the review queue. */
static void decide_proposal(const struct question *q, struct verdict *ret)
{
	const struct slot *slot = group_slot(q->g, q->v);
	const struct value *p = slot ? slot->value : NULL;

	if (p && version_order(p->v, q->v->v) >= 0) {
		stays(q, p, ret);
		return;
	}
	if (!value_open(q->v, q->g)) {                   /* arrives closed: like a losing decision */
		stays(q, q->h, ret);
		return;
	}
	say(ret, 4, q->h ? VERDICT_DIVERT : VERDICT_TAKE, WHY_NONE);
	if (p && value_open(p, q->g) && !seen(q, q->v, p))
		lose(ret, p, 0, q->a);
}

/* Open proposals that the decision v closes unseen are recorded like losing decisions. */
static bool closed_unseen(const struct question *q, const struct value *p)
{
	return value_open(p, q->g) && !version_open(p->v, q->v->v) && !seen(q, q->v, p);
}

static void close_proposals(const struct question *q, bool take_over, struct verdict *ret)
{
	uint32_t n = 0;

	for (const struct slot *s = q->g ? q->g->proposals : NULL; s; s = s->next)
		n += closed_unseen(q, s->value);
	if (take_over)
		lose(ret, q->h, n, q->a);
	for (const struct slot *s = n > 0 ? q->g->proposals : NULL; s; s = s->next)
		if (closed_unseen(q, s->value))
			lose(ret, s->value, n - 1, q->a);
}

static void decide_group(const struct question *q, struct verdict *ret)
{
	bool take;

	if (q->v->v->kind == PROPOSAL) {
		decide_proposal(q, ret);
		return;
	}
	if (q->h && version_order(q->v->v, q->h->v) <= 0) {
		stays(q, q->h, ret);
		return;
	}
	/* 5. No h, or v is greater than h: v is held from now on.  v has seen h, or v is a value of group `row` of
	 * another life than a dead h -> take; else -> take-over, a conflict with h as the loser. */
	take = !q->h || seen(q, q->v, q->h)
		|| (q->v->group == GROUP_ROW && !q->h->alive && !ident_equal(q->v->life, q->h->life));
	say(ret, 5, take ? VERDICT_TAKE : VERDICT_TAKE_OVER, WHY_NONE);
	close_proposals(q, !take, ret);
}

/* ---- the whole */

/* 2. The row is dead, or v speaks of another life than the one that group `row` names -> aside: v is merged into that
 * life by 3-6 all the same, the table does not change, and a decision that the ending delete had not seen (`saw`) is
 * recorded as `edited-while-deleted`. */
static void put_aside(const struct question *q, struct verdict *ret)
{
	const struct value *row = q->row->row.decision, **lost = ret->losers;
	uint32_t n = ret->nlosers;

	say(ret, 2, VERDICT_ASIDE, ident_equal(row->life, q->v->life) ? WHY_DEAD : WHY_LIFE);
	if (q->v->v->kind != DECISION || row_covered(q->row, q->v, row))
		return;
	ret->losers = NULL;
	ret->nlosers = 0;
	lose(ret, q->v, n, q->a);
	for (uint32_t i = 0; i < n && ret->losers; i++)
		lose(ret, lost[i], 0, q->a);
}

/* v would be held, or revived: is it whole, does its row live, is it admitted? */
static void judge(const struct question *q, bool below, bool revived, struct verdict *ret)
{
	const struct value *row = q->row->row.decision;
	const char *sentence = NULL;
	enum why why = WHY_NONE;

	if (!q->whole->whole) {
		ret->nlosers = 0;
		say(ret, 2, VERDICT_NEED, WHY_BASE);
		return;
	}
	if (q->v->group != GROUP_ROW && !(row->alive && ident_equal(row->life, q->v->life))) {
		put_aside(q, ret);
		return;
	}
	/* 1 */
	if (below && !over_marker(q))
		why = refusal(q, &sentence);
	if (revived) {
		if (why == WHY_NONE) {
			ret->nlosers = 0;
			say(ret, 1, VERDICT_REVIVE, WHY_NONE);
		}
	} else if (why != WHY_NONE) {
		ret->nlosers = 0;
		ret->losers = NULL;
		ret->say = why == WHY_LOCK || why == WHY_RULE ? sentence : NULL;
		say(ret, 1, VERDICT_REFUSE, why);
		lose(ret, q->v, 0, q->a);
	}
}

/* 2. A life or a base that is not known -> need.  A state is the answer to a need, never its cause. */
static bool life_missing(const struct question *q)
{
	if (!q->row->row.decision)
		return q->v->group != GROUP_ROW || q->v->v->kind == PROPOSAL;
	return q->v->group != GROUP_ROW && !q->ctx->whole_row && !q->g;
}

void rule_decide(const struct row *held, const struct value *v, const struct rule_context *ctx, struct arena *a,
                 struct verdict *ret)
{
	const struct group_state *g = row_group(held, v->group, v->life);
	struct question q = { held, v, v, g, g ? g->decision : NULL, ctx, a };
	bool below = ctx->below && v->v->unit != ctx->unit && unit_contains(ctx->unit, v->v->unit), revived;
	bool ruling = below && v->v->ruling && v->v->kind == DECISION;

	*ret = (struct verdict){ .value = v };
	/* A decision of group row whose author's unit is neither the unit it names nor above it is malformed. */
	if (v->group == GROUP_ROW && v->v->kind == DECISION && !unit_contains(v->v->unit, v->row_unit)) {
		say(ret, 1, VERDICT_BAD_STATE, WHY_NONE);
		return;
	}
	if (life_missing(&q)) {
		/* A ruling stands before the delta that brings the life, so that nothing else rules again. */
		if (ruling && v->group != GROUP_ROW && upholds(&q))
			say(ret, 2, VERDICT_ASIDE, WHY_LIFE);
		else
			say(ret, 2, VERDICT_NEED, WHY_LIFE);
		return;
	}
	ret->value = q.whole = value_completed(g, v, a);
	/* 2. The row has left this node's scope, or the node holds only a marker of it -> pass: nothing is judged here,
	 * it is decided where the row is held. */
	if (v->group != GROUP_ROW && !unit_contains(ctx->unit, held->row.decision->row_unit)) {
		say(ret, 2, VERDICT_PASS, WHY_SCOPE);
		return;
	}
	decide_group(&q, ret);
	revived = below && ret->name == VERDICT_KEEP && revives(&q);
	if (ret->name == VERDICT_TAKE || ret->name == VERDICT_TAKE_OVER || ret->name == VERDICT_DIVERT || revived)
		judge(&q, below, revived, ret);
}

bool rule_moves(const struct row *held, const struct value *v, const struct rule_context *ctx)
{
	const struct value *h = held->row.decision;
	struct question q = { held, v, v, NULL, h, ctx, NULL };

	return v->group == GROUP_ROW && v->v->kind == DECISION && h && ident_equal(h->life, v->life)
		&& h->row_unit != v->row_unit && on_path(&q);
}

/* ---- Ruling, Once more */

/* What refuses asserts the value held (or no such row, or the defaults); what revives asserts v. */
static struct value *asserted(const struct value *h, const struct value *v, const struct cell *defaults,
                              uint32_t ncells, struct arena *a)
{
	struct value *r = arena_copy(a, h ? h : v, sizeof(*r));

	if (r && !h) {
		r->alive = false;
		r->ncells = v->group == GROUP_ROW ? 0 : ncells;
		r->cells = v->group == GROUP_ROW ? NULL : defaults;
		r->present = NULL;
	}
	if (r)
		r->whole = true;
	return r;
}

struct value *rule_ruling(const struct row *held, const struct value *v, bool revive, uint64_t unit, struct mark own,
                          uint64_t policy, const struct cell *defaults, uint32_t ncells, struct arena *a)
{
	const struct group_state *g = row_group(held, v->group, v->life);
	const struct value *stands = g ? g->decision : NULL, *h = revive ? v : stands;
	struct value *r = asserted(h, v, defaults, ncells, a);
	struct version *version = arena_alloc(a, sizeof(*version));
	struct marks joined = stands ? marks_join(&stands->v->marks, &v->v->marks) : v->v->marks;

	if (!r || !version)
		return NULL;
	version->unit = unit;
	version->marks = marks_raised(&joined, unit_level(unit), own);
	version->policy = policy;
	version->kind = DECISION;
	version->ruling = true;
	if (h) {
		version->base = version_ident(h->v);
		version->asserts = h->v->marks;
	}
	if (stands) {
		version->saw = stands->v->saw;
		version->nsaw = stands->v->nsaw;
	}
	r->v = version;
	return r;
}

bool rule_once_more(const struct verdict *verdict, uint64_t unit)
{
	const struct value *v = verdict->value, *h = verdict->nlosers > 0 ? verdict->losers[0] : NULL;

	return v->v->ruling && verdict->name == VERDICT_TAKE_OVER && h && h->v->unit == unit && h->v->kind == DECISION
		&& !h->v->ruling && ident_equal(h->life, v->life) && marks_compare(&h->v->marks, &v->v->asserts) > 0;
}

/* ---- on_conflict */

static bool wins(const struct value *a, const struct value *b, bool greatest, uint32_t column)
{
	struct cell x = column < a->ncells ? a->cells[column] : (struct cell){0};
	struct cell y = column < b->ncells ? b->cells[column] : (struct cell){0};
	int order;

	if (x.type == CELL_NULL || y.type == CELL_NULL)
		return x.type != CELL_NULL && y.type == CELL_NULL;
	order = cell_compare(x, y);
	return greatest ? order > 0 : order < 0;
}

const struct value *rule_better(const struct row *held, const struct value *v, const struct verdict *verdict,
                                const struct rule_context *ctx, bool greatest, uint32_t column, struct arena *a,
                                const struct value **ret_kept)
{
	const struct group_state *g = row_group(held, v->group, v->life);
	struct question q = { held, v, value_completed(g, v, a), g, g ? g->decision : NULL, ctx, a };
	bool below = ctx->below && v->v->unit != ctx->unit && unit_contains(ctx->unit, v->v->unit);
	bool keep = verdict->name == VERDICT_KEEP;
	const struct value *row = held->row.decision, *kept = keep ? q.h : q.whole, *lost = keep ? q.whole : q.h;
	const char *sentence;

	if ((!keep && verdict->name != VERDICT_TAKE_OVER) || v->group == GROUP_ROW || v->v->kind != DECISION || v->v->ruling
	    || !row->alive || !ident_equal(row->life, v->life))
		return NULL;
	if (!kept || !lost || !lost->whole || !kept->whole || lost->v->ruling || !wins(lost, kept, greatest, column))
		return NULL;
	if (keep && below && refusal(&q, &sentence) != WHY_NONE)
		return NULL;
	*ret_kept = kept;
	return lost;
}

struct value *rule_settling(const struct value *kept, const struct value *lost, uint64_t unit, struct mark own,
                            uint64_t policy, bool acting, struct arena *a)
{
	struct value *s = arena_copy(a, lost, sizeof(*s));
	struct version *version = arena_alloc(a, sizeof(*version));
	struct marks joined = marks_join(&kept->v->marks, &lost->v->marks);

	if (!s || !version)
		return NULL;
	version->unit = unit;
	version->marks = marks_raised(&joined, unit_level(unit), own);
	version->policy = policy;
	version->kind = DECISION;
	version->acting = acting;
	version->base = version_ident(kept->v);
	s->v = version;
	return s;
}

/* ---- names */

const char *verdict_text(enum verdict_name name)
{
	static const char *const text[VERDICTS] = {
		[VERDICT_OLD] = "old", [VERDICT_TAKE] = "take", [VERDICT_TAKE_OVER] = "take-over", [VERDICT_DIVERT] = "divert",
		[VERDICT_KEEP] = "keep", [VERDICT_REFUSE] = "refuse", [VERDICT_REVIVE] = "revive", [VERDICT_ASIDE] = "aside",
		[VERDICT_PASS] = "pass", [VERDICT_NEED] = "need", [VERDICT_BAD_STATE] = "bad-state",
	};

	return name < VERDICTS ? text[name] : "unknown";
}

const char *why_text(enum why why)
{
	static const char *const text[WHYS] = {
		[WHY_NONE] = "", [WHY_MODE] = "mode", [WHY_OLD_POLICY] = "old-policy", [WHY_LOCK] = "lock", [WHY_RULE] = "rule",
		[WHY_KEY_CLASH] = "key-clash", [WHY_FORGED_RULING] = "forged-ruling", [WHY_SCOPE] = "scope", [WHY_LIFE] = "life",
		[WHY_BASE] = "base", [WHY_DEAD] = "dead",
	};

	return why < WHYS ? text[why] : "unknown";
}
