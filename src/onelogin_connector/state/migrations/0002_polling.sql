-- How far each poller has come: its marks and the window it is reading, as JSON.
CREATE TABLE polls (
    connector TEXT PRIMARY KEY,
    marks TEXT NOT NULL
) STRICT;

-- What the sweeps found of each finished hour. Hours count from 1970, microseconds too.
CREATE TABLE swept_hours (
    connector TEXT NOT NULL,
    hour INTEGER NOT NULL,
    sweeps INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    listed INTEGER NOT NULL,
    digest TEXT NOT NULL,
    at REAL NOT NULL,
    due_us INTEGER,
    PRIMARY KEY (connector, hour)
) STRICT;
CREATE INDEX swept_hours_by_due ON swept_hours (connector, due_us) WHERE due_us IS NOT NULL;

-- The unfinished backfill of a connector, as JSON, so that it continues after a kill.
CREATE TABLE backfills (
    connector TEXT PRIMARY KEY,
    mark TEXT NOT NULL
) STRICT;
