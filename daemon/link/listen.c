#include "link/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/text.h"

static int port_of(const struct sockaddr_storage *at)
{
	struct sockaddr_in6 six;
	struct sockaddr_in four;

	memcpy(&six, at, sizeof(six));
	memcpy(&four, at, sizeof(four));
	return ntohs(at->ss_family == AF_INET6 ? six.sin6_port : four.sin_port);
}

/* The part before the last colon, without brackets; "" and "*" mean every address. */
static char *host_of(const char *where, size_t n)
{
	if (n > 2 && where[0] == '[' && where[n - 1] == ']')
		return strndup(where + 1, n - 2);
	return strndup(where, n == 1 && *where == '*' ? 0 : n);
}

int listen_check(const char *where, struct err *err)
{
	const char *colon = strrchr(where, ':');
	_cleanup_(free_pointer) char *host = colon ? host_of(where, (size_t)(colon - where)) : NULL;
	struct in6_addr address;
	uint64_t port;

	if (colon && !host)
		return err_set(err, ERR_NOMEM, "\"%s\": memory is short", where);
	if (!host || text_number(colon + 1, 0, 65535, &port))
		return err_set(err, ERR_CONFIG, "\"%s\": not ADDRESS:PORT", where);
	if (*host && inet_pton(AF_INET, host, &address) != 1 && inet_pton(AF_INET6, host, &address) != 1)
		return err_set(err, ERR_CONFIG, "\"%s\": not a numeric address", where);
	return 0;
}

int listen_on(const char *where, int *ret_fd, int *ret_port, struct err *err)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	struct sockaddr_storage bound = { 0 };
	socklen_t n = sizeof(bound);
	int one = 1, r = listen_check(where, err);

	if (r)
		return r;
	const char *colon = strrchr(where, ':');
	_cleanup_(free_pointer) char *host = host_of(where, (size_t)(colon - where));
	if (!host || getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found))
		return err_set(err, ERR_CONFIG, "\"%s\": not a numeric address", where);
	_cleanup_(fd_close) int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool ok = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) &&
	          !bind(fd, found->ai_addr, found->ai_addrlen) && !listen(fd, 128) &&
	          !getsockname(fd, (struct sockaddr *)&bound, &n);
	int cause = errno;
	freeaddrinfo(found);
	if (!ok)
		return err_set(err, cause == EADDRINUSE ? ERR_BUSY : ERR_IO, "cannot listen on %s: %s", where, strerror(cause));
	*ret_port = port_of(&bound);
	*ret_fd = fd;
	fd = -1;
	return 0;
}
