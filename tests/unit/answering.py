"""
A OneLogin account on a mock transport: what it answers is said per path, and what it was asked is kept.
"""

import asyncio
import json
from email.utils import formatdate

import httpx2

from onelogin_connector.onelogin.budget import Budget
from onelogin_connector.onelogin.client import OneLogin
from onelogin_connector.setting import Secret

URL = "https://acme.onelogin.com"
NOW = 1_795_200_000.0
TOKEN_PATH = "/auth/oauth2/v2/token"
CLIENT_ID = "1dc0ffee" * 8
CLIENT_SECRET = "5ec2e7aa" * 8
ACCESS_TOKEN = "70ce9bad" * 8
REFRESH_TOKEN = "4ef2e56d" * 8
SECRETS = (CLIENT_ID, CLIENT_SECRET, ACCESS_TOKEN, REFRESH_TOKEN)
SUCCESS = {"error": False, "code": 200, "type": "success", "message": "Success"}
NO_PAGES = {"before_cursor": None, "after_cursor": None, "previous_link": None, "next_link": None}


def granted(**changes):
    """
    Return the answer of the token endpoint.
    """
    content = {
        "access_token": ACCESS_TOKEN,
        "created_at": "2026-11-20T16:00:00.000Z",
        "expires_in": 36_000,
        "refresh_token": REFRESH_TOKEN,
        "token_type": "bearer",
        "account_id": 999_999,
    }
    return {"json": content | changes}


def listed(*records, following=None):
    """
    Return a page of events, with the cursor to the next one if there is any.
    """
    link = {"next_link": "https://evil.example.com/steal", "after_cursor": following} if following else {}
    return {"json": {"status": SUCCESS, "pagination": NO_PAGES | link, "data": list(records)}}


def enveloped(status, message, type="error"):
    """
    Return an error as v1 says it.
    """
    problem = {"error": True, "code": status, "type": type, "message": message}
    return {"status_code": status, "json": {"status": problem}}


class Answering:
    """
    The account and its client, with a clock that only ``sleep`` moves.
    """

    def __init__(self, answers=None, *, dated=True, **options):
        """
        Args:
            answers: Path → an answer, a function of the request, or a list of them, whose last one stays.
            dated: Whether answers name the server's time, which is that of ``server_now``.
        """
        self.now = self.server_now = NOW
        self.dated = dated
        self.answers = {TOKEN_PATH: granted(), **(answers or {})}
        self.requests = []
        self.budget = options.pop("budget", None) or Budget(
            1, 1_000_000, clock=lambda: self.now, sleep=self.sleep
        )
        self.client = OneLogin(
            api_url=options.pop("api_url", URL),
            client_id=Secret(CLIENT_ID),
            client_secret=Secret(options.pop("client_secret", CLIENT_SECRET)),
            budget=self.budget,
            transport=httpx2.MockTransport(self._answer),
            clock=lambda: self.now,
            sleep=self.sleep,
            **options,
        )

    async def sleep(self, seconds):
        self.now += seconds
        self.server_now += seconds
        await asyncio.sleep(0)

    async def _answer(self, request):
        await asyncio.sleep(0)  # so that calls can overtake one another
        self.requests.append(request)
        answer = self.answers.get(request.url.path, enveloped(404, "No Route Exists", "not found"))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        answer = {"status_code": 200, **answer}
        headers = {"date": formatdate(self.server_now, usegmt=True)} if self.dated else {}
        answer["headers"] = headers | dict(answer.get("headers", {}))
        return httpx2.Response(**answer)

    def asked(self, path):
        """
        Return the requests for a path.
        """
        return [request for request in self.requests if request.url.path == path]

    def events(self, **options):
        """
        Fetch a page of events.
        """
        return asyncio.run(self.client.events(**{"since_us": 1, "until_us": 2_000_000, **options}))


def raw(value):
    """
    Write JSON in the way nobody would write it by default, so that encoding it anew would show.
    """
    return json.dumps(value, ensure_ascii=True, separators=(" ,  ", " : ")).encode()
