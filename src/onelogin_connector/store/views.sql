-- What queries see. Made anew at each start, so that a view never lags behind its tables.

-- Whether the API has shown an event: by the way of a record, which a sender of webhooks cannot choose.
CREATE OR REPLACE MACRO is_listed(way, channel, twin_way, twin_channel) AS
    way IN ('poll', 'reconcile', 'backfill') OR (way = 'import' AND channel = 'api')
    OR coalesce(twin_way IN ('poll', 'reconcile', 'backfill') OR (twin_way = 'import' AND twin_channel = 'api'), false);

-- Whether the sweep that comes a day after an hour's end has been; clocks may differ by a part of an hour.
CREATE OR REPLACE MACRO is_over(hour, swept_time) AS coalesce(epoch(swept_time) >= (hour + 1 + 23) * 3_600, false);

-- The webhook connector's table: 29 columns as Microsoft's parsers read them, and three of ours.
CREATE OR REPLACE VIEW "OneLogin_CL" AS SELECT
    event_time AS "TimeGenerated",
    app_name AS app_name_s,
    CAST(app_id AS DOUBLE) AS app_id_d,
    role_name AS role_name_s,
    CAST(role_id AS DOUBLE) AS role_id_d,
    policy_name AS policy_name_s,
    policy_type AS policy_type_s,
    CAST(policy_id AS DOUBLE) AS policy_id_d,
    user_agent AS user_agent_s,
    CAST(user_id AS DOUBLE) AS user_id_d,
    user_attributes_username AS user_attributes_username_s,
    CAST(user_attributes_account_id AS DOUBLE) AS user_attributes_account_id_d,
    user_attributes_department AS user_attributes_department_s,
    user_attributes_firstname AS user_attributes_firstname_s,
    user_attributes_email AS user_attributes_email_s,
    user_attributes_openid_name AS user_attributes_openid_name_s,
    user_attributes_title AS user_attributes_title_s,
    user_attributes_lastname AS user_attributes_lastname_s,
    user_name AS user_name_s,
    create_id AS create__id_g,
    uuid AS uuid_g,
    actor_system AS actor_system_s,
    custom_message AS custom_message_s,
    CAST(account_id AS DOUBLE) AS account_id_d,
    ipaddr AS ipaddr_s,
    actor_user_name AS actor_user_name_s,
    CAST(actor_user_id AS DOUBLE) AS actor_user_id_d,
    notes AS notes_s,
    CAST(event_type_id AS DOUBLE) AS event_type_id_d,
    event_timestamp AS event_timestamp_s,
    coalesce(CAST(id AS VARCHAR), '') AS event_id_s,
    event_time AS event_time_t,
    raw AS "Raw"
FROM events;

-- The API connector's table.
CREATE OR REPLACE VIEW "OneLoginEventsV2_CL" AS SELECT
    event_time AS "TimeGenerated",
    CAST(id AS DOUBLE) AS "EventId",
    app_name AS "AppName",
    CAST(app_id AS DOUBLE) AS "AppId",
    role_name AS "RoleName",
    CAST(role_id AS DOUBLE) AS "RoleId",
    policy_name AS "PolicyName",
    CAST(policy_id AS DOUBLE) AS "PolicyId",
    policy_type AS "PolicyType",
    CAST(user_id AS DOUBLE) AS "UserId",
    user_name AS "UserName",
    actor_system AS "ActorSystem",
    custom_message AS "CustomMessage",
    CAST(account_id AS DOUBLE) AS "AccountId",
    ipaddr AS "Ipaddr",
    actor_user_name AS "ActorUserName",
    CAST(actor_user_id AS DOUBLE) AS "ActorUserId",
    notes AS "Notes",
    CAST(event_type_id AS DOUBLE) AS "EventTypeId"
FROM events;

-- The API connector's user inventory: each user once, so that a join to it never multiplies events.
CREATE OR REPLACE VIEW "OneLoginUsersV2_CL" AS SELECT
    recorded_time AS "TimeGenerated",
    username AS "UserAttributesUsername",
    firstname AS "UserAttributesFirstname",
    email AS "UserAttributesEmail",
    lastname AS "UserAttributesLastname",
    department AS "UserAttributesDepartment",
    openid_name AS "UserAttributesOpenidName",
    title AS "UserAttributesTitle",
    CAST(id AS DOUBLE) AS "UserAttributesId",
    status AS "Status",
    updated_time AS "UpdatedTime",
    connector AS "ConnectorId"
FROM users;

-- Changes of state of the connectors, with the columns of Microsoft's SentinelHealth.
CREATE OR REPLACE VIEW "OneLoginConnectorHealth" AS SELECT
    tenant_id AS "TenantId",
    recorded_time AS "TimeGenerated",
    operation_name AS "OperationName",
    resource_id AS "SentinelResourceId",
    resource_name AS "SentinelResourceName",
    status AS "Status",
    description AS "Description",
    reason AS "Reason",
    workspace_id AS "WorkspaceId",
    resource_type AS "SentinelResourceType",
    resource_kind AS "SentinelResourceKind",
    record_id AS "RecordId",
    extended_properties AS "ExtendedProperties",
    'OneLoginConnectorHealth' AS "Type"
FROM health;

-- Who did what in this program.
CREATE OR REPLACE VIEW "OneLoginConnectorAudit" AS SELECT
    recorded_time AS "TimeGenerated",
    actor AS "Actor",
    action AS "Action",
    target AS "Target",
    detail AS "Detail",
    state_id AS "AuditId",
    'OneLoginConnectorAudit' AS "Type"
FROM audit;

-- The proof: per connector and hour what the API listed, what of it came by webhook, and what it never listed.
-- For hours that begin in a span of time, given so that only events near it are read; nearly all have an event time
-- within a second of the time by which they are listed, the others are found by that.
CREATE OR REPLACE MACRO completeness(since, until) AS TABLE
WITH near AS (
    SELECT * FROM events
    WHERE event_time >= since - INTERVAL 1 HOUR AND event_time < until + INTERVAL 1 HOUR
    UNION ALL
    SELECT * FROM events
    WHERE twin_time >= since AND twin_time < until
        AND NOT (event_time >= since - INTERVAL 1 HOUR AND event_time < until + INTERVAL 1 HOUR)
),
records AS (
    SELECT
        connector,
        epoch_us(CASE WHEN twin_channel = 'api' THEN coalesce(twin_time, event_time) ELSE event_time END)
            // 3_600_000_000 AS hour,
        is_listed(way, channel, twin_way, twin_channel) AS listed,
        twin_key IS NOT NULL AND 'webhook' IN (channel, twin_channel) AS twinned,
        CASE WHEN way IN ('poll', 'reconcile', 'backfill') THEN way ELSE twin_way END = 'reconcile' AS late,
        way = 'webhook' OR coalesce(twin_way = 'webhook', false) AS pushed,
        unconfirmed
    FROM near
),
parts AS (
    SELECT
        connector,
        hour,
        count(*) AS entries,
        count_if(listed) AS listed,
        count_if(listed AND twinned) AS matched,
        count_if(listed AND late) AS late,
        count_if(NOT listed AND unconfirmed) AS unconfirmed,
        count_if(pushed) AS pushed,
        NULL AS sweeps, NULL AS settled, NULL AS swept_listed, NULL AS swept_time, NULL AS webhooks
    FROM records GROUP BY connector, hour
    UNION ALL
    SELECT connector, hour, 0, 0, 0, 0, 0, 0, sweeps, settled, listed, swept_time, webhooks FROM hours
),
figures AS (
    SELECT
        connector,
        hour,
        CAST(sum(entries) AS BIGINT) AS entries,
        CAST(sum(listed) AS BIGINT) AS listed,
        CAST(sum(matched) AS BIGINT) AS matched,
        CAST(sum(late) AS BIGINT) AS late,
        CAST(sum(unconfirmed) AS BIGINT) AS unconfirmed,
        sum(pushed) > 0 AS pushed,
        coalesce(max(sweeps), 0) AS sweeps,
        coalesce(bool_or(settled), false) AS settled,
        max(swept_listed) AS swept_listed,
        max(swept_time) AS swept_time,
        bool_or(webhooks) AS webhooks
    FROM parts GROUP BY connector, hour
)
SELECT
    make_timestamp(hour * 3_600_000_000) AS "TimeGenerated",
    connector AS "ConnectorId",
    listed AS "Listed",
    matched AS "Matched",
    CASE WHEN coalesce(webhooks, pushed) THEN listed - matched ELSE 0 END AS "Repaired",
    late AS "Late",
    CASE WHEN is_over(hour, swept_time) THEN unconfirmed END AS "Unconfirmed",
    entries AS "Entries",
    settled AS "Settled",
    sweeps AS "Sweeps",
    swept_listed AS "ListedBySweep",
    swept_time AS "LastSweepTime",
    CASE WHEN sweeps > 0 THEN settled AND listed >= swept_listed END AS "CompleteAsFarAsListed",
    CASE
        WHEN settled AND listed >= swept_listed THEN 'complete as far as the API lists'
        WHEN settled THEN 'listed events missing'
        WHEN sweeps > 0 THEN 'not settled'
        WHEN connector IN (SELECT connector FROM hours) THEN 'not checked'
        ELSE 'not checkable'
    END AS "Verdict"
FROM figures WHERE make_timestamp(hour * 3_600_000_000) >= since AND make_timestamp(hour * 3_600_000_000) < until;

CREATE OR REPLACE VIEW "OneLoginConnectorCompleteness" AS
SELECT * FROM completeness(TIMESTAMP '1900-01-01 00:00:00', TIMESTAMP '2200-01-01 00:00:00');

-- The parser: every output column of Microsoft's versions of 2022, 2023 and 2025, then what they lack.
-- No join and no lookup: the newest rows of ten million must come at once.
CREATE OR REPLACE VIEW "OneLogin" AS SELECT
    event_time AS "TimeGenerated",
    event_time AS "EventTime",
    'OneLogin' AS "EventVendor",
    'OneLogin IAM' AS "EventProduct",
    event_type AS "EventType",
    id AS "EventId",
    event_timestamp AS "EventStartTime",
    event_type_id AS "EventTypeId",
    user_id AS "UserId",
    user_name AS "UserName",
    actor_user_id AS "ActorUserId",
    actor_user_name AS "ActorUserName",
    actor_system AS "ActorSystem",
    ipaddr AS "SrcIpAddr",
    user_agent AS "HttpUserAgent",
    app_id AS "TargetAppId",
    app_name AS "TargetAppName",
    role_id AS "RoleId",
    role_name AS "RoleName",
    policy_id AS "PolicyId",
    policy_name AS "PolicyName",
    policy_type AS "PolicyType",
    notes AS "Message",
    custom_message AS "CustomMessage",
    account_id AS "AccountId",
    CASE WHEN create_id = '' THEN uuid ELSE create_id END AS "EventOriginalUid",
    uuid AS "UUID",
    CASE WHEN user_attributes_username <> '' THEN user_attributes_username ELSE known_username END AS "UserAttributesUsername",
    CASE WHEN user_attributes_username <> '' THEN user_attributes_username ELSE known_username END AS "UserAttributesUsername_s",
    user_attributes_account_id AS "UserAttributesAccountId",
    CASE WHEN user_attributes_department <> '' THEN user_attributes_department ELSE known_department END AS "UserAttributesDepartment",
    CASE WHEN user_attributes_firstname <> '' THEN user_attributes_firstname ELSE known_firstname END AS "UserAttributesFirstname",
    CASE WHEN user_attributes_email <> '' THEN user_attributes_email ELSE known_email END AS "UserAttributesEmail",
    CASE WHEN user_attributes_openid_name <> '' THEN user_attributes_openid_name ELSE known_openid_name END AS "UserAttributesOpenidName",
    CASE WHEN user_attributes_title <> '' THEN user_attributes_title ELSE known_title END AS "UserAttributesTitle",
    CASE WHEN user_attributes_lastname <> '' THEN user_attributes_lastname ELSE known_lastname END AS "UserAttributesLastname",
    CASE
        WHEN user_attributes_username <> '' OR user_attributes_email <> '' OR known_username <> '' OR known_email <> ''
        THEN user_id
    END AS "UserAttributesId",
    group_id AS "GroupId",
    group_name AS "GroupName",
    otp_device_id AS "OtpDeviceId",
    otp_device_name AS "OtpDeviceName",
    authentication_factor_id AS "AuthenticationFactorId",
    authentication_factor_type AS "AuthenticationFactorType",
    authentication_factor_description AS "AuthenticationFactorDescription",
    privilege_id AS "PrivilegeId",
    privilege_name AS "PrivilegeName",
    directory_id AS "DirectoryId",
    directory_name AS "DirectoryName",
    directory_sync_run_id AS "DirectorySyncRunId",
    assuming_acting_user_id AS "AssumingActingUserId",
    api_credential_name AS "ApiCredentialName",
    client_id AS "ClientId",
    resource_type_id AS "ResourceTypeId",
    operation_name AS "OperationName",
    resolution AS "Resolution",
    error_description AS "ErrorDescription",
    proxy_ip AS "ProxyIp",
    risk_score AS "RiskScore",
    risk_reasons AS "RiskReasons",
    risk_cookie_id AS "RiskCookieId",
    browser_fingerprint AS "BrowserFingerprint",
    created_at AS "CreatedAt",
    connector AS "ConnectorId",
    channel AS "Channel",
    way AS "Way",
    received_time AS "ReceivedTime",
    twin_key IS NOT NULL AS "OnBothChannels",
    is_listed(way, channel, twin_way, twin_channel) AS "ListedByApi",
    unconfirmed AND NOT is_listed(way, channel, twin_way, twin_channel) AS "Unconfirmed",
    flags AS "Flags",
    CAST(entry_key AS VARCHAR) AS "EventKey",
    more AS "AdditionalFields",
    raw AS "Raw"
FROM events;
