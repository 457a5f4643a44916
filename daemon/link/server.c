#include "link/server.h"

#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "link/listen.h"
#include "link/tls.h"
#include "link/tries.h"

#define POOL_THREADS     2
#define STRANGER_IDLE_S  20
#define PEER_IDLE_S      120
#define CLOCK_MS         200
#define LATE_AFTER_MS    60000           /* a body that takes longer must come at SLOWEST bytes a second at least */
#define SLOWEST          100
#define PUBLISH_MS       1000            /* revocations are read again from the engine at most this often */
#define LOOK_MS          10000           /* so often every long poll is looked at, else those that the engine names */
#define AGAIN_MS         100
#define REFUSED_LOG_MS   10000
#define LINES_OF_ONE     16u             /* connections of one child; its daemon needs three */
#define LINES_OF_ADDRESS 256u            /* of one address: several children may stand behind it */
#define VALUES_MOST      (16u << 10)

enum stage { READING, QUEUED, WAITING, ANSWERED };

struct line {                            /* one connection: who it is, judged once */
	bool judged;
	int code;                        /* of the judgement */
	struct chain chain;
	struct err err;
	uint64_t unit;                   /* counted as one of the unit's; UNIT_NONE = not */
	int fd;
	bool former;                     /* issued by a key that this node had before */
	bool shut;                       /* for a newer one; it ends when its thread comes to it */
	struct line *next, **at;         /* in the list of those counted */
};

struct value {
	struct value *next;
	bool header;
	const char *name, *text;
};

struct request {
	struct job job;                  /* first: a job is cast back to its request */
	struct exchange x;
	struct server *server;
	struct MHD_Connection *connection;       /* NULL when it is gone */
	struct request *next, **at;      /* in the list of suspended ones */
	enum stage stage;
	bool suspended, given_up;
	uint32_t refs;                   /* the connection's and the job's */
	int64_t begun, until, wait_until;
	struct spool spool;
	struct arena arena;
	struct value *values;
	struct err err;                  /* of reading, or of the job */
};

struct server {
	struct server_options o;
	struct MHD_Daemon *daemon;
	struct spool_room room;
	struct buf key, cert, trust;
	int port;
	pthread_t clock;
	bool clock_runs;
	pthread_mutex_t lock;            /* guards what follows and stage, suspended, refs of all requests */
	pthread_cond_t end;
	struct request *suspended;
	struct line *lines;              /* of children */
	bool stopping;
	struct tries tries;
	struct buf revoked;
	int64_t tree_time, published_ms, look_ms, log_after;
	enum space space;
	uint32_t unlogged;
};

static int64_t now_ms(const struct server *s)
{
	return s->o.source.steady_ms(s->o.source.arg);
}

/* ---- what a handler reads */

static const char *find_value(const struct exchange *x, const char *name, bool header)
{
	const struct request *q = (const struct request *)((const char *)x - offsetof(struct request, x));

	for (const struct value *v = q->values; v; v = v->next)
		if (v->header == header && !(header ? strcasecmp(v->name, name) : strcmp(v->name, name)))
			return v->text;
	return NULL;
}

const char *exchange_query(const struct exchange *x, const char *name)
{
	return find_value(x, name, false);
}

const char *exchange_header(const struct exchange *x, const char *name)
{
	return find_value(x, name, true);
}

/* Copied, because a request given up may be answered when its connection is gone. */
static enum MHD_Result keep_value(void *cls, enum MHD_ValueKind kind, const char *name, const char *text)
{
	struct request *q = cls;
	struct value *v = arena_alloc(&q->arena, sizeof(*v));

	if (!v)
		return MHD_NO;
	v->header = kind == MHD_HEADER_KIND;
	v->name = arena_text(&q->arena, slice_of(name));
	v->text = arena_text(&q->arena, slice_of(text ? text : ""));
	if (!v->name || !v->text)
		return MHD_NO;
	v->next = q->values;
	q->values = v;
	return MHD_YES;
}

/* ---- answering */

static enum MHD_Result send_bytes(struct MHD_Connection *c, int status, const char *type, struct buf *body,
                                  const char *allow)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(body->n, body->n ? body->p : NULL,
	                                        body->n ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);

	if (!response)
		return MHD_NO;
	if (body->n)
		*body = (struct buf){ 0 };
	if (type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "5");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_FORBIDDEN)      /* not to be kept open */
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
	enum MHD_Result r = MHD_queue_response(c, (unsigned int)status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result send_error(struct MHD_Connection *c, const struct err *e, const char *allow)
{
	_cleanup_(buf_release) struct buf body = { 0 };
	_cleanup_(json_release) json_t *j = json_object(), *text = json_slice(slice_of(e->text));

	json_object_set_new(j, "code", json_string(err_name(e->code)));
	json_object_set(j, "message", text);
	json_put(&body, j);
	return send_bytes(c, err_http(e->code), "application/json", &body, allow);
}

static enum MHD_Result send_answer(struct request *q)
{
	/* One given up is still the ledger's: its answer is not looked at. */
	if (q->given_up || (q->err.code && !q->x.answer.n))
		return send_error(q->connection, &q->err, NULL);
	int status = q->err.code ? err_http(q->err.code) : q->x.answer.n ? MHD_HTTP_OK : MHD_HTTP_NO_CONTENT;
	return send_bytes(q->connection, status, q->x.answer.n ? "application/octet-stream" : NULL, &q->x.answer, NULL);
}

/* ---- suspended requests; all with the lock held */

static void suspend(struct request *q)
{
	struct server *s = q->server;

	MHD_suspend_connection(q->connection);
	q->suspended = true;
	q->next = s->suspended;
	q->at = &s->suspended;
	if (q->next)
		q->next->at = &q->next;
	s->suspended = q;
}

static void resume(struct request *q)
{
	if (!q->suspended)
		return;
	q->suspended = false;
	*q->at = q->next;
	if (q->next)
		q->next->at = q->at;
	if (q->connection)
		MHD_resume_connection(q->connection);
}

static void answered(struct request *q, int code, const char *text)
{
	q->stage = ANSWERED;
	if (code)
		err_set(&q->err, code, "%s", text);
	resume(q);
}

/* Returns whether it was the last. */
static bool drop(struct request *q)
{
	return --q->refs == 0;
}

static void free_request(struct request *q)
{
	spool_release(&q->spool);
	buf_release(&q->x.answer);
	arena_release(&q->arena);
	free(q);
}

/* ---- the job */

static int run_job(struct engine *e, struct job *job, struct err *err)
{
	struct request *q = (struct request *)job;
	struct server *s = q->server;

	pthread_mutex_lock(&s->lock);
	bool given_up = q->given_up || !q->connection;
	pthread_mutex_unlock(&s->lock);
	if (given_up)
		return err_set(err, ERR_BUSY, "nobody waits for the answer any more");
	buf_clear(&q->x.answer);
	int r = q->x.route->run(e, &q->x, err);
	if (!r && q->x.answer.failed)
		r = err_set(err, ERR_NOMEM, "%s: the answer takes too much memory", q->x.route->path);
	return r;
}

static void end_job(struct job *job)
{
	struct request *q = (struct request *)job;
	struct server *s = q->server;

	pthread_mutex_lock(&s->lock);
	bool last = drop(q);
	if (!last && !q->given_up) {
		int64_t now = now_ms(s);
		if (q->wait_until == 0)
			q->wait_until = now + (q->x.route->ready ? q->x.wait_ms : 0);
		q->err = job->err;
		if (!job->err.code && !q->x.answer.n && now < q->wait_until && !s->stopping) {
			q->stage = WAITING;
			q->until = q->wait_until;
		} else {
			answered(q, 0, NULL);
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (last)
		free_request(q);
}

/* With the lock held.  The ledger cannot end the job before the lock is given back. */
static int post(struct request *q)
{
	q->job.run = run_job;
	q->job.done = end_job;
	q->job.from = q->x.peer.unit != UNIT_NONE ? q->x.peer.unit : SOURCE_STRANGER;
	int r = ledger_post(q->server->o.ledger, &q->job);
	if (r)
		return r;
	q->refs++;
	q->stage = QUEUED;
	q->until = now_ms(q->server) + SERVER_JOB_MS;
	return 0;
}

/* With the lock held: connections made with a certificate that is revoked now are closed, long polls of theirs first. */
static void close_revoked(struct server *s)
{
	for (struct line *line = s->lines; line; line = line->next) {
		if (line->shut || !tls_is_revoked(&line->chain, buf_slice(&s->revoked)))
			continue;
		for (struct request *q = s->suspended, *next; q; q = next) {
			next = q->next;
			if (q->stage == WAITING && !strcmp(q->x.peer.serial, line->chain.at[0].serial))
				answered(q, ERR_CHAIN, "the certificate is revoked");
		}
		line->shut = true;
		shutdown(line->fd, SHUT_RD);
	}
}

static bool is_woken(const uint64_t *woken, uint32_t n, uint64_t unit)
{
	for (uint32_t i = 0; i < n && n <= ENGINE_WOKEN; i++)
		if (woken[i] == unit)
			return true;
	return n > ENGINE_WOKEN;
}

/* On the ledger's thread after every job and tick: long polls that have something are put in the queue again; what
 * the server's own threads need to know is copied. */
static void watch(struct engine *e, void *arg)
{
	struct server *s = arg;
	_cleanup_(buf_release) struct buf revoked = { 0 };
	int64_t now = now_ms(s), tree_time = engine_tree_time(e);
	uint64_t woken[ENGINE_WOKEN];
	uint32_t n = engine_feed_woken(e, woken);
	bool due = now - s->published_ms >= PUBLISH_MS, have = due && engine_revoked(e, &revoked, NULL) == 0;

	pthread_mutex_lock(&s->lock);
	s->tree_time = tree_time;
	s->space = engine_space(e);
	if (due)
		s->published_ms = now;
	if (have) {
		struct buf old = s->revoked;
		s->revoked = revoked;
		revoked = old;
	}
	if (have && !slice_equal(buf_slice(&revoked), buf_slice(&s->revoked)))
		close_revoked(s);
	if (now >= s->look_ms) {
		s->look_ms = now + LOOK_MS;
		n = ENGINE_WOKEN + 1;
	}
	for (struct request *q = n > 0 ? s->suspended : NULL; q && !s->stopping; q = q->next)
		if (q->stage == WAITING && is_woken(woken, n, q->x.peer.unit) && q->x.route->ready(e, &q->x) && post(q))
			s->look_ms = MIN(s->look_ms, now + AGAIN_MS);    /* its share of the queue is full */
	pthread_mutex_unlock(&s->lock);
}

/* ---- the clock: nobody else watches a suspended connection */

static void find_late(struct server *s)
{
	int64_t now = now_ms(s);

	for (struct request *q = s->suspended, *next; q; q = next) {
		next = q->next;
		if (now < q->until && !s->stopping)
			continue;
		if (q->stage == QUEUED)
			q->given_up = true;
		if (s->stopping)
			answered(q, ERR_STOPPING, "the node is stopping");
		else if (q->stage == WAITING)
			answered(q, 0, NULL);
		else
			answered(q, ERR_BUSY, "the node is busy; the answer takes too long");
	}
}

static void *run_clock(void *arg)
{
	struct server *s = arg;
	struct timespec until;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += CLOCK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&s->end, &s->lock, &until);
		find_late(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- reading requests */

static const struct route *find_route(const struct server *s, const char *method, const char *path, struct err *err,
                                      const char **ret_allow)
{
	*ret_allow = NULL;
	for (const struct route *r = s->o.routes; r->method; r++) {
		if (strcmp(r->path, path))
			continue;
		if (!strcmp(r->method, method))
			return r;
		*ret_allow = r->method;
	}
	if (*ret_allow)
		err_set(err, ERR_METHOD, "%s: only %s is possible", path, *ret_allow);
	else
		err_set(err, ERR_NOT_FOUND, "%.100s: no such path", path);
	return NULL;
}

static void refusal(struct server *s, const struct sockaddr *from, const struct err *e)
{
	char host[64] = "?";
	int64_t now = now_ms(s);

	pthread_mutex_lock(&s->lock);
	uint32_t more = s->unlogged;
	bool quiet = now < s->log_after;
	s->unlogged = quiet ? more + 1 : 0;
	if (!quiet)
		s->log_after = now + REFUSED_LOG_MS;
	pthread_mutex_unlock(&s->lock);
	if (quiet)
		return;
	if (from)
		getnameinfo(from, from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in), host,
		            sizeof(host), NULL, 0, NI_NUMERICHOST);
	const struct log_fields fields = { .event = "refuse" };
	log_line(LOG_LEVEL_NOTICE, &fields, "connection from %s refused: %s (%u more since the last such line)", host, e->text,
	         more);
}

/* With the lock held: one connection more of that unit.  The oldest gives way: it may be what a broken line left. */
static int count_line(struct server *s, struct MHD_Connection *c, struct line *line, uint64_t unit, struct err *err)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct line *oldest = NULL;
	char text[UNIT_TEXT_SIZE];
	uint32_t n = 0, shut = 0;

	for (struct line *other = s->lines; other; other = other->next) {
		if (other->unit != unit)
			continue;
		shut += other->shut;
		n += !other->shut;
		if (!other->shut)
			oldest = other;
	}
	if (shut >= LINES_OF_ONE)
		return err_set(err, ERR_BUSY, "%s has %u connections open already; close some", unit_text(unit, text), n + shut);
	if (n >= LINES_OF_ONE) {
		oldest->shut = true;
		shutdown(oldest->fd, SHUT_RDWR);
	}
	line->unit = unit;
	line->fd = info ? info->connect_fd : -1;
	line->next = s->lines;
	line->at = &s->lines;
	if (line->next)
		line->next->at = &line->next;
	s->lines = line;
	return 0;
}

/* The judgement of the connection's certificate is made once; revocation and dates change while it stands. */
static int check_peer(struct server *s, struct MHD_Connection *c, struct request *q, struct err *err)
{
	const union MHD_ConnectionInfo *context = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	const union MHD_ConnectionInfo *session = MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	struct line *line = context ? context->socket_context : NULL;

	if (!line)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (!line->judged) {
		pthread_mutex_lock(&s->lock);
		const struct identity *me = s->o.identity;
		pthread_mutex_unlock(&s->lock);
		line->code = tls_check_child(session ? session->tls_session : NULL, me, &line->chain, &line->err);
		line->former = !line->code && tls_is_former(&line->chain, me);
		line->judged = true;
		if (!line->code)
			MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned int)PEER_IDLE_S);
	}
	if (line->code) {
		if (err)
			*err = line->err;
		return line->code;
	}
	pthread_mutex_lock(&s->lock);
	int r = tls_check_now(&line->chain, buf_slice(&s->revoked), s->tree_time, &q->x.upload_only, err);
	q->x.upload_only = q->x.upload_only || line->former;
	if (!r && line->unit == UNIT_NONE)
		r = count_line(s, c, line, line->chain.at[0].unit, err);
	pthread_mutex_unlock(&s->lock);
	q->x.peer = line->chain.at[0];
	return r;
}

static int check_length(struct MHD_Connection *c, const struct route *route, struct err *err)
{
	const char *text = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *coded = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
	uint64_t length = 0;

	if (coded || (text && text_number(text, 0, INT64_MAX, &length)) || (!text && (route->flags & ROUTE_BODY)))
		return err_set(err, ERR_FORMAT, "%s: the length of the body must be told (Content-Length)", route->path);
	if (length > route->most)
		return err_set(err, ERR_LIMIT, "%s: a body of %ju bytes, at most %zu are allowed", route->path, (uintmax_t)length,
		               route->most);
	return 0;
}

/* Everything that can be refused before the body. */
static int check_head(struct server *s, struct MHD_Connection *c, struct request *q, struct err *err)
{
	const struct route *route = q->x.route;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *from = info ? info->client_addr : NULL;
	char unit[UNIT_TEXT_SIZE];
	int r = 0;

	if (!(route->flags & ROUTE_ANYBODY))
		r = check_peer(s, c, q, err);
	if (!r && q->x.upload_only && !(route->flags & ROUTE_EXPIRED))
		r = err_set(err, ERR_EXPIRED, "%s: the certificate of %s has expired; until it is renewed only uploads are taken",
		            route->path, unit_text(q->x.peer.unit, unit));
	if (r) {
		refusal(s, from, err);
		return r;
	}
	r = check_length(c, route, err);
	pthread_mutex_lock(&s->lock);
	bool allowed = r || !(route->flags & ROUTE_TRIES) || tries_allow(&s->tries, from, now_ms(s));
	bool room = !(route->flags & ROUTE_SPACE) || s->space == SPACE_GOOD;
	pthread_mutex_unlock(&s->lock);
	if (!r && !room)
		return err_set(err, ERR_FULL, "%s: the disk of this node is nearly full; try again later", route->path);
	if (!allowed)
		r = err_set(err, ERR_BUSY, "%s: too many tries from this address; wait a minute", route->path);
	return r;
}

static enum MHD_Result begin(struct server *s, struct MHD_Connection *c, const char *path, const char *method,
                             void **context)
{
	struct err e = { 0 };
	const char *allow;
	const struct route *route = find_route(s, method, path, &e, &allow);

	if (!route)
		return send_error(c, &e, allow);
	struct request *q = calloc(1, sizeof(*q));
	if (!q)
		return MHD_NO;
	q->x.route = route;
	q->server = s;
	q->connection = c;
	q->refs = 1;
	q->begun = now_ms(s);
	q->arena.cap = VALUES_MOST;
	spool_init(&q->spool, &s->room);
	*context = q;                    /* freed by ended() */
	if (check_head(s, c, q, &e))
		return send_error(c, &e, NULL);
	MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, keep_value, q);
	MHD_get_connection_values(c, MHD_HEADER_KIND, keep_value, q);
	if (q->arena.failed) {
		err_set(&e, ERR_FORMAT, "%s: headers too large", path);
		return send_error(c, &e, NULL);
	}
	return MHD_YES;
}

/* A piece of the body.  A sender that trickles is cut off: its time is limited by what it has sent. */
static enum MHD_Result take_piece(struct request *q, const char *p, size_t n)
{
	int64_t took = now_ms(q->server) - q->begun;

	if (took > LATE_AFTER_MS && (int64_t)q->spool.size < (took - LATE_AFTER_MS) / 1000 * SLOWEST)
		return MHD_NO;
	if (q->spool.size + n > q->x.route->most)
		return MHD_NO;           /* more than Content-Length promised: libmicrohttpd does not let it come here */
	if (!q->err.code)
		q->err.code = spool_put(&q->spool, p, n, &q->err);
	return MHD_YES;
}

static enum MHD_Result submit(struct request *q)
{
	struct server *s = q->server;
	struct err e = { 0 };

	if (q->err.code || spool_slice(&q->spool, &q->x.body, &q->err))
		return send_error(q->connection, &q->err, NULL);
	pthread_mutex_lock(&s->lock);
	int r = s->stopping ? ERR_STOPPING : post(q);
	if (!r)
		suspend(q);
	pthread_mutex_unlock(&s->lock);
	if (!r)
		return MHD_YES;
	err_set(&e, r, r == ERR_BUSY ? "%s: the node is busy, or has enough to do for this child already; try again later" :
	        "%s: the node is stopping", q->x.route->path);
	return send_error(q->connection, &e, NULL);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *c, const char *path, const char *method,
                              const char *version, const char *data, size_t *n, void **context)
{
	struct request *q = *context;

	(void)version;
	if (!q)
		return begin(cls, c, path, method, context);
	if (*n) {
		enum MHD_Result r = take_piece(q, data, *n);
		*n = 0;
		return r;
	}
	pthread_mutex_lock(&q->server->lock);
	enum stage stage = q->stage;
	pthread_mutex_unlock(&q->server->lock);
	if (stage == READING)
		return submit(q);
	return stage == ANSWERED ? send_answer(q) : MHD_NO;
}

static void ended(void *cls, struct MHD_Connection *c, void **context, enum MHD_RequestTerminationCode why)
{
	struct server *s = cls;
	struct request *q = *context;

	(void)c;
	(void)why;
	if (!q)
		return;
	*context = NULL;
	pthread_mutex_lock(&s->lock);
	q->connection = NULL;
	resume(q);                       /* only out of the list */
	bool last = drop(q);
	pthread_mutex_unlock(&s->lock);
	if (last)
		free_request(q);
}

static void connection(void *cls, struct MHD_Connection *c, void **socket_context, enum MHD_ConnectionNotificationCode what)
{
	struct server *s = cls;
	struct line *line = *socket_context;

	(void)c;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_context = calloc(1, sizeof(*line));
		return;
	}
	pthread_mutex_lock(&s->lock);
	if (line && line->unit != UNIT_NONE) {
		*line->at = line->next;
		if (line->next)
			line->next->at = line->at;
	}
	pthread_mutex_unlock(&s->lock);
	free(line);
	*socket_context = NULL;
}

static void log_library(void *cls, const char *format, va_list args)
{
	char text[400];

	(void)cls;
	vsnprintf(text, sizeof(text), format, args);
	log_line(LOG_LEVEL_DEBUG, NULL, "libmicrohttpd: %s", text);
}

/* ---- start and stop */

static int start_daemon(struct server *s, struct err *err)
{
	int fd = -1, r = listen_on(s->o.listen, &fd, &s->port, err);

	if (r)
		return r;
	/* The top certificate is told to clients as the one asked for; the check is ours. */
	s->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		0, NULL, NULL, handle, s, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_THREAD_POOL_SIZE, (unsigned int)POOL_THREADS, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)SERVER_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT, LINES_OF_ADDRESS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)STRANGER_IDLE_S,
		MHD_OPTION_NOTIFY_COMPLETED, ended, s, MHD_OPTION_NOTIFY_CONNECTION, connection, s,
		MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES, MHD_OPTION_HTTPS_MEM_KEY, buf_text(&s->key),
		MHD_OPTION_HTTPS_MEM_CERT, buf_text(&s->cert), MHD_OPTION_HTTPS_MEM_TRUST, buf_text(&s->trust),
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
	if (s->daemon)
		return 0;
	close(fd);
	return err_set(err, ERR_CONFIG, "listen = \"%s\": the TLS server does not start; are key and chain in order?",
	               s->o.listen);
}

static void free_server(struct server *s)
{
	bytes_wipe(s->key.p, s->key.p ? s->key.room : 0);
	buf_release(&s->key);
	buf_release(&s->cert);
	buf_release(&s->trust);
	buf_release(&s->revoked);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->end);
	free(s);
}

/* The last certificate of a bundle. */
static void put_top(struct slice pem, struct buf *b)
{
	static const char begin_mark[] = "-----BEGIN CERTIFICATE-----";
	const uint8_t *last = pem.p;

	for (const uint8_t *p = pem.p; p && (p = memmem(p, (size_t)(pem.p + pem.n - p), begin_mark, sizeof(begin_mark) - 1)); p++)
		last = p;
	buf_put(b, last, (size_t)(pem.p + pem.n - last));
}

int server_start(const struct server_options *o, struct server **ret, struct err *err)
{
	struct server *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	sigset_t all, before;

	if (!s)
		return err_set(err, ERR_NOMEM, "server: out of memory");
	s->o = *o;
	s->room.folder = o->spool;
	s->published_ms = -PUBLISH_MS;
	o->source.random(o->source.arg, &s->tries.salt, sizeof(s->tries.salt));
	buf_put(&s->key, o->identity->tls_key_pem.p, o->identity->tls_key_pem.n);
	buf_put(&s->cert, o->identity->chain_pem.p, o->identity->chain_pem.n);
	put_top(buf_slice(&o->identity->chain_pem), &s->trust);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->end, &attr);
	pthread_condattr_destroy(&attr);
	ledger_watch(o->ledger, watch, s);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	s->clock_runs = pthread_create(&s->clock, NULL, run_clock, s) == 0;
	int r = s->clock_runs ? start_daemon(s, err) : err_set(err, ERR_NOMEM, "server: cannot start a thread");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	*ret = s;                        /* also on failure: the ledger knows it, so it is freed after the ledger's end */
	return r;
}

int server_port(const struct server *s)
{
	return s->port;
}

void server_identity(struct server *s, const struct identity *identity)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->o.identity = identity;
	pthread_mutex_unlock(&s->lock);
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	find_late(s);
	pthread_cond_signal(&s->end);
	pthread_mutex_unlock(&s->lock);
	if (s->clock_runs)
		pthread_join(s->clock, NULL);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	free_server(s);
}
