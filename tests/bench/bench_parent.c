/* One parent and many children (goal P12): bench_parent TERRACED HOME FOLDER CHILDREN WRITERS DELTAS, for
 * tests/bench/bench_parent.sh.
 *
 * HOME is a county's that nobody serves now, its policy published (conf/policies/relief.policy).  CHILDREN + WRITERS villages
 * are welcomed into it through the engine, then its daemon starts, and each village says hello and takes what waits.
 * The children then hold long polls; the writers have DELTAS sealed deltas of one row each and push them one by one on
 * a connection that stands.  All villages share one TLS key.  Prints
 *   idle CHILDREN KIB_ALONE KIB PERCENT        memory of the daemon without and with the children; processor, % of a core
 *   deltas N SECONDS CPU_SECONDS               all writers at once, and what the daemon used */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/settings.h"
#include "base/rand.h"
#include "base/text.h"
#include "core/digest.h"

#define IDLE_S 20
#define POLL_S 50
#define RAMP 20                          /* connections made at a time, every RAMP_MS */
#define RAMP_MS 200
#define OF_ADDRESS 100                   /* children behind one address: the server counts connections by it */
#define BODY (1u << 20)


struct child {
	struct identity id;
	char address[20], files[2][300]; /* chain and key, as Debian's libcurl wants them */
	struct buf url, header;          /* of its long poll */
	struct curl_slist *headers;
	CURL *curl;
	struct buf answer;
	/* a writer's */
	struct buf body;                 /* as engine_push_make gives it */
	struct reader rest;              /* its segments not sent yet */
	uint64_t seq;
	struct digest head;
	struct buf request;
};

static pid_t daemon_pid;

static void stop_daemon(void)
{
	if (daemon_pid > 0) {
		kill(daemon_pid, SIGTERM);
		waitpid(daemon_pid, NULL, 0);
	}
	daemon_pid = 0;
}

static void die(const char *what, const char *say)
{
	fprintf(stderr, "bench_parent: %s: %s\n", what, say);
	stop_daemon();
	exit(1);
}

static void ok(int rc, const struct err *err)
{
	if (rc != 0)
		die(err_name(rc), err->text);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the daemon */

static void start_daemon(const char *path, const char *home, const char *log)
{
	daemon_pid = fork();
	if (daemon_pid == 0) {
		if (!freopen(log, "w", stderr) || !freopen("/dev/null", "r", stdin) || !freopen("/dev/null", "w", stdout))
			_exit(1);
		execl(path, path, "--home", home, (char *)NULL);
		_exit(1);
	}
}

static long memory_kib(void)
{
	char path[60], line[200];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)daemon_pid);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f == NULL || kib == 0)
		die(path, "the daemon has ended");
	fclose(f);
	return kib;
}

static double processor_s(void)
{
	char path[60], line[600];
	unsigned long user = 0, system = 0;
	const char *at;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)daemon_pid);
	f = fopen(path, "r");
	if (f == NULL || fgets(line, sizeof line, f) == NULL)
		die(path, "the daemon has ended");
	fclose(f);
	at = strrchr(line, ')');
	if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		die(path, "it cannot be read");
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- identities */

static void write_file(const char *path, const struct buf *b)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fwrite(b->p, 1, b->n, f) != b->n || fclose(f) != 0)
		die(path, "cannot be written");
}

static void identify(struct child *c, uint32_t i, const char *folder, const struct identity *county, struct slice key)
{
	_cleanup_(buf_release) struct buf request = {0};
	uint8_t seed[SIGN_SEED_SIZE] = {1}, serial[16] = {1};
	struct err err = {0};

	memcpy(seed + 1, &i, sizeof i);
	memcpy(serial + 1, &i, sizeof i);
	c->id.unit = county->unit + (uint64_t)(100 + i / 900) * 1000 + 100 + i % 900;
	c->id.parent = county->unit;
	snprintf(c->id.line, sizeof c->id.line, "%s", county->line);
	snprintf(c->id.name, sizeof c->id.name, "village %u", i);
	snprintf(c->address, sizeof c->address, "127.0.1.%u", 1 + i / OF_ADDRESS);
	sign_key_from_seed(seed, &c->id.sign);
	buf_put(&c->id.tls_key_pem, key.p, key.n);
	ok(chain_request(key, c->id.unit, c->id.line, c->id.name, c->id.sign.public_key, &request, &err), &err);
	ok(chain_issue(buf_slice(&request), c->id.unit, c->id.line, c->id.name, buf_slice(&county->tls_key_pem),
	               buf_slice(&county->chain_pem), serial, time(NULL) - 86400, time(NULL) + 86400 * 365, &c->id.chain_pem, &err), &err);
	buf_put(&c->id.chain_pem, county->chain_pem.p, county->chain_pem.n);
	ok(chain_read(buf_slice(&c->id.chain_pem), NULL, &c->id.chain, &err), &err);
	snprintf(c->files[0], sizeof c->files[0], "%s/%u.pem", folder, i);
	snprintf(c->files[1], sizeof c->files[1], "%s/shared.key", folder);
	write_file(c->files[0], &c->id.chain_pem);
}

static void welcome(struct child *children, uint32_t n, const char *folder, const struct settings *s,
                    const struct identity *county)
{
	const struct engine_options o = {.database = s->database, .identity = county, .source = source_system(), .seal_ms = 200,
	                                 .seal_max_ms = 2000};
	_cleanup_(buf_release) struct buf key = {0};
	struct engine *e;
	struct err err = {0};

	ok(chain_key_new(&key, &err), &err);
	ok(engine_open(&o, &e, &err), &err);
	for (uint32_t i = 0; i < n; i++) {
		identify(&children[i], i, folder, county, buf_slice(&key));
		ok(engine_welcome(e, &children[i].id.chain, buf_slice(&children[i].id.chain_pem), &err), &err);
	}
	engine_close(e);
	write_file(children[0].files[1], &key);
}

/* ---- HTTP */

static size_t take(char *p, size_t size, size_t n, void *arg)
{
	struct child *c = arg;

	buf_put(&c->answer, p, size * n);
	return size * n;
}

static CURL *dial(struct child *c, const char *url)
{
	CURL *h = curl_easy_init();

	if (h == NULL)
		die("libcurl", "memory is short");
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_INTERFACE, c->address);
	curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(h, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(h, CURLOPT_SSLCERT, c->files[0]);
	curl_easy_setopt(h, CURLOPT_SSLKEY, c->files[1]);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(h, CURLOPT_PRIVATE, c);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->headers);
	return h;
}

static long status_of(CURL *h)
{
	long status = 0;

	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static long ask(struct child *c, CURL *h, const char *url, const struct buf *post)
{
	CURLcode code;

	buf_clear(&c->answer);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->headers);
	if (post != NULL) {
		curl_easy_setopt(h, CURLOPT_POST, 1L);
		curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, (long)post->n);
		curl_easy_setopt(h, CURLOPT_POSTFIELDS, post->p);
	} else {
		curl_easy_setopt(h, CURLOPT_HTTPGET, 1L);
	}
	code = curl_easy_perform(h);
	if (code != CURLE_OK)
		die(url, curl_easy_strerror(code));
	return status_of(h);
}

/* ---- a village becomes ready, with its own engine */

static void feed_url(struct child *c, struct engine *e, const char *base, int wait_s)
{
	_cleanup_(buf_release) struct buf receipt = {0};
	struct digest hash;
	uint64_t after = 0;
	struct err err = {0};

	ok(engine_feed_make(e, &after, &hash, &receipt, &err), &err);
	buf_clear(&c->url);
	buf_clear(&c->header);
	buf_printf(&c->url, "%s/v1/feed?after=%ju&hash=", base, (uintmax_t)after);
	hex_put(&c->url, (struct slice){hash.at, DIGEST_SIZE});
	buf_printf(&c->url, "&wait=%d", wait_s);
	buf_printf(&c->header, "Terrace-Receipt: ");
	base64url_put(&c->header, buf_slice(&receipt));
	curl_slist_free_all(c->headers);
	c->headers = curl_slist_append(NULL, "Expect:");
	if (receipt.n > 0)
		c->headers = curl_slist_append(c->headers, buf_text(&c->header));
}

static void hello(struct child *c, struct engine *e, CURL *h, const char *base)
{
	_cleanup_(buf_release) struct buf url = {0};
	struct orders orders = {.again = true};
	struct err err = {0};

	buf_printf(&url, "%s/v1/hello", base);
	for (int i = 0; i < 5 && orders.again; i++) {
		_cleanup_(buf_release) struct buf body = {0};

		orders = (struct orders){0};
		ok(engine_hello_make(e, &body, &err), &err);
		if (ask(c, h, buf_text(&url), &body) != 200)
			die("hello", buf_text(&c->answer));
		ok(engine_hello_take(e, buf_slice(&c->answer), &orders, &err), &err);
	}
}

static void feed(struct child *c, struct engine *e, CURL *h, const char *base)
{
	struct err err = {0};
	long status = 200;

	while (status == 200) {
		feed_url(c, e, base, 0);
		status = ask(c, h, buf_text(&c->url), NULL);
		if (status == 200)
			ok(engine_feed_take(e, buf_slice(&c->answer), &err), &err);
	}
	if (status != 204)
		die("feed", buf_text(&c->answer));
}

static void write_rows(struct child *c, struct engine *e, const char *path, uint32_t n)
{
	struct err err = {0};
	sqlite3 *db;
	char sql[300];

	if (sqlite3_open(path, &db) != SQLITE_OK)
		die(path, sqlite3_errmsg(db));
	sqlite3_busy_timeout(db, 5000);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(sql, sizeof sql, "INSERT INTO household(code, village_code, head_name) VALUES('%012ju%06u', '%012ju', '户主')",
		         (uintmax_t)c->id.unit, i, (uintmax_t)c->id.unit);
		if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
			die(sql, sqlite3_errmsg(db));
		ok(engine_seal(e, &err), &err);
	}
	sqlite3_close(db);
	ok(engine_push_make(e, BODY, &c->body, &err), &err);
	c->rest = reader_of(buf_slice(&c->body));
	read_u8(&c->rest);
	c->seq = read_varint(&c->rest);
	memcpy(c->head.at, read_bytes(&c->rest, DIGEST_SIZE).p, DIGEST_SIZE);
	if (read_varint(&c->rest) < n || c->rest.bad)
		die(path, "its outbox does not hold all deltas");
}

static void make_ready(struct child *c, const char *folder, const char *base, uint32_t rows)
{
	char path[400], command[1300];
	const struct engine_options o = {.database = path, .make = true, .identity = &c->id, .source = source_system(), .seal_ms = 1,
	                                 .seal_max_ms = 1};
	CURL *h = dial(c, base);
	struct engine *e;
	struct err err = {0};

	snprintf(path, sizeof path, "%s/village.db", folder);
	snprintf(command, sizeof command, "rm -f '%s' '%s-wal' '%s-shm'", path, path, path);
	if (system(command) != 0)
		die(command, "failed");
	ok(engine_open(&o, &e, &err), &err);
	for (int i = 0; i < 2; i++) {            /* what the first feed brought is told by the second hello */
		hello(c, e, h, base);
		feed(c, e, h, base);
	}
	if (rows > 0)
		write_rows(c, e, path, rows);
	feed_url(c, e, base, POLL_S);
	engine_close(e);
	curl_easy_cleanup(h);
}

/* ---- the load */

struct load {
	CURLM *multi;
	uint32_t running, wrong;
	char say[200];
};

/* Long polls that ended begin anew. */
static void hold(struct load *l, double until)
{
	CURLMsg *m;
	int running, left;

	do {
		curl_multi_perform(l->multi, &running);
		while ((m = curl_multi_info_read(l->multi, &left)) != NULL) {
			CURL *h = m->easy_handle;
			struct child *c;

			curl_easy_getinfo(h, CURLINFO_PRIVATE, &c);
			if (m->data.result != CURLE_OK || status_of(h) != 204) {
				l->wrong++;
				snprintf(l->say, sizeof l->say, "%s, status %ld: %.100s", curl_easy_strerror(m->data.result), status_of(h),
				         buf_text(&c->answer));
			}
			buf_clear(&c->answer);
			curl_multi_remove_handle(l->multi, h);
			curl_multi_add_handle(l->multi, h);
		}
		curl_multi_poll(l->multi, NULL, 0, 100, NULL);
	} while (now() < until);
}

static void connect_all(struct load *l, struct child *children, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct child *c = &children[i];

		c->curl = dial(c, buf_text(&c->url));
		curl_multi_add_handle(l->multi, c->curl);
		if (i % RAMP == RAMP - 1)
			hold(l, now() + RAMP_MS / 1e3);
	}
	hold(l, now() + 3);
	if (l->wrong > 0)
		die("the children do not stay connected", l->say);
}

/* The next delta of a writer; false: it has none. */
static bool next_delta(struct child *c, CURLM *multi)
{
	struct slice segment = read_slice(&c->rest);

	if (c->rest.bad || segment.n == 0)
		return false;
	buf_clear(&c->request);
	buf_put_u8(&c->request, 1);
	buf_put_varint(&c->request, c->seq++);
	buf_put(&c->request, c->head.at, DIGEST_SIZE);
	buf_put_varint(&c->request, 1);
	buf_put_slice(&c->request, segment);
	buf_put_varint(&c->request, 0);
	c->head = digest_chain(&c->head, segment);
	buf_clear(&c->answer);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)c->request.n);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, c->request.p);
	curl_multi_add_handle(multi, c->curl);
	return true;
}

/* `deltas` of each writer. */
static uint32_t push(CURLM *multi, struct child *writers, uint32_t n, uint32_t deltas)
{
	uint32_t under_way = 0, done = 0;
	CURLMsg *m;
	int running, left;

	for (uint32_t i = 0; i < n; i++)
		under_way += next_delta(&writers[i], multi);
	while (under_way > 0) {
		curl_multi_perform(multi, &running);
		while ((m = curl_multi_info_read(multi, &left)) != NULL) {
			CURL *h = m->easy_handle;
			CURLcode code = m->data.result;
			struct child *c;

			curl_easy_getinfo(h, CURLINFO_PRIVATE, &c);
			if (code == CURLE_OK && status_of(h) == 503) {   /* busy: the same once more */
				buf_clear(&c->answer);
				curl_multi_remove_handle(multi, h);
				curl_multi_add_handle(multi, h);
				continue;
			}
			if (code != CURLE_OK || status_of(h) != 200 || c->answer.n < 2 || c->answer.p[1] != 0)
				die("a delta is not taken", code != CURLE_OK ? curl_easy_strerror(code) : buf_text(&c->answer));
			curl_multi_remove_handle(multi, h);
			done++;
			if (done + under_way - 1 >= n * deltas || !next_delta(c, multi))
				under_way--;
		}
		if (under_way > 0)
			curl_multi_poll(multi, NULL, 0, 100, NULL);
	}
	return done;
}

static void measure_deltas(struct load *l, struct child *writers, uint32_t n, const char *base, uint32_t deltas)
{
	_cleanup_(buf_release) struct buf url = {0};
	CURLM *multi = curl_multi_init();
	double start, cpu;
	uint32_t done;

	buf_printf(&url, "%s/v1/segments", base);
	for (uint32_t i = 0; i < n; i++) {
		writers[i].headers = curl_slist_append(NULL, "Expect:");
		writers[i].curl = dial(&writers[i], buf_text(&url));
		curl_easy_setopt(writers[i].curl, CURLOPT_POST, 1L);
	}
	push(multi, writers, n, 1);              /* the connections are made */
	hold(l, now() + 1);
	start = now();
	cpu = processor_s();
	done = push(multi, writers, n, deltas - 1);
	printf("deltas %u %.3f %.3f\n", done, now() - start, processor_s() - cpu);
}

static void measure_idle(struct load *l, uint32_t n, long alone)
{
	double cpu = processor_s(), start = now();

	hold(l, start + IDLE_S);
	cpu = processor_s() - cpu;
	printf("idle %u %ld %ld %.2f\n", n, alone, memory_kib(), 100 * cpu / (now() - start));
	if (l->wrong > 0)
		die("the children do not stay connected", l->say);
}

static void raise_limit(uint32_t n)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < n + 300)
		die("too few open files are allowed", "raise `ulimit -n`, or measure fewer children");
}

int main(int argc, char **argv)
{
	uint32_t n, writers, deltas;
	struct identity county = {0};
	struct load load = {0};
	struct child *children;
	struct settings s;
	struct err err = {0};
	char log[400];
	long alone;

	if (argc != 7)
		die("usage", "see the head of tests/bench/bench_parent.c");
	n = (uint32_t)atoi(argv[4]);
	writers = (uint32_t)atoi(argv[5]);
	deltas = (uint32_t)atoi(argv[6]);
	rand_start();
	ok(sign_init(&err), &err);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	raise_limit(n);
	ok(settings_read(argv[2], &s, &err), &err);
	ok(identity_read(&s, &county, &err), &err);
	children = calloc(n + writers, sizeof *children);
	if (children == NULL || s.urls[0] == NULL)
		die(argv[2], "memory is short, or the home has no url");
	welcome(children, n + writers, argv[3], &s, &county);
	snprintf(log, sizeof log, "%s/county.log", argv[3]);
	start_daemon(argv[1], argv[2], log);
	sleep(2);
	alone = memory_kib();
	for (uint32_t i = 0; i < n + writers; i++)
		make_ready(&children[i], argv[3], s.urls[0], i < n ? 0 : deltas);
	load.multi = curl_multi_init();
	curl_multi_setopt(load.multi, CURLMOPT_MAXCONNECTS, (long)n + 10);
	connect_all(&load, children, n);
	measure_idle(&load, n, alone);
	measure_deltas(&load, children + n, writers, s.urls[0], deltas);
	stop_daemon();
	return 0;
}
