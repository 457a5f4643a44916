/* The vectors of terrace-wire(7): tests/vectors/wire-NAME.hex, whole segments, signed by the key of the seed
 * 00 01 02 .. 1f.  Without arguments every one is verified and inflated, and its payload and header compared, byte
 * by byte, with what is made today: the promise that the format does not drift.  (What deflate makes of the same
 * payload may differ from one zlib to the next and is not compared.)
 *
 *   wire --write FOLDER      writes the vectors
 *   wire --corpus FOLDER     writes seeds for the fuzzers: segment/ and payload/
 *   wire --json FILE         what a vector says, in the form of decode.py --exact */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "core/change.h"
#include "core/segment.h"
#include "core/segment_header.h"
#include "wire_sample.h"

#define FOLDER "tests/vectors"
#define PER_LINE 48u

static int failed(const struct err *err)
{
	fprintf(stderr, "%s\n", err->text);
	return 1;
}

/* Raw payload and sealed segment of sample n. */
static int make(struct sample *s, struct buf *raw, struct buf *sealed, struct err *err)
{
	struct sign_key key;
	int rc = 0;

	sample_key(&key);
	if (s->payload != NULL)
		rc = payload_encode(s->payload, raw, err);
	else
		buf_put(raw, s->body.p, s->body.n);
	return rc != 0 ? rc : segment_seal(&s->header, buf_slice(raw), &key, sealed, err);
}

static void put_lines(struct buf *b, struct slice bytes)
{
	for (size_t i = 0; i < bytes.n; i += PER_LINE) {
		hex_put(b, (struct slice){ bytes.p + i, MIN(PER_LINE, bytes.n - i) });
		buf_put_u8(b, '\n');
	}
}

static int read_vector(const char *path, struct buf *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf text = { 0 };
	_cleanup_(buf_release) struct buf digits = { 0 };
	int rc = file_read(path, 1u << 22, &text, err);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '\n')
			buf_put_u8(&digits, text.p[i]);
	if (buf_reserve(ret, digits.n / 2) == NULL || hex_get(buf_slice(&digits), ret->p, ret->n) != 0)
		return err_set(err, ERR_FORMAT, "%s: not hexadecimal", path);
	return 0;
}

static int write_all(const char *folder, bool corpus)
{
	for (uint32_t i = 0; i < sample_count(); i++) {
		_cleanup_(arena_release) struct arena a = { 0 };
		_cleanup_(buf_release) struct buf raw = { 0 };
		_cleanup_(buf_release) struct buf sealed = { 0 };
		_cleanup_(buf_release) struct buf lines = { 0 };
		_cleanup_(free_pointer) char *path = NULL;
		_cleanup_(free_pointer) char *second = NULL;
		struct sample *s = sample_named(&a, i);
		struct err err;
		int rc = make(s, &raw, &sealed, &err);

		if (rc == 0 && corpus) {
			path = text_printf("%s/segment/%s", folder, s->name);
			second = text_printf("%s/payload/%s", folder, s->name);
			rc = file_write(path, buf_slice(&sealed), 0644, &err);
			if (rc == 0 && s->payload != NULL)
				rc = file_write(second, buf_slice(&raw), 0644, &err);
		} else if (rc == 0) {
			put_lines(&lines, buf_slice(&sealed));
			path = text_printf("%s/wire-%s.hex", folder, s->name);
			rc = file_write(path, buf_slice(&lines), 0644, &err);
		}
		if (rc != 0)
			return failed(&err);
	}
	return 0;
}

/* Does raw say what the sample says? */
static bool same_content(const struct sample *s, struct slice raw)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf then = { 0 };
	_cleanup_(buf_release) struct buf now = { 0 };
	struct payload p;

	if (s->payload == NULL)
		return slice_equal(raw, s->body);
	if (payload_decode(raw, &a, &p, NULL) != 0)
		return false;
	sample_describe(&p, &then);
	sample_describe(s->payload, &now);
	return slice_equal(buf_slice(&then), buf_slice(&now));
}

/* The vector's segment against the sample, made anew. */
static int check_one(struct sample *s, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf raw = { 0 };
	_cleanup_(buf_release) struct buf made = { 0 };
	_cleanup_(buf_release) struct buf stored = { 0 };
	_cleanup_(buf_release) struct buf inflated = { 0 };
	_cleanup_(buf_release) struct buf then = { 0 };
	_cleanup_(buf_release) struct buf now = { 0 };
	_cleanup_(free_pointer) char *path = text_printf(FOLDER "/wire-%s.hex", s->name);
	struct segment vector, fresh;
	struct sign_key key;
	int rc = make(s, &raw, &made, err);

	sample_key(&key);
	if (rc == 0)
		rc = read_vector(path, &stored, err);
	if (rc == 0)
		rc = segment_parse(buf_slice(&stored), &a, &vector, err);
	if (rc == 0)
		rc = segment_verify(&vector, key.public_key, err);
	if (rc == 0)
		rc = segment_inflate(&vector, &inflated, err);
	if (rc == 0)
		rc = segment_parse(buf_slice(&made), &a, &fresh, err);
	if (rc != 0)
		return err_prefix(err, "%s: ", path);
	segment_put_context(&then, &vector.header);
	segment_put_context(&now, &fresh.header);
	if (!slice_equal(buf_slice(&then), buf_slice(&now)) ||
	    !slice_equal(vector.header.extensions, fresh.header.extensions) || !same_content(s, buf_slice(&inflated)))
		return err_set(err, ERR_FORMAT, "%s: it does not say what it said; a published format does not change: "
		               "give the new one a new number", path);
	if (!slice_equal(buf_slice(&raw), buf_slice(&inflated)))
		return err_set(err, ERR_FORMAT, "%s: the encoder chooses other streams for the same content; if that is meant, "
		               "write the vectors anew with --write " FOLDER, path);
	return 0;
}

static int check_all(void)
{
	int wrong = 0, good = 0;

	for (uint32_t i = 0; i < sample_count(); i++) {
		_cleanup_(arena_release) struct arena a = { 0 };
		struct err err = { 0 };

		if (check_one(sample_named(&a, i), &err) == 0)
			good++;
		else
			wrong += failed(&err);
	}
	printf("wire: %d passed, %d failed\n", good, wrong);
	return wrong > 0;
}

/* ---- JSON: numbers, names and hexadecimal only, so nothing needs quoting but names */

static void put_hex(struct slice s)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	hex_put(&b, s);
	printf("\"%s\"", buf_text(&b));
}

static void put_name(struct slice s)
{
	printf("\"%.*s\"", (int)s.n, (const char *)s.p);
}

static void put_cells(const struct cell *c, uint32_t n)
{
	static const char *const types[] = { "null", "int", "real", "text", "blob" };

	putchar('[');
	for (uint32_t i = 0; i < n; i++) {
		printf("%s[\"%s\"", i > 0 ? "," : "", types[c[i].type]);
		if (c[i].type == CELL_INT) {
			printf(",%" PRId64, c[i].i);
		} else if (c[i].type == CELL_REAL) {
			_cleanup_(buf_release) struct buf b = { 0 };
			uint64_t bits;

			memcpy(&bits, &c[i].r, sizeof bits);
			buf_put_u64(&b, bits);
			putchar(',');
			put_hex(buf_slice(&b));
		} else if (c[i].type != CELL_NULL) {
			putchar(',');
			put_hex(c[i].s);
		}
		putchar(']');
	}
	putchar(']');
}

static void put_ident(struct ident i)
{
	printf("[%" PRIu64 ",%" PRIu64 ",%u]", i.unit, i.mark.tick, i.mark.epoch);
}

static void put_part(const struct wire_register *reg, const struct part *p)
{
	_cleanup_(buf_release) struct buf v = { 0 };

	version_put(&v, p->version);
	printf("{\"version\":");
	put_hex(buf_slice(&v));
	printf(",\"life\":");
	put_ident(p->life);
	if (p->group == PART_ROW) {
		printf(",\"group\":null,\"alive\":%s,\"row_unit\":%" PRIu64 "}", p->alive ? "true" : "false", p->row_unit);
		return;
	}
	printf(",\"group\":");
	put_name(reg->groups[p->group].name);
	printf(",\"whole\":%s,\"columns\":[", p->whole ? "true" : "false");
	for (uint32_t i = 0; i < p->ncolumns; i++) {
		printf("%s", i > 0 ? "," : "");
		put_name(reg->groups[p->group].columns[p->columns[i]]);
	}
	printf("],\"cells\":");
	put_cells(p->cells, p->ncolumns);
	putchar('}');
}

static void put_payload(const struct payload *p)
{
	printf("{\"changes\":[");
	for (uint32_t i = 0; i < p->nchanges; i++) {
		const struct change *c = &p->changes[i];

		printf("%s{\"register\":", i > 0 ? "," : "");
		put_name(p->registers[c->reg].name);
		printf(",\"key\":");
		put_cells(c->key.cells, c->key.n);
		printf(",\"unit\":%" PRIu64 ",\"flags\":%u,\"parts\":[", c->unit, c->flags);
		for (uint32_t k = 0; k < c->nparts; k++) {
			printf("%s", k > 0 ? "," : "");
			put_part(&p->registers[c->reg], &c->parts[k]);
		}
		printf("]}");
	}
	printf("],\"items\":[");
	for (uint32_t i = 0; i < p->nitems; i++) {
		printf("%s[%u,", i > 0 ? "," : "", p->items[i].kind);
		put_hex(p->items[i].body);
		putchar(']');
	}
	printf("]}");
}

static void put_header(const struct segment *s)
{
	const struct segment_header *h = &s->header;

	printf("{\"kind\":\"%s\",\"author\":%" PRIu64 ",\"epoch\":%u,\"tick\":%" PRIu64 ",\"policy\":%" PRIu64,
	       segment_kind_text(h->kind), h->author, h->epoch, h->tick, h->policy);
	printf(",\"stream\":%" PRIu64 ",\"position\":%" PRIu64, h->stream, h->position);
	if (h->kind == SEGMENT_STATE) {
		printf(",\"follows\":%" PRIu64, h->follows);
	} else {
		printf(",\"previous\":");
		put_hex((struct slice){ h->previous.at, DIGEST_SIZE });
	}
	printf(",\"wall_ms\":%" PRId64 ",\"changes\":%u,\"final\":%s", h->wall_ms, h->changes, h->final ? "true" : "false");
	if (h->continues)
		printf(",\"continues\":[%" PRIu64 ",%u,%" PRIu64 "]", h->continues_mark.tick, h->continues_mark.epoch,
		       h->continues_position);
	printf(",\"policies\":[");
	for (uint32_t l = 0, at = 0; l < h->nlists; at += h->lists[l++]) {
		printf("%s[", l > 0 ? "," : "");
		for (uint32_t i = 0; i < h->lists[l]; i++)
			printf("%s[%" PRIu64 ",%" PRIu64 "]", i > 0 ? "," : "", h->policies[at + i].issuer,
			       h->policies[at + i].version);
		putchar(']');
	}
	printf("]}");
}

static int print_json(const char *path)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(buf_release) struct buf bytes = { 0 };
	_cleanup_(buf_release) struct buf raw = { 0 };
	struct digest hash;
	struct segment s;
	struct payload p;
	struct err err;

	if (read_vector(path, &bytes, &err) != 0 || segment_parse(buf_slice(&bytes), &a, &s, &err) != 0 ||
	    segment_inflate(&s, &raw, &err) != 0)
		return failed(&err);
	hash = segment_hash(&s);
	printf("{\"header\":");
	put_header(&s);
	printf(",\"hash\":");
	put_hex((struct slice){ hash.at, DIGEST_SIZE });
	if (s.header.kind == SEGMENT_DELTA || s.header.kind == SEGMENT_STATE) {
		if (payload_decode(buf_slice(&raw), &a, &p, &err) != 0)
			return failed(&err);
		printf(",\"payload\":");
		put_payload(&p);
	} else {
		printf(",\"body\":");
		put_hex(buf_slice(&raw));
	}
	printf("}\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct err err;

	if (sign_init(&err) != 0)
		return failed(&err);
	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_all(argv[2], false);
	if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
		return write_all(argv[2], true);
	if (argc == 3 && strcmp(argv[1], "--json") == 0)
		return print_json(argv[2]);
	return check_all();
}
