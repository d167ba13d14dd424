"""
The HTTP Data Collector API.

Not documented, and so our reading: the order of the checks, what an empty array does (nothing, 200), and how old a
date may be. "30 MB" is taken as 30,000,000 bytes, the smaller of its meanings.
"""

import base64
import hmac
import re
from collections import Counter
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any

from msgspec import MsgspecError
from msgspec.json import Decoder

from onelogin_connector.simulator.azure import columns
from onelogin_connector.simulator.azure.exchange import Answer, Asked, of_json
from onelogin_connector.simulator.azure.inference import BadName, Columns, check_names
from onelogin_connector.simulator.azure.tables import Workspace

API_VERSION = "2016-04-01"
LARGEST_BODY = 30_000_000
"""Bytes of a post."""
DATE_SECONDS = 900
"""How far the date of a request may be from the service's clock."""
CONTENT_TYPE = "application/json"

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_LOG_TYPE = re.compile(r"[A-Za-z0-9_]{1,100}", re.ASCII)
_records = Decoder(list[dict[str, Any]] | dict[str, Any]).decode


class Collector:
    """
    The endpoint of one workspace.
    """

    def __init__(self, workspace: Workspace, key: str, *, clock: Callable[[], float]) -> None:
        """
        Open the endpoint.

        Args:
            key: The workspace's key in base64.
            clock: Unix seconds.
        """
        self.workspace = workspace
        self.is_active = True
        """Whether the workspace is paid for."""
        self._key = base64.b64decode(key, validate=True)
        self._clock = clock
        self._columns: dict[str, Columns] = {}

    def post(self, asked: Asked) -> Answer:
        """
        Answer one call.
        """
        header = asked.headers.get
        version = asked.query.get("api-version")
        if version != API_VERSION:
            return refused(400, "InvalidApiVersion" if version else "MissingApiVersion")
        if not header("content-type"):
            return refused(400, "MissingContentType")
        if len(asked.body) > LARGEST_BODY:
            return refused(404, None)  # so it is documented
        refusal = self._unauthorized(asked)
        if refusal:
            return refusal
        if header("content-type") != CONTENT_TYPE:
            return refused(400, "UnsupportedContentType")
        log_type = header("log-type", "")
        if not _LOG_TYPE.fullmatch(log_type):
            return refused(400, "InvalidLogType" if log_type else "MissingLogType")
        return self._take(f"{log_type}_CL", asked)

    def _unauthorized(self, asked: Asked) -> Answer | None:
        """
        Return the refusal of a request that is not signed as it should be.
        """
        found = re.fullmatch(r"SharedKey ([^:]*):(.*)", asked.headers.get("authorization", ""))
        if found is None:
            return refused(403, "InvalidAuthorization", "The Authorization header is missing or malformed.")
        if not _GUID.fullmatch(found[1]):
            return refused(400, "InvalidCustomerId")
        if found[1].lower() != self.workspace.id.lower():
            return refused(
                403, "InvalidAuthorization", "The workspace and the signature do not belong together."
            )
        if not self.is_active:
            return refused(400, "InactiveCustomer")
        date = asked.headers.get("x-ms-date", "")
        if not self._is_fresh(date):
            return refused(
                403, "InvalidAuthorization", "The header x-ms-date is missing, malformed or too old."
            )
        signed = "\n".join(
            (
                asked.method,
                str(len(asked.body)),
                asked.headers["content-type"],
                f"x-ms-date:{date}",
                "/api/logs",
            )
        )
        expected = base64.b64encode(hmac.new(self._key, signed.encode(), sha256).digest()).decode()
        if not hmac.compare_digest(expected.encode(), found[2].encode()):
            return refused(403, "InvalidAuthorization", "An invalid signature was specified.")
        return None

    def _is_fresh(self, date: str) -> bool:
        if not date.endswith(" GMT"):
            return False
        try:
            return abs(parsedate_to_datetime(date).timestamp() - self._clock()) <= DATE_SECONDS
        except (ValueError, OverflowError):
            return False

    def _take(self, name: str, asked: Asked) -> Answer:
        try:
            found = _records(asked.body)
            records = found if isinstance(found, list) else [found]
            for record in records:
                check_names(record)
        except (MsgspecError, UnicodeDecodeError, RecursionError, BadName) as error:
            return refused(400, "InvalidDataFormat", str(error))
        asked.rows = len(records)
        if records:
            self._keep(name, records, asked)
        return Answer(200)

    def _keep(self, name: str, records: list[dict[str, Any]], asked: Asked) -> None:
        table = self.workspace.make(name, {}, is_classic=True)
        finding = self._columns.setdefault(name, Columns(table))
        time_field = asked.headers.get("time-generated-field", "")
        resource = asked.headers.get("x-ms-azureresourceid")
        lost: Counter[tuple[str, str]] = Counter()
        rows = []
        for record in records:
            row = finding.row(record, lost)
            row["TimeGenerated"], restamped = columns.generated(record.get(time_field), self._clock())
            if restamped or (time_field and time_field not in record):
                lost["TimeGenerated", "replaced by arrival"] += 1
            if resource:
                row["_ResourceId"] = resource.lower()
            rows.append(row)
        table.add(rows)
        for (column, why), count in lost.items():
            self.workspace.lose(name, column, why, count)


def refused(status: int, code: str | None, message: str | None = None) -> Answer:
    """
    Refuse, in the shape of this API, whose members begin with capitals.
    """
    if code is None:
        return Answer(status)
    return of_json(status, {"Error": code, "Message": message})
