/* Control socket: HOME/control.sock (0660), on which terracectl gives its commands.  One request a connection:
 *   varint count of words, each length-prefixed (as buf_put_text), at most CONTROL_REQUEST bytes
 * and one answer:
 *   varint exit status, u32 length (little-endian), one JSON document (on an error {"code", "message"})
 * The login of the process at the other end (SO_PEERCRED) is the actor.  Commands run on the ledger; its document may
 * say with an integer member "exit" that something was found (1); that member is taken out.
 * A request of `bundle` comes with one file in memory (SCM_RIGHTS; base/file.h): closed for writing it is what import and
 * inspect read, open it is what export fills.  So neither a path nor a slow stick ever comes to the daemon.
 *
 * `sync --wait SECONDS` does not hold the ledger: after {"sync"} it asks {"sync", "--status", N} again and again, N
 * being the integer "sealed" of the first answer, until its document says "done": true or the time is over (exit 1). */
#ifndef LINK_CONTROL_H
#define LINK_CONTROL_H

#include "link/uplink.h"

#define CONTROL_REQUEST (1u << 20)
#define CONTROL_CLIENTS 32
#define CONTROL_WORDS   256

struct control;

struct control_options {
	const char *path;
	struct ledger *ledger;
	struct uplink *uplink;           /* poked by sync, shown by status; NULL at the top */
	struct source source;
};

int control_start(const struct control_options *o, struct control **ret, struct err *err);
void control_stop(struct control *c);    /* after ledger_stop; NULL is allowed */
/* From now on this uplink is meant (NULL = none); the former one is used no more when this returns. */
void control_uplink(struct control *c, struct uplink *u);

/* The other side, for terracectl: gives the words, waits for the answer.  ERR_NOT_RUNNING where nobody listens.
 * wait_ms: how long an answer may take, < 0 = for ever. */
int control_ask(const char *path, const char *const *words, uint32_t nwords, int wait_ms, int *ret_exit, json_t **ret,
                struct err *err);

/* The same with a file in memory; -1 = none. */
int control_ask_with(const char *path, const char *const *words, uint32_t nwords, int file, int wait_ms, int *ret_exit,
                     json_t **ret, struct err *err);

#endif
