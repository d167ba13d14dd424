"""
What is shown of connectors: their settings without secrets, how they stand, how their check ended, their webhook.

The console's pages, and ``/api/v1/connectors``, are made of the same values.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from onelogin_connector.journal.base import ConnectorCounts
from onelogin_connector.moments import text_of
from onelogin_connector.service import report
from onelogin_connector.service.check_run import Run, headline, is_proven, meaning, reason
from onelogin_connector.service.explaining import EXPLANATIONS
from onelogin_connector.service.origin import Origin
from onelogin_connector.service.standing import Word
from onelogin_connector.state import Outcome
from onelogin_connector.status import Stage, StageState

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service

TYPE = "OneLogin Connector"
"""The one type of connector that there is."""


class StageShown(Struct, frozen=True, kw_only=True):
    """
    One stage of a check.
    """

    stage: str
    state: StageState
    message: str
    """With what was seen this time."""
    meaning: str
    """The same without."""
    action: str
    """What to do about a failure."""
    explanation: str
    """Why a failure happens."""
    code: str
    """Name of the cause of a failure, as the documentation lists it."""
    http_status: int | None
    reason: str
    """That belongs to the HTTP status."""
    seconds: float


class CheckShown(Struct, frozen=True, kw_only=True):
    """
    A check, while it runs or after.
    """

    target: str
    ok: bool
    """Whether no stage failed so far."""
    proven: bool
    """Whether the connection was seen to work, by an answer of the other side or by what has come from there."""
    running: bool
    run: str
    """Id by which a running check is asked for; empty for one that is kept."""
    at: str
    """When it began, RFC 3339."""
    since: str
    """When the first of the checks in a row began that ended so."""
    headline: str
    """``Connection successful``, the stage that failed with its message, or that nothing could be tested."""
    stages: list[StageShown]
    planned: list[str]
    """Names of the stages that are still to come."""

    @property
    def failed(self) -> StageShown | None:
        """
        The stage that failed first.
        """
        return next((stage for stage in self.stages if stage.state is StageState.FAILED), None)


class TokenShown(Struct, frozen=True, kw_only=True):
    """
    A webhook token that is accepted, without itself.
    """

    created_at: str | None
    expires_at: str | None


class WebhookShown(Struct, frozen=True, kw_only=True):
    """
    The way in for webhooks.
    """

    path: str
    accepted_tokens: int
    tokens: list[TokenShown]
    """Those that were made here, newest first."""
    tokens_are_configured: bool
    """They stand in the settings file or the environment, and are changed there."""
    arrived: bool
    """Whether a webhook has brought an event."""
    last_received: str | None
    """When the last record came, whichever way."""
    refused: int
    """Requests since the start that showed no valid token."""


class SettingsShown(Struct, frozen=True, kw_only=True):
    """
    What is set, without secrets.
    """

    domain: str
    api_url: str
    client_id: str
    """Only for what was made in the console."""
    has_secret: bool
    poll_seconds: float
    overlap_minutes: float
    start: str | None
    time_rule: str
    poll_delay_seconds: float | None
    api_budget_share: float
    allowed_networks: list[str]
    max_body: int


class ConnectorShown(Struct, frozen=True, kw_only=True):
    """
    A connector.
    """

    id: str
    """Derived from its first name; part of the webhook's address, and never changed."""
    name: str
    type: str
    description: str
    origin: Origin
    editable: bool
    """Whether the console may change it."""
    stopped: bool
    """Whether a person stopped it."""
    word: Word
    """How it stands, as Collection Status says it."""
    state: str
    since: str | None
    error: str
    last_poll: str | None
    last_event: str | None
    watermark: str | None
    events_total: int
    duplicates: int
    twins: int
    match_share: float | None
    time_rule: dict[str, Any]
    users_error: str
    settings: SettingsShown
    webhook: WebhookShown
    check: CheckShown | None


class ConnectorsShown(Struct, frozen=True):
    """
    All connectors.
    """

    connectors: list[ConnectorShown]


async def shown(service: "Service", connector: str) -> ConnectorShown:
    """
    Return what is shown of one connector.

    Raises:
        ConfigError: There is no such connector.
    """
    service.require_connector(connector)
    found = (await all_shown(service)).connectors
    return next(each for each in found if each.id == connector)


async def all_shown(service: "Service") -> ConnectorsShown:
    """
    Return what is shown of every connector.
    """
    words = {row.id: row.state for row in (await service.collecting.stand()).connectors}
    # looked at before what is kept: a check that ends in between is shown by itself
    running = {name: run for name in service.settings.connectors if (run := service.checks.running(name))}
    outcomes = await asyncio.to_thread(service.state.connectors.outcomes)
    return ConnectorsShown(
        [
            _shown(service, name, running.get(name) or outcomes.get(name), words.get(name, Word.PENDING))
            for name in service.settings.connectors
        ]
    )


def webhook_shown(service: "Service", connector: str) -> WebhookShown:
    """
    Return the way in for a connector's webhooks.
    """
    counts = service.journal.counts().get(connector) or ConnectorCounts()
    source = service.webhooks[connector]
    return WebhookShown(
        path=f"/webhook/{connector}",
        accepted_tokens=len(service.tokens.hashes(connector)),
        tokens=[
            TokenShown(created_at=text_of(token.created_at), expires_at=text_of(token.expires_at))
            for token in service.tokens.made(connector)
        ],
        tokens_are_configured=service.tokens.are_configured(connector),
        # a webhook's record whose event the API brought first is a twin, and no entry
        arrived=bool(counts.entries.get("webhook") or sum(source.results.values())),
        last_received=text_of(counts.last_received_us / 1_000_000),
        refused=source.answers[401],
    )


def run_shown(run: Run) -> CheckShown:
    """
    Return a check that runs or has just run.
    """
    at = text_of(run.at) or ""
    return CheckShown(
        target=run.target,
        ok=run.ok,
        proven=is_proven(run.stages),
        running=not run.done.is_set(),
        run=run.id,
        at=at,
        since=at,
        headline=headline(run.stages),
        stages=[_stage(stage) for stage in run.stages],
        planned=[name for name in run.planned if name not in {stage.stage for stage in run.stages}],
    )


def _shown(service: "Service", name: str, check: Run | Outcome | None, word: Word) -> ConnectorShown:
    settings = service.settings.connectors[name]
    origin = service.connectors.origin(name)
    return ConnectorShown(
        **report.connector(service, name),
        type=TYPE,
        description=settings.description,
        origin=origin,
        editable=not origin.is_fixed,
        stopped=service.connectors.is_stopped(name),
        word=word,
        settings=_settings(service, name),
        webhook=webhook_shown(service, name),
        check=run_shown(check) if isinstance(check, Run) else _outcome_shown(check) if check else None,
    )


def _settings(service: "Service", name: str) -> SettingsShown:
    settings = service.settings.connectors[name]
    made = service.connectors.made(name)
    return SettingsShown(
        domain=settings.domain or "",
        api_url=settings.api_url or "",
        client_id=made.client_id if made else "",
        has_secret=settings.client_secret is not None,
        poll_seconds=settings.poll_seconds,
        overlap_minutes=settings.overlap_minutes,
        start=None if settings.start is None else text_of(settings.start.timestamp()),
        time_rule=settings.time_rule,
        poll_delay_seconds=settings.poll_delay_seconds,
        api_budget_share=settings.api_budget_share,
        allowed_networks=[str(network) for network in settings.allowed_networks],
        max_body=settings.max_body,
    )


def _outcome_shown(outcome: Outcome) -> CheckShown:
    return CheckShown(
        target=outcome.target,
        ok=outcome.ok,
        proven=is_proven(outcome.stages),
        running=False,
        run="",
        at=text_of(outcome.at) or "",
        since=text_of(outcome.since) or "",
        headline=headline(outcome.stages),
        stages=[_stage(stage) for stage in outcome.stages],
        planned=[],
    )


def _stage(stage: Stage) -> StageShown:
    failed = stage.state is StageState.FAILED
    return StageShown(
        stage=stage.stage,
        state=stage.state,
        message=stage.message,
        meaning=meaning(stage),
        action=stage.action,
        explanation=EXPLANATIONS.get(stage.code, "") if failed else "",
        code=stage.code,
        http_status=stage.http_status,
        reason=reason(stage.http_status),
        seconds=stage.seconds,
    )
