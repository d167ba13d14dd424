"""
KQL over a small morning of events: each query with the rows it must give.
"""

from datetime import datetime, timedelta
from json import loads
from pathlib import Path

import pytest

from fixtures.kql_story import EPOCH, morning
from onelogin_connector.onelogin import event_types
from onelogin_connector.store import Store, Swept

CASES = loads((Path(__file__).parents[1] / "fixtures" / "kql" / "cases.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Give a store that holds the morning."""
    store = Store.open(
        tmp_path_factory.mktemp("golden") / "store.duckdb",
        names=event_types.name,
        clock=lambda: 1_772_500_000,
    )
    store.insert(morning(), EPOCH)
    store.health({"TimeGenerated": 1_772_450_000, "SentinelResourceName": "ACME", "Status": "Success"})
    store.health(
        {
            "TimeGenerated": 1_772_453_600,
            "SentinelResourceName": "ACME",
            "Status": "Failure",
            "Reason": "401",
            "ExtendedProperties": {"code": "unauthorized"},
        }
    )
    store.set_users(
        [
            b'{"id": 101, "username": "anna", "department": "Payroll", "status": 1}',
            b'{"id": 104, "username": "nobody", "department": ""}',
        ],
        1_772_450_000,
        connector="acme",
    )
    store.spread_users()
    eight = 1_772_438_400 // 3_600
    store.set_hours(
        [
            Swept("acme", eight, 3, settled=True, listed=1, at=(eight + 25) * 3_600.0, webhooks=True),
            Swept("acme", eight + 1, 1, settled=False, listed=1, at=(eight + 3) * 3_600.0, webhooks=True),
            Swept("acme", eight + 2, 2, settled=True, listed=2, at=(eight + 9) * 3_600.0, webhooks=True),
        ]
    )
    yield store
    store.close()


def plain(value):
    """Write a value as the golden file does."""
    if isinstance(value, datetime):
        assert value.utcoffset() == timedelta(0)
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return f"{value.total_seconds():g}s" if isinstance(value, timedelta) else value


@pytest.mark.parametrize(("kql", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_golden(store, kql, expected):
    """
    The query gives exactly these rows, in this order.
    """
    assert [[plain(value) for value in row] for row in store.query(kql).rows] == expected


def test_every_kql_type_is_named(store):
    """
    A result says of each column what KQL calls its type.
    """
    result = store.query(
        "print a = 'x', b = datetime(2026-01-01), c = 1.5, d = tolong(1), e = toint(1), f = true, "
        "g = dynamic({'k': [1]}), h = 90s, i = toguid('0d9f7c2e-0000-4000-8000-000000000001')"
    )
    assert [column.type for column in result.columns] == (
        ["string", "datetime", "real", "long", "int", "bool", "dynamic", "timespan", "guid"]
    )
    assert result.rows[0][6:] == ({"k": [1]}, timedelta(seconds=90), "0d9f7c2e-0000-4000-8000-000000000001")


def test_view_has_every_column_of_the_official_parsers(store):
    """
    A query written for any version of Microsoft's parser finds its columns.
    """
    official = [
        "TargetAppName",
        "TargetAppId",
        "RoleName",
        "RoleId",
        "PolicyName",
        "PolicyType",
        "PolicyId",
        "HttpUserAgent",
        "UserId",
        "UserAttributesUsername",
        "UserAttributesUsername_s",
        "UserAttributesAccountId",
        "UserAttributesDepartment",
        "UserAttributesFirstname",
        "UserAttributesEmail",
        "UserAttributesOpenidName",
        "UserAttributesTitle",
        "UserAttributesLastname",
        "UserAttributesId",
        "UserName",
        "EventOriginalUid",
        "UUID",
        "ActorSystem",
        "CustomMessage",
        "AccountId",
        "SrcIpAddr",
        "ActorUserName",
        "ActorUserId",
        "Message",
        "EventTypeId",
        "EventStartTime",
        "EventType",
        "EventVendor",
        "EventProduct",
        "TimeGenerated",
    ]
    columns = [column.name for column in store.query("OneLogin | take 1").columns]
    assert set(official) <= set(columns)
    assert len(columns) == len({name.lower() for name in columns})


def test_order_survives_the_row_limit(store):
    """
    Cutting a sorted result keeps its first rows, and says that it was cut.
    """
    result = store.query("OneLogin | sort by TimeGenerated asc | project TimeGenerated", limit=3)
    whole = store.query("OneLogin | sort by TimeGenerated asc | project TimeGenerated", limit=None)
    assert result.rows == whole.rows[:3]
    assert result.truncated
    assert not whole.truncated
