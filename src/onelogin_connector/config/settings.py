"""
What can be configured: one struct per table of the file.
"""

from datetime import datetime
from pathlib import Path
from re import fullmatch
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from onelogin_connector.config.people import AlarmOptions, Oidc, SilenceHours
from onelogin_connector.setting import HttpUrl, Network, Secret, about

SHORTEST_TOKEN = 24
"""Characters of a webhook token: it is all that stands between the internet and the journal."""

Port = Annotated[int, Meta(ge=0, le=65535)]


class Domain(str):
    """
    The host of a OneLogin account, in its normal form (``acme.onelogin.com``).
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """
        Accept a subdomain, a host, or an address copied from the browser.

        Raises:
            ValueError: It is no host of OneLogin.
        """
        short = text.strip().lower()
        try:
            host = urlsplit(short if "://" in short else f"https://{short}").hostname or ""
        except ValueError:
            host = ""
        if "@" in short or not host:
            raise ValueError("expected a OneLogin domain such as acme.onelogin.com")
        if "." not in host:
            host = f"{host}.onelogin.com"
        # one label for an account, api.us and api.eu for the regional hosts; never a look-alike
        if not fullmatch(r"(?:api\.(?:us|eu)|[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.onelogin\.com", host):
            raise ValueError(
                "expected a OneLogin domain such as acme.onelogin.com (a custom domain has one too: "
                "it is shown in the OneLogin administration under Settings > Account settings)"
            )
        return super().__new__(cls, host)


class Top(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What stands at the top of the file, before the first table.
    """

    data_dir: Annotated[
        str | None,
        about(
            "Folder for everything that is kept; relative to the file. By default `./data` in a checkout, else "
            "`onelogin-connector` in `$XDG_DATA_HOME` or `~/.local/share`.",
            example="/var/lib/onelogin-connector",
        ),
    ] = None
    secret_key: Annotated[
        Secret | None,
        about(
            "Key that encrypts the secrets entered in the console; without one a key file is made in the data "
            "folder.",
            example={"file": "/run/secrets/onelogin-connector-key"},
        ),
    ] = None


class Tls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Certificate of the web server.
    """

    cert: Annotated[
        str, about("File with the certificate and its chain, PEM.", example="/etc/tls/fullchain.pem")
    ]
    key: Annotated[str, about("File with the private key, PEM.", example="/etc/tls/key.pem")]


class Web(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The web server: webhooks, console, API.
    """

    host: Annotated[
        str, about("Address to listen on; `0.0.0.0` for all.", example="127.0.0.1", min_length=1)
    ] = "127.0.0.1"
    port: Annotated[Port, about("Port to listen on; 0 takes a free one.", example=8080)] = 8080
    webhook_port: Annotated[
        Port | None,
        about(
            "A second port that serves only `/webhook` and `/healthz`, the one to open to the internet.",
            example=8443,
        ),
    ] = None
    public_url: Annotated[
        HttpUrl | None,
        about(
            "Address under which people reach the console; requests with another Host are refused.",
            example="https://onelogin-connector.example.com",
        ),
    ] = None
    tls: Annotated[
        Tls | None,
        about(
            "Certificate and key; without them the server speaks plain HTTP.",
            example={"cert": "/etc/tls/fullchain.pem", "key": "/etc/tls/key.pem"},
        ),
    ] = None
    trusted_proxies: Annotated[
        list[Network],
        about(
            "Networks of reverse proxies whose `X-Forwarded-*` headers are believed.", example=["10.0.0.0/8"]
        ),
    ] = []
    allow_private_hosts: Annotated[
        list[str],
        about(
            "Hosts in private networks that may be set as a destination in the console.",
            example=["siem.corp"],
        ),
    ] = []
    metrics_token: Annotated[
        Secret | None,
        about("Bearer token for `/metrics`, needed from other machines.", example={"env": "METRICS_TOKEN"}),
    ] = None
    admin_password: Annotated[
        Secret | None,
        about(
            "Password of the user `admin`; without it one is made at the first start.",
            example={"file": "/run/secrets/admin"},
        ),
    ] = None
    session_hours: Annotated[
        float, about("How long a sign-in lasts.", unit="hours", example=12, gt=0, le=720)
    ] = 12


class JournalOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    The journal on disk.
    """

    reserve: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        about(
            "Free disk space below which nothing more is taken in. By default the larger of 1 GiB and 2 % of "
            "the disk.",
            unit="bytes",
            example="1 GiB",
        ),
    ] = None
    key_retention_days: Annotated[
        float,
        about(
            "How long repeats are recognised without asking the store, counted from the last event of an hour.",
            unit="days",
            example=7,
            ge=1,
        ),
    ] = 7
    keep_delivered_hours: Annotated[
        float, about("How long entries stay after every sink has them.", unit="hours", example=24, ge=0)
    ] = 24


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What the program writes about itself, on stderr.
    """

    level: Annotated[
        Literal["debug", "info", "warning", "error"], about("The least severe message shown.", example="info")
    ] = "info"
    format: Annotated[
        Literal["auto", "text", "json"],
        about("`auto` writes text on a terminal and JSON otherwise.", example="json"),
    ] = "auto"


class Connector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One OneLogin account to collect from.
    """

    name: Annotated[
        str, about("What people call it; the table's name by default.", example="ACME production")
    ] = ""
    description: Annotated[
        str, about("What it is for, as people read it in the console.", example="The company's directory")
    ] = ""
    domain: Annotated[
        Domain | None,
        about(
            "The account's domain: `acme`, `acme.onelogin.com`, or a regional API host.",
            example="acme.onelogin.com",
        ),
    ] = None
    client_id: Annotated[
        Secret | None,
        about(
            "Client id of an API credential with the scope Read All.",
            example={"env": "ACME_CLIENT_ID"},
            literal=True,
        ),
    ] = None
    client_secret: Annotated[
        Secret | None, about("Client secret of that credential.", example={"file": "/run/secrets/acme"})
    ] = None
    webhook_tokens: Annotated[
        list[Secret],
        about(
            "Bearer tokens that the webhook accepts, two during a rotation; without any, one is made at the first "
            f"start. At least {SHORTEST_TOKEN} characters each.",
            example=[{"env": "ACME_WEBHOOK_TOKEN"}],
            max_length=2,
        ),
    ] = []
    allowed_networks: Annotated[
        list[Network],
        about("Networks that webhooks may come from; empty for all.", example=["203.0.113.0/24"]),
    ] = []
    max_body: Annotated[
        int,
        about(
            "Largest webhook request that is taken, after unpacking.",
            unit="bytes",
            example="32 MiB",
            ge=1 << 16,
        ),
    ] = 32 << 20
    requests_per_second: Annotated[
        float, about("Webhook requests taken per second; more are answered 429.", example=1000, gt=0)
    ] = 5000
    poll_seconds: Annotated[
        float, about("How often the API is asked for new events.", unit="seconds", example=60, ge=5)
    ] = 60
    poll_delay_seconds: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        about(
            "How far behind the present the API is read, so that the richer webhook record comes first. By default "
            "30 with a webhook token, else 0.",
            unit="seconds",
            example=30,
        ),
    ] = None
    overlap_minutes: Annotated[
        float,
        about("How often, and how far back, recent time is read again.", unit="minutes", example=10, ge=1),
    ] = 10
    start: Annotated[
        Annotated[datetime, Meta(tz=True)] | None,
        about(
            "Where the first run begins, with its time zone; 24 hours back by default.",
            example="2026-11-01T00:00:00Z",
        ),
    ] = None
    time_rule: Annotated[
        Literal["floor", "round"],
        about("How OneLogin derives the webhook's whole second from the API's time.", example="floor"),
    ] = "floor"
    api_url: Annotated[
        HttpUrl | None,
        about(
            "Another API host, such as a simulator; plain http on this machine alone.",
            example="http://127.0.0.1:9001",
        ),
    ] = None
    silence_hours: SilenceHours = None
    api_budget_share: Annotated[
        float,
        about("Share of the account's hourly API calls that may be used.", example=0.5, gt=0, le=1),
    ] = 0.5

    def __post_init__(self) -> None:
        for token in self.webhook_tokens:
            if len(token.reveal()) < SHORTEST_TOKEN:
                raise ValueError(
                    f"webhook_tokens: a token has fewer than {SHORTEST_TOKEN} characters. Make a new one, for "
                    "example with: openssl rand -hex 32"
                )
        if (self.client_id is None) != (self.client_secret is None):
            missing = "client_secret" if self.client_secret is None else "client_id"
            raise ValueError(f"{missing}: an API credential is a client_id together with a client_secret")


class SinkOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What every sink can be told, whatever its kind.
    """

    kind: Annotated[str, about("What kind of destination it is.", example="store")]
    enabled: Annotated[
        bool, about("A disabled sink gets nothing and keeps nothing in the journal.", example=False)
    ] = True
    backlog_limit: Annotated[
        Annotated[int, Meta(ge=1_000)] | None,
        about(
            "How many records may wait for it; past that it is detached, what it is owed is noted, and it can be "
            "refilled from the store. Without a limit the disk is the limit.",
            unit="records",
            example=5_000_000,
        ),
    ] = None
    pause_after_refusals: Annotated[
        int,
        about(
            "How many records it may refuse in a row, with none accepted between, before it is paused.",
            unit="records",
            example=100,
            ge=1,
        ),
    ] = 100


class SinkSettings(Struct, frozen=True, kw_only=True):
    """
    One destination: what every sink has, and the settings of its kind.
    """

    kind: str
    enabled: bool = True
    backlog_limit: int | None = None
    pause_after_refusals: int = 100
    settings: Struct
    """Of the type that ``sinks.registry`` names for the kind."""


class Legacy(Struct, frozen=True, kw_only=True):
    """
    The settings of Microsoft's function, for a drop-in exchange. Its token is the default connector's.
    """

    workspace_id: str | None = None
    workspace_key: Secret | None = None
    log_analytics_uri: HttpUrl | None = None


class Settings(Struct, frozen=True, kw_only=True):
    """
    Everything that was configured, checked.
    """

    data_dir: Path
    """Absolute. It need not exist yet."""
    secret_key: Secret | None = None
    """Key that encrypts secrets kept in the state; None uses a key file in the data folder."""
    web: Web = Web()
    journal: JournalOptions = JournalOptions()
    log: Log = Log()
    alarms: AlarmOptions = AlarmOptions()
    oidc: Oidc = Oidc()
    connectors: dict[str, Connector]
    sinks: dict[str, SinkSettings]
    legacy: Legacy = Legacy()
    path: Path | None = None
    """The file that was read, if any."""
    warnings: tuple[str, ...] = ()
    """Sentences for the person who starts the program."""
