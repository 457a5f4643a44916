#include "link/queue.h"

#include <string.h>

static struct queue_source *find(struct queue *q, uint64_t from)
{
	for (uint32_t i = 0; i < q->n; i++)
		if (q->at[i].from == from)
			return &q->at[i];
	return NULL;
}

/* A place for a new source: a free one, or that of the one without jobs which has used the least. */
static struct queue_source *place(struct queue *q)
{
	struct queue_source *least = NULL;

	if (q->n < QUEUE_SOURCES)
		return &q->at[q->n++];
	for (uint32_t i = 0; i < q->n; i++)
		if (q->at[i].waiting == 0 && (!least || q->at[i].used_us < least->used_us))
			least = &q->at[i];
	return least;                    /* there is one: fewer jobs wait than there are places */
}

int queue_put(struct queue *q, struct job *job)
{
	struct queue_source *s = find(q, job->from);
	bool own = job->from == SOURCE_OWN;

	if (q->waiting >= (own ? QUEUE_JOBS : QUEUE_JOBS - QUEUE_OWN) || (!own && s && s->waiting >= QUEUE_SHARE))
		return ERR_BUSY;
	if (!s) {
		s = place(q);
		*s = (struct queue_source){ .from = job->from };
	}
	if (s->waiting == 0) {
		s->first = NULL;
		s->last = &s->first;
		s->used_us = MAX(s->used_us, q->now_us);
	}
	job->next = NULL;
	*s->last = job;
	s->last = &job->next;
	s->waiting++;
	q->waiting++;
	return 0;
}

static void unlink_at(struct queue *q, struct queue_source *s, struct job **at)
{
	struct job *job = *at;

	*at = job->next;
	if (!*at)
		s->last = at;
	job->next = NULL;
	s->waiting--;
	q->waiting--;
}

struct job *queue_take(struct queue *q)
{
	struct queue_source *least = NULL;

	for (uint32_t i = 0; i < q->n; i++)
		if (q->at[i].waiting && (!least || q->at[i].used_us < least->used_us))
			least = &q->at[i];
	if (!least)
		return NULL;
	struct job *job = least->first;
	q->now_us = least->used_us;
	unlink_at(q, least, &least->first);
	return job;
}

bool queue_remove(struct queue *q, struct job *job)
{
	struct queue_source *s = find(q, job->from);

	for (struct job **at = s && s->waiting ? &s->first : NULL; at && *at; at = &(*at)->next)
		if (*at == job) {
			unlink_at(q, s, at);
			return true;
		}
	return false;
}

void queue_charge(struct queue *q, uint64_t from, int64_t us)
{
	struct queue_source *s = find(q, from);

	if (s)
		s->used_us += MAX(us, 1);
}
