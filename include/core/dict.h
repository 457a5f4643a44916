/* Preset compression dictionaries, one array each.  A number once published never changes its bytes:
 * schema/dict/terrace-1.txt is the same content for other decoders, and a test compares them. */
#ifndef CORE_DICT_H
#define CORE_DICT_H

#include <stddef.h>

extern const char dict_terrace_1[];
extern const size_t dict_terrace_1_size;         /* without the NUL */

#endif
