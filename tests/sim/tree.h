/* Tree: whole trees of nodes in one process, from one seed: virtual clock, scripted links, plain SQL as application. */
#ifndef SIM_TREE_H
#define SIM_TREE_H

#include <sqlite3.h>

#include "engine/engine.h"
#include "engine/install.h"

#define SIM_NODES 48                     /* at most 64: a bit each */
#define SIM_REGISTERS 4

struct sim_journal;                      /* journal.c */
struct sim_write;

struct sim_band {                        /* the levels that a register comes to */
	const char *reg;
	enum level ceiling, floor;
};

struct sim_random {
	uint64_t state;
};
uint64_t sim_next(struct sim_random *r);
uint32_t sim_below(struct sim_random *r, uint32_t n);            /* 0 … n − 1 */
bool sim_chance(struct sim_random *r, double p);

/* A proposal that somebody accepted or rejected. */
struct sim_review {
	int64_t id, tick, epoch;         /* of the proposal */
	int64_t at_ms, by_tick, by_epoch;        /* the decision */
	uint64_t author, by;
	bool accepted;
	char reg[8], group[8], key[8];
};

struct sim_node {
	uint64_t unit;
	int parent;                      /* index, −1 at the top */
	bool enrolled;
	struct identity id;
	char path[200];
	struct engine *e;
	sqlite3 *app;                    /* the application's own connection */
	bool hello;                      /* says hello at the next contact */
	struct sim_tree *tree;
	int backups;                     /* copies of the file: path.b0 … */
	int64_t skew_ms;                 /* of its clock, for good */
	bool jumps;                      /* its clock shows another time every few seconds */
	int64_t cut_until;               /* no contact before this step */
	int64_t restored_ms;             /* 0 = never */
	int64_t noted, restored_at;      /* its last segment in the journal; step of its last restore, −1 = none */
};

enum sim_fault { FAULT_RESTORE, FAULT_CLONE, FAULT_KILL, FAULT_DISK, FAULT_CUT, SIM_FAULTS };

struct sim_tree {
	struct sim_random random;        /* what happens */
	struct sim_random noise, link;   /* what the engines draw; the luck of one contact */
	uint64_t seed;
	int64_t now_ms;
	char folder[160];
	int n;
	struct sim_node nodes[SIM_NODES];
	double loss, twice;              /* chance that an answer is lost, that a request comes twice */
	char failure[1000];
	bool verbose;
	const char *keep;                /* a folder where the bodies of the links and the databases stay, or NULL */
	int kept;
	struct sim_review reviews[400];
	uint32_t nreviews;
	int lost;                        /* rows that sim_lose took */
	int typed, found;                /* what an application typed and looked for again */
	bool via;                        /* rows of that register take their unit from the row they refer to */
	bool rules;                      /* policies have rules, locks, on_conflict */
	bool edits;                      /* rows are there from the start, and most writes change them */
	bool keys;                       /* rows of a second register refer to the first; unique values collide */
	struct sim_band bands[SIM_REGISTERS];
	struct sim_journal *journal;
	int64_t step;
	uint64_t losers;                 /* losing decisions that had to have a record */
	uint64_t sealed;                 /* values that were sealed */
	int victim;                      /* node whose disk is about to fail, −1 = none */
	bool dies;                       /* … with its machine */
	int64_t victim_until;            /* step */
	uint64_t injected[SIM_FAULTS];
	uint64_t instants;               /* what a status said of a descendant, against the truth */
};

int sim_open(struct sim_tree *t, uint64_t seed, const uint64_t *units, int n);
void sim_close(struct sim_tree *t);
void sim_fail(struct sim_tree *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
int sim_enrol(struct sim_tree *t, int node);     /* under its nearest enrolled superior */
int sim_publish(struct sim_tree *t, int node, const struct policy *p);
/* The application writes; 1 = refused by a trigger or constraint, which is fine. */
int sim_sql(struct sim_node *n, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_tick(struct sim_tree *t, int64_t ms);   /* time passes: every node does what is due */
/* One contact of a child: hello where due, push, feed; answers may be lost, requests repeated. */
void sim_contact(struct sim_tree *t, int node);
void sim_drain(struct sim_tree *t);              /* every link works until all is quiet */
void sim_restart(struct sim_tree *t, int node);
int sim_node_open(struct sim_tree *t, struct sim_node *n);
void sim_node_close(struct sim_node *n);
/* (faults.c) A copy of the file, of a node that stands still or (live) that goes on; and the copy takes the node's place. */
void sim_backup(struct sim_tree *t, int node, bool live);
void sim_restore(struct sim_tree *t, int node);
/* From now on this node's disk counts, and at a random write, sync or deletion the machine dies, or the disk is full for a while. */
void sim_disk(struct sim_tree *t, int node, bool dies);
void sim_disk_step(struct sim_tree *t);          /* after every step: who died starts again with what its disk held */
void sim_disk_end(struct sim_tree *t);           /* whatever was under way is over, and every node runs */
bool sim_disk_failed(const struct sim_node *n);  /* this node's disk fails right now: its errors are no findings */
void sim_cut(struct sim_tree *t, int node);      /* its line to above is dead for some steps */
/* At the node, else at the next ones, somebody accepts or rejects a proposal that is open there and his level's to decide. */
void sim_decide(struct sim_tree *t, int node);
/* A row of register r is lost at a node, from table and state, as if it never had come there. */
void sim_lose(struct sim_tree *t, int node, const char *key);
/* (status.c) What this node's status says of its descendants is true; rest: and complete. */
void sim_status(struct sim_tree *t, int node, bool rest);
/* When the parent last compared; where that is another time than *at_ms, the two are equal now if that was found. */
void sim_compared(struct sim_tree *t, int node, int64_t *at_ms);
/* (records.c) A line of JSON for every record of every node: what `why` says of it, for tests/lib/redecide.py. */
void sim_records(struct sim_tree *t, const char *file);
/* What everybody holds at the end: tables, states with their versions, records.  Two runs of one history give the same. */
void sim_dump(struct sim_tree *t, struct buf *ret);
/* Tables hash to what the states say, at every node whose log is empty. */
void sim_audit(struct sim_tree *t);
/* (scope.c) No node holds what is not of its scope; rest: nor waits to erase it. */
void sim_scope(struct sim_tree *t, bool rest);
void sim_scope_sent(struct sim_tree *t, const struct sim_node *n, struct slice body);    /* nor is it sent */
bool sim_holds(const struct sim_tree *t, const struct sim_node *n, const char *reg);     /* the register comes to its level */
/* (journal.c) What every node sealed; no losing decision is without a record. */
void journal_open(struct sim_tree *t);
void journal_close(struct sim_tree *t);
void journal_note(struct sim_tree *t);           /* after every step */
void journal_before_restore(struct sim_tree *t, int node);
void journal_after_restore(struct sim_tree *t, int node);
bool journal_wrote_again(struct sim_tree *t, const struct sim_review *r);        /* the author of what was decided, later */
void journal_check(struct sim_tree *t);          /* when all is quiet */
/* What was decided on is closed everywhere, but where that decision lost; who was rejected has a return (tests/sim/review.c). */
void sim_check_reviews(struct sim_tree *t);
struct sim_sticks {
	uint64_t carried, refused, lost;
};
/* (stick.c) A month in which bundles are all that passes; 1 = failed. */
int sim_month(uint64_t seed, bool verbose, const char *keep, struct sim_sticks *ret);
/* Every path equal: table contents below are the root's of that scope; state digests equal; keys hold. */
void sim_check(struct sim_tree *t);

#endif
