/* init and join: a node's home. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/home.h"
#include "app/settings.h"
#include "base/file.h"
#include "base/text.h"
#include "ctl/access.h"

#define LINE_DEFAULT "civil-affairs"
#define LINE_MOST    8192

/* The folders above the home; the home itself is home_init's. */
static int make_above(const char *home, struct err *err)
{
	_cleanup_(free_pointer) char *path = strdup(home);

	for (char *p = path ? strchr(path + 1, '/') : NULL; p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (p[1] && mkdir(path, 0755) && errno != EEXIST)
			return err_set(err, ERR_IO, "%s: cannot make the folder: %s", path, strerror(errno));
		*p = '/';
	}
	return path ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

/* A terraced.conf that this command wrote is taken back where it cannot be read, or where the parent refused: then
 * another invitation, perhaps for another unit, is needed.  A parent that was not reached is asked again. */
static void take_back(const char *home, bool had, int code)
{
	_cleanup_(free_pointer) char *path = path_join(home, SETTINGS_FILE);
	bool final = code == ERR_CONFIG || code == ERR_REFUSED || code == ERR_GONE || code == ERR_CHAIN;

	if (final && !had && path)
		file_remove(path, NULL);
}

static bool has_settings(const char *home)
{
	_cleanup_(free_pointer) char *path = path_join(home, SETTINGS_FILE);

	return path && file_exists(path);
}

static int check_urls(const char *const *urls, struct err *err)
{
	int r = 0;

	for (; !r && *urls; urls++)
		r = url_check(*urls, err);
	return r;
}

/* Of a database that was named: whether the daemon's user can use it; NULL where none was. */
static int look_at_database(struct ctl *c, const char *named, json_t *document, struct err *err)
{
	struct settings s;
	json_t *access = NULL;
	int r = named ? settings_read(c->home, &s, err) : 0;

	if (r || !named)
		return r;
	r = access_look(s.database, &access, err);
	settings_release(&s);
	if (!r)
		json_object_set_new(document, "access", access);
	return r;
}

static int say_made(struct ctl *c, const struct home_options *o, struct err *err)
{
	_cleanup_(free_pointer) char *next = ctl_start(c), *me = ctl_name(c);
	_cleanup_(json_release) json_t *document = NULL;
	char unit[UNIT_TEXT_SIZE];

	if (!next || !me)
		return err_set(err, ERR_NOMEM, "out of memory");
	unit_text(o->unit, unit);
	if (!o->root) {
		free_pointer(&next);
		next = text_printf("%s join LINE", me);
	}
	document = json_pack("{s:s, s:s, s:s, s:b, s:s?}", "home", c->home, "unit", unit, "line", o->line, "root", o->root, "next", next);
	if (look_at_database(c, o->database, document, err))
		return err->code;
	if (c->json)
		return ctl_print(c, document, err);
	ctl_say(c, "%s: the home of %s %s, line \"%s\"", "%s：%s %s 的节点目录，条线“%s”", c->home, unit, o->name, o->line);
	if (o->root)
		ctl_say(c, "Carry %s/%s/%s away, to a safe; it is needed only if this node's key is ever lost.",
		        "请把 %s/%s/%s 移到保险处保管；仅在本节点密钥丢失时才需要。", c->home, HOME_IDENTITY, HOME_RECOVERY);
	else
		ctl_say(c, "Ask the superior unit for an invitation (terracectl invite %s).", "请向上级索取邀请行（terracectl invite %s）。", unit);
	access_say(c, json_object_get(document, "access"));
	ctl_say(c, "Next: %s", "下一步：%s", next ? next : "");
	return 0;
}

int cmd_init(struct ctl *c, struct err *err)
{
	const char *unit[2] = { NULL }, *name[2] = { NULL }, *line[2] = { NULL }, *listen[2] = { NULL }, *console[2] = { NULL };
	const char *database[2] = { NULL }, *urls[CTL_SEVERAL + 1] = { NULL };
	struct home_options o = { .home = c->home, .urls = urls, .source = source_system() };
	const struct ctl_option options[] = {
		{ .name = "unit", .value = unit },     { .name = "name", .value = name },
		{ .name = "line", .value = line },     { .name = "root", .flag = &o.root },
		{ .name = "listen", .value = listen }, { .name = "console", .value = console },
		{ .name = "database", .value = database }, { .name = "url", .value = urls, .several = true },
	};
	int r = ctl_options(c, options, ARRAY_SIZE(options), 0, 0, err);

	if (!r && (!unit[0] || !name[0]))
		r = err_set(err, ERR_USAGE, "--%s is missing", unit[0] ? "name" : "unit");
	if (!r && unit_parse(slice_of(unit[0]), &o.unit, err))
		r = err->code = ERR_USAGE;
	if (!r)
		r = check_urls(urls, err);
	if (!r)
		r = make_above(c->home, err);
	if (r)
		return r;
	o.name = name[0];
	o.line = line[0] ? line[0] : LINE_DEFAULT;
	o.listen = listen[0];
	o.console = console[0];
	o.database = database[0];
	bool had = has_settings(c->home);
	r = home_init(&o, err);
	take_back(c->home, had, r);
	return r ? r : say_made(c, &o, err);
}

/* ---- join */

static int read_invitation(const char *word, struct invitation *ret, struct err *err)
{
	char text[LINE_MOST];

	if (strcmp(word, "-"))
		return invitation_get(slice_of(word), ret, err);
	size_t n = fread(text, 1, sizeof(text), stdin);
	return invitation_get((struct slice){ (const uint8_t *)text, n }, ret, err);
}

static int say_joined(struct ctl *c, const struct invitation *i, const struct home_joined *j, const char *database, struct err *err)
{
	_cleanup_(free_pointer) char *next = ctl_start(c);
	_cleanup_(json_release) json_t *document = NULL;
	char unit[UNIT_TEXT_SIZE], parent[UNIT_TEXT_SIZE];

	if (!next)
		return err_set(err, ERR_NOMEM, "out of memory");
	unit_text(i->unit, unit);
	unit_text(j->parent, parent);
	document = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "home", c->home, "unit", unit, "line", i->line, "parent", parent,
	                     "kept_upstream", j->kept_upstream, "next", next);
	if (look_at_database(c, database, document, err))
		return err->code;
	if (c->json)
		return ctl_print(c, document, err);
	ctl_say(c, "%s: %s %s has joined %s", "%s：%s %s 已加入上级 %s", c->home, unit, i->name, parent);
	if (j->kept_upstream)
		ctl_say(c, "%s/%s had an upstream block already; compare its url with %s", "%s/%s 中已有 upstream 段，请核对其 url 是否为 %s",
		        c->home, SETTINGS_FILE, i->url[0]);
	access_say(c, json_object_get(document, "access"));
	ctl_say(c, "Next: %s", "下一步：%s", next);
	return 0;
}

/* The request is on the stick; the superior's answer is what is missing. */
static int say_requested(struct ctl *c, const struct invitation *i, const char *path, struct err *err)
{
	_cleanup_(json_release) json_t *document = NULL;
	char unit[UNIT_TEXT_SIZE];

	document = json_pack("{s:s, s:s, s:s}", "home", c->home, "unit", unit_text(i->unit, unit), "request", path);
	if (c->json)
		return ctl_print(c, document, err);
	ctl_say(c, "%s: the request of %s; take it to the superior unit within the invitation's time.", "%s：%s 的申请；请在邀请有效期内带到上级单位。", path, unit);
	ctl_say(c, "There: terracectl invite --answer %s --out ANSWER.  Back here: terracectl join LINE --answer ANSWER.",
	        "在上级执行：terracectl invite --answer %s --out 答复文件；带回后在此执行：terracectl join 邀请行 --answer 答复文件。", path);
	return 0;
}

int cmd_join(struct ctl *c, struct err *err)
{
	const char *database[2] = { NULL }, *listen[2] = { NULL }, *urls[CTL_SEVERAL + 1] = { NULL };
	const char *request[2] = { NULL }, *answer[2] = { NULL };
	const struct ctl_option options[] = {
		{ .name = "database", .value = database },
		{ .name = "listen", .value = listen },
		{ .name = "url", .value = urls, .several = true },
		{ .name = "request", .value = request },
		{ .name = "answer", .value = answer },
	};
	struct invitation i;
	struct home_joined joined;
	int r = ctl_options(c, options, ARRAY_SIZE(options), 1, 1, err);

	if (!r && request[0] && answer[0])
		r = err_set(err, ERR_USAGE, "--request goes first, --answer when the answer is there");
	if (!r)
		r = read_invitation(c->argv[0], &i, err);
	if (!r)
		r = check_urls(urls, err);
	if (!r)
		r = make_above(c->home, err);
	if (r)
		return r;
	bool had = has_settings(c->home);
	const struct home_stick stick = { request[0], answer[0] };
	r = home_join(c->home, &i, request[0] || answer[0] ? &stick : NULL, database[0], listen[0], urls, &joined, err);
	take_back(c->home, had, r);
	if (!r)
		r = request[0] ? say_requested(c, &i, request[0], err) : say_joined(c, &i, &joined, database[0], err);
	explicit_bzero(i.secret, sizeof(i.secret));
	return r;
}

int cmd_anchor(struct ctl *c, struct err *err)
{
	const char *recovery[2] = { NULL };
	const struct ctl_option options[] = { { .name = "recovery", .value = recovery } };
	const struct source source = source_system();
	_cleanup_(free_pointer) char *next = ctl_start(c);
	_cleanup_(json_release) json_t *document = NULL;
	int r = ctl_options(c, options, ARRAY_SIZE(options), 0, 0, err);

	if (!r && !recovery[0])
		r = err_set(err, ERR_USAGE, "--recovery FILE is missing: the recovery key that init --root made");
	if (!r)
		r = home_anchor(c->home, recovery[0], &source, err);
	if (r)
		return r;
	document = json_pack("{s:s, s:s?}", "home", c->home, "next", next);
	if (c->json)
		return ctl_print(c, document, err);
	ctl_say(c, "%s: new keys; those below follow by themselves. The former ones are in %s/identity.before; destroy them.",
	        "%s：已启用新密钥，下级会自动跟随。旧密钥在 %s/identity.before，请销毁。", c->home, c->home);
	ctl_say(c, "Next: %s", "下一步：%s", next ? next : "");
	return 0;
}
