/* Space: how full the disk of the database is, and what a node still does about it.
 *
 *   soft   free space below the soft mark: segments of children are refused (507) before their bodies are read; the node
 *          seals, sends, is fed, and takes and gives acknowledgements, which let old segments go
 *   hard   below the hard mark, or the disk has refused a write: nothing is written but acknowledgements of what goes up,
 *          for which a reserve beside the database is given back when the disk is really full; the rest of the disk is the
 *          application's.  Nothing is lost: the log keeps what is written, and is sealed when there is room again
 *
 * The marks are terraced.conf's.  A state ends when a quarter more than its mark is free, so that it does not flap. */
#ifndef ENGINE_SPACE_H
#define ENGINE_SPACE_H

#include <stdint.h>

#define SPACE_SOFT_MB   256u             /* defaults; 0 switches a mark off */
#define SPACE_HARD_MB   64u
#define SPACE_MOST_MB   (1u << 20)
#define SPACE_LOOK_MS   2000
#define SPACE_RESERVE   (1u << 20)       /* bytes of DATABASE-reserve; where the marks are on */
#define SPACE_SUFFIX    "-reserve"

enum space { SPACE_GOOD, SPACE_SOFT, SPACE_HARD };

struct engine;

/* Free MiB for an ordinary user where the file is; 0 = not known. */
uint64_t space_free_mb(const char *path);
enum space space_state(uint64_t free_mb, uint32_t soft_mb, uint32_t hard_mb, enum space was);
const char *space_name(enum space s);
/* Looks where it is due, says a change once, makes or gives back the reserve.  Milliseconds until the next look. */
int64_t space_look(struct engine *e);

#endif
