"""
The Logs Ingestion API.

A 204 means that the call was taken, no more: fields that the stream does not declare are dropped, values that fit
no column become null, long ones are cut, and nobody is told. Here each such loss is counted.

Not documented, and so our reading: the order of the checks (token, role, sizes, body), the bodies of 401, 404 and
400. Rules and streams that do not exist are told apart only for those who may send.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec import MsgspecError
from msgspec.json import Decoder, encode

from onelogin_connector.simulator.azure import columns
from onelogin_connector.simulator.azure.entra import Entra
from onelogin_connector.simulator.azure.exchange import Answer, Asked, NotGzip, of_json
from onelogin_connector.simulator.azure.rules import PUBLISHER, Rule, Stream
from onelogin_connector.simulator.azure.tables import Row

API_VERSIONS = frozenset({"2023-01-01", "2021-11-01-preview"})
LARGEST_BODY = 1_048_576
"""Bytes of a body, both as sent and inflated."""
LARGEST_FIELD = 65_536
"""Bytes of a value; what is longer is cut."""

_decode = Decoder(list[dict[str, Any]]).decode


class Ingestion:
    """
    The endpoint of some rules.
    """

    def __init__(self, rules: dict[str, Rule], entra: Entra, *, clock: Callable[[], float]) -> None:
        self.rules = rules
        self._entra = entra
        self._clock = clock

    def post(self, rule_id: str, stream_name: str, asked: Asked, *, lose: str = "") -> Answer:
        """
        Answer one call.

        Args:
            lose: Rows that hold this text are lost in the transformation.
        """
        token = self._entra.read(asked.headers.get("authorization", ""))
        if token is None:
            return unauthorized("The token is missing, expired, or was not issued here.", "invalid_token")
        if token.audience != self._entra.audience:
            return unauthorized(
                f"The token is for {token.audience}, not {self._entra.audience}.", "invalid_token"
            )
        rule = self.rules.get(rule_id)
        if rule is None:
            return refused(404, "NotFound", f"Data collection rule with immutable Id '{rule_id}' not found.")
        if not rule.allows(token.principal):
            return no_role(rule_id)
        wait = rule.take(len(asked.body))
        if wait is not None:
            answer = refused(429, "TooManyRequests", "The rule's limit for this minute is used up.")
            answer.headers["retry-after"] = str(int(wait) + 1)
        else:
            answer = self._take(rule, stream_name, asked, lose)
        if answer.status != 204:
            note(rule, stream_name, asked, self._clock(), "Ingestion", answer.body.decode())
        return answer

    def _take(self, rule: Rule, stream_name: str, asked: Asked, lose: str) -> Answer:
        stream = rule.streams.get(stream_name)
        if stream is None:
            return refused(404, "NotFound", f"Stream '{stream_name}' was not found in the rule '{rule.id}'.")
        if asked.query.get("api-version") not in API_VERSIONS:
            return refused(400, "InvalidApiVersion", "The api-version is missing or not supported.")
        if asked.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refused(415, "UnsupportedMediaType", "The content type must be application/json.")
        if asked.headers.get("content-encoding", "gzip").lower() != "gzip":
            return refused(415, "UnsupportedMediaType", "The content encoding must be gzip or absent.")
        if len(asked.body) > LARGEST_BODY:
            return too_large(len(asked.body))
        try:
            content = asked.content()
            if len(content) > LARGEST_BODY:
                return too_large(len(content))
            records = _decode(content)
        except NotGzip as error:
            return refused(400, "InvalidRequest", f"The body is not gzip: {error}.")
        except (MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return refused(400, "InvalidRequest", f"The body is not a JSON array of objects: {error}.")
        asked.rows = len(records)
        self._keep(rule, stream, records, asked, lose)
        return Answer(204)

    def _keep(
        self, rule: Rule, stream: Stream, records: list[dict[str, Any]], asked: Asked, lose: str
    ) -> None:
        now = self._clock()
        table = rule.workspace.tables[stream.table]
        lost: Counter[tuple[str, str]] = Counter()
        rows = []
        for record in records:
            if lose and lose.encode() in encode(record):
                lost["", "transformation failed"] += 1
            else:
                rows.append(_row(record, stream, now, lost))
        table.add(rows)
        for (column, why), count in lost.items():
            rule.workspace.lose(stream.table, column, why, count)
        if lost["", "transformation failed"]:
            note(rule, stream.name, asked, now, "Transformation", "Some rows could not be transformed.")


def _row(record: dict[str, Any], stream: Stream, now: float, lost: Counter[tuple[str, str]]) -> Row:
    """
    Return what is stored of a record.
    """
    row: Row = {}
    for name, value in record.items():
        if value is None:
            continue
        kind = stream.columns.get(name)
        if kind is None:
            lost[name, "undeclared"] += 1
            continue
        fitting = columns.CONVERTERS[kind](value)
        if fitting is None:
            lost[name, "wrong type"] += 1
            continue
        row[stream.renames.get(name, name)] = _short(fitting, name, lost)
    given = None if stream.stamps else row.get("TimeGenerated")
    row["TimeGenerated"], restamped = columns.generated(given, now)
    if restamped:
        lost["TimeGenerated", "replaced by arrival"] += 1
    return row


def _short(value: Any, name: str, lost: Counter[tuple[str, str]]) -> Any:
    """
    Cut what is too long; a dynamic value that was cut is text, and no longer what it was.
    """
    if isinstance(value, dict | list):
        text = encode(value).decode()
        short = columns.cut(text, LARGEST_FIELD)
        if short is text:
            return value
    elif type(value) is str:
        short = columns.cut(value, LARGEST_FIELD)
        if short is value:
            return value
    else:
        return value
    lost[name, "cut"] += 1
    return short


def note(rule: Rule, stream: str, asked: Asked, now: float, operation: str, message: str) -> None:
    """
    Write a row of ``DCRLogErrors``.
    """
    rule.errors.append(
        {
            "TimeGenerated": columns.iso(now),
            "ClientRequestId": asked.headers.get("x-ms-client-request-id", ""),
            "InputStreamId": stream,
            "OperationName": operation,
            "Message": message,
        }
    )


def refused(status: int, code: str, message: str) -> Answer:
    """
    Refuse, in the shape of this API.
    """
    return of_json(status, {"error": {"code": code, "message": message}}, {"x-ms-error-code": code})


def unauthorized(message: str, error: str) -> Answer:
    """
    Refuse a token.
    """
    answer = refused(401, "InvalidToken", message)
    answer.headers["www-authenticate"] = f'Bearer error="{error}"'
    return answer


def no_role(rule_id: str) -> Answer:
    """
    Refuse a sender whose role is missing, or has not propagated.
    """
    text = (
        "The authentication token provided does not have access to ingest data for the data collection rule with "
        f"immutable Id '{rule_id}'. The action of the role {PUBLISHER} was not found."
    )
    return refused(403, "OperationFailed", text)


def too_large(size: int) -> Answer:
    """
    Refuse a body.
    """
    text = (
        f"Maximum allowed content length: {LARGEST_BODY} bytes (1 MB). Provided content length: {size} bytes."
    )
    return refused(413, "ContentLengthLimitExceeded", text)
