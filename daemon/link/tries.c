#include "link/tries.h"

#include <netinet/in.h>
#include <string.h>

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

static uint64_t address_of(const struct sockaddr *from)
{
	uint64_t address = 0;

	if (from && from->sa_family == AF_INET6) {
		struct sockaddr_in6 six;
		memcpy(&six, from, sizeof(six));
		if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
			memcpy(&address, six.sin6_addr.s6_addr + 12, 4);
		else
			memcpy(&address, six.sin6_addr.s6_addr, 8);
	} else if (from && from->sa_family == AF_INET) {
		struct sockaddr_in four;
		memcpy(&four, from, sizeof(four));
		memcpy(&address, &four.sin_addr, 4);
	}
	return address;
}

bool tries_allow(struct tries *t, const struct sockaddr *from, int64_t now_ms)
{
	uint64_t place = mix(address_of(from) ^ t->salt) % TRIES_PLACES;

	if (t->at[place].count == 0 || now_ms - t->at[place].since >= TRIES_WINDOW_MS) {
		t->at[place].since = now_ms;
		t->at[place].count = 0;
	}
	if (t->at[place].count >= TRIES_MOST)
		return false;
	t->at[place].count++;
	return true;
}
