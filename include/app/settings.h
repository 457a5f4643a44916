/* Settings: terraced.conf (libConfuse) with its defaults, and the identity folder.  terraced.conf(5) describes each
 * key; a key that is not one of them, or a value that makes no sense, is an error with file and line. */
#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include "engine/engine.h"

#define SETTINGS_URLS 8
#define SETTINGS_FILE "terraced.conf"

struct settings {
	char *home;
	uint64_t unit;
	char name[193], line[65];
	char *database;                  /* absolute, or below home */
	char *listen, *console;          /* NULL = absent */
	char *urls[SETTINGS_URLS + 1];   /* NULL-terminated */
	int seal_ms, seal_max_ms;
	uint32_t space_soft_mb, space_hard_mb;
	bool has_upstream;
	char *upstream_urls[SETTINGS_URLS + 1];
	char *proxy;
	uint32_t interval_s, rate_kbps;
	char *window;
	int window_from, window_until;   /* minutes of the day; equal = always */
};

/* Reads HOME/terraced.conf.  ERR_CONFIG with "FILE:LINE: …"; ERR_NOT_FOUND where there is no home. */
int settings_read(const char *home, struct settings *ret, struct err *err);
void settings_release(struct settings *s);
/* The blocks `upstream` of the two change places. */
void settings_swap_upstream(struct settings *a, struct settings *b);
/* The effective configuration, as a terraced.conf; the second, only its block `upstream`. */
void settings_put(const struct settings *s, struct buf *b);
void settings_put_upstream(const struct settings *s, struct buf *b);
/* One string value of a conf file, quoted. */
void settings_quote(struct buf *b, const char *text);

/* Reads HOME/identity: sign.seed (64 hexadecimal digits), tls.key, chain.pem; checks that nobody else may read the
 * keys, that they belong together, and that unit and line are those of s. */
int identity_read(const struct settings *s, struct identity *ret, struct err *err);
/* Stores the chain (checked by the caller) in HOME/identity, whole or not at all, and makes the identity with it. */
int identity_renew(const char *home, const struct identity *before, struct slice chain_pem, struct identity *ret,
                   struct err *err);

#endif
