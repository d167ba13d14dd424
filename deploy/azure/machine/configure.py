"""
Write the machine's settings from what the deployment handed over.

Runs as root after the program was installed. Settings that are there already are left alone: from then on they are
the administrator's. Values are written as TOML and environment files quote them, whatever is in them.
"""

import grp
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MARK = "# Written at the first boot of the machine."
RUN = "/run/onelogin-connector"


def main(root: Path = Path("/"), release: Path = HERE.parents[2]) -> int:
    """
    Write every file; returns the exit status.

    Args:
        root: The machine's root folder.
        release: Where the release is unpacked.
    """
    folder = root / "etc/onelogin-connector"
    values = json.loads((folder / "deployment.json").read_text())
    group = _group()
    write(folder / "onelogin-connector.toml", settings(values), group=group, replace=_is_starter)
    if values["onelogin_domain"]:
        write(folder / "client-id", values["onelogin_client_id"] + "\n", group=group)
    write(folder / "key-vault.env", environment(key_vault(values)), group=group)
    write(folder / "caddy.env", environment({"PUBLIC_HOST": values["public_host"]}), mode=0o644)
    copy(release / "deploy/azure/machine/key-vault.conf", unit(root, "onelogin-connector", "key-vault"))
    copy(release / "deploy/azure/machine/caddy.conf", unit(root, "caddy", "onelogin-connector"))
    copy(release / "deploy/systemd/Caddyfile", root / "etc/caddy/Caddyfile")
    return 0


def unit(root: Path, service: str, name: str) -> Path:
    """
    Return where an addition to a service's unit goes.
    """
    return root / f"etc/systemd/system/{service}.service.d/{name}.conf"


def settings(values: dict[str, str]) -> str:
    """
    Return the program's settings.
    """
    lines = [
        MARK,
        "",
        "[web]",
        "webhook_port = 8443 # what Caddy brings to the internet; the console stays at 127.0.0.1:8080",
        'trusted_proxies = ["127.0.0.1"]',
        "",
        "[connectors.default]",
        f'webhook_tokens = [{{ file = "{RUN}/webhook-token" }}]',
    ]
    if values["onelogin_domain"]:
        lines += [
            f"domain = {quoted(values['onelogin_domain'])}",
            'client_id = { file = "/etc/onelogin-connector/client-id" }',
            f'client_secret = {{ file = "{RUN}/client-secret" }}',
        ]
    lines += [
        "",
        "[sinks.store]",
        'kind = "store"',
        "",
        "[sinks.sentinel]",
        'kind = "logs_ingestion"',
        f"endpoint = {quoted(values['logs_endpoint'])}",
        f"rule_id = {quoted(values['logs_rule_id'])}",
        f"table = {quoted(values['event_table'])}",
    ]
    if values["onelogin_domain"]:
        lines.append('users_stream = "Custom-OneLoginUsersV2_CL"')
    lines.append(
        f'credential = {{ kind = "managed_identity", client_id = {quoted(values["identity_client_id"])} }}'
    )
    return "\n".join(lines) + "\n"


def key_vault(values: dict[str, str]) -> dict[str, str]:
    """
    Return what ``key_vault_secrets.py`` has to know.
    """
    names = ["webhook-token"] + (["client-secret"] if values["onelogin_domain"] else [])
    return {
        "KEY_VAULT_URI": values["vault_uri"],
        "KEY_VAULT_IDENTITY": values["identity_client_id"],
        "KEY_VAULT_SECRETS": " ".join(names),
    }


def quoted(text: str) -> str:
    """
    Write a text as TOML: JSON's escapes are TOML's, but for the delete character.
    """
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def environment(values: dict[str, str]) -> str:
    """
    Write an environment file as systemd reads it.

    Raises:
        SystemExit: A value holds a line break, which no such file can hold safely.
    """
    for name, value in values.items():
        if any(ord(letter) < 32 for letter in value):
            raise SystemExit(f"{name} holds a control character; deploy again with the right value.")
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in values.items()}
    return "".join(f'{name}="{value}"\n' for name, value in escaped.items())


def write(path: Path, text: str, *, group: int = -1, mode: int = 0o640, replace: Any = None) -> None:
    """
    Write a file whole or not at all.

    Args:
        group: Id of the group that may read it; -1 for none.
        replace: Tells of the text that is there whether it may go; without it, it may.
    """
    if replace is not None and path.exists() and not replace(path.read_text()):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    if group != -1:
        os.chown(new, -1, group)
    new.chmod(mode)
    new.replace(path)


def copy(source: Path, target: Path) -> None:
    """
    Copy a file of the release to where its reader looks for it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)


def _is_starter(text: str) -> bool:
    """
    Tell whether settings are still those that ``init`` wrote, in which every line is a comment.
    """
    return all(line.startswith("#") or not line.strip() for line in text.splitlines())


def _group() -> int:
    try:
        return grp.getgrnam("onelogin-connector").gr_gid
    except KeyError:
        return -1


if __name__ == "__main__":
    sys.exit(main())
