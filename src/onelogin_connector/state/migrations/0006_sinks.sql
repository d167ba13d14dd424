-- Sinks that a person paused, whether the settings file or the console made them: they stay so over a restart.
CREATE TABLE paused_sinks (
    sink TEXT PRIMARY KEY,
    at REAL NOT NULL,
    actor TEXT NOT NULL
) STRICT;

-- How much each sink took in which quarter of an hour since 1970, for the last day.
CREATE TABLE sink_slots (
    sink TEXT NOT NULL,
    slot INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    PRIMARY KEY (sink, slot)
) STRICT, WITHOUT ROWID;

-- Where the counter of each sink was when its slots were written, and when it rose last.
CREATE TABLE sink_counters (
    sink TEXT PRIMARY KEY,
    delivered INTEGER NOT NULL,
    moved_at REAL
) STRICT;
