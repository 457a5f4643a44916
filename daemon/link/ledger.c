#include "link/ledger.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

#define WATCHES 4u
#define IDLE_MOST_MS 1000                /* the thread looks up at least this often, for the watchdog */
#define BUSY_MOST_US  100000             /* after so much work without a pause the file is left alone for a while */
#define PAUSE_MS      100
#define HINT_LEAST_MS 10                 /* a busy application's events are taken together */

struct watch {
	void (*fn)(struct engine *e, void *arg);
	void *arg;
};

struct ledger {
	struct engine *engine;
	pthread_t thread;
	pthread_mutex_t lock;            /* guards what follows down to stopping */
	struct queue queue;
	struct watch watch[WATCHES];
	uint32_t nwatches;
	bool stopping;
	int wake, notify;                /* eventfd; inotify or -1 */
	char *name;                      /* of the database in its folder: its journal files begin with it */
	_Atomic int64_t alive;
};

static int64_t now_ms(void)
{
	return source_system().steady_ms(NULL);
}

static void wake_up(struct ledger *l)
{
	uint64_t one = 1;

	while (write(l->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static struct job *take_job(struct ledger *l, bool *ret_stopping)
{
	pthread_mutex_lock(&l->lock);
	struct job *job = queue_take(&l->queue);
	*ret_stopping = l->stopping;
	pthread_mutex_unlock(&l->lock);
	return job;
}

static void call_watches(struct ledger *l)
{
	struct watch copy[WATCHES];

	pthread_mutex_lock(&l->lock);
	uint32_t n = l->nwatches;
	memcpy(copy, l->watch, sizeof(copy));
	pthread_mutex_unlock(&l->lock);
	for (uint32_t i = 0; i < n; i++)
		copy[i].fn(l->engine, copy[i].arg);
}

/* Whether an event speaks of the database or its journals; all events are read. */
static bool read_events(struct ledger *l)
{
	_Alignas(struct inotify_event) char events[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	bool hint = false;

	for (;;) {
		ssize_t n = read(l->notify, events, sizeof(events));
		if (n <= 0)
			return hint;
		for (char *p = events; p < events + n;) {
			struct inotify_event event;
			memcpy(&event, p, sizeof(event));
			const char *name = p + sizeof(event);
			if ((event.mask & IN_Q_OVERFLOW) || (event.len && !strncmp(name, l->name, strlen(l->name))))
				hint = true;
			p += sizeof(event) + event.len;
		}
	}
}

/* Waits for a job, an event or the time of the next tick; returns whether the file changed. */
static bool wait_for_work(struct ledger *l, int64_t due, int64_t hint_after)
{
	int64_t now = now_ms(), until = MIN(due, now + IDLE_MOST_MS);
	struct pollfd fds[] = { { .fd = l->wake, .events = POLLIN }, { .fd = l->notify, .events = POLLIN } };
	bool listen = now >= hint_after;
	uint64_t count;

	if (!listen) {
		until = MIN(until, hint_after);
		fds[1].fd = -1;
	}
	if (poll(fds, 2, (int)MAX(until - now, 0)) <= 0)
		return false;
	if (fds[0].revents && read(l->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return false;
	return fds[1].revents && read_events(l);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* How long the file is left alone after so much work: who waits for SQLite's write lock since it began asks that often. */
static int64_t pause_ms(int64_t busy_us)
{
	return busy_us < 125000 ? 30 : busy_us < 225000 ? 55 : PAUSE_MS;
}

/* What work since the last pause took; the application's own commits come in between. */
static void let_others(int64_t began_us, int64_t *busy_us, int64_t *free_us)
{
	int64_t now = now_us();

	if (began_us - *free_us >= PAUSE_MS * 1000)
		*busy_us = 0;            /* nothing was done for so long */
	*busy_us += now - began_us;
	if (*busy_us >= BUSY_MOST_US) {
		const struct timespec pause = { .tv_nsec = pause_ms(*busy_us) * 1000000L };
		nanosleep(&pause, NULL);
		*busy_us = 0;
	}
	*free_us = now_us();
}

static void run_job(struct ledger *l, struct job *job, bool stopping)
{
	uint64_t from = job->from;
	int64_t began = now_us();

	if (stopping)
		err_set(&job->err, ERR_STOPPING, "the node is stopping");
	else
		job->err.code = job->run(l->engine, job, &job->err);
	if (job->err.code == ERR_DAMAGED)
		engine_say_damage(l->engine, &job->err);
	job->done(job);
	pthread_mutex_lock(&l->lock);
	queue_charge(&l->queue, from, now_us() - began);
	pthread_mutex_unlock(&l->lock);
}

static void *run(void *arg)
{
	struct ledger *l = arg;
	int64_t due = now_ms(), hint_after = 0, busy = 0, since = now_us();
	bool hint = false, stopping = false;

	for (;;) {
		atomic_store(&l->alive, now_ms());
		struct job *job = take_job(l, &stopping);
		int64_t began = now_us();
		if (job) {
			run_job(l, job, stopping);
			if (!stopping) {
				call_watches(l);
				let_others(began, &busy, &since);
			}
			if (stopping || now_ms() < due)
				continue;        /* a full queue must not keep the tick from its time */
		}
		if (stopping)
			break;
		if (hint || now_ms() >= due) {
			int64_t pause = engine_tick(l->engine, hint);
			due = now_ms() + MAX(pause, 1);
			if (hint)
				hint_after = now_ms() + HINT_LEAST_MS;
			hint = false;
			call_watches(l);
			let_others(began, &busy, &since);
			continue;
		}
		hint = wait_for_work(l, due, hint_after);
	}
	return NULL;
}

/* A missing watch is no error: the engine looks at the file from time to time all the same. */
static int watch_folder(const char *database, char **ret_name)
{
	const char *slash = strrchr(database, '/');
	_cleanup_(free_pointer) char *folder = slash ? strndup(database, MAX((size_t)(slash - database), 1u)) : strdup(".");
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	*ret_name = strdup(slash ? slash + 1 : database);
	if (fd >= 0 && (!folder || inotify_add_watch(fd, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0))
		fd_close(&fd);
	return fd;
}

int ledger_start(struct engine *e, const char *database, struct ledger **ret, struct err *err)
{
	struct ledger *l = calloc(1, sizeof(*l));
	sigset_t all, before;

	if (!l)
		return err_set(err, ERR_NOMEM, "ledger: out of memory");
	l->engine = e;
	l->notify = watch_folder(database, &l->name);
	l->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->alive = now_ms();
	pthread_mutex_init(&l->lock, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = !l->name || l->wake < 0 ? ENOMEM : pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		ledger_release(l);
		return err_set(err, ERR_NOMEM, "ledger: cannot start: %s", strerror(failed));
	}
	*ret = l;
	return 0;
}

void ledger_stop(struct ledger *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	bool before = l->stopping;
	l->stopping = true;
	pthread_mutex_unlock(&l->lock);
	if (before)
		return;
	engine_stop(l->engine);
	wake_up(l);
	pthread_join(l->thread, NULL);
}

void ledger_release(struct ledger *l)
{
	if (!l)
		return;
	fd_close(&l->wake);
	fd_close(&l->notify);
	pthread_mutex_destroy(&l->lock);
	free(l->name);
	free(l);
}

int ledger_post(struct ledger *l, struct job *job)
{
	job->err = (struct err){ 0 };
	pthread_mutex_lock(&l->lock);
	int r = l->stopping ? ERR_STOPPING : queue_put(&l->queue, job);
	pthread_mutex_unlock(&l->lock);
	if (!r)
		wake_up(l);
	return r;
}

/* Takes a job back that has not begun. */
static bool withdraw(struct ledger *l, struct job *job)
{
	pthread_mutex_lock(&l->lock);
	bool found = queue_remove(&l->queue, job);
	pthread_mutex_unlock(&l->lock);
	return found;
}

struct call {
	struct job job;                  /* first: a job is cast back to its call */
	int (*fn)(struct engine *e, void *arg, struct err *err);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool over;
};

static int run_call(struct engine *e, struct job *job, struct err *err)
{
	struct call *c = (struct call *)job;

	return c->fn(e, c->arg, err);
}

static void end_call(struct job *job)
{
	struct call *c = (struct call *)job;

	pthread_mutex_lock(&c->lock);
	c->over = true;
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

int ledger_call(struct ledger *l, int (*fn)(struct engine *e, void *arg, struct err *err), void *arg,
                int deadline_ms, struct err *err)
{
	struct call c = { .job = { .run = run_call, .done = end_call }, .fn = fn, .arg = arg };
	struct timespec until;
	pthread_condattr_t attr;
	bool late = false;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += deadline_ms / 1000 + (until.tv_nsec + deadline_ms % 1000 * 1000000L) / 1000000000L;
	until.tv_nsec = (until.tv_nsec + deadline_ms % 1000 * 1000000L) % 1000000000L;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c.cond, &attr);
	pthread_mutex_init(&c.lock, NULL);
	int r = ledger_post(l, &c.job);
	if (!r) {
		pthread_mutex_lock(&c.lock);
		while (!c.over && !late)
			late = pthread_cond_timedwait(&c.cond, &c.lock, &until) == ETIMEDOUT;
		if (!c.over) {
			pthread_mutex_unlock(&c.lock);
			r = withdraw(l, &c.job) ? ERR_BUSY : 0;
			pthread_mutex_lock(&c.lock);
		}
		while (!c.over && !r)            /* begun: it ends, and its end is waited for */
			pthread_cond_wait(&c.cond, &c.lock);
		pthread_mutex_unlock(&c.lock);
	}
	pthread_mutex_destroy(&c.lock);
	pthread_cond_destroy(&c.cond);
	pthread_condattr_destroy(&attr);
	if (r)
		return err_set(err, r, r == ERR_BUSY ? "the node is busy; try again" : "the node is stopping");
	if (err && c.job.err.code)
		*err = c.job.err;
	return c.job.err.code;
}

void ledger_watch(struct ledger *l, void (*fn)(struct engine *e, void *arg), void *arg)
{
	pthread_mutex_lock(&l->lock);
	if (l->nwatches < WATCHES)
		l->watch[l->nwatches++] = (struct watch){ fn, arg };
	pthread_mutex_unlock(&l->lock);
	wake_up(l);
}

static int nothing(struct engine *e, void *arg, struct err *err)
{
	(void)e;
	(void)arg;
	(void)err;
	return 0;
}

void ledger_unwatch(struct ledger *l, void (*fn)(struct engine *e, void *arg), void *arg)
{
	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->nwatches; i++)
		if (l->watch[i].fn == fn && l->watch[i].arg == arg) {
			memmove(&l->watch[i], &l->watch[i + 1], (--l->nwatches - i) * sizeof(l->watch[0]));
			break;
		}
	pthread_mutex_unlock(&l->lock);
	/* A round of watches that had begun is over when a job has run; a ledger that stops has none left. */
	while (ledger_call(l, nothing, NULL, 1000, NULL) == ERR_BUSY)
		;
}

int64_t ledger_alive(struct ledger *l)
{
	return atomic_load(&l->alive);
}
