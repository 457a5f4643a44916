-- Views for applications and SQL users, read-only: units as twelve digits, times RFC 3339 UTC.

CREATE VIEW terrace_conflicts AS
  SELECT id, strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000, 'unixepoch') AS at, kind, register, key, grp AS group_name,
    printf('%012d', unit) AS unit, kept_text AS kept, lost_text AS lost, base_text AS base,
    printf('%012d', lost_unit) AS lost_unit, printf('%012d', decider) AS decided_by, rule, why, say, state, note, actor
  FROM terrace_record WHERE kind IN ('superseded', 'edited-while-deleted');

CREATE VIEW terrace_returns AS
  SELECT id, strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000, 'unixepoch') AS at, kind, register, key, grp AS group_name,
    printf('%012d', unit) AS unit, kept_text AS kept, lost_text AS returned, printf('%012d', lost_unit) AS lost_unit,
    printf('%012d', decider) AS decided_by, rule, why AS reason, say, state, note, actor
  FROM terrace_record WHERE kind NOT IN ('superseded', 'edited-while-deleted');

CREATE VIEW terrace_proposals AS
  SELECT r.name AS register, a.key AS key, coalesce(g.name, 'row') AS group_name, printf('%012d', a.slot) AS unit,
    a.text AS proposed,
    CASE WHEN a.since > 0 THEN strftime('%Y-%m-%dT%H:%M:%SZ', a.since / 1000, 'unixepoch') END AS since
  FROM terrace_aside a JOIN terrace_register r ON r.number = a.register
    LEFT JOIN terrace_group g ON g.register = a.register AND g.number = a.grp
  WHERE a.open <> 0;

CREATE VIEW terrace_units AS
  SELECT printf('%012d', code) AS unit, name,
    CASE WHEN code % 1000 <> 0 THEN 'village' WHEN code % 1000000 <> 0 THEN 'township'
      WHEN code % 100000000 <> 0 THEN 'county' WHEN code % 10000000000 <> 0 THEN 'prefecture' ELSE 'province' END AS level,
    CASE WHEN code % 1000 <> 0 THEN printf('%012d', code - code % 1000)
      WHEN code % 1000000 <> 0 THEN printf('%012d', code - code % 1000000)
      WHEN code % 100000000 <> 0 THEN printf('%012d', code - code % 100000000)
      WHEN code % 10000000000 <> 0 THEN printf('%012d', code - code % 10000000000) END AS superior
  FROM terrace_unit;

-- One row: what waits here and what is open.  A link whose peer is no child is the one to the superior.
CREATE VIEW terrace_status AS
  SELECT (SELECT count(*) FROM terrace_log WHERE what IS NOT NULL) AS log_pending,
    (SELECT count(*) FROM terrace_outbox
      WHERE seq > coalesce((SELECT max(acked) FROM terrace_link WHERE peer NOT IN (SELECT unit FROM terrace_peer)), 0))
      AS pending_segments,
    (SELECT printf('%012d', peer) FROM terrace_link WHERE peer NOT IN (SELECT unit FROM terrace_peer)
      ORDER BY contact DESC LIMIT 1) AS superior,
    (SELECT strftime('%Y-%m-%dT%H:%M:%SZ', contact / 1000, 'unixepoch') FROM terrace_link
      WHERE peer NOT IN (SELECT unit FROM terrace_peer) AND contact > 0 ORDER BY contact DESC LIMIT 1) AS last_contact,
    (SELECT count(*) FROM terrace_quarantine WHERE dropped IS NULL) AS quarantine,
    (SELECT count(*) FROM terrace_record WHERE state = 'open' AND kind IN ('superseded', 'edited-while-deleted'))
      AS conflicts_open,
    (SELECT count(*) FROM terrace_aside WHERE open <> 0) AS proposals_open,
    (SELECT count(*) FROM terrace_record WHERE state = 'open' AND kind NOT IN ('superseded', 'edited-while-deleted'))
      AS returns_open,
    (SELECT count(*) FROM terrace_issue WHERE state = 'open') AS issues_open;
