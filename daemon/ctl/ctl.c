/* What the commands share: options, asking the daemon, saying. */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "ctl/view.h"
#include "link/control.h"

#define SOCKET       "control.sock"
#define SERVICE_HOME "/var/lib/terrace/"

/* ---- options */

static int put_value(const struct ctl_option *o, const char *value, struct err *err)
{
	uint32_t n = 0;

	if (!value)
		return err_set(err, ERR_USAGE, "--%s: its value is missing", o->name);
	while (n < CTL_SEVERAL && o->value[n])
		n++;
	if (n && (!o->several || n == CTL_SEVERAL))
		return err_set(err, ERR_USAGE, "--%s: stands too often", o->name);
	o->value[n] = value;
	return 0;
}

static const struct ctl_option *option_of(const char *word, const struct ctl_option *options, uint32_t n,
                                          const char **ret_value)
{
	for (uint32_t i = 0; i < n; i++) {
		size_t length = strlen(options[i].name);
		if (strncmp(word + 2, options[i].name, length) || (word[2 + length] && word[2 + length] != '='))
			continue;
		*ret_value = word[2 + length] ? word + 3 + length : NULL;
		return &options[i];
	}
	return NULL;
}

int ctl_options(struct ctl *c, const struct ctl_option *options, uint32_t n, uint32_t least, uint32_t most,
                struct err *err)
{
	uint32_t kept = 0;
	bool only_words = false;

	for (uint32_t i = 0; i < c->argc; i++) {
		const char *word = c->argv[i], *value = NULL;
		if (only_words || word[0] != '-' || !word[1]) {
			c->argv[kept++] = word;
			continue;
		}
		if (!strcmp(word, "--")) {
			only_words = true;
			continue;
		}
		const struct ctl_option *o = word[1] == '-' ? option_of(word, options, n, &value) : NULL;
		if (!o || (o->flag && value))
			return err_set(err, ERR_USAGE, "%s: no such option", word);
		if (o->flag)
			*o->flag = true;
		else if (put_value(o, value || i + 1 == c->argc ? value : c->argv[++i], err))
			return ERR_USAGE;
	}
	c->argc = kept;
	c->argv[kept] = NULL;
	if (kept < least)
		return err_set(err, ERR_USAGE, "words are missing");
	return kept > most ? err_set(err, ERR_USAGE, "%s: one word too many", c->argv[most]) : 0;
}

/* ---- the daemon */

int ctl_call_with(struct ctl *c, const char *const *words, uint32_t nwords, int file, int wait_ms, json_t **ret, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_join(c->home, SOCKET);
	_cleanup_(json_release) json_t *answer = NULL;
	int status = 0;

	if (!path)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (!file_exists(c->home))
		return err_set(err, ERR_NOT_FOUND, "%s: there is no home; make it with terracectl init or join", c->home);
	int r = control_ask_with(path, words, nwords, file, wait_ms, &status, &answer, err);
	if (r)
		return r;
	if (status > 1) {
		const char *code = json_string_value(json_object_get(answer, "code"));
		const char *message = json_string_value(json_object_get(answer, "message"));
		return err_set(err, code ? err_from_name(code) : ERR_REFUSED, "%s", message ? message : "the daemon refuses without a word");
	}
	c->status = MAX(c->status, status);
	*ret = TAKE(answer);
	return 0;
}

int ctl_call_for(struct ctl *c, const char *const *words, uint32_t nwords, int wait_ms, json_t **ret, struct err *err)
{
	return ctl_call_with(c, words, nwords, -1, wait_ms, ret, err);
}

int ctl_call(struct ctl *c, const char *const *words, uint32_t nwords, json_t **ret, struct err *err)
{
	return ctl_call_for(c, words, nwords, CTL_WAIT_MS, ret, err);
}

/* ---- saying */

#define WIDTH 80                         /* where there is no terminal: a pager, a file, a letter */

/* COLUMNS counts where it is a number: a script asks for wider lines with it. */
static size_t terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize w;
	uint64_t n;

	if (columns && !text_number(columns, 20, 10000, &n))
		return (size_t)n;
	return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20 ? w.ws_col : WIDTH;
}

/* A table of what a person wants to see; where that is less than all, where the rest is. */
static int print_view(struct ctl *c, const json_t *document, struct buf *b, struct err *err)
{
	bool cut = false;
	_cleanup_(json_release) json_t *view = view_of(c, document, &cut);

	if (!view)
		return err_set(err, ERR_NOMEM, "out of memory");
	table_put(b, view, terminal_width(), c->chinese);
	if (!cut)
		return 0;
	if (c->nwords && (!strcmp(c->words[0], "why") || !strcmp(c->words[0], "quarantine") || !strcmp(c->words[0], "log")))
		buf_printf(b, "%s\n", ctl_words(c, "(… is cut; --json has the whole)", "（… 处有省略；--json 输出全文）"));
	else
		buf_printf(b, "%s%s%s\n", ctl_words(c, "(… is cut; terracectl ", "（… 处有省略；terracectl "), c->nwords ? c->words[0] : "",
		           ctl_words(c, " show ID has the whole)", " show 编号 显示全文）"));
	return 0;
}

int ctl_write(const struct buf *b, struct err *err)
{
	if (b->failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (fwrite(b->p, 1, b->n, stdout) == b->n && !fflush(stdout))
		return 0;
	if (errno == EPIPE)
		exit(0);
	return err_set(err, ERR_IO, "standard output: cannot be written");
}

int ctl_print(struct ctl *c, const json_t *document, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	int r = c->json ? 0 : print_view(c, document, &b, err);

	if (r)
		return r;
	if (c->json && !json_put(&b, document))
		buf_put_u8(&b, '\n');
	return ctl_write(&b, err);
}

const char *ctl_words(const struct ctl *c, const char *english, const char *chinese)
{
	return c->chinese ? chinese : english;
}

static void __attribute__((format(printf, 3, 0))) say(const struct ctl *c, FILE *to, const char *format, va_list args)
{
	if (c->json)
		return;
	vfprintf(to, format, args);
	fputc('\n', to);
}

/* Both texts take the same arguments in the same order. */
void ctl_say(const struct ctl *c, const char *english, const char *chinese, ...)
{
	va_list args;

	va_start(args, chinese);
	say(c, stdout, c->chinese ? chinese : english, args);
	va_end(args);
}

void ctl_note(const struct ctl *c, const char *english, const char *chinese, ...)
{
	va_list args;

	va_start(args, chinese);
	say(c, stderr, c->chinese ? chinese : english, args);
	va_end(args);
}

char *ctl_name(const struct ctl *c)
{
	return strcmp(c->home, CTL_HOME) ? text_printf("terracectl --home %s", c->home) : strdup("terracectl");
}

char *ctl_start(const struct ctl *c)
{
	size_t n = strlen(SERVICE_HOME);

	if (!strncmp(c->home, SERVICE_HOME, n) && c->home[n] && !strchr(c->home + n, '/') && file_exists("/run/systemd/system"))
		return text_printf("systemctl enable --now terraced@%s", c->home + n);
	return text_printf("terraced --home %s", c->home);
}
