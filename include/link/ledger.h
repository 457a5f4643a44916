/* Ledger: the thread that owns the engine, and the bounded queue of jobs before it.
 *
 * Server and uplink put jobs in; the ledger runs one at a time, fair by who sent them (link/queue.h), and between jobs
 * does engine_tick and watches the folder of the database (inotify; only a hint).  A full queue answers ERR_BUSY.  TERM: ledger_stop makes
 * running calls return, answers all waiting jobs with ERR_STOPPING and joins. */
#ifndef LINK_LEDGER_H
#define LINK_LEDGER_H

#include "link/queue.h"

struct ledger;

int ledger_start(struct engine *e, const char *database, struct ledger **ret, struct err *err);
/* Joins the thread; afterwards every post answers ERR_STOPPING and no watch is called.  Those who may still post are
 * stopped next, then ledger_release frees.  NULL is allowed in both. */
void ledger_stop(struct ledger *l);
void ledger_release(struct ledger *l);
/* ERR_BUSY when the queue or the share of job->from in it is full, ERR_STOPPING while it stops: done is then not called. */
int ledger_post(struct ledger *l, struct job *job);
/* Runs fn on the ledger and waits for it; ERR_BUSY after deadline_ms in the queue. */
int ledger_call(struct ledger *l, int (*fn)(struct engine *e, void *arg, struct err *err), void *arg,
                int deadline_ms, struct err *err);
/* Called on the ledger's thread after every job and tick, so that the server wakes long polls that have something
 * and the uplink looks for what waits to go up.  At most 4. */
void ledger_watch(struct ledger *l, void (*fn)(struct engine *e, void *arg), void *arg);
/* When this returns fn is not called with arg any more; not from the ledger's own thread. */
void ledger_unwatch(struct ledger *l, void (*fn)(struct engine *e, void *arg), void *arg);
int64_t ledger_alive(struct ledger *l);          /* steady milliseconds of its last sign of life, for the watchdog */

#endif
