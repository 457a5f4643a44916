/* Forms: calendar, digits, citizen numbers, decimals.  The calendar is the Gregorian one carried back to year 0;
 * no leap seconds, no zones: a time stamp is only a way to count. */
#include "core/forms.h"

#include <math.h>
#include <string.h>

#define DAY INT64_C(86400)
#define EXACT_MOST 9007199254740992.0    /* 2^53 */

static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };

bool digits_read(const uint8_t *p, size_t width, int64_t *ret)
{
	int64_t x = 0;

	for (size_t i = 0; i < width; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		x = x * 10 + (p[i] - '0');
	}
	*ret = x;
	return true;
}

void digits_write(uint8_t *p, size_t width, int64_t x)
{
	for (size_t i = width; i-- > 0; x /= 10)
		p[i] = (uint8_t)('0' + x % 10);
}

/* Days since 1970-01-01 of a date, and back; both by eras of 400 years that begin on 1 March. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = year - (month <= 2), era, of_era, of_year;

	era = (y >= 0 ? y : y - 399) / 400;
	of_era = y - era * 400;
	of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, d = z - era * 146097;
	int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365, of_year = d - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * of_year + 2) / 153;

	*ret_day = of_year - (153 * m + 2) / 5 + 1;
	*ret_month = m < 10 ? m + 3 : m - 9;
	*ret_year = y + era * 400 + (*ret_month <= 2);
}

static bool days_read(int64_t year, int64_t month, int64_t day, int64_t *ret)
{
	int64_t y, m, d;

	if (month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	*ret = days_of(year, month, day);
	date_of(*ret, &y, &m, &d);
	return d == day;
}

bool date_read(const uint8_t *p, int64_t *ret_days)
{
	int64_t year, month, day;

	return p[4] == '-' && p[7] == '-' && digits_read(p, 4, &year) && digits_read(p + 5, 2, &month) &&
	       digits_read(p + 8, 2, &day) && days_read(year, month, day, ret_days);
}

void date_write(uint8_t *p, int64_t days)
{
	int64_t year, month, day;

	date_of(days, &year, &month, &day);
	digits_write(p, 4, year);
	p[4] = p[7] = '-';
	digits_write(p + 5, 2, month);
	digits_write(p + 8, 2, day);
}

bool stamp_read(const uint8_t *p, int64_t *ret_seconds)
{
	int64_t days, hour, minute, second;

	if (p[10] != ' ' || p[13] != ':' || p[16] != ':' || !date_read(p, &days) || !digits_read(p + 11, 2, &hour) ||
	    !digits_read(p + 14, 2, &minute) || !digits_read(p + 17, 2, &second))
		return false;
	*ret_seconds = days * DAY + hour * 3600 + minute * 60 + second;
	return hour < 24 && minute < 60 && second < 60;
}

void stamp_write(uint8_t *p, int64_t seconds)
{
	int64_t of_day = (seconds % DAY + DAY) % DAY;

	date_write(p, (seconds - of_day) / DAY);
	p[10] = ' ';
	digits_write(p + 11, 2, of_day / 3600);
	p[13] = ':';
	digits_write(p + 14, 2, of_day / 60 % 60);
	p[16] = ':';
	digits_write(p + 17, 2, of_day % 60);
}

/* GB 11643 (ISO 7064 MOD 11-2) over the seventeen digits before. */
static uint8_t citizen_check(const uint8_t *p)
{
	static const uint8_t weight[17] = { 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2 };
	unsigned sum = 0;

	for (unsigned i = 0; i < 17; i++)
		sum += (unsigned)(p[i] - '0') * weight[i];
	return (uint8_t)"10X98765432"[sum % 11];
}

bool citizen_read(const uint8_t *p, struct citizen *ret)
{
	int64_t year, month, day;

	return digits_read(p, 6, &ret->region) && digits_read(p + 6, 4, &year) && digits_read(p + 10, 2, &month) &&
	       digits_read(p + 12, 2, &day) && digits_read(p + 14, 3, &ret->order) && p[17] == citizen_check(p) &&
	       days_read(year, month, day, &ret->birth);
}

bool citizen_sound(const struct citizen *c)
{
	return c->region >= 0 && c->region <= 999999 && c->birth >= DATE_LEAST && c->birth <= DATE_MOST &&
	       c->order >= 0 && c->order <= 999;
}

void citizen_write(uint8_t *p, const struct citizen *c)
{
	uint8_t date[DATE_SIZE];

	date_write(date, c->birth);
	digits_write(p, 6, c->region);
	memcpy(p + 6, date, 4);
	memcpy(p + 10, date + 5, 2);
	memcpy(p + 12, date + 8, 2);
	digits_write(p + 14, 3, c->order);
	p[17] = citizen_check(p);
}

bool decimal_read(double r, unsigned *ret_scale, int64_t *ret_m)
{
	for (unsigned scale = 0; scale <= DECIMAL_SCALE_MOST; scale++) {
		double m = nearbyint(r * powers[scale]);

		if (!(fabs(m) <= EXACT_MOST))
			return false;
		if (m / powers[scale] == r) {
			*ret_scale = scale;
			*ret_m = (int64_t)m;
			return true;
		}
	}
	return false;
}

double decimal_value(int64_t m, unsigned scale)
{
	return (double)m / powers[scale];
}
