/* Forms: texts and reals that are numbers in disguise (terrace-wire(7), "forms").
 *
 * Each _read says whether exactly this value comes back from its _write, and yields the number. */
#ifndef CORE_FORMS_H
#define CORE_FORMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_SIZE 19            /* YYYY-MM-DD HH:MM:SS, seconds since 1970-01-01 00:00:00 */
#define DATE_SIZE 10             /* YYYY-MM-DD, days since 1970-01-01 */
#define DIGITS_MOST 18           /* decimal digits, zeros in front kept */
#define CITIZEN_SIZE 18          /* citizen number GB 11643: region, birth, order, check character */
#define STAMP_LEAST INT64_C(-62167219200)
#define STAMP_MOST  INT64_C(253402300799)
#define DATE_LEAST  INT64_C(-719528)     /* 0000-01-01 in the Gregorian calendar carried back */
#define DATE_MOST   INT64_C(2932896)     /* 9999-12-31 */

struct citizen {
	int64_t region, birth, order;    /* 0..999999, days since 1970-01-01, 0..999 */
};

bool date_read(const uint8_t *p, int64_t *ret_days);                     /* DATE_SIZE bytes */
bool stamp_read(const uint8_t *p, int64_t *ret_seconds);                 /* STAMP_SIZE bytes */
bool digits_read(const uint8_t *p, size_t width, int64_t *ret);          /* width 1..DIGITS_MOST */
bool citizen_read(const uint8_t *p, struct citizen *ret);                /* CITIZEN_SIZE bytes */
void date_write(uint8_t *p, int64_t days);
void stamp_write(uint8_t *p, int64_t seconds);
void digits_write(uint8_t *p, size_t width, int64_t x);
void citizen_write(uint8_t *p, const struct citizen *c);
bool citizen_sound(const struct citizen *c);                             /* within the bounds above */

/* r = m / 10^scale exactly, |m| <= 2^53; the least scale <= DECIMAL_SCALE_MOST. */
#define DECIMAL_SCALE_MOST 9u
bool decimal_read(double r, unsigned *ret_scale, int64_t *ret_m);
double decimal_value(int64_t m, unsigned scale);

#endif
