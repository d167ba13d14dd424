-- Events, what was changed about them, and how far the journal has been taken in.

CREATE TABLE events (
    -- where the journal has it
    entry_key UUID NOT NULL,
    epoch VARCHAR NOT NULL,
    journal_offset BIGINT NOT NULL,
    key_hour INTEGER NOT NULL,       -- hours since 1970 of the time as sent; 0 where it cannot be read
    connector VARCHAR NOT NULL,
    account BIGINT,
    channel VARCHAR NOT NULL,
    way VARCHAR NOT NULL,
    native VARCHAR NOT NULL,
    also VARCHAR,
    flags INTEGER NOT NULL,
    event_time TIMESTAMP NOT NULL,   -- UTC
    received_time TIMESTAMP NOT NULL,
    event_type VARCHAR NOT NULL,
    -- its fields; a text without a value is '', as in KQL, where a string is never null
    event_timestamp VARCHAR NOT NULL,
    created_at VARCHAR NOT NULL,
    uuid VARCHAR NOT NULL,
    create_id VARCHAR NOT NULL,
    user_name VARCHAR NOT NULL,
    actor_user_name VARCHAR NOT NULL,
    actor_system VARCHAR NOT NULL,
    ipaddr VARCHAR NOT NULL,
    user_agent VARCHAR NOT NULL,
    app_name VARCHAR NOT NULL,
    role_name VARCHAR NOT NULL,
    group_name VARCHAR NOT NULL,
    policy_name VARCHAR NOT NULL,
    policy_type VARCHAR NOT NULL,
    notes VARCHAR NOT NULL,
    custom_message VARCHAR NOT NULL,
    error_description VARCHAR NOT NULL,
    operation_name VARCHAR NOT NULL,
    resolution VARCHAR NOT NULL,
    proxy_ip VARCHAR NOT NULL,
    client_id VARCHAR NOT NULL,
    api_credential_name VARCHAR NOT NULL,
    otp_device_name VARCHAR NOT NULL,
    authentication_factor_description VARCHAR NOT NULL,
    privilege_name VARCHAR NOT NULL,
    directory_name VARCHAR NOT NULL,
    risk_reasons VARCHAR NOT NULL,
    risk_cookie_id VARCHAR NOT NULL,
    browser_fingerprint VARCHAR NOT NULL,
    user_attributes_username VARCHAR NOT NULL,
    user_attributes_email VARCHAR NOT NULL,
    user_attributes_firstname VARCHAR NOT NULL,
    user_attributes_lastname VARCHAR NOT NULL,
    user_attributes_openid_name VARCHAR NOT NULL,
    user_attributes_department VARCHAR NOT NULL,
    user_attributes_title VARCHAR NOT NULL,
    id BIGINT,
    event_type_id BIGINT,
    account_id BIGINT,
    user_id BIGINT,
    actor_user_id BIGINT,
    assuming_acting_user_id BIGINT,
    app_id BIGINT,
    role_id BIGINT,
    group_id BIGINT,
    policy_id BIGINT,
    otp_device_id BIGINT,
    authentication_factor_id BIGINT,
    authentication_factor_type BIGINT,
    privilege_id BIGINT,
    directory_id BIGINT,
    directory_sync_run_id BIGINT,
    resource_type_id BIGINT,
    risk_score BIGINT,
    user_attributes_account_id BIGINT,
    more JSON,                       -- fields of no known name, and values that do not fit their field
    -- its bytes; where they are no JSON that can be read here, the JSON is their text
    raw JSON NOT NULL,
    raw_bytes BLOB,
    -- the same event's record of the other channel
    twin_key UUID,
    twin_key_hour INTEGER,
    twin_channel VARCHAR,
    twin_way VARCHAR,
    twin_native VARCHAR,
    twin_also VARCHAR,
    twin_received_time TIMESTAMP,
    twin_raw JSON,
    twin_raw_bytes BLOB
);

-- Records whose native id was known, with other content.
CREATE TABLE changes (
    entry_key UUID NOT NULL,
    of_key UUID,
    epoch VARCHAR NOT NULL,
    journal_offset BIGINT NOT NULL,
    connector VARCHAR NOT NULL,
    account BIGINT,
    channel VARCHAR NOT NULL,
    way VARCHAR NOT NULL,
    native VARCHAR NOT NULL,
    event_time TIMESTAMP NOT NULL,
    received_time TIMESTAMP NOT NULL,
    raw JSON NOT NULL,
    raw_bytes BLOB
);

CREATE TABLE positions (
    epoch VARCHAR NOT NULL,
    journal_offset BIGINT NOT NULL
);

CREATE TABLE users (
    recorded_time TIMESTAMP NOT NULL,
    id BIGINT,
    username VARCHAR NOT NULL,
    firstname VARCHAR NOT NULL,
    lastname VARCHAR NOT NULL,
    email VARCHAR NOT NULL,
    department VARCHAR NOT NULL,
    openid_name VARCHAR NOT NULL,
    title VARCHAR NOT NULL
);

CREATE TABLE health (
    recorded_time TIMESTAMP NOT NULL,
    tenant_id VARCHAR NOT NULL,
    operation_name VARCHAR NOT NULL,
    resource_id VARCHAR NOT NULL,
    resource_name VARCHAR NOT NULL,
    resource_type VARCHAR NOT NULL,
    resource_kind VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    description VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    workspace_id VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    extended_properties JSON
);
