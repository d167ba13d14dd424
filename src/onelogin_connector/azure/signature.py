"""
The signature by which the HTTP Data Collector API knows a workspace's key.

HMAC-SHA256 with the decoded key over five lines joined by LF, none behind the last: the method, the body's
length in *bytes*, the content type, ``x-ms-date:`` with the date, and the path. The service signs what it
received, so content type and date must go out exactly as they were signed.
"""

from base64 import b64decode, b64encode
from email.utils import formatdate
from hashlib import sha256
from hmac import digest

from onelogin_connector.setting import Secret

CONTENT_TYPE = "application/json"
"""Signed and sent as it stands: a client that adds a charset is answered 403."""
PATH = "/api/logs"


def decoded_key(key: str) -> bytes:
    """
    Return the bytes of a workspace key.

    Raises:
        ValueError: It is no Base64; the sentence does not repeat it.
    """
    try:
        found = b64decode(key, validate=True)
    except ValueError:
        found = b""
    if not found:
        raise ValueError(
            "a workspace key is Base64; copy the primary or secondary key whole, with the = at its end"
        )
    return found


def signature(key: bytes, *, size_bytes: int, date: str, content_type: str = CONTENT_TYPE) -> str:
    """
    Return the signature of one post, in Base64.

    Args:
        key: Decoded.
        size_bytes: Of the body as it is sent.
        date: As the header ``x-ms-date`` says it.
    """
    text = f"POST\n{size_bytes}\n{content_type}\nx-ms-date:{date}\n{PATH}"
    return b64encode(digest(key, text.encode(), sha256)).decode()


class SharedKey:
    """
    A workspace and its key.
    """

    __slots__ = ("_key", "workspace_id")

    def __init__(self, workspace_id: str, key: Secret) -> None:
        """
        Look at the key, and keep it as the secret that it is.

        Raises:
            ValueError: It is no Base64.
        """
        decoded_key(key.reveal())
        self.workspace_id, self._key = workspace_id, key

    def __repr__(self) -> str:
        return f"SharedKey({self.workspace_id}, …)"

    def headers(self, body: bytes, *, at: float) -> dict[str, str]:
        """
        Return the headers that must go out with a body.

        Args:
            at: Unix seconds. The service refuses a date that is some minutes off its own.
        """
        date = formatdate(at, usegmt=True)  # always English, whatever the locale
        signed = signature(decoded_key(self._key.reveal()), size_bytes=len(body), date=date)
        return {
            "authorization": f"SharedKey {self.workspace_id}:{signed}",
            "content-type": CONTENT_TYPE,
            "x-ms-date": date,
        }
