/* Queue: the jobs that wait for the ledger, fair by who sent them.  Next is the first job of the source that has used
 * the least of the ledger's time lately, so a child that floods waits behind itself.  Not locked: the caller does. */
#ifndef LINK_QUEUE_H
#define LINK_QUEUE_H

#include "engine/engine.h"

#define QUEUE_JOBS      256u             /* jobs that may wait */
#define QUEUE_OWN       32u              /* of these kept for the node itself: its uplink, its people */
#define QUEUE_SHARE     16u              /* jobs of one child, or of all strangers together, that may wait */
#define QUEUE_SOURCES   512u

#define SOURCE_OWN      UINT64_C(0)
#define SOURCE_STRANGER UINT64_C(1)      /* who shows no certificate; else the child's unit */

struct job {
	int (*run)(struct engine *e, struct job *job, struct err *err);  /* on the ledger's thread */
	void (*done)(struct job *job);   /* on the ledger's thread, after run; frees or hands on */
	struct err err;                  /* run's error */
	uint64_t from;                   /* SOURCE_OWN, SOURCE_STRANGER or a unit */
	struct job *next;
};

struct queue_source {
	uint64_t from;
	struct job *first, **last;
	uint32_t waiting;
	int64_t used_us;                 /* of the ledger's time, comparable among sources */
};

struct queue {                           /* zeroed; not moved while it holds jobs */
	struct queue_source at[QUEUE_SOURCES];
	uint32_t n, waiting;
	int64_t now_us;                  /* used_us of the source taken last: who comes anew begins here */
};

/* ERR_BUSY where the source's share or the queue is full. */
int queue_put(struct queue *q, struct job *job);
struct job *queue_take(struct queue *q);         /* NULL where none waits */
bool queue_remove(struct queue *q, struct job *job);     /* false: it does not wait (any more) */
void queue_charge(struct queue *q, uint64_t from, int64_t us);   /* what a job of the source took */

#endif
