/* Randomness of the machine, for keys, nonces and epoch numbers.  The engine gets it through struct source. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>

void rand_start(void);                   /* once, before the first thread; aborts where there is no randomness */
void rand_bytes(void *p, size_t n);

#endif
