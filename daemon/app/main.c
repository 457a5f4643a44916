/* terraced: one node in the foreground, under the service manager or a shell. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "app/home.h"
#include "app/node.h"
#include "app/service.h"
#include "base/file.h"
#include "base/log.h"
#include "base/rand.h"

#define HOME_DEFAULT "/var/lib/terrace/default"
#define STOP_MS      1700                /* TERM is obeyed in less than 2 s, come what may */
#define FILES_ENOUGH 8192                /* as the unit file allows */
#define DEAF_MS      120000              /* a ledger without a sign of life for so long is dead */

static const char usage[] =
	"usage: terraced [--home DIR] [--check] [--verbose]\n"
	"  --home DIR   the node's home (default " HOME_DEFAULT ")\n"
	"  --check      check the configuration, print the effective one\n"
	"  --verbose    log more\n"
	"  --version    print the version\n"
	"  --help       print this\n";

static int complain(const struct err *e)
{
	log_line(LOG_LEVEL_ERROR, NULL, "%s", e->text);
	return err_exit(e->code);
}

static int check(const char *home)
{
	_cleanup_(buf_release) struct buf text = { 0 };
	struct identity identity = { 0 };
	struct settings s;
	struct err e = { 0 };

	int r = settings_read(home, &s, &e);
	if (r)
		return complain(&e);
	settings_put(&s, &text);
	r = identity_read(&s, &identity, &e);
	identity_release(&identity);
	settings_release(&s);
	if (r)
		return complain(&e);
	fputs(buf_text(&text), stdout);
	return fflush(stdout) ? 1 : 0;
}

/* What is committed is safe in the file; the rest of an orderly end is a courtesy. */
static void give_up(int number)
{
	static const char text[] = "terraced: the end takes too long; leaving at once\n";

	(void)number;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(0);
	_exit(0);
}

static void limit_end(void)
{
	struct sigaction act = { .sa_handler = give_up };
	const struct itimerval in = { .it_value = { STOP_MS / 1000, STOP_MS % 1000 * 1000 } };

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &in, NULL);
}

/* Until TERM or INT. */
static void serve(struct node *n, int signals)
{
	struct signalfd_siginfo info;
	int64_t every = service_watchdog_ms();
	struct pollfd p = { .fd = signals, .events = POLLIN };

	for (;;) {
		int ready = poll(&p, 1, every ? (int)MIN(every, 60000) : -1);
		if (every && source_system().steady_ms(NULL) - ledger_alive(n->ledger) < DEAF_MS)
			service_alive();
		if (ready <= 0 || read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGHUP)
			return;
		service_reloading();
		node_reload(n);
		service_ready("serving");
	}
}

static int run(const char *home)
{
	_cleanup_(fd_close) int signals = -1;
	struct node n;
	struct err e = { 0 };
	sigset_t set;
	char unit[UNIT_TEXT_SIZE];

	/* Up to here TERM ends the process by itself: opening a file may take long, and nothing is lost. */
	int r = node_open(&n, home, &e);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (!r && signals < 0)
		r = err_set(&e, ERR_IO, "signalfd: %s", strerror(errno));
	if (!r)
		r = node_start(&n, &e);
	if (r) {
		node_close(&n);
		return complain(&e);
	}
	log_line(LOG_LEVEL_INFO, NULL, "terraced %s serves %s, line \"%s\"%s%s%s", TERRACE_VERSION,
	         unit_text(n.settings.unit, unit), n.settings.line, n.settings.listen ? ", listening on " : "",
	         n.settings.listen ? n.settings.listen : "", n.uplink ? ", with a parent" : ", at the top");
	service_ready("serving");
	serve(&n, signals);
	limit_end();
	service_stopping();
	node_close(&n);
	log_line(LOG_LEVEL_INFO, NULL, "terraced ends");
	return 0;
}

/* A connection is an open file; a shell allows 1,024 at first. */
static void allow_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= FILES_ENOUGH)
		return;
	files.rlim_cur = MIN(files.rlim_max, (rlim_t)FILES_ENOUGH);
	setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "home", required_argument, NULL, 'd' }, { "check", no_argument, NULL, 'c' },
		{ "verbose", no_argument, NULL, 'v' },    { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },       { NULL, 0, NULL, 0 },
	};
	const char *home = HOME_DEFAULT;
	const struct rlimit none = { 0, 0 };
	bool only_check = false;
	struct err e = { 0 };

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'd')
			home = optarg;
		else if (c == 'c')
			only_check = true;
		else if (c == 'v')
			log_set_level(LOG_LEVEL_DEBUG);
		else if (c == 'V')
			return printf("terraced %s\n", TERRACE_VERSION) < 0;
		else if (c == 'h')
			return fputs(usage, stdout) < 0;
		else
			return fputs(usage, stderr), 2;
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return 2;
	}
	allow_files();
	/* Keys are in memory: nothing of it goes to a disk, and nobody may look. */
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	umask(027);
	rand_start();
	if (sign_init(&e))
		return complain(&e);
	return only_check ? check(home) : run(home);
}
