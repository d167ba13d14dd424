-- What people decided about connectors, whether the settings file or the console made them.
CREATE TABLE connector_wishes (
    connector TEXT PRIMARY KEY,
    wish TEXT NOT NULL CHECK (wish IN ('stopped', 'removed')),
    at REAL NOT NULL,
    actor TEXT NOT NULL
) STRICT;

-- Since when the checks of a target have the outcome of the latest.
ALTER TABLE checks ADD COLUMN since REAL NOT NULL DEFAULT 0;
UPDATE checks SET since = at;
