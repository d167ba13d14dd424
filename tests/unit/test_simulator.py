"""
The simulated company is believable, repeatable, and told the same way by both channels.
"""

import asyncio
import json
from collections import Counter
from ipaddress import ip_address, ip_network
from itertools import pairwise
from pathlib import Path

import pytest

from onelogin_connector.event import Channel, Way, read
from onelogin_connector.simulator.company import HOUR_US, Company
from onelogin_connector.simulator.happening import API_FIELDS, WEBHOOK_FIELDS
from onelogin_connector.simulator.incidents import ATTACKERS
from onelogin_connector.testing.journal import MemoryJournal

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOW_US = 1_795_200_000_000_000  # a Friday in November 2026
DAY_US = 24 * HOUR_US
FOR_DOCUMENTATION = [
    ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


@pytest.fixture(scope="module")
def day():
    """
    Return 24 hours of one company.
    """
    return list(Company(1).story(NOW_US - DAY_US, NOW_US))


def of_type(day, *types):
    """
    Return the happenings of some event types.
    """
    return [happening for happening in day if happening.fields["event_type_id"] in types]


def test_a_day_has_the_size_of_a_demo(day):
    """
    A day has thousands of events, in order, on any day of the week, and as many as asked for.
    """
    assert [happening.time_us for happening in day] == sorted(happening.time_us for happening in day)
    for back in range(7):
        until = NOW_US - back * DAY_US
        assert 3_000 < sum(1 for _ in Company(back).story(until - DAY_US, until)) < 10_000
    busy = sum(1 for _ in Company(1, events_per_day=30_000, people=500).story(NOW_US - DAY_US, NOW_US))
    assert 20_000 < busy < 40_000


def test_a_story_is_the_same_however_it_is_asked_for(day):
    """
    Seed and time alone decide; where one began to listen does not.
    """
    company = Company(1)
    list(company.hour(NOW_US // HOUR_US))
    cuts = [NOW_US - DAY_US, NOW_US - DAY_US + 1, NOW_US - 7 * HOUR_US - 123_456, NOW_US - 5, NOW_US]
    parts = [happening for start, end in pairwise(cuts) for happening in company.story(start, end)]
    assert parts == day
    assert list(Company(2).story(NOW_US - HOUR_US, NOW_US)) != list(
        Company(1).story(NOW_US - HOUR_US, NOW_US)
    )


def test_an_hour_ends_at_its_end():
    """
    Nothing of an hour happens in another, so a story is in order over the hours and may begin at any of them.
    """
    company = Company(3)
    for hour in range(NOW_US // HOUR_US, NOW_US // HOUR_US + 200):
        assert {happening.time_us // HOUR_US for happening in company.hour(hour)} <= {hour}


def test_ids_are_unique_large_and_rise(day):
    """
    Numbers need more than 32 bits and rise with time; uuids do not repeat.
    """
    numbers = [happening.number for happening in day]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 2**32
    assert len({happening.uuid for happening in day}) == len(day)


def test_people_differ_and_keep_hours(day):
    """
    A few people cause much of the work, and the afternoon is busier than the night.
    """
    visits = Counter(happening.fields["user_id"] for happening in of_type(day, 5, 8))
    ranked = [count for _, count in visits.most_common()]
    assert sum(ranked[:12]) > 0.25 * sum(ranked)
    assert len(ranked) > 80
    hours = Counter(happening.time_us // HOUR_US % 24 for happening in of_type(day, 5))
    assert sum(hours[hour] for hour in range(7, 16)) > 3 * sum(hours[hour] for hour in (23, 0, 1, 2, 3, 4))


def test_a_password_spray_ends_in_one_success(day):
    """
    A few addresses try everybody; one sign-in from there succeeds, at high risk.
    """
    spray = [happening for happening in day if happening.fields.get("ipaddr") in ATTACKERS]
    failures, successes = of_type(spray, 6), of_type(spray, 5)
    assert len({happening.fields["user_id"] for happening in failures}) == len(Company(1).staff.people)
    assert all(happening.fields["notes"] == "(invalid password)" for happening in failures)
    assert len(successes) == 1
    assert successes[0].time_us > max(happening.time_us for happening in failures)
    assert successes[0].fields["risk_score"] > 80
    assert of_type(spray, 8)


def test_an_administrator_errs_and_repairs(day):
    """
    A role goes to everybody and is taken back from everybody; a privilege is lent.
    """
    given, taken = of_type(day, 147), of_type(day, 148)
    people = {person.id for person in Company(1).staff.people}
    assert {happening.fields["user_id"] for happening in given} == people
    assert {happening.fields["user_id"] for happening in taken} == people
    assert max(happening.time_us for happening in given) < min(happening.time_us for happening in taken)
    assert {happening.fields["actor_user_id"] for happening in given} == {Company(1).staff.admin.id}
    (granted,), (revoked,) = of_type(day, 72), of_type(day, 73)
    assert granted.fields["privilege_id"] == revoked.fields["privilege_id"]


def test_jobs_write_truly_equal_events_in_one_second(day):
    """
    Bulk jobs make records that differ in nothing but their ids.
    """
    seconds = Counter()
    for happening in day:
        record = happening.to_webhook()
        del record["uuid"], record["create"]
        seconds[json.dumps(record)] += 1
    assert max(seconds.values()) >= 10
    assert sum(1 for count in seconds.values() if count > 1) > 10


def test_there_is_what_a_rule_may_look_for(day):
    """
    Sign-ins carry notes with a Correlation_id; API changes, resets, lock-outs and sync jobs are there.
    """
    types = Counter(happening.fields["event_type_id"] for happening in day)
    for wanted in (5, 6, 7, 8, 9, 10, 11, 12, 14, 19, 22, 26, 33, 72, 73, 81, 113, 114, 501, 515, 1400):
        assert types[wanted], wanted
    assert all("Correlation_id: " in happening.fields["notes"] for happening in of_type(day, 5))
    assert {happening.fields["actor_system"] for happening in of_type(day, 14, 533)} == {"API"}


def test_every_address_and_mailbox_is_made_for_documentation(day):
    """
    Nothing in the story belongs to anybody.
    """
    for address in {happening.fields.get("ipaddr") for happening in day} - {None}:
        assert any(ip_address(address) in network for network in FOR_DOCUMENTATION), address
    assert all(person.login.endswith("@example.com") for person in Company(1).staff.people)


def test_records_have_the_keys_of_the_real_ones(day):
    """
    Both records carry every key of the published samples, with null where nothing applies.
    """
    (webhook,) = json.loads((FIXTURES / "webhook" / "docs_login_array.json").read_text())
    (api,) = json.loads((FIXTURES / "events_api" / "docs_get_events_page.json").read_text())["data"]
    for happening in day[:200]:
        assert list(happening.to_webhook()) == list(webhook) == list(WEBHOOK_FIELDS)
        assert list(happening.to_api()) == list(api) == ["id", "created_at", *API_FIELDS]
        assert happening.to_webhook()["create"] == {"_id": happening.uuid}


def test_no_field_of_the_story_is_lost_in_both_records(day):
    """
    Whatever is known of a happening is told by the webhook; the API tells its share.
    """
    for happening in day:
        assert set(happening.fields) <= set(WEBHOOK_FIELDS)


def test_both_records_are_events_at_the_same_second(day):
    """
    Each record reads as an event of its channel, with the time of the happening.
    """
    for happening in day[::50]:
        told = {}
        for record in (happening.to_webhook(), happening.to_api()):
            event = read(json.dumps(record).encode(), connector="a", way=Way.POLL, received_us=NOW_US + 1)
            assert not event.flags
            told[event.channel] = event
        assert told[Channel.WEBHOOK].native == happening.uuid
        assert told[Channel.API].native == str(happening.number)
        assert told[Channel.WEBHOOK].time_us == happening.time_us // 1_000_000 * 1_000_000
        assert told[Channel.API].time_us == happening.time_us // 1_000 * 1_000


def test_both_channels_tell_one_story(day):
    """
    G3: a journal that hears the day on both channels holds each event once.
    """

    async def hear():
        journal = MemoryJournal()
        for tell in ("to_webhook", "to_api"):
            events = [
                read(
                    json.dumps(getattr(happening, tell)()).encode(),
                    connector="acme",
                    way=Way.IMPORT,
                    received_us=NOW_US,
                )
                for happening in day[:1_500]
            ]
            receipt = await journal.append(events)
        return receipt

    receipt = asyncio.run(hear())
    assert (receipt.entries, receipt.twins) == (0, 1_500)
