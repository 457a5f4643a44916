/* Clocks and randomness as parameters: the engine never asks the system.  Wall time is recorded and shown; no
 * decision uses it.  Tests and the simulator give their own source. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct source {
	int64_t (*wall_ms)(void *arg);           /* milliseconds since 1970 UTC by the machine's clock */
	int64_t (*steady_ms)(void *arg);         /* monotonic milliseconds */
	void (*random)(void *arg, void *p, size_t n);
	void *arg;
};

struct source source_system(void);               /* CLOCK_REALTIME, CLOCK_MONOTONIC, libsodium */

#define RFC3339_SIZE 32
/* RFC 3339, UTC, seconds: 2026-11-25T04:35:40Z; returns ret. */
char *time_rfc3339(int64_t ms, char ret[RFC3339_SIZE]);
/* The same in local time for tables: 2026-11-25 12:35:40. */
char *time_local(int64_t ms, char ret[RFC3339_SIZE]);

#endif
