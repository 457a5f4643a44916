/* Statements: every SQL text of the daemon that is not generated, one row each, by the module that uses it. */
#ifndef STORE_STATEMENTS_H
#define STORE_STATEMENTS_H

#define STATEMENT_TABLE(X) \
	/* db */ \
	X(META_GET, "SELECT value FROM terrace_meta WHERE name = ?1") \
	X(META_PUT, "INSERT OR REPLACE INTO terrace_meta(name, value) VALUES(?1, ?2)") \
	/* state */ \
	X(SET_BY_ID, "SELECT body FROM terrace_version WHERE id = ?1") \
	X(SET_BY_BODY, "SELECT id FROM terrace_version WHERE body = ?1") \
	X(SET_ADD, "INSERT INTO terrace_version(body) VALUES(?1)") \
	X(ASIDE_LOAD, "SELECT life_unit, life_tick, life_epoch, grp, slot, value, since FROM terrace_aside WHERE register = ?1 AND key = ?2") \
	X(ASIDE_CLEAR, "DELETE FROM terrace_aside WHERE register = ?1 AND key = ?2") \
	X(ASIDE_ADD, "INSERT INTO terrace_aside(register, key, life_unit, life_tick, life_epoch, grp, slot, value, text, since, open) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)") \
	X(DIGEST_GET, "SELECT unit, sum, rows, pending FROM terrace_digest WHERE register = ?1") \
	X(DIGEST_ONE, "SELECT sum, rows, pending FROM terrace_digest WHERE register = ?1 AND unit = ?2") \
	X(DIGEST_PUT, "INSERT OR REPLACE INTO terrace_digest(register, unit, sum, rows, pending) VALUES(?1, ?2, ?3, ?4, ?5)") \
	X(DIGEST_PENDING, "SELECT coalesce(sum(pending), 0) FROM terrace_digest") \
	/* engine */ \
	X(EPOCH_GET, "SELECT former, tick FROM terrace_epoch WHERE epoch = ?1") \
	X(EPOCH_ADD, "INSERT OR IGNORE INTO terrace_epoch(epoch, unit, former, tick, position) VALUES(?1, ?2, ?3, ?4, ?5)") \
	X(CHILDREN, "SELECT unit FROM terrace_peer WHERE direct = 1 AND revoked = 0 ORDER BY unit") \
	X(REPORTED, "SELECT tick, epoch, list FROM terrace_reported WHERE author = ?1") \
	X(LIST_GET, "SELECT body FROM terrace_policy_list WHERE hash = ?1") \
	X(LIST_PUT, "INSERT OR IGNORE INTO terrace_policy_list(hash, body) VALUES(?1, ?2)") \
	X(LIST_POLICY, "SELECT canonical FROM terrace_policy WHERE issuer = ?1 AND version = ?2") \
	X(LIST_POLICY_VERSION, "SELECT version FROM terrace_policy WHERE issuer = ?1 AND state IN ('active', 'last')") \
	X(UNIT_KNOWN, "SELECT name FROM terrace_unit WHERE code = ?1") \
	X(UNIT_ANY, "SELECT 1 FROM terrace_unit LIMIT 1") \
	X(SEALED_WAITS, "SELECT 1 FROM terrace_segment s JOIN terrace_stream t ON t.author = s.author AND t.stream = s.stream WHERE s.author = ?1 AND s.kind = 1 AND s.settled = 0 AND s.position > t.settled AND s.tick <= ?2 LIMIT 1") \
	X(PEER_NAME, "SELECT name FROM terrace_peer WHERE unit = ?1") \
	X(SCHEMA_VERSION, "PRAGMA schema_version") \
	X(DATA_VERSION, "PRAGMA data_version") \
	X(SEAL_CURSOR_ANY, "SELECT 1 FROM terrace_seal_cursor LIMIT 1") \
	X(SEAL_CURSOR, "SELECT key, started, why FROM terrace_seal_cursor WHERE register = ?1") \
	X(SEAL_CURSOR_PUT, "INSERT OR REPLACE INTO terrace_seal_cursor(register, key, started, why) VALUES(?1, ?2, ?3, ?4)") \
	X(SEAL_CURSOR_END, "DELETE FROM terrace_seal_cursor WHERE register = ?1") \
	X(ADOPTION_GET, "SELECT keep, total, done FROM terrace_adoption WHERE register = ?1") \
	X(ADOPTION_PUT, "INSERT OR REPLACE INTO terrace_adoption(register, keep, actor, total) VALUES(?1, ?2, ?3, ?4)") \
	X(ADOPTION_STEP, "UPDATE terrace_adoption SET done = done + ?2 WHERE register = ?1") \
	X(ADOPTION_END, "DELETE FROM terrace_adoption WHERE register = ?1") \
	/* policybox */ \
	X(POLICY_PUT, "INSERT OR REPLACE INTO terrace_policy(issuer, version, canonical, segment, state, note, at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)") \
	X(POLICY_LATEST, "SELECT max(version) FROM terrace_policy WHERE issuer = ?1") \
	X(POLICY_STATE, "UPDATE terrace_policy SET state = ?3, note = ?4, at = ?5 WHERE issuer = ?1 AND version = ?2") \
	X(POLICY_RETIRE, "UPDATE terrace_policy SET state = CASE state WHEN 'active' THEN 'last' ELSE 'old' END WHERE issuer = ?1 AND version <> ?2 AND state IN ('active', 'last')") \
	X(POLICY_GET, "SELECT canonical, state FROM terrace_policy WHERE issuer = ?1 AND version = ?2") \
	X(POLICY_ACTIVE, "SELECT version, canonical FROM terrace_policy WHERE issuer = ?1 AND state = 'active'") \
	X(POLICY_FAILED, "SELECT 1 FROM terrace_policy p WHERE p.state = 'failed' AND p.version > coalesce((SELECT max(a.version) FROM terrace_policy a WHERE a.issuer = p.issuer AND a.state = 'active'), 0) LIMIT 1") \
	X(POLICY_STAGED, "SELECT version, canonical FROM terrace_policy WHERE issuer = ?1 AND state = 'staged' ORDER BY version LIMIT 1") \
	X(BROADCASTS, "SELECT id FROM terrace_segment WHERE kind >= 3 ORDER BY id") \
	X(BROADCASTS_UP, "INSERT OR REPLACE INTO terrace_dirty_item(peer, kind, id, sent) SELECT ?1, 1, id, 0 FROM terrace_segment WHERE kind IN (3, 4, 5) AND author <> ?2") \
	X(ITEM_KIND, "SELECT EXISTS(SELECT 1 FROM terrace_dirty_item WHERE peer = ?1 AND kind = ?2)") \
	X(TIME_DROP, "DELETE FROM terrace_segment WHERE kind = 6 AND author = ?1 AND position < ?2") \
	X(UNITS_CLEAR, "DELETE FROM terrace_unit") \
	X(UNIT_ADD, "INSERT OR REPLACE INTO terrace_unit(code, name) VALUES(?1, ?2)") \
	/* table */ \
	X(FOREIGN_KEYS, "SELECT m.name, f.id, f.\"table\", f.\"from\", coalesce(f.\"to\", (SELECT name FROM pragma_table_info(f.\"table\") WHERE pk = f.seq + 1)) FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq") \
	X(TABLE_QUARANTINE, "SELECT value FROM terrace_quarantine WHERE register = ?1 AND key = ?2") \
	X(OVERFLOW_LOAD, "SELECT grp, name, cell FROM terrace_overflow WHERE register = ?1 AND key = ?2 ORDER BY grp, name") \
	X(OVERFLOW_PUT, "INSERT OR REPLACE INTO terrace_overflow(register, key, grp, name, cell) VALUES(?1, ?2, ?3, ?4, ?5)") \
	X(OVERFLOW_CLEAR, "DELETE FROM terrace_overflow WHERE register = ?1 AND key = ?2") \
	X(OVERFLOW_DROP, "DELETE FROM terrace_overflow WHERE register = ?1 AND key = ?2 AND grp = ?3 AND name = ?4") \
	/* capture, catalog */ \
	X(CATALOG_POLICIES, "SELECT issuer, version, canonical FROM terrace_policy WHERE state = 'active' ORDER BY issuer, version") \
	X(CATALOG_TABLE, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1 COLLATE NOCASE AND sql NOT LIKE 'CREATE VIRTUAL%'") \
	X(CATALOG_COLUMNS, "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main')") \
	X(CATALOG_UNIQUE, "SELECT name, origin, partial FROM pragma_index_list(?1, 'main') WHERE \"unique\" ORDER BY name") \
	X(CATALOG_INDEX, "SELECT name, coll FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno") \
	X(CATALOG_PARENTS, "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1, 'main')") \
	X(CATALOG_REGISTERS, "SELECT number, name FROM terrace_register WHERE ?1 = 0") \
	X(CATALOG_COLUMN_NUMBERS, "SELECT number, name FROM terrace_column WHERE register = ?1 ORDER BY number") \
	X(CATALOG_GROUP_NUMBERS, "SELECT number, name FROM terrace_group WHERE register = ?1 ORDER BY number") \
	X(CATALOG_REGISTER_ADD, "INSERT INTO terrace_register(number, name) SELECT ?2, ?3 WHERE ?1 = 0") \
	X(CATALOG_COLUMN_ADD, "INSERT INTO terrace_column(register, number, name) VALUES(?1, ?2, ?3)") \
	X(CATALOG_GROUP_ADD, "INSERT INTO terrace_group(register, number, name) VALUES(?1, ?2, ?3)") \
	X(RELEASE_WAITS, "SELECT (SELECT count(*) FROM terrace_log WHERE what IS NOT NULL), (SELECT count(*) FROM terrace_outbox WHERE seq > coalesce((SELECT max(acked) FROM terrace_link WHERE peer NOT IN (SELECT unit FROM terrace_peer)), 0))") \
	X(RELEASE_OURS, "SELECT name FROM sqlite_master WHERE type = ?1 AND name LIKE 'terrace\\_%' ESCAPE '\\'") \
	X(BACKUP_MODE, "PRAGMA journal_mode") \
	X(BACKUP_LOOK, "SELECT count(*) FROM sqlite_master") \
	X(SURVEY_SCHEMA, "SELECT sql FROM sqlite_master WHERE type IN ('table', 'view') AND sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'terrace\\_%' ESCAPE '\\' ORDER BY rowid") \
	X(SURVEY_TRIGGERS, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND name NOT LIKE 'terrace\\_%' ESCAPE '\\' ORDER BY name") \
	X(SURVEY_ORPHANS, "SELECT f.fkid, f.parent, count(*) FROM pragma_foreign_key_check(?1) f GROUP BY f.fkid, f.parent ORDER BY f.fkid") \
	X(SURVEY_TABLES, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'terrace\\_%' ESCAPE '\\' ORDER BY name") \
	X(SURVEY_SQL, "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = ?1 COLLATE NOCASE AND sql IS NOT NULL AND name NOT LIKE 'terrace\\_%' ESCAPE '\\' ORDER BY type, name") \
	X(LOCAL_STANDING, "SELECT name FROM sqlite_temp_master WHERE type = 'trigger'") \
	X(LOCAL_TRIGGER, "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND name = ?2 COLLATE NOCASE") \
	X(CAPTURE_STANDING, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name GLOB ?1 ORDER BY name") \
	X(LOG_LOOK, "INSERT INTO terrace_log(what, key) VALUES(?1, ?2)") \
	X(LOG_PENDING, "SELECT what IS NOT NULL FROM terrace_log ORDER BY seq DESC LIMIT 1") \
	X(LOG_READ, "SELECT seq, what, key, old FROM terrace_log WHERE seq > ?1 AND what IS NOT NULL ORDER BY seq LIMIT ?2") \
	X(LOG_READ_ROW, "SELECT seq, what, key, old FROM terrace_log WHERE seq > ?1 AND what >> 16 = ?2 AND key = ?3 ORDER BY seq") \
	X(LOG_BACK_PUT, "INSERT OR REPLACE INTO terrace_back(register, key, upto) VALUES(?1, ?2, ?3)") \
	X(LOG_BACK_ANY, "SELECT 1 FROM terrace_back LIMIT 1") \
	X(LOG_BACK_OF, "SELECT upto FROM terrace_back WHERE register = ?1 AND key = ?2") \
	X(LOG_BACK_CLEAR, "DELETE FROM terrace_back") \
	X(LOG_LAST, "SELECT max(seq) FROM terrace_log") \
	X(LOG_DROP, "DELETE FROM terrace_log WHERE seq <= ?1 AND seq < (SELECT max(seq) FROM terrace_log)") \
	X(LOG_EMPTY, "UPDATE terrace_log SET what = NULL, key = NULL, old = NULL WHERE seq = (SELECT max(seq) FROM terrace_log) AND seq <= ?1") \
	X(DISPLACED_CLEAR, "DELETE FROM terrace_displaced") \
	/* (end of capture, catalog) */ \
	/* outbox, links */ \
	X(STREAM_GET, "SELECT position, hash, settled, list, epoch FROM terrace_stream WHERE author = ?1 AND stream = ?2") \
	X(STREAM_PUT, "INSERT OR REPLACE INTO terrace_stream(author, stream, position, hash, settled, list, epoch) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)") \
	X(STREAM_FORGET, "DELETE FROM terrace_stream WHERE author BETWEEN ?1 AND ?2 AND stream < 256") \
	X(STREAM_HEADS, "SELECT author, stream, position, hash FROM terrace_stream WHERE author BETWEEN ?1 AND ?2 AND stream < 256 ORDER BY author, stream LIMIT ?3") \
	X(STREAM_SUMS, "SELECT coalesce(sum(position), 0), coalesce(sum(settled), 0) FROM terrace_stream WHERE author = ?1 AND stream < 256") \
	X(SEGMENT_ADD, "INSERT INTO terrace_segment(author, kind, stream, position, epoch, tick, hash, at, origin, bytes) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)") \
	X(SEGMENT_BYTES, "SELECT bytes FROM terrace_segment WHERE id = ?1") \
	X(SEGMENT_FIND, "SELECT id, hash FROM terrace_segment WHERE author = ?1 AND kind = ?2 AND stream = ?3 AND position = ?4 ORDER BY id DESC LIMIT 1") \
	X(SEGMENT_FIND_EPOCH, "SELECT id, hash FROM terrace_segment WHERE author = ?1 AND kind = ?2 AND stream = ?3 AND position = ?4 AND epoch = ?5") \
	X(SEGMENT_OF_MARK, "SELECT 1 FROM terrace_segment WHERE author = ?1 AND kind = 1 AND epoch = ?2 AND tick >= ?3 LIMIT 1") \
	X(SEGMENTS_OF_SEAL, "SELECT id, position FROM terrace_segment WHERE author = ?1 AND epoch = ?2 AND kind = 1 AND stream = ?4 AND tick = (SELECT min(tick) FROM terrace_segment WHERE author = ?1 AND epoch = ?2 AND kind = 1 AND stream = ?4 AND tick >= ?3) ORDER BY position") \
	X(SEGMENT_SETTLED, "UPDATE terrace_segment SET settled = ?4 WHERE author = ?1 AND kind = 1 AND stream = ?2 AND position <= ?3 AND settled = 0") \
	X(SEGMENT_RECLAIM, "DELETE FROM terrace_segment WHERE id IN (SELECT id FROM terrace_segment WHERE kind = 1 AND (at < ?2 OR author = ?1 AND settled <> 0 AND settled < ?3) AND NOT EXISTS(SELECT 1 FROM terrace_outbox o WHERE o.segment = terrace_segment.id) LIMIT ?4)") \
	X(OUTBOX_HEAD, "SELECT seq, head FROM terrace_outbox ORDER BY seq DESC LIMIT 1") \
	X(OUTBOX_FIRST, "SELECT seq, head FROM terrace_outbox ORDER BY seq LIMIT 1") \
	X(OUTBOX_AT, "SELECT head FROM terrace_outbox WHERE seq = ?1") \
	X(OUTBOX_ADD, "INSERT INTO terrace_outbox(seq, segment, head) VALUES(?1, ?2, ?3)") \
	X(OUTBOX_EACH, "SELECT o.seq, s.bytes FROM terrace_outbox o JOIN terrace_segment s ON s.id = o.segment WHERE o.seq > ?1 ORDER BY o.seq") \
	X(OUTBOX_WAITING, "SELECT count(*), coalesce(sum(length(s.bytes)), 0), min(s.at), coalesce(sum(s.author = ?2), 0) FROM terrace_outbox o JOIN terrace_segment s ON s.id = o.segment WHERE o.seq > ?1") \
	X(OUTBOX_RECLAIM, "DELETE FROM terrace_outbox WHERE seq < ?1 AND seq < coalesce((SELECT min(o.seq) FROM terrace_outbox o JOIN terrace_segment s ON s.id = o.segment WHERE s.settled = 0 OR s.settled >= ?2), ?1)") \
	X(REPORTED_PUT, "INSERT OR IGNORE INTO terrace_reported(author, tick, epoch, list) VALUES(?1, ?2, ?3, ?4)") \
	X(RECEIPT_PUT, "INSERT INTO terrace_receipt(kind, author, stream, signer, position, body, at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(kind, author, stream, signer) DO UPDATE SET position = excluded.position, body = excluded.body, at = excluded.at") \
	X(RECEIPT_ID, "SELECT id FROM terrace_receipt WHERE kind = ?1 AND author = ?2 AND stream = ?3 AND signer = ?4") \
	X(RECEIPT_GET, "SELECT kind, author, stream, signer, position, body FROM terrace_receipt WHERE id = ?1") \
	X(RECEIPT_BODY, "UPDATE terrace_receipt SET body = ?2, position = ?3 WHERE id = ?1") \
	X(LINK_GET, "SELECT peer, received, received_head, acked, acked_head, built, fed, fed_hash, position, position_hash, epoch, tick, superseded, healed, heal, twin, contact, hello, answered, healed_by FROM terrace_link WHERE peer = ?1") \
	X(LINK_ALL, "SELECT peer, received, received_head, acked, acked_head, built, fed, fed_hash, position, position_hash, epoch, tick, superseded, healed, heal, twin, contact, hello, answered, healed_by FROM terrace_link WHERE ?1 = 0 ORDER BY peer") \
	X(LINK_PUT, "INSERT INTO terrace_link(peer, received, received_head, acked, acked_head, built, fed, fed_hash, position, position_hash, epoch, tick, superseded, healed, heal, twin, contact, hello, answered, healed_by) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20) ON CONFLICT(peer) DO UPDATE SET received = ?2, received_head = ?3, acked = ?4, acked_head = ?5, built = ?6, fed = ?7, fed_hash = ?8, position = ?9, position_hash = ?10, epoch = ?11, tick = ?12, superseded = ?13, healed = ?14, heal = ?15, twin = ?16, contact = ?17, hello = ?18, answered = ?19, healed_by = ?20") \
	X(LINK_DROP, "DELETE FROM terrace_link WHERE peer = ?1") \
	X(LINK_UNHEAL, "UPDATE terrace_link SET healed = 0 WHERE peer <> ?1") \
	X(LINK_DIGEST_GET, "SELECT digest, digest_at FROM terrace_link WHERE peer = ?1") \
	X(LINK_DIGEST_PUT, "UPDATE terrace_link SET digest = ?2, digest_at = ?3 WHERE peer = ?1") \
	X(LINK_MENDING_GET, "SELECT mending, differs_at FROM terrace_link WHERE peer = ?1") \
	X(LINK_MENDING_PUT, "UPDATE terrace_link SET mending = ?2, differs_at = ?3 WHERE peer = ?1") \
	X(COMPARED_PUT, "INSERT OR REPLACE INTO terrace_compared(peer, register, unit, found, at) VALUES(?1, ?2, ?3, ?4, ?5)") \
	X(COMPARED_EACH, "SELECT register, unit, found, at FROM terrace_compared WHERE peer = ?1 ORDER BY register, unit") \
	X(COMPARED_DROP, "DELETE FROM terrace_compared WHERE peer = ?1 AND unit <> 0") \
	X(FINDING_PUT, "INSERT OR REPLACE INTO terrace_finding(register, key, kind, asked, since) VALUES(?1, ?2, ?3, ?4, ?5)") \
	X(FINDING_CLEAR, "DELETE FROM terrace_finding WHERE register = ?1 AND key = ?2") \
	X(FINDING_FORGET, "DELETE FROM terrace_finding WHERE register = ?1 AND asked = 0") \
	X(FINDING_GET, "SELECT kind, asked FROM terrace_finding WHERE register = ?1 AND key = ?2") \
	X(FINDING_EACH, "SELECT register, key, kind, asked FROM terrace_finding WHERE ?1 = 0 ORDER BY register, key") \
	X(FINDING_ANY, "SELECT 1 FROM terrace_finding LIMIT 1") \
	X(FINDING_COUNT, "SELECT count(*) FROM terrace_finding WHERE register = ?1") \
	X(FINDING_ISSUE, "SELECT 1 FROM terrace_issue WHERE register = ?1 AND key = ?2 AND state = 'open' LIMIT 1") \
	X(WALKING, "SELECT 1 FROM terrace_seal_cursor WHERE register = ?1") \
	X(DIFFERENCE_PUT, "INSERT OR REPLACE INTO terrace_difference(peer, register, key, held, body, at) VALUES(?1, ?2, ?3, ?4, ?5, ?6)") \
	X(DIFFERENCE_EACH, "SELECT register, key, held, body FROM terrace_difference WHERE peer = ?1 ORDER BY register, key") \
	X(DIFFERENCE_ANY, "SELECT 1 FROM terrace_difference LIMIT 1") \
	X(DIFFERENCE_HAS, "SELECT 1 FROM terrace_difference WHERE peer = ?1 AND register = ?2 AND key = ?3") \
	X(DIFFERENCE_FORGET, "DELETE FROM terrace_difference WHERE peer = ?1") \
	X(COMPARED_FORGET, "DELETE FROM terrace_compared WHERE peer = ?1") \
	X(DIRTY_MARK, "INSERT INTO terrace_dirty(peer, register, key, groups, sent) VALUES(?1, ?2, ?3, ?4, 0) ON CONFLICT(peer, register, key) DO UPDATE SET groups = groups | ?4, sent = 0") \
	X(DIRTY_HAS, "SELECT 1 FROM terrace_dirty WHERE peer = ?1 AND register = ?2 AND key = ?3") \
	X(DIRTY_REWIND, "UPDATE terrace_dirty SET sent = 0 WHERE peer = ?1 AND sent > ?2") \
	X(DIRTY_DONE, "DELETE FROM terrace_dirty WHERE peer = ?1 AND sent BETWEEN 1 AND ?2") \
	X(DIRTY_COUNT, "SELECT (SELECT count(*) FROM terrace_dirty WHERE peer = ?1) + (SELECT count(*) FROM terrace_dirty_item WHERE peer = ?1)") \
	X(DIRTY_ANY, "SELECT EXISTS(SELECT 1 FROM terrace_dirty WHERE peer = ?1) OR EXISTS(SELECT 1 FROM terrace_dirty_item WHERE peer = ?1) OR EXISTS(SELECT 1 FROM terrace_cursor WHERE peer = ?1)") \
	X(DIRTY_UNSENT, "SELECT EXISTS(SELECT 1 FROM terrace_dirty WHERE peer = ?1 AND sent = 0) OR EXISTS(SELECT 1 FROM terrace_dirty_item WHERE peer = ?1 AND sent = 0) OR EXISTS(SELECT 1 FROM terrace_cursor WHERE peer = ?1)") \
	X(DIRTY_DROP, "DELETE FROM terrace_dirty WHERE peer = ?1") \
	X(DIRTY_MOVE, "INSERT INTO terrace_dirty(peer, register, key, groups, sent) SELECT ?2, register, key, groups, 0 FROM terrace_dirty WHERE peer = ?1 ON CONFLICT(peer, register, key) DO UPDATE SET groups = groups | excluded.groups, sent = 0") \
	X(DIRTY_ROWS, "SELECT register, key, groups FROM terrace_dirty AS d WHERE peer = ?1 AND sent = 0 AND NOT EXISTS(SELECT 1 FROM terrace_cursor AS c WHERE c.peer = ?1 AND c.register = d.register AND (c.started = 0 OR d.key > c.key)) ORDER BY register, key LIMIT ?2") \
	X(DIRTY_SENT, "INSERT INTO terrace_dirty(peer, register, key, groups, sent) VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(peer, register, key) DO UPDATE SET groups = groups | ?4, sent = ?5") \
	X(DIRTY_FORGET, "DELETE FROM terrace_dirty WHERE peer = ?1 AND register = ?2 AND key = ?3") \
	X(ITEM_MARK, "INSERT INTO terrace_dirty_item(peer, kind, id, sent) VALUES(?1, ?2, ?3, 0) ON CONFLICT(peer, kind, id) DO UPDATE SET sent = 0") \
	X(ITEM_REWIND, "UPDATE terrace_dirty_item SET sent = 0 WHERE peer = ?1 AND sent > ?2") \
	X(ITEM_DONE, "DELETE FROM terrace_dirty_item WHERE peer = ?1 AND sent BETWEEN 1 AND ?2") \
	X(ITEM_DROP, "DELETE FROM terrace_dirty_item WHERE peer = ?1") \
	X(ITEM_MOVE, "INSERT INTO terrace_dirty_item(peer, kind, id, sent) SELECT ?2, kind, id, 0 FROM terrace_dirty_item WHERE peer = ?1 AND kind < 7 ON CONFLICT(peer, kind, id) DO UPDATE SET sent = 0") \
	X(ITEM_ROWS, "SELECT kind, id FROM terrace_dirty_item WHERE peer = ?1 AND sent = 0 ORDER BY kind, id LIMIT ?2") \
	X(ITEM_SENT, "UPDATE terrace_dirty_item SET sent = ?4 WHERE peer = ?1 AND kind = ?2 AND id = ?3") \
	X(ITEM_FORGET, "DELETE FROM terrace_dirty_item WHERE peer = ?1 AND kind = ?2 AND id = ?3") \
	X(ITEM_RECORDS, "INSERT OR REPLACE INTO terrace_dirty_item(peer, kind, id, sent) SELECT ?1, 2, id, 0 FROM terrace_record WHERE lost_unit BETWEEN ?1 AND ?2") \
	X(ITEM_EPOCHS, "INSERT OR REPLACE INTO terrace_dirty_item(peer, kind, id, sent) SELECT ?1, 3, epoch, 0 FROM terrace_epoch WHERE unit BETWEEN ?1 AND ?2 OR unit IN (?3, ?4, ?5, ?6)") \
	X(ITEM_SETTLEDS, "INSERT OR REPLACE INTO terrace_dirty_item(peer, kind, id, sent) SELECT ?1, 4, id, 0 FROM terrace_receipt WHERE kind = 1 AND author BETWEEN ?1 AND ?2") \
	X(EPOCH_ROW, "SELECT unit, former, tick, position FROM terrace_epoch WHERE epoch = ?1") \
	X(CURSOR_START, "INSERT OR REPLACE INTO terrace_cursor(peer, register, key, started) VALUES(?1, ?2, NULL, 0)") \
	X(CURSOR_GET, "SELECT key, started FROM terrace_cursor WHERE peer = ?1 AND register = ?2") \
	X(CURSOR_PUT, "UPDATE terrace_cursor SET key = ?3, started = 1 WHERE peer = ?1 AND register = ?2") \
	X(CURSOR_END, "DELETE FROM terrace_cursor WHERE peer = ?1 AND register = ?2") \
	X(CURSOR_DROP, "DELETE FROM terrace_cursor WHERE peer = ?1") \
	X(CURSOR_OPEN, "SELECT 1 FROM terrace_cursor WHERE peer = ?1 LIMIT 1") \
	X(BUILT_ADD, "INSERT OR REPLACE INTO terrace_built(peer, number, hash) VALUES(?1, ?2, ?3)") \
	X(BUILT_GET, "SELECT hash FROM terrace_built WHERE peer = ?1 AND number = ?2") \
	X(BUILT_DONE, "DELETE FROM terrace_built WHERE peer = ?1 AND number <= ?2") \
	X(BUILT_DROP, "DELETE FROM terrace_built WHERE peer = ?1") \
	X(NEED_ADD, "INSERT OR IGNORE INTO terrace_need(peer, register, key, since) VALUES(?1, ?2, ?3, ?4)") \
	X(NEED_DONE, "DELETE FROM terrace_need WHERE peer = ?1 AND register = ?2 AND key = ?3") \
	X(NEED_EACH, "SELECT register, key FROM terrace_need WHERE peer = ?1 ORDER BY register, key LIMIT ?2") \
	X(NEED_DROP, "DELETE FROM terrace_need WHERE peer = ?1") \
	X(NEED_COUNT, "SELECT count(*) FROM terrace_need WHERE peer = ?1") \
	X(NEED_COUNT_ALL, "SELECT count(*) FROM terrace_need WHERE ?1 = 0") \
	X(NEED_MOVE, "UPDATE OR REPLACE terrace_need SET peer = ?2 WHERE peer = ?1") \
	X(PEER_GET, "SELECT unit, name, direct, revoked, chain, sign_key, serial, until, revocation FROM terrace_peer WHERE unit = ?1") \
	X(PEER_ALL, "SELECT unit, name, direct, revoked, chain, sign_key, serial, until, revocation FROM terrace_peer WHERE ?1 = 1 OR (told = 0 AND (revoked = 0 OR revocation IS NOT NULL)) ORDER BY unit LIMIT ?2") \
	X(PEER_PUT, "INSERT INTO terrace_peer(unit, name, direct, revoked, chain, sign_key, serial, enrolled, until, revocation) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT(unit) DO UPDATE SET told = CASE WHEN chain IS ?5 AND revoked = ?4 THEN told ELSE 0 END, name = ?2, direct = ?3, revoked = ?4, chain = ?5, sign_key = ?6, serial = ?7, until = ?9, revocation = ?10") \
	X(MANNED_ADD, "INSERT OR IGNORE INTO terrace_manned(unit) VALUES(?1)") \
	X(MANNED_DROP, "DELETE FROM terrace_manned WHERE unit = ?1") \
	X(PEER_TOLD, "UPDATE terrace_peer SET told = 1 WHERE unit = ?1") \
	X(PEER_UNTOLD, "UPDATE terrace_peer SET told = 0 WHERE ?1 = 0") \
	X(SERIAL_PUT, "INSERT OR REPLACE INTO terrace_serial(serial, unit) VALUES(?1, ?2)") \
	X(SERIALS_OF, "SELECT serial FROM terrace_serial WHERE unit = ?1 UNION SELECT serial FROM terrace_peer WHERE unit = ?1 AND serial <> '' ORDER BY 1") \
	X(SERIALS_REVOKE, "INSERT OR IGNORE INTO terrace_revoked(serial, unit, sign_key, at) SELECT serial, unit, ?2, ?3 FROM terrace_serial WHERE unit = ?1") \
	X(SERIALS_DROP, "DELETE FROM terrace_serial WHERE unit = ?1") \
	X(REVOKED_PUT, "INSERT OR IGNORE INTO terrace_revoked(serial, unit, sign_key, at) VALUES(?1, ?2, ?3, ?4)") \
	X(REVOKED_ALL, "SELECT serial FROM terrace_revoked WHERE ?1 = 0 UNION SELECT serial FROM terrace_peer WHERE revoked <> 0 AND serial IS NOT NULL ORDER BY 1") \
	X(REVOKED_HAS, "SELECT 1 FROM terrace_revoked WHERE serial = ?1") \
	X(REVOKED_KEYS, "SELECT sign_key FROM terrace_revoked WHERE unit = ?1 AND length(sign_key) = 32 GROUP BY sign_key ORDER BY max(at) DESC LIMIT 8") \
	X(TRUSTED_PUT, "INSERT OR REPLACE INTO terrace_trusted(sign_key, stream, epoch, position, hash) VALUES(?1, ?2, ?3, ?4, ?5)") \
	X(TRUSTED_GET, "SELECT epoch, position, hash FROM terrace_trusted WHERE sign_key = ?1 AND stream = ?2") \
	X(INVITE_GET, "SELECT name, secret, until, used FROM terrace_invite WHERE unit = ?1") \
	X(INVITE_PUT, "INSERT OR REPLACE INTO terrace_invite(unit, name, secret, until, used) VALUES(?1, ?2, ?3, ?4, NULL)") \
	X(RECORD_CLOSE, "UPDATE terrace_record SET state = 'closed', note = ?2, actor = ?3 WHERE id = ?1 AND state = 'open'") \
	X(ISSUE_OPEN, "SELECT 1 FROM terrace_issue WHERE kind = ?1 AND register IS ?2 AND key IS ?3 AND state = 'open'") \
	X(ISSUE_CLOSE, "UPDATE terrace_issue SET state = 'closed', note = ?2, actor = ?3 WHERE id = ?1 AND state = 'open'") \
	X(INVITE_USED, "UPDATE terrace_invite SET used = ?2 WHERE unit = ?1") \
	X(DESCENDANT_PUT, "INSERT OR REPLACE INTO terrace_descendant(unit, via, body, at) VALUES(?1, ?2, ?3, ?4)") \
	X(DESCENDANT_DROP, "DELETE FROM terrace_descendant WHERE unit = ?1") \
	X(DESCENDANT_ALL, "SELECT unit, via, body, at FROM terrace_descendant WHERE ?1 = 0 ORDER BY unit") \
	X(LISTS_ALL, "SELECT body FROM terrace_policy_list WHERE ?1 = 0 ORDER BY hash") \
	X(LIST_ONE, "SELECT body FROM terrace_policy_list WHERE hash = ?1") \
	X(POLICY_STATES, "SELECT issuer, version, state FROM terrace_policy WHERE ?1 = 0 AND state <> 'old' ORDER BY issuer, version") \
	X(MARKER_ADD, "INSERT OR IGNORE INTO terrace_tombstone(register, key, since) VALUES(?1, ?2, ?3)") \
	X(MARKER_ALL, "SELECT register, key FROM terrace_tombstone AS t WHERE NOT EXISTS(SELECT 1 FROM terrace_dirty AS d WHERE d.peer = ?1 AND d.register = t.register AND d.key = t.key) LIMIT ?2") \
	X(VIA_PUT, "INSERT INTO terrace_via(register, key, move) VALUES(?1, ?2, ?3) ON CONFLICT(register, key) DO UPDATE SET move = max(move, ?3)") \
	X(VIA_NEXT, "SELECT register, key, move FROM terrace_via LIMIT ?1") \
	X(VIA_DROP, "DELETE FROM terrace_via WHERE register = ?1 AND key = ?2") \
	X(MARKER_ANY, "SELECT 1 FROM terrace_tombstone LIMIT 1") \
	X(MARKER_DROP, "DELETE FROM terrace_tombstone WHERE register = ?1 AND key = ?2") \
	X(HELD_PUT, "INSERT INTO terrace_marker(register, key, unit, since) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(register, key) DO UPDATE SET unit = ?3, since = ?4, told = 0") \
	X(HELD_FORGET, "DELETE FROM terrace_marker WHERE register = ?1 AND key = ?2") \
	X(HELD_TOLD, "UPDATE terrace_marker SET told = 1 WHERE register = ?1 AND key = ?2") \
	X(HELD_DUE, "SELECT register, key, unit, since FROM terrace_marker WHERE (register > ?1 OR register = ?1 AND (?2 IS NULL OR key > ?2)) AND (told <> 0 OR ?3 <> 0 AND since BETWEEN 1 AND ?4) ORDER BY register, key LIMIT ?5") \
	X(GONE_PUT, "INSERT OR REPLACE INTO terrace_gone(peer, register, key, value, since, due) VALUES(?1, ?2, ?3, ?4, ?5, ?6)") \
	X(GONE_GET, "SELECT value FROM terrace_gone WHERE peer = ?1 AND register = ?2 AND key = ?3") \
	X(GONE_ANY, "SELECT 1 FROM terrace_gone WHERE peer = ?1 LIMIT 1") \
	X(GONE_FORGET, "DELETE FROM terrace_gone WHERE peer = ?1 AND register = ?2 AND key = ?3") \
	X(GONE_READY, "SELECT g.peer, g.register, g.key FROM terrace_gone AS g JOIN terrace_link AS l ON l.peer = g.peer WHERE g.due = 0 AND g.since <= ?1 AND l.rest > g.since LIMIT ?2") \
	X(GONE_DUE, "UPDATE terrace_gone SET due = 1 WHERE peer = ?1 AND register = ?2 AND key = ?3") \
	X(GONE_SETTLED, "DELETE FROM terrace_gone WHERE due <> 0 AND NOT EXISTS(SELECT 1 FROM terrace_dirty AS d WHERE d.peer = terrace_gone.peer AND d.register = terrace_gone.register AND d.key = terrace_gone.key)") \
	X(LINK_REST_PUT, "UPDATE terrace_link SET rest = ?2 WHERE peer = ?1") \
	X(LINK_REST, "SELECT rest FROM terrace_link WHERE peer = ?1") \
	/* (end of outbox, links) */ \
	/* records */ \
	X(RECORD_SAME, "SELECT id, decider FROM terrace_record WHERE register = ?1 AND key = ?2 AND grp = ?3 AND lost_unit = ?4 AND lost_tick = ?5 AND lost_epoch = ?6") \
	X(RECORD_LATER, "SELECT 1 FROM terrace_record WHERE register = ?1 AND key = ?2 AND grp = ?3 AND lost_unit = ?4 AND (lost_tick > ?5 OR lost_tick = ?5 AND lost_epoch > ?6) LIMIT 1") \
	X(RECORD_EARLIER, "DELETE FROM terrace_record WHERE register = ?1 AND key = ?2 AND grp = ?3 AND lost_unit = ?4 AND (lost_tick < ?5 OR lost_tick = ?5 AND lost_epoch < ?6) AND state = 'open'") \
	X(RECORD_ADD, "INSERT INTO terrace_record(id, register, key, grp, lost_unit, lost_tick, lost_epoch, unit, kind, why, rule, decider, policy, at, tree_time, kept, lost, base, kept_text, lost_text, base_text, say, vouched, state, note, actor) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26) ON CONFLICT(id) DO UPDATE SET unit = ?8, kind = ?9, why = ?10, rule = ?11, decider = ?12, policy = ?13, at = ?14, tree_time = ?15, kept = ?16, lost = ?17, base = ?18, kept_text = ?19, lost_text = ?20, base_text = ?21, say = ?22, vouched = ?23") \
	X(RECORD_GET, "SELECT id, register, key, grp, lost_unit, lost_tick, lost_epoch, unit, kind, why, rule, decider, policy, at, tree_time, kept, lost, base, kept_text, lost_text, base_text, say, vouched, state, note, actor FROM terrace_record WHERE id = ?1") \
	X(RECORD_ANY_OPEN, "SELECT 1 FROM terrace_record WHERE state = 'open' LIMIT 1") \
	X(RECORD_OPEN_OF, "SELECT id, lost_unit, lost_tick, lost_epoch, lost FROM terrace_record WHERE register = ?1 AND key = ?2 AND grp = ?3 AND state = 'open'") \
	X(RECORD_END, "UPDATE terrace_record SET state = ?2 WHERE id = ?1 AND state = 'open'") \
	X(WAS_ADD, "INSERT INTO terrace_was(register, key, unit) SELECT ?1, ?2, ?3 WHERE NOT EXISTS(SELECT 1 FROM terrace_was WHERE register = ?1 AND key = ?2 AND unit = ?3)") \
	X(WAS_EACH, "SELECT unit FROM terrace_was WHERE register = ?1 AND key = ?2") \
	X(WAS_CLEAR, "DELETE FROM terrace_was WHERE register = ?1 AND key = ?2") \
	X(QUARANTINE_PUT, "INSERT INTO terrace_quarantine(register, key, alive, value, why, since, tries) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 1) ON CONFLICT(register, key) DO UPDATE SET alive = ?3, value = ?4, why = ?5, tries = tries + 1, dropped = CASE WHEN value IS ?4 AND alive = ?3 THEN dropped END") \
	X(QUARANTINE_GET, "SELECT alive, value FROM terrace_quarantine WHERE register = ?1 AND key = ?2") \
	X(QUARANTINE_DROP, "DELETE FROM terrace_quarantine WHERE register = ?1 AND key = ?2") \
	X(QUARANTINE_ANY, "SELECT 1 FROM terrace_quarantine LIMIT 1") \
	X(QUARANTINE_WAITS, "SELECT 1 FROM terrace_quarantine WHERE dropped IS NULL LIMIT 1") \
	X(QUARANTINE_EACH, "SELECT id, register, key, dropped IS NOT NULL FROM terrace_quarantine WHERE id > ?1 ORDER BY id") \
	X(QUARANTINE_DROPPED, "SELECT 1 FROM terrace_quarantine WHERE register = ?1 AND key = ?2 AND dropped IS NOT NULL") \
	X(QUARANTINE_GIVE_UP, "UPDATE terrace_quarantine SET dropped = ?2, reason = ?3, actor = ?4 WHERE id = ?1 AND dropped IS NULL") \
	X(QUARANTINE_AGAIN, "UPDATE terrace_quarantine SET dropped = NULL WHERE id = ?1") \
	X(ISSUE_NOTED, "UPDATE terrace_issue SET state = 'closed', note = ?4, actor = ?5 WHERE kind = ?1 AND register IS ?2 AND key IS ?3") \
	X(ISSUE_AGAIN, "UPDATE terrace_issue SET text = ?5, unit = ?4, since = CASE WHEN state = 'open' THEN since ELSE ?6 END, state = 'open' WHERE kind = ?1 AND register IS ?2 AND key IS ?3") \
	X(ISSUE_ADD, "INSERT INTO terrace_issue(kind, register, key, unit, text, since) VALUES(?1, ?2, ?3, ?4, ?5, ?6)") \
	X(ISSUE_ANY, "SELECT 1 FROM terrace_issue WHERE kind = ?1 AND register = ?2 AND state = 'open' LIMIT 1") \
	X(ISSUE_SOLVED, "UPDATE terrace_issue SET state = 'solved' WHERE kind = ?1 AND register IS ?2 AND key IS ?3 AND state = 'open'") \
	X(SAME_INDEX, "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?1") \
	X(DUPLICATE_PUT, "INSERT INTO terrace_duplicate(register, key, hash) VALUES(?1, ?2, ?3) ON CONFLICT(register, key) DO UPDATE SET hash = ?3") \
	X(DUPLICATE_GET, "SELECT hash FROM terrace_duplicate WHERE register = ?1 AND key = ?2") \
	X(DUPLICATE_DROP, "DELETE FROM terrace_duplicate WHERE register = ?1 AND key = ?2") \
	X(DUPLICATE_EACH, "SELECT key FROM terrace_duplicate WHERE register = ?1 AND hash = ?2 LIMIT ?3") \
	X(DUPLICATE_CLEAR, "DELETE FROM terrace_duplicate WHERE register = ?1") \
	X(DUPLICATE_SOLVED, "UPDATE terrace_issue SET state = 'solved' WHERE kind = 'duplicate-identity' AND register = ?1 AND state = 'open'") \
	X(EVENT_ADD, "INSERT INTO terrace_event(at, kind, level, peer, segment, text) VALUES(?1, ?2, ?3, ?4, ?5, ?6)") \
	X(EVENT_RECLAIM, "DELETE FROM terrace_event WHERE id IN (SELECT id FROM terrace_event WHERE at < ?1 ORDER BY id LIMIT ?2)") \
	X(RECORD_RECLAIM, "DELETE FROM terrace_record WHERE id IN (SELECT id FROM terrace_record WHERE state <> 'open' AND at < ?1 ORDER BY id LIMIT ?2)") \
	X(ISSUE_RECLAIM, "DELETE FROM terrace_issue WHERE id IN (SELECT id FROM terrace_issue WHERE state <> 'open' AND since < ?1 ORDER BY id LIMIT ?2)") \
	X(COUNTS, "SELECT (SELECT count(*) FROM terrace_quarantine WHERE dropped IS NULL), (SELECT count(*) FROM terrace_record WHERE state = 'open' AND kind IN ('superseded', 'edited-while-deleted')), (SELECT count(*) FROM terrace_aside WHERE open <> 0), (SELECT count(*) FROM terrace_record WHERE state = 'open' AND kind NOT IN ('superseded', 'edited-while-deleted')), (SELECT count(*) FROM terrace_issue WHERE state = 'open') WHERE ?1 = 0") \
	/* (end of records) */ \
	/* reports */ \
	X(REPORT_RECORDS, "SELECT id, register, key, grp, lost_unit, lost_tick, lost_epoch, unit, kind, why, rule, decider, policy, at, tree_time, kept, lost, base, kept_text, lost_text, base_text, say, vouched, state, note, actor FROM terrace_record WHERE (?1 = 0 OR id = ?1) AND (?2 IS NULL OR register = ?2 COLLATE NOCASE) AND (?3 IS NULL OR key = ?3) AND (?4 IS NULL OR grp = ?4) AND (?5 = 0 OR unit BETWEEN ?5 AND ?6 OR lost_unit BETWEEN ?5 AND ?6) AND at >= ?7 AND (?8 <> 0 OR state = 'open') AND (?9 = 0 OR (?9 = 1) = (kind IN ('superseded', 'edited-while-deleted'))) ORDER BY at, id") \
	X(REPORT_ISSUES, "SELECT id, since, kind, register, text, state, note, actor, key, unit FROM terrace_issue WHERE (?1 = 0 OR id = ?1) AND (?2 IS NULL OR register = ?2 COLLATE NOCASE) AND (?3 IS NULL OR key = ?3) AND (?5 = 0 OR unit BETWEEN ?5 AND ?6) AND since >= ?7 AND (?8 <> 0 OR state = 'open') ORDER BY id") \
	X(REPORT_QUARANTINE, "SELECT id, since, tries, register, key, alive, why, dropped, CASE WHEN dropped IS NOT NULL THEN reason END, CASE WHEN dropped IS NOT NULL THEN actor END FROM terrace_quarantine WHERE ?1 <> 0 OR dropped IS NULL UNION ALL SELECT 0, i.since, 0, r.number, i.key, 1, 'too-large: ' || i.text, NULL, NULL, NULL FROM terrace_issue i JOIN terrace_register r ON r.name = i.register WHERE i.kind = 'too-large' AND i.state = 'open' ORDER BY id") \
	X(REPORT_PROPOSALS, "SELECT a.register, a.grp, a.key, a.slot, a.value, a.text, a.since, a.open, r.name, coalesce(g.name, 'row') FROM terrace_aside a JOIN terrace_register r ON r.number = a.register LEFT JOIN terrace_group g ON g.register = a.register AND g.number = a.grp WHERE a.open <> 0 AND (?1 IS NULL OR r.name = ?1 COLLATE NOCASE) ORDER BY a.register, a.key, a.grp, a.slot") \
	X(REPORT_PROPOSALS_CLOSED, "SELECT a.register, a.grp, a.key, a.slot, a.value, a.text, a.since, a.open, r.name, coalesce(g.name, 'row') FROM terrace_aside a JOIN terrace_register r ON r.number = a.register LEFT JOIN terrace_group g ON g.register = a.register AND g.number = a.grp WHERE a.slot <> 0 AND a.open = 0 AND (?1 IS NULL OR r.name = ?1 COLLATE NOCASE) ORDER BY a.register, a.key, a.grp, a.slot") \
	X(REPORT_EVENTS, "SELECT id, at, kind, segment, text, level, peer FROM terrace_event WHERE (?5 = 0 OR peer BETWEEN ?5 AND ?6) AND at >= ?7 AND (?10 IS NULL OR kind = ?10) ORDER BY id") \
	X(REPORT_POLICIES, "SELECT issuer, version, state, note, at FROM terrace_policy WHERE ?1 = 0 ORDER BY issuer, version") \
	X(REPORT_UNITS, "SELECT code, name FROM terrace_unit WHERE ?1 = 0 ORDER BY code") \
	X(REPORT_PEERS, "SELECT unit, name, serial, direct, revoked, enrolled, until FROM terrace_peer WHERE ?1 = 0 ORDER BY unit") \
	X(REPORT_SEGMENTS, "SELECT id, at, settled, length(bytes), author, stream, position, tick, origin, kind, epoch FROM terrace_segment WHERE ?1 = 0 OR author = ?1 ORDER BY id") \
	X(REPORT_EVIDENCE, "SELECT id, bytes FROM terrace_segment WHERE author = ?1 AND kind = 1 AND epoch = ?2 AND tick = ?3 ORDER BY stream, position LIMIT -1 OFFSET ?4") \
	X(REPORT_LOG_ROWS, "SELECT count(*) FROM terrace_log WHERE what IS NOT NULL AND ?1 = 0") \
	X(REPORT_OLDEST, "SELECT min(s.at) FROM terrace_segment s JOIN terrace_stream t ON t.author = s.author AND t.stream = s.stream WHERE s.author = ?1 AND s.kind = 1 AND s.settled = 0 AND s.position > t.settled") \
	X(REPORT_WALKS, "SELECT register FROM terrace_seal_cursor WHERE ?1 = 0 ORDER BY register") \
	X(REPORT_WAITING, "SELECT count(*) FROM terrace_quarantine WHERE register = ?1 AND alive <> 0") \
	X(REPORT_MARKERS, "SELECT count(*) FROM terrace_marker WHERE ?1 = 0") \
	X(REPORT_LAST_SEGMENT, "SELECT max(id) FROM terrace_segment WHERE ?1 = 0") \
	X(VERIFY_SEGMENTS, "SELECT id, author, kind, stream, position, epoch, tick, hash, bytes FROM terrace_segment ORDER BY id") \
	X(VERIFY_PREVIOUS, "SELECT hash FROM terrace_segment WHERE author = ?1 AND kind = ?2 AND stream = ?3 AND position = ?4") \
	X(VERIFY_STREAMS, "SELECT author, stream, position, hash, CASE WHEN stream < 256 THEN 1 ELSE stream >> 8 END, CASE WHEN stream < 256 THEN stream ELSE author END FROM terrace_stream WHERE position > 0") \
	X(VERIFY_OUTBOX, "SELECT o.seq, o.head, s.bytes FROM terrace_outbox o LEFT JOIN terrace_segment s ON s.id = o.segment ORDER BY o.seq") \
	X(VERIFY_RECEIPTS, "SELECT id, kind, author, stream, signer, position, body FROM terrace_receipt WHERE length(body) > 0") \
	X(VERIFY_POLICIES, "SELECT issuer, version, canonical, coalesce(segment, 0) FROM terrace_policy") \
	X(VERIFY_LISTS, "SELECT hash, body FROM terrace_policy_list") \
	X(VERIFY_VERSIONS, "SELECT id FROM terrace_version") \
	X(VERIFY_FOREIGN, "PRAGMA foreign_key_check") \
	X(REPORT_CHECK, "PRAGMA quick_check") \
	X(REPORT_CHECK_DEEP, "PRAGMA integrity_check") \
	/* (end of reports) */

enum statement_id {
#define X(id, sql) SQL_##id,
	STATEMENT_TABLE(X)
#undef X
	STATEMENT_COUNT
};

#endif
