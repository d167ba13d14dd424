"""
The small parts of the HTTP surface: lock-out, names and addresses, CSV, metrics.
"""

import csv as stdlib_csv
from datetime import UTC, datetime
from io import StringIO
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelogin_connector.web import csv
from onelogin_connector.web.attempts import MOST_REMEMBERED, Attempts, neighbourhood
from onelogin_connector.web.hosts import Hosts
from onelogin_connector.web.metrics import Family, Sample, text


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_attempts_lock_after_failures_and_longer_each_time():
    """
    The fifth failure in a row locks; each further one doubles the wait, up to a quarter of an hour.
    """
    clock = Clock()
    attempts = Attempts(allowed=5, clock=clock)
    for _ in range(4):
        attempts.failed("a")
    assert attempts.locked_seconds("a") == 0
    waits = []
    for _ in range(8):
        attempts.failed("a")
        waits.append(attempts.locked_seconds("a"))
        clock.now += waits[-1]
    assert waits[:3] == [30, 60, 120]
    assert waits[-1] == 900
    assert attempts.locked_seconds("a") == 0
    assert attempts.locked_seconds("b") == 0
    attempts.succeeded("a")
    attempts.failed("a")
    assert attempts.locked_seconds("a") == 0


def test_attempts_remember_a_bounded_number():
    """
    An attacker with many addresses cannot fill the memory.
    """
    attempts = Attempts(allowed=1, clock=Clock())
    for number in range(MOST_REMEMBERED + 10):
        attempts.failed(str(number))
    assert len(attempts._failures) == MOST_REMEMBERED
    assert attempts.locked_seconds(str(MOST_REMEMBERED)) > 0


def test_an_ipv6_neighbourhood_is_one_attacker():
    """
    Whoever has a /64 cannot try once from each of its addresses.
    """
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff:1")
    assert neighbourhood("2001:db8::1") != neighbourhood("2001:db8:0:1::1")
    assert neighbourhood("203.0.113.1") != neighbourhood("203.0.113.2")
    assert neighbourhood("") == ""


def hosts(**more):
    """
    Make a server's names; this machine alone unless said otherwise.
    """
    settings = {"public_url": None, "host": "127.0.0.1", "trusted_proxies": (), "tls": False} | more
    return Hosts(**settings)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("127.0.0.1:1", True),
        ("[::1]:8080", True),
        ("events.example.com", True),
        ("events.example.com.:443", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:8080", False),
        ("[::1].evil.example", True),  # the bracket ends the name, as in every parser
        ("", False),
        ("@localhost", False),
    ],
)
def test_only_own_names_are_known(host, known):
    """
    A name that somebody points at this server is not thereby ours.
    """
    assert hosts(public_url="https://events.example.com").known(host) is known


def test_client_is_the_last_hop_that_no_trusted_proxy_added():
    """
    Whatever a client writes into X-Forwarded-For stands left of what the proxy wrote.
    """
    behind = hosts(trusted_proxies=[ip_network("10.0.0.0/8")])
    forged = {"x-forwarded-for": "1.1.1.1, 203.0.113.7, 10.0.0.2"}
    assert behind.client("10.0.0.1", forged) == "203.0.113.7"
    assert behind.client("203.0.113.9", forged) == "203.0.113.9"
    assert behind.client("10.0.0.1", {}) == "10.0.0.1"
    assert hosts().client("10.0.0.1", forged) == "10.0.0.1"


def test_a_proxy_on_this_machine_is_not_this_machine():
    """
    What a local reverse proxy forwards came from elsewhere, whatever the socket says.
    """
    local = {"host": "127.0.0.1:8080"}
    assert hosts().is_local("127.0.0.1", local)
    assert hosts().is_local("::1", {"host": "localhost"})
    assert not hosts().is_local("127.0.0.1", local | {"x-forwarded-for": "203.0.113.7"})
    assert not hosts().is_local("127.0.0.1", {"host": "evil.example"})
    assert not hosts().is_local("203.0.113.7", local)
    assert not hosts().is_local("", local)


@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\x00\r\n")), min_size=2, max_size=2)))
def test_csv_cells_come_back_and_are_no_formulas(rows):
    """
    A reader gets the same cells, except that none begins like a formula.
    """
    found = list(stdlib_csv.reader(StringIO(csv.table(["a", "b"], rows), newline="")))[1:]
    for row, back in zip(rows, found, strict=True):
        for value, cell in zip(row, back, strict=True):
            assert not cell.startswith(csv.FORMULA_STARTS)
            assert cell in {value, f"'{value}"}


def test_csv_leaves_numbers_and_times_alone():
    """
    A negative number is a number, not a formula; times are UTC.
    """
    row = [-1.5, None, True, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "-1"]
    assert csv.table(["n"] * 5, [row]).splitlines()[1] == "-1.5,,true,2026-01-02T03:04:05Z,'-1"


def test_metrics_escape_label_values():
    """
    No name of a connector or sink can break a line.
    """
    family = Family("x_total", "counter", "Help.", [Sample({"sink": 'a"\n\\b'}, 3), Sample({}, 0.25, "_sum")])
    assert text([family]) == (
        "# HELP onelogin_connector_x_total Help.\n# TYPE onelogin_connector_x_total counter\n"
        'onelogin_connector_x_total{sink="a\\"\\n\\\\b"} 3\nonelogin_connector_x_total_sum 0.25\n'
    )
