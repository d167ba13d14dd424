"""
Style, script and pictures, served under names that change with their content.

A browser may keep such a file for ever, since another content has another name. The files are few and small: all
are held in memory, each also compressed.
"""

import re
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from isal import igzip
from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.web.answers import HttpError

FOLDER = Path(__file__).parents[1] / "static"

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
"""What is served at all; licences and checksums beside the files are for readers of the source."""

HASH_CHARACTERS = 10
FOR_EVER = "public, max-age=31536000, immutable"


class Asset(NamedTuple):
    """
    One file, ready to be sent.
    """

    media_type: str
    body: bytes
    compressed: bytes


class Assets:
    """
    The static files of the console.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        """
        Read every file of the folder.
        """
        self._assets: dict[str, Asset] = {}
        self._addresses: dict[str, str] = {}
        for path in sorted(folder.rglob("*")):
            media_type = TYPES.get(path.suffix)
            if media_type is None:
                continue
            body = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            hashed = _hashed(name, body)
            self._addresses[name] = f"/static/{hashed}"
            self._assets[hashed] = Asset(media_type, body, igzip.compress(body, 3, mtime=0))

    def address(self, name: str) -> str:
        """
        Return where a file is served.

        Raises:
            KeyError: There is no such file; a template names it wrongly.
        """
        return self._addresses[name]

    async def serve(self, request: Request) -> Response:
        """
        Answer with a file.
        """
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HttpError("not-found", "There is no such file.", action="Load the page again.")
        headers = {"cache-control": FOR_EVER, "vary": "accept-encoding"}
        if accepts_gzip(request):
            headers["content-encoding"] = "gzip"
            return Response(asset.compressed, media_type=asset.media_type, headers=headers)
        return Response(asset.body, media_type=asset.media_type, headers=headers)


def accepts_gzip(request: Request) -> bool:
    """
    Tell whether the client takes gzip.
    """
    return (
        re.search(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))", request.headers.get("accept-encoding", ""))
        is not None
    )


def _hashed(name: str, body: bytes) -> str:
    path = PurePosixPath(name)
    digest = sha256(body).hexdigest()[:HASH_CHARACTERS]
    return str(path.with_name(f"{path.stem}-{digest}{path.suffix}"))
