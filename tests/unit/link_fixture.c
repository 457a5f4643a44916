/* What the tests of link/ share: identities of a small tree, a node that listens with a fake engine, and a client
 * that keeps no rules.  Included by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "fake_engine.c"

#include "base/file.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/text.h"
#include "core/limits.h"
#include "link/backoff.h"
#include "link/control.h"
#include "link/dial.h"
#include "link/enrol.h"
#include "link/routes.h"
#include "link/tls.h"
#include "link/tries.h"
#include "link/uplink.h"

#define COUNTY UINT64_C(532999000000)
#define TOWN UINT64_C(532999001000)
#define TOWN_2 UINT64_C(532999002000)
#define VILLAGE UINT64_C(532999001001)
#define LINE "civil-affairs"
#define FROM INT64_C(1764000000)
#define UNTIL (FROM + 2 * 365 * INT64_C(86400))


#pragma GCC diagnostic ignored "-Wunused-function"

static struct identity county, town, town_2, village, foreign, foreign_town, other_line, other_town;
static char folder[64];
static uint8_t serial_last;

/* ---- identities */

static void fill_identity(struct identity *i)
{
	assert_int_equal(chain_read(buf_slice(&i->chain_pem), NULL, &i->chain, NULL), 0);
	i->unit = i->chain.at[0].unit;
	i->parent = i->chain.n > 1 ? i->chain.at[1].unit : UNIT_NONE;
	snprintf(i->line, sizeof(i->line), "%s", i->chain.at[0].line);
	snprintf(i->name, sizeof(i->name), "%s", i->chain.at[0].name);
}

static void make_root(struct identity *i, uint64_t unit, const char *line)
{
	uint8_t serial[16] = { 9, ++serial_last };

	sign_key_new(&i->sign);
	assert_int_equal(chain_key_new(&i->tls_key_pem, NULL), 0);
	assert_int_equal(chain_self_signed(buf_slice(&i->tls_key_pem), unit, line, "", i->sign.public_key, i->sign.public_key,
	                                   serial, FROM, UNTIL, &i->chain_pem, NULL), 0);
	fill_identity(i);
}

static void issue(struct identity *i, const struct identity *by, uint64_t unit)
{
	_cleanup_(buf_release) struct buf request = { 0 };
	uint8_t serial[16] = { 8, ++serial_last };

	sign_key_new(&i->sign);
	assert_int_equal(chain_key_new(&i->tls_key_pem, NULL), 0);
	assert_int_equal(chain_request(buf_slice(&i->tls_key_pem), unit, by->line, "", i->sign.public_key, &request, NULL), 0);
	assert_int_equal(chain_issue(buf_slice(&request), unit, by->line, "", buf_slice(&by->tls_key_pem),
	                             buf_slice(&by->chain_pem), serial, FROM, UNTIL, &i->chain_pem, NULL), 0);
	buf_put(&i->chain_pem, by->chain_pem.p, by->chain_pem.n);
	fill_identity(i);
}

static struct identity *const all[] = { &county, &town, &town_2, &village, &foreign, &foreign_town, &other_line, &other_town };

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_DUMPABLE, 0);       /* as the daemon: its memory files must be readable to itself all the same */
	rand_start();
	assert_int_equal(sign_init(NULL), 0);
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(folder, sizeof(folder), "/tmp/test_link.XXXXXX");
	assert_non_null(mkdtemp(folder));
	make_root(&county, COUNTY, LINE);
	issue(&town, &county, TOWN);
	issue(&town_2, &county, TOWN_2);
	issue(&village, &town, VILLAGE);
	make_root(&foreign, COUNTY, LINE);
	issue(&foreign_town, &foreign, TOWN);
	make_root(&other_line, COUNTY, "health");
	issue(&other_town, &other_line, TOWN);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		buf_release(&all[i]->tls_key_pem);
		buf_release(&all[i]->chain_pem);
	}
	rmdir(folder);
	curl_global_cleanup();
	return 0;
}

/* ---- a node that listens */

struct host {
	struct engine engine;
	struct ledger *ledger;
	struct server *server;
	char url[64];
};

static void host_start(struct host *h, const struct identity *identity, int port)
{
	char listen[32];
	struct err e = { 0 };

	*h = (struct host){ .engine.identity = identity };
	snprintf(listen, sizeof(listen), "127.0.0.1:%d", port);
	const struct server_options o = { .listen = listen, .identity = identity, .spool = folder, .routes = routes_link,
		                          .source = source_system() };
	struct server_options with = o;
	assert_int_equal(ledger_start(&h->engine, "/tmp/no-such-database.db", &h->ledger, &e), 0);
	with.ledger = h->ledger;
	if (server_start(&with, &h->server, &e))
		fail_msg("%s", e.text);
	snprintf(h->url, sizeof(h->url), "https://127.0.0.1:%d", server_port(h->server));
}

static int64_t host_stop(struct host *h)
{
	int64_t before = fake_now();

	ledger_stop(h->ledger);
	server_stop(h->server);
	ledger_release(h->ledger);
	return fake_now() - before;
}

/* ---- a client that keeps no rules */

struct reply {
	long status;
	CURLcode code;
	struct buf body, head;
	double seconds;
};

static size_t keep(char *p, size_t size, size_t n, void *cls)
{
	(void)size;
	buf_put(cls, p, n);
	return n;
}

static int memory_path(struct slice content, char path[40])
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(write(fd, content.p, content.n) == (ssize_t)content.n);
	snprintf(path, 40, "/proc/self/fd/%d", fd);
	return fd;
}

struct trickle {
	const char *p;
	size_t left;
	useconds_t pause;                /* before each byte */
};

static size_t one_byte(char *to, size_t size, size_t n, void *cls)
{
	struct trickle *t = cls;

	(void)size;
	(void)n;
	if (t->left == 0)
		return 0;
	usleep(t->pause);
	*to = *t->p++;
	t->left--;
	return 1;
}

static void ask_with(struct reply *r, const struct host *h, const struct identity *as, const char *method, const char *path,
                     const char *body, size_t n, const char *header, struct trickle *trickle)
{
	_cleanup_(free_pointer) char *url = text_printf("%s%s", h->url, path);
	char cert[40], key[40];
	int fds[2] = { -1, -1 };
	CURL *c = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");

	*r = (struct reply){ 0 };
	if (header)
		headers = curl_slist_append(headers, header);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &r->body);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, keep);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, &r->head);
	if (body || trickle) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
		if (trickle) {
			curl_easy_setopt(c, CURLOPT_READFUNCTION, one_byte);
			curl_easy_setopt(c, CURLOPT_READDATA, trickle);
		} else {
			curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
		}
	}
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
	if (as) {
		fds[0] = memory_path(buf_slice(&as->chain_pem), cert);
		fds[1] = memory_path(buf_slice(&as->tls_key_pem), key);
		curl_easy_setopt(c, CURLOPT_SSLCERT, cert);
		curl_easy_setopt(c, CURLOPT_SSLKEY, key);
	}
	r->code = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r->status);
	curl_easy_getinfo(c, CURLINFO_TOTAL_TIME, &r->seconds);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	curl_slist_free_all(headers);
	curl_easy_cleanup(c);
}

static void reply_release(struct reply *r)
{
	buf_release(&r->body);
	buf_release(&r->head);
}

/* Asks, and expects status and, in an error's body, code. */
static void expect(const struct host *h, const struct identity *as, const char *method, const char *path, const char *body,
                   int status, const char *code)
{
	_cleanup_(reply_release) struct reply r;

	ask_with(&r, h, as, method, path, body, body ? strlen(body) : 0, NULL, NULL);
	if (r.status != status)
		fail_msg("%s %s: status %ld (%s), expected %d: %s", method, path, r.status, curl_easy_strerror(r.code), status,
		         buf_text(&r.body));
	if (!code)
		return;
	_cleanup_(json_release) json_t *j = json_loads(buf_text(&r.body), 0, NULL);
	if (!j || !json_string_value(json_object_get(j, "code")) || strcmp(json_string_value(json_object_get(j, "code")), code))
		fail_msg("%s %s: %s", method, path, buf_text(&r.body));
	assert_true(strlen(json_string_value(json_object_get(j, "message"))) > 10);
	if (status == 503)
		assert_non_null(strstr(buf_text(&r.head), "Retry-After: 5"));
	if (status == 405)
		assert_non_null(strstr(buf_text(&r.head), "Allow: "));
}

#define FEED "/v1/feed?after=0&hash=0707070707070707070707070707070707070707070707070707070707070707"

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
