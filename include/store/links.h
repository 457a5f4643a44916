/* Links: neighbours, what is dirty for each, what was built for each, needs and bootstrap cursors
 * (design protocol §3, points a–e; numbers and their meaning stand there). */
#ifndef STORE_LINKS_H
#define STORE_LINKS_H

#include "core/digest.h"
#include "store/catalog.h"

struct link {                            /* terrace_link; peer is a direct child, or the parent */
	uint64_t peer;
	uint64_t received;               /* peer's outbox: last applied, and its head there */
	struct digest received_head;
	uint64_t acked;                  /* to the parent: my outbox as acknowledged */
	struct digest acked_head;
	uint64_t built, fed;             /* last number built for the peer; last one it acknowledged */
	struct digest fed_hash;
	uint64_t position;               /* peer's state segments: last one applied */
	struct digest position_hash;
	uint32_t epoch;                  /* the peer's epoch as last heard, and its last tick in it */
	uint64_t tick;
	uint32_t superseded;             /* the epoch that was current before the peer came back restored; 0 = none */
	int64_t heal;                    /* number of the last heal, the id of its end marker */
	bool healed, twin;               /* healed: heads fit, the link may carry */
	uint64_t hello;                  /* number of the last hello: made, to the parent; heard, of a child */
	uint64_t answered;               /* to the parent: the last one whose answer was taken */
	uint64_t healed_by;              /* of a child: the one that the last heal answered */
	int64_t contact_ms;
};
int link_get(struct db *db, uint64_t peer, struct link *ret, bool *ret_found, struct err *err);
int link_put(struct db *db, const struct link *l, struct err *err);
int link_drop(struct db *db, uint64_t peer, struct err *err);
int link_each(struct db *db, int (*fn)(void *arg, const struct link *l), void *arg, struct err *err);
int link_unheal(struct db *db, uint64_t but, struct err *err);   /* every link but one has to heal */
/* What the last comparison of digests found: "equal", "differs", "unknown", and when. */
int link_digest_put(struct db *db, uint64_t peer, const char *found, int64_t at_ms, struct err *err);
int link_digest(struct db *db, uint64_t peer, char ret_found[16], int64_t *ret_at_ms, struct err *err);

/* (a) groups |= groups (bit 1 << group number; bit 0 = row), sent := 0. */
int dirty_mark(struct db *db, uint64_t peer, const struct reg *r, struct cell key, uint64_t groups, struct err *err);
bool dirty_has(struct db *db, uint64_t peer, const struct reg *r, struct cell key);
int dirty_item(struct db *db, uint64_t peer, uint32_t kind, int64_t id, struct err *err);        /* core/change.h enum item_kind */
/* (b) sent > after := 0. */
int dirty_rewind(struct db *db, uint64_t peer, uint64_t after, struct err *err);
/* (d) 0 < sent <= upto is deleted, of rows and items. */
int dirty_done(struct db *db, uint64_t peer, uint64_t upto, struct err *err);
uint64_t dirty_count(struct db *db, uint64_t peer);              /* unsent and unacknowledged, items counted */
bool dirty_any(struct db *db, uint64_t peer);                    /* anything at all, cursors counted */
bool dirty_unsent(struct db *db, uint64_t peer);                 /* something waits to be built (cursors counted) */
/* What waits for a peer that dials another now waits for that one. */
int dirty_move(struct db *db, uint64_t from, uint64_t to, struct err *err);
int dirty_drop(struct db *db, uint64_t peer, struct err *err);   /* all of a peer's */

struct dirty_row {
	uint32_t reg;
	struct cell key;
	uint64_t groups;
};
/* The next unsent rows in (register, key) order, at most `most`; not those that an open cursor still comes to. */
int dirty_rows(struct db *db, uint64_t peer, uint32_t most, struct arena *a, struct dirty_row **ret, uint32_t *ret_n,
               struct err *err);
/* sent := number; a row that was not dirty (it comes from a cursor) becomes so, so that a rewind finds it. */
int dirty_sent(struct db *db, uint64_t peer, const struct dirty_row *row, uint64_t number, struct err *err);
int dirty_forget(struct db *db, uint64_t peer, const struct dirty_row *row, struct err *err);
int dirty_items(struct db *db, uint64_t peer, uint32_t most, struct arena *a, uint32_t **ret_kinds, int64_t **ret_ids,
                uint32_t *ret_n, struct err *err);
int dirty_item_sent(struct db *db, uint64_t peer, uint32_t kind, int64_t id, uint64_t number, struct err *err);
int dirty_item_forget(struct db *db, uint64_t peer, uint32_t kind, int64_t id, struct err *err);
bool dirty_item_any(struct db *db, uint64_t peer, uint32_t kind);        /* one of that kind waits or is on its way */
/* A heal: every policy, activation and unit list that a superior issued, for the parent, who may have lost it. */
int dirty_broadcasts_up(struct db *db, uint64_t parent, uint64_t own, struct err *err);
/* A heal: epochs of its path and scope, records and settled receipts of its subtree. */
int dirty_items_again(struct db *db, uint64_t peer, struct err *err);
struct epoch_row {
	uint32_t epoch, former;
	uint64_t unit, tick, position;
};
int epoch_row(struct db *db, uint32_t epoch, struct epoch_row *ret, bool *ret_found, struct err *err);

/* Bootstrap: one cursor a register; NULL key = from the start. */
int cursor_start(struct db *db, uint64_t peer, const struct catalog *c, struct err *err);
int cursor_next(struct db *db, uint64_t peer, const struct catalog *c, struct reg **ret_reg, struct cell *ret_key,
                bool *ret_has_key, struct arena *a, struct err *err);     /* *ret_reg NULL = none is open */
int cursor_put(struct db *db, uint64_t peer, const struct reg *r, struct cell key, struct err *err);
int cursor_end(struct db *db, uint64_t peer, const struct reg *r, struct err *err);
bool cursor_open(struct db *db, uint64_t peer);

/* (e) numbers built and unacknowledged. */
int built_add(struct db *db, uint64_t peer, uint64_t number, const struct digest *hash, struct err *err);
int built_hash(struct db *db, uint64_t peer, uint64_t number, struct digest *ret, bool *ret_found, struct err *err);
int built_done(struct db *db, uint64_t peer, uint64_t upto, struct err *err);

/* Needs: rows asked from a peer. */
int need_add(struct db *db, uint64_t peer, const char *reg, struct cell key, int64_t at_ms, struct err *err);
int need_done(struct db *db, uint64_t peer, const char *reg, struct cell key, struct err *err);
int need_each(struct db *db, uint64_t peer, int (*fn)(void *arg, const char *reg, struct cell key), void *arg,
              struct err *err);
uint64_t need_count(struct db *db, uint64_t peer);               /* UNIT_NONE: of all peers */

/* Markers and tombstones whose values wait until nothing of the row waits to go up. */
int marker_add(struct db *db, const struct reg *r, struct cell key, int64_t at_ms, struct err *err);
/* Those with nothing dirty for the parent, at most `most`. */
int marker_rows(struct db *db, uint64_t parent, uint32_t most, struct arena *a, struct dirty_row **ret, uint32_t *ret_n,
                struct err *err);
bool marker_any(struct db *db);
int marker_drop(struct db *db, uint32_t reg, struct cell key, struct err *err);

/* Parent rows whose dependents have to be looked at yet (engine/via.c); move: and follow them. */
struct via_row {
	uint32_t reg;
	struct cell key;
	bool move;
};
int via_put(struct db *db, const struct reg *r, struct cell key, bool move, struct err *err);
int via_next(struct db *db, uint32_t most, struct arena *a, struct via_row **ret, uint32_t *ret_n, struct err *err);
int via_drop(struct db *db, const struct via_row *v, struct err *err);
bool via_any(struct db *db);

/* Peers: every enrolled descendant. */
struct peer {
	uint64_t unit;
	char name[193];
	bool direct, revoked;
	struct slice chain;              /* PEM, leaf first, in the arena */
	uint8_t sign_public[32];
	char serial[41];
	int64_t until_s;                 /* end of its certificate */
	struct slice revocation;         /* of a revoked one: the segment that says so, as it was signed, in the arena */
};
int peer_get(struct db *db, uint64_t unit, struct arena *a, struct peer *ret, bool *ret_found, struct err *err);
int peer_put(struct db *db, const struct peer *p, int64_t at_ms, struct err *err);
int peer_each(struct db *db, struct arena *a, int (*fn)(void *arg, const struct peer *p), void *arg, struct err *err);
/* Those whose certificates, or revocations, the parent has not been told, at most `most`. */
int peer_untold(struct db *db, uint32_t most, struct arena *a, int (*fn)(void *arg, const struct peer *p), void *arg,
                struct err *err);
int peer_told(struct db *db, uint64_t unit, struct err *err);    /* UNIT_NONE: none is told any more */

/* A peer that is revoked or has left: its link, what waits for it and what it said of itself. */
int peer_forget(struct db *db, uint64_t unit, struct err *err);

/* Revocation: serial numbers, and up to where the streams of a revoked key are trusted. */
int revoked_put(struct db *db, const char *serial, uint64_t unit, const uint8_t sign_public[32], int64_t at_ms,
                struct err *err);
/* A serial number that a renewal replaced; with all of those and its own a peer is revoked. */
int serial_put(struct db *db, const char *serial, uint64_t unit, struct err *err);
int peer_revoke(struct db *db, const struct peer *p, int64_t at_ms, struct err *err);
/* The keys that the unit's former certificates named, newest first, at most 8. */
int revoked_keys(struct db *db, uint64_t unit, uint8_t ret[8][32], uint32_t *ret_n, struct err *err);
int revoked_each(struct db *db, int (*fn)(void *arg, const char *serial), void *arg, struct err *err);     /* sorted */
int revoked_has(struct db *db, const char *serial, bool *ret, struct err *err);
/* All serial numbers of the unit's present certificate and those that renewals replaced, ascending, in the arena. */
int serials_of(struct db *db, uint64_t unit, struct arena *a, uint32_t most, struct slice *ret, uint32_t *ret_n, struct err *err);
struct trusted {
	uint32_t epoch;
	uint64_t position;               /* 0 = nothing of the stream is trusted */
	struct digest hash;
};
int trusted_put(struct db *db, const uint8_t sign_public[32], uint64_t stream, const struct trusted *t, struct err *err);
int trusted_get(struct db *db, const uint8_t sign_public[32], uint64_t stream, struct trusted *ret, bool *ret_found,
                struct err *err);

struct invite {
	char name[193];
	struct digest secret;            /* BLAKE2b-256 of the secret */
	int64_t until_s, used_ms;        /* tree time; 0 = not used */
};
int invite_get(struct db *db, uint64_t unit, struct invite *ret, bool *ret_found, struct err *err);
int invite_put(struct db *db, uint64_t unit, const struct invite *i, struct err *err);    /* one before is void */
int invite_used(struct db *db, uint64_t unit, int64_t at_ms, struct err *err);

/* Descendants' status as told by the child on their path (core/status.h). */
int descendant_put(struct db *db, uint64_t unit, uint64_t via, struct slice body, int64_t at_ms, struct err *err);
int descendant_each(struct db *db, int (*fn)(void *arg, uint64_t unit, uint64_t via, struct slice body, int64_t at_ms),
                    void *arg, struct err *err);
/* Every policy list known here, encoded as count, then (issuer, version); and every policy that is not old. */
int policy_lists_each(struct db *db, int (*fn)(void *arg, struct slice body), void *arg, struct err *err);
/* One of them; *ret_n 0 = not known. */
int policy_list(struct db *db, uint64_t hash, struct arena *a, struct policy_entry **ret, uint32_t *ret_n, struct err *err);
int policy_states_each(struct db *db, int (*fn)(void *arg, uint64_t issuer, uint64_t version, const char *state), void *arg,
                       struct err *err);

#endif
