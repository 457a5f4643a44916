#include "app/settings.h"

#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "core/enroll.h"
#include "link/listen.h"

#define CONF_MOST (256u << 10)
#define WINDOW_FORM "\"HH:MM-HH:MM\""

/* libConfuse's callbacks know no context of the caller's. */
static _Thread_local struct err *parse_err;

static __attribute__((format(printf, 2, 0))) void on_error(cfg_t *cfg, const char *format, va_list args)
{
	char text[400];

	vsnprintf(text, sizeof(text), format, args);
	if (parse_err && !parse_err->code)
		err_set(parse_err, ERR_CONFIG, "%s:%d: %s", cfg && cfg->filename ? cfg->filename : SETTINGS_FILE, cfg ? cfg->line : 0,
		        text);
}

/* ---- values, checked while libConfuse knows the line */

static int check_unit(cfg_t *cfg, cfg_opt_t *opt)
{
	struct err e = { 0 };
	uint64_t unit;

	if (!unit_parse(slice_of(cfg_opt_getnstr(opt, 0)), &unit, &e))
		return 0;
	cfg_error(cfg, "%s", e.text);
	return -1;
}

static int check_text(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	size_t most = !strcmp(cfg_opt_name(opt), "line") ? 64 : 192;

	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f) {
			cfg_error(cfg, "%s: control character", cfg_opt_name(opt));
			return -1;
		}
	if (strlen(text) <= most && utf8_valid(slice_of(text)) && (most == 192 || *text))
		return 0;
	cfg_error(cfg, "%s: 1 to %d bytes of UTF-8 are possible", cfg_opt_name(opt), (int)most);
	return -1;
}

static int check_listen(cfg_t *cfg, cfg_opt_t *opt)
{
	struct err e = { 0 };

	if (!listen_check(cfg_opt_getnstr(opt, 0), &e))
		return 0;
	cfg_error(cfg, "%s = %s", cfg_opt_name(opt), e.text);
	if (parse_err && e.code == ERR_NOMEM)
		parse_err->code = ERR_NOMEM;
	return -1;
}

static int check_urls(cfg_t *cfg, cfg_opt_t *opt)
{
	struct err e = { 0 };

	if (cfg_opt_size(opt) > SETTINGS_URLS) {
		cfg_error(cfg, "%s: at most %d addresses are possible", cfg_opt_name(opt), SETTINGS_URLS);
		return -1;
	}
	if (!url_check(cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1), &e))
		return 0;
	cfg_error(cfg, "%s", e.text);
	return -1;
}

static int check_number(cfg_t *cfg, cfg_opt_t *opt)
{
	static const struct {
		const char *name;
		long least, most;
	} limits[] = { { "seal_ms", 1, 60000 }, { "seal_max_ms", 1, 600000 }, { "interval", 0, 7 * 86400 },
		       { "rate_kbps", 0, 100000000 }, { "space_soft_mb", 0, SPACE_MOST_MB }, { "space_hard_mb", 0, SPACE_MOST_MB } };
	long x = cfg_opt_getnint(opt, 0);

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (strcmp(limits[i].name, cfg_opt_name(opt)) || (x >= limits[i].least && x <= limits[i].most))
			continue;
		cfg_error(cfg, "%s = %ld: %ld to %ld is possible", limits[i].name, x, limits[i].least, limits[i].most);
		return -1;
	}
	return 0;
}

static int read_window(const char *text, int *ret_from, int *ret_until)
{
	int a, b, c, d, n = 0;

	*ret_from = *ret_until = 0;
	if (!*text)
		return 0;
	if (strlen(text) != 11 || sscanf(text, "%2d:%2d-%2d:%2d%n", &a, &b, &c, &d, &n) != 4 || n != 11 || a < 0 || a > 24 ||
	    b < 0 || b > 59 || c < 0 || c > 24 || d < 0 || d > 59)
		return -1;
	*ret_from = a * 60 + b;
	*ret_until = c * 60 + d;
	return 0;
}

static int check_window(cfg_t *cfg, cfg_opt_t *opt)
{
	int from, until;

	if (!read_window(cfg_opt_getnstr(opt, 0), &from, &until))
		return 0;
	cfg_error(cfg, "window = \"%s\": not of the form " WINDOW_FORM, cfg_opt_getnstr(opt, 0));
	return -1;
}

static void set_checks(cfg_t *cfg)
{
	static const char *const numbers[] = { "seal_ms", "seal_max_ms", "space_soft_mb", "space_hard_mb", "upstream|interval", "upstream|rate_kbps" };

	cfg_set_error_function(cfg, on_error);
	cfg_set_validate_func(cfg, "unit", check_unit);
	cfg_set_validate_func(cfg, "name", check_text);
	cfg_set_validate_func(cfg, "line", check_text);
	cfg_set_validate_func(cfg, "listen", check_listen);
	cfg_set_validate_func(cfg, "console", check_listen);
	cfg_set_validate_func(cfg, "url", check_urls);
	cfg_set_validate_func(cfg, "upstream|url", check_urls);
	cfg_set_validate_func(cfg, "upstream|window", check_window);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		cfg_set_validate_func(cfg, numbers[i], check_number);
}

/* ---- copying into struct settings */

static int no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, SETTINGS_FILE ": out of memory");
}

static int copy_urls(cfg_t *cfg, char *to[SETTINGS_URLS + 1], struct err *err)
{
	unsigned int n = MIN(cfg_size(cfg, "url"), (unsigned int)SETTINGS_URLS);

	for (unsigned int i = 0; i < n; i++) {
		to[i] = strdup(cfg_getnstr(cfg, "url", i));
		if (!to[i])
			return no_memory(err);
	}
	return 0;
}

static int copy_text(const char *text, char **to, struct err *err)
{
	*to = text && *text ? strdup(text) : NULL;
	return text && *text && !*to ? no_memory(err) : 0;
}

static int copy_upstream(cfg_t *cfg, struct settings *s, const char *path, struct err *err)
{
	int r = copy_urls(cfg, s->upstream_urls, err);

	if (r)
		return r;
	if (!s->upstream_urls[0])
		return err_set(err, ERR_CONFIG, "%s:%d: upstream without a url", path, cfg->line);
	s->has_upstream = true;
	s->interval_s = (uint32_t)cfg_getint(cfg, "interval");
	s->rate_kbps = (uint32_t)cfg_getint(cfg, "rate_kbps");
	read_window(cfg_getstr(cfg, "window"), &s->window_from, &s->window_until);
	s->proxy = strdup(cfg_getstr(cfg, "proxy"));
	s->window = strdup(cfg_getstr(cfg, "window"));
	return s->proxy && s->window ? 0 : no_memory(err);
}

static int copy_all(cfg_t *cfg, struct settings *s, const char *path, struct err *err)
{
	static const char *const needed[] = { "unit", "line" };

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!cfg_getstr(cfg, needed[i]))
			return err_set(err, ERR_CONFIG, "%s: %s is missing", path, needed[i]);
	if (cfg_getint(cfg, "seal_max_ms") < cfg_getint(cfg, "seal_ms"))
		return err_set(err, ERR_CONFIG, "%s: seal_max_ms is less than seal_ms", path);
	if (cfg_getint(cfg, "space_soft_mb") < cfg_getint(cfg, "space_hard_mb"))
		return err_set(err, ERR_CONFIG, "%s: space_soft_mb is less than space_hard_mb", path);
	int r = unit_parse(slice_of(cfg_getstr(cfg, "unit")), &s->unit, err);
	snprintf(s->line, sizeof(s->line), "%s", cfg_getstr(cfg, "line"));
	snprintf(s->name, sizeof(s->name), "%s", cfg_getstr(cfg, "name"));
	s->seal_ms = (int)cfg_getint(cfg, "seal_ms");
	s->seal_max_ms = (int)cfg_getint(cfg, "seal_max_ms");
	s->space_soft_mb = (uint32_t)cfg_getint(cfg, "space_soft_mb");
	s->space_hard_mb = (uint32_t)cfg_getint(cfg, "space_hard_mb");
	s->database = path_join(s->home, cfg_getstr(cfg, "database"));
	if (!r && !s->database)
		r = no_memory(err);
	if (!r)
		r = copy_text(cfg_getstr(cfg, "listen"), &s->listen, err);
	if (!r)
		r = copy_text(cfg_getstr(cfg, "console"), &s->console, err);
	if (!r)
		r = copy_urls(cfg, s->urls, err);
	if (!r && cfg_size(cfg, "upstream"))
		r = copy_upstream(cfg_getsec(cfg, "upstream"), s, path, err);
	return r;
}

/* Two blocks would be merged silently. */
static int check_once(cfg_t *cfg, const char *path, struct err *err)
{
	return cfg_size(cfg, "upstream") > 1 ? err_set(err, ERR_CONFIG, "%s: more than one upstream", path) : 0;
}

/* libConfuse takes the end of the file for the end of every block: half a file must not pass for a whole one. */
static int check_closed(struct slice text, const char *path, struct err *err)
{
	const char *p = text.n ? (const char *)text.p : "", *end = p + text.n;
	int line = 1, opened = 0, depth = 0;

	for (; p < end; p++) {
		char c = *p, next = '\0';
		if (p + 1 < end)
			next = p[1];
		if (c == '\n')
			line++;
		if (c == '#' || (c == '/' && next == '/')) {
			while (p + 1 < end && p[1] != '\n')
				p++;
		} else if (c == '/' && next == '*') {
			for (p += 2; p < end && !(*p == '*' && p + 1 < end && p[1] == '/'); p++)
				line += *p == '\n';
			p++;
		} else if (c == '"' || c == '\'') {
			for (p++; p < end && *p != c; p++) {
				line += *p == '\n';
				if (*p == '\\')
					p++;
			}
		} else if (c == '{' && depth++ == 0) {
			opened = line;
		} else if (c == '}') {
			depth--;
		}
	}
	return depth > 0 ? err_set(err, ERR_CONFIG, "%s:%d: a block is not closed", path, opened) : 0;
}

static int parse(struct slice text, const char *path, struct settings *s, struct err *err)
{
	char no_text[] = "", no_list[] = "{}", database[] = "registers.db";
	cfg_opt_t upstream[] = {
		CFG_STR_LIST("url", no_list, CFGF_NONE), CFG_STR("proxy", no_text, CFGF_NONE), CFG_INT("interval", 0, CFGF_NONE),
		CFG_INT("rate_kbps", 0, CFGF_NONE),      CFG_STR("window", no_text, CFGF_NONE), CFG_END(),
	};
	cfg_opt_t options[] = {
		CFG_STR("unit", NULL, CFGF_NONE),
		CFG_STR("name", no_text, CFGF_NONE),
		CFG_STR("line", NULL, CFGF_NONE),
		CFG_STR("database", database, CFGF_NONE),
		CFG_STR("listen", NULL, CFGF_NONE),
		CFG_STR_LIST("url", no_list, CFGF_NONE),
		CFG_STR("console", NULL, CFGF_NONE),
		CFG_INT("seal_ms", 200, CFGF_NONE),
		CFG_INT("seal_max_ms", 2000, CFGF_NONE),
		CFG_INT("space_soft_mb", SPACE_SOFT_MB, CFGF_NONE),
		CFG_INT("space_hard_mb", SPACE_HARD_MB, CFGF_NONE),
		CFG_SEC("upstream", upstream, CFGF_MULTI),
		CFG_END(),
	};
	struct err first = { 0 };
	cfg_t *cfg = cfg_init(options, CFGF_NONE);
	FILE *f = cfg ? fmemopen(NULL, text.n + 1, "w+") : NULL;
	int r;

	if (!f) {
		cfg_free(cfg);
		return no_memory(err);
	}
	fwrite(text.p, 1, text.n, f);
	rewind(f);
	set_checks(cfg);
	cfg->filename = strdup(path);
	parse_err = &first;
	int parsed = cfg_parse_fp(cfg, f);
	parse_err = NULL;
	if (parsed != CFG_SUCCESS || first.code)
		r = err_set(err, first.code ? first.code : ERR_CONFIG, "%s", first.code ? first.text : "terraced.conf: not readable");
	else
		r = check_once(cfg, path, err);
	if (!r)
		r = copy_all(cfg, s, path, err);
	fclose(f);
	cfg_free(cfg);
	return r;
}

int settings_read(const char *home, struct settings *ret, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_join(home, SETTINGS_FILE);
	_cleanup_(buf_release) struct buf text = { 0 };
	struct settings s = { .home = strdup(home) };

	if (!path || !s.home) {
		settings_release(&s);
		return no_memory(err);
	}
	int r = file_read(path, CONF_MOST, &text, err);
	if (r == ERR_NOT_FOUND)
		r = err_set(err, ERR_NOT_FOUND, "%s: no such file; make the home with terracectl init or join", path);
	if (!r && memchr(text.p ? text.p : (const uint8_t *)"", 0, text.n))
		r = err_set(err, ERR_CONFIG, "%s: holds a NUL", path);
	if (!r)
		r = parse(buf_slice(&text), path, &s, err);
	if (!r)
		r = check_closed(buf_slice(&text), path, err);
	if (r) {
		settings_release(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void settings_release(struct settings *s)
{
	for (int i = 0; i < SETTINGS_URLS; i++) {
		free(s->urls[i]);
		free(s->upstream_urls[i]);
	}
	free(s->home);
	free(s->database);
	free(s->listen);
	free(s->console);
	free(s->proxy);
	free(s->window);
	*s = (struct settings){ 0 };
}

/* ---- writing */

void settings_quote(struct buf *b, const char *text)
{
	buf_put_u8(b, '"');
	for (; *text; text++) {
		if (strchr("\"\\$", *text))
			buf_put_u8(b, '\\');
		buf_put_u8(b, (uint8_t)*text);
	}
	buf_put_u8(b, '"');
}

static void put_text(struct buf *b, const char *key, const char *text)
{
	if (!text)
		return;
	buf_printf(b, "%-11s = ", key);
	settings_quote(b, text);
	buf_put_u8(b, '\n');
}

static void put_urls(struct buf *b, const char *key, char *const *urls)
{
	if (!urls[0])
		return;
	buf_printf(b, "%-11s = {", key);
	for (int i = 0; urls[i]; i++) {
		buf_put(b, i ? ", " : " ", i ? 2 : 1);
		settings_quote(b, urls[i]);
	}
	buf_put(b, " }\n", 3);
}

void settings_put(const struct settings *s, struct buf *b)
{
	char unit[UNIT_TEXT_SIZE];

	put_text(b, "unit", unit_text(s->unit, unit));
	put_text(b, "name", s->name);
	put_text(b, "line", s->line);
	put_text(b, "database", s->database);
	put_text(b, "listen", s->listen);
	put_urls(b, "url", s->urls);
	put_text(b, "console", s->console);
	buf_printf(b, "%-11s = %d\n%-11s = %d\n", "seal_ms", s->seal_ms, "seal_max_ms", s->seal_max_ms);
	buf_printf(b, "%-11s = %u\n%-11s = %u\n", "space_soft_mb", s->space_soft_mb, "space_hard_mb", s->space_hard_mb);
	settings_put_upstream(s, b);
}

void settings_put_upstream(const struct settings *s, struct buf *b)
{
	if (!s->has_upstream)
		return;
	buf_printf(b, "upstream {\n");
	put_urls(b, "  url", s->upstream_urls);
	put_text(b, "  proxy", s->proxy);
	buf_printf(b, "%-11s = %u\n%-11s = %u\n", "  interval", s->interval_s, "  rate_kbps", s->rate_kbps);
	put_text(b, "  window", s->window);
	buf_printf(b, "}\n");
}

void settings_swap_upstream(struct settings *a, struct settings *b)
{
	const struct settings was = *a;

	a->has_upstream = b->has_upstream;
	memcpy(a->upstream_urls, b->upstream_urls, sizeof(a->upstream_urls));
	a->proxy = b->proxy;
	a->interval_s = b->interval_s;
	a->rate_kbps = b->rate_kbps;
	a->window = b->window;
	a->window_from = b->window_from;
	a->window_until = b->window_until;
	b->has_upstream = was.has_upstream;
	memcpy(b->upstream_urls, was.upstream_urls, sizeof(b->upstream_urls));
	b->proxy = was.proxy;
	b->interval_s = was.interval_s;
	b->rate_kbps = was.rate_kbps;
	b->window = was.window;
	b->window_from = was.window_from;
	b->window_until = was.window_until;
}
