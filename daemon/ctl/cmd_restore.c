/* restore: a backup takes the place of a node's database.  What it replaces is kept beside it; the daemon heals with its
 * neighbours at the next start, in a new epoch. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/home.h"
#include "app/settings.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "core/limits.h"
#include "ctl/backup_file.h"
#include "ctl/ctl.h"
#include "engine/backup.h"
#include "store/backup.h"
#include "store/release.h"

#define DAY_S INT64_C(86400)

struct restoring {
	struct ctl *c;
	struct backup_source source;
	struct settings settings;
	bool has_settings, with_identity, new_home, has_present, present_readable;
	struct backup_header present;    /* what stands there now */
	struct release_facts waiting;
	struct arena arena;
	struct buf plain;                /* the identity, opened */
	struct backup_file files[BACKUP_FILES];
	uint32_t nfiles;
	char aside[32];                  /* suffix of what is kept */
	int lock;
};

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "restore: out of memory");
}

/* ---- whether it may be */

static int check_unit(struct restoring *x, struct err *err)
{
	const struct backup_header *h = &x->source.header;
	char theirs[UNIT_TEXT_SIZE], mine[UNIT_TEXT_SIZE];

	if (!x->has_settings || (h->unit == x->settings.unit && !strcmp(h->line, x->settings.line)))
		return 0;
	return err_set(err, ERR_REFUSED, "%s is of unit %s, line \"%s\"; this home is %s, \"%s\": use that unit's own backup",
	               x->source.path, unit_text(h->unit, theirs), h->line, unit_text(x->settings.unit, mine), x->settings.line);
}

static int check_home(struct restoring *x, struct err *err)
{
	_cleanup_(free_pointer) char *chain = text_printf("%s/%s/%s", x->c->home, HOME_IDENTITY, HOME_CHAIN);
	bool enrolled = chain && file_exists(chain);

	if (!chain)
		return out_of_memory(err);
	x->new_home = !x->has_settings || !enrolled;
	if (!x->source.header.identity && (x->with_identity || x->new_home))
		return err_set(err, ERR_REFUSED, "%s: holds no identity%s", x->source.path,
		               x->new_home ? ", and this home has none: join with a new invitation first, or use a backup made with --identity" : "");
	x->with_identity |= x->new_home;
	return 0;
}

static int lock_home(struct restoring *x, struct err *err)
{
	int r = home_lock(x->c->home, &x->lock, err);

	return r == ERR_BUSY ? err_set(err, ERR_REFUSED, "%s: the daemon runs; stop it first (systemctl stop), and the application's "
	                               "program too", x->c->home) : r;
}

static void look_at_present(struct restoring *x)
{
	struct err ignored = { 0 };

	x->has_present = x->has_settings && file_exists(x->settings.database);
	x->present.unit = x->source.header.unit;
	x->present_readable = x->has_present && !backup_facts(x->settings.database, &x->arena, &x->present, &ignored) &&
	                      !release_look(x->settings.database, &x->waiting, &ignored);
}

/* Tree time as the present file knows it is a clock that does not run behind. */
static int64_t age_s(const struct restoring *x)
{
	const struct backup_header *h = &x->source.header;
	int64_t now = source_system().wall_ms(NULL) / 1000, then = h->tree_s ? h->tree_s : h->wall_s;

	return MAX(MAX(now, x->present_readable ? x->present.tree_s : 0) - then, 0);
}

static bool is_top(const struct backup_header *h)
{
	for (uint32_t i = 0; i < h->nlinks; i++)
		if (h->links[i].peer != h->unit && unit_contains(h->links[i].peer, h->unit))
			return false;
	return true;
}

static int check_age(struct restoring *x, struct err *err)
{
	if (age_s(x) <= AWAY_DAYS * DAY_S || is_top(&x->source.header))
		return 0;
	return err_set(err, ERR_REFUSED, "%s is %lld days old; after %d days a backup is not put back, since what was deleted would come "
	               "again. Bootstrap instead: move %s aside and start terraced; everything comes from the superior",
	               x->source.path, (long long)(age_s(x) / DAY_S), AWAY_DAYS,
	               x->has_settings ? x->settings.database : "the database");
}

/* ---- what will happen, in words */

static void say_lost(const struct restoring *x)
{
	struct ctl *c = x->c;

	if (!x->has_present)
		ctl_say(c, "There is no database here now; nothing is lost.", "本机目前没有数据库，不会丢失数据。");
	else if (!x->present_readable)
		ctl_say(c, "The present database cannot be read; what it holds that nobody else has is lost.",
		        "现有数据库无法读取；其中尚未报送的内容将丢失。");
	else if (x->waiting.unsealed || x->waiting.unsent)
		ctl_say(c, "LOST: %llu changes that are not sealed and %llu segments that the superior has not acknowledged; nobody else has them.",
		        "将丢失：%llu 条尚未封装的变更和 %llu 个上级尚未确认的数据段，别处没有。", (unsigned long long)x->waiting.unsealed,
		        (unsigned long long)x->waiting.unsent);
	else if (is_top(&x->source.header))
		ctl_say(c, "What was sealed here since comes back from the subordinates that have it.", "备份之后封装的内容会从已收到的下级恢复。");
	else
		ctl_say(c, "Everything sealed here is at the superior; it comes back from there.", "本级已封装的内容上级都有，会从上级恢复。");
	ctl_say(c, "Columns and tables that do not travel go back to what they were when the backup was made.",
	        "不参与同步的列和表将回到备份时的内容。");
}

static void say_plan(const struct restoring *x)
{
	const struct backup_header *h = &x->source.header;
	char unit[UNIT_TEXT_SIZE], at[RFC3339_SIZE];
	struct ctl *c = x->c;
	int64_t age = age_s(x);

	ctl_say(c, "%s: %s %s, line \"%s\", made %s (%lld days %lld h ago)", "%s：%s %s，条线“%s”，备份于 %s（%lld 天 %lld 小时前）", x->source.path,
	        unit_text(h->unit, unit), h->name, h->line, time_local((h->tree_s ? h->tree_s : h->wall_s) * 1000, at),
	        (long long)(age / DAY_S), (long long)(age % DAY_S / 3600));
	if (x->has_present)
		ctl_say(c, "It replaces %s, which is kept as %s%s.", "它将替换 %s，原文件保留为 %s%s。", x->settings.database, x->settings.database,
		        x->aside);
	if (x->with_identity)
		ctl_say(c, "The keys and the certificate are put back too; those that stand are kept beside them.",
		        "同时恢复密钥和证书；现有的保留在旁边。");
	if (x->present_readable)
		ctl_say(c, "Last sealed here: %llu; in the backup: %llu.", "本机最后封装：%llu；备份中：%llu。", (unsigned long long)x->present.sealed,
		        (unsigned long long)h->sealed);
	say_lost(x);
	ctl_say(c, "The next start opens a new epoch and heals with superior and subordinates. No other machine may run as %s.",
	        "下次启动将进入新的运行期，并与上下级自动修复。其他机器不得再以 %s 运行。", unit);
	if (age > AWAY_DAYS * DAY_S)
		ctl_say(c, "It is older than %d days; this is the top of the tree, so there is nobody to bootstrap from.",
		        "备份已超过 %d 天；本级是最高级，没有上级可以重新取得数据。", AWAY_DAYS);
}

static int print_done(struct restoring *x, struct err *err)
{
	const struct backup_header *h = &x->source.header;
	_cleanup_(free_pointer) char *next = ctl_start(x->c);
	_cleanup_(json_release) json_t *document = NULL;
	char unit[UNIT_TEXT_SIZE];

	if (!next)
		return out_of_memory(err);
	document = json_pack("{s:s, s:s, s:I, s:I, s:b, s:s?, s:s, s:I, s:I}", "unit", unit_text(h->unit, unit), "line", h->line, "age_s",
	                     (json_int_t)age_s(x), "sealed", (json_int_t)h->sealed, "identity", x->with_identity, "kept",
	                     x->has_present ? x->aside : NULL, "next", next, "lost_changes", (json_int_t)x->waiting.unsealed,
	                     "lost_segments", (json_int_t)x->waiting.unsent);
	if (x->c->json)
		return ctl_print(x->c, document, err);
	ctl_say(x->c, "Restored.  Next: %s", "已恢复。下一步：%s", next);
	return 0;
}

/* ---- doing it */

static int open_identity(struct restoring *x, const char *file, struct err *err)
{
	const struct backup_header *h = &x->source.header;
	_cleanup_(buf_release) struct buf passphrase = { 0 };
	uint8_t key[BOX_KEY] = { 0 };
	int r = passphrase_read(x->c, file, false, &passphrase, err);

	if (!r)
		r = box_key(buf_slice(&passphrase), h->salt, h->cost, key, err);
	if (!r && (r = box_unlock(key, buf_slice(&x->source.head), buf_slice(&x->source.box), &x->plain, err)) == ERR_SIGNATURE)
		err_prefix(err, "%s: the identity: ", x->source.path);
	bytes_wipe(key, sizeof(key));
	if (passphrase.p)
		bytes_wipe(passphrase.p, passphrase.room);
	return r ? r : backup_files_get(buf_slice(&x->plain), &x->arena, x->files, &x->nfiles, err);
}

/* Owner and mode of what it replaces; else the home's owner. */
static int like_present(const struct restoring *x, int fd, struct err *err)
{
	struct stat st;
	mode_t mode = 0640;

	if (!stat(x->settings.database, &st))
		mode = st.st_mode & 0777;
	else if (stat(x->c->home, &st))
		return err_set(err, ERR_IO, "%s: %s", x->c->home, strerror(errno));
	if (fchmod(fd, mode) || (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid)))
		return err_set(err, ERR_IO, "%s: the copy cannot be given to its owner: %s", x->settings.database, strerror(errno));
	return 0;
}

static int rename_to(const char *from, const char *to, struct err *err)
{
	return rename(from, to) && errno != ENOENT ? err_set(err, ERR_IO, "%s: cannot be renamed to %s: %s", from, to, strerror(errno)) : 0;
}

/* The copy and the present file change places in one step; then the present one gets the name under which it is kept. */
static int swap(struct restoring *x, const char *copy, struct err *err)
{
	static const char *const journals[] = { "-wal", "-shm", "-journal" };
	const char *database = x->settings.database;
	_cleanup_(free_pointer) char *kept = text_printf("%s%s", database, x->aside);
	int r = kept ? 0 : out_of_memory(err);

	for (size_t i = 0; !r && i < ARRAY_SIZE(journals); i++) {       /* only of a file that could not be settled */
		_cleanup_(free_pointer) char *from = text_printf("%s%s", database, journals[i]), *to = text_printf("%s%s", kept, journals[i]);
		r = from && to ? rename_to(from, to, err) : out_of_memory(err);
	}
	if (r)
		return r;
	if (x->has_present && !renameat2(AT_FDCWD, copy, AT_FDCWD, database, RENAME_EXCHANGE))
		return rename_to(copy, kept, err);
	if (x->has_present)                                             /* a file system that cannot */
		r = rename_to(database, kept, err);
	return r ? r : rename_to(copy, database, err);
}

static int put_copy(struct restoring *x, const char *copy, int fd, struct err *err)
{
	struct err why = { 0 };
	bool wal = false;
	uint64_t unit = 0;
	int r = backup_source_extract(&x->source, fd, copy, err);

	if (!r)
		r = backup_check(copy, &unit, err);
	if (!r && unit != x->source.header.unit)
		r = err_set(err, ERR_DAMAGED, "%s: its database is of another unit than its header says", x->source.path);
	if (!r)
		r = backup_mark(copy, x->source.header.wal, err);
	if (!r)
		r = like_present(x, fd, err);
	if (!r && x->has_present && backup_settle(x->settings.database, &wal, &why) == ERR_BUSY) {
		*err = why;
		r = err->code;
	}
	if (!r)
		r = swap(x, copy, err);
	return r;
}

static int put_back(struct restoring *x, struct err *err)
{
	_cleanup_(free_pointer) char *copy = text_printf("%s.restore-XXXXXX", x->settings.database);
	_cleanup_(fd_close) int fd = copy ? mkostemp(copy, O_CLOEXEC) : -1;
	int r;

	if (fd < 0)
		return copy ? err_set(err, ERR_IO, "%s: cannot write beside it: %s", x->settings.database, strerror(errno)) : out_of_memory(err);
	r = put_copy(x, copy, fd, err);
	if (r)
		unlink(copy);
	return r ? r : file_sync_folder(x->settings.database, err);
}

/* The identity comes last: a home without it does not start. */
static int carry_out(struct restoring *x, const char *passphrase, struct err *err)
{
	int r = x->with_identity ? open_identity(x, passphrase, err) : 0;

	if (!r && !x->has_settings) {
		r = home_unpack_conf(x->c->home, x->files, x->nfiles, err);
		if (!r)
			r = settings_read(x->c->home, &x->settings, err);
		x->has_settings = !r;
		if (!r)
			r = check_unit(x, err);
		if (!r)
			x->has_present = file_exists(x->settings.database);
	}
	if (!r)
		r = put_back(x, err);
	if (!r && x->with_identity)
		r = home_unpack(x->c->home, x->files, x->nfiles, x->aside, err);
	return r ? r : print_done(x, err);
}

static int restore(struct restoring *x, const char *passphrase, bool yes, struct err *err)
{
	_cleanup_(free_pointer) char *conf = path_join(x->c->home, SETTINGS_FILE);
	int r = backup_source_open(x->c->argv[0], &x->source, err);

	if (r || !conf)
		return r ? r : out_of_memory(err);
	if (file_exists(conf)) {
		r = settings_read(x->c->home, &x->settings, err);
		x->has_settings = !r;
	}
	if (!r)
		r = check_unit(x, err);
	if (!r)
		r = check_home(x, err);
	if (!r && !x->has_settings)
		r = file_make_folder(x->c->home, 0750, err);
	if (!r)
		r = lock_home(x, err);
	if (r)
		return r;
	look_at_present(x);
	r = check_age(x, err);
	if (r)
		return r;
	say_plan(x);
	fflush(stdout);
	if (!yes)
		r = ctl_confirm(x->c, "Restore?", "确定恢复吗？", err);
	return r ? r : carry_out(x, passphrase, err);
}

static void release(struct restoring *x)
{
	if (x->plain.p)
		bytes_wipe(x->plain.p, x->plain.room);
	buf_release(&x->plain);
	for (uint32_t i = 0; i < x->nfiles; i++)
		bytes_wipe((void *)(uintptr_t)x->files[i].content.p, x->files[i].content.n);
	if (x->has_settings)
		settings_release(&x->settings);
	backup_source_close(&x->source);
	arena_release(&x->arena);
	fd_close(&x->lock);
}

int cmd_restore(struct ctl *c, struct err *err)
{
	_cleanup_(release) struct restoring x = { .c = c, .lock = -1, .source.fd = -1 };
	const char *file[2] = { NULL };
	bool yes = false;
	const struct ctl_option options[] = { { .name = "identity", .flag = &x.with_identity },
		                              { .name = "passphrase-file", .value = file },
		                              { .name = "yes", .flag = &yes } };
	time_t now = (time_t)(source_system().wall_ms(NULL) / 1000);
	struct tm tm;
	int r = ctl_options(c, options, ARRAY_SIZE(options), 1, 1, err);

	localtime_r(&now, &tm);
	strftime(x.aside, sizeof(x.aside), ".before-%Y%m%dT%H%M%S", &tm);
	return r ? r : restore(&x, file[0], yes, err);
}
