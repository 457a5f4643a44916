/* Version: Order, Seen, Join, Bounds, and the one encoding.
 *
 * Encoding (canonical: the same version is the same bytes; anything else is refused).  varint = LEB128, shortest form
 * (base/bytes.h); u8, u32, u64 little-endian; slice = varint length, bytes.
 *
 *   version   flags    u8      1 proposal, 2 ruling, 4 acting, 8 base, 16 actor, 32 saw; higher bits are 0
 *             unit     varint  author, the 12-digit code as a number (10^10 <= unit < 10^12)
 *             marks    marks   the mark of the author's own level is present
 *             policy   u64     first 8 bytes of the hash of the policy list
 *             base     ident   where flags & 8; not none
 *             asserts  marks   where flags & 2
 *             actor    slice   where flags & 16; 1..128 bytes of UTF-8
 *             count    varint  where flags & 32; 1..64, then that many times saw
 *   saw       same     u8      1 the life of the saw before, 2 the marks of the saw before; higher bits are 0.  A part
 *                              that is the same is not repeated and must carry its bit; before the first: none
 *             group    slice   name, 1..63 bytes of UTF-8 without NUL
 *             life     ident   where not same & 1; not none
 *             marks    marks   where not same & 2
 *   marks     levels   u8      1 province, 2 prefecture, 4 county, 8 township, 16 village: which follow, in this order
 *             tick     varint  for each level there: 1 <= tick < 2^53
 *             epoch    u32
 *   ident     unit     varint  0 = none, and nothing follows; else as above
 *             tick     varint  1 <= tick < 2^53
 *             epoch    u32
 *
 * A whole version is at most LIMIT_VERSION bytes.  `vouched` is local and has no place here. */
#include <string.h>

#include "base/text.h"
#include "core/version.h"

enum flag {
	FLAG_PROPOSAL = 1, FLAG_RULING = 2, FLAG_ACTING = 4, FLAG_BASE = 8, FLAG_ACTOR = 16, FLAG_SAW = 32, FLAGS = 63,
};
enum same { SAME_LIFE = 1, SAME_MARKS = 2, SAMES = 3 };

#define ALL_LEVELS ((1u << LEVELS) - 1)
#define UNIT_LEAST UINT64_C(10000000000)
#define UNIT_END   UINT64_C(1000000000000)

/* ---- marks, Order */

int mark_compare(struct mark a, struct mark b)
{
	if (a.tick != b.tick)
		return a.tick < b.tick ? -1 : 1;
	return (a.epoch > b.epoch) - (a.epoch < b.epoch);
}

bool mark_equal(struct mark a, struct mark b)
{
	return a.tick == b.tick && a.epoch == b.epoch;
}

bool ident_equal(struct ident a, struct ident b)
{
	return a.unit == b.unit && mark_equal(a.mark, b.mark);
}

struct mark version_mark(const struct version *v)
{
	return v->marks.at[unit_level(v->unit)];
}

struct ident version_ident(const struct version *v)
{
	return (struct ident){ v->unit, version_mark(v) };
}

int marks_compare(const struct marks *a, const struct marks *b)
{
	for (int l = 0; l < LEVELS; l++) {
		int order = mark_compare(a->at[l], b->at[l]);

		if (order != 0)
			return order;
	}
	return 0;
}

/* Order: level by level from the top, the first difference decides; then the author's unit. */
int version_order(const struct version *a, const struct version *b)
{
	int order = marks_compare(&a->marks, &b->marks);

	return order != 0 ? order : (a->unit > b->unit) - (a->unit < b->unit);
}

/* Join: at each level the greater mark. */
struct marks marks_join(const struct marks *a, const struct marks *b)
{
	struct marks m;

	for (int l = 0; l < LEVELS; l++)
		m.at[l] = mark_compare(a->at[l], b->at[l]) >= 0 ? a->at[l] : b->at[l];
	return m;
}

struct marks marks_raised(const struct marks *m, enum level level, struct mark own)
{
	struct marks raised = *m;

	raised.at[level] = (struct mark){ MAX(own.tick, m->at[level].tick + 1), own.epoch };
	return raised;
}

/* ---- Seen */

/* An epoch continues from a tick that its own disk sealed, so ticks only fall on the way back: once an epoch was left
 * before m, none of its forebears can have been left at or after it. */
bool mark_seen(struct mark m, struct mark by, const struct epochs *epochs)
{
	struct mark left = by;

	if (m.tick == 0)
		return true;
	if (m.epoch == by.epoch)
		return m.tick <= by.tick;
	for (unsigned n = 0; epochs && n < LIMIT_EPOCH_CHAIN && epochs->former(epochs->arg, left.epoch, &left); n++) {
		if (m.tick > left.tick)
			return false;
		if (m.epoch == left.epoch)
			return true;
	}
	return false;
}

bool version_seen(const struct version *x, const struct version *y, const struct epochs *epochs)
{
	struct ident own = version_ident(y);

	return (x->base.unit != UNIT_NONE && ident_equal(x->base, own))
		|| mark_seen(own.mark, x->marks.at[unit_level(y->unit)], epochs);
}

/* By Order, not by Seen: every node must agree on what is open. */
bool version_open(const struct version *proposal, const struct version *decision)
{
	return !decision || mark_compare(version_mark(proposal), decision->marks.at[unit_level(proposal->unit)]) > 0;
}

/* ---- Bounds */

enum bad_mark marks_bad(const struct marks *m, enum level level, const struct marks *met)
{
	/* What my level or a higher one wrote has come through me. */
	for (int l = 0; l <= (int)level; l++)
		if (mark_compare(m->at[l], met->at[l]) > 0)
			return MARK_ABOVE;
	for (int l = 0; l < LEVELS; l++)
		if (m->at[l].tick > met->at[l].tick + LIMIT_TICK_JUMP)
			return MARK_FAR;
	return MARK_GOOD;
}

/* ---- encoding */

static void mark_put(struct buf *b, struct mark m)
{
	buf_put_varint(b, m.tick);
	buf_put_u32(b, m.epoch);
}

static struct mark mark_get(struct reader *r)
{
	struct mark m;

	m.tick = read_varint(r);
	m.epoch = read_u32(r);
	if (m.tick == 0 || m.tick >= LIMIT_TICK)
		r->bad = true;
	return m;
}

static uint64_t author_get(struct reader *r)
{
	uint64_t unit = read_varint(r);

	if (unit < UNIT_LEAST || unit >= UNIT_END)
		r->bad = true;
	return unit;
}

void marks_put(struct buf *b, const struct marks *m)
{
	unsigned levels = 0;

	for (int l = 0; l < LEVELS; l++)
		levels |= (m->at[l].tick != 0 ? 1u : 0u) << l;
	buf_put_u8(b, (uint8_t)levels);
	for (int l = 0; l < LEVELS; l++)
		if (m->at[l].tick != 0)
			mark_put(b, m->at[l]);
}

void marks_get(struct reader *r, struct marks *ret)
{
	unsigned levels = read_u8(r);

	*ret = (struct marks){0};
	if (levels & ~ALL_LEVELS)
		r->bad = true;
	for (int l = 0; l < LEVELS && !r->bad; l++)
		if (levels & (1u << l))
			ret->at[l] = mark_get(r);
}

void ident_put(struct buf *b, const struct ident *i)
{
	buf_put_varint(b, i->unit);
	if (i->unit != UNIT_NONE)
		mark_put(b, i->mark);
}

void ident_get(struct reader *r, struct ident *ret)
{
	*ret = (struct ident){0};
	ret->unit = read_varint(r);
	if (ret->unit == UNIT_NONE)
		return;
	if (ret->unit < UNIT_LEAST || ret->unit >= UNIT_END)
		r->bad = true;
	ret->mark = mark_get(r);
}

/* A delete has seen nearly always one life and one version for all groups. */
static void saw_put(struct buf *b, const struct version *v)
{
	static const struct saw none;
	const struct saw *before = &none;

	buf_put_varint(b, v->nsaw);
	for (uint32_t i = 0; i < v->nsaw; before = &v->saw[i++]) {
		const struct saw *s = &v->saw[i];
		bool life = ident_equal(s->life, before->life), marks = marks_compare(&s->marks, &before->marks) == 0;

		buf_put_u8(b, (uint8_t)((life ? SAME_LIFE : 0) | (marks ? SAME_MARKS : 0)));
		buf_put_text(b, s->group);
		if (!life)
			ident_put(b, &s->life);
		if (!marks)
			marks_put(b, &s->marks);
	}
}

static void saw_get_one(struct reader *r, const struct saw *before, struct saw *s)
{
	unsigned same = read_u8(r);
	struct slice name = read_slice(r);

	if (same & ~(unsigned)SAMES || name.n == 0 || name.n >= sizeof(s->group) || memchr(name.p, 0, name.n)
	    || !utf8_valid(name)) {
		r->bad = true;
		return;
	}
	memcpy(s->group, name.p, name.n);
	s->life = before->life;
	s->marks = before->marks;
	if (!(same & SAME_LIFE)) {
		ident_get(r, &s->life);
		r->bad |= ident_equal(s->life, before->life);
	}
	if (!(same & SAME_MARKS)) {
		marks_get(r, &s->marks);
		r->bad |= marks_compare(&s->marks, &before->marks) == 0;
	}
	r->bad |= s->life.unit == UNIT_NONE;
}

static void saw_get(struct reader *r, struct arena *a, struct version *v)
{
	static const struct saw none;
	uint64_t n = read_count(r, LIMIT_GROUPS);
	struct saw *saw = n > 0 && !r->bad ? arena_array(a, n, sizeof(*saw)) : NULL;

	if (!saw) {
		r->bad = true;
		return;
	}
	for (uint64_t i = 0; i < n && !r->bad; i++)
		saw_get_one(r, i > 0 ? &saw[i - 1] : &none, &saw[i]);
	v->saw = saw;
	v->nsaw = (uint32_t)n;
}

void version_put(struct buf *b, const struct version *v)
{
	unsigned flags = (v->kind == PROPOSAL ? FLAG_PROPOSAL : 0) | (v->ruling ? FLAG_RULING : 0)
		| (v->acting ? FLAG_ACTING : 0) | (v->base.unit != UNIT_NONE ? FLAG_BASE : 0)
		| (v->actor.n > 0 ? FLAG_ACTOR : 0) | (v->nsaw > 0 ? FLAG_SAW : 0);

	buf_put_u8(b, (uint8_t)flags);
	buf_put_varint(b, v->unit);
	marks_put(b, &v->marks);
	buf_put_u64(b, v->policy);
	if (flags & FLAG_BASE)
		ident_put(b, &v->base);
	if (flags & FLAG_RULING)
		marks_put(b, &v->asserts);
	if (flags & FLAG_ACTOR)
		buf_put_slice(b, v->actor);
	if (flags & FLAG_SAW)
		saw_put(b, v);
}

static void actor_get(struct reader *r, struct arena *a, struct version *ret)
{
	struct slice actor = read_slice(r);

	if (actor.n == 0 || actor.n > LIMIT_NAME || !utf8_valid(actor)) {
		r->bad = true;
		return;
	}
	ret->actor = arena_slice(a, actor);
}

void version_get(struct reader *r, struct arena *a, struct version *ret)
{
	size_t before = reader_left(r);
	unsigned flags = read_u8(r);

	*ret = (struct version){0};
	if (flags & ~(unsigned)FLAGS)
		r->bad = true;
	ret->kind = flags & FLAG_PROPOSAL ? PROPOSAL : DECISION;
	ret->ruling = flags & FLAG_RULING;
	ret->acting = flags & FLAG_ACTING;
	ret->unit = author_get(r);
	marks_get(r, &ret->marks);
	ret->policy = read_u64(r);
	if (flags & FLAG_BASE) {
		ident_get(r, &ret->base);
		r->bad |= ret->base.unit == UNIT_NONE;
	}
	if (flags & FLAG_RULING)
		marks_get(r, &ret->asserts);
	if (flags & FLAG_ACTOR && !r->bad)
		actor_get(r, a, ret);
	if (flags & FLAG_SAW && !r->bad)
		saw_get(r, a, ret);
	if (r->bad || version_mark(ret).tick == 0 || before - reader_left(r) > LIMIT_VERSION || a->failed) {
		r->bad = true;
		*ret = (struct version){0};
	}
}
