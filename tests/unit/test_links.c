/* Links in the store: the five feed rules under loss, delay and repetition, cursors, needs, peers, the outbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/links.h"
#include "store/outbox.h"

#define COUNTY UINT64_C(620702000000)
#define TOWN UINT64_C(620702100000)
#define VILLAGE UINT64_C(620702100001)

static char path[64];
static struct db *db;
static struct reg household = { .number = 1, .name = "household", .nkey = 1 };
static struct reg person = { .number = 2, .name = "person", .nkey = 1 };
static struct reg *regs[] = { &household, &person };
static const struct catalog catalog = { .nregs = 2, .regs = regs };
static struct err e;

#define OK(call) do { \
	int ok_ = (call); \
	if (ok_ != 0) \
		fail_msg("%s: %s", #call, e.text); \
} while (0)

static int begin(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/terrace-links-%d.db", (int)getpid());
	unlink(path);
	return db_open(path, DB_MAKE, &db, &e);
}

static int end(void **state)
{
	char more[80];

	(void)state;
	db_close(db);
	unlink(path);
	snprintf(more, sizeof more, "%s-wal", path);
	unlink(more);
	snprintf(more, sizeof more, "%s-shm", path);
	unlink(more);
	return 0;
}

static struct cell number(int64_t i)
{
	return (struct cell){ .type = CELL_INT, .i = i };
}

static struct digest hash_of_number(uint64_t n, uint32_t salt)
{
	uint8_t bytes[12] = { 0 };

	memcpy(bytes, &n, 8);
	memcpy(bytes + 8, &salt, 4);
	return digest_of((struct slice){ bytes, sizeof bytes });
}

/* ---- the five rules: a sender in the store, a receiver in memory, and a road between that loses and repeats */

#define KEYS 6
#define ROAD 64

struct sent_row {
	int key;
	uint32_t version;
};

struct carried {                         /* one segment */
	uint64_t number, follows;
	struct digest hash;
	uint32_t n;
	struct sent_row rows[2];
};

struct world {
	uint32_t versions[KEYS];         /* as the sender holds them */
	struct link link;
	uint32_t known[KEYS];            /* as the receiver knows them */
	uint64_t position;
	struct digest hash;
	struct carried road[ROAD];
	uint32_t nroad;
	uint32_t refused;
	uint32_t salt;
};

static void dirties(struct world *w, int key)
{
	w->versions[key]++;
	OK(dirty_mark(db, VILLAGE, &household, number(key), 2, &e));
}

/* (d), then (b): what one request with after = position does at the sender. */
static bool asked(struct world *w, uint64_t after, const struct digest *hash, bool lose)
{
	uint64_t follows = after;
	struct digest there;
	bool found = false, first = true;

	if (after != w->link.fed) {
		if (after > w->link.fed && after <= w->link.built)
			OK(built_hash(db, VILLAGE, after, &there, &found, &e));
		if (!found || !digest_equal(&there, hash))
			return false;
		w->link.fed = after;
		OK(dirty_done(db, VILLAGE, after, &e));
		OK(built_done(db, VILLAGE, after, &e));
	}
	OK(dirty_rewind(db, VILLAGE, after, &e));
	for (;;) {
		_cleanup_(arena_release) struct arena a = { 0 };
		struct dirty_row *rows;
		uint32_t n = 0;
		struct carried c = { .follows = follows };

		OK(dirty_rows(db, VILLAGE, 2, &a, &rows, &n, &e));
		if (n == 0)
			return true;
		c.number = ++w->link.built;
		c.hash = hash_of_number(c.number, ++w->salt);
		for (uint32_t i = 0; i < n; i++) {
			c.rows[c.n++] = (struct sent_row){ (int)rows[i].key.i, w->versions[rows[i].key.i] };
			OK(dirty_sent(db, VILLAGE, &rows[i], c.number, &e));
		}
		OK(built_add(db, VILLAGE, c.number, &c.hash, &e));
		follows = c.number;
		if (!lose && w->nroad < ROAD)
			w->road[w->nroad++] = c;
		lose = lose || (!first && rand() % 4 == 0);      /* the connection breaks in the middle */
		first = false;
	}
}

/* (c) */
static void arrives(struct world *w, const struct carried *c)
{
	if (c->follows != w->position)
		return;
	for (uint32_t i = 0; i < c->n; i++)
		if (w->known[c->rows[i].key] < c->rows[i].version)
			w->known[c->rows[i].key] = c->rows[i].version;
	w->position = c->number;
	w->hash = c->hash;
}

static void walk(struct world *w)
{
	switch (rand() % 6) {
	case 0: case 1:
		dirties(w, rand() % KEYS);
		break;
	case 2:
		w->refused += !asked(w, w->position, &w->hash, rand() % 3 == 0);
		break;
	case 3: case 4:                          /* from anywhere on the road, first or last, kept or taken off */
		if (w->nroad > 0) {
			uint32_t i = (uint32_t)rand() % w->nroad;

			arrives(w, &w->road[i]);
			if (rand() % 2)
				w->road[i] = w->road[--w->nroad];
		}
		break;
	default:                                 /* in order, as a connection brings them */
		for (uint32_t i = 0; i < w->nroad; i++)
			arrives(w, &w->road[i]);
		w->nroad = 0;
		break;
	}
}

static void test_five_rules(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 150; seed++) {
		struct world w = { .link.peer = VILLAGE };

		srand(seed);
		OK(db_begin(db, &e));
		OK(dirty_drop(db, VILLAGE, &e));
		for (int i = 0; i < 80; i++)
			walk(&w);
		/* Whatever happened, with the road empty both come to rest. */
		w.nroad = 0;
		for (int i = 0; i < 3; i++) {
			assert_true(asked(&w, w.position, &w.hash, false));
			for (uint32_t k = 0; k < w.nroad; k++)
				arrives(&w, &w.road[k]);
			w.nroad = 0;
		}
		assert_int_equal(w.refused, 0);
		for (int k = 0; k < KEYS; k++)
			assert_int_equal(w.known[k], w.versions[k]);
		assert_false(dirty_any(db, VILLAGE));
		OK(db_commit(db, &e));
	}
}

/* ---- dirty entries */

static void test_dirty(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct dirty_row *rows;
	uint32_t n, *kinds;
	int64_t *ids;

	(void)state;
	OK(dirty_drop(db, TOWN, &e));
	OK(dirty_mark(db, TOWN, &household, number(7), 2, &e));
	OK(dirty_mark(db, TOWN, &household, number(7), 4, &e));
	OK(dirty_mark(db, TOWN, &person, number(1), 1, &e));
	OK(dirty_item(db, TOWN, 2, 11, &e));
	assert_int_equal(dirty_count(db, TOWN), 3);
	assert_int_equal(dirty_count(db, VILLAGE), 0);
	assert_true(dirty_has(db, TOWN, &household, number(7)));
	assert_false(dirty_has(db, TOWN, &household, number(8)));
	OK(dirty_rows(db, TOWN, 10, &a, &rows, &n, &e));
	assert_int_equal(n, 2);
	assert_int_equal(rows[0].groups, 6);
	OK(dirty_sent(db, TOWN, &rows[0], 5, &e));
	OK(dirty_sent(db, TOWN, &rows[1], 6, &e));
	OK(dirty_items(db, TOWN, 10, &a, &kinds, &ids, &n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(kinds[0], 2);
	assert_int_equal(ids[0], 11);
	OK(dirty_item_sent(db, TOWN, 2, 11, 6, &e));
	assert_false(dirty_unsent(db, TOWN));
	/* Changed while it is on the road: it stays, with all its groups. */
	OK(dirty_mark(db, TOWN, &household, number(7), 8, &e));
	OK(dirty_done(db, TOWN, 6, &e));
	OK(dirty_rows(db, TOWN, 10, &a, &rows, &n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].groups, 14);
	assert_int_equal(dirty_count(db, TOWN), 1);
	/* The child dials a node between. */
	OK(dirty_item(db, TOWN, 7, 3, &e));
	OK(dirty_mark(db, VILLAGE, &household, number(7), 1, &e));
	OK(dirty_sent(db, VILLAGE, &(struct dirty_row){ 1, number(7), 1 }, 2, &e));
	OK(dirty_move(db, TOWN, VILLAGE, &e));
	assert_false(dirty_any(db, TOWN));
	OK(dirty_rows(db, VILLAGE, 10, &a, &rows, &n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].groups, 15);
	OK(dirty_items(db, VILLAGE, 10, &a, &kinds, &ids, &n, &e));
	assert_int_equal(n, 0);                          /* the end marker of a heal is of one link */
	OK(dirty_drop(db, VILLAGE, &e));
}

static void test_cursor(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct dirty_row *rows;
	struct reg *r;
	struct cell key;
	bool has_key;
	uint32_t n;

	(void)state;
	assert_false(cursor_open(db, TOWN));
	OK(cursor_start(db, TOWN, &catalog, &e));
	assert_true(cursor_open(db, TOWN));
	assert_true(dirty_unsent(db, TOWN));
	/* What the cursor still comes to waits for it. */
	OK(dirty_mark(db, TOWN, &household, number(4), 1, &e));
	OK(dirty_mark(db, TOWN, &household, number(9), 1, &e));
	OK(dirty_rows(db, TOWN, 10, &a, &rows, &n, &e));
	assert_int_equal(n, 0);
	OK(cursor_next(db, TOWN, &catalog, &r, &key, &has_key, &a, &e));
	assert_ptr_equal(r, &household);
	assert_false(has_key);
	OK(dirty_sent(db, TOWN, &(struct dirty_row){ 1, number(5), UINT64_MAX }, 3, &e));
	OK(cursor_put(db, TOWN, r, number(5), &e));
	OK(dirty_rows(db, TOWN, 10, &a, &rows, &n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].key.i, 4);
	/* What it gave out and was lost is found by the rewind. */
	OK(dirty_rewind(db, TOWN, 2, &e));
	OK(dirty_rows(db, TOWN, 10, &a, &rows, &n, &e));
	assert_int_equal(n, 2);
	assert_int_equal(rows[1].key.i, 5);
	assert_true(rows[1].groups == UINT64_MAX);
	OK(cursor_next(db, TOWN, &catalog, &r, &key, &has_key, &a, &e));
	assert_ptr_equal(r, &household);
	assert_true(has_key);
	assert_int_equal(key.i, 5);
	OK(cursor_end(db, TOWN, r, &e));
	OK(cursor_next(db, TOWN, &catalog, &r, &key, &has_key, &a, &e));
	assert_ptr_equal(r, &person);
	/* A register that no policy has any more holds nobody up. */
	OK(cursor_next(db, TOWN, &(struct catalog){ .nregs = 1, .regs = regs }, &r, &key, &has_key, &a, &e));
	assert_null(r);
	assert_false(cursor_open(db, TOWN));
	OK(dirty_drop(db, TOWN, &e));
}

static void test_built(void **state)
{
	struct digest h = hash_of_number(1, 1), there;
	bool found;

	(void)state;
	OK(built_add(db, TOWN, 8, &h, &e));
	OK(built_add(db, TOWN, 9, &h, &e));
	OK(built_hash(db, TOWN, 8, &there, &found, &e));
	assert_true(found && digest_equal(&h, &there));
	OK(built_done(db, TOWN, 8, &e));
	OK(built_hash(db, TOWN, 8, &there, &found, &e));
	assert_false(found);
	OK(built_hash(db, TOWN, 9, &there, &found, &e));
	assert_true(found);
	OK(dirty_drop(db, TOWN, &e));
	OK(built_hash(db, TOWN, 9, &there, &found, &e));
	assert_false(found);
}

static int count_need(void *arg, const char *reg, struct cell key)
{
	assert_string_equal(reg, "household");
	assert_int_equal(key.type, CELL_TEXT);
	(*(int *)arg)++;
	return 0;
}

static void test_needs(void **state)
{
	struct cell key = { .type = CELL_TEXT, .s = slice_of("H-1") };
	int n = 0;

	(void)state;
	OK(need_add(db, TOWN, "household", key, 1000, &e));
	OK(need_add(db, TOWN, "household", key, 2000, &e));
	assert_int_equal(need_count(db, TOWN), 1);
	assert_int_equal(need_count(db, UNIT_NONE), 1);
	OK(need_each(db, TOWN, count_need, &n, &e));
	assert_int_equal(n, 1);
	OK(need_done(db, TOWN, "household", key, &e));
	assert_int_equal(need_count(db, TOWN), 0);
}

static int count_peer(void *arg, const struct peer *p)
{
	assert_true(p->unit == TOWN || p->unit == VILLAGE);
	(*(int *)arg)++;
	return 0;
}

static int join_serial(void *arg, const char *serial)
{
	buf_printf(arg, "%s ", serial);
	return 0;
}

static void test_peers(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf serials = { 0 };
	struct peer town = { .unit = TOWN, .name = "第一镇", .direct = true, .chain = slice_of("PEM"), .serial = "0a",
		             .sign_public = { 1, 2, 3 } };
	struct peer village = { .unit = VILLAGE, .name = "村", .chain = slice_of("PEM2"), .serial = "0b" }, got;
	uint8_t keys[8][32];
	uint32_t nkeys;
	bool found;
	int n = 0;

	(void)state;
	OK(peer_put(db, &town, 5, &e));
	OK(peer_put(db, &village, 5, &e));
	OK(peer_get(db, TOWN, &a, &got, &found, &e));
	assert_true(found && got.direct && !got.revoked);
	assert_string_equal(got.name, "第一镇");
	assert_string_equal(got.serial, "0a");
	assert_memory_equal(got.sign_public, town.sign_public, 32);
	assert_true(slice_equal(got.chain, slice_of("PEM")));
	OK(peer_get(db, COUNTY, &a, &got, &found, &e));
	assert_false(found);
	OK(peer_each(db, &a, count_peer, &n, &e));
	assert_int_equal(n, 2);
	/* Told once, and again where the chain is another. */
	OK(peer_told(db, TOWN, &e));
	n = 0;
	OK(peer_untold(db, 10, &a, count_peer, &n, &e));
	assert_int_equal(n, 1);
	OK(peer_put(db, &town, 5, &e));
	n = 0;
	OK(peer_untold(db, 10, &a, count_peer, &n, &e));
	assert_int_equal(n, 1);
	town.chain = slice_of("PEM of a renewed certificate");
	OK(peer_put(db, &town, 5, &e));
	n = 0;
	OK(peer_untold(db, 10, &a, count_peer, &n, &e));
	assert_int_equal(n, 2);
	OK(peer_told(db, TOWN, &e));
	OK(peer_told(db, UNIT_NONE, &e));
	n = 0;
	OK(peer_untold(db, 1, &a, count_peer, &n, &e));
	assert_int_equal(n, 1);
	/* Revoked: serials replaced and units revoked, sorted, each once. */
	OK(revoked_put(db, "ff", TOWN, town.sign_public, 1, &e));
	OK(revoked_put(db, "ff", TOWN, town.sign_public, 2, &e));
	village.revoked = true;
	OK(peer_put(db, &village, 5, &e));
	OK(revoked_each(db, join_serial, &serials, &e));
	assert_string_equal(buf_text(&serials), "0b ff ");
	OK(revoked_keys(db, TOWN, keys, &nkeys, &e));
	assert_int_equal(nkeys, 1);
	assert_memory_equal(keys[0], town.sign_public, 32);
}

static int drop_first(void *arg, const struct link *l)
{
	uint64_t *seen = arg;

	*seen += l->received;
	return l->peer == TOWN ? 1 : 0;
}

static void test_link(void **state)
{
	struct link l = { .peer = TOWN, .received = 5, .acked = 6, .built = 7, .fed = 8, .position = 9, .epoch = 0xfffffff0u,
		          .tick = 11, .superseded = 12, .heal = 13, .healed = true, .contact_ms = 14 }, got;
	char digest[16];
	uint64_t sum = 0;
	bool found;
	int64_t at;

	(void)state;
	OK(link_get(db, TOWN, &got, &found, &e));
	assert_false(found);
	assert_int_equal(got.peer, TOWN);
	l.fed_hash = hash_of_number(3, 3);
	OK(link_put(db, &l, &e));
	OK(link_digest_put(db, TOWN, "equal", 77, &e));
	l.received = 50;
	OK(link_put(db, &l, &e));
	OK(link_get(db, TOWN, &got, &found, &e));
	assert_true(found);
	assert_true(got.received == 50 && got.acked == 6 && got.built == 7 && got.fed == 8 && got.position == 9);
	assert_true(got.epoch == 0xfffffff0u && got.tick == 11 && got.superseded == 12 && got.heal == 13);
	assert_true(got.healed && !got.twin && got.contact_ms == 14 && digest_equal(&got.fed_hash, &l.fed_hash));
	OK(link_digest(db, TOWN, digest, &at, &e));
	assert_string_equal(digest, "equal");
	assert_int_equal(at, 77);
	OK(link_put(db, &(struct link){ .peer = VILLAGE, .received = 1000, .healed = true }, &e));
	OK(link_each(db, drop_first, &sum, &e));
	assert_int_equal(sum, 50);                       /* 1 = enough */
	OK(link_unheal(db, TOWN, &e));
	OK(link_get(db, VILLAGE, &got, &found, &e));
	assert_false(got.healed);
	OK(link_get(db, TOWN, &got, &found, &e));
	assert_true(got.healed);
	OK(link_drop(db, VILLAGE, &e));
	OK(link_get(db, VILLAGE, &got, &found, &e));
	assert_false(found);
}

/* ---- the outbox */

static struct buf sealed(const struct sign_key *key, uint64_t position, uint32_t epoch)
{
	struct segment_header h = { .format = SEGMENT_FORMAT, .suite = SEGMENT_SUITE_ED25519_BLAKE2B, .kind = SEGMENT_DELTA,
		                    .author = VILLAGE, .epoch = epoch, .tick = position, .stream = 2,
		                    .position = position };
	struct buf b = { 0 };

	OK(segment_seal(&h, slice_of("payload"), key, &b, &e));
	return b;
}

static int follow(void *arg, uint64_t seq, struct slice bytes)
{
	struct outbox_head *h = arg;

	assert_int_equal(seq, h->seq + 1);
	h->seq = seq;
	h->head = digest_chain(&h->head, bytes);
	return seq == 3 ? 1 : 0;
}

static void test_outbox(void **state)
{
	struct outbox_head head, mine = { 0 }, base;
	struct outbox_waiting waiting;
	struct sign_key key;
	struct digest at, hash;
	int64_t ids[5], id;
	bool found;

	(void)state;
	OK(sign_init(&e));
	sign_key_new(&key);
	OK(outbox_head(db, &head, &e));
	assert_int_equal(head.seq, 0);
	OK(outbox_head_at(db, 0, &at, &found, &e));
	assert_true(found && digest_zero(&at));
	for (uint64_t i = 1; i <= 4; i++) {
		_cleanup_(arena_release) struct arena a = { 0 };
		_cleanup_(buf_release) struct buf b = sealed(&key, i, 1);
		struct segment s;

		OK(segment_parse(buf_slice(&b), &a, &s, &e));
		OK(segment_keep(db, &s, VILLAGE, 1000 * (int64_t)i, &ids[i], &e));
		OK(segment_keep(db, &s, VILLAGE, 9999, &id, &e));
		assert_int_equal(id, ids[i]);
		OK(outbox_add(db, ids[i], s.bytes, &e));
	}
	OK(outbox_each(db, 0, follow, &mine, &e));
	assert_int_equal(mine.seq, 3);
	OK(outbox_head_at(db, 3, &at, &found, &e));
	assert_true(found && digest_equal(&at, &mine.head));
	OK(outbox_waiting(db, 2, VILLAGE, &waiting, &e));
	assert_int_equal(waiting.entries, 2);
	assert_int_equal(waiting.own, 2);
	assert_int_equal(waiting.oldest_ms, 3000);
	/* The same position in another epoch is another segment, of a restored disk. */
	{
		_cleanup_(arena_release) struct arena a = { 0 };
		_cleanup_(buf_release) struct buf b = sealed(&key, 4, 2);
		struct segment s;

		OK(segment_parse(buf_slice(&b), &a, &s, &e));
		OK(segment_keep(db, &s, VILLAGE, 5, &id, &e));
		assert_int_not_equal(id, ids[4]);
		OK(segment_find(db, VILLAGE, SEGMENT_DELTA, 2, 4, &id, &hash, &e));
		assert_int_not_equal(id, ids[4]);
		OK(segment_find_epoch(db, VILLAGE, SEGMENT_DELTA, 2, 4, 1, &id, &hash, &e));
		assert_int_equal(id, ids[4]);
		OK(segment_find(db, VILLAGE, SEGMENT_DELTA, 2, 9, &id, &hash, &e));
		assert_int_equal(id, 0);
	}
	/* Nothing goes before it is settled; then all but the entry acknowledged, from where sending can go on. */
	OK(outbox_reclaim(db, 3, 100000, &e));
	OK(outbox_base(db, &base, &e));
	assert_int_equal(base.seq, 0);
	OK(segment_settled(db, VILLAGE, 2, 2, 50000, &e));
	OK(outbox_reclaim(db, 3, 40000, &e));
	OK(outbox_base(db, &base, &e));
	assert_int_equal(base.seq, 0);                   /* not settled for long enough */
	OK(outbox_reclaim(db, 3, 100000, &e));
	OK(outbox_base(db, &base, &e));
	assert_int_equal(base.seq, 3);
	OK(outbox_head_at(db, 0, &at, &found, &e));
	assert_false(found);
	OK(segment_reclaim(db, VILLAGE, 100000, 0, 100, &(bool){ false }, &e));
	OK(segment_find_epoch(db, VILLAGE, SEGMENT_DELTA, 2, 1, 1, &id, &hash, &e));
	assert_int_equal(id, 0);
	OK(segment_find_epoch(db, VILLAGE, SEGMENT_DELTA, 2, 3, 1, &id, &hash, &e));
	assert_int_equal(id, ids[3]);
	sign_key_release(&key);
}

static void test_streams(void **state)
{
	struct stream_head h = { 7, hash_of_number(7, 7), 5, UINT64_MAX, 0xf0000000u }, got;
	uint64_t position, settled;

	(void)state;
	OK(stream_put(db, VILLAGE, 2, &h, &e));
	OK(stream_put(db, VILLAGE, 1, &h, &e));
	OK(stream_put(db, COUNTY, SEGMENT_POLICY << 8, &h, &e));
	OK(stream_get(db, VILLAGE, 2, &got, &e));
	assert_true(got.position == 7 && got.settled == 5 && got.list == UINT64_MAX && got.epoch == 0xf0000000u);
	assert_true(digest_equal(&got.hash, &h.hash));
	OK(stream_sums(db, VILLAGE, &position, &settled, &e));
	assert_int_equal(position, 14);
	assert_int_equal(settled, 10);
	OK(stream_forget(db, TOWN, &e));
	OK(stream_get(db, VILLAGE, 2, &got, &e));
	assert_int_equal(got.position, 0);
	OK(stream_get(db, COUNTY, SEGMENT_POLICY << 8, &got, &e));
	assert_int_equal(got.position, 7);
}

static void test_receipts(void **state)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct receipt r = { .kind = RECEIPT_SETTLED, .author = VILLAGE, .stream = 2, .signer = COUNTY, .position = 3,
		             .body = slice_of("one") }, got;
	int64_t id, again;
	bool found;

	(void)state;
	OK(receipt_put(db, &r, 1, &id, &e));
	r.position = 4;
	r.body = slice_of("two");
	OK(receipt_put(db, &r, 2, &again, &e));
	assert_int_equal(id, again);
	OK(receipt_get(db, id, &a, &got, &found, &e));
	assert_true(found);
	assert_int_equal(got.position, 4);
	assert_true(slice_equal(got.body, slice_of("two")));
	r.kind = RECEIPT_TAKEN;
	OK(receipt_put(db, &r, 2, &again, &e));
	assert_int_not_equal(id, again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_five_rules), cmocka_unit_test(test_dirty), cmocka_unit_test(test_cursor),
		cmocka_unit_test(test_built), cmocka_unit_test(test_needs), cmocka_unit_test(test_peers),
		cmocka_unit_test(test_link), cmocka_unit_test(test_outbox), cmocka_unit_test(test_streams),
		cmocka_unit_test(test_receipts),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
