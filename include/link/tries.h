/* Tries: at most TRIES_MOST a minute from one address (IPv6: one /64), in a table of fixed size.  Where two addresses
 * share a place both are counted together: that errs on the safe side. */
#ifndef LINK_TRIES_H
#define LINK_TRIES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define TRIES_MOST      5u
#define TRIES_WINDOW_MS 60000
#define TRIES_PLACES    1024u

struct tries {
	uint64_t salt;                   /* random, so that nobody chooses whom to share a place with */
	struct {
		int64_t since;
		uint32_t count;
	} at[TRIES_PLACES];
};

bool tries_allow(struct tries *t, const struct sockaddr *from, int64_t now_ms);

#endif
