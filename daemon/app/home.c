#include "app/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/settings.h"
#include "base/file.h"
#include "base/rand.h"
#include "base/text.h"
#include "core/limits.h"
#include "link/enrol.h"

#define JOIN_MS 60000
#define DAY_S   INT64_C(86400)

static int no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "home: out of memory");
}

int home_lock(const char *home, int *ret_fd, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_join(home, HOME_LOCK);
	int r = path ? file_lock(path, ret_fd, err) : no_memory(err);

	return r == ERR_BUSY ? err_set(err, r, "%s: in use by another terraced (or a terracectl that changes it)", home) : r;
}

static int write_in(const char *folder, const char *name, struct slice content, mode_t mode, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_join(folder, name);

	return path ? file_write(path, content, mode, err) : no_memory(err);
}

static bool exists_in(const char *folder, const char *name)
{
	_cleanup_(free_pointer) char *path = path_join(folder, name);

	return path && file_exists(path);
}

static int write_seed(const char *folder, const char *name, const struct sign_key *key, struct err *err)
{
	_cleanup_(buf_release) struct buf text = { 0 };

	hex_put(&text, (struct slice){ key->seed, SIGN_SEED_SIZE });
	buf_put_u8(&text, '\n');
	int r = write_in(folder, name, buf_slice(&text), 0600, err);
	bytes_wipe(text.p, text.n);
	return r;
}

/* The keys that are missing are made. */
static int make_keys(const char *folder, struct sign_key *ret, struct buf *ret_pem, struct err *err)
{
	int r = 0;

	if (!exists_in(folder, HOME_SEED)) {
		struct sign_key key;
		sign_key_new(&key);
		r = write_seed(folder, HOME_SEED, &key, err);
		sign_key_release(&key);
	}
	if (!r && !exists_in(folder, HOME_KEY)) {
		_cleanup_(buf_release) struct buf pem = { 0 };
		r = chain_key_new(&pem, err);
		if (!r)
			r = write_in(folder, HOME_KEY, buf_slice(&pem), 0600, err);
		bytes_wipe(pem.p, pem.n);
	}
	if (!r)
		r = identity_seed_read(folder, ret, err);
	return r ? r : identity_key_read(folder, ret_pem, err);
}

static int make_folders(const char *home, char **ret_identity, struct err *err)
{
	_cleanup_(free_pointer) char *identity = path_join(home, HOME_IDENTITY), *spool = path_join(home, HOME_SPOOL);

	if (!identity || !spool)
		return no_memory(err);
	/* The group may reach the control socket; nothing in the home is anybody else's business. */
	int r = file_make_folder(home, 0750, err);
	if (!r)
		r = file_make_folder(identity, 0700, err);
	if (!r)
		r = file_make_folder(spool, 0700, err);
	if (!r)
		*ret_identity = TAKE(identity);
	return r;
}

static void put_line(struct buf *b, const char *key, const char *text)
{
	if (!text)
		return;
	buf_printf(b, "%-9s= ", key);
	settings_quote(b, text);
	buf_put_u8(b, '\n');
}

static void put_list(struct buf *b, const char *key, const char *const *urls)
{
	buf_printf(b, "%-9s= {", key);
	for (size_t i = 0; urls[i]; i++) {
		buf_put(b, i ? ", " : " ", i ? 2 : 1);
		settings_quote(b, urls[i]);
	}
	buf_put(b, " }\n", 3);
}

static int write_conf(const struct home_options *o, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	char unit[UNIT_TEXT_SIZE];

	buf_printf(&b, "# Terrace; every key is described in terraced.conf(5).\n");
	put_line(&b, "unit", unit_text(o->unit, unit));
	put_line(&b, "name", o->name);
	put_line(&b, "line", o->line);
	put_line(&b, "database", o->database);
	put_line(&b, "listen", o->listen);
	if (o->urls && o->urls[0])
		put_list(&b, "url", o->urls);
	put_line(&b, "console", o->console);
	return b.failed ? no_memory(err) : write_in(o->home, SETTINGS_FILE, buf_slice(&b), 0640, err);
}

/* A conf file that is there stays; it must be of this unit and line. */
static int make_conf(const struct home_options *o, struct err *err)
{
	struct settings s;
	char unit[UNIT_TEXT_SIZE];

	if (!exists_in(o->home, SETTINGS_FILE)) {
		int r = write_conf(o, err);
		if (r)
			return r;
	}
	int r = settings_read(o->home, &s, err);
	if (r)
		return r;
	if (s.unit != o->unit || strcmp(s.line, o->line))
		r = err_set(err, ERR_REFUSED, "%s: is the home of %s, line \"%s\"", o->home, unit_text(s.unit, unit), s.line);
	settings_release(&s);
	return r;
}

static int sign_self(const struct home_options *o, const char *folder, const struct sign_key *sign, struct slice key_pem,
                     struct err *err)
{
	_cleanup_(buf_release) struct buf pem = { 0 };
	struct sign_key recovery;
	uint8_t serial[16];
	int64_t now_s = o->source.wall_ms(o->source.arg) / 1000;

	o->source.random(o->source.arg, serial, sizeof(serial));
	sign_key_new(&recovery);
	int r = write_seed(folder, HOME_RECOVERY, &recovery, err);
	if (!r)
		r = chain_self_signed(key_pem, o->unit, o->line, o->name ? o->name : "", sign->public_key, recovery.public_key, serial,
		                      now_s - DAY_S, now_s + ROOT_YEARS * 365 * DAY_S + ROOT_YEARS / 4 * DAY_S, &pem, err);
	if (!r)
		r = write_in(folder, HOME_CHAIN, buf_slice(&pem), 0644, err);
	sign_key_release(&recovery);
	return r;
}

/* ---- handing over, where root makes a home for the daemon's user */

static int give(const char *path, const struct passwd *to, struct err *err)
{
	if (lchown(path, to->pw_uid, to->pw_gid) && errno != ENOENT)
		return err_set(err, ERR_IO, "%s: cannot be given to %s: %s", path, to->pw_name, strerror(errno));
	return 0;
}

static int give_folder(const char *path, const struct passwd *to, struct err *err)
{
	DIR *d = opendir(path);
	int r = give(path, to, err);

	for (struct dirent *entry; !r && d && (entry = readdir(d));) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		_cleanup_(free_pointer) char *inner = path_join(path, entry->d_name);
		r = inner ? give(inner, to, err) : no_memory(err);
	}
	if (d)
		closedir(d);
	return r;
}

static int hand_over(const char *home, const char *identity, struct err *err)
{
	struct passwd pw, *to = NULL;
	char text[1024];

	if (geteuid() == 0 && getpwnam_r(HOME_USER, &pw, text, sizeof(text), &to))
		to = NULL;
	int r = to ? give_folder(identity, to, err) : 0;

	return to && !r ? give_folder(home, to, err) : r;
}

int home_init(const struct home_options *o, struct err *err)
{
	_cleanup_(free_pointer) char *folder = NULL;
	_cleanup_(buf_release) struct buf key = { 0 };
	_cleanup_(fd_close) int lock = -1;
	struct sign_key sign = { 0 };

	int r = make_folders(o->home, &folder, err);
	if (!r)
		r = home_lock(o->home, &lock, err);
	if (!r)
		r = make_conf(o, err);
	if (!r && o->root && exists_in(folder, HOME_CHAIN))
		r = err_set(err, ERR_REFUSED, "%s: has a certificate already", o->home);
	if (!r)
		r = make_keys(folder, &sign, &key, err);
	if (!r && o->root)
		r = sign_self(o, folder, &sign, buf_slice(&key), err);
	if (!r)
		r = hand_over(o->home, folder, err);
	sign_key_release(&sign);
	bytes_wipe(key.p, key.n);
	return r;
}

/* ---- join */

static int add_upstream(const char *home, const struct invitation *i, struct home_joined *ret, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_join(home, SETTINGS_FILE);
	_cleanup_(buf_release) struct buf text = { 0 };
	const char *urls[ENROLL_URLS + 1] = { NULL };
	struct settings s;
	int r = path ? settings_read(home, &s, err) : no_memory(err);

	if (r)
		return r;
	ret->kept_upstream = s.has_upstream;
	settings_release(&s);
	if (ret->kept_upstream)
		return 0;
	r = file_read(path, 256u << 10, &text, err);
	for (uint32_t at = 0; at < i->nurls; at++)
		urls[at] = i->url[at];
	buf_printf(&text, "upstream {\n  ");
	put_list(&text, "url", urls);
	buf_printf(&text, "}\n");
	if (!r && text.failed)
		r = no_memory(err);
	return r ? r : file_write(path, buf_slice(&text), 0640, err);
}

/* By the line, or by stick: then a request is all that there is at first. */
static int ask(const struct enrol_options *o, const struct home_stick *stick, struct buf *pem, struct chain *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf body = { 0 };
	int r;

	if (stick == NULL)
		return enrol_ask(o, pem, ret, err);
	if (stick->answer) {
		r = file_read(stick->answer, LIMIT_CHAIN_BYTES, pem, err);
		return r ? r : enrol_accept(o, buf_slice(pem), ret, err);
	}
	r = enrol_request(o, &body, err);
	if (!r)
		r = file_write(stick->request, buf_slice(&body), 0600, err);
	bytes_wipe(body.p, body.n);
	return r;
}

/* The chain is stored last: until then the same invitation's home can be joined again. */
static int ask_parent(const char *home, const char *folder, const struct invitation *i, const struct home_stick *stick,
                      struct home_joined *ret, struct err *err)
{
	_cleanup_(free_pointer) char *spool = path_join(home, HOME_SPOOL);
	_cleanup_(buf_release) struct buf key = { 0 }, pem = { 0 };
	_cleanup_(free_pointer) char *proxy = NULL;
	struct sign_key sign = { 0 };
	struct settings s;
	struct chain c = { 0 };

	int r = spool ? make_keys(folder, &sign, &key, err) : no_memory(err);
	if (!r)
		r = settings_read(home, &s, err);
	if (!r) {
		proxy = s.proxy ? strdup(s.proxy) : NULL;
		settings_release(&s);
		const struct enrol_options o = { .invitation = i, .key_pem = buf_slice(&key), .sign_public = sign.public_key,
			                         .proxy = proxy ? proxy : "", .spool = spool, .deadline_ms = JOIN_MS };
		r = ask(&o, stick, &pem, &c, err);
	}
	if (!r && c.n > 0)
		r = add_upstream(home, i, ret, err);
	if (!r && c.n > 0)
		r = write_in(folder, HOME_CHAIN, buf_slice(&pem), 0644, err);
	if (!r && c.n > 0)
		ret->parent = c.at[1].unit;
	sign_key_release(&sign);
	bytes_wipe(key.p, key.n);
	return r;
}

int home_join(const char *home, const struct invitation *i, const struct home_stick *stick, const char *database,
              const char *listen, const char *const *urls, struct home_joined *ret, struct err *err)
{
	const struct home_options o = { .home = home, .unit = i->unit, .name = i->name, .line = i->line, .listen = listen,
		                        .urls = urls, .database = database, .source = source_system() };
	_cleanup_(free_pointer) char *folder = NULL;
	_cleanup_(fd_close) int lock = -1;
	struct home_joined joined = { 0 };

	int r = make_folders(home, &folder, err);
	if (!r)
		r = home_lock(home, &lock, err);
	if (!r)
		r = make_conf(&o, err);
	if (!r)
		r = ask_parent(home, folder, i, stick, &joined, err);
	if (!r)
		r = hand_over(home, folder, err);
	if (!r)
		*ret = joined;
	return r;
}
