#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/text.h"

#define LINE_MOST 2048u

static _Atomic int most_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level most)
{
	most_level = (int)most;
}

static const char *level_text(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_NOTICE:
		return "notice";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		return "debug";
	}
	return "?";
}

/* The service manager names the device and inode of the stream it gave us; an inherited name with another
 * standard error behind it does not count (sd_journal documentation, $JOURNAL_STREAM). */
static bool journal_wanted(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char mine[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(mine, sizeof(mine), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, mine) == 0;
}

/* What a peer sent must not begin a line of its own. */
static void flatten(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

struct field {
	const char *name, *value;
};

static bool send_journal(const struct field *fields, size_t n)
{
	struct iovec iov[6];
	char *texts[ARRAY_SIZE(iov)];
	int count = 0;

	for (size_t i = 0; i < n && count < (int)ARRAY_SIZE(iov); i++) {
		char *text = fields[i].value ? text_printf("%s=%s", fields[i].name, fields[i].value) : NULL;
		if (!text)
			continue;
		texts[count] = text;
		iov[count++] = (struct iovec){ text, strlen(text) };
	}
	bool sent = count > 0 && sd_journal_sendv(iov, count) == 0;
	for (int i = 0; i < count; i++)
		free(texts[i]);
	return sent;
}

/* One write a line, so that the lines of several threads and processes stay whole. */
static void write_line(enum log_level level, const char *text)
{
	char time[RFC3339_SIZE], line[LINE_MOST + 64];
	int n = snprintf(line, sizeof(line), "%s %s %s\n", time_rfc3339(source_system().wall_ms(NULL), time),
	                 level_text(level), text);

	if (n > 0 && write(STDERR_FILENO, line, MIN((size_t)n, sizeof(line) - 1)) < 0)
		return;                  /* nobody is left to be told */
}

void log_line(enum log_level level, const struct log_fields *fields, const char *format, ...)
{
	static const struct log_fields none;
	char text[LINE_MOST], priority[] = { (char)('0' + (int)level), '\0' };
	va_list args;

	if ((int)level > most_level)
		return;
	if (!fields)
		fields = &none;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	flatten(text);
	const struct field all[] = {
		{ "MESSAGE", text },
		{ "PRIORITY", priority },
		{ "TERRACE_UNIT", fields->unit },
		{ "TERRACE_PEER", fields->peer },
		{ "TERRACE_EVENT", fields->event },
		{ "TERRACE_SEGMENT", fields->segment },
	};
	if (!journal_wanted() || !send_journal(all, ARRAY_SIZE(all)))
		write_line(level, text);
}
