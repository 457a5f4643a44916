/* Administrative units (行政单位): 12-digit division codes PP CC DD TTT VVV, held as one number.
 * A unit's level is its deepest non-zero field; its scope is every unit whose fields agree with its own down to
 * that level.  Sources: GB/T 2260 (county and above), GB/T 10114 (township), statistical village codes. */
#ifndef CORE_UNIT_H
#define CORE_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum level { PROVINCE, PREFECTURE, COUNTY, TOWNSHIP, VILLAGE, LEVELS };

#define UNIT_NONE UINT64_C(0)
#define UNIT_TEXT_SIZE 13

/* Exactly twelve digits, not all zero, no zero province; else ERR_FORMAT with the text and what is wrong. */
int unit_parse(struct slice text, uint64_t *ret, struct err *err);
char *unit_text(uint64_t unit, char ret[UNIT_TEXT_SIZE]);       /* twelve digits; returns ret */
enum level unit_level(uint64_t unit);
bool unit_contains(uint64_t scope, uint64_t unit);              /* unit is scope or below it */
uint64_t unit_at(uint64_t unit, enum level level);              /* the ancestor (or self) at that level's fields */
uint64_t unit_last(uint64_t scope);                             /* greatest code in scope: scope is a range of codes */
uint64_t unit_common(uint64_t a, uint64_t b);                   /* lowest common ancestor; UNIT_NONE without one */

const char *level_name(enum level level);                       /* "province" … "village" */
const char *level_name_zh(enum level level);                    /* "省" "市" "县" "乡镇" "村" */
int level_parse(const char *name, enum level *ret);             /* 0 or -1 */

#endif
