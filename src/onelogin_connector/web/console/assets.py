"""
Style, script and pictures.

They are served under names that change with their content, so a browser may keep them for ever. What nothing is painted
without stands in the pages themselves, since a first visit would wait for it: style, which the content security policy
allows by the hashes of these sheets alone, and the sign. The files are few and small: all are held in memory.
"""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from isal import igzip
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.web.answers import HttpError

FOLDER = Path(__file__).parents[1] / "static"

TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
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
        self._styles = _texts(folder, "*.css")
        self._pictures = _texts(folder, "*.svg")
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

    def style(self, name: str) -> Markup:
        """
        Return a style sheet as an element.

        Raises:
            KeyError: There is no such file; a template names it wrongly.
        """
        return Markup(f"<style>{self._styles[name]}</style>")  # noqa: S704 - a file of ours

    def picture(self, name: str) -> Markup:
        """
        Return a picture of lines and areas as an element, which takes its size from style.

        Raises:
            KeyError: There is no such file; a template names it wrongly.
        """
        return Markup(self._pictures[name])  # noqa: S704 - a file of ours

    @property
    def style_sources(self) -> str:
        """
        How a content security policy names all the sheets.
        """
        hashes = (b64encode(sha256(sheet.encode()).digest()).decode() for sheet in self._styles.values())
        return " ".join(f"'sha256-{each}'" for each in hashes)

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


def _texts(folder: Path, pattern: str) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(folder.glob(pattern))}


def _hashed(name: str, body: bytes) -> str:
    path = PurePosixPath(name)
    digest = sha256(body).hexdigest()[:HASH_CHARACTERS]
    return str(path.with_name(f"{path.stem}-{digest}{path.suffix}"))
