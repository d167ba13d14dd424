"""
What a machine in Azure does by itself: the first boot, its settings, its secrets, and Caddy before the program.

A server on loopback stands in for the release's host, the metadata service and the vault.
"""

import hashlib
import io
import json
import os
import re
import stat
import subprocess
import sys
import tarfile
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.azure import build
from deploy.azure.machine import configure, first_boot, key_vault_secrets
from onelogin_connector.config import load
from patience import PATIENCE_SECONDS, wait_until
from ports import free_port

ROOT = Path(__file__).parents[2]
VALUES = {
    "package_uri": "https://example.com/onelogin-connector.tar.gz",
    "package_sha256": "0" * 64,
    "public_host": "onelogin-abc.westeurope.cloudapp.azure.com",
    "vault_uri": "https://kv-abc.vault.azure.net/",
    "identity_client_id": "33333333-3333-3333-3333-333333333333",
    "logs_endpoint": "https://dce-abc.northeurope-1.ingest.monitor.azure.com",
    "logs_rule_id": "dcr-" + "0" * 32,
    "event_table": "OneLogin_CL",
    "onelogin_domain": "acme.onelogin.com",
    "onelogin_client_id": "0f3c8a10",
}
SECRETS = {"webhook-token": "a-token-of-sufficient-length-1", "client-secret": "ä secret\nof two lines"}

Answer = Callable[[str, dict[str, str]], tuple[int, bytes]]


@pytest.fixture
def served() -> Iterator[Callable[[Answer], str]]:
    """
    Return what serves answers on loopback and gives the address.
    """
    servers = []

    def serve(answer: Answer) -> str:
        class Asked(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = answer(self.path, dict(self.headers))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body.decode())
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def vault(path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """
    Answer as metadata service and vault, and insist on what each of them insists on.
    """
    if path.startswith("/metadata/identity/oauth2/token?"):
        wanted = headers.get("Metadata") == "true" and f"client_id={VALUES['identity_client_id']}" in path
        return (200, b'{"access_token": "a token of the identity"}') if wanted else (400, b"{}")
    if headers.get("Authorization") != "Bearer a token of the identity":
        return 401, b"{}"
    name = path.removeprefix("/secrets/").partition("?")[0]
    if name not in SECRETS:
        return 404, b"{}"
    return 200, json.dumps({"value": SECRETS[name], "id": "x"}).encode()


def fetch(folder: Path, address: str, names: str = "webhook-token client-secret") -> int:
    """
    Run what fetches the secrets, without waiting between its tries.
    """
    environ = {
        "RUNTIME_DIRECTORY": str(folder),
        "KEY_VAULT_URI": address + "/",
        "KEY_VAULT_IDENTITY": VALUES["identity_client_id"],
        "KEY_VAULT_SECRETS": names,
    }
    before = os.umask(0o022)
    try:
        return key_vault_secrets.main(environ, metadata=address, sleep=lambda seconds: None)
    finally:
        os.umask(before)


def test_secrets_come_from_the_vault(tmp_path, served):
    """
    Each secret is a file that only its owner reads, byte for byte, and what changed in the vault is followed.
    """
    address = served(vault)
    for value in ("first", "changed"):
        SECRETS["webhook-token"] = value
        assert fetch(tmp_path, address) == 0
        assert (tmp_path / "webhook-token").read_text() == value
    assert (tmp_path / "client-secret").read_text() == SECRETS["client-secret"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_vault_out_of_reach_stops_nothing(tmp_path, served, capsys):
    """
    What an earlier start brought stays in use; a first start without a vault fails, saying what to look at.
    """
    broken = served(lambda path, headers: (503, b"a body that must not be logged"))
    assert fetch(tmp_path, broken) == 1
    assert "Is it assigned to this machine?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert fetch(tmp_path, served(vault)) == 0
    assert fetch(tmp_path, broken) == 0
    said = capsys.readouterr().err
    assert "stay in use" in said
    assert "must not be logged" not in said


def test_a_role_that_is_not_yet_in_effect_is_waited_for(tmp_path, served):
    """
    The first minutes after a deployment the vault refuses; it is asked again.
    """
    tries = iter([(403, b"{}")] * 3)

    def later(path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        return vault(path, headers) if "metadata" in path else next(tries, vault(path, headers))

    assert fetch(tmp_path, served(later)) == 0


def test_a_secret_that_is_missing_leaves_no_half(tmp_path, served, capsys):
    """
    Either every secret is written or none, and the one that is missing is named.
    """
    assert fetch(tmp_path, served(vault), "webhook-token nothing-here") == 1
    assert "nothing-here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_token_goes_to_its_host_alone(tmp_path, served):
    """
    A redirect is not followed: the vault's token must not reach anybody else.
    """
    seen: list[dict[str, str]] = []

    def elsewhere(path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        seen.append(headers)
        return 200, b'{"value": "x"}'

    other = served(elsewhere)

    def redirecting(path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        return (
            vault(path, headers) if "metadata" in path else (302, f"{other}/secrets/webhook-token".encode())
        )

    assert fetch(tmp_path, served(redirecting)) == 1
    assert seen == []


def release() -> bytes:
    """
    Return an archive as a code host makes one: everything below one folder.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in (("deploy/systemd/install.sh", b"exit 0\n"), ("README.md", b"text")):
            entry = tarfile.TarInfo(f"onelogin-connector-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


def test_release_is_fetched_and_unpacked(tmp_path, served):
    """
    The archive comes without its top folder, and replaces what an earlier release left.
    """
    archive = release()
    address = served(lambda path, headers: (200, archive))
    got = first_boot.fetched(f"{address}/x.tar.gz", sleep=lambda seconds: None)
    assert got == archive
    assert first_boot.is_release(got, hashlib.sha256(archive).hexdigest().upper() + "\n")
    folder = tmp_path / "release"
    (folder / "old").mkdir(parents=True)
    first_boot.unpack(got, folder)
    assert (folder / "README.md").read_text() == "text"
    assert not (folder / "old").exists()


def test_another_archive_is_not_installed(tmp_path, served, monkeypatch, capsys):
    """
    One byte more and nothing is unpacked; both sums are named.
    """
    address = served(lambda path, headers: (200, release() + b"\0"))
    deployment = tmp_path / "deployment.json"
    deployment.write_text(
        json.dumps({"package_uri": f"{address}/x", "package_sha256": hashlib.sha256(release()).hexdigest()})
    )
    monkeypatch.setattr(first_boot, "DEPLOYMENT", deployment)
    monkeypatch.setattr(first_boot, "RELEASE", tmp_path / "release")
    assert first_boot.main() == 1
    assert "Nothing was installed" in capsys.readouterr().err
    assert not (tmp_path / "release").exists()


def test_network_that_comes_up_late_is_waited_for(served):
    """
    Failures of the server and the network are tried again, a refusal is not, and neither goes on for ever.
    """
    answers = iter([(503, b""), (500, b""), (200, b"archive")])
    address = served(lambda path, headers: next(answers))
    waited: list[float] = []
    assert first_boot.fetched(address, sleep=waited.append) == b"archive"
    assert len(waited) == 2
    with pytest.raises(SystemExit, match="refused with 404"):
        first_boot.fetched(served(lambda path, headers: (404, b"")), sleep=waited.append)
    with pytest.raises(SystemExit, match="could not be fetched in 5 minutes"):
        first_boot.fetched("http://127.0.0.1:1/", sleep=lambda seconds: None)
    with pytest.raises(SystemExit, match="must begin with https"):
        first_boot.fetched("http://example.com/x.tar.gz")


def placed(root: Path, **changed: str) -> Path:
    """
    Lay a machine's root folder out and configure it.
    """
    folder = root / "etc" / "onelogin-connector"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "deployment.json").write_text(json.dumps(VALUES | changed))
    assert configure.main(root, ROOT) == 0
    return folder


def settings(folder: Path, run: Path) -> Any:
    """
    Read the settings as the program does, with the secrets where a test can put them.
    """
    text = (folder / "onelogin-connector.toml").read_text().replace(configure.RUN, str(run))
    path = run / "settings.toml"
    path.write_text(text.replace("/etc/onelogin-connector", str(folder)))
    return load(path, {"ONELOGIN_CONNECTOR_DATA_DIR": str(run / "data")})


def test_settings_are_those_the_program_takes(tmp_path):
    """
    What is written is valid, with the secrets by reference, the console inside and Sentinel as a destination.
    """
    folder = placed(tmp_path / "machine")
    for name in ("webhook-token", "client-secret"):
        (tmp_path / name).write_text("a value of sufficient length for a token")
    found = settings(folder, tmp_path)
    assert found.web.host == "127.0.0.1"
    assert found.web.webhook_port == 8443
    connector = found.connectors["default"]
    assert connector.domain == "acme.onelogin.com"
    assert connector.client_id.reveal() == "0f3c8a10"
    assert set(found.sinks) == {"store", "sentinel"}
    written = "".join(path.read_text() for path in folder.iterdir())
    assert "a value of sufficient length" not in written


def test_settings_without_polling(tmp_path):
    """
    Without a domain the API is not polled, and the vault is not asked for a secret that it does not have.
    """
    folder = placed(tmp_path / "machine", onelogin_domain="", onelogin_client_id="")
    (tmp_path / "webhook-token").write_text("a value of sufficient length for a token")
    assert settings(folder, tmp_path).connectors["default"].domain in {None, ""}
    assert 'KEY_VAULT_SECRETS="webhook-token"' in (folder / "key-vault.env").read_text()
    assert not (folder / "client-id").exists()


def test_settings_of_the_administrator_are_left_alone(tmp_path):
    """
    A second run, after an upgrade, replaces neither edited settings nor what is theirs; a starter file is replaced.
    """
    folder = placed(tmp_path)
    path = folder / "onelogin-connector.toml"
    path.write_text("# a starter\n\n# port = 8080\n")
    placed(tmp_path)
    assert "[sinks.sentinel]" in path.read_text()
    path.write_text(path.read_text() + "\n[alarms]\nsilence_hours = 6\n")
    placed(tmp_path)
    assert tomllib.loads(path.read_text())["alarms"] == {"silence_hours": 6}


@given(st.text())
def test_any_value_is_one_value_in_the_settings(text):
    """
    No quotation mark or line break in a parameter becomes another setting.
    """
    text = text.encode(
        "utf-8", "ignore"
    ).decode()  # lone surrogates are no text, and no JSON of Azure's has them
    found = tomllib.loads(configure.settings(VALUES | {"event_table": text}))
    assert found["sinks"]["sentinel"]["table"] == text
    assert set(found) == {"web", "connectors", "sinks"}


def test_files_have_the_modes_of_their_readers(tmp_path):
    """
    Others read neither settings nor what belongs to secrets; units and Caddy's files are no secret.
    """
    folder = placed(tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {modes[name] for name in ("onelogin-connector.toml", "client-id", "key-vault.env")} == {0o640}
    assert modes["caddy.env"] == 0o644
    assert (tmp_path / "etc/caddy/Caddyfile").read_bytes() == (ROOT / "deploy/systemd/Caddyfile").read_bytes()
    assert configure.unit(tmp_path, "onelogin-connector", "key-vault").exists()


def test_cloud_init_names_what_is_there():
    """
    Packages that the release needs are installed, and every file is written whole.
    """
    told = yaml.safe_load(build.cloud_init())
    assert {"caddy", "python3-venv", "ca-certificates"} <= set(told["packages"])
    assert told["runcmd"] == [["python3", "/opt/onelogin-connector/first_boot.py"]]
    assert all(file["encoding"] == "b64" for file in told["write_files"])
    assert str(first_boot.DEPLOYMENT) in {file["path"] for file in told["write_files"]}


@pytest.fixture
def behind_caddy(tmp_path, needs) -> Iterator[str]:
    """
    Start the program with the machine's settings, and Caddy with its file, on free ports of loopback.
    """
    caddy = needs("caddy")
    folder = placed(tmp_path / "machine", onelogin_domain="", onelogin_client_id="")
    (tmp_path / "webhook-token").write_text("a-webhook-token-of-sufficient-length")
    ports = {"8443": free_port(), "public": free_port()}
    text = (folder / "onelogin-connector.toml").read_text().replace(configure.RUN, str(tmp_path))
    # where nothing listens: a sink that cannot deliver holds up nobody
    text = text.replace("8443", str(ports["8443"])).replace(VALUES["logs_endpoint"], "http://127.0.0.1:1")
    text = re.sub(r"credential = .*", 'credential = { kind = "static_token", token = { env = "X" } }', text)
    (tmp_path / "settings.toml").write_text(text)
    caddyfile = tmp_path / "Caddyfile"
    # no certificate can be had here: the name is an address on loopback, without TLS; and the one port by which Caddy
    # can be told something may be another's
    site = (ROOT / "deploy/systemd/Caddyfile").read_text().replace("8443", str(ports["8443"]))
    caddyfile.write_text(f"{{\n\tadmin off\n}}\n{site}")
    home = {
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "X": "token",
    }
    public = f"http://127.0.0.1:{ports['public']}"
    environment = {"PATH": os.environ["PATH"], "PUBLIC_HOST": public, **home}
    program = [sys.executable, "-m", "onelogin_connector", "run", "--config", str(tmp_path / "settings.toml")]
    started: list[subprocess.Popen[bytes]] = []
    log = tmp_path / "log"
    try:
        with log.open("wb") as out:
            front = [caddy, "run", "--config", str(caddyfile), "--adapter", "caddyfile"]
            server = [*program, "--data-dir", str(tmp_path / "data"), "--port", "0"]
            started += [
                subprocess.Popen(words, env=environment, stdout=out, stderr=out) for words in (server, front)
            ]

        def answers() -> bool:
            assert all(each.poll() is None for each in started), log.read_text()
            try:
                return httpx2.get(f"{public}/healthz", timeout=5).status_code == 200
            except httpx2.TransportError:
                return False

        wait_until(answers, tell=log.read_text)
        yield public
    finally:
        for each in started:
            each.terminate()
        for each in started:
            each.wait(timeout=PATIENCE_SECONDS)


def test_webhooks_come_through_caddy_and_nothing_else_does(behind_caddy):
    """
    A webhook with its token is taken; the console, the API and the metrics are not there from outside.
    """
    public = behind_caddy
    body = b'[{"uuid": "3d2b0c52-6a35-4f6a-9f38-111111111111", "event_type_id": 5, "account_id": 1}]'
    right = {"authorization": "Bearer a-webhook-token-of-sufficient-length"}
    assert (
        httpx2.post(
            f"{public}/webhook/default", content=body, headers=right, timeout=PATIENCE_SECONDS
        ).status_code
        == 200
    )
    assert httpx2.post(f"{public}/webhook/default", content=body, timeout=PATIENCE_SECONDS).status_code == 401
    for path in ("/", "/login", "/api/v1/status", "/metrics", "/readyz"):
        assert httpx2.get(f"{public}{path}", headers=right, timeout=PATIENCE_SECONDS).status_code == 404, path


def test_caddyfile_is_understood(tmp_path, needs):
    """
    Caddy reads its file as it stands, and would serve the name by HTTPS with a certificate of its own.
    """
    words = [
        needs("caddy"),
        "adapt",
        "--config",
        str(ROOT / "deploy/systemd/Caddyfile"),
        "--adapter",
        "caddyfile",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PUBLIC_HOST": "events.example.com"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    (server,) = json.loads(done.stdout)["apps"]["http"]["servers"].values()
    assert server["listen"] == [":443"]
    assert "events.example.com" in done.stdout
    assert "127.0.0.1:8443" in done.stdout
