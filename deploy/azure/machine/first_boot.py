"""
Fetch the release that the deployment names, prove that it is the one, unpack it, install and start it.

Runs as root at the machine's first boot, with nothing but Python's own library. What it says is in
``/var/log/cloud-init-output.log``. Running it again repairs, or upgrades after ``deployment.json`` was changed.
"""

import hashlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

DEPLOYMENT = Path("/etc/onelogin-connector/deployment.json")
RELEASE = Path("/opt/onelogin-connector/release")
MOST_BYTES = 256 * 1024 * 1024
TRIES = 20
PAUSE_SECONDS = 15
"""The network of a new machine comes up late; five minutes are more than it ever needs."""


def main() -> int:
    """
    Do it all; returns the exit status.
    """
    values = json.loads(DEPLOYMENT.read_text())
    archive = fetched(values["package_uri"])
    if not is_release(archive, values["package_sha256"]):
        found = hashlib.sha256(archive).hexdigest()
        print(
            f"{values['package_uri']} has the SHA-256 {found}, not {values['package_sha256']}.",
            file=sys.stderr,
        )
        print(
            "Nothing was installed. Deploy again with the right packageUri and packageSha256.",
            file=sys.stderr,
        )
        return 1
    unpack(archive, RELEASE)
    for command in (
        ["sh", str(RELEASE / "deploy/systemd/install.sh")],
        [sys.executable, str(RELEASE / "deploy/azure/machine/configure.py")],
        ["systemctl", "daemon-reload"],
        ["systemctl", "restart", "onelogin-connector.service", "caddy.service"],
    ):
        subprocess.run(command, check=True)  # noqa: S603 - of words that stand here
    return 0


def fetched(address: str, *, sleep: Callable[[float], None] = time.sleep) -> bytes:
    """
    Return what is at an address, trying again while the network is not there.

    Raises:
        SystemExit: It is no https address, is refused, too large, or cannot be reached for minutes.
    """
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname != "127.0.0.1":
        raise SystemExit(f"packageUri must begin with https://, not {parts.scheme or address[:40]}.")
    for _ in range(TRIES):
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - looked at above
                body: bytes = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                raise SystemExit(
                    f"{address} is refused with {error.code}. Can it be read without signing in?"
                ) from error
            reason: object = error
        except OSError as error:
            reason = error
        else:
            if len(body) > MOST_BYTES:
                raise SystemExit(f"{address} is larger than {MOST_BYTES:,} bytes; no release is.")
            return body
        print(f"{address} cannot be fetched yet ({reason}); it is tried again.", file=sys.stderr, flush=True)
        sleep(PAUSE_SECONDS)
    raise SystemExit(f"{address} could not be fetched in {TRIES * PAUSE_SECONDS // 60} minutes.")


def is_release(archive: bytes, sha256: str) -> bool:
    """
    Tell whether an archive is the one that was named.
    """
    return hashlib.sha256(archive).hexdigest() == sha256.strip().lower()


def unpack(archive: bytes, folder: Path) -> None:
    """
    Unpack an archive without its top folder, in place of what was there.
    """
    subprocess.run(["rm", "-rf", str(folder)], check=True)  # noqa: S603, S607
    folder.mkdir(parents=True)
    words = ["tar", "-xzf", "-", "--strip-components=1", "--no-same-owner", "-C", str(folder)]
    subprocess.run(words, input=archive, check=True)  # noqa: S603 - of words that stand here


if __name__ == "__main__":
    sys.exit(main())
