"""
An API credential, its token, and the account's hourly allowance of calls.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from re import fullmatch

from msgspec import Struct

CLIENT_ID = "simulated-client-id"
CLIENT_SECRET = "simulated-client-secret"  # noqa: S105 - it opens nothing but a simulation
TOKEN_SECONDS = 36_000
CALLS_PER_HOUR = 5_000
HOUR_SECONDS = 3_600


class Token(Struct, frozen=True):
    """
    An access token.
    """

    text: str
    created_at: float
    ends_at: float


class Credential:
    """
    A client id with its secret. Asked again, it gives the same token until that ends, as OneLogin's v2 does.
    """

    def __init__(self, client_id: str, client_secret: str, *, clock: Callable[[], float]) -> None:
        self.client_id = client_id
        self._secret = client_secret
        self._clock = clock
        self._token: Token | None = None
        self._made = 0

    def fits(self, client_id: str, client_secret: str) -> bool:
        """
        Tell whether this is the credential.
        """
        theirs, ours = f"{client_id}\n{client_secret}", f"{self.client_id}\n{self._secret}"
        return compare_digest(theirs.encode(), ours.encode())

    def token(self, *, seconds: float = TOKEN_SECONDS) -> Token:
        """
        Return the token that is valid now, a new one if there is none.

        Args:
            seconds: How long a new one lives.
        """
        now = self._clock()
        if self._token is None or not self._token.created_at <= now < self._token.ends_at:
            self._made += 1
            text = sha256(f"{self._secret}/{self._made}/{now}".encode()).hexdigest()
            self._token = Token(text, now, now + seconds)
        return self._token

    def accepts(self, authorization: str) -> bool:
        """
        Tell whether a header carries the valid token, in one of the spellings that are in use.
        """
        found = fullmatch(r"(?i:bearer)(?:: ?| )(\S+)", authorization)
        token = self._token
        if found is None or token is None or self._clock() >= token.ends_at:
            return False
        return compare_digest(found[1].encode(), token.text.encode())

    def revoke(self) -> None:
        """
        End the token now.
        """
        self._token = None


def claimed(authorization: str, form: Mapping[str, str]) -> tuple[str, str] | None:
    """
    Read the client id and secret that a token request claims, in any of the three accepted forms.

    Returns:
        None where there are none.
    """
    if "client_id" in form and "client_secret" in form:
        return form["client_id"], form["client_secret"]
    own = fullmatch(r"client_id:([^,]+), ?client_secret:(.+)", authorization)
    if own:
        return own[1].strip(), own[2].strip()
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            name, found, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (name, secret) if found else None
    return None


class Allowance:
    """
    How many calls an account has left in this hour, whoever makes them.
    """

    def __init__(self, per_hour: int = CALLS_PER_HOUR, *, clock: Callable[[], float]) -> None:
        self.per_hour = per_hour
        self._clock = clock
        self._used = 0
        self._since = clock()

    def take(self, calls: int = 1) -> bool:
        """
        Use some; False if fewer were left. Other programs of the same account take from the same allowance.
        """
        if self._clock() - self._since >= HOUR_SECONDS:
            self._since, self._used = self._clock(), 0
        taken = self._used + calls <= self.per_hour
        self._used = min(self.per_hour, self._used + calls)
        return taken

    @property
    def remaining(self) -> int:
        """
        Calls left.
        """
        return self.per_hour - self._used

    @property
    def reset_seconds(self) -> int:
        """
        Seconds, not a moment, until all are there again.
        """
        return max(0, int(self._since + HOUR_SECONDS - self._clock()))
