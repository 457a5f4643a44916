-- The daemon's tables, first form.  Only SQL of SQLite 3.8.3: the application may be older than we are.
-- Marks are (tick, epoch); units are 12-digit codes as integers; hashes and encoded values are blobs whose form
-- terrace-wire(7) gives.  Keys of rows stand in one cell (core/value.h).  Numbers of registers, columns and groups
-- are local (store/catalog.h).

CREATE TABLE terrace_meta(name TEXT NOT NULL PRIMARY KEY, value) WITHOUT ROWID;

-- capture
CREATE TABLE terrace_log(seq INTEGER PRIMARY KEY, what INTEGER, key, old);
CREATE TABLE terrace_register(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, audited INTEGER);
CREATE TABLE terrace_column(register INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY(register, number)) WITHOUT ROWID;
CREATE TABLE terrace_group(register INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY(register, number)) WITHOUT ROWID;
-- direct children that are enrolled: rows of their scope are theirs to write (peer_put keeps it)
CREATE TABLE terrace_manned(unit INTEGER NOT NULL PRIMARY KEY);
CREATE TABLE terrace_displaced(register INTEGER NOT NULL, key NOT NULL, number INTEGER NOT NULL, value,
  PRIMARY KEY(register, key, number)) WITHOUT ROWID;
-- rows that went back to what stood while the log held more than one slice: entries up to `upto` are done with
CREATE TABLE terrace_back(register INTEGER NOT NULL, key NOT NULL, upto INTEGER NOT NULL,
  PRIMARY KEY(register, key)) WITHOUT ROWID;

-- state: one table terrace_s<register> a register (store/capture.c makes it), and what stands beside it
CREATE TABLE terrace_version(id INTEGER PRIMARY KEY, body BLOB NOT NULL UNIQUE);
-- values that do not stand in the register's table: proposals (slot = author), groups of other lives and of dead
-- rows (slot = 0), known lives (grp = -1); since: when a proposal came here (ms); open: 1 = it waits for a decision
CREATE TABLE terrace_aside(register INTEGER NOT NULL, key NOT NULL, life_unit INTEGER NOT NULL,
  life_tick INTEGER NOT NULL, life_epoch INTEGER NOT NULL, grp INTEGER NOT NULL, slot INTEGER NOT NULL,
  value BLOB, text TEXT, since INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(register, key, life_unit, life_tick, life_epoch, grp, slot)) WITHOUT ROWID;
CREATE INDEX terrace_aside_open ON terrace_aside(register, key) WHERE open <> 0;
CREATE TABLE terrace_overflow(register INTEGER NOT NULL, key NOT NULL, grp TEXT NOT NULL, name TEXT NOT NULL, cell BLOB,
  PRIMARY KEY(register, key, grp, name)) WITHOUT ROWID;
-- dropped: when a person gave one up (ms): the table keeps what it shows, nothing tries it until another value comes
CREATE TABLE terrace_quarantine(id INTEGER PRIMARY KEY, register INTEGER NOT NULL, key NOT NULL, alive INTEGER NOT NULL,
  value BLOB, why TEXT NOT NULL, since INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, dropped INTEGER, reason TEXT,
  actor TEXT, UNIQUE(register, key));
-- units in which a row has been before it moved: what their nodes wrote before they knew of it is judged like any other
CREATE TABLE terrace_was(register INTEGER NOT NULL, key NOT NULL, unit INTEGER NOT NULL,
  PRIMARY KEY(register, key, unit)) WITHOUT ROWID;
CREATE TABLE terrace_digest(register INTEGER NOT NULL, unit INTEGER NOT NULL, sum BLOB NOT NULL, rows INTEGER NOT NULL,
  pending INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(register, unit)) WITHOUT ROWID;
CREATE TABLE terrace_tombstone(register INTEGER NOT NULL, key NOT NULL, since INTEGER NOT NULL,
  PRIMARY KEY(register, key)) WITHOUT ROWID;
-- tombstones and removals held here, since when (tree time, s); told: the parent has dropped it
CREATE TABLE terrace_marker(register INTEGER NOT NULL, key NOT NULL, unit INTEGER NOT NULL, since INTEGER NOT NULL,
  told INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(register, key)) WITHOUT ROWID;
-- what a child was sent as a marker, and will be told that it is gone; due: it is being told
CREATE TABLE terrace_gone(peer INTEGER NOT NULL, register INTEGER NOT NULL, key NOT NULL, value BLOB NOT NULL,
  since INTEGER NOT NULL, due INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(peer, register, key)) WITHOUT ROWID;
CREATE TABLE terrace_need(peer INTEGER NOT NULL, register TEXT NOT NULL, key NOT NULL, since INTEGER NOT NULL,
  PRIMARY KEY(peer, register, key)) WITHOUT ROWID;

-- epochs, streams, segments
CREATE TABLE terrace_epoch(epoch INTEGER NOT NULL PRIMARY KEY, unit INTEGER NOT NULL, former INTEGER NOT NULL,
  tick INTEGER NOT NULL, position INTEGER NOT NULL DEFAULT 0);
CREATE TABLE terrace_stream(author INTEGER NOT NULL, stream INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL,
  settled INTEGER NOT NULL DEFAULT 0, list INTEGER NOT NULL DEFAULT 0, epoch INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(author, stream)) WITHOUT ROWID;
CREATE TABLE terrace_segment(id INTEGER PRIMARY KEY, author INTEGER NOT NULL, kind INTEGER NOT NULL, stream INTEGER NOT NULL,
  position INTEGER NOT NULL, epoch INTEGER NOT NULL, tick INTEGER NOT NULL, hash BLOB NOT NULL, at INTEGER NOT NULL,
  origin INTEGER NOT NULL, settled INTEGER NOT NULL DEFAULT 0, bytes BLOB NOT NULL,
  UNIQUE(author, kind, stream, position, epoch));
CREATE INDEX terrace_segment_mark ON terrace_segment(author, epoch, tick);
CREATE TABLE terrace_outbox(seq INTEGER PRIMARY KEY, segment INTEGER NOT NULL, head BLOB NOT NULL);
CREATE TABLE terrace_reported(author INTEGER NOT NULL, tick INTEGER NOT NULL, epoch INTEGER NOT NULL, list INTEGER NOT NULL,
  PRIMARY KEY(author, tick, epoch)) WITHOUT ROWID;
-- kind 0: a neighbour's receipt; 1: settled, by the level of record (empty body: to be made when it is sent)
CREATE TABLE terrace_receipt(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, author INTEGER NOT NULL,
  stream INTEGER NOT NULL, signer INTEGER NOT NULL, position INTEGER NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL,
  UNIQUE(kind, author, stream, signer));
CREATE INDEX terrace_outbox_segment ON terrace_outbox(segment);

-- neighbours: peer = unit of a child, or of the parent
CREATE TABLE terrace_peer(unit INTEGER NOT NULL PRIMARY KEY, name TEXT, direct INTEGER NOT NULL DEFAULT 0,
  chain BLOB, sign_key BLOB, serial TEXT, revoked INTEGER NOT NULL DEFAULT 0, enrolled INTEGER, told INTEGER NOT NULL DEFAULT 0,
  until INTEGER NOT NULL DEFAULT 0, revocation BLOB);
-- certificates of a peer that were renewed: they go when it is revoked
CREATE TABLE terrace_serial(serial TEXT NOT NULL PRIMARY KEY, unit INTEGER NOT NULL) WITHOUT ROWID;
-- certificates that were revoked or replaced; what their key had signed before stays valid
CREATE TABLE terrace_revoked(serial TEXT NOT NULL PRIMARY KEY, unit INTEGER NOT NULL, sign_key BLOB,
  at INTEGER NOT NULL) WITHOUT ROWID;
-- of a revoked signing key: the last segment of each stream that is trusted; position 0 = none of it
CREATE TABLE terrace_trusted(sign_key BLOB NOT NULL, stream INTEGER NOT NULL, epoch INTEGER NOT NULL,
  position INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY(sign_key, stream)) WITHOUT ROWID;
CREATE TABLE terrace_link(peer INTEGER NOT NULL PRIMARY KEY, received INTEGER NOT NULL DEFAULT 0, received_head BLOB,
  acked INTEGER NOT NULL DEFAULT 0, acked_head BLOB, built INTEGER NOT NULL DEFAULT 0, fed INTEGER NOT NULL DEFAULT 0,
  fed_hash BLOB, position INTEGER NOT NULL DEFAULT 0, position_hash BLOB, epoch INTEGER NOT NULL DEFAULT 0,
  tick INTEGER NOT NULL DEFAULT 0, superseded INTEGER NOT NULL DEFAULT 0, healed INTEGER NOT NULL DEFAULT 0,
  heal INTEGER NOT NULL DEFAULT 0, twin INTEGER NOT NULL DEFAULT 0, contact INTEGER, digest TEXT, digest_at INTEGER,
  differs_at INTEGER NOT NULL DEFAULT 0, mending INTEGER NOT NULL DEFAULT 0, hello INTEGER NOT NULL DEFAULT 0,
  answered INTEGER NOT NULL DEFAULT 0, healed_by INTEGER NOT NULL DEFAULT 0,
  rest INTEGER NOT NULL DEFAULT 0);
-- what the last comparison with a neighbour found, register by register; unit 0: of the whole scope
CREATE TABLE terrace_compared(peer INTEGER NOT NULL, register TEXT NOT NULL, unit INTEGER NOT NULL, found TEXT NOT NULL,
  at INTEGER NOT NULL, PRIMARY KEY(peer, register, unit)) WITHOUT ROWID;
-- rows whose table is not what the record says, as an audit found them (store/findings.h)
CREATE TABLE terrace_finding(register INTEGER NOT NULL, key NOT NULL, kind INTEGER NOT NULL, asked INTEGER NOT NULL DEFAULT 0,
  since INTEGER NOT NULL, PRIMARY KEY(register, key)) WITHOUT ROWID;
-- rows that a reconciliation found different; held: the peer has the row; body: its state as the peer tells it
CREATE TABLE terrace_difference(peer INTEGER NOT NULL, register INTEGER NOT NULL, key NOT NULL, held INTEGER NOT NULL,
  body BLOB, at INTEGER NOT NULL, PRIMARY KEY(peer, register, key)) WITHOUT ROWID;
CREATE TABLE terrace_built(peer INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY(peer, number)) WITHOUT ROWID;
CREATE TABLE terrace_dirty(peer INTEGER NOT NULL, register INTEGER NOT NULL, key NOT NULL, groups INTEGER NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(peer, register, key)) WITHOUT ROWID;
CREATE INDEX terrace_dirty_sent ON terrace_dirty(peer, sent);
CREATE TABLE terrace_dirty_item(peer INTEGER NOT NULL, kind INTEGER NOT NULL, id INTEGER NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(peer, kind, id)) WITHOUT ROWID;
CREATE TABLE terrace_cursor(peer INTEGER NOT NULL, register INTEGER NOT NULL, key, started INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(peer, register)) WITHOUT ROWID;
-- registers whose table had rows before their policy came: keep NULL = waits for `terracectl adopt`
CREATE TABLE terrace_adoption(register INTEGER NOT NULL PRIMARY KEY, keep TEXT, actor TEXT, total INTEGER NOT NULL DEFAULT 0,
  done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE terrace_seal_cursor(register INTEGER NOT NULL PRIMARY KEY, key, started INTEGER NOT NULL DEFAULT 0, why TEXT);
CREATE TABLE terrace_invite(unit INTEGER NOT NULL PRIMARY KEY, name TEXT, secret BLOB NOT NULL, until INTEGER NOT NULL,
  used INTEGER);

-- rows of a register that others take their unit from (unit = via), whose dependents have to be looked at yet; move: and moved
CREATE TABLE terrace_via(register INTEGER NOT NULL, key NOT NULL, move INTEGER NOT NULL, PRIMARY KEY(register, key)) WITHOUT ROWID;

-- policy and units
CREATE TABLE terrace_policy(issuer INTEGER NOT NULL, version INTEGER NOT NULL, canonical BLOB NOT NULL, segment INTEGER,
  state TEXT NOT NULL, note TEXT, at INTEGER NOT NULL, PRIMARY KEY(issuer, version)) WITHOUT ROWID;
CREATE TABLE terrace_policy_list(hash INTEGER NOT NULL PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE terrace_unit(code INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL);

-- for people
CREATE TABLE terrace_record(id INTEGER PRIMARY KEY, register TEXT NOT NULL, key NOT NULL, grp TEXT NOT NULL,
  lost_unit INTEGER NOT NULL, lost_tick INTEGER NOT NULL, lost_epoch INTEGER NOT NULL, unit INTEGER NOT NULL,
  kind TEXT NOT NULL, why TEXT, rule INTEGER NOT NULL, decider INTEGER NOT NULL, policy INTEGER NOT NULL,
  at INTEGER NOT NULL, tree_time INTEGER NOT NULL, kept BLOB, lost BLOB, base BLOB, kept_text TEXT, lost_text TEXT,
  base_text TEXT, say TEXT, vouched INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'open', note TEXT, actor TEXT,
  UNIQUE(register, key, grp, lost_unit, lost_tick, lost_epoch));
CREATE INDEX terrace_record_open ON terrace_record(register, key, grp) WHERE state = 'open';
CREATE TABLE terrace_issue(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, register TEXT, key, unit INTEGER, text TEXT NOT NULL,
  since INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'open', note TEXT, actor TEXT, UNIQUE(kind, register, key));
-- rows whose identity was found in another unit too; hash: of the identity
CREATE TABLE terrace_duplicate(register INTEGER NOT NULL, key NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY(register, key)) WITHOUT ROWID;
CREATE INDEX terrace_duplicate_hash ON terrace_duplicate(register, hash);
CREATE TABLE terrace_event(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, level INTEGER NOT NULL,
  peer INTEGER, segment TEXT, text TEXT NOT NULL);
CREATE TABLE terrace_descendant(unit INTEGER NOT NULL PRIMARY KEY, via INTEGER NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL);
