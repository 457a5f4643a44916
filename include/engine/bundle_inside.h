/* What the two sides of bundles share (engine/bundle.c, engine/bundle_take.c). */
#ifndef ENGINE_BUNDLE_INSIDE_H
#define ENGINE_BUNDLE_INSIDE_H

#include "engine/bundle.h"
#include "engine/contact.h"

/* What a child is told with the next bundle down: kept in terrace_meta from one import to the next. */
struct kept_answer {
	uint64_t number;                 /* of the hello that it answers; 0 = none is kept */
	struct slice answer;             /* body of the answer to the hello */
	uint8_t status;                  /* enum push_status of its segments, with the error's name and sentence */
	const char *code, *say;          /* in the arena */
	struct digest bundle;            /* of its content */
	bool over;                       /* all of it was looked at; else it is still being taken */
};
int kept_answer_get(struct engine *e, uint64_t child, struct arena *a, struct kept_answer *ret, struct err *err);
int kept_answer_put(struct engine *e, uint64_t child, const struct kept_answer *k, struct err *err);

/* What the certificate of a direct child says; ERR_NOT_FOUND, ERR_CHAIN with a sentence. */
int bundle_child(struct engine *e, uint64_t unit, struct facts *ret, struct err *err);

#endif
