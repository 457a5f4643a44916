/* backup: a node's database, and its identity where that is asked for, as one file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/home.h"
#include "app/settings.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/rand.h"
#include "base/text.h"
#include "ctl/backup_file.h"
#include "ctl/ctl.h"
#include "engine/backup.h"
#include "store/backup.h"

#define TELL_MS 2000

struct telling {
	const struct ctl *c;
	int64_t told_ms;
};

static void tell(void *arg, int64_t done, int64_t all)
{
	struct telling *t = arg;
	int64_t now = source_system().steady_ms(NULL);

	if (now - t->told_ms < TELL_MS || all <= 0)
		return;
	t->told_ms = now;
	ctl_note(t->c, "%lld %% of the database is copied", "数据库已复制 %lld%%", (long long)(done * 100 / all));
}

/* What stands there may be an older backup, and nothing else. */
static int check_target(const char *path, const char *database, struct err *err)
{
	struct stat st, db;

	if (stat(path, &st))
		return errno == ENOENT ? 0 : err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (!stat(database, &db) && st.st_dev == db.st_dev && st.st_ino == db.st_ino)
		return err_set(err, ERR_REFUSED, "%s is the database itself; name another file", path);
	return S_ISREG(st.st_mode) && backup_file_is(path) ? 0 :
	       err_set(err, ERR_REFUSED, "%s exists and is no backup; it is not written over, name another file", path);
}

static int seal_identity(const struct ctl *c, struct slice passphrase, struct backup_header *h, struct buf *plain, struct buf *head,
                         struct buf *ret, struct err *err)
{
	uint8_t key[BOX_KEY] = { 0 };
	int r;

	h->cost = BOX_COST;
	rand_bytes(h->salt, sizeof(h->salt));
	r = home_pack(c->home, plain, err);
	h->identity = BOX_HEADER + plain->n + ((plain->n + BOX_PIECE - 1) / BOX_PIECE) * BOX_MORE;
	if (!r)
		r = box_key(passphrase, h->salt, h->cost, key, err);
	if (!r)
		r = backup_header_put(h, head, err);
	if (!r)
		r = box_lock(key, buf_slice(head), buf_slice(plain), ret, err);
	bytes_wipe(key, sizeof(key));
	if (plain->p)
		bytes_wipe(plain->p, plain->room);
	return r ? r : ret->n == h->identity ? 0 : err_set(err, ERR_BUG, "the identity's length is not the one foreseen");
}

static int say(struct ctl *c, const struct backup_header *h, const char *path, struct err *err)
{
	char unit[UNIT_TEXT_SIZE], at[RFC3339_SIZE];
	_cleanup_(json_release) json_t *document =
		json_pack("{s:s, s:s, s:s, s:s?, s:I, s:I, s:I, s:b, s:I}", "file", path, "unit", unit_text(h->unit, unit), "line", h->line,
		          "tree_time", h->tree_s ? time_rfc3339(h->tree_s * 1000, at) : NULL, "epoch", (json_int_t)h->epoch, "sealed",
		          (json_int_t)h->sealed, "outbox", (json_int_t)h->outbox, "identity", h->identity > 0, "bytes", (json_int_t)h->database);

	if (c->json)
		return ctl_print(c, document, err);
	ctl_say(c, "%s: %s %s, %llu KiB of database%s", "%s：%s %s，数据库 %llu KiB%s", path, unit, h->name,
	        (unsigned long long)h->database >> 10, h->identity ? ctl_words(c, ", the identity encrypted", "，含加密的身份密钥") : "");
	ctl_say(c, "It holds personal data: keep it where the database may be kept.", "备份含个人信息，请按数据库同等要求保管。");
	return 0;
}

static int write_out(struct ctl *c, const struct settings *s, const char *path, const char *copy, const struct buf *passphrase,
                     bool wal, struct err *err)
{
	_cleanup_(buf_release) struct buf head = { 0 }, box = { 0 }, plain = { 0 };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct backup_header h = { .unit = s->unit, .wal = wal, .wall_s = MAX(source_system().wall_ms(NULL) / 1000, 0) };
	struct stat st;
	int r = backup_facts(copy, &a, &h, err);

	if (!r && stat(copy, &st))
		r = err_set(err, ERR_IO, "%s: %s", copy, strerror(errno));
	if (r)
		return r;
	h.database = (uint64_t)st.st_size;
	snprintf(h.line, sizeof(h.line), "%s", s->line);
	snprintf(h.name, sizeof(h.name), "%s", s->name);
	r = passphrase ? seal_identity(c, buf_slice(passphrase), &h, &plain, &head, &box, err) : backup_header_put(&h, &head, err);
	if (!r)
		r = backup_file_write(path, buf_slice(&head), buf_slice(&box), copy, err);
	return r ? r : say(c, &h, path, err);
}

/* The copy stands beside the backup while that is made. */
static int make(struct ctl *c, const struct settings *s, const char *path, const struct buf *passphrase, struct err *err)
{
	_cleanup_(free_pointer) char *copy = text_printf("%s.copy-XXXXXX", path), *journal = NULL;
	_cleanup_(fd_close) int fd = copy ? mkstemp(copy) : -1;
	struct telling t = { c, source_system().steady_ms(NULL) };
	bool wal = false;
	int r;

	if (fd < 0)
		return err_set(err, copy ? ERR_IO : ERR_NOMEM, "%s: cannot write: %s", path, strerror(errno));
	journal = text_printf("%s-journal", copy);
	r = journal ? backup_copy(s->database, copy, tell, &t, &wal, err) : err_set(err, ERR_NOMEM, "out of memory");
	if (!r)
		r = write_out(c, s, path, copy, passphrase, wal, err);
	unlink(copy);
	if (journal)
		unlink(journal);
	return r;
}

int cmd_backup(struct ctl *c, struct err *err)
{
	_cleanup_(buf_release) struct buf passphrase = { 0 };
	const char *file[2] = { NULL };
	bool identity = false;
	const struct ctl_option options[] = { { .name = "identity", .flag = &identity }, { .name = "passphrase-file", .value = file } };
	struct settings s = { 0 };
	int r = ctl_options(c, options, ARRAY_SIZE(options), 1, 1, err);

	if (!r && file[0] && !identity)
		r = err_set(err, ERR_USAGE, "--passphrase-file is for --identity; without it nothing is encrypted");
	if (r || (r = settings_read(c->home, &s, err)) != 0)
		return r;
	if (!file_exists(s.database))
		r = err_set(err, ERR_NOT_FOUND, "%s is not there yet; start terraced once", s.database);
	if (!r)
		r = check_target(c->argv[0], s.database, err);
	if (!r && identity)
		r = passphrase_read(c, file[0], true, &passphrase, err);
	if (!r)
		r = make(c, &s, c->argv[0], identity ? &passphrase : NULL, err);
	if (passphrase.p)
		bytes_wipe(passphrase.p, passphrase.room);
	settings_release(&s);
	return r;
}
