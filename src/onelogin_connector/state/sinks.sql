-- name: paused_sinks
-- Which sinks people paused.
SELECT sink, at, actor FROM paused_sinks ORDER BY sink;

-- name: pause_sink
-- Keep that a person paused a sink; who did it first stays.
INSERT INTO paused_sinks (sink, at, actor) VALUES (:sink, :now, :actor) ON CONFLICT (sink) DO NOTHING;

-- name: resume_sink
-- Keep that a sink may go on.
DELETE FROM paused_sinks WHERE sink = :sink;

-- name: sink_secrets
-- The secrets of a sink, by name, and what each is bound to.
SELECT name, bound_to FROM secrets WHERE kind = 'sink' AND id = :sink ORDER BY name;

-- name: sink_slots
-- How much the sinks took since a quarter of an hour.
SELECT sink, slot, delivered FROM sink_slots WHERE slot > :after ORDER BY sink, slot;

-- name: save_sink_slot
-- Replace how much a sink took in a quarter of an hour.
INSERT INTO sink_slots (sink, slot, delivered) VALUES (:sink, :slot, :delivered)
ON CONFLICT (sink, slot) DO UPDATE SET delivered = excluded.delivered;

-- name: prune_sink_slots
-- Remove what is older than a day.
DELETE FROM sink_slots WHERE slot <= :before;

-- name: forget_sink_slots
-- Remove what a sink took.
DELETE FROM sink_slots WHERE sink = :sink;

-- name: sink_counters
-- Where the counters of the sinks were.
SELECT sink, delivered, moved_at FROM sink_counters;

-- name: save_sink_counter
-- Replace where the counter of a sink was.
INSERT INTO sink_counters (sink, delivered, moved_at) VALUES (:sink, :delivered, :moved_at)
ON CONFLICT (sink) DO UPDATE SET delivered = excluded.delivered, moved_at = excluded.moved_at;

-- name: forget_sink_counter
-- Remove where the counter of a sink was.
DELETE FROM sink_counters WHERE sink = :sink;

-- name: forget_told_users
-- Forget what a sink was told of users, wherever it led.
DELETE FROM sent_users WHERE substr(target, 1, length(:sink) + 1) = :sink || ' ';

-- name: disown_checkpoint
-- Note that a sink's checkpoint in the journal has to go.
INSERT INTO ownerless_checkpoints (sink) VALUES (:sink) ON CONFLICT (sink) DO NOTHING;

-- name: ownerless_checkpoints
-- The sinks of which no checkpoint may be left in the journal.
SELECT sink FROM ownerless_checkpoints ORDER BY sink;

-- name: settle_checkpoint
-- Keep that a sink's checkpoint is gone, or that a new sink has it.
DELETE FROM ownerless_checkpoints WHERE sink = :sink;

-- name: made_sinks
-- The sinks made in the console.
SELECT id, settings FROM parts WHERE kind = 'sink' ORDER BY id;
