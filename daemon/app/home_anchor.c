/* A root's new keys.  What is written goes into a folder of its own, which then takes the place of the one in force in one
 * step; a call that was cut off is given again. */
#include "app/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/settings.h"
#include "base/file.h"
#include "base/text.h"
#include "core/limits.h"

#define NEXT   "identity.next"
#define BEFORE "identity.before"
#define DAY_S  INT64_C(86400)

static int write_in(const char *folder, const char *name, struct slice content, mode_t mode, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_join(folder, name);

	return path ? file_write(path, content, mode, err) : err_set(err, ERR_NOMEM, "home: out of memory");
}

/* The top certificate that stands in the home. */
static int read_top(const char *home, struct chain *ret, struct err *err)
{
	_cleanup_(free_pointer) char *path = text_printf("%s/" HOME_IDENTITY "/" HOME_CHAIN, home);
	_cleanup_(buf_release) struct buf pem = { 0 };
	char unit[UNIT_TEXT_SIZE];
	int r = path ? file_read(path, LIMIT_CHAIN_BYTES, &pem, err) : err_set(err, ERR_NOMEM, "home: out of memory");

	if (!r)
		r = chain_read(buf_slice(&pem), NULL, ret, err);
	if (!r && ret->n != 1)
		r = err_set(err, ERR_REFUSED, "%s: %s is not the top of its tree; its superior invites it anew (terracectl invite)", home,
		            unit_text(ret->at[0].unit, unit));
	return r;
}

static int write_keys(const char *folder, const struct facts *top, const struct sign_key *recovery, const struct source *source,
                      struct err *err)
{
	_cleanup_(buf_release) struct buf key = { 0 }, pem = { 0 }, text = { 0 };
	struct sign_key sign;
	uint8_t serial[16];
	int64_t now_s = source->wall_ms(source->arg) / 1000;

	sign_key_new(&sign);
	source->random(source->arg, serial, sizeof(serial));
	hex_put(&text, (struct slice){ sign.seed, SIGN_SEED_SIZE });
	buf_put_u8(&text, '\n');
	int r = chain_key_new(&key, err);
	if (!r)
		r = chain_anchor(buf_slice(&key), top, sign.public_key, recovery, serial, now_s - DAY_S,
		                 now_s + ROOT_YEARS * 365 * DAY_S + ROOT_YEARS / 4 * DAY_S, &pem, err);
	if (!r)
		r = write_in(folder, HOME_SEED, buf_slice(&text), 0600, err);
	if (!r)
		r = write_in(folder, HOME_KEY, buf_slice(&key), 0600, err);
	if (!r)
		r = write_in(folder, HOME_CHAIN, buf_slice(&pem), 0644, err);
	bytes_wipe(text.p, text.n);
	bytes_wipe(key.p, key.n);
	sign_key_release(&sign);
	return r;
}

/* A recovery key that was not carried away goes along. */
static int keep_recovery(const char *now, const char *next, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_join(now, HOME_RECOVERY);
	_cleanup_(buf_release) struct buf text = { 0 };
	int r = path ? 0 : err_set(err, ERR_NOMEM, "home: out of memory");

	if (r || !file_exists(path))
		return r;
	r = file_read(path, 256, &text, err);
	if (!r)
		r = write_in(next, HOME_RECOVERY, buf_slice(&text), 0600, err);
	bytes_wipe(text.p, text.n);
	return r;
}

/* The owner of the new folder and its files is the old one's. */
static int hand_over(const char *from, const char *to, struct err *err)
{
	static const char *const names[] = { "", HOME_SEED, HOME_KEY, HOME_CHAIN, HOME_RECOVERY };
	struct stat st;
	int r = stat(from, &st) ? err_set(err, ERR_IO, "%s: %s", from, strerror(errno)) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && !r; i++) {
		_cleanup_(free_pointer) char *path = path_join(to, names[i]);
		if (!path || (lchown(path, st.st_uid, st.st_gid) && errno != ENOENT))
			r = err_set(err, ERR_IO, "%s: cannot be given to the daemon's user: %s", to, strerror(errno));
	}
	return r;
}

/* From here on the new keys are in force. */
static int exchange(const char *now, const char *next, const char *before, struct err *err)
{
	if (file_exists(before))
		return err_set(err, ERR_REFUSED, "%s: is still here from the last time; move it away first", before);
	if (renameat2(AT_FDCWD, next, AT_FDCWD, now, RENAME_EXCHANGE))
		return err_set(err, ERR_IO, "%s and %s cannot be exchanged: %s", now, next, strerror(errno));
	return rename(next, before) ? err_set(err, ERR_IO, "%s: cannot be renamed to %s: %s", next, before, strerror(errno)) : 0;
}

int home_anchor(const char *home, const char *recovery, const struct source *source, struct err *err)
{
	_cleanup_(free_pointer) char *now = path_join(home, HOME_IDENTITY), *next = path_join(home, NEXT), *before = path_join(home, BEFORE);
	_cleanup_(fd_close) int lock = -1;
	struct sign_key key = { 0 };
	struct chain top;
	int r = now && next && before ? home_lock(home, &lock, err) : err_set(err, ERR_NOMEM, "home: out of memory");

	if (!r)
		r = identity_seed_read_file(recovery, &key, err);
	if (!r)
		r = read_top(home, &top, err);
	if (!r)
		r = file_make_folder(next, 0700, err);
	if (!r)
		r = write_keys(next, &top.at[0], &key, source, err);
	if (!r)
		r = keep_recovery(now, next, err);
	if (!r)
		r = hand_over(now, next, err);
	if (!r)
		r = exchange(now, next, before, err);
	sign_key_release(&key);
	return r;
}
