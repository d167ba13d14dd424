-- Who may sign in. A user without a password signs in by a link and then sets one.
CREATE TABLE users (
    name TEXT PRIMARY KEY CHECK (name = lower(name)),
    role TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'viewer')),
    password_hash TEXT NOT NULL,
    created_at REAL NOT NULL
) STRICT;

-- One-time sign-in links, by the SHA-256 of what stands in the link.
CREATE TABLE links (
    hash BLOB PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    expires_at REAL NOT NULL
) STRICT;

-- Sessions of the console, by the SHA-256 of the cookie.
CREATE TABLE sessions (
    hash BLOB PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    peer TEXT NOT NULL
) STRICT;

-- Tokens of the API, by their SHA-256.
CREATE TABLE api_tokens (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'viewer')),
    created_by TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL,
    used_at REAL
) STRICT;

-- What webhooks authenticate with, by its SHA-256; two of a connector are valid during a rotation.
CREATE TABLE webhook_tokens (
    hash BLOB PRIMARY KEY,
    connector TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL
) STRICT;
CREATE INDEX webhook_tokens_by_connector ON webhook_tokens (connector);

-- Who did what. Rows are only ever added.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

-- Connectors and sinks made in the console. Their secrets stand in `secrets`.
CREATE TABLE parts (
    kind TEXT NOT NULL CHECK (kind IN ('connector', 'sink')),
    id TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;

-- Encrypted secrets of parts, each bound to the host it may be sent to.
CREATE TABLE secrets (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    bound_to TEXT NOT NULL,
    cipher BLOB NOT NULL,
    PRIMARY KEY (kind, id, name),
    FOREIGN KEY (kind, id) REFERENCES parts (kind, id) ON DELETE CASCADE
) STRICT;

-- The latest check of each connector and sink.
CREATE TABLE checks (
    target TEXT PRIMARY KEY,
    ok INTEGER NOT NULL,
    at REAL NOT NULL,
    stages TEXT NOT NULL
) STRICT;

-- Queries that people kept.
CREATE TABLE saved_queries (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    author TEXT NOT NULL,
    updated_at REAL NOT NULL
) STRICT;
