-- What each destination was last told of each user, so that only changes are sent.
CREATE TABLE sent_users (
    target TEXT NOT NULL,    -- a sink, and where it leads
    connector TEXT NOT NULL,
    id INTEGER NOT NULL,
    digest BLOB NOT NULL,    -- of what was sent
    at REAL NOT NULL,        -- Unix seconds
    PRIMARY KEY (target, connector, id)
) STRICT, WITHOUT ROWID;
