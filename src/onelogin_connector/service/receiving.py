"""
One connector's way in for webhooks.
"""

from typing import TYPE_CHECKING

from onelogin_connector.sources.webhook import Options, WebhookSource

if TYPE_CHECKING:
    from onelogin_connector.service.service import Service


def webhook(connector: str, service: "Service") -> WebhookSource:
    """
    Return what takes a connector's webhooks by its present settings; it goes on counting where one before was.
    """
    settings = service.settings.connectors[connector]
    source = WebhookSource(
        connector,
        service.journal,
        service.tokens.hashes(connector),
        clock=service.clock,
        options=Options(
            most_body_bytes=settings.max_body,
            requests_per_second=settings.requests_per_second,
            requests_burst=2 * settings.requests_per_second,
            allowed_networks=tuple(settings.allowed_networks),
        ),
    )
    before = service.webhooks.get(connector)
    if before is not None:  # counters never run backwards
        source.answers, source.results = before.answers, before.results
    return source
