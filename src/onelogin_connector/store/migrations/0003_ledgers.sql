-- Copies of what the state keeps, for queries: the history of the parts, and the audit log.

-- The row's place in the state's order, so that the copy goes on where it ended.
ALTER TABLE health ADD COLUMN state_id BIGINT;

CREATE TABLE audit (
    state_id BIGINT NOT NULL,
    recorded_time TIMESTAMP NOT NULL,
    actor VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    detail JSON
);
