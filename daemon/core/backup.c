/* Backup: header and identity of a backup file. */
#include "core/backup.h"

#include <string.h>

#include "base/text.h"

static const size_t magic_size = sizeof(BACKUP_MAGIC) - 1;

static int damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_DAMAGED, "the %s of the backup is damaged; take another backup", what);
}

int backup_header_put(const struct backup_header *h, struct buf *b, struct err *err)
{
	_cleanup_(buf_release) struct buf body = { 0 };

	if (h->nlinks > BACKUP_LINKS)
		return err_set(err, ERR_LIMIT, "a backup of a node with %u neighbours; %u are possible", h->nlinks, BACKUP_LINKS);
	buf_put_varint(&body, h->unit);
	buf_put_text(&body, h->line);
	buf_put_text(&body, h->name);
	buf_put_varint(&body, (uint64_t)h->tree_s);
	buf_put_varint(&body, (uint64_t)h->wall_s);
	buf_put_u32(&body, h->epoch);
	buf_put_varint(&body, h->sealed);
	buf_put_varint(&body, h->met);
	buf_put_varint(&body, h->outbox);
	buf_put(&body, h->outbox_head.at, DIGEST_SIZE);
	buf_put_u8(&body, h->wal);
	buf_put_varint(&body, h->nlinks);
	for (uint32_t i = 0; i < h->nlinks; i++) {
		const struct backup_link *l = &h->links[i];
		const uint64_t numbers[] = { l->peer, l->received, l->acked, l->built, l->fed, l->position };
		for (size_t k = 0; k < ARRAY_SIZE(numbers); k++)
			buf_put_varint(&body, numbers[k]);
	}
	buf_put_varint(&body, h->cost.passes);
	buf_put_varint(&body, h->cost.kib);
	buf_put(&body, h->salt, BOX_SALT);
	buf_put_varint(&body, h->identity);
	buf_put_varint(&body, h->database);
	buf_put(b, BACKUP_MAGIC, magic_size);
	buf_put_u32(b, (uint32_t)body.n);
	buf_put(b, body.p, body.n);
	return body.failed || b->failed ? err_set(err, ERR_NOMEM, "a backup's header: out of memory") : 0;
}

int backup_header_length(struct slice first, size_t *ret, struct err *err)
{
	struct reader r = { .bad = true };
	uint32_t n;

	if (first.n >= magic_size && !memcmp(first.p, BACKUP_MAGIC, magic_size))
		r = reader_of((struct slice){ first.p + magic_size, first.n - magic_size });
	n = read_u32(&r);
	if (r.bad)
		return err_set(err, ERR_FORMAT, "no backup of terracectl, or one of a newer version");
	if (n > BACKUP_HEADER)
		return damaged(err, "header");
	*ret = magic_size + 4 + n;
	return 0;
}

static void get_text(struct reader *r, char *to, size_t size)
{
	struct slice s = read_slice(r);

	if (s.n >= size || (s.n && memchr(s.p, 0, s.n)) || !utf8_valid(s))
		r->bad = true;
	else if (s.n)
		memcpy(to, s.p, s.n);
}

static void get_bytes(struct reader *r, uint8_t *to, size_t n)
{
	struct slice s = read_bytes(r, n);

	if (s.n == n)
		memcpy(to, s.p, n);
}

static void get_links(struct reader *r, struct arena *a, struct backup_header *ret)
{
	ret->nlinks = (uint32_t)read_count(r, BACKUP_LINKS);
	ret->links = arena_array(a, MAX(ret->nlinks, 1u), sizeof(*ret->links));
	for (uint32_t i = 0; ret->links && i < ret->nlinks; i++) {
		struct backup_link *l = &ret->links[i];
		uint64_t *const numbers[] = { &l->peer, &l->received, &l->acked, &l->built, &l->fed, &l->position };
		for (size_t k = 0; k < ARRAY_SIZE(numbers); k++)
			*numbers[k] = read_varint(r);
	}
}

static bool sound(const struct backup_header *h)
{
	char text[UNIT_TEXT_SIZE];
	uint64_t unit;

	return h->unit < UINT64_C(1000000000000) && !unit_parse(slice_of(unit_text(h->unit, text)), &unit, NULL) && *h->line && h->tree_s >= 0 && h->wall_s >= 0 && h->identity <= BACKUP_IDENTITY &&
	       h->database >= 512 && h->database <= INT64_MAX;
}

int backup_header_get(struct slice bytes, struct arena *a, struct backup_header *ret, struct err *err)
{
	size_t all = 0;
	int rc = backup_header_length(bytes, &all, err);
	struct reader r;

	if (rc)
		return rc;
	*ret = (struct backup_header){ 0 };
	if (all != bytes.n)
		return damaged(err, "header");
	r = reader_of((struct slice){ bytes.p + magic_size + 4, bytes.n - magic_size - 4 });
	ret->unit = read_varint(&r);
	get_text(&r, ret->line, sizeof(ret->line));
	get_text(&r, ret->name, sizeof(ret->name));
	ret->tree_s = (int64_t)read_varint(&r);
	ret->wall_s = (int64_t)read_varint(&r);
	ret->epoch = read_u32(&r);
	ret->sealed = read_varint(&r);
	ret->met = read_varint(&r);
	ret->outbox = read_varint(&r);
	get_bytes(&r, ret->outbox_head.at, DIGEST_SIZE);
	uint8_t wal = read_u8(&r);
	ret->wal = wal;
	get_links(&r, a, ret);
	uint64_t passes = read_varint(&r), kib = read_varint(&r);
	ret->cost = (struct box_cost){ (uint32_t)MIN(passes, UINT32_MAX), (uint32_t)MIN(kib, UINT32_MAX) };
	get_bytes(&r, ret->salt, BOX_SALT);
	ret->identity = read_varint(&r);
	ret->database = read_varint(&r);
	if (a->failed)
		return err_set(err, ERR_NOMEM, "a backup's header: out of memory");
	return reader_done(&r) && wal <= 1 && sound(ret) ? 0 : damaged(err, "header");
}

/* ---- identity */

int backup_files_put(const struct backup_file *files, uint32_t n, struct buf *b, struct err *err)
{
	buf_put_varint(b, n);
	for (uint32_t i = 0; i < n; i++) {
		buf_put_text(b, files[i].name);
		buf_put_slice(b, files[i].content);
	}
	return b->failed ? err_set(err, ERR_NOMEM, "a backup's identity: out of memory") : 0;
}

int backup_files_get(struct slice bytes, struct arena *a, struct backup_file ret[BACKUP_FILES], uint32_t *ret_n, struct err *err)
{
	struct reader r = reader_of(bytes);
	uint32_t n = (uint32_t)read_count(&r, BACKUP_FILES);

	for (uint32_t i = 0; i < n && !r.bad; i++) {
		struct slice name = read_slice(&r), content = read_slice(&r);
		if (!name.n || name.p[0] == '.' || memchr(name.p, '/', name.n) || memchr(name.p, 0, name.n))
			r.bad = true;
		ret[i] = (struct backup_file){ arena_text(a, name), arena_slice(a, content) };
	}
	*ret_n = n;
	if (a->failed)
		return err_set(err, ERR_NOMEM, "a backup's identity: out of memory");
	return reader_done(&r) ? 0 : damaged(err, "identity");
}
