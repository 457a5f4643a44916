/* doctor: looks at the home, the database, the daemon and the way to the parent, and says what to do.  It changes
 * nothing; a check that depends on one that failed is left out. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/home.h"
#include "app/settings.h"
#include "base/file.h"
#include "base/text.h"
#include "ctl/access.h"
#include "ctl/ask.h"
#include "ctl/ctl.h"
#include "link/control.h"
#include "store/capture.h"
#include "store/db.h"
#include "store/survey.h"

#define CONNECT_MS 5000
#define SOON_S     (30 * INT64_C(86400)) /* a certificate that ends within */
#define SPACE_MB   500

struct visit {
	struct ctl *c;
	json_t *rows;
	struct settings settings;
	struct identity identity;
	bool has_settings, has_identity;
};

enum found { GOOD, WARN, BAD };

static const char *words(const struct visit *v, const char *english, const char *chinese)
{
	return ctl_words(v->c, english, chinese);
}

static void note(struct visit *v, const char *check, enum found found, const char *text, const char *advice)
{
	static const char *const states[] = { "ok", "warning", "failed" };

	json_array_append_new(v->rows, json_pack("{s:s, s:s, s:o, s:s}", "check", check, "state", states[found], "text",
	                                         json_slice(slice_of(text)), "advice", advice));
	if (found != GOOD)
		v->c->status = 1;
}

static void __attribute__((format(printf, 5, 6))) notef(struct visit *v, const char *check, enum found found,
                                                        const char *advice, const char *format, ...)
{
	char text[600];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note(v, check, found, text, advice);
}

static void judge(struct visit *v, const char *check, int r, const struct err *e, const char *good, const char *advice)
{
	note(v, check, r ? BAD : GOOD, r ? e->text : good, r ? advice : "");
}

/* ---- the home */

static void look_at_home(struct visit *v)
{
	const char *home = v->c->home;
	struct err e = { 0 };
	struct stat st;

	if (stat(home, &st)) {
		notef(v, "home", BAD, words(v, "terracectl init or terracectl join makes it",
	      "用 terracectl init 或 terracectl join 建立"), "%s: %s", home, strerror(errno));
		return;
	}
	if (st.st_mode & S_IRWXO)
		notef(v, "home", WARN, words(v, "chmod o-rwx on the home",
	      "对节点目录执行 chmod o-rwx"), "%s: open to every user (mode %04o)", home, (unsigned int)st.st_mode & 07777u);
	else
		notef(v, "home", GOOD, "", "%s, uid %u, mode %04o", home, (unsigned int)st.st_uid, (unsigned int)st.st_mode & 07777u);
	int r = settings_read(home, &v->settings, &e);
	judge(v, "settings", r, &e, SETTINGS_FILE " is in order", words(v, "correct the line named; terraced --check shows what is in force",
	      "更正所指的行；terraced --check 显示生效的配置"));
	v->has_settings = !r;
	if (r)
		return;
	r = identity_read(&v->settings, &v->identity, &e);
	judge(v, "identity", r, &e, "keys, certificate and chain belong together",
	      words(v, "run as the daemon's user; if keys are lost, ask the superior for a new invitation",
	      "请以后台程序的用户运行；密钥丢失时向上级索取新的邀请行"));
	v->has_identity = !r;
}

static void look_at_certificate(struct visit *v)
{
	_cleanup_(free_pointer) char *path = text_printf("%s/%s/%s", v->c->home, HOME_IDENTITY, HOME_RECOVERY);
	int64_t now_s = source_system().wall_ms(NULL) / 1000, until = v->identity.chain.at[0].until_s;
	char time[RFC3339_SIZE];
	struct err e = { 0 };

	time_local(until * 1000, time);
	if (chain_dates(&v->identity.chain, now_s, &e))
		note(v, "certificate", BAD, e.text, words(v, "look at this machine's clock; the daemon renews it when it reaches its superior; after a year ask for a new invitation",
	      "检查本机时钟；后台程序与上级联系上后会自行更新；过期满一年须索取新的邀请行"));
	else if (until - now_s < SOON_S)
		notef(v, "certificate", WARN, words(v, "let the daemon reach its superior",
	      "请让后台程序与上级保持联系"), "ends at %s", time);
	else
		notef(v, "certificate", GOOD, "", "valid until %s", time);
	if (path && file_exists(path))
		notef(v, "recovery key", WARN, words(v, "copy it to a stick, lock that away, and remove the file",
	      "复制到 U 盘锁好，然后删除本机上的文件"), "%s is still on this machine", path);
}

static void look_at_space(struct visit *v)
{
	unsigned long long mb = space_free_mb(file_exists(v->settings.database) ? v->settings.database : v->c->home);
	enum space s = space_state(mb, v->settings.space_soft_mb, v->settings.space_hard_mb, SPACE_GOOD);

	if (s != SPACE_GOOD) {
		notef(v, "disk", s == SPACE_HARD ? BAD : WARN, s == SPACE_HARD ?
		      words(v, "make room; until then nothing is sealed or taken", "请清理磁盘；此前不封装、不接收") :
		      words(v, "make room; until then subordinates have to wait", "请清理磁盘；此前下级须等待"), "%llu MB are free", mb);
		return;
	}
	notef(v, "disk", mb < SPACE_MB ? WARN : GOOD, mb < SPACE_MB ? words(v, "make room; writing stops when the disk is full", "请清理磁盘；磁盘写满后无法登记") : "",
	      "%llu MB are free", mb);
}

/* Pages, and the triggers of every register. */
static void look_into_database(struct visit *v)
{
	static const char *const asked[] = { "verify" };
	_cleanup_(json_release) json_t *document = NULL;
	struct err e = { 0 };
	size_t i, triggers = 0;
	json_t *one;
	int status, r = ctl_report(v->c, asked, ARRAY_SIZE(asked), &document, &status, &e);

	if (r) {
		note(v, "schema", r == ERR_NOT_FOUND ? WARN : BAD, e.text, words(v, "start the daemon once; if the file is damaged, restore a backup",
		     "请先启动一次后台程序；如已损坏请恢复备份"));
		return;
	}
	json_array_foreach(json_object_get(document, "findings"), i, one) {
		const char *check = json_string_value(json_object_get(one, "check")), *text = json_string_value(json_object_get(one, "error"));
		const char *object = json_string_value(json_object_get(one, "object"));
		bool trigger = check && !strcmp(check, "triggers");
		triggers += trigger;
		notef(v, trigger ? "triggers" : "schema", BAD, trigger ? words(v, "start the daemon, or restart it", "启动或重启后台程序") :
		      words(v, "restore a backup", "请恢复备份"), "%s%s%s", object ? object : "", object ? ": " : "", text ? text : "");
	}
	if (!json_array_size(json_object_get(document, "findings")))
		note(v, "schema", GOOD, words(v, "pages and tables of the database are whole", "数据库完好"), "");
	if (!triggers)
		note(v, "triggers", GOOD, words(v, "all stand", "齐全"), "");
}

/* What an application's own tables bring along. */
static void look_at_register(struct visit *v, struct db *db, const struct reg *r)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct survey_find *finds;
	uint64_t invalid = 0, nul = 0;
	struct err e = { 0 };
	uint32_t n = 0;

	if (r->hold)
		return;
	if (!survey_unseen(db, r, &a, &finds, &n, &e))
		for (uint32_t i = 0; i < n; i++)
			notef(v, "unique index", WARN, words(v, "rows that it displaces are found only by terracectl reconcile; a plain unique index is seen",
			      "被其替换的行只有 terracectl reconcile 才能发现；请改用普通唯一索引"), "%s: %s: %s", r->name, finds[i].name, finds[i].text);
	if (!survey_texts(db, r, &invalid, &nul, &e) && invalid + nul)
		notef(v, "text", WARN, words(v, "it travels as it is; correct it in the application", "按原样传输；请在业务程序中更正"),
		      "%s: %llu values are not UTF-8, %llu hold a NUL", r->name, (unsigned long long)invalid, (unsigned long long)nul);
}

static void look_at_registers(struct visit *v, struct db *db)
{
	struct catalog *c = NULL;
	struct err e = { 0 };

	if (catalog_load(db, &c, &e))
		return;                          /* no policy yet, or the schema's own line has told */
	for (uint32_t i = 0; i < c->nregs; i++)
		if (c->regs[i]->policy)
			look_at_register(v, db, c->regs[i]);
	if (capture_paused(db))
		note(v, "upgrade", WARN, words(v, "capture is paused", "已暂停采集"), words(v, "terracectl schema end, when the application is upgraded",
		     "业务程序升级完成后执行 terracectl schema end"));
	catalog_release(c);
}

static void look_at_access(struct visit *v)
{
	_cleanup_(json_release) json_t *access = NULL;
	struct err e = { 0 };

	if (access_look(v->settings.database, &access, &e) || json_is_true(json_object_get(access, "ok")))
		return;
	_cleanup_(free_pointer) char *advice = text_printf("%s; %s", json_string_value(json_array_get(json_object_get(access, "commands"), 0)),
	                                                   json_string_value(json_array_get(json_object_get(access, "commands"), 1)));
	note(v, "access", BAD, json_string_value(json_object_get(access, "why")), advice ? advice : "");
}

static void look_at_database(struct visit *v)
{
	struct db *db = NULL;
	struct err e = { 0 };

	if (!file_exists(v->settings.database)) {
		notef(v, "database", WARN, words(v, "start the daemon; it makes the file",
	      "启动后台程序，它会建立该文件"), "%s: is not there yet", v->settings.database);
		return;
	}
	look_at_access(v);
	int r = db_open(v->settings.database, DB_READ, &db, &e);
	if (!r && meta_number(db, "state", -1) >= 0)
		look_at_registers(v, db);
	db_close(db);
	judge(v, "database", r, &e, v->settings.database, words(v, "look at the file's owner and permissions; if it is damaged, restore a backup",
	      "检查文件属主和权限；如已损坏请恢复备份"));
	if (!r)
		look_into_database(v);
}

/* ---- the daemon and its ports */

static bool look_at_daemon(struct visit *v)
{
	static const char *const asked[] = { "sync", "--status", "0" };
	_cleanup_(free_pointer) char *path = path_join(v->c->home, HOME_CONTROL), *start = ctl_start(v->c), *advice = NULL;
	_cleanup_(json_release) json_t *answer = NULL;
	struct err e = { 0 };
	int status, r = path ? control_ask(path, asked, ARRAY_SIZE(asked), 10000, &status, &answer, &e) : ERR_NOMEM;
	const char *message = json_string_value(json_object_get(answer, "message"));

	advice = text_printf("%s%s", words(v, "start it: ", "启动："), start ? start : "");
	if (!r && status > 1)
		note(v, "daemon", BAD, message ? message : "", words(v, "look into the journal", "查看日志（journalctl）"));
	else
		judge(v, "daemon", r, &e, "runs and answers", advice ? advice : "");
	return !r;
}

/* Connects within CONNECT_MS; 0 or errno. */
static int connect_to(const struct addrinfo *a)
{
	_cleanup_(fd_close) int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t n = sizeof(int);
	int why = 0;

	if (fd < 0)
		return errno;
	if (!connect(fd, a->ai_addr, a->ai_addrlen))
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (poll(&p, 1, CONNECT_MS) <= 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) ? errno : why;
}

/* "host:port", "[v6]:port", port 443 where none is said. */
static void split_address(const char *text, char *host, size_t size, char port[8])
{
	const char *end = *text == '[' ? strchr(text, ']') : strrchr(text, ':');
	const char *colon = *text == '[' ? (end ? end + 1 : NULL) : end;

	text += *text == '[';
	snprintf(host, size, "%.*s", (int)(end ? (size_t)(end - text) : strcspn(text, "/")), text);
	snprintf(port, 8, "%s", colon && *colon == ':' ? colon + 1 : "443");
	port[strcspn(port, "/")] = '\0';
}

static bool reach(struct visit *v, const char *check, const char *address, const char *advice)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char host[256], port[8];
	int why = 0;

	split_address(address, host, sizeof(host), port);
	int r = getaddrinfo(host, port, &hints, &list);
	if (r) {
		notef(v, check, BAD, words(v, "correct the name, or this machine's DNS (/etc/resolv.conf)",
	      "更正主机名，或检查本机 DNS（/etc/resolv.conf）"), "%s: %s", host, gai_strerror(r));
		return false;
	}
	for (struct addrinfo *a = list; a; a = a->ai_next)
		if ((why = connect_to(a)) == 0)
			break;
	freeaddrinfo(list);
	if (why)
		notef(v, check, BAD, advice, "%s: %s", address, strerror(why));
	else
		notef(v, check, GOOD, "", "%s can be reached", address);
	return !why;
}

static void look_at_port(struct visit *v, const char *check, const char *listen)
{
	char address[300];

	if (!listen)
		return;
	/* Any address is asked for on this machine. */
	if (!strncmp(listen, "0.0.0.0:", 8))
		snprintf(address, sizeof(address), "127.0.0.1:%s", listen + 8);
	else if (!strncmp(listen, "[::]:", 5))
		snprintf(address, sizeof(address), "[::1]:%s", listen + 5);
	else
		snprintf(address, sizeof(address), "%s", listen);
	reach(v, check, address, words(v, "another program may hold the port; the daemon's log says why it does not listen",
	      "端口可能被其他程序占用；后台程序的日志说明原因"));
}

/* ---- the parent */

/* A path that no node serves: the answer is 404, behind TLS and the check of the parent's chain. */
static int greet_parent(struct visit *v, const char *url, struct err *err)
{
	_cleanup_(buf_release) struct buf body = { 0 };
	int status, r = ask_parent(v->c, &v->settings, &v->identity, url, "/v1/doctor", 4096, &status, &body, err);

	return status != 0 && status != 403 ? 0 : r;
}

static void look_at_parent(struct visit *v)
{
	bool proxy = v->settings.proxy && *v->settings.proxy;

	if (!v->settings.has_upstream) {
		note(v, "parent", GOOD, "none: this node is the top of its tree", "");
		return;
	}
	for (char **url = v->settings.upstream_urls; *url; url++) {
		const char *address = strncmp(*url, "https://", 8) ? *url : *url + 8;
		struct err e = { 0 };
		if (!proxy && !reach(v, "parent's address", address, words(v, "is the superior's daemon running? does a firewall stand between?",
	      "上级的后台程序是否在运行？中间是否有防火墙？")))
			continue;
		int r = greet_parent(v, *url, &e);
		judge(v, "parent's certificate", r, &e, "TLS, and the superior is the one that issued our certificate",
		      words(v, "correct upstream's url; if the superior was made anew, ask for a new invitation and join again",
	      "更正 upstream 的 url；上级若已重建，请索取新的邀请行并重新加入"));
	}
}

int cmd_doctor(struct ctl *c, struct err *err)
{
	struct visit v = { .c = c, .rows = json_array() };
	int r = ctl_options(c, NULL, 0, 0, 0, err);

	if (!r) {
		look_at_home(&v);
		if (v.has_identity)
			look_at_certificate(&v);
		if (v.has_settings) {
			look_at_space(&v);
			look_at_database(&v);
			bool runs = look_at_daemon(&v);
			look_at_port(&v, "listen", runs ? v.settings.listen : NULL);
		}
		if (v.has_identity)
			look_at_parent(&v);
		r = ctl_print(c, v.rows, err);
	}
	if (!r && !c->status)
		ctl_say(c, "Everything is in order.", "一切正常。");
	if (v.has_identity)
		identity_release(&v.identity);
	if (v.has_settings)
		settings_release(&v.settings);
	json_release(&v.rows);
	return r;
}
