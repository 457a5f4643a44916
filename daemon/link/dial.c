#include "link/dial.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "link/tls.h"

#define LANES 2u
#define AGENT "terrace/" TERRACE_VERSION
#define MEMORY_PATH_SIZE 32

enum lane_state { IDLE, UNDER_WAY, OVER };

struct lane {
	struct dialer *dialer;
	CURL *curl;
	struct curl_slist *headers;
	enum lane_state state;
	bool fresh;                      /* this is the repetition on a new connection */
	bool changed;                    /* the identity has: no kept connection */
	char *url;
	size_t most;
	struct spool answer;
	struct chain peer;
	struct err err;                  /* why a callback of ours ended the request */
	char text[CURL_ERROR_SIZE];
	CURLcode code;
};

struct dialer {
	struct dial_options o;
	CURLM *multi;
	struct lane lane[LANES];
	uint32_t nlanes;
	int cert, key;                   /* memory files: libcurl on GnuTLS takes no blobs */
	bool ended;                      /* a lane ended during this run */
};

static int check_peer(void *cls, char *remote, char *local, int remote_port, int local_port)
{
	struct lane *l = cls;
	const struct dial_options *o = &l->dialer->o;
	struct curl_tlssessioninfo *info = NULL;

	(void)remote;
	(void)local;
	(void)remote_port;
	(void)local_port;
	if (curl_easy_getinfo(l->curl, CURLINFO_TLS_SSL_PTR, &info) || !info || info->backend != CURLSSLBACKEND_GNUTLS)
		err_set(&l->err, ERR_BUG, "%s: libcurl does not show its TLS session", l->url);
	else if (o->identity)
		tls_check_parent(info->internals, o->identity, &l->err);
	else
		tls_check_pin(info->internals, o->pin, &l->peer, &l->err);
	if (l->err.code)
		err_prefix(&l->err, "%s: ", l->url);
	return l->err.code ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static size_t take_bytes(char *p, size_t size, size_t n, void *cls)
{
	struct lane *l = cls;

	(void)size;
	if (l->answer.size + n > l->most) {
		err_set(&l->err, ERR_LIMIT, "%s: an answer larger than %zu bytes", l->url, l->most);
		return 0;
	}
	return spool_put(&l->answer, p, n, &l->err) ? 0 : n;
}

/* Path of a memory file with the content; libcurl opens it by name. */
static int memory_file(struct slice content, int *ret_fd)
{
	_cleanup_(fd_close) int fd = memfd_create("terrace", MFD_CLOEXEC);

	for (size_t done = 0; fd >= 0 && done < content.n;) {
		ssize_t n = write(fd, content.p + done, content.n - done);
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	if (fd < 0)
		return -1;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int dialer_new(const struct dial_options *o, struct dialer **ret, struct err *err)
{
	struct dialer *d = calloc(1, sizeof(*d));

	if (!d)
		return err_set(err, ERR_NOMEM, "uplink: out of memory");
	d->o = *o;
	d->cert = d->key = -1;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	d->multi = curl_multi_init();
	if (!d->multi || (o->identity && (memory_file(buf_slice(&o->identity->chain_pem), &d->cert) ||
	                                  memory_file(buf_slice(&o->identity->tls_key_pem), &d->key)))) {
		dialer_free(d);
		return err_set(err, ERR_NOMEM, "uplink: cannot set up libcurl");
	}
	curl_multi_setopt(d->multi, CURLMOPT_MAXCONNECTS, (long)LANES);
	*ret = d;
	return 0;
}

/* The new memory files are made while the old ones are open, so that they have other names: to libcurl that is another
 * certificate, and no connection made with the old one serves it. */
int dialer_identity(struct dialer *d, const struct identity *identity, struct err *err)
{
	_cleanup_(fd_close) int cert = -1, key = -1;
	int cert_before = d->cert, key_before = d->key;

	if (memory_file(buf_slice(&identity->chain_pem), &cert) || memory_file(buf_slice(&identity->tls_key_pem), &key))
		return err_set(err, ERR_NOMEM, "uplink: cannot set up libcurl");
	d->o.identity = identity;
	d->cert = cert;
	d->key = key;
	cert = cert_before;
	key = key_before;
	for (uint32_t i = 0; i < d->nlanes; i++)
		d->lane[i].changed = true;
	return 0;
}

void dialer_free(struct dialer *d)
{
	if (!d)
		return;
	for (uint32_t i = 0; i < d->nlanes; i++) {
		struct lane *l = &d->lane[i];
		lane_cancel(l);
		curl_easy_cleanup(l->curl);
		curl_slist_free_all(l->headers);
		spool_release(&l->answer);
		free(l->url);
	}
	if (d->multi)
		curl_multi_cleanup(d->multi);
	fd_close(&d->cert);
	fd_close(&d->key);
	free(d);
}

int lane_new(struct dialer *d, struct lane **ret, struct err *err)
{
	if (d->nlanes == LANES)
		return err_set(err, ERR_BUG, "uplink: no lane is left");
	struct lane *l = &d->lane[d->nlanes];
	l->dialer = d;
	l->curl = curl_easy_init();
	if (!l->curl)
		return err_set(err, ERR_NOMEM, "uplink: out of memory");
	spool_init(&l->answer, d->o.room);
	d->nlanes++;
	*ret = l;
	return 0;
}

static void set_tls(struct lane *l)
{
	const struct dialer *d = l->dialer;
	char path[MEMORY_PATH_SIZE];

	curl_easy_setopt(l->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	/* Whom we talk to is check_peer's to say; no CA file is even read (Debian's libcurl would load them all). */
	curl_easy_setopt(l->curl, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(l->curl, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(l->curl, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(l->curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(l->curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(l->curl, CURLOPT_PREREQFUNCTION, check_peer);
	curl_easy_setopt(l->curl, CURLOPT_PREREQDATA, l);
	if (d->cert < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->cert);
	curl_easy_setopt(l->curl, CURLOPT_SSLCERT, path);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->key);
	curl_easy_setopt(l->curl, CURLOPT_SSLKEY, path);
}

static void set_transport(struct lane *l)
{
	const struct dial_options *o = &l->dialer->o;
	curl_off_t rate = (curl_off_t)o->rate_kbps * 1000 / 8;

	curl_easy_setopt(l->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(l->curl, CURLOPT_QUICK_EXIT, 1L);       /* never wait for a name server at the end */
	curl_easy_setopt(l->curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(l->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(l->curl, CURLOPT_PROXY, o->proxy ? o->proxy : "");
	curl_easy_setopt(l->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)DIAL_CONNECT_MS);
	curl_easy_setopt(l->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(l->curl, CURLOPT_LOW_SPEED_TIME, (long)DIAL_IDLE_S);
	curl_easy_setopt(l->curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(l->curl, CURLOPT_MAX_SEND_SPEED_LARGE, rate);
	curl_easy_setopt(l->curl, CURLOPT_MAX_RECV_SPEED_LARGE, rate);
	curl_easy_setopt(l->curl, CURLOPT_USERAGENT, AGENT);
	curl_easy_setopt(l->curl, CURLOPT_ERRORBUFFER, l->text);
	curl_easy_setopt(l->curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(l->curl, CURLOPT_WRITEDATA, l);
	curl_easy_setopt(l->curl, CURLOPT_PRIVATE, l);
}

static bool set_headers(struct lane *l, const struct dial_request *r)
{
	_cleanup_(free_pointer) char *receipt = r->receipt ? text_printf("Terrace-Receipt: %s", r->receipt) : NULL;

	curl_slist_free_all(l->headers);
	l->headers = curl_slist_append(NULL, "Expect:");
	if (l->headers && r->post && !curl_slist_append(l->headers, "Content-Type: application/octet-stream"))
		return false;
	if (l->headers && receipt && !curl_slist_append(l->headers, receipt))
		return false;
	return l->headers && (receipt || !r->receipt);
}

int lane_start(struct lane *l, const struct dial_request *r, struct err *err)
{
	lane_cancel(l);
	free(l->url);
	l->url = strdup(r->url);
	l->most = r->most;
	l->fresh = false;
	l->err = (struct err){ 0 };
	l->text[0] = '\0';
	spool_clear(&l->answer);
	curl_easy_reset(l->curl);        /* keeps connections, which are the multi's */
	if (!l->url || !set_headers(l, r))
		return err_set(err, ERR_NOMEM, "uplink: out of memory");
	set_tls(l);
	set_transport(l);
	if (l->changed)
		curl_easy_setopt(l->curl, CURLOPT_FRESH_CONNECT, 1L);
	l->changed = false;
	curl_easy_setopt(l->curl, CURLOPT_URL, l->url);
	curl_easy_setopt(l->curl, CURLOPT_HTTPHEADER, l->headers);
	if (r->post) {
		curl_easy_setopt(l->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(l->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
		curl_easy_setopt(l->curl, CURLOPT_POSTFIELDS, r->body.n ? (const char *)r->body.p : "");
	}
	if (curl_multi_add_handle(l->dialer->multi, l->curl))
		return err_set(err, ERR_NOMEM, "uplink: libcurl takes no request");
	l->state = UNDER_WAY;
	return 0;
}

void lane_cancel(struct lane *l)
{
	if (l->state == UNDER_WAY)
		curl_multi_remove_handle(l->dialer->multi, l->curl);
	l->state = IDLE;
}

bool lane_busy(const struct lane *l)
{
	return l->state != IDLE;
}

/* A kept connection that the other end, or something between, has forgotten shows only when it is used. */
static bool worth_repeating(struct lane *l, CURLcode code)
{
	long made = 1;

	curl_easy_getinfo(l->curl, CURLINFO_NUM_CONNECTS, &made);
	return made == 0 && !l->fresh && !l->err.code && l->answer.size == 0 &&
	       (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING);
}

static void take_messages(struct dialer *d)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(d->multi, &left))) {
		struct lane *l = NULL;
		CURLcode code = m->data.result;
		if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &l) || !l)
			continue;
		curl_multi_remove_handle(d->multi, l->curl);
		l->state = OVER;
		l->code = code;
		d->ended = true;
		if (!worth_repeating(l, code))
			continue;
		l->fresh = true;
		curl_easy_setopt(l->curl, CURLOPT_FRESH_CONNECT, 1L);
		if (curl_multi_add_handle(d->multi, l->curl) == CURLM_OK)
			l->state = UNDER_WAY;
	}
}

void dialer_run(struct dialer *d, int64_t most_ms)
{
	int running;

	d->ended = false;
	curl_multi_perform(d->multi, &running);
	take_messages(d);
	if (!d->ended)
		curl_multi_poll(d->multi, NULL, 0, (int)MIN(MAX(most_ms, 0), 60000), NULL);
	curl_multi_perform(d->multi, &running);
	take_messages(d);
}

void dialer_wake(struct dialer *d)
{
	curl_multi_wakeup(d->multi);
}

bool lane_take(struct lane *l, struct dial_answer *ret, int *ret_code, struct err *err)
{
	curl_off_t retry = 0;
	long status = 0;

	if (l->state != OVER)
		return false;
	l->state = IDLE;
	*ret = (struct dial_answer){ 0 };
	*ret_code = 0;
	if (l->code == CURLE_OK) {
		curl_easy_getinfo(l->curl, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(l->curl, CURLINFO_RETRY_AFTER, &retry);
		ret->retry_after_s = MIN(retry, 3600);
		ret->peer = l->peer;
		*ret_code = spool_slice(&l->answer, &ret->body, err);
		ret->status = *ret_code ? 0 : (int)status;
		return true;
	}
	if (l->err.code) {
		*ret_code = l->err.code;
		if (err)
			*err = l->err;
	} else {
		*ret_code = err_set(err, ERR_NETWORK, "%s: %s", l->url, l->text[0] ? l->text : curl_easy_strerror(l->code));
	}
	return true;
}

void dial_message(const struct dial_answer *a, char *ret, size_t size)
{
	_cleanup_(json_release) json_t *j =
		a->body.n && a->body.n < 65536 ? json_loadb((const char *)a->body.p, a->body.n, 0, NULL) : NULL;
	const char *code = json_string_value(json_object_get(j, "code"));
	const char *message = json_string_value(json_object_get(j, "message"));

	if (code && message)
		snprintf(ret, size, "%d %.40s: %.400s", a->status, code, message);
	else
		snprintf(ret, size, "HTTP status %d", a->status);
}
