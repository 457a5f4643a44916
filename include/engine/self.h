/* The engine's inside: what its modules share.  Only engine/ includes this. */
#ifndef ENGINE_SELF_H
#define ENGINE_SELF_H

#include <stdatomic.h>

#include "engine/engine.h"
#include "core/change.h"
#include "engine/space.h"
#include "core/segment.h"
#include "store/capture.h"
#include "store/links.h"
#include "store/outbox.h"
#include "store/records.h"
#include "store/state.h"
#include "store/table.h"

#define SAID_MOST 100u                   /* alarms and refusals about one neighbour, in SAID_MS */
#define SAID_MS   60000

struct said {
	uint64_t peer;
	int64_t since_ms;
	uint32_t n, more;
};

struct engine {
	struct engine_options options;
	const struct identity *id;       /* replaced when its certificates are renewed (engine/renew.c) */
	uint64_t unit;                   /* = id->unit */
	enum level level;
	struct source source;
	struct db *db;
	struct state *state;
	struct table *table;
	struct catalog *catalog;         /* of the active policies; replaced on activation */
	struct epochs epochs;            /* reads terrace_epoch through a cache */
	struct rules *rules;             /* of the catalog, compiled (engine/rules.c) */
	struct lists *lists;             /* policies under every list that values name (engine/lists.c) */

	/* counters; in terrace_meta, written by engine_commit, read again by engine_rollback */
	struct marks met;                /* greatest mark met of every level */
	uint64_t sealed;                 /* last tick this disk sealed itself */
	uint32_t epoch;                  /* 0 = none yet */
	uint32_t former;                 /* set while an epoch was opened and not yet named in each stream */
	bool fresh;                      /* since the start nothing was sealed: the next seal opens an epoch */
	bool ready;                      /* may take from children: healed with the parent, or the top */
	int64_t tree_s, tree_steady_ms;  /* tree time as last heard, and the steady clock then; top: its own clock */

	uint32_t delta_ratio;            /* raw bytes a stored one of the last delta sealed here; 0 = none yet */

	uint32_t nchildren;              /* direct, enrolled, not revoked; ascending */
	uint64_t *children;
	bool children_changed;           /* in the transaction that is open */
	bool catalog_changed;            /* likewise */
	bool catalog_stale;              /* it could not be read again after a rollback: before anything else it is */
	uint32_t ngreeted;               /* children that said hello since the start: only they are taken from */
	uint64_t *greeted;
	atomic_bool stopping;
	uint64_t parent;                 /* = id->parent */

	/* what is due (engine/tick.c), in steady milliseconds */
	int64_t log_last, log_seen_ms, log_first_ms, next_look_ms, hint_ms;
	int64_t schema_version;
	int64_t walk_ms, walk_began_ms, next_weekly_ms;  /* the background audit: when it goes on; when its chunk began */
	int64_t next_retry_ms, next_via_ms, next_erase_ms, next_checkpoint_ms, next_broadcast_ms, next_reclaim_ms;
	int64_t retry_after, retry_began_ms;     /* quarantine: behind which entry it goes on; when the sweep began */
	uint64_t retried;                /* activity when it began: what has come since may have mended something */
	bool retry_sweep;                /* the whole of it, slice after slice */
	bool paused;                     /* terracectl schema begin: nothing is captured, taken or sent until schema end */
	int64_t noted_ms;                /* steady time of the last time note (top); 0 = none since the start */
	struct said said[32];
	int64_t busy_ms, busy_said_ms;   /* since when the file is locked by another program; when that was said */
	int64_t damage_said_ms;          /* when it was said that the file is damaged; 0 = never */
	uint64_t busy_commits;           /* db->changes then */
	int64_t next_space_ms, space_said_ms;
	enum space space, space_said;    /* how full the disk is (engine/space.c) */
	bool reserved;
	int said_rc;                     /* the error of a tick said last, and when; the same is said once a minute */
	int64_t said_ms;
	uint64_t checkpointed, rested;   /* db->changes at the last checkpoint, and when memory was given back */
	/* hello and contact */
	bool hello_due;
	int64_t hello_ms;
	bool reissue;                    /* the parent's key is another: this node's certificate is made anew */
	int64_t renew_ms, leave_ms;      /* no renewal, no leave is asked for before */
	bool want_sync;
	struct rounds *rounds;           /* the reconciliation with the parent that is going on; NULL = none */
	uint32_t rounds_wanted;          /* enum round_purpose, bits */
	uint64_t activity, looked, compared;     /* rows changed since the start, and how many when digests were last compared */
	int64_t active_ms, compare_ms;   /* of the last look that saw a change; before then no new comparison */
	int64_t compare_wait_ms;         /* doubles while the answer is unknown */
};

/* The counters as the file has them; tree_s: tree time at the last commit. */
struct counters {
	struct marks met;
	uint64_t sealed;
	uint32_t epoch, former;
	bool ready;
	int64_t tree_s;
};
int counters_read(struct db *db, struct counters *ret, bool *ret_found, struct err *err);

/* Transactions: commit also writes the counters; rollback reads them again and forgets caches. */
int engine_begin(struct engine *e, struct err *err);
int engine_commit(struct engine *e, struct err *err);
void engine_rollback(struct engine *e);
void engine_guard(struct engine **e);            /* for _cleanup_ */
/* Another file stands under the database's name: it is opened, and taken for what it is, an older copy of this node or
 * a new disk.  On an error before that nothing has changed. */
int engine_reopen(struct engine *e, struct err *err);
int engine_reload_children(struct engine *e, struct err *err);
int engine_reload_catalog(struct engine *e, struct err *err);    /* after activation: catalog, capture, statements */

int64_t now_ms(struct engine *e);                /* wall, for showing only */
int64_t steady_ms(struct engine *e);
/* One event: the sync log and the journal.  level: base/log.h.  segment and text without personal data. */
void event(struct engine *e, int level, const char *kind, uint64_t peer, const char *segment, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* ---- marks (engine/mint.c) */
/* A fresh mark of this node above its counter and above base's mark of this level; opens an epoch where due. */
int mint_mark(struct engine *e, const struct marks *base, struct mark *ret, struct err *err);
void mint_meet(struct engine *e, const struct marks *m);         /* whatever comes: counters take the greater */
int mint_epoch_learn(struct engine *e, uint64_t unit, uint32_t epoch, uint32_t former, uint64_t tick, uint64_t position,
                     struct err *err);

bool epoch_former(void *arg, uint32_t epoch, struct mark *ret);          /* struct epochs; arg: the engine */

/* ---- tree */
uint64_t child_towards(struct engine *e, uint64_t unit);         /* direct child whose scope holds unit; UNIT_NONE */
/* This node's mode for a group of a row of that unit, acting for unmanned levels included. */
enum mode own_mode(struct engine *e, const struct reg *r, uint64_t row_unit, uint32_t group, enum right right,
                   bool *ret_acting);
/* The same of any node, for reports: its direct enrolled child towards the row, its parent (UNIT_NONE: none). */
enum mode mode_at(const struct reg *r, uint64_t row_unit, uint32_t group, enum right right, uint64_t node, uint64_t child,
                  uint64_t parent, bool *ret_acting);
/* A level's mode under the list that a value names (engine/lists.c); MODE_READ where the list is unknown. */
enum mode list_mode(struct engine *e, uint64_t list, const struct reg *r, uint32_t group, enum right right,
                    enum level level);
int list_learn(struct engine *e, const struct policy_entry *entries, uint32_t n, struct err *err);
/* 1 = a is older than b (no issuer higher in a, one lower), 0 = not, also where a list is unknown. */
int list_older(struct engine *e, uint64_t a, uint64_t b);

/* ---- the narrow waist (engine/merge.c): all run inside the caller's transaction, with an empty log */
struct counts {                          /* of one segment; their sum but the last is its change count */
	uint32_t taken, taken_over, kept, diverted, refused, aside, old, passed, asked, quarantined;
};
/* Where a payload comes from. */
struct arrival {
	uint64_t peer;                   /* the neighbour that handed it over; UNIT_NONE: this node itself */
	bool below;                      /* from a child */
	bool state;                      /* a state segment, else a delta */
	const struct segment_header *header;
	const char *name;                /* of the segment, for events and errors */
};
/* Decides every change of a payload; rulings stand in the engine's own delta, added to the outbox before this
 * returns.  Refuses the whole (ERR_BAD_MARK, ERR_BAD_STATE, ERR_SCOPE, ERR_SCHEMA) with nothing changed but what
 * the caller rolls back. */
int merge_payload(struct engine *e, const struct arrival *from, const struct payload *p, struct counts *ret,
                  struct err *err);
/* The row as a state segment says it.  To a child (down): group row and the groups of `groups` of the standing
 * life, decisions and open proposals, a marker where the row is out of the child's scope; to the parent (up): all.
 * Registers' names are added to the builder.  CHANGE_NOT_HELD where nothing is held. */
struct state_builder {
	struct arena *arena;
	uint32_t nregisters, nchanges, room;
	struct wire_register *registers;         /* one per reg, index = order of first use */
	struct reg *regs[LIMIT_REGISTERS];
	struct change *changes;
	size_t size;                     /* bytes of cells so far, before compression */
};
int merge_state(struct engine *e, struct state_builder *b, struct reg *r, struct cell key, uint64_t receiver, bool up,
                uint64_t groups, struct err *err);
/* After acknowledgement: a marker's values go when nothing of the row waits to go up. */
int merge_erase(struct engine *e, struct reg *r, struct cell key, struct err *err);
/* (engine/erase.c) The same for all markers that wait for it, a slice, in the caller's transaction. */
int merge_erase_told(struct engine *e, bool *ret_more, struct err *err);

/* ---- sealing (engine/seal.c) */
/* Seals what the log holds, at most one slice; *ret_more: entries stay.  Own transactions unless in one. */
int seal_log(struct engine *e, bool *ret_more, struct err *err);
/* "Whoever reads or writes a row as state first empties the log": inside the caller's transaction. */
int seal_empty(struct engine *e, struct err *err);
/* Cuts, encodes and signs a payload of this node's own as delta segments of the ceiling's stream; keeps them and
 * adds them to the outbox where the level lies below the ceiling. */
int seal_delta(struct engine *e, enum level ceiling, const struct payload *p, struct err *err);

/* ---- capture (engine/watch.c) */
/* Installs the triggers of every register, or (check) only where some are missing: then the register is audited. */
int watch_install(struct engine *e, bool check, struct err *err);
int watch_register(struct engine *e, struct reg *r, struct err *err);            /* the triggers of one, without a word */
/* Rows of the register are walked by the next ticks and sealed where no trigger named them; why: "adopt", "audit"; or
 * they are compared with the record (engine/audit.h): "check", "weekly". */
int watch_walk(struct engine *e, const struct reg *r, const char *why, struct err *err);
/* What the walks that begin now find is what `reconcile status` lists (engine/command.c). */
int audit_remember(struct engine *e, struct err *err);
bool watch_walking(struct engine *e, const struct reg *r);
/* One slice of such a walk; *ret_more: there is more.  "check" lists what differs, "weekly" too, in the background. */
int watch_step(struct engine *e, bool *ret_more, struct err *err);

/* ---- contact */
/* Keeps, verifies and applies one broadcast segment that came from above or is this node's own. */
int broadcast_issue(struct engine *e, uint32_t kind, struct slice raw, struct err *err);  /* this node's own next one */
int broadcast_take(struct engine *e, uint64_t from, struct slice bytes, struct err *err);
int broadcast_next(struct engine *e, int64_t now_s, struct err *err);    /* activations that are due, time notes */
/* Marks an item dirty for the one child towards unit (UNIT_NONE: for every child). */
int item_down(struct engine *e, uint64_t unit, enum item_kind kind, int64_t id, struct err *err);
/* Tree time as a superior told it; never backwards. */
void tree_time_hear(struct engine *e, int64_t at_s);
/* All broadcasts kept become dirty for a child: a new one, or in a heal. */
int broadcasts_down(struct engine *e, uint64_t child, struct err *err);
/* Whether this node was restored and the digests of the link to the child have not agreed since (rule 1 then judges
 * rulings by the rights of their base's author). */
bool heal_going_on(struct engine *e, uint64_t child);
int heal_mark(struct engine *e, uint64_t child, bool going_on, struct err *err);
int heal_start(struct engine *e, uint64_t peer, const char *why, struct err *err);

#endif
