/* Report: verify: is what stands in the file what was put there?  Pages and triggers; with --deep the signed evidence, the
 * chains it stands in, certificates, receipts, policies, and every row (report_verify_rows.c).  Nothing is changed. */
#include "engine/report_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/contact.h"
#include "engine/watch.h"
#include "store/verify.h"

#define KEYS_MOST 16u

void verify_finding(struct checking *c, const char *check, const char *error, const char *format, ...)
{
	char object[400];
	va_list args;
	json_t *j;

	if (c->findings++ >= VERIFY_FINDINGS)
		return;
	va_start(args, format);
	vsnprintf(object, sizeof object, format, args);
	va_end(args);
	j = json_object();
	put(j, "check", json_string(check));
	put(j, "object", json_words(*object != '\0' ? object : NULL));
	put(j, "error", json_words(error));
	json_array_append_new(json_object_get(c->r->ret, "findings"), j);
}

void verify_progress(struct checking *c, const char *what, uint64_t done)
{
	if (c->r->home->progress != NULL && done % 256 == 0)
		c->r->home->progress(c->r->home->arg, what, done);
}

static int page_line(void *arg, const char *line)
{
	struct checking *c = arg;

	if (line != NULL && strcmp(line, "ok") == 0)
		return 0;
	c->pages_bad = true;
	verify_finding(c, "database", line, "%s", "");
	return 0;
}

static int triggers_check(void *arg, const struct reg *reg, uint32_t missing, const char *names)
{
	struct checking *c = arg;

	if (missing > 0)
		verify_finding(c, "triggers", "triggers are missing or changed; the running daemon puts them back and looks at every row",
		               "%s: %s", reg->name, names);
	c->triggers += missing;
	return 0;
}

/* ---- certificates */

static int peer_check(void *arg, const struct peer *p)
{
	struct checking *c = arg;
	struct err why = { 0 };
	struct chain chain;

	if (p->chain.n == 0)
		return 0;
	if (chain_read(p->chain, NULL, &chain, &why) != 0)
		verify_finding(c, "certificate", why.text, "unit %012llu", (unsigned long long)p->unit);
	else if (chain.at[0].unit != p->unit || memcmp(chain.at[0].sign_public, p->sign_public, SIGN_PUBLIC_SIZE) != 0 ||
	         strcmp(chain.at[0].serial, p->serial) != 0)
		verify_finding(c, "certificate", "the certificate is not the one whose key and number stand beside it", "unit %012llu",
		               (unsigned long long)p->unit);
	return 0;
}

static int check_certificates(struct checking *c, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };

	if (c->r->home->chain_error != NULL)
		verify_finding(c, "certificate", c->r->home->chain_error, "%s", "this node");
	return peer_each(c->r->db, &a, peer_check, c, err);
}

/* The keys that are known of a unit: of the own chain, of its certificate, of former ones. */
static int keys_of(struct report *r, uint64_t unit, uint8_t ret[KEYS_MOST][SIGN_PUBLIC_SIZE], uint32_t *ret_n, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	const struct chain *chain = r->home->chain;
	struct peer peer = { 0 };
	uint8_t former[8][32];
	bool found = false;
	uint32_t n = 0;
	int rc;

	*ret_n = 0;
	for (uint32_t i = 0; chain != NULL && i < chain->n && *ret_n < KEYS_MOST - 9; i++)
		if (chain->at[i].unit == unit)
			memcpy(ret[(*ret_n)++], chain->at[i].sign_public, SIGN_PUBLIC_SIZE);
	rc = peer_get(r->db, unit, &a, &peer, &found, err);
	if (rc == 0 && found)
		memcpy(ret[(*ret_n)++], peer.sign_public, SIGN_PUBLIC_SIZE);
	if (rc == 0)
		rc = revoked_keys(r->db, unit, former, &n, err);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		memcpy(ret[(*ret_n)++], former[i], SIGN_PUBLIC_SIZE);
	return rc;
}

/* ---- segments and their chains */

/* The columns beside the bytes, by which a segment is found, say what its header says. */
static const char *columns_differ(const struct kept_segment *k, const struct segment *s)
{
	const struct segment_header *h = &s->header;
	const struct digest hash = segment_hash(s);

	if (k->author != h->author || k->kind != h->kind || k->stream != h->stream || k->position != h->position ||
	    k->epoch != h->epoch || k->tick != h->tick)
		return "author, place or epoch beside it are not those of its header";
	if (k->hash.n != DIGEST_SIZE || memcmp(k->hash.p, hash.at, DIGEST_SIZE) != 0)
		return "the hash beside it is not its own";
	return NULL;
}

/* The segment before it, where that is kept. */
static int follows(struct checking *c, const struct kept_segment *k, const struct segment *s, const char **ret, struct err *err)
{
	const struct digest *previous = &s->header.previous;
	bool kept, fits;
	int rc;

	if (k->kind == SEGMENT_STATE || k->position < 2 || digest_zero(previous) || s->header.continues)
		return 0;
	rc = verify_place(c->r->db, k->author, k->kind, k->stream, k->position - 1, (struct slice){ previous->at, DIGEST_SIZE }, &kept,
	                  &fits, err);
	if (rc == 0 && kept && !fits)
		*ret = "it does not continue the segment before it in its stream";
	return rc;
}

static int check_one(struct checking *c, const struct kept_segment *k, const char **ret_plain, struct err *err)
{
	const char *by;
	struct segment s;
	int rc = segment_parse(k->bytes, &c->r->arena, &s, err);

	if (rc == 0)
		rc = report_segment_authentic(c->r, &s, &by, err);
	if (rc == 0)
		rc = report_segment_sound(c->r, &s, err);
	if (rc == 0)
		*ret_plain = columns_differ(k, &s);
	if (rc == 0 && *ret_plain == NULL)
		rc = follows(c, k, &s, ret_plain, err);
	return rc;
}

static int segment_check(void *arg, const struct kept_segment *k)
{
	struct checking *c = arg;
	struct arena kept = c->r->arena;
	const char *plain = NULL;
	struct err why = { 0 };
	int rc;

	c->r->arena = (struct arena){ 0 };       /* what one segment takes ends with it */
	rc = check_one(c, k, &plain, &why);
	arena_release(&c->r->arena);
	c->r->arena = kept;
	verify_progress(c, "segments", ++c->segments);
	if (rc == 0 && plain == NULL)
		return 0;
	c->bad++;
	verify_finding(c, "segment", rc != 0 ? why.text : plain, "segment %lld", (long long)k->id);
	return 0;
}

static int stream_check(void *arg, uint64_t author, uint32_t kind, uint64_t stream, uint64_t position, struct slice hash)
{
	struct checking *c = arg;
	struct err why = { 0 };
	bool kept, fits;
	int rc = verify_place(c->r->db, author, kind, stream, position, hash, &kept, &fits, &why);

	if (rc != 0 || (kept && !fits))
		verify_finding(c, "stream", rc != 0 ? why.text : "its head is not the hash of the segment that stands there",
		               "%s of unit %012llu, position %llu", segment_kind_text(kind), (unsigned long long)author,
		               (unsigned long long)position);
	return 0;
}

struct outbox_walk {
	struct checking *c;
	uint64_t last;
	struct digest head;
};

static int outbox_check(void *arg, uint64_t seq, struct slice head, struct slice bytes)
{
	struct outbox_walk *w = arg;
	struct digest want = digest_chain(&w->head, bytes);
	bool known = w->last != 0 || seq == 1;   /* what the first one kept follows from is not here any more */
	const char *error = NULL;

	if (head.n != DIGEST_SIZE)
		error = "its head is no hash";
	else if (w->last != 0 && seq != w->last + 1)
		error = "the entry before it is missing";
	else if (known && bytes.n == 0)
		error = "its segment is not kept";
	else if (known && memcmp(head.p, want.at, DIGEST_SIZE) != 0)
		error = "its head does not follow from the entry before it";
	if (error != NULL)
		verify_finding(w->c, "outbox", error, "entry %llu", (unsigned long long)seq);
	w->last = seq;
	if (head.n == DIGEST_SIZE)
		memcpy(w->head.at, head.p, DIGEST_SIZE);
	return 0;
}

/* ---- receipts */

static int receipt_one(const struct receipt *r, const uint8_t key[SIGN_PUBLIC_SIZE], struct err *err)
{
	struct receipt_line lines[RECEIPT_LINES];
	uint32_t n = 0;
	int rc;

	if (r->kind == RECEIPT_SETTLED)
		return settled_check(r->body, r, key, err);
	rc = receipt_read(r->body, r->signer, key, lines, &n, err);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		if (lines[i].author == r->author && lines[i].stream == r->stream && lines[i].position == r->position)
			return 0;
	return rc != 0 ? rc : err_set(err, ERR_SIGNATURE, "the receipt does not speak of position %llu", (unsigned long long)r->position);
}

static int receipt_check(void *arg, int64_t id, const struct receipt *r)
{
	uint8_t keys[KEYS_MOST][SIGN_PUBLIC_SIZE];
	struct checking *c = arg;
	struct err why = { 0 };
	uint32_t n = 0;
	int rc = keys_of(c->r, r->signer, keys, &n, &why);

	verify_progress(c, "receipts", ++c->receipts);
	if (rc == 0 && n == 0)
		rc = err_set(&why, ERR_CHAIN, "no certificate of unit %012llu is known here", (unsigned long long)r->signer);
	for (uint32_t i = 0; i < n; i++)
		if ((rc = receipt_one(r, keys[i], &why)) == 0)
			return 0;
	verify_finding(c, "receipt", why.text, "receipt %lld of unit %012llu", (long long)id, (unsigned long long)r->signer);
	return rc == ERR_DB;
}

/* ---- policies: what is in force is what was signed */

static int policy_check(void *arg, uint64_t issuer, uint64_t version, struct slice canonical, int64_t segment)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf bytes = { 0 }, raw = { 0 };
	struct checking *c = arg;
	struct err why = { 0 };
	struct policy p;
	struct segment s;
	int rc = policy_get(canonical, &a, &p, &why);

	if (rc == 0 && (p.issuer != issuer || p.version != version))
		rc = err_set(&why, ERR_DAMAGED, "the policy names another issuer or version");
	if (rc == 0 && segment != 0 && segment_bytes(c->r->db, segment, &bytes, NULL) == 0 && bytes.n > 0) {
		rc = segment_parse(buf_slice(&bytes), &a, &s, &why);
		if (rc == 0)
			rc = segment_inflate(&s, &raw, &why);
		if (rc == 0 && !slice_equal(buf_slice(&raw), canonical))
			rc = err_set(&why, ERR_DAMAGED, "the policy is not the one that its issuer signed");
	}
	if (rc != 0)
		verify_finding(c, "policy", why.text, "unit %012llu version %llu", (unsigned long long)issuer, (unsigned long long)version);
	return 0;
}

static int list_check(void *arg, uint64_t hash, struct slice body)
{
	struct policy_entry entries[64];
	struct checking *c = arg;
	struct reader r = reader_of(body);
	uint32_t n = (uint32_t)read_count(&r, ARRAY_SIZE(entries));

	for (uint32_t i = 0; i < n; i++) {
		entries[i].issuer = read_varint(&r);
		entries[i].version = read_varint(&r);
	}
	if (!reader_done(&r) || policy_list_hash(entries, n) != hash)
		verify_finding(c, "policy", "the list is not the one that its hash names", "list %016llx", (unsigned long long)hash);
	return 0;
}

/* ---- all of it */

static int check_deep(struct checking *c, struct err *err)
{
	struct outbox_walk w = { .c = c };
	int rc = check_certificates(c, err);

	if (rc == 0)
		rc = verify_segments(c->r->db, segment_check, c, err);
	if (rc == 0)
		rc = verify_streams(c->r->db, stream_check, c, err);
	if (rc == 0)
		rc = verify_outbox(c->r->db, outbox_check, &w, err);
	if (rc == 0)
		rc = verify_receipts(c->r->db, receipt_check, c, err);
	if (rc == 0)
		rc = verify_policies(c->r->db, policy_check, c, err);
	if (rc == 0)
		rc = verify_lists(c->r->db, list_check, c, err);
	return rc == 0 ? verify_rows(c, err) : rc;
}

int report_verify(struct report *r, struct err *err)
{
	struct checking c = { .r = r };
	int rc;

	r->ret = json_object();
	put(r->ret, "findings", json_array());
	rc = report_integrity(r->db, r->deep, page_line, &c, err);
	if (rc == 0 && !c.pages_bad && (rc = report_catalog(r, err)) == ERR_DAMAGED) {
		verify_finding(&c, "policy", err->text, "%s", "");
		rc = 0;
	}
	if (rc == 0 && !c.pages_bad && r->catalog != NULL)
		rc = watch_missing(r->db, r->catalog, r->home->unit, r->home->parent, triggers_check, &c, err);
	if (rc == 0 && !c.pages_bad && r->deep)
		rc = check_deep(&c, err);
	put(r->ret, "database", json_string(c.pages_bad ? "damaged" : "ok"));
	put(r->ret, "segments", json_count(c.segments));
	put(r->ret, "not_authentic", json_count(c.bad));
	put(r->ret, "receipts", json_count(c.receipts));
	put(r->ret, "rows", json_count(c.rows));
	put(r->ret, "triggers_missing", json_count(c.triggers));
	put(r->ret, "found", json_count(c.findings));
	r->found = c.findings > 0 ? 5 : 0;
	return rc;
}
