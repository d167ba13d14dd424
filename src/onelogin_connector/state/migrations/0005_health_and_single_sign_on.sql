-- Every change of state of every part, in order; the store gets a copy for queries.
CREATE TABLE health (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    record TEXT NOT NULL UNIQUE,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    part TEXT NOT NULL,
    connector TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    before TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('Success', 'Failure', 'Informational')),
    description TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX health_by_part ON health (kind, part, id);
CREATE INDEX health_by_time ON health (at);

-- Alarms of which the receiver of notices was told that they were raised, and not yet that they ended.
CREATE TABLE told_alarms (
    name TEXT PRIMARY KEY,
    notice TEXT NOT NULL
) STRICT;

-- Who an identity provider says somebody is: issuer and subject never change, the name may.
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user TEXT NOT NULL UNIQUE REFERENCES users (name) ON DELETE CASCADE,
    seen_at REAL NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT;
