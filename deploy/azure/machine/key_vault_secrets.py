"""
Bring secrets from Key Vault into files that only the service can read, before the service starts.

Runs as the service's user, with nothing but Python's own library: a token for the machine's identity from Azure's
metadata service, one call per secret, one file each in the service's runtime folder. A vault that cannot be reached
is no reason to stop taking events: what an earlier start has brought stays in use, and the log says so.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

METADATA = "http://169.254.169.254"
"""Azure's metadata service, the same address on every machine."""

TRIES = 6
PAUSE_SECONDS = 5
"""A role that was just given takes a while; systemd starts the service again after that."""


class NotFetchedError(Exception):
    """
    A secret could not be fetched.
    """


def main(
    environ: Mapping[str, str] = os.environ,
    *,
    metadata: str = METADATA,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """
    Fetch every secret; returns the exit status.
    """
    os.umask(0o077)
    folder = Path(environ["RUNTIME_DIRECTORY"])
    vault, client = environ["KEY_VAULT_URI"].rstrip("/"), environ["KEY_VAULT_IDENTITY"]
    names = environ["KEY_VAULT_SECRETS"].split()
    for attempt in range(1, TRIES + 1):
        try:
            token = _token(metadata, vault, client)
            found = {name: _secret(vault, name, token) for name in names}
        except NotFetchedError as error:
            print(f"{error} (try {attempt} of {TRIES})", file=sys.stderr, flush=True)
            if all((folder / name).exists() for name in names):
                print("The secrets of an earlier start stay in use.", file=sys.stderr)
                return 0
            if attempt < TRIES:
                sleep(PAUSE_SECONDS)
        else:
            for name, value in found.items():
                _keep(folder / name, value)
            return 0
    return 1


def _token(metadata: str, vault: str, client: str) -> str:
    # https://NAME.vault.azure.net is asked for with a token for https://vault.azure.net, in each cloud alike
    resource = "https://" + (urlsplit(vault).hostname or "").partition(".")[2]
    query = urlencode({"api-version": "2018-02-01", "resource": resource, "client_id": client})
    answer = _asked(
        f"{metadata}/metadata/identity/oauth2/token?{query}",
        {"Metadata": "true"},
        "The machine's identity gives no token. Is it assigned to this machine?",
    )
    return str(answer["access_token"])


def _secret(vault: str, name: str, token: str) -> str:
    answer = _asked(
        f"{vault}/secrets/{name}?api-version=7.4",
        {"Authorization": f"Bearer {token}"},
        f"The vault does not give the secret {name}. Does it exist, and has the identity the role Key Vault Secrets User?",
    )
    return str(answer["value"])


def _asked(address: str, headers: dict[str, str], trouble: str) -> dict[str, Any]:
    # neither may go through a proxy: one is link-local, the other gets a token
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    try:
        with opener.open(urllib.request.Request(address, headers=headers), timeout=10) as answer:  # noqa: S310 - ours
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        error.close()
        raise NotFetchedError(f"{trouble} It answered {error.code}.") from None
    except (OSError, ValueError) as error:
        # only the kind: an address or a body could hold what must not be in a log
        raise NotFetchedError(f"{trouble} There was no answer ({type(error).__name__}).") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """
    A token goes to the host it is for and to no other.
    """

    def redirect_request(self, *_: Any) -> None:
        """
        Follow nothing: the redirect is an error.
        """


def _keep(path: Path, value: str) -> None:
    """
    Write a file whole or not at all.
    """
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(value)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main())
