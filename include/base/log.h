/* Log: one line at the edge, to the journal with fields where the service manager started us, else to standard
 * error.  Lower floors never log.  No personal datum goes into a line. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

struct log_fields {
	const char *unit, *peer, *event, *segment;        /* TERRACE_UNIT= … ; NULL = left out */
};

void log_set_level(enum log_level most);
void log_line(enum log_level level, const struct log_fields *fields, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
