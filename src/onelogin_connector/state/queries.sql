-- name: add_user
-- Add a user, unless the name is taken.
INSERT INTO users (name, role, password_hash, created_at) VALUES (:name, :role, :password_hash, :now)
ON CONFLICT DO NOTHING;

-- name: users
-- All users by name.
SELECT name, role, created_at FROM users ORDER BY name;

-- name: user
-- One user with the password's hash.
SELECT name, role, created_at, password_hash FROM users WHERE name = :name;

-- name: set_password
-- Replace a password's hash.
UPDATE users SET password_hash = :password_hash WHERE name = :name;

-- name: remove_user
-- Remove a user with sessions and links, unless it is the last administrator.
DELETE FROM users WHERE name = :name
AND (role <> 'admin' OR password_hash = ''
    OR (SELECT count(*) FROM users WHERE role = 'admin' AND password_hash <> '') > 1);

-- name: count_admins
-- How many administrators there are who can sign in without an identity provider.
SELECT count(*) AS count FROM users WHERE role = 'admin' AND password_hash <> '';

-- name: add_link
-- Keep a one-time sign-in link.
INSERT INTO links (hash, user, expires_at) VALUES (:hash, :user, :expires_at);

-- name: use_link
-- Take a link away and say whose it was.
DELETE FROM links WHERE hash = :hash RETURNING user, expires_at;

-- name: add_session
-- Keep a session.
INSERT INTO sessions (hash, user, created_at, expires_at, peer) VALUES (:hash, :user, :now, :expires_at, :peer);

-- name: session
-- A session that has not expired, with its user's present role.
SELECT s.user, u.role, s.created_at, s.expires_at, s.peer FROM sessions s JOIN users u ON u.name = s.user
WHERE s.hash = :hash AND s.expires_at > :now;

-- name: end_session
-- Sign out.
DELETE FROM sessions WHERE hash = :hash;

-- name: end_sessions
-- Sign a user out everywhere.
DELETE FROM sessions WHERE user = :user;

-- name: end_links
-- Void a user's sign-in links.
DELETE FROM links WHERE user = :user;

-- name: forget_expired_sessions
-- Remove sessions that have expired.
DELETE FROM sessions WHERE expires_at <= :now;

-- name: forget_expired_links
-- Remove links that have expired.
DELETE FROM links WHERE expires_at <= :now;

-- name: add_api_token
-- Keep an API token.
INSERT INTO api_tokens (hash, name, role, created_by, created_at, expires_at)
VALUES (:hash, :name, :role, :created_by, :now, :expires_at) RETURNING id;

-- name: api_token
-- A token that has not expired.
SELECT id, name, role, created_by, created_at, expires_at, used_at FROM api_tokens
WHERE hash = :hash AND (expires_at IS NULL OR expires_at > :now);

-- name: touch_api_token
-- Note the last use.
UPDATE api_tokens SET used_at = :now WHERE id = :id;

-- name: api_tokens
-- All API tokens, newest first.
SELECT id, name, role, created_by, created_at, expires_at, used_at FROM api_tokens ORDER BY id DESC;

-- name: revoke_api_token
-- Remove an API token.
DELETE FROM api_tokens WHERE id = :id;

-- name: webhook_tokens
-- The valid tokens of a connector, newest first.
SELECT hash, created_at, expires_at FROM webhook_tokens
WHERE connector = :connector AND (expires_at IS NULL OR expires_at > :now)
ORDER BY created_at DESC, rowid DESC;

-- name: add_webhook_token
-- Keep a webhook token.
INSERT INTO webhook_tokens (hash, connector, created_at) VALUES (:hash, :connector, :now);

-- name: expire_webhook_token
-- Let a webhook token end.
UPDATE webhook_tokens SET expires_at = min(coalesce(expires_at, :expires_at), :expires_at) WHERE hash = :hash;

-- name: forget_webhook_tokens
-- Remove the tokens of a connector that have expired.
DELETE FROM webhook_tokens WHERE connector = :connector AND expires_at <= :now;

-- name: remove_webhook_tokens
-- Remove every token of a connector.
DELETE FROM webhook_tokens WHERE connector = :connector;

-- name: add_audit
-- Note who did what.
INSERT INTO audit (at, actor, action, target, detail) VALUES (:now, :actor, :action, :target, :detail);

-- name: save_part
-- Make or change a connector or sink.
INSERT INTO parts (kind, id, settings, created_at, updated_at) VALUES (:kind, :id, :settings, :now, :now)
ON CONFLICT (kind, id) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at;

-- name: parts
-- All connectors or all sinks made in the console.
SELECT id, settings, created_at, updated_at FROM parts WHERE kind = :kind ORDER BY id;

-- name: remove_part
-- Remove a connector or sink with its secrets.
DELETE FROM parts WHERE kind = :kind AND id = :id;

-- name: save_secret
-- Keep an encrypted secret.
INSERT INTO secrets (kind, id, name, bound_to, cipher) VALUES (:kind, :id, :name, :bound_to, :cipher)
ON CONFLICT (kind, id, name) DO UPDATE SET bound_to = excluded.bound_to, cipher = excluded.cipher;

-- name: secret
-- An encrypted secret, if it may be sent to this host.
SELECT cipher FROM secrets WHERE kind = :kind AND id = :id AND name = :name AND bound_to = :bound_to;

-- name: void_secrets
-- Remove the secrets of a part that are bound to another host.
DELETE FROM secrets WHERE kind = :kind AND id = :id AND bound_to <> :bound_to;

-- name: all_secrets
-- Every secret, to encrypt it anew.
SELECT rowid AS row, cipher FROM secrets;

-- name: replace_cipher
-- Put a newly encrypted secret in place of the old.
UPDATE secrets SET cipher = :cipher WHERE rowid = :row;

-- name: save_check
-- Keep the latest check of a target.
INSERT INTO checks (target, ok, at, stages) VALUES (:target, :ok, :now, :stages)
ON CONFLICT (target) DO UPDATE SET ok = excluded.ok, at = excluded.at, stages = excluded.stages;

-- name: check_of
-- Whether the latest check of a target passed.
SELECT ok FROM checks WHERE target = :target;

-- name: checks
-- The latest check of every target.
SELECT target, ok, at, stages FROM checks ORDER BY target;

-- name: save_query
-- Keep a query under a name.
INSERT INTO saved_queries (name, text, author, updated_at) VALUES (:name, :text, :author, :now)
ON CONFLICT (name) DO UPDATE SET text = excluded.text, author = excluded.author, updated_at = excluded.updated_at
RETURNING id;

-- name: saved_queries
-- All kept queries by name.
SELECT id, name, text, author, updated_at FROM saved_queries ORDER BY name;

-- name: remove_query
-- Remove a kept query.
DELETE FROM saved_queries WHERE id = :id;

-- name: load_poll
-- How far a poller has come.
SELECT marks FROM polls WHERE connector = :connector;

-- name: save_poll
-- Replace how far a poller has come.
INSERT INTO polls (connector, marks) VALUES (:connector, :marks)
ON CONFLICT (connector) DO UPDATE SET marks = excluded.marks;

-- name: save_swept_hour
-- Replace what is known of an hour.
INSERT INTO swept_hours (connector, hour, sweeps, settled, listed, digest, at, due_us)
VALUES (:connector, :hour, :sweeps, :settled, :listed, :digest, :at, :due_us)
ON CONFLICT (connector, hour) DO UPDATE SET
    sweeps = excluded.sweeps, settled = excluded.settled, listed = excluded.listed,
    digest = excluded.digest, at = excluded.at, due_us = excluded.due_us;

-- name: swept_hour
-- What is known of an hour.
SELECT hour, sweeps, settled, listed, digest, at, due_us FROM swept_hours
WHERE connector = :connector AND hour = :hour;

-- name: swept_hours
-- What is known of a connector's hours from one on, oldest first.
SELECT hour, sweeps, settled, listed, digest, at, due_us FROM swept_hours
WHERE connector = :connector AND hour >= :since ORDER BY hour;

-- name: due_hour
-- The hour whose next sweep has been due for longest.
SELECT hour, sweeps, settled, listed, digest, at, due_us FROM swept_hours
WHERE connector = :connector AND due_us <= :now_us ORDER BY due_us, hour LIMIT 1;

-- name: reopen_hour
-- Let a settled hour be swept again.
UPDATE swept_hours SET settled = 0, due_us = :due_us
WHERE connector = :connector AND hour = :hour AND settled = 1;

-- name: load_backfill
-- The unfinished backfill of a connector.
SELECT mark FROM backfills WHERE connector = :connector;

-- name: save_backfill
-- Replace the unfinished backfill of a connector.
INSERT INTO backfills (connector, mark) VALUES (:connector, :mark)
ON CONFLICT (connector) DO UPDATE SET mark = excluded.mark;

-- name: remove_backfill
-- Forget the backfill of a connector: it is finished.
DELETE FROM backfills WHERE connector = :connector;

-- name: sent_users
-- What a destination was last told of the users of a range of ids.
SELECT id, digest, at FROM sent_users
WHERE target = :target AND connector = :connector AND id BETWEEN :first AND :last;

-- name: save_sent_user
-- Replace what a destination was last told of a user.
INSERT INTO sent_users (target, connector, id, digest, at) VALUES (:target, :connector, :id, :digest, :at)
ON CONFLICT (target, connector, id) DO UPDATE SET digest = excluded.digest, at = excluded.at;
-- name: add_health
-- Note a change of state.
INSERT INTO health (record, at, kind, part, connector, name, state, before, outcome, description, reason, detail)
VALUES (:record, :at, :kind, :part, :connector, :name, :state, :before, :outcome, :description, :reason, :detail);

-- name: health
-- The newest changes before an id, of one kind or part if wanted, newest first.
SELECT * FROM health
WHERE id < :before AND (:kind = '' OR kind = :kind) AND (:part = '' OR part = :part OR connector = :part)
ORDER BY id DESC LIMIT :limit;

-- name: health_after
-- The changes after an id that are not older than a time, oldest first.
SELECT * FROM health WHERE id > :after AND at >= :since ORDER BY id LIMIT :limit;

-- name: health_one
-- One change.
SELECT * FROM health WHERE id = :id;

-- name: health_latest
-- The last change of every part.
SELECT * FROM health WHERE id IN (SELECT max(id) FROM health GROUP BY kind, part) ORDER BY kind, part;

-- name: health_first
-- When a part was first noted.
SELECT min(at) AS at FROM health WHERE kind = :kind AND part = :part;

-- name: prune_health
-- Remove old changes, except the last of each part.
DELETE FROM health WHERE at < :before AND id NOT IN (SELECT max(id) FROM health GROUP BY kind, part);

-- name: audit_after
-- The deeds after an id that are not older than a time, oldest first.
SELECT id, at, actor, action, target, detail FROM audit WHERE id > :after AND at >= :since ORDER BY id LIMIT :limit;

-- name: audit_one
-- One deed.
SELECT id, at, actor, action, target, detail FROM audit WHERE id = :id;

-- name: audit_found
-- The latest deeds before an id by one person, of one kind or about something, newest first.
SELECT id, at, actor, action, target, detail FROM audit
WHERE id < :before AND (:actor = '' OR actor = :actor) AND (:action = '' OR action = :action)
    AND (:text = '' OR instr(lower(actor || ' ' || action || ' ' || target || ' ' || detail), lower(:text)) > 0)
ORDER BY id DESC LIMIT :limit;

-- name: told_alarms
-- Alarms that the receiver of notices believes to stand.
SELECT name, notice FROM told_alarms;

-- name: tell_alarm
-- Note that the receiver knows of an alarm.
INSERT INTO told_alarms (name, notice) VALUES (:name, :notice)
ON CONFLICT (name) DO UPDATE SET notice = excluded.notice;

-- name: untell_alarm
-- Note that the receiver knows of an alarm's end.
DELETE FROM told_alarms WHERE name = :name;

-- name: people
-- All users with their way in, sessions, and latest sign-in.
SELECT u.name, u.role, u.created_at, u.password_hash <> '' AS has_password, coalesce(i.issuer, '') AS issuer,
    (SELECT count(*) FROM sessions s WHERE s.user = u.name AND s.expires_at > :now) AS sessions,
    (SELECT max(s.created_at) FROM sessions s WHERE s.user = u.name) AS signed_in_at
FROM users u LEFT JOIN identities i ON i.user = u.name ORDER BY u.name;

-- name: set_role
-- Change a role, unless it takes the last administrator away.
UPDATE users SET role = :role WHERE name = :name
AND (:role = 'admin' OR role <> 'admin' OR (SELECT count(*) FROM users WHERE role = 'admin' AND password_hash <> '') > 1
    OR password_hash = '');

-- name: identity
-- The user whom an identity provider knows by a subject.
SELECT u.name, u.role, u.created_at FROM identities i JOIN users u ON u.name = i.user
WHERE i.issuer = :issuer AND i.subject = :subject;

-- name: add_identity
-- Tie a user to a subject of an identity provider.
INSERT INTO identities (issuer, subject, user, seen_at) VALUES (:issuer, :subject, :user, :now);

-- name: see_identity
-- Note that an identity provider vouched for somebody.
UPDATE identities SET seen_at = :now WHERE issuer = :issuer AND subject = :subject;
