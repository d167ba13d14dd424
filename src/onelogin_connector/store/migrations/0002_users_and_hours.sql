-- The user inventory with what events show of it, and the hours that were compared with the API.

-- The other channel's own time: an event belongs to the hour in which the API lists it.
ALTER TABLE events ADD COLUMN twin_time TIMESTAMP;
UPDATE events SET twin_time = TRY_CAST(created_at AS TIMESTAMP) WHERE twin_channel = 'api' AND created_at <> '';

-- No listing of its hour, a day after that hour's end, has shown it.
ALTER TABLE events ADD COLUMN unconfirmed BOOLEAN DEFAULT false;

-- What the inventory says of the event's user; '' where it is not known. Beside the event and not joined to it
-- when asked: with any join the newest rows of a million take forty times as long.
ALTER TABLE events ADD COLUMN known_username VARCHAR DEFAULT '';
ALTER TABLE events ADD COLUMN known_firstname VARCHAR DEFAULT '';
ALTER TABLE events ADD COLUMN known_lastname VARCHAR DEFAULT '';
ALTER TABLE events ADD COLUMN known_email VARCHAR DEFAULT '';
ALTER TABLE events ADD COLUMN known_department VARCHAR DEFAULT '';
ALTER TABLE events ADD COLUMN known_openid_name VARCHAR DEFAULT '';
ALTER TABLE events ADD COLUMN known_title VARCHAR DEFAULT '';

DROP TABLE users; -- nothing ever wrote to it

-- Each user once, as last listed.
CREATE TABLE users (
    connector VARCHAR NOT NULL,
    id BIGINT NOT NULL,
    recorded_time TIMESTAMP NOT NULL, -- when it was last listed
    username VARCHAR NOT NULL,
    firstname VARCHAR NOT NULL,
    lastname VARCHAR NOT NULL,
    email VARCHAR NOT NULL,
    department VARCHAR NOT NULL,
    openid_name VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    status BIGINT,
    updated_time TIMESTAMP,
    spread BOOLEAN NOT NULL,          -- whether events held before have these values
    PRIMARY KEY (connector, id)
);

-- How far the inventory of a connector has been read.
CREATE TABLE user_marks (
    connector VARCHAR PRIMARY KEY,
    updated_time TIMESTAMP,           -- the latest change that was listed
    whole_time TIMESTAMP NOT NULL     -- when all users were last listed
);

-- What the last sweep of an hour found.
CREATE TABLE hours (
    connector VARCHAR NOT NULL,
    hour INTEGER NOT NULL,            -- since 1970
    sweeps INTEGER NOT NULL,
    settled BOOLEAN NOT NULL,
    listed BIGINT NOT NULL,
    swept_time TIMESTAMP NOT NULL,
    webhooks BOOLEAN,                 -- whether webhooks were on; NULL where nobody told
    PRIMARY KEY (connector, hour)
);
