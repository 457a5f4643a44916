/* Nodes: a tree of engines in one test process; bodies are carried by hand, one clock for all.  For cmocka tests. */
#ifndef NODES_H
#define NODES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/enroll.h"
#include "engine/contact.h"

#define U_COUNTY UINT64_C(620702000000)
#define U_TOWN UINT64_C(620702100000)
#define U_TOWN_2 UINT64_C(620702200000)
#define U_VILLAGE UINT64_C(620702100001)
#define U_VILLAGE_2 UINT64_C(620702100002)

#define OK(call) do { \
	struct err e_ok = { 0 }, *e = &e_ok; \
	int ok_ = (call); \
	if (ok_ != 0) \
		fail_msg("%s: %d %s", #call, ok_, e->text); \
} while (0)

struct node {
	char path[100];
	struct identity id;
	struct engine *engine;
	size_t bundle_cut;               /* from the next opening on */
	uint32_t alarms, renewals;
	bool full;                       /* its identity folder takes nothing */
	char last_alarm[400];
};

extern int64_t clock_step;               /* ms that pass with every look at the clock */
extern int64_t clock_ms;                 /* wall and steady clock of every node */
extern size_t round_bytes;               /* of all rounds, both ways */
extern struct sign_key recovery_key;     /* of the county */
extern bool loud;                        /* events to standard error */
extern struct node county, town, village;        /* made by nodes_begin: enrolled, policy `aid` active, at rest */

int nodes_begin(void **state);           /* group fixtures */
int nodes_end(void **state);

/* Policy `aid`: the levels that own group `check`. */
void publish_aid(struct node *n, uint64_t version, uint8_t check);
void open_node(struct node *n);
void close_node(struct node *n);
/* A bare machine enrols and opens folder/file.db; `keys`: with the keys of another. */
void join(struct node *n, struct node *by, uint64_t unit, const char *file);
void join_with(struct node *n, struct node *by, uint64_t unit, const char *file, const struct node *keys);
void invite(struct node *by, uint64_t unit, const uint8_t secret[ENROLL_SECRET_SIZE]);
struct buf request_of(struct node *n, uint64_t unit, const uint8_t secret[ENROLL_SECRET_SIZE]);

/* As an application does, on a connection of its own. */
void sql(struct node *n, const char *text);
int64_t ask(struct node *n, const char *text);   /* the first cell; INT64_MIN without a row */
#define AMOUNT(node, id) ask(node, "SELECT amount FROM aid WHERE id = '" id "'")
void seal(struct node *n);
void lose(struct node *n, const char *id);       /* the row, from state and table, as if it never had come */

const struct facts *facts(const struct node *n);
void hello(struct node *child, struct node *parent, bool *ret_twin);
int push(struct node *child, struct node *parent, int lost);     /* one; lost: 1 = the body, 2 = the answer */
int feed(struct node *child, struct node *parent, bool lost);    /* one; 1 = something came, else 0 or the error */
int rounds(struct node *child, struct node *parent);     /* a reconciliation, as long as it asks; the rounds it took */
void contact(struct node *child, struct node *parent);   /* as the uplink does it, until nothing waits on this link */
void hash_all(struct node *n);           /* ticks until the digests are up to date */
void everybody(void);                    /* village, town and county until all is quiet */
/* Digests are brought up to date and compared; what the parent then says of the link. */
void at_rest(struct node *child, struct node *parent, const char *expected);

#endif
