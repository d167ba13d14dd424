"""
Who the program is to Azure: the four kinds of credential, and the tokens that each brings.
"""

from collections.abc import Callable
from time import time
from typing import Annotated
from urllib.parse import urlsplit

from httpx2 import AsyncBaseTransport
from msgspec import Struct

from onelogin_connector.azure.clouds import Cloud
from onelogin_connector.azure.entra import DirectIssuer
from onelogin_connector.azure.tokens import Issuer, KeptTokens, StaticToken, Tokens
from onelogin_connector.errors import ConfigError
from onelogin_connector.hiding import Hidden
from onelogin_connector.reach import Reach
from onelogin_connector.setting import HttpUrl, Secret, about, is_loopback

_NO_SECRET = r"^[0-9A-Za-z.-]{1,100}$"  # noqa: S105 - what a tenant's or a client's id looks like
_OPTIONAL_ID = r"^[0-9A-Za-z.-]{0,100}$"


class ClientSecret(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="client_secret"
):
    """
    An application registered in Entra ID, with a secret: for machines outside Azure.
    """

    tenant_id: Annotated[
        str,
        about(
            "Directory (tenant) ID, from the application's overview.",
            example="11111111-1111-1111-1111-111111111111",
            binds=True,
            pattern=_NO_SECRET,
        ),
    ]
    client_id: Annotated[
        str,
        about(
            "Application (client) ID, from the same page.",
            example="22222222-2222-2222-2222-222222222222",
            binds=True,
            pattern=_NO_SECRET,
        ),
    ]
    client_secret: Annotated[
        Secret,
        about(
            "Value of a client secret of that application, not the secret's id.",
            example={"env": "AZURE_CLIENT_SECRET"},
        ),
    ]
    authority: Annotated[
        HttpUrl | None,
        about(
            "A simulator's sign-in on this machine, in place of the cloud's own.",
            example="http://127.0.0.1:9002",
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.authority is not None and not is_loopback(urlsplit(self.authority).hostname or ""):
            raise ValueError(
                "authority: only a simulator on this machine is named here; the cloud's own sign-in follows cloud"
            )


class ManagedIdentity(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="managed_identity"
):
    """
    The identity that Azure gives a machine, an app or a container: nothing has to be kept secret.
    """

    client_id: Annotated[
        str,
        about(
            "Client ID of a user-assigned identity; the system-assigned one by default.",
            example="22222222-2222-2222-2222-222222222222",
            chosen=True,
            pattern=_OPTIONAL_ID,
        ),
    ] = ""


class WorkloadIdentity(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="workload_identity"
):
    """
    The identity of a Kubernetes service account that Entra ID trusts.

    What is not set here comes from the variables that Kubernetes sets in the pod.
    """

    tenant_id: Annotated[
        str,
        about(
            "Directory (tenant) ID; `AZURE_TENANT_ID` by default.",
            example="11111111-1111-1111-1111-111111111111",
            pattern=_OPTIONAL_ID,
        ),
    ] = ""
    client_id: Annotated[
        str,
        about(
            "Client ID of the application or managed identity; `AZURE_CLIENT_ID` by default.",
            example="22222222-2222-2222-2222-222222222222",
            pattern=_OPTIONAL_ID,
        ),
    ] = ""
    token_file: Annotated[
        str,
        about(
            "File with the service account's token; `AZURE_FEDERATED_TOKEN_FILE` by default.",
            example="/var/run/secrets/azure/tokens/azure-identity-token",
            local=True,
        ),
    ] = ""


class StaticTokenCredential(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="static_token"
):
    """
    One bearer token that somebody else renews: for tests and simulators, since Azure's end within hours.
    """

    token: Annotated[Secret, about("The bearer token.", example={"env": "AZURE_TOKEN"})]


Credential = ClientSecret | ManagedIdentity | WorkloadIdentity | StaticTokenCredential


OF_THIS_MACHINE = (ManagedIdentity, WorkloadIdentity)
"""Whoever may set where tokens go gets those of the machine, which nobody had to know."""


def hidden_of(credential: Credential, *, quotes: bool = True) -> Hidden:
    """
    Return what keeps a credential's secrets out of messages.

    Args:
        quotes: Whether words of the other side may be repeated at all.
    """
    match credential:
        case ClientSecret():
            return Hidden(credential.client_secret.reveal(), quotes=quotes)
        case StaticTokenCredential():
            return Hidden(credential.token.reveal(), quotes=quotes)
    return Hidden(quotes=quotes)


def tokens_of(
    credential: Credential,
    cloud: Cloud,
    hidden: Hidden,
    *,
    transport: AsyncBaseTransport | None = None,
    clock: Callable[[], float] = time,
    reach: Reach | None = None,
) -> Tokens:
    """
    Return what hands out tokens for a credential.

    Args:
        hidden: Learns every token, so that no message shows it.
        transport: In place of the network, for a sign-in on this machine.
        clock: Unix seconds.
        reach: Which hosts a setting may lead to; None for any. The clouds' own are known.

    Raises:
        ConfigError: The library that it needs is not installed.
    """
    if isinstance(credential, StaticTokenCredential):
        return StaticToken(credential.token)
    return KeptTokens(_issuer(credential, cloud, hidden, transport, clock, reach), hidden, clock=clock)


def _issuer(
    credential: ClientSecret | ManagedIdentity | WorkloadIdentity,
    cloud: Cloud,
    hidden: Hidden,
    transport: AsyncBaseTransport | None,
    clock: Callable[[], float],
    reach: Reach | None,
) -> Issuer:
    if isinstance(credential, ClientSecret) and credential.authority is not None:
        return DirectIssuer(
            credential.authority,
            credential.tenant_id,
            credential.client_id,
            credential.client_secret,
            scope=cloud.scope,
            hidden=hidden,
            transport=transport,
            clock=clock,
            reach=reach,
        )
    try:
        from onelogin_connector.azure import identity
    except ImportError as error:
        raise ConfigError(
            f"The library azure-identity, which this credential needs, cannot be used: {error}.",
            action="Install it: pip install 'onelogin-connector[azure]'",
        ) from error
    match credential:
        case ClientSecret():
            return identity.client_secret(
                cloud, credential.tenant_id, credential.client_id, credential.client_secret, hidden=hidden
            )
        case ManagedIdentity():
            return identity.managed(cloud, credential.client_id, hidden=hidden)
    return identity.workload(
        cloud, credential.tenant_id, credential.client_id, credential.token_file, hidden=hidden
    )
