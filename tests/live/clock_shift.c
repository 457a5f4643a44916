/* Preloaded into a program: the wall clock is CLOCK_SHIFT seconds ahead, and jumps every second to another place at most
 * CLOCK_JUMP seconds from there; the steady clock is left alone. */
#include <dlfcn.h>
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

int clock_gettime(clockid_t id, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	struct timespec steady = { 0 };
	int r = real(id, ret);
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
