/* Push: what both sides of POST /v1/segments share; the bodies' form stands in daemon/engine/push.c. */
#ifndef ENGINE_PUSH_H
#define ENGINE_PUSH_H

#include "engine/contact.h"

#define PUSH_MOST_MS 200                 /* applying takes no longer in one request; the answer says how far it came */
#define PUSH_LINES 4096u                 /* streams in the receipts of one answer */

enum push_status {
	PUSH_DONE,
	PUSH_GAP,                        /* the answer names the entry that was expected */
	PUSH_HEAL,                       /* the heads have to be compared first: hello */
	PUSH_REFUSED,                    /* a segment was refused; those before it are applied */
};

#endif
