"""
Tokens by Microsoft's library ``azure-identity``, which knows every place an identity can come from.

It is imported here and nowhere else, and this module only when a credential asks for it. Its calls block, so they run
in a thread, with short time limits and without its own repeats: the delivery loop repeats. The library reads the
environment that Azure and Kubernetes give a workload (``IDENTITY_ENDPOINT``, ``AZURE_FEDERATED_TOKEN_FILE`` …), and
the variables of proxies.
"""

from asyncio import to_thread
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import (
    ClientSecretCredential,
    CredentialUnavailableError,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from onelogin_connector.azure.clouds import Cloud
from onelogin_connector.azure.entra import NOT_ACCEPTED, refusal_of
from onelogin_connector.azure.tokens import Granted
from onelogin_connector.cause import Cause, error_of
from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized
from onelogin_connector.hiding import Hidden
from onelogin_connector.setting import Secret

LIMITS = {"connection_timeout": 5, "read_timeout": 10, "retry_total": 0, "retry_status": 0}
"""Seconds and numbers; a thread cannot be broken off, and stopping the program waits for it."""

UNREACHED = Cause(
    "The place where tokens are given cannot be reached.",
    "It is tried again by itself. Let this machine reach the cloud's sign-in host (login.microsoftonline.com in the public "
    "cloud) by https; look at firewall, name server and HTTPS_PROXY.",
)
NO_IDENTITY = Cause(
    "This machine gives no such managed identity.",
    "Turn the system-assigned identity on, or assign the user-assigned one and set its client_id; managed identities "
    "exist only on machines and services within Azure, or with Azure Arc.",
    Unauthorized,
)
NO_WORKLOAD = Cause(
    "This machine gives no workload identity.",
    "Label pod and service account as Microsoft Entra Workload ID asks for, or set tenant_id, client_id and token_file of "
    "the sink's credential.",
    ConfigError,
)
MOST_CAUSES = 16


class IdentityIssuer:
    """
    Tokens of one credential of the library.
    """

    def __init__(
        self, make: Callable[..., Any], *, scope: str, hidden: Hidden, missing: Cause = NOT_ACCEPTED
    ) -> None:
        """
        Make nothing yet.

        Args:
            make: Makes the credential, with an empty cache; takes further options of the library.
            missing: What it means that the library finds no identity.
        """
        self._make, self._scope, self._hidden, self._missing = make, scope, hidden, missing
        self._credential: Any = None
        self._status: int | None = None
        """Of the library's latest answer; its exceptions do not tell."""

    async def grant(self, *, anew: bool) -> Granted:
        """
        Ask the library, with a new credential where its cache is not to answer.

        Raises:
            Unauthorized, ConfigError, Unavailable: By what it says.
        """
        if anew:
            await self.close()
        self._status = None
        try:
            if self._credential is None:
                self._credential = await to_thread(self._make, raw_response_hook=self._note)
            token = await to_thread(self._credential.get_token, self._scope)
        except (AzureError, OSError, ValueError, RuntimeError, KeyError) as error:
            # a credential that failed may have kept half an answer
            await self.close()
            raise self._translated(error) from None
        return Granted(Secret(token.token), float(token.expires_on))

    async def close(self) -> None:
        """
        Close the credential.
        """
        credential, self._credential = self._credential, None
        if credential is not None:
            with suppress(AzureError, OSError, ValueError):
                await to_thread(credential.close)

    def _translated(self, error: Exception) -> ConnectorError:
        """
        Say in our words why there is no token; the library wraps one error in another.
        """
        chain = list(_chain(error))
        text = next((str(each) for each in chain if "AADSTS" in str(each)), "")
        if text:
            cause, number = refusal_of(text)
            return error_of(cause, f"{number}; “{self._hidden.clean(_bare(text))}”")
        if self._status is not None and (self._status >= 500 or self._status in {408, 429}):
            return error_of(UNREACHED, f"HTTP {self._status}")
        said = self._hidden.clean(_bare(str(error)))
        if any(isinstance(each, FileNotFoundError | PermissionError) for each in chain):
            return error_of(self._missing, said)
        # what the HTTP library raises is an OSError, however it is wrapped
        if any(isinstance(each, ServiceRequestError | ServiceResponseError | OSError) for each in chain):
            return error_of(NO_IDENTITY if self._is_local else UNREACHED, type(chain[-1]).__name__)
        if any(isinstance(each, CredentialUnavailableError) for each in chain):
            return error_of(self._missing, said)
        return error_of(NOT_ACCEPTED, f"{type(error).__name__}; “{said}”")

    def _note(self, response: Any) -> None:
        """
        Remember the status of an answer; called by the library, in its thread.
        """
        self._status = response.http_response.status_code

    @property
    def _is_local(self) -> bool:
        """
        Tell whether the token comes from this machine, so that no answer means no identity.
        """
        return self._missing is NO_IDENTITY


def client_secret(
    cloud: Cloud, tenant_id: str, client_id: str, secret: Secret, *, hidden: Hidden, **options: Any
) -> IdentityIssuer:
    """
    Return tokens of an application that has a secret.
    """

    def make(**more: Any) -> ClientSecretCredential:
        return ClientSecretCredential(
            tenant_id,
            client_id,
            secret.reveal(),
            authority=cloud.authority,
            disable_instance_discovery=True,  # the host is ours to know, and asking about it hides what was refused
            **(LIMITS | options | more),
        )

    return IdentityIssuer(make, scope=cloud.scope, hidden=hidden)


def managed(cloud: Cloud, client_id: str, *, hidden: Hidden, **options: Any) -> IdentityIssuer:
    """
    Return tokens of the machine's own identity, or of one that was assigned to it.
    """

    def make(**more: Any) -> ManagedIdentityCredential:
        return ManagedIdentityCredential(client_id=client_id or None, **(LIMITS | options | more))

    return IdentityIssuer(make, scope=cloud.scope, hidden=hidden, missing=NO_IDENTITY)


def workload(
    cloud: Cloud, tenant_id: str, client_id: str, token_file: str, *, hidden: Hidden, **options: Any
) -> IdentityIssuer:
    """
    Return tokens of a workload, by the token that Kubernetes gives it in a file.
    """
    named = {"tenant_id": tenant_id, "client_id": client_id, "token_file_path": token_file}

    def make(**more: Any) -> WorkloadIdentityCredential:
        given = {name: value for name, value in named.items() if value}
        try:
            return WorkloadIdentityCredential(**given, authority=cloud.authority, **(LIMITS | options | more))
        except ValueError:
            raise CredentialUnavailableError("Not all of tenant, client and token file are known.") from None

    return IdentityIssuer(make, scope=cloud.scope, hidden=hidden, missing=NO_WORKLOAD)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(MOST_CAUSES):
        if error is None:
            return
        yield error
        inner = getattr(error, "inner_exception", None)
        error = error.__cause__ or error.__context__ or inner


def _bare(text: str) -> str:
    """
    Return the first line without what is only for Microsoft's own search.
    """
    return text.splitlines()[0].partition(" Trace ID:")[0] if text else ""
