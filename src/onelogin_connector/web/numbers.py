"""
What ``/metrics`` says of a service.
"""

from collections.abc import Iterator

from onelogin_connector.service import Service
from onelogin_connector.web.metrics import Family, Sample


def families(service: Service) -> Iterator[Family]:
    """
    Give every family of metrics.
    """
    stats = service.journal.stats()
    yield Family("events_total", "counter", "Records taken in.", _events(service))
    yield Family(
        "sink_events_total",
        "counter",
        "Entries that a sink accepted, skipped or refused.",
        _sink_events(service),
    )
    lags = {name: delivery.lag() for name, delivery in [*service.deliveries.items()]}
    yield Family(
        "sink_lag_events",
        "gauge",
        "Entries waiting for a sink.",
        [Sample({"sink": name}, lag.events) for name, lag in lags.items()],
    )
    yield Family(
        "sink_lag_seconds",
        "gauge",
        "Age of the oldest entry waiting for a sink.",
        [Sample({"sink": name}, lag.seconds) for name, lag in lags.items()],
    )
    bounds, buckets, total = service.journal.sync_times
    yield Family(
        "journal_sync_seconds",
        "histogram",
        "How long the disk takes for one sync.",
        _histogram(bounds, buckets, total),
    )
    yield Family("dead_letters", "gauge", "Dead letters held.", [Sample({}, stats["dead_letters"])])
    yield Family("journal_bytes", "gauge", "Size of the journal.", [Sample({}, stats["bytes"])])
    yield Family(
        "journal_free_bytes", "gauge", "Free space where it lies.", [Sample({}, stats["free_bytes"])]
    )
    yield Family("api_calls_total", "counter", "Calls of OneLogin's API by status.", _calls(service))
    yield Family(
        "api_budget_remaining", "gauge", "API calls that the account has left in its hour.", _budgets(service)
    )
    yield Family("webhook_answers_total", "counter", "Answers to webhooks by status.", _answers(service))


def _events(service: Service) -> Iterator[Sample]:
    for connector, counts in service.journal.counts().items():
        for channel, entries in counts.entries.items():
            yield Sample({"connector": connector, "channel": channel, "result": "new"}, entries)
        # the journal does not count these by channel: what a twin or repeat is, its key decides
        for result, number in (
            ("duplicate", counts.duplicates),
            ("twin", counts.twins),
            ("dead", counts.dead),
        ):
            yield Sample({"connector": connector, "channel": "any", "result": result}, number)


def _sink_events(service: Service) -> Iterator[Sample]:
    for sink in [*service.settings.sinks]:  # in a thread, while the console may change them
        delivery = service.deliveries.get(sink)
        checkpoint = service.journal.checkpoint(sink) if delivery is None else delivery.checkpoint
        for result, number in (
            ("delivered", checkpoint.delivered),
            ("skipped", sum(checkpoint.skipped.values())),
            ("dead", checkpoint.dead),
        ):
            yield Sample({"sink": sink, "result": result}, number)


def _answers(service: Service) -> Iterator[Sample]:
    for connector, source in service.webhooks.items():
        for status, number in sorted(source.answers.items()):
            yield Sample({"connector": connector, "status": str(status)}, number)


def _calls(service: Service) -> Iterator[Sample]:
    for connector, pull in service.pulls.items():
        for (path, status), number in sorted(pull.client.calls.items()):
            yield Sample({"connector": connector, "path": path, "status": str(status)}, number)


def _budgets(service: Service) -> Iterator[Sample]:
    for connector, pull in service.pulls.items():
        remaining = pull.client.budget.remaining
        if remaining is not None:
            yield Sample({"connector": connector}, remaining)


def _histogram(bounds: tuple[float, ...], buckets: list[int], total: float) -> Iterator[Sample]:
    so_far = 0
    for bound, number in zip((*bounds, float("inf")), buckets, strict=False):
        so_far += number
        label = "+Inf" if bound == float("inf") else f"{bound:g}"
        yield Sample({"le": label}, so_far, "_bucket")
    yield Sample({}, total, "_sum")
    yield Sample({}, so_far, "_count")
