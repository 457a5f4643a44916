/* Preloaded into a program: the wall clock is CLOCK_SHIFT seconds ahead, and jumps every second to another place at most
 * CLOCK_JUMP seconds from there; the steady clock is left alone.  With CLOCK_SPEED=n the steady clock runs n times as fast and
 * poll() waits an n-th of its time, so that a minute of a program's deadlines and pauses passes in 60/n seconds. */
#include <dlfcn.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t number(const char *name)
{
	const char *text = getenv(name);

	return text ? (time_t)strtoll(text, NULL, 10) : 0;
}

static time_t shift(time_t steady)
{
	time_t jump = number("CLOCK_JUMP");
	time_t part = (time_t)((unsigned long long)steady * 2654435761u % 2001u) - 1000;    /* -1000 .. 1000 */

	return number("CLOCK_SHIFT") + jump / 1000 * part;
}

/* From the program's first look on. */
static void hurry(struct timespec *t)
{
	static _Atomic long long first;
	long long speed = number("CLOCK_SPEED"), now = t->tv_sec * 1000000000LL + t->tv_nsec, none = 0;

	if (speed <= 1)
		return;
	__atomic_compare_exchange_n(&first, &none, now, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	now = first + (now - first) * speed;
	*t = (struct timespec){ now / 1000000000, now % 1000000000 };
}

static int shorter(int ms)
{
	time_t speed = number("CLOCK_SPEED");

	return ms <= 0 || speed <= 1 ? ms : (int)((ms + speed - 1) / speed);
}

int poll(struct pollfd *fds, nfds_t n, int ms)
{
	static int (*real)(struct pollfd *, nfds_t, int);

	if (!real)
		real = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
	return real(fds, n, shorter(ms));
}

int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t size)
{
	(void)size;
	return poll(fds, n, ms);
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	struct timespec steady = { 0 };
	int r = real(id, ret);
	if (r == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_RAW || id == CLOCK_MONOTONIC_COARSE))
		hurry(ret);
	if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) && real(CLOCK_MONOTONIC, &steady) == 0)
		ret->tv_sec += shift(steady.tv_sec);
	return r;
}

time_t time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *ret, void *zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
	return 0;
}
