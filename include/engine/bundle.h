/* Bundle: what a link would have sent to a neighbour, in a file that a stick carries (design protocol §9; core/bundle.h,
 * core/box.h).  The bodies are those of the link, and are taken by the same calls; a bundle up holds a hello, a receipt
 * for the feed and segments, one down the answer to the last hello that came in a bundle, receipts and the feed.
 *
 * Both sides may lose, repeat and delay bundles, and use the network between them: hellos are counted, and an older one,
 * or an older answer, is told as such and changes nothing. */
#ifndef ENGINE_BUNDLE_H
#define ENGINE_BUNDLE_H

#include "engine/engine.h"

/* Appends a bundle for the parent or a direct child to file; seals what the log holds before. */
int engine_bundle_export(struct engine *e, uint64_t to, const char *actor, struct buf *file, json_t **ret, struct err *err);
/* All checks stand before the first change; ERR_GONE: nothing in it is new.  A long one is taken in steps of BUNDLE_STEP_MS,
 * so that others have their turn: where the document says "again", the same call goes on, also after a crash. */
#define BUNDLE_STEP_MS 1000
int engine_bundle_import(struct engine *e, struct slice file, const char *actor, json_t **ret, struct err *err);
/* What is in it; changes nothing. */
int engine_bundle_inspect(struct engine *e, struct slice file, json_t **ret, struct err *err);
/* `bundle export UNIT`, `bundle import`, `bundle inspect`: the words behind "bundle"; the file comes in, or goes out. */
int engine_bundle_command(struct engine *e, const char *const *words, uint32_t n, const char *actor, struct slice in,
                          struct buf *out, json_t **ret, struct err *err);

#endif
