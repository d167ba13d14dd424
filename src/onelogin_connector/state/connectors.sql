-- name: wishes
-- What people decided about connectors.
SELECT connector, wish, at, actor FROM connector_wishes ORDER BY connector;

-- name: save_wish
-- Keep a decision.
INSERT INTO connector_wishes (connector, wish, at, actor) VALUES (:connector, :wish, :now, :actor)
ON CONFLICT (connector) DO UPDATE SET wish = excluded.wish, at = excluded.at, actor = excluded.actor;

-- name: remove_wish
-- Take a decision back.
DELETE FROM connector_wishes WHERE connector = :connector;

-- name: save_outcome
-- Keep the latest check of a target, and since when checks end as this one did.
INSERT INTO checks (target, ok, at, stages, since) VALUES (:target, :ok, :at, :stages, :at)
ON CONFLICT (target) DO UPDATE SET
    since = CASE WHEN checks.ok = excluded.ok AND checks.since > 0 THEN checks.since ELSE excluded.at END,
    ok = excluded.ok, at = excluded.at, stages = excluded.stages;

-- name: outcomes
-- The latest check of every target.
SELECT target, ok, at, stages, since FROM checks ORDER BY target;

-- name: remove_outcome
-- Forget the check of a target.
DELETE FROM checks WHERE target = :target;

-- name: secret_of
-- Where a connector's secret may be sent.
SELECT bound_to FROM secrets WHERE kind = 'connector' AND id = :id AND name = :name;

-- name: forget_poll
-- Forget how far a poller has come.
DELETE FROM polls WHERE connector = :connector;

-- name: forget_swept_hours
-- Forget what the sweeps of a connector found.
DELETE FROM swept_hours WHERE connector = :connector;

-- name: forget_backfill
-- Forget the unfinished backfill of a connector.
DELETE FROM backfills WHERE connector = :connector;

-- name: made
-- The connectors made in the console, and whether a secret of theirs is kept.
SELECT id, settings, EXISTS (
    SELECT 1 FROM secrets WHERE secrets.kind = parts.kind AND secrets.id = parts.id
) FROM parts WHERE kind = 'connector' ORDER BY id;

-- name: removed
-- The connectors that people removed although the program brings them.
SELECT connector FROM connector_wishes WHERE wish = 'removed';
