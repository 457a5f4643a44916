/* Homes, terraced.conf, and a whole daemon as a process of its own, with a fake engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_engine.c"

int terraced_main(int argc, char **argv);
#define main terraced_main
#include "../../daemon/app/main.c"
#undef main

#include "base/text.h"
#include "link/dial.h"
#include "link/routes.h"

#define COUNTY UINT64_C(532999000000)
#define TOWN UINT64_C(532999001000)
#define LINE "civil-affairs"

static char folder[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_app.XXXXXX");
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	rand_start();
	return sign_init(NULL) || !mkdtemp(folder);
}

static int tear_down(void **state)
{
	_cleanup_(free_pointer) char *command = text_printf("rm -rf '%s'", folder);

	(void)state;
	return system(command) != 0;
}

static char *home_path(const char *name)
{
	return path_join(folder, name);
}

static void write_conf_text(const char *home, const char *text)
{
	_cleanup_(free_pointer) char *path = path_join(home, SETTINGS_FILE);
	struct err e = { 0 };

	assert_int_equal(file_make_folder(home, 0700, &e), 0);
	assert_int_equal(file_write(path, slice_of(text), 0600, &e), 0);
}

#define GOOD "unit = \"532999001000\"\nline = \"civil-affairs\"\n"

static void test_conf_good(void **state)
{
	_cleanup_(free_pointer) char *home = home_path("conf");
	_cleanup_(buf_release) struct buf first = { 0 }, second = { 0 };
	struct settings s;
	struct err e = { 0 };

	(void)state;
	write_conf_text(home, GOOD);
	if (settings_read(home, &s, &e))
		fail_msg("%s", e.text);
	assert_true(s.unit == TOWN && s.seal_ms == 200 && s.seal_max_ms == 2000 && !s.listen && !s.has_upstream && !s.urls[0]);
	assert_true(strstr(s.database, "/conf/registers.db") != NULL);
	settings_release(&s);
	write_conf_text(home, "# a comment\nunit = \"532999001000\"\nname = \"东风乡 \\\"east\\\" \\\\ $5 \\${HOME}\"   # another {\n"
	                "line = 'civil-affairs'\ndatabase = \"/srv/app.db\"\nlisten = \"[::1]:8447\"\n"
	                "url = { \"https://10.1.2.3:8447\", \"https://[fd00::1]:8447\" }\nconsole = \"127.0.0.1:8448\"\n"
	                "seal_ms = 50\nseal_max_ms = 500\n"
	                "upstream {\n  url = { \"https://county.example:8447\" }\n  proxy = \"http://p:3128\"\n  interval = 60\n"
	                "  rate_kbps = 256\n  window = \"22:00-06:30\"\n}\n");
	if (settings_read(home, &s, &e))
		fail_msg("%s", e.text);
	assert_string_equal(s.name, "东风乡 \"east\" \\ $5 ${HOME}");
	assert_string_equal(s.database, "/srv/app.db");
	assert_string_equal(s.urls[1], "https://[fd00::1]:8447");
	assert_null(s.urls[2]);
	assert_string_equal(s.upstream_urls[0], "https://county.example:8447");
	assert_true(s.interval_s == 60 && s.rate_kbps == 256 && s.window_from == 22 * 60 && s.window_until == 390);
	settings_put(&s, &first);
	settings_release(&s);
	/* What is printed is a configuration that says the same. */
	write_conf_text(home, buf_text(&first));
	if (settings_read(home, &s, &e))
		fail_msg("%s", e.text);
	settings_put(&s, &second);
	settings_release(&s);
	assert_string_equal(buf_text(&first), buf_text(&second));
}

static void test_conf_bad(void **state)
{
	_cleanup_(free_pointer) char *home = home_path("bad");
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ GOOD "sael_ms = 5\n", "terraced.conf:3: no such option 'sael_ms'" },
		{ GOOD "\n\nupstream {\n  url = { \"https://a:1\" }\n  intervall = 3\n}\n", "terraced.conf:7: no such option 'intervall'" },
		{ GOOD "seal_ms = quick\n", "terraced.conf:3: " },
		{ GOOD "seal_ms = 0\n", "terraced.conf:3: seal_ms = 0: 1 to 60000 is possible" },
		{ GOOD "seal_ms = 5000\n", "seal_max_ms is less than seal_ms" },
		{ "line = \"x\"\n", "unit is missing" },
		{ "unit = \"532999001000\"\n", "line is missing" },
		{ "unit = \"53299900100\"\nline = \"x\"\n", "terraced.conf:1: unit \"53299900100\"" },
		{ "unit = \"five\"\n", "terraced.conf:1: unit \"five\"" },
		{ "unit = \"532999001000\"\nline = \"\"\n", "terraced.conf:2: line" },
		{ GOOD "listen = \"8447\"\n", "terraced.conf:3: listen = \"8447\": not ADDRESS:PORT" },
		{ GOOD "listen = \"localhost:8447\"\n", "not a numeric address" },
		{ GOOD "listen = \"0.0.0.0:84470\"\n", "not ADDRESS:PORT" },
		{ GOOD "url = { \"http://a:1\" }\n", "terraced.conf:3: address \"http://a:1\": does not begin with https://" },
		{ GOOD "url = { \"https://a:1/x\" }\n", "nothing but host and port" },
		{ GOOD "upstream {\n}\n", "upstream without a url" },
		{ GOOD "upstream { url = { \"https://a:1\" } window = \"22-06\" }\n", "window = \"22-06\"" },
		{ GOOD "upstream { url = { \"https://a:1\" } }\nupstream { url = { \"https://b:1\" } }\n", "more than one upstream" },
		{ GOOD "upstream { url = { \"https://a:1\" }\n", "terraced.conf:3: a block is not closed" },
		{ GOOD "name = \"}\" # }\n/* } */ upstream { url = { \"https://a:1\" }\n", "terraced.conf:4: a block is not closed" },
		{ GOOD "name = \"x\n", "terraced.conf:" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct settings s;
		struct err e = { 0 };
		write_conf_text(home, cases[i].text);
		int r = settings_read(home, &s, &e);
		if (!r)
			settings_release(&s);
		if (r != ERR_CONFIG || !strstr(e.text, cases[i].says))
			fail_msg("case %zu: code %d, \"%s\" does not say \"%s\"", i, r, e.text, cases[i].says);
	}
	struct settings s;
	struct err e = { 0 };
	assert_int_equal(settings_read("/no/such/home", &s, &e), ERR_NOT_FOUND);
}

static void make_root_home(const char *home, const char *listen)
{
	const struct home_options o = { .home = home, .unit = COUNTY, .name = "滇池县", .line = LINE, .root = true,
		                        .listen = listen, .source = source_system() };
	struct err e = { 0 };

	if (home_init(&o, &e))
		fail_msg("%s", e.text);
}

static void test_home(void **state)
{
	_cleanup_(free_pointer) char *home = home_path("root"), *seed = NULL, *identity = NULL, *chain = NULL;
	struct home_options o = { .home = home, .unit = COUNTY, .name = "", .line = LINE, .root = true, .source = source_system() };
	struct settings s;
	struct identity i;
	struct stat st;
	struct err e = { 0 };

	(void)state;
	make_root_home(home, "127.0.0.1:0");
	identity = path_join(home, HOME_IDENTITY);
	seed = path_join(identity, HOME_SEED);
	chain = path_join(identity, HOME_CHAIN);
	assert_int_equal(stat(identity, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(seed, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 65);
	assert_int_equal(settings_read(home, &s, &e), 0);
	if (identity_read(&s, &i, &e))
		fail_msg("%s", e.text);
	assert_true(i.unit == COUNTY && i.parent == UNIT_NONE && i.chain.n == 1 && i.chain.at[0].has_recovery);
	identity_release(&i);
	/* A second time nothing is written over. */
	assert_int_equal(home_init(&o, &e), ERR_REFUSED);
	o.unit = TOWN;
	assert_int_equal(home_init(&o, &e), ERR_REFUSED);
	assert_non_null(strstr(e.text, "is the home of 532999000000"));
	chmod(seed, 0640);
	assert_int_equal(identity_read(&s, &i, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "others may read it"));
	chmod(seed, 0600);
	s.unit = TOWN;
	assert_int_equal(identity_read(&s, &i, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "the certificate is for 532999000000"));
	s.unit = COUNTY;
	assert_int_equal(file_write(seed, slice_of("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"), 0600, &e), 0);
	assert_int_equal(identity_read(&s, &i, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "do not belong together"));
	assert_int_equal(file_write(seed, slice_of("short\n"), 0600, &e), 0);
	assert_int_equal(identity_read(&s, &i, &e), ERR_DAMAGED);
	unlink(chain);
	settings_release(&s);
}

/* init without --root, then join: the parent is a server with a fake engine. */
static void test_join(void **state)
{
	_cleanup_(free_pointer) char *root = home_path("parent"), *home = home_path("child"), *bare = home_path("bare"),
	                              *conf = path_join(home, SETTINGS_FILE);
	_cleanup_(buf_release) struct buf text = { 0 };
	struct engine engine = { 0 };
	struct ledger *ledger;
	struct server *server;
	struct settings s, mine;
	struct identity i, me;
	struct invitation v = { .nurls = 1, .unit = TOWN, .line = LINE, .name = "东风乡" };
	struct home_joined joined;
	struct err e = { 0 };

	(void)state;
	make_root_home(root, "127.0.0.1:0");
	assert_int_equal(settings_read(root, &s, &e), 0);
	assert_int_equal(identity_read(&s, &i, &e), 0);
	engine.identity = &i;
	assert_int_equal(ledger_start(&engine, "/tmp/none.db", &ledger, &e), 0);
	const struct server_options o = { .listen = "127.0.0.1:0", .identity = &i, .spool = folder, .routes = routes_link,
		                          .ledger = ledger, .source = source_system() };
	assert_int_equal(server_start(&o, &server, &e), 0);
	v.pin = i.chain.at[0].pin;
	snprintf(v.url[0], sizeof(v.url[0]), "https://127.0.0.1:%d", server_port(server));
	rand_bytes(v.secret, sizeof(v.secret));
	engine.invitation = v;
	const struct home_options h = { .home = home, .unit = TOWN, .name = "名", .line = LINE, .source = source_system() };
	assert_int_equal(home_init(&h, &e), 0);
	assert_int_equal(settings_read(home, &mine, &e), 0);
	assert_int_equal(identity_read(&mine, &me, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "terracectl join"));
	settings_release(&mine);
	assert_int_equal(home_join(home, &v, NULL, NULL, NULL, NULL, &joined, &e), 0);
	assert_true(joined.parent == COUNTY && !joined.kept_upstream);
	assert_int_equal(settings_read(home, &mine, &e), 0);
	assert_string_equal(mine.upstream_urls[0], v.url[0]);
	assert_string_equal(mine.name, "名");
	if (identity_read(&mine, &me, &e))
		fail_msg("%s", e.text);
	assert_true(me.parent == COUNTY && me.chain.n == 2);
	identity_release(&me);
	settings_release(&mine);
	/* Again (the machine lost its chain): the block stays. */
	assert_int_equal(home_join(home, &v, NULL, NULL, NULL, NULL, &joined, &e), 0);
	assert_true(joined.kept_upstream);
	/* A bare machine. */
	assert_int_equal(home_join(bare, &v, NULL, "/srv/app.db", NULL, NULL, &joined, &e), 0);
	assert_int_equal(settings_read(bare, &mine, &e), 0);
	assert_string_equal(mine.name, "东风乡");
	assert_string_equal(mine.database, "/srv/app.db");
	settings_release(&mine);
	v.unit = UINT64_C(532999002000);
	assert_int_equal(home_join(home, &v, NULL, NULL, NULL, NULL, &joined, &e), ERR_REFUSED);
	ledger_stop(ledger);
	server_stop(server);
	ledger_release(ledger);
	identity_release(&i);
	settings_release(&s);
}

/* ---- a daemon of its own */

struct process {
	pid_t pid;
	char *log;
};

static struct process launch(const char *home, const char *option, const char *log_name)
{
	struct process p = { .log = home_path(log_name) };
	char *argv[] = { "terraced", "--home", (char *)(uintptr_t)home, (char *)(uintptr_t)option, NULL };

	fflush(NULL);
	p.pid = fork();
	if (p.pid == 0) {
		int fd = open(p.log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		log_set_level(LOG_LEVEL_INFO);
		optind = 1;
		_exit(terraced_main(option ? 4 : 3, argv));
	}
	return p;
}

static char *log_of(struct process *p)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	file_read(p->log, 1u << 20, &b, NULL);
	return strdup(buf_text(&b));
}

static bool log_says(struct process *p, const char *text)
{
	_cleanup_(free_pointer) char *log = log_of(p);

	return strstr(log, text) != NULL;
}

static void wait_log(struct process *p, const char *text)
{
	for (int i = 0; i < 2000; i++) {
		if (log_says(p, text))
			return;
		usleep(2000);
	}
	_cleanup_(free_pointer) char *log = log_of(p);
	fail_msg("no \"%s\" in the log: %s", text, log);
}

static int finish(struct process *p, int sig, int64_t *ret_ms)
{
	int64_t before = fake_now();
	int status;

	if (sig)
		kill(p->pid, sig);
	for (int i = 0; i < 4000 && waitpid(p->pid, &status, WNOHANG) == 0; i++)
		usleep(1000);
	*ret_ms = fake_now() - before;
	if (*ret_ms > 3900) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, &status, 0);
		status = -1;
	}
	return status;
}

static void test_daemon(void **state)
{
	_cleanup_(free_pointer) char *home = home_path("daemon"), *sock = path_join(home, HOME_CONTROL);
	struct process p, second;
	json_t *j = NULL;
	struct err e = { 0 };
	int64_t ms;
	int status;

	(void)state;
	make_root_home(home, "127.0.0.1:0");
	p = launch(home, NULL, "daemon.log");
	wait_log(&p, "serves 532999000000");
	if (control_ask(sock, (const char *[]){ "status" }, 1, 3000, &status, &j, &e))
		fail_msg("%s", e.text);
	json_release(&j);
	second = launch(home, NULL, "second.log");
	status = finish(&second, 0, &ms);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 4);
	assert_true(log_says(&second, "in use by another terraced"));
	free(second.log);
	second = launch(home, "--check", "check.log");
	status = finish(&second, 0, &ms);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(log_says(&second, "listen      = \"127.0.0.1:0\""));
	free(second.log);
	write_conf_text(home, "unit = \"532999000000\"\nline = \"civil-affairs\"\nlisten = \"127.0.0.1:0\"\nseal_ms = 20\n");
	kill(p.pid, SIGHUP);
	wait_log(&p, "needs a restart: seal_ms     = 20");
	write_conf_text(home, "unit = \"532999000000\"\nline = \"civil-affairs\"\nlisten = \"127.0.0.1:0\"\nseal = 20\n");
	kill(p.pid, SIGHUP);
	wait_log(&p, "terraced.conf:4: no such option 'seal'");
	status = finish(&p, SIGTERM, &ms);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	print_message("    TERM at rest: %lld ms\n", (long long)ms);
	assert_true(ms < 500);
	assert_int_equal(access(sock, F_OK), -1);
	second = launch(home, NULL, "second.log");
	status = finish(&second, 0, &ms);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	assert_true(log_says(&second, "terraced.conf:4: no such option 'seal'"));
	free(second.log);
	free(p.log);
}

/* An engine that does not come back: the process ends all the same. */
static void test_term_stuck(void **state)
{
	_cleanup_(free_pointer) char *home = home_path("stuck");
	struct process p;
	int64_t ms;

	(void)state;
	make_root_home(home, "127.0.0.1:0");
	setenv("FAKE_STUCK", "1", 1);
	setenv("FAKE_PUSH_MS", "60000", 1);
	p = launch(home, NULL, "stuck.log");
	unsetenv("FAKE_STUCK");
	unsetenv("FAKE_PUSH_MS");
	wait_log(&p, "serves 532999000000");
	_cleanup_(free_pointer) char *sock = path_join(home, HOME_CONTROL);
	struct err e = { 0 };
	json_t *j = NULL;
	int status;
	control_ask(sock, (const char *[]){ "hang" }, 1, 200, &status, &j, &e);
	json_release(&j);
	status = finish(&p, SIGTERM, &ms);
	print_message("    TERM with a ledger that hangs: %lld ms\n", (long long)ms);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0 && ms < 2000);
	free(p.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conf_good), cmocka_unit_test(test_conf_bad), cmocka_unit_test(test_home),
		cmocka_unit_test(test_join),      cmocka_unit_test(test_daemon),   cmocka_unit_test(test_term_stuck),
	};

	return cmocka_run_group_tests_name("app", tests, set_up, tear_down);
}
