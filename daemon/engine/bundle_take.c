/* Bundle, the receiving side: opened, read, its sender found and its signature checked before anything else; then its
 * bodies go where those of the link go. */
#include "engine/bundle.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "core/box.h"
#include "core/bundle.h"
#include "engine/bundle_inside.h"
#include "engine/hello.h"
#include "engine/push.h"

/* ---- who may send, and what is kept for the next bundle */

int bundle_child(struct engine *e, uint64_t unit, struct facts *ret, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct chain c;
	struct peer p;
	bool found = false;
	int rc = peer_get(e->db, unit, &a, &p, &found, err);

	if (rc != 0)
		return rc;
	if (!found || !p.direct)
		return err_set(err, ERR_NOT_FOUND, "unit %012llu is neither the superior of this node nor enrolled directly below it",
		               (unsigned long long)unit);
	if (p.revoked)
		return err_set(err, ERR_CHAIN, "unit %012llu is revoked", (unsigned long long)unit);
	rc = chain_read(p.chain, &e->id->chain.at[e->id->chain.n - 1].pin, &c, err);
	if (rc == 0)
		*ret = c.at[0];
	return rc;
}

static void kept_name(uint64_t child, char ret[32])
{
	snprintf(ret, 32, "bundle/%012llu", (unsigned long long)child);
}

int kept_answer_get(struct engine *e, uint64_t child, struct arena *a, struct kept_answer *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct slice digest;
	struct reader r;
	char name[32];
	bool found = false;
	int rc;

	memset(ret, 0, sizeof *ret);
	kept_name(child, name);
	rc = meta_get(e->db, name, &b, &found, err);
	if (rc != 0 || !found)
		return rc;
	r = reader_of(buf_slice(&b));
	ret->number = read_varint(&r);
	ret->answer = arena_slice(a, read_slice(&r));
	ret->status = read_u8(&r);
	ret->code = arena_text(a, read_slice(&r));
	ret->say = arena_text(a, read_slice(&r));
	ret->over = read_u8(&r) != 0;
	digest = read_bytes(&r, DIGEST_SIZE);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "a bundle: memory is short");
	if (reader_done(&r))
		memcpy(ret->bundle.at, digest.p, DIGEST_SIZE);
	return reader_done(&r) ? 0 : err_set(err, ERR_DAMAGED, "the answer kept for unit %012llu is damaged", (unsigned long long)child);
}

int kept_answer_put(struct engine *e, uint64_t child, const struct kept_answer *k, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	_cleanup_(buf_release) struct buf b = { 0 };
	char name[32];
	int rc = engine_begin(e, err);

	guard = e;
	kept_name(child, name);
	buf_put_varint(&b, k->number);
	buf_put_slice(&b, k->answer);
	buf_put_u8(&b, k->status);
	buf_put_text(&b, k->code);
	buf_put_text(&b, k->say);
	buf_put_u8(&b, k->over);
	buf_put(&b, k->bundle.at, DIGEST_SIZE);
	if (rc == 0)
		rc = b.failed ? err_set(err, ERR_NOMEM, "a bundle: memory is short") : meta_put(e->db, name, buf_slice(&b), err);
	return rc == 0 ? engine_commit(e, err) : rc;
}

/* ---- opening */

struct arrived {
	struct buf content;
	struct arena arena;
	struct bundle b;
	bool up;                         /* from a child */
	const char *state;               /* "taken", or why its segments wait for a later one */
	int64_t until_ms;                /* of this step */
	bool again;                      /* there is more */
	struct facts child;
};

static void arrived_release(struct arrived *x)
{
	buf_release(&x->content);
	arena_release(&x->arena);
}

static int check_place(struct engine *e, struct arrived *x, struct err *err)
{
	const struct bundle *b = &x->b;
	const struct chain *mine = &e->id->chain;
	const uint8_t *key = parent_key(e);
	int rc = 0;

	if (b->to != e->unit)
		return err_set(err, ERR_SCOPE, "the bundle is for unit %012llu; this is unit %012llu", (unsigned long long)b->to,
		               (unsigned long long)e->unit);
	if (!slice_equal(b->line, slice_of(e->id->line)))
		return err_set(err, ERR_SCOPE, "the bundle belongs to business line \"%.*s\"; this node's is \"%s\"", (int)b->line.n,
		               (const char *)b->line.p, e->id->line);
	if (!digest_equal(&b->tree, &mine->at[mine->n - 1].pin))
		return err_set(err, ERR_CHAIN, "the bundle belongs to another tree: its top node has another key");
	x->up = b->from != e->parent;
	if (!x->up && key == NULL)
		return err_set(err, ERR_CHAIN, "this node's chain does not name its parent; renew it");
	if (x->up)
		rc = bundle_child(e, b->from, &x->child, err);
	if (rc == 0)
		rc = bundle_verify(b, x->up ? x->child.sign_public : key, err);
	if (rc == 0 && x->up != (b->parts[0].kind <= BUNDLE_SEGMENTS))
		rc = err_set(err, ERR_FORMAT, "the bundle of unit %012llu goes in the other direction", (unsigned long long)b->from);
	return rc;
}

static int open_bundle(struct engine *e, struct slice file, struct arrived *x, struct err *err)
{
	int rc = box_open(&e->id->sign, file, LIMIT_BUNDLE, &x->content, err);

	if (rc == 0)
		rc = bundle_get(buf_slice(&x->content), &x->arena, &x->b, err);
	return rc == 0 ? check_place(e, x, err) : rc;
}

/* ---- what is told of it */

struct sums {
	uint64_t deltas, states, changes;
};

/* Segments one after the other, each length-prefixed: those of `n`, or all that are left. */
static void count_segments(struct reader *r, uint64_t n, struct sums *sums, struct arena *a)
{
	for (; n > 0 && reader_left(r) > 0 && !r->bad; n--) {
		struct slice bytes = read_slice(r);
		struct segment s;

		arena_reset(a);
		if (r->bad || segment_parse(bytes, a, &s, NULL) != 0)
			continue;
		if (s.header.kind == SEGMENT_STATE)
			sums->states++;
		else
			sums->deltas++;
		sums->changes += s.header.changes;
	}
}

static struct sums sums_of(const struct bundle *b)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct sums sums = { 0 };

	for (uint32_t i = 0; i < b->nparts; i++) {
		struct reader r = reader_of(b->parts[i].body);

		if (b->parts[i].kind != BUNDLE_SEGMENTS && b->parts[i].kind != BUNDLE_FEED)
			continue;
		read_u8(&r);
		if (b->parts[i].kind == BUNDLE_SEGMENTS) {
			read_varint(&r);
			read_bytes(&r, DIGEST_SIZE);
			count_segments(&r, read_count(&r, UINT32_MAX), &sums, &a);
			read_varint(&r);
		}
		count_segments(&r, UINT64_MAX, &sums, &a);
	}
	return sums;
}

/* Age by the tree's clock where both ends know it, else by the clocks of the two machines. */
static int64_t age_s(struct engine *e, const struct bundle *b)
{
	int64_t tree = engine_tree_time(e), age = tree > 0 && b->tree_s > 0 ? tree - b->tree_s : (now_ms(e) - b->wall_ms) / 1000;

	return MAX(age, 0);
}

static json_t *describe(struct engine *e, const struct arrived *x, struct slice file)
{
	const struct bundle *b = &x->b;
	const struct sums sums = sums_of(b);
	char from[UNIT_TEXT_SIZE], to[UNIT_TEXT_SIZE], made[RFC3339_SIZE];

	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:I, s:I, s:I}", "from", unit_text(b->from, from), "to",
	                 unit_text(b->to, to), "direction", x->up ? "up" : "down", "made", time_rfc3339(b->wall_ms, made), "age_s",
	                 (json_int_t)age_s(e, b), "bytes", (json_int_t)file.n, "parts", (int)b->nparts, "deltas",
	                 (json_int_t)sums.deltas, "states", (json_int_t)sums.states, "changes", (json_int_t)sums.changes);
}

int engine_bundle_inspect(struct engine *e, struct slice file, json_t **ret, struct err *err)
{
	_cleanup_(arrived_release) struct arrived x = { 0 };
	int rc = open_bundle(e, file, &x, err);

	if (rc == 0)
		*ret = describe(e, &x, file);
	return rc;
}

/* ---- from a child */

static int take_receipt(struct engine *e, const struct arrived *x, struct slice body, struct err *err)
{
	_cleanup_(engine_guard) struct engine *guard = NULL;
	int rc = engine_begin(e, err);

	guard = e;
	if (rc == 0)
		rc = receipt_store(e, body, x->b.from, x->child.sign_public, err);
	return rc == 0 ? engine_commit(e, err) : rc;
}

/* How far the child's outbox and state are taken. */
static uint64_t progress(struct engine *e, uint64_t child)
{
	struct link l;
	bool found = false;

	return link_get(e->db, child, &l, &found, NULL) == 0 && found ? l.received + l.position : 0;
}

/* The step's time is over, and it brought something. */
static bool late(struct engine *e, struct arrived *x, bool brought)
{
	x->again = x->again || (brought && steady_ms(e) > x->until_ms);
	return x->again;
}

/* One body, as often as it brings something: a call takes what fits into its time. */
static int take_segments(struct engine *e, struct arrived *x, struct slice body, uint8_t *ret_status, bool *ret_brought,
                         struct err *err)
{
	bool more = true;
	int rc = 0;

	while (rc == 0 && more && !late(e, x, *ret_brought)) {
		_cleanup_(buf_release) struct buf answer = { 0 };
		uint64_t before = progress(e, x->b.from);

		rc = engine_push_answer(e, &x->child, body, &answer, err);
		if (rc != 0 && answer.n > 1)
			*ret_status = answer.p[1];
		more = progress(e, x->b.from) != before;
		*ret_brought = *ret_brought || more;
	}
	return rc;
}

static bool judged(int rc)
{
	return rc != 0 && !transient(rc);
}

/* The hello, once; an import that was broken off goes on behind it. */
static int take_hello(struct engine *e, const struct arrived *x, struct arena *a, struct kept_answer *kept, struct err *err)
{
	_cleanup_(buf_release) struct buf answer = { 0 };
	const struct bundle *b = &x->b;
	const struct digest content = digest_of(b->content);
	struct reader head = reader_of(b->parts[0].body);
	struct hello h;
	int rc = kept_answer_get(e, b->from, a, kept, err);

	hello_get(&head, &h);
	if (rc == 0 && kept->number != 0 && !kept->over && digest_equal(&kept->bundle, &content))
		return greet(e, b->from) ? 0 :           /* what it said stands in this file: a start in between forgot nothing */
		       err_set(err, ERR_NOMEM, "a bundle: memory is short");
	if (rc != 0)
		return rc;
	rc = hello_answer_late(e, &x->child, b->parts[0].body, false, &answer, err);
	if (rc == ERR_GONE)
		err_prefix(err, "the bundle is repeated, or older than one that was taken; nothing is changed: ");
	if (rc != 0)
		return rc;
	*kept = (struct kept_answer){ .number = h.number, .answer = arena_slice(a, buf_slice(&answer)), .code = "ok", .say = "",
		                      .bundle = content };
	return a->failed ? err_set(err, ERR_NOMEM, "a bundle: memory is short") : kept_answer_put(e, b->from, kept, err);
}

static const char *state_of(struct slice answer)
{
	struct reader r = reader_of(answer);
	struct hello_answer a;

	hello_answer_get(&r, &a);
	return a.orders & ORDER_TWIN ? "twin" : a.orders & ORDER_WAIT ? "waits" :
	       a.orders & (ORDER_HEAL | ORDER_HEALED) ? "heals" : "taken";
}

/* Everything behind the hello, until the step's time is over. */
static int take_parts(struct engine *e, struct arrived *x, struct kept_answer *kept, struct buf *answer, struct err *err)
{
	const struct bundle *b = &x->b;
	bool segments = false, brought = false;
	int rc = 0;

	for (uint32_t i = 1; i < b->nparts && rc == 0 && !x->again; i++) {
		if (b->parts[i].kind == BUNDLE_SEGMENTS && strcmp(x->state, "taken") != 0)
			break;
		segments = segments || b->parts[i].kind == BUNDLE_SEGMENTS;
		rc = b->parts[i].kind == BUNDLE_RECEIPT ? take_receipt(e, x, b->parts[i].body, err) :
		                                          take_segments(e, x, b->parts[i].body, &kept->status, &brought, err);
	}
	/* What follows of digests at rest is said with the segments taken. */
	if (rc != 0 || !segments || x->again)
		return rc;
	rc = hello_answer_late(e, &x->child, b->parts[0].body, true, answer, err);
	kept->answer = buf_slice(answer);
	return rc == ERR_GONE ? 0 : rc;
}

static int take_up(struct engine *e, struct arrived *x, struct err *err)
{
	_cleanup_(buf_release) struct buf answer = { 0 };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct kept_answer kept = { 0 };
	struct err say = { 0 };
	int rc = take_hello(e, x, &a, &kept, err), ended;

	if (rc != 0)
		return rc;
	x->state = state_of(kept.answer);
	rc = take_parts(e, x, &kept, &answer, &say);
	if (judged(rc)) {
		kept.code = err_name(rc);
		kept.say = say.text;
	}
	if (rc == ERR_HEAL || rc == ERR_GAP) {   /* mended by the next bundle each way */
		x->state = "heals";
		rc = 0;
	}
	kept.over = !x->again && !transient(rc);
	ended = rc == 0 || judged(rc) ? kept_answer_put(e, x->b.from, &kept, rc == 0 ? &say : NULL) : 0;
	if ((rc != 0 || ended != 0) && err != NULL)
		*err = say;
	return rc != 0 ? rc : ended;
}

/* ---- from the parent */

/* An answer to segments that says less than is known already came late. */
static int take_answer(struct engine *e, struct slice body, bool *ret_news, struct err *err)
{
	struct reader r = reader_of(body);
	struct link before, after;
	bool found = false;
	uint64_t received;
	int rc = link_get(e->db, e->parent, &before, &found, err);

	read_u8(&r);
	read_u8(&r);
	read_slice(&r);
	read_slice(&r);
	received = read_varint(&r);
	if (rc != 0 || r.bad || !found || !before.healed || received < before.acked)
		return r.bad ? err_set(err, ERR_FORMAT, "the parent's answer to segments is malformed") : rc;
	rc = engine_push_take(e, 200, body, err);
	if (link_get(e->db, e->parent, &after, &found, NULL) == 0)
		*ret_news = *ret_news || after.acked != before.acked || after.fed != before.fed;
	return rc;
}

static uint64_t position(struct engine *e)
{
	struct link l;
	bool found = false;

	return link_get(e->db, e->parent, &l, &found, NULL) == 0 && found ? l.position : 0;
}

static int take_down(struct engine *e, struct arrived *x, struct err *err)
{
	const struct bundle *b = &x->b;
	bool news = false, due = e->hello_due;
	struct err refused = { 0 };
	int rc = 0;

	for (uint32_t i = 0; i < b->nparts && rc == 0 && !late(e, x, news); i++) {
		struct slice body = b->parts[i].body;
		struct orders orders = { 0 };
		uint64_t before = position(e);

		if (b->parts[i].kind == BUNDLE_HELLO_ANSWER) {
			e->hello_due = false;
			rc = hello_take_late(e, body, &orders, err);
			news = news || rc == 0;
			e->hello_due = e->hello_due || (rc != 0 && due);
			rc = rc == ERR_GONE ? 0 : rc;
		} else if (b->parts[i].kind == BUNDLE_SEGMENTS_ANSWER) {
			rc = take_answer(e, body, &news, err);
			if (rc == ERR_REFUSED || (rc != 0 && !transient(rc) && rc != ERR_FORMAT)) {
				refused = *err;          /* told at the end: the feed behind it is taken all the same */
				rc = 0;
			}
		} else {
			rc = engine_feed_take(e, body, err);
			news = news || position(e) != before;
		}
	}
	if (rc == 0 && refused.code != 0) {
		*err = refused;
		return refused.code;
	}
	if (rc == 0 && !news)
		return err_set(err, ERR_GONE, "the bundle is repeated, or older than what came since; nothing is changed: take a bundle of this "
		               "node to unit %012llu and bring a new one back", (unsigned long long)b->from);
	return rc;
}

int engine_bundle_import(struct engine *e, struct slice file, const char *actor, json_t **ret, struct err *err)
{
	_cleanup_(arrived_release) struct arrived x = { 0 };
	struct err say = { 0 };
	int rc = open_bundle(e, file, &x, &say);

	x.state = "taken";
	x.until_ms = steady_ms(e) + BUNDLE_STEP_MS;
	if (rc == 0)
		rc = x.up ? take_up(e, &x, &say) : take_down(e, &x, &say);
	if (rc == 0 && x.again) {
		*ret = json_pack("{s:b}", "again", 1);
	} else if (rc == 0) {
		const struct sums sums = sums_of(&x.b);

		event(e, LOG_LEVEL_NOTICE, "bundle", x.b.from, NULL, "imported by %s: %zu bytes, %llu deltas, %llu states, %llu changes", actor,
		      file.n, (unsigned long long)sums.deltas, (unsigned long long)sums.states, (unsigned long long)sums.changes);
		*ret = describe(e, &x, file);
		if (*ret != NULL)
			json_object_set_new(*ret, "state", json_string(x.state));
		if (*ret != NULL)
			json_object_set_new(*ret, "actor", json_string(actor));
	} else {
		event(e, LOG_LEVEL_WARNING, "bundle", x.b.from, NULL, "a bundle was not taken: %s", say.text);
	}
	if (rc != 0 && err != NULL)
		*err = say;
	return rc;
}

/* ---- words */

int engine_bundle_command(struct engine *e, const char *const *words, uint32_t n, const char *actor, struct slice in,
                          struct buf *out, json_t **ret, struct err *err)
{
	uint64_t to;
	int rc;

	if (n == 2 && strcmp(words[0], "export") == 0) {
		rc = unit_parse(slice_of(words[1]), &to, err);
		return rc == 0 ? engine_bundle_export(e, to, actor, out, ret, err) : rc;
	}
	if (n == 1 && strcmp(words[0], "import") == 0)
		return engine_bundle_import(e, in, actor, ret, err);
	if (n == 1 && strcmp(words[0], "inspect") == 0)
		return engine_bundle_inspect(e, in, ret, err);
	return err_set(err, ERR_USAGE, "bundle: export UNIT, import or inspect");
}
