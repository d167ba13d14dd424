"""
A client of one simulated subscription, written out by hand so that it shares nothing with our sinks.
"""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
from email.utils import formatdate

import httpx2
from msgspec.json import encode

from onelogin_connector.simulator.azure.api import Api
from onelogin_connector.simulator.azure.subscription import (
    CLIENT_ID,
    CLIENT_SECRET,
    LEGACY_ID,
    RULE_ID,
    STATIC_TOKEN,
    TENANT_ID,
    WORKSPACE_KEY,
    Subscription,
)
from onelogin_connector.simulator.azure.trouble import Fault, Trouble
from onelogin_connector.simulator.azure.wire import Wire

NOW = 1_795_200_000.25
NOW_TEXT = "2026-11-20T18:40:00.250000Z"
STREAM = "Custom-OneLogin_CL"


def signature(body, *, date, content_type="application/json", key=WORKSPACE_KEY, length=None):
    """
    Sign a post as the documentation of the Data Collector API says.
    """
    size = len(body) if length is None else length
    text = f"POST\n{size}\n{content_type}\nx-ms-date:{date}\n/api/logs"
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


class Caller:
    """
    Asks on a clock that only the test moves.
    """

    def __init__(self, **options):
        self.now = NOW
        self.naps = []
        self.subscription = Subscription(clock=lambda: self.now, sleep=self._nap, **options)
        self.api = Api(self.subscription)
        self.client = httpx2.AsyncClient(transport=Wire(self.api), base_url="http://azure.example")

    async def _nap(self, seconds):
        self.naps.append(seconds)
        self.now += seconds

    def ask(self, method, path, **options):
        return asyncio.run(self.client.request(method, path, **options))

    def sign_in(self, tenant=TENANT_ID, **changes):
        form = {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scope": "https://monitor.azure.com/.default",
        } | changes
        return self.ask(
            "POST", f"/{tenant}/oauth2/v2.0/token", data={k: v for k, v in form.items() if v is not None}
        )

    def token(self, **changes):
        return self.sign_in(**changes).json()["access_token"]

    def ingest(
        self,
        rows,
        *,
        token=STATIC_TOKEN,
        rule=RULE_ID,
        stream=STREAM,
        version="2023-01-01",
        zipped=True,
        **headers,
    ):
        body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
        sent = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if zipped:
            sent["content-encoding"] = "gzip"
            body = gzip.compress(body, 1)
        path = f"/dataCollectionRules/{rule}/streams/{stream}"
        sent = {name: value for name, value in sent.items() if value is not None}
        return self.ask("POST", path, params={"api-version": version}, headers=sent, content=body, timeout=30)

    def collect(
        self, records, *, workspace=LEGACY_ID, version="2016-04-01", date=None, signed=None, **headers
    ):
        body = records if isinstance(records, bytes) else json.dumps(records, ensure_ascii=False).encode()
        date = formatdate(self.now, usegmt=True) if date is None else date
        text = signature(body, date=date) if signed is None else signed(body, date)
        sent = {
            "authorization": f"SharedKey {workspace}:{text}",
            "content-type": "application/json",
            "x-ms-date": date,
            "log-type": "OneLogin",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in sent.items() if value is not None}
        params = {} if version is None else {"api-version": version}
        return self.ask("POST", "/api/logs", params=params, headers=sent, content=body, timeout=30)

    def fail(self, trouble, **options):
        answer = self.ask(
            "POST", "/simulator/faults", content=encode(Fault(trouble=Trouble(trouble), **options))
        )
        assert answer.status_code == 204

    def rows(self, table="OneLogin_CL", workspace="sentinel"):
        return self.subscription.workspaces[workspace].rows(table)

    def row(self, **kwargs):
        return self.rows(**kwargs)[-1]

    def lost(self, workspace="sentinel"):
        return {
            (lost.column, lost.why): n for lost, n in self.subscription.workspaces[workspace].lost.items()
        }
