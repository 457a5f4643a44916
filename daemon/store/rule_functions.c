/* Rule functions: param(), and date functions that know no clock.
 *
 * A date is a text that begins with YYYY-MM-DD and ends there or goes on with a blank or T; of the rest nothing is
 * read.  What is no date gives NULL. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/limits.h"
#include "store/ddl.h"
#include "store/expression.h"
#include "store/rulebox.h"

/* ---- days: proleptic Gregorian, counted from 1970-01-01 */

struct day {
	int64_t year;
	int month, day;
};

static int64_t days_of(struct day d)
{
	int64_t y = d.month <= 2 ? d.year - 1 : d.year, era = (y >= 0 ? y : y - 399) / 400, in_era = y - era * 400;
	int64_t of_year = (153 * (d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + d.day - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + of_year - 719468;
}

static struct day day_of(int64_t days)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
	int64_t in_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * in_era + in_era / 4 - in_era / 100), m = (5 * of_year + 2) / 153;
	struct day d = {in_era + era * 400, (int)(m < 10 ? m + 3 : m - 9), (int)(of_year - (153 * m + 2) / 5 + 1)};

	d.year += d.month <= 2;
	return d;
}

/* 0 = a date, 1 = NULL or none, −1 = it asks the clock: the statement has its error. */
static int date_of(sqlite3_context *c, sqlite3_value *v, char ret[11])
{
	const char *text;

	if (sqlite3_value_type(v) != SQLITE_TEXT)
		return 1;
	text = (const char *)sqlite3_value_text(v);
	if (text == NULL)
		return 1;
	if (strcasecmp(text, "now") == 0) {
		sqlite3_result_error(c, "'now' asks the clock", -1);
		return -1;
	}
	if (strlen(text) < 10 || (text[10] != '\0' && text[10] != ' ' && text[10] != 'T'))
		return 1;
	memcpy(ret, text, 10);
	ret[10] = '\0';
	return policy_date_good(ret) ? 0 : 1;
}

static struct day day_from(const char *date)
{
	return (struct day){(date[0] - '0') * 1000 + (date[1] - '0') * 100 + (date[2] - '0') * 10 + date[3] - '0',
	                    (date[5] - '0') * 10 + date[6] - '0', (date[8] - '0') * 10 + date[9] - '0'};
}

/* "+3 months": a sign may be left out; the day is kept, and runs over where the month is shorter, as in SQLite. */
static bool modified(struct day *d, const char *text)
{
	char unit[16], end;
	int n, fields;

	if (strcasecmp(text, "start of month") == 0 || strcasecmp(text, "start of year") == 0) {
		d->day = 1;
		d->month = strcasecmp(text, "start of year") == 0 ? 1 : d->month;
		return true;
	}
	fields = sscanf(text, "%7d %15[a-zA-Z]%c", &n, unit, &end);
	if (fields != 2)
		return false;
	if (strcasecmp(unit, "day") == 0 || strcasecmp(unit, "days") == 0) {
		*d = day_of(days_of(*d) + n);
		return true;
	}
	if (strcasecmp(unit, "year") == 0 || strcasecmp(unit, "years") == 0)
		n = n > 9999 || n < -9999 ? 120000 : n * 12;
	else if (strcasecmp(unit, "month") != 0 && strcasecmp(unit, "months") != 0)
		return false;
	n += d->month - 1;
	d->year += n >= 0 ? n / 12 : -((11 - n) / 12);
	d->month = n - 12 * (n >= 0 ? n / 12 : -((11 - n) / 12)) + 1;
	*d = day_of(days_of(*d));
	return true;
}

static void date_function(sqlite3_context *c, int n, sqlite3_value **v)
{
	char date[11], text[32];
	struct day d;

	if (n < 1) {
		sqlite3_result_error(c, "date() without a date asks the clock", -1);
		return;
	}
	if (date_of(c, v[0], date) != 0)
		return;
	d = day_from(date);
	for (int i = 1; i < n; i++) {
		const char *m = (const char *)sqlite3_value_text(v[i]);

		if (m != NULL && (strcasecmp(m, "localtime") == 0 || strcasecmp(m, "utc") == 0)) {
			sqlite3_result_error(c, "'localtime' and 'utc' ask the machine", -1);
			return;
		}
		if (m == NULL || !modified(&d, m))
			return;
	}
	if (d.year < 1900 || d.year > 9999)
		return;
	snprintf(text, sizeof text, "%04d-%02d-%02d", (int)d.year, d.month, d.day);
	sqlite3_result_text(c, text, -1, SQLITE_TRANSIENT);
}

static void julianday_function(sqlite3_context *c, int n, sqlite3_value **v)
{
	char date[11];

	(void)n;
	if (date_of(c, v[0], date) == 0)
		sqlite3_result_double(c, (double)days_of(day_from(date)) + 2440587.5);
}

/* ---- param */

/* A plain decimal number (no blank, no leading zeros, at most 15 digits) is a number; anything else is text. */
static bool number_of(const char *text, double *ret, bool *ret_whole)
{
	const char *s = text + (*text == '-');
	size_t whole = strspn(s, "0123456789"), part = 0;
	char end;

	if (whole == 0 || (s[0] == '0' && whole > 1))
		return false;
	if (s[whole] == '.') {
		part = strspn(s + whole + 1, "0123456789");
		if (part == 0)
			return false;
		part++;
	}
	*ret_whole = part == 0;
	return s[whole + part] == '\0' && whole + part <= 16 && sscanf(text, "%lf%c", ret, &end) == 1;
}

/* Each value once; what has no room is said to be there. */
static void note(struct rule_reading *r, const struct policy_parameter *q, const struct policy_parameter_value *v)
{
	char line[200];
	size_t n = strlen(r->used);
	int size = snprintf(line, sizeof line, "%s = %s%s%s (%s)", q->name, v->value, q->unit != NULL ? " " : "",
	                    q->unit != NULL ? q->unit : "", v->from);

	if (size < 0 || (size_t)size >= sizeof line)
		size = snprintf(line, sizeof line, "%s (%s)", q->name, v->from);
	if (strstr(r->used, line) != NULL)
		return;
	if (n + (size_t)size + 8 >= sizeof r->used)
		snprintf(line, sizeof line, "...");
	if (n + 8 < sizeof r->used)
		snprintf(r->used + n, sizeof r->used - n, "%s%s", n > 0 ? "; " : "", line);
}

static void param_function(sqlite3_context *c, int n, sqlite3_value **v)
{
	struct rule_reading *r = sqlite3_user_data(c);
	const char *name = (const char *)sqlite3_value_text(v[0]);
	const struct policy_parameter *q = name == NULL ? NULL : policy_parameter(r->policy, slice_of(name));
	const struct policy_parameter_value *best = NULL;
	char date[11];
	double number;
	bool whole;

	(void)n;
	if (q == NULL || date_of(c, v[1], date) != 0)
		return;
	for (uint32_t i = 0; i < q->nvalues && strcmp(q->values[i].from, date) <= 0; i++)
		best = &q->values[i];
	if (best == NULL)
		return;
	note(r, q, best);
	if (!number_of(best->value, &number, &whole))
		sqlite3_result_text(c, best->value, -1, SQLITE_TRANSIENT);
	else if (whole)
		sqlite3_result_int64(c, (sqlite3_int64)number);
	else
		sqlite3_result_double(c, number);
}

bool rule_function_allowed(const char *name)
{
	return ddl_function_allowed(name) || strcasecmp(name, "param") == 0 || strcasecmp(name, "date") == 0 ||
	       strcasecmp(name, "julianday") == 0;
}

int rule_functions(sqlite3 *sql, struct rule_reading *reading)
{
	int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC, rc;

	/* param() is not called deterministic: each evaluation writes down what it read. */
	rc = sqlite3_create_function_v2(sql, "param", 2, SQLITE_UTF8, reading, param_function, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function_v2(sql, "date", -1, flags, NULL, date_function, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function_v2(sql, "julianday", 1, flags, NULL, julianday_function, NULL, NULL, NULL);
	return rc;
}
