"""
Take in what OneLogin's webhooks send: ``POST /webhook/{connector}``, without knowing the web framework.

Each request is answered by the first of these that applies, and nothing is parsed or kept before the last:

=====  ==========================================================================================
405    it is no POST
401    no bearer token, or none of this connector's
403    a list of source networks is set and the sender is in none of them
503    the connector was stopped by a person
413    its declared length is above the limit
415    its content encoding is unknown
429    the token's rate is used up
413    its real or decompressed length is above the limit, or it has too many records
400    the body is no JSON (kept best effort, so that it can be looked at)
503    the journal cannot keep it; nothing of it was kept
200    every record is durably held, was held before, or is part of a durable dead letter
=====  ==========================================================================================

The answer to a 200 is ``{"received", "new", "twins", "duplicates", "dead"}``, ``received`` being the sum of the
others. The content type is not looked at: what OneLogin sends there is not documented, and the body tells.
"""

import logging
from asyncio import to_thread
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from hmac import compare_digest
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil

from msgspec import Struct

from onelogin_connector.errors import (
    BadRequest,
    ConfigError,
    ConnectorError,
    JournalFull,
    TooLarge,
    Unavailable,
)
from onelogin_connector.event import Way
from onelogin_connector.journal.base import Keeper, NewDeadLetter, Receipt
from onelogin_connector.plural import counted
from onelogin_connector.sources import problems
from onelogin_connector.sources.body import records
from onelogin_connector.sources.inflating import ENCODINGS, inflated
from onelogin_connector.sources.problems import Problem, problem
from onelogin_connector.sources.rate import Bucket
from onelogin_connector.sources.reading import Reading, read_all

logger = logging.getLogger(__name__)

LARGE_BODY_BYTES = 256 << 10  # read in a thread, so that one large request does not hold up the others
RETRY_SECONDS = 5
RETRY_FULL_SECONDS = 60  # a full disk does not become empty within seconds

Body = bytes | AsyncIterator[bytes]


class Options(Struct, frozen=True, kw_only=True):
    """
    What may be set per connector.
    """

    most_body_bytes: int = 16 << 20
    """Largest body, as sent and as decompressed. Ten events have about 20 KB."""
    requests_per_second: float = 5_000
    """Per token, sustained; 0 for no limit. Far above what an account sends, since nobody knows whether
    OneLogin sends a refused batch again."""
    requests_burst: float = 10_000
    allowed_networks: tuple[str, ...] = ()
    """Networks that may send, as ``203.0.113.0/24``; empty for all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What goes back to the sender.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    """Lower-case names."""


def token_hash(token: str) -> bytes:
    """
    Return what is stored of a webhook token: its SHA-256.
    """
    return sha256(token.encode(errors="surrogatepass")).digest()


def unknown_connector(connector: str) -> Answer:
    """
    Return the answer for a URL that names no connector.
    """
    return _refusal(problem("unknown-connector", f"No connector has the id {connector[:80]!r}."))


class WebhookSource:
    """
    The webhook of one connector.
    """

    def __init__(
        self,
        connector: str,
        journal: Keeper,
        token_hashes: Sequence[bytes],
        *,
        clock: Callable[[], float],
        options: Options | None = None,
    ) -> None:
        """
        Prepare to receive; nothing is opened.

        Args:
            connector: Its id.
            token_hashes: SHA-256 of each valid token; two during a rotation.
            clock: Unix seconds.

        Raises:
            ConfigError: An allowed network cannot be read.
        """
        self._connector = connector
        self._journal = journal
        self._clock = clock
        self._options = options or Options()
        self._networks = [_network(text) for text in self._options.allowed_networks]
        self._buckets: dict[bytes, Bucket] = {}
        self.accept(token_hashes)
        self.answers: Counter[int] = Counter()
        """Status → answers."""
        self.results: Counter[str] = Counter()
        """``new``, ``twin``, ``duplicate`` and ``dead`` → records."""
        self.closed = ""
        """Why nothing is taken at the moment, which senders with a valid token are told; empty while it is open."""

    def accept(self, token_hashes: Sequence[bytes]) -> None:
        """
        Replace the valid tokens; one that stays valid keeps its rate.
        """
        options = self._options
        self._buckets = {
            stored: self._buckets.get(stored)
            or Bucket(options.requests_per_second, options.requests_burst, self._clock)
            for stored in token_hashes
        }

    async def receive(self, method: str, headers: Mapping[str, str], body: Body, peer: str) -> Answer:
        """
        Answer one request whose body is at hand, or costs nothing to wait for.
        """
        return self.refused(method, headers, peer) or await self.take(headers, body)

    def refused(self, method: str, headers: Mapping[str, str], peer: str) -> Answer | None:
        """
        Return the refusal that the head of a request alone deserves; None if its body may be taken.

        Nobody waits for the body of a sender that is not known: senders who never send it cost nothing.

        Args:
            headers: Names in lower case.
            peer: Address of the sender, behind trusted proxies.
        """
        answer = self._refused_at_the_door(method, headers, peer)
        if answer is not None:
            self.answers[answer.status] += 1
        return answer

    async def take(self, headers: Mapping[str, str], body: Body) -> Answer:
        """
        Keep the body of a request that was not refused by its head.

        Args:
            body: All of it, or its parts as they arrive.
        """
        answer = await self._taken(headers, body)
        self.answers[answer.status] += 1
        return answer

    def _refused_at_the_door(self, method: str, headers: Mapping[str, str], peer: str) -> Answer | None:
        if method != "POST":
            return _refusal(
                problem(
                    "method-not-allowed",
                    f"A webhook is sent with POST, and this was {method[:16]}.",
                    "Give this URL to OneLogin as the webhook's listener; there is nothing to see here.",
                ),
                {"allow": "POST"},
            )
        bucket = self._bucket_of(headers)
        if isinstance(bucket, str):
            challenge = 'Bearer realm="webhook"' + (', error="invalid_token"' if bucket == WRONG else "")
            return _refusal(problem("webhook-token", bucket), {"www-authenticate": challenge})
        if self._networks and not self._is_allowed(peer):
            return _refusal(problem("source-network", f"The address {peer[:64]} is in no allowed network."))
        if self.closed:
            return _refusal(problem("unavailable", self.closed), {"retry-after": str(RETRY_FULL_SECONDS)})
        most = self._options.most_body_bytes
        length = headers.get("content-length", "")
        # some thousand digits would be too many for int()
        if length.isdecimal() and (len(length) > 18 or int(length) > most):
            return _too_large(f"The request says it has {length[:20]} bytes; at most {most} are taken.")
        encoding = _encoding(headers)
        if encoding not in ENCODINGS:
            return _refusal(
                problem("content-encoding", f"The body's content encoding is {encoding[:40]!r}."),
                {"accept-encoding": "gzip, deflate, identity"},
            )
        wait = bucket.wait_seconds()
        if wait:
            limit = f"{self._options.requests_per_second:g} requests per second"
            return _refusal(
                problem("too-many-requests", f"This token may send {limit}."),
                {"retry-after": str(ceil(wait))},
            )
        return None

    def _bucket_of(self, headers: Mapping[str, str]) -> Bucket | str:
        """
        Return the bucket of the request's token, or what is wrong with its authorization.
        """
        authorization = headers.get("authorization", "")
        if not authorization.strip():
            return "The request has no Authorization header."
        scheme, *rest = authorization.split(None, 1)
        if scheme.lower() != "bearer":
            return "The Authorization header is not of the form `Bearer <token>`."
        sent = token_hash("".join(rest).rstrip())
        found = None
        for stored, bucket in self._buckets.items():  # to the end, so that time tells nothing
            if compare_digest(sent, stored):
                found = bucket
        return found if found is not None else WRONG

    def _is_allowed(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    async def _taken(self, headers: Mapping[str, str], body: Body) -> Answer:
        """
        Read the body, keep what it holds, and only then say so.
        """
        received_us = int(self._clock() * 1_000_000)
        encoding = _encoding(headers)
        sent = b""
        try:
            sent = await self._collected(body)
            await self._journal.turn()
            if encoding or len(sent) > LARGE_BODY_BYTES:
                reading, letter = await to_thread(self._read, sent, encoding, received_us)
            else:
                reading, letter = self._read(sent, encoding, received_us)
            receipt = await self._journal.append(reading.events, letter)
        except TooLarge as error:
            return _too_large(error.message, error.action)
        except BadRequest as error:
            await self._bury(sent, error)
            return _refusal(problems.of_error(error))
        except Unavailable as error:
            wait = RETRY_FULL_SECONDS if isinstance(error, JournalFull) else RETRY_SECONDS
            return _refusal(problems.of_error(error), {"retry-after": str(ceil(error.after_seconds or wait))})
        return self._acknowledged(reading, receipt)

    async def _collected(self, body: Body) -> bytes:
        most = self._options.most_body_bytes
        if isinstance(body, bytes):
            parts, size = [body], len(body)
        else:
            parts, size = [], 0
            async for part in body:
                parts.append(part)
                size += len(part)
                if size > most:
                    break
        if size > most:
            raise TooLarge(f"The body has more than {most} bytes, which is the most that is taken.")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read(self, sent: bytes, encoding: str, received_us: int) -> tuple[Reading, NewDeadLetter | None]:
        body = inflated(sent, encoding, self._options.most_body_bytes)
        reading = read_all(
            records(body),
            connector=self._connector,
            way=Way.WEBHOOK,
            received_us=received_us,
            body_hash=lambda: blake2b(body, digest_size=16).digest(),
        )
        return reading, reading.dead_letter(self._connector, body)

    async def _bury(self, body: bytes, error: BadRequest) -> None:
        """
        Keep a body that nobody can read, if that can be done: the sender has been told in any case.
        """
        if not body:
            return
        letter = NewDeadLetter(connector=self._connector, kind="request", reason=str(error), body=body)
        try:
            await self._journal.bury(letter)
        except ConnectorError as reason:
            logger.warning(
                "A body that is no JSON could not be kept: %s",
                reason,
                extra={"action": "webhook_bury", "connector": self._connector},
            )

    def _acknowledged(self, reading: Reading, receipt: Receipt) -> Answer:
        dead = len(reading.bad)
        results = self.results
        results["new"] += receipt.entries
        results["twin"] += receipt.twins
        results["duplicate"] += receipt.duplicates
        if dead:
            results["dead"] += dead
            logger.warning(
                "%d of the %s of a request became a dead letter: %s",
                dead,
                counted(reading.records, "record"),
                reading.first_reason,
                extra={"action": "webhook_dead_letter", "connector": self._connector},
            )
        counts = (reading.records, receipt.entries, receipt.twins, receipt.duplicates, dead)
        return Answer(
            200,
            b'{"received":%d,"new":%d,"twins":%d,"duplicates":%d,"dead":%d}' % counts,
            {"content-type": "application/json"},
        )


WRONG = "The token is none of this connector's."


def _encoding(headers: Mapping[str, str]) -> str:
    encoding = headers.get("content-encoding", "").strip().lower()
    return "" if encoding == "identity" else encoding


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigError(
            f"The allowed network {text!r} cannot be read: {error}.",
            action="Write it as 203.0.113.0/24 or 2001:db8::/32.",
        ) from error


def _refusal(known: Problem, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(known.status, known.encoded(), {"content-type": problems.CONTENT_TYPE, **(headers or {})})


def _too_large(detail: str, action: str = "") -> Answer:
    # the rest of the body is not read, so the connection cannot be used again
    return _refusal(problem("too-large", detail, action), {"connection": "close"})
