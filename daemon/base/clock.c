#include "base/clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/rand.h"

static int64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t system_wall(void *arg)
{
	(void)arg;
	return read_clock(CLOCK_REALTIME);
}

static int64_t system_steady(void *arg)
{
	(void)arg;
	return read_clock(CLOCK_MONOTONIC);
}

static void system_random(void *arg, void *p, size_t n)
{
	(void)arg;
	rand_bytes(p, n);
}

struct source source_system(void)
{
	rand_start();
	return (struct source){ system_wall, system_steady, system_random, NULL };
}

static bool split_time(int64_t ms, bool local, struct tm *ret)
{
	time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));

	return local ? localtime_r(&seconds, ret) != NULL : gmtime_r(&seconds, ret) != NULL;
}

/* A number that is no time of any calendar shows as "?". */
char *time_rfc3339(int64_t ms, char ret[RFC3339_SIZE])
{
	struct tm tm;

	if (!split_time(ms, false, &tm) || strftime(ret, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		memcpy(ret, "?", 2);
	return ret;
}

char *time_local(int64_t ms, char ret[RFC3339_SIZE])
{
	struct tm tm;

	if (!split_time(ms, true, &tm) || strftime(ret, RFC3339_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		memcpy(ret, "?", 2);
	return ret;
}
