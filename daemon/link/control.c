#include "link/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "core/box.h"
#include "core/limits.h"
#include "engine/bundle.h"

#define REQUEST_MS 10000                 /* for the whole request to come, and for the answer to be taken */
#define POLL_MS    100                   /* between two looks of sync --wait */

enum step { FREE, ASKING, RUNNING, PAUSING, TELLING };

struct client {
	struct job job;                  /* first: a job is cast back to its client */
	struct control *control;
	enum step step;
	int fd;
	int file;                        /* that came with the request, or -1 */
	int64_t until;                   /* of the step */
	struct buf in, out;
	size_t told;
	char actor[64];
	const char *words[CONTROL_WORDS];
	uint32_t nwords;
	struct arena arena;
	bool waits;                      /* sync --wait */
	int64_t wait_until;
	json_t *result;
	int code;
	_Atomic bool over;               /* the ledger is through with the job */
};

struct control {
	struct control_options o;        /* its uplink under `lock` */
	pthread_mutex_t lock;
	char *path;
	pthread_t thread;
	int listener, wake;
	_Atomic bool stop;
	struct client client[CONTROL_CLIENTS];
};

static int64_t now_ms(const struct control *c)
{
	return c->o.source.steady_ms(c->o.source.arg);
}

static void wake_up(struct control *c)
{
	uint64_t one = 1;

	while (write(c->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void forget(struct client *k)
{
	fd_close(&k->fd);
	fd_close(&k->file);
	buf_release(&k->in);
	buf_release(&k->out);
	arena_release(&k->arena);
	json_release(&k->result);
	struct control *c = k->control;
	*k = (struct client){ .control = c, .fd = -1, .file = -1 };
}

/* ---- the answer */

static void tell(struct client *k, int status, json_t *document)
{
	_cleanup_(buf_release) struct buf text = { 0 };

	json_put(&text, document);
	buf_clear(&k->out);
	buf_put_varint(&k->out, (uint64_t)status);
	buf_put_u32(&k->out, (uint32_t)text.n);
	buf_put(&k->out, text.p, text.n);
	k->told = 0;
	k->step = TELLING;
	k->until = now_ms(k->control) + REQUEST_MS;
}

static void tell_error(struct client *k, const struct err *e)
{
	_cleanup_(json_release) json_t *document = json_object();

	json_object_set_new(document, "code", json_string(err_name(e->code)));
	json_object_set_new(document, "message", json_slice(slice_of(e->text)));
	tell(k, err_exit(e->code), document);
}

static void tell_result(struct client *k)
{
	json_t *status = json_object_get(k->result, "exit");
	int found = (int)json_integer_value(status);

	if (status)
		json_object_del(k->result, "exit");
	tell(k, found, k->result);
}

static bool ask_uplink(struct control *c, struct uplink_state *ret)
{
	bool there;

	pthread_mutex_lock(&c->lock);
	there = c->o.uplink != NULL;
	if (there)
		uplink_state(c->o.uplink, ret);
	pthread_mutex_unlock(&c->lock);
	return there;
}

static void poke_uplink(struct control *c)
{
	pthread_mutex_lock(&c->lock);
	uplink_poke(c->o.uplink);
	pthread_mutex_unlock(&c->lock);
}

void control_uplink(struct control *c, struct uplink *u)
{
	pthread_mutex_lock(&c->lock);
	c->o.uplink = u;
	pthread_mutex_unlock(&c->lock);
}

/* `status`: how the link stands now; all else that status shows is read from the database.  The ledger is not asked. */
static void tell_uplink(struct client *k)
{
	_cleanup_(json_release) json_t *document = json_object();
	json_t *upstream = json_object();
	struct uplink_state s;
	char time[RFC3339_SIZE];

	json_object_set_new(document, "upstream", upstream);
	if (!ask_uplink(k->control, &s)) {
		tell(k, 0, document);
		return;
	}
	json_object_set_new(upstream, "url", json_slice(slice_of(s.url)));
	json_object_set_new(upstream, "state", json_string(s.joined ? "joined" : s.text[0] ? "failed" : "resting"));
	json_object_set_new(upstream, "since", json_string(time_rfc3339(s.since_ms, time)));
	json_object_set_new(upstream, "next_contact", s.next_ms ? json_string(time_rfc3339(s.next_ms, time)) : json_null());
	json_object_set_new(upstream, "error", s.text[0] ? json_slice(slice_of(s.text)) : json_null());
	tell(k, 0, document);
}

/* ---- the job */

/* Its bytes come from, or go to, the file that came with the request. */
static int run_bundle(struct engine *e, struct client *k, struct err *err)
{
	_cleanup_(buf_release) struct buf in = { 0 }, out = { 0 };
	bool export = k->nwords > 1 && !strcmp(k->words[1], "export");
	int r = 0;

	if (k->file < 0)
		return err_set(err, ERR_USAGE, "bundle: no file came with the command");
	if (!export)
		r = fd_take(k->file, BOX_MOST(LIMIT_BUNDLE), &in, err);
	if (!r)
		r = engine_bundle_command(e, k->words + 1, k->nwords - 1, k->actor, buf_slice(&in), &out, &k->result, err);
	return !r && export ? fd_give(k->file, buf_slice(&out), err) : r;
}

static int run_job(struct engine *e, struct job *job, struct err *err)
{
	struct client *k = (struct client *)job;

	json_release(&k->result);
	if (!strcmp(k->words[0], "bundle"))
		return run_bundle(e, k, err);
	return engine_command(e, k->words, k->nwords, k->actor, &k->result, err);
}

static void end_job(struct job *job)
{
	struct client *k = (struct client *)job;
	struct control *c = k->control;

	atomic_store(&k->over, true);
	wake_up(c);
}

static void start(struct client *k)
{
	struct err e = { 0 };

	k->job.run = run_job;
	k->job.done = end_job;
	atomic_store(&k->over, false);
	k->step = RUNNING;
	int r = ledger_post(k->control->o.ledger, &k->job);
	if (r) {
		err_set(&e, r, r == ERR_BUSY ? "the node is busy; try again" : "the node is stopping");
		tell_error(k, &e);
	}
}

/* A first answer of sync, or one of its looks. */
static bool still_waits(struct client *k)
{
	json_t *sealed = json_object_get(k->result, "sealed"), *done = json_object_get(k->result, "done");

	if (!k->waits || json_is_true(done))
		return false;
	if (now_ms(k->control) >= k->wait_until) {
		json_object_set_new(k->result, "exit", json_integer(1));
		return false;
	}
	if (k->nwords == 1) {
		char number[24];
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(sealed));
		k->words[1] = "--status";
		k->words[2] = arena_text(&k->arena, slice_of(number));
		k->nwords = k->words[2] ? 3 : 1;
	}
	k->step = PAUSING;
	k->until = now_ms(k->control) + POLL_MS;
	return true;
}

static void job_over(struct client *k)
{
	if (k->fd < 0) {
		forget(k);
	} else if (k->job.err.code) {
		tell_error(k, &k->job.err);
	} else {
		if (!k->result)
			k->result = json_object();
		if (k->nwords == 1 && !strcmp(k->words[0], "sync"))
			poke_uplink(k->control);
		if (still_waits(k))
			return;
		if (json_is_true(json_object_get(k->result, "again"))) {
			start(k);                /* behind the others that wait */
			return;
		}
		tell_result(k);
	}
}

/* ---- the request */

static void take_wait(struct client *k)
{
	uint64_t seconds = 0;

	if (k->nwords < 3 || strcmp(k->words[0], "sync") || strcmp(k->words[1], "--wait") ||
	    text_number(k->words[2], 0, 86400, &seconds))
		return;
	k->waits = true;
	k->wait_until = now_ms(k->control) + (int64_t)seconds * 1000;
	k->nwords = 1;
}

/* 0 = whole, 1 = not yet, else an error. */
static int parse(struct client *k, struct err *err)
{
	struct reader r = reader_of(buf_slice(&k->in));
	uint64_t n = read_varint(&r);

	if (r.bad)
		return k->in.n < 10 ? 1 : err_set(err, ERR_FORMAT, "control: malformed request");
	if (n == 0 || n > CONTROL_WORDS - 3)
		return err_set(err, ERR_FORMAT, "control: %ju words, 1 to %d are possible", (uintmax_t)n, CONTROL_WORDS - 3);
	arena_reset(&k->arena);
	for (uint64_t i = 0; i < n; i++) {
		struct slice word = read_slice(&r);
		if (r.bad)
			return 1;
		k->words[i] = arena_text(&k->arena, word);
		if (!k->words[i] || memchr(word.p, 0, word.n))
			return err_set(err, ERR_FORMAT, "control: a word with a NUL, or out of memory");
	}
	k->nwords = (uint32_t)n;
	return reader_done(&r) ? 0 : err_set(err, ERR_FORMAT, "control: bytes behind the request");
}

#define FILES_MOST 8                     /* that one message is looked through for; one is kept */

/* A piece of the request; the first file that comes with it is kept, others are closed. */
static ssize_t take_piece(struct client *k, uint8_t *piece, size_t size)
{
	_Alignas(struct cmsghdr) char beside[CMSG_SPACE(FILES_MOST * sizeof(int))];
	struct iovec v = { .iov_base = piece, .iov_len = size };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = beside, .msg_controllen = sizeof(beside) };
	ssize_t n = recvmsg(k->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (k->file < 0)
				k->file = fd;
			else
				fd_close(&fd);
		}
	}
	return n;
}

static void hear(struct client *k)
{
	uint8_t piece[4096];
	struct err e = { 0 };
	ssize_t n = take_piece(k, piece, sizeof(piece));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || k->in.n + (size_t)n > CONTROL_REQUEST) {
		forget(k);
		return;
	}
	buf_put(&k->in, piece, (size_t)n);
	int r = parse(k, &e);
	if (r == 1 && !e.code)
		return;
	if (r) {
		tell_error(k, &e);
		return;
	}
	if (k->nwords == 1 && !strcmp(k->words[0], "status")) {
		tell_uplink(k);
		return;
	}
	take_wait(k);
	start(k);
}

static void go_on_telling(struct client *k)
{
	ssize_t n = send(k->fd, k->out.p + k->told, k->out.n - k->told, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		k->told += (size_t)n;
		k->until = now_ms(k->control) + REQUEST_MS;
	}
	if (n < 0 || k->told == k->out.n)
		forget(k);
}

static void greet(struct control *c)
{
	struct ucred who;
	socklen_t n = sizeof(who);
	struct passwd pw, *found = NULL;
	char text[1024];
	int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *k = NULL;

	for (int i = 0; i < CONTROL_CLIENTS && !k; i++)
		if (c->client[i].step == FREE)
			k = &c->client[i];
	if (fd < 0 || !k || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n)) {
		fd_close(&fd);
		return;
	}
	if (getpwuid_r(who.uid, &pw, text, sizeof(text), &found) == 0 && found)
		snprintf(k->actor, sizeof(k->actor), "%s", pw.pw_name);
	else
		snprintf(k->actor, sizeof(k->actor), "uid %u", (unsigned int)who.uid);
	k->fd = fd;
	k->step = ASKING;
	k->until = now_ms(c) + REQUEST_MS;
}

/* ---- the thread */

static void attend(struct client *k, short events, int64_t now)
{
	if (k->step == ASKING && events)
		hear(k);
	else if (k->step == TELLING && events)
		go_on_telling(k);
	else if ((k->step == RUNNING || k->step == PAUSING) && (events & (POLLHUP | POLLERR)))
		fd_close(&k->fd);        /* a job under way is not taken back */
	if (k->step == RUNNING && atomic_load(&k->over))
		job_over(k);
	else if (k->step == PAUSING && k->fd < 0)
		forget(k);
	else if (k->step == PAUSING && now >= k->until)
		start(k);
	else if ((k->step == ASKING || k->step == TELLING) && now >= k->until)
		forget(k);
}

static void *run(void *arg)
{
	struct control *c = arg;
	struct pollfd fds[CONTROL_CLIENTS + 2];
	uint64_t count;

	while (!atomic_load(&c->stop)) {
		fds[0] = (struct pollfd){ .fd = c->wake, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = c->listener, .events = POLLIN };
		bool pausing = false, any = false;
		for (int i = 0; i < CONTROL_CLIENTS; i++) {
			struct client *k = &c->client[i];
			fds[i + 2] = (struct pollfd){ .fd = k->fd, .events = k->step == ASKING ? POLLIN : k->step == TELLING ? POLLOUT : 0 };
			pausing |= k->step == PAUSING;
			any |= k->step != FREE;
		}
		if (poll(fds, ARRAY_SIZE(fds), pausing ? POLL_MS : any ? 1000 : -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents && read(c->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
			break;
		for (int i = 0; i < CONTROL_CLIENTS; i++)
			if (c->client[i].step != FREE)
				attend(&c->client[i], fds[i + 2].revents, now_ms(c));
		if (fds[1].revents)
			greet(c);
	}
	return NULL;
}

static int address_of(const char *path, struct sockaddr_un *ret, struct err *err)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return err_set(err, ERR_CONFIG, "%s: the path of a socket may have %zu bytes at most; use a shorter --home", path,
		               sizeof(ret->sun_path) - 1);
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

static int listen_at(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un at;
	int r = address_of(path, &at, err);

	if (r)
		return r;
	_cleanup_(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path);                    /* the home's lock says that nobody serves it */
	/* The mode of an unbound socket limits the file that bind makes: it is never open to others. */
	if (fd < 0 || fchmod(fd, 0660) || bind(fd, (struct sockaddr *)&at, sizeof(at)) || chmod(path, 0660) || listen(fd, 16))
		return err_set(err, ERR_IO, "%s: cannot listen: %s", path, strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static void free_control(struct control *c)
{
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		forget(&c->client[i]);
	if (c->listener >= 0 && c->path)
		unlink(c->path);
	fd_close(&c->listener);
	fd_close(&c->wake);
	free(c->path);
	free(c);
}

int control_start(const struct control_options *o, struct control **ret, struct err *err)
{
	struct control *c = calloc(1, sizeof(*c));
	sigset_t all, before;

	if (!c)
		return err_set(err, ERR_NOMEM, "control: out of memory");
	c->o = *o;
	pthread_mutex_init(&c->lock, NULL);
	c->listener = -1;
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		c->client[i] = (struct client){ .control = c, .fd = -1, .file = -1 };
	c->path = strdup(o->path);
	c->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int r = !c->path || c->wake < 0 ? err_set(err, ERR_NOMEM, "control: out of memory") : listen_at(o->path, &c->listener, err);
	if (!r) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		if (pthread_create(&c->thread, NULL, run, c))
			r = err_set(err, ERR_NOMEM, "control: cannot start a thread");
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (r)
		free_control(c);
	else
		*ret = c;
	return r;
}

void control_stop(struct control *c)
{
	if (!c)
		return;
	atomic_store(&c->stop, true);
	wake_up(c);
	pthread_join(c->thread, NULL);
	free_control(c);
}

/* ---- terracectl's side */

/* The whole request, and with its first bytes the file. */
static bool send_request(int fd, struct slice request, int file)
{
	_Alignas(struct cmsghdr) char beside[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec v = { .iov_base = (void *)(uintptr_t)request.p, .iov_len = request.n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (file >= 0) {
		m.msg_control = beside;
		m.msg_controllen = sizeof(beside);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &file, sizeof(int));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)request.n;
}

static int talk(int fd, struct slice request, int file, int wait_ms, struct buf *answer, struct err *err)
{
	uint8_t piece[8192];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (!send_request(fd, request, file))
		return err_set(err, ERR_NOT_RUNNING, "the daemon does not take the command: %s", strerror(errno));
	for (;;) {
		int ready = poll(&p, 1, wait_ms);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return err_set(err, ERR_BUSY, "the daemon does not answer in time");
		ssize_t n = recv(fd, piece, sizeof(piece), 0);
		if (n < 0)
			return err_set(err, ERR_NOT_RUNNING, "the daemon broke off: %s", strerror(errno));
		if (n == 0)
			return 0;
		buf_put(answer, piece, (size_t)n);
	}
}

int control_ask_with(const char *path, const char *const *words, uint32_t nwords, int file, int wait_ms, int *ret_exit,
                     json_t **ret, struct err *err)
{
	_cleanup_(buf_release) struct buf request = { 0 }, answer = { 0 };
	_cleanup_(fd_close) int fd = -1;
	struct sockaddr_un at;
	int r = address_of(path, &at, err);

	if (r)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return errno == EACCES ? err_set(err, ERR_REFUSED, "%s: no permission; are you in the daemon's group?", path)
		                       : err_set(err, ERR_NOT_RUNNING, "%s: the daemon is not running", path);
	buf_put_varint(&request, nwords);
	for (uint32_t i = 0; i < nwords; i++)
		buf_put_text(&request, words[i]);
	if (request.failed || request.n > CONTROL_REQUEST)
		return err_set(err, ERR_LIMIT, "the command is longer than %u bytes", CONTROL_REQUEST);
	r = talk(fd, buf_slice(&request), file, wait_ms, &answer, err);
	if (r)
		return r;
	struct reader in = reader_of(buf_slice(&answer));
	uint64_t status = read_varint(&in);
	struct slice text = read_bytes(&in, read_u32(&in));
	json_t *document = reader_done(&in) ? json_loadb((const char *)text.p, text.n, JSON_DECODE_ANY, NULL) : NULL;
	if (!document || status > 255) {
		json_release(&document);
		return err_set(err, ERR_NOT_RUNNING, "the daemon broke off its answer");
	}
	*ret_exit = (int)status;
	*ret = document;
	return 0;
}

int control_ask(const char *path, const char *const *words, uint32_t nwords, int wait_ms, int *ret_exit, json_t **ret,
                struct err *err)
{
	return control_ask_with(path, words, nwords, -1, wait_ms, ret_exit, ret, err);
}
