"""
Calls of the Logs Ingestion API: each under a name of its own, with a token, and remembered.

A token that is refused is dropped, and the call goes once more with a new one: that is all that is repeated here.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from time import time

from msgspec import Struct

from onelogin_connector.azure.logs_ingestion import Body, request_id, target
from onelogin_connector.azure.posting import Posting, Reply
from onelogin_connector.azure.tokens import Tokens
from onelogin_connector.errors import ConnectorError

logger = logging.getLogger(__name__)

KEPT_TRACES = 1_000


class Trace(Struct, frozen=True):
    """
    One call, for finding its rows in the rule's error logs.
    """

    request_id: str
    """``x-ms-client-request-id``; it tells the offsets by itself, see ``azure.logs_ingestion.records_of``."""
    at: float
    """Unix seconds at which it was sent."""
    stream: str
    first_offset: int
    last_offset: int
    rows: int
    rows_bytes: int
    sent_bytes: int
    outcome: str
    """``accepted``, or the status or the error that it ended with."""


class Calls:
    """
    Calls to one rule.
    """

    def __init__(
        self,
        posting: Posting,
        tokens: Tokens,
        rule_id: str,
        *,
        sink: str,
        clock: Callable[[], float] = time,
    ) -> None:
        """
        Call nothing yet.

        Args:
            sink: The sink's name, for the log.
            clock: Unix seconds.
        """
        self.traces: deque[Trace] = deque(maxlen=KEPT_TRACES)
        """The latest calls, oldest first."""
        self.posting, self.tokens = posting, tokens
        self._rule_id, self._sink, self._clock = rule_id, sink, clock

    async def post(self, stream: str, body: Body, *, offsets: Sequence[int] = (), rows: int = 0) -> None:
        """
        Post one call.

        Args:
            offsets: Of the records in it, in order; empty where it holds none of the journal.
            rows: How many rows it holds.

        Raises:
            Refused, TooLarge: Nothing was accepted, and a part of it may be.
            Unauthorized, ConfigError: Nothing was accepted.
            Unavailable: Nothing was accepted, as far as is known.
        """
        reply, name = await self._once(stream, body, offsets, rows)
        if reply.status == 401:
            self.tokens.void()
            reply, name = await self._once(stream, body, offsets, rows)
        self.posting.refuse(reply, records=max(rows, 1), about=f"x-ms-client-request-id {name}")

    async def close(self) -> None:
        """
        Close the connections.
        """
        await self.posting.close()
        await self.tokens.close()

    async def _once(self, stream: str, body: Body, offsets: Sequence[int], rows: int) -> tuple[Reply, str]:
        token = await self.tokens.get()
        first, last = (offsets[0], offsets[-1]) if offsets else (0, 0)
        name = request_id(first, rows)
        headers = {
            "authorization": f"Bearer {token}",
            "content-type": "application/json",
            "x-ms-client-request-id": name,
        }
        if body.is_packed:
            headers["content-encoding"] = "gzip"
        sent_at, outcome = self._clock(), "broken off"
        try:
            reply = await self.posting.ask(target(self._rule_id, stream), body.content, headers)
            outcome = "accepted" if reply.status in self.posting.api.accepted else f"HTTP {reply.status}"
        except ConnectorError as error:
            outcome = type(error).__name__
            raise
        finally:
            size = len(body.content)
            self._note(Trace(name, sent_at, stream, first, last, rows, body.rows_bytes, size, outcome))
        return reply, name

    def _note(self, trace: Trace) -> None:
        self.traces.append(trace)
        logger.log(
            logging.DEBUG if trace.outcome == "accepted" else logging.INFO,
            "A call to the Logs Ingestion API: %s",
            trace.outcome,
            extra={
                "action": "ingestion_call",
                "sink": self._sink,
                "request_id": trace.request_id,
                "stream": trace.stream,
                "first_offset": trace.first_offset,
                "last_offset": trace.last_offset,
                "rows": trace.rows,
                "sent_bytes": trace.sent_bytes,
            },
        )
