"""
What can be configured of alarms and of single sign-on.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from onelogin_connector.setting import HttpUrl, Secret, about


class AlarmOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    When somebody is told, and where.
    """

    webhook: Annotated[
        Secret | None,
        about(
            "Address that alarms are posted to, once when one is raised and once when it ends. It is treated as a "
            "secret, since those of chat services are. https, and public unless `allow_private_hosts` names its host.",
            example={"env": "ALARM_WEBHOOK"},
        ),
    ] = None
    format: Annotated[
        Literal["generic", "slack"],
        about(
            "What is posted: `generic` is JSON with every field, `slack` what Slack and services like it understand.",
            example="slack",
        ),
    ] = "generic"
    token: Annotated[
        Secret | None,
        about(
            "Bearer token that is sent along, for receivers that ask for one.", example={"env": "ALARM_TOKEN"}
        ),
    ] = None
    silence_hours: Annotated[
        float,
        about(
            "After how long without any event of a connector somebody is told; 0 never. A connector may have its own.",
            unit="hours",
            example=24,
            ge=0,
        ),
    ] = 24


class Oidc(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Single sign-on by OpenID Connect.
    """

    issuer: Annotated[
        HttpUrl | None,
        about(
            "The identity provider's address, below which `/.well-known/openid-configuration` lies; turns single "
            "sign-on on.",
            example="https://acme.onelogin.com/oidc/2",
        ),
    ] = None
    client_id: Annotated[
        str,
        about("Client id of this program at the provider.", example="0f3c8a10-77aa-013e-9f24-0a5a6b7c8d9e"),
    ] = ""
    client_secret: Annotated[
        Secret | None,
        about(
            "Client secret; without one the program is a public client, protected by PKCE alone.",
            example={"file": "/run/secrets/oidc"},
        ),
    ] = None
    label: Annotated[
        str, about("What the button of the sign-in page says.", example="Sign in with OneLogin")
    ] = "Single sign-on"
    scopes: Annotated[
        list[str],
        about("Scopes that are asked for; `openid` always is.", example=["profile", "email", "groups"]),
    ] = field(default_factory=lambda: ["profile", "email", "groups"])
    name_claim: Annotated[
        str,
        about("Claim that names the account made at somebody's first sign-in.", example="preferred_username"),
    ] = "email"
    role_claim: Annotated[
        str,
        about("Claim, text or list, whose values decide what somebody may do.", example="groups"),
    ] = "groups"
    admins: Annotated[
        list[str], about("Values of that claim that make an admin.", example=["Security engineering"])
    ] = []
    operators: Annotated[
        list[str], about("Values that make an operator.", example=["Security operations"])
    ] = []
    viewers: Annotated[
        list[str],
        about(
            "Values that make a viewer; `*` lets everybody in whom the provider lets in.", example=["Audit"]
        ),
    ] = []

    def __post_init__(self) -> None:
        if self.issuer is not None and not self.client_id:
            raise ValueError(
                "client_id: single sign-on needs the client id that the provider gave this program"
            )
        if self.issuer is not None and not (self.admins or self.operators or self.viewers):
            raise ValueError(
                "admins: nobody could sign in. Name the values of role_claim that make admins, operators or viewers"
            )


SilenceHours = Annotated[
    Annotated[float, Meta(ge=0)] | None,
    about(
        "After how long without an event somebody is told; 0 never. By default as `[alarms]` says.",
        unit="hours",
        example=72,
    ),
]
